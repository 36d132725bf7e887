/* test_segment_rows.c - what a builder refuses, what a reader makes of damaged sections, and what
 * rows cost; that answers are right is tested by tests/property/prop_segment_rows.c. */
#include <criterion/criterion.h>

#include "base/limits.h"
#include "storage/segment_rows_parts.h"
#include "tests/support/random_rows.h"
#include "tests/support/scale.h"
#include "tests/support/segment_mend.h"
#include "tests/support/vfs_mem.h"

#define PATH "/d/segment-0000000000000001"

static struct uuid numbered(unsigned number)
{
    struct uuid id = {{0}};
    put_u32(id.byte, number);
    id.byte[15] = 1;
    return id;
}

/* A chunk of ten seconds. */
static struct record chunk(uint64_t project_id, unsigned profiler, int64_t start_ns, unsigned id)
{
    return (struct record){.kind = RECORD_CHUNK,
                           .project_id = project_id,
                           .profiler_id = numbered(profiler),
                           .start_ns = start_ns,
                           .end_ns = start_ns + 10,
                           .id = numbered(id),
                           .block_size = 100};
}

static struct record transaction(uint64_t project_id, int64_t start_ns, unsigned id)
{
    struct record r = chunk(project_id, 0, start_ns, id);
    r.kind = RECORD_TRANSACTION;
    r.profiler_id = (struct uuid){0};
    r.text[TEXT_TRANSACTION] = BYTES("GET /");
    return r;
}

/* ---- building ---- */

static enum err add(struct rows_builder *b, struct record r, struct errinfo *info)
{
    return rows_builder_add(b, &r, 0, 0, 0, info);
}

Test(segment_rows, a_builder_takes_rows_in_their_order_alone)
{
    struct rows_builder *b = NULL;
    struct errinfo info = {0};
    const struct record ascending[] = {
        chunk(1, 1, 5, 1),      chunk(1, 1, 5, 2),
        chunk(1, 1, 6, 1),      chunk(1, 2, INT64_MIN + 10, 1),
        chunk(2, 1, 0, 1),      transaction(1, -5, 9),
        transaction(1, -5, 10), transaction(1, 7, 3),
        transaction(2, -9, 9),
    };
    size_t count = sizeof ascending / sizeof *ascending;
    cr_assert_eq(rows_builder_create(NULL, &b), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(add(b, ascending[i], &info), ERR_OK, "%zu: %s", i, info.text);
        for (size_t k = 0; k <= i; k++) {
            cr_assert_eq(add(b, ascending[k], &info), ERR_CORRUPT, "%zu again after %zu", k, i);
            cr_assert(strstr(info.text, "by project, profiler, start and id") != NULL, "%s",
                      info.text);
            cr_assert_eq(record_compare(&ascending[k], &ascending[i]) < 0, k < i);
            cr_assert_eq(record_compare(&ascending[i], &ascending[k]) > 0, k < i);
        }
        cr_assert_eq(rows_builder_row_count(b), i + 1);
    }
    rows_builder_destroy(b);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(segment_rows, a_builder_refuses_what_is_no_row)
{
    struct rows_builder *b = NULL;
    struct errinfo info = {0};
    struct record backwards = chunk(1, 1, 5, 1);
    struct record owned = transaction(1, 5, 1);
    struct record link = {.kind = RECORD_LINK};
    backwards.end_ns = 4;
    owned.profiler_id = numbered(1);
    cr_assert_eq(rows_builder_create(NULL, &b), ERR_OK);
    cr_assert_eq(add(b, backwards, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, "not before its start") != NULL, "%s", info.text);
    cr_assert_eq(add(b, owned, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, "expected no profiler") != NULL, "%s", info.text);
    cr_assert_eq(add(b, link, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, "expected a profile") != NULL, "%s", info.text);
    cr_assert_eq(rows_builder_row_count(b), 0);
    rows_builder_destroy(b);
    rows_builder_destroy(NULL);
}

static enum err write_items(struct vfs *v, const struct rows_item *items, size_t count,
                            struct errinfo *info)
{
    (void)v->remove(v, PATH, NULL);
    return rows_segment_write(v, PATH, items, count, info);
}

Test(segment_rows, one_transaction_profile_an_id)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct errinfo info = {0};
    struct rows_item items[] = {{.record = transaction(1, 5, 1)},
                                {.record = transaction(1, 6, 2)},
                                {.record = transaction(1, 7, 1)}};
    cr_assert_eq(write_items(vfs_mem_vfs(disk), items, 3, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, "01000000000000000000000000000001 of project 1") != NULL, "%s",
              info.text);
    items[2].record.project_id = 2;
    cr_assert_eq(write_items(vfs_mem_vfs(disk), items, 3, &info), ERR_OK, "%s", info.text);
    vfs_mem_destroy(disk);
}

