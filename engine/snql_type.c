/* snql_type.c - names of types, and what fits into what. */
#include "engine/snql_type.h"

static const char *const names[] = {
    [SNQL_TYPE_NOTHING] = "Nothing",   [SNQL_TYPE_BOOL] = "Bool",
    [SNQL_TYPE_UINT8] = "UInt8",       [SNQL_TYPE_UINT16] = "UInt16",
    [SNQL_TYPE_UINT32] = "UInt32",     [SNQL_TYPE_UINT64] = "UInt64",
    [SNQL_TYPE_INT8] = "Int8",         [SNQL_TYPE_INT16] = "Int16",
    [SNQL_TYPE_INT32] = "Int32",       [SNQL_TYPE_INT64] = "Int64",
    [SNQL_TYPE_FLOAT32] = "Float32",   [SNQL_TYPE_FLOAT64] = "Float64",
    [SNQL_TYPE_DECIMAL] = "Decimal",   [SNQL_TYPE_STRING] = "String",
    [SNQL_TYPE_UUID] = "UUID",         [SNQL_TYPE_DATE] = "Date",
    [SNQL_TYPE_DATETIME] = "DateTime", [SNQL_TYPE_DATETIME64] = "DateTime64",
    [SNQL_TYPE_ARRAY] = "Array",       [SNQL_TYPE_TUPLE] = "Tuple",
};

static const char *const intervals[] = {
    [SNQL_INTERVAL_SECOND] = "IntervalSecond",   [SNQL_INTERVAL_MINUTE] = "IntervalMinute",
    [SNQL_INTERVAL_HOUR] = "IntervalHour",       [SNQL_INTERVAL_DAY] = "IntervalDay",
    [SNQL_INTERVAL_WEEK] = "IntervalWeek",       [SNQL_INTERVAL_MONTH] = "IntervalMonth",
    [SNQL_INTERVAL_QUARTER] = "IntervalQuarter", [SNQL_INTERVAL_YEAR] = "IntervalYear",
};

static const char *const states[] = {
    [SNQL_STATE_COUNT] = "count, Float64",
    [SNQL_STATE_PERCENTILES] = "quantiles(0.5, 0.75, 0.9, 0.95, 0.99), Float64",
    [SNQL_STATE_MIN] = "min, Float64",
    [SNQL_STATE_MAX] = "max, Float64",
    [SNQL_STATE_AVG] = "avg, Float64",
    [SNQL_STATE_SUM] = "sum, Float64",
    [SNQL_STATE_WORST] = "argMax, UUID, Float64",
    [SNQL_STATE_WORST_V2] =
        "argMax, Tuple(UUID, String, Nullable(DateTime64(6)), Nullable(DateTime64(6))), Float64",
    [SNQL_STATE_EXAMPLES] = "groupUniqArray(5), UUID",
    [SNQL_STATE_EXAMPLES_V2] =
        "groupUniqArray(5), Tuple(UUID, String, Nullable(DateTime64(6)), Nullable(DateTime64(6)))",
};

