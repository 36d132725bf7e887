/* link_windows.h - where in continuous profiles the spans of a trace or transaction ran.
 *
 * A link names a profiler, mostly a thread, and [start, end). Links that name no thread mean all
 * of them (runtimes with one thread do not bother). The windows of a profiler are united per
 * thread, and those for all threads are taken out of the windows of single ones, so that no moment
 * of a thread is in two windows.
 *
 * Owns:   everything is in the arena; thread texts are the snapshot's.
 * Cost:   O(links log links); windows of a row: O(threads log windows + answer).
 */
#ifndef HEARTH_ENGINE_LINK_WINDOWS_H
#define HEARTH_ENGINE_LINK_WINDOWS_H

#include "engine/selection.h"

struct link_thread {
    struct bytes thread;    /* data NULL: all threads */
    struct span_list spans; /* united */
};

struct link_profiler {
    struct uuid profiler_id;
    struct span_ns hull;
    struct link_thread *threads; /* the one for all threads first, if any, then by bytes */
    size_t thread_count;
};

struct selection_links {
    struct link_profiler *profilers; /* by id */
    size_t count;
};

/* Links that match the request's transaction, trace, threads and profiler ids, cut to `window`. */
enum err selection_links_find(const struct snapshot *snap, const struct selection_request *request,
                              struct span_ns window, struct arena *arena,
                              struct selection_links **ret) MUST_CHECK;
/* The windows that have a moment in [start_ns, end_ns], in the order of selection_row. */
enum err link_profiler_windows(const struct link_profiler *p, int64_t start_ns, int64_t end_ns,
                               struct arena *arena, const struct selection_window **ret,
                               uint32_t *ret_count) MUST_CHECK;

#endif
