/* bare_server.h - the least a server can do: libuv reads, llhttp parses, a ready answer goes out.
 *
 * One loop on a thread of its own. The answer is borrowed until the stop.
 */
#ifndef HEARTH_BENCH_BARE_SERVER_H
#define HEARTH_BENCH_BARE_SERVER_H

#include "base/bytes.h"
#include "base/err.h"

struct bare_server;

/* Listens on a free port of 127.0.0.1; `answer` is a whole HTTP answer. */
enum err bare_server_start(struct bytes answer, struct bare_server **ret, int *ret_port,
                           struct errinfo *info) MUST_CHECK;
void bare_server_stop(struct bare_server *s); /* NULL is fine */

#endif
