/* profile_block.c - the columns of a block, in the order in which they are written:
 *
 *   head, strings, frames, frame list, trie, stacks, threads, times, thread patterns, stacks of
 *   samples, queues, idle marks
 *
 * Samples come in ticks: neighbours in document order with one time. The threads of a tick are a
 * pattern, and few patterns make up most profiles (one thread; all threads of a process). Stacks
 * are kept per thread as runs of equal ones, because a waiting thread shows the same stack for
 * thousands of ticks. Threads, patterns and runs together give back the exact document order.
 */
#include "storage/profile_block.h"

#include <assert.h>
#include <inttypes.h>

#include "base/hash.h"
#include "base/limits.h"
#include "storage/column.h"
#include "storage/format.h"

#define FRAME_FIELDS  (sizeof(struct profile_frame) / sizeof(uint32_t))
#define THREAD_FIELDS (sizeof(struct profile_thread) / sizeof(uint32_t))

static_assert(sizeof(struct profile_frame) == 11 * sizeof(uint32_t), "11 columns");
static_assert(sizeof(struct profile_thread) == 4 * sizeof(uint32_t), "4 columns");

/* Which optional sample columns a block has. */
enum { HAS_QUEUE = 1, HAS_IDLE = 2 };

#define TICKS_A_SECOND 4194304.0 /* 2^22 */
#define TICKS_EXACT    9007199254740992.0

static enum err no_room(const struct arena *arena)
{
    return arena->failed == ERR_OK ? ERR_NOMEM : arena->failed;
}

/* ---- head ---- */

static void put_head(struct buffer *out, const struct profile *p)
{
    const uint32_t ids[] = {p->version, p->platform, p->environment, p->release,
                            p->dist,    p->sdk_name, p->sdk_version};
    buffer_put_u8(out, FORMAT_BLOCK_VERSION);
    buffer_put_varint(out, p->flags);
    column_put_plain(out, ids, 1, sizeof ids / sizeof ids[0]);
    if (p->kind == PROFILE_TRANSACTION) {
        const uint32_t more[] = {p->timestamp_text, p->transaction, p->active_thread,
                                 p->segment_id};
        buffer_put_u64(out, (uint64_t)p->timestamp_ns);
        column_put_plain(out, more, 1, sizeof more / sizeof more[0]);
    }
    buffer_put_varint(out, p->rest.len);
    buffer_put(out, p->rest);
}

static enum err get_head(struct reader *r, struct profile *p, struct errinfo *info)
{
    uint8_t version = reader_u8(r);
    if (!r->failed && version != FORMAT_BLOCK_VERSION)
        return err_set(info, ERR_UNSUPPORTED, "block: version %u, expected %d", version,
                       FORMAT_BLOCK_VERSION);
    column_get_plain(r, &p->flags, 1, 1);
    uint32_t ids[7];
    column_get_plain(r, ids, 1, 7);
    p->version = ids[0];
    p->platform = ids[1];
    p->environment = ids[2];
    p->release = ids[3];
    p->dist = ids[4];
    p->sdk_name = ids[5];
    p->sdk_version = ids[6];
    p->timestamp_ns = 0;
    uint32_t more[4] = {0};
    if (p->kind == PROFILE_TRANSACTION) {
        p->timestamp_ns = (int64_t)reader_u64(r);
        column_get_plain(r, more, 1, 4);
    }
    p->timestamp_text = more[0];
    p->transaction = more[1];
    p->active_thread = more[2];
    p->segment_id = more[3];
    uint64_t rest_size = reader_varint(r);
    if (rest_size > reader_left(r))
        r->failed = true;
    p->rest = reader_take(r, r->failed ? 0 : (size_t)rest_size);
    return ERR_OK;
}

/* ---- tables ---- */

static void put_strings(struct buffer *out, const struct profile *p)
{
    buffer_put_varint(out, p->string_count);
    for (size_t i = 0; i < p->string_count; i++)
        buffer_put_varint(out, p->strings[i].len);
    for (size_t i = 0; i < p->string_count; i++)
        buffer_put(out, p->strings[i]);
}

