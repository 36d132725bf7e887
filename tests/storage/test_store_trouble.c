/* What a store makes of trouble that comes in odd moments: damage, failures, clocks, full disks. */
#include <stdio.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/flamegraph.h"
#include "engine/identity.h"
#include "engine/selection.h"
#include "tests/support/hand_profile.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_crash.h"
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

static void flip(struct rig *r, const char *path, size_t at)
{
    struct bytes content = vfs_mem_get(r->disk, path);
    uint8_t *copy = mem_alloc(content.len);
    memcpy(copy, content.data, content.len);
    copy[at] ^= 0x40;
    vfs_mem_put(r->disk, path, bytes_of(copy, content.len));
    mem_free(copy);
}

static struct link link_of(unsigned n, int64_t start_ns, int64_t end_ns)
{
    struct link l = {.project_id = 2,
                     .profiler_id = small_id(1),
                     .trace_id = small_id(n),
                     .span_id = n + 1,
                     .start_ns = start_ns,
                     .end_ns = end_ns,
                     .name = BYTES("n"),
                     .op = BYTES("o"),
                     .thread_id = BYTES("1"),
                     .thread_name = BYTES(""),
                     .environment = BYTES(""),
                     .release = BYTES(""),
                     .platform = BYTES("python")};
    return l;
}

static enum err try_link(struct store *s, struct link l, struct errinfo *info)
{
    struct buffer out;
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(record_encode_link(&l, &out, info), ERR_OK);
    struct bytes record = buffer_bytes(&out);
    enum err rc = store_append(s, &record, 1, info);
    buffer_close(&out);
    return rc;
}

static size_t count_links(struct store *s)
{
    struct arena arena;
    struct link_list list;
    struct snapshot *snap = snapshot_acquire(s, NULL);
    arena_init(&arena, 1 << 24, NULL);
    cr_assert_eq(snapshot_find_links(snap, 2, INT64_MIN, INT64_MAX, &arena, &list), ERR_OK);
    size_t count = list.count;
    arena_close(&arena);
    snapshot_release(snap);
    return count;
}

Test(store_trouble, failed_close_of_a_set_loses_no_later_batch)
{
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    struct rng rng = test_rng();
    unsigned lost = 0, runs = 0;
    for (unsigned nth = 1; nth < 8; nth++) {
        for (unsigned round = 0; round < 1; round++) {
            struct vfs_crash disk;
            struct store *store = NULL;
            struct errinfo info = {0};
            struct store_options o = {
                .dir = "/data", .retention_days = 90, .frame_rules = &engine_frame_rules};
            vfs_crash_init(&disk, 0, rng_u64(&rng));
            o.vfs = &disk.fault.vfs;
            cr_assert_eq(store_open(&o, &store, &info), ERR_OK);
            cr_assert_eq(small_chunk_append(store, (struct small_chunk){1, 1}, &info), ERR_OK);
            disk.fault.left = nth;
            disk.fault.then = FAULT_FOREVER;
            struct store_upkeep u = {.everything = true};
            bool did;
            enum err rc = store_upkeep(store, &u, &did, &info);
            disk.fault.left = 0;
            disk.fault.fired = false; /* the device works again */
            if (rc == ERR_OK) {
                store_close(store);
                vfs_crash_close(&disk);
                continue;
            }
            if (small_chunk_append(store, (struct small_chunk){2, 1}, &info) == ERR_OK) {
                runs++;
                store_close(store); /* in order: no power cut is needed */
                cr_assert_eq(store_open(&o, &store, &info), ERR_OK);
                struct snapshot *snap = snapshot_acquire(store, NULL);
                if (small_chunk_find(snap, 2, &info) != 1)
                    lost++;
                snapshot_release(snap);
            }
            store_close(store);
            vfs_crash_close(&disk);
        }
    }
    cr_assert_eq(lost, 0, "%u of %u acknowledged batches lost", lost, runs);
}

Test(store_trouble, a_link_that_ends_before_it_starts_is_no_second_one)
{
    struct rig r = rig_open();
    struct errinfo info = {0};
    cr_assert_eq(try_link(r.store, link_of(1, 2000, 1000), &info), ERR_OK);
    upkeep_all(&r);
    cr_assert_eq(try_link(r.store, link_of(1, 2000, 1000), &info), ERR_OK);
    cr_expect_eq(count_links(r.store), 1, "links: %zu", count_links(r.store));
    upkeep_all(&r);
    cr_expect_eq(count_links(r.store), 1, "links: %zu", count_links(r.store));
    rig_close(&r);
}

