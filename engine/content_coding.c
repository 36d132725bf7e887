#include "engine/content_coding.h"

#include <stdlib.h>

#define ZLIB_CONST /* what it only reads is const */
#include <brotli/decode.h>
#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/limits.h"
#include "base/size.h"

#define ZSTD_STREAM_SIZE  ((size_t)(1u << ZSTD_WINDOW_LOG_MAX) + KIB(512))
#define DEFLATE_RATIO_MAX 1032 /* no deflate stream expands more */
#define WHOLE_FIRST_SIZE  KIB(16)

/* Parameters named `limit` are ceilings in bytes; size_max is the greater of two sizes. */

static const struct {
    struct bytes name;
    enum content_coding coding;
} codings[] = {{BYTES("gzip"), CODING_GZIP},       {BYTES("x-gzip"), CODING_GZIP},
               {BYTES("deflate"), CODING_DEFLATE}, {BYTES("br"), CODING_BR},
               {BYTES("zstd"), CODING_ZSTD},       {BYTES("identity"), CODING_IDENTITY}};

enum content_coding content_coding_parse(struct bytes header)
{
    struct bytes name = bytes_trim(header);
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++)
        if (bytes_equal_nocase(name, codings[i].name))
            return codings[i].coding;
    return CODING_IDENTITY;
}

const char *content_coding_name(enum content_coding coding)
{
    switch (coding) {
    case CODING_GZIP: return "gzip";
    case CODING_DEFLATE: return "deflate";
    case CODING_BR: return "br";
    case CODING_ZSTD: return "zstd";
    case CODING_IDENTITY: break;
    }
    return "identity";
}

static enum err damaged(struct errinfo *info, enum content_coding coding)
{
    return err_set(info, ERR_MALFORMED, "%s: damaged, cut short or followed by other bytes",
                   content_coding_name(coding));
}

static enum err too_large(struct errinfo *info, enum content_coding coding, size_t limit)
{
    return err_set(info, ERR_LIMIT, "%s: decodes to more than %zu bytes",
                   content_coding_name(coding), limit);
}

/* ---- memory of the libraries: from base/mem.h, counted, each block with its size before it ---- */

#define BLOCK_HEADER 16 /* keeps the alignment malloc gives */

/* Whom a library's memory is counted against, and why it got none the last time it did not. */
struct library_memory {
    struct mem_account *account;
    enum err failed;
};

/* After a library could not begin or go on for want of memory: never ERR_OK. */
static enum err failure(const struct library_memory *m)
{
    return m->failed == ERR_OK ? ERR_NOMEM : m->failed;
}

static void *counted_alloc(void *opaque, size_t size)
{
    struct library_memory *m = opaque;
    size_t whole;
    if (!size_add(size, BLOCK_HEADER, &whole))
        return NULL;
    enum err rc = m->account == NULL ? ERR_OK : mem_account_reserve(m->account, whole);
    if (rc != ERR_OK) {
        m->failed = rc;
        return NULL;
    }
    uint8_t *block = mem_alloc(whole);
    if (block == NULL) {
        m->failed = ERR_NOMEM;
        if (m->account != NULL)
            mem_account_release(m->account, whole);
        return NULL;
    }
    memcpy(block, &whole, sizeof(whole));
    return block + BLOCK_HEADER;
}

static void counted_free(void *opaque, void *address)
{
    struct library_memory *m = opaque;
    if (address == NULL)
        return;
    uint8_t *block = (uint8_t *)address - BLOCK_HEADER;
    size_t whole;
    memcpy(&whole, block, sizeof(whole));
    mem_free(block);
    if (m->account != NULL)
        mem_account_release(m->account, whole);
}

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    size_t whole;
    return size_mul(items, size, &whole) ? counted_alloc(opaque, whole) : NULL;
}

static void zlib_free(voidpf opaque, voidpf address)
{
    counted_free(opaque, address);
}

/* ---- whole ---- */

/* The free part of `out` after making it `wanted` long, as far as the ceiling lets. */
static enum err whole_room(struct buffer *out, size_t limit, size_t wanted, uint8_t **ret_at,
                           size_t *ret_size)
{
    TRY(buffer_reserve(out, size_max(1, size_min(wanted, limit))));
    *ret_at = out->data + out->len;
    *ret_size = size_min(out->capacity - out->len, limit);
    return ERR_OK;
}

