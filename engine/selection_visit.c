/* selection_visit.c - read the rows of a selection and cut their samples to its windows.
 *
 * A visit walks a profile's samples twice: backwards to find each sample's next one on the same
 * thread, forwards to cut the stretch between the two to the windows. Windows of a thread are
 * ascending and disjoint, samples of a thread ascend too, so one cursor a list is enough.
 */
#include <inttypes.h>

#include "base/limits.h"
#include "base/log.h"
#include "engine/link_windows.h"
#include "engine/sample_sort.h"
#include "engine/selection.h"

/* Where a thread stands in the two lists of windows that concern it. */
struct cursor {
    bool wanted;
    bool touched; /* has a piece */
    uint32_t all; /* next window for every thread */
    uint32_t own; /* next window for this thread alone */
    uint32_t own_end;
};

struct visit {
    struct selection *s;
    struct buffer pieces; /* struct selection_piece */
    struct buffer key;    /* of the thread table */
    struct arena scratch;
    const struct profile *profile;
    const struct selection_row *row;
    uint32_t all_end; /* windows for every thread are [0, all_end) */
    struct cursor *cursors;
    bool takes_whole;          /* rows that nothing cuts need no pieces */
    struct sample_order order; /* of such a row */
    uint64_t reached;          /* samples with a piece */
    uint64_t reached_ns;       /* their weights, uncut */
    struct errinfo *info;
};

static bool thread_wanted(const struct selection_request *q, struct bytes id)
{
    for (size_t i = 0; i < q->threads.count; i++)
        if (bytes_equal(q->threads.texts[i], id))
            return true;
    return q->threads.count == 0;
}

/* Which windows concern each thread of the profile; NULL when the scratch has failed. */
static struct cursor *visit_cursors(struct visit *v)
{
    const struct profile *p = v->profile;
    const struct selection_row *row = v->row;
    struct cursor *cursors = ARENA_ARRAY(&v->scratch, p->thread_count, struct cursor);

    if (cursors == NULL)
        return NULL;
    uint32_t at = 0;
    while (at < row->window_count && row->windows[at].thread.data == NULL)
        at++;
    v->all_end = at;
    for (size_t t = 0; t < p->thread_count; t++)
        cursors[t] = (struct cursor){
            .wanted = thread_wanted(v->s->request, profile_string(p, p->threads[t].id))};
    while (at < row->window_count) {
        uint32_t first = at;
        struct bytes thread = row->windows[first].thread;
        while (at < row->window_count && bytes_equal(row->windows[at].thread, thread))
            at++;
        for (size_t t = 0; t < p->thread_count; t++) {
            if (bytes_equal(profile_string(p, p->threads[t].id), thread)) {
                cursors[t].own = first;
                cursors[t].own_end = at;
            }
        }
    }
    return cursors;
}

/* Keep a piece and sum up what it covers. */
static inline void visit_emit(struct visit *v, struct selection_piece piece)
{
    struct coverage *c = &v->s->coverage;
    struct buffer *b = &v->pieces;

    if (b->capacity - b->len < sizeof(piece) && buffer_reserve(b, sizeof(piece)) != ERR_OK)
        return; /* the failure sticks */
    memcpy(b->data + b->len, &piece, sizeof(piece));
    b->len += sizeof(piece);
    if (piece.start_ns < c->first_ns)
        c->first_ns = piece.start_ns;
    if (piece.end_ns > c->last_ns)
        c->last_ns = piece.end_ns;
    c->samples += piece.counted;
    c->total_ns += (uint64_t)piece.end_ns - (uint64_t)piece.start_ns;
}

/* Cut [start, end) of one sample to windows[*at, last); *at moves past windows that are over. Says
 * whether anything was left. */
static bool visit_cut(struct visit *v, uint32_t sample, struct span_ns span, uint32_t *at,
                      uint32_t last)
{
    const struct selection_window *w = v->row->windows;
    bool emitted = false;

    while (*at < last && w[*at].end_ns <= span.start_ns)
        (*at)++;
    for (uint32_t i = *at; i < last; i++) {
        bool counted = w[i].start_ns <= span.start_ns;
        if (!counted && w[i].start_ns >= span.end_ns)
            break;
        visit_emit(v, (struct selection_piece){
                          .sample = sample,
                          .counted = counted,
                          .start_ns = counted ? span.start_ns : w[i].start_ns,
                          .end_ns = span.end_ns < w[i].end_ns ? span.end_ns : w[i].end_ns,
                      });
        emitted = true;
    }
    return emitted;
}

