/* web_handler.c - the page: / and /assets/..., out of the program itself.
 *
 * The names of the files do not change with their content, so a browser asks again each time and
 * mostly hears 304. Scripts, styles and requests may only come from this server.
 */
#include "api/handlers.h"
#include "api/web_assets.h"

static const struct http_field common_headers[] = {
    {BYTES("Cache-Control"), BYTES("no-cache")},
    {BYTES("Vary"), BYTES("Accept-Encoding")},
    {BYTES("Content-Security-Policy"),
     BYTES("default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
           "frame-ancestors 'none'")},
    {BYTES("X-Content-Type-Options"), BYTES("nosniff")},
    {BYTES("Referrer-Policy"), BYTES("no-referrer")},
};

static const struct web_asset *find_asset(struct bytes path)
{
    for (size_t i = 0; i < web_asset_count; i++)
        if (bytes_equal(path, bytes_of_text(web_assets[i].path)))
            return &web_assets[i];
    return NULL;
}

/* The next element of a comma-separated list, trimmed; `list` moves on. */
static struct bytes list_next(struct bytes *list)
{
    struct bytes element = bytes_first(*list, bytes_find_byte(*list, ','));
    *list = bytes_from(*list, element.len + 1);
    return bytes_trim(element);
}

/* "0", "0.0", "0.000": the coding is refused. */
static bool quality_is_zero(struct bytes parameters)
{
    struct bytes p = bytes_trim(parameters);
    if (p.len < 3 || (p.data[0] != 'q' && p.data[0] != 'Q') || p.data[1] != '=')
        return false;
    for (size_t i = 2; i < p.len; i++)
        if (p.data[i] != '0' && p.data[i] != '.')
            return false;
    return true;
}

/* gzip itself decides; "*" only when gzip is not named. */
static bool accepts_gzip(struct bytes accept)
{
    bool any = false;
    while (accept.len > 0) {
        struct bytes element = list_next(&accept);
        struct bytes coding = bytes_trim(bytes_first(element, bytes_find_byte(element, ';')));
        bool wanted = !quality_is_zero(bytes_from(element, bytes_find_byte(element, ';') + 1));
        if (bytes_equal_nocase(coding, BYTES("gzip")) ||
            bytes_equal_nocase(coding, BYTES("x-gzip")))
            return wanted;
        if (bytes_equal(coding, BYTES("*")))
            any = wanted;
    }
    return any;
}

/* If-None-Match compares weakly: W/ before a tag does not matter. */
static bool etag_matches(struct bytes list, struct bytes etag)
{
    while (list.len > 0) {
        struct bytes element = list_next(&list);
        if (bytes_starts_with(element, BYTES("W/")))
            element = bytes_from(element, 2);
        if (bytes_equal(element, etag) || bytes_equal(element, BYTES("*")))
            return true;
    }
    return false;
}

void handle_web(struct handler_context *c, const struct http_request *q, struct http_response *r)
{
    (void)c;
    const struct web_asset *asset = find_asset(q->path);
    if (asset == NULL) {
        http_problem(r, 404, "not_found", "the page has no such file");
        return;
    }
    for (size_t i = 0; i < sizeof(common_headers) / sizeof(common_headers[0]); i++)
        http_response_header(r, common_headers[i].name, common_headers[i].value);
    bool gzip = accepts_gzip(http_request_header(q, "accept-encoding"));
    struct bytes etag = bytes_of_text(gzip ? asset->etag_gzip : asset->etag);
    http_response_header(r, BYTES("ETag"), etag);
    if (etag_matches(http_request_header(q, "if-none-match"), etag)) {
        r->status = 304;
        return;
    }
    const uint8_t *from = gzip ? asset->gzip : asset->plain;
    const uint8_t *end = gzip ? asset->gzip_end : asset->plain_end;
    r->status = 200;
    r->content_type = asset->type;
    if (gzip)
        http_response_header(r, BYTES("Content-Encoding"), BYTES("gzip"));
    buffer_put(&r->body, bytes_of(from, (size_t)(end - from)));
}
