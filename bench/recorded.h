/* recorded.h - a chunk as sentry-sdk sent it from a threaded shop: 12 threads, a minute.
 *
 * From the recordings beside the checkout, else the (shorter) one among the tests' data, else a
 * synthetic one of the same shape.
 */
#ifndef HEARTH_BENCH_RECORDED_H
#define HEARTH_BENCH_RECORDED_H

#include "base/buffer.h"

/* The envelope, inflated. Returns where it came from. */
const char *recorded_envelope(uint64_t seed, struct buffer *out);
/* The payload of its profile_chunk item. */
struct bytes recorded_payload(struct bytes envelope);
/* gzip at the level SDKs use; appended to `out`. */
void recorded_compress(struct bytes text, struct buffer *out);
/* Decompress a whole gzip stream into `to`; returns the length. */
size_t recorded_inflate(struct bytes gzip, uint8_t *to, size_t room);

#endif
