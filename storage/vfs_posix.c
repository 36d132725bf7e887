/* vfs_posix.c - the real files.
 *
 * Files are opened O_APPEND: a write lands at the end that the kernel knows, also after a truncate.
 * The lock is an open-file-description lock: it ends with the process however that ends, and two
 * opens inside one process exclude each other too.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <dirent.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/size.h"
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

/* ---- mappings ----
 *
 * A page of a mapped file that the device cannot give, or that is no more in the file, raises SIGBUS
 * when it is touched. That must not end the process: the handler puts zeros in its place and
 * notes it for the mapping. What it does not know goes to whoever handled SIGBUS before.
 *
 * The table belongs to the process, because what a signal does belongs to it. Whoever changes it
 * takes the lock. The handler takes none, since the code that it interrupts may hold it: it believes
 * a slot whose version is even and does not move while it reads. The slot that it looks for cannot
 * move: somebody is reading there.
 */
struct mapping {
    atomic_uint version; /* odd while it changes */
    atomic_uintptr_t start;
    atomic_size_t size; /* whole pages; 0: a free slot */
    atomic_bool failed;
};

static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2 &&
                  ATOMIC_BOOL_LOCK_FREE == 2,
              "a signal handler uses them");

static struct mapping mappings[MAPPING_COUNT_MAX];
static atomic_size_t mappings_end;  /* slots from here on were never used */
static size_t first_free;           /* slots before it are in use; under the lock */
static atomic_size_t failure_count; /* of all mappings, ever */
static pthread_mutex_t mappings_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction former_action; /* set once, before the handler can run */
static size_t page_size;

static struct mapping *find_mapping(uintptr_t touched)
{
    size_t end = atomic_load(&mappings_end);
    for (size_t i = 0; i < end; i++) {
        struct mapping *m = &mappings[i];
        unsigned version = atomic_load(&m->version);
        uintptr_t start = atomic_load(&m->start);
        size_t size = atomic_load(&m->size);
        bool covers = touched - start < size; /* also false below the start: it wraps */
        if (covers && version % 2 == 0 && version == atomic_load(&m->version))
            return m;
    }
    return NULL;
}

/* POSIX does not list mmap among what a handler may call; on Linux it is the system call alone. */
static bool put_zeros(void *at, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    return mmap(at, size, PROT_READ, flags, -1, 0) != MAP_FAILED;
}

/* The rest of the file stays readable, unless the kernel cannot split the mapping any further. */
static bool replace_page(void *touched)
{
    struct mapping *m = find_mapping((uintptr_t)touched);
    if (m == NULL)
        return false;
    atomic_store(&m->failed, true); /* before anybody can read a zero */
    atomic_fetch_add(&failure_count, 1);
    size_t offset = (uintptr_t)touched - atomic_load(&m->start);
    return put_zeros((uint8_t *)touched - offset % page_size, page_size) ||
           put_zeros((uint8_t *)touched - offset, atomic_load(&m->size));
}

/* As if the handler were not there. */
static void hand_on(int number, siginfo_t *facts, void *context)
{
    if ((former_action.sa_flags & SA_SIGINFO) != 0) {
        former_action.sa_sigaction(number, facts, context);
        return;
    }
    bool sent = facts->si_code <= 0; /* by a process; a fault cannot be ignored */
    if (former_action.sa_handler == SIG_IGN && sent)
        return;
    if (former_action.sa_handler != SIG_DFL && former_action.sa_handler != SIG_IGN) {
        former_action.sa_handler(number);
        return;
    }
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    (void)sigaction(number, &by_default, NULL);
    (void)raise(number); /* comes once the handler has returned */
}

static void on_sigbus(int number, siginfo_t *facts, void *context)
{
    int system_code = errno;
    bool page_lost = facts->si_code == BUS_ADRERR || facts->si_code == BUS_OBJERR ||
                     facts->si_code == BUS_MCEERR_AR || facts->si_code == BUS_MCEERR_AO;
    if (!page_lost || !replace_page(facts->si_addr))
        hand_on(number, facts, context);
    errno = system_code;
}

/* Under the lock. The former action is known before the handler may need it. */
static void install_handler_once(void)
{
    if (page_size != 0)
        return;
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = on_sigbus,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, NULL, &former_action); /* fails for unknown signals only */
    (void)sigaction(SIGBUS, &action, NULL);
}

