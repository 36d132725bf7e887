#include "base/decimal.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <locale.h>

/* Of binary64 in decimal: 767 significant digits decide any rounding; one more stands for "and
 * something below". */
#define DIGITS_THAT_DECIDE 780
/* Decimal exponents beyond this give 0 or infinity whatever the digits that are kept. */
#define EXPONENT_CLAMP 5000

typedef unsigned __int128 u128; /* the one type name C does not spell */

/* The value is (-1)^negative * w * 10^exponent, exact unless `cut`. */
struct scanned {
    bool negative;
    bool cut; /* more than 19 significant digits: w holds the first 19 */
    uint64_t w;
    unsigned digits; /* taken into w, leading zeros too */
    int64_t exponent;
    const uint8_t *start; /* of the text */
};

static const uint64_t powers_of_ten[20] = {1u,
                                           10u,
                                           100u,
                                           1000u,
                                           10000u,
                                           100000u,
                                           1000000u,
                                           10000000u,
                                           100000000u,
                                           1000000000u,
                                           10000000000u,
                                           100000000000u,
                                           1000000000000u,
                                           10000000000000u,
                                           100000000000000u,
                                           1000000000000000u,
                                           10000000000000000u,
                                           100000000000000000u,
                                           1000000000000000000u,
                                           10000000000000000000u};

static bool is_digit(const uint8_t *at, const uint8_t *end)
{
    return at < end && (uint8_t)(*at - '0') <= 9;
}

