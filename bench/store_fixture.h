/* store_fixture.h - a store in a temporary folder, filled from a dataset.
 *
 * Owns:   the folder and the store; both go with store_fixture_close.
 * Errors: any failure ends the program: no benchmark can go on.
 */
#ifndef HEARTH_BENCH_STORE_FIXTURE_H
#define HEARTH_BENCH_STORE_FIXTURE_H

#include "bench/dataset.h"
#include "storage/store.h"
#include "tests/support/tmpdir.h"

struct store_fixture {
    struct tmpdir dir;
    struct store *store;
};

struct store_fixture store_fixture_open(enum durability durability);
void store_fixture_close(struct store_fixture *f);
/* Chunks 0 to count-1, in arrival order; chunk n belongs to profiler n % profilers and is the
 * (n / profilers)-th of it. */
void store_fixture_fill(struct store_fixture *f, const struct dataset_shape *shape, uint64_t seed,
                        size_t count, size_t profilers);

#endif
