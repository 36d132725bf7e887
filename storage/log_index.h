/* log_index.h - where everything in the logs is: rows and links in memory, found by key, by id, by
 * profiler and time, by trace.
 *
 * Owns:    all its memory. Texts are kept once; rows that agree in their tags share them.
 * Threads: one writer (reserve, add, publish); readers see through a snapshot and take no lock
 *          while reading. Taking and giving back a snapshot, and publishing, is one short lock.
 * Errors:  only reserve can fail (ERR_NOMEM, ERR_BUSY, ERR_LIMIT). After it, adding the same records cannot, so that what is on
 *          the device is always in the index too.
 * Cost:    about 170 bytes a row: itself 112, its place in a run 20 to 40, tables; a profiler with
 *          one row about 60 more. A link takes about 200 and its texts.
 *
 * Invariants
 *  1. Nothing a reader can reach is ever moved or changed, except: counts rise, table slots and
 *     runs lead to newer things, `replaced_by` and `damaged` are set once.
 *  2. A reader skips ids that its snapshot does not know.
 *  3. What was replaced is retired in the current generation and freed when no snapshot of that
 *     generation or an older one is left.
 */
#ifndef HEARTH_STORAGE_LOG_INDEX_H
#define HEARTH_STORAGE_LOG_INDEX_H

#include "base/mem.h"
#include "storage/record.h"

struct log_index;

/* Where a row's block is. */
struct log_place {
    uint32_t log; /* ordinal of the log in the store */
    uint32_t offset;
    uint32_t block_size;
};

/* What it uses is reserved from `budget` before it grows; NULL: it may grow freely. */
enum err log_index_create(struct mem_budget *budget, struct log_index **ret) MUST_CHECK;
/* From now on reserve refuses what would make it larger than that. */
void log_index_set_limit(struct log_index *ix, size_t bytes_max);
void log_index_destroy(struct log_index *ix); /* no snapshot is left; NULL is fine */

/* Room for these records and whatever they bring with them. ERR_BUSY: the budget has none. */
enum err log_index_reserve(struct log_index *ix, const struct record *records,
                           size_t count) MUST_CHECK;
/* Of records that were reserved since the last publish. True when it replaced an older one. */
bool log_index_add(struct log_index *ix, const struct record *record, struct log_place place);
/* The same of a row whose block is damaged; left away when it would hide one that may be whole. */
void log_index_add_damaged(struct log_index *ix, const struct record *record,
                           struct log_place place);
/* Readers see what was added, from the next snapshot on. */
void log_index_publish(struct log_index *ix);

/* The content of what this record would replace; false when nothing, or when that is known to be
 * damaged. Writer only. */
bool log_index_find_content(const struct log_index *ix, const struct record *record,
                            struct hash128 *ret);
/* Whether two records have one key (invariant 2 of storage/store.h), and its hash: a
 * random seed keeps strangers from foreseeing it. */
bool record_same_key(const struct record *a, const struct record *b);
uint64_t record_key_hash(const struct record *r, uint64_t seed);

struct log_index_stats {
    uint64_t rows; /* visible ones */
    uint64_t links;
    uint64_t replaced;
    uint64_t bytes; /* in use */
};
void log_index_get_stats(struct log_index *ix, struct log_index_stats *ret);

/* ---- snapshots; the rest of their functions is in storage/store.h ---- */

struct store;

/* NULL: out of memory. `store` comes back from snapshot_store. */
struct snapshot *log_index_pin(struct log_index *ix, struct store *store);
struct store *snapshot_store(const struct snapshot *snap);
struct log_place snapshot_place(const struct snapshot *snap, row_id id);
/* Its block could not be read. True when that is news. */
bool snapshot_mark_damaged(const struct snapshot *snap, row_id id);
uint32_t snapshot_retention_days(const struct snapshot *snap, row_id id);

#endif
