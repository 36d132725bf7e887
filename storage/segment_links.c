/* segment_links.c - the links of a segment, read; storage/segment_rows.h says what. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "storage/link_page.h"
#include "storage/page.h"
#include "storage/segment_rows_parts.h"

#define PAGE_MEMORY_MAX (LINK_PAGE_RAW_MAX + KIB(4)) /* and what an arena takes beside it */

/* ---- times ---- */

static struct rows_spans link_spans(const struct segment_rows *r)
{
    return (struct rows_spans){&r->link_start, &r->link_duration, &r->link_back};
}

enum err segment_rows_link_span(const struct segment_rows *r, uint32_t link, int64_t *ret_start_ns,
                                int64_t *ret_end_ns)
{
    struct rows_spans spans = link_spans(r);
    if (link >= r->counts.links)
        return ERR_CORRUPT;
    return rows_load_span(&spans, link, ret_start_ns, ret_end_ns);
}

enum err segment_rows_find_links(const struct segment_rows *r, struct segment_project project,
                                 int64_t start_ns, int64_t end_ns, uint32_t *ret_from,
                                 uint32_t *ret_end)
{
    struct rows_spans spans = link_spans(r);
    assert(project.link_first <= project.link_end && project.link_end <= r->counts.links);
    return rows_find_span(&spans, project.link_first, project.link_end, start_ns, end_ns, ret_from,
                          ret_end);
}

/* ---- traces ---- */

static enum err load_trace(const struct segment_rows *r, uint32_t trace, struct segment_trace *ret)
{
    uint32_t links = r->counts.links;
    TRY(rows_load_first(&r->trace_first, trace, 1, links, &ret->first));
    ret->end = links;
    if (trace + 1 < r->counts.traces)
        TRY(rows_load_first(&r->trace_first, trace + 1, 1, links, &ret->end));
    return ret->first < ret->end ? ERR_OK : ERR_CORRUPT;
}

enum err segment_rows_trace_link(const struct segment_rows *r, uint32_t place, uint32_t *ret_link)
{
    if (place >= r->counts.links)
        return ERR_CORRUPT;
    return rows_load_up_to(&r->trace_link, place, r->counts.links - 1, ret_link);
}

/* Whose trace it is says the number of any of its links. */
static enum err is_trace(const struct segment_rows *r, uint32_t trace,
                         const struct segment_project *project, struct uuid trace_id,
                         struct segment_trace *ret, bool *ret_is)
{
    struct uuid there;
    uint32_t link;
    *ret_is = false;
    if (!sixteens_get_uuid(&r->trace_id, trace, &there))
        return ERR_CORRUPT;
    if (!uuid_equal(there, trace_id))
        return ERR_OK;
    TRY(load_trace(r, trace, ret));
    TRY(segment_rows_trace_link(r, ret->first, &link));
    *ret_is = link >= project->link_first && link < project->link_end;
    return ERR_OK;
}

enum err segment_rows_find_trace(const struct segment_rows *r, uint64_t project_id,
                                 struct uuid trace_id, struct segment_trace *ret)
{
    struct segment_project project;
    TRY(segment_rows_find_project(r, project_id, &project));
    uint64_t hash = rows_key_hash(r->hash_seed, RECORD_LINK, project_id, trace_id);
    struct slots_search search = slots_begin(&r->trace_slots, hash);
    bool found = false;
    while (!found) {
        uint32_t trace;
        TRY(slots_next(&r->trace_slots, &search, &trace));
        TRY(is_trace(r, trace, &project, trace_id, ret, &found));
    }
    return ERR_OK;
}

/* By span, then start. */
static enum err compare_key(const struct segment_rows *r, uint32_t link, const struct link *key,
                            int *ret)
{
    uint64_t span;
    int64_t start_ns;
    int64_t end_ns;
    TRY(rows_load(&r->link_span, link, &span));
    TRY(segment_rows_link_span(r, link, &start_ns, &end_ns));
    *ret = (span > key->span_id) - (span < key->span_id);
    if (*ret == 0)
        *ret = (start_ns > key->start_ns) - (start_ns < key->start_ns);
    return ERR_OK;
}

