#include <criterion/criterion.h>

#include "storage/packed.h"
#include "tests/support/rng.h"
#include "tests/support/vfs_mem.h"

#define PATH       "/d/segment-0000000000000001"
#define COUNT_MAX  9000
#define PIECE_SIZE FORMAT_SEGMENT_PIECE_SIZE

static uint64_t values[COUNT_MAX * 3];

/* All differences fit `width` bytes, and one needs them all. */
static uint64_t fill(struct rng *rng, unsigned width, size_t stride, size_t count)
{
    uint64_t mask = width == 0 ? 0 : UINT64_MAX >> (64 - 8 * width);
    uint64_t base = rng_chance(rng, 50) ? rng_u64(rng) : 0;
    base = base > UINT64_MAX - mask ? UINT64_MAX - mask : base;
    for (size_t i = 0; i < count * stride; i++)
        values[i] = i % stride == 0 ? base + (rng_u64(rng) & mask) : rng_u64(rng);
    values[rng_below(rng, count) * stride] = base;
    if (count > 1)
        values[(count - 1) * stride] = base + mask;
    if (count > 1)
        values[0] = base;
    return base;
}

static struct segment_file *reopen(struct vfs *v, struct segment_file_writer *w)
{
    uint64_t size = 0;
    struct segment_file *f = NULL;
    struct errinfo info = {0};
    cr_assert_eq(segment_file_finish(w, &size, &info), ERR_OK, "%s", info.text);
    segment_file_writer_destroy(w);
    cr_assert_eq(segment_file_open(v, PATH, NULL, &f, &info), ERR_OK, "%s", info.text);
    return f;
}

static struct segment_file_writer *create(struct vfs *v)
{
    struct segment_file_writer *w = NULL;
    (void)v->remove(v, PATH, NULL);
    cr_assert_eq(segment_file_create(v, PATH, (struct uuid){{1}}, 0, NULL, &w, NULL), ERR_OK);
    return w;
}

Test(packed, numbers_come_back_one_by_one)
{
    struct rng rng = test_rng();
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    for (unsigned round = 0; round < 90; round++) {
        unsigned width = round % 9;
        size_t stride = 1 + (size_t)rng_below(&rng, 3);
        size_t count = 1 + (size_t)rng_below(&rng, rng_chance(&rng, 50) ? 5 : COUNT_MAX);
        uint64_t base = fill(&rng, width, stride, count);
        struct segment_file_writer *w = create(v);
        segment_file_begin(w, SECTION_BLOCKS); /* anywhere in a piece */
        segment_file_put(w, bytes_of(values, (size_t)rng_below(&rng, PIECE_SIZE)));
        packed_put(w, SECTION_ROW_START, values, stride, count);
        segment_file_begin(w, SECTION_ROW_ID);
        struct segment_file *f = reopen(v, w);
        struct packed p;
        struct errinfo info = {0};
        cr_assert_eq(packed_open(f, SECTION_ROW_START, count, &p, &info), ERR_OK, "%s", info.text);
        if (count > 1)
            cr_assert(p.width == width && p.base == base, "width %u, %u wanted", p.width, width);
        for (size_t i = 0; i < count; i++) {
            uint64_t got = 0;
            cr_assert(packed_get(&p, (uint32_t)i, &got));
            cr_assert_eq(got, values[i * stride], "item %zu of %zu", i, count);
        }
        cr_assert_eq(packed_open(f, SECTION_ROW_START, count + 1, &p, NULL),
                     p.width == 0 ? ERR_OK : ERR_CORRUPT);
        segment_file_close(f);
    }
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(packed, takes_the_least_width)
{
    static const struct {
        uint64_t least;
        uint64_t most;
        uint32_t width;
    } cases[] = {{5, 5, 0},         {UINT64_MAX, UINT64_MAX, 0},
                 {0, 255, 1},       {1000000, 1000255, 1},
                 {0, 256, 2},       {0, 0xffffff, 3},
                 {0, 0x1000000, 4}, {7, 7 + (UINT64_C(1) << 56), 8},
                 {0, UINT64_MAX, 8}};
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint64_t two[] = {cases[i].most, cases[i].least};
        struct packed p;
        struct segment_section s;
        struct segment_file_writer *w = create(v);
        packed_put(w, SECTION_ROW_START, two, 1, 2);
        packed_put(w, SECTION_ROW_BACK, NULL, 1, 0);
        struct segment_file *f = reopen(v, w);
        cr_assert_eq(packed_open(f, SECTION_ROW_START, 2, &p, NULL), ERR_OK);
        cr_assert(segment_file_section(f, SECTION_ROW_START, &s));
        cr_assert(p.width == cases[i].width && s.size == 24 + 2 * p.width, "case %zu", i);
        cr_assert_eq(packed_open(f, SECTION_ROW_BACK, 0, &p, NULL), ERR_OK);
        segment_file_close(f);
    }
    vfs_mem_destroy(disk);
}

