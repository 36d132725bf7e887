#include <stdio.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/json_reader.h"
#include "tests/support/hand_profile.h"
#include "tests/support/own_api.h"

#define T0 1795336832.0

static void assert_member(const struct own_answer *a, const char *path, const char *expected)
{
    struct bytes value = own_answer_find(a, path);

    cr_assert_not_null(value.data, "no %s in %.*s", path, (int)a->body.len, a->body.data);
    cr_assert(bytes_equal(value, bytes_of_text(expected)), "%s is %.*s, expected %s", path,
              (int)value.len, value.data, expected);
}

/* main > work on thread "1", idle on thread "2"; half-second ticks. */
static void add_chunk(struct query_store *q, uint32_t chunk, double start)
{
    static struct hand_profile h;

    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.profiler_id = query_id(1);
    h.profile.id = query_id(chunk);
    h.profile.received_ns = INT64_C(1795336900000000001);
    h.profile.release = hand_string(&h, "shop@1");
    h.profile.sdk_name = hand_string(&h, "sentry.python");
    hand_frame(&h, (struct hand_frame){.function = "main", .module = "app", .line = 3});
    hand_frame(&h, (struct hand_frame){.function = "work", .filename = "w.py"});
    uint32_t one = hand_thread(&h, "1", "main");
    uint32_t two = hand_thread(&h, "2", NULL);
    uint32_t busy = hand_stack(&h, "10");
    uint32_t idle = hand_stack(&h, "");
    for (unsigned i = 0; i < 3; i++) {
        hand_sample(&h, one, busy, start + 0.5 * i);
        hand_sample(&h, two, idle, start + 0.5 * i);
    }
    query_store_add(q, &h.profile);
}

static void add_profile(struct query_store *q)
{
    static struct hand_profile h;

    hand_profile_init(&h, PROFILE_TRANSACTION, "node");
    h.profile.id = query_id(50);
    h.profile.trace_id = query_id(60);
    h.profile.transaction_id = query_id(70);
    h.profile.transaction = hand_string(&h, "GET /");
    h.profile.timestamp_ns = INT64_C(1795336842000000000);
    hand_frame(&h, (struct hand_frame){.function = "handler"});
    uint32_t thread = hand_thread(&h, "0", "main");
    uint32_t stack = hand_stack(&h, "0");
    hand_sample(&h, thread, stack, 0);
    hand_sample(&h, thread, stack, 7);
    query_store_add(q, &h.profile);
}

static void open_example(struct query_store *q)
{
    query_store_open(q);
    add_chunk(q, 10, T0);
    add_chunk(q, 11, T0 + 2);
    add_profile(q);
}

Test(own_handler, lists)
{
    struct query_store q;
    struct own_answer a;

    open_example(&q);
    a = own_api_get(&q, "projects");
    cr_assert_eq(a.status, 200);
    assert_member(&a, "projects",
                  "[{\"project_id\":2,\"profilers\":1,\"chunks\":2,\"profiles\":1,\"links\":0,"
                  "\"first\":1795336832,\"last\":1795336842.000000007}]");
    a = own_api_get(&q, "projects/2/profilers");
    assert_member(&a, "profilers",
                  "[{\"profiler_id\":\"ab000000000000000000000000000001\",\"first\":1795336832,"
                  "\"last\":1795336835,\"chunks\":2,\"samples\":12,\"threads\":2,"
                  "\"effective_hz\":2,\"platform\":\"python\",\"environment\":null,"
                  "\"release\":\"shop@1\",\"dist\":null,"
                  "\"sdk\":{\"name\":\"sentry.python\",\"version\":null}}]");
    assert_member(&a, "coverage.chunks_found", "2");
    assert_member(&a, "coverage.gaps", "[[1795336833,1795336834]]");
    a = own_api_get(&q, "projects/2/chunks?limit=1");
    assert_member(&a, "coverage.left_out",
                  "[{\"what\":\"chunks\",\"count\":1,\"reason\":\"limit\"}]");
    assert_member(&a, "coverage.samples", "12");
    cr_assert(bytes_contains(a.body, BYTES("\"chunk_id\":\"ab00000000000000000000000000000a\"")));
    cr_assert(bytes_contains(a.body, BYTES("\"received\":1795336900.000000001")));
    a = own_api_get(&q, "projects/2/chunks?start=1795336833.5");
    assert_member(&a, "coverage.chunks_found", "1");
    a = own_api_get(&q, "projects/2/transactions");
    assert_member(&a, "coverage.profiles_found", "1");
    cr_assert(bytes_contains(a.body, BYTES("{\"transaction\":\"GET /\",\"profiles\":1,"
                                           "\"links\":0,")));
    a = own_api_get(&q, "projects/99/profilers");
    cr_assert_eq(a.status, 200, "an unknown project has empty lists");
    assert_member(&a, "profilers", "[]");
    query_store_close(&q);
}

