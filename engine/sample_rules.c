#include "engine/sample_rules.h"

#include <inttypes.h>

#include "base/limits.h"

#define NS_PER_S 1e9

/* Per-thread numbers and a mark per sample, while the rules run. */
struct work {
    struct buffer memory;
    uint8_t *keep;
    uint32_t *count; /* per thread */
    uint32_t *first; /* per thread: first and last sample with a stack; PROFILE_NONE: none */
    uint32_t *last;
};

static enum err work_init(struct work *w, const struct profile_columns *c)
{
    size_t samples = profile_columns_sample_count(c);
    size_t threads = profile_columns_thread_count(c);
    size_t size = samples + 3 * threads * sizeof(uint32_t);
    buffer_init(&w->memory, SIZE_MAX, c->threads.account);
    uint32_t *at = buffer_extend(&w->memory, size);
    if (at == NULL)
        return w->memory.failed;
    memset(at, 0, size);
    w->count = at;
    w->first = at + threads;
    w->last = at + 2 * threads;
    w->keep = (uint8_t *)(at + 3 * threads);
    for (size_t i = 0; i < threads; i++)
        w->first[i] = PROFILE_NONE;
    return ERR_OK;
}

/* The stack is there and has frames. */
static bool is_busy(const struct profile_columns *c, size_t sample)
{
    uint32_t stack = buffer_u32s(&c->sample_stack)[sample];
    return stack < profile_columns_stack_count(c) && buffer_u32s(&c->stacks)[stack] != PROFILE_NONE;
}

static enum err refuse(enum ingest_outcome *ret_outcome, enum ingest_outcome outcome)
{
    *ret_outcome = outcome;
    return ERR_MALFORMED;
}

static enum err check_indices(const struct profile_columns *c, enum ingest_outcome *ret_outcome,
                              struct errinfo *info)
{
    size_t count = profile_columns_sample_count(c);
    size_t stack_count = profile_columns_stack_count(c);
    size_t frame_count = profile_columns_frame_count(c);
    const uint32_t *stack = buffer_u32s(&c->sample_stack);
    if (count == 0) {
        (void)err_set(info, ERR_MALFORMED, "no thread has two samples with a stack");
        return refuse(ret_outcome, INGEST_NOT_ENOUGH_SAMPLES);
    }
    for (size_t i = 0; i < count; i++)
        if (stack[i] >= stack_count) {
            (void)err_set(info, ERR_MALFORMED,
                          "a sample has stack %" PRIu32 ", the profile %zu stacks", stack[i],
                          stack_count);
            return refuse(ret_outcome, INGEST_MALFORMED_SAMPLES);
        }
    if (c->frame_index_any && c->frame_index_max >= frame_count) {
        (void)err_set(info, ERR_MALFORMED, "a stack has frame %" PRIu32 ", the profile %zu frames",
                      c->frame_index_max, frame_count);
        return refuse(ret_outcome, INGEST_MALFORMED_STACKS);
    }
    return ERR_OK;
}

/* Threads with at least two in `count` stay. */
static void keep_threads_of_two(struct profile_columns *c, struct work *w)
{
    const uint32_t *thread = buffer_u32s(&c->sample_thread);
    size_t count = profile_columns_sample_count(c);
    for (size_t i = 0; i < count; i++)
        w->keep[i] = w->count[thread[i]] >= 2;
    profile_columns_keep(c, w->keep);
}

static double seconds_of(uint64_t bits)
{
    double seconds;
    memcpy(&seconds, &bits, sizeof(seconds));
    return seconds;
}

enum err sample_rules_chunk(struct profile_columns *c, enum ingest_outcome *ret_outcome,
                            struct errinfo *info)
{
    struct work w;
    TRY(work_init(&w, c));
    const uint32_t *thread = buffer_u32s(&c->sample_thread);
    size_t count = profile_columns_sample_count(c);
    for (size_t i = 0; i < count; i++)
        w.count[thread[i]] += is_busy(c, i);
    keep_threads_of_two(c, &w);
    buffer_close(&w.memory);
    TRY(check_indices(c, ret_outcome, info));
    profile_columns_sort(c);
    if (c->failed != ERR_OK)
        return c->failed;
    const uint64_t *time = buffer_u64s(&c->sample_time);
    count = profile_columns_sample_count(c);
    double span = seconds_of(time[count - 1]) - seconds_of(time[0]);
    if (span > (double)CHUNK_DURATION_MAX_NS / NS_PER_S) {
        (void)err_set(info, ERR_MALFORMED, "%.3f s between first and last sample, at most 66",
                      span);
        return refuse(ret_outcome, INGEST_TOO_LONG);
    }
    profile_columns_order_threads(c, true);
    return c->failed;
}

static void keep_range(struct profile_columns *c, struct work *w, uint64_t start_ns,
                       uint64_t end_ns)
{
    const uint64_t *time = buffer_u64s(&c->sample_time);
    size_t count = profile_columns_sample_count(c);
    for (size_t i = 0; i < count; i++)
        w->keep[i] = time[i] >= start_ns && time[i] <= end_ns;
    profile_columns_keep(c, w->keep);
}

static void trim_idle_ends(struct profile_columns *c, struct work *w)
{
    const uint32_t *thread = buffer_u32s(&c->sample_thread);
    size_t count = profile_columns_sample_count(c);
    for (size_t i = 0; i < count; i++) {
        if (!is_busy(c, i))
            continue;
        if (w->first[thread[i]] == PROFILE_NONE)
            w->first[thread[i]] = (uint32_t)i;
        w->last[thread[i]] = (uint32_t)i;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t t = thread[i];
        w->keep[i] = w->first[t] != PROFILE_NONE && w->first[t] <= i && i <= w->last[t];
        w->count[t] += w->keep[i];
    }
    profile_columns_keep(c, w->keep);
}

enum err sample_rules_profile(struct profile_columns *c, uint64_t start_ns, uint64_t end_ns,
                              enum ingest_outcome *ret_outcome, struct errinfo *info)
{
    struct work w;
    TRY(work_init(&w, c));
    if (end_ns > 0)
        keep_range(c, &w, start_ns, end_ns);
    trim_idle_ends(c, &w);
    keep_threads_of_two(c, &w);
    buffer_close(&w.memory);
    TRY(check_indices(c, ret_outcome, info));
    uint64_t last = buffer_u64s(&c->sample_time)[profile_columns_sample_count(c) - 1];
    if (last > PROFILE_DURATION_MAX_NS) {
        (void)err_set(info, ERR_MALFORMED, "the last sample is at %" PRIu64 " ns, at most 30 s",
                      last);
        return refuse(ret_outcome, INGEST_TOO_LONG);
    }
    profile_columns_order_threads(c, true);
    return c->failed;
}
