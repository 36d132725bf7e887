/* random_rows.h - rows and links of all shapes for property tests. */
#ifndef HEARTH_TESTS_SUPPORT_RANDOM_ROWS_H
#define HEARTH_TESTS_SUPPORT_RANDOM_ROWS_H

#include "base/arena.h"
#include "tests/support/rng.h"
#include "tests/support/rows_segment.h"

enum random_times {
    TIMES_CADENCE, /* a chunk a minute, nothing overlaps */
    TIMES_OVERLAP, /* some are a hundred times as long as most */
    TIMES_EQUAL,   /* few different starts */
    TIMES_EXTREME, /* anywhere in 64 bits */
    TIMES_COUNT
};

struct random_rows {
    size_t chunks;
    size_t profilers; /* that these are of */
    size_t transactions;
    size_t links;
    size_t traces;
    size_t projects;
    enum random_times times;
};

/* Profiles sorted and without equal keys, then links in any order, without equal keys either; so
 * there may be fewer than wanted. Everything in the arena. */
struct rows_item *random_rows(struct rng *rng, struct arena *arena, const struct random_rows *shape,
                              size_t *ret_count);

#endif
