/* snql_ast.h - a SnQL query as a tree: what the parser makes, the checker rewrites, the planner
 * reads.
 *
 * Everything lives in the arena given to the parser; texts are views into the query's text or the
 * arena. Infix operators are calls of their functions (plus, equals, and, isNull...), so that one
 * kind of node says it all.
 *
 * After snql_check (engine/snql_check.h) a tree is *resolved*: aliases are replaced by what they
 * stand for, `output` lists the columns of the answer, and literals have the types they are
 * compared as (a text that is a UUID or a time is one).
 */
#ifndef HEARTH_ENGINE_SNQL_AST_H
#define HEARTH_ENGINE_SNQL_AST_H

#include "base/bytes.h"
#include "base/uuid.h"

enum snql_literal_kind {
    SNQL_NULL,
    SNQL_BOOL,     /* .unsigned_value 0 or 1 */
    SNQL_UNSIGNED, /* an integer >= 0 */
    SNQL_SIGNED,   /* an integer < 0 */
    SNQL_FLOAT,
    SNQL_TEXT,
    SNQL_DATETIME, /* made by the checker from toDateTime('...'): .unsigned_value unix seconds, type
                      DateTime('Universal') */
    SNQL_ID        /* made by the checker from a text compared with an id column */
};

struct snql_literal {
    enum snql_literal_kind kind;
    uint64_t unsigned_value;
    int64_t signed_value;
    double float_value;
    struct bytes text; /* without quotes, escapes undone */
    struct uuid id;
};

enum snql_expr_kind {
    SNQL_LITERAL,
    SNQL_COLUMN,    /* a column by name; in a lambda's body perhaps its argument: SNQL_ARGUMENT */
    SNQL_SUBSCRIPT, /* name[key]: no table has one; refused by name */
    SNQL_CALL,
    SNQL_LAMBDA,  /* names -> args[0] */
    SNQL_ARGUMENT /* `x` within a lambda */
};

struct snql_expr {
    enum snql_expr_kind kind;
    uint32_t offset; /* where its source text begins */
    uint32_t length; /* and how long it is, without its alias */
    uint32_t depth;  /* 1: nothing below it */
    uint32_t size;   /* nodes, those that it shares with others once for each time */
    bool has_alias;
    struct bytes alias;

    struct snql_literal literal;
    struct bytes name; /* of a column, function or argument */
    struct bytes key;  /* of a subscript */

    /* of a call: f(parameters)(args), or f(args) with no parameters */
    bool has_parameters;
    struct snql_expr **parameters;
    size_t parameter_count;
    struct snql_expr **args; /* of a lambda: its body */
    size_t arg_count;

    const struct bytes *argument_names; /* of a lambda */
    size_t argument_count;
};

/* Internal functions that a query cannot name; the checker makes calls of them. */
#define SNQL_TIME_BUCKET "$time" /* $time(received, granularity): column `time` of profiles */

enum snql_source_kind { SNQL_ENTITY, SNQL_STORAGE, SNQL_SUBQUERY };

struct snql_order {
    struct snql_expr *expr;
    bool descending;
};

/* A column of the answer. */
struct snql_output {
    struct bytes name;
    struct snql_expr *expr;
    bool grouped; /* from BY */
};

struct snql_query {
    enum snql_source_kind source_kind;
    struct bytes source; /* name */
    uint32_t source_offset;
    bool has_sample;
    double sample;
    struct snql_query *inner; /* of SNQL_SUBQUERY */

    struct snql_expr **select;
    size_t select_count;
    bool has_by;
    struct snql_expr **by;
    size_t by_count;
    struct snql_expr **array_join; /* columns */
    size_t array_join_count;
    struct snql_expr *where;  /* NULL: none */
    struct snql_expr *having; /* NULL: none */
    struct snql_order *order;
    size_t order_count;
    bool has_limit_by;
    uint64_t limit_by;
    struct snql_expr **limit_by_columns;
    size_t limit_by_count;
    bool has_limit;
    int64_t limit;
    bool has_offset;
    int64_t offset;
    bool has_granularity;
    int64_t granularity;
    bool totals;

    /* made by the checker */
    struct snql_output *output;
    size_t output_count;
    const struct snql_table_schema *schema; /* NULL for sub-queries; engine/snql_schema.h */
};

/* Whether two expressions mean the same: kinds, names, literals and everything below; where they
 * stand and what they are called (alias) does not matter. O(nodes). */
bool snql_expr_equal(const struct snql_expr *a, const struct snql_expr *b);

#endif
