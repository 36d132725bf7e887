/* span.h - half-open stretches of time, and what is left of some when others are taken away.
 *
 * Owns:   lists grow in the arena of the caller.
 * Units:  nanoseconds since 1970 UTC.
 * Cost:   uniting sorts, subtracting is linear.
 */
#ifndef HEARTH_ENGINE_SPAN_H
#define HEARTH_ENGINE_SPAN_H

#include "base/arena.h"

struct span_ns {
    int64_t start_ns;
    int64_t end_ns;
};

struct span_list {
    struct span_ns *spans;
    size_t count;
    size_t capacity;
};

/* Nothing is added when end <= start. */
enum err span_list_add(struct span_list *l, struct span_ns span, struct arena *arena) MUST_CHECK;
/* Ascending, and spans that overlap or touch become one. */
enum err span_list_unite(struct span_list *l, struct mem_account *account) MUST_CHECK;
/* Of a united list only the `count` longest spans, of equal ones the earliest, still ascending. */
enum err span_list_keep_longest(struct span_list *l, size_t count,
                                struct mem_account *account) MUST_CHECK;
/* What `from` has and `taken` has not; both united. */
enum err span_list_subtract(const struct span_list *from, const struct span_list *taken,
                            struct arena *arena, struct span_list *ret) MUST_CHECK;

#endif
