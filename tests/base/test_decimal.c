#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/decimal.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static double of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static void assert_as_strtod(const char *text)
{
    double wanted = strtod(text, NULL); /* the tests run in the C locale */
    double got = 77;
    bool good = decimal_to_double(bytes_of_text(text), &got);
    cr_assert_eq(good, !isinf(wanted), "%.100s", text);
    cr_assert(!good || bits_of(got) == bits_of(wanted), "%.100s: %a, not %a", text, got, wanted);
}

Test(decimal, hard_numbers_are_rounded_right)
{
    static const char *const cases[] = {
        "0",
        "-0",
        "0.0",
        "-0.0e5",
        "1",
        "-1",
        "9007199254740992",
        "9007199254740993",
        "9007199254740994",
        "9007199254740995",
        "9007199254740993.00000000000000000000000000001",
        "18446744073709551615",
        "18446744073709551616",
        "9999999999999999999",
        "10000000000000000000",
        "99999999999999999999",
        "1e19",
        "9999999999999999999e19",
        "1e22",
        "1e23",
        "8.5e22",
        "1795336832.3628426",
        "1795336832.362842600",
        "1795336832.36284260000000000000000000000",
        "0.1",
        "0.2",
        "0.3",
        "1e-19",
        "9999999999999999999e-19",
        "1e-20",
        "123456789012345678e-19",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "2.2250738585072014e-308",
        "4.9e-324",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.5e-324",
        "1e-400",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "-1e400",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880",
        "0.500000000000000166533453693773481063544750213623046875",
        "3.518437208883201171875e13",
        "62.5364939768271845828",
        "8.10109172351e-10",
        "1.50000000000000011102230246251565",
        "6929495644600919.5",
        "3.7455744005952583e15",
        "2.2222222222222222e-322",
        "9355950000000000000.00000000000000000000000000000000001844674407370955161600000184467440737095516161844674407370955161407370955161618446744073709551616000184467440737095516166000001844674407370955161618446744073709551614073709551616184467440737095516160001844674407370955161601844674407370955674451616184467440737095516140737095516161844674407370955161600018446744073709551616018446744073709551611616000184467440737095001844674407370955161600184467440737095516160018446744073709551168164467440737095516160001844073709551616018446744073709551616184467440737095516160001844674407536910751601611616000184467440737095001844674407370955161600184467440737095516160018446744073709551616184467440737095516160001844955161618446744073709551616000184467440753691075160018446744073709",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "0e99999999999999999999",
        "1E+5",
        "1e-5",
        "1E05",
        "1.0E-05",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_as_strtod(cases[i]);
}

Test(decimal, what_is_no_json_number_is_refused)
{
    static const char *const cases[] = {
        "",    "-",    "+1",    ".5",    "1.",    "01",  "-01",      "00",        "1e",
        "1e+", "1.e5", "1.5.5", "1e5.5", "0x10",  "NaN", "Infinity", "-Infinity", "inf",
        " 1",  "1 ",   "1,5",   "--1",   "1_000", "e5",  "-.5",      "1e-",       "1d5",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double v = 77;
        cr_assert(!decimal_to_double(bytes_of_text(cases[i]), &v), "%s", cases[i]);
        cr_assert_eq(v, 77);
    }
    double v;
    cr_assert(!decimal_to_double((struct bytes){0}, &v));
    cr_assert(decimal_to_double(bytes_of("123", 2), &v) && v == 12,
              "nothing is read beyond the end");
}

/* Numbers of thousands of digits whose last one decides, and zeros without end. */
Test(decimal, length_does_not_matter)
{
    static char text[6000];
    const char *half = "9007199254740993"; /* exactly between two doubles */
    for (size_t zeros = 0; zeros < 4000; zeros = zeros * 2 + 1) {
        int len = snprintf(text, sizeof(text), "%s.%0*d", half, (int)zeros + 1, 0);
        assert_as_strtod(text);
        text[len] = '1';
        text[len + 1] = '\0';
        assert_as_strtod(text);
        double v = 0;
        cr_assert(decimal_to_double(bytes_of(text, (size_t)len + 1), &v));
        cr_assert_eq(v, 9007199254740994.0, "%zu zeros", zeros);
        snprintf(text, sizeof(text), "1%0*de-%zu", (int)zeros + 1, 0, zeros + 1);
        assert_as_strtod(text);
        snprintf(text, sizeof(text), "0.%0*d17e%zu", (int)zeros + 1, 0, zeros);
        assert_as_strtod(text);
        snprintf(text, sizeof(text), "%.*f", (int)zeros % 1100, 0x1.fffffffffffffp-1022);
        assert_as_strtod(text);
    }
}

static void random_number(struct rng *rng, char *text, size_t size)
{
    double any = of_bits(rng_u64(rng) & ~(UINT64_C(1) << 62)); /* finite, mostly small exponents */
    double time = 1795336832 + rng_double(rng) * 66;
    double mild = ldexp((double)rng_u64(rng), (int)rng_range(rng, -80, 10));
    int digits = (int)rng_below(rng, 25);
    if (!isfinite(any))
        any = 1;
    switch (rng_below(rng, 9)) {
    case 0: snprintf(text, size, "%.*e", digits, any); break;
    case 1: snprintf(text, size, "%.*f", (int)rng_below(rng, 12), time); break;
    case 2: snprintf(text, size, "%.17g", mild); break;
    case 3: snprintf(text, size, "%.*f", digits, mild); break;
    case 4:
        snprintf(text, size, "%llue%d", (unsigned long long)rng_u64(rng),
                 (int)rng_range(rng, -45, 45));
        break;
    case 5:
        snprintf(text, size, "%llu", (unsigned long long)(rng_u64(rng) >> rng_below(rng, 64)));
        break;
    case 6: /* halfway between two doubles, and next to it */
        snprintf(text, size, "%llue%d",
                 (unsigned long long)((rng_u64(rng) >> 10 | 1) + (rng_below(rng, 3) - 1)),
                 (int)rng_range(rng, 0, 3));
        break;
    case 7:
        snprintf(text, size, "-%llu.%llue%d", (unsigned long long)rng_below(rng, 1000),
                 (unsigned long long)rng_u64(rng), (int)rng_range(rng, -340, 320));
        break;
    default: snprintf(text, size, "%.15g", mild); break;
    }
}

Test(decimal, random_numbers_are_read_as_strtod_does)
{
    struct rng rng = test_rng();
    char text[512];
    for (unsigned i = 0; i < test_scale(200000); i++) {
        random_number(&rng, text, sizeof(text));
        assert_as_strtod(text);
    }
}

Test(decimal, doubles_are_printed_as_javascript_does)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {100, "100"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {1.5e300, "1.5e+300"},
        {123456789012345680000.0, "123456789012345680000"},
        {1e-6, "0.000001"},
        {1.5e-6, "0.0000015"},
        {1e-7, "1e-7"},
        {1.25e-7, "1.25e-7"},
        {9.999999e-7, "9.999999e-7"},
        {1795336832.3628426, "1795336832.3628426"},
        {0x1p53, "9007199254740992"},
        {0x1p60, "1152921504606847000"},
        {5e-324, "5e-324"},
        {0x1p-1022, "2.2250738585072014e-308"},
        {0x1.fffffffffffffp1023, "1.7976931348623157e+308"},
        {0x1p-44, "5.684341886080802e-14"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e23, "1e+23"},
        {4.35, "4.35"},
        {1e22, "1e+22"},
        {999999999999999900000.0, "999999999999999900000"},
        {0x1p-1074 * 3, "1.5e-323"},
    };
    char text[DECIMAL_TEXT_SIZE];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = decimal_print_double(cases[i].value, text);
        cr_assert(bytes_equal(bytes_of(text, len), bytes_of_text(cases[i].text)), "%.*s, not %s",
                  (int)len, text, cases[i].text);
    }
}

