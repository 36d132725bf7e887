/* snapshot_filter.c - conditions on tags as one set of rows a segment; rows of logs one by one. */
#include "storage/snapshot_parts.h"

/* What is known of one part. */
struct part_filter {
    bool known;
    bool row_by_row;     /* a log set, or an index that is damaged */
    struct bitmap *rows; /* NULL: every row */
};

struct snapshot_filter {
    const struct snapshot *snap;
    const struct filter_request *request;
    struct mem_account *account;
    bool takes_all;
    struct part_filter *parts;
};

static bool takes_all(const struct filter_request *q)
{
    return q->environments.count + q->releases.count + q->platforms.count == 0 &&
           q->transaction.data == NULL;
}

enum err snapshot_filter_create(const struct snapshot *snap, const struct filter_request *request,
                                struct mem_account *account, struct snapshot_filter **ret)
{
    struct snapshot_filter *f = mem_zalloc(sizeof *f);
    if (f == NULL)
        return ERR_NOMEM;
    *f = (struct snapshot_filter){.snap = snap,
                                  .request = request,
                                  .account = account,
                                  .takes_all = takes_all(request),
                                  .parts = mem_array(snap->view_count, sizeof *f->parts)};
    if (f->parts == NULL) {
        mem_free(f);
        return ERR_NOMEM;
    }
    memset(f->parts, 0, snap->view_count * sizeof *f->parts);
    *ret = f;
    return ERR_OK;
}

void snapshot_filter_destroy(struct snapshot_filter *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->snap->view_count; i++)
        bitmap_destroy(f->parts[i].rows);
    mem_free(f->parts);
    mem_free(f);
}

/* ---- row by row ---- */

static bool has_text(struct text_list list, struct bytes text)
{
    for (size_t i = 0; i < list.count; i++)
        if (bytes_equal(list.texts[i], text))
            return true;
    return list.count == 0;
}

static enum err compare_row(const struct snapshot_filter *f, row_id id, bool *ret)
{
    const struct filter_request *q = f->request;
    struct record r;
    TRY(part_record(&f->snap->views[row_part(id)], row_ordinal(id), &r));
    *ret = has_text(q->environments, r.text[TEXT_ENVIRONMENT]) &&
           has_text(q->releases, r.text[TEXT_RELEASE]) &&
           has_text(q->platforms, r.text[TEXT_PLATFORM]) &&
           (q->transaction.data == NULL || r.kind != RECORD_TRANSACTION ||
            bytes_equal(q->transaction, r.text[TEXT_TRANSACTION]));
    return ERR_OK;
}

/* ---- as sets ---- */

/* Rows with any of the texts; of transactions also all chunks. */
static enum err find_any(const struct tag_index *t, enum tag_dimension d, struct text_list texts,
                         struct bitmap *rows)
{
    for (size_t i = 0; i < texts.count; i++)
        TRY(tag_index_find_text(t, d, texts.texts[i], rows, NULL));
    return d == TAG_TRANSACTION ? tag_index_find_kind(t, PROFILE_CHUNK, rows) : ERR_OK;
}

static enum err narrow(const struct snapshot_filter *f, const struct tag_index *t,
                       enum tag_dimension d, struct text_list texts, struct bitmap **rows)
{
    struct bitmap *any = NULL;
    if (texts.count == 0)
        return ERR_OK;
    TRY(bitmap_create(t->row_count, f->account, &any));
    enum err rc = find_any(t, d, texts, any);
    if (rc == ERR_OK && *rows == NULL) {
        *rows = any;
        return ERR_OK;
    }
    if (rc == ERR_OK)
        rc = bitmap_and(*rows, any);
    bitmap_destroy(any);
    return rc;
}

static enum err find_rows(const struct snapshot_filter *f, const struct tag_index *t,
                          struct bitmap **rows)
{
    const struct filter_request *q = f->request;
    struct text_list names = {&q->transaction, q->transaction.data != NULL};
    TRY(narrow(f, t, TAG_ENVIRONMENT, q->environments, rows));
    TRY(narrow(f, t, TAG_RELEASE, q->releases, rows));
    TRY(narrow(f, t, TAG_PLATFORM, q->platforms, rows));
    return narrow(f, t, TAG_TRANSACTION, names, rows);
}

static enum err learn_part(const struct snapshot_filter *f, uint32_t part, struct part_filter *p)
{
    const struct segment *s = view_segment(&f->snap->views[part]);
    struct bitmap *rows = NULL;
    enum err rc = s == NULL ? ERR_CORRUPT : find_rows(f, &s->tags, &rows);
    if (rc != ERR_OK)
        bitmap_destroy(rows);
    if (rc != ERR_OK && rc != ERR_CORRUPT)
        return rc;
    *p = (struct part_filter){
        .known = true, .row_by_row = rc == ERR_CORRUPT, .rows = rc == ERR_OK ? rows : NULL};
    return ERR_OK;
}

enum err snapshot_filter_accepts(struct snapshot_filter *f, row_id id, bool *ret)
{
    struct part_filter *p = &f->parts[row_part(id)];
    if (!f->takes_all && !p->known)
        TRY(learn_part(f, row_part(id), p));
    if (p->row_by_row)
        return compare_row(f, id, ret);
    *ret = p->rows == NULL || bitmap_contains(p->rows, row_ordinal(id));
    return ERR_OK;
}
