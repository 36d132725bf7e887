/* output_file.c - see output_file.h */
#include "api/main/output_file.h"

#include <stdio.h>
#include <string.h>

static enum err on_name(void *self, const char *name)
{
    (void)self;
    (void)name;
    return ERR_CANCELED; /* it lists: that is all there is to know */
}

static bool is_folder(struct vfs *vfs, const char *path)
{
    enum err rc = vfs->list(vfs, path, NULL, on_name, NULL);
    return rc == ERR_OK || rc == ERR_CANCELED;
}

enum err output_file_open(struct vfs *vfs, const char *path, struct output_file *ret,
                          struct errinfo *info)
{
    *ret = (struct output_file){.vfs = vfs};
    if (path == NULL || strcmp(path, "-") == 0)
        return ERR_OK;
    if (is_folder(vfs, path))
        return err_set(info, ERR_MALFORMED, "--output %s: is a folder, expected a file", path);
    int len = snprintf(ret->part, sizeof(ret->part), "%s.part", path);
    if (len < 0 || (size_t)len >= sizeof(ret->part))
        return err_set(info, ERR_LIMIT, "--output: the name is too long");
    enum err rc = vfs->remove(vfs, ret->part, NULL); /* of a run that was cut short */
    if (rc != ERR_OK && rc != ERR_NOTFOUND)
        return err_set(info, rc, "%s: cannot be replaced", ret->part);
    TRY(vfs->open(vfs, ret->part, VFS_CREATE, &ret->file, info));
    ret->part_exists = true;
    ret->path = path;
    return ERR_OK;
}

enum err output_file_write(void *self, struct bytes piece)
{
    struct output_file *o = self;
    o->written += piece.len;
    if (o->file != NULL)
        return o->vfs->append(o->vfs, o->file, piece, NULL);
    return fwrite(piece.data, 1, piece.len, stdout) == piece.len ? ERR_OK : ERR_IO;
}

enum err output_file_finish(struct output_file *o, struct errinfo *info)
{
    if (o->file == NULL)
        return fflush(stdout) == 0 ? ERR_OK : err_set(info, ERR_IO, "standard output: not written");
    TRY(o->vfs->sync(o->vfs, o->file, info));
    o->vfs->close(o->vfs, o->file);
    o->file = NULL;
    TRY(o->vfs->rename(o->vfs, o->part, o->path, info));
    o->part_exists = false;
    return ERR_OK;
}

void output_file_close(struct output_file *o)
{
    if (o->file != NULL)
        o->vfs->close(o->vfs, o->file);
    o->file = NULL;
    if (o->part_exists && o->vfs->remove(o->vfs, o->part, NULL) != ERR_OK)
        (void)fprintf(stderr, "hearth: %s is left behind\n", o->part);
    o->part_exists = false;
}
