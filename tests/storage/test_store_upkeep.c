/* Sealing, merging and dropping, when all goes well and when a file is damaged. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "tests/support/store_rig.h"

Test(store_upkeep, sealed_chunks_are_found_as_before_and_logs_are_gone)
{
    struct store_rig r = store_rig_open();
    for (unsigned n = 0; n < 40; n++)
        store_rig_append(&r, n, 1);
    uint64_t before = store_rig_stats(&r).disk_bytes;
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 1);
    cr_assert_eq(store_rig_stats(&r).rows, 40);
    cr_assert_lt(store_rig_stats(&r).disk_bytes, before);
    for (unsigned n = 0; n < 40; n++)
        cr_assert_eq(store_rig_find(&r, n), 1, "chunk %u", n);
    cr_assert_eq(store_rig_find(&r, 40), -1);
    store_rig_reopen(&r);
    for (unsigned n = 0; n < 40; n++)
        cr_assert_eq(store_rig_find(&r, n), 1, "chunk %u after reopening", n);
    cr_assert_eq(vfs_mem_get(r.disk, "/data/log-0000000000000001").data, NULL);
    store_rig_close(&r);
}

Test(store_upkeep, nothing_to_do_is_said)
{
    struct store_rig r = store_rig_open();
    struct store_upkeep u = {.everything = true};
    bool did = true;
    cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert(!did);
    store_rig_append(&r, 1, 1);
    u.everything = false; /* an open log that is not full stays */
    cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert(!did);
    store_rig_close(&r);
}

Test(store_upkeep, a_sealed_chunk_sent_again_is_no_second_row)
{
    struct store_rig r = store_rig_open();
    store_rig_append(&r, 1, 1);
    store_rig_upkeep(&r);
    store_rig_append(&r, 1, 1);
    cr_assert_eq(store_rig_stats(&r).duplicates, 1);
    cr_assert_eq(store_rig_stats(&r).rows, 1);
    store_rig_append(&r, 1, 2); /* other content: the later one wins */
    cr_assert_eq(store_rig_stats(&r).rows, 1);
    cr_assert_eq(store_rig_find(&r, 1), 2);
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 1);
    cr_assert_eq(store_rig_find(&r, 1), 2);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 1);
    cr_assert_eq(store_rig_find(&r, 1), 2);
    cr_assert_eq(store_rig_stats(&r).segment_count, 1);
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 1);
    cr_assert_eq(store_rig_find(&r, 1), 2);
    store_rig_close(&r);
}

/* SDKs send some: what a link says of its end is no bound of where it starts. */
Test(store_upkeep, a_sealed_link_that_ends_before_it_starts_is_replaced_as_others_are)
{
    struct store_rig r = store_rig_open();
    struct link link = store_rig_link(1, INT64_C(1800000000000), INT64_C(900000000000));
    const char *const names[] = {"first", "first", "second"};
    for (unsigned i = 0; i < 3; i++) {
        link.name = bytes_of_text(names[i]);
        store_rig_append_link(&r, link);
        store_rig_upkeep(&r);
        cr_assert_eq(store_rig_count_links(&r), 1);
    }
    struct link_list found;
    struct arena arena;
    struct snapshot *snap = snapshot_acquire(r.store, NULL);
    arena_init(&arena, 1 << 20, NULL);
    cr_assert_eq(snapshot_find_links_of_trace(snap, 2, small_id(1), &arena, &found), ERR_OK);
    cr_assert_eq(found.count, 1);
    cr_assert(bytes_equal(found.links[0].name, BYTES("second")));
    cr_assert_eq(store_rig_stats(&r).duplicates, 1);
    arena_close(&arena);
    snapshot_release(snap);
    store_rig_close(&r);
}

/* It keeps its rows, files included. */
Test(store_upkeep, a_snapshot_outlives_what_it_was_made_of)
{
    struct store_rig r = store_rig_open();
    for (unsigned n = 0; n < 10; n++)
        store_rig_append(&r, n, 1);
    struct snapshot *of_log = snapshot_acquire(r.store, NULL);
    store_rig_upkeep(&r);
    struct snapshot *of_segment = snapshot_acquire(r.store, NULL);
    store_rig_append(&r, 3, 2);
    store_rig_append(&r, 10, 1);
    store_rig_upkeep(&r);
    struct errinfo info = {0};
    for (unsigned n = 0; n < 10; n++) {
        cr_assert_eq(small_chunk_find(of_log, n, &info), 1, "%s", info.text);
        cr_assert_eq(small_chunk_find(of_segment, n, &info), 1, "%s", info.text);
    }
    cr_assert_eq(small_chunk_find(of_segment, 10, &info), -1);
    snapshot_release(of_log);
    snapshot_release(of_segment);
    cr_assert_eq(store_rig_find(&r, 3), 2);
    cr_assert_eq(vfs_mem_file_count(r.disk), 4); /* lock, manifest, log, segment */
    store_rig_close(&r);
}

