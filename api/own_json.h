/* own_json.h - answers of the own API as JSON; the commands print the same.
 *
 * Times are unix seconds with exactly the digits they need (read them as decimals to keep the
 * nanoseconds), weights whole nanoseconds. Absent texts and lines are null. A failure sticks in
 * the writer's buffer.
 */
#ifndef HEARTH_API_OWN_JSON_H
#define HEARTH_API_OWN_JSON_H

#include "base/json_writer.h"
#include "engine/flamechart.h"
#include "engine/flamegraph.h"
#include "engine/functions.h"
#include "engine/transactions.h"
#include "engine/usage.h"

void own_json_u64(struct json_writer *w, const char *key, uint64_t v);
/* Text or null. */
void own_json_text(struct json_writer *w, const char *key, struct bytes text);
void own_json_time(struct json_writer *w, const char *key, int64_t ns);
/* "coverage": {...} */
void own_json_coverage(struct json_writer *w, const struct coverage *c);
void own_json_frame(struct json_writer *w, const struct flamegraph_frame *f);
void own_json_flamechart(struct json_writer *w, const struct flamechart *f,
                         const struct coverage *c);
void own_json_usage(struct json_writer *w, const struct usage *u, const struct coverage *c);
/* The first `limit`; what is left over is added to the coverage. */
void own_json_functions(struct json_writer *w, const struct flamegraph *g,
                        const struct function_figures *list, size_t count, size_t limit,
                        struct coverage *c);

/* A flame graph is written in pieces, so that a large one needs no room as text. */
struct flamegraph_json {
    const struct flamegraph *graph;
    const struct coverage *coverage;
    bool separate;
    struct json_writer writer;
    unsigned step; /* what comes next: flamegraph_json_next */
    unsigned column;
    size_t tree;
    size_t at;
};

void flamegraph_json_init(struct flamegraph_json *j, const struct flamegraph *g, bool separate,
                          const struct coverage *c);
/* Appends about `want` bytes; *ret_done with the last ones. */
enum err flamegraph_json_next(struct flamegraph_json *j, size_t want, struct buffer *out,
                              bool *ret_done) MUST_CHECK;

#endif
