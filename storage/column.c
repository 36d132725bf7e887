#include "storage/column.h"

void column_put_plain(struct buffer *out, const uint32_t *values, size_t stride, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_put_varint(out, values[i * stride]);
}

static uint32_t get_u32(struct reader *r)
{
    uint64_t value = reader_varint(r);
    if (value > UINT32_MAX)
        r->failed = true;
    return r->failed ? 0 : (uint32_t)value;
}

void column_get_plain(struct reader *r, uint32_t *values, size_t stride, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i * stride] = get_u32(r);
}

void column_put_rising(struct buffer *out, const uint32_t *values, size_t stride, size_t count)
{
    struct column_rising state = {0};
    for (size_t i = 0; i < count; i++)
        buffer_put_varint(out, column_rising_code(&state, values[i * stride]));
}

void column_get_rising(struct reader *r, uint32_t *values, size_t stride, size_t count)
{
    struct column_rising state = {0};
    for (size_t i = 0; i < count; i++) {
        uint32_t id = 0;
        if (!column_rising_id(&state, reader_varint(r), &id) && !r->failed)
            r->failed = true;
        values[i * stride] = r->failed ? 0 : id;
    }
}

/* Where the run that begins at `from` ends. */
static size_t run_end(const uint32_t *values, size_t from, size_t count)
{
    size_t end = from + 1;
    while (end < count && values[end] == values[from])
        end++;
    return end;
}

void column_put_runs(struct buffer *out, const uint32_t *values, size_t count)
{
    size_t run_count = 0;
    for (size_t i = 0; i < count; i = run_end(values, i, count))
        run_count++;
    buffer_put_varint(out, run_count);
    struct column_rising state = {0};
    for (size_t i = 0; i < count; i = run_end(values, i, count))
        buffer_put_varint(out, column_rising_code(&state, values[i]));
    for (size_t i = 0; i < count;) {
        size_t end = run_end(values, i, count);
        buffer_put_varint(out, end - i - 1);
        i = end;
    }
}

/* The values lie before the lengths: the lengths are read through a second reader. */
static struct reader skip_varints(struct reader r, uint64_t count)
{
    for (uint64_t i = 0; i < count && !r.failed; i++)
        (void)reader_varint(&r);
    return r;
}

void column_get_runs(struct reader *r, uint32_t *values, size_t count)
{
    uint64_t run_count = reader_varint(r);
    if (run_count > reader_left(r))
        r->failed = true;
    struct reader lengths = skip_varints(*r, run_count);
    struct column_rising state = {0};
    size_t done = 0;
    for (uint64_t run = 0; run < run_count && !lengths.failed; run++) {
        uint32_t id = 0;
        uint64_t more = 0;
        if (column_rising_id(&state, reader_varint(r), &id))
            more = reader_varint(&lengths);
        else
            lengths.failed = true;
        if (lengths.failed || done == count || more > count - done - 1) {
            lengths.failed = true;
            break;
        }
        for (size_t end = done + (size_t)more + 1; done < end; done++)
            values[done] = id;
    }
    *r = lengths;
    if (done != count)
        r->failed = true;
}

/* Differences wrap, so any 64 bits come back. */
static uint64_t typical_step(const uint64_t *values, size_t count)
{
    int64_t whole = (int64_t)(values[count - 1] - values[0]);
    return (uint64_t)(whole / (int64_t)(count - 1));
}

void column_put_deltas(struct buffer *out, const uint64_t *values, size_t count)
{
    if (count == 0)
        return;
    buffer_put_varint(out, zigzag_encode((int64_t)values[0]));
    if (count == 1)
        return;
    uint64_t step = typical_step(values, count);
    buffer_put_varint(out, zigzag_encode((int64_t)step));
    uint8_t *low = buffer_extend(out, count - 1);
    if (low == NULL)
        return;
    for (size_t i = 1; i < count; i++)
        low[i - 1] = (uint8_t)zigzag_encode((int64_t)(values[i] - values[i - 1] - step));
    for (size_t i = 1; i < count; i++)
        buffer_put_varint(out, zigzag_encode((int64_t)(values[i] - values[i - 1] - step)) >> 8);
}

void column_get_deltas(struct reader *r, uint64_t *values, size_t count)
{
    if (count == 0)
        return;
    values[0] = (uint64_t)zigzag_decode(reader_varint(r));
    if (count == 1)
        return;
    uint64_t step = (uint64_t)zigzag_decode(reader_varint(r));
    struct bytes low = reader_take(r, count - 1);
    for (size_t i = 1; i < count; i++) {
        uint64_t high = reader_varint(r);
        if (high >> 56 != 0)
            r->failed = true;
        uint64_t off = r->failed ? 0 : high << 8 | low.data[i - 1];
        values[i] = values[i - 1] + step + (uint64_t)zigzag_decode(off);
    }
}
