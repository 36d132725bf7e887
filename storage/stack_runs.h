/* stack_runs.h - the stacks of a profile's samples, as runs of equal ones, thread after thread, as
 * bits.
 *
 * A waiting thread shows one stack for thousands of ticks, and a busy one comes back to few. A run
 * names its stack by how recently its thread had it; stacks are numbered in the order in which the
 * runs, thread after thread, first have them, so that a new one needs no number.
 *
 * Errors: those of the arena; reading also ERR_CORRUPT.
 * Cost:   O(samples) to make, O(runs) to read.
 */
#ifndef HEARTH_STORAGE_STACK_RUNS_H
#define HEARTH_STORAGE_STACK_RUNS_H

#include "storage/sample_grid.h"

struct stack_run {
    uint32_t stack;  /* by that order */
    uint32_t length; /* samples, at least 1 */
};

struct stack_runs {
    const struct stack_run *runs;
    const uint32_t *thread_first; /* of each thread of the grid its first run; one more: the end */
    size_t count;
    size_t stack_count;
    const uint32_t *document_stack; /* of each stack its number in the document; only made */
};

/* Every sample's stack is below p->stack_count. */
enum err stack_runs_find(const struct profile *p, const struct sample_grid *grid,
                         struct arena *arena, struct stack_runs *ret) MUST_CHECK;
enum err stack_runs_put(struct bits_writer *w, const struct stack_runs *runs,
                        const struct sample_grid *grid, struct arena *scratch) MUST_CHECK;
/* The runs of each thread fill its samples. */
enum err stack_runs_get(struct bits_reader *r, const struct sample_grid *grid, struct arena *arena,
                        struct stack_runs *ret, struct errinfo *info) MUST_CHECK;

#endif
