#include "base/arena.h"

#include <assert.h>

#include "base/size.h"

#define ARENA_PIECE_MIN    4096
#define ARENA_PIECE_MAX    (256u << 10) /* pieces grow with the arena up to here */
#define ARENA_ALIGN_MAX    64
#define ARENA_OWN_PIECE_IF 4 /* a take beyond 1/4 of the next piece gets a piece of its own */

struct arena_piece {
    struct arena_piece *next;
    size_t size; /* of the whole block */
    size_t used; /* from the start of the block, this header included */
};

void arena_init(struct arena *a, size_t max, struct mem_account *account)
{
    *a = (struct arena){.max = max, .account = account};
}

void arena_close(struct arena *a)
{
    while (a->pieces != NULL) {
        struct arena_piece *piece = a->pieces;
        a->pieces = piece->next;
        mem_free(piece);
    }
    if (a->account != NULL)
        mem_account_release(a->account, a->taken);
    *a = (struct arena){.max = a->max, .account = a->account};
}

static enum err piece_create(struct arena *a, size_t size, struct arena_piece **ret)
{
    if (a->taken > a->max || size > a->max - a->taken)
        return ERR_LIMIT;
    if (a->account != NULL)
        TRY(mem_account_reserve(a->account, size));
    struct arena_piece *piece = mem_alloc(size);
    if (piece == NULL) {
        if (a->account != NULL)
            mem_account_release(a->account, size);
        return ERR_NOMEM;
    }
    *piece = (struct arena_piece){.size = size, .used = sizeof(*piece)};
    a->taken += size;
    *ret = piece;
    return ERR_OK;
}

/* NULL when it does not fit. */
static void *piece_take(struct arena_piece *piece, size_t size, size_t align)
{
    uintptr_t at = (uintptr_t)piece + piece->used;
    size_t padding = (size_t)(-at & (align - 1));
    size_t left = piece->size - piece->used;
    if (padding > left || size > left - padding)
        return NULL;
    void *taken = (uint8_t *)piece + piece->used + padding;
    piece->used += padding + size;
    return taken;
}

/* A piece with room for the take; the one with more room left stays in front. */
static enum err add_piece(struct arena *a, size_t need, struct arena_piece **ret)
{
    size_t usual = size_min(size_max(a->taken, ARENA_PIECE_MIN), ARENA_PIECE_MAX);
    bool own = need > usual / ARENA_OWN_PIECE_IF && a->pieces != NULL;
    size_t wanted = own || need > usual ? size_max(need, ARENA_PIECE_MIN) : usual;
    struct arena_piece *piece = NULL;
    enum err rc = piece_create(a, wanted, &piece);
    if (rc != ERR_OK && wanted > need) /* near the ceiling: no more than is needed */
        rc = piece_create(a, need, &piece);
    if (rc != ERR_OK)
        return rc;
    struct arena_piece *front = a->pieces;
    if (front != NULL && front->size - front->used > piece->size - need) {
        piece->next = front->next;
        front->next = piece;
    } else {
        piece->next = front;
        a->pieces = piece;
    }
    *ret = piece;
    return ERR_OK;
}

void *arena_take(struct arena *a, size_t size, size_t align)
{
    assert(align > 0 && align <= ARENA_ALIGN_MAX && (align & (align - 1)) == 0);
    if (a->failed != ERR_OK)
        return NULL;
    void *taken = a->pieces == NULL ? NULL : piece_take(a->pieces, size, align);
    if (taken != NULL)
        return taken;
    size_t need;
    struct arena_piece *piece = NULL;
    if (!size_add(size, sizeof(struct arena_piece) + align - 1, &need))
        a->failed = ERR_LIMIT;
    else
        a->failed = add_piece(a, need, &piece);
    return a->failed == ERR_OK ? piece_take(piece, size, align) : NULL;
}

void *arena_array(struct arena *a, size_t count, size_t size, size_t align)
{
    size_t wanted;
    if (size_mul(count, size, &wanted))
        return arena_take(a, wanted, align);
    if (a->failed == ERR_OK)
        a->failed = ERR_LIMIT;
    return NULL;
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
    uint8_t *copy = arena_take(a, b.len, 1);
    if (copy == NULL)
        return (struct bytes){0};
    if (b.len > 0)
        memcpy(copy, b.data, b.len);
    return bytes_of(copy, b.len);
}
