/* profile_block.h - one profile's columns as bytes, and back, without loss.
 *
 * A block holds all of struct profile but what its row says already: kind, organization, project,
 * retention, arrival, and the ids of profile, profiler, trace and transaction.
 *
 * Errors: encoding refuses what profile_check_shape refuses (ERR_CORRUPT) and more samples than
 *         SAMPLE_COUNT_MAX (ERR_LIMIT). Decoding trusts nothing: ERR_CORRUPT, ERR_UNSUPPORTED for
 *         a newer version, else the arena's failure.
 * Cost:   O(bytes) both ways; scratch memory is a few bytes a sample.
 */
#ifndef HEARTH_STORAGE_PROFILE_BLOCK_H
#define HEARTH_STORAGE_PROFILE_BLOCK_H

#include "base/arena.h"
#include "base/buffer.h"
#include "storage/profile.h"

enum err profile_block_encode(const struct profile *p, struct buffer *out,
                              struct errinfo *info) MUST_CHECK;
/* `p` comes with what the row says and leaves complete; it points into `raw` and the arena. */
enum err profile_block_decode(struct bytes raw, struct arena *arena, struct profile *p,
                              struct errinfo *info) MUST_CHECK;

#endif
