#include "storage/text_pool.h"

#include "base/hash.h"
#include "base/mem.h"

#define PIECE_SIZE ((size_t)16 << 10)

struct text_piece {
    struct text_piece *next;
    size_t size;
    size_t used;
    uint8_t data[];
};

static bool text_equals(const void *self, uint32_t id, const void *key)
{
    return bytes_equal(text_pool_get(self, id), *(const struct bytes *)key);
}

enum err text_pool_init(struct text_pool *p, uint64_t seed)
{
    *p = (struct text_pool){.seed = seed};
    stable_array_init(&p->texts, sizeof(struct bytes));
    id_table_init(&p->table, p, text_equals);
    struct retired none = {0}; /* the first slots replace nothing */
    return text_pool_add(p, (struct bytes){0}, &none, 0);
}

void text_pool_close(struct text_pool *p)
{
    while (p->pieces != NULL) {
        struct text_piece *piece = p->pieces;
        p->pieces = piece->next;
        mem_free(piece);
    }
    id_table_close(&p->table);
    stable_array_close(&p->texts);
}

/* Where the text lives from now on; a long one gets a piece of its own behind the open one. */
static const uint8_t *keep_text(struct text_pool *p, struct bytes text)
{
    struct text_piece *piece = p->pieces;
    if (piece == NULL || text.len > piece->size - piece->used) {
        bool own = text.len > PIECE_SIZE / 4 && piece != NULL;
        size_t size = own || text.len > PIECE_SIZE ? text.len : PIECE_SIZE;
        struct text_piece *fresh = mem_alloc(sizeof *fresh + size);
        if (fresh == NULL)
            return NULL;
        *fresh = (struct text_piece){.next = own ? piece->next : piece, .size = size};
        if (own)
            piece->next = fresh;
        else
            p->pieces = fresh;
        p->bytes += sizeof *fresh + size;
        piece = fresh;
    }
    uint8_t *to = piece->data + piece->used;
    if (text.len > 0)
        memcpy(to, text.data, text.len);
    piece->used += text.len;
    return to;
}

enum err text_pool_add(struct text_pool *p, struct bytes text, struct retired *retired,
                       uint64_t generation)
{
    if (text_pool_find(p, text) != ID_NONE)
        return ERR_OK;
    if (p->count == ID_NONE)
        return ERR_LIMIT;
    TRY(stable_array_reserve(&p->texts, p->count + 1));
    TRY(id_table_reserve(&p->table, 1, retired, generation));
    const uint8_t *data = keep_text(p, text);
    if (data == NULL)
        return ERR_NOMEM;
    uint32_t id = (uint32_t)p->count++;
    *(struct bytes *)stable_array_at(&p->texts, id) = (struct bytes){data, text.len};
    id_table_set(&p->table, hash_bytes(text, p->seed), &text, id);
    return ERR_OK;
}

uint32_t text_pool_find(const struct text_pool *p, struct bytes text)
{
    return id_table_find(&p->table, hash_bytes(text, p->seed), &text);
}

struct bytes text_pool_get(const struct text_pool *p, uint32_t id)
{
    return *(const struct bytes *)stable_array_at(&p->texts, id);
}

size_t text_pool_bytes(const struct text_pool *p)
{
    return p->bytes + p->count * p->texts.item_size + id_table_bytes(&p->table);
}

size_t text_pool_growth(const struct text_pool *p, size_t count, size_t total_size)
{
    return count * (p->texts.item_size + sizeof(struct text_piece)) + total_size +
           (total_size / PIECE_SIZE + 1) * 2 * PIECE_SIZE + id_table_growth(&p->table, count);
}
