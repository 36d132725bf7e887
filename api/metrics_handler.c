#include "api/app.h"
#include "api/handlers.h"
#include "api/metrics.h"

static void put_store(struct store *store, struct buffer *out)
{
    struct store_stats s;
    store_get_stats(store, &s);
    metrics_put_value(out, "store_rows", "gauge", "profiles visible to queries", s.rows);
    metrics_put_value(out, "store_logs", "gauge", "log files", s.log_count);
    metrics_put_value(out, "store_segments", "gauge", "segment files", s.segment_count);
    metrics_put_value(out, "store_segments_set_aside", "gauge",
                      "damaged segments that are not served", s.segments_aside);
    metrics_put_value(out, "store_log_bytes", "gauge", "bytes of logs", s.log_bytes);
    metrics_put_value(out, "store_segment_bytes", "gauge", "bytes of segments", s.segment_bytes);
    metrics_put_value(out, "store_disk_bytes", "gauge", "bytes of the data folder", s.disk_bytes);
    metrics_put_value(out, "store_index_bytes", "gauge", "memory of the index", s.index_bytes);
    metrics_put_value(out, "store_batches_total", "counter", "batches written since start",
                      s.batches);
    metrics_put_value(out, "store_syncs_total", "counter", "syncs since start", s.syncs);
    metrics_put_value(out, "store_duplicates_total", "counter", "records equal to what was there",
                      s.duplicates);
    metrics_put_value(out, "store_replaced", "gauge",
                      "rows and links that a later arrival replaced and that still take room",
                      s.replaced);
    metrics_put_value(out, "store_dropped_rows_total", "counter",
                      "rows removed since start: past their retention, or over the disk's ceiling",
                      s.dropped_rows);
    metrics_put_value(out, "store_dropped_bytes_total", "counter", "bytes of those segments",
                      s.dropped_bytes);
    metrics_put_value(out, "store_damaged_bytes", "gauge", "stored bytes that cannot be served",
                      s.damaged_bytes);
    metrics_put_value(out, "store_damaged_batches", "gauge", "batches that were found damaged",
                      s.damaged_batches);
}

void handle_metrics(struct handler_context *c, const struct http_request *q,
                    struct http_response *r)
{
    (void)q;
    r->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_print(c->app->metrics, c->app->budget, &r->body);
    put_store(c->app->store, &r->body);
}
