#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>
#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>

#include "base/limits.h"
#include "engine/content_coding.h"
#include "tests/support/file.h"
#include "tests/support/rng.h"

Test(content_coding, names_in_any_spelling)
{
    static const struct {
        const char *header;
        enum content_coding coding;
    } cases[] = {{"", CODING_IDENTITY},
                 {"identity", CODING_IDENTITY},
                 {"utf-8", CODING_IDENTITY},
                 {"UTF-8", CODING_IDENTITY},
                 {"made up", CODING_IDENTITY},
                 {"gzip", CODING_GZIP},
                 {"GZip", CODING_GZIP},
                 {"x-gzip", CODING_GZIP},
                 {" gzip ", CODING_GZIP},
                 {"deflate", CODING_DEFLATE},
                 {"br", CODING_BR},
                 {"BR", CODING_BR},
                 {"zstd", CODING_ZSTD},
                 {"gzipped", CODING_IDENTITY}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(content_coding_parse(bytes_of_text(cases[i].header)), cases[i].coding, "%s",
                     cases[i].header);
    cr_expect_eq(content_coding_parse((struct bytes){NULL, 0}), CODING_IDENTITY);
    cr_expect_str_eq(content_coding_name(CODING_ZSTD), "zstd");
}

/* ---- coded bodies: made here, brotli's from the composed requests ---- */

static void put_deflated(struct buffer *out, struct bytes text, bool gzip)
{
    z_stream z = {0};
    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, gzip ? 31 : 15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, text.len);
    uint8_t *to = buffer_extend(out, room);
    z.next_in = (Bytef *)(uintptr_t)text.data;
    z.avail_in = (uInt)text.len;
    z.next_out = to;
    z.avail_out = (uInt)room;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len -= z.avail_out;
    deflateEnd(&z);
}

static void put_zstd(struct buffer *out, struct bytes text, bool with_size)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(text.len);
    uint8_t *to = buffer_extend(out, room);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, with_size);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    size_t made = ZSTD_compress2(c, to, room, text.data, text.len);
    cr_assert_not(ZSTD_isError(made));
    out->len -= room - made;
    ZSTD_freeCCtx(c);
}

static void put_brotli(struct buffer *out)
{
    char path[512];
    struct bytes body;
    cr_assert(source_path(path, sizeof(path), "tests/data/edge/coding-br-4.body"));
    cr_assert(file_read(path, &body));
    buffer_put(out, body);
    file_free(&body);
}

enum body_kind {
    BODY_GZIP,
    BODY_MEMBERS,
    BODY_DEFLATE,
    BODY_ZSTD,
    BODY_ZSTD_UNKNOWN,
    BODY_FRAMES,
    BODY_BR,
    BODY_KINDS
};

static const enum content_coding body_codings[BODY_KINDS] = {
    CODING_GZIP, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD, CODING_ZSTD, CODING_ZSTD, CODING_BR};

static void make_body(enum body_kind kind, struct bytes text, struct buffer *out)
{
    struct bytes half = bytes_first(text, text.len / 2);
    struct bytes rest = bytes_from(text, text.len / 2);
    buffer_init(out, MIB(64), NULL);
    switch (kind) {
    case BODY_GZIP: put_deflated(out, text, true); break;
    case BODY_MEMBERS:
        put_deflated(out, half, true);
        put_deflated(out, rest, true);
        break;
    case BODY_DEFLATE: put_deflated(out, text, false); break;
    case BODY_ZSTD: put_zstd(out, text, true); break;
    case BODY_ZSTD_UNKNOWN: put_zstd(out, text, false); break;
    case BODY_FRAMES:
        put_zstd(out, half, true);
        put_zstd(out, rest, false);
        break;
    default: put_brotli(out); break;
    }
}

static enum err decode_stream(enum content_coding coding, struct bytes in, size_t limit,
                              struct mem_account *account, struct rng *rng, struct buffer *out,
                              struct errinfo *info)
{
    struct content_decoder *d;
    uint8_t piece[512];
    enum err rc = content_decoder_create(coding, limit, account, &d, info);
    bool more = true;
    unsigned idle = 0; /* pieces may be empty, but not for ever */
    if (rc != ERR_OK)
        return rc;
    while (rc == ERR_OK && (more || in.len > 0)) {
        size_t used, made;
        size_t room = 1 + rng_below(rng, sizeof(piece));
        rc = content_decoder_feed(d, bytes_first(in, rng_below(rng, 300)), &used, piece, room,
                                  &made, info);
        in = bytes_from(in, used);
        idle = used > 0 || made > 0 ? 0 : idle + 1;
        cr_assert_lt(idle, 1000, "neither input nor output moves");
        more = idle == 0;
        if (out != NULL)
            buffer_put(out, bytes_of(piece, made));
    }
    if (rc == ERR_OK)
        rc = content_decoder_finish(d, info);
    content_decoder_destroy(d);
    return rc;
}

