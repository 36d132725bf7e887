/* What a store makes of trouble that comes in odd moments: damage, failures, clocks, full disks. */
#include <stdio.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/flamegraph.h"
#include "engine/identity.h"
#include "engine/selection.h"
#include "tests/support/hand_profile.h"
#include "tests/support/store_rig.h"
#include "tests/support/vfs_crash.h"

#define SEGMENT "/data/segment-0000000000000000"
#define PIECE   16384 /* bytes with one checksum */

/* ---- failures ---- */

/* The new log's header may say of the old log how much of it counts. */
Test(store_trouble, a_new_log_that_could_not_be_made_loses_no_later_batch)
{
    struct rng rng = test_rng();
    unsigned runs = 0;
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    for (unsigned nth = 1; nth < 8; nth++) {
        struct vfs_crash disk;
        struct store *store = NULL;
        struct errinfo info = {0};
        struct store_options o = {
            .dir = "/data", .retention_days = 90, .frame_rules = &engine_frame_rules};
        struct store_upkeep u = {.everything = true};
        bool did;
        vfs_crash_init(&disk, 0, rng_u64(&rng));
        o.vfs = &disk.fault.vfs;
        cr_assert_eq(store_open(&o, &store, &info), ERR_OK);
        cr_assert_eq(small_chunk_append(store, (struct small_chunk){1, 1}, &info), ERR_OK);
        disk.fault.left = nth;
        disk.fault.then = FAULT_FOREVER;
        enum err rc = store_upkeep(store, &u, &did, &info);
        disk.fault.left = 0;
        disk.fault.fired = false; /* the device works again */
        if (rc != ERR_OK &&
            small_chunk_append(store, (struct small_chunk){2, 1}, &info) == ERR_OK) {
            runs++;
            store_close(store); /* in order: no power cut is needed */
            cr_assert_eq(store_open(&o, &store, &info), ERR_OK);
            struct snapshot *snap = snapshot_acquire(store, NULL);
            cr_assert_eq(small_chunk_find(snap, 2, &info), 1, "call %u", nth);
            snapshot_release(snap);
        }
        store_close(store);
        vfs_crash_close(&disk);
    }
    cr_assert_gt(runs, 2);
}

static bool lose_pages(void *self)
{
    struct store_rig *r = self;
    vfs_mem_set_maps_failed(r->disk, true);
    return true;
}

Test(store_trouble, what_was_read_from_lost_pages_is_not_made_new)
{
    struct store_rig r = store_rig_open();
    for (unsigned n = 0; n < 4; n++)
        store_rig_append(&r, n, 1);
    store_rig_upkeep(&r);
    store_rig_append(&r, 9, 1);
    store_rig_one_piece(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 2);
    struct store_upkeep u = {.everything = true, .self = &r, .keep_going = lose_pages};
    bool did;
    cr_assert_neq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    vfs_mem_set_maps_failed(r.disk, false);
    store_rig_reopen(&r); /* the old files are there still */
    cr_assert_eq(store_rig_stats(&r).rows, 5);
    store_rig_close(&r);
}

/* ---- damage ---- */

Test(store_trouble, a_folder_whose_last_log_is_damaged_is_sealed)
{
    struct store_rig r = store_rig_open();
    for (unsigned n = 0; n < 5; n++)
        store_rig_append(&r, n, 1);
    store_rig_shut(&r);
    store_rig_flip(&r, "/data/log-0000000000000001", 64 + 8); /* the first batch's header */
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 4);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).segment_count, 1);
    cr_assert_eq(store_rig_stats(&r).rows, 4);
    store_rig_close(&r);
}

/* Of some pieces. */
static void append_and_seal(struct store_rig *r, unsigned first, unsigned count)
{
    r->options.durability = DURABILITY_NONE;
    for (unsigned n = first; n < first + count; n++)
        store_rig_append_of_day(r, (struct rig_chunk){n, 1, 1, 9000});
    store_rig_one_piece(r);
}

