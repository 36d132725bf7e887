/* size.h - sizes are added, multiplied and aligned here and nowhere else. */
#ifndef HEARTH_BASE_SIZE_H
#define HEARTH_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/* False, *ret untouched, when the result does not fit. */
static inline bool size_add(size_t a, size_t b, size_t *ret)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

static inline bool size_mul(size_t a, size_t b, size_t *ret)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

/* Next multiple of `align` (a power of two), false when there is none. */
static inline bool size_align(size_t a, size_t align, size_t *ret)
{
    size_t up;
    if (!size_add(a, align - 1, &up))
        return false;
    *ret = up & ~(align - 1);
    return true;
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
