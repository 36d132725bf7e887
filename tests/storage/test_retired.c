#include <criterion/criterion.h>

#include "base/mem.h"
#include "storage/retired.h"

Test(retired, blocks_go_when_no_old_generation_is_left)
{
    struct retired r = {0};
    for (uint64_t generation = 1; generation <= 100; generation++) {
        cr_assert_eq(retired_reserve(&r, 2), ERR_OK);
        retired_add(&r, mem_alloc(8), generation);
        retired_add(&r, NULL, generation); /* nothing */
    }
    cr_assert_eq(mem_outstanding(), 101);
    retired_free_before(&r, 1);
    cr_assert_eq(mem_outstanding(), 101);
    retired_free_before(&r, 51);
    cr_assert_eq(mem_outstanding(), 51);
    retired_free_before(&r, 51);
    cr_assert_eq(mem_outstanding(), 51);
    retired_close(&r);
    cr_assert_eq(mem_outstanding(), 0);
}
