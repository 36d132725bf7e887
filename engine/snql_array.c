/* snql_array.c - arrays, tuples, and functions of their elements.
 *
 * Nearly every function here is a choice among elements that are there already: it says which, in
 * what order, and where each row's part ends. */
#include <math.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/sort.h"
#include "engine/snql_function.h"

#define ELEMENTS_MAX UINT32_C(100000000) /* of a batch: beyond, memory says no before */
#define RANGE_MAX    UINT32_C(1000000)   /* elements of range(n) */

struct bounds {
    uint32_t from;
    uint32_t end;
};

static struct bounds bounds_of(const struct snql_column *c, size_t row)
{
    struct bounds b;
    snql_array_bounds(c, row, &b.from, &b.end);
    return b;
}

static enum err array_of(struct snql_call *c, struct snql_type element, struct snql_error *error)
{
    struct snql_type *kept = ARENA_NEW(c->arena, struct snql_type);
    (void)error;
    if (kept == NULL)
        return arena_error(c->arena);
    *kept = element;
    c->type = (struct snql_type){.kind = SNQL_TYPE_ARRAY, .count = 1, .elements = kept};
    return ERR_OK;
}

static enum err need_array(struct snql_call *c, size_t argument, struct snql_error *error)
{
    if (c->types[argument].kind == SNQL_TYPE_ARRAY)
        return ERR_OK;
    return snql_refuse_type(c, argument, "an array", error);
}

static enum err need_arrays(struct snql_call *c, struct snql_error *error)
{
    for (size_t i = 0; i < c->count; i++)
        TRY(need_array(c, i, error));
    return ERR_OK;
}

/* ---- choosing elements ---- */

struct chosen {
    uint32_t *elements;
    uint32_t *ends; /* one a row */
    uint32_t count;
    uint32_t room;
};

static enum err chosen_begin(struct chosen *k, size_t room, const struct snql_frame *frame)
{
    if (room > ELEMENTS_MAX)
        return ERR_LIMIT;
    *k = (struct chosen){.room = (uint32_t)room};
    k->elements = ARENA_ARRAY(frame->arena, room + 1, uint32_t);
    k->ends = SNQL_ROOM(frame, uint32_t);
    return k->elements == NULL || k->ends == NULL ? arena_error(frame->arena) : ERR_OK;
}

static void chosen_add(struct chosen *k, uint32_t element)
{
    assert(k->count < k->room);
    k->elements[k->count++] = element;
}

static enum err chosen_end(const struct chosen *k, const struct snql_column *elements,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_column *made = ARENA_NEW(frame->arena, struct snql_column);
    if (made == NULL)
        return arena_error(frame->arena);
    TRY(snql_column_gather(elements, k->elements, k->count, frame->arena, made));
    TRY(snql_column_spread(made, k->count, frame->arena, made));
    ret->ends = k->ends;
    ret->elements = made;
    return ERR_OK;
}

/* Elements of all rows. */
static size_t total_of(const struct snql_column *c, size_t rows)
{
    size_t total = 0;
    for (size_t row = 0; row < rows; row++) {
        struct bounds b = bounds_of(c, row);
        total += b.end - b.from;
    }
    return total;
}

enum err snql_array_reverse(const struct snql_column *c, const struct snql_frame *frame,
                            struct snql_column *ret)
{
    struct chosen k;
    TRY(chosen_begin(&k, total_of(c, frame->rows), frame));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(c, row);
        for (uint32_t i = b.end; i > b.from; i--)
            chosen_add(&k, i - 1);
        k.ends[row] = k.count;
    }
    return chosen_end(&k, &c->elements[0], frame, ret);
}

/* ---- array(...), tuple(...) and their elements ---- */

static enum err bind_array(struct snql_call *c, struct snql_error *error)
{
    struct snql_type element;
    TRY(snql_type_common(c->types, c->count, c->arena, &element, error));
    return array_of(c, element, error);
}

static enum err eval_array(const struct snql_call *c, const struct snql_column *args,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_type element = c->type.elements[0];
    struct snql_column *wide = ARENA_ARRAY(frame->arena, c->count + 1, struct snql_column);
    const struct snql_column **parts =
        ARENA_ARRAY(frame->arena, c->count + 1, const struct snql_column *);
    struct chosen k;
    if (wide == NULL || parts == NULL)
        return arena_error(frame->arena);
    TRY(chosen_begin(&k, c->count * frame->rows, frame));
    for (size_t i = 0; i < c->count; i++) {
        TRY(snql_widen(&args[i], element, frame->arena, &wide[i]));
        TRY(snql_column_spread(&wide[i], frame->rows, frame->arena, &wide[i]));
        parts[i] = &wide[i];
    }
    for (size_t row = 0; row < frame->rows; row++) {
        for (size_t i = 0; i < c->count; i++)
            chosen_add(&k, (uint32_t)(i * frame->rows + row));
        k.ends[row] = k.count;
    }
    struct snql_column all = {.type = element};
    if (c->count > 0)
        TRY(snql_column_concat(parts, c->count, frame->arena, &all));
    return chosen_end(&k, &all, frame, ret);
}

