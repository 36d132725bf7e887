/* clock.h - wall time and steady time in nanoseconds; a test may set the wall. */
#ifndef HEARTH_BASE_CLOCK_H
#define HEARTH_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ns(void);     /* since 1970-01-01 UTC */
int64_t clock_steady_ns(void);   /* from an arbitrary start, never backwards */
void clock_set_wall(int64_t ns); /* tests only; 0 gives the real time back */

#endif
