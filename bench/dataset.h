/* dataset.h - seeded synthetic profiles of any size, shaped like those that SDKs send.
 *
 * A dataset is one program: its frames, stacks and threads. Its n-th chunk of a profiler is a
 * function of (seed, profiler, n) alone.
 *
 * Owns:   all columns; a chunk is valid until the next one is made.
 * Errors: out of memory ends the program: no benchmark can go on.
 */
#ifndef HEARTH_BENCH_DATASET_H
#define HEARTH_BENCH_DATASET_H

#include "base/arena.h"
#include "base/buffer.h"
#include "storage/profile.h"

#define DATASET_START_S 1795336832 /* where chunk 0 starts, unix seconds */

struct dataset_shape {
    unsigned threads;
    unsigned lasting; /* threads that live through the chunk; the others end one after another */
    unsigned hz;
    double seconds; /* of a chunk */
    unsigned stacks;
    unsigned frames;
    unsigned depth;   /* of stacks, on average */
    unsigned changes; /* of 1000 samples of a thread, how many have another stack than before */
};

/* What sentry-sdk recorded of a threaded shop in a minute: 12 threads, most of them waiting. */
extern const struct dataset_shape dataset_python;
/* The same with every thread at work: 2000 stacks, a third of the samples in a new one. */
extern const struct dataset_shape dataset_busy;
/* Lifecycle trace: a chunk a request, each under a profiler of its own. */
extern const struct dataset_shape dataset_trace;

struct dataset;

struct dataset *dataset_create(const struct dataset_shape *shape, uint64_t seed);
void dataset_destroy(struct dataset *d); /* NULL is fine */
/* The n-th chunk, in project 1. */
struct profile *dataset_chunk(struct dataset *d, struct uuid profiler_id, uint64_t n);
struct uuid dataset_profiler(uint64_t seed, uint64_t n);
/* The chunk as an SDK's JSON (sample format v2). */
void dataset_write_json(const struct profile *p, struct buffer *out);
/* That JSON in an envelope with one profile_chunk item. */
void dataset_write_envelope(const struct profile *p, struct buffer *out);

#endif
