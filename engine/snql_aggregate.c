/* snql_aggregate.c - aggregates by what they keep of a group: numbers, one value, a list of numbers, or
 * a set of values. */
#include "engine/snql_aggregate.h"

#include <assert.h>
#include <math.h>

#include "base/hash.h"
#include "base/sort.h"
#include "engine/snql_function.h"
#include "engine/snql_groups.h"

/* ---- which there are ---- */

enum kind {
    COUNT,
    SUM,
    AVG,
    MIN,
    MAX,
    ANY,
    ANY_LAST,
    ARG_MIN,
    ARG_MAX,
    UNIQ,
    QUANTILE,
    QUANTILES,
    QUANTILE_EXACT,
    GROUP_ARRAY,
    GROUP_UNIQ_ARRAY,
    GROUP_ARRAY_SORTED,
    TOP_K,
    VAR_POP,
    VAR_SAMP,
    STDDEV_POP,
    STDDEV_SAMP,
    COVAR_POP,
    COVAR_SAMP,
    CORR,
    REGRESSION
};

static const struct name {
    struct bytes name;
    enum kind kind;
    uint8_t min_count;
    uint8_t max_count;
} names[] = {
    {BYTES("count"), COUNT, 0, 1},
    {BYTES("COUNT"), COUNT, 0, 1},
    {BYTES("sum"), SUM, 1, 1},
    {BYTES("avg"), AVG, 1, 1},
    {BYTES("min"), MIN, 1, 1},
    {BYTES("max"), MAX, 1, 1},
    {BYTES("any"), ANY, 1, 1},
    {BYTES("anyLast"), ANY_LAST, 1, 1},
    {BYTES("argMin"), ARG_MIN, 2, 2},
    {BYTES("argMax"), ARG_MAX, 2, 2},
    {BYTES("uniq"), UNIQ, 1, SNQL_ANY_COUNT},
    {BYTES("uniqExact"), UNIQ, 1, SNQL_ANY_COUNT},
    {BYTES("countDistinct"), UNIQ, 1, SNQL_ANY_COUNT},
    {BYTES("uniqCombined"), UNIQ, 1, SNQL_ANY_COUNT},
    {BYTES("uniqCombined64"), UNIQ, 1, SNQL_ANY_COUNT},
    {BYTES("uniqHLL12"), UNIQ, 1, SNQL_ANY_COUNT},
    {BYTES("quantile"), QUANTILE, 1, 1},
    {BYTES("median"), QUANTILE, 1, 1},
    {BYTES("quantiles"), QUANTILES, 1, 1},
    {BYTES("quantileExact"), QUANTILE_EXACT, 1, 1},
    {BYTES("groupArray"), GROUP_ARRAY, 1, 1},
    {BYTES("groupUniqArray"), GROUP_UNIQ_ARRAY, 1, 1},
    {BYTES("groupArraySorted"), GROUP_ARRAY_SORTED, 1, 1},
    {BYTES("topK"), TOP_K, 1, 1},
    {BYTES("varPop"), VAR_POP, 1, 1},
    {BYTES("varSamp"), VAR_SAMP, 1, 1},
    {BYTES("stddevPop"), STDDEV_POP, 1, 1},
    {BYTES("stddevSamp"), STDDEV_SAMP, 1, 1},
    {BYTES("covarPop"), COVAR_POP, 2, 2},
    {BYTES("covarSamp"), COVAR_SAMP, 2, 2},
    {BYTES("corr"), CORR, 2, 2},
    {BYTES("simpleLinearRegression"), REGRESSION, 2, 2},
};

struct parsed_name {
    const struct name *base;
    bool is_if;
    bool is_merge;
    bool is_array;
    bool or_null;
    bool or_default;
};

static bool strip(struct bytes *name, const char *suffix)
{
    struct bytes s = bytes_of_text(suffix);
    if (name->len <= s.len || !bytes_ends_with(*name, s))
        return false;
    name->len -= s.len;
    return true;
}

static bool parse_name(struct bytes name, struct parsed_name *ret)
{
    *ret = (struct parsed_name){0};
    bool more = true;
    while (more) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (bytes_equal(names[i].name, name)) {
                ret->base = &names[i];
                return true;
            }
        }
        more = false;
        if (strip(&name, "OrNull"))
            more = ret->or_null = true;
        else if (strip(&name, "OrDefault"))
            more = ret->or_default = true;
        else if (!ret->is_if && !ret->is_merge && strip(&name, "If"))
            more = ret->is_if = true;
        else if (!ret->is_merge && strip(&name, "Merge"))
            more = ret->is_merge = true;
        else if (!ret->is_array && strip(&name, "Array"))
            more = ret->is_array = true;
    }
    return false;
}

bool snql_is_aggregate(struct bytes name)
{
    struct parsed_name ignored;
    return parse_name(name, &ignored);
}

/* ---- binding ---- */

struct snql_aggregate {
    struct bytes name;
    struct parsed_name parsed;
    enum kind kind;
    struct snql_type type;
    struct snql_type argument; /* the first, as its values are kept: without LowCardinality */
    size_t count;              /* arguments without the condition of -If */
    double *levels;            /* quantiles */
    size_t level_count;
    uint64_t most; /* elements of lists */
    bool sum_is_float;
};

static enum err refuse(const struct snql_aggregate *a, enum snql_code code, const char *what,
                       struct snql_error *error)
{
    return snql_refuse_code(error, code, "%.*s: %s", (int)bytes_first(a->name, 100).len,
                            (const char *)a->name.data, what);
}

static enum err read_levels(struct snql_aggregate *a, const struct snql_column *parameters,
                            size_t count, struct arena *arena, struct snql_error *error)
{
    a->level_count = count == 0 ? 1 : count;
    a->levels = ARENA_ARRAY(arena, a->level_count, double);
    if (a->levels == NULL)
        return arena_error(arena);
    a->levels[0] = 0.5;
    for (size_t i = 0; i < count; i++) {
        if (!snql_type_is_number(parameters[i].type))
            return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "a level is a number", error);
        a->levels[i] = snql_as_double(&parameters[i], 0);
        if (!(a->levels[i] >= 0 && a->levels[i] <= 1))
            return refuse(a, SNQL_CODE_OUT_OF_BOUND, "a level lies between 0 and 1", error);
    }
    return ERR_OK;
}

