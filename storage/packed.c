#include "storage/packed.h"

#include <assert.h>
#include <inttypes.h>

#include "base/size.h"

#define BLOCK_COUNT ((size_t)512) /* numbers handed to the file at once */

/* ---- writing ---- */

static unsigned width_of(uint64_t difference)
{
    unsigned width = 0;
    for (; difference > 0; difference >>= 8)
        width++;
    return width;
}

static void put_head(struct segment_file_writer *w, uint64_t base, unsigned width)
{
    uint8_t head[PACKED_HEAD_SIZE] = {0};
    put_u64(head, base);
    head[8] = (uint8_t)width;
    segment_file_put(w, bytes_of(head, sizeof head));
}

static void put_block(struct segment_file_writer *w, const uint64_t *values, size_t stride,
                      size_t count, uint64_t base, unsigned width)
{
    uint8_t block[BLOCK_COUNT * 8 + 8]; /* each number is stored whole, its zeros overwritten */
    for (size_t i = 0; i < count; i++)
        put_u64(block + i * width, values[i * stride] - base);
    segment_file_put(w, bytes_of(block, count * width));
}

void packed_put(struct segment_file_writer *w, enum format_section kind, const uint64_t *values,
                size_t stride, size_t count)
{
    static const uint8_t tail[PACKED_TAIL_SIZE];
    uint64_t least = count > 0 ? values[0] : 0;
    uint64_t most = least;
    for (size_t i = 1; i < count; i++) {
        uint64_t value = values[i * stride];
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    unsigned width = width_of(most - least);
    segment_file_begin(w, kind);
    put_head(w, least, width);
    for (size_t at = 0; at < count && width > 0; at += BLOCK_COUNT)
        put_block(w, values + at * stride, stride, size_min(count - at, BLOCK_COUNT), least, width);
    segment_file_put(w, bytes_of(tail, sizeof tail));
}

void sixteens_put_hash(struct segment_file_writer *w, struct hash128 hash)
{
    uint8_t to[16];
    put_u64(to, hash.lo);
    put_u64(to + 8, hash.hi);
    segment_file_put(w, bytes_of(to, sizeof to));
}

void sixteens_put_uuid(struct segment_file_writer *w, struct uuid id)
{
    segment_file_put(w, bytes_of(id.byte, sizeof id.byte));
}

/* ---- reading ---- */

static enum err find_section(const struct segment_file *f, enum format_section kind, size_t count,
                             struct segment_section *ret, struct errinfo *info)
{
    if (!segment_file_section(f, kind, ret))
        return err_set(info, ERR_CORRUPT, "no section %d", (int)kind);
    if (count > UINT32_MAX) /* a count that was read */
        return err_set(info, ERR_CORRUPT, "section %d: %zu items, over 32 bits", (int)kind, count);
    return ERR_OK;
}

static enum err wrong_size(struct segment_section s, enum format_section kind, size_t count,
                           struct errinfo *info)
{
    return err_set(info, ERR_CORRUPT, "section %d: %" PRIu64 " bytes do not hold %zu items",
                   (int)kind, s.size, count);
}

static bool all_zero(struct bytes b)
{
    assert(b.data != NULL || b.len == 0);
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] != 0)
            return false;
    return true;
}

static enum err read_head(const struct segment_file *f, struct segment_section s,
                          enum format_section kind, struct packed *ret, struct errinfo *info)
{
    struct bytes head = {0};
    TRY(segment_file_view(f, s.offset, PACKED_HEAD_SIZE, &head, info));
    struct reader r = reader_of(head);
    ret->base = reader_u64(&r);
    ret->width = reader_u8(&r);
    if (ret->width > 8 || !all_zero(bytes_from(head, 9)))
        return err_set(info, ERR_CORRUPT, "section %d: impossible head", (int)kind);
    ret->mask = ret->width == 0 ? 0 : UINT64_MAX >> (64 - 8 * ret->width);
    return ERR_OK;
}

enum err packed_open(const struct segment_file *f, enum format_section kind, size_t count,
                     struct packed *ret, struct errinfo *info)
{
    struct segment_section s = {0};
    struct packed p = {.file = f};
    struct bytes tail = {0};
    TRY(find_section(f, kind, count, &s, info));
    if (s.size < PACKED_HEAD_SIZE + PACKED_TAIL_SIZE)
        return wrong_size(s, kind, count, info);
    TRY(read_head(f, s, kind, &p, info));
    if (s.size != PACKED_HEAD_SIZE + (uint64_t)count * p.width + PACKED_TAIL_SIZE)
        return wrong_size(s, kind, count, info);
    TRY(segment_file_view(f, s.offset + s.size - PACKED_TAIL_SIZE, PACKED_TAIL_SIZE, &tail, info));
    if (!all_zero(tail))
        return err_set(info, ERR_CORRUPT, "section %d: its tail is not zero", (int)kind);
    p.offset = s.offset + PACKED_HEAD_SIZE;
    p.count = (uint32_t)count;
    *ret = p;
    return ERR_OK;
}

enum err sixteens_open(const struct segment_file *f, enum format_section kind, size_t count,
                       struct sixteens *ret, struct errinfo *info)
{
    struct segment_section s = {0};
    TRY(find_section(f, kind, count, &s, info));
    if (s.size != (uint64_t)count * 16)
        return wrong_size(s, kind, count, info);
    *ret = (struct sixteens){.file = f, .offset = s.offset, .count = (uint32_t)count};
    return ERR_OK;
}

bool sixteens_get_hash(const struct sixteens *s, uint32_t at, struct hash128 *ret)
{
    const uint8_t *from = sixteens_get(s, at);
    if (from == NULL)
        return false;
    struct reader r = reader_of(bytes_of(from, 16));
    ret->lo = reader_u64(&r);
    ret->hi = reader_u64(&r);
    return true;
}

bool sixteens_get_uuid(const struct sixteens *s, uint32_t at, struct uuid *ret)
{
    const uint8_t *from = sixteens_get(s, at);
    if (from == NULL)
        return false;
    memcpy(ret->byte, from, sizeof ret->byte);
    return true;
}
