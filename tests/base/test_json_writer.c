#include <math.h>

#include <criterion/criterion.h>

#include "base/json_writer.h"
#include "tests/support/rng.h"

static struct buffer out;
static struct json_writer w;

static void start(void)
{
    buffer_init(&out, 1 << 20, NULL);
    json_writer_init(&w, &out);
}

static void stop(void)
{
    buffer_close(&out);
    cr_assert_eq(mem_outstanding(), 0);
}

TestSuite(json_writer, .init = start, .fini = stop);

static void assert_written(struct bytes wanted)
{
    cr_assert_eq(out.failed, ERR_OK);
    cr_assert(bytes_equal(buffer_bytes(&out), wanted), "%.*s\nnot\n%.*s", (int)out.len,
              (const char *)out.data, (int)wanted.len, (const char *)wanted.data);
    buffer_clear(&out);
    json_writer_init(&w, &out);
}

Test(json_writer, every_kind_of_value_with_its_commas)
{
    struct uuid id = {{0xab, 0xcd}};
    json_begin_object(&w);
    json_key(&w, "a");
    json_begin_array(&w);
    json_u64(&w, UINT64_MAX);
    json_i64(&w, INT64_MIN);
    json_i64(&w, 7);
    json_bool(&w, true);
    json_bool(&w, false);
    json_null(&w);
    json_double(&w, 0.5);
    json_double(&w, NAN);
    json_double(&w, INFINITY);
    json_uuid(&w, id);
    json_raw(&w, BYTES("{\"x\":1}"));
    json_begin_object(&w);
    json_end_object(&w);
    json_begin_array(&w);
    json_end_array(&w);
    json_text(&w, "t");
    json_end_array(&w);
    json_key_bytes(&w, BYTES("b\""));
    json_begin_object(&w);
    json_key(&w, "c");
    json_u64(&w, 0);
    json_key(&w, "d");
    json_text(&w, "");
    json_end_object(&w);
    json_end_object(&w);
    assert_written(
        BYTES("{\"a\":[18446744073709551615,-9223372036854775808,7,true,false,null,0.5,null,null,"
              "\"abcd0000000000000000000000000000\",{\"x\":1},{},[],\"t\"],"
              "\"b\\\"\":{\"c\":0,\"d\":\"\"}}"));
}

Test(json_writer, text_is_escaped_and_bad_bytes_replaced)
{
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {
        {"", "\"\""},
        {"plain text, long enough for wide steps", "\"plain text, long enough for wide steps\""},
        {"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
        {"\b\t\n\v\f\r\x01\x1f\x7f", "\"\\b\\t\\n\\u000b\\f\\r\\u0001\\u001f\x7f\""},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
         "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"\xff", "\"\xef\xbf\xbd\""},
        {"\xc3", "\"\xef\xbf\xbd\""},
        {"a\xe2\x82", "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"0123456789abcde\"0123456789abcdef\n", "\"0123456789abcde\\\"0123456789abcdef\\n\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_text(&w, cases[i].text);
        assert_written(bytes_of_text(cases[i].json));
    }
    json_string(&w, BYTES("\0"));
    assert_written(BYTES("\"\\u0000\""));
    json_string(&w, (struct bytes){0});
    assert_written(BYTES("\"\""));
}

/* Byte by byte, as the grammar says. */
static void escape_plainly(struct bytes text, struct buffer *to)
{
    buffer_put_u8(to, '"');
    while (text.len > 0) {
        size_t len = bytes_utf8_first(text);
        uint8_t c = text.data[0];
        const char *found = c == 0 || c >= 0x20 ? NULL : strchr("\bb\tt\nn\ff\rr", c);
        if (len == 0)
            buffer_put(to, BYTES("\xef\xbf\xbd"));
        else if (c == '"' || c == '\\')
            buffer_printf(to, "\\%c", c);
        else if (found != NULL)
            buffer_printf(to, "\\%c", found[1]);
        else if (c < 0x20)
            buffer_printf(to, "\\u%04x", c);
        else
            buffer_put(to, bytes_first(text, len));
        text = bytes_from(text, len == 0 ? 1 : len);
    }
    buffer_put_u8(to, '"');
}

Test(json_writer, fast_and_plain_escaping_agree_on_any_bytes)
{
    struct rng rng = test_rng();
    struct buffer wanted;
    buffer_init(&wanted, 4096, NULL);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t text[70];
        size_t len = rng_below(&rng, sizeof(text) + 1);
        for (size_t i = 0; i < len; i++)
            text[i] = rng_chance(&rng, 92) ? (uint8_t)rng_range(&rng, 0x20, 0x7e)
                                           : (uint8_t)rng_u64(&rng);
        buffer_clear(&wanted);
        escape_plainly(bytes_of(text, len), &wanted);
        json_string(&w, bytes_of(text, len));
        assert_written(buffer_bytes(&wanted));
    }
    buffer_close(&wanted);
}

Test(json_writer, seconds_have_exactly_the_digits_needed)
{
    static const struct {
        int64_t ns;
        const char *json;
    } cases[] = {
        {1795336832362842600, "1795336832.3628426"},
        {0, "0"},
        {1, "0.000000001"},
        {-1, "-0.000000001"},
        {1000000000, "1"},
        {-1500000000, "-1.5"},
        {INT64_MAX, "9223372036.854775807"},
        {INT64_MIN, "-9223372036.854775808"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_seconds(&w, cases[i].ns);
        assert_written(bytes_of_text(cases[i].json));
    }
}

Test(json_writer, depth_64_is_reached_and_levels_keep_their_kind)
{
    for (unsigned i = 0; i < JSON_WRITER_DEPTH_MAX; i++) {
        if (i % 2 == 0) {
            json_begin_array(&w);
        } else {
            json_begin_object(&w);
            json_key(&w, "k");
        }
    }
    json_null(&w);
    for (unsigned i = JSON_WRITER_DEPTH_MAX; i-- > 0;) {
        if (i % 2 == 0)
            json_end_array(&w);
        else
            json_end_object(&w);
    }
    cr_assert_eq(w.depth, 0);
    cr_assert_eq(out.len, 64u * 2 + 32 * 4 + 4);
}

Test(json_writer, a_full_buffer_fails_once_for_all)
{
    buffer_close(&out);
    buffer_init(&out, 10, NULL);
    json_begin_array(&w);
    for (unsigned i = 0; i < 100; i++)
        json_u64(&w, i);
    json_end_array(&w);
    cr_assert_eq(out.failed, ERR_LIMIT);
    cr_assert_leq(out.len, 10);
}
