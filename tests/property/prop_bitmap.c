/* prop_bitmap.c - sets of rows against the plainest thing that could be right: a byte a row. */
#include <criterion/criterion.h>

#include "storage/bitmap.h"
#include "storage/format.h"
#include "storage/row_set.h"
#include "tests/support/rng.h"

#define ROWS_MAX 200000

struct model {
    uint32_t row_count;
    uint8_t *has;
};

static struct model model_of(uint32_t row_count)
{
    struct model m = {row_count, mem_alloc(row_count + (size_t)1)};
    memset(m.has, 0, row_count + (size_t)1);
    return m;
}

static void add_steps(struct bitmap *b, uint32_t first, uint32_t end, uint32_t step)
{
    uint32_t rows[256];
    size_t count = 0;
    for (uint32_t row = first; row < end; row += step) {
        rows[count++] = row;
        if (count < 256 && row + step < end)
            continue;
        if (count == 1)
            cr_assert_eq(bitmap_add(b, rows[0]), ERR_OK);
        else
            cr_assert_eq(bitmap_add_rows(b, rows, count), ERR_OK);
        count = 0;
    }
}

/* Some rows by themselves, some runs: dense, sparse and full places. */
static void fill(struct rng *rng, struct bitmap *b, struct model *m)
{
    size_t strokes = m->row_count == 0 ? 0 : rng_below(rng, 12);
    for (size_t i = 0; i < strokes; i++) {
        uint32_t first = (uint32_t)rng_below(rng, m->row_count);
        uint32_t most = (uint32_t)rng_below(rng, rng_chance(rng, 50) ? 20 : m->row_count) + 1;
        uint32_t end = first + most < m->row_count ? first + most : m->row_count;
        uint32_t step = rng_chance(rng, 50) ? 1 : (uint32_t)rng_below(rng, 40) + 1;
        if (step == 1)
            cr_assert_eq(bitmap_add_range(b, first, end), ERR_OK);
        else
            add_steps(b, first, end, step);
        for (uint32_t row = first; row < end; row += step)
            m->has[row] = 1;
    }
}

static struct bitmap *create(uint32_t row_count)
{
    struct bitmap *b = NULL;
    cr_assert_eq(bitmap_create(row_count, NULL, &b), ERR_OK);
    return b;
}

/* By every way of asking. */
static void assert_equal(const struct bitmap *b, const struct model *m)
{
    uint32_t count = 0;
    uint32_t at[64];
    size_t have = 0;
    size_t used = 0;
    cr_assert_eq(bitmap_row_count(b), m->row_count);
    for (uint32_t row = 0; row < m->row_count; row++) {
        if (bitmap_contains(b, row) != (m->has[row] != 0))
            cr_assert_fail("row %u of %u", row, m->row_count);
        if (m->has[row] == 0)
            continue;
        if (used == have) {
            have = bitmap_read(b, row - (row > 0 && m->has[row - 1] == 0), at, 64);
            used = 0;
        }
        cr_assert(used < have && at[used] == row, "row %u is not read", row);
        used++;
        count++;
    }
    cr_assert_eq(bitmap_count(b), count);
}

static void assert_next(struct rng *rng, const struct bitmap *b, const struct model *m)
{
    for (int i = 0; i < 50 && m->row_count > 0; i++) {
        uint32_t from = (uint32_t)rng_below(rng, m->row_count);
        uint32_t row = from;
        uint32_t got = 0;
        while (row < m->row_count && m->has[row] == 0)
            row++;
        cr_assert_eq(bitmap_next(b, from, &got), row < m->row_count);
        if (row < m->row_count)
            cr_assert_eq(got, row);
    }
}

