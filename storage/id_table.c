#include "storage/id_table.h"

#include <assert.h>

#include "base/mem.h"

#define SLOTS_FIRST ((size_t)16)

/* A slot is the id and, above it, the part of the hash that chooses the place: a search then
 * looks at hardly any key but its own, and growing looks at none. */
#define SLOT_FREE ((uint64_t)ID_NONE)

struct id_slots {
    size_t mask;
    _Atomic uint64_t slot[];
};

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

static uint32_t slot_id(uint64_t slot)
{
    return (uint32_t)slot;
}

static uint32_t slot_tag(uint64_t slot)
{
    return (uint32_t)(slot >> 32);
}

void id_table_init(struct id_table *t, void *self,
                   bool (*equals)(const void *self, uint32_t id, const void *key))
{
    atomic_init(&t->slots, NULL);
    t->count = 0;
    t->self = self;
    t->equals = equals;
}

void id_table_close(struct id_table *t)
{
    mem_free(atomic_load_explicit(&t->slots, memory_order_relaxed));
    atomic_store_explicit(&t->slots, NULL, memory_order_relaxed);
    t->count = 0;
}

static struct id_slots *slots_create(size_t count)
{
    struct id_slots *slots = NULL;
    if (count <= (SIZE_MAX - sizeof *slots) / sizeof slots->slot[0])
        slots = mem_alloc(sizeof *slots + count * sizeof slots->slot[0]);
    if (slots == NULL)
        return NULL;
    slots->mask = count - 1;
    for (size_t i = 0; i < count; i++)
        atomic_init(&slots->slot[i], SLOT_FREE);
    return slots;
}

/* The new slots are the writer's own until published. */
static void fill_from(struct id_slots *to, const struct id_slots *from)
{
    for (size_t i = 0; from != NULL && i <= from->mask; i++) {
        uint64_t slot = atomic_load_explicit(&from->slot[i], memory_order_relaxed);
        if (slot_id(slot) == ID_NONE)
            continue;
        size_t at = slot_tag(slot) & to->mask;
        while (slot_id(atomic_load_explicit(&to->slot[at], memory_order_relaxed)) != ID_NONE)
            at = (at + 1) & to->mask;
        atomic_store_explicit(&to->slot[at], slot, memory_order_relaxed);
    }
}

static size_t slots_for(const struct id_table *t, size_t extra)
{
    const struct id_slots *slots = atomic_load_explicit(&t->slots, memory_order_relaxed);
    size_t wanted = slots == NULL ? SLOTS_FIRST : slots->mask + 1;
    while (wanted - wanted / 4 < t->count + extra)
        wanted *= 2;
    return wanted;
}

size_t id_table_growth(const struct id_table *t, size_t extra)
{
    const struct id_slots *slots = atomic_load_explicit(&t->slots, memory_order_relaxed);
    size_t wanted = slots_for(t, extra);
    if (slots != NULL && wanted == slots->mask + 1)
        return 0;
    return sizeof *slots + wanted * sizeof slots->slot[0];
}

enum err id_table_reserve(struct id_table *t, size_t extra, struct retired *retired,
                          uint64_t generation)
{
    struct id_slots *slots = atomic_load_explicit(&t->slots, memory_order_relaxed);
    size_t bytes = id_table_bytes(t);
    size_t wanted = slots_for(t, extra);
    if (slots != NULL && wanted == slots->mask + 1)
        return ERR_OK;
    struct id_slots *grown = slots_create(wanted);
    if (grown == NULL)
        return ERR_NOMEM;
    fill_from(grown, slots);
    atomic_store_explicit(&t->slots, grown, memory_order_release);
    retired_add(retired, slots, bytes, generation);
    return ERR_OK;
}

uint32_t id_table_find(const struct id_table *t, uint64_t hash, const void *key)
{
    const struct id_slots *slots = atomic_load_explicit(&t->slots, memory_order_acquire);
    if (slots == NULL)
        return ID_NONE;
    uint32_t tag = tag_of(hash);
    for (size_t at = tag & slots->mask;; at = (at + 1) & slots->mask) {
        uint64_t slot = atomic_load_explicit(&slots->slot[at], memory_order_acquire);
        uint32_t id = slot_id(slot);
        if (id == ID_NONE || (slot_tag(slot) == tag && t->equals(t->self, id, key)))
            return id;
    }
}

void id_table_set(struct id_table *t, uint64_t hash, const void *key, uint32_t id)
{
    struct id_slots *slots = atomic_load_explicit(&t->slots, memory_order_relaxed);
    assert(slots != NULL && id != ID_NONE);
    uint32_t tag = tag_of(hash);
    size_t at = tag & slots->mask;
    for (;; at = (at + 1) & slots->mask) {
        uint64_t there = atomic_load_explicit(&slots->slot[at], memory_order_relaxed);
        if (slot_id(there) == ID_NONE) {
            t->count++;
            break;
        }
        if (slot_tag(there) == tag && t->equals(t->self, slot_id(there), key))
            break;
    }
    assert(t->count <= slots->mask); /* a free slot ends every search */
    atomic_store_explicit(&slots->slot[at], (uint64_t)tag << 32 | id, memory_order_release);
}

size_t id_table_bytes(const struct id_table *t)
{
    const struct id_slots *slots = atomic_load_explicit(&t->slots, memory_order_relaxed);
    return slots == NULL ? 0 : sizeof *slots + (slots->mask + 1) * sizeof slots->slot[0];
}
