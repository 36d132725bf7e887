/* snql_exec.c - the stages of a query, one batch of rows after another. */
#include "engine/snql_exec.h"

#include <assert.h>
#include <math.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/sort.h"
#include "engine/snql_aggregate.h"
#include "engine/snql_expr.h"
#include "engine/snql_groups.h"

#define SCRATCH_MAX     MIB(256)        /* of one batch; the account ends it before */
#define KEPT_ROWS_EXTRA ((size_t)65536) /* rows that wait before those out of question go */

/* An array whose elements become rows of their own: arrayJoin(x), or the columns of ARRAY JOIN. */
struct expansion {
    const struct snql_expr *call;   /* arrayJoin(x); NULL: of ARRAY JOIN */
    const struct snql_bound *array; /* x */
};

struct aggregate_call {
    const struct snql_expr *call;
    const struct snql_bound **args;
    const struct snql_aggregate *bound;
    struct snql_states *states;
};

/* Values of rows that may be among the answer, batch by batch. */
struct kept {
    struct arena arena;
    struct snql_column **chunks; /* each of exec.value_count columns */
    size_t chunk_count;
    size_t chunk_room;
    size_t rows;
};

/* Rows on their way. */
struct live {
    size_t rows;
    struct snql_column *inputs;
    struct arena *arena;
};

struct exec {
    const struct snql_query *q;
    const struct snql_relation *relation;
    const struct snql_budget *budget;
    struct arena *arena;
    struct snql_error *error;

    /* rows: the relation's columns, then one input an expansion */
    size_t input_count;
    struct snql_type *types;
    bool *wanted;
    uint32_t *joined; /* columns of ARRAY JOIN */
    struct expansion *expansions;
    size_t expansion_count;
    const struct snql_bound *where;

    /* groups: the keys, then one input an aggregate */
    bool grouped;
    const struct snql_bound **keys;
    struct aggregate_call *aggregates;
    size_t aggregate_count;
    size_t aggregate_room;
    struct snql_groups *groups;

    /* what becomes of a row or group: columns of the answer, then what it is ordered by, then what
     * LIMIT BY goes by */
    const struct snql_bound **values;
    size_t value_count;
    const struct snql_bound *having;
    uint64_t skip;
    uint64_t take;

    struct kept kept;
    uint64_t rows_read;
    uint64_t batches_read;
    uint64_t bytes_read;
};

/* ---- looking through expressions ---- */

static bool is_array_join(const struct snql_expr *e)
{
    return e->kind == SNQL_CALL && bytes_equal(e->name, BYTES("arrayJoin"));
}

static bool is_aggregate_call(const struct snql_expr *e)
{
    return e->kind == SNQL_CALL && snql_is_aggregate(e->name);
}

/* Calls on_call for every call, outermost first, until one gives something else than ERR_OK. */
typedef enum err (*call_visitor)(struct exec *x, const struct snql_expr *call);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err each_call(struct exec *x, const struct snql_expr *e, call_visitor on_call)
{
    if (e == NULL)
        return ERR_OK;
    if (e->kind == SNQL_CALL)
        TRY(on_call(x, e));
    for (size_t i = 0; i < e->arg_count; i++)
        TRY(each_call(x, e->args[i], on_call));
    return ERR_OK;
}

/* Everything that is computed of groups, or of rows when there are none. */
static enum err each_value_call(struct exec *x, call_visitor on_call)
{
    const struct snql_query *q = x->q;
    for (size_t i = 0; i < q->output_count; i++)
        TRY(each_call(x, q->output[i].expr, on_call));
    TRY(each_call(x, q->having, on_call));
    for (size_t i = 0; i < q->order_count; i++)
        TRY(each_call(x, q->order[i].expr, on_call));
    for (size_t i = 0; i < q->limit_by_count; i++)
        TRY(each_call(x, q->limit_by_columns[i], on_call));
    return ERR_OK;
}

static enum err note_aggregate(struct exec *x, const struct snql_expr *call)
{
    if (is_aggregate_call(call))
        x->grouped = true;
    return ERR_OK;
}

static enum err refuse_aggregate(struct exec *x, const struct snql_expr *call)
{
    if (!is_aggregate_call(call))
        return ERR_OK;
    return snql_refuse_code(x->error, SNQL_CODE_ILLEGAL_AGGREGATION,
                            "aggregate function %.*s() is not allowed here",
                            (int)bytes_first(call->name, 64).len, (const char *)call->name.data);
}

static size_t find_expansion(const struct exec *x, const struct snql_expr *call)
{
    for (size_t i = 0; i < x->expansion_count; i++)
        if (x->expansions[i].call != NULL && snql_expr_equal(x->expansions[i].call, call))
            return i;
    return SIZE_MAX;
}

