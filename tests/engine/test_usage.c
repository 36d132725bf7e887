#include <criterion/criterion.h>

#include "engine/usage.h"
#include "tests/support/hand_profile.h"
#include "tests/support/query_store.h"

#define T0    1795336832.0
#define T0_NS INT64_C(1795336832000000000)
#define S     INT64_C(1000000000)

static void add(struct query_store *q, enum profile_kind kind, uint32_t id, const char *rest)
{
    static struct hand_profile h;

    hand_profile_init(&h, kind, "node");
    h.profile.profiler_id = kind == PROFILE_CHUNK ? query_id(1) : (struct uuid){{0}};
    h.profile.id = query_id(id);
    h.profile.timestamp_ns = T0_NS;
    h.profile.rest = bytes_of_text(rest);
    hand_frame(&h, (struct hand_frame){.function = "a"});
    uint32_t thread = hand_thread(&h, "0", NULL);
    uint32_t busy = hand_stack(&h, "0");
    uint32_t idle = hand_stack(&h, "");
    for (unsigned i = 0; i <= 4; i++) /* busy 0-1, idle 1-2, busy 2-3, idle 3-4 */
        hand_sample(&h, thread, i % 2 == 0 ? busy : idle, kind == PROFILE_CHUNK ? T0 + i : 1e9 * i);
    query_store_add(q, &h.profile);
}

static struct usage *ask(struct query_store *q, size_t buckets, struct coverage *ret)
{
    struct snapshot *snap = snapshot_acquire(q->store, NULL);
    struct selection_request request = {.project_id = 2};
    struct usage_options options = {.bucket_count = buckets};
    struct selection *s = NULL;
    struct usage *u = NULL;
    struct errinfo info = {0};