static enum err bind_tuple(struct snql_call *c, struct snql_error *error)
{
    (void)error;
    c->type = (struct snql_type){
        .kind = SNQL_TYPE_TUPLE, .count = (uint32_t)c->count, .elements = c->types};
    return ERR_OK;
}

static enum err eval_tuple(const struct snql_call *c, const struct snql_column *args,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_column *elements = ARENA_ARRAY(frame->arena, c->count + 1, struct snql_column);
    if (elements == NULL)
        return arena_error(frame->arena);
    for (size_t i = 0; i < c->count; i++)
        TRY(snql_column_spread(&args[i], frame->rows, frame->arena, &elements[i]));
    ret->elements = elements;
    return ERR_OK;
}

static enum err bind_tuple_element(struct snql_call *c, struct snql_error *error)
{
    if (c->types[0].kind != SNQL_TYPE_TUPLE)
        return snql_refuse_type(c, 0, "a tuple", error);
    uint32_t *place = ARENA_NEW(c->arena, uint32_t);
    if (place == NULL)
        return arena_error(c->arena);
    const struct snql_column *which = c->constants[1];
    *place = UINT32_MAX;
    if (which != NULL && snql_type_is_integer(which->type)) {
        if (which->u64[0] >= 1 && which->u64[0] <= c->types[0].count)
            *place = (uint32_t)which->u64[0] - 1;
    } else if (which != NULL && which->type.kind == SNQL_TYPE_STRING) {
        for (uint32_t i = 0; c->types[0].names != NULL && i < c->types[0].count; i++)
            if (bytes_equal(c->types[0].names[i], which->text[0]))
                *place = i;
    } else {
        return snql_refuse_type(c, 1, "the number or name of an element", error);
    }
    if (*place == UINT32_MAX)
        return snql_refuse_code(error, SNQL_CODE_INDEX_OF_TUPLE,
                                "the tuple has no such element: it has %u", c->types[0].count);
    c->type = c->types[0].elements[*place];
    c->data = place;
    return ERR_OK;
}

static enum err eval_tuple_element(const struct snql_call *c, const struct snql_column *args,
                                   const struct snql_frame *frame, struct snql_column *ret)
{
    const uint32_t *place = c->data;
    *ret = args[0].elements[*place];
    ret->constant |= args[0].constant;
    ret->rows = frame->rows;
    return ERR_OK;
}

/* Elements, and behind them one default value: `*ret_default` is its number. */
static enum err with_default(const struct snql_column *array, const struct snql_frame *frame,
                             struct snql_column *ret, uint32_t *ret_default)
{
    struct snql_column otherwise;
    struct snql_column elements = array->elements[0];
    TRY(snql_column_default(elements.type, frame->arena, &otherwise));
    const struct snql_column *parts[] = {&elements, &otherwise};
    *ret_default = (uint32_t)elements.rows;
    return snql_column_concat(parts, 2, frame->arena, ret);
}

static enum err bind_array_element(struct snql_call *c, struct snql_error *error)
{
    TRY(need_array(c, 0, error));
    if (!snql_type_is_integer(c->types[1]))
        return snql_refuse_type(c, 1, "a whole number", error);
    c->type = c->types[0].elements[0];
    return ERR_OK;
}

static enum err eval_array_element(const struct snql_call *c, const struct snql_column *args,
                                   const struct snql_frame *frame, struct snql_column *ret)
{
    uint32_t *rows = SNQL_ROOM(frame, uint32_t);
    struct snql_column all;
    uint32_t otherwise;
    (void)c;
    if (rows == NULL)
        return arena_error(frame->arena);
    TRY(with_default(&args[0], frame, &all, &otherwise));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&args[0], row);
        size_t at = snql_at(&args[1], row);
        bool back = snql_type_is_signed(args[1].type) && args[1].i64[at] < 0;
        uint64_t n = back ? 0 - args[1].u64[at] : args[1].u64[at];
        bool there = n >= 1 && n <= b.end - b.from;
        rows[row] = !there ? otherwise : back ? b.end - (uint32_t)n : b.from + (uint32_t)n - 1;
    }
    return snql_column_gather(&all, rows, frame->rows, frame->arena, ret);
}

/* ---- lambdas ---- */

/* What the lambda gives for every element of the arrays, which have one length in each row. */
struct mapped {
    struct snql_column arrays; /* the first one, spread */
    struct snql_column values;
};

