#include "engine/profile_parser.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/decimal.h"
#include "base/json_writer.h"
#include "base/timestamp.h"
#include "engine/measurements.h"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))

/* Keys an object was seen to have, a bit each. Under strict rules a second time is an error. */
static void once(struct profile_parser *ps, uint64_t *seen, int key)
{
    if (key < 0)
        return;
    uint64_t bit = UINT64_C(1) << key;
    if (ps->strict && (*seen & bit) != 0)
        json_fail(&ps->r, ERR_MALFORMED, "a key only once");
    *seen |= bit;
}

static bool has(uint64_t seen, int key)
{
    return (seen >> key) & 1;
}

static void require(struct profile_parser *ps, uint64_t seen, int key, const char *expected)
{
    if (!has(seen, key))
        json_fail(&ps->r, ERR_MALFORMED, expected);
}

/* ---- scalars by the rules ---- */

static uint32_t add_text(struct profile_parser *ps, struct bytes text)
{
    return ps->r.failed == ERR_OK ? profile_columns_text(&ps->columns, text) : 0;
}

static uint32_t read_text(struct profile_parser *ps)
{
    if (!ps->strict && json_take_null(&ps->r))
        return 0;
    return add_text(ps, json_read_string(&ps->r));
}

static uint32_t read_text_or_null(struct profile_parser *ps)
{
    return json_take_null(&ps->r) ? 0 : add_text(ps, json_read_string(&ps->r));
}

/* A text, or nothing when it is anything else. */
static uint32_t read_text_if_any(struct profile_parser *ps)
{
    if (json_peek(&ps->r) == JSON_STRING)
        return read_text(ps);
    (void)json_skip(&ps->r);
    return 0;
}

static uint64_t read_u64_or_null(struct profile_parser *ps)
{
    return !ps->strict && json_take_null(&ps->r) ? 0 : json_read_u64(&ps->r);
}

/* Lines and columns: null is allowed everywhere. */
static uint32_t read_u32_or_null(struct profile_parser *ps)
{
    return json_take_null(&ps->r) ? 0 : json_read_u32(&ps->r);
}

/* An unsigned number, or its decimal digits as a text. */
static uint64_t read_u64_or_digits(struct profile_parser *ps)
{
    struct json_reader *r = &ps->r;
    if (json_peek(r) != JSON_STRING)
        return read_u64_or_null(ps);
    const uint8_t *at = r->at;
    struct bytes text = json_read_string(r);
    if (text.len > 1 && text.data[0] == '+')
        text = bytes_from(text, 1);
    uint64_t value = 0;
    if (r->failed == ERR_OK && !bytes_to_u64(text, &value))
        json_fail_at(r, at, ERR_MALFORMED, "an unsigned 64-bit integer, as number or digits");
    return value;
}

/* The same as its decimal text. */
static uint32_t read_decimal(struct profile_parser *ps)
{
    char text[24];
    uint64_t value = read_u64_or_digits(ps);
    int len = snprintf(text, sizeof(text), "%" PRIu64, value);
    return add_text(ps, bytes_of(text, (size_t)len));
}

/* Index into a list; what no column can hold is past every list. */
static uint32_t read_index(struct profile_parser *ps)
{
    if (ps->strict) {
        uint64_t index = json_read_u64(&ps->r);
        return index < PROFILE_NONE ? (uint32_t)index : PROFILE_NONE;
    }
    if (json_take_null(&ps->r))
        return 0;
    int64_t index = json_read_i64(&ps->r);
    return index >= 0 && index < PROFILE_NONE ? (uint32_t)index : PROFILE_NONE;
}

/* A UUID; rules STORED: any text, kept in *reterr_raw when it is none. */
static struct uuid read_uuid(struct profile_parser *ps, struct bytes *reterr_raw)
{
    struct uuid id = {{0}};
    if (!ps->strict && json_take_null(&ps->r))
        return id;
    (void)json_peek(&ps->r);
    const uint8_t *at = ps->r.at;
    struct bytes text = json_read_string(&ps->r);
    if (ps->r.failed != ERR_OK || uuid_parse(text, &id))
        return id;
    if (ps->strict)
        json_fail_at(&ps->r, at, ERR_MALFORMED, "a UUID of 32 hexadecimal digits");
    else if (text.len > 0)
        *reterr_raw = bytes_of(at, (size_t)(ps->r.at - at));
    return (struct uuid){{0}};
}

/* An object, or under lenient rules null, as it stands. */
static struct bytes read_raw_object(struct profile_parser *ps)
{
    if (!ps->strict && json_take_null(&ps->r))
        return (struct bytes){NULL, 0};
    if (json_peek(&ps->r) != JSON_OBJECT)
        json_fail(&ps->r, ERR_MALFORMED, "an object");
    return json_skip(&ps->r);
}

/* Begin an object with known keys; false when null stands for it. */
static bool enter_keys_or_null(struct profile_parser *ps, struct json_keys *keys)
{
    if (!ps->strict && json_take_null(&ps->r))
        return false;
    json_enter_keys(&ps->r, keys);
    return ps->r.failed == ERR_OK;
}

/* ---- frames ---- */

enum frame_key {
    FRAME_FUNCTION,
    FRAME_FILENAME,
    FRAME_LINENO,
    FRAME_ABS_PATH,
    FRAME_MODULE,
    FRAME_IN_APP,
    FRAME_COLNO,
    FRAME_PACKAGE,
    FRAME_PLATFORM,
    FRAME_INSTRUCTION_ADDR,
    FRAME_DATA,
    FRAME_LANG,
    FRAME_STATUS,
    FRAME_SYM_ADDR,
    FRAME_SYMBOL,
    FRAME_NAME,
    FRAME_FILE,
    FRAME_LINE,
    FRAME_COLUMN,
    FRAME_KEY_COUNT
};

