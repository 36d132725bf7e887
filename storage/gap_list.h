/* gap_list.h - numbers as bits by how far each is from the one before, less a typical gap.
 *
 *   first: 7 bits how many bits it has, then these, of its zigzag
 *   base, if there are more: the same, of the number itself
 *   each further number: zigzag(number - one before - base), modulo 2^64, as a number list of
 *   zigzag numbers (storage/number_list.h)
 *
 * Errors: finding a base, those of the account; else as bits.h.
 * Cost:   a few nanoseconds a number.
 */
#ifndef HEARTH_STORAGE_GAP_LIST_H
#define HEARTH_STORAGE_GAP_LIST_H

#include "storage/bits.h"

/* So many gaps tell which base is best. */
#define GAP_SAMPLES 512

struct gap_base {
    uint64_t base;
    uint64_t size; /* bits that the gaps looked at would take, with it */
};

/* `gaps` are some of the list, at most GAP_SAMPLES. */
enum err gap_list_find_base(const int64_t *gaps, size_t count, struct mem_account *account,
                            struct gap_base *ret) MUST_CHECK;
/* A number on its own. */
void gap_list_put_number(struct bits_writer *w, uint64_t number);
uint64_t gap_list_get_number(struct bits_reader *r);
/* How many bits it takes besides the seven. */
unsigned gap_list_number_size(uint64_t number);
/* count > 0; `numbers` is used up. */
void gap_list_put(struct bits_writer *w, uint64_t base, uint64_t *numbers, size_t count);
void gap_list_get(struct bits_reader *r, uint64_t *numbers, size_t count);

#endif
