/* fuzz_segment_file.c - any bytes as a segment file: it opens or says why not; every section that
 * opening let through can be viewed, and as a column of numbers or ids; verifying agrees with what
 * the views found.
 *
 * Input: a byte, then the file. Unless the byte is 0, checksums are made right first, as far as the
 * sizes make sense, so that what stands behind them is reached too. */
#include <assert.h>
#include <stdlib.h>

#include "storage/bits.h"
#include "storage/packed.h"
#include "tests/support/segment_mend.h"
#include "tests/support/vfs_mem.h"

#define PATH     "/d/segment-0000000000000001"
#define KIND_MAX 256u

static void read_packed(const struct segment_file *f, enum format_section kind, struct bytes all)
{
    struct packed p;
    unsigned width = all.len < PACKED_HEAD_SIZE ? 9 : all.data[8];
    size_t room = all.len - PACKED_HEAD_SIZE - PACKED_TAIL_SIZE; /* wraps where width is 9 */
    size_t count = width == 0 ? 5 : room / width;                /* any count fits a width of 0 */
    if (packed_open(f, kind, count, &p, NULL) != ERR_OK)
        return;
    assert(width <= 8 && all.len >= PACKED_HEAD_SIZE + PACKED_TAIL_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value;
        assert(packed_get(&p, i, &value));
    }
}

static void read_sixteens(const struct segment_file *f, enum format_section kind, struct bytes all)
{
    struct sixteens s;
    struct hash128 hash;
    struct uuid id;
    if (sixteens_open(f, kind, all.len / 16, &s, NULL) != ERR_OK)
        return;
    for (uint32_t i = 0; i < all.len / 16; i++)
        assert(sixteens_get_hash(&s, i, &hash) && sixteens_get_uuid(&s, i, &id));
}

static void read_bits(struct bytes in)
{
    struct bits_reader r = {.in = in};
    uint64_t values[16];
    while (!r.failed)
        bits_get_list(&r, values, 16);
    assert(r.at <= (uint64_t)in.len * 8);
}

/* Whether all of its pieces are right. */
static bool read_section(const struct segment_file *f, enum format_section kind)
{
    struct segment_section s = {0};
    struct bytes all = {0};
    struct errinfo info = {0};
    if (!segment_file_section(f, kind, &s))
        return true;
    assert(s.offset % FORMAT_SEGMENT_ALIGN == 0 && s.size <= f->checked_size - s.offset);
    enum err rc = segment_file_view(f, s.offset, s.size, &all, &info);
    assert(rc == ERR_OK ? all.len == s.size : rc == ERR_CORRUPT && info.text[0] != '\0');
    if (rc != ERR_OK)
        return false;
    read_packed(f, kind, all);
    read_sixteens(f, kind, all);
    read_bits(all);
    return true;
}

static void read_everything(const struct segment_file *f)
{
    bool right = true;
    for (unsigned kind = 0; kind < KIND_MAX; kind++)
        right &= read_section(f, (enum format_section)kind);
    assert(segment_file_is_damaged(f) == !right);
    enum err rc = segment_file_verify(f, NULL);
    assert(right || rc == ERR_CORRUPT);
    assert(segment_file_is_damaged(f) == (rc != ERR_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t outstanding = mem_outstanding();
    struct vfs_mem *disk = vfs_mem_create();
    struct segment_file *f = NULL;
    struct errinfo info = {0};
    uint8_t *file = malloc(size); /* one more than it needs: never none */
    assert(file != NULL);
    memcpy(file, data + 1, size - 1);
    if (data[0] != 0)
        segment_mend(file, size - 1);
    vfs_mem_put(disk, PATH, bytes_of(file, size - 1));
    enum err rc = segment_file_open(vfs_mem_vfs(disk), PATH, NULL, &f, &info);
    assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED);
    assert((rc == ERR_OK) == (info.text[0] == '\0'));
    if (rc == ERR_OK)
        read_everything(f);
    segment_file_close(f);
    vfs_mem_destroy(disk);
    free(file);
    assert(mem_outstanding() == outstanding);
    return 0;
}
