#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

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
