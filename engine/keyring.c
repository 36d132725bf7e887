#include "engine/keyring.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/sort.h"
#include "base/timestamp.h"

#define FILE_NAME        "keys"
#define PATH_SIZE        4096
#define ORGANIZATION_OWN 1 /* of projects whose key says nothing else */

struct keyring {
    struct keyring_entry *entries; /* in the order of the file */
    uint32_t *by_key;              /* positions, by key, then position */
    size_t count;
};

/* ---- lines ---- */

/* The word up to the next blank. */
static struct bytes next_word(struct bytes *line)
{
    *line = bytes_trim(*line);
    size_t at = bytes_find_byte(*line, ' ');
    struct bytes word = bytes_first(*line, at);
    *line = bytes_from(*line, at);
    return word;
}

static bool value_of(struct bytes word, struct bytes name, struct bytes *ret)
{
    if (!bytes_starts_with(word, name))
        return false;
    *ret = bytes_from(word, name.len);
    return true;
}

static bool parse_word(struct bytes word, struct keyring_entry *entry)
{
    struct bytes value;
    if (value_of(word, BYTES("project="), &value))
        return bytes_to_u64(value, &entry->project_id);
    if (value_of(word, BYTES("organization="), &value))
        return bytes_to_u64(value, &entry->organization_id);
    if (value_of(word, BYTES("created="), &value))
        return timestamp_parse_rfc3339(value, &entry->created_ns);
    if (value_of(word, BYTES("revoked="), &value))
        return timestamp_parse_rfc3339(value, &entry->revoked_ns);
    entry->initial = true;
    return bytes_equal(word, BYTES("initial"));
}

static bool parse_line(struct bytes line, struct keyring_entry *ret)
{
    struct keyring_entry entry = {.organization_id = ORGANIZATION_OWN};
    struct bytes key = next_word(&line);
    if (key.len != UUID_TEXT_SIZE || !uuid_parse(key, &entry.key))
        return false;
    bool has_project = false;
    for (struct bytes word = next_word(&line); word.len > 0; word = next_word(&line)) {
        if (!parse_word(word, &entry))
            return false;
        has_project |= bytes_starts_with(word, BYTES("project="));
    }
    *ret = entry;
    return has_project;
}

static void print_line(const struct keyring_entry *entry, struct buffer *out)
{
    char key[UUID_TEXT_SIZE + 1];
    char time[TIMESTAMP_TEXT_SIZE];
    uuid_print(entry->key, key);
    size_t len = timestamp_print_rfc3339(entry->created_ns, time);
    buffer_printf(out, "%s project=%" PRIu64 " organization=%" PRIu64 " created=%.*s", key,
                  entry->project_id, entry->organization_id, (int)len, time);
    if (entry->revoked_ns != 0) {
        len = timestamp_print_rfc3339(entry->revoked_ns, time);
        buffer_printf(out, " revoked=%.*s", (int)len, time);
    }
    buffer_put(out, entry->initial ? BYTES(" initial\n") : BYTES("\n"));
}

/* ---- the file ---- */

static enum err make_path(const char *dir, const char *name, char path[PATH_SIZE],
                          struct errinfo *info)
{
    int len = snprintf(path, PATH_SIZE, "%s/%s", dir, name);
    if (len < 0 || len >= PATH_SIZE)
        return err_set(info, ERR_LIMIT, "keys: the folder's name is too long");
    return ERR_OK;
}

static enum err read_open_file(struct vfs *vfs, struct vfs_file *f, struct buffer *text,
                               struct errinfo *info)
{
    uint64_t size;
    TRY(vfs->size(vfs, f, &size, info));
    if (size > KEYS_FILE_MAX)
        return err_set(info, ERR_CORRUPT, "keys: %" PRIu64 " bytes, expected at most %zu", size,
                       KEYS_FILE_MAX);
    if (size == 0)
        return ERR_OK;
    void *to = buffer_extend(text, (size_t)size);
    if (to == NULL)
        return err_set(info, text->failed, "keys: no memory");
    return vfs->read_at(vfs, f, 0, to, (size_t)size, info);
}

/* No file reads as empty. */
static enum err read_file(struct vfs *vfs, const char *dir, struct buffer *text,
                          struct errinfo *info)
{
    char path[PATH_SIZE];
    struct vfs_file *f;
    TRY(make_path(dir, FILE_NAME, path, info));
    enum err rc = vfs->open(vfs, path, VFS_READ, &f, info);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    if (rc != ERR_OK)
        return rc;
    rc = read_open_file(vfs, f, text, info);
    vfs->close(vfs, f);
    return rc;
}

