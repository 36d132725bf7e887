#include <assert.h>
#include <inttypes.h>
#include <math.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/decimal.h"
#include "base/json_writer.h"

void json_writer_init(struct json_writer *w, struct buffer *out)
{
    *w = (struct json_writer){.out = out};
}

static uint64_t level_bit(const struct json_writer *w)
{
    return UINT64_C(1) << (w->depth - 1);
}

/* Before every value and key: the comma, and what may stand here. */
static void separate(struct json_writer *w, bool is_key)
{
    if (w->after_key) {
        assert(!is_key);
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    assert(is_key == ((w->is_object & level_bit(w)) != 0));
    if ((w->has_value & level_bit(w)) != 0)
        buffer_put_u8(w->out, ',');
    w->has_value |= level_bit(w);
}

static void begin(struct json_writer *w, uint8_t bracket, bool is_object)
{
    separate(w, false);
    assert(w->depth < JSON_WRITER_DEPTH_MAX);
    w->depth++;
    w->has_value &= ~level_bit(w);
    w->is_object = is_object ? w->is_object | level_bit(w) : w->is_object & ~level_bit(w);
    buffer_put_u8(w->out, bracket);
}

static void end(struct json_writer *w, uint8_t bracket, bool is_object)
{
    assert(w->depth > 0 && !w->after_key && is_object == ((w->is_object & level_bit(w)) != 0));
    (void)is_object;
    w->depth--;
    buffer_put_u8(w->out, bracket);
}

void json_begin_object(struct json_writer *w)
{
    begin(w, '{', true);
}

void json_end_object(struct json_writer *w)
{
    end(w, '}', true);
}

void json_begin_array(struct json_writer *w)
{
    begin(w, '[', false);
}

void json_end_array(struct json_writer *w)
{
    end(w, ']', false);
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Bytes at the start that are written as they are. */
static size_t plain_prefix(struct bytes b)
{
    size_t at = 0;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i blank = _mm_set1_epi8(0x20);
    for (; b.len - at >= 16; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(b.data + at));
        /* as signed bytes, controls and everything from 0x80 on are below the blank */
        __m128i special =
            _mm_or_si128(_mm_cmplt_epi8(v, blank),
                         _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        int mask = _mm_movemask_epi8(special);
        if (mask != 0)
            return at + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (at < b.len && is_plain(b.data[at]))
        at++;
    return at;
}

/* One character that is not plain; returns how many bytes of the text it took. */
static size_t put_special(struct buffer *out, struct bytes text)
{
    static const char shorts[] = "btn?fr"; /* from 0x08; 0x0b has no short form */
    static const char hex[] = "0123456789abcdef";
    uint8_t c = text.data[0];
    if (c >= 0x80) {
        size_t len = bytes_utf8_first(text);
        buffer_put(out, len == 0 ? BYTES("\xef\xbf\xbd") : bytes_first(text, len));
        return len == 0 ? 1 : len;
    }
    if (c == '"' || c == '\\') {
        buffer_put(out, bytes_of((uint8_t[]){'\\', c}, 2));
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        buffer_put(out, bytes_of((uint8_t[]){'\\', (uint8_t)shorts[c - 0x08]}, 2));
    } else {
        uint8_t escape[] = {'\\', 'u', '0', '0', (uint8_t)hex[c >> 4], (uint8_t)hex[c & 15]};
        buffer_put(out, bytes_of(escape, sizeof(escape)));
    }
    return 1;
}

static void put_quoted(struct buffer *out, struct bytes text)
{
    buffer_put_u8(out, '"');
    while (text.len > 0) {
        size_t plain = plain_prefix(text);
        buffer_put(out, bytes_first(text, plain));
        text = bytes_from(text, plain);
        if (text.len > 0)
            text = bytes_from(text, put_special(out, text));
    }
    buffer_put_u8(out, '"');
}

void json_key_bytes(struct json_writer *w, struct bytes key)
{
    assert(w->depth > 0);
    separate(w, true);
    put_quoted(w->out, key);
    buffer_put_u8(w->out, ':');
    w->after_key = true;
}

void json_key(struct json_writer *w, const char *key)
{
    json_key_bytes(w, bytes_of_text(key));
}

void json_string(struct json_writer *w, struct bytes text)
{
    separate(w, false);
    put_quoted(w->out, text);
}

void json_text(struct json_writer *w, const char *text)
{
    json_string(w, bytes_of_text(text));
}

static void put_decimal(struct buffer *out, uint64_t v)
{
    uint8_t text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    buffer_put(out, bytes_of(text + at, sizeof(text) - at));
}

/* The magnitude of any int64, the smallest one too. */
static uint64_t magnitude(int64_t v)
{
    return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

void json_u64(struct json_writer *w, uint64_t v)
{
    separate(w, false);
    put_decimal(w->out, v);
}

void json_i64(struct json_writer *w, int64_t v)
{
    separate(w, false);
    if (v < 0)
        buffer_put_u8(w->out, '-');
    put_decimal(w->out, magnitude(v));
}

void json_double(struct json_writer *w, double v)
{
    if (!isfinite(v)) {
        json_null(w);
        return;
    }
    char text[DECIMAL_TEXT_SIZE];
    json_raw(w, bytes_of(text, decimal_print_double(v, text)));
}

void json_bool(struct json_writer *w, bool v)
{
    json_raw(w, v ? BYTES("true") : BYTES("false"));
}

void json_null(struct json_writer *w)
{
    json_raw(w, BYTES("null"));
}

void json_uuid(struct json_writer *w, struct uuid id)
{
    char text[UUID_TEXT_SIZE + 1];
    uuid_print(id, text);
    json_string(w, bytes_of(text, UUID_TEXT_SIZE));
}

void json_raw(struct json_writer *w, struct bytes value)
{
    separate(w, false);
    buffer_put(w->out, value);
}

void json_seconds(struct json_writer *w, int64_t ns)
{
    uint64_t whole = magnitude(ns);
    uint64_t fraction = whole % 1000000000;
    separate(w, false);
    if (ns < 0)
        buffer_put_u8(w->out, '-');
    put_decimal(w->out, whole / 1000000000);
    if (fraction == 0)
        return;
    uint8_t text[10] = {'.'};
    size_t len = sizeof(text);
    for (size_t i = 9; i > 0; i--, fraction /= 10)
        text[i] = (uint8_t)('0' + fraction % 10);
    while (text[len - 1] == '0')
        len--;
    buffer_put(w->out, bytes_of(text, len));
}
