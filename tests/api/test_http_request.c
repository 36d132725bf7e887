/* The parser alone: every request cut at every byte gives the same request. */
#include <stdio.h>

#include <criterion/criterion.h>

#include "api/http_request.h"
#include "base/limits.h"

struct parsed {
    struct arena arena;
    struct http_parser parser;
    struct buffer body;
    enum http_step last;
    bool saw_headers;
};

static void parsed_init(struct parsed *p)
{
    *p = (struct parsed){0};
    arena_init(&p->arena, REQUEST_HEAD_MAX, NULL);
    http_parser_init(&p->parser);
    http_parser_reset(&p->parser, &p->arena, NULL);
    buffer_init(&p->body, MIB(1), NULL);
    p->parser.body = &p->body;
}

static void parsed_close(struct parsed *p)
{
    http_parser_close(&p->parser);
    buffer_close(&p->body);
    arena_close(&p->arena);
}

/* Feed one piece; stops at the end of the message. Returns what was left of it. */
static struct bytes feed(struct parsed *p, struct bytes piece)
{
    bool again = true; /* an event may follow without input */
    while ((piece.len > 0 || again) && p->last != HTTP_END && p->last != HTTP_BAD) {
        again = false;
        p->last = http_parser_step(&p->parser, &piece);
        if (p->last == HTTP_HEADERS) {
            p->saw_headers = true;
            again = true;
        }
    }
    return piece;
}

static void parse_cut(struct parsed *p, const char *text, size_t cut)
{
    struct bytes all = bytes_of_text(text);
    parsed_init(p);
    feed(p, bytes_first(all, cut));
    feed(p, bytes_from(all, cut));
}

struct request_case {
    const char *text;
    const char *path;
    const char *query;
    const char *body;
    int refusal;
    bool keep_alive;
    bool chunked;
};

static const struct request_case cases[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", "", "", 0, true, false},
    {"\r\nGET /a?b HTTP/1.1\r\nHost: a\r\n\r\n", "/a", "b", "", 0, true, false},
    {"GET /a%2Fb?c=%41&d=+&&e HTTP/1.1\r\nhOST:a\r\n\r\n", "/a/b", "c=%41&d=+&&e", "", 0, true,
     false},
    {"GET http://h:1/x HTTP/1.1\r\nHost: h\r\n\r\n", "/x", "", "", 0, true, false},
    {"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "/", "", "", 0, true, false},
    {"GET /x#y HTTP/1.1\r\nHost: h\r\n\r\n", "/x", "", "", 0, true, false},
    {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "/p", "", "body", 0, true,
     false},
    {"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nbod\r\n1\r\ny\r\n0\r\nT: x\r\n\r\n",
     "/p", "", "body", 0, true, true},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "/", "", "", 0, false, false},
    {"GET / HTTP/1.0\r\n\r\n", "/", "", "", 0, false, false},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/", "", "", 0, true, false},
    {"GET / HTTP/1.1\r\nHost:\r\nX:\r\nY: \r\n\r\n", "/", "", "", 0, true, false},
    {"GET / HTTP/1.1\r\nX: 1\r\n\r\n", NULL, NULL, NULL, 400, false, false},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", NULL, NULL, NULL, 400, false, false},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", NULL, NULL, NULL, 505, false, false},
    {"GET / HTTP/1.1\nHost: a\n\n", NULL, NULL, NULL, 400, false, false},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", NULL, NULL, NULL, 400, false, false},
    {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", NULL, NULL, NULL, 400, false, false},
    {"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", NULL, NULL, NULL, 417, false, false},
    {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", NULL, NULL, NULL, 400, false, false},
    {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", NULL, NULL, NULL, 400, false, false},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", NULL, NULL,
     NULL, 400, false, false},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", NULL, NULL, NULL,
     400, false, false},
    {"CONNECT  \r\n\r\n", NULL, NULL, NULL, 505, false, false},
    {"\x16\x03\x01\x02", NULL, NULL, NULL, 400, false, false},
};

Test(http_request, is_the_same_wherever_it_was_cut)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct request_case *c = &cases[i];
        for (size_t cut = 0; cut < strlen(c->text); cut++) {
            struct parsed p;
            parse_cut(&p, c->text, cut);
            cr_assert_eq(p.parser.refusal, c->refusal, "case %zu cut at %zu: %d %s", i, cut,
                         p.parser.refusal, p.parser.why == NULL ? "" : p.parser.why);
            if (c->refusal == 0) {
                const struct http_request *q = &p.parser.request;
                cr_assert(p.saw_headers && p.last == HTTP_END, "case %zu cut at %zu", i, cut);
                cr_assert(bytes_equal(q->path, bytes_of_text(c->path)), "case %zu: path", i);
                cr_assert(bytes_equal(q->query, bytes_of_text(c->query)), "case %zu: query", i);
                cr_assert(bytes_equal(buffer_bytes(&p.body), bytes_of_text(c->body)), "case %zu",
                          i);
                cr_assert_eq(p.parser.keep_alive, c->keep_alive, "case %zu", i);
                cr_assert_eq(p.parser.chunked, c->chunked, "case %zu", i);
            }
            parsed_close(&p);
        }
    }
}

Test(http_request, parameters_and_headers_are_found_by_name)
{
    struct parsed p;
    parse_cut(
        &p, "GET /x?a=1&b=%20+&a=2&c HTTP/1.1\r\nHost: h\r\nX-One:  v 1 \r\nx-one: v2\r\n\r\n", 0);
    const struct http_request *q = &p.parser.request;
    cr_assert_eq(q->param_count, 4);
    cr_expect(bytes_equal(http_request_param(q, "a"), BYTES("1")));
    cr_expect(bytes_equal(http_request_param(q, "b"), BYTES("  ")));
    cr_expect(bytes_equal(q->params[2].value, BYTES("2")));
    cr_expect_not_null(http_request_param(q, "c").data, "present without a value");
    cr_expect_null(http_request_param(q, "d").data);
    cr_expect(bytes_equal(http_request_header(q, "x-one"), BYTES("v 1")), "the first one, trimmed");
    cr_expect_null(http_request_header(q, "x-two").data);
    parsed_close(&p);
}

Test(http_request, a_second_request_waits_for_its_turn)
{
    struct parsed p;
    parsed_init(&p);
    struct bytes two = BYTES("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
                             "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    struct bytes rest = feed(&p, two);
    cr_assert_eq(p.last, HTTP_END);
    cr_assert(bytes_starts_with(rest, BYTES("GET /2")), "nothing of the second was read");
    http_parser_reset(&p.parser, &p.arena, NULL);
    p.last = HTTP_MORE;
    rest = feed(&p, rest);
    cr_assert_eq(p.last, HTTP_END);
    cr_assert(bytes_equal(p.parser.request.path, BYTES("/2")));
    cr_assert_eq(rest.len, 0);
    parsed_close(&p);
}

Test(http_request, no_memory_is_an_answer)
{
    struct arena arena;
    struct mem_budget budget;
    struct mem_account account;
    struct http_parser parser;
    mem_budget_init(&budget, 1000);
    mem_account_init(&account, &budget, REQUEST_HEAD_MAX);
    arena_init(&arena, REQUEST_HEAD_MAX, &account);
    http_parser_init(&parser);
    http_parser_reset(&parser, &arena, &account);
    struct bytes text = BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert_eq(http_parser_step(&parser, &text), HTTP_BAD);
    cr_assert_eq(parser.refusal, 503);
    http_parser_close(&parser);
    arena_close(&arena);
    mem_account_close(&account);
}