static enum err decode_whole(enum content_coding coding, struct bytes in, struct buffer *out,
                             struct errinfo *info)
{
    /* exactly as long as the input: one byte too far is seen */
    uint8_t *copy = malloc(in.len == 0 ? 1 : in.len);
    cr_assert_not_null(copy);
    if (in.len > 0)
        memcpy(copy, in.data, in.len);
    enum err rc = content_decode_whole(coding, bytes_of(copy, in.len), out, info);
    free(copy);
    return rc;
}

static struct buffer sample_text(size_t size)
{
    struct buffer text;
    struct rng rng = rng_seeded(7);
    buffer_init(&text, MIB(64), NULL);
    while (text.len < size)
        buffer_printf(&text, "{\"stack_id\":%u,\"thread_id\":\"140\",\"timestamp\":%u.5},",
                      (unsigned)rng_below(&rng, 300), (unsigned)rng_below(&rng, 100000));
    return text;
}

Test(content_coding, whole_and_stream_give_what_was_coded)
{
    struct rng rng = test_rng();
    struct errinfo info = {{0}};
    for (int kind = 0; kind < BODY_KINDS; kind++)
        for (size_t size = 1; size < 300000; size = size * 13 + 5) {
            struct buffer text = sample_text(size);
            struct buffer body, whole, stream;
            make_body(kind, buffer_bytes(&text), &body);
            buffer_init(&whole, MIB(16), NULL);
            buffer_init(&stream, MIB(16), NULL);
            cr_assert_eq(decode_whole(body_codings[kind], buffer_bytes(&body), &whole, &info),
                         ERR_OK, "%d %zu: %s", kind, size, info.text);
            cr_assert_eq(decode_stream(body_codings[kind], buffer_bytes(&body), MIB(16), NULL, &rng,
                                       &stream, &info),
                         ERR_OK, "%d %zu: %s", kind, size, info.text);
            cr_expect(bytes_equal(buffer_bytes(&whole), buffer_bytes(&stream)), "%d", kind);
            if (kind != BODY_BR)
                cr_expect(bytes_equal(buffer_bytes(&whole), buffer_bytes(&text)), "%d", kind);
            cr_expect_gt(whole.len, 0);
            buffer_close(&text);
            buffer_close(&body);
            buffer_close(&whole);
            buffer_close(&stream);
        }
}

Test(content_coding, damage_and_truncation_are_seen_everywhere)
{
    struct rng rng = test_rng();
    struct errinfo info;
    struct buffer text = sample_text(700);
    for (int kind = 0; kind < BODY_KINDS; kind++) {
        struct buffer body, out;
        make_body(kind, buffer_bytes(&text), &body);
        buffer_init(&out, MIB(1), NULL);
        /* where the first member or frame ends is a whole body too */
        unsigned whole_ends = 0, stream_ends = 0;
        for (size_t len = 0; len < body.len; len++) {
            struct bytes cut = bytes_first(buffer_bytes(&body), len);
            enum err rc = decode_whole(body_codings[kind], cut, &out, &info);
            cr_assert(rc == ERR_MALFORMED || rc == ERR_OK);
            whole_ends += rc == ERR_OK;
            rc = decode_stream(body_codings[kind], cut, MIB(1), NULL, &rng, NULL, &info);
            cr_assert(rc == ERR_MALFORMED || rc == ERR_OK);
            stream_ends += rc == ERR_OK;
            buffer_clear(&out);
        }
        unsigned wanted = kind == BODY_MEMBERS || kind == BODY_FRAMES ? 1 : 0;
        cr_expect_eq(whole_ends, wanted, "kind %d: %u", kind, whole_ends);
        cr_expect_eq(stream_ends, wanted, "kind %d: %u", kind, stream_ends);
        buffer_put(&body, BYTES("garbage"));
        cr_expect_eq(decode_whole(body_codings[kind], buffer_bytes(&body), &out, &info),
                     ERR_MALFORMED, "kind %d", kind);
        cr_expect_eq(
            decode_stream(body_codings[kind], buffer_bytes(&body), MIB(1), NULL, &rng, NULL, &info),
            ERR_MALFORMED, "kind %d", kind);
        cr_expect_eq(out.len, 0);
        buffer_close(&body);
        buffer_close(&out);
    }
    buffer_close(&text);
}