/* Unix nanoseconds of all samples; threads of a tick mostly share their time. */
static void visit_times(const struct profile *p, int64_t *ns)
{
    for (size_t i = 0; i < p->sample_count; i++) {
        if (i > 0 && p->sample_time[i] == p->sample_time[i - 1])
            ns[i] = ns[i - 1];
        else
            ns[i] = profile_sample_ns(p, i);
    }
}

/* The next sample of the same thread, or NONE. */
static void visit_next(const struct profile *p, uint32_t *latest, uint32_t *next)
{
    for (size_t t = 0; t < p->thread_count; t++)
        latest[t] = PROFILE_NONE;
    for (size_t i = p->sample_count; i-- > 0;) {
        next[i] = latest[p->sample_thread[i]];
        latest[p->sample_thread[i]] = (uint32_t)i;
    }
}

/* A row that lies in one window for every thread: nothing to cut. */
static bool visit_is_uncut(const struct visit *v)
{
    const struct selection_row *row = v->row;

    return row->window_count == 1 && row->windows[0].thread.data == NULL &&
           row->windows[0].start_ns <= row->start_ns && row->end_ns < row->windows[0].end_ns;
}

/* One piece a sample. */
static enum err visit_uncut(struct visit *v, const int64_t *ns, const uint32_t *next)
{
    const struct profile *p = v->profile;
    struct coverage *c = &v->s->coverage;
    uint64_t total_ns = 0;
    size_t count = 0;

    TRY(buffer_reserve(&v->pieces, p->sample_count * sizeof(struct selection_piece)));
    struct selection_piece *pieces = (void *)v->pieces.data;
    for (size_t i = 0; i < p->sample_count; i++) {
        struct cursor *cursor = &v->cursors[p->sample_thread[i]];
        if (next[i] == PROFILE_NONE || !cursor->wanted)
            continue;
        pieces[count++] = (struct selection_piece){(uint32_t)i, 1, ns[i], ns[next[i]]};
        total_ns += (uint64_t)ns[next[i]] - (uint64_t)ns[i];
        cursor->touched = true;
        if (ns[next[i]] > c->last_ns)
            c->last_ns = ns[next[i]];
    }
    if (count > 0 && pieces[0].start_ns < c->first_ns) /* samples ascend */
        c->first_ns = pieces[0].start_ns;
    c->samples += count;
    c->total_ns += total_ns;
    v->reached += count;
    v->reached_ns += total_ns;
    v->pieces.len = count * sizeof(*pieces);
    return ERR_OK;
}

/* No pieces: what a thread covers is seen from its first and its last sample. */
static enum err visit_threads(struct visit *v)
{
    const struct profile *p = v->profile;
    struct coverage *c = &v->s->coverage;

    TRY(sample_order_make(p, SAMPLES_BY_DOCUMENT, &v->scratch, &v->order));
    for (size_t t = 0; t < p->thread_count; t++) {
        const uint32_t *samples = v->order.samples + v->order.starts[t];
        size_t count = v->order.starts[t + 1] - v->order.starts[t];
        if (count < 2)
            continue;
        int64_t start_ns = profile_sample_ns(p, samples[0]);
        int64_t end_ns = profile_sample_ns(p, samples[count - 1]);
        uint64_t weight_ns = (uint64_t)end_ns - (uint64_t)start_ns;
        v->cursors[t].touched = true;
        if (start_ns < c->first_ns)
            c->first_ns = start_ns;
        if (end_ns > c->last_ns)
            c->last_ns = end_ns;
        c->samples += count - 1;
        c->total_ns += weight_ns;
        v->reached += count - 1;
        v->reached_ns += weight_ns;
    }
    return ERR_OK;
}

static enum err visit_pieces(struct visit *v)
{
    const struct profile *p = v->profile;
    uint32_t *next = ARENA_ARRAY(&v->scratch, p->sample_count, uint32_t);
    uint32_t *latest = ARENA_ARRAY(&v->scratch, p->thread_count, uint32_t);
    int64_t *ns = ARENA_ARRAY(&v->scratch, p->sample_count, int64_t);

