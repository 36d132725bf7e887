/* selection.h - what a question is about: rows of a project, the windows of them that count, and
 * how much of the truth that covers.
 *
 * A selection is made in two steps. selection_make finds rows (index only, no blocks are read).
 * selection_visit then reads them one by one, cuts every sample to its windows and hands the
 * pieces to a visitor; what cannot be read is counted in the coverage, never dropped silently.
 *
 * What is selected
 *  - With profiler ids or profile ids: the chunks of these profilers and these transaction
 *    profiles. Without any: all chunks and all transaction profiles of the project.
 *  - Every other condition narrows: environment, release, platform (any of the values given),
 *    threads (ids), the window [start, end).
 *  - transaction, trace_id: transaction profiles with that name and trace; chunks only where a
 *    link (a stored span or transaction that names its profiler) says so: its profiler, its thread
 *    (all threads when it names none), its [start, end). A transaction name matches the links of
 *    segments, a trace id those of all spans. Windows that overlap are united, so nothing counts
 *    twice.
 *
 * What counts
 *  Per profile and thread, in time order: sample i weighs t(i+1) - t(i) nanoseconds, clipped to
 *  the windows; it counts as one sample when its own time lies in a window; the last one of a
 *  thread in a profile only closes the one before. A row is found when it has a moment in a
 *  window: start_ns < window end and end_ns >= window start.
 *
 * Owns:    memory in the arena given (and a table of threads: selection_destroy). The snapshot is
 *          borrowed and outlives the selection.
 * Threads: one at a time; visits touch the disk: pool threads only.
 * Units:   nanoseconds since 1970 UTC; windows are half-open.
 * Errors:  ERR_LIMIT, ERR_BUSY, ERR_NOMEM from memory, ERR_CANCELED; what finding rows fails with;
 *          rows and blocks that are damaged are not errors but left out.
 * Cost:    make is O(profilers of the project + answer), or O(log rows + answer) with ids; a
 *          visit is O(samples) a row.
 */
#ifndef HEARTH_ENGINE_SELECTION_H
#define HEARTH_ENGINE_SELECTION_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/intern.h"
#include "base/limits.h"
#include "engine/id_map.h"
#include "engine/sample_order.h"
#include "engine/span.h"
#include "storage/tree.h"

struct selection_ids {
    const struct uuid *ids;
    size_t count;
};
struct selection_texts {
    const struct bytes *texts;
    size_t count;
};
/* Whether `text` is one of them; none accept everything. */
bool selection_texts_accept(struct selection_texts texts, struct bytes text);

/* Borrowed while the selection lives. Zeroes mean "no such condition", but window.end_ns 0 with
 * has_end false is the end of time, likewise start. */
struct selection_request {
    uint64_t project_id;
    struct selection_ids profiler_ids;
    struct selection_ids profile_ids;
    bool has_start;
    bool has_end;
    struct span_ns window;
    struct selection_texts threads;
    struct selection_texts environments;
    struct selection_texts releases;
    struct selection_texts platforms;
    struct bytes transaction; /* data NULL: any */
    bool has_trace_id;
    struct uuid trace_id;
    bool chunks_only; /* no transaction profiles */
};

/* What of it is about tags, for snapshot_filter_create; texts are the request's. */
struct filter_request selection_conditions(const struct selection_request *q);

struct selection_window {
    int64_t start_ns;
    int64_t end_ns;
    struct bytes thread; /* data NULL: every thread */
};

/* Windows of a row: those for every thread first, then by thread, each group by start; no moment
 * of a thread lies in two of them. */
struct selection_row {
    row_id id;               /* its facts: selection_describe */
    struct uuid profile_id;  /* chunk_id or profile_id */
    struct uuid profiler_id; /* nil for transaction profiles */
    int64_t start_ns;
    int64_t end_ns;
    const struct selection_window *windows;
    uint32_t window_count;
    uint32_t linked; /* profiler of the links that led here; PROFILE_NONE: none did */
    uint32_t sample_count;
    uint32_t thread_count; /* with samples */
    enum profile_kind kind;
    bool used; /* known after the visit */
};

struct left_out {
    const char *what; /* "chunks", "profiles", "spans", "gaps" */
    const char *reason;
    uint64_t count;
};

/* All but the found counts are known after a visit. found = used + what left_out says. */
struct coverage {
    uint64_t chunks_found;
    uint64_t chunks_used;
    uint64_t profiles_found;
    uint64_t profiles_used;
    uint64_t samples;  /* counted ones */
    uint64_t total_ns; /* sum of all weights, idle ones too */
    uint64_t threads;  /* distinct (id, name) with a sample or weight */
    bool any;          /* first and last mean something */
    int64_t first_ns;  /* first and last moment of all weights */
    int64_t last_ns;
    /* Samples a second of their whole weights, over all that a window reaches: the mean rate of
     * one thread, however little a window keeps of them; 0 when nothing weighs. */
    double effective_hz;
    /* Parts of the window that no used row covers; a missing bound of the window is that of the
     * rows found. With links: parts of their windows that no row of their profiler covers.
     * Of more than GAP_COUNT_MAX the longest; left_out counts the others. */
    const struct span_ns *gaps;
    size_t gap_count;
    struct left_out left_out[LEFT_OUT_MAX];
    size_t left_out_count;
};

