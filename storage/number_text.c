#include "storage/number_text.h"

#include <assert.h>

#include "base/hash.h"
#include "base/size.h"
#include "storage/gap_list.h"
#include "storage/number_list.h"

#define PLACE        ((uint8_t)1) /* where a number stood */
#define DIGITS_MAX   (UINT64_C(1) << 62)
#define POINTS_MAX   18u /* 10^18 is below 2^62 */
#define NUMBER_SIZE  22  /* of its text: a sign, 19 digits, a point, a zero in front of it */

#define SERIES_ORDER 1
#define COUNT_ORDER  0

/* How a series is written, two bits. */
enum {
    SERIES_APART = 0,   /* points, then digits */
    SERIES_ALIGNED = 1, /* all with as many digits behind the point */
    SERIES_GAPS = 2     /* so, and each by how far it is from the one before */
};

static const uint64_t powers_of_ten[POINTS_MAX + 1] = {1,
                                                       10,
                                                       100,
                                                       1000,
                                                       10000,
                                                       100000,
                                                       1000000,
                                                       10000000,
                                                       100000000,
                                                       1000000000,
                                                       10000000000,
                                                       100000000000,
                                                       1000000000000,
                                                       10000000000000,
                                                       100000000000000,
                                                       1000000000000000,
                                                       10000000000000000,
                                                       100000000000000000,
                                                       1000000000000000000};

/* ---- one number ---- */

struct number {
    uint64_t digits; /* zigzag */
    uint8_t points;
    size_t len; /* of its text */
};

static bool is_digit(struct bytes in, size_t at)
{
    return at < in.len && in.data[at] >= '0' && in.data[at] <= '9';
}

/* Digits from `at` on are added to the number; how many, or SIZE_MAX when they are too many. */
static size_t read_digits(struct bytes in, size_t at, uint64_t *digits)
{
    size_t count = 0;
    for (; is_digit(in, at + count); count++) {
        if (*digits > (DIGITS_MAX - 10) / 10)
            return SIZE_MAX;
        *digits = *digits * 10 + (uint64_t)(in.data[at + count] - '0');
    }
    return count;
}

