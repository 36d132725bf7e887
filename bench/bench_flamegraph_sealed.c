/* How long does a flame graph take when its chunks are sealed, and how does that grow with their
 * number?
 *
 * Estimate: a window over n whole chunks of a profiler is covered by at most 14 lists a level of
 * eight, 7 log8 n on average; a list of 12 threads and 140 stacks has up to 700 weights. A weight
 * is read (20 ns), found in the accumulator (30 ns) and added: 0.03 ms a list; for 4096 chunks 28
 * lists, 1 ms. The two chunks that a window cuts are decoded sample by sample (0.1 ms each). To
 * arrange 3,000 nodes takes 0.3 ms. A segment has node numbers of its own: each day costs another
 * 3,000 look-ups (0.2 ms), so that 30 days take 6 ms more than one of the same size.
 *
 * The limit is reading the sums alone, without a tree; the peer is the same question before the
 * store was sealed, at sizes that it can answer, and the answers must be equal to the last
 * nanosecond. "cold" is the first question after opening the store again, when the kernel was asked
 * to forget the files.
 *
 * Chunks have as many changes of stacks as a minute of the recorded shop, but fewer samples, so that
 * they can be made: 720 in 1.5 s (so that 32,768 are one day, and one segment), 4,600 in a minute at
 * 10 Hz, for many profilers 900 at 2 Hz. On demand: flamegraph_chunks --rows=32768,
 * flamegraph_minutes --rows=43200 (30 days), flamegraph_profilers --rows=100 (of a day each).
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/store_fixture.h"
#include "engine/flamegraph.h"
#include "tests/support/rng.h"

#define PROFILERS_MAX 1024
#define COMPARED      3   /* answers of each kind that are compared with those from logs */
#define FROM_LOGS_MAX 128 /* chunks */
#define COLD_RUNS     5
#define TIMES_MAX     200 /* as many as fit in */
#define TIMES_NS      INT64_C(2000000000)

static const struct dataset_shape short_chunk = {12, 4, 40, 1.5, 140, 240, 14, 230};
static const struct dataset_shape minute = {12, 4, 10, 60, 140, 240, 14, 230};
static const struct dataset_shape thin_minute = {12, 4, 2, 60, 140, 240, 14, 500};

enum window_kind { WINDOW_ALL, WINDOW_CUT, WINDOW_RANDOM, WINDOW_KINDS };
static const char *const window_names[WINDOW_KINDS] = {"all", "cut in the first and last chunk",
                                                       "between any two moments"};

struct question {
    struct bench *b;
    const struct dataset_shape *shape;
    size_t chunks; /* of each profiler */
    size_t profilers;
    bool separate_threads;
    struct uuid ids[PROFILERS_MAX];
    struct store_fixture f;
    struct histogram latency;
    struct histogram worked; /* of it, on a processor: what others on the machine do not change */
};

