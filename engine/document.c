#include "engine/document.h"

#include <inttypes.h>

#include "base/limits.h"
#include "base/timestamp.h"
#include "engine/json_shape.h"

/* ---- fields without columns ---- */

#define TEXT_A(name)                                        \
    {                                                       \
        .key = (name), .absent = "\"\"", .kind = SHAPE_TEXT \
    }
#define TEXT_N(name)                      \
    {                                     \
        .key = (name), .kind = SHAPE_TEXT \
    }
#define U64_A(name)                                     \
    {                                                   \
        .key = (name), .absent = "0", .kind = SHAPE_U64 \
    }
#define BOOL_A(name)                                         \
    {                                                        \
        .key = (name), .absent = "false", .kind = SHAPE_BOOL \
    }
#define TIME_A(name)                                                          \
    {                                                                         \
        .key = (name), .absent = "\"" TIME_TEXT_ZERO "\"", .kind = SHAPE_TIME \
    }
#define END         \
    {               \
        .key = NULL \
    }

static const struct shape_field frame_data_fields[] = {
    TEXT_N("deobfuscation_status"),
    TEXT_N("symbolicator_status"),
    {.key = "symbolicated", .kind = SHAPE_BOOL},
    END,
};

static const struct shape_field frame_fields[] = {
    {.key = "data", .absent = "{}", .kind = SHAPE_OBJECT, .fields = frame_data_fields},
    TEXT_N("lang"),
    TEXT_N("status"),
    TEXT_N("sym_addr"),
    TEXT_N("symbol"),
    END,
};

static const struct shape_field image_feature_fields[] = {
    BOOL_A("has_debug_info"),
    BOOL_A("has_sources"),
    BOOL_A("has_symbols"),
    BOOL_A("has_unwind_info"),
    END,
};

static const struct shape_field image_fields[] = {
    TEXT_N("arch"),
    TEXT_N("code_file"),
    TEXT_N("debug_id"),
    TEXT_N("debug_status"),
    TEXT_N("image_addr"),
    TEXT_N("image_vmaddr"),
    TEXT_N("type"),
    TEXT_N("uuid"),
    {.key = "image_size", .kind = SHAPE_U64},
    {.key = "features", .kind = SHAPE_OBJECT, .fields = image_feature_fields},
    END,
};

static const struct shape_field debug_meta_fields[] = {
    {.key = "images", .kind = SHAPE_LIST, .fields = image_fields},
    END,
};

#define DEBUG_META                                                                             \
    {                                                                                          \
        .key = "debug_meta", .absent = "{}", .kind = SHAPE_OBJECT, .fields = debug_meta_fields \
    }

static const struct shape_field chunk_fields[] = {
    DEBUG_META,
    {.key = "measurements", .absent = "null", .kind = SHAPE_RAW},
    END,
};

static const struct shape_field measurement_value_fields[] = {
    U64_A("elapsed_since_start_ns"),
    {.key = "value", .absent = "0", .kind = SHAPE_DOUBLE},
    END,
};

static const struct shape_field measurement_fields[] = {
    TEXT_A("unit"),
    {.key = "values", .absent = "null", .kind = SHAPE_LIST, .fields = measurement_value_fields},
    END,
};

static const struct shape_field device_fields[] = {
    TEXT_A("architecture"), TEXT_A("classification"), TEXT_A("locale"),
    TEXT_A("manufacturer"), TEXT_A("model"),          END,
};
#define DEVICE_ABSENT                                                                       \
    "{\"architecture\":\"\",\"classification\":\"\",\"locale\":\"\",\"manufacturer\":\"\"," \
    "\"model\":\"\"}"

static const struct shape_field os_fields[] = {
    TEXT_A("build_number"),
    TEXT_A("name"),
    TEXT_A("version"),
    END,
};

static const struct shape_field runtime_fields[] = {TEXT_A("name"), TEXT_A("version"), END};

