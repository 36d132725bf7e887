#include "api/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include <uv.h>

#include "base/limits.h"
#include "base/mem.h"

/* Statuses that have a counter of their own; the last slot takes the rest. */
static const int statuses[] = {200, 301, 304, 307, 400, 401, 403, 404, 405, 408, 411, 413,
                               414, 417, 429, 431, 499, 500, 501, 503, 505, 507, 0};
#define STATUS_SLOTS (sizeof(statuses) / sizeof(statuses[0]))

/* Upper bounds in microseconds; the last slot has none. */
static const uint32_t bounds_us[] = {100,     250,     500,     1000,    2500,   5000,
                                     10000,   25000,   50000,   100000,  250000, 500000,
                                     1000000, 2500000, 5000000, 10000000};
#define BOUND_COUNT (sizeof(bounds_us) / sizeof(bounds_us[0]))

static const char *const item_types[] = {
    "profile",          "profile_chunk", "transaction",  "span",     "event",
    "attachment",       "session",       "sessions",     "check_in", "client_report",
    "feedback",         "user_report",   "replay_event", "log",      "trace_metric",
    "replay_recording", "statsd",        "other"};
#define ITEM_TYPE_COUNT (sizeof(item_types) / sizeof(item_types[0]))

static const char *const outcomes[] = {
#define OUTCOME_TEXT(code, text) text,
    INGEST_OUTCOMES(OUTCOME_TEXT)
#undef OUTCOME_TEXT
};

struct route_counters {
    atomic_uint_fast64_t by_status[STATUS_SLOTS];
    atomic_uint_fast64_t by_bound[BOUND_COUNT + 1];
    atomic_uint_fast64_t took_us;
};

struct metrics {
    const struct router *routes;
    atomic_uint_fast64_t counters[METRIC_COUNT];
    atomic_uint_fast64_t items[ITEM_TYPE_COUNT][INGEST_OUTCOME_COUNT];
    struct route_counters by_route[]; /* one more than routes: requests without one */
};

static void bump(atomic_uint_fast64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static uint64_t value_of(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

enum err metrics_create(const struct router *routes, struct metrics **ret)
{
    size_t size = sizeof(struct metrics) + (routes->count + 1) * sizeof(struct route_counters);
    struct metrics *m = routes->count <= ROUTE_COUNT_MAX ? mem_zalloc(size) : NULL;
    if (m == NULL)
        return ERR_NOMEM;
    m->routes = routes;
    *ret = m;
    return ERR_OK;
}

void metrics_destroy(struct metrics *m)
{
    mem_free(m);
}

void metrics_add(struct metrics *m, enum metric which, uint64_t value)
{
    bump(&m->counters[which], value);
}

void metrics_subtract(struct metrics *m, enum metric which, uint64_t value)
{
    atomic_fetch_sub_explicit(&m->counters[which], value, memory_order_relaxed);
}

uint64_t metrics_get(const struct metrics *m, enum metric which)
{
    return value_of(&m->counters[which]);
}

void metrics_count_request(struct metrics *m, const struct route *route, int status,
                           int64_t took_ns)
{
    size_t at = route == NULL ? m->routes->count : (size_t)(route - m->routes->routes);
    struct route_counters *c = &m->by_route[at];
    size_t slot = 0;
    while (slot < STATUS_SLOTS - 1 && statuses[slot] != status)
        slot++;
    bump(&c->by_status[slot], 1);
    uint64_t us = took_ns < 0 ? 0 : (uint64_t)took_ns / 1000;
    size_t bound = 0;
    while (bound < BOUND_COUNT && us > bounds_us[bound])
        bound++;
    bump(&c->by_bound[bound], 1);
    bump(&c->took_us, us);
}

static size_t item_type_slot(struct bytes type)
{
    if (bytes_equal(type, BYTES("profile_chunk_ui")))
        type = BYTES("profile_chunk");
    for (size_t i = 0; i < ITEM_TYPE_COUNT - 1; i++)
        if (bytes_equal(type, bytes_of_text(item_types[i])))
            return i;
    return ITEM_TYPE_COUNT - 1;
}

void metrics_count_items(struct metrics *m, const struct ingest_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bump(&m->items[item_type_slot(items[i].type)][items[i].outcome], 1);
        if (items[i].outcome == INGEST_STORED)
            bump(&m->counters[METRIC_SAMPLES], items[i].sample_count);
    }
}

uint64_t metrics_anonymous_memory(void)
{
    char text[4096];
    uv_fs_t call;
    int file = uv_fs_open(NULL, &call, "/proc/self/status", O_RDONLY, 0, NULL);
    uv_fs_req_cleanup(&call);
    if (file < 0)
        return 0;
    uv_buf_t to = uv_buf_init(text, sizeof(text));
    int len = uv_fs_read(NULL, &call, file, &to, 1, 0, NULL);
    uv_fs_req_cleanup(&call);
    (void)uv_fs_close(NULL, &call, file, NULL);
    uv_fs_req_cleanup(&call);
    struct bytes rest = bytes_of(text, len < 0 ? 0 : (size_t)len);
    while (rest.len > 0) {
        size_t end = bytes_find_byte(rest, '\n');
        struct bytes line = bytes_first(rest, end);
        rest = bytes_from(rest, end + 1);
        if (!bytes_starts_with(line, BYTES("RssAnon:")))
            continue;
        line = bytes_trim(bytes_from(line, 8));
        uint64_t kib = 0;
        return bytes_to_u64(bytes_first(line, bytes_find_byte(line, ' ')), &kib) ? kib << 10 : 0;
    }
    return 0;
}

static void put_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP hearth_%s %s\n# TYPE hearth_%s %s\n", name, help, name, type);
}

