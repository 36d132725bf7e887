#include <stdio.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "storage/store.h"
#include "tests/support/hand_profile.h"
#include "tests/support/random_profile.h"
#include "tests/support/tmpdir.h"
#include "tests/support/vfs_crash.h"

/* A store on a disk in memory. */
struct rig {
    struct vfs_mem *disk;
    struct store *store;
    struct arena arena;
    struct errinfo info;
};

static void rig_open(struct rig *r)
{
    struct store_options options = {.vfs = vfs_mem_vfs(r->disk), .dir = "/data"};
    cr_assert_eq(store_open(&options, &r->store, &r->info), ERR_OK, "%s", r->info.text);
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){.disk = vfs_mem_create()};
    arena_init(&r->arena, 64 << 20, NULL);
    rig_open(r);
}

static void rig_close(struct rig *r)
{
    store_close(r->store);
    vfs_mem_destroy(r->disk);
    arena_close(&r->arena);
    cr_assert_eq(mem_outstanding(), 0);
}

static void rig_reopen(struct rig *r)
{
    store_close(r->store);
    rig_open(r);
}

static struct uuid id_of(unsigned n)
{
    struct uuid id = {{0}};
    put_u32(id.byte + 12, n);
    return id;
}

/* A chunk with two samples at `start` and `end` seconds. */
static void append_chunk(struct rig *r, unsigned profiler, unsigned chunk, double start, double end,
                         const char *release)
{
    struct hand_profile h;
    struct buffer out;
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.profiler_id = id_of(profiler);
    h.profile.id = id_of(chunk);
    h.profile.release = hand_string(&h, release);
    hand_frame(&h, (struct hand_frame){.function = "main"});
    uint32_t stack = hand_stack(&h, "0");
    uint32_t thread = hand_thread(&h, "1", "worker");
    hand_sample(&h, thread, stack, start);
    hand_sample(&h, thread, stack, end);
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(record_encode_profile(&h.profile, &out, &r->info), ERR_OK, "%s", r->info.text);
    struct bytes record = buffer_bytes(&out);
    cr_assert_eq(store_append(r->store, &record, 1, &r->info), ERR_OK, "%s", r->info.text);
    buffer_close(&out);
}

static size_t count_chunks(struct rig *r, unsigned profiler, int64_t start_ns, int64_t end_ns)
{
    struct snapshot *snap = snapshot_acquire(r->store, NULL);
    struct row_list rows;
    cr_assert_eq(snapshot_find_chunks(snap, 2, id_of(profiler), start_ns, end_ns, &r->arena, &rows),
                 ERR_OK);
    for (size_t i = 1; i < rows.count; i++) {
        struct row before;
        struct row row;
        cr_assert_eq(snapshot_row(snap, rows.ids[i - 1], &before), ERR_OK);
        cr_assert_eq(snapshot_row(snap, rows.ids[i], &row), ERR_OK);
        cr_assert_leq(before.start_ns, row.start_ns);
    }
    snapshot_release(snap);
    return rows.count;
}

Test(store, finds_what_meets_a_range_also_after_reopening)
{
    struct rig r;
    rig_init(&r);
    append_chunk(&r, 1, 10, 1000, 1060, "a");
    append_chunk(&r, 1, 11, 1060, 1120, "a");
    append_chunk(&r, 1, 12, 900, 950, "a"); /* late */
    append_chunk(&r, 2, 13, 1000, 1060, "b");
    const struct {
        int64_t start;
        int64_t end;
        size_t expected;
    } cases[] = {{0, 899, 0},     {0, 900, 1},     {950, 950, 1}, {951, 999, 0}, {1060, 1060, 2},
                 {1061, 5000, 1}, {1121, 5000, 0}, {0, 5000, 3},  {5000, 0, 0}};
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            cr_assert_eq(
                count_chunks(&r, 1, cases[i].start * 1000000000, cases[i].end * 1000000000),
                cases[i].expected, "case %zu, %s", i, again ? "reopened" : "first");
        cr_assert_eq(count_chunks(&r, 2, 0, INT64_MAX), 1);
        cr_assert_eq(count_chunks(&r, 3, 0, INT64_MAX), 0);
        rig_reopen(&r);
    }
    rig_close(&r);
}

