/* number_list.h - a list of numbers as bits, in the shorter of two codings.
 *
 *   golomb   storage/bits.h: for what becomes rarer the larger it is
 *   classes  the class of each number, how many bits it has, in a prefix code made for the list;
 *            then its bits below the highest. For lists with several peaks: a sampler's clock is
 *            punctual, a little late, or waits for a lock.
 *
 *   1 bit: 0 golomb, 1 classes
 *   golomb:  the list as bits.h has it, its order first
 *   classes: 8 bits the lowest class that occurs, 8 bits how many from there on, less one; of each
 *            the length of its code, 4 bits, 0 when it does not occur; then the numbers
 *
 * A list of zigzag numbers (base/bytes.h) has their sign, the lowest bit, in the class: classes are
 * 0 for the number 0, else 2 * bits - 1 + lowest bit, and the bits in between follow. Codes are
 * those of a canonical Huffman code: shorter ones first, equal lengths by class, the first of each
 * length one above the last one before, shifted; their highest bit comes first. A list of none
 * takes no bits; every number of others takes at least one.
 *
 * Errors: as bits.h.
 * Cost:   a few nanoseconds a number; writing looks at the list twice.
 */
#ifndef HEARTH_STORAGE_NUMBER_LIST_H
#define HEARTH_STORAGE_NUMBER_LIST_H

#include "storage/bits.h"

enum number_kind { NUMBERS_PLAIN, NUMBERS_ZIGZAG };

void number_list_put(struct bits_writer *w, enum number_kind kind, const uint64_t *values,
                     size_t count);
/* How many bits put would take. */
uint64_t number_list_size(enum number_kind kind, const uint64_t *values, size_t count);
void number_list_get(struct bits_reader *r, enum number_kind kind, uint64_t *values, size_t count);
/* Plain ones; fails beyond 32 bits. */
void number_list_get32(struct bits_reader *r, uint32_t *values, size_t count);

#endif