Test(store_trouble, a_damaged_segment_does_not_stop_merging)
{
    unsigned tried = 0;
    bool more = true;
    for (size_t at = 20000; more; at += PIECE) {
        struct store_rig r = store_rig_open();
        append_and_seal(&r, 0, 1200);
        append_and_seal(&r, 5000, 10);
        cr_assert_eq(store_rig_stats(&r).segment_count, 2);
        store_rig_shut(&r);
        more = at + PIECE < vfs_mem_get(r.disk, SEGMENT).len - 200;
        store_rig_flip(&r, SEGMENT, at);
        store_rig_reopen(&r);
        tried += store_rig_stats(&r).segments_aside == 0;
        store_rig_upkeep(&r);
        store_rig_close(&r);
    }
    cr_assert_gt(tried, 1);
}

Test(store_trouble, a_sealed_row_known_to_be_unreadable_is_written_again)
{
    struct store_rig r = store_rig_open();
    r.options.durability = DURABILITY_NONE;
    store_rig_reopen(&r);
    for (unsigned n = 0; n < 1500; n++)
        store_rig_append(&r, n, 1);
    store_rig_upkeep(&r);
    store_rig_shut(&r);
    store_rig_flip(&r, SEGMENT, 20000); /* among the blocks */
    store_rig_reopen(&r);
    unsigned n = 0;
    while (n < 1500 && store_rig_find(&r, n) != -2)
        n++;
    cr_assert_lt(n, 1500);
    cr_assert_eq(store_rig_stats(&r).segments_aside, 0);
    store_rig_append(&r, n, 1);
    cr_assert_eq(store_rig_find(&r, n), 1);
    cr_assert_eq(store_rig_stats(&r).duplicates, 0);
    store_rig_close(&r);
}

/* Asked three times: what is found to be damaged on the way is out of the next answer. */
static void assert_answers(struct store_rig *r, bool by_thread, size_t at)
{
    struct arena arena;
    struct row_list rows;
    struct snapshot *snap = snapshot_acquire(r->store, NULL);
    arena_init(&arena, 1 << 26, NULL);
    for (int i = 0; i < 3; i++) {
        struct selection_request request = {.project_id = 2};
        struct flamegraph_options options = {.separate_threads = by_thread};
        struct selection *selection = NULL;
        struct flamegraph *graph;
        struct errinfo info = {0};
        cr_assert_eq(
            snapshot_find_chunks(snap, 2, small_id(0), INT64_MIN, INT64_MAX, &arena, &rows), ERR_OK,
            "byte %zu", at);
        enum err rc = selection_make(snap, &request, &arena, &selection, &info);
        if (rc == ERR_OK)
            rc = flamegraph_build(selection, &options, &arena, &graph, &info);
        cr_assert_eq(rc, ERR_OK, "byte %zu: %s", at, info.text);
        selection_destroy(selection);
    }
    arena_close(&arena);
    snapshot_release(snap);
}

/* One byte of each piece, or more. */
static void assert_answers_with_damage(struct store_rig *r, size_t step)
{
    store_rig_shut(r);
    size_t size = vfs_mem_get(r->disk, SEGMENT).len;
    cr_assert_gt(size, 4 * PIECE);
    for (size_t at = 20000; at < size - 300; at += step) {
        store_rig_flip(r, SEGMENT, at);
        for (int by_thread = 0; by_thread < 2; by_thread++) {
            store_rig_reopen(r);
            assert_answers(r, by_thread == 1, at);
            store_rig_shut(r);
        }
        store_rig_flip(r, SEGMENT, at);
    }
    store_rig_reopen(r);
}

Test(store_trouble, a_damaged_row_does_not_fail_every_question)
{
    struct store_rig r = store_rig_open();
    append_and_seal(&r, 0, 1200);
    assert_answers_with_damage(&r, PIECE / 2);
    store_rig_close(&r);
}

