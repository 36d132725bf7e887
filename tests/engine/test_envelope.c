#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/envelope.h"
#include "tests/support/rng.h"

/* The items of an envelope as text: type:size[payload if kept]; */
static void describe(const struct envelope *e, char *text, size_t size)
{
    size_t count, at = 0;
    const struct envelope_item *items = envelope_items(e, &count);
    text[0] = 0;
    for (size_t i = 0; i < count && at < size; i++) {
        int len = snprintf(text + at, size - at, "%.*s:%zu[%.*s];", items[i].type_size,
                           items[i].type_text, items[i].size, (int)items[i].payload.len,
                           items[i].payload.data == NULL ? "" : (char *)items[i].payload.data);
        at += (size_t)len;
    }
}

/* Feed `text` in pieces of `piece` bytes, then finish. */
static enum err run(struct envelope *e, struct bytes text, size_t piece, struct errinfo *info)
{
    while (text.len > 0) {
        size_t used;
        struct bytes next = bytes_first(text, piece);
        enum err rc = envelope_feed(e, next, &used, info);
        if (rc != ERR_OK)
            return rc;
        cr_assert_eq(used, next.len);
        text = bytes_from(text, used);
    }
    return envelope_finish(e, info);
}

static enum err run_new(struct bytes text, size_t piece, char *items, size_t size,
                        struct errinfo *info)
{
    struct envelope *e;
    cr_assert_eq(envelope_create(NULL, &e, info), ERR_OK);
    enum err rc = run(e, text, piece, info);
    describe(e, items, size);
    envelope_destroy(e);
    return rc;
}

static const struct {
    const char *text;
    const char *items; /* NULL: malformed */
} framings[] = {
    {"", NULL},
    {"\n", NULL},
    {" \r\n\t", NULL},
    {"{}", ""},
    {"{}\n", ""},
    {" \n{}\n", ""},
    {"{\n \"dsn\": null,\n \"x\": {\"y\": \"}\\\"{\"}\n}\n", ""},
    {"{}\n\n", NULL},
    {"{} \n", NULL},
    {"{}\r\n", NULL},
    {"{}x", NULL},
    {"[]\n", NULL},
    {"1\n", NULL},
    {"{", NULL},
    {"{\"a\":}\n", NULL},
    {"{\"a\":1,}\n", NULL},
    {"{\"a\":[}]}\n", NULL},
    {"{\"event_id\":\"1\"}\n", NULL},
    {"{\"event_id\":1}\n", NULL},
    {"{\"event_id\":null}\n", ""},
    {"{\"dsn\":5}\n", NULL},
    {"{\"sent_at\":1,\"sent_at\":2}\n", NULL},
    {"{\"other\":1,\"other\":2}\n", ""},
    {"{\"a\":\"\xff\"}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\"}\n{}", "profile_chunk:2[{}];"},
    {"{}\n{\"type\":\"profile_chunk\"}\n{}\n", "profile_chunk:2[{}];"},
    {"{}\n{\"type\":\"profile_chunk\"}\n{}\r\n", "profile_chunk:3[{}\r];"},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":2}\n{}", "profile_chunk:2[{}];"},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":2}\n{}\n", "profile_chunk:2[{}];"},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":3}\n{}\n", "profile_chunk:3[{}\n];"},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":null}\n{}\n", "profile_chunk:2[{}];"},
    {"{}\n{\"length\":5,\"type\":\"profile_chunk\"}\n{\n1\n}\n", "profile_chunk:5[{\n1\n}];"},
    {"{}\n{\"type\":\"profile_chunk\"}\n{\n1\n}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":1}\n{}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":4}\n{}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":2}\n{}\n\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":2}\n{} \n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":\"2\"}\n{}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":-2}\n{}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":2.0}\n{}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":true}\n{}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":4294967295}\n{}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":4294967296}\n{}\n", NULL},
    {"{}\n{\"type\":\"profile_chunk\",\"length\":2,\"length\":2}\n{}\n", NULL},
    {"{}\n{\"length\":2}\n{}\n", NULL},
    {"{}\n{\"type\":1}\n{}\n", NULL},
    {"{}\n{\"type\":null}\n{}\n", NULL},
    {"{}\nnot json\n{}\n", NULL},
    {"{}\n{\"type\":\"profile\"} \n{}\n", NULL},
    {"{}\n{\"type\":\"profile\"}", "profile:0[];"},
    {"{}\n{\"type\":\"profile\"}\n", "profile:0[];"},
    {"{}\n{\"type\":\"profile\",\"length\":0}", "profile:0[];"},
    {"{}\n{\"type\":\"profile\",\"length\":0}\n", "profile:0[];"},
    {"{}\n{\"type\":\"profile\",\"length\":0}\n\n", "profile:0[];"},
    {"{}\n{\"type\":\"profile\",\"length\":1}", NULL},
    {"{}\n{\"type\":\"profile\",\"length\":1}\n", NULL},
    {"{}\n\n \n{\"type\":\"session\"}\nabc\n\n{\"type\":\"transaction\"}\n{}\n",
     "session:3[];transaction:2[{}];"},
    {"{}\n{\"type\":\"made_up\",\"length\":5}\n\n\n\n\n\n\n{\"type\":\"profile_chunk_ui\"}\n1",
     "made_up:5[];profile_chunk_ui:1[1];"},
    {"{}\n{\"type\":\"span\",\"content_type\":\"application/vnd.sentry.items.span.v2+json\"}\n{}",
     "span:2[{}];"}};

