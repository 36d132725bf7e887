/* selection.c - from conditions to rows and windows; the index alone is read here. */
#include "engine/selection.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sort.h"
#include "engine/link_windows.h"

struct maker {
    struct selection *s;
    const struct selection_request *request;
    const struct snapshot *snap;
    struct arena *arena;
    struct span_ns window;
    bool by_link; /* chunks are reached through links only */
    bool by_id;
    const struct selection_window *whole; /* the request's window, for every thread */
    struct filter_request conditions;
    struct snapshot_filter *filter; /* of these */
    size_t row_capacity;
    struct errinfo *info;
};

bool selection_texts_accept(struct selection_texts texts, struct bytes text)
{
    for (size_t i = 0; i < texts.count; i++)
        if (bytes_equal(texts.texts[i], text))
            return true;
    return texts.count == 0;
}

struct filter_request selection_conditions(const struct selection_request *q)
{
    return (struct filter_request){
        .environments = {q->environments.texts, q->environments.count},
        .releases = {q->releases.texts, q->releases.count},
        .platforms = {q->platforms.texts, q->platforms.count},
        .transaction = q->transaction,
    };
}

static bool row_meets(const struct row *facts, struct span_ns window)
{
    return window.start_ns < window.end_ns && facts->start_ns < window.end_ns &&
           facts->end_ns >= window.start_ns;
}

static enum err maker_add_row(struct maker *m, struct selection_row row)
{
    struct selection *s = m->s;

    if (s->row_count == m->row_capacity) {
        size_t capacity = m->row_capacity == 0 ? 16 : m->row_capacity * 2;
        struct selection_row *grown = ARENA_ARRAY(m->arena, capacity, struct selection_row);
        if (grown == NULL)
            return m->arena->failed;
        if (s->row_count > 0)
            memcpy(grown, s->rows, s->row_count * sizeof(*grown));
        s->rows = grown;
        m->row_capacity = capacity;
    }
    s->rows[s->row_count++] = row;
    if (row.kind == PROFILE_CHUNK)
        s->coverage.chunks_found++;
    else
        s->coverage.profiles_found++;
    return ERR_OK;
}

bool selection_is_damage(enum err rc)
{
    return rc == ERR_CORRUPT || rc == ERR_IO || rc == ERR_UNSUPPORTED || rc == ERR_MALFORMED ||
           rc == ERR_NOTFOUND;
}

/* The facts of a row that was found, if it has the tags that are asked for; when they cannot be read
 * it is counted, and that is all. */
static enum err maker_describe(struct maker *m, row_id id, enum profile_kind kind, struct row *ret,
                               bool *ret_taken)
{
    struct selection *s = m->s;
    bool accepted = false;
    enum err rc = snapshot_filter_accepts(m->filter, id, &accepted);

    if (rc == ERR_OK && accepted)
        rc = snapshot_row(m->snap, id, ret);
    *ret_taken = rc == ERR_OK && accepted;
    if (!selection_is_damage(rc))
        return rc;
    if (kind == PROFILE_CHUNK) {
        s->coverage.chunks_found++;
        s->chunks_unreadable++;
    } else {
        s->coverage.profiles_found++;
        s->profiles_unreadable++;
    }
    return ERR_OK;
}

static struct selection_row row_of(row_id id, const struct row *facts)
{
    return (struct selection_row){.id = id,
                                  .profile_id = facts->id,
                                  .profiler_id = facts->profiler_id,
                                  .start_ns = facts->start_ns,
                                  .end_ns = facts->end_ns,
                                  .linked = PROFILE_NONE,
                                  .sample_count = facts->sample_count,
                                  .thread_count = facts->thread_count,
                                  .kind = facts->kind};
}

/* Chunks of one profiler that meet `window`; with links only where these reach. */
static enum err maker_add_chunks(struct maker *m, struct uuid profiler, struct span_ns window,
                                 const struct link_profiler *links, uint32_t linked)
{
    struct row_list found = {0};

    if (window.end_ns <= window.start_ns)
        return ERR_OK;
    TRY(snapshot_find_chunks(m->snap, m->request->project_id, profiler, window.start_ns,
                             window.end_ns - 1, m->arena, &found));
    for (size_t i = 0; i < found.count; i++) {
        struct row facts;
        bool taken;
        TRY(maker_describe(m, found.ids[i], PROFILE_CHUNK, &facts, &taken));
        if (!taken)
            continue;
        struct selection_row row = row_of(found.ids[i], &facts);
        row.windows = m->whole;
        row.window_count = 1;
        row.linked = linked;
        if (links != NULL)
            TRY(link_profiler_windows(links, facts.start_ns, facts.end_ns, m->arena, &row.windows,
                                      &row.window_count));
        if (row.window_count > 0)
            TRY(maker_add_row(m, row));
    }
    return ERR_OK;
}

