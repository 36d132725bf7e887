#include <stdio.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/ingest.h"
#include "storage/record.h"
#include "tests/support/file.h"
#include "tests/support/replay.h"

#define PATH_SIZE 1024

static void open_with(struct replay *r, const char *folder, const char *file)
{
    char path[PATH_SIZE];
    struct bytes text = {NULL, 0};
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    cr_assert(file_read(path, &text), "%s", path);
    struct bytes list = text;
    while (list.len > 0 && list.data[0] != '[') /* the manifest's list of projects comes first */
        list = bytes_from(list, 1);
    struct bytes end = list;
    while (end.len > 0 && end.data[0] != ']')
        end = bytes_from(end, 1);
    replay_open(r, bytes_first(list, list.len - end.len + 1));
    file_free(&text);
}

Test(ingest, recorded_requests_are_answered_and_stored_as_expected)
{
    char folder[PATH_SIZE];
    struct replay r;
    cr_assert(source_path(folder, sizeof(folder), "tests/data/envelopes"));
    open_with(&r, folder, "PROJECTS.json");
    replay_folder(&r, folder, SIZE_MAX);
    cr_expect_eq(r.faults, 0);
    cr_expect(r.requests >= 150 && r.stored >= 80, "%u requests, %u profiles", r.requests,
              r.stored);
    replay_close(&r);
}

Test(ingest, pieces_of_any_size_give_the_same)
{
    char folder[PATH_SIZE];
    struct replay r;
    struct rng rng = test_rng();
    cr_assert(source_path(folder, sizeof(folder), "tests/data/envelopes"));
    open_with(&r, folder, "PROJECTS.json");
    r.split = &rng;
    replay_folder(&r, folder, KIB(40));
    cr_expect_eq(r.faults, 0);
    cr_expect(r.stored >= 60, "%u profiles", r.stored);
    replay_close(&r);
}

Test(ingest, odd_and_invalid_requests_are_answered_and_stored_as_expected)
{
    char folder[PATH_SIZE];
    struct replay r;
    cr_assert(source_path(folder, sizeof(folder), "tests/data/edge"));
    open_with(&r, folder, "manifest.json");
    replay_manifest(&r, folder);
    cr_expect_eq(r.faults, 0);
    cr_expect(r.requests >= 230 && r.stored >= 98 && r.dropped >= 80,
              "%u requests, %u profiles, %u dropped", r.requests, r.stored, r.dropped);
    replay_close(&r);
}

Test(ingest, all_recordings_when_they_are_there, .timeout = 280)
{
    char folder[PATH_SIZE];
    struct replay r;
    if (!shared_path(folder, sizeof(folder), "data/envelopes")) {
        fprintf(stderr, "skipped: no recordings beside the checkout, only a part was replayed\n");
        cr_skip("no recordings beside the checkout: only the part in tests/data was replayed");
    }
    open_with(&r, folder, "PROJECTS.json");
    replay_folder(&r, folder, SIZE_MAX);
    cr_expect_eq(r.faults, 0);
    cr_expect(r.requests >= 1300 && r.stored >= 599, "%u requests, %u profiles", r.requests,
              r.stored);
    replay_close(&r);
}

/* ---- one upload at a time ---- */

#define KEY  "df17aa723bdea468a13becb9733ba43b"
#define AUTH "Sentry sentry_key=" KEY

static struct ingest *upload(struct bytes body, bool open_mode, struct mem_account *account)
{
    struct ingest *in;
    struct errinfo info;
    struct ingest_request request = {.project_id = 42,
                                     .x_sentry_auth = BYTES(AUTH),
                                     .open_mode = open_mode,
                                     .now_ns = 77,
                                     .retention_days = 30,
                                     .account = account};
    size_t used;
    if (ingest_create(&request, &in, &info) != ERR_OK)
        return NULL;
    enum err rc = ingest_authenticate(in, &info);
    if (rc == ERR_OK)
        rc = ingest_feed(in, body, &used, &info);
    if (rc == ERR_OK)
        rc = ingest_finish(in, &info);
    (void)rc; /* the verdict says it */
    return in;
}

static int status_of(const struct ingest *in, char text[INGEST_ANSWER_MAX])
{
    return ingest_verdict(in, text);
}

