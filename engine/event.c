#include "engine/event.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "base/timestamp.h"
#include "engine/json_reader.h"

#define COUNT_OF(array)   (int)(sizeof(array) / sizeof((array)[0]))
#define SPAN_ID_TEXT_SIZE 16

/* A reader whose texts outlive it. */
struct event_reader {
    struct json_reader r;
    struct buffer scratch;
    struct arena *arena;
};

static void event_reader_open(struct event_reader *er, struct bytes json, struct arena *arena,
                              struct errinfo *info)
{
    er->arena = arena;
    buffer_init(&er->scratch, json.len, arena->account);
    json_reader_init(&er->r, json, &er->scratch, info);
}

/* ---- values; of another type they count as missing ---- */

static struct bytes keep(struct event_reader *er, struct bytes text)
{
    if (text.len == 0 || er->r.failed != ERR_OK)
        return BYTES("");
    struct bytes copy = arena_copy(er->arena, text);
    if (copy.data == NULL)
        json_fail(&er->r, er->arena->failed, "memory for a text");
    return copy.data == NULL ? BYTES("") : copy;
}

/* The text of a string; a view. */
static struct bytes peek_text(struct event_reader *er)
{
    if (json_peek(&er->r) == JSON_STRING)
        return json_read_string(&er->r);
    (void)json_skip(&er->r);
    return BYTES("");
}

static struct bytes read_text(struct event_reader *er)
{
    return keep(er, peek_text(er));
}

/* The same, and numbers as they are written. */
static struct bytes read_text_or_number(struct event_reader *er)
{
    if (json_peek(&er->r) == JSON_NUMBER)
        return keep(er, json_read_number(&er->r));
    return read_text(er);
}

static struct uuid read_uuid(struct event_reader *er)
{
    struct uuid id = {{0}};
    (void)uuid_parse(peek_text(er), &id);
    return id;
}

/* 16 hexadecimal digits; 0 otherwise. */
static uint64_t parse_span_id(struct bytes text)
{
    uint64_t id = 0;
    if (text.len != SPAN_ID_TEXT_SIZE)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        uint8_t letter = c | 0x20;
        if (c >= '0' && c <= '9')
            id = id << 4 | (uint64_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            id = id << 4 | (uint64_t)(letter - 'a' + 10);
        else
            return 0;
    }
    return id;
}

static uint64_t read_span_id(struct event_reader *er)
{
    return parse_span_id(peek_text(er));
}

/* Unix seconds or RFC 3339; 0 when neither. */
static int64_t read_time(struct event_reader *er)
{
    int64_t ns = 0;
    double seconds;
    if (json_peek(&er->r) != JSON_NUMBER) {
        (void)timestamp_parse_rfc3339(peek_text(er), &ns);
        return ns;
    }
    struct bytes text = json_read_number(&er->r);
    if (er->r.failed != ERR_OK || timestamp_parse_seconds(text, &ns))
        return ns;
    if (decimal_to_double(text, &seconds))
        (void)timestamp_from_double(seconds, &ns);
    return ns;
}

static bool is_object(struct event_reader *er)
{
    if (json_peek(&er->r) == JSON_OBJECT)
        return true;
    (void)json_skip(&er->r);
    return false;
}

static bool is_array(struct event_reader *er)
{
    if (json_peek(&er->r) == JSON_ARRAY)
        return true;
    (void)json_skip(&er->r);
    return false;
}

/* ---- the data of a span or trace context ---- */

enum data_key { DATA_PROFILER, DATA_THREAD_ID, DATA_THREAD_NAME, DATA_COUNT };

static void read_data(struct event_reader *er, struct link *link)
{
    static const struct bytes names[DATA_COUNT] = {BYTES("profiler_id"), BYTES("thread.id"),
                                                   BYTES("thread.name")};
    struct json_keys keys;
    int key;
    if (!is_object(er))
        return;
    json_keys_init(&keys, names, DATA_COUNT);
    json_enter_keys(&er->r, &keys);
    while (json_next_key(&er->r, &keys, &key))
        switch (key) {
        case DATA_PROFILER: link->profiler_id = read_uuid(er); break;
        case DATA_THREAD_ID: link->thread_id = read_text_or_number(er); break;
        case DATA_THREAD_NAME: link->thread_name = read_text(er); break;
        default: (void)json_skip(&er->r); break;
        }
}

