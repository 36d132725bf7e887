#include <stdio.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/identity.h"
#include "storage/check.h"
#include "storage/manifest.h"
#include "tests/support/segment_mend.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_fault.h"
#include "tests/support/vfs_mem.h"

#define FILES_MAX   32
#define NAME_MAX_   64
#define SMALL_FILE  2048
#define LARGE_STEP  7
#define NOT_DAMAGED "the next start"

/* ---- a folder ---- */

struct rig {
    struct vfs_mem *disk;
    struct store *store; /* NULL while it is closed */
    struct store_options options;
};

static void rig_open_store(struct rig *r)
{
    struct errinfo info = {{0}};
    cr_assert_eq(store_open(&r->options, &r->store, &info), ERR_OK, "%s", info.text);
}

static void rig_close_store(struct rig *r)
{
    store_close(r->store);
    r->store = NULL;
}

static struct rig rig_make(void)
{
    struct rig r = {.disk = vfs_mem_create()};
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000)); /* small chunks are of the first hour of 1970 */
    r.options = (struct store_options){.vfs = vfs_mem_vfs(r.disk),
                                       .dir = "/data",
                                       .log_size_max = 1500,
                                       .retention_days = 90,
                                       .frame_rules = &engine_frame_rules};
    rig_open_store(&r);
    return r;
}

static void rig_close(struct rig *r)
{
    rig_close_store(r);
    vfs_mem_destroy(r->disk);
    clock_set_wall(0);
    cr_assert_eq(mem_outstanding(), 0);
}

static void append(struct rig *r, unsigned n, unsigned version)
{
    struct errinfo info = {{0}};
    cr_assert_eq(small_chunk_append(r->store, (struct small_chunk){n, version}, &info), ERR_OK,
                 "%s", info.text);
}

static void append_link(struct rig *r, unsigned n, const char *name)
{
    struct buffer out;
    struct errinfo info = {{0}};
    struct link link = {.project_id = 2,
                        .profiler_id = small_id(n % 4),
                        .trace_id = small_id(1000 + n / 2),
                        .span_id = n + 1,
                        .start_ns = INT64_C(1000000000) * (1000 + n),
                        .end_ns = INT64_C(1000000000) * (1001 + n),
                        .name = bytes_of_text(name),
                        .op = BYTES("http.server")};
    buffer_init(&out, 1 << 16, NULL);
    cr_assert_eq(record_encode_link(&link, &out, &info), ERR_OK, "%s", info.text);
    struct bytes record = buffer_bytes(&out);
    cr_assert_eq(store_append(r->store, &record, 1, &info), ERR_OK, "%s", info.text);
    buffer_close(&out);
}

static void upkeep(struct rig *r)
{
    struct store_upkeep u = {.everything = true};
    struct errinfo info = {{0}};
    bool did = true;
    while (did)
        cr_assert_eq(store_upkeep(r->store, &u, &did, &info), ERR_OK, "%s", info.text);
}

static void fill_logs(struct rig *r)
{
    for (unsigned n = 0; n < 12; n++)
        append(r, n, 1);
    append_link(r, 3, "a");
    append(r, 5, 2);
}

static void fill_segments(struct rig *r)
{
    for (unsigned n = 0; n < 12; n++)
        append(r, n, 1);
    for (unsigned n = 0; n < 5; n++)
        append_link(r, n, "a");
    upkeep(r);
}

/* Two segments, the second hiding rows of the first, and a log that hides one of each. */
static void fill_both(struct rig *r)
{
    struct store_upkeep u = {.everything = false};
    bool did;
    fill_segments(r);
    append_link(r, 2, "b");
    for (unsigned n = 8; n < 20; n++)
        append(r, n, 2);
    for (did = true; did;)
        cr_assert_eq(store_upkeep(r->store, &u, &did, NULL), ERR_OK);
    append(r, 1, 3);
    append(r, 9, 3);
}

/* ---- what was found ---- */

struct found {
    struct check_result result;
    unsigned files;
    unsigned damage; /* problems */
    unsigned notes;
    char text[2000]; /* of all of them */
};

