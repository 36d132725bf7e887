/* block_stacks.h - the stacks of a profile as leaf nodes of the tables, as bits.
 *
 * Runs number stacks by their own first use (storage/stack_runs.h). Most documents number them by
 * the first use of their samples; then the leaves alone say all, in the order of runs. Any other
 * document keeps the leaves in its own order, and the number of each stack that runs use.
 *
 * Errors: writing, those of the arena; reading also ERR_CORRUPT.
 * Cost:   O(stacks).
 */
#ifndef HEARTH_STORAGE_BLOCK_STACKS_H
#define HEARTH_STORAGE_BLOCK_STACKS_H

#include "base/arena.h"
#include "storage/bits.h"

struct block_stacks {
    bool in_order;            /* all are used, and numbered by first use in document order */
    size_t run_count;         /* stacks that runs use */
    const uint32_t *document; /* of each of these its number in the document; in_order: NULL */
    size_t count;             /* stacks of the document */
    const uint32_t
        *leaves; /* PROFILE_NONE: an empty one. By run, in_order, else as in the document */
};

enum err block_stacks_put(struct bits_writer *w, const struct block_stacks *s,
                          struct arena *scratch) MUST_CHECK;
/* Document numbers are below the count; leaves anything. */
enum err block_stacks_get(struct bits_reader *r, size_t run_count, struct arena *arena,
                          struct block_stacks *ret, struct errinfo *info) MUST_CHECK;

/* The leaf of a stack that runs use. */
static inline uint32_t block_stacks_leaf(const struct block_stacks *s, uint32_t run_stack)
{
    return s->leaves[s->in_order ? run_stack : s->document[run_stack]];
}

#endif
