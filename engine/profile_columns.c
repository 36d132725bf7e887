#include "engine/profile_columns.h"

#include <assert.h>

#include "base/hash.h"

#define SLOTS_FIRST 64

static_assert(sizeof(struct profile_frame) == 11 * sizeof(uint32_t), "frames hash as bytes");

void profile_columns_init(struct profile_columns *c, struct mem_account *account)
{
    *c = (struct profile_columns){.failed = ERR_OK};
    intern_init(&c->strings, UINT32_MAX, account);
    struct buffer *all[] = {&c->frames,       &c->frame_slots, &c->frame_list,    &c->node_parent,
                            &c->node_frame,   &c->node_slots,  &c->stacks,        &c->threads,
                            &c->thread_of,    &c->sample_time, &c->sample_thread, &c->sample_stack,
                            &c->sample_queue, &c->sample_idle};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buffer_init(all[i], SIZE_MAX, account);
}

void profile_columns_close(struct profile_columns *c)
{
    intern_close(&c->strings);
    buffer_close(&c->frames);
    buffer_close(&c->frame_slots);
    buffer_close(&c->frame_list);
    buffer_close(&c->node_parent);
    buffer_close(&c->node_frame);
    buffer_close(&c->node_slots);
    buffer_close(&c->stacks);
    buffer_close(&c->threads);
    buffer_close(&c->thread_of);
    buffer_close(&c->sample_time);
    buffer_close(&c->sample_thread);
    buffer_close(&c->sample_stack);
    buffer_close(&c->sample_queue);
    buffer_close(&c->sample_idle);
}

static void fail(struct profile_columns *c, enum err rc)
{
    if (c->failed == ERR_OK)
        c->failed = rc;
}

static void put_native_u32(struct profile_columns *c, struct buffer *b, uint32_t v)
{
    buffer_put(b, bytes_of(&v, sizeof(v)));
    if (b->failed != ERR_OK)
        fail(c, b->failed);
}

static size_t u32_count(const struct buffer *b)
{
    return b->len / sizeof(uint32_t);
}

size_t profile_columns_sample_count(const struct profile_columns *c)
{
    return c->sample_time.len / sizeof(uint64_t);
}

size_t profile_columns_thread_count(const struct profile_columns *c)
{
    return c->threads.len / sizeof(struct profile_thread);
}

size_t profile_columns_stack_count(const struct profile_columns *c)
{
    return u32_count(&c->stacks);
}

size_t profile_columns_frame_count(const struct profile_columns *c)
{
    return u32_count(&c->frame_list);
}

struct profile_thread *profile_columns_threads(const struct profile_columns *c)
{
    return (struct profile_thread *)(void *)c->threads.data;
}

static struct profile_frame *frames(const struct profile_columns *c)
{
    return (struct profile_frame *)(void *)c->frames.data;
}

uint32_t profile_columns_text(struct profile_columns *c, struct bytes text)
{
    uint32_t id = 0;
    enum err rc = intern_add(&c->strings, text, &id);
    if (rc != ERR_OK)
        fail(c, rc);
    return id;
}

/* A zeroed block of `bytes` bytes at the end of `b`; false on failure. */
static bool extend_zeroed(struct profile_columns *c, struct buffer *b, size_t bytes)
{
    void *at = buffer_extend(b, bytes);
    if (at == NULL) {
        fail(c, b->failed);
        return false;
    }
    memset(at, 0, bytes);
    return true;
}

/* ---- threads ---- */

uint32_t profile_columns_thread(struct profile_columns *c, uint32_t id)
{
    size_t have = u32_count(&c->thread_of);
    if (id >= have && !extend_zeroed(c, &c->thread_of, ((size_t)id + 1 - have) * sizeof(uint32_t)))
        return 0;
    uint32_t *slot = &buffer_u32s(&c->thread_of)[id];
    if (*slot != 0)
        return *slot - 1;
    struct profile_thread thread = {.id = id};
    buffer_put(&c->threads, bytes_of(&thread, sizeof(thread)));
    if (c->threads.failed != ERR_OK) {
        fail(c, c->threads.failed);
        return 0;
    }
    *slot = (uint32_t)profile_columns_thread_count(c);
    return *slot - 1;
}