static void on_file(void *self, const struct check_file *file)
{
    struct found *f = self;
    f->files++;
    for (size_t i = 0; i < file->problem_count; i++) {
        const struct check_problem *p = &file->problems[i];
        f->damage += p->severity == CHECK_DAMAGE;
        f->notes += p->severity == CHECK_NOTE;
        size_t len = strlen(f->text);
        (void)snprintf(f->text + len, sizeof f->text - len, "%s: %s\n", file->name, p->what.text);
    }
    cr_assert(!file->damaged || file->problem_count > 0);
}

static enum err run(struct vfs *vfs, struct found *ret, struct errinfo *info)
{
    *ret = (struct found){0};
    struct check_options options = {.vfs = vfs, .dir = "/data", .self = ret, .on_file = on_file};
    return check_run(&options, &ret->result, info);
}

static struct found check(struct rig *r)
{
    struct found f;
    struct errinfo info = {{0}};
    cr_assert_eq(run(r->options.vfs, &f, &info), ERR_OK, "%s", info.text);
    return f;
}

static void assert_good(struct rig *r, uint64_t rows, uint64_t links)
{
    rig_close_store(r);
    struct found f = check(r);
    cr_assert_str_empty(f.text);
    cr_assert_eq(f.result.damaged_files, 0);
    cr_assert_eq(f.result.rows, rows, "%zu rows", (size_t)f.result.rows);
    cr_assert_eq(f.result.links, links, "%zu links", (size_t)f.result.links);
    cr_assert_eq(f.result.files, vfs_mem_file_count(r->disk));
    cr_assert_eq(f.files, f.result.files);
}

Test(check, finds_nothing_in_good_folders)
{
    struct rig r = rig_make();
    assert_good(&r, 0, 0);
    rig_open_store(&r);
    fill_logs(&r);
    assert_good(&r, 13, 1); /* what was replaced is in its batch */
    rig_open_store(&r);
    upkeep(&r);
    assert_good(&r, 12, 1);
    rig_close(&r);
    r = rig_make();
    fill_both(&r);
    assert_good(&r, 12 + 12 + 2, 6);
    rig_open_store(&r);
    upkeep(&r);
    assert_good(&r, 20, 6); /* a segment alone is not written again for the link it hides */
    rig_close(&r);
}

Test(check, a_folder_that_is_held_by_a_writer_is_refused)
{
    struct rig r = rig_make();
    struct found f;
    struct errinfo info = {{0}};
    fill_logs(&r);
    cr_assert_eq(run(r.options.vfs, &f, &info), ERR_BUSY);
    cr_assert_not_null(strstr(info.text, "/data is in use"), "%s", info.text);
    rig_close_store(&r);
    cr_assert_eq(run(r.options.vfs, &f, &info), ERR_OK);
    rig_close(&r);
}

Test(check, a_folder_of_somebody_else_is_refused)
{
    struct rig r = rig_make();
    struct found f;
    struct errinfo info = {{0}};
    rig_close_store(&r);
    cr_assert_eq(r.options.vfs->remove(r.options.vfs, "/data/lock", NULL), ERR_OK);
    vfs_mem_put(r.disk, "/data/letters", BYTES("dear"));
    cr_assert_eq(run(r.options.vfs, &f, &info), ERR_NOTFOUND);
    cr_assert_not_null(strstr(info.text, "/data is no data folder"), "%s", info.text);
    rig_close(&r);
}

/* ---- every byte ---- */

struct names {
    char path[FILES_MAX][NAME_MAX_];
    size_t count;
};

static enum err add_name(void *self, const char *name)
{
    struct names *n = self;
    if (strcmp(name, "lock") == 0)
        return ERR_OK;
    cr_assert_lt(n->count, FILES_MAX);
    (void)snprintf(n->path[n->count++], NAME_MAX_, "/data/%s", name);
    return ERR_OK;
}

static struct names names_of(struct rig *r)
{
    struct names n = {.count = 0};
    cr_assert_eq(r->options.vfs->list(r->options.vfs, "/data", &n, add_name, NULL), ERR_OK);
    return n;
}