Test(store, equal_bytes_cost_nothing_and_others_replace)
{
    struct rig r;
    struct store_stats stats;
    struct row row;
    row_id id;
    rig_init(&r);
    append_chunk(&r, 1, 10, 1000, 1060, "a");
    store_get_stats(r.store, &stats);
    uint64_t bytes = stats.disk_bytes;
    append_chunk(&r, 1, 10, 1000, 1060, "a");
    store_get_stats(r.store, &stats);
    cr_assert_eq(stats.duplicates, 1);
    cr_assert_eq(stats.disk_bytes, bytes);
    cr_assert_eq(stats.rows, 1);

    struct snapshot *old = snapshot_acquire(r.store, NULL);
    append_chunk(&r, 1, 10, 1000, 1060, "b"); /* replaces */
    append_chunk(&r, 1, 10, 1001, 1060, "c"); /* another start: another row */
    store_get_stats(r.store, &stats);
    cr_assert_eq(stats.rows, 2);
    cr_assert_eq(stats.replaced, 1);
    cr_assert_eq(count_chunks(&r, 1, 0, INT64_MAX), 2);

    /* the older snapshot still sees the first */
    cr_assert_eq(snapshot_find_chunk(old, 2, id_of(1), id_of(10), &id), ERR_OK);
    cr_assert_eq(snapshot_row(old, id, &row), ERR_OK);
    cr_assert(bytes_equal(row.release, BYTES("a")));
    snapshot_release(old);

    for (int again = 0; again < 2; again++) {
        struct snapshot *snap = snapshot_acquire(r.store, NULL);
        cr_assert_eq(snapshot_find_chunk(snap, 2, id_of(1), id_of(10), &id), ERR_OK);
        cr_assert_eq(snapshot_row(snap, id, &row), ERR_OK);
        cr_assert(bytes_equal(row.release, BYTES("c")));
        cr_assert_eq(snapshot_find_chunk(snap, 3, id_of(1), id_of(10), &id), ERR_NOTFOUND);
        snapshot_release(snap);
        store_get_stats(r.store, &stats);
        cr_assert_eq(stats.rows, 2);
        rig_reopen(&r);
    }
    rig_close(&r);
}

Test(store, profiles_come_back_equal)
{
    struct rng rng = test_rng();
    struct rig r;
    struct profile profiles[30];
    rig_init(&r);
    for (unsigned i = 0; i < 30; i++) {
        struct buffer out;
        random_profile(&rng, &r.arena, 60, &profiles[i]);
        buffer_init(&out, 1 << 20, NULL);
        cr_assert_eq(record_encode_profile(&profiles[i], &out, NULL), ERR_OK);
        struct bytes record = buffer_bytes(&out);
        cr_assert_eq(store_append(r.store, &record, 1, &r.info), ERR_OK, "%s", r.info.text);
        buffer_close(&out);
    }
    rig_reopen(&r);
    struct snapshot *snap = snapshot_acquire(r.store, NULL);
    for (unsigned i = 0; i < 30; i++) {
        const struct profile *p = &profiles[i];
        struct profile back;
        row_id id;
        const char *why = "";
        enum err rc = p->kind == PROFILE_CHUNK
                          ? snapshot_find_chunk(snap, p->project_id, p->profiler_id, p->id, &id)
                          : snapshot_find_profile(snap, p->project_id, p->id, &id);
        cr_assert_eq(rc, ERR_OK);
        cr_assert_eq(snapshot_read_profile(snap, id, &r.arena, &back, &r.info), ERR_OK, "%s",
                     r.info.text);
        cr_assert(profiles_equal(p, &back, &why), "%s", why);
    }
    snapshot_release(snap);
    rig_close(&r);
}

Test(store, refuses_a_second_opener_and_says_who_holds_it)
{
    struct rig r;
    struct store *second;
    rig_init(&r);
    struct store_options options = {.vfs = vfs_mem_vfs(r.disk), .dir = "/data"};
    cr_assert_eq(store_open(&options, &second, &r.info), ERR_BUSY);
    cr_assert_str_eq(r.info.text, "data folder /data is in use by another hearth (pid 1)");
    rig_close(&r);
}

static void append_link(struct rig *r, unsigned trace, uint64_t span, int64_t start_ns,
                        const char *name)
{
    struct buffer out;
    struct link link = {.project_id = 2,
                        .trace_id = id_of(trace),
                        .span_id = span,
                        .start_ns = start_ns,
                        .end_ns = start_ns + 10,
                        .is_segment = true,
                        .name = bytes_of_text(name),
                        .thread_id = BYTES("77")};
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(record_encode_link(&link, &out, NULL), ERR_OK);
    struct bytes twice[] = {buffer_bytes(&out), buffer_bytes(&out)};
    cr_assert_eq(store_append(r->store, twice, 2, &r->info), ERR_OK, "%s", r->info.text);
    buffer_close(&out);
}

