#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/json_reader.h"
#include "engine/profile_decode.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define CHUNK_ID    "\"chunk_id\":\"15b17a05fca8ca29a4294c96dfd334aa\""
#define PROFILER_ID "\"profiler_id\":\"F86198EA-139B-5766-E9B1-5743DFB149A2\""
#define SDK         "\"client_sdk\":{\"name\":\"sentry.python\",\"version\":\"2.1\"}"
#define HEAD        "{\"version\":\"2\",\"platform\":\"python\"," CHUNK_ID "," PROFILER_ID "," SDK
#define SAMPLES                                                            \
    "\"samples\":[{\"timestamp\":1.5,\"stack_id\":0,\"thread_id\":\"a\"}," \
    "{\"timestamp\":1.75,\"stack_id\":1,\"thread_id\":\"a\"}]"
#define STACKS "\"stacks\":[[0,1],[1]]"
#define FRAMES "\"frames\":[{\"function\":\"f\",\"lineno\":3},{\"function\":\"g\"}]"
#define CHUNK  HEAD ",\"profile\":{" SAMPLES "," STACKS "," FRAMES "}}"

#define TRANSACTION                                                                           \
    "{\"id\":\"15b17a05fca8ca29a4294c96dfd334aa\",\"name\":\"GET /\",\"active_thread_id\":7," \
    "\"trace_id\":\"25b17a05fca8ca29a4294c96dfd334aa\"}"
#define PROFILE_HEAD                                                                                \
    "{\"version\":\"1\",\"platform\":\"python\",\"event_id\":\"35b17a05fca8ca29a4294c96dfd334aa\"," \
    "\"timestamp\":\"2026-11-22T08:00:00.5+01:00\",\"device\":{\"architecture\":\"x86_64\"},"       \
    "\"os\":{\"name\":\"Linux\",\"version\":\"6\"},\"transaction\":" TRANSACTION
#define PROFILE_SAMPLES                                                                     \
    "\"samples\":[{\"elapsed_since_start_ns\":\"5\",\"stack_id\":0,\"thread_id\":\"007\"}," \
    "{\"elapsed_since_start_ns\":9,\"stack_id\":1,\"thread_id\":7}]"
#define PROFILE PROFILE_HEAD ",\"profile\":{" PROFILE_SAMPLES "," STACKS "," FRAMES "}}"

static enum err decode(const char *text, enum profile_kind kind, enum decode_rules rules,
                       struct decoded **ret, enum ingest_outcome *outcome, struct errinfo *info)
{
    struct decode_options options = {.kind = kind, .rules = rules};
    size_t len = strlen(text);
    uint8_t *copy = malloc(len + 1); /* gone afterwards: nothing may point into it */
    cr_assert_not_null(copy);
    memcpy(copy, text, len);
    enum err rc = profile_decode(bytes_of(copy, len), &options, ret, outcome, info);
    free(copy);
    return rc;
}

static bool text_is(const struct profile *p, uint32_t id, const char *text)
{
    return bytes_equal(profile_string(p, id), bytes_of_text(text));
}