static const struct bytes frame_names[FRAME_KEY_COUNT] = {
    BYTES("function"), BYTES("filename"),
    BYTES("lineno"),   BYTES("abs_path"),
    BYTES("module"),   BYTES("in_app"),
    BYTES("colno"),    BYTES("package"),
    BYTES("platform"), BYTES("instruction_addr"),
    BYTES("data"),     BYTES("lang"),
    BYTES("status"),   BYTES("sym_addr"),
    BYTES("symbol"),   BYTES("name"),
    BYTES("file"),     BYTES("line"),
    BYTES("column")};

/* Number as a hexadecimal text; texts stay as they are. */
static uint32_t read_address(struct profile_parser *ps)
{
    if (!ps->strict || json_peek(&ps->r) != JSON_NUMBER)
        return read_text_or_null(ps);
    char text[24];
    int len = snprintf(text, sizeof(text), "0x%" PRIx64, json_read_u64(&ps->r));
    return add_text(ps, bytes_of(text, (size_t)len));
}

static uint32_t read_in_app(struct profile_parser *ps)
{
    if (json_take_null(&ps->r))
        return IN_APP_ABSENT;
    return json_read_bool(&ps->r) ? IN_APP_TRUE : IN_APP_FALSE;
}

/* One of the keys without a column: kept when it says something. */
static void read_frame_rest(struct profile_parser *ps, int key, struct bytes *rest)
{
    struct json_reader *r = &ps->r;
    enum json_type type = json_peek(r);
    enum json_type wanted = key == FRAME_DATA ? JSON_OBJECT : JSON_STRING;
    if (type != wanted && type != JSON_NULL && !ps->strict)
        json_fail(r, ERR_MALFORMED, key == FRAME_DATA ? "an object" : "a string");
    struct bytes value = json_skip(r);
    rest[key - FRAME_DATA] = type == wanted && value.len > 2 ? value : (struct bytes){NULL, 0};
}

static uint32_t write_frame_rest(struct profile_parser *ps, const struct bytes *rest)
{
    struct json_writer w;
    buffer_clear(&ps->piece);
    json_writer_init(&w, &ps->piece);
    json_begin_object(&w);
    for (int i = 0; i <= FRAME_SYMBOL - FRAME_DATA; i++) {
        if (rest[i].data == NULL)
            continue;
        json_key_bytes(&w, frame_names[FRAME_DATA + i]);
        json_raw(&w, rest[i]);
    }
    json_end_object(&w);
    if (ps->piece.failed != ERR_OK)
        json_fail(&ps->r, ps->piece.failed, "memory for a frame");
    return add_text(ps, buffer_bytes(&ps->piece));
}

/* The short names give way to the long ones. */
static void read_frame_alias(struct profile_parser *ps, int key, uint64_t seen,
                             struct profile_frame *f)
{
    if (key == FRAME_NAME || key == FRAME_FILE) {
        uint32_t text = read_text_or_null(ps);
        if (key == FRAME_NAME && !has(seen, FRAME_FUNCTION))
            f->function = text;
        if (key == FRAME_FILE && !has(seen, FRAME_FILENAME))
            f->filename = text;
    } else {
        uint32_t number = read_u32_or_null(ps);
        if (key == FRAME_LINE && !has(seen, FRAME_LINENO))
            f->line = number;
        if (key == FRAME_COLUMN && !has(seen, FRAME_COLNO))
            f->column = number;
    }
}

static void read_frame(struct profile_parser *ps)
{
    struct json_reader *r = &ps->r;
    struct profile_frame f = {0};
    struct bytes rest[FRAME_SYMBOL - FRAME_DATA + 1] = {{NULL, 0}};
    uint64_t seen = 0;
    int key;
    if (enter_keys_or_null(ps, &ps->frame_keys))
        while (json_next_key(r, &ps->frame_keys, &key)) {
            once(ps, &seen, key);
            switch (key) {
            case FRAME_FUNCTION: f.function = read_text_or_null(ps); break;
            case FRAME_FILENAME: f.filename = read_text_or_null(ps); break;
            case FRAME_LINENO: f.line = read_u32_or_null(ps); break;
            case FRAME_ABS_PATH: f.abs_path = read_text_or_null(ps); break;
            case FRAME_MODULE: f.module = read_text_or_null(ps); break;
            case FRAME_IN_APP: f.in_app = read_in_app(ps); break;
            case FRAME_COLNO: f.column = read_u32_or_null(ps); break;
            case FRAME_PACKAGE: f.package = read_text_or_null(ps); break;
            case FRAME_PLATFORM: f.platform = read_text_or_null(ps); break;
            case FRAME_INSTRUCTION_ADDR: f.instruction_addr = read_address(ps); break;
            case FRAME_DATA:
            case FRAME_LANG:
            case FRAME_STATUS:
            case FRAME_SYM_ADDR:
            case FRAME_SYMBOL: read_frame_rest(ps, key, rest); break;
            case FRAME_NAME:
            case FRAME_FILE:
            case FRAME_LINE:
            case FRAME_COLUMN: read_frame_alias(ps, key, seen, &f); break;
            default: (void)json_skip(r); break;
            }
        }
    for (int i = 0; i < COUNT_OF(rest); i++)
        if (rest[i].data != NULL) {
            f.rest = write_frame_rest(ps, rest);
            break;
        }
    if (r->failed == ERR_OK)
        profile_columns_add_frame(&ps->columns, &f);
}

