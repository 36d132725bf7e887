/* selection_visit.c - read the rows of a selection and cut their samples to its windows.
 *
 * A visit walks a profile's samples twice: backwards to find each sample's next one on the same
 * thread, forwards to cut the stretch between the two to the windows. Windows of a thread are
 * ascending and disjoint, samples of a thread ascend too, so one cursor a list is enough.
 */
#include <inttypes.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/sort.h"
#include "engine/link_windows.h"
#include "engine/sample_sort.h"
#include "engine/selection_parts.h"

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
        cursors[t] =
            (struct cursor){.wanted = selection_texts_accept(v->s->request->threads,
                                                             profile_string(p, p->threads[t].id))};
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
    if (row_is_uncut(v->row))
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

enum err visit_number(struct visit *v, struct bytes id, struct bytes name, uint32_t *ret)
{
    uint32_t number = 0;

    buffer_clear(&v->key);
    buffer_put_u32(&v->key, (uint32_t)id.len);
    buffer_put(&v->key, id);
    buffer_put(&v->key, name);
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
            TRY(visit_number(v, profile_string(p, p->threads[t].id),
                             profile_string(p, p->threads[t].name), &numbers[t]));
    }
    *ret = numbers;
    return ERR_OK;
}

void leave_out_row(struct selection *s, const struct selection_row *row, const char *reason,
                   const char *why)
{
    bool chunk = row->kind == PROFILE_CHUNK;
    char id[UUID_TEXT_SIZE + 1];

    uuid_print(row->profile_id, id);
    coverage_leave_out(&s->coverage, chunk ? "chunks" : "profiles", reason, 1);
    log_warn("selection", "left_out %s=%s reason=%s detail=\"%s\"", chunk ? "chunk" : "profile", id,
             reason, why);
}

static enum err visit_samples(struct visit *v, bool whole)
{
    buffer_clear(&v->pieces);
    v->cursors = visit_cursors(v);
    if (v->cursors == NULL)
        return v->scratch.failed;
    return whole ? visit_threads(v) : visit_pieces(v);
}

void use_row(struct selection *s, struct selection_row *row)
{
    row->used = true;
    if (row->kind == PROFILE_CHUNK)
        s->coverage.chunks_used++;
    else
        s->coverage.profiles_used++;
}

static enum err visit_row(struct visit *v, struct selection_row *row, selection_visitor visitor,
                          void *self)
{
    struct profile profile;
    struct errinfo why = {0};
    uint32_t *numbers = NULL;

    v->row = row;
    v->profile = &profile;
    enum err rc = snapshot_read_profile(v->s->snapshot, row->id, &v->scratch, &profile, &why);
    const char *reason = "unreadable";
    if (rc == ERR_OK)
        rc = profile_sort_samples(&profile, &v->scratch);
    if (rc == ERR_OK) {
        reason = "malformed";
        rc = profile_check(&profile, &why);
    }
    if (selection_is_damage(rc)) {
        leave_out_row(v->s, row, reason, why.text);
        return ERR_OK;
    }
    if (rc != ERR_OK)
        return err_set(v->info, rc, "%s", why.text[0] == '\0' ? err_text(rc) : why.text);
    bool whole = v->takes_whole && v->s->request->threads.count == 0 && row_is_uncut(v->row);
    rc = visit_samples(v, whole);
    if (rc == ERR_OK)
        rc = visit_numbers(v, &numbers);
    if (rc != ERR_OK)
        return err_set(v->info, rc, "selection: %s", err_text(rc));
    use_row(v->s, row);
    struct selection_part part = {
        .row = row,
        .profile = &profile,
        .pieces = (const void *)v->pieces.data,
        .piece_count = v->pieces.len / sizeof(struct selection_piece),
        .order = whole ? &v->order : NULL,
        .thread_numbers = numbers,
        .scratch = &v->scratch,
    };
    return visitor(self, &part, v->info);
}

void coverage_leave_out_damaged(struct coverage *c, const struct snapshot *snap,
                                const struct selection_request *q)
{
    int64_t start_ns = q->has_start ? q->window.start_ns : INT64_MIN;
    int64_t end_ns = q->has_end ? q->window.end_ns : INT64_MAX;

    coverage_leave_out(c, "segments", "damaged", snapshot_count_damaged(snap, start_ns, end_ns));
}

static enum err visit_finish(const struct visit *v)
{
    struct selection *s = v->s;
    struct coverage *c = &s->coverage;

    coverage_leave_out_damaged(&s->coverage, s->snapshot, s->request);
    TRY(selection_find_gaps(s));
    c->any = c->first_ns <= c->last_ns;
    if (!c->any)
        c->first_ns = c->last_ns = 0;
    c->threads = s->threads.count > 0 ? s->threads.count - 1 : 0;
    c->effective_hz = v->reached_ns == 0 ? 0 : (double)v->reached * 1e9 / (double)v->reached_ns;
    return ERR_OK;
}

/* Of what was found nothing is used yet. */
static void coverage_begin(struct selection *s)
{
    s->coverage = (struct coverage){.chunks_found = s->coverage.chunks_found,
                                    .profiles_found = s->coverage.profiles_found};
    coverage_leave_out(&s->coverage, "chunks", "unreadable", s->chunks_unreadable);
    coverage_leave_out(&s->coverage, "profiles", "unreadable", s->profiles_unreadable);
}

