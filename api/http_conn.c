/*
 *             +----------------------- keep-alive --------------------------+
 *             v                                                             |
 *   HEAD --headers--> BODY --piece, message--> WORKING --answer--> WRITING -+--> LINGER
 *                      ^ |                      |  ^  |               |            |
 *                      | +---- refused -------- | -+- | --------------^            |
 *                      +------- next piece -----+     +--> PARKED (no memory)      |
 *                                                                                  |
 *   from anywhere: peer gone, timeout, bad request ------------> CLOSING <---------+
 *
 * conn_advance alone decides; callbacks note what happened and call it. Every handle, write, job
 * and append in flight is one hold; the memory goes with the last hold. While a request is being
 * worked on, at most READ_PEEK_SIZE bytes are read ahead: enough to notice a client that left.
 * A peer that only finished sending (half-closed) still gets its answer.
 */
#include "api/http_conn.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "api/app.h"
#include "api/http_response.h"
#include "api/metrics.h"
#include "api/upload.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/size.h"

enum conn_state {
    CONN_HEAD,
    CONN_BODY,
    CONN_WORKING,
    CONN_PARKED,
    CONN_WRITING,
    CONN_LINGER,
    CONN_CLOSING,
    CONN_STATE_COUNT
};

#define MOVE(to) (1u << CONN_##to)

static const unsigned allowed_moves[CONN_STATE_COUNT] = {
    [CONN_HEAD] = MOVE(BODY) | MOVE(WRITING) | MOVE(CLOSING),
    [CONN_BODY] = MOVE(WORKING) | MOVE(WRITING) | MOVE(PARKED) | MOVE(CLOSING),
    [CONN_WORKING] = MOVE(BODY) | MOVE(WRITING) | MOVE(PARKED) | MOVE(CLOSING),
    [CONN_PARKED] = MOVE(BODY) | MOVE(WORKING) | MOVE(CLOSING),
    [CONN_WRITING] = MOVE(HEAD) | MOVE(WORKING) | MOVE(LINGER) | MOVE(CLOSING),
    [CONN_LINGER] = MOVE(CLOSING),
    [CONN_CLOSING] = 0,
};

enum work { WORK_HANDLE, WORK_TAKE, WORK_APPEND, WORK_PULL };

struct http_conn {
    uv_tcp_t tcp;
    struct http_loop *loop;
    struct http_conn *prev;
    struct http_conn *next;
    struct http_conn *parked_prev;
    struct http_conn *parked_next;
    enum conn_state state;
    enum conn_state parked_from; /* where a retry goes on */
    unsigned holds;
    bool broken;
    bool peer_eof;
    bool reading;
    bool step_due;    /* BODY: the parser may have an event without further input */
    bool head_sent;   /* of the answer being written */
    bool writing;     /* a write is in flight */
    bool piece_ready; /* of a pulled body: the next write has something new */
    bool job_running; /* WORKING: the pool or the strand has the exchange */
    enum work work;
    bool keep_alive;  /* after this answer */
    bool overdue;     /* admission: the wait is over */
    size_t read_size; /* of the next read */
    size_t dropped;   /* bytes read in LINGER */
    uint64_t deadline_ms;
    uint64_t idle_since_ms;
    uint64_t body_since_ms; /* BODY: when reading (again) began, and what had come by then */
    size_t body_since_size;
    uint64_t parked_until_ms;
    size_t queue_size; /* unsent bytes at the last look */
    struct http_parser parser;
    struct bytes input;    /* not parsed yet: in the loop's read buffer or in `pending` */
    struct buffer pending; /* what of it has to be kept between callbacks */
    struct exchange *x;    /* NULL between requests */
    struct buffer out;     /* head, chunk frames */
    struct job job;
    uv_write_t write;
    uv_shutdown_t shutdown;
};

static void conn_run(struct http_conn *c);
static void on_retry(uv_timer_t *timer);

static void conn_enter(struct http_conn *c, enum conn_state to)
{
    assert((allowed_moves[c->state] & (1u << to)) != 0);
    c->state = to;
}

static void conn_hold(struct http_conn *c)
{
    c->holds++;
}

static void conn_release(struct http_conn *c)
{
    assert(c->holds > 0);
    if (--c->holds > 0)
        return;
    struct http_loop *loop = c->loop;
    http_parser_close(&c->parser);
    exchange_destroy(c->x, &loop->uv);
    buffer_close(&c->pending);
    buffer_close(&c->out);
    mem_free(c);
    loop->conn_count--;
    loop->on_conn_gone(loop);
}

static void conn_set_deadline(struct http_conn *c, unsigned ms)
{
    c->deadline_ms = uv_now(&c->loop->uv) + ms;
}

/* A body must neither pause for long nor trickle: bytes buy time at BODY_RATE_MIN. */
static void conn_body_deadline(struct http_conn *c)
{
    uint64_t patience = c->loop->limits.body_ms;
    uint64_t came = c->parser.body_size - c->body_since_size + c->input.len;
    uint64_t by_rate = c->body_since_ms + patience + came * 1000 / BODY_RATE_MIN;
    uint64_t by_pause = uv_now(&c->loop->uv) + patience;
    c->deadline_ms = by_rate < by_pause ? by_rate : by_pause;
}

