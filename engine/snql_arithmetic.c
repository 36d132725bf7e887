/* snql_arithmetic.c - numbers: operators, rounding, the functions of mathematics. */
#include <math.h>

#include "engine/snql_function.h"

enum operation { PLUS, MINUS, MULTIPLY, DIVIDE, INT_DIV, MODULO };

__extension__ typedef __int128 wide_integer;

/* ---- plus, minus, multiply ---- */

static struct snql_type integer_result(enum operation op, struct snql_type a, struct snql_type b)
{
    unsigned bits = snql_type_bits(a) > snql_type_bits(b) ? snql_type_bits(a) : snql_type_bits(b);
    bool is_signed = op == MINUS || snql_type_is_signed(a) || snql_type_is_signed(b);
    return snql_type_of_integer(bits == 64 ? 64 : bits * 2, is_signed);
}

static enum err check_numbers(const struct snql_call *c, struct snql_error *error)
{
    for (size_t i = 0; i < c->count; i++)
        if (!snql_type_is_number(c->types[i]))
            return snql_refuse_type(c, i, "a number", error);
    return ERR_OK;
}

/* A time and a number or interval, or the difference of two times. */
static enum err bind_time_sum(struct snql_call *c, struct snql_error *error)
{
    enum operation op = (enum operation)c->function->variant;
    struct snql_type a = c->types[0];
    struct snql_type b = c->types[1];
    if (op == MINUS && snql_type_is_time(a) && snql_type_is_time(b)) {
        if (a.kind == SNQL_TYPE_DATETIME64 || b.kind == SNQL_TYPE_DATETIME64) {
            uint8_t scale = a.precision > b.precision ? a.precision : b.precision;
            c->type = (struct snql_type){.kind = SNQL_TYPE_DECIMAL, .precision = scale};
        } else {
            c->type = snql_type_of(SNQL_TYPE_INT32);
        }
        return ERR_OK;
    }
    size_t time = snql_type_is_time(a) ? 0 : 1;
    struct snql_type other = c->types[1 - time];
    if (op == MULTIPLY || snql_type_is_time(other) || (op == MINUS && time == 1))
        return snql_refuse_type(c, time, "a number", error);
    if (!snql_type_is_number(other) && other.kind != SNQL_TYPE_INTERVAL)
        return snql_refuse_type(c, 1 - time, "a number of seconds, or an interval", error);
    c->type = c->types[time];
    if (c->type.kind == SNQL_TYPE_DATE && other.kind == SNQL_TYPE_INTERVAL &&
        other.interval <= SNQL_INTERVAL_HOUR)
        c->type = snql_type_of(SNQL_TYPE_DATETIME);
    return ERR_OK;
}

static enum err bind_sum(struct snql_call *c, struct snql_error *error)
{
    struct snql_type a = c->types[0];
    struct snql_type b = c->types[1];
    if (snql_type_is_time(a) || snql_type_is_time(b))
        return bind_time_sum(c, error);
    TRY(check_numbers(c, error));
    if (snql_type_is_integer(a) && snql_type_is_integer(b))
        c->type = integer_result((enum operation)c->function->variant, a, b);
    else
        c->type = snql_type_of(SNQL_TYPE_FLOAT64);
    return ERR_OK;
}

static uint64_t integer_at(const struct snql_column *c, size_t row)
{
    return c->u64[snql_at(c, row)];
}

