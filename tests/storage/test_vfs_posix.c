#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "base/mem.h"
#include "storage/vfs.h"
#include "tests/support/file.h"
#include "tests/support/tmpdir.h"

struct rig {
    struct tmpdir dir;
    struct vfs *v;
    struct errinfo info;
    char path[TMPDIR_PATH_SIZE + 32];
    char other[TMPDIR_PATH_SIZE + 32];
};

static void rig_init(struct rig *r)
{
    *r = (struct rig){.dir = tmpdir_make(), .v = vfs_posix()};
    (void)tmpdir_path(&r->dir, "file", r->path, sizeof r->path);
    (void)tmpdir_path(&r->dir, "other", r->other, sizeof r->other);
}

#define OK(expression) cr_assert_eq((expression), ERR_OK, "%s", r.info.text)

Test(vfs_posix, appends_reads_truncates_and_maps)
{
    struct rig r;
    struct vfs_file *f = NULL;
    struct bytes mapped;
    uint8_t back[16];
    uint64_t size;
    rig_init(&r);
    OK(r.v->open(r.v, r.path, VFS_CREATE, &f, &r.info));
    OK(r.v->append(r.v, f, BYTES("hello "), &r.info));
    OK(r.v->append(r.v, f, BYTES("world"), &r.info));
    OK(r.v->sync(r.v, f, &r.info));
    OK(r.v->size(r.v, f, &size, &r.info));
    cr_assert_eq(size, 11);
    OK(r.v->read_at(r.v, f, 6, back, 5, &r.info));
    cr_assert_eq(memcmp(back, "world", 5), 0);
    cr_assert_eq(r.v->read_at(r.v, f, 6, back, 6, &r.info), ERR_CORRUPT);
    OK(r.v->truncate(r.v, f, 5, &r.info));
    OK(r.v->append(r.v, f, BYTES("!"), &r.info));
    OK(r.v->map(r.v, f, &mapped, &r.info));
    cr_assert(bytes_equal(mapped, BYTES("hello!")));
    r.v->unmap(r.v, mapped);
    r.v->close(r.v, f);

    OK(r.v->open(r.v, r.path, VFS_APPEND, &f, &r.info));
    OK(r.v->truncate(r.v, f, 0, &r.info));
    OK(r.v->map(r.v, f, &mapped, &r.info));
    cr_assert_eq(mapped.len, 0);
    r.v->unmap(r.v, mapped);
    r.v->close(r.v, f);
    tmpdir_remove(&r.dir);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(vfs_posix, names_what_failed)
{
    struct rig r;
    struct vfs_file *f = NULL;
    char expected[400];
    rig_init(&r);
    cr_assert_eq(r.v->open(r.v, r.path, VFS_READ, &f, &r.info), ERR_NOTFOUND);
    snprintf(expected, sizeof expected, "%s: open: No such file or directory", r.path);
    cr_assert_str_eq(r.info.text, expected);
    cr_assert_eq(r.v->open(r.v, r.path, VFS_APPEND, &f, NULL), ERR_NOTFOUND);
    cr_assert_eq(r.v->remove(r.v, r.path, NULL), ERR_NOTFOUND);
    cr_assert_eq(r.v->rename(r.v, r.path, r.other, NULL), ERR_NOTFOUND);
    cr_assert_eq(r.v->list(r.v, r.path, NULL, NULL, NULL), ERR_NOTFOUND);
    cr_assert_eq(r.v->sync_dir(r.v, r.path, NULL), ERR_NOTFOUND);
    OK(r.v->open(r.v, r.path, VFS_CREATE, &f, &r.info));
    r.v->close(r.v, f);
    cr_assert_eq(r.v->open(r.v, r.path, VFS_CREATE, &f, NULL), ERR_IO, "it exists");
    cr_assert_eq(r.v->make_dir(r.v, r.path, NULL), ERR_IO, "a file is in the way");
    OK(r.v->open(r.v, r.path, VFS_READ, &f, &r.info));
    cr_assert_eq(r.v->append(r.v, f, BYTES("x"), NULL), ERR_IO, "opened for reading");
    r.v->close(r.v, f);

    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int next = dup(full); /* the number that the file gets, too: put a full disk under it */
    cr_assert(full >= 0 && next >= 0 && close(next) == 0);
    OK(r.v->open(r.v, r.path, VFS_APPEND, &f, &r.info));
    cr_assert_eq(dup2(full, next), next);
    cr_assert_eq(r.v->append(r.v, f, BYTES("x"), &r.info), ERR_NOSPACE);
    r.v->close(r.v, f);
    (void)close(full);
    tmpdir_remove(&r.dir);
}

static enum err count_name(void *self, const char *name)
{
    unsigned *seen = self;
    if (strcmp(name, "other") == 0)
        *seen += 1;
    else if (strcmp(name, "folder") == 0)
        *seen += 10;
    else
        *seen += 100;
    return *seen >= 1000 ? ERR_CANCELED : ERR_OK;
}

Test(vfs_posix, lists_renames_and_removes)
{
    struct rig r;
    struct vfs_file *f = NULL;
    char folder[TMPDIR_PATH_SIZE + 32];
    rig_init(&r);
    OK(r.v->open(r.v, r.path, VFS_CREATE, &f, &r.info));
    r.v->close(r.v, f);
    (void)tmpdir_path(&r.dir, "folder", folder, sizeof folder);
    OK(r.v->make_dir(r.v, folder, &r.info));
    OK(r.v->make_dir(r.v, folder, &r.info)); /* there already: fine */
    OK(r.v->rename(r.v, r.path, r.other, &r.info));
    OK(r.v->sync_dir(r.v, r.dir.path, &r.info));
    unsigned seen = 0;
    OK(r.v->list(r.v, r.dir.path, &seen, count_name, &r.info));
    cr_assert_eq(seen, 11);
    seen = 1000; /* a failure of the callback ends the list */
    cr_assert_eq(r.v->list(r.v, r.dir.path, &seen, count_name, &r.info), ERR_CANCELED);
    OK(r.v->remove(r.v, r.other, &r.info));
    cr_assert_not(file_exists(r.other));
    tmpdir_remove(&r.dir);
}

Test(vfs_posix, a_link_is_the_same_file)
{
    struct rig r;
    struct vfs_file *f = NULL;
    struct bytes text;
    char symbolic[TMPDIR_PATH_SIZE + 32];
    rig_init(&r);
    cr_assert_eq(r.v->link(r.v, r.path, r.other, NULL), ERR_NOTFOUND);
    OK(r.v->open(r.v, r.path, VFS_CREATE, &f, &r.info));
    (void)tmpdir_path(&r.dir, "symbolic", symbolic, sizeof symbolic);
    cr_assert_eq(symlink(r.path, symbolic), 0);
    OK(r.v->link(r.v, symbolic, r.other, &r.info));
    cr_assert_eq(r.v->link(r.v, r.path, r.other, &r.info), ERR_IO, "it exists");
    OK(r.v->append(r.v, f, BYTES("both"), &r.info));
    r.v->close(r.v, f);
    OK(r.v->remove(r.v, r.path, &r.info));
    cr_assert(file_read(r.other, &text), "a link to the file, not to the symbolic one");
    cr_assert(bytes_equal(text, BYTES("both")));
    file_free(&text);
    tmpdir_remove(&r.dir);
}

Test(vfs_posix, a_link_to_another_device_is_unsupported)
{
    struct rig r;
    char expected[400];
    rig_init(&r);
    cr_assert_eq(r.v->link(r.v, "/proc/self/stat", r.other, &r.info), ERR_UNSUPPORTED);
    snprintf(expected, sizeof expected, "/proc/self/stat: link: Invalid cross-device link");
    cr_assert_str_eq(r.info.text, expected);
    tmpdir_remove(&r.dir);
}

Test(vfs_posix, space_is_what_the_device_has_left)
{
    struct rig r;
    uint64_t free_bytes = 0;
    uint64_t total = 0;
    struct statvfs before;
    struct statvfs after;
    rig_init(&r);
    do { /* others write to the device, too */
        cr_assert_eq(statvfs(r.dir.path, &before), 0);
        OK(r.v->space(r.v, r.dir.path, &free_bytes, &total, &r.info));
        cr_assert_eq(statvfs(r.dir.path, &after), 0);
    } while (before.f_bavail != after.f_bavail);
    cr_assert_eq(free_bytes, (uint64_t)after.f_bavail * after.f_frsize);
    cr_assert_eq(total, (uint64_t)after.f_blocks * after.f_frsize);
    OK(r.v->space(r.v, "/proc/self", &free_bytes, &total, &r.info)); /* nothing can be written */
    cr_assert(free_bytes == 0 && total == 0);
    cr_assert_eq(r.v->space(r.v, r.path, &free_bytes, &total, &r.info), ERR_NOTFOUND);
    tmpdir_remove(&r.dir);
}

Test(vfs_posix, a_lock_keeps_others_out_until_it_goes)
{
    struct rig r;
    struct vfs_file *f = NULL;
    struct vfs_file *second = NULL;
    char expected[40];
    rig_init(&r);
    OK(r.v->lock(r.v, r.path, &f, &r.info));
    snprintf(expected, sizeof expected, "pid %ld", (long)getpid());
    cr_assert_eq(r.v->lock(r.v, r.path, &second, &r.info), ERR_BUSY, "the same process");
    cr_assert_str_eq(r.info.text, expected);
    pid_t child = fork();
    if (child == 0)
        _exit(r.v->lock(r.v, r.path, &second, NULL) == ERR_BUSY ? 0 : 1);
    int status;
    cr_assert(waitpid(child, &status, 0) == child && status == 0, "another process");
    r.v->unlock(r.v, f);
    OK(r.v->lock(r.v, r.path, &f, &r.info));
    r.v->unlock(r.v, f);

    child = fork(); /* a process that dies holds nothing */
    if (child == 0)
        _exit(r.v->lock(r.v, r.path, &second, NULL) == ERR_OK ? 0 : 1);
    cr_assert(waitpid(child, &status, 0) == child && status == 0);
    OK(r.v->lock(r.v, r.path, &f, &r.info));
    r.v->unlock(r.v, f);
    tmpdir_remove(&r.dir);
}

/* Readers share, and keep writers out; they neither make the file nor write into it. */
Test(vfs_posix, a_shared_lock_changes_nothing)
{
    struct rig r;
    struct vfs_file *files[2];
    struct vfs_file *writer = NULL;
    struct bytes text;
    rig_init(&r);
    cr_assert_eq(r.v->lock_shared(r.v, r.path, &files[0], &r.info), ERR_NOTFOUND);
    OK(r.v->lock(r.v, r.path, &writer, &r.info));
    cr_assert_eq(r.v->lock_shared(r.v, r.path, &files[0], &r.info), ERR_BUSY);
    cr_assert(strncmp(r.info.text, "pid ", 4) == 0 && r.info.text[4] != 'u', "%s", r.info.text);
    r.v->unlock(r.v, writer);
    cr_assert_eq(symlink(r.path, r.other), 0);
    OK(r.v->lock_shared(r.v, r.path, &files[0], &r.info));
    OK(r.v->lock_shared(r.v, r.other, &files[1], &r.info));
    cr_assert_eq(r.v->lock(r.v, r.other, &writer, &r.info), ERR_BUSY, "by another name, too");
    cr_assert_str_eq(r.info.text, "a reader");
    r.v->unlock(r.v, files[0]);
    r.v->unlock(r.v, files[1]);
    cr_assert(file_read(r.path, &text));
    cr_assert_gt(text.len, 1, "the process id of the last writer stays");
    file_free(&text);
    tmpdir_remove(&r.dir);
    cr_assert_eq(mem_outstanding(), 0);
}

/* ---- pages that are lost under a mapping ---- */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A mapped file of so many pages of 'x', open for appending. */
static struct bytes map_pages(struct rig *r, const char *path, size_t pages, struct vfs_file **ret)
{
    struct bytes mapped;
    size_t size = pages * page_size();
    uint8_t *content = mem_alloc(size);
    memset(content, 'x', size);
    enum err rc = r->v->open(r->v, path, VFS_CREATE, ret, &r->info);
    if (rc == ERR_OK)
        rc = r->v->append(r->v, *ret, bytes_of(content, size), &r->info);
    if (rc == ERR_OK)
        rc = r->v->map(r->v, *ret, &mapped, &r->info);
    cr_assert_eq(rc, ERR_OK, "%s", r->info.text);
    mem_free(content);
    return mapped;
}

static uint8_t touch(struct bytes mapped, size_t page)
{
    return ((const volatile uint8_t *)mapped.data)[page * page_size() + 7];
}

/* NULL: it reads as zero. */
static void *touch_last_page(void *self)
{
    struct bytes *mapped = self;
    return touch(*mapped, mapped->len / page_size() - 1) == 0 ? NULL : self;
}

Test(vfs_posix, a_page_cut_off_a_mapped_file_reads_as_zeros)
{
    struct rig r;
    struct vfs_file *f;
    struct vfs_file *g;
    pthread_t thread;
    void *wrong;
    rig_init(&r);
    struct bytes mapped = map_pages(&r, r.path, 8, &f);
    struct bytes other = map_pages(&r, r.other, 8, &g);
    cr_assert_not(r.v->map_failed(r.v, mapped));
    OK(r.v->truncate(r.v, f, page_size(), &r.info));
    cr_assert_eq(touch(mapped, 0), 'x');
    cr_assert_not(r.v->map_failed(r.v, mapped), "nothing that is gone was touched");
    cr_assert_eq(touch(mapped, 5), 0);
    cr_assert(r.v->map_failed(r.v, mapped));
    cr_assert_eq(touch(mapped, 0), 'x', "the others stay");
    cr_assert_eq(pthread_create(&thread, NULL, touch_last_page, &mapped), 0);
    cr_assert_eq(pthread_join(thread, &wrong), 0);
    cr_assert_null(wrong);
    cr_assert_eq(touch(other, 5), 'x');
    cr_assert_not(r.v->map_failed(r.v, other));

    r.v->unmap(r.v, mapped);
    OK(r.v->map(r.v, f, &mapped, &r.info));
    cr_assert_eq(touch(mapped, 0), 'x');
    cr_assert_not(r.v->map_failed(r.v, mapped), "a new mapping begins anew");
    r.v->unmap(r.v, mapped);
    r.v->unmap(r.v, other);
    r.v->close(r.v, f);
    r.v->close(r.v, g);
    tmpdir_remove(&r.dir);
    cr_assert_eq(mem_outstanding(), 0);
}

/* What the last page holds behind the end of the file belongs to the mapping, too. */
Test(vfs_posix, the_rest_of_a_last_page_is_replaced_with_it)
{
    struct rig r;
    struct vfs_file *f;
    struct bytes mapped;
    rig_init(&r);
    r.v->unmap(r.v, map_pages(&r, r.path, 2, &f));
    OK(r.v->truncate(r.v, f, page_size() + 1, &r.info));
    OK(r.v->map(r.v, f, &mapped, &r.info));
    OK(r.v->truncate(r.v, f, 0, &r.info));
    cr_assert_eq(touch(mapped, 1), 0);
    cr_assert(r.v->map_failed(r.v, mapped));
    r.v->unmap(r.v, mapped);
    r.v->close(r.v, f);
    tmpdir_remove(&r.dir);
}

struct coming_and_going {
    struct rig *r;
    struct vfs_file *f;
    atomic_bool stop;
    atomic_uint wrong;
};

static void *map_and_unmap(void *self)
{
    struct coming_and_going *c = self;
    struct vfs *v = c->r->v;
    struct bytes mapped[3] = {{0}};
    while (!atomic_load(&c->stop)) {
        for (size_t i = 0; i < 3; i++)
            c->wrong += v->map(v, c->f, &mapped[i], NULL) != ERR_OK;
        for (size_t i = 0; i < 3; i++) {
            c->wrong += touch(mapped[i], 0) != 'x' || v->map_failed(v, mapped[i]);
            v->unmap(v, mapped[i]);
        }
    }
    return NULL;
}

Test(vfs_posix, mappings_come_and_go_while_pages_are_lost)
{
    struct rig r;
    struct vfs_file *f;
    struct coming_and_going c = {.r = &r};
    pthread_t threads[2];
    rig_init(&r);
    r.v->unmap(r.v, map_pages(&r, r.other, 1, &c.f));
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, map_and_unmap, &c), 0);
    for (unsigned round = 0; round < 200; round++) {
        struct bytes mapped = map_pages(&r, r.path, 4, &f);
        OK(r.v->truncate(r.v, f, page_size(), &r.info));
        cr_assert_eq(touch(mapped, 1 + round % 3), 0);
        cr_assert(r.v->map_failed(r.v, mapped));
        cr_assert_eq(touch(mapped, 0), 'x');
        r.v->unmap(r.v, mapped);
        r.v->close(r.v, f);
        OK(r.v->remove(r.v, r.path, &r.info));
    }
    atomic_store(&c.stop, true);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_eq(c.wrong, 0);
    r.v->close(r.v, c.f);
    tmpdir_remove(&r.dir);
}