/* Reading goes on: the time that we took ourselves does not count. */
static void conn_body_resumes(struct http_conn *c)
{
    c->body_since_ms = uv_now(&c->loop->uv);
    c->body_since_size = c->parser.body_size;
    conn_body_deadline(c);
}

static struct metrics *metrics_of(struct http_conn *c)
{
    return c->loop->app->metrics;
}

/* ---- closing ---- */

static void unpark(struct http_conn *c)
{
    struct http_loop *loop = c->loop;
    if (c->parked_prev != NULL)
        c->parked_prev->parked_next = c->parked_next;
    else
        loop->parked_first = c->parked_next;
    if (c->parked_next != NULL)
        c->parked_next->parked_prev = c->parked_prev;
    else
        loop->parked_last = c->parked_prev;
    c->parked_prev = NULL;
    c->parked_next = NULL;
    if (loop->parked_first == NULL)
        (void)uv_timer_stop(&loop->retry);
}

static void on_closed(uv_handle_t *handle)
{
    conn_release(handle->data);
}

static void conn_close_once(struct http_conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    if (c->state == CONN_PARKED)
        unpark(c);
    conn_enter(c, CONN_CLOSING);
    if (c->x != NULL)
        atomic_store_explicit(&c->x->canceled, true, memory_order_relaxed);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        c->loop->first = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    c->loop->open_count--;
    metrics_subtract(metrics_of(c), METRIC_CONNECTIONS_OPEN, 1);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct http_conn *c = handle->data;
    *ret = uv_buf_init((char *)c->loop->read_buffer, (unsigned)c->read_size);
}

static void keep_rest(struct http_conn *c)
{
    struct bytes rest = c->input;
    c->input = (struct bytes){0};
    if (rest.len == 0) {
        buffer_close(&c->pending);
        return;
    }
    const uint8_t *kept = c->pending.data;
    if (kept != NULL && rest.data >= kept && rest.data < kept + c->pending.capacity) {
        memmove(c->pending.data, rest.data, rest.len);
        c->pending.len = rest.len;
        return;
    }
    buffer_put(&c->pending, rest);
    if (c->pending.failed != ERR_OK)
        c->broken = true;
}

static void conn_stop_reading(struct http_conn *c)
{
    if (c->reading)
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = false;
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);

static void conn_read(struct http_conn *c, size_t size)
{
    c->read_size = size_min(size, READ_BODY_SIZE);
    if (c->reading || c->peer_eof)
        return;
    c->reading = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0;
    c->broken |= !c->reading;
}

