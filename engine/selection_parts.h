/* selection_parts.h - what the files about visits of a selection share. */
#ifndef HEARTH_ENGINE_SELECTION_PARTS_H
#define HEARTH_ENGINE_SELECTION_PARTS_H

#include "engine/selection.h"

/* What a visitor takes. */
struct visit_kind {
    bool takes_whole;             /* rows that nothing cuts without pieces */
    selection_tree_visitor trees; /* and, when they are summed already, their sums; NULL: not */
    bool by_thread;
};

/* Where a thread stands in the two lists of windows that concern it. */
struct cursor {
    bool wanted;
    bool touched; /* has a piece */
    uint32_t all; /* next window for every thread */
    uint32_t own; /* next window for this thread alone */
    uint32_t own_end;
};

struct visit {
    struct selection *s;
    struct buffer pieces; /* struct selection_piece */
    struct buffer key;    /* of the thread table */
    struct arena scratch;
    const struct profile *profile;
    const struct selection_row *row;
    uint32_t all_end; /* windows for every thread are [0, all_end) */
    struct cursor *cursors;
    bool takes_whole;          /* rows that nothing cuts need no pieces */
    struct sample_order order; /* of such a row */
    uint64_t reached;          /* samples with a piece */
    uint64_t reached_ns;       /* their weights, uncut */
    struct errinfo *info;
};

/* A row that lies in one window for every thread: nothing to cut. */
static inline bool row_is_uncut(const struct selection_row *row)
{
    return row->window_count == 1 && row->windows[0].thread.data == NULL &&
           row->windows[0].start_ns <= row->start_ns && row->end_ns < row->windows[0].end_ns;
}

static inline bool is_canceled(const atomic_bool *canceled)
{
    return canceled != NULL && atomic_load_explicit(canceled, memory_order_relaxed);
}

/* The number of a thread's (id, name) in the selection's table. */
enum err visit_number(struct visit *v, struct bytes id, struct bytes name,
                      uint32_t *ret) MUST_CHECK;
/* Of a row that cannot be read. */
void leave_out_row(struct selection *s, const struct selection_row *row, const char *reason,
                   const char *why);
void use_row(struct selection *s, struct selection_row *row);

/* Rows that the store can sum go to kind->trees; taken[row] becomes 1 for each. */
enum err visit_sums(struct visit *v, const atomic_bool *canceled, const struct visit_kind *kind,
                    void *self, uint8_t *taken) MUST_CHECK;

/* coverage.gaps and what belongs to them, once `used` is known of every row. */
enum err selection_find_gaps(struct selection *s) MUST_CHECK;

#endif
