/* snql_compare.c - comparisons, IN, LIKE's kin excepted (engine/snql_text.c).
 *
 * Both sides are brought to one of a few forms while binding: unsigned, signed, double, text, id, or
 * anything of one type. A constant is converted then, once. */
#include <math.h>

#include "base/hash.h"
#include "engine/snql_function.h"

enum relation { EQUAL, NOT_EQUAL, LESS, GREATER, LESS_EQUAL, GREATER_EQUAL };

static bool decide(enum relation r, int order)
{
    switch (r) {
    case EQUAL: return order == 0;
    case NOT_EQUAL: return order != 0;
    case LESS: return order < 0;
    case GREATER: return order > 0;
    case LESS_EQUAL: return order <= 0;
    case GREATER_EQUAL: return order >= 0;
    }
    return false;
}

/* ---- numbers of different kinds, by value ---- */

enum form { FORM_UNSIGNED, FORM_SIGNED, FORM_DOUBLE, FORM_OTHER };

static enum form form_of(struct snql_type t)
{
    if (snql_type_is_float(t))
        return FORM_DOUBLE;
    if (snql_type_is_signed(t) || t.kind == SNQL_TYPE_DATETIME64 || t.kind == SNQL_TYPE_DECIMAL)
        return FORM_SIGNED;
    if (snql_type_is_integer(t) || t.kind == SNQL_TYPE_DATE || t.kind == SNQL_TYPE_DATETIME)
        return FORM_UNSIGNED;
    return FORM_OTHER;
}

/* Exact, also beyond 2^53: the double is cut, and what was cut off decides ties. NaN is apart. */
static int compare_integer_double(bool negative, uint64_t magnitude, double d)
{
    if (d < 0 && !negative)
        return 1;
    if (d >= 0 && negative)
        return -1;
    double size = fabs(d);
    int order;
    if (size >= 18446744073709551616.0) {
        order = -1;
    } else {
        uint64_t whole = (uint64_t)size;
        order = (magnitude > whole) - (magnitude < whole);
        if (order == 0 && size > (double)whole)
            order = -1;
    }
    return negative ? -order : order;
}

static int compare_mixed(const struct snql_column *a, size_t i, enum form a_form,
                         const struct snql_column *b, size_t j, enum form b_form)
{
    if (a_form == FORM_DOUBLE && b_form == FORM_DOUBLE)
        return (a->f64[i] > b->f64[j]) - (a->f64[i] < b->f64[j]);
    if (b_form == FORM_DOUBLE) {
        bool negative = a_form == FORM_SIGNED && a->i64[i] < 0;
        return compare_integer_double(negative, negative ? 0 - a->u64[i] : a->u64[i], b->f64[j]);
    }
    if (a_form == FORM_DOUBLE) {
        bool negative = b_form == FORM_SIGNED && b->i64[j] < 0;
        return -compare_integer_double(negative, negative ? 0 - b->u64[j] : b->u64[j], a->f64[i]);
    }
    bool a_negative = a_form == FORM_SIGNED && a->i64[i] < 0;
    bool b_negative = b_form == FORM_SIGNED && b->i64[j] < 0;
    if (a_negative != b_negative)
        return a_negative ? -1 : 1;
    if (a_negative)
        return (a->i64[i] > b->i64[j]) - (a->i64[i] < b->i64[j]);
    return (a->u64[i] > b->u64[j]) - (a->u64[i] < b->u64[j]);
}

/* ---- what is compared ---- */

/* How the two sides are made alike. */
struct comparison {
    bool numbers;
    bool widen; /* both to `common` */
    struct snql_type common;
    const struct snql_column *left; /* a constant, converted; NULL: as it comes */
    const struct snql_column *right;
};

static enum err refuse_common(const struct snql_call *c, struct snql_error *error)
{
    struct snql_type ignored;
    return snql_type_common(c->types, 2, c->arena, &ignored, error);
}

