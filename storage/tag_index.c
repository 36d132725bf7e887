/* tag_index.c - keys found in pages, sets read behind them. */
#include "storage/tag_index.h"

#include <inttypes.h>

#include "storage/bits.h"
#include "storage/number_list.h"
#include "storage/row_set.h"
#include "storage/tag_index_parts.h"

/* ---- opening ---- */

static enum err open_section(const struct segment_file *f, enum format_section kind,
                             struct segment_section *ret, struct errinfo *info)
{
    if (segment_file_section(f, kind, ret))
        return ERR_OK;
    return err_set(info, ERR_CORRUPT, "index of tags: section %d is missing", (int)kind);
}

static enum err read_counts(struct tag_index *t, struct errinfo *info)
{
    struct bytes head = {0};
    TRY(segment_file_view(t->file, t->keys.offset, FORMAT_KEYS_HEAD_SIZE, &head, info));
    struct reader r = reader_of(head);
    t->key_count = reader_u32(&r);
    t->set_count = reader_u32(&r);
    return ERR_OK;
}

static enum err open_index(struct tag_index *t, struct errinfo *info)
{
    if (t->keys.size < FORMAT_KEYS_HEAD_SIZE)
        return err_set(info, ERR_CORRUPT, "index of tags: keys of %" PRIu64 " bytes", t->keys.size);
    TRY(read_counts(t, info));
    size_t pages =
        t->key_count / FORMAT_KEYS_A_PAGE + (size_t)(t->key_count % FORMAT_KEYS_A_PAGE > 0);
    t->keys.offset += FORMAT_KEYS_HEAD_SIZE;
    t->keys.size -= FORMAT_KEYS_HEAD_SIZE;
    TRY(packed_open(t->file, SECTION_BITMAP_KEY_FIRST, pages, &t->page_first, info));
    TRY(packed_open(t->file, SECTION_BITMAP_KEY_END, pages, &t->page_end, info));
    TRY(open_section(t->file, SECTION_BITMAP_SETS, &t->sets, info));
    return packed_open(t->file, SECTION_BITMAP_SET_END, t->set_count, &t->set_end, info);
}

enum err tag_index_open(const struct segment_file *f, const struct segment_rows *rows,
                        struct tag_index *ret, struct errinfo *info)
{
    const struct segment_counts *counts = segment_rows_counts(rows);
    struct tag_index t = {
        .file = f, .rows = rows, .row_count = counts->chunks + counts->transactions};
    t.is_there = segment_file_section(f, SECTION_BITMAP_KEYS, &t.keys);
    if (t.is_there)
        TRY(open_index(&t, info));
    *ret = t;
    return ERR_OK;
}

/* ---- pages ---- */

struct key_page {
    size_t count;
    size_t text_count;
    uint64_t keys[FORMAT_KEYS_A_PAGE];
    uint32_t sets[FORMAT_KEYS_A_PAGE];
    uint32_t texts[FORMAT_KEYS_A_PAGE]; /* of the keys that are threads, in their order */
};

static enum err damaged_page(uint32_t page, const char *expected, struct errinfo *info)
{
    return err_set(info, ERR_CORRUPT, "index of tags: page %" PRIu32 ": expected %s", page,
                   expected);
}

/* Where item `at` of a section is whose ends are in a column. */
static enum err view_item(const struct tag_index *t, const struct packed *ends, uint32_t at,
                          struct segment_section section, struct bytes *ret, struct errinfo *info)
{
    uint64_t begin = 0;
    uint64_t end = 0;
    if ((at > 0 && !packed_get(ends, at - 1, &begin)) || !packed_get(ends, at, &end))
        return err_set(info, ERR_CORRUPT, "index of tags: a column is damaged");
    if (begin > end || end > section.size)
        return err_set(info, ERR_CORRUPT,
                       "index of tags: item %" PRIu32 " at %" PRIu64 " to %" PRIu64 " of %" PRIu64,
                       at, begin, end, section.size);
    return segment_file_view(t->file, section.offset + begin, end - begin, ret, info);
}

