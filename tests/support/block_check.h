/* block_check.h - blocks of a segment in tests: there and back, and their sums added up sample by
 * sample.
 */
#ifndef HEARTH_TESTS_SUPPORT_BLOCK_CHECK_H
#define HEARTH_TESTS_SUPPORT_BLOCK_CHECK_H

#include "storage/segment_block.h"
#include "tests/support/rng.h"

/* What a row says beforehand. */
struct profile block_check_row(const struct profile *p);
/* NULL when both are the same document of the right shape; else what is wrong. */
const char *block_check_equal(const struct profile *wanted, const struct profile *got);
/* The sum against the plainest thing that could be right. `map` is of the profile. */
const char *block_check_sum(const struct profile *p, const struct tables_mapping *map,
                            const struct block_sum *sum);

#endif
