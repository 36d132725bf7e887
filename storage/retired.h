/* retired.h - memory that readers may still look at, freed when no old snapshot is left.
 *
 * A block is retired in the generation in which it was taken out of use; snapshots taken in later
 * generations cannot reach it.
 * Threads: the caller's lock.
 */
#ifndef HEARTH_STORAGE_RETIRED_H
#define HEARTH_STORAGE_RETIRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct retired_block {
    void *block;
    size_t size;
    uint64_t generation;
};

struct retired {
    struct retired_block *blocks; /* in order of generation */
    size_t count;
    size_t capacity;
    size_t bytes; /* of all blocks */
};

void retired_close(struct retired *r); /* frees the blocks too */
/* Room for `extra` more calls of retired_add, which then cannot fail. */
enum err retired_reserve(struct retired *r, size_t extra) MUST_CHECK;
void retired_add(struct retired *r, void *block, size_t size, uint64_t generation);
/* All blocks go to the end of `to`. False: no memory for the list, nothing happened. */
bool retired_move(struct retired *from, struct retired *to);
/* What was retired before `generation`, the oldest that a snapshot still sees: a list to be freed
 * outside the lock; NULL is fine. */
void *retired_take_before(struct retired *r, uint64_t generation);
void retired_free_list(void *list);

#endif