enum err segment_rows_find_span(const struct segment_rows *r, const struct link *key,
                                uint32_t *ret_link)
{
    struct segment_trace trace;
    TRY(segment_rows_find_trace(r, key->project_id, key->trace_id, &trace));
    while (trace.first < trace.end) {
        uint32_t middle = trace.first + (trace.end - trace.first) / 2;
        uint32_t link;
        int order;
        TRY(segment_rows_trace_link(r, middle, &link));
        TRY(compare_key(r, link, key, &order));
        if (order == 0) {
            *ret_link = link;
            return ERR_OK;
        }
        if (order < 0)
            trace.first = middle + 1;
        else
            trace.end = middle;
    }
    return ERR_NOTFOUND;
}

/* ---- whole links ---- */

struct link_cursor {
    const struct segment_rows *rows;
    struct tables_cursor *tables;
    struct mem_account *account;
    struct arena unpacked; /* of the page */
    struct buffer scratch; /* of a content hash */
    uint32_t page;         /* UINT32_MAX: none yet */
    struct link_item items[FORMAT_LINKS_A_PAGE];
    uint64_t span_ids[FORMAT_LINKS_A_PAGE];
};

enum err link_cursor_create(const struct segment_rows *r, struct tables_cursor *tables,
                            struct mem_account *account, struct link_cursor **ret,
                            struct errinfo *info)
{
    enum err rc = account == NULL ? ERR_OK : mem_account_reserve(account, sizeof **ret);
    if (rc != ERR_OK)
        return err_set(info, rc, "links: no room to read them");
    struct link_cursor *c = mem_zalloc(sizeof *c);
    if (c == NULL) {
        if (account != NULL)
            mem_account_release(account, sizeof *c);
        return err_set(info, ERR_NOMEM, "links: no memory to read them");
    }
    c->rows = r;
    c->tables = tables;
    c->account = account;
    c->page = UINT32_MAX;
    arena_init(&c->unpacked, PAGE_MEMORY_MAX, account);
    buffer_init(&c->scratch, FACTS_SIZE_MAX, account);
    *ret = c;
    return ERR_OK;
}

void link_cursor_destroy(struct link_cursor *c)
{
    if (c == NULL)
        return;
    arena_close(&c->unpacked);
    buffer_close(&c->scratch);
    if (c->account != NULL)
        mem_account_release(c->account, sizeof *c);
    mem_free(c);
}

static enum err view_page(const struct segment_rows *r, uint32_t page, struct bytes *ret,
                          struct errinfo *info)
{
    uint64_t begin = 0;
    uint64_t end = 0;
    if ((page > 0 && !packed_get(&r->link_end, page - 1, &begin)) ||
        !packed_get(&r->link_end, page, &end))
        return err_set(info, ERR_CORRUPT, "its place is damaged");
    if (begin > end || end > r->link_pages.size)
        return err_set(info, ERR_CORRUPT,
                       "from %" PRIu64 " to %" PRIu64 ": expected within %" PRIu64 " bytes", begin,
                       end, r->link_pages.size);
    return segment_file_view(r->file, r->link_pages.offset + begin, end - begin, ret, info);
}

/* Pages are small: one that says that it is large is not unpacked. */
static enum err unpack_page(struct link_cursor *c, uint32_t page, struct bytes *ret,
                            struct errinfo *info)
{
    struct bytes in = {0};
    struct bytes stored = {0};
    size_t raw_size = 0;
    TRY(view_page(c->rows, page, &in, info));
    TRY(page_verify(in, page, &raw_size, &stored, info));
    if (raw_size > LINK_PAGE_RAW_MAX)
        return err_set(info, ERR_CORRUPT, "%zu bytes unpacked: expected at most %zu", raw_size,
                       LINK_PAGE_RAW_MAX);
    return page_unpack(in, page, &c->unpacked, ret, info);
}