/* What arrives while a piece is prepared is not lost by its end. */
struct meddler {
    struct store_rig *rig;
    unsigned rows;
};

static bool meddle(void *self)
{
    struct meddler *m = self;
    if (m->rows++ == 3) {
        store_rig_append(m->rig, 2, 7);  /* replaces a row of the piece */
        store_rig_append(m->rig, 90, 1); /* and one that is new */
    }
    return true;
}

Test(store_upkeep, rows_replaced_meanwhile_stay_replaced)
{
    struct store_rig r = store_rig_open();
    for (unsigned n = 0; n < 8; n++)
        store_rig_append(&r, n, 1);
    struct meddler meddler = {.rig = &r};
    struct store_upkeep u = {.everything = true, .self = &meddler, .keep_going = meddle};
    bool did = false;
    struct errinfo info = {0};
    cr_assert_eq(store_upkeep(r.store, &u, &did, &info), ERR_OK, "%s", info.text);
    cr_assert(did);
    cr_assert_eq(store_rig_stats(&r).segment_count, 1);
    cr_assert_eq(store_rig_stats(&r).rows, 9);
    cr_assert_eq(store_rig_find(&r, 2), 7);
    cr_assert_eq(store_rig_find(&r, 90), 1);
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 9);
    cr_assert_eq(store_rig_find(&r, 2), 7);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 9);
    cr_assert_eq(store_rig_find(&r, 2), 7);
    store_rig_close(&r);
}

static bool meddle_a_lot(void *self)
{
    struct meddler *m = self;
    if (m->rows++ == 3) {
        for (unsigned n = 0; n < 6; n++)
            store_rig_append(m->rig, n, 7 + n);
        store_rig_append(m->rig, 5, 20);
    }
    return true;
}

Test(store_upkeep, rows_replaced_meanwhile_by_logs_that_are_closed_stay_replaced)
{
    struct store_rig r = store_rig_open();
    struct meddler meddler = {.rig = &r};
    struct store_upkeep u = {.everything = true, .self = &meddler, .keep_going = meddle_a_lot};
    bool did = false;
    for (unsigned n = 0; n < 4; n++)
        store_rig_append(&r, n, 1);
    store_rig_one_piece(&r);
    for (unsigned n = 4; n < 8; n++)
        store_rig_append(&r, n, 1);
    store_rig_one_piece(&r);
    r.options.log_size_max = 1; /* a log each */
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 2);
    cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert(did);
    cr_assert_eq(store_rig_stats(&r).segment_count, 1, "they were merged");
    for (int round = 0; round < 3; round++) {
        cr_assert_eq(store_rig_stats(&r).rows, 8);
        for (unsigned n = 0; n < 8; n++)
            cr_assert_eq(store_rig_find(&r, n), n < 5 ? (int)(7 + n) : n == 5 ? 20 : 1);
        if (round == 0)
            store_rig_reopen(&r);
        else
            store_rig_upkeep(&r);
    }
    store_rig_close(&r);
}

static bool stop_at_once(void *self)
{
    (void)self;
    return false;
}

Test(store_upkeep, a_piece_that_is_given_up_leaves_nothing)
{
    struct store_rig r = store_rig_open();
    for (unsigned n = 0; n < 8; n++)
        store_rig_append(&r, n, 1);
    struct store_upkeep u = {.everything = true, .keep_going = stop_at_once};
    bool did = true;
    cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_CANCELED);
    cr_assert(!did);
    cr_assert_eq(store_rig_stats(&r).segment_count, 0);
    for (unsigned n = 0; n < 8; n++)
        cr_assert_eq(store_rig_find(&r, n), 1);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 1);
    store_rig_close(&r);
}

Test(store_upkeep, late_rows_go_to_their_day_and_wrong_clocks_share_one_file)
{
    struct store_rig r = store_rig_open();
    clock_set_wall(20003 * DAY_NS);
    store_rig_append_of_day(&r, (struct rig_chunk){1, 20000, 20000, 90});
    store_rig_append_of_day(&r, (struct rig_chunk){2, 20002, 20002, 90});
    store_rig_append_of_day(&r, (struct rig_chunk){3, 20000, 20002, 90}); /* two days late */
    for (unsigned n = 10; n < 40; n++) /* clocks that are far off */
        store_rig_append_of_day(&r, (struct rig_chunk){n, 100 + n, 20002, 90});
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 3);
    cr_assert_eq(store_rig_stats(&r).rows, 33);
    store_rig_close(&r);
}

