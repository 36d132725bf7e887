/* http_encoding.h - content codings of answers: which one, and doing it.
 *
 * Owns:    the compressor's memory, reserved from the account (an estimate: the libraries' own).
 * Threads: pool threads, one at a time.
 * Errors:  ERR_NOMEM, and those of buffers.
 */
#ifndef HEARTH_API_HTTP_ENCODING_H
#define HEARTH_API_HTTP_ENCODING_H

#include "base/buffer.h"

enum http_coding { HTTP_CODING_IDENTITY, HTTP_CODING_GZIP, HTTP_CODING_ZSTD };

/* zstd before gzip when the client accepts both; q=0 refuses, "*" is not understood. */
enum http_coding http_coding_choose(struct bytes accept_encoding);
const char *http_coding_name(enum http_coding coding); /* NULL for identity */
/* Whether an answer of that type gets smaller at all. */
bool http_coding_pays(const char *content_type);

struct http_encoder;

enum err http_encoder_create(enum http_coding coding, struct mem_account *account,
                             struct http_encoder **ret) MUST_CHECK;
/* Appends to out; with `last` everything is flushed. */
enum err http_encoder_feed(struct http_encoder *e, struct bytes in, bool last,
                           struct buffer *out) MUST_CHECK;
void http_encoder_destroy(struct http_encoder *e); /* NULL is fine */

#endif
