#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "api/key_watch.h"
#include "api/metrics.h"
#include "tests/support/tmpdir.h"
#include "tests/support/vfs_mem.h"

static const struct router no_routes = {NULL, 0};

static void add_to(struct vfs *vfs, const char *dir, unsigned n)
{
    struct keyring_entry e = {.project_id = n, .organization_id = 1, .created_ns = 1};
    e.key.byte[15] = (uint8_t)n;
    cr_assert_eq(keyring_add(vfs, dir, &e, NULL), ERR_OK);
}

static void add(struct vfs *vfs, unsigned n)
{
    add_to(vfs, "d", n);
}

static size_t count(struct key_watch *w)
{
    const struct keyring *k = key_watch_acquire(w);
    size_t n = keyring_count(k);
    key_watch_release(w, k);
    return n;
}

Test(key_watch, sees_changes_and_keeps_what_is_in_use)
{
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *vfs = vfs_mem_vfs(disk);
    struct metrics *metrics = NULL;
    struct key_watch *w = NULL;
    struct errinfo info = {{0}};
    cr_assert_eq(vfs->make_dir(vfs, "d", &info), ERR_OK);
    cr_assert_eq(metrics_create(&no_routes, &metrics), ERR_OK);
    cr_assert_eq(key_watch_create(vfs, "d", metrics, &w, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(count(w), 0);

    add(vfs, 1);
    cr_expect_eq(count(w), 0, "nothing changes by itself");
    key_watch_poll(w);
    cr_expect_eq(count(w), 1);
    key_watch_poll(w);
    cr_expect_eq(metrics_get(metrics, METRIC_KEY_RELOADS), 1,
                 "an unchanged file is not read again");

    const struct keyring *old = key_watch_acquire(w);
    add(vfs, 2);
    key_watch_poll(w);
    cr_expect_eq(keyring_count(old), 1, "a reader keeps what it took");
    cr_expect_eq(count(w), 2);
    key_watch_release(w, old);

    vfs_mem_put(disk, "d/keys", BYTES("nonsense\n"));
    key_watch_poll(w);
    key_watch_poll(w);
    cr_expect_eq(count(w), 2, "a damaged file changes nothing");
    cr_assert_eq(vfs->remove(vfs, "d/keys", &info), ERR_OK);
    add(vfs, 3);
    key_watch_poll(w);
    cr_expect_eq(count(w), 1);

    key_watch_destroy(w);
    metrics_destroy(metrics);
    vfs_mem_destroy(disk);
    cr_expect_eq(mem_outstanding(), 0);
}

Test(key_watch, a_pipe_in_place_of_the_file_keeps_nobody_waiting, .timeout = 20)
{
    struct tmpdir dir = tmpdir_make();
    struct vfs *vfs = vfs_posix();
    struct metrics *metrics = NULL;
    struct key_watch *w = NULL;
    struct errinfo info = {{0}};
    char path[TMPDIR_PATH_SIZE + 32];
    (void)tmpdir_path(&dir, "keys", path, sizeof(path));
    add_to(vfs, dir.path, 1);
    cr_assert_eq(metrics_create(&no_routes, &metrics), ERR_OK);
    cr_assert_eq(key_watch_create(vfs, dir.path, metrics, &w, &info), ERR_OK, "%s", info.text);

    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    key_watch_poll(w);
    cr_expect_eq(count(w), 1, "what cannot be read changes nothing");
    cr_assert_eq(unlink(path), 0);
    add_to(vfs, dir.path, 1);
    add_to(vfs, dir.path, 2);
    key_watch_poll(w);
    cr_expect_eq(count(w), 2);

    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    key_watch_poll(w);
    cr_assert_eq(unlink(path), 0);
    key_watch_poll(w);
    cr_expect_eq(count(w), 0, "no file, no keys: also after one that could not be read");

    key_watch_destroy(w);
    metrics_destroy(metrics);
    tmpdir_remove(&dir);
}