Test(content_coding, a_bomb_costs_no_more_than_the_ceiling)
{
    static const char *const files[] = {"coding-gzip-bomb", "coding-br-bomb", "coding-zstd-bomb"};
    static const enum content_coding codings[] = {CODING_GZIP, CODING_BR, CODING_ZSTD};
    struct mem_budget budget;
    struct mem_account account;
    for (size_t i = 0; i < 3; i++) {
        char path[512], name[64];
        struct bytes body;
        struct errinfo info;
        struct buffer out;
        snprintf(name, sizeof(name), "tests/data/edge/%s.body", files[i]);
        cr_assert(source_path(path, sizeof(path), name));
        cr_assert(file_read(path, &body));
        mem_budget_init(&budget, MIB(17));
        mem_account_init(&account, &budget, SIZE_MAX);
        buffer_init(&out, MIB(1), &account);
        cr_expect_eq(content_decode_whole(codings[i], body, &out, &info), ERR_LIMIT, "%s", name);
        cr_expect_eq(out.len, 0);
        cr_expect_leq(atomic_load(&budget.peak), MIB(17), "%s", name);
        buffer_close(&out);

        struct content_decoder *d;
        static uint8_t piece[65536];
        struct bytes in = body;
        size_t used, made, total = 0;
        enum err rc = content_decoder_create(codings[i], MIB(20), &account, &d, &info);
        for (made = 1; rc == ERR_OK && (in.len > 0 || made > 0); total += made) {
            rc = content_decoder_feed(d, in, &used, piece, sizeof(piece), &made, &info);
            in = bytes_from(in, used);
        }
        cr_expect_eq(rc, ERR_LIMIT, "%s", name);
        cr_expect_leq(total, MIB(20) + sizeof(piece), "%s", name);
        content_decoder_destroy(d);
        cr_expect_eq(account.held, 0, "%s", name);
        file_free(&body);
    }
}

Test(content_coding, no_room_and_failed_allocations_are_told_and_undone)
{
    struct errinfo info;
    struct buffer text = sample_text(100000);
    struct rng rng = test_rng();
    for (int kind = 0; kind < BODY_KINDS; kind++) {
        struct buffer body;
        make_body(kind, buffer_bytes(&text), &body);
        struct mem_budget budget;
        struct mem_account account;
        for (size_t size = 0; size < KIB(200); size += KIB(4)) {
            struct buffer out;
            mem_budget_init(&budget, size);
            mem_account_init(&account, &budget, SIZE_MAX);
            buffer_init(&out, MIB(1), &account);
            enum err rc =
                content_decode_whole(body_codings[kind], buffer_bytes(&body), &out, &info);
            cr_assert(rc == ERR_OK || rc == ERR_BUSY || rc == ERR_LIMIT || rc == ERR_NOMEM,
                      "kind %d at %zu: %d %s", kind, size, rc, info.text);
            cr_assert_eq(out.failed, ERR_OK);
            buffer_close(&out);
            rc = decode_stream(body_codings[kind], buffer_bytes(&body), MIB(1), &account, &rng,
                               NULL, &info);
            cr_assert(rc == ERR_OK || rc == ERR_BUSY || rc == ERR_LIMIT || rc == ERR_NOMEM,
                      "kind %d at %zu: %d %s", kind, size, rc, info.text);
            cr_assert_eq(account.held, 0);
        }
        size_t before = mem_outstanding();
        enum err rc = ERR_NOMEM;
        for (size_t nth = 1; rc != ERR_OK; nth++) {
            cr_assert_lt(nth, 200);
            mem_fail_at(nth);
            rc = decode_stream(body_codings[kind], buffer_bytes(&body), MIB(1), NULL, &rng, NULL,
                               &info);
            cr_assert(rc == ERR_OK || rc == ERR_NOMEM, "kind %d, %zu: %s", kind, nth, info.text);
            cr_assert_eq(mem_outstanding(), before);
        }
        mem_fail_at(0);
        buffer_close(&body);
    }
    buffer_close(&text);
}
