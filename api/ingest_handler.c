#include "api/ingest_handler.h"

#include <stdio.h>

#include "api/admission.h"
#include "api/app.h"
#include "api/config.h"
#include "api/metrics.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/content_coding.h"
#include "engine/ingest.h"

#define TEXT_OF_(x)  #x
#define TEXT_OF(x)   TEXT_OF_(x)
#define DECODED_STEP KIB(64) /* decoded bytes handed on at a time */

/* One upload. Coded bytes come in by take; decoded ones wait in `decoded` until the splitter has
 * room for what it keeps of them. */
struct ingest_upload {
    struct app *app;
    struct mem_account *account;
    const struct keyring *keys;
    struct ingest *ingest;
    enum content_coding coding;
    struct content_decoder *decoder; /* of a streamed body */
    struct seat seat;                /* of a large one */
    struct buffer decoded;
    size_t fed;        /* of `decoded` */
    bool began;        /* a piece was taken */
    bool whole;        /* all of it is in `decoded` */
    bool decoder_done; /* its end was checked */
};

/* ---- who may write ---- */

bool host_is_loopback(struct bytes host)
{
    if (bytes_starts_with(host, BYTES("[::1]")))
        return host.len == 5 || host.data[5] == ':';
    struct bytes name = bytes_first(host, bytes_find_byte(host, ':'));
    if (bytes_equal_nocase(name, BYTES("localhost")))
        return true;
    unsigned dots = 0;
    for (size_t i = 0; i < name.len; i++) {
        dots += name.data[i] == '.';
        if (name.data[i] != '.' && (name.data[i] < '0' || name.data[i] > '9'))
            return false; /* 127.evil.example is a name */
    }
    return dots == 3 && bytes_starts_with(name, BYTES("127."));
}

bool request_is_direct(const struct http_request *q)
{
    if (!bytes_starts_with(q->target, BYTES("/")))
        return false; /* "http://name/...": what is asked of a proxy, whatever Host says */
    for (size_t i = 0; i < q->header_count; i++) {
        struct bytes name = q->headers[i].name;
        if (bytes_equal(name, BYTES("forwarded")) || bytes_equal(name, BYTES("x-real-ip")) ||
            bytes_starts_with(name, BYTES("x-forwarded-")))
            return false;
    }
    return host_is_loopback(http_request_header(q, "host"));
}

static bool open_to(const struct app *app, const struct keyring *keys, const struct http_request *q)
{
    const struct config *c = app->config;
    return c->loopback && !c->strict_keys && keyring_is_initial(keys) && request_is_direct(q);
}

/* ---- answers ---- */

static void put_answer(struct http_response *r, int status, const char *text)
{
    r->status = status;
    r->content_type = "application/json";
    r->header_count = 0;
    buffer_clear(&r->body);
    buffer_put(&r->body, bytes_of_text(text));
    if (status == 503) /* no Retry-After: JavaScript SDKs would stop sending everything */
        http_response_header(
            r, BYTES("X-Sentry-Rate-Limits"),
            BYTES(TEXT_OF(
                RATE_LIMIT_SECONDS) ":profile;profile_chunk;profile_chunk_ui:organization:overloaded"));
}

static void put_failure(struct http_response *r, enum err rc, const char *cause)
{
    char text[INGEST_ANSWER_MAX];
    int status = ingest_verdict_of(rc, cause, text);
    put_answer(r, status, text);
}

static void put_verdict(struct ingest_upload *u, struct http_response *r)
{
    char text[INGEST_ANSWER_MAX];
    int status = ingest_verdict(u->ingest, text);
    if (status == 401 || status == 403)
        metrics_add(u->app->metrics, METRIC_AUTH_REFUSED, 1);
    put_answer(r, status, text);
}

/* ---- the upload ---- */

static void end(void *self)
{
    struct ingest_upload *u = self;
    ingest_destroy(u->ingest);
    content_decoder_destroy(u->decoder);
    buffer_close(&u->decoded);
    admission_leave(u->app->admission, &u->seat);
    app_keyring_release(u->app, u->keys);
    mem_free(u);
}

