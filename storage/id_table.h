/* id_table.h - from a key to a 32-bit id, where the things with those ids hold the keys.
 *
 * Owns:    its slots: open addressing, at most 3/4 full, nothing is ever removed.
 * Threads: one writer; any number of readers without a lock, as long as retired slots live.
 * Errors:  only reserve can fail (ERR_NOMEM); after it, that many sets cannot.
 */
#ifndef HEARTH_STORAGE_ID_TABLE_H
#define HEARTH_STORAGE_ID_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "storage/retired.h"

#define ID_NONE UINT32_MAX

struct id_slots;

struct id_table {
    _Atomic(struct id_slots *) slots;
    size_t count;
    void *self; /* for equals */
    bool (*equals)(const void *self, uint32_t id, const void *key);
};

void id_table_init(struct id_table *t, void *self,
                   bool (*equals)(const void *self, uint32_t id, const void *key));
void id_table_close(struct id_table *t);
/* Takes one place in `retired`, reserved by the caller. */
enum err id_table_reserve(struct id_table *t, size_t extra, struct retired *retired,
                          uint64_t generation) MUST_CHECK;
/* How many bytes that would allocate. */
size_t id_table_growth(const struct id_table *t, size_t extra);
/* ID_NONE when the key is not there. */
uint32_t id_table_find(const struct id_table *t, uint64_t hash, const void *key);
/* The key leads to `id` from now on. */
void id_table_set(struct id_table *t, uint64_t hash, const void *key, uint32_t id);
size_t id_table_bytes(const struct id_table *t);

#endif