/* ---- frames and stacks: open addressing, a slot holds index + 1 ---- */

static bool grow_slots(struct profile_columns *c, struct buffer *slots, size_t used,
                       uint64_t (*hash_of)(const struct profile_columns *c, uint32_t index))
{
    size_t have = u32_count(slots);
    if (have != 0 && used < have / 4 * 3)
        return true;
    size_t wanted = have == 0 ? SLOTS_FIRST : have * 2;
    struct buffer bigger;
    buffer_init(&bigger, SIZE_MAX, slots->account);
    if (!extend_zeroed(c, &bigger, wanted * sizeof(uint32_t)))
        return false;
    uint32_t *to = buffer_u32s(&bigger);
    for (uint32_t i = 0; i < used; i++) {
        size_t at = (size_t)hash_of(c, i) & (wanted - 1);
        while (to[at] != 0)
            at = (at + 1) & (wanted - 1);
        to[at] = i + 1;
    }
    buffer_close(slots);
    *slots = bigger;
    return true;
}

static uint64_t frame_hash(const struct profile_columns *c, uint32_t index)
{
    return hash_bytes(bytes_of(&frames(c)[index], sizeof(struct profile_frame)), c->strings.seed);
}

void profile_columns_add_frame(struct profile_columns *c, const struct profile_frame *frame)
{
    size_t count = c->frames.len / sizeof(*frame);
    if (c->failed != ERR_OK || !grow_slots(c, &c->frame_slots, count, frame_hash))
        return;
    uint32_t *slots = buffer_u32s(&c->frame_slots);
    size_t mask = u32_count(&c->frame_slots) - 1;
    size_t at = (size_t)hash_bytes(bytes_of(frame, sizeof(*frame)), c->strings.seed) & mask;
    while (slots[at] != 0 && memcmp(&frames(c)[slots[at] - 1], frame, sizeof(*frame)) != 0)
        at = (at + 1) & mask;
    if (slots[at] == 0) {
        buffer_put(&c->frames, bytes_of(frame, sizeof(*frame)));
        if (c->frames.failed != ERR_OK) {
            fail(c, c->frames.failed);
            return;
        }
        slots[at] = (uint32_t)count + 1;
    }
    put_native_u32(c, &c->frame_list, slots[at] - 1);
}

static uint64_t node_hash(const struct profile_columns *c, uint32_t index)
{
    return hash_pair(buffer_u32s(&c->node_parent)[index], buffer_u32s(&c->node_frame)[index],
                     c->strings.seed);
}

static uint32_t child_node(struct profile_columns *c, uint32_t parent, uint32_t frame)
{
    size_t count = u32_count(&c->node_parent);
    if (!grow_slots(c, &c->node_slots, count, node_hash))
        return PROFILE_NONE;
    uint32_t *slots = buffer_u32s(&c->node_slots);
    const uint32_t *parents = buffer_u32s(&c->node_parent);
    const uint32_t *node_frames = buffer_u32s(&c->node_frame);
    size_t mask = u32_count(&c->node_slots) - 1;
    size_t at = (size_t)hash_pair(parent, frame, c->strings.seed) & mask;
    while (slots[at] != 0) {
        uint32_t node = slots[at] - 1;
        if (parents[node] == parent && node_frames[node] == frame)
            return node;
        at = (at + 1) & mask;
    }
    put_native_u32(c, &c->node_parent, parent);
    put_native_u32(c, &c->node_frame, frame);
    if (c->failed == ERR_OK)
        slots[at] = (uint32_t)count + 1;
    return (uint32_t)count;
}