static enum err note_expansion(struct exec *x, const struct snql_expr *call)
{
    if (!is_array_join(call) || find_expansion(x, call) != SIZE_MAX)
        return ERR_OK;
    if (call->arg_count != 1)
        return snql_refuse_code(x->error, SNQL_CODE_ARGUMENT_COUNT,
                                "arrayJoin takes 1 argument, %zu are given", call->arg_count);
    struct expansion *grown = ARENA_ARRAY(x->arena, x->expansion_count + 1, struct expansion);
    if (grown == NULL)
        return arena_error(x->arena);
    if (x->expansion_count > 0)
        memcpy(grown, x->expansions, x->expansion_count * sizeof(*grown));
    grown[x->expansion_count++] = (struct expansion){.call = call};
    x->expansions = grown;
    return ERR_OK;
}

/* ---- what names stand for ---- */

static size_t find_column(const struct exec *x, struct bytes name)
{
    for (size_t i = 0; i < x->relation->column_count; i++)
        if (bytes_equal(x->relation->columns[i].name, name))
            return i;
    return SIZE_MAX;
}

static enum err refuse_unknown(struct exec *x, const struct snql_expr *e)
{
    bool subscript = e->kind == SNQL_SUBSCRIPT;
    return snql_refuse_code(x->error, SNQL_CODE_UNKNOWN_IDENTIFIER, "unknown column '%.*s%s%.*s%s'",
                            (int)bytes_first(e->name, 100).len, (const char *)e->name.data,
                            subscript ? "[" : "", (int)bytes_first(e->key, 100).len,
                            (const char *)e->key.data, subscript ? "]" : "");
}

/* Of a row. */
static enum err find_row_input(void *self, const struct snql_expr *e, uint32_t *ret_input,
                               struct snql_type *ret_type, struct snql_error *error)
{
    struct exec *x = self;
    (void)error;
    size_t at;
    if (e->kind == SNQL_COLUMN) {
        at = find_column(x, e->name);
        if (at == SIZE_MAX)
            return refuse_unknown(x, e);
        x->wanted[at] = true;
    } else if (e->kind == SNQL_SUBSCRIPT) {
        return refuse_unknown(x, e);
    } else if (is_aggregate_call(e)) {
        return refuse_aggregate(x, e);
    } else if (is_array_join(e) && (at = find_expansion(x, e)) != SIZE_MAX) {
        at += x->relation->column_count;
    } else {
        return ERR_NOTFOUND;
    }
    *ret_input = (uint32_t)at;
    *ret_type = x->types[at];
    return ERR_OK;
}

static enum err bind_row(struct exec *x, const struct snql_expr *e, const struct snql_bound **ret)
{
    struct snql_inputs inputs = {x, find_row_input};
    return snql_bind(e, &inputs, x->arena, ret, x->error);
}

static enum err bind_parameters(struct exec *x, const struct snql_expr *call,
                                struct snql_column **ret)
{
    struct snql_column *values =
        ARENA_ARRAY(x->arena, call->parameter_count + 1, struct snql_column);
    if (values == NULL)
        return arena_error(x->arena);
    for (size_t i = 0; i < call->parameter_count; i++) {
        const struct snql_bound *bound;
        TRY(bind_row(x, call->parameters[i], &bound));
        const struct snql_column *value = snql_bound_constant(bound);
        if (value == NULL)
            return snql_refuse_code(
                x->error, SNQL_CODE_ILLEGAL_ARGUMENT, "parameter %zu of %.*s is not a constant",
                i + 1, (int)bytes_first(call->name, 64).len, (const char *)call->name.data);
        values[i] = *value;
    }
    *ret = values;
    return ERR_OK;
}

static enum err bind_aggregate(struct exec *x, const struct snql_expr *call,
                               struct aggregate_call *ret)
{
    size_t count = call->arg_count;
    struct snql_column *parameters;
    TRY(bind_parameters(x, call, &parameters));
    const struct snql_bound **args = ARENA_ARRAY(x->arena, count + 1, const struct snql_bound *);
    struct snql_type *types = ARENA_ARRAY(x->arena, count + 1, struct snql_type);
    const struct snql_column **constants =
        ARENA_ARRAY(x->arena, count + 1, const struct snql_column *);
    if (args == NULL || types == NULL || constants == NULL)
        return arena_error(x->arena);
    for (size_t i = 0; i < count; i++) {
        TRY(bind_row(x, call->args[i], &args[i]));
        types[i] = snql_bound_type(args[i]);
        constants[i] = snql_bound_constant(args[i]);
    }
    *ret = (struct aggregate_call){.call = call, .args = args};
    TRY(snql_aggregate_bind(call->name, parameters, call->parameter_count, call->has_parameters,
                            types, constants, count, x->arena, &ret->bound, x->error));
    return snql_states_create(ret->bound, x->arena, &ret->states);
}

