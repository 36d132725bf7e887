/* snql_error.h - why a query is refused, in the terms of the query API: one of its error types, for
 * those of the engine a code, and a text for people.
 *
 * Functions of engine/snql_* that can refuse a query return enum err and fill a snql_error on
 * failure: ERR_MALFORMED stands for whatever is wrong with the query, ERR_LIMIT for a budget, others
 * (ERR_NOMEM, ERR_CORRUPT, ERR_CANCELED...) are what they are everywhere, and `type` is INTERNAL.
 * Statuses that belong to types and codes: docs/snql.md.
 */
#ifndef HEARTH_ENGINE_SNQL_ERROR_H
#define HEARTH_ENGINE_SNQL_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum snql_error_type {
    SNQL_ERROR_INTERNAL = 0,
    SNQL_ERROR_JSON,
    SNQL_ERROR_SCHEMA,
    SNQL_ERROR_DATASET,
    SNQL_ERROR_INVALID_QUERY,
    SNQL_ERROR_TOO_LONG,
    SNQL_ERROR_ENGINE /* "clickhouse": `code` says which */
};

/* ClickHouse's numbers for what its engine refuses. */
enum snql_code {
    SNQL_CODE_NONE = 0,
    SNQL_CODE_CANNOT_PARSE_TEXT = 6,
    SNQL_CODE_OUT_OF_BOUND = 12,
    SNQL_CODE_CANNOT_PARSE_DATETIME = 41,
    SNQL_CODE_ARGUMENT_COUNT = 42,
    SNQL_CODE_ILLEGAL_ARGUMENT = 43,
    SNQL_CODE_UNKNOWN_FUNCTION = 46,
    SNQL_CODE_UNKNOWN_IDENTIFIER = 47,
    SNQL_CODE_TYPE_MISMATCH = 53,
    SNQL_CODE_INDEX_OF_TUPLE = 69,
    SNQL_CODE_SAMPLING = 141,
    SNQL_CODE_ILLEGAL_DIVISION = 153,
    SNQL_CODE_TIMEOUT = 159,
    SNQL_CODE_ILLEGAL_AGGREGATION = 184,
    SNQL_CODE_NOT_AN_AGGREGATE = 215,
    SNQL_CODE_MEMORY = 241,
    SNQL_CODE_NO_COMMON_TYPE = 386,
    SNQL_CODE_CANNOT_COMPILE_REGEXP = 427
};

#define SNQL_NO_OFFSET SIZE_MAX

struct snql_error {
    enum snql_error_type type;
    enum snql_code code;
    size_t offset;        /* byte of the query's text that it is about; SNQL_NO_OFFSET: none */
    const char *expected; /* of the parser: what could have stood there; else NULL */
    struct errinfo info;  /* the message */
};

/* Fill the error: INVALID_QUERY, or the engine's with a code. */
void snql_error_write(struct snql_error *e, const char *format, ...) PRINTF_LIKE(2, 3);
void snql_error_write_code(struct snql_error *e, enum snql_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The same, and ERR_MALFORMED: `return snql_refuse(error, "...")`. Macros, so that whoever reads the
 * code, the linter too, sees that a refusal is never ERR_OK. */
/* NOLINTBEGIN(readability-identifier-naming): used as functions are */
#define snql_refuse(e, ...) (snql_error_write((e), __VA_ARGS__), ERR_MALFORMED)
#define snql_refuse_code(e, code, ...) \
    (snql_error_write_code((e), (code), __VA_ARGS__), ERR_MALFORMED)
/* NOLINTEND(readability-identifier-naming) */

#endif