/* Whether a byte may be within a number, in any way of writing it. */
static bool goes_on(struct bytes in, size_t at)
{
    uint8_t c = at < in.len ? in.data[at] : 0;
    return is_digit(in, at) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

/* The number at the start, if it is one that would be written just so. */
static bool read_number(struct bytes in, struct number *ret)
{
    bool negative = in.len > 0 && in.data[0] == '-';
    uint64_t digits = 0;
    size_t points = 0;
    size_t whole = read_digits(in, negative, &digits);
    if (whole == 0 || whole == SIZE_MAX || (in.data[negative] == '0' && whole > 1))
        return false;
    size_t at = negative + whole;
    if (at < in.len && in.data[at] == '.') {
        points = read_digits(in, at + 1, &digits);
        if (points == 0 || points > POINTS_MAX || in.data[at + points] == '0')
            return false;
        at += 1 + points;
    }
    if (goes_on(in, at) || (negative && digits == 0))
        return false;
    *ret = (struct number){.digits = zigzag_encode(negative ? -(int64_t)digits : (int64_t)digits),
                           .points = (uint8_t)points,
                           .len = at};
    return true;
}

static size_t print_digits(uint64_t number, unsigned least, uint8_t *to)
{
    uint8_t reversed[NUMBER_SIZE];
    unsigned len = 0;
    for (; number > 0 || len < least; number /= 10)
        reversed[len++] = (uint8_t)('0' + number % 10);
    for (unsigned i = 0; i < len; i++)
        to[i] = reversed[len - 1 - i];
    return len;
}

static size_t print_number(uint64_t code, unsigned points, uint8_t *to)
{
    int64_t value = zigzag_decode(code);
    uint64_t digits = value < 0 ? -(uint64_t)value : (uint64_t)value;
    size_t len = 0;
    if (value < 0)
        to[len++] = '-';
    len += print_digits(digits / powers_of_ten[points], 1, to + len);
    if (points == 0)
        return len;
    to[len++] = '.';
    return len + print_digits(digits % powers_of_ten[points], points, to + len);
}

/* ---- which series a number belongs to ---- */

/* What stood in front of a number once. */
struct front {
    uint32_t start; /* in the text without numbers */
    uint32_t len;
    uint32_t series;
    uint32_t round; /* the series is open while it is the current one */
};

struct fronts {
    struct bytes text;
    struct front *fronts;
    uint32_t count;
    uint32_t *slots; /* front + 1, 0 free */
    size_t mask;
    uint64_t seed;
    uint32_t round;
    uint32_t series_count;
    uint32_t start; /* of the next front */
};

/* For a text with so many numbers. */
static bool fronts_init(struct fronts *f, size_t numbers, struct arena *arena)
{
    size_t slots = 8;
    while (slots < 2 * numbers)
        slots *= 2;
    *f = (struct fronts){.mask = slots - 1, .seed = hash_seed()};
    f->fronts = ARENA_ARRAY(arena, numbers, struct front);
    f->slots = ARENA_ARRAY(arena, slots, uint32_t);
    if (f->fronts == NULL || f->slots == NULL)
        return false;
    memset(f->slots, 0, slots * sizeof *f->slots);
    return true;
}

static struct bytes front_bytes(const struct fronts *f, const struct front *front)
{
    return bytes_of(f->text.data + front->start, front->len);
}

/* The series of the number whose place is at `place` of the text. */
static uint32_t fronts_series(struct fronts *f, size_t place)
{
    struct front new = {.start = f->start, .len = (uint32_t)(place - f->start)};
    struct bytes bytes = front_bytes(f, &new);
    size_t at = (size_t)hash_bytes(bytes, f->seed) & f->mask;
    f->start = (uint32_t)place + 1; /* texts are far below 4 GiB */
    while (f->slots[at] != 0 && !bytes_equal(front_bytes(f, &f->fronts[f->slots[at] - 1]), bytes))
        at = (at + 1) & f->mask;
    if (f->slots[at] == 0) {
        new.round = f->round++; /* not the current one */
        f->fronts[f->count++] = new;
        f->slots[at] = f->count;
    }
    struct front *front = &f->fronts[f->slots[at] - 1];
    if (front->round != f->round)
        front->series = f->series_count++;
    front->round = f->round;
    return front->series;
}

/* ---- apart ---- */

struct splitting {
    struct bytes text;
    uint8_t *without;
    size_t without_len;
    struct number *numbers;
    size_t count;
};

/* Where a token that is not taken out ends. */
static size_t token_end(struct bytes text, size_t at)
{
    do
        at++;
    while (goes_on(text, at));
    return at;
}

/* A string from its quote to behind the other. */
static size_t string_end(struct bytes text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++)
        at += text.data[at] == '\\';
    return size_min(at + 1, text.len);
}

static void keep(struct splitting *s, size_t from, size_t end)
{
    memcpy(s->without + s->without_len, s->text.data + from, end - from);
    s->without_len += end - from;
}

static void take_numbers_out(struct splitting *s)
{
    for (size_t at = 0; at < s->text.len;) {
        struct number *number = &s->numbers[s->count];
        size_t start = at;
        if (s->text.data[at] == '"') {
            at = string_end(s->text, at);
        } else if (!goes_on(s->text, at)) {
            at++;
        } else if (read_number(bytes_from(s->text, at), number)) {
            s->without[s->without_len++] = PLACE;
            s->count++;
            at += number->len;
            continue;
        } else {
            at = token_end(s->text, at);
        }
        keep(s, start, at);
    }
}