static enum err map(const struct snql_call *c, const struct snql_column *args,
                    const struct snql_frame *frame, struct mapped *ret)
{
    struct snql_column *elements = ARENA_ARRAY(frame->arena, c->count + 1, struct snql_column);
    if (elements == NULL)
        return arena_error(frame->arena);
    size_t total = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct snql_column array;
        TRY(snql_column_spread(&args[i], frame->rows, frame->arena, &array));
        elements[i] = array.elements[0];
        if (i == 0) {
            ret->arrays = array;
            total = frame->rows == 0 ? 0 : array.ends[frame->rows - 1];
        }
        for (size_t row = 0; row < frame->rows; row++)
            if (array.ends[row] != ret->arrays.ends[row])
                return snql_refuse_code(frame->error, SNQL_CODE_ILLEGAL_ARGUMENT,
                                        "the arrays of %.*s have different sizes",
                                        (int)c->function->name.len,
                                        (const char *)c->function->name.data);
    }
    uint32_t *row_of = ARENA_ARRAY(frame->arena, total + 1, uint32_t);
    if (row_of == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&ret->arrays, row);
        for (uint32_t i = b.from; i < b.end; i++)
            row_of[i] = (uint32_t)row;
    }
    if (c->lambda == NULL) {
        ret->values = elements[0];
        return ERR_OK;
    }
    return snql_lambda_eval(c->lambda, elements, total, row_of, frame, &ret->values);
}

/* With a lambda as many arrays as it names, without one a single array. */
static enum err check_lambda(struct snql_call *c, struct snql_error *error)
{
    TRY(need_arrays(c, error));
    size_t wanted = c->lambda == NULL ? 1 : snql_lambda_argument_count(c->lambda);
    if (c->count != wanted)
        return snql_refuse_code(error, SNQL_CODE_ARGUMENT_COUNT, "%.*s takes %zu arrays, not %zu",
                                (int)c->function->name.len, (const char *)c->function->name.data,
                                wanted, c->count);
    return ERR_OK;
}

static enum err need_lambda(struct snql_call *c, struct snql_error *error)
{
    if (c->lambda == NULL)
        return snql_refuse_code(error, SNQL_CODE_ILLEGAL_ARGUMENT, "%.*s takes a lambda first",
                                (int)c->function->name.len, (const char *)c->function->name.data);
    return check_lambda(c, error);
}

static bool is_flag(struct snql_type t)
{
    return snql_type_is_integer(t) || t.kind == SNQL_TYPE_NOTHING;
}

static enum err need_condition(struct snql_call *c, struct snql_error *error)
{
    struct snql_type t = c->lambda != NULL ? snql_lambda_type(c->lambda) : c->types[0].elements[0];
    if (is_flag(t))
        return ERR_OK;
    return snql_refuse_code(error, SNQL_CODE_ILLEGAL_ARGUMENT, "%.*s needs a condition",
                            (int)c->function->name.len, (const char *)c->function->name.data);
}

static bool is_set(const struct snql_column *c, size_t row)
{
    return !snql_is_null(c, row) && c->u64[snql_at(c, row)] != 0;
}

static enum err bind_map(struct snql_call *c, struct snql_error *error)
{
    TRY(need_lambda(c, error));
    return array_of(c, snql_lambda_type(c->lambda), error);
}

static enum err eval_map(const struct snql_call *c, const struct snql_column *args,
                         const struct snql_frame *frame, struct snql_column *ret)
{
    struct mapped m;
    struct snql_column *element = ARENA_NEW(frame->arena, struct snql_column);
    if (element == NULL)
        return arena_error(frame->arena);
    TRY(map(c, args, frame, &m));
    TRY(snql_column_spread(&m.values, m.values.rows, frame->arena, element));
    ret->ends = m.arrays.ends;
    ret->elements = element;
    return ERR_OK;
}

static enum err bind_filter(struct snql_call *c, struct snql_error *error)
{
    TRY(need_lambda(c, error));
    TRY(need_condition(c, error));
    c->type = c->types[0];
    return ERR_OK;
}

static enum err eval_filter(const struct snql_call *c, const struct snql_column *args,
                            const struct snql_frame *frame, struct snql_column *ret)
{
    struct mapped m;
    struct chosen k;
    TRY(map(c, args, frame, &m));
    TRY(chosen_begin(&k, m.values.rows, frame));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&m.arrays, row);
        for (uint32_t i = b.from; i < b.end; i++)
            if (is_set(&m.values, i))
                chosen_add(&k, i);
        k.ends[row] = k.count;
    }
    return chosen_end(&k, &m.arrays.elements[0], frame, ret);
}

static enum err bind_first(struct snql_call *c, struct snql_error *error)
{
    TRY(bind_filter(c, error));
    c->type = c->types[0].elements[0];
    return ERR_OK;
}

static enum err eval_first(const struct snql_call *c, const struct snql_column *args,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    struct mapped m;
    struct snql_column all;
    uint32_t otherwise;
    uint32_t *rows = SNQL_ROOM(frame, uint32_t);
    if (rows == NULL)
        return arena_error(frame->arena);
    TRY(map(c, args, frame, &m));
    TRY(with_default(&m.arrays, frame, &all, &otherwise));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&m.arrays, row);
        while (b.from < b.end && !is_set(&m.values, b.from))
            b.from++;
        rows[row] = b.from < b.end ? b.from : otherwise;
    }
    return snql_column_gather(&all, rows, frame->rows, frame->arena, ret);
}

/* arrayExists, arrayAll, arrayCount */
enum quantifier { EXISTS, ALL, COUNT };

