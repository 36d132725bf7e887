#include "engine/json_reader.h"

#include <assert.h>
#include <inttypes.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/decimal.h"
#include "base/limits.h"

static_assert(JSON_DEPTH_MAX <= 64, "json_skip keeps one bit a level in 64");

void json_reader_init(struct json_reader *r, struct bytes text, struct buffer *scratch,
                      struct errinfo *info)
{
    static const uint8_t nothing[1];
    const uint8_t *start = text.data == NULL ? nothing : text.data;
    *r = (struct json_reader){
        .start = start, .at = start, .end = start + text.len, .scratch = scratch, .info = info};
}

void json_fail_at(struct json_reader *r, const uint8_t *where, enum err code, const char *expected)
{
    if (r->failed != ERR_OK)
        return;
    r->failed =
        err_set(r->info, code, "offset %zu: expected %s", (size_t)(where - r->start), expected);
}

void json_fail(struct json_reader *r, enum err code, const char *expected)
{
    json_fail_at(r, r->at, code, expected);
}

static void malformed(struct json_reader *r, const char *expected)
{
    json_fail(r, ERR_MALFORMED, expected);
}

static inline bool is_blank(uint8_t c)
{
    return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

static inline void skip_blanks(struct json_reader *r)
{
    while (r->at < r->end && is_blank(*r->at))
        r->at++;
}

/* The next byte that is no blank; 0, which starts nothing in JSON, at the end or after failure. */
static inline uint8_t next_byte(struct json_reader *r)
{
    if (r->failed != ERR_OK)
        return 0;
    skip_blanks(r);
    return r->at < r->end ? *r->at : 0;
}

static inline bool take_byte(struct json_reader *r, uint8_t byte)
{
    if (next_byte(r) != byte)
        return false;
    r->at++;
    return true;
}

enum err json_end(struct json_reader *r)
{
    if (r->failed != ERR_OK)
        return r->failed;
    skip_blanks(r);
    if (r->at != r->end)
        malformed(r, "the end of the text");
    return r->failed;
}

enum json_type json_peek(struct json_reader *r)
{
    switch (next_byte(r)) {
    case 'n': return JSON_NULL;
    case 'f': return JSON_FALSE;
    case 't': return JSON_TRUE;
    case '"': return JSON_STRING;
    case '[': return JSON_ARRAY;
    case '{': return JSON_OBJECT;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return JSON_NUMBER;
    default: return JSON_NONE;
    }
}

/* ---- strings ---- */

/* From `at` the first quote, backslash or control byte; *high gains bits when bytes above 0x7f were
 * passed. Never looks at or beyond `end`. */
static inline const uint8_t *scan_plain(const uint8_t *at, const uint8_t *end, unsigned *high)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1f);
    while (end - at >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        unsigned stops = (unsigned)_mm_movemask_epi8(stop);
        unsigned tops = (unsigned)_mm_movemask_epi8(v);
        if (stops != 0) {
            *high |= tops & ((stops & -stops) - 1);
            return at + __builtin_ctz(stops);
        }
        *high |= tops;
        at += 16;
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && *at >= 0x20)
        *high |= *at++ & 0x80u;
    return at;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits at `at`; -1 when they are not there. */
