/* rows_fixture.h - a store of sealed rows without blocks, any number of them: what finding costs.
 *
 * Row i of profiler p begins i * ROWS_FIXTURE_CHUNK_NS behind DATASET_START_S and lasts as long,
 * less a nanosecond.
 *
 * Owns:   the folder and the store; both go with rows_fixture_close.
 * Errors: any failure ends the program: no benchmark can go on.
 */
#ifndef HEARTH_BENCH_ROWS_FIXTURE_H
#define HEARTH_BENCH_ROWS_FIXTURE_H

#include "bench/store_fixture.h"

#define ROWS_FIXTURE_CHUNK_NS INT64_C(20000000)

struct rows_shape {
    size_t profilers;
    size_t rows_a_profiler;
    /* Each segment has a share of every profiler's rows, one after another in time but all of one
     * day; 0: one segment after another is filled until it is as large as the store makes them, and
     * each has profilers of its own. */
    size_t segments;
};

struct rows_fixture {
    struct store_fixture f;
    uint64_t bytes;      /* of all segments */
    size_t segments;     /* how many there are */
    int64_t open_ns;     /* how long store_open took */
    int64_t open_memory; /* anonymous memory, after less before */
};

struct rows_fixture rows_fixture_open(const struct rows_shape *shape);
void rows_fixture_close(struct rows_fixture *f);
/* The n-th, ascending. */
struct uuid rows_fixture_profiler(const struct rows_shape *shape, uint64_t n);
/* Anonymous memory of this process that is resident; 0: unknown. */
int64_t rows_fixture_memory(void);

#endif