Test(vfs_posix, more_mappings_than_the_table_holds_are_an_error)
{
    struct rig r;
    struct vfs_file *f;
    struct bytes last;
    rig_init(&r);
    struct bytes first = map_pages(&r, r.path, 1, &f);
    for (size_t i = 1; i < MAPPING_COUNT_MAX; i++)
        OK(r.v->map(r.v, f, &last, &r.info));
    cr_assert_eq(r.v->map(r.v, f, &last, &r.info), ERR_LIMIT);
    cr_assert(strstr(r.info.text, "32768 files are mapped") != NULL, "%s", r.info.text);
    r.v->unmap(r.v, first);
    OK(r.v->map(r.v, f, &last, &r.info));
    cr_assert_eq(touch(last, 0), 'x');
    r.v->close(r.v, f); /* the mappings go with the process */
    tmpdir_remove(&r.dir);
}

/* How a process ends that had `former` for SIGBUS before its first mapping, and then calls
 * `afterwards`. */
static int status_of_child(struct rig *r, const struct sigaction *former,
                           void (*afterwards)(struct rig *r))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct vfs_file *f;
        const struct rlimit no_core = {0, 0};
        if (setrlimit(RLIMIT_CORE, &no_core) != 0 || sigaction(SIGBUS, former, NULL) != 0)
            _exit(90);
        struct bytes mapped = map_pages(r, r->path, 4, &f);
        if (r->v->truncate(r->v, f, 1, NULL) != ERR_OK || touch(mapped, 2) != 0)
            _exit(91);
        afterwards(r);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(r->v->remove(r->v, r->path, &r->info), ERR_OK, "%s", r->info.text);
    return status;
}

