/* function_rows.h - the functions of one profile with the durations of their calls: rows of the
 * query tables functions_raw and functions.
 *
 * A call is a node of the call tree (engine/call_tree.h) below the root. Self time of application code
 * excludes only application code below it; that of other code everything. Source of the rules: vroom
 * 26.7.1, restated in docs/semantics.md.
 *
 * Owns:    everything is in the arena; texts are the profile's.
 * Units:   nanoseconds.
 * Errors:  those of call_tree_make.
 * Cost:    O(samples * depth).
 */
#ifndef HEARTH_ENGINE_FUNCTION_ROWS_H
#define HEARTH_ENGINE_FUNCTION_ROWS_H

#include "engine/call_tree.h"

#define FUNCTION_ROWS_MAX 100 /* of one profile the original publishes the first so many */

struct function_row {
    uint32_t fingerprint;
    struct bytes name;
    struct bytes package; /* module-or-package */
    bool in_app;
    struct bytes thread_id;       /* of the call with the longest self time */
    const uint64_t *durations_ns; /* in the order of their ends */
    const uint64_t *self_ns;
    size_t call_count;
    uint64_t sum_duration_ns;
    uint64_t sum_self_ns;
    uint64_t sample_count;
};

/* Of all threads of a chunk, or of a transaction profile's active one; `app_only`: no functions of
 * other code. By self time, then duration, largest first, then fingerprint. */
enum err function_rows_make(const struct profile *p, bool app_only, struct arena *arena,
                            struct function_row **ret, size_t *ret_count,
                            struct errinfo *info) MUST_CHECK;

#endif
