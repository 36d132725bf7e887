/* buffer.h - a growable array of bytes, born with its ceiling.
 *
 * Owns:   its memory. Grows by doubling; address changes when it grows.
 * Errors: the first failure sticks in `failed` (ERR_LIMIT at `max` or the account's ceiling,
 *         ERR_BUSY when the budget has no room, ERR_NOMEM) and further puts do nothing, so a
 *         writer checks once at the end. ERR_BUSY may be cleared with buffer_retry.
 * Cost:   amortised O(bytes).
 */
#ifndef HEARTH_BASE_BUFFER_H
#define HEARTH_BASE_BUFFER_H

#include <assert.h>

#include "base/bytes.h"
#include "base/mem.h"

struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t max;
    struct mem_account *account; /* NULL: not counted against any budget */
    enum err failed;
};

void buffer_init(struct buffer *b, size_t max, struct mem_account *account);
void buffer_close(struct buffer *b); /* a zeroed buffer is fine */
void buffer_clear(struct buffer *b); /* length 0, no failure; memory and ceiling stay */
void buffer_retry(struct buffer *b); /* forget ERR_BUSY */

/* Room for `extra` more bytes without moving. */
enum err buffer_reserve(struct buffer *b, size_t extra) MUST_CHECK;
/* Make the buffer `extra` longer and return where the new bytes go; NULL on failure only. */
void *buffer_extend(struct buffer *b, size_t extra) MUST_CHECK;

/* buffer_put when there is no room yet, or no more. */
void buffer_put_growing(struct buffer *b, struct bytes bytes);

/* In the header so that bytes of a known number become one store. */
static inline void buffer_put(struct buffer *b, struct bytes bytes)
{
    if (bytes.len == 0)
        return;
    if (bytes.len > b->capacity - b->len || b->failed != ERR_OK) {
        buffer_put_growing(b, bytes);
        return;
    }
    assert(b->data != NULL && bytes.data != NULL);
    memcpy(b->data + b->len, bytes.data, bytes.len);
    b->len += bytes.len;
}

static inline void buffer_put_u8(struct buffer *b, uint8_t v)
{
    buffer_put(b, bytes_of(&v, 1));
}

void buffer_put_u16(struct buffer *b, uint16_t v);
void buffer_put_u32(struct buffer *b, uint32_t v);
void buffer_put_u64(struct buffer *b, uint64_t v);
void buffer_put_varint(struct buffer *b, uint64_t v);
void buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);

static inline struct bytes buffer_bytes(const struct buffer *b)
{
    return (struct bytes){b->data, b->len};
}

#endif
