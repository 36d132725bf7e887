/* vfs_mem.h - a disk in memory that remembers what was synced, for tests.
 *
 * A power cut leaves of every file what was synced, and of each later write all, nothing or a torn
 * part; of each later creation, removal or renaming all or nothing. A file that grew while the
 * write in between was lost has zeros there.
 *
 * Uses malloc, not base/mem: a test that fails allocations means those of the product.
 * Threads: as vfs.h says; one lock.
 */
#ifndef HEARTH_TESTS_SUPPORT_VFS_MEM_H
#define HEARTH_TESTS_SUPPORT_VFS_MEM_H

#include "storage/vfs.h"
#include "tests/support/rng.h"

#define VFS_MEM_SIZE (UINT64_C(1) << 40)

struct vfs_mem;

struct vfs_mem *vfs_mem_create(void);
void vfs_mem_destroy(struct vfs_mem *m);
struct vfs *vfs_mem_vfs(struct vfs_mem *m);

/* Every open file is dead afterwards: closing is all that may be done with it; locks are gone. */
void vfs_mem_power_cut(struct vfs_mem *m, struct rng *rng);
/* As it is now, a process that ends without the machine ending. */
void vfs_mem_kill(struct vfs_mem *m);

/* Make a file with these bytes, synced; it may exist. */
void vfs_mem_put(struct vfs_mem *m, const char *path, struct bytes content);
/* The bytes of a file until the next change; {0} when there is none. */
struct bytes vfs_mem_get(struct vfs_mem *m, const char *path);
size_t vfs_mem_file_count(struct vfs_mem *m);
/* Bytes all files together may take before appends give ERR_NOSPACE, and the size of the device;
 * 0: no limit, and the device has VFS_MEM_SIZE. */
void vfs_mem_set_space(struct vfs_mem *m, uint64_t bytes);
/* What map_failed says of every mapping; false at first. */
void vfs_mem_set_maps_failed(struct vfs_mem *m, bool failed);

#endif
