#include "api/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/app.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/size.h"

struct server_loop {
    struct http_loop http; /* first: callbacks of http_conn get this back */
    struct server *server;
    uv_thread_t thread;
    uv_async_t control;
    uv_timer_t drain;
    uv_tcp_t listeners[LISTEN_COUNT_MAX];
    size_t listener_count;
    bool opened;  /* uv and http are initialised */
    bool started; /* its thread runs */
    bool listening;
    bool ended;              /* its handles are being closed */
    uint64_t complain_at_ms; /* of failing accepts: not before */
};

struct server {
    struct mem_budget heads;
    struct listen_address addresses[LISTEN_COUNT_MAX];
    size_t address_count;
    unsigned drain_ms;
    atomic_bool draining;
    atomic_bool stopping;
    bool waited;
    size_t loop_count;
    struct server_loop loops[];
};

/* ---- sockets ---- */

static enum err bind_failed(const struct listen_address *a, struct errinfo *info, const char *what)
{
    char text[LISTEN_TEXT_SIZE];
    char why[96];
    int error = errno;
    listen_address_print(a, text);
    (void)uv_strerror_r(-error, why, sizeof(why));
    if (error == EADDRINUSE)
        return err_set(info, ERR_BUSY, "%s is taken: another program listens there", text);
    return err_set(info, ERR_IO, "cannot %s %s: %s", what, text, why);
}

static int open_socket(const struct listen_address *a, bool shared)
{
    int yes = 1;
    int fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0) ||
        bind(fd, (const struct sockaddr *)&a->address, a->size) != 0) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Listen once without sharing the port: succeeds only when nobody else has it. Learns the port. */
static enum err probe(struct listen_address *a, struct errinfo *info)
{
    int fd = open_socket(a, false);
    if (fd < 0)
        return bind_failed(a, info, "bind");
    enum err rc = ERR_OK;
    struct listen_address got = *a;
    if (listen(fd, 1) != 0)
        rc = bind_failed(a, info, "listen on");
    else if (getsockname(fd, (struct sockaddr *)&got.address, &got.size) != 0)
        rc = bind_failed(a, info, "ask the address of");
    else
        *a = got;
    (void)close(fd);
    return rc;
}

/* No descriptor is free, most likely. libuv asks again at once, and would do nothing else: make room
 * where that is possible, and leave the processor to those who could. */
static void accept_failed(struct server_loop *l, int status)
{
    if (uv_now(&l->http.uv) >= l->complain_at_ms) {
        log_warn("server", "accept_failed error=%s", uv_err_name(status));
        l->complain_at_ms = uv_now(&l->http.uv) + ACCEPT_COMPLAIN_MS;
    }
    (void)http_loop_evict(&l->http);
    uv_sleep(1);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server_loop *l = listener->data;
    if (status == 0)
        http_conn_accept(&l->http, listener);
    else
        accept_failed(l, status);
}

static enum err open_listener(struct server_loop *l, const struct listen_address *a,
                              struct errinfo *info)
{
    uv_tcp_t *listener = &l->listeners[l->listener_count];
    int fd = open_socket(a, true);
    if (fd < 0)
        return bind_failed(a, info, "bind");
    (void)uv_tcp_init(&l->http.uv, listener);
    listener->data = l;
    l->listener_count++;
    if (uv_tcp_open(listener, fd) != 0) {
        (void)close(fd);
        return bind_failed(a, info, "open");
    }
    int rc = uv_listen((uv_stream_t *)listener, BACKLOG_MAX, on_connection);
    if (rc != 0) {
        errno = -rc;
        return bind_failed(a, info, "listen on");
    }
    return ERR_OK;
}

static void close_listeners(struct server_loop *l)
{
    for (size_t i = 0; i < l->listener_count; i++)
        uv_close((uv_handle_t *)&l->listeners[i], NULL);
    l->listener_count = 0;
    l->listening = false;
}

/* ---- one loop ---- */

static void end_when_empty(struct server_loop *l)
{
    if (l->ended || l->listening || l->http.conn_count > 0)
        return;
    l->ended = true;
    uv_close((uv_handle_t *)&l->control, NULL);
    uv_close((uv_handle_t *)&l->drain, NULL);
    http_loop_close(&l->http);
}

static void on_conn_gone(struct http_loop *loop)
{
    end_when_empty((struct server_loop *)loop);
}

static void on_drain_over(uv_timer_t *timer)
{
    struct server_loop *l = timer->data;
    log_warn("server", "drain_over connections=%zu", l->http.conn_count);
    http_loop_break(&l->http);
}

static void on_control(uv_async_t *control)
{
    struct server_loop *l = control->data;
    struct server *s = l->server;
    if (l->ended || !atomic_load(&s->draining))
        return;
    if (l->listening) {
        close_listeners(l);
        (void)uv_timer_start(&l->drain, on_drain_over, s->drain_ms, 0);
        http_loop_drain(&l->http);
    }
    if (atomic_load(&s->stopping))
        http_loop_break(&l->http);
    end_when_empty(l);
}

