/* id_map.h - from a number of some table to a small number of ours; open addressing.
 *
 * Owns:   its slots, counted against the account.
 * Errors: ERR_LIMIT, ERR_BUSY, ERR_NOMEM as buffer.h.
 * Cost:   O(1); at most half full, 16 bytes a slot.
 */
#ifndef HEARTH_ENGINE_ID_MAP_H
#define HEARTH_ENGINE_ID_MAP_H

#include "base/buffer.h"

struct id_map {
    struct buffer slots; /* struct id_slot, power of two many */
    size_t count;
};

void id_map_init(struct id_map *m, struct mem_account *account);
void id_map_close(struct id_map *m);
void id_map_clear(struct id_map *m); /* memory stays */
/* False: it was never put. */
bool id_map_find(const struct id_map *m, uint64_t key, uint32_t *ret);
/* The key must not be there. */
enum err id_map_put(struct id_map *m, uint64_t key, uint32_t value) MUST_CHECK;

#endif
