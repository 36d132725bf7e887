#include "storage/segment_tables.h"

#include <assert.h>
#include <inttypes.h>

#include "base/limits.h"
#include "storage/table_pages.h"

/* ---- opening ---- */

static uint32_t page_count(uint32_t items, size_t a_page)
{
    return (uint32_t)(((uint64_t)items + a_page - 1) / a_page);
}

/* Every page has at least a byte, so that no count makes anybody take more memory than there are
 * bytes. */
static enum err open_pages(const struct segment_file *f, enum format_section pages,
                           enum format_section end, uint32_t count, struct segment_section *ret,
                           struct packed *ret_end, struct errinfo *info)
{
    if (!segment_file_section(f, pages, ret))
        return err_set(info, ERR_CORRUPT, "no section %d", (int)pages);
    if (count > ret->size)
        return err_set(info, ERR_CORRUPT, "section %d: %" PRIu64 " bytes for %" PRIu32 " pages",
                       (int)pages, ret->size, count);
    return packed_open(f, end, count, ret_end, info);
}

static enum err open_texts(const struct segment_file *f, struct segment_tables *t,
                           struct errinfo *info)
{
    struct bytes head = {0};
    struct segment_section *pages = &t->text_pages;
    if (!segment_file_section(f, SECTION_TEXT_PAGES, pages))
        return err_set(info, ERR_CORRUPT, "no section %d", (int)SECTION_TEXT_PAGES);
    TRY(segment_file_view(f, pages->offset, FORMAT_TEXT_PAGES_HEAD_SIZE, &head, info));
    struct reader r = reader_of(head);
    t->text_page_count = reader_u32(&r);
    if (reader_u32(&r) != 0 || pages->size < FORMAT_TEXT_PAGES_HEAD_SIZE)
        return err_set(info, ERR_CORRUPT, "section %d: impossible head", (int)SECTION_TEXT_PAGES);
    pages->offset += FORMAT_TEXT_PAGES_HEAD_SIZE;
    pages->size -= FORMAT_TEXT_PAGES_HEAD_SIZE;
    if (t->text_page_count > pages->size)
        return err_set(info, ERR_CORRUPT, "section %d: %" PRIu64 " bytes for %" PRIu32 " pages",
                       (int)SECTION_TEXT_PAGES, pages->size, t->text_page_count);
    TRY(packed_open(f, SECTION_TEXT_FIRST, t->text_page_count, &t->text_first, info));
    return packed_open(f, SECTION_TEXT_END, t->text_page_count, &t->text_end, info);
}

enum err segment_tables_open(const struct segment_file *f, struct segment_tables_counts counts,
                             struct segment_tables *ret, struct errinfo *info)
{
    struct segment_tables t = {.file = f, .counts = counts};
    TRY(open_texts(f, &t, info));
    TRY(sixteens_open(f, SECTION_FRAME_IDENTITY, counts.frames, &t.frame_identity, info));
    TRY(open_pages(f, SECTION_FRAME_PAGES, SECTION_FRAME_END,
                   page_count(counts.frames, FORMAT_FRAMES_A_PAGE), &t.frame_pages, &t.frame_end,
                   info));
    TRY(open_pages(f, SECTION_NODE_PAGES, SECTION_NODE_END,
                   page_count(counts.nodes, FORMAT_NODES_A_PAGE), &t.node_pages, &t.node_end,
                   info));
    TRY(open_pages(f, SECTION_THREAD_PAGES, SECTION_THREAD_END,
                   page_count(counts.threads, FORMAT_THREADS_A_PAGE), &t.thread_pages,
                   &t.thread_end, info));
    *ret = t;
    return ERR_OK;
}

static enum err no_such(struct errinfo *info, const char *what, uint32_t id, uint32_t count)
{
    return err_set(info, ERR_CORRUPT, "%s %" PRIu32 " of %" PRIu32 " in the tables", what, id,
                   count);
}

enum err tables_identity(const struct segment_tables *t, uint32_t frame, struct hash128 *ret,
                         struct errinfo *info)
{
    if (frame >= t->counts.frames)
        return no_such(info, "frame", frame, t->counts.frames);
    if (!sixteens_get_hash(&t->frame_identity, frame, ret))
        return err_set(info, ERR_CORRUPT, "identity of frame %" PRIu32 ": checksum mismatch",
                       frame);
    return ERR_OK;
}