/* A chunk whose texts are its own, so that the tables are large. */
static void append_with_texts(struct store_rig *r, unsigned n, struct rng *rng)
{
    static struct hand_profile h;
    struct buffer out;
    struct errinfo info = {0};
    char id[24];
    char name[64];
    (void)snprintf(id, sizeof id, "%u", n);
    for (int i = 0; i < 60; i++)
        name[i] = (char)('0' + rng_below(rng, 74));
    name[60] = 0;
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.project_id = 2;
    h.profile.profiler_id = small_id(1);
    h.profile.id = small_id(n);
    h.profile.received_ns = 1;
    h.profile.retention_days = 9000;
    hand_frame(&h, (struct hand_frame){.function = name + 20});
    hand_frame(&h, (struct hand_frame){.function = name + 30});
    uint32_t stack = hand_stack(&h, "10");
    uint32_t thread = hand_thread(&h, id, name);
    hand_sample(&h, thread, stack, 1000.0 + n);
    hand_sample(&h, thread, stack, 1000.5 + n);
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(record_encode_profile(&h.profile, &out, &info), ERR_OK, "%s", info.text);
    struct bytes record = buffer_bytes(&out);
    cr_assert_eq(store_append(r->store, &record, 1, &info), ERR_OK, "%s", info.text);
    buffer_close(&out);
}

Test(store_trouble, damaged_tables_do_not_fail_every_question)
{
    struct store_rig r = store_rig_open();
    struct rng rng = test_rng();
    r.options.durability = DURABILITY_NONE;
    store_rig_reopen(&r);
    for (unsigned n = 0; n < 1500; n++)
        append_with_texts(&r, n, &rng);
    store_rig_upkeep(&r);
    assert_answers_with_damage(&r, PIECE);
    store_rig_close(&r);
}

/* Until the log that replaced a row is sealed, it alone says so. */
Test(store_trouble, a_damaged_block_of_an_unsealed_log_hides_no_sealed_row)
{
    struct store_rig r = store_rig_open();
    struct store_upkeep one = {0};
    bool did;
    r.options.log_size_max = 1; /* a log each */
    store_rig_reopen(&r);
    store_rig_append(&r, 1, 1);
    store_rig_upkeep(&r);
    store_rig_append(&r, 2, 1);
    store_rig_append(&r, 1, 2);
    store_rig_append(&r, 3, 1);
    store_rig_append(&r, 4, 1);
    cr_assert_eq(store_upkeep(r.store, &one, &did, NULL), ERR_OK); /* the log of chunk 2 */
    cr_assert(did);
    cr_assert_eq(store_rig_find(&r, 1), 2);
    store_rig_shut(&r);
    static const char path[] = "/data/log-0000000000000004"; /* of the later chunk 1 */
    size_t size = vfs_mem_get(r.disk, path).len;
    store_rig_flip(&r, path, size - 3); /* the end of its block */
    store_rig_reopen(&r);
    cr_assert_eq(store_rig_find(&r, 1), 1);
    cr_assert_eq(store_rig_find(&r, 2), 1);
    cr_assert_eq(store_rig_find(&r, 3), 1);
    cr_assert_eq(store_rig_find(&r, 4), 1);
    store_rig_close(&r);
}

/* ---- short of memory ---- */

static struct store_rig open_with_budget(struct mem_budget *budget, size_t log_size_max)
{
    struct store_rig r = store_rig_open();
    mem_budget_init(budget, 4 << 20);
    r.options.durability = DURABILITY_NONE;
    r.options.log_size_max = log_size_max;
    r.options.mem_budget = budget;
    store_rig_reopen(&r);
    return r;
}

Test(store_trouble, a_full_open_set_that_hides_can_still_be_sealed)
{
    struct mem_budget budget;
    struct store_rig r = open_with_budget(&budget, 0);
    struct errinfo info = {0};
    unsigned n = 0;
    for (unsigned k = 0; k < 8; k++) { /* a lot of sealed links */
        for (unsigned i = 0; i < 1500; i++, n++)
            store_rig_append_link(&r, store_rig_link(n, 1000 + n, 2000 + n));
        store_rig_upkeep(&r);
    }
    unsigned again = 0; /* sent again, otherwise: until there is no room */
    enum err rc = ERR_OK;
    while (rc == ERR_OK && again < n) {
        rc = store_rig_try_link(&r, store_rig_link(again, 1000 + again, 3000 + again), &info);
        again += rc == ERR_OK;
    }
    cr_assert_eq(rc, ERR_BUSY);
    struct store_upkeep u = {0};
    bool did = true;
    for (int i = 0; i < 10 && rc != ERR_OK; i++) {
        cr_assert_eq(store_upkeep(r.store, &u, &did, &info), ERR_OK, "%s", info.text);
        rc = store_rig_try_link(&r, store_rig_link(again, 1000 + again, 3000 + again), &info);
    }
    cr_assert_eq(rc, ERR_OK, "no append is taken any more: %s", info.text);
    store_rig_close(&r);
}

