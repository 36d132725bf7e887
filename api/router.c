#include "api/router.h"

#include "api/http_request.h"
#include "base/limits.h"

struct segments {
    struct bytes part[PATH_SEGMENT_COUNT_MAX];
    size_t count;
    bool overflow;
};

/* Segments of a raw path, decoded one by one so that %2F is never a border. A final slash gives a
 * final empty segment. */
static bool split_path(struct arena *arena, struct bytes raw, struct segments *ret)
{
    *ret = (struct segments){0};
    if (raw.len == 0 || raw.data[0] != '/')
        return false;
    struct bytes rest = bytes_from(raw, 1);
    for (;;) {
        size_t end = bytes_find_byte(rest, '/');
        if (ret->count == PATH_SEGMENT_COUNT_MAX)
            return false;
        if (!http_decode_percent(arena, bytes_first(rest, end), false, &ret->part[ret->count++]))
            return false;
        if (end == rest.len)
            return true;
        rest = bytes_from(rest, end + 1);
    }
}

/* "//api//42/envelope//" and "/api/42/envelope" are one for ingest: no empty segments. */
static struct segments fold_slashes(const struct segments *s)
{
    struct segments folded = {0};
    for (size_t i = 0; i < s->count; i++)
        if (s->part[i].len > 0)
            folded.part[folded.count++] = s->part[i];
    return folded;
}

static bool match_pattern(const char *pattern, const struct segments *s, struct bytes params[4])
{
    struct bytes rest = bytes_from(bytes_of_text(pattern), 1);
    size_t param_count = 0;
    for (size_t i = 0;; i++) {
        size_t end = bytes_find_byte(rest, '/');
        struct bytes want = bytes_first(rest, end);
        if (bytes_equal(want, BYTES("*")))
            return i < s->count;
        if (i == s->count)
            return false;
        if (want.len > 0 && want.data[0] == '{')
            params[param_count++] = s->part[i];
        else if (!bytes_equal(want, s->part[i]))
            return false;
        if (end == rest.len)
            return i + 1 == s->count;
        rest = bytes_from(rest, end + 1);
    }
}

static bool method_fits(const struct route *route, enum http_method method)
{
    switch (method) {
    case HTTP_METHOD_GET: return (route->methods & ROUTE_GET) != 0;
    case HTTP_METHOD_POST: return (route->methods & ROUTE_POST) != 0;
    case HTTP_METHOD_HEAD:
        return (route->methods & ROUTE_HEAD) != 0 ||
               ((route->methods & ROUTE_GET) != 0 && route->family == FAMILY_OWN);
    case HTTP_METHOD_OPTIONS:
    case HTTP_METHOD_OTHER: return false;
    }
    return false;
}

static const struct route *find_path(const struct router *r, const struct segments *plain,
                                     const struct segments *folded, struct http_request *q,
                                     bool *ret_method)
{
    const struct route *other = NULL;
    *ret_method = false;
    for (size_t i = 0; i < r->count; i++) {
        const struct route *route = &r->routes[i];
        struct bytes params[4] = {{0}};
        if (!match_pattern(route->pattern, route->family == FAMILY_INGEST ? folded : plain, params))
            continue;
        if (other == NULL || method_fits(route, q->method))
            memcpy(q->path_param, params, sizeof(params));
        if (method_fits(route, q->method)) {
            *ret_method = true;
            return route;
        }
        if (other == NULL)
            other = route;
    }
    return other;
}

enum route_match router_find(const struct router *r, struct arena *arena, struct http_request *q,
                             const struct route **ret_route)
{
    struct segments plain;
    *ret_route = NULL;
    if (!split_path(arena, q->raw_path, &plain))
        return ROUTE_NO_PATH;
    struct segments folded = fold_slashes(&plain);
    bool method = false;
    const struct route *route = find_path(r, &plain, &folded, q, &method);
    if (route == NULL && plain.count > 1 && plain.part[plain.count - 1].len == 0) {
        plain.count--;
        route = find_path(r, &plain, &folded, q, &method);
        if (route == NULL || route->family != FAMILY_VROOM)
            return ROUTE_NO_PATH;
        *ret_route = route;
        return ROUTE_REDIRECT;
    }
    if (route == NULL)
        return ROUTE_NO_PATH;
    *ret_route = route;
    if (method)
        return ROUTE_FOUND;
    return q->method == HTTP_METHOD_OPTIONS ? ROUTE_OPTIONS : ROUTE_NO_METHOD;
}

enum route_family router_family_of(struct bytes raw_path)
{
    if (bytes_starts_with(raw_path, BYTES("/organizations/")) ||
        bytes_equal(raw_path, BYTES("/organizations")))
        return FAMILY_VROOM;
    return FAMILY_OWN;
}

const char *router_allow(const struct route *route)
{
    bool get = (route->methods & ROUTE_GET) != 0;
    bool post = (route->methods & ROUTE_POST) != 0;
    switch (route->family) {
    case FAMILY_VROOM: return get ? "GET, OPTIONS" : "OPTIONS, POST";
    case FAMILY_INGEST: return "POST, OPTIONS";
    case FAMILY_SNUBA: return get ? "GET, HEAD, OPTIONS" : "OPTIONS, POST";
    case FAMILY_OWN: break;
    }
    if (get && post)
        return "GET, HEAD, POST, OPTIONS";
    return get ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
}
