/* fuzz_manifest.c - any bytes as a manifest: never a crash, and what is read can be written and read
 * again, equal.
 *
 * The bytes are tried as they are, then with size and checksum made right, so that what stands
 * behind them is reached too. */
#include <assert.h>

#include "storage/crc32c.h"
#include "storage/format.h"
#include "tests/support/random_manifest.h"
#include "tests/support/vfs_mem.h"

static void mend(uint8_t *raw, size_t size)
{
    if (size < FORMAT_MANIFEST_HEADER_SIZE + 4)
        return;
    put_u64(raw + 16, size);
    put_u32(raw + size - 4, crc32c(0, bytes_of(raw, size - 4)));
}

static void read_and_write(struct bytes raw)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct manifest m;
    struct manifest back;
    struct errinfo info = {0};
    vfs_mem_put(disk, "/d/manifest", raw);
    enum err rc = manifest_read(v, "/d", &m, &info);
    assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED);
    assert((rc == ERR_OK) == (info.text[0] == '\0'));
    if (rc == ERR_OK) {
        rc = manifest_write(v, "/d", &m, NULL);
        assert(rc == ERR_OK);
        rc = manifest_read(v, "/d", &back, NULL);
        assert(rc == ERR_OK && manifest_is_equal(&m, &back));
        manifest_close(&back);
        manifest_close(&m);
    }
    vfs_mem_destroy(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t raw[1 << 20];
    size_t outstanding = mem_outstanding();
    if (size > sizeof raw)
        return 0;
    read_and_write(bytes_of(data, size));
    memcpy(raw, data, size);
    mend(raw, size);
    read_and_write(bytes_of(raw, size));
    assert(mem_outstanding() == outstanding);
    return 0;
}
