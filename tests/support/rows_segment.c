#include "tests/support/rows_segment.h"

#include <assert.h>

/* ---- writing ---- */

struct writing {
    struct rows_builder *rows;
    struct tables_builder *tables;
    struct segment_file_writer *file;
    struct uuid id;
};

static enum err add_items(struct writing *w, const struct rows_item *items, size_t count,
                          struct errinfo *info)
{
    uint64_t block_end = 0;
    for (size_t i = 0; i < count; i++) {
        const struct record *r = &items[i].record;
        if (r->kind == RECORD_LINK) {
            TRY(rows_builder_add_link(w->rows, w->tables, &r->link, r->content, items[i].arrival,
                                      info));
            continue;
        }
        block_end += r->block_size;
        TRY(rows_builder_add(w->rows, r, items[i].arrival, block_end, items[i].flags, info));
    }
    return ERR_OK;
}

static void put_facts(struct segment_file_writer *w, const struct segment_counts *rows,
                      const struct segment_tables_counts *tables)
{
    uint32_t facts[] = {rows->chunks,   rows->transactions, rows->links,    rows->traces,
                        rows->runs,     rows->chunk_runs,   rows->sources,  rows->tags,
                        rows->projects, tables->texts,      tables->frames, tables->nodes,
                        tables->threads};
    segment_file_begin(w, SECTION_FACTS);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        uint8_t number[4];
        put_u32(number, facts[i]);
        segment_file_put(w, bytes_of(number, sizeof number));
    }
}

static enum err write_all(struct writing *w, struct errinfo *info)
{
    struct segment_counts counts;
    struct segment_tables_counts tables = tables_builder_counts(w->tables);
    uint64_t size;
    TRY(tables_builder_write(w->tables, w->file, info));
    TRY(rows_builder_write(w->rows, w->file, w->id, &counts, info));
    put_facts(w->file, &counts, &tables);
    return segment_file_finish(w->file, &size, info);
}

static struct hash128 no_identity(const struct profile *p, const struct profile_frame *f)
{
    (void)p;
    return (struct hash128){f->function, f->line};
}

static uint32_t no_fingerprint(const struct profile *p, const struct profile_frame *f)
{
    (void)p;
    return f->function;
}

enum err rows_segment_write(struct vfs *v, const char *path, const struct rows_item *items,
                            size_t count, struct errinfo *info)
{
    static const struct frame_rules rules = {no_identity, no_fingerprint};
    struct writing w = {.id = {{7, 7, 7}}};
    enum err rc = rows_builder_create(NULL, &w.rows);
    if (rc == ERR_OK)
        rc = tables_builder_create(&rules, NULL, &w.tables);
    if (rc == ERR_OK)
        rc = segment_file_create(v, path, w.id, 0, NULL, &w.file, info);
    if (rc == ERR_OK)
        rc = add_items(&w, items, count, info);
    if (rc == ERR_OK)
        rc = write_all(&w, info);
    segment_file_writer_destroy(w.file);
    tables_builder_destroy(w.tables);
    rows_builder_destroy(w.rows);
    return rc;
}

/* ---- reading ---- */

static enum err read_facts(const struct segment_file *f, struct segment_counts *ret_rows,
                           struct segment_tables_counts *ret_tables, struct errinfo *info)
{
    struct segment_section section = {0};
    struct bytes facts = {0};
    if (!segment_file_section(f, SECTION_FACTS, &section))
        return err_set(info, ERR_CORRUPT, "no facts");
    TRY(segment_file_view(f, section.offset, section.size, &facts, info));
    struct reader r = reader_of(facts);
    uint32_t *const to[] = {&ret_rows->chunks,   &ret_rows->transactions, &ret_rows->links,
                            &ret_rows->traces,   &ret_rows->runs,         &ret_rows->chunk_runs,
                            &ret_rows->sources,  &ret_rows->tags,         &ret_rows->projects,
                            &ret_tables->texts,  &ret_tables->frames,     &ret_tables->nodes,
                            &ret_tables->threads};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        *to[i] = reader_u32(&r);
    return r.failed ? err_set(info, ERR_CORRUPT, "facts are cut short") : ERR_OK;
}

static enum err open_links(struct rows_segment *s, struct segment_tables_counts tables,
                           struct errinfo *info)
{
    TRY(segment_tables_open(s->file, tables, &s->tables, info));
    TRY(tables_cursor_create(&s->tables, NULL, &s->texts));
    return link_cursor_create(s->rows, s->texts, NULL, &s->links, info);
}

