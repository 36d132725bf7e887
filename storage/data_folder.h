/* data_folder.h - whether a folder is one of hearth's: what commands ask before they touch it. */
#ifndef HEARTH_STORAGE_DATA_FOLDER_H
#define HEARTH_STORAGE_DATA_FOLDER_H

#include "storage/vfs.h"

/* ERR_NOTFOUND: it is missing, or no file there is hearth's. Changes nothing. O(entries). */
enum err data_folder_check(struct vfs *vfs, const char *dir, struct errinfo *info) MUST_CHECK;

#endif
