#include <inttypes.h>

#include "api/app.h"
#include "api/handlers.h"

/* Snuba's answer; vroom's callers look at the status alone. */
void handle_health(struct handler_context *c, const struct http_request *q, struct http_response *r)
{
    (void)c;
    (void)q;
    r->content_type = "application/json";
    buffer_put(&r->body, BYTES("{\"status\": \"ok\"}"));
}

/* The process is alive: its loops turn. */
void handle_healthz(struct handler_context *c, const struct http_request *q,
                    struct http_response *r)
{
    (void)c;
    (void)q;
    r->content_type = "text/plain; charset=utf-8";
    buffer_put(&r->body, BYTES("ok\n"));
}

/* The store is open and its logs are read: that happens before the first loop turns. */
void handle_readyz(struct handler_context *c, const struct http_request *q, struct http_response *r)
{
    struct store_stats stats;
    handle_healthz(c, q, r);
    store_get_stats(c->app->store, &stats);
    if (stats.segments_aside > 0)
        buffer_printf(&r->body, "segments set aside as damaged: %" PRIu64 "\n",
                      stats.segments_aside);
}
