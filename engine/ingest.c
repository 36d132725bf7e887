/* ingest.c - the order of checks is that of Sentry's ingest server:
 *
 *   authentication -> framing -> DSN in the header -> key and project -> limits -> contents
 *
 * Contents never change the status: an item that is worth nothing is dropped with an outcome.
 */
#include "engine/ingest.h"

#include <assert.h>
#include <stdio.h>

#include "base/json_writer.h"
#include "base/limits.h"
#include "engine/auth.h"
#include "engine/envelope.h"
#include "engine/event.h"
#include "engine/profile_decode.h"

#define STATUS_OK        200
#define STATUS_BAD       400
#define STATUS_FORBIDDEN 403
#define STATUS_TOO_LARGE 413
#define STATUS_NO_ROOM   503

struct ingest {
    struct ingest_request request; /* header texts are used in ingest_create alone */
    enum auth_result auth;
    struct uuid key; /* of headers or query */
    uint64_t organization_id;
    bool allowed; /* key and project were checked, and are right */
    bool done;
    int status;
    struct errinfo cause;
    struct envelope *envelope;
    bool has_answer_id;
    struct uuid answer_id;
    uint64_t discards;
    struct buffer items;   /* struct ingest_item, as the envelope lists them */
    struct buffer encoded; /* records, one after another */
    struct buffer ends;    /* size_t: where each ends in `encoded` */
    struct buffer records; /* struct bytes: the same as views */
};

const char *ingest_outcome_text(enum ingest_outcome outcome)
{
    switch (outcome) {
#define INGEST_CASE(code, text) \
    case INGEST_##code: return text;
        INGEST_OUTCOMES(INGEST_CASE)
#undef INGEST_CASE
    case INGEST_OUTCOME_COUNT: break;
    }
    return "unknown";
}

/* ---- refusals ---- */

static int status_of(enum err rc)
{
    switch (rc) {
    case ERR_OK: return STATUS_OK;
    case ERR_MALFORMED:
    case ERR_UNSUPPORTED: return STATUS_BAD;
    case ERR_LIMIT: return STATUS_TOO_LARGE;
    case ERR_NOTFOUND: return STATUS_FORBIDDEN;
    case ERR_NOMEM:
    case ERR_IO:
    case ERR_NOSPACE:
    case ERR_CORRUPT:
    case ERR_BUSY:
    case ERR_CANCELED: break;
    }
    return STATUS_NO_ROOM;
}

static enum err refuse(struct ingest *in, int status, enum err rc, const char *text,
                       struct errinfo *info)
{
    in->status = status;
    (void)err_set(&in->cause, rc, "%s", text);
    return err_set(info, rc, "%s", text);
}

/* What a step below said; ERR_BUSY is no end. */
static enum err hand_up(struct ingest *in, enum err rc, const struct errinfo *cause,
                        struct errinfo *info)
{
    if (rc == ERR_OK)
        return rc;
    if (rc == ERR_BUSY)
        return err_set(info, rc, "%s", cause->text);
    return refuse(in, status_of(rc), rc, cause->text, info);
}

static const char *status_text(int status)
{
    switch (status) {
    case STATUS_BAD: return "bad request: the envelope cannot be read";
    case 401: return "unauthorized";
    case STATUS_FORBIDDEN: return "forbidden";
    case STATUS_TOO_LARGE: return "the envelope exceeds a size limit";
    default: return "no room for the upload at the moment";
    }
}

static void write_refusal(int status, const char *cause, struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "detail");
    json_text(&w, status_text(status));
    if (cause != NULL && cause[0] != 0) {
        json_key(&w, "causes");
        json_begin_array(&w);
        json_text(&w, cause);
        json_end_array(&w);
    }
    json_end_object(&w);
}

static void copy_answer(struct buffer *out, char text[INGEST_ANSWER_MAX])
{
    size_t len = out->failed == ERR_OK ? out->len : 0;
    memcpy(text, out->data == NULL ? (const uint8_t *)"" : out->data, len);
    text[len] = 0;
    buffer_close(out);
}

