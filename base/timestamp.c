#include "base/timestamp.h"

#include <math.h>
#include <stdio.h>

#include "base/civil.h"

#define NS_PER_SECOND INT64_C(1000000000)

/* Exactly `count` digits. */
static unsigned read_digits(struct reader *r, unsigned count)
{
    unsigned v = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t digit = (uint8_t)(reader_u8(r) - '0');
        r->failed |= digit > 9;
        v = v * 10 + digit;
    }
    return v;
}

static void read_byte(struct reader *r, uint8_t wanted)
{
    r->failed |= reader_u8(r) != wanted;
}

static bool next_is(const struct reader *r, uint8_t byte)
{
    return reader_left(r) > 0 && *r->at == byte;
}

static bool next_is_digit(const struct reader *r)
{
    return reader_left(r) > 0 && *r->at >= '0' && *r->at <= '9';
}

/* What follows the point: nanoseconds; *ret_more tells of digits other than 0 beyond nine. */
static int64_t read_fraction(struct reader *r, bool *ret_more)
{
    int64_t ns = 0;
    int64_t unit = NS_PER_SECOND / 10;
    r->failed |= !next_is_digit(r);
    while (next_is_digit(r)) {
        unsigned digit = read_digits(r, 1);
        *ret_more |= unit == 0 && digit != 0;
        ns += digit * unit;
        unit /= 10;
    }
    return ns;
}

/* 'Z' or ±hh:mm, in seconds east of Greenwich. */
static int64_t read_offset(struct reader *r)
{
    if (next_is(r, 'Z') || next_is(r, 'z')) {
        r->at++;
        return 0;
    }
    uint8_t sign = reader_u8(r);
    unsigned hours = read_digits(r, 2);
    read_byte(r, ':');
    unsigned minutes = read_digits(r, 2);
    r->failed |= (sign != '+' && sign != '-') || hours > 23 || minutes > 59;
    int64_t offset = INT64_C(3600) * hours + INT64_C(60) * minutes;
    return sign == '-' ? -offset : offset;
}

static bool to_ns(int64_t seconds, int64_t fraction_ns, int64_t *ret_ns)
{
    int64_t ns;
    if (seconds < 0 && fraction_ns > 0) { /* towards zero first: the smallest int64 is a moment */
        seconds++;
        fraction_ns -= NS_PER_SECOND;
    }
    if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &ns) ||
        __builtin_add_overflow(ns, fraction_ns, &ns))
        return false;
    *ret_ns = ns;
    return true;
}

bool timestamp_parse_rfc3339(struct bytes text, int64_t *ret_ns)
{
    struct reader r = reader_of(text);
    struct civil date;
    date.year = read_digits(&r, 4);
    read_byte(&r, '-');
    date.month = read_digits(&r, 2);
    read_byte(&r, '-');
    date.day = read_digits(&r, 2);
    uint8_t between = reader_u8(&r);
    r.failed |= between != 'T' && between != 't' && between != ' ';
    unsigned hour = read_digits(&r, 2);
    read_byte(&r, ':');
    unsigned minute = read_digits(&r, 2);
    read_byte(&r, ':');
    unsigned second = read_digits(&r, 2);
    int64_t fraction_ns = 0;
    bool more = false; /* digits beyond nanoseconds are cut here */
    if (next_is(&r, '.')) {
        r.at++;
        fraction_ns = read_fraction(&r, &more);
    }
    int64_t offset = read_offset(&r);

    if (r.failed || reader_left(&r) != 0 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > civil_days_in_month(date.year, date.month) || hour > 23 || minute > 59 ||
        second > 60) /* 60: a leap second is the first of the next minute */
        return false;
    int64_t seconds =
        civil_to_days(date) * 86400 + INT64_C(3600) * hour + INT64_C(60) * minute + second - offset;
    return to_ns(seconds, fraction_ns, ret_ns);
}

bool timestamp_parse_seconds(struct bytes text, int64_t *ret_ns)
{
    struct reader r = reader_of(text);
    bool negative = next_is(&r, '-');
    if (negative || next_is(&r, '+'))
        r.at++;
    size_t digits = 0;
    while (digits < reader_left(&r) && r.at[digits] >= '0' && r.at[digits] <= '9')
        digits++;
    uint64_t whole;
    if (!bytes_to_u64(reader_take(&r, digits), &whole) || whole > INT64_MAX)
        return false;
    int64_t fraction_ns = 0;
    bool more = false;
    if (next_is(&r, '.')) {
        r.at++;
        fraction_ns = read_fraction(&r, &more);
    }
    if (r.failed || more || reader_left(&r) != 0)
        return false;
    int64_t seconds = (int64_t)whole;
    if (negative) { /* -1.25 is -2 and 0.75 */
        seconds = fraction_ns > 0 ? -seconds - 1 : -seconds;
        fraction_ns = fraction_ns > 0 ? NS_PER_SECOND - fraction_ns : 0;
    }
    return to_ns(seconds, fraction_ns, ret_ns);
}

bool timestamp_parse(struct bytes text, int64_t *ret_ns)
{
    return timestamp_parse_seconds(text, ret_ns) || timestamp_parse_rfc3339(text, ret_ns);
}

size_t timestamp_print_rfc3339(int64_t ns, char text[TIMESTAMP_TEXT_SIZE])
{
    int64_t seconds = ns / NS_PER_SECOND;
    int64_t fraction_ns = ns % NS_PER_SECOND;
    if (fraction_ns < 0) {
        fraction_ns += NS_PER_SECOND;
        seconds--;
    }
    int64_t days = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
    unsigned of_day = (unsigned)(seconds - days * 86400);
    struct civil c = civil_from_days(days); /* int64 nanoseconds span the years 1677 to 2262 */
    int len = snprintf(text, TIMESTAMP_TEXT_SIZE, "%04d-%02u-%02uT%02u:%02u:%02u", (int)c.year,
                       c.month, c.day, of_day / 3600, of_day / 60 % 60, of_day % 60);
    if (fraction_ns != 0) {
        len += snprintf(text + len, TIMESTAMP_TEXT_SIZE - (size_t)len, ".%09d", (int)fraction_ns);
        while (text[len - 1] == '0')
            len--;
    }
    text[len++] = 'Z';
    text[len] = '\0';
    return (size_t)len;
}

bool timestamp_from_double(double seconds, int64_t *ret_ns)
{
    double ns = seconds * 1e9;
    if (!(ns >= 0 && ns < 0x1p63)) /* NaN fails both */
        return false;
    *ret_ns = (int64_t)ns;
    return true;
}