Test(store_trouble, a_folder_whose_last_log_is_damaged_is_sealed)
{
    struct rig r = rig_open();
    for (unsigned n = 0; n < 5; n++)
        append(&r, n, 1);
    store_close(r.store);
    r.store = NULL;
    flip(&r, "/data/log-0000000000000001", 64 + 8); /* the first batch's header */
    rig_reopen(&r);
    cr_assert_eq(stats_of(&r).rows, 4);
    upkeep_all(&r);
    cr_expect_eq(stats_of(&r).segment_count, 1, "not sealed: %lu logs",
                 (unsigned long)stats_of(&r).log_count);
    rig_close(&r);
}

static void big_segment(struct rig *r, unsigned first, unsigned count)
{
    for (unsigned n = first; n < first + count; n++)
        append_of_day(r, n, 1, 1, 9000);
    struct store_upkeep one = {.everything = true};
    bool did;
    cr_assert_eq(store_upkeep(r->store, &one, &did, NULL), ERR_OK); /* sealed, not merged */
}

Test(store_trouble, a_damaged_segment_does_not_stop_merging)
{
    static const char path[] = "/data/segment-0000000000000000";
    unsigned stuck = 0, tried = 0;
    bool more = true;
    for (size_t at = 20000; more; at += 16384) {
        struct rig r = rig_open();
        r.options.durability = DURABILITY_NONE;
        rig_reopen(&r);
        big_segment(&r, 0, 1200);
        big_segment(&r, 5000, 10);
        cr_assert_eq(stats_of(&r).segment_count, 2);
        store_close(r.store);
        r.store = NULL;
        size_t size = vfs_mem_get(r.disk, path).len;
        more = at + 16384 < size - 200;
        flip(&r, path, at);
        rig_reopen(&r);
        if (stats_of(&r).segments_aside == 0) {
            struct store_upkeep one = {.everything = true};
            struct errinfo info = {0};
            enum err rc = ERR_OK;
            bool did;
            tried++;
            for (int i = 0; i < 3; i++)
                rc = store_upkeep(r.store, &one, &did, &info);
            stuck += rc != ERR_OK;
        }
        rig_close(&r);
    }
    cr_expect_eq(stuck, 0, "%u of %u damaged pieces stop merging for good", stuck, tried);
}

Test(store_trouble, a_full_open_set_that_hides_can_still_be_sealed)
{
    struct mem_budget budget;
    mem_budget_init(&budget, 4 << 20);
    struct rig r = {.disk = vfs_mem_create()};
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    r.options = (struct store_options){.vfs = vfs_mem_vfs(r.disk),
                                       .dir = "/data",
                                       .retention_days = 90,
                                       .durability = DURABILITY_NONE,
                                       .frame_rules = &engine_frame_rules,
                                       .mem_budget = &budget};
    rig_reopen(&r);
    struct errinfo info = {0};
    unsigned n = 0;
    for (unsigned k = 0; k < 8; k++) { /* a lot of sealed links */
        for (unsigned i = 0; i < 1500; i++, n++)
            cr_assert_eq(try_link(r.store, link_of(n, 1000 + n, 2000 + n), &info), ERR_OK, "%s",
                         info.text);
        upkeep_all(&r);
    }
    /* sent again, otherwise: until there is no room */
    unsigned again = 0;
    enum err rc = ERR_OK;
    for (; again < n; again++) {
        struct link l = link_of(again, 1000 + again, 3000 + again);
        rc = try_link(r.store, l, &info);
        if (rc != ERR_OK)
            break;
    }
    cr_assert_eq(rc, ERR_BUSY);
    struct store_upkeep u = {0};
    bool did = true;
    for (int i = 0; i < 10 && rc != ERR_OK; i++) {
        (void)!store_upkeep(r.store, &u, &did, &info);
        rc = try_link(r.store, link_of(again, 1000 + again, 3000 + again), &info);
    }
    cr_expect_eq(rc, ERR_OK, "no append is taken any more: %s", info.text);
    rig_close(&r);
}

