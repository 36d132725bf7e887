/* compaction.h - parts of a store to new segments: closed logs sealed, small segments merged.
 *
 * The visible rows of all parts given go, in the order of segments, into new segments, one or more
 * a day of their starts, so that retention can drop whole files. Days are cut like this: a row that
 * was received within PARTITION_PAST_DAYS of its start (or up to a day before it, for clocks that
 * are ahead) belongs to the day of its start, and so does any row of a day with at least
 * PARTITION_ROWS_MIN rows here (an import); what is left, clocks that were far off, shares one
 * segment. So no clock can make a file a chunk.
 *
 * A row whose block is not what was written any more keeps its facts, marked as damaged, so that
 * answers go on naming it as left out.
 *
 * Threads: one caller at a time, beside readers and appends; the parts must not change (closed).
 * Errors:  ERR_CANCELED when keep_going said so; anything else as of files and memory. After any
 *          error no new file stays.
 * Cost:    O(bytes of the parts), whatever number of days they have, but segments of rows without a
 *          day of their own are gone through once a day. Memory: SEGMENT_MEMORY_MAX or a quarter of what the account has
 *          left, whichever is less, thrice while tables grow; the largest profile; 4 bytes a row
 *          or link of a log set.
 */
#ifndef HEARTH_STORAGE_COMPACTION_H
#define HEARTH_STORAGE_COMPACTION_H

#include "storage/part.h"

#define PARTITION_ODD INT32_MIN /* "day" of the segment of rows that have none of their own */

struct compaction {
    struct vfs *vfs;
    const char *dir;
    const struct frame_rules *rules;
    uint32_t retention_days; /* of links */
    uint32_t level;          /* of the new segments */
    struct mem_account *account;
    const struct part *const *parts; /* closed ones, borrowed */
    size_t part_count;
    uint64_t *next_number; /* of segments; moves on */
    void *self;
    /* Between rows: may sleep; false ends the work. NULL: never. */
    bool (*keep_going)(void *self);
};

struct compaction_result {
    struct manifest_segment *segments; /* no hidden rows yet */
    size_t count;
    size_t capacity;
    uint64_t rows;
    uint64_t damaged; /* rows without a readable block */
};

enum err compaction_run(const struct compaction *c, struct compaction_result *ret,
                        struct errinfo *info) MUST_CHECK;
/* Give the list back; the files stay unless `remove`. */
void compaction_result_close(struct compaction_result *r, const struct compaction *c, bool remove);

#endif