Test(own_handler, flame_graphs_in_all_forms)
{
    struct query_store q;
    struct own_answer a;

    open_example(&q);
    a = own_api_get(&q, "projects/2/flamegraph?profiler_id=ab000000000000000000000000000001");
    cr_assert_eq(a.status, 200);
    cr_assert(bytes_equal(a.type, BYTES("application/json")));
    assert_member(&a, "unit", "\"nanoseconds\"");
    assert_member(&a, "nodes.parent", "[-1,0]");
    assert_member(&a, "nodes.self_ns", "[0,2000000000]");
    assert_member(&a, "nodes.total_ns", "[2000000000,2000000000]");
    assert_member(&a, "nodes.total_samples", "[4,4]");
    assert_member(&a, "idle_ns", "2000000000");
    assert_member(&a, "total_ns", "4000000000");
    assert_member(&a, "total_samples", "8");
    assert_member(&a, "coverage.first", "1795336832");
    assert_member(&a, "coverage.effective_hz", "2");
    a = own_api_get(&q, "projects/2/flamegraph?threads=separate&start=1795336832&end=1795336833");
    cr_assert(bytes_contains(a.body, BYTES("{\"thread_id\":\"1\",\"thread_name\":\"main\",")));
    cr_assert(bytes_contains(a.body, BYTES("{\"thread_id\":\"2\",\"thread_name\":null,\"nodes\":"
                                           "{\"parent\":[],")));
    a = own_api_get(&q, "projects/2/flamegraph?profile_id=ab000000000000000000000000000032"
                        "&format=folded&unit=microseconds&start=1795336841");
    cr_assert_eq(a.status, 200);
    cr_assert(bytes_equal(a.type, BYTES("text/plain; charset=utf-8")));
    cr_assert(bytes_contains(a.disposition, BYTES("attachment; filename=\"flamegraph-project-2-"
                                                  "1795336842.folded\"")));
    a = own_api_get(&q, "projects/2/flamegraph?format=folded&thread=1");
    cr_assert(bytes_equal(a.body, BYTES("app.main;work 4\n")), "%.*s", (int)a.body.len,
              a.body.data);
    cr_assert(bytes_equal(a.coverage,
                          BYTES("chunks_found=2, chunks_used=2, profiles_found=1, profiles_used=1, "
                                "samples=4, total_ns=2000000000, threads=1, gaps=2, left_out=0")),
              "%.*s", (int)a.coverage.len, a.coverage.data);
    a = own_api_get(&q, "projects/9/flamegraph?format=pprof");
    cr_assert_eq(a.status, 200, "a file of nothing is a file: %.*s", (int)a.body.len, a.body.data);
    cr_assert(bytes_starts_with(a.coverage, BYTES("chunks_found=0, ")));
    a = own_api_get(&q, "projects/9/flamegraph?format=folded");
    cr_assert(a.status == 200 && a.body.len == 0);
    a = own_api_get(&q, "projects/9/flamegraph?format=speedscope");
    cr_assert_eq(a.status, 200);
    a = own_api_get(&q, "projects/2/flamegraph?format=speedscope");
    cr_assert(bytes_starts_with(a.coverage, BYTES("chunks_found=2, ")));
    assert_member(&a, "name", "\"project 2\"");
    a = own_api_get(&q, "projects/2/flamegraph?format=pprof");
    cr_assert(bytes_starts_with(a.body, BYTES("\x1f\x8b")), "gzip");
    query_store_close(&q);
}

