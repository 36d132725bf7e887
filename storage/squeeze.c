#include "storage/squeeze.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "base/limits.h"

/* Below, a frame's own bytes outweigh what compression saves. */
#define RAW_SIZE_MIN ((size_t)24)

/* What zstd holds at our level (its ZSTD_estimateCCtxSize, rounded up), by the size of the input. */
static size_t working_size(size_t raw_size)
{
    if (raw_size <= KIB(16))
        return KIB(256);
    if (raw_size <= KIB(32))
        return KIB(576);
    return raw_size <= KIB(128) ? KIB(1536) : MIB(4);
}

#define UNPACKING_SIZE KIB(96)

/* Compressed bytes at the end of `out`; *ret_paid false, and nothing there, when they are not fewer. */
static enum err compress(struct bytes raw, struct buffer *out, bool *ret_paid)
{
    size_t bound = ZSTD_compressBound(raw.len);
    size_t before = out->len;
    void *to = buffer_extend(out, bound);
    if (to == NULL)
        return out->failed;
    size_t made = ZSTD_compress(to, bound, raw.data, raw.len, SQUEEZE_LEVEL);
    *ret_paid = !ZSTD_isError(made) && made < raw.len;
    out->len = *ret_paid ? before + made : before;
    return ERR_OK;
}

static enum err compress_counted(struct bytes raw, struct buffer *out, bool *ret_paid)
{
    size_t working = working_size(raw.len);
    if (out->account != NULL)
        TRY(mem_account_reserve(out->account, working));
    enum err rc = compress(raw, out, ret_paid);
    if (out->account != NULL)
        mem_account_release(out->account, working);
    return rc;
}

enum err squeeze_put(struct bytes raw, struct buffer *out, struct errinfo *info)
{
    size_t before = out->len;
    bool paid = false;
    enum err rc = ERR_OK;
    buffer_put_varint(out, (uint64_t)raw.len << 1 | 1);
    if (raw.len >= RAW_SIZE_MIN)
        rc = compress_counted(raw, out, &paid);
    if (rc == ERR_OK && !paid) {
        out->len = before;
        buffer_put_varint(out, (uint64_t)raw.len << 1);
        buffer_put(out, raw);
    }
    if (rc == ERR_OK)
        rc = out->failed;
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "no room to compress %zu bytes", raw.len);
}

/* ZSTD_decompress with its memory accounted for; SIZE_MAX, an error, when there is none. */
static size_t decompress_counted(struct bytes stored, uint8_t *to, size_t raw_size,
                                 struct mem_account *account, enum err *ret)
{
    *ret = account == NULL ? ERR_OK : mem_account_reserve(account, UNPACKING_SIZE);
    if (*ret != ERR_OK)
        return SIZE_MAX;
    size_t made = ZSTD_decompress(to, raw_size, stored.data, stored.len);
    if (account != NULL)
        mem_account_release(account, UNPACKING_SIZE);
    return made;
}

static enum err decompress(struct bytes stored, size_t raw_size, struct arena *arena,
                           struct bytes *ret, struct errinfo *info)
{
    enum err rc;
    uint8_t *to = arena_take(arena, raw_size, 1);
    if (to == NULL)
        return err_set(info, arena->failed, "no room for %zu bytes", raw_size);
    size_t made = decompress_counted(stored, to, raw_size, arena->account, &rc);
    if (rc != ERR_OK)
        return err_set(info, rc, "no room to decompress %zu bytes", raw_size);
    if (ZSTD_isError(made) && ZSTD_getErrorCode(made) == ZSTD_error_memory_allocation)
        return err_set(info, ERR_NOMEM, "no memory to decompress");
    if (made != raw_size)
        return err_set(info, ERR_CORRUPT, "no zstd frame of %zu bytes", raw_size);
    *ret = bytes_of(to, raw_size);
    return ERR_OK;
}

enum err squeeze_get(struct bytes in, size_t raw_max, struct arena *arena, struct bytes *ret,
                     struct errinfo *info)
{
    struct reader r = reader_of(in);
    uint64_t code = reader_varint(&r);
    uint64_t raw_size = code >> 1;
    if (r.failed || raw_size > raw_max)
        return err_set(info, ERR_CORRUPT, "%s", r.failed ? "cut short" : "raw size over its limit");
    struct bytes stored = reader_take(&r, reader_left(&r));
    if ((code & 1) != 0)
        return decompress(stored, (size_t)raw_size, arena, ret, info);
    if (stored.len != raw_size)
        return err_set(info, ERR_CORRUPT, "%zu bytes where %zu are", stored.len, (size_t)raw_size);
    *ret = stored;
    return ERR_OK;
}