void metrics_put_value(struct buffer *out, const char *name, const char *type, const char *help,
                       uint64_t value)
{
    put_head(out, name, type, help);
    buffer_printf(out, "hearth_%s %" PRIu64 "\n", name, value);
}

static const char *route_name(const struct metrics *m, size_t at)
{
    return at == m->routes->count ? "none" : m->routes->routes[at].name;
}

static void put_requests(const struct metrics *m, struct buffer *out)
{
    put_head(out, "http_requests_total", "counter", "requests answered, by route and status");
    for (size_t i = 0; i <= m->routes->count; i++)
        for (size_t k = 0; k < STATUS_SLOTS; k++) {
            uint64_t n = value_of(&m->by_route[i].by_status[k]);
            if (n == 0)
                continue;
            buffer_printf(out, "hearth_http_requests_total{route=\"%s\",status=\"",
                          route_name(m, i));
            if (statuses[k] == 0)
                buffer_printf(out, "other\"} %" PRIu64 "\n", n);
            else
                buffer_printf(out, "%d\"} %" PRIu64 "\n", statuses[k], n);
        }
}

static void put_latencies(const struct metrics *m, struct buffer *out)
{
    static const char name[] = "hearth_http_request_duration_seconds";
    put_head(out, "http_request_duration_seconds", "histogram",
             "first byte of the request to last byte of the answer");
    for (size_t i = 0; i <= m->routes->count; i++) {
        const struct route_counters *c = &m->by_route[i];
        uint64_t sum = 0;
        for (size_t k = 0; k <= BOUND_COUNT; k++)
            sum += value_of(&c->by_bound[k]);
        if (sum == 0)
            continue;
        const char *route = route_name(m, i);
        uint64_t below = 0;
        for (size_t k = 0; k < BOUND_COUNT; k++) {
            below += value_of(&c->by_bound[k]);
            buffer_printf(out, "%s_bucket{route=\"%s\",le=\"%.4g\"} %" PRIu64 "\n", name, route,
                          bounds_us[k] / 1e6, below);
        }
        buffer_printf(out, "%s_bucket{route=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, route, sum);
        buffer_printf(out, "%s_sum{route=\"%s\"} %.6f\n", name, route,
                      (double)value_of(&c->took_us) / 1e6);
        buffer_printf(out, "%s_count{route=\"%s\"} %" PRIu64 "\n", name, route, sum);
    }
}

static void put_items(const struct metrics *m, struct buffer *out)
{
    put_head(out, "ingest_items_total", "counter", "envelope items, by type and outcome");
    for (size_t i = 0; i < ITEM_TYPE_COUNT; i++)
        for (unsigned k = 0; k < INGEST_OUTCOME_COUNT; k++) {
            uint64_t n = value_of(&m->items[i][k]);
            if (n > 0)
                buffer_printf(out,
                              "hearth_ingest_items_total{type=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                              item_types[i], outcomes[k], n);
        }
}

static void put_memory(const struct mem_budget *budget, struct buffer *out)
{
    metrics_put_value(out, "memory_budget_used_bytes", "gauge", "memory lent to requests now",
                      atomic_load_explicit(&budget->used, memory_order_relaxed));
    metrics_put_value(out, "memory_budget_peak_bytes", "gauge", "most ever lent at once",
                      atomic_load_explicit(&budget->peak, memory_order_relaxed));
    metrics_put_value(out, "memory_budget_max_bytes", "gauge", "what may be lent", budget->max);
    metrics_put_value(out, "memory_anonymous_bytes", "gauge", "RssAnon of the process",
                      metrics_anonymous_memory());
}

void metrics_print(const struct metrics *m, const struct mem_budget *budget, struct buffer *out)
{
    put_head(out, "build_info", "gauge", "version of the program");
    buffer_printf(out, "hearth_build_info{version=\"%s\"} 1\n", HEARTH_VERSION);
#define METRIC_PUT(code, type, name, help) \
    metrics_put_value(out, name, type, help, metrics_get(m, METRIC_##code));
    METRIC_COUNTERS(METRIC_PUT)
#undef METRIC_PUT
    put_requests(m, out);
    put_latencies(m, out);
    put_items(m, out);
    put_memory(budget, out);
}
