/* snql_convert.c - from one type to another, and to text. */
#include <inttypes.h>
#include <math.h>

#include "base/civil.h"
#include "base/decimal.h"
#include "base/limits.h"
#include "engine/snql_function.h"
#include "engine/snql_time_text.h"

uint64_t snql_wrap(uint64_t v, struct snql_type type)
{
    switch (type.kind) {
    case SNQL_TYPE_BOOL:
    case SNQL_TYPE_UINT8: return (uint8_t)v;
    case SNQL_TYPE_UINT16:
    case SNQL_TYPE_DATE: return (uint16_t)v;
    case SNQL_TYPE_UINT32:
    case SNQL_TYPE_DATETIME: return (uint32_t)v;
    case SNQL_TYPE_INT8: return (uint64_t)(int64_t)(int8_t)v;
    case SNQL_TYPE_INT16: return (uint64_t)(int64_t)(int16_t)v;
    case SNQL_TYPE_INT32: return (uint64_t)(int64_t)(int32_t)v;
    default: return v;
    }
}

double snql_as_double(const struct snql_column *c, size_t row)
{
    size_t at = snql_at(c, row);
    if (snql_type_is_float(c->type))
        return c->f64[at];
    if (c->type.kind == SNQL_TYPE_DECIMAL || c->type.kind == SNQL_TYPE_DATETIME64)
        return (double)c->i64[at] / (double)snql_power_of_ten(c->type.precision);
    return snql_type_is_signed(c->type) ? (double)c->i64[at] : (double)c->u64[at];
}

int64_t snql_double_to_i64(double v)
{
    if (isnan(v))
        return 0;
    if (v >= 9223372036854775808.0)
        return INT64_MAX;
    return v < -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
}

/* ---- text to values ---- */

static bool text_to_integer(struct bytes text, struct snql_type type, uint64_t *ret)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t v;
    if (!bytes_to_u64(bytes_from(text, negative), &v))
        return false;
    bool is_signed = snql_type_is_signed(type);
    if (negative && (!is_signed || v > (uint64_t)INT64_MAX + 1) && v != 0)
        return false;
    if (!negative && is_signed && v > INT64_MAX)
        return false;
    *ret = negative ? 0 - v : v;
    return snql_wrap(*ret, type) == *ret;
}

static bool text_to_double(struct bytes text, double *ret)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    struct bytes digits = bytes_from(text, negative);
    if (bytes_equal_nocase(digits, BYTES("nan")))
        *ret = (double)NAN;
    else if (bytes_equal_nocase(digits, BYTES("inf")))
        *ret = negative ? -(double)INFINITY : (double)INFINITY;
    else
        return decimal_to_double(text, ret);
    return true;
}

static bool text_to_ticks(struct bytes text, unsigned precision, int64_t *ret)
{
    struct snql_time_text t;
    if (!snql_time_text_parse(text, &t) && !snql_time_text_parse_epoch(text, &t))
        return false;
    int64_t unit = snql_power_of_ten(precision);
    int64_t fraction = precision <= 9 ? t.nanoseconds / snql_power_of_ten(9 - precision) : 0;
    int64_t seconds = t.seconds - t.offset_seconds;
    return !__builtin_mul_overflow(seconds, unit, ret) &&
           !__builtin_add_overflow(*ret, fraction, ret);
}

static bool text_to_time(struct bytes text, struct snql_type type, uint64_t *ret)
{
    int64_t ticks;
    if (type.kind == SNQL_TYPE_DATETIME64) {
        if (!text_to_ticks(text, type.precision, &ticks))
            return false;
        *ret = (uint64_t)ticks;
        return true;
    }
    if (!text_to_ticks(text, 0, &ticks) || ticks < 0)
        return false;
    *ret = (uint64_t)(type.kind == SNQL_TYPE_DATE ? ticks / 86400 : ticks);
    return snql_wrap(*ret, type) == *ret;
}

