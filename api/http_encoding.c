#include "api/http_encoding.h"

#include <zlib.h>
#include <zstd.h>

#include "base/limits.h"

#define GZIP_LEVEL  5 /* an answer is made once and read once: speed counts */
#define ZSTD_LEVEL  3
#define GZIP_MEMORY KIB(300)
#define ZSTD_MEMORY MIB(4) /* level 3 with an unknown size: window and tables */
#define OUT_STEP    KIB(32)

struct http_encoder {
    enum http_coding coding;
    struct mem_account *account;
    size_t reserved;
    z_stream gzip;
    ZSTD_CCtx *zstd;
};

/* "gzip;q=0.5": the name, and whether it is wanted at all. */
static bool accepts(struct bytes piece, struct bytes name)
{
    size_t semicolon = bytes_find_byte(piece, ';');
    if (!bytes_equal_nocase(bytes_trim(bytes_first(piece, semicolon)), name))
        return false;
    struct bytes weight = bytes_trim(bytes_from(piece, semicolon + 1));
    if (weight.len < 3 || (weight.data[0] | 0x20) != 'q')
        return true;
    for (size_t i = 2; i < weight.len; i++)
        if (weight.data[i] >= '1' && weight.data[i] <= '9')
            return true;
    return false;
}

enum http_coding http_coding_choose(struct bytes accept_encoding)
{
    enum http_coding best = HTTP_CODING_IDENTITY;
    while (accept_encoding.len > 0) {
        size_t comma = bytes_find_byte(accept_encoding, ',');
        struct bytes piece = bytes_first(accept_encoding, comma);
        accept_encoding = bytes_from(accept_encoding, comma + 1);
        if (accepts(piece, BYTES("zstd")))
            return HTTP_CODING_ZSTD;
        if (accepts(piece, BYTES("gzip")))
            best = HTTP_CODING_GZIP;
    }
    return best;
}

const char *http_coding_name(enum http_coding coding)
{
    switch (coding) {
    case HTTP_CODING_GZIP: return "gzip";
    case HTTP_CODING_ZSTD: return "zstd";
    case HTTP_CODING_IDENTITY: break;
    }
    return NULL;
}

bool http_coding_pays(const char *content_type)
{
    if (content_type == NULL)
        return false;
    struct bytes type = bytes_of_text(content_type);
    return bytes_starts_with(type, BYTES("text/")) ||
           bytes_starts_with(type, BYTES("application/json")) ||
           bytes_starts_with(type, BYTES("application/problem+json")) ||
           bytes_starts_with(type, BYTES("application/x-ndjson"));
}

static enum err start(struct http_encoder *e)
{
    if (e->coding == HTTP_CODING_ZSTD) {
        e->zstd = ZSTD_createCCtx();
        if (e->zstd == NULL)
            return ERR_NOMEM;
        size_t rc = ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
        return ZSTD_isError(rc) ? ERR_NOMEM : ERR_OK;
    }
    int rc = deflateInit2(&e->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    return rc == Z_OK ? ERR_OK : ERR_NOMEM;
}

enum err http_encoder_create(enum http_coding coding, struct mem_account *account,
                             struct http_encoder **ret)
{
    struct http_encoder *e = mem_zalloc(sizeof(*e));
    if (e == NULL)
        return ERR_NOMEM;
    e->coding = coding;
    e->account = account;
    size_t need = coding == HTTP_CODING_ZSTD ? ZSTD_MEMORY : GZIP_MEMORY;
    enum err rc = account == NULL ? ERR_OK : mem_account_reserve(account, need);
    if (rc == ERR_OK) {
        e->reserved = account == NULL ? 0 : need;
        rc = start(e);
    }
    if (rc != ERR_OK) {
        http_encoder_destroy(e);
        return rc;
    }
    *ret = e;
    return ERR_OK;
}

static enum err feed_zstd(struct http_encoder *e, struct bytes in, bool last, struct buffer *out)
{
    ZSTD_inBuffer from = {in.data, in.len, 0};
    for (;;) {
        TRY(buffer_reserve(out, OUT_STEP));
        ZSTD_outBuffer to = {out->data + out->len, OUT_STEP, 0};
        size_t left =
            ZSTD_compressStream2(e->zstd, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
        out->len += to.pos;
        if (ZSTD_isError(left))
            return ERR_NOMEM;
        if (last ? left == 0 : from.pos == from.size)
            return ERR_OK;
    }
}

static enum err feed_gzip(struct http_encoder *e, struct bytes in, bool last, struct buffer *out)
{
    union {
        const uint8_t *from;
        Bytef *to; /* zlib only reads; its field is not const */
    } input = {.from = in.data};
    e->gzip.next_in = input.to;
    e->gzip.avail_in = (uInt)in.len;
    for (;;) {
        TRY(buffer_reserve(out, OUT_STEP));
        e->gzip.next_out = out->data + out->len;
        e->gzip.avail_out = OUT_STEP;
        int rc = deflate(&e->gzip, last ? Z_FINISH : Z_NO_FLUSH);
        out->len += OUT_STEP - e->gzip.avail_out;
        if (rc == Z_STREAM_END || (!last && e->gzip.avail_in == 0))
            return ERR_OK;
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return ERR_NOMEM;
    }
}

enum err http_encoder_feed(struct http_encoder *e, struct bytes in, bool last, struct buffer *out)
{
    enum err rc = ERR_OK;
    do { /* zlib counts input in 32 bits */
        struct bytes piece = bytes_first(in, (size_t)1 << 30);
        in = bytes_from(in, piece.len);
        bool end = last && in.len == 0;
        rc = e->coding == HTTP_CODING_ZSTD ? feed_zstd(e, piece, end, out)
                                           : feed_gzip(e, piece, end, out);
    } while (rc == ERR_OK && in.len > 0);
    return rc;
}

void http_encoder_destroy(struct http_encoder *e)
{
    if (e == NULL)
        return;
    if (e->zstd != NULL)
        (void)ZSTD_freeCCtx(e->zstd);
    if (e->coding == HTTP_CODING_GZIP)
        (void)deflateEnd(&e->gzip);
    if (e->account != NULL)
        mem_account_release(e->account, e->reserved);
    mem_free(e);
}
