#include "engine/sample_sort.h"

#include <assert.h>

/* Threads of a tick share their time, which is then looked at once. */
static bool is_sorted(const struct profile *p)
{
    int64_t before_ns = INT64_MIN;
    for (size_t i = 0; i < p->sample_count; i++) {
        if (i > 0 && p->sample_time[i] == p->sample_time[i - 1])
            continue;
        int64_t ns = profile_sample_ns(p, i);
        if (ns < before_ns)
            return false;
        before_ns = ns;
    }
    return true;
}

/* One round of a bottom-up merge sort: runs of `width` from `from` into runs of twice that. */
static void merge_runs(const struct profile *p, const uint32_t *from, uint32_t *to, size_t width)
{
    size_t count = p->sample_count;
    for (size_t start = 0; start < count; start += 2 * width) {
        size_t middle = count - start < width ? count : start + width;
        size_t end = count - middle < width ? count : middle + width;
        size_t a = start;
        size_t b = middle;
        for (size_t i = start; i < end; i++) {
            bool left = b == end || (a < middle && profile_sample_ns(p, from[a]) <=
                                                       profile_sample_ns(p, from[b]));
            to[i] = left ? from[a++] : from[b++];
        }
    }
}

static enum err sorted_order(const struct profile *p, struct arena *arena, const uint32_t **ret)
{
    uint32_t *from = ARENA_ARRAY(arena, p->sample_count, uint32_t);
    uint32_t *to = ARENA_ARRAY(arena, p->sample_count, uint32_t);
    if (from == NULL || to == NULL)
        return arena->failed;
    for (size_t i = 0; i < p->sample_count; i++)
        from[i] = (uint32_t)i;
    for (size_t width = 1; width < p->sample_count; width *= 2) {
        merge_runs(p, from, to, width);
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    *ret = from;
    return ERR_OK;
}

static enum err pick_u32(const uint32_t **column, const uint32_t *order, size_t count,
                         struct arena *arena)
{
    uint32_t *picked = ARENA_ARRAY(arena, count, uint32_t);
    if (picked == NULL)
        return arena->failed;
    for (size_t i = 0; i < count; i++)
        picked[i] = (*column)[order[i]];
    *column = picked;
    return ERR_OK;
}

static enum err pick_times_and_idle(struct profile *p, const uint32_t *order, struct arena *arena)
{
    uint64_t *time = ARENA_ARRAY(arena, p->sample_count, uint64_t);
    uint8_t *idle = ARENA_ARRAY(arena, p->sample_count, uint8_t);
    if (time == NULL || idle == NULL)
        return arena->failed;
    for (size_t i = 0; i < p->sample_count; i++) {
        time[i] = p->sample_time[order[i]];
        idle[i] = p->sample_idle == NULL ? 0 : p->sample_idle[order[i]];
    }
    p->sample_time = time;
    p->sample_idle = p->sample_idle == NULL ? NULL : idle;
    return ERR_OK;
}

enum err profile_sort_samples(struct profile *p, struct arena *arena)
{
    struct profile sorted = *p;
    const uint32_t *order = NULL;
    if (is_sorted(p))
        return ERR_OK;
    TRY(sorted_order(p, arena, &order));
    assert(order != NULL);
    TRY(pick_u32(&sorted.sample_thread, order, p->sample_count, arena));
    TRY(pick_u32(&sorted.sample_stack, order, p->sample_count, arena));
    if (p->sample_queue != NULL)
        TRY(pick_u32(&sorted.sample_queue, order, p->sample_count, arena));
    TRY(pick_times_and_idle(&sorted, order, arena));
    *p = sorted;
    return ERR_OK;
}
