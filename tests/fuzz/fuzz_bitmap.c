/* fuzz_bitmap.c - any bytes as a set of rows: never a crash, and what is read is in range, in order,
 * and comes back when it is saved.
 *
 * The first two bytes say how many rows there are, the third whether the rest is a set of a segment
 * or a bare bitmap. */
#include <assert.h>

#include "storage/bitmap.h"
#include "storage/row_set.h"

static void use(struct bitmap *b, uint32_t row_count)
{
    struct buffer saved;
    struct bitmap *back = NULL;
    uint32_t row = 0;
    uint32_t count = 0;
    for (uint32_t from = 0; bitmap_next(b, from, &row); from = row + 1, count++)
        assert(row >= from && row < row_count && bitmap_contains(b, row));
    assert(count == bitmap_count(b));
    buffer_init(&saved, SIZE_MAX, NULL);
    enum err rc = bitmap_save(b, &saved);
    assert(rc == ERR_OK);
    rc = bitmap_load(buffer_bytes(&saved), row_count, NULL, &back, NULL);
    assert(rc == ERR_OK && bitmap_count(back) == count);
    rc = bitmap_andnot(back, b);
    assert(rc == ERR_OK && bitmap_count(back) == 0);
    bitmap_destroy(back);
    buffer_close(&saved);
}

static void as_bitmap(struct bytes in, uint32_t row_count)
{
    struct bitmap *b = NULL;
    struct errinfo info = {0};
    enum err rc = bitmap_load(in, row_count, NULL, &b, &info);
    assert(rc == ERR_OK || rc == ERR_CORRUPT);
    assert((rc == ERR_OK) == (info.text[0] == '\0'));
    if (rc == ERR_OK)
        use(b, row_count);
    bitmap_destroy(b);
}

static void as_set(struct bytes in, uint32_t row_count)
{
    struct bitmap *rows = NULL;
    struct errinfo info = {0};
    enum err rc = bitmap_create(row_count, NULL, &rows);
    assert(rc == ERR_OK);
    rc = row_set_get(in, rows, &info);
    assert(rc == ERR_OK || rc == ERR_CORRUPT);
    assert((rc == ERR_OK) == (info.text[0] == '\0'));
    if (rc == ERR_OK)
        use(rows, row_count);
    bitmap_destroy(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(bytes_of(data, size));
    uint32_t row_count = (uint32_t)reader_u16(&r) * 4; /* up to four containers */
    bool set = (reader_u8(&r) & 1) != 0;
    size_t outstanding = mem_outstanding();
    if (r.failed)
        return 0;
    struct bytes in = bytes_of(r.at, reader_left(&r));
    if (set)
        as_set(in, row_count);
    else
        as_bitmap(in, row_count);
    assert(mem_outstanding() == outstanding);
    return 0;
}
