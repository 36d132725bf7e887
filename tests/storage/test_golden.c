/* test_golden.c - tests/golden/segment-v1, a folder of manifest and segments of version 1 that every
 * later hearth has to read, holds what the logs it was made from hold, tests/golden/segment-v1-logs.
 *
 * The logs hold recordings of tests/data, documents of random shapes, and in the second one a chunk
 * and a link that replace others. They stay: those of version 1 are read for good as well. From them
 *
 *   HEARTH_GOLDEN=write build/dev/tests/storage_test_golden --filter 'golden/segments_of*'
 *
 * makes the segments again; it is meant for a format that nobody has files of yet.
 */
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/identity.h"
#include "storage/crc32c.h"
#include "storage/format.h"
#include "storage/profile_equal.h"
#include "storage/segment.h"
#include "tests/support/file.h"
#include "tests/support/segment_mend.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

#define LOGS          "tests/golden/segment-v1-logs"
#define SEGMENTS      "tests/golden/segment-v1"
#define FIRST_SEGMENT "/data/segment-0000000000000000"
#define NAME_ROOM     64
#define SMALL_COUNT   36
#define CHUNKS        56
#define PROFILES      32
#define LINKS         159
#define SEGMENT_COUNT 4
#define TODAY_NS      INT64_C(1795392000000000000) /* 2026-11-23: a day after the recordings */

/* ---- the folders, in memory ---- */

struct copying {
    struct vfs_mem *disk;
    const char *from;
};

static enum err copy_file(void *self, const char *name)
{
    struct copying *c = self;
    char rel[256], path[1024], to[NAME_ROOM];
    struct bytes content;
    (void)snprintf(rel, sizeof rel, "%s/%s", c->from, name);
    (void)snprintf(to, sizeof to, "/data/%s", name);
    cr_assert(source_path(path, sizeof path, rel));
    cr_assert(file_read(path, &content));
    vfs_mem_put(c->disk, to, content);
    file_free(&content);
    return ERR_OK;
}

static struct vfs_mem *disk_of(const char *folder)
{
    struct copying c = {vfs_mem_create(), folder};
    char path[1024];
    struct errinfo info = {0};
    cr_assert(source_path(path, sizeof path, folder));
    cr_assert_eq(vfs_posix()->list(vfs_posix(), path, &c, copy_file, &info), ERR_OK, "%s",
                 info.text);
    return c.disk;
}

static enum err open_copy(struct vfs_mem *disk, bool read_only, struct store **ret,
                          struct errinfo *info)
{
    struct store_options options = {.vfs = vfs_mem_vfs(disk),
                                    .dir = "/data",
                                    .must_exist = true,
                                    .read_only = read_only,
                                    .log_size_max = read_only ? 0 : 1,
                                    .retention_days = 90,
                                    .frame_rules = &engine_frame_rules};
    return store_open(&options, ret, info);
}

struct opened {
    struct vfs_mem *disk;
    struct store *store;
    struct snapshot *snap;
};

static struct opened open_folder(const char *folder)
{
    struct opened o = {.disk = disk_of(folder)};
    struct errinfo info = {0};
    cr_assert_eq(open_copy(o.disk, true, &o.store, &info), ERR_OK, "%s", info.text);
    o.snap = snapshot_acquire(o.store, NULL);
    cr_assert(o.snap != NULL);
    return o;
}

static void close_folder(struct opened *o)
{
    snapshot_release(o->snap);
    store_close(o->store);
    vfs_mem_destroy(o->disk);
}

/* ---- the same in both ---- */

static void read_row(const struct snapshot *snap, row_id row, struct arena *arena,
                     struct profile *ret)
{
    struct errinfo info = {0};
    cr_assert_eq(snapshot_read_profile(snap, row, arena, ret, &info), ERR_OK, "%s", info.text);
}

