/* manifest.h - which files of the data folder live, and which of their rows are hidden: one small
 * file, replaced as a whole.
 *
 * A change is: write manifest.new, sync, rename over manifest, sync the folder. So a reader finds
 * the old state or the new one. Files that no manifest names are left-overs of work that did not
 * finish, and are removed at the next start that may write.
 *
 * Owns:    nothing that is open; struct manifest owns its arrays (manifest_close).
 * Threads: one writer at a time; reading needs no lock, also of another process.
 * Errors:  reading: ERR_NOTFOUND: there is none (a folder that was never sealed); ERR_CORRUPT with
 *          what was expected; ERR_UNSUPPORTED for another version. Writing what could not be read
 *          again is refused before any file is touched: ERR_LIMIT for its size, else ERR_CORRUPT.
 * Cost:    O(segments + hidden rows).
 */
#ifndef HEARTH_STORAGE_MANIFEST_H
#define HEARTH_STORAGE_MANIFEST_H

#include "base/mem.h"
#include "base/uuid.h"
#include "storage/vfs.h"

/* Rows (or links) of a segment that a later arrival elsewhere replaces, ascending. */
struct manifest_hidden {
    uint32_t *ids;
    size_t count;
};

struct manifest_segment {
    uint64_t number;  /* in the name: segment-%016x */
    struct uuid id;   /* of the file's header */
    uint64_t size;    /* of the file */
    int32_t day;      /* partition: days since 1970 UTC of all its rows' starts, or of the oldest */
    uint32_t level;   /* how often its rows were merged: 0 straight from a log */
    int64_t start_ns; /* of all rows and links: least start, largest end or start, */
    int64_t end_ns;
    int64_t expires_ns; /* and the moment from which every row is past its retention */
    struct manifest_hidden rows;
    struct manifest_hidden links;
};

struct manifest {
    uint64_t generation;     /* rises with every change */
    uint64_t sealed_through; /* logs with this sequence or a lower one are in segments */
    uint64_t sealed_size;  /* how many bytes of that last log counted (log header: previous_size) */
    uint64_t next_number;  /* of the next segment: above those of all */
    uint64_t next_arrival; /* of the first row of the log behind sealed_through */
    struct manifest_segment *segments; /* by number, each once */
    size_t count;
    size_t capacity;
};

/* `ret` is to be closed after ERR_OK. */
enum err manifest_read(struct vfs *vfs, const char *dir, struct manifest *ret,
                       struct errinfo *info) MUST_CHECK;
/* On the device when it returns, name included. After an error either state may be there, whole,
 * and writing may be tried again. */
enum err manifest_write(struct vfs *vfs, const char *dir, const struct manifest *m,
                        struct errinfo *info) MUST_CHECK;
void manifest_close(struct manifest *m); /* a zeroed one is fine */
/* A copy to change; ERR_NOMEM. */
enum err manifest_copy(const struct manifest *m, struct manifest *ret) MUST_CHECK;
/* Takes the arrays of a new one over. ERR_LIMIT, ERR_NOMEM leave them and the manifest alone. */
enum err manifest_add(struct manifest *m, const struct manifest_segment *s) MUST_CHECK;
void manifest_remove(struct manifest *m, uint64_t number); /* and its arrays; it may be absent */
/* NULL: not there. Valid until the next add or remove. */
struct manifest_segment *manifest_find(const struct manifest *m, uint64_t number);

/* "segment-000000000000002a" <-> 42 */
#define SEGMENT_NAME_SIZE ((size_t)24)
void segment_print_name(uint64_t number, char name[SEGMENT_NAME_SIZE + 1]);
bool segment_parse_name(struct bytes name, uint64_t *ret_number);

#endif
