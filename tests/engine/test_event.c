#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/event.h"

#define PROFILER "0de4571d3e724c93b023444a7b133785"
#define TRACE    "4ac15384468d42f4b30c05359710f915"

static bool uuid_is(struct uuid id, const char *text)
{
    char digits[UUID_TEXT_SIZE + 1];
    uuid_print(id, digits);
    return strcmp(digits, text) == 0;
}

static bool is(struct bytes text, const char *wanted)
{
    return bytes_equal(text, bytes_of_text(wanted));
}

struct seen {
    unsigned count;
    struct link last; /* numbers only */
    bool texts_right;
    enum err answer;
};

static enum err on_link(void *self, const struct link *link)
{
    struct seen *seen = self;
    seen->count++;
    seen->last = *link;
    seen->texts_right = is(link->name, "linear") && is(link->op, "function") &&
                        is(link->thread_id, "1397") && is(link->thread_name, "Main") &&
                        is(link->environment, "production") && is(link->release, "r@1");
    return seen->answer;
}

Test(event, a_transaction_tells_who_ran_and_keeps_profiled_spans)
{
    struct arena arena;
    struct buffer spans;
    struct event e;
    struct errinfo info = {{0}};
    arena_init(&arena, MIB(1), NULL);
    buffer_init(&spans, MIB(1), NULL);
    struct bytes json = BYTES(
        "{\"spans\":[{\"span_id\":\"00000000000000aa\",\"trace_id\":\"" TRACE "\",\"op\":\"db\","
        "\"parent_span_id\":\"ad9e7315618ba4cb\",\"description\":\"sel\\u00e4ct\",\"data\":"
        "{\"thread.id\":7,\"profiler_id\":\"" PROFILER "\"},\"start_timestamp\":1795337187.4160001,"
        "\"timestamp\":\"2026-11-22T08:44:12.037109Z\"},{\"span_id\":\"00000000000000ab\"}],"
        "\"contexts\":{\"profile\":{\"profiler_id\":\"" PROFILER "\"},\"trace\":{\"trace_id\":"
        "\"" TRACE "\",\"span_id\":\"ad9e7315618ba4cb\",\"parent_span_id\":null,\"op\":"
        "\"http.server\",\"data\":{\"thread.id\":\"139\",\"thread.name\":\"T\"}},\"x\":[]},"
        "\"transaction\":\"GET \\/orders\",\"timestamp\":1795337187.5,\"start_timestamp\":"
        "1.7953371874e9,\"event_id\":\"ee049bd3b5d14cd8879a1e37edc3e9a8\",\"release\":\"r@1\","
        "\"environment\":null,\"dist\":\"d\",\"platform\":\"python\",\"sdk\":{\"name\":\"s\","
        "\"version\":\"2\"}}");
    cr_assert_eq(event_read_transaction(json, &arena, &e, &spans, &info), ERR_OK, "%s", info.text);
    cr_expect(is(e.link.name, "GET /orders") && is(e.link.op, "http.server"));
    cr_expect(is(e.link.thread_id, "139") && is(e.link.thread_name, "T") && is(e.dist, "d"));
    cr_expect(is(e.link.release, "r@1") && e.link.environment.len == 0);
    cr_expect(is(e.sdk_name, "s") && is(e.sdk_version, "2"));
    cr_expect(is(e.segment_id, "ad9e7315618ba4cb"));
    cr_expect(uuid_is(e.link.profiler_id, PROFILER) && uuid_is(e.link.trace_id, TRACE));
    cr_expect(e.has_event_id && uuid_is(e.event_id, "ee049bd3b5d14cd8879a1e37edc3e9a8"));
    cr_expect_eq(e.link.span_id, UINT64_C(0xad9e7315618ba4cb));
    cr_expect(e.link.is_segment && e.link.parent_span_id == 0);
    cr_expect_eq(e.link.end_ns, INT64_C(1795337187500000000));
    cr_expect_eq(e.link.start_ns / 1000000, INT64_C(1795337187400), "an exponent is a number too");
    cr_assert_eq(spans.len, sizeof(struct link), "spans without profiler do not count");
    const struct link *span = (const struct link *)(const void *)spans.data;
    cr_expect(is(span->name, "sel\xc3\xa4"
                             "ct") &&
              is(span->thread_id, "7") && is(span->release, "r@1") && is(span->platform, "python"));
    cr_expect_eq(span->start_ns, INT64_C(1795337187416000100));
    cr_expect_eq(span->end_ns, INT64_C(1795337052037109000));
    cr_expect_eq(span->parent_span_id, UINT64_C(0xad9e7315618ba4cb));
    cr_expect_not(span->is_segment);
    buffer_close(&spans);
    arena_close(&arena);
}

