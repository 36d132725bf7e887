/* random_profile.h - profiles of all shapes for property tests, and whether two are equal. */
#ifndef HEARTH_TESTS_SUPPORT_RANDOM_PROFILE_H
#define HEARTH_TESTS_SUPPORT_RANDOM_PROFILE_H

#include "base/arena.h"
#include "storage/profile.h"
#include "tests/support/rng.h"

/* About `size` samples, frames and so on; sometimes none. All the decoders may make: bad indices
 * where they are allowed, times out of order, times that are no ticks. In the arena. */
void random_profile(struct rng *rng, struct arena *arena, size_t size, struct profile *ret);
/* The same, but every index is in range and times ascend. */
void random_sound_profile(struct rng *rng, struct arena *arena, size_t size, struct profile *ret);
/* In every field that its kind has; else false and `why` names the first difference. */
bool profiles_equal(const struct profile *a, const struct profile *b, const char **why);

#endif
