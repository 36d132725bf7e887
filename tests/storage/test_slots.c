#include <criterion/criterion.h>

#include "storage/slots.h"
#include "tests/support/rng.h"
#include "tests/support/vfs_mem.h"

#define PATH    "/d/segment-0000000000000001"
#define KEY_MAX 3000

static uint64_t hashes[KEY_MAX];

/* Numbers 0 .. count - 1, each with its hash. */
static void build(struct slots_builder *b, uint32_t count, uint32_t limit)
{
    cr_assert_eq(slots_builder_init(b, count, limit, NULL), ERR_OK);
    for (uint32_t i = 0; i < count; i++)
        slots_builder_add(b, hashes[i], i);
}

static struct segment_file *open_file(struct vfs *v)
{
    struct segment_file *f = NULL;
    struct errinfo info = {0};
    cr_assert_eq(segment_file_open(v, PATH, NULL, &f, &info), ERR_OK, "%s", info.text);
    return f;
}

static struct segment_file *write_section(struct vfs *v, struct bytes content)
{
    struct segment_file_writer *w = NULL;
    uint64_t size;
    (void)v->remove(v, PATH, NULL);
    cr_assert_eq(segment_file_create(v, PATH, (struct uuid){{1}}, 0, NULL, &w, NULL), ERR_OK);
    segment_file_begin(w, SECTION_RUN_SLOTS);
    segment_file_put(w, content);
    cr_assert_eq(segment_file_finish(w, &size, NULL), ERR_OK);
    segment_file_writer_destroy(w);
    return open_file(v);
}

/* Whether a search for the hash comes upon the number; *ret_seen: how many others it came upon. */
static bool find(const struct slots *s, uint64_t hash, uint32_t number, unsigned *ret_others)
{
    struct slots_search search = slots_begin(s, hash);
    uint32_t got;
    enum err rc;
    *ret_others = 0;
    while ((rc = slots_next(s, &search, &got)) == ERR_OK) {
        if (got == number)
            return true;
        ++*ret_others;
    }
    cr_assert_eq(rc, ERR_NOTFOUND);
    return false;
}

Test(slots, every_number_is_found_by_its_hash)
{
    static const uint32_t limits[] = {0, 1, UINT32_MAX - KEY_MAX}; /* more than there are */
    struct rng rng = test_rng();
    struct vfs_mem *disk = vfs_mem_create();
    for (unsigned round = 0; round < 60; round++) {
        struct slots_builder b;
        struct slots s;
        uint32_t count = (uint32_t)rng_below(&rng, round % 2 == 0 ? 6 : KEY_MAX);
        uint32_t limit = count + limits[round % 3];
        uint64_t mask = round % 5 == 4 ? 0xff000000000000ff : UINT64_MAX; /* crowded places */
        unsigned others;
        for (uint32_t i = 0; i < count; i++)
            hashes[i] = rng_u64(&rng) & mask;
        build(&b, count, limit);
        struct segment_file *f = write_section(vfs_mem_vfs(disk), buffer_bytes(&b.slots));
        cr_assert_eq(slots_open(f, SECTION_RUN_SLOTS, limit, &s, NULL), ERR_OK);
        for (uint32_t i = 0; i < count; i++) {
            struct slots_search search = slots_builder_begin(&b, hashes[i]);
            uint32_t got;
            bool found = false;
            while (!found && slots_builder_next(&b, &search, &got))
                found = got == i;
            cr_assert(found && find(&s, hashes[i], i, &others), "number %u of %u", i, count);
        }
        segment_file_close(f);
        slots_builder_close(&b);
    }
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* What a key costs that is not there: the bits beside a number tell nearly all others apart. */
Test(slots, hardly_any_number_is_looked_at_in_vain)
{
    struct rng rng = test_rng();
    struct vfs_mem *disk = vfs_mem_create();
    struct slots_builder b;
    struct slots s;
    unsigned sum = 0;
    for (uint32_t i = 0; i < KEY_MAX; i++)
        hashes[i] = rng_u64(&rng);
    build(&b, KEY_MAX, KEY_MAX);
    cr_assert_leq(b.slots.len, KEY_MAX * 6 + 4);
    struct segment_file *f = write_section(vfs_mem_vfs(disk), buffer_bytes(&b.slots));
    cr_assert_eq(slots_open(f, SECTION_RUN_SLOTS, KEY_MAX, &s, NULL), ERR_OK);
    for (unsigned i = 0; i < 10000; i++) {
        unsigned others;
        (void)find(&s, rng_u64(&rng), UINT32_MAX, &others);
        sum += others;
    }
    cr_assert_lt(sum, 100, "%u", sum);
    segment_file_close(f);
    slots_builder_close(&b);
    vfs_mem_destroy(disk);
}

/* Slots that are all taken, by numbers that are there or not: a search ends, within the limit. */
Test(slots, a_search_ends_whatever_the_slots_say)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 200; round++) {
        uint8_t content[4 * 40];
        struct slots s;
        uint32_t limit = (uint32_t)rng_below(&rng, 50);
        size_t count = 1 + rng_below(&rng, 40);
        for (size_t i = 0; i < count; i++)
            put_u32(content + 4 * i, round % 2 == 0 ? 1 + (uint32_t)rng_below(&rng, 64)
                                                    : (uint32_t)rng_u64(&rng) | 1);
        struct segment_file *f = write_section(vfs_mem_vfs(disk), bytes_of(content, 4 * count));
        cr_assert_eq(slots_open(f, SECTION_RUN_SLOTS, limit, &s, NULL), ERR_OK);
        for (unsigned i = 0; i < 50; i++) {
            struct slots_search search = slots_begin(&s, rng_u64(&rng) << 32);
            uint32_t got = 0;
            size_t steps = 0;
            enum err rc;
            while ((rc = slots_next(&s, &search, &got)) == ERR_OK) {
                cr_assert_lt(got, limit);
                cr_assert_lt(steps++, count);
            }
            cr_assert(rc == ERR_NOTFOUND || rc == ERR_CORRUPT);
        }
        segment_file_close(f);
    }
    vfs_mem_destroy(disk);
}

