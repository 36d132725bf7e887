#include <criterion/criterion.h>

#include "tests/support/hand_export.h"

static const struct uuid profiler_a = {{0xaa, 0xaa, 0xaa, 0xaa}};
static const struct uuid profiler_b = {{0xbb, 0xbb, 0xbb, 0xbb}};

#define HEAD \
    "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"hearth\","
#define PROFILE(name, start, end)                                                                \
    "{\"type\":\"sampled\",\"name\":\"" name "\",\"unit\":\"nanoseconds\",\"startValue\":" start \
    ",\"endValue\":" end ","

static void expect_file(const struct export_options *options, const struct hand_part *parts,
                        size_t count, const char *expected)
{
    struct export_options o = *options;
    o.format = EXPORT_SPEEDSCOPE;
    struct buffer out;
    struct errinfo info = {0};
    enum err rc = hand_export(&o, parts, count, NULL, &out, &info);
    cr_assert_eq(rc, ERR_OK, "%s", info.text);
    cr_expect(bytes_equal(buffer_bytes(&out), bytes_of_text(expected)), "expected\n%s\ngot\n%.*s",
              expected, (int)out.len, (const char *)out.data);
    buffer_close(&out);
}

/* Thread 1: a, a, idle, b at whole seconds from `at`; thread 2 (nameless): b for two seconds. */
static void make_chunk(struct hand_profile *h, struct uuid profiler, double at)
{
    hand_profile_init(h, PROFILE_CHUNK, "java");
    h->profile.profiler_id = profiler;
    hand_frame(h, (struct hand_frame){.function = "a", .abs_path = "/a.c", .line = 1, .column = 2});
    hand_frame(h, (struct hand_frame){.function = "b", .filename = "b.c"});
    hand_stack(h, "0");
    hand_stack(h, "");
    hand_stack(h, "10");
    uint32_t one = hand_thread(h, "1", "Main");
    uint32_t two = hand_thread(h, "2", NULL);
    static const uint32_t stacks[] = {0, 0, 1, 2, 2};
    for (uint32_t i = 0; i < 5; i++)
        hand_sample(h, one, stacks[i], at + i);
    hand_sample(h, two, 2, at + 0.5);
    hand_sample(h, two, 2, at + 2.5);
}

#define MAIN_RUNS "\"samples\":[[0],[],[0,1]],\"weights\":[2000000000,1000000000,1000000000]}"
#define FRAMES                                                                         \
    "\"shared\":{\"frames\":[{\"name\":\"a\",\"file\":\"/a.c\",\"line\":1,\"col\":2}," \
    "{\"name\":\"b\",\"file\":\"b.c\"}]}}"

Test(export_speedscope, one_chunk)
{
    struct hand_profile h;
    make_chunk(&h, profiler_a, 1000);
    struct hand_part part = {.profile = &h};
    struct export_options options = {.name = BYTES("hour \"one\""), .active_thread = BYTES("2")};
    expect_file(
        &options, &part, 1,
        HEAD "\"name\":\"hour \\\"one\\\"\",\"profiles\":[" PROFILE("Main", "0", "4000000000")
            MAIN_RUNS
        "," PROFILE(
            "thread 2", "500000000",
            "2500000000") "\"samples\":[[0,1]],\"weights\":[2000000000]}],\"activeProfileIndex\":1," FRAMES);
}

/* Chunks come in any order; the second that no chunk covers is idle, and equal stacks on both
 * sides of it stay apart. */
Test(export_speedscope, chunks_of_one_profiler_follow_each_other)
{
    struct hand_profile early;
    struct hand_profile late;
    make_chunk(&early, profiler_a, 1000);
    make_chunk(&late, profiler_a, 1005);
    struct hand_part parts[] = {{.profile = &late, .thread = "1"},
                                {.profile = &early, .thread = "1"}};
    expect_file(
        &(struct export_options){0}, parts, 2,
        HEAD "\"profiles\":[" PROFILE(
            "Main", "0",
            "9000000000") "\"samples\":[[0],[],[0,1],[],[0],[],[0,1]],\"weights\":[2000000000,1000000000,"
                          "1000000000,1000000000,2000000000,1000000000,1000000000]}],"
                          "\"activeProfileIndex\":0," FRAMES);
}

