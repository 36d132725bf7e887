#include "storage/block_stacks.h"

#include "storage/column.h"
#include "storage/number_list.h"
#include "storage/profile.h"

#define COUNT_ORDER 5
#define LEAF_ORDER  9

/* ---- writing ---- */

/* Leaves mostly rise a little from stack to stack: how far each is from one above the last one.
 * Where some stack is empty, 0 stands for it and everything else is one more. */
static void put_leaves(struct bits_writer *w, const uint32_t *leaves, size_t count, uint64_t *codes)
{
    bool any_empty = false;
    for (size_t i = 0; i < count; i++)
        any_empty |= leaves[i] == PROFILE_NONE;
    uint64_t first = leaves[0] == PROFILE_NONE ? 0 : leaves[0];
    int64_t before = (int64_t)first - 1;
    for (size_t i = 0; i < count; i++) {
        codes[i] = 0;
        if (leaves[i] == PROFILE_NONE)
            continue;
        codes[i] = any_empty + zigzag_encode((int64_t)leaves[i] - before - 1);
        before = leaves[i];
    }
    bits_put(w, any_empty, 1);
    bits_put_golomb(w, first, LEAF_ORDER);
    number_list_put(w, NUMBERS_PLAIN, codes, count);
}

enum err block_stacks_put(struct bits_writer *w, const struct block_stacks *s,
                          struct arena *scratch)
{
    struct column_rising rising = {0};
    size_t most = s->count > s->run_count ? s->count : s->run_count;
    uint64_t *codes = ARENA_ARRAY(scratch, most, uint64_t);
    if (codes == NULL)
        return scratch->failed;
    bits_put(w, s->in_order, 1);
    if (!s->in_order) {
        bits_put_golomb(w, s->count, COUNT_ORDER);
        for (size_t i = 0; i < s->run_count; i++)
            codes[i] = column_rising_code(&rising, s->document[i]);
        number_list_put(w, NUMBERS_PLAIN, codes, s->run_count);
    }
    if (s->count > 0)
        put_leaves(w, s->leaves, s->count, codes);
    return ERR_OK;
}

/* ---- reading ---- */

static void get_leaves(struct bits_reader *r, size_t count, struct arena *arena,
                       struct block_stacks *ret)
{
    uint32_t *leaves = ARENA_ARRAY(arena, count, uint32_t);
    uint64_t *codes = ARENA_ARRAY(arena, count, uint64_t);
    if (leaves == NULL || codes == NULL)
        return;
    uint64_t any_empty = bits_get(r, 1);
    uint64_t before = bits_get_golomb(r, LEAF_ORDER) - 1;
    number_list_get(r, NUMBERS_PLAIN, codes, count);
    for (size_t i = 0; i < count; i++) {
        leaves[i] = PROFILE_NONE;
        if (any_empty && codes[i] == 0)
            continue;
        before += 1 + (uint64_t)zigzag_decode(codes[i] - any_empty);
        r->failed |= before >= PROFILE_NONE;
        leaves[i] = (uint32_t)before;
    }
    ret->leaves = leaves;
}

static void get_numbers(struct bits_reader *r, struct arena *arena, struct block_stacks *ret)
{
    struct column_rising rising = {0};
    uint64_t count = bits_get_golomb(r, COUNT_ORDER);
    r->failed |= count > bits_left(r);
    ret->count = r->failed ? 0 : (size_t)count;
    uint32_t *document = ARENA_ARRAY(arena, ret->run_count, uint32_t);
    uint64_t *codes = ARENA_ARRAY(arena, ret->run_count, uint64_t);
    if (document == NULL || codes == NULL)
        return;
    number_list_get(r, NUMBERS_PLAIN, codes, ret->run_count);
    for (size_t i = 0; i < ret->run_count && !r->failed; i++)
        r->failed = !column_rising_id(&rising, codes[i], &document[i]) || document[i] >= ret->count;
    ret->document = document;
}

enum err block_stacks_get(struct bits_reader *r, size_t run_count, struct arena *arena,
                          struct block_stacks *ret, struct errinfo *info)
{
    *ret = (struct block_stacks){.run_count = run_count, .count = run_count};
    ret->in_order = bits_get(r, 1) != 0;
    if (!ret->in_order)
        get_numbers(r, arena, ret);
    if (!r->failed && arena->failed == ERR_OK && ret->count > 0)
        get_leaves(r, ret->count, arena, ret);
    if (arena->failed != ERR_OK)
        return err_set(info, arena->failed, "block: no room for %zu stacks", ret->count);
    if (r->failed)
        return err_set(info, ERR_CORRUPT, "block: stacks are cut short or out of range");
    return ERR_OK;
}