static void put_tables(struct buffer *out, const struct profile *p)
{
    const uint32_t *fields = (const uint32_t *)p->frames;
    buffer_put_varint(out, p->frame_count);
    for (size_t k = 0; k < FRAME_FIELDS && p->frame_count > 0; k++)
        column_put_rising(out, fields + k, FRAME_FIELDS, p->frame_count);
    buffer_put_varint(out, p->frame_list_count);
    column_put_rising(out, p->frame_list, 1, p->frame_list_count);
    buffer_put_varint(out, p->node_count);
    for (size_t i = 0; i < p->node_count; i++) /* distance to the parent, 0 for a root */
        buffer_put_varint(out, p->node_parent[i] == PROFILE_NONE ? 0 : i - p->node_parent[i]);
    column_put_rising(out, p->node_frame, 1, p->node_count);
    buffer_put_varint(out, p->stack_count);
    uint32_t before = 0;
    for (size_t i = 0; i < p->stack_count; i++) { /* 0: an empty stack */
        uint32_t leaf = p->stacks[i];
        if (leaf == PROFILE_NONE) {
            buffer_put_varint(out, 0);
            continue;
        }
        buffer_put_varint(out, 1 + zigzag_encode((int64_t)leaf - (int64_t)before));
        before = leaf;
    }
    fields = (const uint32_t *)p->threads;
    buffer_put_varint(out, p->thread_count);
    for (size_t k = 0; k < THREAD_FIELDS && p->thread_count > 0; k++)
        column_put_rising(out, fields + k, THREAD_FIELDS, p->thread_count);
}

/* A count of items that take at least `least` bytes each; 0 and failed when they cannot be there. */
static size_t get_count(struct reader *r, size_t least)
{
    uint64_t count = reader_varint(r);
    if (count > reader_left(r) / least)
        r->failed = true;
    return r->failed ? 0 : (size_t)count;
}

static uint32_t *take_u32s(struct arena *arena, size_t count)
{
    return ARENA_ARRAY(arena, count, uint32_t);
}

static void get_strings(struct reader *r, struct arena *arena, struct profile *p)
{
    size_t count = get_count(r, 1);
    struct bytes *strings = ARENA_ARRAY(arena, count, struct bytes);
    if (strings == NULL)
        return;
    struct reader lengths = *r;
    for (size_t i = 0; i < count; i++)
        (void)reader_varint(r);
    for (size_t i = 0; i < count; i++) {
        uint64_t len = reader_varint(&lengths);
        if (len > reader_left(r))
            r->failed = true;
        strings[i] = reader_take(r, r->failed ? 0 : (size_t)len);
    }
    p->strings = strings;
    p->string_count = count;
}

static void get_frames(struct reader *r, struct arena *arena, struct profile *p)
{
    p->frame_count = get_count(r, FRAME_FIELDS);
    struct profile_frame *frames = ARENA_ARRAY(arena, p->frame_count, struct profile_frame);
    if (frames == NULL)
        return;
    for (size_t k = 0; k < FRAME_FIELDS && p->frame_count > 0; k++)
        column_get_rising(r, (uint32_t *)frames + k, FRAME_FIELDS, p->frame_count);
    p->frames = frames;
    p->frame_list_count = get_count(r, 1);
    uint32_t *list = take_u32s(arena, p->frame_list_count);
    if (list != NULL)
        column_get_rising(r, list, 1, p->frame_list_count);
    p->frame_list = list;
}

static void get_trie(struct reader *r, struct arena *arena, struct profile *p)
{
    p->node_count = get_count(r, 2);
    uint32_t *parent = take_u32s(arena, p->node_count);
    uint32_t *frame = take_u32s(arena, p->node_count);
    if (parent == NULL || frame == NULL)
        return;
    for (size_t i = 0; i < p->node_count; i++) {
        uint64_t distance = reader_varint(r);
        if (distance > i)
            r->failed = true;
        parent[i] = distance == 0 ? PROFILE_NONE : (uint32_t)(i - distance);
    }
    column_get_rising(r, frame, 1, p->node_count);
    p->node_parent = parent;
    p->node_frame = frame;
}