Test(profile_decode, a_chunk_becomes_columns)
{
    struct decoded *d;
    struct errinfo info = {{0}};
    enum ingest_outcome outcome;
    const char *text =
        HEAD ",\"release\":null,\"environment\":\"prod\",\"dist\":5,\"unknown\":[{}],"
             "\"debug_meta\":{\"images\":[{\"type\":\"elf\"}]},"
             "\"measurements\":{\"cpu\":{\"unit\":\"percent\",\"x\":1,\"values\":"
             "[{\"timestamp\":1.5,\"value\":\"2.5\",\"y\":0}]}},"
             "\"profile\":{\"thread_metadata\":{\"b\":{\"name\":\"gone\"},\"a\":{\"name\":\"main\","
             "\"priority\":31}}," SAMPLES ",\"stacks\":[[2,1],[1],[]],"
             "\"frames\":[{\"name\":\"f\",\"line\":3},{\"function\":\"g\\u00e4\",\"lineno\":null,"
             "\"in_app\":false,\"colno\":9,\"data\":{\"symbolicator_status\":\"missing\"},"
             "\"lang\":\"x\"},{\"function\":\"f\",\"lineno\":3,\"in_app\":null}]}}";
    cr_assert_eq(decode(text, PROFILE_CHUNK, DECODE_ENVELOPE, &d, &outcome, &info), ERR_OK, "%s",
                 info.text);
    const struct profile *p = decoded_profile(d);
    cr_assert_eq(profile_check(p, &info), ERR_OK, "%s", info.text);
    char id[UUID_TEXT_SIZE + 1];
    uuid_print(p->profiler_id, id);
    cr_expect_str_eq(id, "f86198ea139b5766e9b15743dfb149a2");
    cr_expect(text_is(p, p->platform, "python") && text_is(p, p->sdk_version, "2.1"));
    cr_expect(p->release == 0 && p->dist == 0 && text_is(p, p->environment, "prod"));
    cr_expect_eq(p->frame_list_count, 3);
    cr_expect_eq(p->frame_count, 2, "equal frames are one");
    cr_expect_eq(p->frame_list[0], p->frame_list[2]);
    const struct profile_frame *g = &p->frames[p->frame_list[1]];
    cr_expect(text_is(p, g->function, "g\xc3\xa4") && g->in_app == IN_APP_FALSE && g->column == 9);
    cr_expect(
        text_is(p, g->rest, "{\"data\":{\"symbolicator_status\":\"missing\"},\"lang\":\"x\"}"));
    cr_expect_eq(p->stack_count, 3);
    cr_expect_eq(p->stacks[2], PROFILE_NONE);
    cr_expect_eq(p->node_count, 2, "[1] is the outer part of [2,1]");
    cr_assert_eq(p->thread_count, 1, "threads without samples go");
    cr_expect(text_is(p, p->threads[0].id, "a") && text_is(p, p->threads[0].name, "main"));
    cr_expect_eq(p->threads[0].priority, 31);
    cr_assert_eq(p->sample_count, 2);
    cr_expect_eq(profile_sample_ns(p, 1), 1750000000);
    cr_expect(p->sample_queue == NULL && p->sample_idle == NULL);
    cr_expect(bytes_equal(json_find(p->rest, "measurements"),
                          BYTES("{\"cpu\":{\"unit\":\"percent\",\"values\":"
                                "[{\"timestamp\":1.5,\"value\":2.5}]}}")));
    cr_expect(
        bytes_equal(json_find(p->rest, "debug_meta"), BYTES("{\"images\":[{\"type\":\"elf\"}]}")));
    uint32_t added;
    cr_assert_eq(decoded_add_string(d, BYTES("added"), &added), ERR_OK);
    cr_expect(text_is(decoded_profile(d), added, "added"));
    cr_expect(text_is(p, p->platform, "python"));
    decoded_destroy(d);
}

