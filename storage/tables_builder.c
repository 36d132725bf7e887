/* tables_builder.c - what profiles share, each different item once, found by hashing.
 *
 * Items stay in the order in which they came; slots of open addressing lead to them. Seeds of the
 * hashes cannot be known outside, so nobody can choose items that share a slot. A failed add leaves
 * some items behind that nothing refers to; they do no harm.
 */
#include <assert.h>

#include "base/intern.h"
#include "storage/segment_tables.h"
#include "storage/table_pages.h"

#define SLOTS_FIRST 64

/* Items of one size, and u32 slots, item + 1, 0 free; a power of two many, at most 3/4 full. */
struct item_table {
    struct buffer items;
    struct buffer slots;
    size_t item_size;
};

struct tables_builder {
    struct frame_rules rules;
    struct mem_account *account;
    uint64_t seed;
    struct intern texts;
    struct item_table frames;  /* struct segment_frame */
    struct buffer identities;  /* struct hash128, of each frame */
    struct item_table nodes;   /* struct trie_node */
    struct item_table threads; /* struct profile_thread */
};

static_assert(sizeof(struct segment_frame) == 12 * sizeof(uint32_t), "frames hash as bytes");
static_assert(sizeof(struct trie_node) == 2 * sizeof(uint32_t), "nodes hash as bytes");
static_assert(sizeof(struct profile_thread) == 4 * sizeof(uint32_t), "threads hash as bytes");

/* ---- item tables ---- */

static void item_table_init(struct item_table *t, size_t item_size, struct mem_account *account)
{
    t->item_size = item_size;
    buffer_init(&t->items, SIZE_MAX, account);
    buffer_init(&t->slots, SIZE_MAX, account);
}

static void item_table_close(struct item_table *t)
{
    buffer_close(&t->items);
    buffer_close(&t->slots);
}

static size_t item_count(const struct item_table *t)
{
    return t->items.len / t->item_size;
}

static const void *item_at(const struct item_table *t, size_t at)
{
    return t->items.data + at * t->item_size;
}

static uint32_t *slots_of(const struct item_table *t)
{
    return (uint32_t *)(void *)t->slots.data; /* mem_alloc aligns for any type */
}

/* Room for more bytes, or a failure of which nothing stays: a later try may succeed. */
static enum err reserve(struct buffer *b, size_t size)
{
    enum err rc = buffer_reserve(b, size);
    b->failed = ERR_OK;
    return rc;
}

static size_t free_slot(const uint32_t *slots, size_t mask, uint64_t hash)
{
    size_t at = (size_t)hash & mask;
    while (slots[at] != 0)
        at = (at + 1) & mask;
    return at;
}

/* Room for one more item in the slots. */
static enum err grow_slots(struct item_table *t, uint64_t seed)
{
    size_t have = t->slots.len / sizeof(uint32_t);
    if (have != 0 && item_count(t) < have / 4 * 3)
        return ERR_OK;
    size_t wanted = have == 0 ? SLOTS_FIRST : have * 2;
    struct buffer bigger;
    buffer_init(&bigger, SIZE_MAX, t->slots.account);
    uint32_t *slots = buffer_extend(&bigger, wanted * sizeof(uint32_t));
    if (slots == NULL)
        return bigger.failed;
    memset(slots, 0, wanted * sizeof(uint32_t));
    buffer_close(&t->slots);
    t->slots = bigger;
    for (size_t i = 0; i < item_count(t); i++) {
        uint64_t hash = hash_bytes(bytes_of(item_at(t, i), t->item_size), seed);
        slots[free_slot(slots, wanted - 1, hash)] = (uint32_t)i + 1;
    }
    return ERR_OK;
}

/* The id of the item, added when new. */
static enum err find_or_add(struct item_table *t, const void *item, uint64_t seed, uint32_t *ret,
                            bool *ret_new)
{
    TRY(grow_slots(t, seed));
    uint32_t *slots = slots_of(t);
    size_t mask = t->slots.len / sizeof(uint32_t) - 1;
    size_t at = (size_t)hash_bytes(bytes_of(item, t->item_size), seed) & mask;
    for (; slots[at] != 0; at = (at + 1) & mask) {
        if (memcmp(item_at(t, slots[at] - 1), item, t->item_size) != 0)
            continue;
        *ret = slots[at] - 1;
        *ret_new = false;
        return ERR_OK;
    }
    size_t count = item_count(t);
    if (count >= PROFILE_NONE - 1)
        return ERR_LIMIT;
    TRY(reserve(&t->items, t->item_size));
    buffer_put(&t->items, bytes_of(item, t->item_size));
    slots[at] = (uint32_t)count + 1;
    *ret = (uint32_t)count;
    *ret_new = true;
    return ERR_OK;
}

