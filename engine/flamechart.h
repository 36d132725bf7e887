/* flamechart.h - the stacks of one thread in time order: what ran when, and under what.
 *
 * Samples whose stacks share their outer frames and follow each other without a pause are one span
 * per shared frame. A new profile, a pause or an idle sample ends all open spans.
 *
 * Owns:   the result lives in the arena.
 * Errors: as flamegraph.h.
 * Cost:   O(samples * depth where stacks change); memory follows the spans, at most `span_max`.
 */
#ifndef HEARTH_ENGINE_FLAMECHART_H
#define HEARTH_ENGINE_FLAMECHART_H

#include "engine/frame_table.h"
#include "engine/selection.h"

struct flamechart_span {
    int64_t start_ns;
    int64_t end_ns;
    uint32_t depth; /* 0: outermost */
    uint32_t frame; /* -> frames */
};

struct flamechart {
    struct bytes thread_id; /* "" when nothing is selected */
    struct bytes thread_name;
    const struct flamegraph_frame *frames; /* by identity */
    size_t frame_count;
    const struct flamechart_span *spans; /* in the order they begin, outer ones first */
    size_t span_count;
};

struct flamechart_options {
    /* Which thread; data NULL: the one with the most time in application code (anywhere on the
     * stack), then with the most samples, then the first by id. The selection is narrowed to it. */
    struct bytes thread;
    size_t span_max; /* spans beyond are counted in the coverage as left out */
    const atomic_bool *canceled;
};

enum err flamechart_build(struct selection *s, const struct flamechart_options *options,
                          struct arena *arena, struct flamechart **ret,
                          struct errinfo *info) MUST_CHECK;

#endif
