/* block_frames.h - the frame list and the trie of a document, as far as its stacks in terms of the
 * tables do not say them, as bits.
 *
 * The tables know of each stack which frames it has, not which of the document's numbers stand for
 * them: a document may list equal frames more than once. But documents number frames as they come
 * when stacks are walked in the order in which samples use them, each from its leaf to its root,
 * and where a number is used again it is nearly always by one of two rules: equal frames have one
 * number (Python, PHP, browsers), or every node of the trie has its own (Node). So mostly nothing is
 * kept but the rule; some documents (Ruby) keep a choice where a frame comes again, and what was
 * numbered in another way keeps lists.
 *
 * Errors: writing, those of the arena; reading also ERR_CORRUPT, or what the tables say.
 * Cost:   O(nodes of the profile).
 */
#ifndef HEARTH_STORAGE_BLOCK_FRAMES_H
#define HEARTH_STORAGE_BLOCK_FRAMES_H

#include "storage/bits.h"
#include "storage/local_ids.h"
#include "storage/segment_tables.h"

/* Every index of the profile is in range. `use_order`: its stacks, those that samples use by first
 * use, then the others. */
enum err block_frames_put(struct bits_writer *w, const struct profile *p,
                          const struct tables_mapping *map, const uint32_t *use_order,
                          struct arena *scratch) MUST_CHECK;

/* p->stack_count stacks, their leaves in the tables by document number. Sets frame_list, node_* and
 * stacks of the profile; its distinct frames are those of `frames`. */
enum err block_frames_get(struct bits_reader *r, const struct tables_source *tables,
                          const uint32_t *leaves, const uint32_t *use_order, struct arena *arena,
                          struct local_ids *frames, struct profile *p,
                          struct errinfo *info) MUST_CHECK;

#endif
