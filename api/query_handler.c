/* query_handler.c - the query API that Sentry's backend speaks: SnQL in, rows out.
 *
 * What a request and an answer look like: docs/http-api.md; the language: docs/snql.md. */
#include <inttypes.h>

#include "api/app.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/json_reader.h"
#include "engine/snql_json.h"
#include "engine/snql_tables.h"

struct query_body {
    struct bytes query;
    struct bytes dataset; /* data NULL: absent */
    bool debug;
    bool dry_run;
};

/* ---- refusals ---- */

static void refuse(struct http_response *r, const struct snql_error *e)
{
    buffer_clear(&r->body);
    r->status = snql_error_status(e);
    r->content_type = "application/json";
    buffer_put(&r->body, BYTES("{"));
    snql_json_put_error(e, &r->body);
    buffer_put(&r->body, BYTES("}"));
}

static enum err refuse_body(struct snql_error *e, enum snql_error_type type, const char *format,
                            ...) PRINTF_LIKE(3, 4);

static enum err refuse_body(struct snql_error *e, enum snql_error_type type, const char *format,
                            ...)
{
    va_list args;
    va_start(args, format);
    *e = (struct snql_error){.type = type, .offset = SNQL_NO_OFFSET};
    enum err rc = err_set_args(&e->info, ERR_MALFORMED, format, args);
    va_end(args);
    return rc;
}

static bool is_dataset(struct bytes name)
{
    return bytes_equal(name, BYTES("profiles")) || bytes_equal(name, BYTES("functions"));
}

static enum err check_dataset(struct bytes name, struct snql_error *e)
{
    if (is_dataset(name))
        return ERR_OK;
    return refuse_body(e, SNQL_ERROR_DATASET,
                       "dataset '%.*s' does not exist: expected profiles or functions",
                       (int)bytes_first(name, 100).len, (const char *)name.data);
}

/* ---- the body ---- */

enum body_key {
    QUERY,
    DATASET,
    DEBUG,
    DRY_RUN,
    CONSISTENT,
    TURBO,
    LEGACY,
    TENANT_IDS,
    REFERRER,
    APP_ID,
    TEAM,
    FEATURE,
    PARENT_API
};

static const struct bytes body_keys[] = {
    [QUERY] = BYTES("query"),
    [DATASET] = BYTES("dataset"),
    [DEBUG] = BYTES("debug"),
    [DRY_RUN] = BYTES("dry_run"),
    [CONSISTENT] = BYTES("consistent"),
    [TURBO] = BYTES("turbo"),
    [LEGACY] = BYTES("legacy"),
    [TENANT_IDS] = BYTES("tenant_ids"),
    [REFERRER] = BYTES("referrer"),
    [APP_ID] = BYTES("app_id"),
    [TEAM] = BYTES("team"),
    [FEATURE] = BYTES("feature"),
    [PARENT_API] = BYTES("parent_api"),
};
#define BODY_KEY_COUNT ((int)(sizeof(body_keys) / sizeof(body_keys[0])))

static enum err read_text(struct json_reader *j, enum body_key key, struct arena *arena,
                          struct bytes *ret, struct snql_error *e)
{
    if (json_peek(j) != JSON_STRING)
        return refuse_body(e, SNQL_ERROR_SCHEMA, "'%s' must be a string",
                           (const char *)body_keys[key].data);
    *ret = arena_copy(arena, json_read_string(j));
    return ret->data == NULL ? arena->failed : j->failed;
}

static enum err read_flag(struct json_reader *j, enum body_key key, bool *ret, struct snql_error *e)
{
    enum json_type type = json_peek(j);
    if (type != JSON_TRUE && type != JSON_FALSE)
        return refuse_body(e, SNQL_ERROR_SCHEMA, "'%s' must be true or false",
                           (const char *)body_keys[key].data);
    *ret = json_read_bool(j);
    return ERR_OK;
}

