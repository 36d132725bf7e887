#include "api/http_response.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/status.h"
#include "base/limits.h"

#define DETAIL_SIZE 512

void http_response_init(struct http_response *r, struct mem_account *account)
{
    *r = (struct http_response){.status = 200};
    buffer_init(&r->body, RESPONSE_SIZE_MAX, account);
}

void http_response_close(struct http_response *r)
{
    if (r->source.next != NULL && r->source.stop != NULL)
        r->source.stop(r->source.self);
    r->source = (struct body_source){0};
    buffer_close(&r->body);
}

void http_response_clear(struct http_response *r)
{
    size_t max = r->body.max;
    struct mem_account *account = r->body.account;
    http_response_close(r);
    *r = (struct http_response){.status = 200};
    buffer_init(&r->body, max, account);
}

void http_response_header(struct http_response *r, struct bytes name, struct bytes value)
{
    if (r->header_count == RESPONSE_HEADERS_MAX)
        return; /* a handler's own list is short and known; a longer one fails its test */
    r->headers[r->header_count++] = (struct http_field){name, value};
}

struct bytes http_response_find(const struct http_response *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (bytes_equal_nocase(r->headers[i].name, bytes_of_text(name)))
            return r->headers[i].value;
    return (struct bytes){0};
}

static void put_problem(struct http_response *r, int status, const char *reason, const char *detail)
{
    http_response_clear(r);
    r->status = status;
    r->content_type = "application/problem+json";
    struct json_writer w;
    json_writer_init(&w, &r->body);
    json_begin_object(&w);
    json_key(&w, "type");
    json_text(&w, "about:blank");
    json_key(&w, "title");
    json_text(&w, status_phrase(status));
    json_key(&w, "status");
    json_i64(&w, status);
    json_key(&w, "reason");
    json_text(&w, reason);
    json_key(&w, "detail");
    json_text(&w, detail);
    json_end_object(&w);
    buffer_put_u8(&r->body, '\n');
}

void http_problem(struct http_response *r, int status, const char *reason, const char *format, ...)
{
    char detail[DETAIL_SIZE];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    if (wanted < 0) /* a format vsnprintf refuses: still a terminated text */
        detail[0] = '\0';
    put_problem(r, status, reason, detail);
}

void http_problem_of(struct http_response *r, enum err rc, const struct errinfo *info)
{
    const char *detail = info != NULL && info->text[0] != '\0' ? info->text : err_text(rc);
    put_problem(r, status_of(rc), status_reason_of(rc), detail);
}

void http_response_settle(struct http_response *r)
{
    enum err failed = r->body.failed;
    if (failed == ERR_OK)
        return;
    http_response_clear(r);
    buffer_close(&r->body);
    buffer_init(&r->body, KIB(4),
                NULL); /* a few hundred bytes that must not fail for want of room */
    if (failed == ERR_LIMIT)
        http_problem(r, 413, "answer_too_large",
                     "the answer is over its ceiling; ask for less (a shorter window, fewer ids)");
    else
        http_problem_of(r, failed, NULL);
}

static void put_relay_error(struct http_response *r, int status, const char *text)
{
    http_response_clear(r);
    r->status = status;
    r->content_type = "application/json";
    struct json_writer w;
    json_writer_init(&w, &r->body);
    json_begin_object(&w);
    json_key(&w, "detail");
    json_text(&w, text);
    json_end_object(&w);
}

static void put_go_text(struct http_response *r, int status, const char *text)
{
    http_response_clear(r);
    r->status = status;
    if (text == NULL)
        return;
    r->content_type = "text/plain; charset=utf-8";
    http_response_header(r, BYTES("X-Content-Type-Options"), BYTES("nosniff"));
    buffer_put(&r->body, bytes_of_text(text));
}

static void put_snuba_error(struct http_response *r, int status, const char *text)
{
    http_response_clear(r);
    r->status = status;
    r->content_type = "application/json";
    struct json_writer w;
    json_writer_init(&w, &r->body);
    json_begin_object(&w);
    json_key(&w, "error");
    json_begin_object(&w);
    json_key(&w, "type");
    json_text(&w, "http");
    json_key(&w, "message");
    json_text(&w, text);
    json_end_object(&w);
    json_end_object(&w);
}

void http_refuse(struct http_response *r, enum route_family family, int status, const char *reason,
                 const char *text)
{
    switch (family) {
    case FAMILY_OWN: put_problem(r, status, reason, text); break;
    case FAMILY_INGEST: put_relay_error(r, status, text); break;
    case FAMILY_SNUBA: put_snuba_error(r, status, text); break;
    case FAMILY_VROOM:
        put_go_text(r, status,
                    status == 404   ? "404 page not found\n"
                    : status == 405 ? "Method Not Allowed\n"
                                    : NULL);
        break;
    }
}

static void put_family_head(const struct http_response *r, const struct http_head_options *o,
                            struct buffer *out)
{
    if (o->family == FAMILY_INGEST) {
        buffer_put(out, BYTES("Access-Control-Allow-Origin: *\r\n"
                              "Access-Control-Expose-Headers: "
                              "x-sentry-error,x-sentry-rate-limits,retry-after\r\n"
                              "Vary: origin, access-control-request-method, "
                              "access-control-request-headers\r\n"));
        if (o->is_options)
            buffer_put(out, BYTES("Access-Control-Allow-Methods: POST\r\n"
                                  "Access-Control-Allow-Headers: x-sentry-auth,x-requested-with,"
                                  "x-forwarded-for,origin,referer,accept,content-type,"
                                  "authentication,authorization,content-encoding,"
                                  "transfer-encoding\r\n"
                                  "Access-Control-Max-Age: 3600\r\n"));
        return;
    }
    bool coded_family = o->family == FAMILY_OWN || o->family == FAMILY_VROOM;
    if (o->routed && coded_family && http_response_find(r, "Vary").data == NULL)
        buffer_put(out, BYTES("Vary: Accept-Encoding\r\n"));
}

void http_response_put_head(const struct http_response *r, const struct http_head_options *o,
                            struct buffer *out)
{
    buffer_printf(out, "HTTP/1.1 %d %s\r\n", r->status, status_phrase(r->status));
    if (o->date != NULL)
        buffer_printf(out, "Date: %s\r\n", o->date);
    if (r->content_type != NULL)
        buffer_printf(out, "Content-Type: %s\r\n", r->content_type);
    if (o->coding != NULL)
        buffer_printf(out, "Content-Encoding: %s\r\n", o->coding);
    if (o->chunked && !o->version_1_0)
        buffer_put(out, BYTES("Transfer-Encoding: chunked\r\n"));
    else if (!o->chunked && r->status != 304 && r->status != 204)
        buffer_printf(out, "Content-Length: %zu\r\n", o->content_length);
    for (size_t i = 0; i < r->header_count; i++) {
        buffer_put(out, r->headers[i].name);
        buffer_put(out, BYTES(": "));
        buffer_put(out, r->headers[i].value);
        buffer_put(out, BYTES("\r\n"));
    }
    put_family_head(r, o, out);
    if (!o->keep_alive)
        buffer_put(out, BYTES("Connection: close\r\n"));
    else if (o->version_1_0)
        buffer_put(out, BYTES("Connection: keep-alive\r\n"));
    buffer_put(out, BYTES("\r\n"));
}
