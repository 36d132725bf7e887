#include <inttypes.h>
#include <stdio.h>

#include <criterion/criterion.h>

#include "tests/support/hand_export.h"
#include "tests/support/rng.h"

static const struct export_options in_samples = {.format = EXPORT_FOLDED, .unit = EXPORT_SAMPLES};
static const struct export_options in_us = {.format = EXPORT_FOLDED, .unit = EXPORT_MICROSECONDS};

static void expect_text(const struct export_options *options, const struct hand_part *parts,
                        size_t count, const char *expected)
{
    struct buffer out;
    struct errinfo info = {0};
    enum err rc = hand_export(options, parts, count, NULL, &out, &info);
    cr_assert_eq(rc, ERR_OK, "%s", info.text);
    cr_expect(bytes_equal(buffer_bytes(&out), bytes_of_text(expected)), "expected\n%s\ngot\n%.*s",
              expected, (int)out.len, (const char *)out.data);
    buffer_close(&out);
}

Test(export_folded, labels)
{
    struct hand_profile h;
    hand_profile_init(&h, PROFILE_TRANSACTION, "python");
    hand_frame(&h, (struct hand_frame){.function = "a\r\nb;c", .module = "m"});
    hand_frame(&h, (struct hand_frame){.instruction_addr = "0x1f"});
    hand_frame(&h, (struct hand_frame){.filename = "x.py"});
    hand_frame(&h, (struct hand_frame){.function = "f", .package = "/lib/libz.so"});
    hand_frame(&h, (struct hand_frame){.function = "f", .module = "M", .platform = "java"});
    for (uint32_t i = 0; i < 5; i++)
        hand_stack(&h, (const char[]){(char)('0' + i), '\0'});
    uint32_t thread = hand_thread(&h, "1", NULL);
    for (uint32_t i = 0; i < 6; i++)
        hand_sample(&h, thread, i == 5 ? 0 : i, i * 1000.0);
    struct hand_part part = {.profile = &h};
    expect_text(&in_samples, &part, 1, "(unknown) 1\n0x1f 1\nf 1\nlibz.f 1\nm.a  b:c 1\n");
}

/* 499 ns round to nothing and leave no line; 500 ns are a microsecond. */
Test(export_folded, weights_are_rounded_half_up_and_idle_time_is_left_out)
{
    struct hand_profile h;
    hand_profile_init(&h, PROFILE_TRANSACTION, "node");
    hand_frame(&h, (struct hand_frame){.function = "a"});
    hand_frame(&h, (struct hand_frame){.function = "b"});
    hand_stack(&h, "0");
    hand_stack(&h, "1");
    hand_stack(&h, "");
    uint32_t thread = hand_thread(&h, "1", NULL);
    hand_sample(&h, thread, 0, 0);
    hand_sample(&h, thread, 1, 499);
    hand_sample(&h, thread, 2, 1499 + 500);
    hand_sample(&h, thread, 0, 99000);
    struct hand_part part = {.profile = &h};
    expect_text(&in_us, &part, 1, "b 2\n");
    expect_text(&in_samples, &part, 1, "a 1\nb 1\n");
}

static void two_chunks(struct hand_profile *first, struct hand_profile *second)
{
    struct hand_profile *chunks[] = {first, second};
    for (size_t i = 0; i < 2; i++) {
        struct hand_profile *h = chunks[i];
        hand_profile_init(h, PROFILE_CHUNK, "node");
        hand_frame(h, (struct hand_frame){.function = i == 0 ? "main" : "work"});
        hand_frame(h, (struct hand_frame){.function = i == 0 ? "work" : "main"});
        uint32_t main_frame = i == 0 ? 0 : 1;
        hand_stack(h, main_frame == 0 ? "10" : "01");
        uint32_t one = hand_thread(h, "1", "Main");
        uint32_t two = hand_thread(h, "2", NULL);
        double at = 1000.0 + 10.0 * (double)i;
        for (int tick = 0; tick < 3; tick++) {
            hand_sample(h, one, 0, at + tick);
            hand_sample(h, two, 0, at + tick);
        }
    }
}

/* The last sample of each thread and chunk closes and weighs nothing, so the 8 s between the two
 * chunks are nobody's. */
