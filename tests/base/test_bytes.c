#include <inttypes.h>

#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

Test(bytes, compare_find_trim_and_cut)
{
    cr_assert(bytes_equal(BYTES(""), (struct bytes){0}));
    cr_assert(!bytes_equal(BYTES("a"), BYTES("b")));
    cr_assert_lt(bytes_compare(BYTES("ab"), BYTES("abc")), 0);
    cr_assert_gt(bytes_compare(BYTES("\xff"), BYTES("a")), 0);
    cr_assert_eq(bytes_compare((struct bytes){0}, BYTES("")), 0);
    cr_assert(bytes_equal(bytes_first(BYTES("abc"), 9), BYTES("abc")));
    cr_assert(bytes_equal(bytes_from(BYTES("abc"), 2), BYTES("c")));
    cr_assert_eq(bytes_from(BYTES("abc"), 4).len, 0);
    cr_assert(bytes_starts_with(BYTES("abc"), BYTES("ab")) &&
              bytes_ends_with(BYTES("abc"), BYTES("bc")));
    cr_assert(!bytes_starts_with(BYTES("a"), BYTES("ab")) &&
              !bytes_ends_with(BYTES("b"), BYTES("ab")));
    cr_assert_eq(bytes_find_byte(BYTES("a;b"), ';'), 1);
    cr_assert_eq(bytes_find_byte((struct bytes){0}, ';'), 0);
    cr_assert(bytes_contains(BYTES("xayb"), BYTES("ay")) && bytes_contains(BYTES(""), BYTES("")));
    cr_assert(!bytes_contains(BYTES("ay"), BYTES("ayb")) &&
              !bytes_contains(BYTES("xx"), BYTES("y")));
    cr_assert(bytes_equal_nocase(BYTES("GZip"), BYTES("gzIP")));
    cr_assert(!bytes_equal_nocase(BYTES("[a"), BYTES("{a")), "only letters have a case");
    cr_assert(bytes_equal(bytes_trim(BYTES(" \t\r\n a b \n")), BYTES("a b")));
    cr_assert_eq(bytes_trim(BYTES(" \n")).len, 0);
}

Test(bytes, to_u64_takes_digits_only_and_stops_at_2_to_64)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", true, 0},     {"007", true, 7},  {"18446744073709551615", true, UINT64_MAX},
        {"", false, 0},     {"-1", false, 0},  {"18446744073709551616", false, 0},
        {"+1", false, 0},   {"1 ", false, 0},  {"99999999999999999999", false, 0},
        {"0x10", false, 0}, {"1e3", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t v = 77;
        cr_assert_eq(bytes_to_u64(bytes_of_text(cases[i].text), &v), cases[i].good, "%s",
                     cases[i].text);
        cr_assert_eq(v, cases[i].good ? cases[i].value : 77, "%s", cases[i].text);
    }
}

