#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/json_reader.h"
#include "tests/support/file.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#ifdef HEARTH_HAVE_YYJSON
#include <yyjson.h>
#endif

struct fixture {
    struct json_reader r;
    struct buffer scratch;
    struct errinfo info;
    uint8_t *copy; /* exactly as long as the text: one byte too far is seen */
};

static void fixture_open(struct fixture *f, struct bytes text)
{
    f->copy = malloc(text.len == 0 ? 1 : text.len);
    cr_assert_not_null(f->copy);
    if (text.len > 0)
        memcpy(f->copy, text.data, text.len);
    buffer_init(&f->scratch, MIB(64), NULL);
    f->info.text[0] = 0;
    json_reader_init(&f->r, bytes_of(f->copy, text.len), &f->scratch, &f->info);
}

static void fixture_close(struct fixture *f)
{
    buffer_close(&f->scratch);
    free(f->copy);
}

static enum err skip_all(struct bytes text, struct errinfo *info)
{
    struct fixture f;
    fixture_open(&f, text);
    json_skip(&f.r);
    enum err rc = json_end(&f.r);
    *info = f.info;
    fixture_close(&f);
    return rc;
}

Test(json_reader, takes_what_the_grammar_has_and_says_where_it_ends)
{
    static const char *good[] = {"{}",
                                 "[]",
                                 " [ ] ",
                                 "null",
                                 "true",
                                 "false",
                                 "0",
                                 "-0",
                                 "-1",
                                 "10",
                                 "1.5",
                                 "1e5",
                                 "1E+5",
                                 "1.25e-7",
                                 "\"\"",
                                 "\"a\"",
                                 "[1,2]",
                                 "[[],{}]",
                                 "{\"a\":1}",
                                 "{\"a\":{\"b\":[null]}}",
                                 "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\"",
                                 "\"\\ud83d\\ude00\"",
                                 "\"\\ud83d\"",
                                 "\"0123456789abcdef0123456789abcdef\"",
                                 "\t\r\n{ \"a\" : [ 1 , 2 ] } \n",
                                 "\"\xc3\xa4\"",
                                 "{\"a\":1,\"a\":2}",
                                 "123456789012345678901234567890"};
    static const struct {
        const char *text;
        const char *where;
    } bad[] = {{"", "offset 0:"},
               {" ", "offset 1:"},
               {"{", "offset 1:"},
               {"[", "offset 1:"},
               {"[1", "offset 2:"},
               {"[1,", "offset 3:"},
               {"[1,]", "offset 3:"},
               {"[,1]", "offset 1:"},
               {"[1 2]", "offset 3:"},
               {"{\"a\"}", "offset 4:"},
               {"{\"a\":}", "offset 5:"},
               {"{\"a\":1,}", "offset 7:"},
               {"{a:1}", "offset 1:"},
               {"{1:1}", "offset 1:"},
               {"[1}", "offset 2:"},
               {"{\"a\":1]", "offset 6:"},
               {"01", "offset 1:"},
               {"-", "offset 1:"},
               {"+1", "offset 0:"},
               {".5", "offset 0:"},
               {"1.", "offset 2:"},
               {"1e", "offset 2:"},
               {"1e+", "offset 3:"},
               {"-01", "offset 2:"},
               {"NaN", "offset 0:"},
               {"Infinity", "offset 0:"},
               {"nul", "offset 0:"},
               {"nulL", "offset 0:"},
               {"tru", "offset 0:"},
               {"truE", "offset 0:"},
               {"falsy", "offset 0:"},
               {"\"", "offset 1:"},
               {"\"a", "offset 2:"},
               {"\"\\", "offset 1:"},
               {"\"\\x\"", "offset 1:"},
               {"\"\\u12\"", "offset 3:"},
               {"\"\\u12g4\"", "offset 3:"},
               {"\"\n\"", "offset 1:"},
               {"\"a\tb\"", "offset 2:"},
               {"{} {}", "offset 3:"},
               {"1 1", "offset 2:"},
               {"\xef\xbb\xbf{}", "offset 0:"},
               {"\"\xff\"", "offset 1:"},
               {"\"\xc3\"", "offset 1:"},
               {"\"\xed\xa0\x80\"", "offset 1:"},
               {"\"\xc0\xaf\"", "offset 1:"},
               {"{\"\xff\":1}", "offset 2:"},
               {"[\xc3\xa4]", "offset 1:"},
               {"'a'", "offset 0:"},
               {"//x\n1", "offset 0:"}};
    struct errinfo info;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect_eq(skip_all(bytes_of_text(good[i]), &info), ERR_OK, "%s: %s", good[i], info.text);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_eq(skip_all(bytes_of_text(bad[i].text), &info), ERR_MALFORMED, "%s", bad[i].text);
        cr_expect(strstr(info.text, bad[i].where) == info.text && strstr(info.text, "expected"),
                  "%s: %s, not %s", bad[i].text, info.text, bad[i].where);
    }
    cr_expect_eq(skip_all(bytes_of("\"a\0b\"", 5), &info), ERR_MALFORMED);
}

