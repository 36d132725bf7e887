/* fuzz_log.c - any bytes as the files of a data folder: opening never crashes, what is served can
 * be read or says what is wrong with it, and the folder opens again and takes an append.
 *
 * Input: u16 how many bytes of the rest are log 1 at most, the others are log 2.
 * Checksums are made right first, as far as the sizes make sense, so that what stands behind them
 * is reached too. */
#include <assert.h>

#include "base/log.h"
#include "storage/crc32c.h"
#include "storage/format.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

static void mend_batches(uint8_t *log, size_t size)
{
    size_t offset = FORMAT_LOG_HEADER_SIZE;
    while (size - offset >= FORMAT_BATCH_HEADER_SIZE) {
        uint8_t *header = log + offset;
        uint8_t place[8];
        struct reader r = reader_of(bytes_of(header, FORMAT_BATCH_HEADER_SIZE));
        (void)reader_take(&r, 16);
        uint32_t facts_size = reader_u32(&r);
        (void)reader_u32(&r);
        uint64_t blocks_size = reader_u64(&r);
        size_t left = size - offset - FORMAT_BATCH_HEADER_SIZE;
        if (facts_size > left)
            return;
        put_u64(place, offset);
        uint32_t seed = crc32c(crc32c(0, bytes_of(log + 16, 16)), bytes_of(place, 8));
        struct bytes facts = bytes_of(header + FORMAT_BATCH_HEADER_SIZE, facts_size);
        put_u32(header + 40, crc32c(seed, facts));
        put_u32(header + 44, crc32c(seed, bytes_of(header, 44)));
        if (blocks_size > left - facts_size)
            return;
        offset += FORMAT_BATCH_HEADER_SIZE + facts_size + (size_t)blocks_size;
    }
}

static void put_log(struct vfs_mem *disk, const char *path, const uint8_t *data, size_t size)
{
    static uint8_t log[1 << 20];
    if (size > sizeof log)
        size = sizeof log;
    memcpy(log, data, size);
    if (size >= FORMAT_LOG_HEADER_SIZE) {
        put_u32(log + 60, crc32c(0, bytes_of(log, 60)));
        mend_batches(log, size);
    }
    vfs_mem_put(disk, path, bytes_of(log, size));
}

static void read_everything(struct store *store)
{
    struct arena arena;
    struct project_summary *projects;
    size_t project_count;
    arena_init(&arena, 64 << 20, NULL);
    struct snapshot *snap = snapshot_acquire(store, NULL);
    assert(snapshot_list_projects(snap, &arena, &projects, &project_count) == ERR_OK);
    for (size_t i = 0; i < project_count; i++) {
        struct profiler_summary *profilers;
        size_t count;
        uint64_t project = projects[i].project_id;
        assert(snapshot_list_profilers(snap, project, &arena, &profilers, &count) == ERR_OK);
        for (size_t k = 0; k < count; k++) {
            struct row_list rows;
            assert(snapshot_find_chunks(snap, project, profilers[k].profiler_id, INT64_MIN,
                                        INT64_MAX, &arena, &rows) == ERR_OK);
            assert(rows.count == profilers[k].chunk_count);
            for (size_t n = 0; n < rows.count; n++) {
                struct arena own;
                struct profile p;
                arena_init(&own, 16 << 20, NULL);
                enum err rc = snapshot_read_profile(snap, rows.ids[n], &own, &p, NULL);
                assert(rc != ERR_OK || profile_check_shape(&p, NULL) == ERR_OK);
                arena_close(&own);
            }
        }
        struct link_list links;
        assert(snapshot_find_links(snap, project, INT64_MIN, INT64_MAX, &arena, &links) == ERR_OK);
        assert(links.count == projects[i].link_count);
    }
    snapshot_release(snap);
    arena_close(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t outstanding = mem_outstanding();
    log_set_level(LOG_NONE);
    struct vfs_mem *disk = vfs_mem_create();
    size_t first = (size_t)data[0] | (size_t)data[1] << 8;
    if (first > size - 2)
        first = size - 2;
    put_log(disk, "/data/log-0000000000000001", data + 2, first);
    if (first < size - 2)
        put_log(disk, "/data/log-0000000000000002", data + 2 + first, size - 2 - first);
    struct store_options options = {.vfs = vfs_mem_vfs(disk), .dir = "/data"};
    for (int again = 0; again < 2; again++) {
        struct store *store = NULL;
        enum err rc = store_open(&options, &store, NULL);
        assert(rc == ERR_OK || (again == 0 && (rc == ERR_UNSUPPORTED || rc == ERR_CORRUPT)));
        if (rc != ERR_OK)
            break;
        read_everything(store);
        assert(small_chunk_append(store, (struct small_chunk){7, 1}, NULL) == ERR_OK);
        struct snapshot *snap = snapshot_acquire(store, NULL);
        assert(small_chunk_find(snap, 7, NULL) == 1);
        snapshot_release(snap);
        store_close(store);
    }
    vfs_mem_destroy(disk);
    assert(mem_outstanding() == outstanding);
    return 0;
}
