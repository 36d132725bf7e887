#include <criterion/criterion.h>

#include "storage/sample_grid.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define SAMPLES_MAX 2000

static uint64_t times[SAMPLES_MAX];
static uint32_t threads[SAMPLES_MAX];

static struct profile samples(size_t count)
{
    return (struct profile){.kind = PROFILE_TRANSACTION,
                            .sample_time = times,
                            .sample_thread = threads,
                            .sample_count = count};
}

/* Written and read; *ret_bits are what it took, times not counted. */
static void round_trip(const struct profile *p, size_t thread_limit, struct arena *arena,
                       struct sample_grid *ret)
{
    struct sample_grid grid;
    struct buffer out;
    struct bits_writer w = {.out = &out};
    struct errinfo info = {0};
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(sample_grid_find(p, arena, &grid), ERR_OK);
    cr_assert_eq(sample_grid_put(&w, p->kind, &grid, arena), ERR_OK);
    bits_put(&w, 1, 1);
    bits_end(&w);
    struct bytes bits = arena_copy(arena, buffer_bytes(&out));
    struct bits_reader r = {.in = bits};
    cr_assert_eq(sample_grid_get(&r, p->kind, thread_limit, arena, ret, &info), ERR_OK, "%s",
                 info.text);
    cr_assert_eq(bits_get(&r, 1), 1);
    cr_assert(!r.failed);
    buffer_close(&out);
}

static void assert_same_samples(const struct profile *p, const struct sample_grid *g)
{
    size_t at = 0;
    size_t tick = 0;
    uint32_t of_thread[SAMPLES_MAX] = {0};
    cr_assert_eq(g->sample_count, p->sample_count);
    for (size_t i = 0; i < g->span_count; i++) {
        uint32_t pattern = g->spans[i].pattern;
        for (size_t last = tick + g->spans[i].ticks; tick < last; tick++)
            for (size_t k = g->pattern_first[pattern]; k < g->pattern_first[pattern + 1]; k++) {
                cr_assert_eq(g->times[tick], p->sample_time[at]);
                cr_assert_eq(g->pattern_threads[k], p->sample_thread[at]);
                of_thread[p->sample_thread[at++]]++;
            }
    }
    cr_assert_eq(at, p->sample_count);
    for (size_t t = 0; t < g->thread_count; t++)
        cr_assert_eq(g->thread_samples[t], of_thread[t]);
}

/* Ticks of some patterns, which change now and then. */
static size_t fill(struct rng *rng, uint32_t thread_count)
{
    size_t count = 0;
    uint64_t now = rng_below(rng, 100);
    uint32_t first = 0, end = thread_count;
    bool twice = rng_chance(rng, 10);
    while (count + 2 * thread_count < SAMPLES_MAX && !rng_chance(rng, 1)) {
        now += 1 + rng_below(rng, 1000);
        if (rng_chance(rng, 10)) {
            first = (uint32_t)rng_below(rng, thread_count);
            end = first + 1 + (uint32_t)rng_below(rng, thread_count - first);
        }
        for (uint32_t t = first; t < end; t++)
            for (unsigned n = 0; n < 1u + twice; n++) {
                times[count] = now;
                threads[count++] = rng_chance(rng, 1) ? (uint32_t)rng_below(rng, thread_count) : t;
            }
    }
    return count;
}