/* Numbers to their series, in order. */
static enum err share_out(const struct splitting *s, struct arena *arena, struct number_text *ret)
{
    struct fronts f;
    uint32_t *series = ARENA_ARRAY(arena, s->count, uint32_t);
    if (series == NULL || !fronts_init(&f, s->count, arena))
        return arena->failed;
    f.text = ret->without;
    size_t number = 0;
    for (size_t at = 0; at < s->without_len; at++)
        if (s->without[at] == PLACE)
            series[number++] = fronts_series(&f, at);
    ret->count = f.series_count;
    ret->series = ARENA_ARRAY(arena, ret->count, struct number_series);
    if (ret->series == NULL)
        return arena->failed;
    memset(ret->series, 0, ret->count * sizeof *ret->series);
    for (size_t i = 0; i < s->count; i++)
        ret->series[series[i]].count++;
    for (size_t k = 0; k < ret->count; k++) {
        ret->series[k].digits = ARENA_ARRAY(arena, ret->series[k].count, uint64_t);
        ret->series[k].points = ARENA_ARRAY(arena, ret->series[k].count, uint8_t);
        ret->series[k].count = 0;
    }
    if (arena->failed != ERR_OK)
        return arena->failed;
    for (size_t i = 0; i < s->count; i++) {
        struct number_series *to = &ret->series[series[i]];
        to->digits[to->count] = s->numbers[i].digits;
        to->points[to->count++] = s->numbers[i].points;
    }
    return ERR_OK;
}

enum err number_text_split(struct bytes text, struct arena *arena, struct number_text *ret,
                           bool *ret_any)
{
    struct splitting s = {.text = text};
    *ret_any = false;
    if (text.len > NUMBER_TEXT_MAX || bytes_find_byte(text, PLACE) < text.len)
        return ERR_OK;
    s.without = ARENA_ARRAY(arena, text.len, uint8_t);
    s.numbers = ARENA_ARRAY(arena, text.len / 2 + 2, struct number); /* one more than there are */
    if (s.without == NULL || s.numbers == NULL)
        return arena->failed;
    take_numbers_out(&s);
    if (s.count == 0)
        return ERR_OK;
    *ret = (struct number_text){.without = bytes_of(s.without, s.without_len)};
    TRY(share_out(&s, arena, ret));
    *ret_any = true;
    return ERR_OK;
}

/* ---- series as bits ---- */

/* All with as many digits behind the point; false when one does not fit then. */
static bool align(const struct number_series *s, uint64_t *aligned, unsigned *ret_points)
{
    unsigned points = 0;
    for (size_t i = 0; i < s->count; i++)
        points = s->points[i] > points ? s->points[i] : points;
    for (size_t i = 0; i < s->count; i++) {
        int64_t value = zigzag_decode(s->digits[i]);
        int64_t power = (int64_t)powers_of_ten[points - s->points[i]];
        if (__builtin_mul_overflow(value, power, &value) || value >= (int64_t)DIGITS_MAX ||
            value <= -(int64_t)DIGITS_MAX)
            return false;
        aligned[i] = (uint64_t)value;
    }
    *ret_points = points;
    return true;
}

static uint64_t apart_size(const struct number_series *s, uint64_t *scratch)
{
    for (size_t i = 0; i < s->count; i++)
        scratch[i] = s->points[i];
    return number_list_size(NUMBERS_PLAIN, scratch, s->count) +
           number_list_size(NUMBERS_ZIGZAG, s->digits, s->count);
}

/* What it takes to write the gaps, about. */
static enum err find_gaps(const uint64_t *aligned, size_t count, struct mem_account *account,
                          uint64_t *ret_base, uint64_t *ret_size)
{
    int64_t gaps[GAP_SAMPLES];
    struct gap_base best;
    size_t n = 0;
    size_t stride = count < 2 ? 1 : 1 + (count - 2) / GAP_SAMPLES;
    for (size_t i = 1; i < count; i += stride)
        gaps[n++] = (int64_t)(aligned[i] - aligned[i - 1]);
    TRY(gap_list_find_base(gaps, n, account, &best));
    *ret_base = best.base;
    *ret_size = 14 + gap_list_number_size(zigzag_encode((int64_t)aligned[0])) + stride * best.size;
    return ERR_OK;
}