/* While the request is worked on: notice a peer that left, read next to nothing. */
static void conn_peek(struct http_conn *c)
{
    if (c->input.len > 0)
        conn_stop_reading(c);
    else
        conn_read(c, READ_PEEK_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct http_conn *c = stream->data;
    if (size == 0)
        return;
    if (size == UV_EOF) {
        c->peer_eof = true;
        conn_stop_reading(c);
    } else if (size < 0) {
        c->broken = true;
    } else {
        metrics_add(metrics_of(c), METRIC_BYTES_IN, (uint64_t)size);
        if (c->pending.len > 0)
            buffer_put(&c->pending, bytes_of(buf->base, (size_t)size));
        else
            c->input = bytes_of(buf->base, (size_t)size);
        c->broken |= c->pending.failed != ERR_OK;
        if (c->state == CONN_BODY)
            conn_body_deadline(c);
    }
    conn_run(c);
}

/* ---- memory that is not there yet ---- */

static void conn_park(struct http_conn *c)
{
    struct http_loop *loop = c->loop;
    uint64_t now = uv_now(&loop->uv);
    conn_stop_reading(c);
    if (c->parked_until_ms == 0) { /* a first refusal, not a retry that failed */
        c->parked_until_ms = now + loop->limits.admission_ms;
        metrics_add(metrics_of(c), METRIC_ADMISSION_WAITS, 1);
    }
    c->parked_from = c->state;
    conn_enter(c, CONN_PARKED);
    c->parked_prev = loop->parked_last;
    c->parked_next = NULL;
    if (loop->parked_last != NULL)
        loop->parked_last->parked_next = c;
    else
        loop->parked_first = c;
    loop->parked_last = c;
    if (!uv_is_active((uv_handle_t *)&loop->retry))
        (void)uv_timer_start(&loop->retry, on_retry, ADMISSION_RETRY_MS, ADMISSION_RETRY_MS);
}

/* No room: wait for it, or, when that has lasted long enough, answer 503. */
static void conn_no_room(struct http_conn *c)
{
    struct exchange *x = c->x;
    if (!c->overdue) {
        conn_park(c);
        return;
    }
    metrics_add(metrics_of(c), METRIC_ADMISSION_REFUSED, 1);
    if (x->upload != NULL)
        x->route->upload->give_up(x->upload, &x->response);
    else
        http_refuse(&x->response, x->family, 503, "no_room_at_the_moment",
                    "no memory for this request at the moment");
    buffer_close(&x->body);
    x->answered = true;
    if (c->state == CONN_WORKING)
        conn_enter(c, x->complete ? CONN_WRITING : CONN_BODY);
}

static void conn_had_room(struct http_conn *c)
{
    c->parked_until_ms = 0;
    c->overdue = false;
}

/* ---- working: jobs and appends ---- */

static struct http_conn *of_job(struct job *job)
{
    return (struct http_conn *)((char *)job - offsetof(struct http_conn, job));
}

static void on_work(struct job *job)
{
    struct http_conn *c = of_job(job); /* `work` and the exchange are the job's until it is done */
    switch (c->work) {
    case WORK_HANDLE: exchange_handle(c->x); break;
    case WORK_TAKE: exchange_take(c->x); break;
    case WORK_PULL: exchange_pull(c->x); break;
    case WORK_APPEND: break;
    }
}

static void conn_work_done(struct http_conn *c)
{
    c->job_running = false;
    conn_run(c);
    conn_release(c);
}

static void on_work_done(struct job *job)
{
    conn_work_done(of_job(job));
}

static void on_appended(struct mail *mail)
{
    struct append_job *append = (struct append_job *)mail;
    struct exchange *x = (struct exchange *)((char *)append - offsetof(struct exchange, append));
    conn_work_done(x->owner);
}

static void conn_work(struct http_conn *c, enum work work)
{
    c->work = work;
    if (work == WORK_HANDLE && c->x->route->on_loop) {
        exchange_handle(c->x);
        return;
    }
    c->job_running = true;
    conn_hold(c);
    job_start(&c->loop->uv, &c->job, on_work, on_work_done);
}

static void conn_append(struct http_conn *c, const struct bytes *records, size_t count)
{
    struct append_job *append = &c->x->append;
    c->work = WORK_APPEND;
    c->job_running = true;
    conn_hold(c);
    static_assert(offsetof(struct append_job, mail) == 0, "on_appended casts");
    append->mail.on_mail = on_appended;
    append->mailbox = &c->loop->mailbox;
    append->records = records;
    append->record_count = count;
    c->x->route->upload->store(c->x->upload, append);
}

static void conn_took(struct http_conn *c)
{
    struct exchange *x = c->x;
    if (x->failed == ERR_BUSY) {
        conn_no_room(c);
        return;
    }
    conn_had_room(c);
    if (x->failed != ERR_OK || !x->complete) {
        conn_body_resumes(c);
        conn_enter(c, x->complete ? CONN_WRITING : CONN_BODY);
        return;
    }
    size_t count = 0;
    const struct bytes *records = x->route->upload->records(x->upload, &count);
    if (count > 0) {
        conn_append(c, records, count);
        return;
    }
    x->route->upload->answer(x->upload, ERR_OK, NULL, &x->response);
    conn_enter(c, CONN_WRITING);
}

/* False: nothing to do until a callback. */
static bool advance_working(struct http_conn *c)
{
    struct exchange *x = c->x;
    if (c->job_running) {
        conn_peek(c);
        return false;
    }
    switch (c->work) {
    case WORK_TAKE: conn_took(c); break;
    case WORK_APPEND:
        x->route->upload->answer(x->upload, x->append.rc, &x->append.info, &x->response);
        conn_enter(c, CONN_WRITING);
        break;
    case WORK_PULL:
    case WORK_HANDLE:
        /* too late for a status: cut it short */
        c->broken |= c->work == WORK_PULL && x->failed != ERR_OK;
        conn_enter(c, CONN_WRITING);
        break;
    }
    return true;
}

static bool may_go_on(const struct http_conn *c)
{
    const struct exchange *x = c->x;
    return x->upload == NULL || x->route->upload->may_go_on(x->upload);
}

/* Everybody who waits tries again, those who wait longest first. */
static void on_retry(uv_timer_t *timer)
{
    struct http_loop *loop = timer->data;
    struct http_conn *last = loop->parked_last;
    for (struct http_conn *c = loop->parked_first; c != NULL;) {
        struct http_conn *next = c == last ? NULL : c->parked_next;
        c->overdue = uv_now(&loop->uv) >= c->parked_until_ms;
        if (!c->overdue && !may_go_on(c)) {
            c = next;
            continue;
        }
        unpark(c);
        conn_enter(c, c->parked_from);
        conn_body_resumes(c);
        if (c->state == CONN_WORKING)
            conn_work(c, WORK_TAKE);
        conn_run(c);
        c = next;
    }
}

/* ---- head and body ---- */

static void refuse(struct http_conn *c, int status, const char *reason, const char *text)
{
    http_refuse(&c->x->response, c->x->family, status, reason, text);
    c->x->answered = true;
}

static void refuse_size(struct http_conn *c)
{
    char text[96];
    const struct route *route = c->x->route;
    if (route->upload != NULL)
        (void)snprintf(text, sizeof(text), "an upload may have %zu bytes, as sent",
                       UPLOAD_CODED_MAX);
    else
        (void)snprintf(text, sizeof(text), "a body for this path may have %zu bytes",
                       route->body_max);
    refuse(c, 413, "body_too_large", text);
}

static void answer_options(struct http_conn *c, const char *allow)
{
    http_response_header(&c->x->response, BYTES("Allow"), bytes_of_text(allow));
    c->x->is_options = true;
    c->x->answered = true;
}

static void answer_redirect(struct http_conn *c)
{
    struct exchange *x = c->x;
    struct buffer location;
    buffer_init(&location, TARGET_SIZE_MAX, NULL);
    struct http_request *q = &c->parser.request;
    buffer_put(&location, bytes_first(q->raw_path, q->raw_path.len - 1));
    if (q->query.len > 0)
        buffer_put(&location, BYTES("?"));
    buffer_put(&location, q->query);
    struct bytes kept = arena_copy(&x->head_arena, buffer_bytes(&location));
    buffer_close(&location);
    x->response.status = q->method == HTTP_METHOD_GET ? 301 : 307;
    if (kept.data != NULL)
        http_response_header(&x->response, BYTES("Location"), kept);
    x->answered = true;
}

/* Does the route want this body at all? */
static void check_body(struct http_conn *c)
{
    struct exchange *x = c->x;
    const struct route *route = x->route;
    bool takes = route->upload != NULL || route->body_max > 0;
    if (!takes || x->request->method != HTTP_METHOD_POST)
        return;
    size_t max = route->upload != NULL ? UPLOAD_CODED_MAX : route->body_max;
    if (!c->parser.has_length)
        refuse(c, 411, "length_required", "a body needs Content-Length or chunked transfer coding");
    else if (c->parser.content_length > max)
        refuse_size(c);
    else if (route->upload != NULL &&
             route->upload->begin(&x->context, x->request, &x->response, &x->upload) != ERR_OK)
        x->answered = true;
    bool coded = http_request_header(x->request, "content-encoding").len > 0;
    x->body.max = max;
    if (route->upload != NULL)
        x->body.max = size_min(max, coded ? UPLOAD_PIECE_SIZE : UPLOAD_PLAIN_PIECE);
}

static void conn_route(struct http_conn *c)
{
    struct exchange *x = c->x;
    struct http_request *q = &c->parser.request;
    const struct route *route = NULL;
    enum route_match match = router_find(c->loop->router, &x->head_arena, q, &route);
    x->request = q;
    x->family = route != NULL ? route->family : router_family_of(q->raw_path);
    x->route = route;
    if (c->parser.refusal != 0) {
        refuse(c, c->parser.refusal, c->parser.reason, c->parser.why);
        c->keep_alive = false;
        return;
    }
    switch (match) {
    case ROUTE_NO_PATH:
        if (q->method == HTTP_METHOD_OPTIONS && bytes_equal(q->raw_path, BYTES("*")))
            answer_options(c, "GET, HEAD, POST, OPTIONS");
        else
            refuse(c, 404, "no_such_route", "there is nothing at this path");
        break;
    case ROUTE_NO_METHOD:
        refuse(c, 405, "method_not_allowed", "this path does not answer that method");
        http_response_header(&x->response, BYTES("Allow"), bytes_of_text(router_allow(route)));
        break;
    case ROUTE_OPTIONS: answer_options(c, router_allow(route)); break;
    case ROUTE_REDIRECT: answer_redirect(c); break;
    case ROUTE_FOUND: check_body(c); break;
    }
}

static void send_continue(struct http_conn *c)
{
    union {
        const char *from;
        char *to; /* libuv only reads; its field is not const */
    } text = {.from = "HTTP/1.1 100 Continue\r\n\r\n"};
    uv_buf_t buf = uv_buf_init(text.to, (unsigned)strlen(text.from));
    int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    c->broken |= sent != (int)buf.len; /* 25 bytes into an empty send buffer */
}

static void conn_head_complete(struct http_conn *c)
{
    c->keep_alive = c->parser.keep_alive;
    conn_route(c);
    bool body_comes = c->parser.chunked || c->parser.content_length > 0;
    if (c->parser.expects_continue && body_comes && c->input.len == 0) {
        if (c->x->answered) {
            c->keep_alive = false; /* nobody knows whether the body will come */
            conn_enter(c, CONN_WRITING);
            return;
        }
        send_continue(c);
    }
    c->step_due = true;
    conn_body_resumes(c);
    conn_enter(c, CONN_BODY);
}

/* Before the head is complete only the target says whose words an error has. */
static enum route_family early_family(const struct http_conn *c)
{
    const struct http_parser *p = &c->parser;
    if (p->head.data == NULL)
        return FAMILY_OWN;
    struct bytes target = bytes_of(p->head.data + p->target.at, p->target.len);
    bool envelope = bytes_contains(target, BYTES("/envelope"));
    return envelope && bytes_contains(bytes_first(target, 6), BYTES("/api")) ? FAMILY_INGEST
                                                                             : FAMILY_OWN;
}

static void conn_bad_request(struct http_conn *c)
{
    c->keep_alive = false;
    if (c->x->request == NULL)
        c->x->family = early_family(c);
    refuse(c, c->parser.refusal, c->parser.reason, c->parser.why);
    conn_enter(c, CONN_WRITING);
}

static bool begin_exchange(struct http_conn *c)
{
    if (exchange_create(c->loop->app, c->loop->heads, &c->x) != ERR_OK) {
        c->broken = true;
        return false;
    }
    c->x->owner = c;
    c->head_sent = false;
    c->overdue = false;
    c->parked_until_ms = 0;
    http_parser_reset(&c->parser, &c->x->head_arena, &c->x->head_account);
    conn_set_deadline(c, c->loop->limits.headers_ms);
    return true;
}

static bool advance_head(struct http_conn *c)
{
    if (c->input.len == 0) {
        c->broken |= c->peer_eof;
        if (!c->broken)
            conn_read(c, READ_HEAD_SIZE);
        return c->broken;
    }
    if (c->x == NULL && !begin_exchange(c))
        return true;
    switch (http_parser_step(&c->parser, &c->input)) {
    case HTTP_MORE: break;
    case HTTP_HEADERS: conn_head_complete(c); break;
    case HTTP_END: /* never before the headers */
    case HTTP_BAD: conn_bad_request(c); break;
    }
    return true;
}

/* The rest of a body nobody wants: read on a little so that the connection can be kept. */
static bool drop_body(struct http_conn *c)
{
    struct exchange *x = c->x;
    c->parser.body = NULL;
    bool too_much = c->parser.body_size > REFUSED_BODY_MAX || c->peer_eof;
    if (x->complete || too_much) {
        c->keep_alive &= x->complete;
        conn_enter(c, CONN_WRITING);
        return true;
    }
    if (c->input.len == 0 && !c->step_due) {
        conn_read(c, READ_BODY_SIZE);
        return false;
    }
    c->step_due = false;
    enum http_step step = http_parser_step(&c->parser, &c->input);
    x->complete = step == HTTP_END;
    if (step == HTTP_BAD) {
        c->keep_alive = false;
        conn_enter(c, CONN_WRITING);
    }
    return true;
}

/* How much to read next. Memory is reserved for what comes, not for what was announced: a client
 * that sends nothing holds next to nothing. */
static size_t body_want(const struct http_conn *c, size_t room)
{
    if (c->parser.chunked)
        return size_min(room, READ_CHUNKED_SIZE);
    uint64_t left = c->parser.content_length - c->parser.body_size;
    size_t most = size_min(room, READ_BODY_SIZE);
    return left < most ? (size_t)left : most;
}

static bool gather_reserve(struct http_conn *c, size_t size)
{
    struct buffer *body = &c->x->body;
    enum err rc = buffer_reserve(body, size);
    if (rc == ERR_OK) {
        conn_had_room(c);
        return true;
    }
    buffer_retry(body);
    if (rc == ERR_BUSY || rc == ERR_NOMEM)
        conn_no_room(c);
    else
        refuse_size(c);
    return false;
}

static void body_complete(struct http_conn *c)
{
    c->x->complete = true;
    c->x->body_size = c->parser.body_size;
    if (c->x->route->upload == NULL) {
        c->parser.request.body = buffer_bytes(&c->x->body);
        conn_enter(c, CONN_WORKING);
        conn_work(c, WORK_HANDLE);
        return;
    }
    conn_enter(c, CONN_WORKING);
    conn_work(c, WORK_TAKE);
}

static void parse_body(struct http_conn *c, struct bytes piece, struct buffer *sink)
{
    struct bytes rest = piece;
    const struct route *route = c->x->route;
    size_t max = route->upload != NULL ? UPLOAD_CODED_MAX : route->body_max;
    c->parser.body = sink;
    c->step_due = false;
    enum http_step step = http_parser_step(&c->parser, &rest);
    c->input = bytes_from(c->input, piece.len - rest.len);
    if (step == HTTP_BAD)
        conn_bad_request(c);
    else if (max > 0 && c->parser.body_size > max)
        refuse_size(c);
    else if (step == HTTP_END) {
        body_complete(c);
        return; /* the exchange may be a worker's by now */
    }
    if (step == HTTP_END)
        c->x->complete = true;
}

static bool takes_body(const struct exchange *x)
{
    return x->upload != NULL || x->route->body_max > 0;
}

static bool advance_body(struct http_conn *c)
{
    struct exchange *x = c->x;
    if (x->answered)
        return drop_body(c);
    bool wait = c->input.len == 0 && !c->step_due;
    if (wait && c->peer_eof) {
        c->broken = true;
        return true;
    }
    /* Bytes beyond the ceiling, and bodies that mean nothing (of a GET), are counted and dropped. */
    size_t room = takes_body(x) ? x->body.max - x->body.len : 0;
    if (room == 0 && x->upload != NULL) {
        if (!x->streamed)
            metrics_add(metrics_of(c), METRIC_UPLOADS_STREAMED, 1);
        x->streamed = true;
        conn_enter(c, CONN_WORKING);
        conn_work(c, WORK_TAKE);
        return true;
    }
    if (wait) {
        size_t want = size_max(1, body_want(c, room > 0 ? room : READ_PEEK_SIZE));
        if (room > 0 && !gather_reserve(c, want))
            return c->state == CONN_BODY;
        conn_read(c, want);
        return false;
    }
    struct bytes piece = room > 0 ? bytes_first(c->input, room) : c->input;
    if (room > 0 && piece.len > 0 && !gather_reserve(c, piece.len))
        return c->state == CONN_BODY;
    parse_body(c, piece, room > 0 ? &x->body : NULL);
    return true;
}

/* ---- the answer ---- */

static const char *date_of(struct http_loop *loop)
{
    int64_t now_s = clock_wall_ns() / INT64_C(1000000000);
    if (now_s != loop->date_s) {
        time_t at = (time_t)now_s;
        struct tm utc;
        if (gmtime_r(&at, &utc) == NULL ||
            strftime(loop->date, sizeof(loop->date), "%a, %d %b %Y %H:%M:%S GMT", &utc) == 0)
            return NULL;
        loop->date_s = now_s;
    }
    return loop->date;
}

static void put_head(struct http_conn *c)
{
    struct exchange *x = c->x;
    c->keep_alive &= !c->loop->draining && !(x->pulled && c->parser.version_1_0);
    struct http_head_options o = {
        .family = x->family,
        .routed = x->route != NULL,
        .keep_alive = c->keep_alive,
        .version_1_0 = c->parser.version_1_0,
        .chunked = x->pulled,
        .is_options = x->is_options,
        .coding = http_coding_name(x->coding),
        .date = date_of(c->loop),
        .content_length = exchange_payload(x).len,
    };
    http_response_put_head(&x->response, &o, &c->out);
    c->head_sent = true;
}

static bool is_head_request(const struct http_conn *c)
{
    return c->x->request != NULL && c->x->request->method == HTTP_METHOD_HEAD;
}

/* What the next write consists of: head and body; or head, chunk size, piece, chunk end. */
static unsigned gather_write(struct http_conn *c, struct bytes parts[3])
{
    struct exchange *x = c->x;
    buffer_clear(&c->out);
    if (!c->head_sent)
        put_head(c);
    struct bytes payload = exchange_payload(x);
    struct bytes end = {0};
    int status = x->response.status;
    if (is_head_request(c) || status == 304 || status == 204) {
        payload = (struct bytes){0};
    } else if (x->pulled && !c->parser.version_1_0) {
        if (payload.len > 0) /* an empty chunk would be the last */
            buffer_printf(&c->out, "%zx\r\n", payload.len);
        if (x->source_done)
            end = payload.len > 0 ? BYTES("\r\n0\r\n\r\n") : BYTES("0\r\n\r\n");
        else if (payload.len > 0)
            end = BYTES("\r\n");
    }
    parts[0] = buffer_bytes(&c->out);
    parts[1] = payload;
    parts[2] = end;
    return 3;
}

static uv_buf_t buf_of(struct bytes b)
{
    union {
        const uint8_t *from;
        char *to; /* libuv only reads; its field is not const */
    } base = {.from = b.data};
    return (uv_buf_t){.base = base.to, .len = b.len};
}

static void on_written(uv_write_t *write, int status)
{
    struct http_conn *c = write->data;
    c->writing = false;
    c->broken |= status != 0;
    conn_run(c);
    conn_release(c);
}

static void conn_write(struct http_conn *c)
{
    struct bytes parts[3];
    uv_buf_t bufs[3];
    unsigned count = gather_write(c, parts);
    if (c->out.failed != ERR_OK) {
        c->broken = true;
        return;
    }
    size_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        bufs[i] = buf_of(parts[i]);
        total += parts[i].len;
    }
    metrics_add(metrics_of(c), METRIC_BYTES_OUT, total);
    int sent = uv_try_write((uv_stream_t *)&c->tcp, bufs, count);
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0 || (size_t)sent == total) {
        c->broken |= sent < 0;
        return;
    }
    size_t skip = (size_t)sent;
    for (unsigned i = 0; i < count; i++) {
        bufs[i] = buf_of(bytes_from(parts[i], skip));
        skip -= size_min(skip, parts[i].len);
    }
    c->write.data = c;
    c->writing = uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, count, on_written) == 0;
    c->broken |= !c->writing;
    if (c->writing)
        conn_hold(c);
    c->queue_size = total;
    conn_set_deadline(c, c->loop->limits.write_ms);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    struct http_conn *c = shutdown->data;
    c->broken |= status != 0;
    conn_run(c);
    conn_release(c);
}

