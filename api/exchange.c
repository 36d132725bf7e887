#include "api/exchange.h"

#include "api/app.h"
#include "api/http_response.h"
#include "api/status.h"
#include "api/upload.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/content_coding.h"

#define BIG_SIZE MIB(4) /* unmapping this much takes about a millisecond */

enum err exchange_create(struct app *app, struct mem_budget *heads, struct exchange **ret)
{
    struct exchange *x = mem_zalloc(sizeof(*x));
    if (x == NULL)
        return ERR_NOMEM;
    mem_account_init(&x->head_account, heads, REQUEST_HEAD_MAX);
    arena_init(&x->head_arena, REQUEST_HEAD_MAX, &x->head_account);
    mem_account_init(&x->account, app->budget, REQUEST_MEMORY_MAX);
    arena_init(&x->arena, REQUEST_MEMORY_MAX, &x->account);
    buffer_init(&x->body, UPLOAD_CODED_MAX, &x->account);
    buffer_init(&x->encoded, RESPONSE_SIZE_MAX, &x->account);
    http_response_init(&x->response, NULL);
    x->response.body.max = RESPONSE_OWN_MAX;
    atomic_init(&x->canceled, false);
    x->context = (struct handler_context){app, &x->arena, &x->account, &x->canceled};
    x->began_ns = clock_steady_ns();
    *ret = x;
    return ERR_OK;
}

static void release_parts(struct exchange *x)
{
    if (x->upload != NULL)
        x->route->upload->end(x->upload);
    http_encoder_destroy(x->encoder);
    http_response_close(&x->response);
    buffer_close(&x->encoded);
    buffer_close(&x->decoded);
    buffer_close(&x->body);
    arena_close(&x->arena);
    arena_close(&x->head_arena);
    mem_account_close(&x->account);
    mem_account_close(&x->head_account);
}

static struct exchange *of_release(struct job *job)
{
    return (struct exchange *)((char *)job - offsetof(struct exchange, release));
}

static void on_release(struct job *job)
{
    release_parts(of_release(job));
}

static void on_released(struct job *job)
{
    mem_free(of_release(job));
}

void exchange_destroy(struct exchange *x, uv_loop_t *loop)
{
    if (x == NULL)
        return;
    if (x->account.held > BIG_SIZE) {
        job_start(loop, &x->release, on_release, on_released);
        return;
    }
    release_parts(x);
    mem_free(x);
}

static enum http_coding choose_coding(const struct exchange *x)
{
    const struct http_response *r = &x->response;
    if (x->route->family != FAMILY_OWN && x->route->family != FAMILY_VROOM)
        return HTTP_CODING_IDENTITY;
    if (r->status == 304 || !http_coding_pays(r->content_type) ||
        http_response_find(r, "Content-Encoding").data != NULL)
        return HTTP_CODING_IDENTITY;
    size_t min = x->route->family == FAMILY_VROOM ? COMPRESS_VROOM_MIN : COMPRESS_SIZE_MIN;
    if (!x->pulled && r->body.len < min)
        return HTTP_CODING_IDENTITY;
    return http_coding_choose(http_request_header(x->request, "accept-encoding"));
}

/* Code what is in response.body. Without room for a compressor the first piece goes out plain. */
static void encode(struct exchange *x, bool last)
{
    if (x->coding == HTTP_CODING_IDENTITY)
        return;
    enum err rc = ERR_OK;
    if (x->encoder == NULL) {
        rc = http_encoder_create(x->coding, &x->account, &x->encoder);
        if (rc != ERR_OK) {
            x->coding = HTTP_CODING_IDENTITY;
            return;
        }
    }
    buffer_clear(&x->encoded);
    rc = http_encoder_feed(x->encoder, buffer_bytes(&x->response.body), last, &x->encoded);
    if (rc == ERR_OK)
        return;
    if (!x->pulled)
        x->coding = HTTP_CODING_IDENTITY;
    else
        x->failed = rc;
}

/* One piece of the source; pieces that come out empty are not worth a write. */
static void pull(struct exchange *x)
{
    struct http_response *r = &x->response;
    buffer_clear(&r->body);
    while (r->body.len == 0 && !x->source_done && x->failed == ERR_OK)
        x->failed = r->source.next(r->source.self, &r->body, &x->source_done);
    if (x->failed == ERR_OK)
        x->failed = r->body.failed;
}

static void start_source(struct exchange *x)
{
    struct http_response *r = &x->response;
    x->pulled = true;
    pull(x);
    if (x->failed != ERR_OK) { /* nothing has been sent: say so properly */
        http_problem_of(r, x->failed, NULL);
        x->failed = ERR_OK;
        x->pulled = false;
    } else if (x->source_done) {
        x->pulled = false; /* all of it: an ordinary answer with a length */
    }
}

/* Undo the body's content coding; false: the response says why not. */
static bool decode_body(struct exchange *x)
{
    struct errinfo info = {{0}};
    enum content_coding coding =
        content_coding_parse(http_request_header(x->request, "content-encoding"));
    if (x->route->body_max == 0 || coding == CODING_IDENTITY)
        return true;
    buffer_init(&x->decoded, x->route->body_max, &x->account);
    enum err rc = content_decode_whole(coding, x->request->body, &x->decoded, &info);
    x->request->body = buffer_bytes(&x->decoded);
    if (rc == ERR_OK)
        return true;
    http_refuse(&x->response, x->family, status_of(rc), status_reason_of(rc), info.text);
    return false;
}

void exchange_handle(struct exchange *x)
{
    struct http_response *r = &x->response;
    x->answered = true;
    if (!decode_body(x))
        return;
    if (!x->route->on_loop && !x->route->vital) {
        http_response_close(r);
        http_response_init(r, &x->account);
    }
    x->route->handler(&x->context, x->request, r);
    if (r->source.next != NULL)
        start_source(x);
    http_response_settle(r);
    x->coding = choose_coding(x);
    encode(x, !x->pulled);
}

void exchange_pull(struct exchange *x)
{
    pull(x);
    if (x->failed == ERR_OK)
        encode(x, x->source_done);
}

void exchange_take(struct exchange *x)
{
    struct bytes piece = bytes_from(buffer_bytes(&x->body), x->body_taken);
    size_t used = 0;
    x->failed = x->route->upload->take(x->upload, piece, x->complete, &used, &x->response);
    x->body_taken += used;
    if (x->failed == ERR_BUSY)
        return;
    x->body_taken = 0;
    if (x->failed != ERR_OK || x->complete)
        buffer_close(&x->body); /* the account keeps its ceiling; memory goes at once */
    buffer_clear(&x->body);
    x->answered = x->failed != ERR_OK;
}

struct bytes exchange_payload(const struct exchange *x)
{
    return x->coding == HTTP_CODING_IDENTITY ? buffer_bytes(&x->response.body)
                                             : buffer_bytes(&x->encoded);
}
