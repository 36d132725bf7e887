/* log_view.h - reading the index of a log set without a lock: what storage/log_index.c fills.
 *
 * A view knows the rows, links and runs up to the counts that were published when it was taken, and
 * sees nothing that came later. The open set's views are pinned (log_index.h), so that what they
 * look at is not freed; a closed set does not change any more.
 *
 * Threads: any.
 * Errors:  only memory for answers.
 */
#ifndef HEARTH_STORAGE_LOG_VIEW_H
#define HEARTH_STORAGE_LOG_VIEW_H

#include "storage/log_index.h"

struct log_view {
    const struct log_index *index;
    uint32_t row_count;
    uint32_t link_count;
    uint32_t run_count;
    uint32_t hide_count; /* rows and links of other parts that rows of this set replace */
};

/* What a pin holds; and everything, of a set that takes nothing any more. */
struct log_view log_pin_view(const struct log_pin *pin);
struct log_view log_index_whole_view(const struct log_index *ix);

/* Ids of rows or links with the start of each, in an arena. */
struct found {
    int64_t start_ns;
    row_id id;
};
struct found_list {
    struct found *items;
    size_t count;
    size_t capacity;
};
enum err found_add(struct found_list *list, int64_t start_ns, row_id id,
                   struct arena *arena) MUST_CHECK;

/* ---- one row, one link; texts live as long as the index ---- */

void log_view_record(const struct log_view *v, uint32_t id, struct record *ret);
struct log_place log_view_place(const struct log_view *v, uint32_t id);
struct link log_view_link(const struct log_view *v, uint32_t id, struct hash128 *ret_content);
/* The latest of its key, as far as the set and the view know. */
bool log_view_row_visible(const struct log_view *v, uint32_t id);
bool log_view_link_visible(const struct log_view *v, uint32_t id);
/* Its block could not be read. True when that is news. */
bool log_view_mark_damaged(const struct log_view *v, uint32_t id);
bool log_view_is_damaged(const struct log_view *v, uint32_t id);
/* Whether a row of this set replaces that row (or link) of another part. */
bool log_view_hides(const struct log_view *v, uint32_t part, uint32_t id, bool link);
int64_t log_view_row_start(const struct log_view *v, uint32_t id);
int64_t log_view_link_start(const struct log_view *v, uint32_t id);
/* Whether any row of [first, end) of that part is replaced. */
bool log_view_hides_any(const struct log_view *v, uint32_t part, uint32_t first, uint32_t end);
/* <0, 0, >0: the order of rows in segments. */
int log_view_compare_rows(const struct log_view *v, uint32_t a, uint32_t b);

/* ---- finding: visible ones; answers are added to the list, `high` is put above every id ---- */

enum err log_view_find_range(const struct log_view *v, enum record_kind kind, uint64_t project_id,
                             struct uuid profiler_id, int64_t start_ns, int64_t end_ns,
                             uint32_t high, struct arena *arena, struct found_list *ret) MUST_CHECK;
enum err log_view_find_trace(const struct log_view *v, uint64_t project_id, struct uuid trace_id,
                             uint32_t high, struct arena *arena, struct found_list *ret) MUST_CHECK;
/* The latest row with these ids, whatever its start (profiler nil: a transaction profile). */
bool log_view_find_id(const struct log_view *v, enum record_kind kind, uint64_t project_id,
                      struct uuid profiler_id, struct uuid id, uint32_t *ret);
/* The row or link with the record's key. */
bool log_view_find_key(const struct log_view *v, const struct record *key, uint32_t *ret);

/* ---- runs ---- */

struct log_run {
    enum record_kind kind;
    uint64_t project_id;
    struct uuid profiler_id; /* nil: transaction profiles, links */
};
struct log_run log_view_run(const struct log_view *v, uint32_t run);
/* All ids of a run, in no order, visible or not, that the view knows. */
enum err log_view_each_of_run(const struct log_view *v, uint32_t run, void *self,
                              enum err (*on_id)(void *self, uint32_t id)) MUST_CHECK;

#endif
