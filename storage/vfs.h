/* vfs.h - the table of file calls; no file of data is touched in any other way.
 *
 * vfs_posix is the real one; tests swap in memory, failure of the n-th call, and power cuts.
 * Paths are '/'-separated text. Errors: ERR_NOTFOUND, ERR_NOSPACE, ERR_BUSY (lock), else ERR_IO
 * with path and system text in info. Only regular files are opened (else ERR_IO): nobody waits for
 * the other end of a pipe.
 * lock, lock_shared: on ERR_BUSY info is "pid N" of the holder ("pid unknown" when it did not say,
 * "a reader" when others share it).
 * A page of a mapped file may turn out to be unreadable (the device fails, somebody cuts the file):
 * it reads as zeros, and map_failed says so from then on. What was mapped needs a checksum anyway;
 * whoever compared it once and keeps reading asks map_failed before the answer counts.
 * Threads: a vfs may be used by any thread; a file's append, truncate and sync by one at a time;
 * read_at, map and map_failed by any number.
 */
#ifndef HEARTH_STORAGE_VFS_H
#define HEARTH_STORAGE_VFS_H

#include "base/bytes.h"
#include "base/err.h"

struct vfs_file;

enum vfs_open {
    VFS_READ,   /* must exist */
    VFS_APPEND, /* read and append; must exist */
    VFS_CREATE  /* read and append; must not exist */
};

struct vfs {
    enum err (*open)(struct vfs *v, const char *path, enum vfs_open how, struct vfs_file **ret,
                     struct errinfo *info);
    void (*close)(struct vfs *v, struct vfs_file *f);
    /* Reads exactly len bytes or fails (ERR_CORRUPT when the file ends before). */
    enum err (*read_at)(struct vfs *v, struct vfs_file *f, uint64_t offset, void *to, size_t len,
                        struct errinfo *info);
    enum err (*append)(struct vfs *v, struct vfs_file *f, struct bytes data, struct errinfo *info);
    enum err (*size)(struct vfs *v, struct vfs_file *f, uint64_t *ret, struct errinfo *info);
    enum err (*truncate)(struct vfs *v, struct vfs_file *f, uint64_t size, struct errinfo *info);
    enum err (*sync)(struct vfs *v, struct vfs_file *f, struct errinfo *info); /* data and size */
    enum err (*map)(struct vfs *v, struct vfs_file *f, struct bytes *ret, struct errinfo *info);
    void (*unmap)(struct vfs *v, struct bytes mapped);
    /* Some page of what map returned could not be read since. */
    bool (*map_failed)(struct vfs *v, struct bytes mapped);
    enum err (*rename)(struct vfs *v, const char *from, const char *to, struct errinfo *info);
    enum err (*remove)(struct vfs *v, const char *path, struct errinfo *info);
    /* A second name for a file; `to` must not exist. ERR_UNSUPPORTED: the file systems differ or
     * know no such thing, so that only a copy helps. */
    enum err (*link)(struct vfs *v, const char *from, const char *to, struct errinfo *info);
    enum err (*make_dir)(struct vfs *v, const char *path, struct errinfo *info); /* exists: fine */
    enum err (*sync_dir)(struct vfs *v, const char *path, struct errinfo *info);
    /* Calls on_name for every entry of a folder, in any order; a failure of it ends the list. */
    enum err (*list)(struct vfs *v, const char *path, void *self,
                     enum err (*on_name)(void *self, const char *name), struct errinfo *info);
    /* Of the device that a folder is on: bytes that may still be written without privileges, and
     * all bytes. */
    enum err (*space)(struct vfs *v, const char *path, uint64_t *ret_free, uint64_t *ret_total,
                      struct errinfo *info);
    /* Hold a lock file until unlocked or the process ends: ERR_BUSY when another process has it. */
    enum err (*lock)(struct vfs *v, const char *path, struct vfs_file **ret, struct errinfo *info);
    /* The same beside others that share it, and without making or changing the file: ERR_NOTFOUND. */
    enum err (*lock_shared)(struct vfs *v, const char *path, struct vfs_file **ret,
                            struct errinfo *info);
    void (*unlock)(struct vfs *v, struct vfs_file *f);
};

struct vfs *vfs_posix(void);

#endif
