#include <stdio.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/identity.h"
#include "storage/backup.h"
#include "storage/check.h"
#include "tests/support/scale.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_crash.h"
#include "tests/support/vfs_meddle.h"

#define CHUNKS 40
#define LOG_1  "/data/log-0000000000000001"

/* ---- a folder that is written to ---- */

struct rig {
    struct vfs_mem *disk;
    struct store *store;
    struct store_options options;
    int acked[CHUNKS]; /* version of chunk n acknowledged last; 0: none */
    int tried[CHUNKS]; /* the one tried last */
};

static void rig_open_store(struct rig *r)
{
    struct errinfo info = {{0}};
    cr_assert_eq(store_open(&r->options, &r->store, &info), ERR_OK, "%s", info.text);
}

static struct rig rig_on(struct vfs_mem *disk)
{
    struct rig r = {.disk = disk};
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000)); /* small chunks are of the first hour of 1970 */
    r.options = (struct store_options){.vfs = vfs_mem_vfs(disk),
                                       .dir = "/data",
                                       .log_size_max = 1500,
                                       .retention_days = 90,
                                       .frame_rules = &engine_frame_rules};
    rig_open_store(&r);
    return r;
}

static struct rig rig_make(void)
{
    return rig_on(vfs_mem_create());
}

static void rig_close(struct rig *r)
{
    store_close(r->store);
    vfs_mem_destroy(r->disk);
    clock_set_wall(0);
    cr_assert_eq(mem_outstanding(), 0);
}

static void append(struct rig *r, unsigned n, unsigned version)
{
    r->tried[n] = (int)version;
    if (small_chunk_append(r->store, (struct small_chunk){n, version}, NULL) == ERR_OK)
        r->acked[n] = (int)version;
}

static void upkeep(struct rig *r, bool everything)
{
    struct store_upkeep u = {.everything = everything};
    bool did = true;
    while (did && store_upkeep(r->store, &u, &did, NULL) == ERR_OK)
        ;
}

static void fill_logs(struct rig *r)
{
    for (unsigned n = 0; n < 10; n++)
        append(r, n, 1);
    append(r, 3, 2);
}

/* Segments with hidden rows, closed logs, and one that is open. */
static void fill(struct rig *r)
{
    fill_logs(r);
    upkeep(r, true);
    for (unsigned n = 8; n < 16; n++)
        append(r, n, 2);
    upkeep(r, false);
    for (unsigned n = 14; n < 20; n++)
        append(r, n, 3);
}

/* ---- the copy ---- */

static enum err backup(struct vfs *vfs, bool copy, struct backup_result *ret, struct errinfo *info)
{
    struct backup_options options = {.vfs = vfs, .from = "/data", .to = "/copy", .copy = copy};
    return backup_run(&options, ret, info);
}

static void on_file(void *self, const struct check_file *file)
{
    for (size_t i = 0; i < file->problem_count; i++)
        cr_assert_fail("%s: %s: %s", (const char *)self, file->name, file->problems[i].what.text);
}

/* Nothing in it is worth a word, and a store on it has at least these versions. */
static void assert_copy(struct vfs *vfs, const int acked[CHUNKS], const int tried[CHUNKS],
                        const char *what)
{
    struct errinfo info = {{0}};
    struct check_result checked;
    char self[64];
    (void)snprintf(self, sizeof self, "%s", what);
    struct check_options check = {.vfs = vfs, .dir = "/copy", .self = self, .on_file = on_file};
    cr_assert_eq(check_run(&check, &checked, &info), ERR_OK, "%s: %s", what, info.text);
    struct store *store = NULL;
    struct store_stats stats;
    struct store_options options = {.vfs = vfs, .dir = "/copy", .read_only = true};
    cr_assert_eq(store_open(&options, &store, &info), ERR_OK, "%s: %s", what, info.text);
    store_get_stats(store, &stats);
    cr_assert_eq(stats.damaged_bytes + stats.segments_aside, 0, "%s", what);
    struct snapshot *snap = snapshot_acquire(store, NULL);
    for (unsigned n = 0; n < CHUNKS; n++) {
        int version = small_chunk_find(snap, n, &info);
        bool right = acked[n] == 0 ? version == -1 || (version > 0 && version <= tried[n])
                                   : version >= acked[n] && version <= tried[n];
        cr_assert(right, "%s: chunk %u is %d, acknowledged %d, tried %d: %s", what, n, version,
                  acked[n], tried[n], info.text);
    }
    snapshot_release(snap);
    store_close(store);
}

