#include <stdint.h>

#include <criterion/criterion.h>

#include "base/size.h"

Test(size, overflow_is_seen_and_leaves_the_result)
{
    size_t r = 7;
    cr_assert(size_add(1, 2, &r) && r == 3);
    cr_assert(size_mul(5, 2, &r) && r == 10);
    cr_assert(size_align(13, 8, &r) && r == 16);
    cr_assert(size_align(16, 8, &r) && r == 16);
    cr_assert(size_align(0, 8, &r) && r == 0);
    cr_assert(size_add(SIZE_MAX, 0, &r) && r == SIZE_MAX);
    r = 7;
    cr_assert(!size_add(SIZE_MAX, 1, &r) && r == 7);
    cr_assert(!size_mul(SIZE_MAX / 2 + 1, 2, &r) && r == 7);
    cr_assert(!size_align(SIZE_MAX - 2, 8, &r) && r == 7);
    cr_assert_eq(size_min(1, 2), 1);
    cr_assert_eq(size_max(1, 2), 2);
}