Test(store, links_are_found_by_trace_and_by_time)
{
    struct rig r;
    struct link_list links;
    rig_init(&r);
    append_link(&r, 1, 100, 1000, "first");
    append_link(&r, 1, 101, 500, "second");
    append_link(&r, 2, 102, 2000, "third");
    append_link(&r, 1, 100, 1000, "again");
    for (int again = 0; again < 2; again++) {
        struct snapshot *snap = snapshot_acquire(r.store, NULL);
        struct project_summary *projects;
        size_t count;
        cr_assert_eq(snapshot_find_links_of_trace(snap, 2, id_of(1), &r.arena, &links), ERR_OK);
        cr_assert_eq(links.count, 2);
        cr_assert(bytes_equal(links.links[0].name, BYTES("second")));
        cr_assert(bytes_equal(links.links[1].name, BYTES("again")));
        cr_assert(bytes_equal(links.links[1].thread_id, BYTES("77")));
        cr_assert_eq(snapshot_find_links(snap, 2, 1010, 2000, &r.arena, &links), ERR_OK);
        cr_assert_eq(links.count, 2);
        cr_assert_eq(snapshot_list_projects(snap, &r.arena, &projects, &count), ERR_OK);
        cr_assert_eq(count, 1);
        cr_assert_eq(projects[0].link_count, 3);
        cr_assert_eq(projects[0].first_ns, 500);
        snapshot_release(snap);
        rig_reopen(&r);
    }
    rig_close(&r);
}

Test(store, summaries_count_what_is_visible)
{
    struct rig r;
    struct profiler_summary *profilers;
    struct project_summary *projects;
    size_t count;
    rig_init(&r);
    append_chunk(&r, 9, 10, 1000, 1060, "a");
    append_chunk(&r, 4, 11, 1000, 1010, "a");
    append_chunk(&r, 9, 12, 1060, 1070, "a");
    append_chunk(&r, 9, 12, 1060, 1090, "b");
    struct snapshot *snap = snapshot_acquire(r.store, NULL);
    cr_assert_eq(snapshot_list_profilers(snap, 2, &r.arena, &profilers, &count), ERR_OK);
    cr_assert_eq(count, 2);
    cr_assert(uuid_equal(profilers[0].profiler_id, id_of(4)));
    cr_assert_eq(profilers[1].chunk_count, 2);
    cr_assert_eq(profilers[1].start_ns, INT64_C(1000000000000));
    cr_assert_eq(profilers[1].end_ns, INT64_C(1090000000000));
    cr_assert_eq(snapshot_list_projects(snap, &r.arena, &projects, &count), ERR_OK);
    cr_assert_eq(count, 1);
    cr_assert_eq(projects[0].chunk_count, 3);
    cr_assert_eq(projects[0].profiler_count, 2);
    snapshot_release(snap);
    rig_close(&r);
}

Test(store, closes_full_logs_and_goes_on_in_the_next)
{
    struct rig r = {.disk = vfs_mem_create()};
    struct store_stats stats;
    arena_init(&r.arena, 64 << 20, NULL);
    struct store_options options = {
        .vfs = vfs_mem_vfs(r.disk), .dir = "/data", .log_size_max = 2000};
    cr_assert_eq(store_open(&options, &r.store, &r.info), ERR_OK, "%s", r.info.text);
    for (unsigned i = 0; i < 40; i++)
        append_chunk(&r, 1, 10 + i, 1000 + i, 1001 + i, "a");
    store_get_stats(r.store, &stats);
    cr_assert_gt(stats.log_count, 3);
    cr_assert_eq(stats.rows, 40);
    uint64_t logs = stats.log_count;
    rig_reopen(&r);
    store_get_stats(r.store, &stats);
    cr_assert_eq(stats.log_count, logs);
    cr_assert_eq(stats.rows, 40);
    cr_assert_eq(count_chunks(&r, 1, 0, INT64_MAX), 40);
    rig_close(&r);
}

Test(store, tools_do_not_make_folders)
{
    struct store *store;
    struct errinfo info = {0};
    struct store_options options = {
        .vfs = vfs_posix(), .dir = "/nonexistent/hearth", .must_exist = true};
    cr_assert_eq(store_open(&options, &store, &info), ERR_NOTFOUND);
    cr_assert_str_eq(info.text, "/nonexistent/hearth: list: No such file or directory");
    cr_assert_eq(mem_outstanding(), 0);
}

static enum err note_name(void *self, const char *name)
{
    *(unsigned *)self += strcmp(name, "notes.txt") != 0;
    return ERR_OK;
}

