#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/measurements.h"

Test(measurements, are_checked_and_written_anew)
{
    static const struct {
        const char *text;
        const char *copy; /* NULL: refused */
    } cases[] = {
        {"{}", "{}"},
        {"{\"a\":{\"unit\":\"ns\",\"values\":[]}}", "{\"a\":{\"unit\":\"ns\",\"values\":[]}}"},
        {"{\"a\\u00e4\":{\"x\":{},\"values\":[{\"value\":\"1.50\",\"y\":1,\"timestamp\":1e3},"
         "{\"timestamp\":\"-7\",\"value\":2}],\"unit\":\"hz\"}}",
         "{\"a\xc3\xa4\":{\"values\":[{\"value\":1.50,\"timestamp\":1e3},{\"timestamp\":-7,"
         "\"value\":2}],\"unit\":\"hz\"}}"},
        {"[]", NULL},
        {"{\"a\":1}", NULL},
        {"{\"a\":{\"unit\":\"furlong\",\"values\":[]}}", NULL},
        {"{\"a\":{\"unit\":\"ns\"}}", NULL},
        {"{\"a\":{\"values\":[]}}", NULL},
        {"{\"a\":{\"unit\":\"ns\",\"unit\":\"ns\",\"values\":[]}}", NULL},
        {"{\"a\":{\"unit\":\"ns\",\"values\":{}}}", NULL},
        {"{\"a\":{\"unit\":\"ns\",\"values\":[1]}}", NULL},
        {"{\"a\":{\"unit\":\"ns\",\"values\":[{\"value\":1}]}}", NULL},
        {"{\"a\":{\"unit\":\"ns\",\"values\":[{\"timestamp\":1}]}}", NULL},
        {"{\"a\":{\"unit\":\"ns\",\"values\":[{\"timestamp\":1,\"value\":\"x\"}]}}", NULL},
        {"{\"a\":{\"unit\":\"ns\",\"values\":[{\"timestamp\":1,\"value\":\"01\"}]}}", NULL},
        {"{\"a\":{\"unit\":\"ns\",\"values\":[{\"elapsed_since_start_ns\":1,\"value\":1}]}}",
         NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer scratch, out;
        struct json_reader r;
        struct errinfo info = {{0}};
        buffer_init(&scratch, KIB(4), NULL);
        buffer_init(&out, KIB(4), NULL);
        json_reader_init(&r, bytes_of_text(cases[i].text), &scratch, &info);
        measurements_copy(&r, PROFILE_CHUNK, &out);
        enum err rc = json_end(&r);
        cr_expect_eq(rc, cases[i].copy == NULL ? ERR_MALFORMED : ERR_OK, "%s: %s", cases[i].text,
                     info.text);
        if (rc == ERR_OK)
            cr_expect(bytes_equal(buffer_bytes(&out), bytes_of_text(cases[i].copy)), "%.*s",
                      (int)out.len, out.data);
        buffer_close(&scratch);
        buffer_close(&out);
    }
}
