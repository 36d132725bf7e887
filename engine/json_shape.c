#include "engine/json_shape.h"

#include <assert.h>

#include "base/timestamp.h"

#define RAW_PIECE_MAX 65536

/* ---- times ---- */

static size_t digits_at(struct bytes text, size_t at)
{
    size_t count = 0;
    while (at + count < text.len && text.data[at + count] >= '0' && text.data[at + count] <= '9')
        count++;
    return count;
}

static bool is_zero_offset(struct bytes offset)
{
    for (size_t i = 1; i < offset.len; i++)
        if (offset.data[i] != '0' && offset.data[i] != ':')
            return false;
    return true;
}

#define SECONDS_LEN 19 /* 2026-11-22T12:00:00 */

void time_text_put(struct json_writer *json, struct bytes text)
{
    int64_t ns;
    bool has_offset = text.len > SECONDS_LEN;
    if (!timestamp_parse_rfc3339(text, &ns) || !has_offset || digits_at(text, 0) != 4) {
        json_text(json, TIME_TEXT_ZERO);
        return;
    }
    uint8_t out[64];
    size_t len = SECONDS_LEN;
    memcpy(out, text.data, len);
    out[10] = 'T';
    size_t at = len;
    if (text.data[at] == '.') {
        size_t digits = digits_at(text, at + 1);
        at += 1 + digits;
        size_t kept = digits < 9 ? digits : 9;
        while (kept > 0 && text.data[SECONDS_LEN + kept] == '0')
            kept--;
        if (kept > 0) {
            memcpy(out + len, text.data + len, 1 + kept);
            len += 1 + kept;
        }
    }
    struct bytes offset = bytes_from(text, at);
    if (is_zero_offset(offset)) {
        out[len++] = 'Z';
    } else if (offset.len <= 6) {
        memcpy(out + len, offset.data, offset.len);
        len += offset.len;
    }
    json_string(json, bytes_of(out, len));
}

/* ---- levels ---- */

static struct shape_level *top(struct shape_writer *w)
{
    return &w->levels[w->depth - 1];
}

static void push(struct shape_writer *w, enum shape_kind kind, const struct shape_field *fields)
{
    assert(w->depth < SHAPE_DEPTH_MAX);
    w->levels[w->depth++] = (struct shape_level){.fields = fields, .kind = kind};
}

static void init(struct shape_writer *w, struct bytes text)
{
    w->depth = 0;
    w->raw = (struct bytes){NULL, 0};
    json_reader_init(&w->reader, text.len == 0 ? BYTES("{}") : text, NULL, NULL);
    json_enter_object(&w->reader);
}

void shape_start_fields(struct shape_writer *w, const struct shape_field *fields, struct bytes text)
{
    init(w, text);
    push(w, SHAPE_OBJECT, fields);
    top(w)->inside = true;
}

void shape_start_map(struct shape_writer *w, const struct shape_field *fields, struct bytes text,
                     struct json_writer *json)
{
    init(w, text);
    json_begin_object(json);
    push(w, SHAPE_MAP, fields);
}

/* ---- values ---- */

/* The list or object that the reader stands before holds nothing. */
static bool is_empty(const struct json_reader *r)
{
    for (const uint8_t *at = r->at + 1; at < r->end; at++)
        if (*at != ' ' && *at != '\t' && *at != '\r' && *at != '\n')
            return *at == ']' || *at == '}';
    return true;
}

static enum json_type json_type_of(enum shape_kind kind)
{
    switch (kind) {
    case SHAPE_TEXT:
    case SHAPE_TIME: return JSON_STRING;
    case SHAPE_U64:
    case SHAPE_DOUBLE: return JSON_NUMBER;
    case SHAPE_BOOL: return JSON_TRUE;
    case SHAPE_LIST: return JSON_ARRAY;
    case SHAPE_OBJECT:
    case SHAPE_MAP:
    case SHAPE_TEXTS: return JSON_OBJECT;
    case SHAPE_RAW: break;
    }
    return JSON_NONE;
}

static bool has_type(enum json_type type, enum shape_kind kind)
{
    if (kind == SHAPE_RAW)
        return type != JSON_NULL;
    if (kind == SHAPE_BOOL && type == JSON_FALSE)
        return true;
    if (kind == SHAPE_U64 && type == JSON_STRING)
        return true;
    return type == json_type_of(kind);
}

/* Digits only: fractions, signs and exponents are no u64. */
static bool read_u64(struct json_reader *r, enum json_type type, uint64_t *ret)
{
    struct bytes text = type == JSON_STRING ? json_read_string(r) : json_read_number(r);
    return bytes_to_u64(text, ret);
}

/* False when the value counts as none; the reader is behind it either way. */
static bool put_scalar(struct shape_writer *w, const struct shape_field *f, enum json_type type,
                       struct json_writer *json)
{
    struct json_reader *r = &w->reader;
    uint64_t number = 0;
    struct bytes text = {NULL, 0};
    if (f->kind == SHAPE_U64 && (!read_u64(r, type, &number) || number == 0))
        return false;
    if (f->kind == SHAPE_TEXT || f->kind == SHAPE_TIME) {
        text = json_read_string(r);
        if (text.len == 0)
            return false;
    }
    json_key(json, f->key);
    switch (f->kind) {
    case SHAPE_U64: json_u64(json, number); break;
    case SHAPE_TEXT: json_string(json, text); break;
    case SHAPE_TIME: time_text_put(json, text); break;
    case SHAPE_DOUBLE: json_double(json, json_read_double(r)); break;
    case SHAPE_BOOL: json_bool(json, json_read_bool(r)); break;
    case SHAPE_RAW:
        w->raw = json_skip(r);
        json_raw(json, bytes_first(w->raw, RAW_PIECE_MAX));
        w->raw = bytes_from(w->raw, RAW_PIECE_MAX);
        break;
    case SHAPE_OBJECT:
    case SHAPE_LIST:
    case SHAPE_MAP:
    case SHAPE_TEXTS: break; /* not here */
    }
    return true;
}

