/* json_reader.h - JSON read straight down: the caller pulls what it expects, no tree is built.
 *
 * Strict RFC 8259 and UTF-8: no byte order mark, no leading zeros, no trailing commas, nothing
 * after the value, at most JSON_DEPTH_MAX levels. An escaped lone surrogate reads as U+FFFD.
 *
 * Owns:   nothing. Text and scratch are borrowed; strings are views into the text, or into the
 *         scratch when they hold escapes, and then live until the next string or key is read.
 * Errors: the first failure sticks in `failed` and everything after it reads as empty, zero or "no
 *         more", so a caller reads on and checks once (json_end). ERR_MALFORMED comes with
 *         "offset N: expected ..." in `info`; the scratch adds ERR_BUSY, ERR_LIMIT, ERR_NOMEM.
 * Cost:   O(bytes), one look at each; skipping keeps no state but a bit a level.
 *
 *     json_enter_object(&r);
 *     while (json_next_key(&r, &keys, &key))
 *         switch (key) {
 *         case KEY_NAME: name = json_read_string(&r); break;
 *         default:       json_skip(&r);
 *         }
 *     TRY(json_end(&r));
 */
#ifndef HEARTH_ENGINE_JSON_READER_H
#define HEARTH_ENGINE_JSON_READER_H

#include "base/buffer.h"

enum json_type {
    JSON_NONE, /* not the start of a value: the end of the text, or a syntax error to come */
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_reader {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    struct buffer *scratch;
    struct errinfo *info;
    unsigned depth;
    bool first; /* nothing of the innermost object or array was read yet */
    enum err failed;
};

/* `scratch` is for strings with escapes; its ceiling bounds them. `info` may be NULL. */
void json_reader_init(struct json_reader *r, struct bytes text, struct buffer *scratch,
                      struct errinfo *info);
/* Fail here: "offset N: expected <what>". The first failure of a reader stays. */
void json_fail(struct json_reader *r, enum err code, const char *expected);
/* The same at an earlier place of the text. */
void json_fail_at(struct json_reader *r, const uint8_t *where, enum err code, const char *expected);
/* Nothing but blanks may be left; the reader's verdict. */
enum err json_end(struct json_reader *r) MUST_CHECK;
/* Bytes read so far. */
static inline size_t json_offset(const struct json_reader *r)
{
    return (size_t)(r->at - r->start);
}

/* What comes next; blanks before it are skipped. */
enum json_type json_peek(struct json_reader *r);

/* ---- objects and arrays ---- */

/* The keys an object is known to have. Objects of one list mostly repeat their keys in one order:
 * the key that followed last time is tried first, without looking for the end of the string. */
#define JSON_KEYS_MAX    48
#define JSON_KEY_UNKNOWN (-1)

struct json_keys {
    const struct bytes *names;
    int count;                        /* <= JSON_KEYS_MAX */
    int previous;                     /* JSON_KEY_UNKNOWN at the start of an object */
    uint8_t after[JSON_KEYS_MAX + 1]; /* [previous + 1]: which key came next the last time */
};

void json_keys_init(struct json_keys *k, const struct bytes *names, int count);

void json_enter_object(struct json_reader *r);
/* True with a key, the reader before its value; false at the end of the object or on failure. */
bool json_next_key(struct json_reader *r, struct json_keys *keys, int *ret_key);
/* The same for keys that are data: the text of the key. */
bool json_next_member(struct json_reader *r, struct bytes *ret_name);
/* Begin an object with known keys. */
void json_enter_keys(struct json_reader *r, struct json_keys *keys);

void json_enter_array(struct json_reader *r);
bool json_next_element(struct json_reader *r);

/* ---- values ---- */

struct bytes json_read_string(struct json_reader *r);
bool json_read_bool(struct json_reader *r);
/* True, and nothing read but the null, when null comes next. */
bool json_take_null(struct json_reader *r);
/* Integers are digits alone: 1.0 and 1e3 are refused, so is what does not fit. */
uint64_t json_read_u64(struct json_reader *r);
uint32_t json_read_u32(struct json_reader *r);
int64_t json_read_i64(struct json_reader *r);
double json_read_double(struct json_reader *r);
/* The text of a number, its grammar checked. */
struct bytes json_read_number(struct json_reader *r);
/* Any value, its syntax checked to the last byte; its text as it stands, without blanks around. */
struct bytes json_skip(struct json_reader *r);

/* The value of the first `key` of the object `text` (valid JSON, as json_skip gave it); data NULL
 * when there is none or `text` is no object. Keys with escapes do not match. */
struct bytes json_find(struct bytes text, const char *key);

#endif