/* No store opens there, or there is nothing. */
static void assert_no_copy(struct vfs_mem *disk, struct vfs *vfs, size_t files_before,
                           const char *what)
{
    struct store *store = NULL;
    struct errinfo info = {{0}};
    struct store_options options = {.vfs = vfs, .dir = "/copy", .read_only = true};
    if (vfs_mem_file_count(disk) == files_before)
        return;
    enum err rc = store_open(&options, &store, &info);
    store_close(store);
    cr_assert_eq(rc, ERR_CORRUPT, "%s: a copy that did not finish is served", what);
    cr_assert_not_null(strstr(info.text, "manifest: "), "%s: %s", what, info.text);
}

static void assert_backs_up(struct rig *r, bool copy, struct backup_result *ret)
{
    struct errinfo info = {{0}};
    cr_assert_eq(backup(r->options.vfs, copy, ret, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(ret->missing, 0);
    assert_copy(r->options.vfs, r->acked, r->tried, "quiet");
}

Test(backup, has_what_the_folder_has)
{
    struct backup_result result;
    struct rig r = rig_make();
    assert_backs_up(&r, false, &result); /* nothing at all */
    cr_assert_eq(result.logs + result.linked + result.copied, 0);
    rig_close(&r);
    r = rig_make();
    fill_logs(&r);
    assert_backs_up(&r, false, &result);
    cr_assert_gt(result.logs, 1);
    cr_assert_eq(result.generation, 0);
    rig_close(&r);
    r = rig_make();
    fill(&r);
    assert_backs_up(&r, false, &result);
    cr_assert_gt(result.linked, 1);
    cr_assert_gt(result.generation, 0);
    rig_close(&r);
    r = rig_make();
    fill(&r);
    upkeep(&r, true);
    assert_backs_up(&r, true, &result);
    cr_assert_eq(result.linked, 0);
    cr_assert_gt(result.copied, 0);
    rig_close(&r);
}

Test(backup, a_copy_goes_on_like_the_folder_it_was_made_of)
{
    struct rig r = rig_make();
    struct backup_result result;
    fill(&r);
    assert_backs_up(&r, false, &result);
    store_close(r.store);
    r.options.dir = "/copy";
    rig_open_store(&r);
    append(&r, 2, 9);
    append(&r, 30, 1);
    upkeep(&r, true);
    store_close(r.store);
    r.store = NULL;
    assert_copy(r.options.vfs, r.acked, r.tried, "goes on");
    rig_close(&r);
}

Test(backup, keys_come_along_and_locks_do_not)
{
    struct rig r = rig_make();
    struct backup_result result;
    fill_logs(&r);
    vfs_mem_put(r.disk, "/data/keys", BYTES("some keys\n"));
    assert_backs_up(&r, false, &result);
    cr_assert(bytes_equal(vfs_mem_get(r.disk, "/copy/keys"), BYTES("some keys\n")));
    cr_assert_null(vfs_mem_get(r.disk, "/copy/lock").data);
    rig_close(&r);
}

Test(backup, a_folder_that_is_not_empty_is_left_alone)
{
    struct rig r = rig_make();
    struct backup_result result;
    struct errinfo info = {{0}};
    fill(&r);
    vfs_mem_put(r.disk, "/copy/mine", BYTES("precious"));
    size_t files = vfs_mem_file_count(r.disk);
    cr_assert_eq(backup(r.options.vfs, false, &result, &info), ERR_MALFORMED);
    cr_assert_str_eq(info.text, "/copy is not empty: there is mine");
    cr_assert_eq(vfs_mem_file_count(r.disk), files);
    rig_close(&r);
}

Test(backup, a_folder_of_somebody_else_is_refused)
{
    struct rig r = rig_make();
    struct backup_result result;
    struct errinfo info = {{0}};
    store_close(r.store);
    r.store = NULL;
    cr_assert_eq(r.options.vfs->remove(r.options.vfs, "/data/lock", NULL), ERR_OK);
    vfs_mem_put(r.disk, "/data/letters", BYTES("dear"));
    cr_assert_eq(backup(r.options.vfs, false, &result, &info), ERR_NOTFOUND);
    cr_assert_not_null(strstr(info.text, "/data is no data folder"), "%s", info.text);
    cr_assert_eq(vfs_mem_file_count(r.disk), 1);
    rig_close(&r);
}

Test(backup, a_segment_that_is_missing_is_told)
{
    struct rig r = rig_make();
    struct backup_result result;
    fill_logs(&r);
    upkeep(&r, true);
    for (unsigned number = 0; number < 9; number++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/data/segment-%016x", number);
        (void)r.options.vfs->remove(r.options.vfs, path, NULL);
    }
    cr_assert_eq(backup(r.options.vfs, false, &result, NULL), ERR_OK);
    cr_assert_eq(result.missing, 1);
    rig_close(&r);
}

Test(backup, damage_is_copied_as_it_is)
{
    struct rig r = rig_make();
    struct backup_result result;
    struct store_stats stats;
    fill_logs(&r);
    store_close(r.store);
    static uint8_t bytes[4096];
    struct bytes log = vfs_mem_get(r.disk, LOG_1);
    memcpy(bytes, log.data, log.len);
    bytes[70] ^= 1; /* the first batch's header */
    vfs_mem_put(r.disk, LOG_1, bytes_of(bytes, log.len));
    cr_assert_eq(backup(r.options.vfs, false, &result, NULL), ERR_OK);
    r.options.dir = "/copy";
    rig_open_store(&r);
    store_get_stats(r.store, &stats);
    cr_assert_eq(stats.damaged_batches, 1);
    cr_assert_eq(stats.rows, 9);
    rig_close(&r);
}

static bool stop_later(void *self, uint64_t bytes_done, uint64_t bytes_total)
{
    unsigned *left = self;
    cr_assert_leq(bytes_done, bytes_total);
    return --*left > 0;
}

Test(backup, one_that_is_given_up_leaves_nothing)
{
    struct rig r = rig_make();
    struct backup_result result;
    fill(&r);
    size_t files = vfs_mem_file_count(r.disk);
    for (unsigned left = 1; left < 3; left++) {
        unsigned count = left;
        struct backup_options options = {.vfs = r.options.vfs,
                                         .from = "/data",
                                         .to = "/copy",
                                         .copy = true,
                                         .self = &count,
                                         .on_progress = stop_later};
        cr_assert_eq(backup_run(&options, &result, NULL), ERR_CANCELED);
        cr_assert_eq(vfs_mem_file_count(r.disk), files);
    }
    rig_close(&r);
}

/* ---- somebody writes meanwhile ---- */

enum meddling { APPEND, REPLACE, SEAL, MERGE, MERGE_TWICE, REOPEN, MEDDLING_COUNT, DROP };

struct meddler {
    struct rig *rig;
    enum meddling what; /* at call `at` */
    unsigned at;        /* 0: anything, at any call */
    unsigned done;
    struct rng rng;
};

static void meddle(struct meddler *m, enum meddling what)
{
    struct rig *r = m->rig;
    unsigned fresh = 20 + m->done++ % 20;
    switch (what) {
    case APPEND: append(r, fresh, (unsigned)r->tried[fresh] + 1); break;
    case REPLACE: append(r, 1, (unsigned)r->tried[1] + 1); break;
    case SEAL: upkeep(r, false); break;
    case MERGE: upkeep(r, true); break;
    case MERGE_TWICE:
        append(r, fresh, (unsigned)r->tried[fresh] + 1);
        upkeep(r, true);
        append(r, 2, (unsigned)r->tried[2] + 1);
        upkeep(r, true);
        break;
    case REOPEN:
        store_close(r->store);
        rig_open_store(r);
        break;
    case DROP: /* everything that is sealed */
        store_set_disk_max(r->store, 1);
        upkeep(r, true);
        break;
    case MEDDLING_COUNT: break;
    }
}

static void before_call(void *self, unsigned call)
{
    struct meddler *m = self;
    if (m->at == call)
        meddle(m, m->what);
    else if (m->at == 0 && rng_chance(&m->rng, 20))
        meddle(m, (enum meddling)rng_below(&m->rng, MEDDLING_COUNT));
}

/* The number of calls. What was dropped need not be there. */
static unsigned assert_meddled(enum meddling what, unsigned at, bool copy, uint64_t seed)
{
    struct rig r = rig_make();
    struct meddler m = {.rig = &r, .what = what, .at = at, .rng = rng_seeded(seed)};
    struct vfs_meddle disk;
    struct backup_result result;
    struct errinfo info = {{0}};
    int acked[CHUNKS];
    char text[64];
    fill(&r);
    memcpy(acked, r.acked, sizeof acked);
    if (what == DROP)
        memset(acked, 0, sizeof acked);
    vfs_meddle_init(&disk, r.options.vfs, &m, before_call);
    enum err rc = backup(&disk.vfs, copy, &result, &info);
    (void)snprintf(text, sizeof text, "%d at call %u, seed %llu", (int)what, at,
                   (unsigned long long)seed);
    cr_assert(rc == ERR_OK || (rc == ERR_BUSY && at == 0), "%s: %s", text, info.text);
    if (rc == ERR_OK) {
        cr_assert_eq(result.missing, 0, "%s", text);
        assert_copy(r.options.vfs, acked, r.tried, text);
    }
    rig_close(&r);
    return disk.calls;
}

Test(backup, whatever_happens_to_the_folder_at_any_call)
{
    for (int what = APPEND; what <= DROP; what++)
        for (int copy = 0; copy < 2; copy++)
            for (unsigned at = 1, calls = 1; at <= calls; at++)
                calls = assert_meddled((enum meddling)what, at, copy == 1, 0);
}

Test(backup, whatever_happens_to_the_folder_at_many_calls)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(30); round++)
        (void)assert_meddled(APPEND, 0, round % 2 == 1, rng_u64(&rng));
}

