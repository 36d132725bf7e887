/* part.h - one piece of a store as rows and links, whatever it is made of: a closed log set, the
 * open one, or a segment.
 *
 * A view is one reader's: it holds the decoded pages of a segment's tables, and which rows of a log
 * set its snapshot knows.
 *
 * Owns:    a view owns its cursor; the part is borrowed and outlives it.
 * Threads: a view has one caller at a time.
 * Errors:  ERR_CORRUPT: what says so is damaged.
 */
#ifndef HEARTH_STORAGE_PART_H
#define HEARTH_STORAGE_PART_H

#include "storage/log_set.h"
#include "storage/log_view.h"
#include "storage/segment.h"

struct part {
    uint32_t uid;        /* names it for the life of the process, whatever version it is in */
    struct log_set *log; /* one of both */
    struct segment *segment;
    struct manifest_hidden rows;
    struct manifest_hidden links;
};

/* Ascending list with these ids more; those that are there already count once. */
enum err hidden_add(struct manifest_hidden *h, const uint32_t *ids, size_t count) MUST_CHECK;
bool hidden_has(const struct manifest_hidden *h, uint32_t id);
/* Whether any id of [first, end) is hidden. */
bool hidden_meets(const struct manifest_hidden *h, uint32_t first, uint32_t end);

/* A row or link of some part, by uid. */
struct key_place {
    uint32_t uid;
    uint32_t id;
    struct hash128 content;
    bool damaged; /* its block cannot be read, as far as is known */
};

struct part_view {
    const struct part *part;
    struct log_view log;          /* log sets */
    struct tables_cursor *tables; /* segments; both made when first needed */
    struct link_cursor *links;
    struct mem_account *account; /* of the cursor; NULL: not counted */
};

void part_view_init(struct part_view *v, const struct part *part, struct mem_account *account);
void part_view_close(struct part_view *v);
/* Forget decoded pages: texts of links and profiles that came from them are gone. */
void part_view_drop_pages(struct part_view *v);
/* Of a segment: its tables, for everything that gives texts. */
enum err part_view_tables(struct part_view *v, struct tables_cursor **ret) MUST_CHECK;

uint32_t part_row_count(const struct part_view *v);
uint32_t part_link_count(const struct part_view *v);
/* Not replaced inside the part nor hidden by the version; the open log set may still hide it. */
bool part_row_visible(const struct part_view *v, uint32_t id);
bool part_link_visible(const struct part_view *v, uint32_t id);
/* Which came later. */
uint64_t part_row_arrival(const struct part_view *v, uint32_t id);

/* The visible row or link with the record's key; ERR_NOTFOUND. */
struct part_key {
    uint32_t id;
    struct hash128 content;
    bool damaged; /* its block cannot be read, as far as is known */
};
enum err part_find_key(struct part_view *v, const struct record *key,
                       struct part_key *ret) MUST_CHECK;
/* What rows of the open set hide of the part, in its lists from now on. */
enum err part_hide_by(struct part *part, const struct log_index *open) MUST_CHECK;

/* Facts as a record: texts live as long as the part. */
enum err part_record(const struct part_view *v, uint32_t id, struct record *ret) MUST_CHECK;
/* Texts live as long as the view. */
struct part_link {
    struct link link;
    struct hash128 content;
    uint64_t arrival;
};
enum err part_link(struct part_view *v, uint32_t id, struct part_link *ret,
                   struct errinfo *info) MUST_CHECK;
/* `p` leaves complete; it points into the arena, the view and the part. */
enum err part_read_profile(struct part_view *v, uint32_t id, struct arena *arena, struct profile *p,
                           struct errinfo *info) MUST_CHECK;

#endif
