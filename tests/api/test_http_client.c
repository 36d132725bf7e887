/* The client against a server that says exactly what a case tells it to, in pieces of any size. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "api/http_client.h"

#define REQUEST_SIZE_MAX ((size_t)1 << 20)

struct scripted_connection {
    const char *answer; /* NULL: never answers */
    size_t piece;       /* bytes a write; 0: all at once */
    bool early;         /* answers after the head and reads no further */
    bool keep_open;     /* waits for the client to close */
};

struct scripted_server {
    int listener;
    char url[64];
    const struct scripted_connection *connections; /* one an accept */
    size_t requests_per_connection;
    size_t connection_count;
    pthread_t thread;
    char request[REQUEST_SIZE_MAX]; /* all that was received, terminated */
    size_t request_size;
};

static bool request_is_whole(const struct scripted_server *s, size_t from, bool early)
{
    const char *head = s->request + from;
    const char *end = strstr(head, "\r\n\r\n");
    if (end == NULL)
        return false;
    if (early)
        return true;
    const char *length = strstr(head, "Content-Length: ");
    if (length != NULL && length < end)
        return s->request_size - (size_t)(end + 4 - s->request) >= strtoul(length + 16, NULL, 10);
    if (strstr(head, "Transfer-Encoding: chunked") != NULL)
        return strstr(end, "\r\n0\r\n\r\n") != NULL;
    return true;
}

static void receive_request(struct scripted_server *s, int fd, bool early)
{
    size_t from = s->request_size;
    while (!request_is_whole(s, from, early)) {
        ssize_t got =
            recv(fd, s->request + s->request_size, REQUEST_SIZE_MAX - 1 - s->request_size, 0);
        if (got <= 0)
            return;
        s->request_size += (size_t)got;
        s->request[s->request_size] = '\0';
    }
}

static void *serve(void *self)
{
    struct scripted_server *s = self;
    for (size_t i = 0; i < s->connection_count; i++) {
        const struct scripted_connection *c = &s->connections[i];
        int fd = accept(s->listener, NULL, NULL);
        for (size_t n = 0; n < s->requests_per_connection; n++) {
            receive_request(s, fd, c->early);
            size_t left = c->answer == NULL ? 0 : strlen(c->answer);
            for (const char *at = c->answer; left > 0;) {
                size_t piece = c->piece == 0 || c->piece > left ? left : c->piece;
                if (send(fd, at, piece, MSG_NOSIGNAL) < 0)
                    break;
                at += piece;
                left -= piece;
            }
        }
        char rest[4096];
        while (c->keep_open && recv(fd, rest, sizeof(rest), 0) > 0)
            ;
        (void)shutdown(fd, SHUT_WR);
        (void)close(fd);
    }
    return NULL;
}

static struct scripted_server *server_start(const struct scripted_connection *connections,
                                            size_t count, size_t requests_per_connection)
{
    static struct scripted_server s;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    memset(&s, 0, sizeof(s));
    s.listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(s.listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(s.listener, 8), 0);
    cr_assert_eq(getsockname(s.listener, (struct sockaddr *)&address, &size), 0);
    snprintf(s.url, sizeof(s.url), "http://127.0.0.1:%d", ntohs(address.sin_port));
    s.connections = connections;
    s.connection_count = count;
    s.requests_per_connection = requests_per_connection;
    cr_assert_eq(pthread_create(&s.thread, NULL, serve, &s), 0);
    return &s;
}

