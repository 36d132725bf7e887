/* snql_plan.c - conditions as boxes: united by OR, cut by AND. */
#include "engine/snql_plan.h"

#include <assert.h>

#include "base/limits.h"
#include "base/sort.h"
#include "engine/snql_expr.h"

#define MICROSECONDS INT64_C(1000000)

/* What a column says about where a row is. */
enum place { PLACE_NONE, PLACE_PROJECT, PLACE_PROFILER, PLACE_ID, PLACE_START, PLACE_END };

struct planner {
    const struct snql_table_schema *schema;
    struct arena *arena;
};

static const struct snql_box everywhere = {
    .start = {INT64_MIN, INT64_MAX},
    .end = {INT64_MIN, INT64_MAX},
};

static bool is_everywhere(const struct snql_plan *p)
{
    const struct snql_box *b = p->boxes;
    return p->count == 1 && b->projects.values == NULL && b->profilers.values == NULL &&
           b->ids.values == NULL && b->start.min == INT64_MIN && b->start.max == INT64_MAX &&
           b->end.min == INT64_MIN && b->end.max == INT64_MAX;
}

static enum place place_of(const struct snql_table_schema *schema, const struct snql_expr *e)
{
    if (e->kind != SNQL_COLUMN)
        return PLACE_NONE;
    struct bytes name = e->name;
    if (bytes_equal(name, BYTES("project_id")))
        return PLACE_PROJECT;
    switch (schema->table) {
    case SNQL_PROFILE_CHUNKS:
        if (bytes_equal(name, BYTES("profiler_id")))
            return PLACE_PROFILER;
        if (bytes_equal(name, BYTES("chunk_id")))
            return PLACE_ID;
        if (bytes_equal(name, BYTES("start_timestamp")))
            return PLACE_START;
        return bytes_equal(name, BYTES("end_timestamp")) ? PLACE_END : PLACE_NONE;
    case SNQL_PROFILES:
        if (bytes_equal(name, BYTES("profile_id")))
            return PLACE_ID;
        return bytes_equal(name, BYTES("received")) ? PLACE_START : PLACE_NONE;
    case SNQL_FUNCTIONS_RAW:
    case SNQL_FUNCTIONS: return bytes_equal(name, BYTES("timestamp")) ? PLACE_START : PLACE_NONE;
    }
    return PLACE_NONE;
}

/* ---- values ---- */

static int64_t from_double(double microseconds)
{
    if (!(microseconds > -9e18)) /* NaN too: nothing is known of it, and nothing equals it */
        return INT64_MIN;
    return microseconds < 9e18 ? (int64_t)microseconds : INT64_MAX;
}

static int64_t from_seconds(uint64_t seconds)
{
    return seconds > (uint64_t)(INT64_MAX / MICROSECONDS) ? INT64_MAX
                                                          : (int64_t)seconds * MICROSECONDS;
}

/* Of a constant of a type of time or number; false: it is none. */
static bool column_microseconds(const struct snql_column *c, int64_t *ret)
{
    if (snql_is_null(c, 0))
        return false;
    switch (c->type.kind) {
    case SNQL_TYPE_DATE: *ret = from_seconds(c->u64[0] * 86400); return true;
    case SNQL_TYPE_DATETIME: *ret = from_seconds(c->u64[0]); return true;
    case SNQL_TYPE_DATETIME64: {
        int64_t ticks = c->i64[0];
        for (unsigned digits = c->type.precision; digits > 6; digits--)
            ticks /= 10;
        for (unsigned digits = c->type.precision; digits < 6; digits++)
            if (__builtin_mul_overflow(ticks, 10, &ticks))
                return false;
        *ret = ticks;
        return true;
    }
    default: return false;
    }
}