static enum err add_aggregate(struct exec *x, const struct snql_expr *call, size_t *ret)
{
    for (size_t i = 0; i < x->aggregate_count; i++) {
        if (snql_expr_equal(x->aggregates[i].call, call)) {
            *ret = i;
            return ERR_OK;
        }
    }
    if (x->aggregate_count == x->aggregate_room) {
        size_t room = x->aggregate_room == 0 ? 8 : x->aggregate_room * 2;
        struct aggregate_call *grown = ARENA_ARRAY(x->arena, room, struct aggregate_call);
        if (grown == NULL)
            return arena_error(x->arena);
        if (x->aggregate_count > 0)
            memcpy(grown, x->aggregates, x->aggregate_count * sizeof(*grown));
        x->aggregates = grown;
        x->aggregate_room = room;
    }
    TRY(bind_aggregate(x, call, &x->aggregates[x->aggregate_count]));
    *ret = x->aggregate_count++;
    return ERR_OK;
}

/* Of a group. */
static enum err find_group_input(void *self, const struct snql_expr *e, uint32_t *ret_input,
                                 struct snql_type *ret_type, struct snql_error *error)
{
    struct exec *x = self;
    for (size_t i = 0; i < x->q->by_count; i++) {
        if (snql_expr_equal(x->q->by[i], e)) {
            *ret_input = (uint32_t)i;
            *ret_type = snql_bound_type(x->keys[i]);
            return ERR_OK;
        }
    }
    if (is_aggregate_call(e)) {
        size_t at;
        TRY(add_aggregate(x, e, &at));
        *ret_input = (uint32_t)(x->q->by_count + at);
        *ret_type = snql_aggregate_type(x->aggregates[at].bound);
        return ERR_OK;
    }
    if (e->kind == SNQL_SUBSCRIPT ||
        (e->kind == SNQL_COLUMN && find_column(x, e->name) == SIZE_MAX))
        return refuse_unknown(x, e);
    if (e->kind == SNQL_COLUMN || is_array_join(e))
        return snql_refuse_code(error, SNQL_CODE_NOT_AN_AGGREGATE,
                                "'%.*s' is neither grouped by nor inside an aggregate function",
                                (int)bytes_first(e->name, 100).len, (const char *)e->name.data);
    return ERR_NOTFOUND;
}

/* ---- binding the query ---- */

static enum err bind_inputs(struct exec *x)
{
    const struct snql_query *q = x->q;
    size_t columns = x->relation->column_count;
    TRY(each_value_call(x, note_expansion));
    TRY(each_call(x, q->where, note_expansion));
    for (size_t i = 0; i < q->by_count; i++)
        TRY(each_call(x, q->by[i], note_expansion));
    x->input_count = columns + x->expansion_count;
    x->types = ARENA_ARRAY(x->arena, x->input_count + 1, struct snql_type);
    x->wanted = ARENA_ARRAY(x->arena, columns + 1, bool);
    x->joined = ARENA_ARRAY(x->arena, q->array_join_count + 1, uint32_t);
    if (x->types == NULL || x->wanted == NULL || x->joined == NULL)
        return arena_error(x->arena);
    for (size_t i = 0; i < columns; i++) {
        x->types[i] = x->relation->columns[i].type;
        x->wanted[i] = false;
    }
    for (size_t i = 0; i < q->array_join_count; i++) {
        size_t at = find_column(x, q->array_join[i]->name);
        if (q->array_join[i]->kind != SNQL_COLUMN || at == SIZE_MAX)
            return refuse_unknown(x, q->array_join[i]);
        if (x->types[at].kind != SNQL_TYPE_ARRAY)
            return snql_refuse_code(x->error, SNQL_CODE_TYPE_MISMATCH,
                                    "ARRAY JOIN needs an array, '%.*s' is none",
                                    (int)bytes_first(q->array_join[i]->name, 100).len,
                                    (const char *)q->array_join[i]->name.data);
        x->types[at] = x->types[at].elements[0];
        x->wanted[at] = true;
        x->joined[i] = (uint32_t)at;
    }
    for (size_t i = 0; i < x->expansion_count; i++) {
        TRY(bind_row(x, x->expansions[i].call->args[0], &x->expansions[i].array));
        struct snql_type type = snql_bound_type(x->expansions[i].array);
        if (type.kind != SNQL_TYPE_ARRAY)
            return snql_refuse_code(x->error, SNQL_CODE_ILLEGAL_ARGUMENT,
                                    "arrayJoin needs an array");
        x->types[columns + i] = type.elements[0];
    }
    return ERR_OK;
}

