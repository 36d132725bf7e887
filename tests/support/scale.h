/* scale.h - how much of a slow sweep to do: HEARTH_TEST_SCALE times the usual, 1 by default. */
#ifndef HEARTH_TESTS_SUPPORT_SCALE_H
#define HEARTH_TESTS_SUPPORT_SCALE_H

unsigned test_scale(unsigned base);

#endif