Test(store_trouble, closed_logs_leave_memory_for_what_seals_them)
{
    struct mem_budget budget;
    struct store_rig r = open_with_budget(&budget, 100000);
    struct errinfo info = {0};
    for (unsigned n = 0;
         store_rig_try_link(&r, store_rig_link(n, 1000 + n, 2000 + n), &info) == ERR_OK; n++)
        ;
    cr_assert_leq(store_rig_stats(&r).index_bytes, budget.max / 2, "more than its share");
    struct mem_account account;
    mem_account_init(&account, &budget, SIZE_MAX);
    struct store_upkeep u = {.account = &account};
    bool did;
    cr_assert_eq(store_upkeep(r.store, &u, &did, &info), ERR_OK, "%s", info.text);
    cr_assert(did);
    mem_account_close(&account);
    store_rig_close(&r);
}

/* Every allocation fails once: whatever is made of that, each link is there once. */
Test(store_trouble, links_replaced_meanwhile_stay_replaced_when_memory_is_short)
{
    bool fired = true;
    size_t nth = 0;
    while (fired) {
        struct store_rig r = store_rig_open();
        struct store_upkeep u = {0};
        bool did;
        for (unsigned n = 0; n < 5; n++)
            store_rig_append_link(&r, store_rig_link(n, 1000, 2000));
        store_rig_upkeep(&r);
        for (unsigned n = 5; n < 8; n++)
            store_rig_append_link(&r, store_rig_link(n, 1000, 2000));
        store_rig_one_piece(&r);
        for (unsigned n = 0; n < 3; n++) /* hidden by the open set */
            store_rig_append_link(&r, store_rig_link(n, 1000, 5000));
        mem_fail_at(++nth);
        u.everything = true;
        (void)!store_upkeep(r.store, &u, &did, NULL);
        fired = mem_fail_left() == 0;
        mem_fail_at(0);
        cr_assert_eq(store_rig_count_links(&r), 8, "allocation %zu", nth);
        store_rig_close(&r);
    }
    cr_assert_gt(nth, 20);
}

Test(store_trouble, a_sealed_link_is_not_doubled_when_memory_is_short)
{
    bool fired = true;
    size_t nth = 0;
    while (fired) {
        struct store_rig r = store_rig_open();
        struct link link = store_rig_link(1, 1000, 5000);
        struct buffer out;
        struct errinfo info = {0};
        store_rig_append_link(&r, store_rig_link(1, 1000, 2000));
        store_rig_upkeep(&r);
        buffer_init(&out, 1 << 20, NULL);
        cr_assert_eq(record_encode_link(&link, &out, &info), ERR_OK);
        struct bytes record = buffer_bytes(&out);
        mem_fail_at(++nth);
        (void)!store_append(r.store, &record, 1, &info);
        fired = mem_fail_left() == 0;
        mem_fail_at(0);
        buffer_close(&out);
        cr_assert_eq(store_rig_count_links(&r), 1, "allocation %zu", nth);
        store_rig_close(&r);
    }
    cr_assert_gt(nth, 5);
}

/* ---- time, and room on the disk ---- */

Test(store_trouble, a_link_of_an_import_stays_as_long_as_its_rows)
{
    struct store_rig r = store_rig_open();
    clock_set_wall(20001 * DAY_NS);
    for (unsigned n = 0; n < 70; n++)
        store_rig_append_of_day(&r, (struct rig_chunk){n, 19000, 20001, 90});
    store_rig_append_link(&r, store_rig_link(1, 19000 * DAY_NS - 5, 19000 * DAY_NS + 20));
    store_rig_append_link(&r, store_rig_link(2, 19000 * DAY_NS + 5, 19000 * DAY_NS + 20));
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_count_links(&r), 2);
    store_rig_close(&r);
}