static void flip(struct rig *r, const char *path, size_t at)
{
    struct bytes content = vfs_mem_get(r->disk, path);
    uint8_t *copy = mem_alloc(content.len);
    memcpy(copy, content.data, content.len);
    copy[at] ^= 0x10;
    vfs_mem_put(r->disk, path, bytes_of(copy, content.len));
    mem_free(copy);
}

/* In the last log a last batch whose header or facts are wrong looks as if torn. */
static void assert_every_byte_is_found(struct rig *r)
{
    struct names names = names_of(r);
    unsigned noted = 0;
    for (size_t i = 0; i < names.count; i++) {
        const char *path = names.path[i];
        size_t size = vfs_mem_get(r->disk, path).len;
        for (size_t at = 0; at < size; at += size < SMALL_FILE ? 1 : LARGE_STEP) {
            flip(r, path, at);
            struct found f = check(r);
            bool looks_torn = f.damage == 0 && strstr(f.text, NOT_DAMAGED) != NULL;
            cr_assert(f.damage > 0 || looks_torn, "%s: byte %zu changed unseen", path, at);
            cr_assert(looks_torn || f.result.damaged_files > 0);
            noted += looks_torn;
            flip(r, path, at);
        }
    }
    cr_assert_lt(noted, 400, "%u", noted); /* a header, and the facts of one record */
    cr_assert_str_empty(check(r).text);
}

Test(check, every_changed_byte_of_logs_is_found)
{
    struct rig r = rig_make();
    fill_logs(&r);
    rig_close_store(&r);
    assert_every_byte_is_found(&r);
    rig_close(&r);
}

Test(check, every_changed_byte_of_segments_manifest_and_logs_is_found)
{
    struct rig r = rig_make();
    fill_both(&r);
    rig_close_store(&r);
    assert_every_byte_is_found(&r);
    rig_close(&r);
}

Test(check, a_file_that_is_gone_is_found_unless_nothing_tells_of_it)
{
    struct rig r = rig_make();
    fill_both(&r);
    rig_close_store(&r);
    struct names names = names_of(&r);
    unsigned unseen = 0;
    for (size_t i = 0; i < names.count; i++) {
        static uint8_t kept[1 << 16];
        struct bytes content = vfs_mem_get(r.disk, names.path[i]);
        cr_assert_leq(content.len, sizeof kept);
        memcpy(kept, content.data, content.len);
        size_t len = content.len;
        cr_assert_eq(r.options.vfs->remove(r.options.vfs, names.path[i], NULL), ERR_OK);
        unseen += check(&r).damage == 0;
        vfs_mem_put(r.disk, names.path[i], bytes_of(kept, len));
    }
    cr_assert_eq(unseen, 1, "%u", unseen); /* the last log */
    rig_close(&r);
}

/* ---- what is fine ---- */

static void put(struct rig *r, const char *path, const char *text)
{
    vfs_mem_put(r->disk, path, bytes_of_text(text));
}

Test(check, left_overs_are_notes)
{
    struct rig r = rig_make();
    fill_both(&r);
    rig_close_store(&r);
    put(&r, "/data/manifest.new", "half");
    put(&r, "/data/segment-00000000000000ff", "half");
    put(&r, "/data/log-0000000000000001", "sealed");
    put(&r, "/data/log-0000000000000001.damaged", "aside");
    put(&r, "/data/log-00000000000000ff.txt", "whose?");
    struct found f = check(&r);
    cr_assert_eq(f.damage, 0, "%s", f.text);
    cr_assert_eq(f.notes, 5, "%s", f.text);
    cr_assert_eq(f.result.notes, 5);
    rig_close(&r);
}

static void append_raw(struct rig *r, const char *path, struct bytes more)
{
    static uint8_t both[1 << 16];
    struct bytes content = vfs_mem_get(r->disk, path);
    memcpy(both, content.data, content.len);
    memcpy(both + content.len, more.data, more.len);
    vfs_mem_put(r->disk, path, bytes_of(both, content.len + more.len));
}