static enum err read_member(struct json_reader *j, int key, struct arena *arena,
                            struct query_body *ret, struct snql_error *e)
{
    bool ignored;
    struct bytes text;
    switch (key) {
    case QUERY: return read_text(j, QUERY, arena, &ret->query, e);
    case DATASET: return read_text(j, DATASET, arena, &ret->dataset, e);
    case DEBUG: return read_flag(j, DEBUG, &ret->debug, e);
    case DRY_RUN: return read_flag(j, DRY_RUN, &ret->dry_run, e);
    case CONSISTENT:
    case TURBO:
    case LEGACY: return read_flag(j, (enum body_key)key, &ignored, e);
    case REFERRER:
    case APP_ID:
    case TEAM:
    case FEATURE:
    case PARENT_API: return read_text(j, (enum body_key)key, arena, &text, e);
    case TENANT_IDS:
        if (json_peek(j) != JSON_OBJECT)
            return refuse_body(e, SNQL_ERROR_SCHEMA, "'tenant_ids' must be an object");
        (void)json_skip(j);
        return ERR_OK;
    default:
        return refuse_body(e, SNQL_ERROR_SCHEMA, "the request has a property it must not have");
    }
}

static enum err read_members(struct json_reader *j, struct arena *arena, struct query_body *ret,
                             struct snql_error *e)
{
    struct json_keys keys;
    int key;
    if (json_peek(j) != JSON_OBJECT)
        return refuse_body(e, SNQL_ERROR_SCHEMA, "the request must be an object");
    json_keys_init(&keys, body_keys, BODY_KEY_COUNT);
    json_enter_keys(j, &keys);
    while (json_next_key(j, &keys, &key))
        TRY(read_member(j, key, arena, ret, e));
    TRY(j->failed);
    if (ret->query.data == NULL)
        return refuse_body(e, SNQL_ERROR_SCHEMA, "'query' is a required property");
    return ERR_OK;
}

static enum err read_body(struct bytes body, struct arena *arena, struct query_body *ret,
                          struct snql_error *e)
{
    struct json_reader whole;
    struct json_reader members;
    struct buffer scratch;
    *ret = (struct query_body){0};
    *e = (struct snql_error){.offset = SNQL_NO_OFFSET};
    buffer_init(&scratch, SNQL_BODY_MAX, arena->account);
    json_reader_init(&whole, body, &scratch, &e->info);
    (void)json_skip(&whole);
    enum err rc = json_end(&whole);
    if (rc == ERR_MALFORMED) {
        e->type = SNQL_ERROR_JSON;
    } else if (rc == ERR_OK) {
        json_reader_init(&members, body, &scratch, &e->info);
        rc = read_members(&members, arena, ret, e);
        if (rc == ERR_MALFORMED && e->type == SNQL_ERROR_INTERNAL)
            e->type = SNQL_ERROR_SCHEMA;
    }
    buffer_close(&scratch);
    return rc;
}

/* ---- the answer ---- */

static void put_number(struct buffer *out, const char *key, uint64_t v)
{
    buffer_printf(out, "\"%s\":%" PRIu64, key, v);
}

static void put_text(struct buffer *out, const char *key, struct bytes text)
{
    struct json_writer w;
    buffer_printf(out, ",\"%s\":", key);
    json_writer_init(&w, out);
    json_string(&w, text);
}

static void put_rest(const struct snql_answer *a, int64_t took_ns, struct buffer *out)
{
    const struct snql_result *r = &a->result;
    int64_t now = clock_wall_ns() / 1000000000;
    buffer_put(out, BYTES(",\"profile\":{"));
    put_number(out, "bytes", r->bytes_read);
    buffer_put(out, BYTES(","));
    put_number(out, "blocks", r->batches_read);
    buffer_put(out, BYTES(","));
    put_number(out, "rows", r->rows_read);
    buffer_printf(out, ",\"elapsed\":%" PRId64 ".%09" PRId64 ",", took_ns / 1000000000,
                  took_ns % 1000000000);
    put_number(out, "progress_bytes", r->bytes_read);
    buffer_printf(out,
                  "},\"trace_output\":\"\",\"timing\":{\"timestamp\":%" PRId64
                  ",\"duration_ms\":%" PRId64 ",\"marks_ms\":{},\"tags\":{}}",
                  now, took_ns / 1000000);
    buffer_put(out, BYTES(",\"quota_allowance\":{\"details\":{},\"summary\":{\"threads_used\":1,"
                          "\"is_successful\":true,\"is_rejected\":false,\"is_throttled\":false,"
                          "\"rejection_storage_key\":null,\"throttle_storage_key\":null,"
                          "\"rejected_by\":{},\"throttled_by\":{}}}"));
}

