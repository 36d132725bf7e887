/* Any bytes as an upload: the same verdict whole and in pieces (the first byte says how large),
 * never a crash, records only with a 200, and all memory given back. */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "engine/ingest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(struct bytes body, size_t piece, size_t *ret_records)
{
    static const struct bytes auth =
        BYTES("Sentry sentry_key=df17aa723bdea468a13becb9733ba43b, sentry_version=7");
    struct mem_budget budget;
    struct mem_account account;
    char text[INGEST_ANSWER_MAX];
    struct errinfo info;
    struct ingest *in;
    mem_budget_init(&budget, MIB(64));
    mem_account_init(&account, &budget, SIZE_MAX);
    struct ingest_request request = {.project_id = 42,
                                     .x_sentry_auth = auth,
                                     .open_mode = true,
                                     .now_ns = 1,
                                     .retention_days = 90,
                                     .account = &account};
    enum err rc = ingest_create(&request, &in, &info);
    assert(rc == ERR_OK);
    rc = ingest_authenticate(in, &info);
    while (rc == ERR_OK && body.len > 0) {
        size_t used;
        rc = ingest_feed(in, bytes_first(body, piece), &used, &info);
        assert(used <= body.len);
        body = bytes_from(body, used);
    }
    if (rc == ERR_OK)
        rc = ingest_finish(in, &info);
    int status = ingest_verdict(in, text);
    (void)ingest_records(in, ret_records);
    assert((rc == ERR_OK) == (status == 200));
    assert(status == 200 || *ret_records == 0);
    assert(text[0] == '{');
    ingest_destroy(in);
    assert(account.held == 0);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes body = bytes_of(data + 1, size - 1);
    size_t whole_records, piece_records;
    int whole = run(body, size, &whole_records);
    int pieces = run(body, 1 + (size_t)data[0] % 64, &piece_records);
    assert(whole == pieces && whole_records == piece_records);
    (void)whole;
    (void)pieces;
    return 0;
}
