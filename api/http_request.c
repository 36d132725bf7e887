#include "api/http_request.h"

#include <assert.h>

#include "base/limits.h"

/* llhttp calls back while http_parser_step runs; a callback only notes what it was given. */
static struct http_parser *parser_of(llhttp_t *machine)
{
    return machine->data;
}

static int refuse(struct http_parser *p, int status, const char *reason, const char *why)
{
    if (p->refusal == 0) {
        p->refusal = status;
        p->reason = reason;
        p->why = why;
    }
    return HPE_USER;
}

static int put_text(struct http_parser *p, struct http_span *span, const char *at, size_t len)
{
    buffer_put(&p->head, bytes_of(at, len));
    if (p->head.failed != ERR_OK)
        return refuse(p, 503, "no_room_at_the_moment", "no memory for the request's headers");
    span->len += (uint32_t)len;
    return 0;
}

static int on_begin(llhttp_t *machine)
{
    parser_of(machine)->began = true;
    return 0;
}

static int on_url(llhttp_t *machine, const char *at, size_t len)
{
    struct http_parser *p = parser_of(machine);
    if (len > TARGET_SIZE_MAX - p->target.len)
        return refuse(p, 414, "target_too_long", "the request target is limited to 16384 bytes");
    return put_text(p, &p->target, at, len);
}

static int header_room(struct http_parser *p, size_t len)
{
    if (len > HEADER_SIZE_MAX - (p->head.len - p->target.len))
        return refuse(p, 431, "headers_too_large", "headers are limited to 32768 bytes in all");
    return 0;
}

static int on_header_field(llhttp_t *machine, const char *at, size_t len)
{
    struct http_parser *p = parser_of(machine);
    if (p->stopped_at_headers)
        return 0; /* trailers are read and dropped */
    if (p->span_count == 0 || p->in_value) {
        if (p->span_count == HEADER_COUNT_MAX)
            return refuse(p, 431, "too_many_headers", "a request may have 100 headers");
        struct http_span here = {(uint32_t)p->head.len, 0};
        p->spans[p->span_count][0] = here;
        p->spans[p->span_count][1] = here;
        p->span_count++;
        p->in_value = false;
    }
    int rc = header_room(p, len);
    return rc != 0 ? rc : put_text(p, &p->spans[p->span_count - 1][0], at, len);
}

static int on_header_value(llhttp_t *machine, const char *at, size_t len)
{
    struct http_parser *p = parser_of(machine);
    if (p->stopped_at_headers)
        return 0;
    struct http_span *value = &p->spans[p->span_count - 1][1];
    if (!p->in_value)
        value->at = (uint32_t)p->head.len;
    p->in_value = true;
    int rc = header_room(p, len);
    return rc != 0 ? rc : put_text(p, value, at, len);
}

static int on_header_value_complete(llhttp_t *machine)
{
    struct http_parser *p = parser_of(machine);
    if (!p->stopped_at_headers)
        p->in_value = true; /* an empty value too ends its header */
    return 0;
}

static int on_headers_complete(llhttp_t *machine)
{
    struct http_parser *p = parser_of(machine);
    machine->upgrade = 0; /* offers of another protocol are ignored, as HTTP allows */
    p->stopped_at_headers = true;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *machine, const char *at, size_t len)
{
    struct http_parser *p = parser_of(machine);
    p->body_size += len;
    if (p->body != NULL)
        buffer_put(p->body, bytes_of(at, len));
    return 0;
}

