/* histogram.h - latencies in log-linear buckets: every value to better than 1 %, 1 ns to 584 years.
 *
 * Owns: nothing; 59 KiB in place. Cost: O(1) a record, O(buckets) a question.
 */
#ifndef HEARTH_BENCH_HISTOGRAM_H
#define HEARTH_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS_LOG2 7 /* 128 steps a power of two: 1/128 is 0.8 % */
#define HISTOGRAM_BUCKETS    ((64 - HISTOGRAM_STEPS_LOG2 + 1) << HISTOGRAM_STEPS_LOG2)

struct histogram {
    uint64_t count;
    uint64_t max;
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *h);
void histogram_record(struct histogram *h, uint64_t value);
void histogram_add(struct histogram *to, const struct histogram *from);
/* The largest value of the bucket that `quantile` (0 to 1) falls into, never above the maximum; 0
 * when nothing was recorded. */
uint64_t histogram_quantile(const struct histogram *h, double quantile);
double histogram_mean(const struct histogram *h);

#endif