static int64_t worked_ns(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void clear_times(struct question *q)
{
    histogram_clear(&q->latency);
    histogram_clear(&q->worked);
}

static void record_times(struct question *q, int64_t since_ns, int64_t worked_since_ns)
{
    histogram_record(&q->worked, (uint64_t)(worked_ns() - worked_since_ns));
    histogram_record(&q->latency, (uint64_t)(clock_steady_ns() - since_ns));
}

/* ---- one question ---- */

static struct span_ns random_window(const struct question *q, enum window_kind kind,
                                    struct rng *rng)
{
    double chunk_ns = q->shape->seconds * 1e9;
    int64_t first_ns = DATASET_START_S * INT64_C(1000000000);
    double all_ns = (double)q->chunks * chunk_ns;
    double from = 0.05 + 0.9 * rng_double(rng);
    double to = 0.05 + 0.9 * rng_double(rng);
    if (kind == WINDOW_CUT)
        return (struct span_ns){first_ns + (int64_t)(from * chunk_ns),
                                first_ns + (int64_t)(all_ns - to * chunk_ns)};
    if (to < from) {
        double swapped = from;
        from = to;
        to = swapped;
    }
    return (struct span_ns){first_ns + (int64_t)(from * all_ns), first_ns + (int64_t)(to * all_ns)};
}

static struct selection_request request_of(const struct question *q, enum window_kind kind,
                                           struct rng *rng)
{
    return (struct selection_request){.project_id = 1,
                                      .profiler_ids = {q->ids, q->profilers},
                                      .has_start = kind != WINDOW_ALL,
                                      .has_end = kind != WINDOW_ALL,
                                      .window = random_window(q, kind, rng)};
}

/* Everything that is told. */
static uint64_t hash_answer(const struct selection *s, const struct flamegraph *g)
{
    uint64_t hash = bench_mix(s->coverage.chunks_used, s->coverage.samples);
    hash = bench_mix(hash, (uint64_t)s->coverage.first_ns + (uint64_t)s->coverage.last_ns);
    for (size_t t = 0; t < g->tree_count; t++) {
        const struct flamegraph_tree *tree = &g->trees[t];
        hash = bench_mix(hash, hash_bytes(tree->thread_id, 0) ^ tree->sum_ns);
        for (size_t i = 0; i < tree->node_count; i++) {
            hash = bench_mix(hash, (uint64_t)tree->parent[i] << 32 | tree->frame[i]);
            hash = bench_mix(hash, tree->self_ns[i] ^ tree->total_ns[i] << 1);
            hash = bench_mix(hash, tree->self_samples[i] ^ tree->total_samples[i] << 1);
        }
    }
    for (size_t i = 0; i < g->frame_count; i++)
        hash = bench_mix(hash, hash_bytes(g->frames[i].function, 0));
    return hash;
}

static uint64_t ask(struct question *q, enum window_kind kind, struct rng *rng)
{
    struct selection_request request = request_of(q, kind, rng);
    struct flamegraph_options options = {.separate_threads = q->separate_threads};
    struct selection *selection = NULL;
    struct flamegraph *graph = NULL;
    struct errinfo info = {0};
    struct arena arena;
    int64_t before = clock_steady_ns();
    int64_t worked = worked_ns();
    struct snapshot *snap = snapshot_acquire(q->f.store, NULL);
    arena_init(&arena, SIZE_MAX, NULL);
    bench_must(selection_make(snap, &request, &arena, &selection, &info), &info, "selection_make");
    bench_must(flamegraph_build(selection, &options, &arena, &graph, &info), &info,
               "flamegraph_build");
    record_times(q, before, worked);
    uint64_t hash = hash_answer(selection, graph);
    selection_destroy(selection);
    arena_close(&arena);
    snapshot_release(snap);
    return hash;
}

/* ---- the limit: sums are read, and that is all ---- */

struct summed {
    uint64_t hash;
    uint64_t lists;
    uint64_t weights;
};

static enum err on_sum(void *self, uint32_t part, const struct tree_sum *sum, const row_id *rows,
                       size_t row_count)
{
    struct summed *s = self;
    (void)part;
    (void)rows;
    (void)row_count;
    s->lists++;
    s->weights += sum->sum.count;
    for (size_t i = 0; i < sum->sum.count; i++)
        s->hash += sum->sum.weights[i].ns;
    return ERR_OK;
}

static enum err on_unreadable(void *self, row_id row, const struct errinfo *why)
{
    (void)self;
    (void)row;
    bench_must(ERR_CORRUPT, why, "snapshot_sum");
    return ERR_CORRUPT;
}

static void read_sums(struct question *q, struct summed *ret)
{
    struct tree_visit visit = {
        .self = ret, .on_sum = on_sum, .on_unreadable = on_unreadable, .by_thread = false};
    struct errinfo info = {0};
    int64_t before = clock_steady_ns();
    int64_t worked = worked_ns();
    struct snapshot *snap = snapshot_acquire(q->f.store, NULL);
    *ret = (struct summed){0};
    for (size_t i = 0; i < q->profilers; i++) {
        struct row_list rows = {0};
        struct arena arena;
        arena_init(&arena, SIZE_MAX, NULL);
        bench_must(snapshot_find_chunks(snap, 1, q->ids[i], INT64_MIN, INT64_MAX, &arena, &rows),
                   NULL, "snapshot_find_chunks");
        for (size_t first = 0, end; first < rows.count; first = end) {
            for (end = first + 1;
                 end < rows.count && tree_part(rows.ids[end]) == tree_part(rows.ids[first]);)
                end++;
            bench_must(snapshot_sum(snap, rows.ids + first, end - first, &visit, &info), &info,
                       "snapshot_sum");
        }
        arena_close(&arena);
    }
    snapshot_release(snap);
    record_times(q, before, worked);
}

/* ---- many ---- */

static void print_latencies(const struct question *q, const char *what, const char *more)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s%s", what, more);
    printf("%44s %4" PRIu64 " x  p50 %8.3f ms, worked %8.3f, fastest %8.3f, p99 %8.3f", name,
           q->latency.count, (double)histogram_quantile(&q->latency, 0.5) / 1e6,
           (double)histogram_quantile(&q->worked, 0.5) / 1e6,
           (double)histogram_quantile(&q->latency, 0) / 1e6,
           (double)histogram_quantile(&q->latency, 0.99) / 1e6);
}

static bool wants_more(const struct question *q, size_t count, int64_t since_ns)
{
    return !q->b->smoke && count < TIMES_MAX && clock_steady_ns() - since_ns < TIMES_NS;
}

