/* sample_grid.h - when a profile has samples, and of which threads, as bits.
 *
 * Neighbouring samples of one time are a tick. Which threads a tick has samples of, in document
 * order, is its pattern; most profiles have one pattern, all threads. A span is a run of ticks of
 * one pattern. Grid and stack runs (storage/stack_runs.h) give back every sample.
 *
 * Errors: those of the arena; reading also ERR_CORRUPT.
 * Cost:   making one is O(samples); reading O(ticks + spans + threads of patterns).
 */
#ifndef HEARTH_STORAGE_SAMPLE_GRID_H
#define HEARTH_STORAGE_SAMPLE_GRID_H

#include "base/arena.h"
#include "storage/bits.h"
#include "storage/profile.h"

struct tick_span {
    uint32_t pattern;
    uint32_t ticks; /* at least 1 */
};

struct sample_grid {
    size_t tick_count;
    const uint64_t *times; /* of ticks, as in struct profile */
    size_t thread_count;   /* threads with samples are below */
    size_t pattern_count;
    const uint32_t *pattern_first; /* into pattern_threads; one more: the end */
    const uint32_t *pattern_threads;
    size_t span_count;
    const struct tick_span *spans;
    size_t sample_count;
    const uint32_t *thread_samples; /* of each thread, how many */
};

enum err sample_grid_find(const struct profile *p, struct arena *arena,
                          struct sample_grid *ret) MUST_CHECK;
enum err sample_grid_put(struct bits_writer *w, enum profile_kind kind,
                         const struct sample_grid *grid, struct arena *scratch) MUST_CHECK;
/* Threads are below thread_limit, samples at most SAMPLE_COUNT_MAX. */
enum err sample_grid_get(struct bits_reader *r, enum profile_kind kind, size_t thread_limit,
                         struct arena *arena, struct sample_grid *ret,
                         struct errinfo *info) MUST_CHECK;

static inline size_t sample_grid_pattern_size(const struct sample_grid *g, uint32_t pattern)
{
    return g->pattern_first[pattern + 1] - g->pattern_first[pattern];
}

#endif
