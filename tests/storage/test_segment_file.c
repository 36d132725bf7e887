#include <stdio.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "storage/segment_file.h"
#include "tests/support/rng.h"
#include "tests/support/segment_mend.h"
#include "tests/support/tmpdir.h"
#include "tests/support/vfs_crash.h"

#define PATH       "/d/segment-0000000000000001"
#define PIECE_SIZE FORMAT_SEGMENT_PIECE_SIZE
#define BIG_SIZE   (5 * PIECE_SIZE + 123)

static const struct uuid id_one = {{1, 2, 3}};
static const struct uuid id_two = {{3, 2, 1}};

struct part {
    enum format_section kind;
    struct bytes data;
};

static enum err write_parts(struct vfs *v, const char *path, struct uuid id,
                            const struct part *parts, size_t count, struct errinfo *info)
{
    struct segment_file_writer *w = NULL;
    uint64_t size = 0;
    TRY(segment_file_create(v, path, id, -77, NULL, &w, info));
    for (size_t i = 0; i < count; i++) {
        segment_file_begin(w, parts[i].kind);
        segment_file_put(w, bytes_first(parts[i].data, 5));
        segment_file_put(w, bytes_from(parts[i].data, 5));
        cr_assert_eq(segment_file_put_size(w), parts[i].data.len);
    }
    enum err rc = segment_file_finish(w, &size, info);
    cr_assert_eq(segment_file_writer_failed(w), rc != ERR_OK);
    segment_file_writer_destroy(w);
    return rc;
}

static void need_parts(struct vfs *v, const char *path, struct uuid id, const struct part *parts,
                       size_t count)
{
    struct errinfo info = {0};
    cr_assert_eq(write_parts(v, path, id, parts, count, &info), ERR_OK, "%s", info.text);
}

static struct segment_file *need_open(struct vfs *v, const char *path)
{
    struct segment_file *f = NULL;
    struct errinfo info = {0};
    cr_assert_eq(segment_file_open(v, path, NULL, &f, &info), ERR_OK, "%s", info.text);
    return f;
}

static enum err view_section(const struct segment_file *f, enum format_section kind,
                             struct bytes *ret, struct errinfo *info)
{
    struct segment_section s = {0};
    cr_assert(segment_file_section(f, kind, &s));
    cr_assert_eq(s.offset % FORMAT_SEGMENT_ALIGN, 0);
    return segment_file_view(f, s.offset, s.size, ret, info);
}

static void assert_holds(const struct segment_file *f, const struct part *parts, size_t count)
{
    struct errinfo info = {0};
    for (size_t i = 0; i < count; i++) {
        struct bytes got = {0};
        cr_assert_eq(view_section(f, parts[i].kind, &got, &info), ERR_OK, "%s", info.text);
        cr_assert(bytes_equal(got, parts[i].data), "section %d", parts[i].kind);
    }
    cr_assert_eq(segment_file_verify(f, &info), ERR_OK, "%s", info.text);
    cr_assert_not(segment_file_is_damaged(f));
}

/* Three sections, kinds not in order, one of them empty: less than a piece in all. */
static const struct part small_parts[] = {
    {SECTION_ROW_ID, {(const uint8_t *)"0123456789", 10}},
    {SECTION_FACTS, {(const uint8_t *)"facts", 5}},
    {SECTION_BLOCKS, {NULL, 0}},
};
#define SMALL_COUNT (sizeof small_parts / sizeof small_parts[0])

static uint8_t noise[BIG_SIZE];

/* Some pieces of noise between two small sections. */
static void write_big(struct vfs *v, const char *path, struct uuid id)
{
    struct rng rng = rng_seeded(7);
    rng_bytes(&rng, noise, sizeof noise);
    const struct part parts[] = {
        small_parts[1], {SECTION_BLOCKS, bytes_of(noise, sizeof noise)}, small_parts[0]};
    need_parts(v, path, id, parts, 3);
}

/* Where the checksums begin. */
static size_t checked_size(struct vfs *v, const char *path)
{
    struct segment_file *f = need_open(v, path);
    size_t size = (size_t)f->checked_size;
    segment_file_close(f);
    return size;
}

