#include "storage/row_set.h"

#include "storage/bits.h"
#include "storage/format.h"

#define COUNT_ORDER   2
#define LIST_RUNS_MAX 1024 /* beyond, a list would be read longer than a page of keys */
#define BATCH_ROWS    256
#define LONG_RUN_ROWS 64 /* added as a range */

/* ---- writing ---- */

static uint64_t row_total(const struct row_run *runs, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += runs[i].count;
    return sum;
}

static uint64_t gap_before(const struct row_run *runs, size_t at)
{
    if (at == 0)
        return runs[0].first;
    return runs[at].first - (runs[at - 1].first + runs[at - 1].count) - 1;
}

static size_t fill_gaps(const struct row_run *runs, size_t count, uint64_t *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = gap_before(runs, i);
    return count;
}

static size_t fill_lengths(const struct row_run *runs, size_t count, uint64_t *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = runs[i].count - 1;
    return count;
}

static size_t fill_steps(const struct row_run *runs, size_t count, uint64_t *to)
{
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        to[rows++] = gap_before(runs, i) + (i > 0);
        for (uint32_t k = 1; k < runs[i].count; k++)
            to[rows++] = 0;
    }
    return rows;
}

static uint64_t list_size(const uint64_t *values, size_t count)
{
    unsigned order = bits_best_order(values, count);
    uint64_t size = BITS_ORDER_BITS;
    for (size_t i = 0; i < count; i++)
        size += bits_golomb_size(values[i], order);
    return size;
}

/* The form's byte, and how many items its lists have. */
static struct bits_writer begin(struct buffer *out, uint8_t form, uint64_t items)
{
    struct bits_writer w = {.out = out};
    buffer_put_u8(out, form);
    bits_put_golomb(&w, items - 1, COUNT_ORDER);
    return w;
}

static enum err put_rows(const uint64_t *steps, size_t count, struct buffer *out)
{
    struct bits_writer w = begin(out, FORMAT_SET_ROWS, count);
    bits_put_list(&w, steps, count);
    bits_end(&w);
    return out->failed;
}

static enum err put_runs(const uint64_t *gaps, const uint64_t *lengths, size_t count,
                         struct buffer *out)
{
    struct bits_writer w = begin(out, FORMAT_SET_RUNS, count);
    bits_put_list(&w, gaps, count);
    bits_put_list(&w, lengths, count);
    bits_end(&w);
    return out->failed;
}

/* As runs costs two bits a run at least, as rows one bit a row: where there are more than these,
 * nobody needs to look. */
static enum err put_lists(const struct row_run *runs, size_t count, struct buffer *values,
                          struct buffer *out)
{
    uint64_t rows = row_total(runs, count);
    bool few = rows <= 16 * count;
    size_t needed = 2 * count + (few ? rows : 0);
    uint64_t *gaps = buffer_extend(values, needed * sizeof *gaps);
    if (gaps == NULL)
        return values->failed;
    uint64_t *lengths = gaps + fill_gaps(runs, count, gaps);
    uint64_t *steps = lengths + fill_lengths(runs, count, lengths);
    uint64_t as_runs = list_size(gaps, count) + list_size(lengths, count);
    if (few && list_size(steps, fill_steps(runs, count, steps)) <= as_runs)
        return put_rows(steps, rows, out);
    return put_runs(gaps, lengths, count, out);
}

static enum err put_roaring(const struct row_run *runs, size_t count, uint32_t row_count,
                            struct buffer *out)
{
    struct bitmap *b = NULL;
    TRY(bitmap_create(row_count, out->account, &b));
    enum err rc = ERR_OK;
    for (size_t i = 0; i < count && rc == ERR_OK; i++)
        rc = runs[i].count == 1 ? bitmap_add(b, runs[i].first)
                                : bitmap_add_range(b, runs[i].first, runs[i].first + runs[i].count);
    buffer_put_u8(out, FORMAT_SET_ROARING);
    if (rc == ERR_OK)
        rc = out->failed == ERR_OK ? bitmap_save(b, out) : out->failed;
    bitmap_destroy(b);
    return rc;
}

enum err row_set_put(const struct row_run *runs, size_t count, uint32_t row_count,
                     struct buffer *out)
{
    struct buffer values;
    assert(count > 0 && runs[count - 1].first + runs[count - 1].count <= row_count);
    if (count > LIST_RUNS_MAX)
        return put_roaring(runs, count, row_count, out);
    buffer_init(&values, SIZE_MAX, out->account);
    enum err rc = put_lists(runs, count, &values, out);
    buffer_close(&values);
    return rc;
}

