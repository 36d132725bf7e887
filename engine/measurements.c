#include "engine/measurements.h"

#include "base/json_writer.h"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))

static void once(struct json_reader *r, uint64_t *seen, int key)
{
    if (key < 0)
        return;
    uint64_t bit = UINT64_C(1) << key;
    if ((*seen & bit) != 0)
        json_fail(r, ERR_MALFORMED, "a key only once");
    *seen |= bit;
}

static void require(struct json_reader *r, uint64_t seen, int key, const char *expected)
{
    if (((seen >> key) & 1) == 0)
        json_fail(r, ERR_MALFORMED, expected);
}

static bool is_unit(struct bytes unit)
{
    static const struct bytes units[] = {BYTES("nanosecond"), BYTES("ns"),   BYTES("hertz"),
                                         BYTES("hz"),         BYTES("byte"), BYTES("percent"),
                                         BYTES("nanojoule"),  BYTES("nj")};
    for (int i = 0; i < COUNT_OF(units); i++)
        if (bytes_equal(units[i], unit))
            return true;
    return false;
}

/* A number, or a text that is one, is written as number. */
static void copy_number(struct json_reader *r, struct json_writer *w)
{
    if (json_peek(r) == JSON_NUMBER) {
        json_raw(w, json_read_number(r));
        return;
    }
    const uint8_t *at = r->at;
    struct bytes text = json_read_string(r);
    struct json_reader inner;
    json_reader_init(&inner, text, NULL, NULL);
    (void)json_read_number(&inner);
    if (json_end(&inner) != ERR_OK)
        json_fail_at(r, at, ERR_MALFORMED, "a number, or a text that is one");
    if (r->failed == ERR_OK)
        json_raw(w, bytes_trim(text));
}

/* {"elapsed_since_start_ns" or "timestamp": ..., "value": ...} */
static void copy_measurement_value(struct json_reader *r, struct json_writer *w,
                                   struct json_keys *keys)
{
    uint64_t seen = 0;
    int key;
    json_enter_keys(r, keys);
    json_begin_object(w);
    while (json_next_key(r, keys, &key)) {
        once(r, &seen, key);
        if (key < 0) {
            (void)json_skip(r);
            continue;
        }
        json_key_bytes(w, keys->names[key]);
        copy_number(r, w);
        if (r->failed != ERR_OK)
            return;
    }
    json_end_object(w);
    require(r, seen, 0, "a measured value with its time");
    require(r, seen, 1, "a measured value");
}

static void copy_measurement(struct json_reader *r, enum profile_kind kind, struct json_writer *w)
{
    static const struct bytes names[] = {BYTES("unit"), BYTES("values")};
    static const struct bytes chunk_names[] = {BYTES("timestamp"), BYTES("value")};
    static const struct bytes profile_names[] = {BYTES("elapsed_since_start_ns"), BYTES("value")};
    struct json_keys keys, value_keys;
    json_keys_init(&keys, names, COUNT_OF(names));
    json_keys_init(&value_keys, kind == PROFILE_CHUNK ? chunk_names : profile_names, 2);
    uint64_t seen = 0;
    int key;
    json_enter_keys(r, &keys);
    json_begin_object(w);
    while (json_next_key(r, &keys, &key)) {
        once(r, &seen, key);
        if (key == 0) {
            struct bytes unit = json_read_string(r);
            if (!is_unit(unit))
                json_fail(r, ERR_MALFORMED, "a unit such as \"nanosecond\" before here");
            json_key(w, "unit");
            json_string(w, unit);
        } else if (key == 1) {
            json_key(w, "values");
            json_begin_array(w);
            json_enter_array(r);
            while (json_next_element(r))
                copy_measurement_value(r, w, &value_keys);
            if (r->failed != ERR_OK)
                return;
            json_end_array(w);
        } else {
            (void)json_skip(r);
        }
        if (r->failed != ERR_OK)
            return;
    }
    json_end_object(w);
    require(r, seen, 0, "a measurement with unit");
    require(r, seen, 1, "a measurement with values");
}

void measurements_copy(struct json_reader *r, enum profile_kind kind, struct buffer *out)
{
    struct json_writer w;
    struct bytes name;
    json_writer_init(&w, out);
    json_enter_object(r);
    json_begin_object(&w);
    while (json_next_member(r, &name)) {
        json_key_bytes(&w, name);
        copy_measurement(r, kind, &w);
        if (r->failed != ERR_OK)
            return;
    }
    json_end_object(&w);
    if (out->failed != ERR_OK)
        json_fail(r, out->failed, "memory for measurements");
}
