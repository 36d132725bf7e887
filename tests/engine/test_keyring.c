#include <stdio.h>

#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "engine/keyring.h"
#include "tests/support/file.h"
#include "tests/support/tmpdir.h"

#define SECOND INT64_C(1000000000)

static struct uuid key_of(unsigned n)
{
    char text[UUID_TEXT_SIZE + 1];
    struct uuid key;
    snprintf(text, sizeof(text), "%032x", n * 2654435761u);
    cr_assert(uuid_parse(bytes_of_text(text), &key));
    return key;
}

static struct keyring *load(const struct tmpdir *dir)
{
    struct keyring *k;
    struct errinfo info;
    cr_assert_eq(keyring_load(vfs_posix(), dir->path, &k, &info), ERR_OK, "%s", info.text);
    return k;
}

static enum err add(const struct tmpdir *dir, unsigned n, uint64_t project, uint64_t organization,
                    bool initial)
{
    struct errinfo info;
    struct keyring_entry entry = {.key = key_of(n),
                                  .project_id = project,
                                  .organization_id = organization,
                                  .created_ns = 1795336832 * SECOND + 5000000,
                                  .initial = initial};
    return keyring_add(vfs_posix(), dir->path, &entry, &info);
}

Test(keyring, keeps_keys_and_forgets_revoked_ones)
{
    struct tmpdir dir = tmpdir_make();
    struct errinfo info;
    struct keyring *k = load(&dir);
    cr_expect_eq(keyring_count(k), 0);
    cr_expect(keyring_is_initial(k));
    cr_expect_null(keyring_find(k, key_of(1)));
    keyring_destroy(k);

    cr_expect_eq(add(&dir, 1, 1, 1, true), ERR_OK);
    k = load(&dir);
    cr_expect(keyring_is_initial(k) && keyring_count(k) == 1);
    keyring_destroy(k);
    for (unsigned n = 2; n <= 40; n++)
        cr_assert_eq(add(&dir, n, n, n % 3 + 1, false), ERR_OK);
    cr_expect_eq(add(&dir, 7, 99, 1, false), ERR_MALFORMED);

    k = load(&dir);
    cr_expect_not(keyring_is_initial(k));
    cr_assert_eq(keyring_count(k), 40);
    for (unsigned n = 1; n <= 40; n++) {
        const struct keyring_entry *entry = keyring_find(k, key_of(n));
        cr_assert_not_null(entry);
        cr_expect_eq(entry->project_id, n);
        cr_expect_eq(entry->created_ns, 1795336832 * SECOND + 5000000);
        cr_expect_eq(keyring_organization(k, n), n == 1 ? 1 : n % 3 + 1);
    }
    cr_expect_eq(keyring_organization(k, 1000), 1);
    keyring_destroy(k);

    cr_expect_eq(keyring_revoke(vfs_posix(), dir.path, key_of(5), SECOND, &info), ERR_OK);
    cr_expect_eq(keyring_revoke(vfs_posix(), dir.path, key_of(5), SECOND, &info), ERR_NOTFOUND);
    cr_expect_eq(keyring_revoke(vfs_posix(), dir.path, key_of(77), SECOND, &info), ERR_NOTFOUND);
    k = load(&dir);
    cr_expect_null(keyring_find(k, key_of(5)));
    cr_expect_eq(keyring_count(k), 40);
    cr_expect_eq(keyring_entry(k, 4)->revoked_ns, SECOND);
    keyring_destroy(k);
    cr_expect_eq(add(&dir, 5, 6, 1, false), ERR_OK); /* again, for another project */
    k = load(&dir);
    cr_assert_not_null(keyring_find(k, key_of(5)));
    cr_expect_eq(keyring_find(k, key_of(5))->project_id, 6);
    keyring_destroy(k);
    tmpdir_remove(&dir);
}