static enum err maker_add_profile(struct maker *m, row_id id)
{
    const struct selection_request *q = m->request;
    struct row facts;
    bool taken;

    TRY(maker_describe(m, id, PROFILE_TRANSACTION, &facts, &taken));
    if (!taken || !row_meets(&facts, m->window))
        return ERR_OK;
    if (q->has_trace_id && !uuid_equal(facts.trace_id, q->trace_id))
        return ERR_OK;
    struct selection_row row = row_of(id, &facts);
    row.windows = m->whole;
    row.window_count = 1;
    return maker_add_row(m, row);
}

static enum err maker_add_profile_of_id(struct maker *m, struct uuid profile_id)
{
    row_id id;
    enum err rc = snapshot_find_profile(m->snap, m->request->project_id, profile_id, &id);

    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    TRY(rc);
    return maker_add_profile(m, id);
}

static enum err maker_add_profiles(struct maker *m)
{
    const struct selection_request *q = m->request;

    if (m->by_id) {
        for (size_t i = 0; i < q->profile_ids.count; i++) {
            bool again = false;
            for (size_t k = 0; k < i && !again; k++)
                again = uuid_equal(q->profile_ids.ids[k], q->profile_ids.ids[i]);
            if (!again)
                TRY(maker_add_profile_of_id(m, q->profile_ids.ids[i]));
        }
        return ERR_OK;
    }
    if (m->window.end_ns <= m->window.start_ns)
        return ERR_OK;
    struct row_list found = {0};
    TRY(snapshot_find_profiles(m->snap, q->project_id, m->window.start_ns, m->window.end_ns - 1,
                               m->arena, &found));
    for (size_t i = 0; i < found.count; i++)
        TRY(maker_add_profile(m, found.ids[i]));
    return ERR_OK;
}

static enum err maker_add_linked(struct maker *m)
{
    struct selection_links *links = NULL;

    TRY(selection_links_find(m->snap, m->request, m->window, m->arena, &links));
    m->s->links = links;
    for (size_t i = 0; i < links->count; i++) {
        const struct link_profiler *p = &links->profilers[i];
        TRY(maker_add_chunks(m, p->profiler_id, p->hull, p, (uint32_t)i));
    }
    return ERR_OK;
}

static enum err maker_add_continuous(struct maker *m)
{
    const struct selection_request *q = m->request;

    if (m->by_id) {
        for (size_t i = 0; i < q->profiler_ids.count; i++) {
            bool again = false;
            for (size_t k = 0; k < i && !again; k++)
                again = uuid_equal(q->profiler_ids.ids[k], q->profiler_ids.ids[i]);
            if (!again)
                TRY(maker_add_chunks(m, q->profiler_ids.ids[i], m->window, NULL, PROFILE_NONE));
        }
        return ERR_OK;
    }
    struct profiler_summary *profilers = NULL;
    size_t count = 0;
    TRY(snapshot_list_profilers(m->snap, q->project_id, m->arena, &profilers, &count));
    for (size_t i = 0; i < count; i++)
        if (profilers[i].start_ns < m->window.end_ns && profilers[i].end_ns >= m->window.start_ns)
            TRY(maker_add_chunks(m, profilers[i].profiler_id, m->window, NULL, PROFILE_NONE));
    return ERR_OK;
}

