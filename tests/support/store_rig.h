/* store_rig.h - a store on a disk in memory, closed and opened at will, for tests of the store.
 *
 * The clock stands in the first hours of 1970, where small chunks are (small_chunk.h). Every failure
 * ends the test program with a message: no test can go on without its store.
 */
#ifndef HEARTH_TESTS_SUPPORT_STORE_RIG_H
#define HEARTH_TESTS_SUPPORT_STORE_RIG_H

#include "storage/store.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

#define DAY_NS INT64_C(86400000000000)

struct store_rig {
    struct vfs_mem *disk;
    struct store_options options; /* those of the next opening */
    struct store *store;          /* NULL while it is closed */
};

struct store_rig store_rig_open(void);
void store_rig_shut(struct store_rig *r); /* the store; the files stay */
void store_rig_reopen(struct store_rig *r);
void store_rig_close(struct store_rig *r); /* all of it, and no memory is left */

/* Upkeep until there is nothing to do; one piece, of everything that waits. */
void store_rig_upkeep(struct store_rig *r);
void store_rig_one_piece(struct store_rig *r);
struct store_stats store_rig_stats(struct store_rig *r);

/* As small_chunk_append and small_chunk_find. */
void store_rig_append(struct store_rig *r, unsigned n, unsigned version);
int store_rig_find(struct store_rig *r, unsigned n);
/* A chunk of one project that begins in the day, received in another one, kept for some days. */
struct rig_chunk {
    unsigned n;
    int64_t day;
    int64_t received_day;
    uint32_t retention_days;
};
void store_rig_append_of_day(struct store_rig *r, struct rig_chunk c);
/* Link `n` of the same project; and how many links it has. */
struct link store_rig_link(unsigned n, int64_t start_ns, int64_t end_ns);
enum err store_rig_try_link(struct store_rig *r, struct link link, struct errinfo *info) MUST_CHECK;
void store_rig_append_link(struct store_rig *r, struct link link);
size_t store_rig_count_links(struct store_rig *r);

/* Another bit in that byte of a file; the same once more takes it back. */
void store_rig_flip(struct store_rig *r, const char *path, size_t at);

#endif
