/* snql_groups.h - rows with equal keys share a number: what BY, LIMIT BY and distinct counting of
 * rows need.
 *
 * Groups are numbered from 0 in the order they are first seen. NULL equals NULL and NaN equals NaN
 * here; without keys all rows are one group.
 *
 * Owns:    the keys of every group, copied into the arena given to create, texts too.
 * Threads: one at a time.
 * Errors:  ERR_BUSY, ERR_LIMIT, ERR_NOMEM from the arena; ERR_LIMIT beyond 2^32 - 2 groups.
 * Cost:    O(keys) a row on average, and an equal share of their size for a group.
 */
#ifndef HEARTH_ENGINE_SNQL_GROUPS_H
#define HEARTH_ENGINE_SNQL_GROUPS_H

#include "engine/snql_column.h"

struct snql_groups;

enum err snql_groups_create(size_t key_count, struct arena *arena,
                            struct snql_groups **ret) MUST_CHECK;
/* The group of each of `rows` rows of the keys. `scratch`: for the call alone. */
enum err snql_groups_add(struct snql_groups *g, const struct snql_column *keys, size_t rows,
                         struct arena *scratch, uint32_t *ret_groups) MUST_CHECK;
uint32_t snql_groups_count(const struct snql_groups *g);
/* Key number `key` of all groups, in their order. `type`: what it is when there are no groups. */
enum err snql_groups_key(const struct snql_groups *g, size_t key, struct snql_type type,
                         struct snql_column *ret) MUST_CHECK;

/* A column whose values live in `arena` themselves: texts are copied. Rows as gather. */
enum err snql_column_keep(const struct snql_column *c, const uint32_t *rows, size_t count,
                          struct arena *arena, struct snql_column *ret) MUST_CHECK;

#endif