/* Every row that `taken` does not say. */
static enum err visit_others(struct visit *v, const atomic_bool *canceled, const uint8_t *taken,
                             selection_visitor visitor, void *self)
{
    struct selection *s = v->s;
    enum err rc = ERR_OK;

    for (size_t i = 0; i < s->row_count && rc == ERR_OK; i++) {
        if (taken != NULL && taken[i] != 0)
            continue;
        if (is_canceled(canceled))
            return err_set(v->info, ERR_CANCELED, "selection: canceled");
        arena_init(&v->scratch, s->arena->max, s->arena->account);
        rc = visit_row(v, &s->rows[i], visitor, self);
        arena_close(&v->scratch);
    }
    return rc;
}

/* Sums first, then all others. */
static enum err visit_with_trees(struct visit *v, const atomic_bool *canceled,
                                 const struct visit_kind *kind, selection_visitor visitor,
                                 void *self)
{
    struct selection *s = v->s;
    uint8_t *taken = ARENA_ARRAY(s->arena, s->row_count, uint8_t);

    if (taken == NULL)
        return err_set(v->info, s->arena->failed, "selection: %s", err_text(s->arena->failed));
    memset(taken, 0, s->row_count);
    TRY(visit_sums(v, canceled, kind, self, taken));
    return visit_others(v, canceled, taken, visitor, self);
}

static enum err visit_rows(struct selection *s, const atomic_bool *canceled,
                           const struct visit_kind *kind, selection_visitor visitor, void *self,
                           struct errinfo *info)
{
    struct visit v = {.s = s, .takes_whole = kind->takes_whole, .info = info};

    s->again = false;
    coverage_begin(s);
    s->coverage.first_ns = INT64_MAX;
    s->coverage.last_ns = INT64_MIN;
    size_t text_max = s->threads.text.max;
    intern_close(&s->threads);
    intern_init(&s->threads, text_max, s->arena->account);
    buffer_init(&v.pieces, PIECES_SIZE_MAX, s->arena->account);
    buffer_init(&v.key, THREAD_KEY_MAX, s->arena->account);
    for (size_t i = 0; i < s->row_count; i++)
        s->rows[i].used = false;
    enum err rc = kind->trees == NULL ? visit_others(&v, canceled, NULL, visitor, self)
                                      : visit_with_trees(&v, canceled, kind, visitor, self);
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
    struct visit_kind kind = {0};
    return visit_rows(s, canceled, &kind, visitor, self, info);
}

enum err selection_visit_whole(struct selection *s, const atomic_bool *canceled,
                               selection_visitor visitor, void *self, struct errinfo *info)
{
    struct visit_kind kind = {.takes_whole = true};
    return visit_rows(s, canceled, &kind, visitor, self, info);
}

enum err selection_visit_trees(struct selection *s, const atomic_bool *canceled, bool by_thread,
                               selection_visitor visitor, selection_tree_visitor trees, void *self,
                               struct errinfo *info)
{
    struct visit_kind kind = {.takes_whole = true, .trees = trees, .by_thread = by_thread};
    return visit_rows(s, canceled, &kind, visitor, self, info);
}

enum err selection_survey(struct selection *s, struct errinfo *info)
{
    struct coverage *c = &s->coverage;
    uint64_t weighing = 0; /* samples that are not the last of their thread */

    coverage_begin(s);
    c->chunks_used = c->chunks_found - s->chunks_unreadable;
    c->profiles_used = c->profiles_found - s->profiles_unreadable;
    for (size_t i = 0; i < s->row_count; i++) {
        struct selection_row *row = &s->rows[i];
        row->used = true;
        if (!c->any || row->start_ns < c->first_ns)
            c->first_ns = row->start_ns;
        if (!c->any || row->end_ns > c->last_ns)
            c->last_ns = row->end_ns;
        c->any = true;
        c->samples += row->sample_count;
        if (row->thread_count > c->threads)
            c->threads = row->thread_count;
        if (row->sample_count > row->thread_count)
            weighing += row->sample_count - row->thread_count;
        c->total_ns += ((uint64_t)row->end_ns - (uint64_t)row->start_ns) * row->thread_count;
    }
    c->effective_hz = c->total_ns == 0 ? 0 : (double)weighing * 1e9 / (double)c->total_ns;
    coverage_leave_out_damaged(&s->coverage, s->snapshot, s->request);
    enum err rc = selection_find_gaps(s);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "selection: %s", err_text(rc));
}

enum err selection_describe(struct selection *s, struct selection_row *row, struct row *ret,
                            bool *ret_known, struct errinfo *info)
{
    enum err rc = snapshot_row(s->snapshot, row->id, ret);

    *ret_known = rc == ERR_OK;
    if (rc == ERR_OK)
        return ERR_OK;
    if (!selection_is_damage(rc))
        return err_set(info, rc, "selection: %s", err_text(rc));
    if (row->used) {
        uint64_t *used =
            row->kind == PROFILE_CHUNK ? &s->coverage.chunks_used : &s->coverage.profiles_used;
        (*used)--;
        row->used = false;
        leave_out_row(s, row, "unreadable", err_text(rc));
    }
    return ERR_OK;
}