enum err snql_text_to(struct bytes text, struct snql_type type, struct arena *arena,
                      struct snql_column *ret)
{
    uint64_t *number = ARENA_NEW(arena, uint64_t);
    struct uuid *id = ARENA_NEW(arena, struct uuid);
    struct bytes *copy = ARENA_NEW(arena, struct bytes);
    if (number == NULL || id == NULL || copy == NULL)
        return arena_error(arena);
    *ret = (struct snql_column){.type = snql_type_bare(type), .rows = 1, .u64 = number};
    if (type.kind == SNQL_TYPE_STRING) {
        *copy = text;
        ret->text = copy;
        return ERR_OK;
    }
    if (type.kind == SNQL_TYPE_UUID) {
        ret->uuid = id;
        return uuid_parse(text, id) ? ERR_OK : ERR_NOTFOUND;
    }
    bool ok = false;
    double d;
    if (snql_type_is_time(type)) {
        ok = text_to_time(text, type, number);
    } else if (snql_type_is_float(type) || type.kind == SNQL_TYPE_DECIMAL) {
        ok = text_to_double(text, &d);
        if (ok && type.kind == SNQL_TYPE_DECIMAL)
            *number = (uint64_t)snql_double_to_i64(d * (double)snql_power_of_ten(type.precision));
        else if (ok)
            memcpy(number, &d, sizeof(d));
    } else if (snql_type_is_integer(type)) {
        ok = text_to_integer(text, type, number);
    }
    return ok ? ERR_OK : ERR_NOTFOUND;
}

/* ---- to a type that holds it ---- */

/* Ticks of a time, or of a number of seconds, as a finer time counts them. */
static int64_t to_ticks(const struct snql_column *c, size_t at, struct snql_type type)
{
    int64_t unit = snql_power_of_ten(type.precision);
    int64_t v = c->i64[at];
    if (snql_type_is_float(c->type))
        return snql_double_to_i64(c->f64[at] * (double)unit);
    if (c->type.kind == SNQL_TYPE_DATETIME64) {
        if (c->type.precision > type.precision)
            return v / snql_power_of_ten((unsigned)c->type.precision - type.precision);
        unit = snql_power_of_ten((unsigned)type.precision - c->type.precision);
    } else if (c->type.kind == SNQL_TYPE_DATE) {
        v *= 86400;
    } else if (!snql_type_is_signed(c->type) && c->u64[at] > INT64_MAX) {
        return INT64_MAX;
    }
    int64_t ticks;
    if (__builtin_mul_overflow(v, unit, &ticks))
        return v < 0 ? INT64_MIN : INT64_MAX;
    return ticks;
}

static enum err widen_values(const struct snql_column *c, struct arena *arena,
                             struct snql_column *ret)
{
    size_t count = c->constant ? 1 : c->rows;
    uint64_t *out = ARENA_ARRAY(arena, count + 1, uint64_t);
    if (out == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < count; i++) {
        if (snql_type_is_float(ret->type)) {
            double d = snql_as_double(c, i);
            memcpy(&out[i], &d, sizeof(d));
        } else if (ret->type.kind == SNQL_TYPE_DATETIME64) {
            out[i] = (uint64_t)to_ticks(c, i, ret->type);
        } else if (ret->type.kind == SNQL_TYPE_DATETIME && c->type.kind == SNQL_TYPE_DATE) {
            out[i] = c->u64[i] * 86400;
        } else {
            out[i] = c->u64[i];
        }
    }
    ret->u64 = out;
    return ERR_OK;
}

