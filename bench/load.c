/* load.c
 *
 *   CONNECTING --> FREE --due or next--> SENT --answer--> FREE
 *       ^                                  |
 *       +---- connection lost: counted ----+
 */
#include "bench/load.h"

#include <string.h>

#include <llhttp.h>
#include <sched.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"

#define READ_SIZE     ((size_t)256 << 10)
#define DEADLINE_NS   INT64_C(120000000000)
#define RECONNECT_MAX 1000 /* in all; a server that refuses everybody must not be hammered */

enum conn_state { CONN_CONNECTING, CONN_FREE, CONN_SENT, CONN_DONE };

struct conn {
    struct load *load;
    enum conn_state state;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    bool open; /* tcp has to be closed */
    llhttp_t parser;
    size_t number; /* open loop: the next request of this connection; else the one sent */
    int64_t due_ns;
    int64_t free_since_ns;
};

struct load {
    const struct load_options *options;
    struct load_result result;
    struct conn *conns;
    uint8_t *read_room;
    struct histogram *late;
    size_t next; /* closed loop: the next request of all */
    size_t reconnects;
    unsigned done;
    int64_t start_ns;
    int64_t finished_ns;
    uv_loop_t loop;
    uv_idle_t idle;    /* open loop: keeps polling */
    uv_timer_t ticker; /* looks at the deadline */
    llhttp_settings_t settings;
    bool broken;
};

static void conn_connect(struct conn *c);

static bool is_open_loop(const struct load *l)
{
    return l->options->rate > 0;
}

static int64_t due_of(const struct load *l, size_t n)
{
    return l->start_ns + (int64_t)((double)n * 1e9 / l->options->rate);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    c->open = false;
    if (c->state == CONN_CONNECTING && !c->load->broken)
        conn_connect(c);
}

static void conn_close(struct conn *c)
{
    if (c->open && !uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void conn_finish(struct conn *c)
{
    if (c->state == CONN_DONE)
        return;
    c->state = CONN_DONE;
    conn_close(c);
    if (++c->load->done == c->load->options->connections) {
        c->load->finished_ns = clock_steady_ns();
        uv_close((uv_handle_t *)&c->load->idle, NULL);
        uv_close((uv_handle_t *)&c->load->ticker, NULL);
    }
}

/* The request is gone; the connection gets another socket. */
static void conn_lost(struct conn *c)
{
    struct load *l = c->load;
    if (c->state == CONN_DONE)
        return;
    if (c->state == CONN_SENT) {
        l->result.failed++;
        if (is_open_loop(l))
            c->number += l->options->connections;
    }
    if (++l->reconnects > RECONNECT_MAX) {
        l->broken = true;
        conn_finish(c);
        return;
    }
    c->state = CONN_CONNECTING;
    conn_close(c); /* on_closed connects anew */
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;
    if (status != 0 && status != UV_ECANCELED)
        conn_lost(c);
}

static void conn_send(struct conn *c)
{
    if (is_open_loop(c->load) && c->free_since_ns <= c->due_ns) /* else the server is late */
        histogram_record(c->load->late, (uint64_t)(clock_steady_ns() - c->due_ns));
    struct bytes request = c->load->options->request(c->load->options->self, c->number);
    c->state = CONN_SENT;
    uv_buf_t all = uv_buf_init((char *)(uintptr_t)request.data, (unsigned)request.len);
    int wrote = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
    size_t sent = wrote > 0 ? (size_t)wrote : 0;
    if (sent == request.len)
        return;
    uv_buf_t rest = uv_buf_init(all.base + sent, (unsigned)(request.len - sent));
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written) != 0)
        conn_lost(c);
}

/* Whether this connection has something to do now. */
static void conn_advance(struct conn *c)
{
    struct load *l = c->load;
    if (c->state != CONN_FREE)
        return;
    if (is_open_loop(l)) {
        if (c->number >= l->options->count) {
            conn_finish(c);
            return;
        }
        c->due_ns = due_of(l, c->number);
        int64_t now_ns = clock_steady_ns();
        if (now_ns < c->due_ns)
            return;
        conn_send(c);
        return;
    }
    if (l->next >= l->options->count) {
        conn_finish(c);
        return;
    }
    c->number = l->next++;
    c->due_ns = clock_steady_ns();
    conn_send(c);
}

static void conn_free(struct conn *c)
{
    c->state = CONN_FREE;
    c->free_since_ns = clock_steady_ns();
}