static enum err bind_values(struct exec *x)
{
    const struct snql_query *q = x->q;
    struct snql_inputs inputs = {x, x->grouped ? find_group_input : find_row_input};
    x->value_count = q->output_count + q->order_count + q->limit_by_count;
    x->values = ARENA_ARRAY(x->arena, x->value_count + 1, const struct snql_bound *);
    if (x->values == NULL)
        return arena_error(x->arena);
    size_t at = 0;
    for (size_t i = 0; i < q->output_count; i++, at++) {
        TRY(snql_bind(q->output[i].expr, &inputs, x->arena, &x->values[at], x->error));
        if (snql_bound_type(x->values[at]).kind == SNQL_TYPE_STATE)
            return snql_refuse_code(x->error, SNQL_CODE_ILLEGAL_ARGUMENT,
                                    "'%.*s' is the state of an aggregate: only its -Merge function "
                                    "can read it",
                                    (int)bytes_first(q->output[i].name, 100).len,
                                    (const char *)q->output[i].name.data);
    }
    for (size_t i = 0; i < q->order_count; i++, at++)
        TRY(snql_bind(q->order[i].expr, &inputs, x->arena, &x->values[at], x->error));
    for (size_t i = 0; i < q->limit_by_count; i++, at++)
        TRY(snql_bind(q->limit_by_columns[i], &inputs, x->arena, &x->values[at], x->error));
    if (q->having != NULL)
        TRY(snql_bind(q->having, &inputs, x->arena, &x->having, x->error));
    return ERR_OK;
}

static enum err bind_query(struct exec *x)
{
    const struct snql_query *q = x->q;
    TRY(bind_inputs(x));
    if (q->where != NULL) {
        TRY(each_call(x, q->where, refuse_aggregate));
        TRY(bind_row(x, q->where, &x->where));
    }
    x->grouped = q->has_by;
    TRY(each_value_call(x, note_aggregate));
    if (x->grouped) {
        x->keys = ARENA_ARRAY(x->arena, q->by_count + 1, const struct snql_bound *);
        if (x->keys == NULL)
            return arena_error(x->arena);
        for (size_t i = 0; i < q->by_count; i++)
            TRY(bind_row(x, q->by[i], &x->keys[i]));
        TRY(snql_groups_create(q->by_count, x->arena, &x->groups));
    }
    if (q->totals && !q->has_by)
        return snql_refuse_code(x->error, SNQL_CODE_NOT_AN_AGGREGATE, "TOTALS needs BY");
    TRY(bind_values(x));
    x->skip = q->has_offset ? (uint64_t)q->offset : 0;
    x->take = q->has_limit ? (uint64_t)q->limit : UINT64_MAX;
    return ERR_OK;
}

/* ---- rows ---- */

enum err snql_budget_check(const struct snql_budget *b, uint64_t rows, struct snql_error *error)
{
    if (b->canceled != NULL && atomic_load_explicit(b->canceled, memory_order_relaxed))
        return ERR_CANCELED;
    if (b->deadline_ns != 0 && clock_steady_ns() > b->deadline_ns)
        return snql_refuse_code(error, SNQL_CODE_TIMEOUT,
                                "the query took too long: %llu rows were read until then",
                                (unsigned long long)rows);
    return ERR_OK;
}

static struct snql_batch batch_of(const struct live *l)
{
    return (struct snql_batch){l->rows, l->inputs, l->arena};
}

static enum err gather_inputs(struct exec *x, struct live *l, size_t input_count,
                              const uint32_t *rows, size_t count)
{
    struct snql_column *inputs = ARENA_ARRAY(l->arena, x->input_count + 1, struct snql_column);
    if (inputs == NULL)
        return arena_error(l->arena);
    for (size_t i = 0; i < input_count; i++)
        if (i >= x->relation->column_count || x->wanted[i])
            TRY(snql_column_gather(&l->inputs[i], rows, count, l->arena, &inputs[i]));
    l->inputs = inputs;
    l->rows = count;
    return ERR_OK;
}

static uint32_t array_size(const struct snql_column *array, size_t row)
{
    uint32_t from;
    uint32_t end;
    snql_array_bounds(array, row, &from, &end);
    return end - from;
}

/* Every element of an array, row by row: whose row it is, and where it lies. */
static void list_elements(const struct snql_column *array, size_t rows, uint32_t *ret_rows,
                          uint32_t *ret_elements)
{
    size_t at = 0;
    for (size_t row = 0; row < rows; row++) {
        uint32_t from;
        uint32_t end;
        snql_array_bounds(array, row, &from, &end);
        for (uint32_t e = from; e < end; e++) {
            ret_rows[at] = (uint32_t)row;
            ret_elements[at++] = e;
        }
    }
}

