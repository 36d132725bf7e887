/* query_params.c - a table of parameters, a setter a kind of value. */
#include "api/query_params.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/timestamp.h"
#include "base/uuid.h"

#define SHOWN_MAX 48 /* bytes of a bad value that its refusal repeats */

static const struct {
    const char *name;
    enum query_param param;
    bool repeatable;
} parameters[] = {
    {"profiler_id", QUERY_PROFILER_ID, true},
    {"profile_id", QUERY_PROFILE_ID, true},
    {"start", QUERY_START, false},
    {"end", QUERY_END, false},
    {"thread", QUERY_THREAD, true},
    {"environment", QUERY_ENVIRONMENT, true},
    {"release", QUERY_RELEASE, true},
    {"platform", QUERY_PLATFORM, true},
    {"transaction", QUERY_TRANSACTION, false},
    {"trace_id", QUERY_TRACE_ID, false},
    {"format", QUERY_FORMAT, false},
    {"threads", QUERY_THREADS, false},
    {"unit", QUERY_UNIT, false},
    {"limit", QUERY_LIMIT, false},
    {"buckets", QUERY_BUCKETS, false},
    {"max_spans", QUERY_MAX_SPANS, false},
    {"sort", QUERY_SORT, false},
};
#define PARAMETER_COUNT (sizeof(parameters) / sizeof(parameters[0]))

struct parsing {
    const struct http_request *request;
    struct http_response *response;
    struct arena *arena;
    struct query_params *params;
    unsigned allowed;
    unsigned seen;
};

static int shown(struct bytes value)
{
    return (int)(value.len < SHOWN_MAX ? value.len : SHOWN_MAX);
}

static bool refuse_value(struct parsing *p, const char *reason, const char *name,
                         struct bytes value, const char *expected)
{
    http_problem(p->response, 400, reason, "%s is \"%.*s\", expected %s", name, shown(value),
                 (const char *)value.data, expected);
    return false;
}

static bool refuse_unknown(struct parsing *p, struct bytes name)
{
    char list[256];
    size_t len = 0;

    list[0] = '\0';
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        if ((p->allowed & parameters[i].param) == 0 || len >= sizeof(list))
            continue;
        int added = snprintf(list + len, sizeof(list) - len, "%s%s", len == 0 ? "" : ", ",
                             parameters[i].name);
        len += added > 0 ? (size_t)added : 0;
    }
    http_problem(p->response, 400, "unknown_parameter",
                 "parameter \"%.*s\" is not known here, expected %s%s", shown(name),
                 (const char *)name.data, len == 0 ? "none" : "one of ", list);
    return false;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Digits other than 0 beyond nanoseconds: they would be lost. */
static bool has_more_than_ns(struct bytes value)
{
    size_t at = bytes_find_byte(value, '.') + 1;

    for (size_t i = 0; at + i < value.len && is_digit(value.data[at + i]); i++)
        if (i >= 9 && value.data[at + i] != '0')
            return true;
    return false;
}

static bool is_time(struct bytes value, int64_t *ret)
{
    return !has_more_than_ns(value) && timestamp_parse(value, ret);
}

#define TIME_TEXT_MAX 64

/* A time but for one thing: is it one when `from` is replaced? For what a refusal says only. */
static bool is_time_with(struct bytes value, size_t from, size_t len, const char *by)
{
    char text[TIME_TEXT_MAX];
    int64_t ns;

    if (value.len >= sizeof(text) || from + len > value.len)
        return false;
    int size = snprintf(text, sizeof(text), "%.*s%s%.*s", (int)from, (const char *)value.data, by,
                        (int)(value.len - from - len), (const char *)value.data + from + len);
    return size > 0 && (size_t)size < sizeof(text) && is_time(bytes_of(text, (size_t)size), &ns);
}

/* A moment before or after what 64 bits of nanoseconds hold. */
static bool is_out_of_range(struct bytes value)
{
    size_t first = value.len > 0 && (value.data[0] == '-' || value.data[0] == '+');
    size_t digits = 0;

    while (first + digits < value.len && is_digit(value.data[first + digits]))
        digits++;
    return digits > 0 && (is_time_with(value, first, digits, "0") ||
                          (digits == 4 && is_time_with(value, 0, 4, "2000")));
}

/* The value's length without one. */
static size_t last_blank(struct bytes value)
{
    for (size_t i = value.len; i-- > 0;)
        if (value.data[i] == ' ')
            return i;
    return value.len;
}

