/* handler.h - what a route's handler sees: a parsed request in, an answer out.
 *
 * A handler runs in a pool thread, where it may read the disk and compute; everything it allocates
 * comes from the request's arena and account, which go after the answer is sent. It checks
 * handler_canceled between pieces of long work. Routes marked `on_loop` (api/router.h) are the
 * exception: their handlers run on the loop itself, and neither block nor compute.
 */
#ifndef HEARTH_API_HANDLER_H
#define HEARTH_API_HANDLER_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/json_writer.h"
#include "base/limits.h"

struct app; /* process-wide: store, keys, metrics, configuration (api/app.h) */

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_OTHER
};

struct http_field {
    struct bytes name; /* headers: lower case; parameters: percent-decoded */
    struct bytes value;
};

struct http_request {
    enum http_method method;
    struct bytes target;             /* as sent */
    struct bytes raw_path;           /* without query, as sent */
    struct bytes path;               /* percent-decoded, without query */
    struct bytes query;              /* raw, without '?' */
    const struct http_field *params; /* of the query, in order, decoded */
    size_t param_count;
    const struct http_field *headers; /* in order */
    size_t header_count;
    /* path parameters of the route, in order of its pattern: "/a/{x}/{y}" */
    struct bytes path_param[4];
    struct bytes body; /* routes that asked for it; decoded */
};

/* First value, data NULL when absent. */
struct bytes http_request_param(const struct http_request *q, const char *name);
struct bytes http_request_header(const struct http_request *q, const char *name);

/* A body written while the socket drains: `next` appends the next piece to `out` and sets
 * *ret_done with the last; called in pool threads, one at a time; `stop` once at the end. */
struct body_source {
    void *self;
    enum err (*next)(void *self, struct buffer *out, bool *ret_done);
    void (*stop)(void *self);
};

struct http_response {
    int status;
    const char *content_type; /* NULL: none */
    struct http_field headers[RESPONSE_HEADERS_MAX];
    size_t header_count;
    struct buffer body;        /* whole answer; ready to be written to */
    struct body_source source; /* or this, when next is not NULL: chunked */
};

void http_response_header(struct http_response *r, struct bytes name, struct bytes value);

struct handler_context {
    struct app *app;
    struct arena *arena; /* the request's */
    struct mem_account *account;
    const atomic_bool *canceled; /* the client left */
};

static inline bool handler_canceled(const struct handler_context *c)
{
    return atomic_load_explicit(c->canceled, memory_order_relaxed);
}

typedef void (*handler_fn)(struct handler_context *c, const struct http_request *q,
                           struct http_response *r);

/* application/problem+json: {"type":"about:blank","title":...,"status":...,"reason":...,
 * "detail":...}; `reason` is a stable word, `detail` says what was wrong, where, what is expected. */
void http_problem(struct http_response *r, int status, const char *reason, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* The same from an engine or storage failure (the mapping of codes to statuses is status.c's). */
void http_problem_of(struct http_response *r, enum err rc, const struct errinfo *info);

#endif
