#include <inttypes.h>

#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/call_tree.h"
#include "engine/identity.h"
#include "tests/support/hand_profile.h"

static const struct bytes all_threads = {NULL, 0};

/* "name[start-end self/samples]" with children in round brackets. */
/* NOLINTNEXTLINE(misc-no-recursion): a few levels */
static void print_nodes(const struct hand_profile *h, const struct call_tree *tree, uint32_t node,
                        struct buffer *out)
{
    for (; node != CALL_NODE_NONE; node = tree->nodes[node].next_sibling) {
        const struct call_node *n = &tree->nodes[node];
        struct bytes name = profile_string(&h->profile, n->frame->function);
        buffer_printf(out, "%.*s[%" PRId64 "-%" PRId64 " %" PRId64 "/%" PRIu64 "%s]", (int)name.len,
                      (const char *)name.data, n->start_ns, n->end_ns, n->self_ns, n->sample_count,
                      n->duration_count == 0 ? " none" : "");
        if (n->first_child != CALL_NODE_NONE) {
            buffer_put_u8(out, '(');
            print_nodes(h, tree, n->first_child, out);
            buffer_put_u8(out, ')');
        }
    }
}

static void expect_tree(const struct hand_profile *h, const char *thread, const char *expected)
{
    struct arena arena;
    struct call_tree tree;
    struct errinfo info = {0};
    struct buffer text;
    arena_init(&arena, MIB(1), NULL);
    buffer_init(&text, MIB(1), NULL);
    struct bytes wanted = thread == NULL ? all_threads : bytes_of_text(thread);
    enum err rc = call_tree_make(&h->profile, wanted, &arena, &tree, &info);
    if (rc != ERR_OK) {
        buffer_printf(&text, "error %s", info.text);
    } else {
        for (size_t i = 0; i < tree.thread_count; i++) {
            buffer_printf(&text, "%s%.*s: ", i == 0 ? "" : " | ", (int)tree.threads[i].id.len,
                          (const char *)tree.threads[i].id.data);
            print_nodes(h, &tree, tree.threads[i].first_root, &text);
        }
    }
    cr_expect(bytes_equal(buffer_bytes(&text), bytes_of_text(expected)),
              "expected %s\n     got %.*s", expected, (int)text.len, (const char *)text.data);
    buffer_close(&text);
    arena_close(&arena);
}

/* Frames a, b, c and, not application code, s; elapsed time counts from 0. */
static uint32_t make(struct hand_profile *h, const char *const stacks[], const double times[],
                     size_t count)
{
    hand_profile_init(h, PROFILE_TRANSACTION, "ruby");
    hand_frame(h, (struct hand_frame){.function = "a", .in_app = IN_APP_TRUE});
    hand_frame(h, (struct hand_frame){.function = "b"});
    hand_frame(h, (struct hand_frame){.function = "c", .in_app = IN_APP_TRUE});
    hand_frame(h, (struct hand_frame){.function = "s", .in_app = IN_APP_FALSE});
    h->profile.active_thread = hand_string(h, "7");
    uint32_t thread = hand_thread(h, "7", NULL);
    for (size_t i = 0; i < count; i++)
        hand_sample(h, thread, hand_stack(h, stacks[i]), times[i]);
    return thread;
}