/* A copy of a file, to be changed and put back. */
static size_t copy_out(struct vfs_mem *disk, const char *path, uint8_t *to, size_t room)
{
    struct bytes whole = vfs_mem_get(disk, path);
    cr_assert(whole.len > 0 && whole.len <= room);
    memcpy(to, whole.data, whole.len);
    return whole.len;
}

static enum err open_and_close(struct vfs *v, const char *path, struct errinfo *info)
{
    struct segment_file *f = NULL;
    enum err rc = segment_file_open(v, path, NULL, &f, info);
    segment_file_close(f);
    return rc;
}

Test(segment_file, sections_come_back)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct segment_section none;
    need_parts(v, PATH, id_one, small_parts, SMALL_COUNT);
    cr_assert_eq(write_parts(v, PATH, id_one, small_parts, SMALL_COUNT, NULL), ERR_IO, "it exists");
    struct segment_file *f = need_open(v, PATH);
    assert_holds(f, small_parts, SMALL_COUNT);
    cr_assert(uuid_equal(segment_file_id(f), id_one));
    cr_assert_eq(segment_file_created_ns(f), -77);
    cr_assert_not(segment_file_section(f, SECTION_RUN_FIRST, &none));
    segment_file_close(f);

    need_parts(v, "/d/empty", id_two, NULL, 0);
    f = need_open(v, "/d/empty");
    assert_holds(f, NULL, 0);
    cr_assert_not(segment_file_section(f, SECTION_FACTS, &none));
    segment_file_close(f);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* Sizes around pieces and the writer's buffer, and any others. */
Test(segment_file, sections_of_any_size_come_back_from_a_real_disk)
{
    struct rng rng = test_rng();
    static uint8_t data[6 * KIB(256)];
    rng_bytes(&rng, data, sizeof data);
    struct tmpdir dir = tmpdir_make();
    for (unsigned round = 0; round < 30; round++) {
        struct part parts[12];
        size_t count = (size_t)rng_below(&rng, 13);
        char name[16];
        char path[TMPDIR_PATH_SIZE + 32];
        for (size_t i = 0; i < count; i++) {
            static const size_t edges[] = {0, PIECE_SIZE - 64, PIECE_SIZE, KIB(256) - 64, KIB(256)};
            size_t size = rng_chance(&rng, 50) ? edges[rng_below(&rng, 5)] : rng_below(&rng, 70000);
            size_t from = (size_t)rng_below(&rng, sizeof data - size);
            parts[i] = (struct part){(enum format_section)(200 - i), bytes_of(data + from, size)};
        }
        (void)snprintf(name, sizeof name, "file-%u", round);
        tmpdir_path(&dir, name, path, sizeof path);
        need_parts(vfs_posix(), path, id_one, parts, count);
        struct segment_file *f = need_open(vfs_posix(), path);
        assert_holds(f, parts, count);
        segment_file_close(f);
    }
    tmpdir_remove(&dir);
}

Test(segment_file, a_view_verifies_the_pieces_that_it_crosses_and_no_other)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct segment_section s;
    write_big(v, PATH, id_one);
    struct segment_file *f = need_open(v, PATH);
    cr_assert(segment_file_section(f, SECTION_BLOCKS, &s));
    cr_assert_eq(f->verified[0], 1, "the header's piece, no other");
    cr_assert(segment_file_at(f, 3 * PIECE_SIZE, 0) != NULL);
    cr_assert_eq(f->verified[0], 1, "nothing to verify in an empty view");
    cr_assert(segment_file_at(f, 3 * PIECE_SIZE, 1) != NULL);
    cr_assert_eq(f->verified[0], 1 + 8);
    cr_assert(segment_file_at(f, 3 * PIECE_SIZE - 1, 1) != NULL);
    cr_assert_eq(f->verified[0], 1 + 4 + 8);
    cr_assert(segment_file_at(f, 4 * PIECE_SIZE - 1, PIECE_SIZE + 2) != NULL);
    cr_assert_eq(f->verified[0], 1 + 4 + 8 + 16 + 32);

    struct rng rng = test_rng();
    for (unsigned round = 0; round < 2000; round++) {
        size_t from = (size_t)rng_below(&rng, s.size);
        size_t size = (size_t)rng_below(&rng, s.size - from + 1);
        struct bytes got;
        cr_assert_eq(segment_file_view(f, s.offset + from, size, &got, NULL), ERR_OK);
        cr_assert(bytes_equal(got, bytes_of(noise + from, size)));
    }
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

