/* vfs_posix.c - the real files.
 *
 * Files are opened O_APPEND: a write lands at the end that the kernel knows, also after a truncate.
 * The lock is an open-file-description lock: it ends with the process however that ends, and two
 * opens inside one process exclude each other too.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

#include "base/mem.h"
#include "storage/vfs.h"

#define IO_STEP_MAX ((size_t)1 << 30) /* Linux moves at most 2 GiB a call */

struct vfs_file {
    int fd;
    char path[]; /* for messages */
};

static enum err code_of(int system_code)
{
    switch (system_code) {
    case ENOENT: return ERR_NOTFOUND;
    case ENOSPC:
    case EDQUOT: return ERR_NOSPACE;
    case ENOMEM: return ERR_NOMEM;
    default: return ERR_IO;
    }
}

/* `doing` the path failed for the reason in errno. */
static enum err fail(struct errinfo *info, const char *path, const char *doing)
{
    int system_code = errno;
    char text[96];
    return err_set(info, code_of(system_code), "%s: %s: %s", path, doing,
                   strerror_r(system_code, text, sizeof text));
}

static struct vfs_file *file_of(int fd, const char *path)
{
    size_t size = strlen(path) + 1;
    struct vfs_file *f = mem_alloc(sizeof *f + size);
    if (f == NULL)
        return NULL;
    f->fd = fd;
    memcpy(f->path, path, size);
    return f;
}

static int open_retrying(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0640);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static enum err check_regular(int fd, const char *path, struct errinfo *info)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0)
        return fail(info, path, "stat");
    return S_ISREG(facts.st_mode) ? ERR_OK
                                  : err_set(info, ERR_IO, "%s: open: not a regular file", path);
}