/* Closing with unread input would reset the answer away: say that we are done, and read on a bit. */
static void conn_linger(struct http_conn *c, bool clean)
{
    if (clean) {
        c->broken = true; /* nothing of the client's is unread */
        return;
    }
    conn_enter(c, CONN_LINGER);
    conn_set_deadline(c, c->loop->limits.linger_ms);
    c->dropped = 0;
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) == 0)
        conn_hold(c);
    else
        c->broken = true;
}

static void conn_finish(struct http_conn *c)
{
    struct exchange *x = c->x;
    metrics_count_request(metrics_of(c), x->route, x->response.status,
                          clock_steady_ns() - x->began_ns);
    bool clean = x->complete && c->input.len == 0;
    bool keep = c->keep_alive && x->complete;
    http_parser_close(&c->parser);
    exchange_destroy(x, &c->loop->uv);
    c->x = NULL;
    buffer_close(&c->out);
    if (!keep) {
        conn_linger(c, clean);
        return;
    }
    conn_enter(c, CONN_HEAD);
    conn_set_deadline(c, c->loop->draining ? DRAIN_IDLE_MS : c->loop->limits.idle_ms);
    c->idle_since_ms = uv_now(&c->loop->uv);
    if (c->loop->parked_first != NULL) /* memory may have come free */
        (void)uv_timer_start(&c->loop->retry, on_retry, 0, ADMISSION_RETRY_MS);
}