/* Eight bytes in memory order, the first one lowest. */
static uint64_t load_eight(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* How many of the eight bytes are digits before the first that is none. */
static unsigned count_digits(uint64_t eight)
{
    /* a byte's top bit is set when it is above '9' or below '0'; what a carry spoils is behind */
    uint64_t other =
        ((eight + UINT64_C(0x4646464646464646)) | (eight - UINT64_C(0x3030303030303030))) &
        UINT64_C(0x8080808080808080);
    return other == 0 ? 8 : (unsigned)__builtin_ctzll(other) / 8;
}

/* The number that the first `count` (1 to 8) of the eight digits spell: pairs, fours, eights. */
static uint64_t join_digits(uint64_t eight, unsigned count)
{
    eight <<= 64 - 8 * count; /* zeros in front */
    eight = (eight & UINT64_C(0x0f0f0f0f0f0f0f0f)) * ((10 << 8) + 1) >> 8;
    eight = (eight & UINT64_C(0x00ff00ff00ff00ff)) * ((100 << 16) + 1) >> 16;
    return (eight & UINT64_C(0x0000ffff0000ffff)) * ((UINT64_C(10000) << 32) + 1) >> 32;
}

/* As scan_digits, as long as it can be done by eights: up to 19 digits that end before `end` or
 * lie at its very end in a text of at least eight bytes. */
static const uint8_t *scan_by_eights(const uint8_t *at, const uint8_t *end, int64_t step,
                                     struct scanned *s)
{
    while (at < end) {
        size_t left = (size_t)(end - at);
        uint64_t eight;
        if (left >= 8)
            eight = load_eight(at);
        else if (end - s->start >= 8)
            eight = load_eight(end - 8) >> (64 - 8 * left); /* zero bytes end the digits */
        else
            return at;
        unsigned count = count_digits(eight);
        if (count == 0 || s->digits + count > 19)
            return at;
        s->w = s->w * powers_of_ten[count] + join_digits(eight, count);
        s->digits += count;
        s->exponent -= step * (int64_t)count;
        at += count;
    }
    return at;
}

/* Take digits into w as long as 19 fit; zeros that do not are remembered in the exponent. `step`
 * is 1 behind the point. */
static const uint8_t *scan_digits(const uint8_t *at, const uint8_t *end, int64_t step,
                                  struct scanned *s)
{
    at = scan_by_eights(at, end, step, s);
    for (; is_digit(at, end); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (s->w < powers_of_ten[18]) {
            s->w = s->w * 10 + digit;
            s->digits++;
            s->exponent -= step;
        } else {
            s->cut |= digit != 0;
            s->exponent += 1 - step;
        }
    }
    return at;
}

/* "e-12"; exponents of absurd size stay absurd without overflowing. */
static const uint8_t *scan_exponent(const uint8_t *at, const uint8_t *end, struct scanned *s)
{
    at++;
    bool negative = at < end && *at == '-';
    if (negative || (at < end && *at == '+'))
        at++;
    if (!is_digit(at, end))
        return NULL;
    int64_t e = 0;
    for (; is_digit(at, end); at++)
        if (e < INT64_MAX / 100)
            e = e * 10 + (*at - '0');
    s->exponent += negative ? -e : e;
    return at;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? and nothing else */
static bool scan(struct bytes text, struct scanned *s)
{
    if (text.len == 0)
        return false;
    const uint8_t *at = text.data;
    const uint8_t *end = text.data + text.len;
    s->negative = *at == '-';
    at += s->negative;
    if (!is_digit(at, end) || (*at == '0' && is_digit(at + 1, end)))
        return false;
    at = scan_digits(at, end, 0, s);
    if (at < end && *at == '.') {
        if (!is_digit(at + 1, end))
            return false;
        at = scan_digits(at + 1, end, 1, s);
    }
    if (at < end && (*at | 0x20) == 'e')
        at = scan_exponent(at, end, s);
    return at == end;
}

/* q * 2^exponent2 rounded to nearest even; `sticky`: the true value is a little above. q has its
 * bit 54 or a higher one set and the result is a normal number. */
static double round_to_double(uint64_t q, bool sticky, int exponent2)
{
    unsigned drop = 64 - 53 - (unsigned)__builtin_clzll(q);
    uint64_t mantissa = q >> drop;
    uint64_t rest = q & ((UINT64_C(1) << drop) - 1);
    uint64_t half = UINT64_C(1) << (drop - 1);
    if (rest > half || (rest == half && (sticky || (mantissa & 1) != 0)))
        mantissa++; /* 2^53 carries into the exponent below, which is right */
    int biased = exponent2 + (int)drop + 52 + 1023;
    uint64_t bits = ((uint64_t)biased << 52) + (mantissa - (UINT64_C(1) << 52));
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* w * 10^k, 0 <= k <= 19: the product is below 2^128. */
static double multiply(uint64_t w, unsigned k)
{
    u128 product = (u128)w * powers_of_ten[k];
    uint64_t high = (uint64_t)(product >> 64);
    if (high == 0)
        return (double)(uint64_t)product; /* the conversion rounds to nearest even */
    unsigned shift = 64 - (unsigned)__builtin_clzll(high);
    uint64_t top = (uint64_t)(product >> shift);
    bool sticky = (product & (((u128)1 << shift) - 1)) != 0;
    return round_to_double(top, sticky, (int)shift);
}

/* w / 10^k, 1 <= k <= 19. Both are moved up to bit 63, so that one division of 126 by 64 bits
 * gives a quotient of 62 or 63 bits, and its remainder says whether anything is left. */
static double divide(uint64_t w, unsigned k)
{
    int w_shift = __builtin_clzll(w);
    int d_shift = __builtin_clzll(powers_of_ten[k]);
    uint64_t d = powers_of_ten[k] << d_shift;
    u128 n = (u128)(w << w_shift) << 62;
    uint64_t q = (uint64_t)(n / d);
    bool sticky = q * d != (uint64_t)n; /* the remainder is below d: its low half tells */
    return round_to_double(q, sticky, d_shift - w_shift - 62);
}

static bool is_fast(uint64_t w, int64_t exponent)
{
    return w != 0 && exponent >= -19 && exponent <= 19;
}

/* is_fast */
static double scale(uint64_t w, int64_t exponent)
{
    if (w <= (UINT64_C(1) << 53) && exponent < 0) /* both exact: the processor rounds once */
        return (double)w / (double)powers_of_ten[-exponent];
    return exponent < 0 ? divide(w, (unsigned)-exponent) : multiply(w, (unsigned)exponent);
}

/* Significant digits of a valid number as "ddd…d", at most DIGITS_THAT_DECIDE and a last 1 for
 * what was cut. Returns their number and the exponent that makes up for the cut ones. */
static size_t copy_digits(struct bytes text, char *to, int64_t *ret_exponent)
{
    size_t count = 0;
    bool sticky = false;
    bool fraction = false;
    int64_t exponent = 0;
    for (size_t i = 0; i < text.len && (text.data[i] | 0x20) != 'e'; i++) {
        uint8_t c = text.data[i];
        fraction |= c == '.';
        if (c == '.' || c == '-')
            continue;
        exponent -= fraction;
        if (count == 0 && c == '0')
            continue;
        if (count < DIGITS_THAT_DECIDE) {
            to[count++] = (char)c;
        } else {
            sticky |= c != '0';
            exponent++;
        }
    }
    if (sticky) {
        to[count++] = '1';
        exponent--;
    }
    *ret_exponent = exponent;
    return count;
}

/* Any length and exponent: strtod on a copy of bounded size, in the C locale. */
static bool convert_slowly(struct bytes text, const struct scanned *s, double *ret)
{
    char copy[DIGITS_THAT_DECIDE + 32];
    int64_t exponent;
    size_t len = copy_digits(text, copy, &exponent);
    struct scanned written = {0};
    size_t e = 0;
    while (e < text.len && (text.data[e] | 0x20) != 'e')
        e++;
    if (e < text.len)
        (void)scan_exponent(text.data + e, text.data + text.len, &written);
    exponent += written.exponent;
    if (exponent > EXPONENT_CLAMP)
        exponent = EXPONENT_CLAMP;
    if (exponent < -EXPONENT_CLAMP)
        exponent = -EXPONENT_CLAMP;
    (void)snprintf(copy + len, sizeof(copy) - len, "e%" PRId64, exponent);
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc: a constant, no memory */
    if (c_locale == (locale_t)0)
        return false;
    double value = strtod_l(copy, NULL, c_locale);
    freelocale(c_locale);
    if (isinf(value))
        return false;
    *ret = s->negative ? -value : value;
    return true;
}

bool decimal_to_double(struct bytes text, double *ret)
{
    struct scanned s = {.start = text.data};
    if (!scan(text, &s))
        return false;
    if (s.w == 0) {
        *ret = s.negative ? -0.0 : 0.0;
        return true;
    }
    if (s.cut || !is_fast(s.w, s.exponent))
        return convert_slowly(text, &s, ret);
    double value = scale(s.w, s.exponent);
    *ret = s.negative ? -value : value;
    return true;
}

/* ---- printing ---- */

/* value = digits * 10^exponent, no trailing zero in digits */
struct shortest {
    uint64_t digits;
    int exponent;
};

static double read_back(struct shortest d)
{
    if (is_fast(d.digits, d.exponent))
        return scale(d.digits, d.exponent);
    char text[DECIMAL_TEXT_SIZE];
    int len = snprintf(text, sizeof(text), "%" PRIu64 "e%d", d.digits, d.exponent);
    double value = 0;
    return decimal_to_double(bytes_of(text, (size_t)len), &value) ? value : HUGE_VAL;
}

/* How many decimals show `count` significant digits of a value in [1e-3, 1e15). */
static unsigned decimals_for(double value, int count)
{
    unsigned before_point = 0;
    for (uint64_t whole = (uint64_t)value;
         before_point < 15 && whole >= powers_of_ten[before_point];)
        before_point++;
    if (before_point > 0)
        return (unsigned)count - before_point;
    return (unsigned)count + (value < 0.1) + (value < 0.01);
}

/* `value` to `count` significant digits in integers: value * 10^decimals is the mantissa times a
 * power of ten, below 2^117, with its binary point inside. False outside of [1e-3, 1e15). */
static bool round_in_integers(double value, int count, struct shortest *ret)
{
    if (!(value >= 1e-3 && value < 1e15))
        return false;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    unsigned point =
        1075 - (unsigned)(bits >> 52); /* value = mantissa / 2^point, 1 <= point <= 62 */
    unsigned decimals = decimals_for(value, count);
    u128 scaled = (u128)mantissa * powers_of_ten[decimals];
    ret->digits = (uint64_t)((scaled + ((u128)1 << (point - 1))) >> point);
    ret->exponent = -(int)decimals;
    return true;
}

/* `value` to `count` significant digits, by the C library. */
static struct shortest round_to_digits(double value, int count)
{
    char text[DECIMAL_TEXT_SIZE];
    (void)snprintf(text, sizeof(text), "%.*e", count - 1, value);
    struct shortest d = {0};
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9') /* whatever the locale's point is */
            d.digits = d.digits * 10 + (uint64_t)(*at - '0');
    bool negative = at[1] == '-';
    for (at += 2; *at != '\0'; at++)
        d.exponent = d.exponent * 10 + (*at - '0');
    d.exponent = (negative ? -d.exponent : d.exponent) - (count - 1);
    return d;
}

/* Fewest digits: 15 always survive in a normal number and 17 are always enough. */
static struct shortest find_shortest(double value)
{
    int count = value < 0x1p-1022 ? 1 : 15;
    for (;; count++) {
        struct shortest d;
        if (!round_in_integers(value, count, &d))
            d = round_to_digits(value, count);
        if (count == 17 || read_back(d) == value)
            return d;
        /* a power of two reaches twice as far up as down: the next number up may do */
        d.digits++;
        if (count == 16 && read_back(d) == value)
            return d;
    }
}

static size_t print_integer(uint64_t v, char *text)
{
    char reversed[20];
    size_t len = 0;
    do {
        reversed[len++] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    for (size_t i = 0; i < len; i++)
        text[i] = reversed[len - 1 - i];
    return len;
}

static size_t put_text(char *text, size_t at, const char *more, size_t len)
{
    memcpy(text + at, more, len);
    return at + len;
}

/* point: how many digits stand before the decimal point. */
static size_t print_plain(char *text, size_t at, const char *digits, size_t count, int point)
{
    static const char zeros[] = "0.000000000000000000000";
    if (point <= 0) {
        at = put_text(text, at, zeros, (size_t)(2 - point));
        return put_text(text, at, digits, count);
    }
    if ((size_t)point >= count) {
        at = put_text(text, at, digits, count);
        return put_text(text, at, zeros + 2, (size_t)point - count);
    }
    at = put_text(text, at, digits, (size_t)point);
    text[at++] = '.';
    return put_text(text, at, digits + point, count - (size_t)point);
}

static size_t print_exponent(char *text, size_t at, const char *digits, size_t count, int exponent)
{
    text[at++] = digits[0];
    if (count > 1) {
        text[at++] = '.';
        at = put_text(text, at, digits + 1, count - 1);
    }
    text[at++] = 'e';
    text[at++] = exponent < 0 ? '-' : '+';
    return at + print_integer((uint64_t)(exponent < 0 ? -exponent : exponent), text + at);
}

size_t decimal_print_double(double value, char text[DECIMAL_TEXT_SIZE])
{
    assert(isfinite(value));
    size_t at = 0;
    if (signbit(value)) /* "-0" reads back equal, sign and all */
        text[at++] = '-';
    value = fabs(value);
    if (value < 0x1p53 && value == (double)(uint64_t)value)
        return at + print_integer((uint64_t)value, text + at);
    struct shortest d = find_shortest(value);
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    char digits[20];
    size_t count = print_integer(d.digits, digits);
    int point = (int)count + d.exponent;
    if (point > -6 && point <= 21)
        return print_plain(text, at, digits, count, point);
    return print_exponent(text, at, digits, count, point - 1);
}
