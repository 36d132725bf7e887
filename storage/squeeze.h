/* squeeze.h - a run of bytes through zstd where that pays.
 *
 *   varint: 2 * raw size, plus 1 when compressed | the bytes, or one zstd frame
 *
 * Where it ends is the caller's to know.
 *
 * Errors: of the buffer or arena; ERR_CORRUPT for what is no frame of that size.
 * Memory: what zstd needs is reserved from the account while it works.
 */
#ifndef HEARTH_STORAGE_SQUEEZE_H
#define HEARTH_STORAGE_SQUEEZE_H

#include "base/arena.h"
#include "base/buffer.h"

#define SQUEEZE_LEVEL 6 /* of texts and JSON: above it, time grows faster than what is saved */

enum err squeeze_put(struct bytes raw, struct buffer *out, struct errinfo *info) MUST_CHECK;
/* `in` is exactly one; a run stored as it is gives a view into it. */
enum err squeeze_get(struct bytes in, size_t raw_max, struct arena *arena, struct bytes *ret,
                     struct errinfo *info) MUST_CHECK;

#endif
