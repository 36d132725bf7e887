#include <criterion/criterion.h>

#include "storage/stack_runs.h"
#include "tests/support/random_profile.h"
#include "tests/support/scale.h"
#include "tests/support/sdk_profile.h"

struct made {
    struct sample_grid grid;
    struct stack_runs runs;
    struct bytes bits;
};

static void make(const struct profile *p, struct arena *arena, struct made *ret)
{
    struct buffer out;
    struct bits_writer w = {.out = &out};
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(sample_grid_find(p, arena, &ret->grid), ERR_OK);
    cr_assert_eq(stack_runs_find(p, &ret->grid, arena, &ret->runs), ERR_OK);
    cr_assert_eq(stack_runs_put(&w, &ret->runs, &ret->grid, arena), ERR_OK);
    bits_end(&w);
    ret->bits = arena_copy(arena, buffer_bytes(&out));
    buffer_close(&out);
}

/* Run by run, sample by sample, thread by thread. */
static void assert_runs_of(const struct profile *p, const struct made *m,
                           const struct stack_runs *runs)
{
    for (size_t t = 0; t < m->grid.thread_count; t++) {
        size_t run = runs->thread_first[t];
        uint32_t left = 0;
        for (size_t i = 0; i < p->sample_count; i++) {
            if (p->sample_thread[i] != t)
                continue;
            if (left == 0) {
                cr_assert_lt(run, runs->thread_first[t + 1]);
                left = runs->runs[run++].length;
            }
            left--;
            cr_assert_eq(m->runs.document_stack[runs->runs[run - 1].stack], p->sample_stack[i]);
        }
        cr_assert(left == 0 && run == runs->thread_first[t + 1]);
    }
}

static void assert_comes_back(const struct profile *p)
{
    struct arena arena;
    struct made m;
    struct stack_runs back;
    struct errinfo info = {0};
    arena_init(&arena, 64 << 20, NULL);
    make(p, &arena, &m);
    assert_runs_of(p, &m, &m.runs);
    struct bits_reader r = {.in = m.bits};
    cr_assert_eq(stack_runs_get(&r, &m.grid, &arena, &back, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(bits_rest(&r).len, 0);
    cr_assert_eq(back.stack_count, m.runs.stack_count);
    assert_runs_of(p, &m, &back);
    uint32_t next = 0; /* stacks are numbered as runs have them */
    for (size_t i = 0; i < back.count; i++) {
        cr_assert_leq(back.runs[i].stack, next);
        next += back.runs[i].stack == next;
    }
    cr_assert_eq(next, back.stack_count);
    arena_close(&arena);
}

Test(stack_runs, runs_come_back)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(300); round++) {
        struct arena arena;
        struct profile p;
        arena_init(&arena, 64 << 20, NULL);
        if (round % 2 == 0)
            random_sound_profile(&rng, &arena, 60, &p);
        else
            sdk_profile(&rng, &arena, SDK_BY_VALUE, 0, (size_t)rng_below(&rng, 400), &p);
        assert_comes_back(&p);
        arena_close(&arena);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

/* A thread that goes round among as many stacks as it likes. */
Test(stack_runs, stacks_are_found_among_the_recent_and_the_older_ones)
{
    static uint64_t times[600];
    static uint32_t threads[600], stacks[600];
    for (uint32_t round = 1; round < 40; round++) {
        for (uint32_t i = 0; i < 600; i++) {
            times[i] = i;
            threads[i] = i % 2;
            stacks[i] = (i / 2 * (1 + threads[i])) % round;
        }
        struct profile p = {.kind = PROFILE_TRANSACTION,
                            .sample_time = times,
                            .sample_thread = threads,
                            .sample_stack = stacks,
                            .sample_count = 600,
                            .stack_count = round};
        assert_comes_back(&p);
    }
}

Test(stack_runs, coming_back_to_few_stacks_costs_little)
{
    struct rng rng = test_rng();
    static uint64_t times[1000];
    static uint32_t threads[1000], stacks[1000];
    struct arena arena;
    struct made m;
    for (uint32_t i = 0; i < 1000; i++) {
        times[i] = i;
        stacks[i] = i < 500 ? i : 100 + 50 * (uint32_t)rng_below(&rng, 2);
    }
    struct profile p = {.kind = PROFILE_TRANSACTION,
                        .sample_time = times,
                        .sample_thread = threads,
                        .sample_stack = stacks,
                        .sample_count = 1000,
                        .stack_count = 500};
    arena_init(&arena, 64 << 20, NULL);
    make(&p, &arena, &m);
    /* 500 new ones and 250 runs that go to and fro: below five bits each */
    cr_assert_lt(m.bits.len, 750 * 5 / 8, "%zu bytes", m.bits.len);
    arena_close(&arena);
}

Test(stack_runs, damage_is_refused_or_fills_the_threads)
{
    struct rng rng = test_rng();
    unsigned refused = 0;
    struct arena kept;
    struct made m;
    arena_init(&kept, 64 << 20, NULL);
    for (unsigned round = 0; round < test_scale(4000); round++) {
        struct arena arena;
        struct stack_runs back;
        if (round % 50 == 0) {
            struct profile p;
            arena_close(&kept);
            sdk_profile(&rng, &kept, SDK_BY_VALUE, 0, 100, &p);
            make(&p, &kept, &m);
        }
        arena_init(&arena, 4 << 20, NULL);
        uint8_t *bad = ARENA_ARRAY(&arena, m.bits.len, uint8_t);
        memcpy(bad, m.bits.data, m.bits.len);
        bad[rng_below(&rng, m.bits.len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        struct bits_reader r = {.in = bytes_of(bad, m.bits.len)};
        enum err rc = stack_runs_get(&r, &m.grid, &arena, &back, NULL);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_LIMIT);
        refused += rc != ERR_OK;
        for (size_t t = 0; t < m.grid.thread_count && rc == ERR_OK; t++) {
            uint64_t samples = 0;
            for (size_t i = back.thread_first[t]; i < back.thread_first[t + 1]; i++) {
                samples += back.runs[i].length;
                cr_assert_lt(back.runs[i].stack, back.stack_count);
            }
            cr_assert_eq(samples, m.grid.thread_samples[t]);
        }
        arena_close(&arena);
    }
    cr_assert_gt(refused, 100);
    arena_close(&kept);
}