Test(sample_grid, samples_come_back_in_document_order)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(400); round++) {
        uint32_t thread_count = 1 + (uint32_t)rng_below(&rng, 20);
        struct profile p = samples(fill(&rng, thread_count));
        struct sample_grid g;
        struct arena arena;
        arena_init(&arena, 16 << 20, NULL);
        round_trip(&p, thread_count, &arena, &g);
        assert_same_samples(&p, &g);
        arena_close(&arena);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(sample_grid, none_and_regular_ones_are_small)
{
    struct arena arena;
    struct sample_grid g;
    struct profile p = samples(0);
    arena_init(&arena, 16 << 20, NULL);
    round_trip(&p, 0, &arena, &g);
    cr_assert(g.tick_count == 0 && g.sample_count == 0 && g.thread_count == 0);
    for (size_t i = 0; i < 1200; i++) {
        times[i] = 1000 * (i / 12);
        threads[i] = (uint32_t)(i % 12);
    }
    p = samples(1200);
    cr_assert_eq(sample_grid_find(&p, &arena, &g), ERR_OK);
    cr_assert(g.tick_count == 100 && g.thread_count == 12 && g.pattern_count == 1);
    struct buffer out;
    struct bits_writer w = {.out = &out};
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(sample_grid_put(&w, p.kind, &g, &arena), ERR_OK);
    bits_end(&w);
    cr_assert_lt(out.len, 25, "%zu bytes", out.len); /* a bit a tick and some counts */
    buffer_close(&out);
    arena_close(&arena);
}

/* What other code of the block relies on. */
static void assert_sound(const struct sample_grid *g, size_t thread_limit)
{
    size_t ticks = 0;
    cr_assert_leq(g->thread_count, thread_limit);
    for (size_t i = 0; i < g->span_count; i++) {
        cr_assert_lt(g->spans[i].pattern, g->pattern_count);
        cr_assert_gt(g->spans[i].ticks, 0);
        ticks += g->spans[i].ticks;
    }
    cr_assert_eq(ticks, g->tick_count);
    for (size_t i = 0; i < g->pattern_count; i++)
        cr_assert_lt(g->pattern_first[i], g->pattern_first[i + 1]);
    for (size_t k = 0; k < g->pattern_first[g->pattern_count]; k++)
        cr_assert_lt(g->pattern_threads[k], g->thread_count);
}

Test(sample_grid, damage_is_refused_or_sound)
{
    struct rng rng = test_rng();
    unsigned refused = 0;
    struct buffer out;
    buffer_init(&out, 1 << 20, NULL);
    for (unsigned round = 0; round < test_scale(4000); round++) {
        struct arena arena;
        struct sample_grid g;
        struct bits_writer w = {.out = &out};
        arena_init(&arena, 2 << 20, NULL);
        if (round % 50 == 0) {
            struct profile p = samples(fill(&rng, 6));
            buffer_clear(&out);
            cr_assert_eq(sample_grid_find(&p, &arena, &g), ERR_OK);
            cr_assert_eq(sample_grid_put(&w, p.kind, &g, &arena), ERR_OK);
            bits_end(&w);
        }
        uint8_t *bad = ARENA_ARRAY(&arena, out.len, uint8_t);
        memcpy(bad, out.data, out.len);
        bad[rng_below(&rng, out.len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        struct bits_reader r = {.in = bytes_of(bad, out.len)};
        enum err rc = sample_grid_get(&r, PROFILE_TRANSACTION, 6, &arena, &g, NULL);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_LIMIT);
        refused += rc != ERR_OK;
        if (rc == ERR_OK)
            assert_sound(&g, 6);
        arena_close(&arena);
    }
    cr_assert_gt(refused, 100);
    buffer_close(&out);
}

Test(sample_grid, threads_over_the_limit_are_refused)
{
    struct arena arena;
    struct sample_grid g;
    struct errinfo info = {0};
    struct buffer out;
    struct bits_writer w = {.out = &out};
    struct profile p = samples(3);
    arena_init(&arena, 1 << 20, NULL);
    buffer_init(&out, 1 << 20, NULL);
    for (uint32_t i = 0; i < 3; i++)
        threads[i] = i;
    cr_assert_eq(sample_grid_find(&p, &arena, &g), ERR_OK);
    cr_assert_eq(sample_grid_put(&w, p.kind, &g, &arena), ERR_OK);
    bits_end(&w);
    for (size_t limit = 0; limit < 5; limit++) {
        struct bits_reader r = {.in = buffer_bytes(&out)};
        cr_assert_eq(sample_grid_get(&r, p.kind, limit, &arena, &g, &info),
                     limit < 3 ? ERR_CORRUPT : ERR_OK);
    }
    cr_assert_str_eq(info.text, "block: ticks are cut short or out of range");
    buffer_close(&out);
    arena_close(&arena);
}
