#include <time.h>

#include <criterion/criterion.h>

#include "base/hash.h"
#include "engine/profile_columns.h"

#define EDGE_COUNT 8192

/* Processor seconds for stacks of two frames, many to a root. `chosen`: frames such that the edges
 * share slots without a seed. */
static double seconds_of_adding(bool chosen)
{
    struct profile_columns c;
    double seconds = 0;
    profile_columns_init(&c, NULL);
    uint32_t root = 0;
    profile_columns_add_stack(&c, &root, 1);
    for (uint32_t frame = 0; profile_columns_stack_count(&c) <= EDGE_COUNT; frame++) {
        uint32_t stack[] = {frame, root};
        if (chosen && hash_pair(0, frame, 0) % (2 * EDGE_COUNT) >= 16)
            continue;
        clock_t start = clock();
        profile_columns_add_stack(&c, stack, 2);
        seconds += (double)(clock() - start) / CLOCKS_PER_SEC;
    }
    cr_expect_eq(c.failed, ERR_OK);
    cr_expect_eq(c.node_parent.len, (EDGE_COUNT + 1) * sizeof(uint32_t));
    profile_columns_close(&c);
    return seconds;
}

Test(profile_columns, stacks_chosen_to_share_slots_cost_no_more_than_others)
{
    double usual = seconds_of_adding(false);
    double chosen = seconds_of_adding(true);
    cr_expect(chosen < 3 * usual + 0.02, "%.3f s, usually %.3f s", chosen, usual);
}

Test(profile_columns, equal_frames_and_stacks_are_kept_once)
{
    struct profile_columns c;
    profile_columns_init(&c, NULL);
    for (uint32_t i = 0; i < 1000; i++) {
        struct profile_frame frame = {.line = i % 100};
        uint32_t stack[] = {i % 10, i % 100};
        profile_columns_add_frame(&c, &frame);
        profile_columns_add_stack(&c, stack, 2);
        profile_columns_add_stack(&c, stack, 0);
    }
    cr_expect_eq(profile_columns_frame_count(&c), 1000);
    cr_expect_eq(c.frames.len, 100 * sizeof(struct profile_frame));
    cr_expect_eq(profile_columns_stack_count(&c), 2000);
    cr_expect_eq(c.node_parent.len, 200 * sizeof(uint32_t));
    cr_expect_eq(buffer_u32s(&c.stacks)[1], PROFILE_NONE, "an empty stack has no node");
    cr_expect_eq(c.frame_index_max, 99);
    profile_columns_close(&c);
}