static enum err get_keys(struct bits_reader *r, struct key_page *p, uint64_t first, uint32_t page,
                         struct errinfo *info)
{
    uint64_t steps[FORMAT_KEYS_A_PAGE];
    number_list_get(r, NUMBERS_PLAIN, steps, p->count - 1);
    p->keys[0] = first;
    for (size_t i = 1; i < p->count; i++)
        if (__builtin_add_overflow(p->keys[i - 1], steps[i - 1], &p->keys[i]))
            return damaged_page(page, "keys of 64 bits", info);
    for (size_t i = 0; i < p->count; i++)
        p->text_count += tag_key_dimension(p->keys[i]) == TAG_THREAD;
    return ERR_OK;
}

static enum err read_page(const struct tag_index *t, uint32_t page, struct key_page *ret,
                          struct errinfo *info)
{
    uint64_t first = 0;
    struct bits_reader r = {0};
    uint32_t left = t->key_count - page * FORMAT_KEYS_A_PAGE;
    ret->count = left < FORMAT_KEYS_A_PAGE ? left : FORMAT_KEYS_A_PAGE;
    ret->text_count = 0;
    TRY(view_item(t, &t->page_end, page, t->keys, &r.in, info));
    if (!packed_get(&t->page_first, page, &first))
        return damaged_page(page, "a first key", info);
    TRY(get_keys(&r, ret, first, page, info));
    number_list_get32(&r, ret->sets, ret->count);
    number_list_get32(&r, ret->texts, ret->text_count);
    if (bits_rest(&r).len > 0 || r.failed)
        return damaged_page(page, "lists that end with it", info);
    for (size_t i = 0; i < ret->count; i++)
        if (ret->sets[i] > t->set_count)
            return damaged_page(page, "sets that are there", info);
    return ERR_OK;
}

/* The first page that may have the key: the last that begins below it. */
static enum err find_page(const struct tag_index *t, uint64_t key, uint32_t *ret,
                          struct errinfo *info)
{
    uint32_t low = 0;
    uint32_t high = t->page_first.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t first = 0;
        if (!packed_get(&t->page_first, middle, &first))
            return damaged_page(middle, "a first key", info);
        if (first < key)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low > 0 ? low - 1 : 0;
    return ERR_OK;
}

/* ---- finding ---- */

static enum err add_set(const struct tag_index *t, uint32_t set, struct bitmap *rows,
                        struct errinfo *info)
{
    struct bytes bytes = {0};
    if (set == TAG_SET_ALL) {
        enum err rc = bitmap_add_range(rows, 0, t->row_count);
        return rc == ERR_OK ? ERR_OK : err_set(info, rc, "index of tags: no room for all rows");
    }
    TRY(view_item(t, &t->set_end, set - 1, t->sets, &bytes, info));
    return row_set_get(bytes, rows, info);
}

/* A key that is looked for; of threads also its text, told by the tables. */
struct search {
    const struct tag_index *t;
    uint64_t key;
    struct tables_cursor *tables;
    struct bytes name;
    struct bitmap *rows;
    struct errinfo *info;
};

static enum err add_thread(struct search *s, uint32_t text, uint32_t set)
{
    struct bytes name = {0};
    TRY(tables_text(s->tables, text, &name, s->info));
    return bytes_equal(name, s->name) ? add_set(s->t, set, s->rows, s->info) : ERR_OK;
}

static enum err add_matches(struct search *s, const struct key_page *page)
{
    size_t text = 0;
    for (size_t i = 0; i < page->count && page->keys[i] <= s->key; i++) {
        bool thread = tag_key_dimension(page->keys[i]) == TAG_THREAD;
        if (page->keys[i] == s->key)
            TRY(thread ? add_thread(s, page->texts[text], page->sets[i])
                       : add_set(s->t, page->sets[i], s->rows, s->info));
        text += thread;
    }
    return ERR_OK;
}

static enum err find_key(struct search *s)
{
    struct key_page page;
    uint32_t at = 0;
    TRY(find_page(s->t, s->key, &at, s->info));
    for (; at < s->t->page_first.count; at++) {
        TRY(read_page(s->t, at, &page, s->info));
        TRY(add_matches(s, &page));
        if (page.keys[page.count - 1] > s->key)
            break;
    }
    return ERR_OK;
}