Test(segment_file, refuses_views_outside_of_its_sections)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct bytes got;
    need_parts(v, PATH, id_one, small_parts, SMALL_COUNT);
    struct segment_file *f = need_open(v, PATH);
    uint64_t end = f->checked_size;
    const struct {
        uint64_t offset;
        uint64_t size;
        enum err expected;
    } cases[] = {{64, end - 64, ERR_OK},
                 {end, 0, ERR_OK},
                 {63, 1, ERR_CORRUPT},
                 {0, 0, ERR_CORRUPT},
                 {64, end - 63, ERR_CORRUPT},
                 {end + 1, 0, ERR_CORRUPT},
                 {64, UINT64_MAX, ERR_CORRUPT},
                 {UINT64_MAX, 2, ERR_CORRUPT},
                 {UINT64_MAX - 1, 2, ERR_CORRUPT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(segment_file_view(f, cases[i].offset, cases[i].size, &got, NULL),
                     cases[i].expected, "case %zu", i);
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

/* ---- damage ---- */

/* Whether opening, or looking at everything, finds out that the file was changed. */
static bool notices(struct vfs *v, const struct part *parts, size_t count)
{
    struct segment_file *f = NULL;
    struct errinfo info = {0};
    enum err rc = segment_file_open(v, PATH, NULL, &f, &info);
    if (rc != ERR_OK) {
        cr_assert(rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED, "%s", info.text);
        cr_assert(info.text[0] != '\0');
        return true;
    }
    bool wrong = false;
    for (size_t i = 0; i < count; i++) {
        struct bytes got = {0};
        rc = view_section(f, parts[i].kind, &got, &info);
        cr_assert(rc == ERR_OK ? bytes_equal(got, parts[i].data) : rc == ERR_CORRUPT);
        wrong |= rc != ERR_OK;
    }
    cr_assert_eq(segment_file_is_damaged(f), wrong);
    bool found = segment_file_verify(f, &info) != ERR_OK;
    cr_assert(found || !wrong);
    segment_file_close(f);
    return found;
}

Test(segment_file, notices_every_change_of_a_byte)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    uint8_t raw[1024];
    need_parts(v, PATH, id_one, small_parts, SMALL_COUNT);
    size_t size = copy_out(disk, PATH, raw, sizeof raw);
    cr_assert_not(notices(v, small_parts, SMALL_COUNT));
    for (size_t at = 0; at < size; at++) {
        for (unsigned change = 1; change < 256; change++) {
            raw[at] ^= (uint8_t)change;
            vfs_mem_put(disk, PATH, bytes_of(raw, size));
            cr_assert(notices(v, small_parts, SMALL_COUNT), "byte %zu ^ %u unseen", at, change);
            raw[at] ^= (uint8_t)change;
        }
    }
    vfs_mem_destroy(disk);
}

/* What is beside the damaged piece is served. */
Test(segment_file, notices_a_change_in_any_piece_and_serves_the_others)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    static uint8_t raw[BIG_SIZE + 1024];
    write_big(v, PATH, id_one);
    size_t size = copy_out(disk, PATH, raw, sizeof raw);
    size_t index = checked_size(v, PATH);
    for (size_t at = 0; at < size; at += 37) {
        raw[at] ^= 0x10;
        vfs_mem_put(disk, PATH, bytes_of(raw, size));
        raw[at] ^= 0x10;
        struct segment_file *f = NULL;
        struct errinfo info = {0};
        enum err rc = segment_file_open(v, PATH, NULL, &f, &info);
        cr_assert_eq(rc == ERR_OK, at >= PIECE_SIZE && at < index, "byte %zu", at);
        if (rc != ERR_OK)
            continue;
        for (uint64_t offset = PIECE_SIZE; offset < f->checked_size; offset += PIECE_SIZE) {
            bool damaged = offset / PIECE_SIZE == at / PIECE_SIZE;
            cr_assert_eq(segment_file_at(f, offset, 1) == NULL, damaged, "byte %zu", at);
        }
        cr_assert(segment_file_is_damaged(f));
        cr_assert_eq(segment_file_verify(f, &info), ERR_CORRUPT);
        segment_file_close(f);
    }
    vfs_mem_destroy(disk);
}