static bool advance_writing(struct http_conn *c)
{
    struct exchange *x = c->x;
    if (c->writing) {
        conn_peek(c);
        return false;
    }
    if (!c->head_sent || c->piece_ready) {
        c->piece_ready = false;
        conn_write(c);
    } else if (x->pulled && !x->source_done && !is_head_request(c)) {
        c->piece_ready = true;
        conn_enter(c, CONN_WORKING);
        conn_work(c, WORK_PULL);
    } else {
        conn_finish(c);
    }
    return true;
}

static bool advance_linger(struct http_conn *c)
{
    c->dropped += c->input.len;
    c->input = (struct bytes){0};
    c->broken |= c->peer_eof || c->dropped > LINGER_BODY_MAX;
    if (!c->broken)
        conn_read(c, READ_BODY_SIZE);
    return c->broken;
}

static void conn_advance(struct http_conn *c)
{
    for (bool more = true; more;) {
        if (c->state == CONN_CLOSING)
            return;
        if (c->broken) {
            conn_close_once(c);
            return; /* on_closed ends the story */
        }
        switch (c->state) {
        case CONN_HEAD: more = advance_head(c); break;
        case CONN_BODY: more = advance_body(c); break;
        case CONN_WORKING: more = advance_working(c); break;
        case CONN_WRITING: more = advance_writing(c); break;
        case CONN_LINGER: more = advance_linger(c); break;
        case CONN_PARKED:
        case CONN_CLOSING:
        case CONN_STATE_COUNT: more = false; break;
        }
    }
}

