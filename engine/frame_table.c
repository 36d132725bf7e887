/* frame_table.c - frames by identity, in one table of texts. */
#include "engine/frame_table.h"

#include "base/limits.h"
#include "base/sort.h"
#include "engine/frame_platform.h"
#include "engine/identity.h"

#define SLOTS_FIRST 1024

struct table_frame {
    struct hash128 identity;
    uint32_t function; /* texts are ids of `texts` */
    uint32_t module;
    uint32_t package;
    uint32_t filename;
    uint32_t path;
    uint32_t instruction_addr;
    uint32_t platform;
    uint32_t line;
    uint32_t column;
    uint32_t fingerprint;
    bool in_app;
};

static struct table_frame *table_frames(const struct frame_table *t)
{
    return (struct table_frame *)(void *)t->frames.data;
}

static uint32_t *u32_of(const struct buffer *b)
{
    return (uint32_t *)(void *)b->data;
}

static size_t u32_count(const struct buffer *b)
{
    return b->len / sizeof(uint32_t);
}

void frame_table_init(struct frame_table *t, struct mem_account *account)
{
    buffer_init(&t->frames, FLAMEGRAPH_NODES_MAX * sizeof(struct table_frame), account);
    buffer_init(&t->slots, SIZE_MAX, account);
    intern_init(&t->texts, UINT32_MAX, account);
}

void frame_table_close(struct frame_table *t)
{
    buffer_close(&t->frames);
    buffer_close(&t->slots);
    intern_close(&t->texts);
}

size_t frame_table_count(const struct frame_table *t)
{
    return t->frames.len / sizeof(struct table_frame);
}

enum err slots_reserve(struct buffer *slots, size_t count, bool *ret_grown)
{
    size_t have = u32_count(slots);

    *ret_grown = false;
    if (have > 0 && count < have / 2)
        return ERR_OK;
    size_t wanted = have == 0 ? SLOTS_FIRST : have * 2;
    void *added = buffer_extend(slots, (wanted - have) * sizeof(uint32_t));
    if (added == NULL)
        return slots->failed;
    memset(slots->data, 0, wanted * sizeof(uint32_t));
    *ret_grown = true;
    return ERR_OK;
}

void slots_put(struct buffer *slots, uint64_t hash, uint32_t number)
{
    size_t mask = u32_count(slots) - 1;
    size_t at = (size_t)hash & mask;

    while (u32_of(slots)[at] != 0)
        at = (at + 1) & mask;
    u32_of(slots)[at] = number + 1;
}

/* What a frame of a profile says of itself, all but its fingerprint; texts are the profile's. */
static struct flamegraph_frame view_of(const struct profile *p, const struct profile_frame *f,
                                       struct hash128 identity)
{
    return (struct flamegraph_frame){
        .identity = identity,
        .function = profile_string(p, f->function),
        .module = profile_string(p, f->module),
        .package = profile_string(p, f->package),
        .filename = profile_string(p, f->filename),
        .path = profile_string(p, f->abs_path),
        .instruction_addr = profile_string(p, f->instruction_addr),
        .platform = profile_string(p, f->platform != 0 ? f->platform : p->platform),
        .line = f->line,
        .column = f->column,
        .in_app = frame_is_application(p, f),
    };
}

/* The same of a frame of the table; texts are the table's. */
static struct flamegraph_frame shown_by(const struct frame_table *t, const struct table_frame *a)
{
    return (struct flamegraph_frame){
        .identity = a->identity,
        .function = intern_get(&t->texts, a->function),
        .module = intern_get(&t->texts, a->module),
        .package = intern_get(&t->texts, a->package),
        .filename = intern_get(&t->texts, a->filename),
        .path = intern_get(&t->texts, a->path),
        .instruction_addr = intern_get(&t->texts, a->instruction_addr),
        .platform = intern_get(&t->texts, a->platform),
        .line = a->line,
        .column = a->column,
        .in_app = a->in_app,
    };
}

/* By bytes, "" last. */
static int compare_texts(struct bytes a, struct bytes b)
{
    if (a.len == 0 || b.len == 0)
        return (a.len == 0) - (b.len == 0);
    return bytes_compare(a, b);
}

/* By value, 0 last. */
static int compare_numbers(uint32_t a, uint32_t b)
{
    if (a == 0 || b == 0)
        return (a == 0) - (b == 0);
    return (a > b) - (a < b);
}

/* Which of two frames of one identity is shown: the lesser. Equal ones show the same: the
 * fingerprint follows from what is compared. */
static int compare_shown(const struct flamegraph_frame *a, const struct flamegraph_frame *b)
{
    int order = compare_texts(a->path, b->path);
    if (order == 0)
        order = compare_numbers(a->line, b->line);
    if (order == 0)
        order = compare_numbers(a->column, b->column);
    if (order == 0)
        order = b->in_app - a->in_app;
    if (order == 0)
        order = compare_texts(a->function, b->function);
    if (order == 0)
        order = compare_texts(a->module, b->module);
    if (order == 0)
        order = compare_texts(a->package, b->package);
    if (order == 0)
        order = compare_texts(a->filename, b->filename);
    if (order == 0)
        order = compare_texts(a->platform, b->platform);
    if (order == 0)
        order = compare_texts(a->instruction_addr, b->instruction_addr);
    return order;
}

