/* profile.h - one profile as columns: the shape that decoding makes, blocks hold and queries read.
 *
 * A profile is either a chunk of a continuous profiler or a transaction profile (words:
 * docs/architecture.md). This struct only points; who made it owns the memory (an arena or the
 * decoder's buffers) and says how long it lives.
 *
 * Order and indices are those of the normalised document, so that the document can be written
 * back: frame lists with their repetitions, stacks with theirs, samples in document order (chunks
 * of an envelope: ascending time; others mostly, engine/sample_sort.h helps).
 *
 * Texts are ids into `strings`; 0 is the empty string, which stands for absent, null and "" alike.
 * Nothing here promises that indices are in range except where said: a block may hold a document
 * that nobody checked on its way in. profile_check tells.
 */
#ifndef HEARTH_STORAGE_PROFILE_H
#define HEARTH_STORAGE_PROFILE_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"

enum profile_kind {
    PROFILE_CHUNK = 1,      /* sample format v2, a chunk of a continuous profiler */
    PROFILE_TRANSACTION = 2 /* sample format v1, the samples of one transaction */
};

enum profile_in_app { IN_APP_ABSENT = 0, IN_APP_FALSE = 1, IN_APP_TRUE = 2 };

/* Lists that were null or missing are written back as null, empty ones as []. */
enum profile_flag {
    PROFILE_FRAMES_NULL = 1u << 0,
    PROFILE_STACKS_NULL = 1u << 1,
    PROFILE_SAMPLES_NULL = 1u << 2,
    PROFILE_THREADS_NULL = 1u << 3, /* thread_metadata */
    PROFILE_SAMPLED = 1u << 4       /* transaction profiles: `sampled` is true */
};

#define PROFILE_NONE UINT32_MAX

struct profile_frame {
    uint32_t function;
    uint32_t module;
    uint32_t package;
    uint32_t filename;
    uint32_t abs_path;
    uint32_t platform;
    uint32_t instruction_addr;
    uint32_t rest;   /* JSON object text with the keys data, lang, status, sym_addr, symbol; or 0 */
    uint32_t line;   /* 0: absent */
    uint32_t column; /* 0: absent */
    uint32_t in_app; /* enum profile_in_app; 32 bits so that frames have no padding (hashable) */
};

struct profile_thread {
    uint32_t id;       /* text of the thread id; decimal for transaction profiles */
    uint32_t name;     /* from thread_metadata; 0: none */
    uint32_t priority; /* from thread_metadata, the number itself; 0: none */
    uint32_t known;    /* 1: has an entry in thread_metadata */
};

struct profile {
    enum profile_kind kind;
    uint32_t flags; /* enum profile_flag */
    uint64_t organization_id;
    uint64_t project_id;
    uint32_t retention_days;
    int64_t received_ns; /* unix */

    struct uuid profiler_id; /* chunk: the profiler; transaction profile: nil */
    struct uuid id;          /* chunk_id, or profile_id */

    uint32_t version; /* "2" or "1" */
    uint32_t platform;
    uint32_t environment;
    uint32_t release;
    uint32_t dist;
    uint32_t sdk_name;
    uint32_t sdk_version;

    /* transaction profiles only */
    int64_t timestamp_ns;    /* unix: where elapsed 0 is */
    uint32_t timestamp_text; /* as it came: its UTC offset is kept */
    uint32_t transaction;    /* name */
    uint32_t active_thread;  /* decimal text of active_thread_id */
    uint32_t segment_id;
    struct uuid transaction_id;
    struct uuid trace_id;

    /* JSON object text: document keys that have no field above (debug_meta, measurements, device,
     * os, runtime, transaction_metadata, transaction_tags, queue_metadata, ...), values as sent */
    struct bytes rest;

    const struct bytes *strings; /* [0] is empty */
    size_t string_count;

    const struct profile_frame *frames; /* distinct */
    size_t frame_count;
    const uint32_t *frame_list; /* frame as numbered in the document -> frames */
    size_t frame_list_count;

    /* trie of stacks, a parent before its children; frames numbered as in the document */
    const uint32_t *node_parent; /* PROFILE_NONE for a root */
    const uint32_t *node_frame;  /* < frame_list_count unless the document was bad */
    size_t node_count;
    const uint32_t *stacks; /* stack as numbered in the document -> leaf node; NONE: empty stack */
    size_t stack_count;

    const struct profile_thread *threads; /* with samples first, in order of first sample */
    size_t thread_count;

    /* samples, document order */
    const uint64_t *sample_time;   /* chunk: bits of the binary64 unix seconds; else elapsed ns */
    const uint32_t *sample_thread; /* < thread_count */
    const uint32_t *sample_stack;  /* < stack_count unless the document was bad */
    const uint32_t *sample_queue;  /* string id of queue_address; NULL: no sample has one */
    const uint8_t *sample_idle;    /* 1: state "idle"; NULL: none */
    size_t sample_count;
};

/* Unix nanoseconds of a sample: trunc(seconds * 1e9) for chunks, timestamp + elapsed otherwise. */
int64_t profile_sample_ns(const struct profile *p, size_t sample);
double profile_sample_seconds(const struct profile *p, size_t sample); /* chunks only */
struct bytes profile_string(const struct profile *p, uint32_t id);
/* The frame that trie node `node` stands for; NULL when the document's index was bad. */
const struct profile_frame *profile_node_frame(const struct profile *p, uint32_t node);
/* Only what is promised of every profile, unchecked documents included: text ids,
 * listed frames, leaves and threads in range, parents before children. Blocks keep exactly this. */
enum err profile_check_shape(const struct profile *p, struct errinfo *info) MUST_CHECK;
/* Every index in range, parents before children, times ascending: ERR_CORRUPT and where, else. */
enum err profile_check(const struct profile *p, struct errinfo *info) MUST_CHECK;

#endif
