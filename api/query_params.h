/* query_params.h - parameters of the own API's routes, checked to the letter.
 *
 * Owns:   lists live in the arena; texts are views into the request.
 * Errors: a refusal is written as a problem with status 400: `unknown_parameter`,
 *         `repeated_parameter`, `bad_project`, `bad_uuid`, `bad_time`, `bad_window` (end before
 *         start), `bad_value`; its detail names the parameter and what was expected.
 */
#ifndef HEARTH_API_QUERY_PARAMS_H
#define HEARTH_API_QUERY_PARAMS_H

#include "api/handler.h"
#include "engine/export.h"
#include "engine/functions.h"
#include "engine/selection.h"

enum query_param {
    QUERY_PROFILER_ID = 1u << 0, /* repeatable */
    QUERY_PROFILE_ID = 1u << 1,  /* repeatable */
    QUERY_START = 1u << 2,
    QUERY_END = 1u << 3,
    QUERY_THREAD = 1u << 4, /* repeatable, and so are the next three */
    QUERY_ENVIRONMENT = 1u << 5,
    QUERY_RELEASE = 1u << 6,
    QUERY_PLATFORM = 1u << 7,
    QUERY_TRANSACTION = 1u << 8,
    QUERY_TRACE_ID = 1u << 9,
    QUERY_FORMAT = 1u << 10,
    QUERY_THREADS = 1u << 11,
    QUERY_UNIT = 1u << 12,
    QUERY_LIMIT = 1u << 13,
    QUERY_BUCKETS = 1u << 14,
    QUERY_MAX_SPANS = 1u << 15,
    QUERY_SORT = 1u << 16
};

/* What narrows a selection. */
#define QUERY_WINDOW (QUERY_START | QUERY_END)
#define QUERY_TAGS   (QUERY_ENVIRONMENT | QUERY_RELEASE | QUERY_PLATFORM)
#define QUERY_SELECTION                                                                \
    (QUERY_PROFILER_ID | QUERY_PROFILE_ID | QUERY_WINDOW | QUERY_THREAD | QUERY_TAGS | \
     QUERY_TRANSACTION | QUERY_TRACE_ID)

enum query_format { FORMAT_JSON, FORMAT_FOLDED, FORMAT_SPEEDSCOPE, FORMAT_PPROF };

struct query_params {
    struct selection_request selection;
    enum query_format format;
    enum export_unit unit;
    bool separate_threads;
    enum function_order order;
    size_t limit;
    size_t bucket_count;
    size_t span_max;
};

/* `allowed` is a set of query_param; `limit_default` applies when the route takes a limit. False
 * when `r` holds a refusal. */
bool query_params_parse(const struct http_request *q, unsigned allowed, size_t limit_default,
                        struct arena *arena, struct query_params *ret, struct http_response *r);
/* The project of the path; false when `r` holds a refusal. */
bool query_project_parse(const struct http_request *q, uint64_t *ret, struct http_response *r);

#endif