/* NOLINTNEXTLINE(readability-non-const-parameter): one of many of its type */
static enum err no_inputs(void *self, const struct snql_expr *e, uint32_t *ret_input,
                          struct snql_type *ret_type, struct snql_error *error)
{
    (void)self, (void)ret_input, (void)ret_type;
    if (e->kind == SNQL_COLUMN || e->kind == SNQL_SUBSCRIPT)
        return snql_refuse_code(error, SNQL_CODE_UNKNOWN_IDENTIFIER, "not a constant");
    return ERR_NOTFOUND;
}

/* What a call on constants comes to; NULL: not known, for whatever reason. The condition itself will
 * say what is wrong with it. */
static const struct snql_column *constant_of(struct planner *p, const struct snql_expr *e)
{
    struct snql_inputs inputs = {.find = no_inputs};
    const struct snql_bound *bound;
    struct snql_error ignored;
    if (snql_bind(e, &inputs, p->arena, &bound, &ignored) != ERR_OK)
        return NULL;
    return snql_bound_constant(bound);
}

/* A moment that a time column is compared with; false: it is not known here. */
static bool moment_of(struct planner *p, struct snql_expr *e, int64_t *ret)
{
    if (e->kind == SNQL_CALL) {
        const struct snql_column *c = constant_of(p, e);
        return c != NULL && column_microseconds(c, ret);
    }
    if (e->kind != SNQL_LITERAL)
        return false;
    const struct snql_literal *v = &e->literal;
    switch (v->kind) {
    case SNQL_DATETIME:
    case SNQL_UNSIGNED: *ret = from_seconds(v->unsigned_value); return true;
    case SNQL_FLOAT: *ret = from_double(v->float_value * 1e6); return true;
    case SNQL_TEXT: {
        struct snql_expr six = {.kind = SNQL_LITERAL,
                                .literal = {.kind = SNQL_UNSIGNED, .unsigned_value = 6}};
        struct snql_expr *args[] = {e, &six};
        struct snql_expr call = {
            .kind = SNQL_CALL, .name = BYTES("toDateTime64"), .args = args, .arg_count = 2};
        const struct snql_column *c = constant_of(p, &call);
        return c != NULL && column_microseconds(c, ret);
    }
    default: return false;
    }
}

/* ---- lists ---- */

static int compare_numbers(const void *a, const void *b, void *self)
{
    (void)self;
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static int compare_ids(const void *a, const void *b, void *self)
{
    (void)self;
    return uuid_compare(*(const struct uuid *)a, *(const struct uuid *)b);
}

/* Sorted and each once. */
static enum err tidy_list(struct planner *p, void *items, size_t size, size_t *count,
                          int (*compare)(const void *, const void *, void *))
{
    TRY(sort_array(p->arena->account, items, *count, size, compare, NULL));
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        const uint8_t *item = (const uint8_t *)items + i * size;
        if (kept > 0 && compare((uint8_t *)items + (kept - 1) * size, item, NULL) == 0)
            continue;
        memmove((uint8_t *)items + kept * size, item, size);
        kept++;
    }
    *count = kept;
    return ERR_OK;
}

/* Those in both, in order; `a` and `b` are tidy. */
static size_t meet_lists(const void *a, size_t a_count, const void *b, size_t b_count, size_t size,
                         int (*compare)(const void *, const void *, void *), void *ret)
{
    size_t count = 0;
    for (size_t i = 0, j = 0; i < a_count && j < b_count;) {
        const uint8_t *left = (const uint8_t *)a + i * size;
        int order = compare(left, (const uint8_t *)b + j * size, NULL);
        if (order == 0)
            memcpy((uint8_t *)ret + count++ * size, left, size);
        i += order <= 0;
        j += order >= 0;
    }
    return count;
}

/* The values of `= x` (one) or `IN list`; false: not all of them are known. */
static bool list_of(struct snql_expr *e, struct snql_expr ***ret, size_t *ret_count)
{
    if (e->kind == SNQL_CALL &&
        (bytes_equal(e->name, BYTES("array")) || bytes_equal(e->name, BYTES("tuple")))) {
        *ret = e->args;
        *ret_count = e->arg_count;
        return true;
    }
    return false;
}

