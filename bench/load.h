/* load.h - HTTP load over keep-alive connections from one thread, by schedule or flat out.
 *
 * Open loop (rate > 0): request n is due at n / rate seconds, whatever became of those before it,
 * and its latency counts from then: a server that stalls is charged for every request that had to
 * wait. The thread polls without sleeping, so that being late is the server's doing; its own
 * lateness is measured too.
 * Closed loop (rate 0): every connection sends its next request when the answer is there.
 *
 * Owns:   its loop and connections, for the call. Requests are borrowed.
 * Errors: ERR_IO when nothing can be reached or the deadline passed. Requests that fail one by one
 *         are counted.
 */
#ifndef HEARTH_BENCH_LOAD_H
#define HEARTH_BENCH_LOAD_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "bench/histogram.h"

#define LOAD_CONNECTIONS_MAX 64

struct load_options {
    int port; /* on 127.0.0.1 */
    unsigned connections;
    double rate;  /* requests a second; 0: closed loop */
    size_t count; /* requests */
    /* The n-th request, complete with head and body; lives until load_run returns. */
    struct bytes (*request)(void *self, size_t n);
    void *self;
    struct histogram *latency; /* ns, answered requests only */
};

struct load_result {
    size_t answered;
    size_t good;    /* 2xx */
    size_t refused; /* any other status */
    size_t failed;  /* no answer: connection lost */
    uint64_t answer_bytes;
    double elapsed_ns;
    uint64_t late_p99_ns; /* open loop: how late requests were sent on connections that were free */
};

enum err load_run(const struct load_options *options, struct load_result *ret,
                  struct errinfo *info) MUST_CHECK;

#endif