static const struct shape_field metadata_fields[] = {
    TEXT_N("app.identifier"),  TEXT_N("dist"),
    TEXT_N("environment"),     TEXT_N("http.method"),
    TEXT_N("release"),         TEXT_N("transaction"),
    TEXT_N("transaction.op"),  TEXT_N("transaction.status"),
    TEXT_N("segment_id"),      TIME_A("transaction.start"),
    TIME_A("transaction.end"), END,
};
#define METADATA_ABSENT \
    "{\"transaction.start\":\"" TIME_TEXT_ZERO "\",\"transaction.end\":\"" TIME_TEXT_ZERO "\"}"

static const struct shape_field profile_fields[] = {
    DEBUG_META,
    {.key = "device", .absent = DEVICE_ABSENT, .kind = SHAPE_OBJECT, .fields = device_fields},
    {.key = "os",
     .absent = "{\"build_number\":\"\",\"name\":\"\",\"version\":\"\"}",
     .kind = SHAPE_OBJECT,
     .fields = os_fields},
    {.key = "runtime",
     .absent = "{\"name\":\"\",\"version\":\"\"}",
     .kind = SHAPE_OBJECT,
     .fields = runtime_fields},
    {.key = "measurements", .kind = SHAPE_MAP, .fields = measurement_fields},
    {.key = "transaction_metadata",
     .absent = METADATA_ABSENT,
     .kind = SHAPE_OBJECT,
     .fields = metadata_fields},
    {.key = "transaction_tags", .kind = SHAPE_TEXTS},
    END,
};

static const struct shape_field queue_fields[] = {TEXT_A("label"), END};

/* ---- the writer ---- */

enum part {
    PART_HEAD,
    PART_REST,
    PART_FRAMES,
    PART_STACKS,
    PART_SAMPLES,
    PART_THREADS,
    PART_QUEUES,
    PART_TAIL,
    PART_DONE
};

struct document_writer {
    const struct profile *p;
    struct json_writer json;
    enum part part;
    size_t next;               /* element of the part */
    uint32_t node;             /* PART_STACKS: of the stack being written, PROFILE_NONE: none */
    bool in_stack;             /* PART_STACKS: its bracket is open */
    struct shape_writer shape; /* at work while its depth is not 0 */
    struct mem_account *account;
};

enum err document_writer_create(const struct profile *p, struct arena *arena,
                                struct document_writer **ret)
{
    struct document_writer *w = ARENA_NEW(arena, struct document_writer);
    if (w == NULL)
        return arena->failed;
    *w = (struct document_writer){.p = p, .account = arena->account};
    json_writer_init(&w->json, NULL);
    *ret = w;
    return ERR_OK;
}

static void enter_part(struct document_writer *w, enum part part)
{
    w->part = part;
    w->next = 0;
}

static void put_string(struct document_writer *w, const char *key, uint32_t id)
{
    json_key(&w->json, key);
    json_string(&w->json, profile_string(w->p, id));
}

static void put_string_unless_empty(struct document_writer *w, const char *key, uint32_t id)
{
    if (profile_string(w->p, id).len > 0)
        put_string(w, key, id);
}

static void put_number(struct document_writer *w, const char *key, uint64_t v)
{
    json_key(&w->json, key);
    json_u64(&w->json, v);
}

/* A value of `rest`, data NULL without one. */
static struct bytes rest_value(const struct document_writer *w, const char *key)
{
    struct bytes none = {NULL, 0};
    return w->p->rest.len == 0 ? none : json_find(w->p->rest, key);
}

/* Ids that are no UUID wait in `rest`, as they came. */
static void put_id(struct document_writer *w, const char *key, const char *rest_key, struct uuid id)
{
    struct bytes text = rest_value(w, rest_key);
    json_key(&w->json, key);
    if (text.len > 0)
        json_raw(&w->json, text);
    else if (uuid_is_nil(id))
        json_text(&w->json, "");
    else
        json_uuid(&w->json, id);
}

static void put_time(struct document_writer *w, int64_t ns)
{
    char text[TIMESTAMP_TEXT_SIZE];
    if (ns == 0)
        json_text(&w->json, TIME_TEXT_ZERO);
    else
        json_string(&w->json, bytes_of(text, timestamp_print_rfc3339(ns, text)));
}