/* Rows once for each element of the arrays in these inputs, which the elements then take the place
 * of; several arrays walk in step. */
static enum err expand(struct exec *x, struct live *l, size_t input_count, const uint32_t *places,
                       size_t place_count)
{
    size_t total = 0;
    for (size_t row = 0; row < l->rows; row++) {
        uint32_t size = array_size(&l->inputs[places[0]], row);
        for (size_t i = 1; i < place_count; i++)
            if (array_size(&l->inputs[places[i]], row) != size)
                return snql_refuse_code(x->error, SNQL_CODE_ILLEGAL_ARGUMENT,
                                        "arrays of ARRAY JOIN have different sizes");
        total += size;
    }
    uint32_t *rows = ARENA_ARRAY(l->arena, total + 1, uint32_t);
    uint32_t *elements = ARENA_ARRAY(l->arena, total + 1, uint32_t);
    struct snql_column *made = ARENA_ARRAY(l->arena, place_count, struct snql_column);
    if (rows == NULL || elements == NULL || made == NULL)
        return arena_error(l->arena);
    for (size_t i = 0; i < place_count; i++) {
        struct snql_column *array = &l->inputs[places[i]];
        list_elements(array, l->rows, rows, elements);
        TRY(snql_column_gather(&array->elements[0], elements, total, l->arena, &made[i]));
    }
    for (size_t i = 0; i < place_count; i++) /* nothing to repeat: it is replaced */
        l->inputs[places[i]] = (struct snql_column){.rows = l->rows};
    TRY(gather_inputs(x, l, input_count, rows, total));
    for (size_t i = 0; i < place_count; i++)
        l->inputs[places[i]] = made[i];
    return ERR_OK;
}

static enum err expand_all(struct exec *x, struct live *l)
{
    uint32_t columns = (uint32_t)x->relation->column_count;
    if (x->q->array_join_count > 0)
        TRY(expand(x, l, columns, x->joined, x->q->array_join_count));
    for (uint32_t i = 0; i < x->expansion_count; i++) {
        struct snql_batch b = batch_of(l);
        uint32_t place = columns + i;
        TRY(snql_eval(x->expansions[i].array, &b, &l->inputs[place], x->error));
        TRY(expand(x, l, place + 1, &place, 1));
    }
    return ERR_OK;
}

/* Rows where a condition holds. */
static enum err filter(struct exec *x, struct live *l, const struct snql_bound *condition)
{
    if (condition == NULL || l->rows == 0)
        return ERR_OK;
    struct snql_batch b = batch_of(l);
    uint32_t *rows;
    size_t count;
    TRY(snql_eval_filter(condition, &b, &rows, &count, x->error));
    if (count == l->rows)
        return ERR_OK;
    return gather_inputs(x, l, x->input_count, rows, count);
}

static enum err eval_list(struct exec *x, const struct snql_bound *const *list, size_t count,
                          const struct snql_batch *b, struct snql_column **ret)
{
    struct snql_column *columns = ARENA_ARRAY(b->arena, count + 1, struct snql_column);
    if (columns == NULL)
        return arena_error(b->arena);
    for (size_t i = 0; i < count; i++)
        TRY(snql_eval(list[i], b, &columns[i], x->error));
    *ret = columns;
    return ERR_OK;
}

/* ---- groups ---- */

static enum err add_to_groups(struct exec *x, const struct snql_batch *b)
{
    uint32_t *groups = ARENA_ARRAY(b->arena, b->rows + 1, uint32_t);
    struct snql_column *keys;
    if (groups == NULL)
        return arena_error(b->arena);
    TRY(eval_list(x, x->keys, x->q->by_count, b, &keys));
    TRY(snql_groups_add(x->groups, keys, b->rows, b->arena, groups));
    for (size_t i = 0; i < x->aggregate_count; i++) {
        const struct aggregate_call *a = &x->aggregates[i];
        struct snql_column *args;
        TRY(eval_list(x, a->args, a->call->arg_count, b, &args));
        TRY(snql_states_add(a->states, args, b->rows, groups, snql_groups_count(x->groups),
                            x->error));
    }
    return ERR_OK;
}

/* Keys and aggregates of all groups as one batch. */
static enum err groups_as_batch(struct exec *x, struct snql_batch *ret)
{
    uint32_t count = snql_groups_count(x->groups);
    if (!x->q->has_by)
        count = 1; /* also over nothing */
    size_t keys = x->q->by_count;
    struct snql_column *inputs =
        ARENA_ARRAY(x->arena, keys + x->aggregate_count + 1, struct snql_column);
    if (inputs == NULL)
        return arena_error(x->arena);
    for (size_t i = 0; i < keys; i++)
        TRY(snql_groups_key(x->groups, i, snql_bound_type(x->keys[i]), &inputs[i]));
    for (size_t i = 0; i < x->aggregate_count; i++)
        TRY(snql_states_finish(x->aggregates[i].states, count, x->arena, &inputs[keys + i],
                               x->error));
    *ret = (struct snql_batch){count, inputs, x->arena};
    return ERR_OK;
}