/* The constant text of one side, as a value of the other's type. */
static enum err convert_text(struct snql_call *c, size_t text, struct snql_type type,
                             const struct snql_column **ret, struct snql_error *error)
{
    struct bytes value = c->constants[text]->text[0];
    struct snql_column *made = ARENA_NEW(c->arena, struct snql_column);
    if (made == NULL)
        return arena_error(c->arena);
    enum err rc = snql_text_to(value, type, c->arena, made);
    if (rc != ERR_NOTFOUND) {
        *ret = made;
        return rc;
    }
    bool time = snql_type_is_time(type);
    return snql_refuse_code(error,
                            time                          ? SNQL_CODE_CANNOT_PARSE_DATETIME
                            : type.kind == SNQL_TYPE_UUID ? SNQL_CODE_CANNOT_PARSE_TEXT
                                                          : SNQL_CODE_TYPE_MISMATCH,
                            "'%.*s' cannot be read as %s", (int)bytes_first(value, 100).len,
                            (const char *)value.data,
                            time                          ? "a date and time"
                            : type.kind == SNQL_TYPE_UUID ? "a UUID"
                                                          : "a number");
}

/* Text against something else. */
static enum err bind_text(struct snql_call *c, size_t text, struct comparison *k,
                          struct snql_error *error)
{
    struct snql_type type = c->types[1 - text];
    bool convertible =
        snql_type_is_number(type) || snql_type_is_time(type) || type.kind == SNQL_TYPE_UUID;
    if (c->constants[text] != NULL && c->constants[1 - text] == NULL && convertible)
        return convert_text(c, text, type, text == 0 ? &k->left : &k->right, error);
    if (c->constants[text] != NULL && convertible && !snql_type_is_number(type))
        return convert_text(c, text, type, text == 0 ? &k->left : &k->right, error);
    if (type.kind == SNQL_TYPE_DATETIME64 || type.kind == SNQL_TYPE_ARRAY ||
        type.kind == SNQL_TYPE_TUPLE)
        return snql_refuse_type(c, text, "a value of the other side's type", error);
    return refuse_common(c, error);
}

/* Times against numbers: the number counts seconds. */
static enum err bind_time(struct snql_call *c, struct comparison *k, struct snql_error *error)
{
    struct snql_type a = c->types[0];
    struct snql_type b = c->types[1];
    if (snql_type_is_time(a) && snql_type_is_time(b)) {
        if (a.kind == b.kind && a.precision == b.precision)
            return ERR_OK;
        k->widen = true;
        return snql_type_common(c->types, 2, c->arena, &k->common, error);
    }
    size_t time = snql_type_is_time(a) ? 0 : 1;
    if (!snql_type_is_number(c->types[1 - time]))
        return snql_refuse_type(c, 1 - time, "a time, a number of seconds, or text", error);
    if (c->types[time].kind == SNQL_TYPE_DATETIME)
        return ERR_OK; /* whole seconds are a number already */
    k->widen = true;
    k->common = snql_type_of(SNQL_TYPE_DATETIME64);
    k->common.precision = 9;
    return ERR_OK;
}

static enum err bind_sides(struct snql_call *c, struct comparison *k, struct snql_error *error)
{
    struct snql_type a = c->types[0];
    struct snql_type b = c->types[1];
    if (a.kind == SNQL_TYPE_STRING && b.kind == SNQL_TYPE_STRING)
        return ERR_OK;
    if (a.kind == SNQL_TYPE_UUID && b.kind == SNQL_TYPE_UUID)
        return ERR_OK;
    if (a.kind == SNQL_TYPE_STRING || b.kind == SNQL_TYPE_STRING)
        return bind_text(c, a.kind == SNQL_TYPE_STRING ? 0 : 1, k, error);
    if (snql_type_is_number(a) && snql_type_is_number(b)) {
        if (a.kind == SNQL_TYPE_DECIMAL || b.kind == SNQL_TYPE_DECIMAL) {
            k->widen = true;
            k->common = snql_type_of(SNQL_TYPE_FLOAT64);
        }
        return ERR_OK;
    }
    if (snql_type_is_time(a) || snql_type_is_time(b))
        return bind_time(c, k, error);
    if (a.kind != b.kind || (a.kind != SNQL_TYPE_ARRAY && a.kind != SNQL_TYPE_TUPLE))
        return snql_refuse_type(c, 1, "something to compare with the first", error);
    k->widen = true;
    return snql_type_common(c->types, 2, c->arena, &k->common, error);
}

