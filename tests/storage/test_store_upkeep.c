#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/identity.h"
#include "tests/support/hand_profile.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

#define DAY_NS INT64_C(86400000000000)

struct rig {
    struct vfs_mem *disk;
    struct store *store;
    struct store_options options;
};

static void rig_reopen(struct rig *r)
{
    struct errinfo info = {0};
    store_close(r->store);
    r->store = NULL;
    cr_assert_eq(store_open(&r->options, &r->store, &info), ERR_OK, "%s", info.text);
}

static struct rig rig_open(void)
{
    struct rig r = {.disk = vfs_mem_create()};
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000)); /* small chunks are of the first hour of 1970 */
    r.options = (struct store_options){.vfs = vfs_mem_vfs(r.disk),
                                       .dir = "/data",
                                       .retention_days = 90,
                                       .frame_rules = &engine_frame_rules};
    rig_reopen(&r);
    return r;
}

static void rig_close(struct rig *r)
{
    store_close(r->store);
    vfs_mem_destroy(r->disk);
    clock_set_wall(0);
    cr_assert_eq(mem_outstanding(), 0);
}

static void upkeep_all(struct rig *r)
{
    struct store_upkeep u = {.everything = true};
    struct errinfo info = {0};
    bool did = true;
    while (did)
        cr_assert_eq(store_upkeep(r->store, &u, &did, &info), ERR_OK, "%s", info.text);
}

static void append(struct rig *r, unsigned n, unsigned version)
{
    struct errinfo info = {0};
    cr_assert_eq(small_chunk_append(r->store, (struct small_chunk){n, version}, &info), ERR_OK,
                 "%s", info.text);
}

static int find(struct rig *r, unsigned n)
{
    struct errinfo info = {0};
    struct snapshot *snap = snapshot_acquire(r->store, NULL);
    int version = small_chunk_find(snap, n, &info);
    snapshot_release(snap);
    return version;
}

static struct store_stats stats_of(struct rig *r)
{
    struct store_stats stats;
    store_get_stats(r->store, &stats);
    return stats;
}

Test(store_upkeep, sealed_chunks_are_found_as_before_and_logs_are_gone)
{
    struct rig r = rig_open();
    for (unsigned n = 0; n < 40; n++)
        append(&r, n, 1);
    uint64_t before = stats_of(&r).disk_bytes;
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).segment_count, 1);
    cr_assert_eq(stats_of(&r).rows, 40);
    cr_assert_lt(stats_of(&r).disk_bytes, before);
    for (unsigned n = 0; n < 40; n++)
        cr_assert_eq(find(&r, n), 1, "chunk %u", n);
    cr_assert_eq(find(&r, 40), -1);
    rig_reopen(&r);
    for (unsigned n = 0; n < 40; n++)
        cr_assert_eq(find(&r, n), 1, "chunk %u after reopening", n);
    cr_assert_eq(vfs_mem_get(r.disk, "/data/log-0000000000000001").data, NULL);
    rig_close(&r);
}

Test(store_upkeep, nothing_to_do_is_said)
{
    struct rig r = rig_open();
    struct store_upkeep u = {.everything = true};
    bool did = true;
    cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert(!did);
    append(&r, 1, 1);
    u.everything = false; /* an open log that is not full stays */
    cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert(!did);
    rig_close(&r);
}

Test(store_upkeep, a_sealed_chunk_sent_again_is_no_second_row)
{
    struct rig r = rig_open();
    append(&r, 1, 1);
    upkeep_all(&r);
    append(&r, 1, 1);
    cr_assert_eq(stats_of(&r).duplicates, 1);
    cr_assert_eq(stats_of(&r).rows, 1);
    append(&r, 1, 2); /* other content: the later one wins */
    cr_assert_eq(stats_of(&r).rows, 1);
    cr_assert_eq(find(&r, 1), 2);
    rig_reopen(&r);
    cr_assert_eq(stats_of(&r).rows, 1);
    cr_assert_eq(find(&r, 1), 2);
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).rows, 1);
    cr_assert_eq(find(&r, 1), 2);
    cr_assert_eq(stats_of(&r).segment_count, 1);
    rig_reopen(&r);
    cr_assert_eq(stats_of(&r).rows, 1);
    cr_assert_eq(find(&r, 1), 2);
    rig_close(&r);
}