/* All groups that HAVING left, as one. */
static enum err make_totals(struct exec *x, const uint32_t *map, struct snql_result *ret)
{
    size_t keys = x->q->by_count;
    struct snql_column *inputs =
        ARENA_ARRAY(x->arena, keys + x->aggregate_count + 1, struct snql_column);
    if (inputs == NULL)
        return arena_error(x->arena);
    for (size_t i = 0; i < keys; i++)
        TRY(snql_column_default(snql_bound_type(x->keys[i]), x->arena, &inputs[i]));
    for (size_t i = 0; i < x->aggregate_count; i++) {
        struct snql_states *all;
        TRY(snql_states_create(x->aggregates[i].bound, x->arena, &all));
        TRY(snql_states_merge(all, x->aggregates[i].states, map, 1));
        TRY(snql_states_finish(all, 1, x->arena, &inputs[keys + i], x->error));
    }
    struct snql_batch b = {1, inputs, x->arena};
    struct snql_column *values;
    TRY(eval_list(x, x->values, x->q->output_count, &b, &values));
    ret->has_totals = true;
    ret->totals = values;
    return ERR_OK;
}

static enum err finish_groups(struct exec *x, struct snql_column **ret_values, size_t *ret_rows,
                              struct snql_result *ret)
{
    struct snql_batch b;
    TRY(groups_as_batch(x, &b));
    uint32_t *map = ARENA_ARRAY(x->arena, b.rows + 1, uint32_t);
    if (map == NULL)
        return arena_error(x->arena);
    for (size_t i = 0; i < b.rows; i++)
        map[i] = 0;
    if (x->having != NULL && b.rows > 0) {
        uint32_t *rows;
        size_t count;
        TRY(snql_eval_filter(x->having, &b, &rows, &count, x->error));
        for (size_t i = 0; i < b.rows; i++)
            map[i] = UINT32_MAX;
        for (size_t i = 0; i < count; i++)
            map[rows[i]] = 0;
        size_t inputs = x->q->by_count + x->aggregate_count;
        struct snql_column *left = ARENA_ARRAY(x->arena, inputs + 1, struct snql_column);
        if (left == NULL)
            return arena_error(x->arena);
        for (size_t i = 0; i < inputs; i++)
            TRY(snql_column_gather(&b.inputs[i], rows, count, x->arena, &left[i]));
        b.inputs = left;
        b.rows = count;
    }
    if (x->q->totals)
        TRY(make_totals(x, map, ret));
    *ret_rows = b.rows;
    return eval_list(x, x->values, x->value_count, &b, ret_values);
}

/* ---- order ---- */

struct sorter {
    const struct snql_order *order;
    const struct snql_column *keys;
    size_t key_count;
};

static int compare_rows(const void *left, const void *right, void *self)
{
    const struct sorter *s = self;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    for (size_t k = 0; k < s->key_count; k++) {
        const struct snql_column *c = &s->keys[k];
        int order = snql_column_compare(c, a, c, b);
        if (order == 0)
            continue;
        return s->order[k].descending && !snql_comes_last(c, a) && !snql_comes_last(c, b) ? -order
                                                                                          : order;
    }
    return (a > b) - (a < b); /* rows as they came */
}

static enum err order_rows(struct exec *x, const struct snql_column *values, size_t rows,
                           struct arena *arena, uint32_t **ret)
{
    uint32_t *order = ARENA_ARRAY(arena, rows + 1, uint32_t);
    if (order == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < rows; i++)
        order[i] = (uint32_t)i;
    *ret = order;
    if (x->q->order_count == 0)
        return ERR_OK;
    struct sorter s = {x->q->order, values + x->q->output_count, x->q->order_count};
    return sort_array(x->arena->account, order, rows, sizeof(*order), compare_rows, &s);
}

