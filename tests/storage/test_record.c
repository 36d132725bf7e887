#include <criterion/criterion.h>

#include "storage/record.h"
#include "tests/support/random_profile.h"
#include "tests/support/small_chunk.h"

static struct record parse(const struct buffer *out)
{
    struct record record;
    struct bytes facts;
    struct bytes block;
    struct errinfo info = {0};
    cr_assert_eq(record_split(buffer_bytes(out), &facts, &block, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(record_parse(facts, &record, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(record.block_size, block.len);
    return record;
}

static struct record encode(const struct profile *p, struct buffer *out)
{
    buffer_clear(out);
    cr_assert_eq(record_encode_profile(p, out, NULL), ERR_OK);
    return parse(out);
}

Test(record, facts_are_those_of_the_profile)
{
    struct rng rng = test_rng();
    struct buffer out;
    buffer_init(&out, 1 << 20, NULL);
    for (unsigned round = 0; round < 200; round++) {
        struct arena arena;
        struct profile p;
        arena_init(&arena, 64 << 20, NULL);
        random_profile(&rng, &arena, 30, &p);
        struct record r = encode(&p, &out);
        int64_t start_ns = p.sample_count == 0 ? p.timestamp_ns : INT64_MAX;
        int64_t end_ns = p.sample_count == 0 ? p.timestamp_ns : INT64_MIN;
        for (size_t i = 0; i < p.sample_count; i++) {
            int64_t ns = profile_sample_ns(&p, i);
            start_ns = ns < start_ns ? ns : start_ns;
            end_ns = ns > end_ns ? ns : end_ns;
        }
        cr_assert_eq(r.start_ns, start_ns);
        cr_assert_eq(r.end_ns, end_ns);
        cr_assert_eq(r.sample_count, p.sample_count);
        cr_assert_eq((int)r.kind, (int)p.kind);
        cr_assert_eq(r.received_ns, p.received_ns);
        cr_assert_eq(r.retention_days, p.retention_days);
        cr_assert(uuid_equal(r.id, p.id));
        cr_assert(bytes_equal(r.text[TEXT_RELEASE], profile_string(&p, p.release)));
        cr_assert(bytes_equal(r.text[TEXT_TRANSACTION], profile_string(&p, p.transaction)));
        arena_close(&arena);
    }
    buffer_close(&out);
}

Test(record, content_is_all_but_the_arrival)
{
    struct rng rng = test_rng();
    struct buffer out;
    struct arena arena;
    struct profile p;
    buffer_init(&out, 1 << 20, NULL);
    arena_init(&arena, 64 << 20, NULL);
    do
        random_profile(&rng, &arena, 30, &p);
    while (p.string_count < 2 || p.kind != PROFILE_CHUNK);
    struct hash128 content = encode(&p, &out).content;
    struct profile other = p;
    other.received_ns++;
    cr_assert(hash128_equal(encode(&other, &out).content, content));
    other = p;
    other.release = (p.release + 1) % (uint32_t)p.string_count;
    cr_assert_not(hash128_equal(encode(&other, &out).content, content));
    other = p;
    other.retention_days++;
    cr_assert_not(hash128_equal(encode(&other, &out).content, content));
    other = p;
    other.flags ^= PROFILE_STACKS_NULL;
    cr_assert_not(hash128_equal(encode(&other, &out).content, content));
    arena_close(&arena);
    buffer_close(&out);
}

Test(record, links_come_back)
{
    struct buffer out;
    struct link link = {.project_id = 9,
                        .profiler_id = small_id(1),
                        .trace_id = small_id(2),
                        .transaction_id = small_id(3),
                        .span_id = UINT64_MAX,
                        .parent_span_id = 7,
                        .start_ns = -5,
                        .end_ns = INT64_MAX,
                        .is_segment = true,
                        .name = BYTES("GET /"),
                        .op = BYTES("http.server"),
                        .thread_id = BYTES("140"),
                        .thread_name = BYTES("main"),
                        .environment = BYTES("e"),
                        .release = BYTES("r"),
                        .platform = BYTES("python")};
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(record_encode_link(&link, &out, NULL), ERR_OK);
    struct record r = parse(&out);
    cr_assert_eq(r.kind, RECORD_LINK);
    cr_assert_eq(r.link.project_id, 9);
    cr_assert(uuid_equal(r.link.transaction_id, link.transaction_id));
    cr_assert(r.link.span_id == UINT64_MAX && r.link.parent_span_id == 7);
    cr_assert(r.link.start_ns == -5 && r.link.end_ns == INT64_MAX && r.link.is_segment);
    cr_assert(bytes_equal(r.link.op, link.op) && bytes_equal(r.link.platform, link.platform));

    struct bytes facts;
    struct bytes block;
    cr_assert_eq(record_split(buffer_bytes(&out), &facts, &block, NULL), ERR_OK);
    for (size_t len = 0; len < facts.len; len++)
        cr_assert_eq(record_parse(bytes_first(facts, len), &r, NULL), ERR_CORRUPT, "%zu", len);
    for (size_t len = 0; len < out.len; len++)
        cr_assert_eq(record_split(bytes_first(buffer_bytes(&out), len), &facts, &block, NULL),
                     ERR_CORRUPT);
    buffer_close(&out);
}

/* So it need not be kept where the link itself is. */
Test(record, the_content_of_a_link_follows_from_its_facts)
{
    struct buffer out;
    struct buffer scratch;
    struct hash128 content;
    struct link link = {.project_id = 9, .trace_id = small_id(2), .name = BYTES("GET /")};
    buffer_init(&out, 1 << 20, NULL);
    buffer_init(&scratch, 200, NULL);
    cr_assert_eq(record_encode_link(&link, &out, NULL), ERR_OK);
    struct record r = parse(&out);
    for (unsigned again = 0; again < 2; again++) {
        cr_assert_eq(record_link_content(&r.link, &scratch, &content), ERR_OK);
        cr_assert(hash128_equal(content, r.content));
    }
    link.release = BYTES("1.0");
    cr_assert_eq(record_link_content(&link, &scratch, &content), ERR_OK);
    cr_assert_not(hash128_equal(content, r.content));
    static const char long_text[300];
    link.op = bytes_of(long_text, sizeof long_text);
    cr_assert_eq(record_link_content(&link, &scratch, &content), ERR_LIMIT);
    buffer_close(&scratch);
    buffer_close(&out);
}

Test(record, refuses_profiles_that_break_their_promises)
{
    struct rng rng = test_rng();
    struct buffer out;
    struct arena arena;
    struct profile p;
    buffer_init(&out, 1 << 20, NULL);
    arena_init(&arena, 64 << 20, NULL);
    do
        random_profile(&rng, &arena, 30, &p);
    while (p.sample_count == 0);
    struct profile bad = p;
    bad.thread_count = 0;
    cr_assert_eq(record_encode_profile(&bad, &out, NULL), ERR_CORRUPT);
    bad = p;
    bad.release = (uint32_t)p.string_count;
    cr_assert_eq(record_encode_profile(&bad, &out, NULL), ERR_CORRUPT);
    bad = p;
    bad.string_count = 0;
    cr_assert_eq(record_encode_profile(&bad, &out, NULL), ERR_CORRUPT);
    cr_assert_eq(out.len, 0);
    arena_close(&arena);
    buffer_close(&out);
}