static int32_t read_hex4(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void put_utf8(struct buffer *out, uint32_t c)
{
    uint8_t text[4];
    size_t len = 0;
    if (c < 0x80) {
        text[len++] = (uint8_t)c;
    } else if (c < 0x800) {
        text[len++] = (uint8_t)(0xc0 | (c >> 6));
        text[len++] = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        text[len++] = (uint8_t)(0xe0 | (c >> 12));
        text[len++] = (uint8_t)(0x80 | ((c >> 6) & 0x3f));
        text[len++] = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        text[len++] = (uint8_t)(0xf0 | (c >> 18));
        text[len++] = (uint8_t)(0x80 | ((c >> 12) & 0x3f));
        text[len++] = (uint8_t)(0x80 | ((c >> 6) & 0x3f));
        text[len++] = (uint8_t)(0x80 | (c & 0x3f));
    }
    buffer_put(out, bytes_of(text, len));
}

/* The reader stands behind \u. `out` NULL: only check. */
static void read_unicode_escape(struct json_reader *r, struct buffer *out)
{
    int32_t unit = read_hex4(r->at, r->end);
    if (unit < 0) {
        malformed(r, "four hexadecimal digits after \\u");
        return;
    }
    r->at += 4;
    uint32_t c = (uint32_t)unit;
    if (unit >= 0xd800 && unit < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' &&
        r->at[1] == 'u') {
        int32_t low = read_hex4(r->at + 2, r->end);
        if (low >= 0xdc00 && low < 0xe000) {
            r->at += 6;
            c = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        }
    }
    if (c >= 0xd800 && c < 0xe000)
        c = 0xfffd; /* half a pair */
    if (out != NULL)
        put_utf8(out, c);
}

/* The reader stands at a backslash. */
static void read_escape(struct json_reader *r, struct buffer *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *at = r->end - r->at < 2 || r->at[1] == 0 ? NULL : strchr(from, r->at[1]);
    if (at != NULL) {
        r->at += 2;
        if (out != NULL)
            buffer_put_u8(out, (uint8_t)to[at - from]);
    } else if (r->end - r->at >= 2 && r->at[1] == 'u') {
        r->at += 2;
        read_unicode_escape(r, out);
    } else {
        malformed(r, "an escape such as \\n or \\u0041");
    }
}

/* The rest of a string whose plain beginning was [start, r->at). Gives what it stands for when
 * `out` is there, and leaves the reader behind the closing quote. */
__attribute__((noinline)) static struct bytes
read_rest_of_string(struct json_reader *r, const uint8_t *start, unsigned *high, struct buffer *out)
{
    struct bytes none = {start, 0};
    if (out != NULL)
        buffer_clear(out);
    while (r->failed == ERR_OK && r->at < r->end && *r->at != '"') {
        if (*r->at != '\\') {
            malformed(r, "no control character inside a string");
            return none;
        }
        if (out != NULL)
            buffer_put(out, bytes_of(start, (size_t)(r->at - start)));
        read_escape(r, out);
        start = r->at;
        r->at = scan_plain(r->at, r->end, high);
    }
    if (r->failed == ERR_OK && r->at == r->end)
        malformed(r, "'\"' at the end of the string");
    if (r->failed != ERR_OK)
        return none;
    if (out != NULL)
        buffer_put(out, bytes_of(start, (size_t)(r->at - start)));
    r->at++;
    if (out == NULL)
        return none;
    if (out->failed != ERR_OK)
        r->failed = err_set(r->info, out->failed, "offset %zu: no room for a string with escapes",
                            json_offset(r));
    return r->failed != ERR_OK ? none : buffer_bytes(out);
}

/* The reader stands at a quote. */
static struct bytes read_string(struct json_reader *r, struct buffer *out)
{
    const uint8_t *start = ++r->at;
    unsigned high = 0;
    r->at = scan_plain(start, r->end, &high);
    struct bytes text = {start, (size_t)(r->at - start)};
    if (r->at < r->end && *r->at == '"')
        r->at++;
    else
        text = read_rest_of_string(r, start, &high, out);
    if (high != 0 && r->failed == ERR_OK &&
        !bytes_is_utf8(bytes_of(start, (size_t)(r->at - 1 - start))))
        json_fail_at(r, start, ERR_MALFORMED, "UTF-8 inside the string");
    return r->failed != ERR_OK ? (struct bytes){start, 0} : text;
}

struct bytes json_read_string(struct json_reader *r)
{
    if (next_byte(r) == '"')
        return read_string(r, r->scratch);
    malformed(r, "a string");
    return (struct bytes){r->start, 0};
}

/* ---- objects and arrays ---- */

static void enter(struct json_reader *r, uint8_t bracket, const char *expected)
{
    if (next_byte(r) != bracket) {
        malformed(r, expected);
        return;
    }
    if (r->depth == JSON_DEPTH_MAX) {
        malformed(r, "fewer nested levels");
        return;
    }
    r->at++;
    r->depth++;
    r->first = true;
}

static void leave(struct json_reader *r)
{
    r->at++;
    r->depth--;
    r->first = false;
}

void json_enter_object(struct json_reader *r)
{
    enter(r, '{', "an object");
}

void json_enter_array(struct json_reader *r)
{
    enter(r, '[', "an array");
}

bool json_next_element(struct json_reader *r)
{
    uint8_t next = next_byte(r);
    if (next == ']') {
        leave(r);
        return false;
    }
    if (r->first) {
        r->first = false;
        return r->failed == ERR_OK;
    }
    if (next != ',') {
        malformed(r, "',' or ']'");
        return false;
    }
    r->at++;
    return true;
}

/* Up to the quote of the next key; false at the end of the object. */
static bool next_key_start(struct json_reader *r)
{
    uint8_t next = next_byte(r);
    if (next == '}') {
        leave(r);
        return false;
    }
    if (r->first) {
        r->first = false;
    } else if (next == ',') {
        r->at++;
    } else {
        malformed(r, "',' or '}'");
        return false;
    }
    if (next_byte(r) != '"') {
        malformed(r, "a key");
        return false;
    }
    return true;
}

static bool take_colon(struct json_reader *r)
{
    if (take_byte(r, ':'))
        return true;
    malformed(r, "':'");
    return false;
}

bool json_next_member(struct json_reader *r, struct bytes *ret_name)
{
    if (!next_key_start(r))
        return false;
    struct bytes name = read_string(r, r->scratch);
    if (r->failed != ERR_OK || !take_colon(r))
        return false;
    *ret_name = name;
    return true;
}

void json_keys_init(struct json_keys *k, const struct bytes *names, int count)
{
    assert(count >= 0 && count <= JSON_KEYS_MAX);
    *k = (struct json_keys){.names = names, .count = count, .previous = JSON_KEY_UNKNOWN};
    for (int i = 0; i <= count; i++)
        k->after[i] = (uint8_t)(i < count ? i : 0);
}

void json_enter_keys(struct json_reader *r, struct json_keys *keys)
{
    keys->previous = JSON_KEY_UNKNOWN;
    json_enter_object(r);
}

/* Keys are short: words of eight bytes beat a call. */
static inline bool is_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (; len >= sizeof(uint64_t); len -= sizeof(uint64_t)) {
        uint64_t left;
        uint64_t right;
        memcpy(&left, a, sizeof(left));
        memcpy(&right, b, sizeof(right));
        if (left != right)
            return false;
        a += sizeof(left);
        b += sizeof(right);
    }
    while (len > 0 && *a == *b) {
        a++;
        b++;
        len--;
    }
    return len == 0;
}