Test(segment_file, verifying_says_how_many_pieces_are_wrong_and_where)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    static uint8_t raw[BIG_SIZE + 1024];
    struct errinfo info = {0};
    write_big(v, PATH, id_one);
    size_t size = copy_out(disk, PATH, raw, sizeof raw);
    raw[2 * PIECE_SIZE] ^= 1;
    raw[4 * PIECE_SIZE + 5] ^= 1;
    vfs_mem_put(disk, PATH, bytes_of(raw, size));
    struct segment_file *f = need_open(v, PATH);
    cr_assert_eq(segment_file_verify(f, &info), ERR_CORRUPT);
    cr_assert_str_eq(info.text,
                     "segment-0000000000000001: checksums of 2 of 6 pieces do not match, "
                     "the first at 32768");
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

/* What the file is mapped to in the tests' disk is memory that may be written. */
static uint8_t *mapped_byte(const struct segment_file *f, size_t at)
{
    return (uint8_t *)(uintptr_t)(f->data + at);
}

Test(segment_file, a_piece_that_failed_stays_failed)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct bytes got;
    struct errinfo info = {0};
    write_big(v, PATH, id_one);
    struct segment_file *f = need_open(v, PATH);
    *mapped_byte(f, 2 * PIECE_SIZE) ^= 1;
    cr_assert_eq(segment_file_view(f, 2 * PIECE_SIZE, 1, &got, &info), ERR_CORRUPT);
    cr_assert_str_eq(info.text,
                     "segment-0000000000000001: checksum does not match in 1 bytes at 32768");
    *mapped_byte(f, 2 * PIECE_SIZE) ^= 1; /* the device changes its mind */
    cr_assert_null(segment_file_at(f, 2 * PIECE_SIZE, 1));
    cr_assert_eq(segment_file_verify(f, NULL), ERR_CORRUPT);

    cr_assert_not_null(segment_file_at(f, 3 * PIECE_SIZE, 1)); /* right, and then no more */
    *mapped_byte(f, 3 * PIECE_SIZE) ^= 1;
    cr_assert_eq(segment_file_verify(f, NULL), ERR_CORRUPT);
    cr_assert_null(segment_file_at(f, 3 * PIECE_SIZE, 1));
    *mapped_byte(f, 3 * PIECE_SIZE) ^= 1;
    cr_assert_null(segment_file_at(f, 3 * PIECE_SIZE, 1));
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

Test(segment_file, is_refused_at_every_other_length)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    uint8_t raw[1024] = {0};
    need_parts(v, PATH, id_one, small_parts, SMALL_COUNT);
    size_t size = copy_out(disk, PATH, raw, sizeof raw - 100);
    for (size_t len = 0; len < size + 100; len++) {
        vfs_mem_put(disk, PATH, bytes_of(raw, len));
        cr_assert_eq(open_and_close(v, PATH, NULL), len == size ? ERR_OK : ERR_CORRUPT,
                     "%zu of %zu bytes", len, size);
    }
    vfs_mem_destroy(disk);
}

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

Test(segment_file, a_piece_at_another_place_or_of_another_file_fails)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    static uint8_t one[BIG_SIZE + 1024];
    static uint8_t two[BIG_SIZE + 1024];
    write_big(v, PATH, id_one);
    write_big(v, "/d/two", id_two);
    size_t size = copy_out(disk, PATH, one, sizeof one);
    cr_assert_eq(copy_out(disk, "/d/two", two, sizeof two), size);
    size_t index = checked_size(v, PATH);

    memcpy(one + index + 8, two + index + 8, 4); /* piece 2 is the same, its checksum the other's */
    swap(one + 3 * PIECE_SIZE, one + 4 * PIECE_SIZE, PIECE_SIZE); /* pieces with their checksums */
    swap(one + index + 12, one + index + 16, 4);
    segment_mend_index(one, size);
    vfs_mem_put(disk, PATH, bytes_of(one, size));
    struct segment_file *f = need_open(v, PATH);
    for (size_t piece = 0; piece < 6; piece++)
        cr_assert_eq(segment_file_at(f, piece * PIECE_SIZE, 1) == NULL, piece >= 2 && piece <= 4,
                     "piece %zu", piece);
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

