/* sealed_tables.h - tables that were built, written to a file on a disk in memory, and opened again. */
#ifndef HEARTH_TESTS_SUPPORT_SEALED_TABLES_H
#define HEARTH_TESTS_SUPPORT_SEALED_TABLES_H

#include "storage/segment_tables.h"
#include "tests/support/vfs_mem.h"

/* An identity made of a frame's function and its document's platform. */
extern const struct frame_rules sealed_rules;

struct sealed_tables {
    struct vfs_mem *disk;
    struct segment_file *file;
    struct segment_tables tables;
    struct tables_cursor *cursor;
};

#define SEALED_PATH "/d/segment-0000000000000001"

/* All must succeed. */
void sealed_tables_open(struct sealed_tables *s, const struct tables_builder *b);
void sealed_tables_close(struct sealed_tables *s);

#endif
