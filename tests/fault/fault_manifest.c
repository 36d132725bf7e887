/* fault_manifest.c - whatever fails while a manifest is replaced, the old one is there or the new
 * one, whole; and the new one once that was said. */
#include <criterion/criterion.h>

#include "tests/support/random_manifest.h"
#include "tests/support/scale.h"
#include "tests/support/vfs_crash.h"

#define WRITES 4 /* one after another; the first one finds none */

struct history {
    struct manifest m[1 + WRITES]; /* 0: none was written yet */
};

static void history_init(struct history *h, struct rng *rng)
{
    for (size_t i = 1; i <= WRITES; i++) {
        random_manifest(rng, rng_below(rng, 6), &h->m[i]);
        h->m[i].generation = i;
    }
}

static void history_close(struct history *h)
{
    for (size_t i = 1; i <= WRITES; i++)
        manifest_close(&h->m[i]);
}

/* Which one of them is on the disk. */
static size_t found(struct vfs *v, const struct history *h, unsigned nth)
{
    struct manifest m;
    struct errinfo info = {0};
    enum err rc = manifest_read(v, "/d", &m, &info);
    if (rc == ERR_NOTFOUND)
        return 0;
    cr_assert_eq(rc, ERR_OK, "call %u: %s", nth, info.text);
    size_t generation = m.generation;
    cr_assert(generation >= 1 && generation <= WRITES, "call %u", nth);
    cr_assert(manifest_is_equal(&m, &h->m[generation]), "call %u: %zu is not whole", nth,
              generation);
    manifest_close(&m);
    return generation;
}

static bool has_left_over(struct vfs_mem *disk)
{
    return vfs_mem_get(disk, "/d/manifest.new").data != NULL;
}

/* One call fails, the machine goes on. */
static void sweep_single_failures(struct rng *rng, enum err code, bool left_over)
{
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        struct vfs_mem *disk = vfs_mem_create();
        struct vfs_fault fault;
        struct history h;
        size_t now = 0;
        history_init(&h, rng);
        if (left_over)
            vfs_mem_put(disk, "/d/manifest.new", BYTES("half a mani"));
        vfs_fault_init(&fault, vfs_mem_vfs(disk), nth, code, FAULT_ONCE);
        for (size_t i = 1; i <= WRITES; i++) {
            struct errinfo info = {0};
            bool before = fault.fired;
            enum err rc = manifest_write(&fault.vfs, "/d", &h.m[i], &info);
            bool failed = fault.fired && !before;
            size_t after = found(vfs_mem_vfs(disk), &h, nth);
            cr_assert(rc == ERR_OK ? after == i : after == i || after == now,
                      "call %u: %zu after %zu, writing %zu: %s", nth, after, now, i, info.text);
            cr_assert_eq(rc, failed ? code : ERR_OK, "call %u: %s", nth, info.text);
            cr_assert_eq(info.text[0] != '\0', failed, "call %u", nth);
            now = after;
        }
        fired = fault.fired;
        fault.left = 0;
        cr_assert_eq(manifest_write(&fault.vfs, "/d", &h.m[WRITES], NULL), ERR_OK, "call %u", nth);
        cr_assert_eq(found(vfs_mem_vfs(disk), &h, nth), WRITES, "call %u", nth);
        cr_assert_not(has_left_over(disk), "call %u", nth);
        history_close(&h);
        vfs_mem_destroy(disk);
        cr_assert_eq(mem_outstanding(), 0);
    }
}

Test(fault_manifest, a_single_failed_call_leaves_the_old_one_or_the_new_one)
{
    struct rng rng = test_rng();
    for (int left_over = 0; left_over < 2; left_over++) {
        sweep_single_failures(&rng, ERR_IO, left_over);
        sweep_single_failures(&rng, ERR_NOSPACE, left_over);
    }
}

Test(fault_manifest, a_power_cut_at_any_call_leaves_the_old_one_or_the_new_one)
{
    struct rng rng = test_rng();
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        fired = 0;
        for (unsigned round = 0; round < test_scale(20); round++) {
            struct vfs_crash disk;
            struct history h;
            size_t acked = 0;
            size_t tried = 0;
            history_init(&h, &rng);
            vfs_crash_init(&disk, nth, rng_u64(&rng));
            for (tried = 1; tried < WRITES; tried++) {
                if (manifest_write(&disk.fault.vfs, "/d", &h.m[tried], NULL) != ERR_OK)
                    break;
                acked = tried;
            }
            fired |= vfs_crash_power_cut(&disk);
            size_t after = found(&disk.fault.vfs, &h, nth);
            cr_assert(after == acked || after == tried, "call %u: %zu, acknowledged %zu", nth,
                      after, acked);
            cr_assert(after != WRITES, "call %u: never written", nth);
            struct errinfo info = {0};
            cr_assert_eq(manifest_write(&disk.fault.vfs, "/d", &h.m[WRITES], &info), ERR_OK,
                         "call %u: %s", nth, info.text);
            (void)vfs_crash_power_cut(&disk);
            cr_assert_eq(found(&disk.fault.vfs, &h, nth), WRITES, "call %u", nth);
            vfs_crash_close(&disk);
            history_close(&h);
            cr_assert_eq(mem_outstanding(), 0);
        }
    }
}

Test(fault_manifest, a_full_disk_keeps_the_old_one)
{
    struct rng rng = test_rng();
    struct history h;
    struct vfs_mem *disk = vfs_mem_create();
    struct vfs *v = vfs_mem_vfs(disk);
    history_init(&h, &rng);
    cr_assert_eq(manifest_write(v, "/d", &h.m[1], NULL), ERR_OK);
    uint64_t size = vfs_mem_get(disk, "/d/manifest").len;
    vfs_mem_set_space(disk, size + 40);
    cr_assert_eq(manifest_write(v, "/d", &h.m[2], NULL), ERR_NOSPACE);
    cr_assert_eq(found(v, &h, 0), 1);
    cr_assert_not(has_left_over(disk), "half of it takes no room");
    vfs_mem_set_space(disk, 0);
    cr_assert_eq(manifest_write(v, "/d", &h.m[2], NULL), ERR_OK);
    cr_assert_eq(found(v, &h, 0), 2);
    history_close(&h);
    vfs_mem_destroy(disk);
}

Test(fault_manifest, a_failing_read_is_told)
{
    struct rng rng = test_rng();
    struct vfs_mem *disk = vfs_mem_create();
    struct manifest m;
    random_manifest(&rng, 3, &m);
    cr_assert_eq(manifest_write(vfs_mem_vfs(disk), "/d", &m, NULL), ERR_OK);
    for (unsigned nth = 1, fired = 1; fired; nth++) {
        struct vfs_fault fault;
        struct manifest back;
        vfs_fault_init(&fault, vfs_mem_vfs(disk), nth, ERR_IO, FAULT_ONCE);
        enum err rc = manifest_read(&fault.vfs, "/d", &back, NULL);
        fired = fault.fired;
        cr_assert_eq(rc, fired ? ERR_IO : ERR_OK, "call %u", nth);
        if (rc == ERR_OK)
            manifest_close(&back);
    }
    manifest_close(&m);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}
