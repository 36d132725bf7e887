/* check.h - a data folder looked at in full: every checksum, every row, and what the files say of
 * each other. Nothing is changed, not even what the next start would mend.
 *
 * Damage is what makes an answer say that something is left out, or could make one wrong. A note is
 * what is fine as it is: left-overs of work that did not finish, an end that a crash has torn (what
 * stood there was never acknowledged), files that hearth knows nothing of.
 *
 * An end of the last log whose last batch is wrong in its header or facts cannot be told from one
 * that was torn while it was written: it is a note, and says so.
 *
 * Owns:    the shared lock of the folder while it runs, so that nobody writes meanwhile.
 * Errors:  ERR_BUSY when somebody who writes holds the folder (a copy can be checked:
 *          storage/backup.h); ERR_NOTFOUND when it is not there or is none; ERR_NOMEM; ERR_CANCELED. Whatever
 *          is wrong with a file is told of the file, and is no error.
 * Cost:    reads and decodes everything; memory for names, the manifest and the largest profile.
 */
#ifndef HEARTH_STORAGE_CHECK_H
#define HEARTH_STORAGE_CHECK_H

#include "storage/vfs.h"

#define CHECK_PROBLEMS_LISTED 16 /* of one file; the others are counted */

enum check_kind {
    CHECK_MANIFEST,
    CHECK_SEGMENT,
    CHECK_LOG,
    CHECK_KEYS,      /* text, without a checksum: not looked at */
    CHECK_LOCK,      /* of the folder, or of the keys */
    CHECK_LEFT_OVER, /* of work that did not finish, or set aside to be looked at */
    CHECK_UNKNOWN
};

enum check_severity { CHECK_NOTE, CHECK_DAMAGE };

struct check_problem {
    enum check_severity severity;
    struct errinfo what; /* in words, without the file's name */
};

struct check_file {
    const char *name; /* in the folder; for the call */
    enum check_kind kind;
    bool missing;
    bool damaged; /* some problem is damage */
    uint64_t bytes;
    uint64_t rows; /* profiles: of segments all, hidden ones too; of logs those in whole batches */
    uint64_t links;
    const struct check_problem *problems;
    size_t problem_count;
    uint64_t more_problems; /* not listed */
};

struct check_options {
    struct vfs *vfs;
    const char *dir;
    void *self;
    /* Every file once, also those that should be there and are not: the manifest, segments, logs,
     * then the rest. */
    void (*on_file)(void *self, const struct check_file *file);
    /* Now and then; false ends the work. NULL: never. */
    bool (*on_progress)(void *self, uint64_t bytes_done, uint64_t bytes_total);
};

struct check_result {
    uint64_t files;
    uint64_t damaged_files;
    uint64_t bytes;
    uint64_t rows;
    uint64_t links;
    uint64_t notes;
};

const char *check_kind_text(enum check_kind kind);
enum err check_run(const struct check_options *options, struct check_result *ret,
                   struct errinfo *info) MUST_CHECK;

#endif