static void compare_row(const struct snapshot *before, row_id old, const struct snapshot *after)
{
    struct arena arena;
    struct row was, is;
    struct profile p, q;
    row_id found;
    const char *difference = NULL;
    arena_init(&arena, 64 << 20, NULL);
    cr_assert_eq(snapshot_row(before, old, &was), ERR_OK);
    enum err rc = was.kind == PROFILE_CHUNK
                      ? snapshot_find_chunk(after, was.project_id, was.profiler_id, was.id, &found)
                      : snapshot_find_profile(after, was.project_id, was.id, &found);
    cr_assert_eq(rc, ERR_OK);
    cr_assert_eq(snapshot_row(after, found, &is), ERR_OK);
    cr_assert(is.start_ns == was.start_ns && is.end_ns == was.end_ns);
    cr_assert(is.sample_count == was.sample_count && is.thread_count == was.thread_count);
    cr_assert(bytes_equal(is.environment, was.environment));
    cr_assert(bytes_equal(is.transaction, was.transaction));
    read_row(before, old, &arena, &p);
    read_row(after, found, &arena, &q);
    cr_assert_eq(profile_equal(&p, &q, &arena, &difference), ERR_OK);
    cr_assert_null(difference, "%s", difference);
    arena_close(&arena);
}

static size_t compare_rows(const struct snapshot *before, const struct row_list *rows,
                           const struct snapshot *after)
{
    for (size_t i = 0; i < rows->count; i++)
        compare_row(before, rows->ids[i], after);
    return rows->count;
}

static bool same_link(const struct link *a, const struct link *b)
{
    return uuid_equal(a->profiler_id, b->profiler_id) && uuid_equal(a->trace_id, b->trace_id) &&
           uuid_equal(a->transaction_id, b->transaction_id) && a->span_id == b->span_id &&
           a->parent_span_id == b->parent_span_id && a->start_ns == b->start_ns &&
           a->end_ns == b->end_ns && a->is_segment == b->is_segment &&
           bytes_equal(a->name, b->name) && bytes_equal(a->op, b->op) &&
           bytes_equal(a->thread_id, b->thread_id) && bytes_equal(a->thread_name, b->thread_name) &&
           bytes_equal(a->environment, b->environment) && bytes_equal(a->release, b->release) &&
           bytes_equal(a->platform, b->platform);
}

static size_t compare_links(const struct snapshot *before, const struct snapshot *after,
                            uint64_t project, struct arena *arena)
{
    struct link_list was, is;
    cr_assert_eq(snapshot_find_links(before, project, INT64_MIN, INT64_MAX, arena, &was), ERR_OK);
    cr_assert_eq(snapshot_find_links(after, project, INT64_MIN, INT64_MAX, arena, &is), ERR_OK);
    cr_assert_eq(was.count, is.count);
    for (size_t i = 0; i < was.count; i++)
        cr_assert(same_link(&was.links[i], &is.links[i]), "link %zu", i);
    return was.count;
}

struct counts {
    size_t chunks;
    size_t profiles;
    size_t links;
};

static void compare_project(const struct snapshot *before, const struct snapshot *after,
                            uint64_t project, struct arena *arena, struct counts *ret)
{
    struct row_list rows;
    struct profiler_summary *profilers;
    size_t count;
    cr_assert_eq(snapshot_find_profiles(before, project, INT64_MIN, INT64_MAX, arena, &rows),
                 ERR_OK);
    ret->profiles += compare_rows(before, &rows, after);
    cr_assert_eq(snapshot_list_profilers(before, project, arena, &profilers, &count), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(snapshot_find_chunks(before, project, profilers[i].profiler_id, INT64_MIN,
                                          INT64_MAX, arena, &rows),
                     ERR_OK);
        ret->chunks += compare_rows(before, &rows, after);
    }
    ret->links += compare_links(before, after, project, arena);
}

static struct counts compare_all(const struct snapshot *before, const struct snapshot *after)
{
    struct counts counts = {0};
    struct project_summary *was, *is;
    size_t count, other;
    struct arena arena;
    arena_init(&arena, 64 << 20, NULL);
    cr_assert_eq(snapshot_list_projects(before, &arena, &was, &count), ERR_OK);
    cr_assert_eq(snapshot_list_projects(after, &arena, &is, &other), ERR_OK);
    cr_assert_eq(count, other);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(memcmp(&was[i], &is[i], sizeof was[i]), 0, "project %zu", i);
        compare_project(before, after, was[i].project_id, &arena, &counts);
    }
    arena_close(&arena);
    return counts;
}

