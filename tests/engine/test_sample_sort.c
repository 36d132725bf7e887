#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/sample_sort.h"
#include "tests/support/rng.h"

#define COUNT_MAX 300

Test(sample_sort, equals_a_stable_insertion_sort)
{
    struct rng rng = test_rng();
    for (int round = 0; round < 500; round++) {
        uint64_t time[COUNT_MAX];
        uint32_t thread[COUNT_MAX], stack[COUNT_MAX], queue[COUNT_MAX], order[COUNT_MAX];
        uint8_t idle[COUNT_MAX];
        size_t count = rng_below(&rng, COUNT_MAX);
        bool extras = rng_chance(&rng, 50);
        for (size_t i = 0; i < count; i++) {
            time[i] = rng_below(&rng, 40);
            thread[i] = (uint32_t)i;
            stack[i] = (uint32_t)i + 1000;
            queue[i] = (uint32_t)i + 2000;
            idle[i] = i % 3 == 0;
            size_t at = i; /* the plainest thing that could be right */
            for (; at > 0 && time[order[at - 1]] > time[i]; at--)
                order[at] = order[at - 1];
            order[at] = (uint32_t)i;
        }
        struct profile p = {.kind = PROFILE_TRANSACTION,
                            .timestamp_ns = 5,
                            .sample_time = time,
                            .sample_thread = thread,
                            .sample_stack = stack,
                            .sample_queue = extras ? queue : NULL,
                            .sample_idle = extras ? idle : NULL,
                            .sample_count = count};
        struct arena arena;
        arena_init(&arena, MIB(1), NULL);
        cr_assert_eq(profile_sort_samples(&p, &arena), ERR_OK);
        for (size_t i = 0; i < count; i++) {
            uint32_t from = order[i];
            cr_assert(p.sample_time[i] == time[from] && p.sample_thread[i] == from &&
                      p.sample_stack[i] == from + 1000);
            cr_assert(!extras ||
                      (p.sample_queue[i] == from + 2000 && p.sample_idle[i] == (from % 3 == 0)));
        }
        cr_assert_eq(p.sample_queue == NULL, !extras);
        arena_close(&arena);
    }
    /* sorted samples cost nothing */
    static const uint64_t sorted[] = {1, 1, 2};
    struct profile p = {.kind = PROFILE_TRANSACTION, .sample_time = sorted, .sample_count = 3};
    struct arena none;
    arena_init(&none, 0, NULL);
    cr_expect_eq(profile_sort_samples(&p, &none), ERR_OK);
    cr_expect_eq(p.sample_time, sorted);
    arena_close(&none);
}
