/* sample_order.h - the samples of a profile, thread by thread.
 *
 * Owns:  nothing: its arrays are in the caller's arena.
 * Cost:  O(samples), plus O(n log n) for a thread whose samples are not in time order already.
 */
#ifndef HEARTH_ENGINE_SAMPLE_ORDER_H
#define HEARTH_ENGINE_SAMPLE_ORDER_H

#include "base/arena.h"
#include "storage/profile.h"

enum sample_order_by {
    SAMPLES_BY_DOCUMENT, /* as they stand in the document */
    SAMPLES_BY_TIME      /* ascending time, equal times as in the document */
};

struct sample_order {
    const uint32_t *samples; /* sample numbers, grouped by thread */
    const uint32_t *starts;  /* thread t has samples[starts[t]] .. samples[starts[t + 1] - 1] */
    const uint32_t *threads; /* threads with samples, in the order of thread_id_compare */
    size_t thread_count;
};

enum err sample_order_make(const struct profile *p, enum sample_order_by by, struct arena *arena,
                           struct sample_order *ret) MUST_CHECK;

#endif
