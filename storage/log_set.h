/* log_set.h - a run of consecutive logs and the index of all that is in them: what becomes
 * segments at once.
 *
 * The open set takes appends. When it is full it is closed, and another is begun; a closed one does
 * not change any more, except that blocks are found damaged.
 *
 * Owns:    its logs and their index. Counted: the last release closes the logs, and removes their
 *          files when the set was retired (it is in segments then).
 * Threads: adding logs and appending: the writer. Reading: any.
 * Cost:    reading a block is one read of the file.
 */
#ifndef HEARTH_STORAGE_LOG_SET_H
#define HEARTH_STORAGE_LOG_SET_H

#include <stdatomic.h>

#include "storage/log_file.h"
#include "storage/log_index.h"
#include "storage/stable_array.h"

struct log_set {
    atomic_uint references;
    atomic_bool retired;
    struct vfs *vfs; /* borrowed */
    const char *dir; /* borrowed */
    struct log_index *index;
    struct stable_array logs; /* struct log_file *, as the index counts them */
    uint32_t log_count;
    uint64_t disk_bytes;    /* of its logs */
    uint64_t first_arrival; /* of its first row and its first link */
    bool has_damage;        /* not all that is in the files is in the index */
};

enum err log_set_create(struct vfs *vfs, const char *dir, struct mem_budget *budget,
                        uint64_t first_arrival, struct log_set **ret) MUST_CHECK;
struct log_set *log_set_acquire(struct log_set *s);
void log_set_release(struct log_set *s); /* NULL is fine */
/* Files go with the last release; those that hold damage are renamed to *.damaged instead. */
void log_set_retire(struct log_set *s);

/* Reserved room for one more; adding cannot fail then. */
enum err log_set_reserve(struct log_set *s) MUST_CHECK;
void log_set_add(struct log_set *s, struct log_file *log); /* takes it over */
static inline struct log_file *log_set_log(const struct log_set *s, uint32_t at)
{
    return *(struct log_file **)stable_array_at(&s->logs, at);
}

/* Read and verify a row's block; `p` comes with what the row says. */
enum err log_set_read_profile(const struct log_set *s, struct log_place place, struct arena *arena,
                              struct profile *p, struct errinfo *info) MUST_CHECK;

#endif