static enum err bind_quantifier(struct snql_call *c, struct snql_error *error)
{
    TRY(check_lambda(c, error));
    TRY(need_condition(c, error));
    c->type = snql_type_of(c->function->variant == COUNT ? SNQL_TYPE_UINT32 : SNQL_TYPE_UINT8);
    return ERR_OK;
}

static enum err eval_quantifier(const struct snql_call *c, const struct snql_column *args,
                                const struct snql_frame *frame, struct snql_column *ret)
{
    struct mapped m;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    TRY(map(c, args, frame, &m));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&m.arrays, row);
        uint64_t count = 0;
        for (uint32_t i = b.from; i < b.end; i++)
            count += is_set(&m.values, i);
        out[row] = c->function->variant == COUNT    ? count
                   : c->function->variant == EXISTS ? count > 0
                                                    : count == b.end - b.from;
    }
    ret->u64 = out;
    return ERR_OK;
}

/* ---- sums ---- */

enum sum { SUM, AVERAGE };

static struct snql_type mapped_type(const struct snql_call *c)
{
    return c->lambda != NULL ? snql_lambda_type(c->lambda) : c->types[0].elements[0];
}

static enum err bind_array_sum(struct snql_call *c, struct snql_error *error)
{
    TRY(check_lambda(c, error));
    struct snql_type t = mapped_type(c);
    if (!snql_type_is_number(t) && t.kind != SNQL_TYPE_NOTHING)
        return snql_refuse_type(c, 0, "an array of numbers", error);
    c->type =
        snql_type_of(c->function->variant == AVERAGE || !snql_type_is_integer(t) ? SNQL_TYPE_FLOAT64
                     : snql_type_is_signed(t)                                    ? SNQL_TYPE_INT64
                                              : SNQL_TYPE_UINT64);
    return ERR_OK;
}

static enum err eval_array_sum(const struct snql_call *c, const struct snql_column *args,
                               const struct snql_frame *frame, struct snql_column *ret)
{
    struct mapped m;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    TRY(map(c, args, frame, &m));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&m.arrays, row);
        uint64_t whole = 0;
        double sum = 0;
        for (uint32_t i = b.from; i < b.end; i++) {
            if (snql_is_null(&m.values, i))
                continue;
            if (snql_type_is_float(c->type))
                sum += snql_as_double(&m.values, i);
            else
                whole += m.values.u64[snql_at(&m.values, i)];
        }
        if (c->function->variant == AVERAGE)
            sum = b.end == b.from ? (double)NAN : sum / (b.end - b.from);
        if (snql_type_is_float(c->type))
            memcpy(&out[row], &sum, sizeof(sum));
        else
            out[row] = whole;
    }
    ret->u64 = out;
    return ERR_OK;
}

/* arrayMin, arrayMax: of what the lambda gives, or of the elements. */
static enum err bind_array_extreme(struct snql_call *c, struct snql_error *error)
{
    TRY(check_lambda(c, error));
    c->type = snql_type_bare(mapped_type(c));
    return ERR_OK;
}

static enum err eval_array_extreme(const struct snql_call *c, const struct snql_column *args,
                                   const struct snql_frame *frame, struct snql_column *ret)
{
    struct mapped m;
    struct snql_column otherwise;
    struct snql_column all;
    uint32_t *rows = SNQL_ROOM(frame, uint32_t);
    if (rows == NULL)
        return arena_error(frame->arena);
    TRY(map(c, args, frame, &m));
    struct snql_column values = m.values;
    TRY(snql_column_spread(&values, values.rows, frame->arena, &values));
    TRY(snql_column_default(c->type, frame->arena, &otherwise));
    otherwise.type = values.type;
    const struct snql_column *parts[] = {&values, &otherwise};
    TRY(snql_column_concat(parts, 2, frame->arena, &all));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&m.arrays, row);
        uint32_t best = (uint32_t)values.rows;
        for (uint32_t i = b.from; i < b.end; i++) {
            if (snql_is_null(&values, i))
                continue;
            int order = best == values.rows ? 0 : snql_column_compare(&values, i, &values, best);
            if (best == values.rows || (c->function->variant == 1 ? order > 0 : order < 0))
                best = i;
        }
        rows[row] = best;
    }
    TRY(snql_column_gather(&all, rows, frame->rows, frame->arena, ret));
    ret->nulls = NULL;
    return ERR_OK;
}

/* ---- lists as sets ---- */

/* Elements and values in one type. */
static enum err bind_with_value(struct snql_call *c, struct snql_error *error)
{
    TRY(need_array(c, 0, error));
    struct snql_type types[] = {c->types[0].elements[0], c->types[1]};
    struct snql_type *common = ARENA_NEW(c->arena, struct snql_type);
    if (common == NULL)
        return arena_error(c->arena);
    TRY(snql_type_common(types, 2, c->arena, common, error));
    c->data = common;
    return ERR_OK;
}

/* has, indexOf, countEqual */
enum search { HAS, INDEX_OF, COUNT_EQUAL };