/* ---- boxes ---- */

static enum err one_box(struct planner *p, struct snql_box box, struct snql_plan *ret)
{
    struct snql_box *b = ARENA_NEW(p->arena, struct snql_box);
    if (b == NULL)
        return arena_error(p->arena);
    *b = box;
    *ret = (struct snql_plan){b, 1};
    return ERR_OK;
}

static enum err number_box(struct planner *p, struct snql_expr **list, size_t count,
                           struct snql_plan *ret)
{
    uint64_t *values = ARENA_ARRAY(p->arena, count + 1, uint64_t);
    if (values == NULL)
        return arena_error(p->arena);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct snql_literal *v = &list[i]->literal;
        if (list[i]->kind != SNQL_LITERAL)
            return one_box(p, everywhere, ret);
        switch (v->kind) {
        case SNQL_UNSIGNED: values[n++] = v->unsigned_value; break;
        case SNQL_SIGNED:
        case SNQL_NULL: break; /* equals no project */
        default: return one_box(p, everywhere, ret);
        }
    }
    TRY(tidy_list(p, values, sizeof(*values), &n, compare_numbers));
    struct snql_box box = everywhere;
    box.projects = (struct snql_numbers){values, n};
    return one_box(p, box, ret);
}

static enum err id_box(struct planner *p, enum place place, struct snql_expr **list, size_t count,
                       struct snql_plan *ret)
{
    struct uuid *values = ARENA_ARRAY(p->arena, count + 1, struct uuid);
    if (values == NULL)
        return arena_error(p->arena);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i]->kind != SNQL_LITERAL)
            return one_box(p, everywhere, ret);
        if (list[i]->literal.kind == SNQL_ID)
            values[n++] = list[i]->literal.id;
        else if (list[i]->literal.kind != SNQL_NULL)
            return one_box(p, everywhere, ret);
    }
    TRY(tidy_list(p, values, sizeof(*values), &n, compare_ids));
    struct snql_box box = everywhere;
    if (place == PLACE_PROFILER)
        box.profilers = (struct snql_ids){values, n};
    else
        box.ids = (struct snql_ids){values, n};
    return one_box(p, box, ret);
}

static enum err time_box(struct planner *p, enum place place, struct bytes op, struct snql_expr *e,
                         struct snql_plan *ret)
{
    int64_t at;
    if (!moment_of(p, e, &at))
        return one_box(p, everywhere, ret);
    /* A microsecond more each way: what was cut off a finer time must not matter. */
    struct snql_bounds bounds = {INT64_MIN, INT64_MAX};
    bool equals = bytes_equal(op, BYTES("equals"));
    if (equals || bytes_starts_with(op, BYTES("greater")))
        bounds.min = at == INT64_MIN ? at : at - 1;
    if (equals || bytes_starts_with(op, BYTES("less")))
        bounds.max = at == INT64_MAX ? at : at + 1;
    struct snql_box box = everywhere;
    *(place == PLACE_START ? &box.start : &box.end) = bounds;
    return one_box(p, box, ret);
}

static struct bytes flipped(struct bytes op)
{
    if (bytes_equal(op, BYTES("less")))
        return BYTES("greater");
    if (bytes_equal(op, BYTES("greater")))
        return BYTES("less");
    if (bytes_equal(op, BYTES("lessOrEquals")))
        return BYTES("greaterOrEquals");
    if (bytes_equal(op, BYTES("greaterOrEquals")))
        return BYTES("lessOrEquals");
    return op;
}

static bool is_comparison(struct bytes op)
{
    return bytes_equal(op, BYTES("equals")) || bytes_equal(op, BYTES("less")) ||
           bytes_equal(op, BYTES("greater")) || bytes_equal(op, BYTES("lessOrEquals")) ||
           bytes_equal(op, BYTES("greaterOrEquals"));
}

