#include <criterion/criterion.h>

#include "storage/column.h"
#include "tests/support/rng.h"

#define COUNT 200

enum style { STYLE_RISING, STYLE_FEW, STYLE_WILD, STYLE_COUNT };

static size_t fill(struct rng *rng, enum style style, uint32_t *values)
{
    size_t count = (size_t)rng_below(rng, COUNT + 1);
    uint32_t next = 0;
    for (size_t i = 0; i < count; i++) {
        if (style == STYLE_WILD)
            values[i] = rng_chance(rng, 10) ? UINT32_MAX : (uint32_t)rng_u64(rng);
        else if (style == STYLE_FEW)
            values[i] = i > 0 && rng_chance(rng, 80) ? values[i - 1] : (uint32_t)rng_below(rng, 3);
        else
            values[i] = rng_chance(rng, 70) ? next++ : (uint32_t)rng_below(rng, next + 1);
    }
    return count;
}

typedef void put_column(struct buffer *out, const uint32_t *values, size_t stride, size_t count);
typedef void get_column(struct reader *r, uint32_t *values, size_t stride, size_t count);

static void put_runs(struct buffer *out, const uint32_t *values, size_t stride, size_t count)
{
    (void)stride;
    column_put_runs(out, values, count);
}

static void get_runs(struct reader *r, uint32_t *values, size_t stride, size_t count)
{
    (void)stride;
    column_get_runs(r, values, count);
}

Test(column, numbers_come_back_and_short_lists_fail)
{
    static const struct {
        put_column *put;
        get_column *get;
        const char *name;
    } codings[] = {{column_put_plain, column_get_plain, "plain"},
                   {column_put_rising, column_get_rising, "rising"},
                   {put_runs, get_runs, "runs"}};
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 3000; round++) {
        uint32_t values[COUNT];
        uint32_t back[COUNT];
        size_t coding = round % 3;
        size_t count = fill(&rng, (enum style)(round / 3 % STYLE_COUNT), values);
        struct buffer out;
        buffer_init(&out, 1 << 20, NULL);
        codings[coding].put(&out, values, 1, count);
        struct reader r = reader_of(buffer_bytes(&out));
        codings[coding].get(&r, back, 1, count);
        cr_assert(!r.failed && r.at == r.end, "%s of %zu", codings[coding].name, count);
        cr_assert(count == 0 || memcmp(values, back, count * sizeof values[0]) == 0, "%s",
                  codings[coding].name);
        if (out.len > 0) {
            r = reader_of(bytes_first(buffer_bytes(&out), (size_t)rng_below(&rng, out.len)));
            codings[coding].get(&r, back, 1, count);
            cr_assert(r.failed, "%s cut short", codings[coding].name);
        }
        buffer_close(&out);
    }
}

Test(column, sixty_four_bits_come_back_from_deltas)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 2000; round++) {
        uint64_t values[COUNT];
        uint64_t back[COUNT];
        size_t count = (size_t)rng_below(&rng, COUNT + 1);
        uint64_t at = rng_u64(&rng);
        for (size_t i = 0; i < count; i++)
            values[i] = round % 2 == 0 ? rng_u64(&rng) : (at += 41943 + rng_below(&rng, 300));
        struct buffer out;
        buffer_init(&out, 1 << 20, NULL);
        column_put_deltas(&out, values, count);
        struct reader r = reader_of(buffer_bytes(&out));
        column_get_deltas(&r, back, count);
        cr_assert(!r.failed && r.at == r.end);
        cr_assert(count == 0 || memcmp(values, back, count * sizeof values[0]) == 0);
        cr_assert(round % 2 == 0 || out.len <= 25 + 2 * count, "%zu bytes for %zu", out.len, count);
        buffer_close(&out);
    }
}

Test(column, numbers_out_of_range_fail)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t count;
        bool runs;
    } cases[] = {
        {"\x80\x80\x80\x80\x10", 5, 1, false},                /* plain: 2^32 */
        {"\x02\x02\x02\x00\x00", 5, 2, true},                 /* runs: id 1 before it was new */
        {"\x01\x01\x02", 3, 2, true},                         /* a run longer than the column */
        {"\x01\x01\x00", 3, 2, true},                         /* runs that do not fill it */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9, 2, true}, /* more runs than bytes */
        {"\x01\x01\x00", 3, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t back[4];
        struct reader r = reader_of(bytes_of(cases[i].bytes, cases[i].len));
        if (cases[i].runs)
            column_get_runs(&r, back, cases[i].count);
        else
            column_get_plain(&r, back, 1, cases[i].count);
        cr_assert(r.failed, "case %zu", i);
    }
}