static enum err open_parts(struct rows_segment *s, struct errinfo *info)
{
    struct segment_counts rows = {0};
    struct segment_tables_counts tables = {0};
    TRY(read_facts(s->file, &rows, &tables, info));
    TRY(segment_rows_open(s->file, &rows, &s->rows, info));
    enum err rc = open_links(s, tables, info);
    return rc == ERR_CORRUPT ? ERR_OK : rc;
}

enum err rows_segment_open(struct vfs *v, const char *path, struct rows_segment *ret,
                           struct errinfo *info)
{
    *ret = (struct rows_segment){0};
    enum err rc = segment_file_open(v, path, NULL, &ret->file, info);
    if (rc == ERR_OK)
        rc = open_parts(ret, info);
    if (rc != ERR_OK)
        rows_segment_close(ret);
    return rc;
}

void rows_segment_close(struct rows_segment *s)
{
    link_cursor_destroy(s->links);
    tables_cursor_destroy(s->texts);
    segment_rows_close(s->rows);
    segment_file_close(s->file);
    *s = (struct rows_segment){0};
}

/* ---- everything ---- */

#define ASK_MAX 400 /* of each kind: a hostile count is large */

/* What may be said of a damaged segment. */
static bool answered(enum err rc)
{
    assert(rc == ERR_OK || rc == ERR_NOTFOUND || rc == ERR_CORRUPT);
    return rc == ERR_OK;
}

static uint32_t some(uint32_t count)
{
    return count < ASK_MAX ? count : ASK_MAX;
}

static void ask_range(const struct segment_rows *r, struct segment_run run, int64_t start_ns,
                      int64_t end_ns)
{
    uint32_t from;
    uint32_t end;
    if (answered(segment_rows_find_range(r, run, start_ns, end_ns, &from, &end)))
        assert(run.first <= from && from <= end && end <= run.end);
}

static void ask_row(const struct segment_rows *r, uint32_t row)
{
    struct record record;
    struct segment_run run;
    struct segment_row_place place;
    uint32_t got;
    int64_t max_end_ns;
    uint32_t rows = segment_rows_counts(r)->chunks + segment_rows_counts(r)->transactions;
    (void)answered(segment_rows_place(r, row, &place));
    (void)answered(segment_rows_max_end(r, row, &max_end_ns));
    if (!answered(segment_rows_record(r, row, &record)))
        return;
    assert(record.start_ns <= record.end_ns);
    if (answered(segment_rows_find_key(r, &record, &got)))
        assert(got < rows);
    if (!answered(
            segment_rows_find_run(r, record.kind, record.project_id, record.profiler_id, &run)))
        return;
    assert(run.first < run.end && run.end <= rows);
    ask_range(r, run, record.start_ns, record.end_ns);
    ask_range(r, run, record.end_ns, record.end_ns);
    uint32_t at = run.first;
    while (answered(segment_rows_next_with_id(r, run, record.id, &at, &got)))
        assert(run.first <= got && got < at && at <= run.end);
}

static void ask_rows(const struct segment_rows *r)
{
    const struct segment_counts *counts = segment_rows_counts(r);
    uint32_t rows = counts->chunks + counts->transactions;
    for (uint32_t i = 0; i < some(rows); i++) {
        ask_row(r, i);
        ask_row(r, rows - 1 - i);
    }
    for (uint32_t i = 0; i < some(counts->runs); i++) {
        struct segment_run_facts run;
        if (!answered(segment_rows_run(r, i, &run)))
            continue;
        assert(run.rows.first < run.rows.end && run.rows.end <= rows);
        assert(run.kind == RECORD_CHUNK ? run.rows.end <= counts->chunks
                                        : run.rows.first >= counts->chunks);
    }
    for (uint32_t i = 0; i < some(counts->tags); i++) {
        struct bytes text;
        uint32_t tag;
        if (answered(segment_rows_tag(r, i, &text)) &&
            answered(segment_rows_find_tag(r, text, &tag)))
            assert(tag < counts->tags);
    }
}