struct breaker {
    struct rig *rig;
    unsigned rows;
};
static bool lose_pages(void *self)
{
    struct breaker *b = self;
    if (b->rows++ == 1)
        vfs_mem_set_maps_failed(b->rig->disk, true);
    return true;
}
Test(store_trouble, what_was_read_from_lost_pages_is_not_made_new)
{
    struct rig r = rig_open();
    for (unsigned n = 0; n < 4; n++)
        append(&r, n, 1);
    upkeep_all(&r);
    struct store_upkeep one = {.everything = true};
    append(&r, 9, 1);
    bool did;
    cr_assert_eq(store_upkeep(r.store, &one, &did, NULL), ERR_OK);
    struct breaker b = {.rig = &r};
    struct store_upkeep u = {.everything = true, .self = &b, .keep_going = lose_pages};
    enum err rc = store_upkeep(r.store, &u, &did, NULL);
    vfs_mem_set_maps_failed(r.disk, false);
    cr_expect(rc != ERR_OK || !did, "merged from a file that lost pages, and the file removed");
    rig_close(&r);
}

__attribute__((unused)) static enum err read_one(struct rig *r, unsigned n)
{
    struct arena arena;
    struct profile p;
    row_id row;
    struct snapshot *snap = snapshot_acquire(r->store, NULL);
    arena_init(&arena, 1 << 24, NULL);
    enum err rc = snapshot_find_chunk(snap, 2, small_id(n % 4), small_id(n), &row);
    if (rc == ERR_OK)
        rc = snapshot_read_profile(snap, row, &arena, &p, NULL);
    arena_close(&arena);
    snapshot_release(snap);
    return rc;
}

Test(store_trouble, a_sealed_row_known_to_be_unreadable_is_written_again)
{
    static const char path[] = "/data/segment-0000000000000000";
    struct rig r = rig_open();
    r.options.durability = DURABILITY_NONE;
    rig_reopen(&r);
    for (unsigned n = 0; n < 1500; n++)
        append(&r, n, 1);
    upkeep_all(&r);
    store_close(r.store);
    r.store = NULL;
    flip(&r, path, 20000); /* among the blocks */
    rig_reopen(&r);
    cr_assert_eq(stats_of(&r).segments_aside, 0);
    unsigned n = 0;
    while (n < 1500 && find(&r, n) != -2)
        n++;
    cr_assert_lt(n, 1500);
    cr_assert_eq(stats_of(&r).segments_aside, 0);
    append(&r, n, 1);
    cr_expect_eq(find(&r, n), 1, "chunk %u was sent again and acknowledged: %lu duplicates", n,
                 (unsigned long)stats_of(&r).duplicates);
    rig_close(&r);
}

Test(store_trouble, links_replaced_meanwhile_stay_replaced_when_memory_is_short)
{
    unsigned doubled = 0;
    for (size_t nth = 1, fired = 1; fired != 0 && nth < 3000; nth++) {
        struct rig r = rig_open();
        struct errinfo info = {0};
        for (unsigned n = 0; n < 5; n++)
            cr_assert_eq(try_link(r.store, link_of(n, 1000, 2000), &info), ERR_OK);
        upkeep_all(&r);
        for (unsigned n = 5; n < 8; n++)
            cr_assert_eq(try_link(r.store, link_of(n, 1000, 2000), &info), ERR_OK);
        struct store_upkeep one = {.everything = true};
        bool did;
        cr_assert_eq(store_upkeep(r.store, &one, &did, NULL), ERR_OK);
        for (unsigned n = 0; n < 3; n++) /* hidden by the open set */
            cr_assert_eq(try_link(r.store, link_of(n, 1000, 5000), &info), ERR_OK);
        struct store_upkeep u = {0};
        u.everything = false;
        mem_fail_at(nth);
        (void)!store_upkeep(r.store, &u, &did, &info);
        fired = mem_fail_left() == 0;
        mem_fail_at(0);
        size_t links = count_links(r.store);
        doubled += links != 8;
        rig_close(&r);
    }
    cr_expect_eq(doubled, 0, "%u allocations double links", doubled);
}

