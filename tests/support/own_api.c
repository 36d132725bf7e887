#include "tests/support/own_api.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/app.h"
#include "api/handlers.h"
#include "api/http_response.h"
#include "engine/json_reader.h"

#define PARAMS_MAX 32

static const struct {
    const char *name;
    handler_fn handler;
} routes[] = {
    {"profilers", handle_profilers},       {"chunks", handle_chunks},
    {"flamegraph", handle_flamegraph},     {"flamechart", handle_flamechart},
    {"functions", handle_functions},       {"usage", handle_usage},
    {"transactions", handle_transactions}, {"profiles", handle_profile},
};

/* The text up to the next `stop`, which is skipped. */
static struct bytes take_until(struct bytes *rest, uint8_t stop)
{
    size_t len = bytes_find_byte(*rest, stop);
    struct bytes taken = bytes_first(*rest, len);

    *rest = bytes_from(*rest, len + 1);
    return taken;
}

static handler_fn route_of(struct bytes path, struct http_request *q)
{
    if (bytes_equal(path, BYTES("openapi.json")))
        return handle_openapi;
    if (bytes_equal(path, BYTES("projects")))
        return handle_projects;
    (void)take_until(&path, '/');
    q->path_param[0] = take_until(&path, '/');
    struct bytes name = take_until(&path, '/');
    q->path_param[1] = path;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (bytes_equal(name, bytes_of_text(routes[i].name)))
            return routes[i].handler;
    (void)fprintf(stderr, "own_api_get: no such route: %.*s\n", (int)name.len, name.data);
    abort();
}

/* The pieces of the body in one; what a failure cuts off is missing. */
static struct bytes drain(struct http_response *r, struct arena *arena)
{
    struct buffer whole;
    bool done = r->source.next == NULL;

    buffer_init(&whole, SIZE_MAX, NULL);
    buffer_put(&whole, buffer_bytes(&r->body));
    while (!done && r->source.next(r->source.self, &whole, &done) == ERR_OK)
        ;
    struct bytes copy = arena_copy(arena, buffer_bytes(&whole));
    buffer_close(&whole);
    return copy;
}

struct own_answer own_api_get(struct query_store *q, const char *target)
{
    return own_api_get_within(q, target, NULL);
}

struct own_answer own_api_get_within(struct query_store *q, const char *target,
                                     struct mem_account *account)
{
    struct arena arena;
    struct http_field params[PARAMS_MAX];
    struct http_request request = {.method = HTTP_METHOD_GET, .params = params};
    struct http_response response;
    struct app app = {.store = q->store};
    atomic_bool canceled = false;
    struct handler_context context = {
        .app = &app, .arena = &arena, .account = account, .canceled = &canceled};
    struct bytes query = bytes_of_text(target);
    struct bytes path = take_until(&query, '?');
    handler_fn handler = route_of(path, &request);

    while (query.len > 0 && request.param_count < PARAMS_MAX) {
        struct bytes pair = take_until(&query, '&');
        struct bytes name = take_until(&pair, '=');
        params[request.param_count++] = (struct http_field){name, pair};
    }
    arena_init(&arena, SIZE_MAX, account);
    http_response_init(&response, account);
    handler(&context, &request, &response);
    struct bytes disposition = http_response_find(&response, "Content-Disposition");
    struct own_answer answer = {
        .status = response.status,
        .type = response.content_type == NULL ? BYTES("") : bytes_of_text(response.content_type),
        .disposition = arena_copy(&q->arena, disposition),
        .coverage = arena_copy(&q->arena, http_response_find(&response, "X-Hearth-Coverage")),
        .streamed = response.source.next != NULL,
        .body = drain(&response, &q->arena),
    };
    http_response_close(&response);
    arena_close(&arena);
    return answer;
}

struct bytes own_answer_find(const struct own_answer *a, const char *path)
{
    struct bytes rest = bytes_of_text(path);
    struct bytes value = a->body;

    while (rest.len > 0 && value.data != NULL) {
        struct bytes part = take_until(&rest, '.');
        char key[64];
        (void)snprintf(key, sizeof(key), "%.*s", (int)part.len, (const char *)part.data);
        value = json_find(value, key);
    }
    return value;
}