/* ---- the recipe ---- */

static void upkeep(struct store *store)
{
    struct store_upkeep u = {0};
    struct errinfo info = {0};
    bool did = true;
    while (did)
        cr_assert_eq(store_upkeep(store, &u, &did, &info), ERR_OK, "%s", info.text);
}

static enum err save_file(void *self, const char *name)
{
    char from[NAME_ROOM], to[1024];
    struct bytes text = bytes_of_text(name);
    if (bytes_starts_with(text, BYTES(FORMAT_LOG_PREFIX)) ||
        bytes_equal(text, BYTES(FORMAT_LOCK_NAME)))
        return ERR_OK;
    (void)snprintf(from, sizeof from, "/data/%s", name);
    (void)snprintf(to, sizeof to, HEARTH_SOURCE_DIR "/" SEGMENTS "/%s", name);
    cr_assert(file_write(to, vfs_mem_get(self, from)), "%s", to);
    return ERR_OK;
}

/* One log after another, as if each had been sealed on the day it came: what the second one
 * replaces is hidden then, and not merged away. */
static void make_segments(void)
{
    static const char *const names[] = {"log-0000000000000001", "log-0000000000000002"};
    struct vfs_mem *logs = disk_of(LOGS);
    struct vfs_mem *disk = vfs_mem_create();
    clock_set_wall(TODAY_NS);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct store *store = NULL;
        struct errinfo info = {0};
        char path[NAME_ROOM];
        (void)snprintf(path, sizeof path, "/data/%s", names[i]);
        vfs_mem_put(disk, path, vfs_mem_get(logs, path)); /* in place of an empty one */
        cr_assert_eq(open_copy(disk, false, &store, &info), ERR_OK, "%s", info.text);
        upkeep(store);
        store_close(store);
    }
    clock_set_wall(0);
    cr_assert_eq(vfs_mem_vfs(disk)->list(vfs_mem_vfs(disk), "/data", disk, save_file, NULL),
                 ERR_OK);
    vfs_mem_destroy(disk);
    vfs_mem_destroy(logs);
}

/* ---- tests ---- */

static void be_quiet(void)
{
    log_set_level(LOG_NONE);
}

TestSuite(golden, .init = be_quiet);

Test(golden, segments_of_version_1_hold_what_their_logs_do)
{
    const char *how = getenv("HEARTH_GOLDEN");
    if (how != NULL && strcmp(how, "write") == 0)
        make_segments();
    struct opened logs = open_folder(LOGS);
    struct opened segments = open_folder(SEGMENTS);
    struct store_stats stats;
    struct errinfo info = {0};
    struct counts counts = compare_all(logs.snap, segments.snap);
    store_get_stats(segments.store, &stats);
    cr_assert_eq(stats.segments_aside, 0);
    cr_assert_eq(stats.log_count, 0);
    cr_assert_eq(counts.chunks + counts.profiles, stats.rows);
    cr_assert_eq(counts.chunks, CHUNKS);
    cr_assert_eq(counts.profiles, PROFILES);
    cr_assert_eq(counts.links, LINKS);
    for (unsigned n = 0; n < SMALL_COUNT; n++)
        cr_assert_eq(small_chunk_find(segments.snap, n, &info), 1, "%s", info.text);
    close_folder(&logs);
    close_folder(&segments);
    cr_assert_eq(mem_outstanding(), 0);
}

static void on_problem(void *self, const char *text)
{
    (void)self;
    cr_assert_fail("%s", text);
}

