#include <stdlib.h>

#include <criterion/criterion.h>

#include "storage/bits.h"
#include "tests/support/rng.h"

#define COUNT 300

enum style {
    STYLE_SMALL,
    STYLE_SKEWED,
    STYLE_ONES, /* the longest of their length: their codes carry */
    STYLE_FAR,  /* small ones and now and then a huge one */
    STYLE_WILD,
    STYLE_COUNT
};

static uint64_t value_of(struct rng *rng, enum style style)
{
    unsigned shift = (unsigned)rng_below(rng, 64);
    switch (style) {
    case STYLE_SMALL: return rng_below(rng, 4);
    case STYLE_SKEWED: return rng_u64(rng) >> (40 + shift % 24);
    case STYLE_ONES: return (UINT64_MAX >> shift) - rng_below(rng, 2);
    case STYLE_FAR: return rng_chance(rng, 5) ? rng_u64(rng) >> shift : rng_below(rng, 300);
    default: return rng_chance(rng, 10) ? UINT64_MAX : rng_u64(rng);
    }
}

static size_t fill(struct rng *rng, enum style style, uint64_t *values)
{
    size_t count = (size_t)rng_below(rng, rng_chance(rng, 50) ? 10 : COUNT + 1);
    for (size_t i = 0; i < count; i++)
        values[i] = value_of(rng, style);
    return count;
}

/* A copy of exactly these bytes: the sanitizer sees a look behind their end. */
static struct bytes exact_copy(struct bytes b)
{
    uint8_t *copy = malloc(b.len);
    cr_assert(copy != NULL || b.len == 0);
    if (b.len > 0)
        memcpy(copy, b.data, b.len);
    return bytes_of(copy, b.len);
}

static void free_copy(struct bytes b)
{
    free((void *)(uintptr_t)b.data);
}

/* What the header says of a code, one character a bit. */
static size_t write_plainly(uint64_t value, unsigned order, char *to)
{
    unsigned __int128 sum = (unsigned __int128)value + (UINT64_C(1) << order);
    unsigned length = 0;
    size_t size = 0;
    while (sum >> length != 0)
        length++;
    for (unsigned i = order + 1; i < length; i++)
        to[size++] = '0';
    to[size++] = '1';
    for (unsigned i = 0; i + 1 < length; i++)
        to[size++] = (sum >> i & 1) != 0 ? '1' : '0';
    return size;
}

Test(bits, a_code_is_what_the_header_says)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 20000; round++) {
        char plain[160];
        struct buffer out;
        buffer_init(&out, 1 << 10, NULL);
        struct bits_writer w = {.out = &out};
        unsigned before = (unsigned)rng_below(&rng, 64);
        unsigned order = (unsigned)rng_below(&rng, BITS_ORDER_MAX + 1);
        uint64_t value = value_of(&rng, (enum style)(round % STYLE_COUNT));
        bits_put(&w, 0, before);
        bits_put_golomb(&w, value, order);
        bits_end(&w);
        size_t size = write_plainly(value, order, plain);
        cr_assert_eq(bits_golomb_size(value, order), size);
        cr_assert_eq(out.len, (before + size + 7) / 8);
        for (size_t i = 0; i < out.len * 8; i++) {
            bool one = i >= before && i < before + size && plain[i - before] == '1';
            cr_assert_eq(out.data[i / 8] >> (i % 8) & 1, one, "bit %zu", i);
        }
        buffer_close(&out);
    }
}

Test(bits, a_list_is_these_bytes)
{
    const uint64_t values[] = {0, 1, 2, 3, 4};
    struct buffer out;
    buffer_init(&out, 64, NULL);
    struct bits_writer w = {.out = &out};
    bits_put_list(&w, values, 5); /* order 1 (100000), 10, 11, 0100, 0110, 0101 */
    bits_end(&w);
    const uint8_t expected[] = {0x41, 0x8b, 0x29};
    cr_assert_eq(bits_best_order(values, 5), 1);
    cr_assert(bytes_equal(buffer_bytes(&out), bytes_of(expected, sizeof expected)));
    buffer_close(&out);
}