Test(segment_file, a_footer_of_another_file_is_refused)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct errinfo info = {0};
    uint8_t one[1024];
    uint8_t two[1024];
    need_parts(v, PATH, id_one, small_parts, SMALL_COUNT);
    need_parts(v, "/d/two", id_two, small_parts, SMALL_COUNT);
    size_t size = copy_out(disk, PATH, one, sizeof one);
    cr_assert_eq(copy_out(disk, "/d/two", two, sizeof two), size);
    memcpy(one + size - 64, two + size - 64, 64);
    vfs_mem_put(disk, PATH, bytes_of(one, size));
    cr_assert_eq(open_and_close(v, PATH, &info), ERR_CORRUPT);
    cr_assert_str_eq(info.text, "segment-0000000000000001: checksum of the footer does not match");
    vfs_mem_destroy(disk);
}

/* Nonsense behind right checksums. In the small file the sections are 1 (second), 2 (third, empty)
 * and 30 (first); `from_end` counts back from the end of the file. */
Test(segment_file, refuses_what_cannot_be)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    enum { FOOTER = 64, ENTRY_30 = 64 + 24, ENTRY_2 = 64 + 48, ENTRY_1 = 64 + 72 };
    static const struct {
        size_t from_start; /* 0: from_end counts */
        size_t from_end;
        unsigned size;
        uint64_t value;
        enum err expected;
        const char *text;
    } cases[] = {
        {0, ENTRY_30, 4, 77, ERR_OK, ""}, /* a kind nobody knows */
        {8, 0, 4, 0, ERR_UNSUPPORTED, "version 0, expected 1"},
        {8, 0, 4, 2, ERR_UNSUPPORTED, "version 2, expected 1"},
        {12, 0, 4, 63, ERR_CORRUPT, "impossible header"},
        {40, 0, 4, 1, ERR_CORRUPT, "impossible header"},
        {56, 0, 4, 1, ERR_CORRUPT, "impossible header"},
        {0, FOOTER - 8, 8, 0, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER - 8, 8, 2, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER - 8, 8, UINT64_MAX, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER - 16, 8, 0, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER - 24, 4, 2, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER - 24, 4, UINT32_MAX, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER - 40, 8, 1, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER - 48, 4, 1, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER, 8, 56, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER, 8, 92, ERR_CORRUPT, "impossible footer"},
        {0, FOOTER, 8, UINT64_MAX - 7, ERR_CORRUPT, "impossible footer"},
        {0, ENTRY_1, 4, 2, ERR_CORRUPT, "section 2 stands behind 2"},
        {0, ENTRY_1, 4, 9, ERR_CORRUPT, "section 2 stands behind 9"},
        {0, ENTRY_1 - 4, 4, 1, ERR_CORRUPT, "impossible directory"},
        {0, ENTRY_1 - 8, 8, 56, ERR_CORRUPT, "section 1: 5 bytes at 56 do not fit"},
        {0, ENTRY_1 - 8, 8, 81, ERR_CORRUPT, "section 1: 5 bytes at 81 do not fit"},
        {0, ENTRY_1 - 8, 8, 88, ERR_CORRUPT, "section 1: 5 bytes at 88 do not fit"},
        {0, ENTRY_1 - 8, 8, 96, ERR_CORRUPT, "section 1: 5 bytes at 96 do not fit"},
        {0, ENTRY_1 - 16, 8, 9, ERR_CORRUPT, "section 1: 9 bytes at 80 do not fit"},
        {0, ENTRY_1 - 16, 8, UINT64_MAX, ERR_CORRUPT,
         "section 1: 18446744073709551615 bytes at 80 do not fit"},
        {0, ENTRY_30 - 16, 8, 17, ERR_CORRUPT, "sections 1 and 30 overlap"},
    };
    uint8_t good[1024];
    need_parts(v, PATH, id_one, small_parts, SMALL_COUNT);
    size_t size = copy_out(disk, PATH, good, sizeof good);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t raw[1024];
        struct errinfo info = {0};
        size_t at = cases[i].from_start > 0 ? cases[i].from_start : size - cases[i].from_end;
        memcpy(raw, good, size);
        for (unsigned k = 0; k < cases[i].size; k++)
            raw[at + k] = (uint8_t)(cases[i].value >> (8 * k));
        segment_mend(raw, size);
        vfs_mem_put(disk, PATH, bytes_of(raw, size));
        cr_assert_eq(open_and_close(v, PATH, &info), cases[i].expected, "case %zu: %s", i,
                     info.text);
        if (cases[i].expected != ERR_OK)
            cr_assert_str_eq(info.text + strlen("segment-0000000000000001: "), cases[i].text,
                             "case %zu: %s", i, info.text);
    }
    vfs_mem_destroy(disk);
}

