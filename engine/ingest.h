/* ingest.h - one upload, from the first decoded byte to records ready for the store.
 *
 * Owns:    what it keeps of the envelope: headers, payloads of items hearth reads, their columns.
 * Threads: one at a time; pool threads (it parses). Knows no socket: api/ feeds it, so does import.
 * Errors:  ERR_BUSY: the memory budget has no room now; nothing was consumed beyond *ret_used, call
 *          again with the rest later. Every other failure ends the upload, and ingest_verdict says
 *          which HTTP status and text it has.
 * Cost:    O(bytes); memory is what spec limits allow, reserved from the account before it grows.
 *
 *   begin -> feed* -> finish -> records -> (append strand) -> verdict
 */
#ifndef HEARTH_ENGINE_INGEST_H
#define HEARTH_ENGINE_INGEST_H

#include "base/buffer.h"
#include "engine/keyring.h"
#include "storage/store.h"

/* What happened to an item, counted per type and reason; texts are those of Sentry's outcomes. */
#define INGEST_OUTCOMES(X)                                           \
    X(STORED, "stored")                                              \
    X(READ, "read_for_linking")                                      \
    X(ACCEPTED, "accepted_and_dropped")                              \
    X(UNKNOWN, "unknown_item_type")                                  \
    X(INVALID_JSON, "profiling_invalid_json")                        \
    X(INVALID_PROFILE_TYPE, "profiling_invalid_profile_type")        \
    X(INVALID_METADATA, "profiling_invalid_profile_metadata")        \
    X(INVALID_TRANSACTION, "profiling_invalid_transaction_metadata") \
    X(NO_TRANSACTION, "profiling_no_transaction_associated")         \
    X(STANDALONE, "standalone")                                      \
    X(NOT_ENOUGH_SAMPLES, "profiling_not_enough_samples")            \
    X(MALFORMED_SAMPLES, "profiling_malformed_samples")              \
    X(MALFORMED_STACKS, "profiling_malformed_stacks")                \
    X(TOO_LONG, "profiling_duration_is_too_long")                    \
    X(PLATFORM_NOT_SUPPORTED, "profiling_platform_not_supported")    \
    X(TOO_MANY_PROFILES, "profiling_too_many_profiles")              \
    X(EXCEED_SIZE, "profiling_exceed_size_limit")                    \
    X(ANDROID_TRACE, "android_trace_not_supported")                  \
    X(PERFETTO, "perfetto_not_supported")

enum ingest_outcome {
#define INGEST_ENUM(code, text) INGEST_##code,
    INGEST_OUTCOMES(INGEST_ENUM)
#undef INGEST_ENUM
        INGEST_OUTCOME_COUNT
};

const char *ingest_outcome_text(enum ingest_outcome outcome);

struct ingest_request {
    uint64_t project_id;        /* from the path */
    struct bytes x_sentry_auth; /* header values; data NULL when absent */
    struct bytes authorization;
    struct bytes query;         /* raw, without '?' */
    const struct keyring *keys; /* an immutable snapshot of the keys */
    bool open_mode;             /* any well-formed key of any project is accepted */
    int64_t now_ns;             /* `received` of what is stored */
    uint32_t retention_days;
    struct mem_account *account; /* borrowed; NULL for tools without a budget */
};

struct ingest_item {
    struct bytes type; /* as sent, at most 64 bytes of it */
    size_t size;
    enum ingest_outcome outcome;
    uint32_t sample_count; /* of stored profiles */
    struct uuid id;        /* chunk or profile id, nil unless decoded */
    char detail[96];       /* why it was refused, where; "" otherwise */
};

struct ingest;

enum err ingest_create(const struct ingest_request *request, struct ingest **ret,
                       struct errinfo *info) MUST_CHECK;
/* Authentication from headers and query: known before the body. ERR_OK also when only the envelope
 * header can tell. A failure here may be answered at once. */
enum err ingest_authenticate(struct ingest *in, struct errinfo *info) MUST_CHECK;
/* Decoded (no content coding) bytes of the body, in order, in pieces of any size. */
enum err ingest_feed(struct ingest *in, struct bytes piece, size_t *ret_used,
                     struct errinfo *info) MUST_CHECK;
/* The body is complete: last checks, normalisation with the transaction's facts, encoding. May be
 * called again after ERR_BUSY. */
enum err ingest_finish(struct ingest *in, struct errinfo *info) MUST_CHECK;
/* Encoded records for store_append; live until ingest_destroy. */
const struct bytes *ingest_records(const struct ingest *in, size_t *ret_count);
const struct ingest_item *ingest_items(const struct ingest *in, size_t *ret_count);
/* Discards reported by SDKs in client_report items: sum of quantities. */
uint64_t ingest_client_discards(const struct ingest *in);
/* Status and body of the answer: {"id":"..."} or {} on 200, {"detail":...,"causes":[...]} on a
 * refusal. `text` has room for INGEST_ANSWER_MAX bytes. Rate-limit headers are the caller's. */
#define INGEST_ANSWER_MAX 512
int ingest_verdict(const struct ingest *in, char text[INGEST_ANSWER_MAX]);
/* The same for failures outside: body that cannot be decoded (400), too large (413), no room (503). */
int ingest_verdict_of(enum err rc, const char *cause, char text[INGEST_ANSWER_MAX]);
void ingest_destroy(struct ingest *in); /* NULL is fine */

#endif