static void conn_run(struct http_conn *c)
{
    conn_hold(c);
    if (c->input.len == 0)
        c->input = buffer_bytes(&c->pending);
    conn_advance(c);
    if (c->state == CONN_CLOSING)
        c->input = (struct bytes){0};
    keep_rest(c);
    if (c->broken) /* no memory for what has to be kept */
        conn_close_once(c);
    conn_release(c);
}

/* ---- the loop's part ---- */

static void conn_timed_out(struct http_conn *c)
{
    switch (c->state) {
    case CONN_HEAD:
    case CONN_BODY:
        metrics_add(metrics_of(c), METRIC_TIMEOUTS, c->x != NULL);
        if (c->x == NULL || c->parser.target.len == 0) {
            c->broken = true;
            break;
        }
        if (c->x->request == NULL)
            c->x->family = early_family(c);
        if (!c->x->answered)
            refuse(c, 408, "too_slow", "the request did not come in time");
        c->keep_alive = false;
        conn_enter(c, CONN_WRITING);
        break;
    case CONN_WRITING: {
        size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
        if (left < c->queue_size) { /* slow, but it moves */
            c->queue_size = left;
            conn_set_deadline(c, c->loop->limits.write_ms);
            return;
        }
        metrics_add(metrics_of(c), METRIC_TIMEOUTS, 1);
        c->broken = true;
        break;
    }
    case CONN_LINGER: c->broken = true; break;
    case CONN_WORKING:
    case CONN_PARKED:
    case CONN_CLOSING:
    case CONN_STATE_COUNT: return;
    }
    conn_run(c);
}

