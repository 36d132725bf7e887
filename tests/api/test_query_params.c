#include <stdio.h>

#include <criterion/criterion.h>

#include "api/http_response.h"
#include "api/query_params.h"

/* Parse "name=value&..." as the parameters of a route that takes everything. */
static bool parse(const char *text, unsigned allowed, struct arena *arena, struct query_params *ret,
                  struct http_response *r)
{
    static struct http_field params[32];
    struct http_request q = {.params = params, .path_param = {BYTES("42")}};
    struct bytes rest = bytes_of_text(text);

    while (rest.len > 0) {
        struct bytes pair = bytes_first(rest, bytes_find_byte(rest, '&'));
        size_t equals = bytes_find_byte(pair, '=');
        rest = bytes_from(rest, pair.len + 1);
        params[q.param_count++] =
            (struct http_field){bytes_first(pair, equals), bytes_from(pair, equals + 1)};
    }
    return query_params_parse(&q, allowed, 10, arena, ret, r);
}

Test(query_params, refusals_say_what_was_wrong_and_what_was_expected)
{
    static const struct {
        const char *query;
        const char *reason;
        const char *detail; /* part of it */
    } cases[] = {
        {"nonsense=1", "unknown_parameter", "\\\"nonsense\\\""},
        {"Start=1", "unknown_parameter", "expected one of profiler_id"},
        {"=1", "unknown_parameter", ""},
        {"start=1&start=2", "repeated_parameter", "start"},
        {"format=json&format=json", "repeated_parameter", "format"},
        {"start=", "bad_time", "expected RFC 3339"},
        {"start=yesterday", "bad_time", "yesterday"},
        {"end=1.0000000001", "bad_time", "nine fractional digits"},
        {"end=1e9", "bad_time", "1e9"},
        {"end=2026-11-22T08:00:00.0000000001Z", "bad_time", "nine fractional digits"},
        {"start=2026-11-22T08:00:00 02:00", "bad_time", "write + as %2B"},
        {"start=2026-11-22 08:00:00 02:00", "bad_time", "write + as %2B"},
        {"start= 5", "bad_time", "write + as %2B"},
        {"start=1795336832362", "bad_time", "years 1678 to 2262, in seconds"},
        {"start=-1795336832362.5", "bad_time", "years 1678 to 2262, in seconds"},
        {"start=99999999999999999999", "bad_time", "years 1678 to 2262, in seconds"},
        {"start=2300-01-01T00:00:00Z", "bad_time", "years 1678 to 2262"},
        {"start=0001-01-01T00:00:00Z", "bad_time", "years 1678 to 2262"},
        {"start=2300-13-01T00:00:00Z", "bad_time", "expected RFC 3339"},
        {"start=2026-02-30T00:00:00Z", "bad_time", "start"},
        {"start=2&end=1", "bad_window", "end is before start"},
        {"start=1.000000002&end=1.000000001", "bad_window", "end is before start"},
        {"profiler_id=12", "bad_uuid", "32 hexadecimal digits"},
        {"profiler_id=00000000000000000000000000000001&profiler_id=x", "bad_uuid", "profiler_id"},
        {"profile_id={00000000-0000-0000-0000-000000000001}", "bad_uuid", "profile_id"},
        {"trace_id=0000000000000000000000000000000g", "bad_uuid", "trace_id"},
        {"format=svg", "bad_value", "json, folded, speedscope or pprof"},
        {"threads=7", "bad_value", "merged or separate"},
        {"unit=microseconds", "bad_value", "format=folded"},
        {"format=pprof&threads=separate", "bad_value", "format=json"},
        {"sort=name", "bad_value", "self or total"},
        {"limit=0", "bad_value", "from 1 to"},
        {"limit=100001", "bad_value", "from 1 to 100000"},
        {"limit=-1", "bad_value", "limit"},
        {"buckets=99999999999999999999", "bad_value", "buckets"},
        {"max_spans=1.5", "bad_value", "max_spans"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct query_params params;
        struct http_response r;
        char reason[64];
        arena_init(&arena, SIZE_MAX, NULL);
        http_response_init(&r, NULL);
        cr_assert_not(parse(cases[i].query, ~0u, &arena, &params, &r), "%s", cases[i].query);
        cr_assert_eq(r.status, 400);
        cr_assert_str_eq(r.content_type, "application/problem+json");
        (void)snprintf(reason, sizeof(reason), "\"reason\":\"%s\"", cases[i].reason);
        cr_assert(bytes_contains(buffer_bytes(&r.body), bytes_of_text(reason)), "%s: %.*s",
                  cases[i].query, (int)r.body.len, r.body.data);
        cr_assert(bytes_contains(buffer_bytes(&r.body), bytes_of_text(cases[i].detail)), "%s: %.*s",
                  cases[i].query, (int)r.body.len, r.body.data);
        http_response_close(&r);
        arena_close(&arena);
    }
}

Test(query_params, good_ones_arrive_exactly)
{
    struct arena arena;
    struct query_params p;
    struct http_response r;

    arena_init(&arena, SIZE_MAX, NULL);
    http_response_init(&r, NULL);
    cr_assert(parse("profiler_id=0000000000000000000000000000000A&thread=7&thread=main&"
                    "profiler_id=00000000-0000-0000-0000-00000000000b&start=1795336832.362842601&"
                    "end=2026-11-22T08:50:32.5%2B00:00&environment=&transaction=",
                    QUERY_SELECTION & ~(unsigned)QUERY_END, &arena, &p, &r) == false,
              "end is not allowed here");
    http_response_clear(&r);
    cr_assert(parse("profiler_id=0000000000000000000000000000000A&thread=7&thread=main&"
                    "profiler_id=00000000-0000-0000-0000-00000000000b&start=1795336832.362842601&"
                    "end=2026-11-22T08:50:32.50000000000Z&environment=&transaction=&format=folded&"
                    "unit=microseconds&limit=7&buckets=3&max_spans=2&sort=total",
                    ~0u, &arena, &p, &r));
    const struct selection_request *s = &p.selection;
    cr_assert_eq(s->project_id, 42);
    cr_assert_eq(s->profiler_ids.count, 2);
    cr_assert_eq(s->profiler_ids.ids[0].byte[15], 0x0a);
    cr_assert_eq(s->profiler_ids.ids[1].byte[15], 0x0b);
    cr_assert_eq(s->threads.count, 2);
    cr_assert(bytes_equal(s->threads.texts[1], BYTES("main")));
    cr_assert(s->has_start && s->has_end);
    cr_assert_eq(s->window.start_ns, INT64_C(1795336832362842601));
    cr_assert_eq(s->window.end_ns, INT64_C(1795337432500000000));
    cr_assert_eq(s->environments.count, 1);
    cr_assert_eq(s->environments.texts[0].len, 0);
    cr_assert_not_null(s->transaction.data, "an empty name is a name");
    cr_assert_eq(s->transaction.len, 0);
    cr_assert_not(s->has_trace_id);
    cr_assert_eq(p.format, FORMAT_FOLDED);
    cr_assert_eq(p.unit, EXPORT_MICROSECONDS);
    cr_assert_eq(p.limit, 7);
    cr_assert_eq(p.bucket_count, 3);
    cr_assert_eq(p.span_max, 2);
    cr_assert_eq(p.order, FUNCTIONS_BY_TOTAL);

    cr_assert(parse("", ~0u, &arena, &p, &r));
    cr_assert_eq(p.limit, 10, "the route's own default");
    cr_assert_not(p.selection.has_start || p.selection.has_end);
    cr_assert_null(p.selection.transaction.data);
    http_response_close(&r);
    arena_close(&arena);
}
