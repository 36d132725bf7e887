#include "engine/id_map.h"

#include "base/hash.h"

#define SLOTS_FIRST 32

struct id_slot {
    uint64_t key;
    uint32_t value;
    uint32_t used;
};

static struct id_slot *slots_of(const struct id_map *m)
{
    return (struct id_slot *)(void *)m->slots.data;
}

static size_t slot_count(const struct id_map *m)
{
    return m->slots.len / sizeof(struct id_slot);
}

void id_map_init(struct id_map *m, struct mem_account *account)
{
    *m = (struct id_map){0};
    buffer_init(&m->slots, SIZE_MAX, account);
}

void id_map_close(struct id_map *m)
{
    buffer_close(&m->slots);
    m->count = 0;
}

void id_map_clear(struct id_map *m)
{
    if (m->count > 0)
        memset(m->slots.data, 0, m->slots.len);
    m->count = 0;
}

/* Where the key is or would be. */
static struct id_slot *place_of(const struct id_map *m, uint64_t key)
{
    size_t mask = slot_count(m) - 1;
    size_t at = (size_t)hash_u64(key) & mask;
    while (slots_of(m)[at].used != 0 && slots_of(m)[at].key != key)
        at = (at + 1) & mask;
    return &slots_of(m)[at];
}

bool id_map_find(const struct id_map *m, uint64_t key, uint32_t *ret)
{
    if (m->count == 0)
        return false;
    const struct id_slot *slot = place_of(m, key);
    *ret = slot->value;
    return slot->used != 0;
}

static enum err grow(struct id_map *m)
{
    size_t wanted = slot_count(m) == 0 ? SLOTS_FIRST : slot_count(m) * 2;
    struct id_map grown = {.count = m->count};
    buffer_init(&grown.slots, m->slots.max, m->slots.account);
    void *slots = buffer_extend(&grown.slots, wanted * sizeof(struct id_slot));
    if (slots == NULL)
        return grown.slots.failed;
    memset(slots, 0, grown.slots.len);
    for (size_t i = 0; i < slot_count(m); i++) {
        const struct id_slot *slot = &slots_of(m)[i];
        if (slot->used != 0)
            *place_of(&grown, slot->key) = *slot;
    }
    buffer_close(&m->slots);
    *m = grown;
    return ERR_OK;
}

enum err id_map_put(struct id_map *m, uint64_t key, uint32_t value)
{
    if (m->count >= slot_count(m) / 2)
        TRY(grow(m));
    *place_of(m, key) = (struct id_slot){key, value, 1};
    m->count++;
    return ERR_OK;
}