static void ask_projects(const struct segment_rows *r)
{
    const struct segment_counts *counts = segment_rows_counts(r);
    for (uint32_t i = 0; i < some(counts->projects); i++) {
        struct segment_project project;
        uint32_t from;
        uint32_t end;
        if (!answered(segment_rows_project(r, i, &project)))
            continue;
        assert(project.run_first <= project.run_end && project.run_end <= counts->chunk_runs);
        assert(project.link_first <= project.link_end && project.link_end <= counts->links);
        if (answered(segment_rows_find_links(r, project, 0, INT64_MAX, &from, &end)))
            assert(project.link_first <= from && from <= end && end <= project.link_end);
        (void)answered(segment_rows_find_project(r, project.project_id, &project));
    }
}

static void ask_link(const struct rows_segment *s, uint32_t number)
{
    struct link link;
    struct hash128 content;
    uint64_t arrival;
    struct segment_trace trace;
    uint32_t got;
    const struct segment_rows *r = s->rows;
    if (!answered(link_cursor_get(s->links, number, &link, &content, &arrival, NULL)))
        return;
    if (answered(segment_rows_find_span(r, &link, &got)))
        assert(got < segment_rows_counts(r)->links);
    if (!answered(segment_rows_find_trace(r, link.project_id, link.trace_id, &trace)))
        return;
    assert(trace.first < trace.end && trace.end <= segment_rows_counts(r)->links);
    for (uint32_t i = 0; i < some(trace.end - trace.first); i++)
        if (answered(segment_rows_trace_link(r, trace.first + i, &got)))
            assert(got < segment_rows_counts(r)->links);
}

void rows_segment_read_all(const struct rows_segment *s)
{
    uint32_t links = segment_rows_counts(s->rows)->links;
    ask_rows(s->rows);
    ask_projects(s->rows);
    for (uint32_t i = 0; i < some(links) && s->links != NULL; i++)
        ask_link(s, i);
}

/* ---- comparing ---- */

#define DIFFERS(equal, field) \
    do {                      \
        if (!(equal)) {       \
            *why = (field);   \
            return false;     \
        }                     \
    } while (0)

static bool links_equal(const struct link *a, const struct link *b, const char **why)
{
    struct bytes left[LINK_TEXT_COUNT];
    struct bytes right[LINK_TEXT_COUNT];
    record_get_link_texts(a, left);
    record_get_link_texts(b, right);
    DIFFERS(a->project_id == b->project_id, "project");
    DIFFERS(uuid_equal(a->profiler_id, b->profiler_id), "profiler");
    DIFFERS(uuid_equal(a->trace_id, b->trace_id), "trace");
    DIFFERS(uuid_equal(a->transaction_id, b->transaction_id), "transaction");
    DIFFERS(a->span_id == b->span_id, "span");
    DIFFERS(a->parent_span_id == b->parent_span_id, "parent");
    DIFFERS(a->start_ns == b->start_ns && a->end_ns == b->end_ns, "times");
    DIFFERS(a->is_segment == b->is_segment, "is_segment");
    for (size_t i = 0; i < LINK_TEXT_COUNT; i++)
        DIFFERS(bytes_equal(left[i], right[i]), "texts");
    return true;
}

bool records_equal(const struct record *a, const struct record *b, const char **why)
{
    DIFFERS(a->kind == b->kind, "kind");
    DIFFERS(hash128_equal(a->content, b->content), "content");
    if (a->kind == RECORD_LINK)
        return links_equal(&a->link, &b->link, why);
    DIFFERS(a->organization_id == b->organization_id && a->project_id == b->project_id, "project");
    DIFFERS(a->retention_days == b->retention_days, "retention");
    DIFFERS(a->received_ns == b->received_ns, "received");
    DIFFERS(uuid_equal(a->profiler_id, b->profiler_id), "profiler");
    DIFFERS(uuid_equal(a->id, b->id), "id");
    DIFFERS(uuid_equal(a->trace_id, b->trace_id), "trace");
    DIFFERS(uuid_equal(a->transaction_id, b->transaction_id), "transaction");
    DIFFERS(a->start_ns == b->start_ns && a->end_ns == b->end_ns, "times");
    DIFFERS(a->sample_count == b->sample_count, "samples");
    DIFFERS(a->thread_count == b->thread_count, "threads");
    DIFFERS(a->block_size == b->block_size, "block size");
    for (size_t i = 0; i < TEXT_COUNT; i++)
        DIFFERS(bytes_equal(a->text[i], b->text[i]), "texts");
    return true;
}
