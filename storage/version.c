#include "storage/version.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/sort.h"

enum err version_create(size_t part_count, size_t aside_count, struct version **ret)
{
    struct version *v = mem_zalloc(sizeof *v);
    if (v == NULL)
        return ERR_NOMEM;
    atomic_init(&v->references, 1);
    v->parts = mem_array(part_count, sizeof *v->parts);
    v->aside = mem_array(aside_count, sizeof *v->aside);
    if (v->parts == NULL || v->aside == NULL) {
        version_release(v);
        return ERR_NOMEM;
    }
    memset(v->parts, 0, part_count * sizeof *v->parts);
    memset(v->aside, 0, aside_count * sizeof *v->aside);
    v->count = part_count;
    v->aside_count = aside_count;
    *ret = v;
    return ERR_OK;
}

struct version *version_acquire(struct version *v)
{
    atomic_fetch_add_explicit(&v->references, 1, memory_order_relaxed);
    return v;
}

void version_release(struct version *v)
{
    if (v == NULL || atomic_fetch_sub_explicit(&v->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < v->count; i++) {
        log_set_release(v->parts[i].log);
        segment_release(v->parts[i].segment);
        mem_free(v->parts[i].rows.ids);
        mem_free(v->parts[i].links.ids);
    }
    mem_free(v->parts);
    mem_free(v->aside);
    mem_free(v);
}

static enum err copy_hidden(const struct manifest_hidden *from, struct manifest_hidden *ret)
{
    struct manifest_hidden copy = {.ids = mem_array(from->count, sizeof *from->ids),
                                   .count = from->count};
    if (copy.ids == NULL)
        return ERR_NOMEM;
    if (from->count > 0)
        memcpy(copy.ids, from->ids, from->count * sizeof *from->ids);
    *ret = copy;
    return ERR_OK;
}

enum err version_put_part(struct version *v, size_t at, const struct part *from)
{
    struct part *to = &v->parts[at];
    TRY(copy_hidden(&from->rows, &to->rows));
    TRY(copy_hidden(&from->links, &to->links)); /* the first one goes with the version */
    to->uid = from->uid;
    to->log = from->log == NULL ? NULL : log_set_acquire(from->log);
    to->segment = from->segment == NULL ? NULL : segment_acquire(from->segment);
    return ERR_OK;
}

/* First place whose id is not below `id`. */
static size_t lower_bound(const struct manifest_hidden *h, uint32_t id)
{
    size_t low = 0;
    size_t high = h->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool hidden_has(const struct manifest_hidden *h, uint32_t id)
{
    size_t at = lower_bound(h, id);
    return at < h->count && h->ids[at] == id;
}

bool hidden_meets(const struct manifest_hidden *h, uint32_t first, uint32_t end)
{
    size_t at = lower_bound(h, first);
    return at < h->count && h->ids[at] < end;
}

static int compare_ids(const void *left, const void *right, void *context)
{
    (void)context;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

enum err hidden_add(struct manifest_hidden *h, const uint32_t *ids, size_t count)
{
    size_t total;
    if (count == 0)
        return ERR_OK;
    if (!size_add(h->count, count, &total))
        return ERR_NOMEM;
    uint32_t *grown = mem_resize(h->ids, total, sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    h->ids = grown;
    memcpy(grown + h->count, ids, count * sizeof *ids);
    TRY(sort_array(NULL, grown, total, sizeof *grown, compare_ids, NULL));
    h->count = 0;
    for (size_t i = 0; i < total; i++)
        if (h->count == 0 || grown[h->count - 1] != grown[i])
            grown[h->count++] = grown[i];
    return ERR_OK;
}

struct part *version_find(const struct version *v, uint32_t uid)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->parts[i].uid == uid)
            return &v->parts[i];
    return NULL;
}
