/* selection_gaps.c - which parts of what was asked no used row covers. */
#include "base/sort.h"
#include "engine/link_windows.h"
#include "engine/selection_parts.h"

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

enum err selection_find_gaps(struct selection *s)
{
    struct span_list gaps = {0};

    if (s->links != NULL)
        TRY(gaps_of_links(s, &gaps));
    else
        TRY(gaps_of_window(s, &gaps));
    return coverage_set_gaps(&s->coverage, gaps, s->arena->account);
}
