/* snapshot.c - one view of all parts of a store: what each finds, put together.
 *
 * A row id is (number of the part in the snapshot, ordinal in the part). A segment whose index
 * turns out to be damaged is passed over from then on, whole; snapshot_count_damaged tells of it.
 */
#include <assert.h>

#include "base/size.h"
#include "base/sort.h"
#include "storage/snapshot_parts.h"

/* ---- taking and giving back ---- */

static enum err open_views(struct snapshot *snap)
{
    struct version *v = snap->version;
    snap->views = mem_array(v->count + 1, sizeof *snap->views);
    if (snap->views == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < v->count; i++)
        part_view_init(&snap->views[i], &v->parts[i], snap->account);
    snap->view_count = v->count + 1;
    snap->views[v->count] = (struct part_view){
        .part = &snap->open, .log = log_pin_view(&snap->pin), .account = snap->account};
    return ERR_OK;
}

struct snapshot *snapshot_acquire(struct store *s, struct mem_account *account)
{
    struct snapshot *snap = mem_zalloc(sizeof *snap);
    if (snap == NULL)
        return NULL;
    snap->store = s;
    snap->account = account;
    (void)pthread_mutex_lock(&s->lock);
    snap->version = version_acquire(s->version);
    snap->open = (struct part){.uid = s->open_uid, .log = log_set_acquire(s->open)};
    log_index_pin(s->open->index, &snap->pin);
    (void)pthread_mutex_unlock(&s->lock);
    if (open_views(snap) == ERR_OK)
        return snap;
    snapshot_release(snap);
    return NULL;
}

void snapshot_release(struct snapshot *snap)
{
    if (snap == NULL)
        return;
    for (size_t i = 0; i < snap->view_count; i++)
        part_view_close(&snap->views[i]);
    log_index_unpin(&snap->pin);
    log_set_release(snap->open.log);
    version_release(snap->version);
    mem_free(snap->views);
    mem_free(snap);
}

/* ---- parts ---- */

static const struct part_view *open_view(const struct snapshot *snap)
{
    return &snap->views[snap->view_count - 1];
}

void snapshot_note_damaged(const struct snapshot *snap, const struct part_view *v)
{
    store_note_damaged_segment(snap->store, view_segment(v), "its index cannot be read");
}

/* Hidden by the open set: other parts' hidden rows are in the version. */
static bool hidden_by_open(const struct snapshot *snap, const struct part_view *v, uint32_t id,
                           bool link)
{
    const struct part_view *open = open_view(snap);
    return v != open && log_view_hides(&open->log, v->part->uid, id, link);
}

bool snapshot_row_visible(const struct snapshot *snap, const struct part_view *v, uint32_t id)
{
    return part_row_visible(v, id) && !hidden_by_open(snap, v, id, false);
}

bool snapshot_link_visible(const struct snapshot *snap, const struct part_view *v, uint32_t id)
{
    return part_link_visible(v, id) && !hidden_by_open(snap, v, id, true);
}

bool snapshot_hides_any(const struct snapshot *snap, const struct part_view *v, uint32_t first,
                        uint32_t end)
{
    const struct part_view *open = open_view(snap);
    return hidden_meets(&v->part->rows, first, end) ||
           (v != open && log_view_hides_any(&open->log, v->part->uid, first, end));
}

/* Whether a moment of the part can be in [start_ns, end_ns]. */
bool part_meets(const struct part_view *v, int64_t start_ns, int64_t end_ns)
{
    const struct segment *s = view_segment(v);
    return s == NULL || (s->facts.start_ns <= end_ns && s->facts.end_ns >= start_ns);
}

uint64_t snapshot_count_damaged(const struct snapshot *snap, int64_t start_ns, int64_t end_ns)
{
    uint64_t count = 0;
    for (size_t i = 0; i < snap->version->aside_count; i++) {
        const struct part_aside *aside = &snap->version->aside[i];
        count += aside->start_ns <= end_ns && aside->end_ns >= start_ns;
    }
    for (size_t i = 0; i < snap->view_count; i++)
        count += !view_is_served(&snap->views[i]) && part_meets(&snap->views[i], start_ns, end_ns);
    return count;
}

/* ---- one row ---- */

static const struct part_view *view_of(const struct snapshot *snap, row_id id)
{
    assert(row_part(id) < snap->view_count);
    return &snap->views[row_part(id)];
}

