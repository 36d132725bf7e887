/* fault_append.c - whatever fails while chunks are appended, what was acknowledged stays. */
#include <criterion/criterion.h>

#include "base/log.h"
#include "tests/support/scale.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_crash.h"

#define CHUNKS 14

/* Small logs, so that closing and making them is inside the sweep. */
static enum err open_store(struct vfs *vfs, struct store **ret, struct errinfo *info)
{
    struct store_options options = {.vfs = vfs, .dir = "/data", .log_size_max = 1500};
    return store_open(&options, ret, info);
}

/* Chunks are numbered in pairs: the second of a pair replaces the first. */
static struct small_chunk nth_chunk(unsigned i)
{
    return (struct small_chunk){i / 2, 1 + i % 2};
}

/* Append all; acked[n] is the version acknowledged last, tried[n] the last one tried. */
struct expected {
    int acked[CHUNKS];
    int tried[CHUNKS];
};

static void append_all(struct store *s, struct expected *e)
{
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct small_chunk c = nth_chunk(i);
        e->tried[c.n] = (int)c.version;
        if (small_chunk_append(s, c, NULL) == ERR_OK)
            e->acked[c.n] = (int)c.version;
    }
}

/* The same without a sync a batch: what counts is what store_sync said is on the device. */
static void append_all_syncing(struct store *s, struct expected *e)
{
    struct expected since = {{0}, {0}};
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct small_chunk c = nth_chunk(i);
        e->tried[c.n] = (int)c.version;
        if (small_chunk_append(s, c, NULL) == ERR_OK)
            since.acked[c.n] = (int)c.version;
        if (i % 4 != 2 || store_sync(s, NULL) != ERR_OK)
            continue;
        for (unsigned n = 0; n < CHUNKS; n++)
            e->acked[n] = since.acked[n] == 0 ? e->acked[n] : since.acked[n];
    }
}

static void assert_holds(struct store *s, const struct expected *e, const char *what, unsigned nth)
{
    struct snapshot *snap = snapshot_acquire(s, NULL);
    for (unsigned n = 0; n < CHUNKS / 2; n++) {
        struct errinfo info = {0};
        int version = small_chunk_find(snap, n, &info);
        if (e->acked[n] == 0)
            cr_assert(version < 0 || version == e->tried[n] || version == 1,
                      "%s %u: chunk %u: %d %s", what, nth, n, version, info.text);
        else
            cr_assert(version == e->acked[n] || version == e->tried[n],
                      "%s at call %u: chunk %u is %d, acknowledged %d: %s", what, nth, n, version,
                      e->acked[n], info.text);
    }
    snapshot_release(snap);
}

/* Recovery leaves what can be opened, read and appended to again. */
static void reopen_and_append(struct vfs_crash *disk, const struct expected *e,
                              struct expected *ret_found, unsigned nth)
{
    struct store *store = NULL;
    struct errinfo info = {0};
    cr_assert_eq(open_store(&disk->fault.vfs, &store, &info), ERR_OK, "call %u: %s", nth,
                 info.text);
    assert_holds(store, e, "power cut", nth);
    cr_assert_eq(small_chunk_append(store, (struct small_chunk){50, 1}, &info), ERR_OK, "%s",
                 info.text);
    struct snapshot *snap = snapshot_acquire(store, NULL);
    for (unsigned n = 0; n < CHUNKS / 2; n++) {
        int version = small_chunk_find(snap, n, &info);
        ret_found->acked[n] = ret_found->tried[n] = version < 0 ? 0 : version;
    }
    snapshot_release(snap);
    store_close(store);
    cr_assert_eq(open_store(&disk->fault.vfs, &store, &info), ERR_OK, "call %u: %s", nth,
                 info.text);
    snap = snapshot_acquire(store, NULL);
    cr_assert_eq(small_chunk_find(snap, 50, &info), 1, "call %u: %s", nth, info.text);
    snapshot_release(snap);
    store_close(store);
}

Test(fault_append, acknowledged_chunks_survive_a_power_cut_at_any_call)
{
    log_set_level(LOG_NONE);
    struct rng rng = test_rng();
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        fired = 0;
        for (unsigned round = 0; round < test_scale(4); round++) {
            struct vfs_crash disk;
            struct store *store = NULL;
            struct expected e = {{0}, {0}};
            struct errinfo info = {0};
            vfs_crash_init(&disk, nth, rng_u64(&rng));
            if (open_store(&disk.fault.vfs, &store, &info) == ERR_OK) {
                append_all(store, &e);
                store_close(store);
            }
            fired |= vfs_crash_power_cut(&disk);
            struct expected found = {{0}, {0}};
            reopen_and_append(&disk, &e, &found, nth);
            (void)vfs_crash_power_cut(&disk); /* what was seen once is not lost later */
            reopen_and_append(&disk, &found, &found, nth);
            vfs_crash_close(&disk);
            cr_assert_eq(mem_outstanding(), 0);
        }
    }
}

