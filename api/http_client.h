/* http_client.h - a small blocking HTTP/1.1 client for the commands (and the tests).
 *
 * Owns:    one connection, kept alive between requests and opened again when it went away.
 * Threads: one at a time. Blocks: never on a loop.
 * Units:   timeouts are milliseconds without progress, sizes are bytes.
 * Errors:  ERR_IO (no connection, closed too early, timeout), ERR_MALFORMED (not HTTP),
 *          ERR_LIMIT (an answer over its ceiling), ERR_UNSUPPORTED (https). Any HTTP status is
 *          ERR_OK: the caller judges it. After a failure the next request connects anew.
 * Cost:    O(bytes); the answer's head is at most CLIENT_HEAD_MAX, its body what the caller
 *          allows.
 */
#ifndef HEARTH_API_HTTP_CLIENT_H
#define HEARTH_API_HTTP_CLIENT_H

#include "base/buffer.h"
#include "base/limits.h"

/* http://HOST[:PORT][/PREFIX], IPv6 in brackets. */
struct http_url {
    char host[256];
    char port[6];
    char prefix[256]; /* "" or "/..." without a final slash: goes before every target */
};

enum err http_url_parse(struct bytes text, struct http_url *ret, struct errinfo *info) MUST_CHECK;

struct http_client_field {
    struct bytes name;
    struct bytes value;
};

/* A header of ours for each that is missing: Host, Content-Length (when there is a body). */
struct http_client_request {
    const char *method;  /* NULL: GET */
    struct bytes target; /* "/path?query", already percent-encoded */
    const struct http_client_field *fields;
    size_t field_count;
    struct bytes body; /* data NULL: none */
    bool chunked;      /* send the body in chunks instead of with a length */
    /* When set, a 2xx body goes here piece by piece instead of into the answer. */
    enum err (*on_body)(void *self, struct bytes piece);
    void *self;
};

struct http_client_answer {
    int status;
    struct buffer head; /* names (lower case) and values; see http_client_answer_field */
    struct buffer body;
    struct {
        uint32_t name_at;
        uint32_t name_len;
        uint32_t value_at;
        uint32_t value_len;
    } fields[CLIENT_FIELD_COUNT_MAX];
    size_t field_count;
};

struct http_client;

/* No connection is made yet. timeout_ms 0: 30 s. */
enum err http_client_create(const struct http_url *url, int timeout_ms, struct http_client **ret,
                            struct errinfo *info) MUST_CHECK;
/* `ret` was initialised by http_client_answer_init and is overwritten; it may be used again. */
enum err http_client_send(struct http_client *c, const struct http_client_request *request,
                          struct http_client_answer *ret, struct errinfo *info) MUST_CHECK;
void http_client_destroy(struct http_client *c); /* NULL is fine */

void http_client_answer_init(struct http_client_answer *a, size_t body_max);
void http_client_answer_close(struct http_client_answer *a); /* a zeroed answer is fine */
/* First value of a header (name in lower case), data NULL when absent. */
struct bytes http_client_answer_field(const struct http_client_answer *a, const char *name);

/* Append `text` percent-encoded for a query's value. */
void http_put_encoded(struct buffer *out, struct bytes text);

#endif
