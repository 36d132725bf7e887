/* segment.h - one sealed segment: rows, blocks and the tables they share, in one immutable file.
 *
 * Built once by a segment_builder from rows in order, then opened, read by any number, and removed
 * as a whole when it was merged into another or is past its retention.
 *
 * Owns:    its file. Counted: the last release closes it, and removes it when it was retired.
 * Threads: a builder has one caller; an opened segment any number, without a lock.
 * Units:   nanoseconds since 1970 UTC, bytes.
 * Errors:  ERR_CORRUPT, ERR_UNSUPPORTED, ERR_IO; what is damaged is damaged for good.
 * Cost:    opening reads the ends of the file. Memory: a few kilobytes, and one bit a 16 KiB.
 */
#ifndef HEARTH_STORAGE_SEGMENT_H
#define HEARTH_STORAGE_SEGMENT_H

#include "storage/manifest.h"
#include "storage/rollup.h"
#include "storage/segment_rows.h"
#include "storage/tag_index.h"

#define SEGMENT_LEVEL_FULL UINT32_C(255)

/* ---- building ---- */

struct segment_builder;

struct segment_builder_options {
    struct vfs *vfs; /* borrowed */
    const char *dir; /* borrowed */
    uint64_t number; /* in the name; no such file may be there */
    uint32_t level;
    int32_t day;
    uint32_t retention_days; /* of links, which name none */
    const struct frame_rules *rules;
    struct mem_account *account; /* NULL: not counted */
};

enum err segment_builder_create(const struct segment_builder_options *options,
                                struct segment_builder **ret, struct errinfo *info) MUST_CHECK;
/* In the order of record_compare. */
enum err segment_builder_add(struct segment_builder *b, const struct record *facts,
                             const struct profile *p, uint64_t arrival,
                             struct errinfo *info) MUST_CHECK;
/* A row whose block is lost: it is found, and cannot be read. */
enum err segment_builder_add_damaged(struct segment_builder *b, const struct record *facts,
                                     uint64_t arrival, struct errinfo *info) MUST_CHECK;
enum err segment_builder_add_link(struct segment_builder *b, const struct link *link,
                                  struct hash128 content, uint64_t arrival,
                                  struct errinfo *info) MUST_CHECK;
/* When a row is past its retention. Its age counts from its end or its arrival, whichever is later;
 * of a clock that is ahead not more than a day is believed. */
int64_t segment_row_expiry(int64_t end_ns, int64_t received_ns, uint32_t retention_days);
/* Memory in use, and bytes of blocks written: by these a caller ends a segment. */
size_t segment_builder_memory(const struct segment_builder *b);
uint64_t segment_builder_size(const struct segment_builder *b);
/* It ends because it is as large as may be: merging it again would be in vain. */
void segment_builder_mark_full(struct segment_builder *b);
/* Everything is on the device, the name too. *ret owns nothing yet (no hidden rows). */
enum err segment_builder_finish(struct segment_builder *b, struct manifest_segment *ret,
                                struct errinfo *info) MUST_CHECK;
/* Removes the file unless it was finished. NULL is fine. */
void segment_builder_destroy(struct segment_builder *b);

/* ---- reading ---- */

struct segment {
    atomic_uint references;
    atomic_bool retired; /* remove the file with the last release */
    atomic_bool damaged; /* an index part of it could not be read */
    struct vfs *vfs;
    const char *dir;
    struct manifest_segment facts; /* hidden rows not */
    struct segment_file *file;
    struct segment_tables tables;
    struct segment_rows *rows;
    struct segment_rollups rollups;
    struct tag_index tags;
    struct segment_counts counts;
    struct segment_section blocks;
};

/* `expected`: what the manifest says; ERR_CORRUPT when the file is another. `dir` is borrowed. */
enum err segment_open(struct vfs *vfs, const char *dir, const struct manifest_segment *expected,
                      struct segment **ret, struct errinfo *info) MUST_CHECK;
struct segment *segment_acquire(struct segment *s);
void segment_release(struct segment *s); /* NULL is fine */
void segment_retire(struct segment *s);
enum err segment_remove_file(struct vfs *vfs, const char *dir, uint64_t number,
                             struct errinfo *info) MUST_CHECK;

/* An index read gave ERR_CORRUPT, or a piece failed: nothing of it is served from now on. True when
 * that is news. */
bool segment_mark_damaged(struct segment *s);
static inline bool segment_is_damaged(const struct segment *s)
{
    return atomic_load_explicit(&s->damaged, memory_order_relaxed) ||
           segment_file_lost_pages(s->file);
}

static inline uint32_t segment_row_count(const struct segment *s)
{
    return s->counts.chunks + s->counts.transactions;
}

/* `p` points into the arena, the cursor and the mapped file. */
enum err segment_read_profile(const struct segment *s, uint32_t row, struct tables_cursor *tables,
                              struct arena *arena, struct profile *p,
                              struct errinfo *info) MUST_CHECK;
/* Whether the row's block is there and its checksums are right. */
bool segment_has_block(const struct segment *s, uint32_t row);
/* The sum of a row whose flags say SEGMENT_ROW_SUMMABLE. */
enum err segment_sum_row(const struct segment *s, uint32_t row, struct arena *arena,
                         struct block_sum *ret, struct errinfo *info) MUST_CHECK;
/* Every checksum; every row, block, link and stored sum; that each is found by its key, stands in
 * order, and fits the facts of the segment. Goes on behind what is wrong. */
struct segment_verification {
    uint64_t next_arrival; /* above those of all rows and links */
    void *self;
    void (*on_problem)(void *self, const char *what);
    bool (*on_progress)(void *self, uint64_t block_offset); /* false: ERR_CANCELED */
};
/* ERR_OK: looked at to the end, whatever was found. */
enum err segment_verify(const struct segment *s, const struct segment_verification *v,
                        struct errinfo *info) MUST_CHECK;

#endif