static int answer_refusal(int status, const char *cause, char text[INGEST_ANSWER_MAX])
{
    struct buffer out;
    buffer_init(&out, INGEST_ANSWER_MAX - 1, NULL);
    write_refusal(status, cause, &out);
    if (out.failed != ERR_OK) { /* escapes made it too long */
        buffer_clear(&out);
        write_refusal(status, NULL, &out);
    }
    copy_answer(&out, text);
    return status;
}

int ingest_verdict_of(enum err rc, const char *cause, char text[INGEST_ANSWER_MAX])
{
    return answer_refusal(status_of(rc), cause, text);
}

int ingest_verdict(const struct ingest *in, char text[INGEST_ANSWER_MAX])
{
    if (in->status != STATUS_OK)
        return answer_refusal(in->status, in->cause.text, text);
    char id[UUID_TEXT_SIZE + 1];
    uuid_print(in->answer_id, id);
    if (in->has_answer_id)
        (void)snprintf(text, INGEST_ANSWER_MAX, "{\"id\":\"%s\"}", id);
    else
        (void)snprintf(text, INGEST_ANSWER_MAX, "{}");
    return STATUS_OK;
}

/* ---- authentication ---- */

enum err ingest_create(const struct ingest_request *request, struct ingest **ret,
                       struct errinfo *info)
{
    struct ingest *in = mem_zalloc(sizeof(*in));
    if (in == NULL)
        return err_set(info, ERR_NOMEM, "ingest: no memory");
    in->request = *request;
    in->status = STATUS_OK;
    buffer_init(&in->items, SIZE_MAX, request->account);
    buffer_init(&in->encoded, RECORDS_MEMORY_MAX, request->account);
    buffer_init(&in->ends, SIZE_MAX, request->account);
    buffer_init(&in->records, SIZE_MAX, request->account);
    in->auth =
        auth_of_request(request->x_sentry_auth, request->authorization, request->query, &in->key);
    enum err rc = envelope_create(request->account, &in->envelope, info);
    if (rc != ERR_OK) {
        ingest_destroy(in);
        return rc;
    }
    *ret = in;
    return ERR_OK;
}

/* The key may write to the project of the path. */
static enum err allow(struct ingest *in, struct uuid key, struct errinfo *info)
{
    const struct keyring *keys = in->request.keys;
    const struct keyring_entry *entry = keys == NULL ? NULL : keyring_find(keys, key);
    uint64_t project = in->request.project_id;
    if (entry != NULL && entry->project_id == project) {
        in->organization_id = entry->organization_id;
    } else if (in->request.open_mode) {
        in->organization_id = keys == NULL ? 1 : keyring_organization(keys, project);
    } else {
        return refuse(in, STATUS_FORBIDDEN, ERR_NOTFOUND,
                      entry == NULL ? "unknown or revoked key" : "the key is of another project",
                      info);
    }
    in->allowed = true;
    return ERR_OK;
}

enum err ingest_authenticate(struct ingest *in, struct errinfo *info)
{
    if (in->auth == AUTH_ABSENT || in->allowed)
        return ERR_OK;
    if (in->auth != AUTH_OK)
        return refuse(in, auth_status(in->auth), ERR_MALFORMED, auth_text(in->auth), info);
    return allow(in, in->key, info);
}