void profile_columns_add_stack(struct profile_columns *c, const uint32_t *leaf_first, size_t count)
{
    uint32_t node = PROFILE_NONE;
    for (size_t i = count; i > 0 && c->failed == ERR_OK; i--) {
        uint32_t frame = leaf_first[i - 1];
        if (!c->frame_index_any || frame > c->frame_index_max)
            c->frame_index_max = frame;
        c->frame_index_any = true;
        node = child_node(c, node, frame);
    }
    put_native_u32(c, &c->stacks, node);
}

/* ---- samples ---- */

void profile_columns_add_sample(struct profile_columns *c, const struct profile_sample *s)
{
    if (c->failed != ERR_OK)
        return;
    size_t before = profile_columns_sample_count(c);
    if (s->queue != 0 && c->sample_queue.len == 0 && before > 0)
        (void)extend_zeroed(c, &c->sample_queue, before * sizeof(uint32_t));
    if (s->queue != 0 || c->sample_queue.len != 0)
        put_native_u32(c, &c->sample_queue, s->queue);
    if (s->idle && c->sample_idle.len == 0 && before > 0)
        (void)extend_zeroed(c, &c->sample_idle, before);
    if (s->idle || c->sample_idle.len != 0)
        buffer_put_u8(&c->sample_idle, s->idle);
    buffer_put(&c->sample_time, bytes_of(&s->time, sizeof(s->time)));
    buffer_put(&c->sample_thread, bytes_of(&s->thread, sizeof(s->thread)));
    buffer_put(&c->sample_stack, bytes_of(&s->stack, sizeof(s->stack)));
    fail(c, c->sample_idle.failed);
    fail(c, c->sample_time.failed);
    fail(c, c->sample_thread.failed);
    fail(c, c->sample_stack.failed);
}

void profile_columns_keep(struct profile_columns *c, const uint8_t *keep)
{
    size_t count = profile_columns_sample_count(c);
    uint64_t *time = buffer_u64s(&c->sample_time);
    uint32_t *thread = buffer_u32s(&c->sample_thread);
    uint32_t *stack = buffer_u32s(&c->sample_stack);
    uint32_t *queue = c->sample_queue.len == 0 ? NULL : buffer_u32s(&c->sample_queue);
    uint8_t *idle = c->sample_idle.len == 0 ? NULL : c->sample_idle.data;
    size_t to = 0;
    for (size_t i = 0; i < count; i++) {
        if (!keep[i])
            continue;
        time[to] = time[i];
        thread[to] = thread[i];
        stack[to] = stack[i];
        if (queue != NULL)
            queue[to] = queue[i];
        if (idle != NULL)
            idle[to] = idle[i];
        to++;
    }
    c->sample_time.len = to * sizeof(uint64_t);
    c->sample_thread.len = to * sizeof(uint32_t);
    c->sample_stack.len = to * sizeof(uint32_t);
    c->sample_queue.len = queue == NULL ? 0 : to * sizeof(uint32_t);
    c->sample_idle.len = idle == NULL ? 0 : to;
}

static bool is_ascending(const uint64_t *time, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (time[i] < time[i - 1])
            return false;
    return true;
}

/* One round of a bottom-up merge sort: runs of `width` from `from` into runs of twice that. */
static void merge_runs(const uint64_t *time, const uint32_t *from, uint32_t *to, size_t count,
                       size_t width)
{
    for (size_t start = 0; start < count; start += 2 * width) {
        size_t middle = start + width < count ? start + width : count;
        size_t end = start + 2 * width < count ? start + 2 * width : count;
        size_t a = start;
        size_t b = middle;
        for (size_t i = start; i < end; i++) {
            bool left = b == end || (a < middle && time[from[a]] <= time[from[b]]);
            to[i] = left ? from[a++] : from[b++];
        }
    }
}

static void permute_u32(struct buffer *column, const uint32_t *order, size_t count, uint32_t *spare)
{
    if (column->len == 0)
        return;
    uint32_t *values = buffer_u32s(column);
    for (size_t i = 0; i < count; i++)
        spare[i] = values[order[i]];
    memcpy(values, spare, count * sizeof(*values));
}