static enum err bind_search(struct snql_call *c, struct snql_error *error)
{
    TRY(bind_with_value(c, error));
    c->type = snql_type_of(c->function->variant == HAS ? SNQL_TYPE_UINT8 : SNQL_TYPE_UINT64);
    return ERR_OK;
}

static enum err eval_search(const struct snql_call *c, const struct snql_column *args,
                            const struct snql_frame *frame, struct snql_column *ret)
{
    const struct snql_type *common = c->data;
    struct snql_column elements;
    struct snql_column value;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    TRY(snql_widen(&args[0].elements[0], *common, frame->arena, &elements));
    TRY(snql_widen(&args[1], *common, frame->arena, &value));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&args[0], row);
        uint64_t count = 0;
        uint64_t first = 0;
        for (uint32_t i = b.from; i < b.end; i++) {
            if (snql_column_compare(&elements, i, &value, row) != 0)
                continue;
            count++;
            if (first == 0)
                first = i - b.from + 1;
        }
        out[row] = c->function->variant == HAS        ? count > 0
                   : c->function->variant == INDEX_OF ? first
                                                      : count;
    }
    ret->u64 = out;
    return ERR_OK;
}

/* Elements of one array, to be found by value. */
struct element_set {
    const struct snql_column *elements;
    uint32_t *slots; /* element + 1; 0: free */
    size_t slot_count;
    uint64_t seed;
};

static enum err element_set_make(const struct snql_column *elements, struct bounds b,
                                 const struct snql_frame *frame, struct element_set *ret)
{
    *ret = (struct element_set){.elements = elements, .slot_count = 8, .seed = hash_seed()};
    while (ret->slot_count < 2 * (size_t)(b.end - b.from))
        ret->slot_count *= 2;
    ret->slots = ARENA_ARRAY(frame->arena, ret->slot_count, uint32_t);
    if (ret->slots == NULL)
        return arena_error(frame->arena);
    memset(ret->slots, 0, ret->slot_count * sizeof(*ret->slots));
    return ERR_OK;
}

/* The slot of an equal element, or the free one where it would go. */
static uint32_t *element_set_find(const struct element_set *s, const struct snql_column *c,
                                  uint32_t row)
{
    size_t at = (size_t)snql_column_hash(c, row, s->seed) & (s->slot_count - 1);
    while (s->slots[at] != 0 && snql_column_compare(s->elements, s->slots[at] - 1, c, row) != 0)
        at = (at + 1) & (s->slot_count - 1);
    return &s->slots[at];
}

/* hasAny (0), hasAll (1) */
static enum err bind_has_some(struct snql_call *c, struct snql_error *error)
{
    TRY(need_arrays(c, error));
    struct snql_type types[] = {c->types[0].elements[0], c->types[1].elements[0]};
    struct snql_type *common = ARENA_NEW(c->arena, struct snql_type);
    if (common == NULL)
        return arena_error(c->arena);
    TRY(snql_type_common(types, 2, c->arena, common, error));
    c->data = common;
    c->type = snql_type_of(SNQL_TYPE_UINT8);
    return ERR_OK;
}

static enum err eval_has_some(const struct snql_call *c, const struct snql_column *args,
                              const struct snql_frame *frame, struct snql_column *ret)
{
    const struct snql_type *common = c->data;
    struct snql_column a;
    struct snql_column b;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    TRY(snql_widen(&args[0].elements[0], *common, frame->arena, &a));
    TRY(snql_widen(&args[1].elements[0], *common, frame->arena, &b));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds in = bounds_of(&args[0], row);
        struct bounds of = bounds_of(&args[1], row);
        uint32_t found = 0;
        struct element_set set;
        TRY(element_set_make(&a, in, frame, &set));
        for (uint32_t k = in.from; k < in.end; k++)
            *element_set_find(&set, &a, k) = k + 1;
        for (uint32_t i = of.from; i < of.end; i++)
            found += *element_set_find(&set, &b, i) != 0;
        out[row] = c->function->variant == 1 ? found == of.end - of.from : found > 0;
    }
    ret->u64 = out;
    return ERR_OK;
}

/* Numbers of the first of each distinct element of a row, in order; NULLs are left out. */
static enum err distinct_of(const struct snql_column *elements, struct bounds b,
                            const struct snql_frame *frame, struct chosen *k)
{
    struct element_set set;
    TRY(element_set_make(elements, b, frame, &set));
    for (uint32_t i = b.from; i < b.end; i++) {
        uint32_t *slot = snql_is_null(elements, i) ? NULL : element_set_find(&set, elements, i);
        if (slot == NULL || *slot != 0)
            continue;
        *slot = i + 1;
        chosen_add(k, i);
    }
    return ERR_OK;
}

/* arrayDistinct (0), arrayUniq (1): how many there are */
static enum err bind_distinct(struct snql_call *c, struct snql_error *error)
{
    TRY(need_array(c, 0, error));
    if (c->function->variant == 1) {
        c->type = snql_type_of(SNQL_TYPE_UINT32);
        return ERR_OK;
    }
    struct snql_type element = c->types[0].elements[0];
    element.nullable = false;
    return array_of(c, element, error);
}