static void run_loop(void *argument)
{
    struct server_loop *l = argument;
    (void)pthread_setname_np(pthread_self(), "hearth-loop");
    (void)uv_run(&l->http.uv, UV_RUN_DEFAULT);
}

/* Descriptors that files and loops do not need; the limit is raised as far as it may be. */
static size_t connections_in_reach(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return CONNECTION_COUNT_MAX;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit wanted = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
            limit = wanted;
    }
    size_t all = limit.rlim_cur > SIZE_MAX ? SIZE_MAX : (size_t)limit.rlim_cur;
    return all > 2 * (size_t)FILES_RESERVED ? all - FILES_RESERVED : size_max(1, all / 4);
}

static enum err open_loop(struct server *s, struct server_loop *l,
                          const struct server_options *options, struct errinfo *info)
{
    l->server = s;
    l->http.router = options->router;
    l->http.app = options->app;
    l->http.limits = options->limits;
    l->http.heads = &s->heads;
    l->http.on_conn_gone = on_conn_gone;
    size_t all = options->limits.connection_count_max;
    if (all == 0)
        all = size_min(CONNECTION_COUNT_MAX, connections_in_reach());
    l->http.conn_count_max = (all + s->loop_count - 1) / s->loop_count;
    if (uv_loop_init(&l->http.uv) != 0)
        return err_set(info, ERR_IO, "no event loop can be made");
    enum err rc = http_loop_open(&l->http);
    if (rc != ERR_OK) {
        (void)uv_loop_close(&l->http.uv);
        return err_set(info, rc, "no event loop can be made");
    }
    l->opened = true;
    l->listening = true;
    (void)uv_async_init(&l->http.uv, &l->control, on_control);
    (void)uv_timer_init(&l->http.uv, &l->drain);
    l->control.data = l;
    l->drain.data = l;
    for (size_t i = 0; i < s->address_count; i++)
        TRY(open_listener(l, &s->addresses[i], info));
    return ERR_OK;
}

/* ---- all of them ---- */

static enum err open_all(struct server *s, const struct server_options *options,
                         struct errinfo *info)
{
    for (size_t i = 0; i < options->listen_count; i++) {
        s->addresses[i] = options->listen[i];
        TRY(probe(&s->addresses[i], info));
        s->address_count++;
    }
    for (size_t i = 0; i < s->loop_count; i++)
        TRY(open_loop(s, &s->loops[i], options, info));
    for (size_t i = 0; i < s->loop_count; i++) {
        struct server_loop *l = &s->loops[i];
        if (uv_thread_create(&l->thread, run_loop, l) != 0)
            return err_set(info, ERR_NOMEM, "no thread can be started");
        l->started = true;
    }
    return ERR_OK;
}

enum err server_start(const struct server_options *options, struct server **ret,
                      struct errinfo *info)
{
    if (options->listen_count == 0 || options->listen_count > LISTEN_COUNT_MAX ||
        options->thread_count == 0 || options->thread_count > THREAD_COUNT_MAX)
        return err_set(info, ERR_LIMIT, "server: 1 to %d addresses and 1 to %d threads",
                       LISTEN_COUNT_MAX, THREAD_COUNT_MAX);
    struct server *s = mem_zalloc(sizeof(*s) + options->thread_count * sizeof(struct server_loop));
    if (s == NULL)
        return ERR_NOMEM;
    s->loop_count = options->thread_count;
    s->drain_ms = options->limits.drain_ms != 0 ? options->limits.drain_ms : DRAIN_TIMEOUT_MS;
    mem_budget_init(&s->heads, HEAD_BUDGET);
    enum err rc = open_all(s, options, info);
    if (rc != ERR_OK) {
        server_destroy(s);
        return rc;
    }
    *ret = s;
    return ERR_OK;
}

struct listen_address server_address(const struct server *s, size_t i)
{
    return s->addresses[i];
}

static void wake(struct server *s)
{
    for (size_t i = 0; i < s->loop_count; i++)
        if (s->loops[i].opened)
            (void)uv_async_send(&s->loops[i].control);
}

void server_drain(struct server *s)
{
    atomic_store(&s->draining, true);
    wake(s);
}

void server_wait(struct server *s)
{
    if (s->waited)
        return;
    s->waited = true;
    for (size_t i = 0; i < s->loop_count; i++) {
        struct server_loop *l = &s->loops[i];
        if (l->started)
            (void)uv_thread_join(&l->thread);
        else if (l->opened)
            (void)uv_run(&l->http.uv, UV_RUN_DEFAULT); /* never started: only closes its handles */
        if (l->opened)
            (void)uv_loop_close(&l->http.uv);
    }
}

void server_destroy(struct server *s)
{
    if (s == NULL)
        return;
    if (!s->waited) {
        atomic_store(&s->draining, true);
        atomic_store(&s->stopping, true);
        wake(s);
        server_wait(s);
    }
    mem_free(s);
}