Test(check, a_torn_end_is_a_note_at_the_last_log_only)
{
    struct rig r = rig_make();
    append(&r, 1, 1);
    rig_close_store(&r);
    append_raw(&r, "/data/log-0000000000000001", BYTES("HBAT and no more"));
    struct found f = check(&r);
    cr_assert_eq(f.damage, 0, "%s", f.text);
    cr_assert_eq(f.notes, 1, "%s", f.text);
    cr_assert_not_null(strstr(f.text, "cuts them off"), "%s", f.text);
    put(&r, "/data/log-0000000000000002", "HEARTHLG");
    f = check(&r);
    cr_assert_not_null(strstr(f.text, "log-0000000000000002: was torn while it was made"), "%s",
                       f.text);
    cr_assert_eq(f.damage, 1, "the first has a successor now: %s", f.text);
    rig_close(&r);
}

/* ---- what no checksum tells ---- */

static void change_manifest(struct rig *r, void (*change)(struct manifest *m))
{
    struct manifest m;
    struct errinfo info = {{0}};
    cr_assert_eq(manifest_read(r->options.vfs, "/data", &m, &info), ERR_OK, "%s", info.text);
    change(&m);
    cr_assert_eq(manifest_write(r->options.vfs, "/data", &m, &info), ERR_OK, "%s", info.text);
    manifest_close(&m);
}

static void change_size(struct manifest *m)
{
    m->segments[0].size++;
}

static void change_id(struct manifest *m)
{
    m->segments[0].id.byte[3] ^= 1;
}

static void change_day(struct manifest *m)
{
    m->segments[0].day++;
}

static void change_end(struct manifest *m)
{
    m->segments[0].end_ns++;
}

static void change_expiry(struct manifest *m)
{
    m->segments[0].expires_ns--;
}

/* The one that has hidden rows, or links. */
static struct manifest_hidden *hidden_of(struct manifest *m, bool links)
{
    for (size_t i = 0; i < m->count; i++) {
        struct manifest_hidden *h = links ? &m->segments[i].links : &m->segments[i].rows;
        if (h->count > 0)
            return h;
    }
    cr_assert_fail("nothing is hidden");
    return NULL;
}

static void hide_too_far(struct manifest *m)
{
    struct manifest_hidden *h = hidden_of(m, false);
    h->ids[h->count - 1] = 1000;
}

static void hide_a_link_too_far(struct manifest *m)
{
    struct manifest_hidden *h = hidden_of(m, true);
    h->ids[h->count - 1] = 1000;
}

static void hide_less(struct manifest *m)
{
    hidden_of(m, false)->count--;
}

static void hide_no_link(struct manifest *m)
{
    hidden_of(m, true)->count = 0;
}

static void arrive_sooner(struct manifest *m)
{
    m->next_arrival = 3;
}

static void seal_less(struct manifest *m)
{
    m->sealed_through--;
}

static void assert_change_is_found(struct rig *r, void (*change)(struct manifest *m),
                                   const char *words)
{
    static uint8_t kept[4096];
    struct bytes content = vfs_mem_get(r->disk, "/data/manifest");
    size_t len = content.len;
    cr_assert_leq(len, sizeof kept);
    memcpy(kept, content.data, len);
    change_manifest(r, change);
    struct found f = check(r);
    cr_assert_gt(f.damage, 0, "%s", words);
    cr_assert_not_null(strstr(f.text, words), "expected \"%s\": %s", words, f.text);
    vfs_mem_put(r->disk, "/data/manifest", bytes_of(kept, len));
}

Test(check, a_manifest_that_is_whole_and_wrong_is_found)
{
    struct rig r = rig_make();
    fill_both(&r);
    rig_close_store(&r);
    cr_assert_str_empty(check(&r).text);
    assert_change_is_found(&r, change_size, "another file than the manifest names");
    assert_change_is_found(&r, change_id, "another file than the manifest names");
    assert_change_is_found(&r, change_day, "and level 0, the manifest says");
    assert_change_is_found(&r, change_end, "of another time than the manifest says");
    assert_change_is_found(&r, change_expiry, "expire at another time than the manifest says");
    assert_change_is_found(&r, hide_too_far, "hides row 1000");
    assert_change_is_found(&r, hide_a_link_too_far, "hides link 1000");
    assert_change_is_found(&r, hide_less, "it would count twice");
    assert_change_is_found(&r, hide_no_link, "it would count twice");
    assert_change_is_found(&r, arrive_sooner, "expected one below 3");
    assert_change_is_found(&r, seal_less, "logs before it are missing");
    rig_close(&r);
}

