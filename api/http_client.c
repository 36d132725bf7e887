/* http_client.c - connect, write while listening for an early answer, parse with llhttp.
 *
 * A server may answer before it has read the whole body (413, 401): while the request is being
 * written the socket is also read, and a complete answer ends the writing and the connection.
 */
#include "api/http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <llhttp.h>
#include <netdb.h>
#include <poll.h>

#include "base/mem.h"

#define READ_SIZE  ((size_t)64 << 10)
#define CHUNK_SIZE ((size_t)64 << 10)

struct http_client {
    struct http_url url;
    int timeout_ms;
    int fd;      /* -1: not connected */
    bool reused; /* at least one request was answered on this connection */
    llhttp_t parser;
    llhttp_settings_t settings;
    /* of the request under way */
    const struct http_client_request *request;
    struct http_client_answer *answer;
    bool head_only; /* HEAD: no body follows the headers */
    bool in_value;  /* the last header callback was a value's */
    bool complete;
    bool keep_alive;
    bool heard; /* any byte of an answer came */
    enum err failed;
    struct buffer out; /* request line, headers; the chunked body too */
    uint8_t in[READ_SIZE];
};

/* ---- addresses ---- */

static bool copy_text(char *to, size_t size, struct bytes from)
{
    if (from.len >= size || bytes_find_byte(from, 0) != from.len)
        return false;
    if (from.len > 0)
        memcpy(to, from.data, from.len);
    to[from.len] = '\0';
    return true;
}

/* HOST, [IPV6], with or without :PORT */
static bool parse_authority(struct bytes text, struct http_url *url)
{
    struct bytes host;
    struct bytes port = BYTES("80");
    if (text.len > 0 && text.data[0] == '[') {
        size_t end = bytes_find_byte(text, ']');
        if (end == text.len)
            return false;
        host = bytes_from(bytes_first(text, end), 1);
        text = bytes_from(text, end + 1);
        if (text.len > 0 && text.data[0] != ':')
            return false;
    } else {
        host = bytes_first(text, bytes_find_byte(text, ':'));
        text = bytes_from(text, host.len);
    }
    if (text.len > 0)
        port = bytes_from(text, 1);
    uint64_t number;
    return host.len > 0 && bytes_to_u64(port, &number) && number > 0 && number <= 65535 &&
           copy_text(url->host, sizeof(url->host), host) &&
           copy_text(url->port, sizeof(url->port), port);
}

enum err http_url_parse(struct bytes text, struct http_url *ret, struct errinfo *info)
{
    struct http_url url = {0};
    if (bytes_starts_with(text, BYTES("https://")))
        return err_set(info, ERR_UNSUPPORTED, "url: https is not spoken here, expected http://");
    if (!bytes_starts_with(text, BYTES("http://")))
        return err_set(info, ERR_MALFORMED, "url: expected http://HOST[:PORT]");
    struct bytes rest = bytes_from(text, sizeof("http://") - 1);
    struct bytes authority = bytes_first(rest, bytes_find_byte(rest, '/'));
    struct bytes prefix = bytes_from(rest, authority.len);
    while (bytes_ends_with(prefix, BYTES("/")))
        prefix.len--;
    if (bytes_find_byte(prefix, '?') != prefix.len || bytes_find_byte(prefix, '#') != prefix.len ||
        bytes_find_byte(prefix, ' ') != prefix.len)
        return err_set(info, ERR_MALFORMED, "url: expected no query, fragment or blank");
    if (!parse_authority(authority, &url) || !copy_text(url.prefix, sizeof(url.prefix), prefix))
        return err_set(info, ERR_MALFORMED, "url: expected http://HOST[:PORT], got \"%.*s\"",
                       (int)bytes_first(text, 120).len, (const char *)text.data);
    *ret = url;
    return ERR_OK;
}

void http_put_encoded(struct buffer *out, struct bytes text)
{
    static const char plain[] = "-._~";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool keep = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    (c != 0 && strchr(plain, c) != NULL);
        if (keep)
            buffer_put_u8(out, c);
        else
            buffer_printf(out, "%%%02X", (unsigned)c);
    }
}

/* ---- answers ---- */

void http_client_answer_init(struct http_client_answer *a, size_t body_max)
{
    *a = (struct http_client_answer){0};
    buffer_init(&a->head, CLIENT_HEAD_MAX, NULL);
    buffer_init(&a->body, body_max, NULL);
}

