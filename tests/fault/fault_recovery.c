/* fault_recovery.c - damaged, cut and failing files at opening: the longest valid prefix is served,
 * nothing wrong is, and nothing good is destroyed. */
#include <criterion/criterion.h>

#include "base/log.h"
#include "storage/log_file.h"
#include "tests/support/scale.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_fault.h"
#include "tests/support/vfs_mem.h"

#define CHUNKS 6

static const char *const first_log = "/data/log-0000000000000001";

static enum err open_with(struct vfs *vfs, size_t log_size_max, struct store **ret,
                          struct errinfo *info)
{
    struct store_options options = {.vfs = vfs, .dir = "/data", .log_size_max = log_size_max};
    return store_open(&options, ret, info);
}

static struct store *open_store(struct vfs_mem *disk, size_t log_size_max)
{
    struct store *store = NULL;
    struct errinfo info = {0};
    cr_assert_eq(open_with(vfs_mem_vfs(disk), log_size_max, &store, &info), ERR_OK, "%s",
                 info.text);
    return store;
}

/* A disk with CHUNKS chunks; ends[n] is the size of the first log once chunk n was in it. */
static struct vfs_mem *filled_disk(size_t log_size_max, size_t ends[CHUNKS])
{
    struct vfs_mem *disk = vfs_mem_create();
    struct store *store = open_store(disk, log_size_max);
    struct errinfo info = {0};
    for (unsigned n = 0; n < CHUNKS; n++) {
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){n, 1}, &info), ERR_OK, "%s",
                     info.text);
        ends[n] = vfs_mem_get(disk, first_log).len;
    }
    store_close(store);
    return disk;
}

static struct bytes copy_of(struct bytes b, uint8_t *to)
{
    memcpy(to, b.data, b.len);
    return bytes_of(to, b.len);
}

/* How many of the chunks are served, from the first on without a gap; each must read right. */
static unsigned served(struct store *s)
{
    struct snapshot *snap = snapshot_acquire(s);
    unsigned count = 0;
    bool gap = false;
    for (unsigned n = 0; n < CHUNKS; n++) {
        struct errinfo info = {0};
        int version = small_chunk_find(snap, n, &info);
        cr_assert(version == 1 || version == -1, "chunk %u: %s", n, info.text);
        cr_assert(version == -1 || !gap, "chunk %u is served behind a gap", n);
        gap |= version == -1;
        count += version == 1;
    }
    snapshot_release(snap);
    return count;
}

static unsigned served_after_opening(struct vfs_mem *disk)
{
    struct store *store = open_store(disk, 0);
    unsigned count = served(store);
    store_close(store);
    return count;
}

Test(fault_recovery, a_log_cut_anywhere_gives_the_whole_batches_before_the_cut)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    static uint8_t raw[1 << 16];
    struct vfs_mem *disk = filled_disk(0, ends);
    struct bytes whole = copy_of(vfs_mem_get(disk, first_log), raw);
    for (size_t len = 0; len <= whole.len; len++) {
        unsigned expected = 0;
        while (expected < CHUNKS && ends[expected] <= len)
            expected++;
        vfs_mem_put(disk, first_log, bytes_first(whole, len));
        struct store *store = open_store(disk, 0);
        cr_assert_eq(served(store), expected, "cut at %zu", len);
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){90, 1}, NULL), ERR_OK);
        store_close(store);
        cr_assert_eq(served_after_opening(disk), expected, "cut at %zu, appended", len);
    }
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(fault_recovery, every_flipped_byte_is_seen)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    static uint8_t raw[1 << 16];
    struct rng rng = test_rng();
    struct vfs_mem *disk = filled_disk(0, ends);
    struct bytes whole = copy_of(vfs_mem_get(disk, first_log), raw);
    for (size_t at = 0; at < whole.len; at++) {
        unsigned expected = 0;
        while (expected < CHUNKS && ends[expected] <= at)
            expected++;
        if (at < FORMAT_LOG_HEADER_SIZE)
            expected = 0;
        uint8_t flip = (uint8_t)(1 + rng_below(&rng, 255));
        raw[at] ^= flip;
        vfs_mem_put(disk, first_log, whole);
        struct store *store = NULL;
        enum err rc = open_with(vfs_mem_vfs(disk), 0, &store, NULL);
        if (rc == ERR_OK) {
            cr_assert_eq(served(store), expected, "byte %zu changed unseen", at);
            store_close(store);
        } else { /* the version of the header */
            cr_assert_eq(rc, ERR_UNSUPPORTED, "byte %zu", at);
            cr_assert(at >= 8 && at < 12, "byte %zu", at);
        }
        raw[at] ^= flip;
    }
    vfs_mem_destroy(disk);
}