Test(ingest, without_keys_only_open_mode_lets_in)
{
    char text[INGEST_ANSWER_MAX];
    struct ingest *in = upload(BYTES("{}\n"), false, NULL);
    cr_expect_eq(status_of(in, text), 403);
    cr_expect_str_eq(text, "{\"detail\":\"forbidden\",\"causes\":[\"unknown or revoked key\"]}");
    ingest_destroy(in);
    in = upload(BYTES("{}\n"), true, NULL);
    cr_expect_eq(status_of(in, text), 200);
    cr_expect_str_eq(text, "{}");
    ingest_destroy(in);
    cr_expect_eq(ingest_verdict_of(ERR_BUSY, "no room", text), 503);
    cr_expect_eq(ingest_verdict_of(ERR_LIMIT, NULL, text), 413);
    cr_expect_str_eq(text, "{\"detail\":\"the envelope exceeds a size limit\"}");
    cr_expect_eq(ingest_verdict_of(ERR_MALFORMED, "a \"quoted\" cause", text), 400);
    cr_expect_not_null(strstr(text, "[\"a \\\"quoted\\\" cause\"]"));
}

#define EVENT_ID "15b17a05fca8ca29a4294c96dfd334aa"
#define TRACE_ID "25b17a05fca8ca29a4294c96dfd334aa"
#define PROFILE                                                                                      \
    "{\"version\":\"1\",\"platform\":\"node\",\"event_id\":\"35b17a05fca8ca29a4294c96dfd334aa\","    \
    "\"timestamp\":\"2026-11-22T08:00:00Z\",\"device\":{\"architecture\":\"x\"},\"environment\":"    \
    "\"old\",\"release\":\"own\",\"os\":{\"name\":\"L\",\"version\":\"6\"},\"transaction\":{\"id\":" \
    "\"" EVENT_ID "\",\"name\":\"old\",\"trace_id\":\"" TRACE_ID "\"},\"profile\":{\"samples\":"     \
    "[{\"elapsed_since_start_ns\":0,\"stack_id\":0,\"thread_id\":0},{\"elapsed_since_start_ns\":9,"  \
    "\"stack_id\":0,\"thread_id\":0}],\"stacks\":[[0]],\"frames\":[{\"function\":\"f\"}]}}"
#define EVENT                                                                                    \
    "{\"transaction\":\"GET /\",\"release\":\"new\",\"environment\":\"prod\",\"dist\":\"d\","    \
    "\"contexts\":{\"trace\":{\"trace_id\":\"" TRACE_ID "\",\"span_id\":\"ad9e7315618ba4cb\"}}," \
    "\"start_timestamp\":1,\"timestamp\":2,\"event_id\":\"" EVENT_ID "\"}"
#define BOTH                                                                  \
    "{\"event_id\":\"" EVENT_ID "\"}\n{\"type\":\"profile\"}\n" PROFILE       \
    "\n{\"type\":\"transaction\"}\n" EVENT "\n{\"type\":\"client_report\"}\n" \
    "{\"discarded_events\":[{\"quantity\":5}]}\n{\"type\":\"made_up\"}\nx"

static bool text_is(const struct profile *p, uint32_t id, const char *text)
{
    return bytes_equal(profile_string(p, id), bytes_of_text(text));
}

Test(ingest, a_transaction_profile_takes_what_its_transaction_says)
{
    char answer[INGEST_ANSWER_MAX];
    struct tmpdir dir = tmpdir_make();
    struct store *store;
    struct errinfo info = {{0}};
    struct arena arena;
    struct profile p;
    struct link_list links = {0};
    struct uuid id, trace;
    size_t count;
    row_id row;
    struct store_options options = {
        .vfs = vfs_posix(), .dir = dir.path, .durability = DURABILITY_NONE};
    cr_assert_eq(store_open(&options, &store, &info), ERR_OK, "%s", info.text);
    struct ingest *in = upload(BYTES(BOTH), true, NULL);
    cr_assert_eq(status_of(in, answer), 200, "%s", answer);
    cr_expect_str_eq(answer, "{\"id\":\"" EVENT_ID "\"}");
    cr_expect_eq(ingest_client_discards(in), 5);
    const struct ingest_item *items = ingest_items(in, &count);
    cr_assert_eq(count, 4);
    cr_expect(items[0].outcome == INGEST_STORED && items[0].sample_count == 2, "%s",
              items[0].detail);
    cr_expect(items[1].outcome == INGEST_READ && items[2].outcome == INGEST_ACCEPTED);
    cr_expect(items[3].outcome == INGEST_UNKNOWN && items[3].size == 1);
    const struct bytes *records = ingest_records(in, &count);
    cr_assert_eq(count, 2, "the profile, and the link of its transaction");
    cr_assert_eq(store_append(store, records, count, &info), ERR_OK, "%s", info.text);
    ingest_destroy(in);

    struct snapshot *snap = snapshot_acquire(store, NULL);
    arena_init(&arena, MIB(4), NULL);
    cr_assert(uuid_parse(BYTES("35b17a05fca8ca29a4294c96dfd334aa"), &id));
    cr_assert(uuid_parse(BYTES(TRACE_ID), &trace));
    cr_assert_eq(snapshot_find_profile(snap, 42, id, &row), ERR_OK);
    cr_assert_eq(snapshot_read_profile(snap, row, &arena, &p, &info), ERR_OK, "%s", info.text);
    cr_expect(text_is(&p, p.transaction, "GET /") && text_is(&p, p.environment, "prod"));
    cr_expect(text_is(&p, p.release, "own") && text_is(&p, p.dist, "d"));
    cr_expect(text_is(&p, p.segment_id, "ad9e7315618ba4cb"));
    cr_expect(text_is(&p, p.sdk_name, "sentry.javascript.node") && p.sdk_version == 0);
    cr_expect(p.retention_days == 30 && p.received_ns == 77 && p.organization_id == 1);
    cr_expect_neq(p.flags & PROFILE_SAMPLED, 0);
    cr_assert_eq(snapshot_find_links_of_trace(snap, 42, trace, &arena, &links), ERR_OK);
    cr_assert_eq(links.count, 1);
    cr_expect(uuid_is_nil(links.links[0].profiler_id) && links.links[0].is_segment);
    cr_expect_eq(links.links[0].end_ns, 2000000000);
    snapshot_release(snap);
    arena_close(&arena);
    store_close(store);
    tmpdir_remove(&dir);
}