/* A batch whose sync failed is cut off again; it was whole, and not acknowledged. */
struct cutter {
    struct vfs *vfs;
    uint64_t size;
    unsigned at;
};

static void cut(void *self, unsigned call)
{
    struct cutter *c = self;
    struct vfs_file *f = NULL;
    if (call != c->at)
        return;
    cr_assert_eq(c->vfs->open(c->vfs, LOG_1, VFS_APPEND, &f, NULL), ERR_OK);
    cr_assert_eq(c->vfs->truncate(c->vfs, f, c->size, NULL), ERR_OK);
    c->vfs->close(c->vfs, f);
}

Test(backup, a_log_that_is_cut_at_any_call)
{
    for (unsigned at = 1, calls = 1; at <= calls; at++) {
        struct rig r = rig_make();
        struct vfs_meddle disk;
        struct backup_result result;
        struct errinfo info = {{0}};
        append(&r, 1, 1);
        append(&r, 2, 1);
        struct cutter c = {r.options.vfs, vfs_mem_get(r.disk, LOG_1).len, at};
        append(&r, 3, 1);
        r.acked[3] = 0;
        vfs_meddle_init(&disk, r.options.vfs, &c, cut);
        cr_assert_eq(backup(&disk.vfs, false, &result, &info), ERR_OK, "call %u: %s", at,
                     info.text);
        assert_copy(r.options.vfs, r.acked, r.tried, "cut");
        calls = disk.calls;
        rig_close(&r);
    }
}

