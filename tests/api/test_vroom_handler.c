#include <stdio.h>

#include <criterion/criterion.h>

#include "api/app.h"
#include "api/handlers.h"
#include "api/http_response.h"
#include "base/limits.h"
#include "tests/support/hand_profile.h"
#include "tests/support/query_store.h"

struct asked {
    struct app app;
    struct arena arena;
    atomic_bool canceled;
    struct http_response response;
    bool streamed;
};

/* Calls the handler with the parameters between the slashes of `params` and pulls the body. */
static void ask(struct asked *a, struct query_store *q, handler_fn handler, const char *params)
{
    *a = (struct asked){.app = {.store = q->store}};
    arena_init(&a->arena, MIB(64), NULL);
    http_response_init(&a->response, NULL);
    struct handler_context c = {.app = &a->app, .arena = &a->arena, .canceled = &a->canceled};
    struct http_request request = {.method = HTTP_METHOD_GET};
    struct bytes rest = bytes_of_text(params);
    for (size_t i = 0; i < 4; i++) {
        request.path_param[i] = bytes_first(rest, bytes_find_byte(rest, '/'));
        rest = bytes_from(rest, request.path_param[i].len + 1);
    }
    handler(&c, &request, &a->response);
    a->streamed = a->response.source.next != NULL;
    bool done = !a->streamed;
    while (!done)
        cr_assert_eq(a->response.source.next(a->response.source.self, &a->response.body, &done),
                     ERR_OK);
}

static void forget(struct asked *a)
{
    http_response_close(&a->response);
    arena_close(&a->arena);
}

static bool id_of(const char *text, struct uuid *ret)
{
    return uuid_parse(bytes_of_text(text), ret);
}

#define PROFILER "aa112233445566778899aabbccddeeff"
#define CHUNK    "bb112233445566778899aabbccddeeff"
#define PROFILE  "cc112233445566778899aabbccddeeff"

static void make_chunk(struct hand_profile *h, uint32_t samples)
{
    hand_profile_init(h, PROFILE_CHUNK, "python");
    h->profile.organization_id = 3;
    h->profile.project_id = 7;
    h->profile.received_ns = 1700000100250000000;
    cr_assert(id_of(PROFILER, &h->profile.profiler_id));
    cr_assert(id_of(CHUNK, &h->profile.id));
    hand_frame(h, (struct hand_frame){.function = "f", .module = "threading"});
    hand_stack(h, "0");
    uint32_t thread = hand_thread(h, "1", "Main");
    for (uint32_t i = 0; i < samples; i++)
        hand_sample(h, thread, 0, 1700000000.0 + i);
}

static void make_profile(struct hand_profile *h)
{
    hand_profile_init(h, PROFILE_TRANSACTION, "node");
    h->profile.organization_id = 3;
    h->profile.project_id = 7;
    h->profile.timestamp_ns = 1700000000500000000;
    h->profile.received_ns = 1700000100000000000;
    h->profile.active_thread = hand_string(h, "1");
    h->profile.transaction = hand_string(h, "GET /");
    h->profile.flags = PROFILE_SAMPLED;
    cr_assert(id_of(PROFILE, &h->profile.id));
    cr_assert(id_of(CHUNK, &h->profile.transaction_id));
    cr_assert(id_of(PROFILER, &h->profile.trace_id));
    hand_frame(h, (struct hand_frame){.function = "f", .abs_path = "node:fs"});
    hand_stack(h, "0");
    uint32_t thread = hand_thread(h, "1", NULL);
    hand_sample(h, thread, 0, 0);
    hand_sample(h, thread, 0, 10);
}

static void expect_body(const struct asked *a, const char *expected)
{
    cr_expect_eq(a->response.status, 200, "%d", a->response.status);
    cr_expect_str_eq(a->response.content_type, "application/json");
    cr_expect(bytes_equal(http_response_find(&a->response, "Cache-Control"),
                          BYTES("public, max-age=3600, immutable")));
    cr_expect(bytes_equal(buffer_bytes(&a->response.body), bytes_of_text(expected)), "got\n%.*s",
              (int)a->response.body.len, (const char *)a->response.body.data);
}

