/* How long does "chunks of profiler Q between a and b" take in the engine?
 *
 * Estimate, 10 million chunks of 100,000 profilers: one hash lookup (two cache misses, 200 ns), two
 * binary searches over the 100 rows of a profiler (7 steps each, half of them misses: 500 ns), ten
 * answers copied (100 ns), taking and releasing the snapshot (2 short locks, 60 ns): 1 us. The
 * limit beside it is a sorted array in memory that needs no lookup, no lock and no replaced rows.
 *
 * A run of all 10 million rows needs a few GB of disk: --rows=10000000.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/bench.h"
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
    struct snapshot *snap = snapshot_acquire(f->store);
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