static enum err eval_distinct(const struct snql_call *c, const struct snql_column *args,
                              const struct snql_frame *frame, struct snql_column *ret)
{
    struct chosen k;
    uint64_t *counts = SNQL_ROOM(frame, uint64_t);
    if (counts == NULL)
        return arena_error(frame->arena);
    TRY(chosen_begin(&k, total_of(&args[0], frame->rows), frame));
    for (size_t row = 0; row < frame->rows; row++) {
        uint32_t before = k.count;
        TRY(distinct_of(&args[0].elements[0], bounds_of(&args[0], row), frame, &k));
        k.ends[row] = k.count;
        counts[row] = k.count - before;
    }
    if (c->function->variant == 1) {
        ret->u64 = counts;
        return ERR_OK;
    }
    struct snql_column elements = args[0].elements[0];
    elements.type = c->type.elements[0];
    elements.nulls = NULL;
    return chosen_end(&k, &elements, frame, ret);
}

/* ---- longer and shorter arrays ---- */

/* arrayPushFront (0), arrayPushBack (1) */
static enum err bind_push(struct snql_call *c, struct snql_error *error)
{
    TRY(bind_with_value(c, error));
    const struct snql_type *common = c->data;
    return array_of(c, *common, error);
}

static enum err eval_push(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_type type = c->type.elements[0];
    struct snql_column elements;
    struct snql_column value;
    struct snql_column all;
    struct chosen k;
    TRY(chosen_begin(&k, total_of(&args[0], frame->rows) + frame->rows, frame));
    TRY(snql_widen(&args[0].elements[0], type, frame->arena, &elements));
    TRY(snql_widen(&args[1], type, frame->arena, &value));
    TRY(snql_column_spread(&value, frame->rows, frame->arena, &value));
    const struct snql_column *parts[] = {&elements, &value};
    TRY(snql_column_concat(parts, 2, frame->arena, &all));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&args[0], row);
        uint32_t added = (uint32_t)(elements.rows + row);
        if (c->function->variant == 0)
            chosen_add(&k, added);
        for (uint32_t i = b.from; i < b.end; i++)
            chosen_add(&k, i);
        if (c->function->variant == 1)
            chosen_add(&k, added);
        k.ends[row] = k.count;
    }
    return chosen_end(&k, &all, frame, ret);
}

static enum err bind_array_concat(struct snql_call *c, struct snql_error *error)
{
    TRY(need_arrays(c, error));
    return snql_type_common(c->types, c->count, c->arena, &c->type, error);
}

static enum err eval_array_concat(const struct snql_call *c, const struct snql_column *args,
                                  const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_column *wide = ARENA_ARRAY(frame->arena, c->count, struct snql_column);
    const struct snql_column **parts =
        ARENA_ARRAY(frame->arena, c->count, const struct snql_column *);
    uint32_t *base = ARENA_ARRAY(frame->arena, c->count + 1, uint32_t);
    if (wide == NULL || parts == NULL || base == NULL)
        return arena_error(frame->arena);
    size_t total = 0;
    base[0] = 0;
    for (size_t i = 0; i < c->count; i++) {
        TRY(snql_widen(&args[i].elements[0], c->type.elements[0], frame->arena, &wide[i]));
        parts[i] = &wide[i];
        base[i + 1] = base[i] + (uint32_t)wide[i].rows;
        total += total_of(&args[i], frame->rows);
    }
    struct snql_column all;
    struct chosen k;
    TRY(snql_column_concat(parts, c->count, frame->arena, &all));
    TRY(chosen_begin(&k, total, frame));
    for (size_t row = 0; row < frame->rows; row++) {
        for (size_t i = 0; i < c->count; i++) {
            struct bounds b = bounds_of(&args[i], row);
            for (; b.from < b.end; b.from++)
                chosen_add(&k, base[i] + b.from);
        }
        k.ends[row] = k.count;
    }
    return chosen_end(&k, &all, frame, ret);
}

static enum err bind_array_slice(struct snql_call *c, struct snql_error *error)
{
    TRY(need_array(c, 0, error));
    for (size_t i = 1; i < c->count; i++)
        if (!snql_type_is_integer(c->types[i]))
            return snql_refuse_type(c, i, "a whole number", error);
    c->type = c->types[0];
    return ERR_OK;
}

/* arraySlice(a, from[, n]): from counts from 1, or from the end; n below 0 leaves that many out. */
static enum err eval_array_slice(const struct snql_call *c, const struct snql_column *args,
                                 const struct snql_frame *frame, struct snql_column *ret)
{
    struct chosen k;
    TRY(chosen_begin(&k, total_of(&args[0], frame->rows), frame));
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&args[0], row);
        int64_t len = b.end - b.from;
        int64_t from = snql_i64_at(&args[1], row);
        from = from > 0 ? from - 1 : from < 0 ? (from < -len ? 0 : len + from) : len;
        from = from > len ? len : from;
        int64_t n = c->count == 3 ? snql_i64_at(&args[2], row) : len;
        int64_t end = n < 0 ? len + (n < -len ? -len : n) : n > len - from ? len : from + n;
        for (int64_t i = from; i < end; i++)
            chosen_add(&k, b.from + (uint32_t)i);
        k.ends[row] = k.count;
    }
    return chosen_end(&k, &args[0].elements[0], frame, ret);
}