static enum err start(struct ingest_upload *u, const struct http_request *q, uint64_t project_id,
                      struct http_response *r)
{
    struct errinfo info = {{0}};
    struct ingest_request request = {
        .project_id = project_id,
        .x_sentry_auth = http_request_header(q, "x-sentry-auth"),
        .authorization = http_request_header(q, "authorization"),
        .query = q->query,
        .keys = u->keys,
        .open_mode = open_to(u->app, u->keys, q),
        .now_ns = clock_wall_ns(),
        .retention_days = u->app->config->retention_days,
        .account = u->account,
    };
    enum err rc = ingest_create(&request, &u->ingest, &info);
    if (rc != ERR_OK) {
        put_failure(r, rc, info.text);
        return rc;
    }
    rc = ingest_authenticate(u->ingest, &info);
    if (rc != ERR_OK)
        put_verdict(u, r);
    return rc;
}

/* What an upload may come to hold: its payload in a buffer that grew by doubling, and columns. */
static size_t need_of(const struct http_request *q, enum content_coding coding)
{
    uint64_t length = 0;
    bool known = coding == CODING_IDENTITY &&
                 bytes_to_u64(http_request_header(q, "content-length"), &length);
    return known && length < UPLOAD_SEAT_SIZE / 3 ? (size_t)length * 3 : UPLOAD_SEAT_SIZE;
}

static enum err begin(struct handler_context *c, const struct http_request *q,
                      struct http_response *r, void **ret_self)
{
    uint64_t project_id = 0;
    if (!bytes_to_u64(q->path_param[0], &project_id)) {
        put_failure(r, ERR_MALFORMED, "the project id is not a number");
        return ERR_MALFORMED;
    }
    struct ingest_upload *u = mem_zalloc(sizeof(*u));
    if (u == NULL) {
        put_failure(r, ERR_NOMEM, "out of memory");
        return ERR_NOMEM;
    }
    u->app = c->app;
    u->account = c->account;
    u->coding = content_coding_parse(http_request_header(q, "content-encoding"));
    u->seat.need = need_of(q, u->coding);
    u->keys = app_keyring_acquire(c->app);
    buffer_init(&u->decoded, INFLATE_WHOLE_MAX, c->account);
    enum err rc = start(u, q, project_id, r);
    if (rc != ERR_OK)
        end(u);
    else
        *ret_self = u;
    return rc;
}

/* A streamed upload that keeps more than a little needs a seat before it grows; `piece_size` of
 * what it holds are coded bytes that are about to go. */
static enum err grow_seated(struct ingest_upload *u, size_t piece_size, struct errinfo *info)
{
    if (u->account->held <= piece_size + UPLOAD_SEATLESS_MAX ||
        admission_enter(u->app->admission, &u->seat, u->account->held))
        return ERR_OK;
    return err_set(info, ERR_BUSY, "other large uploads come first");
}

/* Hand what is decoded to the splitter. */
static enum err feed_decoded(struct ingest_upload *u, struct errinfo *info)
{
    while (u->fed < u->decoded.len) {
        size_t used = 0;
        struct bytes rest = bytes_from(buffer_bytes(&u->decoded), u->fed);
        enum err rc = ingest_feed(u->ingest, rest, &used, info);
        u->fed += used;
        if (rc != ERR_OK)
            return rc;
    }
    u->fed = 0;
    if (u->whole)
        buffer_close(&u->decoded); /* the payloads hearth reads are kept by the splitter */
    buffer_clear(&u->decoded);
    return ERR_OK;
}