enum err tag_index_find_unknown(const struct tag_index *t, struct bitmap *rows,
                                struct errinfo *info)
{
    struct search s = {.t = t, .key = tag_key(TAG_UNKNOWN, 0), .rows = rows, .info = info};
    return t->is_there ? find_key(&s) : add_set(t, TAG_SET_ALL, rows, info);
}

/* Without an index: row by row. */
static enum err compare_rows(const struct tag_index *t, enum tag_dimension d, uint32_t tag,
                             struct bitmap *rows)
{
    uint32_t first = d == TAG_TRANSACTION ? segment_rows_counts(t->rows)->chunks : 0;
    for (uint32_t row = first; row < t->row_count; row++) {
        uint32_t there = 0;
        TRY(segment_rows_row_tag(t->rows, row, tag_text_of(d), &there));
        if (there == tag)
            TRY(bitmap_add(rows, row));
    }
    return ERR_OK;
}

enum err tag_index_find_text(const struct tag_index *t, enum tag_dimension dimension,
                             struct bytes text, struct bitmap *rows, struct errinfo *info)
{
    uint32_t tag = 0;
    enum err rc = segment_rows_find_tag(t->rows, text, &tag);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    if (rc == ERR_OK && t->is_there) {
        struct search s = {.t = t, .key = tag_key(dimension, tag), .rows = rows, .info = info};
        return find_key(&s);
    }
    if (rc == ERR_OK)
        rc = compare_rows(t, dimension, tag, rows);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "index of tags: a column cannot be read");
}

enum err tag_index_find_kind(const struct tag_index *t, enum profile_kind kind, struct bitmap *rows)
{
    uint32_t chunks = segment_rows_counts(t->rows)->chunks;
    return kind == PROFILE_CHUNK ? bitmap_add_range(rows, 0, chunks)
                                 : bitmap_add_range(rows, chunks, t->row_count);
}

enum err tag_index_find_thread(const struct tag_index *t, struct tables_cursor *tables,
                               struct bytes name, struct bitmap *rows, struct errinfo *info)
{
    struct search s = {.t = t,
                       .key = tag_key(TAG_THREAD, tag_thread_value(name)),
                       .tables = tables,
                       .name = name,
                       .rows = rows,
                       .info = info};
    TRY(tag_index_find_unknown(t, rows, info));
    return t->is_there ? find_key(&s) : ERR_OK;
}

enum err tag_index_find_function(const struct tag_index *t, uint32_t fingerprint,
                                 struct bitmap *rows, struct errinfo *info)
{
    struct search s = {
        .t = t, .key = tag_key(TAG_FUNCTION, fingerprint), .rows = rows, .info = info};
    TRY(tag_index_find_unknown(t, rows, info));
    return t->is_there ? find_key(&s) : ERR_OK;
}

/* ---- verifying ---- */

static enum err verify_sets(const struct tag_index *t, struct bitmap *rows, struct errinfo *info)
{
    for (uint32_t set = 1; set <= t->set_count; set++)
        TRY(add_set(t, set, rows, info));
    return ERR_OK;
}

static enum err verify_pages(const struct tag_index *t, struct errinfo *info)
{
    uint64_t last = 0;
    for (uint32_t at = 0; at < t->page_first.count; at++) {
        struct key_page page;
        TRY(read_page(t, at, &page, info));
        if (page.keys[0] < last)
            return damaged_page(at, "keys in ascending order", info);
        last = page.keys[page.count - 1];
    }
    return ERR_OK;
}

enum err tag_index_verify(const struct tag_index *t, struct errinfo *info)
{
    struct bitmap *rows = NULL;
    if (!t->is_there)
        return ERR_OK;
    TRY(verify_pages(t, info));
    enum err rc = bitmap_create(t->row_count, NULL, &rows);
    if (rc != ERR_OK)
        return err_set(info, rc, "index of tags: no room to read its sets");
    rc = verify_sets(t, rows, info);
    bitmap_destroy(rows);
    return rc;
}
