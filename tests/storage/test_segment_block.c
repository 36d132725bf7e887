#include <math.h>
#include <stdio.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "storage/format.h"
#include "tests/support/block_check.h"
#include "tests/support/hand_profile.h"
#include "tests/support/sdk_profile.h"
#include "tests/support/sealed_tables.h"

static struct hand_profile h;

struct outcome {
    size_t size;
    bool shared;
    bool summable;
};

static void check_decoded(const struct profile *p, const struct sealed_tables *sealed,
                          struct bytes block, const char *what)
{
    struct arena arena;
    struct errinfo info = {0};
    struct profile back = block_check_row(p);
    arena_init(&arena, 64 << 20, NULL);
    cr_assert_eq(segment_block_decode(block, sealed->cursor, &arena, &back, &info), ERR_OK,
                 "%s: %s", what, info.text);
    const char *difference = block_check_equal(p, &back);
    cr_assert_null(difference, "%s: %s", what, difference);
    cr_assert_eq(back.strings[0].len, 0);
    arena_close(&arena);
}

static void check_summed(const struct profile *p, struct tables_builder *b,
                         const struct sealed_tables *sealed, struct bytes block, const char *what)
{
    struct arena arena;
    struct errinfo info = {0};
    struct tables_mapping map;
    struct block_sum sum;
    arena_init(&arena, 64 << 20, NULL);
    cr_assert_eq(tables_builder_add(b, p, &arena, &map, NULL), ERR_OK);
    cr_assert_eq(segment_block_sum(block, p->kind, &sealed->tables.counts, &arena, &sum, &info),
                 ERR_OK, "%s: %s", what, info.text);
    const char *difference = block_check_sum(p, &map, &sum);
    cr_assert_null(difference, "%s: %s", what, difference);
    arena_close(&arena);
}

/* There and back, and its sum; what became of it. */
static struct outcome check(const struct profile *p, const char *what)
{
    struct outcome o = {0};
    struct buffer out;
    struct sealed_tables sealed;
    struct tables_builder *b = NULL;
    struct errinfo info = {0};
    buffer_init(&out, 64 << 20, NULL);
    cr_assert_eq(tables_builder_create(&sealed_rules, NULL, &b), ERR_OK);
    cr_assert_eq(segment_block_encode(p, b, &out, &o.summable, &info), ERR_OK, "%s: %s", what,
                 info.text);
    sealed_tables_open(&sealed, b);
    check_decoded(p, &sealed, buffer_bytes(&out), what);
    o.size = out.len;
    o.shared = out.data[0] == FORMAT_BLOCK_SHARED;
    cr_assert(o.shared || !o.summable);
    if (o.summable)
        check_summed(p, b, &sealed, buffer_bytes(&out), what);
    sealed_tables_close(&sealed);
    tables_builder_destroy(b);
    buffer_close(&out);
    cr_assert_eq(mem_outstanding(), 0);
    return o;
}

/* Three frames, three stacks, two threads that waited and worked. */
static void build(enum profile_kind kind)
{
    hand_profile_init(&h, kind, "python");
    hand_frame(&h, (struct hand_frame){.function = "work", .module = "app", .line = 3});
    hand_frame(&h, (struct hand_frame){.function = "main", .module = "app", .line = 9});
    hand_frame(&h, (struct hand_frame){.function = "wait", .module = "lib"});
    hand_stack(&h, "01");
    hand_stack(&h, "21");
    hand_stack(&h, "1");
    hand_thread(&h, "1", "main");
    hand_thread(&h, "2", "worker");
    for (unsigned i = 0; i < 20; i++) {
        double when = kind == PROFILE_CHUNK ? 1795337000 + i * 0.01 : i * 10000000.0;
        hand_sample(&h, 0, i < 4 ? 0 : i % 3, when);
        hand_sample(&h, 1, 1, when);
    }
    if (kind == PROFILE_CHUNK)
        return;
    h.profile.timestamp_ns = INT64_C(1795337241601448000);
    h.profile.timestamp_text = hand_string(&h, "2026-11-22T08:47:21.601448Z");
    h.profile.transaction = hand_string(&h, "/checkout");
    h.profile.active_thread = hand_string(&h, "2");
    h.profile.segment_id = hand_string(&h, "ba6bba9fc319b63a");
}

static void check_shared(const char *what)
{
    struct outcome o = check(&h.profile, what);
    cr_assert(o.shared && o.summable, "%s", what);
}

Test(segment_block, chunks_and_transactions_come_back)
{
    build(PROFILE_CHUNK);
    check_shared("chunk");
    build(PROFILE_TRANSACTION);
    check_shared("transaction");
}

