/* log_file.h - one log: a header, then batches of records, each written once and synced once.
 *
 * Owns:    its file. The vfs is borrowed and outlives it.
 * Threads: create, append, sync, scan, truncate: one caller at a time (the append strand).
 *          log_file_read: any number, also meanwhile.
 * Units:   offsets and sizes are bytes from the start of the file.
 * Errors:  ERR_NOSPACE leaves the log as it was, to be tried again. After any other failure of
 *          append or sync the log is broken: it takes nothing any more (ERR_IO), what was good
 *          before is still read, and may be synced unless that is what failed. Damage is ERR_CORRUPT with file and offset.
 * Cost:    append is O(bytes), one buffer of 256 KiB, one sync; a scan reads headers and facts
 *          only, unless told to verify blocks too.
 *
 * Invariants
 *  1. Bytes before `size` are batches, or were once, and are never written again.
 *  2. A checksum starts from the file's id and the offset: a batch at any other place fails.
 *  3. A log that has a successor is synced before the successor exists; the successor's header
 *     says how many of its bytes count.
 */
#ifndef HEARTH_STORAGE_LOG_FILE_H
#define HEARTH_STORAGE_LOG_FILE_H

#include "base/uuid.h"
#include "storage/format.h"
#include "storage/record.h"
#include "storage/vfs.h"

struct log_file;

struct log_facts {
    struct uuid id;
    uint64_t sequence;
    int64_t created_ns;
    uint64_t previous_size; /* how many bytes of the log before count; 0: there was none */
    uint64_t size;          /* where the last good batch ends */
    uint64_t file_size;     /* as it was opened, or trimmed */
    bool broken;
    bool unsynced; /* holds batches that no sync has covered */
};

/* On the device when it returns, name included. */
enum err log_file_create(struct vfs *vfs, const char *dir, uint64_t sequence,
                         uint64_t previous_size, struct log_file **ret,
                         struct errinfo *info) MUST_CHECK;
/* Reads the header; the log has no good batches until scanned. ERR_UNSUPPORTED: newer version.
 * VFS_READ: for readers that change nothing. */
enum err log_file_open(struct vfs *vfs, const char *dir, uint64_t sequence, enum vfs_open how,
                       struct log_file **ret, struct errinfo *info) MUST_CHECK;
enum err log_file_measure(struct vfs *vfs, const char *dir, uint64_t sequence, uint64_t *ret,
                          struct errinfo *info) MUST_CHECK;
void log_file_close(struct log_file *f); /* NULL is fine */
/* Remove a file that is no longer than a header: nothing was ever in it. */
enum err log_file_remove_torn(struct vfs *vfs, const char *dir, uint64_t sequence,
                              bool *ret_removed, struct errinfo *info) MUST_CHECK;
/* Remove the file; `aside`: rename it to *.damaged instead, to be looked at. */
enum err log_file_dispose(struct vfs *vfs, const char *dir, uint64_t sequence, bool aside,
                          struct errinfo *info) MUST_CHECK;
struct log_facts log_file_facts(const struct log_file *f);
const char *log_file_name(const struct log_file *f);

struct log_batch {
    uint32_t record_count;
    struct bytes facts;     /* one record after another, for log_batch_next */
    struct bytes damaged;   /* a byte a record, not 0: its block is damaged; empty: not verified */
    uint64_t blocks_offset; /* of the first record's block; the others follow without gaps */
    uint64_t blocks_size;
};
/* Facts of the next record; `facts` begins as the batch's. */
struct bytes log_batch_next(struct reader *facts);

struct log_scan {
    uint64_t size_max;  /* look no further; 0: the whole file */
    bool verify_blocks; /* read every block and its checksum */
    void *self;
    /* Batches with whole header and facts, in order; a failure ends the scan and is its result. */
    enum err (*on_batch)(void *self, const struct log_batch *batch, struct errinfo *info);
};
/* What is not served. */
struct log_damage {
    uint64_t tail_offset; /* where the last batch ends */
    uint64_t tail_size;   /* bytes behind it, or missing there */
    struct errinfo tail_reason;
    bool tail_torn;   /* no valid header behind any damage: the end of a write that broke off */
    uint64_t bytes;   /* of batches that others follow, and of blocks; without the tail */
    uint64_t batches; /* that are lost, or have such a block */
    uint64_t offset;  /* of the first of all these */
    struct errinfo reason; /* of that first one */
};
/* Damage is no failure: what is whole behind it is found again. Afterwards `size` is the end of
 * the last batch. */
enum err log_file_scan(struct log_file *f, const struct log_scan *scan,
                       struct log_damage *ret_damage, struct errinfo *info) MUST_CHECK;
/* Cut off what stands behind the last batch, and sync. */
enum err log_file_trim(struct log_file *f, struct errinfo *info) MUST_CHECK;

/* Records as of storage/record.h, whole and checked. */
enum err log_file_append(struct log_file *f, const struct bytes *records, size_t count, bool sync,
                         uint64_t *ret_blocks_offset, struct errinfo *info) MUST_CHECK;
enum err log_file_sync(struct log_file *f, struct errinfo *info) MUST_CHECK;
/* Forget batches appended since `size`, which was the log's size once. Breaks the log when the
 * file cannot be cut. */
void log_file_take_back(struct log_file *f, uint64_t size);
enum err log_file_read(struct log_file *f, uint64_t offset, void *to, size_t size,
                       struct errinfo *info) MUST_CHECK;

/* ERR_CORRUPT when the block that starts there is not the record's, whole. */
enum err log_file_verify_block(struct log_file *f, const struct record *record, uint64_t offset,
                               struct errinfo *info) MUST_CHECK;

/* "log-000000000000002a" <-> 42 */
void log_file_print_name(uint64_t sequence, char name[FORMAT_LOG_NAME_SIZE + 1]);
bool log_file_parse_name(struct bytes name, uint64_t *ret_sequence);

#endif