/* Once the envelope's header is there: its DSN agrees, or is what authenticates. */
static enum err check_header(struct ingest *in, struct errinfo *info)
{
    const struct envelope_header *header = envelope_header(in->envelope);
    struct dsn dsn;
    TRY(ingest_authenticate(in, info));
    if (!header->has_dsn) {
        if (in->auth == AUTH_ABSENT)
            return refuse(in, auth_status(AUTH_ABSENT), ERR_MALFORMED, auth_text(AUTH_ABSENT),
                          info);
        return ERR_OK;
    }
    if (!dsn_parse(header->dsn, &dsn))
        return refuse(in, STATUS_BAD, ERR_MALFORMED, "envelope header: dsn: expected a DSN", info);
    if (dsn.project_id != in->request.project_id)
        return refuse(in, STATUS_BAD, ERR_MALFORMED, "envelope header: dsn is of another project",
                      info);
    if (in->auth == AUTH_OK && !uuid_equal(dsn.key, in->key))
        return refuse(in, STATUS_BAD, ERR_MALFORMED, "envelope header: dsn has another key", info);
    return in->allowed ? ERR_OK : allow(in, dsn.key, info);
}

/* ---- the body ---- */

enum err ingest_feed(struct ingest *in, struct bytes piece, size_t *ret_used, struct errinfo *info)
{
    struct errinfo cause = {{0}};
    bool known_before = envelope_header(in->envelope) != NULL;
    enum err rc = envelope_feed(in->envelope, piece, ret_used, &cause);
    if (!known_before && envelope_header(in->envelope) != NULL)
        TRY(check_header(in, info)); /* counts more than what is wrong further on */
    return hand_up(in, rc, &cause, info);
}

/* ---- records ---- */

/* What was encoded since the last record becomes one. */
static enum err end_record(struct ingest *in)
{
    size_t end = in->encoded.len;
    buffer_put(&in->ends, bytes_of(&end, sizeof(end)));
    return in->ends.failed;
}

static enum err put_link(void *self, const struct link *link)
{
    struct ingest *in = self;
    struct link own = *link;
    own.project_id = in->request.project_id;
    TRY(record_encode_link(&own, &in->encoded, NULL));
    return end_record(in);
}

/* Views, once nothing moves any more. */
static enum err make_records(struct ingest *in)
{
    size_t count = in->ends.len / sizeof(size_t);
    const size_t *ends = (const size_t *)(const void *)in->ends.data;
    struct bytes *views = buffer_extend(&in->records, count * sizeof(*views));
    if (views == NULL)
        return in->records.failed;
    for (size_t i = 0, start = 0; i < count; start = ends[i++])
        views[i] = bytes_of(in->encoded.data + start, ends[i] - start);
    return ERR_OK;
}

/* ---- items ---- */

static struct ingest_item *item_at(const struct ingest *in, size_t i)
{
    return (struct ingest_item *)(void *)in->items.data + i;
}

static enum ingest_outcome usual_outcome(enum envelope_item_type type)
{
    switch (type) {
    case ENVELOPE_TRANSACTION:
    case ENVELOPE_SPAN:
    case ENVELOPE_SPAN_CONTAINER: return INGEST_READ;
    case ENVELOPE_UNKNOWN: return INGEST_UNKNOWN;
    default: return INGEST_ACCEPTED;
    }
}

static enum err list_items(struct ingest *in)
{
    size_t count;
    const struct envelope_item *from = envelope_items(in->envelope, &count);
    struct ingest_item *to = buffer_extend(&in->items, count * sizeof(*to));
    if (to == NULL)
        return in->items.failed;
    for (size_t i = 0; i < count; i++) {
        to[i] = (struct ingest_item){.type = bytes_of(from[i].type_text, from[i].type_size),
                                     .size = from[i].size,
                                     .outcome = usual_outcome(from[i].type)};
    }
    return ERR_OK;
}

/* The item is worth nothing; the reason goes with it. */
static void drop(struct ingest_item *item, enum ingest_outcome outcome, const struct errinfo *why)
{
    item->outcome = outcome;
    (void)snprintf(item->detail, sizeof(item->detail), "%.*s", (int)sizeof(item->detail) - 1,
                   why->text);
}

/* Contents that cannot be read: dropped; anything else is the upload's failure. */
static enum err drop_malformed(struct ingest_item *item, enum err rc, const struct errinfo *why)
{
    if (rc != ERR_MALFORMED)
        return rc;
    drop(item, INGEST_INVALID_JSON, why);
    return ERR_OK;
}