/* Members one after another until the input ends; ERR_LIMIT when `room` is too small. */
static enum err inflate_members(struct libdeflate_decompressor *d, enum content_coding coding,
                                struct bytes in, uint8_t *to, size_t room, size_t *ret_len)
{
    size_t len = 0;
    do {
        size_t used = 0;
        size_t made = 0;
        enum libdeflate_result rc =
            coding == CODING_GZIP ? libdeflate_gzip_decompress_ex(d, in.data, in.len, to + len,
                                                                  room - len, &used, &made)
                                  : libdeflate_zlib_decompress_ex(d, in.data, in.len, to + len,
                                                                  room - len, &used, &made);
        if (rc == LIBDEFLATE_INSUFFICIENT_SPACE)
            return ERR_LIMIT;
        if (rc != LIBDEFLATE_SUCCESS || used == 0)
            return ERR_MALFORMED;
        len += made;
        in = bytes_from(in, used);
    } while (in.len > 0 && coding == CODING_GZIP);
    *ret_len = len;
    return in.len == 0 ? ERR_OK : ERR_MALFORMED;
}

/* What a gzip trailer says the size is; it may lie, but not beyond what deflate can do. */
static size_t inflate_hint(enum content_coding coding, struct bytes body)
{
    size_t most = body.len > SIZE_MAX / DEFLATE_RATIO_MAX ? SIZE_MAX : body.len * DEFLATE_RATIO_MAX;
    if (coding != CODING_GZIP || body.len < 18)
        return size_min(most, size_max(WHOLE_FIRST_SIZE, 8 * size_min(body.len, MIB(2))));
    struct reader r = reader_of(bytes_from(body, body.len - 4));
    return size_min(most, reader_u32(&r));
}

static enum err whole_inflate(enum content_coding coding, struct bytes body, size_t limit,
                              struct buffer *out)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (d == NULL)
        return ERR_NOMEM;
    size_t wanted = inflate_hint(coding, body);
    enum err rc;
    size_t len = 0;
    for (;;) {
        uint8_t *to;
        size_t room;
        rc = whole_room(out, limit, wanted, &to, &room);
        if (rc != ERR_OK)
            break;
        rc = inflate_members(d, coding, body, to, room, &len);
        if (rc != ERR_LIMIT || room >= limit)
            break;
        wanted = room > limit / 2 ? limit : 2 * size_max(room, WHOLE_FIRST_SIZE);
    }
    libdeflate_free_decompressor(d);
    if (rc == ERR_OK)
        out->len += len;
    return rc;
}

static enum err zstd_error(size_t rc)
{
    if (ZSTD_getErrorCode(rc) == ZSTD_error_dstSize_tooSmall)
        return ERR_LIMIT;
    return ERR_MALFORMED;
}

/* Into the whole output at once: no window is needed. */
static enum err whole_zstd(struct bytes body, size_t limit, struct buffer *out)
{
    unsigned long long told = ZSTD_getFrameContentSize(body.data, body.len);
    if (told == ZSTD_CONTENTSIZE_ERROR)
        return ERR_MALFORMED;
    size_t wanted = told == ZSTD_CONTENTSIZE_UNKNOWN ? WHOLE_FIRST_SIZE + 8 * body.len
                                                     : (size_t)(told > limit ? limit : told);
    ZSTD_DCtx *d = ZSTD_createDCtx();
    if (d == NULL)
        return ERR_NOMEM;
    enum err rc;
    for (;;) {
        uint8_t *to;
        size_t room;
        rc = whole_room(out, limit, wanted, &to, &room);
        if (rc != ERR_OK)
            break;
        size_t made = ZSTD_decompressDCtx(d, to, room, body.data, body.len);
        rc = ZSTD_isError(made) ? zstd_error(made) : ERR_OK;
        if (rc == ERR_OK)
            out->len += made;
        if (rc != ERR_LIMIT || room >= limit)
            break;
        wanted = room > limit / 2 ? limit : 2 * size_max(room, WHOLE_FIRST_SIZE);
    }
    ZSTD_freeDCtx(d);
    return rc;
}

/* Why a decoder gave up. */
static enum err brotli_error(const BrotliDecoderState *d, const struct library_memory *m)
{
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(d);
    bool memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                  code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
    if (!memory)
        return ERR_MALFORMED;
    return failure(m);
}

