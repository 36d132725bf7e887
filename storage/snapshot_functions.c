/* snapshot_functions.c - the rows that have a function: by the index of a segment, by reading the rows
 * of a log. */
#include "storage/snapshot_parts.h"

struct function_search {
    const struct snapshot *snap;
    uint64_t project_id;
    uint32_t fingerprint;
    int64_t start_ns;
    int64_t end_ns;
    struct arena *arena;
    struct found_list *found;
};

/* ---- segments ---- */

/* Rows [first, end) of the part that are in the set and meet the range. */
static enum err add_range(const struct function_search *q, uint32_t part, const struct bitmap *rows,
                          uint32_t first, uint32_t end)
{
    const struct part_view *v = &q->snap->views[part];
    uint32_t row = first;
    for (; bitmap_next(rows, row, &row) && row < end; row++) {
        int64_t start_ns = 0;
        int64_t end_ns = 0;
        TRY(segment_rows_span(view_segment(v)->rows, row, &start_ns, &end_ns));
        if (start_ns <= q->end_ns && end_ns >= q->start_ns && snapshot_row_visible(q->snap, v, row))
            TRY(found_add(q->found, start_ns, (row_id)part << 32 | row, q->arena));
    }
    return ERR_OK;
}

/* The chunks of a project stand together. */
static enum err add_chunks(const struct function_search *q, uint32_t part,
                           const struct bitmap *rows)
{
    const struct segment_rows *r = view_segment(&q->snap->views[part])->rows;
    struct segment_project project;
    struct segment_run_facts first;
    struct segment_run_facts last;
    enum err rc = segment_rows_find_project(r, q->project_id, &project);
    if (rc == ERR_NOTFOUND || (rc == ERR_OK && project.run_first == project.run_end))
        return ERR_OK;
    TRY(rc);
    TRY(segment_rows_run(r, project.run_first, &first));
    TRY(segment_rows_run(r, project.run_end - 1, &last));
    return add_range(q, part, rows, first.rows.first, last.rows.end);
}

static enum err add_profiles(const struct function_search *q, uint32_t part,
                             const struct bitmap *rows)
{
    struct segment_run run;
    enum err rc =
        segment_rows_find_run(view_segment(&q->snap->views[part])->rows, RECORD_TRANSACTION,
                              q->project_id, (struct uuid){{0}}, &run);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    TRY(rc);
    return add_range(q, part, rows, run.first, run.end);
}

static enum err search_segment(const struct function_search *q, uint32_t part)
{
    const struct tag_index *tags = &view_segment(&q->snap->views[part])->tags;
    struct bitmap *rows = NULL;
    TRY(bitmap_create(tags->row_count, q->arena->account, &rows));
    enum err rc = tag_index_find_function(tags, q->fingerprint, rows, NULL);
    if (rc == ERR_OK)
        rc = add_chunks(q, part, rows);
    if (rc == ERR_OK)
        rc = add_profiles(q, part, rows);
    bitmap_destroy(rows);
    return rc;
}

/* ---- logs ---- */

static bool is_among(const uint32_t *functions, size_t count, uint32_t fingerprint)
{
    for (size_t i = 0; i < count; i++)
        if (functions[i] == fingerprint)
            return true;
    return false;
}

/* A row that cannot be read may have it. */
static enum err row_has(const struct function_search *q, struct part_view *v, uint32_t row,
                        bool *ret)
{
    const struct frame_rules *rules = q->snap->store->options.frame_rules;
    struct arena arena;
    struct profile profile;
    uint32_t *functions = NULL;
    size_t count = 0;
    *ret = true;
    if (rules == NULL)
        return ERR_OK;
    arena_init(&arena, SIZE_MAX, q->arena->account);
    enum err rc = part_read_profile(v, row, &arena, &profile, NULL);
    bool read = rc == ERR_OK;
    if (read)
        rc = profile_find_functions(&profile, rules, &arena, &functions, &count);
    if (read && rc == ERR_OK)
        *ret = is_among(functions, count, q->fingerprint);
    arena_close(&arena);
    return !read && (rc == ERR_CORRUPT || rc == ERR_IO) ? ERR_OK : rc;
}

static enum err search_log(const struct function_search *q, uint32_t part)
{
    struct part_view *v = &q->snap->views[part];
    for (uint32_t row = 0; row < part_row_count(v); row++) {
        struct record r;
        bool has = false;
        if (!snapshot_row_visible(q->snap, v, row))
            continue;
        TRY(part_record(v, row, &r));
        if (r.project_id != q->project_id || r.start_ns > q->end_ns || r.end_ns < q->start_ns)
            continue;
        TRY(row_has(q, v, row, &has));
        if (has)
            TRY(found_add(q->found, r.start_ns, (row_id)part << 32 | row, q->arena));
    }
    return ERR_OK;
}

/* ---- all parts ---- */

static enum err search_part(const struct function_search *q, uint32_t part)
{
    const struct part_view *v = &q->snap->views[part];
    if (view_segment(v) == NULL)
        return search_log(q, part);
    if (!view_is_served(v) || !part_meets(v, q->start_ns, q->end_ns))
        return ERR_OK;
    size_t before = q->found->count;
    return snapshot_settle_segment(q->snap, v, search_segment(q, part), q->found, before);
}

enum err snapshot_find_function(const struct snapshot *snap, uint64_t project_id,
                                uint32_t fingerprint, int64_t start_ns, int64_t end_ns,
                                struct arena *arena, struct row_list *ret)
{
    struct found_list found = {0};
    struct function_search q = {.snap = snap,
                                .project_id = project_id,
                                .fingerprint = fingerprint,
                                .start_ns = start_ns,
                                .end_ns = end_ns,
                                .arena = arena,
                                .found = &found};
    for (uint32_t part = 0; part < snap->view_count; part++)
        TRY(search_part(&q, part));
    return snapshot_rows_in_order(snap, &found, arena, ret);
}