static enum err read_parameters(struct snql_aggregate *a, const struct snql_column *parameters,
                                size_t count, struct arena *arena, struct snql_error *error)
{
    a->most = UINT64_MAX;
    switch (a->kind) {
    case QUANTILES:
        if (count == 0)
            return refuse(a, SNQL_CODE_ARGUMENT_COUNT, "it needs a level at least", error);
        return read_levels(a, parameters, count, arena, error);
    case QUANTILE:
    case QUANTILE_EXACT:
        if (count > 1)
            return refuse(a, SNQL_CODE_ARGUMENT_COUNT, "it takes one level", error);
        return read_levels(a, parameters, count, arena, error);
    case GROUP_ARRAY:
    case GROUP_UNIQ_ARRAY:
    case GROUP_ARRAY_SORTED:
    case TOP_K:
        if (count > 1)
            return refuse(a, SNQL_CODE_ARGUMENT_COUNT, "it takes one number", error);
        if (count == 1 && (!snql_type_is_integer(parameters[0].type) || parameters[0].i64[0] <= 0))
            return refuse(a, SNQL_CODE_OUT_OF_BOUND, "its number must be above 0", error);
        a->most = count == 1 ? parameters[0].u64[0] : a->kind == TOP_K ? 10 : UINT64_MAX;
        return ERR_OK;
    default:
        return count == 0 ? ERR_OK
                          : refuse(a, SNQL_CODE_ARGUMENT_COUNT, "it takes no parameters", error);
    }
}

static const struct snql_type float64 = {.kind = SNQL_TYPE_FLOAT64};
static const struct snql_type uuid_type = {.kind = SNQL_TYPE_UUID};
static const struct snql_type example_elements[] = {
    {.kind = SNQL_TYPE_UUID},
    {.kind = SNQL_TYPE_STRING},
    {.kind = SNQL_TYPE_DATETIME64, .precision = 6, .nullable = true},
    {.kind = SNQL_TYPE_DATETIME64, .precision = 6, .nullable = true},
};
static const struct snql_type example_type = {
    .kind = SNQL_TYPE_TUPLE, .count = 4, .elements = example_elements};
static const struct bytes regression_names[] = {BYTES("k"), BYTES("b")};
static const struct snql_type regression_elements[] = {{.kind = SNQL_TYPE_FLOAT64},
                                                       {.kind = SNQL_TYPE_FLOAT64}};

static enum err array_type(struct snql_type element, struct arena *arena, struct snql_type *ret)
{
    struct snql_type *kept = ARENA_NEW(arena, struct snql_type);
    if (kept == NULL)
        return arena_error(arena);
    *kept = element;
    *ret = (struct snql_type){.kind = SNQL_TYPE_ARRAY, .count = 1, .elements = kept};
    return ERR_OK;
}

/* What a -Merge reads must be the state of that very function. */
static enum err bind_merge(struct snql_aggregate *a, struct snql_type state, struct arena *arena,
                           struct snql_error *error)
{
    static const struct {
        enum kind kind;
        enum snql_state state;
    } pairs[] = {
        {COUNT, SNQL_STATE_COUNT},
        {SUM, SNQL_STATE_SUM},
        {AVG, SNQL_STATE_AVG},
        {MIN, SNQL_STATE_MIN},
        {MAX, SNQL_STATE_MAX},
        {QUANTILE, SNQL_STATE_PERCENTILES},
        {QUANTILES, SNQL_STATE_PERCENTILES},
        {ARG_MAX, SNQL_STATE_WORST},
        {ARG_MAX, SNQL_STATE_WORST_V2},
        {GROUP_UNIQ_ARRAY, SNQL_STATE_EXAMPLES},
        {GROUP_UNIQ_ARRAY, SNQL_STATE_EXAMPLES_V2},
    };
    bool fits = false;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        fits |= state.kind == SNQL_TYPE_STATE && pairs[i].kind == a->kind &&
                pairs[i].state == state.state;
    if (!fits)
        return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "it reads a column of its own states", error);
    bool v2 = state.state == SNQL_STATE_WORST_V2 || state.state == SNQL_STATE_EXAMPLES_V2;
    struct snql_type value = v2 ? example_type : uuid_type;
    a->argument = value;
    switch (a->kind) {
    case COUNT: a->type = snql_type_of(SNQL_TYPE_UINT64); return ERR_OK;
    case QUANTILES: return array_type(float64, arena, &a->type);
    case ARG_MAX: a->type = value; return ERR_OK;
    case GROUP_UNIQ_ARRAY:
        if (a->most != 5)
            return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "its states are those of 5 values", error);
        return array_type(value, arena, &a->type);
    default:
        a->sum_is_float = true;
        a->argument = float64;
        a->type = float64;
        return ERR_OK;
    }
}

static bool has_order(struct snql_type t)
{
    return t.kind != SNQL_TYPE_STATE && t.kind != SNQL_TYPE_INTERVAL;
}

static enum err bind_result(struct snql_aggregate *a, const struct snql_type *arguments,
                            struct arena *arena, struct snql_error *error)
{
    struct snql_type x =
        a->count > 0 ? snql_type_plain(arguments[0]) : snql_type_of(SNQL_TYPE_NOTHING);
    struct snql_type bare = snql_type_bare(x);
    bool number = snql_type_is_number(bare) || bare.kind == SNQL_TYPE_NOTHING;
    bool time = snql_type_is_time(bare);
    a->argument = x;
    a->type = snql_type_of(SNQL_TYPE_UINT64);
    if (a->kind == COUNT)
        return ERR_OK;
    for (size_t i = 0; i < a->count; i++)
        if (!has_order(arguments[i]))
            return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "it takes no states of aggregates", error);
    switch (a->kind) {
    case UNIQ:
    case COUNT: return ERR_OK;
    case SUM:
        if (!number)
            return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "it sums numbers", error);
        a->sum_is_float = !snql_type_is_integer(bare);
        a->type = snql_type_of(a->sum_is_float             ? SNQL_TYPE_FLOAT64
                               : snql_type_is_signed(bare) ? SNQL_TYPE_INT64
                                                           : SNQL_TYPE_UINT64);
        break;
    case MIN:
    case MAX:
    case ANY:
    case ANY_LAST:
    case ARG_MIN:
    case ARG_MAX: a->type = x; return ERR_OK;
    case QUANTILE:
        if (!number && !time)
            return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "it takes numbers or times", error);
        a->type = time ? bare : float64;
        break;
    case QUANTILE_EXACT:
        if (!number && !time)
            return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "it takes numbers or times", error);
        a->type = bare;
        break;
    case QUANTILES:
        if (!number && !time)
            return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "it takes numbers or times", error);
        return array_type(time ? bare : float64, arena, &a->type);
    case GROUP_ARRAY:
    case GROUP_UNIQ_ARRAY:
    case GROUP_ARRAY_SORTED:
    case TOP_K: return array_type(bare, arena, &a->type);
    default:
        for (size_t i = 0; i < a->count; i++)
            if (!snql_type_is_number(arguments[i]))
                return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "it takes numbers", error);
        a->type = float64;
        if (a->kind == REGRESSION) {
            a->type = (struct snql_type){.kind = SNQL_TYPE_TUPLE,
                                         .count = 2,
                                         .elements = regression_elements,
                                         .names = regression_names};
            return ERR_OK;
        }
        break;
    }
    for (size_t i = 0; i < a->count; i++)
        a->type.nullable |= arguments[i].nullable;
    return ERR_OK;
}