/* The hash of the first answers, which are compared; the others count for time alone. */
static uint64_t ask_many(struct question *q, enum window_kind kind)
{
    struct rng rng = rng_seeded(q->b->seed + kind);
    uint64_t hash = 0;
    int64_t since_ns = clock_steady_ns();
    clear_times(q);
    for (size_t i = 0; i < COMPARED || wants_more(q, i, since_ns); i++) {
        uint64_t answer = ask(q, kind, &rng);
        if (i < COMPARED)
            hash = bench_mix(hash, answer);
    }
    return hash;
}

static void measure_kind(struct question *q, enum window_kind kind, const uint64_t *from_logs)
{
    const char *threads = q->separate_threads ? ", by thread" : "";
    struct rng warm = rng_seeded(q->b->seed);
    (void)ask(q, kind, &warm);
    uint64_t hash = ask_many(q, kind);
    print_latencies(q, window_names[kind], threads);
    printf("  %016" PRIx64 "%s\n", hash, from_logs == NULL ? "" : ", equal to logs");
    if (from_logs != NULL && *from_logs != hash)
        bench_must(ERR_CORRUPT, NULL, "logs answer differently");
}

static void measure_cold(struct question *q)
{
    struct rng rng = rng_seeded(q->b->seed);
    clear_times(q);
    for (int i = 0; i < (q->b->smoke ? 1 : COLD_RUNS); i++) {
        store_fixture_reopen(&q->f, true);
        (void)ask(q, WINDOW_CUT, &rng);
    }
    print_latencies(q, "cut, cold", "");
    printf("\n");
}

static void measure_sums(struct question *q)
{
    struct summed sums;
    read_sums(q, &sums);
    clear_times(q);
    int64_t since_ns = clock_steady_ns();
    for (size_t i = 0; i == 0 || wants_more(q, i, since_ns); i++)
        read_sums(q, &sums);
    print_latencies(q, "sums alone, all", "");
    printf("  %" PRIu64 " lists, %" PRIu64 " weights\n", sums.lists, sums.weights);
}

static struct question *question_create(struct bench *b, const struct dataset_shape *shape,
                                        size_t chunks, size_t profilers)
{
    struct question *q = mem_zalloc(sizeof(*q));
    bench_must(q == NULL || profilers > PROFILERS_MAX ? ERR_NOMEM : ERR_OK, NULL, "question");
    q->b = b;
    q->shape = shape;
    q->chunks = chunks;
    q->profilers = profilers;
    for (size_t i = 0; i < profilers; i++)
        q->ids[i] = dataset_profiler(b->seed, i);
    q->f = store_fixture_open(DURABILITY_NONE);
    store_fixture_fill(&q->f, shape, b->seed, chunks * profilers, profilers);
    return q;
}

static void measure(struct bench *b, const struct dataset_shape *shape, size_t chunks,
                    size_t profilers)
{
    struct question *q = question_create(b, shape, chunks, profilers);
    uint64_t from_logs[WINDOW_KINDS];
    bool compare = chunks * profilers <= FROM_LOGS_MAX;
    for (int kind = 0; kind < WINDOW_KINDS && compare; kind++) {
        from_logs[kind] = ask_many(q, (enum window_kind)kind);
        print_latencies(q, window_names[kind], ", from logs");
        printf("\n");
    }
    store_fixture_seal(&q->f);
    store_fixture_reopen(&q->f, false);
    struct store_stats stats;
    store_get_stats(q->f.store, &stats);
    measure_sums(q);
    for (int kind = 0; kind < WINDOW_KINDS; kind++)
        measure_kind(q, (enum window_kind)kind, compare ? &from_logs[kind] : NULL);
    measure_cold(q);
    q->separate_threads = true;
    measure_kind(q, WINDOW_CUT, NULL);
    q->separate_threads = false;
    bench_start(b);
    uint64_t hash = ask_many(q, WINDOW_CUT);
    b->iterations = q->latency.count;
    bench_stop(b, hash);
    histogram_clear(b->latency);
    histogram_add(b->latency, &q->latency);
    bench_note(b, "%zu chunks a profiler, %" PRIu64 " segments of %.1f MB in all", chunks,
               stats.segment_count, (double)stats.segment_bytes / 1e6);
    store_fixture_close(&q->f);
    mem_free(q);
}

BENCH(flamegraph_chunks, .rows = {8, 64, 512, 4096}, .once = true)
{
    measure(b, &short_chunk, b->rows, 1);
}

BENCH(flamegraph_minutes, .rows = {60, 1440}, .once = true)
{
    measure(b, &minute, b->rows, 1);
}

BENCH(flamegraph_profilers, .rows = {2, 10}, .once = true)
{
    measure(b, &thin_minute, b->smoke ? 60 : 1440, b->rows);
}
