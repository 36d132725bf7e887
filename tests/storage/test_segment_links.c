/* test_segment_links.c - whole links of a segment: what reading them takes, and what is said of
 * damaged pages; that answers are right is tested by tests/property/prop_segment_rows.c. */
#include <criterion/criterion.h>

#include "storage/link_page.h"
#include "storage/page.h"
#include "storage/segment_rows_parts.h"
#include "tests/support/random_rows.h"
#include "tests/support/segment_mend.h"
#include "tests/support/vfs_mem.h"

#define PATH "/d/segment-0000000000000001"

/* Some pages of links, and a chunk of the profiler that most of them name. */
static size_t write_links(struct vfs *v, struct arena *arena, size_t links)
{
    const struct random_rows shape = {.chunks = 3,
                                      .profilers = 1,
                                      .links = links,
                                      .traces = links / 3 + 1,
                                      .projects = 3,
                                      .times = TIMES_OVERLAP};
    struct rng rng = rng_seeded(9);
    struct errinfo info = {0};
    size_t count;
    struct rows_item *items = random_rows(&rng, arena, &shape, &count);
    (void)v->remove(v, PATH, NULL);
    cr_assert_eq(rows_segment_write(v, PATH, items, count, &info), ERR_OK, "%s", info.text);
    return links;
}

static enum err get(struct link_cursor *c, uint32_t link, struct errinfo *info)
{
    struct link got;
    struct hash128 content;
    uint64_t arrival;
    return link_cursor_get(c, link, &got, &content, &arrival, info);
}

static void open_links(struct vfs *v, struct rows_segment *ret)
{
    struct errinfo info = {0};
    cr_assert_eq(rows_segment_open(v, PATH, ret, &info), ERR_OK, "%s", info.text);
    cr_assert_not_null(ret->links);
}

Test(segment_links, one_link_a_key)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct errinfo info = {0};
    struct rows_item items[3] = {0};
    for (unsigned i = 0; i < 3; i++) {
        items[i].record.kind = RECORD_LINK;
        items[i].record.link = (struct link){.project_id = 4, .start_ns = i % 2, .span_id = i % 2};
    }
    cr_assert_eq(rows_segment_write(vfs_mem_vfs(disk), PATH, items, 3, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, "two of project 4, trace 0000") != NULL, "%s", info.text);
    cr_assert(strstr(info.text, "span 0000000000000000") != NULL, "%s", info.text);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(segment_links, a_cursor_is_counted)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct arena arena;
    struct rows_segment s;
    struct mem_account account;
    struct link_cursor *c = NULL;
    struct errinfo info = {0};
    size_t most = 0;
    arena_init(&arena, SIZE_MAX, NULL);
    size_t links = write_links(vfs_mem_vfs(disk), &arena, 1000);
    open_links(vfs_mem_vfs(disk), &s);
    mem_account_init(&account, NULL, 40000);
    cr_assert_eq(link_cursor_create(s.rows, s.texts, &account, &c, &info), ERR_OK);
    for (uint32_t i = 0; i < links; i++) {
        cr_assert_eq(get(c, i, &info), ERR_OK, "%s", info.text);
        most = account.held > most ? account.held : most;
    }
    cr_assert_geq(most, sizeof(struct link_item) * FORMAT_LINKS_A_PAGE);
    link_cursor_destroy(c);
    cr_assert_eq(account.held, 0);

    account.max = most - 1000;
    cr_assert_eq(link_cursor_create(s.rows, s.texts, &account, &c, &info), ERR_OK);
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < links && rc == ERR_OK; i++)
        rc = get(c, i, &info);
    cr_assert_eq(rc, ERR_LIMIT);
    account.max = most;
    cr_assert_eq(get(c, 0, &info), ERR_OK, "what failed may be asked again");
    link_cursor_destroy(c);
    account.max = 1000;
    cr_assert_eq(link_cursor_create(s.rows, s.texts, &account, &c, &info), ERR_LIMIT);
    cr_assert_eq(account.held, 0);
    account.max = SIZE_MAX;
    mem_fail_at(1);
    cr_assert_eq(link_cursor_create(s.rows, s.texts, &account, &c, &info), ERR_NOMEM);
    cr_assert_eq(account.held, 0);
    rows_segment_close(&s);
    arena_close(&arena);
    vfs_mem_destroy(disk);
}

