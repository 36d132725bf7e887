/* call_tree.h - vroom's call trees: one profile's samples as calls in time.
 *
 * Adjacent samples of a thread that share an outer part share its nodes; a gap or another stack
 * begins new ones. Rules: docs/semantics.md. (The own flame graph is not made from these: it does
 * not care about adjacency.)
 *
 * Owns:   nothing: trees are in the caller's arena.
 * Units:  nanoseconds: unix for chunks, since the profile's start for transaction profiles.
 * Errors: ERR_MALFORMED, "invalid stack id" or "invalid frame id", spoils the whole document.
 * Cost:   O(samples * depth).
 */
#ifndef HEARTH_ENGINE_CALL_TREE_H
#define HEARTH_ENGINE_CALL_TREE_H

#include "base/arena.h"
#include "storage/profile.h"

#define CALL_NODE_NONE UINT32_MAX

struct call_node {
    const struct profile_frame *frame; /* of the first sample seen there */
    uint64_t hash;                     /* running stack hash from the root to here */
    int64_t start_ns;
    int64_t end_ns;
    int64_t duration_ns;
    int64_t self_ns; /* 0 throughout in chunks, as vroom has it */
    uint64_t sample_count;
    uint32_t occurrence;
    uint32_t duration_count; /* 1: duration_ns is listed as a call's duration; 0: it is not */
    uint32_t first_child;    /* CALL_NODE_NONE: none; siblings in order of creation */
    uint32_t last_child;
    uint32_t next_sibling;
};

struct call_thread {
    struct bytes id;
    uint32_t first_root;
    uint32_t last_root;
};

struct call_tree {
    const struct call_node *nodes; /* a parent before its children */
    size_t node_count;
    const struct call_thread *threads; /* those with nodes, in the order of answers */
    size_t thread_count;
};

/* thread: data NULL for all of a chunk; a transaction profile shows its active thread only. */
enum err call_tree_make(const struct profile *p, struct bytes thread, struct arena *arena,
                        struct call_tree *ret, struct errinfo *info) MUST_CHECK;
/* As the tree shows it: what no one decided counts as application code. */
bool call_node_in_app(const struct call_node *n);

#endif