Test(bits, lists_come_back_and_short_ones_fail)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 1500; round++) {
        uint64_t first[COUNT], second[COUNT], back[COUNT];
        uint32_t back32[COUNT];
        size_t first_count = fill(&rng, (enum style)(round % STYLE_COUNT), first);
        size_t second_count = fill(&rng, STYLE_FAR, second);
        for (size_t i = 0; i < second_count; i++)
            second[i] &= UINT32_MAX;
        struct buffer out;
        buffer_init(&out, 1 << 20, NULL);
        struct bits_writer w = {.out = &out};
        bits_put_list(&w, first, first_count);
        bits_put_list(&w, second, second_count);
        bits_end(&w);
        buffer_put(&out, BYTES("rest"));

        struct bits_reader r = {.in = buffer_bytes(&out)};
        bits_get_list(&r, back, first_count);
        bits_get_list32(&r, back32, second_count);
        cr_assert_not(r.failed);
        for (size_t i = 0; i < first_count; i++)
            cr_assert_eq(back[i], first[i], "item %zu of %zu", i, first_count);
        for (size_t i = 0; i < second_count; i++)
            cr_assert_eq(back32[i], second[i], "item %zu of %zu", i, second_count);
        cr_assert(bytes_equal(bits_rest(&r), BYTES("rest")));
        cr_assert_eq(bits_left(&r), 32);

        for (size_t len = 0; len < out.len - 4; len += 1 + len / 16) {
            struct bytes cut = exact_copy(bytes_first(buffer_bytes(&out), len));
            r = (struct bits_reader){.in = cut};
            bits_get_list(&r, back, first_count);
            bool first_failed = r.failed;
            bits_get_list32(&r, back32, second_count);
            cr_assert(r.failed, "%zu of %zu bytes", len, out.len);
            cr_assert(!first_failed || first_count == 0 || back[first_count - 1] == 0);
            cr_assert(second_count == 0 || back32[second_count - 1] == 0);
            cr_assert(bits_left(&r) == 0 && bits_get(&r, 1) == 0 && bits_rest(&r).len == 0);
            free_copy(cut);
        }
        buffer_close(&out);
    }
}

Test(bits, no_other_order_makes_a_list_shorter)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 2000; round++) {
        uint64_t values[COUNT];
        size_t count = fill(&rng, (enum style)(round % STYLE_COUNT), values);
        uint64_t least = UINT64_MAX;
        uint64_t chosen = 0;
        unsigned best = bits_best_order(values, count);
        for (unsigned order = 0; order <= BITS_ORDER_MAX; order++) {
            uint64_t size = 0;
            for (size_t i = 0; i < count; i++)
                size += bits_golomb_size(values[i], order);
            least = size < least ? size : least;
            chosen = order == best ? size : chosen;
        }
        cr_assert_eq(chosen, least, "order %u of %zu numbers", best, count);
    }
    const uint64_t zeros[] = {0, 0};
    cr_assert_eq(bits_best_order(zeros, 2), 0);
    cr_assert_eq(bits_best_order(NULL, 0), 0);
}

Test(bits, numbers_of_any_width_come_back)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 500; round++) {
        uint64_t values[COUNT];
        unsigned widths[COUNT];
        size_t count = 1 + (size_t)rng_below(&rng, COUNT);
        struct buffer out;
        buffer_init(&out, 1 << 20, NULL);
        struct bits_writer w = {.out = &out};
        uint64_t size = 0;
        for (size_t i = 0; i < count; i++) {
            widths[i] = (unsigned)rng_below(&rng, 65);
            values[i] = widths[i] == 0 ? 0 : rng_u64(&rng) >> (64 - widths[i]);
            bits_put(&w, values[i], widths[i]);
            size += widths[i];
        }
        bits_end(&w);
        cr_assert_eq(out.len, (size + 7) / 8);
        struct bytes copy = exact_copy(buffer_bytes(&out));
        struct bits_reader r = {.in = copy};
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(bits_get(&r, widths[i]), values[i], "item %zu", i);
        cr_assert_eq(r.at, size);
        cr_assert(!r.failed && bits_rest(&r).len == 0 && !r.failed && bits_left(&r) == 0);
        cr_assert(bits_get(&r, 0) == 0 && !r.failed);
        cr_assert(bits_get(&r, 1) == 0 && r.failed);
        free_copy(copy);
        buffer_close(&out);
    }
}

Test(bits, bits_passed_over_must_be_zero)
{
    const uint8_t bytes[] = {0x05, 0x80};
    struct bits_reader r = {.in = bytes_of(bytes, 2)};
    cr_assert_eq(bits_get(&r, 3), 5);
    cr_assert_eq(bits_rest(&r).len, 1);
    cr_assert_eq(bits_rest(&r).len, 1, "a whole byte already");
    cr_assert_eq(bits_get(&r, 7), 0);
    cr_assert_eq(bits_rest(&r).len, 0);
    cr_assert(r.failed);
}

