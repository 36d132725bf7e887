/* test_log_index.c - the memory of the index, as its budget sees it; what it finds is tested by way
 * of the store. */
#include <criterion/criterion.h>

#include "storage/store.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

static struct store *open_store(struct vfs_mem *disk, struct mem_budget *budget)
{
    struct store_options options = {.vfs = vfs_mem_vfs(disk), .dir = "/data", .mem_budget = budget};
    struct store *store = NULL;
    struct errinfo info = {0};
    cr_assert_eq(store_open(&options, &store, &info), ERR_OK, "%s", info.text);
    return store;
}

Test(log_index, takes_its_share_of_the_budget_and_no_more)
{
    const size_t max = 1 << 20;
    struct mem_budget budget;
    struct errinfo info = {0};
    struct store_stats stats;
    unsigned rows = 0;
    struct vfs_mem *disk = vfs_mem_create();
    mem_budget_init(&budget, max);
    struct store *store = open_store(disk, &budget);
    enum err rc = ERR_OK;
    while (rc == ERR_OK && rows < 10000) {
        rc = small_chunk_append(store, (struct small_chunk){rows, 1}, &info);
        rows += rc == ERR_OK;
        store_get_stats(store, &stats);
        cr_assert_leq(stats.index_bytes, budget.used);
    }
    cr_assert_eq(rc, ERR_BUSY);
    cr_assert(strstr(info.text, "share of the memory") != NULL, "%s", info.text);
    cr_assert(budget.used <= max / 2 && budget.peak <= max / 2, "%zu", (size_t)budget.peak);
    cr_assert_gt(rows, 1400, "%u rows", rows); /* below 375 bytes a row, while tables double */
    struct snapshot *snap = snapshot_acquire(store, NULL);
    cr_assert_eq(small_chunk_find(snap, rows - 1, &info), 1, "%s", info.text);
    snapshot_release(snap);
    store_close(store);
    cr_assert_eq(budget.used, 0);

    store = open_store(disk, &budget); /* what fitted once fits again */
    store_get_stats(store, &stats);
    cr_assert_eq(stats.rows, rows);
    store_close(store);

    mem_budget_init(&budget, 100000);
    struct store_options options = {
        .vfs = vfs_mem_vfs(disk), .dir = "/data", .mem_budget = &budget};
    cr_assert_eq(store_open(&options, &store, &info), ERR_BUSY);
    cr_assert(strstr(info.text, "--memory-max") != NULL, "%s", info.text);
    cr_assert_eq(budget.used, 0);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* What was replaced while a snapshot was held does not wait for the next append. */
Test(log_index, memory_of_old_snapshots_goes_with_them)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct mem_budget budget;
    mem_budget_init(&budget, 64 << 20);
    struct store *store = open_store(disk, &budget);
    struct snapshot *snaps[4];
    size_t before = 0;
    for (unsigned n = 0; n < 400; n++) {
        if (n % 100 == 50)
            snaps[n / 100] = snapshot_acquire(store, NULL);
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){n, 1}, NULL), ERR_OK);
    }
    size_t blocks = mem_outstanding();
    before = budget.used;
    for (unsigned i = 0; i < 4; i++)
        snapshot_release(snaps[3 - i]);
    cr_assert_lt(mem_outstanding(), blocks - 4, "only the snapshots themselves are gone");
    cr_assert_lt(budget.used, before);
    store_close(store);
    vfs_mem_destroy(disk);
    cr_assert_eq(budget.used, 0);
    cr_assert_eq(mem_outstanding(), 0);
}
