/* snql_function.h - what a scalar function is, for the files that have them and for engine/snql_expr.c.
 *
 * A function says how its result's type follows from its arguments', and computes a column from
 * columns. What all share is done around it, unless its flags say otherwise:
 *  - NULL in an argument gives NULL, and `types` come without Nullable and LowCardinality;
 *  - a result of one LowCardinality column and constants is LowCardinality;
 *  - a call on constants alone is computed once, while binding.
 */
#ifndef HEARTH_ENGINE_SNQL_FUNCTION_H
#define HEARTH_ENGINE_SNQL_FUNCTION_H

#include "engine/snql_expr.h"

#define SNQL_ANY_COUNT 255

enum snql_function_flag {
    SNQL_TAKES_NULL = 1u << 0, /* NULL is a value to it; it says whether its result may be NULL */
    SNQL_OWN_TYPE = 1u << 1,   /* it says whether its result is LowCardinality, and sees what is */
    SNQL_TAKES_LAMBDA =
        1u << 2, /* its first argument is, or may be, a lambda over the arrays behind */
    SNQL_TAKES_STATE = 1u << 3
};

struct snql_function;
struct snql_lambda;

/* A call being bound, and after. */
struct snql_call {
    const struct snql_function *function;
    struct snql_type type; /* of the result; bind says it */
    size_t count;          /* arguments, without the lambda */
    const struct snql_type *types;
    const struct snql_column *const *constants; /* values of those that are constant, else NULL */
    const struct snql_lambda *lambda;           /* NULL: none */
    void *data;                                 /* what bind prepared for eval */
    struct arena *arena;                        /* bind's */
};

/* The rows of one evaluation. */
struct snql_frame {
    size_t rows;
    struct arena *arena;
    struct snql_error *error;
    const uint8_t
        *nulls; /* rows whose result will be NULL anyway: need not be looked at; or NULL */
    const struct snql_column *inputs;
    const struct snql_column *locals; /* arguments of the lambdas around */
    size_t local_count;
};

struct snql_function {
    struct bytes name;
    uint8_t min_count;
    uint8_t max_count; /* SNQL_ANY_COUNT: any */
    uint8_t flags;
    uint8_t variant; /* what its family's functions tell it apart by */
    enum err (*bind)(struct snql_call *c, struct snql_error *error);
    /* `args` have frame->rows rows; fills the values of *ret (type and rows are set). With
     * SNQL_TAKES_NULL also its nulls. */
    enum err (*eval)(const struct snql_call *c, const struct snql_column *args,
                     const struct snql_frame *frame, struct snql_column *ret);
};

/* Families, by file. */
struct snql_function_list {
    const struct snql_function *functions;
    size_t count;
};
extern const struct snql_function_list snql_arithmetic_functions;
extern const struct snql_function_list snql_compare_functions;
extern const struct snql_function_list snql_logic_functions;
extern const struct snql_function_list snql_text_functions;
extern const struct snql_function_list snql_regexp_functions;
extern const struct snql_function_list snql_time_functions;
extern const struct snql_function_list snql_convert_functions;
extern const struct snql_function_list snql_array_functions;

const struct snql_function *snql_function_find(struct bytes name); /* NULL: there is none */

/* The lambda over the elements of arrays: `arrays[i]` is the column of its argument i's elements,
 * all with `rows` rows; row_of[k] is the row of the frame that element k belongs to. */
struct snql_type snql_lambda_type(const struct snql_lambda *l);
size_t snql_lambda_argument_count(const struct snql_lambda *l);
enum err snql_lambda_eval(const struct snql_lambda *l, const struct snql_column *elements,
                          size_t rows, const uint32_t *row_of, const struct snql_frame *frame,
                          struct snql_column *ret) MUST_CHECK;

/* 43, with the function's name and what it wants. */
enum err snql_refuse_type(const struct snql_call *c, size_t argument, const char *wanted,
                          struct snql_error *error);

/* Room for the values of a column of frame->rows rows; NULL: the arena has none. */
#define SNQL_ROOM(frame, type) ARENA_ARRAY((frame)->arena, (frame)->rows + 1, type)

/* Whether row's result is NULL whatever is computed. */
static inline bool snql_skips(const struct snql_frame *frame, size_t row)
{
    return frame->nulls != NULL && frame->nulls[row] != 0;
}

/* A time and an interval of months, days, seconds... (engine/snql_time.c); of type `type`. */
enum err snql_time_add(const struct snql_column *time, const struct snql_column *interval,
                       bool minus, struct snql_type type, const struct snql_frame *frame,
                       struct snql_column *ret) MUST_CHECK;

/* Every array backwards (engine/snql_array.c). */
enum err snql_array_reverse(const struct snql_column *c, const struct snql_frame *frame,
                            struct snql_column *ret) MUST_CHECK;

/* Cut towards zero; what does not fit is as near as it gets, NaN is 0. */
int64_t snql_double_to_i64(double v);
/* A number as a double; of any type of number or time (in its own unit). */
double snql_as_double(const struct snql_column *c, size_t row);

/* The same of whole numbers, as near as int64 gets. */
static inline int64_t snql_i64_at(const struct snql_column *c, size_t row)
{
    size_t at = snql_at(c, row);
    return !snql_type_is_signed(c->type) && c->u64[at] > INT64_MAX ? INT64_MAX : c->i64[at];
}

/* ---- conversions (engine/snql_convert.c) ---- */

/* The value of a text as a type: numbers, times, UUIDs. ERR_NOTFOUND: it is none. A column of one
 * row. */
enum err snql_text_to(struct bytes text, struct snql_type type, struct arena *arena,
                      struct snql_column *ret) MUST_CHECK;
/* All rows as another type that holds them (engine/snql_type.h, common types); NULLs stay. */
enum err snql_widen(const struct snql_column *c, struct snql_type type, struct arena *arena,
                    struct snql_column *ret) MUST_CHECK;
/* A value as toString shows it. */
void snql_print_text(const struct snql_column *c, size_t row, struct buffer *out);
/* The integer cut to the width of its type, sign-extended for IntN. */
uint64_t snql_wrap(uint64_t v, struct snql_type type);

#endif