static bool parse_time(struct parsing *p, const char *name, struct bytes value, bool *ret_has,
                       int64_t *ret)
{
    *ret_has = true;
    if (is_time(value, ret))
        return true;
    if (is_time_with(value, last_blank(value), 1, "+"))
        return refuse_value(p, "bad_time", name, value,
                            "no blank there: in a query + means one, write + as %2B");
    if (is_out_of_range(value))
        return refuse_value(p, "bad_time", name, value,
                            "a moment in the years 1678 to 2262, in seconds (not milliseconds)");
    return refuse_value(p, "bad_time", name, value,
                        "RFC 3339 (2026-11-22T08:00:00.5Z) or unix seconds (1795334400.5), with at "
                        "most nine fractional digits");
}

static bool parse_uuid(struct parsing *p, const char *name, struct bytes value, struct uuid *ret)
{
    if (!uuid_parse(value, ret))
        return refuse_value(p, "bad_uuid", name, value,
                            "32 hexadecimal digits, or 36 characters with dashes");
    return true;
}

static bool parse_size(struct parsing *p, const char *name, struct bytes value, size_t max,
                       size_t *ret)
{
    uint64_t number;
    char expected[64];

    if (bytes_to_u64(value, &number) && number >= 1 && number <= max) {
        *ret = (size_t)number;
        return true;
    }
    (void)snprintf(expected, sizeof(expected), "a whole number from 1 to %zu", max);
    return refuse_value(p, "bad_value", name, value, expected);
}

struct word {
    const char *text;
    int value;
};

static bool parse_word(struct parsing *p, const char *name, struct bytes value,
                       const struct word *words, const char *expected, int *ret)
{
    for (; words->text != NULL; words++) {
        if (bytes_equal(value, bytes_of_text(words->text))) {
            *ret = words->value;
            return true;
        }
    }
    return refuse_value(p, "bad_value", name, value, expected);
}

static bool parse_format(struct parsing *p, struct bytes value)
{
    static const struct word words[] = {{"json", FORMAT_JSON},
                                        {"folded", FORMAT_FOLDED},
                                        {"speedscope", FORMAT_SPEEDSCOPE},
                                        {"pprof", FORMAT_PPROF},
                                        {NULL, 0}};
    int word = 0;

    if (!parse_word(p, "format", value, words, "json, folded, speedscope or pprof", &word))
        return false;
    p->params->format = (enum query_format)word;
    return true;
}

static bool parse_threads(struct parsing *p, struct bytes value)
{
    static const struct word words[] = {{"merged", 0}, {"separate", 1}, {NULL, 0}};
    int word = 0;

    if (!parse_word(p, "threads", value, words,
                    "merged or separate (a thread's id goes into thread=)", &word))
        return false;
    p->params->separate_threads = word == 1;
    return true;
}

static bool parse_unit(struct parsing *p, struct bytes value)
{
    static const struct word words[] = {
        {"samples", EXPORT_SAMPLES}, {"microseconds", EXPORT_MICROSECONDS}, {NULL, 0}};
    int word = 0;

    if (!parse_word(p, "unit", value, words, "samples or microseconds", &word))
        return false;
    p->params->unit = (enum export_unit)word;
    return true;
}

static bool parse_sort(struct parsing *p, struct bytes value)
{
    static const struct word words[] = {
        {"self", FUNCTIONS_BY_SELF}, {"total", FUNCTIONS_BY_TOTAL}, {NULL, 0}};
    int word = 0;

    if (!parse_word(p, "sort", value, words, "self or total", &word))
        return false;
    p->params->order = (enum function_order)word;
    return true;
}

/* Parameters with one value. */
static bool parse_single(struct parsing *p, enum query_param param, const char *name,
                         struct bytes value)
{
    struct selection_request *s = &p->params->selection;

    switch (param) {
    case QUERY_START: return parse_time(p, name, value, &s->has_start, &s->window.start_ns);
    case QUERY_END: return parse_time(p, name, value, &s->has_end, &s->window.end_ns);
    case QUERY_TRACE_ID: s->has_trace_id = true; return parse_uuid(p, name, value, &s->trace_id);
    case QUERY_TRANSACTION: s->transaction = value; return true;
    case QUERY_FORMAT: return parse_format(p, value);
    case QUERY_THREADS: return parse_threads(p, value);
    case QUERY_UNIT: return parse_unit(p, value);
    case QUERY_SORT: return parse_sort(p, value);
    case QUERY_LIMIT: return parse_size(p, name, value, QUERY_LIMIT_MAX, &p->params->limit);
    case QUERY_BUCKETS:
        return parse_size(p, name, value, QUERY_BUCKETS_MAX, &p->params->bucket_count);
    case QUERY_MAX_SPANS: return parse_size(p, name, value, QUERY_SPANS_MAX, &p->params->span_max);
    case QUERY_PROFILER_ID:
    case QUERY_PROFILE_ID:
    case QUERY_THREAD:
    case QUERY_ENVIRONMENT:
    case QUERY_RELEASE:
    case QUERY_PLATFORM: break; /* lists */
    }
    return true;
}

