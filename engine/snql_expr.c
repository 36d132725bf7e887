/* snql_expr.c - binding and evaluating expressions. */
#include "engine/snql_expr.h"

#include <pthread.h>

#include "base/hash.h"
#include "engine/snql_aggregate.h"
#include "engine/snql_function.h"

enum bound_kind { BOUND_CONSTANT, BOUND_INPUT, BOUND_LOCAL, BOUND_CALL };

struct snql_bound {
    enum bound_kind kind;
    struct snql_type type;
    struct snql_column constant;
    uint32_t place; /* of an input or local */
    struct snql_call call;
    const struct snql_bound **args;
};

/* Locals of the body are those of the lambdas around it, then its own arguments. */
struct snql_lambda {
    const struct snql_bound *body;
    size_t argument_count;
    size_t outer_count;
    const uint32_t *inputs; /* those that the body looks at */
    size_t input_count;
};

/* Names of a lambda's arguments while its body is bound. */
struct scope {
    struct scope *outer;
    const struct bytes *names;
    const struct snql_type *types;
    size_t count;
    size_t first; /* local number of the first */
    uint32_t *inputs;
    size_t input_count;
    size_t input_room;
};

struct binder {
    const struct snql_inputs *inputs;
    struct arena *arena;
    struct snql_error *error;
    struct scope *scope;
};

/* ---- the registry ---- */

#define SLOT_COUNT 1024u

static const struct snql_function *slots[SLOT_COUNT];
static pthread_once_t slots_once = PTHREAD_ONCE_INIT;

static void fill_slots(void)
{
    const struct snql_function_list *const lists[] = {
        &snql_arithmetic_functions, &snql_compare_functions, &snql_logic_functions,
        &snql_text_functions,       &snql_regexp_functions,  &snql_time_functions,
        &snql_convert_functions,    &snql_array_functions,
    };
    for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
        for (size_t i = 0; i < lists[l]->count; i++) {
            const struct snql_function *f = &lists[l]->functions[i];
            size_t at = (size_t)hash_bytes(f->name, 0) % SLOT_COUNT;
            while (slots[at] != NULL)
                at = (at + 1) % SLOT_COUNT;
            slots[at] = f;
        }
    }
}

const struct snql_function *snql_function_find(struct bytes name)
{
    (void)pthread_once(&slots_once, fill_slots);
    size_t at = (size_t)hash_bytes(name, 0) % SLOT_COUNT;
    while (slots[at] != NULL && !bytes_equal(slots[at]->name, name))
        at = (at + 1) % SLOT_COUNT;
    return slots[at];
}

bool snql_is_function(struct bytes name)
{
    return snql_function_find(name) != NULL;
}

enum err snql_refuse_type(const struct snql_call *c, size_t argument, const char *wanted,
                          struct snql_error *error)
{
    struct buffer text;
    buffer_init(&text, 256, NULL);
    snql_type_print(c->types[argument], &text);
    struct bytes is = buffer_bytes(&text);
    struct bytes name = c->function->name;
    enum err rc =
        snql_refuse_code(error, SNQL_CODE_ILLEGAL_ARGUMENT,
                         "argument %zu of %.*s is %.*s, expected %s", argument + 1, (int)name.len,
                         (const char *)name.data, (int)is.len, (const char *)is.data, wanted);
    buffer_close(&text);
    return rc;
}

/* ---- evaluation ---- */

static enum err eval(const struct snql_bound *b, const struct snql_frame *frame,
                     struct snql_column *ret);