/* ---- transactions ---- */

enum trace_key { TRACE_TRACE_ID, TRACE_SPAN_ID, TRACE_PARENT, TRACE_OP, TRACE_DATA, TRACE_COUNT };

static void read_trace_context(struct event_reader *er, struct event *e)
{
    static const struct bytes names[TRACE_COUNT] = {
        BYTES("trace_id"), BYTES("span_id"), BYTES("parent_span_id"), BYTES("op"), BYTES("data")};
    struct json_keys keys;
    int key;
    if (!is_object(er))
        return;
    json_keys_init(&keys, names, TRACE_COUNT);
    json_enter_keys(&er->r, &keys);
    while (json_next_key(&er->r, &keys, &key))
        switch (key) {
        case TRACE_TRACE_ID: e->link.trace_id = read_uuid(er); break;
        case TRACE_SPAN_ID:
            e->segment_id = read_text(er);
            e->link.span_id = parse_span_id(e->segment_id);
            if (e->link.span_id == 0)
                e->segment_id = BYTES("");
            break;
        case TRACE_PARENT: e->link.parent_span_id = read_span_id(er); break;
        case TRACE_OP: e->link.op = read_text(er); break;
        case TRACE_DATA: read_data(er, &e->link); break;
        default: (void)json_skip(&er->r); break;
        }
}

static void read_profile_context(struct event_reader *er, struct uuid *profiler_id)
{
    static const struct bytes names[] = {BYTES("profiler_id")};
    struct json_keys keys;
    int key;
    if (!is_object(er))
        return;
    json_keys_init(&keys, names, COUNT_OF(names));
    json_enter_keys(&er->r, &keys);
    while (json_next_key(&er->r, &keys, &key))
        if (key == 0)
            *profiler_id = read_uuid(er);
        else
            (void)json_skip(&er->r);
}

static void read_contexts(struct event_reader *er, struct event *e, struct uuid *profiler_id)
{
    static const struct bytes names[] = {BYTES("trace"), BYTES("profile")};
    struct json_keys keys;
    int key;
    if (!is_object(er))
        return;
    json_keys_init(&keys, names, COUNT_OF(names));
    json_enter_keys(&er->r, &keys);
    while (json_next_key(&er->r, &keys, &key))
        if (key == 0)
            read_trace_context(er, e);
        else if (key == 1)
            read_profile_context(er, profiler_id);
        else
            (void)json_skip(&er->r);
}

enum span_key {
    SPAN_TRACE_ID,
    SPAN_SPAN_ID,
    SPAN_PARENT,
    SPAN_OP,
    SPAN_DESCRIPTION,
    SPAN_START,
    SPAN_END,
    SPAN_DATA,
    SPAN_IS_SEGMENT,
    SPAN_NAME,
    SPAN_END_V2,
    SPAN_ATTRIBUTES,
    SPAN_COUNT
};

static const struct bytes span_names[SPAN_COUNT] = {
    BYTES("trace_id"),  BYTES("span_id"),       BYTES("parent_span_id"),
    BYTES("op"),        BYTES("description"),   BYTES("start_timestamp"),
    BYTES("timestamp"), BYTES("data"),          BYTES("is_segment"),
    BYTES("name"),      BYTES("end_timestamp"), BYTES("attributes")};

/* ---- attributes: {"thread.id": {"value": ..., "type": ...}, ...} ---- */

enum attribute_key {
    ATTRIBUTE_PROFILER,
    ATTRIBUTE_THREAD_ID,
    ATTRIBUTE_THREAD_NAME,
    ATTRIBUTE_OP,
    ATTRIBUTE_ENVIRONMENT,
    ATTRIBUTE_RELEASE,
    ATTRIBUTE_PLATFORM,
    ATTRIBUTE_COUNT
};

