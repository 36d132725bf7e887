/* vfs_crash.h - a disk in memory that loses power at the n-th call: that call and all later ones
 * fail; then vfs_crash_power_cut leaves what a device may hold.
 */
#ifndef HEARTH_TESTS_SUPPORT_VFS_CRASH_H
#define HEARTH_TESTS_SUPPORT_VFS_CRASH_H

#include "tests/support/vfs_fault.h"
#include "tests/support/vfs_mem.h"

struct vfs_crash {
    struct vfs_fault fault;
    struct vfs_mem *disk;
    struct rng rng;
};

/* `nth` 0: no failure until the power cut. Must not move. Use `&c->fault.vfs`. */
void vfs_crash_init(struct vfs_crash *c, unsigned nth, uint64_t seed);
/* True when the n-th call was reached. The disk works again afterwards. */
bool vfs_crash_power_cut(struct vfs_crash *c);
void vfs_crash_close(struct vfs_crash *c);

#endif
