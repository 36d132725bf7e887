#include <criterion/criterion.h>

#include "storage/number_list.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define COUNT_MAX 3000

static uint64_t values[COUNT_MAX];
static uint64_t back[COUNT_MAX + 1];
static uint32_t back32[COUNT_MAX + 1];

static void put(struct buffer *out, enum number_kind kind, size_t count)
{
    struct bits_writer w = {.out = out};
    bits_put(&w, 5, 3); /* lists start at any bit */
    number_list_put(&w, kind, values, count);
    cr_assert_eq(8 * out->len + w.used, 3 + number_list_size(kind, values, count));
    bits_put(&w, 1, 1);
    bits_end(&w);
    cr_assert_eq(out->failed, ERR_OK);
}

static struct bits_reader reader(struct bytes in)
{
    struct bits_reader r = {.in = in};
    cr_assert_eq(bits_get(&r, 3), 5);
    return r;
}

static void assert_comes_back(enum number_kind kind, size_t count)
{
    struct buffer out;
    buffer_init(&out, 1 << 20, NULL);
    put(&out, kind, count);
    struct bits_reader r = reader(buffer_bytes(&out));
    number_list_get(&r, kind, back, count);
    cr_assert(!r.failed);
    cr_assert_eq(bits_get(&r, 1), 1);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(back[i], values[i], "number %zu of %zu", i, count);
    cr_assert_eq(bits_rest(&r).len, 0);
    cr_assert(!r.failed);
    buffer_close(&out);
}

/* Some peaks of different widths. */
static void fill(struct rng *rng, size_t count, unsigned bits_max)
{
    unsigned peaks = 1 + (unsigned)rng_below(rng, 4);
    uint64_t at[4];
    unsigned width[4];
    for (unsigned i = 0; i < peaks; i++) {
        at[i] = rng_u64(rng) >> (64 - bits_max);
        width[i] = (unsigned)rng_below(rng, bits_max + 1);
    }
    for (size_t i = 0; i < count; i++) {
        unsigned peak = (unsigned)rng_below(rng, peaks);
        uint64_t noise = width[peak] == 0 ? 0 : rng_u64(rng) >> (64 - width[peak]);
        values[i] = (at[peak] ^ noise) & (UINT64_MAX >> (64 - bits_max));
    }
}

Test(number_list, numbers_come_back)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(600); round++) {
        unsigned bits = 1 + (unsigned)rng_below(&rng, 64);
        size_t count = (size_t)rng_below(&rng, rng_chance(&rng, 50) ? 10 : COUNT_MAX);
        fill(&rng, count, bits);
        assert_comes_back(NUMBERS_PLAIN, count);
        assert_comes_back(NUMBERS_ZIGZAG, count);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(number_list, every_class_comes_back)
{
    size_t count = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        values[count++] = UINT64_C(1) << bit;
        values[count++] = (UINT64_C(1) << bit) - 1;
        values[count++] = (UINT64_C(1) << bit) | (UINT64_C(1) << bit) / 3;
    }
    values[count++] = UINT64_MAX;
    for (size_t i = count; i < COUNT_MAX; i++) /* so that the classes are worth their header */
        values[i] = UINT64_C(1) << 40 | i % 2;
    for (size_t n = count; n <= COUNT_MAX; n += COUNT_MAX - count) {
        assert_comes_back(NUMBERS_PLAIN, n);
        assert_comes_back(NUMBERS_ZIGZAG, n);
    }
}

/* Weights like Fibonacci's numbers make Huffman codes as long as they can be. */
Test(number_list, the_longest_codes_come_back)
{
    size_t count = 0;
    for (unsigned class = 0, a = 1, b = 1; class < 16; class ++) {
        for (unsigned n = 0; n < a && count < COUNT_MAX; n++)
            values[count++] = (UINT64_C(1) << class) - (class == 0);
        unsigned sum = a + b;
        a = b;
        b = sum;
    }
    cr_assert_gt(count, 1500);
    assert_comes_back(NUMBERS_PLAIN, count);
}

