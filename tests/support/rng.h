/* rng.h - the seeded random numbers of tests and benchmarks: splitmix64.
 *
 * test_rng prints its seed; HEARTH_SEED replays it.
 */
#ifndef HEARTH_TESTS_SUPPORT_RNG_H
#define HEARTH_TESTS_SUPPORT_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

struct rng test_rng(void);
struct rng rng_seeded(uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);               /* 0 <= x < n; n > 0 */
int64_t rng_range(struct rng *r, int64_t low, int64_t high); /* low <= x <= high */
double rng_double(struct rng *r);                            /* 0 <= x < 1 */
bool rng_chance(struct rng *r, unsigned percent);
void rng_bytes(struct rng *r, void *to, size_t len);

#endif