static enum err eval_time_sum(const struct snql_call *c, const struct snql_column *args,
                              const struct snql_frame *frame, struct snql_column *ret)
{
    bool minus = c->function->variant == MINUS;
    int64_t *out = SNQL_ROOM(frame, int64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    ret->i64 = out;
    if (snql_type_is_time(args[0].type) && snql_type_is_time(args[1].type)) {
        struct snql_type common = {.kind = SNQL_TYPE_DATETIME64, .precision = c->type.precision};
        struct snql_column a;
        struct snql_column b;
        TRY(snql_widen(&args[0], common, frame->arena, &a));
        TRY(snql_widen(&args[1], common, frame->arena, &b));
        for (size_t row = 0; row < frame->rows; row++)
            out[row] = (int64_t)snql_wrap(
                (uint64_t)a.i64[snql_at(&a, row)] - (uint64_t)b.i64[snql_at(&b, row)], c->type);
        return ERR_OK;
    }
    size_t time = snql_type_is_time(args[0].type) ? 0 : 1;
    const struct snql_column *other = &args[1 - time];
    if (other->type.kind == SNQL_TYPE_INTERVAL)
        return snql_time_add(&args[time], other, minus, c->type, frame, ret);
    int64_t unit = 1;
    for (unsigned i = 0; i < c->type.precision; i++)
        unit *= 10;
    for (size_t row = 0; row < frame->rows; row++) {
        uint64_t shift =
            snql_type_is_integer(other->type)
                ? integer_at(other, row) * (uint64_t)unit
                : (uint64_t)snql_double_to_i64(snql_as_double(other, row) * (double)unit);
        uint64_t at = integer_at(&args[time], row);
        out[row] = (int64_t)snql_wrap(minus ? at - shift : at + shift, c->type);
    }
    return ERR_OK;
}

static enum err eval_sum(const struct snql_call *c, const struct snql_column *args,
                         const struct snql_frame *frame, struct snql_column *ret)
{
    enum operation op = (enum operation)c->function->variant;
    if (snql_type_is_time(args[0].type) || snql_type_is_time(args[1].type))
        return eval_time_sum(c, args, frame, ret);
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    ret->u64 = out;
    if (snql_type_is_float(c->type)) {
        double *doubles = (double *)(void *)out;
        for (size_t row = 0; row < frame->rows; row++) {
            double a = snql_as_double(&args[0], row);
            double b = snql_as_double(&args[1], row);
            doubles[row] = op == PLUS ? a + b : op == MINUS ? a - b : a * b;
        }
        return ERR_OK;
    }
    for (size_t row = 0; row < frame->rows; row++) {
        uint64_t a = integer_at(&args[0], row);
        uint64_t b = integer_at(&args[1], row);
        out[row] = snql_wrap(op == PLUS ? a + b : op == MINUS ? a - b : a * b, c->type);
    }
    return ERR_OK;
}

/* ---- division ---- */

static enum err bind_divide(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of(SNQL_TYPE_FLOAT64);
    return check_numbers(c, error);
}

static enum err eval_divide(const struct snql_call *c, const struct snql_column *args,
                            const struct snql_frame *frame, struct snql_column *ret)
{
    (void)c;
    double *out = SNQL_ROOM(frame, double);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        double b = snql_as_double(&args[1], row);
        double a = snql_as_double(&args[0], row);
        if (b == 0) /* IEEE, said aloud: infinity, or not a number */
            out[row] = a == 0 || isnan(a)         ? (double)NAN
                       : signbit(b) == signbit(a) ? (double)INFINITY
                                                  : -(double)INFINITY;
        else
            out[row] = a / b;
    }
    ret->f64 = out;
    return ERR_OK;
}

static enum err bind_int_div(struct snql_call *c, struct snql_error *error)
{
    struct snql_type a = c->types[0];
    struct snql_type b = c->types[1];
    TRY(check_numbers(c, error));
    bool integers = snql_type_is_integer(a) && snql_type_is_integer(b);
    if (c->function->variant == INT_DIV) {
        bool is_signed = snql_type_is_signed(a) || snql_type_is_signed(b);
        c->type = integers ? snql_type_of_integer(snql_type_bits(a), is_signed)
                           : snql_type_of(SNQL_TYPE_INT64);
        return ERR_OK;
    }
    if (!integers) {
        c->type = snql_type_of(SNQL_TYPE_FLOAT64);
        return ERR_OK;
    }
    unsigned bits = snql_type_bits(b);
    bool is_signed = snql_type_is_signed(a);
    c->type = snql_type_of_integer(is_signed && bits < 64 ? bits * 2 : bits, is_signed);
    return ERR_OK;
}

static wide_integer wide_at(const struct snql_column *c, size_t row)
{
    size_t at = snql_at(c, row);
    return snql_type_is_signed(c->type) ? (wide_integer)c->i64[at] : (wide_integer)c->u64[at];
}

static enum err refuse_zero(const struct snql_frame *frame)
{
    return snql_refuse_code(frame->error, SNQL_CODE_ILLEGAL_DIVISION, "division by zero");
}

