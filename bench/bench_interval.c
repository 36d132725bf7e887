/* How long does "chunks of profiler Q between a and b" take in the engine?
 *
 * Estimate, 10 million chunks of 100,000 profilers: one hash lookup (two cache misses, 200 ns), two
 * binary searches over the 100 rows of a profiler (7 steps each, half of them misses: 500 ns), ten
 * answers copied (100 ns), taking and releasing the snapshot (2 short locks, 60 ns): 1 us. The
 * limit beside it is a sorted array in memory that needs no lookup, no lock and no replaced rows.
 *
 * A run of all 10 million rows needs a few GB of disk: --rows=10000000.
 *
 * Sealed, the same is one probe of a table of runs in each segment of that time (a miss costs two
 * cache lines of a mapped file, 150 ns; with 10 million rows there are some twenty segments: 3 us),
 * and in the one that has the profiler two searches and ten rows (1 us). Of profilers with one
 * chunk each there are as many, but runs: the tables are larger and so is the number of segments.
 * No memory but some kilobytes a segment: 10 million rows need as little as none.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/rows_fixture.h"
#include "bench/store_fixture.h"
#include "tests/support/rng.h"

#define ROWS_A_PROFILER 100
#define ANSWER_ROWS     10

/* As small as a chunk can be: the question is the index. */
static const struct dataset_shape smallest = {1, 1, 100, 0.02, 2, 4, 3, 500};
#define CHUNK_NS INT64_C(20000000) /* 0.02 s */

struct question {
    uint64_t profiler;
    int64_t start_ns;
    int64_t end_ns;
};

static struct question random_question(struct rng *rng, size_t profilers)
{
    struct question q = {.profiler = rng_below(rng, profilers)};
    q.start_ns =
        DATASET_START_S * INT64_C(1000000000) + (int64_t)rng_below(rng, ROWS_A_PROFILER) * CHUNK_NS;
    /* half a chunk more: samples come up to 2 ms after where their chunk begins */
    q.end_ns = q.start_ns + ANSWER_ROWS * CHUNK_NS - CHUNK_NS / 2;
    return q;
}

static size_t profilers_of(const struct bench *b)
{
    return b->rows / ROWS_A_PROFILER > 0 ? b->rows / ROWS_A_PROFILER : 1;
}

static size_t question_count(const struct bench *b)
{
    return b->smoke ? 1000 : 200000;
}

static uint64_t ask(const struct store_fixture *f, const struct bench *b, struct question q,
                    struct arena *arena)
{
    struct snapshot *snap = snapshot_acquire(f->store, NULL);
    struct row_list rows = {0};
    bench_must(snapshot_find_chunks(snap, 1, dataset_profiler(b->seed, q.profiler), q.start_ns,
                                    q.end_ns, arena, &rows),
               NULL, "snapshot_find_chunks");
    snapshot_release(snap);
    return rows.count;
}

/* Start of the i-th row of every profiler, sorted: what the index would be if nothing else were
 * asked of it. */
BENCH(interval_sorted_array, .rows = {2000, 200000}, .once = true)
{
    size_t profilers = profilers_of(b);
    int64_t *starts = mem_array(profilers * ROWS_A_PROFILER, sizeof(*starts));
    if (starts == NULL)
        bench_must(ERR_NOMEM, NULL, "array");
    for (size_t i = 0; i < profilers * ROWS_A_PROFILER; i++)
        starts[i] =
            DATASET_START_S * INT64_C(1000000000) + (int64_t)(i % ROWS_A_PROFILER) * CHUNK_NS;
    struct rng rng = rng_seeded(b->seed);
    uint64_t hash = 0;
    b->iterations = question_count(b);
    bench_start(b);
    for (size_t i = 0; i < b->iterations; i++) {
        struct question q = random_question(&rng, profilers);
        const int64_t *row = starts + q.profiler * ROWS_A_PROFILER;
        int64_t before = clock_steady_ns();
        size_t low = 0;
        for (size_t high = ROWS_A_PROFILER; low < high;) {
            size_t middle = (low + high) / 2;
            if (row[middle] < q.start_ns)
                low = middle + 1;
            else
                high = middle;
        }
        size_t found = 0;
        for (; low < ROWS_A_PROFILER && row[low] <= q.end_ns; low++)
            found++;
        histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
        hash = bench_mix(hash, found);
    }
    bench_stop(b, hash);
    mem_free(starts);
}