/* Chunks that touch: the run goes on across the border. */
Test(export_speedscope, windows_cut_samples)
{
    struct hand_profile h;
    make_chunk(&h, profiler_a, 1000);
    struct hand_part parts[] = {
        {&h, "1", 1001500000000, 1002000000000},
        {&h, "1", 1002000000000, 1002250000000},
    };
    expect_file(
        &(struct export_options){0}, parts, 2,
        HEAD "\"profiles\":[" PROFILE(
            "Main", "0",
            "750000000") "\"samples\":[[0],[]],\"weights\":[500000000,250000000]}],\"activeProfileIndex\":0,"
                         "\"shared\":{\"frames\":[{\"name\":\"a\",\"file\":\"/a.c\",\"line\":1,\"col\":2}]}}");
    parts[0] = (struct hand_part){&h, "1", 1004000000000, 1005000000000};
    expect_file(
        &(struct export_options){0}, parts, 1,
        HEAD "\"profiles\":[" PROFILE(
            "no samples", "0",
            "0") "\"samples\":[],\"weights\":[]}],\"activeProfileIndex\":0,\"shared\":{\"frames\":[]}}");
}

Test(export_speedscope, equal_thread_ids_of_two_profilers_are_two_threads)
{
    struct hand_profile a;
    struct hand_profile b;
    make_chunk(&a, profiler_a, 1000);
    make_chunk(&b, profiler_b, 1001);
    struct hand_part parts[] = {{.profile = &b, .thread = "1"}, {.profile = &a, .thread = "1"}};
    expect_file(&(struct export_options){0}, parts, 2,
                HEAD "\"profiles\":[" PROFILE("Main [aaaaaaaa]", "0", "4000000000") MAIN_RUNS
                "," PROFILE("Main [bbbbbbbb]", "1000000000", "5000000000") MAIN_RUNS
                "],\"activeProfileIndex\":0," FRAMES);
}

Test(export_speedscope, overlapping_chunks_get_profiles_of_their_own)
{
    struct hand_profile a;
    struct hand_profile b;
    make_chunk(&a, profiler_a, 1000);
    make_chunk(&b, profiler_a, 1003);
    struct hand_part parts[] = {{.profile = &a, .thread = "1"}, {.profile = &b, .thread = "1"}};
    expect_file(&(struct export_options){0}, parts, 2,
                HEAD "\"profiles\":[" PROFILE("Main", "0", "4000000000") MAIN_RUNS
                "," PROFILE("Main (2)", "3000000000", "7000000000") MAIN_RUNS
                "],\"activeProfileIndex\":0," FRAMES);
}

/* Of 0-9, 1-5, 2-7, 5-6, 6-8, 8-9, 9-10: each goes where the earliest profile has room for it. */
Test(export_speedscope, overlapping_chunks_take_the_first_profile_that_has_room)
{
    struct hand_profile h;
    struct hand_part parts[] = {{&h, "1", 0, 9}, {&h, "1", 1, 5}, {&h, "1", 2, 7}, {&h, "1", 5, 6},
                                {&h, "1", 6, 8}, {&h, "1", 8, 9}, {&h, "1", 9, 10}};
    hand_profile_init(&h, PROFILE_TRANSACTION, "java");
    hand_frame(&h, (struct hand_frame){.function = "a"});
    hand_stack(&h, "0");
    uint32_t thread = hand_thread(&h, "1", "T");
    hand_sample(&h, thread, 0, 0);
    hand_sample(&h, thread, 0, 100);
    expect_file(
        &(struct export_options){0}, parts, 7,
        HEAD
        "\"profiles\":[" PROFILE("T", "0", "10") "\"samples\":[[0]],\"weights\":[10]}," PROFILE(
            "T (2)", "1",
            "9") "\"samples\":[[0]],\"weights\":[8]}," PROFILE("T (3)", "2",
                                                               "7") "\"samples\":[[0]],\"weights\":[5]}"
                                                                    "],\"activeProfileIndex\":0,\"shared\":{\"frames\":[{\"name\":\"a\"}]}}");
}

