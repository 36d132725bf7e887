#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/mem.h"

Test(mem, blocks_are_counted_and_products_checked)
{
    size_t before = mem_outstanding();
    void *a = mem_alloc(0);
    char *z = mem_zalloc(100);
    void *c = mem_array(3, 5);
    cr_assert(a != NULL && z != NULL && c != NULL);
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(z[i], 0);
    cr_assert_eq(mem_outstanding(), before + 3);
    c = mem_resize(c, 1000, 8);
    cr_assert_not_null(c);
    memset(c, 1, 8000);
    cr_assert_eq(mem_outstanding(), before + 3);
    cr_assert_null(mem_array(SIZE_MAX / 2, 3));
    cr_assert_null(mem_resize(c, SIZE_MAX / 2, 3));
    mem_free(a);
    mem_free(z);
    mem_free(c);
    mem_free(NULL);
    void *fresh = mem_resize(NULL, 4, 4);
    cr_assert_not_null(fresh);
    cr_assert_eq(mem_outstanding(), before + 1);
    mem_free(fresh);
    cr_assert_eq(mem_outstanding(), before);
}

Test(mem, the_nth_allocation_fails_and_only_that_one)
{
    for (unsigned nth = 0; nth <= 4; nth++) {
        void *blocks[4] = {0};
        mem_fail_at(nth);
        blocks[0] = mem_alloc(1);
        blocks[1] = mem_zalloc(1);
        blocks[2] = mem_array(1, 1);
        blocks[3] = mem_resize(NULL, 1, 1);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_eq(blocks[i] == NULL, i + 1 == nth, "failing %u, block %u", nth, i);
            mem_free(blocks[i]);
        }
        cr_assert_eq(mem_fail_left(), 0, "none is still to fail");
    }
    char *kept = mem_alloc(1);
    *kept = 'k';
    mem_fail_at(3);
    mem_free(mem_alloc(1));
    cr_assert_eq(mem_fail_left(), 2);
    mem_fail_at(1);
    cr_assert_null(mem_resize(kept, 10, 1));
    cr_assert_eq(*kept, 'k', "the old block is still there");
    mem_free(kept);
}

Test(mem, an_account_says_busy_or_limit_and_gives_all_back)
{
    struct mem_budget budget;
    struct mem_account a, b;
    mem_budget_init(&budget, 1000);
    mem_account_init(&a, &budget, 800);
    mem_account_init(&b, &budget, 5000);
    cr_assert_eq(mem_account_reserve(&a, 700), ERR_OK);
    cr_assert_eq(mem_account_reserve(&a, 101), ERR_LIMIT, "its own ceiling");
    cr_assert_eq(mem_account_left(&a), 100, "its own ceiling");
    cr_assert_eq(mem_account_reserve(&a, SIZE_MAX), ERR_LIMIT);
    cr_assert_eq(mem_account_reserve(&b, 301), ERR_BUSY, "the budget's room");
    cr_assert_eq(mem_account_reserve(&b, 1001), ERR_LIMIT, "more than there ever is");
    cr_assert_eq(mem_account_reserve(&b, 300), ERR_OK);
    cr_assert_eq(budget.used, 1000);
    mem_account_release(&a, 500);
    cr_assert_eq(a.held, 200);
    cr_assert_eq(budget.used, 500);
    mem_account_move(&a, &b, 150);
    cr_assert_eq(a.held, 50);
    cr_assert_eq(b.held, 450);
    cr_assert_eq(budget.used, 500);
    cr_assert_eq(mem_account_left(&a), 500, "the budget's room");
    mem_account_close(&a);
    mem_account_close(&b);
    mem_account_close(&b);
    cr_assert_eq(budget.used, 0);
    cr_assert_eq(budget.peak, 1000);

    struct mem_account alone;
    mem_account_init(&alone, NULL, 10);
    cr_assert_eq(mem_account_left(&alone), 10);
    cr_assert_eq(mem_account_reserve(&alone, 10), ERR_OK);
    cr_assert_eq(mem_account_reserve(&alone, 1), ERR_LIMIT);
    mem_account_close(&alone);
}

static void *reserve_and_release(void *shared)
{
    struct mem_account a;
    mem_account_init(&a, shared, SIZE_MAX);
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = 1 + i % 70;
        if (mem_account_reserve(&a, size) == ERR_OK && i % 3 != 0)
            mem_account_release(&a, size);
        if (a.held > 50)
            mem_account_release(&a, a.held);
    }
    mem_account_close(&a);
    return NULL;
}

Test(mem, threads_never_exceed_a_budget_together)
{
    struct mem_budget budget;
    mem_budget_init(&budget, 200);
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, reserve_and_release, &budget), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(budget.used, 0);
    cr_assert_leq(budget.peak, 200);
    cr_assert_gt(budget.peak, 0);
}