static int on_message_complete(llhttp_t *machine)
{
    parser_of(machine)->stopped_at_end = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t parser_settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void http_parser_init(struct http_parser *p)
{
    *p = (struct http_parser){0};
    llhttp_init(&p->machine, HTTP_REQUEST, &parser_settings);
    p->machine.data = p;
}

void http_parser_close(struct http_parser *p)
{
    buffer_close(&p->head);
    p->head = (struct buffer){0}; /* its account goes with the request */
}

void http_parser_reset(struct http_parser *p, struct arena *arena, struct mem_account *account)
{
    llhttp_t machine = p->machine;
    http_parser_close(p);
    *p = (struct http_parser){.machine = machine, .arena = arena};
    buffer_init(&p->head, TARGET_SIZE_MAX + HEADER_SIZE_MAX, account);
    p->spans =
        arena_array(arena, HEADER_COUNT_MAX, sizeof(p->spans[0]), _Alignof(struct http_span));
    if (p->spans == NULL)
        (void)refuse(p, 503, "no_room_at_the_moment", "no memory for the request");
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_decode_percent(struct arena *arena, struct bytes text, bool plus, struct bytes *ret)
{
    bool plain = bytes_find_byte(text, '%') == text.len;
    if (plain && (!plus || bytes_find_byte(text, '+') == text.len)) {
        *ret = text;
        return true;
    }
    uint8_t *to = arena_take(arena, text.len, 1);
    if (to == NULL)
        return false;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            int high = text.len - i > 2 ? hex_value(text.data[i + 1]) : -1;
            int low = text.len - i > 2 ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        to[len++] = c;
    }
    *ret = (struct bytes){to, len};
    return true;
}

/* "a=1&b=&c": parameters in order; an empty piece between two '&' is none. */
static bool decode_params(struct http_parser *p, struct bytes query)
{
    size_t count = query.len == 0 ? 0 : 1;
    for (size_t i = 0; i < query.len; i++)
        count += query.data[i] == '&';
    if (count > PARAM_COUNT_MAX) {
        (void)refuse(p, 414, "too_many_parameters", "a query may have 512 parameters");
        return true;
    }
    struct http_field *params = ARENA_ARRAY(p->arena, count + 1, struct http_field);
    if (params == NULL)
        return false;
    size_t used = 0;
    while (query.len > 0) {
        size_t end = bytes_find_byte(query, '&');
        struct bytes piece = bytes_first(query, end);
        query = bytes_from(query, end + 1);
        if (piece.len == 0)
            continue;
        size_t equals = bytes_find_byte(piece, '=');
        if (!http_decode_percent(p->arena, bytes_first(piece, equals), true, &params[used].name) ||
            !http_decode_percent(p->arena, bytes_from(piece, equals + 1), true,
                                 &params[used].value))
            return false;
        used++;
    }
    p->request.params = params;
    p->request.param_count = used;
    return true;
}

/* "/path?query", also "http://host/path?query" and "*". */
static void split_target(struct http_parser *p)
{
    struct bytes rest = p->request.target;
    size_t scheme = bytes_starts_with(rest, BYTES("http://"))    ? 7
                    : bytes_starts_with(rest, BYTES("https://")) ? 8
                                                                 : 0;
    if (scheme > 0) {
        rest = bytes_from(rest, scheme);
        size_t slash = bytes_find_byte(rest, '/');
        rest = slash == rest.len ? BYTES("/") : bytes_from(rest, slash);
    }
    rest = bytes_first(rest, bytes_find_byte(rest, '#'));
    size_t mark = bytes_find_byte(rest, '?');
    p->request.query = bytes_from(rest, mark + 1);
    struct bytes path = bytes_first(rest, mark);
    p->request.raw_path = path;
    if (!http_decode_percent(p->arena, path, false, &p->request.path)) {
        (void)refuse(p, 400, "bad_target", "the path has a broken %-escape");
        return;
    }
    if (!decode_params(p, p->request.query))
        (void)refuse(p, 400, "bad_target", "the query has a broken %-escape");
}

static void fill_headers(struct http_parser *p)
{
    struct http_field *fields = ARENA_ARRAY(p->arena, p->span_count + 1, struct http_field);
    if (fields == NULL) {
        (void)refuse(p, 503, "no_room_at_the_moment", "no memory for the request's headers");
        return;
    }
    for (size_t i = 0; i < p->span_count; i++) {
        struct http_span span = p->spans[i][0];
        assert(p->head.data != NULL || span.len == 0);
        uint8_t *name = p->head.data + span.at;
        for (size_t k = 0; k < span.len; k++)
            if (name[k] >= 'A' && name[k] <= 'Z')
                name[k] |= 0x20;
        fields[i].name = bytes_of(name, span.len);
        fields[i].value =
            bytes_trim(bytes_of(p->head.data + p->spans[i][1].at, p->spans[i][1].len));
    }
    p->request.headers = fields;
    p->request.header_count = p->span_count;
}

static enum http_method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET: return HTTP_METHOD_GET;
    case HTTP_HEAD: return HTTP_METHOD_HEAD;
    case HTTP_POST: return HTTP_METHOD_POST;
    case HTTP_OPTIONS: return HTTP_METHOD_OPTIONS;
    default: return HTTP_METHOD_OTHER;
    }
}