/* Without the 1st, 2nd, 3rd ... allocation; some failures a growing buffer makes good. */
Test(segment_links, writing_without_memory_says_so)
{
    const struct random_rows shape = {.links = 300, .traces = 40, .projects = 2};
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct rng rng = rng_seeded(9);
    struct arena arena;
    unsigned failures = 0;
    size_t count;
    arena_init(&arena, SIZE_MAX, NULL);
    struct rows_item *items = random_rows(&rng, &arena, &shape, &count);
    for (unsigned nth = 1; nth < 300; nth++) {
        struct errinfo info = {0};
        (void)v->remove(v, PATH, NULL);
        mem_fail_at(nth);
        enum err rc = rows_segment_write(v, PATH, items, count, &info);
        mem_fail_at(0);
        cr_assert(rc == ERR_OK || rc == ERR_NOMEM, "%u: %s", nth, info.text);
        failures += rc != ERR_OK;
    }
    cr_assert_gt(failures, 10, "%u", failures);
    arena_close(&arena);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* ---- damage ---- */

static struct segment_section section_of(const struct segment_file *f, enum format_section kind)
{
    struct segment_section section = {0};
    cr_assert(segment_file_section(f, kind, &section));
    return section;
}

/* The file with some bytes of a section changed, and right checksums of its pieces. */
static void change(struct vfs_mem *disk, enum format_section kind, uint64_t at, struct bytes to)
{
    struct rows_segment s;
    open_links(vfs_mem_vfs(disk), &s);
    uint64_t offset = section_of(s.file, kind).offset + at;
    rows_segment_close(&s);
    struct bytes file = vfs_mem_get(disk, PATH);
    uint8_t *copy = mem_alloc(file.len);
    memcpy(copy, file.data, file.len);
    memcpy(copy + offset, to.data, to.len);
    segment_mend(copy, file.len);
    vfs_mem_put(disk, PATH, bytes_of(copy, file.len));
    mem_free(copy);
}

static void expect_corrupt(struct vfs_mem *disk, uint32_t link, const char *reason)
{
    struct rows_segment s;
    struct errinfo info = {0};
    open_links(vfs_mem_vfs(disk), &s);
    cr_assert_eq(get(s.links, link, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, reason) != NULL, "%s", info.text);
    rows_segment_close(&s);
}

/* Where the second page begins. */
static uint64_t second_page(struct vfs_mem *disk)
{
    struct rows_segment s;
    struct packed ends;
    uint64_t begin;
    open_links(vfs_mem_vfs(disk), &s);
    cr_assert_eq(packed_open(s.file, SECTION_LINK_END, 3, &ends, NULL), ERR_OK);
    cr_assert(packed_get(&ends, 0, &begin));
    rows_segment_close(&s);
    return begin;
}

Test(segment_links, a_damaged_page_says_which_and_why)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct arena arena;
    struct rows_segment s;
    struct errinfo info = {0};
    arena_init(&arena, SIZE_MAX, NULL);
    write_links(vfs_mem_vfs(disk), &arena, 300);
    uint64_t begin = second_page(disk);
    change(disk, SECTION_LINK_PAGES, begin + 20, BYTES("xx"));
    expect_corrupt(disk, 128, "links: page 1: page: checksum mismatch");
    open_links(vfs_mem_vfs(disk), &s);
    cr_assert_eq(get(s.links, 127, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(get(s.links, 255, &info), ERR_CORRUPT);
    cr_assert_eq(get(s.links, 256, &info), ERR_OK, "%s", info.text);
    rows_segment_close(&s);

    write_links(vfs_mem_vfs(disk), &arena, 300);
    change(disk, SECTION_LINK_END, PACKED_HEAD_SIZE, BYTES("\xff\xff"));
    expect_corrupt(disk, 0, "expected within");
    write_links(vfs_mem_vfs(disk), &arena, 300);
    change(disk, SECTION_TRACE_LINK, PACKED_HEAD_SIZE, BYTES("\xff\xff"));
    open_links(vfs_mem_vfs(disk), &s);
    uint32_t link;
    cr_assert_eq(segment_rows_trace_link(s.rows, 0, &link), ERR_CORRUPT);
    cr_assert_eq(segment_rows_trace_link(s.rows, 300, &link), ERR_CORRUPT);
    rows_segment_close(&s);

    arena_close(&arena);
    vfs_mem_destroy(disk);
}

/* The only page of a file is what was sealed here. */
static void replace_page(struct vfs_mem *disk, struct bytes raw)
{
    struct buffer page;
    uint8_t end[8];
    buffer_init(&page, SIZE_MAX, NULL);
    cr_assert_eq(page_seal(raw, 0, &page, NULL), ERR_OK);
    put_u64(end, page.len);
    change(disk, SECTION_LINK_PAGES, 0, buffer_bytes(&page));
    change(disk, SECTION_LINK_END, 0, bytes_of(end, sizeof end));
    buffer_close(&page);
}

static void expect_refused(struct vfs_mem *disk, struct link_item item, const char *reason)
{
    static struct link_item items[100];
    static uint64_t span_ids[100];
    struct buffer raw;
    for (size_t i = 0; i < 100; i++)
        items[i] = item;
    buffer_init(&raw, LINK_PAGE_RAW_MAX, NULL);
    link_page_encode(items, span_ids, 100, &raw);
    replace_page(disk, buffer_bytes(&raw));
    buffer_close(&raw);
    expect_corrupt(disk, 50, reason);
}

Test(segment_links, a_page_is_not_believed)
{
    static const uint8_t large[LINK_PAGE_RAW_MAX + 1];
    struct vfs_mem *disk = vfs_mem_create();
    struct arena arena;
    struct rows_segment s;
    struct errinfo info = {0};
    arena_init(&arena, SIZE_MAX, NULL);
    write_links(vfs_mem_vfs(disk), &arena, 100);
    expect_refused(disk, (struct link_item){.trace = 1000}, "number 50 is damaged");
    expect_refused(disk, (struct link_item){.profiler_run = 7}, "number 50 is damaged");
    expect_refused(disk,
                   (struct link_item){.profiler_run = LINK_ITEM_NO_RUN, .text = {[3] = 1000000}},
                   "text");
    replace_page(disk, bytes_of(large, sizeof large));
    expect_corrupt(disk, 50, "expected at most 16384");
    replace_page(disk, bytes_of(large, sizeof large - 1));
    expect_corrupt(disk, 50, "do not hold 100 of them");
    open_links(vfs_mem_vfs(disk), &s);
    cr_assert_eq(get(s.links, 100, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, "number 100 of 100") != NULL, "%s", info.text);
    rows_segment_close(&s);
    arena_close(&arena);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}
