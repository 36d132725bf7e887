/* stable_array.h - items that never move, added at the end by one writer.
 *
 * Owns:    its pages, each twice as large as the one before.
 * Threads: one writer; readers may touch items below a count that they learned from the writer
 *          through an acquire (a lock, an atomic).
 * Errors:  reserve gives ERR_NOMEM and changes nothing.
 */
#ifndef HEARTH_STORAGE_STABLE_ARRAY_H
#define HEARTH_STORAGE_STABLE_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STABLE_ARRAY_FIRST UINT64_C(64) /* items of the first page */
#define STABLE_ARRAY_PAGES 27           /* enough for 2^32 items */

struct stable_array {
    void *pages[STABLE_ARRAY_PAGES];
    size_t item_size;
    size_t page_count;
};

void stable_array_init(struct stable_array *a, size_t item_size);
void stable_array_close(struct stable_array *a);
/* Room for items 0 .. count - 1. */
enum err stable_array_reserve(struct stable_array *a, size_t count) MUST_CHECK;
/* Reserved; pages of the system are touched as items are. */
size_t stable_array_bytes(const struct stable_array *a);

/* `at` must have been reserved. */
static inline void *stable_array_at(const struct stable_array *a, uint32_t at)
{
    uint64_t shifted = at / STABLE_ARRAY_FIRST + 1;
    unsigned page = 63 - (unsigned)__builtin_clzll(shifted);
    uint64_t first = ((UINT64_C(1) << page) - 1) * STABLE_ARRAY_FIRST;
    return (uint8_t *)a->pages[page] + (at - first) * a->item_size;
}

#endif