/* ---- failures ---- */

static void sweep(enum err code, enum vfs_fault_then then, bool copy)
{
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        struct rig r = rig_make();
        struct vfs_fault disk;
        struct backup_result result;
        char text[64];
        (void)snprintf(text, sizeof text, "call %u", nth);
        fill(&r);
        vfs_mem_put(r.disk, "/data/keys", BYTES("some keys\n"));
        size_t files = vfs_mem_file_count(r.disk);
        vfs_fault_init(&disk, r.options.vfs, nth, code, then);
        enum err rc = backup(&disk.vfs, copy, &result, NULL);
        fired = disk.fired;
        cr_assert(fired || rc == ERR_OK);
        struct bytes manifest = vfs_mem_get(r.disk, "/copy/manifest");
        bool whole = bytes_starts_with(manifest, BYTES("HEARTHMF"));
        if (rc == ERR_OK && result.missing > 0)
            cr_assert_eq(code, ERR_NOTFOUND); /* which is said */
        else if (rc == ERR_OK || whole)
            assert_copy(r.options.vfs, r.acked, r.tried, text);
        else
            assert_no_copy(r.disk, r.options.vfs, files, text);
        rig_close(&r);
    }
}

Test(backup, a_call_that_fails_leaves_a_whole_copy_or_none)
{
    sweep(ERR_IO, FAULT_ONCE, false);
    sweep(ERR_IO, FAULT_ONCE, true);
    sweep(ERR_NOSPACE, FAULT_ONCE, true);
    sweep(ERR_NOTFOUND, FAULT_ONCE, false);
}