/* Batches behind the last sync are kept, lost or torn one by one: those that are whole are served,
 * and none that is torn hides what was synced before. */
Test(fault_append, synced_chunks_survive_a_power_cut_at_any_call)
{
    log_set_level(LOG_NONE);
    struct rng rng = test_rng();
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        fired = 0;
        for (unsigned round = 0; round < test_scale(6); round++) {
            struct vfs_crash disk;
            struct store *store = NULL;
            struct expected e = {{0}, {0}};
            vfs_crash_init(&disk, nth, rng_u64(&rng));
            struct store_options options = {.vfs = &disk.fault.vfs,
                                            .dir = "/data",
                                            .log_size_max = 1500,
                                            .durability = DURABILITY_INTERVAL};
            if (store_open(&options, &store, NULL) == ERR_OK) {
                append_all_syncing(store, &e);
                if (round % 2 == 0)
                    store_close(store);
            }
            fired |= vfs_crash_power_cut(&disk);
            struct expected found = {{0}, {0}};
            reopen_and_append(&disk, &e, &found, nth);
            if (store != NULL && round % 2 != 0)
                store_close(store); /* its files are dead */
            vfs_crash_close(&disk);
            cr_assert_eq(mem_outstanding(), 0);
        }
    }
}

/* One call fails, the machine goes on: the next append works again, and nothing is lost. */
static void sweep_single_failures(enum err code)
{
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        struct vfs_mem *disk = vfs_mem_create();
        struct vfs_fault fault;
        struct store *store = NULL;
        struct expected e = {{0}, {0}};
        struct errinfo info = {0};
        vfs_fault_init(&fault, vfs_mem_vfs(disk), nth, code, FAULT_ONCE);
        enum err rc = open_store(&fault.vfs, &store, &info);
        if (rc != ERR_OK) {
            cr_assert(fault.fired, "call %u: %s", nth, info.text);
            rc = open_store(&fault.vfs, &store, &info);
            cr_assert_eq(rc, ERR_OK, "call %u: %s", nth, info.text);
        }
        append_all(store, &e);
        fired = fault.fired;
        fault.left = 0;
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){50, 1}, &info), ERR_OK, "%s",
                     info.text);
        for (int again = 0; again < 2; again++) {
            assert_holds(store, &e, "single failure", nth);
            struct snapshot *snap = snapshot_acquire(store, NULL);
            cr_assert_eq(small_chunk_find(snap, 50, &info), 1, "call %u: %s", nth, info.text);
            snapshot_release(snap);
            store_close(store);
            cr_assert_eq(open_store(vfs_mem_vfs(disk), &store, &info), ERR_OK, "call %u: %s", nth,
                         info.text);
        }
        store_close(store);
        vfs_mem_destroy(disk);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(fault_append, a_single_failed_call_loses_nothing)
{
    log_set_level(LOG_NONE);
    sweep_single_failures(ERR_IO);
    sweep_single_failures(ERR_NOSPACE);
}

Test(fault_append, a_full_disk_refuses_and_takes_more_when_there_is_room)
{
    log_set_level(LOG_NONE);
    for (uint64_t space = 64; space < 4000; space += 37) {
        struct vfs_mem *disk = vfs_mem_create();
        struct store *store = NULL;
        struct expected e = {{0}, {0}};
        struct errinfo info = {0};
        cr_assert_eq(open_store(vfs_mem_vfs(disk), &store, &info), ERR_OK, "%s", info.text);
        vfs_mem_set_space(disk, space);
        for (unsigned i = 0; i < CHUNKS; i++) {
            struct small_chunk c = nth_chunk(i);
            enum err rc = small_chunk_append(store, c, &info);
            cr_assert(rc == ERR_OK || rc == ERR_NOSPACE, "%s", info.text);
            if (rc == ERR_OK)
                e.acked[c.n] = e.tried[c.n] = (int)c.version;
        }
        assert_holds(store, &e, "full disk", (unsigned)space);
        vfs_mem_set_space(disk, 0);
        append_all(store, &e);
        for (unsigned n = 0; n < CHUNKS / 2; n++)
            cr_assert_eq(e.acked[n], 2, "space %u", (unsigned)space);
        store_close(store);
        cr_assert_eq(open_store(vfs_mem_vfs(disk), &store, &info), ERR_OK, "%s", info.text);
        assert_holds(store, &e, "full disk, reopened", (unsigned)space);
        store_close(store);
        vfs_mem_destroy(disk);
    }
    cr_assert_eq(mem_outstanding(), 0);
}