/* ---- pages of a cursor ---- */

struct tables_cursor {
    const struct segment_tables *tables;
    struct arena arena;   /* all pages, and the lists of them */
    uint32_t *text_first; /* of each page; one more: the number of texts. NULL: not read yet */
    struct bytes **texts; /* NULL: not decoded yet; so with all pages */
    struct segment_frame **frames;
    struct trie_node **nodes;
    struct profile_thread **threads;
};

static enum err no_room(const struct tables_cursor *c, struct errinfo *info)
{
    return err_set(info, c->arena.failed, "tables: no room for a page");
}

/* A failure of memory may pass: what a later call takes may fit. */
static void *take(struct tables_cursor *c, size_t count, size_t size, struct errinfo *info,
                  enum err *ret)
{
    c->arena.failed = ERR_OK;
    void *taken = arena_array(&c->arena, count, size, _Alignof(max_align_t));
    *ret = taken == NULL ? no_room(c, info) : ERR_OK;
    return taken;
}

static enum err view_page(const struct segment_tables *t, struct segment_section pages,
                          const struct packed *ends, uint32_t page, struct bytes *ret,
                          struct errinfo *info)
{
    uint64_t start = 0;
    uint64_t end;
    if ((page > 0 && !packed_get(ends, page - 1, &start)) || !packed_get(ends, page, &end))
        return err_set(info, ERR_CORRUPT, "checksum mismatch");
    if (start > end || end > pages.size)
        return err_set(info, ERR_CORRUPT, "from %" PRIu64 " to %" PRIu64 " of %" PRIu64, start, end,
                       pages.size);
    return segment_file_view(t->file, pages.offset + start, end - start, ret, info);
}

static enum err wrap_page(struct errinfo *info, enum err rc, const char *what, uint32_t page)
{
    char prefix[48];
    struct errinfo text = {0};
    (void)err_set(&text, rc, "tables: page %" PRIu32 " of %ss", page, what);
    memcpy(prefix, text.text, sizeof prefix);
    prefix[sizeof prefix - 1] = '\0';
    return err_wrap(info, rc, prefix);
}

/* ---- texts ---- */

/* Pages ascend and each has a text, the first begins with text 0. */
static enum err fill_text_first(const struct segment_tables *t, uint32_t *first,
                                struct errinfo *info)
{
    for (uint32_t page = 0; page < t->text_page_count; page++) {
        uint64_t value;
        if (!packed_get(&t->text_first, page, &value))
            return err_set(info, ERR_CORRUPT, "tables: directory of texts: checksum mismatch");
        if (value >= t->counts.texts || (page == 0 ? value != 0 : value <= first[page - 1]))
            return err_set(info, ERR_CORRUPT,
                           "tables: page %" PRIu32 " of texts begins with %" PRIu64, page, value);
        first[page] = (uint32_t)value;
    }
    first[t->text_page_count] = t->counts.texts;
    if (t->text_page_count == 0)
        return err_set(info, ERR_CORRUPT, "tables: no page of texts");
    return ERR_OK;
}

static enum err read_text_first(struct tables_cursor *c, struct errinfo *info)
{
    enum err rc;
    uint32_t *first = take(c, (size_t)c->tables->text_page_count + 1, sizeof *first, info, &rc);
    if (first != NULL)
        rc = fill_text_first(c->tables, first, info);
    if (rc == ERR_OK)
        c->text_first = first;
    return rc;
}

static enum err load_text_page(struct tables_cursor *c, uint32_t page, struct errinfo *info)
{
    const struct segment_tables *t = c->tables;
    size_t count = c->text_first[page + 1] - c->text_first[page];
    struct bytes in = {0};
    enum err rc;
    TRY(view_page(t, t->text_pages, &t->text_end, page, &in, info));
    struct bytes *texts = take(c, count, sizeof *texts, info, &rc);
    if (texts != NULL)
        rc = text_page_get(in, count, &c->arena, texts, info);
    if (rc == ERR_OK)
        c->texts[page] = texts;
    return rc;
}

