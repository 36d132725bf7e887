#include "tests/support/vfs_mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum change_kind { CHANGE_WRITE, CHANGE_TRUNCATE };

struct change {
    enum change_kind kind;
    size_t offset;
    size_t len; /* truncate: the new size is `offset` */
    uint8_t *data;
};

struct content {
    uint8_t *data;
    size_t len;
};

struct inode {
    struct content live;
    struct content synced;
    struct change *changes; /* since the last sync */
    size_t change_count;
    unsigned holds; /* names and open files */
    bool locked;
    unsigned shared_by;
    uint64_t counted_in; /* the round of used_space that saw it last */
};

struct name {
    char path[160];
    struct inode *live; /* NULL: no such file */
    struct inode *synced;
};

struct vfs_file {
    struct inode *inode;
    bool is_lock;
    bool is_shared;
};

struct vfs_mem {
    struct vfs vfs;
    struct name *names;
    size_t name_count;
    uint64_t space;
    uint64_t round;
    bool maps_failed;
    pthread_mutex_t lock;
};

static struct vfs_mem *mem_of(struct vfs *v)
{
    return (struct vfs_mem *)v; /* the table is the first member */
}

static void *grown(void *block, size_t size)
{
    void *fresh = realloc(block, size == 0 ? 1 : size);
    assert(fresh != NULL);
    return fresh;
}

static void content_resize(struct content *c, size_t len)
{
    c->data = grown(c->data, len);
    if (len > c->len)
        memset(c->data + c->len, 0, len - c->len);
    c->len = len;
}

static void content_write(struct content *c, size_t offset, const uint8_t *data, size_t len)
{
    if (offset + len > c->len)
        content_resize(c, offset + len);
    if (len > 0)
        memcpy(c->data + offset, data, len);
}

static void content_copy(struct content *to, const struct content *from)
{
    content_resize(to, 0);
    content_write(to, 0, from->data, from->len);
}

static void forget_changes(struct inode *i)
{
    for (size_t k = 0; k < i->change_count; k++)
        free(i->changes[k].data);
    free(i->changes);
    i->changes = NULL;
    i->change_count = 0;
}

static void add_change(struct inode *i, enum change_kind kind, size_t offset, struct bytes data)
{
    i->changes = grown(i->changes, (i->change_count + 1) * sizeof *i->changes);
    struct change *c = &i->changes[i->change_count++];
    *c = (struct change){kind, offset, data.len, NULL};
    c->data = grown(NULL, data.len);
    if (data.len > 0)
        memcpy(c->data, data.data, data.len);
}

static struct inode *inode_new(void)
{
    struct inode *i = calloc(1, sizeof *i);
    assert(i != NULL);
    return i;
}

static void inode_release(struct inode *i)
{
    if (i == NULL || --i->holds > 0)
        return;
    forget_changes(i);
    free(i->live.data);
    free(i->synced.data);
    free(i);
}

static void hold(struct inode **where, struct inode *what)
{
    if (what != NULL)
        what->holds++;
    inode_release(*where);
    *where = what;
}

static struct name *find_name(struct vfs_mem *m, const char *path)
{
    for (size_t i = 0; i < m->name_count; i++) {
        if (strcmp(m->names[i].path, path) == 0)
            return &m->names[i];
    }
    return NULL;
}

static struct name *need_name(struct vfs_mem *m, const char *path)
{
    struct name *n = find_name(m, path);
    if (n != NULL)
        return n;
    m->names = grown(m->names, (m->name_count + 1) * sizeof *m->names);
    n = &m->names[m->name_count++];
    *n = (struct name){0};
    assert(strlen(path) < sizeof n->path);
    memcpy(n->path, path, strlen(path) + 1);
    return n;
}

/* A file with several names counts once. */
static uint64_t used_space(struct vfs_mem *m)
{
    uint64_t sum = 0;
    m->round++;
    for (size_t i = 0; i < m->name_count; i++) {
        struct inode *file = m->names[i].live;
        if (file == NULL || file->counted_in == m->round)
            continue;
        file->counted_in = m->round;
        sum += file->live.len;
    }
    return sum;
}

/* ---- the table ---- */

#define LOCKED(m, statement)              \
    do {                                  \
        pthread_mutex_lock(&(m)->lock);   \
        statement;                        \
        pthread_mutex_unlock(&(m)->lock); \
    } while (0)

static struct vfs_file *file_new(struct inode *i, bool is_lock)
{
    struct vfs_file *f = calloc(1, sizeof *f);
    assert(f != NULL);
    hold(&f->inode, i);
    f->is_lock = is_lock;
    return f;
}