Test(event, odd_types_count_as_missing_and_broken_json_does_not)
{
    struct arena arena;
    struct buffer spans;
    struct event e;
    struct errinfo info;
    arena_init(&arena, MIB(1), NULL);
    buffer_init(&spans, MIB(1), NULL);
    cr_expect_eq(event_read_transaction(
                     BYTES("{\"contexts\":[],\"spans\":{},\"transaction\":5,\"sdk\":\"x\","
                           "\"timestamp\":{},\"event_id\":\"short\"}"),
                     &arena, &e, &spans, &info),
                 ERR_OK);
    cr_expect(e.link.name.len == 0 && !e.has_event_id && spans.len == 0 && e.link.end_ns == 0);
    cr_expect_eq(event_read_transaction(BYTES("{\"contexts\":{]}"), &arena, &e, &spans, &info),
                 ERR_MALFORMED);
    cr_expect_eq(event_read_transaction(BYTES("[]"), &arena, &e, &spans, &info), ERR_MALFORMED);
    buffer_close(&spans);
    arena_close(&arena);
}

#define SPAN                                                                                         \
    "{\"trace_id\":\"" TRACE "\",\"span_id\":\"9d176ded652669f7\",\"name\":\"linear\","              \
    "\"is_segment\":true,\"start_timestamp\":1795338328.308184,\"end_timestamp\":1795338328.326531," \
    "\"attributes\":{\"sentry.op\":{\"type\":\"string\",\"value\":\"function\"},\"thread.id\":"      \
    "{\"value\":1397},\"thread.name\":{\"value\":\"Main\"},\"other\":{\"value\":[1]},"               \
    "\"sentry.profiler_id\":{\"value\":\"" PROFILER "\",\"type\":\"string\"},"                       \
    "\"sentry.environment\":{\"value\":\"production\"},\"sentry.release\":{\"value\":\"r@1\"}}}"

Test(event, streamed_spans_with_a_profiler_are_passed_on)
{
    struct seen seen = {.answer = ERR_OK};
    struct errinfo info = {{0}};
    cr_assert_eq(event_read_spans(BYTES("{\"version\":2,\"items\":[" SPAN ",{\"span_id\":\"x\"},5,"
                                        "{\"attributes\":{}}," SPAN "]}"),
                                  NULL, &seen, on_link, &info),
                 ERR_OK, "%s", info.text);
    cr_expect(seen.count == 2 && seen.texts_right);
    cr_expect(seen.last.is_segment && seen.last.span_id == UINT64_C(0x9d176ded652669f7));
    cr_expect_eq(seen.last.start_ns, INT64_C(1795338328308184000));
    cr_expect_eq(seen.last.end_ns, INT64_C(1795338328326531000));
    cr_assert_eq(event_read_span(BYTES(SPAN), NULL, &seen, on_link, &info), ERR_OK);
    cr_expect_eq(seen.count, 3);
    cr_expect_eq(event_read_span(BYTES(SPAN "x"), NULL, &seen, on_link, &info), ERR_MALFORMED);
    seen.answer = ERR_BUSY;
    cr_expect_eq(event_read_spans(BYTES("{\"items\":[" SPAN "]}"), NULL, &seen, on_link, &info),
                 ERR_BUSY);
}

Test(event, client_reports_are_summed_up)
{
    static const struct {
        const char *text;
        uint64_t sum;
    } cases[] = {{"{}", 0},
                 {"{\"discarded_events\":[{\"reason\":\"a\",\"category\":\"b\",\"quantity\":3},"
                  "{\"quantity\":4}],\"filtered_events\":[{\"quantity\":5}],\"timestamp\":1}",
                  12},
                 {"{\"discarded_events\":[{\"quantity\":-3},{\"quantity\":1.5},5,null]}", 0},
                 {"{\"discarded_events\":{},\"rate_limited_events\":[{\"quantity\":"
                  "18446744073709551615},{\"quantity\":9}]}",
                  UINT64_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t sum = 99;
        struct errinfo info;
        cr_expect_eq(event_read_report(bytes_of_text(cases[i].text), NULL, &sum, &info), ERR_OK);
        cr_expect_eq(sum, cases[i].sum, "%s", cases[i].text);
    }
}