Test(envelope, is_framed_alike_in_pieces_of_any_size)
{
    char items[256];
    for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++) {
        struct bytes text = bytes_of_text(framings[i].text);
        for (size_t piece = 1; piece <= text.len + 1; piece++) {
            struct errinfo info = {{0}};
            enum err rc = run_new(text, piece, items, sizeof(items), &info);
            cr_assert_eq(rc, framings[i].items == NULL ? ERR_MALFORMED : ERR_OK, "%s (%zu): %s",
                         framings[i].text, piece, info.text);
            if (rc == ERR_OK)
                cr_assert_str_eq(items, framings[i].items, "%s", framings[i].text);
            else
                cr_assert_not_null(strstr(info.text, "expected"), "%s: %s", framings[i].text,
                                   info.text);
        }
    }
}

Test(envelope, an_empty_platform_is_not_a_missing_one)
{
    struct envelope *e;
    struct errinfo info;
    size_t count;
    cr_assert_eq(envelope_create(NULL, &e, &info), ERR_OK);
    cr_assert_eq(run(e, BYTES("{}\n{\"type\":\"profile_chunk\",\"platform\":\"\"}\n{}"), 99, &info),
                 ERR_OK);
    struct envelope_item *items = envelope_items(e, &count);
    struct bytes platform = envelope_platform(e, &items[0]);
    cr_expect(platform.data != NULL && platform.len == 0);
    envelope_destroy(e);
}

Test(envelope, headers_tell_what_they_hold)
{
    struct envelope *e;
    struct errinfo info;
    struct bytes text = BYTES(
        "{\"event_id\":\"8B0D6C6D-A282-B55D-7D20-8604278D54F9\",\"dsn\":\"http:\\/\\/k@h/1\"}\n"
        "{\"type\":\"profile_chunk\",\"platform\":\"node\",\"meta_length\":3}\n{}\n"
        "{\"type\":\"span\",\"platform\":\"x\",\"item_count\":2,\"content_type\":"
        "\"application/vnd.sentry.items.span.v2+json\"}\n{}\n"
        "{\"type\":\"attachment\",\"platform\":null,\"meta_length\":null}\n{}\n");
    cr_assert_eq(envelope_create(NULL, &e, &info), ERR_OK);
    cr_assert_null(envelope_header(e));
    cr_assert_eq(run(e, text, 7, &info), ERR_OK, "%s", info.text);
    const struct envelope_header *h = envelope_header(e);
    char id[UUID_TEXT_SIZE + 1];
    uuid_print(h->event_id, id);
    cr_expect(h->has_event_id && h->has_dsn);
    cr_expect_str_eq(id, "8b0d6c6da282b55d7d208604278d54f9");
    cr_expect(bytes_equal(h->dsn, BYTES("http://k@h/1")));
    size_t count;
    const struct envelope_item *items = envelope_items(e, &count);
    cr_assert_eq(count, 3);
    cr_expect(bytes_equal(envelope_platform(e, &items[0]), BYTES("node")));
    cr_expect(items[0].has_meta_length && items[0].type == ENVELOPE_PROFILE_CHUNK);
    cr_expect(bytes_equal(envelope_platform(e, &items[1]), BYTES("x")));
    cr_expect(items[1].type == ENVELOPE_SPAN_CONTAINER && items[1].item_count == 2);
    cr_expect(items[2].type == ENVELOPE_ATTACHMENT && !items[2].has_meta_length);
    cr_expect_null(envelope_platform(e, &items[2]).data);
    cr_expect(envelope_needs_event_id(e));
    cr_expect_eq(envelope_size(e), text.len);
    envelope_destroy(e);
}