/* Memory that ran out ends the reading as well. */
static void check_columns(struct profile_parser *ps)
{
    if (ps->columns.failed != ERR_OK)
        json_fail(&ps->r, ps->columns.failed, "memory for the columns");
}

/* Start a list; false when it is null, which only stored documents may say. */
static bool enter_list(struct profile_parser *ps, uint32_t null_flag)
{
    if (!ps->strict && json_take_null(&ps->r)) {
        ps->p.flags |= null_flag;
        return false;
    }
    json_enter_array(&ps->r);
    ps->p.flags &= ~null_flag;
    return true;
}

static void read_frames(struct profile_parser *ps)
{
    buffer_clear(&ps->columns.frame_list); /* a second list, where allowed, replaces the first */
    if (!enter_list(ps, PROFILE_FRAMES_NULL))
        return;
    while (json_next_element(&ps->r)) {
        read_frame(ps);
        check_columns(ps);
    }
}

static void read_stacks(struct profile_parser *ps)
{
    buffer_clear(&ps->columns.stacks);
    if (!enter_list(ps, PROFILE_STACKS_NULL))
        return;
    while (json_next_element(&ps->r)) {
        buffer_clear(&ps->stack);
        if (enter_list(ps, 0))
            while (json_next_element(&ps->r)) {
                uint32_t frame = read_index(ps);
                buffer_put(&ps->stack, bytes_of(&frame, sizeof(frame)));
            }
        if (ps->stack.failed != ERR_OK)
            json_fail(&ps->r, ps->stack.failed, "memory for a stack");
        if (ps->r.failed == ERR_OK)
            profile_columns_add_stack(&ps->columns, buffer_u32s(&ps->stack),
                                      ps->stack.len / sizeof(uint32_t));
        check_columns(ps);
    }
}

/* ---- samples ---- */

enum sample_key {
    SAMPLE_STACK_ID,
    SAMPLE_THREAD_ID,
    SAMPLE_TIME,
    SAMPLE_QUEUE,
    SAMPLE_STATE,
    SAMPLE_KEY_COUNT
};

static const struct bytes chunk_sample_names[] = {BYTES("stack_id"), BYTES("thread_id"),
                                                  BYTES("timestamp")};
static const struct bytes profile_sample_names[] = {BYTES("stack_id"), BYTES("thread_id"),
                                                    BYTES("elapsed_since_start_ns"),
                                                    BYTES("queue_address"), BYTES("state")};

/* Unix seconds as their binary64; all threads of a tick send the same text. */
static uint64_t read_seconds(struct profile_parser *ps)
{
    struct json_reader *r = &ps->r;
    if (!ps->strict && json_take_null(r))
        return 0;
    const struct bytes last = ps->time_text;
    if (json_peek(r) == JSON_NUMBER && last.len > 0 && (size_t)(r->end - r->at) > last.len &&
        memcmp(r->at, last.data, last.len) == 0 &&
        (r->at[last.len] == '}' || r->at[last.len] == ',')) {
        r->at += last.len;
        return ps->time_value;
    }
    const uint8_t *start = r->at;
    double seconds = json_read_double(r);
    int64_t ns;
    if (r->failed == ERR_OK && !timestamp_from_double(seconds, &ns))
        json_fail_at(r, start, ERR_MALFORMED, "unix seconds from 1970 to 2262");
    if (r->failed != ERR_OK)
        return 0;
    if (seconds == 0)
        seconds = 0; /* not -0, whose bits sort last */
    memcpy(&ps->time_value, &seconds, sizeof(seconds));
    ps->time_text = bytes_of(start, (size_t)(r->at - start));
    return ps->time_value;
}

/* Whether `text` is the id of thread number `thread`. */
static bool is_thread(const struct profile_parser *ps, uint32_t thread, struct bytes text)
{
    if (thread >= profile_columns_thread_count(&ps->columns))
        return false;
    uint32_t id = profile_columns_threads(&ps->columns)[thread].id;
    return bytes_equal(intern_get(&ps->columns.strings, id), text);
}

/* A tick lists the threads in the order of the tick before. */
static uint32_t thread_of_text(struct profile_parser *ps, struct bytes text)
{
    uint32_t next = ps->thread_value + 1;
    if (next >= profile_columns_thread_count(&ps->columns))
        next = 0;
    if (!is_thread(ps, next, text)) {
        uint32_t id = add_text(ps, text);
        next = ps->r.failed == ERR_OK && ps->columns.failed == ERR_OK
                   ? profile_columns_thread(&ps->columns, id)
                   : 0;
    }
    ps->thread_value = next;
    return next;
}

static uint32_t read_chunk_thread(struct profile_parser *ps)
{
    if (!ps->strict && json_take_null(&ps->r))
        return thread_of_text(ps, BYTES(""));
    struct bytes text = json_read_string(&ps->r);
    return ps->r.failed == ERR_OK ? thread_of_text(ps, text) : 0;
}

static uint32_t read_numbered_thread(struct profile_parser *ps)
{
    uint64_t value = read_u64_or_digits(ps);
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRIu64, value);
    return ps->r.failed == ERR_OK ? thread_of_text(ps, bytes_of(text, (size_t)len)) : 0;
}

static bool read_state_is_idle(struct profile_parser *ps)
{
    if (ps->strict || json_take_null(&ps->r)) {
        if (ps->strict)
            (void)json_skip(&ps->r); /* not part of what SDKs send */
        return false;
    }
    return bytes_equal(json_read_string(&ps->r), BYTES("idle"));
}

