#include <stdio.h>

#include <criterion/criterion.h>

#include "engine/span.h"
#include "tests/support/rng.h"

static struct span_list list_of(struct arena *arena, const char *text)
{
    struct span_list l = {0};
    int a, b, used;

    for (; sscanf(text, " %d-%d%n", &a, &b, &used) == 2; text += used) /* NOLINT(cert-err34-c) */
        cr_assert_eq(span_list_add(&l, (struct span_ns){a, b}, arena), ERR_OK);
    return l;
}

static void assert_list(const struct span_list *l, const char *expected)
{
    char text[256] = "";
    size_t len = 0;

    for (size_t i = 0; i < l->count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d-%d", i ? " " : "",
                                (int)l->spans[i].start_ns, (int)l->spans[i].end_ns);
    cr_assert_str_eq(text, expected);
}

Test(span, unite_and_subtract_by_table)
{
    static const struct {
        const char *from;
        const char *taken;
        const char *united;
        const char *left;
    } cases[] = {
        {"", "", "", ""},
        {"5-5 7-6", "", "", ""}, /* nothing to add */
        {"1-3 5-8", "", "1-3 5-8", "1-3 5-8"},
        {"5-8 1-3 3-4", "", "1-4 5-8", "1-4 5-8"},
        {"1-9 2-3", "4-5", "1-9", "1-4 5-9"},
        {"1-9", "0-1 9-12", "1-9", "1-9"},
        {"1-9", "0-20", "1-9", ""},
        {"1-3 5-8 10-20", "2-6 7-11 12-13", "1-3 5-8 10-20", "1-2 6-7 11-12 13-20"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct span_list left;
        arena_init(&arena, SIZE_MAX, NULL);
        struct span_list from = list_of(&arena, cases[i].from);
        struct span_list taken = list_of(&arena, cases[i].taken);
        cr_assert_eq(span_list_unite(&from, NULL), ERR_OK);
        assert_list(&from, cases[i].united);
        cr_assert_eq(span_list_subtract(&from, &taken, &arena, &left), ERR_OK);
        assert_list(&left, cases[i].left);
        arena_close(&arena);
    }
}

Test(span, the_longest_are_kept_in_their_order)
{
    static const char *const kept[] = {
        "", "20-29", "5-8 20-29", "5-8 10-13 20-29", "1-3 5-8 10-13 20-29", "1-3 5-8 10-13 20-29"};

    for (size_t count = 0; count < sizeof(kept) / sizeof(kept[0]); count++) {
        struct arena arena;
        arena_init(&arena, SIZE_MAX, NULL);
        struct span_list l = list_of(&arena, "1-3 5-8 10-13 20-29");
        cr_assert_eq(span_list_keep_longest(&l, count, NULL), ERR_OK);
        assert_list(&l, kept[count]);
        arena_close(&arena);
    }
}

/* Against one flag a moment. */
Test(span, random_lists_equal_flags)
{
    struct rng rng = test_rng();

    for (int round = 0; round < 500; round++) {
        bool in[2][100] = {{false}};
        struct span_list lists[2] = {{0}, {0}};
        struct span_list left;
        struct arena arena;
        arena_init(&arena, SIZE_MAX, NULL);
        for (int which = 0; which < 2; which++) {
            for (uint64_t n = rng_below(&rng, 12); n > 0; n--) {
                int64_t a = rng_range(&rng, 0, 90);
                int64_t b = a + rng_range(&rng, 0, 9);
                cr_assert_eq(span_list_add(&lists[which], (struct span_ns){a, b}, &arena), ERR_OK);
                for (int64_t at = a; at < b; at++)
                    in[which][at] = true;
            }
            cr_assert_eq(span_list_unite(&lists[which], NULL), ERR_OK);
        }
        cr_assert_eq(span_list_subtract(&lists[0], &lists[1], &arena, &left), ERR_OK);
        for (int64_t at = 0; at < 100; at++) {
            bool held = false;
            for (size_t i = 0; i < left.count; i++)
                held |= left.spans[i].start_ns <= at && at < left.spans[i].end_ns;
            cr_assert_eq(held, in[0][at] && !in[1][at], "moment %d", (int)at);
        }
        arena_close(&arena);
    }
}
