/* snql_time.c - moments: rounding, parts, differences, intervals. All in UTC. */
#include <assert.h>

#include "base/civil.h"
#include "engine/snql_function.h"

#define DAY 86400

static int64_t floor_div(int64_t a, int64_t b)
{
    assert(b > 0);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Whole seconds since 1970. */
static int64_t seconds_at(const struct snql_column *c, size_t row)
{
    size_t at = snql_at(c, row);
    if (c->type.kind == SNQL_TYPE_DATE)
        return (int64_t)c->u64[at] * DAY;
    if (c->type.kind == SNQL_TYPE_DATETIME64)
        return floor_div(c->i64[at], snql_power_of_ten(c->type.precision));
    return (int64_t)c->u64[at];
}

static enum err need_time(struct snql_call *c, size_t argument, struct snql_error *error)
{
    if (snql_type_is_time(c->types[argument]))
        return ERR_OK;
    return snql_refuse_type(c, argument, "a date or time", error);
}

static enum err need_constant(struct snql_call *c, size_t argument, enum snql_kind kind,
                              const char *wanted, struct snql_error *error)
{
    bool fits = kind == SNQL_TYPE_UINT8 ? snql_type_is_integer(c->types[argument])
                                        : c->types[argument].kind == kind;
    if (fits && c->constants[argument] != NULL)
        return ERR_OK;
    return snql_refuse_type(c, argument, wanted, error);
}

/* ---- rounding and parts ---- */

enum part {
    START_OF_SECOND,
    START_OF_MINUTE,
    START_OF_FIVE_MINUTES,
    START_OF_TEN_MINUTES,
    START_OF_FIFTEEN_MINUTES,
    START_OF_HOUR,
    START_OF_DAY, /* up to here: DateTime */
    MONDAY,
    START_OF_WEEK,
    START_OF_MONTH,
    START_OF_QUARTER,
    START_OF_YEAR, /* up to here: Date */
    HOUR,
    MINUTE,
    SECOND,
    DAY_OF_WEEK,
    DAY_OF_MONTH,
    MONTH,
    YEAR,
    YYYYMMDD,
    UNIX_TIMESTAMP
};

static int64_t start_of(enum part p, int64_t days)
{
    struct civil d = civil_from_days(days);
    switch (p) {
    case MONDAY: return days - (days + 3) % 7; /* 1970-01-01 was a Thursday */
    case START_OF_WEEK: return days - (days + 4) % 7;
    case START_OF_QUARTER: d.month = (d.month - 1) / 3 * 3 + 1; break;
    case START_OF_YEAR: d.month = 1; break;
    default: break;
    }
    d.day = 1;
    return civil_to_days(d);
}

static int64_t part_of(enum part p, int64_t seconds)
{
    static const int64_t widths[] = {1, 60, 300, 600, 900, 3600, DAY};
    if (p <= START_OF_DAY)
        return floor_div(seconds, widths[p]) * widths[p];
    int64_t days = floor_div(seconds, DAY);
    if (p <= START_OF_YEAR)
        return start_of(p, days);
    int64_t of_day = seconds - days * DAY;
    struct civil d = civil_from_days(days);
    switch (p) {
    case HOUR: return of_day / 3600;
    case MINUTE: return of_day / 60 % 60;
    case SECOND: return of_day % 60;
    case DAY_OF_WEEK: return (days + 3) % 7 + 1;
    case DAY_OF_MONTH: return d.day;
    case MONTH: return d.month;
    case YEAR: return d.year;
    case YYYYMMDD: return d.year * 10000 + (int64_t)d.month * 100 + d.day;
    default: return seconds;
    }
}

static enum err bind_part(struct snql_call *c, struct snql_error *error)
{
    enum part p = (enum part)c->function->variant;
    TRY(need_time(c, 0, error));
    enum snql_kind kind = p <= START_OF_DAY    ? SNQL_TYPE_DATETIME
                          : p <= START_OF_YEAR ? SNQL_TYPE_DATE
                          : p == YEAR          ? SNQL_TYPE_UINT16
                          : p >= YYYYMMDD      ? SNQL_TYPE_UINT32
                                               : SNQL_TYPE_UINT8;
    c->type = snql_type_of(kind);
    return ERR_OK;
}

static enum err eval_part(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++)
        out[row] = snql_wrap(
            (uint64_t)part_of((enum part)c->function->variant, seconds_at(&args[0], row)), c->type);
    ret->u64 = out;
    return ERR_OK;
}