/* More nodes than one piece holds: the pieces make the same kind of answer. */
Test(own_handler, large_flame_graphs_are_written_in_pieces)
{
    struct query_store q;
    struct json_reader r;
    struct buffer scratch;

    query_store_open(&q);
    for (uint32_t chunk = 0; chunk < 40; chunk++) {
        static struct hand_profile h;
        hand_profile_init(&h, PROFILE_CHUNK, "python");
        h.profile.profiler_id = query_id(1);
        h.profile.id = query_id(chunk);
        uint32_t thread = hand_thread(&h, "1", "main");
        for (unsigned i = 0; i < 36; i++) {
            char function[32];
            (void)snprintf(function, sizeof(function), "function_%u_%u", chunk, i);
            struct bytes kept = arena_copy(&q.arena, bytes_of(function, strlen(function) + 1));
            hand_frame(&h, (struct hand_frame){.function = (const char *)kept.data});
            char stack[2] = {(char)(i < 10 ? '0' + i : 'a' + (i - 10)), '\0'};
            hand_sample(&h, thread, hand_stack(&h, stack), T0 + chunk * 60 + i);
        }
        query_store_add(&q, &h.profile);
    }
    struct own_answer a = own_api_get(&q, "projects/2/flamegraph");
    cr_assert(a.streamed, "%zu bytes", a.body.len);
    buffer_init(&scratch, SIZE_MAX, NULL);
    json_reader_init(&r, a.body, &scratch, NULL);
    (void)json_skip(&r);
    cr_assert_eq(json_end(&r), ERR_OK, "well formed");
    buffer_close(&scratch);
    struct bytes parents = own_answer_find(&a, "nodes.parent");
    cr_assert_eq(parents.len, 40 * 35 * 3 + 1, "1400 times -1 with commas, in brackets");
    assert_member(&a, "total_ns", "1400000000000");
    query_store_close(&q);
}

Test(own_handler, charts_functions_usage_and_profiles)
{
    struct query_store q;
    struct own_answer a;

    open_example(&q);
    a = own_api_get(&q, "projects/2/flamechart?profiler_id=ab000000000000000000000000000001");
    assert_member(&a, "thread_id", "\"1\"");
    assert_member(&a, "spans.start", "[1795336832,1795336832,1795336834,1795336834]");
    assert_member(&a, "spans.end", "[1795336833,1795336833,1795336835,1795336835]");
    assert_member(&a, "spans.depth", "[0,1,0,1]");
    a = own_api_get(&q, "projects/2/flamechart");
    cr_assert_eq(a.status, 400);
    assert_member(&a, "reason", "\"one_timeline_needed\"");
    a = own_api_get(&q, "projects/2/functions?sort=total&limit=1&thread=1");
    cr_assert(bytes_contains(a.body, BYTES("\"self_ns\":0,\"total_ns\":2000000000,"
                                           "\"self_samples\":0,\"total_samples\":4}")) ||
              bytes_contains(a.body, BYTES("\"self_ns\":2000000000,\"total_ns\":2000000000,")));
    assert_member(&a, "coverage.left_out",
                  "[{\"what\":\"functions\",\"count\":1,\"reason\":\"limit\"}]");
    a = own_api_get(&q, "projects/2/usage?buckets=3&end=1795336835&thread=1");
    assert_member(&a, "buckets.start", "[1795336832,1795336833,1795336834]");
    assert_member(&a, "buckets.busy_ns", "[1000000000,0,1000000000]");
    assert_member(&a, "buckets.cpu_percent", "[100,null,100]");
    assert_member(&a, "cpu_source", "\"samples\"");
    a = own_api_get(&q, "projects/2/profiles/ab000000-0000-0000-0000-000000000032");
    assert_member(&a, "kind", "\"profile\"");
    assert_member(&a, "transaction.name", "\"GET /\"");
    assert_member(&a, "document",
                  "\"/organizations/1/projects/2/raw_profiles/ab000000000000000000000000000032\"");
    a = own_api_get(&q, "projects/2/profiles/ab00000000000000000000000000000a");
    assert_member(&a, "kind", "\"chunk\"");
    assert_member(&a, "threads",
                  "[{\"thread_id\":\"1\",\"thread_name\":\"main\",\"samples\":3},"
                  "{\"thread_id\":\"2\",\"thread_name\":null,\"samples\":3}]");
    assert_member(&a, "flamegraph",
                  "\"/api/v1/projects/2/flamegraph?profiler_id=ab000000000000000000000000000001"
                  "&start=1795336832.000000000&end=1795336833.000000000\"");
    a = own_api_get(&q, "projects/2/profiles/ab0000000000000000000000000000ff");
    cr_assert_eq(a.status, 404);
    assert_member(&a, "reason", "\"no_such_profile\"");
    a = own_api_get(&q, "projects/2/profiles/nonsense");
    cr_assert_eq(a.status, 400);
    a = own_api_get(&q, "openapi.json");
    assert_member(&a, "openapi", "\"3.1.0\"");
    query_store_close(&q);
}

static const char *const everything[] = {
    "projects",
    "projects/2/profilers",
    "projects/2/chunks",
    "projects/2/flamegraph",
    "projects/2/flamegraph?threads=separate",
    "projects/2/flamegraph?format=folded",
    "projects/2/flamegraph?trace_id=ab00000000000000000000000000003c",
    "projects/2/flamechart?profiler_id=ab000000000000000000000000000001",
    "projects/2/functions",
    "projects/2/usage",
    "projects/2/transactions",
    "projects/2/profiles/ab00000000000000000000000000000a",
};