static void read_sample(struct profile_parser *ps)
{
    struct profile_sample s = {0};
    uint64_t seen = 0;
    bool chunk = ps->kind == PROFILE_CHUNK;
    int key;
    if (enter_keys_or_null(ps, &ps->sample_keys))
        while (json_next_key(&ps->r, &ps->sample_keys, &key)) {
            once(ps, &seen, key);
            switch (key) {
            case SAMPLE_STACK_ID: s.stack = read_index(ps); break;
            case SAMPLE_THREAD_ID:
                s.thread = chunk ? read_chunk_thread(ps) : read_numbered_thread(ps);
                break;
            case SAMPLE_TIME: s.time = chunk ? read_seconds(ps) : read_u64_or_digits(ps); break;
            case SAMPLE_QUEUE: s.queue = read_text_or_null(ps); break;
            case SAMPLE_STATE: s.idle = read_state_is_idle(ps); break;
            default: (void)json_skip(&ps->r); break;
            }
        }
    if (ps->strict) {
        require(ps, seen, SAMPLE_STACK_ID, "a sample with stack_id");
        require(ps, seen, SAMPLE_THREAD_ID, "a sample with thread_id");
        require(ps, seen, SAMPLE_TIME, "a sample with its time");
    } else if (!has(seen, SAMPLE_THREAD_ID) && ps->r.failed == ERR_OK) {
        s.thread = thread_of_text(ps, chunk ? BYTES("") : BYTES("0"));
    }
    if (ps->r.failed == ERR_OK)
        profile_columns_add_sample(&ps->columns, &s);
}

static void read_samples(struct profile_parser *ps)
{
    struct profile_columns *c = &ps->columns;
    buffer_clear(&c->sample_time);
    buffer_clear(&c->sample_thread);
    buffer_clear(&c->sample_stack);
    buffer_clear(&c->sample_queue);
    buffer_clear(&c->sample_idle);
    if (!enter_list(ps, PROFILE_SAMPLES_NULL))
        return;
    while (json_next_element(&ps->r)) {
        read_sample(ps);
        check_columns(ps);
    }
}

/* ---- thread metadata ---- */

static void read_thread(struct profile_parser *ps, uint32_t thread)
{
    static const struct bytes names[] = {BYTES("name"), BYTES("priority")};
    struct json_reader *r = &ps->r;
    if (ps->metadata_keys.names == NULL)
        json_keys_init(&ps->metadata_keys, names, COUNT_OF(names));
    struct profile_thread t = {.known = 1};
    uint64_t seen = 0;
    int key;
    if (enter_keys_or_null(ps, &ps->metadata_keys))
        while (json_next_key(r, &ps->metadata_keys, &key)) {
            once(ps, &seen, key);
            if (key == 0)
                t.name = read_text_or_null(ps);
            else if (key == 1)
                t.priority = read_u32_or_null(ps);
            else
                (void)json_skip(r);
        }
    if (r->failed != ERR_OK || ps->columns.failed != ERR_OK)
        return;
    struct profile_thread *to = &profile_columns_threads(&ps->columns)[thread];
    t.id = to->id;
    *to = t;
}

static void read_thread_metadata(struct profile_parser *ps)
{
    if (json_take_null(&ps->r)) {
        ps->p.flags |= PROFILE_THREADS_NULL;
        return;
    }
    ps->p.flags &= ~(uint32_t)PROFILE_THREADS_NULL;
    json_enter_object(&ps->r);
    struct bytes name;
    while (json_next_member(&ps->r, &name)) {
        uint32_t id = add_text(ps, name);
        check_columns(ps);
        uint32_t thread = ps->r.failed == ERR_OK ? profile_columns_thread(&ps->columns, id) : 0;
        check_columns(ps);
        if (ps->r.failed == ERR_OK)
            read_thread(ps, thread);
        check_columns(ps);
    }
}

/* ---- profile ---- */

enum trace_key {
    TRACE_SAMPLES,
    TRACE_STACKS,
    TRACE_FRAMES,
    TRACE_THREADS,
    TRACE_QUEUES,
    TRACE_COUNT
};

static void read_queue_metadata(struct profile_parser *ps)
{
    if (ps->strict && json_take_null(&ps->r))
        return;
    ps->raw.queue_metadata = read_raw_object(ps);
}

static void read_trace(struct profile_parser *ps)
{
    static const struct bytes names[TRACE_COUNT] = {BYTES("samples"), BYTES("stacks"),
                                                    BYTES("frames"), BYTES("thread_metadata"),
                                                    BYTES("queue_metadata")};
    struct json_keys keys;
    json_keys_init(&keys, names, ps->kind == PROFILE_CHUNK ? TRACE_QUEUES : TRACE_COUNT);
    uint64_t seen = 0;
    int key;
    if (enter_keys_or_null(ps, &keys))
        while (json_next_key(&ps->r, &keys, &key)) {
            once(ps, &seen, key);
            switch (key) {
            case TRACE_SAMPLES: read_samples(ps); break;
            case TRACE_STACKS: read_stacks(ps); break;
            case TRACE_FRAMES: read_frames(ps); break;
            case TRACE_THREADS: read_thread_metadata(ps); break;
            case TRACE_QUEUES: read_queue_metadata(ps); break;
            default: (void)json_skip(&ps->r); break;
            }
        }
    if (!ps->strict)
        return;
    require(ps, seen, TRACE_SAMPLES, "a profile with samples");
    require(ps, seen, TRACE_STACKS, "a profile with stacks");
    require(ps, seen, TRACE_FRAMES, "a profile with frames");
}

/* ---- measurements ---- */