static void put_apart(struct bits_writer *w, const struct number_series *s, uint64_t *scratch)
{
    for (size_t i = 0; i < s->count; i++)
        scratch[i] = s->points[i];
    bits_put(w, SERIES_APART, 2);
    number_list_put(w, NUMBERS_PLAIN, scratch, s->count);
    number_list_put(w, NUMBERS_ZIGZAG, s->digits, s->count);
}

static enum err put_series(struct bits_writer *w, const struct number_series *s,
                           struct arena *scratch)
{
    uint64_t *aligned = ARENA_ARRAY(scratch, s->count, uint64_t);
    uint64_t *codes = ARENA_ARRAY(scratch, s->count, uint64_t);
    unsigned points = 0;
    uint64_t base, gaps_size;
    if (aligned == NULL || codes == NULL)
        return scratch->failed;
    bits_put_golomb(w, s->count - 1, COUNT_ORDER);
    if (!align(s, aligned, &points)) {
        put_apart(w, s, codes);
        return ERR_OK;
    }
    TRY(find_gaps(aligned, s->count, scratch->account, &base, &gaps_size));
    uint64_t size = apart_size(s, codes);
    for (size_t i = 0; i < s->count; i++)
        codes[i] = zigzag_encode((int64_t)aligned[i]);
    uint64_t aligned_size = 5 + number_list_size(NUMBERS_ZIGZAG, codes, s->count);
    if (size <= aligned_size && size <= 5 + gaps_size) {
        put_apart(w, s, codes);
        return ERR_OK;
    }
    bool gaps = 5 + gaps_size < aligned_size;
    bits_put(w, gaps ? SERIES_GAPS : SERIES_ALIGNED, 2);
    bits_put(w, points, 5);
    if (gaps)
        gap_list_put(w, base, aligned, s->count);
    else
        number_list_put(w, NUMBERS_ZIGZAG, codes, s->count);
    return ERR_OK;
}

enum err number_text_put(struct bits_writer *w, const struct number_text *t, struct arena *scratch)
{
    bits_put_golomb(w, t->count, SERIES_ORDER);
    for (size_t i = 0; i < t->count; i++)
        TRY(put_series(w, &t->series[i], scratch));
    return ERR_OK;
}

static void get_apart(struct bits_reader *r, struct number_series *s)
{
    number_list_get(r, NUMBERS_PLAIN, s->digits, s->count);
    for (size_t i = 0; i < s->count; i++) {
        r->failed |= s->digits[i] > POINTS_MAX;
        s->points[i] = (uint8_t)s->digits[i];
    }
    number_list_get(r, NUMBERS_ZIGZAG, s->digits, s->count);
    for (size_t i = 0; i < s->count; i++)
        r->failed |= s->digits[i] >= 2 * DIGITS_MAX;
}

/* As few digits behind the point as will do. */
static void get_aligned(struct bits_reader *r, bool gaps, struct number_series *s)
{
    unsigned points = (unsigned)bits_get(r, 5);
    r->failed |= points > POINTS_MAX;
    if (gaps)
        gap_list_get(r, s->digits, s->count);
    else
        number_list_get(r, NUMBERS_ZIGZAG, s->digits, s->count);
    for (size_t i = 0; i < s->count && !r->failed; i++) {
        int64_t value = gaps ? (int64_t)s->digits[i] : zigzag_decode(s->digits[i]);
        unsigned left = value == 0 ? 0 : points;
        r->failed = value >= (int64_t)DIGITS_MAX || value <= -(int64_t)DIGITS_MAX;
        for (; left > 0 && value % 10 == 0; left--)
            value /= 10;
        s->digits[i] = zigzag_encode(value);
        s->points[i] = (uint8_t)left;
    }
}

