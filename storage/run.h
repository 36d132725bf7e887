/* run.h - the interval index of one profiler: which of its rows meet a range of time.
 *
 * A run is a list of pieces. A piece holds ids sorted by start, with the running maximum of end,
 * so that two binary searches bound the rows that can meet a range, however they overlap. What
 * arrives in order is put at the end of the newest piece; what comes late opens a new one, and
 * pieces of like size are merged: there are O(log n) of them, most often one.
 *
 * Owns:    its pieces. Pieces that were merged are retired.
 * Threads: one writer; readers without a lock, as long as retired pieces live. Ids that a reader's
 *          snapshot does not know are the reader's to skip.
 * Errors:  run_add cannot fail: it is given a spare piece for one id, and merges only when there
 *          is memory for it.
 * Cost:    O(log n) amortised to add, O(log^2 n + answer) to find; 20 bytes an id.
 */
#ifndef HEARTH_STORAGE_RUN_H
#define HEARTH_STORAGE_RUN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "storage/retired.h"

#define RUN_MERGE_MAX 32 /* pieces at once; sizes double, so there are never as many */

struct run_piece {
    struct run_piece *next; /* older and larger */
    uint32_t capacity;
    _Atomic uint32_t count;
    /* then, `capacity` each: int64_t start, int64_t largest end up to here, uint32_t id */
};

static inline const int64_t *run_piece_starts(const struct run_piece *piece)
{
    return (const int64_t *)(piece + 1);
}

static inline const int64_t *run_piece_max_ends(const struct run_piece *piece)
{
    return run_piece_starts(piece) + piece->capacity;
}

static inline const uint32_t *run_piece_ids(const struct run_piece *piece)
{
    return (const uint32_t *)(run_piece_max_ends(piece) + piece->capacity);
}

struct run {
    _Atomic(struct run_piece *) newest;
};

struct run_entry {
    int64_t start_ns;
    int64_t end_ns;
    uint32_t id;
};

struct run_piece *run_piece_create(uint32_t capacity) MUST_CHECK;
size_t run_piece_bytes(uint32_t capacity);
void run_close(struct run *r);
size_t run_bytes(const struct run *r);

/* Returns how many bytes the run takes more than before. `spare` has room for one id; it is used up (and set to NULL) only when it is needed. Up to
 * RUN_MERGE_MAX places of `retired` are taken when they are there. `end_of` tells the end of an
 * id that is already in the run. */
ptrdiff_t run_add(struct run *r, struct run_entry entry, struct run_piece **spare,
                  struct retired *retired, uint64_t generation, const void *self,
                  int64_t (*end_of)(const void *self, uint32_t id));

/* Rows [*ret_from, *ret_end) of the piece hold all ids that meet [start_ns, end_ns]. */
void run_piece_find(const struct run_piece *piece, int64_t start_ns, int64_t end_ns,
                    uint32_t *ret_from, uint32_t *ret_end);

static inline const struct run_piece *run_newest(const struct run *r)
{
    return atomic_load_explicit(&r->newest, memory_order_acquire);
}

static inline uint32_t run_piece_count(const struct run_piece *piece)
{
    return atomic_load_explicit(&piece->count, memory_order_acquire);
}

#endif
