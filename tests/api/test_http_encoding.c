#include <criterion/criterion.h>
#include <zlib.h>
#include <zstd.h>

#include "api/http_encoding.h"
#include "base/limits.h"
#include "engine/content_coding.h"
#include "tests/support/rng.h"

Test(http_encoding, the_client_decides)
{
    static const struct {
        const char *accept;
        enum http_coding want;
    } cases[] = {
        {"", HTTP_CODING_IDENTITY},
        {"gzip", HTTP_CODING_GZIP},
        {"GZIP", HTTP_CODING_GZIP},
        {"br, gzip;q=0.3", HTTP_CODING_GZIP},
        {"gzip, zstd", HTTP_CODING_ZSTD},
        {"zstd;q=0, gzip", HTTP_CODING_GZIP},
        {"zstd;q=0.000", HTTP_CODING_IDENTITY},
        {"gzip ; q=0.001", HTTP_CODING_GZIP},
        {"*", HTTP_CODING_IDENTITY},
        {"gzipped", HTTP_CODING_IDENTITY},
        {",,gzip,", HTTP_CODING_GZIP},
        {"identity", HTTP_CODING_IDENTITY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(http_coding_choose(bytes_of_text(cases[i].accept)), cases[i].want, "'%s'",
                     cases[i].accept);
    cr_expect(http_coding_pays("application/json"));
    cr_expect(http_coding_pays("text/plain; charset=utf-8"));
    cr_expect_not(http_coding_pays("application/octet-stream"));
    cr_expect_not(http_coding_pays(NULL));
}

/* Pieces in, and our own decoder gives back what went in. */
Test(http_encoding, what_is_coded_in_pieces_decodes_whole)
{
    struct rng rng = test_rng();
    for (int round = 0; round < 40; round++) {
        enum http_coding coding = round % 2 == 0 ? HTTP_CODING_GZIP : HTTP_CODING_ZSTD;
        struct mem_budget budget;
        struct mem_account account;
        struct buffer plain, coded, decoded;
        struct http_encoder *e = NULL;
        mem_budget_init(&budget, MIB(64));
        mem_account_init(&account, &budget, MIB(64));
        buffer_init(&plain, MIB(4), NULL);
        buffer_init(&coded, MIB(4), &account);
        buffer_init(&decoded, MIB(4), NULL);
        cr_assert_eq(http_encoder_create(coding, &account, &e), ERR_OK);
        size_t pieces = rng_below(&rng, 8);
        for (size_t i = 0; i <= pieces; i++) {
            size_t from = plain.len;
            for (size_t n = rng_below(&rng, 20000); n > 0; n--)
                buffer_put_u8(&plain, (uint8_t)('a' + rng_below(&rng, 1 + round % 20)));
            cr_assert_eq(
                http_encoder_feed(e, bytes_from(buffer_bytes(&plain), from), i == pieces, &coded),
                ERR_OK);
        }
        http_encoder_destroy(e);
        cr_assert_eq(content_decode_whole(coding == HTTP_CODING_GZIP ? CODING_GZIP : CODING_ZSTD,
                                          buffer_bytes(&coded), &decoded, NULL),
                     ERR_OK);
        cr_assert(bytes_equal(buffer_bytes(&decoded), buffer_bytes(&plain)), "round %d", round);
        buffer_close(&plain);
        buffer_close(&coded);
        buffer_close(&decoded);
        cr_assert_eq(account.held, 0, "all memory was given back");
        mem_account_close(&account);
    }
}

Test(http_encoding, no_room_is_busy)
{
    struct mem_budget budget;
    struct mem_account account;
    struct http_encoder *e = NULL;
    struct mem_account other;
    mem_budget_init(&budget, MIB(8));
    mem_account_init(&account, &budget, MIB(64));
    mem_account_init(&other, &budget, MIB(64));
    cr_assert_eq(mem_account_reserve(&other, MIB(8) - KIB(64)), ERR_OK);
    cr_assert_eq(http_encoder_create(HTTP_CODING_GZIP, &account, &e), ERR_BUSY);
    cr_assert_eq(http_encoder_create(HTTP_CODING_ZSTD, &account, &e), ERR_BUSY);
    cr_assert_eq(account.held, 0);
    mem_account_close(&account);
    mem_account_close(&other);
}
