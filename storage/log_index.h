/* log_index.h - where everything in the logs is: rows and links in memory, found by key, by id, by
 * profiler and time, by trace.
 *
 * Owns:    all its memory. Texts are kept once; rows that agree in their tags share them.
 * Threads: one writer (reserve, add, publish); readers see through a view (storage/log_view.h)
 *          and take no lock. Pinning, unpinning and publishing is one short lock.
 * Errors:  only reserve can fail (ERR_NOMEM, ERR_BUSY, ERR_LIMIT). After it, adding the same records cannot, so that what is on
 *          the device is always in the index too.
 * Cost:    about 170 bytes a row: itself 112, its place in a run 20 to 40, tables; a profiler with
 *          one row about 60 more. A link takes about 200 and its texts.
 *
 * Invariants
 *  1. Nothing a reader can reach is ever moved or changed, except: counts rise, table slots and
 *     runs lead to newer things, `replaced_by` and `damaged` are set once.
 *  2. A reader skips ids that its view does not know.
 *  3. What was replaced is retired in the current generation and freed when no pin of that
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
void log_index_destroy(struct log_index *ix); /* no pin is left; NULL is fine */

/* Room for these records and whatever they bring with them, and for hiding so many rows or links of
 * other parts. ERR_BUSY: the budget has none. */
enum err log_index_reserve(struct log_index *ix, const struct record *records, size_t count,
                           size_t hide_count) MUST_CHECK;
/* Room to carry `count` hidden rows or links on; the set's own limit does not count. */
enum err log_index_reserve_carried(struct log_index *ix, size_t count) MUST_CHECK;
/* Of records that were reserved since the last publish. True when it replaced an older one. */
bool log_index_add(struct log_index *ix, const struct record *record, struct log_place place);
/* The same of a row whose block is damaged; left away when it would hide one that may be whole. */
void log_index_add_damaged(struct log_index *ix, const struct record *record,
                           struct log_place place);
/* Row (or link) `by` of this set replaces that one of another part, for every view that knows it. */
void log_index_hide(struct log_index *ix, uint32_t part, uint32_t id, bool link, uint32_t by);
struct log_hidden {
    uint32_t part;
    uint32_t id;
    bool link;
    uint32_t by;
};
/* That row or link is in another part now: it stays hidden there as well. */
void log_index_carry_hidden(struct log_index *ix, size_t at, uint32_t part, uint32_t id);
/* So many of them are in parts that are gone: they do not count any more. */
void log_index_forget_hidden(struct log_index *ix, size_t rows, size_t links);
/* at < log_index_hide_count, in the order in which they were hidden. */
struct log_hidden log_index_hidden(const struct log_index *ix, size_t at);
/* Readers see what was added, from the next pin on. */
void log_index_publish(struct log_index *ix);

/* The row or link with the record's key; UINT32_MAX when there is none. */
uint32_t log_index_find(const struct log_index *ix, const struct record *record);
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
    uint64_t hidden;      /* rows and links of other parts that these replace; */
    uint64_t hidden_rows; /* of these, rows */
    uint64_t bytes;       /* in use */
};
void log_index_get_stats(struct log_index *ix, struct log_index_stats *ret);
/* Rows and links added so far, hidden ones too: the ordinals of the next. Writer only. */
size_t log_index_row_count(const struct log_index *ix);
size_t log_index_link_count(const struct log_index *ix);
size_t log_index_hide_count(const struct log_index *ix);

/* ---- pins: what was published lives as long as the pin ---- */

struct log_pin {
    struct log_index *index; /* NULL: not pinned */
    uint64_t generation;
    uint32_t row_count;
    uint32_t link_count;
    uint32_t run_count;
    uint32_t hide_count;
    struct log_pin *older;
    struct log_pin *newer;
};

/* The pin must not move. */
void log_index_pin(struct log_index *ix, struct log_pin *pin);
void log_index_unpin(struct log_pin *pin); /* one that was never pinned is fine */

#endif
