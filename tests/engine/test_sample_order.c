#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/identity.h"
#include "engine/sample_order.h"
#include "tests/support/hand_profile.h"
#include "tests/support/rng.h"

/* Samples of one thread by insertion: slow and plain. */
static size_t expected_order(const struct hand_profile *h, uint32_t thread, bool by_time,
                             uint32_t *to)
{
    size_t count = 0;
    for (uint32_t i = 0; i < h->profile.sample_count; i++) {
        if (h->sample_thread[i] != thread)
            continue;
        size_t at = count++;
        double time = profile_sample_seconds(&h->profile, i);
        for (; by_time && at > 0 && profile_sample_seconds(&h->profile, to[at - 1]) > time; at--)
            to[at] = to[at - 1];
        to[at] = i;
    }
    return count;
}

static void check_order(const struct hand_profile *h, enum sample_order_by by)
{
    struct arena arena;
    struct sample_order order;
    arena_init(&arena, MIB(1), NULL);
    cr_assert_eq(sample_order_make(&h->profile, by, &arena, &order), ERR_OK);
    size_t seen = 0;
    for (size_t t = 0; t < order.thread_count; t++) {
        uint32_t wanted[HAND_ROOM];
        uint32_t thread = order.threads[t];
        size_t count = expected_order(h, thread, by == SAMPLES_BY_TIME, wanted);
        cr_assert_eq(order.starts[thread + 1] - order.starts[thread], count);
        for (size_t i = 0; i < count; i++)
            cr_expect_eq(order.samples[order.starts[thread] + i], wanted[i]);
        seen += count;
        if (t > 0) {
            struct bytes before = profile_string(&h->profile, h->threads[order.threads[t - 1]].id);
            struct bytes id = profile_string(&h->profile, h->threads[thread].id);
            cr_expect_lt(thread_id_compare(before, id), 0);
        }
    }
    cr_expect_eq(seen, h->profile.sample_count);
    arena_close(&arena);
}

/* Few distinct times, so that equal ones abound; threads in any order, some without samples. */
Test(sample_order, equals_insertion)
{
    static const char *const ids[] = {"10", "b", "9", "", "0x1", "a", "007", "7"};
    struct rng rng = test_rng();
    for (int round = 0; round < 300; round++) {
        struct hand_profile h;
        hand_profile_init(&h, PROFILE_CHUNK, "ruby");
        uint64_t threads = 1 + rng_below(&rng, 8);
        for (uint64_t i = 0; i < threads; i++)
            hand_thread(&h, ids[i], NULL);
        uint64_t samples = rng_below(&rng, 60);
        for (uint64_t i = 0; i < samples; i++)
            hand_sample(&h, (uint32_t)rng_below(&rng, threads), 0, (double)rng_below(&rng, 12));
        check_order(&h, SAMPLES_BY_DOCUMENT);
        check_order(&h, SAMPLES_BY_TIME);
    }
}
