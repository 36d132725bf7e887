/* snql_type.h - the types of SnQL values, with ClickHouse's names and rules: what `meta` shows and
 * what functions choose by.
 *
 * A type is a small value; what it points to (types of elements, names) lives in an arena or is
 * static. Rules and widths: docs/snql.md, which took them from ClickHouse.
 */
#ifndef HEARTH_ENGINE_SNQL_TYPE_H
#define HEARTH_ENGINE_SNQL_TYPE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "engine/snql_error.h"

enum snql_kind {
    SNQL_TYPE_NOTHING, /* of NULL and of the elements of array() */
    SNQL_TYPE_BOOL,
    SNQL_TYPE_UINT8,
    SNQL_TYPE_UINT16,
    SNQL_TYPE_UINT32,
    SNQL_TYPE_UINT64,
    SNQL_TYPE_INT8,
    SNQL_TYPE_INT16,
    SNQL_TYPE_INT32,
    SNQL_TYPE_INT64,
    SNQL_TYPE_FLOAT32,
    SNQL_TYPE_FLOAT64,
    SNQL_TYPE_DECIMAL, /* Decimal(18, precision): seconds with a fraction */
    SNQL_TYPE_STRING,
    SNQL_TYPE_UUID,
    SNQL_TYPE_DATE,
    SNQL_TYPE_DATETIME,
    SNQL_TYPE_DATETIME64,
    SNQL_TYPE_INTERVAL, /* of toIntervalX; only an argument of plus and minus */
    SNQL_TYPE_ARRAY,
    SNQL_TYPE_TUPLE,
    SNQL_TYPE_STATE /* AggregateFunction(...) of table functions */
};

enum snql_zone { SNQL_ZONE_NONE, SNQL_ZONE_UTC, SNQL_ZONE_UNIVERSAL };

/* The states of table functions, by column. */
enum snql_state {
    SNQL_STATE_COUNT,
    SNQL_STATE_PERCENTILES,
    SNQL_STATE_MIN,
    SNQL_STATE_MAX,
    SNQL_STATE_AVG,
    SNQL_STATE_SUM,
    SNQL_STATE_WORST,
    SNQL_STATE_WORST_V2,
    SNQL_STATE_EXAMPLES,
    SNQL_STATE_EXAMPLES_V2
};

enum snql_interval {
    SNQL_INTERVAL_SECOND,
    SNQL_INTERVAL_MINUTE,
    SNQL_INTERVAL_HOUR,
    SNQL_INTERVAL_DAY,
    SNQL_INTERVAL_WEEK,
    SNQL_INTERVAL_MONTH,
    SNQL_INTERVAL_QUARTER,
    SNQL_INTERVAL_YEAR
};

struct snql_type {
    enum snql_kind kind;
    bool nullable;
    bool low_cardinality;
    uint8_t precision; /* DATETIME64: digits of the fraction; DECIMAL: its scale */
    enum snql_zone zone;
    enum snql_state state;       /* STATE */
    enum snql_interval interval; /* INTERVAL */
    uint32_t count;              /* ARRAY 1, TUPLE its elements */
    const struct snql_type *elements;
    const struct bytes *names; /* TUPLE with named elements; NULL: none */
};

/* A type without anything inside. */
static inline struct snql_type snql_type_of(enum snql_kind kind)
{
    return (struct snql_type){.kind = kind};
}
/* Its name, letter for letter as ClickHouse writes it; failure sticks in the buffer. */
void snql_type_print(struct snql_type t, struct buffer *out);
bool snql_type_equal(struct snql_type a, struct snql_type b);
bool snql_type_is_integer(struct snql_type t); /* Bool too */
bool snql_type_is_signed(struct snql_type t);  /* IntN */
bool snql_type_is_number(struct snql_type t);  /* integers, floats, decimal */
bool snql_type_is_time(struct snql_type t);    /* Date, DateTime, DateTime64 */
bool snql_type_is_float(struct snql_type t);
unsigned snql_type_bits(struct snql_type t); /* of an integer */
struct snql_type snql_type_of_integer(unsigned bits, bool is_signed);
/* Ticks of a second of so many digits; at most 18. */
int64_t snql_power_of_ten(unsigned digits);
/* Without LowCardinality; without Nullable too. */
struct snql_type snql_type_plain(struct snql_type t);
struct snql_type snql_type_bare(struct snql_type t);
/* The type both fit in (of if, coalesce, array, least...); code 386 when there is none. */
enum err snql_type_common(const struct snql_type *types, size_t count, struct arena *arena,
                          struct snql_type *ret, struct snql_error *error) MUST_CHECK;

#endif