    if (next == NULL || latest == NULL || ns == NULL)
        return v->scratch.failed;
    visit_times(p, ns);
    visit_next(p, latest, next);
    if (visit_is_uncut(v))
        return visit_uncut(v, ns, next);
    for (size_t i = 0; i < p->sample_count; i++) {
        struct cursor *c = &v->cursors[p->sample_thread[i]];
        if (next[i] == PROFILE_NONE || !c->wanted)
            continue;
        struct span_ns span = {ns[i], ns[next[i]]};
        bool any = visit_cut(v, (uint32_t)i, span, &c->all, v->all_end);
        any |= visit_cut(v, (uint32_t)i, span, &c->own, c->own_end);
        if (any) {
            c->touched = true;
            v->reached++;
            v->reached_ns += (uint64_t)span.end_ns - (uint64_t)span.start_ns;
        }
    }
    return v->pieces.failed;
}

/* The number of a thread's (id, name) in the selection's table. */
static enum err visit_number(struct visit *v, const struct profile_thread *t, uint32_t *ret)
{
    struct bytes id = profile_string(v->profile, t->id);
    uint32_t number = 0;

    buffer_clear(&v->key);
    buffer_put_u32(&v->key, (uint32_t)id.len);
    buffer_put(&v->key, id);
    buffer_put(&v->key, profile_string(v->profile, t->name));
    if (v->key.failed != ERR_OK)
        return v->key.failed;
    TRY(intern_add(&v->s->threads, buffer_bytes(&v->key), &number));
    *ret = number - 1; /* 0 is the empty string, which no key is */
    return ERR_OK;
}

void selection_thread(const struct selection *s, uint32_t n, struct bytes *ret_id,
                      struct bytes *ret_name)
{
    struct reader r = reader_of(intern_get(&s->threads, n + 1));
    uint32_t len = reader_u32(&r);

    *ret_id = reader_take(&r, len);
    *ret_name = reader_take(&r, reader_left(&r));
}

/* Number the threads that have pieces. */
static enum err visit_numbers(struct visit *v, uint32_t **ret)
{
    const struct profile *p = v->profile;
    uint32_t *numbers = ARENA_ARRAY(&v->scratch, p->thread_count, uint32_t);

    if (numbers == NULL)
        return v->scratch.failed;
    for (size_t t = 0; t < p->thread_count; t++) {
        numbers[t] = PROFILE_NONE;
        if (v->cursors[t].touched)
            TRY(visit_number(v, &p->threads[t], &numbers[t]));
    }
    *ret = numbers;
    return ERR_OK;
}

static bool is_damage(enum err rc)
{
    return rc == ERR_CORRUPT || rc == ERR_IO || rc == ERR_UNSUPPORTED || rc == ERR_MALFORMED ||
           rc == ERR_NOTFOUND;
}

static void visit_leave_out(struct visit *v, const char *reason, const struct errinfo *why)
{
    bool chunk = v->row->kind == PROFILE_CHUNK;

    coverage_leave_out(&v->s->coverage, chunk ? "chunks" : "profiles", reason, 1);
    log_warn("selection", "left_out row=%" PRIu32 " reason=%s detail=\"%s\"", v->row->id, reason,
             why->text);
}

static enum err visit_samples(struct visit *v, bool whole)
{
    buffer_clear(&v->pieces);
    v->cursors = visit_cursors(v);
    if (v->cursors == NULL)
        return v->scratch.failed;
    return whole ? visit_threads(v) : visit_pieces(v);
}

static enum err visit_row(struct visit *v, struct selection_row *row, selection_visitor visitor,
                          void *self)
{
    struct coverage *c = &v->s->coverage;
    struct profile profile;
    struct errinfo why = {0};
    struct row facts;
    uint32_t *numbers = NULL;

    v->row = row;
    v->profile = &profile;
    snapshot_row(v->s->snapshot, row->id, &facts);
    enum err rc = snapshot_read_profile(v->s->snapshot, row->id, &v->scratch, &profile, &why);
    const char *reason = "unreadable";
    if (rc == ERR_OK)
        rc = profile_sort_samples(&profile, &v->scratch);
    if (rc == ERR_OK) {
        reason = "malformed";
        rc = profile_check(&profile, &why);
    }
    if (is_damage(rc)) {
        visit_leave_out(v, reason, &why);
        return ERR_OK;
    }
    if (rc != ERR_OK)
        return err_set(v->info, rc, "%s", why.text[0] == '\0' ? err_text(rc) : why.text);
    bool whole = v->takes_whole && v->s->request->threads.count == 0 && visit_is_uncut(v);
    rc = visit_samples(v, whole);
    if (rc == ERR_OK)
        rc = visit_numbers(v, &numbers);
    if (rc != ERR_OK)
        return err_set(v->info, rc, "selection: %s", err_text(rc));
    row->used = true;
    if (row->kind == PROFILE_CHUNK)
        c->chunks_used++;
    else
        c->profiles_used++;
    struct selection_part part = {
        .row = row,
        .facts = &facts,
        .profile = &profile,
        .pieces = (const void *)v->pieces.data,
        .piece_count = v->pieces.len / sizeof(struct selection_piece),
        .order = whole ? &v->order : NULL,
        .thread_numbers = numbers,
        .scratch = &v->scratch,
    };
    return visitor(self, &part, v->info);
}

