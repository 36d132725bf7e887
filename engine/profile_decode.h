/* profile_decode.h - one JSON document (chunk or transaction profile) into columns.
 *
 * Two sets of rules: what an envelope item must be (Relay's, strict), and what a stored document
 * may be (vroom's: null anywhere, bad indices kept for later).
 *
 * What the columns cannot say goes into `rest`, a JSON object with any of these keys, values as sent:
 *   chunk    debug_meta, measurements
 *   profile  debug_meta, measurements, device, os, runtime, transaction_metadata,
 *            transaction_tags, queue_metadata (of profile.queue_metadata)
 * and under rules STORED also, meaning more than the column of the same name when there:
 *   received (as sent: double, text, ...), transaction_duration_ns (of transaction.duration_ns),
 *   and chunk_id, profiler_id, event_id, transaction_id, trace_id (texts that are no UUID: the
 *   column is nil), retention_days (a number that does not fit).
 * Absent, null and empty values leave no key. A frame's `rest` has data (object), lang, status,
 * sym_addr, symbol (texts).
 *
 * Rules STORED: a stack or frame index that no column can hold (negative, beyond 32 bits) becomes
 * PROFILE_NONE, which is past the list as well; texts with bytes that are not UTF-8 have them
 * replaced by U+FFFD; negative sample times are refused.
 *
 * Owns:   the decoded columns until decoded_close; `profile` points into them and into `json`
 *         nowhere: the input may go afterwards.
 * Errors: ERR_MALFORMED with `ret_outcome` and "offset N: expected ..." in info; ERR_BUSY,
 *         ERR_LIMIT, ERR_NOMEM from memory.
 * Cost:   one pass over the text, no tree; memory is the columns.
 */
#ifndef HEARTH_ENGINE_PROFILE_DECODE_H
#define HEARTH_ENGINE_PROFILE_DECODE_H

#include "engine/ingest.h"
#include "storage/profile.h"

enum decode_rules {
    DECODE_ENVELOPE, /* strict types; normalised as docs/semantics.md says */
    DECODE_STORED    /* lenient: as stored, nothing sorted, trimmed or checked */
};

struct decoded;

/* Rules ENVELOPE: `platform_header` is the item header's platform (data NULL: absent). */
struct decode_options {
    enum profile_kind kind;
    enum decode_rules rules;
    struct bytes platform_header;
    struct mem_account *account;
};

enum err profile_decode(struct bytes json, const struct decode_options *options,
                        struct decoded **ret, enum ingest_outcome *ret_outcome,
                        struct errinfo *info) MUST_CHECK;
/* Mutable until encoded: ingest fills in what the envelope's transaction says. */
struct profile *decoded_profile(struct decoded *d);
/* Add a text to the profile's strings. */
enum err decoded_add_string(struct decoded *d, struct bytes text, uint32_t *ret_id) MUST_CHECK;
void decoded_destroy(struct decoded *d);

#endif