Test(packed, items_of_sixteen_bytes_come_back)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct rng rng = test_rng();
    static struct uuid ids[3000]; /* of two pieces, and in both */
    struct sixteens s;
    struct hash128 hash;
    struct uuid id;
    const uint8_t bytes[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    rng_bytes(&rng, ids, sizeof ids);
    struct segment_file_writer *w = create(v);
    segment_file_begin(w, SECTION_RUN_PROFILER);
    sixteens_put_hash(w,
                      (struct hash128){UINT64_C(0x0807060504030201), UINT64_C(0x100f0e0d0c0b0a09)});
    segment_file_begin(w, SECTION_FACTS);
    segment_file_put(w, BYTES("8 bytes!"));
    segment_file_begin(w, SECTION_ROW_ID);
    for (size_t i = 0; i < 3000; i++)
        sixteens_put_uuid(w, ids[i]);
    struct segment_file *f = reopen(v, w);
    cr_assert_eq(sixteens_open(f, SECTION_RUN_PROFILER, 1, &s, NULL), ERR_OK);
    cr_assert_eq(memcmp(sixteens_get(&s, 0), bytes, 16), 0);
    cr_assert(sixteens_get_hash(&s, 0, &hash));
    cr_assert(hash.lo == UINT64_C(0x0807060504030201) && hash.hi == UINT64_C(0x100f0e0d0c0b0a09));
    cr_assert_eq(sixteens_open(f, SECTION_ROW_ID, 2999, &s, NULL), ERR_CORRUPT);
    cr_assert_eq(sixteens_open(f, SECTION_ROW_ID, 3001, &s, NULL), ERR_CORRUPT);
    cr_assert_eq(sixteens_open(f, SECTION_ROW_CONTENT, 0, &s, NULL), ERR_CORRUPT);
    cr_assert_eq(sixteens_open(f, SECTION_ROW_ID, 3000, &s, NULL), ERR_OK);
    for (uint32_t i = 0; i < 3000; i++)
        cr_assert(sixteens_get_uuid(&s, i, &id) && uuid_equal(id, ids[i]), "id %u", i);
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

/* What the file is mapped to in the tests' disk is memory that may be written. */
static void damage(const struct segment_file *f, uint64_t offset)
{
    *(uint8_t *)(uintptr_t)(f->data + offset) ^= 1;
}

Test(packed, a_damaged_piece_gives_no_number)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct rng rng = test_rng();
    struct packed p;
    struct sixteens s;
    uint64_t got;
    struct hash128 hash;
    struct uuid id;
    (void)fill(&rng, 4, 1, COUNT_MAX); /* about two pieces */
    struct segment_file_writer *w = create(v);
    packed_put(w, SECTION_ROW_START, values, 1, COUNT_MAX);
    segment_file_begin(w, SECTION_ROW_ID);
    segment_file_put(w, bytes_of(values, 2 * PIECE_SIZE));
    struct segment_file *f = reopen(v, w);
    damage(f, PIECE_SIZE + 1);
    cr_assert_eq(packed_open(f, SECTION_ROW_START, COUNT_MAX, &p, NULL), ERR_OK);
    uint32_t last = (uint32_t)((PIECE_SIZE - 8 - p.offset) / 4); /* to be read without the next */
    cr_assert(packed_get(&p, last, &got));
    cr_assert_eq(got, values[last]);
    cr_assert_not(packed_get(&p, last + 1, &got));
    cr_assert_eq(sixteens_open(f, SECTION_ROW_ID, PIECE_SIZE / 8, &s, NULL), ERR_OK);
    damage(f, 3 * PIECE_SIZE);
    uint32_t first = (uint32_t)((3 * PIECE_SIZE - s.offset) / 16) + 1;
    cr_assert(sixteens_get_uuid(&s, 0, &id));
    cr_assert_null(sixteens_get(&s, first));
    cr_assert_not(sixteens_get_uuid(&s, first, &id));
    cr_assert_not(sixteens_get_hash(&s, first, &hash));
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

/* Sections behind right checksums that are no column. */
Test(packed, refuses_what_is_no_column)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    static const struct {
        const char *text; /* of the section: base, width, zeros, items, tail */
        size_t size;
        enum err expected;
    } cases[] = {
#define BASE "\1\2\3\4\5\6\7\xff"
#define SIX  "\0\0\0\0\0\0\0"
#define TAIL "\0\0\0\0\0\0\0\0"
        {BASE "\2" SIX "abcdef" TAIL, 30, ERR_OK},
        {BASE "\0" SIX TAIL, 24, ERR_OK},
        {BASE "\2" SIX "abcdef" TAIL, 29, ERR_CORRUPT},
        {BASE "\2" SIX "abcdef" TAIL "\0", 31, ERR_CORRUPT},
        {BASE "\1" SIX "abcdef" TAIL, 30, ERR_CORRUPT},
        {BASE "\11" SIX "abcdefghijklmnopqrstuvwxyza" TAIL, 51, ERR_CORRUPT},
        {BASE "\xff" SIX "abcdef" TAIL, 30, ERR_CORRUPT},
        {BASE "\2\1\0\0\0\0\0\0"
              "abcdef" TAIL,
         30, ERR_CORRUPT},
        {BASE "\2\0\0\0\0\0\0\1"
              "abcdef" TAIL,
         30, ERR_CORRUPT},
        {BASE "\2" SIX "abcdef\0\0\0\0\0\0\0\1", 30, ERR_CORRUPT},
        {BASE "\0" SIX TAIL, 23, ERR_CORRUPT},
        {BASE "\0" SIX TAIL, 8, ERR_CORRUPT},
        {"", 0, ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct packed p;
        struct errinfo info = {0};
        struct segment_file_writer *w = create(v);
        segment_file_begin(w, SECTION_ROW_START);
        segment_file_put(w, bytes_of(cases[i].text, cases[i].size));
        struct segment_file *f = reopen(v, w);
        cr_assert_eq(packed_open(f, SECTION_ROW_START, 3, &p, &info), cases[i].expected,
                     "case %zu: %s", i, info.text);
        cr_assert_eq(packed_open(f, SECTION_ROW_BACK, 0, &p, NULL), ERR_CORRUPT, "not there");
        segment_file_close(f);
    }
    vfs_mem_destroy(disk);
}

/* A base that no writer chooses: what comes is a number, modulo 2^64. */
Test(packed, a_number_beyond_64_bits_wraps)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct packed p;
    uint64_t got = 0;
    struct segment_file_writer *w = create(v);
    segment_file_begin(w, SECTION_ROW_START);
    segment_file_put(w, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"
                              "\1" SIX "\3" TAIL));
    struct segment_file *f = reopen(v, w);
    cr_assert_eq(packed_open(f, SECTION_ROW_START, 1, &p, NULL), ERR_OK);
    cr_assert(packed_get(&p, 0, &got));
    cr_assert_eq(got, 2);
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

Test(packed, refuses_more_than_32_bits_can_number)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct packed p;
    const uint64_t one = 5;
    struct segment_file_writer *w = create(v);
    packed_put(w, SECTION_ROW_START, &one, 1, 1);
    struct segment_file *f = reopen(v, w);
    cr_assert_eq(packed_open(f, SECTION_ROW_START, UINT32_MAX, &p, NULL), ERR_OK, "all are equal");
    cr_assert_eq(packed_open(f, SECTION_ROW_START, (size_t)UINT32_MAX + 1, &p, NULL), ERR_CORRUPT);
    segment_file_close(f);
    vfs_mem_destroy(disk);
}
