/* What does a SnQL query cost in the engine, from its text to its rows, over sealed chunks?
 *
 * Estimate, one profiler's chunks in a window (250 bytes of text): 60 tokens parsed (2 us), some 15
 * functions bound (200 ns each: 3 us), the range found (4 us, bench_interval), ten rows described
 * (300 ns each) and put through four comparisons of a batch (100 ns each), an order of ten: 15 us. The
 * limit beside it is finding the rows in the index and describing them, which no query language can
 * undercut. Sentry's candidates query ORs windows of up to 250 profilers: as many ranges and rows, and
 * text that grows with them (230 bytes each): 25 windows 300 us, 250 windows 3 ms.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/dataset.h"
#include "bench/rows_fixture.h"
#include "engine/snql_tables.h"
#include "tests/support/rng.h"

#define ROWS_A_PROFILER 100
#define ANSWER_ROWS     10
#define WINDOWS_MAX     250

struct window {
    uint64_t profiler;
    int64_t start_us;
    int64_t end_us;
};

static struct window random_window(struct rng *rng, const struct rows_shape *shape)
{
    struct window w = {.profiler = rng_below(rng, shape->profilers)};
    w.start_us = DATASET_START_S * INT64_C(1000000) +
                 (int64_t)rng_below(rng, ROWS_A_PROFILER) * (ROWS_FIXTURE_CHUNK_NS / 1000);
    w.end_us =
        w.start_us + (ANSWER_ROWS * ROWS_FIXTURE_CHUNK_NS - ROWS_FIXTURE_CHUNK_NS / 2) / 1000;
    return w;
}

static void put_window(struct buffer *out, const struct rows_shape *shape, struct window w)
{
    char id[UUID_TEXT_SIZE + 1];
    uuid_print(rows_fixture_profiler(shape, w.profiler), id);
    buffer_printf(out,
                  "(project_id = 1 AND profiler_id = '%s' AND end_timestamp >= "
                  "toDateTime64(%" PRId64 ".%06" PRId64 ", 6) AND start_timestamp < "
                  "toDateTime64(%" PRId64 ".%06" PRId64 ", 6))",
                  id, w.start_us / 1000000, w.start_us % 1000000, w.end_us / 1000000,
                  w.end_us % 1000000);
}

/* As Sentry asks for the candidates of a flame graph. */
static void put_query(struct buffer *out, struct rng *rng, const struct rows_shape *shape,
                      unsigned windows)
{
    buffer_printf(out, "MATCH STORAGE(profile_chunks) SELECT project_id, profiler_id, chunk_id, "
                       "start_timestamp, end_timestamp WHERE project_id IN array(1) AND (");
    for (unsigned i = 0; i < windows; i++) {
        if (i > 0)
            buffer_put(out, BYTES(" OR "));
        put_window(out, shape, random_window(rng, shape));
    }
    buffer_printf(out,
                  ") ORDER BY project_id DESC, profiler_id DESC, start_timestamp DESC LIMIT 50");
}

static uint64_t ask(const struct rows_fixture *f, struct bytes text)
{
    struct snapshot *snap = snapshot_acquire(f->f.store, NULL);
    struct snql_catalog catalog = snql_store_catalog(snap);
    struct snql_request request = {.text = text};
    struct snql_answer answer;
    struct snql_error error;
    struct arena arena;
    arena_init(&arena, (size_t)256 << 20, NULL);
    enum err rc = snql_run(&request, &catalog, &arena, &answer, &error);
    bench_must(rc, &error.info, "snql_run");
    uint64_t rows = answer.result.rows;
    arena_close(&arena);
    snapshot_release(snap);
    return rows;
}

static struct rows_shape shape_of(const struct bench *b)
{
    size_t profilers = b->rows / ROWS_A_PROFILER > 0 ? b->rows / ROWS_A_PROFILER : 1;
    return (struct rows_shape){profilers, ROWS_A_PROFILER, 4};
}

static void run_queries(struct bench *b, unsigned windows, size_t count)
{
    struct rows_shape shape = shape_of(b);
    struct rows_fixture f = rows_fixture_open(&shape);
    struct buffer text;
    buffer_init(&text, (size_t)1 << 20, NULL);
    uint64_t hash = 0;
    for (unsigned pass = 0; pass < 2; pass++) { /* the first one warms up */
        struct rng rng = rng_seeded(b->seed + 1 - pass);
        b->iterations = b->smoke ? 20 : count;
        if (pass == 1)
            bench_start(b);
        for (size_t i = 0; i < b->iterations; i++) {
            buffer_clear(&text);
            put_query(&text, &rng, &shape, windows);
            int64_t before = clock_steady_ns();
            uint64_t rows = ask(&f, buffer_bytes(&text));
            if (pass == 1)
                histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
            hash = pass == 1 ? bench_mix(hash, rows) : 0;
        }
    }
    bench_stop(b, hash);
    buffer_close(&text);
    rows_fixture_close(&f);
}

/* The same windows of one profiler, without a language. */
BENCH(snql_index_alone, .rows = {2000, 1000000}, .once = true)
{
    struct rows_shape shape = shape_of(b);
    struct rows_fixture f = rows_fixture_open(&shape);
    uint64_t hash = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        struct rng rng = rng_seeded(b->seed + 1 - pass);
        b->iterations = b->smoke ? 20 : 20000;
        if (pass == 1)
            bench_start(b);
        for (size_t i = 0; i < b->iterations; i++) {
            struct window w = random_window(&rng, &shape);
            struct arena arena;
            struct row_list rows = {0};
            arena_init(&arena, (size_t)64 << 20, NULL);
            int64_t before = clock_steady_ns();
            struct snapshot *snap = snapshot_acquire(f.f.store, NULL);
            bench_must(snapshot_find_chunks(snap, 1, rows_fixture_profiler(&shape, w.profiler),
                                            w.start_us * 1000, w.end_us * 1000, &arena, &rows),
                       NULL, "snapshot_find_chunks");
            for (size_t k = 0; k < rows.count; k++) {
                struct row facts;
                bench_must(snapshot_row(snap, rows.ids[k], &facts), NULL, "snapshot_row");
                hash = pass == 1 ? bench_mix(hash, (uint64_t)facts.start_ns) : 0;
            }
            snapshot_release(snap);
            if (pass == 1)
                histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
            arena_close(&arena);
        }
    }
    bench_stop(b, hash);
    rows_fixture_close(&f);
}

BENCH(snql_one_profiler, .rows = {2000, 1000000}, .once = true)
{
    run_queries(b, 1, 20000);
    bench_compare("snql_one_profiler", "snql_index_alone", b->rows);
}

BENCH(snql_25_windows, .rows = {2000, 1000000}, .once = true)
{
    run_queries(b, 25, 3000);
}

BENCH(snql_250_windows, .rows = {2000, 1000000}, .once = true)
{
    run_queries(b, WINDOWS_MAX, 300);
}
