/* document.h - a stored profile as vroom's raw endpoints write it.
 *
 * The document is normalised as old ingestion did (frames, Python and Cocoa trimming, idle gaps)
 * and then written field by field, in slices, so that an answer never needs the whole text in
 * memory.
 */
#ifndef HEARTH_ENGINE_DOCUMENT_H
#define HEARTH_ENGINE_DOCUMENT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "storage/profile.h"

/* A normalised copy; unchanged columns are shared with `p`. All new memory is in the arena. */
enum err normalize_profile(const struct profile *p, struct arena *arena, struct profile *ret,
                           struct errinfo *info) MUST_CHECK;

struct document_writer;
/* `p` and the arena outlive the writer; the writer lives in the arena. */
enum err document_writer_create(const struct profile *p, struct arena *arena,
                                struct document_writer **ret) MUST_CHECK;
/* Appends about `want` bytes (at least one field, sample or frame more); *ret_done after the last. */
enum err document_writer_next(struct document_writer *w, size_t want, struct buffer *out,
                              bool *ret_done) MUST_CHECK;

#endif