static size_t occurrences(struct bytes text, struct bytes word)
{
    size_t count = 0;
    for (size_t at = 0; at + word.len <= text.len; at++)
        count += memcmp(text.data + at, word.data, word.len) == 0;
    return count;
}

/* The deadline is what a look at every profile so far for every chunk would miss by far. */
Test(export_speedscope, chunks_that_all_overlap_take_no_longer_each, .timeout = 60)
{
    enum { COUNT = 200000 };
    static struct hand_part parts[COUNT];
    static struct hand_profile h;
    hand_profile_init(&h, PROFILE_TRANSACTION, "java");
    hand_frame(&h, (struct hand_frame){.function = "a"});
    hand_stack(&h, "0");
    uint32_t thread = hand_thread(&h, "1", "T");
    hand_sample(&h, thread, 0, 0);
    hand_sample(&h, thread, 0, 2 * COUNT);
    for (int64_t i = 0; i < COUNT; i++)
        parts[i] = (struct hand_part){&h, "1", i, COUNT + i};
    struct export_options options = {.format = EXPORT_SPEEDSCOPE};
    struct buffer out;
    struct errinfo info = {0};
    cr_assert_eq(hand_export(&options, parts, COUNT, NULL, &out, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(occurrences(buffer_bytes(&out), BYTES("\"weights\":[200000]")), COUNT);
    cr_expect_eq(occurrences(buffer_bytes(&out), BYTES("\"T (200000)\"")), 1);
    buffer_close(&out);
}

/* A chunk that does not know the thread's name belongs to the thread; another name does not. */
Test(export_speedscope, a_reused_thread_id_is_another_thread)
{
    struct hand_profile chunks[4];
    static const char *const names[] = {NULL, "worker", "other", NULL};
    struct hand_part parts[4] = {{0}};
    for (size_t i = 0; i < 4; i++) {
        hand_profile_init(&chunks[i], PROFILE_CHUNK, "java");
        hand_frame(&chunks[i], (struct hand_frame){.function = "a"});
        hand_stack(&chunks[i], "0");
        uint32_t thread = hand_thread(&chunks[i], "9", names[i]);
        hand_sample(&chunks[i], thread, 0, (double)i);
        hand_sample(&chunks[i], thread, 0, (double)i + 1);
        parts[i].profile = &chunks[i];
    }
    expect_file(
        &(struct export_options){0}, parts, 4,
        HEAD
        "\"profiles\":[" PROFILE("other", "2000000000", "4000000000") "\"samples\":[[0]],\"weights\":[2000000000]}," PROFILE(
            "worker", "0",
            "2000000000") "\"samples\":[[0]],\"weights\":[2000000000]}],\"activeProfileIndex\":0,"
                          "\"shared\":{\"frames\":[{\"name\":\"a\"}]}}");
}

Test(export_speedscope, the_ends_of_time_are_far_apart)
{
    struct hand_profile h;
    hand_profile_init(&h, PROFILE_TRANSACTION, "java");
    h.profile.timestamp_ns = -INT64_MAX;
    hand_frame(&h, (struct hand_frame){.function = "a"});
    hand_stack(&h, "0");
    uint32_t thread = hand_thread(&h, "1", NULL);
    hand_sample(&h, thread, 0, 0);
    hand_sample(&h, thread, 0, 1);
    h.sample_time[1] = UINT64_MAX;
    struct hand_part part = {.profile = &h};
    struct export_options options = {.name = BYTES("n")};
    static const char *const expected = HEAD "\"name\":\"n\",\"profiles\":[" PROFILE(
        "thread 1", "0",
        "18446744073709551614") "\"samples\":[[0]],\"weights\":[18446744073709551614]}],\"activeProfileIndex\":0,"
                                "\"shared\":{\"frames\":[{\"name\":\"a\"}]}}";
    expect_file(&options, &part, 1, expected);
}
