/* export_table.h - what the exports gather from profiles before they write, and what the formats
 * ask of it (export.h alone is for others). export.c fills it, a file a format reads it.
 *
 * Texts, frames and stacks are interned, so that ids are small and 0 is the empty one: text 0 is
 * "", stack 0 is idle. Which attributes make two frames one depends on the format: what the format
 * cannot show does not separate.
 */
#ifndef HEARTH_ENGINE_EXPORT_TABLE_H
#define HEARTH_ENGINE_EXPORT_TABLE_H

#include "base/arena.h"
#include "base/intern.h"
#include "base/limits.h"
#include "engine/export.h"

struct export_frame {
    uint32_t label; /* text */
    uint32_t file;  /* text */
    uint32_t line;
    uint32_t column;
};

struct export_node {
    uint32_t parent; /* stack, 0 for a root */
    uint32_t frame;
};

/* Thread ids are used again, by other profilers and by later threads: one thread is (profiler or
 * transaction profile, id, name). Where a chunk does not know the name, the id's thread goes on. */
struct export_thread {
    struct uuid group;
    uint32_t id;   /* text */
    uint32_t name; /* text, 0 unknown */
    uint32_t next; /* of the same group and id, EXPORT_NONE at the end */
};

#define EXPORT_NONE UINT32_MAX

/* Folded and pprof: one a (thread, stack); folded does not tell threads apart. */
struct export_row {
    uint32_t thread;
    uint32_t node;
};

struct export_value {
    uint64_t samples;
    uint64_t ns;
};

/* Speedscope: what one thread did in one profile, as runs of equal stacks. */
struct export_segment {
    int64_t start_ns;
    int64_t end_ns;
    uint32_t thread;
    uint32_t first_run;
    uint32_t run_count;
    uint32_t order; /* of arrival */
};

struct export_run {
    uint64_t ns;
    uint32_t node;
    uint32_t unused;
};

struct exporter {
    struct export_options options;
    struct mem_account *account;
    struct intern texts;
    struct intern frames; /* struct export_frame */
    struct intern nodes;  /* struct export_node */
    struct intern keys;   /* group and id of threads */
    struct intern rows;   /* struct export_row */
    struct buffer heads;  /* u32: first thread of each key */
    struct buffer threads;
    struct buffer values; /* struct export_value of each row; [0] belongs to no row */
    struct buffer segments;
    struct buffer runs;
    struct buffer scratch; /* a label being put together */
    struct bytes comment;  /* pprof; borrowed */
    struct buffer title;   /* copy of options.name, then options.active_thread */
    int64_t first_ns;      /* of the samples in the window; first > last: none yet */
    int64_t last_ns;
};

static inline struct export_frame export_frame_at(const struct exporter *e, uint32_t frame)
{
    struct export_frame f;
    memcpy(&f, intern_get(&e->frames, frame).data, sizeof(f));
    return f;
}

static inline struct export_node export_node_at(const struct exporter *e, uint32_t node)
{
    struct export_node n;
    memcpy(&n, intern_get(&e->nodes, node).data, sizeof(n));
    return n;
}

static inline struct export_row export_row_at(const struct exporter *e, uint32_t row)
{
    struct export_row r;
    memcpy(&r, intern_get(&e->rows, row).data, sizeof(r));
    return r;
}

static inline const struct export_value *export_values(const struct exporter *e)
{
    return (const struct export_value *)(const void *)e->values.data;
}

static inline const struct export_thread *export_threads(const struct exporter *e)
{
    return (const struct export_thread *)(const void *)e->threads.data;
}

static inline size_t export_thread_count(const struct exporter *e)
{
    return e->threads.len / sizeof(struct export_thread);
}

/* Threads in the order of answers: ranks[thread]. In `arena`. */
enum err export_rank_threads(const struct exporter *e, struct arena *arena,
                             uint32_t **ret_ranks) MUST_CHECK;
/* More than one profiler or transaction profile: names alone do not tell threads apart. */
bool export_has_groups(const struct exporter *e);
/* Name to show: the thread's, else "thread <id>"; with `group`, also where it ran. */
void export_put_thread_name(const struct exporter *e, uint32_t thread, bool group,
                            struct buffer *out);

/* The formats. `arena` is for the call. */
enum err export_write_folded(struct exporter *e, struct arena *arena,
                             struct buffer *out) MUST_CHECK;
enum err export_write_speedscope(struct exporter *e, struct arena *arena,
                                 struct buffer *out) MUST_CHECK;
enum err export_write_pprof(struct exporter *e, struct arena *arena, struct buffer *out,
                            struct errinfo *info) MUST_CHECK;

#endif
