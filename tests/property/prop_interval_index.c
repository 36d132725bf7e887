/* prop_interval_index.c - the index of a run against a plain scan of everything put into it. */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "storage/run.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define ROWS_MAX 3000

struct rows {
    struct run_entry entry[ROWS_MAX];
    uint32_t count;
};

static int64_t end_of(const void *self, uint32_t id)
{
    return ((const struct rows *)self)->entry[id].end_ns;
}

/* How the starts of a profiler's chunks arrive. */
enum order { ORDER_RISING, ORDER_ALMOST, ORDER_RANDOM, ORDER_FALLING, ORDER_EQUAL, ORDER_COUNT };

static int64_t next_start(struct rng *rng, enum order order, uint32_t n)
{
    switch (order) {
    case ORDER_RISING: return (int64_t)n * 10;
    case ORDER_ALMOST: return (int64_t)n * 10 - (rng_chance(rng, 10) ? rng_range(rng, 0, 500) : 0);
    case ORDER_RANDOM: return rng_range(rng, -5000, 5000);
    case ORDER_FALLING: return -(int64_t)n * 10;
    case ORDER_EQUAL:
    case ORDER_COUNT: break;
    }
    return rng_range(rng, 0, 3);
}

static void add_row(struct rng *rng, enum order order, struct rows *rows, struct run *run,
                    struct retired *retired, bool may_merge)
{
    uint32_t id = rows->count;
    struct run_entry e = {.start_ns = next_start(rng, order, id), .id = id};
    e.end_ns = e.start_ns + (rng_chance(rng, 5) ? rng_range(rng, 0, 20000) : rng_range(rng, 0, 12));
    rows->entry[rows->count++] = e;
    if (may_merge) /* else it has to do with the spare piece */
        cr_assert_eq(retired_reserve(retired, RUN_MERGE_MAX), ERR_OK);
    struct run_piece *spare = run_piece_create(1);
    run_add(run, e, &spare, retired, id, rows, end_of);
    mem_free(spare);
}

static void assert_same(const struct run *run, const struct rows *rows, int64_t start, int64_t end)
{
    static uint8_t seen[ROWS_MAX];
    memset(seen, 0, sizeof seen);
    size_t looked_at = 0;
    for (const struct run_piece *p = run_newest(run); p != NULL; p = p->next) {
        uint32_t from;
        uint32_t to;
        run_piece_find(p, start, end, &from, &to);
        cr_assert_leq(to, run_piece_count(p));
        for (; from < to; from++) {
            uint32_t id = run_piece_ids(p)[from];
            cr_assert_eq(seen[id]++, 0, "row %u twice", id);
            looked_at++;
        }
    }
    size_t expected = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        bool meets = rows->entry[i].start_ns <= end && rows->entry[i].end_ns >= start;
        cr_assert(!meets || seen[i], "row %u [%ld, %ld] is missing from [%ld, %ld]", i,
                  (long)rows->entry[i].start_ns, (long)rows->entry[i].end_ns, (long)start,
                  (long)end);
        expected += meets;
    }
    cr_assert_geq(looked_at, expected);
}

/* Sorted, running maximum right, every row there once. */
static void assert_sound(const struct run *run, const struct rows *rows, bool merged)
{
    size_t total = 0;
    unsigned pieces = 0;
    for (const struct run_piece *p = run_newest(run); p != NULL; p = p->next, pieces++) {
        int64_t max_end = INT64_MIN;
        for (uint32_t i = 0; i < run_piece_count(p); i++) {
            const struct run_entry *e = &rows->entry[run_piece_ids(p)[i]];
            max_end = e->end_ns > max_end ? e->end_ns : max_end;
            cr_assert_eq(run_piece_starts(p)[i], e->start_ns);
            cr_assert_eq(run_piece_max_ends(p)[i], max_end);
            cr_assert(i == 0 || run_piece_starts(p)[i - 1] <= e->start_ns);
        }
        total += run_piece_count(p);
    }
    cr_assert_eq(total, rows->count);
    cr_assert(!merged || pieces <= 14, "%u pieces of %u rows", pieces, rows->count);
}

Test(prop_interval_index, overlap_equals_a_plain_scan)
{
    struct rng rng = test_rng();
    static struct rows rows;
    for (unsigned round = 0; round < test_scale(60); round++) {
        struct run run = {NULL};
        struct retired retired = {0};
        enum order order = (enum order)(round % ORDER_COUNT);
        bool may_merge = round % 10 != 7;
        rows.count = 0;
        uint32_t wanted = 1 + (uint32_t)rng_below(&rng, may_merge ? ROWS_MAX : 200);
        while (rows.count < wanted) {
            add_row(&rng, order, &rows, &run, &retired, may_merge);
            if (rows.count % 97 == 0 || rows.count < 20) {
                int64_t start = rng_range(&rng, -6000, 30000);
                assert_same(&run, &rows, start, start + rng_range(&rng, -1, 3000));
            }
        }
        assert_sound(&run, &rows, may_merge);
        assert_same(&run, &rows, INT64_MIN, INT64_MAX);
        assert_same(&run, &rows, INT64_MAX, INT64_MAX);
        run_close(&run);
        retired_close(&retired);
    }
    cr_assert_eq(mem_outstanding(), 0);
}