static enum err bind_comparison(struct snql_call *c, struct snql_error *error)
{
    struct comparison *k = ARENA_NEW(c->arena, struct comparison);
    if (k == NULL)
        return arena_error(c->arena);
    *k = (struct comparison){0};
    TRY(bind_sides(c, k, error));
    c->type = snql_type_of(SNQL_TYPE_UINT8);
    c->data = k;
    return ERR_OK;
}

/* ---- evaluation ---- */

/* One column against one value: the loops that scans spend their time in. */
#define COMPARE_LOOP(relation_)                    \
    for (size_t row = 0; row < rows; row++)        \
        out[row] = values[row] relation_ constant; \
    break

static void compare_u64(enum relation r, const uint64_t *values, uint64_t constant, size_t rows,
                        uint64_t *out)
{
    switch (r) {
    case EQUAL: COMPARE_LOOP(==);
    case NOT_EQUAL: COMPARE_LOOP(!=);
    case LESS: COMPARE_LOOP(<);
    case GREATER: COMPARE_LOOP(>);
    case LESS_EQUAL: COMPARE_LOOP(<=);
    case GREATER_EQUAL: COMPARE_LOOP(>=);
    }
}

static void compare_i64(enum relation r, const int64_t *values, int64_t constant, size_t rows,
                        uint64_t *out)
{
    switch (r) {
    case EQUAL: COMPARE_LOOP(==);
    case NOT_EQUAL: COMPARE_LOOP(!=);
    case LESS: COMPARE_LOOP(<);
    case GREATER: COMPARE_LOOP(>);
    case LESS_EQUAL: COMPARE_LOOP(<=);
    case GREATER_EQUAL: COMPARE_LOOP(>=);
    }
}

static bool is_nan_at(const struct snql_column *c, enum form form, size_t at)
{
    return form == FORM_DOUBLE && isnan(c->f64[at]);
}

static void compare_numbers(enum relation r, const struct snql_column *a,
                            const struct snql_column *b, size_t rows, uint64_t *out)
{
    enum form a_form = form_of(a->type);
    enum form b_form = form_of(b->type);
    if (a_form == b_form && !a->constant && b->constant && a_form == FORM_UNSIGNED) {
        compare_u64(r, a->u64, b->u64[0], rows, out);
        return;
    }
    if (a_form == b_form && !a->constant && b->constant && a_form == FORM_SIGNED) {
        compare_i64(r, a->i64, b->i64[0], rows, out);
        return;
    }
    for (size_t row = 0; row < rows; row++) {
        size_t i = snql_at(a, row);
        size_t j = snql_at(b, row);
        bool nan = is_nan_at(a, a_form, i) || is_nan_at(b, b_form, j);
        out[row] = nan ? r == NOT_EQUAL : decide(r, compare_mixed(a, i, a_form, b, j, b_form));
    }
}

static void compare_texts(enum relation r, const struct snql_column *a, const struct snql_column *b,
                          size_t rows, uint64_t *out)
{
    bool equality = r == EQUAL || r == NOT_EQUAL;
    for (size_t row = 0; row < rows; row++) {
        struct bytes x = a->text[snql_at(a, row)];
        struct bytes y = b->text[snql_at(b, row)];
        out[row] = equality ? bytes_equal(x, y) == (r == EQUAL) : decide(r, bytes_compare(x, y));
    }
}

static enum err side(const struct snql_column *given, const struct snql_column *converted,
                     const struct comparison *k, const struct snql_frame *frame,
                     struct snql_column *ret)
{
    *ret = converted != NULL ? *converted : *given;
    if (converted != NULL) {
        ret->constant = true;
        ret->rows = frame->rows;
    }
    return k->widen ? snql_widen(ret, k->common, frame->arena, ret) : ERR_OK;
}

