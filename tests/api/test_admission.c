/* Seats of large uploads: with room to finish, in order, and never lost. */
#include <criterion/criterion.h>

#include "api/admission.h"

static bool enter(struct admission *a, struct seat *seat)
{
    return admission_enter(a, seat, seat->held);
}

Test(admission, seats_go_to_whoever_waited_longest)
{
    struct admission *a = NULL;
    struct mem_budget budget;
    struct seat seats[5] = {{0}};
    mem_budget_init(&budget, 25);
    cr_assert_eq(admission_create(&budget, &a), ERR_OK);
    for (int i = 0; i < 4; i++) {
        seats[i].need = 10;
        cr_expect_eq(enter(a, &seats[i]), i < 2, "upload %d", i);
    }
    cr_expect(enter(a, &seats[0]), "who has a seat keeps it");
    seats[4].need = 1;
    cr_expect_not(enter(a, &seats[4]), "a newcomer is behind those who wait, however small");

    admission_leave(a, &seats[1]);
    cr_expect_not(enter(a, &seats[3]));
    cr_expect_not(admission_may_enter(a, &seats[3]));
    cr_expect(admission_may_enter(a, &seats[2]));
    cr_expect(enter(a, &seats[2]), "its turn");
    cr_expect_not(enter(a, &seats[3]), "no room for a third");

    admission_leave(a, &seats[3]); /* gave up waiting */
    admission_leave(a, &seats[3]); /* twice is fine */
    cr_expect(enter(a, &seats[4]), "the queue moved up, and this one fits");
    for (int i = 0; i < 5; i++)
        admission_leave(a, &seats[i]);
    admission_destroy(a);
    cr_expect_eq(mem_outstanding(), 0);
}

/* What a seat holds already is in the budget's count: it is not asked for twice. */
Test(admission, room_is_what_the_seats_will_not_need)
{
    struct admission *a = NULL;
    struct mem_budget budget;
    struct mem_account account;
    struct seat one = {.need = 10};
    struct seat other = {.need = 10};
    mem_budget_init(&budget, 20);
    mem_account_init(&account, &budget, 20);
    cr_assert_eq(admission_create(&budget, &a), ERR_OK);
    cr_assert_eq(mem_account_reserve(&account, 8), ERR_OK);
    cr_expect(admission_enter(a, &one, 0), "there is always one seat");
    cr_expect_not(admission_enter(a, &other, 0), "12 are free, 10 of them promised");
    cr_expect(admission_enter(a, &one, 8), "the first has what it needs but 2");
    cr_expect(admission_enter(a, &other, 0));
    cr_expect(admission_enter(a, &one, 30), "more than it said: it owes nothing");
    admission_leave(a, &other);
    cr_expect(admission_enter(a, &other, 0));
    admission_leave(a, &other);
    admission_leave(a, &one);
    cr_assert_eq(mem_account_reserve(&account, 12), ERR_OK);
    cr_expect(admission_enter(a, &one, 0), "and one also when nothing is free");
    cr_expect_not(admission_enter(a, &other, 0));
    cr_expect_not(admission_may_enter(a, &other));
    mem_account_close(&account);
    cr_expect(admission_may_enter(a, &other));
    admission_leave(a, &one);
    admission_leave(a, &other);
    admission_destroy(a);
}