Test(profile_decode, a_transaction_profile_becomes_columns)
{
    struct decoded *d;
    struct errinfo info = {{0}};
    enum ingest_outcome outcome;
    cr_assert_eq(decode(PROFILE, PROFILE_TRANSACTION, DECODE_ENVELOPE, &d, &outcome, &info), ERR_OK,
                 "%s", info.text);
    const struct profile *p = decoded_profile(d);
    cr_assert_eq(profile_check(p, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(p->timestamp_ns, 1795330800500000000);
    cr_expect(text_is(p, p->timestamp_text, "2026-11-22T08:00:00.5+01:00"));
    cr_expect(text_is(p, p->transaction, "GET /") && text_is(p, p->active_thread, "7"));
    cr_assert(p->thread_count == 1 && p->sample_count == 2);
    cr_expect(text_is(p, p->threads[0].id, "7"));
    cr_expect(p->sample_time[0] == 5 && p->sample_time[1] == 9);
    cr_expect(bytes_equal(json_find(p->rest, "device"), BYTES("{\"architecture\":\"x86_64\"}")));
    decoded_destroy(d);
}

Test(profile_decode, refuses_with_the_reason_the_ingest_server_has)
{
#define WITH(profile) HEAD ",\"profile\":{" profile "}}"
#define SAMPLE(text)  WITH("\"samples\":[" text "]," STACKS "," FRAMES)
#define FRAME(text)   WITH(SAMPLES "," STACKS ",\"frames\":[" text ",{}]")
#define ENV           INGEST_INVALID_JSON
    static const struct {
        const char *text;
        enum ingest_outcome outcome;
    } cases[] = {
        {CHUNK, INGEST_STORED},
        {"", ENV},
        {"[]", ENV},
        {"{}", ENV},
        {CHUNK "x", ENV},
        {"\xef\xbb\xbf" CHUNK, ENV},
        {HEAD "}", ENV},
        {HEAD ",\"profile\":null}", ENV},
        {HEAD "," CHUNK_ID ",\"profile\":{" SAMPLES "," STACKS "," FRAMES "}}", ENV},
        {HEAD ",\"release\":1,\"profile\":{" SAMPLES "," STACKS "," FRAMES "}}", ENV},
        {HEAD ",\"debug_meta\":{},\"profile\":{" SAMPLES "," STACKS "," FRAMES "}}", ENV},
        {HEAD ",\"debug_meta\":null,\"profile\":{" SAMPLES "," STACKS "," FRAMES "}}", ENV},
        {HEAD ",\"measurements\":{\"a\":{\"unit\":\"made up\",\"values\":[]}},\"profile\":{" SAMPLES
              "," STACKS "," FRAMES "}}",
         ENV},
        {WITH(SAMPLES "," STACKS), ENV},
        {WITH(SAMPLES "," FRAMES), ENV},
        {WITH(STACKS "," FRAMES), ENV},
        {WITH(SAMPLES "," STACKS ",\"frames\":null"), ENV},
        {SAMPLE(""), INGEST_NOT_ENOUGH_SAMPLES},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":0,\"thread_id\":\"a\"}"), INGEST_NOT_ENOUGH_SAMPLES},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":0,\"thread_id\":1}"), ENV},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":0}"), ENV},
        {SAMPLE("{\"timestamp\":1,\"thread_id\":\"a\"}"), ENV},
        {SAMPLE("{\"stack_id\":0,\"thread_id\":\"a\"}"), ENV},
        {SAMPLE("{\"timestamp\":\"1\",\"stack_id\":0,\"thread_id\":\"a\"}"), ENV},
        {SAMPLE("{\"timestamp\":-1,\"stack_id\":0,\"thread_id\":\"a\"}"), ENV},
        {SAMPLE("{\"timestamp\":1e400,\"stack_id\":0,\"thread_id\":\"a\"}"), ENV},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":1.0,\"thread_id\":\"a\"}"), ENV},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":-1,\"thread_id\":\"a\"}"), ENV},
        {SAMPLE("{\"timestamp\":1,\"timestamp\":1,\"stack_id\":0,\"thread_id\":\"a\"}"), ENV},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":0,\"thread_id\":\"a\"},{\"timestamp\":67.5,"
                "\"stack_id\":0,\"thread_id\":\"a\"}"),
         INGEST_TOO_LONG},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":0,\"thread_id\":\"a\"},{\"timestamp\":67,"
                "\"stack_id\":0,\"thread_id\":\"a\"}"),
         INGEST_STORED},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":0,\"thread_id\":\"a\"},{\"timestamp\":2,"
                "\"stack_id\":0,\"thread_id\":\"a\"},{\"timestamp\":2,\"stack_id\":9,"
                "\"thread_id\":\"a\"}"),
         INGEST_MALFORMED_SAMPLES},
        {SAMPLE("{\"timestamp\":1,\"stack_id\":0,\"thread_id\":\"a\"},{\"timestamp\":2,"
                "\"stack_id\":0,\"thread_id\":\"a\"},{\"timestamp\":2,\"stack_id\":"
                "99999999999,\"thread_id\":\"b\"}"),
         INGEST_STORED},
        {WITH(SAMPLES ",\"stacks\":[[0],[1],[2]]," FRAMES), INGEST_MALFORMED_STACKS},
        {WITH(SAMPLES ",\"stacks\":[[0],[1],[4294967296]]," FRAMES), INGEST_MALFORMED_STACKS},
        {WITH(SAMPLES ",\"stacks\":[[0],[]]," FRAMES), INGEST_NOT_ENOUGH_SAMPLES},
        {FRAME("{\"lineno\":-1}"), ENV},
        {FRAME("{\"lineno\":4294967296}"), ENV},
        {FRAME("{\"lineno\":12.0}"), ENV},
        {FRAME("{\"lineno\":4294967295}"), INGEST_STORED},
        {FRAME("{\"in_app\":\"true\"}"), ENV},
        {FRAME("{\"function\":1}"), ENV},
        {FRAME("{\"function\":null,\"instruction_addr\":4096}"), INGEST_STORED},
        {FRAME("null"), ENV},
        {"{\"version\":\"3\"," PROFILER_ID ",\"platform\":\"python\"}", ENV},
        {"{\"version\":2,\"platform\":\"python\"}", ENV},
        {"{\"platform\":\"python\"}", INGEST_PLATFORM_NOT_SUPPORTED},
        {"{\"version\":null,\"platform\":\"python\"}", INGEST_PLATFORM_NOT_SUPPORTED},
        {"{\"version\":\"1\",\"platform\":\"python\",\"profile\":7}",
         INGEST_PLATFORM_NOT_SUPPORTED},
        {"{\"version\":\"2\",\"platform\":\"android\",\"sampled_profile\":\"AA\"}",
         INGEST_ANDROID_TRACE},
        {"{\"version\":\"2.android-trace\",\"platform\":\"android\",\"sampled_profile\":\"AA\"}",
         INGEST_ANDROID_TRACE},
        {"{\"version\":\"2.android-trace\",\"platform\":\"android\"}",
         INGEST_PLATFORM_NOT_SUPPORTED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decoded *d;
        struct errinfo info = {{0}};
        enum ingest_outcome outcome = INGEST_STORED;
        enum err rc = decode(cases[i].text, PROFILE_CHUNK, DECODE_ENVELOPE, &d, &outcome, &info);
        bool stored = cases[i].outcome == INGEST_STORED;
        cr_expect_eq(rc, stored ? ERR_OK : ERR_MALFORMED, "%s: %s", cases[i].text, info.text);
        if (rc == ERR_OK)
            decoded_destroy(d);
        else
            cr_expect(outcome == cases[i].outcome && info.text[0] != 0, "%s: %s (%s)",
                      cases[i].text, ingest_outcome_text(outcome), info.text);
    }
}