static enum err eval_comparison(const struct snql_call *c, const struct snql_column *args,
                                const struct snql_frame *frame, struct snql_column *ret)
{
    const struct comparison *k = c->data;
    enum relation r = (enum relation)c->function->variant;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    struct snql_column a;
    struct snql_column b;
    if (out == NULL)
        return arena_error(frame->arena);
    TRY(side(&args[0], k->left, k, frame, &a));
    TRY(side(&args[1], k->right, k, frame, &b));
    ret->u64 = out;
    if (form_of(a.type) != FORM_OTHER && form_of(b.type) != FORM_OTHER) {
        compare_numbers(r, &a, &b, frame->rows, out);
    } else if (a.type.kind == SNQL_TYPE_STRING) {
        compare_texts(r, &a, &b, frame->rows, out);
    } else {
        for (size_t row = 0; row < frame->rows; row++)
            out[row] = decide(r, snql_column_compare(&a, row, &b, row));
    }
    return ERR_OK;
}

/* ---- IN ---- */

/* The values of a list in the type of the left side, and a table to find them by. */
struct value_set {
    struct snql_column values;
    size_t slot_count; /* a power of two */
    uint32_t *slots;   /* value + 1; 0: free */
    uint64_t seed;
};

static enum err fill_set(struct value_set *s, struct arena *arena)
{
    s->seed = hash_seed();
    s->slot_count = 8;
    while (s->slot_count < 2 * s->values.rows)
        s->slot_count *= 2;
    s->slots = ARENA_ARRAY(arena, s->slot_count, uint32_t);
    if (s->slots == NULL)
        return arena_error(arena);
    memset(s->slots, 0, s->slot_count * sizeof(*s->slots));
    for (size_t i = 0; i < s->values.rows; i++) {
        if (snql_is_null(&s->values, i))
            continue; /* NULL matches nothing */
        size_t at = (size_t)snql_column_hash(&s->values, i, s->seed) & (s->slot_count - 1);
        while (s->slots[at] != 0)
            at = (at + 1) & (s->slot_count - 1);
        s->slots[at] = (uint32_t)i + 1;
    }
    return ERR_OK;
}

/* Its number in the list + 1; 0: it is not there. Of equal ones the first. */
static uint32_t set_find(const struct value_set *s, const struct snql_column *c, size_t row)
{
    size_t at = (size_t)snql_column_hash(c, row, s->seed) & (s->slot_count - 1);
    for (; s->slots[at] != 0; at = (at + 1) & (s->slot_count - 1))
        if (snql_column_compare(c, row, &s->values, s->slots[at] - 1) == 0)
            return s->slots[at];
    return 0;
}

/* One value of a list in the left side's type. *ret_fits false: no value of that type equals it. */
static enum err list_value(struct snql_call *c, const struct snql_column *list, size_t row,
                           struct snql_type type, struct snql_column *ret, bool *ret_fits,
                           struct snql_error *error);

static bool integer_fits(const struct snql_column *c, size_t at, struct snql_type type)
{
    bool negative = snql_type_is_signed(c->type) && c->i64[at] < 0;
    if (negative && !snql_type_is_signed(type))
        return false;
    if (!negative && snql_type_is_signed(type) && c->u64[at] > INT64_MAX)
        return false;
    return snql_wrap(c->u64[at], type) == c->u64[at];
}

/* A double that a column of integers can equal. */
static bool double_as_integer(double d, struct snql_type type, uint64_t *ret)
{
    if (!(d >= -9223372036854775808.0 && d < 18446744073709551616.0) || d != trunc(d))
        return false;
    bool negative = d < 0;
    if (negative && !snql_type_is_signed(type))
        return false;
    *ret = negative ? (uint64_t)(int64_t)d : (uint64_t)d;
    return snql_wrap(*ret, type) == *ret &&
           (negative || !snql_type_is_signed(type) || *ret <= INT64_MAX);
}

