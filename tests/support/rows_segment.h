/* rows_segment.h - rows and links as a segment file and back, for tests: the sections of rows and
 * tables, and the counts that a whole segment has among its facts.
 */
#ifndef HEARTH_TESTS_SUPPORT_ROWS_SEGMENT_H
#define HEARTH_TESTS_SUPPORT_ROWS_SEGMENT_H

#include "storage/segment_rows.h"

struct rows_item {
    struct record record; /* profile or link */
    uint64_t arrival;
    uint32_t flags; /* of a profile */
};

/* Profiles in their order, links in any. The blocks are block_size bytes each and not there. */
enum err rows_segment_write(struct vfs *v, const char *path, const struct rows_item *items,
                            size_t count, struct errinfo *info) MUST_CHECK;

struct rows_segment {
    struct segment_file *file;
    struct segment_rows *rows;
    struct segment_tables tables;
    struct tables_cursor *texts;
    struct link_cursor *links; /* NULL when the tables are damaged */
};

/* Fails when the file or the rows do not open. */
enum err rows_segment_open(struct vfs *v, const char *path, struct rows_segment *ret,
                           struct errinfo *info) MUST_CHECK;
void rows_segment_close(struct rows_segment *s); /* a zeroed one is fine */

/* Asks everything that can be asked of it: answers are in range or ERR_CORRUPT, and come. */
void rows_segment_read_all(const struct rows_segment *s);

/* In every field; else false and `why` names one that differs. */
bool records_equal(const struct record *a, const struct record *b, const char **why);

#endif