static enum err whole_brotli(struct bytes body, size_t limit, struct buffer *out)
{
    struct library_memory m = {.account = out->account};
    BrotliDecoderState *d = BrotliDecoderCreateInstance(counted_alloc, counted_free, &m);
    if (d == NULL)
        return failure(&m);
    enum err rc = ERR_OK;
    const uint8_t *in = body.data;
    size_t in_left = body.len;
    size_t made = 0;
    size_t wanted = WHOLE_FIRST_SIZE + 8 * size_min(body.len, MIB(2));
    for (bool more = true; more && rc == ERR_OK;) {
        uint8_t *to;
        size_t room;
        rc = whole_room(out, limit, size_max(wanted, made + 1), &to, &room);
        if (rc != ERR_OK)
            break;
        size_t out_left = room - made;
        uint8_t *at = to + made;
        BrotliDecoderResult result =
            BrotliDecoderDecompressStream(d, &in_left, &in, &out_left, &at, NULL);
        made = (size_t)(at - to);
        more = result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
        if (more && room >= limit)
            rc = ERR_LIMIT;
        else if (result == BROTLI_DECODER_RESULT_ERROR)
            rc = brotli_error(d, &m);
        else if (!more && (result != BROTLI_DECODER_RESULT_SUCCESS || in_left != 0))
            rc = ERR_MALFORMED;
        wanted = room > limit / 2 ? limit : 2 * room;
    }
    BrotliDecoderDestroyInstance(d);
    if (rc == ERR_OK)
        out->len += made;
    return rc;
}

enum err content_decode_whole(enum content_coding coding, struct bytes body, struct buffer *out,
                              struct errinfo *info)
{
    size_t left = out->max - out->len;
    size_t limit = size_min(left, INFLATE_WHOLE_MAX);
    enum err rc = ERR_OK;
    switch (coding) {
    case CODING_IDENTITY:
        if (body.len > limit)
            return too_large(info, coding, limit);
        buffer_put(out, body);
        rc = out->failed;
        break;
    case CODING_GZIP:
    case CODING_DEFLATE: rc = whole_inflate(coding, body, limit, out); break;
    case CODING_BR: rc = whole_brotli(body, limit, out); break;
    case CODING_ZSTD: rc = whole_zstd(body, limit, out); break;
    }
    out->failed = ERR_OK; /* a refusal is told once, the buffer may be used again */
    if (rc == ERR_MALFORMED)
        return damaged(info, coding);
    if (rc == ERR_LIMIT)
        return too_large(info, coding, limit);
    return rc == ERR_OK ? rc
                        : err_set(info, rc, "%s: no room to decode", content_coding_name(coding));
}

/* ---- stream ---- */

struct content_decoder {
    enum content_coding coding;
    struct library_memory memory;
    size_t size_max;
    size_t size;     /* decoded so far */
    size_t reserved; /* for what the library allocates itself */
    bool ended;      /* a member, frame or stream is complete; nothing was fed since */
    z_stream zlib;
    BrotliDecoderState *brotli;
    ZSTD_DCtx *zstd;
};

static enum err open_zlib(struct content_decoder *d)
{
    d->zlib.zalloc = zlib_alloc;
    d->zlib.zfree = zlib_free;
    d->zlib.opaque = &d->memory;
    int window = d->coding == CODING_GZIP ? 15 + 16 : 15; /* + 16: gzip header and trailer */
    int rc = inflateInit2(&d->zlib, window);
    return rc == Z_OK ? ERR_OK : failure(&d->memory);
}

static enum err open_zstd(struct content_decoder *d)
{
    if (d->memory.account != NULL)
        TRY(mem_account_reserve(d->memory.account, ZSTD_STREAM_SIZE));
    d->reserved = ZSTD_STREAM_SIZE;
    d->zstd = ZSTD_createDCtx();
    if (d->zstd == NULL)
        return ERR_NOMEM;
    size_t rc = ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    return ZSTD_isError(rc) ? ERR_UNSUPPORTED : ERR_OK;
}

static enum err open_coding(struct content_decoder *d)
{
    switch (d->coding) {
    case CODING_GZIP:
    case CODING_DEFLATE: return open_zlib(d);
    case CODING_BR:
        d->brotli = BrotliDecoderCreateInstance(counted_alloc, counted_free, &d->memory);
        return d->brotli == NULL ? failure(&d->memory) : ERR_OK;
    case CODING_ZSTD: return open_zstd(d);
    case CODING_IDENTITY: d->ended = true; break;
    }
    return ERR_OK;
}

enum err content_decoder_create(enum content_coding coding, size_t limit,
                                struct mem_account *account, struct content_decoder **ret,
                                struct errinfo *info)
{
    struct content_decoder *d = mem_zalloc(sizeof(*d));
    if (d == NULL)
        return err_set(info, ERR_NOMEM, "%s: no memory", content_coding_name(coding));
    d->coding = coding;
    d->memory.account = account;
    d->size_max = limit;
    enum err rc = open_coding(d);
    if (rc != ERR_OK) {
        content_decoder_destroy(d);
        return err_set(info, rc, "%s: no room for a decoder", content_coding_name(coding));
    }
    *ret = d;
    return ERR_OK;
}