/* Checked, and written anew: texts that are numbers become numbers, unknown keys go. */
static void read_measurements(struct profile_parser *ps)
{
    struct json_reader *r = &ps->r;
    if (!ps->strict) {
        struct bytes value = json_skip(r);
        ps->raw.measurements = bytes_equal(value, BYTES("null")) ? (struct bytes){NULL, 0} : value;
        return;
    }
    if (json_take_null(r))
        return;
    buffer_clear(&ps->rewritten);
    measurements_copy(r, ps->kind, &ps->rewritten);
    ps->measurements_rewritten = true;
}

/* ---- smaller objects of a document ---- */

static void read_client_sdk(struct profile_parser *ps)
{
    static const struct bytes names[] = {BYTES("name"), BYTES("version")};
    struct json_keys keys;
    json_keys_init(&keys, names, COUNT_OF(names));
    uint64_t seen = 0;
    int key;
    if (!enter_keys_or_null(ps, &keys))
        return;
    while (json_next_key(&ps->r, &keys, &key)) {
        once(ps, &seen, key);
        if (key == 0)
            ps->p.sdk_name = read_text(ps);
        else if (key == 1)
            ps->p.sdk_version = read_text(ps);
        else
            (void)json_skip(&ps->r);
    }
    if (!ps->strict)
        return;
    require(ps, seen, 0, "client_sdk with name");
    require(ps, seen, 1, "client_sdk with version");
}

/* Strict: an object with a list of images. */
static void read_debug_meta(struct profile_parser *ps)
{
    static const struct bytes names[] = {BYTES("images")};
    struct json_reader *r = &ps->r;
    if (!ps->strict) {
        ps->raw.debug_meta = read_raw_object(ps);
        return;
    }
    struct json_keys keys;
    json_keys_init(&keys, names, COUNT_OF(names));
    uint64_t seen = 0;
    int key;
    (void)json_peek(r);
    const uint8_t *start = r->at;
    json_enter_keys(r, &keys);
    while (json_next_key(r, &keys, &key)) {
        once(ps, &seen, key);
        if (key == 0 && json_peek(r) != JSON_ARRAY)
            json_fail(r, ERR_MALFORMED, "a list of images");
        (void)json_skip(r);
    }
    require(ps, seen, 0, "debug_meta with images");
    if (r->failed == ERR_OK)
        ps->raw.debug_meta = bytes_of(start, (size_t)(r->at - start));
}

/* What an object of texts (device, os, runtime) must have and may have. */
struct facts {
    const struct bytes *names;
    int count;
    int required;   /* so many of the first names must be there */
    uint64_t bools; /* names that are no text but true or false */
};

/* Gives the keys seen with a good value, and the view of the whole object. */
static uint64_t read_facts(struct profile_parser *ps, const struct facts *facts, struct bytes *ret)
{
    struct json_reader *r = &ps->r;
    struct json_keys keys;
    json_keys_init(&keys, facts->names, facts->count);
    uint64_t seen = 0;
    uint64_t good = 0;
    int key;
    (void)json_peek(r);
    const uint8_t *start = r->at;
    json_enter_keys(r, &keys);
    while (json_next_key(r, &keys, &key)) {
        once(ps, &seen, key);
        enum json_type type = json_peek(r);
        struct bytes value = json_skip(r);
        if (key < 0)
            continue;
        bool is_bool = type == JSON_TRUE || type == JSON_FALSE;
        bool right = has(facts->bools, key) ? is_bool : type == JSON_STRING;
        if (!right && (key < facts->required || type != JSON_NULL))
            json_fail_at(r, value.data, ERR_MALFORMED,
                         has(facts->bools, key) ? "true or false" : "a string");
        good |= right ? UINT64_C(1) << key : 0;
        if (facts->required == 1 && key == 0) /* device: its architecture */
            ps->arm64 =
                bytes_equal(value, BYTES("\"arm64\"")) || bytes_equal(value, BYTES("\"arm64e\""));
    }
    for (int i = 0; i < facts->required; i++)
        require(ps, seen, i, "what the object before here must have");
    if (r->failed == ERR_OK)
        *ret = bytes_of(start, (size_t)(r->at - start));
    return good;
}

static uint64_t read_device(struct profile_parser *ps)
{
    static const struct bytes names[] = {BYTES("architecture"), BYTES("is_emulator"),
                                         BYTES("locale"), BYTES("manufacturer"), BYTES("model")};
    static const struct facts facts = {names, COUNT_OF(names), 1, 1u << 1};
    return read_facts(ps, &facts, &ps->raw.device);
}

static uint64_t read_os(struct profile_parser *ps)
{
    static const struct bytes names[] = {BYTES("name"), BYTES("version"), BYTES("build_number")};
    static const struct facts facts = {names, COUNT_OF(names), 2, 0};
    return read_facts(ps, &facts, &ps->raw.os);
}

static void read_runtime(struct profile_parser *ps)
{
    static const struct bytes names[] = {BYTES("name"), BYTES("version")};
    static const struct facts facts = {names, COUNT_OF(names), 2, 0};
    if (!json_take_null(&ps->r))
        (void)read_facts(ps, &facts, &ps->raw.runtime);
}

/* ---- transactions of a transaction profile ---- */

enum transaction_key {
    TRANSACTION_ID,
    TRANSACTION_NAME,
    TRANSACTION_TRACE_ID,
    TRANSACTION_ACTIVE_THREAD,
    TRANSACTION_SEGMENT_ID,
    TRANSACTION_START,
    TRANSACTION_END,
    TRANSACTION_DURATION,
    TRANSACTION_KEY_COUNT
};

