/* Many jobs from a loop: each comes back once, on the loop, and one batch takes many of them. */
#include <criterion/criterion.h>

#include "api/append_strand.h"
#include "api/metrics.h"
#include "base/limits.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

#define JOBS 500

static const struct router no_routes = {NULL, 0};

struct one {
    struct append_job job; /* first: on_mail casts */
    struct buffer encoded;
    struct bytes record;
    unsigned *done;
    unsigned came_back;
};

struct strand_test {
    uv_loop_t loop;
    struct mailbox mailbox;
    struct vfs_mem *disk;
    struct store *store;
    struct metrics *metrics;
    struct append_strand *strand;
    struct one *jobs;
    unsigned done;
};

static void on_mail(struct mail *m)
{
    struct one *o = (struct one *)m;
    o->came_back++;
    (*o->done)++;
}

static void start(struct strand_test *t)
{
    struct errinfo info = {{0}};
    *t = (struct strand_test){.disk = vfs_mem_create()};
    struct store_options options = {.vfs = vfs_mem_vfs(t->disk), .dir = "d"};
    cr_assert_eq(uv_loop_init(&t->loop), 0);
    cr_assert_eq(mailbox_open(&t->mailbox, &t->loop), ERR_OK);
    cr_assert_eq(store_open(&options, &t->store, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(metrics_create(&no_routes, &t->metrics), ERR_OK);
    cr_assert_eq(append_strand_create(t->store, t->metrics, 0, &t->strand), ERR_OK);
    t->jobs = mem_array(JOBS, sizeof(t->jobs[0]));
    for (unsigned i = 0; i < JOBS; i++) {
        struct one *o = &t->jobs[i];
        *o = (struct one){.done = &t->done};
        buffer_init(&o->encoded, KIB(64), NULL);
        cr_assert_eq(small_chunk_encode((struct small_chunk){i, 1}, &o->encoded, &info), ERR_OK);
        o->record = buffer_bytes(&o->encoded);
        o->job.mail.on_mail = on_mail;
        o->job.mailbox = &t->mailbox;
        o->job.records = &o->record;
        o->job.record_count = 1;
    }
}

static void stop(struct strand_test *t)
{
    append_strand_destroy(t->strand);
    mailbox_close(&t->mailbox);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&t->loop), 0);
    for (unsigned i = 0; i < JOBS; i++)
        buffer_close(&t->jobs[i].encoded);
    mem_free(t->jobs);
    store_close(t->store);
    metrics_destroy(t->metrics);
    vfs_mem_destroy(t->disk);
    cr_expect_eq(mem_outstanding(), 0);
}

Test(append_strand, every_job_comes_back_once_and_is_stored)
{
    struct strand_test t;
    struct store_stats stats;
    start(&t);
    for (unsigned i = 0; i < JOBS; i++)
        append_strand_submit(t.strand, &t.jobs[i].job);
    while (t.done < JOBS)
        uv_run(&t.loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < JOBS; i++) {
        cr_expect_eq(t.jobs[i].came_back, 1);
        cr_expect_eq(t.jobs[i].job.rc, ERR_OK);
    }
    store_get_stats(t.store, &stats);
    cr_expect_eq(stats.rows, JOBS);
    cr_expect_eq(metrics_get(t.metrics, METRIC_RECORDS), JOBS);
    cr_expect_lt(metrics_get(t.metrics, METRIC_BATCHES), JOBS, "what waited went together");

    vfs_mem_set_space(t.disk, 1);
    t.done = 0;
    for (unsigned i = 0; i < 10; i++) { /* another version: not equal to what is there */
        struct one *o = &t.jobs[i];
        buffer_close(&o->encoded); /* encoding starts a buffer of its own */
        cr_assert_eq(small_chunk_encode((struct small_chunk){i, 2}, &o->encoded, NULL), ERR_OK);
        o->record = buffer_bytes(&o->encoded);
        append_strand_submit(t.strand, &o->job);
    }
    while (t.done < 10)
        uv_run(&t.loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < 10; i++)
        cr_expect_eq(t.jobs[i].job.rc, ERR_NOSPACE);
    stop(&t);
}

Test(append_strand, what_waits_at_the_end_is_still_written)
{
    struct strand_test t;
    struct store_stats stats;
    start(&t);
    for (unsigned i = 0; i < JOBS; i++)
        append_strand_submit(t.strand, &t.jobs[i].job);
    append_strand_destroy(t.strand);
    t.strand = NULL;
    store_get_stats(t.store, &stats);
    cr_expect_eq(stats.rows, JOBS);
    while (t.done < JOBS)
        uv_run(&t.loop, UV_RUN_ONCE);
    stop(&t);
}