Test(profile_decode, addresses_of_cocoa_lose_their_authentication_bits)
{
    struct decoded *d;
    struct errinfo info = {{0}};
    enum ingest_outcome outcome;
    const char *text =
        "{\"profile\":{" SAMPLES "," STACKS
        ",\"frames\":[{\"instruction_addr\":\"0xDEAD000102adc700\"},"
        "{\"instruction_addr\":16}]},\"version\":\"2\",\"platform\":\"cocoa\"," CHUNK_ID
        "," PROFILER_ID "," SDK "}";
    cr_assert_eq(decode(text, PROFILE_CHUNK, DECODE_ENVELOPE, &d, &outcome, &info), ERR_OK, "%s",
                 info.text);
    const struct profile *p = decoded_profile(d);
    cr_expect(text_is(p, p->frames[0].instruction_addr, "0x102adc700"));
    cr_expect(text_is(p, p->frames[1].instruction_addr, "0x10"));
    decoded_destroy(d);
}

Test(profile_decode, stored_documents_may_hold_nulls_and_bad_indices)
{
    struct decoded *d;
    struct errinfo info = {{0}};
    enum ingest_outcome outcome;
    const char *text =
        "{\"version\":\"2\",\"chunk_id\":\"odd\",\"profiler_id\":null,\"received\":1700000100.25,"
        "\"retention_days\":-1,\"organization_id\":5,\"options\":{\"dsn\":1},\"platform\":null,"
        "\"measurements\":{\"any\":1},\"profile\":{\"frames\":[null,{\"name\":\"no alias\"}],"
        "\"stacks\":[[0,-1],[7],[]],\"samples\":[{\"timestamp\":2,\"stack_id\":-4,\"thread_id\":"
        "\"x\xff\"},{\"timestamp\":1,\"stack_id\":1}],\"thread_metadata\":null}}";
    cr_assert_eq(decode(text, PROFILE_CHUNK, DECODE_STORED, &d, &outcome, &info), ERR_OK, "%s",
                 info.text);
    const struct profile *p = decoded_profile(d);
    cr_expect(uuid_is_nil(p->id) && uuid_is_nil(p->profiler_id));
    cr_expect(bytes_equal(json_find(p->rest, "chunk_id"), BYTES("\"odd\"")));
    cr_expect(bytes_equal(json_find(p->rest, "received"), BYTES("1700000100.25")));
    cr_expect(bytes_equal(json_find(p->rest, "retention_days"), BYTES("-1")));
    cr_expect_null(json_find(p->rest, "profiler_id").data);
    cr_expect_eq(p->received_ns, INT64_C(1700000100250000000));
    cr_expect_eq(p->organization_id, 5);
    cr_expect_eq(p->flags, PROFILE_THREADS_NULL);
    cr_expect(p->sample_count == 2 && p->sample_stack[0] == PROFILE_NONE);
    cr_expect(p->sample_time[0] > p->sample_time[1], "as stored, not sorted");
    cr_assert_eq(p->thread_count, 2);
    cr_expect(text_is(p, p->threads[0].id, "x\xef\xbf\xbd") && p->threads[1].id == 0);
    cr_expect(p->frame_list_count == 2 && p->frame_count == 1 && p->frames[0].function == 0);
    decoded_destroy(d);

    cr_assert_eq(decode("{\"version\":\"2\"}", PROFILE_CHUNK, DECODE_STORED, &d, &outcome, &info),
                 ERR_OK, "%s", info.text);
    cr_expect_eq(decoded_profile(d)->flags, PROFILE_FRAMES_NULL | PROFILE_STACKS_NULL |
                                                PROFILE_SAMPLES_NULL | PROFILE_THREADS_NULL);
    decoded_destroy(d);
    cr_expect_eq(decode("{\"version\":\"\"}", PROFILE_CHUNK, DECODE_STORED, &d, &outcome, &info),
                 ERR_MALFORMED);
    cr_expect_eq(outcome, INGEST_ANDROID_TRACE);
    cr_expect_eq(decode("{\"version\":\"2\",\"profile\":{\"samples\":[{\"timestamp\":-1}]}}",
                        PROFILE_CHUNK, DECODE_STORED, &d, &outcome, &info),
                 ERR_MALFORMED);
    cr_expect_eq(decode("{\"version\":\"2\",\"profile\":{\"samples\":[{\"stack_id\":1.5}]}}",
                        PROFILE_CHUNK, DECODE_STORED, &d, &outcome, &info),
                 ERR_MALFORMED);
}