static enum err open_locked(struct vfs_mem *m, const char *path, enum vfs_open how,
                            struct vfs_file **ret, struct errinfo *info)
{
    struct name *n = find_name(m, path);
    bool there = n != NULL && n->live != NULL;
    if (how == VFS_CREATE && there)
        return err_set(info, ERR_IO, "%s: exists", path);
    if (how != VFS_CREATE && !there)
        return err_set(info, ERR_NOTFOUND, "%s: not found", path);
    if (how == VFS_CREATE) {
        n = need_name(m, path);
        hold(&n->live, inode_new());
    }
    *ret = file_new(n->live, false);
    return ERR_OK;
}

static enum err mem_open(struct vfs *v, const char *path, enum vfs_open how, struct vfs_file **ret,
                         struct errinfo *info)
{
    enum err rc;
    LOCKED(mem_of(v), rc = open_locked(mem_of(v), path, how, ret, info));
    return rc;
}

static void mem_close(struct vfs *v, struct vfs_file *f)
{
    if (f == NULL)
        return;
    LOCKED(mem_of(v), inode_release(f->inode));
    free(f);
}

static enum err mem_read_at(struct vfs *v, struct vfs_file *f, uint64_t offset, void *to,
                            size_t len, struct errinfo *info)
{
    enum err rc = ERR_OK;
    pthread_mutex_lock(&mem_of(v)->lock);
    const struct content *c = &f->inode->live;
    if (offset > c->len || len > c->len - offset)
        rc = err_set(info, ERR_CORRUPT, "file ends");
    else if (len > 0)
        memcpy(to, c->data + offset, len);
    pthread_mutex_unlock(&mem_of(v)->lock);
    return rc;
}

static enum err mem_append(struct vfs *v, struct vfs_file *f, struct bytes data,
                           struct errinfo *info)
{
    struct vfs_mem *m = mem_of(v);
    enum err rc = ERR_OK;
    pthread_mutex_lock(&m->lock);
    if (m->space != 0 && used_space(m) + data.len > m->space) {
        uint64_t used = used_space(m);
        data = bytes_first(data, used < m->space ? (size_t)(m->space - used) : 0);
        rc = err_set(info, ERR_NOSPACE, "no space left");
    }
    size_t at = f->inode->live.len;
    content_write(&f->inode->live, at, data.data, data.len);
    add_change(f->inode, CHANGE_WRITE, at, data);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static enum err mem_size(struct vfs *v, struct vfs_file *f, uint64_t *ret, struct errinfo *info)
{
    (void)info;
    LOCKED(mem_of(v), *ret = f->inode->live.len);
    return ERR_OK;
}

static enum err mem_truncate(struct vfs *v, struct vfs_file *f, uint64_t size, struct errinfo *info)
{
    (void)info;
    pthread_mutex_lock(&mem_of(v)->lock);
    content_resize(&f->inode->live, (size_t)size);
    add_change(f->inode, CHANGE_TRUNCATE, (size_t)size, (struct bytes){0});
    pthread_mutex_unlock(&mem_of(v)->lock);
    return ERR_OK;
}

static enum err mem_sync(struct vfs *v, struct vfs_file *f, struct errinfo *info)
{
    (void)info;
    pthread_mutex_lock(&mem_of(v)->lock);
    content_copy(&f->inode->synced, &f->inode->live);
    forget_changes(f->inode);
    pthread_mutex_unlock(&mem_of(v)->lock);
    return ERR_OK;
}

static enum err mem_map(struct vfs *v, struct vfs_file *f, struct bytes *ret, struct errinfo *info)
{
    (void)info;
    pthread_mutex_lock(&mem_of(v)->lock);
    uint8_t *copy = grown(NULL, f->inode->live.len);
    if (f->inode->live.len > 0)
        memcpy(copy, f->inode->live.data, f->inode->live.len);
    *ret = bytes_of(copy, f->inode->live.len);
    pthread_mutex_unlock(&mem_of(v)->lock);
    return ERR_OK;
}

static void mem_unmap(struct vfs *v, struct bytes mapped)
{
    (void)v;
    free((void *)(uintptr_t)mapped.data);
}

static bool mem_map_failed(struct vfs *v, struct bytes mapped)
{
    bool failed;
    (void)mapped;
    LOCKED(mem_of(v), failed = mem_of(v)->maps_failed);
    return failed;
}

static enum err rename_locked(struct vfs_mem *m, const char *from, const char *to,
                              struct errinfo *info)
{
    struct name *a = find_name(m, from);
    if (a == NULL || a->live == NULL)
        return err_set(info, ERR_NOTFOUND, "%s: not found", from);
    struct inode *moved = a->live;
    struct name *b = need_name(m, to);
    a = find_name(m, from); /* names may have moved */
    hold(&b->live, moved);
    if (a != b)
        hold(&a->live, NULL);
    return ERR_OK;
}

static enum err mem_rename(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    enum err rc;
    LOCKED(mem_of(v), rc = rename_locked(mem_of(v), from, to, info));
    return rc;
}

static enum err remove_locked(struct vfs_mem *m, const char *path, struct errinfo *info)
{
    struct name *n = find_name(m, path);
    if (n == NULL || n->live == NULL)
        return err_set(info, ERR_NOTFOUND, "%s: not found", path);
    hold(&n->live, NULL);
    return ERR_OK;
}

static enum err mem_remove(struct vfs *v, const char *path, struct errinfo *info)
{
    enum err rc;
    LOCKED(mem_of(v), rc = remove_locked(mem_of(v), path, info));
    return rc;
}

static enum err link_locked(struct vfs_mem *m, const char *from, const char *to,
                            struct errinfo *info)
{
    const struct name *a = find_name(m, from);
    const struct name *b = find_name(m, to);
    if (a == NULL || a->live == NULL)
        return err_set(info, ERR_NOTFOUND, "%s: not found", from);
    if (b != NULL && b->live != NULL)
        return err_set(info, ERR_IO, "%s: exists", to);
    struct inode *shared = a->live;
    hold(&need_name(m, to)->live, shared);
    return ERR_OK;
}

static enum err mem_link(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    enum err rc;
    LOCKED(mem_of(v), rc = link_locked(mem_of(v), from, to, info));
    return rc;
}

static enum err mem_space(struct vfs *v, const char *path, uint64_t *ret_free, uint64_t *ret_total,
                          struct errinfo *info)
{
    struct vfs_mem *m = mem_of(v);
    (void)path;
    (void)info;
    pthread_mutex_lock(&m->lock);
    uint64_t used = used_space(m);
    *ret_total = m->space != 0 ? m->space : VFS_MEM_SIZE;
    *ret_free = used < *ret_total ? *ret_total - used : 0;
    pthread_mutex_unlock(&m->lock);
    return ERR_OK;
}

static enum err mem_make_dir(struct vfs *v, const char *path, struct errinfo *info)
{
    (void)v;
    (void)path;
    (void)info;
    return ERR_OK; /* folders are there as soon as they are named */
}

static bool in_dir(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && path[len] == '/' && strchr(path + len + 1, '/') == NULL;
}

static enum err mem_sync_dir(struct vfs *v, const char *path, struct errinfo *info)
{
    struct vfs_mem *m = mem_of(v);
    (void)info;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->name_count; i++) {
        if (in_dir(m->names[i].path, path))
            hold(&m->names[i].synced, m->names[i].live);
    }
    pthread_mutex_unlock(&m->lock);
    return ERR_OK;
}