Test(json_reader, nests_to_its_depth_and_no_deeper)
{
    char text[2 * (JSON_DEPTH_MAX + 1) + 1];
    struct errinfo info;
    for (unsigned depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        enum err wanted = depth <= JSON_DEPTH_MAX ? ERR_OK : ERR_MALFORMED;
        cr_expect_eq(skip_all(bytes_of(text, 2 * (size_t)depth), &info), wanted, "depth %u", depth);
    }
    size_t deep = 100000;
    char *open = malloc(deep);
    memset(open, '[', deep);
    cr_expect_eq(skip_all(bytes_of(open, deep), &info), ERR_MALFORMED);
    cr_expect_not_null(strstr(info.text, "fewer nested levels"));
    free(open);
}

Test(json_reader, integers_are_exact_or_refused)
{
    static const struct {
        const char *text;
        bool u64, i64, u32;
        uint64_t value;
    } cases[] = {{"0", true, true, true, 0},
                 {"7 ", true, true, true, 7},
                 {"4294967295", true, true, true, UINT32_MAX},
                 {"4294967296", true, true, false, UINT64_C(4294967296)},
                 {"9223372036854775807", true, true, false, INT64_MAX},
                 {"9223372036854775808", true, false, false, UINT64_C(9223372036854775808)},
                 {"18446744073709551615", true, false, false, UINT64_MAX},
                 {"18446744073709551616", false, false, false, 0},
                 {"99999999999999999999999", false, false, false, 0},
                 {"-1", false, true, false, (uint64_t)-1},
                 {"-9223372036854775808", false, true, false, (uint64_t)INT64_MIN},
                 {"-9223372036854775809", false, false, false, 0},
                 {"1.0", false, false, false, 0},
                 {"1e3", false, false, false, 0},
                 {"01", false, false, false, 0},
                 {"\"1\"", false, false, false, 0},
                 {"null", false, false, false, 0},
                 {"", false, false, false, 0},
                 {"-", false, false, false, 0},
                 {"- 1", false, false, false, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        struct bytes text = bytes_of_text(cases[i].text);
        fixture_open(&f, text);
        uint64_t u64 = json_read_u64(&f.r);
        cr_expect_eq(json_end(&f.r) == ERR_OK, cases[i].u64, "u64 %s", cases[i].text);
        cr_expect(!cases[i].u64 || u64 == cases[i].value);
        fixture_close(&f);
        fixture_open(&f, text);
        int64_t i64 = json_read_i64(&f.r);
        cr_expect_eq(json_end(&f.r) == ERR_OK, cases[i].i64, "i64 %s", cases[i].text);
        cr_expect(!cases[i].i64 || i64 == (int64_t)cases[i].value);
        fixture_close(&f);
        fixture_open(&f, text);
        uint32_t u32 = json_read_u32(&f.r);
        cr_expect_eq(json_end(&f.r) == ERR_OK, cases[i].u32, "u32 %s", cases[i].text);
        cr_expect(!cases[i].u32 || u32 == cases[i].value);
        fixture_close(&f);
    }
}

Test(json_reader, reads_strings_as_views_and_escapes_into_the_scratch)
{
    static const struct {
        const char *text;
        const char *value;
    } cases[] = {
        {"\"plain\"", "plain"},
        {"\"\\u0041\\u00e4\\u20ac\\ud83d\\ude00\"", "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"x\\ud83dy\"", "x\xef\xbf\xbdy"},
        {"\"\\ude00\"", "\xef\xbf\xbd"},
        {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\"GET \\/page\"", "GET /page"},
        {"\"0123456789abcdef\\n0123456789abcdef0\"", "0123456789abcdef\n0123456789abcdef0"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        fixture_open(&f, bytes_of_text(cases[i].text));
        struct bytes value = json_read_string(&f.r);
        bool view = value.data >= f.copy && value.data < f.copy + strlen(cases[i].text);
        cr_expect(bytes_equal(value, bytes_of_text(cases[i].value)), "%s", cases[i].text);
        cr_expect_eq(view, strchr(cases[i].text, '\\') == NULL);
        cr_expect_eq(json_end(&f.r), ERR_OK);
        fixture_close(&f);
    }
    /* a scratch too small is a limit, not damage */
    struct fixture f;
    fixture_open(&f, BYTES("\"0123456789abcdef0123456789abcdef\\n\""));
    f.scratch.max = 8;
    json_read_string(&f.r);
    cr_expect_eq(json_end(&f.r), ERR_LIMIT);
    fixture_close(&f);
}

Test(json_reader, keys_come_in_any_order_and_with_escapes)
{
    static const struct bytes names[] = {BYTES("a"), BYTES("bb"), BYTES("ccc")};
    static const char text[] = "[{\"a\":1,\"bb\":2,\"ccc\":3},{\"a\":1,\"bb\":2,\"ccc\":3},"
                               "{\"ccc\":3,\"x\":[{}],\"a\":1},{\"\\u0062b\" : 2, \"aa\":0},{},"
                               "{\"ccc\":3,\"a\":1}]";
    static const char *wanted = "abc;abc;c?a;b?;;ca;";
    char got[64];
    size_t len = 0;
    struct fixture f;
    struct json_keys keys;
    int key;
    json_keys_init(&keys, names, 3);
    fixture_open(&f, bytes_of_text(text));
    json_enter_array(&f.r);
    while (json_next_element(&f.r)) {
        json_enter_keys(&f.r, &keys);
        while (json_next_key(&f.r, &keys, &key)) {
            got[len++] = key < 0 ? '?' : "abc"[key];
            if (key < 0)
                json_skip(&f.r);
            else
                cr_expect_eq(json_read_u64(&f.r), (uint64_t)key + 1);
        }
        got[len++] = ';';
    }
    got[len] = 0;
    cr_expect_eq(json_end(&f.r), ERR_OK, "%s", f.info.text);
    cr_expect_str_eq(got, wanted);
    fixture_close(&f);
}

Test(json_reader, a_failure_sticks_and_keeps_its_first_place)
{
    struct fixture f;
    fixture_open(&f, BYTES("{\"a\":tru,\"b\":[1,2"));
    struct bytes name;
    json_enter_object(&f.r);
    cr_expect(json_next_member(&f.r, &name));
    cr_expect_not(json_read_bool(&f.r));
    cr_expect_not(json_next_member(&f.r, &name));
    cr_expect_eq(json_read_u64(&f.r), 0);
    cr_expect_eq(json_read_string(&f.r).len, 0);
    cr_expect_eq(json_skip(&f.r).len, 0);
    cr_expect_eq(json_peek(&f.r), JSON_NONE);
    cr_expect_eq(json_end(&f.r), ERR_MALFORMED);
    cr_expect_str_eq(f.info.text, "offset 5: expected true or false");
    fixture_close(&f);
    struct bytes object = BYTES("{\"a\":{\"b\":1},\"b\": [2] ,\"c\":null}");
    cr_expect(bytes_equal(json_find(object, "b"), BYTES("[2]")));
    cr_expect_null(json_find(object, "d").data);
    cr_expect_null(json_find(BYTES("[]"), "d").data);
}

#ifdef HEARTH_HAVE_YYJSON
static void assert_same(struct json_reader *r, yyjson_val *v, const char *what);

static void assert_same_object(struct json_reader *r, yyjson_val *v, const char *what)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(v);
    struct bytes name;
    json_enter_object(r);
    while (json_next_member(r, &name)) {
        yyjson_val *key = yyjson_obj_iter_next(&it);
        cr_assert_not_null(key, "%s: more members", what);
        cr_assert(bytes_equal(name, bytes_of(yyjson_get_str(key), yyjson_get_len(key))), "%s",
                  what);
        assert_same(r, yyjson_obj_iter_get_val(key), what);
    }
    cr_assert_not(yyjson_obj_iter_has_next(&it), "%s: fewer members", what);
}

static void assert_same(struct json_reader *r, yyjson_val *v, const char *what)
{
    enum json_type type = json_peek(r);
    size_t i = 0;
    switch (type) {
    case JSON_NULL: cr_assert(json_take_null(r) && yyjson_is_null(v), "%s", what); break;
    case JSON_TRUE:
    case JSON_FALSE:
        cr_assert(yyjson_is_bool(v) && json_read_bool(r) == yyjson_get_bool(v), "%s", what);
        break;
    case JSON_STRING:
        cr_assert(yyjson_is_str(v) && bytes_equal(json_read_string(r),
                                                  bytes_of(yyjson_get_str(v), yyjson_get_len(v))),
                  "%s: string at %zu", what, json_offset(r));
        break;
    case JSON_NUMBER: {
        cr_assert(yyjson_is_num(v), "%s", what);
        double a = json_read_double(r);
        double b = yyjson_get_num(v);
        cr_assert(memcmp(&a, &b, sizeof(a)) == 0 || (a == 0 && b == 0), "%s: %.17g and %.17g", what,
                  a, b);
        break;
    }
    case JSON_ARRAY:
        json_enter_array(r);
        for (; json_next_element(r); i++)
            assert_same(r, yyjson_arr_get_first(v) == NULL ? NULL : yyjson_arr_get(v, i), what);
        cr_assert_eq(i, yyjson_arr_size(v), "%s: array", what);
        break;
    case JSON_OBJECT: assert_same_object(r, v, what); break;
    default: cr_assert_fail("%s: no value at %zu", what, json_offset(r));
    }
}

/* Real documents, whole: small arrays keep the oracle's linear yyjson_arr_get cheap. */
static const char *const documents[] = {
    "{\"transaction\":\"GET /orders/(\\\\d+)\",\"contexts\":{\"trace\":{\"data\":{\"thread.id\":"
    "\"139873184900800\"},\"parent_span_id\":null}},\"timestamp\":1795337187.4160001,\"spans\":[]}",
    "[1,-1,0.1,1e-7,5e-324,1.7976931348623157e308,2.2250738585072011e-308,123456789012345678,"
    "1795336832.3628426,9007199254740993,0.000001,1e21,-0.0]",
    "{\"name\":\"\\u00e4\\ud83d\\ude00\",\"os\":{\"version\":\"12.11\\n\"},\"b\":true,\"c\":false}",
    "[\"\",\"a\",\"ab\",\"0123456789abcde\",\"0123456789abcdef\",\"0123456789abcdefg\",\"\xc3\xa4\"]",
    "{\"samples\":[{\"stack_id\":0,\"thread_id\":\"140608792037056\",\"timestamp\":1795336832.36},"
    "{\"stack_id\":1,\"thread_id\":\"0x0000000102adc700\",\"timestamp\":1795336832.3728426}],"
    "\"stacks\":[[0,1,2],[2]],\"frames\":[{\"function\":\"f\",\"lineno\":null,\"in_app\":true}]}"};

static bool oracle_takes(struct bytes text)
{
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.data, text.len,
                                       YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    bool ok = doc != NULL;
    yyjson_doc_free(doc);
    return ok;
}

Test(json_reader, reads_what_another_parser_reads)
{
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct bytes text = bytes_of_text(documents[i]);
        yyjson_doc *doc = yyjson_read(documents[i], text.len, 0);
        cr_assert_not_null(doc);
        struct fixture f;
        fixture_open(&f, text);
        assert_same(&f.r, yyjson_doc_get_root(doc), documents[i]);
        cr_expect_eq(json_end(&f.r), ERR_OK);
        fixture_close(&f);
        yyjson_doc_free(doc);
    }
}

