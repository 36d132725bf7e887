/* fault_nomem.c - any allocation may fail: the store says so and is as it was. */
#include <criterion/criterion.h>

#include "base/log.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

static struct store *open_store(struct vfs_mem *disk)
{
    struct store_options options = {.vfs = vfs_mem_vfs(disk), .dir = "/data", .log_size_max = 1500};
    struct store *store = NULL;
    struct errinfo info = {0};
    cr_assert_eq(store_open(&options, &store, &info), ERR_OK, "%s", info.text);
    return store;
}

static int find(struct store *s, unsigned n)
{
    struct errinfo info = {0};
    struct snapshot *snap = snapshot_acquire(s, NULL);
    int version = small_chunk_find(snap, n, &info);
    snapshot_release(snap);
    return version;
}

Test(fault_nomem, appending_is_all_or_nothing)
{
    log_set_level(LOG_NONE);
    struct vfs_mem *disk = vfs_mem_create();
    struct store *store = open_store(disk);
    unsigned refused = 0;
    for (unsigned n = 0; n < 90; n++) {
        struct buffer out;
        struct errinfo info = {0};
        cr_assert_eq(small_chunk_encode((struct small_chunk){n, 1}, &out, &info), ERR_OK);
        struct bytes record = buffer_bytes(&out);
        enum err rc = ERR_NOMEM;
        for (unsigned nth = 1; rc == ERR_NOMEM; nth++) {
            mem_fail_at(nth);
            rc = store_append(store, &record, 1, &info);
            mem_fail_at(0);
            if (rc == ERR_NOMEM)
                cr_assert_eq(find(store, n), -1, "allocation %u", nth);
            refused += rc == ERR_NOMEM;
        }
        cr_assert_eq(rc, ERR_OK, "%s", info.text);
        cr_assert_eq(find(store, n), 1);
        buffer_close(&out);
    }
    cr_assert_gt(refused, 180);
    store_close(store);
    store = open_store(disk);
    for (unsigned n = 0; n < 90; n++)
        cr_assert_eq(find(store, n), 1);
    store_close(store);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(fault_nomem, encoding_opening_and_reading_give_everything_back)
{
    log_set_level(LOG_NONE);
    struct vfs_mem *disk = vfs_mem_create();
    struct store *store = open_store(disk);
    struct errinfo info = {0};
    for (unsigned n = 0; n < 20; n++)
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){n, 1}, &info), ERR_OK);
    store_close(store);
    size_t held = mem_outstanding();
    cr_assert_eq(held, 0);

    enum err rc = ERR_NOMEM;
    for (unsigned nth = 1; rc == ERR_NOMEM; nth++) { /* encode */
        struct buffer out;
        mem_fail_at(nth);
        rc = small_chunk_encode((struct small_chunk){1, 1}, &out, &info);
        mem_fail_at(0);
        cr_assert(rc == ERR_OK || out.len == 0);
        buffer_close(&out);
        cr_assert_eq(mem_outstanding(), 0, "allocation %u", nth);
    }
    cr_assert_eq(rc, ERR_OK, "%s", info.text);

    rc = ERR_NOMEM;
    for (unsigned nth = 1; rc == ERR_NOMEM; nth++) { /* open */
        struct store_options options = {.vfs = vfs_mem_vfs(disk), .dir = "/data"};
        mem_fail_at(nth);
        rc = store_open(&options, &store, &info);
        mem_fail_at(0);
        if (rc != ERR_OK)
            cr_assert_eq(mem_outstanding(), 0, "allocation %u", nth);
    }
    cr_assert_eq(rc, ERR_OK, "%s", info.text);
    held = mem_outstanding();

    int version = -2;
    for (unsigned nth = 1; version == -2; nth++) { /* read */
        struct snapshot *snap = snapshot_acquire(store, NULL);
        mem_fail_at(nth);
        version = small_chunk_find(snap, 3, &info);
        mem_fail_at(0);
        snapshot_release(snap);
        cr_assert_eq(mem_outstanding(), held, "allocation %u", nth);
    }
    cr_assert_eq(version, 1);
    store_close(store);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}