static enum err number_value(struct snql_call *c, const struct snql_column *list, size_t at,
                             struct snql_type type, struct snql_column *ret, bool *ret_fits)
{
    uint64_t *value = ARENA_NEW(c->arena, uint64_t);
    if (value == NULL)
        return arena_error(c->arena);
    ret->u64 = value;
    *value = list->u64[at];
    if (snql_type_is_float(type)) {
        double d = snql_as_double(list, at);
        memcpy(value, &d, sizeof(d));
    } else if (snql_type_is_float(list->type)) {
        *ret_fits &= double_as_integer(list->f64[at], type, value);
    } else {
        *ret_fits &= integer_fits(list, at, type);
    }
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err tuple_value(struct snql_call *c, const struct snql_column *list, size_t at,
                            struct snql_type type, struct snql_column *ret, bool *ret_fits,
                            struct snql_error *error)
{
    if (list->type.count != type.count)
        return snql_refuse_type(c, 1, "a list of tuples of that size", error);
    struct snql_column *elements = ARENA_ARRAY(c->arena, type.count + 1, struct snql_column);
    if (elements == NULL)
        return arena_error(c->arena);
    for (uint32_t k = 0; k < type.count; k++)
        TRY(list_value(c, &list->elements[k], at, type.elements[k], &elements[k], ret_fits, error));
    ret->elements = elements;
    return ERR_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err list_value(struct snql_call *c, const struct snql_column *list, size_t row,
                           struct snql_type type, struct snql_column *ret, bool *ret_fits,
                           struct snql_error *error)
{
    type = snql_type_bare(type);
    *ret = (struct snql_column){.type = type, .rows = 1};
    size_t at = snql_at(list, row);
    if (snql_is_null(list, row)) {
        *ret_fits = false;
        return ERR_OK;
    }
    if (type.kind == SNQL_TYPE_TUPLE && list->type.kind == SNQL_TYPE_TUPLE)
        return tuple_value(c, list, at, type, ret, ret_fits, error);
    if (snql_type_is_number(type) && snql_type_is_number(list->type) &&
        type.kind != SNQL_TYPE_DECIMAL && list->type.kind != SNQL_TYPE_DECIMAL)
        return number_value(c, list, at, type, ret, ret_fits);
    if (type.kind == list->type.kind && type.precision == list->type.precision)
        return snql_column_gather(list, &(uint32_t){(uint32_t)row}, 1, c->arena, ret);
    if (snql_type_is_time(type) &&
        (snql_type_is_time(list->type) || snql_type_is_number(list->type)))
        return snql_widen(
            &(struct snql_column){
                .type = list->type, .rows = 1, .constant = true, .u64 = list->u64 + at},
            type, c->arena, ret);
    struct buffer text;
    buffer_init(&text, 4096, NULL);
    snql_print_text(list, row, &text);
    struct bytes copy = arena_copy(c->arena, buffer_bytes(&text));
    buffer_close(&text);
    if (copy.data == NULL)
        return arena_error(c->arena);
    if (type.kind == SNQL_TYPE_STRING && snql_type_is_number(list->type)) {
        struct bytes *value = ARENA_NEW(c->arena, struct bytes);
        if (value == NULL)
            return arena_error(c->arena);
        *value = copy;
        ret->text = value;
        return ERR_OK;
    }
    if (list->type.kind != SNQL_TYPE_STRING)
        return snql_refuse_type(c, 1, "a list of values like the left side's", error);
    enum err rc = snql_text_to(copy, type, c->arena, ret);
    if (rc != ERR_NOTFOUND)
        return rc;
    bool number = snql_type_is_number(type);
    return snql_refuse_code(error,
                            number                    ? SNQL_CODE_TYPE_MISMATCH
                            : snql_type_is_time(type) ? SNQL_CODE_CANNOT_PARSE_DATETIME
                                                      : SNQL_CODE_CANNOT_PARSE_TEXT,
                            "'%.*s' cannot be read as a value of the left side's type",
                            (int)bytes_first(copy, 100).len, (const char *)copy.data);
}

/* The values of the right side: elements of an array, of a tuple, or the one that it is. */
struct list_source {
    const struct snql_column *list;
    size_t count;
};

static struct list_source source_of(const struct snql_column *list, struct snql_type left)
{
    if (list->type.kind == SNQL_TYPE_ARRAY)
        return (struct list_source){&list->elements[0], list->ends[0]};
    bool of_tuples = list->type.count > 0 && list->type.elements[0].kind == SNQL_TYPE_TUPLE;
    if (list->type.kind == SNQL_TYPE_TUPLE && (left.kind != SNQL_TYPE_TUPLE || of_tuples))
        return (struct list_source){NULL, list->type.count};
    return (struct list_source){list, 1};
}

/* Those of the list that the left side's type has; places[i] says where value i stood. */
static enum err make_set(struct snql_call *c, const struct snql_column *list, struct value_set *ret,
                         uint32_t **ret_places, struct snql_error *error)
{
    struct list_source source = source_of(list, c->types[0]);
    const struct snql_column **kept =
        ARENA_ARRAY(c->arena, source.count + 1, const struct snql_column *);
    struct snql_column *values = ARENA_ARRAY(c->arena, source.count + 1, struct snql_column);
    uint32_t *places = ARENA_ARRAY(c->arena, source.count + 1, uint32_t);
    if (kept == NULL || values == NULL || places == NULL)
        return arena_error(c->arena);
    size_t count = 0;
    for (size_t i = 0; i < source.count; i++) {
        bool fits = true;
        const struct snql_column *from = source.list == NULL ? &list->elements[i] : source.list;
        TRY(list_value(c, from, source.list == NULL ? 0 : i, c->types[0], &values[i], &fits,
                       error));
        values[i].constant = false;
        places[count] = (uint32_t)i;
        if (fits)
            kept[count++] = &values[i];
    }
    *ret = (struct value_set){0};
    TRY(snql_column_empty(snql_type_bare(c->types[0]), c->arena, &ret->values));
    if (count > 0)
        TRY(snql_column_concat(kept, count, c->arena, &ret->values));
    *ret_places = places;
    return fill_set(ret, c->arena);
}

static enum err bind_in(struct snql_call *c, struct snql_error *error)
{
    struct value_set *s = ARENA_NEW(c->arena, struct value_set);
    uint32_t *places;
    if (s == NULL)
        return arena_error(c->arena);
    if (c->constants[1] == NULL)
        return snql_refuse_type(c, 1, "a list of constants", error);
    TRY(make_set(c, c->constants[1], s, &places, error));
    c->type = snql_type_of(SNQL_TYPE_UINT8);
    c->type.nullable = c->types[0].nullable;
    c->data = s;
    return ERR_OK;
}

static enum err eval_in(const struct snql_call *c, const struct snql_column *args,
                        const struct snql_frame *frame, struct snql_column *ret)
{
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    bool wanted = c->function->variant == EQUAL;
    for (size_t row = 0; row < frame->rows; row++)
        out[row] = (set_find(c->data, &args[0], row) != 0) == wanted;
    ret->u64 = out;
    ret->nulls = NULL;
    if (args[0].nulls != NULL || args[0].type.kind == SNQL_TYPE_NOTHING) {
        uint8_t *nulls = SNQL_ROOM(frame, uint8_t);
        if (nulls == NULL)
            return arena_error(frame->arena);
        for (size_t row = 0; row < frame->rows; row++)
            nulls[row] = snql_is_null(&args[0], row);
        ret->nulls = nulls;
    }
    return ERR_OK;
}

/* ---- nullIf(a, b): a, or NULL where they are equal ---- */

static enum err bind_null_if(struct snql_call *c, struct snql_error *error)
{
    bool nothing = c->types[0].kind == SNQL_TYPE_NOTHING || c->types[1].kind == SNQL_TYPE_NOTHING;
    if (!nothing)
        TRY(bind_comparison(c, error));
    c->type = snql_type_plain(c->types[0]);
    c->type.nullable = true;
    return ERR_OK;
}

static enum err eval_null_if(const struct snql_call *c, const struct snql_column *args,
                             const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_column equal = {0};
    uint8_t *nulls = SNQL_ROOM(frame, uint8_t);
    if (nulls == NULL)
        return arena_error(frame->arena);
    if (c->data != NULL)
        TRY(eval_comparison(c, args, frame, &equal));
    for (size_t row = 0; row < frame->rows; row++)
        nulls[row] = snql_is_null(&args[0], row) ||
                     (equal.u64 != NULL && !snql_is_null(&args[1], row) && equal.u64[row] != 0);
    /* A constant with NULLs of its own is no constant any more. */
    const struct snql_column *one = &args[0];
    TRY(snql_column_spread(one, frame->rows, frame->arena, ret));
    ret->nulls = nulls;
    return ERR_OK;
}

/* ---- transform(x, from, to, default) ---- */

struct transform {
    struct value_set from;
    const uint32_t *places; /* value of the set -> element of `to` */
    struct snql_column to;  /* in the result's type */
};

static enum err bind_transform(struct snql_call *c, struct snql_error *error)
{
    const struct snql_column *from = c->constants[1];
    const struct snql_column *to = c->constants[2];
    for (size_t i = 1; i <= 2; i++)
        if (c->constants[i] == NULL || c->types[i].kind != SNQL_TYPE_ARRAY)
            return snql_refuse_type(c, i, "an array of constants", error);
    if (from->ends[0] != to->ends[0])
        return snql_refuse_code(error, SNQL_CODE_ILLEGAL_ARGUMENT,
                                "arrays of transform have different sizes");
    struct transform *t = ARENA_NEW(c->arena, struct transform);
    uint32_t *places;
    if (t == NULL)
        return arena_error(c->arena);
    TRY(make_set(c, from, &t->from, &places, error));
    t->places = places;
    struct snql_type types[] = {c->types[2].elements[0], c->types[c->count == 4 ? 3 : 0]};
    TRY(snql_type_common(types, 2, c->arena, &c->type, error));
    struct snql_column elements = to->elements[0];
    elements.rows = to->ends[0];
    c->data = t;
    return snql_widen(&elements, c->type, c->arena, &t->to);
}

static enum err eval_transform(const struct snql_call *c, const struct snql_column *args,
                               const struct snql_frame *frame, struct snql_column *ret)
{
    const struct transform *t = c->data;
    struct snql_column otherwise;
    uint32_t *rows = SNQL_ROOM(frame, uint32_t);
    if (rows == NULL)
        return arena_error(frame->arena);
    TRY(snql_widen(&args[c->count == 4 ? 3 : 0], c->type, frame->arena, &otherwise));
    for (size_t row = 0; row < frame->rows; row++) {
        uint32_t found = set_find(&t->from, &args[0], row);
        rows[row] = found != 0 ? t->places[found - 1] : (uint32_t)(t->to.rows + row);
    }
    struct snql_column all;
    const struct snql_column *parts[] = {&t->to, &otherwise};
    TRY(snql_column_concat(parts, 2, frame->arena, &all));
    return snql_column_gather(&all, rows, frame->rows, frame->arena, ret);
}

static const struct snql_function functions[] = {
    {BYTES("equals"), 2, 2, 0, EQUAL, bind_comparison, eval_comparison},
    {BYTES("notEquals"), 2, 2, 0, NOT_EQUAL, bind_comparison, eval_comparison},
    {BYTES("less"), 2, 2, 0, LESS, bind_comparison, eval_comparison},
    {BYTES("greater"), 2, 2, 0, GREATER, bind_comparison, eval_comparison},
    {BYTES("lessOrEquals"), 2, 2, 0, LESS_EQUAL, bind_comparison, eval_comparison},
    {BYTES("greaterOrEquals"), 2, 2, 0, GREATER_EQUAL, bind_comparison, eval_comparison},
    {BYTES("in"), 2, 2, SNQL_TAKES_NULL, EQUAL, bind_in, eval_in},
    {BYTES("notIn"), 2, 2, SNQL_TAKES_NULL, NOT_EQUAL, bind_in, eval_in},
    {BYTES("nullIf"), 2, 2, SNQL_TAKES_NULL, EQUAL, bind_null_if, eval_null_if},
    {BYTES("transform"), 3, 4, 0, 0, bind_transform, eval_transform},
};

const struct snql_function_list snql_compare_functions = {functions,
                                                          sizeof(functions) / sizeof(functions[0])};