/* The first `limit_by` rows of each combination, in order. */
static enum err limit_by(struct exec *x, const struct snql_column *values, struct arena *arena,
                         uint32_t *order, size_t *rows)
{
    size_t key_count = x->q->limit_by_count;
    const struct snql_column *from = values + x->q->output_count + x->q->order_count;
    struct snql_groups *groups;
    struct snql_column *keys = ARENA_ARRAY(arena, key_count + 1, struct snql_column);
    uint32_t *group = ARENA_ARRAY(arena, *rows + 1, uint32_t);
    uint64_t *seen = ARENA_ARRAY(arena, *rows + 1, uint64_t);
    if (keys == NULL || group == NULL || seen == NULL)
        return arena_error(arena);
    for (size_t k = 0; k < key_count; k++)
        TRY(snql_column_gather(&from[k], order, *rows, arena, &keys[k]));
    TRY(snql_groups_create(key_count, arena, &groups));
    TRY(snql_groups_add(groups, keys, *rows, arena, group));
    memset(seen, 0, (*rows + 1) * sizeof(*seen));
    size_t kept = 0;
    for (size_t i = 0; i < *rows; i++)
        if (seen[group[i]]++ < x->q->limit_by)
            order[kept++] = order[i];
    *rows = kept;
    return ERR_OK;
}

/* ---- rows that may be among the answer ---- */

static enum err keep_values(struct exec *x, struct kept *k, const struct snql_column *values,
                            const uint32_t *rows, size_t count)
{
    if (k->chunk_count == k->chunk_room) {
        size_t room = k->chunk_room == 0 ? 16 : k->chunk_room * 2;
        struct snql_column **grown = ARENA_ARRAY(&k->arena, room, struct snql_column *);
        if (grown == NULL)
            return arena_error(&k->arena);
        if (k->chunk_count > 0)
            memcpy(grown, k->chunks, k->chunk_count * sizeof(struct snql_column *));
        k->chunks = grown;
        k->chunk_room = room;
    }
    struct snql_column *chunk = ARENA_ARRAY(&k->arena, x->value_count + 1, struct snql_column);
    if (chunk == NULL)
        return arena_error(&k->arena);
    for (size_t i = 0; i < x->value_count; i++)
        TRY(snql_column_keep(&values[i], rows, count, &k->arena, &chunk[i]));
    k->chunks[k->chunk_count++] = chunk;
    k->rows += count;
    return ERR_OK;
}

static enum err all_kept(struct exec *x, struct arena *arena, struct snql_column **ret)
{
    struct kept *k = &x->kept;
    struct snql_column *values = ARENA_ARRAY(arena, x->value_count + 1, struct snql_column);
    const struct snql_column **parts =
        ARENA_ARRAY(arena, k->chunk_count + 1, const struct snql_column *);
    if (values == NULL || parts == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < x->value_count; i++) {
        TRY(snql_column_empty(snql_bound_type(x->values[i]), arena, &values[i]));
        if (k->chunk_count == 0)
            continue;
        for (size_t c = 0; c < k->chunk_count; c++)
            parts[c] = &k->chunks[c][i];
        TRY(snql_column_concat(parts, k->chunk_count, arena, &values[i]));
    }
    *ret = values;
    return ERR_OK;
}

/* How many rows of the order can be in the answer. */
static size_t rows_needed(const struct exec *x)
{
    uint64_t needed = x->take > UINT32_MAX - x->skip ? UINT32_MAX : x->skip + x->take;
    return x->skip > UINT32_MAX ? UINT32_MAX : (size_t)needed;
}

/* Rows behind the last one that is asked for go. */
static enum err drop_hopeless(struct exec *x)
{
    size_t needed = rows_needed(x);
    if (x->q->has_limit_by || x->q->order_count == 0 || x->kept.rows < needed + KEPT_ROWS_EXTRA ||
        x->kept.rows / 2 < needed)
        return ERR_OK;
    struct arena scratch;
    arena_init(&scratch, SCRATCH_MAX, x->arena->account);
    struct kept fresh = {0};
    arena_init(&fresh.arena, x->kept.arena.max, x->arena->account);
    struct snql_column *values;
    uint32_t *order;
    enum err rc = all_kept(x, &scratch, &values);
    if (rc == ERR_OK)
        rc = order_rows(x, values, x->kept.rows, &scratch, &order);
    if (rc == ERR_OK)
        rc = keep_values(x, &fresh, values, order, needed);
    arena_close(&scratch);
    arena_close(rc == ERR_OK ? &x->kept.arena : &fresh.arena);
    if (rc == ERR_OK)
        x->kept = fresh;
    return rc;
}

static enum err add_to_kept(struct exec *x, const struct snql_batch *b)
{
    struct snql_column *values;
    TRY(eval_list(x, x->values, x->value_count, b, &values));
    uint32_t *rows = ARENA_ARRAY(b->arena, b->rows + 1, uint32_t);
    if (rows == NULL)
        return arena_error(b->arena);
    for (size_t i = 0; i < b->rows; i++)
        rows[i] = (uint32_t)i;
    TRY(keep_values(x, &x->kept, values, rows, b->rows));
    return drop_hopeless(x);
}

