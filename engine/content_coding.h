/* content_coding.h - undo the Content-Encoding of an upload, whole or piece by piece.
 *
 * Whole: for bodies that are all there and decode to at most INFLATE_WHOLE_MAX; the fastest way.
 * Stream: pieces in, pieces out, for everything larger and for bodies that still arrive.
 *
 * Owns:   a decoder its state (window: 32 KiB gzip, up to 16 MiB brotli, 8 MiB zstd), allocated
 *         through base/mem.h and counted against the account where the library lets us.
 * Errors: ERR_MALFORMED: damaged, cut short, or bytes after the end; ERR_LIMIT: decodes to more
 *         than the ceiling; ERR_BUSY, ERR_NOMEM: no room. A bomb costs no more than the ceiling.
 */
#ifndef HEARTH_ENGINE_CONTENT_CODING_H
#define HEARTH_ENGINE_CONTENT_CODING_H

#include "base/buffer.h"

enum content_coding {
    CODING_IDENTITY,
    CODING_GZIP,    /* also x-gzip; several members in a row are one body */
    CODING_DEFLATE, /* zlib wrapper, RFC 1950 */
    CODING_BR,
    CODING_ZSTD
};

/* Of a header value: letter case and blanks around do not matter; empty, "utf-8" and whatever is
 * unknown mean no coding. */
enum content_coding content_coding_parse(struct bytes header);
const char *content_coding_name(enum content_coding coding);

/* Appends the decoded body to `out`, whose ceiling (`out->max`, or INFLATE_WHOLE_MAX when lower)
 * holds: ERR_LIMIT beyond. After a failure `out` is as it was, and a stream decoder may be tried
 * from the start. */
enum err content_decode_whole(enum content_coding coding, struct bytes body, struct buffer *out,
                              struct errinfo *info) MUST_CHECK;

struct content_decoder;

/* `limit`: ceiling of all decoded bytes together. ERR_BUSY may be tried again. */
enum err content_decoder_create(enum content_coding coding, size_t limit,
                                struct mem_account *account, struct content_decoder **ret,
                                struct errinfo *info) MUST_CHECK;
/* Decode from `in` into `out`, as far as one of them lasts. *ret_in and *ret_out: bytes used and
 * made, at least one of them > 0 unless `in` is empty and nothing is left to come out. Call again
 * with the rest of `in` while `out` came back full. ERR_NOMEM also when the budget has no room for
 * the window that the body asks for: unlike ERR_BUSY that is final. */
enum err content_decoder_feed(struct content_decoder *d, struct bytes in, size_t *ret_in,
                              uint8_t *out, size_t out_size, size_t *ret_out,
                              struct errinfo *info) MUST_CHECK;
/* The coded body ended here, all of it was fed: ERR_MALFORMED when it is cut short. */
enum err content_decoder_finish(struct content_decoder *d, struct errinfo *info) MUST_CHECK;
void content_decoder_destroy(struct content_decoder *d); /* NULL is fine */

#endif