Test(export_folded, chunks_threads_and_windows_add_up)
{
    struct hand_profile a;
    struct hand_profile b;
    two_chunks(&a, &b);
    const int64_t s = INT64_C(1000000000);
    static const struct {
        const char *thread;
        int64_t start_ms;
        int64_t end_ms;
        const char *samples;
        const char *us;
    } cases[] = {
        {NULL, 0, 0, "main;work 8\n", "main;work 8000000\n"},
        {"1", 0, 0, "main;work 4\n", "main;work 4000000\n"},
        {"3", 0, 0, "", ""},
        {"1", 1000500, 1001500, "main;work 1\n", "main;work 1000000\n"},
        {"1", 1000000, 1001000, "main;work 1\n", "main;work 1000000\n"},
        {"1", 1000250, 1000500, "", "main;work 250000\n"},
        {"2", 1001500, 1010500, "main;work 1\n", "main;work 1000000\n"},
        {"2", 1002000, 1010000, "", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hand_part parts[2] = {{.profile = &a}, {.profile = &b}};
        for (size_t k = 0; k < 2; k++) {
            parts[k].thread = cases[i].thread;
            parts[k].start_ns = cases[i].start_ms * (s / 1000);
            parts[k].end_ns = cases[i].end_ms * (s / 1000);
        }
        expect_text(&in_samples, parts, 2, cases[i].samples);
        expect_text(&in_us, parts, 2, cases[i].us);
    }
}

Test(export_folded, bad_indices_spoil_the_profile_they_are_in)
{
    static const struct {
        uint32_t stack;
        uint32_t frame;
        const char *text;
    } cases[] = {{7, 0, "invalid stack id"},
                 {PROFILE_NONE, 0, "invalid stack id"},
                 {0, 9, "invalid frame id"},
                 {0, PROFILE_NONE, "invalid frame id"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hand_profile h;
        hand_profile_init(&h, PROFILE_CHUNK, "node");
        hand_frame(&h, (struct hand_frame){.function = "a"});
        hand_stack(&h, "0");
        uint32_t thread = hand_thread(&h, "1", NULL);
        hand_sample(&h, thread, cases[i].stack, 1);
        hand_sample(&h, thread, 0, 2);
        h.node_frame[0] = cases[i].frame;
        struct hand_part part = {.profile = &h};
        struct buffer out;
        struct errinfo info = {0};
        cr_expect_eq(hand_export(&in_samples, &part, 1, NULL, &out, &info), ERR_MALFORMED);
        cr_expect_str_eq(info.text, cases[i].text);
        buffer_close(&out);

        h.sample_stack[0] = 0;
        h.node_frame[0] = 0;
        h.sample_stack[1] = cases[i].stack; /* the last one is not looked at */
        expect_text(&in_samples, &part, 1, "a 1\n");
    }
}

/* Short labels over letters around ';' and blank: every order that could go wrong. */
Test(export_folded, lines_are_sorted_by_the_bytes_of_the_stack)
{
    static const char letters[] = " !:;<a";
    struct rng rng = test_rng();
    for (int round = 0; round < 200; round++) {
        struct hand_profile h;
        char labels[12][4] = {{0}};
        hand_profile_init(&h, PROFILE_TRANSACTION, "java");
        for (size_t i = 0; i < 12; i++) {
            size_t len = 1 + rng_below(&rng, 3);
            for (size_t k = 0; k < len; k++)
                labels[i][k] = letters[rng_below(&rng, sizeof(letters) - 1)];
            hand_frame(&h, (struct hand_frame){.function = labels[i]});
        }
        uint32_t thread = hand_thread(&h, "1", NULL);
        uint64_t count = 1 + rng_below(&rng, 30);
        for (uint64_t i = 0; i < count; i++) {
            char stack[4] = {0};
            size_t depth = 1 + rng_below(&rng, 3);
            for (size_t k = 0; k < depth; k++)
                stack[k] = "0123456789ab"[rng_below(&rng, 12)];
            hand_sample(&h, thread, hand_stack(&h, stack), (double)i);
        }
        hand_sample(&h, thread, 0, (double)count);

        struct hand_part part = {.profile = &h};
        struct buffer out;
        struct errinfo info = {0};
        cr_assert_eq(hand_export(&in_samples, &part, 1, NULL, &out, &info), ERR_OK);
        struct bytes previous = {NULL, 0};
        struct bytes rest = buffer_bytes(&out);
        uint64_t sum = 0;
        while (rest.len > 0) {
            struct bytes line = bytes_first(rest, bytes_find_byte(rest, '\n'));
            rest = bytes_from(rest, line.len + 1);
            size_t blank = line.len;
            while (line.data[blank - 1] != ' ')
                blank--;
            uint64_t number = 0;
            cr_assert(bytes_to_u64(bytes_from(line, blank), &number));
            struct bytes stack = bytes_first(line, blank - 1);
            cr_expect(previous.data == NULL || bytes_compare(previous, stack) < 0,
                      "round %d: '%.*s' before '%.*s'", round, (int)previous.len, previous.data,
                      (int)stack.len, stack.data);
            previous = stack;
            sum += number;
        }
        cr_expect_eq(sum, count);
        buffer_close(&out);
    }
}

/* All formats in turn. */
Test(export_folded, memory_is_counted_and_given_back)
{
    struct hand_profile a;
    struct hand_profile b;
    two_chunks(&a, &b);
    struct hand_part parts[2] = {{.profile = &a}, {.profile = &b}};
    size_t before = mem_outstanding();
    unsigned failures = 0;
    struct export_options options = {0};
    for (size_t max = 0; max < 65536; max += 64) {
        struct mem_account account;
        mem_account_init(&account, NULL, max);
        struct buffer out;
        options.format = (enum export_format)(max / 64 % 3);
        enum err rc = hand_export(&options, parts, 2, &account, &out, NULL);
        cr_expect(rc == ERR_OK || rc == ERR_LIMIT, "%s", err_text(rc));
        failures += rc != ERR_OK;
        buffer_close(&out);
        cr_expect_eq(account.held, 0);
        cr_expect_eq(mem_outstanding(), before);
    }
    cr_expect_gt(failures, 0);
    cr_expect_lt(failures, 1024);
}