static void server_stop(struct scripted_server *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static struct http_client *client_of(const struct scripted_server *s, int timeout_ms)
{
    struct http_url url;
    struct http_client *client;
    cr_assert_eq(http_url_parse(bytes_of_text(s->url), &url, NULL), ERR_OK);
    cr_assert_eq(http_client_create(&url, timeout_ms, &client, NULL), ERR_OK);
    return client;
}

Test(http_client, reads_urls_and_refuses_what_it_cannot_speak)
{
    static const struct {
        const char *text;
        enum err rc;
        const char *host, *port, *prefix;
    } cases[] = {
        {"http://127.0.0.1:1218", ERR_OK, "127.0.0.1", "1218", ""},
        {"http://hearth.example/", ERR_OK, "hearth.example", "80", ""},
        {"http://[::1]:99/a/b//", ERR_OK, "::1", "99", "/a/b"},
        {"http://[::1]", ERR_OK, "::1", "80", ""},
        {"https://127.0.0.1", ERR_UNSUPPORTED, NULL, NULL, NULL},
        {"127.0.0.1:1218", ERR_MALFORMED, NULL, NULL, NULL},
        {"http://", ERR_MALFORMED, NULL, NULL, NULL},
        {"http://:80", ERR_MALFORMED, NULL, NULL, NULL},
        {"http://h:", ERR_MALFORMED, NULL, NULL, NULL},
        {"http://h:0", ERR_MALFORMED, NULL, NULL, NULL},
        {"http://h:65536", ERR_MALFORMED, NULL, NULL, NULL},
        {"http://[::1", ERR_MALFORMED, NULL, NULL, NULL},
        {"http://[::1]x", ERR_MALFORMED, NULL, NULL, NULL},
        {"http://h/?q", ERR_MALFORMED, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_url url;
        struct errinfo info = {0};
        enum err rc = http_url_parse(bytes_of_text(cases[i].text), &url, &info);
        cr_assert_eq(rc, cases[i].rc, "%s: %s", cases[i].text, info.text);
        if (rc != ERR_OK)
            continue;
        cr_assert_str_eq(url.host, cases[i].host);
        cr_assert_str_eq(url.port, cases[i].port);
        cr_assert_str_eq(url.prefix, cases[i].prefix);
    }
}

Test(http_client, reads_answers_however_they_are_framed_and_cut)
{
    static const struct {
        const char *answer;
        enum err rc;
        int status;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ERR_OK, 200, "hello"},
        {"HTTP/1.1 204 No Content\r\n\r\n", ERR_OK, 204, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA-Trailer: 1\r\n\r\n",
         ERR_OK, 200, "hello"},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", ERR_OK, 200, "until the end"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig",
         ERR_OK, 413, "big"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", ERR_IO, 0, NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel", ERR_IO, 0, NULL},
        {"HTTP/1.1 200 OK\r\nConte", ERR_IO, 0, NULL},
        {"", ERR_IO, 0, NULL},
        {"SSH-2.0-OpenSSH_9.2\r\n", ERR_MALFORMED, 0, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", ERR_MALFORMED, 0,
         NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         ERR_LIMIT, 0, NULL},
    };
    static const size_t pieces[] = {0, 1, 7};
    struct http_client_answer answer;
    http_client_answer_init(&answer, 64);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
            struct scripted_connection connection = {cases[i].answer, pieces[p], false, false};
            struct scripted_server *s = server_start(&connection, 1, 1);
            struct http_client *client = client_of(s, 5000);
            struct http_client_request request = {.target = BYTES("/x?y=1")};
            struct errinfo info = {0};
            enum err rc = http_client_send(client, &request, &answer, &info);
            cr_assert_eq(rc, cases[i].rc, "case %zu piece %zu: %d %s", i, pieces[p], rc, info.text);
            if (rc == ERR_OK) {
                cr_assert_eq(answer.status, cases[i].status);
                cr_assert(bytes_equal(buffer_bytes(&answer.body), bytes_of_text(cases[i].body)),
                          "case %zu piece %zu", i, pieces[p]);
            } else {
                cr_assert_neq(info.text[0], '\0', "case %zu says nothing", i);
            }
            http_client_destroy(client);
            server_stop(s);
            cr_assert_not_null(strstr(s->request, "GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:"));
        }
    }
    http_client_answer_close(&answer);
}

Test(http_client, sends_bodies_with_a_length_or_in_chunks_and_keeps_the_connection)
{
    static const struct scripted_connection connection = {
        "HTTP/1.1 200 OK\r\nX-Seen: Yes\r\nContent-Length: 2\r\n\r\nok", 0, false, true};
    struct scripted_server *s = server_start(&connection, 1, 3);
    struct http_client *client = client_of(s, 5000);
    struct http_client_answer answer;
    struct http_client_field field = {BYTES("X-Sentry-Auth"), BYTES("Sentry a=b")};
    struct http_client_request request = {.method = "POST",
                                          .target = BYTES("/api/1/envelope/"),
                                          .fields = &field,
                                          .field_count = 1,
                                          .body = BYTES("{}\nbody")};
    http_client_answer_init(&answer, 64);
    for (int round = 0; round < 3; round++) {
        request.chunked = round == 1;
        struct errinfo info = {0};
        cr_assert_eq(http_client_send(client, &request, &answer, &info), ERR_OK, "%s", info.text);
        cr_assert_eq(answer.status, 200);
        cr_assert(bytes_equal(http_client_answer_field(&answer, "x-seen"), BYTES("Yes")));
        cr_assert_null(http_client_answer_field(&answer, "x-other").data);
    }
    http_client_destroy(client);
    server_stop(s); /* one accept only: all three came over one connection */
    cr_assert_not_null(strstr(s->request, "X-Sentry-Auth: Sentry a=b\r\nContent-Length: 7\r\n\r\n"
                                          "{}\nbodyPOST"));
    cr_assert_not_null(strstr(s->request, "Transfer-Encoding: chunked\r\n\r\n"
                                          "7\r\n{}\nbody\r\n0\r\n\r\n"));
    http_client_answer_close(&answer);
}