static void assert_comes_back(const struct bitmap *b, const struct model *m)
{
    struct buffer saved;
    struct buffer again;
    struct bitmap *back = NULL;
    struct errinfo info = {0};
    buffer_init(&saved, SIZE_MAX, NULL);
    buffer_init(&again, SIZE_MAX, NULL);
    cr_assert_eq(bitmap_save(b, &saved), ERR_OK);
    cr_assert_eq(bitmap_load(buffer_bytes(&saved), m->row_count, NULL, &back, &info), ERR_OK, "%s",
                 info.text);
    assert_equal(back, m);
    cr_assert_eq(bitmap_save(back, &again), ERR_OK);
    cr_assert(bytes_equal(buffer_bytes(&saved), buffer_bytes(&again)));
    bitmap_destroy(back);
    buffer_close(&again);
    buffer_close(&saved);
}

static void combine(struct bitmap *a, struct model *m, const struct bitmap *b,
                    const struct model *other, int how)
{
    enum err rc = how == 0 ? bitmap_or(a, b) : how == 1 ? bitmap_and(a, b) : bitmap_andnot(a, b);
    cr_assert_eq(rc, ERR_OK);
    for (uint32_t row = 0; row < m->row_count; row++)
        m->has[row] = how == 0   ? m->has[row] | other->has[row]
                      : how == 1 ? m->has[row] & other->has[row]
                                 : m->has[row] & !other->has[row];
}

static uint32_t random_row_count(struct rng *rng)
{
    static const uint32_t edges[] = {0, 1, 2, 4096, 4097, 65535, 65536, 65537, 131072};
    if (rng_chance(rng, 30))
        return edges[rng_below(rng, sizeof edges / sizeof edges[0])];
    return (uint32_t)rng_below(rng, rng_chance(rng, 60) ? 700 : ROWS_MAX);
}

Test(prop_bitmap, a_set_equals_a_byte_a_row)
{
    struct rng rng = test_rng();
    for (int round = 0; round < 60; round++) {
        uint32_t row_count = random_row_count(&rng);
        struct model m = model_of(row_count);
        struct model other = model_of(row_count);
        struct bitmap *a = create(row_count);
        struct bitmap *b = create(row_count);
        fill(&rng, a, &m);
        fill(&rng, b, &other);
        assert_equal(a, &m);
        for (int step = 0; step < 4; step++) {
            combine(a, &m, b, &other, (int)rng_below(&rng, 3));
            assert_equal(a, &m);
            if (rng_chance(&rng, 50))
                fill(&rng, a, &m);
        }
        assert_equal(b, &other);
        assert_next(&rng, a, &m);
        assert_comes_back(a, &m);
        bitmap_destroy(a);
        bitmap_destroy(b);
        mem_free(m.has);
        mem_free(other.has);
    }
}

/* What is cut or changed fails, or is a set of rows in range that can be used. */
static void try_damaged(struct bytes in, uint32_t row_count, unsigned *refused)
{
    struct bitmap *b = NULL;
    struct errinfo info = {0};
    enum err rc = bitmap_load(in, row_count, NULL, &b, &info);
    cr_assert(rc == ERR_OK || (rc == ERR_CORRUPT && info.text[0] != '\0'));
    if (rc != ERR_OK) {
        ++*refused;
        return;
    }
    uint32_t row = 0;
    uint32_t count = 0;
    for (uint32_t from = 0; bitmap_next(b, from, &row); from = row + 1, count++)
        cr_assert(row < row_count && row >= from);
    cr_assert_eq(count, bitmap_count(b));
    bitmap_destroy(b);
}

