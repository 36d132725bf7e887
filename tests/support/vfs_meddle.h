/* vfs_meddle.h - another disk, and somebody who does something to it before every call.
 *
 * What is done goes to the disk itself, so it is not meddled with. Closing and unmapping are no
 * calls in this sense.
 */
#ifndef HEARTH_TESTS_SUPPORT_VFS_MEDDLE_H
#define HEARTH_TESTS_SUPPORT_VFS_MEDDLE_H

#include "storage/vfs.h"

struct vfs_meddle {
    struct vfs vfs;
    struct vfs *inner;
    unsigned calls; /* so far, the one at hand too */
    void *self;
    void (*before)(void *self, unsigned call);
};

/* Must not move. */
void vfs_meddle_init(struct vfs_meddle *m, struct vfs *inner, void *self,
                     void (*before)(void *self, unsigned call));

#endif
