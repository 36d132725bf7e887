/* sort.h - qsort with its memory accounted for.
 *
 * The C library sorts large arrays by way of a copy that it takes from malloc, out of sight of every
 * budget. Here as much is reserved while it works, and an array that is in order already costs one
 * look at it.
 *
 * Errors: those of the reservation (mem.h); the array is as it was then.
 */
#ifndef HEARTH_BASE_SORT_H
#define HEARTH_BASE_SORT_H

#include "base/mem.h"

/* compare(left, right, context) as for qsort_r. `account` NULL: nothing is reserved. */
enum err sort_array(struct mem_account *account, void *base, size_t count, size_t size,
                    int (*compare)(const void *, const void *, void *), void *context) MUST_CHECK;

#endif