static void get_stacks(struct reader *r, struct arena *arena, struct profile *p)
{
    p->stack_count = get_count(r, 1);
    uint32_t *stacks = take_u32s(arena, p->stack_count);
    if (stacks == NULL)
        return;
    int64_t before = 0;
    for (size_t i = 0; i < p->stack_count; i++) {
        uint64_t code = reader_varint(r);
        if (code == 0) {
            stacks[i] = PROFILE_NONE;
            continue;
        }
        if (code > UINT64_C(1) << 34) /* no difference of 32-bit numbers */
            r->failed = true;
        before += r->failed ? 0 : zigzag_decode(code - 1);
        if (before < 0 || before >= (int64_t)p->node_count)
            r->failed = true;
        stacks[i] = r->failed ? 0 : (uint32_t)before;
    }
    p->stacks = stacks;
}

static void get_threads(struct reader *r, struct arena *arena, struct profile *p)
{
    p->thread_count = get_count(r, THREAD_FIELDS);
    struct profile_thread *threads = ARENA_ARRAY(arena, p->thread_count, struct profile_thread);
    if (threads == NULL)
        return;
    for (size_t k = 0; k < THREAD_FIELDS && p->thread_count > 0; k++)
        column_get_rising(r, (uint32_t *)threads + k, THREAD_FIELDS, p->thread_count);
    p->threads = threads;
}

/* ---- times ---- */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Whether the binary64 is a whole number of ticks that gives the same bits back. */
static bool to_ticks(uint64_t bits, uint64_t *ret)
{
    double ticks;
    memcpy(&ticks, &bits, sizeof ticks);
    ticks *= TICKS_A_SECOND;
    if (!(ticks > -TICKS_EXACT && ticks < TICKS_EXACT))
        return false;
    int64_t whole = (int64_t)ticks;
    *ret = (uint64_t)whole;
    return bits_of((double)whole / TICKS_A_SECOND) == bits;
}

struct ticks {
    size_t count;
    uint32_t *first; /* sample that opens each tick; one more entry: the number of samples */
};

static enum err find_ticks(const struct profile *p, struct arena *scratch, struct ticks *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < p->sample_count; i++)
        count += i == 0 || p->sample_time[i] != p->sample_time[i - 1];
    uint32_t *first = take_u32s(scratch, count + 1);
    if (first == NULL)
        return no_room(scratch);
    size_t tick = 0;
    for (size_t i = 0; i < p->sample_count; i++) {
        if (i == 0 || p->sample_time[i] != p->sample_time[i - 1])
            first[tick++] = (uint32_t)i;
    }
    first[count] = (uint32_t)p->sample_count;
    *ret = (struct ticks){.count = count, .first = first};
    return ERR_OK;
}

static enum err put_times(struct buffer *out, const struct profile *p, const struct ticks *ticks,
                          struct arena *scratch)
{
    uint64_t *times = ARENA_ARRAY(scratch, ticks->count, uint64_t);
    if (times == NULL)
        return no_room(scratch);
    bool whole = p->kind == PROFILE_CHUNK;
    for (size_t i = 0; i < ticks->count && whole; i++)
        whole = to_ticks(p->sample_time[ticks->first[i]], &times[i]);
    for (size_t i = 0; i < ticks->count && !whole; i++)
        times[i] = p->sample_time[ticks->first[i]];
    buffer_put_varint(out, ticks->count);
    buffer_put_u8(out, whole ? FORMAT_TIME_TICKS : FORMAT_TIME_RAW);
    column_put_deltas(out, times, ticks->count);
    return ERR_OK;
}

