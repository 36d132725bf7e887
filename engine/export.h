/* export.h - selections of samples in formats of other tools: folded, speedscope, pprof.
 *
 * Rows of all formats: per thread (ids that are unsigned numbers by value, then the others by
 * bytes), samples by time, the last one of a thread in a profile only closes. Chunk times are
 * rounded to the nearest microsecond first, offsets of transaction profiles are exact.
 *
 * Owns:  its tables; profiles are borrowed for the call of exporter_add.
 * Cost:  O(samples + windows * log samples); memory follows distinct stacks (folded, pprof) or runs (speedscope), counted
 *        against the account.
 */
#ifndef HEARTH_ENGINE_EXPORT_H
#define HEARTH_ENGINE_EXPORT_H

#include "base/buffer.h"
#include "storage/profile.h"

enum export_format { EXPORT_FOLDED, EXPORT_SPEEDSCOPE, EXPORT_PPROF };
enum export_unit { EXPORT_SAMPLES, EXPORT_MICROSECONDS };

struct export_options {
    enum export_format format;
    enum export_unit unit;      /* folded only */
    struct bytes name;          /* speedscope: title */
    struct bytes active_thread; /* speedscope: data NULL for none */
};

struct export_window {
    struct bytes thread; /* data NULL: all of them */
    int64_t start_ns;
    int64_t end_ns;
};

struct exporter;

enum err exporter_create(const struct export_options *options, struct mem_account *account,
                         struct exporter **ret) MUST_CHECK;
/* Samples of one profile; [start_ns, end_ns) clips weights (INT64_MIN/MAX: all of it). Windows of a
 * thread ascend and are disjoint. A document with bad
 * indices in these threads adds nothing. */
enum err exporter_add(struct exporter *e, const struct profile *p,
                      const struct export_window *windows, size_t count,
                      struct errinfo *info) MUST_CHECK;
/* A line about the file for formats that have room for one (pprof); borrowed until the finish. */
void exporter_comment(struct exporter *e, struct bytes comment);
/* pprof is gzipped. */
enum err exporter_finish(struct exporter *e, struct buffer *out, struct errinfo *info) MUST_CHECK;
void exporter_destroy(struct exporter *e);
const char *export_content_type(enum export_format format);
const char *export_file_suffix(enum export_format format);

#endif
