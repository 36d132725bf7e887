/* How long does "rows of profiler Q between a and b" take in a segment, and what do rows cost?
 *
 * Estimate, 1 million rows of 10,000 profilers, a chunk a minute: the slot of the run, its key and
 * its first rows are four cache misses (300 ns); the starts of a run of 100 rows are 600 bytes, ten
 * lines, of which 7 steps of a search touch four; then start, duration and back of the last rows,
 * one line each: 600 ns in all. A segment that does not have the profiler costs one miss, 80 ns.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "storage/segment_rows.h"
#include "tests/support/rng.h"
#include "tests/support/tmpdir.h"

#define MINUTE_NS INT64_C(60000000000)
#define HOUR_NS   (60 * MINUTE_NS)
#define START_NS  INT64_C(1795336832000000000)
#define QUESTIONS 200000

static struct uuid profiler_of(uint64_t seed, uint64_t number)
{
    struct rng rng = rng_seeded(seed + number * 2654435761u);
    struct uuid id;
    rng_bytes(&rng, id.byte, sizeof id.byte);
    return id;
}

static int compare_uuids(const void *left, const void *right)
{
    return uuid_compare(*(const struct uuid *)left, *(const struct uuid *)right);
}

/* The n-th row of a profiler that began some time in the first hour. */
static struct record row_of(struct rng *rng, struct uuid profiler, uint64_t n, int64_t first_ns)
{
    struct record r = {.kind = RECORD_CHUNK,
                       .organization_id = 1,
                       .project_id = 1,
                       .retention_days = 90,
                       .profiler_id = profiler,
                       .start_ns = first_ns + (int64_t)n * MINUTE_NS,
                       .content = {rng_u64(rng), rng_u64(rng)},
                       .sample_count = (uint32_t)rng_below(rng, 6000),
                       .thread_count = 1 + (uint32_t)rng_below(rng, 16)};
    rng_bytes(rng, r.id.byte, sizeof r.id.byte);
    r.end_ns = r.start_ns + MINUTE_NS - rng_range(rng, 0, 1000000000);
    r.received_ns = r.end_ns + rng_range(rng, 0, 5000000000);
    for (size_t i = 0; i < TEXT_TRANSACTION; i++)
        r.text[i] = BYTES("python");
    return r;
}

struct built {
    struct tmpdir dir;
    struct segment_file *file;
    struct segment_rows *rows;
    size_t profilers;
    uint64_t file_size;
    size_t builder_bytes;
    double build_ns; /* a row */
};

static void fill(struct rows_builder *b, uint64_t seed, size_t rows, size_t profilers)
{
    struct rng rng = rng_seeded(seed);
    struct uuid *ids = mem_array(profilers, sizeof *ids);
    uint64_t block_end = 0;
    if (ids == NULL) {
        bench_must(ERR_NOMEM, NULL, "ids");
        return;
    }
    for (size_t i = 0; i < profilers; i++)
        ids[i] = profiler_of(seed, i);
    qsort(ids, profilers, sizeof *ids, compare_uuids);
    for (size_t i = 0; i < profilers; i++) {
        int64_t first_ns =
            START_NS + rng_range(&rng, 0, rows == profilers ? 24 * HOUR_NS : HOUR_NS);
        for (size_t n = 0; n < rows / profilers; n++) {
            struct record r = row_of(&rng, ids[i], n, first_ns);
            block_end += rng_below(&rng, 400);
            bench_must(rows_builder_add(b, &r, rng_below(&rng, rows), block_end, 1, NULL), NULL,
                       "rows_builder_add");
        }
    }
    mem_free(ids);
}

static void write_and_open(struct built *f, struct rows_builder *b)
{
    char path[TMPDIR_PATH_SIZE + 40];
    struct segment_file_writer *w = NULL;
    struct segment_counts counts = {0};
    struct uuid id = uuid_random();
    struct errinfo info;
    f->dir = tmpdir_make();
    tmpdir_path(&f->dir, "segment", path, sizeof path);
    bench_must(segment_file_create(vfs_posix(), path, id, 0, NULL, &w, &info), &info, "create");
    bench_must(rows_builder_write(b, w, id, &counts, &info), &info, "rows_builder_write");
    bench_must(segment_file_finish(w, &f->file_size, &info), &info, "finish");
    segment_file_writer_destroy(w);
    bench_must(segment_file_open(vfs_posix(), path, NULL, &f->file, &info), &info, "open");
    bench_must(segment_rows_open(f->file, &counts, &f->rows, &info), &info, "segment_rows_open");
}