static void read_attribute_value(struct event_reader *er, int key, struct link *link)
{
    switch (key) {
    case ATTRIBUTE_PROFILER: link->profiler_id = read_uuid(er); break;
    case ATTRIBUTE_THREAD_ID: link->thread_id = read_text_or_number(er); break;
    case ATTRIBUTE_THREAD_NAME: link->thread_name = read_text(er); break;
    case ATTRIBUTE_OP: link->op = read_text(er); break;
    case ATTRIBUTE_ENVIRONMENT: link->environment = read_text(er); break;
    case ATTRIBUTE_RELEASE: link->release = read_text(er); break;
    case ATTRIBUTE_PLATFORM: link->platform = read_text(er); break;
    default: (void)json_skip(&er->r); break;
    }
}

static void read_attributes(struct event_reader *er, struct link *link)
{
    static const struct bytes names[ATTRIBUTE_COUNT] = {
        BYTES("sentry.profiler_id"), BYTES("thread.id"),          BYTES("thread.name"),
        BYTES("sentry.op"),          BYTES("sentry.environment"), BYTES("sentry.release"),
        BYTES("sentry.platform")};
    struct json_keys keys;
    struct bytes name;
    int key;
    if (!is_object(er))
        return;
    json_keys_init(&keys, names, ATTRIBUTE_COUNT);
    json_enter_keys(&er->r, &keys);
    while (json_next_key(&er->r, &keys, &key)) {
        if (key < 0) {
            (void)json_skip(&er->r);
            continue;
        }
        if (!is_object(er))
            continue;
        json_enter_object(&er->r);
        while (json_next_member(&er->r, &name))
            read_attribute_value(er, bytes_equal(name, BYTES("value")) ? key : JSON_KEY_UNKNOWN,
                                 link);
    }
}

/* Both spellings of a span: those inside transactions, and those that are streamed. */
static void read_span(struct event_reader *er, struct json_keys *keys, struct link *link)
{
    int key;
    *link = (struct link){0};
    link->name = link->op = link->thread_id = link->thread_name = BYTES("");
    link->environment = link->release = link->platform = BYTES("");
    if (!is_object(er))
        return;
    json_enter_keys(&er->r, keys);
    while (json_next_key(&er->r, keys, &key))
        switch (key) {
        case SPAN_TRACE_ID: link->trace_id = read_uuid(er); break;
        case SPAN_SPAN_ID: link->span_id = read_span_id(er); break;
        case SPAN_PARENT: link->parent_span_id = read_span_id(er); break;
        case SPAN_OP: link->op = read_text(er); break;
        case SPAN_NAME:
        case SPAN_DESCRIPTION: link->name = read_text(er); break;
        case SPAN_START: link->start_ns = read_time(er); break;
        case SPAN_END_V2:
        case SPAN_END: link->end_ns = read_time(er); break;
        case SPAN_DATA: read_data(er, link); break;
        case SPAN_IS_SEGMENT:
            link->is_segment = bytes_equal(json_skip(&er->r), BYTES("true"));
            break;
        case SPAN_ATTRIBUTES: read_attributes(er, link); break;
        default: (void)json_skip(&er->r); break;
        }
}

/* Whether a span says where to look for its samples. */
static bool can_link(const struct link *link)
{
    return !uuid_is_nil(link->profiler_id) && !uuid_is_nil(link->trace_id) && link->span_id != 0;
}

static void read_event_spans(struct event_reader *er, struct buffer *spans)
{
    struct json_keys keys;
    if (!is_array(er))
        return;
    json_keys_init(&keys, span_names, SPAN_COUNT);
    json_enter_array(&er->r);
    while (json_next_element(&er->r)) {
        struct link link;
        read_span(er, &keys, &link);
        if (er->r.failed == ERR_OK && can_link(&link))
            buffer_put(spans, bytes_of(&link, sizeof(link)));
        if (spans->failed != ERR_OK)
            json_fail(&er->r, spans->failed, "memory for spans");
    }
}

