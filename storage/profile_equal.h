/* profile_equal.h - whether two profiles are the same document.
 *
 * Everything that the document and its row say is compared, texts and frames by what they are. How
 * texts, distinct frames and trie nodes are numbered is free, and so is what no list names: a block
 * may keep them in another order, the document is the same.
 *
 * Both are of the shape that profile_check_shape promises.
 *
 * Errors: those of the arena.
 * Cost:   O(samples + stacks + trie nodes + frames).
 */
#ifndef HEARTH_STORAGE_PROFILE_EQUAL_H
#define HEARTH_STORAGE_PROFILE_EQUAL_H

#include "base/arena.h"
#include "storage/profile.h"

/* *ret_difference: the first part that differs, NULL when they are equal. */
enum err profile_equal(const struct profile *a, const struct profile *b, struct arena *scratch,
                       const char **ret_difference) MUST_CHECK;

#endif
