#include "tests/support/random_profile.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t *u32s(struct rng *rng, struct arena *arena, size_t count, uint64_t below)
{
    uint32_t *list = ARENA_ARRAY(arena, count, uint32_t);
    for (size_t i = 0; i < count; i++)
        list[i] = (uint32_t)rng_below(rng, below);
    return list;
}

static void fill_strings(struct rng *rng, struct arena *arena, size_t count, struct profile *p)
{
    struct bytes *strings = ARENA_ARRAY(arena, count, struct bytes);
    strings[0] = (struct bytes){NULL, 0};
    for (size_t i = 1; i < count; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "text_%zu_%d", i, (int)rng_below(rng, 1000));
        strings[i] = arena_copy(arena, bytes_of(text, (size_t)len));
    }
    p->strings = strings;
    p->string_count = count;
}

static void fill_frames(struct rng *rng, struct arena *arena, size_t count, struct profile *p)
{
    struct profile_frame *frames = ARENA_ARRAY(arena, count, struct profile_frame);
    size_t texts = p->string_count;
    for (size_t i = 0; i < count; i++) {
        frames[i] = (struct profile_frame){.function = (uint32_t)rng_below(rng, texts),
                                           .module = (uint32_t)rng_below(rng, texts),
                                           .package = (uint32_t)rng_below(rng, texts),
                                           .filename = (uint32_t)rng_below(rng, texts),
                                           .abs_path = (uint32_t)rng_below(rng, texts),
                                           .platform = (uint32_t)rng_below(rng, texts),
                                           .instruction_addr = (uint32_t)rng_below(rng, texts),
                                           .rest = (uint32_t)rng_below(rng, texts),
                                           .line = (uint32_t)rng_u64(rng),
                                           .column = (uint32_t)rng_below(rng, 200),
                                           .in_app = (uint32_t)rng_below(rng, 3)};
    }
    p->frames = frames;
    p->frame_count = count;
    p->frame_list_count = count == 0 ? 0 : (size_t)rng_below(rng, count * 2);
    p->frame_list = u32s(rng, arena, p->frame_list_count, count == 0 ? 1 : count);
}

static void fill_stacks(struct rng *rng, struct arena *arena, size_t count, struct profile *p)
{
    uint32_t *parent = u32s(rng, arena, count, 1);
    p->node_count = count;
    for (size_t i = 0; i < count; i++)
        parent[i] = i == 0 || rng_chance(rng, 20) ? PROFILE_NONE : (uint32_t)rng_below(rng, i);
    p->node_parent = parent;
    uint32_t *frame = u32s(rng, arena, count, p->frame_list_count == 0 ? 1 : p->frame_list_count);
    for (size_t i = 0; i < count; i++) { /* documents may hold bad indices here */
        if (rng_chance(rng, 2))
            frame[i] = (uint32_t)rng_u64(rng);
    }
    p->node_frame = frame;
    p->stack_count = (size_t)rng_below(rng, count + 1);
    uint32_t *stacks = u32s(rng, arena, p->stack_count, count == 0 ? 1 : count);
    for (size_t i = 0; i < p->stack_count; i++) {
        if (count == 0 || rng_chance(rng, 10))
            stacks[i] = PROFILE_NONE;
    }
    p->stacks = stacks;
}

static uint64_t bits_of(double seconds)
{
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    return bits;
}

enum time_style { TIMES_TICKS, TIMES_ODD, TIMES_WILD };

static uint64_t next_time(struct rng *rng, enum profile_kind kind, enum time_style style,
                          double *seconds)
{
    if (style == TIMES_WILD)
        return kind == PROFILE_CHUNK ? bits_of(rng_double(rng) * 1e10 - 1e9) : rng_u64(rng);
    *seconds += 0.01 + rng_double(rng) * 0.001;
    if (kind == PROFILE_TRANSACTION)
        return (uint64_t)((*seconds - 1.7e9) * 1e9);
    return bits_of(style == TIMES_TICKS ? *seconds : *seconds - 1.7e9); /* odd: no ticks */
}