Test(segment_block, nothing_comes_back_as_nothing)
{
    static const uint32_t flags[] = {0,
                                     PROFILE_FRAMES_NULL,
                                     PROFILE_STACKS_NULL,
                                     PROFILE_SAMPLES_NULL,
                                     PROFILE_THREADS_NULL,
                                     PROFILE_SAMPLED,
                                     31,
                                     UINT32_MAX};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        hand_profile_init(&h, i % 2 == 0 ? PROFILE_CHUNK : PROFILE_TRANSACTION, "");
        h.profile.flags = flags[i];
        check_shared("empty");
        build(PROFILE_CHUNK);
        h.profile.flags = flags[i];
        check_shared("not empty");
    }
}

Test(segment_block, odd_documents_come_back)
{
    build(PROFILE_CHUNK);
    hand_stack(&h, "");
    hand_sample(&h, 1, 3, 1795337000.5);
    hand_sample(&h, 1, 3, 1795337000.6);
    check_shared("empty stack");

    build(PROFILE_CHUNK);
    hand_frame(&h, (struct hand_frame){.function = "never"});
    check_shared("frame that no stack has");

    build(PROFILE_CHUNK);
    hand_stack(&h, "2");
    hand_stack(&h, "10");
    check_shared("stacks that no sample has");

    build(PROFILE_CHUNK);
    h.frame_list[2] = h.frame_list[0];
    check_shared("a frame twice, in other stacks");

    build(PROFILE_CHUNK);
    hand_frame(&h, (struct hand_frame){.function = "work", .module = "app", .line = 3});
    hand_stack(&h, "31"); /* the path of stack 0, by another number */
    hand_sample(&h, 0, 3, 1795337000.5);
    check_shared("a stack twice, by equal frames");

    build(PROFILE_CHUNK);
    hand_stack(&h, "01");
    hand_sample(&h, 1, 3, 1795337000.5);
    hand_sample(&h, 1, 0, 1795337000.6);
    hand_sample(&h, 1, 3, 1795337000.7);
    check_shared("a stack twice");

    build(PROFILE_CHUNK);
    hand_thread(&h, "2", "worker");
    hand_thread(&h, "", NULL);
    h.threads[3].priority = UINT32_MAX;
    h.threads[3].known = 1;
    hand_sample(&h, 2, 0, 1795337000.5);
    hand_sample(&h, 2, 1, 1795337000.6);
    check_shared("threads that are equal, and without samples");

    build(PROFILE_CHUNK);
    for (unsigned i = 0; i < 5; i++)
        hand_sample(&h, 0, i % 2, 1795337000.5);
    check_shared("many samples of a thread at one time");

    hand_profile_init(&h, PROFILE_CHUNK, "python");
    hand_frame(&h, (struct hand_frame){0});
    hand_stack(&h, "0");
    hand_thread(&h, "1", NULL);
    hand_sample(&h, 0, 0, 1795337000);
    check_shared("one sample of a frame without anything");
}

Test(segment_block, odd_times_come_back)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, -1, 0, 1e300, -0.0, 5e-324, 0.1, 1e9};
    size_t count = sizeof odd / sizeof odd[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            build(PROFILE_CHUNK);
            hand_sample(&h, 0, 0, odd[i]);
            hand_sample(&h, 0, 1, odd[k]);
            struct outcome o = check(&h.profile, "odd times");
            cr_assert_eq(o.summable, profile_check(&h.profile, NULL) == ERR_OK);
        }
    }
    build(PROFILE_TRANSACTION);
    for (unsigned i = 0; i < h.profile.sample_count; i++)
        h.sample_time[i] = UINT64_MAX - i % 3;
    (void)check(&h.profile, "elapsed times that overflow");
    h.profile.timestamp_ns = INT64_MIN;
    (void)check(&h.profile, "a timestamp before all");
}

Test(segment_block, marks_come_back)
{
    static uint32_t queue[HAND_ROOM];
    static uint8_t idle[HAND_ROOM];
    build(PROFILE_CHUNK);
    for (size_t i = 0; i < h.profile.sample_count; i++) {
        queue[i] = i < 10 ? 0 : hand_string(&h, i % 7 == 0 ? "0x16b0" : "0x16b1");
        idle[i] = i % 3 == 0;
    }
    h.profile.sample_queue = queue;
    check_shared("queues");
    h.profile.sample_idle = idle;
    check_shared("queues and idle marks");
    h.profile.sample_queue = NULL;
    check_shared("idle marks");
    h.profile.sample_count = 0;
    check_shared("marks of no sample");
}

