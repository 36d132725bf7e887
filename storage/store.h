/* store.h - the door to what survives a power cut: open, append, snapshot, close.
 *
 * Owns:    the data folder (one process that writes, or several that only read, by a lock file): its
 *          logs and their indexes, its segments, its manifest.
 * Threads: store_append, store_sync, store_upkeep: any, one at a time each; they take turns where
 *          they must. Snapshots: any thread; taking and releasing one is a short lock, reading
 *          through it takes none, and is for one thread at a time.
 * Units:   times are nanoseconds since 1970 UTC, sizes are bytes.
 * Errors:  after any failure of an append nothing of that batch counts as stored. ERR_NOSPACE and
 *          ERR_BUSY may be tried again; after ERR_IO the log takes nothing more, and the next append
 *          begins a new one.
 * Cost:    append is O(bytes) and one sync a batch (--durability=batch); a range lookup is
 *          O(log rows of the profiler + answer).
 *
 * Invariants
 *  1. A record is visible to snapshots only after it is durable (durability batch).
 *  2. Rows with equal keys: the later arrival hides the earlier one, also after reopening, unless
 *     opening finds that its block is damaged and the earlier one's is not.
 *     Key: chunk (project, profiler, chunk id, start); transaction profile (project, profile id);
 *     link (project, trace id, span id, start).
 *     This holds across logs and segments: no two visible rows have one key.
 *  3. A record whose encoded bytes equal those of the row it would replace is acknowledged and
 *     not written again, unless the block of that row is known to be damaged.
 */
#ifndef HEARTH_STORAGE_STORE_H
#define HEARTH_STORAGE_STORE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "storage/profile.h"
#include "storage/vfs.h"

enum durability {
    DURABILITY_BATCH,    /* sync before a batch is acknowledged */
    DURABILITY_INTERVAL, /* store_sync is called about once a second */
    DURABILITY_NONE      /* the kernel decides */
};

struct store_options {
    struct vfs *vfs; /* borrowed */
    const char *dir; /* data folder; made when missing */
    enum durability durability;
    bool must_exist;     /* refuse to make the folder, and one that is none of hearth's (tools) */
    bool read_only;      /* change nothing on disk, torn ends included; others may read meanwhile,
                            nobody may write */
    size_t log_size_max; /* a log is closed beyond this; 0: default */
    uint64_t disk_max;   /* beyond, the oldest segments are dropped; 0: no ceiling */
    uint32_t retention_days;               /* of links; rows say their own */
    const struct frame_rules *frame_rules; /* borrowed; what sealing asks about frames. NULL: this
                                              store is not sealed (store_upkeep) */
    struct mem_budget *mem_budget; /* borrowed; what the index uses comes from here, at most the
                                      INDEX_SHAREth part of it while appending. NULL: no ceiling */
};

struct store;
struct snapshot;

/* ERR_BUSY when another process holds the folder (read_only: when one that writes does). Recovery
 * serves every batch that is whole, and logs and counts what is not. */
enum err store_open(const struct store_options *options, struct store **ret,
                    struct errinfo *info) MUST_CHECK;
void store_close(struct store *s); /* syncs; NULL is fine */
enum err store_sync(struct store *s, struct errinfo *info) MUST_CHECK;

struct store_stats {
    uint64_t rows; /* visible */
    uint64_t log_count;
    uint64_t segment_count;
    uint64_t segments_aside; /* damaged: not served, reported */
    uint64_t disk_bytes;     /* logs and segments, damaged parts too */
    uint64_t log_bytes;
    uint64_t segment_bytes;
    uint64_t index_bytes; /* memory of the indexes of logs */
    uint64_t batches;     /* appended since open */
    uint64_t syncs;
    uint64_t duplicates; /* records equal to what was there */
    uint64_t replaced;
    uint64_t damaged_bytes;   /* that cannot be served: found at opening, or by reading since */
    uint64_t damaged_batches; /* they were in, as far as opening could tell */
    uint64_t dropped_rows;    /* past their retention, or over the disk's ceiling, since open; of
                                 segments set aside at opening nobody knows how many */
    uint64_t dropped_bytes;
};
void store_get_stats(struct store *s, struct store_stats *ret);
void store_set_disk_max(struct store *s, uint64_t bytes); /* as the option */

/* ---- upkeep ---- */