Test(call_tree, adjacent_samples_share_nodes)
{
    static const struct {
        const char *stacks[6]; /* leaf first, frames by number */
        double times[6];
        size_t count;
        const char *expected;
    } cases[] = {
        {{"0", "0", "0"}, {0, 10, 20}, 3, "7: a[0-20 20/2]"},
        {{"0", "", "0", "0"}, {0, 10, 20, 30}, 4, "7: a[0-10 10/1]a[20-30 10/1]"},
        {{"0", "", "0", "0"}, {0, 10, 10, 30}, 4, "7: a[0-30 30/2]"},
        {{"10", "20", "0", "0"}, {0, 10, 25, 30}, 4, "7: a[0-30 5/3](b[0-10 10/1]c[10-25 15/1])"},
        {{"10", "20", "10", "0"}, {0, 1, 2, 3}, 4, "7: a[0-3 0/3](b[0-1 1/1]c[1-2 1/1]b[2-3 1/1])"},
        {{"0", "0", "0"}, {5, 5, 9}, 3, "7: a[5-9 4/2]"},
        {{"0", "1", "1"}, {5, 5, 9}, 3, "7: a[5-5 0/1 none]b[5-9 4/1]"},
        {{"0", "0", "1"}, {30, 10, 20}, 3, "7: a[10-20 10/1]b[20-30 10/1]"},
        {{"0"}, {0}, 1, ""},
        {{"", ""}, {0, 9}, 2, ""},
        {{""}, {0}, 0, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hand_profile h;
        make(&h, cases[i].stacks, cases[i].times, cases[i].count);
        expect_tree(&h, NULL, cases[i].expected);
    }
}

/* Application code is not charged for system code it calls; system code only for itself. */
Test(call_tree, self_time_of_transaction_profiles)
{
    struct hand_profile h;
    make(&h, (const char *const[]){"30", "230", "0", "0"}, (const double[]){0, 10, 30, 40}, 4);
    expect_tree(&h, NULL, "7: a[0-40 40/3](s[0-30 10/2](c[10-30 20/1]))");
}

Test(call_tree, times_beyond_all_time_end_with_it)
{
    struct hand_profile h;
    static const char *const stacks[] = {"0", "0", "0", "1", "1"};
    static const double times[] = {5, 10, 0x1p63, 0x1.8p63, 0x1.9p63};
    make(&h, stacks, times, 5);
    expect_tree(&h, "7",
                "7: a[5-9223372036854775807 9223372036854775802/3]"
                "b[9223372036854775807-9223372036854775807 0/1 none]");
}

Test(call_tree, chunks_are_in_unix_time_and_without_self_time)
{
    struct hand_profile h;
    hand_profile_init(&h, PROFILE_CHUNK, "ruby");
    hand_frame(&h, (struct hand_frame){.function = "a", .line = 1});
    hand_frame(&h, (struct hand_frame){.function = "a", .line = 2});
    uint32_t a = hand_stack(&h, "0");
    uint32_t other_line = hand_stack(&h, "1");
    uint32_t ten = hand_thread(&h, "10", NULL);
    uint32_t two = hand_thread(&h, "2", NULL);
    uint32_t named = hand_thread(&h, "0x1", NULL);
    hand_sample(&h, named, a, 1);
    hand_sample(&h, ten, a, 1);
    hand_sample(&h, two, a, 1);
    hand_sample(&h, ten, other_line, 2);
    hand_sample(&h, two, a, 2);
    hand_sample(&h, named, a, 2);
    hand_sample(&h, ten, a, 4);
    expect_tree(&h, NULL,
                "2: a[1000000000-2000000000 0/1] | 10: a[1000000000-4000000000 0/2] | "
                "0x1: a[1000000000-2000000000 0/1]");
    expect_tree(&h, "10", "10: a[1000000000-4000000000 0/2]");
    expect_tree(&h, "3", "");

    /* a bad index spoils what is looked at, and nothing else */
    h.sample_stack[6] = 99;
    expect_tree(&h, "10", "10: a[1000000000-4000000000 0/2]");
    h.sample_stack[1] = PROFILE_NONE;
    expect_tree(&h, "10", "error invalid stack id");
    expect_tree(&h, "2", "2: a[1000000000-2000000000 0/1]");
    h.node_frame[0] = 9;
    expect_tree(&h, "2", "error invalid frame id");
}

Test(call_tree, transaction_profiles_show_their_active_thread)
{
    struct hand_profile h;
    make(&h, (const char *const[]){"0", "0"}, (const double[]){0, 1}, 2);
    uint32_t zero = hand_thread(&h, "0", NULL);
    hand_sample(&h, zero, 0, 5);
    hand_sample(&h, zero, 0, 7);
    expect_tree(&h, "0", "7: a[0-1 1/1]");
    h.profile.active_thread = 0;
    expect_tree(&h, NULL, "0: a[5-7 2/1]");
    h.profile.active_thread = hand_string(&h, "8");
    expect_tree(&h, NULL, "");
}

Test(call_tree, memory_is_the_arena)
{
    struct hand_profile h;
    make(&h, (const char *const[]){"10", "20", "10", "20", "0"}, (const double[]){0, 1, 2, 3, 4},
         5);
    size_t before = mem_outstanding();
    unsigned failures = 0;
    for (size_t max = 0; max < 32768; max += 256) {
        struct mem_account account;
        struct arena arena;
        struct call_tree tree;
        mem_account_init(&account, NULL, max);
        arena_init(&arena, MIB(1), &account);
        enum err rc = call_tree_make(&h.profile, all_threads, &arena, &tree, NULL);
        cr_expect(rc == ERR_OK || rc == ERR_LIMIT, "%s", err_text(rc));
        failures += rc != ERR_OK;
        arena_close(&arena);
        cr_expect_eq(account.held, 0);
        cr_expect_eq(mem_outstanding(), before);
    }
    cr_expect_gt(failures, 0);
    cr_expect_lt(failures, 128);
}