static void permute_samples(struct profile_columns *c, const uint32_t *order, size_t count,
                            uint64_t *spare)
{
    uint64_t *time = buffer_u64s(&c->sample_time);
    for (size_t i = 0; i < count; i++)
        spare[i] = time[order[i]];
    memcpy(time, spare, count * sizeof(*time));
    permute_u32(&c->sample_thread, order, count, (uint32_t *)spare);
    permute_u32(&c->sample_stack, order, count, (uint32_t *)spare);
    permute_u32(&c->sample_queue, order, count, (uint32_t *)spare);
    if (c->sample_idle.len == 0)
        return;
    uint8_t *idle = (uint8_t *)spare;
    for (size_t i = 0; i < count; i++)
        idle[i] = c->sample_idle.data[order[i]];
    memcpy(c->sample_idle.data, idle, count);
}

void profile_columns_sort(struct profile_columns *c)
{
    size_t count = profile_columns_sample_count(c);
    const uint64_t *time = buffer_u64s(&c->sample_time);
    if (c->failed != ERR_OK || is_ascending(time, count))
        return;
    struct buffer work; /* spare (u64), then two orders (u32) */
    buffer_init(&work, SIZE_MAX, c->sample_time.account);
    if (extend_zeroed(c, &work, count * (sizeof(uint64_t) + 2 * sizeof(uint32_t)))) {
        uint64_t *spare = buffer_u64s(&work);
        uint32_t *from = (uint32_t *)(spare + count);
        uint32_t *to = from + count;
        for (size_t i = 0; i < count; i++)
            from[i] = (uint32_t)i;
        for (size_t width = 1; width < count; width *= 2) {
            merge_runs(time, from, to, count, width);
            uint32_t *swap = from;
            from = to;
            to = swap;
        }
        permute_samples(c, from, count, spare);
    }
    buffer_close(&work);
}

/* The new number of every thread, in `number`; gives how many there are. */
static uint32_t number_threads(const struct profile_columns *c, uint32_t *number, bool drop_unused)
{
    size_t thread_count = profile_columns_thread_count(c);
    size_t sample_count = profile_columns_sample_count(c);
    const uint32_t *sample_thread = buffer_u32s(&c->sample_thread);
    uint32_t next = 0;
    for (size_t i = 0; i < thread_count; i++)
        number[i] = PROFILE_NONE;
    for (size_t i = 0; i < sample_count; i++)
        if (number[sample_thread[i]] == PROFILE_NONE)
            number[sample_thread[i]] = next++;
    for (size_t i = 0; i < thread_count && !drop_unused; i++)
        if (number[i] == PROFILE_NONE)
            number[i] = next++;
    return next;
}

void profile_columns_order_threads(struct profile_columns *c, bool drop_unused)
{
    size_t thread_count = profile_columns_thread_count(c);
    if (c->failed != ERR_OK || thread_count == 0)
        return;
    struct buffer work; /* threads as they will be, then the new numbers */
    buffer_init(&work, SIZE_MAX, c->threads.account);
    if (extend_zeroed(c, &work,
                      thread_count * (sizeof(struct profile_thread) + sizeof(uint32_t)))) {
        struct profile_thread *to = (struct profile_thread *)(void *)work.data;
        struct profile_thread *from = profile_columns_threads(c);
        uint32_t *number = (uint32_t *)(to + thread_count);
        uint32_t kept = number_threads(c, number, drop_unused);
        for (size_t i = 0; i < thread_count; i++)
            if (number[i] != PROFILE_NONE)
                to[number[i]] = from[i];
        memcpy(from, to, kept * sizeof(*to));
        c->threads.len = kept * sizeof(*to);
        uint32_t *sample_thread = buffer_u32s(&c->sample_thread);
        for (size_t i = 0; i < profile_columns_sample_count(c); i++)
            sample_thread[i] = number[sample_thread[i]];
        buffer_clear(&c->thread_of); /* numbers of before: no thread is added after this */
    }
    buffer_close(&work);
}