/* Where any argument is NULL; *ret NULL: nowhere. */
static enum err unite_nulls(const struct snql_column *args, size_t count,
                            const struct snql_frame *frame, const uint8_t **ret)
{
    *ret = NULL;
    uint8_t *nulls = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct snql_column *c = &args[i];
        if (c->nulls == NULL && c->type.kind != SNQL_TYPE_NOTHING)
            continue;
        if (nulls == NULL) {
            nulls = SNQL_ROOM(frame, uint8_t);
            if (nulls == NULL)
                return arena_error(frame->arena);
            memset(nulls, 0, frame->rows + 1);
        }
        for (size_t row = 0; row < frame->rows; row++)
            nulls[row] |= snql_is_null(c, row);
    }
    *ret = nulls;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err eval_call(const struct snql_bound *b, const struct snql_frame *frame,
                          struct snql_column *ret)
{
    const struct snql_call *c = &b->call;
    struct snql_column *args = ARENA_ARRAY(frame->arena, c->count + 1, struct snql_column);
    if (args == NULL)
        return arena_error(frame->arena);
    for (size_t i = 0; i < c->count; i++)
        TRY(eval(b->args[i], frame, &args[i]));
    *ret = (struct snql_column){.type = b->type, .rows = frame->rows};
    struct snql_frame inner = *frame;
    inner.nulls = NULL;
    if ((c->function->flags & SNQL_TAKES_NULL) == 0)
        TRY(unite_nulls(args, c->count, frame, &inner.nulls));
    TRY(c->function->eval(c, args, &inner, ret));
    if ((c->function->flags & SNQL_TAKES_NULL) == 0)
        ret->nulls = inner.nulls;
    ret->type = b->type;
    ret->rows = frame->rows;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err eval(const struct snql_bound *b, const struct snql_frame *frame,
                     struct snql_column *ret)
{
    switch (b->kind) {
    case BOUND_CONSTANT:
        *ret = b->constant;
        ret->rows = frame->rows;
        return ERR_OK;
    case BOUND_INPUT: *ret = frame->inputs[b->place]; break;
    case BOUND_LOCAL: *ret = frame->locals[b->place]; break;
    case BOUND_CALL: return eval_call(b, frame, ret);
    }
    ret->type = b->type;
    ret->rows = frame->rows;
    return ERR_OK;
}

enum err snql_eval(const struct snql_bound *b, const struct snql_batch *batch,
                   struct snql_column *ret, struct snql_error *error)
{
    struct snql_frame frame = {
        .rows = batch->rows, .arena = batch->arena, .error = error, .inputs = batch->inputs};
    return eval(b, &frame, ret);
}

static bool holds(const struct snql_column *c, size_t row)
{
    if (snql_is_null(c, row))
        return false;
    size_t at = snql_at(c, row);
    return snql_type_is_float(c->type) ? c->f64[at] != 0 : c->u64[at] != 0;
}

/* ---- filters ---- */

/* Rows of a batch, ascending. */
struct chosen_rows {
    uint32_t *rows;
    size_t count;
};

/* A condition asked of some rows of a batch. */
struct filter {
    const struct snql_batch *batch;
    struct snql_error *error;
};

/* Only what the condition looks at is gathered. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err gather_used(const struct snql_bound *b, const struct filter *f,
                            const struct chosen_rows *in, struct snql_column *inputs, bool *done)
{
    if (b->kind == BOUND_INPUT && !done[b->place]) {
        done[b->place] = true;
        return snql_column_gather(&f->batch->inputs[b->place], in->rows, in->count, f->batch->arena,
                                  &inputs[b->place]);
    }
    if (b->kind != BOUND_CALL)
        return ERR_OK;
    for (size_t i = 0; i < b->call.count; i++)
        TRY(gather_used(b->args[i], f, in, inputs, done));
    for (size_t i = 0; b->call.lambda != NULL && i < b->call.lambda->input_count; i++) {
        uint32_t place = b->call.lambda->inputs[i];
        if (done[place])
            continue;
        done[place] = true;
        TRY(snql_column_gather(&f->batch->inputs[place], in->rows, in->count, f->batch->arena,
                               &inputs[place]));
    }
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static uint32_t inputs_used(const struct snql_bound *b)
{
    uint32_t most = b->kind == BOUND_INPUT ? b->place + 1 : 0;
    for (size_t i = 0; b->kind == BOUND_CALL && i < b->call.count; i++) {
        uint32_t of_it = inputs_used(b->args[i]);
        most = of_it > most ? of_it : most;
    }
    const struct snql_lambda *l = b->kind == BOUND_CALL ? b->call.lambda : NULL;
    for (size_t i = 0; l != NULL && i < l->input_count; i++)
        most = l->inputs[i] >= most ? l->inputs[i] + 1 : most;
    return most;
}

static enum err filter_leaf(const struct snql_bound *b, const struct filter *f,
                            const struct chosen_rows *in, struct chosen_rows *ret)
{
    struct snql_column c;
    struct snql_batch part = *f->batch;
    struct arena *arena = f->batch->arena;
    if (in->count < f->batch->rows) {
        uint32_t most = inputs_used(b);
        struct snql_column *inputs = ARENA_ARRAY(arena, most + 1, struct snql_column);
        bool *done = ARENA_ARRAY(arena, most + 1, bool);
        if (inputs == NULL || done == NULL)
            return arena_error(arena);
        memset(done, 0, most + 1);
        TRY(gather_used(b, f, in, inputs, done));
        part.inputs = inputs;
        part.rows = in->count;
    }
    TRY(snql_eval(b, &part, &c, f->error));
    ret->rows = ARENA_ARRAY(arena, in->count + 1, uint32_t);
    if (ret->rows == NULL)
        return arena_error(arena);
    ret->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        ret->rows[ret->count] = in->rows[i];
        ret->count += holds(&c, i);
    }
    return ERR_OK;
}

static bool is_junction(const struct snql_bound *b, const char *name)
{
    return b->kind == BOUND_CALL && bytes_equal(b->call.function->name, bytes_of_text(name));
}

static enum err filter_rows(const struct snql_bound *b, const struct filter *f,
                            const struct chosen_rows *in, struct chosen_rows *ret);

/* ---- OR of many conditions that each name an id ---- */

#define DISPATCH_MIN 8 /* below, asking every condition of every row costs less */

/* The text that a condition wants in that input; data NULL: it wants none. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static struct bytes wanted_text(const struct snql_bound *b, uint32_t input)
{
    if (is_junction(b, "and")) {
        for (size_t i = 0; i < b->call.count; i++) {
            struct bytes text = wanted_text(b->args[i], input);
            if (text.data != NULL)
                return text;
        }
    }
    if (!is_junction(b, "equals"))
        return (struct bytes){0};
    const struct snql_bound *column = b->args[0];
    const struct snql_bound *value = b->args[1];
    if (column->kind != BOUND_INPUT || column->place != input || column->type.nullable ||
        value->kind != BOUND_CONSTANT || value->type.kind != SNQL_TYPE_STRING)
        return (struct bytes){0};
    return value->constant.text[0].data == NULL ? BYTES("") : value->constant.text[0];
}

/* An input of text that the condition compares with one; UINT32_MAX: none. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static uint32_t text_input(const struct snql_bound *b)
{
    if (is_junction(b, "and")) {
        for (size_t i = 0; i < b->call.count; i++) {
            uint32_t input = text_input(b->args[i]);
            if (input != UINT32_MAX)
                return input;
        }
    }
    if (!is_junction(b, "equals") || b->args[0]->kind != BOUND_INPUT ||
        b->args[0]->type.kind != SNQL_TYPE_STRING || wanted_text(b, b->args[0]->place).data == NULL)
        return UINT32_MAX;
    return b->args[0]->place;
}

/* Conditions by the text that each wants. */
struct dispatch {
    struct bytes *wanted; /* of each condition */
    uint32_t *next;       /* the next one with this hash, + 1 */
    uint32_t *slots;      /* the first one, + 1; a power of two of them */
    size_t slot_count;
    uint32_t input;
};

/* *ret_fits false: not all of them want a text in one input. */
static enum err dispatch_make(const struct snql_bound *b, struct arena *arena, struct dispatch *ret,
                              bool *ret_fits)
{
    size_t count = b->call.count;
    *ret_fits = false;
    ret->input = count < DISPATCH_MIN ? UINT32_MAX : text_input(b->args[0]);
    if (ret->input == UINT32_MAX)
        return ERR_OK;
    ret->slot_count = 16;
    while (ret->slot_count < 2 * count)
        ret->slot_count *= 2;
    ret->wanted = ARENA_ARRAY(arena, count, struct bytes);
    ret->next = ARENA_ARRAY(arena, count, uint32_t);
    ret->slots = ARENA_ARRAY(arena, ret->slot_count, uint32_t);
    if (ret->wanted == NULL || ret->next == NULL || ret->slots == NULL)
        return arena_error(arena);
    memset(ret->slots, 0, ret->slot_count * sizeof(*ret->slots));
    for (size_t i = 0; i < count; i++) {
        ret->wanted[i] = wanted_text(b->args[i], ret->input);
        if (ret->wanted[i].data == NULL)
            return ERR_OK;
        size_t at = (size_t)hash_bytes(ret->wanted[i], 0) & (ret->slot_count - 1);
        ret->next[i] = ret->slots[at];
        ret->slots[at] = (uint32_t)i + 1;
    }
    *ret_fits = true;
    return ERR_OK;
}

/* Each condition is asked only of the rows that have its text. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err filter_dispatched(const struct snql_bound *b, const struct filter *f,
                                  const struct dispatch *d, const struct chosen_rows *in,
                                  uint8_t *held)
{
    struct arena *arena = f->batch->arena;
    const struct snql_column *c = &f->batch->inputs[d->input];
    size_t count = b->call.count;
    uint32_t *ends = ARENA_ARRAY(arena, count + 1, uint32_t);
    if (ends == NULL)
        return arena_error(arena);
    memset(ends, 0, (count + 1) * sizeof(*ends));
    uint32_t *rows = NULL;
    for (unsigned pass = 0; pass < 2; pass++) { /* how many rows each gets, then which */
        for (size_t k = 0; k < in->count; k++) {
            struct bytes text = c->text[snql_at(c, in->rows[k])];
            uint32_t at = d->slots[(size_t)hash_bytes(text, 0) & (d->slot_count - 1)];
            for (; at != 0; at = d->next[at - 1]) {
                if (!bytes_equal(d->wanted[at - 1], text))
                    continue;
                if (rows != NULL)
                    rows[ends[at - 1]] = in->rows[k];
                ends[at - (pass == 1)]++;
            }
        }
        if (pass == 1)
            break;
        for (size_t i = 0; i < count; i++)
            ends[i + 1] += ends[i]; /* now: where each begins */
        rows = ARENA_ARRAY(arena, ends[count] + 1, uint32_t);
        if (rows == NULL)
            return arena_error(arena);
    }
    for (size_t i = 0; i < count; i++) { /* ends[i] moved to where i ends */
        uint32_t from = i == 0 ? 0 : ends[i - 1];
        struct chosen_rows some = {rows + from, ends[i] - from};
        struct chosen_rows found = {0};
        if (some.count > 0)
            TRY(filter_rows(b->args[i], f, &some, &found));
        for (size_t k = 0; k < found.count; k++)
            held[found.rows[k]] = 1;
    }
    return ERR_OK;
}

