/* functions.h - the functions of a flame graph: time and samples in each, wherever it was called.
 *
 * A function is (module, else trimmed package, else file name; function name): its lines and
 * addresses are one. Recursion counts once in totals: a call below another call of the same
 * function adds to self alone.
 *
 * Owns:   the list lives in the arena; texts are the flame graph's.
 * Cost:   O(nodes + functions log functions).
 */
#ifndef HEARTH_ENGINE_FUNCTIONS_H
#define HEARTH_ENGINE_FUNCTIONS_H

#include "engine/flamegraph.h"

struct function_figures {
    const struct flamegraph_frame *frame; /* one of its frames, the one with the most self time */
    uint32_t fingerprint;
    uint64_t self_ns;
    uint64_t total_ns;
    uint64_t self_samples;
    uint64_t total_samples;
};

enum function_order { FUNCTIONS_BY_SELF, FUNCTIONS_BY_TOTAL };

/* Largest first; equal ones by the other figure, then by name. All trees are summed. */
enum err functions_of(const struct flamegraph *g, enum function_order order, struct arena *arena,
                      struct function_figures **ret, size_t *ret_count,
                      struct errinfo *info) MUST_CHECK;

#endif
