/* link_windows.c - links to disjoint windows per profiler and thread. */
#include "engine/link_windows.h"

#include "base/sort.h"

struct hit {
    struct uuid profiler_id;
    struct bytes thread; /* "" for all threads */
    struct span_ns span;
};

static bool ids_contain(struct selection_ids ids, struct uuid id)
{
    for (size_t i = 0; i < ids.count; i++)
        if (uuid_equal(ids.ids[i], id))
            return true;
    return false;
}

static bool link_matches(const struct selection_request *q, const struct link *l)
{
    if (uuid_is_nil(l->profiler_id))
        return false;
    if ((q->profiler_ids.count > 0 || q->profile_ids.count > 0) &&
        !ids_contain(q->profiler_ids, l->profiler_id))
        return false;
    if (q->has_trace_id && !uuid_equal(l->trace_id, q->trace_id))
        return false;
    if (q->transaction.data != NULL && !(l->is_segment && bytes_equal(l->name, q->transaction)))
        return false;
    return l->thread_id.len == 0 || selection_texts_accept(q->threads, l->thread_id);
}

/* By profiler, then thread (all threads, "", come first). */
static int hit_compare(const void *left, const void *right, void *context)
{
    (void)context;
    const struct hit *a = left;
    const struct hit *b = right;
    int order = uuid_compare(a->profiler_id, b->profiler_id);

    return order != 0 ? order : bytes_compare(a->thread, b->thread);
}

static enum err hits_find(const struct snapshot *snap, const struct selection_request *q,
                          struct span_ns window, struct arena *arena, struct hit **ret,
                          size_t *ret_count)
{
    struct link_list found = {0};

    if (window.end_ns <= window.start_ns) {
        *ret_count = 0;
        return ERR_OK;
    }
    if (q->has_trace_id)
        TRY(snapshot_find_links_of_trace(snap, q->project_id, q->trace_id, arena, &found));
    else
        TRY(snapshot_find_links(snap, q->project_id, window.start_ns, window.end_ns - 1, arena,
                                &found));
    struct hit *hits = ARENA_ARRAY(arena, found.count, struct hit);
    if (hits == NULL)
        return arena->failed;
    size_t count = 0;
    for (size_t i = 0; i < found.count; i++) {
        const struct link *l = &found.links[i];
        struct span_ns span = {l->start_ns > window.start_ns ? l->start_ns : window.start_ns,
                               l->end_ns < window.end_ns ? l->end_ns : window.end_ns};
        if (span.end_ns > span.start_ns && link_matches(q, l))
            hits[count++] = (struct hit){l->profiler_id, l->thread_id, span};
    }
    TRY(sort_array(arena->account, hits, count, sizeof(*hits), hit_compare, NULL));
    *ret = hits;
    *ret_count = count;
    return ERR_OK;
}

static void hull_take_in(struct span_ns *hull, struct span_ns span)
{
    if (span.start_ns < hull->start_ns)
        hull->start_ns = span.start_ns;
    if (span.end_ns > hull->end_ns)
        hull->end_ns = span.end_ns;
}

/* One profiler's hits: unite per thread, take what counts for all threads out of the others. */
static enum err profiler_fill(struct link_profiler *p, const struct hit *hits, size_t count,
                              struct arena *arena)
{
    const struct link_thread *all = NULL;

    p->profiler_id = hits[0].profiler_id;
    p->hull = hits[0].span;
    for (size_t i = 0; i < count;) {
        struct link_thread *t = &p->threads[p->thread_count];
        struct span_list spans = {0};
        size_t first = i;
        for (; i < count && bytes_equal(hits[i].thread, hits[first].thread); i++) {
            TRY(span_list_add(&spans, hits[i].span, arena));
            hull_take_in(&p->hull, hits[i].span);
        }
        TRY(span_list_unite(&spans, arena->account));
        if (all != NULL)
            TRY(span_list_subtract(&spans, &all->spans, arena, &spans));
        *t = (struct link_thread){hits[first].thread, spans};
        if (hits[first].thread.len == 0) {
            t->thread = (struct bytes){0};
            all = t;
        }
        if (spans.count > 0)
            p->thread_count++;
    }
    return ERR_OK;
}

enum err selection_links_find(const struct snapshot *snap, const struct selection_request *request,
                              struct span_ns window, struct arena *arena,
                              struct selection_links **ret)
{
    struct hit *hits = NULL;
    size_t count = 0;

    TRY(hits_find(snap, request, window, arena, &hits, &count));
    struct selection_links *links = ARENA_NEW(arena, struct selection_links);
    if (links == NULL)
        return arena->failed;
    *links = (struct selection_links){0};
    /* never more threads than hits: one array serves all profilers */
    struct link_thread *threads = ARENA_ARRAY(arena, count, struct link_thread);
    links->profilers = ARENA_ARRAY(arena, count, struct link_profiler);
    if (threads == NULL || links->profilers == NULL)
        return arena->failed;
    for (size_t i = 0; i < count;) {
        size_t first = i;
        while (i < count && uuid_equal(hits[i].profiler_id, hits[first].profiler_id))
            i++;
        struct link_profiler *p = &links->profilers[links->count++];
        *p = (struct link_profiler){.threads = threads + first};
        TRY(profiler_fill(p, hits + first, i - first, arena));
    }
    *ret = links;
    return ERR_OK;
}

/* First span that ends after `start_ns`. */
static size_t span_list_after(const struct span_list *l, int64_t start_ns)
{
    size_t low = 0;
    size_t high = l->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->spans[middle].end_ns > start_ns)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

enum err link_profiler_windows(const struct link_profiler *p, int64_t start_ns, int64_t end_ns,
                               struct arena *arena, const struct selection_window **ret,
                               uint32_t *ret_count)
{
    size_t count = 0;

    for (size_t t = 0; t < p->thread_count; t++) {
        const struct span_list *l = &p->threads[t].spans;
        for (size_t i = span_list_after(l, start_ns);
             i < l->count && l->spans[i].start_ns <= end_ns; i++)
            count++;
    }
    if (count > UINT32_MAX)
        return ERR_LIMIT;
    struct selection_window *windows = ARENA_ARRAY(arena, count, struct selection_window);
    if (windows == NULL)
        return arena->failed;
    size_t at = 0;
    for (size_t t = 0; t < p->thread_count; t++) {
        const struct span_list *l = &p->threads[t].spans;
        for (size_t i = span_list_after(l, start_ns);
             i < l->count && l->spans[i].start_ns <= end_ns; i++)
            windows[at++] = (struct selection_window){l->spans[i].start_ns, l->spans[i].end_ns,
                                                      p->threads[t].thread};
    }
    *ret = windows;
    *ret_count = (uint32_t)count;
    return ERR_OK;
}
