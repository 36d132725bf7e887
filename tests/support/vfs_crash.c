#include "tests/support/vfs_crash.h"

void vfs_crash_init(struct vfs_crash *c, unsigned nth, uint64_t seed)
{
    c->disk = vfs_mem_create();
    c->rng = rng_seeded(seed);
    vfs_fault_init(&c->fault, vfs_mem_vfs(c->disk), nth, ERR_IO, FAULT_FOREVER);
}

bool vfs_crash_power_cut(struct vfs_crash *c)
{
    bool fired = c->fault.fired;
    vfs_mem_power_cut(c->disk, &c->rng);
    vfs_fault_init(&c->fault, vfs_mem_vfs(c->disk), 0, ERR_IO, FAULT_FOREVER);
    return fired;
}

void vfs_crash_close(struct vfs_crash *c)
{
    vfs_mem_destroy(c->disk);
}
