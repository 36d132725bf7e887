/* test_recovery.c - what tests/fault/fault_recovery.c does not sweep: old versions and gaps. */
#include <criterion/criterion.h>

#include "base/log.h"
#include "storage/log_index.h"
#include "storage/recovery.h"
#include "tests/support/file.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

static struct store *open_store(struct vfs_mem *disk)
{
    struct store_options options = {.vfs = vfs_mem_vfs(disk), .dir = "/data"};
    struct store *store = NULL;
    struct errinfo info = {0};
    cr_assert_eq(store_open(&options, &store, &info), ERR_OK, "%s", info.text);
    return store;
}

/* Encode what was read once more: equal bytes are a duplicate, so reader and writer agree. */
static void write_again(struct store *store, struct snapshot *snap, row_id row)
{
    struct arena arena;
    struct buffer out;
    struct profile p;
    struct errinfo info = {0};
    arena_init(&arena, 16 << 20, NULL);
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(snapshot_read_profile(snap, row, &arena, &p, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(record_encode_profile(&p, &out, &info), ERR_OK, "%s", info.text);
    struct bytes record = buffer_bytes(&out);
    cr_assert_eq(store_append(store, &record, 1, &info), ERR_OK, "%s", info.text);
    buffer_close(&out);
    arena_close(&arena);
}

static void write_all_again(struct store *store, struct snapshot *snap)
{
    struct arena arena;
    struct project_summary *projects;
    size_t project_count;
    arena_init(&arena, 16 << 20, NULL);
    cr_assert_eq(snapshot_list_projects(snap, &arena, &projects, &project_count), ERR_OK);
    for (size_t i = 0; i < project_count; i++) {
        uint64_t project = projects[i].project_id;
        struct profiler_summary *profilers;
        struct row_list rows;
        size_t count;
        cr_assert_eq(snapshot_find_profiles(snap, project, INT64_MIN, INT64_MAX, &arena, &rows),
                     ERR_OK);
        for (size_t n = 0; n < rows.count; n++)
            write_again(store, snap, rows.ids[n]);
        cr_assert_eq(snapshot_list_profilers(snap, project, &arena, &profilers, &count), ERR_OK);
        for (size_t k = 0; k < count; k++) {
            cr_assert_eq(snapshot_find_chunks(snap, project, profilers[k].profiler_id, INT64_MIN,
                                              INT64_MAX, &arena, &rows),
                         ERR_OK);
            for (size_t n = 0; n < rows.count; n++)
                write_again(store, snap, rows.ids[n]);
        }
    }
    arena_close(&arena);
}

/* tests/golden/log-v1: small chunks 0 to 4, then one batch of four random profiles and a link. */
Test(recovery, version_1_is_still_read)
{
    char path[1024];
    struct bytes golden;
    struct errinfo info = {0};
    struct store_stats stats;
    cr_assert(source_path(path, sizeof path, "tests/golden/log-v1"));
    cr_assert(file_read(path, &golden));
    struct vfs_mem *disk = vfs_mem_create();
    vfs_mem_put(disk, "/data/log-0000000000000001", golden);
    struct store *store = open_store(disk);
    store_get_stats(store, &stats);
    cr_assert_eq(stats.rows, 9);
    struct snapshot *snap = snapshot_acquire(store, NULL);
    for (unsigned n = 0; n < 5; n++)
        cr_assert_eq(small_chunk_find(snap, n, &info), 1, "%s", info.text);
    write_all_again(store, snap);
    store_get_stats(store, &stats);
    cr_assert_eq(stats.duplicates, 9);
    cr_assert_eq(stats.batches, 0);

    struct arena arena;
    struct link_list links;
    arena_init(&arena, 1 << 20, NULL);
    cr_assert_eq(snapshot_find_links_of_trace(snap, 2, small_id(9), &arena, &links), ERR_OK);
    cr_assert_eq(links.count, 1);
    cr_assert(links.links[0].span_id == 4 && bytes_equal(links.links[0].name, BYTES("GET /")));
    arena_close(&arena);
    snapshot_release(snap);
    store_close(store);
    vfs_mem_destroy(disk);
    file_free(&golden);
}

Test(recovery, foreign_files_are_left_alone_and_gaps_are_survived)
{
    log_set_level(LOG_NONE);
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    vfs_mem_put(disk, "/data/notes.txt", BYTES("mine"));
    vfs_mem_put(disk, "/data/log-1", BYTES("no log of ours"));
    for (unsigned n = 0; n < 3; n++) {
        struct store *store = open_store(disk);
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){n, 1}, NULL), ERR_OK);
        store_close(store);
    }
    cr_assert_eq(v->rename(v, "/data/log-0000000000000001", "/data/log-0000000000000005", NULL),
                 ERR_OK);
    struct store *store = open_store(disk); /* log 5 holds log 1: set aside, never overwritten */
    struct store_stats stats;
    store_get_stats(store, &stats);
    cr_assert_eq(stats.rows, 0);
    cr_assert_eq(small_chunk_append(store, (struct small_chunk){9, 1}, NULL), ERR_OK);
    store_close(store);
    cr_assert_gt(vfs_mem_get(disk, "/data/log-0000000000000005").len, 0);
    cr_assert_gt(vfs_mem_get(disk, "/data/log-0000000000000006").len, 0);
    cr_assert(bytes_equal(vfs_mem_get(disk, "/data/notes.txt"), BYTES("mine")));
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}
