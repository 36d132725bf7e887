/* small_chunk.h - numbered chunks of a few samples, to append and to find again. */
#ifndef HEARTH_TESTS_SUPPORT_SMALL_CHUNK_H
#define HEARTH_TESTS_SUPPORT_SMALL_CHUNK_H

#include "storage/store.h"

/* Chunk `n` of profiler n % 4 of project 2, at second 1000 + n; `version` makes other content. */
struct small_chunk {
    unsigned n;
    unsigned version;
};

struct uuid small_id(unsigned n);
/* Encode; the bytes are the caller's to give back with buffer_close. */
enum err small_chunk_encode(struct small_chunk c, struct buffer *out, struct errinfo *info);
enum err small_chunk_append(struct store *s, struct small_chunk c, struct errinfo *info);
/* Whether chunk n is there: -1 not, else its version, once the whole profile was read and found
 * right; -2 when it cannot be read. */
int small_chunk_find(struct snapshot *snap, unsigned n, struct errinfo *info);

#endif