/* ---- head ---- */

static void put_common(struct document_writer *w)
{
    const struct profile *p = w->p;
    struct bytes retention = rest_value(w, "retention_days");
    put_string(w, "platform", p->platform);
    put_string(w, "release", p->release);
    put_string(w, "version", p->version);
    json_key(&w->json, "client_sdk");
    json_begin_object(&w->json);
    put_string(w, "name", p->sdk_name);
    put_string(w, "version", p->sdk_version);
    json_end_object(&w->json);
    put_number(w, "organization_id", p->organization_id);
    put_number(w, "project_id", p->project_id);
    json_key(&w->json, "retention_days");
    if (retention.len > 0)
        json_raw(&w->json, retention);
    else
        json_u64(&w->json, p->retention_days);
    json_key(&w->json, "options");
    json_null(&w->json);
}

static void put_chunk_head(struct document_writer *w)
{
    struct bytes received = rest_value(w, "received");
    put_id(w, "chunk_id", "chunk_id", w->p->id);
    put_id(w, "profiler_id", "profiler_id", w->p->profiler_id);
    put_string(w, "environment", w->p->environment);
    json_key(&w->json, "received");
    if (received.len > 0)
        json_raw(&w->json, received);
    else
        json_seconds(&w->json, w->p->received_ns);
}

/* Text keeps its offset, a number becomes UTC. */
static void put_received_time(struct document_writer *w)
{
    struct bytes received = rest_value(w, "received");
    json_key(&w->json, "received");
    if (received.len > 2 && received.data[0] == '"') /* a moment has no escapes */
        time_text_put(&w->json, bytes_of(received.data + 1, received.len - 2));
    else
        put_time(w, w->p->received_ns);
}

static void put_digits(struct document_writer *w, const char *key, uint32_t id)
{
    uint64_t number = 0;
    if (!bytes_to_u64(profile_string(w->p, id), &number))
        number = 0;
    put_number(w, key, number);
}

static void put_transaction(struct document_writer *w)
{
    struct bytes duration = rest_value(w, "transaction_duration_ns");
    json_key(&w->json, "transaction");
    json_begin_object(&w->json);
    put_digits(w, "active_thread_id", w->p->active_thread);
    if (duration.len > 0) {
        json_key(&w->json, "duration_ns");
        json_raw(&w->json, duration);
    }
    put_id(w, "id", "transaction_id", w->p->transaction_id);
    put_string(w, "name", w->p->transaction);
    put_id(w, "trace_id", "trace_id", w->p->trace_id);
    put_string(w, "segment_id", w->p->segment_id);
    json_end_object(&w->json);
}

static void put_profile_head(struct document_writer *w)
{
    struct bytes timestamp = profile_string(w->p, w->p->timestamp_text);
    put_id(w, "event_id", "event_id", w->p->id);
    put_string_unless_empty(w, "environment", w->p->environment);
    put_received_time(w);
    json_key(&w->json, "sampled");
    json_bool(&w->json, (w->p->flags & PROFILE_SAMPLED) != 0);
    json_key(&w->json, "timestamp");
    if (timestamp.len > 0)
        time_text_put(&w->json, timestamp);
    else
        put_time(w, w->p->timestamp_ns);
    put_transaction(w);
}

static void step_head(struct document_writer *w)
{
    bool is_chunk = w->p->kind == PROFILE_CHUNK;
    json_begin_object(&w->json);
    if (is_chunk)
        put_chunk_head(w);
    else
        put_profile_head(w);
    put_common(w);
    shape_start_fields(&w->shape, is_chunk ? chunk_fields : profile_fields, w->p->rest);
    enter_part(w, PART_REST); /* once the shape is through */
}

/* ---- lists ---- */

/* At the list's start: its key, and its bracket or null. At its end: the bracket. True with an
 * element to write. */
