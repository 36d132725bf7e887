/* bytes.h - borrowed byte ranges, a bounded reader whose failure sticks, little-endian put.
 *
 * A `struct bytes` never owns. Text is bytes too (UTF-8, no terminator).
 */
#ifndef HEARTH_BASE_BYTES_H
#define HEARTH_BASE_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t len;
};

/* A string literal as bytes, without its terminator. */
#define BYTES(literal) ((struct bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){(const uint8_t *)data, len};
}

static inline struct bytes bytes_of_text(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* <0, 0, >0 in the order of unsigned bytes; a prefix comes first. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

/* The first `len` bytes, fewer if there are fewer. */
static inline struct bytes bytes_first(struct bytes b, size_t len)
{
    return (struct bytes){b.data, len < b.len ? len : b.len};
}

/* What is left after `skip` bytes. */
static inline struct bytes bytes_from(struct bytes b, size_t skip)
{
    if (skip > b.len)
        skip = b.len;
    return (struct bytes){skip == 0 ? b.data : b.data + skip, b.len - skip};
}

static inline bool bytes_starts_with(struct bytes b, struct bytes prefix)
{
    return b.len >= prefix.len && bytes_equal(bytes_first(b, prefix.len), prefix);
}

static inline bool bytes_ends_with(struct bytes b, struct bytes suffix)
{
    return b.len >= suffix.len && bytes_equal(bytes_from(b, b.len - suffix.len), suffix);
}

/* Offset of the first `byte`, or b.len. */
static inline size_t bytes_find_byte(struct bytes b, uint8_t byte)
{
    if (b.len == 0)
        return 0;
    assert(b.data != NULL);
    const uint8_t *at = memchr(b.data, byte, b.len);
    return at == NULL ? b.len : (size_t)(at - b.data);
}

/* Whether `needle` occurs; an empty needle always does. */
bool bytes_contains(struct bytes b, struct bytes needle);
/* ASCII letters compare without case. */
bool bytes_equal_nocase(struct bytes a, struct bytes b);
/* Without leading and trailing blanks (space, tab, CR, LF). */
struct bytes bytes_trim(struct bytes b);
/* Decimal digits only, at least one, no sign; false on overflow or anything else. */
bool bytes_to_u64(struct bytes b, uint64_t *ret);
/* Well-formed UTF-8: no surrogates, nothing overlong, nothing above U+10FFFF. O(len), ASCII fast. */
bool bytes_is_utf8(struct bytes b);
/* Length in bytes of the well-formed UTF-8 character at the start; 0 when there is none. */
size_t bytes_utf8_first(struct bytes b);

/* Sequential reads; the first one that does not fit sets `failed`, and from then on all give 0. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct reader reader_of(struct bytes b)
{
    return (struct reader){b.data, b.data == NULL ? NULL : b.data + b.len, false};
}

static inline size_t reader_left(const struct reader *r)
{
    return r->failed ? 0 : (size_t)(r->end - r->at);
}

uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
/* LEB128, at most 10 bytes, no bits beyond 64. */
uint64_t reader_varint(struct reader *r);
/* A view of the next `len` bytes; empty and failed when there are fewer. */
struct bytes reader_take(struct reader *r, size_t len);

static inline void put_u16(uint8_t *to, uint16_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
}

static inline void put_u32(uint8_t *to, uint32_t v)
{
    put_u16(to, (uint16_t)v);
    put_u16(to + 2, (uint16_t)(v >> 16));
}

static inline void put_u64(uint8_t *to, uint64_t v)
{
    put_u32(to, (uint32_t)v);
    put_u32(to + 4, (uint32_t)(v >> 32));
}

/* Signed numbers as unsigned ones whose size follows the magnitude. */
static inline uint64_t zigzag_encode(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t zigzag_decode(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
