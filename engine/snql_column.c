/* snql_column.c - comparing, hashing, copying and printing values. */
#include "engine/snql_column.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/civil.h"
#include "base/decimal.h"
#include "base/hash.h"
#include "base/json_writer.h"

/* How values of a type lie in memory. */
enum layout {
    LAYOUT_NONE,
    LAYOUT_U64,
    LAYOUT_I64,
    LAYOUT_F64,
    LAYOUT_TEXT,
    LAYOUT_UUID,
    LAYOUT_ARRAY,
    LAYOUT_TUPLE,
    LAYOUT_STATE
};

static enum layout layout_of(struct snql_type t)
{
    switch (t.kind) {
    case SNQL_TYPE_NOTHING: return LAYOUT_NONE;
    case SNQL_TYPE_BOOL:
    case SNQL_TYPE_UINT8:
    case SNQL_TYPE_UINT16:
    case SNQL_TYPE_UINT32:
    case SNQL_TYPE_UINT64:
    case SNQL_TYPE_DATE:
    case SNQL_TYPE_DATETIME: return LAYOUT_U64;
    case SNQL_TYPE_INT8:
    case SNQL_TYPE_INT16:
    case SNQL_TYPE_INT32:
    case SNQL_TYPE_INT64:
    case SNQL_TYPE_DECIMAL:
    case SNQL_TYPE_DATETIME64:
    case SNQL_TYPE_INTERVAL: return LAYOUT_I64;
    case SNQL_TYPE_FLOAT32:
    case SNQL_TYPE_FLOAT64: return LAYOUT_F64;
    case SNQL_TYPE_STRING: return LAYOUT_TEXT;
    case SNQL_TYPE_UUID: return LAYOUT_UUID;
    case SNQL_TYPE_ARRAY: return LAYOUT_ARRAY;
    case SNQL_TYPE_TUPLE: return LAYOUT_TUPLE;
    case SNQL_TYPE_STATE: return LAYOUT_STATE;
    }
    return LAYOUT_NONE;
}

size_t snql_column_width(struct snql_type t)
{
    switch (layout_of(t)) {
    case LAYOUT_U64:
    case LAYOUT_I64:
    case LAYOUT_F64: return 8;
    case LAYOUT_TEXT: return sizeof(struct bytes);
    case LAYOUT_UUID: return sizeof(struct uuid);
    case LAYOUT_ARRAY: return sizeof(uint32_t);
    case LAYOUT_NONE:
    case LAYOUT_TUPLE:
    case LAYOUT_STATE: return 0;
    }
    return 0;
}

/* ---- order ---- */

