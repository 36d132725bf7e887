/* vfs_fault.h - a disk whose n-th call fails, over any other one.
 *
 * Counted are the calls that can fail for the world's reasons; an append that fails has written
 * half of its bytes.
 */
#ifndef HEARTH_TESTS_SUPPORT_VFS_FAULT_H
#define HEARTH_TESTS_SUPPORT_VFS_FAULT_H

#include "storage/vfs.h"

enum vfs_fault_then {
    FAULT_ONCE,   /* only that call */
    FAULT_FOREVER /* and all after it: the power is gone, or the device */
};

struct vfs_fault {
    struct vfs vfs;
    struct vfs *inner;
    unsigned left; /* calls until the failure; 0: none comes */
    enum err code;
    enum vfs_fault_then then;
    bool fired;
};

/* `nth` counts from 1; 0 never fails. Must not move. */
void vfs_fault_init(struct vfs_fault *f, struct vfs *inner, unsigned nth, enum err code,
                    enum vfs_fault_then then);

#endif
