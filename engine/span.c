/* span.c - sorted lists of stretches of time. */
#include "engine/span.h"

#include "base/sort.h"

enum err span_list_add(struct span_list *l, struct span_ns span, struct arena *arena)
{
    if (span.end_ns <= span.start_ns)
        return ERR_OK;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity == 0 ? 16 : l->capacity * 2;
        struct span_ns *grown = ARENA_ARRAY(arena, capacity, struct span_ns);
        if (grown == NULL)
            return arena->failed;
        if (l->count > 0)
            memcpy(grown, l->spans, l->count * sizeof(*grown));
        l->spans = grown;
        l->capacity = capacity;
    }
    l->spans[l->count++] = span;
    return ERR_OK;
}

static int span_compare(const void *left, const void *right, void *context)
{
    (void)context;
    const struct span_ns *a = left;
    const struct span_ns *b = right;

    return (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
}

enum err span_list_unite(struct span_list *l, struct mem_account *account)
{
    if (l->count < 2)
        return ERR_OK;
    TRY(sort_array(account, l->spans, l->count, sizeof(*l->spans), span_compare, NULL));
    size_t kept = 0;
    for (size_t i = 1; i < l->count; i++) {
        struct span_ns next = l->spans[i];
        if (next.start_ns > l->spans[kept].end_ns)
            l->spans[++kept] = next;
        else if (next.end_ns > l->spans[kept].end_ns)
            l->spans[kept].end_ns = next.end_ns;
    }
    l->count = kept + 1;
    return ERR_OK;
}

static uint64_t span_length(const struct span_ns *s)
{
    return (uint64_t)s->end_ns - (uint64_t)s->start_ns;
}

static int span_compare_lengths(const void *left, const void *right, void *context)
{
    uint64_t a = span_length(left);
    uint64_t b = span_length(right);

    return a != b ? (a < b) - (a > b) : span_compare(left, right, context);
}

enum err span_list_keep_longest(struct span_list *l, size_t count, struct mem_account *account)
{
    if (l->count <= count)
        return ERR_OK;
    TRY(sort_array(account, l->spans, l->count, sizeof(*l->spans), span_compare_lengths, NULL));
    l->count = count;
    return sort_array(account, l->spans, l->count, sizeof(*l->spans), span_compare, NULL);
}

enum err span_list_subtract(const struct span_list *from, const struct span_list *taken,
                            struct arena *arena, struct span_list *ret)
{
    struct span_list left = {0};
    size_t at = 0; /* first taken span that may still matter */

    for (size_t i = 0; i < from->count; i++) {
        struct span_ns rest = from->spans[i];
        while (at < taken->count && taken->spans[at].end_ns <= rest.start_ns)
            at++;
        for (size_t t = at; t < taken->count && taken->spans[t].start_ns < rest.end_ns; t++) {
            struct span_ns before = {rest.start_ns, taken->spans[t].start_ns};
            TRY(span_list_add(&left, before, arena));
            rest.start_ns = taken->spans[t].end_ns;
        }
        TRY(span_list_add(&left, rest, arena));
    }
    *ret = left;
    return ERR_OK;
}