/* ---- profiles ---- */

/* SDKs that send no name of their own. */
static struct bytes default_sdk(struct bytes platform)
{
    static const struct bytes names[][2] = {{BYTES("python"), BYTES("sentry.python")},
                                            {BYTES("node"), BYTES("sentry.javascript.node")},
                                            {BYTES("javascript"), BYTES("sentry.javascript")},
                                            {BYTES("cocoa"), BYTES("sentry.cocoa")},
                                            {BYTES("android"), BYTES("sentry.java.android")},
                                            {BYTES("php"), BYTES("sentry.php")},
                                            {BYTES("ruby"), BYTES("sentry.ruby")},
                                            {BYTES("rust"), BYTES("sentry.rust")},
                                            {BYTES("go"), BYTES("sentry.go")},
                                            {BYTES("csharp"), BYTES("sentry.dotnet")}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_equal(names[i][0], platform))
            return names[i][1];
    return BYTES("");
}

static enum err replace_text(struct decoded *d, struct bytes text, uint32_t *field)
{
    return text.len == 0 ? ERR_OK : decoded_add_string(d, text, field);
}

/* A transaction profile takes what it lacks from its transaction. `event` NULL: there is none. */
static enum err use_event(struct decoded *d, const struct event *event)
{
    struct profile *p = decoded_profile(d);
    struct bytes sdk = default_sdk(profile_string(p, p->platform));
    if (event == NULL)
        return replace_text(d, sdk, &p->sdk_name);
    TRY(replace_text(d, event->link.name, &p->transaction));
    TRY(replace_text(d, event->dist, &p->dist));
    TRY(replace_text(d, event->link.environment, &p->environment));
    if (p->release == 0)
        TRY(replace_text(d, event->link.release, &p->release));
    TRY(replace_text(d, event->segment_id, &p->segment_id));
    if (event->sdk_name.len == 0)
        return replace_text(d, sdk, &p->sdk_name);
    TRY(replace_text(d, event->sdk_name, &p->sdk_name));
    return replace_text(d, event->sdk_version, &p->sdk_version);
}

static enum err encode_profile(struct ingest *in, struct profile *p, bool sampled,
                               struct ingest_item *item, struct errinfo *why)
{
    p->organization_id = in->organization_id;
    p->project_id = in->request.project_id;
    p->retention_days = in->request.retention_days;
    p->received_ns = in->request.now_ns;
    if (p->kind == PROFILE_TRANSACTION && sampled)
        p->flags |= PROFILE_SAMPLED;
    TRY(record_encode_profile(p, &in->encoded, why));
    item->outcome = INGEST_STORED;
    item->sample_count = (uint32_t)p->sample_count;
    return end_record(in);
}

static enum err decode_profile(struct ingest *in, const struct envelope_item *from,
                               struct ingest_item *item, const struct event *event,
                               bool has_transaction, struct errinfo *why)
{
    struct decode_options options = {.kind = from->type == ENVELOPE_PROFILE ? PROFILE_TRANSACTION
                                                                            : PROFILE_CHUNK,
                                     .rules = DECODE_ENVELOPE,
                                     .platform_header = envelope_platform(in->envelope, from),
                                     .account = in->request.account};
    struct decoded *d;
    enum ingest_outcome outcome;
    enum err rc = profile_decode(buffer_bytes(&from->payload), &options, &d, &outcome, why);
    if (rc == ERR_MALFORMED)
        drop(item, outcome, why);
    if (rc != ERR_OK)
        return rc == ERR_MALFORMED ? ERR_OK : rc;
    struct profile *p = decoded_profile(d);
    bool chunk = p->kind == PROFILE_CHUNK;
    item->id = p->id;
    if (!chunk && !has_transaction && !from->unsampled) {
        (void)err_set(why, ERR_MALFORMED, "expected its transaction in the envelope");
        drop(item, INGEST_STANDALONE, why);
    } else {
        if (!chunk)
            rc = use_event(d, event);
        if (rc == ERR_OK)
            rc = encode_profile(in, p, !from->unsampled, item, why);
    }
    decoded_destroy(d);
    return rc;
}