static uint64_t *get_times(struct reader *r, struct arena *arena, size_t *ret_count)
{
    size_t count = get_count(r, 1);
    uint8_t unit = reader_u8(r);
    if (unit > FORMAT_TIME_TICKS)
        r->failed = true;
    uint64_t *times = ARENA_ARRAY(arena, count, uint64_t);
    if (times == NULL)
        return NULL;
    column_get_deltas(r, times, count);
    for (size_t i = 0; i < count && unit == FORMAT_TIME_TICKS; i++)
        times[i] = bits_of((double)(int64_t)times[i] / TICKS_A_SECOND);
    *ret_count = count;
    return times;
}

/* ---- thread patterns ---- */

struct patterns {
    size_t count;
    uint32_t *tick;    /* of each pattern: a tick that shows it */
    uint32_t *of_tick; /* pattern of each tick */
};

static struct bytes tick_threads(const struct profile *p, const struct ticks *ticks, size_t tick)
{
    size_t first = ticks->first[tick];
    size_t count = ticks->first[tick + 1] - first;
    return bytes_of(p->sample_thread + first, count * sizeof(uint32_t));
}

static enum err find_patterns(const struct profile *p, const struct ticks *ticks,
                              struct arena *scratch, struct patterns *ret)
{
    size_t slot_count = 4;
    while (slot_count < ticks->count * 2)
        slot_count *= 2;
    uint32_t *slots = take_u32s(scratch, slot_count); /* pattern + 1, 0 free */
    ret->tick = take_u32s(scratch, ticks->count);
    ret->of_tick = take_u32s(scratch, ticks->count);
    if (slots == NULL || ret->tick == NULL || ret->of_tick == NULL)
        return no_room(scratch);
    memset(slots, 0, slot_count * sizeof *slots);
    uint64_t seed = hash_seed();
    ret->count = 0;
    for (size_t tick = 0; tick < ticks->count; tick++) {
        struct bytes threads = tick_threads(p, ticks, tick);
        size_t at = (size_t)hash_bytes(threads, seed) & (slot_count - 1);
        while (slots[at] != 0 &&
               !bytes_equal(threads, tick_threads(p, ticks, ret->tick[slots[at] - 1])))
            at = (at + 1) & (slot_count - 1);
        if (slots[at] == 0) {
            ret->tick[ret->count++] = (uint32_t)tick;
            slots[at] = (uint32_t)ret->count;
        }
        ret->of_tick[tick] = slots[at] - 1;
    }
    return ERR_OK;
}

static enum err put_patterns(struct buffer *out, const struct profile *p, const struct ticks *ticks,
                             struct arena *scratch)
{
    struct patterns patterns = {0};
    TRY(find_patterns(p, ticks, scratch, &patterns));
    buffer_put_varint(out, patterns.count);
    for (size_t i = 0; i < patterns.count; i++)
        buffer_put_varint(out, tick_threads(p, ticks, patterns.tick[i]).len / sizeof(uint32_t));
    for (size_t i = 0; i < patterns.count; i++) {
        size_t first = ticks->first[patterns.tick[i]];
        size_t end = ticks->first[patterns.tick[i] + 1];
        column_put_plain(out, p->sample_thread + first, 1, end - first);
    }
    column_put_runs(out, patterns.of_tick, ticks->count);
    return ERR_OK;
}

/* What a reader knows of the samples before it lays them out. */
struct tick_table {
    size_t tick_count;
    const uint64_t *times;
    size_t pattern_count;
    const uint32_t *pattern_first; /* into thread; one more entry: the end */
    const uint32_t *thread;
    const uint32_t *pattern; /* of each tick */
};

static void get_patterns(struct reader *r, struct arena *arena, struct tick_table *t)
{
    size_t count = get_count(r, 1);
    uint32_t *first = take_u32s(arena, count + 1);
    uint32_t *pattern = take_u32s(arena, t->tick_count);
    if (first == NULL || pattern == NULL)
        return;
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t len = reader_varint(r);
        if (len == 0 || len > reader_left(r) || total + len > reader_left(r))
            r->failed = true;
        first[i] = (uint32_t)total;
        total += r->failed ? 0 : (size_t)len;
    }
    first[count] = (uint32_t)total;
    uint32_t *thread = take_u32s(arena, total);
    if (thread == NULL)
        return;
    column_get_plain(r, thread, 1, total);
    column_get_runs(r, pattern, t->tick_count);
    for (size_t i = 0; i < t->tick_count && !r->failed; i++) {
        if (pattern[i] >= count)
            r->failed = true;
    }
    t->pattern_count = count;
    t->pattern_first = first;
    t->thread = thread;
    t->pattern = pattern;
}

