/* place.c - see place.h */
#include "api/main/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/app.h"
#include "api/handlers.h"
#include "api/http_response.h"
#include "api/main/command.h"
#include "base/limits.h"
#include "engine/json_reader.h"

enum err place_open(const struct place_options *options, struct place *ret, struct errinfo *info)
{
    struct place p = {.vfs = vfs_posix()};
    if (options->data != NULL) {
        struct store_options store = {
            .vfs = p.vfs, .dir = options->data, .read_only = !options->may_create};
        p.dir = options->data;
        enum err rc = store_open(&store, &p.store, info);
        if (rc == ERR_BUSY)
            return err_set(info, rc, "%s: another process holds it, a server? Use --url",
                           options->data);
        TRY(rc);
    } else {
        const char *text = options->url;
        struct http_url url;
        if (text == NULL)
            text = getenv("HEARTH_URL"); /* NOLINT(concurrency-mt-unsafe): one thread */
        p.is_default = text == NULL;
        TRY(http_url_parse(bytes_of_text(text == NULL ? HEARTH_URL_DEFAULT : text), &url, info));
        TRY(http_client_create(&url, CLIENT_ANSWER_TIMEOUT_MS, &p.client, info));
    }
    *ret = p;
    return ERR_OK;
}

void place_close(struct place *p)
{
    http_client_destroy(p->client);
    store_close(p->store);
    *p = (struct place){0};
}

/* The words of a problem+json, or its beginning when it is none. */
static enum err refusal(int status, struct bytes body, struct errinfo *info)
{
    struct json_reader r;
    struct buffer scratch;
    char words[160] = "";
    buffer_init(&scratch, KIB(64), NULL);
    json_reader_init(&r, body, &scratch, NULL);
    struct bytes whole = json_skip(&r);
    struct bytes detail = json_find(whole, "detail"); /* problem+json, or the query API's form */
    if (detail.data == NULL && json_find(whole, "error").data != NULL)
        detail = json_find(json_find(whole, "error"), "message");
    json_reader_init(&r, detail, &scratch, NULL);
    struct bytes text = json_read_string(&r);
    if (r.failed != ERR_OK || text.len == 0)
        text = body;
    text = bytes_first(bytes_trim(text), sizeof(words) - 1);
    if (text.len > 0)
        memcpy(words, text.data, text.len);
    buffer_close(&scratch);
    return err_set(info, status == 404 ? ERR_NOTFOUND : ERR_MALFORMED, "the answer is %d: %s",
                   status, words);
}

static enum err ask_server(struct place *p, const struct place_question *q, struct errinfo *info)
{
    struct buffer target;
    struct http_client_answer answer;
    buffer_init(&target, KIB(64), NULL);
    http_client_answer_init(&answer,
                            CLIENT_REFUSAL_MAX); /* refusals only: good answers go to on_body */
    buffer_printf(&target, q->body.data != NULL ? "/profiles/" : "/api/v1/");
    if (q->project_id > 0)
        buffer_printf(&target, "projects/%llu/", (unsigned long long)q->project_id);
    buffer_put(&target, bytes_of_text(q->body.data != NULL ? "snql" : q->route));
    for (size_t i = 0; i < q->param_count; i++) {
        buffer_put_u8(&target, i == 0 ? '?' : '&');
        buffer_put(&target, q->params[i].name);
        buffer_put(&target, BYTES("="));
        http_put_encoded(&target, q->params[i].value);
    }
    enum err rc = target.failed;
    if (rc != ERR_OK) {
        (void)err_set(info, rc, "the question is too long");
    } else {
        struct http_client_request request = {.method = q->body.data != NULL ? "POST" : NULL,
                                              .target = buffer_bytes(&target),
                                              .body = q->body,
                                              .on_body = q->on_body,
                                              .self = q->self};
        rc = http_client_send(p->client, &request, &answer, info);
        if (rc == ERR_IO && p->is_default)
            rc = err_wrap(info, rc, "the default server (--url or HEARTH_URL names another)");
    }
    if (rc == ERR_OK && (answer.status < 200 || answer.status > 299))
        rc = refusal(answer.status, buffer_bytes(&answer.body), info);
    buffer_close(&target);
    http_client_answer_close(&answer);
    return rc;
}

static handler_fn find_handler(const char *route)
{
    static const struct {
        const char *route;
        handler_fn handler;
    } handlers[] = {{"flamegraph", handle_flamegraph},
                    {"functions", handle_functions},
                    {"query", handle_dataset_query},
                    {"projects", handle_projects}};
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
        if (strcmp(route, handlers[i].route) == 0)
            return handlers[i].handler;
    return NULL;
}

/* Hand over what the handler wrote, and what its source still has. */
static enum err deliver(struct http_response *response, const struct place_question *q)
{
    bool done = response->source.next == NULL;
    enum err rc = response->body.failed;
    if (rc == ERR_OK && response->body.len > 0)
        rc = q->on_body(q->self, buffer_bytes(&response->body));
    while (rc == ERR_OK && !done) {
        buffer_clear(&response->body);
        rc = response->source.next(response->source.self, &response->body, &done);
        if (rc == ERR_OK)
            rc = response->body.failed;
        if (rc == ERR_OK && response->body.len > 0)
            rc = q->on_body(q->self, buffer_bytes(&response->body));
    }
    return rc;
}

static enum err ask_folder(struct place *p, const struct place_question *q, struct errinfo *info)
{
    struct mem_budget budget;
    struct mem_account account;
    struct arena arena;
    struct http_response response;
    char project[24];
    atomic_bool canceled = false;
    mem_budget_init(&budget, CLIENT_MEMORY_MAX);
    mem_account_init(&account, &budget, CLIENT_MEMORY_MAX);
    arena_init(&arena, CLIENT_MEMORY_MAX, &account);
    http_response_init(&response, &account);

    struct app app = {.vfs = p->vfs, .store = p->store, .budget = &budget};
    struct handler_context context = {
        .app = &app, .arena = &arena, .account = &account, .canceled = &canceled};
    int len = snprintf(project, sizeof(project), "%llu", (unsigned long long)q->project_id);
    struct http_request request = {.method = HTTP_METHOD_GET,
                                   .params = q->params,
                                   .param_count = q->param_count,
                                   .path_param = {{(const uint8_t *)project, (size_t)len}},
                                   .body = q->body};
    if (q->body.data != NULL)
        request.path_param[0] = BYTES("profiles");
    find_handler(q->route)(&context, &request, &response);
    enum err rc;
    if (response.status < 200 || response.status > 299)
        rc = refusal(response.status, buffer_bytes(&response.body), info);
    else if ((rc = deliver(&response, q)) != ERR_OK)
        (void)err_set(info, rc, "the answer cannot be written: %s", err_text(rc));
    if (response.source.next != NULL && response.source.stop != NULL)
        response.source.stop(response.source.self);
    http_response_close(&response);
    arena_close(&arena);
    mem_account_close(&account);
    return rc;
}

enum err place_ask(struct place *p, const struct place_question *q, struct errinfo *info)
{
    return p->client != NULL ? ask_server(p, q, info) : ask_folder(p, q, info);
}