/* ---- the builder ---- */

enum err tables_builder_create(const struct frame_rules *rules, struct mem_account *account,
                               struct tables_builder **ret)
{
    struct tables_builder *b = mem_zalloc(sizeof *b);
    if (b == NULL)
        return ERR_NOMEM;
    b->rules = *rules;
    b->account = account;
    b->seed = hash_seed();
    intern_init(&b->texts, UINT32_MAX, account);
    item_table_init(&b->frames, sizeof(struct segment_frame), account);
    buffer_init(&b->identities, SIZE_MAX, account);
    item_table_init(&b->nodes, sizeof(struct trie_node), account);
    item_table_init(&b->threads, sizeof(struct profile_thread), account);
    *ret = b;
    return ERR_OK;
}

void tables_builder_destroy(struct tables_builder *b)
{
    if (b == NULL)
        return;
    intern_close(&b->texts);
    item_table_close(&b->frames);
    buffer_close(&b->identities);
    item_table_close(&b->nodes);
    item_table_close(&b->threads);
    mem_free(b);
}

size_t tables_builder_bytes(const struct tables_builder *b)
{
    const struct buffer *all[] = {
        &b->texts.text, &b->texts.offsets, &b->texts.slots, &b->frames.items,  &b->frames.slots,
        &b->identities, &b->nodes.items,   &b->nodes.slots, &b->threads.items, &b->threads.slots};
    size_t sum = sizeof *b;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sum += all[i]->capacity;
    return sum;
}

struct segment_tables_counts tables_builder_counts(const struct tables_builder *b)
{
    return (struct segment_tables_counts){.texts = (uint32_t)b->texts.count,
                                          .frames = (uint32_t)item_count(&b->frames),
                                          .nodes = (uint32_t)item_count(&b->nodes),
                                          .threads = (uint32_t)item_count(&b->threads)};
}

enum err tables_builder_text(struct tables_builder *b, struct bytes text, uint32_t *ret)
{
    return intern_add(&b->texts, text, ret);
}

/* ---- adding a profile ---- */

struct adding {
    struct tables_builder *b;
    const struct profile *p;
    uint32_t *texts; /* of each string of the profile, NONE: not asked for yet */
    struct tables_mapping map;
};

static enum err map_text(struct adding *a, uint32_t string, uint32_t *ret)
{
    if (a->texts[string] == PROFILE_NONE)
        TRY(tables_builder_text(a->b, a->p->strings[string], &a->texts[string]));
    *ret = a->texts[string];
    return ERR_OK;
}

static enum err map_texts(struct adding *a, uint32_t *const *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(map_text(a, *fields[i], fields[i]));
    return ERR_OK;
}

static enum err add_frame(struct adding *a, const struct profile_frame *frame, uint32_t *ret)
{
    struct segment_frame item = {.frame = *frame, .document_platform = a->p->platform};
    struct profile_frame *f = &item.frame;
    uint32_t *const texts[] = {&f->module,   &f->function,         &f->filename,
                               &f->abs_path, &f->package,          &f->platform,
                               &f->rest,     &f->instruction_addr, &item.document_platform};
    bool is_new;
    TRY(map_texts(a, texts, sizeof texts / sizeof texts[0]));
    TRY(reserve(&a->b->identities, sizeof(struct hash128))); /* first: both or neither */
    TRY(find_or_add(&a->b->frames, &item, a->b->seed, ret, &is_new));
    if (is_new) {
        struct hash128 hash = a->b->rules.identity(a->p, frame);
        buffer_put(&a->b->identities, bytes_of(&hash, sizeof hash));
    }
    return ERR_OK;
}

static enum err add_frames(struct adding *a)
{
    for (size_t i = 0; i < a->p->frame_count; i++)
        TRY(add_frame(a, &a->p->frames[i], &a->map.frames[i]));
    return ERR_OK;
}

static enum err add_nodes(struct adding *a)
{
    const struct profile *p = a->p;
    for (size_t i = 0; i < p->node_count; i++) {
        uint32_t above = p->node_parent[i];
        bool is_new;
        struct trie_node node = {.parent = above == PROFILE_NONE ? above : a->map.nodes[above]};
        a->map.nodes[i] = PROFILE_NONE;
        if (p->node_frame[i] >= p->frame_list_count ||
            (above != PROFILE_NONE && node.parent == PROFILE_NONE))
            continue;
        node.frame = a->map.frames[p->frame_list[p->node_frame[i]]];
        TRY(find_or_add(&a->b->nodes, &node, a->b->seed, &a->map.nodes[i], &is_new));
    }
    return ERR_OK;
}