/* Whether the key `name` comes next, read with all around it when so: ,"name": without blanks. */
static inline bool take_key(struct json_reader *r, struct bytes name)
{
    const uint8_t *at = r->at;
    if (r->failed != ERR_OK || (size_t)(r->end - at) < name.len + sizeof(",\"\":") - 1)
        return false;
    if (!r->first && *at++ != ',')
        return false;
    if (at[0] != '"' || at[name.len + 1] != '"' || at[name.len + 2] != ':' ||
        !is_same(at + 1, name.data, name.len))
        return false;
    r->first = false;
    r->at = at + name.len + sizeof("\"\":") - 1;
    return true;
}

static int find_key(const struct json_keys *keys, struct bytes name)
{
    for (int i = 0; i < keys->count; i++)
        if (bytes_equal(keys->names[i], name))
            return i;
    return JSON_KEY_UNKNOWN;
}

/* Away from the fast path, whose registers it would cost. */
__attribute__((noinline)) static bool next_other_key(struct json_reader *r, struct json_keys *keys,
                                                     int *ret_key)
{
    struct bytes name;
    if (!json_next_member(r, &name))
        return false;
    int key = find_key(keys, name);
    if (key != JSON_KEY_UNKNOWN)
        keys->after[keys->previous + 1] = (uint8_t)key;
    keys->previous = key;
    *ret_key = key;
    return true;
}

bool json_next_key(struct json_reader *r, struct json_keys *keys, int *ret_key)
{
    int key = keys->after[keys->previous + 1];
    if (keys->count == 0 || !take_key(r, keys->names[key])) {
        if (r->failed != ERR_OK || r->at == r->end || *r->at != '}')
            return next_other_key(r, keys, ret_key);
        leave(r);
        return false;
    }
    keys->previous = key;
    *ret_key = key;
    return true;
}

/* ---- scalars ---- */

static bool take_word(struct json_reader *r, const char *word, size_t len)
{
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

bool json_take_null(struct json_reader *r)
{
    return next_byte(r) == 'n' && take_word(r, "null", 4);
}

bool json_read_bool(struct json_reader *r)
{
    uint8_t next = next_byte(r);
    if (next == 't' && take_word(r, "true", 4))
        return true;
    if (next != 'f' || !take_word(r, "false", 5))
        malformed(r, "true or false");
    return false;
}

static inline bool is_digit(const struct json_reader *r)
{
    return r->at < r->end && (uint8_t)(*r->at - '0') < 10;
}

static bool skip_digits(struct json_reader *r)
{
    if (!is_digit(r)) {
        malformed(r, "a digit");
        return false;
    }
    while (is_digit(r))
        r->at++;
    return true;
}

/* A digit starts the integer part; a zero is all of it. */
static bool skip_integer(struct json_reader *r)
{
    if (r->at < r->end && *r->at == '0') {
        r->at++;
        if (is_digit(r)) {
            malformed(r, "no digit after a leading zero");
            return false;
        }
        return true;
    }
    return skip_digits(r);
}

struct bytes json_read_number(struct json_reader *r)
{
    struct bytes none = {r->start, 0};
    if (json_peek(r) != JSON_NUMBER) {
        malformed(r, "a number");
        return none;
    }
    const uint8_t *start = r->at;
    if (*r->at == '-')
        r->at++;
    if (!skip_integer(r))
        return none;
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (!skip_digits(r))
            return none;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (!skip_digits(r))
            return none;
    }
    return (struct bytes){start, (size_t)(r->at - start)};
}

