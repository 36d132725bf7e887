/* snql_relation.h - what a query reads from: named columns, given a batch of rows at a time. A table
 * of the store (engine/snql_tables.h), the answer of a sub-query, or a test's.
 */
#ifndef HEARTH_ENGINE_SNQL_RELATION_H
#define HEARTH_ENGINE_SNQL_RELATION_H

#include "engine/snql_column.h"
#include "engine/snql_plan.h"

struct snql_relation_column {
    struct bytes name;
    struct snql_type type;
};

struct snql_relation {
    void *self;
    size_t column_count;
    const struct snql_relation_column *columns;
    /* Once, before the first batch. `wanted[i]`: column i will be looked at. */
    enum err (*open)(void *self, const bool *wanted, const struct snql_plan *plan,
                     struct snql_error *error);
    /* The next rows, at most SNQL_BATCH_ROWS; *ret_rows 0: there are no more. Columns that are not
     * wanted are left alone. What they point to lives in `arena` or as long as the relation. */
    enum err (*next)(void *self, struct arena *arena, struct snql_column *columns, size_t *ret_rows,
                     struct snql_error *error);
};

#endif