/* Sizes that agree with each other and with nothing else. `from` moves to `to` in the small file, and
 * what is left between is zero; then the footer's first four numbers and the size. */
Test(segment_file, refuses_sizes_that_only_agree_with_each_other)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    uint8_t good[1024];
    need_parts(v, PATH, id_one, small_parts, SMALL_COUNT);
    size_t size = copy_out(disk, PATH, good, sizeof good);
    size_t index = checked_size(v, PATH);
    const struct {
        const char *what;
        size_t from;
        size_t to;
        size_t index, piece_count, directory, section_count, size;
        enum err expected;
    } cases[] = {
        {"nothing changed", size, size, index, 1, index + 4, 3, size, ERR_OK},
        {"checksums not from a multiple of 8", index, index + 4, index + 4, 1, index + 8, 3,
         size + 4, ERR_CORRUPT},
        {"more checksums than pieces", size, size, index, 7, index + 28, 2, size, ERR_CORRUPT},
        {"something before the footer", size - 64, size - 40, index, 1, index + 4, 3, size,
         ERR_CORRUPT},
        {"something before the directory", index + 4, index + 8, index, 1, index + 8, 3, size + 4,
         ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t raw[1024] = {0};
        size_t new_size = size + cases[i].to - cases[i].from;
        uint8_t *footer = raw + new_size - 64;
        memcpy(raw, good, cases[i].from);
        memcpy(raw + cases[i].to, good + cases[i].from, size - cases[i].from);
        put_u64(footer, cases[i].index);
        put_u64(footer + 8, cases[i].piece_count);
        put_u64(footer + 16, cases[i].directory);
        put_u32(footer + 24, (uint32_t)cases[i].section_count);
        put_u64(footer + 32, cases[i].size);
        segment_mend(raw, new_size);
        vfs_mem_put(disk, PATH, bytes_of(raw, new_size));
        cr_assert_eq(open_and_close(v, PATH, NULL), cases[i].expected, "%s", cases[i].what);
    }
    vfs_mem_destroy(disk);
}

/* ---- failures ---- */

static const struct part long_parts[] = {{SECTION_BLOCKS, {noise, sizeof noise}},
                                         {SECTION_ROW_ID, {noise, sizeof noise}},
                                         {SECTION_FACTS, {noise, sizeof noise}},
                                         {SECTION_ROW_START, {noise, sizeof noise}}};
#define LONG_COUNT (sizeof long_parts / sizeof long_parts[0])

