#include "bench/histogram.h"

#include <string.h>

#define STEPS (1u << HISTOGRAM_STEPS_LOG2)

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}

/* Values below 2^7 have a bucket each; beyond, a power of two is cut into 2^7 steps. */
static unsigned bucket_of(uint64_t value)
{
    if (value < STEPS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEPS_LOG2;
    return (shift << HISTOGRAM_STEPS_LOG2) + (unsigned)(value >> shift);
}

static uint64_t bucket_last(unsigned bucket)
{
    if (bucket < STEPS)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_STEPS_LOG2) - 1;
    uint64_t first = (uint64_t)((bucket & (STEPS - 1)) | STEPS) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_record(struct histogram *h, uint64_t value)
{
    h->count++;
    h->sum += (double)value;
    if (value > h->max)
        h->max = value;
    h->buckets[bucket_of(value)]++;
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
    to->count += from->count;
    to->sum += from->sum;
    if (from->max > to->max)
        to->max = from->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *h, double quantile)
{
    if (h->count == 0)
        return 0;
    double exact = quantile * (double)h->count;
    uint64_t wanted = (uint64_t)exact; /* how many values are at or below the answer */
    wanted += (double)wanted < exact || wanted == 0;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted) {
            uint64_t last = bucket_last(i);
            return last < h->max ? last : h->max;
        }
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count == 0 ? 0 : h->sum / (double)h->count;
}