/* The window as asked, missing bounds taken from the rows, less what the used rows span. */
static enum err gaps_of_window(const struct selection *s, struct span_list *ret)
{
    const struct selection_request *q = s->request;
    struct span_ns hull = {INT64_MAX, INT64_MIN};
    struct span_list asked = {0};
    struct span_list covered = {0};

    for (size_t i = 0; i < s->row_count; i++) {
        const struct selection_row *row = &s->rows[i];
        if (row->start_ns < hull.start_ns)
            hull.start_ns = row->start_ns;
        if (row->end_ns > hull.end_ns)
            hull.end_ns = row->end_ns;
        if (row->used)
            TRY(span_list_add(&covered, (struct span_ns){row->start_ns, row->end_ns}, s->arena));
    }
    if (q->has_start)
        hull.start_ns = q->window.start_ns;
    if (q->has_end)
        hull.end_ns = q->window.end_ns;
    if (s->row_count > 0 || (q->has_start && q->has_end))
        TRY(span_list_add(&asked, hull, s->arena));
    TRY(span_list_unite(&covered, s->arena->account));
    return span_list_subtract(&asked, &covered, s->arena, ret);
}

/* Rows' numbers gathered by the profiler that links led to: [first[p], first[p + 1]). `first` has
 * two more entries than there are profilers. */
static void group_by_profiler(const struct selection *s, size_t *first, uint32_t *rows)
{
    size_t profilers = s->links->count;

    memset(first, 0, (profilers + 2) * sizeof(*first));
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].linked != PROFILE_NONE)
            first[s->rows[i].linked + 2]++;
    for (size_t p = 2; p < profilers + 2; p++)
        first[p] += first[p - 1];
    for (size_t i = 0; i < s->row_count; i++)
        if (s->rows[i].linked != PROFILE_NONE)
            rows[first[s->rows[i].linked + 1]++] = (uint32_t)i;
}

static enum err add_all(struct span_list *to, const struct span_list *spans, struct arena *arena)
{
    for (size_t i = 0; i < spans->count; i++)
        TRY(span_list_add(to, spans->spans[i], arena));
    return ERR_OK;
}

/* What `rows` leave of a profiler's windows is added to `gaps`. */
static enum err gaps_of_profiler(const struct selection *s, const struct link_profiler *profiler,
                                 const uint32_t *rows, size_t row_count, struct span_list *gaps)
{
    struct span_list asked = {0};
    struct span_list covered = {0};
    struct span_list missing = {0};

    for (size_t t = 0; t < profiler->thread_count; t++)
        TRY(add_all(&asked, &profiler->threads[t].spans, s->arena));
    for (size_t i = 0; i < row_count; i++) {
        const struct selection_row *row = &s->rows[rows[i]];
        if (row->used)
            TRY(span_list_add(&covered, (struct span_ns){row->start_ns, row->end_ns}, s->arena));
    }
    TRY(span_list_unite(&asked, s->arena->account));
    TRY(span_list_unite(&covered, s->arena->account));
    TRY(span_list_subtract(&asked, &covered, s->arena, &missing));
    return add_all(gaps, &missing, s->arena);
}

static enum err gaps_of_links(const struct selection *s, struct span_list *ret)
{
    struct span_list gaps = {0};
    size_t *first = ARENA_ARRAY(s->arena, s->links->count + 2, size_t);
    uint32_t *rows = ARENA_ARRAY(s->arena, s->row_count, uint32_t);