static bool step_list(struct document_writer *w, const char *key, size_t count, bool is_null,
                      enum part after)
{
    if (w->next == 0) {
        json_key(&w->json, key);
        if (is_null && count == 0) {
            json_null(&w->json);
            enter_part(w, after);
            return false;
        }
        json_begin_array(&w->json);
    }
    if (w->next < count)
        return true;
    json_end_array(&w->json);
    enter_part(w, after);
    return false;
}

static void put_frame(struct document_writer *w, uint32_t index)
{
    static const struct profile_frame nothing = {0};
    const struct profile *p = w->p;
    const struct profile_frame *f = index < p->frame_count ? &p->frames[index] : &nothing;
    json_begin_object(&w->json);
    put_string_unless_empty(w, "abs_path", f->abs_path);
    if (f->column != 0)
        put_number(w, "colno", f->column);
    put_string_unless_empty(w, "filename", f->filename);
    put_string_unless_empty(w, "function", f->function);
    json_key(&w->json, "in_app");
    if (f->in_app == IN_APP_ABSENT)
        json_null(&w->json);
    else
        json_bool(&w->json, f->in_app == IN_APP_TRUE);
    put_string_unless_empty(w, "instruction_addr", f->instruction_addr);
    if (f->line != 0)
        put_number(w, "lineno", f->line);
    put_string_unless_empty(w, "module", f->module);
    put_string_unless_empty(w, "package", f->package);
    put_string_unless_empty(w, "platform", f->platform);
    struct bytes rest = profile_string(p, f->rest);
    if (rest.len == 0) {
        json_key(&w->json, "data");
        json_raw(&w->json, BYTES("{}"));
        json_end_object(&w->json);
    } else {
        shape_start_fields(&w->shape, frame_fields, rest);
        w->shape.levels[0].inside = false; /* it ends the frame */
    }
}

static void step_frames(struct document_writer *w)
{
    if (w->next == 0) {
        json_key(&w->json, "profile");
        json_begin_object(&w->json);
    }
    bool is_null = (w->p->flags & PROFILE_FRAMES_NULL) != 0;
    if (step_list(w, "frames", w->p->frame_list_count, is_null, PART_STACKS))
        put_frame(w, w->p->frame_list[w->next++]);
}

/* An index that no list can have is written as one that no list has. */
static void put_index(struct document_writer *w, uint32_t index)
{
    if (index == PROFILE_NONE)
        json_i64(&w->json, -1);
    else
        json_u64(&w->json, index);
}

/* A stack may be long: so many frames a step. */
#define STACK_STEP 512

static void step_stack(struct document_writer *w)
{
    if (!w->in_stack) {
        json_begin_array(&w->json);
        w->node = w->p->stacks[w->next];
        w->in_stack = true;
    }
    for (unsigned i = 0; i < STACK_STEP && w->node != PROFILE_NONE; i++) {
        put_index(w, w->p->node_frame[w->node]);
        w->node = w->p->node_parent[w->node];
    }
    if (w->node == PROFILE_NONE) {
        json_end_array(&w->json);
        w->in_stack = false;
        w->next++;
    }
}

static void step_stacks(struct document_writer *w)
{
    bool is_null = (w->p->flags & PROFILE_STACKS_NULL) != 0;
    if (w->in_stack || step_list(w, "stacks", w->p->stack_count, is_null, PART_SAMPLES))
        step_stack(w);
}

static void put_chunk_sample(struct document_writer *w, size_t sample)
{
    const struct profile *p = w->p;
    json_begin_object(&w->json);
    json_key(&w->json, "stack_id");
    put_index(w, p->sample_stack[sample]);
    put_string(w, "thread_id", p->threads[p->sample_thread[sample]].id);
    json_key(&w->json, "timestamp");
    json_double(&w->json, profile_sample_seconds(p, sample));
    json_end_object(&w->json);
}