static void read_sdk(struct event_reader *er, struct event *e)
{
    static const struct bytes names[] = {BYTES("name"), BYTES("version")};
    struct json_keys keys;
    int key;
    if (!is_object(er))
        return;
    json_keys_init(&keys, names, COUNT_OF(names));
    json_enter_keys(&er->r, &keys);
    while (json_next_key(&er->r, &keys, &key))
        if (key == 0)
            e->sdk_name = read_text(er);
        else if (key == 1)
            e->sdk_version = read_text(er);
        else
            (void)json_skip(&er->r);
}

enum event_key {
    EVENT_TRANSACTION,
    EVENT_CONTEXTS,
    EVENT_START,
    EVENT_END,
    EVENT_SPANS,
    EVENT_ID,
    EVENT_RELEASE,
    EVENT_ENVIRONMENT,
    EVENT_DIST,
    EVENT_PLATFORM,
    EVENT_SDK,
    EVENT_COUNT
};

static void read_event_key(struct event_reader *er, int key, struct event *e,
                           struct uuid *profiler_id, struct buffer *spans)
{
    switch (key) {
    case EVENT_TRANSACTION: e->link.name = read_text(er); break;
    case EVENT_CONTEXTS: read_contexts(er, e, profiler_id); break;
    case EVENT_START: e->link.start_ns = read_time(er); break;
    case EVENT_END: e->link.end_ns = read_time(er); break;
    case EVENT_SPANS: read_event_spans(er, spans); break;
    case EVENT_ID: e->has_event_id = uuid_parse(peek_text(er), &e->event_id); break;
    case EVENT_RELEASE: e->link.release = read_text(er); break;
    case EVENT_ENVIRONMENT: e->link.environment = read_text(er); break;
    case EVENT_DIST: e->dist = read_text(er); break;
    case EVENT_PLATFORM: e->link.platform = read_text(er); break;
    case EVENT_SDK: read_sdk(er, e); break;
    default: (void)json_skip(&er->r); break;
    }
}

/* What the transaction says of itself holds for its spans. */
static void complete_spans(const struct event *e, struct buffer *spans)
{
    struct link *links = (struct link *)(void *)spans->data;
    size_t count = spans->len / sizeof(*links);
    for (size_t i = 0; i < count; i++) {
        links[i].environment = e->link.environment;
        links[i].release = e->link.release;
        links[i].platform = e->link.platform;
    }
}

static struct event empty_event(void)
{
    struct bytes none = BYTES("");
    struct event e = {.dist = none, .sdk_name = none, .sdk_version = none, .segment_id = none};
    e.link.name = e.link.op = e.link.thread_id = e.link.thread_name = none;
    e.link.environment = e.link.release = e.link.platform = none;
    e.link.is_segment = true;
    return e;
}

enum err event_read_transaction(struct bytes json, struct arena *arena, struct event *ret,
                                struct buffer *spans, struct errinfo *info)
{
    static const struct bytes names[EVENT_COUNT] = {
        BYTES("transaction"), BYTES("contexts"),    BYTES("start_timestamp"),
        BYTES("timestamp"),   BYTES("spans"),       BYTES("event_id"),
        BYTES("release"),     BYTES("environment"), BYTES("dist"),
        BYTES("platform"),    BYTES("sdk")};
    struct event_reader er;
    struct json_keys keys;
    struct event e = empty_event();
    struct uuid profiler_id = {{0}};
    int key;
    event_reader_open(&er, json, arena, info);
    json_keys_init(&keys, names, EVENT_COUNT);
    json_enter_keys(&er.r, &keys);
    while (json_next_key(&er.r, &keys, &key))
        read_event_key(&er, key, &e, &profiler_id, spans);
    enum err rc = json_end(&er.r);
    buffer_close(&er.scratch);
    if (rc != ERR_OK)
        return rc;
    if (!uuid_is_nil(profiler_id))
        e.link.profiler_id = profiler_id;
    complete_spans(&e, spans);
    *ret = e;
    return ERR_OK;
}

/* ---- streamed spans ---- */