/* A mapping that the table does not know. */
static void touch_foreign_page(struct rig *r)
{
    struct vfs_file *f;
    r->v->unmap(r->v, map_pages(r, r->other, 1, &f));
    int fd = open(r->other, O_RDONLY);
    struct bytes foreign =
        bytes_of(mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0), page_size());
    if (unlink(r->other) != 0 || r->v->truncate(r->v, f, 0, NULL) != ERR_OK)
        _exit(92);
    _exit(touch(foreign, 0));
}

static void raise_sigbus(struct rig *r)
{
    (void)r;
    (void)raise(SIGBUS);
}

static void exit_with_43(int number)
{
    _exit(number == SIGBUS ? 43 : 93);
}

static void exit_with_44(int number, siginfo_t *facts, void *context)
{
    bool is_whole = number == SIGBUS && context != NULL;
    _exit(is_whole && facts->si_code == BUS_ADRERR && facts->si_addr != NULL ? 44 : 94);
}

Test(vfs_posix, a_bus_error_of_others_is_handed_on)
{
    struct rig r;
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    const struct sigaction plain = {.sa_handler = exit_with_43};
    const struct sigaction with_facts = {.sa_sigaction = exit_with_44, .sa_flags = SA_SIGINFO};
    rig_init(&r);
    int status = status_of_child(&r, &by_default, touch_foreign_page);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%x", status);
    status = status_of_child(&r, &by_default, raise_sigbus);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%x", status);
    status = status_of_child(&r, &ignored, touch_foreign_page);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%x", status);
    status = status_of_child(&r, &ignored, raise_sigbus);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    status = status_of_child(&r, &plain, touch_foreign_page);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 43, "%x", status);
    status = status_of_child(&r, &with_facts, touch_foreign_page);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 44, "%x", status);
    tmpdir_remove(&r.dir);
}

