/* transactions.h - the transactions of a project by name: profiles of them, and spans that lead
 * into continuous profiles.
 *
 * Owns:   the list lives in the arena; texts are the snapshot's.
 * Errors: ERR_LIMIT, ERR_BUSY, ERR_NOMEM; ERR_CANCELED.
 * Cost:   O(profiles and links in the window).
 */
#ifndef HEARTH_ENGINE_TRANSACTIONS_H
#define HEARTH_ENGINE_TRANSACTIONS_H

#include "engine/selection.h"

struct transaction_example {
    bool is_profile;         /* a transaction profile; else a link */
    struct uuid profile_id;  /* profiles */
    struct uuid profiler_id; /* links */
    struct bytes thread_id;  /* links; "" for all threads */
    struct uuid trace_id;
    int64_t start_ns;
    int64_t end_ns;
};

struct transaction_group {
    struct bytes name;
    uint64_t profile_count;
    uint64_t link_count;
    int64_t first_ns;                                          /* earliest start */
    int64_t last_ns;                                           /* latest end */
    struct transaction_example examples[TRANSACTION_EXAMPLES]; /* latest start first */
    size_t example_count;
};

/* Most frequent first, then by name. */
struct transaction_list {
    const struct transaction_group *groups;
    size_t count;
    uint64_t profiles_unreadable; /* in no group: what describes them is damaged */
};

/* The request's project, window, ids, tags, transaction and trace narrow it, threads those of
 * links. Links count when they are segments and name a profiler. `canceled` NULL: never. */
enum err transactions_list(const struct snapshot *snap, const struct selection_request *request,
                           const atomic_bool *canceled, struct arena *arena,
                           struct transaction_list *ret, struct errinfo *info) MUST_CHECK;

#endif