enum err snapshot_row(const struct snapshot *snap, row_id id, struct row *ret)
{
    struct record r;
    TRY(part_record(view_of(snap, id), row_ordinal(id), &r));
    *ret = (struct row){.kind = (enum profile_kind)r.kind,
                        .organization_id = r.organization_id,
                        .project_id = r.project_id,
                        .profiler_id = r.profiler_id,
                        .id = r.id,
                        .start_ns = r.start_ns,
                        .end_ns = r.end_ns,
                        .received_ns = r.received_ns,
                        .retention_days = r.retention_days,
                        .sample_count = r.sample_count,
                        .thread_count = r.thread_count,
                        .platform = r.text[TEXT_PLATFORM],
                        .environment = r.text[TEXT_ENVIRONMENT],
                        .release = r.text[TEXT_RELEASE],
                        .dist = r.text[TEXT_DIST],
                        .sdk_name = r.text[TEXT_SDK_NAME],
                        .sdk_version = r.text[TEXT_SDK_VERSION],
                        .transaction = r.text[TEXT_TRANSACTION],
                        .trace_id = r.trace_id,
                        .transaction_id = r.transaction_id,
                        .block_size = r.block_size};
    return ERR_OK;
}

/* From now on what is sent again is written again. */
static void note_unreadable(const struct snapshot *snap, const struct part_view *v, uint32_t id)
{
    struct store *s = snap->store;
    if (v->part->log == NULL || !log_view_mark_damaged(&v->log, id))
        return;
    (void)pthread_mutex_lock(&s->lock);
    s->stats.damaged_bytes += log_view_place(&v->log, id).block_size;
    (void)pthread_mutex_unlock(&s->lock);
}

/* What a profile of a segment still points to outside the arena goes with the snapshot: its texts. */
static enum err keep_texts(struct profile *p, struct arena *arena)
{
    struct bytes *strings = ARENA_ARRAY(arena, p->string_count, struct bytes);
    size_t size = 0;
    if (strings == NULL)
        return arena->failed;
    for (size_t i = 0; i < p->string_count; i++)
        if (!size_add(size, p->strings[i].len, &size))
            return ERR_LIMIT;
    uint8_t *text = arena_take(arena, size, 1);
    if (text == NULL)
        return arena->failed;
    for (size_t i = 0; i < p->string_count; i++) {
        struct bytes from = p->strings[i];
        if (from.len > 0)
            memcpy(text, from.data, from.len);
        strings[i] = bytes_of(text, from.len);
        text += from.len;
    }
    p->strings = strings;
    if (p->rest.len > 0)
        p->rest = arena_copy(arena, p->rest);
    return arena->failed;
}

enum err snapshot_read_profile(const struct snapshot *snap, row_id id, struct arena *arena,
                               struct profile *ret, struct errinfo *info)
{
    struct part_view *v = &snap->views[row_part(id)];
    struct profile profile;
    if (!view_is_served(v))
        return err_set(info, ERR_CORRUPT, "its segment is damaged");
    enum err rc = part_read_profile(v, row_ordinal(id), arena, &profile, info);
    if (rc == ERR_OK && !view_is_served(v))
        return err_set(info, ERR_CORRUPT, "its segment cannot be read");
    if (rc == ERR_CORRUPT || rc == ERR_IO)
        note_unreadable(snap, v, row_ordinal(id));
    if (rc == ERR_OK && view_segment(v) != NULL && keep_texts(&profile, arena) != ERR_OK)
        rc = err_set(info, arena->failed, "no room for its texts");
    if (rc == ERR_OK)
        *ret = profile;
    return rc;
}

/* ---- order of what was found: start, then ids ---- */

struct ordering {
    const struct snapshot *snap;
    bool failed; /* a row could not be looked at */
};

static struct uuid id_of(struct ordering *o, row_id id)
{
    struct record r = {0};
    const struct part_view *v = view_of(o->snap, id);
    if (part_record(v, row_ordinal(id), &r) != ERR_OK) {
        o->failed = true;
        snapshot_note_damaged(o->snap, v);
    }
    return r.id;
}

static int compare_found(const void *left, const void *right, void *context)
{
    const struct found *a = left;
    const struct found *b = right;
    if (a->start_ns != b->start_ns)
        return a->start_ns < b->start_ns ? -1 : 1;
    int order = uuid_compare(id_of(context, a->id), id_of(context, b->id));
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

/* Rows of segments that cannot be used any more are not found. */
static void drop_unserved(const struct snapshot *snap, struct found_list *found)
{
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++)
        if (view_is_served(view_of(snap, found->items[i].id)))
            found->items[kept++] = found->items[i];
    found->count = kept;
}

