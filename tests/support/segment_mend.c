#include "tests/support/segment_mend.h"

#include "storage/crc32c.h"
#include "storage/format.h"

#define PIECE_SIZE FORMAT_SEGMENT_PIECE_SIZE

static uint64_t get_u64(const uint8_t *from)
{
    struct reader r = reader_of(bytes_of(from, 8));
    return reader_u64(&r);
}

/* Where the footer begins; 0: there is none. *ret_index: where the checksums do, or 0. */
static size_t find_footer(const uint8_t *file, size_t size, size_t *ret_index)
{
    if (size < FORMAT_SEGMENT_HEADER_SIZE + FORMAT_SEGMENT_FOOTER_SIZE)
        return 0;
    size_t footer = size - FORMAT_SEGMENT_FOOTER_SIZE;
    uint64_t index = get_u64(file + footer);
    bool fits = index >= FORMAT_SEGMENT_HEADER_SIZE && index <= footer;
    *ret_index = fits ? (size_t)index : 0;
    return footer;
}

static uint32_t seed_of(const uint8_t *file)
{
    return crc32c(0, bytes_of(file + 16, 16));
}

void segment_mend_index(uint8_t *file, size_t size)
{
    size_t index;
    size_t footer = find_footer(file, size, &index);
    if (footer == 0)
        return;
    if (index > 0)
        put_u32(file + footer + 28, crc32c(seed_of(file), bytes_of(file + index, footer - index)));
    put_u32(file + footer + 60, crc32c(seed_of(file), bytes_of(file + footer, 60)));
}

void segment_mend(uint8_t *file, size_t size)
{
    size_t index;
    size_t footer = find_footer(file, size, &index);
    if (footer == 0)
        return;
    put_u32(file + 60, crc32c(0, bytes_of(file, 60)));
    for (size_t offset = 0, n = 0; offset < index && n < (footer - index) / 4; n++) {
        uint8_t place[8];
        put_u64(place, n);
        uint32_t crc = crc32c(seed_of(file), bytes_of(place, sizeof place));
        struct bytes piece = bytes_first(bytes_of(file + offset, index - offset), PIECE_SIZE);
        put_u32(file + index + n * 4, crc32c(crc, piece));
        offset += piece.len;
    }
    segment_mend_index(file, size);
}