/* The last page that begins at or before the text. */
static uint32_t text_page_of(const struct tables_cursor *c, uint32_t id)
{
    uint32_t low = 0;
    uint32_t high = c->tables->text_page_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (c->text_first[middle] <= id)
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum err tables_text(struct tables_cursor *c, uint32_t id, struct bytes *ret, struct errinfo *info)
{
    if (id >= c->tables->counts.texts)
        return no_such(info, "text", id, c->tables->counts.texts);
    if (c->text_first == NULL)
        TRY(read_text_first(c, info));
    uint32_t page = text_page_of(c, id);
    if (c->texts[page] == NULL) {
        enum err rc = load_text_page(c, page, info);
        if (rc != ERR_OK)
            return wrap_page(info, rc, "text", page);
    }
    *ret = c->texts[page][id - c->text_first[page]];
    return ERR_OK;
}

/* ---- rows: frames, threads ---- */

/* Items of page `page` when all of them are `total`. */
static size_t items_of(uint32_t total, size_t a_page, uint32_t page)
{
    size_t left = total - page * a_page;
    return left < a_page ? left : a_page;
}

static enum err load_rows(struct tables_cursor *c, const struct row_shape *shape,
                          struct segment_section pages, const struct packed *ends, uint32_t page,
                          size_t count, uint32_t **ret, struct errinfo *info)
{
    struct bytes in = {0};
    enum err rc;
    TRY(view_page(c->tables, pages, ends, page, &in, info));
    uint32_t *rows = take(c, count * shape->fields, sizeof *rows, info, &rc);
    if (rows != NULL)
        rc = row_page_get(shape, in, count, rows, info);
    if (rc == ERR_OK)
        *ret = rows;
    return rc;
}

static enum err load_frames(struct tables_cursor *c, uint32_t page, struct errinfo *info)
{
    const struct segment_tables *t = c->tables;
    size_t count = items_of(t->counts.frames, FORMAT_FRAMES_A_PAGE, page);
    uint32_t *rows = NULL;
    TRY(load_rows(c, &frame_shape, t->frame_pages, &t->frame_end, page, count, &rows, info));
    struct segment_frame *frames = (struct segment_frame *)rows;
    for (size_t i = 0; i < count; i++)
        if (frames[i].frame.in_app > IN_APP_TRUE)
            return err_set(info, ERR_CORRUPT, "in_app is %" PRIu32, frames[i].frame.in_app);
    c->frames[page] = frames;
    return ERR_OK;
}

enum err tables_frame(struct tables_cursor *c, uint32_t id, struct segment_frame *ret,
                      struct errinfo *info)
{
    if (id >= c->tables->counts.frames)
        return no_such(info, "frame", id, c->tables->counts.frames);
    uint32_t page = id / FORMAT_FRAMES_A_PAGE;
    if (c->frames[page] == NULL) {
        enum err rc = load_frames(c, page, info);
        if (rc != ERR_OK)
            return wrap_page(info, rc, "frame", page);
    }
    *ret = c->frames[page][id % FORMAT_FRAMES_A_PAGE];
    return ERR_OK;
}

static enum err load_threads(struct tables_cursor *c, uint32_t page, struct errinfo *info)
{
    const struct segment_tables *t = c->tables;
    size_t count = items_of(t->counts.threads, FORMAT_THREADS_A_PAGE, page);
    uint32_t *rows = NULL;
    TRY(load_rows(c, &thread_shape, t->thread_pages, &t->thread_end, page, count, &rows, info));
    c->threads[page] = (struct profile_thread *)rows;
    return ERR_OK;
}

enum err tables_thread(struct tables_cursor *c, uint32_t id, struct profile_thread *ret,
                       struct errinfo *info)
{
    if (id >= c->tables->counts.threads)
        return no_such(info, "thread", id, c->tables->counts.threads);
    uint32_t page = id / FORMAT_THREADS_A_PAGE;
    if (c->threads[page] == NULL) {
        enum err rc = load_threads(c, page, info);
        if (rc != ERR_OK)
            return wrap_page(info, rc, "thread", page);
    }
    *ret = c->threads[page][id % FORMAT_THREADS_A_PAGE];
    return ERR_OK;
}

/* ---- nodes ---- */

static enum err load_nodes(struct tables_cursor *c, uint32_t page, struct errinfo *info)
{
    const struct segment_tables *t = c->tables;
    size_t count = items_of(t->counts.nodes, FORMAT_NODES_A_PAGE, page);
    struct bytes in = {0};
    enum err rc;
    TRY(view_page(t, t->node_pages, &t->node_end, page, &in, info));
    struct trie_node *nodes = take(c, count, sizeof *nodes, info, &rc);
    if (nodes != NULL)
        rc = node_page_get(in, (size_t)page * FORMAT_NODES_A_PAGE, count, nodes, info);
    for (size_t i = 0; i < count && rc == ERR_OK; i++)
        if (nodes[i].frame >= t->counts.frames)
            rc = no_such(info, "frame", nodes[i].frame, t->counts.frames);
    if (rc == ERR_OK)
        c->nodes[page] = nodes;
    return rc;
}

enum err tables_node(struct tables_cursor *c, uint32_t id, uint32_t *ret_parent,
                     uint32_t *ret_frame, struct errinfo *info)
{
    if (id >= c->tables->counts.nodes)
        return no_such(info, "node", id, c->tables->counts.nodes);
    uint32_t page = id / FORMAT_NODES_A_PAGE;
    if (c->nodes[page] == NULL) {
        enum err rc = load_nodes(c, page, info);
        if (rc != ERR_OK)
            return wrap_page(info, rc, "node", page);
    }
    const struct trie_node *node = &c->nodes[page][id % FORMAT_NODES_A_PAGE];
    *ret_parent = node->parent;
    *ret_frame = node->frame;
    return ERR_OK;
}

/* ---- the cursor ---- */

static void *take_list(struct tables_cursor *c, uint32_t count)
{
    void *list = arena_array(&c->arena, count, sizeof(void *), _Alignof(void *));
    if (list != NULL)
        memset(list, 0, count * sizeof(void *));
    return list;
}

static enum err take_lists(struct tables_cursor *c)
{
    const struct segment_tables *t = c->tables;
    c->texts = take_list(c, t->text_page_count);
    c->frames = take_list(c, page_count(t->counts.frames, FORMAT_FRAMES_A_PAGE));
    c->nodes = take_list(c, page_count(t->counts.nodes, FORMAT_NODES_A_PAGE));
    c->threads = take_list(c, page_count(t->counts.threads, FORMAT_THREADS_A_PAGE));
    return c->arena.failed;
}

enum err tables_cursor_create(const struct segment_tables *t, struct mem_account *account,
                              struct tables_cursor **ret)
{
    struct tables_cursor *c = mem_zalloc(sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->tables = t;
    arena_init(&c->arena, SIZE_MAX, account);
    enum err rc = take_lists(c);
    if (rc != ERR_OK) {
        tables_cursor_destroy(c);
        return rc;
    }
    *ret = c;
    return ERR_OK;
}

void tables_cursor_destroy(struct tables_cursor *c)
{
    if (c == NULL)
        return;
    arena_close(&c->arena);
    mem_free(c);
}

/* ---- the cursor as a source ---- */

static enum err source_text(void *self, uint32_t id, struct bytes *ret, struct errinfo *info)
{
    return tables_text(self, id, ret, info);
}

static enum err source_frame(void *self, uint32_t id, struct segment_frame *ret,
                             struct errinfo *info)
{
    return tables_frame(self, id, ret, info);
}

static enum err source_node(void *self, uint32_t id, uint32_t *ret_parent, uint32_t *ret_frame,
                            struct errinfo *info)
{
    return tables_node(self, id, ret_parent, ret_frame, info);
}

static enum err source_thread(void *self, uint32_t id, struct profile_thread *ret,
                              struct errinfo *info)
{
    return tables_thread(self, id, ret, info);
}

struct tables_source tables_cursor_source(struct tables_cursor *c)
{
    return (struct tables_source){.self = c,
                                  .text = source_text,
                                  .frame = source_frame,
                                  .node = source_node,
                                  .thread = source_thread};
}
