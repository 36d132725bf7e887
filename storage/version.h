/* version.h - the parts that a store is made of at one moment: closed log sets and segments, and
 * which of their rows are hidden because a later arrival elsewhere has their key.
 *
 * Immutable and counted. A change makes another version; readers keep theirs. Together with the
 * open log set a version is everything: no two visible rows have one key.
 *
 * Owns:    a reference of each part, and its own copy of the hidden lists.
 * Threads: any; making one is the writer's.
 */
#ifndef HEARTH_STORAGE_VERSION_H
#define HEARTH_STORAGE_VERSION_H

#include "storage/part.h"

/* A sealed file that cannot be used. It stays in the manifest and on the disk until its time is over,
 * as its rows would have. */
struct part_aside {
    uint64_t number;
    uint64_t size;
    int64_t start_ns;
    int64_t end_ns;
    int64_t expires_ns;
};

struct version {
    atomic_uint references;
    struct part *parts; /* log sets before segments, each oldest first */
    size_t count;
    struct part_aside *aside;
    size_t aside_count;
};

enum err version_create(size_t part_count, size_t aside_count, struct version **ret) MUST_CHECK;
struct version *version_acquire(struct version *v);
void version_release(struct version *v); /* NULL is fine */
/* A copy of `from` in place `at`: references and lists. ERR_NOMEM: nothing happened. */
enum err version_put_part(struct version *v, size_t at, const struct part *from) MUST_CHECK;
struct part *version_find(const struct version *v, uint32_t uid); /* or NULL */

#endif
