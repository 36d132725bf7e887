/* The embedded page: what is served equals web/, in the form the browser asked for. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <zlib.h>

#include "api/handlers.h"
#include "api/http_response.h"
#include "api/web_assets.h"
#include "tests/support/file.h"

struct answer {
    struct http_response response;
    struct arena arena;
};

static void get(struct answer *a, const char *path, const char *accept, const char *if_none_match)
{
    struct http_field headers[2];
    struct http_request q = {
        .method = HTTP_METHOD_GET, .path = bytes_of_text(path), .headers = headers};
    if (accept != NULL)
        headers[q.header_count++] =
            (struct http_field){BYTES("accept-encoding"), bytes_of_text(accept)};
    if (if_none_match != NULL)
        headers[q.header_count++] =
            (struct http_field){BYTES("if-none-match"), bytes_of_text(if_none_match)};
    struct handler_context context = {.arena = &a->arena};
    arena_init(&a->arena, (size_t)1 << 20, NULL);
    http_response_init(&a->response, NULL);
    handle_web(&context, &q, &a->response);
}

static void end(struct answer *a)
{
    http_response_close(&a->response);
    arena_close(&a->arena);
}

static struct bytes header(const struct answer *a, const char *name)
{
    return http_response_find(&a->response, name);
}

static struct bytes gunzip(struct bytes coded, uint8_t *to, size_t size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)coded.data,
                  .avail_in = (uInt)coded.len,
                  .next_out = to,
                  .avail_out = (uInt)size};
    cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
    cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    size_t made = z.total_out;
    inflateEnd(&z);
    return bytes_of(to, made);
}

Test(web_handler, serves_every_file_of_the_page_in_both_forms)
{
    static uint8_t text[(size_t)1 << 20];
    static const char *const expected[][2] = {{"/", "index.html"},
                                              {"/assets/app.js", "app.js"},
                                              {"/assets/flame.js", "flame.js"},
                                              {"/assets/style.css", "style.css"},
                                              {"/assets/icon.svg", "icon.svg"}};
    cr_assert_eq(web_asset_count, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < web_asset_count; i++) {
        char path[512];
        struct bytes file;
        struct answer plain, coded;
        snprintf(path, sizeof(path), "%s/web/%s", HEARTH_SOURCE_DIR, expected[i][1]);
        cr_assert(file_read(path, &file), "%s", path);
        get(&plain, expected[i][0], NULL, NULL);
        get(&coded, expected[i][0], "gzip, deflate, br, zstd", NULL);
        cr_assert_eq(plain.response.status, 200);
        cr_assert_eq(coded.response.status, 200);
        cr_assert(bytes_equal(buffer_bytes(&plain.response.body), file), "%s", path);
        cr_assert(bytes_equal(gunzip(buffer_bytes(&coded.response.body), text, sizeof(text)), file),
                  "%s", path);
        cr_assert_null(header(&plain, "Content-Encoding").data);
        cr_assert(bytes_equal(header(&coded, "Content-Encoding"), BYTES("gzip")));
        cr_assert(!bytes_equal(header(&plain, "ETag"), header(&coded, "ETag")),
                  "two forms of other bytes have one tag");
        cr_assert(bytes_equal(header(&plain, "Vary"), BYTES("Accept-Encoding")));
        cr_assert(bytes_equal(header(&plain, "X-Content-Type-Options"), BYTES("nosniff")));
        cr_assert(bytes_starts_with(header(&plain, "Content-Security-Policy"),
                                    BYTES("default-src 'self'")));
        end(&plain);
        end(&coded);
        file_free(&file);
    }
}

Test(web_handler, says_not_modified_only_for_the_form_it_would_send)
{
    char plain_tag[80], coded_tag[80], list[200];
    struct answer a;
    get(&a, "/", NULL, NULL);
    snprintf(plain_tag, sizeof(plain_tag), "%.*s", (int)header(&a, "ETag").len,
             (const char *)header(&a, "ETag").data);
    end(&a);
    get(&a, "/", "gzip", NULL);
    snprintf(coded_tag, sizeof(coded_tag), "%.*s", (int)header(&a, "ETag").len,
             (const char *)header(&a, "ETag").data);
    end(&a);
    snprintf(list, sizeof(list), "\"other\", W/%s", plain_tag);

    const struct {
        const char *accept, *tags;
        int status;
    } cases[] = {
        {NULL, plain_tag, 304},   {NULL, list, 304},        {NULL, "*", 304},
        {NULL, "\"x\"", 200},     {NULL, coded_tag, 200},   {NULL, "", 200},
        {"gzip", coded_tag, 304}, {"gzip", plain_tag, 200},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        get(&a, "/", cases[i].accept, cases[i].tags);
        cr_assert_eq(a.response.status, cases[i].status, "case %zu", i);
        cr_assert_eq(a.response.body.len == 0, cases[i].status == 304, "case %zu", i);
        cr_assert_not_null(header(&a, "ETag").data);
        end(&a);
    }
}

Test(web_handler, compresses_for_those_who_take_it_and_knows_no_other_path)
{
    static const struct {
        const char *accept;
        bool gzip;
    } accepts[] = {
        {"gzip", true},   {"GZIP", true},      {"br, gzip;q=0.5", true},
        {"*", true},      {"x-gzip", true},    {"", false},
        {"br", false},    {"gzip;q=0", false}, {"gzip; q=0.000, *", false},
        {"*;q=0", false}, {"identity", false}, {"*, gzip;q=0", false},
    };
    static const char *const unknown[] = {"/assets/", "/assets/app.js.gz", "/index.html",
                                          "/assets/../assets/app.js", ""};
    struct answer a;
    for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
        get(&a, "/assets/app.js", accepts[i].accept, NULL);
        cr_assert_eq(header(&a, "Content-Encoding").data != NULL, accepts[i].gzip, "\"%s\"",
                     accepts[i].accept);
        end(&a);
    }
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        get(&a, unknown[i], NULL, NULL);
        cr_assert_eq(a.response.status, 404, "%s", unknown[i]);
        end(&a);
    }
}
