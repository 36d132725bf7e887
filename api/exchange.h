/* exchange.h - one request and its answer, and all memory of both.
 *
 * Threads: belongs to the loop, or to the one job that works on it.
 * Owns:    two arenas: the head's (small, from the head budget, so that a full memory budget cannot
 *          keep a request from being read) and the handler's.
 */
#ifndef HEARTH_API_EXCHANGE_H
#define HEARTH_API_EXCHANGE_H

#include "api/append_strand.h"
#include "api/handler.h"
#include "api/http_encoding.h"
#include "api/job.h"
#include "api/router.h"

struct exchange {
    void *owner; /* the connection */
    struct mem_account head_account;
    struct arena head_arena;
    struct mem_account account;
    struct arena arena;
    struct http_response response;
    struct handler_context context;
    atomic_bool canceled;
    struct http_request *request; /* NULL until its head is complete */
    const struct route *route;    /* NULL: none was found */
    enum route_family family;     /* whose words errors have */
    struct buffer body;           /* coded bytes gathered and not yet taken */
    size_t body_taken;            /* of `body`, by a job that then found no room */
    void *upload;
    bool answered;    /* the response is decided; the rest of the body is dropped */
    bool complete;    /* the message has ended */
    bool streamed;    /* a first piece went before the end */
    bool is_options;  /* a preflight or its like */
    bool source_done; /* the last piece of a pulled body is in response.body */
    bool pulled;      /* the body comes in pieces */
    enum err failed;  /* of the job */
    enum http_coding coding;
    struct http_encoder *encoder;
    struct buffer decoded; /* the body without its content coding, when it had one */
    struct buffer encoded; /* the piece as it goes out, when coded */
    struct append_job append;
    int64_t began_ns;
    uint64_t body_size; /* coded */
    struct job release;
};

enum err exchange_create(struct app *app, struct mem_budget *heads,
                         struct exchange **ret) MUST_CHECK;
/* Frees everything; a big one in a pool thread, where unmapping hurts nobody. */
void exchange_destroy(struct exchange *x, uv_loop_t *loop);

/* Pool thread: run the route's handler, and code its answer. */
void exchange_handle(struct exchange *x);
/* Pool thread: the next piece of a pulled body into x->response.body (or x->encoded). */
void exchange_pull(struct exchange *x);
/* Pool thread: hand gathered bytes to the upload. */
void exchange_take(struct exchange *x);
/* What goes out: the body, or the piece of it. */
struct bytes exchange_payload(const struct exchange *x);

#endif