Test(slots, a_slot_beyond_the_limit_is_corrupt)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct slots s;
    uint8_t content[12] = {0};
    uint32_t got;
    put_u32(content, 3);                     /* number 2 */
    put_u32(content + 4, UINT32_C(1) << 31); /* bits of a hash without a number */
    struct segment_file *f = write_section(vfs_mem_vfs(disk), bytes_of(content, sizeof content));
    cr_assert_eq(slots_open(f, SECTION_RUN_SLOTS, 3, &s, NULL), ERR_OK);
    struct slots_search search = slots_begin(&s, 0);
    cr_assert(slots_next(&s, &search, &got) == ERR_OK && got == 2);
    cr_assert_eq(slots_open(f, SECTION_RUN_SLOTS, 2, &s, NULL), ERR_OK);
    search = slots_begin(&s, 0);
    cr_assert_eq(slots_next(&s, &search, &got), ERR_CORRUPT);
    search = slots_begin(&s, UINT64_C(0x60000000) << 32 | 1u << 29);
    cr_assert_eq(slots_next(&s, &search, &got), ERR_CORRUPT);
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

Test(slots, only_whole_slots_open)
{
    struct vfs_mem *disk = vfs_mem_create();
    uint8_t content[9] = {0};
    for (size_t size = 0; size <= sizeof content; size++) {
        struct slots s;
        struct errinfo info = {0};
        struct segment_file *f = write_section(vfs_mem_vfs(disk), bytes_of(content, size));
        enum err rc = slots_open(f, SECTION_RUN_SLOTS, 1, &s, &info);
        cr_assert_eq(rc, size == 4 || size == 8 ? ERR_OK : ERR_CORRUPT, "%zu bytes", size);
        cr_assert(rc == ERR_OK || strstr(info.text, "4 for each slot") != NULL, "%s", info.text);
        cr_assert_eq(slots_open(f, SECTION_TRANSACTION_SLOTS, 1, &s, &info), ERR_CORRUPT);
        cr_assert(strstr(info.text, "missing") != NULL, "%s", info.text);
        segment_file_close(f);
    }
    vfs_mem_destroy(disk);
}

Test(slots, a_damaged_piece_is_corrupt)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct slots s;
    static const uint8_t content[4 * 8000]; /* two pieces, all free */
    uint32_t got;
    segment_file_close(write_section(vfs_mem_vfs(disk), bytes_of(content, sizeof content)));
    struct bytes file = vfs_mem_get(disk, PATH);
    uint8_t *copy = mem_alloc(file.len);
    memcpy(copy, file.data, file.len);
    copy[FORMAT_SEGMENT_HEADER_SIZE + 31000] ^= 1;
    vfs_mem_put(disk, PATH, bytes_of(copy, file.len));
    mem_free(copy);
    struct segment_file *f = open_file(vfs_mem_vfs(disk));
    cr_assert_eq(slots_open(f, SECTION_RUN_SLOTS, 1, &s, NULL), ERR_OK);
    struct slots_search search = slots_begin(&s, UINT64_C(0x10000000) << 32);
    cr_assert_eq(slots_next(&s, &search, &got), ERR_NOTFOUND);
    search = slots_begin(&s, UINT64_C(0xf0000000) << 32);
    cr_assert_eq(slots_next(&s, &search, &got), ERR_CORRUPT);
    segment_file_close(f);
    vfs_mem_destroy(disk);
}

Test(slots, building_is_counted_and_refused)
{
    struct mem_account account;
    struct slots_builder b;
    mem_account_init(&account, NULL, 1000);
    cr_assert_eq(slots_builder_init(&b, 150, 150, &account), ERR_OK);
    cr_assert_geq(account.held, 150 * 6);
    slots_builder_close(&b);
    cr_assert_eq(account.held, 0);
    cr_assert_eq(slots_builder_init(&b, 400, 400, &account), ERR_LIMIT);
    slots_builder_close(&b);
    cr_assert_eq(slots_builder_init(&b, UINT32_MAX - 1, UINT32_MAX - 1, NULL), ERR_LIMIT);
    slots_builder_close(&b);
    cr_assert_eq(mem_outstanding(), 0);
}
