/* recovery.h - from the files of a data folder to logs and an index: what may be believed.
 *
 * Owns:    nothing; the logs it returns are the caller's.
 * Errors:  damage is no error: what is lost is logged (file, offset, bytes, reason), one line a
 *          log, and counted; the rest is served. Errors are ERR_UNSUPPORTED (files of a newer
 *          hearth), ERR_NOMEM, ERR_IO.
 * Cost:    headers and facts of all logs, all bytes of the last one.
 *
 * Rules
 *  1. Of a log with a successor count as many bytes as the successor's header says. Such a file is
 *     never changed.
 *  2. A batch counts when its header and facts are whole. Behind one that is damaged the next whole
 *     one is looked for.
 *  3. The last log is verified in full. A row whose block is damaged is indexed, so that answers
 *     say that it is missing; but it never hides an older row that may be whole.
 *  4. An end of the last log that was torn by a crash is cut off. When a batch header stands behind
 *     any damage it is no torn end: the file is left as it is, and a new log is begun.
 *  5. A last file that is no longer than a header and has no valid one was torn while it was made,
 *     before anything could be in it: it is removed.
 *  6. What is going to be visible is synced first.
 *  7. A reader that only looks (`read_only`) does the same without cutting, removing or syncing.
 */
#ifndef HEARTH_STORAGE_RECOVERY_H
#define HEARTH_STORAGE_RECOVERY_H

#include "storage/log_set.h"
#include "storage/part.h"

struct recovery_options {
    struct vfs *vfs;
    const char *dir;
    bool read_only;
    uint64_t after;      /* logs up to this sequence are in segments: passed over */
    uint64_t after_size; /* how much of that one counted */
    struct log_set *set; /* gets the logs and what is in them */
    /* The row or link that a record replaces outside the set, ERR_NOTFOUND: none. NULL: there is
     * nothing else. */
    void *self;
    enum err (*find_outside)(void *self, const struct record *record, struct key_place *ret);
};

struct recovered {
    bool last_is_open;      /* appends go on in the last log of the set */
    uint64_t last_sequence; /* 0: none, not even a damaged one */
    uint64_t last_size;     /* how many bytes of it count; 0: unknown */
    uint64_t disk_bytes;    /* of all logs, what is not served too */
    uint64_t damaged_bytes;
    uint64_t damaged_batches;
};

enum err recovery_run(const struct recovery_options *options, struct recovered *ret,
                      struct errinfo *info) MUST_CHECK;

#endif
