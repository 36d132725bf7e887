#include <criterion/criterion.h>

#include "base/sort.h"

#define COUNT 1000

struct item {
    unsigned key;
    unsigned filler[3];
};

static int by_key(const void *left, const void *right, void *context)
{
    const struct item *a = left;
    const struct item *b = right;
    unsigned *compared = context;

    (*compared)++;
    return (a->key > b->key) - (a->key < b->key);
}

static void fill(struct item *items, unsigned step)
{
    for (unsigned i = 0; i < COUNT; i++)
        items[i] = (struct item){.key = i * step % COUNT};
}

Test(sort, the_copy_is_reserved_while_it_works)
{
    static struct item items[COUNT];
    struct mem_account account;
    unsigned compared = 0;

    mem_account_init(&account, NULL, sizeof(items) - 1);
    fill(items, 7);
    cr_assert_eq(sort_array(&account, items, COUNT, sizeof(*items), by_key, &compared), ERR_LIMIT);
    cr_assert_eq(items[1].key, 7, "nothing was moved");
    mem_account_close(&account);

    mem_account_init(&account, NULL, sizeof(items));
    cr_assert_eq(sort_array(&account, items, COUNT, sizeof(*items), by_key, &compared), ERR_OK);
    cr_assert_eq(account.held, 0);
    for (unsigned i = 0; i < COUNT; i++)
        cr_assert_eq(items[i].key, i);
    fill(items, 3);
    cr_assert_eq(sort_array(NULL, items, COUNT, sizeof(*items), by_key, &compared), ERR_OK);
    cr_assert_eq(items[1].key, 1);
    mem_account_close(&account);
}

Test(sort, what_is_in_order_costs_a_look)
{
    static struct item items[COUNT];
    struct mem_account account;
    unsigned compared = 0;

    mem_account_init(&account, NULL, 0);
    fill(items, 1);
    cr_assert_eq(sort_array(&account, items, COUNT, sizeof(*items), by_key, &compared), ERR_OK);
    cr_assert_eq(compared, COUNT - 1);
    cr_assert_eq(sort_array(&account, NULL, 0, sizeof(*items), by_key, &compared), ERR_OK);
    mem_account_close(&account);
}
