/* snapshot_summary.c - which projects and profilers there are: a pass over the runs of all parts.
 *
 * A profiler may have a run in every part, so runs are gathered, put in order, and those of one
 * profiler summed. A run of a segment is summed without looking at its rows, unless one is hidden.
 */
#include "base/sort.h"
#include "storage/snapshot_parts.h"

/* What the visible rows or links of one run come to. */
struct run_sum {
    enum record_kind kind;
    uint64_t project_id;
    struct profiler_summary sum;
};

struct sums {
    const struct snapshot *snap;
    const struct part_view *view; /* of the run at hand */
    bool one_project;
    uint64_t project_id;
    struct arena *arena;
    struct run_sum *items;
    size_t count;
    size_t capacity;
    struct run_sum at_hand;
};

static enum err keep(struct sums *s)
{
    if (s->at_hand.sum.chunk_count == 0)
        return ERR_OK;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity == 0 ? 16 : s->capacity * 2;
        struct run_sum *items = ARENA_ARRAY(s->arena, capacity, struct run_sum);
        if (items == NULL)
            return s->arena->failed;
        if (s->count > 0)
            memcpy(items, s->items, s->count * sizeof *items);
        s->items = items;
        s->capacity = capacity;
    }
    s->items[s->count++] = s->at_hand;
    return ERR_OK;
}

static void begin(struct sums *s, enum record_kind kind, uint64_t project_id,
                  struct uuid profiler_id)
{
    s->at_hand = (struct run_sum){
        .kind = kind,
        .project_id = project_id,
        .sum = {.profiler_id = profiler_id, .start_ns = INT64_MAX, .end_ns = INT64_MIN}};
}

static void widen(struct profiler_summary *to, uint64_t count, int64_t start_ns, int64_t end_ns)
{
    to->chunk_count += count;
    to->start_ns = start_ns < to->start_ns ? start_ns : to->start_ns;
    to->end_ns = end_ns > to->end_ns ? end_ns : to->end_ns;
}

/* ---- log sets ---- */

static enum err on_row(void *self, uint32_t id)
{
    struct sums *s = self;
    struct record r;
    if (!snapshot_row_visible(s->snap, s->view, id))
        return ERR_OK;
    log_view_record(&s->view->log, id, &r);
    widen(&s->at_hand.sum, 1, r.start_ns, r.end_ns);
    return ERR_OK;
}

static enum err on_link(void *self, uint32_t id)
{
    struct sums *s = self;
    struct hash128 content;
    if (!snapshot_link_visible(s->snap, s->view, id))
        return ERR_OK;
    struct link link = log_view_link(&s->view->log, id, &content);
    widen(&s->at_hand.sum, 1, link.start_ns, link.end_ns);
    return ERR_OK;
}

static enum err add_log(struct sums *s)
{
    for (uint32_t i = 0; i < s->view->log.run_count; i++) {
        struct log_run run = log_view_run(&s->view->log, i);
        if (s->one_project && (run.project_id != s->project_id || run.kind != RECORD_CHUNK))
            continue;
        begin(s, run.kind, run.project_id, run.profiler_id);
        TRY(log_view_each_of_run(&s->view->log, i, s, run.kind == RECORD_LINK ? on_link : on_row));
        TRY(keep(s));
    }
    return ERR_OK;
}

/* ---- segments ---- */

static enum err sum_run(struct sums *s, struct segment_run run)
{
    const struct segment_rows *rows = view_segment(s->view)->rows;
    bool whole = !snapshot_hides_any(s->snap, s->view, run.first, run.end);
    int64_t start_ns;
    int64_t end_ns;
    if (whole) {
        TRY(segment_rows_span(rows, run.first, &start_ns, &end_ns));
        TRY(segment_rows_max_end(rows, run.end - 1, &end_ns));
        widen(&s->at_hand.sum, run.end - run.first, start_ns, end_ns);
    }
    for (uint32_t row = run.first; row < run.end && !whole; row++) {
        if (!snapshot_row_visible(s->snap, s->view, row))
            continue;
        TRY(segment_rows_span(rows, row, &start_ns, &end_ns));
        widen(&s->at_hand.sum, 1, start_ns, end_ns);
    }
    return keep(s);
}

static enum err add_runs(struct sums *s, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        struct segment_run_facts run;
        TRY(segment_rows_run(view_segment(s->view)->rows, i, &run));
        begin(s, run.kind, run.project_id, run.profiler_id);
        TRY(sum_run(s, run.rows));
    }
    return ERR_OK;
}

