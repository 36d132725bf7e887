/* segment_block.h - one profile inside a segment: what is its own, in terms of the tables that all
 * profiles of the segment share (storage/segment_tables.h).
 *
 * A block gives back every field of struct profile that its row does not say, in document order.
 * Nearly all documents number their frames and stacks in the order of first use, so that these
 * lists follow from the samples; what follows is not stored. A document that is put together in
 * another way, or was never checked, keeps the lists, or in the last resort is stored as a whole:
 * the encoder decodes what it wrote and compares, so that nothing can be lost by a rule that was
 * thought to hold.
 *
 * Threads: one caller at a time for each builder, cursor and arena.
 * Errors:  decoding trusts nothing: ERR_CORRUPT, else the arena's failure.
 * Cost:    O(samples + stacks + frames of the profile); a sum is O(ticks + runs of equal stacks).
 */
#ifndef HEARTH_STORAGE_SEGMENT_BLOCK_H
#define HEARTH_STORAGE_SEGMENT_BLOCK_H

#include "base/buffer.h"
#include "storage/segment_tables.h"

/* Adds the profile to the tables and its block to `out`. *ret_summable: segment_block_sum works
 * (every index was in range and times of each thread ascend). */
enum err segment_block_encode(const struct profile *p, struct tables_builder *tables,
                              struct buffer *out, bool *ret_summable,
                              struct errinfo *info) MUST_CHECK;

/* `p` comes with what the row says (kind and ids) and leaves complete; it points into the arena,
 * the cursor and `block`. */
enum err segment_block_decode(struct bytes block, struct tables_cursor *tables, struct arena *arena,
                              struct profile *p, struct errinfo *info) MUST_CHECK;

/* The weight of all samples that end in a node on a thread; storage/profile.h and engine/selection.h
 * say what weighs: sample i lasts until the next one of its thread, the last one weighs nothing and
 * is not counted. */
struct node_weight {
    uint32_t thread; /* of the tables */
    uint32_t node;   /* of the tables; PROFILE_NONE: the empty stack */
    uint64_t samples;
    uint64_t ns;
};
struct block_sum {
    struct node_weight *weights; /* by thread, then node (NONE last); in the arena */
    size_t count;
    uint64_t samples; /* of all weights */
    uint64_t ns;
    bool any;         /* some thread has two samples; else the next two mean nothing */
    int64_t first_ns; /* the first moment that weighs, and the last one */
    int64_t last_ns;
};
/* `timestamp_ns` of the decoded profile is in the block; kind as in the row. Only of summable ones. */
enum err segment_block_sum(struct bytes block, enum profile_kind kind,
                           const struct segment_tables_counts *tables, struct arena *arena,
                           struct block_sum *ret, struct errinfo *info) MUST_CHECK;

#endif