static void read_transaction(struct profile_parser *ps, struct profile_transaction *t)
{
    static const struct bytes names[TRANSACTION_KEY_COUNT] = {BYTES("id"),
                                                              BYTES("name"),
                                                              BYTES("trace_id"),
                                                              BYTES("active_thread_id"),
                                                              BYTES("segment_id"),
                                                              BYTES("relative_start_ns"),
                                                              BYTES("relative_end_ns"),
                                                              BYTES("duration_ns")};
    struct json_reader *r = &ps->r;
    struct json_keys keys;
    json_keys_init(&keys, names, ps->strict ? TRANSACTION_DURATION : TRANSACTION_KEY_COUNT);
    *t = (struct profile_transaction){.known = true};
    uint64_t seen = 0;
    int key;
    if (!enter_keys_or_null(ps, &keys))
        return;
    while (json_next_key(r, &keys, &key)) {
        once(ps, &seen, key);
        switch (key) {
        case TRANSACTION_ID: t->id = read_uuid(ps, &t->id_raw); break;
        case TRANSACTION_NAME: t->name = read_text(ps); break;
        case TRANSACTION_TRACE_ID: t->trace_id = read_uuid(ps, &t->trace_id_raw); break;
        case TRANSACTION_ACTIVE_THREAD: t->active_thread = read_decimal(ps); break;
        case TRANSACTION_SEGMENT_ID: t->segment_id = read_text_or_null(ps); break;
        case TRANSACTION_START: t->relative_start_ns = read_u64_or_digits(ps); break;
        case TRANSACTION_END: t->relative_end_ns = read_u64_or_digits(ps); break;
        case TRANSACTION_DURATION: t->duration_ns = read_u64_or_null(ps); break;
        default: (void)json_skip(r); break;
        }
    }
    if (!ps->strict)
        return;
    require(ps, seen, TRANSACTION_ID, "a transaction with id");
    require(ps, seen, TRANSACTION_NAME, "a transaction with name");
    require(ps, seen, TRANSACTION_TRACE_ID, "a transaction with trace_id");
}

static void read_transactions(struct profile_parser *ps)
{
    ps->first_transaction.known = false;
    if (json_take_null(&ps->r))
        return;
    json_enter_array(&ps->r);
    while (json_next_element(&ps->r)) {
        struct profile_transaction t;
        read_transaction(ps, &t);
        if (!ps->first_transaction.known)
            ps->first_transaction = t;
    }
}

/* ---- the document ---- */

enum document_key {
    KEY_VERSION,
    KEY_PLATFORM,
    KEY_CLIENT_SDK,
    KEY_RELEASE,
    KEY_ENVIRONMENT,
    KEY_DIST,
    KEY_DEBUG_META,
    KEY_MEASUREMENTS,
    KEY_PROFILE,
    KEY_SAMPLED_PROFILE,
    KEY_ORGANIZATION,
    KEY_PROJECT,
    KEY_RECEIVED,
    KEY_RETENTION,
    KEY_CHUNK_ID,
    KEY_PROFILER_ID,
    KEY_CHUNK_COUNT,
    KEY_EVENT_ID = KEY_CHUNK_ID,
    KEY_PROFILE_ID,
    KEY_TIMESTAMP,
    KEY_DEVICE,
    KEY_OS,
    KEY_RUNTIME,
    KEY_TRANSACTION,
    KEY_TRANSACTIONS,
    KEY_SAMPLED,
    KEY_TRANSACTION_METADATA,
    KEY_TRANSACTION_TAGS,
    KEY_PROFILE_COUNT
};

#define COMMON_NAMES                                                                               \
    BYTES("version"), BYTES("platform"), BYTES("client_sdk"), BYTES("release"),                    \
        BYTES("environment"), BYTES("dist"), BYTES("debug_meta"), BYTES("measurements"),           \
        BYTES("profile"), BYTES("sampled_profile"), BYTES("organization_id"), BYTES("project_id"), \
        BYTES("received"), BYTES("retention_days")

static const struct bytes chunk_names[KEY_CHUNK_COUNT] = {COMMON_NAMES, BYTES("chunk_id"),
                                                          BYTES("profiler_id")};
static const struct bytes profile_names[KEY_PROFILE_COUNT] = {COMMON_NAMES,
                                                              BYTES("event_id"),
                                                              BYTES("profile_id"),
                                                              BYTES("timestamp"),
                                                              BYTES("device"),
                                                              BYTES("os"),
                                                              BYTES("runtime"),
                                                              BYTES("transaction"),
                                                              BYTES("transactions"),
                                                              BYTES("sampled"),
                                                              BYTES("transaction_metadata"),
                                                              BYTES("transaction_tags")};

static void read_version(struct profile_parser *ps)
{
    enum json_type type = json_peek(&ps->r);
    ps->format.state = VERSION_OTHER;
    if (type == JSON_STRING) {
        ps->format.state = VERSION_TEXT;
        ps->p.version = read_text(ps);
    } else if (json_take_null(&ps->r)) {
        ps->format.state = VERSION_MISSING;
    } else if (ps->strict) {
        (void)json_skip(&ps->r); /* judged with the platform */
    } else {
        json_fail(&ps->r, ERR_MALFORMED, "a string");
    }
}

static void read_profile_timestamp(struct profile_parser *ps)
{
    struct json_reader *r = &ps->r;
    if (!ps->strict && json_take_null(r))
        return;
    (void)json_peek(r);
    const uint8_t *at = r->at;
    struct bytes text = json_read_string(r);
    if (r->failed == ERR_OK && !timestamp_parse_rfc3339(text, &ps->p.timestamp_ns))
        json_fail_at(r, at, ERR_MALFORMED, "a time as RFC 3339 text");
    ps->p.timestamp_text = add_text(ps, text);
}

