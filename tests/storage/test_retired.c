#include <criterion/criterion.h>

#include "base/mem.h"
#include "storage/retired.h"

Test(retired, blocks_go_when_no_old_generation_is_left)
{
    struct retired r = {0};
    struct retired waiting = {0};
    for (uint64_t generation = 1; generation <= 100; generation++) {
        cr_assert_eq(retired_reserve(&r, 2), ERR_OK);
        retired_add(&r, mem_alloc(8), 8, generation);
        retired_add(&r, NULL, 8, generation); /* nothing */
    }
    cr_assert_eq(mem_outstanding(), 101);
    retired_free_list(retired_take_before(&r, 1));
    cr_assert_eq(mem_outstanding(), 101);
    retired_free_list(retired_take_before(&r, 51));
    cr_assert_eq(mem_outstanding(), 51);
    retired_free_list(retired_take_before(&r, 51));
    cr_assert_eq(mem_outstanding(), 51);
    cr_assert_eq(r.bytes, 50 * 8);
    cr_assert(retired_move(&r, &waiting));
    cr_assert(r.count == 0 && r.bytes == 0 && waiting.bytes == 50 * 8);
    retired_free_list(retired_take_before(&waiting, 52));
    cr_assert_eq(waiting.count, 49);
    retired_close(&waiting);
    retired_close(&r);
    cr_assert_eq(mem_outstanding(), 0);
}