static void make_items(struct arena *arena, const struct random_rows *shape, struct rows_item **ret,
                       size_t *ret_count)
{
    struct rng rng = rng_seeded(5);
    *ret = random_rows(&rng, arena, shape, ret_count);
}

static enum err add_all(struct rows_builder *b, const struct rows_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(rows_builder_add(b, &items[i].record, items[i].arrival, i * 100, 0, NULL));
    return ERR_OK;
}

static struct segment_file_writer *create_file(struct vfs *v)
{
    struct segment_file_writer *w = NULL;
    (void)v->remove(v, PATH, NULL);
    cr_assert_eq(segment_file_create(v, PATH, numbered(1), 0, NULL, &w, NULL), ERR_OK);
    return w;
}

/* Without its 1st, 2nd, 3rd ... allocation; some failures a growing buffer makes good. */
static void write_without_memory(struct rows_builder *b, struct vfs *v)
{
    unsigned failures = 0;
    for (unsigned nth = 40; nth > 0; nth--) {
        struct segment_file_writer *w = create_file(v);
        struct segment_counts counts;
        uint64_t size;
        mem_fail_at(nth);
        enum err rc = rows_builder_write(b, w, numbered(1), &counts, NULL);
        if (rc == ERR_OK)
            rc = segment_file_finish(w, &size, NULL);
        mem_fail_at(0);
        cr_assert(rc == ERR_OK || (rc == ERR_NOMEM && nth < 40));
        failures += rc != ERR_OK;
        segment_file_writer_destroy(w);
    }
    cr_assert_geq(failures, 5, "%u", failures);
}

Test(segment_rows, memory_is_counted_and_a_failure_loses_nothing)
{
    const struct random_rows shape = {
        .chunks = 3000, .profilers = 40, .transactions = 500, .projects = 2, .traces = 9};
    struct vfs_mem *disk = vfs_mem_create();
    struct arena arena;
    struct mem_account account;
    struct rows_builder *b = NULL;
    struct rows_item *items;
    size_t count;
    arena_init(&arena, SIZE_MAX, NULL);
    make_items(&arena, &shape, &items, &count);
    mem_account_init(&account, NULL, SIZE_MAX);
    cr_assert_eq(rows_builder_create(&account, &b), ERR_OK);
    cr_assert_eq(add_all(b, items, count), ERR_OK);
    size_t held = account.held;
    cr_assert_leq(held, rows_builder_bytes(b));
    cr_assert_lt(rows_builder_bytes(b) - held, 4000, "%zu of %zu", rows_builder_bytes(b), held);
    write_without_memory(b, vfs_mem_vfs(disk));
    size_t kept = account.held - held;
    cr_assert_leq(kept, 4096, "what writing took came back, but a number for each tag");
    held += kept;

    account.max = held + 1000;
    struct segment_file_writer *w = create_file(vfs_mem_vfs(disk));
    struct segment_counts counts;
    struct errinfo info = {0};
    cr_assert_eq(rows_builder_write(b, w, numbered(1), &counts, &info), ERR_LIMIT);
    cr_assert(strstr(info.text, "no memory to write") != NULL, "%s", info.text);
    segment_file_writer_destroy(w);
    rows_builder_destroy(b);
    cr_assert_eq(account.held, 0);

    account.max = held / 2;
    cr_assert_eq(rows_builder_create(&account, &b), ERR_OK);
    cr_assert_eq(add_all(b, items, count), ERR_LIMIT);
    cr_assert(rows_builder_row_count(b) > 500 && rows_builder_row_count(b) < count);
    rows_builder_destroy(b);
    cr_assert_eq(account.held, 0);
    arena_close(&arena);
    vfs_mem_destroy(disk);
}