    if (first == NULL || rows == NULL)
        return s->arena->failed;
    group_by_profiler(s, first, rows);
    for (size_t p = 0; p < s->links->count; p++)
        TRY(gaps_of_profiler(s, &s->links->profilers[p], rows + first[p], first[p + 1] - first[p],
                             &gaps));
    TRY(span_list_unite(&gaps, s->arena->account));
    *ret = gaps;
    return ERR_OK;
}

static enum err find_gaps(struct selection *s)
{
    struct span_list gaps = {0};

    if (s->links != NULL)
        TRY(gaps_of_links(s, &gaps));
    else
        TRY(gaps_of_window(s, &gaps));
    return coverage_set_gaps(&s->coverage, gaps, s->arena->account);
}

static enum err visit_finish(const struct visit *v)
{
    struct selection *s = v->s;
    struct coverage *c = &s->coverage;

    TRY(find_gaps(s));
    c->any = c->first_ns <= c->last_ns;
    if (!c->any)
        c->first_ns = c->last_ns = 0;
    c->threads = s->threads.count > 0 ? s->threads.count - 1 : 0;
    c->effective_hz = v->reached_ns == 0 ? 0 : (double)v->reached * 1e9 / (double)v->reached_ns;
    return ERR_OK;
}

static enum err visit_rows(struct selection *s, const atomic_bool *canceled, bool takes_whole,
                           selection_visitor visitor, void *self, struct errinfo *info)
{
    struct visit v = {.s = s, .takes_whole = takes_whole, .info = info};
    enum err rc = ERR_OK;

    s->coverage = (struct coverage){.chunks_found = s->coverage.chunks_found,
                                    .profiles_found = s->coverage.profiles_found,
                                    .first_ns = INT64_MAX,
                                    .last_ns = INT64_MIN};
    size_t text_max = s->threads.text.max;
    intern_close(&s->threads);
    intern_init(&s->threads, text_max, s->arena->account);
    buffer_init(&v.pieces, PIECES_SIZE_MAX, s->arena->account);
    buffer_init(&v.key, THREAD_KEY_MAX, s->arena->account);
    for (size_t i = 0; i < s->row_count && rc == ERR_OK; i++) {
        if (canceled != NULL && atomic_load_explicit(canceled, memory_order_relaxed)) {
            rc = err_set(info, ERR_CANCELED, "selection: canceled");
            break;
        }
        arena_init(&v.scratch, s->arena->max, s->arena->account);
        s->rows[i].used = false;
        rc = visit_row(&v, &s->rows[i], visitor, self);
        arena_close(&v.scratch);
    }
    buffer_close(&v.pieces);
    buffer_close(&v.key);
    if (rc != ERR_OK)
        return rc;
    rc = visit_finish(&v);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "selection: %s", err_text(rc));
}

enum err selection_visit(struct selection *s, const atomic_bool *canceled,
                         selection_visitor visitor, void *self, struct errinfo *info)
{
    return visit_rows(s, canceled, false, visitor, self, info);
}

enum err selection_visit_whole(struct selection *s, const atomic_bool *canceled,
                               selection_visitor visitor, void *self, struct errinfo *info)
{
    return visit_rows(s, canceled, true, visitor, self, info);
}

enum err selection_survey(struct selection *s, struct errinfo *info)
{
    struct coverage *c = &s->coverage;
    uint64_t weighing = 0; /* samples that are not the last of their thread */

    *c = (struct coverage){.chunks_found = c->chunks_found,
                           .chunks_used = c->chunks_found,
                           .profiles_found = c->profiles_found,
                           .profiles_used = c->profiles_found};
    for (size_t i = 0; i < s->row_count; i++) {
        struct row facts;
        snapshot_row(s->snapshot, s->rows[i].id, &facts);
        s->rows[i].used = true;
        if (!c->any || facts.start_ns < c->first_ns)
            c->first_ns = facts.start_ns;
        if (!c->any || facts.end_ns > c->last_ns)
            c->last_ns = facts.end_ns;
        c->any = true;
        c->samples += facts.sample_count;
        if (facts.thread_count > c->threads)
            c->threads = facts.thread_count;
        if (facts.sample_count > facts.thread_count)
            weighing += facts.sample_count - facts.thread_count;
        c->total_ns += ((uint64_t)facts.end_ns - (uint64_t)facts.start_ns) * facts.thread_count;
    }
    c->effective_hz = c->total_ns == 0 ? 0 : (double)weighing * 1e9 / (double)c->total_ns;
    enum err rc = find_gaps(s);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "selection: %s", err_text(rc));
}