void http_client_answer_close(struct http_client_answer *a)
{
    buffer_close(&a->head);
    buffer_close(&a->body);
}

struct bytes http_client_answer_field(const struct http_client_answer *a, const char *name)
{
    struct bytes wanted = bytes_of_text(name);
    for (size_t i = 0; i < a->field_count; i++) {
        struct bytes have = {a->head.data + a->fields[i].name_at, a->fields[i].name_len};
        if (bytes_equal(have, wanted))
            return (struct bytes){a->head.data + a->fields[i].value_at, a->fields[i].value_len};
    }
    return (struct bytes){0};
}

static void answer_reset(struct http_client_answer *a)
{
    a->status = 0;
    a->field_count = 0;
    buffer_clear(&a->head);
    buffer_clear(&a->body);
}

static int on_message_begin(llhttp_t *parser)
{
    struct http_client *c = parser->data;
    answer_reset(c->answer);
    c->in_value = true; /* the next name opens a field */
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct http_client *c = parser->data;
    struct http_client_answer *a = c->answer;
    if (c->in_value) {
        if (a->field_count == CLIENT_FIELD_COUNT_MAX) {
            c->failed = ERR_LIMIT;
            return -1;
        }
        a->fields[a->field_count].name_at = (uint32_t)a->head.len;
        a->fields[a->field_count].name_len = 0;
        a->fields[a->field_count].value_len = 0;
        a->field_count++;
        c->in_value = false;
    }
    for (size_t i = 0; i < len; i++) {
        bool upper = at[i] >= 'A' && at[i] <= 'Z';
        buffer_put_u8(&a->head, (uint8_t)(upper ? at[i] + ('a' - 'A') : at[i]));
    }
    a->fields[a->field_count - 1].name_len += (uint32_t)len;
    a->fields[a->field_count - 1].value_at = (uint32_t)a->head.len;
    c->failed = a->head.failed;
    return c->failed == ERR_OK ? 0 : -1;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct http_client *c = parser->data;
    struct http_client_answer *a = c->answer;
    c->in_value = true;
    if (a->field_count == 0)
        return -1; /* a value without a name */
    buffer_put(&a->head, bytes_of(at, len));
    a->fields[a->field_count - 1].value_len += (uint32_t)len;
    c->failed = a->head.failed;
    return c->failed == ERR_OK ? 0 : -1;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_client *c = parser->data;
    c->in_value = true;
    c->answer->status = parser->status_code;
    return c->head_only ? 1 : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct http_client *c = parser->data;
    struct http_client_answer *a = c->answer;
    if (c->request->on_body != NULL && a->status >= 200 && a->status < 300) {
        c->failed = c->request->on_body(c->request->self, bytes_of(at, len));
    } else {
        buffer_put(&a->body, bytes_of(at, len));
        c->failed = a->body.failed;
    }
    return c->failed == ERR_OK ? 0 : -1;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_client *c = parser->data;
    if (c->answer->status >= 100 && c->answer->status < 200)
        return 0; /* 100 Continue: the answer proper follows */
    c->complete = true;
    c->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED;
}

/* ---- the connection ---- */

static void client_disconnect(struct http_client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    c->reused = false;
}

static enum err fail_io(const struct http_client *c, struct errinfo *info, const char *what)
{
    return err_set(info, ERR_IO, "http://%s:%s: %s", c->url.host, c->url.port, what);
}

/* Wait for `events`; *ret_events is what is there. */
static enum err client_wait(struct http_client *c, short events, short *ret_events,
                            struct errinfo *info)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    int rc;
    do
        rc = poll(&p, 1, c->timeout_ms);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return fail_io(c, info, "poll failed");
    if (rc == 0)
        return fail_io(c, info, "no progress within the timeout");
    *ret_events = p.revents;
    return ERR_OK;
}

/* One address: true when connected. */
static bool connect_one(struct http_client *c, const struct addrinfo *address, int *ret_errno)
{
    c->fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   address->ai_protocol);
    if (c->fd < 0) {
        *ret_errno = errno;
        return false;
    }
    int failure = 0;
    if (connect(c->fd, address->ai_addr, address->ai_addrlen) != 0) {
        failure = errno;
        short events;
        if (failure == EINPROGRESS) {
            socklen_t size = sizeof(failure);
            if (client_wait(c, POLLOUT, &events, NULL) != ERR_OK)
                failure = ETIMEDOUT;
            else if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
                failure = errno;
        }
    }
    if (failure == 0)
        return true;
    *ret_errno = failure;
    client_disconnect(c);
    return false;
}

