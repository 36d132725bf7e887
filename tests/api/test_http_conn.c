/* One connection over loopback: framing, order, refusals, time-outs, with routes of the test's own. */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "api/metrics.h"
#include "base/clock.h"
#include "base/limits.h"
#include "tests/support/serving.h"

static void handle_hello(struct handler_context *c, const struct http_request *q,
                         struct http_response *r)
{
    (void)c;
    struct bytes name = http_request_param(q, "name");
    r->content_type = "text/plain";
    buffer_put(&r->body, BYTES("hello "));
    buffer_put(&r->body, name.data == NULL ? BYTES("world") : name);
}

static void handle_echo(struct handler_context *c, const struct http_request *q,
                        struct http_response *r)
{
    (void)c;
    r->content_type = "application/octet-stream";
    buffer_put(&r->body, q->body);
}

static void handle_big(struct handler_context *c, const struct http_request *q,
                       struct http_response *r)
{
    (void)c;
    (void)q;
    r->content_type = "application/json";
    for (int i = 0; i < 2000; i++)
        buffer_printf(&r->body, "{\"row\":%d},", i);
}

struct counting {
    int next;
    int last;
    int pieces;
    bool stopped;
};

static enum err next_numbers(void *self, struct buffer *out, bool *ret_done)
{
    struct counting *n = self;
    for (int i = 0; i < 1000 && n->next < n->last; i++)
        buffer_printf(out, "%d\n", n->next++);
    *ret_done = n->next == n->last;
    n->pieces++;
    return ERR_OK;
}

static void stop_numbers(void *self)
{
    ((struct counting *)self)->stopped = true;
}

static void handle_numbers(struct handler_context *c, const struct http_request *q,
                           struct http_response *r)
{
    uint64_t last = 0;
    if (!bytes_to_u64(q->path_param[0], &last)) {
        http_problem(r, 400, "bad_number", "expected a number");
        return;
    }
    struct counting *n = ARENA_NEW(c->arena, struct counting);
    *n = (struct counting){.last = (int)last};
    r->content_type = "text/plain";
    r->source = (struct body_source){n, next_numbers, stop_numbers};
}

static const struct route routes[] = {
    {.name = "hello", .pattern = "/hello", .methods = ROUTE_GET, .handler = handle_hello},
    {.name = "quick",
     .pattern = "/quick",
     .methods = ROUTE_GET,
     .handler = handle_hello,
     .on_loop = true},
    {.name = "echo",
     .pattern = "/echo",
     .methods = ROUTE_POST,
     .handler = handle_echo,
     .body_max = 5000},
    {.name = "big", .pattern = "/big", .methods = ROUTE_GET, .handler = handle_big},
    {.name = "numbers",
     .pattern = "/numbers/{last}",
     .methods = ROUTE_GET,
     .handler = handle_numbers},
    {.name = "raw_chunk",
     .pattern = "/organizations/{o}/raw/{id}",
     .methods = ROUTE_GET,
     .family = FAMILY_VROOM,
     .handler = handle_hello},
};

#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

struct exchange_case {
    const char *request;
    const char *want[5]; /* parts of the answer */
};

