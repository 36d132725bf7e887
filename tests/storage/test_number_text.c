#include <stdio.h>

#include <criterion/criterion.h>

#include "storage/number_text.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

static struct arena arena;

struct outcome {
    bool any;
    struct bytes without;
    size_t series;
    size_t bits_len;
    struct bytes bits;
};

/* Apart, as bits, and together again. */
static struct outcome check(struct bytes text)
{
    struct outcome o = {0};
    struct number_text t, back;
    struct buffer out;
    struct bits_writer w = {.out = &out};
    struct bytes joined = {0};
    struct errinfo info = {0};
    cr_assert_eq(number_text_split(text, &arena, &t, &o.any), ERR_OK);
    if (!o.any)
        return o;
    buffer_init(&out, 1 << 24, NULL);
    cr_assert_eq(number_text_put(&w, &t, &arena), ERR_OK);
    bits_put(&w, 1, 1);
    bits_end(&w);
    o.bits = arena_copy(&arena, buffer_bytes(&out));
    o.bits_len = out.len;
    buffer_close(&out);
    struct bits_reader r = {.in = o.bits};
    cr_assert_eq(number_text_get(&r, &arena, &back, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(bits_get(&r, 1), 1);
    back.without = t.without;
    cr_assert_eq(number_text_join(&back, &arena, &joined, &info), ERR_OK, "%s", info.text);
    cr_assert(bytes_equal(joined, text), "%.*s", (int)joined.len, (const char *)joined.data);
    o.without = t.without;
    o.series = t.count;
    return o;
}

Test(number_text, numbers_are_taken_out_where_they_are_written_shortest)
{
    static const struct {
        const char *text;
        const char *without; /* '#' for each number; NULL: nothing is taken out */
    } cases[] = {
        {"", NULL},
        {"{}", NULL},
        {"{\"a\":true,\"b\":null}", NULL},
        {"5", "#"},
        {"[0,1,-1,0.5,-0.5,10]", "[#,#,#,#,#,#]"},
        {"[00,01,-0,1.0,1.,.5,-,+1,1e5,1E5,1e-5,1.5e3,--1,1-1,1.2.3]", NULL},
        {"[4611686018427387893]", "[#]"},
        {"[4611686018427387904,9999999999999999999999]", NULL},
        {"[0.000000000000000001,1.000000000000000001]", "[#,#]"},
        {"[0.0000000000000000001]", NULL},
        {"{\"a1\":\"2\",\"b\\\"3\":4}", "{\"a1\":\"2\",\"b\\\"3\":#}"},
        {"\"ends in 5", NULL},
        {"\"ends in \\", NULL},
        {"[1 ,2\t]", "[# ,#\t]"},
    };
    arena_init(&arena, 1 << 20, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outcome o = check(bytes_of_text(cases[i].text));
        cr_assert_eq(o.any, cases[i].without != NULL, "%s", cases[i].text);
        if (!o.any)
            continue;
        char seen[64] = {0};
        memcpy(seen, o.without.data, o.without.len);
        for (size_t k = 0; k < o.without.len; k++)
            seen[k] = seen[k] == 1 ? '#' : seen[k];
        cr_assert_str_eq(seen, cases[i].without);
    }
    cr_assert(!check(bytes_of("[1,\x01]", 5)).any); /* the byte that stands for a number */
    arena_close(&arena);
    cr_assert_eq(mem_outstanding(), 0);
}

static struct bytes readings(struct rng *rng, unsigned count)
{
    struct buffer out;
    double at = 1795337187416;
    buffer_init(&out, 1 << 20, NULL);
    buffer_put(&out, BYTES("{\"memory\":{\"unit\":\"byte\",\"values\":["));
    for (unsigned kind = 0; kind < 2; kind++) {
        for (unsigned i = 0; i < count; i++) {
            at += 100 + (double)rng_below(rng, 16) / 16;
            buffer_printf(&out, "%s{\"value\":", i == 0 ? "" : ",");
            if (kind == 0)
                buffer_printf(&out, "%u", 40000000 + (unsigned)rng_below(rng, 65536));
            else
                buffer_printf(&out, "0.4392%u1", 100000 + (unsigned)rng_below(rng, 65536));
            buffer_printf(&out, ",\"timestamp\":%.15g}", at);
        }
        if (kind == 0)
            buffer_put(&out, BYTES("]},\"processor\":{\"values\":["));
    }
    buffer_put(&out, BYTES("]}}"));
    struct bytes text = arena_copy(&arena, buffer_bytes(&out));
    buffer_close(&out);
    return text;
}

/* Each kind of reading is a series of its own, near its neighbours. */
Test(number_text, readings_cost_their_noise)
{
    struct rng rng = test_rng();
    arena_init(&arena, 16 << 20, NULL);
    struct bytes text = readings(&rng, 300);
    struct outcome o = check(text);
    cr_assert(o.any);
    /* 300 of each: 17 bits the first kind, 21 the second, 5 a time: five bits a digit are seen */
    cr_assert_lt(o.bits_len, 300 * (18 + 22 + 2 * 9) / 8, "%zu of %zu bytes", o.bits_len, text.len);
    cr_assert_lt(o.series, 10);
    struct bytes other = readings(&rng, 300);
    cr_assert(!bytes_equal(text, other));
    cr_assert(bytes_equal(check(other).without, o.without)); /* what can be shared */
    arena_close(&arena);
}

static struct bytes random_text(struct rng *rng)
{
    static const char *const pieces[] = {
        "{\"a\":", ",", "\"",  "\\",         "[",          "]",    "0",        "12",
        "-",       ".", "5",   "e",          " ",          "true", "\"s 1 \"", "1.5",
        "-0.25",   ":", "100", "9999999999", "0.00000012", "}",    "\x01",     "\xff"};
    struct buffer out;
    buffer_init(&out, 1 << 16, NULL);
    for (size_t n = (size_t)rng_below(rng, 60); n > 0; n--) {
        size_t piece = (size_t)rng_below(rng, sizeof pieces / sizeof pieces[0]);
        if (piece < 22 || rng_chance(rng, 2)) /* else hardly any text could be taken apart */
            buffer_put(&out, bytes_of_text(pieces[piece]));
    }
    struct bytes text = arena_copy(&arena, buffer_bytes(&out));
    buffer_close(&out);
    return text;
}

Test(number_text, any_text_comes_back)
{
    struct rng rng = test_rng();
    unsigned taken = 0;
    for (unsigned round = 0; round < test_scale(3000); round++) {
        arena_init(&arena, 1 << 20, NULL);
        taken += check(random_text(&rng)).any;
        arena_close(&arena);
    }
    cr_assert_gt(taken, 100);
}

Test(number_text, large_texts_are_left_alone)
{
    bool any = true;
    struct number_text t;
    arena_init(&arena, 64 << 20, NULL);
    uint8_t *text = ARENA_ARRAY(&arena, NUMBER_TEXT_MAX + 1, uint8_t);
    for (size_t i = 0; i <= NUMBER_TEXT_MAX; i++)
        text[i] = i % 2 == 0 ? '1' : ',';
    cr_assert(check(bytes_of(text, NUMBER_TEXT_MAX)).any);
    cr_assert_eq(number_text_split(bytes_of(text, NUMBER_TEXT_MAX + 1), &arena, &t, &any), ERR_OK);
    cr_assert(!any);
    arena_close(&arena);
}

Test(number_text, damage_is_refused_or_gives_some_text)
{
    struct rng rng = test_rng();
    unsigned refused = 0;
    for (unsigned round = 0; round < test_scale(2000); round++) {
        struct number_text t;
        struct bytes joined = {0};
        arena_init(&arena, 4 << 20, NULL);
        struct outcome o = check(readings(&rng, 1 + (unsigned)rng_below(&rng, 20)));
        uint8_t *bad = ARENA_ARRAY(&arena, o.bits.len, uint8_t);
        memcpy(bad, o.bits.data, o.bits.len);
        bad[rng_below(&rng, o.bits.len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        struct bits_reader r = {.in = bytes_of(bad, o.bits.len)};
        enum err rc = number_text_get(&r, &arena, &t, NULL);
        t.without = o.without;
        if (rc == ERR_OK)
            rc = number_text_join(&t, &arena, &joined, NULL);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_LIMIT);
        refused += rc != ERR_OK;
        arena_close(&arena);
    }
    cr_assert_gt(refused, 100);
}

Test(number_text, series_of_another_text_are_refused)
{
    static const char *const others[] = {"{}", "\x01", "[\x01,\x01,\x01]", "[\x01,\x01,\x01,\x01]"};
    struct number_text t;
    struct bytes joined;
    bool any;
    struct errinfo info = {0};
    arena_init(&arena, 1 << 20, NULL);
    cr_assert_eq(number_text_split(BYTES("[1,2,3]"), &arena, &t, &any), ERR_OK);
    for (size_t i = 0; i < 4; i++) {
        t.without = bytes_of_text(others[i]);
        cr_assert_eq(number_text_join(&t, &arena, &joined, &info), i == 2 ? ERR_OK : ERR_CORRUPT);
    }
    cr_assert_str_eq(info.text, "block: numbers do not fit their text");
    arena_close(&arena);
}