static enum err client_connect(struct http_client *c, struct errinfo *info)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(c->url.host, c->url.port, &hints, &list);
    if (rc != 0)
        return fail_io(c, info, gai_strerror(rc));
    int failure = ENOENT;
    bool connected = false;
    for (struct addrinfo *a = list; a != NULL && !connected; a = a->ai_next)
        connected = connect_one(c, a, &failure);
    freeaddrinfo(list);
    if (!connected) {
        char text[128];
        return fail_io(c, info, strerror_r(failure, text, sizeof(text)));
    }
    return ERR_OK;
}

/* ---- one exchange ---- */

static bool has_field(const struct http_client_request *q, struct bytes name)
{
    for (size_t i = 0; i < q->field_count; i++)
        if (bytes_equal_nocase(q->fields[i].name, name))
            return true;
    return false;
}

static void put_chunked(struct buffer *out, struct bytes body)
{
    while (body.len > 0) {
        struct bytes piece = bytes_first(body, CHUNK_SIZE);
        buffer_printf(out, "%zx\r\n", piece.len);
        buffer_put(out, piece);
        buffer_put(out, BYTES("\r\n"));
        body = bytes_from(body, piece.len);
    }
    buffer_put(out, BYTES("0\r\n\r\n"));
}

/* Everything but a body that has a length goes into c->out. */
static enum err build_request(struct http_client *c, const struct http_client_request *q,
                              struct errinfo *info)
{
    struct buffer *out = &c->out;
    buffer_clear(out);
    buffer_put(out, bytes_of_text(q->method == NULL ? "GET" : q->method));
    buffer_put(out, BYTES(" "));
    buffer_put(out, bytes_of_text(c->url.prefix));
    buffer_put(out, q->target);
    buffer_put(out, BYTES(" HTTP/1.1\r\n"));
    if (!has_field(q, BYTES("host"))) {
        bool v6 = strchr(c->url.host, ':') != NULL;
        buffer_printf(out, v6 ? "Host: [%s]:%s\r\n" : "Host: %s:%s\r\n", c->url.host, c->url.port);
    }
    for (size_t i = 0; i < q->field_count; i++) {
        buffer_put(out, q->fields[i].name);
        buffer_put(out, BYTES(": "));
        buffer_put(out, q->fields[i].value);
        buffer_put(out, BYTES("\r\n"));
    }
    if (q->chunked)
        buffer_put(out, BYTES("Transfer-Encoding: chunked\r\n"));
    else if (q->body.data != NULL && !has_field(q, BYTES("content-length")))
        buffer_printf(out, "Content-Length: %zu\r\n", q->body.len);
    buffer_put(out, BYTES("\r\n"));
    if (q->chunked)
        put_chunked(out, q->body);
    if (out->failed != ERR_OK)
        return err_set(info, out->failed, "http: the request does not fit in memory");
    return ERR_OK;
}

/* What parsing stopped for, in words. */
static enum err parse_failure(struct http_client *c, struct errinfo *info)
{
    if (c->failed == ERR_LIMIT)
        return err_set(info, ERR_LIMIT, "http://%s:%s: the answer is over its limit of %zu bytes",
                       c->url.host, c->url.port, c->answer->body.max);
    if (c->failed != ERR_OK)
        return err_set(info, c->failed, "http://%s:%s: the answer cannot be kept: %s", c->url.host,
                       c->url.port, err_text(c->failed));
    return err_set(info, ERR_MALFORMED, "http://%s:%s: not an HTTP answer: %s", c->url.host,
                   c->url.port, llhttp_get_error_reason(&c->parser));
}