static enum err mem_list(struct vfs *v, const char *path, void *self,
                         enum err (*on_name)(void *self, const char *name), struct errinfo *info)
{
    struct vfs_mem *m = mem_of(v);
    (void)info;
    for (size_t i = m->name_count; i > 0; i--) { /* not the order in which they were made */
        const struct name *n = &m->names[i - 1];
        if (n->live != NULL && in_dir(n->path, path))
            TRY(on_name(self, n->path + strlen(path) + 1));
    }
    return ERR_OK;
}

static enum err lock_locked(struct vfs_mem *m, const char *path, struct vfs_file **ret,
                            struct errinfo *info)
{
    struct name *n = need_name(m, path);
    if (n->live == NULL)
        hold(&n->live, inode_new());
    if (n->live->locked || n->live->shared_by > 0)
        return err_set(info, ERR_BUSY, n->live->locked ? "pid 1" : "a reader");
    n->live->locked = true;
    *ret = file_new(n->live, true);
    return ERR_OK;
}

static enum err lock_shared_locked(struct vfs_mem *m, const char *path, struct vfs_file **ret,
                                   struct errinfo *info)
{
    struct name *n = find_name(m, path);
    if (n == NULL || n->live == NULL)
        return err_set(info, ERR_NOTFOUND, "%s: not found", path);
    if (n->live->locked)
        return err_set(info, ERR_BUSY, "pid 1");
    n->live->shared_by++;
    *ret = file_new(n->live, true);
    (*ret)->is_shared = true;
    return ERR_OK;
}

static enum err mem_lock_shared(struct vfs *v, const char *path, struct vfs_file **ret,
                                struct errinfo *info)
{
    enum err rc;
    LOCKED(mem_of(v), rc = lock_shared_locked(mem_of(v), path, ret, info));
    return rc;
}

