/* json_shape.h - write a stored JSON object as a fixed set of fields, in slices.
 *
 * Documents keep parts that nobody queries as they were sent. What is given back has known fields
 * only, in known types: unknown keys, values of another type and nulls are dropped, empty ones too
 * where the field says so, and fields that must be there get their empty value.
 *
 * Owns:   nothing; the text is borrowed and was checked to be JSON when it was stored.
 * Errors: ERR_CORRUPT when the text is no object after all; else those of the buffers.
 * Cost:   O(text), each step about one field.
 */
#ifndef HEARTH_ENGINE_JSON_SHAPE_H
#define HEARTH_ENGINE_JSON_SHAPE_H

#include "base/json_writer.h"
#include "engine/json_reader.h"

enum shape_kind {
    SHAPE_TEXT,
    SHAPE_U64, /* also as decimal text; what does not fit is dropped */
    SHAPE_DOUBLE,
    SHAPE_BOOL,   /* false is not empty: written whenever it is there */
    SHAPE_TIME,   /* RFC 3339, written as time_text_put does */
    SHAPE_RAW,    /* any value, as it stands */
    SHAPE_OBJECT, /* of `fields` */
    SHAPE_LIST,   /* of objects of `fields` */
    SHAPE_MAP,    /* any key: objects of `fields` */
    SHAPE_TEXTS   /* any key: texts */
};

struct shape_field {
    const char *key;    /* NULL ends a list of fields */
    const char *absent; /* JSON when there is nothing to write; NULL: the key is left out then */
    enum shape_kind kind;
    const struct shape_field *fields;
};

#define SHAPE_DEPTH_MAX  8  /* the deepest shape has 5 levels */
#define SHAPE_FIELDS_MAX 64 /* one bit each */

struct shape_level {
    const struct shape_field *fields;
    enum shape_kind kind; /* OBJECT, LIST, MAP or TEXTS */
    bool inside;          /* the object was begun by the caller, who also ends it */
    uint64_t seen;
};

struct shape_writer {
    struct json_reader reader;
    struct bytes raw; /* what is left of a SHAPE_RAW value */
    unsigned depth;   /* 0: done */
    struct shape_level levels[SHAPE_DEPTH_MAX];
};

/* Write the fields of the object `text` (empty: {}) into the object that `json` has open. */
void shape_start_fields(struct shape_writer *w, const struct shape_field *fields,
                        struct bytes text);
/* Write a value of its own: `text` as MAP of `fields`. */
void shape_start_map(struct shape_writer *w, const struct shape_field *fields, struct bytes text,
                     struct json_writer *json);
/* One step; done when w->depth is 0. `scratch` is for texts with escapes. */
enum err shape_step(struct shape_writer *w, struct json_writer *json,
                    struct buffer *scratch) MUST_CHECK;

/* A moment as RFC 3339 in its own offset: T and Z upper case, fraction without trailing zeros, Z
 * for an offset of zero or none. Text that is no moment gives the zero time. */
#define TIME_TEXT_ZERO "0001-01-01T00:00:00Z"
void time_text_put(struct json_writer *json, struct bytes text);

#endif