/* Column `time` of profiles: a multiple of `granularity` seconds; days are dates. */
static enum err bind_bucket(struct snql_call *c, struct snql_error *error)
{
    TRY(need_time(c, 0, error));
    TRY(need_constant(c, 1, SNQL_TYPE_UINT8, "a granularity in seconds", error));
    if (c->constants[1]->i64[0] <= 0)
        return snql_refuse_code(error, SNQL_CODE_ILLEGAL_DIVISION,
                                "GRANULARITY must be above 0 where `time` is used");
    c->type = snql_type_of(c->constants[1]->i64[0] == DAY ? SNQL_TYPE_DATE : SNQL_TYPE_DATETIME);
    if (c->type.kind == SNQL_TYPE_DATETIME)
        c->type.zone = SNQL_ZONE_UNIVERSAL;
    return ERR_OK;
}

static enum err eval_bucket(const struct snql_call *c, const struct snql_column *args,
                            const struct snql_frame *frame, struct snql_column *ret)
{
    int64_t width = args[1].i64[0];
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++) {
        int64_t bucket = floor_div(seconds_at(&args[0], row), width);
        out[row] = (uint64_t)(c->type.kind == SNQL_TYPE_DATE ? bucket : bucket * width);
    }
    ret->u64 = out;
    return ERR_OK;
}

/* toStartOfInterval(t, toIntervalX(n)) */
static int64_t interval_seconds(enum snql_interval i)
{
    switch (i) {
    case SNQL_INTERVAL_SECOND: return 1;
    case SNQL_INTERVAL_MINUTE: return 60;
    case SNQL_INTERVAL_HOUR: return 3600;
    case SNQL_INTERVAL_DAY: return DAY;
    default: return 0;
    }
}

static enum err bind_start_of_interval(struct snql_call *c, struct snql_error *error)
{
    TRY(need_time(c, 0, error));
    TRY(need_constant(c, 1, SNQL_TYPE_INTERVAL, "a constant interval", error));
    int64_t n;
    if (interval_seconds(c->types[1].interval) == 0 || c->constants[1]->i64[0] <= 0 ||
        __builtin_mul_overflow(c->constants[1]->i64[0], interval_seconds(c->types[1].interval), &n))
        return snql_refuse_type(c, 1, "some seconds, minutes, hours or days", error);
    c->type = snql_type_of(SNQL_TYPE_DATETIME);
    return ERR_OK;
}

static enum err eval_start_of_interval(const struct snql_call *c, const struct snql_column *args,
                                       const struct snql_frame *frame, struct snql_column *ret)
{
    int64_t width = c->constants[1]->i64[0] * interval_seconds(c->types[1].interval);
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++)
        out[row] = (uint32_t)(floor_div(seconds_at(&args[0], row), width) * width);
    ret->u64 = out;
    return ERR_OK;
}

/* ---- making times ---- */

static enum err read_zone(struct snql_call *c, size_t argument, struct snql_error *error)
{
    if (c->count <= argument)
        return ERR_OK;
    TRY(need_constant(c, argument, SNQL_TYPE_STRING, "the name of a zone", error));
    struct bytes name = c->constants[argument]->text[0];
    if (bytes_equal(name, BYTES("UTC")))
        c->type.zone = SNQL_ZONE_UTC;
    else if (bytes_equal(name, BYTES("Universal")))
        c->type.zone = SNQL_ZONE_UNIVERSAL;
    else
        return snql_refuse_type(c, argument, "'UTC' or 'Universal'", error);
    return ERR_OK;
}

/* toDateTime, toDate, toDateTime64 */
static enum err bind_make(struct snql_call *c, struct snql_error *error)
{
    c->type = snql_type_of((enum snql_kind)c->function->variant);
    struct snql_type from = c->types[0];
    size_t zone = 1;
    if (!snql_type_is_number(from) && !snql_type_is_time(from) && from.kind != SNQL_TYPE_STRING)
        return snql_refuse_type(c, 0, "a number of seconds, a time or text", error);
    if (c->type.kind == SNQL_TYPE_DATETIME64) {
        zone = 2;
        TRY(need_constant(c, 1, SNQL_TYPE_UINT8, "a number of digits from 0 to 9", error));
        if (c->constants[1]->u64[0] > 9)
            return snql_refuse_code(error, SNQL_CODE_OUT_OF_BOUND,
                                    "a DateTime64 has from 0 to 9 digits");
        c->type.precision = (uint8_t)c->constants[1]->u64[0];
    }
    return read_zone(c, zone, error);
}