enum err snql_aggregate_bind(struct bytes name, const struct snql_column *parameters,
                             size_t parameter_count, bool has_parameters,
                             const struct snql_type *arguments,
                             const struct snql_column *const *constants, size_t argument_count,
                             struct arena *arena, const struct snql_aggregate **ret,
                             struct snql_error *error)
{
    (void)constants;
    (void)has_parameters;
    struct snql_aggregate *a = ARENA_NEW(arena, struct snql_aggregate);
    if (a == NULL)
        return arena_error(arena);
    *a = (struct snql_aggregate){.name = name, .count = argument_count};
    if (!parse_name(name, &a->parsed))
        return snql_refuse_code(error, SNQL_CODE_UNKNOWN_FUNCTION, "unknown function %.*s",
                                (int)bytes_first(name, 100).len, (const char *)name.data);
    a->kind = a->parsed.base->kind;
    a->count -= a->parsed.is_if && argument_count > 0;
    unsigned least = a->parsed.is_merge ? 1 : a->parsed.base->min_count;
    unsigned most = a->parsed.is_merge ? 1 : a->parsed.base->max_count;
    if (argument_count == 0 ? least > 0 || a->parsed.is_if
                            : a->count < least || (most != SNQL_ANY_COUNT && a->count > most))
        return refuse(a, SNQL_CODE_ARGUMENT_COUNT, "wrong number of arguments", error);
    if (a->parsed.is_if && !snql_type_is_integer(arguments[a->count]) &&
        arguments[a->count].kind != SNQL_TYPE_NOTHING)
        return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "its last argument must be a condition",
                      error);
    TRY(read_parameters(a, parameters, parameter_count, arena, error));
    *ret = a;
    if (a->parsed.is_merge)
        return bind_merge(a, arguments[0], arena, error);
    struct snql_type *elements = ARENA_ARRAY(arena, a->count + 1, struct snql_type);
    if (elements == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < a->count; i++) {
        if (a->parsed.is_array && arguments[i].kind != SNQL_TYPE_ARRAY)
            return refuse(a, SNQL_CODE_ILLEGAL_ARGUMENT, "it takes arrays", error);
        elements[i] = a->parsed.is_array ? arguments[i].elements[0] : arguments[i];
    }
    TRY(bind_result(a, elements, arena, error));
    if (a->parsed.or_null && a->type.kind != SNQL_TYPE_ARRAY && a->type.kind != SNQL_TYPE_TUPLE)
        a->type.nullable = true;
    return ERR_OK;
}

struct snql_type snql_aggregate_type(const struct snql_aggregate *a)
{
    return a->type;
}

/* ---- states ---- */

/* Numbers of a group. */
struct numbers {
    uint64_t count; /* values seen */
    union {
        uint64_t whole; /* sum of integers */
        double sum;
    };
    double mean_x; /* of variances: Welford's */
    double mean_y;
    double m2_x;
    double m2_y;
    double c; /* sum of products of deviations */
};

/* Where a kept value is. */
struct value_ref {
    const struct snql_column *chunk; /* NULL: none yet */
    uint32_t row;
};

/* The value of a group and what it won by. */
struct best {
    struct value_ref value;
    struct value_ref by;
};

/* A value of a group: in the order of arrival. */
struct member {
    uint64_t lo; /* 128 bits of hash */
    uint64_t hi;
    struct value_ref value;
    uint32_t group;
    uint32_t times;
};

struct sample {
    double value;
    uint32_t group;
};

struct snql_states {
    const struct snql_aggregate *a;
    struct arena *arena;
    uint32_t group_count;
    uint32_t group_room;
    struct numbers *numbers;
    struct best *best; /* of MIN, MAX, ANY, ARG_... */

    struct sample *samples; /* quantiles */
    size_t sample_count;
    size_t sample_room;

    struct member *members; /* sets and lists */
    size_t member_count;
    size_t member_room;
    uint32_t *slots; /* of sets: member + 1 */
    size_t slot_count;
    uint64_t seed[2];
};

enum err snql_states_create(const struct snql_aggregate *a, struct arena *arena,
                            struct snql_states **ret)
{
    struct snql_states *s = ARENA_NEW(arena, struct snql_states);
    if (s == NULL)
        return arena_error(arena);
    *s = (struct snql_states){.a = a, .arena = arena};
    s->seed[0] = hash_seed();
    s->seed[1] = hash_u64(s->seed[0] + 1);
    *ret = s;
    return ERR_OK;
}

/* A larger copy; what was there stays behind in the arena. */
static void *grown(struct arena *arena, const void *from, size_t count, size_t room, size_t size)
{
    void *to = arena_array(arena, room, size, 8);
    if (to != NULL && count > 0)
        memcpy(to, from, count * size);
    return to;
}

static bool keeps_best(enum kind k)
{
    return k >= MIN && k <= ARG_MAX;
}

static bool keeps_samples(enum kind k)
{
    return k == QUANTILE || k == QUANTILES || k == QUANTILE_EXACT;
}

static bool keeps_members(enum kind k)
{
    return k == UNIQ || k == GROUP_ARRAY || k == GROUP_UNIQ_ARRAY || k == GROUP_ARRAY_SORTED ||
           k == TOP_K;
}

static bool is_set(enum kind k)
{
    return k == UNIQ || k == GROUP_UNIQ_ARRAY || k == TOP_K;
}

