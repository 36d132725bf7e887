#include "storage/retired.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#define RETIRED_FIRST ((size_t)64)

void retired_close(struct retired *r)
{
    retired_free_list(retired_take_before(r, UINT64_MAX));
    mem_free(r->blocks);
    *r = (struct retired){0};
}

enum err retired_reserve(struct retired *r, size_t extra)
{
    if (extra <= r->capacity - r->count)
        return ERR_OK;
    size_t wanted = (r->count + extra) * 2 + RETIRED_FIRST;
    struct retired_block *blocks = mem_resize(r->blocks, wanted, sizeof *blocks);
    if (blocks == NULL)
        return ERR_NOMEM;
    r->blocks = blocks;
    r->capacity = wanted;
    return ERR_OK;
}

void retired_add(struct retired *r, void *block, size_t size, uint64_t generation)
{
    if (block == NULL)
        return;
    assert(r->count < r->capacity);
    r->blocks[r->count++] = (struct retired_block){block, size, generation};
    r->bytes += size;
}

bool retired_move(struct retired *from, struct retired *to)
{
    if (retired_reserve(to, from->count) != ERR_OK)
        return false;
    for (size_t i = 0; i < from->count; i++)
        to->blocks[to->count++] = from->blocks[i];
    to->bytes += from->bytes;
    from->count = 0;
    from->bytes = 0;
    return true;
}

/* The list is kept in the blocks themselves: nobody reads them any more. */
void *retired_take_before(struct retired *r, uint64_t generation)
{
    void *list = NULL;
    size_t gone = 0;
    for (; gone < r->count && r->blocks[gone].generation < generation; gone++) {
        assert(r->blocks[gone].size >= sizeof list);
        memcpy(r->blocks[gone].block, &list, sizeof list);
        list = r->blocks[gone].block;
        r->bytes -= r->blocks[gone].size;
    }
    if (gone == 0)
        return NULL;
    r->count -= gone;
    memmove(r->blocks, r->blocks + gone, r->count * sizeof *r->blocks);
    return list;
}

void retired_free_list(void *list)
{
    while (list != NULL) {
        void *next;
        memcpy(&next, list, sizeof next);
        mem_free(list);
        list = next;
    }
}
