#include <time.h>

#include <criterion/criterion.h>

#include "base/clock.h"

Test(clock, wall_is_now_unless_a_test_sets_it)
{
    int64_t before = (int64_t)time(NULL) - 1;
    int64_t now_s = clock_wall_ns() / 1000000000;
    cr_assert(now_s >= before && now_s <= before + 60);
    clock_set_wall(1795336832362842600);
    cr_assert_eq(clock_wall_ns(), 1795336832362842600);
    clock_set_wall(0);
    cr_assert_geq(clock_wall_ns() / 1000000000, before);
}

Test(clock, steady_never_goes_back)
{
    clock_set_wall(5);
    int64_t first = clock_steady_ns();
    int64_t last = first;
    for (unsigned i = 0; i < 100000; i++) {
        int64_t now = clock_steady_ns();
        cr_assert_geq(now, last);
        last = now;
    }
    cr_assert_gt(last, first);
}
