/* http_conn.h - one client, from accept to the last closed handle.
 *
 * Threads: the loop's thread only; jobs it starts own the request until they are done.
 * Memory:  an idle connection is this object; a request has an exchange, its head from the head
 *          budget and everything else from the process's budget.
 */
#ifndef HEARTH_API_HTTP_CONN_H
#define HEARTH_API_HTTP_CONN_H

#include "api/append_strand.h"
#include "api/exchange.h"
#include "api/http_request.h"
#include "api/mailbox.h"
#include "api/router.h"
#include "base/limits.h"

/* Milliseconds; 0 takes the value of limits.h. */
struct http_limits {
    unsigned headers_ms;
    unsigned body_ms;
    unsigned idle_ms;
    unsigned write_ms;
    unsigned linger_ms;
    unsigned admission_ms;
    unsigned drain_ms;
    size_t connection_count_max;
};

struct http_conn;

/* One event loop and its connections. */
struct http_loop {
    uv_loop_t uv;
    struct mailbox mailbox;
    const struct router *router;
    struct app *app;
    struct http_limits limits;
    struct mem_budget *heads;            /* budget of request heads, shared by the loops */
    uint8_t *read_buffer;                /* READ_BODY_SIZE */
    struct http_conn *first;             /* every connection, newest first */
    uv_stream_t *owed[LISTEN_COUNT_MAX]; /* listeners with a connection that had no memory */
    size_t conn_count;                   /* objects alive */
    size_t open_count;                   /* of them not closing */
    size_t conn_count_max;
    struct http_conn *parked_first; /* waiting for memory, longest first */
    struct http_conn *parked_last;
    uv_timer_t retry; /* runs while somebody is parked */
    uv_timer_t sweep; /* deadlines of all connections */
    bool draining;
    void (*on_conn_gone)(struct http_loop *loop);
    int64_t date_s;
    char date[32];
};

/* Timers of a loop whose uv is initialised. */
enum err http_loop_open(struct http_loop *loop) MUST_CHECK;
void http_loop_close(struct http_loop *loop); /* after the last connection has gone */
/* Accept what waits on a listening socket. */
void http_conn_accept(struct http_loop *loop, uv_stream_t *listener);
/* Close the connection that has been idle longest; false: all are busy. */
bool http_loop_evict(struct http_loop *loop);
/* Idle connections are closed unless a request comes right now, the others after the answer they are owed. */
void http_loop_drain(struct http_loop *loop);
/* Close everything now; jobs under way are canceled and waited for. */
void http_loop_break(struct http_loop *loop);

#endif
