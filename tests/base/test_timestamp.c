#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include <criterion/criterion.h>

#include "base/timestamp.h"
#include "tests/support/rng.h"

#define S(n) (INT64_C(1000000000) * (n))

Test(timestamp, rfc3339)
{
    static const struct {
        const char *text;
        bool good;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", true, 0},
        {"2026-11-22T11:40:32.3628426Z", true, S(1795347632) + 362842600},
        {"2026-11-22t11:40:32z", true, S(1795347632)},
        {"2026-11-22 11:40:32Z", true, S(1795347632)},
        {"2026-11-22T13:40:32+02:00", true, S(1795347632)},
        {"2026-11-21T23:10:32-12:30", true, S(1795347632)},
        {"2026-11-22T11:40:32-00:00", true, S(1795347632)},
        {"2026-11-22T11:40:32.123456789999Z", true, S(1795347632) + 123456789},
        {"1969-12-31T23:59:59.999999999Z", true, -1},
        {"2024-02-29T00:00:00Z", true, S(1709164800)},
        {"2000-02-29T00:00:00Z", true, S(951782400)},
        {"2016-12-31T23:59:60Z", true, S(1483228800)},
        {"1677-09-21T00:12:43.145224192Z", true, INT64_MIN},
        {"2262-04-11T23:47:16.854775807Z", true, INT64_MAX},
        {"1677-09-21T00:12:43.145224191Z", false, 0},
        {"2262-04-11T23:47:16.854775808Z", false, 0},
        {"0001-01-01T00:00:00Z", false, 0},
        {"2023-02-29T00:00:00Z", false, 0},
        {"1900-02-29T00:00:00Z", false, 0},
        {"2026-13-01T00:00:00Z", false, 0},
        {"2026-00-01T00:00:00Z", false, 0},
        {"2026-11-31T00:00:00Z", false, 0},
        {"2026-11-00T00:00:00Z", false, 0},
        {"2026-11-22T24:00:00Z", false, 0},
        {"2026-11-22T11:60:00Z", false, 0},
        {"2026-11-22T11:40:61Z", false, 0},
        {"2026-11-22T11:40:32", false, 0},
        {"2026-11-22T11:40:32.Z", false, 0},
        {"2026-11-22T11:40:32,5Z", false, 0},
        {"2026-11-22T11:40:32+0200", false, 0},
        {"2026-11-22T11:40:32+24:00", false, 0},
        {"2026-11-22T11:40:32+02:60", false, 0},
        {"2026-11-22T11:40:32*02:00", false, 0},
        {"2026-11-22T11:40:32ZZ", false, 0},
        {"2026-11-22T11:40Z", false, 0},
        {"26-11-22T11:40:32Z", false, 0},
        {"2026-11-22", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 77;
        const char *text = cases[i].text;
        cr_assert_eq(timestamp_parse_rfc3339(bytes_of_text(text), &ns), cases[i].good, "%s", text);
        cr_assert_eq(ns, cases[i].good ? cases[i].ns : 77, "%s gave %" PRId64, text, ns);
        cr_assert_eq(timestamp_parse(bytes_of_text(text), &ns), cases[i].good, "%s", text);
    }
}

Test(timestamp, seconds)
{
    static const struct {
        const char *text;
        bool good;
        int64_t ns;
    } cases[] = {
        {"0", true, 0},
        {"1795336832.362842600", true, S(1795336832) + 362842600},
        {"1795336832.3628426000000", true, S(1795336832) + 362842600},
        {"+1.5", true, S(1) + 500000000},
        {"-1.25", true, -S(1) - 250000000},
        {"-0.000000001", true, -1},
        {"-0", true, 0},
        {"007", true, S(7)},
        {"9223372036.854775807", true, INT64_MAX},
        {"-9223372036.854775808", true, INT64_MIN},
        {"9223372036.854775808", false, 0},
        {"-9223372036.854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"18446744073709551615", false, 0},
        {"0.0000000001", false, 0},
        {"1.0000000000000000000000000000000001", false, 0},
        {"1.", false, 0},
        {".5", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
        {"1e9", false, 0},
        {"1 ", false, 0},
        {"0x1", false, 0},
        {"nan", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 77;
        const char *text = cases[i].text;
        cr_assert_eq(timestamp_parse_seconds(bytes_of_text(text), &ns), cases[i].good, "%s", text);
        cr_assert_eq(ns, cases[i].good ? cases[i].ns : 77, "%s gave %" PRId64, text, ns);
        cr_assert_eq(timestamp_parse(bytes_of_text(text), &ns), cases[i].good, "%s", text);
    }
}

Test(timestamp, print_is_what_the_c_library_says_and_reads_back)
{
    struct rng rng = test_rng();
    char text[TIMESTAMP_TEXT_SIZE], by_libc[TIMESTAMP_TEXT_SIZE];
    for (unsigned i = 0; i < 20000; i++) {
        int64_t ns = (int64_t)rng_u64(&rng) / (int64_t)(1 + rng_below(&rng, 4));
        ns = i == 0 ? INT64_MIN : i == 1 ? INT64_MAX : i % 3 == 0 ? ns / S(1) * S(1) : ns;
        size_t len = timestamp_print_rfc3339(ns, text);
        cr_assert_eq(strlen(text), len);
        int64_t back = 0;
        cr_assert(timestamp_parse_rfc3339(bytes_of(text, len), &back) && back == ns, "%s", text);
        time_t seconds = ns / S(1) - (ns % S(1) < 0);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(by_libc, sizeof(by_libc), "%Y-%m-%dT%H:%M:%S", &tm);
        cr_assert_eq(memcmp(text, by_libc, 19), 0, "%s is not %s", text, by_libc);
        cr_assert(len == 20 || text[len - 2] != '0', "trailing zeros in %s", text);
    }
    timestamp_print_rfc3339(S(1795347632), text);
    cr_assert_str_eq(text, "2026-11-22T11:40:32Z");
    timestamp_print_rfc3339(-1, text);
    cr_assert_str_eq(text, "1969-12-31T23:59:59.999999999Z");
}

Test(timestamp, chunk_nanoseconds_are_the_truncated_binary64_product)
{
    static const struct {
        double seconds;
        bool good;
        int64_t ns;
    } cases[] = {
        {0, true, 0},
        {-0.0, true, 0},
        {1795336832.3628426, true, 1795336832362842624}, /* not ...600: the product is rounded */
        {0.1, true, 100000000},
        {1e-10, true, 0},
        {9223372036.854774, true, INT64_MAX - 1023},
        {9223372036.854776, false, 0},
        {-1e-9, false, 0},
        {-5, false, 0},
        {INFINITY, false, 0},
        {-INFINITY, false, 0},
        {NAN, false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 77;
        cr_assert_eq(timestamp_from_double(cases[i].seconds, &ns), cases[i].good, "%a",
                     cases[i].seconds);
        cr_assert_eq(ns, cases[i].good ? cases[i].ns : 77, "%a gave %" PRId64, cases[i].seconds,
                     ns);
    }
}