enum err snapshot_rows_in_order(const struct snapshot *snap, struct found_list *found,
                                struct arena *arena, struct row_list *ret)
{
    struct ordering ordering = {.snap = snap, .failed = true};
    *ret = (struct row_list){0};
    while (ordering.failed && found->count > 0) { /* each time with a segment less */
        ordering.failed = false;
        TRY(sort_array(arena->account, found->items, found->count, sizeof *found->items,
                       compare_found, &ordering));
        if (ordering.failed)
            drop_unserved(snap, found);
    }
    if (found->count == 0)
        return ERR_OK;
    ret->ids = ARENA_ARRAY(arena, found->count, row_id);
    if (ret->ids == NULL)
        return arena->failed;
    for (size_t i = 0; i < found->count; i++)
        ret->ids[i] = found->items[i].id;
    ret->count = ret->capacity = found->count;
    return ERR_OK;
}

/* ---- ranges ---- */

struct range {
    enum record_kind kind;
    uint64_t project_id;
    struct uuid profiler_id;
    int64_t start_ns;
    int64_t end_ns;
};

static enum err add_segment_rows(const struct snapshot *snap, uint32_t at, const struct range *q,
                                 struct arena *arena, struct found_list *found)
{
    const struct part_view *v = &snap->views[at];
    const struct segment_rows *rows = view_segment(v)->rows;
    struct segment_run run;
    uint32_t row;
    uint32_t end;
    TRY(segment_rows_find_run(rows, q->kind, q->project_id, q->profiler_id, &run));
    TRY(segment_rows_find_range(rows, run, q->start_ns, q->end_ns, &row, &end));
    for (; row < end; row++) {
        int64_t start_ns;
        int64_t end_ns;
        TRY(segment_rows_span(rows, row, &start_ns, &end_ns));
        if (end_ns >= q->start_ns && snapshot_row_visible(snap, v, row))
            TRY(found_add(found, start_ns, (row_id)at << 32 | row, arena));
    }
    return ERR_OK;
}

static enum err add_segment_links(const struct snapshot *snap, uint32_t at, const struct range *q,
                                  struct arena *arena, struct found_list *found)
{
    const struct part_view *v = &snap->views[at];
    const struct segment_rows *rows = view_segment(v)->rows;
    struct segment_project project;
    uint32_t link;
    uint32_t end;
    TRY(segment_rows_find_project(rows, q->project_id, &project));
    TRY(segment_rows_find_links(rows, project, q->start_ns, q->end_ns, &link, &end));
    for (; link < end; link++) {
        int64_t start_ns;
        int64_t end_ns;
        TRY(segment_rows_link_span(rows, link, &start_ns, &end_ns));
        if (end_ns >= q->start_ns && snapshot_link_visible(snap, v, link))
            TRY(found_add(found, start_ns, (row_id)at << 32 | link, arena));
    }
    return ERR_OK;
}

static bool found_visible(const struct snapshot *snap, const struct part_view *v,
                          const struct found *found, bool link)
{
    uint32_t id = row_ordinal(found->id);
    return link ? snapshot_link_visible(snap, v, id) : snapshot_row_visible(snap, v, id);
}

/* Of a log set: what it finds, less what is hidden from outside. */
static enum err add_log(const struct snapshot *snap, uint32_t at, const struct range *q,
                        struct arena *arena, struct found_list *found)
{
    const struct part_view *v = &snap->views[at];
    bool link = q->kind == RECORD_LINK;
    size_t kept = found->count;
    TRY(log_view_find_range(&v->log, q->kind, q->project_id, q->profiler_id, q->start_ns, q->end_ns,
                            at, arena, found));
    for (size_t i = kept; i < found->count; i++)
        if (found_visible(snap, v, &found->items[i], link))
            found->items[kept++] = found->items[i];
    found->count = kept;
    return ERR_OK;
}

/* What a part of a segment found counts only when all of it could be read. */
enum err snapshot_settle_segment(const struct snapshot *snap, const struct part_view *v,
                                 enum err rc, struct found_list *found, size_t before)
{
    if (rc == ERR_CORRUPT || segment_is_damaged(view_segment(v))) {
        snapshot_note_damaged(snap, v);
        found->count = before;
        return ERR_OK;
    }
    return rc == ERR_NOTFOUND ? ERR_OK : rc;
}

