#include "api/append_strand.h"

#include <pthread.h>

#include "api/metrics.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

struct append_strand {
    struct store *store;
    struct metrics *metrics;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    struct append_job *first; /* waiting */
    struct append_job *last;
    bool stop;
    bool failing; /* the last batch failed: say so once, not per batch */
    uint64_t sync_interval_ns;
    int64_t synced_ns;
    bool unsynced;
    struct bytes records[APPEND_RECORDS_MAX];
};

/* Jobs whose records fit in one batch; a single job with more gets its own list. */
static struct append_job *take_batch(struct append_strand *s, size_t *ret_count)
{
    struct append_job *first = s->first;
    struct append_job *end = first;
    size_t count = first->record_count;
    size_t bytes = 0;
    for (size_t i = 0; i < first->record_count; i++)
        bytes += first->records[i].len;
    while (end->next != NULL && bytes < APPEND_BATCH_MAX) {
        struct append_job *job = end->next;
        if (job->record_count > APPEND_RECORDS_MAX ||
            count > APPEND_RECORDS_MAX - job->record_count)
            break;
        count += job->record_count;
        for (size_t i = 0; i < job->record_count; i++)
            bytes += job->records[i].len;
        end = job;
    }
    s->first = end->next;
    if (s->first == NULL)
        s->last = NULL;
    end->next = NULL;
    *ret_count = count;
    return first;
}

static void note_outcome(struct append_strand *s, enum err rc, const struct errinfo *info,
                         size_t count)
{
    metrics_add(s->metrics, rc == ERR_OK ? METRIC_BATCHES : METRIC_BATCHES_FAILED, 1);
    if (rc == ERR_OK)
        metrics_add(s->metrics, METRIC_RECORDS, count);
    if (rc != ERR_OK && !s->failing)
        log_error("append_strand", "append_failed records=%zu error=\"%s\"", count, info->text);
    if (rc == ERR_OK && s->failing)
        log_info("append_strand", "append_works_again");
    s->failing = rc != ERR_OK;
}

static void append_batch(struct append_strand *s, struct append_job *batch, size_t count)
{
    struct errinfo info = {{0}};
    const struct bytes *records = batch->records;
    if (batch->next != NULL) {
        size_t used = 0;
        for (struct append_job *job = batch; job != NULL; job = job->next) {
            memcpy(s->records + used, job->records, job->record_count * sizeof(job->records[0]));
            used += job->record_count;
        }
        records = s->records;
    }
    int64_t from = clock_steady_ns();
    enum err rc = store_append(s->store, records, count, &info);
    metrics_add(s->metrics, METRIC_APPEND_NS, (uint64_t)(clock_steady_ns() - from));
    note_outcome(s, rc, &info, count);
    s->unsynced |= rc == ERR_OK;
    while (batch != NULL) {
        struct append_job *next = batch->next;
        batch->rc = rc;
        batch->info = info;
        mailbox_post(batch->mailbox, &batch->mail);
        batch = next;
    }
}

static void sync_when_due(struct append_strand *s)
{
    if (s->sync_interval_ns == 0 || !s->unsynced)
        return;
    if ((uint64_t)(clock_steady_ns() - s->synced_ns) < s->sync_interval_ns)
        return;
    struct errinfo info = {{0}};
    if (store_sync(s->store, &info) != ERR_OK)
        log_error("append_strand", "sync_failed error=\"%s\"", info.text);
    s->unsynced = false;
    s->synced_ns = clock_steady_ns();
}

static void run(void *argument)
{
    struct append_strand *s = argument;
    (void)pthread_setname_np(pthread_self(), "hearth-append");
    uv_mutex_lock(&s->lock);
    for (;;) {
        while (s->first == NULL && !s->stop) {
            if (s->sync_interval_ns == 0) {
                uv_cond_wait(&s->wake, &s->lock);
                continue;
            }
            (void)uv_cond_timedwait(&s->wake, &s->lock, s->sync_interval_ns);
            uv_mutex_unlock(&s->lock);
            sync_when_due(s);
            uv_mutex_lock(&s->lock);
        }
        if (s->first == NULL)
            break;
        size_t count = 0;
        struct append_job *batch = take_batch(s, &count);
        uv_mutex_unlock(&s->lock);
        append_batch(s, batch, count);
        sync_when_due(s);
        uv_mutex_lock(&s->lock);
    }
    uv_mutex_unlock(&s->lock);
}

enum err append_strand_create(struct store *store, struct metrics *metrics,
                              unsigned sync_interval_ms, struct append_strand **ret)
{
    struct append_strand *s = mem_zalloc(sizeof(*s));
    if (s == NULL)
        return ERR_NOMEM;
    s->store = store;
    s->metrics = metrics;
    s->sync_interval_ns = (uint64_t)sync_interval_ms * 1000000;
    s->synced_ns = clock_steady_ns();
    if (uv_mutex_init(&s->lock) != 0)
        goto no_lock;
    if (uv_cond_init(&s->wake) != 0)
        goto no_wake;
    if (uv_thread_create(&s->thread, run, s) != 0)
        goto no_thread;
    *ret = s;
    return ERR_OK;

no_thread:
    uv_cond_destroy(&s->wake);
no_wake:
    uv_mutex_destroy(&s->lock);
no_lock:
    mem_free(s);
    return ERR_NOMEM;
}

void append_strand_submit(struct append_strand *s, struct append_job *job)
{
    job->next = NULL;
    uv_mutex_lock(&s->lock);
    if (s->last == NULL)
        s->first = job;
    else
        s->last->next = job;
    s->last = job;
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->lock);
}

void append_strand_destroy(struct append_strand *s)
{
    if (s == NULL)
        return;
    uv_mutex_lock(&s->lock);
    s->stop = true;
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->lock);
    (void)uv_thread_join(&s->thread);
    uv_cond_destroy(&s->wake);
    uv_mutex_destroy(&s->lock);
    mem_free(s);
}
