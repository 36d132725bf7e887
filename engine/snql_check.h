/* snql_check.h - from a parsed query to a resolved one, or why it is refused before it runs.
 *
 * In this order: sources and their names; aliases (replaced by what they stand for, recursively; the
 * alias of a call hides a column everywhere but in its own definition; two meanings and circles are
 * refused); columns of the answer and their names; toDateTime('...') and texts compared with ids;
 * and for entities: columns, mandatory conditions, time range, aggregates in WHERE, LIKE. Limits:
 * LIMIT at most 10,000, nothing negative; LIMIT gets its default.
 *
 * Owns:    what it makes is in the arena; it changes the tree it is given.
 * Errors:  ERR_MALFORMED with the type and text of the refusal.
 * Cost:    O(nodes after replacement), which has a ceiling: base/limits.h.
 */
#ifndef HEARTH_ENGINE_SNQL_CHECK_H
#define HEARTH_ENGINE_SNQL_CHECK_H

#include "base/arena.h"
#include "engine/snql_schema.h"

enum err snql_check(struct snql_query *q, struct bytes text, struct arena *arena,
                    struct snql_error *error) MUST_CHECK;

#endif