static enum err eval_int_div(const struct snql_call *c, const struct snql_column *args,
                             const struct snql_frame *frame, struct snql_column *ret)
{
    bool divide = c->function->variant == INT_DIV;
    bool integers = snql_type_is_integer(args[0].type) && snql_type_is_integer(args[1].type);
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    ret->u64 = out;
    for (size_t row = 0; row < frame->rows; row++) {
        out[row] = 0;
        if (snql_skips(frame, row))
            continue;
        if (!integers) {
            double a = snql_as_double(&args[0], row);
            double b = snql_as_double(&args[1], row);
            if (b == 0 && divide)
                return refuse_zero(frame);
            double left = fmod(a, b);
            double whole = trunc(a / (b == 0 ? 1 : b));
            if (divide)
                out[row] = fabs(whole) < 9e18 ? (uint64_t)(int64_t)whole : 0;
            else
                memcpy(&out[row], &left, sizeof(left));
            continue;
        }
        wide_integer a = wide_at(&args[0], row);
        wide_integer b = wide_at(&args[1], row);
        if (b == 0)
            return refuse_zero(frame);
        out[row] = snql_wrap((uint64_t)(divide ? a / b : a % b), c->type);
    }
    return ERR_OK;
}

/* ---- one number ---- */

enum single { NEGATE, ABS, SQRT, EXP, LOG, LOG2, LOG10 };

static enum err bind_single(struct snql_call *c, struct snql_error *error)
{
    struct snql_type a = c->types[0];
    TRY(check_numbers(c, error));
    c->type = snql_type_of(SNQL_TYPE_FLOAT64);
    if (!snql_type_is_integer(a))
        return ERR_OK;
    unsigned bits = snql_type_bits(a);
    if (c->function->variant == NEGATE)
        c->type = snql_type_of_integer(bits == 64 ? 64 : bits * 2, true);
    if (c->function->variant == ABS)
        c->type = snql_type_of_integer(bits, false);
    return ERR_OK;
}

static double single_double(enum single f, double v)
{
    switch (f) {
    case NEGATE: return -v;
    case ABS: return fabs(v);
    case SQRT: return sqrt(v);
    case EXP: return exp(v);
    case LOG: return log(v);
    case LOG2: return log2(v);
    case LOG10: return log10(v);
    }
    return v;
}

static enum err eval_single(const struct snql_call *c, const struct snql_column *args,
                            const struct snql_frame *frame, struct snql_column *ret)
{
    enum single f = (enum single)c->function->variant;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    ret->u64 = out;
    for (size_t row = 0; row < frame->rows; row++) {
        if (snql_type_is_float(c->type)) {
            double v = single_double(f, snql_as_double(&args[0], row));
            memcpy(&out[row], &v, sizeof(v));
            continue;
        }
        uint64_t v = integer_at(&args[0], row);
        bool negative = snql_type_is_signed(args[0].type) && (int64_t)v < 0;
        out[row] = snql_wrap(f == NEGATE || negative ? 0 - v : v, c->type);
    }
    return ERR_OK;
}

static enum err eval_pow(const struct snql_call *c, const struct snql_column *args,
                         const struct snql_frame *frame, struct snql_column *ret)
{
    (void)c;
    double *out = SNQL_ROOM(frame, double);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++)
        out[row] = pow(snql_as_double(&args[0], row), snql_as_double(&args[1], row));
    ret->f64 = out;
    return ERR_OK;
}

/* isNaN, isFinite, isInfinite */
enum double_kind { IS_NAN, IS_FINITE, IS_INFINITE };

static enum err bind_kind(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of(SNQL_TYPE_UINT8);
    return check_numbers(c, error);
}

static enum err eval_kind(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        double v = snql_as_double(&args[0], row);
        out[row] = c->function->variant == IS_NAN      ? isnan(v)
                   : c->function->variant == IS_FINITE ? isfinite(v)
                                                       : isinf(v) != 0;
    }
    ret->u64 = out;
    return ERR_OK;
}

/* ---- rounding, to digits behind the point (or, negative, before it) ---- */

enum rounding { ROUND, FLOOR, CEIL, TRUNC };
#define DIGITS_MAX 18

static enum err bind_round(struct snql_call *c, struct snql_error *error)
{
    TRY(check_numbers(c, error));
    if (c->count == 2 && (c->constants[1] == NULL || !snql_type_is_integer(c->types[1])))
        return snql_refuse_type(c, 1, "a constant number of digits", error);
    c->type = c->types[0];
    if (c->type.kind == SNQL_TYPE_DECIMAL)
        c->type = snql_type_of(SNQL_TYPE_FLOAT64);
    return ERR_OK;
}

static double round_double(enum rounding r, double v)
{
    switch (r) {
    case ROUND: return nearbyint(v); /* ties to even */
    case FLOOR: return floor(v);
    case CEIL: return ceil(v);
    case TRUNC: return trunc(v);
    }
    return v;
}