static int on_answer(llhttp_t *parser)
{
    struct conn *c = parser->data;
    struct load *l = c->load;
    if (c->state != CONN_SENT)
        return -1; /* an answer to nothing */
    histogram_record(l->options->latency, (uint64_t)(clock_steady_ns() - c->due_ns));
    l->result.answered++;
    if (parser->status_code / 100 == 2)
        l->result.good++;
    else
        l->result.refused++;
    if (is_open_loop(l))
        c->number += l->options->connections;
    conn_free(c);
    if (!llhttp_should_keep_alive(parser)) {
        c->state = CONN_CONNECTING;
        conn_close(c);
    }
    return 0;
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    (void)wanted;
    const struct conn *c = handle->data;
    *ret = uv_buf_init((char *)c->load->read_room, READ_SIZE); /* emptied before the next read */
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
    struct conn *c = stream->data;
    if (got == 0)
        return;
    if (got < 0) {
        conn_lost(c);
        return;
    }
    c->load->result.answer_bytes += (uint64_t)got;
    if (llhttp_execute(&c->parser, room->base, (size_t)got) != HPE_OK) {
        conn_lost(c);
        return;
    }
    conn_advance(c);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct conn *c = connect->data;
    if (status != 0 || uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
        conn_lost(c);
        return;
    }
    conn_free(c);
    conn_advance(c);
}

static void conn_connect(struct conn *c)
{
    struct sockaddr_in to;
    c->state = CONN_CONNECTING;
    llhttp_init(&c->parser, HTTP_RESPONSE, &c->load->settings);
    c->parser.data = c;
    c->tcp.data = c;
    c->connect.data = c;
    c->write.data = c;
    if (uv_tcp_init(&c->load->loop, &c->tcp) != 0 ||
        uv_ip4_addr("127.0.0.1", c->load->options->port, &to) != 0) {
        c->load->broken = true;
        return;
    }
    c->open = true;
    uv_tcp_nodelay(&c->tcp, 1);
    if (uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&to, on_connected) != 0)
        conn_lost(c);
}

static void on_idle(uv_idle_t *idle)
{
    struct load *l = idle->data;
    for (unsigned i = 0; i < l->options->connections; i++)
        conn_advance(&l->conns[i]);
    sched_yield(); /* polling must not keep a server that shares the core from answering */
}

static void on_tick(uv_timer_t *ticker)
{
    struct load *l = ticker->data;
    l->broken |= clock_steady_ns() - l->start_ns > DEADLINE_NS;
    for (unsigned i = 0; i < l->options->connections && l->broken; i++)
        conn_finish(&l->conns[i]);
}

static enum err load_start(struct load *l)
{
    l->conns = mem_zalloc(l->options->connections * sizeof(*l->conns));
    l->read_room = mem_alloc(READ_SIZE);
    l->late = mem_zalloc(sizeof(*l->late));
    if (l->conns == NULL || l->read_room == NULL || l->late == NULL || uv_loop_init(&l->loop) != 0)
        return ERR_NOMEM;
    llhttp_settings_init(&l->settings);
    l->settings.on_message_complete = on_answer;
    l->idle.data = l;
    l->start_ns = clock_steady_ns();
    (void)uv_idle_init(&l->loop, &l->idle);
    if (is_open_loop(l))
        (void)uv_idle_start(&l->idle, on_idle);
    l->ticker.data = l;
    (void)uv_timer_init(&l->loop, &l->ticker);
    (void)uv_timer_start(&l->ticker, on_tick, 1000, 1000);
    for (unsigned i = 0; i < l->options->connections; i++) {
        l->conns[i].load = l;
        l->conns[i].number = i;
        conn_connect(&l->conns[i]);
    }
    return ERR_OK;
}

enum err load_run(const struct load_options *options, struct load_result *ret, struct errinfo *info)
{
    struct load l = {.options = options};
    enum err rc = load_start(&l);
    if (rc == ERR_OK) {
        uv_run(&l.loop, UV_RUN_DEFAULT);
        uv_loop_close(&l.loop);
        l.result.elapsed_ns = (double)(l.finished_ns - l.start_ns);
        l.result.late_p99_ns = histogram_quantile(l.late, 0.99);
        *ret = l.result;
        if (l.broken)
            rc = err_set(info, ERR_IO, "port %d: %zu of %zu requests answered", options->port,
                         l.result.answered, options->count);
    }
    mem_free(l.conns);
    mem_free(l.read_room);
    mem_free(l.late);
    return rc;
}
