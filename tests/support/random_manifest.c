#include "tests/support/random_manifest.h"

#include <assert.h>

/* Gaps of all widths; the last one of a list may be the largest number there is. */
static struct manifest_hidden random_hidden(struct rng *rng)
{
    struct manifest_hidden hidden = {0};
    size_t count = rng_chance(rng, 40) ? rng_below(rng, 20) : 0;
    if (count == 0)
        return hidden;
    hidden.ids = mem_array(count, sizeof *hidden.ids);
    assert(hidden.ids != NULL);
    uint64_t next = 0;
    while (hidden.count < count && next <= UINT32_MAX) {
        uint64_t id = next + (rng_u64(rng) >> (32 + rng_below(rng, 32)));
        if (id > UINT32_MAX)
            id = UINT32_MAX;
        hidden.ids[hidden.count++] = (uint32_t)id;
        next = id + 1;
    }
    return hidden;
}

static struct manifest_segment random_segment(struct rng *rng, uint64_t number)
{
    struct manifest_segment s = {.number = number};
    rng_bytes(rng, s.id.byte, sizeof s.id.byte);
    s.size = rng_u64(rng);
    s.day = (int32_t)rng_u64(rng);
    s.level = (uint32_t)rng_u64(rng);
    s.start_ns = (int64_t)rng_u64(rng);
    s.end_ns = (int64_t)rng_u64(rng); /* links may end before they start */
    s.expires_ns = (int64_t)rng_u64(rng);
    s.rows = random_hidden(rng);
    s.links = random_hidden(rng);
    return s;
}

void random_manifest(struct rng *rng, size_t segments, struct manifest *ret)
{
    *ret = (struct manifest){.generation = rng_u64(rng),
                             .sealed_through = rng_u64(rng),
                             .sealed_size = rng_u64(rng),
                             .next_arrival = rng_u64(rng)};
    for (size_t i = 0; i < segments; i++) {
        struct manifest_segment s = random_segment(rng, ret->next_number + rng_below(rng, 5));
        ret->next_number = s.number + 1;
        enum err rc = manifest_add(ret, &s);
        assert(rc == ERR_OK);
        (void)rc;
    }
    ret->next_number += rng_below(rng, 3);
}

static bool hidden_is_equal(const struct manifest_hidden *a, const struct manifest_hidden *b)
{
    size_t size = a->count * sizeof *a->ids;
    return a->count == b->count && (size == 0 || memcmp(a->ids, b->ids, size) == 0);
}

static bool segment_is_equal(const struct manifest_segment *a, const struct manifest_segment *b)
{
    return a->number == b->number && uuid_equal(a->id, b->id) && a->size == b->size &&
           a->day == b->day && a->level == b->level && a->start_ns == b->start_ns &&
           a->end_ns == b->end_ns && a->expires_ns == b->expires_ns &&
           hidden_is_equal(&a->rows, &b->rows) && hidden_is_equal(&a->links, &b->links);
}

bool manifest_is_equal(const struct manifest *a, const struct manifest *b)
{
    bool equal = a->generation == b->generation && a->sealed_through == b->sealed_through &&
                 a->sealed_size == b->sealed_size && a->next_number == b->next_number &&
                 a->next_arrival == b->next_arrival && a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = segment_is_equal(&a->segments[i], &b->segments[i]);
    return equal;
}
