/* packed.h - a column of numbers in a segment file, each reachable on its own.
 *
 *   u64 base | u8 width | 7 zero bytes | count * width bytes | 8 zero bytes
 *
 * A number is base + `width` bytes, little-endian; the width is the least that holds the largest
 * difference, 0 when all are equal. The eight bytes behind let a reader load a word anywhere.
 * Items of 16 bytes (ids, hashes) are a section of their own without a head: struct sixteens.
 *
 * Owns:    nothing; a column is valid as long as its file is open.
 * Threads: as segment_file.h.
 * Errors:  a get is false when the piece it is in is damaged; the caller says so upwards.
 * Cost:    opening looks at both ends; a get is two bit tests and a load.
 */
#ifndef HEARTH_STORAGE_PACKED_H
#define HEARTH_STORAGE_PACKED_H

#include "base/hash.h"
#include "storage/segment_file.h"

#define PACKED_HEAD_SIZE ((size_t)16)
#define PACKED_TAIL_SIZE ((size_t)8)

struct packed {
    const struct segment_file *file;
    uint64_t offset; /* of item 0 */
    uint64_t base;
    uint64_t mask; /* of the width */
    uint32_t count;
    uint32_t width;
};

/* A section of its own. `stride` counts uint64_t from one number to the next. */
void packed_put(struct segment_file_writer *w, enum format_section kind, const uint64_t *values,
                size_t stride, size_t count);
/* ERR_CORRUPT when there is no such section or it does not hold exactly `count` numbers. */
enum err packed_open(const struct segment_file *f, enum format_section kind, size_t count,
                     struct packed *ret, struct errinfo *info) MUST_CHECK;

/* at < count */
static inline bool packed_get(const struct packed *p, uint32_t at, uint64_t *ret)
{
    uint64_t word = 0;
    if (p->width > 0) {
        const uint8_t *from = segment_file_at(p->file, p->offset + (uint64_t)at * p->width, 8);
        if (from == NULL)
            return false;
        memcpy(&word, from, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
    }
    *ret = p->base + (word & p->mask);
    return true;
}

/* One item more of the section that has begun: hashes lo, then hi. */
void sixteens_put_hash(struct segment_file_writer *w, struct hash128 hash);
void sixteens_put_uuid(struct segment_file_writer *w, struct uuid id);

struct sixteens {
    const struct segment_file *file;
    uint64_t offset;
    uint32_t count;
};

/* ERR_CORRUPT as packed_open. */
enum err sixteens_open(const struct segment_file *f, enum format_section kind, size_t count,
                       struct sixteens *ret, struct errinfo *info) MUST_CHECK;
/* NULL: damaged. at < count */
static inline const uint8_t *sixteens_get(const struct sixteens *s, uint32_t at)
{
    return segment_file_at(s->file, s->offset + (uint64_t)at * 16, 16);
}
bool sixteens_get_hash(const struct sixteens *s, uint32_t at, struct hash128 *ret);
bool sixteens_get_uuid(const struct sixteens *s, uint32_t at, struct uuid *ret);

#endif
