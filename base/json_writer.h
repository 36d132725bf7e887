/* json_writer.h - JSON out, into a bounded buffer, always well formed.
 *
 * Commas, quotes and escapes are written here; nesting is asserted. Text that is not UTF-8 has
 * each bad byte replaced by U+FFFD. A failure of the buffer sticks there and is checked at the end.
 */
#ifndef HEARTH_BASE_JSON_WRITER_H
#define HEARTH_BASE_JSON_WRITER_H

#include "base/buffer.h"
#include "base/limits.h"
#include "base/uuid.h"

struct json_writer {
    struct buffer *out;
    unsigned depth;
    uint64_t is_object; /* one bit a level */
    uint64_t has_value;
    bool after_key;
};

void json_writer_init(struct json_writer *w, struct buffer *out);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_bytes(struct json_writer *w, struct bytes key);
void json_string(struct json_writer *w, struct bytes text);
void json_text(struct json_writer *w, const char *text);
void json_u64(struct json_writer *w, uint64_t v);
void json_i64(struct json_writer *w, int64_t v);
void json_double(struct json_writer *w, double v); /* finite; otherwise null */
void json_bool(struct json_writer *w, bool v);
void json_null(struct json_writer *w);
void json_uuid(struct json_writer *w, struct uuid id);
/* One complete, already valid JSON value. */
void json_raw(struct json_writer *w, struct bytes value);
/* Nanoseconds as unix seconds with exactly the digits needed: 1795336832.3628426 */
void json_seconds(struct json_writer *w, int64_t ns);

#endif