/* Only stored documents: double, integer, text, or nothing. */
static void read_received(struct profile_parser *ps)
{
    struct json_reader *r = &ps->r;
    enum json_type type = json_peek(r);
    const uint8_t *at = r->at;
    bool fine = type == JSON_NULL || (type == JSON_OBJECT && ps->kind == PROFILE_TRANSACTION);
    if (type == JSON_NUMBER && ps->kind == PROFILE_CHUNK) {
        struct bytes text = json_read_number(r);
        double seconds;
        fine = timestamp_parse_seconds(text, &ps->p.received_ns) ||
               (decimal_to_double(text, &seconds) &&
                timestamp_from_double(seconds, &ps->p.received_ns));
    } else if (type == JSON_NUMBER) {
        struct bytes text = json_read_number(r);
        fine = bytes_find_byte(text, '.') == text.len &&
               timestamp_parse_seconds(text, &ps->p.received_ns);
    } else if (type == JSON_STRING && ps->kind == PROFILE_TRANSACTION) {
        fine = timestamp_parse_rfc3339(json_read_string(r), &ps->p.received_ns);
    } else {
        (void)json_skip(r);
    }
    if (!fine)
        json_fail_at(r, at, ERR_MALFORMED, "the time the document was received");
    else if (type == JSON_NUMBER || type == JSON_STRING)
        ps->raw.received = bytes_of(at, (size_t)(r->at - at));
}

static void read_retention(struct profile_parser *ps)
{
    struct json_reader *r = &ps->r;
    if (json_take_null(r))
        return;
    (void)json_peek(r);
    const uint8_t *at = r->at;
    int64_t days = json_read_i64(r);
    if (days >= 0 && days <= UINT32_MAX)
        ps->p.retention_days = (uint32_t)days;
    else
        ps->raw.retention_days = bytes_of(at, (size_t)(r->at - at));
}

/* Keys that only stored documents have; SDKs may send anything under these names. */
static void read_stored_key(struct profile_parser *ps, int key)
{
    if (ps->strict) {
        (void)json_skip(&ps->r);
        return;
    }
    switch (key) {
    case KEY_ORGANIZATION: ps->p.organization_id = read_u64_or_null(ps); break;
    case KEY_PROJECT: ps->p.project_id = read_u64_or_null(ps); break;
    case KEY_RECEIVED: read_received(ps); break;
    case KEY_RETENTION: read_retention(ps); break;
    case KEY_SAMPLED:
        if (!json_take_null(&ps->r) && json_read_bool(&ps->r))
            ps->p.flags |= PROFILE_SAMPLED;
        break;
    case KEY_TRANSACTION_METADATA: ps->raw.transaction_metadata = read_raw_object(ps); break;
    case KEY_TRANSACTION_TAGS: ps->raw.transaction_tags = read_raw_object(ps); break;
    default: (void)json_skip(&ps->r); break;
    }
}

static void read_common_key(struct profile_parser *ps, int key)
{
    switch (key) {
    case KEY_VERSION: read_version(ps); break;
    case KEY_PLATFORM: ps->p.platform = read_text(ps); break;
    case KEY_CLIENT_SDK:
        if (ps->strict && ps->kind == PROFILE_TRANSACTION)
            (void)json_skip(&ps->r); /* taken from the transaction */
        else
            read_client_sdk(ps);
        break;
    case KEY_RELEASE: ps->p.release = read_text_or_null(ps); break;
    case KEY_ENVIRONMENT: ps->p.environment = read_text_or_null(ps); break;
    case KEY_DIST: ps->p.dist = read_text_if_any(ps); break;
    case KEY_DEBUG_META: read_debug_meta(ps); break;
    case KEY_MEASUREMENTS: read_measurements(ps); break;
    case KEY_PROFILE: read_trace(ps); break;
    case KEY_SAMPLED_PROFILE:
        ps->format.sampled_profile = true;
        (void)json_skip(&ps->r);
        break;
    default: read_stored_key(ps, key); break;
    }
}

static void read_profile_key(struct profile_parser *ps, int key, uint64_t seen, uint64_t *device,
                             uint64_t *os)
{
    switch (key) {
    case KEY_EVENT_ID: ps->p.id = read_uuid(ps, &ps->raw.id); break;
    case KEY_PROFILE_ID:
        if (has(seen, KEY_EVENT_ID) || !ps->strict)
            (void)json_skip(&ps->r);
        else
            ps->p.id = read_uuid(ps, &ps->raw.id);
        break;
    case KEY_TIMESTAMP: read_profile_timestamp(ps); break;
    case KEY_DEVICE:
        if (ps->strict)
            *device = read_device(ps);
        else
            ps->raw.device = read_raw_object(ps);
        break;
    case KEY_OS:
        if (ps->strict)
            *os = read_os(ps);
        else
            ps->raw.os = read_raw_object(ps);
        break;
    case KEY_RUNTIME:
        if (ps->strict)
            read_runtime(ps);
        else
            ps->raw.runtime = read_raw_object(ps);
        break;
    case KEY_TRANSACTION:
        ps->transaction.known = false;
        if (!json_take_null(&ps->r))
            read_transaction(ps, &ps->transaction);
        break;
    case KEY_TRANSACTIONS: read_transactions(ps); break;
    default: read_common_key(ps, key); break;
    }
}