static int compare_doubles(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b) > 0 ? 1 : isnan(a) == isnan(b) ? 0 : -1;
    return (a > b) - (a < b);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static int compare_arrays(const struct snql_column *a, size_t a_row, const struct snql_column *b,
                          size_t b_row)
{
    uint32_t i;
    uint32_t i_end;
    uint32_t j;
    uint32_t j_end;
    snql_array_bounds(a, a_row, &i, &i_end);
    snql_array_bounds(b, b_row, &j, &j_end);
    for (; i < i_end && j < j_end; i++, j++) {
        int order = snql_column_compare(&a->elements[0], i, &b->elements[0], j);
        if (order != 0)
            return order;
    }
    return (i < i_end) - (j < j_end);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
int snql_column_compare(const struct snql_column *a, size_t a_row, const struct snql_column *b,
                        size_t b_row)
{
    bool a_null = snql_is_null(a, a_row);
    bool b_null = snql_is_null(b, b_row);
    if (a_null || b_null)
        return a_null - b_null;
    size_t i = snql_at(a, a_row);
    size_t j = snql_at(b, b_row);
    switch (layout_of(a->type)) {
    case LAYOUT_U64: return (a->u64[i] > b->u64[j]) - (a->u64[i] < b->u64[j]);
    case LAYOUT_I64: return (a->i64[i] > b->i64[j]) - (a->i64[i] < b->i64[j]);
    case LAYOUT_F64: return compare_doubles(a->f64[i], b->f64[j]);
    case LAYOUT_TEXT: return bytes_compare(a->text[i], b->text[j]);
    case LAYOUT_UUID: return uuid_compare(a->uuid[i], b->uuid[j]);
    case LAYOUT_ARRAY: return compare_arrays(a, a_row, b, b_row);
    case LAYOUT_TUPLE:
        for (uint32_t k = 0; k < a->type.count; k++) {
            int order = snql_column_compare(&a->elements[k], i, &b->elements[k], j);
            if (order != 0)
                return order;
        }
        return 0;
    case LAYOUT_NONE:
    case LAYOUT_STATE: return 0;
    }
    return 0;
}

bool snql_comes_last(const struct snql_column *c, size_t row)
{
    return snql_is_null(c, row) || (snql_type_is_float(c->type) && isnan(c->f64[snql_at(c, row)]));
}

static uint64_t double_bits(double v)
{
    uint64_t bits;
    if (isnan(v))
        return UINT64_C(0x7ff8000000000000);
    v += 0.0; /* -0.0 becomes 0.0 */
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
uint64_t snql_column_hash(const struct snql_column *c, size_t row, uint64_t seed)
{
    if (snql_is_null(c, row))
        return hash_u64(seed ^ UINT64_C(0x9e3779b97f4a7c15));
    size_t i = snql_at(c, row);
    switch (layout_of(c->type)) {
    case LAYOUT_U64: return hash_u64(c->u64[i] ^ (seed * 3));
    case LAYOUT_I64: return hash_u64((uint64_t)c->i64[i] ^ (seed * 3));
    case LAYOUT_F64: return hash_u64(double_bits(c->f64[i]) ^ (seed * 3));
    case LAYOUT_TEXT: return hash_bytes(c->text[i], seed);
    case LAYOUT_UUID: return hash_bytes(bytes_of(&c->uuid[i], sizeof(struct uuid)), seed);
    case LAYOUT_ARRAY: {
        uint32_t at;
        uint32_t end;
        snql_array_bounds(c, row, &at, &end);
        seed = hash_u64(seed + end - at);
        for (; at < end; at++)
            seed = snql_column_hash(&c->elements[0], at, seed);
        return seed;
    }
    case LAYOUT_TUPLE:
        for (uint32_t k = 0; k < c->type.count; k++)
            seed = snql_column_hash(&c->elements[k], i, seed);
        return seed;
    case LAYOUT_NONE:
    case LAYOUT_STATE: return seed;
    }
    return seed;
}

/* ---- copies ---- */

static enum err gather_nulls(const struct snql_column *c, const uint32_t *rows, size_t count,
                             struct arena *arena, struct snql_column *ret)
{
    ret->nulls = NULL;
    if (c->nulls == NULL)
        return ERR_OK;
    uint8_t *nulls = ARENA_ARRAY(arena, count + 1, uint8_t);
    if (nulls == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < count; i++)
        nulls[i] = c->nulls[rows[i]];
    ret->nulls = nulls;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err gather_array(const struct snql_column *c, const uint32_t *rows, size_t count,
                             struct arena *arena, struct snql_column *ret)
{
    uint32_t *ends = ARENA_ARRAY(arena, count + 1, uint32_t);
    struct snql_column *element = ARENA_NEW(arena, struct snql_column);
    if (ends == NULL || element == NULL)
        return arena_error(arena);
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t from;
        uint32_t end;
        snql_array_bounds(c, rows[i], &from, &end);
        total += end - from;
        if (total > UINT32_MAX)
            return ERR_LIMIT;
        ends[i] = (uint32_t)total;
    }
    uint32_t *inner = ARENA_ARRAY(arena, total + 1, uint32_t);
    if (inner == NULL)
        return arena_error(arena);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t from;
        uint32_t end;
        for (snql_array_bounds(c, rows[i], &from, &end); from < end; from++)
            inner[at++] = from;
    }
    TRY(snql_column_gather(&c->elements[0], inner, at, arena, element));
    ret->ends = ends;
    ret->elements = element;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err gather_tuple(const struct snql_column *c, const uint32_t *rows, size_t count,
                             struct arena *arena, struct snql_column *ret)
{
    struct snql_column *elements = ARENA_ARRAY(arena, c->type.count + 1, struct snql_column);
    if (elements == NULL)
        return arena_error(arena);
    for (uint32_t k = 0; k < c->type.count; k++)
        TRY(snql_column_gather(&c->elements[k], rows, count, arena, &elements[k]));
    ret->elements = elements;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
enum err snql_column_gather(const struct snql_column *from, const uint32_t *rows, size_t count,
                            struct arena *arena, struct snql_column *ret)
{
    const struct snql_column copy = *from; /* it may be where the result goes */
    const struct snql_column *c = &copy;
    *ret = copy;
    ret->rows = count;
    if (c->constant)
        return ERR_OK;
    TRY(gather_nulls(c, rows, count, arena, ret));
    enum layout layout = layout_of(c->type);
    if (layout == LAYOUT_ARRAY)
        return gather_array(c, rows, count, arena, ret);
    if (layout == LAYOUT_TUPLE)
        return gather_tuple(c, rows, count, arena, ret);
    size_t width = layout == LAYOUT_STATE ? sizeof(void *) : snql_column_width(c->type);
    if (width == 0)
        return ERR_OK;
    uint8_t *out = arena_array(arena, count + 1, width, 8);
    if (out == NULL)
        return arena_error(arena);
    if (width == 8) {
        const uint64_t *values = c->u64;
        uint64_t *to = (uint64_t *)(void *)out;
        for (size_t i = 0; i < count; i++)
            to[i] = values[rows[i]];
    } else {
        const uint8_t *values = (const uint8_t *)c->state;
        for (size_t i = 0; i < count; i++)
            memcpy(out + i * width, values + rows[i] * width, width);
    }
    ret->state = out;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
enum err snql_column_default(struct snql_type type, struct arena *arena, struct snql_column *ret)
{
    static const uint8_t null = 1;
    static const struct uuid zeros[2]; /* zero bytes are zero of every kind, and no text */
    *ret = (struct snql_column){.type = type, .rows = 1, .uuid = zeros};
    if (type.nullable)
        ret->nulls = &null;
    if (type.kind != SNQL_TYPE_TUPLE && type.kind != SNQL_TYPE_ARRAY)
        return ERR_OK;
    struct snql_column *elements = ARENA_ARRAY(arena, type.count + 1, struct snql_column);
    if (elements == NULL)
        return arena_error(arena);
    for (uint32_t i = 0; i < type.count; i++) {
        TRY(snql_column_default(type.elements[i], arena, &elements[i]));
        if (type.kind == SNQL_TYPE_ARRAY)
            elements[i].rows = 0;
    }
    ret->elements = elements;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
enum err snql_column_empty(struct snql_type type, struct arena *arena, struct snql_column *ret)
{
    *ret = (struct snql_column){.type = type};
    if (type.kind != SNQL_TYPE_TUPLE && type.kind != SNQL_TYPE_ARRAY)
        return ERR_OK;
    struct snql_column *elements = ARENA_ARRAY(arena, type.count + 1, struct snql_column);
    if (elements == NULL)
        return arena_error(arena);
    for (uint32_t i = 0; i < type.count; i++)
        TRY(snql_column_empty(type.elements[i], arena, &elements[i]));
    ret->elements = elements;
    return ERR_OK;
}

enum err snql_column_spread(const struct snql_column *c, size_t rows, struct arena *arena,
                            struct snql_column *ret)
{
    *ret = *c;
    ret->rows = rows;
    if (!c->constant)
        return ERR_OK;
    uint32_t *zeros = ARENA_ARRAY(arena, rows + 1, uint32_t);
    if (zeros == NULL)
        return arena_error(arena);
    memset(zeros, 0, (rows + 1) * sizeof(*zeros));
    struct snql_column one = *c;
    one.constant = false;
    return snql_column_gather(&one, zeros, rows, arena, ret);
}

/* Ends of all rows one behind another, shifted by the elements before; of a constant the one array is
 * repeated. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err concat_arrays(const struct snql_column *const *columns, size_t count,
                              struct arena *arena, struct snql_column *ret)
{
    uint32_t *ends = ARENA_ARRAY(arena, ret->rows + 1, uint32_t);
    struct snql_column *elements = ARENA_NEW(arena, struct snql_column);
    struct snql_column *parts = ARENA_ARRAY(arena, count, struct snql_column);
    const struct snql_column **list = ARENA_ARRAY(arena, count, const struct snql_column *);
    if (ends == NULL || elements == NULL || parts == NULL || list == NULL)
        return arena_error(arena);
    uint64_t total = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        struct snql_column full;
        TRY(snql_column_spread(columns[i], columns[i]->rows, arena, &full));
        for (size_t row = 0; row < full.rows; row++) {
            if (total + full.ends[row] > UINT32_MAX)
                return ERR_LIMIT;
            ends[at++] = (uint32_t)total + full.ends[row];
        }
        total += full.rows == 0 ? 0 : full.ends[full.rows - 1];
        parts[i] = full.elements[0];
        parts[i].rows = full.rows == 0 ? 0 : full.ends[full.rows - 1];
        list[i] = &parts[i];
    }
    TRY(snql_column_concat(list, count, arena, elements));
    ret->ends = ends;
    ret->elements = elements;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err concat_tuples(const struct snql_column *const *columns, size_t count,
                              struct arena *arena, struct snql_column *ret)
{
    struct snql_column *elements = ARENA_ARRAY(arena, ret->type.count + 1, struct snql_column);
    struct snql_column *parts = ARENA_ARRAY(arena, count, struct snql_column);
    const struct snql_column **list = ARENA_ARRAY(arena, count, const struct snql_column *);
    if (elements == NULL || parts == NULL || list == NULL)
        return arena_error(arena);
    for (uint32_t k = 0; k < ret->type.count; k++) {
        for (size_t i = 0; i < count; i++) {
            parts[i] = columns[i]->elements[k];
            parts[i].rows = columns[i]->rows;
            parts[i].constant |= columns[i]->constant;
            list[i] = &parts[i];
        }
        TRY(snql_column_concat(list, count, arena, &elements[k]));
    }
    ret->elements = elements;
    return ERR_OK;
}

static enum err concat_nulls(const struct snql_column *const *columns, size_t count,
                             struct arena *arena, struct snql_column *ret)
{
    bool any = false;
    ret->nulls = NULL;
    for (size_t i = 0; i < count; i++)
        any |= columns[i]->nulls != NULL;
    if (!any)
        return ERR_OK;
    uint8_t *out = ARENA_ARRAY(arena, ret->rows + 1, uint8_t);
    if (out == NULL)
        return arena_error(arena);
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t row = 0; row < columns[i]->rows; row++)
            out[at++] = snql_is_null(columns[i], row);
    ret->nulls = out;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
enum err snql_column_concat(const struct snql_column *const *columns, size_t count,
                            struct arena *arena, struct snql_column *ret)
{
    assert(count > 0);
    *ret = *columns[0];
    if (count == 1)
        return ERR_OK;
    ret->constant = false;
    ret->rows = 0;
    for (size_t i = 0; i < count; i++)
        ret->rows += columns[i]->rows;
    TRY(concat_nulls(columns, count, arena, ret));
    enum layout layout = layout_of(ret->type);
    if (layout == LAYOUT_ARRAY)
        return concat_arrays(columns, count, arena, ret);
    if (layout == LAYOUT_TUPLE)
        return concat_tuples(columns, count, arena, ret);
    size_t width = layout == LAYOUT_STATE ? sizeof(void *) : snql_column_width(ret->type);
    uint8_t *out = arena_array(arena, ret->rows + 1, width == 0 ? 1 : width, 8);
    if (out == NULL)
        return arena_error(arena);
    size_t at = 0;
    for (size_t i = 0; i < count && width > 0; i++) {
        const uint8_t *from = (const uint8_t *)columns[i]->state;
        for (size_t row = 0; row < columns[i]->rows; row++, at++)
            memcpy(out + at * width, from + snql_at(columns[i], row) * width, width);
    }
    ret->state = out;
    return ERR_OK;
}

/* ---- JSON ---- */

void snql_put_moment(struct buffer *out, int64_t seconds, char between)
{
    int64_t days = seconds / 86400;
    int64_t left = seconds % 86400;
    if (left < 0) {
        left += 86400;
        days--;
    }
    struct civil d = civil_from_days(days);
    buffer_printf(out, "%04" PRId64 "-%02u-%02u%c%02" PRId64 ":%02" PRId64 ":%02" PRId64, d.year,
                  d.month, d.day, between, left / 3600, left / 60 % 60, left % 60);
}

static void split_ticks(int64_t ticks, unsigned precision, int64_t *ret_seconds,
                        int64_t *ret_fraction)
{
    int64_t unit = snql_power_of_ten(precision);
    *ret_seconds = ticks / unit;
    *ret_fraction = ticks % unit;
    if (*ret_fraction < 0) {
        *ret_fraction += unit;
        --*ret_seconds;
    }
}

static void put_time(struct buffer *out, const struct snql_column *c, size_t at, bool nested)
{
    int64_t seconds = c->type.kind == SNQL_TYPE_DATE ? (int64_t)c->u64[at] * 86400 : 0;
    int64_t fraction = 0;
    if (c->type.kind == SNQL_TYPE_DATETIME)
        seconds = (int64_t)c->u64[at];
    if (c->type.kind == SNQL_TYPE_DATETIME64)
        split_ticks(c->i64[at], c->type.precision, &seconds, &fraction);
    buffer_put(out, BYTES("\""));
    if (nested && c->type.kind == SNQL_TYPE_DATE) {
        struct civil d = civil_from_days((int64_t)c->u64[at]);
        buffer_printf(out, "%04" PRId64 "-%02u-%02u", d.year, d.month, d.day);
    } else {
        snql_put_moment(out, seconds, nested ? ' ' : 'T');
        if (fraction != 0) /* always six digits */
            buffer_printf(out, ".%06" PRId64,
                          c->type.precision <= 6
                              ? fraction * snql_power_of_ten(6u - c->type.precision)
                              : fraction / snql_power_of_ten(c->type.precision - 6u));
        if (!nested)
            buffer_put(out, BYTES("+00:00"));
    }
    buffer_put(out, BYTES("\""));
}

static void put_double(struct buffer *out, double v)
{
    char text[DECIMAL_TEXT_SIZE];
    if (isnan(v)) {
        buffer_put(out, BYTES("NaN"));
        return;
    }
    if (isinf(v)) {
        buffer_put(out, v < 0 ? BYTES("-Infinity") : BYTES("Infinity"));
        return;
    }
    struct bytes printed = bytes_of(text, decimal_print_double(v, text));
    buffer_put(out, printed);
    bool whole = bytes_find_byte(printed, '.') == printed.len &&
                 bytes_find_byte(printed, 'e') == printed.len;
    if (whole) /* so that clients read a floating number */
        buffer_put(out, BYTES(".0"));
}

static void put_decimal(struct buffer *out, int64_t v, unsigned scale)
{
    uint64_t unit = (uint64_t)snql_power_of_ten(scale);
    uint64_t size = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    buffer_printf(out, "%s%" PRIu64 ".%0*" PRIu64, v < 0 ? "-" : "", size / unit, (int)scale,
                  size % unit);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static void put_value(const struct snql_column *c, size_t row, bool nested, struct buffer *out)
{
    if (snql_is_null(c, row)) {
        buffer_put(out, BYTES("null"));
        return;
    }
    size_t at = snql_at(c, row);
    if (snql_type_is_time(c->type)) {
        put_time(out, c, at, nested);
        return;
    }
    if (c->type.kind == SNQL_TYPE_DECIMAL) {
        put_decimal(out, c->i64[at], c->type.precision);
        return;
    }
    if (c->type.kind == SNQL_TYPE_BOOL) {
        buffer_put(out, c->u64[at] != 0 ? BYTES("true") : BYTES("false"));
        return;
    }
    struct json_writer w;
    switch (layout_of(c->type)) {
    case LAYOUT_U64: buffer_printf(out, "%" PRIu64, c->u64[at]); break;
    case LAYOUT_I64: buffer_printf(out, "%" PRId64, c->i64[at]); break;
    case LAYOUT_F64: put_double(out, c->f64[at]); break;
    case LAYOUT_TEXT:
        json_writer_init(&w, out);
        json_string(&w, c->text[at]);
        break;
    case LAYOUT_UUID: {
        char text[UUID_HYPHENS_SIZE + 1];
        uuid_print_hyphens(c->uuid[at], text);
        buffer_printf(out, "\"%s\"", text);
        break;
    }
    case LAYOUT_ARRAY: {
        uint32_t from;
        uint32_t end;
        snql_array_bounds(c, row, &from, &end);
        buffer_put(out, BYTES("["));
        for (uint32_t i = from; i < end; i++) {
            if (i > from)
                buffer_put(out, BYTES(","));
            put_value(&c->elements[0], i, true, out);
        }
        buffer_put(out, BYTES("]"));
        break;
    }
    case LAYOUT_TUPLE:
        buffer_put(out, BYTES("["));
        for (uint32_t i = 0; i < c->type.count; i++) {
            if (i > 0)
                buffer_put(out, BYTES(","));
            put_value(&c->elements[i], at, true, out);
        }
        buffer_put(out, BYTES("]"));
        break;
    case LAYOUT_NONE:
    case LAYOUT_STATE: buffer_put(out, BYTES("null")); break;
    }
}

void snql_column_print_json(const struct snql_column *c, size_t row, struct buffer *out)
{
    put_value(c, row, false, out);
}
