/* store_parts.h - what store.c (the writer), store_upkeep.c (sealing, merging, dropping) and
 * snapshot.c (the readers) share.
 *
 * Locks, in the order in which they may be taken
 *   writing   held by whoever changes what the store consists of: an append, or the end of a piece
 *             of upkeep
 *   lock      held for moments: which version and which open set there are, snapshots, counts
 */
#ifndef HEARTH_STORAGE_STORE_PARTS_H
#define HEARTH_STORAGE_STORE_PARTS_H

#include <pthread.h>

#include "storage/store.h"
#include "storage/version.h"

struct store {
    struct store_options options; /* dir is ours */
    struct vfs *vfs;
    char *dir;
    struct vfs_file *lock_file;

    pthread_mutex_t writing;
    /* the writer's: read and changed while `writing` is held, or by one thread before it is shared */
    struct log_file *open_log; /* NULL: the next append makes one */
    uint64_t last_sequence;
    uint64_t last_size; /* of the last log, how much counts; 0: unknown */
    bool create_failed; /* the next log's file may be there, empty */
    struct manifest manifest;
    bool manifest_unsure; /* one may be on the device that we do not go by */
    uint64_t next_number; /* of segments; ahead of the manifest's */
    uint32_t next_uid;

    pthread_mutex_t lock;
    struct version *version; /* readers take a reference under the lock */
    struct log_set *open;
    uint32_t open_uid;
    uint64_t disk_max;
    struct store_stats stats; /* what is not counted from the parts */
};

struct snapshot {
    struct store *store;
    struct version *version;
    struct log_pin pin; /* of the open set */
    struct part open;
    struct part_view *views; /* of the version's parts, then of the open set */
    size_t view_count;
    struct mem_account *account;
};

static inline uint32_t row_part(row_id id)
{
    return (uint32_t)(id >> 32);
}

static inline uint32_t row_ordinal(row_id id)
{
    return (uint32_t)id;
}

/* Nothing of the segment is served from now on; said once. */
void store_note_damaged_segment(struct store *s, struct segment *segment, const char *reason);

/* Close the open set, so that it can be sealed; nothing when it is empty. */
enum err store_close_set(struct store *s, struct errinfo *info) MUST_CHECK;

/* The row or link with the record's key in a closed part that nothing hides yet; ERR_NOTFOUND: none. */
enum err store_find_key(struct store *s, const struct record *key,
                        struct key_place *ret) MUST_CHECK;
/* Files that the manifest does not name: of pieces that did not finish, of parts that are in others. */
enum err store_remove_left_overs(struct store *s, struct errinfo *info) MUST_CHECK;

#endif
