/* handlers.h - the handlers of all routes, by the file that has them.
 *
 * Which path and method leads to which handler is said in one place, api/routes.c; what families
 * of routes differ in, in api/router.h. Uploads have no handler: api/ingest_handler.h.
 *
 * Threads: a pool thread, or the loop for routes marked `on_loop`; see api/handler.h.
 */
#ifndef HEARTH_API_HANDLERS_H
#define HEARTH_API_HANDLERS_H

#include "api/handler.h"

/* own_handler.c: /api/v1/... */
void handle_projects(struct handler_context *c, const struct http_request *q,
                     struct http_response *r);
void handle_profilers(struct handler_context *c, const struct http_request *q,
                      struct http_response *r);
void handle_chunks(struct handler_context *c, const struct http_request *q,
                   struct http_response *r);
void handle_flamegraph(struct handler_context *c, const struct http_request *q,
                       struct http_response *r);
void handle_flamechart(struct handler_context *c, const struct http_request *q,
                       struct http_response *r);
void handle_usage(struct handler_context *c, const struct http_request *q, struct http_response *r);
void handle_functions(struct handler_context *c, const struct http_request *q,
                      struct http_response *r);
void handle_transactions(struct handler_context *c, const struct http_request *q,
                         struct http_response *r);
void handle_profile(struct handler_context *c, const struct http_request *q,
                    struct http_response *r);
void handle_openapi(struct handler_context *c, const struct http_request *q,
                    struct http_response *r);

/* vroom_handler.c: /organizations/... */
void handle_raw_chunk(struct handler_context *c, const struct http_request *q,
                      struct http_response *r);
void handle_raw_profile(struct handler_context *c, const struct http_request *q,
                        struct http_response *r);

/* query_handler.c: /{dataset}/snql, /query */
void handle_dataset_query(struct handler_context *c, const struct http_request *q,
                          struct http_response *r);
void handle_query(struct handler_context *c, const struct http_request *q, struct http_response *r);
void handle_health_envoy(struct handler_context *c, const struct http_request *q,
                         struct http_response *r);

/* health_handler.c */
void handle_health(struct handler_context *c, const struct http_request *q,
                   struct http_response *r);
void handle_healthz(struct handler_context *c, const struct http_request *q,
                    struct http_response *r);
void handle_readyz(struct handler_context *c, const struct http_request *q,
                   struct http_response *r);

/* metrics_handler.c */
void handle_metrics(struct handler_context *c, const struct http_request *q,
                    struct http_response *r);

/* web_handler.c: / and the assets below it */
void handle_web(struct handler_context *c, const struct http_request *q, struct http_response *r);

#endif
