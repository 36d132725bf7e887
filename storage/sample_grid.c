#include "storage/sample_grid.h"

#include <assert.h>

#include "base/hash.h"
#include "base/limits.h"
#include "storage/column.h"
#include "storage/number_list.h"
#include "storage/tick_times.h"

/* Orders of the Golomb codes of single counts: about what recorded profiles have. */
#define TICKS_ORDER    4
#define THREADS_ORDER  2
#define PATTERNS_ORDER 2
#define SPANS_ORDER    3

static enum err no_room(const struct arena *arena)
{
    return arena->failed == ERR_OK ? ERR_NOMEM : arena->failed;
}

/* ---- from samples ---- */

/* Where ticks begin in the samples; one more: their number. */
static const uint32_t *find_ticks(const struct profile *p, struct arena *arena, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < p->sample_count; i++)
        count += i == 0 || p->sample_time[i] != p->sample_time[i - 1];
    uint32_t *first = ARENA_ARRAY(arena, count + 1, uint32_t);
    if (first == NULL)
        return NULL;
    size_t tick = 0;
    for (size_t i = 0; i < p->sample_count; i++)
        if (i == 0 || p->sample_time[i] != p->sample_time[i - 1])
            first[tick++] = (uint32_t)i;
    first[count] = (uint32_t)p->sample_count;
    *ret_count = count;
    return first;
}

struct finding {
    const struct profile *p;
    const uint32_t *first; /* of each tick: its first sample; one more: their number */
    uint32_t *of_tick;     /* pattern of each tick */
    uint32_t *shown_by;    /* of each pattern: a tick that has it */
    size_t pattern_count;
};

static struct bytes tick_threads(const struct finding *f, size_t tick)
{
    size_t count = f->first[tick + 1] - f->first[tick];
    return bytes_of(f->p->sample_thread + f->first[tick], count * sizeof(uint32_t));
}

static enum err find_patterns(struct finding *f, size_t tick_count, struct arena *arena)
{
    size_t slot_count = 4;
    while (slot_count < tick_count * 2)
        slot_count *= 2;
    uint32_t *slots = ARENA_ARRAY(arena, slot_count, uint32_t); /* pattern + 1, 0 free */
    f->of_tick = ARENA_ARRAY(arena, tick_count, uint32_t);
    f->shown_by = ARENA_ARRAY(arena, tick_count, uint32_t);
    if (slots == NULL || f->of_tick == NULL || f->shown_by == NULL)
        return no_room(arena);
    memset(slots, 0, slot_count * sizeof *slots);
    uint64_t seed = hash_seed();
    for (size_t tick = 0; tick < tick_count; tick++) {
        struct bytes threads = tick_threads(f, tick);
        if (tick > 0 && bytes_equal(threads, tick_threads(f, tick - 1))) { /* mostly */
            f->of_tick[tick] = f->of_tick[tick - 1];
            continue;
        }
        size_t at = (size_t)hash_bytes(threads, seed) & (slot_count - 1);
        while (slots[at] != 0 && !bytes_equal(threads, tick_threads(f, f->shown_by[slots[at] - 1])))
            at = (at + 1) & (slot_count - 1);
        if (slots[at] == 0) {
            f->shown_by[f->pattern_count++] = (uint32_t)tick;
            slots[at] = (uint32_t)f->pattern_count;
        }
        f->of_tick[tick] = slots[at] - 1;
    }
    return ERR_OK;
}

static enum err lay_out_patterns(const struct finding *f, struct arena *arena,
                                 struct sample_grid *ret)
{
    size_t total = 0;
    for (size_t i = 0; i < f->pattern_count; i++)
        total += tick_threads(f, f->shown_by[i]).len / sizeof(uint32_t);
    uint32_t *first = ARENA_ARRAY(arena, f->pattern_count + 1, uint32_t);
    uint32_t *threads = ARENA_ARRAY(arena, total, uint32_t);
    if (first == NULL || threads == NULL)
        return no_room(arena);
    first[0] = 0;
    for (size_t i = 0; i < f->pattern_count; i++) {
        struct bytes from = tick_threads(f, f->shown_by[i]);
        memcpy(threads + first[i], from.data, from.len);
        first[i + 1] = first[i] + (uint32_t)(from.len / sizeof(uint32_t));
    }
    ret->pattern_count = f->pattern_count;
    ret->pattern_first = first;
    ret->pattern_threads = threads;
    return ERR_OK;
}

