/* metrics.h - counters of the whole process, and their page for Prometheus.
 *
 * Threads: any; every counter is one relaxed atomic.
 */
#ifndef HEARTH_API_METRICS_H
#define HEARTH_API_METRICS_H

#include "api/router.h"
#include "engine/ingest.h"

/* code, type, name, help */
#define METRIC_COUNTERS(X)                                                                         \
    X(CONNECTIONS, "counter", "connections_total", "connections accepted")                         \
    X(CONNECTIONS_REFUSED, "counter", "connections_refused_total", "connections over the ceiling") \
    X(CONNECTIONS_EVICTED, "counter", "connections_evicted_total",                                 \
      "idle connections closed to make room for another one")                                      \
    X(CONNECTIONS_OPEN, "gauge", "connections_open", "connections open now")                       \
    X(TIMEOUTS, "counter", "timeouts_total", "requests ended because their client was too slow")   \
    X(BYTES_IN, "counter", "http_bytes_in_total", "bytes read from clients")                       \
    X(BYTES_OUT, "counter", "http_bytes_out_total", "bytes written to clients")                    \
    X(ADMISSION_WAITS, "counter", "admission_waits_total", "requests that waited for memory")      \
    X(ADMISSION_REFUSED, "counter", "admission_refused_total",                                     \
      "requests answered 503 because memory did not come in time")                                 \
    X(UPLOADS_STREAMED, "counter", "uploads_streamed_total", "uploads taken piece by piece")       \
    X(UPLOAD_BYTES, "counter", "upload_bytes_total", "coded bytes of upload bodies")               \
    X(AUTH_REFUSED, "counter", "ingest_auth_refused_total",                                        \
      "uploads refused because their key is unknown, revoked, of another project or missing")      \
    X(SAMPLES, "counter", "ingest_samples_total", "samples of stored profiles")                    \
    X(CLIENT_DISCARDS, "counter", "ingest_client_discards_total",                                  \
      "items that SDKs reported to have dropped themselves")                                       \
    X(BATCHES, "counter", "append_batches_total", "batches appended and synced")                   \
    X(BATCHES_FAILED, "counter", "append_batches_failed_total",                                    \
      "batches that could not be stored")                                                          \
    X(RECORDS, "counter", "append_records_total", "records in those batches")                      \
    X(APPEND_NS, "counter", "append_nanoseconds_total", "time spent appending and syncing")        \
    X(KEY_RELOADS, "counter", "key_reloads_total", "times the keys file was read anew")

enum metric {
#define METRIC_ENUM(code, type, name, help) METRIC_##code,
    METRIC_COUNTERS(METRIC_ENUM)
#undef METRIC_ENUM
        METRIC_COUNT
};

struct metrics;

/* `routes` is borrowed. */
enum err metrics_create(const struct router *routes, struct metrics **ret) MUST_CHECK;
void metrics_destroy(struct metrics *m); /* NULL is fine */
void metrics_add(struct metrics *m, enum metric which, uint64_t value);
void metrics_subtract(struct metrics *m, enum metric which, uint64_t value);
/* route NULL: none was found. */
void metrics_count_request(struct metrics *m, const struct route *route, int status,
                           int64_t took_ns);
void metrics_count_items(struct metrics *m, const struct ingest_item *items, size_t count);
uint64_t metrics_get(const struct metrics *m, enum metric which);
/* Anonymous memory of this process (RssAnon) in bytes; 0 where the system does not say. */
uint64_t metrics_anonymous_memory(void);
void metrics_print(const struct metrics *m, const struct mem_budget *budget, struct buffer *out);
/* One number with its two lines of explanation; `type` is "counter" or "gauge". */
void metrics_put_value(struct buffer *out, const char *name, const char *type, const char *help,
                       uint64_t value);

#endif