static enum err find_range(const struct snapshot *snap, const struct range *q, struct arena *arena,
                           struct found_list *found)
{
    for (uint32_t at = 0; at < snap->view_count; at++) {
        const struct part_view *v = &snap->views[at];
        if (view_segment(v) == NULL) {
            TRY(add_log(snap, at, q, arena, found));
            continue;
        }
        if (!view_is_served(v) || !part_meets(v, q->start_ns, q->end_ns))
            continue;
        size_t before = found->count;
        enum err rc = q->kind == RECORD_LINK ? add_segment_links(snap, at, q, arena, found)
                                             : add_segment_rows(snap, at, q, arena, found);
        TRY(snapshot_settle_segment(snap, v, rc, found, before));
    }
    return ERR_OK;
}

enum err snapshot_find_chunks(const struct snapshot *snap, uint64_t project_id,
                              struct uuid profiler_id, int64_t start_ns, int64_t end_ns,
                              struct arena *arena, struct row_list *ret)
{
    struct range q = {RECORD_CHUNK, project_id, profiler_id, start_ns, end_ns};
    struct found_list found = {0};
    TRY(find_range(snap, &q, arena, &found));
    return snapshot_rows_in_order(snap, &found, arena, ret);
}

enum err snapshot_find_profiles(const struct snapshot *snap, uint64_t project_id, int64_t start_ns,
                                int64_t end_ns, struct arena *arena, struct row_list *ret)
{
    struct range q = {RECORD_TRANSACTION, project_id, {{0}}, start_ns, end_ns};
    struct found_list found = {0};
    TRY(find_range(snap, &q, arena, &found));
    return snapshot_rows_in_order(snap, &found, arena, ret);
}

/* ---- by id ---- */

struct latest {
    bool any;
    uint64_t arrival;
    row_id id;
};

static void keep_latest(const struct snapshot *snap, uint32_t at, uint32_t row,
                        struct latest *latest)
{
    const struct part_view *v = &snap->views[at];
    uint64_t arrival = part_row_arrival(v, row);
    if (!snapshot_row_visible(snap, v, row) || (latest->any && arrival < latest->arrival))
        return;
    *latest = (struct latest){true, arrival, (row_id)at << 32 | row};
}

static enum err find_in_segment(const struct snapshot *snap, uint32_t at, enum record_kind kind,
                                uint64_t project_id, struct uuid profiler_id, struct uuid id,
                                struct latest *latest)
{
    const struct segment_rows *rows = view_segment(&snap->views[at])->rows;
    struct segment_run run;
    uint32_t row;
    if (kind == RECORD_TRANSACTION) {
        TRY(segment_rows_find_profile(rows, project_id, id, &row));
        keep_latest(snap, at, row, latest);
        return ERR_OK;
    }
    TRY(segment_rows_find_run(rows, kind, project_id, profiler_id, &run));
    for (uint32_t next = run.first;;) {
        TRY(segment_rows_next_with_id(rows, run, id, &next, &row)); /* ERR_NOTFOUND ends */
        keep_latest(snap, at, row, latest);
    }
}

static enum err find_by_id(const struct snapshot *snap, enum record_kind kind, uint64_t project_id,
                           struct uuid profiler_id, struct uuid id, row_id *ret)
{
    struct latest latest = {0};
    for (uint32_t at = 0; at < snap->view_count; at++) {
        const struct part_view *v = &snap->views[at];
        uint32_t row;
        if (view_segment(v) == NULL) {
            if (log_view_find_id(&v->log, kind, project_id, profiler_id, id, &row))
                keep_latest(snap, at, row, &latest);
            continue;
        }
        struct latest before = latest;
        enum err rc = view_is_served(v)
                          ? find_in_segment(snap, at, kind, project_id, profiler_id, id, &latest)
                          : ERR_NOTFOUND;
        if (rc == ERR_CORRUPT || (rc != ERR_NOTFOUND && !view_is_served(v))) {
            snapshot_note_damaged(snap, v);
            latest = before;
        } else if (rc != ERR_OK && rc != ERR_NOTFOUND) {
            return rc;
        }
    }
    if (!latest.any)
        return ERR_NOTFOUND;
    *ret = latest.id;
    return ERR_OK;
}