    cr_assert_eq(selection_make(snap, &request, &q->arena, &s, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(usage_build(s, &options, &q->arena, &u, &info), ERR_OK, "%s", info.text);
    *ret = s->coverage;
    selection_destroy(s);
    snapshot_release(snap);
    return u;
}

Test(usage, comes_from_samples_when_nothing_was_measured)
{
    struct query_store q;
    struct coverage c;
    double percent;

    query_store_open(&q);
    add(&q, PROFILE_CHUNK, 1, "{}");
    struct usage *u = ask(&q, 8, &c); /* half a second each */
    cr_assert_eq(u->bucket_count, 8);
    cr_assert_eq(u->bucket_ns, S / 2);
    cr_assert_not(u->cpu_measured);
    for (size_t i = 0; i < 8; i++) {
        bool busy = i % 4 < 2;
        cr_assert_eq(u->buckets[i].busy_ns, busy ? S / 2 : 0);
        cr_assert_eq(u->buckets[i].idle_ns, busy ? 0 : S / 2);
        cr_assert_eq(u->buckets[i].samples, i % 2 == 0);
        cr_assert(usage_cpu_percent(u, i, &percent));
        cr_assert_float_eq(percent, busy ? 100 : 0, 1e-9);
    }
    u = ask(&q, 3, &c); /* the last bucket is cut */
    cr_assert_eq(u->bucket_count, 3);
    cr_assert_eq(u->buckets[0].busy_ns + u->buckets[1].busy_ns + u->buckets[2].busy_ns, 2 * S);
    query_store_close(&q);
}

Test(usage, measurements_in_any_unit_of_time)
{
    static const struct {
        enum profile_kind kind;
        const char *rest;
        double cpu[4]; /* -1: none */
        double memory[4];
        unsigned left_out;
    } cases[] = {
        /* seconds */
        {PROFILE_CHUNK,
         "{\"measurements\":{\"cpu_usage\":{\"unit\":\"percent\",\"values\":["
         "{\"timestamp\":1795336832.5,\"value\":10},{\"value\":30,\"timestamp\":1795336832.75},"
         "{\"timestamp\":1795336835.5,\"value\":7.5},{\"timestamp\":5,\"value\":99}]}}}",
         {20, -1, -1, 7.5},
         {-1, -1, -1, -1},
         0},
        /* Node: milliseconds */
        {PROFILE_CHUNK,
         "{\"debug_meta\":{},\"measurements\":{\"memory_footprint\":{\"unit\":\"byte\",\"values\":["
         "{\"value\":1000,\"timestamp\":1795336833500.25}]},\"cpu_usage\":{\"values\":["
         "{\"value\":0.5,\"timestamp\":1795336832000.5}]}}}",
         {0.5, -1, -1, -1},
         {-1, 1000, -1, -1},
         0},
        /* transaction profiles: nanoseconds since their start, numbers as text too */
        {PROFILE_TRANSACTION,
         "{\"measurements\":{\"cpu_usage\":{\"unit\":\"percent\",\"values\":["
         "{\"elapsed_since_start_ns\":\"1500000000\",\"value\":\"42.5\"},"
         "{\"elapsed_since_start_ns\":2500000000,\"value\":1}]}}}",
         {-1, 42.5, 1, -1},
         {-1, -1, -1, -1},
         0},
        /* other shapes are not ours to read */
        {PROFILE_CHUNK,
         "{\"measurements\":{\"cpu_usage\":{\"values\":null},\"memory_footprint\":{\"values\":[3]}}}",
         {100, 0, 100, 0},
         {-1, -1, -1, -1},
         1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct query_store q;
        struct coverage c;
        query_store_open(&q);
        add(&q, cases[i].kind, 1, cases[i].rest);
        struct usage *u = ask(&q, 4, &c);
        cr_assert_eq(u->bucket_count, 4);
        for (size_t b = 0; b < 4; b++) {
            double percent = -1;
            (void)usage_cpu_percent(u, b, &percent);
            cr_assert_float_eq(percent, cases[i].cpu[b], 1e-9, "case %zu bucket %zu: %g", i, b,
                               percent);
            double memory = u->buckets[b].memory_count == 0 ? -1 : u->buckets[b].memory_sum;
            cr_assert_float_eq(memory, cases[i].memory[b], 1e-9, "case %zu bucket %zu", i, b);
        }
        cr_assert_eq(c.left_out_count, cases[i].left_out, "case %zu", i);
        cr_assert_eq(c.chunks_used + c.profiles_used, 1);
        query_store_close(&q);
    }
}

static struct usage *ask_for(struct query_store *q, const struct selection_request *request,
                             size_t buckets, struct coverage *ret)
{
    struct snapshot *snap = snapshot_acquire(q->store, NULL);
    struct usage_options options = {.bucket_count = buckets};
    struct selection *s = NULL;
    struct usage *u = NULL;
    struct errinfo info = {0};

    cr_assert_eq(selection_make(snap, request, &q->arena, &s, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(usage_build(s, &options, &q->arena, &u, &info), ERR_OK, "%s", info.text);
    *ret = s->coverage;
    selection_destroy(s);
    snapshot_release(snap);
    return u;
}

/* V8 says that it waits by a frame without a place; a function of that name has one. */
Test(usage, waiting_of_v8_is_idle)
{
    static struct hand_profile h;
    struct query_store q;
    struct coverage c;

    query_store_open(&q);
    hand_profile_init(&h, PROFILE_CHUNK, "node");
    h.profile.profiler_id = query_id(1);
    h.profile.id = query_id(1);
    hand_frame(&h, (struct hand_frame){.function = "(root)"});
    hand_frame(&h, (struct hand_frame){.function = "(idle)", .in_app = IN_APP_FALSE});
    hand_frame(&h, (struct hand_frame){.function = "(idle)", .filename = "x.js"});
    hand_frame(&h, (struct hand_frame){.function = "(idle)", .platform = "python"});
    uint32_t thread = hand_thread(&h, "0", NULL);
    hand_sample(&h, thread, hand_stack(&h, "10"), T0);
    hand_sample(&h, thread, hand_stack(&h, "20"), T0 + 1);
    hand_sample(&h, thread, hand_stack(&h, "30"), T0 + 2);
    hand_sample(&h, thread, hand_stack(&h, "01"), T0 + 3); /* something below it: not idle */
    hand_sample(&h, thread, hand_stack(&h, "0"), T0 + 4);
    query_store_add(&q, &h.profile);
    struct usage *u = ask(&q, 4, &c);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(u->buckets[i].idle_ns, i == 0 ? S : 0, "bucket %zu", i);
    cr_assert_eq(u->buckets[3].busy_ns, S);
    query_store_close(&q);
}

Test(usage, buckets_hold_every_sample_of_any_window)
{
    static struct hand_profile h;
    static const struct {
        bool bounds;
        struct span_ns window;
        size_t buckets;
    } cases[] = {
        {false, {0}, 1},
        {false, {0}, 4},
        {true, {INT64_MIN, INT64_MAX}, 1},
        {true, {INT64_MIN, INT64_MAX}, 2},
        {true, {INT64_MIN, INT64_MAX}, 10000},
        {true, {T0_NS, INT64_MAX}, 3},
    };
    struct query_store q;

    query_store_open(&q);
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.profiler_id = query_id(1);
    h.profile.id = query_id(1);
    hand_frame(&h, (struct hand_frame){.function = "a"});
    uint32_t thread = hand_thread(&h, "0", NULL);
    uint32_t stack = hand_stack(&h, "0");
    hand_sample(&h, thread, stack, T0);
    hand_sample(&h, thread, stack, T0 + 2);
    hand_sample(&h, thread, stack, T0 + 2); /* closes a sample that took no time */
    query_store_add(&q, &h.profile);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct coverage c;
        struct selection_request request = {.project_id = 2,
                                            .has_start = cases[i].bounds,
                                            .has_end = cases[i].bounds,
                                            .window = cases[i].window};
        struct usage *u = ask_for(&q, &request, cases[i].buckets, &c);
        uint64_t samples = 0;
        uint64_t busy_ns = 0;
        for (size_t b = 0; b < u->bucket_count; b++) {
            samples += u->buckets[b].samples;
            busy_ns += u->buckets[b].busy_ns;
        }
        cr_assert_eq(samples, c.samples, "case %zu: %lu of %lu", i, samples, c.samples);
        cr_assert_eq(busy_ns, c.total_ns, "case %zu: %lu of %lu", i, busy_ns, c.total_ns);
        cr_assert_gt(u->bucket_ns, 0, "case %zu", i);
        cr_assert_eq(u->bucket_count, cases[i].buckets, "case %zu: %zu", i, u->bucket_count);
    }
    query_store_close(&q);
}
