/* arena.h - memory that grows piece by piece and is dropped whole.
 *
 * Owns:   its pieces; addresses are stable until arena_close.
 * Errors: arena_take gives NULL and `failed` says why (as buffer.h); it sticks.
 * Cost:   O(1) a take; a piece is at least 4 KiB, big takes get a piece of their own.
 */
#ifndef HEARTH_BASE_ARENA_H
#define HEARTH_BASE_ARENA_H

#include "base/bytes.h"
#include "base/mem.h"

struct arena_piece;

struct arena {
    struct arena_piece *pieces;
    size_t taken; /* bytes of all pieces */
    size_t max;
    struct mem_account *account; /* NULL: not counted */
    enum err failed;
};

void arena_init(struct arena *a, size_t max, struct mem_account *account);
void arena_close(struct arena *a); /* a zeroed arena is fine */
/* `align` is a power of two up to 64; uninitialised. */
void *arena_take(struct arena *a, size_t size, size_t align) MUST_CHECK;
void *arena_array(struct arena *a, size_t count, size_t size, size_t align) MUST_CHECK;
/* A copy that lives as long as the arena; data is NULL on failure (never for a success). */
struct bytes arena_copy(struct arena *a, struct bytes b) MUST_CHECK;

/* Why a take gave NULL: never ERR_OK. */
static inline enum err arena_error(const struct arena *a)
{
    return a->failed == ERR_OK ? ERR_NOMEM : a->failed;
}

#define ARENA_NEW(arena, type) ((type *)arena_take((arena), sizeof(type), _Alignof(type)))
#define ARENA_ARRAY(arena, count, type) \
    ((type *)arena_array((arena), (count), sizeof(type), _Alignof(type)))

#endif
