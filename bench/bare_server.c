#include "bench/bare_server.h"

#include <llhttp.h>
#include <uv.h>

#include "base/mem.h"

#define READ_SIZE ((size_t)256 << 10)

struct bare_server {
    struct bytes answer;
    uint8_t *read_room;
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_async_t stop;
    uv_thread_t thread;
    llhttp_settings_t settings;
};

struct client {
    struct bare_server *server;
    uv_tcp_t tcp;
    llhttp_t parser;
};

static void on_client_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void client_close(struct client *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_client_closed);
}

/* Answers are small and the peer reads before it asks again: what does not go out at once is an
 * error here. */
static int on_request(llhttp_t *parser)
{
    struct client *c = parser->data;
    struct bytes answer = c->server->answer;
    uv_buf_t out = uv_buf_init((char *)(uintptr_t)answer.data, (unsigned)answer.len);
    return uv_try_write((uv_stream_t *)&c->tcp, &out, 1) == (int)answer.len ? 0 : -1;
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    (void)wanted;
    const struct client *c = handle->data;
    *ret = uv_buf_init((char *)c->server->read_room, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
    struct client *c = stream->data;
    if (got < 0 || (got > 0 && llhttp_execute(&c->parser, room->base, (size_t)got) != HPE_OK))
        client_close(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct bare_server *s = listener->data;
    struct client *c = status == 0 ? mem_zalloc(sizeof(*c)) : NULL;
    if (c == NULL)
        return;
    c->server = s;
    c->tcp.data = c;
    (void)uv_tcp_init(&s->loop, &c->tcp);
    llhttp_init(&c->parser, HTTP_REQUEST, &s->settings);
    c->parser.data = c;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
        client_close(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
}

static void close_one(uv_handle_t *handle, void *self)
{
    struct bare_server *s = self;
    if (uv_is_closing(handle))
        return;
    bool own = handle == (uv_handle_t *)&s->listener || handle == (uv_handle_t *)&s->stop;
    uv_close(handle, own ? NULL : on_client_closed);
}

static void on_stop(uv_async_t *stop)
{
    struct bare_server *s = stop->data;
    uv_walk(&s->loop, close_one, s);
}

static void run_loop(void *self)
{
    struct bare_server *s = self;
    uv_run(&s->loop, UV_RUN_DEFAULT);
}

static int listen_on_free_port(struct bare_server *s, int *ret_port)
{
    struct sockaddr_in at;
    int len = sizeof(at);
    int rc = uv_tcp_init(&s->loop, &s->listener);
    s->listener.data = s;
    if (rc == 0)
        rc = uv_ip4_addr("127.0.0.1", 0, &at);
    if (rc == 0)
        rc = uv_tcp_bind(&s->listener, (const struct sockaddr *)&at, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&s->listener, 64, on_connection);
    if (rc == 0)
        rc = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&at, &len);
    if (rc == 0)
        *ret_port = ntohs(at.sin_port);
    return rc;
}

enum err bare_server_start(struct bytes answer, struct bare_server **ret, int *ret_port,
                           struct errinfo *info)
{
    struct bare_server *s = mem_zalloc(sizeof(*s));
    if (s == NULL)
        return ERR_NOMEM;
    s->answer = answer;
    s->read_room = mem_alloc(READ_SIZE);
    s->stop.data = s;
    llhttp_settings_init(&s->settings);
    s->settings.on_message_complete = on_request;
    int rc = s->read_room == NULL ? UV_ENOMEM : uv_loop_init(&s->loop);
    if (rc == 0)
        rc = listen_on_free_port(s, ret_port);
    if (rc == 0)
        rc = uv_async_init(&s->loop, &s->stop, on_stop);
    if (rc == 0)
        rc = uv_thread_create(&s->thread, run_loop, s);
    if (rc != 0) { /* the program ends with it: the loop's handles go with the process */
        mem_free(s->read_room);
        return err_set(info, ERR_IO, "bare server: %s", uv_strerror(rc));
    }
    *ret = s;
    return ERR_OK;
}

void bare_server_stop(struct bare_server *s)
{
    if (s == NULL)
        return;
    uv_async_send(&s->stop);
    uv_thread_join(&s->thread);
    uv_loop_close(&s->loop);
    mem_free(s->read_room);
    mem_free(s);
}