Test(profile_decode, stored_transaction_profiles_prefer_the_list)
{
    struct decoded *d;
    struct errinfo info = {{0}};
    enum ingest_outcome outcome;
    const char *text =
        "{\"version\":\"1\",\"event_id\":\"35b17a05fca8ca29a4294c96dfd334aa\",\"sampled\":true,"
        "\"received\":\"2023-01-01T12:00:00+02:00\",\"transaction\":{\"name\":\"b\"},"
        "\"transactions\":[{\"name\":\"a\",\"id\":\"77777777777777777777777777777777\","
        "\"duration_ns\":5,\"active_thread_id\":1},{\"name\":\"c\"}],\"transaction_tags\":"
        "{\"a\":\"b\"},\"profile\":{\"samples\":[{\"thread_id\":1,\"elapsed_since_start_ns\":1,"
        "\"stack_id\":0},{\"thread_id\":1,\"queue_address\":\"0x1\",\"state\":\"idle\"}],"
        "\"queue_metadata\":{\"0x1\":{\"label\":\"q\"}}}}";
    cr_assert_eq(decode(text, PROFILE_TRANSACTION, DECODE_STORED, &d, &outcome, &info), ERR_OK,
                 "%s", info.text);
    const struct profile *p = decoded_profile(d);
    cr_expect(text_is(p, p->transaction, "a") && (p->flags & PROFILE_SAMPLED) != 0);
    cr_expect(bytes_equal(json_find(p->rest, "transaction_duration_ns"), BYTES("5")));
    cr_expect(
        bytes_equal(json_find(p->rest, "queue_metadata"), BYTES("{\"0x1\":{\"label\":\"q\"}}")));
    cr_expect(bytes_equal(json_find(p->rest, "transaction_tags"), BYTES("{\"a\":\"b\"}")));
    cr_assert(p->sample_queue != NULL && p->sample_idle != NULL);
    cr_expect(p->sample_queue[0] == 0 && text_is(p, p->sample_queue[1], "0x1"));
    cr_expect(p->sample_idle[0] == 0 && p->sample_idle[1] == 1);
    cr_expect_eq(p->received_ns, INT64_C(1672567200000000000));
    decoded_destroy(d);
}

