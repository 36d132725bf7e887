#include <stdio.h>

#include <criterion/criterion.h>
#include <dirent.h>

#include "base/json_writer.h"
#include "base/limits.h"
#include "engine/document.h"
#include "engine/json_reader.h"
#include "engine/profile_decode.h"
#include "tests/support/file.h"
#include "tests/support/hand_profile.h"

static struct decoded *decode(struct bytes json, enum profile_kind kind)
{
    struct decode_options options = {.kind = kind, .rules = DECODE_STORED};
    struct decoded *d = NULL;
    struct errinfo info = {0};
    enum ingest_outcome outcome;
    enum err rc = profile_decode(json, &options, &d, &outcome, &info);
    cr_assert_eq(rc, ERR_OK, "%s", info.text);
    return d;
}

/* The whole document in slices of `want`; gives the longest slice. */
static size_t write_document(const struct profile *p, size_t want, struct buffer *out)
{
    struct arena arena;
    struct document_writer *w = NULL;
    size_t longest = 0;
    bool done = false;
    arena_init(&arena, MIB(64), NULL);
    buffer_clear(out);
    cr_assert_eq(document_writer_create(p, &arena, &w), ERR_OK);
    while (!done) {
        size_t before = out->len;
        cr_assert_eq(document_writer_next(w, want, out, &done), ERR_OK);
        size_t slice = out->len - before;
        cr_assert(done || slice >= want);
        longest = slice > longest ? slice : longest;
    }
    size_t len = out->len;
    cr_assert_eq(document_writer_next(w, want, out, &done), ERR_OK);
    cr_expect(done && out->len == len, "nothing follows the end");
    arena_close(&arena);
    return longest;
}

/* ---- documents of cases and recordings ---- */

static void check_slices(const char *name, const struct profile *p, const struct buffer *whole)
{
    static const size_t wants[] = {1, 100, 4096};
    struct buffer out;
    buffer_init(&out, MIB(64), NULL);
    for (size_t i = 0; i < 3; i++) {
        (void)write_document(p, wants[i], &out);
        cr_expect(bytes_equal(buffer_bytes(&out), buffer_bytes(whole)), "%s in slices of %zu", name,
                  wants[i]);
    }
    buffer_close(&out);
}

static void rewrite(const struct buffer *document, enum profile_kind kind, struct buffer *out)
{
    struct decoded *d = decode(buffer_bytes(document), kind);
    buffer_init(out, MIB(64), NULL);
    (void)write_document(decoded_profile(d), SIZE_MAX, out);
    decoded_destroy(d);
}

/* What was written reads back as the same document. (Leftovers keep the order of their keys, which
 * the decoder puts in its own once.) */
static void check_document(const char *name, struct bytes document)
{
    bool is_chunk = bytes_equal(json_find(document, "version"), BYTES("\"2\""));
    enum profile_kind kind = is_chunk ? PROFILE_CHUNK : PROFILE_TRANSACTION;
    struct decoded *d = decode(document, kind);
    struct buffer once;
    struct buffer twice;
    struct buffer thrice;
    buffer_init(&once, MIB(64), NULL);
    (void)write_document(decoded_profile(d), SIZE_MAX, &once);
    check_slices(name, decoded_profile(d), &once);
    rewrite(&once, kind, &twice);
    rewrite(&twice, kind, &thrice);
    cr_expect_eq(once.len, twice.len, "%s changes when read back", name);
    cr_expect(bytes_equal(buffer_bytes(&twice), buffer_bytes(&thrice)),
              "%s changes when read back again", name);
    decoded_destroy(d);
    buffer_close(&once);
    buffer_close(&twice);
    buffer_close(&thrice);
}

Test(document, reads_back_as_it_was_written)
{
    char dir_path[512];
    unsigned count = 0;
    cr_assert(source_path(dir_path, sizeof(dir_path), "tests/data/conformance"));
    DIR *dir = opendir(dir_path);
    cr_assert_not_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[1024];
        struct bytes text = {NULL, 0};
        snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
        if (strstr(entry->d_name, ".json") == NULL)
            continue;
        cr_assert(file_read(path, &text));
        struct bytes document = json_find(bytes_trim(text), "input");
        document = document.data == NULL ? document : json_find(document, "document");
        if (document.data != NULL) {
            check_document(entry->d_name, document);
            count++;
        }
        file_free(&text);
    }
    closedir(dir);
    cr_expect_gt(count, 60, "%u documents", count);
}

