#include "storage/page.h"

#include <inttypes.h>

#include <lz4.h>

#include "base/limits.h"
#include "storage/crc32c.h"
#include "storage/format.h"

#define CRC_OFFSET (FORMAT_PAGE_HEADER_SIZE - 4)

_Static_assert(PAGE_RAW_MAX <= LZ4_MAX_INPUT_SIZE, "a page must fit into one LZ4 call");

static uint32_t page_crc(uint32_t seed, const uint8_t *header, struct bytes stored)
{
    return crc32c(crc32c(seed, bytes_of(header, CRC_OFFSET)), stored);
}

/* The size after compression, or that of `raw` when nothing is gained. */
static size_t compress(struct bytes raw, uint8_t *to)
{
    int room = (int)raw.len - 1; /* LZ4 gives up when it would need more */
    int size = 0;
    if (room > 0)
        size = LZ4_compress_default((const char *)raw.data, (char *)to, (int)raw.len, room);
    if (size > 0)
        return (size_t)size;
    if (raw.len > 0)
        memcpy(to, raw.data, raw.len);
    return raw.len;
}

enum err page_seal(struct bytes raw, uint32_t seed, struct buffer *out, struct errinfo *info)
{
    if (raw.len > PAGE_RAW_MAX)
        return err_set(info, ERR_LIMIT, "page: %zu bytes, at most %zu", raw.len, PAGE_RAW_MAX);
    size_t start = out->len;
    uint8_t *header = buffer_extend(out, FORMAT_PAGE_HEADER_SIZE + raw.len);
    if (header == NULL)
        return err_set(info, out->failed, "page: no room for %zu bytes", raw.len);
    uint8_t *stored = header + FORMAT_PAGE_HEADER_SIZE;
    size_t stored_size = compress(raw, stored);
    put_u32(header, (uint32_t)stored_size);
    put_u32(header + 4, (uint32_t)raw.len);
    put_u32(header + CRC_OFFSET, page_crc(seed, header, bytes_of(stored, stored_size)));
    out->len = start + FORMAT_PAGE_HEADER_SIZE + stored_size;
    return ERR_OK;
}

enum err page_verify(struct bytes in, uint32_t seed, size_t *ret_raw_size, struct bytes *ret_stored,
                     struct errinfo *info)
{
    struct reader r = reader_of(in);
    uint32_t stored_size = reader_u32(&r);
    uint32_t raw_size = reader_u32(&r);
    uint32_t crc = reader_u32(&r);
    struct bytes stored = reader_take(&r, stored_size);
    if (r.failed)
        return err_set(info, ERR_CORRUPT, "page: cut short at %zu bytes", in.len);
    if (reader_left(&r) > 0)
        return err_set(info, ERR_CORRUPT, "page: %zu bytes beyond its end", reader_left(&r));
    if (raw_size > PAGE_RAW_MAX || raw_size < stored_size)
        return err_set(info, ERR_CORRUPT, "page: raw size %" PRIu32 " is impossible", raw_size);
    if (crc != page_crc(seed, in.data, stored))
        return err_set(info, ERR_CORRUPT, "page: checksum mismatch");
    *ret_raw_size = raw_size;
    *ret_stored = stored;
    return ERR_OK;
}

enum err page_unpack(struct bytes in, uint32_t seed, struct arena *arena, struct bytes *ret,
                     struct errinfo *info)
{
    size_t raw_size = 0;
    struct bytes stored = {0};
    TRY(page_verify(in, seed, &raw_size, &stored, info));
    if (stored.len == raw_size) {
        *ret = stored;
        return ERR_OK;
    }
    uint8_t *raw = arena_take(arena, raw_size, 1);
    if (raw == NULL)
        return err_set(info, arena->failed, "page: no room for %zu bytes", raw_size);
    int size =
        LZ4_decompress_safe((const char *)stored.data, (char *)raw, (int)stored.len, (int)raw_size);
    if (size < 0 || (size_t)size != raw_size)
        return err_set(info, ERR_CORRUPT, "page: does not unpack to %zu bytes", raw_size);
    *ret = bytes_of(raw, raw_size);
    return ERR_OK;
}