/* ---- sizes ---- */

/* A chunk a request, each under a profiler of its own, as lifecycle-trace SDKs send them. */
Test(segment_rows, a_profiler_of_one_chunk_costs_85_bytes)
{
    enum { COUNT = 20000 };
    struct vfs_mem *disk = vfs_mem_create();
    struct rng rng = test_rng();
    struct rows_builder *b = NULL;
    struct segment_counts counts;
    uint64_t size;
    cr_assert_eq(rows_builder_create(NULL, &b), ERR_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        struct record r = chunk(1, 0, rng_range(&rng, 0, INT64_C(86400000000000)), i);
        put_u64(r.profiler_id.byte, __builtin_bswap64((uint64_t)i << 20));
        r.end_ns = r.start_ns + rng_range(&rng, 0, INT64_C(4000000000));
        r.received_ns = r.end_ns + rng_range(&rng, 0, INT64_C(100000000000));
        r.content = (struct hash128){rng_u64(&rng), rng_u64(&rng)};
        r.sample_count = 10 + (uint32_t)rng_below(&rng, 40);
        r.thread_count = 1 + (uint32_t)rng_below(&rng, 9);
        uint64_t arrival = 1000000 + rng_below(&rng, 500000);
        cr_assert_eq(rows_builder_add(b, &r, arrival, i * UINT64_C(180), 1, NULL), ERR_OK);
    }
    struct segment_file_writer *w = create_file(vfs_mem_vfs(disk));
    cr_assert_eq(rows_builder_write(b, w, numbered(1), &counts, NULL), ERR_OK);
    cr_assert_eq(segment_file_finish(w, &size, NULL), ERR_OK);
    cr_assert_leq(size / COUNT, 85, "%lu", (unsigned long)size);
    segment_file_writer_destroy(w);
    rows_builder_destroy(b);
    vfs_mem_destroy(disk);
}

/* ---- reading ---- */

