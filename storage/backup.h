/* backup.h - a data folder as it is at one moment, in another folder, while a server writes to it.
 *
 * No lock is taken and the server is not asked, so that it neither waits nor can be kept from
 * starting. The copy is a data folder like any other: a store opened there has all that was
 * acknowledged before backup_run was called, and of what came meanwhile a beginning.
 *
 * How
 *  1. read the manifest;
 *  2. give every segment that it names a second name in the copy (vfs->link), or open it where that
 *     cannot be; open every log behind sealed_through, and find how far each has whole batches;
 *  3. read the manifest again. When its generation is another one, keep the segments that it
 *     still names and go back to 1;
 *  4. copy the logs up to there, segments that have no second name, and `keys`; sync them, and the
 *     folder;
 *  5. write the manifest of step 1 into the copy.
 *
 * Why that is right
 *  - Generations rise with every change, so in between steps 1 and 3 one manifest was in force. A
 *    segment or log is removed only after a manifest that does not need it is on the device
 *    (store_upkeep.c, invariant 1): so all files of steps 1 and 2 were there. Where one was not, the
 *    manifest has changed, and step 3 sees it. Numbers of segments are not used again. Files that a
 *    starting server removes are named by no manifest, or logs that are sealed.
 *  - A segment does not change once a manifest names it. What was opened stays readable after its
 *    name is gone, so step 4 may take its time.
 *  - A row that was acknowledged before is in a segment of the manifest, or in a log behind
 *    sealed_through, which the listing of step 2 shows, since it was there before it began. Its
 *    batch was written before it was acknowledged, so it is among the whole ones.
 *  - A log with a successor does not change. Of the last one, bytes of whole batches stay as they are,
 *    with one exception: an append whose sync failed is cut off again, and was not acknowledged. Then
 *    the copy ends early, and all is done again. (Bytes behind whole batches may be an append
 *    under way, or one that failed and is overwritten by the next: they are not copied.) A log that
 *    begins after the listing is missing in the copy; everything in it came later.
 *  - The manifest hides rows that others replace. Those others were appended before it was written,
 *    so they are in a segment that it names or in a log that is copied. What rows of logs hide is
 *    found again when the copy is opened.
 *  - Until step 5 something stands in place of the manifest that no store opens: a copy that broke
 *    off is refused, not served in part.
 *
 * Durability. The files are read through the kernel, which knows what was written whether or not it
 * is synced: with every --durability the copy holds what was acknowledged, and is itself on the device
 * when backup_run returns.
 *
 * A second name is the same bytes on the device: it protects from removal, not from a bad disk.
 *
 * Errors:  what failed, with its file; the folder then holds nothing, or a copy that is refused, or,
 *          when only the last sync of step 5 failed, a whole one. ERR_MALFORMED: the target
 *          is not empty. ERR_NOTFOUND: the source is no data folder. ERR_BUSY: the source did not keep still for any of BACKUP_TRIES_MAX tries.
 *          ERR_CORRUPT, ERR_UNSUPPORTED: its manifest cannot be read.
 * Cost:    O(segments) names, bytes of the logs that are not sealed; an open file a segment where
 *          there are no links.
 */
#ifndef HEARTH_STORAGE_BACKUP_H
#define HEARTH_STORAGE_BACKUP_H

#include "storage/vfs.h"

struct backup_options {
    struct vfs *vfs;
    const char *from;
    const char *to; /* empty, or made; the folder above is there */
    bool copy;      /* segments too, also where they could be linked */
    void *self;
    /* Now and then; false: ERR_CANCELED. NULL: never. */
    bool (*on_progress)(void *self, uint64_t bytes_done, uint64_t bytes_total);
};

struct backup_result {
    uint64_t generation; /* of the manifest; 0: the folder was never sealed */
    uint64_t linked;     /* segments */
    uint64_t copied;
    uint64_t logs;
    uint64_t bytes;   /* of all files but the manifest, linked ones too */
    uint64_t missing; /* segments that the manifest names and that are not there: not in the copy */
};

enum err backup_run(const struct backup_options *options, struct backup_result *ret,
                    struct errinfo *info) MUST_CHECK;

#endif