static enum err keep_texts(struct frame_table *t, const struct flamegraph_frame *from,
                           struct table_frame *a)
{
    TRY(intern_add(&t->texts, from->function, &a->function));
    TRY(intern_add(&t->texts, from->module, &a->module));
    TRY(intern_add(&t->texts, from->package, &a->package));
    TRY(intern_add(&t->texts, from->filename, &a->filename));
    TRY(intern_add(&t->texts, from->path, &a->path));
    TRY(intern_add(&t->texts, from->instruction_addr, &a->instruction_addr));
    return intern_add(&t->texts, from->platform, &a->platform);
}

static enum err keep_frame(struct frame_table *t, const struct flamegraph_frame *from,
                           uint32_t fingerprint, struct table_frame *ret)
{
    struct table_frame a = {
        .identity = from->identity,
        .line = from->line,
        .column = from->column,
        .fingerprint = fingerprint,
        .in_app = from->in_app,
    };

    TRY(keep_texts(t, from, &a));
    *ret = a;
    return ERR_OK;
}

/* The lesser of the two is shown from now on; texts that nothing shows any more stay. */
static enum err meet_again(struct frame_table *t, const struct profile *p,
                           const struct profile_frame *f, struct table_frame *have)
{
    struct flamegraph_frame shown = shown_by(t, have);
    struct flamegraph_frame view = view_of(p, f, have->identity);

    if (compare_shown(&view, &shown) >= 0)
        return ERR_OK;
    return keep_frame(t, &view, frame_fingerprint(p, f), have);
}

static enum err add_frame(struct frame_table *t, const struct profile *p,
                          const struct profile_frame *f, struct hash128 identity)
{
    struct flamegraph_frame view = view_of(p, f, identity);
    struct table_frame a;

    TRY(keep_frame(t, &view, frame_fingerprint(p, f), &a));
    buffer_put(&t->frames, bytes_of(&a, sizeof(a)));
    return t->frames.failed;
}

static uint64_t slot_hash(const struct frame_table *t, struct hash128 identity)
{
    return hash_u64(identity.lo ^ t->texts.seed);
}

enum err frame_table_add(struct frame_table *t, const struct profile *p,
                         const struct profile_frame *f, uint32_t *ret)
{
    struct hash128 identity = frame_identity(p, f);
    bool grown;

    TRY(slots_reserve(&t->slots, frame_table_count(t), &grown));
    if (grown)
        for (size_t i = 0; i < frame_table_count(t); i++)
            slots_put(&t->slots, slot_hash(t, table_frames(t)[i].identity), (uint32_t)i);
    const uint32_t *slots = u32_of(&t->slots);
    size_t mask = u32_count(&t->slots) - 1;
    uint64_t hash = slot_hash(t, identity);
    for (size_t at = (size_t)hash & mask; slots[at] != 0; at = (at + 1) & mask) {
        if (hash128_equal(table_frames(t)[slots[at] - 1].identity, identity)) {
            *ret = slots[at] - 1;
            return meet_again(t, p, f, &table_frames(t)[*ret]);
        }
    }
    TRY(add_frame(t, p, f, identity));
    *ret = (uint32_t)(frame_table_count(t) - 1);
    slots_put(&t->slots, hash, *ret);
    return ERR_OK;
}

static int by_identity(const void *left, const void *right, void *context)
{
    const struct table_frame *frames = context;
    const uint32_t *a = left;
    const uint32_t *b = right;

    return hash128_compare(frames[*a].identity, frames[*b].identity);
}

/* A text of the table inside its copy. */
static struct bytes copied(const struct frame_table *t, struct bytes copy, uint32_t id)
{
    if (id == 0)
        return BYTES("");
    struct bytes view = intern_get(&t->texts, id);
    return bytes_of(copy.data + (view.data - t->texts.text.data), view.len);
}

enum err frame_table_publish(const struct frame_table *t, struct arena *arena,
                             const struct flamegraph_frame **ret, uint32_t **ret_rank)
{
    size_t count = frame_table_count(t);
    struct bytes copy = arena_copy(arena, buffer_bytes(&t->texts.text));
    struct flamegraph_frame *frames = ARENA_ARRAY(arena, count, struct flamegraph_frame);
    uint32_t *order = ARENA_ARRAY(arena, count, uint32_t);
    uint32_t *rank = ARENA_ARRAY(arena, count, uint32_t);

    if (arena->failed != ERR_OK)
        return arena->failed;
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    TRY(sort_array(arena->account, order, count, sizeof(*order), by_identity, table_frames(t)));
    for (size_t i = 0; i < count; i++) {
        const struct table_frame *a = &table_frames(t)[order[i]];
        rank[order[i]] = (uint32_t)i;
        frames[i] = (struct flamegraph_frame){
            .identity = a->identity,
            .function = copied(t, copy, a->function),
            .module = copied(t, copy, a->module),
            .package = copied(t, copy, a->package),
            .filename = copied(t, copy, a->filename),
            .path = copied(t, copy, a->path),
            .instruction_addr = copied(t, copy, a->instruction_addr),
            .platform = copied(t, copy, a->platform),
            .line = a->line,
            .column = a->column,
            .fingerprint = a->fingerprint,
            .in_app = a->in_app,
        };
    }
    *ret = frames;
    *ret_rank = rank;
    return ERR_OK;
}