/* A snapshot that was taken before keeps its rows, files included. */
/* SDKs send some: what a link says of its end is no bound of where it starts. */
Test(store_upkeep, a_sealed_link_that_ends_before_it_starts_is_replaced_as_others_are)
{
    struct rig r = rig_open();
    struct link link = {.project_id = 2,
                        .trace_id = small_id(1),
                        .span_id = 4,
                        .start_ns = INT64_C(1800000000000),
                        .end_ns = INT64_C(900000000000)};
    const char *const names[] = {"first", "first", "second"};
    for (unsigned i = 0; i < 3; i++) {
        struct buffer out;
        struct errinfo info = {0};
        buffer_init(&out, 1 << 16, NULL);
        link.name = bytes_of_text(names[i]);
        cr_assert_eq(record_encode_link(&link, &out, &info), ERR_OK, "%s", info.text);
        struct bytes record = buffer_bytes(&out);
        cr_assert_eq(store_append(r.store, &record, 1, &info), ERR_OK, "%s", info.text);
        buffer_close(&out);
        upkeep_all(&r);
    }
    struct link_list found;
    struct arena arena;
    struct snapshot *snap = snapshot_acquire(r.store, NULL);
    arena_init(&arena, 1 << 20, NULL);
    cr_assert_eq(snapshot_find_links_of_trace(snap, 2, small_id(1), &arena, &found), ERR_OK);
    cr_assert_eq(found.count, 1);
    cr_assert(bytes_equal(found.links[0].name, BYTES("second")));
    cr_assert_eq(stats_of(&r).duplicates, 1);
    arena_close(&arena);
    snapshot_release(snap);
    rig_close(&r);
}

Test(store_upkeep, a_snapshot_outlives_what_it_was_made_of)
{
    struct rig r = rig_open();
    for (unsigned n = 0; n < 10; n++)
        append(&r, n, 1);
    struct snapshot *of_log = snapshot_acquire(r.store, NULL);
    upkeep_all(&r);
    struct snapshot *of_segment = snapshot_acquire(r.store, NULL);
    append(&r, 3, 2);
    append(&r, 10, 1);
    upkeep_all(&r);
    struct errinfo info = {0};
    for (unsigned n = 0; n < 10; n++) {
        cr_assert_eq(small_chunk_find(of_log, n, &info), 1, "%s", info.text);
        cr_assert_eq(small_chunk_find(of_segment, n, &info), 1, "%s", info.text);
    }
    cr_assert_eq(small_chunk_find(of_segment, 10, &info), -1);
    snapshot_release(of_log);
    snapshot_release(of_segment);
    cr_assert_eq(find(&r, 3), 2);
    cr_assert_eq(vfs_mem_file_count(r.disk), 4); /* lock, manifest, log, segment */
    rig_close(&r);
}

/* What arrives while a piece is prepared is not lost by its end. */
struct meddler {
    struct rig *rig;
    unsigned rows;
};

static bool meddle(void *self)
{
    struct meddler *m = self;
    if (m->rows++ == 3) {
        append(m->rig, 2, 7);  /* replaces a row of the piece */
        append(m->rig, 90, 1); /* and one that is new */
    }
    return true;
}

Test(store_upkeep, rows_replaced_meanwhile_stay_replaced)
{
    struct rig r = rig_open();
    for (unsigned n = 0; n < 8; n++)
        append(&r, n, 1);
    struct meddler meddler = {.rig = &r};
    struct store_upkeep u = {.everything = true, .self = &meddler, .keep_going = meddle};
    bool did = false;
    struct errinfo info = {0};
    cr_assert_eq(store_upkeep(r.store, &u, &did, &info), ERR_OK, "%s", info.text);
    cr_assert(did);
    cr_assert_eq(stats_of(&r).segment_count, 1);
    cr_assert_eq(stats_of(&r).rows, 9);
    cr_assert_eq(find(&r, 2), 7);
    cr_assert_eq(find(&r, 90), 1);
    rig_reopen(&r);
    cr_assert_eq(stats_of(&r).rows, 9);
    cr_assert_eq(find(&r, 2), 7);
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).rows, 9);
    cr_assert_eq(find(&r, 2), 7);
    rig_close(&r);
}

