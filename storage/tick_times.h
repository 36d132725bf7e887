/* tick_times.h - the times of a profile, one a tick, as bits.
 *
 * Samplers write what their clocks count: a chunk's binary64 seconds are whole 2^-22 s (all from 2004
 * to 2038 are), and where the clock was of milliseconds or so, those, off by one such tick at most.
 * Elapsed nanoseconds of transaction profiles are mostly whole micro- or milliseconds. What is
 * counted is kept as gaps, less a typical one; docs/segment-format.md has the bits. Any 64 bits
 * come back.
 *
 * Errors: writing, those of the arena; reading, as bits.h.
 * Cost:   a few nanoseconds a tick, reading.
 */
#ifndef HEARTH_STORAGE_TICK_TIMES_H
#define HEARTH_STORAGE_TICK_TIMES_H

#include "base/arena.h"
#include "storage/bits.h"
#include "storage/profile.h"

/* As in struct profile: a chunk's are the bits of binary64 seconds. How many is the caller's to
 * keep. */
enum err tick_times_put(struct bits_writer *w, enum profile_kind kind, const uint64_t *times,
                        size_t count, struct arena *scratch) MUST_CHECK;
/* The arena's failure is the caller's to look at. */
void tick_times_get(struct bits_reader *r, enum profile_kind kind, uint64_t *times, size_t count,
                    struct arena *scratch);

#endif