Test(segment_rows, a_segment_without_anything_opens)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct rows_segment s;
    struct errinfo info = {0};
    struct segment_run run;
    struct segment_project project;
    uint32_t got;
    cr_assert_eq(write_items(vfs_mem_vfs(disk), NULL, 0, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(rows_segment_open(vfs_mem_vfs(disk), PATH, &s, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(segment_rows_find_run(s.rows, RECORD_CHUNK, 1, numbered(1), &run), ERR_NOTFOUND);
    cr_assert_eq(segment_rows_find_profile(s.rows, 1, numbered(1), &got), ERR_NOTFOUND);
    cr_assert_eq(
        segment_rows_find_span(
            s.rows, &(struct link){.project_id = 1, .trace_id = numbered(1), .span_id = 1}, &got),
        ERR_NOTFOUND);
    cr_assert_eq(segment_rows_find_project(s.rows, 0, &project), ERR_NOTFOUND);
    cr_assert_eq(segment_rows_find_tag(s.rows, BYTES(""), &got), ERR_OK);
    cr_assert_eq(segment_rows_find_tag(s.rows, BYTES("x"), &got), ERR_NOTFOUND);
    rows_segment_read_all(&s);
    rows_segment_close(&s);
    vfs_mem_destroy(disk);
}

/* A small segment of everything. */
static void write_small(struct vfs *v, struct arena *arena)
{
    const struct random_rows shape = {.chunks = 12,
                                      .profilers = 3,
                                      .transactions = 5,
                                      .links = 12,
                                      .traces = 3,
                                      .projects = 3,
                                      .times = TIMES_OVERLAP};
    struct rows_item *items;
    size_t count;
    make_items(arena, &shape, &items, &count);
    cr_assert_eq(write_items(v, items, count, NULL), ERR_OK);
}

/* The file's bytes, to be changed. */
static uint8_t *copy_file(struct vfs_mem *disk, size_t *ret_size)
{
    struct bytes file = vfs_mem_get(disk, PATH);
    uint8_t *copy = mem_alloc(file.len);
    memcpy(copy, file.data, file.len);
    *ret_size = file.len;
    return copy;
}

static struct segment_section section_of(struct vfs *v, enum format_section kind)
{
    struct segment_file *f = NULL;
    struct segment_section section = {0};
    cr_assert_eq(segment_file_open(v, PATH, NULL, &f, NULL), ERR_OK);
    cr_assert(segment_file_section(f, kind, &section));
    segment_file_close(f);
    return section;
}

/* Whether it opens. */
static bool read_changed(struct vfs_mem *disk, uint8_t *file, size_t size)
{
    struct rows_segment s;
    segment_mend(file, size);
    vfs_mem_put(disk, PATH, bytes_of(file, size));
    enum err rc = rows_segment_open(vfs_mem_vfs(disk), PATH, &s, NULL);
    cr_assert(rc == ERR_OK || rc == ERR_CORRUPT);
    if (rc == ERR_OK)
        rows_segment_read_all(&s);
    rows_segment_close(&s);
    return rc == ERR_OK;
}

/* Whatever a section says behind right checksums: reading ends, and answers what can be. */
Test(segment_rows, any_changed_byte_is_survived)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct rng rng = test_rng();
    struct arena arena;
    size_t size;
    unsigned opened = 0;
    unsigned refused = 0;
    arena_init(&arena, SIZE_MAX, NULL);
    write_small(vfs_mem_vfs(disk), &arena);
    uint64_t first = section_of(vfs_mem_vfs(disk), SECTION_ROW_ID).offset;
    uint64_t end = section_of(vfs_mem_vfs(disk), SECTION_FACTS).offset;
    uint8_t *file = copy_file(disk, &size);
    for (uint64_t at = first; at < end; at++) {
        uint8_t before = file[at];
        const uint8_t changed[] = {before ^ 0x80, before + 1, (uint8_t)rng_below(&rng, 8)};
        for (size_t i = 0; i < sizeof changed; i++) {
            file[at] = changed[i];
            bool opens = read_changed(disk, file, size);
            opened += opens;
            refused += !opens;
        }
        file[at] = before;
    }
    cr_assert(opened > 3000 && refused > 300, "%u opened, %u did not", opened, refused);
    mem_free(file);
    arena_close(&arena);
    vfs_mem_destroy(disk);
}

Test(segment_rows, a_block_of_more_than_32_bits_is_corrupt)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct rows_item item = {.record = chunk(1, 1, 5, 1)};
    struct rows_segment s;
    struct segment_row_place place;
    size_t size;
    cr_assert_eq(write_items(vfs_mem_vfs(disk), &item, 1, NULL), ERR_OK);
    uint64_t block_end = section_of(vfs_mem_vfs(disk), SECTION_ROW_BLOCK_END).offset;
    uint8_t *file = copy_file(disk, &size);
    for (unsigned large = 0; large < 2; large++) {
        file[block_end + 4] = (uint8_t)large; /* of the base: the only number */
        segment_mend(file, size);
        vfs_mem_put(disk, PATH, bytes_of(file, size));
        cr_assert_eq(rows_segment_open(vfs_mem_vfs(disk), PATH, &s, NULL), ERR_OK);
        cr_assert_eq(segment_rows_place(s.rows, 0, &place), large ? ERR_CORRUPT : ERR_OK);
        rows_segment_close(&s);
    }
    mem_free(file);
    vfs_mem_destroy(disk);
}

Test(segment_rows, a_damaged_piece_is_noticed_where_it_is_needed)
{
    const struct random_rows shape = {.chunks = 4000, .profilers = 40, .projects = 2, .traces = 1};
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct arena arena;
    struct rows_item *items;
    struct rows_segment s;
    struct record got;
    size_t count;
    size_t size;
    unsigned damaged = 0;
    arena_init(&arena, SIZE_MAX, NULL);
    make_items(&arena, &shape, &items, &count);
    cr_assert_eq(write_items(v, items, count, NULL), ERR_OK);
    uint64_t ids = section_of(v, SECTION_ROW_ID).offset;
    uint8_t *file = copy_file(disk, &size);
    file[ids + 16 * 2000] ^= 1;
    vfs_mem_put(disk, PATH, bytes_of(file, size));
    cr_assert_eq(rows_segment_open(v, PATH, &s, NULL), ERR_OK);
    for (uint32_t row = 0; row < count; row++) {
        enum err rc = segment_rows_record(s.rows, row, &got);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT);
        damaged += rc == ERR_CORRUPT;
        cr_assert(row != 2000 || rc == ERR_CORRUPT);
    }
    cr_assert(damaged >= 1000 && damaged <= 1026, "%u of a piece of 1024", damaged);
    struct segment_run run = {0, (uint32_t)count};
    uint32_t at = 0;
    uint32_t row;
    cr_assert_eq(segment_rows_next_with_id(s.rows, run, numbered(1), &at, &row), ERR_CORRUPT);
    rows_segment_close(&s);
    mem_free(file);
    arena_close(&arena);
    vfs_mem_destroy(disk);
}