static void put_profile_sample(struct document_writer *w, size_t sample)
{
    const struct profile *p = w->p;
    json_begin_object(&w->json);
    put_number(w, "elapsed_since_start_ns", p->sample_time[sample]);
    if (p->sample_queue != NULL)
        put_string_unless_empty(w, "queue_address", p->sample_queue[sample]);
    json_key(&w->json, "stack_id");
    put_index(w, p->sample_stack[sample]);
    if (p->sample_idle != NULL && p->sample_idle[sample] != 0) {
        json_key(&w->json, "state");
        json_text(&w->json, "idle");
    }
    put_digits(w, "thread_id", p->threads[p->sample_thread[sample]].id);
    json_end_object(&w->json);
}

static void step_samples(struct document_writer *w)
{
    bool is_null = (w->p->flags & PROFILE_SAMPLES_NULL) != 0;
    if (!step_list(w, "samples", w->p->sample_count, is_null, PART_THREADS))
        return;
    if (w->p->kind == PROFILE_CHUNK)
        put_chunk_sample(w, w->next++);
    else
        put_profile_sample(w, w->next++);
}

/* ---- thread and queue metadata ---- */

static bool has_known_threads(const struct profile *p)
{
    for (size_t i = 0; i < p->thread_count; i++)
        if (p->threads[i].known != 0)
            return true;
    return false;
}

static void put_thread(struct document_writer *w, const struct profile_thread *t)
{
    json_key_bytes(&w->json, profile_string(w->p, t->id));
    json_begin_object(&w->json);
    put_string_unless_empty(w, "name", t->name);
    if (t->priority != 0)
        put_number(w, "priority", t->priority);
    json_end_object(&w->json);
}

static void step_threads(struct document_writer *w)
{
    const struct profile *p = w->p;
    enum part after = p->kind == PROFILE_CHUNK ? PART_TAIL : PART_QUEUES;
    if (w->next == 0) {
        json_key(&w->json, "thread_metadata");
        if ((p->flags & PROFILE_THREADS_NULL) != 0 && !has_known_threads(p)) {
            json_null(&w->json);
            enter_part(w, after);
            return;
        }
        json_begin_object(&w->json);
    }
    while (w->next < p->thread_count && p->threads[w->next].known == 0)
        w->next++;
    if (w->next < p->thread_count) {
        put_thread(w, &p->threads[w->next++]);
        return;
    }
    json_end_object(&w->json);
    enter_part(w, after);
}

static void step_queues(struct document_writer *w)
{
    struct bytes queues = rest_value(w, "queue_metadata");
    json_key(&w->json, "queue_metadata");
    if (queues.len == 0 || queues.data[0] != '{')
        json_null(&w->json);
    else
        shape_start_map(&w->shape, queue_fields, queues, &w->json);
    enter_part(w, PART_TAIL);
}

/* ---- slices ---- */

static void step(struct document_writer *w)
{
    switch (w->part) {
    case PART_HEAD: step_head(w); break;
    case PART_REST: enter_part(w, PART_FRAMES); break;
    case PART_FRAMES: step_frames(w); break;
    case PART_STACKS: step_stacks(w); break;
    case PART_SAMPLES: step_samples(w); break;
    case PART_THREADS: step_threads(w); break;
    case PART_QUEUES: step_queues(w); break;
    case PART_TAIL:
        json_end_object(&w->json); /* profile */
        json_end_object(&w->json);
        enter_part(w, PART_DONE);
        break;
    case PART_DONE: break;
    }
}

enum err document_writer_next(struct document_writer *w, size_t want, struct buffer *out,
                              bool *ret_done)
{
    struct buffer scratch; /* texts with escapes in them */
    buffer_init(&scratch, JSON_STRING_MAX, w->account);
    w->json.out = out;
    size_t start = out->len;
    enum err rc = ERR_OK;
    while (rc == ERR_OK && w->part != PART_DONE && out->len - start < want) {
        if (w->shape.depth > 0)
            rc = shape_step(&w->shape, &w->json, &scratch);
        else
            step(w);
        if (rc == ERR_OK)
            rc = out->failed;
    }
    buffer_close(&scratch);
    w->json.out = NULL;
    if (rc == ERR_OK)
        *ret_done = w->part == PART_DONE;
    return rc;
}