/* ---- reading ---- */

/* Rows on their way into the set, some at once. */
struct adding {
    struct bitmap *to;
    uint32_t rows[BATCH_ROWS];
    size_t count;
    enum err rc;
};

static void flush(struct adding *a)
{
    if (a->rc == ERR_OK && a->count > 0)
        a->rc = bitmap_add_rows(a->to, a->rows, a->count);
    a->count = 0;
}

static void add_run(struct adding *a, uint32_t first, uint32_t count)
{
    if (count >= LONG_RUN_ROWS) {
        if (a->rc == ERR_OK)
            a->rc = bitmap_add_range(a->to, first, first + count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        a->rows[a->count++] = first + i;
        if (a->count == BATCH_ROWS)
            flush(a);
    }
}

static enum err out_of_range(uint32_t row_count, struct errinfo *info)
{
    return err_set(info, ERR_CORRUPT, "row set: expected rows below %u", row_count);
}

/* What a list of gaps, and of lengths less one (NULL: all are single rows), says. */
static enum err add_lists(const uint32_t *gaps, const uint32_t *lengths, size_t count,
                          struct bitmap *rows, struct errinfo *info)
{
    struct adding a = {.to = rows};
    uint64_t at = 0;
    uint32_t end = bitmap_row_count(rows);
    for (size_t i = 0; i < count; i++) {
        uint64_t length = lengths == NULL ? 1 : (uint64_t)lengths[i] + 1;
        at += (uint64_t)gaps[i] + (lengths != NULL && i > 0);
        if (at + length > end)
            return out_of_range(end, info);
        add_run(&a, (uint32_t)at, (uint32_t)length);
        at += length;
    }
    flush(&a);
    return a.rc == ERR_OK ? ERR_OK : err_set(info, a.rc, "row set: no room");
}

static enum err cut_short(struct errinfo *info)
{
    return err_set(info, ERR_CORRUPT,
                   "row set: its lists are cut short, or bytes stand behind them");
}

static enum err get_items(struct bits_reader *r, bool runs, uint32_t *items, size_t count,
                          struct bitmap *rows, struct errinfo *info)
{
    bits_get_list32(r, items, count);
    if (runs)
        bits_get_list32(r, items + count, count);
    if (bits_rest(r).len > 0 || r->failed)
        return cut_short(info);
    return add_lists(items, runs ? items + count : NULL, count, rows, info);
}

static enum err get_lists(struct bytes in, bool runs, struct bitmap *rows, struct errinfo *info)
{
    struct bits_reader r = {.in = in};
    uint64_t count = bits_get_golomb(&r, COUNT_ORDER);
    struct buffer items;
    if (r.failed || count >= bits_left(&r) || count >= bitmap_row_count(rows))
        return cut_short(info);
    count++;
    buffer_init(&items, SIZE_MAX, bitmap_account(rows));
    uint32_t *to = buffer_extend(&items, count * (runs ? 2 : 1) * sizeof *to);
    enum err rc = to == NULL ? err_set(info, items.failed, "row set: no room for its lists")
                             : get_items(&r, runs, to, count, rows, info);
    buffer_close(&items);
    return rc;
}

static enum err get_roaring(struct bytes in, struct bitmap *rows, struct errinfo *info)
{
    struct bitmap *b = NULL;
    TRY(bitmap_load(in, bitmap_row_count(rows), bitmap_account(rows), &b, info));
    enum err rc = bitmap_or(rows, b);
    bitmap_destroy(b);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "row set: no memory to add it");
}

enum err row_set_get(struct bytes in, struct bitmap *rows, struct errinfo *info)
{
    uint8_t form = in.len > 0 ? in.data[0] : 0;
    struct bytes rest = bytes_from(in, 1);
    switch (form) {
    case FORMAT_SET_ROWS: return get_lists(rest, false, rows, info);
    case FORMAT_SET_RUNS: return get_lists(rest, true, rows, info);
    case FORMAT_SET_ROARING: return get_roaring(rest, rows, info);
    default: return err_set(info, ERR_CORRUPT, "row set: form %u, expected 1 to 3", form);
    }
}