static enum err lay_out_spans(const uint32_t *of_tick, struct arena *arena, struct sample_grid *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < ret->tick_count; i++)
        count += i == 0 || of_tick[i] != of_tick[i - 1];
    struct tick_span *spans = ARENA_ARRAY(arena, count, struct tick_span);
    if (spans == NULL)
        return no_room(arena);
    size_t span = 0;
    for (size_t i = 0; i < ret->tick_count; i++) {
        if (i == 0 || of_tick[i] != of_tick[i - 1])
            spans[span++] = (struct tick_span){.pattern = of_tick[i]};
        spans[span - 1].ticks++;
    }
    ret->span_count = count;
    ret->spans = spans;
    return ERR_OK;
}

static enum err lay_out_times(const struct finding *f, struct arena *arena, struct sample_grid *ret)
{
    uint64_t *times = ARENA_ARRAY(arena, ret->tick_count, uint64_t);
    if (times == NULL)
        return no_room(arena);
    for (size_t i = 0; i < ret->tick_count; i++)
        times[i] = f->p->sample_time[f->first[i]];
    ret->times = times;
    return ERR_OK;
}

/* False when there are more than the limit. */
static bool count_samples(const struct sample_grid *g, uint32_t *thread_samples, size_t *ret)
{
    size_t total = 0;
    memset(thread_samples, 0, g->thread_count * sizeof *thread_samples);
    for (size_t i = 0; i < g->span_count; i++) {
        const struct tick_span *span = &g->spans[i];
        total += (size_t)span->ticks * sample_grid_pattern_size(g, span->pattern);
        if (total > SAMPLE_COUNT_MAX)
            return false;
        for (size_t k = g->pattern_first[span->pattern]; k < g->pattern_first[span->pattern + 1];
             k++)
            thread_samples[g->pattern_threads[k]] += span->ticks;
    }
    *ret = total;
    return true;
}

enum err sample_grid_find(const struct profile *p, struct arena *arena, struct sample_grid *ret)
{
    struct finding f = {.p = p};
    *ret = (struct sample_grid){0};
    f.first = find_ticks(p, arena, &ret->tick_count);
    if (f.first == NULL)
        return no_room(arena);
    for (size_t i = 0; i < p->sample_count; i++)
        if (p->sample_thread[i] >= ret->thread_count)
            ret->thread_count = (size_t)p->sample_thread[i] + 1;
    TRY(find_patterns(&f, ret->tick_count, arena));
    TRY(lay_out_patterns(&f, arena, ret));
    TRY(lay_out_spans(f.of_tick, arena, ret));
    TRY(lay_out_times(&f, arena, ret));
    uint32_t *thread_samples = ARENA_ARRAY(arena, ret->thread_count, uint32_t);
    if (thread_samples == NULL)
        return no_room(arena);
    ret->thread_samples = thread_samples;
    return count_samples(ret, thread_samples, &ret->sample_count) ? ERR_OK : ERR_LIMIT;
}

/* ---- writing ---- */

/* One pattern, all threads as they are numbered. */
static bool is_regular(const struct sample_grid *g)
{
    if (g->pattern_count != 1 || g->pattern_first[1] != g->thread_count)
        return false;
    for (uint32_t t = 0; t < g->thread_count; t++)
        if (g->pattern_threads[t] != t)
            return false;
    return true;
}