static void get_series(struct bits_reader *r, struct arena *arena, struct number_series *s)
{
    uint64_t more = bits_get_golomb(r, COUNT_ORDER);
    if (more >= bits_left(r))
        r->failed = true;
    s->count = r->failed ? 0 : (size_t)more + 1;
    s->digits = ARENA_ARRAY(arena, s->count, uint64_t);
    s->points = ARENA_ARRAY(arena, s->count, uint8_t);
    if (r->failed || s->digits == NULL || s->points == NULL)
        return;
    unsigned way = (unsigned)bits_get(r, 2);
    if (way == SERIES_APART)
        get_apart(r, s);
    else if (way <= SERIES_GAPS)
        get_aligned(r, way == SERIES_GAPS, s);
    else
        r->failed = true;
}

enum err number_text_get(struct bits_reader *r, struct arena *arena, struct number_text *ret,
                         struct errinfo *info)
{
    uint64_t count = bits_get_golomb(r, SERIES_ORDER);
    if (r->failed || count > bits_left(r))
        return err_set(info, ERR_CORRUPT, "block: numbers are cut short or out of range");
    *ret = (struct number_text){.count = (size_t)count};
    ret->series = ARENA_ARRAY(arena, ret->count, struct number_series);
    for (size_t i = 0; i < ret->count && ret->series != NULL && !r->failed; i++)
        get_series(r, arena, &ret->series[i]);
    if (arena->failed != ERR_OK)
        return err_set(info, arena->failed, "block: no room for its numbers");
    if (r->failed)
        return err_set(info, ERR_CORRUPT, "block: numbers are cut short or out of range");
    return ERR_OK;
}

/* ---- together again ---- */

static size_t count_places(struct bytes text)
{
    size_t count = 0;
    for (size_t at = 0; at < text.len; at++)
        count += text.data[at] == PLACE;
    return count;
}

struct joining {
    const struct number_text *t;
    struct fronts fronts;
    size_t *next; /* of each series: its next number */
    uint8_t *text;
    size_t len;
};

/* False when the series do not fit the text. */
static bool join(struct joining *j)
{
    const struct number_text *t = j->t;
    for (size_t at = 0; at < t->without.len; at++) {
        if (t->without.data[at] != PLACE) {
            j->text[j->len++] = t->without.data[at];
            continue;
        }
        uint32_t series = fronts_series(&j->fronts, at);
        if (series >= t->count || j->next[series] == t->series[series].count)
            return false;
        size_t number = j->next[series]++;
        j->len += print_number(t->series[series].digits[number], t->series[series].points[number],
                               j->text + j->len);
    }
    for (size_t i = 0; i < t->count; i++)
        if (j->next[i] != t->series[i].count)
            return false;
    return true;
}

enum err number_text_join(const struct number_text *t, struct arena *arena, struct bytes *ret,
                          struct errinfo *info)
{
    struct joining j = {.t = t};
    size_t places = count_places(t->without);
    size_t room;
    bool fits = size_mul(places, NUMBER_SIZE, &room) && size_add(room, t->without.len, &room);
    j.text = fits ? ARENA_ARRAY(arena, room, uint8_t) : NULL;
    j.next = ARENA_ARRAY(arena, t->count, size_t);
    if (j.text == NULL || j.next == NULL || !fronts_init(&j.fronts, places, arena))
        return err_set(info, arena->failed == ERR_OK ? ERR_LIMIT : arena->failed,
                       "block: no room for %zu numbers", places);
    memset(j.next, 0, t->count * sizeof *j.next);
    j.fronts.text = t->without;
    if (!join(&j))
        return err_set(info, ERR_CORRUPT, "block: numbers do not fit their text");
    *ret = bytes_of(j.text, j.len);
    return ERR_OK;
}