/* Significant digits: without leading and trailing zeros. */
static size_t count_digits(const char *text, size_t len)
{
    size_t count = 0;
    size_t zeros = 0;
    for (size_t i = 0; i < len && text[i] != 'e'; i++) {
        if (text[i] < '0' || text[i] > '9' || (count == 0 && text[i] == '0'))
            continue;
        count++;
        zeros = text[i] == '0' ? zeros + 1 : 0;
    }
    return count - zeros;
}

/* What is printed reads back bit for bit, and no shorter %g text does. */
Test(decimal, random_doubles_read_back_and_are_short)
{
    struct rng rng = test_rng();
    char text[DECIMAL_TEXT_SIZE + 1], shorter[64];
    for (unsigned i = 0; i < test_scale(100000); i++) {
        double values[] = {of_bits(rng_u64(&rng)),
                           1795336832 + (double)rng_below(&rng, 66u << 22) * 0x1p-22,
                           (double)rng_below(&rng, 1000000) / 1000,
                           ldexp(1, (int)rng_range(&rng, -1074, 1023)), (double)rng_u64(&rng)};
        double value = values[i % 5];
        if (!isfinite(value))
            continue;
        size_t len = decimal_print_double(value, text);
        cr_assert_lt(len, DECIMAL_TEXT_SIZE);
        double back = 0;
        cr_assert(decimal_to_double(bytes_of(text, len), &back), "%.*s", (int)len, text);
        cr_assert_eq(bits_of(back), bits_of(value), "%.*s is not %a", (int)len, text, value);
        size_t digits = count_digits(text, len);
        if (digits > 1 && digits <= 17) {
            snprintf(shorter, sizeof(shorter), "%.*e", (int)digits - 2, value);
            cr_assert(strtod(shorter, NULL) != value, "%.*s, but %s does", (int)len, text, shorter);
        }
    }
}
