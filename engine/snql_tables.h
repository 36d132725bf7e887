/* snql_tables.h - the tables of SnQL as views of the store: nothing is kept for queries that is not
 * kept anyway.
 *
 *   profile_chunks   a row for each chunk
 *   profiles         a row for each transaction profile; what only its document says (device, version
 *                    code) costs reading the block, and only where a query names it
 *   functions_raw    a row for each function of each profile, by the rules of engine/function_rows.h
 *   functions        the same, united hour by hour
 *
 * Ranges of the plan are answered from the interval index; without profilers, those of the projects
 * are gone through one by one.
 *
 * Owns:    what it gives lives in the arena; texts as long as the snapshot.
 * Threads: one.
 * Errors:  ERR_CORRUPT when an index of the store says so.
 * Cost:    O(ranges * log rows + rows found), functions besides the samples of the rows found.
 */
#ifndef HEARTH_ENGINE_SNQL_TABLES_H
#define HEARTH_ENGINE_SNQL_TABLES_H

#include "engine/snql.h"

/* `snap` is borrowed and outlives the answers. */
struct snql_catalog snql_store_catalog(const struct snapshot *snap);

#endif
