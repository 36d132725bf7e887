/* local_ids.h - numbers of a table that one profile uses, numbered anew from 0 as they come.
 *
 * Owns:   nothing; everything is in the arena, and goes with it.
 * Errors: the arena's failure; it sticks there.
 * Cost:   O(1) a lookup.
 */
#ifndef HEARTH_STORAGE_LOCAL_IDS_H
#define HEARTH_STORAGE_LOCAL_IDS_H

#include "base/arena.h"

#define LOCAL_NONE UINT32_MAX

struct local_ids {
    struct arena *arena;
    uint32_t *ids; /* of each local number, the one in the table */
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots; /* local number + 1, 0 free */
    uint32_t mask;
};

void local_ids_init(struct local_ids *l, struct arena *arena);
/* LOCAL_NONE when it is not there. */
uint32_t local_ids_find(const struct local_ids *l, uint32_t id);
/* The local number, a new one when it was not there; LOCAL_NONE: the arena has failed. */
uint32_t local_ids_add(struct local_ids *l, uint32_t id);

/* A list of numbers that grows in an arena; failure as above. */
struct local_list {
    uint32_t *items;
    uint32_t count;
    uint32_t capacity;
};
void local_list_add(struct local_list *l, struct arena *arena, uint32_t item);

#endif