struct selection_links;

struct selection {
    const struct snapshot *snapshot;
    const struct selection_request *request;
    struct arena *arena;
    struct selection_row *rows; /* by (start, id, profiler) */
    size_t row_count;
    /* Found, but what describes them cannot be read: whether their tags, or the time of one asked
     * for by its id, would have let them in is not known. Not among the rows; a visit counts them
     * as left out. */
    uint64_t chunks_unreadable;
    uint64_t profiles_unreadable;
    struct coverage coverage;
    /* one entry a distinct (thread id, thread name) that a visit met; see selection_thread */
    struct intern threads;
    struct selection_links *links; /* NULL when no link was asked for */
    bool again; /* a visit failed because a segment is damaged: without it the next may succeed */
};

enum err selection_make(const struct snapshot *snap, const struct selection_request *request,
                        struct arena *arena, struct selection **ret,
                        struct errinfo *info) MUST_CHECK;
void selection_destroy(struct selection *s); /* NULL is fine */

/* A run of time in which one sample holds. Pieces come in document order; a sample has as many as
 * windows it reaches into. */
struct selection_piece {
    uint32_t sample;
    uint32_t counted; /* 1: the sample's own time lies in this window, else 0 */
    int64_t start_ns;
    int64_t end_ns; /* >= start_ns */
};

struct selection_part {
    const struct selection_row *row;
    const struct profile *profile; /* checked: every index in range */
    const struct selection_piece *pieces;
    size_t piece_count;
    /* selection_visit_whole, a row that nothing cuts: its samples by thread, in time order, and no
     * pieces. NULL: pieces say all. */
    const struct sample_order *order;
    /* For each thread of the profile its number among all (id, name) pairs of the selection;
     * PROFILE_NONE for those without a piece. */
    const uint32_t *thread_numbers;
    struct arena *scratch; /* goes after the call */
};

/* ERR_OK goes on, anything else ends the visit. */
typedef enum err (*selection_visitor)(void *self, const struct selection_part *part,
                                      struct errinfo *info);

/* Read all rows in order; fills in the coverage. Calling it again starts over. */
enum err selection_visit(struct selection *s, const atomic_bool *canceled,
                         selection_visitor visitor, void *self, struct errinfo *info) MUST_CHECK;
/* The same for visitors that take the samples of rows that nothing cuts as they are. */
enum err selection_visit_whole(struct selection *s, const atomic_bool *canceled,
                               selection_visitor visitor, void *self,
                               struct errinfo *info) MUST_CHECK;

/* Rows that the store has summed already (storage/tree.h): whole ones that lie in sealed segments. */
struct selection_tree {
    const struct snapshot *snapshot;
    uint32_t part; /* whose numbers nodes are */
    const struct tree_sum *sum;
    /* The number of a thread of the part among all (id, name) pairs; those of the sum are known. */
    const struct id_map *thread_numbers;
};
typedef enum err (*selection_tree_visitor)(void *self, const struct selection_tree *tree,
                                           struct errinfo *info);

/* As selection_visit_whole, but rows that can be are handed to `trees` as sums, a list for many,
 * before the others. `by_thread`: every list tells threads apart. */
enum err selection_visit_trees(struct selection *s, const atomic_bool *canceled, bool by_thread,
                               selection_visitor visitor, selection_tree_visitor trees, void *self,
                               struct errinfo *info) MUST_CHECK;

/* Coverage from the index alone, without reading a block: every row found counts as used, samples
 * are all of its samples, first and last those of the rows, threads the most that one row has, and
 * the rate assumes that every thread lasts as long as its row. */
enum err selection_survey(struct selection *s, struct errinfo *info) MUST_CHECK;

/* What is stored about one of the rows. After a visit or survey: when it cannot be read (any more),
 * *ret_known is false and the coverage counts the row as left out. */
enum err selection_describe(struct selection *s, struct selection_row *row, struct row *ret,
                            bool *ret_known, struct errinfo *info) MUST_CHECK;

/* Failures of reading that are about one row: it is left out, and the question goes on. */
bool selection_is_damage(enum err rc);

/* Id and name of thread number `n`; views until the next visit. */
void selection_thread(const struct selection *s, uint32_t n, struct bytes *ret_id,
                      struct bytes *ret_name);

/* "chunks_found=4, chunks_used=3, ..., left_out=1, chunks_unreadable=1": the counts as one line of
 * ASCII, for answers whose format has no room for the rest. */
#define COVERAGE_TEXT_SIZE 512
size_t coverage_print(const struct coverage *c, char text[COVERAGE_TEXT_SIZE]);

/* Say that `count` of `what` are not in the answer; equal words are summed. */
void coverage_leave_out(struct coverage *c, const char *what, const char *reason, uint64_t count);
/* What damaged segments of the window held: it is in no answer. Known for certain after the finding. */
void coverage_leave_out_damaged(struct coverage *c, const struct snapshot *snap,
                                const struct selection_request *q);
/* Take over the gaps, ascending, as many as GAP_COUNT_MAX lets in. The spans are put into another
 * order and must live as long as the coverage. */
enum err coverage_set_gaps(struct coverage *c, struct span_list gaps,
                           struct mem_account *account) MUST_CHECK;

#endif
