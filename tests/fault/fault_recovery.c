/* fault_recovery.c - damaged, cut and failing files at opening: what is whole is served, what is not
 * is told, nothing wrong is served and nothing good is destroyed. */
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
    struct snapshot *snap = snapshot_acquire(s, NULL);
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

/* Where byte `at` of the first log stands: in the header (-1) or in the batch of a chunk. */
static int batch_of(const size_t ends[CHUNKS], size_t at)
{
    int n = 0;
    if (at < FORMAT_LOG_HEADER_SIZE)
        return -1;
    while (ends[n] <= at)
        n++;
    return n;
}

/* Behind the header and facts of its batch. */
static bool is_in_block(struct bytes log, const size_t ends[CHUNKS], size_t at)
{
    int n = batch_of(ends, at);
    if (n < 0)
        return false;
    size_t start = n == 0 ? FORMAT_LOG_HEADER_SIZE : ends[n - 1];
    struct reader r = reader_of(bytes_from(log, start + 16));
    return at >= start + FORMAT_BATCH_HEADER_SIZE + reader_u32(&r);
}

/* Version of every chunk: `expected` of chunk n, 1 of the others (or all when n is -1). */
static void assert_served(struct store *store, int n, int expected, size_t at)
{
    struct snapshot *snap = snapshot_acquire(store, NULL);
    for (int i = 0; i < CHUNKS; i++) {
        struct errinfo info = {0};
        int version = small_chunk_find(snap, (unsigned)i, &info);
        cr_assert_eq(version, i == n || n == -1 ? expected : 1, "byte %zu, chunk %d is %d: %s", at,
                     i, version, info.text);
    }
    snapshot_release(snap);
}

Test(fault_recovery, a_flipped_byte_costs_its_own_chunk_and_is_counted)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    static uint8_t raw[1 << 16];
    struct rng rng = test_rng();
    struct vfs_mem *disk = filled_disk(0, ends);
    struct bytes whole = copy_of(vfs_mem_get(disk, first_log), raw);
    for (size_t at = 0; at < whole.len; at++) {
        int n = batch_of(ends, at);
        bool in_block = is_in_block(whole, ends, at);
        bool torn = n == CHUNKS - 1 && !in_block;
        uint8_t flip = (uint8_t)(1 + rng_below(&rng, 255));
        struct store *store = NULL;
        struct store_stats stats;
        raw[at] ^= flip;
        vfs_mem_put(disk, first_log, whole);
        enum err rc = open_with(vfs_mem_vfs(disk), 0, &store, NULL);
        if (rc != ERR_OK) { /* the version of the header */
            cr_assert_eq(rc, ERR_UNSUPPORTED, "byte %zu", at);
            cr_assert(at >= 8 && at < 12, "byte %zu", at);
            raw[at] ^= flip;
            continue;
        }
        store_get_stats(store, &stats);
        assert_served(store, n, in_block ? -2 : -1, at);
        cr_assert_eq(stats.damaged_bytes > 0, !torn, "byte %zu", at);
        cr_assert_eq(stats.damaged_batches, n >= 0 && !torn ? 1 : 0, "byte %zu", at);
        cr_assert_eq(stats.disk_bytes, vfs_mem_get(disk, first_log).len, "byte %zu", at);
        if (!torn)
            cr_assert(bytes_equal(vfs_mem_get(disk, first_log), whole), "byte %zu", at);
        if (n >= 0) { /* what is sent again is written again */
            struct small_chunk again = {(unsigned)n, 1};
            cr_assert_eq(small_chunk_append(store, again, NULL), ERR_OK, "byte %zu", at);
            assert_served(store, n, 1, at);
            store_close(store);
            store = open_store(disk, 0);
            assert_served(store, n, 1, at);
        }
        store_close(store);
        vfs_mem_vfs(disk)->remove(vfs_mem_vfs(disk), "/data/log-0000000000000002", NULL);
        raw[at] ^= flip;
    }
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* Three damaged batches in a row and a torn end: the file is evidence, the rest is served. */
Test(fault_recovery, damage_in_the_middle_and_a_torn_end_destroy_nothing)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    static uint8_t raw[1 << 16];
    struct vfs_mem *disk = filled_disk(0, ends);
    struct bytes whole = copy_of(vfs_mem_get(disk, first_log), raw);
    struct store_stats stats;
    raw[ends[0] + 3] ^= 1;                            /* magic of chunk 1 */
    raw[ends[1] + FORMAT_BATCH_HEADER_SIZE + 9] ^= 1; /* facts of chunk 2 */
    memset(raw + ends[2], 0, ends[3] - ends[2]);      /* all of chunk 3 */
    whole = bytes_first(whole, whole.len - 1);        /* chunk 5 is cut short */
    vfs_mem_put(disk, first_log, whole);
    for (int again = 0; again < 2; again++) {
        struct store *store = open_store(disk, 0);
        struct snapshot *snap = snapshot_acquire(store, NULL);
        const int expected[CHUNKS] = {1, -1, -1, -1, 1, -1};
        for (unsigned n = 0; n < CHUNKS; n++)
            cr_assert_eq(small_chunk_find(snap, n, NULL), expected[n], "chunk %u", n);
        snapshot_release(snap);
        store_get_stats(store, &stats);
        cr_assert_eq(stats.rows, again ? 3 : 2);
        cr_assert_eq(stats.damaged_batches, again ? 3 : 4);
        cr_assert_eq(stats.damaged_bytes, ends[3] - ends[0] + (again ? 0 : whole.len - ends[4]));
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){90, 1}, NULL), ERR_OK);
        store_close(store);
        cr_assert(bytes_equal(vfs_mem_get(disk, first_log), whole));
    }
    vfs_mem_destroy(disk);
}