BENCH(interval_find_chunks, .rows = {2000, 200000}, .once = true)
{
    size_t profilers = profilers_of(b);
    struct store_fixture f = store_fixture_open(DURABILITY_NONE);
    store_fixture_fill(&f, &smallest, b->seed, profilers * ROWS_A_PROFILER, profilers);
    struct rng warm = rng_seeded(b->seed + 1);
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20, NULL);
    for (size_t i = 0; i < question_count(b) / 10; i++)
        (void)ask(&f, b, random_question(&warm, profilers), &arena);
    struct rng rng = rng_seeded(b->seed);
    uint64_t hash = 0;
    b->iterations = question_count(b);
    bench_start(b);
    for (size_t i = 0; i < b->iterations; i++) {
        struct question q = random_question(&rng, profilers);
        int64_t before = clock_steady_ns();
        uint64_t found = ask(&f, b, q, &arena);
        histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
        hash = bench_mix(hash, found);
        if (arena.taken > (32u << 20)) {
            arena_close(&arena);
            arena_init(&arena, (size_t)64 << 20, NULL);
        }
    }
    bench_stop(b, hash);
    bench_compare("interval_find_chunks", "interval_sorted_array", b->rows);
    arena_close(&arena);
    store_fixture_close(&f);
}

/* ---- sealed ---- */

#define ARENA_KEPT \
    ((size_t)256 << 10) /* of answers: memory that is the benchmark's, not the store's */

static uint64_t ask_sealed(struct store *store, const struct rows_shape *shape, struct question q,
                           struct arena *arena)
{
    struct snapshot *snap = snapshot_acquire(store, NULL);
    struct row_list rows = {0};
    bench_must(snapshot_find_chunks(snap, 1, rows_fixture_profiler(shape, q.profiler), q.start_ns,
                                    q.end_ns, arena, &rows),
               NULL, "snapshot_find_chunks");
    snapshot_release(snap);
    return rows.count;
}

static uint64_t ask_many_sealed(struct bench *b, struct store *store,
                                const struct rows_shape *shape, struct rng *rng)
{
    uint64_t hash = 0;
    struct arena arena;
    arena_init(&arena, SIZE_MAX, NULL);
    for (size_t i = 0; i < question_count(b); i++) {
        struct question q = random_question(rng, shape->profilers);
        if (shape->rows_a_profiler == 1)
            q.start_ns = DATASET_START_S * INT64_C(1000000000);
        int64_t before = clock_steady_ns();
        uint64_t found = ask_sealed(store, shape, q, &arena);
        histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
        hash = bench_mix(hash, found);
        if (arena.taken > ARENA_KEPT) {
            arena_close(&arena);
            arena_init(&arena, SIZE_MAX, NULL);
        }
    }
    arena_close(&arena);
    return hash;
}

/* The first question of a page verifies it: everything is asked twice, and the second time counts. */
static void measure_sealed(struct bench *b, const struct rows_shape *shape)
{
    struct rows_fixture f = rows_fixture_open(shape);
    struct rng warm = rng_seeded(b->seed);
    struct rng rng = warm;
    int64_t memory = rows_fixture_memory();
    (void)ask_many_sealed(b, f.f.store, shape, &warm);
    memory = rows_fixture_memory() - memory;
    uint64_t first_p50 = histogram_quantile(b->latency, 0.5);
    histogram_clear(b->latency);
    b->iterations = question_count(b);
    bench_start(b);
    bench_stop(b, ask_many_sealed(b, f.f.store, shape, &rng));
    bench_note(b,
               "%zu segments, %.1f bytes a row; opened in %.1f ms and %.1f MB, %.1f MB more when"
               " asked; p50 at first %.1f us",
               f.segments, (double)f.bytes / (double)(shape->profilers * shape->rows_a_profiler),
               (double)f.open_ns / 1e6, (double)f.open_memory / 1e6, (double)memory / 1e6,
               (double)first_p50 / 1e3);
    rows_fixture_close(&f);
}

BENCH(interval_sealed, .rows = {2000, 1000000}, .once = true)
{
    struct rows_shape shape = {.profilers = profilers_of(b), .rows_a_profiler = ROWS_A_PROFILER};
    measure_sealed(b, &shape);
    bench_compare_latency("interval_sealed", "interval_sorted_array", b->rows);
}

BENCH(interval_sealed_one_chunk_each, .rows = {2000, 1000000}, .once = true)
{
    struct rows_shape shape = {.profilers = b->rows, .rows_a_profiler = 1};
    measure_sealed(b, &shape);
}

/* Every profiler in every segment. A question's window meets one or two of them: what grows is what
 * a segment costs that is there and has nothing to do with it. */
static void measure_shares(struct bench *b, size_t segments)
{
    struct rows_shape shape = {
        .profilers = profilers_of(b), .rows_a_profiler = ROWS_A_PROFILER, .segments = segments};
    measure_sealed(b, &shape);
}

BENCH(interval_segments_1, .rows = {2000, 200000}, .once = true)
{
    measure_shares(b, 1);
}

BENCH(interval_segments_10, .rows = {2000, 200000}, .once = true)
{
    measure_shares(b, 10);
    bench_compare_latency("interval_segments_10", "interval_segments_1", b->rows);
}

BENCH(interval_segments_100, .rows = {2000, 200000}, .once = true)
{
    measure_shares(b, 100);
    bench_compare_latency("interval_segments_100", "interval_segments_1", b->rows);
}
