#include <stdio.h>

#include <criterion/criterion.h>

#include "engine/flamechart.h"
#include "tests/support/hand_profile.h"
#include "tests/support/query_store.h"

#define T0    1795336832.0
#define T0_NS INT64_C(1795336832000000000)

struct tick {
    double at;
    const char *stack; /* leaf first; NULL: another thread's sample */
};

static void add_chunk(struct query_store *q, uint32_t chunk, const struct tick *ticks, size_t count)
{
    static struct hand_profile h;

    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.profiler_id = query_id(1);
    h.profile.id = query_id(chunk);
    hand_frame(&h, (struct hand_frame){.function = "a"});
    hand_frame(&h, (struct hand_frame){.function = "b"});
    hand_frame(&h, (struct hand_frame){.function = "c"});
    hand_frame(&h, (struct hand_frame){.function = "b"});
    uint32_t mine = hand_thread(&h, "1", "main");
    uint32_t other = hand_thread(&h, "2", NULL);
    uint32_t noise = hand_stack(&h, "2");
    for (size_t i = 0; i < count; i++) {
        if (ticks[i].stack == NULL)
            hand_sample(&h, other, noise, T0 + ticks[i].at);
        else
            hand_sample(&h, mine, hand_stack(&h, ticks[i].stack), T0 + ticks[i].at);
    }
    query_store_add(q, &h.profile);
}

static char *chart(struct query_store *q, const struct flamechart_options *options,
                   struct coverage *ret)
{
    static char text[1024];
    struct snapshot *snap = snapshot_acquire(q->store, NULL);
    struct selection_request request = {.project_id = 2};
    struct selection *s = NULL;
    struct flamechart *f = NULL;
    struct errinfo info = {0};
    size_t len = 0;

    cr_assert_eq(selection_make(snap, &request, &q->arena, &s, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(flamechart_build(s, options, &q->arena, &f, &info), ERR_OK, "%s", info.text);
    *ret = s->coverage;
    text[0] = '\0';
    for (size_t i = 0; i < f->span_count; i++) {
        struct bytes name = f->frames[f->spans[i].frame].function;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u%.*s:%g-%g", i ? " " : "",
                                f->spans[i].depth, (int)name.len, (const char *)name.data,
                                (double)(f->spans[i].start_ns - T0_NS) / 1e9,
                                (double)(f->spans[i].end_ns - T0_NS) / 1e9);
    }
    selection_destroy(s);
    snapshot_release(snap);
    return text;
}

Test(flamechart, runs_of_shared_frames_are_spans)
{
    static const struct tick first[] = {{0, "0"},     {0.25, NULL}, {0.5, "10"}, {1, "210"},
                                        {1.5, "10"},  {2, "1"},     {2.5, ""},   {3, "1"},
                                        {3.25, NULL}, {3.5, "1"}};
    static const struct tick second[] = {{3.5, "1"}, {4, "1"}};
    static const char all[] = "0a:0-2 1b:0.5-2 2c:1-1.5 0b:2-2.5 0b:3-3.5 0b:3.5-4";
    struct query_store q;
    struct coverage c;
    struct flamechart_options options = {.span_max = 100};

    query_store_open(&q);
    add_chunk(&q, 1, first, sizeof(first) / sizeof(first[0]));
    add_chunk(&q, 2, second, sizeof(second) / sizeof(second[0]));
    cr_assert_str_eq(chart(&q, &options, &c), all, "the busiest thread is taken");
    cr_assert_eq(c.left_out_count, 0);
    options.thread = BYTES("1");
    cr_assert_str_eq(chart(&q, &options, &c), all);
    options.thread = BYTES("2");
    cr_assert_str_eq(chart(&q, &options, &c), "0c:0.25-3.25");
    options.thread = BYTES("none");
    cr_assert_str_eq(chart(&q, &options, &c), "");
    options = (struct flamechart_options){.span_max = 2};
    cr_assert_str_eq(chart(&q, &options, &c), "0a:0-2 1b:0.5-2");
    cr_assert_eq(c.left_out_count, 1);
    cr_assert_str_eq(c.left_out[0].what, "spans");
    cr_assert_eq(c.left_out[0].count, 4);
    query_store_close(&q);
}

/* Frame 3 is frame 1 again, in a place of its own in the document. */
Test(flamechart, equal_frames_are_one_span_whatever_their_place_in_the_stacks)
{
    static const struct tick ticks[] = {{0, "210"}, {1, "230"}, {2, "23"}, {3, "20"},
                                        {4, "210"}, {5, "210"}, {6, ""},   {7, "0"}};
    struct query_store q;
    struct coverage c;
    struct flamechart_options options = {.span_max = 100, .thread = BYTES("1")};

    query_store_open(&q);
    add_chunk(&q, 1, ticks, sizeof(ticks) / sizeof(ticks[0]));
    cr_assert_str_eq(chart(&q, &options, &c),
                     "0a:0-2 1b:0-2 2c:0-2 0b:2-3 1c:2-3 0a:3-6 1c:3-4 1b:4-6 2c:4-6");
    query_store_close(&q);
}

/* A sampler's own thread is on the stack at every tick, work is not: work is what a chart is for. */
Test(flamechart, without_a_thread_the_one_with_most_application_time_is_shown_and_counted)
{
    static struct hand_profile h;
    struct query_store q;
    struct coverage c;
    struct flamechart_options options = {.span_max = 100};

    query_store_open(&q);
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.profiler_id = query_id(1);
    h.profile.id = query_id(1);
    hand_frame(&h, (struct hand_frame){.function = "run", .module = "sentry_sdk.profiler"});
    hand_frame(&h, (struct hand_frame){.function = "work", .module = "shop"});
    hand_frame(&h, (struct hand_frame){.function = "dumps", .module = "json"});
    uint32_t sampler = hand_thread(&h, "1", "sampler");
    uint32_t worker = hand_thread(&h, "2", "worker");
    uint32_t sampling = hand_stack(&h, "0");
    uint32_t working = hand_stack(&h, "21"); /* application code further out */
    for (unsigned i = 0; i < 8; i++)
        hand_sample(&h, sampler, sampling, T0 + 0.5 * i);
    hand_sample(&h, worker, working, T0 + 1);
    hand_sample(&h, worker, working, T0 + 1.5);
    query_store_add(&q, &h.profile);
    cr_assert_str_eq(chart(&q, &options, &c), "0work:1-1.5 1dumps:1-1.5");
    cr_assert_eq(c.threads, 1);
    cr_assert_eq(c.samples, 1);
    cr_assert_eq(c.total_ns, 500000000);
    query_store_close(&q);
}