/* A profile that is too large for a block, or for the memory of one upload, goes alone. */
static enum err store_profile(struct ingest *in, const struct envelope_item *from,
                              struct ingest_item *item, const struct event *event,
                              bool has_transaction)
{
    struct errinfo why = {{0}};
    size_t encoded = in->encoded.len;
    enum err rc = decode_profile(in, from, item, event, has_transaction, &why);
    if (rc != ERR_LIMIT)
        return rc;
    in->encoded.len = encoded;
    in->encoded.failed = in->ends.failed = ERR_OK;
    item->sample_count = 0;
    if (why.text[0] == 0)
        (void)err_set(&why, rc, "more memory than one upload may have");
    drop(item, INGEST_EXCEED_SIZE, &why);
    return ERR_OK;
}

static enum err read_profile_item(struct ingest *in, const struct envelope_item *from,
                                  struct ingest_item *item, const struct event *event,
                                  bool has_transaction)
{
    struct errinfo why;
    if (from->perfetto && from->type == ENVELOPE_PROFILE_CHUNK) {
        (void)err_set(&why, ERR_UNSUPPORTED, "a Perfetto trace, expected sample format");
        drop(item, INGEST_PERFETTO, &why);
        return ERR_OK;
    }
    if (from->has_meta_length && from->type == ENVELOPE_PROFILE_CHUNK) {
        (void)err_set(&why, ERR_MALFORMED, "expected no meta_length on a JSON chunk");
        drop(item, INGEST_INVALID_JSON, &why);
        return ERR_OK;
    }
    return store_profile(in, from, item, event, has_transaction);
}

/* ---- transactions, spans, reports ---- */

struct transaction {
    bool sent; /* the envelope has such an item */
    bool read; /* and it could be read */
    struct event event;
    struct arena arena;
    struct buffer spans; /* struct link */
};

static enum err read_transaction(struct ingest *in, struct transaction *t)
{
    size_t count;
    const struct envelope_item *from = envelope_items(in->envelope, &count);
    for (size_t i = 0; i < count; i++) {
        struct errinfo why = {{0}};
        if (from[i].type != ENVELOPE_TRANSACTION)
            continue;
        t->sent = true;
        enum err rc = event_read_transaction(buffer_bytes(&from[i].payload), &t->arena, &t->event,
                                             &t->spans, &why);
        t->read = rc == ERR_OK;
        TRY(drop_malformed(item_at(in, i), rc, &why));
    }
    return ERR_OK;
}

/* The transaction, when it names a profiler or its profile was stored, and its profiled spans. */
static enum err put_transaction(struct ingest *in, const struct transaction *t, bool profiled)
{
    struct link link = t->event.link;
    if (!t->read || uuid_is_nil(link.trace_id) || link.span_id == 0)
        return ERR_OK;
    link.transaction_id = t->event.has_event_id ? t->event.event_id : in->answer_id;
    if (profiled || !uuid_is_nil(link.profiler_id))
        TRY(put_link(in, &link));
    const struct link *spans = (const struct link *)(const void *)t->spans.data;
    size_t count = t->spans.len / sizeof(*spans);
    for (size_t i = 0; i < count; i++)
        TRY(put_link(in, &spans[i]));
    return ERR_OK;
}

