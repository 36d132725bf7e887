/* snql_ast.c - comparing the expressions of a query. */
#include "engine/snql_ast.h"

static bool literals_equal(const struct snql_literal *a, const struct snql_literal *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case SNQL_NULL: return true;
    case SNQL_BOOL:
    case SNQL_UNSIGNED:
    case SNQL_DATETIME: return a->unsigned_value == b->unsigned_value;
    case SNQL_SIGNED: return a->signed_value == b->signed_value;
    case SNQL_FLOAT: return a->float_value == b->float_value;
    case SNQL_TEXT: return bytes_equal(a->text, b->text);
    case SNQL_ID: return uuid_equal(a->id, b->id);
    }
    return false;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static bool lists_equal(struct snql_expr *const *a, size_t a_count, struct snql_expr *const *b,
                        size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!snql_expr_equal(a[i], b[i]))
            return false;
    return true;
}

/* As deep as the parser lets expressions be. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
bool snql_expr_equal(const struct snql_expr *a, const struct snql_expr *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case SNQL_LITERAL: return literals_equal(&a->literal, &b->literal);
    case SNQL_COLUMN:
    case SNQL_ARGUMENT: return bytes_equal(a->name, b->name);
    case SNQL_SUBSCRIPT: return bytes_equal(a->name, b->name) && bytes_equal(a->key, b->key);
    case SNQL_CALL:
        return bytes_equal(a->name, b->name) && a->has_parameters == b->has_parameters &&
               lists_equal(a->parameters, a->parameter_count, b->parameters, b->parameter_count) &&
               lists_equal(a->args, a->arg_count, b->args, b->arg_count);
    case SNQL_LAMBDA:
        if (a->argument_count != b->argument_count)
            return false;
        for (size_t i = 0; i < a->argument_count; i++)
            if (!bytes_equal(a->argument_names[i], b->argument_names[i]))
                return false;
        return lists_equal(a->args, a->arg_count, b->args, b->arg_count);
    }
    return false;
}
