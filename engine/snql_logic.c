/* snql_logic.c - AND, OR, NOT, NULL, and choosing between values. */
#include "engine/snql_function.h"

/* ---- three-valued logic ---- */

enum truth { IS_FALSE, IS_TRUE, IS_UNKNOWN };

static bool is_condition(struct snql_type t)
{
    return snql_type_is_integer(t) || snql_type_is_float(t) || t.kind == SNQL_TYPE_NOTHING;
}

static enum err check_conditions(struct snql_call *c, struct snql_error *error)
{
    for (size_t i = 0; i < c->count; i++)
        if (!is_condition(c->types[i]))
            return snql_refuse_type(c, i, "a condition", error);
    return ERR_OK;
}

static enum truth truth_of(const struct snql_column *c, size_t row)
{
    if (snql_is_null(c, row))
        return IS_UNKNOWN;
    size_t at = snql_at(c, row);
    bool set = snql_type_is_float(c->type) ? c->f64[at] != 0 : c->u64[at] != 0;
    return set ? IS_TRUE : IS_FALSE;
}

static enum err bind_junction(struct snql_call *c, struct snql_error *error)
{
    TRY(check_conditions(c, error));
    c->type = snql_type_of(SNQL_TYPE_UINT8);
    for (size_t i = 0; i < c->count; i++)
        c->type.nullable |= c->types[i].nullable;
    return ERR_OK;
}

/* Of conditions that are never NULL: what nearly all are. */
static void junction_plain(const struct snql_column *args, size_t count, bool is_and, size_t rows,
                           uint64_t *out)
{
    for (size_t row = 0; row < rows; row++)
        out[row] = is_and;
    for (size_t i = 0; i < count; i++) {
        for (size_t row = 0; row < rows; row++) {
            bool set = truth_of(&args[i], row) == IS_TRUE;
            out[row] = is_and ? out[row] & set : out[row] | set;
        }
    }
}

/* variant 1: and, 0: or. What decides is FALSE for one and TRUE for the other. */
static enum err eval_junction(const struct snql_call *c, const struct snql_column *args,
                              const struct snql_frame *frame, struct snql_column *ret)
{
    bool is_and = c->function->variant == 1;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    ret->u64 = out;
    if (!c->type.nullable) {
        junction_plain(args, c->count, is_and, frame->rows, out);
        return ERR_OK;
    }
    uint8_t *nulls = SNQL_ROOM(frame, uint8_t);
    if (nulls == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        bool decided = false;
        bool unknown = false;
        for (size_t i = 0; i < c->count; i++) {
            enum truth t = truth_of(&args[i], row);
            decided |= t == (is_and ? IS_FALSE : IS_TRUE);
            unknown |= t == IS_UNKNOWN;
        }
        nulls[row] = unknown && !decided;
        out[row] = nulls[row] ? 0 : decided != is_and;
    }
    ret->nulls = nulls;
    return ERR_OK;
}

static enum err bind_not(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of(SNQL_TYPE_UINT8);
    return check_conditions(c, error);
}

static enum err eval_not(const struct snql_call *c, const struct snql_column *args,
                         const struct snql_frame *frame, struct snql_column *ret)
{
    (void)c;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++)
        out[row] = truth_of(&args[0], row) == IS_FALSE;
    ret->u64 = out;
    return ERR_OK;
}

/* ---- NULL ---- */

static enum err bind_is_null(struct snql_call *c, struct snql_error *error)
{
    (void)error;
    c->type = snql_type_of(SNQL_TYPE_UINT8);
    return ERR_OK;
}

static enum err eval_is_null(const struct snql_call *c, const struct snql_column *args,
                             const struct snql_frame *frame, struct snql_column *ret)
{
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    bool wanted = c->function->variant == 1;
    for (size_t row = 0; row < frame->rows; row++)
        out[row] = snql_is_null(&args[0], row) == wanted;
    ret->u64 = out;
    return ERR_OK;
}

/* toNullable (1), assumeNotNull (0): the values stay, what the type says changes. */
static enum err bind_nullable(struct snql_call *c, struct snql_error *error)
{
    (void)error;
    c->type = c->types[0];
    bool nested = c->type.kind == SNQL_TYPE_ARRAY || c->type.kind == SNQL_TYPE_TUPLE;
    c->type.nullable = c->function->variant == 1 && !nested;
    return ERR_OK;
}

