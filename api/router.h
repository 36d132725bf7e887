/* router.h - (method, path) to who answers.
 *
 * A pattern is segments; "{x}" matches one and is handed over decoded, a final "*" matches the
 * rest of the path. Families differ in methods, slashes and error texts; each keeps those of its
 * specification.
 */
#ifndef HEARTH_API_ROUTER_H
#define HEARTH_API_ROUTER_H

#include "api/handler.h"

enum route_family {
    FAMILY_OWN,   /* problem+json; HEAD wherever GET */
    FAMILY_VROOM, /* Go's texts and empty bodies; HEAD is a wrong method */
    FAMILY_SNUBA, /* Snuba's JSON */
    FAMILY_INGEST /* Relay's JSON, CORS on every answer, double slashes folded */
};

enum route_method {
    ROUTE_GET = 1,
    ROUTE_HEAD = 2,
    ROUTE_POST = 4,
};

struct upload_ops; /* api/upload.h */

struct route {
    const char *name;    /* label in metrics */
    const char *pattern; /* "/api/v1/projects/{project}/chunks" */
    unsigned methods;    /* enum route_method */
    enum route_family family;
    handler_fn handler;
    const struct upload_ops *upload; /* instead of handler: takes the body as it comes */
    size_t body_max;                 /* decoded; 0: the route takes no body */
    bool on_loop;                    /* the handler neither blocks nor computes */
    bool vital;                      /* answers also when the memory budget is used up */
};

enum route_match {
    ROUTE_FOUND,
    ROUTE_NO_PATH,
    ROUTE_NO_METHOD,
    ROUTE_OPTIONS, /* answered by the server */
    ROUTE_REDIRECT /* vroom: one slash too many */
};

struct router {
    const struct route *routes;
    size_t count;
};

/* Fills q->path_param; *ret_route is the route, for NO_METHOD, OPTIONS and REDIRECT one with that
 * path, and for NO_PATH NULL. */
enum route_match router_find(const struct router *r, struct arena *arena, struct http_request *q,
                             const struct route **ret_route);
/* Family whose error texts a path without route has. */
enum route_family router_family_of(struct bytes raw_path);
/* Value of Allow for that route. */
const char *router_allow(const struct route *route);

#endif
