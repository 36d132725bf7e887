/* snql_expr.h - expressions: bound to columns and functions once, evaluated a batch of rows at a
 * time.
 *
 * Binding gives every node its type and finds what is wrong whatever the rows are: unknown
 * functions (46), wrong numbers of arguments (42), types (43, 53, 386), columns (47). Calls on
 * constants are computed while binding, so that they may fail then too. Aggregates are not
 * functions here: who groups binds their arguments, and gives their results as columns.
 *
 * Owns:    bound expressions live in the arena they were bound in, results in that of the batch.
 * Threads: bound expressions do not change: any. A batch has one.
 * Cost:    O(rows) a node.
 */
#ifndef HEARTH_ENGINE_SNQL_EXPR_H
#define HEARTH_ENGINE_SNQL_EXPR_H

#include "engine/snql_ast.h"
#include "engine/snql_column.h"

/* What an expression may refer to. `find` says number and type of what a node stands for, when that
 * is an input of its own and not to be computed: a column by name, a whole sub-expression that was
 * grouped by, an aggregate. Asked of every node, outermost first. */
struct snql_inputs {
    void *self;
    /* ERR_OK; ERR_NOTFOUND: it is none; others refuse the query. */
    enum err (*find)(void *self, const struct snql_expr *e, uint32_t *ret_input,
                     struct snql_type *ret_type, struct snql_error *error);
};

struct snql_bound; /* a bound expression */

enum err snql_bind(const struct snql_expr *e, const struct snql_inputs *inputs, struct arena *arena,
                   const struct snql_bound **ret, struct snql_error *error) MUST_CHECK;
struct snql_type snql_bound_type(const struct snql_bound *b);
/* Its value when it is the same for all rows (a constant column of one row); NULL: it is not. */
const struct snql_column *snql_bound_constant(const struct snql_bound *b);

/* Rows whose inputs are there. */
struct snql_batch {
    size_t rows;
    const struct snql_column *inputs; /* as `find` numbered them */
    struct arena *arena;              /* results; dropped with the batch */
};
enum err snql_eval(const struct snql_bound *b, const struct snql_batch *batch,
                   struct snql_column *ret, struct snql_error *error) MUST_CHECK;
/* Rows where a condition is non-zero and not NULL: their numbers, ascending. */
enum err snql_eval_filter(const struct snql_bound *b, const struct snql_batch *batch,
                          uint32_t **ret_rows, size_t *ret_count,
                          struct snql_error *error) MUST_CHECK;

/* Whether a name is that of a function a query may call (not an aggregate). */
bool snql_is_function(struct bytes name);

#endif