enum err snapshot_find_chunk(const struct snapshot *snap, uint64_t project_id,
                             struct uuid profiler_id, struct uuid chunk_id, row_id *ret)
{
    return find_by_id(snap, RECORD_CHUNK, project_id, profiler_id, chunk_id, ret);
}

enum err snapshot_find_profile(const struct snapshot *snap, uint64_t project_id,
                               struct uuid profile_id, row_id *ret)
{
    return find_by_id(snap, RECORD_TRANSACTION, project_id, (struct uuid){{0}}, profile_id, ret);
}

/* ---- links ---- */

static int compare_links(const void *left, const void *right, void *context)
{
    (void)context;
    const struct link *a = left;
    const struct link *b = right;
    if (a->start_ns != b->start_ns)
        return a->start_ns < b->start_ns ? -1 : 1;
    int order = uuid_compare(a->trace_id, b->trace_id);
    return order != 0 ? order : (a->span_id > b->span_id) - (a->span_id < b->span_id);
}

static enum err links_in_order(const struct snapshot *snap, const struct found_list *found,
                               struct arena *arena, struct link_list *ret)
{
    *ret = (struct link_list){0};
    if (found->count == 0)
        return ERR_OK;
    ret->links = ARENA_ARRAY(arena, found->count, struct link);
    if (ret->links == NULL)
        return arena->failed;
    for (size_t i = 0; i < found->count; i++) {
        struct part_view *v = &snap->views[row_part(found->items[i].id)];
        struct part_link link;
        enum err rc = part_link(v, row_ordinal(found->items[i].id), &link, NULL);
        if (rc == ERR_OK)
            ret->links[ret->count++] = link.link;
        else if (rc == ERR_CORRUPT)
            snapshot_note_damaged(snap, v);
        else
            return rc;
    }
    ret->capacity = found->count;
    return sort_array(arena->account, ret->links, ret->count, sizeof *ret->links, compare_links,
                      NULL);
}

static enum err add_segment_trace(const struct snapshot *snap, uint32_t at, uint64_t project_id,
                                  struct uuid trace_id, struct arena *arena,
                                  struct found_list *found)
{
    const struct part_view *v = &snap->views[at];
    const struct segment_rows *rows = view_segment(v)->rows;
    struct segment_trace trace;
    TRY(segment_rows_find_trace(rows, project_id, trace_id, &trace));
    for (; trace.first < trace.end; trace.first++) {
        uint32_t link;
        TRY(segment_rows_trace_link(rows, trace.first, &link));
        if (snapshot_link_visible(snap, v, link))
            TRY(found_add(found, 0, (row_id)at << 32 | link, arena));
    }
    return ERR_OK;
}

static enum err add_log_trace(const struct snapshot *snap, uint32_t at, uint64_t project_id,
                              struct uuid trace_id, struct arena *arena, struct found_list *found)
{
    const struct part_view *v = &snap->views[at];
    size_t kept = found->count;
    TRY(log_view_find_trace(&v->log, project_id, trace_id, at, arena, found));
    for (size_t i = kept; i < found->count; i++)
        if (found_visible(snap, v, &found->items[i], true))
            found->items[kept++] = found->items[i];
    found->count = kept;
    return ERR_OK;
}

enum err snapshot_find_links_of_trace(const struct snapshot *snap, uint64_t project_id,
                                      struct uuid trace_id, struct arena *arena,
                                      struct link_list *ret)
{
    struct found_list found = {0};
    for (uint32_t at = 0; at < snap->view_count; at++) {
        const struct part_view *v = &snap->views[at];
        if (view_segment(v) == NULL) {
            TRY(add_log_trace(snap, at, project_id, trace_id, arena, &found));
            continue;
        }
        if (!view_is_served(v))
            continue;
        size_t before = found.count;
        enum err rc = add_segment_trace(snap, at, project_id, trace_id, arena, &found);
        TRY(snapshot_settle_segment(snap, v, rc, &found, before));
    }
    return links_in_order(snap, &found, arena, ret);
}

enum err snapshot_find_links(const struct snapshot *snap, uint64_t project_id, int64_t start_ns,
                             int64_t end_ns, struct arena *arena, struct link_list *ret)
{
    struct range q = {RECORD_LINK, project_id, {{0}}, start_ns, end_ns};
    struct found_list found = {0};
    TRY(find_range(snap, &q, arena, &found));
    return links_in_order(snap, &found, arena, ret);
}