static enum err add_links(struct sums *s, const struct segment_project *project)
{
    const struct segment_rows *rows = view_segment(s->view)->rows;
    begin(s, RECORD_LINK, project->project_id, (struct uuid){{0}});
    for (uint32_t link = project->link_first; link < project->link_end; link++) {
        int64_t start_ns;
        int64_t end_ns;
        if (!snapshot_link_visible(s->snap, s->view, link))
            continue;
        TRY(segment_rows_link_span(rows, link, &start_ns, &end_ns));
        widen(&s->at_hand.sum, 1, start_ns, end_ns);
    }
    return keep(s);
}

static enum err add_segment(struct sums *s)
{
    const struct segment *segment = view_segment(s->view);
    struct segment_project project;
    if (s->one_project) {
        TRY(segment_rows_find_project(segment->rows, s->project_id, &project));
        return add_runs(s, project.run_first, project.run_end);
    }
    TRY(add_runs(s, 0, segment->counts.runs));
    for (uint32_t i = 0; i < segment->counts.projects; i++) {
        TRY(segment_rows_project(segment->rows, i, &project));
        TRY(add_links(s, &project));
    }
    return ERR_OK;
}

/* ---- all ---- */

static int compare_sums(const void *left, const void *right, void *context)
{
    (void)context;
    const struct run_sum *a = left;
    const struct run_sum *b = right;
    if (a->project_id != b->project_id)
        return a->project_id < b->project_id ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return uuid_compare(a->sum.profiler_id, b->sum.profiler_id);
}

/* Those of one profiler become one. */
static void join_equal(struct sums *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct run_sum *item = &s->items[i];
        if (kept > 0 && compare_sums(&s->items[kept - 1], item, NULL) == 0)
            widen(&s->items[kept - 1].sum, item->sum.chunk_count, item->sum.start_ns,
                  item->sum.end_ns);
        else
            s->items[kept++] = *item;
    }
    s->count = kept;
}

static enum err gather(struct sums *s)
{
    const struct snapshot *snap = s->snap;
    for (size_t i = 0; i < snap->view_count; i++) {
        s->view = &snap->views[i];
        size_t before = s->count;
        if (!view_is_served(s->view))
            continue;
        enum err rc = view_segment(s->view) == NULL ? add_log(s) : add_segment(s);
        if (rc == ERR_CORRUPT) {
            snapshot_note_damaged(snap, s->view);
            s->count = before;
        } else if (rc != ERR_OK && rc != ERR_NOTFOUND) {
            return rc;
        }
    }
    TRY(sort_array(s->arena->account, s->items, s->count, sizeof *s->items, compare_sums, NULL));
    join_equal(s);
    return ERR_OK;
}

enum err snapshot_list_profilers(const struct snapshot *snap, uint64_t project_id,
                                 struct arena *arena, struct profiler_summary **ret,
                                 size_t *ret_count)
{
    struct sums sums = {
        .snap = snap, .one_project = true, .project_id = project_id, .arena = arena};
    TRY(gather(&sums));
    struct profiler_summary *list = ARENA_ARRAY(arena, sums.count, struct profiler_summary);
    if (list == NULL)
        return arena->failed;
    for (size_t i = 0; i < sums.count; i++)
        list[i] = sums.items[i].sum;
    *ret = list;
    *ret_count = sums.count;
    return ERR_OK;
}

static void add_to_project(struct project_summary *to, const struct run_sum *run)
{
    if (run->kind == RECORD_LINK) {
        to->link_count += run->sum.chunk_count;
    } else if (run->kind == RECORD_TRANSACTION) {
        to->profile_count += run->sum.chunk_count;
    } else {
        to->chunk_count += run->sum.chunk_count;
        to->profiler_count++;
    }
    to->first_ns = run->sum.start_ns < to->first_ns ? run->sum.start_ns : to->first_ns;
    to->last_ns = run->sum.end_ns > to->last_ns ? run->sum.end_ns : to->last_ns;
}

enum err snapshot_list_projects(const struct snapshot *snap, struct arena *arena,
                                struct project_summary **ret, size_t *ret_count)
{
    struct sums sums = {.snap = snap, .arena = arena};
    size_t count = 0;
    TRY(gather(&sums));
    struct project_summary *list = ARENA_ARRAY(arena, sums.count, struct project_summary);
    if (list == NULL)
        return arena->failed;
    for (size_t i = 0; i < sums.count; i++) {
        if (count == 0 || list[count - 1].project_id != sums.items[i].project_id)
            list[count++] = (struct project_summary){.project_id = sums.items[i].project_id,
                                                     .first_ns = INT64_MAX,
                                                     .last_ns = INT64_MIN};
        add_to_project(&list[count - 1], &sums.items[i]);
    }
    *ret = list;
    *ret_count = count;
    return ERR_OK;
}
