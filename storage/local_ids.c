#include "storage/local_ids.h"

#include <string.h>

#include "base/hash.h"

#define FIRST_CAPACITY 32

void local_ids_init(struct local_ids *l, struct arena *arena)
{
    *l = (struct local_ids){.arena = arena};
}

void local_list_add(struct local_list *l, struct arena *arena, uint32_t item)
{
    if (l->count == l->capacity) {
        uint32_t wanted = l->capacity == 0 ? FIRST_CAPACITY : l->capacity * 2;
        uint32_t *items = wanted < l->capacity ? NULL : ARENA_ARRAY(arena, wanted, uint32_t);
        if (items == NULL)
            return;
        if (l->count > 0)
            memcpy(items, l->items, l->count * sizeof *items);
        l->items = items;
        l->capacity = wanted;
    }
    l->items[l->count++] = item;
}

/* The slot with the id, or the free one where it belongs. */
static uint32_t find_slot(const struct local_ids *l, uint32_t id)
{
    uint32_t at = (uint32_t)hash_u64(id) & l->mask;
    while (l->slots[at] != 0 && l->ids[l->slots[at] - 1] != id)
        at = (at + 1) & l->mask;
    return at;
}

/* Twice as many; slots are kept at most half full. */
static bool grow(struct local_ids *l)
{
    uint32_t wanted = l->capacity == 0 ? FIRST_CAPACITY : l->capacity * 2;
    uint32_t *ids = ARENA_ARRAY(l->arena, wanted, uint32_t);
    uint32_t *slots = ARENA_ARRAY(l->arena, 2 * (size_t)wanted, uint32_t);
    if (ids == NULL || slots == NULL || wanted > UINT32_MAX / 4)
        return false;
    if (l->count > 0)
        memcpy(ids, l->ids, l->count * sizeof *ids);
    memset(slots, 0, 2 * (size_t)wanted * sizeof *slots);
    l->ids = ids;
    l->capacity = wanted;
    l->slots = slots;
    l->mask = 2 * wanted - 1;
    for (uint32_t i = 0; i < l->count; i++)
        l->slots[find_slot(l, l->ids[i])] = i + 1;
    return true;
}

uint32_t local_ids_find(const struct local_ids *l, uint32_t id)
{
    if (l->count == 0)
        return LOCAL_NONE;
    uint32_t slot = l->slots[find_slot(l, id)];
    return slot == 0 ? LOCAL_NONE : slot - 1;
}

uint32_t local_ids_add(struct local_ids *l, uint32_t id)
{
    uint32_t found = local_ids_find(l, id);
    if (found != LOCAL_NONE)
        return found;
    if (l->count == l->capacity && !grow(l))
        return LOCAL_NONE;
    l->ids[l->count] = id;
    l->slots[find_slot(l, id)] = ++l->count;
    return l->count - 1;
}