static enum err eval_nullable(const struct snql_call *c, const struct snql_column *args,
                              const struct snql_frame *frame, struct snql_column *ret)
{
    (void)frame;
    *ret = args[0];
    if (c->function->variant == 0)
        ret->nulls = NULL;
    return ERR_OK;
}

/* ---- one of several ---- */

/* Row by row the value of branch which[row], all in the type of the result. */
static enum err choose(const struct snql_call *c, const struct snql_column *const *branches,
                       size_t count, const uint32_t *which, const struct snql_frame *frame,
                       struct snql_column *ret)
{
    struct snql_column *wide = ARENA_ARRAY(frame->arena, count, struct snql_column);
    const struct snql_column **parts = ARENA_ARRAY(frame->arena, count, const struct snql_column *);
    uint32_t *rows = SNQL_ROOM(frame, uint32_t);
    if (wide == NULL || parts == NULL || rows == NULL)
        return arena_error(frame->arena);
    for (size_t i = 0; i < count; i++) {
        TRY(snql_widen(branches[i], c->type, frame->arena, &wide[i]));
        wide[i].rows = frame->rows;
        parts[i] = &wide[i];
    }
    for (size_t row = 0; row < frame->rows; row++)
        rows[row] = (uint32_t)(which[row] * frame->rows + row);
    struct snql_column all;
    TRY(snql_column_concat(parts, count, frame->arena, &all));
    all.constant = false;
    if (count == 1)
        TRY(snql_column_spread(&wide[0], frame->rows, frame->arena, &all));
    return snql_column_gather(&all, rows, frame->rows, frame->arena, ret);
}

/* multiIf(c1, a1, c2, a2, ..., b); if(c, a, b) is the shortest of them. */
static enum err bind_if(struct snql_call *c, struct snql_error *error)
{
    if (c->count % 2 == 0)
        return snql_refuse_code(error, SNQL_CODE_ARGUMENT_COUNT,
                                "multiIf takes pairs of condition and value, and one value more");
    struct snql_type *types = ARENA_ARRAY(c->arena, c->count, struct snql_type);
    if (types == NULL)
        return arena_error(c->arena);
    size_t count = 0;
    for (size_t i = 0; i + 1 < c->count; i += 2) {
        if (!is_condition(c->types[i]))
            return snql_refuse_type(c, i, "a condition", error);
        types[count++] = snql_type_plain(c->types[i + 1]);
    }
    types[count++] = snql_type_plain(c->types[c->count - 1]);
    return snql_type_common(types, count, c->arena, &c->type, error);
}

static enum err eval_if(const struct snql_call *c, const struct snql_column *args,
                        const struct snql_frame *frame, struct snql_column *ret)
{
    size_t count = c->count / 2 + 1;
    const struct snql_column **branches =
        ARENA_ARRAY(frame->arena, count, const struct snql_column *);
    uint32_t *which = SNQL_ROOM(frame, uint32_t);
    if (branches == NULL || which == NULL)
        return arena_error(frame->arena);
    for (size_t i = 0; i + 1 < count; i++)
        branches[i] = &args[2 * i + 1];
    branches[count - 1] = &args[c->count - 1];
    for (size_t row = 0; row < frame->rows; row++) {
        uint32_t i = 0;
        while (i + 1 < count && truth_of(&args[2 * (size_t)i], row) != IS_TRUE)
            i++;
        which[row] = i;
    }
    return choose(c, branches, count, which, frame, ret);
}

/* ifNull, coalesce: the first that is not NULL. */
static enum err bind_coalesce(struct snql_call *c, struct snql_error *error)
{
    bool nullable = true;
    for (size_t i = 0; i < c->count; i++)
        nullable &= c->types[i].nullable;
    TRY(snql_type_common(c->types, c->count, c->arena, &c->type, error));
    c->type.nullable = nullable;
    return ERR_OK;
}

