#include "engine/sample_order.h"

#include "engine/identity.h"

/* Documents may be bad in other ways, but a thread number is made by the decoder. */
static bool is_before(const struct profile *p, uint32_t a, uint32_t b)
{
    if (p->kind == PROFILE_CHUNK)
        return profile_sample_seconds(p, a) < profile_sample_seconds(p, b);
    return p->sample_time[a] < p->sample_time[b];
}

static bool is_sorted(const struct profile *p, const uint32_t *samples, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (is_before(p, samples[i], samples[i - 1]))
            return false;
    return true;
}

/* Stable merge of two sorted neighbours into `to`. */
static void merge(const struct profile *p, const uint32_t *from, size_t middle, size_t count,
                  uint32_t *to)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_right =
            left == middle || (right < count && is_before(p, from[right], from[left]));
        to[i] = take_right ? from[right++] : from[left++];
    }
}

/* Bottom-up merge sort; `spare` has room for `count`. */
static void sort_by_time(const struct profile *p, uint32_t *samples, uint32_t *spare, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            size_t both = count - at < 2 * width ? count - at : 2 * width;
            merge(p, samples + at, width < both ? width : both, both, spare + at);
        }
        memcpy(samples, spare, count * sizeof(samples[0]));
    }
}

static enum err sort_threads(const struct profile *p, const uint32_t *starts, uint32_t *samples,
                             struct arena *arena)
{
    uint32_t *spare = NULL;
    for (size_t t = 0; t < p->thread_count; t++) {
        size_t count = starts[t + 1] - starts[t];
        if (is_sorted(p, samples + starts[t], count))
            continue;
        if (spare == NULL)
            spare = ARENA_ARRAY(arena, p->sample_count, uint32_t);
        if (spare == NULL)
            return arena->failed;
        sort_by_time(p, samples + starts[t], spare, count);
    }
    return ERR_OK;
}

/* Threads are few and mostly in order already: insertion from the back, but halving first, since
 * servers with a thread a request have thousands. */
static void insert_thread(const struct profile *p, uint32_t *threads, size_t count, uint32_t thread)
{
    struct bytes id = profile_string(p, p->threads[thread].id);
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct bytes other = profile_string(p, p->threads[threads[middle]].id);
        if (thread_id_compare(other, id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(threads + low + 1, threads + low, (count - low) * sizeof(threads[0]));
    threads[low] = thread;
}

enum err sample_order_make(const struct profile *p, enum sample_order_by by, struct arena *arena,
                           struct sample_order *ret)
{
    uint32_t *samples = ARENA_ARRAY(arena, p->sample_count, uint32_t);
    uint32_t *starts = ARENA_ARRAY(arena, p->thread_count + 2, uint32_t);
    uint32_t *threads = ARENA_ARRAY(arena, p->thread_count, uint32_t);
    if (samples == NULL || starts == NULL || threads == NULL)
        return arena->failed;

    memset(starts, 0, (p->thread_count + 2) * sizeof(starts[0]));
    for (size_t i = 0; i < p->sample_count; i++)
        starts[p->sample_thread[i] + 2]++;
    for (size_t t = 2; t < p->thread_count + 2; t++)
        starts[t] += starts[t - 1];
    for (size_t i = 0; i < p->sample_count; i++) /* starts[t + 1] moves to its final place */
        samples[starts[p->sample_thread[i] + 1]++] = (uint32_t)i;

    size_t thread_count = 0;
    for (uint32_t t = 0; t < p->thread_count; t++)
        if (starts[t + 1] > starts[t])
            insert_thread(p, threads, thread_count++, t);
    if (by == SAMPLES_BY_TIME)
        TRY(sort_threads(p, starts, samples, arena));
    *ret = (struct sample_order){samples, starts, threads, thread_count};
    return ERR_OK;
}
