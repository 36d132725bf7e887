#include "storage/part.h"

#include <inttypes.h>

#include "base/size.h"
#include "base/sort.h"

void part_view_init(struct part_view *v, const struct part *part, struct mem_account *account)
{
    *v = (struct part_view){.part = part, .account = account};
    if (part->log != NULL)
        v->log = log_index_whole_view(part->log->index);
}

void part_view_drop_pages(struct part_view *v)
{
    link_cursor_destroy(v->links);
    tables_cursor_destroy(v->tables);
    v->links = NULL;
    v->tables = NULL;
}

void part_view_close(struct part_view *v)
{
    part_view_drop_pages(v);
    *v = (struct part_view){0};
}

enum err part_view_tables(struct part_view *v, struct tables_cursor **ret)
{
    if (v->tables == NULL)
        TRY(tables_cursor_create(&v->part->segment->tables, v->account, &v->tables));
    *ret = v->tables;
    return ERR_OK;
}

uint32_t part_row_count(const struct part_view *v)
{
    if (v->part->log != NULL)
        return v->log.row_count;
    return segment_row_count(v->part->segment);
}

uint32_t part_link_count(const struct part_view *v)
{
    return v->part->log != NULL ? v->log.link_count : v->part->segment->counts.links;
}

bool part_row_visible(const struct part_view *v, uint32_t id)
{
    if (v->part->log != NULL && !log_view_row_visible(&v->log, id))
        return false;
    return !hidden_has(&v->part->rows, id);
}

bool part_link_visible(const struct part_view *v, uint32_t id)
{
    if (v->part->log != NULL && !log_view_link_visible(&v->log, id))
        return false;
    return !hidden_has(&v->part->links, id);
}

/* Ordinals of a set follow its first arrival. */
uint64_t part_row_arrival(const struct part_view *v, uint32_t id)
{
    struct segment_row_place place;
    if (v->part->log != NULL)
        return v->part->log->first_arrival + id;
    return segment_rows_place(v->part->segment->rows, id, &place) == ERR_OK ? place.arrival : 0;
}

/* ---- keys ---- */

/* Equal keys have equal starts, except those of transaction profiles. */
static bool may_have(const struct segment *s, const struct record *key)
{
    if (segment_is_damaged(s))
        return false;
    int64_t start_ns = key->kind == RECORD_LINK ? key->link.start_ns : key->start_ns;
    return key->kind == RECORD_TRANSACTION ||
           (s->facts.start_ns <= start_ns && start_ns <= s->facts.end_ns);
}

static enum err find_in_segment(struct part_view *v, const struct record *key, struct part_key *ret)
{
    const struct segment *s = v->part->segment;
    struct segment_row_place place;
    struct part_link link;
    if (!may_have(s, key))
        return ERR_NOTFOUND;
    if (key->kind == RECORD_LINK) {
        TRY(segment_rows_find_span(s->rows, &key->link, &ret->id));
        TRY(part_link(v, ret->id, &link, NULL));
        ret->content = link.content;
        ret->damaged = false;
        return ERR_OK;
    }
    TRY(segment_rows_find_key(s->rows, key, &ret->id));
    TRY(segment_rows_place(s->rows, ret->id, &place));
    ret->content = place.content;
    ret->damaged = !segment_has_block(s, ret->id);
    return ERR_OK;
}

static enum err find_in_log(const struct part_view *v, const struct record *key,
                            struct part_key *ret)
{
    if (!log_view_find_key(&v->log, key, &ret->id))
        return ERR_NOTFOUND;
    if (key->kind == RECORD_LINK) {
        (void)log_view_link(&v->log, ret->id, &ret->content);
        ret->damaged = false;
        return ERR_OK;
    }
    struct record there;
    log_view_record(&v->log, ret->id, &there);
    ret->content = there.content;
    ret->damaged = log_view_is_damaged(&v->log, ret->id);
    return ERR_OK;
}

enum err part_find_key(struct part_view *v, const struct record *key, struct part_key *ret)
{
    struct part_key found;
    TRY(v->part->log != NULL ? find_in_log(v, key, &found) : find_in_segment(v, key, &found));
    bool visible =
        key->kind == RECORD_LINK ? part_link_visible(v, found.id) : part_row_visible(v, found.id);
    if (!visible)
        return ERR_NOTFOUND;
    *ret = found;
    return ERR_OK;
}

/* ---- hidden rows ---- */

static enum err hide_kind(struct part *part, const struct log_index *open, bool link,
                          struct manifest_hidden *hidden)
{
    size_t count = 0;
    size_t all = log_index_hide_count(open);
    for (size_t i = 0; i < all; i++) {
        struct log_hidden hide = log_index_hidden(open, i);
        count += hide.part == part->uid && hide.link == link;
    }
    if (count == 0)
        return ERR_OK;
    uint32_t *ids = mem_array(count, sizeof *ids);
    if (ids == NULL)
        return ERR_NOMEM;
    count = 0;
    for (size_t i = 0; i < all; i++) {
        struct log_hidden hide = log_index_hidden(open, i);
        if (hide.part == part->uid && hide.link == link)
            ids[count++] = hide.id;
    }
    enum err rc = hidden_add(hidden, ids, count);
    mem_free(ids);
    return rc;
}

enum err part_hide_by(struct part *part, const struct log_index *open)
{
    TRY(hide_kind(part, open, false, &part->rows));
    return hide_kind(part, open, true, &part->links);
}

/* ---- facts and blocks ---- */

enum err part_record(const struct part_view *v, uint32_t id, struct record *ret)
{
    if (v->part->log == NULL)
        return segment_rows_record(v->part->segment->rows, id, ret);
    log_view_record(&v->log, id, ret);
    return ERR_OK;
}

enum err part_link(struct part_view *v, uint32_t id, struct part_link *ret, struct errinfo *info)
{
    if (v->part->log != NULL) {
        ret->link = log_view_link(&v->log, id, &ret->content);
        ret->arrival = v->part->log->first_arrival + id;
        return ERR_OK;
    }
    if (v->links == NULL) {
        struct tables_cursor *tables;
        enum err rc = part_view_tables(v, &tables);
        if (rc != ERR_OK)
            return err_set(info, rc, "no room to read the tables of a segment");
        TRY(link_cursor_create(v->part->segment->rows, tables, v->account, &v->links, info));
    }
    return link_cursor_get(v->links, id, &ret->link, &ret->content, &ret->arrival, info);
}

enum err part_read_profile(struct part_view *v, uint32_t id, struct arena *arena, struct profile *p,
                           struct errinfo *info)
{
    struct record r;
    struct tables_cursor *tables;
    if (part_record(v, id, &r) != ERR_OK)
        return err_set(info, ERR_CORRUPT, "facts of row %" PRIu32 " are damaged", id);
    *p = (struct profile){.kind = (enum profile_kind)r.kind,
                          .organization_id = r.organization_id,
                          .project_id = r.project_id,
                          .retention_days = r.retention_days,
                          .received_ns = r.received_ns,
                          .profiler_id = r.profiler_id,
                          .id = r.id,
                          .trace_id = r.trace_id,
                          .transaction_id = r.transaction_id};
    if (v->part->log != NULL)
        return log_set_read_profile(v->part->log, log_view_place(&v->log, id), arena, p, info);
    enum err rc = part_view_tables(v, &tables);
    if (rc != ERR_OK)
        return err_set(info, rc, "no room to read the tables of a segment");
    return segment_read_profile(v->part->segment, id, tables, arena, p, info);
}
