/* column.h - lists of numbers as bytes; LZ4 then squeezes what these codings leave repetitive.
 *
 * The number of items is the caller's to keep. Writers put into a buffer whose failure sticks;
 * readers stick too: a list that is cut short or holds a number out of range sets `failed`.
 *
 *   plain   each number as a varint
 *   rising  ids that are mostly numbered in order of first use: an id not below all before it is
 *           2 * (id - (largest before + 1)) + 1, an earlier one 2 * id
 *   runs    count of runs, then the value of each run (rising), then each length - 1 (plain)
 *   deltas  64-bit numbers: the first, a typical step, then how far each step is from it, lowest
 *           byte and the rest apart, so that noise does not hide the calm upper bytes from LZ4
 */
#ifndef HEARTH_STORAGE_COLUMN_H
#define HEARTH_STORAGE_COLUMN_H

#include "base/buffer.h"

/* `stride` counts uint32_t from one item to the next, so that a column of a struct can be coded. */
void column_put_plain(struct buffer *out, const uint32_t *values, size_t stride, size_t count);
void column_get_plain(struct reader *r, uint32_t *values, size_t stride, size_t count);

/* How far a rising column has come; zeroed at its start. */
struct column_rising {
    uint64_t next; /* one above the largest id so far */
};

static inline uint64_t column_rising_code(struct column_rising *c, uint32_t id)
{
    if (id < c->next)
        return (uint64_t)id << 1;
    uint64_t code = (((uint64_t)id - c->next) << 1) | 1;
    c->next = (uint64_t)id + 1;
    return code;
}

/* False when the code stands for no 32-bit id. */
static inline bool column_rising_id(struct column_rising *c, uint64_t code, uint32_t *ret)
{
    uint64_t id = code >> 1;
    if ((code & 1) != 0)
        id += c->next;
    if (id > UINT32_MAX || ((code & 1) == 0 && id >= c->next))
        return false;
    if ((code & 1) != 0)
        c->next = id + 1;
    *ret = (uint32_t)id;
    return true;
}

void column_put_rising(struct buffer *out, const uint32_t *values, size_t stride, size_t count);
void column_get_rising(struct reader *r, uint32_t *values, size_t stride, size_t count);

void column_put_runs(struct buffer *out, const uint32_t *values, size_t count);
void column_get_runs(struct reader *r, uint32_t *values, size_t count);

void column_put_deltas(struct buffer *out, const uint64_t *values, size_t count);
void column_get_deltas(struct reader *r, uint64_t *values, size_t count);

#endif
