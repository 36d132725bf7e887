/* text_pool.h - the texts of the index, each once, with addresses that last.
 *
 * Id 0 is the empty text.
 * Threads: one writer, any number of readers without a lock.
 * Errors:  ERR_NOMEM changes nothing that readers see.
 */
#ifndef HEARTH_STORAGE_TEXT_POOL_H
#define HEARTH_STORAGE_TEXT_POOL_H

#include "base/bytes.h"
#include "storage/id_table.h"
#include "storage/stable_array.h"

struct text_pool {
    struct stable_array texts;
    struct id_table table;
    size_t count;
    struct text_piece *pieces;
    size_t bytes;  /* of pieces */
    uint64_t seed; /* of the hash: texts come from strangers */
};

enum err text_pool_init(struct text_pool *p, uint64_t seed) MUST_CHECK;
void text_pool_close(struct text_pool *p);
/* Takes up to one place in `retired`, reserved by the caller. */
enum err text_pool_add(struct text_pool *p, struct bytes text, struct retired *retired,
                       uint64_t generation) MUST_CHECK;
uint32_t text_pool_find(const struct text_pool *p, struct bytes text); /* ID_NONE: not there */
struct bytes text_pool_get(const struct text_pool *p, uint32_t id);
size_t text_pool_bytes(const struct text_pool *p); /* in use */
/* What that many new texts add at most. */
size_t text_pool_growth(const struct text_pool *p, size_t count, size_t total_size);

#endif