/* Each condition is asked of those rows that none before it held for. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err filter_in_turn(const struct snql_bound *b, const struct filter *f,
                               const struct chosen_rows *in, uint8_t *held)
{
    struct chosen_rows left = {.count = in->count};
    left.rows = ARENA_ARRAY(f->batch->arena, in->count + 1, uint32_t);
    if (left.rows == NULL)
        return arena_error(f->batch->arena);
    if (in->count > 0)
        memcpy(left.rows, in->rows, in->count * sizeof(*left.rows));
    for (size_t i = 0; i < b->call.count && left.count > 0; i++) {
        struct chosen_rows found = {0};
        TRY(filter_rows(b->args[i], f, &left, &found));
        for (size_t k = 0; k < found.count; k++)
            held[found.rows[k]] = 1;
        size_t kept = 0;
        for (size_t k = 0; k < left.count && found.count > 0; k++) {
            left.rows[kept] = left.rows[k];
            kept += held[left.rows[k]] == 0;
        }
        if (found.count > 0)
            left.count = kept;
    }
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err filter_any(const struct snql_bound *b, const struct filter *f,
                           const struct chosen_rows *in, struct chosen_rows *ret)
{
    struct arena *arena = f->batch->arena;
    struct dispatch d;
    bool fits;
    uint8_t *held = ARENA_ARRAY(arena, f->batch->rows + 1, uint8_t);
    ret->rows = ARENA_ARRAY(arena, in->count + 1, uint32_t);
    if (held == NULL || ret->rows == NULL)
        return arena_error(arena);
    memset(held, 0, f->batch->rows + 1);
    TRY(dispatch_make(b, arena, &d, &fits));
    TRY(fits ? filter_dispatched(b, f, &d, in, held) : filter_in_turn(b, f, in, held));
    ret->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        ret->rows[ret->count] = in->rows[i];
        ret->count += held[in->rows[i]];
    }
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err filter_rows(const struct snql_bound *b, const struct filter *f,
                            const struct chosen_rows *in, struct chosen_rows *ret)
{
    if (is_junction(b, "or"))
        return filter_any(b, f, in, ret);
    if (!is_junction(b, "and"))
        return filter_leaf(b, f, in, ret);
    *ret = *in;
    for (size_t i = 0; i < b->call.count && ret->count > 0; i++) {
        struct chosen_rows fewer = {0};
        TRY(filter_rows(b->args[i], f, ret, &fewer));
        *ret = fewer;
    }
    return ERR_OK;
}

enum err snql_eval_filter(const struct snql_bound *b, const struct snql_batch *batch,
                          uint32_t **ret_rows, size_t *ret_count, struct snql_error *error)
{
    if (!snql_type_is_integer(b->type) && !snql_type_is_float(b->type) &&
        b->type.kind != SNQL_TYPE_NOTHING)
        return snql_refuse_code(error, SNQL_CODE_ILLEGAL_ARGUMENT,
                                "a condition must be a number, or NULL");
    struct filter f = {batch, error};
    struct chosen_rows all = {.count = batch->rows};
    struct chosen_rows found = {0};
    all.rows = ARENA_ARRAY(batch->arena, batch->rows + 1, uint32_t);
    if (all.rows == NULL)
        return arena_error(batch->arena);
    for (size_t row = 0; row < batch->rows; row++)
        all.rows[row] = (uint32_t)row;
    TRY(filter_rows(b, &f, &all, &found));
    *ret_rows = found.rows;
    *ret_count = found.count;
    return ERR_OK;
}

/* ---- lambdas ---- */

