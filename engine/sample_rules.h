/* sample_rules.h - which samples of an upload stay, and what makes it worthless.
 *
 * The sample part of what Sentry's ingest server does to profiles before they are stored; the
 * order of steps decides the outcome and is kept.
 *
 * Errors: ERR_MALFORMED with the outcome and a sentence; memory as profile_columns.
 * Cost:   O(samples), O(n log n) when they come unsorted.
 */
#ifndef HEARTH_ENGINE_SAMPLE_RULES_H
#define HEARTH_ENGINE_SAMPLE_RULES_H

#include "engine/ingest.h"
#include "engine/profile_columns.h"

/* A chunk: threads with fewer than two samples that have a stack go, the rest is sorted. */
enum err sample_rules_chunk(struct profile_columns *c, enum ingest_outcome *ret_outcome,
                            struct errinfo *info) MUST_CHECK;
/* A transaction profile: only what lies in [start_ns, end_ns] (unless end_ns is 0), without the
 * idle samples at both ends of a thread and without threads of one sample. */
enum err sample_rules_profile(struct profile_columns *c, uint64_t start_ns, uint64_t end_ns,
                              enum ingest_outcome *ret_outcome, struct errinfo *info) MUST_CHECK;

#endif
