/* bitmap.h - a set of rows of one part, as a Roaring bitmap.
 *
 * Rows are numbers below the count that a set was created with; sets that are combined have the
 * same count. In memory rows are lists or bits, 65536 of them at a time; saved, they are in the
 * portable Roaring format with runs, so that other implementations can read them.
 *
 * CRoaring takes its memory straight from the C library, and 0.2.66, which distributions package,
 * lets nobody step in between. When it gets none, only creating, copying and some of the reading say
 * so; all else aborts or goes astray. So a set is admitted for the most that any set of its rows can
 * take, with what combining needs beside it, when it is created; and before each call that may grow
 * it as much is taken through base/mem.h and given back. What remains is memory that other threads
 * take away between those two moments.
 *
 * Owns:    its memory. The account is borrowed and outlives it.
 * Threads: one caller at a time; readers (contains, next, read, count, save) may be many.
 * Errors:  ERR_BUSY, ERR_LIMIT, ERR_NOMEM when there is no memory: the set is as before. Loading
 *          trusts nothing: ERR_CORRUPT says what was expected and where.
 * Cost:    up to 8 bytes a row below 2048 rows, a quarter of a byte a row and less in large ones,
 *          whatever is in it; combining is O(rows / 64) at most.
 */
#ifndef HEARTH_STORAGE_BITMAP_H
#define HEARTH_STORAGE_BITMAP_H

#include "base/buffer.h"

struct bitmap;

/* Empty. `account` NULL: not counted. */
enum err bitmap_create(uint32_t row_count, struct mem_account *account,
                       struct bitmap **ret) MUST_CHECK;
void bitmap_destroy(struct bitmap *b); /* NULL is fine */
uint32_t bitmap_row_count(const struct bitmap *b);
struct mem_account *bitmap_account(const struct bitmap *b);

/* row < row_count */
enum err bitmap_add(struct bitmap *b, uint32_t row) MUST_CHECK;
/* In any order; many at once cost much less than one by one. */
enum err bitmap_add_rows(struct bitmap *b, const uint32_t *rows, size_t count) MUST_CHECK;
/* Rows [first, end); end <= row_count. */
enum err bitmap_add_range(struct bitmap *b, uint32_t first, uint32_t end) MUST_CHECK;
/* `b` becomes what is in either, in both, in `b` alone. */
enum err bitmap_or(struct bitmap *b, const struct bitmap *other) MUST_CHECK;
enum err bitmap_and(struct bitmap *b, const struct bitmap *other) MUST_CHECK;
enum err bitmap_andnot(struct bitmap *b, const struct bitmap *other) MUST_CHECK;

bool bitmap_contains(const struct bitmap *b, uint32_t row);
uint32_t bitmap_count(const struct bitmap *b);
/* The first row that is `row` or behind it; false: there is none. */
bool bitmap_next(const struct bitmap *b, uint32_t row, uint32_t *ret);
/* Up to `max` rows from `row` on, ascending; how many. */
size_t bitmap_read(const struct bitmap *b, uint32_t row, uint32_t *ret, size_t max);

/* In the portable format, appended. */
enum err bitmap_save(const struct bitmap *b, struct buffer *out) MUST_CHECK;
/* `in` is one set and nothing else, of rows below row_count. */
enum err bitmap_load(struct bytes in, uint32_t row_count, struct mem_account *account,
                     struct bitmap **ret, struct errinfo *info) MUST_CHECK;

#endif
