/* bits.h - numbers as bits: exponential Golomb codes, which suit what is mostly small and now and
 * then huge (gaps of a sampler's clock, lengths of runs, steps of ids).
 *
 * Order k: z + 2^k is written as its number of bits less k+1 in unary (so many zeros, a one), then
 * its bits below the highest. A number below 2^k costs k+1 bits, one near 2^n (n > k) 2(n-k)+k+1.
 * Bits fill bytes from the lowest on, and numbers too are written lowest bit first; a list starts
 * at whatever bit the one before ended.
 *
 * Owns:   nothing: a writer puts into a buffer, a reader looks at bytes. Both are made by naming
 *         those and zeroing the rest.
 * Errors: a writer's failure is its buffer's; a reader's sticks in `failed`, and all gets give 0.
 * Cost:   a few nanoseconds a number.
 */
#ifndef HEARTH_STORAGE_BITS_H
#define HEARTH_STORAGE_BITS_H

#include "base/buffer.h"

#define BITS_ORDER_MAX  63
#define BITS_ORDER_BITS 6 /* what the order of a list takes */

struct bits_writer {
    struct buffer *out;
    uint64_t word; /* not yet in `out` */
    unsigned used; /* bits of it, below 64 */
};

/* value < 2^count, count <= 64 */
void bits_put(struct bits_writer *w, uint64_t value, unsigned count);
void bits_put_golomb(struct bits_writer *w, uint64_t value, unsigned order);
void bits_end(struct bits_writer *w); /* zeros up to a whole byte */
/* Bits that value takes; and the order that makes the list shortest. */
unsigned bits_golomb_size(uint64_t value, unsigned order);
unsigned bits_best_order(const uint64_t *values, size_t count);
/* The list behind its order (6 bits); a list of none is no bits. */
void bits_put_list(struct bits_writer *w, const uint64_t *values, size_t count);

struct bits_reader {
    struct bytes in;
    uint64_t at; /* bit */
    bool failed;
};

uint64_t bits_get(struct bits_reader *r, unsigned count); /* count <= 64 */
/* Fails at a code of more than 64 bits of number. */
uint64_t bits_get_golomb(struct bits_reader *r, unsigned order);
/* What stands behind a failure is 0. */
void bits_get_list(struct bits_reader *r, uint64_t *values, size_t count);
void bits_get_list32(struct bits_reader *r, uint32_t *values,
                     size_t count); /* fails beyond 32 bits */
/* To the next whole byte; the bits passed over must be zero. What is left from there on. */
struct bytes bits_rest(struct bits_reader *r);
/* How many bits are left: at least one a number, so a hostile count is seen before memory is taken. */
uint64_t bits_left(const struct bits_reader *r);

#endif
