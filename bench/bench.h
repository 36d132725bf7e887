/* bench.h - the harness: one question a file, answered beside a peer or a limit in the same run.
 *
 *   BENCH(interval_overlap, .rows = {1000, 10000000})
 *   {
 *       struct interval_index *index = dataset_index(b->seed, b->rows);
 *       bench_start(b);
 *       uint64_t hash = run_overlap_queries(index, b->iterations);
 *       bench_stop(b, hash);
 *       interval_index_destroy(index);
 *   }
 *
 * The body runs once to warm up and then three times (`.runs`), with the same seed; a table line
 * shows the median and every run must give the same hash. --smoke runs the first size only, once.
 * Other arguments: --seed=N, --rows=N, names of benchmarks (any part of one), and NAME=VALUE
 * settings that a benchmark asks for with bench_setting.
 */
#ifndef HEARTH_BENCH_BENCH_H
#define HEARTH_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bench/histogram.h"

#define BENCH_SIZES_MAX 4

struct bench_options {
    size_t rows[BENCH_SIZES_MAX]; /* sizes, the first one is for --smoke; {0}: one run, no size */
    unsigned runs;                /* measured ones; 0: three */
    bool once;                    /* no warm-up and one run: the body warms up and repeats itself */
};

struct bench {
    uint64_t seed;
    size_t rows;
    bool smoke;
    /* filled in by the body between start and stop */
    size_t iterations;         /* what ns/op divides by; starts as 1 */
    size_t bytes;              /* of all iterations together, for MB/s; 0: not shown */
    struct histogram *latency; /* shown when something was recorded */
    /* the harness's own */
    int64_t started_ns;
    double elapsed_ns;
    uint64_t hash;
    uint64_t peak_bytes;
    bool stopped;
    char skipped[160]; /* why */
    char note[160];
};

struct bench_case {
    const char *name;
    void (*body)(struct bench *b);
    struct bench_options options;
    int line; /* cases run in the order of the file, whatever the linker does */
    struct bench_case *next;
};

void bench_register(struct bench_case *c);

#define BENCH(bench_name, ...)                                            \
    static void bench_body_##bench_name(struct bench *b);                 \
    static struct bench_case bench_case_##bench_name = {                  \
        .name = #bench_name,                                              \
        .body = bench_body_##bench_name,                                  \
        .options = {__VA_ARGS__},                                         \
        .line = __LINE__,                                                 \
    };                                                                    \
    __attribute__((constructor)) static void bench_add_##bench_name(void) \
    {                                                                     \
        bench_register(&bench_case_##bench_name);                         \
    }                                                                     \
    static void bench_body_##bench_name(struct bench *b)

void bench_start(struct bench *b);
/* `hash` is of the answers: equal inputs give equal ones, and the compiler must make them. */
void bench_stop(struct bench *b, uint64_t hash);
/* One more fact about the last run, on a line below the case's. */
void bench_note(struct bench *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Instead of start and stop: what is missing here. */
void bench_skip(struct bench *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* A setup step that must not fail: says so and ends the program. */
void bench_must(enum err rc, const struct errinfo *info, const char *what);
/* ns/op of a case that ran before at that size; 0: it did not. */
double bench_result(const char *name, size_t rows);
/* "a takes 1.23 x the time of b" below the table. */
void bench_compare(const char *name, const char *peer, size_t rows);
/* The same for the p50 and p99 of what was recorded. */
void bench_compare_latency(const char *name, const char *peer, size_t rows);
/* VALUE of a NAME=VALUE argument, else `otherwise`. */
const char *bench_setting(const char *name, const char *otherwise);
/* Folds one more answer into a hash. */
uint64_t bench_mix(uint64_t hash, uint64_t answer);

#endif
