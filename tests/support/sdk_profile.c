#include "tests/support/sdk_profile.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define VALUES_MAX  60
#define NODES_MAX   300
#define THREADS_MAX 8
#define TEXTS       (1 + 4 * VALUES_MAX + 2 * THREADS_MAX + 8)

struct making {
    struct rng *rng;
    struct arena *arena;
    enum sdk_style style;
    struct profile *p;
    struct bytes *strings;
    /* the call tree */
    size_t node_count;
    uint32_t parent[NODES_MAX];
    uint32_t value[NODES_MAX];
    /* the document */
    struct profile_frame *frames; /* one a value */
    uint32_t *list;
    uint32_t last_of[VALUES_MAX];
    uint32_t frame_of[NODES_MAX];
    bool seen[NODES_MAX];
    uint32_t stack_of[NODES_MAX]; /* NONE: none yet */
    uint32_t *stacks;
};

static PRINTF_LIKE(2, 3) uint32_t text(struct making *m, const char *format, ...)
{
    char buffer[64];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    struct bytes wanted = bytes_of(buffer, (size_t)len);
    for (uint32_t i = 0; i < m->p->string_count; i++)
        if (bytes_equal(m->strings[i], wanted))
            return i;
    assert(m->p->string_count < TEXTS);
    m->strings[m->p->string_count] = arena_copy(m->arena, wanted);
    return (uint32_t)m->p->string_count++;
}

static void fill_head(struct making *m, unsigned world)
{
    struct profile *p = m->p;
    m->strings = ARENA_ARRAY(m->arena, TEXTS, struct bytes);
    m->strings[0] = (struct bytes){0};
    p->strings = m->strings;
    p->string_count = 1;
    p->platform = text(m, "python");
    p->version = text(m, "%u", p->kind == PROFILE_CHUNK ? 2u : 1u);
    p->environment = text(m, "production");
    p->release = text(m, "app@%u", world);
    p->rest = arena_copy(m->arena, BYTES("{\"debug_meta\":{\"images\":[]}}"));
    rng_bytes(m->rng, p->id.byte, sizeof p->id.byte);
    if (p->kind == PROFILE_CHUNK)
        return;
    p->timestamp_ns = INT64_C(1795337241601448000);
    p->timestamp_text = text(m, "2026-11-22T08:47:21.601448Z");
    p->transaction = text(m, "/view/%u", (unsigned)rng_below(m->rng, 3));
    p->segment_id = text(m, "%08x%08x", (unsigned)rng_u64(m->rng), (unsigned)rng_u64(m->rng));
}

static void fill_values(struct making *m, unsigned world)
{
    size_t count = 5 + (size_t)rng_below(m->rng, VALUES_MAX - 5);
    struct profile_frame *frames = ARENA_ARRAY(m->arena, count, struct profile_frame);
    for (unsigned i = 0; i < count; i++) {
        unsigned module = i % 7;
        frames[i] = (struct profile_frame){.function = text(m, "function_%u_%u", world, i),
                                           .module = text(m, "module_%u_%u", world, module),
                                           .filename = text(m, "module_%u_%u.py", world, module),
                                           .line = 10 + i,
                                           .in_app = i % 3};
    }
    m->frames = frames;
    m->p->frames = frames;
    m->p->frame_count = count;
}

/* No two children of a node have one value. */
static void fill_tree(struct making *m)
{
    size_t wanted = 1 + (size_t)rng_below(m->rng, NODES_MAX);
    for (size_t try = 0; try < wanted; try++) {
        uint32_t parent = m->node_count == 0 || rng_chance(m->rng, 5)
                              ? PROFILE_NONE
                              : (uint32_t)rng_below(m->rng, m->node_count);
        uint32_t value = (uint32_t)rng_below(m->rng, m->p->frame_count);
        bool there = false;
        for (size_t i = 0; i < m->node_count; i++)
            there |= m->parent[i] == parent && m->value[i] == value;
        if (there)
            continue;
        m->parent[m->node_count] = parent;
        m->value[m->node_count++] = value;
    }
}

static void number_frame(struct making *m, uint32_t node)
{
    struct profile *p = m->p;
    uint32_t value = m->value[node];
    bool fresh = m->last_of[value] == PROFILE_NONE || m->style == SDK_BY_NODE ||
                 (m->style == SDK_MIXED && rng_chance(m->rng, 10));
    if (fresh) {
        m->last_of[value] = (uint32_t)p->frame_list_count;
        m->list[p->frame_list_count++] = value;
    }
    m->frame_of[node] = m->last_of[value];
    m->seen[node] = true;
}

static uint32_t use_stack(struct making *m, uint32_t leaf)
{
    if (m->style == SDK_TRIE) {
        for (uint32_t n = leaf; n != PROFILE_NONE && !m->seen[n]; n = m->parent[n])
            number_frame(m, n);
        return leaf;
    }
    if (m->stack_of[leaf] == PROFILE_NONE) {
        for (uint32_t n = leaf; n != PROFILE_NONE && !m->seen[n]; n = m->parent[n])
            number_frame(m, n);
        m->stack_of[leaf] = (uint32_t)m->p->stack_count;
        m->stacks[m->p->stack_count++] = leaf;
    }
    return m->stack_of[leaf];
}

static void begin_document(struct making *m)
{
    memset(m->last_of, 0xff, sizeof m->last_of);
    memset(m->stack_of, 0xff, sizeof m->stack_of);
    m->list = ARENA_ARRAY(m->arena, NODES_MAX, uint32_t);
    m->stacks = ARENA_ARRAY(m->arena, NODES_MAX + 1, uint32_t);
    m->p->frame_list = m->list;
    m->p->stacks = m->stacks;
    if (m->style == SDK_UNUSED)
        (void)use_stack(m, (uint32_t)rng_below(m->rng, m->node_count));
}