Test(number_list, small_numbers_come_as_32_bits)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 200; round++) {
        size_t count = 1 + (size_t)rng_below(&rng, COUNT_MAX);
        struct buffer out;
        fill(&rng, count, 1 + (unsigned)rng_below(&rng, 32));
        bool large = rng_chance(&rng, 30);
        if (large)
            values[rng_below(&rng, count)] = UINT64_C(1) << 32;
        buffer_init(&out, 1 << 20, NULL);
        put(&out, NUMBERS_PLAIN, count);
        struct bits_reader r = reader(buffer_bytes(&out));
        number_list_get32(&r, back32, count);
        cr_assert_eq(r.failed, large);
        for (size_t i = 0; i < count && !large; i++)
            cr_assert_eq(back32[i], values[i]);
        buffer_close(&out);
    }
}

/* Two peaks far from zero and from each other: no single order suits both. */
Test(number_list, peaks_cost_little)
{
    for (size_t i = 0; i < 1000; i++)
        values[i] = i % 2 == 0 ? (UINT64_C(1) << 8) + i % 200 : (UINT64_C(1) << 20) + i;
    uint64_t size = number_list_size(NUMBERS_PLAIN, values, 1000);
    cr_assert_lt(size, 1000 * (1 + (8 + 20) / 2) + 200, "%u bits", (unsigned)size);
    for (size_t i = 0; i < 1000; i++)
        values[i] = zigzag_encode(i % 2 == 0 ? 1 << 10 : (1 << 10) + 1); /* never below zero */
    size = number_list_size(NUMBERS_ZIGZAG, values, 1000);
    cr_assert_lt(size, 1000 * 11 + 100, "%u bits", (unsigned)size);
    values[0] = 3;
    cr_assert_lt(number_list_size(NUMBERS_PLAIN, values, 1), 20);
    cr_assert_eq(number_list_size(NUMBERS_PLAIN, values, 0), 0);
}

/* Never a crash, nothing behind the end believed, zeros instead. */
Test(number_list, damage_fails_or_gives_other_numbers)
{
    struct rng rng = test_rng();
    unsigned failed = 0;
    for (unsigned round = 0; round < test_scale(4000); round++) {
        enum number_kind kind = rng_chance(&rng, 50) ? NUMBERS_PLAIN : NUMBERS_ZIGZAG;
        size_t count = 1 + (size_t)rng_below(&rng, 300);
        struct buffer out;
        fill(&rng, count, 1 + (unsigned)rng_below(&rng, 30));
        buffer_init(&out, 1 << 20, NULL);
        put(&out, kind, count);
        for (unsigned hits = (unsigned)rng_below(&rng, 3); hits > 0; hits--)
            out.data[rng_below(&rng, out.len < 30 ? out.len : 30)] ^= (uint8_t)rng_u64(&rng);
        size_t cut = rng_chance(&rng, 50) ? out.len : (size_t)rng_below(&rng, out.len);
        struct bits_reader r = {.in = bytes_first(buffer_bytes(&out), cut), .at = 3};
        r.failed = cut == 0;
        number_list_get(&r, kind, back, count);
        failed += r.failed;
        for (size_t i = 0; i < count && r.failed; i++)
            cr_assert_eq(back[i], 0);
        cr_assert(r.failed || r.at <= 8 * cut);
        buffer_close(&out);
    }
    cr_assert_gt(failed, 100);
}

Test(number_list, codes_that_are_none_are_refused)
{
    static const struct {
        const char *what;
        unsigned low;
        unsigned span;
        unsigned lengths[3];
        bool good;
    } cases[] = {{"two codes of one bit", 3, 2, {1, 1}, true},
                 {"three codes of one bit", 3, 3, {1, 1, 1}, false},
                 {"a code too long", 3, 2, {1, 13}, false},
                 {"a class above the last", 64, 2, {1, 1}, false},
                 {"the last class", 63, 2, {1, 1}, true},
                 {"no code at all", 3, 1, {0}, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out;
        buffer_init(&out, 1 << 10, NULL);
        struct bits_writer w = {.out = &out};
        bits_put(&w, 1, 1);
        bits_put(&w, cases[i].low, 8);
        bits_put(&w, cases[i].span - 1, 8);
        for (unsigned c = 0; c < cases[i].span; c++)
            bits_put(&w, cases[i].lengths[c], 4);
        bits_put(&w, 0, 64);
        bits_put(&w, 0, 64);
        bits_end(&w);
        struct bits_reader r = {.in = buffer_bytes(&out)};
        number_list_get(&r, NUMBERS_PLAIN, back, 1);
        cr_assert_eq(!r.failed, cases[i].good, "%s", cases[i].what);
        buffer_close(&out);
    }
}