static enum err mem_lock(struct vfs *v, const char *path, struct vfs_file **ret,
                         struct errinfo *info)
{
    enum err rc;
    LOCKED(mem_of(v), rc = lock_locked(mem_of(v), path, ret, info));
    return rc;
}

static void mem_unlock(struct vfs *v, struct vfs_file *f)
{
    LOCKED(mem_of(v),
           f->is_shared ? (void)f->inode->shared_by-- : (void)(f->inode->locked = false));
    mem_close(v, f);
}

struct vfs_mem *vfs_mem_create(void)
{
    struct vfs_mem *m = calloc(1, sizeof *m);
    assert(m != NULL);
    pthread_mutex_init(&m->lock, NULL);
    m->vfs = (struct vfs){.open = mem_open,
                          .close = mem_close,
                          .read_at = mem_read_at,
                          .append = mem_append,
                          .size = mem_size,
                          .truncate = mem_truncate,
                          .sync = mem_sync,
                          .map = mem_map,
                          .unmap = mem_unmap,
                          .map_failed = mem_map_failed,
                          .rename = mem_rename,
                          .remove = mem_remove,
                          .link = mem_link,
                          .space = mem_space,
                          .make_dir = mem_make_dir,
                          .sync_dir = mem_sync_dir,
                          .list = mem_list,
                          .lock = mem_lock,
                          .lock_shared = mem_lock_shared,
                          .unlock = mem_unlock};
    return m;
}

void vfs_mem_destroy(struct vfs_mem *m)
{
    for (size_t i = 0; i < m->name_count; i++) {
        hold(&m->names[i].live, NULL);
        hold(&m->names[i].synced, NULL);
    }
    free(m->names);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

struct vfs *vfs_mem_vfs(struct vfs_mem *m)
{
    return &m->vfs;
}

/* ---- power ---- */

/* What is on the device of one file: the synced bytes, then each change kept, lost or torn. */
static void settle(struct inode *i, struct rng *rng)
{
    struct content left = {0};
    content_copy(&left, &i->synced);
    for (size_t k = 0; k < i->change_count; k++) {
        const struct change *c = &i->changes[k];
        unsigned fate = (unsigned)rng_below(rng, 3);
        if (fate == 0)
            continue;
        if (c->kind == CHANGE_TRUNCATE) {
            content_resize(&left, c->offset);
            continue;
        }
        size_t len = fate == 1 || c->len == 0 ? c->len : (size_t)rng_below(rng, c->len);
        content_write(&left, c->offset, c->data, len);
        if (fate == 2 && rng_chance(rng, 50)) /* the size was kept, the bytes were not */
            content_resize(&left, c->offset + c->len > left.len ? c->offset + c->len : left.len);
    }
    content_copy(&i->live, &left);
    content_copy(&i->synced, &left);
    free(left.data);
    forget_changes(i);
    i->locked = false;
}

void vfs_mem_power_cut(struct vfs_mem *m, struct rng *rng)
{
    for (size_t i = 0; i < m->name_count; i++) {
        struct name *n = &m->names[i];
        struct inode *kept = n->live;
        if (n->live != n->synced && rng_chance(rng, 50))
            kept = n->synced;
        hold(&n->live, kept);
        hold(&n->synced, kept);
        if (n->live != NULL)
            settle(n->live, rng);
    }
}

void vfs_mem_kill(struct vfs_mem *m)
{
    for (size_t i = 0; i < m->name_count; i++) {
        if (m->names[i].live != NULL)
            m->names[i].live->locked = false;
    }
}

void vfs_mem_put(struct vfs_mem *m, const char *path, struct bytes content)
{
    struct name *n = need_name(m, path);
    struct inode *i = inode_new();
    content_write(&i->live, 0, content.data, content.len);
    content_write(&i->synced, 0, content.data, content.len);
    hold(&n->live, i);
    hold(&n->synced, i);
}

struct bytes vfs_mem_get(struct vfs_mem *m, const char *path)
{
    const struct name *n = find_name(m, path);
    if (n == NULL || n->live == NULL)
        return (struct bytes){0};
    return bytes_of(n->live->live.data, n->live->live.len);
}

size_t vfs_mem_file_count(struct vfs_mem *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->name_count; i++)
        count += m->names[i].live != NULL;
    return count;
}

void vfs_mem_set_space(struct vfs_mem *m, uint64_t bytes)
{
    m->space = bytes;
}

void vfs_mem_set_maps_failed(struct vfs_mem *m, bool failed)
{
    LOCKED(m, m->maps_failed = failed);
}
