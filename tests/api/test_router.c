#include <criterion/criterion.h>

#include "api/router.h"
#include "base/limits.h"

static void nothing(struct handler_context *c, const struct http_request *q,
                    struct http_response *r)
{
    (void)c;
    (void)q;
    (void)r;
}

static const struct route routes[] = {
    {.name = "root", .pattern = "/", .methods = ROUTE_GET, .handler = nothing},
    {.name = "things", .pattern = "/v1/things", .methods = ROUTE_GET, .handler = nothing},
    {.name = "thing", .pattern = "/v1/things/{id}", .methods = ROUTE_GET, .handler = nothing},
    {.name = "put", .pattern = "/v1/things/{id}", .methods = ROUTE_POST, .handler = nothing},
    {.name = "part",
     .pattern = "/v1/things/{id}/parts/{part}",
     .methods = ROUTE_GET,
     .handler = nothing},
    {.name = "envelope",
     .pattern = "/api/{project}/envelope",
     .methods = ROUTE_POST,
     .family = FAMILY_INGEST,
     .handler = nothing},
    {.name = "raw",
     .pattern = "/organizations/{o}/raw/{id}",
     .methods = ROUTE_GET,
     .family = FAMILY_VROOM,
     .handler = nothing},
    {.name = "merge",
     .pattern = "/organizations/{o}/merge",
     .methods = ROUTE_POST,
     .family = FAMILY_VROOM,
     .handler = nothing},
    {.name = "assets", .pattern = "/assets/*", .methods = ROUTE_GET, .handler = nothing},
};

static const struct router router = {routes, sizeof(routes) / sizeof(routes[0])};

struct route_case {
    enum http_method method;
    const char *path;
    enum route_match match;
    const char *name; /* NULL: none */
    const char *params[2];
    const char *allow;
};

#define GET     HTTP_METHOD_GET
#define HEAD    HTTP_METHOD_HEAD
#define POST    HTTP_METHOD_POST
#define OPTIONS HTTP_METHOD_OPTIONS
#define OTHER   HTTP_METHOD_OTHER

static const struct route_case cases[] = {
    {GET, "/", ROUTE_FOUND, "root", {NULL}, "GET, HEAD, OPTIONS"},
    {GET, "/v1/things", ROUTE_FOUND, "things", {NULL}, NULL},
    {GET, "/v1/things/", ROUTE_FOUND, "thing", {""}, NULL},
    {GET, "/v1//things", ROUTE_NO_PATH, NULL, {NULL}, NULL},
    {GET, "/v1/things/a%2Fb", ROUTE_FOUND, "thing", {"a/b"}, NULL},
    {POST, "/v1/things/7", ROUTE_FOUND, "put", {"7"}, "POST, OPTIONS"},
    {HEAD, "/v1/things/7", ROUTE_FOUND, "thing", {"7"}, NULL},
    {OTHER, "/v1/things/7", ROUTE_NO_METHOD, "thing", {"7"}, NULL},
    {OPTIONS, "/v1/things/7", ROUTE_OPTIONS, "thing", {"7"}, NULL},
    {GET, "/v1/things/7/parts/8", ROUTE_FOUND, "part", {"7", "8"}, NULL},
    {GET, "/v1/things/7/parts/8/", ROUTE_NO_PATH, NULL, {NULL}, NULL},
    {GET, "/v1/th%69ngs", ROUTE_FOUND, "things", {NULL}, NULL},
    {GET, "/nothing", ROUTE_NO_PATH, NULL, {NULL}, NULL},
    {GET, "", ROUTE_NO_PATH, NULL, {NULL}, NULL},
    {GET, "*", ROUTE_NO_PATH, NULL, {NULL}, NULL},
    {POST, "/api/42/envelope/", ROUTE_FOUND, "envelope", {"42"}, "POST, OPTIONS"},
    {POST, "/api/42/envelope", ROUTE_FOUND, "envelope", {"42"}, NULL},
    {POST, "//api//42///envelope//", ROUTE_FOUND, "envelope", {"42"}, NULL},
    {GET, "/api/42/envelope/", ROUTE_NO_METHOD, "envelope", {"42"}, "POST, OPTIONS"},
    {OTHER, "//api/42/envelope/", ROUTE_NO_METHOD, "envelope", {"42"}, NULL},
    {OPTIONS, "/api/42/envelope/", ROUTE_OPTIONS, "envelope", {"42"}, NULL},
    {GET, "/organizations/1/raw/2", ROUTE_FOUND, "raw", {"1", "2"}, "GET, OPTIONS"},
    {HEAD, "/organizations/1/raw/2", ROUTE_NO_METHOD, "raw", {"1", "2"}, NULL},
    {GET, "/organizations/1/raw/2/", ROUTE_REDIRECT, "raw", {"1", "2"}, NULL},
    {POST, "/organizations/1/merge/", ROUTE_REDIRECT, "merge", {"1"}, "OPTIONS, POST"},
    {GET, "/organizations/1/raw/2//", ROUTE_NO_PATH, NULL, {NULL}, NULL},
    {GET, "/assets/x/y.js", ROUTE_FOUND, "assets", {NULL}, NULL},
    {GET, "/assets", ROUTE_NO_PATH, NULL, {NULL}, NULL},
    {GET, "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s", ROUTE_NO_PATH, NULL, {NULL}, NULL},
};

Test(router, finds_by_path_and_method_with_each_familys_manners)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct route_case *c = &cases[i];
        struct arena arena;
        arena_init(&arena, KIB(16), NULL);
        struct http_request q = {.method = c->method, .raw_path = bytes_of_text(c->path)};
        const struct route *route = NULL;
        cr_expect_eq(router_find(&router, &arena, &q, &route), c->match, "%s", c->path);
        cr_assert_eq(route == NULL, c->name == NULL, "%s", c->path);
        if (route != NULL)
            cr_expect_str_eq(route->name, c->name, "%s", c->path);
        for (int k = 0; k < 2 && c->params[k] != NULL; k++)
            cr_expect(bytes_equal(q.path_param[k], bytes_of_text(c->params[k])), "%s: parameter %d",
                      c->path, k);
        if (c->allow != NULL)
            cr_expect_str_eq(router_allow(route), c->allow, "%s", c->path);
        arena_close(&arena);
    }
    cr_expect_eq(router_family_of(BYTES("/organizations/1/x")), FAMILY_VROOM);
    cr_expect_eq(router_family_of(BYTES("/organizationsx")), FAMILY_OWN);
}