static const char *zone_name(enum snql_zone zone)
{
    return zone == SNQL_ZONE_UTC ? "'UTC'" : "'Universal'";
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static void print_elements(struct snql_type t, struct buffer *out)
{
    buffer_put(out, BYTES("("));
    for (uint32_t i = 0; i < t.count; i++) {
        if (i > 0)
            buffer_put(out, BYTES(", "));
        if (t.names != NULL) {
            buffer_put(out, t.names[i]);
            buffer_put(out, BYTES(" "));
        }
        snql_type_print(t.elements[i], out);
    }
    buffer_put(out, BYTES(")"));
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static void print_plain(struct snql_type t, struct buffer *out)
{
    if (t.kind == SNQL_TYPE_INTERVAL) {
        buffer_printf(out, "%s", intervals[t.interval]);
        return;
    }
    if (t.kind == SNQL_TYPE_STATE) {
        buffer_printf(out, "AggregateFunction(%s)", states[t.state]);
        return;
    }
    buffer_printf(out, "%s", names[t.kind]);
    switch (t.kind) {
    case SNQL_TYPE_DECIMAL: buffer_printf(out, "(18, %u)", t.precision); break;
    case SNQL_TYPE_DATETIME:
        if (t.zone != SNQL_ZONE_NONE)
            buffer_printf(out, "(%s)", zone_name(t.zone));
        break;
    case SNQL_TYPE_DATETIME64:
        if (t.zone != SNQL_ZONE_NONE)
            buffer_printf(out, "(%u, %s)", t.precision, zone_name(t.zone));
        else
            buffer_printf(out, "(%u)", t.precision);
        break;
    case SNQL_TYPE_ARRAY:
    case SNQL_TYPE_TUPLE: print_elements(t, out); break;
    default: break;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
void snql_type_print(struct snql_type t, struct buffer *out)
{
    if (t.low_cardinality)
        buffer_put(out, BYTES("LowCardinality("));
    if (t.nullable)
        buffer_put(out, BYTES("Nullable("));
    print_plain(t, out);
    if (t.nullable)
        buffer_put(out, BYTES(")"));
    if (t.low_cardinality)
        buffer_put(out, BYTES(")"));
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
bool snql_type_equal(struct snql_type a, struct snql_type b)
{
    if (a.kind != b.kind || a.nullable != b.nullable || a.low_cardinality != b.low_cardinality ||
        a.precision != b.precision || a.zone != b.zone || a.state != b.state ||
        a.interval != b.interval || a.count != b.count)
        return false;
    for (uint32_t i = 0; i < a.count; i++)
        if (!snql_type_equal(a.elements[i], b.elements[i]))
            return false;
    return true;
}

bool snql_type_is_integer(struct snql_type t)
{
    return t.kind >= SNQL_TYPE_BOOL && t.kind <= SNQL_TYPE_INT64;
}

bool snql_type_is_signed(struct snql_type t)
{
    return t.kind >= SNQL_TYPE_INT8 && t.kind <= SNQL_TYPE_INT64;
}

bool snql_type_is_float(struct snql_type t)
{
    return t.kind == SNQL_TYPE_FLOAT32 || t.kind == SNQL_TYPE_FLOAT64;
}

bool snql_type_is_number(struct snql_type t)
{
    return snql_type_is_integer(t) || snql_type_is_float(t) || t.kind == SNQL_TYPE_DECIMAL;
}

bool snql_type_is_time(struct snql_type t)
{
    return t.kind == SNQL_TYPE_DATE || t.kind == SNQL_TYPE_DATETIME ||
           t.kind == SNQL_TYPE_DATETIME64;
}

unsigned snql_type_bits(struct snql_type t)
{
    switch (t.kind) {
    case SNQL_TYPE_UINT16:
    case SNQL_TYPE_INT16: return 16;
    case SNQL_TYPE_UINT32:
    case SNQL_TYPE_INT32: return 32;
    case SNQL_TYPE_UINT64:
    case SNQL_TYPE_INT64: return 64;
    default: return 8;
    }
}

struct snql_type snql_type_of_integer(unsigned bits, bool is_signed)
{
    enum snql_kind first = is_signed ? SNQL_TYPE_INT8 : SNQL_TYPE_UINT8;
    unsigned step = bits <= 8 ? 0 : bits <= 16 ? 1 : bits <= 32 ? 2 : 3;
    return snql_type_of((enum snql_kind)(first + step));
}

int64_t snql_power_of_ten(unsigned digits)
{
    int64_t v = 1;
    while (digits-- > 0)
        v *= 10;
    return v;
}

struct snql_type snql_type_plain(struct snql_type t)
{
    t.low_cardinality = false;
    return t;
}

struct snql_type snql_type_bare(struct snql_type t)
{
    t.low_cardinality = false;
    t.nullable = false;
    return t;
}

/* ---- common types ---- */

static enum err refuse(struct snql_error *error, struct snql_type a, struct snql_type b)
{
    struct buffer text;
    buffer_init(&text, 512, NULL);
    buffer_put(&text, BYTES("there is no common type of "));
    snql_type_print(a, &text);
    buffer_put(&text, BYTES(" and "));
    snql_type_print(b, &text);
    enum err rc =
        snql_refuse_code(error, SNQL_CODE_NO_COMMON_TYPE, "%.*s", (int)buffer_bytes(&text).len,
                         (const char *)buffer_bytes(&text).data);
    buffer_close(&text);
    return rc;
}

/* Signed when either is, and wide enough for both; 0: there is none. */
static unsigned common_bits(struct snql_type a, struct snql_type b, bool *ret_signed)
{
    bool a_signed = snql_type_is_signed(a);
    bool b_signed = snql_type_is_signed(b);
    unsigned a_bits = snql_type_bits(a);
    unsigned b_bits = snql_type_bits(b);
    unsigned most = a_bits > b_bits ? a_bits : b_bits;
    *ret_signed = a_signed || b_signed;
    if (a_signed == b_signed)
        return most;
    unsigned unsigned_bits = a_signed ? b_bits : a_bits;
    unsigned signed_bits = a_signed ? a_bits : b_bits;
    if (signed_bits > unsigned_bits)
        return signed_bits;
    return unsigned_bits >= 64 ? 0 : unsigned_bits * 2;
}

static enum err common_number(struct snql_type a, struct snql_type b, struct snql_type *ret,
                              struct snql_error *error)
{
    if (!snql_type_is_integer(a) || !snql_type_is_integer(b)) {
        *ret = snql_type_of(SNQL_TYPE_FLOAT64);
        return ERR_OK;
    }
    bool is_signed;
    unsigned bits = common_bits(a, b, &is_signed);
    if (bits == 0)
        return refuse(error, a, b);
    *ret = snql_type_of_integer(bits, is_signed);
    return ERR_OK;
}

static enum err common_time(struct snql_type a, struct snql_type b, struct snql_type *ret)
{
    *ret = a.kind >= b.kind ? a : b; /* Date, DateTime, DateTime64 */
    if (a.kind == b.kind && a.precision < b.precision)
        *ret = b;
    if (a.kind == b.kind && a.zone == SNQL_ZONE_NONE)
        ret->zone = a.zone;
    return ERR_OK;
}

static enum err common_of_two(struct snql_type a, struct snql_type b, struct arena *arena,
                              struct snql_type *ret, struct snql_error *error);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err common_nested(struct snql_type a, struct snql_type b, struct arena *arena,
                              struct snql_type *ret, struct snql_error *error)
{
    if (a.count != b.count)
        return refuse(error, a, b);
    struct snql_type *elements = ARENA_ARRAY(arena, a.count + 1, struct snql_type);
    if (elements == NULL)
        return arena_error(arena);
    for (uint32_t i = 0; i < a.count; i++)
        TRY(common_of_two(a.elements[i], b.elements[i], arena, &elements[i], error));
    *ret = a;
    ret->elements = elements;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err common_of_two(struct snql_type a, struct snql_type b, struct arena *arena,
                              struct snql_type *ret, struct snql_error *error)
{
    bool nullable = a.nullable || b.nullable;
    bool low = a.low_cardinality && b.low_cardinality;
    a = snql_type_bare(a);
    b = snql_type_bare(b);
    if (a.kind == SNQL_TYPE_NOTHING || b.kind == SNQL_TYPE_NOTHING) {
        *ret = a.kind == SNQL_TYPE_NOTHING ? b : a;
    } else if (snql_type_equal(a, b)) {
        *ret = a;
    } else if (snql_type_is_number(a) && snql_type_is_number(b)) {
        TRY(common_number(a, b, ret, error));
    } else if (snql_type_is_time(a) && snql_type_is_time(b)) {
        TRY(common_time(a, b, ret));
    } else if (a.kind == b.kind && (a.kind == SNQL_TYPE_ARRAY || a.kind == SNQL_TYPE_TUPLE)) {
        TRY(common_nested(a, b, arena, ret, error));
    } else {
        return refuse(error, a, b);
    }
    ret->nullable = nullable && ret->kind != SNQL_TYPE_ARRAY && ret->kind != SNQL_TYPE_TUPLE;
    ret->low_cardinality = low;
    return ERR_OK;
}

enum err snql_type_common(const struct snql_type *types, size_t count, struct arena *arena,
                          struct snql_type *ret, struct snql_error *error)
{
    *ret = count == 0 ? snql_type_of(SNQL_TYPE_NOTHING) : types[0];
    for (size_t i = 1; i < count; i++)
        TRY(common_of_two(*ret, types[i], arena, ret, error));
    return ERR_OK;
}
