#include <criterion/criterion.h>

#include "storage/squeeze.h"
#include "tests/support/rng.h"

static uint8_t raw[300000];

static void fill(struct rng *rng, size_t len, bool random)
{
    rng_bytes(rng, raw, len);
    for (size_t i = 0; i < len && !random; i++)
        raw[i] = (uint8_t)('a' + raw[i] % 3);
}

Test(squeeze, bytes_come_back_and_are_never_much_more)
{
    static const size_t sizes[] = {0, 1, 23, 24, 100, 5000, 300000};
    struct rng rng = test_rng();
    for (size_t i = 0; i < 14; i++) {
        struct arena arena;
        struct buffer out;
        struct bytes back = {0};
        struct errinfo info = {0};
        size_t len = sizes[i / 2];
        fill(&rng, len, i % 2 == 0);
        arena_init(&arena, 1 << 20, NULL);
        buffer_init(&out, 1 << 20, NULL);
        buffer_put(&out, BYTES("before"));
        cr_assert_eq(squeeze_put(bytes_of(raw, len), &out, &info), ERR_OK, "%s", info.text);
        cr_assert_leq(out.len, 6 + len + 3);
        if (i % 2 == 1 && len >= 5000)
            cr_assert_lt(out.len, len / 3);
        struct bytes stored = bytes_from(buffer_bytes(&out), 6);
        cr_assert_eq(squeeze_get(stored, len, &arena, &back, &info), ERR_OK, "%s", info.text);
        cr_assert(bytes_equal(back, bytes_of(raw, len)));
        if (len > 0)
            cr_assert_eq(squeeze_get(stored, len - 1, &arena, &back, NULL), ERR_CORRUPT);
        buffer_close(&out);
        arena_close(&arena);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(squeeze, damage_is_refused_or_gives_as_many_bytes)
{
    struct rng rng = test_rng();
    struct arena arena;
    struct buffer out;
    unsigned refused = 0;
    fill(&rng, 4000, false);
    arena_init(&arena, 64 << 20, NULL);
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(squeeze_put(bytes_of(raw, 4000), &out, NULL), ERR_OK);
    for (size_t at = 0; at < out.len; at++) {
        struct bytes back = {0};
        out.data[at] ^= (uint8_t)(1 + rng_below(&rng, 255));
        struct bytes in = buffer_bytes(&out);
        enum err rc = squeeze_get(in, 5000, &arena, &back, NULL);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT);
        refused += rc != ERR_OK;
        cr_assert(rc != ERR_OK || back.len <= 5000);
        rc = squeeze_get(bytes_first(in, at), 5000, &arena, &back, NULL);
        cr_assert(rc == ERR_CORRUPT || back.len <= 5000);
    }
    cr_assert_gt(refused, 10);
    buffer_close(&out);
    arena_close(&arena);
}

Test(squeeze, memory_is_counted)
{
    struct mem_account account;
    struct arena arena;
    struct buffer out;
    struct bytes back = {0};
    struct rng rng = test_rng();
    fill(&rng, 4000, false);
    mem_account_init(&account, NULL, 100000); /* less than zstd works with */
    buffer_init(&out, 1 << 20, &account);
    cr_assert_eq(squeeze_put(bytes_of(raw, 4000), &out, NULL), ERR_LIMIT);
    buffer_close(&out);
    cr_assert_eq(account.held, 0);
    mem_account_init(&account, NULL, 4 << 20);
    cr_assert_eq(squeeze_put(bytes_of(raw, 4000), &out, NULL), ERR_OK);
    arena_init(&arena, 1000, NULL);
    cr_assert_eq(squeeze_get(buffer_bytes(&out), 4000, &arena, &back, NULL), ERR_LIMIT);
    arena_close(&arena);
    struct mem_account little;
    mem_account_init(&little, NULL, 20000); /* for the bytes, not for zstd */
    arena_init(&arena, 1 << 20, &little);
    cr_assert_eq(squeeze_get(buffer_bytes(&out), 4000, &arena, &back, NULL), ERR_LIMIT);
    little.max = 200000;
    cr_assert_eq(squeeze_get(buffer_bytes(&out), 4000, &arena, &back, NULL), ERR_OK);
    buffer_close(&out);
    arena_close(&arena);
    cr_assert_eq(account.held + little.held, 0);
}
