/* http_request.h - bytes of a connection to requests, within ceilings.
 *
 * Owns:    the text of headers while they come; the request it fills in points into it and into
 *          the arena, until http_parser_reset.
 * Threads: one at a time.
 * Errors:  what is wrong with a request is an answer to give: `refusal` is its status and `why` the
 *          words. After HTTP_BAD nothing more can be read from this connection.
 * Cost:    O(bytes); memory is bounded by TARGET_SIZE_MAX, HEADER_SIZE_MAX, HEADER_COUNT_MAX.
 *
 *   reset -> step* -> HTTP_HEADERS -> step* -> HTTP_END -> reset ...
 */
#ifndef HEARTH_API_HTTP_REQUEST_H
#define HEARTH_API_HTTP_REQUEST_H

#include <llhttp.h>

#include "api/handler.h"

enum http_step {
    HTTP_MORE,    /* all input was used */
    HTTP_HEADERS, /* the head is complete: request and the facts below are filled in */
    HTTP_END,     /* the message is complete */
    HTTP_BAD      /* see refusal */
};

struct http_span {
    uint32_t at; /* in head */
    uint32_t len;
};

struct http_parser {
    llhttp_t machine;
    struct arena *arena; /* of the request being read; borrowed */
    struct buffer *body; /* where body bytes go; NULL: counted and dropped */
    struct buffer head;  /* target, then names and values */
    struct http_span target;
    struct http_span (*spans)[2]; /* name, value */
    size_t span_count;
    size_t body_size; /* bytes of body seen, transfer coding undone */
    bool in_value;
    bool began; /* a first byte of the request has come */
    bool stopped_at_headers;
    bool stopped_at_end;

    /* known with HTTP_HEADERS */
    struct http_request request;
    struct bytes method_text;
    bool has_length; /* of the body: Content-Length or chunked */
    bool chunked;
    uint64_t content_length;
    bool expects_continue;
    bool keep_alive;
    bool version_1_0;

    int refusal; /* status to answer with, 0: none */
    const char *reason;
    const char *why;
};

void http_parser_init(struct http_parser *p);
void http_parser_close(struct http_parser *p);
/* Ready for the next request of the connection. */
void http_parser_reset(struct http_parser *p, struct arena *arena, struct mem_account *account);
/* Use bytes of *input, moving its start, up to the next event. With a body buffer, the caller has
 * reserved room for all of *input. A refused head (refusal != 0 at HTTP_HEADERS) is still framed:
 * its body may be read and dropped. */
enum http_step http_parser_step(struct http_parser *p, struct bytes *input);

/* %XX decoded (and '+' to a blank when `plus`); false on a broken escape or NUL. */
bool http_decode_percent(struct arena *arena, struct bytes text, bool plus, struct bytes *ret);

#endif