/* Without a coding the splitter reads the bytes where they are. */
static enum err take_plain(struct ingest_upload *u, struct bytes piece, size_t *ret_used,
                           struct errinfo *info)
{
    while (*ret_used < piece.len) {
        size_t used = 0;
        TRY(grow_seated(u, UPLOAD_PLAIN_PIECE, info));
        enum err rc = ingest_feed(u->ingest, bytes_from(piece, *ret_used), &used, info);
        *ret_used += used;
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

/* Decoders that hold megabytes before a byte has come out. */
static bool wide_window(enum content_coding coding)
{
    return coding == CODING_BR || coding == CODING_ZSTD;
}

static enum err take_stream(struct ingest_upload *u, struct bytes piece, size_t *ret_used,
                            bool *ret_decoding, struct errinfo *info)
{
    /* brotli cannot go on after an allocation that failed: its room has to be there before */
    if (u->decoder == NULL && wide_window(u->coding) &&
        !admission_enter(u->app->admission, &u->seat, u->account->held))
        return err_set(info, ERR_BUSY, "other large uploads come first");
    if (u->decoder == NULL)
        TRY(content_decoder_create(u->coding, ENVELOPE_SIZE_MAX, u->account, &u->decoder, info));
    for (;;) {
        *ret_decoding = false;
        TRY(grow_seated(u, UPLOAD_PIECE_SIZE, info));
        TRY(feed_decoded(u, info));
        *ret_decoding = true;
        TRY(buffer_reserve(&u->decoded, DECODED_STEP));
        size_t in = 0;
        size_t out = 0;
        TRY(content_decoder_feed(u->decoder, bytes_from(piece, *ret_used), &in, u->decoded.data,
                                 DECODED_STEP, &out, info));
        *ret_used += in;
        u->decoded.len = out;
        if (*ret_used == piece.len && out < DECODED_STEP) {
            *ret_decoding = false;
            return feed_decoded(u, info);
        }
    }
}

/* A body that is all there and small when decoded: in one go. ERR_LIMIT: it is not small. */
static enum err take_whole(struct ingest_upload *u, struct bytes piece, size_t *ret_used,
                           struct errinfo *info)
{
    enum err rc = content_decode_whole(u->coding, piece, &u->decoded, info);
    if (rc != ERR_OK) { /* it would start over: what it holds, others may need to finish */
        buffer_close(&u->decoded);
        return rc;
    }
    u->whole = true;
    *ret_used = piece.len;
    return ERR_OK;
}

static enum err take_coded(struct ingest_upload *u, struct bytes piece, bool last, size_t *ret_used,
                           bool *ret_decoding, struct errinfo *info)
{
    if (u->coding == CODING_IDENTITY)
        return take_plain(u, piece, ret_used, info);
    if (!u->began && last && !u->whole) {
        *ret_decoding = true;
        enum err rc = take_whole(u, piece, ret_used, info);
        if (rc != ERR_LIMIT)
            TRY(rc);
        *ret_decoding = false;
        if (rc == ERR_LIMIT)
            u->began = true; /* from here on as a stream */
    }
    if (u->whole)
        return feed_decoded(u, info);
    TRY(take_stream(u, piece, ret_used, ret_decoding, info));
    if (!last || u->decoder_done)
        return ERR_OK;
    *ret_decoding = true;
    TRY(content_decoder_finish(u->decoder, info));
    *ret_decoding = false;
    u->decoder_done = true;
    return ERR_OK;
}

static enum err take(void *self, struct bytes piece, bool last, size_t *ret_used,
                     struct http_response *r)
{
    struct ingest_upload *u = self;
    struct errinfo info = {{0}};
    bool decoding = false; /* whose failure it is: the coding's, or the envelope's */
    *ret_used = 0;
    buffer_retry(&u->decoded);
    enum err rc = take_coded(u, piece, last, ret_used, &decoding, &info);
    metrics_add(u->app->metrics, METRIC_UPLOAD_BYTES, *ret_used);
    if (rc != ERR_BUSY)
        u->began = true;
    if (rc == ERR_OK && last) {
        content_decoder_destroy(u->decoder); /* its window is not needed to read profiles */
        u->decoder = NULL;
        u->coding = CODING_IDENTITY;
        rc = ingest_finish(u->ingest, &info);
    }
    if (rc == ERR_OK || rc == ERR_BUSY)
        return rc;
    if (decoding)
        put_failure(r, rc, info.text);
    else
        put_verdict(u, r);
    return rc;
}

static const struct bytes *records(void *self, size_t *ret_count)
{
    struct ingest_upload *u = self;
    return ingest_records(u->ingest, ret_count);
}

static void store(void *self, struct append_job *job)
{
    struct ingest_upload *u = self;
    append_strand_submit(u->app->strand, job);
}

static void answer(void *self, enum err stored, const struct errinfo *info, struct http_response *r)
{
    struct ingest_upload *u = self;
    if (stored != ERR_OK) {
        put_failure(r, stored, info->text);
        return;
    }
    size_t count = 0;
    const struct ingest_item *items = ingest_items(u->ingest, &count);
    metrics_count_items(u->app->metrics, items, count);
    metrics_add(u->app->metrics, METRIC_CLIENT_DISCARDS, ingest_client_discards(u->ingest));
    put_verdict(u, r);
}

static void give_up(void *self, struct http_response *r)
{
    (void)self;
    put_failure(r, ERR_BUSY, "no memory for this envelope at the moment");
}

static bool may_go_on(void *self)
{
    struct ingest_upload *u = self;
    return admission_may_enter(u->app->admission, &u->seat);
}

const struct upload_ops ingest_upload = {begin,  take,      records, store,
                                         answer, may_go_on, give_up, end};