static void damage_everywhere(struct bytes saved, uint32_t row_count)
{
    unsigned refused = 0;
    uint8_t *copy = mem_alloc(saved.len);
    size_t step = saved.len / 3000 + 1;
    for (size_t len = 0; len < saved.len; len += step) {
        memcpy(copy, saved.data, len); /* its own block, so that reading behind it shows */
        uint8_t *cut = mem_alloc(len);
        memcpy(cut, saved.data, len);
        unsigned before = refused;
        try_damaged(bytes_of(cut, len), row_count, &refused);
        cr_assert_eq(refused, before + 1, "cut at %zu of %zu", len, saved.len);
        mem_free(cut);
    }
    memcpy(copy, saved.data, saved.len);
    for (size_t at = 0; at < saved.len; at += at < 200 ? 1 : step)
        for (unsigned bit = 0; bit < 8; bit++) {
            copy[at] = saved.data[at] ^ (uint8_t)(1u << bit);
            try_damaged(bytes_of(copy, saved.len), row_count, &refused);
            copy[at] = saved.data[at];
        }
    mem_free(copy);
}

Test(prop_bitmap, every_cut_fails_and_every_changed_bit_fails_or_is_a_set)
{
    struct rng rng = test_rng();
    for (int round = 0; round < 16; round++) {
        uint32_t row_count = random_row_count(&rng);
        struct model m = model_of(row_count);
        struct bitmap *b = create(row_count);
        struct buffer saved;
        buffer_init(&saved, SIZE_MAX, NULL);
        fill(&rng, b, &m);
        cr_assert_eq(bitmap_save(b, &saved), ERR_OK);
        damage_everywhere(buffer_bytes(&saved), row_count);
        buffer_close(&saved);
        bitmap_destroy(b);
        mem_free(m.has);
    }
}

/* ---- as short bytes ---- */

static size_t runs_of(const struct model *m, struct row_run *runs)
{
    size_t count = 0;
    for (uint32_t row = 0; row < m->row_count; row++) {
        if (m->has[row] == 0)
            continue;
        if (row > 0 && m->has[row - 1] != 0)
            runs[count - 1].count++;
        else
            runs[count++] = (struct row_run){row, 1};
    }
    return count;
}

static void damage_set(struct rng *rng, struct bytes set, uint32_t row_count)
{
    uint8_t *copy = mem_alloc(set.len);
    for (int i = 0; i < 200; i++) {
        struct bitmap *rows = create(row_count);
        struct errinfo info = {0};
        size_t len = rng_chance(rng, 20) ? rng_below(rng, set.len) : set.len;
        memcpy(copy, set.data, set.len);
        copy[rng_below(rng, set.len)] ^= (uint8_t)(1u << rng_below(rng, 8));
        enum err rc = row_set_get(bytes_of(copy, len), rows, &info);
        cr_assert(rc == ERR_OK || (rc == ERR_CORRUPT && info.text[0] != '\0'));
        bitmap_destroy(rows);
    }
    mem_free(copy);
}

Test(prop_bitmap, a_set_comes_back_from_each_of_its_forms)
{
    struct rng rng = test_rng();
    unsigned seen[4] = {0};
    struct row_run *runs = mem_array(ROWS_MAX, sizeof *runs);
    for (int round = 0; round < 120; round++) {
        uint32_t row_count = random_row_count(&rng);
        struct model m = model_of(row_count);
        struct bitmap *b = create(row_count);
        struct bitmap *back = create(row_count);
        struct buffer set;
        struct errinfo info = {0};
        buffer_init(&set, SIZE_MAX, NULL);
        fill(&rng, b, &m);
        size_t count = runs_of(&m, runs);
        if (count > 0) {
            cr_assert_eq(row_set_put(runs, count, row_count, &set), ERR_OK);
            cr_assert_eq(row_set_get(buffer_bytes(&set), back, &info), ERR_OK, "%s", info.text);
            assert_equal(back, &m);
            seen[set.data[0]]++;
            damage_set(&rng, buffer_bytes(&set), row_count);
        }
        buffer_close(&set);
        bitmap_destroy(back);
        bitmap_destroy(b);
        mem_free(m.has);
    }
    mem_free(runs);
    cr_assert(seen[FORMAT_SET_ROWS] > 0 && seen[FORMAT_SET_RUNS] > 0 &&
              seen[FORMAT_SET_ROARING] > 0);
}