static enum err add_threads(struct adding *a)
{
    for (size_t i = 0; i < a->p->thread_count; i++) {
        struct profile_thread item = a->p->threads[i];
        uint32_t *const texts[] = {&item.id, &item.name};
        bool is_new;
        TRY(map_texts(a, texts, 2));
        TRY(find_or_add(&a->b->threads, &item, a->b->seed, &a->map.threads[i], &is_new));
    }
    return ERR_OK;
}

static enum err add_all(struct adding *a)
{
    TRY(add_threads(a));
    TRY(add_frames(a));
    return add_nodes(a);
}

enum err tables_builder_add(struct tables_builder *b, const struct profile *p, struct arena *arena,
                            struct tables_mapping *ret, struct errinfo *info)
{
    struct adding a = {.b = b, .p = p};
    a.texts = ARENA_ARRAY(arena, p->string_count, uint32_t);
    a.map.frames = ARENA_ARRAY(arena, p->frame_count, uint32_t);
    a.map.nodes = ARENA_ARRAY(arena, p->node_count, uint32_t);
    a.map.threads = ARENA_ARRAY(arena, p->thread_count, uint32_t);
    enum err rc = arena->failed;
    if (rc == ERR_OK) {
        memset(a.texts, 0xff, p->string_count * sizeof *a.texts);
        rc = add_all(&a);
    }
    if (rc != ERR_OK)
        return err_set(info, rc, "tables: no room for %zu frames and %zu nodes", p->frame_count,
                       p->node_count);
    *ret = a.map;
    return ERR_OK;
}

/* ---- writing ---- */

/* One section of pages, and what its directory needs. */
struct writing {
    struct segment_file_writer *file;
    struct buffer page;
    struct buffer raw;
    struct buffer first; /* u64 a page: its first item */
    struct buffer end;   /* u64 a page: where it ends */
};

static enum err end_page(struct writing *w, uint64_t first)
{
    uint64_t end = w->end.len == 0 ? 0 : ((uint64_t *)(void *)w->end.data)[w->end.len / 8 - 1];
    end += w->page.len;
    segment_file_put(w->file, buffer_bytes(&w->page));
    buffer_clear(&w->page);
    buffer_put(&w->first, bytes_of(&first, sizeof first));
    buffer_put(&w->end, bytes_of(&end, sizeof end));
    return w->first.failed != ERR_OK ? w->first.failed : w->end.failed;
}

static void put_directory(struct writing *w, const struct buffer *column, enum format_section kind)
{
    packed_put(w->file, kind, (const uint64_t *)(const void *)column->data, 1,
               column->len / sizeof(uint64_t));
}

static void begin_pages(struct writing *w, enum format_section kind)
{
    buffer_clear(&w->first);
    buffer_clear(&w->end);
    segment_file_begin(w->file, kind);
}

/* A page ends with the text that passes FORMAT_TEXT_PAGE_SIZE. */
static uint32_t text_page_end(const struct intern *texts, uint32_t first)
{
    size_t size = 0;
    uint32_t end = first;
    while (end < texts->count && size < FORMAT_TEXT_PAGE_SIZE)
        size += intern_get(texts, end++).len + 1;
    return end;
}

static void put_text_page_count(struct writing *w, const struct intern *texts)
{
    uint8_t head[FORMAT_TEXT_PAGES_HEAD_SIZE] = {0};
    uint32_t count = 0;
    for (uint32_t first = 0; first < texts->count; count++)
        first = text_page_end(texts, first);
    put_u32(head, count);
    segment_file_put(w->file, bytes_of(head, sizeof head));
}

static enum err write_texts(struct writing *w, const struct intern *texts)
{
    begin_pages(w, SECTION_TEXT_PAGES);
    put_text_page_count(w, texts);
    for (uint32_t first = 0; first < texts->count;) {
        uint32_t end = text_page_end(texts, first);
        TRY(text_page_put(texts, first, end, &w->raw, &w->page));
        TRY(end_page(w, first));
        first = end;
    }
    put_directory(w, &w->first, SECTION_TEXT_FIRST);
    put_directory(w, &w->end, SECTION_TEXT_END);
    return ERR_OK;
}

/* One above every text id of the rows before `end`, given the same for the rows before `first`. */
static uint32_t next_text(const struct row_shape *shape, const uint32_t *rows, size_t count,
                          uint32_t next)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < shape->texts; k++) {
            uint32_t text = rows[i * shape->fields + shape->order[k]];
            next = text >= next ? text + 1 : next;
        }
    return next;
}

