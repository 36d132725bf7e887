/* segment_rows.h - the rows and links of a segment: facts, column by column, and the ways to find
 * them. What storage/log_index.h is for logs, without memory of its own: everything is in the
 * mapped file.
 *
 * Order. Rows: chunks before transaction profiles; then project, profiler (nil for transaction
 * profiles), start, id. A run is the rows of one (kind, project, profiler). Links: project, start,
 * arrival.
 *
 * Finding
 *  - a run by (kind, project, profiler), a transaction profile by (project, id), the links of a
 *    trace by (project, trace): a hash table each (storage/slots.h);
 *  - a range of time in a run: starts ascend, and `back` tells for every row how far before it the
 *    largest end up to it is, so that two searches bound the answer however rows overlap;
 *  - a chunk by id: the ids of its run, one after another; by id and start: a search;
 *  - links of a time: as rows; one link of a trace by its span: a search.
 *
 * Texts that rows agree in (tags) are numbered in the order of their bytes; 0 is the empty one.
 *
 * Threads: a builder has one caller at a time, a reader any number, a link cursor one.
 * Errors:  reading gives ERR_CORRUPT when a piece it needs is damaged or says what cannot be, and
 *          for rows, links and tags that are not there: their numbers come from disk too.
 * Cost:    opening O(1); a run O(1); a range O(log rows of the run + answer); a row O(log runs).
 *          On disk about 55 bytes a row, 25 a run, 45 a link.
 */
#ifndef HEARTH_STORAGE_SEGMENT_ROWS_H
#define HEARTH_STORAGE_SEGMENT_ROWS_H

#include "storage/packed.h"
#include "storage/record.h"
#include "storage/segment_tables.h"

enum segment_row_flag {
    SEGMENT_ROW_SUMMABLE = 1u << 0, /* its block can be summed without being decoded */
    SEGMENT_ROW_DAMAGED = 1u << 1   /* its block was lost before it was sealed */
};

struct segment_counts {
    uint32_t chunks;
    uint32_t transactions;
    uint32_t links;
    uint32_t traces;     /* of links */
    uint32_t runs;       /* of chunks, then those of transaction profiles */
    uint32_t chunk_runs; /* of these, how many are of chunks */
    uint32_t sources;
    uint32_t tags;
    uint32_t projects;
};

/* ---- building ---- */

/* Memory: 88 bytes a row, 36 more a transaction profile, 32 a run, 144 a link; writing takes
 * another 8 a row, 6 a run and 34 a link. ERR_BUSY, ERR_LIMIT, ERR_NOMEM when there is none. */
struct rows_builder;

enum err rows_builder_create(struct mem_account *account, struct rows_builder **ret) MUST_CHECK;
void rows_builder_destroy(struct rows_builder *b); /* NULL is fine */
size_t rows_builder_bytes(const struct rows_builder *b);
size_t rows_builder_row_count(const struct rows_builder *b);
uint32_t rows_builder_chunk_count(const struct rows_builder *b);
/* A profile, in the order above; record_compare tells it. `block_end`: where its block ends in the
 * section of blocks. ERR_CORRUPT: it does not come behind the one before, or is no profile. */
enum err rows_builder_add(struct rows_builder *b, const struct record *r, uint64_t arrival,
                          uint64_t block_end, uint32_t flags, struct errinfo *info) MUST_CHECK;
/* Links in any order: they are sorted when written. Texts go to the tables. */
enum err rows_builder_add_link(struct rows_builder *b, struct tables_builder *tables,
                               const struct link *link, struct hash128 content, uint64_t arrival,
                               struct errinfo *info) MUST_CHECK;
/* All sections of rows and links into the file of that id, and *ret_counts for the facts of the
 * segment. ERR_CORRUPT: two transaction profiles or two links have one key. May be tried again with
 * another file. */
enum err rows_builder_write(struct rows_builder *b, struct segment_file_writer *w,
                            struct uuid file_id, struct segment_counts *ret_counts,
                            struct errinfo *info) MUST_CHECK;

/* Once they were written: the tag of a row's text, as it is on disk. Chunks have no transaction: 0. */
uint32_t rows_builder_tag(const struct rows_builder *b, uint32_t row, enum record_text text);

/* <0, 0, >0: the order of rows. */
int record_compare(const struct record *a, const struct record *b);

/* ---- reading ---- */

struct segment_rows; /* some kilobytes */

enum err segment_rows_open(const struct segment_file *f, const struct segment_counts *counts,
                           struct segment_rows **ret, struct errinfo *info) MUST_CHECK;
void segment_rows_close(struct segment_rows *r); /* NULL is fine */
const struct segment_counts *segment_rows_counts(const struct segment_rows *r);

/* A view into the mapped file. */
enum err segment_rows_tag(const struct segment_rows *r, uint32_t tag, struct bytes *ret) MUST_CHECK;
/* ERR_NOTFOUND: no row has that text. O(log tags). */
enum err segment_rows_find_tag(const struct segment_rows *r, struct bytes text,
                               uint32_t *ret) MUST_CHECK;
/* The tag of a row's text; of chunks the transaction is 0. */
enum err segment_rows_row_tag(const struct segment_rows *r, uint32_t row, enum record_text text,
                              uint32_t *ret) MUST_CHECK;