/* The sum of what the ticks hold; false when it is over the limit. */
static bool count_samples(const struct tick_table *t, size_t *ret)
{
    size_t total = 0;
    for (size_t i = 0; i < t->tick_count; i++) {
        uint32_t pattern = t->pattern[i];
        total += t->pattern_first[pattern + 1] - t->pattern_first[pattern];
        if (total > SAMPLE_COUNT_MAX)
            return false;
    }
    *ret = total;
    return true;
}

static enum err lay_out_samples(const struct tick_table *t, struct arena *arena, struct profile *p,
                                struct errinfo *info)
{
    size_t count = 0;
    if (!count_samples(t, &count))
        return err_set(info, ERR_CORRUPT, "block: more than %zu samples", SAMPLE_COUNT_MAX);
    uint64_t *time = ARENA_ARRAY(arena, count, uint64_t);
    uint32_t *thread = take_u32s(arena, count);
    if (time == NULL || thread == NULL)
        return err_set(info, arena->failed, "block: no room for %zu samples", count);
    size_t at = 0;
    for (size_t tick = 0; tick < t->tick_count; tick++) {
        size_t from = t->pattern_first[t->pattern[tick]];
        size_t end = t->pattern_first[t->pattern[tick] + 1];
        for (; from < end; from++, at++) {
            time[at] = t->times[tick];
            thread[at] = t->thread[from];
            if (thread[at] >= p->thread_count)
                return err_set(info, ERR_CORRUPT, "block: thread %" PRIu32 " of %zu", thread[at],
                               p->thread_count);
        }
    }
    p->sample_time = time;
    p->sample_thread = thread;
    p->sample_count = count;
    return ERR_OK;
}

/* ---- stacks of samples ---- */

/* Runs of equal stacks, thread after thread. The codes rise in document order over all threads. */
struct stack_runs {
    size_t count;
    uint64_t *code;
    uint32_t *more; /* samples after the first of the run */
};

struct thread_cursor {
    size_t run; /* next run of the thread */
    uint32_t stack;
    uint32_t left; /* reading: samples of the current run yet to come */
    bool open;
};

static struct thread_cursor *take_cursors(struct arena *scratch, size_t count)
{
    struct thread_cursor *cursors = ARENA_ARRAY(scratch, count, struct thread_cursor);
    if (cursors != NULL && count > 0)
        memset(cursors, 0, count * sizeof *cursors);
    return cursors;
}

static bool opens_run(struct thread_cursor *c, uint32_t stack)
{
    bool opens = !c->open || c->stack != stack;
    c->open = true;
    c->stack = stack;
    return opens;
}

/* Count the runs of each thread, then set every cursor to the thread's first run. */
static size_t place_runs(const struct profile *p, struct thread_cursor *cursors)
{
    for (size_t i = 0; i < p->sample_count; i++) {
        struct thread_cursor *c = &cursors[p->sample_thread[i]];
        c->run += opens_run(c, p->sample_stack[i]);
    }
    size_t total = 0;
    for (size_t t = 0; t < p->thread_count; t++) {
        size_t run_count = cursors[t].run;
        cursors[t] = (struct thread_cursor){.run = total};
        total += run_count;
    }
    return total;
}

