/* timestamp.h - moments as text and as exact nanoseconds since 1970 UTC. */
#ifndef HEARTH_BASE_TIMESTAMP_H
#define HEARTH_BASE_TIMESTAMP_H

#include "base/bytes.h"

#define TIMESTAMP_TEXT_SIZE 40

/* RFC 3339 with any offset and up to nine fractional digits (more are cut); 'T', 't' or a blank. */
bool timestamp_parse_rfc3339(struct bytes text, int64_t *ret_ns);
/* "1795336832.362842600": unix seconds, optional sign, optional fraction; digits beyond nine are
 * refused unless 0. Never through a double. */
bool timestamp_parse_seconds(struct bytes text, int64_t *ret_ns);
/* Either of the two: what the own API accepts as a time. */
bool timestamp_parse(struct bytes text, int64_t *ret_ns);
/* UTC, 'Z', fraction without trailing zeros, none when zero. Returns the length. */
size_t timestamp_print_rfc3339(int64_t ns, char text[TIMESTAMP_TEXT_SIZE]);
/* trunc(seconds * 1e9) in binary64: "chunk nanoseconds". False when negative or beyond int64. */
bool timestamp_from_double(double seconds, int64_t *ret_ns);

#endif