Test(keyring, says_which_line_it_cannot_read)
{
#define KEY "df17aa723bdea468a13becb9733ba43b"
    static const struct {
        const char *text;
        const char *where; /* NULL: fine */
    } cases[] = {
        {"", NULL},
        {"\n\n", NULL},
        {KEY " project=1 organization=2 created=2026-11-22T08:00:00Z", NULL},
        {KEY " project=1\r\n" KEY " project=2 initial\n", NULL},
        {KEY " project=1\n" KEY "\n", "line 2"},
        {KEY " project=x\n", "line 1"},
        {KEY " project=1 created=yesterday\n", "line 1"},
        {KEY " project=1 unknown=1\n", "line 1"},
        {"short project=1\n", "line 1"},
    };
    struct tmpdir dir = tmpdir_make();
    char path[TMPDIR_PATH_SIZE + 8];
    tmpdir_path(&dir, "keys", path, sizeof(path));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct keyring *k = NULL;
        struct errinfo info = {{0}};
        cr_assert(file_write(path, bytes_of_text(cases[i].text)));
        enum err rc = keyring_load(vfs_posix(), dir.path, &k, &info);
        cr_expect_eq(rc, cases[i].where == NULL ? ERR_OK : ERR_CORRUPT, "%s", cases[i].text);
        if (cases[i].where != NULL)
            cr_expect_not_null(strstr(info.text, cases[i].where), "%s", info.text);
        keyring_destroy(rc == ERR_OK ? k : NULL);
    }
    tmpdir_remove(&dir);
}

Test(keyring, does_not_outgrow_what_a_server_reads)
{
    struct tmpdir dir = tmpdir_make();
    struct buffer text;
    char path[TMPDIR_PATH_SIZE + 8];
    tmpdir_path(&dir, "keys", path, sizeof(path));
    buffer_init(&text, KEYS_FILE_MAX, NULL);
    buffer_put(&text, BYTES(KEY " project=1 created=2026-11-22T08:00:00Z\n"));
    while (text.len < KEYS_FILE_MAX)
        buffer_put_u8(&text, '\n');
    cr_assert(file_write(path, buffer_bytes(&text)));
    cr_assert_eq(add(&dir, 1, 1, 1, false), ERR_OK, "blank lines go");

    buffer_clear(&text);
    while (text.len < KEYS_FILE_MAX - 100)
        buffer_put(&text, BYTES(KEY " project=1 organization=1 created=2026-11-22T08:00:00Z\n"));
    cr_assert(file_write(path, buffer_bytes(&text)));
    cr_expect_eq(add(&dir, 1, 1, 1, false), ERR_LIMIT);
    struct keyring *k = load(&dir);
    cr_expect_null(keyring_find(k, key_of(1)));
    keyring_destroy(k);
    buffer_close(&text);
    tmpdir_remove(&dir);
}

Test(keyring, one_change_at_a_time_and_a_revoked_first_key_ends_openness)
{
    struct tmpdir dir = tmpdir_make();
    struct vfs *vfs = vfs_posix();
    struct errinfo info;
    char path[512];
    cr_assert_eq(add(&dir, 1, 1, 1, true), ERR_OK);

    snprintf(path, sizeof(path), "%s/keys.lock", dir.path);
    struct vfs_file *lock = NULL;
    cr_assert_eq(vfs->lock(vfs, path, &lock, &info), ERR_OK);
    cr_expect_eq(keyring_revoke(vfs, dir.path, key_of(1), SECOND, &info), ERR_BUSY);
    cr_expect_not_null(strstr(info.text, "another command"), "%s", info.text);
    vfs->unlock(vfs, lock);

    struct keyring *k = load(&dir);
    cr_expect(keyring_is_initial(k));
    keyring_destroy(k);
    cr_assert_eq(keyring_revoke(vfs, dir.path, key_of(1), SECOND, &info), ERR_OK);
    k = load(&dir);
    cr_expect_not(keyring_is_initial(k));
    keyring_destroy(k);
    tmpdir_remove(&dir);
}
