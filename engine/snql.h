/* snql.h - the door to SnQL: a query's text to its answer.
 *
 *   parse -> check -> plan -> execute
 *
 * Owns:    the answer lives in the arena given; texts in it live as long as the snapshot.
 * Threads: one query, one thread.
 * Errors:  whatever is refused is in `error`, with the type and code of the query API.
 * Cost:    parsing and planning O(text); then the rows that the plan leaves to look at.
 */
#ifndef HEARTH_ENGINE_SNQL_H
#define HEARTH_ENGINE_SNQL_H

#include "engine/snql_exec.h"
#include "storage/store.h"

struct snql_request {
    struct bytes text;
    bool dry_run; /* parse and check alone */
    struct snql_budget budget;
};

struct snql_answer {
    struct snql_result result;
    struct bytes plan; /* what was done, for people */
};

/* Where tables come from: engine/snql_tables.h, or a test's. */
struct snql_catalog {
    void *self;
    /* `ret` lives as long as the arena; long work of its own looks at the budget. */
    enum err (*table)(void *self, const struct snql_table_schema *schema,
                      const struct snql_budget *budget, struct arena *arena,
                      struct snql_relation *ret, struct snql_error *error);
};

enum err snql_run(const struct snql_request *request, const struct snql_catalog *catalog,
                  struct arena *arena, struct snql_answer *ret,
                  struct snql_error *error) MUST_CHECK;

#endif