static bool has_enough(const struct exec *x)
{
    if (x->grouped)
        return false;
    if (x->take == 0)
        return true;
    return x->q->order_count == 0 && !x->q->has_limit_by && x->kept.rows >= rows_needed(x);
}

/* ---- the whole ---- */

static size_t row_width(const struct exec *x)
{
    size_t width = 0;
    for (size_t i = 0; i < x->relation->column_count; i++)
        width += x->wanted[i] ? snql_column_width(x->relation->columns[i].type) : 0;
    return width;
}

static enum err take_batch(struct exec *x, struct arena *scratch, bool *ret_more)
{
    struct snql_column *inputs = ARENA_ARRAY(scratch, x->input_count + 1, struct snql_column);
    if (inputs == NULL)
        return arena_error(scratch);
    memset(inputs, 0, (x->input_count + 1) * sizeof(*inputs));
    struct live l = {0, inputs, scratch};
    TRY(x->relation->next(x->relation->self, scratch, inputs, &l.rows, x->error));
    *ret_more = l.rows > 0;
    if (l.rows == 0)
        return ERR_OK;
    x->rows_read += l.rows;
    x->batches_read++;
    x->bytes_read += l.rows * row_width(x);
    TRY(expand_all(x, &l));
    TRY(filter(x, &l, x->where));
    if (!x->grouped)
        TRY(filter(x, &l, x->having));
    if (l.rows == 0)
        return ERR_OK;
    struct snql_batch b = batch_of(&l);
    return x->grouped ? add_to_groups(x, &b) : add_to_kept(x, &b);
}

static enum err take_all(struct exec *x)
{
    bool more = true;
    while (more && !has_enough(x)) {
        TRY(snql_budget_check(x->budget, x->rows_read, x->error));
        struct arena scratch;
        arena_init(&scratch, SCRATCH_MAX, x->arena->account);
        enum err rc = take_batch(x, &scratch, &more);
        arena_close(&scratch);
        TRY(rc);
    }
    return ERR_OK;
}

static enum err finish(struct exec *x, struct snql_result *ret)
{
    struct snql_column *values;
    size_t rows = x->kept.rows;
    if (x->grouped)
        TRY(finish_groups(x, &values, &rows, ret));
    else
        TRY(all_kept(x, x->arena, &values));
    uint32_t *order;
    TRY(order_rows(x, values, rows, x->arena, &order));
    if (x->q->has_limit_by)
        TRY(limit_by(x, values, x->arena, order, &rows));
    size_t skip = x->skip < rows ? (size_t)x->skip : rows;
    size_t take = x->take < rows - skip ? (size_t)x->take : rows - skip;

    struct snql_relation_column *names =
        ARENA_ARRAY(x->arena, x->q->output_count + 1, struct snql_relation_column);
    struct snql_column *columns = ARENA_ARRAY(x->arena, x->q->output_count + 1, struct snql_column);
    if (names == NULL || columns == NULL)
        return arena_error(x->arena);
    for (size_t i = 0; i < x->q->output_count; i++) {
        names[i] =
            (struct snql_relation_column){x->q->output[i].name, snql_bound_type(x->values[i])};
        TRY(snql_column_keep(&values[i], order + skip, take, x->arena, &columns[i]));
    }
    ret->column_count = x->q->output_count;
    ret->names = names;
    ret->columns = columns;
    ret->rows = take;
    ret->rows_read = x->rows_read;
    ret->batches_read = x->batches_read;
    ret->bytes_read = x->bytes_read;
    return ERR_OK;
}

enum err snql_execute(const struct snql_query *q, const struct snql_relation *relation,
                      const struct snql_plan *plan, const struct snql_budget *budget,
                      struct arena *arena, struct snql_result *ret, struct snql_error *error)
{
    struct exec x = {
        .q = q, .relation = relation, .budget = budget, .arena = arena, .error = error};
    *ret = (struct snql_result){0};
    *error = (struct snql_error){.offset = SNQL_NO_OFFSET};
    arena_init(&x.kept.arena, arena->max, arena->account);
    enum err rc = bind_query(&x);
    if (rc == ERR_OK)
        rc = relation->open(relation->self, x.wanted, plan, error);
    if (rc == ERR_OK)
        rc = take_all(&x);
    if (rc == ERR_OK)
        rc = finish(&x, ret);
    arena_close(&x.kept.arena);
    if (rc == ERR_BUSY || rc == ERR_LIMIT || rc == ERR_NOMEM) {
        snql_error_write_code(error, SNQL_CODE_MEMORY,
                              "the query needs more memory than there is: %s", err_text(rc));
        rc = ERR_LIMIT;
    }
    return rc;
}