static void accept_owed(struct http_loop *loop);

static void on_sweep(uv_timer_t *timer)
{
    struct http_loop *loop = timer->data;
    accept_owed(loop);
    uint64_t now = uv_now(&loop->uv);
    for (struct http_conn *c = loop->first; c != NULL;) {
        struct http_conn *next = c->next;
        if (now >= c->deadline_ms)
            conn_timed_out(c);
        c = next;
    }
}

static unsigned limit_or(unsigned wanted, unsigned standard)
{
    return wanted != 0 ? wanted : standard;
}

enum err http_loop_open(struct http_loop *loop)
{
    struct http_limits *l = &loop->limits;
    l->headers_ms = limit_or(l->headers_ms, HEADERS_TIMEOUT_MS);
    l->body_ms = limit_or(l->body_ms, BODY_TIMEOUT_MS);
    l->idle_ms = limit_or(l->idle_ms, IDLE_TIMEOUT_MS);
    l->write_ms = limit_or(l->write_ms, WRITE_TIMEOUT_MS);
    l->linger_ms = limit_or(l->linger_ms, LINGER_TIMEOUT_MS);
    l->admission_ms = limit_or(l->admission_ms, ADMISSION_WAIT_MS);
    loop->read_buffer = mem_alloc(READ_BODY_SIZE);
    if (loop->read_buffer == NULL)
        return ERR_NOMEM;
    enum err rc = mailbox_open(&loop->mailbox, &loop->uv);
    if (rc != ERR_OK) {
        mem_free(loop->read_buffer);
        return rc;
    }
    (void)uv_timer_init(&loop->uv, &loop->retry);
    (void)uv_timer_init(&loop->uv, &loop->sweep);
    loop->retry.data = loop;
    loop->sweep.data = loop;
    unsigned shortest = l->headers_ms < l->body_ms ? l->headers_ms : l->body_ms;
    unsigned every = shortest / 8 < 250 ? shortest / 8 + 1 : 250;
    (void)uv_timer_start(&loop->sweep, on_sweep, every, every);
    return ERR_OK;
}

