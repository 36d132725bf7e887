#include "tests/support/serving.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "api/admission.h"
#include "api/metrics.h"
#include "base/limits.h"

static void must(bool held, const char *what)
{
    if (held)
        return;
    fprintf(stderr, "serving: %s (%s)\n", what, strerror(errno));
    abort();
}

void serving_start(struct serving *s, const struct route *routes, size_t count, unsigned threads,
                   const struct http_limits *limits, size_t memory_max)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the program does */
    *s = (struct serving){0};
    s->router = (struct router){routes, count};
    mem_budget_init(&s->budget, memory_max != 0 ? memory_max : MIB(64));
    must(metrics_create(&s->router, &s->metrics) == ERR_OK, "metrics");
    s->app.budget = &s->budget;
    s->app.metrics = s->metrics;
    must(admission_create(&s->budget, &s->app.admission) == ERR_OK, "admission");
    struct listen_address address;
    struct errinfo info = {{0}};
    must(listen_address_parse("127.0.0.1:0", &address, &info) == ERR_OK, info.text);
    struct server_options options = {.router = &s->router,
                                     .app = &s->app,
                                     .listen = &address,
                                     .listen_count = 1,
                                     .thread_count = threads};
    if (limits != NULL)
        options.limits = *limits;
    must(server_start(&options, &s->server, &info) == ERR_OK, info.text);
    struct listen_address got = server_address(s->server, 0);
    s->port = listen_address_port(&got);
}

void serving_stop(struct serving *s)
{
    server_destroy(s->server);
    admission_destroy(s->app.admission);
    metrics_destroy(s->metrics);
}

int serving_connect(const struct serving *s)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0, "socket");
    struct timeval limit = {.tv_sec = 10};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0, "setsockopt");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
    return fd;
}

void serving_send(int fd, struct bytes data)
{
    while (data.len > 0) {
        ssize_t sent = send(fd, data.data, data.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server may answer early and close */
        data = bytes_from(data, (size_t)sent);
    }
}

void serving_send_text(int fd, const char *text)
{
    serving_send(fd, bytes_of_text(text));
}

size_t serving_read_all(int fd, char *to, size_t size)
{
    size_t len = 0;
    while (len + 1 < size) {
        ssize_t got = recv(fd, to + len, size - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    to[len] = '\0';
    return len;
}

bool serving_read_until(int fd, char *to, size_t size, const char *text)
{
    size_t len = 0;
    to[0] = '\0';
    while (strstr(to, text) == NULL) {
        ssize_t got = len + 1 < size ? recv(fd, to + len, size - 1 - len, 0) : 0;
        if (got <= 0)
            return false;
        len += (size_t)got;
        to[len] = '\0';
    }
    return true;
}

size_t serving_exchange(const struct serving *s, const char *request, char *to, size_t size)
{
    int fd = serving_connect(s);
    serving_send_text(fd, request);
    (void)shutdown(fd, SHUT_WR);
    size_t len = serving_read_all(fd, to, size);
    (void)close(fd);
    return len;
}

unsigned serving_count(const char *text, const char *needle)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, needle)) != NULL; at += strlen(needle))
        count++;
    return count;
}