/* However little a request may hold: the whole answer or a refusal, and all of it given back. */
Test(own_handler, any_ceiling_of_memory_gives_an_answer_or_a_refusal)
{
    struct query_store q;

    open_example(&q);
    for (size_t i = 0; i < sizeof(everything) / sizeof(everything[0]); i++) {
        struct own_answer whole = own_api_get(&q, everything[i]);
        unsigned refused = 0;
        for (size_t max = 1024; max < MIB(4); max += max / 4) {
            struct mem_budget budget;
            struct mem_account account;
            bool mine = max % 2 == 0; /* the account's ceiling, or that of all requests */
            mem_budget_init(&budget, mine ? MIB(64) : max);
            mem_account_init(&account, &budget, mine ? max : MIB(64));
            struct own_answer a = own_api_get_within(&q, everything[i], &account);
            cr_assert_eq(account.held, 0, "%s within %zu", everything[i], max);
            if (a.status == 200) {
                cr_assert(bytes_equal(a.body, whole.body), "%s within %zu: %.*s", everything[i],
                          max, (int)a.body.len, a.body.data);
                continue;
            }
            refused++;
            cr_assert_eq(a.status, mine ? 413 : 503, "%s within %zu: %d", everything[i], max,
                         a.status);
        }
        cr_assert(refused > 0, "%s fits anywhere", everything[i]);
        cr_assert_eq(own_api_get(&q, everything[i]).status, 200);
    }
    query_store_close(&q);
}

Test(own_handler, any_failed_allocation_is_a_503)
{
    struct query_store q;

    open_example(&q);
    for (size_t i = 0; i < sizeof(everything) / sizeof(everything[0]); i++) {
        int status = 0;
        for (size_t nth = 1; status != 200; nth++) {
            mem_fail_at(nth);
            struct own_answer a = own_api_get(&q, everything[i]);
            mem_fail_at(0);
            q.arena.failed = ERR_OK; /* the copy of the answer may be what failed */
            status = a.status;
            cr_assert(status == 200 || status == 503, "%s, allocation %zu: %d %.*s", everything[i],
                      nth, status, (int)a.body.len, a.body.data);
            cr_assert_lt(nth, 1000);
        }
    }
    query_store_close(&q);
}

/* Clocks are wrong in the field: profiles of 1678 and of 2262 in one answer. */
Test(own_handler, profiles_at_both_ends_of_time)
{
    static const int64_t moments[] = {INT64_MIN + 5, -1500000000, 0, INT64_MAX - 50000000005};
    static const char *const targets[] = {
        "projects",
        "projects/2/chunks",
        "projects/2/profilers",
        "projects/2/transactions",
        "projects/2/flamegraph",
        "projects/2/flamegraph?threads=separate",
        "projects/2/flamegraph?format=folded&unit=microseconds",
        "projects/2/flamegraph?format=speedscope",
        "projects/2/flamegraph?format=pprof",
        "projects/2/functions",
        "projects/2/usage",
        "projects/2/usage?buckets=1",
        "projects/2/usage?buckets=10000",
        "projects/2/flamechart?profile_id=ab000000000000000000000000000001",
        "projects/2/profiles/ab000000000000000000000000000001",
        "projects/2/profiles/ab000000000000000000000000000009",
    };
    struct query_store q;

    query_store_open(&q);
    for (uint32_t i = 0; i < 4; i++) {
        static struct hand_profile h;
        hand_profile_init(&h, PROFILE_TRANSACTION, "python");
        h.profile.id = query_id(1 + i);
        h.profile.timestamp_ns = moments[i];
        hand_frame(&h, (struct hand_frame){.function = "f"});
        uint32_t thread = hand_thread(&h, "1", NULL);
        uint32_t stack = hand_stack(&h, "0");
        hand_sample(&h, thread, stack, 0);
        hand_sample(&h, thread, stack, 1e9);
        query_store_add(&q, &h.profile);
    }
    add_chunk(&q, 9, 0.25);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct own_answer a = own_api_get(&q, targets[i]);
        cr_assert_eq(a.status, 200, "%s: %.*s", targets[i], (int)a.body.len, a.body.data);
    }
    struct own_answer a = own_api_get(&q, "projects/2/flamegraph");
    assert_member(&a, "total_ns", "6000000000");
    assert_member(&a, "coverage.first", "-9223372036.854775803");
    query_store_close(&q);
}
