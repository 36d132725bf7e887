/* segment_rows_parts.h - what the sources of rows and links share: how numbers are written, and
 * what an opened segment knows. */
#ifndef HEARTH_STORAGE_SEGMENT_ROWS_PARTS_H
#define HEARTH_STORAGE_SEGMENT_ROWS_PARTS_H

#include "storage/segment_rows.h"
#include "storage/slots.h"

#define SOURCE_TEXT_COUNT TEXT_TRANSACTION /* all but the transaction's name */

/* ---- how it is written ---- */

/* Signed numbers as unsigned ones in the same order. */
static inline uint64_t rows_bits_of(int64_t value)
{
    return (uint64_t)value ^ UINT64_C(1) << 63;
}

static inline int64_t rows_of_bits(uint64_t bits)
{
    return (int64_t)(bits ^ UINT64_C(1) << 63);
}

static inline uint64_t rows_hash_seed(struct uuid file_id)
{
    return hash_bytes(bytes_of(file_id.byte, sizeof file_id.byte), 0);
}

/* Of a run (its kind and profiler), a transaction profile (kind and its id), the links of a trace
 * (RECORD_LINK and the trace). */
static inline uint64_t rows_key_hash(uint64_t seed, enum record_kind kind, uint64_t project_id,
                                     struct uuid id)
{
    uint8_t key[32];
    put_u64(key, (uint64_t)kind);
    put_u64(key + 8, project_id);
    memcpy(key + 16, id.byte, sizeof id.byte);
    return hash_bytes(bytes_of(key, sizeof key), seed);
}

/* ---- reading ---- */

struct segment_rows {
    const struct segment_file *file;
    struct segment_counts counts;
    uint32_t row_count;
    uint64_t hash_seed;

    struct sixteens row_id;
    struct sixteens row_content;
    struct packed row_start;
    struct packed row_duration;
    struct packed row_back;
    struct packed row_received;
    struct packed row_arrival;
    struct packed row_samples;
    struct packed row_threads;
    struct packed row_source;
    struct packed row_flags;
    struct packed row_block_end;

    struct sixteens transaction_trace;
    struct sixteens transaction_event;
    struct packed transaction_name;
    struct slots transaction_slots;

    struct packed run_project;
    struct sixteens run_profiler;
    struct packed run_first;
    struct slots run_slots;

    struct packed source_organization;
    struct packed source_project;
    struct packed source_retention;
    struct packed source_text;
    struct segment_section tag_bytes;
    struct packed tag_end;

    struct packed link_span;
    struct packed link_start;
    struct packed link_duration;
    struct packed link_back;
    struct segment_section link_pages;
    struct packed link_end;
    struct sixteens trace_id;
    struct packed trace_first;
    struct packed trace_link;
    struct slots trace_slots;

    struct packed project_id;
    struct packed project_run;
    struct packed project_link;
};

static inline enum err rows_load(const struct packed *column, uint32_t at, uint64_t *ret)
{
    return packed_get(column, at, ret) ? ERR_OK : ERR_CORRUPT;
}

/* A number that must be below (or at) what there is. */
static inline enum err rows_load_up_to(const struct packed *column, uint32_t at, uint32_t max,
                                       uint32_t *ret)
{
    uint64_t value;
    if (!packed_get(column, at, &value) || value > max)
        return ERR_CORRUPT;
    *ret = (uint32_t)value;
    return ERR_OK;
}

/* Rows, or links, that are sorted by start and know where the largest end up to them is. */
struct rows_spans {
    const struct packed *start;
    const struct packed *duration;
    const struct packed *back;
};

/* Start and end; the end wraps as it did when it was written. */
enum err rows_load_span(const struct rows_spans *s, uint32_t at, int64_t *ret_start_ns,
                        int64_t *ret_end_ns) MUST_CHECK;
enum err rows_load_max_end(const struct rows_spans *s, uint32_t at, int64_t *ret) MUST_CHECK;
/* Of items [first, end): those [*ret_from, *ret_end) that can meet [start_ns, end_ns]. */
enum err rows_find_span(const struct rows_spans *s, uint32_t first, uint32_t end, int64_t start_ns,
                        int64_t end_ns, uint32_t *ret_from, uint32_t *ret_end) MUST_CHECK;
/* Firsts ascend, each stored less `step` times its own number: where number `at` begins. */
enum err rows_load_first(const struct packed *firsts, uint32_t at, uint32_t step, uint32_t max,
                         uint32_t *ret) MUST_CHECK;
/* The last of `count` that does not begin behind `item`. ERR_CORRUPT: there is none. */
enum err rows_find_owner(const struct packed *firsts, uint32_t step, uint32_t count, uint32_t item,
                         uint32_t *ret) MUST_CHECK;

#endif