Test(http_client, connects_anew_when_the_idle_connection_went_away)
{
    static const struct scripted_connection connections[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none", 0, false, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo", 0, false, false}};
    struct scripted_server *s = server_start(connections, 2, 1);
    struct http_client *client = client_of(s, 5000);
    struct http_client_answer answer;
    struct http_client_request request = {.target = BYTES("/")};
    http_client_answer_init(&answer, 64);
    cr_assert_eq(http_client_send(client, &request, &answer, NULL), ERR_OK);
    cr_assert(bytes_equal(buffer_bytes(&answer.body), BYTES("one")));
    cr_assert_eq(http_client_send(client, &request, &answer, NULL), ERR_OK);
    cr_assert(bytes_equal(buffer_bytes(&answer.body), BYTES("two")));
    http_client_destroy(client);
    server_stop(s);
    http_client_answer_close(&answer);
}

Test(http_client, hears_a_refusal_that_comes_before_the_body_is_sent)
{
    static const struct scripted_connection connection = {
        "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig", 0, true,
        false};
    static uint8_t body[(size_t)32 << 20];
    struct scripted_server *s = server_start(&connection, 1, 1);
    struct http_client *client = client_of(s, 5000);
    struct http_client_answer answer;
    struct http_client_request request = {
        .method = "POST", .target = BYTES("/"), .body = bytes_of(body, sizeof(body))};
    struct errinfo info = {0};
    http_client_answer_init(&answer, 64);
    cr_assert_eq(http_client_send(client, &request, &answer, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(answer.status, 413);
    http_client_destroy(client);
    server_stop(s);
    http_client_answer_close(&answer);
}

static enum err collect(void *self, struct bytes piece)
{
    struct buffer *all = self;
    buffer_put(all, piece);
    return all->failed;
}

Test(http_client, hands_good_bodies_over_piece_by_piece_and_keeps_refusals)
{
    static const struct {
        const char *answer;
        const char *handed;
        const char *kept;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", ""},
        {"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nhello", "", "hello"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scripted_connection connection = {cases[i].answer, 2, false, false};
        struct scripted_server *s = server_start(&connection, 1, 1);
        struct http_client *client = client_of(s, 5000);
        struct http_client_answer answer;
        struct buffer all;
        buffer_init(&all, 64, NULL);
        http_client_answer_init(&answer, 64);
        struct http_client_request request = {
            .target = BYTES("/"), .on_body = collect, .self = &all};
        cr_assert_eq(http_client_send(client, &request, &answer, NULL), ERR_OK);
        cr_assert(bytes_equal(buffer_bytes(&all), bytes_of_text(cases[i].handed)));
        cr_assert(bytes_equal(buffer_bytes(&answer.body), bytes_of_text(cases[i].kept)));
        http_client_destroy(client);
        server_stop(s);
        http_client_answer_close(&answer);
        buffer_close(&all);
    }
}

Test(http_client, says_who_does_not_answer)
{
    static const struct scripted_connection silent = {NULL, 0, false, true};
    struct scripted_server *s = server_start(&silent, 1, 1);
    struct http_client *client = client_of(s, 100);
    struct http_client_answer answer;
    struct http_client_request request = {.target = BYTES("/")};
    struct errinfo info = {0};
    http_client_answer_init(&answer, 64);
    cr_assert_eq(http_client_send(client, &request, &answer, &info), ERR_IO);
    cr_assert_not_null(strstr(info.text, "no progress"), "%s", info.text);
    http_client_destroy(client);
    server_stop(s);

    client = client_of(s, 1000); /* nobody listens there any more */
    cr_assert_eq(http_client_send(client, &request, &answer, &info), ERR_IO);
    cr_assert_not_null(strstr(info.text, s->url), "%s", info.text);
    http_client_destroy(client);
    http_client_answer_close(&answer);
}

Test(http_client, encodes_what_a_query_cannot_hold)
{
    struct buffer out;
    buffer_init(&out, 256, NULL);
    http_put_encoded(&out, BYTES("GET /a b+c&\xc3\xa9-._~Z9%"));
    cr_assert(bytes_equal(buffer_bytes(&out), BYTES("GET%20%2Fa%20b%2Bc%26%C3%A9-._~Z9%25")),
              "%.*s", (int)out.len, (char *)out.data);
    buffer_close(&out);
}