static enum err load_page(struct link_cursor *c, uint32_t page, struct errinfo *info)
{
    uint32_t first = page * FORMAT_LINKS_A_PAGE;
    uint32_t left = c->rows->counts.links - first;
    uint32_t count = left < FORMAT_LINKS_A_PAGE ? left : FORMAT_LINKS_A_PAGE;
    struct bytes raw = {0};
    TRY(unpack_page(c, page, &raw, info));
    for (uint32_t i = 0; i < count; i++)
        if (!packed_get(&c->rows->link_span, first + i, &c->span_ids[i]))
            return err_set(info, ERR_CORRUPT, "its span ids are damaged");
    return link_page_decode(raw, c->span_ids, count, c->items, info);
}

/* Afterwards the page of the link is decoded. */
static enum err need_page(struct link_cursor *c, uint32_t link, struct errinfo *info)
{
    char prefix[32];
    uint32_t page = link / FORMAT_LINKS_A_PAGE;
    if (c->page == page)
        return ERR_OK;
    c->page = UINT32_MAX;
    arena_close(&c->unpacked);
    enum err rc = load_page(c, page, info);
    if (rc == ERR_OK) {
        c->page = page;
        return ERR_OK;
    }
    (void)snprintf(prefix, sizeof prefix, "links: page %" PRIu32, page);
    return err_wrap(info, rc, prefix);
}

static enum err get_profiler(const struct segment_rows *r, const struct link_item *item,
                             struct uuid *ret)
{
    *ret = item->profiler_id;
    if (item->profiler_run == LINK_ITEM_NO_RUN)
        return ERR_OK;
    if (item->profiler_run >= r->counts.chunk_runs)
        return ERR_CORRUPT;
    return sixteens_get_uuid(&r->run_profiler, item->profiler_run, ret) ? ERR_OK : ERR_CORRUPT;
}

/* What the columns and other parts of the segment say of it. */
static enum err get_facts(const struct segment_rows *r, uint32_t link, const struct link_item *item,
                          struct link *ret)
{
    uint32_t project;
    TRY(rows_find_owner(&r->project_link, 0, r->counts.projects, link, &project));
    TRY(rows_load(&r->project_id, project, &ret->project_id));
    TRY(get_profiler(r, item, &ret->profiler_id));
    if (item->trace >= r->counts.traces ||
        !sixteens_get_uuid(&r->trace_id, item->trace, &ret->trace_id))
        return ERR_CORRUPT;
    return segment_rows_link_span(r, link, &ret->start_ns, &ret->end_ns);
}

static enum err get_texts(struct link_cursor *c, const struct link_item *item, struct link *ret,
                          struct errinfo *info)
{
    struct bytes text[LINK_TEXT_COUNT];
    for (size_t i = 0; i < LINK_TEXT_COUNT; i++)
        TRY(tables_text(c->tables, item->text[i], &text[i], info));
    record_set_link_texts(ret, text);
    return ERR_OK;
}

enum err link_cursor_get(struct link_cursor *c, uint32_t link, struct link *ret,
                         struct hash128 *ret_content, uint64_t *ret_arrival, struct errinfo *info)
{
    if (link >= c->rows->counts.links)
        return err_set(info, ERR_CORRUPT, "links: number %" PRIu32 " of %" PRIu32, link,
                       c->rows->counts.links);
    TRY(need_page(c, link, info));
    const struct link_item *item = &c->items[link % FORMAT_LINKS_A_PAGE];
    struct link found = {.transaction_id = item->transaction_id,
                         .span_id = c->span_ids[link % FORMAT_LINKS_A_PAGE],
                         .parent_span_id = item->parent_span_id,
                         .is_segment = item->is_segment};
    if (get_facts(c->rows, link, item, &found) != ERR_OK)
        return err_set(info, ERR_CORRUPT, "links: number %" PRIu32 " is damaged", link);
    TRY(get_texts(c, item, &found, info));
    struct hash128 content = item->content;
    if (!item->has_content && record_link_content(&found, &c->scratch, &content) != ERR_OK)
        return err_set(info, c->scratch.failed, "links: no room for the texts of one");
    *ret = found;
    *ret_content = content;
    *ret_arrival = item->arrival;
    return ERR_OK;
}
