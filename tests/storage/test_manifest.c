#include <criterion/criterion.h>

#include "base/limits.h"
#include "storage/crc32c.h"
#include "storage/format.h"
#include "tests/support/file.h"
#include "tests/support/random_manifest.h"
#include "tests/support/scale.h"
#include "tests/support/tmpdir.h"
#include "tests/support/vfs_mem.h"

static const char *const path = "/d/manifest";

/* What reading these bytes gives. */
static enum err read_raw(struct vfs_mem *disk, struct bytes raw, struct manifest *ret,
                         struct errinfo *info)
{
    vfs_mem_put(disk, path, raw);
    return manifest_read(vfs_mem_vfs(disk), "/d", ret, info);
}

static struct bytes copy_of(struct bytes b, uint8_t *to)
{
    memcpy(to, b.data, b.len);
    return bytes_of(to, b.len);
}

static void write_and_read_back(struct vfs_mem *disk, const struct manifest *m)
{
    struct manifest back;
    struct errinfo info = {0};
    struct vfs *v = vfs_mem_vfs(disk);
    cr_assert_eq(manifest_write(v, "/d", m, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(manifest_read(v, "/d", &back, &info), ERR_OK, "%s", info.text);
    cr_assert(manifest_is_equal(m, &back));
    cr_assert_eq(vfs_mem_file_count(disk), 1, "nothing is left beside it");
    manifest_close(&back);
}

Test(manifest, what_is_written_is_read_back)
{
    struct rng rng = test_rng();
    struct vfs_mem *disk = vfs_mem_create();
    for (unsigned round = 0; round < test_scale(200); round++) {
        struct manifest m;
        random_manifest(&rng, rng_below(&rng, 12), &m);
        write_and_read_back(disk, &m);
        manifest_close(&m);
    }
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(manifest, a_real_folder_takes_one_after_another)
{
    struct rng rng = test_rng();
    struct tmpdir dir = tmpdir_make();
    struct errinfo info = {0};
    char fresh[TMPDIR_PATH_SIZE + 32];
    (void)tmpdir_path(&dir, "manifest.new", fresh, sizeof fresh);
    for (size_t segments = 0; segments < 4; segments++) {
        struct manifest m;
        struct manifest back;
        random_manifest(&rng, segments, &m);
        cr_assert(file_write(fresh, BYTES("left over")));
        cr_assert_eq(manifest_write(vfs_posix(), dir.path, &m, &info), ERR_OK, "%s", info.text);
        cr_assert_eq(manifest_read(vfs_posix(), dir.path, &back, &info), ERR_OK, "%s", info.text);
        cr_assert(manifest_is_equal(&m, &back));
        cr_assert_not(file_exists(fresh));
        manifest_close(&m);
        manifest_close(&back);
    }
    tmpdir_remove(&dir);
}

/* tests/golden/manifest-v1 */
static void golden_manifest(struct manifest *m)
{
    const int64_t day_ns = INT64_C(86400000000000);
    static uint32_t rows[] = {0, 1, 7, 200, 100000, UINT32_MAX};
    static uint32_t row_links[] = {3};
    static uint32_t links[] = {0, UINT32_MAX - 1, UINT32_MAX};
    static struct manifest_segment segments[] = {
        {.number = 1, .size = 0x123456, .day = 20000},
        {.number = 0x29,
         .size = UINT64_C(1) << 33,
         .day = -1,
         .level = 1,
         .start_ns = -5,
         .end_ns = -5,
         .expires_ns = INT64_MAX,
         .rows = {rows, 6},
         .links = {row_links, 1}},
        {.number = 0x2a,
         .day = 20001,
         .level = 2,
         .start_ns = INT64_MIN,
         .end_ns = INT64_MAX,
         .links = {links, 3}},
    };
    segments[0].start_ns = 20000 * day_ns;
    segments[0].end_ns = 20000 * day_ns + 5;
    segments[0].expires_ns = 20091 * day_ns;
    for (unsigned i = 0; i < 16; i++) {
        segments[0].id.byte[i] = (uint8_t)i;
        segments[1].id.byte[i] = (uint8_t)(16 + i);
    }
    *m = (struct manifest){7, 3, 4096, 0x2b, 1000, segments, 3, 3};
}

Test(manifest, version_1_stays_what_it_is)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct bytes golden;
    struct manifest expected;
    struct manifest m;
    struct errinfo info = {0};
    char file[512];
    golden_manifest(&expected);
    cr_assert(source_path(file, sizeof file, "tests/golden/manifest-v1"));
    cr_assert(file_read(file, &golden));
    cr_assert_eq(read_raw(disk, golden, &m, &info), ERR_OK, "%s", info.text);
    cr_assert(manifest_is_equal(&m, &expected));
    cr_assert_eq(manifest_write(vfs_mem_vfs(disk), "/d", &expected, &info), ERR_OK, "%s",
                 info.text);
    cr_assert(bytes_equal(vfs_mem_get(disk, path), golden));
    manifest_close(&m);
    file_free(&golden);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* A disk with the golden manifest, and its bytes. */
static struct vfs_mem *golden_disk(uint8_t raw[512], struct bytes *ret)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct manifest m;
    golden_manifest(&m);
    cr_assert_eq(manifest_write(vfs_mem_vfs(disk), "/d", &m, NULL), ERR_OK);
    *ret = copy_of(vfs_mem_get(disk, path), raw);
    return disk;
}

Test(manifest, every_change_of_a_byte_is_noticed)
{
    static uint8_t raw[512];
    struct bytes whole;
    struct manifest m;
    struct vfs_mem *disk = golden_disk(raw, &whole);
    cr_assert_eq(read_raw(disk, whole, &m, NULL), ERR_OK); /* first: the good one is good */
    manifest_close(&m);
    for (size_t at = 0; at < whole.len; at++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            raw[at] ^= (uint8_t)flip;
            enum err rc = read_raw(disk, whole, &m, NULL);
            bool is_version = at >= 8 && at < 12;
            cr_assert(rc == ERR_CORRUPT || (is_version && rc == ERR_UNSUPPORTED),
                      "byte %zu, bits %x: %s", at, flip, err_text(rc));
            raw[at] ^= (uint8_t)flip;
        }
    }
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(manifest, every_cut_and_every_byte_too_many_is_noticed)
{
    static uint8_t raw[512];
    struct bytes whole;
    struct manifest m;
    struct vfs_mem *disk = golden_disk(raw, &whole);
    for (size_t len = 0; len < whole.len; len++) {
        struct errinfo info = {0};
        enum err rc = read_raw(disk, bytes_first(whole, len), &m, &info);
        cr_assert_eq(rc, ERR_CORRUPT, "cut at %zu", len);
        cr_assert(len >= 76 || strcmp(info.text, "manifest: cut short") == 0, "cut at %zu", len);
    }
    for (size_t more = 1; whole.len + more <= sizeof raw; more++)
        cr_assert_eq(read_raw(disk, bytes_of(raw, whole.len + more), &m, NULL), ERR_CORRUPT,
                     "%zu more", more);
    vfs_mem_destroy(disk);
}

struct edit {
    size_t at;
    uint64_t value;
    size_t size; /* of the value: 1, 4 or 8 bytes */
    enum err code;
    const char *text;
};

/* Size and checksum are right. */
static void mend(uint8_t *raw, size_t size)
{
    put_u64(raw + 16, size);
    put_u32(raw + size - 4, crc32c(0, bytes_of(raw, size - 4)));
}

/* One field has another value, and the checksum is right. */
static void assert_refused(struct vfs_mem *disk, struct bytes whole, const struct edit *e)
{
    uint8_t raw[512];
    uint8_t value[8];
    struct manifest m;
    struct errinfo info = {0};
    (void)copy_of(whole, raw);
    put_u64(value, e->value);
    memcpy(raw + e->at, value, e->size);
    put_u32(raw + whole.len - 4, crc32c(0, bytes_of(raw, whole.len - 4)));
    enum err rc = read_raw(disk, bytes_of(raw, whole.len), &m, &info);
    cr_assert_eq(rc, e->code, "offset %zu: %s", e->at, info.text);
    cr_assert_str_eq(info.text, e->text);
}

Test(manifest, what_cannot_be_is_refused_though_its_checksum_is_right)
{
    static uint8_t raw[512];
    struct bytes whole;
    struct vfs_mem *disk = golden_disk(raw, &whole);
    const size_t first = 72;      /* entries: the first has no lists, */
    const size_t second = 2 * 72; /* the second one of 13 bytes and one of a byte */
    const size_t rows = second + 72;
    const struct edit edits[] = {
        {0, 'h', 1, ERR_CORRUPT, "manifest: wrong magic"},
        {8, 0, 4, ERR_CORRUPT, "manifest: the header has no version"},
        {8, 2, 4, ERR_UNSUPPORTED, "manifest: version 2, expected 1"},
        {12, 71, 4, ERR_CORRUPT, "manifest: impossible header"},
        {16, 314, 8, ERR_CORRUPT, "manifest: 313 bytes, expected 314"},
        {48, 0x2a, 8, ERR_CORRUPT, "manifest: segment 2a, expected one below 2a"},
        {64, 2, 4, ERR_CORRUPT, "manifest: 79 bytes too many"},
        {64, 4, 4, ERR_CORRUPT, "manifest: 4 segments do not fit"},
        {64, UINT32_MAX, 4, ERR_CORRUPT, "manifest: 4294967295 segments do not fit"},
        {68, 1, 4, ERR_CORRUPT, "manifest: impossible header"},
        {first, 0x29, 8, ERR_CORRUPT, "manifest: segment 29 follows 29"},
        {first, 0x30, 8, ERR_CORRUPT, "manifest: segment 30, expected one below 2b"},
        {second, 0, 8, ERR_CORRUPT, "manifest: segment 0 follows 1"},
        {second + 64, 200, 4, ERR_CORRUPT, "manifest: cut short"},
        {second + 68, UINT32_MAX, 4, ERR_CORRUPT, "manifest: cut short"},
        {rows, 1, 1, ERR_CORRUPT, "manifest: a hidden number over 32 bits"},
        {second + 64, 7, 4, ERR_CORRUPT, "manifest: a hidden number over 32 bits"},
        {whole.len - 5, 0x80, 1, ERR_CORRUPT, "manifest: cut short"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++)
        assert_refused(disk, whole, &edits[i]);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* The list before it makes the file long enough for two entries. */
Test(manifest, a_last_entry_that_is_cut_is_noticed)
{
    static uint8_t raw[512];
    uint32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct manifest_segment s[2] = {{.number = 7, .rows = {ids, 10}}, {.number = 8}};
    struct manifest m = {.next_number = 9, .segments = s, .count = 2};
    struct vfs_mem *disk = vfs_mem_create();
    cr_assert_eq(manifest_write(vfs_mem_vfs(disk), "/d", &m, NULL), ERR_OK);
    struct bytes whole = copy_of(vfs_mem_get(disk, path), raw);
    for (size_t cut = 1; cut <= 10; cut++) {
        struct errinfo info = {0};
        mend(raw, whole.len - cut);
        cr_assert_eq(read_raw(disk, bytes_first(whole, whole.len - cut), &m, &info), ERR_CORRUPT);
        cr_assert_str_eq(info.text, "manifest: cut short");
    }
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(manifest, a_folder_without_one_says_so)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct manifest m;
    struct errinfo info = {0};
    vfs_mem_put(disk, "/d/manifest.new", BYTES("the rest of a change that did not happen"));
    cr_assert_eq(manifest_read(vfs_mem_vfs(disk), "/d", &m, &info), ERR_NOTFOUND);
    cr_assert_str_eq(info.text, "/d/manifest: not found");
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(manifest, more_bytes_than_a_manifest_may_have_are_not_read)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct manifest m;
    struct errinfo info = {0};
    size_t size = MANIFEST_SIZE_MAX + 1;
    uint8_t *raw = mem_zalloc(size);
    cr_assert_eq(read_raw(disk, bytes_of(raw, size), &m, &info), ERR_CORRUPT);
    cr_assert_str_eq(info.text, "manifest: 16777217 bytes, expected at most 16777216");
    mem_free(raw);
    vfs_mem_destroy(disk);
}

static void assert_not_written(const struct manifest *m, enum err code, const char *text)
{
    static uint8_t raw[512];
    struct bytes whole;
    struct errinfo info = {0};
    struct vfs_mem *disk = golden_disk(raw, &whole);
    cr_assert_eq(manifest_write(vfs_mem_vfs(disk), "/d", m, &info), code, "%s", text);
    cr_assert_str_eq(info.text, text);
    cr_assert(bytes_equal(vfs_mem_get(disk, path), whole), "the old one stays");
    cr_assert_eq(vfs_mem_file_count(disk), 1);
    vfs_mem_destroy(disk);
}

Test(manifest, what_could_not_be_read_again_is_not_written)
{
    uint32_t ids[] = {4, 5, 5};
    struct manifest_segment s[2] = {{.number = 7}, {.number = 8}};
    struct manifest m = {.next_number = 9, .segments = s, .count = 2};
    s[1].number = 7;
    assert_not_written(&m, ERR_CORRUPT, "manifest: segment 7 follows 7");
    s[1].number = 9;
    assert_not_written(&m, ERR_CORRUPT, "manifest: segment 9, expected one below 9");
    s[1].number = 8;
    s[1].rows = (struct manifest_hidden){ids, 3};
    assert_not_written(&m, ERR_CORRUPT, "manifest: segment 8: what is hidden does not ascend");
    s[1].rows.count = 2;
    s[1].links = (struct manifest_hidden){ids, 3};
    assert_not_written(&m, ERR_CORRUPT, "manifest: segment 8: what is hidden does not ascend");

    uint32_t *many = mem_array(MANIFEST_SIZE_MAX, sizeof *many); /* a byte each, and the rest */
    for (uint32_t i = 0; i < MANIFEST_SIZE_MAX; i++)
        many[i] = i;
    s[1].links = (struct manifest_hidden){many, MANIFEST_SIZE_MAX};
    assert_not_written(&m, ERR_LIMIT, "manifest: no room for it in 16777216 bytes");
    mem_free(many);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(manifest, the_largest_one_is_written_and_read)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct manifest_segment s = {.number = 7};
    struct manifest m = {.next_number = 9};
    size_t count = MANIFEST_SIZE_MAX - 72 - 72 - 4;
    s.rows.ids = mem_array(count, sizeof *s.rows.ids);
    for (uint32_t i = 0; i < count; i++)
        s.rows.ids[i] = i;
    s.rows.count = count;
    cr_assert_eq(manifest_add(&m, &s), ERR_OK);
    write_and_read_back(disk, &m);
    cr_assert_eq(vfs_mem_get(disk, path).len, MANIFEST_SIZE_MAX);
    manifest_close(&m);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

static struct manifest_segment with_hidden(uint64_t number)
{
    struct manifest_segment s = {.number = number, .size = number * 10};
    s.rows.ids = mem_array(2, sizeof *s.rows.ids);
    s.rows.ids[0] = (uint32_t)number;
    s.rows.ids[1] = (uint32_t)number + 1;
    s.rows.count = 2;
    return s;
}

Test(manifest, segments_are_kept_by_number)
{
    struct manifest m = {0};
    const uint64_t numbers[] = {5, 3, 9, 4, 1, 12, 2, 7, 11, 6};
    for (size_t i = 0; i < 10; i++) {
        struct manifest_segment s = with_hidden(numbers[i]);
        cr_assert_eq(manifest_add(&m, &s), ERR_OK);
    }
    cr_assert_eq(m.count, 10);
    for (size_t i = 1; i < m.count; i++)
        cr_assert_lt(m.segments[i - 1].number, m.segments[i].number);
    for (size_t i = 0; i < 10; i++)
        cr_assert_eq(manifest_find(&m, numbers[i])->size, numbers[i] * 10);
    const uint64_t absent[] = {0, 8, 10, 13};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_null(manifest_find(&m, absent[i]));
        manifest_remove(&m, absent[i]);
    }
    cr_assert_eq(m.count, 10);
    const uint64_t removed[] = {1, 12, 5};
    for (size_t i = 0; i < 3; i++) {
        manifest_remove(&m, removed[i]);
        cr_assert_null(manifest_find(&m, removed[i]));
    }
    cr_assert_eq(m.count, 7);
    cr_assert_eq(manifest_find(&m, 11)->rows.ids[1], 12);
    manifest_close(&m);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(manifest, there_is_a_ceiling_on_segments)
{
    struct manifest m = {0};
    struct manifest_segment s = {0};
    for (; s.number < SEGMENT_COUNT_MAX; s.number++)
        cr_assert_eq(manifest_add(&m, &s), ERR_OK);
    cr_assert_eq(manifest_add(&m, &s), ERR_LIMIT);
    m.next_number = s.number;
    struct vfs_mem *disk = vfs_mem_create();
    write_and_read_back(disk, &m);

    struct bytes whole = vfs_mem_get(disk, path);
    size_t size = whole.len + 72;
    uint8_t *raw = mem_zalloc(size);
    struct manifest back;
    struct errinfo info = {0};
    (void)copy_of(whole, raw);
    put_u32(raw + 64, SEGMENT_COUNT_MAX + 1);
    mend(raw, size);
    cr_assert_eq(read_raw(disk, bytes_of(raw, size), &back, &info), ERR_CORRUPT);
    cr_assert_str_eq(info.text, "manifest: 16385 segments do not fit");
    mem_free(raw);
    vfs_mem_destroy(disk);
    manifest_remove(&m, 5);
    cr_assert_eq(manifest_add(&m, &s), ERR_OK);
    manifest_close(&m);
}

Test(manifest, a_copy_changes_alone)
{
    struct rng rng = test_rng();
    struct manifest m;
    struct manifest same;
    struct manifest copy;
    random_manifest(&rng, 9, &m);
    struct manifest_segment s = with_hidden(m.next_number);
    cr_assert_eq(manifest_add(&m, &s), ERR_OK);
    cr_assert_eq(manifest_copy(&m, &same), ERR_OK);
    cr_assert_eq(manifest_copy(&m, &copy), ERR_OK);
    cr_assert(manifest_is_equal(&copy, &m));
    manifest_find(&copy, s.number)->rows.ids[1]++;
    cr_assert_not(manifest_is_equal(&copy, &m));
    manifest_remove(&copy, s.number);
    s = with_hidden(s.number + 1);
    cr_assert_eq(manifest_add(&copy, &s), ERR_OK);
    cr_assert(manifest_is_equal(&same, &m));
    manifest_close(&m);
    manifest_close(&copy);
    manifest_close(&same);
    m = (struct manifest){.generation = 3}; /* of none */
    cr_assert_eq(manifest_copy(&m, &copy), ERR_OK);
    cr_assert(manifest_is_equal(&copy, &m));
    manifest_close(&copy);
    cr_assert_eq(mem_outstanding(), 0);
}

/* Read, copy, add, write: what one failing allocation gives, with nothing left behind. */
static enum err do_everything(struct vfs *v, const struct manifest *expected)
{
    struct manifest m;
    struct manifest copy;
    struct manifest_segment s = {.number = expected->next_number};
    enum err rc = manifest_read(v, "/d", &m, NULL);
    if (rc != ERR_OK)
        return rc;
    rc = manifest_copy(&m, &copy);
    manifest_close(&m);
    if (rc != ERR_OK)
        return rc;
    copy.next_number++;
    rc = manifest_add(&copy, &s);
    cr_assert(rc == ERR_OK || manifest_find(&copy, s.number) == NULL);
    if (rc == ERR_OK)
        rc = manifest_write(v, "/d", &copy, NULL);
    manifest_close(&copy);
    return rc;
}

Test(manifest, without_memory_nothing_happens)
{
    static uint8_t raw[512];
    struct bytes whole;
    struct manifest m;
    struct vfs_mem *disk = golden_disk(raw, &whole);
    golden_manifest(&m);
    enum err rc = ERR_NOMEM;
    for (size_t nth = 1; rc != ERR_OK; nth++) {
        mem_fail_at(nth);
        rc = do_everything(vfs_mem_vfs(disk), &m);
        mem_fail_at(0);
        cr_assert(rc == ERR_OK || rc == ERR_NOMEM, "allocation %zu: %s", nth, err_text(rc));
        cr_assert_eq(bytes_equal(vfs_mem_get(disk, path), whole), rc != ERR_OK);
        cr_assert_eq(mem_outstanding(), 0, "allocation %zu", nth);
    }
    vfs_mem_destroy(disk);
}

Test(manifest, segments_are_named_by_number)
{
    char name[SEGMENT_NAME_SIZE + 1];
    uint64_t number;
    segment_print_name(42, name);
    cr_assert_str_eq(name, "segment-000000000000002a");
    cr_assert(segment_parse_name(bytes_of_text(name), &number));
    cr_assert_eq(number, 42);
    cr_assert_not(segment_parse_name(BYTES("log-000000000000002a"), &number));
    cr_assert_not(segment_parse_name(BYTES("segment-000000000000002a.new"), &number));
}
