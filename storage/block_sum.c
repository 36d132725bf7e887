/* block_sum.c - the weights of a block's samples by thread and node, from its runs alone.
 *
 * A run of equal stacks weighs from its first sample to the first of the next run, whatever comes
 * in between; so a sum looks at the ticks where runs begin, and at no sample. Where samples of a
 * thread are in the ticks is told by intervals: in so many ticks from one on, so many samples each.
 *
 * Nodes are sorted once, and each has a place. A thread adds its runs up by place; a bit a place
 * says which it touched, so that they come out ascending.
 */
#include <assert.h>
#include <inttypes.h>

#include "storage/segment_block_parts.h"

static enum err no_room(const struct arena *arena)
{
    return arena->failed == ERR_OK ? ERR_NOMEM : arena->failed;
}

/* ---- where the samples of a thread are ---- */

struct interval {
    uint32_t tick;    /* the first */
    uint32_t sample;  /* of the thread, the first */
    uint32_t samples; /* in all of it */
    uint32_t a_tick;  /* samples of each tick */
};

struct summing {
    struct block_samples s;
    struct arena *arena;
    struct profile clock; /* a profile with a sample a tick: its times are those of the block */
    struct interval *intervals;
    uint32_t *interval_first; /* of each thread */
    uint32_t *interval_end;
};

/* Intervals at most, of each thread; then where they begin. */
static enum err place_intervals(struct summing *m)
{
    const struct sample_grid *g = &m->s.grid;
    size_t total = 0;
    m->interval_first = ARENA_ARRAY(m->arena, g->thread_count, uint32_t);
    m->interval_end = ARENA_ARRAY(m->arena, g->thread_count, uint32_t);
    if (m->interval_first == NULL || m->interval_end == NULL)
        return no_room(m->arena);
    memset(m->interval_end, 0, g->thread_count * sizeof *m->interval_end);
    for (size_t i = 0; i < g->span_count; i++)
        for (uint32_t k = g->pattern_first[g->spans[i].pattern];
             k < g->pattern_first[g->spans[i].pattern + 1]; k++)
            m->interval_end[g->pattern_threads[k]]++;
    for (size_t t = 0; t < g->thread_count; t++) {
        m->interval_first[t] = (uint32_t)total;
        total += m->interval_end[t];
        m->interval_end[t] = m->interval_first[t];
    }
    m->intervals = ARENA_ARRAY(m->arena, total, struct interval);
    return m->intervals == NULL ? no_room(m->arena) : ERR_OK;
}

/* One more sample of the thread in each tick of the span. */
static void add_to_span(struct summing *m, uint32_t thread, uint32_t tick, uint32_t ticks)
{
    struct interval *end = &m->intervals[m->interval_end[thread]];
    bool first = m->interval_end[thread] == m->interval_first[thread];
    if (!first && end[-1].tick == tick) {
        end[-1].a_tick++;
        end[-1].samples += ticks;
        return;
    }
    *end = (struct interval){.tick = tick, .samples = ticks, .a_tick = 1};
    if (!first)
        end->sample = end[-1].sample + end[-1].samples;
    m->interval_end[thread]++;
}

static enum err find_intervals(struct summing *m)
{
    const struct sample_grid *g = &m->s.grid;
    uint32_t tick = 0;
    TRY(place_intervals(m));
    for (size_t i = 0; i < g->span_count; i++) {
        for (uint32_t k = g->pattern_first[g->spans[i].pattern];
             k < g->pattern_first[g->spans[i].pattern + 1]; k++)
            add_to_span(m, g->pattern_threads[k], tick, g->spans[i].ticks);
        tick += g->spans[i].ticks;
    }
    return ERR_OK;
}

/* When a sample of a thread is; they are asked for in ascending order. */
static int64_t sample_ns(const struct summing *m, const struct interval **at, uint32_t sample)
{
    const struct interval *i = *at;
    while (sample - i->sample >= i->samples)
        i++;
    *at = i;
    uint32_t within = sample - i->sample;
    return profile_sample_ns(&m->clock, i->tick + (i->a_tick == 1 ? within : within / i->a_tick));
}

/* ---- orders ---- */

#define FEW_KEYS 32 /* sorted faster by insertion */

static void insert_keys(const uint32_t *keys, size_t count, uint32_t *order)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && keys[order[at - 1]] > keys[i]; at--)
            order[at] = order[at - 1];
        order[at] = (uint32_t)i;
    }
}