static wide_integer round_integer(enum rounding r, wide_integer v, wide_integer unit)
{
    wide_integer low = v / unit * unit; /* towards zero */
    if (low == v)
        return v;
    if (low > v)
        low -= unit;
    switch (r) {
    case ROUND:
        if ((v - low) * 2 == unit)
            return (low / unit) % 2 == 0 ? low : low + unit;
        return (v - low) * 2 < unit ? low : low + unit;
    case FLOOR: return low;
    case CEIL: return low + unit;
    case TRUNC: return v < 0 ? low + unit : low;
    }
    return v;
}

static enum err eval_round(const struct snql_call *c, const struct snql_column *args,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    enum rounding r = (enum rounding)c->function->variant;
    int64_t digits = 0;
    if (c->count == 2)
        digits = snql_type_is_signed(args[1].type) || args[1].u64[0] < DIGITS_MAX ? args[1].i64[0]
                                                                                  : DIGITS_MAX;
    digits = digits > DIGITS_MAX ? DIGITS_MAX : digits < -DIGITS_MAX ? -DIGITS_MAX : digits;
    wide_integer unit = 1;
    for (int64_t i = 0; i < (digits < 0 ? -digits : digits); i++)
        unit *= 10;
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    ret->u64 = out;
    for (size_t row = 0; row < frame->rows; row++) {
        if (snql_type_is_integer(c->type)) {
            wide_integer v = wide_at(&args[0], row);
            out[row] =
                digits >= 0 ? (uint64_t)v : snql_wrap((uint64_t)round_integer(r, v, unit), c->type);
            continue;
        }
        double v = snql_as_double(&args[0], row);
        double scale = (double)unit;
        double rounded =
            digits >= 0 ? round_double(r, v * scale) / scale : round_double(r, v / scale) * scale;
        rounded = isfinite(v) && isfinite(rounded) ? rounded : v;
        memcpy(&out[row], &rounded, sizeof(rounded));
    }
    return ERR_OK;
}

static const struct snql_function functions[] = {
    {BYTES("plus"), 2, 2, 0, PLUS, bind_sum, eval_sum},
    {BYTES("minus"), 2, 2, 0, MINUS, bind_sum, eval_sum},
    {BYTES("multiply"), 2, 2, 0, MULTIPLY, bind_sum, eval_sum},
    {BYTES("divide"), 2, 2, 0, DIVIDE, bind_divide, eval_divide},
    {BYTES("intDiv"), 2, 2, 0, INT_DIV, bind_int_div, eval_int_div},
    {BYTES("modulo"), 2, 2, 0, MODULO, bind_int_div, eval_int_div},
    {BYTES("negate"), 1, 1, 0, NEGATE, bind_single, eval_single},
    {BYTES("abs"), 1, 1, 0, ABS, bind_single, eval_single},
    {BYTES("sqrt"), 1, 1, 0, SQRT, bind_single, eval_single},
    {BYTES("exp"), 1, 1, 0, EXP, bind_single, eval_single},
    {BYTES("log"), 1, 1, 0, LOG, bind_single, eval_single},
    {BYTES("ln"), 1, 1, 0, LOG, bind_single, eval_single},
    {BYTES("log2"), 1, 1, 0, LOG2, bind_single, eval_single},
    {BYTES("log10"), 1, 1, 0, LOG10, bind_single, eval_single},
    {BYTES("pow"), 2, 2, 0, 0, bind_divide, eval_pow},
    {BYTES("power"), 2, 2, 0, 0, bind_divide, eval_pow},
    {BYTES("isNaN"), 1, 1, 0, IS_NAN, bind_kind, eval_kind},
    {BYTES("isFinite"), 1, 1, 0, IS_FINITE, bind_kind, eval_kind},
    {BYTES("isInfinite"), 1, 1, 0, IS_INFINITE, bind_kind, eval_kind},
    {BYTES("round"), 1, 2, 0, ROUND, bind_round, eval_round},
    {BYTES("floor"), 1, 2, 0, FLOOR, bind_round, eval_round},
    {BYTES("ceil"), 1, 2, 0, CEIL, bind_round, eval_round},
    {BYTES("ceiling"), 1, 2, 0, CEIL, bind_round, eval_round},
    {BYTES("trunc"), 1, 2, 0, TRUNC, bind_round, eval_round},
};

const struct snql_function_list snql_arithmetic_functions = {functions, sizeof(functions) /
                                                                            sizeof(functions[0])};