static const struct http_field *next_param(const struct http_request *q, const char *name,
                                           size_t *at)
{
    while (*at < q->param_count) {
        const struct http_field *f = &q->params[(*at)++];
        if (bytes_equal(f->name, bytes_of_text(name)))
            return f;
    }
    return NULL;
}

static bool refuse_memory(struct parsing *p)
{
    http_problem_of(p->response, p->arena->failed, NULL);
    return false;
}

static bool collect_texts(struct parsing *p, const char *name, struct selection_texts *ret)
{
    size_t at = 0;
    struct bytes *texts = ARENA_ARRAY(p->arena, p->request->param_count, struct bytes);
    const struct http_field *f;

    if (texts == NULL)
        return refuse_memory(p);
    ret->texts = texts;
    while ((f = next_param(p->request, name, &at)) != NULL)
        texts[ret->count++] = f->value;
    return true;
}

static bool collect_ids(struct parsing *p, const char *name, struct selection_ids *ret)
{
    size_t at = 0;
    struct uuid *ids = ARENA_ARRAY(p->arena, p->request->param_count, struct uuid);
    const struct http_field *f;

    if (ids == NULL)
        return refuse_memory(p);
    ret->ids = ids;
    while ((f = next_param(p->request, name, &at)) != NULL)
        if (!parse_uuid(p, name, f->value, &ids[ret->count++]))
            return false;
    return true;
}

static bool collect_lists(struct parsing *p)
{
    struct selection_request *s = &p->params->selection;

    return ((p->seen & QUERY_PROFILER_ID) == 0 ||
            collect_ids(p, "profiler_id", &s->profiler_ids)) &&
           ((p->seen & QUERY_PROFILE_ID) == 0 || collect_ids(p, "profile_id", &s->profile_ids)) &&
           ((p->seen & QUERY_THREAD) == 0 || collect_texts(p, "thread", &s->threads)) &&
           ((p->seen & QUERY_ENVIRONMENT) == 0 ||
            collect_texts(p, "environment", &s->environments)) &&
           ((p->seen & QUERY_RELEASE) == 0 || collect_texts(p, "release", &s->releases)) &&
           ((p->seen & QUERY_PLATFORM) == 0 || collect_texts(p, "platform", &s->platforms));
}

static bool parse_one(struct parsing *p, const struct http_field *f)
{
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        if (!bytes_equal(f->name, bytes_of_text(parameters[i].name)) ||
            (p->allowed & parameters[i].param) == 0)
            continue;
        if ((p->seen & parameters[i].param) != 0 && !parameters[i].repeatable) {
            http_problem(p->response, 400, "repeated_parameter",
                         "parameter %s is given more than once, expected once", parameters[i].name);
            return false;
        }
        p->seen |= parameters[i].param;
        return parse_single(p, parameters[i].param, parameters[i].name, f->value);
    }
    return refuse_unknown(p, f->name);
}

bool query_project_parse(const struct http_request *q, uint64_t *ret, struct http_response *r)
{
    if (bytes_to_u64(q->path_param[0], ret))
        return true;
    http_problem(r, 400, "bad_project", "project is \"%.*s\", expected a decimal number",
                 shown(q->path_param[0]), (const char *)q->path_param[0].data);
    return false;
}

bool query_params_parse(const struct http_request *q, unsigned allowed, size_t limit_default,
                        struct arena *arena, struct query_params *ret, struct http_response *r)
{
    struct parsing p = {
        .request = q, .response = r, .arena = arena, .params = ret, .allowed = allowed};

    *ret = (struct query_params){.limit = limit_default,
                                 .bucket_count = QUERY_BUCKETS_DEFAULT,
                                 .span_max = QUERY_SPANS_DEFAULT};
    if (!query_project_parse(q, &ret->selection.project_id, r))
        return false;
    for (size_t i = 0; i < q->param_count; i++)
        if (!parse_one(&p, &q->params[i]))
            return false;
    if (!collect_lists(&p))
        return false;
    const struct selection_request *s = &ret->selection;
    if (s->has_start && s->has_end && s->window.end_ns < s->window.start_ns) {
        http_problem(r, 400, "bad_window", "end is before start, expected start <= end");
        return false;
    }
    if (ret->format != FORMAT_JSON && ret->separate_threads) {
        http_problem(r, 400, "bad_value",
                     "threads=separate goes with format=json, other formats keep threads as they "
                     "can");
        return false;
    }
    if (ret->format != FORMAT_FOLDED && (p.seen & QUERY_UNIT) != 0) {
        http_problem(r, 400, "bad_value", "unit goes with format=folded");
        return false;
    }
    return true;
}
