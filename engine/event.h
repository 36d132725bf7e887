/* event.h - what transactions and spans say about profiles: who ran where, and when.
 *
 * Reads transaction items (their trace context and spans) and span items, streamed in containers
 * or alone. Whatever is not of the expected type counts as missing; only broken JSON is an error.
 *
 * Owns:   nothing; texts are copied into the caller's arena.
 * Errors: ERR_MALFORMED with the offset; memory as arena and buffer.
 * Cost:   one pass; memory follows the spans that name a profiler.
 */
#ifndef HEARTH_ENGINE_EVENT_H
#define HEARTH_ENGINE_EVENT_H

#include "base/arena.h"
#include "storage/store.h"

/* A transaction. Texts are empty when missing. */
struct event {
    struct link link; /* of the transaction itself; project_id is not set */
    bool has_event_id;
    struct uuid event_id;
    struct bytes dist;
    struct bytes sdk_name;
    struct bytes sdk_version;
    struct bytes segment_id; /* its root span's id, 16 digits */
};

/* Called for every span that names a profiler. `link` lives for the call. */
typedef enum err (*event_on_link)(void *self, const struct link *link);

/* `spans` gets struct link, their texts in the arena, for spans that name a profiler. */
enum err event_read_transaction(struct bytes json, struct arena *arena, struct event *ret,
                                struct buffer *spans, struct errinfo *info) MUST_CHECK;
/* {"version":2,"items":[...]} */
enum err event_read_spans(struct bytes json, struct mem_account *account, void *self,
                          event_on_link on_link, struct errinfo *info) MUST_CHECK;
/* One span by itself. */
enum err event_read_span(struct bytes json, struct mem_account *account, void *self,
                         event_on_link on_link, struct errinfo *info) MUST_CHECK;
/* Sum of all quantities of a client report. */
enum err event_read_report(struct bytes json, struct mem_account *account, uint64_t *ret_discards,
                           struct errinfo *info) MUST_CHECK;

#endif
