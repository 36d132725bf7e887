#include <criterion/criterion.h>

#include "storage/block_stacks.h"
#include "storage/profile.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define COUNT_MAX 200

static uint32_t leaves[COUNT_MAX];
static uint32_t document[COUNT_MAX];

static struct block_stacks fill(struct rng *rng)
{
    struct block_stacks s = {.in_order = rng_chance(rng, 50), .leaves = leaves};
    uint32_t node = (uint32_t)rng_below(rng, 100000);
    s.count = (size_t)rng_below(rng, COUNT_MAX);
    s.run_count = s.in_order ? s.count : (size_t)rng_below(rng, s.count + 1);
    for (size_t i = 0; i < s.count; i++) {
        node =
            rng_chance(rng, 80) ? node + (uint32_t)rng_below(rng, 9) : (uint32_t)rng_u64(rng) / 2;
        leaves[i] = node;
    }
    for (size_t i = 0; i < s.count && rng_chance(rng, 20); i += 3)
        leaves[i] = rng_chance(rng, 30) ? PROFILE_NONE - 1 : PROFILE_NONE;
    for (size_t i = 0; i < s.run_count; i++)
        document[i] = (uint32_t)rng_below(rng, s.count);
    s.document = s.in_order ? NULL : document;
    return s;
}

static void put(const struct block_stacks *s, struct arena *arena, struct buffer *out)
{
    struct bits_writer w = {.out = out};
    cr_assert_eq(block_stacks_put(&w, s, arena), ERR_OK);
    bits_end(&w);
}

Test(block_stacks, stacks_come_back)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(1000); round++) {
        struct arena arena;
        struct buffer out;
        struct block_stacks back;
        struct errinfo info = {0};
        arena_init(&arena, 1 << 20, NULL);
        buffer_init(&out, 1 << 20, NULL);
        struct block_stacks s = fill(&rng);
        put(&s, &arena, &out);
        struct bits_reader r = {.in = buffer_bytes(&out)};
        cr_assert_eq(block_stacks_get(&r, s.run_count, &arena, &back, &info), ERR_OK, "%s",
                     info.text);
        cr_assert_eq(bits_rest(&r).len, 0);
        cr_assert(back.in_order == s.in_order && back.count == s.count);
        for (size_t i = 0; i < s.count; i++)
            cr_assert_eq(back.leaves[i], leaves[i], "leaf %zu", i);
        for (uint32_t i = 0; i < s.run_count; i++)
            cr_assert_eq(block_stacks_leaf(&back, i), leaves[s.in_order ? i : document[i]]);
        buffer_close(&out);
        arena_close(&arena);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(block_stacks, damage_is_refused_or_in_range)
{
    struct rng rng = test_rng();
    unsigned refused = 0;
    for (unsigned round = 0; round < test_scale(3000); round++) {
        struct arena arena;
        struct buffer out;
        struct block_stacks back;
        arena_init(&arena, 1 << 20, NULL);
        buffer_init(&out, 1 << 20, NULL);
        struct block_stacks s = fill(&rng);
        put(&s, &arena, &out);
        out.data[rng_below(&rng, out.len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        size_t len = rng_chance(&rng, 50) ? out.len : (size_t)rng_below(&rng, out.len);
        struct bits_reader r = {.in = bytes_first(buffer_bytes(&out), len)};
        enum err rc = block_stacks_get(&r, s.run_count, &arena, &back, NULL);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_LIMIT);
        refused += rc != ERR_OK;
        for (size_t i = 0; i < s.run_count && rc == ERR_OK && !back.in_order; i++)
            cr_assert_lt(back.document[i], back.count);
        cr_assert(rc != ERR_OK || !back.in_order || back.count == s.run_count);
        buffer_close(&out);
        arena_close(&arena);
    }
    cr_assert_gt(refused, 100);
}