static void fill_threads(struct rng *rng, struct arena *arena, size_t count, struct profile *p)
{
    struct profile_thread *threads = ARENA_ARRAY(arena, count, struct profile_thread);
    for (size_t i = 0; i < count; i++) {
        threads[i] = (struct profile_thread){.id = (uint32_t)rng_below(rng, p->string_count),
                                             .name = (uint32_t)rng_below(rng, p->string_count),
                                             .priority = (uint32_t)rng_below(rng, 100000),
                                             .known = (uint32_t)rng_below(rng, 2)};
    }
    p->threads = threads;
    p->thread_count = count;
}

static uint32_t next_stack(struct rng *rng, const struct profile *p, uint32_t before)
{
    if (rng_chance(rng, 60))
        return before;
    if (rng_chance(rng, 2))
        return (uint32_t)rng_u64(rng);
    return p->stack_count == 0 ? 0 : (uint32_t)rng_below(rng, p->stack_count);
}

static void fill_samples(struct rng *rng, struct arena *arena, size_t count, struct profile *p)
{
    uint64_t *time = ARENA_ARRAY(arena, count, uint64_t);
    uint32_t *thread = u32s(rng, arena, count, 1);
    uint32_t *stack = u32s(rng, arena, count, 1);
    enum time_style style = (enum time_style)rng_below(rng, 3);
    bool regular = rng_chance(rng, 60); /* every thread in every tick, as Python does */
    double seconds = 1.7e9 + (double)rng_below(rng, 1000000);
    for (size_t i = 0; i < count; i++) {
        bool same_tick = regular ? i % p->thread_count != 0 : i > 0 && rng_chance(rng, 30);
        time[i] = same_tick ? time[i - 1] : next_time(rng, p->kind, style, &seconds);
        thread[i] = (uint32_t)(regular ? i % p->thread_count : rng_below(rng, p->thread_count));
        stack[i] = next_stack(rng, p, i < p->thread_count ? 0 : stack[i - p->thread_count]);
    }
    p->sample_time = time;
    p->sample_thread = thread;
    p->sample_stack = stack;
    p->sample_count = count;
    if (rng_chance(rng, 30))
        p->sample_queue = u32s(rng, arena, count, p->string_count);
    if (rng_chance(rng, 30)) {
        uint8_t *idle = ARENA_ARRAY(arena, count, uint8_t);
        for (size_t i = 0; i < count; i++)
            idle[i] = (uint8_t)rng_below(rng, 2);
        p->sample_idle = idle;
    }
}

static struct uuid random_id(struct rng *rng)
{
    struct uuid id;
    rng_bytes(rng, id.byte, sizeof id.byte);
    return id;
}

static void fill_head(struct rng *rng, struct arena *arena, struct profile *p)
{
    p->flags = (uint32_t)rng_below(rng, 32);
    p->organization_id = rng_below(rng, 3);
    p->project_id = 1 + rng_below(rng, 3);
    p->retention_days = (uint32_t)rng_below(rng, 100);
    p->received_ns = rng_range(rng, 0, INT64_MAX);
    p->id = random_id(rng);
    uint32_t *text[] = {&p->version, &p->platform, &p->environment, &p->release,
                        &p->dist,    &p->sdk_name, &p->sdk_version};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        *text[i] = (uint32_t)rng_below(rng, p->string_count);
    if (rng_chance(rng, 50))
        p->rest = arena_copy(arena, BYTES("{\"debug_meta\":{\"images\":[]}}"));
    if (p->kind == PROFILE_CHUNK) {
        p->profiler_id = random_id(rng);
        return;
    }
    p->timestamp_ns = rng_range(rng, 0, INT64_C(1) << 61);
    p->timestamp_text = (uint32_t)rng_below(rng, p->string_count);
    p->transaction = (uint32_t)rng_below(rng, p->string_count);
    p->active_thread = (uint32_t)rng_below(rng, p->string_count);
    p->segment_id = (uint32_t)rng_below(rng, p->string_count);
    p->transaction_id = random_id(rng);
    p->trace_id = random_id(rng);
}

