#include <criterion/criterion.h>

#include "base/limits.h"
#include "storage/rollup.h"
#include "tests/support/rng.h"
#include "tests/support/vfs_mem.h"

#define PATH     "/segment"
#define ROWS_MAX 700

/* The plainest form: every weight of every row. */
struct plain {
    struct node_weight weights[64];
    size_t count;
    bool summable;
    bool begins_run;
    int64_t first_ns;
};

struct rig {
    struct vfs_mem *disk;
    struct segment_file *file;
    struct segment_rollups rollups;
    struct plain rows[ROWS_MAX];
    uint32_t row_count;
    struct arena arena;
};

static int compare_weights(const void *left, const void *right)
{
    const struct node_weight *a = left;
    const struct node_weight *b = right;
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return (a->node > b->node) - (a->node < b->node);
}

/* Distinct pairs, in order. */
static void random_row(struct rng *rng, struct plain *row, uint32_t threads, uint32_t at)
{
    size_t wanted = (size_t)rng_below(rng, 40);
    row->count = 0;
    row->summable = !rng_chance(rng, 2);
    row->begins_run = at == 0 || rng_chance(rng, 1);
    row->first_ns = 1000 + (int64_t)at * 60;
    for (size_t i = 0; i < wanted; i++) {
        struct node_weight w = {.thread = (uint32_t)rng_below(rng, threads),
                                .node = rng_chance(rng, 10) ? PROFILE_NONE
                                                            : (uint32_t)rng_below(rng, 30),
                                .samples = 1 + rng_below(rng, 1000),
                                .ns = rng_u64(rng) >> rng_range(rng, 24, 60)};
        bool there = false;
        for (size_t k = 0; k < row->count; k++)
            there |= row->weights[k].thread == w.thread && row->weights[k].node == w.node;
        if (!there)
            row->weights[row->count++] = w;
    }
    qsort(row->weights, row->count, sizeof row->weights[0], compare_weights);
}

static struct block_sum sum_of(struct plain *row)
{
    struct block_sum sum = {.weights = row->weights,
                            .count = row->count,
                            .any = row->count > 0,
                            .first_ns = row->count > 0 ? row->first_ns : 0,
                            .last_ns = row->count > 0 ? row->first_ns + 50 : 0};
    for (size_t i = 0; i < row->count; i++) {
        sum.samples += row->weights[i].samples;
        sum.ns += row->weights[i].ns;
    }
    return sum;
}

