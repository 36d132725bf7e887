#include "engine/export_table.h"

#include "base/sort.h"
#include "engine/identity.h"

struct ranking {
    const struct exporter *e;
    uint32_t thread;
};

static int compare_ranked(const void *left, const void *right, void *context)
{
    (void)context;
    const struct ranking *a = left;
    const struct ranking *b = right;
    const struct intern *texts = &a->e->texts;
    const struct export_thread *s = &export_threads(a->e)[a->thread];
    const struct export_thread *t = &export_threads(a->e)[b->thread];
    int order = thread_id_compare(intern_get(texts, s->id), intern_get(texts, t->id));
    if (order == 0)
        order = uuid_compare(s->group, t->group);
    if (order == 0)
        order = bytes_compare(intern_get(texts, s->name), intern_get(texts, t->name));
    return order;
}

enum err export_rank_threads(const struct exporter *e, struct arena *arena, uint32_t **ret_ranks)
{
    size_t count = export_thread_count(e);
    struct ranking *sorted = ARENA_ARRAY(arena, count, struct ranking);
    uint32_t *ranks = ARENA_ARRAY(arena, count, uint32_t);
    if (sorted == NULL || ranks == NULL)
        return arena->failed;
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct ranking){e, (uint32_t)i};
    TRY(sort_array(e->account, sorted, count, sizeof(sorted[0]), compare_ranked, NULL));
    for (size_t i = 0; i < count; i++)
        ranks[sorted[i].thread] = (uint32_t)i;
    *ret_ranks = ranks;
    return ERR_OK;
}

bool export_has_groups(const struct exporter *e)
{
    const struct export_thread *threads = export_threads(e);
    for (size_t i = 1; i < export_thread_count(e); i++)
        if (!uuid_equal(threads[i].group, threads[0].group))
            return true;
    return false;
}

void export_put_thread_name(const struct exporter *e, uint32_t thread, bool group,
                            struct buffer *out)
{
    const struct export_thread *t = &export_threads(e)[thread];
    if (t->name == 0)
        buffer_put(out, BYTES("thread "));
    buffer_put(out, intern_get(&e->texts, t->name != 0 ? t->name : t->id));
    if (group) {
        char text[UUID_TEXT_SIZE + 1];
        uuid_print(t->group, text);
        buffer_printf(out, " [%.8s]", text);
    }
}
