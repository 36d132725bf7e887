/* row_set.h - a set of rows of a segment as bytes, as short as it can be.
 *
 *   u8 form, then
 *   1 rows:    bits: the number of rows less one; a bit list: the first row, then of each the rows
 *              passed over since the one before
 *   2 runs:    bits: the number of runs less one; two bit lists: of each run the rows passed over
 *              before it, less one for all but the first; of each its rows less one
 *   3 Roaring: the portable format (storage/bitmap.h); for sets of many runs, which are read
 *              quicker so
 *
 * Threads: one caller a bitmap and buffer.
 * Errors:  those of memory; reading also ERR_CORRUPT: a row at or above row_count, bytes left over.
 * Cost:    O(rows) of lists, else O(bytes).
 */
#ifndef HEARTH_STORAGE_ROW_SET_H
#define HEARTH_STORAGE_ROW_SET_H

#include "storage/bitmap.h"

struct row_run {
    uint32_t first;
    uint32_t count; /* > 0 */
};

/* Runs ascend, with gaps between them; at least one. */
enum err row_set_put(const struct row_run *runs, size_t count, uint32_t row_count,
                     struct buffer *out) MUST_CHECK;
/* `in` is one set; its rows, more of `rows`, which has the segment's row count. */
enum err row_set_get(struct bytes in, struct bitmap *rows, struct errinfo *info) MUST_CHECK;

#endif