/* `count` items of a type with `size` bytes each. */
static enum err run_many(const char *header, size_t count, size_t size, const char *after,
                         struct mem_account *account)
{
    struct envelope *e;
    struct errinfo info;
    size_t used;
    uint8_t *payload = malloc(size + 1);
    cr_assert_not_null(payload);
    memset(payload, 'x', size);
    payload[size] = '\n';
    cr_assert_eq(envelope_create(account, &e, &info), ERR_OK);
    enum err rc = envelope_feed(e, BYTES("{}\n"), &used, &info);
    for (size_t i = 0; i < count && rc == ERR_OK; i++) {
        rc = envelope_feed(e, bytes_of_text(header), &used, &info);
        for (size_t at = 0; at <= size && rc == ERR_OK; at += used)
            rc = envelope_feed(e, bytes_first(bytes_of(payload + at, size + 1 - at), 65536), &used,
                               &info);
    }
    if (rc == ERR_OK)
        rc = envelope_feed(e, bytes_of_text(after), &used, &info);
    if (rc == ERR_OK)
        rc = envelope_finish(e, &info);
    envelope_destroy(e);
    free(payload);
    return rc;
}

Test(envelope, limits_are_those_of_each_type)
{
    static const struct {
        const char *header;
        size_t count, size;
        enum err rc;
    } cases[] = {
        {"{\"type\":\"session\"}\n", 100, 10, ERR_OK},
        {"{\"type\":\"session\"}\n", 101, 10, ERR_LIMIT},
        {"{\"type\":\"sessions\"}\n", 2, MIB(6), ERR_LIMIT},
        {"{\"type\":\"client_report\"}\n", 1, KIB(100), ERR_OK},
        {"{\"type\":\"client_report\"}\n", 1, KIB(100) + 1, ERR_LIMIT},
        {"{\"type\":\"profile\"}\n", 1, MIB(2), ERR_OK},
        {"{\"type\":\"profile_chunk\"}\n", 2, 10, ERR_LIMIT},
        {"{\"type\":\"profile_chunk\"}\n", 1, PROFILE_SIZE_MAX + 1, ERR_LIMIT},
        {"{\"type\":\"transaction\"}\n", 1, MIB(1), ERR_OK},
        {"{\"type\":\"transaction\"}\n", 1, MIB(1) + 1, ERR_LIMIT},
        {"{\"type\":\"event\"}\n", 2, 1, ERR_LIMIT},
        {"{\"type\":\"check_in\"}\n", 1, KIB(100) + 1, ERR_LIMIT},
        {"{\"type\":\"attachment\"}\n", 30, 1, ERR_OK},
        {"{\"type\":\"attachment\"}\n", 31, 1, ERR_LIMIT},
        {"{\"type\":\"replay_recording\"}\n", 1, MIB(10) + 1, ERR_LIMIT},
        {"{\"type\":\"span\"}\n", 25, 1, ERR_OK},
        {"{\"type\":\"span\"}\n", 26, 1, ERR_LIMIT},
        {"{\"type\":\"log\",\"item_count\":2}\n", 1, MIB(3), ERR_OK},
        {"{\"type\":\"log\",\"item_count\":1}\n", 1, MIB(3), ERR_LIMIT},
        {"{\"type\":\"made_up\"}\n", 5000, 1, ERR_OK},
        {"{\"type\":\"made_up\"}\n", 1, MIB(60), ERR_OK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(run_many(cases[i].header, cases[i].count, cases[i].size, "", NULL),
                     cases[i].rc, "%zu x %zu %s", cases[i].count, cases[i].size, cases[i].header);
    /* bad framing counts more than a limit */
    cr_expect_eq(run_many("{\"type\":\"session\"}\n", 101, 1, "x", NULL), ERR_MALFORMED);
}

Test(envelope, what_is_not_read_costs_no_memory)
{
    struct mem_budget budget;
    struct mem_account account;
    mem_budget_init(&budget, KIB(8));
    mem_account_init(&account, &budget, SIZE_MAX);
    cr_expect_eq(
        run_many("{\"type\":\"attachment\",\"length\":20971520}\n", 7, MIB(20), "", &account),
        ERR_OK);
    cr_expect_eq(run_many("{\"type\":\"attachment\"}\n", 11, MIB(20), "", &account), ERR_LIMIT);
    cr_expect_eq(account.held, 0);
    mem_budget_init(&budget, KIB(400)); /* a listed item is a few hundred bytes */
    cr_expect_eq(run_many("{\"type\":\"u\"}\n", 300000, 0, "", &account), ERR_OK);
    cr_expect_eq(account.held, 0);
}

Test(envelope, waits_for_room_and_goes_on)
{
    struct mem_budget budget;
    struct mem_account account, other;
    struct envelope *e;
    struct errinfo info;
    char items[64];
    struct rng rng = test_rng();
    static char text[20000];
    int len = snprintf(text, sizeof(text), "{}\n{\"type\":\"profile\",\"length\":19000}\n%*s\n",
                       19000, "x");
    for (int round = 0; round < 50; round++) {
        struct bytes rest = bytes_of(text, (size_t)len);
        mem_budget_init(&budget, KIB(64));
        mem_account_init(&account, &budget, SIZE_MAX);
        mem_account_init(&other, &budget, SIZE_MAX);
        size_t taken = KIB(64) - rng_below(&rng, 19000);
        cr_assert_eq(mem_account_reserve(&other, taken), ERR_OK);
        cr_assert_eq(envelope_create(&account, &e, &info), ERR_OK);
        unsigned busy = 0;
        while (rest.len > 0) {
            size_t used = 0;
            enum err rc = envelope_feed(e, bytes_first(rest, 1000), &used, &info);
            rest = bytes_from(rest, used);
            if (rc == ERR_BUSY && ++busy > 3)
                mem_account_close(&other), mem_account_init(&other, &budget, SIZE_MAX);
            cr_assert(rc == ERR_OK || rc == ERR_BUSY, "%s", info.text);
        }
        cr_assert_eq(envelope_finish(e, &info), ERR_OK);
        cr_expect_gt(busy, 0);
        describe(e, items, 16);
        cr_expect(strncmp(items, "profile:19000[", 14) == 0, "%s", items);
        envelope_destroy(e);
        cr_expect_eq(account.held, 0);
        mem_account_close(&other);
    }
}

Test(envelope, survives_any_failed_allocation)
{
    struct bytes text = BYTES("{\"dsn\":\"http://k@h/1\",\"x\":\"\\n\"}\n{\"type\":\"profile\","
                              "\"platform\":\"a\\nb\"}\n{\"a\":1}\n{\"type\":\"session\"}\n{}\n");
    size_t before = mem_outstanding();
    enum err rc = ERR_NOMEM;
    for (size_t nth = 1; rc != ERR_OK; nth++) {
        struct envelope *e;
        struct errinfo info;
        mem_fail_at(nth);
        rc = envelope_create(NULL, &e, &info);
        if (rc == ERR_OK) {
            rc = run(e, text, 9, &info);
            envelope_destroy(e);
        }
        cr_assert(rc == ERR_OK || rc == ERR_NOMEM, "%zu: %s", nth, info.text);
        cr_assert_eq(mem_outstanding(), before, "leak at allocation %zu", nth);
        cr_assert_lt(nth, 100);
    }
    mem_fail_at(0);
}

/* Processor seconds for `listed` items that are in the list and many that are too many. */
static double seconds_of_refused(size_t listed)
{
    enum { REFUSED = 50000 };
    struct buffer text;
    struct errinfo info;
    buffer_init(&text, MIB(8), NULL);
    buffer_put(&text, BYTES("{}\n"));
    for (size_t i = 0; i < listed; i++)
        buffer_put(&text, BYTES("{\"type\":\"x\"}\n\n"));
    for (size_t i = 0; i < REFUSED; i++)
        buffer_put(&text, BYTES("{\"type\":\"check_in\"}\n\n"));
    clock_t start = clock();
    cr_expect_eq(run_new(buffer_bytes(&text), KIB(64), (char[1]){0}, 1, &info), ERR_LIMIT);
    clock_t end = clock();
    buffer_close(&text);
    return (double)(end - start) / CLOCKS_PER_SEC;
}

Test(envelope, items_that_are_too_many_cost_the_same_however_many_are_kept)
{
    double alone = seconds_of_refused(0);
    double many = seconds_of_refused(ENVELOPE_ITEMS_LISTED);
    cr_expect(many < 3 * alone + 0.05, "%.3f s, alone %.3f s", many, alone);
}
