#include "tests/support/vfs_meddle.h"

static struct vfs_meddle *meddle_of(struct vfs *v)
{
    return (struct vfs_meddle *)v; /* the table is the first member */
}

static struct vfs *inner_of(struct vfs *v)
{
    struct vfs_meddle *m = meddle_of(v);
    m->calls++;
    m->before(m->self, m->calls);
    return m->inner;
}

/* INNER(call, arguments): let somebody meddle, then hand the call on. */
#define INNER(v, call, ...)                     \
    do {                                        \
        struct vfs *inner = inner_of(v);        \
        return inner->call(inner, __VA_ARGS__); \
    } while (0)

static enum err meddle_open(struct vfs *v, const char *path, enum vfs_open how,
                            struct vfs_file **ret, struct errinfo *info)
{
    INNER(v, open, path, how, ret, info);
}

static enum err meddle_read_at(struct vfs *v, struct vfs_file *f, uint64_t offset, void *to,
                               size_t len, struct errinfo *info)
{
    INNER(v, read_at, f, offset, to, len, info);
}

static enum err meddle_append(struct vfs *v, struct vfs_file *f, struct bytes data,
                              struct errinfo *info)
{
    INNER(v, append, f, data, info);
}

static enum err meddle_size(struct vfs *v, struct vfs_file *f, uint64_t *ret, struct errinfo *info)
{
    INNER(v, size, f, ret, info);
}

static enum err meddle_truncate(struct vfs *v, struct vfs_file *f, uint64_t size,
                                struct errinfo *info)
{
    INNER(v, truncate, f, size, info);
}

static enum err meddle_sync(struct vfs *v, struct vfs_file *f, struct errinfo *info)
{
    INNER(v, sync, f, info);
}

static enum err meddle_map(struct vfs *v, struct vfs_file *f, struct bytes *ret,
                           struct errinfo *info)
{
    INNER(v, map, f, ret, info);
}

static enum err meddle_rename(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    INNER(v, rename, from, to, info);
}

static enum err meddle_remove(struct vfs *v, const char *path, struct errinfo *info)
{
    INNER(v, remove, path, info);
}

static enum err meddle_link(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    INNER(v, link, from, to, info);
}

static enum err meddle_make_dir(struct vfs *v, const char *path, struct errinfo *info)
{
    INNER(v, make_dir, path, info);
}

static enum err meddle_sync_dir(struct vfs *v, const char *path, struct errinfo *info)
{
    INNER(v, sync_dir, path, info);
}

static enum err meddle_list(struct vfs *v, const char *path, void *self,
                            enum err (*on_name)(void *self, const char *name), struct errinfo *info)
{
    INNER(v, list, path, self, on_name, info);
}

static enum err meddle_space(struct vfs *v, const char *path, uint64_t *ret_free,
                             uint64_t *ret_total, struct errinfo *info)
{
    INNER(v, space, path, ret_free, ret_total, info);
}

static enum err meddle_lock(struct vfs *v, const char *path, struct vfs_file **ret,
                            struct errinfo *info)
{
    INNER(v, lock, path, ret, info);
}

static enum err meddle_lock_shared(struct vfs *v, const char *path, struct vfs_file **ret,
                                   struct errinfo *info)
{
    INNER(v, lock_shared, path, ret, info);
}

static void meddle_close(struct vfs *v, struct vfs_file *f)
{
    meddle_of(v)->inner->close(meddle_of(v)->inner, f);
}

static void meddle_unlock(struct vfs *v, struct vfs_file *f)
{
    meddle_of(v)->inner->unlock(meddle_of(v)->inner, f);
}

static void meddle_unmap(struct vfs *v, struct bytes mapped)
{
    meddle_of(v)->inner->unmap(meddle_of(v)->inner, mapped);
}

static bool meddle_map_failed(struct vfs *v, struct bytes mapped)
{
    return meddle_of(v)->inner->map_failed(meddle_of(v)->inner, mapped);
}

void vfs_meddle_init(struct vfs_meddle *m, struct vfs *inner, void *self,
                     void (*before)(void *self, unsigned call))
{
    *m = (struct vfs_meddle){.inner = inner, .self = self, .before = before};
    m->vfs = (struct vfs){
        .open = meddle_open,
        .read_at = meddle_read_at,
        .append = meddle_append,
        .size = meddle_size,
        .truncate = meddle_truncate,
        .sync = meddle_sync,
        .map = meddle_map,
        .rename = meddle_rename,
        .remove = meddle_remove,
        .link = meddle_link,
        .make_dir = meddle_make_dir,
        .sync_dir = meddle_sync_dir,
        .list = meddle_list,
        .space = meddle_space,
        .lock = meddle_lock,
        .lock_shared = meddle_lock_shared,
        .close = meddle_close,
        .unlock = meddle_unlock,
        .unmap = meddle_unmap,
        .map_failed = meddle_map_failed,
    };
}