/* ---- order ---- */

struct sorter {
    const struct snql_column *keys;
    bool descending;
};

static int compare_elements(const void *left, const void *right, void *self)
{
    const struct sorter *s = self;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    int order = snql_column_compare(s->keys, a, s->keys, b);
    if (order == 0)
        return (a > b) - (a < b);
    return s->descending && !snql_comes_last(s->keys, a) && !snql_comes_last(s->keys, b) ? -order
                                                                                         : order;
}

static enum err bind_sort(struct snql_call *c, struct snql_error *error)
{
    c->type = c->types[0];
    return check_lambda(c, error);
}

static enum err eval_sort(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    struct mapped m;
    struct chosen k;
    TRY(map(c, args, frame, &m));
    TRY(chosen_begin(&k, total_of(&m.arrays, frame->rows), frame));
    struct sorter s = {&m.values, c->function->variant == 1};
    for (size_t row = 0; row < frame->rows; row++) {
        struct bounds b = bounds_of(&m.arrays, row);
        uint32_t *first = k.elements + k.count;
        for (uint32_t i = b.from; i < b.end; i++)
            chosen_add(&k, i);
        TRY(sort_array(frame->arena->account, first, b.end - b.from, sizeof(*first),
                       compare_elements, &s));
        k.ends[row] = k.count;
    }
    return chosen_end(&k, &m.arrays.elements[0], frame, ret);
}

static enum err bind_array_reverse(struct snql_call *c, struct snql_error *error)
{
    c->type = c->types[0];
    return need_array(c, 0, error);
}

static enum err eval_array_reverse(const struct snql_call *c, const struct snql_column *args,
                                   const struct snql_frame *frame, struct snql_column *ret)
{
    (void)c;
    return snql_array_reverse(&args[0], frame, ret);
}

/* ---- others ---- */

static enum err bind_zip(struct snql_call *c, struct snql_error *error)
{
    TRY(need_arrays(c, error));
    struct snql_type *elements = ARENA_ARRAY(c->arena, c->count + 1, struct snql_type);
    if (elements == NULL)
        return arena_error(c->arena);
    for (size_t i = 0; i < c->count; i++)
        elements[i] = c->types[i].elements[0];
    return array_of(c,
                    (struct snql_type){
                        .kind = SNQL_TYPE_TUPLE, .count = (uint32_t)c->count, .elements = elements},
                    error);
}

static enum err eval_zip(const struct snql_call *c, const struct snql_column *args,
                         const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_column *parts = ARENA_ARRAY(frame->arena, c->count + 1, struct snql_column);
    struct snql_column *tuple = ARENA_NEW(frame->arena, struct snql_column);
    if (parts == NULL || tuple == NULL)
        return arena_error(frame->arena);
    struct snql_column first = {0};
    for (size_t i = 0; i < c->count; i++) {
        struct snql_column array;
        TRY(snql_column_spread(&args[i], frame->rows, frame->arena, &array));
        parts[i] = array.elements[0];
        if (i == 0)
            first = array;
        for (size_t row = 0; row < frame->rows; row++)
            if (array.ends[row] != first.ends[row])
                return snql_refuse_code(frame->error, SNQL_CODE_ILLEGAL_ARGUMENT,
                                        "the arrays of arrayZip have different sizes");
    }
    *tuple =
        (struct snql_column){.type = c->type.elements[0], .rows = parts[0].rows, .elements = parts};
    ret->ends = first.ends;
    ret->elements = tuple;
    return ERR_OK;
}

static enum err bind_flatten(struct snql_call *c, struct snql_error *error)
{
    TRY(need_array(c, 0, error));
    struct snql_type t = c->types[0];
    while (t.elements[0].kind == SNQL_TYPE_ARRAY)
        t = t.elements[0];
    c->type = t;
    return ERR_OK;
}

static enum err eval_flatten(const struct snql_call *c, const struct snql_column *args,
                             const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_column array;
    (void)c;
    TRY(snql_column_spread(&args[0], frame->rows, frame->arena, &array));
    while (array.type.elements[0].kind == SNQL_TYPE_ARRAY) {
        const struct snql_column *inner = &array.elements[0];
        uint32_t *ends = SNQL_ROOM(frame, uint32_t);
        if (ends == NULL)
            return arena_error(frame->arena);
        for (size_t row = 0; row < frame->rows; row++)
            ends[row] = array.ends[row] == 0 ? 0 : inner->ends[array.ends[row] - 1];
        array.ends = ends;
        array.type = *array.type.elements;
        array.elements = inner->elements;
    }
    ret->ends = array.ends;
    ret->elements = array.elements;
    return ERR_OK;
}

