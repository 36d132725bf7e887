/* counted_array.h - items that never move, added at the end, counted against an account one by one:
 * what a builder gathers, as large as it will be.
 *
 * Owns:   its items (storage/stable_array.h: pages that nothing was put into are not touched, so
 *         they are not counted).
 * Errors: only reserve can fail (ERR_BUSY, ERR_LIMIT, ERR_NOMEM); after it, adding one item cannot.
 */
#ifndef HEARTH_STORAGE_COUNTED_ARRAY_H
#define HEARTH_STORAGE_COUNTED_ARRAY_H

#include <assert.h>

#include "base/mem.h"
#include "storage/stable_array.h"

#define COUNTED_ARRAY_MAX (UINT32_MAX - 1)

struct counted_array {
    struct stable_array items;
    struct mem_account *account; /* NULL: not counted */
    uint32_t count;
    uint32_t reserved; /* count, or one more */
};

void counted_array_init(struct counted_array *a, size_t item_size, struct mem_account *account);
void counted_array_close(struct counted_array *a); /* a zeroed one is fine */
size_t counted_array_bytes(const struct counted_array *a);
/* Room for one more; again without an add in between: nothing. */
enum err counted_array_reserve(struct counted_array *a) MUST_CHECK;
/* The next item, uninitialised. Must have been reserved. */
void *counted_array_add(struct counted_array *a);

static inline void *counted_array_at(const struct counted_array *a, uint32_t at)
{
    assert(at < a->count);
    return stable_array_at(&a->items, at);
}

#endif
