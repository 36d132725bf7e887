#include <string.h>

#include <criterion/criterion.h>

#include "api/metrics.h"
#include "base/limits.h"

static const struct route routes[] = {{.name = "one"}, {.name = "two"}};
static const struct router router = {routes, 2};

static bool has(const struct buffer *page, const char *line)
{
    return bytes_contains(buffer_bytes(page), bytes_of_text(line));
}

Test(metrics, the_page_says_what_was_counted)
{
    struct metrics *m = NULL;
    struct mem_budget budget;
    struct mem_account account;
    struct buffer page;
    cr_assert_eq(metrics_create(&router, &m), ERR_OK);
    mem_budget_init(&budget, MIB(10));
    mem_account_init(&account, &budget, MIB(10));
    cr_assert_eq(mem_account_reserve(&account, 12345), ERR_OK);
    buffer_init(&page, RESPONSE_OWN_MAX, NULL);

    metrics_count_request(m, &routes[1], 200, 300000);   /* 0.3 ms */
    metrics_count_request(m, &routes[1], 200, 99000000); /* 99 ms */
    metrics_count_request(m, &routes[1], 418, INT64_C(99000000000));
    metrics_count_request(m, NULL, 404, -5);
    metrics_add(m, METRIC_CONNECTIONS_OPEN, 3);
    metrics_subtract(m, METRIC_CONNECTIONS_OPEN, 1);
    struct ingest_item items[] = {
        {.type = BYTES("profile_chunk_ui"), .outcome = INGEST_STORED, .sample_count = 70},
        {.type = BYTES("profile_chunk"), .outcome = INGEST_STORED, .sample_count = 7},
        {.type = BYTES("made \"up\""), .outcome = INGEST_UNKNOWN, .sample_count = 9}};
    metrics_count_items(m, items, 3);
    metrics_print(m, &budget, &page);
    cr_assert_eq(page.failed, ERR_OK);

    static const char *const lines[] = {
        "hearth_http_requests_total{route=\"two\",status=\"200\"} 2\n",
        "hearth_http_requests_total{route=\"two\",status=\"other\"} 1\n",
        "hearth_http_requests_total{route=\"none\",status=\"404\"} 1\n",
        "hearth_http_request_duration_seconds_bucket{route=\"two\",le=\"0.00025\"} 0\n",
        "hearth_http_request_duration_seconds_bucket{route=\"two\",le=\"0.0005\"} 1\n",
        "hearth_http_request_duration_seconds_bucket{route=\"two\",le=\"0.1\"} 2\n",
        "hearth_http_request_duration_seconds_bucket{route=\"two\",le=\"10\"} 2\n",
        "hearth_http_request_duration_seconds_bucket{route=\"two\",le=\"+Inf\"} 3\n",
        "hearth_http_request_duration_seconds_count{route=\"two\"} 3\n",
        "hearth_connections_open 2\n",
        "hearth_ingest_items_total{type=\"profile_chunk\",outcome=\"stored\"} 2\n",
        "hearth_ingest_items_total{type=\"other\",outcome=\"unknown_item_type\"} 1\n",
        "hearth_ingest_samples_total 77\n",
        "hearth_memory_budget_used_bytes 12345\n",
        "# TYPE hearth_http_request_duration_seconds histogram\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        cr_expect(has(&page, lines[i]), "missing: %s", lines[i]);
    cr_expect_not(has(&page, "route=\"one\""), "a route nobody asked for has no lines");
    cr_expect_not(has(&page, "made"), "what clients send never becomes a label");
    cr_expect_gt(metrics_anonymous_memory(), 0);
    buffer_close(&page);
    mem_account_close(&account);
    metrics_destroy(m);
}