struct store_upkeep {
    bool everything; /* also what would otherwise wait: the open log, days that are not over */
    struct mem_account *account; /* NULL: memory is not counted */
    void *self;
    /* Between rows; may sleep, so that others come to their turn; false ends the work, which
     * is ERR_CANCELED. NULL: never. */
    bool (*keep_going)(void *self);
};

/* One piece of what keeps a store small: drop a segment that is past its retention or over
 * disk_max, make segments of a closed log, or one of several segments of a day. Appends and readers
 * go on; they wait for nothing but the exchange at the end. After an error the store is as before.
 * One caller at a time. */
enum err store_upkeep(struct store *s, const struct store_upkeep *u, bool *ret_did,
                      struct errinfo *info) MUST_CHECK;

/* ---- writing ---- */

/* A span or transaction that a profile may be linked to (kept from transaction and span items). */
struct link {
    uint64_t project_id;
    struct uuid profiler_id; /* nil: none */
    struct uuid trace_id;
    struct uuid transaction_id; /* event id; nil for spans */
    uint64_t span_id;
    uint64_t parent_span_id; /* 0: none */
    int64_t start_ns;
    int64_t end_ns;
    bool is_segment; /* a transaction or a segment span */
    struct bytes name;
    struct bytes op;
    struct bytes thread_id; /* "" unknown */
    struct bytes thread_name;
    struct bytes environment;
    struct bytes release;
    struct bytes platform;
};

/* Encode for appending: in any thread, before the strand. The result is self-contained, checked
 * and carries its content hash. `out` gets the bytes appended. ERR_BUSY/LIMIT/NOMEM of buffers. */
enum err record_encode_profile(const struct profile *p, struct buffer *out,
                               struct errinfo *info) MUST_CHECK;
enum err record_encode_link(const struct link *link, struct buffer *out,
                            struct errinfo *info) MUST_CHECK;

/* Append encoded records as one batch: all are durable and visible on ERR_OK, none otherwise.
 * ERR_BUSY: the index has no room in the memory budget. */
enum err store_append(struct store *s, const struct bytes *records, size_t count,
                      struct errinfo *info) MUST_CHECK;

/* ---- reading ---- */

/* Facts of one stored profile, without its block. Texts live as long as the snapshot. */
struct row {
    enum profile_kind kind;
    uint64_t organization_id;
    uint64_t project_id;
    struct uuid profiler_id; /* nil for transaction profiles */
    struct uuid id;          /* chunk_id or profile_id */
    int64_t start_ns;        /* smallest sample time */
    int64_t end_ns;          /* largest sample time */
    int64_t received_ns;
    uint32_t retention_days;
    uint32_t sample_count;
    uint32_t thread_count; /* with samples */
    struct bytes platform;
    struct bytes environment;
    struct bytes release;
    struct bytes dist;
    struct bytes sdk_name;
    struct bytes sdk_version;
    struct bytes transaction; /* name; "" for chunks */
    struct uuid trace_id;
    struct uuid transaction_id;
    uint32_t block_size; /* bytes on disk */
};

/* Names a row within its snapshot; stable for the life of the snapshot only. The upper half says
 * which part of the store has the row, the lower one its ordinal there. */
typedef uint64_t row_id;

/* `account`: NULL, or where memory that reading needs is reserved; outlives the snapshot. NULL: out
 * of memory. */
struct snapshot *snapshot_acquire(struct store *s, struct mem_account *account);
void snapshot_release(struct snapshot *snap); /* NULL is fine */

/* ERR_CORRUPT: what says so is damaged (a sealed file); the row is to be treated as unreadable. */
enum err snapshot_row(const struct snapshot *snap, row_id id, struct row *ret) MUST_CHECK;

/* Growing lists of results; both kept in an arena of the caller. */
struct row_list {
    row_id *ids;
    size_t count;
    size_t capacity;
};
struct link_list {
    struct link *links; /* texts live as long as the snapshot */
    size_t count;
    size_t capacity;
};

/* Segments that meet [start_ns, end_ns] and cannot be used, because they are damaged: what was in
 * them is in no answer. Known for certain after the finding. */
uint64_t snapshot_count_damaged(const struct snapshot *snap, int64_t start_ns, int64_t end_ns);

/* When one of the functions below fails, its answer would not have been whole. */