void http_loop_close(struct http_loop *loop)
{
    uv_close((uv_handle_t *)&loop->retry, NULL);
    uv_close((uv_handle_t *)&loop->sweep, NULL);
    mailbox_close(&loop->mailbox);
    mem_free(loop->read_buffer);
    loop->read_buffer = NULL;
}

static void on_refused_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

/* Room for one more: the connection that has been idle longest goes. */
bool http_loop_evict(struct http_loop *loop)
{
    struct http_conn *oldest = NULL;
    for (struct http_conn *c = loop->first; c != NULL; c = c->next)
        if (c->state == CONN_HEAD && c->x == NULL &&
            (oldest == NULL || c->idle_since_ms <= oldest->idle_since_ms))
            oldest = c;
    if (oldest == NULL)
        return false;
    metrics_add(metrics_of(oldest), METRIC_CONNECTIONS_EVICTED, 1);
    oldest->broken = true;
    conn_run(oldest);
    return true;
}

static void refuse_connection(struct http_conn *c)
{
    union {
        const char *from;
        char *to;
    } text = {.from = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                      "Connection: close\r\n\r\n"};
    uv_buf_t buf = uv_buf_init(text.to, (unsigned)strlen(text.from));
    (void)uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    metrics_add(metrics_of(c), METRIC_CONNECTIONS_REFUSED, 1);
    uv_close((uv_handle_t *)&c->tcp, on_refused_closed);
}

/* libuv asks no more until the connection it has is taken: the sweep does, when there is memory. */
static void owe_accept(struct http_loop *loop, uv_stream_t *listener)
{
    for (size_t i = 0; i < LISTEN_COUNT_MAX; i++)
        if (loop->owed[i] == NULL || loop->owed[i] == listener) {
            loop->owed[i] = listener;
            return;
        }
}

static void accept_owed(struct http_loop *loop)
{
    for (size_t i = 0; i < LISTEN_COUNT_MAX; i++) {
        uv_stream_t *listener = loop->owed[i];
        loop->owed[i] = NULL;
        if (listener != NULL && !uv_is_closing((uv_handle_t *)listener))
            http_conn_accept(loop, listener);
    }
}

void http_conn_accept(struct http_loop *loop, uv_stream_t *listener)
{
    struct http_conn *c = mem_zalloc(sizeof(*c));
    if (c == NULL) {
        owe_accept(loop, listener);
        return;
    }
    c->loop = loop;
    (void)uv_tcp_init(&loop->uv, &c->tcp);
    c->tcp.data = c;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0) {
        uv_close((uv_handle_t *)&c->tcp, on_refused_closed);
        return;
    }
    if (loop->open_count >= loop->conn_count_max && !http_loop_evict(loop)) {
        refuse_connection(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    c->holds = 1; /* the handle's */
    buffer_init(&c->pending, READ_BODY_SIZE + PARSE_AHEAD_MAX, NULL);
    buffer_init(&c->out, RESPONSE_HEAD_MAX + TARGET_SIZE_MAX, NULL);
    http_parser_init(&c->parser);
    c->next = loop->first;
    if (loop->first != NULL)
        loop->first->prev = c;
    loop->first = c;
    loop->conn_count++;
    loop->open_count++;
    metrics_add(metrics_of(c), METRIC_CONNECTIONS, 1);
    metrics_add(metrics_of(c), METRIC_CONNECTIONS_OPEN, 1);
    c->idle_since_ms = uv_now(&loop->uv);
    conn_set_deadline(c, loop->limits.headers_ms); /* a first request is not waited for as long */
    conn_run(c);
}

void http_loop_drain(struct http_loop *loop)
{
    loop->draining = true;
    for (struct http_conn *c = loop->first; c != NULL; c = c->next)
        if (c->state == CONN_HEAD && c->x == NULL)
            conn_set_deadline(c, DRAIN_IDLE_MS); /* its next request may be on the way */
}

void http_loop_break(struct http_loop *loop)
{
    for (struct http_conn *c = loop->first; c != NULL;) {
        struct http_conn *next = c->next;
        c->broken = true;
        conn_run(c);
        c = next;
    }
}
