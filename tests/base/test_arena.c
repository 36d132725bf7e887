#include <criterion/criterion.h>

#include "base/arena.h"
#include "tests/support/rng.h"

struct taken {
    uint8_t *at;
    size_t size;
    uint8_t fill;
};

Test(arena, takes_are_aligned_apart_and_stay_put)
{
    struct rng rng = test_rng();
    struct mem_account account;
    mem_account_init(&account, NULL, SIZE_MAX);
    struct arena a;
    arena_init(&a, 64 << 20, &account);
    static struct taken takes[3000];
    for (unsigned i = 0; i < 3000; i++) {
        size_t align = (size_t)1 << rng_below(&rng, 7);
        size_t size = rng_chance(&rng, 2) ? rng_below(&rng, 100000) : rng_below(&rng, 200);
        takes[i] = (struct taken){arena_take(&a, size, align), size, (uint8_t)i};
        cr_assert_not_null(takes[i].at);
        cr_assert_eq((uintptr_t)takes[i].at % align, 0);
        memset(takes[i].at, takes[i].fill, size);
    }
    for (unsigned i = 0; i < 3000; i++)
        for (size_t j = 0; j < takes[i].size; j++)
            cr_assert_eq(takes[i].at[j], takes[i].fill, "take %u was overwritten", i);
    cr_assert_eq(a.taken, account.held);
    arena_close(&a);
    arena_close(&a);
    cr_assert_eq(account.held, 0);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(arena, small_takes_share_pieces_and_big_ones_do_not_waste_them)
{
    struct arena a;
    arena_init(&a, 1 << 20, NULL);
    for (unsigned i = 0; i < 100; i++)
        cr_assert_not_null(arena_take(&a, 16, 8));
    cr_assert_leq(a.taken, 8192);
    cr_assert_eq(mem_outstanding(), 1);
    size_t before = a.taken;
    cr_assert_not_null(arena_take(&a, 100000, 8));
    cr_assert_leq(a.taken, before + 100000 + 128, "a piece of its own, no larger");
    cr_assert_not_null(arena_take(&a, 16, 8));
    cr_assert_eq(mem_outstanding(), 2, "and the piece before it is still in use");
    arena_close(&a);
    struct arena zeroed = {0};
    arena_close(&zeroed);
}

Test(arena, ceilings_are_told_apart_and_used_to_the_end)
{
    struct arena a;
    arena_init(&a, 10000, NULL);
    size_t got = 0;
    while (arena_take(&a, 100, 1) != NULL)
        got += 100;
    cr_assert_eq(a.failed, ERR_LIMIT);
    cr_assert_geq(got, 9000, "only %zu of 10000", got);
    cr_assert_leq(a.taken, 10000);
    cr_assert_null(arena_take(&a, 1, 1), "the failure sticks");
    arena_close(&a);
    cr_assert_eq(a.failed, ERR_OK);

    cr_assert_null(ARENA_ARRAY(&a, SIZE_MAX / 4, uint64_t));
    cr_assert_eq(a.failed, ERR_LIMIT);
    arena_close(&a);
    cr_assert_null(arena_take(&a, SIZE_MAX, 64));
    arena_close(&a);

    struct mem_budget budget;
    struct mem_account account;
    mem_budget_init(&budget, 8192);
    mem_account_init(&account, &budget, 8192);
    arena_init(&a, 1 << 20, &account);
    struct mem_account other;
    mem_account_init(&other, &budget, 8192);
    cr_assert_eq(mem_account_reserve(&other, 4000), ERR_OK);
    cr_assert_not_null(arena_take(&a, 2000, 8));
    cr_assert_null(arena_take(&a, 3000, 8));
    cr_assert_eq(a.failed, ERR_BUSY);
    arena_close(&a);
    cr_assert_eq(account.held, 0);
    mem_account_close(&other);
}

Test(arena, copies_are_never_null_and_failures_leave_nothing_behind)
{
    struct mem_account account;
    mem_account_init(&account, NULL, SIZE_MAX);
    struct arena a;
    arena_init(&a, 1 << 20, &account);
    struct bytes empty = arena_copy(&a, (struct bytes){0});
    cr_assert(empty.data != NULL && empty.len == 0);
    char text[] = "text";
    struct bytes copy = arena_copy(&a, bytes_of_text(text));
    text[0] = 'n';
    cr_assert(bytes_equal(copy, BYTES("text")));
    arena_close(&a);

    mem_fail_at(1);
    uint8_t *big = arena_take(&a, 5000, 1); /* the usual piece is smaller: no second try */
    mem_fail_at(0);
    cr_assert_null(big);
    cr_assert_eq(a.failed, ERR_NOMEM);
    cr_assert_eq(account.held, 0);
    cr_assert_null(arena_copy(&a, BYTES("x")).data);
    arena_close(&a);
    cr_assert_eq(mem_outstanding(), 0);
}
