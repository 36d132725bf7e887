#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/size.h"

#define BUFFER_FIRST_SIZE 64

void buffer_init(struct buffer *b, size_t max, struct mem_account *account)
{
    *b = (struct buffer){.max = max, .account = account};
}

void buffer_close(struct buffer *b)
{
    mem_free(b->data);
    if (b->account != NULL)
        mem_account_release(b->account, b->capacity);
    *b = (struct buffer){.max = b->max, .account = b->account};
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->failed = ERR_OK;
}

void buffer_retry(struct buffer *b)
{
    if (b->failed == ERR_BUSY)
        b->failed = ERR_OK;
}

/* Move to a block of exactly `capacity` bytes; the buffer is unchanged on failure. */
static enum err grow_to(struct buffer *b, size_t capacity)
{
    size_t extra = capacity - b->capacity;
    if (b->account != NULL)
        TRY(mem_account_reserve(b->account, extra));
    void *data = mem_resize(b->data, capacity, 1);
    if (data == NULL) {
        if (b->account != NULL)
            mem_account_release(b->account, extra);
        return ERR_NOMEM;
    }
    b->data = data;
    b->capacity = capacity;
    return ERR_OK;
}

static enum err grow(struct buffer *b, size_t extra)
{
    size_t need;
    if (!size_add(b->len, extra, &need) || need > b->max)
        return ERR_LIMIT;
    size_t doubled = b->capacity > b->max / 2 ? b->max : b->capacity * 2;
    size_t wanted = size_max(need, size_min(b->max, size_max(doubled, BUFFER_FIRST_SIZE)));
    enum err rc = grow_to(b, wanted);
    /* doubling is a wish; but growing by what is needed alone would copy all of it every time */
    while (rc != ERR_OK && wanted > need) {
        wanted = need + (wanted - need) / 2;
        rc = grow_to(b, wanted);
    }
    return rc;
}

enum err buffer_reserve(struct buffer *b, size_t extra)
{
    if (b->failed == ERR_OK && extra > b->capacity - b->len)
        b->failed = grow(b, extra);
    return b->failed;
}

void *buffer_extend(struct buffer *b, size_t extra)
{
    if (buffer_reserve(b, extra) != ERR_OK)
        return NULL;
    if (b->data == NULL)
        return b; /* extra is 0: any address will do */
    void *at = b->data + b->len;
    b->len += extra;
    return at;
}

void buffer_put_growing(struct buffer *b, struct bytes bytes)
{
    void *to = buffer_extend(b, bytes.len);
    if (to != NULL && bytes.len > 0)
        memcpy(to, bytes.data, bytes.len);
}

void buffer_put_u16(struct buffer *b, uint16_t v)
{
    uint8_t *to = buffer_extend(b, 2);
    if (to != NULL)
        put_u16(to, v);
}

void buffer_put_u32(struct buffer *b, uint32_t v)
{
    uint8_t *to = buffer_extend(b, 4);
    if (to != NULL)
        put_u32(to, v);
}

void buffer_put_u64(struct buffer *b, uint64_t v)
{
    uint8_t *to = buffer_extend(b, 8);
    if (to != NULL)
        put_u64(to, v);
}

void buffer_put_varint(struct buffer *b, uint64_t v)
{
    uint8_t text[10];
    size_t len = 0;
    for (; v >= 0x80; v >>= 7)
        text[len++] = (uint8_t)(v | 0x80);
    text[len++] = (uint8_t)v;
    buffer_put(b, bytes_of(text, len));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    assert(len >= 0);
    /* one byte more than the text, for the terminator that is then not counted */
    if (len >= 0 && buffer_reserve(b, (size_t)len + 1) == ERR_OK) {
        (void)vsnprintf((char *)b->data + b->len, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}