static uint64_t next_time(struct making *m, double *seconds)
{
    uint64_t bits;
    *seconds += 0.01 + rng_double(m->rng) * 0.001;
    if (m->p->kind == PROFILE_TRANSACTION)
        return (uint64_t)((*seconds - 1.7953e9) * 1e9);
    memcpy(&bits, seconds, sizeof bits);
    return bits;
}

static void fill_samples(struct making *m, size_t ticks, size_t thread_count)
{
    struct profile *p = m->p;
    uint64_t *time = ARENA_ARRAY(m->arena, ticks * thread_count, uint64_t);
    uint32_t *thread = ARENA_ARRAY(m->arena, ticks * thread_count, uint32_t);
    uint32_t *stack = ARENA_ARRAY(m->arena, ticks * thread_count, uint32_t);
    uint32_t leaf[THREADS_MAX];
    bool all = rng_chance(m->rng, 60); /* every thread in every tick */
    double seconds = 1.7953e9;
    for (size_t i = 0; i < ticks; i++) {
        uint64_t now = next_time(m, &seconds);
        for (uint32_t t = 0; t < thread_count; t++) {
            if (i == 0 || rng_chance(m->rng, t == 0 ? 50 : 5))
                leaf[t] = (uint32_t)rng_below(m->rng, m->node_count);
            if (!all && i > 0 && rng_chance(m->rng, 30))
                continue;
            time[p->sample_count] = now;
            thread[p->sample_count] = t;
            stack[p->sample_count++] = use_stack(m, leaf[t]);
        }
    }
    p->sample_time = time;
    p->sample_thread = thread;
    p->sample_stack = stack;
}

static void fill_threads(struct making *m, unsigned world, size_t count)
{
    struct profile_thread *threads = ARENA_ARRAY(m->arena, count, struct profile_thread);
    for (unsigned i = 0; i < count; i++)
        threads[i] = (struct profile_thread){.id = text(m, "14009%u739924%03u", world, i),
                                             .name = text(m, "Thread-%u", i),
                                             .known = 1};
    m->p->threads = threads;
    m->p->thread_count = count;
    if (m->p->kind == PROFILE_TRANSACTION)
        m->p->active_thread = threads[0].id;
}

/* Every node, used or not, as the trie of the document. */
static void finish_trie(struct making *m)
{
    struct profile *p = m->p;
    uint32_t *parent = ARENA_ARRAY(m->arena, m->node_count, uint32_t);
    uint32_t *frame = ARENA_ARRAY(m->arena, m->node_count, uint32_t);
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (!m->seen[i])
            number_frame(m, i);
        parent[i] = m->parent[i];
        frame[i] = m->frame_of[i];
        if (m->style == SDK_TRIE)
            m->stacks[p->stack_count++] = i;
    }
    p->node_parent = parent;
    p->node_frame = frame;
    p->node_count = m->node_count;
}

/* Only nodes that stacks use, so that every frame has one. */
static void finish_used(struct making *m)
{
    struct profile *p = m->p;
    uint32_t *parent = ARENA_ARRAY(m->arena, m->node_count, uint32_t);
    uint32_t *frame = ARENA_ARRAY(m->arena, m->node_count, uint32_t);
    uint32_t place[NODES_MAX];
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (!m->seen[i])
            continue;
        place[i] = (uint32_t)p->node_count;
        parent[p->node_count] = m->parent[i] == PROFILE_NONE ? PROFILE_NONE : place[m->parent[i]];
        frame[p->node_count++] = m->frame_of[i];
    }
    for (size_t i = 0; i < p->stack_count; i++)
        m->stacks[i] = place[m->stacks[i]];
    p->node_parent = parent;
    p->node_frame = frame;
}

static void shuffle_frames(struct making *m)
{
    struct profile *p = m->p;
    uint32_t *frame = (uint32_t *)(uintptr_t)p->node_frame;
    for (size_t i = p->frame_list_count; i > 1; i--) {
        uint32_t a = (uint32_t)i - 1;
        uint32_t b = (uint32_t)rng_below(m->rng, i);
        uint32_t swap = m->list[a];
        m->list[a] = m->list[b];
        m->list[b] = swap;
        for (size_t n = 0; n < p->node_count; n++)
            frame[n] = frame[n] == a ? b : frame[n] == b ? a : frame[n];
    }
}

void sdk_profile(struct rng *rng, struct arena *arena, enum sdk_style style, unsigned world,
                 size_t ticks, struct profile *ret)
{
    struct making m = {.rng = rng, .arena = arena, .style = style, .p = ret};
    size_t thread_count = 1 + (size_t)rng_below(rng, THREADS_MAX);
    *ret = (struct profile){.kind = rng_chance(rng, 70) ? PROFILE_CHUNK : PROFILE_TRANSACTION,
                            .organization_id = 1,
                            .project_id = 2,
                            .retention_days = 90};
    fill_head(&m, world);
    fill_values(&m, world);
    fill_tree(&m);
    fill_threads(&m, world, thread_count);
    begin_document(&m);
    fill_samples(&m, ticks, thread_count);
    if (style == SDK_TRIE)
        finish_trie(&m);
    else
        finish_used(&m);
    if (style == SDK_SHUFFLED)
        shuffle_frames(&m);
}
