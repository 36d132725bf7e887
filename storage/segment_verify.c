/* segment_verify.c - a sealed segment looked at in full: what checksums cannot tell, too.
 *
 *   checksums -> runs and their rows, one by one -> links, one by one -> projects -> stored sums ->
 *   index of tags -> what all rows and links say together, against the facts of the segment
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "storage/segment.h"

struct verifier {
    const struct segment *s;
    const struct segment_verification *v;
    struct tables_cursor *tables;
    struct link_cursor *links;
    struct buffer scratch; /* a profile encoded again */
    struct record before;  /* the row before; kind 0: none */
    struct link link_before;
    uint64_t arrival_before;
    bool has_link_before;
    bool unread; /* some row or link cannot be read: bounds cannot be compared */
    int64_t start_ns;
    int64_t end_ns;
    int64_t expires_ns;
};

static void PRINTF_LIKE(2, 3) report(const struct verifier *k, const char *format, ...)
{
    char text[ERRINFO_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    k->v->on_problem(k->v->self, text);
}

/* Memory and the caller's wish end the work; the rest is what it is looking for. */
static bool ends_work(enum err rc)
{
    return rc == ERR_NOMEM || rc == ERR_CANCELED;
}

static void widen(struct verifier *k, int64_t start_ns, int64_t end_ns)
{
    end_ns = end_ns > start_ns ? end_ns : start_ns;
    k->start_ns = start_ns < k->start_ns ? start_ns : k->start_ns;
    k->end_ns = end_ns > k->end_ns ? end_ns : k->end_ns;
}

/* ---- rows ---- */

static void add_row_bounds(struct verifier *k, const struct record *r)
{
    int64_t expires_ns = segment_row_expiry(r->end_ns, r->received_ns, r->retention_days);
    widen(k, r->start_ns, r->end_ns);
    k->expires_ns = expires_ns > k->expires_ns ? expires_ns : k->expires_ns;
}

static bool same_texts(const struct record *a, const struct record *b)
{
    for (int i = 0; i < TEXT_COUNT; i++)
        if (!bytes_equal(a->text[i], b->text[i]))
            return false;
    return true;
}

/* What the facts of a row say of its profile is what its columns say. */
static enum err compare_facts(struct verifier *k, uint32_t row, const struct record *facts,
                              const struct profile *p, struct errinfo *info)
{
    struct bytes again;
    struct bytes block;
    struct record told;
    buffer_clear(&k->scratch);
    TRY(record_encode_profile(p, &k->scratch, info));
    TRY(record_split(buffer_bytes(&k->scratch), &again, &block, info));
    TRY(record_parse(again, &told, info));
    if (told.start_ns != facts->start_ns || told.end_ns != facts->end_ns)
        report(k, "row %" PRIu32 ": its profile is of another time than its facts say", row);
    if (told.sample_count != facts->sample_count || told.thread_count != facts->thread_count)
        report(k,
               "row %" PRIu32 ": %" PRIu32 " samples of %" PRIu32 " threads, expected %" PRIu32
               " of %" PRIu32,
               row, told.sample_count, told.thread_count, facts->sample_count, facts->thread_count);
    if (!same_texts(&told, facts))
        report(k, "row %" PRIu32 ": a text of its profile is not the one of its facts", row);
    return ERR_OK;
}

static enum err read_profile(struct verifier *k, uint32_t row, const struct record *facts,
                             struct arena *arena, struct errinfo *info)
{
    struct profile p = {.kind = (enum profile_kind)facts->kind,
                        .organization_id = facts->organization_id,
                        .project_id = facts->project_id,
                        .retention_days = facts->retention_days,
                        .received_ns = facts->received_ns,
                        .profiler_id = facts->profiler_id,
                        .id = facts->id,
                        .trace_id = facts->trace_id,
                        .transaction_id = facts->transaction_id};
    TRY(segment_read_profile(k->s, row, k->tables, arena, &p, info));
    return compare_facts(k, row, facts, &p, info);
}

static enum err verify_profile(struct verifier *k, uint32_t row, const struct record *facts,
                               uint32_t flags)
{
    struct arena arena;
    struct block_sum sum;
    struct errinfo reason = {{0}};
    if ((flags & SEGMENT_ROW_DAMAGED) != 0)
        return ERR_OK; /* lost before it was sealed, and said so since */
    arena_init(&arena, SIZE_MAX, NULL);
    enum err rc = read_profile(k, row, facts, &arena, &reason);
    if (rc == ERR_OK && (flags & SEGMENT_ROW_SUMMABLE) != 0)
        rc = segment_sum_row(k->s, row, &arena, &sum, &reason);
    arena_close(&arena);
    if (rc != ERR_OK && !ends_work(rc))
        report(k, "%s", reason.text);
    return ends_work(rc) ? rc : ERR_OK;
}

/* Its place among the others. */
static void verify_order(struct verifier *k, uint32_t row, const struct record *facts,
                         const struct segment_run_facts *run)
{
    uint32_t found = 0;
    if (facts->kind != run->kind || facts->project_id != run->project_id ||
        !uuid_equal(facts->profiler_id, run->profiler_id))
        report(k, "row %" PRIu32 " is in the run of another profiler", row);
    if (k->before.kind != 0 && record_compare(&k->before, facts) >= 0)
        report(k, "row %" PRIu32 " does not come behind the one before it", row);
    if (segment_rows_find_key(k->s->rows, facts, &found) != ERR_OK || found != row)
        report(k, "row %" PRIu32 " is not found by its key", row);
    k->before = *facts;
}

static enum err verify_row(struct verifier *k, uint32_t row, const struct segment_run_facts *run,
                           int64_t *max_end_ns)
{
    struct record facts;
    struct segment_row_place place;
    int64_t told_ns;
    if (segment_rows_record(k->s->rows, row, &facts) != ERR_OK ||
        segment_rows_place(k->s->rows, row, &place) != ERR_OK ||
        segment_rows_max_end(k->s->rows, row, &told_ns) != ERR_OK) {
        report(k, "row %" PRIu32 ": its facts are damaged", row);
        k->unread = true;
        return ERR_OK;
    }
    if (k->v->on_progress != NULL && !k->v->on_progress(k->v->self, place.block_offset))
        return ERR_CANCELED;
    verify_order(k, row, &facts, run);
    *max_end_ns = facts.end_ns > *max_end_ns ? facts.end_ns : *max_end_ns;
    if (told_ns != *max_end_ns)
        report(k, "row %" PRIu32 ": the largest end up to it is another than is said", row);
    if (place.arrival >= k->v->next_arrival)
        report(k, "row %" PRIu32 " arrived as number %" PRIu64 ", expected one below %" PRIu64, row,
               place.arrival, k->v->next_arrival);
    add_row_bounds(k, &facts);
    return verify_profile(k, row, &facts, place.flags);
}

static enum err verify_runs(struct verifier *k)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < k->s->counts.runs; i++) {
        struct segment_run_facts run;
        int64_t max_end_ns = INT64_MIN;
        if (segment_rows_run(k->s->rows, i, &run) != ERR_OK || run.rows.first != next) {
            report(k, "run %" PRIu32 " of rows is damaged", i);
            k->unread = true;
            return ERR_OK;
        }
        for (; next < run.rows.end; next++)
            TRY(verify_row(k, next, &run, &max_end_ns));
    }
    if (next != k->s->counts.chunks + k->s->counts.transactions)
        report(k, "%" PRIu32 " rows are in runs, expected %" PRIu32, next,
               k->s->counts.chunks + k->s->counts.transactions);
    return ERR_OK;
}

