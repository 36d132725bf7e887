/* log_index_parts.h - what log_index.c (the writer) and log_view.c (the readers) share. */
#ifndef HEARTH_STORAGE_LOG_INDEX_PARTS_H
#define HEARTH_STORAGE_LOG_INDEX_PARTS_H

#include <pthread.h>

#include "base/mem.h"
#include "storage/log_index.h"
#include "storage/run.h"
#include "storage/text_pool.h"

/* What many rows agree in. No padding: hashed and compared as bytes. */
struct row_source {
    uint64_t organization_id;
    uint64_t project_id;
    uint32_t retention_days;
    uint32_t text[TEXT_TRANSACTION]; /* all but the transaction's name */
    uint32_t zero;
};

struct row_data {
    struct uuid id;
    struct uuid profiler_id;
    struct hash128 content;
    int64_t start_ns;
    int64_t end_ns;
    int64_t received_ns;
    struct log_place place;
    uint32_t source;
    uint32_t extra; /* transaction profiles; ID_NONE for chunks */
    uint32_t sample_count;
    uint32_t thread_count;
    uint32_t older;               /* row before with these ids, whatever its start; ID_NONE */
    _Atomic uint32_t replaced_by; /* ID_NONE while it is the latest of its key */
    atomic_bool damaged;          /* its block could not be read */
};

struct row_extra {
    struct uuid trace_id;
    struct uuid transaction_id;
    uint32_t transaction;
};

struct link_data {
    uint64_t project_id;
    struct uuid profiler_id;
    struct uuid trace_id;
    struct uuid transaction_id;
    struct hash128 content;
    uint64_t span_id;
    uint64_t parent_span_id;
    int64_t start_ns;
    int64_t end_ns;
    uint32_t text[LINK_TEXT_COUNT];
    uint32_t older; /* link before of this trace; ID_NONE */
    _Atomic uint32_t replaced_by;
    bool is_segment;
};

/* No padding: hashed and compared as bytes. Parts that a table does not look at are zero. */
struct index_key {
    uint64_t kind;
    uint64_t project_id;
    struct uuid profiler_id; /* links: the trace */
    struct uuid id;          /* links: the start, in the first 8 bytes */
    uint64_t start;          /* links: the span */
};

/* The rows of a profiler, the transaction profiles of a project (profiler nil), or its links. */
struct run_slot {
    struct run run;
    uint64_t project_id;
    struct uuid profiler_id;
    enum record_kind kind;
};

static inline struct index_key index_run_key(const struct run_slot *slot)
{
    return (struct index_key){
        .kind = slot->kind, .project_id = slot->project_id, .profiler_id = slot->profiler_id};
}

/* A row or link of another part that one of these replaces. */
struct hide_data {
    uint32_t part;
    uint32_t id;
    uint32_t link; /* 1: a link */
    uint32_t by;   /* row or link of this set */
};

/* No padding: hashed as bytes. */
struct hide_key {
    uint32_t part;
    uint32_t id;
    uint32_t link;
};

struct log_index {
    struct stable_array rows;
    struct stable_array extras;
    struct stable_array links;
    struct stable_array runs;
    struct stable_array sources;
    struct stable_array hides;
    struct text_pool texts;
    struct id_table by_key;   /* newest row of the key */
    struct id_table by_id;    /* newest row of these ids */
    struct id_table by_run;   /* run */
    struct id_table by_span;  /* newest link of the key */
    struct id_table by_trace; /* newest link of the trace */
    struct id_table by_source;
    struct id_table by_hidden;
    struct run_piece *spares; /* of one id each, linked by `next` */
    size_t spare_count;
    struct retired retired;     /* since the last publish */
    struct mem_account account; /* holds at least what is in use */
    uint64_t hash_seed;

    /* the writer's; readers know those of their view */
    size_t row_count;
    size_t extra_count;
    size_t link_count;
    size_t run_count;
    size_t source_count;
    size_t hide_count;
    ptrdiff_t run_bytes;
    uint64_t replaced_rows;
    uint64_t replaced_links;
    uint64_t hidden_rows; /* of other parts, each counted once */
    uint64_t hidden_links;

    pthread_mutex_t lock; /* guards what follows */
    uint64_t generation;
    uint32_t published_rows;
    uint32_t published_links;
    uint32_t published_runs;
    uint32_t published_hides;
    struct log_index_stats stats;
    struct log_pin *oldest;
    struct log_pin *newest;
    struct retired waiting; /* for pins to go */
    struct mem_account waiting_account;
};

static inline struct row_data *index_row(const struct log_index *ix, uint32_t id)
{
    return stable_array_at(&ix->rows, id);
}

static inline struct link_data *index_link(const struct log_index *ix, uint32_t id)
{
    return stable_array_at(&ix->links, id);
}

static inline struct run_slot *index_run(const struct log_index *ix, uint32_t id)
{
    return stable_array_at(&ix->runs, id);
}

static inline struct row_source *index_source(const struct log_index *ix, uint32_t id)
{
    return stable_array_at(&ix->sources, id);
}

static inline struct row_extra *index_extra(const struct log_index *ix, uint32_t id)
{
    return stable_array_at(&ix->extras, id);
}

static inline struct hide_data *index_hide(const struct log_index *ix, uint32_t at)
{
    return stable_array_at(&ix->hides, at);
}

static inline enum record_kind index_row_kind(const struct row_data *row)
{
    return row->extra == ID_NONE ? RECORD_CHUNK : RECORD_TRANSACTION;
}

static inline uint64_t index_hide_hash(const struct log_index *ix, const struct hide_key *key)
{
    return hash_bytes(bytes_of(key, sizeof *key), ix->hash_seed);
}

static inline uint64_t index_key_hash(const struct log_index *ix, const struct index_key *key)
{
    return hash_bytes(bytes_of(key, sizeof *key), ix->hash_seed);
}

#endif