static void mutate(struct rng *rng, char *text, size_t *len)
{
    static const char alphabet[] = "{}[]\",:\\/untfalse0123456789.-+eE \n\t\x01\x80\xc3\xff";
    size_t at = rng_below(rng, *len);
    switch (rng_below(rng, 3)) {
    case 0: text[at] = alphabet[rng_below(rng, sizeof(alphabet) - 1)]; break;
    case 1:
        memmove(text + at, text + at + 1, *len - at - 1);
        --*len;
        break;
    default:
        memmove(text + at + 1, text + at, *len - at);
        text[at] = alphabet[rng_below(rng, sizeof(alphabet) - 1)];
        ++*len;
        break;
    }
}

/* Halves of a pair are an error for the oracle and U+FFFD for us. */
static bool has_surrogates(struct bytes text)
{
    return bytes_contains(text, BYTES("\\ud")) || bytes_contains(text, BYTES("\\uD"));
}

Test(json_reader, refuses_what_another_parser_refuses)
{
    struct rng rng = test_rng();
    char text[1024];
    unsigned refused = 0, taken = 0;
    for (unsigned round = 0; round < test_scale(60000); round++) {
        const char *from = documents[rng_below(&rng, sizeof(documents) / sizeof(documents[0]))];
        size_t len = strlen(from);
        memcpy(text, from, len);
        for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
            mutate(&rng, text, &len);
        struct bytes b = bytes_of(text, len);
        if (has_surrogates(b))
            continue;
        struct errinfo info;
        bool ours = skip_all(b, &info) == ERR_OK;
        cr_assert_eq(ours, oracle_takes(b), "%.*s: %s", (int)len, text, ours ? "taken" : info.text);
        ours ? taken++ : refused++;
    }
    cr_expect(taken > 1000 && refused > 1000, "%u taken, %u refused", taken, refused);
}
#endif