/* ---- links ---- */

static bool comes_behind(const struct link *a, uint64_t arrival_a, const struct link *b,
                         uint64_t arrival_b)
{
    if (a->project_id != b->project_id)
        return a->project_id < b->project_id;
    if (a->start_ns != b->start_ns)
        return a->start_ns < b->start_ns;
    return arrival_a <= arrival_b;
}

static void verify_link_place(struct verifier *k, uint32_t id, const struct link *link,
                              uint64_t arrival)
{
    uint32_t found = 0;
    int64_t start_ns = 0;
    int64_t end_ns = 0;
    if (k->has_link_before && !comes_behind(&k->link_before, k->arrival_before, link, arrival))
        report(k, "link %" PRIu32 " does not come behind the one before it", id);
    if (segment_rows_find_span(k->s->rows, link, &found) != ERR_OK || found != id)
        report(k, "link %" PRIu32 " is not found by its key", id);
    if (segment_rows_link_span(k->s->rows, id, &start_ns, &end_ns) != ERR_OK ||
        start_ns != link->start_ns || end_ns != link->end_ns)
        report(k, "link %" PRIu32 ": its time is another than is said", id);
    if (arrival >= k->v->next_arrival)
        report(k, "link %" PRIu32 " arrived as number %" PRIu64 ", expected one below %" PRIu64, id,
               arrival, k->v->next_arrival);
    k->link_before = *link;
    k->arrival_before = arrival;
    k->has_link_before = true;
}