/* Threads of a pattern mostly ascend by one: how far each is from that. */
static void put_patterns(struct bits_writer *w, const struct sample_grid *g, uint64_t *codes)
{
    for (size_t i = 0; i < g->pattern_count; i++)
        codes[i] = sample_grid_pattern_size(g, (uint32_t)i) - 1;
    bits_put_golomb(w, g->pattern_count - 1, PATTERNS_ORDER);
    number_list_put(w, NUMBERS_PLAIN, codes, g->pattern_count);
    for (size_t i = 0; i < g->pattern_count; i++) {
        int64_t before = -1;
        for (size_t k = g->pattern_first[i]; k < g->pattern_first[i + 1]; k++) {
            codes[k] = zigzag_encode((int64_t)g->pattern_threads[k] - before - 1);
            before = g->pattern_threads[k];
        }
    }
    number_list_put(w, NUMBERS_PLAIN, codes, g->pattern_first[g->pattern_count]);
}

static void put_spans(struct bits_writer *w, const struct sample_grid *g, uint64_t *codes)
{
    struct column_rising rising = {0};
    for (size_t i = 0; i < g->span_count; i++)
        codes[i] = column_rising_code(&rising, g->spans[i].pattern);
    bits_put_golomb(w, g->span_count - 1, SPANS_ORDER);
    number_list_put(w, NUMBERS_PLAIN, codes, g->span_count);
    for (size_t i = 0; i < g->span_count; i++)
        codes[i] = g->spans[i].ticks - 1;
    number_list_put(w, NUMBERS_PLAIN, codes, g->span_count);
}

enum err sample_grid_put(struct bits_writer *w, enum profile_kind kind,
                         const struct sample_grid *grid, struct arena *scratch)
{
    bits_put_golomb(w, grid->tick_count, TICKS_ORDER);
    if (grid->tick_count == 0)
        return ERR_OK;
    TRY(tick_times_put(w, kind, grid->times, grid->tick_count, scratch));
    bits_put_golomb(w, grid->thread_count - 1, THREADS_ORDER);
    bool regular = is_regular(grid);
    bits_put(w, regular, 1);
    if (regular)
        return ERR_OK;
    size_t most = grid->pattern_first[grid->pattern_count]; /* not fewer than patterns */
    most = most > grid->span_count ? most : grid->span_count;
    uint64_t *codes = ARENA_ARRAY(scratch, most, uint64_t);
    if (codes == NULL)
        return no_room(scratch);
    put_patterns(w, grid, codes);
    put_spans(w, grid, codes);
    return ERR_OK;
}

/* ---- reading ---- */

/* A count of items that take at least a bit each. */
static size_t get_count(struct bits_reader *r, unsigned order, uint64_t least)
{
    uint64_t more = bits_get_golomb(r, order);
    if (more > UINT32_MAX || more + least > bits_left(r))
        r->failed = true;
    return r->failed ? 0 : (size_t)(more + least);
}

static void get_pattern_sizes(struct bits_reader *r, struct arena *arena, struct sample_grid *ret)
{
    size_t count = get_count(r, PATTERNS_ORDER, 1);
    uint32_t *first = ARENA_ARRAY(arena, count + 1, uint32_t);
    if (first == NULL)
        return;
    number_list_get32(r, first, count);
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t size = (uint64_t)first[i] + 1;
        first[i] = (uint32_t)total;
        total += size;
        if (total > bits_left(r)) {
            r->failed = true;
            return;
        }
    }
    first[count] = (uint32_t)total;
    ret->pattern_count = count;
    ret->pattern_first = first;
}

static void get_pattern_threads(struct bits_reader *r, struct arena *arena, struct sample_grid *ret)
{
    size_t total = ret->pattern_first[ret->pattern_count];
    uint32_t *threads = ARENA_ARRAY(arena, total, uint32_t);
    if (threads == NULL)
        return;
    number_list_get32(r, threads, total);
    for (size_t i = 0; i < ret->pattern_count; i++) {
        int64_t thread = -1;
        for (size_t k = ret->pattern_first[i]; k < ret->pattern_first[i + 1]; k++) {
            thread += 1 + zigzag_decode(threads[k]);
            if (thread < 0 || thread >= (int64_t)ret->thread_count) {
                r->failed = true;
                return;
            }
            threads[k] = (uint32_t)thread;
        }
    }
    ret->pattern_threads = threads;
}

