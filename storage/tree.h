/* tree.h - call trees of rows, from what a segment has summed already; and what the numbers of
 * their nodes mean.
 *
 * Nodes, frames, threads and texts are numbers of one segment (a part of the snapshot); engine
 * merges trees of several by the identities of their frames.
 *
 * Threads: that of the snapshot.
 * Errors:  ERR_CORRUPT: what is asked for is damaged; else memory.
 * Cost:    a range of n rows of a run is O(log n) lists; a node, frame or text is an array access
 *          once its page was decoded.
 */
#ifndef HEARTH_STORAGE_TREE_H
#define HEARTH_STORAGE_TREE_H

#include "storage/rollup.h"
#include "storage/store.h"

/* The part that a row is in. */
uint32_t tree_part(row_id row);
/* Whether snapshot_sum takes the row: it is in a segment, and its block can be summed. */
bool tree_can_sum(const struct snapshot *snap, row_id row);

/* Rows of one part, ascending, all of them visible and of tree_can_sum: their sum, list by list.
 * With `by_thread` every list tells threads apart. What a list points to goes with the call. Rows
 * whose block cannot be read are told to on_unreadable one by one. */
struct tree_visit {
    bool by_thread;
    struct mem_account *account; /* of the lists */
    void *self;
    enum err (*on_sum)(void *self, uint32_t part, const struct tree_sum *sum, const row_id *rows,
                       size_t row_count);
    enum err (*on_unreadable)(void *self, row_id row, const struct errinfo *why);
};
enum err snapshot_sum(const struct snapshot *snap, const row_id *rows, size_t count,
                      const struct tree_visit *visit, struct errinfo *info) MUST_CHECK;

/* One of the functions below gave ERR_CORRUPT: nothing of the part's segment is used from now on, by
 * anybody. The question may be asked again: tree_can_sum takes none of its rows. */
void tree_give_up(const struct snapshot *snap, uint32_t part);
/* Asked after reading, before an answer counts. */
bool tree_is_served(const struct snapshot *snap, uint32_t part);

/* Texts live as long as the snapshot. */
enum err tree_node(const struct snapshot *snap, uint32_t part, uint32_t node, uint32_t *ret_parent,
                   uint32_t *ret_frame, struct errinfo *info) MUST_CHECK;
enum err tree_identity(const struct snapshot *snap, uint32_t part, uint32_t frame,
                       struct hash128 *ret, struct errinfo *info) MUST_CHECK;
enum err tree_frame(const struct snapshot *snap, uint32_t part, uint32_t frame,
                    struct segment_frame *ret, struct errinfo *info) MUST_CHECK;
enum err tree_text(const struct snapshot *snap, uint32_t part, uint32_t text, struct bytes *ret,
                   struct errinfo *info) MUST_CHECK;
/* Id and name. */
enum err tree_thread(const struct snapshot *snap, uint32_t part, uint32_t thread,
                     struct bytes *ret_id, struct bytes *ret_name, struct errinfo *info) MUST_CHECK;

#endif
