#include <criterion/criterion.h>

#include "storage/counted_array.h"

struct item {
    uint64_t number;
    uint64_t more[4];
};

Test(counted_array, items_stay_where_they_are)
{
    struct counted_array a;
    struct mem_account account;
    const struct item *first = NULL;
    mem_account_init(&account, NULL, SIZE_MAX);
    counted_array_init(&a, sizeof(struct item), &account);
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_eq(counted_array_reserve(&a), ERR_OK);
        cr_assert_eq(counted_array_reserve(&a), ERR_OK, "twice is once");
        ((struct item *)counted_array_add(&a))->number = i;
        first = i == 0 ? counted_array_at(&a, 0) : first;
        cr_assert_eq(account.held, (i + 1) * sizeof(struct item));
    }
    cr_assert_eq(counted_array_at(&a, 0), first);
    cr_assert_eq(counted_array_bytes(&a), account.held);
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert_eq(((struct item *)counted_array_at(&a, i))->number, i);
    counted_array_close(&a);
    cr_assert_eq(account.held, 0);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(counted_array, what_does_not_fit_leaves_it_as_it_was)
{
    struct counted_array a;
    struct mem_account account;
    mem_account_init(&account, NULL, 2 * sizeof(struct item));
    counted_array_init(&a, sizeof(struct item), &account);
    mem_fail_at(1);
    cr_assert_eq(counted_array_reserve(&a), ERR_NOMEM);
    cr_assert_eq(account.held, 0);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(counted_array_reserve(&a), ERR_OK);
        (void)counted_array_add(&a);
    }
    cr_assert_eq(counted_array_reserve(&a), ERR_LIMIT);
    cr_assert_eq(a.count, 2);
    counted_array_close(&a);
    cr_assert_eq(account.held, 0);
    a = (struct counted_array){0};
    counted_array_close(&a);
}
