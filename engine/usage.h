/* usage.h - how busy a selection was over time: CPU, memory and samples in equal buckets.
 *
 * CPU comes from the measurements `cpu_usage` (percent) that some SDKs send: the mean of the values
 * in a bucket. When the selection has none it is the busy time of the samples in a bucket as a
 * share of the bucket's length: 100 is one thread busy all the time. Idle are samples with an empty
 * stack, and those that end in V8's "(idle)", a frame without a place in any file.
 * Measurements are of the whole process: thread conditions do not narrow them.
 *
 * Owns:   the result lives in the arena.
 * Errors: as flamegraph.h. Measurements of a profile that cannot be read are counted as left out
 *         ("measurements", "malformed"); its samples still count.
 * Cost:   O(samples + measurements + buckets).
 */
#ifndef HEARTH_ENGINE_USAGE_H
#define HEARTH_ENGINE_USAGE_H

#include "engine/selection.h"

struct usage_bucket {
    uint64_t busy_ns; /* of all threads */
    uint64_t idle_ns;
    uint64_t samples;
    uint64_t cpu_count; /* values of cpu_usage */
    double cpu_sum;
    uint64_t memory_count; /* values of memory_footprint, bytes */
    double memory_sum;
    double memory_max;
};

struct usage {
    int64_t start_ns;   /* of the first bucket */
    uint64_t bucket_ns; /* length of each */
    int64_t end_ns;     /* the last bucket may be cut here */
    bool end_inside;    /* no end was asked for: the last moment there is counts too */
    struct usage_bucket *buckets;
    size_t bucket_count;
    bool cpu_measured; /* some cpu_usage lay in the window */
};

struct usage_options {
    size_t bucket_count; /* wanted; fewer when the window has fewer nanoseconds */
    const atomic_bool *canceled;
};

enum err usage_build(struct selection *s, const struct usage_options *options, struct arena *arena,
                     struct usage **ret, struct errinfo *info) MUST_CHECK;
/* Percent; false when the bucket has no value. */
bool usage_cpu_percent(const struct usage *u, size_t bucket, double *ret);

#endif