/* Take all mappings that the kernel gives, but one: then no mapping can be split. */
static void use_up_mappings(void)
{
    size_t size = page_size();
    void *last = MAP_FAILED;
    for (unsigned i = 0;; i++) {
        int protection = i % 2 == 0 ? PROT_READ : PROT_NONE; /* so that neighbours stay two */
        void *at = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            break;
        last = at;
    }
    if (last == MAP_FAILED || munmap(last, size) != 0)
        _exit(95);
}

static void lose_page_without_splitting(struct rig *r)
{
    struct vfs_file *f;
    struct bytes mapped = map_pages(r, r->other, 8, &f);
    if (r->v->truncate(r->v, f, page_size(), NULL) != ERR_OK || unlink(r->other) != 0)
        _exit(96);
    use_up_mappings();
    if (touch(mapped, 5) != 0 || touch(mapped, 0) != 0 || !r->v->map_failed(r->v, mapped))
        _exit(97);
}

Test(vfs_posix, a_mapping_that_cannot_be_split_is_replaced_as_a_whole)
{
    struct rig r;
    struct bytes text;
    uint64_t most;
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    if (!file_read("/proc/sys/vm/max_map_count", &text))
        cr_skip("the kernel does not say how many mappings there may be");
    cr_assert(bytes_to_u64(bytes_trim(text), &most));
    file_free(&text);
    if (most > 200000)
        cr_skip("too many mappings to use them up");
    rig_init(&r);
    int status = status_of_child(&r, &by_default, lose_page_without_splitting);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    tmpdir_remove(&r.dir);
}
/* A pipe without a writer would keep whoever opens it to read; one with a reader would swallow what
 * is appended. */
Test(vfs_posix, only_regular_files_are_opened, .timeout = 20)
{
    struct rig r;
    struct vfs_file *f = NULL;
    rig_init(&r);
    cr_assert_eq(mkfifo(r.path, 0600), 0);
    cr_assert_eq(symlink(r.path, r.other), 0);
    const char *const paths[] = {r.path, r.other, r.dir.path, "/dev/null"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        cr_assert_eq(r.v->open(r.v, paths[i], VFS_READ, &f, &r.info), ERR_IO, "%s", paths[i]);
        cr_assert(strstr(r.info.text, paths[i]) != NULL, "%s", r.info.text);
        cr_assert(strstr(r.info.text, "regular file") != NULL, "%s", r.info.text);
        cr_assert_eq(r.v->open(r.v, paths[i], VFS_APPEND, &f, &r.info), ERR_IO, "%s", paths[i]);
        cr_assert_eq(r.v->lock(r.v, paths[i], &f, &r.info), ERR_IO, "%s", paths[i]);
        cr_assert_eq(r.v->lock_shared(r.v, paths[i], &f, &r.info), ERR_IO, "%s", paths[i]);
    }
    tmpdir_remove(&r.dir);
    cr_assert_eq(mem_outstanding(), 0);
}
