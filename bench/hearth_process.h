/* hearth_process.h - the built program, serving on a free port with an empty folder of its own.
 *
 * Which binary: the setting hearth=PATH, else the one of this build.
 */
#ifndef HEARTH_BENCH_HEARTH_PROCESS_H
#define HEARTH_BENCH_HEARTH_PROCESS_H

#include <sys/types.h>

#include "bench/bench.h"
#include "tests/support/tmpdir.h"

struct hearth_process {
    pid_t pid;
    int port;
    struct tmpdir dir;
};

/* False after bench_skip: there is no binary. Ends the program when it does not get ready. */
bool hearth_process_start(struct bench *b, struct hearth_process *ret);
/* Largest resident memory so far, bytes; 0 when unknown. */
uint64_t hearth_process_peak(const struct hearth_process *h);
void hearth_process_stop(struct hearth_process *h);

#endif
