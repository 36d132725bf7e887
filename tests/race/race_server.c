/* Two loops, many clients at once, pulled answers, metrics read all the while, and a drain in the
 * middle of it: for ThreadSanitizer, and for counting that no answer was lost. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/metrics.h"
#include "base/limits.h"
#include "tests/support/scale.h"
#include "tests/support/serving.h"

#define CLIENTS 6

static void handle_echo(struct handler_context *c, const struct http_request *q,
                        struct http_response *r)
{
    (void)c;
    r->content_type = "text/plain";
    buffer_put(&r->body, q->body);
}

static void handle_quick(struct handler_context *c, const struct http_request *q,
                         struct http_response *r)
{
    (void)c;
    (void)q;
    buffer_put(&r->body, BYTES("quick"));
}

static enum err next_piece(void *self, struct buffer *out, bool *ret_done)
{
    int *left = self;
    for (int i = 0; i < 2000; i++)
        buffer_put(out, BYTES("0123456789"));
    *ret_done = --*left == 0;
    return ERR_OK;
}

static void stop_pieces(void *self)
{
    *(int *)self = 0;
}

static void handle_pieces(struct handler_context *c, const struct http_request *q,
                          struct http_response *r)
{
    (void)q;
    int *left = ARENA_NEW(c->arena, int);
    if (left == NULL) {
        http_problem_of(r, ERR_BUSY, NULL);
        return;
    }
    *left = 4;
    r->content_type = "text/plain";
    r->source = (struct body_source){left, next_piece, stop_pieces};
}

static void handle_page(struct handler_context *c, const struct http_request *q,
                        struct http_response *r)
{
    (void)q;
    metrics_print(c->app->metrics, c->app->budget, &r->body);
}

static const struct route routes[] = {
    {.name = "echo",
     .pattern = "/echo",
     .methods = ROUTE_POST,
     .handler = handle_echo,
     .body_max = 1 << 20},
    {.name = "quick",
     .pattern = "/quick",
     .methods = ROUTE_GET,
     .handler = handle_quick,
     .on_loop = true},
    {.name = "pieces", .pattern = "/pieces", .methods = ROUTE_GET, .handler = handle_pieces},
    {.name = "page", .pattern = "/page", .methods = ROUTE_GET, .handler = handle_page},
};

struct client {
    const struct serving *serving;
    unsigned rounds;
    atomic_uint *answered;
    unsigned lost;
};

/* One connection a round; the last answer is read up to its end. */
static void *run_client(void *argument)
{
    struct client *c = argument;
    static const char *const requests[] = {
        "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /pieces HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET /page HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    static const char last[] = "GET /quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    static const size_t size = 1 << 20;
    char *answer = mem_alloc(size);
    for (unsigned round = 0; answer != NULL && round < c->rounds; round++) {
        int fd = serving_connect(c->serving);
        for (unsigned i = 0; i < 4; i++)
            serving_send_text(fd, requests[(i + round) % 4]);
        if (round % 8 == 7) { /* some leave without reading */
            (void)close(fd);
            continue;
        }
        serving_send_text(fd, last);
        size_t len = serving_read_all(fd, answer, size); /* coded answers hold zeros */
        (void)close(fd);
        if (!bytes_ends_with(bytes_of(answer, len), BYTES("Connection: close\r\n\r\nquick")))
            c->lost++;
        atomic_fetch_add(c->answered, 1);
    }
    mem_free(answer);
    return NULL;
}

int main(void)
{
    struct serving s;
    atomic_uint answered = 0;
    pthread_t threads[CLIENTS];
    struct client clients[CLIENTS];
    unsigned lost = 0;
    serving_start(&s, routes, sizeof(routes) / sizeof(routes[0]), 2, NULL, MIB(64));
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){&s, test_scale(60), &answered, 0};
        if (pthread_create(&threads[i], NULL, run_client, &clients[i]) != 0)
            return 1;
    }
    for (int i = 0; i < CLIENTS; i++) {
        (void)pthread_join(threads[i], NULL);
        lost += clients[i].lost;
    }
    int idle = serving_connect(&s);
    server_drain(s.server);
    server_wait(s.server);
    (void)close(idle);
    size_t used = atomic_load(&s.budget.used);
    serving_stop(&s);
    printf("%u connections, %u answers lost, %zu bytes not given back\n", atomic_load(&answered),
           lost, used);
    return lost == 0 && used == 0 && mem_outstanding() == 0 ? 0 : 1;
}