void random_profile(struct rng *rng, struct arena *arena, size_t size, struct profile *ret)
{
    *ret = (struct profile){.kind = rng_chance(rng, 50) ? PROFILE_CHUNK : PROFILE_TRANSACTION};
    fill_strings(rng, arena, 1 + (size_t)rng_below(rng, size + 1), ret);
    fill_head(rng, arena, ret);
    fill_frames(rng, arena, (size_t)rng_below(rng, size + 1), ret);
    fill_stacks(rng, arena, (size_t)rng_below(rng, size * 2 + 1), ret);
    fill_threads(rng, arena, 1 + (size_t)rng_below(rng, 6), ret);
    fill_samples(rng, arena, rng_chance(rng, 10) ? 0 : (size_t)rng_below(rng, size * 4 + 1), ret);
}

static void clamp(const uint32_t *values, size_t count, size_t limit)
{
    uint32_t *writable = (uint32_t *)(uintptr_t)values;
    for (size_t i = 0; i < count; i++)
        writable[i] %= (uint32_t)limit;
}

static int compare_u64(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

void random_sound_profile(struct rng *rng, struct arena *arena, size_t size, struct profile *ret)
{
    do
        random_profile(rng, arena, size, ret);
    while (ret->frame_list_count == 0 || ret->node_count == 0 || ret->stack_count == 0);
    clamp(ret->node_frame, ret->node_count, ret->frame_list_count);
    clamp(ret->sample_stack, ret->sample_count, ret->stack_count);
    /* positive doubles are in the order of their bits; a wild time may be below zero */
    uint64_t *time = (uint64_t *)(uintptr_t)ret->sample_time;
    for (size_t i = 0; i < ret->sample_count; i++)
        time[i] &= INT64_MAX;
    qsort(time, ret->sample_count, sizeof *time, compare_u64);
}

/* ---- equal ---- */

static bool same(const void *a, const void *b, size_t count, size_t size)
{
    return count == 0 || memcmp(a, b, count * size) == 0;
}

#define DIFFERS(condition, name) \
    do {                         \
        if (condition) {         \
            *why = name;         \
            return false;        \
        }                        \
    } while (0)
#define FIELD(f)   DIFFERS(a->f != b->f, #f)
#define ID(f)      DIFFERS(!uuid_equal(a->f, b->f), #f)
#define LIST(f, n) DIFFERS(!same(a->f, b->f, a->n, sizeof *a->f), #f)
#define MAYBE(f, n)                                                      \
    DIFFERS((a->f == NULL) != (b->f == NULL) ||                          \
                (a->f != NULL && !same(a->f, b->f, a->n, sizeof *a->f)), \
            #f)

static bool heads_equal(const struct profile *a, const struct profile *b, const char **why)
{
    FIELD(kind);
    FIELD(flags);
    FIELD(organization_id);
    FIELD(project_id);
    FIELD(retention_days);
    FIELD(received_ns);
    ID(profiler_id);
    ID(id);
    FIELD(version);
    FIELD(platform);
    FIELD(environment);
    FIELD(release);
    FIELD(dist);
    FIELD(sdk_name);
    FIELD(sdk_version);
    FIELD(timestamp_ns);
    FIELD(timestamp_text);
    FIELD(transaction);
    FIELD(active_thread);
    FIELD(segment_id);
    ID(transaction_id);
    ID(trace_id);
    DIFFERS(!bytes_equal(a->rest, b->rest), "rest");
    return true;
}

bool profiles_equal(const struct profile *a, const struct profile *b, const char **why)
{
    if (!heads_equal(a, b, why))
        return false;
    FIELD(string_count);
    FIELD(frame_count);
    FIELD(frame_list_count);
    FIELD(node_count);
    FIELD(stack_count);
    FIELD(thread_count);
    FIELD(sample_count);
    for (size_t i = 0; i < a->string_count; i++)
        DIFFERS(!bytes_equal(a->strings[i], b->strings[i]), "strings");
    LIST(frames, frame_count);
    LIST(frame_list, frame_list_count);
    LIST(node_parent, node_count);
    LIST(node_frame, node_count);
    LIST(stacks, stack_count);
    LIST(threads, thread_count);
    LIST(sample_time, sample_count);
    LIST(sample_thread, sample_count);
    LIST(sample_stack, sample_count);
    MAYBE(sample_queue, sample_count);
    MAYBE(sample_idle, sample_count);
    return true;
}