/* `column op value`, or the other way round. */
static enum err comparison(struct planner *p, const struct snql_expr *e, struct snql_plan *ret)
{
    struct snql_expr *value = e->args[1];
    struct bytes op = e->name;
    enum place place = place_of(p->schema, e->args[0]);
    if (place == PLACE_NONE && is_comparison(op)) {
        place = place_of(p->schema, e->args[1]);
        value = e->args[0];
        op = flipped(op);
    }
    struct snql_expr **list = &value;
    size_t count = 1;
    if (bytes_equal(op, BYTES("in"))) {
        if (!list_of(value, &list, &count)) /* a single value is a list of one */
            list = &value;
    } else if (place != PLACE_START && place != PLACE_END && !bytes_equal(op, BYTES("equals"))) {
        place = PLACE_NONE;
    }
    switch (place) {
    case PLACE_NONE: break;
    case PLACE_PROJECT: return number_box(p, list, count, ret);
    case PLACE_PROFILER:
    case PLACE_ID: return id_box(p, place, list, count, ret);
    case PLACE_START:
    case PLACE_END:
        if (is_comparison(op))
            return time_box(p, place, op, value, ret);
        break;
    }
    return one_box(p, everywhere, ret);
}

static struct snql_bounds meet_bounds(struct snql_bounds a, struct snql_bounds b)
{
    return (struct snql_bounds){a.min > b.min ? a.min : b.min, a.max < b.max ? a.max : b.max};
}

static enum err meet_ids(struct planner *p, struct snql_ids a, struct snql_ids b,
                         struct snql_ids *ret)
{
    *ret = a.values == NULL ? b : a;
    if (a.values == NULL || b.values == NULL)
        return ERR_OK;
    size_t most = a.count < b.count ? a.count : b.count;
    struct uuid *values = ARENA_ARRAY(p->arena, most + 1, struct uuid);
    if (values == NULL)
        return arena_error(p->arena);
    ret->values = values;
    ret->count =
        meet_lists(a.values, a.count, b.values, b.count, sizeof(*values), compare_ids, values);
    return ERR_OK;
}

static enum err meet_numbers(struct planner *p, struct snql_numbers a, struct snql_numbers b,
                             struct snql_numbers *ret)
{
    *ret = a.values == NULL ? b : a;
    if (a.values == NULL || b.values == NULL)
        return ERR_OK;
    size_t most = a.count < b.count ? a.count : b.count;
    uint64_t *values = ARENA_ARRAY(p->arena, most + 1, uint64_t);
    if (values == NULL)
        return arena_error(p->arena);
    ret->values = values;
    ret->count =
        meet_lists(a.values, a.count, b.values, b.count, sizeof(*values), compare_numbers, values);
    return ERR_OK;
}

static bool box_is_empty(const struct snql_box *b)
{
    return (b->projects.values != NULL && b->projects.count == 0) ||
           (b->profilers.values != NULL && b->profilers.count == 0) ||
           (b->ids.values != NULL && b->ids.count == 0) || b->start.min > b->start.max ||
           b->end.min > b->end.max;
}

/* Rows of both. Too many boxes: those of one side, which hold them as well. */
static enum err meet(struct planner *p, struct snql_plan a, struct snql_plan b,
                     struct snql_plan *ret)
{
    *ret = is_everywhere(&a) ? b : a;
    if (is_everywhere(&a) || is_everywhere(&b))
        return ERR_OK;
    if (a.count != 0 && b.count > SNQL_BOX_MAX / a.count) {
        *ret = a.count < b.count ? a : b;
        return ERR_OK;
    }
    struct snql_box *boxes = ARENA_ARRAY(p->arena, a.count * b.count + 1, struct snql_box);
    if (boxes == NULL)
        return arena_error(p->arena);
    size_t count = 0;
    for (size_t i = 0; i < a.count; i++) {
        for (size_t j = 0; j < b.count; j++) {
            const struct snql_box *x = &a.boxes[i];
            const struct snql_box *y = &b.boxes[j];
            struct snql_box *z = &boxes[count];
            z->start = meet_bounds(x->start, y->start);
            z->end = meet_bounds(x->end, y->end);
            TRY(meet_numbers(p, x->projects, y->projects, &z->projects));
            TRY(meet_ids(p, x->profilers, y->profilers, &z->profilers));
            TRY(meet_ids(p, x->ids, y->ids, &z->ids));
            count += !box_is_empty(z);
        }
    }
    *ret = (struct snql_plan){boxes, count};
    return ERR_OK;
}

