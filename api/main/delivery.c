/* delivery.c - see delivery.h */
#include "api/main/delivery.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "engine/content_coding.h"

#define PIECE_SIZE KIB(256)

/* An upload that was read and waits for its batch. */
struct waiting {
    const char *path;
    struct import_file file;
    struct ingest *ingest;
};

struct delivery {
    struct place *place;
    void *self;
    void (*on_result)(void *self, const struct delivery_result *result);
    struct keyring *keys; /* of the folder: organizations of its projects */
    struct http_client_answer answer;
    struct waiting waiting[IMPORT_BATCH_COUNT_MAX];
    size_t waiting_count;
    size_t waiting_size;
    struct buffer records; /* struct bytes of one batch */
    uint8_t piece[PIECE_SIZE];
};

enum err delivery_create(struct place *place, void *self,
                         void (*on_result)(void *self, const struct delivery_result *result),
                         struct delivery **ret, struct errinfo *info)
{
    struct delivery *d = mem_zalloc(sizeof(*d));
    if (d == NULL)
        return err_set(info, ERR_NOMEM, "no memory for a delivery");
    d->place = place;
    d->self = self;
    d->on_result = on_result;
    http_client_answer_init(&d->answer, IMPORT_ANSWER_MAX);
    buffer_init(&d->records, IMPORT_RECORDS_MAX, NULL);
    enum err rc = ERR_OK;
    if (place->store != NULL)
        rc = keyring_load(place->vfs, place->dir, &d->keys, info);
    if (rc != ERR_OK) {
        delivery_destroy(d);
        return rc;
    }
    *ret = d;
    return ERR_OK;
}

static void waiting_close(struct waiting *w)
{
    ingest_destroy(w->ingest);
    import_file_close(&w->file);
    *w = (struct waiting){0};
}

void delivery_destroy(struct delivery *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->waiting_count; i++)
        waiting_close(&d->waiting[i]);
    keyring_destroy(d->keys);
    http_client_answer_close(&d->answer);
    buffer_close(&d->records);
    mem_free(d);
}

/* ---- reading an upload as a server does ---- */

static enum err feed_all(struct ingest *in, struct bytes piece, struct errinfo *info)
{
    while (piece.len > 0) {
        size_t used = 0;
        TRY(ingest_feed(in, piece, &used, info));
        piece = bytes_from(piece, used);
    }
    return ERR_OK;
}

static enum err feed_decoded(struct delivery *d, struct content_decoder *decoder, struct bytes body,
                             struct ingest *in, bool *ret_coding_failed, struct errinfo *info)
{
    size_t made = PIECE_SIZE;
    while (body.len > 0 || made == PIECE_SIZE) {
        size_t used = 0;
        *ret_coding_failed = true;
        TRY(content_decoder_feed(decoder, body, &used, d->piece, PIECE_SIZE, &made, info));
        *ret_coding_failed = false;
        body = bytes_from(body, used);
        TRY(feed_all(in, bytes_of(d->piece, made), info));
        if (used == 0 && made == 0)
            break;
    }
    *ret_coding_failed = true;
    TRY(content_decoder_finish(decoder, info));
    *ret_coding_failed = false;
    return ERR_OK;
}

/* *ret_coding_failed: the body could not be decoded, so that the envelope has no say. */
static enum err read_body(struct delivery *d, const struct import_file *file, struct ingest *in,
                          bool *ret_coding_failed, struct errinfo *info)
{
    enum content_coding coding =
        content_coding_parse(import_file_field(file, BYTES("content-encoding")));
    struct content_decoder *decoder;
    *ret_coding_failed = false;
    TRY(ingest_authenticate(in, info));
    if (coding == CODING_IDENTITY) {
        TRY(feed_all(in, file->body, info));
        return ingest_finish(in, info);
    }
    TRY(content_decoder_create(coding, ENVELOPE_SIZE_MAX, NULL, &decoder, info));
    enum err rc = feed_decoded(d, decoder, file->body, in, ret_coding_failed, info);
    content_decoder_destroy(decoder);
    TRY(rc);
    return ingest_finish(in, info);
}

/* *ret_status and `text`: what a server would answer. *ret may be kept also after a refusal. */
static enum err read_upload(struct delivery *d, const struct import_file *file, struct ingest **ret,
                            int *ret_status, char text[INGEST_ANSWER_MAX], struct errinfo *info)
{
    struct ingest_request request = {
        .project_id = file->project_id,
        .x_sentry_auth = import_file_field(file, BYTES("x-sentry-auth")),
        .authorization = import_file_field(file, BYTES("authorization")),
        .query = file->query,
        .keys = d->keys,
        .open_mode = true, /* who may write the folder may add keys to it, too */
        .now_ns = clock_wall_ns(),
        .retention_days = RETENTION_DAYS_DEFAULT,
    };
    bool coding_failed = false;
    struct errinfo why = {0};
    TRY(ingest_create(&request, ret, info));
    enum err rc = read_body(d, file, *ret, &coding_failed, &why);
    if (coding_failed)
        *ret_status = ingest_verdict_of(rc, why.text, text);
    else
        *ret_status = ingest_verdict(*ret, text);
    return ERR_OK;
}