double json_read_double(struct json_reader *r)
{
    struct bytes text = json_read_number(r);
    double value = 0;
    if (r->failed == ERR_OK && !decimal_to_double(text, &value)) {
        json_fail_at(r, text.data, ERR_MALFORMED, "a number a double can hold");
        return 0;
    }
    return value;
}

/* Digits alone, the reader at the first of them; false with the reader where it started. */
static inline bool read_digits(struct json_reader *r, uint64_t *ret)
{
    const uint8_t *at = r->at;
    uint64_t value = 0;
    bool fits = true;
    for (; at < r->end && (uint8_t)(*at - '0') < 10; at++) {
        if (at - r->at < 19) /* so many always fit */
            value = value * 10 + (uint64_t)(*at - '0');
        else
            fits = fits && !__builtin_mul_overflow(value, 10u, &value) &&
                   !__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    }
    bool leading_zero = at - r->at > 1 && *r->at == '0';
    bool more = at < r->end && (*at == '.' || *at == 'e' || *at == 'E');
    if (at == r->at || !fits || leading_zero || more)
        return false;
    r->at = at;
    *ret = value;
    return true;
}

uint64_t json_read_u64(struct json_reader *r)
{
    uint64_t value = 0;
    if ((uint8_t)(next_byte(r) - '0') >= 10 || !read_digits(r, &value)) {
        malformed(r, "an unsigned 64-bit integer");
        return 0;
    }
    return value;
}

uint32_t json_read_u32(struct json_reader *r)
{
    uint64_t value = 0;
    if ((uint8_t)(next_byte(r) - '0') >= 10 || !read_digits(r, &value) || value > UINT32_MAX) {
        malformed(r, "an unsigned 32-bit integer");
        return 0;
    }
    return (uint32_t)value;
}

int64_t json_read_i64(struct json_reader *r)
{
    uint8_t next = next_byte(r);
    const uint8_t *start = r->at;
    bool negative = next == '-';
    if (negative)
        r->at++;
    uint64_t value = 0;
    uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    if (next == 0 || !is_digit(r) || !read_digits(r, &value) || value > max) {
        json_fail_at(r, start, ERR_MALFORMED, "a signed 64-bit integer");
        return 0;
    }
    return negative ? (int64_t)(0 - value) : (int64_t)value;
}

/* ---- skipping ---- */

static void skip_scalar(struct json_reader *r, uint8_t next)
{
    switch (next) {
    case '"': (void)read_string(r, NULL); break;
    case 't':
    case 'f': (void)json_read_bool(r); break;
    case 'n':
        if (!json_take_null(r))
            malformed(r, "null");
        break;
    default: (void)json_read_number(r); break;
    }
}

/* The reader stands where a value must start: down into it when it is a container, over it when
 * it is not. `objects` has a bit a level, 1 for objects. */
static void skip_into(struct json_reader *r, uint64_t *objects)
{
    uint8_t next = next_byte(r);
    if (next == '{' || next == '[') {
        enter(r, next, "a value");
        if (r->failed != ERR_OK)
            return;
        uint64_t bit = UINT64_C(1) << (r->depth - 1);
        *objects = next == '{' ? *objects | bit : *objects & ~bit;
    } else if (json_peek(r) == JSON_NONE) {
        malformed(r, "a value");
    } else {
        skip_scalar(r, next);
    }
}

struct bytes json_skip(struct json_reader *r)
{
    (void)next_byte(r);
    const uint8_t *start = r->at;
    unsigned outside = r->depth;
    uint64_t objects = 0;
    skip_into(r, &objects);
    while (r->failed == ERR_OK && r->depth > outside) {
        bool in_object = (objects >> (r->depth - 1)) & 1;
        if (!in_object) {
            if (json_next_element(r))
                skip_into(r, &objects);
        } else if (next_key_start(r)) {
            (void)read_string(r, NULL);
            if (r->failed == ERR_OK && take_colon(r))
                skip_into(r, &objects);
        }
    }
    size_t len = r->failed != ERR_OK ? 0 : (size_t)(r->at - start);
    return (struct bytes){start, len};
}

struct bytes json_find(struct bytes text, const char *key)
{
    struct json_reader r;
    json_reader_init(&r, text, NULL, NULL);
    struct bytes wanted = bytes_of_text(key);
    if (json_peek(&r) != JSON_OBJECT)
        return (struct bytes){NULL, 0};
    json_enter_object(&r);
    while (next_key_start(&r)) {
        const uint8_t *name = r.at + 1;
        (void)read_string(&r, NULL);
        if (r.failed != ERR_OK || !take_colon(&r))
            break;
        struct bytes value = json_skip(&r);
        if (r.failed == ERR_OK && (size_t)(value.data - name) > wanted.len &&
            name[wanted.len] == '"' && memcmp(name, wanted.data, wanted.len) == 0)
            return value;
    }
    return (struct bytes){NULL, 0};
}
