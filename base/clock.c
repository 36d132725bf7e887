#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static atomic_llong wall_set_ns; /* tests: 0 is the real time */

static int64_t read_clock(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now); /* cannot fail for the two clocks used here */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_wall_ns(void)
{
    int64_t set = atomic_load_explicit(&wall_set_ns, memory_order_relaxed);
    return set != 0 ? set : read_clock(CLOCK_REALTIME);
}

int64_t clock_steady_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void clock_set_wall(int64_t ns)
{
    atomic_store_explicit(&wall_set_ns, ns, memory_order_relaxed);
}