Test(ingest, little_room_and_failed_allocations_are_told_and_undone)
{
    char text[INGEST_ANSWER_MAX];
    struct mem_budget budget;
    struct mem_account account;
    int status = 0;
    for (size_t size = 0; status != 200; size += 512) {
        cr_assert_lt(size, MIB(4));
        mem_budget_init(&budget, size);
        mem_account_init(&account, &budget, SIZE_MAX);
        struct ingest *in = upload(BYTES(BOTH), true, &account);
        size_t records = 0;
        if (in == NULL)
            continue;
        (void)ingest_records(in, &records);
        if (records == 0)
            status = 503; /* ERR_BUSY leaves the verdict open: nothing was refused */
        else
            status = status_of(in, text);
        ingest_destroy(in);
        cr_assert_eq(account.held, 0);
    }
    size_t before = mem_outstanding();
    status = 0;
    for (size_t nth = 1; status != 200; nth++) {
        cr_assert_lt(nth, 1000);
        mem_fail_at(nth);
        struct ingest *in = upload(BYTES(BOTH), true, NULL);
        mem_fail_at(0);
        status = in == NULL ? 503 : status_of(in, text);
        cr_assert(status == 200 || status == 503, "allocation %zu: %d %s", nth, status, text);
        ingest_destroy(in);
        cr_assert_eq(mem_outstanding(), before, "allocation %zu", nth);
    }
}

#define PROFILER_ID "45b17a05fca8ca29a4294c96dfd334aa"
#define CHUNK                                                                                           \
    "\"version\":\"2\",\"profiler_id\":\"" PROFILER_ID "\",\"chunk_id\":\"" EVENT_ID "\","              \
    "\"platform\":\"node\",\"client_sdk\":{\"name\":\"n\",\"version\":\"1\"},\"profile\":{\"samples\":" \
    "[{\"timestamp\":1,\"stack_id\":0,\"thread_id\":\"1\"},{\"timestamp\":2,\"stack_id\":0,"            \
    "\"thread_id\":\"1\"}],\"stacks\":[[0]],\"frames\":[{}]}}"

/* Wherever it is that room runs out. */
Test(ingest, a_profile_over_the_memory_of_an_upload_says_so)
{
    struct buffer body;
    bool stored = false;
    buffer_init(&body, MIB(1), NULL);
    buffer_put(&body, BYTES("{}\n{\"type\":\"profile_chunk\"}\n{\"measurements\":{\"m\":{\"unit\":"
                            "\"ns\",\"values\":[{\"timestamp\":1,\"value\":1}"));
    for (unsigned i = 0; i < 2000; i++)
        buffer_put(&body, BYTES(",{\"timestamp\":1,\"value\":1}"));
    buffer_put(&body, BYTES("]}}," CHUNK));
    for (size_t max = body.len + KIB(4); !stored; max += KIB(4)) {
        struct mem_account account;
        size_t count;
        mem_account_init(&account, NULL, max);
        struct ingest *in = upload(buffer_bytes(&body), true, &account);
        const struct ingest_item *items = ingest_items(in, &count);
        cr_assert_eq(count, 1);
        stored = items[0].outcome == INGEST_STORED;
        cr_expect(stored || items[0].outcome == INGEST_EXCEED_SIZE, "%zu: %s", max,
                  ingest_outcome_text(items[0].outcome));
        cr_expect(stored || items[0].detail[0] != 0, "%zu", max);
        ingest_destroy(in);
        cr_assert_leq(max, MIB(2));
    }
    buffer_close(&body);
}

