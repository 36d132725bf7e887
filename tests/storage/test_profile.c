#include <criterion/criterion.h>

#include "tests/support/hand_profile.h"

Test(profile, nanoseconds_are_those_of_the_spec_and_stick_to_the_range)
{
    const struct {
        double seconds;
        int64_t ns;
    } chunks[] = {{1795336832.3628426, 1795336832362842624}, {0, 0}, {-1, 0}, {1e300, INT64_MAX}};
    struct hand_profile h;
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        hand_profile_init(&h, PROFILE_CHUNK, "python");
        hand_sample(&h, 0, 0, chunks[i].seconds);
        cr_assert_eq(profile_sample_ns(&h.profile, 0), chunks[i].ns, "case %zu: %ld", i,
                     (long)profile_sample_ns(&h.profile, 0));
        cr_assert_eq(profile_sample_seconds(&h.profile, 0), chunks[i].seconds);
    }
    hand_profile_init(&h, PROFILE_TRANSACTION, "python");
    h.profile.timestamp_ns = 100;
    h.sample_time[0] = 5;
    h.sample_time[1] = UINT64_MAX;
    cr_assert_eq(profile_sample_ns(&h.profile, 0), 105);
    cr_assert_eq(profile_sample_ns(&h.profile, 1), INT64_MAX);
}

/* A good profile, spoiled at one place a case. */
static void build(struct hand_profile *h)
{
    hand_profile_init(h, PROFILE_CHUNK, "python");
    hand_frame(h, (struct hand_frame){.function = "a"});
    hand_frame(h, (struct hand_frame){.function = "b"});
    uint32_t stack = hand_stack(h, "10");
    uint32_t thread = hand_thread(h, "1", "worker");
    hand_sample(h, thread, stack, 1000);
    hand_sample(h, thread, stack, 1001);
}

Test(profile, check_names_the_first_bad_index)
{
    struct hand_profile h;
    struct errinfo info = {0};
    build(&h);
    cr_assert_eq(profile_check(&h.profile, &info), ERR_OK, "%s", info.text);
    struct {
        uint32_t *place;
        bool promised; /* also refused by profile_check_shape */
        const char *text;
    } cases[] = {
        {&h.frames[1].function, true, "profile: text of frame 1 is 99, expected below 7"},
        {&h.frames[0].in_app, true, "profile: in_app of frame 0 is 99, expected below 3"},
        {&h.frame_list[1], true, "profile: listed frame 1 is 99, expected below 2"},
        {&h.node_parent[1], true, "profile: parent of node 1 is 99, expected below 1"},
        {&h.stacks[0], true, "profile: leaf of stack 0 is 99, expected below 2"},
        {&h.threads[0].name, true, "profile: text of thread 0 is 99"},
        {&h.sample_thread[1], true, "profile: thread of sample 1 is 99, expected below 1"},
        {&h.profile.release, true, "profile: text field 3 is 99"},
        {&h.node_frame[0], false, "profile: frame of node 0 is 99, expected below 2"},
        {&h.sample_stack[1], false, "profile: stack of sample 1 is 99, expected below 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t good = *cases[i].place;
        *cases[i].place = 99;
        cr_assert_eq(profile_check(&h.profile, &info), ERR_CORRUPT, "case %zu", i);
        cr_assert(strncmp(info.text, cases[i].text, strlen(cases[i].text)) == 0, "%s", info.text);
        cr_assert_eq(profile_check_shape(&h.profile, NULL) != ERR_OK, cases[i].promised);
        *cases[i].place = good;
    }
    h.sample_time[1] = 0;
    cr_assert_eq(profile_check(&h.profile, &info), ERR_CORRUPT);
    cr_assert_str_eq(info.text, "profile: time of sample 1 is before the one of 0");
    cr_assert_eq(profile_check_shape(&h.profile, NULL), ERR_OK);
}

Test(profile, bad_indices_lead_nowhere)
{
    struct hand_profile h;
    build(&h);
    cr_assert_eq(profile_node_frame(&h.profile, 0), &h.frames[0]);
    cr_assert_null(profile_node_frame(&h.profile, 2));
    cr_assert_null(profile_node_frame(&h.profile, PROFILE_NONE));
    h.node_frame[0] = 2;
    cr_assert_null(profile_node_frame(&h.profile, 0));
    cr_assert_eq(profile_string(&h.profile, 1000).len, 0);
}
