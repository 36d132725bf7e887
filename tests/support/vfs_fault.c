#include "tests/support/vfs_fault.h"

static struct vfs_fault *fault_of(struct vfs *v)
{
    return (struct vfs_fault *)v; /* the table is the first member */
}

static bool fails(struct vfs *v)
{
    struct vfs_fault *f = fault_of(v);
    if (f->fired && f->then == FAULT_FOREVER)
        return true;
    if (f->left == 0 || --f->left > 0)
        return false;
    f->fired = true;
    return true;
}

static enum err failure(struct vfs *v, struct errinfo *info)
{
    return err_set(info, fault_of(v)->code, "made to fail");
}

/* INNER(call, arguments): fail, or hand the call on. */
#define INNER(v, call, ...) \
    (fails(v) ? failure(v, info) : fault_of(v)->inner->call(fault_of(v)->inner, __VA_ARGS__))

static enum err fault_open(struct vfs *v, const char *path, enum vfs_open how,
                           struct vfs_file **ret, struct errinfo *info)
{
    return INNER(v, open, path, how, ret, info);
}

static void fault_close(struct vfs *v, struct vfs_file *f)
{
    fault_of(v)->inner->close(fault_of(v)->inner, f);
}

static enum err fault_read_at(struct vfs *v, struct vfs_file *f, uint64_t offset, void *to,
                              size_t len, struct errinfo *info)
{
    return INNER(v, read_at, f, offset, to, len, info);
}

static enum err fault_append(struct vfs *v, struct vfs_file *f, struct bytes data,
                             struct errinfo *info)
{
    struct vfs *inner = fault_of(v)->inner;
    bool gone = fault_of(v)->fired;
    if (!fails(v))
        return inner->append(inner, f, data, info);
    if (!gone && inner->append(inner, f, bytes_first(data, data.len / 2), info) != ERR_OK)
        return failure(v, info);
    return failure(v, info);
}

static enum err fault_size(struct vfs *v, struct vfs_file *f, uint64_t *ret, struct errinfo *info)
{
    return INNER(v, size, f, ret, info);
}

static enum err fault_truncate(struct vfs *v, struct vfs_file *f, uint64_t size,
                               struct errinfo *info)
{
    return INNER(v, truncate, f, size, info);
}

static enum err fault_sync(struct vfs *v, struct vfs_file *f, struct errinfo *info)
{
    return INNER(v, sync, f, info);
}

static enum err fault_map(struct vfs *v, struct vfs_file *f, struct bytes *ret,
                          struct errinfo *info)
{
    return INNER(v, map, f, ret, info);
}

static void fault_unmap(struct vfs *v, struct bytes mapped)
{
    fault_of(v)->inner->unmap(fault_of(v)->inner, mapped);
}

static bool fault_map_failed(struct vfs *v, struct bytes mapped)
{
    return fault_of(v)->inner->map_failed(fault_of(v)->inner, mapped);
}

static enum err fault_rename(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    return INNER(v, rename, from, to, info);
}

static enum err fault_remove(struct vfs *v, const char *path, struct errinfo *info)
{
    return INNER(v, remove, path, info);
}

static enum err fault_link(struct vfs *v, const char *from, const char *to, struct errinfo *info)
{
    return INNER(v, link, from, to, info);
}

static enum err fault_space(struct vfs *v, const char *path, uint64_t *ret_free,
                            uint64_t *ret_total, struct errinfo *info)
{
    return INNER(v, space, path, ret_free, ret_total, info);
}

static enum err fault_make_dir(struct vfs *v, const char *path, struct errinfo *info)
{
    return INNER(v, make_dir, path, info);
}

static enum err fault_sync_dir(struct vfs *v, const char *path, struct errinfo *info)
{
    return INNER(v, sync_dir, path, info);
}

static enum err fault_list(struct vfs *v, const char *path, void *self,
                           enum err (*on_name)(void *self, const char *name), struct errinfo *info)
{
    return INNER(v, list, path, self, on_name, info);
}

static enum err fault_lock(struct vfs *v, const char *path, struct vfs_file **ret,
                           struct errinfo *info)
{
    return INNER(v, lock, path, ret, info);
}

static enum err fault_lock_shared(struct vfs *v, const char *path, struct vfs_file **ret,
                                  struct errinfo *info)
{
    return INNER(v, lock_shared, path, ret, info);
}

static void fault_unlock(struct vfs *v, struct vfs_file *f)
{
    fault_of(v)->inner->unlock(fault_of(v)->inner, f);
}

void vfs_fault_init(struct vfs_fault *f, struct vfs *inner, unsigned nth, enum err code,
                    enum vfs_fault_then then)
{
    *f = (struct vfs_fault){.inner = inner, .left = nth, .code = code, .then = then};
    f->vfs = (struct vfs){.open = fault_open,
                          .close = fault_close,
                          .read_at = fault_read_at,
                          .append = fault_append,
                          .size = fault_size,
                          .truncate = fault_truncate,
                          .sync = fault_sync,
                          .map = fault_map,
                          .unmap = fault_unmap,
                          .map_failed = fault_map_failed,
                          .rename = fault_rename,
                          .remove = fault_remove,
                          .link = fault_link,
                          .space = fault_space,
                          .make_dir = fault_make_dir,
                          .sync_dir = fault_sync_dir,
                          .list = fault_list,
                          .lock = fault_lock,
                          .lock_shared = fault_lock_shared,
                          .unlock = fault_unlock};
}