static enum err feed_zlib(struct content_decoder *d, struct bytes in, size_t *ret_in, uint8_t *out,
                          size_t out_size, size_t *ret_out)
{
    z_stream *z = &d->zlib;
    if (d->ended) { /* only gzip may go on */
        if (d->coding != CODING_GZIP || inflateReset(z) != Z_OK)
            return ERR_MALFORMED;
        d->ended = false;
    }
    uInt in_size = (uInt)size_min(in.len, MIB(64));
    uInt out_room = (uInt)size_min(out_size, MIB(64));
    z->next_in = in.data;
    z->avail_in = in_size;
    z->next_out = out;
    z->avail_out = out_room;
    int rc = inflate(z, Z_NO_FLUSH);
    *ret_in = in_size - z->avail_in;
    *ret_out = out_room - z->avail_out;
    d->ended = rc == Z_STREAM_END;
    if (rc == Z_MEM_ERROR)
        return ERR_NOMEM;
    return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? ERR_OK : ERR_MALFORMED;
}

static enum err feed_brotli(struct content_decoder *d, struct bytes in, size_t *ret_in,
                            uint8_t *out, size_t out_size, size_t *ret_out)
{
    if (d->ended)
        return in.len == 0 ? ERR_OK : ERR_MALFORMED;
    const uint8_t *at = in.data;
    size_t in_left = in.len;
    size_t out_left = out_size;
    uint8_t *to = out;
    BrotliDecoderResult rc =
        BrotliDecoderDecompressStream(d->brotli, &in_left, &at, &out_left, &to, NULL);
    *ret_in = in.len - in_left;
    *ret_out = out_size - out_left;
    d->ended = rc == BROTLI_DECODER_RESULT_SUCCESS;
    return rc == BROTLI_DECODER_RESULT_ERROR ? brotli_error(d->brotli, &d->memory) : ERR_OK;
}

static enum err feed_zstd(struct content_decoder *d, struct bytes in, size_t *ret_in, uint8_t *out,
                          size_t out_size, size_t *ret_out)
{
    ZSTD_inBuffer from = {in.data, in.len, 0};
    ZSTD_outBuffer to = {.size = out_size};
    to.dst = out;
    size_t rc = ZSTD_decompressStream(d->zstd, &to, &from);
    *ret_in = from.pos;
    *ret_out = to.pos;
    if (!ZSTD_isError(rc))
        d->ended = rc == 0;
    return ZSTD_isError(rc) ? ERR_MALFORMED : ERR_OK;
}

static enum err feed_identity(struct bytes in, size_t *ret_in, uint8_t *out, size_t out_size,
                              size_t *ret_out)
{
    size_t len = size_min(in.len, out_size);
    if (len > 0)
        memcpy(out, in.data, len);
    *ret_in = len;
    *ret_out = len;
    return ERR_OK;
}

enum err content_decoder_feed(struct content_decoder *d, struct bytes in, size_t *ret_in,
                              uint8_t *out, size_t out_size, size_t *ret_out, struct errinfo *info)
{
    enum err rc = ERR_OK;
    *ret_in = 0;
    *ret_out = 0;
    if (d->ended && in.len == 0)
        return ERR_OK; /* nothing is left to come out */
    switch (d->coding) {
    case CODING_GZIP:
    case CODING_DEFLATE: rc = feed_zlib(d, in, ret_in, out, out_size, ret_out); break;
    case CODING_BR: rc = feed_brotli(d, in, ret_in, out, out_size, ret_out); break;
    case CODING_ZSTD: rc = feed_zstd(d, in, ret_in, out, out_size, ret_out); break;
    case CODING_IDENTITY: rc = feed_identity(in, ret_in, out, out_size, ret_out); break;
    }
    if (rc == ERR_NOMEM || rc == ERR_BUSY || rc == ERR_LIMIT) /* its state is lost with it */
        return err_set(info, ERR_NOMEM, "%s: no room for its window",
                       content_coding_name(d->coding));
    if (rc != ERR_OK)
        return damaged(info, d->coding);
    if (*ret_out > d->size_max - d->size)
        return too_large(info, d->coding, d->size_max);
    d->size += *ret_out;
    return ERR_OK;
}

enum err content_decoder_finish(struct content_decoder *d, struct errinfo *info)
{
    return d->ended ? ERR_OK : damaged(info, d->coding);
}

void content_decoder_destroy(struct content_decoder *d)
{
    if (d == NULL)
        return;
    if (d->zlib.state != NULL)
        inflateEnd(&d->zlib);
    if (d->brotli != NULL)
        BrotliDecoderDestroyInstance(d->brotli);
    ZSTD_freeDCtx(d->zstd);
    if (d->memory.account != NULL && d->reserved > 0)
        mem_account_release(d->memory.account, d->reserved);
    mem_free(d);
}
