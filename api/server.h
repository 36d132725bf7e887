/* server.h - N loops on N threads, each with its own accept sockets on the same addresses.
 *
 * Owns:    its threads, loops and sockets. Routes and app are borrowed and outlive it.
 * Threads: start, wait and destroy by one caller; drain and stop by any thread.
 * Errors:  an address that anybody listens on already is ERR_BUSY, found before the first
 *          connection is accepted.
 */
#ifndef HEARTH_API_SERVER_H
#define HEARTH_API_SERVER_H

#include "api/http_conn.h"
#include "api/listen_address.h"

struct server_options {
    const struct router *router;
    struct app *app;
    const struct listen_address *listen;
    size_t listen_count;
    unsigned thread_count;
    struct http_limits limits;
};

struct server;

enum err server_start(const struct server_options *options, struct server **ret,
                      struct errinfo *info) MUST_CHECK;
/* The i-th address with the port it really has. */
struct listen_address server_address(const struct server *s, size_t i);
/* Stop accepting, answer what is owed, end; after drain_ms what is left is closed. */
void server_drain(struct server *s);
/* Until every loop has ended. */
void server_wait(struct server *s);
/* Drains with no patience when it still runs. NULL is fine. */
void server_destroy(struct server *s);

#endif