/* ---- memory ---- */

#define BIG_VALUES  20000
#define BIG_SAMPLES 50000

static void put_big(struct buffer *json)
{
    buffer_put(json, BYTES("{\"version\":\"2\",\"platform\":\"python\",\"measurements\":{\"cpu\":{"
                           "\"unit\":\"percent\",\"values\":["));
    for (unsigned i = 0; i < BIG_VALUES; i++)
        buffer_printf(json, "%s{\"timestamp\":%u.5,\"value\":%u}", i == 0 ? "" : ",", i, i);
    buffer_put(json, BYTES("]}},\"profile\":{\"frames\":[{\"function\":\"f\"}],\"stacks\":[["));
    for (unsigned i = 0; i < 10000; i++)
        buffer_printf(json, "%s0", i == 0 ? "" : ",");
    buffer_put(json, BYTES("]],\"samples\":["));
    for (unsigned i = 0; i < BIG_SAMPLES; i++)
        buffer_printf(json, "%s{\"stack_id\":0,\"thread_id\":\"1\",\"timestamp\":%u.25}",
                      i == 0 ? "" : ",", i);
    buffer_put(json, BYTES("]}}"));
}

/* However long its lists and leftovers are: no slice is longer than asked for by more than a piece
 * of 64 KiB, and between slices the writer holds a few hundred bytes. */
Test(document, holds_one_slice)
{
    struct buffer json;
    struct buffer out;
    buffer_init(&json, MIB(64), NULL);
    buffer_init(&out, MIB(64), NULL);
    put_big(&json);
    struct decoded *d = decode(buffer_bytes(&json), PROFILE_CHUNK);
    size_t longest = write_document(decoded_profile(d), 4096, &out);
    cr_expect_gt(out.len, MIB(3));
    cr_expect_leq(longest, 4096 + KIB(64) + 64, "%zu", longest);

    struct mem_account account;
    struct arena arena;
    struct document_writer *w = NULL;
    bool done = false;
    mem_account_init(&account, NULL, KIB(8));
    arena_init(&arena, MIB(1), &account);
    cr_assert_eq(document_writer_create(decoded_profile(d), &arena, &w), ERR_OK);
    while (!done) {
        buffer_clear(&out);
        cr_assert_eq(document_writer_next(w, 1000, &out, &done), ERR_OK);
    }
    arena_close(&arena);
    decoded_destroy(d);
    buffer_close(&json);
    buffer_close(&out);
}

Test(document, a_full_buffer_is_told)
{
    struct hand_profile h;
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    for (size_t max = 0; max < 600; max++) {
        struct arena arena;
        struct buffer out;
        struct document_writer *w = NULL;
        bool done = false;
        arena_init(&arena, KIB(64), NULL);
        buffer_init(&out, max, NULL);
        cr_assert_eq(document_writer_create(&h.profile, &arena, &w), ERR_OK);
        enum err rc = document_writer_next(w, SIZE_MAX, &out, &done);
        if (max < 300)
            cr_expect_eq(rc, ERR_LIMIT, "%zu", max);
        if (max >= 500)
            cr_expect(rc == ERR_OK && done, "%zu", max);
        buffer_close(&out);
        arena_close(&arena);
    }
}

/* ---- odd documents ---- */

Test(document, bad_indices_are_written_as_bad_ones)
{
    static const char document[] =
        "{\"version\":\"2\",\"profile\":{\"frames\":[{}],\"stacks\":[[0,7],[-1]],\"samples\":[{"
        "\"stack_id\":9,\"thread_id\":\"1\",\"timestamp\":1},{\"stack_id\":-4,\"thread_id\":\"1\","
        "\"timestamp\":2}]}}";
    struct decoded *d = decode(bytes_of_text(document), PROFILE_CHUNK);
    struct buffer out;
    buffer_init(&out, KIB(64), NULL);
    (void)write_document(decoded_profile(d), 1, &out);
    cr_expect(bytes_contains(buffer_bytes(&out), BYTES("\"stacks\":[[0,7],[-1]]")), "%.*s",
              (int)out.len, (const char *)out.data);
    cr_expect(bytes_contains(buffer_bytes(&out), BYTES("[{\"stack_id\":9,\"thread_id\":\"1\","
                                                       "\"timestamp\":1},{\"stack_id\":-1,"
                                                       "\"thread_id\":\"1\",\"timestamp\":2}]")),
              "%.*s", (int)out.len, (const char *)out.data);
    decoded_destroy(d);
    buffer_close(&out);
}