/* The numbers in two slots change places, what is beside them stays. */
static void swap_numbers(uint8_t *slots, uint32_t mask, uint32_t a, uint32_t b)
{
    struct reader r = reader_of(bytes_of(slots + 4 * a, 4));
    struct reader s = reader_of(bytes_of(slots + 4 * b, 4));
    uint32_t left = reader_u32(&r);
    uint32_t right = reader_u32(&s);
    put_u32(slots + 4 * a, (left & ~mask) | (right & mask));
    put_u32(slots + 4 * b, (right & ~mask) | (left & mask));
}

/* All pairs of slots of a section, and what `look` then finds: nothing of another key. */
static void mislead(struct vfs_mem *disk, enum format_section kind, uint32_t mask,
                    unsigned (*look)(const struct segment_rows *r))
{
    struct vfs *v = vfs_mem_vfs(disk);
    struct segment_section section = section_of(v, kind);
    size_t size;
    unsigned lost = 0;
    uint8_t *file = copy_file(disk, &size);
    uint8_t *slots = file + section.offset;
    for (uint32_t a = 0; a < section.size / 4; a++) {
        for (uint32_t b = 0; b < a; b++) {
            struct rows_segment s;
            swap_numbers(slots, mask, a, b);
            segment_mend(file, size);
            vfs_mem_put(disk, PATH, bytes_of(file, size));
            cr_assert_eq(rows_segment_open(v, PATH, &s, NULL), ERR_OK);
            lost += look(s.rows);
            rows_segment_close(&s);
            swap_numbers(slots, mask, a, b);
        }
    }
    cr_assert_gt(lost, 0, "section %d", (int)kind);
    segment_mend(file, size);
    vfs_mem_put(disk, PATH, bytes_of(file, size));
    mem_free(file);
}