/* `zeros`, a one, and 64 bits whose value is `bits`. */
static enum err read_code(unsigned zeros, uint64_t bits, unsigned order, uint64_t *ret)
{
    struct buffer out;
    buffer_init(&out, 1 << 10, NULL);
    struct bits_writer w = {.out = &out};
    bits_put(&w, 0, zeros / 2);
    bits_put(&w, 0, zeros - zeros / 2);
    bits_put(&w, 1, 1);
    bits_put(&w, bits, 64);
    bits_put(&w, 1, 1);
    bits_end(&w);
    struct bits_reader r = {.in = buffer_bytes(&out)};
    *ret = bits_get_golomb(&r, order);
    cr_assert(!r.failed || *ret == 0);
    buffer_close(&out);
    return r.failed ? ERR_CORRUPT : ERR_OK;
}

Test(bits, refuses_codes_beyond_64_bits)
{
    for (unsigned order = 0; order <= BITS_ORDER_MAX; order++) {
        uint64_t bias = UINT64_C(1) << order;
        uint64_t got;
        cr_assert_eq(read_code(64 - order, 0, order, &got), ERR_OK);
        cr_assert_eq(got, 0 - bias);
        cr_assert_eq(read_code(64 - order, bias - 1, order, &got), ERR_OK);
        cr_assert_eq(got, UINT64_MAX);
        cr_assert_eq(read_code(64 - order, bias, order, &got), ERR_CORRUPT, "order %u", order);
        cr_assert_eq(read_code(65 - order, 0, order, &got), ERR_CORRUPT, "order %u", order);
        cr_assert_eq(read_code(125, 0, order, &got), ERR_CORRUPT, "order %u", order);
    }
}

Test(bits, refuses_more_than_32_bits_where_32_are_wanted)
{
    static const struct {
        uint64_t value;
        bool fails;
    } cases[] = {{UINT32_MAX, false}, {(uint64_t)UINT32_MAX + 1, true}, {UINT64_MAX, true}};
    for (size_t i = 0; i < 3; i++) {
        uint64_t values[] = {7, cases[i].value, 7};
        uint32_t back[] = {1, 1, 1};
        struct buffer out;
        buffer_init(&out, 1 << 10, NULL);
        struct bits_writer w = {.out = &out};
        bits_put_list(&w, values, 3);
        bits_end(&w);
        struct bits_reader r = {.in = buffer_bytes(&out)};
        bits_get_list32(&r, back, 3);
        cr_assert_eq(r.failed, cases[i].fails, "case %zu", i);
        cr_assert_eq(back[0], 7);
        cr_assert_eq(back[1], cases[i].fails ? 0 : UINT32_MAX);
        cr_assert_eq(back[2], cases[i].fails ? 0 : 7);
        buffer_close(&out);
    }
}

Test(bits, any_bytes_are_read_within_their_end)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t noise[64];
        uint64_t values[40];
        uint32_t values32[40];
        rng_bytes(&rng, noise, sizeof noise);
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] &= rng_chance(&rng, round % 100) ? 0 : 0xff; /* long runs of zeros too */
        struct bytes copy = exact_copy(bytes_of(noise, (size_t)rng_below(&rng, 65)));
        struct bits_reader r = {.in = copy};
        while (!r.failed) {
            switch (rng_below(&rng, 5)) {
            case 0: (void)bits_get(&r, (unsigned)rng_below(&rng, 65)); break;
            case 1: (void)bits_get_golomb(&r, (unsigned)rng_below(&rng, 64)); break;
            case 2: bits_get_list(&r, values, (size_t)rng_below(&rng, 40)); break;
            case 3: bits_get_list32(&r, values32, (size_t)rng_below(&rng, 40)); break;
            default: (void)bits_rest(&r);
            }
            cr_assert_leq(r.at, copy.len * 8);
            if (bits_left(&r) == 0)
                (void)bits_get(&r, 1);
        }
        free_copy(copy);
    }
}

Test(bits, a_full_buffer_says_so)
{
    struct buffer out;
    buffer_init(&out, 15, NULL);
    struct bits_writer w = {.out = &out};
    bits_put(&w, 1, 64);
    cr_assert_eq(out.failed, ERR_OK);
    bits_put(&w, 1, 64);
    bits_end(&w);
    cr_assert_eq(out.failed, ERR_LIMIT);
    buffer_close(&out);
}