Test(store, tools_leave_folders_of_others_alone)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *vfs = vfs_mem_vfs(disk);
    struct vfs_file *file;
    struct store *store;
    struct errinfo info = {0};
    cr_assert_eq(vfs->make_dir(vfs, "/other", &info), ERR_OK);
    cr_assert_eq(vfs->open(vfs, "/other/notes.txt", VFS_CREATE, &file, &info), ERR_OK, "%s",
                 info.text);
    vfs->close(vfs, file);
    for (int read_only = 0; read_only < 2; read_only++) {
        struct store_options options = {
            .vfs = vfs, .dir = "/other", .must_exist = !read_only, .read_only = read_only};
        unsigned others = 0;
        cr_assert_eq(store_open(&options, &store, &info), ERR_NOTFOUND);
        cr_assert_str_eq(info.text, "/other is no data folder: no file there is hearth's");
        cr_assert_eq(vfs->list(vfs, "/other", &others, note_name, &info), ERR_OK);
        cr_assert_eq(others, 0, "a file was made");
    }
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* Without a sync a batch, what was synced last stays and the rest is there or not. */
Test(store, interval_durability_syncs_when_told)
{
    struct rng rng = test_rng();
    struct rig r;
    for (unsigned round = 0; round < 40; round++) {
        struct store_stats stats;
        r = (struct rig){.disk = vfs_mem_create()};
        arena_init(&r.arena, 64 << 20, NULL);
        struct store_options options = {
            .vfs = vfs_mem_vfs(r.disk), .dir = "/data", .durability = DURABILITY_INTERVAL};
        cr_assert_eq(store_open(&options, &r.store, &r.info), ERR_OK, "%s", r.info.text);
        for (unsigned i = 0; i < 10; i++) {
            append_chunk(&r, 1, 10 + i, 1000 + i, 1001 + i, "a");
            if (i == 4)
                cr_assert_eq(store_sync(r.store, &r.info), ERR_OK);
        }
        store_get_stats(r.store, &stats);
        cr_assert_eq(stats.syncs, 1);
        cr_assert_eq(count_chunks(&r, 1, 0, INT64_MAX), 10);
        struct store *abandoned = r.store; /* closing would sync */
        vfs_mem_power_cut(r.disk, &rng);
        rig_open(&r);
        size_t count = count_chunks(&r, 1, 0, INT64_MAX);
        cr_assert(count >= 5 && count <= 10, "%zu", count);
        for (size_t i = 0; i < 5; i++)
            cr_assert_geq(count_chunks(&r, 1, (int64_t)(1000 + i) * 1000000000,
                                       (int64_t)(1000 + i) * 1000000000),
                          1);
        store_close(abandoned);
        rig_close(&r);
    }
}

Test(store, keeps_its_promises_in_a_real_folder)
{
    struct tmpdir tmp = tmpdir_make();
    char dir[TMPDIR_PATH_SIZE + 16];
    char held[TMPDIR_PATH_SIZE + 80];
    struct rig r = {0};
    struct store *second;
    arena_init(&r.arena, 64 << 20, NULL);
    struct store_options options = {.vfs = vfs_posix(),
                                    .dir = tmpdir_path(&tmp, "data", dir, sizeof dir)};
    for (unsigned i = 0; i < 3; i++) {
        struct profile p;
        row_id row;
        cr_assert_eq(store_open(&options, &r.store, &r.info), ERR_OK, "%s", r.info.text);
        cr_assert_eq(count_chunks(&r, 1, 0, INT64_MAX), i);
        append_chunk(&r, 1, 10 + i, 1000 + i, 1001 + i, "a");
        cr_assert_eq(store_open(&options, &second, &r.info), ERR_BUSY);
        snprintf(held, sizeof held, "data folder %s is in use by another hearth (pid %ld)", dir,
                 (long)getpid());
        cr_assert_str_eq(r.info.text, held);
        struct snapshot *snap = snapshot_acquire(r.store, NULL);
        cr_assert_eq(snapshot_find_chunk(snap, 2, id_of(1), id_of(10 + i), &row), ERR_OK);
        cr_assert_eq(snapshot_read_profile(snap, row, &r.arena, &p, &r.info), ERR_OK, "%s",
                     r.info.text);
        cr_assert(uuid_equal(p.id, id_of(10 + i)));
        snapshot_release(snap);
        store_close(r.store);
    }
    arena_close(&r.arena);
    tmpdir_remove(&tmp);
    cr_assert_eq(mem_outstanding(), 0);
}
