/* http_response.h - an answer's head as bytes, and answers of problem+json.
 *
 * Owns:    nothing; the response's body belongs to the request's account.
 * Errors:  a body buffer that failed is turned into a problem by http_response_settle.
 */
#ifndef HEARTH_API_HTTP_RESPONSE_H
#define HEARTH_API_HTTP_RESPONSE_H

#include "api/handler.h"
#include "api/router.h"

void http_response_init(struct http_response *r, struct mem_account *account);
void http_response_close(struct http_response *r);
/* Forget what was written so far, body and headers. */
void http_response_clear(struct http_response *r);
struct bytes http_response_find(const struct http_response *r, const char *name);
/* After a handler: a body that met a ceiling becomes 413/503 instead of being cut. */
void http_response_settle(struct http_response *r);

/* An error in the words of the route's family, `reason` and text as http_problem. */
void http_refuse(struct http_response *r, enum route_family family, int status, const char *reason,
                 const char *text);

struct http_head_options {
    enum route_family family;
    bool routed;     /* a route of the family answered, not the lack of one */
    bool keep_alive; /* otherwise "Connection: close" */
    bool version_1_0;
    bool chunked;       /* no length known */
    bool is_options;    /* the ingest family's preflight headers */
    const char *coding; /* Content-Encoding; NULL: none */
    const char *date;   /* value of Date; NULL: none */
    size_t content_length;
};

void http_response_put_head(const struct http_response *r, const struct http_head_options *o,
                            struct buffer *out);

#endif