static void read_chunk_key(struct profile_parser *ps, int key)
{
    switch (key) {
    case KEY_CHUNK_ID: ps->p.id = read_uuid(ps, &ps->raw.id); break;
    case KEY_PROFILER_ID: ps->p.profiler_id = read_uuid(ps, &ps->raw.profiler_id); break;
    default: read_common_key(ps, key); break;
    }
}

static void require_chunk(struct profile_parser *ps, uint64_t seen)
{
    require(ps, seen, KEY_CHUNK_ID, "a chunk with chunk_id");
    require(ps, seen, KEY_PROFILER_ID, "a chunk with profiler_id");
    require(ps, seen, KEY_CLIENT_SDK, "a chunk with client_sdk");
    require(ps, seen, KEY_PLATFORM, "a chunk with platform");
    require(ps, seen, KEY_PROFILE, "a chunk with profile");
}

static void require_profile(struct profile_parser *ps, uint64_t seen)
{
    if (!has(seen, KEY_PROFILE_ID))
        require(ps, seen, KEY_EVENT_ID, "a profile with event_id");
    require(ps, seen, KEY_PLATFORM, "a profile with platform");
    require(ps, seen, KEY_TIMESTAMP, "a profile with timestamp");
    require(ps, seen, KEY_DEVICE, "a profile with device");
    require(ps, seen, KEY_OS, "a profile with os");
    require(ps, seen, KEY_PROFILE, "a profile with profile");
}

enum err profile_parser_run(struct profile_parser *ps)
{
    bool chunk = ps->kind == PROFILE_CHUNK;
    struct json_keys keys;
    json_keys_init(&keys, chunk ? chunk_names : profile_names,
                   chunk ? KEY_CHUNK_COUNT : KEY_PROFILE_COUNT);
    uint64_t seen = 0, device = 0, os = 0;
    int key;
    json_enter_keys(&ps->r, &keys);
    while (json_next_key(&ps->r, &keys, &key)) {
        once(ps, &seen, key);
        if (chunk)
            read_chunk_key(ps, key);
        else
            read_profile_key(ps, key, seen, &device, &os);
        check_columns(ps);
    }
    ps->format.version = intern_get(&ps->columns.strings, ps->p.version);
    ps->format.platform = intern_get(&ps->columns.strings, ps->p.platform);
    ps->metadata_whole = device == 0x1f && os == 0x7;
    if (ps->strict && chunk)
        require_chunk(ps, seen);
    else if (ps->strict)
        require_profile(ps, seen);
    return json_end(&ps->r);
}

void profile_parser_init(struct profile_parser *ps, struct bytes json,
                         const struct decode_options *options, struct errinfo *info)
{
    *ps =
        (struct profile_parser){.kind = options->kind, .strict = options->rules == DECODE_ENVELOPE};
    ps->p.kind = options->kind;
    ps->p.flags =
        PROFILE_FRAMES_NULL | PROFILE_STACKS_NULL | PROFILE_SAMPLES_NULL | PROFILE_THREADS_NULL;
    profile_columns_init(&ps->columns, options->account);
    buffer_init(&ps->scratch, json.len, options->account);
    buffer_init(&ps->stack, SIZE_MAX, options->account);
    buffer_init(&ps->piece, SIZE_MAX, options->account);
    buffer_init(&ps->rewritten, SIZE_MAX, options->account);
    /* stored documents have the long names alone */
    json_keys_init(&ps->frame_keys, frame_names, ps->strict ? FRAME_KEY_COUNT : FRAME_NAME);
    if (options->kind == PROFILE_CHUNK)
        json_keys_init(&ps->sample_keys, chunk_sample_names, COUNT_OF(chunk_sample_names));
    else
        json_keys_init(&ps->sample_keys, profile_sample_names, COUNT_OF(profile_sample_names));
    json_reader_init(&ps->r, json, &ps->scratch, info);
}

void profile_parser_close(struct profile_parser *ps)
{
    profile_columns_close(&ps->columns);
    buffer_close(&ps->scratch);
    buffer_close(&ps->stack);
    buffer_close(&ps->piece);
    buffer_close(&ps->rewritten);
}

/* A string as its view when it has no escapes; other values are passed over. */
static struct bytes plain_text(struct json_reader *r, bool *ret_string)
{
    *ret_string = json_peek(r) == JSON_STRING;
    struct bytes raw = json_skip(r);
    if (!*ret_string || raw.len < 2)
        return (struct bytes){NULL, 0};
    return bytes_of(raw.data + 1, raw.len - 2);
}

enum err profile_parser_format(struct bytes json, struct mem_account *account,
                               struct profile_format *ret, struct errinfo *info)
{
    static const struct bytes names[] = {BYTES("version"), BYTES("platform"),
                                         BYTES("sampled_profile")};
    struct json_reader r;
    struct json_keys keys;
    struct buffer scratch;
    struct profile_format f = {.state = VERSION_MISSING};
    buffer_init(&scratch, json.len, account);
    json_reader_init(&r, json, &scratch, info);
    json_keys_init(&keys, names, COUNT_OF(names));
    int key;
    bool is_text;
    json_enter_keys(&r, &keys);
    while (json_next_key(&r, &keys, &key)) {
        if (key == 0) {
            bool is_null = json_peek(&r) == JSON_NULL;
            f.version = plain_text(&r, &is_text);
            f.state = is_text ? VERSION_TEXT : is_null ? VERSION_MISSING : VERSION_OTHER;
        } else if (key == 1) {
            f.platform = plain_text(&r, &is_text);
        } else {
            f.sampled_profile |= key == 2;
            (void)json_skip(&r);
        }
    }
    enum err rc = json_end(&r);
    buffer_close(&scratch);
    if (rc == ERR_OK)
        *ret = f;
    return rc;
}