/* The whole new file beside the old one, on the device, then in its place. */
static enum err write_file(struct vfs *vfs, const char *dir, struct bytes text,
                           struct errinfo *info)
{
    char path[PATH_SIZE], fresh[PATH_SIZE];
    struct vfs_file *f;
    TRY(make_path(dir, FILE_NAME, path, info));
    TRY(make_path(dir, FILE_NAME ".new", fresh, info));
    enum err rc = vfs->remove(vfs, fresh, info); /* of an attempt that was cut off */
    if (rc != ERR_OK && rc != ERR_NOTFOUND)
        return rc;
    TRY(vfs->open(vfs, fresh, VFS_CREATE, &f, info));
    rc = vfs->append(vfs, f, text, info);
    if (rc == ERR_OK)
        rc = vfs->sync(vfs, f, info);
    vfs->close(vfs, f);
    if (rc == ERR_OK)
        rc = vfs->rename(vfs, fresh, path, info);
    if (rc == ERR_OK)
        rc = vfs->sync_dir(vfs, dir, info);
    return rc;
}

/* ---- the ring ---- */

static enum err parse_entries(struct bytes text, struct buffer *entries, struct errinfo *info)
{
    for (size_t number = 1; text.len > 0; number++) {
        size_t end = bytes_find_byte(text, '\n');
        struct bytes line = bytes_trim(bytes_first(text, end));
        text = bytes_from(text, end + 1);
        if (line.len == 0)
            continue;
        struct keyring_entry entry;
        if (!parse_line(line, &entry))
            return err_set(info, ERR_CORRUPT,
                           "keys: line %zu: expected \"<32 hex digits> project=N "
                           "organization=N created=TIME [revoked=TIME] [initial]\"",
                           number);
        buffer_put(entries, bytes_of(&entry, sizeof(entry)));
    }
    return entries->failed == ERR_OK ? ERR_OK : err_set(info, entries->failed, "keys: no memory");
}

static int compare_positions(const void *left, const void *right, void *context)
{
    const struct keyring_entry *entries = context;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    int order = uuid_compare(entries[a].key, entries[b].key);
    return order != 0 ? order : (a > b) - (a < b);
}

static enum err sort_positions(struct keyring *k)
{
    for (size_t i = 0; i < k->count; i++)
        k->by_key[i] = (uint32_t)i;
    return sort_array(NULL, k->by_key, k->count, sizeof(*k->by_key), compare_positions, k->entries);
}

static enum err make_ring(struct bytes entries, struct keyring **ret, struct errinfo *info)
{
    struct keyring *k = mem_zalloc(sizeof(*k));
    if (k == NULL)
        return err_set(info, ERR_NOMEM, "keys: no memory");
    k->count = entries.len / sizeof(*k->entries);
    k->entries = mem_array(k->count, sizeof(*k->entries));
    k->by_key = mem_array(k->count, sizeof(*k->by_key));
    if (k->entries == NULL || k->by_key == NULL) {
        keyring_destroy(k);
        return err_set(info, ERR_NOMEM, "keys: no memory");
    }
    if (entries.len > 0)
        memcpy(k->entries, entries.data, entries.len);
    enum err rc = sort_positions(k);
    if (rc != ERR_OK) {
        keyring_destroy(k);
        return err_set(info, rc, "keys: no memory");
    }
    *ret = k;
    return ERR_OK;
}

enum err keyring_load(struct vfs *vfs, const char *dir, struct keyring **ret, struct errinfo *info)
{
    struct buffer text, entries;
    buffer_init(&text, KEYS_FILE_MAX, NULL);
    buffer_init(&entries, SIZE_MAX, NULL);
    enum err rc = read_file(vfs, dir, &text, info);
    if (rc == ERR_OK)
        rc = parse_entries(buffer_bytes(&text), &entries, info);
    if (rc == ERR_OK)
        rc = make_ring(buffer_bytes(&entries), ret, info);
    buffer_close(&text);
    buffer_close(&entries);
    return rc;
}

void keyring_destroy(struct keyring *k)
{
    if (k == NULL)
        return;
    mem_free(k->entries);
    mem_free(k->by_key);
    mem_free(k);
}