static enum err keep_segment(void *self, const char *name)
{
    if (strncmp(name, "segment-", 8) == 0)
        (void)snprintf(self, NAME_MAX_, "/data/%s", name);
    return ERR_OK;
}

static const char *segment_of(struct rig *r)
{
    static char path[NAME_MAX_];
    cr_assert_eq(r->options.vfs->list(r->options.vfs, "/data", path, keep_segment, NULL), ERR_OK);
    return path;
}

/* With checksums made right again, what rows and tables say of each other still tells of most. */
Test(check, changes_under_right_checksums_are_mostly_found)
{
    struct rig r = rig_make();
    fill_segments(&r);
    rig_close_store(&r);
    const char *path = segment_of(&r);
    struct bytes content = vfs_mem_get(r.disk, path);
    size_t size = content.len;
    uint8_t *good = mem_alloc(size);
    uint8_t *bad = mem_alloc(size);
    memcpy(good, content.data, size);
    unsigned tried = 0;
    unsigned found = 0;
    for (size_t at = 64; at < size; at += 5) {
        memcpy(bad, good, size);
        bad[at] ^= 0x10;
        segment_mend(bad, size);
        vfs_mem_put(r.disk, path, bytes_of(bad, size));
        found += check(&r).damage > 0;
        tried++;
    }
    cr_assert_gt(found, tried * 4 / 5, "%u of %u", found, tried);
    mem_free(good);
    mem_free(bad);
    rig_close(&r);
}

/* ---- failures ---- */

Test(check, a_call_that_fails_is_never_taken_for_a_good_folder)
{
    struct rig r = rig_make();
    fill_both(&r);
    rig_close_store(&r);
    struct found good = check(&r);
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        struct vfs_fault disk;
        struct found f;
        struct errinfo info = {{0}};
        vfs_fault_init(&disk, r.options.vfs, nth, ERR_IO, FAULT_ONCE);
        enum err rc = run(&disk.vfs, &f, &info);
        cr_assert(rc != ERR_OK || f.damage > 0 || f.result.rows == good.result.rows,
                  "call %u: rows are missing and nobody says so", nth);
        fired = disk.fired;
        cr_assert(fired || f.damage == 0);
    }
    rig_close(&r);
}

Test(check, without_memory_it_says_so)
{
    struct rig r = rig_make();
    fill_both(&r);
    rig_close_store(&r);
    struct found good = check(&r);
    unsigned failed = 0;
    for (unsigned nth = 1, reached = 1; reached; nth++) {
        struct found f;
        mem_fail_at(nth);
        enum err rc = run(r.options.vfs, &f, NULL);
        reached = mem_fail_left() == 0;
        mem_fail_at(0);
        bool whole = rc == ERR_OK && f.damage == 0 && f.result.rows == good.result.rows;
        cr_assert(rc == ERR_NOMEM || whole, "allocation %u: %s, %s", nth, err_text(rc), f.text);
        cr_assert(reached || whole);
        failed += rc == ERR_NOMEM;
    }
    cr_assert_gt(failed, 20);
    rig_close(&r);
}

static bool stop(void *self, uint64_t bytes_done, uint64_t bytes_total)
{
    (void)self;
    cr_assert_leq(bytes_done, bytes_total);
    return false;
}

Test(check, ends_when_it_is_told_to)
{
    struct rig r = rig_make();
    fill_both(&r);
    rig_close_store(&r);
    struct found f = {0};
    struct check_options options = {
        .vfs = r.options.vfs, .dir = "/data", .self = &f, .on_file = on_file, .on_progress = stop};
    cr_assert_eq(check_run(&options, &f.result, NULL), ERR_CANCELED);
    rig_close(&r);
}