static enum err bind_range(struct snql_call *c, struct snql_error *error)
{
    if (!snql_type_is_integer(c->types[0]))
        return snql_refuse_type(c, 0, "a whole number", error);
    return array_of(c, snql_type_plain(c->types[0]), error);
}

static enum err eval_range(const struct snql_call *c, const struct snql_column *args,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    uint64_t total = 0;
    uint32_t *ends = SNQL_ROOM(frame, uint32_t);
    if (ends == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        int64_t n = snql_i64_at(&args[0], row);
        if (n > RANGE_MAX || total > ELEMENTS_MAX)
            return snql_refuse_code(frame->error, SNQL_CODE_OUT_OF_BOUND,
                                    "range makes at most %u elements", RANGE_MAX);
        total += n > 0 ? (uint64_t)n : 0;
        ends[row] = (uint32_t)total;
    }
    uint64_t *values = ARENA_ARRAY(frame->arena, total + 1, uint64_t);
    struct snql_column *element = ARENA_NEW(frame->arena, struct snql_column);
    if (values == NULL || element == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++)
        for (uint32_t i = row == 0 ? 0 : ends[row - 1], v = 0; i < ends[row]; i++, v++)
            values[i] = v;
    *element = (struct snql_column){.type = c->type.elements[0], .rows = total, .u64 = values};
    ret->ends = ends;
    ret->elements = element;
    return ERR_OK;
}

#define OWN (SNQL_TAKES_NULL | SNQL_OWN_TYPE)
#define LAMBDA(name, variant, bind, eval)                                      \
    {                                                                          \
        BYTES(name), 1, SNQL_ANY_COUNT, SNQL_TAKES_LAMBDA, variant, bind, eval \
    }

static const struct snql_function functions[] = {
    {BYTES("array"), 0, SNQL_ANY_COUNT, OWN, 0, bind_array, eval_array},
    {BYTES("tuple"), 1, SNQL_ANY_COUNT, OWN, 0, bind_tuple, eval_tuple},
    {BYTES("tupleElement"), 2, 2, OWN, 0, bind_tuple_element, eval_tuple_element},
    {BYTES("arrayElement"), 2, 2, OWN, 0, bind_array_element, eval_array_element},
    LAMBDA("arrayMap", 0, bind_map, eval_map),
    LAMBDA("arrayFilter", 0, bind_filter, eval_filter),
    LAMBDA("arrayFirst", 0, bind_first, eval_first),
    LAMBDA("arrayExists", EXISTS, bind_quantifier, eval_quantifier),
    LAMBDA("arrayAll", ALL, bind_quantifier, eval_quantifier),
    LAMBDA("arrayCount", COUNT, bind_quantifier, eval_quantifier),
    LAMBDA("arraySum", SUM, bind_array_sum, eval_array_sum),
    LAMBDA("arrayAvg", AVERAGE, bind_array_sum, eval_array_sum),
    LAMBDA("arrayMin", 0, bind_array_extreme, eval_array_extreme),
    LAMBDA("arrayMax", 1, bind_array_extreme, eval_array_extreme),
    LAMBDA("arraySort", 0, bind_sort, eval_sort),
    LAMBDA("arrayReverseSort", 1, bind_sort, eval_sort),
    {BYTES("has"), 2, 2, 0, HAS, bind_search, eval_search},
    {BYTES("indexOf"), 2, 2, 0, INDEX_OF, bind_search, eval_search},
    {BYTES("countEqual"), 2, 2, 0, COUNT_EQUAL, bind_search, eval_search},
    {BYTES("hasAny"), 2, 2, 0, 0, bind_has_some, eval_has_some},
    {BYTES("hasAll"), 2, 2, 0, 1, bind_has_some, eval_has_some},
    {BYTES("arrayDistinct"), 1, 1, 0, 0, bind_distinct, eval_distinct},
    {BYTES("arrayUniq"), 1, 1, 0, 1, bind_distinct, eval_distinct},
    {BYTES("arrayPushFront"), 2, 2, SNQL_TAKES_NULL, 0, bind_push, eval_push},
    {BYTES("arrayPushBack"), 2, 2, SNQL_TAKES_NULL, 1, bind_push, eval_push},
    {BYTES("arrayConcat"), 1, SNQL_ANY_COUNT, 0, 0, bind_array_concat, eval_array_concat},
    {BYTES("arraySlice"), 2, 3, 0, 0, bind_array_slice, eval_array_slice},
    {BYTES("arrayReverse"), 1, 1, 0, 0, bind_array_reverse, eval_array_reverse},
    {BYTES("arrayZip"), 1, SNQL_ANY_COUNT, 0, 0, bind_zip, eval_zip},
    {BYTES("arrayFlatten"), 1, 1, 0, 0, bind_flatten, eval_flatten},
    {BYTES("range"), 1, 1, 0, 0, bind_range, eval_range},
};

const struct snql_function_list snql_array_functions = {functions,
                                                        sizeof(functions) / sizeof(functions[0])};
