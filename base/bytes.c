#include "base/bytes.h"

#include <assert.h>

bool bytes_contains(struct bytes b, struct bytes needle)
{
    if (needle.len == 0)
        return true;
    return b.len >= needle.len && memmem(b.data, b.len, needle.data, needle.len) != NULL;
}

static uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes bytes_trim(struct bytes b)
{
    while (b.len > 0 && is_blank(b.data[0]))
        b = bytes_from(b, 1);
    while (b.len > 0 && is_blank(b.data[b.len - 1]))
        b.len--;
    return b;
}

bool bytes_to_u64(struct bytes b, uint64_t *ret)
{
    uint64_t v = 0;
    if (b.len == 0)
        return false;
    for (size_t i = 0; i < b.len; i++) {
        uint8_t digit = (uint8_t)(b.data[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *ret = v;
    return true;
}

static bool is_tail(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

size_t bytes_utf8_first(struct bytes b)
{
    if (b.len == 0)
        return 0;
    assert(b.data != NULL);
    uint8_t c = b.data[0];
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4 || b.len < 2)
        return 0;
    uint8_t second = b.data[1];
    if (c < 0xe0)
        return is_tail(second) ? 2 : 0;
    /* the second byte alone decides overlong forms, surrogates and the end of Unicode */
    uint8_t least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most || b.len < 3 || !is_tail(b.data[2]))
        return 0;
    if (c < 0xf0)
        return 3;
    return b.len >= 4 && is_tail(b.data[3]) ? 4 : 0;
}

/* Bytes at the start that are ASCII, found eight at a time. */
static size_t ascii_prefix(struct bytes b)
{
    size_t at = 0;
    uint64_t eight;
    assert(b.data != NULL || b.len == 0);
    for (; b.len - at >= sizeof(eight); at += sizeof(eight)) {
        memcpy(&eight, b.data + at, sizeof(eight));
        if ((eight & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (at < b.len && b.data[at] < 0x80)
        at++;
    return at;
}

bool bytes_is_utf8(struct bytes b)
{
    for (;;) {
        b = bytes_from(b, ascii_prefix(b));
        if (b.len == 0)
            return true;
        size_t len = bytes_utf8_first(b);
        if (len == 0)
            return false;
        b = bytes_from(b, len);
    }
}

struct bytes reader_take(struct reader *r, size_t len)
{
    if (len > reader_left(r)) {
        r->failed = true;
        return (struct bytes){0};
    }
    struct bytes taken = {r->at, len};
    if (len > 0)
        r->at += len;
    return taken;
}

uint8_t reader_u8(struct reader *r)
{
    struct bytes b = reader_take(r, 1);
    return b.len == 0 ? 0 : b.data[0];
}

uint16_t reader_u16(struct reader *r)
{
    struct bytes b = reader_take(r, 2);
    return b.len == 0 ? 0 : (uint16_t)((unsigned)b.data[0] | (unsigned)b.data[1] << 8);
}

uint32_t reader_u32(struct reader *r)
{
    struct bytes b = reader_take(r, 4);
    if (b.len == 0)
        return 0;
    return (uint32_t)b.data[0] | (uint32_t)b.data[1] << 8 | (uint32_t)b.data[2] << 16 |
           (uint32_t)b.data[3] << 24;
}

uint64_t reader_u64(struct reader *r)
{
    if (reader_left(r) < 8) {
        r->failed = true;
        return 0;
    }
    uint64_t low = reader_u32(r);
    return low | (uint64_t)reader_u32(r) << 32;
}

uint64_t reader_varint(struct reader *r)
{
    uint64_t v = 0;
    size_t left = reader_left(r);
    for (unsigned i = 0; i < 10 && i < left; i++) {
        uint8_t byte = r->at[i];
        if (i == 9 && byte > 1)
            break; /* bits beyond 64 */
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            r->at += i + 1;
            return v;
        }
    }
    r->failed = true;
    return 0;
}
