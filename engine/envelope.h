/* envelope.h - split an upload into its items while it arrives.
 *
 *   ENVELOPE -> AFTER_ENVELOPE -> ITEM -> AFTER_ITEM -> COUNTED | LINE -> AFTER_PAYLOAD
 *                                  ^                                          |
 *                                  +------------------------------------------+
 *
 * Framing and limits are those of Sentry's ingest server. Only payloads that hearth reads are kept;
 * the rest passes uncopied.
 *
 * Owns:   headers and kept payloads, counted against the account.
 * Errors: ERR_MALFORMED: bad framing, with the offset (HTTP 400). ERR_LIMIT: too many, too large
 *         (413); found early, but said by envelope_finish, since bad framing counts more; only the
 *         whole envelope's ceiling is said at once. ERR_BUSY: no room now; feed the rest again.
 * Cost:   O(bytes).
 */
#ifndef HEARTH_ENGINE_ENVELOPE_H
#define HEARTH_ENGINE_ENVELOPE_H

#include "base/buffer.h"
#include "base/uuid.h"

/* type, its text, kept, an envelope with it needs an event id */
#define ENVELOPE_ITEM_TYPES(X)                            \
    X(PROFILE, "profile", true, true)                     \
    X(PROFILE_CHUNK, "profile_chunk", true, false)        \
    X(TRANSACTION, "transaction", true, true)             \
    X(SPAN, "span", true, false)                          \
    X(SPAN_CONTAINER, "span", true, false)                \
    X(CLIENT_REPORT, "client_report", true, false)        \
    X(EVENT, "event", false, true)                        \
    X(SECURITY, "security", false, true)                  \
    X(RAW_SECURITY, "raw_security", false, true)          \
    X(UNREAL_REPORT, "unreal_report", false, true)        \
    X(FORM_DATA, "form_data", false, true)                \
    X(FEEDBACK, "feedback", false, true)                  \
    X(USER_REPORT, "user_report", false, true)            \
    X(SESSION, "session", false, false)                   \
    X(SESSIONS, "sessions", false, false)                 \
    X(ATTACHMENT, "attachment", false, true)              \
    X(CHECK_IN, "check_in", false, false)                 \
    X(REPLAY_EVENT, "replay_event", false, true)          \
    X(REPLAY_RECORDING, "replay_recording", false, false) \
    X(REPLAY_VIDEO, "replay_video", false, false)         \
    X(LOG, "log", false, false)                           \
    X(TRACE_METRIC, "trace_metric", false, false)         \
    X(STATSD, "statsd", false, false)                     \
    X(METRIC_BUCKETS, "metric_buckets", false, false)     \
    X(METRIC_META, "metric_meta", false, false)           \
    X(NEL, "nel", false, false)                           \
    X(UNKNOWN, "", false, false)

enum envelope_item_type {
#define ENVELOPE_ENUM(code, text, kept, event) ENVELOPE_##code,
    ENVELOPE_ITEM_TYPES(ENVELOPE_ENUM)
#undef ENVELOPE_ENUM
        ENVELOPE_TYPE_COUNT
};

#define ENVELOPE_TYPE_TEXT_MAX 64

struct envelope_item {
    enum envelope_item_type type;
    uint8_t type_size;
    char type_text[ENVELOPE_TYPE_TEXT_MAX]; /* as sent, cut */
    bool perfetto;                          /* by its content type */
    bool has_meta_length;
    bool has_platform;
    bool unsampled; /* "sampled": false */
    bool has_item_count;
    uint64_t item_count;
    size_t platform_at; /* in the envelope's texts: envelope_platform */
    size_t platform_size;
    size_t size;           /* of the payload */
    struct buffer payload; /* kept types only */
};

struct envelope_header {
    bool has_event_id;
    struct uuid event_id;
    bool has_dsn;
    struct bytes dsn; /* lives as long as the envelope */
};

struct envelope;

enum err envelope_create(struct mem_account *account, struct envelope **ret,
                         struct errinfo *info) MUST_CHECK;
/* The next bytes, in pieces of any size; *ret_used is less than all only on failure. */
enum err envelope_feed(struct envelope *e, struct bytes piece, size_t *ret_used,
                       struct errinfo *info) MUST_CHECK;
/* There are no more bytes. May be called again after ERR_BUSY. */
enum err envelope_finish(struct envelope *e, struct errinfo *info) MUST_CHECK;
/* NULL until the header was read. */
const struct envelope_header *envelope_header(const struct envelope *e);
struct envelope_item *envelope_items(const struct envelope *e, size_t *ret_count);
/* data NULL: the item header has none. */
struct bytes envelope_platform(const struct envelope *e, const struct envelope_item *item);
/* Some item needs the envelope to have an event id. */
bool envelope_needs_event_id(const struct envelope *e);
size_t envelope_size(const struct envelope *e);
void envelope_destroy(struct envelope *e); /* NULL is fine */

#endif
