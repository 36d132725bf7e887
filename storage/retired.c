#include "storage/retired.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#define RETIRED_FIRST ((size_t)64)

void retired_close(struct retired *r)
{
    retired_free_before(r, UINT64_MAX);
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

void retired_add(struct retired *r, void *block, uint64_t generation)
{
    if (block == NULL)
        return;
    assert(r->count < r->capacity);
    r->blocks[r->count++] = (struct retired_block){.block = block, .generation = generation};
}

void retired_free_before(struct retired *r, uint64_t generation)
{
    size_t gone = 0;
    while (gone < r->count && r->blocks[gone].generation < generation)
        mem_free(r->blocks[gone++].block);
    if (gone == 0)
        return;
    r->count -= gone;
    memmove(r->blocks, r->blocks + gone, r->count * sizeof *r->blocks);
}