/* Each list says for itself whether it was missing. */
Test(document, missing_lists_are_null_and_empty_ones_are_not)
{
    static const char *const lists[][2] = {
        {"frames", "[]"}, {"stacks", "[]"}, {"samples", "[]"}, {"thread_metadata", "{}"}};
    for (unsigned missing = 0; missing < 16; missing++) {
        struct buffer json;
        struct buffer out;
        struct buffer wanted;
        buffer_init(&json, KIB(4), NULL);
        buffer_init(&out, KIB(4), NULL);
        buffer_init(&wanted, KIB(4), NULL);
        for (unsigned i = 0; i < 4; i++)
            buffer_printf(&wanted, "%s\"%s\":%s", i == 0 ? "\"profile\":{" : ",", lists[i][0],
                          (missing >> i & 1) != 0 ? "null" : lists[i][1]);
        buffer_put(&json, BYTES("{\"version\":\"2\","));
        buffer_put(&json, buffer_bytes(&wanted));
        buffer_put(&json, BYTES("}}"));
        struct decoded *d = decode(buffer_bytes(&json), PROFILE_CHUNK);
        (void)write_document(decoded_profile(d), SIZE_MAX, &out);
        cr_expect(bytes_contains(buffer_bytes(&out), buffer_bytes(&wanted)), "%.*s became %.*s",
                  (int)wanted.len, (const char *)wanted.data, (int)out.len, (const char *)out.data);
        decoded_destroy(d);
        buffer_close(&json);
        buffer_close(&out);
        buffer_close(&wanted);
    }
}

/* ---- normalisation beyond the cases ---- */

Test(document, normalising_shares_what_it_does_not_change)
{
    struct hand_profile h;
    struct arena arena;
    struct profile n;
    hand_profile_init(&h, PROFILE_CHUNK, "node");
    hand_frame(&h, (struct hand_frame){.function = "f"});
    hand_stack(&h, "0");
    hand_sample(&h, hand_thread(&h, "1", NULL), 0, 1);
    arena_init(&arena, MIB(1), NULL);
    cr_assert_eq(normalize_profile(&h.profile, &arena, &n, NULL), ERR_OK);
    cr_expect_eq(n.strings, h.profile.strings);
    cr_expect_eq(n.stacks, h.profile.stacks);
    cr_expect_eq(n.node_parent, h.profile.node_parent);
    cr_expect_eq(n.sample_time, h.profile.sample_time);
    cr_expect_eq(n.sample_stack, h.profile.sample_stack);
    cr_expect_null(n.sample_idle);
    cr_expect_eq(h.frames[0].in_app, IN_APP_ABSENT, "the stored one is left alone");
    cr_expect_eq(n.frames[0].in_app, IN_APP_TRUE);
    arena_close(&arena);
}

#define STATUS(s) "{\"data\":{\"symbolicator_status\":\"" s "\"},\"lang\":\"c\",\"status\":\"old\"}"

/* A stack per line, leaf first, as the functions' first letters. */
static void print_stacks(const struct profile *p, struct buffer *out)
{
    for (size_t i = 0; i < p->stack_count; i++) {
        for (uint32_t n = p->stacks[i]; n != PROFILE_NONE; n = p->node_parent[n]) {
            const struct profile_frame *f = profile_node_frame(p, n);
            buffer_put_u8(out, f == NULL ? '?' : profile_string(p, f->function).data[0]);
        }
        buffer_put_u8(out, ' ');
    }
}