Test(golden, every_checksum_row_and_block_is_whole)
{
    struct vfs_mem *disk = disk_of(SEGMENTS);
    struct manifest m;
    struct errinfo info = {0};
    cr_assert_eq(manifest_read(vfs_mem_vfs(disk), "/data", &m, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(m.count, SEGMENT_COUNT);
    size_t hidden_rows = 0, hidden_links = 0, rollups = 0;
    for (size_t i = 0; i < m.count; i++) {
        struct segment *s = NULL;
        cr_assert_eq(segment_open(vfs_mem_vfs(disk), "/data", &m.segments[i], &s, &info), ERR_OK,
                     "%s", info.text);
        struct segment_verification v = {.next_arrival = m.next_arrival, .on_problem = on_problem};
        cr_assert_eq(segment_verify(s, &v, &info), ERR_OK, "%s", info.text);
        rollups += s->rollups.count;
        hidden_rows += m.segments[i].rows.count;
        hidden_links += m.segments[i].links.count;
        segment_release(s);
    }
    cr_assert_eq(hidden_rows, 1);
    cr_assert_eq(hidden_links, 1);
    cr_assert_geq(rollups, 8); /* small chunks: four runs of nine rows */
    manifest_close(&m);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* Of the file: what is to be changed in a copy. */
static uint8_t *copy_of(struct vfs_mem *disk, const char *path, size_t *ret_size)
{
    struct bytes file = vfs_mem_get(disk, path);
    uint8_t *copy = malloc(file.len);
    cr_assert(file.len > 64 && copy != NULL);
    memcpy(copy, file.data, file.len);
    *ret_size = file.len;
    return copy;
}

static void expect_refusal(struct vfs_mem *disk, const char *words)
{
    struct store *store = NULL;
    struct errinfo info = {0};
    cr_assert_eq(open_copy(disk, true, &store, &info), ERR_UNSUPPORTED, "%s", info.text);
    cr_assert(strstr(info.text, words) != NULL, "%s", info.text);
}

Test(golden, a_manifest_of_another_version_is_refused)
{
    struct vfs_mem *disk = disk_of(SEGMENTS);
    size_t size;
    uint8_t *file = copy_of(disk, "/data/manifest", &size);
    file[8] = 2;
    vfs_mem_put(disk, "/data/manifest", bytes_of(file, size));
    expect_refusal(disk, "version 2, expected 1");
    free(file);
    vfs_mem_destroy(disk);
}

/* Not set aside as damaged: it is whole, and somebody else's to read. */
Test(golden, a_segment_of_another_version_is_refused)
{
    struct vfs_mem *disk = disk_of(SEGMENTS);
    size_t size;
    uint8_t *file = copy_of(disk, FIRST_SEGMENT, &size);
    file[8] = 2;
    put_u32(file + 60, crc32c(0, bytes_of(file, 60)));
    vfs_mem_put(disk, FIRST_SEGMENT, bytes_of(file, size));
    expect_refusal(disk, "version 2, expected 1");
    free(file);
    vfs_mem_destroy(disk);
}

Test(golden, a_block_of_another_kind_is_refused_and_the_rest_is_read)
{
    struct vfs_mem *disk = disk_of(SEGMENTS);
    struct manifest m;
    struct segment *s = NULL;
    struct tables_cursor *tables = NULL;
    struct errinfo info = {0};
    struct profile p = {.kind = PROFILE_CHUNK};
    struct arena arena;
    size_t size;
    uint8_t *file = copy_of(disk, FIRST_SEGMENT, &size);
    cr_assert_eq(file[FORMAT_SEGMENT_HEADER_SIZE], FORMAT_BLOCK_SHARED); /* blocks come first */
    file[FORMAT_SEGMENT_HEADER_SIZE] = 3;
    segment_mend(file, size);
    vfs_mem_put(disk, FIRST_SEGMENT, bytes_of(file, size));
    cr_assert_eq(manifest_read(vfs_mem_vfs(disk), "/data", &m, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(segment_open(vfs_mem_vfs(disk), "/data", &m.segments[0], &s, &info), ERR_OK, "%s",
                 info.text);
    cr_assert_eq(tables_cursor_create(&s->tables, NULL, &tables), ERR_OK);
    arena_init(&arena, 16 << 20, NULL);
    cr_assert_eq(segment_read_profile(s, 0, tables, &arena, &p, &info), ERR_UNSUPPORTED, "%s",
                 info.text);
    cr_assert_eq(segment_read_profile(s, 1, tables, &arena, &p, &info), ERR_OK, "%s", info.text);
    arena_close(&arena);
    tables_cursor_destroy(tables);
    segment_release(s);
    manifest_close(&m);
    free(file);
    vfs_mem_destroy(disk);
}
