#include <stdio.h>

#include <criterion/criterion.h>

#include "engine/flamegraph.h"
#include "engine/functions.h"
#include "tests/support/hand_profile.h"
#include "tests/support/query_store.h"

#define T0 1795336832.0

/* main > work (twice, at two lines) > main again, and an idle moment; 1 s a sample, thread "7". */
static void add_example(struct query_store *q, uint32_t chunk, double start, const char *name)
{
    static struct hand_profile h;
    static const char *const stacks[] = {"0", "10", "20", "010", "", "0"};

    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.profiler_id = query_id(1);
    h.profile.id = query_id(chunk);
    hand_frame(&h, (struct hand_frame){
                       .function = "main", .module = "app", .line = chunk, .in_app = IN_APP_TRUE});
    hand_frame(&h, (struct hand_frame){.function = "work", .module = "app", .line = 5});
    hand_frame(&h, (struct hand_frame){.function = "work", .module = "app", .line = 6});
    uint32_t thread = hand_thread(&h, "7", name);
    for (unsigned i = 0; i < 6; i++)
        hand_sample(&h, thread, hand_stack(&h, stacks[i]), start + i);
    query_store_add(q, &h.profile);
}

static struct flamegraph *build(struct query_store *q, struct snapshot *snap, bool separate)
{
    struct selection_request *request = ARENA_NEW(&q->arena, struct selection_request);
    struct flamegraph_options options = {.separate_threads = separate};
    struct selection *s = NULL;
    struct flamegraph *g = NULL;
    struct errinfo info = {0};

    *request = (struct selection_request){.project_id = 2};
    cr_assert_eq(selection_make(snap, request, &q->arena, &s, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(flamegraph_build(s, &options, &q->arena, &g, &info), ERR_OK, "%s", info.text);
    selection_destroy(s);
    return g;
}

/* "main(self/total) work(...)": nodes in order. */
static void assert_nodes(const struct flamegraph *g, const struct flamegraph_tree *t,
                         const char *expected)
{
    char text[512] = "";
    size_t len = 0;

    for (size_t i = 0; i < t->node_count; i++) {
        struct bytes f = g->frames[t->frame[i]].function;
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%s%d:%.*s(%d/%d)", i ? " " : "",
                             (int)t->parent[i], (int)f.len, (const char *)f.data,
                             (int)(t->self_ns[i] / 1000000000), (int)(t->total_ns[i] / 1000000000));
        cr_assert_eq(t->self_samples[i], t->self_ns[i] / 1000000000, "a sample a second");
        cr_assert_eq(t->total_samples[i], t->total_ns[i] / 1000000000);
    }
    cr_assert_str_eq(text, expected);
}

Test(flamegraph, merges_by_identity_and_keeps_idle_apart)
{
    struct query_store q;

    query_store_open(&q);
    add_example(&q, 1, T0 + 100, "late");
    add_example(&q, 2, T0, "early");
    struct snapshot *snap = snapshot_acquire(q.store, NULL);
    struct flamegraph *g = build(&q, snap, false);
    cr_assert_eq(g->tree_count, 1);
    assert_nodes(g, &g->trees[0], "-1:main(2/8) 0:work(4/6) 1:main(2/2)");
    cr_assert_eq(g->trees[0].idle_ns, 2000000000u);
    cr_assert_eq(g->trees[0].idle_samples, 2);
    cr_assert_eq(g->trees[0].sum_ns, 10000000000u);
    cr_assert_eq(g->frame_count, 2);
    for (size_t i = 0; i < 2; i++) {
        bool is_main = bytes_equal(g->frames[i].function, BYTES("main"));
        cr_assert_eq(g->frames[i].line, is_main ? 1 : 5, "the least line is shown");
        cr_assert(bytes_equal(g->frames[i].platform, BYTES("python")));
        cr_assert(is_main ? g->frames[i].in_app : true);
    }

    g = build(&q, snap, true);
    cr_assert_eq(g->tree_count, 2, "a thread is an id and a name");
    cr_assert(bytes_equal(g->trees[0].thread_name, BYTES("early")));
    cr_assert(bytes_equal(g->trees[1].thread_name, BYTES("late")));
    cr_assert(bytes_equal(g->trees[1].thread_id, BYTES("7")));
    for (size_t t = 0; t < 2; t++)
        assert_nodes(g, &g->trees[t], "-1:main(1/4) 0:work(2/3) 1:main(1/1)");
    snapshot_release(snap);
    query_store_close(&q);
}

Test(flamegraph, functions_count_recursion_once)
{
    struct query_store q;
    struct function_figures *list = NULL;
    size_t count = 0;

    query_store_open(&q);
    add_example(&q, 1, T0, NULL);
    struct snapshot *snap = snapshot_acquire(q.store, NULL);
    struct flamegraph *g = build(&q, snap, false);
    cr_assert_eq(functions_of(g, FUNCTIONS_BY_TOTAL, &q.arena, &list, &count, NULL), ERR_OK);
    cr_assert_eq(count, 2);
    cr_assert(bytes_equal(list[0].frame->function, BYTES("main")));
    cr_assert_eq(list[0].total_ns, 4000000000u);
    cr_assert_eq(list[0].self_ns, 2000000000u);
    cr_assert_eq(list[0].self_samples, 2);
    cr_assert(bytes_equal(list[1].frame->function, BYTES("work")));
    cr_assert_eq(list[1].total_samples, 3);
    cr_assert_eq(list[1].self_ns, 2000000000u);
    snapshot_release(snap);
    query_store_close(&q);
}

Test(flamegraph, nothing_selected_is_an_empty_tree)
{
    struct query_store q;

    query_store_open(&q);
    struct snapshot *snap = snapshot_acquire(q.store, NULL);
    struct flamegraph *g = build(&q, snap, false);
    cr_assert_eq(g->tree_count, 1);
    cr_assert_eq(g->trees[0].node_count, 0);
    cr_assert_eq(g->frame_count, 0);
    cr_assert_eq(build(&q, snap, true)->tree_count, 0);
    snapshot_release(snap);
    query_store_close(&q);
}

/* Every allocation in turn fails: an error with a text, and nothing is lost. */
Test(flamegraph, survives_any_failed_allocation)
{
    struct query_store q;
    bool done = false;

    query_store_open(&q);
    add_example(&q, 1, T0, "main");
    add_example(&q, 2, T0 + 10, NULL);
    struct snapshot *snap = snapshot_acquire(q.store, NULL);
    for (size_t nth = 1; !done; nth++) {
        struct arena arena;
        struct selection *s = NULL;
        struct flamegraph *g = NULL;
        struct errinfo info = {0};
        struct selection_request request = {.project_id = 2};
        struct flamegraph_options options = {.separate_threads = true};
        size_t before = mem_outstanding();
        arena_init(&arena, SIZE_MAX, NULL);
        mem_fail_at(nth);
        enum err rc = selection_make(snap, &request, &arena, &s, &info);
        if (rc == ERR_OK)
            rc = flamegraph_build(s, &options, &arena, &g, &info);
        mem_fail_at(0);
        done = rc == ERR_OK;
        cr_assert(done || (rc == ERR_NOMEM && info.text[0] != '\0'), "allocation %zu: %s %s", nth,
                  err_text(rc), info.text);
        selection_destroy(s);
        arena_close(&arena);
        cr_assert_eq(mem_outstanding(), before, "allocation %zu leaks", nth);
        cr_assert_lt(nth, 10000);
    }
    snapshot_release(snap);
    query_store_close(&q);
}
