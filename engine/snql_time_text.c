/* snql_time_text.c - a date, perhaps a time of day, perhaps a zone. */
#include "engine/snql_time_text.h"

#include "base/civil.h"

struct scan {
    struct bytes text;
    size_t at;
    bool failed;
};

static int peek(const struct scan *s)
{
    return s->at < s->text.len ? s->text.data[s->at] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool accept(struct scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

/* From one to `most` digits. */
static unsigned number(struct scan *s, unsigned most)
{
    unsigned v = 0;
    unsigned digits = 0;
    while (digits < most && is_digit(peek(s))) {
        v = v * 10 + (unsigned)(s->text.data[s->at++] - '0');
        digits++;
    }
    s->failed |= digits == 0;
    return v;
}

static unsigned exact(struct scan *s, unsigned digits)
{
    size_t from = s->at;
    unsigned v = number(s, digits);
    s->failed |= s->at - from != digits;
    return v;
}

static size_t digits_ahead(const struct scan *s)
{
    size_t at = s->at;
    while (at < s->text.len && is_digit(s->text.data[at]))
        at++;
    return at - s->at;
}

static struct civil date(struct scan *s)
{
    struct civil c;
    bool compact = digits_ahead(s) == 8;
    c.year = exact(s, 4);
    char between = peek(s) == '/' ? '/' : '-';
    if (!compact)
        s->failed |= !accept(s, between);
    c.month = compact ? exact(s, 2) : number(s, 2);
    if (!compact)
        s->failed |= !accept(s, between);
    c.day = compact ? exact(s, 2) : number(s, 2);
    return c;
}

static uint32_t fraction(struct scan *s)
{
    uint32_t ns = 0;
    uint32_t unit = 100000000;
    s->failed |= !is_digit(peek(s));
    for (; is_digit(peek(s)); s->at++, unit /= 10)
        ns += unit * (uint32_t)(s->text.data[s->at] - '0');
    return ns;
}

static int64_t time_of_day(struct scan *s, uint32_t *ret_ns)
{
    bool compact = digits_ahead(s) >= 4;
    unsigned hour = compact ? exact(s, 2) : number(s, 2);
    unsigned minute = 0;
    unsigned second = 0;
    if (!compact)
        s->failed |= !accept(s, ':');
    minute = compact ? exact(s, 2) : number(s, 2);
    bool has_seconds = compact ? digits_ahead(s) >= 2 : accept(s, ':');
    if (has_seconds)
        second = compact ? exact(s, 2) : number(s, 2);
    if (has_seconds && accept(s, '.'))
        *ret_ns = fraction(s);
    s->failed |= hour > 23 || minute > 59 || second > 59;
    return INT64_C(3600) * hour + INT64_C(60) * minute + second;
}

/* Z, UTC, GMT, +hh, +hhmm, +hh:mm; a blank may stand before it. */
static int32_t zone(struct scan *s)
{
    while (accept(s, ' '))
        continue;
    struct bytes rest = bytes_from(s->text, s->at);
    if (rest.len == 0)
        return 0;
    if (bytes_equal_nocase(rest, BYTES("Z")) || bytes_equal_nocase(rest, BYTES("UTC")) ||
        bytes_equal_nocase(rest, BYTES("GMT"))) {
        s->at = s->text.len;
        return 0;
    }
    int sign = peek(s);
    s->failed |= sign != '+' && sign != '-';
    s->at++;
    int32_t hours = (int32_t)exact(s, 2);
    (void)accept(s, ':');
    int32_t minutes = peek(s) < 0 ? 0 : (int32_t)exact(s, 2);
    s->failed |= hours > 23 || minutes > 59;
    return (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

bool snql_time_text_parse(struct bytes text, struct snql_time_text *ret)
{
    struct scan s = {.text = bytes_trim(text)};
    struct civil day = date(&s);
    *ret = (struct snql_time_text){0};
    if (s.failed || day.month < 1 || day.month > 12 || day.day < 1 ||
        day.day > civil_days_in_month(day.year, day.month))
        return false;
    ret->seconds = civil_to_days(day) * 86400;
    if (accept(&s, 'T') ||
        (peek(&s) == ' ' && is_digit(s.at + 1 < s.text.len ? s.text.data[s.at + 1] : -1) &&
         accept(&s, ' ')))
        ret->seconds += time_of_day(&s, &ret->nanoseconds);
    if (!s.failed)
        ret->offset_seconds = zone(&s);
    return !s.failed && s.at == s.text.len;
}

bool snql_time_text_parse_epoch(struct bytes text, struct snql_time_text *ret)
{
    struct scan s = {.text = bytes_trim(text)};
    *ret = (struct snql_time_text){0};
    size_t digits = digits_ahead(&s);
    uint64_t seconds;
    if (digits < 5 || digits > 10 || !bytes_to_u64(bytes_first(s.text, digits), &seconds))
        return false;
    s.at = digits;
    ret->seconds = (int64_t)seconds;
    if (accept(&s, '.'))
        ret->nanoseconds = fraction(&s);
    return !s.failed && s.at == s.text.len;
}