static enum err read_other_item(struct ingest *in, const struct envelope_item *from,
                                struct ingest_item *item)
{
    struct errinfo why = {{0}};
    struct bytes payload = buffer_bytes(&from->payload);
    struct mem_account *account = in->request.account;
    uint64_t discards = 0;
    enum err rc = ERR_OK;
    if (from->type == ENVELOPE_SPAN_CONTAINER)
        rc = event_read_spans(payload, account, in, put_link, &why);
    else if (from->type == ENVELOPE_SPAN)
        rc = event_read_span(payload, account, in, put_link, &why);
    else if (from->type == ENVELOPE_CLIENT_REPORT)
        rc = event_read_report(payload, account, &discards, &why);
    if (__builtin_add_overflow(in->discards, discards, &in->discards))
        in->discards = UINT64_MAX;
    return drop_malformed(item, rc, &why);
}

static enum err read_items(struct ingest *in, struct transaction *t)
{
    size_t count;
    const struct envelope_item *from = envelope_items(in->envelope, &count);
    bool profiled = false;
    TRY(list_items(in));
    TRY(read_transaction(in, t));
    const struct event *event = t->read ? &t->event : NULL;
    for (size_t i = 0; i < count; i++) {
        struct ingest_item *item = item_at(in, i);
        if (from[i].type != ENVELOPE_PROFILE && from[i].type != ENVELOPE_PROFILE_CHUNK) {
            TRY(read_other_item(in, &from[i], item));
            continue;
        }
        TRY(read_profile_item(in, &from[i], item, event, t->sent));
        profiled |= from[i].type == ENVELOPE_PROFILE && item->outcome == INGEST_STORED;
    }
    TRY(put_transaction(in, t, profiled));
    return make_records(in);
}

/* From the start: an attempt that found no room left nothing behind. */
static enum err read_contents(struct ingest *in)
{
    struct transaction t = {.sent = false};
    buffer_clear(&in->items);
    buffer_clear(&in->encoded);
    buffer_clear(&in->ends);
    buffer_clear(&in->records);
    in->discards = 0;
    arena_init(&t.arena, EVENT_MEMORY_MAX, in->request.account);
    buffer_init(&t.spans, SIZE_MAX, in->request.account);
    enum err rc = read_items(in, &t);
    buffer_close(&t.spans);
    arena_close(&t.arena);
    return rc;
}

static void choose_answer_id(struct ingest *in)
{
    const struct envelope_header *header = envelope_header(in->envelope);
    in->has_answer_id = header->has_event_id || envelope_needs_event_id(in->envelope);
    in->answer_id = header->has_event_id ? header->event_id : uuid_random();
}

enum err ingest_finish(struct ingest *in, struct errinfo *info)
{
    struct errinfo cause = {{0}};
    assert(!in->done);
    bool known_before = envelope_header(in->envelope) != NULL;
    enum err rc = envelope_finish(in->envelope, &cause);
    if (!known_before && envelope_header(in->envelope) != NULL)
        TRY(check_header(in, info));
    if (rc != ERR_OK)
        return hand_up(in, rc, &cause, info);
    choose_answer_id(in);
    rc = read_contents(in);
    if (rc != ERR_OK) { /* memory: contents that cannot be read are no failure */
        (void)err_set(&cause, rc, "%s while reading the items", err_text(rc));
        return hand_up(in, rc, &cause, info);
    }
    in->done = true;
    return ERR_OK;
}

/* ---- results ---- */

const struct bytes *ingest_records(const struct ingest *in, size_t *ret_count)
{
    *ret_count = in->records.len / sizeof(struct bytes);
    return (const struct bytes *)(const void *)in->records.data;
}

const struct ingest_item *ingest_items(const struct ingest *in, size_t *ret_count)
{
    *ret_count = in->items.len / sizeof(struct ingest_item);
    return (const struct ingest_item *)(const void *)in->items.data;
}

uint64_t ingest_client_discards(const struct ingest *in)
{
    return in->discards;
}

void ingest_destroy(struct ingest *in)
{
    if (in == NULL)
        return;
    envelope_destroy(in->envelope);
    buffer_close(&in->items);
    buffer_close(&in->encoded);
    buffer_close(&in->ends);
    buffer_close(&in->records);
    mem_free(in);
}