Test(segment_block, texts_that_could_follow_but_do_not_come_back)
{
    static const char *const moments[] = {"2026-11-22T08:47:21.601448Z",
                                          "2026-11-22T08:47:21.601448+00:00",
                                          "2026-11-22T08:47:21.601448000Z",
                                          "2026-11-22T08:47:21.6014480000Z",
                                          "2026-11-22T08:47:21.60Z",
                                          "2026-11-22T08:47:21Z",
                                          "2026-11-22T08:47:21.Z",
                                          "2026-11-22T08:47:21+00:00",
                                          "2026-11-22T09:47:21.601448+01:00",
                                          "2026-11-22 08:47:21.601448Z",
                                          "2026-11-22T08:47:22.601448Z",
                                          "+00:00",
                                          "Z",
                                          ""};
    static const char *const ids[] = {"ba6bba9fc319b63a", "BA6BBA9FC319B63A", "ba6bba9fc319b63",
                                      "0000000000000000", "ga6bba9fc319b63a", ""};
    static const int64_t times[] = {
        INT64_C(1795337241601448000), 0, -1, INT64_MIN, INT64_MAX, INT64_MIN + 1000000000,
        INT64_C(1795337241000000000)};
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
        for (size_t k = 0; k < sizeof times / sizeof times[0]; k++) {
            build(PROFILE_TRANSACTION);
            h.profile.timestamp_text = hand_string(&h, moments[i]);
            h.profile.timestamp_ns = times[k];
            cr_assert(check(&h.profile, moments[i]).shared);
        }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        build(PROFILE_TRANSACTION);
        h.profile.segment_id = hand_string(&h, ids[i]);
        check_shared(ids[i]);
    }
    build(PROFILE_TRANSACTION);
    h.profile.active_thread = hand_string(&h, "77");
    check_shared("active thread that is none");
}

Test(segment_block, any_rest_comes_back)
{
    static char large[100000];
    static const size_t sizes[] = {1, 2, 100, KIB(4), KIB(4) + 1, sizeof large};
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('0' + (i * i / 7) % 10);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        build(PROFILE_CHUNK);
        h.profile.rest = bytes_of(large, sizes[i]);
        check_shared("rest");
    }
}

/* Numbers stand apart, in documents whose rest is a text of the tables and in larger ones. */
Test(segment_block, a_rest_with_numbers_comes_back)
{
    static char text[60000];
    for (unsigned count = 1; count < 1000; count *= 3) {
        size_t len = (size_t)snprintf(text, sizeof text, "{\"measurements\":{\"values\":[");
        for (unsigned i = 0; i < count; i++)
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "%s{\"value\":0.%u1,\"timestamp\":17953371874%u.5}",
                                    i == 0 ? "" : ",", 439268 + i * i % 1000, 16000 + i);
        len += (size_t)snprintf(text + len, sizeof text - len, "]}}");
        build(PROFILE_CHUNK);
        size_t without = check(&h.profile, "no rest").size;
        h.profile.rest = bytes_of(text, len);
        check_shared("numbers");
        cr_assert_lt(check(&h.profile, "numbers").size, without + 150 + 3 * count);
    }
}

Test(segment_block, documents_with_bad_indices_are_kept_as_a_whole)
{
    build(PROFILE_CHUNK);
    h.node_frame[1] = 99;
    struct outcome o = check(&h.profile, "frame of a node");
    cr_assert(!o.shared && !o.summable);
    build(PROFILE_CHUNK);
    h.sample_stack[3] = UINT32_MAX;
    o = check(&h.profile, "stack of a sample");
    cr_assert(!o.shared && !o.summable);
}

Test(segment_block, times_out_of_order_are_shared_and_not_summed)
{
    build(PROFILE_CHUNK);
    hand_sample(&h, 0, 0, 1795336999);
    struct outcome o = check(&h.profile, "time goes back");
    cr_assert(o.shared && !o.summable);
}

Test(segment_block, what_has_no_shape_is_refused)
{
    struct tables_builder *b = NULL;
    struct buffer out;
    struct errinfo info = {0};
    bool summable;
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(tables_builder_create(&sealed_rules, NULL, &b), ERR_OK);
    build(PROFILE_CHUNK);
    h.frame_list[0] = 99;
    cr_assert_eq(segment_block_encode(&h.profile, b, &out, &summable, &info), ERR_CORRUPT);
    cr_assert_str_eq(info.text, "profile: listed frame 0 is 99, expected below 3");
    cr_assert_eq(out.len, 0);
    tables_builder_destroy(b);
    buffer_close(&out);
}

Test(segment_block, a_second_chunk_of_a_process_costs_a_few_bytes)
{
    struct tables_builder *b = NULL;
    struct buffer out;
    bool summable;
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(tables_builder_create(&sealed_rules, NULL, &b), ERR_OK);
    build(PROFILE_CHUNK);
    cr_assert_eq(segment_block_encode(&h.profile, b, &out, &summable, NULL), ERR_OK);
    struct segment_tables_counts before = tables_builder_counts(b);
    buffer_clear(&out);
    cr_assert_eq(segment_block_encode(&h.profile, b, &out, &summable, NULL), ERR_OK);
    struct segment_tables_counts after = tables_builder_counts(b);
    cr_assert_eq(memcmp(&before, &after, sizeof before), 0);
    cr_assert_lt(out.len, 50, "%zu bytes", out.len);
    tables_builder_destroy(b);
    buffer_close(&out);
}

