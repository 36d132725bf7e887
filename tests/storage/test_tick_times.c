#include <math.h>

#include <criterion/criterion.h>

#include "storage/format.h"
#include "storage/tick_times.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define COUNT_MAX 3000

static uint64_t times[COUNT_MAX];
static uint64_t back[COUNT_MAX];

static uint64_t bits_of(double seconds)
{
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    return bits;
}

/* Gives the size in bits. */
static uint64_t assert_comes_back(enum profile_kind kind, size_t count)
{
    struct arena arena;
    struct buffer out;
    struct bits_writer w = {.out = &out};
    arena_init(&arena, 1 << 20, NULL);
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(tick_times_put(&w, kind, times, count, &arena), ERR_OK);
    uint64_t size = 8 * out.len + w.used;
    bits_put(&w, 5, 3);
    bits_end(&w);
    struct bits_reader r = {.in = buffer_bytes(&out)};
    tick_times_get(&r, kind, back, count, &arena);
    cr_assert_eq(bits_get(&r, 3), 5);
    cr_assert(!r.failed && arena.failed == ERR_OK);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(back[i], times[i], "time %zu of %zu", i, count);
    buffer_close(&out);
    arena_close(&arena);
    return size;
}

Test(tick_times, any_64_bits_come_back)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(300); round++) {
        size_t count = (size_t)rng_below(&rng, 50);
        for (size_t i = 0; i < count; i++)
            times[i] = rng_chance(&rng, 10) ? UINT64_MAX - rng_below(&rng, 3) : rng_u64(&rng);
        (void)assert_comes_back(PROFILE_CHUNK, count);
        (void)assert_comes_back(PROFILE_TRANSACTION, count);
    }
}

Test(tick_times, odd_seconds_come_back)
{
    static const double odd[] = {
        0.0,       -0.0,   1.0,      -1.0,   NAN,        INFINITY,
        -INFINITY, 1e300,  -1e300,   5e-324, 0x1p-22,    0x1p-23,
        0x1p31,    0x1p53, 0x1.8p52, -1.7e9, 1700000000, 1700000000.123456};
    size_t count = sizeof odd / sizeof odd[0];
    for (size_t i = 0; i < count; i++) {
        times[0] = bits_of(odd[i]);
        (void)assert_comes_back(PROFILE_CHUNK, 1);
        for (size_t k = 0; k < count; k++) {
            times[1] = bits_of(odd[k]);
            (void)assert_comes_back(PROFILE_CHUNK, 2);
        }
        times[i] = bits_of(odd[i]);
    }
    (void)assert_comes_back(PROFILE_CHUNK, count);
}

/* A clock of 1 / a_second, whose readings went through binary64 once more. */
static void fill_clock(struct rng *rng, double a_second, size_t count)
{
    int64_t units = (int64_t)(1.795e9 * a_second);
    for (size_t i = 0; i < count; i++) {
        units += (int64_t)(0.01 * a_second) + (int64_t)rng_below(rng, 3);
        double seconds = (double)units / a_second;
        times[i] = bits_of(seconds + (double)((int)rng_below(rng, 3) - 1) * 0x1p-22);
    }
}

Test(tick_times, a_clock_of_any_unit_costs_little)
{
    struct rng rng = test_rng();
    static const double units[] = {1e3, 1e4, 1e5, 1e6};
    for (size_t u = 0; u < 4; u++) {
        fill_clock(&rng, units[u], 1000);
        uint64_t size = assert_comes_back(PROFILE_CHUNK, 1000);
        cr_assert_lt(size, 5000, "%zu: %u bits", u,
                     (unsigned)size);       /* 1.6 for either, and Huffman */
        for (size_t i = 0; i < 1000; i++) { /* exactly whole */
            double seconds;
            memcpy(&seconds, &times[i], sizeof seconds);
            times[i] = bits_of(round(seconds * units[u]) / units[u]);
        }
        size = assert_comes_back(PROFILE_CHUNK, 1000);
        cr_assert_lt(size, 2300, "%zu: %u bits", u, (unsigned)size);
    }
}

Test(tick_times, a_punctual_sampler_costs_its_noise)
{
    struct rng rng = test_rng();
    double seconds = 1.795e9;
    for (size_t i = 0; i < COUNT_MAX; i++) {
        uint64_t late =
            rng_chance(&rng, 60) ? rng_below(&rng, 256) : 20000 + rng_below(&rng, 16384);
        seconds += (double)(41900 + late) * 0x1p-22;
        times[i] = bits_of(seconds);
    }
    uint64_t size = assert_comes_back(PROFILE_CHUNK, COUNT_MAX);
    cr_assert_lt(size, COUNT_MAX * 25 / 2, "%u bits", (unsigned)size);
}

Test(tick_times, elapsed_times_are_divided_by_their_unit)
{
    struct rng rng = test_rng();
    uint64_t elapsed = 0;
    for (size_t i = 0; i < 1000; i++)
        times[i] = elapsed += 10000000 + 100000 * rng_below(&rng, 16);
    uint64_t size = assert_comes_back(PROFILE_TRANSACTION, 1000);
    cr_assert_lt(size, 1000 * 6, "%u bits", (unsigned)size);
    for (size_t i = 0; i < 100; i++)
        times[i] = UINT64_MAX;
    (void)assert_comes_back(PROFILE_TRANSACTION, 100);
    memset(times, 0, sizeof times);
    (void)assert_comes_back(PROFILE_TRANSACTION, 100);
}

Test(tick_times, units_too_large_for_ticks_are_refused)
{
    struct arena arena;
    struct buffer out;
    struct bits_writer w = {.out = &out};
    arena_init(&arena, 1 << 20, NULL);
    buffer_init(&out, 1 << 20, NULL);
    bits_put(&w, FORMAT_TIMES_MILLI, 3);
    bits_put(&w, 63, 7);
    bits_put(&w, UINT64_MAX >> 1, 63);
    bits_put(&w, 0, 8);
    bits_end(&w);
    struct bits_reader r = {.in = buffer_bytes(&out)};
    tick_times_get(&r, PROFILE_CHUNK, back, 1, &arena);
    cr_assert(r.failed);
    buffer_clear(&out);
    bits_put(&w, 6, 3);
    bits_end(&w);
    r = (struct bits_reader){.in = buffer_bytes(&out)};
    tick_times_get(&r, PROFILE_CHUNK, back, 1, &arena);
    cr_assert(r.failed);
    buffer_close(&out);
    arena_close(&arena);
}

Test(tick_times, damage_never_crashes)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(3000); round++) {
        uint8_t bytes[200];
        struct arena arena;
        rng_bytes(&rng, bytes, sizeof bytes);
        arena_init(&arena, 1 << 20, NULL);
        struct bits_reader r = {.in = bytes_of(bytes, (size_t)rng_below(&rng, sizeof bytes))};
        enum profile_kind kind = rng_chance(&rng, 80) ? PROFILE_CHUNK : PROFILE_TRANSACTION;
        tick_times_get(&r, kind, back, 1 + (size_t)rng_below(&rng, 50), &arena);
        cr_assert(r.failed || r.at <= 8 * (uint64_t)r.in.len);
        arena_close(&arena);
    }
}