static bool stop_at_once(void *self)
{
    (void)self;
    return false;
}

Test(store_upkeep, a_piece_that_is_given_up_leaves_nothing)
{
    struct rig r = rig_open();
    for (unsigned n = 0; n < 8; n++)
        append(&r, n, 1);
    struct store_upkeep u = {.everything = true, .keep_going = stop_at_once};
    bool did = true;
    cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_CANCELED);
    cr_assert(!did);
    cr_assert_eq(stats_of(&r).segment_count, 0);
    for (unsigned n = 0; n < 8; n++)
        cr_assert_eq(find(&r, n), 1);
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).segment_count, 1);
    rig_close(&r);
}

/* A chunk of the day, received on another day, kept for some days. */
static void append_of_day(struct rig *r, unsigned n, int64_t day, int64_t received_day,
                          uint32_t retention_days)
{
    static struct hand_profile h;
    struct buffer out;
    struct errinfo info = {0};
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.project_id = 2;
    h.profile.profiler_id = small_id(n % 4);
    h.profile.id = small_id(n);
    h.profile.retention_days = retention_days;
    h.profile.received_ns = received_day * DAY_NS + 1;
    hand_frame(&h, (struct hand_frame){.function = "main"});
    uint32_t stack = hand_stack(&h, "0");
    uint32_t thread = hand_thread(&h, "1", "");
    hand_sample(&h, thread, stack, (double)(day * 86400 + 10));
    hand_sample(&h, thread, stack, (double)(day * 86400 + 11));
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(record_encode_profile(&h.profile, &out, &info), ERR_OK, "%s", info.text);
    struct bytes record = buffer_bytes(&out);
    cr_assert_eq(store_append(r->store, &record, 1, &info), ERR_OK, "%s", info.text);
    buffer_close(&out);
}

Test(store_upkeep, late_rows_go_to_their_day_and_wrong_clocks_share_one_file)
{
    struct rig r = rig_open();
    clock_set_wall(20003 * DAY_NS);
    append_of_day(&r, 1, 20000, 20000, 90);
    append_of_day(&r, 2, 20002, 20002, 90);
    append_of_day(&r, 3, 20000, 20002, 90); /* two days late */
    for (unsigned n = 10; n < 40; n++)      /* clocks that are far off */
        append_of_day(&r, n, 100 + n, 20002, 90);
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).segment_count, 3);
    cr_assert_eq(stats_of(&r).rows, 33);
    rig_close(&r);
}

Test(store_upkeep, segments_go_when_all_their_rows_are_past_their_time)
{
    struct rig r = rig_open();
    clock_set_wall(20001 * DAY_NS);
    append_of_day(&r, 1, 20000, 20000, 10);
    append_of_day(&r, 2, 20000, 20000, 30);
    append_of_day(&r, 3, 20001, 20001, 10);
    append_of_day(&r, 4, 19000, 20001, 10); /* an old recording counts from its arrival */
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).rows, 4);
    clock_set_wall(20012 * DAY_NS);
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).rows, 2, "the segment of day 20000 waits for its last row");
    cr_assert_eq(stats_of(&r).dropped_rows, 2);
    clock_set_wall(20031 * DAY_NS);
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).rows, 0);
    cr_assert_eq(stats_of(&r).segment_count, 0);
    rig_reopen(&r);
    cr_assert_eq(stats_of(&r).rows, 0);
    rig_close(&r);
}

Test(store_upkeep, over_the_ceiling_of_the_disk_the_oldest_go_first)
{
    struct rig r = rig_open();
    clock_set_wall(20004 * DAY_NS);
    for (unsigned day = 0; day < 4; day++)
        for (unsigned n = 0; n < 8; n++)
            append_of_day(&r, day * 8 + n, 20000 + day, 20000 + day, 90);
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).segment_count, 4);
    r.options.disk_max = stats_of(&r).disk_bytes - 1;
    rig_reopen(&r);
    upkeep_all(&r);
    cr_assert_eq(stats_of(&r).segment_count, 3);
    cr_assert_eq(stats_of(&r).dropped_rows, 8);
    cr_assert_leq(stats_of(&r).disk_bytes, r.options.disk_max);
    struct snapshot *snap = snapshot_acquire(r.store, NULL);
    row_id row;
    cr_assert_eq(snapshot_find_chunk(snap, 2, small_id(1), small_id(1), &row), ERR_NOTFOUND);
    cr_assert_eq(snapshot_find_chunk(snap, 2, small_id(1), small_id(9), &row), ERR_OK);
    snapshot_release(snap);
    rig_close(&r);
}