static struct mapping *find_free_slot(void)
{
    size_t end = atomic_load(&mappings_end);
    while (first_free < end && atomic_load(&mappings[first_free].size) != 0)
        first_free++;
    if (first_free == MAPPING_COUNT_MAX)
        return NULL;
    if (first_free == end)
        atomic_store(&mappings_end, end + 1);
    return &mappings[first_free];
}

static void set_slot(struct mapping *m, uintptr_t start, size_t size)
{
    atomic_fetch_add(&m->version, 1);
    atomic_store(&m->start, start);
    atomic_store(&m->size, size);
    atomic_store(&m->failed, false);
    atomic_fetch_add(&m->version, 1);
}

static bool add_mapping(const void *at, size_t size)
{
    (void)pthread_mutex_lock(&mappings_lock);
    install_handler_once();
    struct mapping *m = find_free_slot();
    if (m != NULL)
        set_slot(m, (uintptr_t)at, (size + page_size - 1) / page_size * page_size);
    (void)pthread_mutex_unlock(&mappings_lock);
    return m != NULL;
}

static void forget_mapping(const void *at)
{
    (void)pthread_mutex_lock(&mappings_lock);
    struct mapping *m = find_mapping((uintptr_t)at);
    assert(m != NULL);
    set_slot(m, 0, 0);
    first_free = size_min(first_free, (size_t)(m - mappings));
    (void)pthread_mutex_unlock(&mappings_lock);
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
    if (!add_mapping(at, (size_t)size)) {
        (void)munmap(at, (size_t)size);
        return err_set(info, ERR_LIMIT, "%s: map: %d files are mapped", f->path, MAPPING_COUNT_MAX);
    }
    *ret = bytes_of(at, (size_t)size);
    return ERR_OK;
}

static void posix_unmap(struct vfs *v, struct bytes mapped)
{
    (void)v;
    void *at; /* what mmap gave, without the const */
    memcpy(&at, &mapped.data, sizeof at);
    if (mapped.len == 0)
        return;
    forget_mapping(at); /* first: the next mapping may get the same address */
    (void)munmap(at, mapped.len);
}

static bool posix_map_failed(struct vfs *v, struct bytes mapped)
{
    (void)v;
    if (atomic_load(&failure_count) == 0 || mapped.len == 0)
        return false; /* nearly always */
    struct mapping *m = find_mapping((uintptr_t)mapped.data);
    assert(m != NULL);
    return atomic_load(&m->failed);
}

/* ---- names, folders, devices ---- */

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

/* What says that only a copy helps: another device, a file system without links or one that keeps
 * others' files from being linked (EPERM), a file with all the names it may have. */
static bool links_are_impossible(int system_code)
{
    return system_code == EXDEV || system_code == EPERM || system_code == EMLINK ||
           system_code == EOPNOTSUPP || system_code == ENOSYS;
}

static enum err posix_link(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    (void)v;
    /* A name that is a symbolic link stands for the file: a link of the link would not keep it. */
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
        return ERR_OK;
    bool impossible = links_are_impossible(errno);
    enum err rc = fail(info, from, "link");
    return impossible ? ERR_UNSUPPORTED : rc;
}

static uint64_t bytes_of_blocks(uint64_t blocks, uint64_t block_size)
{
    uint64_t bytes;
    return __builtin_mul_overflow(blocks, block_size, &bytes) ? UINT64_MAX : bytes;
}

static enum err posix_space(struct vfs *v, const char *path, uint64_t *ret_free,
                            uint64_t *ret_total, struct errinfo *info)
{
    (void)v;
    struct statvfs facts;
    int rc;
    do
        rc = statvfs(path, &facts);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return fail(info, path, "measure space");
    *ret_free = bytes_of_blocks(facts.f_bavail, facts.f_frsize);
    *ret_total = bytes_of_blocks(facts.f_blocks, facts.f_frsize);
    return ERR_OK;
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
    .link = posix_link,         .space = posix_space,
    .lock = posix_lock,         .lock_shared = posix_lock_shared,
    .unlock = posix_close,      .map_failed = posix_map_failed,
};

struct vfs *vfs_posix(void)
{
    return &table;
}
