/* links_builder.h - the links of a segment being made: gathered in any order, sorted, written.
 *
 * Owns:    what it gathered.
 * Threads: one caller at a time.
 * Errors:  ERR_BUSY, ERR_LIMIT, ERR_NOMEM from memory.
 * Cost:    144 bytes a link, 34 more while it is written; O(links log links).
 */
#ifndef HEARTH_STORAGE_LINKS_BUILDER_H
#define HEARTH_STORAGE_LINKS_BUILDER_H

#include "storage/counted_array.h"
#include "storage/segment_rows.h"

struct links_builder {
    struct counted_array links; /* as they came */
    struct mem_account *account;
    struct buffer scratch;
    /* made by links_builder_sort; u32 each */
    struct buffer order;    /* link number -> place in `links` */
    struct buffer places;   /* link numbers by (project, trace, span) */
    struct buffer trace_of; /* link number -> trace */
    struct buffer firsts;   /* trace -> its first place */
    uint32_t trace_count;
};

/* Where the profiler of a link has rows: a run's number, or LINK_ITEM_NO_RUN. */
struct run_finder {
    const void *self;
    uint32_t (*find)(const void *self, uint64_t project_id, struct uuid profiler_id);
};

void links_builder_init(struct links_builder *b, struct mem_account *account);
void links_builder_close(struct links_builder *b);
size_t links_builder_bytes(const struct links_builder *b);
enum err links_builder_add(struct links_builder *b, struct tables_builder *tables,
                           const struct link *link, struct hash128 content, uint64_t arrival,
                           struct errinfo *info) MUST_CHECK;
/* ERR_CORRUPT: two have one key. */
enum err links_builder_sort(struct links_builder *b, struct errinfo *info) MUST_CHECK;
/* What follows only once they are sorted. Of link number `link`. */
uint64_t links_builder_project(const struct links_builder *b, uint32_t link);
enum err links_builder_write(const struct links_builder *b, struct segment_file_writer *w,
                             uint64_t hash_seed, struct run_finder runs,
                             struct errinfo *info) MUST_CHECK;

#endif