static enum err find_stack_runs(const struct profile *p, struct arena *scratch,
                                struct stack_runs *ret)
{
    struct thread_cursor *cursors = take_cursors(scratch, p->thread_count);
    if (cursors == NULL)
        return no_room(scratch);
    ret->count = place_runs(p, cursors);
    ret->code = ARENA_ARRAY(scratch, ret->count, uint64_t);
    ret->more = take_u32s(scratch, ret->count);
    if (ret->code == NULL || ret->more == NULL)
        return no_room(scratch);
    struct column_rising rising = {0};
    for (size_t i = 0; i < p->sample_count; i++) {
        struct thread_cursor *c = &cursors[p->sample_thread[i]];
        if (opens_run(c, p->sample_stack[i])) {
            ret->code[c->run] = column_rising_code(&rising, p->sample_stack[i]);
            ret->more[c->run] = 0;
            c->run++;
        } else {
            ret->more[c->run - 1]++;
        }
    }
    return ERR_OK;
}

static enum err put_sample_stacks(struct buffer *out, const struct profile *p,
                                  struct arena *scratch)
{
    struct stack_runs runs = {0};
    TRY(find_stack_runs(p, scratch, &runs));
    buffer_put_varint(out, runs.count);
    for (size_t i = 0; i < runs.count; i++)
        buffer_put_varint(out, runs.code[i]);
    column_put_plain(out, runs.more, 1, runs.count);
    return ERR_OK;
}

static void get_stack_runs(struct reader *r, struct arena *arena, struct stack_runs *ret)
{
    ret->count = get_count(r, 2);
    ret->code = ARENA_ARRAY(arena, ret->count, uint64_t);
    ret->more = take_u32s(arena, ret->count);
    if (ret->code == NULL || ret->more == NULL)
        return;
    for (size_t i = 0; i < ret->count; i++)
        ret->code[i] = reader_varint(r);
    column_get_plain(r, ret->more, 1, ret->count);
}

/* Set every cursor to the first run of its thread: runs must fill each thread exactly. */
static bool share_out_runs(const struct profile *p, const struct stack_runs *runs,
                           struct thread_cursor *cursors)
{
    for (size_t i = 0; i < p->sample_count; i++)
        cursors[p->sample_thread[i]].left++;
    size_t run = 0;
    for (size_t t = 0; t < p->thread_count; t++) {
        uint32_t left = cursors[t].left;
        cursors[t] = (struct thread_cursor){.run = run};
        for (; left > 0; run++) {
            if (run == runs->count || runs->more[run] >= left)
                return false;
            left -= runs->more[run] + 1;
        }
    }
    return run == runs->count;
}

static enum err lay_out_stacks(const struct stack_runs *runs, struct arena *arena,
                               struct profile *p, struct errinfo *info)
{
    struct thread_cursor *cursors = take_cursors(arena, p->thread_count);
    uint32_t *stack = take_u32s(arena, p->sample_count);
    if (cursors == NULL || stack == NULL)
        return err_set(info, arena->failed, "block: no room for %zu samples", p->sample_count);
    if (!share_out_runs(p, runs, cursors))
        return err_set(info, ERR_CORRUPT, "block: runs of stacks do not fill the threads");
    struct column_rising rising = {0};
    for (size_t i = 0; i < p->sample_count; i++) {
        struct thread_cursor *c = &cursors[p->sample_thread[i]];
        if (c->left == 0) {
            if (!column_rising_id(&rising, runs->code[c->run], &c->stack))
                return err_set(info, ERR_CORRUPT, "block: stack of sample %zu is no id", i);
            c->left = runs->more[c->run++] + 1;
        }
        c->left--;
        stack[i] = c->stack;
    }
    p->sample_stack = stack;
    return ERR_OK;
}

/* ---- samples ---- */

/* Each column's scratch memory goes before the next one's comes: the largest profile that is
 * admitted has to fit together with its document. */
static enum err put_ticks(struct buffer *out, const struct profile *p, struct arena *kept,
                          struct arena *scratch)
{
    struct ticks ticks = {0};
    TRY(find_ticks(p, kept, &ticks));
    TRY(put_times(out, p, &ticks, scratch));
    arena_close(scratch);
    TRY(put_patterns(out, p, &ticks, scratch));
    arena_close(scratch);
    return ERR_OK;
}