Test(vroom_handler, documents_are_written_normalised)
{
    struct query_store store;
    struct hand_profile h;
    struct asked a;
    query_store_open(&store);
    make_chunk(&h, 1);
    query_store_add(&store, &h.profile);
    make_profile(&h);
    query_store_add(&store, &h.profile);

    ask(&a, &store, handle_raw_chunk, "3/7/" PROFILER "/" CHUNK);
    expect_body(
        &a,
        "{\"chunk_id\":\"" CHUNK "\",\"profiler_id\":\"" PROFILER "\",\"environment\":\"\","
        "\"received\":1700000100.25,\"platform\":\"python\",\"release\":\"\",\"version\":\"2\","
        "\"client_sdk\":{\"name\":\"\",\"version\":\"\"},\"organization_id\":3,\"project_id\":7,"
        "\"retention_days\":90,\"options\":null,\"debug_meta\":{},\"measurements\":null,"
        "\"profile\":{\"frames\":[{\"function\":\"f\",\"in_app\":false,\"module\":\"threading\","
        "\"platform\":\"python\",\"data\":{}}],\"stacks\":[[0]],\"samples\":[{\"stack_id\":0,"
        "\"thread_id\":\"1\",\"timestamp\":1700000000}],\"thread_metadata\":{\"1\":{\"name\":"
        "\"Main\"}}}}");
    cr_expect(!a.streamed);
    forget(&a);

    ask(&a, &store, handle_raw_profile, "3/7/" PROFILE);
    expect_body(
        &a,
        "{\"event_id\":\"" PROFILE "\",\"received\":\"2023-11-14T22:15:00Z\",\"sampled\":true,"
        "\"timestamp\":\"2023-11-14T22:13:20.5Z\",\"transaction\":{\"active_thread_id\":1,"
        "\"id\":\"" CHUNK "\",\"name\":\"GET /\",\"trace_id\":\"" PROFILER
        "\",\"segment_id\":\"\"},\"platform\":\"node\",\"release\":\"\",\"version\":\"1\","
        "\"client_sdk\":{\"name\":\"\",\"version\":\"\"},\"organization_id\":3,\"project_id\":7,"
        "\"retention_days\":90,\"options\":null,\"debug_meta\":{},\"device\":{\"architecture\":"
        "\"\",\"classification\":\"\",\"locale\":\"\",\"manufacturer\":\"\",\"model\":\"\"},"
        "\"os\":{\"build_number\":\"\",\"name\":\"\",\"version\":\"\"},\"runtime\":{\"name\":\"\","
        "\"version\":\"\"},\"transaction_metadata\":{\"transaction.start\":"
        "\"0001-01-01T00:00:00Z\",\"transaction.end\":\"0001-01-01T00:00:00Z\"},\"profile\":{"
        "\"frames\":[{\"abs_path\":\"node:fs\",\"function\":\"f\",\"in_app\":false,\"platform\":"
        "\"node\",\"data\":{}}],\"stacks\":[[0]],\"samples\":[{\"elapsed_since_start_ns\":0,"
        "\"stack_id\":0,\"thread_id\":1},{\"elapsed_since_start_ns\":10,\"stack_id\":0,"
        "\"thread_id\":1}],\"thread_metadata\":{},\"queue_metadata\":null}}");
    forget(&a);
    query_store_close(&store);
}

Test(vroom_handler, ids_select_and_refuse)
{
    static const struct {
        handler_fn handler;
        const char *params;
        int status;
    } cases[] = {
        {handle_raw_chunk, "3/7/" PROFILER "/" CHUNK, 200},
        {handle_raw_chunk,
         "3/7/AA112233-4455-6677-8899-AABBCCDDEEFF/{bb112233-4455-6677-8899-aabbccddeeff}", 200},
        {handle_raw_chunk, "3/7/" PROFILER "/urn:uuid:bb112233-4455-6677-8899-aabbccddeeff", 200},
        {handle_raw_chunk, "1/7/" PROFILER "/" CHUNK, 404},
        {handle_raw_chunk, "3/8/" PROFILER "/" CHUNK, 404},
        {handle_raw_chunk, "3/7/" CHUNK "/" CHUNK, 404},
        {handle_raw_chunk, "3/7/" PROFILER "/" PROFILE, 404},
        {handle_raw_chunk, "+3/7/" PROFILER "/" CHUNK, 400},
        {handle_raw_chunk, "3/-7/" PROFILER "/" CHUNK, 400},
        {handle_raw_chunk, "3/18446744073709551616/" PROFILER "/" CHUNK, 400},
        {handle_raw_chunk, "3/7/x/" CHUNK, 400},
        {handle_raw_chunk, "3/7/" PROFILER "/", 400},
        {handle_raw_chunk, "3/7/" PROFILER "/" CHUNK "0", 400},
        {handle_raw_profile, "3/7/" PROFILE, 200},
        {handle_raw_profile, "3/7/cc112233-4455-6677-8899-aabbccddeeff", 200},
        {handle_raw_profile, "4/7/" PROFILE, 404},
        {handle_raw_profile, "3/7/" CHUNK, 404},
        {handle_raw_profile, "/7/" PROFILE, 400},
        {handle_raw_profile, "3/7/" PROFILE " ", 400},
    };
    struct query_store store;
    struct hand_profile h;
    query_store_open(&store);
    make_chunk(&h, 2);
    query_store_add(&store, &h.profile);
    make_profile(&h);
    query_store_add(&store, &h.profile);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct asked a;
        ask(&a, &store, cases[i].handler, cases[i].params);
        cr_expect_eq(a.response.status, cases[i].status, "%s: %d", cases[i].params,
                     a.response.status);
        if (cases[i].status != 200) {
            cr_expect_eq(a.response.body.len, 0);
            cr_expect_null(a.response.content_type);
        }
        forget(&a);
    }
    query_store_close(&store);
}

/* 250 samples at four texts each pass 64 KiB nowhere near; names of 300 bytes do. */
Test(vroom_handler, long_documents_are_pulled)
{
    static char name[301];
    struct query_store store;
    struct hand_profile h;
    query_store_open(&store);
    memset(name, 'x', sizeof(name) - 1);
    make_chunk(&h, 1);
    for (int i = 0; i < 250; i++)
        hand_frame(&h, (struct hand_frame){.function = name, .line = (uint32_t)i + 1});
    query_store_add(&store, &h.profile);

    struct asked a;
    ask(&a, &store, handle_raw_chunk, "3/7/" PROFILER "/" CHUNK);
    cr_expect_eq(a.response.status, 200);
    cr_expect(a.streamed);
    cr_expect_gt(a.response.body.len, 250 * sizeof(name));
    cr_expect(bytes_ends_with(buffer_bytes(&a.response.body), BYTES("{\"name\":\"Main\"}}}}")));
    forget(&a);
    query_store_close(&store);
}