size_t keyring_count(const struct keyring *k)
{
    return k->count;
}

const struct keyring_entry *keyring_entry(const struct keyring *k, size_t i)
{
    return &k->entries[i];
}

const struct keyring_entry *keyring_find(const struct keyring *k, struct uuid key)
{
    size_t low = 0;
    for (size_t high = k->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (uuid_compare(k->entries[k->by_key[middle]].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < k->count; low++) {
        const struct keyring_entry *entry = &k->entries[k->by_key[low]];
        if (!uuid_equal(entry->key, key))
            break;
        if (entry->revoked_ns == 0)
            return entry;
    }
    return NULL;
}

uint64_t keyring_organization(const struct keyring *k, uint64_t project_id)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->entries[i].project_id == project_id && k->entries[i].revoked_ns == 0)
            return k->entries[i].organization_id;
    return ORGANIZATION_OWN;
}

bool keyring_is_initial(const struct keyring *k)
{
    for (size_t i = 0; i < k->count; i++)
        if (!k->entries[i].initial || k->entries[i].revoked_ns != 0)
            return false;
    return true;
}

/* ---- changes ---- */

static enum err write_ring(struct vfs *vfs, const char *dir, const struct keyring *k,
                           const struct keyring_entry *extra, struct errinfo *info)
{
    struct buffer text;
    buffer_init(&text, KEYS_FILE_MAX, NULL);
    for (size_t i = 0; i < k->count; i++)
        print_line(&k->entries[i], &text);
    if (extra != NULL)
        print_line(extra, &text);
    enum err rc = text.failed == ERR_OK ? write_file(vfs, dir, buffer_bytes(&text), info)
                                        : err_set(info, text.failed, "keys: no room");
    buffer_close(&text);
    return rc;
}

static enum err add_entry(struct vfs *vfs, const char *dir, const struct keyring_entry *entry,
                          struct errinfo *info)
{
    struct keyring *k = NULL;
    TRY(keyring_load(vfs, dir, &k, info));
    assert(k != NULL);
    const struct keyring_entry *same = keyring_find(k, entry->key);
    enum err rc = same == NULL
                      ? write_ring(vfs, dir, k, entry, info)
                      : err_set(info, ERR_MALFORMED,
                                "keys: the key is in force for project %" PRIu64, same->project_id);
    keyring_destroy(k);
    return rc;
}

static enum err revoke_key(struct vfs *vfs, const char *dir, struct uuid key, int64_t now_ns,
                           struct errinfo *info)
{
    struct keyring *k = NULL;
    TRY(keyring_load(vfs, dir, &k, info));
    assert(k != NULL);
    bool found = false;
    for (size_t i = 0; i < k->count; i++)
        if (uuid_equal(k->entries[i].key, key) && k->entries[i].revoked_ns == 0) {
            k->entries[i].revoked_ns = now_ns;
            found = true;
        }
    enum err rc = found ? write_ring(vfs, dir, k, NULL, info)
                        : err_set(info, ERR_NOTFOUND, "keys: no such key in force");
    keyring_destroy(k);
    return rc;
}

/* Between reading the file and replacing it nobody else may: that change would be lost. */
static enum err lock_changes(struct vfs *vfs, const char *dir, struct vfs_file **ret,
                             struct errinfo *info)
{
    char path[PATH_SIZE];
    struct errinfo reason = {{0}};
    TRY(make_path(dir, FILE_NAME ".lock", path, info));
    enum err rc = vfs->lock(vfs, path, ret, &reason);
    if (rc == ERR_BUSY)
        return err_set(info, rc, "keys: another command is changing them (%s); try again",
                       reason.text);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "%s", reason.text);
}

enum err keyring_add(struct vfs *vfs, const char *dir, const struct keyring_entry *entry,
                     struct errinfo *info)
{
    struct vfs_file *lock = NULL;
    TRY(lock_changes(vfs, dir, &lock, info));
    enum err rc = add_entry(vfs, dir, entry, info);
    vfs->unlock(vfs, lock);
    return rc;
}

enum err keyring_revoke(struct vfs *vfs, const char *dir, struct uuid key, int64_t now_ns,
                        struct errinfo *info)
{
    struct vfs_file *lock = NULL;
    TRY(lock_changes(vfs, dir, &lock, info));
    enum err rc = revoke_key(vfs, dir, key, now_ns, info);
    vfs->unlock(vfs, lock);
    return rc;
}
