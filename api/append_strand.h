/* append_strand.h - the one thread that writes: takes what is waiting, appends it as one batch,
 * syncs once, and hands every upload back to its loop.
 *
 * Threads: submit from any loop.
 * Errors:  a failed batch fails all its jobs with the same code and text.
 * Memory:  nothing of its own but a list of views; records stay with who submitted them.
 */
#ifndef HEARTH_API_APPEND_STRAND_H
#define HEARTH_API_APPEND_STRAND_H

#include "api/mailbox.h"
#include "base/bytes.h"
#include "storage/store.h"

struct metrics;
struct append_strand;

struct append_job {
    struct mail mail; /* on_mail is set by who submits */
    struct mailbox *mailbox;
    const struct bytes *records;
    size_t record_count;
    struct append_job *next;
    enum err rc; /* known when on_mail runs */
    struct errinfo info;
};

/* sync_interval_ms: 0 never (batches sync themselves, or nobody does). */
enum err append_strand_create(struct store *store, struct metrics *metrics,
                              unsigned sync_interval_ms, struct append_strand **ret) MUST_CHECK;
void append_strand_submit(struct append_strand *s, struct append_job *job);
/* Writes what is waiting, then ends the thread. NULL is fine. */
void append_strand_destroy(struct append_strand *s);

#endif
