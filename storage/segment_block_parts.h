/* segment_block_parts.h - what reading a block and summing it share: how its bits begin. */
#ifndef HEARTH_STORAGE_SEGMENT_BLOCK_PARTS_H
#define HEARTH_STORAGE_SEGMENT_BLOCK_PARTS_H

#include "storage/block_stacks.h"
#include "storage/segment_block.h"
#include "storage/stack_runs.h"

/* Everything that weights follow from. */
struct block_samples {
    size_t thread_count;
    const uint32_t *threads; /* of the tables */
    int64_t timestamp_ns;    /* transaction profiles */
    struct sample_grid grid;
    struct stack_runs runs;
    struct block_stacks stacks;
};

/* `r` stands behind the first byte, of a shared block. */
enum err block_samples_get(struct bits_reader *r, enum profile_kind kind, struct arena *arena,
                           struct block_samples *ret, struct errinfo *info) MUST_CHECK;

#endif
