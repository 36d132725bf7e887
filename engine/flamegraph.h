/* flamegraph.h - the call tree of a selection: time and samples of every path, summed.
 *
 * Nodes with the same parent are one when their frame identity (identity.h) is equal; which of the
 * frames with one identity is shown does not depend on the order of profiles (frame_table.h).
 * Samples with an empty stack are idle: they make no node and are summed beside, so that
 *     sum of root totals + idle == total, in nanoseconds and in samples.
 *
 * Owns:   the result lives in the arena; texts too.
 * Errors: ERR_LIMIT, ERR_BUSY, ERR_NOMEM from memory; ERR_CANCELED.
 * Cost:   O(samples + distinct stacks of each profile + nodes); memory follows the nodes.
 */
#ifndef HEARTH_ENGINE_FLAMEGRAPH_H
#define HEARTH_ENGINE_FLAMEGRAPH_H

#include "engine/frame_table.h"
#include "engine/selection.h"

#define FLAMEGRAPH_NO_PARENT UINT32_MAX

/* Columns over nodes, breadth-first: parents before children, the children of a node next to each
 * other in the order of their frames' identities (hash128_compare). */
struct flamegraph_tree {
    struct bytes thread_id;   /* "" when all threads are merged */
    struct bytes thread_name; /* "" when merged or unknown */
    size_t node_count;
    const uint32_t *parent; /* FLAMEGRAPH_NO_PARENT for roots */
    const uint32_t *frame;  /* -> frames */
    const uint64_t *self_ns;
    const uint64_t *total_ns;
    const uint64_t *self_samples;
    const uint64_t *total_samples;
    uint64_t idle_ns; /* empty stacks */
    uint64_t idle_samples;
    uint64_t sum_ns; /* everything, idle included */
    uint64_t sum_samples;
};

struct flamegraph {
    const struct flamegraph_frame *frames; /* only those that nodes use, by identity */
    size_t frame_count;
    /* One tree, or with separate threads one a (thread id, name): ids that are numbers by value,
     * then the others by bytes, then by name. */
    const struct flamegraph_tree *trees;
    size_t tree_count;
};

struct flamegraph_options {
    bool separate_threads;
    const atomic_bool *canceled; /* NULL: never */
};

/* Visits the selection, whose coverage is complete afterwards. */
enum err flamegraph_build(struct selection *s, const struct flamegraph_options *options,
                          struct arena *arena, struct flamegraph **ret,
                          struct errinfo *info) MUST_CHECK;

#endif