/* A column of NULLs. */
static enum err all_null(const struct snql_column *c, struct arena *arena, struct snql_column *ret)
{
    size_t count = c->constant ? 1 : c->rows;
    size_t width = snql_column_width(ret->type);
    uint8_t *nulls = ARENA_ARRAY(arena, count + 1, uint8_t);
    uint8_t *zeros = arena_array(arena, count + 1, width == 0 ? 1 : width, 8);
    if (nulls == NULL || zeros == NULL)
        return arena_error(arena);
    memset(nulls, 1, count + 1);
    memset(zeros, 0, (count + 1) * width);
    ret->nulls = nulls;
    ret->state = zeros;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
enum err snql_widen(const struct snql_column *c, struct snql_type type, struct arena *arena,
                    struct snql_column *ret)
{
    struct snql_column from = *c;
    *ret = from;
    ret->type = type;
    bool nested = type.kind == SNQL_TYPE_ARRAY || type.kind == SNQL_TYPE_TUPLE;
    if (from.type.kind == SNQL_TYPE_NOTHING && nested) { /* there is no NULL of these */
        TRY(snql_column_default(type, arena, ret));
        ret->constant = true;
        ret->rows = from.rows;
        return ERR_OK;
    }
    if (from.type.kind == SNQL_TYPE_NOTHING && type.kind != SNQL_TYPE_NOTHING)
        return all_null(&from, arena, ret);
    if (nested) {
        struct snql_column *elements = ARENA_ARRAY(arena, type.count + 1, struct snql_column);
        if (elements == NULL)
            return arena_error(arena);
        for (uint32_t i = 0; i < type.count; i++)
            TRY(snql_widen(&from.elements[i], type.elements[i], arena, &elements[i]));
        ret->elements = elements;
        return ERR_OK;
    }
    bool same = from.type.kind == type.kind && from.type.precision == type.precision;
    bool integers = snql_type_is_integer(from.type) && snql_type_is_integer(type);
    if (same || integers || snql_column_width(type) != 8)
        return ERR_OK;
    return widen_values(&from, arena, ret);
}

/* ---- text of values ---- */

static void put_time_text(const struct snql_column *c, size_t at, struct buffer *out)
{
    int64_t seconds = c->i64[at];
    int64_t fraction = 0;
    if (c->type.kind == SNQL_TYPE_DATETIME64) {
        int64_t unit = snql_power_of_ten(c->type.precision);
        fraction = seconds % unit;
        seconds = seconds / unit - (fraction < 0);
        fraction += fraction < 0 ? unit : 0;
    }
    if (c->type.kind == SNQL_TYPE_DATE) {
        struct civil d = civil_from_days((int64_t)c->u64[at]);
        buffer_printf(out, "%04" PRId64 "-%02u-%02u", d.year, d.month, d.day);
        return;
    }
    snql_put_moment(out, seconds, ' ');
    if (c->type.kind == SNQL_TYPE_DATETIME64 && c->type.precision > 0)
        buffer_printf(out, ".%0*" PRId64, (int)c->type.precision, fraction);
}

static void put_quoted(struct bytes text, struct buffer *out)
{
    buffer_put(out, BYTES("'"));
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\')
            buffer_put(out, BYTES("\\"));
        buffer_put_u8(out, text.data[i]);
    }
    buffer_put(out, BYTES("'"));
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static void put_text(const struct snql_column *c, size_t row, bool quoted, struct buffer *out)
{
    size_t at = snql_at(c, row);
    if (snql_is_null(c, row)) {
        buffer_put(out, BYTES("NULL"));
        return;
    }
    char digits[DECIMAL_TEXT_SIZE];
    char id[UUID_HYPHENS_SIZE + 1];
    struct snql_type t = c->type;
    bool quotes = quoted && (snql_type_is_time(t) || t.kind == SNQL_TYPE_UUID);
    if (quotes)
        buffer_put(out, BYTES("'"));
    if (snql_type_is_float(t)) {
        double v = c->f64[at];
        if (isnan(v))
            buffer_put(out, BYTES("nan"));
        else if (isinf(v))
            buffer_put(out, v < 0 ? BYTES("-inf") : BYTES("inf"));
        else
            buffer_put(out, bytes_of(digits, decimal_print_double(v, digits)));
    } else if (snql_type_is_time(t)) {
        put_time_text(c, at, out);
    } else if (t.kind == SNQL_TYPE_DECIMAL) {
        buffer_put(out, bytes_of(digits, decimal_print_double(snql_as_double(c, row), digits)));
    } else if (t.kind == SNQL_TYPE_BOOL) {
        buffer_put(out, c->u64[at] != 0 ? BYTES("true") : BYTES("false"));
    } else if (t.kind == SNQL_TYPE_STRING) {
        if (quoted)
            put_quoted(c->text[at], out);
        else
            buffer_put(out, c->text[at]);
    } else if (t.kind == SNQL_TYPE_UUID) {
        uuid_print_hyphens(c->uuid[at], id);
        buffer_printf(out, "%s", id);
    } else if (t.kind == SNQL_TYPE_ARRAY) {
        uint32_t from;
        uint32_t end;
        snql_array_bounds(c, row, &from, &end);
        buffer_put(out, BYTES("["));
        for (uint32_t i = from; i < end; i++) {
            if (i > from)
                buffer_put(out, BYTES(","));
            put_text(&c->elements[0], i, true, out);
        }
        buffer_put(out, BYTES("]"));
    } else if (t.kind == SNQL_TYPE_TUPLE) {
        buffer_put(out, BYTES("("));
        for (uint32_t i = 0; i < t.count; i++) {
            if (i > 0)
                buffer_put(out, BYTES(","));
            put_text(&c->elements[i], at, true, out);
        }
        buffer_put(out, BYTES(")"));
    } else if (snql_type_is_signed(t) || t.kind == SNQL_TYPE_INTERVAL) {
        buffer_printf(out, "%" PRId64, c->i64[at]);
    } else {
        buffer_printf(out, "%" PRIu64, c->u64[at]);
    }
    if (quotes)
        buffer_put(out, BYTES("'"));
}

void snql_print_text(const struct snql_column *c, size_t row, struct buffer *out)
{
    put_text(c, row, false, out);
}

/* ---- toString, toTypeName ---- */

static enum err bind_to_string(struct snql_call *c, struct snql_error *error)
{
    (void)error;
    c->type = snql_type_of(SNQL_TYPE_STRING);
    return ERR_OK;
}

static enum err eval_to_string(const struct snql_call *c, const struct snql_column *args,
                               const struct snql_frame *frame, struct snql_column *ret)
{
    (void)c;
    if (args[0].type.kind == SNQL_TYPE_STRING) {
        *ret = args[0];
        return ERR_OK;
    }
    struct bytes *out = SNQL_ROOM(frame, struct bytes);
    struct buffer text;
    if (out == NULL)
        return arena_error(frame->arena);
    buffer_init(&text, MIB(16), frame->arena->account);
    enum err rc = ERR_OK;
    for (size_t row = 0; row < frame->rows && rc == ERR_OK; row++) {
        buffer_clear(&text);
        if (!snql_skips(frame, row))
            snql_print_text(&args[0], row, &text);
        out[row] = arena_copy(frame->arena, buffer_bytes(&text));
        rc = text.failed != ERR_OK   ? text.failed
             : out[row].data == NULL ? arena_error(frame->arena)
                                     : ERR_OK;
    }
    buffer_close(&text);
    ret->text = out;
    return rc;
}

static enum err eval_type_name(const struct snql_call *c, const struct snql_column *args,
                               const struct snql_frame *frame, struct snql_column *ret)
{
    (void)args;
    struct bytes *out = ARENA_NEW(frame->arena, struct bytes);
    struct buffer text;
    if (out == NULL)
        return arena_error(frame->arena);
    buffer_init(&text, 4096, NULL);
    snql_type_print(c->types[0], &text);
    *out = arena_copy(frame->arena, buffer_bytes(&text));
    buffer_close(&text);
    ret->text = out;
    ret->constant = true;
    return out->data == NULL ? arena_error(frame->arena) : ERR_OK;
}

/* ---- to numbers, ids ---- */

/* What becomes of a text that is none: an error, zero, or NULL. The kind it becomes is the variant
 * below 64. */
#define OR_ZERO          64
#define OR_NULL          128
#define KIND_OF(variant) ((enum snql_kind)((variant)&63))

static enum err bind_to_number(struct snql_call *c, struct snql_error *error)
{
    struct snql_type from = c->types[0];
    unsigned variant = c->function->variant;
    c->type = snql_type_of(KIND_OF(variant));
    bool text = from.kind == SNQL_TYPE_STRING;
    bool value = snql_type_is_number(from) || snql_type_is_time(from);
    if ((variant & (OR_ZERO | OR_NULL)) != 0 && !text)
        return snql_refuse_type(c, 0, "text", error);
    if (!text && (!value || c->type.kind == SNQL_TYPE_UUID) && from.kind != c->type.kind)
        return snql_refuse_type(c, 0, "a number, a time or text", error);
    c->type.nullable = from.nullable || (variant & OR_NULL) != 0;
    return ERR_OK;
}

static uint64_t number_to(const struct snql_column *c, size_t row, struct snql_type type)
{
    size_t at = snql_at(c, row);
    double d;
    uint64_t bits;
    if (snql_type_is_float(type)) {
        d = snql_as_double(c, row);
        memcpy(&bits, &d, sizeof(bits));
        return bits;
    }
    if (snql_type_is_float(c->type)) {
        d = trunc(c->f64[at]);
        return snql_wrap(d >= 9223372036854775808.0 && d < 18446744073709551616.0
                             ? (uint64_t)d
                             : (uint64_t)snql_double_to_i64(d),
                         type);
    }
    if (c->type.kind == SNQL_TYPE_DATETIME64 || c->type.kind == SNQL_TYPE_DECIMAL)
        return snql_wrap((uint64_t)(c->i64[at] / snql_power_of_ten(c->type.precision)), type);
    if (type.kind == SNQL_TYPE_BOOL)
        return c->u64[at] != 0;
    return snql_wrap(c->u64[at], type);
}

static enum err refuse_text(const struct snql_call *c, struct bytes text,
                            const struct snql_frame *frame)
{
    return snql_refuse_code(frame->error, SNQL_CODE_CANNOT_PARSE_TEXT, "%.*s cannot read '%.*s'",
                            (int)c->function->name.len, (const char *)c->function->name.data,
                            (int)bytes_first(text, 100).len, (const char *)text.data);
}

static enum err eval_to_number(const struct snql_call *c, const struct snql_column *args,
                               const struct snql_frame *frame, struct snql_column *ret)
{
    size_t width = snql_column_width(c->type);
    uint8_t *out = arena_array(frame->arena, frame->rows + 1, width, 8);
    uint8_t *nulls = SNQL_ROOM(frame, uint8_t);
    if (out == NULL || nulls == NULL)
        return arena_error(frame->arena);
    memset(out, 0, (frame->rows + 1) * width);
    for (size_t row = 0; row < frame->rows; row++) {
        nulls[row] = snql_is_null(&args[0], row);
        if (nulls[row])
            continue;
        if (args[0].type.kind == c->type.kind && width != 8) {
            memcpy(out + row * width,
                   (const uint8_t *)args[0].state + snql_at(&args[0], row) * width, width);
            continue;
        }
        if (args[0].type.kind != SNQL_TYPE_STRING) {
            uint64_t v = number_to(&args[0], row, c->type);
            memcpy(out + row * width, &v, sizeof(v));
            continue;
        }
        struct bytes text = args[0].text[snql_at(&args[0], row)];
        struct snql_column value;
        enum err rc = snql_text_to(text, c->type, frame->arena, &value);
        if (rc == ERR_OK)
            memcpy(out + row * width, value.state, width);
        else if (rc != ERR_NOTFOUND)
            return rc;
        else if ((c->function->variant & OR_NULL) != 0)
            nulls[row] = 1;
        else if ((c->function->variant & OR_ZERO) == 0)
            return refuse_text(c, text, frame);
    }
    ret->state = out;
    ret->nulls = c->type.nullable ? nulls : NULL;
    return ERR_OK;
}

#define TO(name, kind)                                                                           \
    {BYTES("to" name), 1, 1, SNQL_TAKES_NULL, SNQL_TYPE_##kind, bind_to_number, eval_to_number}, \
        {BYTES("to" name "OrZero"),                                                              \
         1,                                                                                      \
         1,                                                                                      \
         SNQL_TAKES_NULL,                                                                        \
         SNQL_TYPE_##kind | OR_ZERO,                                                             \
         bind_to_number,                                                                         \
         eval_to_number},                                                                        \
    {                                                                                            \
        BYTES("to" name "OrNull"), 1, 1, SNQL_TAKES_NULL, SNQL_TYPE_##kind | OR_NULL,            \
            bind_to_number, eval_to_number                                                       \
    }

static const struct snql_function functions[] = {
    {BYTES("toString"), 1, 1, 0, 0, bind_to_string, eval_to_string},
    {BYTES("toTypeName"), 1, 1, SNQL_TAKES_NULL | SNQL_OWN_TYPE | SNQL_TAKES_STATE, 0,
     bind_to_string, eval_type_name},
    TO("UInt8", UINT8),
    TO("UInt16", UINT16),
    TO("UInt32", UINT32),
    TO("UInt64", UINT64),
    TO("Int8", INT8),
    TO("Int16", INT16),
    TO("Int32", INT32),
    TO("Int64", INT64),
    TO("Float64", FLOAT64),
    TO("UUID", UUID),
};

const struct snql_function_list snql_convert_functions = {functions,
                                                          sizeof(functions) / sizeof(functions[0])};