static enum err reserve_groups(struct snql_states *s, uint32_t count)
{
    if (count > s->group_room) {
        uint32_t room = s->group_room == 0 ? 16 : s->group_room;
        while (room < count)
            room = room > UINT32_MAX / 2 ? UINT32_MAX : room * 2;
        s->numbers = grown(s->arena, s->numbers, s->group_count, room, sizeof(*s->numbers));
        if (s->numbers == NULL)
            return arena_error(s->arena);
        if (keeps_best(s->a->kind)) {
            s->best = grown(s->arena, s->best, s->group_count, room, sizeof(*s->best));
            if (s->best == NULL)
                return arena_error(s->arena);
        }
        s->group_room = room;
    }
    for (; s->group_count < count; s->group_count++) {
        s->numbers[s->group_count] = (struct numbers){0};
        if (s->best != NULL)
            s->best[s->group_count] = (struct best){0};
    }
    return ERR_OK;
}

static enum err reserve_samples(struct snql_states *s, size_t more)
{
    if (s->sample_room - s->sample_count >= more)
        return ERR_OK;
    size_t room = s->sample_room == 0 ? 256 : s->sample_room;
    while (room < s->sample_count + more)
        room *= 2;
    s->samples = grown(s->arena, s->samples, s->sample_count, room, sizeof(*s->samples));
    s->sample_room = room;
    return s->samples == NULL ? arena_error(s->arena) : ERR_OK;
}

static enum err reserve_slots(struct snql_states *s)
{
    if (2 * (s->member_count + 1) <= s->slot_count)
        return ERR_OK;
    size_t count = s->slot_count == 0 ? 64 : s->slot_count * 2;
    s->slots = ARENA_ARRAY(s->arena, count, uint32_t);
    if (s->slots == NULL)
        return arena_error(s->arena);
    memset(s->slots, 0, count * sizeof(*s->slots));
    s->slot_count = count;
    for (size_t i = 0; i < s->member_count; i++) {
        size_t at = (size_t)(s->members[i].lo + s->members[i].group) & (count - 1);
        while (s->slots[at] != 0)
            at = (at + 1) & (count - 1);
        s->slots[at] = (uint32_t)i + 1;
    }
    return ERR_OK;
}

/* A new member, or (of sets) the one that is equal: *ret_new tells. */
static enum err add_member(struct snql_states *s, uint32_t group, uint64_t lo, uint64_t hi,
                           struct member **ret, bool *ret_new)
{
    bool set = is_set(s->a->kind);
    if (set) {
        TRY(reserve_slots(s));
        size_t at = (size_t)(lo + group) & (s->slot_count - 1);
        for (; s->slots[at] != 0; at = (at + 1) & (s->slot_count - 1)) {
            struct member *m = &s->members[s->slots[at] - 1];
            if (m->lo == lo && m->hi == hi && m->group == group) {
                *ret = m;
                *ret_new = false;
                return ERR_OK;
            }
        }
        s->slots[at] = (uint32_t)s->member_count + 1;
    }
    if (s->member_count == UINT32_MAX - 1)
        return ERR_LIMIT;
    if (s->member_count == s->member_room) {
        size_t room = s->member_room == 0 ? 64 : s->member_room * 2;
        s->members = grown(s->arena, s->members, s->member_count, room, sizeof(*s->members));
        if (s->members == NULL)
            return arena_error(s->arena);
        s->member_room = room;
    }
    *ret = &s->members[s->member_count++];
    **ret = (struct member){.lo = lo, .hi = hi, .group = group};
    *ret_new = true;
    return ERR_OK;
}

/* ---- adding ---- */

/* Rows that count. */
struct rows {
    size_t count;
    const uint32_t *groups;
    const struct snql_column *args;
};

static void add_deviation(struct numbers *n, double x, double y)
{
    /* `count` includes this one */
    double dx = x - n->mean_x;
    double dy = y - n->mean_y;
    n->mean_x += dx / (double)n->count;
    n->mean_y += dy / (double)n->count;
    n->m2_x += dx * (x - n->mean_x);
    n->m2_y += dy * (y - n->mean_y);
    n->c += dx * (y - n->mean_y);
}

static int compare_refs(struct value_ref a, const struct snql_column *c, size_t row)
{
    return snql_column_compare(c, row, a.chunk, a.row);
}

/* Whether this row is better than what the group has. */
static bool beats(enum kind k, struct value_ref by, const struct snql_column *c, size_t row)
{
    if (by.chunk == NULL)
        return true;
    switch (k) {
    case MIN:
    case ARG_MIN: return compare_refs(by, c, row) < 0;
    case MAX:
    case ARG_MAX: return compare_refs(by, c, row) > 0;
    case ANY_LAST: return true;
    default: return false;
    }
}