static enum err make_from_text(const struct snql_call *c, struct bytes text,
                               const struct snql_frame *frame, uint64_t *ret)
{
    struct snql_column value;
    enum err rc = snql_text_to(text, c->type, frame->arena, &value);
    if (rc == ERR_NOTFOUND)
        return snql_refuse_code(frame->error, SNQL_CODE_CANNOT_PARSE_DATETIME,
                                "%.*s cannot read '%.*s'", (int)c->function->name.len,
                                (const char *)c->function->name.data,
                                (int)bytes_first(text, 100).len, (const char *)text.data);
    if (rc == ERR_OK)
        *ret = value.u64[0];
    return rc;
}

static enum err eval_make(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    uint64_t *out = SNQL_ROOM(frame, uint64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    ret->u64 = out;
    struct snql_type from = args[0].type;
    if (from.kind == SNQL_TYPE_STRING) {
        for (size_t row = 0; row < frame->rows; row++) {
            out[row] = 0;
            if (!snql_skips(frame, row))
                TRY(make_from_text(c, args[0].text[snql_at(&args[0], row)], frame, &out[row]));
        }
        return ERR_OK;
    }
    if (c->type.kind == SNQL_TYPE_DATETIME64) {
        struct snql_column wide;
        TRY(snql_widen(&args[0], c->type, frame->arena, &wide));
        for (size_t row = 0; row < frame->rows; row++)
            out[row] = wide.u64[snql_at(&wide, row)];
        return ERR_OK;
    }
    for (size_t row = 0; row < frame->rows; row++) {
        int64_t seconds = snql_type_is_time(from) ? seconds_at(&args[0], row)
                          : snql_type_is_integer(from)
                              ? args[0].i64[snql_at(&args[0], row)]
                              : snql_double_to_i64(snql_as_double(&args[0], row));
        if (c->type.kind == SNQL_TYPE_DATE) /* small numbers count days */
            seconds = !snql_type_is_time(from) && seconds <= UINT16_MAX ? seconds
                                                                        : floor_div(seconds, DAY);
        out[row] = snql_wrap((uint64_t)seconds, c->type);
    }
    return ERR_OK;
}

/* toUnixTimestamp64X(t64), fromUnixTimestamp64X(n): the variant is the digits. */
static enum err bind_ticks(struct snql_call *c, struct snql_error *error)
{
    if (c->types[0].kind != SNQL_TYPE_DATETIME64)
        return snql_refuse_type(c, 0, "a DateTime64", error);
    c->type = snql_type_of(SNQL_TYPE_INT64);
    return ERR_OK;
}

static enum err eval_ticks(const struct snql_call *c, const struct snql_column *args,
                           const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_type type = {.kind = SNQL_TYPE_DATETIME64, .precision = c->function->variant};
    return snql_widen(&args[0], type, frame->arena, ret);
}

static enum err bind_from_ticks(struct snql_call *c, struct snql_error *error)
{
    if (!snql_type_is_integer(c->types[0]))
        return snql_refuse_type(c, 0, "a whole number", error);
    c->type = (struct snql_type){.kind = SNQL_TYPE_DATETIME64, .precision = c->function->variant};
    return ERR_OK;
}

static enum err eval_same(const struct snql_call *c, const struct snql_column *args,
                          const struct snql_frame *frame, struct snql_column *ret)
{
    (void)c;
    (void)frame;
    *ret = args[0];
    return ERR_OK;
}

/* ---- intervals ---- */

static enum err bind_interval(struct snql_call *c, struct snql_error *error)
{
    if (!snql_type_is_integer(c->types[0]))
        return snql_refuse_type(c, 0, "a whole number", error);
    c->type = (struct snql_type){.kind = SNQL_TYPE_INTERVAL,
                                 .interval = (enum snql_interval)c->function->variant};
    return ERR_OK;
}

/* Days since 1970, some months later: at most the last day of the month. */
static int64_t add_months(int64_t days, int64_t months)
{
    struct civil d = civil_from_days(days);
    int64_t month = d.year * 12 + d.month - 1 + months;
    d.year = floor_div(month, 12);
    d.month = (unsigned)(month - d.year * 12) + 1;
    unsigned most = civil_days_in_month(d.year, d.month);
    d.day = d.day < most ? d.day : most;
    return civil_to_days(d);
}

enum err snql_time_add(const struct snql_column *time, const struct snql_column *interval,
                       bool minus, struct snql_type type, const struct snql_frame *frame,
                       struct snql_column *ret)
{
    static const int64_t seconds[] = {1, 60, 3600, DAY, INT64_C(7) * DAY, 0, 0, 0};
    static const int64_t months[] = {0, 0, 0, 0, 0, 1, 3, 12};
    enum snql_interval i = interval->type.interval;
    struct snql_column wide;
    int64_t *out = SNQL_ROOM(frame, int64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    TRY(snql_widen(time, type, frame->arena, &wide));
    int64_t per_day = type.kind == SNQL_TYPE_DATE ? 1 : DAY * snql_power_of_ten(type.precision);
    for (size_t row = 0; row < frame->rows; row++) {
        uint64_t n = interval->u64[snql_at(interval, row)];
        uint64_t by = minus ? 0 - n : n;
        int64_t at = wide.i64[snql_at(&wide, row)];
        if (months[i] != 0) {
            int64_t bounded = (int64_t)by > 120000    ? 120000
                              : (int64_t)by < -120000 ? -120000
                                                      : (int64_t)by;
            int64_t days = floor_div(at, per_day);
            out[row] = add_months(days, bounded * months[i]) * per_day + (at - days * per_day);
        } else {
            uint64_t unit = type.kind == SNQL_TYPE_DATE
                                ? (uint64_t)(seconds[i] / DAY)
                                : (uint64_t)(seconds[i] * snql_power_of_ten(type.precision));
            out[row] = (int64_t)((uint64_t)at + by * unit);
        }
        out[row] = (int64_t)snql_wrap((uint64_t)out[row], type);
    }
    ret->i64 = out;
    return ERR_OK;
}

/* addX (below 64) and subtractX */
#define SUBTRACT 64

static enum err bind_add(struct snql_call *c, struct snql_error *error)
{
    TRY(need_time(c, 0, error));
    if (!snql_type_is_number(c->types[1]))
        return snql_refuse_type(c, 1, "a number", error);
    c->type = c->types[0];
    if (c->type.kind == SNQL_TYPE_DATE && (c->function->variant & 63) <= SNQL_INTERVAL_HOUR)
        c->type = snql_type_of(SNQL_TYPE_DATETIME);
    return ERR_OK;
}

static enum err eval_add(const struct snql_call *c, const struct snql_column *args,
                         const struct snql_frame *frame, struct snql_column *ret)
{
    struct snql_column by = {.rows = frame->rows};
    int64_t *numbers = SNQL_ROOM(frame, int64_t);
    if (numbers == NULL)
        return arena_error(frame->arena);
    bool integer = snql_type_is_integer(args[1].type);
    for (size_t row = 0; row < frame->rows; row++)
        numbers[row] = integer ? args[1].i64[snql_at(&args[1], row)]
                               : snql_double_to_i64(snql_as_double(&args[1], row));
    by.i64 = numbers;
    by.type = (struct snql_type){.kind = SNQL_TYPE_INTERVAL,
                                 .interval = (enum snql_interval)(c->function->variant & 63)};
    return snql_time_add(&args[0], &by, (c->function->variant & SUBTRACT) != 0, c->type, frame,
                         ret);
}

/* dateDiff('unit', a, b): borders of the unit between them. */
static const char *const units[] = {"second", "minute", "hour",    "day",
                                    "week",   "month",  "quarter", "year"};

static enum err bind_difference(struct snql_call *c, struct snql_error *error)
{
    TRY(need_constant(c, 0, SNQL_TYPE_STRING, "the name of a unit", error));
    TRY(need_time(c, 1, error));
    TRY(need_time(c, 2, error));
    c->type = snql_type_of(SNQL_TYPE_INT64);
    for (uintptr_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes_equal(c->constants[0]->text[0], bytes_of_text(units[i]))) {
            enum snql_interval *unit = ARENA_NEW(c->arena, enum snql_interval);
            if (unit == NULL)
                return arena_error(c->arena);
            *unit = (enum snql_interval)i;
            c->data = unit;
            return ERR_OK;
        }
    }
    return snql_refuse_type(c, 0, "second, minute, hour, day, week, month, quarter or year", error);
}

/* Number of the unit that a moment lies in. */
static int64_t unit_number(enum snql_interval i, int64_t seconds)
{
    int64_t days = floor_div(seconds, DAY);
    struct civil d = civil_from_days(days);
    switch (i) {
    case SNQL_INTERVAL_SECOND: return seconds;
    case SNQL_INTERVAL_MINUTE: return floor_div(seconds, 60);
    case SNQL_INTERVAL_HOUR: return floor_div(seconds, 3600);
    case SNQL_INTERVAL_DAY: return days;
    case SNQL_INTERVAL_WEEK: return floor_div(days + 3, 7);
    case SNQL_INTERVAL_MONTH: return d.year * 12 + d.month;
    case SNQL_INTERVAL_QUARTER: return d.year * 4 + (d.month - 1) / 3;
    case SNQL_INTERVAL_YEAR: return d.year;
    }
    return seconds;
}

static enum err eval_difference(const struct snql_call *c, const struct snql_column *args,
                                const struct snql_frame *frame, struct snql_column *ret)
{
    const enum snql_interval *unit = c->data;
    int64_t *out = SNQL_ROOM(frame, int64_t);
    if (out == NULL)
        return arena_error(frame->arena);
    for (size_t row = 0; row < frame->rows; row++)
        out[row] = unit_number(*unit, seconds_at(&args[2], row)) -
                   unit_number(*unit, seconds_at(&args[1], row));
    ret->i64 = out;
    return ERR_OK;
}

#define PART(name, part)                                 \
    {                                                    \
        BYTES(name), 1, 1, 0, part, bind_part, eval_part \
    }
#define INTERVAL(name, unit)                                                                     \
    {BYTES("toInterval" name), 1, 1, 0, SNQL_INTERVAL_##unit, bind_interval, eval_same},         \
        {BYTES("add" name "s"), 2, 2, 0, SNQL_INTERVAL_##unit, bind_add, eval_add},              \
    {                                                                                            \
        BYTES("subtract" name "s"), 2, 2, 0, SNQL_INTERVAL_##unit | SUBTRACT, bind_add, eval_add \
    }

static const struct snql_function functions[] = {
    {BYTES(SNQL_TIME_BUCKET), 2, 2, 0, 0, bind_bucket, eval_bucket},
    {BYTES("toDateTime"), 1, 2, 0, SNQL_TYPE_DATETIME, bind_make, eval_make},
    {BYTES("toDateTime64"), 2, 3, 0, SNQL_TYPE_DATETIME64, bind_make, eval_make},
    {BYTES("toDate"), 1, 1, 0, SNQL_TYPE_DATE, bind_make, eval_make},
    PART("toStartOfSecond", START_OF_SECOND),
    PART("toStartOfMinute", START_OF_MINUTE),
    PART("toStartOfFiveMinutes", START_OF_FIVE_MINUTES),
    PART("toStartOfTenMinutes", START_OF_TEN_MINUTES),
    PART("toStartOfFifteenMinutes", START_OF_FIFTEEN_MINUTES),
    PART("toStartOfHour", START_OF_HOUR),
    PART("toStartOfDay", START_OF_DAY),
    PART("toMonday", MONDAY),
    PART("toStartOfWeek", START_OF_WEEK),
    PART("toStartOfMonth", START_OF_MONTH),
    PART("toStartOfQuarter", START_OF_QUARTER),
    PART("toStartOfYear", START_OF_YEAR),
    PART("toHour", HOUR),
    PART("toMinute", MINUTE),
    PART("toSecond", SECOND),
    PART("toDayOfWeek", DAY_OF_WEEK),
    PART("toDayOfMonth", DAY_OF_MONTH),
    PART("toMonth", MONTH),
    PART("toYear", YEAR),
    PART("toYYYYMMDD", YYYYMMDD),
    PART("toUnixTimestamp", UNIX_TIMESTAMP),
    {BYTES("toStartOfInterval"), 2, 2, 0, 0, bind_start_of_interval, eval_start_of_interval},
    {BYTES("toUnixTimestamp64Milli"), 1, 1, 0, 3, bind_ticks, eval_ticks},
    {BYTES("toUnixTimestamp64Micro"), 1, 1, 0, 6, bind_ticks, eval_ticks},
    {BYTES("toUnixTimestamp64Nano"), 1, 1, 0, 9, bind_ticks, eval_ticks},
    {BYTES("fromUnixTimestamp64Milli"), 1, 1, 0, 3, bind_from_ticks, eval_same},
    {BYTES("fromUnixTimestamp64Micro"), 1, 1, 0, 6, bind_from_ticks, eval_same},
    {BYTES("fromUnixTimestamp64Nano"), 1, 1, 0, 9, bind_from_ticks, eval_same},
    {BYTES("dateDiff"), 3, 3, 0, 0, bind_difference, eval_difference},
    INTERVAL("Second", SECOND),
    INTERVAL("Minute", MINUTE),
    INTERVAL("Hour", HOUR),
    INTERVAL("Day", DAY),
    INTERVAL("Week", WEEK),
    INTERVAL("Month", MONTH),
    INTERVAL("Quarter", QUARTER),
    INTERVAL("Year", YEAR),
};

const struct snql_function_list snql_time_functions = {functions,
                                                       sizeof(functions) / sizeof(functions[0])};