Test(store_upkeep, four_segments_of_a_day_become_one)
{
    struct rig r = rig_open();
    r.options.log_size_max = 1;
    rig_reopen(&r);
    struct store_upkeep u = {0};
    bool did = true;
    for (unsigned n = 0; n < 17; n++) /* a log each; the last one is open */
        append(&r, n, 1);
    while (did)
        cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert_eq(stats_of(&r).log_count, 1);
    cr_assert_eq(stats_of(&r).segment_count, 1);
    cr_assert_eq(stats_of(&r).rows, 17);
    rig_close(&r);
}

/* ---- damage ---- */

static void flip(struct rig *r, const char *path, size_t at)
{
    struct bytes content = vfs_mem_get(r->disk, path);
    uint8_t *copy = mem_alloc(content.len);
    memcpy(copy, content.data, content.len);
    copy[at] ^= 0x40;
    vfs_mem_put(r->disk, path, bytes_of(copy, content.len));
    mem_free(copy);
}

Test(store_upkeep, a_segment_that_is_damaged_is_set_aside_and_the_rest_serves)
{
    struct rig r = rig_open();
    append(&r, 1, 1);
    upkeep_all(&r);
    append(&r, 2, 1);
    store_close(r.store);
    r.store = NULL;
    size_t size = vfs_mem_get(r.disk, "/data/segment-0000000000000000").len;
    flip(&r, "/data/segment-0000000000000000", size - 10); /* in the footer */
    rig_reopen(&r);
    cr_assert_eq(stats_of(&r).segments_aside, 1);
    cr_assert_eq(find(&r, 1), -1);
    cr_assert_eq(find(&r, 2), 1);
    struct snapshot *snap = snapshot_acquire(r.store, NULL);
    cr_assert_eq(snapshot_count_damaged(snap, INT64_MIN, INT64_MAX), 1);
    cr_assert_eq(snapshot_count_damaged(snap, 0, 5), 0); /* its rows are later */
    snapshot_release(snap);
    upkeep_all(&r); /* the manifest goes on naming it, the file stays */
    rig_reopen(&r);
    cr_assert_eq(stats_of(&r).segments_aside, 1);
    cr_assert_neq(vfs_mem_get(r.disk, "/data/segment-0000000000000000").data, NULL);
    rig_close(&r);
}

/* Every byte of a segment: an answer is right, or it says that something is missing. */
Test(store_upkeep, every_changed_byte_of_a_segment_is_noticed_before_a_wrong_answer)
{
    struct rig r = rig_open();
    for (unsigned n = 0; n < 6; n++)
        append(&r, n, 1);
    upkeep_all(&r);
    store_close(r.store);
    r.store = NULL;
    static const char path[] = "/data/segment-0000000000000000";
    size_t size = vfs_mem_get(r.disk, path).len;
    for (size_t at = 0; at < size; at += 3) {
        flip(&r, path, at);
        rig_reopen(&r);
        struct snapshot *snap = snapshot_acquire(r.store, NULL);
        unsigned found = 0;
        bool unreadable = false;
        for (unsigned n = 0; n < 6; n++) {
            struct errinfo info = {0};
            int version = small_chunk_find(snap, n, &info);
            cr_assert(version == 1 || version < 0, "byte %zu: %d", at, version);
            found += version == 1;
            unreadable |= version == -2;
        }
        cr_assert(found == 6 || unreadable ||
                      snapshot_count_damaged(snap, INT64_MIN, INT64_MAX) == 1,
                  "byte %zu: rows are missing and nobody says so", at);
        snapshot_release(snap);
        store_close(r.store);
        r.store = NULL;
        flip(&r, path, at);
    }
    rig_reopen(&r);
    cr_assert_eq(find(&r, 3), 1);
    rig_close(&r);
}