static struct built build(uint64_t seed, size_t rows, size_t profilers)
{
    struct built f = {.profilers = profilers};
    struct rows_builder *b = NULL;
    struct mem_account account;
    mem_account_init(&account, NULL, SIZE_MAX);
    int64_t before = clock_steady_ns();
    bench_must(rows_builder_create(&account, &b), NULL, "rows_builder_create");
    fill(b, seed, rows, profilers);
    f.builder_bytes = rows_builder_bytes(b);
    write_and_open(&f, b);
    f.build_ns = (double)(clock_steady_ns() - before) / (double)rows;
    rows_builder_destroy(b);
    mem_account_close(&account);
    return f;
}

static void note(struct bench *b, const struct built *f)
{
    double rows = (double)b->rows;
    bench_note(b, "%.1f bytes a row in the file, %.1f in the builder, %.0f ns a row to build",
               (double)f->file_size / rows, (double)f->builder_bytes / rows, f->build_ns);
}

static void take_down(struct built *f)
{
    segment_rows_close(f->rows);
    segment_file_close(f->file);
    tmpdir_remove(&f->dir);
}

/* An hour of a profiler, some time in the hours that it has rows of. */
static uint64_t ask(const struct built *f, uint64_t seed, struct rng *rng, int64_t hours)
{
    struct segment_run run;
    uint32_t from = 0;
    uint32_t end = 0;
    struct uuid profiler = profiler_of(seed, rng_below(rng, f->profilers));
    int64_t start_ns = START_NS + rng_range(rng, 0, hours) * HOUR_NS;
    bench_must(segment_rows_find_run(f->rows, RECORD_CHUNK, 1, profiler, &run), NULL, "find_run");
    bench_must(segment_rows_find_range(f->rows, run, start_ns, start_ns + HOUR_NS, &from, &end),
               NULL, "find_range");
    return end - from;
}

static void ask_many(struct bench *b, const struct built *f, int64_t hours)
{
    struct rng rng = rng_seeded(b->seed + 1);
    uint64_t hash = 0;
    b->iterations = b->smoke ? 1000 : QUESTIONS;
    for (size_t i = 0; i < b->iterations; i++) /* checksums are compared once */
        (void)ask(f, b->seed, &rng, hours);
    bench_start(b);
    for (size_t i = 0; i < b->iterations; i++) {
        int64_t before = clock_steady_ns();
        hash = bench_mix(hash, ask(f, b->seed, &rng, hours));
        histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
    }
    bench_stop(b, hash);
}

BENCH(segment_rows_hour_of_a_profiler, .rows = {2000, 1000000}, .once = true)
{
    struct built f = build(b->seed, b->rows, b->rows / 100);
    ask_many(b, &f, 2);
    note(b, &f);
    take_down(&f);
}

BENCH(segment_rows_profilers_of_one_row, .rows = {2000, 500000}, .once = true)
{
    struct built f = build(b->seed, b->rows, b->rows);
    ask_many(b, &f, 24);
    note(b, &f);
    take_down(&f);
}

/* What a segment costs that does not have the profiler. */
BENCH(segment_rows_no_such_profiler, .rows = {2000, 1000000}, .once = true)
{
    struct built f = build(b->seed, b->rows, b->rows / 100);
    uint64_t hash = 0;
    b->iterations = b->smoke ? 1000 : QUESTIONS;
    bench_start(b);
    for (size_t i = 0; i < b->iterations; i++) {
        struct segment_run run;
        struct uuid stranger = profiler_of(b->seed + 7, i);
        int64_t before = clock_steady_ns();
        enum err rc = segment_rows_find_run(f.rows, RECORD_CHUNK, 1, stranger, &run);
        histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
        hash = bench_mix(hash, rc);
    }
    bench_stop(b, hash);
    take_down(&f);
}

/* Facts of a row by its number alone: its profiler is searched for among the runs. */
BENCH(segment_rows_record, .rows = {2000, 1000000}, .once = true)
{
    struct built f = build(b->seed, b->rows, b->rows / 100);
    struct rng rng = rng_seeded(b->seed + 1);
    uint64_t hash = 0;
    b->iterations = b->smoke ? 1000 : QUESTIONS;
    bench_start(b);
    for (size_t i = 0; i < b->iterations; i++) {
        struct record row;
        uint32_t at = (uint32_t)rng_below(&rng, b->rows);
        int64_t before = clock_steady_ns();
        bench_must(segment_rows_record(f.rows, at, &row), NULL, "segment_rows_record");
        histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
        hash = bench_mix(hash, (uint64_t)row.start_ns);
    }
    bench_stop(b, hash);
    take_down(&f);
}