Test(fault_recovery, damage_in_the_middle_destroys_nothing_behind_it)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    static uint8_t raw[1 << 16];
    struct vfs_mem *disk = filled_disk(0, ends);
    struct bytes whole = copy_of(vfs_mem_get(disk, first_log), raw);
    raw[ends[2] - 1] ^= 1; /* the last byte of chunk 2 */
    vfs_mem_put(disk, first_log, whole);
    struct store *store = open_store(disk, 0);
    cr_assert_eq(served(store), 2);
    cr_assert(bytes_equal(vfs_mem_get(disk, first_log), whole));
    cr_assert_eq(small_chunk_append(store, (struct small_chunk){2, 1}, NULL), ERR_OK);
    cr_assert_eq(served(store), 3);
    store_close(store);
    cr_assert_eq(served_after_opening(disk), 3);
    cr_assert(bytes_equal(vfs_mem_get(disk, first_log), whole));
    vfs_mem_destroy(disk);
}

/* Closed logs are read by their headers and facts; a block is verified when it is read. */
Test(fault_recovery, damage_in_closed_logs_is_told_and_the_rest_is_served)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    static uint8_t raw[1 << 16];
    struct vfs_mem *disk = filled_disk(100, ends); /* a log a chunk */
    const char *third = "/data/log-0000000000000003";
    struct bytes whole = copy_of(vfs_mem_get(disk, third), raw);
    struct errinfo info = {0};
    const struct {
        size_t at;
        int expected;                               /* version of chunk 2 */
    } cases[] = {{whole.len - 1, -2},               /* its block */
                 {FORMAT_LOG_HEADER_SIZE + 60, -1}, /* its facts */
                 {20, -1}};                         /* the log's header */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        raw[cases[i].at] ^= 4;
        vfs_mem_put(disk, third, whole);
        struct store *store = open_store(disk, 100);
        struct snapshot *snap = snapshot_acquire(store);
        for (unsigned n = 0; n < CHUNKS; n++)
            cr_assert_eq(small_chunk_find(snap, n, &info), n == 2 ? cases[i].expected : 1,
                         "case %zu, chunk %u: %s", i, n, info.text);
        if (cases[i].expected == -2)
            cr_assert(strstr(info.text, "log-0000000000000003: offset") != NULL, "%s", info.text);
        snapshot_release(snap);
        store_close(store);
        raw[cases[i].at] ^= 4;
    }
    cr_assert_eq(vfs_mem_vfs(disk)->remove(vfs_mem_vfs(disk), third, &info), ERR_OK);
    struct store *store = open_store(disk, 100); /* a missing log is told, too */
    struct store_stats stats;
    store_get_stats(store, &stats);
    cr_assert_eq(stats.rows, CHUNKS - 1);
    store_close(store);
    vfs_mem_destroy(disk);
}

/* The power went while a log was made: the name is there, and any part of its header is zeros. */
Test(fault_recovery, a_log_torn_while_it_was_made_keeps_nothing_from_starting)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    static uint8_t raw[1 << 16];
    struct vfs_mem *disk = filled_disk(100, ends); /* a log a chunk */
    const char *next = "/data/log-0000000000000007";
    struct bytes last = copy_of(vfs_mem_get(disk, "/data/log-0000000000000006"), raw);
    struct bytes header = bytes_first(last, FORMAT_LOG_HEADER_SIZE);
    for (size_t from = 0; from < header.len; from += 4) {
        for (size_t to = from + 4; to <= header.len; to += 4) {
            uint8_t torn[FORMAT_LOG_HEADER_SIZE];
            memcpy(torn, header.data, header.len);
            memset(torn + from, 0, to - from);
            torn[FORMAT_LOG_HEADER_SIZE - 1] ^= 1; /* zeros over zeros tear nothing */
            vfs_mem_put(disk, next, bytes_of(torn, sizeof torn));
            cr_assert_eq(served_after_opening(disk), CHUNKS, "zeros in [%zu, %zu)", from, to);
        }
    }
    vfs_mem_destroy(disk);
}

Test(fault_recovery, a_newer_version_is_refused_and_left_alone)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    static uint8_t raw[1 << 16];
    struct vfs_mem *disk = filled_disk(0, ends);
    struct bytes whole = copy_of(vfs_mem_get(disk, first_log), raw);
    struct store *store = NULL;
    struct errinfo info = {0};
    raw[8] = 2;
    vfs_mem_put(disk, first_log, whole);
    cr_assert_eq(open_with(vfs_mem_vfs(disk), 0, &store, &info), ERR_UNSUPPORTED);
    cr_assert_str_eq(info.text, "log-0000000000000001: version 2, expected 1");
    cr_assert(bytes_equal(vfs_mem_get(disk, first_log), whole));
    vfs_mem_destroy(disk);
}

Test(fault_recovery, a_failing_call_fails_the_opening_and_harms_nothing)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        struct vfs_mem *disk = filled_disk(100, ends);
        struct vfs_fault fault;
        struct store *store = NULL;
        vfs_fault_init(&fault, vfs_mem_vfs(disk), nth, ERR_IO, FAULT_ONCE);
        enum err rc = open_with(&fault.vfs, 100, &store, NULL);
        fired = fault.fired;
        fault.left = 0;
        cr_assert_eq(rc, fired ? ERR_IO : ERR_OK, "call %u", nth);
        if (rc == ERR_OK)
            store_close(store);
        cr_assert_eq(served_after_opening(disk), CHUNKS, "call %u", nth);
        vfs_mem_destroy(disk);
    }
    cr_assert_eq(mem_outstanding(), 0);
}