/* One span, its texts in an arena of its own. */
static void pass_span(struct event_reader *er, struct json_keys *keys, void *self,
                      event_on_link on_link)
{
    struct arena arena;
    struct link link;
    arena_init(&arena, SPAN_SIZE_MAX, er->scratch.account);
    er->arena = &arena;
    read_span(er, keys, &link);
    if (er->r.failed == ERR_OK && can_link(&link)) {
        enum err rc = on_link(self, &link);
        if (rc != ERR_OK)
            json_fail(&er->r, rc, "room for a span");
    }
    arena_close(&arena);
    er->arena = NULL;
}

static void read_items(struct event_reader *er, void *self, event_on_link on_link)
{
    struct json_keys keys;
    if (!is_array(er))
        return;
    json_keys_init(&keys, span_names, SPAN_COUNT);
    json_enter_array(&er->r);
    while (json_next_element(&er->r))
        pass_span(er, &keys, self, on_link);
}

enum err event_read_spans(struct bytes json, struct mem_account *account, void *self,
                          event_on_link on_link, struct errinfo *info)
{
    struct event_reader er;
    struct bytes name;
    struct arena none;
    arena_init(&none, 0, account);
    event_reader_open(&er, json, &none, info);
    json_enter_object(&er.r);
    while (json_next_member(&er.r, &name))
        if (bytes_equal(name, BYTES("items")))
            read_items(&er, self, on_link);
        else
            (void)json_skip(&er.r);
    enum err rc = json_end(&er.r);
    buffer_close(&er.scratch);
    arena_close(&none);
    return rc;
}

enum err event_read_span(struct bytes json, struct mem_account *account, void *self,
                         event_on_link on_link, struct errinfo *info)
{
    struct event_reader er;
    struct json_keys keys;
    struct arena none;
    arena_init(&none, 0, account);
    event_reader_open(&er, json, &none, info);
    json_keys_init(&keys, span_names, SPAN_COUNT);
    pass_span(&er, &keys, self, on_link);
    enum err rc = json_end(&er.r);
    buffer_close(&er.scratch);
    arena_close(&none);
    return rc;
}

/* ---- client reports ---- */

/* Lists of {"reason", "category", "quantity"}. */
static void add_quantities(struct event_reader *er, uint64_t *sum)
{
    static const struct bytes names[] = {BYTES("quantity")};
    struct json_keys keys;
    int key;
    if (!is_array(er))
        return;
    json_keys_init(&keys, names, COUNT_OF(names));
    json_enter_array(&er->r);
    while (json_next_element(&er->r)) {
        if (!is_object(er))
            continue;
        json_enter_keys(&er->r, &keys);
        while (json_next_key(&er->r, &keys, &key))
            if (key == 0 && json_peek(&er->r) == JSON_NUMBER) {
                uint64_t quantity = 0;
                (void)bytes_to_u64(json_read_number(&er->r), &quantity);
                if (__builtin_add_overflow(*sum, quantity, sum))
                    *sum = UINT64_MAX;
            } else {
                (void)json_skip(&er->r);
            }
    }
}

enum err event_read_report(struct bytes json, struct mem_account *account, uint64_t *ret_discards,
                           struct errinfo *info)
{
    static const struct bytes names[] = {BYTES("discarded_events"), BYTES("rate_limited_events"),
                                         BYTES("filtered_events"),
                                         BYTES("filtered_sampling_events")};
    struct event_reader er;
    struct json_keys keys;
    struct arena none;
    uint64_t sum = 0;
    int key;
    arena_init(&none, 0, account);
    event_reader_open(&er, json, &none, info);
    json_keys_init(&keys, names, COUNT_OF(names));
    json_enter_keys(&er.r, &keys);
    while (json_next_key(&er.r, &keys, &key))
        if (key >= 0)
            add_quantities(&er, &sum);
        else
            (void)json_skip(&er.r);
    enum err rc = json_end(&er.r);
    buffer_close(&er.scratch);
    arena_close(&none);
    if (rc == ERR_OK)
        *ret_discards = sum;
    return rc;
}