/* Rows that meet [start_ns, end_ns]: start <= end_ns and end >= start_ns, in order of
 * (start, id), which no two of them share. Hidden (replaced) rows are left out. */
enum err snapshot_find_chunks(const struct snapshot *snap, uint64_t project_id,
                              struct uuid profiler_id, int64_t start_ns, int64_t end_ns,
                              struct arena *arena, struct row_list *ret) MUST_CHECK;
enum err snapshot_find_profiles(const struct snapshot *snap, uint64_t project_id, int64_t start_ns,
                                int64_t end_ns, struct arena *arena,
                                struct row_list *ret) MUST_CHECK;
/* Latest arrival with these ids; ERR_NOTFOUND when there is none. */
enum err snapshot_find_chunk(const struct snapshot *snap, uint64_t project_id,
                             struct uuid profiler_id, struct uuid chunk_id, row_id *ret) MUST_CHECK;
enum err snapshot_find_profile(const struct snapshot *snap, uint64_t project_id,
                               struct uuid profile_id, row_id *ret) MUST_CHECK;

/* Links come by (start, trace, span), which no two visible ones of a project share. */
enum err snapshot_find_links_of_trace(const struct snapshot *snap, uint64_t project_id,
                                      struct uuid trace_id, struct arena *arena,
                                      struct link_list *ret) MUST_CHECK;
/* All links of a project that meet the range. */
enum err snapshot_find_links(const struct snapshot *snap, uint64_t project_id, int64_t start_ns,
                             int64_t end_ns, struct arena *arena, struct link_list *ret) MUST_CHECK;

/* Chunks and transaction profiles that meet the range and have the function in a stack of some
 * sample, by its fingerprint; and rows of which that cannot be known any more. In order of (start,
 * id). Touches the disk: rows of logs are read. ERR_NOTFOUND never: none is an empty list. */
enum err snapshot_find_function(const struct snapshot *snap, uint64_t project_id,
                                uint32_t fingerprint, int64_t start_ns, int64_t end_ns,
                                struct arena *arena, struct row_list *ret) MUST_CHECK;

/* ---- filters: which rows have a tag, told once for each part instead of row by row ---- */

struct text_list {
    const struct bytes *texts;
    size_t count; /* 0: any text will do */
};
/* A row must have one text of each list. "" asks for rows without the tag. */
struct filter_request {
    struct text_list environments;
    struct text_list releases;
    struct text_list platforms;
    struct bytes
        transaction; /* name, of transaction profiles; chunks are not asked. data NULL: any */
};
struct snapshot_filter;

/* All are borrowed and outlive it. One caller at a time: that of the snapshot. */
enum err snapshot_filter_create(const struct snapshot *snap, const struct filter_request *request,
                                struct mem_account *account,
                                struct snapshot_filter **ret) MUST_CHECK;
void snapshot_filter_destroy(struct snapshot_filter *f); /* NULL is fine */
/* ERR_CORRUPT as snapshot_row. O(1) once the row's part is known, O(rows of the part / 64) before. */
enum err snapshot_filter_accepts(struct snapshot_filter *f, row_id id, bool *ret) MUST_CHECK;

/* Projects with rows or links, ascending; and the profilers of one, by id. Both count rows one by
 * one: O(rows of the store), O(profilers of the store + rows of the project). */
struct profiler_summary {
    struct uuid profiler_id;
    int64_t start_ns;
    int64_t end_ns;
    uint64_t chunk_count;
};
struct project_summary {
    uint64_t project_id;
    uint64_t profiler_count;
    uint64_t chunk_count;
    uint64_t profile_count;
    uint64_t link_count;
    int64_t first_ns;
    int64_t last_ns;
};
enum err snapshot_list_projects(const struct snapshot *snap, struct arena *arena,
                                struct project_summary **ret, size_t *ret_count) MUST_CHECK;
enum err snapshot_list_profilers(const struct snapshot *snap, uint64_t project_id,
                                 struct arena *arena, struct profiler_summary **ret,
                                 size_t *ret_count) MUST_CHECK;

/* Read and verify a row's block; everything `ret` points to is in the arena. Touches the disk
 * (or the page cache): pool threads only. ERR_CORRUPT names the log and offset. */
enum err snapshot_read_profile(const struct snapshot *snap, row_id id, struct arena *arena,
                               struct profile *ret, struct errinfo *info) MUST_CHECK;

#endif