/* Rows and links of many days, in no order: each goes to its day, once. */
Test(store_upkeep, an_import_of_many_days_is_a_segment_a_day)
{
    struct store_rig r = store_rig_open();
    unsigned n = 0;
    clock_set_wall(20100 * DAY_NS);
    r.options.durability = DURABILITY_NONE;
    store_rig_reopen(&r);
    for (unsigned k = 0; k < 70; k++) {
        for (unsigned i = 0; i < 9; i++, n++) {
            int64_t day = 20000 + (i * 4 + k) % 9;
            store_rig_append_of_day(&r, (struct rig_chunk){n, day, 20100, 90});
            int64_t start_ns = day * DAY_NS + n;
            store_rig_append_link(&r, store_rig_link(n, start_ns, start_ns + 5));
        }
    }
    store_rig_append_of_day(&r,
                            (struct rig_chunk){n, 100, 20100, 90}); /* and one that is far off */
    store_rig_append_link(&r, store_rig_link(n, 100 * DAY_NS, 101 * DAY_NS));
    store_rig_one_piece(&r);
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(store_rig_stats(&r).segment_count, 10);
        cr_assert_eq(store_rig_stats(&r).rows, 631);
        cr_assert_eq(store_rig_count_links(&r), 631);
        struct snapshot *snap = snapshot_acquire(r.store, NULL);
        for (unsigned i = 0; i <= n; i++) {
            row_id row;
            cr_assert_eq(snapshot_find_chunk(snap, 2, small_id(i % 4), small_id(i), &row), ERR_OK);
        }
        snapshot_release(snap);
        store_rig_reopen(&r);
    }
    store_rig_close(&r);
}

Test(store_upkeep, segments_go_when_all_their_rows_are_past_their_time)
{
    struct store_rig r = store_rig_open();
    clock_set_wall(20001 * DAY_NS);
    store_rig_append_of_day(&r, (struct rig_chunk){1, 20000, 20000, 10});
    store_rig_append_of_day(&r, (struct rig_chunk){2, 20000, 20000, 30});
    store_rig_append_of_day(&r, (struct rig_chunk){3, 20001, 20001, 10});
    store_rig_append_of_day(
        &r, (struct rig_chunk){4, 19000, 20001, 10}); /* an old recording counts from its arrival */
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 4);
    clock_set_wall(20012 * DAY_NS);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 2, "the segment of day 20000 waits for its last row");
    cr_assert_eq(store_rig_stats(&r).dropped_rows, 2);
    clock_set_wall(20031 * DAY_NS);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 0);
    cr_assert_eq(store_rig_stats(&r).segment_count, 0);
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 0);
    store_rig_close(&r);
}

Test(store_upkeep, over_the_ceiling_of_the_disk_the_oldest_go_first)
{
    struct store_rig r = store_rig_open();
    clock_set_wall(20004 * DAY_NS);
    for (unsigned day = 0; day < 4; day++)
        for (unsigned n = 0; n < 8; n++)
            store_rig_append_of_day(&r,
                                    (struct rig_chunk){day * 8 + n, 20000 + day, 20000 + day, 90});
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 4);
    r.options.disk_max = store_rig_stats(&r).disk_bytes - 1;
    store_rig_reopen(&r);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 3);
    cr_assert_eq(store_rig_stats(&r).dropped_rows, 8);
    cr_assert_leq(store_rig_stats(&r).disk_bytes, r.options.disk_max);
    struct snapshot *snap = snapshot_acquire(r.store, NULL);
    row_id row;
    cr_assert_eq(snapshot_find_chunk(snap, 2, small_id(1), small_id(1), &row), ERR_NOTFOUND);
    cr_assert_eq(snapshot_find_chunk(snap, 2, small_id(1), small_id(9), &row), ERR_OK);
    snapshot_release(snap);
    store_rig_close(&r);
}

Test(store_upkeep, four_segments_of_a_day_become_one)
{
    struct store_rig r = store_rig_open();
    r.options.log_size_max = 1;
    store_rig_reopen(&r);
    struct store_upkeep u = {0};
    bool did = true;
    for (unsigned n = 0; n < 17; n++) /* a log each; the last one is open */
        store_rig_append(&r, n, 1);
    while (did)
        cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert_eq(store_rig_stats(&r).log_count, 1);
    cr_assert_eq(store_rig_stats(&r).segment_count, 1);
    cr_assert_eq(store_rig_stats(&r).rows, 17);
    store_rig_close(&r);
}

Test(store_upkeep, of_segments_that_expire_together_one_goes_at_a_time)
{
    struct store_rig r = store_rig_open();
    clock_set_wall(20004 * DAY_NS);
    for (unsigned n = 0; n < 4; n++)
        store_rig_append_of_day(&r, (struct rig_chunk){n, 20000 + n, 20003, UINT32_MAX});
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 4);
    store_set_disk_max(r.store, store_rig_stats(&r).disk_bytes - 1);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 3);
    store_rig_close(&r);
}