size_t snql_lambda_argument_count(const struct snql_lambda *l)
{
    return l->argument_count;
}

struct snql_type snql_lambda_type(const struct snql_lambda *l)
{
    return l->body->type;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets lambdas be */
enum err snql_lambda_eval(const struct snql_lambda *l, const struct snql_column *elements,
                          size_t rows, const uint32_t *row_of, const struct snql_frame *frame,
                          struct snql_column *ret)
{
    struct arena *arena = frame->arena;
    uint32_t most = 0;
    for (size_t i = 0; i < l->input_count; i++)
        most = l->inputs[i] >= most ? l->inputs[i] + 1 : most;
    struct snql_column *inputs = ARENA_ARRAY(arena, most + 1, struct snql_column);
    struct snql_column *locals =
        ARENA_ARRAY(arena, l->outer_count + l->argument_count + 1, struct snql_column);
    if (inputs == NULL || locals == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < l->input_count; i++)
        TRY(snql_column_gather(&frame->inputs[l->inputs[i]], row_of, rows, arena,
                               &inputs[l->inputs[i]]));
    for (size_t i = 0; i < l->outer_count; i++)
        TRY(snql_column_gather(&frame->locals[i], row_of, rows, arena, &locals[i]));
    for (size_t i = 0; i < l->argument_count; i++) {
        locals[l->outer_count + i] = elements[i];
        locals[l->outer_count + i].rows = rows;
    }
    struct snql_frame inner = {.rows = rows,
                               .arena = arena,
                               .error = frame->error,
                               .inputs = inputs,
                               .locals = locals,
                               .local_count = l->outer_count + l->argument_count};
    return eval(l->body, &inner, ret);
}

/* ---- binding ---- */

static enum err bind(struct binder *b, const struct snql_expr *e, const struct snql_bound **ret);

static enum err new_bound(struct binder *b, enum bound_kind kind, struct snql_type type,
                          struct snql_bound **ret)
{
    struct snql_bound *n = ARENA_NEW(b->arena, struct snql_bound);
    if (n == NULL)
        return arena_error(b->arena);
    *n = (struct snql_bound){.kind = kind, .type = type};
    *ret = n;
    return ERR_OK;
}

/* The smallest unsigned type that holds the value; likewise signed. */
static struct snql_type smallest_unsigned(uint64_t v)
{
    return snql_type_of_integer(v > UINT32_MAX   ? 64
                                : v > UINT16_MAX ? 32
                                : v > UINT8_MAX  ? 16
                                                 : 8,
                                false);
}

static struct snql_type smallest_signed(int64_t v)
{
    return snql_type_of_integer(v < INT32_MIN   ? 64
                                : v < INT16_MIN ? 32
                                : v < INT8_MIN  ? 16
                                                : 8,
                                true);
}

static enum err literal_column(struct arena *arena, const struct snql_literal *v,
                               struct snql_column *ret)
{
    static const uint8_t null = 1;
    *ret = (struct snql_column){.rows = 1, .constant = true};
    uint64_t *number = ARENA_NEW(arena, uint64_t);
    struct bytes *text = ARENA_NEW(arena, struct bytes);
    if (number == NULL || text == NULL)
        return arena_error(arena);
    *number = 0;
    *text = v->text;
    ret->u64 = number;
    switch (v->kind) {
    case SNQL_NULL:
        ret->type = (struct snql_type){.kind = SNQL_TYPE_NOTHING, .nullable = true};
        ret->nulls = &null;
        break;
    case SNQL_BOOL:
        ret->type = snql_type_of(SNQL_TYPE_BOOL);
        *number = v->unsigned_value;
        break;
    case SNQL_UNSIGNED:
        ret->type = smallest_unsigned(v->unsigned_value);
        *number = v->unsigned_value;
        break;
    case SNQL_SIGNED:
        ret->type = smallest_signed(v->signed_value);
        *number = (uint64_t)v->signed_value;
        break;
    case SNQL_FLOAT:
        ret->type = snql_type_of(SNQL_TYPE_FLOAT64);
        memcpy(number, &v->float_value, sizeof(*number));
        break;
    case SNQL_DATETIME:
        ret->type = (struct snql_type){.kind = SNQL_TYPE_DATETIME, .zone = SNQL_ZONE_UNIVERSAL};
        *number = v->unsigned_value;
        break;
    case SNQL_ID: { /* ids are text to a query */
        char digits[UUID_TEXT_SIZE + 1];
        uuid_print(v->id, digits);
        *text = arena_copy(arena, bytes_of(digits, UUID_TEXT_SIZE));
        if (text->data == NULL)
            return arena_error(arena);
        ret->type = snql_type_of(SNQL_TYPE_STRING);
        ret->text = text;
        break;
    }
    case SNQL_TEXT:
        ret->type = snql_type_of(SNQL_TYPE_STRING);
        ret->text = text;
        break;
    }
    return ERR_OK;
}

static enum err bind_constant(struct binder *b, struct snql_column value,
                              const struct snql_bound **ret)
{
    struct snql_bound *n;
    TRY(new_bound(b, BOUND_CONSTANT, value.type, &n));
    n->constant = value;
    n->constant.constant = true;
    n->constant.rows = 1;
    *ret = n;
    return ERR_OK;
}

/* The lambdas around here look at that input. */
static enum err note_input(struct binder *b, uint32_t input)
{
    for (struct scope *s = b->scope; s != NULL; s = s->outer) {
        bool known = false;
        for (size_t i = 0; i < s->input_count; i++)
            known |= s->inputs[i] == input;
        if (known)
            continue;
        if (s->input_count == s->input_room) {
            size_t room = s->input_room == 0 ? 4 : s->input_room * 2;
            uint32_t *grown = ARENA_ARRAY(b->arena, room, uint32_t);
            if (grown == NULL)
                return arena_error(b->arena);
            if (s->input_count > 0)
                memcpy(grown, s->inputs, s->input_count * sizeof(*grown));
            s->inputs = grown;
            s->input_room = room;
        }
        s->inputs[s->input_count++] = input;
    }
    return ERR_OK;
}

static enum err bind_argument(struct binder *b, const struct snql_expr *e,
                              const struct snql_bound **ret)
{
    for (const struct scope *s = b->scope; s != NULL; s = s->outer) {
        for (size_t i = 0; i < s->count; i++) {
            if (!bytes_equal(s->names[i], e->name))
                continue;
            struct snql_bound *n;
            TRY(new_bound(b, BOUND_LOCAL, s->types[i], &n));
            n->place = (uint32_t)(s->first + i);
            *ret = n;
            return ERR_OK;
        }
    }
    return snql_refuse(b->error, "no lambda declares '%.*s'", (int)bytes_first(e->name, 100).len,
                       (const char *)e->name.data);
}

/* The body over elements of the arrays behind it. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err bind_lambda(struct binder *b, const struct snql_expr *e, struct snql_call *c)
{
    struct snql_type *types = ARENA_ARRAY(b->arena, e->argument_count + 1, struct snql_type);
    struct snql_lambda *l = ARENA_NEW(b->arena, struct snql_lambda);
    if (types == NULL || l == NULL)
        return arena_error(b->arena);
    if (e->argument_count > c->count)
        return snql_refuse_code(b->error, SNQL_CODE_ARGUMENT_COUNT,
                                "a lambda of %zu names needs as many arrays, there are %zu",
                                e->argument_count, c->count);
    for (size_t i = 0; i < e->argument_count; i++) {
        if (c->types[i].kind != SNQL_TYPE_ARRAY)
            return snql_refuse_type(c, i, "an array", b->error);
        types[i] = c->types[i].elements[0];
    }
    size_t first = b->scope == NULL ? 0 : b->scope->first + b->scope->count;
    struct scope scope = {.outer = b->scope,
                          .names = e->argument_names,
                          .types = types,
                          .count = e->argument_count,
                          .first = first};
    b->scope = &scope;
    enum err rc = bind(b, e->args[0], &l->body);
    b->scope = scope.outer;
    l->argument_count = e->argument_count;
    l->outer_count = first;
    l->inputs = scope.inputs;
    l->input_count = scope.input_count;
    c->lambda = l;
    return rc;
}

static enum err check_count(struct binder *b, const struct snql_function *f, size_t count)
{
    if (count >= f->min_count && (f->max_count == SNQL_ANY_COUNT || count <= f->max_count))
        return ERR_OK;
    const char *name = (const char *)f->name.data;
    if (f->min_count == f->max_count)
        return snql_refuse_code(b->error, SNQL_CODE_ARGUMENT_COUNT,
                                "%.*s takes %u arguments, %zu are given", (int)f->name.len, name,
                                f->min_count, count);
    return snql_refuse_code(b->error, SNQL_CODE_ARGUMENT_COUNT,
                            "%.*s takes at least %u arguments%s, %zu are given", (int)f->name.len,
                            name, f->min_count,
                            f->max_count == SNQL_ANY_COUNT ? "" : " and not many more", count);
}

/* What a call is without looking inside: Nullable and LowCardinality of the result. */
static void adorn(struct snql_call *c, const struct snql_type *full)
{
    unsigned flags = c->function->flags;
    if ((flags & SNQL_TAKES_NULL) == 0 && c->type.kind != SNQL_TYPE_ARRAY &&
        c->type.kind != SNQL_TYPE_TUPLE)
        for (size_t i = 0; i < c->count; i++)
            c->type.nullable |= full[i].nullable;
    if ((flags & SNQL_OWN_TYPE) != 0)
        return;
    size_t columns = 0;
    bool low = false;
    for (size_t i = 0; i < c->count; i++) {
        columns += c->constants[i] == NULL;
        low |= c->constants[i] == NULL && full[i].low_cardinality;
    }
    c->type.low_cardinality = columns == 1 && low && c->lambda == NULL &&
                              c->type.kind != SNQL_TYPE_ARRAY && c->type.kind != SNQL_TYPE_TUPLE;
}

static enum err fold(struct binder *b, struct snql_bound *n, const struct snql_bound **ret)
{
    struct snql_frame frame = {.rows = 1, .arena = b->arena, .error = b->error};
    struct snql_column value;
    TRY(eval(n, &frame, &value));
    return bind_constant(b, value, ret);
}

/* Types and constants of the arguments, as the function sees them. */
static enum err prepare(struct binder *b, struct snql_bound *n, const struct snql_type **ret_full,
                        bool *ret_constant, bool *ret_nothing)
{
    struct snql_call *c = &n->call;
    struct snql_type *full = ARENA_ARRAY(b->arena, c->count + 1, struct snql_type);
    struct snql_type *types = ARENA_ARRAY(b->arena, c->count + 1, struct snql_type);
    const struct snql_column **constants =
        ARENA_ARRAY(b->arena, c->count + 1, const struct snql_column *);
    if (full == NULL || types == NULL || constants == NULL)
        return arena_error(b->arena);
    *ret_constant = true;
    *ret_nothing = false;
    for (size_t i = 0; i < c->count; i++) {
        full[i] = types[i] = n->args[i]->type;
        if ((c->function->flags & SNQL_OWN_TYPE) == 0)
            types[i].low_cardinality = false;
        if ((c->function->flags & SNQL_TAKES_NULL) == 0)
            types[i].nullable = false;
        constants[i] = snql_bound_constant(n->args[i]);
        *ret_constant &= constants[i] != NULL;
        *ret_nothing |= full[i].kind == SNQL_TYPE_NOTHING && full[i].nullable;
    }
    c->types = types;
    c->constants = constants;
    *ret_full = full;
    return ERR_OK;
}

static enum err refuse_states(struct binder *b, const struct snql_call *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->types[i].kind == SNQL_TYPE_STATE)
            return snql_refuse_type(c, i, "a value: only its -Merge function can read a state",
                                    b->error);
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err bind_call(struct binder *b, const struct snql_expr *e,
                          const struct snql_bound **ret)
{
    const struct snql_function *f = snql_function_find(e->name);
    if (f == NULL) {
        bool aggregate = snql_is_aggregate(e->name);
        return snql_refuse_code(
            b->error, aggregate ? SNQL_CODE_ILLEGAL_AGGREGATION : SNQL_CODE_UNKNOWN_FUNCTION,
            aggregate ? "aggregate function %.*s() is not allowed here" : "unknown function %.*s",
            (int)bytes_first(e->name, 100).len, (const char *)e->name.data);
    }
    TRY(check_count(b, f, e->arg_count));
    bool has_lambda = e->arg_count > 0 && e->args[0]->kind == SNQL_LAMBDA;
    if (has_lambda && (f->flags & SNQL_TAKES_LAMBDA) == 0)
        return snql_refuse_code(b->error, SNQL_CODE_ILLEGAL_ARGUMENT, "%.*s takes no lambda",
                                (int)f->name.len, (const char *)f->name.data);
    struct snql_bound *n;
    TRY(new_bound(b, BOUND_CALL, snql_type_of(SNQL_TYPE_NOTHING), &n));
    n->call =
        (struct snql_call){.function = f, .count = e->arg_count - has_lambda, .arena = b->arena};
    n->args = ARENA_ARRAY(b->arena, n->call.count + 1, const struct snql_bound *);
    if (n->args == NULL)
        return arena_error(b->arena);
    for (size_t i = 0; i < n->call.count; i++)
        TRY(bind(b, e->args[has_lambda + i], &n->args[i]));
    const struct snql_type *full;
    bool constant;
    bool nothing;
    TRY(prepare(b, n, &full, &constant, &nothing));
    if ((f->flags & SNQL_TAKES_STATE) == 0)
        TRY(refuse_states(b, &n->call));
    if (nothing && (f->flags & SNQL_TAKES_NULL) == 0) {
        struct snql_column null;
        TRY(literal_column(b->arena, &(struct snql_literal){.kind = SNQL_NULL}, &null));
        return bind_constant(b, null, ret);
    }
    if (has_lambda)
        TRY(bind_lambda(b, e->args[0], &n->call));
    TRY(f->bind(&n->call, b->error));
    adorn(&n->call, full);
    n->type = n->call.type;
    *ret = n;
    return constant && !has_lambda ? fold(b, n, ret) : ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets expressions be */
static enum err bind(struct binder *b, const struct snql_expr *e, const struct snql_bound **ret)
{
    uint32_t input = 0;
    struct snql_type type = {0};
    if (e->kind == SNQL_ARGUMENT)
        return bind_argument(b, e, ret);
    enum err rc = b->inputs->find(b->inputs->self, e, &input, &type, b->error);
    if (rc == ERR_OK) {
        struct snql_bound *n;
        TRY(new_bound(b, BOUND_INPUT, type, &n));
        n->place = input;
        *ret = n;
        return note_input(b, input);
    }
    if (rc != ERR_NOTFOUND)
        return rc;
    switch (e->kind) {
    case SNQL_LITERAL: {
        struct snql_column value;
        TRY(literal_column(b->arena, &e->literal, &value));
        return bind_constant(b, value, ret);
    }
    case SNQL_CALL: return bind_call(b, e, ret);
    case SNQL_LAMBDA:
        return snql_refuse_code(b->error, SNQL_CODE_ILLEGAL_ARGUMENT,
                                "a lambda can only be the first argument of a function of arrays");
    case SNQL_COLUMN:
    case SNQL_SUBSCRIPT:
    case SNQL_ARGUMENT: break;
    }
    return snql_refuse_code(b->error, SNQL_CODE_UNKNOWN_IDENTIFIER, "unknown column '%.*s'",
                            (int)bytes_first(e->name, 100).len, (const char *)e->name.data);
}

enum err snql_bind(const struct snql_expr *e, const struct snql_inputs *inputs, struct arena *arena,
                   const struct snql_bound **ret, struct snql_error *error)
{
    struct binder b = {.inputs = inputs, .arena = arena, .error = error};
    return bind(&b, e, ret);
}

struct snql_type snql_bound_type(const struct snql_bound *b)
{
    return b->type;
}

const struct snql_column *snql_bound_constant(const struct snql_bound *b)
{
    return b->kind == BOUND_CONSTANT ? &b->constant : NULL;
}