Test(segment_block, of_another_kind_is_refused)
{
    struct arena arena;
    struct sealed_tables sealed;
    struct tables_builder *b = NULL;
    struct profile p = {.kind = PROFILE_CHUNK};
    struct block_sum sum;
    struct errinfo info = {0};
    arena_init(&arena, 1 << 20, NULL);
    cr_assert_eq(tables_builder_create(&sealed_rules, NULL, &b), ERR_OK);
    sealed_tables_open(&sealed, b);
    cr_assert_eq(segment_block_decode(BYTES("\x09x"), sealed.cursor, &arena, &p, &info),
                 ERR_UNSUPPORTED);
    cr_assert_str_eq(info.text, "block: kind 9, expected 1 or 2");
    cr_assert_eq(segment_block_decode((struct bytes){0}, sealed.cursor, &arena, &p, &info),
                 ERR_CORRUPT);
    cr_assert_eq(segment_block_sum(BYTES("\x02x"), PROFILE_CHUNK, &sealed.tables.counts, &arena,
                                   &sum, &info),
                 ERR_CORRUPT);
    cr_assert_str_eq(info.text, "block: none that can be summed");
    sealed_tables_close(&sealed);
    tables_builder_destroy(b);
    arena_close(&arena);
}

/* A shared block whose numbers lead nowhere in the tables. */
Test(segment_block, of_other_tables_is_refused)
{
    struct arena arena;
    struct buffer out;
    struct sealed_tables sealed;
    struct tables_builder *b = NULL, *other = NULL;
    struct block_sum sum;
    struct errinfo info = {0};
    bool summable;
    buffer_init(&out, 1 << 20, NULL);
    arena_init(&arena, 1 << 20, NULL);
    cr_assert_eq(tables_builder_create(&sealed_rules, NULL, &b), ERR_OK);
    cr_assert_eq(tables_builder_create(&sealed_rules, NULL, &other), ERR_OK);
    build(PROFILE_CHUNK);
    cr_assert_eq(segment_block_encode(&h.profile, b, &out, &summable, NULL), ERR_OK);
    sealed_tables_open(&sealed, other);
    struct profile p = block_check_row(&h.profile);
    cr_assert_eq(segment_block_decode(buffer_bytes(&out), sealed.cursor, &arena, &p, &info),
                 ERR_CORRUPT);
    cr_assert_str_eq(info.text, "thread 0 of 0 in the tables");
    cr_assert_eq(
        segment_block_sum(buffer_bytes(&out), p.kind, &sealed.tables.counts, &arena, &sum, &info),
        ERR_CORRUPT);
    cr_assert_str_eq(info.text, "thread 0 of 0 in the tables");
    sealed_tables_close(&sealed);
    tables_builder_destroy(b);
    tables_builder_destroy(other);
    buffer_close(&out);
    arena_close(&arena);
}

/* Fail every allocation in turn: an error or a good block, nothing left behind. */
Test(segment_block, any_want_of_memory_is_an_error_or_makes_a_whole_block)
{
    struct arena arena;
    struct profile p;
    struct rng rng = rng_seeded(5);
    unsigned failed = 0;
    bool fired = true;
    arena_init(&arena, 16 << 20, NULL);
    sdk_profile(&rng, &arena, SDK_MIXED, 0, 50, &p);
    size_t outstanding = mem_outstanding();
    for (size_t nth = 1; fired; nth++) {
        struct tables_builder *b = NULL;
        struct buffer out;
        bool summable = false;
        buffer_init(&out, 1 << 20, NULL);
        mem_fail_at(nth);
        enum err rc = tables_builder_create(&sealed_rules, NULL, &b);
        if (rc == ERR_OK)
            rc = segment_block_encode(&p, b, &out, &summable, NULL);
        void *probe = mem_alloc(1); /* takes the failure when nothing else has */
        fired = probe != NULL;
        mem_free(probe);
        mem_fail_at(0);
        cr_assert(rc == ERR_OK || rc == ERR_NOMEM);
        failed += rc != ERR_OK;
        if (rc == ERR_OK) {
            struct sealed_tables sealed;
            sealed_tables_open(&sealed, b);
            check_decoded(&p, &sealed, buffer_bytes(&out), "after a failure");
            sealed_tables_close(&sealed);
        }
        tables_builder_destroy(b);
        buffer_close(&out);
        cr_assert_eq(mem_outstanding(), outstanding);
    }
    cr_assert_gt(failed, 0);
    arena_close(&arena);
}