static enum err condition(struct planner *p, const struct snql_expr *e, struct snql_plan *ret);

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err all_of(struct planner *p, const struct snql_expr *e, struct snql_plan *ret)
{
    TRY(condition(p, e->args[0], ret));
    for (size_t i = 1; i < e->arg_count; i++) {
        struct snql_plan next;
        TRY(condition(p, e->args[i], &next));
        TRY(meet(p, *ret, next, ret));
    }
    return ERR_OK;
}

/* Boxes of any; when one of them is everything, or there are too many, so is the union. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err any_of(struct planner *p, const struct snql_expr *e, struct snql_plan *ret)
{
    struct snql_plan *parts = ARENA_ARRAY(p->arena, e->arg_count, struct snql_plan);
    if (parts == NULL)
        return arena_error(p->arena);
    size_t count = 0;
    for (size_t i = 0; i < e->arg_count; i++) {
        TRY(condition(p, e->args[i], &parts[i]));
        if (is_everywhere(&parts[i]))
            return one_box(p, everywhere, ret);
        count += parts[i].count;
    }
    if (count > SNQL_BOX_MAX)
        return one_box(p, everywhere, ret);
    struct snql_box *boxes = ARENA_ARRAY(p->arena, count + 1, struct snql_box);
    if (boxes == NULL)
        return arena_error(p->arena);
    size_t at = 0;
    for (size_t i = 0; i < e->arg_count; i++) {
        if (parts[i].count > 0)
            memcpy(boxes + at, parts[i].boxes, parts[i].count * sizeof(*boxes));
        at += parts[i].count;
    }
    *ret = (struct snql_plan){boxes, count};
    return ERR_OK;
}

/* `f(...) = 1`, as conditions are written that are calls. */
static const struct snql_expr *without_equals_one(const struct snql_expr *e)
{
    while (e->kind == SNQL_CALL && e->arg_count == 2 && bytes_equal(e->name, BYTES("equals")) &&
           e->args[0]->kind == SNQL_CALL && e->args[1]->kind == SNQL_LITERAL &&
           (e->args[1]->literal.kind == SNQL_UNSIGNED || e->args[1]->literal.kind == SNQL_BOOL) &&
           e->args[1]->literal.unsigned_value == 1)
        e = e->args[0];
    return e;
}

/* As deep as the parser lets conditions be. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err condition(struct planner *p, const struct snql_expr *e, struct snql_plan *ret)
{
    e = without_equals_one(e);
    if (e->kind == SNQL_CALL && e->arg_count >= 2) {
        if (bytes_equal(e->name, BYTES("and")))
            return all_of(p, e, ret);
        if (bytes_equal(e->name, BYTES("or")))
            return any_of(p, e, ret);
        if (e->arg_count == 2 && (is_comparison(e->name) || bytes_equal(e->name, BYTES("in"))))
            return comparison(p, e, ret);
    }
    return one_box(p, everywhere, ret);
}

enum err snql_plan_make(const struct snql_expr *where, const struct snql_table_schema *schema,
                        struct arena *arena, struct snql_plan *ret)
{
    struct planner p = {schema, arena};
    if (where == NULL || schema == NULL)
        return one_box(&p, everywhere, ret);
    return condition(&p, where, ret);
}