static void put_debug(const struct snql_answer *a, struct buffer *out)
{
    const struct snql_result *r = &a->result;
    put_text(out, "sql", a->plan.data == NULL ? BYTES("") : a->plan);
    buffer_put(out, BYTES(",\"stats\":{"));
    put_number(out, "rows_read", r->rows_read);
    buffer_put(out, BYTES(","));
    put_number(out, "bytes_read", r->bytes_read);
    buffer_put(out, BYTES(","));
    put_number(out, "result_rows", r->rows);
    buffer_put(out, BYTES("},\"experiments\":{}"));
}

/* Rows of damaged segments are in no answer: said where there are some, which Snuba cannot. */
static void put_left_out(const struct snapshot *snap, struct buffer *out)
{
    uint64_t count = snapshot_count_damaged(snap, INT64_MIN, INT64_MAX);
    if (count > 0)
        buffer_printf(out,
                      ",\"left_out\":[{\"what\":\"segments\",\"count\":%" PRIu64
                      ",\"reason\":\"damaged\"}]",
                      count);
}

static enum err run(struct handler_context *c, const struct query_body *body,
                    struct http_response *r, struct snql_error *e)
{
    struct snapshot *snap = snapshot_acquire(c->app->store, c->account);
    if (snap == NULL)
        return ERR_NOMEM;
    int64_t began_ns = clock_steady_ns();
    struct snql_catalog catalog = snql_store_catalog(snap);
    struct snql_request request = {
        .text = body->query,
        .dry_run = body->dry_run,
        .budget = {.deadline_ns = began_ns + (int64_t)SNQL_TIME_MS * 1000000,
                   .canceled = c->canceled}};
    struct snql_answer answer;
    enum err rc = snql_run(&request, &catalog, c->arena, &answer, e);
    if (rc == ERR_OK) {
        r->status = 200;
        r->content_type = "application/json";
        buffer_put(&r->body, BYTES("{"));
        snql_json_put_answer(&answer, &r->body);
        put_rest(&answer, clock_steady_ns() - began_ns, &r->body);
        put_left_out(snap, &r->body);
        if (body->debug)
            put_debug(&answer, &r->body);
        buffer_put(&r->body, BYTES("}"));
        rc = r->body.failed;
    }
    snapshot_release(snap); /* texts of the answer were its */
    return rc;
}

static void answer(struct handler_context *c, const struct http_request *q, struct bytes dataset,
                   struct http_response *r)
{
    struct query_body body;
    struct snql_error e = {.offset = SNQL_NO_OFFSET};
    enum err rc = ERR_OK;
    if (dataset.data != NULL)
        rc = check_dataset(dataset, &e);
    if (rc == ERR_OK)
        rc = read_body(q->body, c->arena, &body, &e);
    if (rc == ERR_OK && dataset.data == NULL)
        rc = check_dataset(body.dataset.data == NULL ? BYTES("events") : body.dataset, &e);
    if (rc == ERR_OK)
        rc = run(c, &body, r, &e);
    if (rc == ERR_OK || rc == ERR_CANCELED)
        return;
    if (rc == ERR_BUSY || rc == ERR_NOMEM)
        snql_error_write_code(&e, SNQL_CODE_MEMORY, "there is no memory for the answer: %s",
                              err_text(rc));
    else if (e.info.text[0] == '\0')
        (void)err_set(&e.info, rc, "%s", err_text(rc));
    refuse(r, &e);
}

void handle_dataset_query(struct handler_context *c, const struct http_request *q,
                          struct http_response *r)
{
    answer(c, q, q->path_param[0], r);
}

void handle_query(struct handler_context *c, const struct http_request *q, struct http_response *r)
{
    answer(c, q, (struct bytes){0}, r);
}

void handle_health_envoy(struct handler_context *c, const struct http_request *q,
                         struct http_response *r)
{
    (void)c;
    (void)q;
    r->content_type = "application/json";
    buffer_put(&r->body, BYTES("{}"));
}