/* False when the key is to be left out. */
static bool enter_container(struct shape_writer *w, const struct shape_field *f,
                            struct json_writer *json)
{
    bool optional = f->absent == NULL && f->kind != SHAPE_OBJECT;
    if (optional && is_empty(&w->reader)) {
        (void)json_skip(&w->reader);
        return false;
    }
    json_key(json, f->key);
    if (f->kind == SHAPE_LIST) {
        json_enter_array(&w->reader);
        json_begin_array(json);
    } else {
        json_enter_object(&w->reader);
        json_begin_object(json);
    }
    push(w, f->kind, f->fields);
    return true;
}

static bool is_container(enum shape_kind kind)
{
    return kind == SHAPE_OBJECT || kind == SHAPE_LIST || kind == SHAPE_MAP || kind == SHAPE_TEXTS;
}

static void step_field(struct shape_writer *w, struct bytes name, struct json_writer *json)
{
    struct shape_level *level = top(w);
    unsigned i = 0;
    while (level->fields[i].key != NULL && !bytes_equal(name, bytes_of_text(level->fields[i].key)))
        i++;
    const struct shape_field *f = &level->fields[i];
    enum json_type type = json_peek(&w->reader);
    uint64_t bit = UINT64_C(1) << i;
    if (f->key == NULL || (level->seen & bit) != 0 || !has_type(type, f->kind)) {
        (void)json_skip(&w->reader);
        return;
    }
    bool written =
        is_container(f->kind) ? enter_container(w, f, json) : put_scalar(w, f, type, json);
    if (written)
        level->seen |= bit;
}

static void end_fields(struct shape_writer *w, struct json_writer *json)
{
    const struct shape_level *level = top(w);
    for (unsigned i = 0; level->fields[i].key != NULL; i++) {
        const struct shape_field *f = &level->fields[i];
        if (f->absent == NULL || (level->seen & (UINT64_C(1) << i)) != 0)
            continue;
        json_key(json, f->key);
        json_raw(json, bytes_of_text(f->absent));
    }
    if (!level->inside)
        json_end_object(json);
    w->depth--;
}

/* ---- steps ---- */

/* An element of a list or map: an object; whatever else it is gives an empty one. */
static void enter_element(struct shape_writer *w, struct json_writer *json)
{
    const struct shape_field *fields = top(w)->fields;
    json_begin_object(json);
    push(w, SHAPE_OBJECT, fields);
    if (json_peek(&w->reader) == JSON_OBJECT) {
        json_enter_object(&w->reader);
    } else {
        (void)json_skip(&w->reader);
        end_fields(w, json);
    }
}

static void put_text_element(struct shape_writer *w, struct json_writer *json)
{
    if (json_peek(&w->reader) == JSON_STRING) {
        json_string(json, json_read_string(&w->reader));
        return;
    }
    (void)json_skip(&w->reader);
    json_text(json, "");
}

static void step_map(struct shape_writer *w, struct json_writer *json)
{
    struct bytes name;
    if (!json_next_member(&w->reader, &name)) {
        json_end_object(json);
        w->depth--;
        return;
    }
    json_key_bytes(json, name);
    if (top(w)->kind == SHAPE_TEXTS)
        put_text_element(w, json);
    else
        enter_element(w, json);
}

static void step_list(struct shape_writer *w, struct json_writer *json)
{
    if (json_next_element(&w->reader)) {
        enter_element(w, json);
        return;
    }
    json_end_array(json);
    w->depth--;
}

static void step_object(struct shape_writer *w, struct json_writer *json)
{
    struct bytes name;
    if (json_next_member(&w->reader, &name))
        step_field(w, name, json);
    else
        end_fields(w, json);
}

enum err shape_step(struct shape_writer *w, struct json_writer *json, struct buffer *scratch)
{
    w->reader.scratch = scratch;
    if (w->raw.len > 0) {
        buffer_put(json->out, bytes_first(w->raw, RAW_PIECE_MAX));
        w->raw = bytes_from(w->raw, RAW_PIECE_MAX);
        return json->out->failed;
    }
    switch (top(w)->kind) {
    case SHAPE_OBJECT: step_object(w, json); break;
    case SHAPE_LIST: step_list(w, json); break;
    case SHAPE_MAP:
    case SHAPE_TEXTS: step_map(w, json); break;
    case SHAPE_TEXT:
    case SHAPE_U64:
    case SHAPE_DOUBLE:
    case SHAPE_BOOL:
    case SHAPE_TIME:
    case SHAPE_RAW: break; /* never a level */
    }
    if (w->reader.failed == ERR_MALFORMED)
        return ERR_CORRUPT;
    return w->reader.failed != ERR_OK ? w->reader.failed : json->out->failed;
}