Test(store_trouble, a_damaged_row_does_not_fail_every_question)
{
    static const char path[] = "/data/segment-0000000000000000";
    struct rig r = rig_open();
    r.options.durability = DURABILITY_NONE;
    rig_reopen(&r);
    big_segment(&r, 0, 1200);
    store_close(r.store);
    r.store = NULL;
    unsigned failed = 0, graphs = 0;
    size_t size = vfs_mem_get(r.disk, path).len;
    for (size_t at = 20000; at < size - 300; at += 8192) {
        struct arena arena;
        struct row_list rows;
        flip(&r, path, at);
        rig_reopen(&r);
        arena_init(&arena, 1 << 26, NULL);
        struct snapshot *snap = snapshot_acquire(r.store, NULL);
        enum err rc = ERR_OK;
        for (int i = 0; i < 2; i++)
            rc = snapshot_find_chunks(snap, 2, small_id(0), INT64_MIN, INT64_MAX, &arena, &rows);
        failed += rc != ERR_OK;
        struct selection_request q = {.project_id = 2};
        for (int by_thread = 0; by_thread < 2; by_thread++) {
            struct selection *s = NULL;
            struct flamegraph *g;
            struct errinfo info = {0};
            struct flamegraph_options o = {.separate_threads = by_thread == 1};
            rc = selection_make(snap, &q, &arena, &s, &info);
            if (rc == ERR_OK)
                rc = flamegraph_build(s, &o, &arena, &g, &info);
            graphs += rc != ERR_OK;
            if (s != NULL)
                selection_destroy(s);
        }
        arena_close(&arena);
        snapshot_release(snap);
        store_close(r.store);
        r.store = NULL;
        flip(&r, path, at);
    }
    rig_reopen(&r);
    rig_close(&r);
    cr_expect_eq(failed, 0, "%u flips", failed);
    cr_expect_eq(graphs, 0, "%u flips", graphs);
}

static void append_thread(struct rig *r, unsigned n, struct rng *rng)
{
    static struct hand_profile h;
    struct buffer out;
    struct errinfo info = {0};
    char id[24], name[64];
    snprintf(id, sizeof id, "%u", n);
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
    cr_assert_eq(record_encode_profile(&h.profile, &out, &info), ERR_OK);
    struct bytes record = buffer_bytes(&out);
    cr_assert_eq(store_append(r->store, &record, 1, &info), ERR_OK, "%s", info.text);
    buffer_close(&out);
}

Test(store_trouble, a_flame_graph_of_damaged_tables_is_of_the_rest)
{
    static const char path[] = "/data/segment-0000000000000000";
    struct rig r = rig_open();
    struct rng rng = test_rng();
    r.options.durability = DURABILITY_NONE;
    rig_reopen(&r);
    for (unsigned n = 0; n < 1500; n++)
        append_thread(&r, n, &rng);
    upkeep_all(&r);
    store_close(r.store);
    r.store = NULL;
    unsigned graphs = 0;
    size_t size = vfs_mem_get(r.disk, path).len;
    for (size_t at = 20000; at < size - 300; at += 16384) {
        flip(&r, path, at);
        for (int by_thread = 0; by_thread < 2; by_thread++) {
            struct arena arena;
            rig_reopen(&r);
            arena_init(&arena, 1 << 26, NULL);
            struct snapshot *snap = snapshot_acquire(r.store, NULL);
            enum err rc = ERR_OK;
            struct errinfo info = {0};
            struct selection_request q = {.project_id = 2};
            for (int i = 0; i < 3; i++) {
                struct selection *s = NULL;
                struct flamegraph *g;
                struct flamegraph_options o = {.separate_threads = by_thread == 1};
                rc = selection_make(snap, &q, &arena, &s, &info);
                if (rc == ERR_OK)
                    rc = flamegraph_build(s, &o, &arena, &g, &info);
                if (s != NULL)
                    selection_destroy(s);
            }
            if (rc != ERR_OK) {
                graphs++;
            }
            arena_close(&arena);
            snapshot_release(snap);
            store_close(r.store);
            r.store = NULL;
        }
        flip(&r, path, at);
    }
    rig_reopen(&r);
    rig_close(&r);
    cr_expect_eq(graphs, 0, "%u graphs", graphs);
}

Test(store_trouble, a_link_of_an_import_stays_as_long_as_its_rows)
{
    struct rig r = rig_open();
    struct errinfo info = {0};
    clock_set_wall(20001 * DAY_NS);
    for (unsigned n = 0; n < 70; n++)
        append_of_day(&r, n, 19000, 20001, 90);
    cr_assert_eq(
        try_link(r.store, link_of(1, 18999 * DAY_NS + DAY_NS - 5, 19000 * DAY_NS + 20), &info),
        ERR_OK);
    cr_assert_eq(try_link(r.store, link_of(2, 19000 * DAY_NS + 5, 19000 * DAY_NS + 20), &info),
                 ERR_OK);
    upkeep_all(&r);
    cr_expect_eq(count_links(r.store), 2, "%zu links of 2 a moment after they were acknowledged",
                 count_links(r.store));
    rig_close(&r);
}

