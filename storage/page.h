/* page.h - one run of bytes on disk: LZ4 where that pays, sealed by a checksum.
 *
 *   u32 stored size | u32 raw size | u32 crc32c | stored bytes
 *
 * Equal sizes mean that the bytes are stored as they are. The checksum covers both sizes and the
 * stored bytes and starts from a seed that says whose page this is, so that a page read from the
 * wrong place fails too.
 */
#ifndef HEARTH_STORAGE_PAGE_H
#define HEARTH_STORAGE_PAGE_H

#include "base/arena.h"
#include "base/buffer.h"

/* Puts header and stored bytes. ERR_LIMIT when `raw` is over PAGE_RAW_MAX, or as buffer.h. */
enum err page_seal(struct bytes raw, uint32_t seed, struct buffer *out,
                   struct errinfo *info) MUST_CHECK;
/* `in` is exactly one page. */
enum err page_verify(struct bytes in, uint32_t seed, size_t *ret_raw_size, struct bytes *ret_stored,
                     struct errinfo *info) MUST_CHECK;
/* Verified and unpacked; a page stored as it is gives a view into `in`. */
enum err page_unpack(struct bytes in, uint32_t seed, struct arena *arena, struct bytes *ret,
                     struct errinfo *info) MUST_CHECK;

#endif
