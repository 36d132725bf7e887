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
    enum durability durability;
};

struct store_fixture store_fixture_open(enum durability durability);
void store_fixture_close(struct store_fixture *f);
/* Everything to sealed segments, merged as far as they will be. */
void store_fixture_seal(struct store_fixture *f);
/* As after a start of the process; `cold`: the kernel, too, forgets what it has of sealed files, as
 * far as it lets itself be asked. */
void store_fixture_reopen(struct store_fixture *f, bool cold);
/* Chunks 0 to count-1, in arrival order; chunk n belongs to profiler n % profilers and is the
 * (n / profilers)-th of it. They are kept as long as may be, whatever the date of the run. */
void store_fixture_fill(struct store_fixture *f, const struct dataset_shape *shape, uint64_t seed,
                        size_t count, size_t profilers);

#endif