/* ---- damage ---- */

Test(store_upkeep, a_segment_that_is_damaged_is_set_aside_and_the_rest_serves)
{
    struct store_rig r = store_rig_open();
    store_rig_append(&r, 1, 1);
    store_rig_upkeep(&r);
    store_rig_append(&r, 2, 1);
    store_rig_shut(&r);
    size_t size = vfs_mem_get(r.disk, "/data/segment-0000000000000000").len;
    store_rig_flip(&r, "/data/segment-0000000000000000", size - 10); /* in the footer */
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).segments_aside, 1);
    cr_assert_eq(store_rig_find(&r, 1), -1);
    cr_assert_eq(store_rig_find(&r, 2), 1);
    struct snapshot *snap = snapshot_acquire(r.store, NULL);
    cr_assert_eq(snapshot_count_damaged(snap, INT64_MIN, INT64_MAX), 1);
    cr_assert_eq(snapshot_count_damaged(snap, 0, 5), 0); /* its rows are later */
    snapshot_release(snap);
    store_rig_upkeep(&r); /* the manifest goes on naming it, the file stays */
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).segments_aside, 1);
    cr_assert_neq(vfs_mem_get(r.disk, "/data/segment-0000000000000000").data, NULL);
    store_rig_close(&r);
}

static void damage_footer(struct store_rig *r, const char *path)
{
    store_rig_shut(r);
    store_rig_flip(r, path, vfs_mem_get(r->disk, path).len - 10);
    store_rig_reopen(r);
    cr_assert_eq(store_rig_stats(r).segments_aside, 1);
}

Test(store_upkeep, a_segment_that_was_set_aside_goes_when_its_time_is_over)
{
    static const char path[] = "/data/segment-0000000000000000";
    struct store_rig r = store_rig_open();
    clock_set_wall(20001 * DAY_NS);
    store_rig_append_of_day(&r, (struct rig_chunk){1, 20000, 20000, 10});
    store_rig_upkeep(&r);
    damage_footer(&r, path);
    store_rig_append_of_day(&r, (struct rig_chunk){2, 20000, 20000, 30});
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segments_aside, 1);
    clock_set_wall(20011 * DAY_NS);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segments_aside, 0);
    cr_assert_eq(store_rig_stats(&r).rows, 1);
    cr_assert_eq(vfs_mem_get(r.disk, path).data, NULL);
    uint64_t bytes = store_rig_stats(&r).disk_bytes;
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).segments_aside, 0);
    cr_assert_eq(store_rig_stats(&r).disk_bytes, bytes);
    store_rig_close(&r);
}

/* Else what nobody can read would take the place of everything else. */
Test(store_upkeep, a_segment_that_was_set_aside_is_dropped_by_size_in_its_turn)
{
    struct store_rig r = store_rig_open();
    clock_set_wall(20004 * DAY_NS);
    for (unsigned day = 0; day < 3; day++)
        for (unsigned n = 0; n < 8; n++)
            store_rig_append_of_day(&r,
                                    (struct rig_chunk){day * 8 + n, 20000 + day, 20000 + day, 90});
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 3);
    damage_footer(&r, "/data/segment-0000000000000001");
    uint64_t bytes = store_rig_stats(&r).disk_bytes;
    store_set_disk_max(r.store, bytes - 1);
    store_rig_upkeep(&r); /* the first day is older */
    cr_assert_eq(store_rig_stats(&r).segments_aside, 1);
    cr_assert_eq(store_rig_stats(&r).rows, 8);
    cr_assert_eq(store_rig_stats(&r).dropped_rows, 8);
    store_set_disk_max(r.store, store_rig_stats(&r).disk_bytes - 1);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segments_aside, 0);
    cr_assert_eq(store_rig_stats(&r).rows, 8);
    cr_assert_eq(store_rig_stats(&r).dropped_rows, 8);
    cr_assert_eq(store_rig_stats(&r).dropped_bytes, bytes - store_rig_stats(&r).disk_bytes);
    store_rig_close(&r);
}

/* Every byte of a segment: an answer is right, or it says that something is missing. */
Test(store_upkeep, every_changed_byte_of_a_segment_is_noticed_before_a_wrong_answer)
{
    struct store_rig r = store_rig_open();
    for (unsigned n = 0; n < 6; n++)
        store_rig_append(&r, n, 1);
    store_rig_upkeep(&r);
    store_rig_shut(&r);
    static const char path[] = "/data/segment-0000000000000000";
    size_t size = vfs_mem_get(r.disk, path).len;
    for (size_t at = 0; at < size; at += 3) {
        store_rig_flip(&r, path, at);
        store_rig_reopen(&r);
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
        store_rig_shut(&r);
        store_rig_flip(&r, path, at);
    }
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_find(&r, 3), 1);
    store_rig_close(&r);
}