static void build(struct rig *r)
{
    struct rollup_builder *b = NULL;
    struct segment_file_writer *w = NULL;
    struct errinfo info = {0};
    struct vfs *v = vfs_mem_vfs(r->disk);
    uint32_t count = 0;
    uint64_t size;
    cr_assert_eq(rollup_builder_create(NULL, &b), ERR_OK);
    for (uint32_t row = 0; row < r->row_count; row++) {
        struct block_sum sum = sum_of(&r->rows[row]);
        struct tree_sum tree;
        cr_assert_eq(tree_sum_of(&sum, &r->arena, &tree), ERR_OK);
        cr_assert_eq(rollup_builder_add(b, row, r->rows[row].begins_run,
                                        r->rows[row].summable ? &tree : NULL, &info),
                     ERR_OK, "%s", info.text);
    }
    cr_assert_eq(segment_file_create(v, PATH, (struct uuid){{1}}, 5, NULL, &w, &info), ERR_OK);
    cr_assert_eq(rollup_builder_write(b, w, &count, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(segment_file_finish(w, &size, &info), ERR_OK, "%s", info.text);
    segment_file_writer_destroy(w);
    rollup_builder_destroy(b);
    cr_assert_eq(segment_file_open(v, PATH, NULL, &r->file, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(segment_rollups_open(r->file, count, &r->rollups, &info), ERR_OK, "%s", info.text);
}

static void rig_open(struct rig *r, struct rng *rng, uint32_t rows, uint32_t threads)
{
    r->disk = vfs_mem_create();
    r->row_count = rows;
    arena_init(&r->arena, SIZE_MAX, NULL);
    for (uint32_t i = 0; i < rows; i++)
        random_row(rng, &r->rows[i], threads, i);
    build(r);
}

static void rig_close(struct rig *r)
{
    segment_file_close(r->file);
    vfs_mem_destroy(r->disk);
    arena_close(&r->arena);
    cr_assert_eq(mem_outstanding(), 0);
}

/* What a node weighs on a thread (PROFILE_NONE: on all) in rows [first, end). */
static void expect_weight(const struct rig *r, uint32_t first, uint32_t end,
                          const struct node_weight *w)
{
    uint64_t samples = 0;
    uint64_t ns = 0;
    for (uint32_t row = first; row < end; row++)
        for (size_t i = 0; i < r->rows[row].count; i++) {
            const struct node_weight *k = &r->rows[row].weights[i];
            if (k->node != w->node || (w->thread != PROFILE_NONE && k->thread != w->thread))
                continue;
            samples += k->samples;
            ns += k->ns;
        }
    cr_assert(samples == w->samples && ns == w->ns, "rows [%u, %u): thread %u, node %u", first, end,
              w->thread, w->node);
}

static bool has_thread(const struct rig *r, uint32_t first, uint32_t end, uint32_t thread)
{
    for (uint32_t row = first; row < end; row++)
        for (size_t i = 0; i < r->rows[row].count; i++)
            if (r->rows[row].weights[i].thread == thread)
                return true;
    return false;
}

static void expect_sum(const struct rig *r, uint32_t first, uint32_t end, const struct tree_sum *t,
                       uint32_t threads)
{
    struct block_sum all = {.first_ns = INT64_MAX, .last_ns = INT64_MIN};
    for (uint32_t row = first; row < end; row++) {
        struct plain copy = r->rows[row];
        struct block_sum sum = sum_of(&copy);
        cr_assert(copy.summable, "row %u cannot be in a sum", row);
        cr_assert(row == first || !copy.begins_run, "a sum over two runs at %u", row);
        all.samples += sum.samples;
        all.ns += sum.ns;
        if (!sum.any)
            continue;
        all.any = true;
        all.first_ns = sum.first_ns < all.first_ns ? sum.first_ns : all.first_ns;
        all.last_ns = sum.last_ns > all.last_ns ? sum.last_ns : all.last_ns;
    }
    cr_assert(t->sum.samples == all.samples && t->sum.ns == all.ns && t->sum.any == all.any);
    cr_assert(!all.any || (t->sum.first_ns == all.first_ns && t->sum.last_ns == all.last_ns));
    uint64_t samples = 0;
    for (size_t i = 0; i < t->sum.count; i++) {
        const struct node_weight *w = &t->sum.weights[i];
        cr_assert_eq(w->thread == PROFILE_NONE, t->merged);
        cr_assert(i == 0 || compare_weights(w - 1, w) < 0, "weights are out of order");
        expect_weight(r, first, end, w);
        samples += w->samples;
    }
    cr_assert_eq(samples, all.samples, "weights are missing");
    size_t count = 0;
    for (uint32_t thread = 0; thread < threads; thread++)
        count += has_thread(r, first, end, thread);
    cr_assert_eq(t->thread_count, count);
    for (size_t i = 0; i < count; i++)
        cr_assert(has_thread(r, first, end, t->threads[i]) &&
                  (i == 0 || t->threads[i - 1] < t->threads[i]));
}

/* Every sum that is stored, found from the row where it begins. */
static unsigned check_all(struct rig *r, uint32_t threads, bool by_thread)
{
    unsigned found = 0;
    for (uint32_t row = 0; row < r->row_count; row++) {
        struct rollup_place place;
        uint32_t most = r->row_count - row;
        while (segment_rollups_find(&r->rollups, row, most, by_thread, &place) == ERR_OK) {
            struct tree_sum tree;
            struct errinfo info = {0};
            cr_assert_leq(place.rows, most);
            cr_assert_eq(segment_rollups_read(&r->rollups, place.rollup, &r->arena, &tree, &info),
                         ERR_OK, "%s", info.text);
            cr_assert(!by_thread || !tree.merged);
            expect_sum(r, row, row + place.rows, &tree, threads);
            found++;
            most = place.rows - 1;
        }
    }
    return found;
}

Test(rollup, every_stored_sum_is_the_sum_of_its_rows)
{
    struct rng rng = test_rng();
    static struct rig r;
    for (unsigned round = 0; round < 12; round++) {
        uint32_t threads = rng_chance(&rng, 50) ? 3 : 200;
        rig_open(&r, &rng, (uint32_t)rng_range(&rng, 1, ROWS_MAX), threads);
        (void)check_all(&r, threads, false);
        (void)check_all(&r, threads, true);
        rig_close(&r);
    }
}

Test(rollup, full_groups_and_whole_runs_are_stored)
{
    struct rng rng = test_rng();
    static struct rig r;
    r.row_count = 100;
    r.disk = vfs_mem_create();
    arena_init(&r.arena, SIZE_MAX, NULL);
    for (uint32_t i = 0; i < 100; i++) {
        random_row(&rng, &r.rows[i], 2, i);
        r.rows[i].summable = true;
        r.rows[i].begins_run = i == 0 || i == 75 || i == 83; /* 75, 8 and 17 rows */
    }
    build(&r);
    struct rollup_place place;
    const struct {
        uint32_t row;
        uint32_t most;
        uint32_t rows; /* 0: none */
    } expected[] = {{0, 100, 75}, {0, 74, 64},  {0, 63, 8},   {0, 7, 0},   {8, 100, 8}, {64, 11, 8},
                    {72, 3, 0},   {75, 100, 8}, {83, 17, 17}, {83, 16, 8}, {91, 9, 8},  {1, 99, 0}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        enum err rc =
            segment_rollups_find(&r.rollups, expected[i].row, expected[i].most, true, &place);
        cr_assert_eq(rc, expected[i].rows == 0 ? ERR_NOTFOUND : ERR_OK, "case %zu", i);
        cr_assert(rc != ERR_OK || place.rows == expected[i].rows, "case %zu: %u", i, place.rows);
    }
    rig_close(&r);
}

/* A thread a request: the list is merged, the threads are still named. */
Test(rollup, many_threads_are_merged_where_they_cost_too_much)
{
    static struct rig r;
    r.row_count = 64;
    r.disk = vfs_mem_create();
    arena_init(&r.arena, SIZE_MAX, NULL);
    for (uint32_t i = 0; i < 64; i++) {
        struct plain *row = &r.rows[i];
        *row = (struct plain){.count = 4, .summable = true, .begins_run = i == 0, .first_ns = i};
        for (uint32_t k = 0; k < 4; k++)
            row->weights[k] =
                (struct node_weight){.thread = i * 4 + k, .node = 5, .samples = 1, .ns = 10};
    }
    build(&r);
    struct rollup_place place;
    struct tree_sum tree;
    cr_assert_eq(segment_rollups_find(&r.rollups, 0, 64, true, &place), ERR_NOTFOUND);
    cr_assert_eq(segment_rollups_find(&r.rollups, 0, 64, false, &place), ERR_OK);
    cr_assert_eq(place.rows, 64);
    cr_assert_eq(segment_rollups_read(&r.rollups, place.rollup, &r.arena, &tree, NULL), ERR_OK);
    cr_assert(tree.merged && tree.sum.count == 1 && tree.thread_count == 256);
    cr_assert_eq(tree.sum.weights[0].ns, 2560);
    (void)check_all(&r, 256, false);
    rig_close(&r);
}

/* Checksums aside: whatever the bytes of the pages say, reading ends in an error or in a list. */
Test(rollup, pages_of_any_bytes_are_read_or_refused)
{
    struct rng rng = test_rng();
    static struct rig r;
    rig_open(&r, &rng, 80, 3);
    struct segment_section pages = r.rollups.pages;
    uint8_t *raw = mem_alloc((size_t)r.file->size);
    memcpy(raw, r.file->data, (size_t)r.file->size);
    struct segment_file copy = *r.file;
    copy.data = raw; /* every piece was verified when it was read before */
    (void)check_all(&r, 3, false);
    struct segment_rollups of_copy = r.rollups;
    of_copy.file = &copy;
    for (unsigned round = 0; round < 3000; round++) {
        size_t at = (size_t)(pages.offset + rng_below(&rng, pages.size));
        uint8_t kept = raw[at];
        struct tree_sum tree;
        struct arena arena;
        struct errinfo info = {0};
        raw[at] ^= (uint8_t)(1 + rng_below(&rng, 255));
        arena_init(&arena, MIB(16), NULL);
        uint32_t rollup = (uint32_t)rng_below(&rng, r.rollups.count);
        enum err rc = segment_rollups_read(&of_copy, rollup, &arena, &tree, &info);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_LIMIT, "%s", info.text);
        arena_close(&arena);
        raw[at] = kept;
    }
    mem_free(raw);
    rig_close(&r);
}
