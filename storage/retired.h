/* retired.h - memory that readers may still look at, freed when no old snapshot is left.
 *
 * A block is retired in the generation in which it was taken out of use; snapshots taken in later
 * generations cannot reach it.
 * Threads: the caller's lock.
 */
#ifndef HEARTH_STORAGE_RETIRED_H
#define HEARTH_STORAGE_RETIRED_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct retired_block {
    void *block;
    uint64_t generation;
};

struct retired {
    struct retired_block *blocks; /* in order of generation */
    size_t count;
    size_t capacity;
};

void retired_close(struct retired *r); /* frees the blocks too */
/* Room for `extra` more calls of retired_add, which then cannot fail. */
enum err retired_reserve(struct retired *r, size_t extra) MUST_CHECK;
void retired_add(struct retired *r, void *block, uint64_t generation);
/* Free what was retired before `generation`, the oldest that a snapshot still sees. */
void retired_free_before(struct retired *r, uint64_t generation);

#endif
