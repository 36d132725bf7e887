/* fault_upkeep.c - whatever fails while logs are sealed, segments merged and dropped: what was
 * acknowledged stays, nothing is there twice, and upkeep goes on afterwards. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/identity.h"
#include "tests/support/scale.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_crash.h"

#define CHUNKS 12

static enum err open_store(struct vfs *vfs, struct store **ret, struct errinfo *info)
{
    struct store_options options = {.vfs = vfs,
                                    .dir = "/data",
                                    .log_size_max = 1200,
                                    .retention_days = 90,
                                    .frame_rules = &engine_frame_rules};
    return store_open(&options, ret, info);
}

/* acked[n]: the version of chunk n acknowledged last; tried[n]: the one tried last. */
struct expected {
    int acked[CHUNKS];
    int tried[CHUNKS];
};

static void append(struct store *s, unsigned n, unsigned version, struct expected *e)
{
    e->tried[n] = (int)version;
    if (small_chunk_append(s, (struct small_chunk){n, version}, NULL) == ERR_OK)
        e->acked[n] = (int)version;
}

static void upkeep(struct store *s, bool everything)
{
    struct store_upkeep u = {.everything = everything};
    bool did = true;
    while (did && store_upkeep(s, &u, &did, NULL) == ERR_OK)
        ;
}

/* Appends, replacements of what is in a log and of what is sealed already, and upkeep between. */
static void work(struct store *s, struct expected *e)
{
    for (unsigned n = 0; n < CHUNKS / 2; n++)
        append(s, n, 1, e);
    upkeep(s, true);
    append(s, 1, 2, e); /* hides a sealed row, from the open log */
    for (unsigned n = CHUNKS / 2; n < CHUNKS; n++)
        append(s, n, 1, e);
    append(s, 2, 2, e);
    append(s, CHUNKS - 1, 2, e);
    upkeep(s, false);
    append(s, 1, 3, e);
    upkeep(s, true);
}

static void assert_holds(struct store *s, const struct expected *e, const char *what, unsigned nth)
{
    struct snapshot *snap = snapshot_acquire(s, NULL);
    struct arena arena;
    arena_init(&arena, 1 << 20, NULL);
    for (unsigned n = 0; n < CHUNKS; n++) {
        struct errinfo info = {0};
        int version = small_chunk_find(snap, n, &info);
        /* what was torn unacknowledged may be found without its block */
        int least = e->acked[n] == 0 ? 1 : e->acked[n];
        bool right =
            (version >= least && version <= e->tried[n]) || (e->acked[n] == 0 && version < 0);
        cr_assert(right, "%s at call %u: chunk %u is %d, acknowledged %d, tried %d: %s", what, nth,
                  n, version, e->acked[n], e->tried[n], info.text);
    }
    for (unsigned p = 0; p < 4; p++) { /* nothing twice */
        struct row_list rows;
        cr_assert_eq(
            snapshot_find_chunks(snap, 2, small_id(p), INT64_MIN, INT64_MAX, &arena, &rows),
            ERR_OK);
        cr_assert_leq(rows.count, (CHUNKS + 3) / 4, "%s at call %u: profiler %u has %zu rows", what,
                      nth, p, rows.count);
        for (size_t i = 1; i < rows.count; i++) {
            struct row a;
            struct row b;
            cr_assert_eq(snapshot_row(snap, rows.ids[i - 1], &a), ERR_OK);
            cr_assert_eq(snapshot_row(snap, rows.ids[i], &b), ERR_OK);
            cr_assert(!uuid_equal(a.id, b.id), "%s at call %u: a chunk is there twice", what, nth);
        }
    }
    arena_close(&arena);
    snapshot_release(snap);
}

static void assert_all(struct store *s, const char *what, unsigned nth)
{
    struct store_stats stats;
    store_get_stats(s, &stats);
    cr_assert_eq(stats.segments_aside, 0, "%s at call %u", what, nth);
}

Test(fault_upkeep, acknowledged_chunks_survive_a_power_cut_at_any_call)
{
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    struct rng rng = test_rng();
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        fired = 0;
        for (unsigned round = 0; round < test_scale(2); round++) {
            struct vfs_crash disk;
            struct store *store = NULL;
            struct expected e = {{0}, {0}};
            struct errinfo info = {0};
            vfs_crash_init(&disk, nth, rng_u64(&rng));
            if (open_store(&disk.fault.vfs, &store, &info) == ERR_OK) {
                work(store, &e);
                store_close(store);
            }
            fired |= vfs_crash_power_cut(&disk);
            cr_assert_eq(open_store(&disk.fault.vfs, &store, &info), ERR_OK, "call %u: %s", nth,
                         info.text);
            assert_holds(store, &e, "power cut", nth);
            assert_all(store, "power cut", nth);
            upkeep(store, true);
            assert_holds(store, &e, "upkeep after a power cut", nth);
            store_close(store);
            (void)vfs_crash_power_cut(&disk);
            cr_assert_eq(open_store(&disk.fault.vfs, &store, &info), ERR_OK, "call %u: %s", nth,
                         info.text);
            assert_holds(store, &e, "second power cut", nth);
            assert_all(store, "second power cut", nth);
            store_close(store);
            vfs_crash_close(&disk);
            cr_assert_eq(mem_outstanding(), 0);
        }
    }
}

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
        if (rc != ERR_OK)
            rc = open_store(&fault.vfs, &store, &info);
        cr_assert_eq(rc, ERR_OK, "call %u: %s", nth, info.text);
        work(store, &e);
        assert_holds(store, &e, "single failure", nth);
        upkeep(store, true);
        assert_holds(store, &e, "upkeep after a failure", nth);
        store_close(store);
        fired = fault.fired;
        cr_assert_eq(open_store(vfs_mem_vfs(disk), &store, &info), ERR_OK, "call %u: %s", nth,
                     info.text);
        assert_holds(store, &e, "reopened after a failure", nth);
        store_close(store);
        vfs_mem_destroy(disk);
        cr_assert_eq(mem_outstanding(), 0);
    }
}

Test(fault_upkeep, a_failed_call_costs_nothing)
{
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    sweep_single_failures(ERR_IO);
}

Test(fault_upkeep, a_full_disk_costs_nothing)
{
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    sweep_single_failures(ERR_NOSPACE);
}

Test(fault_upkeep, an_allocation_that_fails_costs_nothing)
{
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    for (size_t nth = 1, fired = 1; fired != 0; nth++) {
        struct vfs_mem *disk = vfs_mem_create();
        struct store *store = NULL;
        struct expected e = {{0}, {0}};
        struct errinfo info = {0};
        cr_assert_eq(open_store(vfs_mem_vfs(disk), &store, &info), ERR_OK, "%s", info.text);
        for (unsigned n = 0; n < CHUNKS; n++)
            append(store, n, 1, &e);
        append(store, 3, 2, &e);
        struct store_upkeep u = {.everything = true};
        bool did = true;
        enum err rc = ERR_OK;
        mem_fail_at(nth);
        while (did && rc == ERR_OK)
            rc = store_upkeep(store, &u, &did, &info);
        mem_fail_at(0);
        fired = rc != ERR_OK;
        cr_assert(rc == ERR_OK || rc == ERR_NOMEM, "allocation %zu: %d %s", nth, (int)rc,
                  info.text);
        assert_holds(store, &e, "allocation", (unsigned)nth);
        upkeep(store, true);
        assert_holds(store, &e, "upkeep after an allocation", (unsigned)nth);
        store_close(store);
        vfs_mem_destroy(disk);
        cr_assert_eq(mem_outstanding(), 0, "allocation %zu", nth);
    }
}