Test(store_trouble, a_log_that_waits_to_be_sealed_drops_nothing)
{
    struct rig r = rig_open();
    clock_set_wall(20004 * DAY_NS);
    append_of_day(&r, 1, 20000, 20000, 90);
    upkeep_all(&r);
    uint64_t small = stats_of(&r).disk_bytes;
    for (unsigned n = 100; n < 160; n++)
        append_of_day(&r, n, 20003, 20003, 90);
    uint64_t with_log = stats_of(&r).disk_bytes;
    store_set_disk_max(r.store, small + (with_log - small) * 3 / 4);
    upkeep_all(&r);
    cr_expect_eq(stats_of(&r).rows, 61, "%lu rows of 61: what sealing would have made room for",
                 (unsigned long)stats_of(&r).rows);
    rig_close(&r);
}

Test(store_trouble, visible_rows_are_counted_after_a_drop)
{
    struct rig r = rig_open();
    append(&r, 1, 1);
    upkeep_all(&r);
    append(&r, 1, 2); /* replaces it, from the open log */
    store_set_disk_max(r.store, 1);
    struct store_upkeep u = {0};
    bool did = true;
    while (did)
        cr_assert_eq(store_upkeep(r.store, &u, &did, NULL), ERR_OK);
    cr_assert_eq(find(&r, 1), 2);
    cr_expect_eq(stats_of(&r).rows, 1, "rows: %lu", (unsigned long)stats_of(&r).rows);
    rig_close(&r);
}

Test(store_trouble, closed_logs_do_not_take_all_memory)
{
    struct mem_budget budget;
    mem_budget_init(&budget, 4 << 20);
    struct rig r = {.disk = vfs_mem_create()};
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    r.options = (struct store_options){.vfs = vfs_mem_vfs(r.disk),
                                       .dir = "/data",
                                       .retention_days = 90,
                                       .durability = DURABILITY_NONE,
                                       .log_size_max = 100000,
                                       .frame_rules = &engine_frame_rules,
                                       .mem_budget = &budget};
    rig_reopen(&r);
    struct errinfo info = {0};
    unsigned n = 0;
    while (try_link(r.store, link_of(n, 1000 + n, 2000 + n), &info) == ERR_OK)
        n++;
    cr_expect_leq(stats_of(&r).index_bytes, budget.max / 2, "more than its share");
    struct mem_account account;
    mem_account_init(&account, &budget, SIZE_MAX);
    struct store_upkeep u = {.account = &account};
    bool did;
    enum err rc = store_upkeep(r.store, &u, &did, &info);
    cr_expect_eq(rc, ERR_OK, "and sealing, which would free it, has none: %s", info.text);
    mem_account_close(&account);
    rig_close(&r);
}

Test(store_trouble, a_retention_of_all_ages)
{
    struct rig r = rig_open();
    append_of_day(&r, 1, 1, 1, UINT32_MAX);
    upkeep_all(&r);
    cr_expect_eq(stats_of(&r).rows, 1);
    rig_close(&r);
}
Test(store_trouble, a_sealed_link_is_not_doubled_when_memory_is_short)
{
    unsigned doubled = 0;
    for (size_t nth = 1, fired = 1; fired != 0 && nth < 3000; nth++) {
        struct rig r = rig_open();
        struct errinfo info = {0};
        cr_assert_eq(try_link(r.store, link_of(1, 1000, 2000), &info), ERR_OK);
        upkeep_all(&r);
        struct link l = link_of(1, 1000, 5000);
        struct buffer out;
        buffer_init(&out, 1 << 20, NULL);
        cr_assert_eq(record_encode_link(&l, &out, &info), ERR_OK);
        struct bytes record = buffer_bytes(&out);
        mem_fail_at(nth);
        (void)!store_append(r.store, &record, 1, &info);
        fired = mem_fail_left() == 0;
        mem_fail_at(0);
        buffer_close(&out);
        doubled += count_links(r.store) != 1;
        rig_close(&r);
    }
    cr_expect_eq(doubled, 0, "%u allocations double a link", doubled);
}

Test(store_trouble, one_span_of_a_wrong_clock_does_not_keep_a_day_for_ever)
{
    struct rig r = rig_open();
    struct errinfo info = {0};
    clock_set_wall(20001 * DAY_NS);
    for (unsigned n = 0; n < 70; n++)
        append_of_day(&r, n, 20000, 20000, 10);
    cr_assert_eq(
        try_link(r.store, link_of(1, 20000 * DAY_NS + 5, INT64_C(250) * 365 * DAY_NS), &info),
        ERR_OK);
    upkeep_all(&r);
    clock_set_wall(21000 * DAY_NS);
    upkeep_all(&r);
    cr_expect_eq(stats_of(&r).rows, 0, "%lu rows are there 990 days after they expired",
                 (unsigned long)stats_of(&r).rows);
    rig_close(&r);
}