static enum err write_rows(struct writing *w, const struct item_table *t,
                           const struct row_shape *shape, size_t a_page, enum format_section pages,
                           enum format_section directory)
{
    uint32_t next = 1; /* text 0 is there before all */
    begin_pages(w, pages);
    for (size_t first = 0; first < item_count(t); first += a_page) {
        size_t left = item_count(t) - first;
        size_t count = left < a_page ? left : a_page;
        const uint32_t *rows = item_at(t, first);
        TRY(row_page_put(shape, rows, count, next, &w->page));
        TRY(end_page(w, first));
        next = next_text(shape, rows, count, next);
    }
    put_directory(w, &w->end, directory);
    return ERR_OK;
}

static enum err write_nodes(struct writing *w, const struct item_table *t)
{
    const struct trie_node *nodes = item_count(t) == 0 ? NULL : item_at(t, 0);
    begin_pages(w, SECTION_NODE_PAGES);
    for (size_t first = 0; first < item_count(t); first += FORMAT_NODES_A_PAGE) {
        size_t left = item_count(t) - first;
        size_t count = left < FORMAT_NODES_A_PAGE ? left : FORMAT_NODES_A_PAGE;
        TRY(node_page_put(nodes, first, count, &w->page));
        TRY(end_page(w, first));
    }
    put_directory(w, &w->end, SECTION_NODE_END);
    return ERR_OK;
}

static void write_identities(struct segment_file_writer *file, const struct buffer *identities)
{
    const struct hash128 *identity = (const struct hash128 *)(const void *)identities->data;
    segment_file_begin(file, SECTION_FRAME_IDENTITY);
    for (size_t i = 0; i < identities->len / sizeof *identity; i++)
        sixteens_put_hash(file, identity[i]);
}

static enum err write_all(const struct tables_builder *b, struct writing *w)
{
    TRY(write_texts(w, &b->texts));
    write_identities(w->file, &b->identities);
    TRY(write_rows(w, &b->frames, &frame_shape, FORMAT_FRAMES_A_PAGE, SECTION_FRAME_PAGES,
                   SECTION_FRAME_END));
    TRY(write_nodes(w, &b->nodes));
    return write_rows(w, &b->threads, &thread_shape, FORMAT_THREADS_A_PAGE, SECTION_THREAD_PAGES,
                      SECTION_THREAD_END);
}

enum err tables_builder_write(const struct tables_builder *b, struct segment_file_writer *w,
                              struct errinfo *info)
{
    struct writing writing = {.file = w};
    struct buffer *all[] = {&writing.page, &writing.raw, &writing.first, &writing.end};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buffer_init(all[i], SIZE_MAX, b->account);
    enum err rc = write_all(b, &writing);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buffer_close(all[i]);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "tables: no room to write them");
}

/* ---- the builder as a source ---- */

static enum err no_such(struct errinfo *info, const char *what, uint32_t id, size_t count)
{
    return err_set(info, ERR_CORRUPT, "%s %u of %zu in the tables", what, id, count);
}

static enum err source_text(void *self, uint32_t id, struct bytes *ret, struct errinfo *info)
{
    const struct tables_builder *b = self;
    if (id >= b->texts.count)
        return no_such(info, "text", id, b->texts.count);
    *ret = intern_get(&b->texts, id);
    return ERR_OK;
}

static enum err source_frame(void *self, uint32_t id, struct segment_frame *ret,
                             struct errinfo *info)
{
    const struct tables_builder *b = self;
    if (id >= item_count(&b->frames))
        return no_such(info, "frame", id, item_count(&b->frames));
    memcpy(ret, item_at(&b->frames, id), sizeof *ret);
    return ERR_OK;
}

static enum err source_node(void *self, uint32_t id, uint32_t *ret_parent, uint32_t *ret_frame,
                            struct errinfo *info)
{
    const struct tables_builder *b = self;
    if (id >= item_count(&b->nodes))
        return no_such(info, "node", id, item_count(&b->nodes));
    const struct trie_node *node = item_at(&b->nodes, id);
    *ret_parent = node->parent;
    *ret_frame = node->frame;
    return ERR_OK;
}

static enum err source_thread(void *self, uint32_t id, struct profile_thread *ret,
                              struct errinfo *info)
{
    const struct tables_builder *b = self;
    if (id >= item_count(&b->threads))
        return no_such(info, "thread", id, item_count(&b->threads));
    memcpy(ret, item_at(&b->threads, id), sizeof *ret);
    return ERR_OK;
}

struct tables_source tables_builder_source(struct tables_builder *b)
{
    return (struct tables_source){.self = b,
                                  .text = source_text,
                                  .frame = source_frame,
                                  .node = source_node,
                                  .thread = source_thread};
}