static void tell(struct delivery *d, const char *path, const struct ingest *in, int status,
                 const char *answer)
{
    struct delivery_result result = {.path = path, .status = status, .answer = answer};
    if (in != NULL && status >= 200 && status <= 299)
        result.items = ingest_items(in, &result.item_count);
    d->on_result(d->self, &result);
}

/* ---- to a server ---- */

static void wait_as_told(const struct http_client_answer *answer)
{
    uint64_t seconds = 1;
    (void)bytes_to_u64(bytes_trim(http_client_answer_field(answer, "retry-after")), &seconds);
    if (seconds == 0 || seconds > IMPORT_RETRY_SECONDS_MAX)
        seconds = seconds == 0 ? 1 : IMPORT_RETRY_SECONDS_MAX;
    struct timespec pause = {.tv_sec = (time_t)seconds};
    (void)nanosleep(&pause, NULL);
}

static enum err send_file(struct delivery *d, const struct import_file *file, struct errinfo *info)
{
    struct http_client_request request = {.method = file->method,
                                          .target = file->target,
                                          .fields = file->fields,
                                          .field_count = file->field_count,
                                          .body = file->body};
    for (int attempt = 0;; attempt++) {
        TRY(http_client_send(d->place->client, &request, &d->answer, info));
        bool no_room = d->answer.status == 503 || d->answer.status == 429;
        if (!no_room || attempt == IMPORT_RETRY_COUNT_MAX)
            return ERR_OK;
        wait_as_told(&d->answer);
    }
}

static enum err give_to_server(struct delivery *d, const char *path, struct import_file *file,
                               struct errinfo *info)
{
    struct ingest *in = NULL;
    char text[INGEST_ANSWER_MAX] = "";
    int expected;
    TRY(send_file(d, file, info));
    struct bytes body = bytes_first(buffer_bytes(&d->answer.body), sizeof(text) - 1);
    enum err rc = ERR_OK;
    if (d->answer.status >= 200 && d->answer.status <= 299)
        rc = read_upload(d, file, &in, &expected, text, info);
    if (rc == ERR_OK) {
        if (body.len > 0)
            memcpy(text, body.data, body.len);
        text[body.len] = '\0';
        tell(d, path, in, d->answer.status, text);
    }
    ingest_destroy(in);
    return rc;
}

/* ---- into a folder ---- */

enum err delivery_flush(struct delivery *d, struct errinfo *info)
{
    buffer_clear(&d->records);
    for (size_t i = 0; i < d->waiting_count; i++) {
        size_t count;
        const struct bytes *records = ingest_records(d->waiting[i].ingest, &count);
        buffer_put(&d->records, bytes_of(records, count * sizeof(*records)));
    }
    enum err rc = d->records.failed;
    size_t count = d->records.len / sizeof(struct bytes);
    if (rc == ERR_OK && count > 0)
        rc = store_append(d->place->store, (const struct bytes *)(const void *)d->records.data,
                          count, info);
    for (size_t i = 0; i < d->waiting_count; i++) {
        struct waiting *w = &d->waiting[i];
        char text[INGEST_ANSWER_MAX];
        int status = ingest_verdict(w->ingest, text);
        tell(d, w->path, w->ingest, rc == ERR_OK ? status : 500,
             rc == ERR_OK ? text : err_text(rc));
        waiting_close(w);
    }
    d->waiting_count = 0;
    d->waiting_size = 0;
    return rc;
}

static enum err give_to_folder(struct delivery *d, const char *path, struct import_file *file,
                               struct errinfo *info)
{
    struct ingest *in = NULL;
    char text[INGEST_ANSWER_MAX] = "";
    int status;
    size_t count;
    TRY(read_upload(d, file, &in, &status, text, info));
    if (status < 200 || status > 299) {
        enum err rc = delivery_flush(d, info); /* results come in order */
        tell(d, path, NULL, status, text);
        ingest_destroy(in);
        return rc;
    }
    const struct bytes *records = ingest_records(in, &count);
    for (size_t i = 0; i < count; i++)
        d->waiting_size += records[i].len;
    d->waiting_size += file->body.len;
    d->waiting[d->waiting_count++] = (struct waiting){.path = path, .file = *file, .ingest = in};
    *file = (struct import_file){0}; /* its headers are borrowed until the batch is stored */
    if (d->waiting_count == IMPORT_BATCH_COUNT_MAX || d->waiting_size >= IMPORT_BATCH_SIZE_MAX)
        return delivery_flush(d, info);
    return ERR_OK;
}

enum err delivery_give(struct delivery *d, const char *path, struct import_file *file,
                       struct errinfo *info)
{
    enum err rc = d->place->client != NULL ? give_to_server(d, path, file, info)
                                           : give_to_folder(d, path, file, info);
    import_file_close(file);
    return rc;
}