/* By one byte of the keys; stable. */
static void sort_round(const uint32_t *keys, size_t count, unsigned shift, const uint32_t *from,
                       uint32_t *to)
{
    uint32_t first[257] = {0};
    for (size_t i = 0; i < count; i++)
        first[(keys[i] >> shift & 255) + 1]++;
    for (size_t b = 1; b < 257; b++)
        first[b] += first[b - 1];
    for (size_t i = 0; i < count; i++)
        to[first[keys[from[i]] >> shift & 255]++] = from[i];
}

/* The numbers of the keys, keys ascending. */
static enum err sort_keys(const uint32_t *keys, size_t count, struct arena *arena, uint32_t **ret)
{
    uint32_t *order = ARENA_ARRAY(arena, count, uint32_t);
    uint32_t *other = ARENA_ARRAY(arena, count, uint32_t);
    if (order == NULL || other == NULL)
        return no_room(arena);
    *ret = order;
    if (count <= FEW_KEYS) {
        insert_keys(keys, count, order);
        return ERR_OK;
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (unsigned shift = 0; shift < 32; shift += 16) {
        sort_round(keys, count, shift, order, other);
        sort_round(keys, count, shift + 8, other, order);
    }
    return ERR_OK;
}

/* ---- adding up ---- */

struct total {
    uint64_t samples;
    uint64_t ns;
};

struct adding {
    uint32_t *place; /* of each stack of the runs, its leaf's among the different ones, ascending */
    uint32_t *nodes; /* at each place */
    struct total *totals; /* of the thread at hand, at each place */
    uint64_t *touched;    /* a bit a place */
    uint64_t *words;      /* a bit a word of these: many threads need not look at many places */
    size_t word_count;
    bool any;
    struct node_weight *weights;
};

static enum err find_places(const struct summing *m, struct adding *ret)
{
    size_t count = m->s.runs.stack_count;
    uint32_t *leaves = ARENA_ARRAY(m->arena, count, uint32_t);
    uint32_t *order = NULL;
    size_t places = 0;
    ret->place = ARENA_ARRAY(m->arena, count, uint32_t);
    ret->nodes = ARENA_ARRAY(m->arena, count, uint32_t);
    if (leaves == NULL || ret->place == NULL || ret->nodes == NULL)
        return no_room(m->arena);
    for (uint32_t i = 0; i < count; i++)
        leaves[i] = block_stacks_leaf(&m->s.stacks, i);
    TRY(sort_keys(leaves, count, m->arena, &order));
    assert(order != NULL);
    for (size_t i = 0; i < count; i++) {
        uint32_t leaf = leaves[order[i]];
        if (places == 0 || leaf != ret->nodes[places - 1])
            ret->nodes[places++] = leaf;
        ret->place[order[i]] = (uint32_t)places - 1;
    }
    ret->word_count = (places + 63) / 64;
    return ERR_OK;
}

static enum err begin_adding(const struct summing *m, struct adding *ret)
{
    TRY(find_places(m, ret));
    ret->totals = ARENA_ARRAY(m->arena, 64 * ret->word_count, struct total);
    ret->touched = ARENA_ARRAY(m->arena, ret->word_count, uint64_t);
    ret->words = ARENA_ARRAY(m->arena, ret->word_count / 64 + 1, uint64_t);
    ret->weights = ARENA_ARRAY(m->arena, m->s.runs.count, struct node_weight);
    if (ret->totals == NULL || ret->touched == NULL || ret->words == NULL || ret->weights == NULL)
        return no_room(m->arena);
    memset(ret->totals, 0, 64 * ret->word_count * sizeof *ret->totals);
    memset(ret->touched, 0, ret->word_count * sizeof *ret->touched);
    memset(ret->words, 0, (ret->word_count / 64 + 1) * sizeof *ret->words);
    return ERR_OK;
}

static inline void add(struct adding *a, uint32_t stack, uint64_t samples, uint64_t ns)
{
    uint32_t place = a->place[stack];
    a->any = true;
    a->touched[place / 64] |= UINT64_C(1) << place % 64;
    a->words[place / 4096] |= UINT64_C(1) << place / 64 % 64;
    a->totals[place].samples += samples;
    a->totals[place].ns += ns;
}

static void widen(struct block_sum *sum, int64_t first_ns, int64_t last_ns)
{
    sum->first_ns = !sum->any || first_ns < sum->first_ns ? first_ns : sum->first_ns;
    sum->last_ns = !sum->any || last_ns > sum->last_ns ? last_ns : sum->last_ns;
    sum->any = true;
}

/* Each run lasts until the next one's first sample; the thread's last sample only closes. */
static void add_thread(const struct summing *m, struct adding *a, size_t t, struct block_sum *sum)
{
    if (t >= m->s.grid.thread_count || m->s.grid.thread_samples[t] < 2)
        return;
    const struct stack_run *run = m->s.runs.runs + m->s.runs.thread_first[t];
    const struct interval *at = m->intervals + m->interval_first[t];
    uint32_t last = m->s.grid.thread_samples[t] - 1;
    int64_t first_ns = sample_ns(m, &at, 0);
    int64_t start_ns = first_ns;
    for (uint32_t sample = 0; sample < last; run++) {
        uint32_t next = sample + run->length < last ? sample + run->length : last;
        int64_t end_ns = sample_ns(m, &at, next);
        add(a, run->stack, next - sample, (uint64_t)end_ns - (uint64_t)start_ns);
        sample = next;
        start_ns = end_ns;
    }
    widen(sum, first_ns, start_ns);
}

static void take_word(struct adding *a, size_t word, uint32_t thread, struct block_sum *sum)
{
    for (; a->touched[word] != 0; a->touched[word] &= a->touched[word] - 1) {
        size_t place = 64 * word + (size_t)__builtin_ctzll(a->touched[word]);
        struct total *total = &a->totals[place];
        a->weights[sum->count++] = (struct node_weight){
            .thread = thread, .node = a->nodes[place], .samples = total->samples, .ns = total->ns};
        sum->samples += total->samples;
        sum->ns += total->ns;
        *total = (struct total){0};
    }
}

/* What was added for a thread of the tables, by node; nothing is left. */
static void take_weights(struct adding *a, uint32_t thread, struct block_sum *sum)
{
    for (size_t w = 0; w <= a->word_count / 64 && a->any; w++)
        for (; a->words[w] != 0; a->words[w] &= a->words[w] - 1)
            take_word(a, 64 * w + (size_t)__builtin_ctzll(a->words[w]), thread, sum);
    a->any = false;
}

/* A thread of the tables may be more than one of the document. */
static enum err sum_runs(struct summing *m, struct block_sum *ret)
{
    struct adding a = {0};
    const uint32_t *threads = m->s.threads;
    uint32_t *order = NULL;
    TRY(find_intervals(m));
    TRY(begin_adding(m, &a));
    TRY(sort_keys(threads, m->s.thread_count, m->arena, &order));
    assert(order != NULL);
    for (size_t i = 0; i < m->s.thread_count; i++) {
        add_thread(m, &a, order[i], ret);
        if (i + 1 == m->s.thread_count || threads[order[i + 1]] != threads[order[i]])
            take_weights(&a, threads[order[i]], ret);
    }
    ret->weights = a.weights;
    return ERR_OK;
}

/* ---- the whole ---- */

static enum err check_ids(const struct block_samples *s, const struct segment_tables_counts *tables,
                          struct errinfo *info)
{
    for (size_t i = 0; i < s->thread_count; i++)
        if (s->threads[i] >= tables->threads)
            return err_set(info, ERR_CORRUPT, "thread %" PRIu32 " of %" PRIu32 " in the tables",
                           s->threads[i], tables->threads);
    for (size_t i = 0; i < s->stacks.count; i++)
        if (s->stacks.leaves[i] != PROFILE_NONE && s->stacks.leaves[i] >= tables->nodes)
            return err_set(info, ERR_CORRUPT, "node %" PRIu32 " of %" PRIu32 " in the tables",
                           s->stacks.leaves[i], tables->nodes);
    return ERR_OK;
}

enum err segment_block_sum(struct bytes block, enum profile_kind kind,
                           const struct segment_tables_counts *tables, struct arena *arena,
                           struct block_sum *ret, struct errinfo *info)
{
    struct summing m = {.arena = arena};
    struct block_sum sum = {0};
    if (block.len == 0 || block.data[0] != FORMAT_BLOCK_SHARED)
        return err_set(info, ERR_CORRUPT, "block: none that can be summed");
    struct bits_reader r = {.in = bytes_from(block, 1)};
    TRY(block_samples_get(&r, kind, arena, &m.s, info));
    TRY(check_ids(&m.s, tables, info));
    m.clock = (struct profile){.kind = kind,
                               .timestamp_ns = m.s.timestamp_ns,
                               .sample_time = m.s.grid.times,
                               .sample_count = m.s.grid.tick_count};
    enum err rc = sum_runs(&m, &sum);
    if (rc != ERR_OK)
        return err_set(info, rc, "block: no room to sum it");
    *ret = sum;
    return ERR_OK;
}