Test(document, cocoa_stacks_lose_what_runs_before_main)
{
    struct hand_profile h;
    struct arena arena;
    struct profile n;
    struct buffer text;
    hand_profile_init(&h, PROFILE_TRANSACTION, "cocoa");
    hand_frame(&h, (struct hand_frame){.function = "main"});
    hand_frame(&h, (struct hand_frame){.function = "start", .rest = STATUS("missing")});
    hand_frame(&h, (struct hand_frame){.function = "kept", .rest = STATUS("symbolicated")});
    hand_frame(&h, (struct hand_frame){.function = "app"});
    hand_frame(&h, (struct hand_frame){.function = "main", .line = 9}); /* not the first main */
    static const char *const stacks[] = {"3021", "30",   "31", "4021",          "3012121",
                                         "041",  "3001", "",   "3011111111111", "301111111111"};
    for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++)
        hand_stack(&h, stacks[i]);
    arena_init(&arena, MIB(1), NULL);
    buffer_init(&text, KIB(4), NULL);
    cr_assert_eq(normalize_profile(&h.profile, &arena, &n, NULL), ERR_OK);
    print_stacks(&n, &text);
    buffer_put_u8(&text, 0);
    cr_expect_str_eq((const char *)text.data,
                     "amk am as mmk amkk m amm  amsssssssssss amssssssssss ",
                     "an outermost main and one beyond the tenth entry change nothing");
    struct errinfo info = {0};
    cr_expect_eq(profile_check_shape(&n, &info), ERR_OK, "%s", info.text);
    struct bytes rest = profile_string(&n, n.frames[2].rest);
    cr_expect(bytes_equal(json_find(rest, "status"), BYTES("\"symbolicated\"")));
    cr_expect(bytes_equal(json_find(rest, "lang"), BYTES("\"c\"")));
    buffer_close(&text);
    arena_close(&arena);
}

/* Threads are filled one after another, by id; a bad index is neither idle nor active. */
Test(document, idle_samples_are_filled_thread_by_thread)
{
    struct hand_profile h;
    struct arena arena;
    struct profile n;
    struct buffer text;
    hand_profile_init(&h, PROFILE_TRANSACTION, "php");
    hand_frame(&h, (struct hand_frame){.function = "a"});
    hand_frame(&h, (struct hand_frame){.function = "b"});
    hand_frame(&h, (struct hand_frame){.function = "c"});
    uint32_t ba = hand_stack(&h, "10");
    uint32_t ca = hand_stack(&h, "20");
    uint32_t idle = hand_stack(&h, "");
    uint32_t ten = hand_thread(&h, "10", NULL);
    uint32_t two = hand_thread(&h, "2", NULL);
    const uint32_t stacks[] = {ba, idle, 77, idle, ca, idle, ba};
    for (uint32_t i = 0; i < 7; i++) {
        hand_sample(&h, ten, stacks[i], i);
        hand_sample(&h, two, i == 1 ? idle : ba, i);
    }
    arena_init(&arena, MIB(1), NULL);
    buffer_init(&text, KIB(4), NULL);
    cr_assert_eq(normalize_profile(&h.profile, &arena, &n, NULL), ERR_OK);
    print_stacks(&n, &text);
    for (size_t i = 0; i < n.sample_count; i++)
        buffer_printf(&text, "%u%s", n.sample_stack[i], n.sample_idle[i] != 0 ? "i " : " ");
    buffer_put_u8(&text, 0);
    /* new stacks: 3 for thread 2, then 4 and 5 for thread 10; the second gap of thread 10 is
     * compared with what was before the first one */
    cr_expect_str_eq((const char *)text.data, "ba ca  ba a ba 0 0 4i 3i 77 0 4i 0 1 0 5i 0 0 0 ");
    cr_expect_eq(h.sample_stack[2], idle, "the stored one is left alone");
    buffer_close(&text);
    arena_close(&arena);
}

Test(document, normalising_fails_cleanly_without_memory)
{
    struct hand_profile h;
    hand_profile_init(&h, PROFILE_TRANSACTION, "cocoa");
    hand_frame(&h, (struct hand_frame){.function = "main", .rest = STATUS("symbolicated")});
    uint32_t active = hand_stack(&h, "0");
    uint32_t idle = hand_stack(&h, "");
    uint32_t thread = hand_thread(&h, "1", NULL);
    hand_sample(&h, thread, active, 0);
    hand_sample(&h, thread, idle, 1);
    hand_sample(&h, thread, active, 2);
    size_t before = mem_outstanding();
    unsigned failures = 0;
    for (size_t max = 0; max < 16384; max += 32) {
        struct mem_account account;
        struct arena arena;
        struct profile n;
        mem_account_init(&account, NULL, max);
        arena_init(&arena, MIB(1), &account);
        enum err rc = normalize_profile(&h.profile, &arena, &n, NULL);
        arena_close(&arena);
        cr_expect(rc == ERR_OK || rc == ERR_LIMIT, "%s", err_text(rc));
        cr_expect_eq(account.held, 0);
        cr_expect_eq(mem_outstanding(), before);
        failures += rc != ERR_OK;
    }
    cr_expect_gt(failures, 10);
    cr_expect_lt(failures, 512);
}