Test(backup, a_device_that_fails_leaves_a_whole_copy_or_one_that_is_refused)
{
    sweep(ERR_IO, FAULT_FOREVER, false);
    sweep(ERR_IO, FAULT_FOREVER, true);
}

static void leave_alone(void *self, unsigned call)
{
    (void)self;
    (void)call;
}

static enum err refuse_link(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    (void)v;
    (void)to;
    return err_set(info, ERR_UNSUPPORTED, "%s: link: another device", from);
}

Test(backup, where_links_cannot_be_segments_are_copied)
{
    struct rig r = rig_make();
    struct vfs_meddle disk;
    struct backup_result result;
    fill(&r);
    vfs_meddle_init(&disk, r.options.vfs, NULL, leave_alone);
    disk.vfs.link = refuse_link;
    cr_assert_eq(backup(&disk.vfs, false, &result, NULL), ERR_OK);
    cr_assert_eq(result.linked, 0);
    cr_assert_gt(result.copied, 1);
    assert_copy(r.options.vfs, r.acked, r.tried, "no links");
    rig_close(&r);
}

Test(backup, without_memory_there_is_no_copy)
{
    for (unsigned nth = 1, reached = 1; reached; nth++) {
        struct rig r = rig_make();
        struct backup_result result;
        fill(&r);
        size_t files = vfs_mem_file_count(r.disk);
        mem_fail_at(nth);
        enum err rc = backup(r.options.vfs, false, &result, NULL);
        reached = mem_fail_left() == 0;
        mem_fail_at(0);
        cr_assert(rc == ERR_OK || rc == ERR_NOMEM, "allocation %u: %s", nth, err_text(rc));
        if (rc == ERR_OK)
            assert_copy(r.options.vfs, r.acked, r.tried, "memory");
        else
            assert_no_copy(r.disk, r.options.vfs, files, "memory");
        rig_close(&r);
    }
}

static enum err count_name(void *self, const char *name)
{
    (void)name;
    ++*(unsigned *)self;
    return ERR_OK;
}

/* The power goes at any call: what is left is whole, refused, or nothing. */
Test(backup, a_power_cut_at_any_call_leaves_no_part_that_is_served)
{
    struct rng rng = test_rng();
    unsigned refused = 0;
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        struct rig r = rig_make();
        struct vfs_fault disk;
        struct backup_result result;
        struct errinfo info = {{0}};
        struct store_options options = {.vfs = r.options.vfs, .dir = "/copy", .read_only = true};
        unsigned names = 0;
        fill(&r);
        vfs_fault_init(&disk, r.options.vfs, nth, ERR_IO, FAULT_FOREVER);
        enum err rc = backup(&disk.vfs, nth % 2 == 1, &result, NULL);
        fired = disk.fired;
        store_close(r.store);
        r.store = NULL;
        vfs_mem_power_cut(r.disk, &rng);
        cr_assert_eq(r.options.vfs->list(r.options.vfs, "/copy", &names, count_name, NULL), ERR_OK);
        if (rc == ERR_OK ||
            bytes_starts_with(vfs_mem_get(r.disk, "/copy/manifest"), BYTES("HEARTHMF"))) {
            assert_copy(r.options.vfs, r.acked, r.tried, "whole");
        } else if (names > 0) {
            cr_assert_eq(store_open(&options, &r.store, &info), ERR_CORRUPT, "call %u", nth);
            refused++;
        }
        rig_close(&r);
    }
    cr_assert_gt(refused, 10);
}

/* It is on the device when it is done, whatever the durability of the server. */
Test(backup, a_copy_survives_a_power_cut)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(10); round++) {
        struct rig r = rig_make();
        struct backup_result result;
        store_close(r.store);
        r.options.durability = DURABILITY_NONE;
        rig_open_store(&r);
        fill(&r);
        cr_assert_eq(backup(r.options.vfs, round % 2 == 1, &result, NULL), ERR_OK);
        store_close(r.store);
        r.store = NULL;
        vfs_mem_power_cut(r.disk, &rng);
        assert_copy(r.options.vfs, r.acked, r.tried, "power");
        rig_close(&r);
    }
}
