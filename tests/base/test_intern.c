#include <stdio.h>
#include <time.h>

#include <criterion/criterion.h>

#include "base/hash.h"
#include "base/intern.h"

Test(intern, equal_texts_get_one_id_in_order_of_appearance)
{
    struct mem_account account;
    mem_account_init(&account, NULL, SIZE_MAX);
    struct intern in;
    intern_init(&in, 1 << 20, &account);
    uint32_t id = 9;
    cr_assert_eq(intern_add(&in, (struct bytes){0}, &id), ERR_OK);
    cr_assert_eq(id, 0, "the empty string");
    cr_assert(!intern_find(&in, BYTES("0"), &id));
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < 10000; i++) {
            char text[16];
            int len = snprintf(text, sizeof(text), "%u", i);
            cr_assert_eq(intern_add(&in, bytes_of(text, (size_t)len), &id), ERR_OK);
            cr_assert_eq(id, i + 1);
        }
    cr_assert_eq(in.count, 10001);
    for (unsigned i = 0; i < 10000; i++) {
        char text[16];
        int len = snprintf(text, sizeof(text), "%u", i);
        cr_assert(bytes_equal(intern_get(&in, i + 1), bytes_of(text, (size_t)len)));
        cr_assert(intern_find(&in, bytes_of(text, (size_t)len), &id) && id == i + 1);
    }
    cr_assert_eq(intern_get(&in, 0).len, 0);
    cr_assert(!intern_find(&in, BYTES("10000"), &id));
    cr_assert_leq(account.held, (size_t)10000 * (4 + 4 + 12) * 2, "about len + 12 bytes a string");
    intern_close(&in);
    intern_close(&in);
    cr_assert_eq(account.held, 0);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(intern, binary_texts_and_prefixes_are_distinct)
{
    struct intern in;
    intern_init(&in, 1000, NULL);
    const struct bytes texts[] = {BYTES("\0"), BYTES("\0\0"), BYTES("a"), BYTES("aa"),
                                  BYTES("a\0")};
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t id;
        cr_assert_eq(intern_add(&in, texts[i], &id), ERR_OK);
        cr_assert_eq(id, i + 1);
    }
    intern_close(&in);
}

Test(intern, a_failed_add_changes_nothing_and_may_be_repeated)
{
    struct intern in;
    intern_init(&in, 10, NULL);
    uint32_t id = 0;
    cr_assert_eq(intern_add(&in, BYTES("12345678"), &id), ERR_OK);
    cr_assert_eq(intern_add(&in, BYTES("abc"), &id), ERR_LIMIT);
    cr_assert_eq(intern_add(&in, BYTES("ab"), &id), ERR_OK, "what fits still goes in");
    cr_assert_eq(id, 2);
    intern_close(&in);

    size_t failures = 0;
    for (unsigned nth = 1; nth < 200; nth++) { /* each allocation of 300 adds fails once */
        intern_init(&in, 1 << 20, NULL);
        mem_fail_at(nth);
        for (uint32_t i = 0; i < 300; i++) {
            uint64_t key = i + 1;
            enum err rc = intern_add(&in, bytes_of(&key, sizeof(key)), &id);
            if (rc != ERR_OK) {
                failures++;
                cr_assert_eq(rc, ERR_NOMEM);
                cr_assert(!intern_find(&in, bytes_of(&key, sizeof(key)), &id));
                rc = intern_add(&in, bytes_of(&key, sizeof(key)), &id);
            }
            cr_assert_eq(rc, ERR_OK);
            cr_assert_eq(id, i + 1);
        }
        mem_fail_at(0);
        intern_close(&in);
    }
    cr_assert_gt(failures, 3);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(intern, says_busy_when_the_budget_has_no_room)
{
    struct mem_budget budget;
    struct mem_account account, other;
    mem_budget_init(&budget, 4096);
    mem_account_init(&account, &budget, SIZE_MAX);
    mem_account_init(&other, &budget, SIZE_MAX);
    cr_assert_eq(mem_account_reserve(&other, 4000), ERR_OK);
    struct intern in;
    intern_init(&in, 1 << 20, &account);
    uint32_t id;
    cr_assert_eq(intern_add(&in, BYTES("text"), &id), ERR_BUSY);
    mem_account_close(&other);
    cr_assert_eq(intern_add(&in, BYTES("text"), &id), ERR_OK);
    cr_assert_eq(id, 1);
    intern_close(&in);
    cr_assert_eq(budget.used, 0);
}

/* Processor seconds for 8192 numbers as texts; `chosen`: such that share slots without a seed. */
static double seconds_of_adding(bool chosen)
{
    struct intern in;
    clock_t start = 0;
    double seconds = 0;
    intern_init(&in, 1 << 20, NULL);
    for (unsigned i = 0; in.count <= 8192; i++) {
        char digits[16];
        uint32_t id;
        int len = snprintf(digits, sizeof(digits), "%u", i);
        struct bytes text = bytes_of(digits, (size_t)len);
        if (chosen && hash_bytes(text, 0) % 16384 >= 64)
            continue;
        start = clock();
        cr_assert_eq(intern_add(&in, text, &id), ERR_OK);
        seconds += (double)(clock() - start) / CLOCKS_PER_SEC;
    }
    intern_close(&in);
    return seconds;
}

Test(intern, texts_chosen_to_share_slots_cost_no_more_than_others)
{
    double usual = seconds_of_adding(false);
    double chosen = seconds_of_adding(true);
    cr_expect(chosen < 3 * usual + 0.02, "%.3f s, usually %.3f s", chosen, usual);
}