/* A block that was torn (durability interval) or went bad never hides what was there before. */
Test(fault_recovery, a_damaged_row_hides_no_older_one)
{
    log_set_level(LOG_NONE);
    static uint8_t raw[1 << 16];
    struct vfs_mem *disk = vfs_mem_create();
    struct store *store = open_store(disk, 0);
    struct store_stats stats;
    for (unsigned version = 1; version <= 3; version++)
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){7, version}, NULL), ERR_OK);
    store_close(store);
    struct bytes whole = copy_of(vfs_mem_get(disk, first_log), raw);
    raw[whole.len - 1] ^= 1;
    vfs_mem_put(disk, first_log, whole);
    store = open_store(disk, 0);
    struct snapshot *snap = snapshot_acquire(store, NULL);
    cr_assert_eq(small_chunk_find(snap, 7, NULL), 2);
    snapshot_release(snap);
    store_get_stats(store, &stats);
    cr_assert(stats.rows == 1 && stats.damaged_batches == 1 && stats.damaged_bytes > 0);
    store_close(store);
    vfs_mem_destroy(disk);
}

/* Damage that a read finds in a running store. */
Test(fault_recovery, what_a_read_finds_damaged_may_be_sent_again)
{
    log_set_level(LOG_NONE);
    size_t ends[CHUNKS];
    struct vfs_mem *disk = filled_disk(100, ends); /* closed logs are not verified at opening */
    static uint8_t raw[1 << 16];
    const char *third = "/data/log-0000000000000003";
    struct bytes whole = copy_of(vfs_mem_get(disk, third), raw);
    struct store_stats stats;
    raw[whole.len - 1] ^= 1;
    vfs_mem_put(disk, third, whole);
    struct store *store = open_store(disk, 100);
    struct small_chunk again = {2, 1};
    cr_assert_eq(small_chunk_append(store, again, NULL), ERR_OK);
    store_get_stats(store, &stats);
    cr_assert_eq(stats.duplicates, 1, "nobody knows yet");
    assert_served(store, 2, -2, 0);
    assert_served(store, 2, -2, 0);
    store_get_stats(store, &stats);
    uint64_t damaged = stats.damaged_bytes;
    cr_assert(damaged > 0 && damaged < whole.len);
    cr_assert_eq(small_chunk_append(store, again, NULL), ERR_OK);
    cr_assert_eq(small_chunk_append(store, again, NULL), ERR_OK);
    assert_served(store, 2, 1, 0);
    store_get_stats(store, &stats);
    cr_assert(stats.duplicates == 2 && stats.batches == 1 && stats.damaged_bytes == damaged);
    store_close(store);
    store = open_store(disk, 100);
    assert_served(store, 2, 1, 0);
    store_close(store);
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
        struct snapshot *snap = snapshot_acquire(store, NULL);
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
