/* snql_column.h - values of one type, one a row: what expressions take and give.
 *
 * How values lie in memory, by kind of the type:
 *   Bool, UIntN, Date (days), DateTime (seconds)      u64, zero-extended
 *   IntN, DateTime64 (ticks), Decimal, Interval       i64, sign-extended
 *   Float32, Float64                                  f64
 *   String                                            text: views of memory that outlives the column
 *   UUID                                              uuid
 *   Array       ends[row] is where its elements end in elements[0]; it begins where the row before
 *               ends
 *   Tuple       elements[i], one column per element, each of `rows` rows
 *   State       nothing here: engine/snql_aggregate.h reads what the table gives as `state`
 *   Nothing     nothing: all NULL
 * An integer is always in the range of its type.
 *
 * `nulls[row]` is 1 where the value is NULL (what the array of values says there is 0, "" or nil),
 * NULL when no row is. A *constant* column has its one value in row 0, whatever `rows` says.
 *
 * Owns: nothing; arrays live in an arena.
 */
#ifndef HEARTH_ENGINE_SNQL_COLUMN_H
#define HEARTH_ENGINE_SNQL_COLUMN_H

#include "base/uuid.h"
#include "engine/snql_type.h"

struct snql_column {
    struct snql_type type;
    size_t rows;
    bool constant;
    const uint8_t *nulls;
    union {
        const uint64_t *u64;
        const int64_t *i64;
        const double *f64;
        const struct bytes *text;
        const struct uuid *uuid;
        const uint32_t *ends;
        const void *state;
    };
    const struct snql_column *elements; /* of Array: 1; of Tuple: type.count */
};

/* Where row `row` is in the arrays. */
static inline size_t snql_at(const struct snql_column *c, size_t row)
{
    return c->constant ? 0 : row;
}
static inline bool snql_is_null(const struct snql_column *c, size_t row)
{
    return c->type.kind == SNQL_TYPE_NOTHING ||
           (c->nulls != NULL && c->nulls[snql_at(c, row)] != 0);
}
/* The elements of an array: [*ret_from, *ret_end) of elements[0]. */
static inline void snql_array_bounds(const struct snql_column *c, size_t row, uint32_t *ret_from,
                                     uint32_t *ret_end)
{
    size_t at = snql_at(c, row);
    *ret_from = at == 0 ? 0 : c->ends[at - 1];
    *ret_end = c->ends[at];
}

/* <0, 0, >0: values of two rows of columns of the same kind of type, as ORDER BY has them
 * ascending: NULL last, NaN before it, after all numbers. Equal ones group together. */
int snql_column_compare(const struct snql_column *a, size_t a_row, const struct snql_column *b,
                        size_t b_row);
/* NULL or NaN: last whichever way it goes. */
bool snql_comes_last(const struct snql_column *c, size_t row);
/* Equal values have equal hashes, also those of a constant and a full column. */
uint64_t snql_column_hash(const struct snql_column *c, size_t row, uint64_t seed);
/* Rows `rows[0..count)` of a column, in that order, as a new full column (a constant stays one). */
enum err snql_column_gather(const struct snql_column *from, const uint32_t *rows, size_t count,
                            struct arena *arena, struct snql_column *ret) MUST_CHECK;
/* One row: NULL when the type may be that, else 0, "", nil, an empty array. */
enum err snql_column_default(struct snql_type type, struct arena *arena,
                             struct snql_column *ret) MUST_CHECK;
/* No rows. */
enum err snql_column_empty(struct snql_type type, struct arena *arena,
                           struct snql_column *ret) MUST_CHECK;
/* A constant as a column with its value in every row; any other as it is. */
enum err snql_column_spread(const struct snql_column *c, size_t rows, struct arena *arena,
                            struct snql_column *ret) MUST_CHECK;
/* Bytes of one value in the arrays; 0: there is no array. */
size_t snql_column_width(struct snql_type t);
/* All rows of several columns of one type, one behind another. */
enum err snql_column_concat(const struct snql_column *const *columns, size_t count,
                            struct arena *arena, struct snql_column *ret) MUST_CHECK;
/* Seconds since 1970 as date and time of day, `between` them. */
void snql_put_moment(struct buffer *out, int64_t seconds, char between);
/* One value as JSON, as the query API shows it (docs/snql.md): times, ids, NaN, nested lists. */
void snql_column_print_json(const struct snql_column *c, size_t row, struct buffer *out);

#endif
