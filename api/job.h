/* job.h - work for the pool: run in a pool thread, then done on the loop that started it.
 *
 * Owns:    nothing; the job is part of what it works on and lives until done.
 */
#ifndef HEARTH_API_JOB_H
#define HEARTH_API_JOB_H

#include <uv.h>

#include "base/err.h"

struct job {
    uv_work_t work;
    void (*run)(struct job *job);
    void (*done)(struct job *job);
};

/* How many threads the pool has; counts only before the first job of the process. */
enum err job_pool_size(unsigned threads) MUST_CHECK;
/* Never calls back before it returns. */
void job_start(uv_loop_t *loop, struct job *job, void (*run)(struct job *job),
               void (*done)(struct job *job));

#endif
