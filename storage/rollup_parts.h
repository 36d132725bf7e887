/* rollup_parts.h - the form of a rollup: what its builder and its reader share.
 *
 * varint: flags (1: something weighs, 2: threads are merged); samples; ns; zigzag first_ns,
 * last_ns - first_ns; number of threads, number of weights. Then in bits, as lists: threads as
 * steps from one above the one before; unless they are merged, weights of each thread; nodes as
 * zigzag steps within a thread (the empty stack is 0, others one more than their number); samples;
 * ns.
 */
#ifndef HEARTH_STORAGE_ROLLUP_PARTS_H
#define HEARTH_STORAGE_ROLLUP_PARTS_H

#include "storage/rollup.h"

enum { ROLLUP_ANY = 1, ROLLUP_MERGED = 2 };

struct rollup_columns {
    uint64_t *threads; /* steps */
    uint64_t *counts;  /* weights of each; of all together when they are merged */
    uint64_t *nodes;   /* steps */
    uint64_t *samples;
    uint64_t *ns;
    size_t thread_count;
    size_t count_count;
};

/* Room for the lists; one count more than threads: merged ones have a group without any. */
enum err rollup_columns_take(struct arena *arena, size_t threads, size_t count,
                             struct rollup_columns *c) MUST_CHECK;

#endif