/* Rows that won become chunks of their own, which stay. */
static enum err add_best(struct snql_states *s, struct arena *scratch, const struct rows *r)
{
    enum kind k = s->a->kind;
    const struct snql_column *by = k == ARG_MIN || k == ARG_MAX ? &r->args[1] : &r->args[0];
    uint32_t *won = ARENA_ARRAY(scratch, r->count, uint32_t);
    if (won == NULL)
        return arena_error(scratch);
    uint32_t count = 0;
    for (size_t row = 0; row < r->count; row++) {
        struct best *b = &s->best[r->groups[row]];
        if (!beats(k, b->by, by, row))
            continue;
        if (b->by.chunk != by)
            won[count++] = r->groups[row];
        b->by = (struct value_ref){by, (uint32_t)row};
    }
    if (count == 0)
        return ERR_OK;
    uint32_t *winners = ARENA_ARRAY(scratch, count, uint32_t);
    struct snql_column *values = ARENA_ARRAY(s->arena, 2, struct snql_column);
    if (winners == NULL || values == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        winners[i] = s->best[won[i]].by.row;
    TRY(snql_column_keep(&r->args[0], winners, count, s->arena, &values[0]));
    TRY(snql_column_keep(by, winners, count, s->arena, &values[1]));
    for (uint32_t i = 0; i < count; i++)
        s->best[won[i]] = (struct best){{&values[0], i}, {&values[1], i}};
    return ERR_OK;
}

static enum err add_members(struct snql_states *s, struct arena *scratch, const struct rows *r)
{
    uint32_t *fresh = ARENA_ARRAY(scratch, r->count, uint32_t);
    if (fresh == NULL)
        return arena_error(scratch);
    size_t first = s->member_count;
    for (size_t row = 0; row < r->count; row++) {
        uint64_t lo = s->seed[0];
        uint64_t hi = s->seed[1];
        for (size_t i = 0; i < s->a->count && is_set(s->a->kind); i++) {
            lo = snql_column_hash(&r->args[i], row, lo);
            hi = snql_column_hash(&r->args[i], row, hi);
        }
        struct member *m;
        bool is_new;
        TRY(add_member(s, r->groups[row], lo, hi, &m, &is_new));
        m->times++;
        if (is_new)
            fresh[s->member_count - first - 1] = (uint32_t)row;
    }
    if (s->a->kind == UNIQ || s->member_count == first)
        return ERR_OK;
    struct snql_column *values = ARENA_NEW(s->arena, struct snql_column);
    if (values == NULL)
        return arena_error(s->arena);
    TRY(snql_column_keep(&r->args[0], fresh, s->member_count - first, s->arena, values));
    for (size_t i = first; i < s->member_count; i++)
        s->members[i].value = (struct value_ref){values, (uint32_t)(i - first)};
    return ERR_OK;
}

/* What a double of these values is: times in their own unit. */
static double sample_of(const struct snql_column *c, size_t row)
{
    if (c->type.kind == SNQL_TYPE_DATETIME64)
        return (double)c->i64[snql_at(c, row)];
    return snql_as_double(c, row);
}

static void add_number(struct snql_states *s, const struct snql_column *args, size_t row,
                       struct numbers *n)
{
    switch (s->a->kind) {
    case SUM:
        if (s->a->sum_is_float)
            n->sum += snql_as_double(&args[0], row);
        else
            n->whole += args[0].u64[snql_at(&args[0], row)];
        break;
    case AVG: n->sum += snql_as_double(&args[0], row); break;
    case VAR_POP:
    case VAR_SAMP:
    case STDDEV_POP:
    case STDDEV_SAMP: add_deviation(n, snql_as_double(&args[0], row), 0); break;
    case COVAR_POP:
    case COVAR_SAMP:
    case CORR:
    case REGRESSION:
        add_deviation(n, snql_as_double(&args[0], row), snql_as_double(&args[1], row));
        break;
    default: break;
    }
}

static enum err add_values(struct snql_states *s, struct arena *scratch, const struct rows *r)
{
    for (size_t row = 0; row < r->count; row++) {
        struct numbers *n = &s->numbers[r->groups[row]];
        n->count++;
        add_number(s, r->args, row, n);
    }
    if (keeps_samples(s->a->kind)) {
        TRY(reserve_samples(s, r->count));
        for (size_t row = 0; row < r->count; row++) {
            double v = sample_of(&r->args[0], row);
            if (!isnan(v))
                s->samples[s->sample_count++] = (struct sample){v, r->groups[row]};
        }
    }
    if (keeps_best(s->a->kind))
        return add_best(s, scratch, r);
    if (keeps_members(s->a->kind))
        return add_members(s, scratch, r);
    return ERR_OK;
}

/* ---- states of table functions ---- */

/* An origin as a value of the states' types. */
static enum err origin_column(struct snql_states *s, const struct snql_function_origin *o,
                              const struct snql_column **ret)
{
    struct snql_column *c = ARENA_NEW(s->arena, struct snql_column);
    struct snql_column *parts = ARENA_ARRAY(s->arena, 4, struct snql_column);
    struct uuid *id = ARENA_NEW(s->arena, struct uuid);
    struct bytes *thread = ARENA_NEW(s->arena, struct bytes);
    int64_t *times = ARENA_ARRAY(s->arena, 2, int64_t);
    uint8_t *nulls = ARENA_ARRAY(s->arena, 2, uint8_t);
    if (c == NULL || parts == NULL || id == NULL || thread == NULL || times == NULL ||
        nulls == NULL)
        return arena_error(s->arena);
    *id = o->profile_id;
    *thread = arena_copy(s->arena, o->thread_id);
    if (thread->data == NULL)
        return arena_error(s->arena);
    times[0] = o->has_start ? o->start_us : 0;
    times[1] = o->has_end ? o->end_us : 0;
    nulls[0] = !o->has_start;
    nulls[1] = !o->has_end;
    parts[0] = (struct snql_column){.type = example_elements[0], .rows = 1, .uuid = id};
    parts[1] = (struct snql_column){.type = example_elements[1], .rows = 1, .text = thread};
    for (size_t i = 0; i < 2; i++)
        parts[2 + i] = (struct snql_column){.type = example_elements[2 + i],
                                            .rows = 1,
                                            .i64 = &times[i],
                                            .nulls = nulls[i] != 0 ? &nulls[i] : NULL};
    *c = s->a->argument.kind == SNQL_TYPE_UUID
             ? parts[0]
             : (struct snql_column){.type = example_type, .rows = 1, .elements = parts};
    *ret = c;
    return ERR_OK;
}

static enum err add_origin(struct snql_states *s, const struct snql_function_origin *o, double most,
                           uint32_t group)
{
    struct numbers *n = &s->numbers[group];
    const struct snql_column *c;
    if (s->a->argument.kind == SNQL_TYPE_TUPLE && !o->version_1)
        return ERR_OK;
    if (s->a->kind == ARG_MAX) {
        struct best *b = &s->best[group];
        if (b->value.chunk != NULL && !(most > n->sum))
            return ERR_OK;
        TRY(origin_column(s, o, &c));
        n->sum = most;
        b->value = (struct value_ref){c, 0};
        return ERR_OK;
    }
    TRY(origin_column(s, o, &c));
    struct member *m;
    bool is_new;
    TRY(add_member(s, group, snql_column_hash(c, 0, s->seed[0]), snql_column_hash(c, 0, s->seed[1]),
                   &m, &is_new));
    m->times++;
    if (is_new)
        m->value = (struct value_ref){c, 0};
    return ERR_OK;
}

static enum err add_state(struct snql_states *s, const struct snql_function_state *f,
                          uint32_t group)
{
    struct numbers *n = &s->numbers[group];
    if (s->a->kind == ARG_MAX || s->a->kind == GROUP_UNIQ_ARRAY) {
        uint32_t at = 0;
        for (uint32_t i = 0; i < f->origin_count; i++) {
            double most = -(double)INFINITY;
            bool any = at < f->ends[i];
            for (; at < f->ends[i]; at++)
                most = f->durations[at] > most ? f->durations[at] : most;
            if (any)
                TRY(add_origin(s, &f->origins[i], most, group));
        }
        return ERR_OK;
    }
    if (keeps_samples(s->a->kind))
        TRY(reserve_samples(s, f->count));
    for (uint32_t i = 0; i < f->count; i++) {
        double d = f->durations[i];
        if (keeps_samples(s->a->kind))
            s->samples[s->sample_count++] = (struct sample){d, group};
        else if (s->a->kind == MIN || s->a->kind == MAX)
            n->mean_x = n->count == 0 || (s->a->kind == MIN ? d < n->mean_x : d > n->mean_x)
                            ? d
                            : n->mean_x;
        else
            n->sum += d;
        n->count++;
    }
    return ERR_OK;
}

static enum err add_states(struct snql_states *s, const struct snql_column *c, size_t rows,
                           const uint32_t *groups)
{
    const struct snql_function_state *const *states = c->state;
    for (size_t row = 0; row < rows; row++)
        TRY(add_state(s, states[row], groups[row]));
    return ERR_OK;
}

/* ---- which rows count ---- */

static enum err pick(size_t arg_count, struct arena *scratch, const uint32_t *picked, size_t count,
                     struct rows *r)
{
    struct snql_column *args = ARENA_ARRAY(scratch, arg_count + 1, struct snql_column);
    uint32_t *groups = ARENA_ARRAY(scratch, count + 1, uint32_t);
    if (args == NULL || groups == NULL)
        return arena_error(scratch);
    for (size_t i = 0; i < arg_count; i++)
        TRY(snql_column_gather(&r->args[i], picked, count, scratch, &args[i]));
    for (size_t i = 0; i < count; i++)
        groups[i] = r->groups[picked[i]];
    *r = (struct rows){count, groups, args};
    return ERR_OK;
}

/* Rows whose condition holds (NULL: all), and no argument of which is NULL. */
static enum err choose_rows(const struct snql_states *s, const struct snql_column *condition,
                            struct arena *scratch, struct rows *r)
{
    size_t args = s->a->count;
    bool nulls = false;
    for (size_t i = 0; i < args; i++)
        nulls |= r->args[i].nulls != NULL || r->args[i].type.kind == SNQL_TYPE_NOTHING;
    if (condition == NULL && !nulls)
        return ERR_OK;
    uint32_t *picked = ARENA_ARRAY(scratch, r->count + 1, uint32_t);
    if (picked == NULL)
        return arena_error(scratch);
    size_t count = 0;
    for (size_t row = 0; row < r->count; row++) {
        bool counts = condition == NULL || (!snql_is_null(condition, row) &&
                                            condition->u64[snql_at(condition, row)] != 0);
        for (size_t i = 0; i < args && counts; i++)
            counts = !snql_is_null(&r->args[i], row);
        picked[count] = (uint32_t)row;
        count += counts;
    }
    return pick(args, scratch, picked, count, r);
}

/* -Array: a row for each element. */
static enum err spread_arrays(const struct snql_states *s, struct arena *scratch, struct rows *r)
{
    size_t total = 0;
    for (size_t row = 0; row < r->count; row++) {
        uint32_t from;
        uint32_t end;
        snql_array_bounds(&r->args[0], row, &from, &end);
        total += end - from;
    }
    uint32_t *elements = ARENA_ARRAY(scratch, total + 1, uint32_t);
    uint32_t *groups = ARENA_ARRAY(scratch, total + 1, uint32_t);
    struct snql_column *args = ARENA_ARRAY(scratch, s->a->count + 1, struct snql_column);
    if (elements == NULL || groups == NULL || args == NULL)
        return arena_error(scratch);
    for (size_t i = 0; i < s->a->count; i++) {
        size_t at = 0;
        for (size_t row = 0; row < r->count; row++) {
            uint32_t from;
            uint32_t end;
            snql_array_bounds(&r->args[i], row, &from, &end);
            for (; from < end && at < total; from++) {
                groups[at] = r->groups[row];
                elements[at++] = from;
            }
        }
        TRY(snql_column_gather(&r->args[i].elements[0], elements, at, scratch, &args[i]));
    }
    *r = (struct rows){total, groups, args};
    return ERR_OK;
}

static enum err add_rows(struct snql_states *s, struct arena *scratch, struct rows r,
                         uint32_t group_count)
{
    TRY(reserve_groups(s, group_count));
    const struct snql_column *condition = s->a->parsed.is_if ? &r.args[s->a->count] : NULL;
    TRY(choose_rows(s, condition, scratch, &r));
    if (s->a->parsed.is_merge)
        return add_states(s, &r.args[0], r.count, r.groups);
    if (s->a->parsed.is_array) {
        TRY(spread_arrays(s, scratch, &r));
        TRY(choose_rows(s, NULL, scratch, &r));
    }
    return r.count == 0 ? ERR_OK : add_values(s, scratch, &r);
}

enum err snql_states_add(struct snql_states *s, const struct snql_column *arguments, size_t rows,
                         const uint32_t *groups, uint32_t group_count, struct snql_error *error)
{
    (void)error;
    struct arena scratch;
    arena_init(&scratch, s->arena->max, s->arena->account);
    enum err rc = add_rows(s, &scratch, (struct rows){rows, groups, arguments}, group_count);
    arena_close(&scratch);
    return rc;
}

/* ---- merging ---- */

static void merge_deviations(struct numbers *to, const struct numbers *from)
{
    double n = (double)to->count;
    double m = (double)from->count;
    if (m == 0)
        return;
    double dx = from->mean_x - to->mean_x;
    double dy = from->mean_y - to->mean_y;
    to->m2_x += from->m2_x + dx * dx * n * m / (n + m);
    to->m2_y += from->m2_y + dy * dy * n * m / (n + m);
    to->c += from->c + dx * dy * n * m / (n + m);
    to->mean_x += dx * m / (n + m);
    to->mean_y += dy * m / (n + m);
}

static void merge_best(struct snql_states *s, const struct best *from, const struct numbers *n,
                       uint32_t group)
{
    struct best *to = &s->best[group];
    if (from->value.chunk == NULL)
        return;
    if (s->a->parsed.is_merge) { /* won by a number */
        if (to->value.chunk == NULL || n->sum > s->numbers[group].sum) {
            *to = *from;
            s->numbers[group].sum = n->sum;
        }
        return;
    }
    if (beats(s->a->kind, to->by, from->by.chunk, from->by.row))
        *to = *from;
}

enum err snql_states_merge(struct snql_states *s, const struct snql_states *from,
                           const uint32_t *map, uint32_t group_count)
{
    TRY(reserve_groups(s, group_count));
    bool extreme = s->a->parsed.is_merge && (s->a->kind == MIN || s->a->kind == MAX);
    for (uint32_t i = 0; i < from->group_count; i++) {
        const struct numbers *n = &from->numbers[i];
        if (map[i] == UINT32_MAX)
            continue;
        struct numbers *to = &s->numbers[map[i]];
        if (from->best != NULL)
            merge_best(s, &from->best[i], n, map[i]);
        if (extreme && n->count > 0)
            to->mean_x = to->count == 0 || (s->a->kind == MIN ? n->mean_x < to->mean_x
                                                              : n->mean_x > to->mean_x)
                             ? n->mean_x
                             : to->mean_x;
        else if (!extreme)
            merge_deviations(to, n);
        if (s->a->kind == SUM && !s->a->sum_is_float)
            to->whole += n->whole;
        else if (s->a->kind == SUM || s->a->kind == AVG)
            to->sum += n->sum;
        to->count += n->count;
    }
    TRY(reserve_samples(s, from->sample_count));
    for (size_t i = 0; i < from->sample_count; i++)
        if (map[from->samples[i].group] != UINT32_MAX)
            s->samples[s->sample_count++] =
                (struct sample){from->samples[i].value, map[from->samples[i].group]};
    if (from->member_count > 0 && s->member_count == 0) { /* hashes are made with these seeds */
        s->seed[0] = from->seed[0];
        s->seed[1] = from->seed[1];
    }
    assert(from->member_count == 0 || s->seed[0] == from->seed[0]);
    for (size_t i = 0; i < from->member_count; i++) {
        const struct member *m = &from->members[i];
        struct member *to;
        bool is_new;
        if (map[m->group] == UINT32_MAX)
            continue;
        TRY(add_member(s, map[m->group], m->lo, m->hi, &to, &is_new));
        to->times += m->times;
        if (is_new)
            to->value = m->value;
    }
    return ERR_OK;
}

/* ---- results ---- */

static int compare_samples(const void *a, const void *b, void *self)
{
    (void)self;
    const struct sample *x = a;
    const struct sample *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* Between the two nearest values, as ClickHouse does it. */
static double interpolate(const struct sample *samples, size_t count, double level)
{
    double h = level * (double)(count - 1);
    size_t at = (size_t)h;
    if (at + 1 >= count)
        return samples[count - 1].value;
    double upper = (double)(at + 1) - h;
    return samples[at].value * upper + samples[at + 1].value * (h - (double)at);
}

static double level_of(const struct snql_states *s, const struct sample *samples, size_t count,
                       double level)
{
    if (count == 0)
        return (double)NAN;
    if (s->a->kind != QUANTILE_EXACT)
        return interpolate(samples, count, level);
    size_t at = level < 1 ? (size_t)(level * (double)count) : count - 1;
    return samples[at < count ? at : count - 1].value;
}

/* A level as a value of the result's type. */
static uint64_t level_bits(struct snql_type t, double v)
{
    uint64_t bits;
    if (snql_type_is_float(t)) {
        memcpy(&bits, &v, sizeof(bits));
        return bits;
    }
    return isnan(v) ? 0 : snql_wrap((uint64_t)snql_double_to_i64(v), t);
}

static enum err finish_quantiles(const struct snql_states *s, uint32_t group_count,
                                 struct arena *arena, struct snql_column *ret)
{
    struct sample *sorted =
        grown(arena, s->samples, s->sample_count, s->sample_count + 1, sizeof(*sorted));
    size_t levels = s->a->level_count;
    uint64_t *out = ARENA_ARRAY(arena, group_count * levels + 1, uint64_t);
    uint32_t *ends = ARENA_ARRAY(arena, (size_t)group_count + 1, uint32_t);
    struct snql_column *element = ARENA_NEW(arena, struct snql_column);
    if (sorted == NULL || out == NULL || ends == NULL || element == NULL)
        return arena_error(arena);
    TRY(sort_array(arena->account, sorted, s->sample_count, sizeof(*sorted), compare_samples,
                   NULL));
    bool list = s->a->kind == QUANTILES;
    struct snql_type type = list ? s->a->type.elements[0] : s->a->type;
    size_t at = 0;
    for (uint32_t g = 0; g < group_count; g++) {
        size_t from = at;
        while (at < s->sample_count && sorted[at].group == g)
            at++;
        for (size_t i = 0; i < levels; i++)
            out[g * levels + i] =
                level_bits(type, level_of(s, sorted + from, at - from, s->a->levels[i]));
        ends[g] = (uint32_t)((g + 1) * levels);
    }
    if (!list) {
        ret->u64 = out;
        return ERR_OK;
    }
    *element = (struct snql_column){.type = type, .rows = group_count * levels, .u64 = out};
    ret->ends = ends;
    ret->elements = element;
    return ERR_OK;
}

/* Values, one a group, from wherever they were kept; a group without one gets the default. */
static enum err finish_best(const struct snql_states *s, uint32_t group_count, struct arena *arena,
                            struct snql_column *ret)
{
    struct snql_column otherwise;
    TRY(snql_column_default(s->a->type, arena, &otherwise));
    const struct snql_column **parts =
        ARENA_ARRAY(arena, (size_t)group_count + 1, const struct snql_column *);
    struct snql_column *rows = ARENA_ARRAY(arena, (size_t)group_count + 1, struct snql_column);
    if (parts == NULL || rows == NULL)
        return arena_error(arena);
    for (uint32_t g = 0; g < group_count; g++) {
        struct value_ref v = g < s->group_count ? s->best[g].value : (struct value_ref){0};
        rows[g] = otherwise;
        if (v.chunk != NULL)
            TRY(snql_column_gather(v.chunk, &v.row, 1, arena, &rows[g]));
        rows[g].type = s->a->type;
        parts[g] = &rows[g];
    }
    TRY(snql_column_empty(s->a->type, arena, ret));
    if (group_count > 0)
        TRY(snql_column_concat(parts, group_count, arena, ret));
    return ERR_OK;
}

struct list_order {
    const struct snql_states *s;
};

/* By group; then as they came, by value, or by how often. */
static int compare_members(const void *left, const void *right, void *self)
{
    const struct list_order *o = self;
    uint32_t i = *(const uint32_t *)left;
    uint32_t j = *(const uint32_t *)right;
    const struct member *a = &o->s->members[i];
    const struct member *b = &o->s->members[j];
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (o->s->a->kind == TOP_K && a->times != b->times)
        return a->times > b->times ? -1 : 1;
    if (o->s->a->kind == GROUP_ARRAY_SORTED) {
        int order = snql_column_compare(a->value.chunk, a->value.row, b->value.chunk, b->value.row);
        if (order != 0)
            return order;
    }
    return (i > j) - (i < j);
}

static enum err finish_lists(const struct snql_states *s, uint32_t group_count, struct arena *arena,
                             struct snql_column *ret)
{
    uint32_t *order = ARENA_ARRAY(arena, s->member_count + 1, uint32_t);
    uint32_t *ends = ARENA_ARRAY(arena, (size_t)group_count + 1, uint32_t);
    const struct snql_column **parts =
        ARENA_ARRAY(arena, s->member_count + 1, const struct snql_column *);
    struct snql_column *rows = ARENA_ARRAY(arena, s->member_count + 1, struct snql_column);
    struct snql_column *element = ARENA_NEW(arena, struct snql_column);
    if (order == NULL || ends == NULL || parts == NULL || rows == NULL || element == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < s->member_count; i++)
        order[i] = (uint32_t)i;
    struct list_order o = {s};
    TRY(sort_array(arena->account, order, s->member_count, sizeof(*order), compare_members, &o));
    struct snql_type type = s->a->type.elements[0];
    size_t at = 0;
    uint32_t count = 0;
    for (uint32_t g = 0; g < group_count; g++) {
        uint64_t taken = 0;
        for (; at < s->member_count && s->members[order[at]].group == g; at++) {
            struct value_ref v = s->members[order[at]].value;
            if (taken++ >= s->a->most)
                continue;
            TRY(snql_column_gather(v.chunk, &v.row, 1, arena, &rows[count]));
            rows[count].type = type;
            parts[count] = &rows[count];
            count++;
        }
        ends[g] = count;
    }
    TRY(snql_column_empty(type, arena, element));
    if (count > 0) {
        TRY(snql_column_concat(parts, count, arena, element));
        TRY(snql_column_spread(element, count, arena, element));
    }
    ret->ends = ends;
    ret->elements = element;
    return ERR_OK;
}

static double number_of(const struct snql_states *s, const struct numbers *n)
{
    double count = (double)n->count;
    double nan = s->a->parsed.or_default ? 0 : (double)NAN;
    switch (s->a->kind) {
    case AVG: return n->count == 0 ? nan : n->sum / count;
    case MIN:
    case MAX: return n->count == 0 ? 0 : n->mean_x; /* of states */
    case VAR_POP: return n->count == 0 ? nan : n->m2_x / count;
    case VAR_SAMP: return n->count < 2 ? nan : n->m2_x / (count - 1);
    case STDDEV_POP: return n->count == 0 ? nan : sqrt(n->m2_x / count);
    case STDDEV_SAMP: return n->count < 2 ? nan : sqrt(n->m2_x / (count - 1));
    case COVAR_POP: return n->count == 0 ? nan : n->c / count;
    case COVAR_SAMP: return n->count < 2 ? nan : n->c / (count - 1);
    case CORR: return n->count < 2 ? nan : n->c / sqrt(n->m2_x * n->m2_y);
    default: return n->sum;
    }
}

static enum err finish_regression(const struct snql_states *s, uint32_t group_count,
                                  struct arena *arena, struct snql_column *ret)
{
    struct snql_column *parts = ARENA_ARRAY(arena, 2, struct snql_column);
    double *k = ARENA_ARRAY(arena, (size_t)group_count + 1, double);
    double *b = ARENA_ARRAY(arena, (size_t)group_count + 1, double);
    if (parts == NULL || k == NULL || b == NULL)
        return arena_error(arena);
    for (uint32_t g = 0; g < group_count; g++) {
        struct numbers n = g < s->group_count ? s->numbers[g] : (struct numbers){0};
        k[g] = n.m2_x == 0 ? (double)NAN : n.c / n.m2_x;
        b[g] = n.mean_y - k[g] * n.mean_x;
    }
    parts[0] = (struct snql_column){.type = float64, .rows = group_count, .f64 = k};
    parts[1] = (struct snql_column){.type = float64, .rows = group_count, .f64 = b};
    ret->elements = parts;
    return ERR_OK;
}

static enum err finish_numbers(const struct snql_states *s, uint32_t group_count,
                               struct arena *arena, struct snql_column *ret)
{
    uint64_t *out = ARENA_ARRAY(arena, (size_t)group_count + 1, uint64_t);
    if (out == NULL)
        return arena_error(arena);
    for (uint32_t g = 0; g < group_count; g++) {
        struct numbers n = g < s->group_count ? s->numbers[g] : (struct numbers){0};
        if (s->a->kind == COUNT)
            out[g] = n.count;
        else if (s->a->kind == SUM && !s->a->sum_is_float)
            out[g] = n.whole;
        else
            out[g] = level_bits(float64, number_of(s, &n));
    }
    if (s->a->kind == UNIQ) {
        memset(out, 0, ((size_t)group_count + 1) * sizeof(*out));
        for (size_t i = 0; i < s->member_count; i++)
            out[s->members[i].group]++;
    }
    ret->u64 = out;
    return ERR_OK;
}

/* NULL, or the default, where a group had no values. */
static enum err mark_empty(const struct snql_states *s, uint32_t group_count, struct arena *arena,
                           struct snql_column *ret)
{
    if (!s->a->type.nullable || keeps_best(s->a->kind))
        return ERR_OK;
    uint8_t *nulls = ARENA_ARRAY(arena, (size_t)group_count + 1, uint8_t);
    if (nulls == NULL)
        return arena_error(arena);
    for (uint32_t g = 0; g < group_count; g++)
        nulls[g] = g >= s->group_count || s->numbers[g].count == 0;
    ret->nulls = nulls;
    return ERR_OK;
}

enum err snql_states_finish(const struct snql_states *s, uint32_t group_count, struct arena *arena,
                            struct snql_column *ret, struct snql_error *error)
{
    (void)error;
    enum kind k = s->a->kind;
    *ret = (struct snql_column){.type = s->a->type, .rows = group_count};
    bool number_of_states = s->a->parsed.is_merge && (k == MIN || k == MAX);
    if (keeps_samples(k))
        TRY(finish_quantiles(s, group_count, arena, ret));
    else if (keeps_best(k) && !number_of_states)
        TRY(finish_best(s, group_count, arena, ret));
    else if (k == REGRESSION)
        TRY(finish_regression(s, group_count, arena, ret));
    else if (keeps_members(k) && k != UNIQ)
        TRY(finish_lists(s, group_count, arena, ret));
    else
        TRY(finish_numbers(s, group_count, arena, ret));
    ret->type = s->a->type;
    return mark_empty(s, group_count, arena, ret);
}