/* The definition, written down plainly: decode, then ask. */
static bool is_utf8_plain(struct bytes b)
{
    for (size_t at = 0; at < b.len;) {
        uint8_t c = b.data[at];
        unsigned extra = c < 0x80             ? 0
                         : (c & 0xe0) == 0xc0 ? 1
                         : (c & 0xf0) == 0xe0 ? 2
                         : (c & 0xf8) == 0xf0 ? 3
                                              : 9;
        if (extra == 9 || b.len - at < extra + 1u)
            return false;
        uint32_t code = extra == 0 ? c : c & (0x3fu >> extra);
        for (unsigned i = 1; i <= extra; i++) {
            if ((b.data[at + i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (b.data[at + i] & 0x3f);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (code < least[extra] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        at += extra + 1u;
    }
    return true;
}

Test(bytes, utf8_agrees_with_the_definition)
{
    uint8_t text[4];
    for (uint32_t lead = 0x80; lead < 0x100;
         lead++) /* every lead, every second byte, tails at their edges */
        for (uint32_t second = 0; second < 0x100; second++)
            for (unsigned tail = 0; tail < 16; tail++) {
                static const uint8_t tails[] = {0x7f, 0x80, 0xbf, 0xc0};
                text[0] = (uint8_t)lead;
                text[1] = (uint8_t)second;
                text[2] = tails[tail & 3];
                text[3] = tails[tail >> 2];
                for (size_t len = 1; len <= 4; len++)
                    cr_assert_eq(
                        bytes_is_utf8(bytes_of(text, len)), is_utf8_plain(bytes_of(text, len)),
                        "%02x %02x %02x %02x, %zu bytes", text[0], text[1], text[2], text[3], len);
            }
    cr_assert(bytes_is_utf8((struct bytes){0}));

    struct rng rng = test_rng();
    static const char *const pieces[] = {
        "a", "12345678", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xc3", "\xed\xa0\x80"};
    for (unsigned round = 0; round < test_scale(20000); round++) {
        uint8_t mixed[64];
        size_t len = 0;
        size_t bad = rng_chance(&rng, 50) ? 5 : 7; /* half of them well formed */
        for (unsigned i = 0; i < 12; i++) {
            struct bytes piece = bytes_of_text(pieces[rng_below(&rng, bad)]);
            if (len + piece.len > sizeof(mixed))
                break;
            memcpy(mixed + len, piece.data, piece.len);
            len += piece.len;
        }
        cr_assert_eq(bytes_is_utf8(bytes_of(mixed, len)), is_utf8_plain(bytes_of(mixed, len)));
    }
}

Test(bytes, reader_gives_what_was_put_and_its_failure_sticks)
{
    struct buffer b;
    buffer_init(&b, 1000, NULL);
    buffer_put_u8(&b, 0xfe);
    buffer_put_u16(&b, 0xfedc);
    buffer_put_u32(&b, 0xfedcba98);
    buffer_put_u64(&b, UINT64_C(0xfedcba9876543210));
    buffer_put_varint(&b, 300);
    buffer_put(&b, BYTES("end"));
    cr_assert_eq(b.data[1], 0xdc, "little-endian");

    for (size_t len = 0; len <= b.len; len++) { /* cut at every place */
        struct reader r = reader_of(bytes_of(b.data, len));
        bool whole = len == b.len;
        (void)reader_u8(&r);
        cr_assert(len < 3 || reader_u16(&r) == 0xfedc);
        cr_assert(len < 7 || reader_u32(&r) == 0xfedcba98);
        cr_assert(len < 15 || reader_u64(&r) == UINT64_C(0xfedcba9876543210));
        cr_assert(len < 17 || reader_varint(&r) == 300);
        struct bytes rest = reader_take(&r, len < 17 ? 100 : 3);
        cr_assert_eq(r.failed, !whole);
        cr_assert_eq(rest.len, whole ? 3 : 0);
        cr_assert_eq(reader_left(&r), 0);
        if (!whole) {
            cr_assert_eq(reader_u8(&r), 0);
            cr_assert_eq(reader_u16(&r), 0);
            cr_assert_eq(reader_u32(&r), 0);
            cr_assert_eq(reader_u64(&r), 0);
            cr_assert_eq(reader_varint(&r), 0);
            cr_assert(r.failed);
        }
    }
    struct reader huge = reader_of(BYTES("abc"));
    cr_assert_eq(reader_take(&huge, SIZE_MAX).len, 0);
    cr_assert(huge.failed);
    buffer_close(&b);
}

Test(bytes, varint_and_zigzag_round_trip_and_refuse_what_is_too_long)
{
    struct rng rng = test_rng();
    struct buffer b;
    buffer_init(&b, 100, NULL);
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t v = rng_u64(&rng) >> rng_below(&rng, 64);
        v = round == 0 ? UINT64_MAX : round == 1 ? 0 : v;
        buffer_clear(&b);
        buffer_put_varint(&b, v);
        struct reader r = reader_of(buffer_bytes(&b));
        cr_assert_eq(reader_varint(&r), v);
        cr_assert(!r.failed && reader_left(&r) == 0);
        cr_assert_eq(zigzag_encode(zigzag_decode(v)), v);
    }
    cr_assert_eq(zigzag_encode(-1), 1);
    cr_assert_eq(zigzag_decode(UINT64_MAX), INT64_MIN);
    const struct bytes bad[] = {
        BYTES(""),
        BYTES("\x80"),
        BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct reader r = reader_of(bad[i]);
        cr_assert_eq(reader_varint(&r), 0, "case %zu", i);
        cr_assert(r.failed, "case %zu", i);
    }
    buffer_close(&b);
}
