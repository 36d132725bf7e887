#include <criterion/criterion.h>

#include "storage/gap_list.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define COUNT_MAX 1000

static uint64_t numbers[COUNT_MAX], used[COUNT_MAX], back[COUNT_MAX];

/* Gives the size in bits. */
static uint64_t assert_comes_back(uint64_t base, size_t count)
{
    struct buffer out;
    struct bits_writer w = {.out = &out};
    buffer_init(&out, 1 << 20, NULL);
    memcpy(used, numbers, sizeof used);
    gap_list_put(&w, base, used, count);
    uint64_t size = 8 * out.len + w.used;
    bits_put(&w, 1, 1);
    bits_end(&w);
    struct bits_reader r = {.in = buffer_bytes(&out)};
    gap_list_get(&r, back, count);
    cr_assert_eq(bits_get(&r, 1), 1);
    cr_assert(!r.failed);
    cr_assert_eq(memcmp(numbers, back, count * sizeof *back), 0);
    buffer_close(&out);
    return size;
}

Test(gap_list, any_numbers_come_back_with_any_base)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(500); round++) {
        size_t count = 1 + (size_t)rng_below(&rng, rng_chance(&rng, 50) ? 3 : COUNT_MAX);
        unsigned shift = (unsigned)rng_below(&rng, 64);
        for (size_t i = 0; i < count; i++)
            numbers[i] = rng_u64(&rng) >> shift;
        (void)assert_comes_back(rng_chance(&rng, 50) ? 0 : rng_u64(&rng) >> shift, count);
    }
}

Test(gap_list, the_base_found_makes_the_list_short)
{
    struct rng rng = test_rng();
    int64_t gaps[GAP_SAMPLES];
    struct gap_base base;
    uint64_t number = UINT64_C(1) << 52;
    for (size_t i = 0; i < GAP_SAMPLES; i++) {
        gaps[i] = 41900 + (int64_t)rng_below(&rng, 64) + (i % 50 == 0 ? 5000 : 0);
        numbers[i] = number += (uint64_t)gaps[i];
    }
    gaps[7] = -100; /* a clock that was set back */
    cr_assert_eq(gap_list_find_base(gaps, GAP_SAMPLES, NULL, &base), ERR_OK);
    cr_assert(base.base >= 41900 && base.base < 41964, "%u", (unsigned)base.base);
    uint64_t size = assert_comes_back(base.base, GAP_SAMPLES);
    cr_assert_lt(size, GAP_SAMPLES * 8, "%u bits", (unsigned)size);
    cr_assert_gt(assert_comes_back(0, GAP_SAMPLES), size * 3 / 2);
    cr_assert_eq(gap_list_find_base(gaps, 0, NULL, &base), ERR_OK);
    cr_assert_eq(base.base, 0);
    gaps[0] = INT64_MIN;
    gaps[1] = INT64_MAX;
    cr_assert_eq(gap_list_find_base(gaps, 2, NULL, &base), ERR_OK);
}

Test(gap_list, numbers_that_cannot_be_are_refused)
{
    struct buffer out;
    struct bits_writer w = {.out = &out};
    buffer_init(&out, 1 << 20, NULL);
    bits_put(&w, 65, 7);
    bits_put(&w, 0, 64);
    bits_put(&w, 0, 64);
    bits_end(&w);
    struct bits_reader r = {.in = buffer_bytes(&out)};
    cr_assert_eq(gap_list_get_number(&r), 0);
    cr_assert(r.failed);
    buffer_close(&out);
}
