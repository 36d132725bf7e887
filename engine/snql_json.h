/* snql_json.h - answers and errors of queries as the query API writes them. */
#ifndef HEARTH_ENGINE_SNQL_JSON_H
#define HEARTH_ENGINE_SNQL_JSON_H

#include "engine/snql.h"

/* "data": [...], "meta": [...], and "totals": {...} where there are some: members of an object, without
 * its braces. Failure sticks in the buffer. */
void snql_json_put_answer(const struct snql_answer *a, struct buffer *out);
/* "error": {...} */
void snql_json_put_error(const struct snql_error *e, struct buffer *out);
/* The status that belongs to an error of this type and code. */
int snql_error_status(const struct snql_error *e);

#endif