/* Each asks for two things that differ in their project alone, and counts how many were lost. */
static unsigned look_for_runs(const struct segment_rows *r)
{
    struct segment_run run;
    unsigned lost = 0;
    for (uint32_t project = 1; project <= 2; project++) {
        enum err rc = segment_rows_find_run(r, RECORD_CHUNK, project, numbered(1), &run);
        cr_assert(rc != ERR_OK || run.first == project - 1, "%u", run.first);
        lost += rc != ERR_OK;
    }
    enum err rc = segment_rows_find_run(r, RECORD_CHUNK, 1, (struct uuid){0}, &run);
    cr_assert(rc == ERR_NOTFOUND || rc == ERR_CORRUPT);
    return lost;
}

static unsigned look_for_profiles(const struct segment_rows *r)
{
    unsigned lost = 0;
    for (uint32_t project = 1; project <= 2; project++) {
        uint32_t row;
        enum err rc = segment_rows_find_profile(r, project, numbered(9), &row);
        cr_assert(rc != ERR_OK || row == 1 + project, "%u", row);
        lost += rc != ERR_OK;
    }
    return lost;
}

static unsigned look_for_traces(const struct segment_rows *r)
{
    unsigned lost = 0;
    for (uint32_t project = 1; project <= 2; project++) {
        struct segment_trace trace;
        enum err rc = segment_rows_find_trace(r, project, numbered(5), &trace);
        cr_assert(rc != ERR_OK || trace.first == project - 1, "%u", trace.first);
        lost += rc != ERR_OK;
    }
    return lost;
}

Test(segment_rows, a_slot_is_not_believed_before_the_key_is_compared)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct link link = {.project_id = 1, .trace_id = numbered(5)};
    struct rows_item items[] = {
        {.record = chunk(1, 1, 5, 1)},
        {.record = chunk(2, 1, 5, 1)},
        {.record = transaction(1, 5, 9)},
        {.record = transaction(2, 5, 9)},
        {.record = {.kind = RECORD_LINK, .link = link}},
        {.record = {.kind = RECORD_LINK, .link = link}},
    };
    items[5].record.link.project_id = 2;
    cr_assert_eq(write_items(vfs_mem_vfs(disk), items, 6, NULL), ERR_OK);
    mislead(disk, SECTION_RUN_SLOTS, 7, look_for_runs);
    mislead(disk, SECTION_TRANSACTION_SLOTS, 3, look_for_profiles);
    mislead(disk, SECTION_TRACE_SLOTS, 3, look_for_traces);
    vfs_mem_destroy(disk);
}

/* Counts come from another section: opening finds that they do not fit the columns. */
Test(segment_rows, counts_that_do_not_fit_are_refused)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    struct arena arena;
    struct rows_segment s;
    struct segment_rows *r = NULL;
    struct errinfo info = {0};
    arena_init(&arena, SIZE_MAX, NULL);
    write_small(v, &arena);
    cr_assert_eq(rows_segment_open(v, PATH, &s, NULL), ERR_OK);
    struct segment_counts counts = *segment_rows_counts(s.rows);
    struct segment_counts wrong = counts;
    uint32_t *const fields[] = {&wrong.chunks,  &wrong.transactions, &wrong.links,
                                &wrong.traces,  &wrong.runs,         &wrong.chunk_runs,
                                &wrong.sources, &wrong.tags,         &wrong.projects};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        static const uint32_t by[] = {1, UINT32_MAX, 1u << 31};
        for (size_t k = 0; k < 3; k++) {
            wrong = counts;
            *fields[i] += by[k];
            cr_assert_eq(segment_rows_open(s.file, &wrong, &r, &info), ERR_CORRUPT, "count %zu", i);
        }
    }
    wrong = counts;
    wrong.chunks = UINT32_MAX;
    cr_assert_eq(segment_rows_open(s.file, &wrong, &r, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, "too many") != NULL, "%s", info.text);
    mem_fail_at(1);
    cr_assert_eq(segment_rows_open(s.file, &counts, &r, &info), ERR_NOMEM);
    rows_segment_close(&s);
    arena_close(&arena);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}