Test(store_trouble, one_span_of_a_wrong_clock_does_not_keep_a_day_for_ever)
{
    struct store_rig r = store_rig_open();
    clock_set_wall(20001 * DAY_NS);
    for (unsigned n = 0; n < 70; n++)
        store_rig_append_of_day(&r, (struct rig_chunk){n, 20000, 20000, 10});
    store_rig_append_link(&r, store_rig_link(1, 20000 * DAY_NS + 5, INT64_C(250) * 365 * DAY_NS));
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 70);
    clock_set_wall(21000 * DAY_NS);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 0);
    store_rig_close(&r);
}

Test(store_trouble, the_longest_retention_is_no_overflow)
{
    struct store_rig r = store_rig_open();
    store_rig_append_of_day(&r, (struct rig_chunk){1, 1, 1, UINT32_MAX});
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 1);
    store_rig_close(&r);
}

/* Sealing makes room. */
Test(store_trouble, a_log_that_waits_to_be_sealed_drops_nothing)
{
    struct store_rig r = store_rig_open();
    clock_set_wall(20004 * DAY_NS);
    store_rig_append_of_day(&r, (struct rig_chunk){1, 20000, 20000, 90});
    store_rig_upkeep(&r);
    uint64_t small = store_rig_stats(&r).disk_bytes;
    for (unsigned n = 100; n < 160; n++)
        store_rig_append_of_day(&r, (struct rig_chunk){n, 20003, 20003, 90});
    uint64_t with_log = store_rig_stats(&r).disk_bytes;
    store_set_disk_max(r.store, small + (with_log - small) * 3 / 4);
    store_rig_upkeep(&r);
    cr_assert_eq(store_rig_stats(&r).rows, 61);
    cr_assert_eq(store_rig_stats(&r).dropped_rows, 0);
    store_rig_close(&r);
}

Test(store_trouble, what_is_over_the_ceiling_goes_also_when_a_log_cannot_be_sealed)
{
    struct store_rig r = store_rig_open();
    struct mem_account none;
    struct store_upkeep u = {.everything = true, .account = &none};
    bool did = false;
    mem_account_init(&none, NULL, 1);
    clock_set_wall(20004 * DAY_NS);
    for (unsigned n = 0; n < 2; n++)
        store_rig_append_of_day(&r, (struct rig_chunk){n, 20000 + n, 20000 + n, 90});
    store_rig_upkeep(&r);
    store_rig_append_of_day(&r, (struct rig_chunk){9, 20003, 20003, 90});
    store_set_disk_max(r.store, 1);
    for (size_t left = 2; left-- > 0;) {
        cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
        cr_assert(did);
        cr_assert_eq(store_rig_stats(&r).segment_count, left);
    }
    struct errinfo info = {0};
    cr_assert_neq(store_upkeep(r.store, &u, &did, &info), ERR_OK);
    cr_assert_gt(strlen(info.text), 0);
    cr_assert_eq(store_rig_stats(&r).rows, 1, "logs are never dropped");
    mem_account_close(&none);
    store_rig_close(&r);
}

Test(store_trouble, a_row_that_was_replaced_before_it_was_dropped_counts_once)
{
    struct store_rig r = store_rig_open();
    struct store_upkeep u = {0};
    bool did = true;
    store_rig_append(&r, 1, 1);
    store_rig_upkeep(&r);
    store_rig_append(&r, 1, 2); /* replaces it, from the open log */
    store_set_disk_max(r.store, 1);
    while (did)
        cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert_eq(store_rig_find(&r, 1), 2);
    cr_assert_eq(store_rig_stats(&r).segment_count, 0);
    cr_assert_eq(store_rig_stats(&r).rows, 1);
    cr_assert_eq(store_rig_stats(&r).dropped_rows, 0);
    store_rig_close(&r);
}