/* Random changes: never a crash, what is stored is good, nothing is lost track of. */
Test(profile_decode, any_damage_is_refused_or_harmless)
{
    static const char *const texts[] = {CHUNK, PROFILE};
    struct rng rng = test_rng();
    size_t before = mem_outstanding();
    unsigned stored = 0;
    for (unsigned round = 0; round < test_scale(20000); round++) {
        char text[2048];
        size_t which = rng_below(&rng, 2);
        size_t len = strlen(texts[which]);
        memcpy(text, texts[which], len);
        for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
            text[rng_below(&rng, len)] = "{}[]\",:0123456789ab-.e \\"[rng_below(&rng, 24)];
        struct decode_options options = {.kind = which == 0 ? PROFILE_CHUNK : PROFILE_TRANSACTION,
                                         .rules = rng_chance(&rng, 50) ? DECODE_ENVELOPE
                                                                       : DECODE_STORED};
        struct decoded *d;
        struct errinfo info = {{0}};
        enum ingest_outcome outcome;
        enum err rc = profile_decode(bytes_of(text, len), &options, &d, &outcome, &info);
        cr_assert(rc == ERR_OK || rc == ERR_MALFORMED, "%s", info.text);
        if (rc == ERR_OK) {
            if (options.rules == DECODE_ENVELOPE && which == 0)
                cr_assert_eq(profile_check(decoded_profile(d), &info), ERR_OK, "%.*s: %s", (int)len,
                             text, info.text);
            decoded_destroy(d);
            stored++;
        }
    }
    cr_expect_gt(stored, 100);
    cr_expect_eq(mem_outstanding(), before);
}

Test(profile_decode, no_room_and_failed_allocations_are_told_and_undone)
{
    struct errinfo info;
    struct decoded *d;
    enum ingest_outcome outcome;
    for (int which = 0; which < 2; which++) {
        const char *text = which == 0 ? CHUNK : PROFILE;
        struct decode_options options = {.kind = which == 0 ? PROFILE_CHUNK : PROFILE_TRANSACTION};
        struct mem_budget budget;
        struct mem_account account;
        enum err rc = ERR_BUSY;
        for (size_t size = 0; rc != ERR_OK; size += 16) {
            cr_assert_lt(size, KIB(64));
            mem_budget_init(&budget, size);
            mem_account_init(&account, &budget, SIZE_MAX);
            options.account = &account;
            rc = profile_decode(bytes_of_text(text), &options, &d, &outcome, &info);
            cr_assert(rc == ERR_OK || rc == ERR_BUSY || rc == ERR_LIMIT, "%zu: %s", size,
                      info.text);
            if (rc == ERR_OK)
                decoded_destroy(d);
            cr_assert_eq(account.held, 0);
        }
        size_t before = mem_outstanding();
        rc = ERR_NOMEM;
        options.account = NULL;
        for (size_t nth = 1; rc != ERR_OK; nth++) {
            cr_assert_lt(nth, 300);
            mem_fail_at(nth);
            rc = profile_decode(bytes_of_text(text), &options, &d, &outcome, &info);
            cr_assert(rc == ERR_OK || rc == ERR_NOMEM, "%zu: %s", nth, info.text);
            if (rc == ERR_OK)
                decoded_destroy(d);
            cr_assert_eq(mem_outstanding(), before, "allocation %zu", nth);
        }
        mem_fail_at(0);
    }
}
