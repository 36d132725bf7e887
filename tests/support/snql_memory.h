/* snql_memory.h - the tables of SnQL in memory, filled with rows as JSON lines: what queries are
 * tested against without a store.
 *
 * A line is an object with a member per column; DateTime64 counts microseconds, UUIDs have hyphens.
 * Of rows with one identity the last one wins; `functions` is made of `functions_raw`, hour by hour.
 */
#ifndef HEARTH_TESTS_SUPPORT_SNQL_MEMORY_H
#define HEARTH_TESTS_SUPPORT_SNQL_MEMORY_H

#ifdef HEARTH_HAVE_YYJSON

#include "engine/snql.h"

struct snql_memory;

/* Every failure ends the test program with a message. */
struct snql_memory *snql_memory_create(void);
void snql_memory_destroy(struct snql_memory *m);
void snql_memory_load(struct snql_memory *m, enum snql_table table, struct bytes lines);
/* Once everything is loaded. How many rows a batch has: small ones find what is kept between them. */
void snql_memory_finish(struct snql_memory *m, size_t batch_rows);
struct snql_catalog snql_memory_catalog(struct snql_memory *m);
size_t snql_memory_rows(const struct snql_memory *m, enum snql_table table);

#endif
#endif
