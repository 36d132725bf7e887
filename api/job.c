#include "api/job.h"

#include <assert.h>
#include <stdio.h>

static void on_run(uv_work_t *work)
{
    struct job *job = work->data;
    job->run(job);
}

static void on_done(uv_work_t *work, int status)
{
    struct job *job = work->data;
    assert(status == 0); /* jobs are never canceled in the queue: they look at a flag */
    (void)status;
    job->done(job);
}

enum err job_pool_size(unsigned threads)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", threads);
    if (len <= 0 || (size_t)len >= sizeof(text))
        return ERR_LIMIT;
    return uv_os_setenv("UV_THREADPOOL_SIZE", text) == 0 ? ERR_OK : ERR_NOMEM;
}

void job_start(uv_loop_t *loop, struct job *job, void (*run)(struct job *job),
               void (*done)(struct job *job))
{
    job->work.data = job;
    job->run = run;
    job->done = done;
    int rc = uv_queue_work(loop, &job->work, on_run, on_done);
    assert(rc == 0); /* fails only without a callback */
    (void)rc;
}
