#include "api/key_watch.h"

#include <stdio.h>

#include <uv.h>

#include "api/app.h"
#include "api/metrics.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"

#define PATH_SIZE 4096

enum { HASH_NO_FILE, HASH_UNREADABLE };

struct held_keys {
    struct held_keys *next; /* older ones that somebody still reads */
    struct keyring *keyring;
    size_t refs;
};

struct key_watch {
    struct vfs *vfs;
    const char *dir;
    struct metrics *metrics;
    char path[PATH_SIZE];
    uv_mutex_t lock;
    struct held_keys *held; /* the first is in force */
    uint64_t seen;          /* what hash_file said last */
};

/* Hash of the file's bytes, HASH_NO_FILE, or HASH_UNREADABLE and why. */
static enum err hash_file(struct key_watch *w, uint64_t *ret, struct errinfo *info)
{
    struct vfs_file *file = NULL;
    enum err rc = w->vfs->open(w->vfs, w->path, VFS_READ, &file, info);
    *ret = rc == ERR_NOTFOUND ? HASH_NO_FILE : HASH_UNREADABLE;
    if (rc != ERR_OK)
        return rc == ERR_NOTFOUND ? ERR_OK : rc;
    uint64_t size = 0;
    uint8_t *text = NULL;
    rc = w->vfs->size(w->vfs, file, &size, info);
    if (rc == ERR_OK && size > KEYS_FILE_MAX)
        rc = err_set(info, ERR_LIMIT, "%s: over %zu bytes", w->path, KEYS_FILE_MAX);
    if (rc == ERR_OK && (text = mem_alloc(size)) == NULL)
        rc = ERR_NOMEM;
    if (rc == ERR_OK)
        rc = w->vfs->read_at(w->vfs, file, 0, text, size, info);
    if (rc == ERR_OK)
        *ret = hash_bytes(bytes_of(text, size), 1);
    mem_free(text);
    w->vfs->close(w->vfs, file);
    return rc;
}

static enum err load(struct key_watch *w, struct errinfo *info)
{
    struct held_keys *held = mem_zalloc(sizeof(*held));
    if (held == NULL)
        return ERR_NOMEM;
    enum err rc = keyring_load(w->vfs, w->dir, &held->keyring, info);
    if (rc != ERR_OK) {
        mem_free(held);
        return rc;
    }
    held->refs = 1;
    uv_mutex_lock(&w->lock);
    held->next = w->held;
    w->held = held;
    uv_mutex_unlock(&w->lock);
    if (held->next != NULL)
        key_watch_release(w, held->next->keyring);
    return ERR_OK;
}

enum err key_watch_create(struct vfs *vfs, const char *dir, struct metrics *metrics,
                          struct key_watch **ret, struct errinfo *info)
{
    struct key_watch *w = mem_zalloc(sizeof(*w));
    if (w == NULL)
        return ERR_NOMEM;
    w->vfs = vfs;
    w->dir = dir;
    w->metrics = metrics;
    int len = snprintf(w->path, sizeof(w->path), "%s/keys", dir);
    if (len < 0 || (size_t)len >= sizeof(w->path) || uv_mutex_init(&w->lock) != 0) {
        mem_free(w);
        return err_set(info, ERR_LIMIT, "data folder: the path is too long");
    }
    enum err rc = hash_file(w, &w->seen, info);
    if (rc == ERR_OK)
        rc = load(w, info);
    if (rc != ERR_OK) {
        key_watch_destroy(w);
        return rc;
    }
    *ret = w;
    return ERR_OK;
}

void key_watch_poll(struct key_watch *w)
{
    struct errinfo info = {{0}};
    uint64_t hash = 0;
    enum err rc = hash_file(w, &hash, &info);
    if (rc == ERR_OK && hash == w->seen)
        return;
    if (rc == ERR_OK)
        rc = load(w, &info);
    if (rc != ERR_OK && hash != w->seen)
        log_error("key_watch", "keys_not_read error=\"%s\"", info.text);
    w->seen = hash;
    if (rc != ERR_OK)
        return;
    metrics_add(w->metrics, METRIC_KEY_RELOADS, 1);
    const struct keyring *keys = key_watch_acquire(w);
    log_info("key_watch", "keys_loaded count=%zu", keyring_count(keys));
    key_watch_release(w, keys);
}

const struct keyring *key_watch_acquire(struct key_watch *w)
{
    uv_mutex_lock(&w->lock);
    w->held->refs++;
    const struct keyring *keys = w->held->keyring;
    uv_mutex_unlock(&w->lock);
    return keys;
}

void key_watch_release(struct key_watch *w, const struct keyring *keys)
{
    struct held_keys *gone = NULL;
    uv_mutex_lock(&w->lock);
    for (struct held_keys **at = &w->held; *at != NULL; at = &(*at)->next) {
        if ((*at)->keyring != keys)
            continue;
        if (--(*at)->refs == 0) {
            gone = *at;
            *at = gone->next;
        }
        break;
    }
    uv_mutex_unlock(&w->lock);
    if (gone == NULL)
        return;
    keyring_destroy(gone->keyring);
    mem_free(gone);
}

void key_watch_destroy(struct key_watch *w)
{
    if (w == NULL)
        return;
    while (w->held != NULL) {
        struct held_keys *next = w->held->next;
        keyring_destroy(w->held->keyring);
        mem_free(w->held);
        w->held = next;
    }
    uv_mutex_destroy(&w->lock);
    mem_free(w);
}

const struct keyring *app_keyring_acquire(struct app *app)
{
    return key_watch_acquire(app->keys);
}

void app_keyring_release(struct app *app, const struct keyring *keys)
{
    key_watch_release(app->keys, keys);
}