/* Letters of a name, an address, a port; empty is what HTTP/1.1 sends for a target without one. */
static bool is_host(struct bytes host)
{
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.data[i];
        if (c <= ' ' || c == '/' || c == '\\' || c == '@' || c == ',' || c == '?' || c == '#')
            return false;
    }
    return true;
}

/* What llhttp leaves to the server: versions, Host, Expect. */
static void check_head(struct http_parser *p)
{
    if (p->machine.http_major != 1 || p->machine.http_minor > 1) {
        (void)refuse(p, 505, "version_not_supported", "this server speaks HTTP/1.1 and HTTP/1.0");
        return;
    }
    size_t hosts = 0;
    for (size_t i = 0; i < p->request.header_count; i++) {
        struct http_field f = p->request.headers[i];
        if (bytes_equal(f.name, BYTES("host"))) {
            hosts++;
            if (!is_host(f.value))
                (void)refuse(p, 400, "bad_host", "the Host header is no name with a port");
        }
        if (bytes_equal(f.name, BYTES("transfer-encoding")) &&
            !bytes_equal_nocase(f.value, BYTES("chunked")))
            (void)refuse(p, 501, "transfer_coding_not_supported",
                         "the only transfer coding understood is chunked");
        if (!bytes_equal(f.name, BYTES("expect")))
            continue;
        if (!bytes_equal_nocase(f.value, BYTES("100-continue")))
            (void)refuse(p, 417, "expectation_failed", "only Expect: 100-continue is understood");
        p->expects_continue = !p->version_1_0;
    }
    if (hosts > 1 || (hosts == 0 && !p->version_1_0))
        (void)refuse(p, 400, "bad_host", "a request needs exactly one Host header");
}

static void complete_head(struct http_parser *p)
{
    p->keep_alive = llhttp_should_keep_alive(&p->machine) != 0;
    p->version_1_0 = p->machine.http_major == 1 && p->machine.http_minor == 0;
    p->chunked = (p->machine.flags & F_CHUNKED) != 0;
    p->has_length = p->chunked || (p->machine.flags & F_CONTENT_LENGTH) != 0;
    p->content_length = p->chunked || !p->has_length ? 0 : p->machine.content_length;
    p->method_text = bytes_of_text(llhttp_method_name((llhttp_method_t)p->machine.method));
    p->request.method = method_of(p->machine.method);
    if (p->head.data != NULL) /* "CONNECT  " has nothing at all */
        p->request.target = bytes_of(p->head.data + p->target.at, p->target.len);
    fill_headers(p);
    if (p->request.headers != NULL)
        check_head(p);
    split_target(p);
}

static enum http_step bad(struct http_parser *p, llhttp_errno_t rc)
{
    bool ours = p->machine.http_major == 1 && p->machine.http_minor <= 1; /* "HTTP/1.1\n" */
    if (rc == HPE_INVALID_VERSION && !ours)
        (void)refuse(p, 505, "version_not_supported", "this server speaks HTTP/1.1 and HTTP/1.0");
    else
        (void)refuse(p, 400, "bad_request", llhttp_get_error_reason(&p->machine));
    return HTTP_BAD;
}

enum http_step http_parser_step(struct http_parser *p, struct bytes *input)
{
    if (p->spans == NULL)
        return HTTP_BAD;
    if (llhttp_get_errno(&p->machine) == HPE_PAUSED)
        llhttp_resume(&p->machine);
    const char *from = (const char *)input->data;
    llhttp_errno_t rc = llhttp_execute(&p->machine, from, input->len);
    if (rc == HPE_OK) {
        *input = bytes_from(*input, input->len);
        return HTTP_MORE;
    }
    if (rc != HPE_PAUSED)
        return bad(p, rc);
    *input = bytes_from(*input, (size_t)(llhttp_get_error_pos(&p->machine) - from));
    if (p->stopped_at_end)
        return HTTP_END;
    complete_head(p);
    return HTTP_HEADERS;
}

struct bytes http_request_param(const struct http_request *q, const char *name)
{
    struct bytes wanted = bytes_of_text(name);
    for (size_t i = 0; i < q->param_count; i++)
        if (bytes_equal(q->params[i].name, wanted))
            return q->params[i].value;
    return (struct bytes){0};
}

struct bytes http_request_header(const struct http_request *q, const char *name)
{
    struct bytes wanted = bytes_of_text(name);
    for (size_t i = 0; i < q->header_count; i++)
        if (bytes_equal(q->headers[i].name, wanted))
            return q->headers[i].value;
    return (struct bytes){0};
}