static void get_spans(struct bits_reader *r, struct arena *arena, struct sample_grid *ret)
{
    size_t count = get_count(r, SPANS_ORDER, 1);
    struct tick_span *spans = ARENA_ARRAY(arena, count, struct tick_span);
    uint32_t *codes = ARENA_ARRAY(arena, count, uint32_t);
    if (spans == NULL || codes == NULL)
        return;
    struct column_rising rising = {0};
    uint64_t ticks = 0;
    number_list_get32(r, codes, count);
    for (size_t i = 0; i < count; i++)
        if (!column_rising_id(&rising, codes[i], &spans[i].pattern) ||
            spans[i].pattern >= ret->pattern_count)
            r->failed = true;
    number_list_get32(r, codes, count);
    for (size_t i = 0; i < count; i++) {
        spans[i].ticks = codes[i] + 1;
        ticks += spans[i].ticks;
        r->failed |= codes[i] == UINT32_MAX;
    }
    if (ticks != ret->tick_count)
        r->failed = true;
    ret->span_count = count;
    ret->spans = spans;
}

static void make_regular(struct arena *arena, struct sample_grid *ret)
{
    uint32_t *first = ARENA_ARRAY(arena, 2, uint32_t);
    uint32_t *threads = ARENA_ARRAY(arena, ret->thread_count, uint32_t);
    struct tick_span *span = ARENA_NEW(arena, struct tick_span);
    if (first == NULL || threads == NULL || span == NULL)
        return;
    first[0] = 0;
    first[1] = (uint32_t)ret->thread_count;
    for (uint32_t t = 0; t < ret->thread_count; t++)
        threads[t] = t;
    *span = (struct tick_span){.ticks = (uint32_t)ret->tick_count};
    ret->pattern_count = 1;
    ret->pattern_first = first;
    ret->pattern_threads = threads;
    ret->span_count = 1;
    ret->spans = span;
}

static void get_patterns(struct bits_reader *r, struct arena *arena, struct sample_grid *ret)
{
    if (bits_get(r, 1) != 0) {
        make_regular(arena, ret);
        return;
    }
    get_pattern_sizes(r, arena, ret);
    if (!r->failed && arena->failed == ERR_OK)
        get_pattern_threads(r, arena, ret);
    if (!r->failed && arena->failed == ERR_OK)
        get_spans(r, arena, ret);
}

static enum err finish(const struct bits_reader *r, struct arena *arena, struct sample_grid *ret,
                       struct errinfo *info)
{
    uint32_t *thread_samples = ARENA_ARRAY(arena, ret->thread_count, uint32_t);
    if (arena->failed != ERR_OK)
        return err_set(info, arena->failed, "block: no room for its ticks");
    if (r->failed)
        return err_set(info, ERR_CORRUPT, "block: ticks are cut short or out of range");
    assert(thread_samples != NULL);
    ret->thread_samples = thread_samples;
    if (!count_samples(ret, thread_samples, &ret->sample_count))
        return err_set(info, ERR_CORRUPT, "block: more than %zu samples", SAMPLE_COUNT_MAX);
    return ERR_OK;
}

enum err sample_grid_get(struct bits_reader *r, enum profile_kind kind, size_t thread_limit,
                         struct arena *arena, struct sample_grid *ret, struct errinfo *info)
{
    static const uint32_t no_pattern[1];
    *ret = (struct sample_grid){.pattern_first = no_pattern};
    ret->tick_count = get_count(r, TICKS_ORDER, 0);
    if (ret->tick_count == 0)
        return finish(r, arena, ret, info);
    uint64_t *times = ARENA_ARRAY(arena, ret->tick_count, uint64_t);
    if (times != NULL)
        tick_times_get(r, kind, times, ret->tick_count, arena);
    ret->times = times;
    uint64_t last_thread = bits_get_golomb(r, THREADS_ORDER);
    if (last_thread >= thread_limit)
        r->failed = true;
    else
        ret->thread_count = (size_t)last_thread + 1;
    if (!r->failed && arena->failed == ERR_OK)
        get_patterns(r, arena, ret);
    if (r->failed)
        ret->thread_count = 0;
    return finish(r, arena, ret, info);
}
