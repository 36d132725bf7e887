/* snql_exec.h - a resolved query over a relation, a batch of rows at a time.
 *
 *   rows -> ARRAY JOIN -> WHERE -> groups and aggregates -> HAVING -> ORDER BY -> LIMIT BY -> LIMIT
 *
 * Without groups, rows that cannot be among the answer any more are dropped as it goes on, so memory
 * follows the answer; with them it follows the number of groups. Both count against the arena's
 * account.
 *
 * Owns:    the answer is in the arena.
 * Errors:  refusals with their type and code (engine/snql_error.h): 47, 184, 215 here, others from
 *          expressions and aggregates; 241 when memory does not suffice, 159 past the deadline;
 *          ERR_CANCELED.
 */
#ifndef HEARTH_ENGINE_SNQL_EXEC_H
#define HEARTH_ENGINE_SNQL_EXEC_H

#include <stdatomic.h>

#include "engine/snql_relation.h"

struct snql_budget {
    int64_t deadline_ns;         /* steady clock; 0: none */
    const atomic_bool *canceled; /* NULL: never */
};

/* Whether the work may go on: ERR_CANCELED, or a refusal with code 159. `rows`: for its text. */
enum err snql_budget_check(const struct snql_budget *b, uint64_t rows,
                           struct snql_error *error) MUST_CHECK;

struct snql_result {
    size_t column_count;
    const struct snql_relation_column *names;
    const struct snql_column *columns; /* rows in their final order */
    size_t rows;
    bool has_totals;
    const struct snql_column *totals; /* one row each */
    uint64_t rows_read;
    uint64_t batches_read;
    uint64_t
        bytes_read; /* of the columns of these rows; a text counts as its place, not its length */
};

/* `arena` lives as long as the result. */
enum err snql_execute(const struct snql_query *q, const struct snql_relation *relation,
                      const struct snql_plan *plan, const struct snql_budget *budget,
                      struct arena *arena, struct snql_result *ret,
                      struct snql_error *error) MUST_CHECK;

#endif