Test(segment_file, a_failed_call_is_never_success)
{
    static const enum vfs_fault_then then[] = {FAULT_ONCE, FAULT_FOREVER};
    for (size_t t = 0; t < 2; t++) {
        bool fired = true;
        unsigned nth = 0;
        while (fired) {
            struct vfs_mem *disk = vfs_mem_create();
            struct vfs_fault fault;
            struct errinfo info = {0};
            vfs_fault_init(&fault, vfs_mem_vfs(disk), ++nth, ERR_IO, then[t]);
            enum err rc = write_parts(&fault.vfs, PATH, id_one, long_parts, LONG_COUNT, &info);
            fired = fault.fired;
            cr_assert_eq(rc, fired ? ERR_IO : ERR_OK, "failure at call %u: %s", nth, info.text);
            if (fired)
                cr_assert_str_eq(info.text, "made to fail");
            vfs_mem_destroy(disk);
        }
        /* open, two appends of sections, one of checksums, one of directory and footer, sync */
        cr_assert_eq(nth, 6 + 1);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(segment_file, a_failed_call_is_no_open_file)
{
    struct vfs_mem *disk = vfs_mem_create();
    bool fired = true;
    need_parts(vfs_mem_vfs(disk), PATH, id_one, small_parts, SMALL_COUNT);
    for (unsigned nth = 1; fired; nth++) {
        struct vfs_fault fault;
        vfs_fault_init(&fault, vfs_mem_vfs(disk), nth, ERR_IO, FAULT_ONCE);
        enum err rc = open_and_close(&fault.vfs, PATH, NULL);
        fired = fault.fired;
        cr_assert_eq(rc, fired ? ERR_IO : ERR_OK, "failure at call %u", nth);
    }
    cr_assert_eq(open_and_close(vfs_mem_vfs(disk), "/d/none", NULL), ERR_NOTFOUND);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(segment_file, what_finished_survives_a_power_cut)
{
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        struct vfs_crash disk;
        vfs_crash_init(&disk, nth, nth);
        enum err rc = write_parts(&disk.fault.vfs, PATH, id_one, long_parts, LONG_COUNT, NULL);
        if (rc == ERR_OK)
            rc = disk.fault.vfs.sync_dir(&disk.fault.vfs, "/d", NULL);
        fired = vfs_crash_power_cut(&disk);
        cr_assert_eq(rc != ERR_OK, fired);
        if (rc == ERR_OK) {
            struct segment_file *f = need_open(&disk.fault.vfs, PATH);
            assert_holds(f, long_parts, LONG_COUNT);
            segment_file_close(f);
        }
        vfs_crash_close(&disk);
    }
}

Test(segment_file, a_full_disk_is_told_as_such)
{
    struct vfs_mem *disk = vfs_mem_create();
    vfs_mem_set_space(disk, 1000);
    cr_assert_eq(write_parts(vfs_mem_vfs(disk), PATH, id_one, long_parts, LONG_COUNT, NULL),
                 ERR_NOSPACE);
    vfs_mem_destroy(disk);
}

Test(segment_file, without_memory_it_says_so)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    enum err rc = ERR_NOMEM;
    for (size_t nth = 1; rc != ERR_OK; nth++) {
        struct errinfo info = {0};
        char path[32];
        (void)snprintf(path, sizeof path, "/d/%zu", nth); /* a try may leave a file */
        mem_fail_at(nth);
        rc = write_parts(v, path, id_one, long_parts, LONG_COUNT, &info);
        mem_fail_at(0);
        cr_assert(rc == ERR_OK || rc == ERR_NOMEM, "%s", info.text);
        cr_assert(rc == ERR_OK || info.text[0] != '\0');
        cr_assert(nth > 1 || rc == ERR_NOMEM);
    }
    need_parts(v, PATH, id_one, small_parts, SMALL_COUNT);
    mem_fail_at(1);
    cr_assert_eq(open_and_close(v, PATH, NULL), ERR_NOMEM);
    mem_fail_at(0);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(segment_file, memory_is_counted_and_given_back)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct mem_account account;
    struct segment_file_writer *w = NULL;
    struct segment_file *f = NULL;
    uint64_t size = 0;
    mem_account_init(&account, NULL, KIB(256) - 1);
    cr_assert_eq(segment_file_create(v, PATH, id_one, 0, &account, &w, NULL), ERR_LIMIT);
    cr_assert_eq(vfs_mem_file_count(disk), 0);

    mem_account_init(&account, NULL, KIB(256) + 64); /* checksums of one buffer of pieces */
    cr_assert_eq(segment_file_create(v, PATH, id_one, 0, &account, &w, NULL), ERR_OK);
    segment_file_begin(w, SECTION_BLOCKS);
    segment_file_put(w, bytes_of(noise, KIB(64)));
    cr_assert_eq(account.held, KIB(256));
    for (unsigned i = 0; i < 8; i++)
        segment_file_put(w, bytes_of(noise, KIB(64)));
    cr_assert(segment_file_writer_failed(w));
    cr_assert_eq(segment_file_put_size(w), 9 * KIB(64));
    cr_assert_eq(segment_file_finish(w, &size, NULL), ERR_LIMIT);
    segment_file_writer_destroy(w);
    cr_assert_eq(account.held, 0);

    need_parts(v, "/d/small", id_one, small_parts, SMALL_COUNT);
    cr_assert_eq(segment_file_open(v, "/d/small", &account, &f, NULL), ERR_OK);
    size_t held = account.held;
    cr_assert_gt(held, 0);
    segment_file_close(f);
    cr_assert_eq(account.held, 0);
    mem_account_init(&account, NULL, held - 1);
    cr_assert_eq(segment_file_open(v, "/d/small", &account, &f, NULL), ERR_LIMIT);
    cr_assert_eq(account.held, 0);
    vfs_mem_destroy(disk);
}