/* Without an event id anywhere: the transaction has the one that is answered. */
Test(ingest, a_profile_over_the_memory_of_an_upload_goes_alone)
{
    char answer[INGEST_ANSWER_MAX], id[UUID_TEXT_SIZE + 1];
    struct mem_account account;
    struct buffer body;
    struct record link;
    struct bytes facts, block;
    struct errinfo info;
    size_t count;
    mem_account_init(&account, NULL, KIB(512));
    buffer_init(&body, MIB(1), NULL);
    buffer_put(&body, BYTES("{}\n{\"type\":\"profile_chunk\"}\n{\"version\":\"2\",\"profile\":"
                            "{\"frames\":[{}"));
    for (unsigned i = 0; i < 12000; i++)
        buffer_printf(&body, ",{\"lineno\":%u}", i);
    buffer_put(&body,
               BYTES("]}}\n{\"type\":\"transaction\"}\n"
                     "{\"contexts\":{\"trace\":{\"trace_id\":\"" TRACE_ID "\",\"span_id\":"
                     "\"ad9e7315618ba4cb\"},\"profile\":{\"profiler_id\":\"" PROFILER_ID "\"}}}"));
    struct ingest *in = upload(buffer_bytes(&body), true, &account);
    cr_assert_eq(status_of(in, answer), 200, "%s", answer);
    const struct ingest_item *items = ingest_items(in, &count);
    cr_assert_eq(count, 2);
    cr_expect(items[0].outcome == INGEST_EXCEED_SIZE && items[1].outcome == INGEST_READ, "%s, %s",
              ingest_outcome_text(items[0].outcome), ingest_outcome_text(items[1].outcome));
    cr_expect_neq(items[0].detail[0], 0);
    const struct bytes *records = ingest_records(in, &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(record_split(records[0], &facts, &block, &info), ERR_OK);
    cr_assert_eq(record_parse(facts, &link, &info), ERR_OK);
    cr_expect_eq(link.link.span_id, UINT64_C(0xad9e7315618ba4cb));
    uuid_print(link.link.transaction_id, id);
    cr_expect_not_null(strstr(answer, id), "%s in %s", id, answer);
    ingest_destroy(in);
    buffer_close(&body);
    cr_assert_eq(account.held, 0);
}

/* What found no room goes on from where it was. */
Test(ingest, goes_on_after_waiting_for_room)
{
    char text[INGEST_ANSWER_MAX];
    struct mem_budget budget;
    struct mem_account account, other;
    struct errinfo info;
    for (size_t free_size = 0; free_size < KIB(300); free_size += 1000) {
        struct ingest *in;
        struct bytes body = BYTES(BOTH);
        mem_budget_init(&budget, MIB(4));
        mem_account_init(&account, &budget, SIZE_MAX);
        mem_account_init(&other, &budget, SIZE_MAX);
        cr_assert_eq(mem_account_reserve(&other, MIB(4) - free_size), ERR_OK);
        struct ingest_request request = {
            .project_id = 42, .x_sentry_auth = BYTES(AUTH), .open_mode = true, .account = &account};
        cr_assert_eq(ingest_create(&request, &in, &info), ERR_OK);
        enum err rc = ERR_OK;
        while (body.len > 0) {
            size_t used;
            rc = ingest_feed(in, body, &used, &info);
            body = bytes_from(body, used);
            if (rc == ERR_BUSY)
                mem_account_release(&other, other.held);
            cr_assert(rc == ERR_OK || rc == ERR_BUSY, "%s", info.text);
        }
        while ((rc = ingest_finish(in, &info)) == ERR_BUSY) {
            cr_assert_gt(other.held, 0);
            mem_account_release(&other, other.held);
        }
        cr_assert_eq(rc, ERR_OK, "%s", info.text);
        cr_assert_eq(status_of(in, text), 200);
        size_t count;
        (void)ingest_records(in, &count);
        cr_assert_eq(count, 2);
        ingest_destroy(in);
        cr_assert_eq(account.held, 0);
        mem_account_close(&other);
    }
}
