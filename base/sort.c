#include "base/sort.h"

#include <stdbool.h>
#include <stdlib.h>

static bool in_order(const void *base, size_t count, size_t size,
                     int (*compare)(const void *, const void *, void *), void *context)
{
    const unsigned char *at = base;

    for (size_t i = 1; i < count; i++, at += size)
        if (compare(at, at + size, context) > 0)
            return false;
    return true;
}

enum err sort_array(struct mem_account *account, void *base, size_t count, size_t size,
                    int (*compare)(const void *, const void *, void *), void *context)
{
    if (count < 2 || in_order(base, count, size, compare, context))
        return ERR_OK;
    size_t copy = count * size; /* the array is there, so the product fits */
    if (account != NULL)
        TRY(mem_account_reserve(account, copy));
    qsort_r(base, count, size, compare, context);
    if (account != NULL)
        mem_account_release(account, copy);
    return ERR_OK;
}