/* Read what is there and parse it. */
static enum err client_read(struct http_client *c, struct errinfo *info)
{
    ssize_t got = recv(c->fd, c->in, sizeof(c->in), 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR
                   ? ERR_OK
                   : fail_io(c, info, "connection lost while reading");
    if (got == 0) {
        (void)llhttp_finish(&c->parser); /* an answer may end with the connection */
        if (c->complete)
            return ERR_OK;
        if (c->failed != ERR_OK)
            return parse_failure(c, info);
        return fail_io(c, info, "closed before the answer was complete");
    }
    c->heard = true;
    llhttp_errno_t rc = llhttp_execute(&c->parser, (const char *)c->in, (size_t)got);
    if (rc != HPE_OK && !(rc == HPE_PAUSED && c->complete))
        return parse_failure(c, info);
    return ERR_OK;
}

/* Send what the socket takes; *head and *body shrink. */
static enum err client_write(struct http_client *c, struct bytes *head, struct bytes *body,
                             struct errinfo *info)
{
    union { /* iovec has no const, the kernel only reads */
        const uint8_t *read;
        void *base;
    } first = {.read = head->data}, second = {.read = body->data};
    struct iovec parts[2] = {{first.base, head->len}, {second.base, body->len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR
                   ? ERR_OK
                   : fail_io(c, info, "connection lost while sending");
    size_t of_head = (size_t)sent < head->len ? (size_t)sent : head->len;
    *head = bytes_from(*head, of_head);
    *body = bytes_from(*body, (size_t)sent - of_head);
    return ERR_OK;
}

/* After a failed send the answer that explains it may still be readable. */
static enum err client_read_last_words(struct http_client *c, enum err sent)
{
    short events;
    while (!c->complete) {
        if (client_wait(c, POLLIN, &events, NULL) != ERR_OK || client_read(c, NULL) != ERR_OK)
            return sent;
    }
    c->keep_alive = false;
    return ERR_OK;
}

static enum err client_exchange(struct http_client *c, struct errinfo *info)
{
    struct bytes head = buffer_bytes(&c->out);
    struct bytes body = c->request->chunked ? (struct bytes){0} : c->request->body;
    while (!c->complete) {
        bool sending = head.len + body.len > 0;
        short events = 0;
        TRY(client_wait(c, sending ? POLLIN | POLLOUT : POLLIN, &events, info));
        if (sending && (events & POLLOUT) != 0) {
            enum err rc = client_write(c, &head, &body, info);
            if (rc != ERR_OK)
                return client_read_last_words(c, rc);
        }
        if ((events & (POLLIN | POLLHUP | POLLERR)) != 0)
            TRY(client_read(c, info));
    }
    if (head.len + body.len > 0)
        c->keep_alive = false; /* answered early: the rest was never sent */
    return ERR_OK;
}

static void client_begin(struct http_client *c, const struct http_client_request *request,
                         struct http_client_answer *answer)
{
    llhttp_init(&c->parser, HTTP_RESPONSE, &c->settings);
    c->parser.data = c;
    c->request = request;
    c->answer = answer;
    c->head_only = request->method != NULL && strcmp(request->method, "HEAD") == 0;
    c->complete = false;
    c->keep_alive = false;
    c->heard = false;
    c->failed = ERR_OK;
    answer_reset(answer);
}

enum err http_client_send(struct http_client *c, const struct http_client_request *request,
                          struct http_client_answer *ret, struct errinfo *info)
{
    TRY(build_request(c, request, info));
    for (;;) {
        bool reused = c->fd >= 0 && c->reused;
        if (c->fd < 0)
            TRY(client_connect(c, info));
        client_begin(c, request, ret);
        enum err rc = client_exchange(c, info);
        if (rc != ERR_OK || !c->keep_alive)
            client_disconnect(c);
        else
            c->reused = true;
        if (rc == ERR_IO && reused && !c->heard)
            continue; /* the server had closed the idle connection: once more, on a new one */
        return rc;
    }
}

enum err http_client_create(const struct http_url *url, int timeout_ms, struct http_client **ret,
                            struct errinfo *info)
{
    struct http_client *c = mem_zalloc(sizeof(*c));
    if (c == NULL)
        return err_set(info, ERR_NOMEM, "http: no memory for a client");
    c->url = *url;
    c->timeout_ms = timeout_ms == 0 ? CLIENT_TIMEOUT_MS : timeout_ms;
    c->fd = -1;
    buffer_init(&c->out, SIZE_MAX, NULL);
    llhttp_settings_init(&c->settings);
    c->settings.on_message_begin = on_message_begin;
    c->settings.on_header_field = on_header_field;
    c->settings.on_header_value = on_header_value;
    c->settings.on_headers_complete = on_headers_complete;
    c->settings.on_body = on_body;
    c->settings.on_message_complete = on_message_complete;
    *ret = c;
    return ERR_OK;
}

void http_client_destroy(struct http_client *c)
{
    if (c == NULL)
        return;
    client_disconnect(c);
    buffer_close(&c->out);
    mem_free(c);
}