static enum err put_samples(struct buffer *out, const struct profile *p, struct arena *kept,
                            struct arena *scratch)
{
    TRY(put_ticks(out, p, kept, scratch));
    arena_close(kept);
    TRY(put_sample_stacks(out, p, scratch));
    buffer_put_u8(out, (uint8_t)((p->sample_queue != NULL ? HAS_QUEUE : 0) |
                                 (p->sample_idle != NULL ? HAS_IDLE : 0)));
    if (p->sample_queue != NULL)
        column_put_runs(out, p->sample_queue, p->sample_count);
    if (p->sample_idle != NULL)
        buffer_put(out, bytes_of(p->sample_idle, p->sample_count));
    return ERR_OK;
}

static void get_optional(struct reader *r, struct arena *arena, struct profile *p)
{
    uint8_t has = reader_u8(r);
    if (has > (HAS_QUEUE | HAS_IDLE))
        r->failed = true;
    p->sample_queue = NULL;
    p->sample_idle = NULL;
    if ((has & HAS_QUEUE) != 0) {
        uint32_t *queue = take_u32s(arena, p->sample_count);
        if (queue == NULL)
            return;
        column_get_runs(r, queue, p->sample_count);
        p->sample_queue = queue;
    }
    if ((has & HAS_IDLE) != 0)
        p->sample_idle = reader_take(r, p->sample_count).data;
}

static enum err cut_short(struct errinfo *info, const struct arena *arena, const char *part)
{
    if (arena->failed != ERR_OK)
        return err_set(info, arena->failed, "block: no room for its %s", part);
    return err_set(info, ERR_CORRUPT, "block: %s are cut short or out of range", part);
}

static enum err get_samples(struct reader *r, struct arena *arena, struct profile *p,
                            struct errinfo *info)
{
    struct tick_table table = {0};
    table.times = get_times(r, arena, &table.tick_count);
    if (!r->failed && arena->failed == ERR_OK)
        get_patterns(r, arena, &table);
    if (r->failed || arena->failed != ERR_OK || table.pattern == NULL)
        return cut_short(info, arena, "times and threads");
    TRY(lay_out_samples(&table, arena, p, info));
    struct stack_runs runs = {0};
    get_stack_runs(r, arena, &runs);
    if (r->failed || arena->failed != ERR_OK)
        return cut_short(info, arena, "sample stacks");
    TRY(lay_out_stacks(&runs, arena, p, info));
    get_optional(r, arena, p);
    if (r->failed || arena->failed != ERR_OK)
        return cut_short(info, arena, "sample marks");
    return ERR_OK;
}

/* ---- the whole ---- */

enum err profile_block_encode(const struct profile *p, struct buffer *out, struct errinfo *info)
{
    TRY(profile_check_shape(p, info));
    if (p->sample_count > SAMPLE_COUNT_MAX)
        return err_set(info, ERR_LIMIT, "block: %zu samples, at most %zu", p->sample_count,
                       SAMPLE_COUNT_MAX);
    struct arena kept;
    struct arena scratch;
    arena_init(&kept, PAGE_RAW_MAX, out->account);
    arena_init(&scratch, PAGE_RAW_MAX, out->account);
    put_head(out, p);
    put_strings(out, p);
    put_tables(out, p);
    enum err rc = put_samples(out, p, &kept, &scratch);
    arena_close(&scratch);
    arena_close(&kept);
    if (rc == ERR_OK)
        rc = out->failed;
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "block: no room to encode");
}

enum err profile_block_decode(struct bytes raw, struct arena *arena, struct profile *p,
                              struct errinfo *info)
{
    struct reader r = reader_of(raw);
    TRY(get_head(&r, p, info));
    get_strings(&r, arena, p);
    get_frames(&r, arena, p);
    get_trie(&r, arena, p);
    get_stacks(&r, arena, p);
    get_threads(&r, arena, p);
    if (r.failed || arena->failed != ERR_OK)
        return cut_short(info, arena, "tables");
    TRY(get_samples(&r, arena, p, info));
    if (reader_left(&r) > 0)
        return err_set(info, ERR_CORRUPT, "block: %zu bytes beyond its end", reader_left(&r));
    return profile_check_shape(p, info);
}
