/* fuzz_segment_rows.c - any bytes as a segment file with rows and links: it opens or says why not,
 * and every question about its rows and links ends, with what is in range or ERR_CORRUPT.
 *
 * Checksums are made right first, as far as the sizes make sense, so that what stands behind them
 * is reached. */
#include <assert.h>
#include <stdlib.h>

#include "tests/support/rows_segment.h"
#include "tests/support/segment_mend.h"
#include "tests/support/vfs_mem.h"

#define PATH "/d/segment-0000000000000001"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t outstanding = mem_outstanding();
    struct vfs_mem *disk = vfs_mem_create();
    struct rows_segment s;
    struct errinfo info = {0};
    uint8_t *file = malloc(size + 1);
    assert(file != NULL);
    if (size > 0)
        memcpy(file, data, size);
    segment_mend(file, size);
    vfs_mem_put(disk, PATH, bytes_of(file, size));
    enum err rc = rows_segment_open(vfs_mem_vfs(disk), PATH, &s, &info);
    assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED);
    assert(rc == ERR_OK || info.text[0] != '\0');
    if (rc == ERR_OK)
        rows_segment_read_all(&s);
    rows_segment_close(&s);
    vfs_mem_destroy(disk);
    free(file);
    assert(mem_outstanding() == outstanding);
    return 0;
}
