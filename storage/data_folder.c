/* data_folder.c - known by the names of its files. */
#include "storage/data_folder.h"

#include "storage/format.h"
#include "storage/log_file.h"
#include "storage/manifest.h"

static bool is_ours(struct bytes name)
{
    uint64_t number;
    return bytes_equal(name, BYTES(FORMAT_LOCK_NAME)) || bytes_equal(name, BYTES("keys.lock")) ||
           bytes_equal(name, BYTES(FORMAT_KEYS_NAME)) ||
           bytes_equal(name, BYTES(FORMAT_MANIFEST_NAME)) || segment_parse_name(name, &number) ||
           log_file_parse_name(name, &number);
}

static enum err note_name(void *self, const char *name)
{
    bool *found = self;
    *found |= is_ours(bytes_of_text(name));
    return ERR_OK;
}

enum err data_folder_check(struct vfs *vfs, const char *dir, struct errinfo *info)
{
    bool found = false;
    TRY(vfs->list(vfs, dir, &found, note_name, info));
    if (found)
        return ERR_OK;
    return err_set(info, ERR_NOTFOUND, "%s is no data folder: no file there is hearth's", dir);
}