static enum err eval_coalesce(const struct snql_call *c, const struct snql_column *args,
                              const struct snql_frame *frame, struct snql_column *ret)
{
    const struct snql_column **branches =
        ARENA_ARRAY(frame->arena, c->count, const struct snql_column *);
    uint32_t *which = SNQL_ROOM(frame, uint32_t);
    if (branches == NULL || which == NULL)
        return arena_error(frame->arena);
    for (size_t i = 0; i < c->count; i++)
        branches[i] = &args[i];
    for (size_t row = 0; row < frame->rows; row++) {
        uint32_t i = 0;
        while (i + 1 < c->count && snql_is_null(&args[i], row))
            i++;
        which[row] = i;
    }
    TRY(choose(c, branches, c->count, which, frame, ret));
    if (!c->type.nullable)
        ret->nulls = NULL;
    return ERR_OK;
}

/* least (0), greatest (1) */
static enum err bind_extreme(struct snql_call *c, struct snql_error *error)
{
    return snql_type_common(c->types, c->count, c->arena, &c->type, error);
}

static enum err eval_extreme(const struct snql_call *c, const struct snql_column *args,
                             const struct snql_frame *frame, struct snql_column *ret)
{
    const struct snql_column **branches =
        ARENA_ARRAY(frame->arena, c->count, const struct snql_column *);
    struct snql_column *wide = ARENA_ARRAY(frame->arena, c->count, struct snql_column);
    uint32_t *which = SNQL_ROOM(frame, uint32_t);
    if (branches == NULL || which == NULL || wide == NULL)
        return arena_error(frame->arena);
    for (size_t i = 0; i < c->count; i++) {
        TRY(snql_widen(&args[i], snql_type_bare(c->type), frame->arena, &wide[i]));
        wide[i].nulls = NULL;
        branches[i] = &wide[i];
    }
    for (size_t row = 0; row < frame->rows; row++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < c->count; i++) {
            int order = snql_column_compare(&wide[i], row, &wide[best], row);
            if (c->function->variant == 1 ? order > 0 : order < 0)
                best = i;
        }
        which[row] = best;
    }
    return choose(c, branches, c->count, which, frame, ret);
}

static const struct snql_function functions[] = {
    {BYTES("and"), 2, SNQL_ANY_COUNT, SNQL_TAKES_NULL, 1, bind_junction, eval_junction},
    {BYTES("or"), 2, SNQL_ANY_COUNT, SNQL_TAKES_NULL, 0, bind_junction, eval_junction},
    {BYTES("not"), 1, 1, 0, 0, bind_not, eval_not},
    {BYTES("isNull"), 1, 1, SNQL_TAKES_NULL | SNQL_OWN_TYPE, 1, bind_is_null, eval_is_null},
    {BYTES("isNotNull"), 1, 1, SNQL_TAKES_NULL | SNQL_OWN_TYPE, 0, bind_is_null, eval_is_null},
    {BYTES("toNullable"), 1, 1, SNQL_TAKES_NULL, 1, bind_nullable, eval_nullable},
    {BYTES("assumeNotNull"), 1, 1, SNQL_TAKES_NULL, 0, bind_nullable, eval_nullable},
    {BYTES("if"), 3, 3, SNQL_TAKES_NULL | SNQL_OWN_TYPE, 0, bind_if, eval_if},
    {BYTES("multiIf"), 3, SNQL_ANY_COUNT, SNQL_TAKES_NULL | SNQL_OWN_TYPE, 0, bind_if, eval_if},
    {BYTES("ifNull"), 2, 2, SNQL_TAKES_NULL, 0, bind_coalesce, eval_coalesce},
    {BYTES("coalesce"), 1, SNQL_ANY_COUNT, SNQL_TAKES_NULL, 0, bind_coalesce, eval_coalesce},
    {BYTES("COALESCE"), 1, SNQL_ANY_COUNT, SNQL_TAKES_NULL, 0, bind_coalesce, eval_coalesce},
    {BYTES("least"), 2, SNQL_ANY_COUNT, 0, 0, bind_extreme, eval_extreme},
    {BYTES("greatest"), 2, SNQL_ANY_COUNT, 0, 1, bind_extreme, eval_extreme},
};

const struct snql_function_list snql_logic_functions = {functions,
                                                        sizeof(functions) / sizeof(functions[0])};