static const struct exchange_case cases[] = {
    {"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
     {"HTTP/1.1 200 OK\r\n", "Content-Length: 11\r\n", "\r\n\r\nhello world"}},
    {"GET /hello?name=a%20b+c HTTP/1.1\r\nHost: a\r\n\r\n", {"\r\n\r\nhello a b c"}},
    {"GET http://a/hello HTTP/1.1\r\nHost: a\r\n\r\n", {"200 OK", "hello world"}},
    {"GET /quick HTTP/1.0\r\n\r\n", {"200 OK", "Connection: close", "hello world"}},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", {"200 OK"}},
    {"HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n", {"200 OK", "Content-Length: 11\r\n"}},
    {"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
     {"404 Not Found", "application/problem+json", "\"reason\":\"no_such_route\""}},
    {"GET /organizations/1/x HTTP/1.1\r\nHost: a\r\n\r\n",
     {"404 Not Found", "text/plain; charset=utf-8", "nosniff", "\r\n\r\n404 page not found\n"}},
    {"GET /organizations/1/raw/7/?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
     {"301 Moved Permanently", "Location: /organizations/1/raw/7?q=1\r\n"}},
    {"HEAD /organizations/1/raw/7 HTTP/1.1\r\nHost: a\r\n\r\n",
     {"405 Method Not Allowed", "Allow: GET, OPTIONS\r\n"}},
    {"PUT /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
     {"405 Method", "Allow: GET, HEAD, OPTIONS\r\n"}},
    {"OPTIONS /hello HTTP/1.1\r\nHost: a\r\n\r\n",
     {"200 OK", "Allow: GET, HEAD, OPTIONS\r\n", "Content-Length: 0\r\n"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
     {"200 OK", "\r\n\r\nabcde"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nTrailer: 1\r\n\r\n",
     {"200 OK", "Content-Length: 3\r\n", "\r\n\r\nabc"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", {"411 Length Required", "length_required"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
     {"200 OK", "Content-Length: 0\r\n"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5001\r\nExpect: 100-continue\r\n\r\n",
     {"413 Content Too Large", "Connection: close", "may have 5000 bytes"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: nonsense\r\n\r\nabc",
     {"417 Expectation Failed"}},
    {"GET /hello HTTP/1.1\r\n\r\n", {"400 Bad Request", "bad_host", "Connection: close"}},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {"400 Bad Request", "bad_host"}},
    {"GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", {"505 HTTP Version Not Supported"}},
    {"GET /hello HTTP/0.9\r\nHost: a\r\n\r\n", {"505 HTTP Version Not Supported"}},
    {"nonsense\r\n\r\n", {"400 Bad Request", "bad_request"}},
    {"GET /hello%zz HTTP/1.1\r\nHost: a\r\n\r\n", {"400 Bad Request", "bad_target"}},
    {"GET /hello?a=%0 HTTP/1.1\r\nHost: a\r\n\r\n", {"400 Bad Request", "bad_target"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     {"400 Bad Request"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     {"501 Not Implemented", "transfer_coding_not_supported", "Connection: close"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     {"200 OK", "\r\n\r\nabc"}},
    {"GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", {"400 Bad Request", "bad_host"}},
    {"GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n", {"400 Bad Request", "bad_host"}},
    {"GET /hello HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", {"200 OK"}},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     {"400 Bad Request"}},
    {"GET /numbers/3 HTTP/1.1\r\nHost: a\r\n\r\n",
     {"200 OK", "Content-Length: 6\r\n", "\r\n\r\n0\n1\n2\n"}},
    {"GET /numbers/x HTTP/1.1\r\nHost: a\r\n\r\n", {"400 Bad Request", "expected a number"}},
};

Test(http_conn, answers_as_http_says)
{
    struct serving s;
    static char answer[1 << 16];
    serving_start(&s, routes, ROUTE_COUNT, 1, NULL, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        serving_exchange(&s, cases[i].request, answer, sizeof(answer));
        for (int k = 0; k < 5 && cases[i].want[k] != NULL; k++)
            cr_expect(strstr(answer, cases[i].want[k]) != NULL, "%s\nwants %s, got\n%s",
                      cases[i].request, cases[i].want[k], answer);
        cr_expect_eq(serving_count(answer, "\r\nDate: "), 1, "%s: one answer, got\n%s",
                     cases[i].request, answer);
    }
    serving_exchange(&s, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n", answer, sizeof(answer));
    cr_expect(strstr(answer, "hello world") == NULL, "HEAD has no body");
    serving_stop(&s);
}

/* Wait until the server has read `count` bytes in all. */
static bool has_read(const struct serving *s, uint64_t count)
{
    for (int i = 0; i < 20000 && metrics_get(s->metrics, METRIC_BYTES_IN) < count; i++)
        usleep(500);
    return metrics_get(s->metrics, METRIC_BYTES_IN) >= count;
}

/* The same requests cut at every byte, and byte by byte, are answered the same. */
Test(http_conn, does_not_care_how_bytes_are_split)
{
    struct serving s;
    static char answer[1 << 14];
    serving_start(&s, routes, ROUTE_COUNT, 1, NULL, 0);
    const char *text = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET /quick HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t len = strlen(text);
    int fd = serving_connect(&s);
    for (size_t cut = 1; cut < len; cut++) {
        serving_send(fd, bytes_of(text, cut));
        cr_assert(has_read(&s, (cut - 1) * len + cut), "cut at %zu", cut);
        serving_send(fd, bytes_of(text + cut, len - cut));
        cr_assert(serving_read_until(fd, answer, sizeof(answer), "hello world"), "cut at %zu: %s",
                  cut, answer);
        cr_assert(strstr(answer, "\r\n\r\nabcHTTP/1.1 200") != NULL, "cut at %zu: %s", cut, answer);
    }
    close(fd);
    serving_stop(&s);
}

Test(http_conn, pipelined_requests_are_answered_in_order)
{
    struct serving s;
    static char requests[1 << 16];
    static char answer[1 << 20];
    serving_start(&s, routes, ROUTE_COUNT, 2, NULL, 0);
    size_t len = 0;
    for (int i = 0; i < 300; i++) /* slow and quick ones mixed: order must hold */
        len += (size_t)snprintf(requests + len, sizeof(requests) - len,
                                "GET /%s?name=n%d. HTTP/1.1\r\nHost: a\r\n\r\n",
                                i % 3 == 0 ? "quick" : "hello", i);
    serving_exchange(&s, requests, answer, sizeof(answer));
    const char *at = answer;
    for (int i = 0; i < 300; i++) {
        char want[32];
        snprintf(want, sizeof(want), "hello n%d.", i);
        at = strstr(at, want);
        cr_assert(at != NULL, "%s is missing or out of order", want);
    }
    cr_assert_eq(serving_count(answer, "HTTP/1.1 200 OK"), 300);
    serving_stop(&s);
}

Test(http_conn, pulled_bodies_are_chunked_and_whole)
{
    struct serving s;
    static char answer[1 << 20];
    serving_start(&s, routes, ROUTE_COUNT, 1, NULL, 0);
    serving_exchange(&s, "GET /numbers/50000 HTTP/1.1\r\nHost: a\r\n\r\n", answer, sizeof(answer));
    cr_assert(strstr(answer, "Transfer-Encoding: chunked") != NULL);
    cr_assert(strstr(answer, "49999\n\r\n0\r\n\r\n") != NULL, "the last chunk ends it");
    serving_exchange(&s, "GET /numbers/50000 HTTP/1.0\r\n\r\n", answer, sizeof(answer));
    cr_assert(strstr(answer, "chunked") == NULL);
    cr_assert(strstr(answer, "49998\n49999\n") != NULL);
    serving_exchange(&s, "HEAD /numbers/50000 HTTP/1.1\r\nHost: a\r\n\r\n", answer, sizeof(answer));
    cr_assert(strstr(answer, "Transfer-Encoding: chunked") != NULL);
    cr_assert(strstr(answer, "0\n1\n") == NULL);
    serving_stop(&s);
}

Test(http_conn, ceilings_have_their_statuses)
{
    struct serving s;
    static char request[1 << 17];
    static char answer[1 << 16];
    serving_start(&s, routes, ROUTE_COUNT, 1, NULL, 0);
    int len = snprintf(request, sizeof(request), "GET /hello?a=");
    memset(request + len, 'x', TARGET_SIZE_MAX);
    snprintf(request + len + TARGET_SIZE_MAX, 100, " HTTP/1.1\r\nHost: a\r\n\r\n");
    serving_exchange(&s, request, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 414 ") != NULL, "%s", answer);

    len = snprintf(request, sizeof(request), "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
    memset(request + len, 'x', HEADER_SIZE_MAX);
    snprintf(request + len + HEADER_SIZE_MAX, 100, "\r\n\r\n");
    serving_exchange(&s, request, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 431 ") != NULL, "%s", answer);

    len = snprintf(request, sizeof(request), "GET /hello HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < HEADER_COUNT_MAX; i++)
        len += snprintf(request + len, 20, "X%d: 1\r\n", i);
    snprintf(request + len, 10, "\r\n");
    serving_exchange(&s, request, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 431 ") != NULL, "%s", answer);

    len = snprintf(request, sizeof(request),
                   "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1389\r\n");
    memset(request + len, 'x', 0x1389);
    snprintf(request + len + 0x1389, 100, "\r\n0\r\n\r\n");
    serving_exchange(&s, request, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 413 ") != NULL, "5001 bytes: %s", answer);
    memcpy(request + len - 6, "1388\r\n", 6);
    snprintf(request + len + 0x1388, 100, "\r\n0\r\n\r\n");
    serving_exchange(&s, request, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 200 ") != NULL, "5000 bytes: %s", answer);
    serving_stop(&s);
}

Test(http_conn, expect_continue_is_asked_before_the_body)
{
    struct serving s;
    char answer[4096];
    serving_start(&s, routes, ROUTE_COUNT, 1, NULL, 0);
    int fd = serving_connect(&s);
    serving_send_text(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                          "Expect: 100-continue\r\n\r\n");
    cr_assert(serving_read_until(fd, answer, sizeof(answer), "\r\n\r\n"));
    cr_assert_str_eq(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    serving_send_text(fd, "abc");
    cr_assert(serving_read_until(fd, answer, sizeof(answer), "\r\n\r\nabc"));
    close(fd);
    serving_stop(&s);
}

Test(http_conn, coded_bodies_reach_handlers_decoded)
{
    struct serving s;
    static char request[8192];
    static char answer[1 << 16];
    serving_start(&s, routes, ROUTE_COUNT, 1, NULL, 0);
    struct http_encoder *e = NULL;
    struct buffer coded;
    buffer_init(&coded, KIB(64), NULL);
    for (int big = 0; big < 2; big++) { /* the ceiling counts decoded bytes */
        static uint8_t plain[6000];
        memset(plain, 'p', sizeof(plain));
        buffer_clear(&coded);
        cr_assert_eq(http_encoder_create(HTTP_CODING_GZIP, NULL, &e), ERR_OK);
        cr_assert_eq(http_encoder_feed(e, bytes_of(plain, big ? 6000 : 4000), true, &coded),
                     ERR_OK);
        http_encoder_destroy(e);
        int len = snprintf(request, sizeof(request),
                           "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
                           "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                           coded.len);
        int fd = serving_connect(&s);
        serving_send(fd, bytes_of(request, (size_t)len));
        serving_send(fd, buffer_bytes(&coded));
        serving_read_all(fd, answer, sizeof(answer));
        close(fd);
        cr_expect(strstr(answer, big ? "HTTP/1.1 413 " : "Content-Length: 4000\r\n") != NULL, "%s",
                  answer);
    }
    buffer_close(&coded);
    serving_exchange(&s,
                     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
                     "Content-Length: 4\r\n\r\nabcd",
                     answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 400 ") != NULL, "%s", answer);
    serving_stop(&s);
}

Test(http_conn, answers_are_compressed_when_the_client_can_read_it)
{
    struct serving s;
    static char answer[1 << 16];
    serving_start(&s, routes, ROUTE_COUNT, 1, NULL, 0);
    static const struct {
        const char *accept;
        const char *coding;
    } table[] = {{"gzip", "Content-Encoding: gzip"},
                 {"gzip, zstd", "Content-Encoding: zstd"},
                 {"zstd;q=0, gzip;q=0.1", "Content-Encoding: gzip"},
                 {"br", "Content-Length: "},
                 {"gzip;q=0", "Content-Length: "}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char request[200];
        snprintf(request, sizeof(request),
                 "GET /big HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %s\r\n\r\n", table[i].accept);
        size_t len = serving_exchange(&s, request, answer, sizeof(answer));
        cr_expect(strstr(answer, table[i].coding) != NULL, "%s", table[i].accept);
        cr_expect(strstr(answer, "Vary: Accept-Encoding") != NULL);
        bool plain = strstr(table[i].coding, "Length") != NULL;
        cr_expect_eq(plain, len > 20000, "%s: %zu bytes", table[i].accept, len);
    }
    serving_exchange(&s, "GET /hello HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", answer,
                     sizeof(answer));
    cr_expect(strstr(answer, "Content-Encoding") == NULL, "small answers stay as they are");
    serving_stop(&s);
}

/* Slow clients, with all patience shortened. */
Test(http_conn, slow_clients_are_ended)
{
    struct serving s;
    char answer[4096];
    struct http_limits limits = {
        .headers_ms = 200, .body_ms = 200, .idle_ms = 200, .linger_ms = 100};
    serving_start(&s, routes, ROUTE_COUNT, 1, &limits, 0);

    int fd = serving_connect(&s);
    int64_t from = clock_steady_ns();
    for (int i = 0; i < 100; i++) { /* a byte at a time is no progress */
        serving_send_text(fd, i == 0 ? "GET /hello HTTP/1.1\r\nX: " : "x");
        usleep(10000);
    }
    serving_read_all(fd, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 408 ") != NULL, "headers: %s", answer);
    close(fd);

    fd = serving_connect(&s);
    serving_send_text(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nabc");
    serving_read_all(fd, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 408 ") != NULL, "body: %s", answer);
    close(fd);

    fd = serving_connect(&s);
    serving_send_text(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 60; i++) { /* never silent, and never done */
        serving_send_text(fd, "x");
        usleep(10000);
    }
    serving_read_all(fd, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 408 ") != NULL, "a trickling body: %s", answer);
    close(fd);

    fd = serving_connect(&s);
    serving_send_text(fd, "GET /api/1/envelope/ HTTP/1.1\r\n");
    serving_read_all(fd, answer, sizeof(answer));
    cr_expect(strstr(answer, "Access-Control-Allow-Origin") != NULL, "in its family's words: %s",
              answer);
    close(fd);

    fd = serving_connect(&s);
    serving_send_text(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    serving_read_all(fd, answer, sizeof(answer)); /* ends because the idle connection is closed */
    cr_expect_eq(serving_count(answer, "HTTP/1.1"), 1, "idle: %s", answer);
    close(fd);
    cr_expect(clock_steady_ns() - from < INT64_C(8000000000), "nobody was waited for");
    cr_expect_eq(metrics_get(s.metrics, METRIC_TIMEOUTS), 4);
    serving_stop(&s);
}

static atomic_bool endless_stopped;
static atomic_bool patient_began;
static atomic_bool patient_canceled;

static enum err next_endless(void *self, struct buffer *out, bool *ret_done)
{
    (void)self;
    *ret_done = false;
    return buffer_extend(out, RESPONSE_PIECE_SIZE) == NULL ? ERR_NOMEM : ERR_OK;
}

static void stop_endless(void *self)
{
    (void)self;
    atomic_store(&endless_stopped, true);
}

static void handle_endless(struct handler_context *c, const struct http_request *q,
                           struct http_response *r)
{
    (void)c;
    (void)q;
    r->source = (struct body_source){r, next_endless, stop_endless};
}

static void handle_patient(struct handler_context *c, const struct http_request *q,
                           struct http_response *r)
{
    (void)q;
    (void)r;
    atomic_store(&patient_began, true);
    for (int i = 0; i < 1000 && !handler_canceled(c); i++)
        usleep(10000);
    atomic_store(&patient_canceled, handler_canceled(c));
}

static const struct route long_routes[] = {
    {.name = "endless", .pattern = "/endless", .methods = ROUTE_GET, .handler = handle_endless},
    {.name = "patient", .pattern = "/patient", .methods = ROUTE_GET, .handler = handle_patient},
};

static bool becomes_true(atomic_bool *flag)
{
    for (int i = 0; i < 500 && !atomic_load(flag); i++)
        usleep(10000);
    return atomic_load(flag);
}

Test(http_conn, work_ends_when_nobody_wants_it)
{
    struct serving s;
    struct http_limits limits = {.write_ms = 200};
    struct linger reset = {.l_onoff = 1};
    serving_start(&s, long_routes, 2, 1, &limits, 0);
    int fd = serving_connect(&s);
    serving_send_text(fd, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_expect(becomes_true(&endless_stopped), "a client that does not read is given up");
    close(fd);
    atomic_store(&endless_stopped, false);
    fd = serving_connect(&s);
    serving_send_text(fd, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    close(fd);
    cr_expect(becomes_true(&endless_stopped), "one that left too");
    fd = serving_connect(&s);
    serving_send_text(fd, "GET /patient HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(becomes_true(&patient_began));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    cr_expect(becomes_true(&patient_canceled), "a handler is told that its client is gone");
    serving_stop(&s);
}

Test(http_conn, idle_connections_make_room_for_new_ones)
{
    struct serving s;
    char answer[4096];
    struct http_limits limits = {.connection_count_max = 4};
    serving_start(&s, routes, ROUTE_COUNT, 1, &limits, 0);
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = serving_connect(&s);
        serving_send_text(fds[i], "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
        cr_assert(serving_read_until(fds[i], answer, sizeof(answer), "hello world"), "%d", i);
    }
    cr_expect_eq(serving_read_all(fds[0], answer, sizeof(answer)), 0, "the oldest was closed");
    cr_expect_eq(metrics_get(s.metrics, METRIC_CONNECTIONS_OPEN), 4);
    cr_expect_eq(metrics_get(s.metrics, METRIC_CONNECTIONS_EVICTED), 2);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    uint64_t came = metrics_get(s.metrics, METRIC_BYTES_IN);
    for (int i = 0; i < 4; i++) { /* busy ones are not closed for newcomers */
        fds[i] = serving_connect(&s);
        serving_send_text(fds[i], "GET /quick HTTP/1.1\r\n");
    }
    cr_assert(has_read(&s, came + 4 * strlen("GET /quick HTTP/1.1\r\n")));
    int fd = serving_connect(&s);
    serving_send_text(fd, "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
    serving_read_all(fd, answer, sizeof(answer));
    cr_expect(strstr(answer, "HTTP/1.1 503 ") != NULL, "%s", answer);
    close(fd);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    serving_stop(&s);
}

Test(http_conn, draining_answers_what_is_owed)
{
    struct serving s;
    static char answer[1 << 20];
    serving_start(&s, routes, ROUTE_COUNT, 2, NULL, 0);
    int silent = serving_connect(&s);
    int idle = serving_connect(&s);
    int busy = serving_connect(&s);
    serving_send_text(busy, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n"
                            "Expect: 100-continue\r\n\r\n");
    cr_assert(serving_read_until(busy, answer, sizeof(answer), "100 Continue"));
    serving_send_text(busy, "abc");
    serving_send_text(idle, "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(serving_read_until(idle, answer, sizeof(answer), "hello world"));
    server_drain(s.server);
    serving_send_text(idle, "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
    serving_read_all(idle, answer, sizeof(answer));
    cr_expect(strstr(answer, "\r\n\r\nhello world") != NULL,
              "a request that was on its way is answered: %s", answer);
    cr_expect_eq(serving_read_all(silent, answer, sizeof(answer)), 0, "idle ones are closed");
    serving_send_text(busy, "def");
    serving_read_all(busy, answer, sizeof(answer));
    cr_expect(strstr(answer, "\r\n\r\nabcdef") != NULL, "%s", answer);
    cr_expect(strstr(answer, "Connection: close") != NULL, "%s", answer);
    server_wait(s.server);
    close(silent);
    close(idle);
    close(busy);
    serving_stop(&s);
}
