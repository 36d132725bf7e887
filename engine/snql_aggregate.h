/* snql_aggregate.h - aggregate functions over groups of rows, with ClickHouse's results.
 *
 * A call is bound to the types of its arguments once, then keeps one state a group: add feeds rows
 * to the groups they belong to, finish gives one value a group. Combinators (-If, -Merge, -MergeIf,
 * -Array, -OrNull, -OrDefault) are part of the name. NULL arguments are skipped.
 *
 * Owns:    states live in the arena given to create (so they count against its account), and copies
 *          of texts that they keep: arguments are gone after add.
 * Threads: one at a time.
 * Errors:  42, 43, 12 and 46 when binding; ERR_BUSY, ERR_LIMIT, ERR_NOMEM from memory.
 */
#ifndef HEARTH_ENGINE_SNQL_AGGREGATE_H
#define HEARTH_ENGINE_SNQL_AGGREGATE_H

#include "engine/snql_column.h"

/* Whether a name is that of an aggregate, combinators included. */
bool snql_is_aggregate(struct bytes name);

struct snql_aggregate; /* a bound call */

/* `parameters`: constants of one row each, from f(parameters)(arguments). `constants[i]` is the value
 * of argument i when it is constant, else NULL. */
enum err snql_aggregate_bind(struct bytes name, const struct snql_column *parameters,
                             size_t parameter_count, bool has_parameters,
                             const struct snql_type *arguments,
                             const struct snql_column *const *constants, size_t argument_count,
                             struct arena *arena, const struct snql_aggregate **ret,
                             struct snql_error *error) MUST_CHECK;
struct snql_type snql_aggregate_type(const struct snql_aggregate *a);

struct snql_states; /* of all groups of one call */

enum err snql_states_create(const struct snql_aggregate *a, struct arena *arena,
                            struct snql_states **ret) MUST_CHECK;
/* Row i of the arguments belongs to group groups[i]; groups are numbered from 0 without gaps, and
 * come to be when first seen. */
enum err snql_states_add(struct snql_states *s, const struct snql_column *arguments, size_t rows,
                         const uint32_t *groups, uint32_t group_count,
                         struct snql_error *error) MUST_CHECK;
/* Another's groups into these: its group i is group map[i] here, or none (UINT32_MAX). For TOTALS, and
 * for threads. */
enum err snql_states_merge(struct snql_states *s, const struct snql_states *from,
                           const uint32_t *map, uint32_t group_count) MUST_CHECK;
/* One value for each of `group_count` groups, also those that got no row. */
enum err snql_states_finish(const struct snql_states *s, uint32_t group_count, struct arena *arena,
                            struct snql_column *ret, struct snql_error *error) MUST_CHECK;

struct snql_function_origin {
    struct uuid profile_id;
    struct bytes thread_id;
    bool has_start;
    bool has_end;
    int64_t start_us;
    int64_t end_us;
    bool version_1; /* materialization_version 1: feeds worst_v2 and examples_v2 as well */
};

/* What stands in a column of type STATE: a row of table functions, an hour of one function. All its
 * columns of states point to the same array of these, one a row. */
struct snql_function_state {
    const double *durations;
    uint32_t count;
    /* each run of durations with one origin: it ends at ends[i], and came from origins[i] */
    uint32_t origin_count;
    const uint32_t *ends;
    const struct snql_function_origin *origins;
};

#endif