/* By (start, id, profiler): the order in which rows are read and exports run. */
static int row_compare(const void *left, const void *right, void *context)
{
    (void)context;
    const struct selection_row *a = left;
    const struct selection_row *b = right;

    if (a->start_ns != b->start_ns)
        return a->start_ns < b->start_ns ? -1 : 1;
    int order = uuid_compare(a->profile_id, b->profile_id);
    if (order == 0)
        order = uuid_compare(a->profiler_id, b->profiler_id);
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

static enum err maker_prepare(struct maker *m)
{
    const struct selection_request *q = m->request;

    m->window = (struct span_ns){q->has_start ? q->window.start_ns : INT64_MIN,
                                 q->has_end ? q->window.end_ns : INT64_MAX};
    m->by_id = q->profiler_ids.count > 0 || q->profile_ids.count > 0;
    m->by_link = q->transaction.data != NULL || q->has_trace_id;
    struct selection_window *whole = ARENA_NEW(m->arena, struct selection_window);
    if (whole == NULL)
        return m->arena->failed;
    *whole = (struct selection_window){m->window.start_ns, m->window.end_ns, {0}};
    m->whole = whole;
    m->conditions = selection_conditions(q);
    return snapshot_filter_create(m->snap, &m->conditions, m->arena->account, &m->filter);
}

enum err selection_make(const struct snapshot *snap, const struct selection_request *request,
                        struct arena *arena, struct selection **ret, struct errinfo *info)
{
    struct selection *s = ARENA_NEW(arena, struct selection);

    if (s == NULL)
        return err_set(info, arena->failed, "selection: %s", err_text(arena->failed));
    *s = (struct selection){.snapshot = snap, .request = request, .arena = arena};
    intern_init(&s->threads, THREAD_TEXT_MAX, arena->account);
    struct maker m = {.s = s, .request = request, .snap = snap, .arena = arena, .info = info};

    enum err rc = maker_prepare(&m);
    if (rc == ERR_OK)
        rc = m.by_link ? maker_add_linked(&m) : maker_add_continuous(&m);
    if (rc == ERR_OK && !request->chunks_only)
        rc = maker_add_profiles(&m);
    if (rc == ERR_OK)
        rc = sort_array(arena->account, s->rows, s->row_count, sizeof(*s->rows), row_compare, NULL);
    snapshot_filter_destroy(m.filter);
    if (rc != ERR_OK) {
        selection_destroy(s);
        return err_set(info, rc, "selection: %s", err_text(rc));
    }
    if (s->chunks_unreadable + s->profiles_unreadable > 0)
        log_warn("selection", "undescribed chunks=%" PRIu64 " profiles=%" PRIu64,
                 s->chunks_unreadable, s->profiles_unreadable);
    *ret = s;
    return ERR_OK;
}

void selection_destroy(struct selection *s)
{
    if (s != NULL)
        intern_close(&s->threads);
}

void coverage_leave_out(struct coverage *c, const char *what, const char *reason, uint64_t count)
{
    if (count == 0)
        return;
    for (size_t i = 0; i < c->left_out_count; i++) {
        struct left_out *l = &c->left_out[i];
        if (strcmp(l->what, what) == 0 && strcmp(l->reason, reason) == 0) {
            l->count += count;
            return;
        }
    }
    assert(c->left_out_count < LEFT_OUT_MAX); /* the words are ours, and few */
    c->left_out[c->left_out_count++] = (struct left_out){what, reason, count};
}

enum err coverage_set_gaps(struct coverage *c, struct span_list gaps, struct mem_account *account)
{
    size_t found = gaps.count;

    TRY(span_list_keep_longest(&gaps, GAP_COUNT_MAX, account));
    c->gaps = gaps.spans;
    c->gap_count = gaps.count;
    coverage_leave_out(c, "gaps", "limit", found - gaps.count);
    return ERR_OK;
}

size_t coverage_print(const struct coverage *c, char text[COVERAGE_TEXT_SIZE])
{
    uint64_t left_out = 0;

    for (size_t i = 0; i < c->left_out_count; i++)
        left_out += c->left_out[i].count;
    int len = snprintf(text, COVERAGE_TEXT_SIZE,
                       "chunks_found=%" PRIu64 ", chunks_used=%" PRIu64 ", profiles_found=%" PRIu64
                       ", profiles_used=%" PRIu64 ", samples=%" PRIu64 ", total_ns=%" PRIu64
                       ", threads=%" PRIu64 ", gaps=%zu, left_out=%" PRIu64,
                       c->chunks_found, c->chunks_used, c->profiles_found, c->profiles_used,
                       c->samples, c->total_ns, c->threads, c->gap_count, left_out);
    for (size_t i = 0; i < c->left_out_count && len > 0 && len < COVERAGE_TEXT_SIZE; i++) {
        const struct left_out *l = &c->left_out[i];
        len += snprintf(text + len, COVERAGE_TEXT_SIZE - (size_t)len, ", %s_%s=%" PRIu64, l->what,
                        l->reason, l->count);
    }
    return len < COVERAGE_TEXT_SIZE ? (size_t)len : COVERAGE_TEXT_SIZE - 1;
}
