#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/json_shape.h"

static const struct shape_field inner_fields[] = {
    {.key = "n", .absent = "0", .kind = SHAPE_U64},
    {.key = "d", .kind = SHAPE_DOUBLE},
    {.key = NULL},
};

static const struct shape_field fields[] = {
    {.key = "always", .absent = "\"\"", .kind = SHAPE_TEXT},
    {.key = "text", .kind = SHAPE_TEXT},
    {.key = "number", .kind = SHAPE_U64},
    {.key = "flag", .kind = SHAPE_BOOL},
    {.key = "time", .kind = SHAPE_TIME},
    {.key = "raw", .kind = SHAPE_RAW},
    {.key = "object", .kind = SHAPE_OBJECT, .fields = inner_fields},
    {.key = "list", .kind = SHAPE_LIST, .fields = inner_fields},
    {.key = "nullable", .absent = "null", .kind = SHAPE_LIST, .fields = inner_fields},
    {.key = "map", .kind = SHAPE_MAP, .fields = inner_fields},
    {.key = "texts", .kind = SHAPE_TEXTS},
    {.key = NULL},
};

/* The last two fields are there in every answer. */
#define REST ",\"always\":\"\",\"nullable\":null}"
#define NONE "{\"always\":\"\",\"nullable\":null}"

static enum err write_shape(const char *text, struct buffer *out)
{
    struct shape_writer w;
    struct json_writer json;
    struct buffer scratch;
    enum err rc = ERR_OK;
    json_writer_init(&json, out);
    buffer_init(&scratch, KIB(4), NULL);
    json_begin_object(&json);
    shape_start_fields(&w, fields, bytes_of_text(text));
    while (w.depth > 0 && rc == ERR_OK)
        rc = shape_step(&w, &json, &scratch);
    if (rc == ERR_OK)
        json_end_object(&json);
    buffer_close(&scratch);
    return rc;
}

Test(json_shape, only_known_fields_in_their_types)
{
    static const char *const cases[][2] = {
        {"", NONE},
        {"{}", NONE},
        {" { } ", NONE},
        {"{\"unknown\":[1,{\"text\":\"x\"}]}", NONE},
        {"{\"text\":\"\",\"number\":0,\"list\":[],\"map\":{ },\"texts\":{}}", NONE},
        {"{\"text\":null,\"number\":null,\"flag\":null,\"raw\":null,\"object\":null}", NONE},
        {"{\"text\":1,\"number\":true,\"flag\":0,\"list\":{},\"map\":[],\"object\":\"\"}", NONE},
        {"{\"number\":1.5}", NONE},
        {"{\"number\":-1}", NONE},
        {"{\"number\":1e3}", NONE},
        {"{\"number\":18446744073709551616}", NONE},
        {"{\"number\":\"12x\"}", NONE},
        {"{\"number\":18446744073709551615}", "{\"number\":18446744073709551615" REST},
        {"{\"number\":\"12\"}", "{\"number\":12" REST},
        {"{\"flag\":false}", "{\"flag\":false" REST},
        {"{\"text\":\"a\\u0041\\n\"}", "{\"text\":\"aA\\n\"" REST},
        {"{\"te\\u0078t\":\"x\"}", "{\"text\":\"x\"" REST},
        {"{\"raw\":[1, {\"a\": \"\\u0041\"}]}", "{\"raw\":[1, {\"a\": \"\\u0041\"}]" REST},
        {"{\"object\":{}}", "{\"object\":{\"n\":0}" REST},
        {"{\"object\":{\"x\":{},\"d\":2e0,\"n\":3}}", "{\"object\":{\"d\":2,\"n\":3}" REST},
        {"{\"list\":[{\"n\":1},null,7,{\"d\":0.5}]}",
         "{\"list\":[{\"n\":1},{\"n\":0},{\"n\":0},{\"d\":0.5,\"n\":0}]" REST},
        {"{\"nullable\":[]}", "{\"nullable\":[],\"always\":\"\"}"},
        {"{\"always\":\"y\"}", "{\"always\":\"y\",\"nullable\":null}"},
        {"{\"map\":{\"\":{},\"a\\\"b\":{\"n\":4},\"c\":[]}}",
         "{\"map\":{\"\":{\"n\":0},\"a\\\"b\":{\"n\":4},\"c\":{\"n\":0}}" REST},
        {"{\"texts\":{\"a\":\"b\",\"c\":null,\"d\":5}}",
         "{\"texts\":{\"a\":\"b\",\"c\":\"\",\"d\":\"\"}" REST},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer out;
        buffer_init(&out, KIB(64), NULL);
        enum err rc = write_shape(cases[i][0], &out);
        cr_expect_eq(rc, ERR_OK, "%s: %s", cases[i][0], err_text(rc));
        cr_expect(bytes_equal(buffer_bytes(&out), bytes_of_text(cases[i][1])), "%s gave %.*s",
                  cases[i][0], (int)out.len, (const char *)out.data);
        buffer_close(&out);
    }
}

Test(json_shape, what_is_no_object_is_damage)
{
    static const char *const cases[] = {"[",
                                        "[]",
                                        "\"x\"",
                                        "{",
                                        "{\"text\"",
                                        "{\"text\":",
                                        "{\"text\":\"x\"",
                                        "{\"list\":[{\"n\":1}",
                                        "{\"text\":\"x\",}"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer out;
        buffer_init(&out, KIB(64), NULL);
        cr_expect_eq(write_shape(cases[i], &out), ERR_CORRUPT, "%s", cases[i]);
        buffer_close(&out);
    }
}

Test(json_shape, times_keep_their_offset)
{
    static const char *const cases[][2] = {
        {"2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z"},
        {"2023-11-14t22:13:20z", "2023-11-14T22:13:20Z"},
        {"2023-11-14T22:13:20.500Z", "2023-11-14T22:13:20.5Z"},
        {"2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20Z"},
        {"2023-11-14T22:13:20.123456789+00:00", "2023-11-14T22:13:20.123456789Z"},
        {"2023-11-14T22:13:20.050-00:00", "2023-11-14T22:13:20.05Z"},
        {"2023-01-01T12:00:00+02:00", "2023-01-01T12:00:00+02:00"},
        {"2023-01-01T12:00:00.10-09:30", "2023-01-01T12:00:00.1-09:30"},
        {"2023-01-01", "0001-01-01T00:00:00Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
        {"yesterday", "0001-01-01T00:00:00Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer out;
        struct json_writer json;
        buffer_init(&out, KIB(1), NULL);
        json_writer_init(&json, &out);
        time_text_put(&json, bytes_of_text(cases[i][0]));
        struct bytes got = {out.data + 1, out.len - 2};
        cr_expect(bytes_equal(got, bytes_of_text(cases[i][1])), "%s became %.*s", cases[i][0],
                  (int)out.len, (const char *)out.data);
        buffer_close(&out);
    }
}
