#include <criterion/criterion.h>

#include "base/buffer.h"

Test(buffer, grows_up_to_its_ceiling_and_the_failure_sticks)
{
    struct buffer b;
    buffer_init(&b, 1000, NULL);
    for (unsigned i = 0; i < 1000; i++)
        buffer_put_u8(&b, (uint8_t)i);
    cr_assert_eq(b.failed, ERR_OK);
    cr_assert_eq(b.len, 1000);
    for (unsigned i = 0; i < 1000; i++)
        cr_assert_eq(b.data[i], (uint8_t)i);
    cr_assert_leq(b.capacity, 1000);
    buffer_put_u8(&b, 1);
    cr_assert_eq(b.failed, ERR_LIMIT);
    buffer_clear(&b);
    cr_assert_eq(b.failed, ERR_OK);
    buffer_put(&b, bytes_of(b.data, 0));
    cr_assert_null(buffer_extend(&b, 1001));
    cr_assert_null(buffer_extend(&b, 1), "the first failure sticks");
    buffer_put_u8(&b, 1);
    cr_assert_eq(b.len, 0);
    buffer_retry(&b);
    cr_assert_eq(b.failed, ERR_LIMIT, "only busy can be tried again");
    buffer_clear(&b);
    cr_assert_null(buffer_extend(&b, SIZE_MAX));
    buffer_close(&b);
    buffer_close(&b);

    struct buffer none = {0};
    cr_assert_not_null(buffer_extend(&none, 0), "nothing fits anywhere");
    cr_assert_null(buffer_extend(&none, 1));
    buffer_close(&none);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(buffer, room_reserved_does_not_move)
{
    struct buffer b;
    buffer_init(&b, 10000, NULL);
    buffer_put(&b, BYTES("abc"));
    cr_assert_eq(buffer_reserve(&b, 5000), ERR_OK);
    const uint8_t *before = b.data;
    for (unsigned i = 0; i < 5000; i++)
        buffer_put_u8(&b, 'x');
    cr_assert_eq(b.data, before);
    cr_assert_eq(b.data[2], 'c');
    buffer_close(&b);
}

Test(buffer, printf_writes_any_length)
{
    struct buffer b;
    buffer_init(&b, 1000, NULL);
    buffer_printf(&b, "%d-%s", 42, "x");
    buffer_printf(&b, "%*d", 300, 7);
    cr_assert_eq(b.len, 304);
    cr_assert(bytes_starts_with(buffer_bytes(&b), BYTES("42-x  ")));
    cr_assert(bytes_ends_with(buffer_bytes(&b), BYTES(" 7")));
    buffer_printf(&b, "%*d", 3000, 7);
    cr_assert_eq(b.failed, ERR_LIMIT);
    cr_assert_eq(b.len, 304);
    buffer_close(&b);
}

Test(buffer, counts_its_memory_and_tells_busy_from_limit)
{
    struct mem_budget budget;
    struct mem_account other, mine;
    mem_budget_init(&budget, 10000);
    mem_account_init(&other, &budget, SIZE_MAX);
    mem_account_init(&mine, &budget, 6000);
    cr_assert_eq(mem_account_reserve(&other, 8000), ERR_OK);

    struct buffer b;
    buffer_init(&b, SIZE_MAX, &mine);
    cr_assert_not_null(buffer_extend(&b, 1900));
    cr_assert_eq(mine.held, b.capacity);
    cr_assert_not_null(buffer_extend(&b, 90), "no room to double, but for what is needed");
    cr_assert_null(buffer_extend(&b, 20));
    cr_assert_eq(b.failed, ERR_BUSY);
    mem_account_close(&other);
    cr_assert_null(buffer_extend(&b, 20), "it sticks until it is cleared");
    buffer_retry(&b);
    cr_assert_not_null(buffer_extend(&b, 20));
    cr_assert_null(buffer_extend(&b, 5000));
    cr_assert_eq(b.failed, ERR_LIMIT, "the account's ceiling");
    cr_assert_eq(b.len, 2010, "what was there is still there");
    cr_assert_eq(mine.held, b.capacity);
    buffer_close(&b);
    cr_assert_eq(mine.held, 0);
    cr_assert_eq(budget.used, 0);
}

Test(buffer, out_of_memory_leaves_everything_as_it_was)
{
    struct mem_account account;
    mem_account_init(&account, NULL, SIZE_MAX);
    struct buffer b;
    buffer_init(&b, 1 << 20, &account);
    buffer_put(&b, BYTES("before"));
    size_t held = account.held;
    size_t capacity = b.capacity;
    mem_fail_at(1);
    void *at =
        buffer_extend(&b, 100000); /* exactly what is needed: no smaller wish to fall back to */
    mem_fail_at(0);
    cr_assert_null(at);
    cr_assert_eq(b.failed, ERR_NOMEM);
    cr_assert_eq(account.held, held);
    cr_assert_eq(b.capacity, capacity);
    cr_assert(bytes_equal(buffer_bytes(&b), BYTES("before")));
    buffer_close(&b);
    cr_assert_eq(account.held, 0);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(buffer, growing_into_the_last_room_copies_it_a_few_times_only)
{
    struct mem_account account;
    struct buffer b;
    unsigned moves = 0;
    mem_account_init(&account, NULL, 100000); /* doubling ends at 64 KiB */
    buffer_init(&b, SIZE_MAX, &account);
    for (size_t capacity = 0; b.failed == ERR_OK; capacity = b.capacity) {
        buffer_put_u8(&b, 'x');
        moves += b.capacity != capacity;
    }
    cr_assert_eq(b.failed, ERR_LIMIT);
    cr_assert_eq(b.len, 100000, "to the last byte");
    cr_assert_lt(moves, 50);
    buffer_close(&b);
    cr_assert_eq(account.held, 0);
}
