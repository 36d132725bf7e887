/* How long does the flame graph of one profiler take, for one chunk, an hour, a day?
 *
 * Estimate, from logs (no rollups): a chunk is one read of 20 KB, a CRC, LZ4 and 50,000 samples
 * decoded (0.4 ms), then every sample is cut and added to its stack (3 ns each: 0.15 ms), and 140
 * stacks become nodes: 0.7 ms a chunk, 42 ms an hour. Sealed segments with rollups are what brings
 * an hour to 1 ms. Reading the blocks alone is the limit.
 *
 * rows are chunks of a minute; a day on demand: --rows=1440.
 */
#include "base/arena.h"
#include "bench/bench.h"
#include "bench/store_fixture.h"
#include "engine/flamegraph.h"

static uint64_t read_blocks(struct store *store, const struct bench *b)
{
    struct snapshot *snap = snapshot_acquire(store, NULL);
    struct arena arena;
    struct row_list rows = {0};
    uint64_t hash = 0;
    arena_init(&arena, SIZE_MAX, NULL);
    bench_must(snapshot_find_chunks(snap, 1, dataset_profiler(b->seed, 0), INT64_MIN, INT64_MAX,
                                    &arena, &rows),
               NULL, "snapshot_find_chunks");
    for (size_t i = 0; i < rows.count; i++) {
        struct arena block;
        struct profile p;
        struct errinfo info = {0};
        arena_init(&block, SIZE_MAX, NULL);
        bench_must(snapshot_read_profile(snap, rows.ids[i], &block, &p, &info), &info,
                   "snapshot_read_profile");
        hash = bench_mix(hash, p.sample_count);
        arena_close(&block);
    }
    arena_close(&arena);
    snapshot_release(snap);
    return hash;
}

BENCH(flamegraph_read_blocks, .rows = {1, 60})
{
    struct store_fixture f = store_fixture_open(DURABILITY_NONE);
    store_fixture_fill(&f, &dataset_python, b->seed, b->rows, 1);
    (void)read_blocks(f.store, b);
    bench_start(b);
    bench_stop(b, read_blocks(f.store, b));
    store_fixture_close(&f);
}

static uint64_t build(struct store *store, const struct bench *b, bool separate_threads)
{
    struct snapshot *snap = snapshot_acquire(store, NULL);
    struct uuid profiler = dataset_profiler(b->seed, 0);
    struct selection_request request = {.project_id = 1, .profiler_ids = {&profiler, 1}};
    struct flamegraph_options options = {.separate_threads = separate_threads};
    struct arena arena;
    struct selection *selection = NULL;
    struct flamegraph *graph = NULL;
    struct errinfo info = {0};
    arena_init(&arena, SIZE_MAX, NULL);
    bench_must(selection_make(snap, &request, &arena, &selection, &info), &info, "selection_make");
    bench_must(flamegraph_build(selection, &options, &arena, &graph, &info), &info,
               "flamegraph_build");
    uint64_t hash = selection->coverage.chunks_used;
    for (size_t t = 0; t < graph->tree_count; t++) {
        hash = bench_mix(hash, graph->trees[t].node_count);
        hash = bench_mix(hash, graph->trees[t].sum_ns);
        hash = bench_mix(hash, graph->trees[t].sum_samples);
    }
    selection_destroy(selection);
    arena_close(&arena);
    snapshot_release(snap);
    return hash;
}

static void measure(struct bench *b, const struct dataset_shape *shape, bool separate_threads)
{
    struct store_fixture f = store_fixture_open(DURABILITY_NONE);
    store_fixture_fill(&f, shape, b->seed, b->rows, 1);
    (void)build(f.store, b, separate_threads);
    bench_start(b);
    bench_stop(b, build(f.store, b, separate_threads));
    store_fixture_close(&f);
}

BENCH(flamegraph_merged, .rows = {1, 60})
{
    measure(b, &dataset_python, false);
    bench_compare("flamegraph_merged", "flamegraph_read_blocks", b->rows);
}

BENCH(flamegraph_separate_threads, .rows = {1, 60})
{
    measure(b, &dataset_python, true);
}

BENCH(flamegraph_busy, .rows = {1, 20})
{
    measure(b, &dataset_busy, false);
}