/* Where its block is in the section of blocks; and what else is known of it. */
struct segment_row_place {
    uint64_t block_offset;
    uint32_t block_size;
    uint32_t flags;
    uint32_t retention_days;
    uint64_t arrival;
    struct hash128 content;
};
enum err segment_rows_place(const struct segment_rows *r, uint32_t row,
                            struct segment_row_place *ret) MUST_CHECK;
/* The record as it was added, but with the block_size of this segment; texts are views into the
 * mapped file. For writing it again. */
enum err segment_rows_record(const struct segment_rows *r, uint32_t row,
                             struct record *ret) MUST_CHECK;

struct segment_run {
    uint32_t first; /* rows [first, end) */
    uint32_t end;
};
/* ERR_NOTFOUND: no such run. */
enum err segment_rows_find_run(const struct segment_rows *r, enum record_kind kind,
                               uint64_t project_id, struct uuid profiler_id,
                               struct segment_run *ret) MUST_CHECK;
/* Rows [*ret_from, *ret_end) of the run hold all that meet [start_ns, end_ns]; those among them
 * whose end is before start_ns do not. */
enum err segment_rows_find_range(const struct segment_rows *r, struct segment_run run,
                                 int64_t start_ns, int64_t end_ns, uint32_t *ret_from,
                                 uint32_t *ret_end) MUST_CHECK;
/* Start and end alone: two loads. */
enum err segment_rows_span(const struct segment_rows *r, uint32_t row, int64_t *ret_start_ns,
                           int64_t *ret_end_ns) MUST_CHECK;
/* The largest end of the rows of its run up to this one. */
enum err segment_rows_max_end(const struct segment_rows *r, uint32_t row, int64_t *ret) MUST_CHECK;
/* Rows of a run with this id, one call after another: *at begins as run.first and moves behind the
 * row found; ERR_NOTFOUND ends. */
enum err segment_rows_next_with_id(const struct segment_rows *r, struct segment_run run,
                                   struct uuid id, uint32_t *at, uint32_t *ret) MUST_CHECK;
/* ERR_NOTFOUND, as below. */
enum err segment_rows_find_profile(const struct segment_rows *r, uint64_t project_id,
                                   struct uuid profile_id, uint32_t *ret) MUST_CHECK;
/* The row with the key of that profile (storage/store.h, invariant 2). */
enum err segment_rows_find_key(const struct segment_rows *r, const struct record *key,
                               uint32_t *ret) MUST_CHECK;

/* Runs by number: chunks' by (project, profiler), then those of transaction profiles by project. */
struct segment_run_facts {
    enum record_kind kind;
    uint64_t project_id;
    struct uuid profiler_id;
    struct segment_run rows;
};
enum err segment_rows_run(const struct segment_rows *r, uint32_t run,
                          struct segment_run_facts *ret) MUST_CHECK;
struct segment_project {
    uint64_t project_id;
    uint32_t run_first; /* its runs of chunks are [run_first, run_end) */
    uint32_t run_end;
    uint32_t link_first;
    uint32_t link_end;
};
/* Projects with rows or links, ascending by id. */
enum err segment_rows_project(const struct segment_rows *r, uint32_t project,
                              struct segment_project *ret) MUST_CHECK;
/* ERR_NOTFOUND: not in this segment. */
enum err segment_rows_find_project(const struct segment_rows *r, uint64_t project_id,
                                   struct segment_project *ret) MUST_CHECK;

/* ---- links ---- */

/* As find_range, over the links of one project. */
enum err segment_rows_find_links(const struct segment_rows *r, struct segment_project project,
                                 int64_t start_ns, int64_t end_ns, uint32_t *ret_from,
                                 uint32_t *ret_end) MUST_CHECK;
/* A link may end before it starts. */
enum err segment_rows_link_span(const struct segment_rows *r, uint32_t link, int64_t *ret_start_ns,
                                int64_t *ret_end_ns) MUST_CHECK;

/* Links of (project, trace), ascending by span, then start: find the trace, then take the links of its places
 * [first, end) one by one. ERR_NOTFOUND: there are none. */
struct segment_trace {
    uint32_t first;
    uint32_t end;
};
enum err segment_rows_find_trace(const struct segment_rows *r, uint64_t project_id,
                                 struct uuid trace_id, struct segment_trace *ret) MUST_CHECK;
enum err segment_rows_trace_link(const struct segment_rows *r, uint32_t place,
                                 uint32_t *ret_link) MUST_CHECK;
/* The link with that project, trace, span and start. O(log links of the trace). */
enum err segment_rows_find_span(const struct segment_rows *r, const struct link *key,
                                uint32_t *ret_link) MUST_CHECK;

/* One reader of whole links: it keeps the page that it decoded last, so that links in order cost a
 * page each 128. About 35 KiB. */
struct link_cursor;

/* Both are borrowed and outlive it. */
enum err link_cursor_create(const struct segment_rows *r, struct tables_cursor *tables,
                            struct mem_account *account, struct link_cursor **ret,
                            struct errinfo *info) MUST_CHECK;
void link_cursor_destroy(struct link_cursor *c); /* NULL is fine */
/* Texts live as long as the cursor of the tables. */
enum err link_cursor_get(struct link_cursor *c, uint32_t link, struct link *ret,
                         struct hash128 *ret_content, uint64_t *ret_arrival,
                         struct errinfo *info) MUST_CHECK;

#endif
