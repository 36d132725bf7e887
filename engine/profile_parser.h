/* profile_parser.h - the JSON of a chunk or transaction profile, read once, into columns.
 *
 * Checks types and what must be there by the rules asked for; judges nothing that needs two places
 * of the document at once (that is profile_decode and sample_rules).
 *
 * Owns:   its columns and scratch. Raw views point into the text, which is borrowed.
 * Errors: ERR_MALFORMED with "offset N: expected ..."; ERR_BUSY, ERR_LIMIT, ERR_NOMEM from memory.
 * Cost:   one pass.
 */
#ifndef HEARTH_ENGINE_PROFILE_PARSER_H
#define HEARTH_ENGINE_PROFILE_PARSER_H

#include "engine/json_reader.h"
#include "engine/profile_columns.h"
#include "engine/profile_decode.h"

enum profile_version_state { VERSION_MISSING, VERSION_TEXT, VERSION_OTHER };

/* What decides whether a document is in the sample format at all. */
struct profile_format {
    enum profile_version_state state;
    struct bytes version;  /* text without escapes, a view */
    struct bytes platform; /* the same; empty when missing or no text */
    bool sampled_profile;  /* there is such a key: an Android method trace */
};

/* A transaction of a profile's `transaction` or `transactions`. */
struct profile_transaction {
    bool known;
    uint32_t name;
    uint32_t active_thread; /* decimal; 0: missing */
    uint32_t segment_id;
    struct uuid id;
    struct uuid trace_id;
    uint64_t relative_start_ns;
    uint64_t relative_end_ns;
    uint64_t duration_ns;
    struct bytes id_raw; /* rules STORED: a text that is no UUID, as JSON */
    struct bytes trace_id_raw;
};

/* Values kept as they were sent; data NULL: none. */
struct profile_raw {
    struct bytes debug_meta;
    struct bytes measurements;
    struct bytes device;
    struct bytes os;
    struct bytes runtime;
    struct bytes transaction_metadata;
    struct bytes transaction_tags;
    struct bytes queue_metadata;
    struct bytes received;
    struct bytes retention_days;
    struct bytes id;
    struct bytes profiler_id;
};

struct profile_parser {
    struct json_reader r;
    struct profile_columns columns;
    enum profile_kind kind;
    bool strict;      /* rules ENVELOPE */
    struct profile p; /* scalars; the columns are not in it yet */
    struct profile_format format;
    struct profile_raw raw;
    struct profile_transaction transaction;       /* of `transaction` */
    struct profile_transaction first_transaction; /* of `transactions` */
    bool metadata_whole;         /* transaction profiles: what Cocoa must say is there */
    bool arm64;                  /* device.architecture is arm64 or arm64e */
    bool measurements_rewritten; /* raw.measurements is in `rewritten` */
    struct buffer rewritten;
    struct buffer scratch; /* strings with escapes */
    struct buffer stack;   /* u32, one stack at a time */
    struct buffer piece;   /* a frame's rest, while it is written */
    /* what the sample before was: most repeat or follow it */
    struct bytes time_text;
    uint64_t time_value;
    uint32_t thread_value;
    struct json_keys frame_keys;
    struct json_keys sample_keys;
    struct json_keys metadata_keys;
};

void profile_parser_init(struct profile_parser *ps, struct bytes json,
                         const struct decode_options *options, struct errinfo *info);
void profile_parser_close(struct profile_parser *ps);
enum err profile_parser_run(struct profile_parser *ps) MUST_CHECK;
/* Only the format, of any document: ERR_MALFORMED when it is no JSON object. */
enum err profile_parser_format(struct bytes json, struct mem_account *account,
                               struct profile_format *ret, struct errinfo *info) MUST_CHECK;

#endif
