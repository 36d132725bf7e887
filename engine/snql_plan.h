/* snql_plan.h - where the rows of a condition can be: what the indexes are asked before rows are
 * looked at.
 *
 * A WHERE becomes a union of boxes: each names projects, profilers and ids that a row must be of, and
 * bounds for its times. Every row that the condition holds for lies in a box; a row in a box need not
 * fulfil it, so the condition is still asked of each. `project AND profiler AND times` is one box, an
 * OR of hundreds of these as many: the range shape of docs/architecture.md. What a condition says
 * otherwise is no reason to make boxes smaller.
 *
 * Owns:   boxes are in the arena.
 * Units:  microseconds since 1970 UTC, bounds inclusive.
 * Cost:   O(nodes * boxes), at most SNQL_BOX_MAX boxes: beyond, a condition narrows nothing.
 */
#ifndef HEARTH_ENGINE_SNQL_PLAN_H
#define HEARTH_ENGINE_SNQL_PLAN_H

#include "base/arena.h"
#include "engine/snql_schema.h"

struct snql_bounds {
    int64_t min;
    int64_t max; /* below min: no row can be there */
};

struct snql_numbers {
    const uint64_t *values; /* ascending, each once; NULL: any will do */
    size_t count;
};
struct snql_ids {
    const struct uuid *values; /* ascending, each once; NULL: any will do */
    size_t count;
};

struct snql_box {
    struct snql_numbers projects;
    struct snql_ids profilers; /* of profile_chunks */
    struct snql_ids ids;       /* chunk_id, profile_id */
    struct snql_bounds start;  /* start_timestamp, received, timestamp */
    struct snql_bounds end;    /* end_timestamp, of profile_chunks */
};

struct snql_plan {
    const struct snql_box *boxes; /* none: no row fulfils it */
    size_t count;
};

/* `where` is resolved (engine/snql_check.h); NULL: every row. Only memory fails. */
enum err snql_plan_make(const struct snql_expr *where, const struct snql_table_schema *schema,
                        struct arena *arena, struct snql_plan *ret) MUST_CHECK;

#endif