static enum err verify_links(struct verifier *k)
{
    for (uint32_t id = 0; id < k->s->counts.links; id++) {
        struct link link;
        struct hash128 content;
        uint64_t arrival;
        struct errinfo reason = {{0}};
        enum err rc = link_cursor_get(k->links, id, &link, &content, &arrival, &reason);
        if (ends_work(rc))
            return rc;
        if (rc != ERR_OK) {
            report(k, "link %" PRIu32 ": %s", id, reason.text);
            k->unread = true;
            continue;
        }
        verify_link_place(k, id, &link, arrival);
        widen(k, link.start_ns, link.end_ns);
    }
    return ERR_OK;
}

/* ---- the whole ---- */

static void verify_projects(const struct verifier *k)
{
    const struct segment_counts *counts = &k->s->counts;
    struct segment_project before = {0};
    for (uint32_t i = 0; i < counts->projects; i++) {
        struct segment_project p;
        if (segment_rows_project(k->s->rows, i, &p) != ERR_OK) {
            report(k, "project number %" PRIu32 " is damaged", i);
            return;
        }
        if (p.run_first != before.run_end || p.link_first != before.link_end ||
            (i > 0 && p.project_id <= before.project_id))
            report(k, "project %" PRIu64 " does not follow on the one before it", p.project_id);
        before = p;
    }
    if (before.run_end != counts->chunk_runs || before.link_end != counts->links)
        report(k, "not all rows and links are in a project");
}

static enum err verify_sums(const struct verifier *k)
{
    for (uint32_t i = 0; i < k->s->rollups.count; i++) {
        struct arena arena;
        struct tree_sum sum;
        struct errinfo reason = {{0}};
        arena_init(&arena, SIZE_MAX, NULL);
        enum err rc = segment_rollups_read(&k->s->rollups, i, &arena, &sum, &reason);
        arena_close(&arena);
        if (ends_work(rc))
            return rc;
        if (rc != ERR_OK)
            report(k, "stored sum %" PRIu32 ": %s", i, reason.text);
    }
    return ERR_OK;
}

/* Of the index of tags: that all of it can be read, not that it is right. */
static enum err verify_tags(const struct verifier *k)
{
    struct errinfo reason = {{0}};
    enum err rc = tag_index_verify(&k->s->tags, &reason);
    if (ends_work(rc))
        return rc;
    if (rc != ERR_OK)
        report(k, "%s", reason.text);
    return ERR_OK;
}

/* For how long links are kept no link says: they can only be the reason for a later expiry. */
static void verify_bounds(const struct verifier *k)
{
    const struct manifest_segment *facts = &k->s->facts;
    if (k->unread)
        return;
    if (k->start_ns != facts->start_ns || k->end_ns != facts->end_ns)
        report(k, "its rows and links are of another time than its facts say");
    if (facts->expires_ns < k->expires_ns ||
        (k->s->counts.links == 0 && facts->expires_ns != k->expires_ns))
        report(k, "its rows expire at another time than its facts say");
}

static enum err verify_all(struct verifier *k, struct errinfo *info)
{
    struct errinfo reason = {{0}};
    enum err rc = tables_cursor_create(&k->s->tables, NULL, &k->tables);
    if (rc == ERR_OK && k->s->counts.links > 0)
        rc = link_cursor_create(k->s->rows, k->tables, NULL, &k->links, &reason);
    if (rc == ERR_OK)
        rc = verify_runs(k);
    if (rc == ERR_OK)
        rc = verify_links(k);
    if (rc == ERR_OK)
        rc = verify_sums(k);
    if (rc == ERR_OK)
        rc = verify_tags(k);
    if (rc != ERR_OK)
        return err_set(info, rc, "segment: %s", err_text(rc));
    verify_projects(k);
    verify_bounds(k);
    return ERR_OK;
}

enum err segment_verify(const struct segment *s, const struct segment_verification *v,
                        struct errinfo *info)
{
    struct verifier k = {
        .s = s, .v = v, .start_ns = INT64_MAX, .end_ns = INT64_MIN, .expires_ns = INT64_MIN};
    struct errinfo reason = {{0}};
    buffer_init(&k.scratch, SIZE_MAX, NULL);
    if (segment_file_verify(s->file, &reason) != ERR_OK)
        report(&k, "%s", reason.text);
    enum err rc = verify_all(&k, info);
    if (rc == ERR_OK && segment_file_lost_pages(s->file))
        report(&k, "a page of it cannot be read from the device");
    link_cursor_destroy(k.links);
    tables_cursor_destroy(k.tables);
    buffer_close(&k.scratch);
    return rc;
}
