/* store.h - the door to what survives a power cut: open, append, snapshot, close.
 *
 * Owns:    the data folder (one process that writes, or several that only read, by a lock file), its
 *          logs and their index.
 * Threads: store_append: one caller at a time (the append strand). Snapshots: any thread; taking
 *          and releasing one is a short lock, reading through it takes none.
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
 *     link (project, trace id, span id).
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
    bool must_exist;     /* refuse to make the folder (tools) */
    bool read_only;      /* change nothing on disk, torn ends included; others may read meanwhile,
                            nobody may write */
    size_t log_size_max; /* a log is closed beyond this; 0: default */
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
    uint64_t disk_bytes;  /* of the log files, damaged parts too */
    uint64_t index_bytes; /* memory of the index */
    uint64_t batches;     /* appended since open */
    uint64_t syncs;
    uint64_t duplicates; /* records equal to what was there */
    uint64_t replaced;
    uint64_t damaged_bytes;   /* that cannot be served: found at opening, or by reading since */
    uint64_t damaged_batches; /* they were in, as far as opening could tell */
};
void store_get_stats(struct store *s, struct store_stats *ret);

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

/* Facts of one stored profile, without its block. Texts are ids for snapshot_string. */
struct row {
    enum profile_kind kind;
    uint64_t organization_id;
    uint64_t project_id;
    struct uuid profiler_id; /* nil for transaction profiles */
    struct uuid id;          /* chunk_id or profile_id */
    int64_t start_ns;        /* smallest sample time */
    int64_t end_ns;          /* largest sample time */
    int64_t received_ns;
    uint32_t sample_count;
    uint32_t thread_count; /* with samples */
    uint32_t platform;
    uint32_t environment;
    uint32_t release;
    uint32_t dist;
    uint32_t sdk_name;
    uint32_t sdk_version;
    uint32_t transaction; /* name; 0 for chunks */
    struct uuid trace_id;
    struct uuid transaction_id;
    uint32_t block_size; /* bytes on disk */
};

/* Rows are named by ordinals, in arrival order, stable for the life of the store. */
typedef uint32_t row_id;

/* NULL: out of memory. */
struct snapshot *snapshot_acquire(struct store *s);
void snapshot_release(struct snapshot *snap); /* NULL is fine */

void snapshot_row(const struct snapshot *snap, row_id id, struct row *ret);
struct bytes snapshot_string(const struct snapshot *snap, uint32_t id);
/* False when no row of the snapshot has that text as a tag. */
bool snapshot_find_string(const struct snapshot *snap, struct bytes text, uint32_t *ret_id);

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

/* Rows that meet [start_ns, end_ns]: start <= end_ns and end >= start_ns, in order of
 * (start, id). Hidden (replaced) rows are left out. */
enum err snapshot_find_chunks(const struct snapshot *snap, uint64_t project_id,
                              struct uuid profiler_id, int64_t start_ns, int64_t end_ns,
                              struct arena *arena, struct row_list *ret) MUST_CHECK;
enum err snapshot_find_profiles(const struct snapshot *snap, uint64_t project_id, int64_t start_ns,
                                int64_t end_ns, struct arena *arena,
                                struct row_list *ret) MUST_CHECK;
/* Latest arrival with these ids. */
bool snapshot_find_chunk(const struct snapshot *snap, uint64_t project_id, struct uuid profiler_id,
                         struct uuid chunk_id, row_id *ret);
bool snapshot_find_profile(const struct snapshot *snap, uint64_t project_id, struct uuid profile_id,
                           row_id *ret);

enum err snapshot_find_links_of_trace(const struct snapshot *snap, uint64_t project_id,
                                      struct uuid trace_id, struct arena *arena,
                                      struct link_list *ret) MUST_CHECK;
/* All links of a project that meet the range, by start. */
enum err snapshot_find_links(const struct snapshot *snap, uint64_t project_id, int64_t start_ns,
                             int64_t end_ns, struct arena *arena, struct link_list *ret) MUST_CHECK;

/* Projects with rows or links, ascending; and the profilers of one, by id. Both count rows one by
 * one: O(rows of the store), O(profilers of the store + rows of the project). */
struct profiler_summary {
    struct uuid profiler_id;
    int64_t start_ns;
    int64_t end_ns;
    uint64_t chunk_count;
    row_id last; /* its row with the latest end */
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