static enum err open_with_flags(const char *path, int flags, struct vfs_file **ret,
                                struct errinfo *info)
{
    /* A pipe would wait for its other end, a terminal become ours; regular files do not care. */
    int fd = open_retrying(path, flags | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail(info, path, "open");
    struct vfs_file *f = NULL;
    enum err rc = check_regular(fd, path, info);
    if (rc == ERR_OK && (f = file_of(fd, path)) == NULL)
        rc = err_set(info, ERR_NOMEM, "%s: open: out of memory", path);
    if (rc != ERR_OK) {
        (void)close(fd);
        return rc;
    }
    *ret = f;
    return ERR_OK;
}

static enum err posix_open(struct vfs *v, const char *path, enum vfs_open how,
                           struct vfs_file **ret, struct errinfo *info)
{
    (void)v;
    int flags = O_RDONLY;
    if (how == VFS_APPEND)
        flags = O_RDWR | O_APPEND;
    if (how == VFS_CREATE)
        flags = O_RDWR | O_APPEND | O_CREAT | O_EXCL;
    return open_with_flags(path, flags, ret, info);
}

static void posix_close(struct vfs *v, struct vfs_file *f)
{
    (void)v;
    if (f == NULL)
        return;
    (void)close(f->fd); /* what mattered was synced before */
    mem_free(f);
}

static enum err posix_read_at(struct vfs *v, struct vfs_file *f, uint64_t offset, void *to,
                              size_t len, struct errinfo *info)
{
    (void)v;
    uint8_t *at = to;
    while (len > 0) {
        size_t step = len < IO_STEP_MAX ? len : IO_STEP_MAX;
        ssize_t got = pread(f->fd, at, step, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(info, f->path, "read");
        if (got == 0)
            return err_set(info, ERR_CORRUPT,
                           "%s: ends at offset %" PRIu64 ", %zu more bytes expected", f->path,
                           offset, len);
        at += got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return ERR_OK;
}

static enum err posix_append(struct vfs *v, struct vfs_file *f, struct bytes data,
                             struct errinfo *info)
{
    (void)v;
    while (data.len > 0) {
        size_t step = data.len < IO_STEP_MAX ? data.len : IO_STEP_MAX;
        ssize_t put = write(f->fd, data.data, step);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail(info, f->path, "append");
        data = bytes_from(data, (size_t)put);
    }
    return ERR_OK;
}

static enum err posix_size(struct vfs *v, struct vfs_file *f, uint64_t *ret, struct errinfo *info)
{
    (void)v;
    struct stat facts;
    if (fstat(f->fd, &facts) != 0)
        return fail(info, f->path, "stat");
    *ret = (uint64_t)facts.st_size;
    return ERR_OK;
}

static enum err posix_truncate(struct vfs *v, struct vfs_file *f, uint64_t size,
                               struct errinfo *info)
{
    (void)v;
    int rc;
    do
        rc = ftruncate(f->fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? ERR_OK : fail(info, f->path, "truncate");
}

static enum err posix_sync(struct vfs *v, struct vfs_file *f, struct errinfo *info)
{
    (void)v;
    /* Never retried: after a failure the kernel may have dropped the pages. */
    return fdatasync(f->fd) == 0 ? ERR_OK : fail(info, f->path, "sync");
}

static enum err posix_map(struct vfs *v, struct vfs_file *f, struct bytes *ret,
                          struct errinfo *info)
{
    uint64_t size = 0;
    TRY(posix_size(v, f, &size, info));
    if (size == 0) {
        *ret = (struct bytes){0};
        return ERR_OK;
    }
    if (size > SIZE_MAX)
        return err_set(info, ERR_LIMIT, "%s: too large to map", f->path);
    void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, f->fd, 0);
    if (at == MAP_FAILED)
        return fail(info, f->path, "map");
    *ret = bytes_of(at, (size_t)size);
    return ERR_OK;
}

static void posix_unmap(struct vfs *v, struct bytes mapped)
{
    (void)v;
    void *at; /* what mmap gave, without the const */
    memcpy(&at, &mapped.data, sizeof at);
    if (mapped.len > 0)
        (void)munmap(at, mapped.len);
}

static enum err posix_rename(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    (void)v;
    return rename(from, to) == 0 ? ERR_OK : fail(info, from, "rename");
}

static enum err posix_remove(struct vfs *v, const char *path, struct errinfo *info)
{
    (void)v;
    return unlink(path) == 0 ? ERR_OK : fail(info, path, "remove");
}

static enum err posix_make_dir(struct vfs *v, const char *path, struct errinfo *info)
{
    (void)v;
    if (mkdir(path, 0750) == 0)
        return ERR_OK;
    struct stat facts;
    if (errno == EEXIST && stat(path, &facts) == 0 && S_ISDIR(facts.st_mode))
        return ERR_OK;
    return fail(info, path, "make folder");
}

static enum err posix_sync_dir(struct vfs *v, const char *path, struct errinfo *info)
{
    (void)v;
    int fd = open_retrying(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail(info, path, "open folder");
    enum err rc = fsync(fd) == 0 ? ERR_OK : fail(info, path, "sync folder");
    (void)close(fd);
    return rc;
}

static enum err posix_list(struct vfs *v, const char *path, void *self,
                           enum err (*on_name)(void *self, const char *name), struct errinfo *info)
{
    (void)v;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return fail(info, path, "list");
    enum err rc = ERR_OK;
    while (rc == ERR_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe): own stream */
        if (entry == NULL) {
            rc = errno == 0 ? ERR_OK : fail(info, path, "list");
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = on_name(self, entry->d_name);
    }
    (void)closedir(dir);
    return rc;
}

/* The holder wrote its process id into the file; for the message only. */
static enum err held_by_another(int fd, struct errinfo *info)
{
    struct flock holder = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_GETLK, &holder) == 0 && holder.l_type == F_RDLCK)
        return err_set(info, ERR_BUSY, "a reader");
    char text[24] = {0};
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    size_t digits = strspn(text, "0123456789");
    if (got <= 0 || digits == 0)
        return err_set(info, ERR_BUSY, "pid unknown");
    return err_set(info, ERR_BUSY, "pid %.*s", (int)digits, text);
}

static enum err set_lock(int fd, short type, const char *path, struct errinfo *info)
{
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return ERR_OK;
    if (errno == EAGAIN || errno == EACCES)
        return held_by_another(fd, info);
    return fail(info, path, "lock");
}

static enum err take_lock(int fd, const char *path, struct errinfo *info)
{
    TRY(set_lock(fd, F_WRLCK, path, info));
    char text[24]; /* a full disk may refuse it, and must not keep anybody from reading */
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) != len)
        (void)!ftruncate(fd, 0);
    return ERR_OK;
}

static enum err posix_lock(struct vfs *v, const char *path, struct vfs_file **ret,
                           struct errinfo *info)
{
    struct vfs_file *f = NULL;
    enum err rc = open_with_flags(path, O_RDWR | O_CREAT, &f, info);
    if (f == NULL)
        return rc;
    rc = take_lock(f->fd, path, info);
    if (rc != ERR_OK) {
        posix_close(v, f);
        return rc;
    }
    *ret = f;
    return ERR_OK;
}

static enum err posix_lock_shared(struct vfs *v, const char *path, struct vfs_file **ret,
                                  struct errinfo *info)
{
    struct vfs_file *f = NULL;
    enum err rc = open_with_flags(path, O_RDONLY, &f, info);
    if (f == NULL)
        return rc;
    rc = set_lock(f->fd, F_RDLCK, path, info);
    if (rc != ERR_OK) {
        posix_close(v, f);
        return rc;
    }
    *ret = f;
    return ERR_OK;
}

static struct vfs table = {
    /* never written */
    .open = posix_open,         .close = posix_close,
    .read_at = posix_read_at,   .append = posix_append,
    .size = posix_size,         .truncate = posix_truncate,
    .sync = posix_sync,         .map = posix_map,
    .unmap = posix_unmap,       .rename = posix_rename,
    .remove = posix_remove,     .make_dir = posix_make_dir,
    .sync_dir = posix_sync_dir, .list = posix_list,
    .lock = posix_lock,         .lock_shared = posix_lock_shared,
    .unlock = posix_close,
};

struct vfs *vfs_posix(void)
{
    return &table;
}
