#include "engine/envelope.h"

#include "base/limits.h"
#include "base/size.h"
#include "engine/json_reader.h"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))

enum state {
    STATE_ENVELOPE,       /* blanks, then the envelope header's object */
    STATE_ENVELOPE_READ,  /* it is complete and must be read */
    STATE_AFTER_ENVELOPE, /* a line feed, or the end */
    STATE_ITEM,
    STATE_ITEM_READ,
    STATE_AFTER_ITEM,
    STATE_COUNTED,      /* payload of a known length */
    STATE_LINE,         /* payload to the next line feed */
    STATE_AFTER_PAYLOAD /* a line feed, or the end */
};

/* Where the bytes of a JSON object end, without understanding them. */
struct object_scan {
    unsigned depth;
    bool in_string;
    bool escaped;
};

/* What types count together, and how much of it there may be. */
enum group {
    GROUP_PROFILE,
    GROUP_TRANSACTION,
    GROUP_EVENT,
    GROUP_SECURITY,
    GROUP_FORM,
    GROUP_FEEDBACK,
    GROUP_REPLAY_EVENT,
    GROUP_ATTACHMENT,
    GROUP_SESSION,
    GROUP_REPORT,
    GROUP_CHECK_IN,
    GROUP_STATSD,
    GROUP_BUCKETS,
    GROUP_LOG,
    GROUP_TRACE_METRIC,
    GROUP_SPANS,
    GROUP_SPAN,
    GROUP_RECORDING,
    GROUP_VIDEO,
    GROUP_FREE,
    GROUP_COUNT
};

struct group_limit {
    const char *what;
    size_t count_max;
    size_t each_max;
    size_t total_max;
    size_t average_max; /* payload size by contained items; 0: not limited */
};

static const struct group_limit group_limits[GROUP_COUNT] = {
    [GROUP_PROFILE] = {"profile", 1, PROFILE_SIZE_MAX, PROFILE_SIZE_MAX, 0},
    [GROUP_TRANSACTION] = {"transaction", 1, EVENT_SIZE_MAX, EVENT_SIZE_MAX, 0},
    [GROUP_EVENT] = {"event", 1, EVENT_SIZE_MAX, EVENT_SIZE_MAX, 0},
    [GROUP_SECURITY] = {"security", 1, EVENT_SIZE_MAX, EVENT_SIZE_MAX, 0},
    [GROUP_FORM] = {"form_data", 1, EVENT_SIZE_MAX, EVENT_SIZE_MAX, 0},
    [GROUP_FEEDBACK] = {"feedback", 1, EVENT_SIZE_MAX, EVENT_SIZE_MAX, 0},
    [GROUP_REPLAY_EVENT] = {"replay_event", 1, EVENT_SIZE_MAX, EVENT_SIZE_MAX, 0},
    [GROUP_ATTACHMENT] = {"attachment", ATTACHMENT_COUNT_MAX, ATTACHMENT_SIZE_MAX,
                          ATTACHMENT_SIZE_MAX, 0},
    [GROUP_SESSION] = {"session", SESSION_COUNT_MAX, SESSIONS_SIZE_MAX, SESSIONS_SIZE_MAX, 0},
    [GROUP_REPORT] = {"client_report", CLIENT_REPORT_COUNT_MAX, CLIENT_REPORTS_SIZE_MAX,
                      CLIENT_REPORTS_SIZE_MAX, 0},
    [GROUP_CHECK_IN] = {"check_in", 1, CHECK_IN_SIZE_MAX, CHECK_IN_SIZE_MAX, 0},
    [GROUP_STATSD] = {"statsd", 1, STATSD_SIZE_MAX, STATSD_SIZE_MAX, 0},
    [GROUP_BUCKETS] = {"metric_buckets", 1, STATSD_SIZE_MAX, STATSD_SIZE_MAX, 0},
    [GROUP_LOG] = {"log", 1, SPAN_CONTAINER_SIZE_MAX, SPAN_CONTAINER_SIZE_MAX, LOG_ENTRY_SIZE_MAX},
    [GROUP_TRACE_METRIC] = {"trace_metric", 1, SPAN_CONTAINER_SIZE_MAX, SPAN_CONTAINER_SIZE_MAX,
                            TRACE_METRIC_SIZE_MAX},
    [GROUP_SPANS] = {"span", 1, SPAN_CONTAINER_SIZE_MAX, SPAN_CONTAINER_SIZE_MAX, SPAN_SIZE_MAX},
    [GROUP_SPAN] = {"span", SPAN_COUNT_MAX, SPAN_SIZE_MAX, SPAN_CONTAINER_SIZE_MAX, 0},
    [GROUP_RECORDING] = {"replay_recording", 1, REPLAY_SIZE_MAX, REPLAY_SIZE_MAX, 0},
    [GROUP_VIDEO] = {"replay_video", 1, REPLAY_SIZE_MAX, REPLAY_SIZE_MAX, 0},
    [GROUP_FREE] = {"item", SIZE_MAX, SIZE_MAX, SIZE_MAX, 0}};

static const enum group groups[ENVELOPE_TYPE_COUNT] = {[ENVELOPE_PROFILE] = GROUP_PROFILE,
                                                       [ENVELOPE_PROFILE_CHUNK] = GROUP_PROFILE,
                                                       [ENVELOPE_TRANSACTION] = GROUP_TRANSACTION,
                                                       [ENVELOPE_SPAN] = GROUP_SPAN,
                                                       [ENVELOPE_SPAN_CONTAINER] = GROUP_SPANS,
                                                       [ENVELOPE_CLIENT_REPORT] = GROUP_REPORT,
                                                       [ENVELOPE_EVENT] = GROUP_EVENT,
                                                       [ENVELOPE_SECURITY] = GROUP_SECURITY,
                                                       [ENVELOPE_RAW_SECURITY] = GROUP_SECURITY,
                                                       [ENVELOPE_UNREAL_REPORT] = GROUP_ATTACHMENT,
                                                       [ENVELOPE_FORM_DATA] = GROUP_FORM,
                                                       [ENVELOPE_FEEDBACK] = GROUP_FEEDBACK,
                                                       [ENVELOPE_USER_REPORT] = GROUP_ATTACHMENT,
                                                       [ENVELOPE_SESSION] = GROUP_SESSION,
                                                       [ENVELOPE_SESSIONS] = GROUP_SESSION,
                                                       [ENVELOPE_ATTACHMENT] = GROUP_ATTACHMENT,
                                                       [ENVELOPE_CHECK_IN] = GROUP_CHECK_IN,
                                                       [ENVELOPE_REPLAY_EVENT] = GROUP_REPLAY_EVENT,
                                                       [ENVELOPE_REPLAY_RECORDING] =
                                                           GROUP_RECORDING,
                                                       [ENVELOPE_REPLAY_VIDEO] = GROUP_VIDEO,
                                                       [ENVELOPE_LOG] = GROUP_LOG,
                                                       [ENVELOPE_TRACE_METRIC] = GROUP_TRACE_METRIC,
                                                       [ENVELOPE_STATSD] = GROUP_STATSD,
                                                       [ENVELOPE_METRIC_BUCKETS] = GROUP_BUCKETS,
                                                       [ENVELOPE_METRIC_META] = GROUP_FREE,
                                                       [ENVELOPE_NEL] = GROUP_FREE,
                                                       [ENVELOPE_UNKNOWN] = GROUP_FREE};

static const struct {
    struct bytes text;
    bool kept;
    bool event;
} types[ENVELOPE_TYPE_COUNT] = {
#define ENVELOPE_ROW(code, text, kept, event) {BYTES(text), kept, event},
    ENVELOPE_ITEM_TYPES(ENVELOPE_ROW)
#undef ENVELOPE_ROW
};

struct envelope {
    struct mem_account *account;
    enum state state;
    size_t offset;        /* bytes fed */
    size_t header_offset; /* where the object being scanned began */
    bool item_begun;      /* blanks were read where an item header must follow */
    struct object_scan scan;
    struct buffer object; /* the header being gathered */
    struct buffer scratch;
    struct buffer dsn;
    struct buffer texts; /* platforms */
    struct buffer items; /* struct envelope_item */
    struct envelope_header header;
    bool header_known;
    bool needs_event_id;
    struct envelope_item item; /* the current one */
    bool has_length;
    size_t length;
    bool listed; /* the current one goes into the list */
    size_t group_count[GROUP_COUNT];
    size_t group_size[GROUP_COUNT];
    const char *over; /* a limit was passed: which; said at the end */
};

enum err envelope_create(struct mem_account *account, struct envelope **ret, struct errinfo *info)
{
    struct envelope *e = mem_zalloc(sizeof(*e));
    if (e == NULL)
        return err_set(info, ERR_NOMEM, "envelope: no memory");
    e->account = account;
    buffer_init(&e->object, ENVELOPE_HEADER_MAX, account);
    buffer_init(&e->scratch, ENVELOPE_HEADER_MAX, account);
    buffer_init(&e->dsn, ENVELOPE_HEADER_MAX, account);
    buffer_init(&e->texts, ENVELOPE_SIZE_MAX, account);
    buffer_init(&e->items, SIZE_MAX, account);
    *ret = e;
    return ERR_OK;
}

struct envelope_item *envelope_items(const struct envelope *e, size_t *ret_count)
{
    *ret_count = e->items.len / sizeof(struct envelope_item);
    return (struct envelope_item *)(void *)e->items.data;
}

const struct envelope_header *envelope_header(const struct envelope *e)
{
    return e->header_known ? &e->header : NULL;
}

struct bytes envelope_platform(const struct envelope *e, const struct envelope_item *item)
{
    if (!item->has_platform)
        return (struct bytes){NULL, 0};
    if (item->platform_size == 0)
        return BYTES(""); /* there, and no platform's name */
    return bytes_of(e->texts.data + item->platform_at, item->platform_size);
}

bool envelope_needs_event_id(const struct envelope *e)
{
    return e->needs_event_id;
}

size_t envelope_size(const struct envelope *e)
{
    return e->offset;
}

void envelope_destroy(struct envelope *e)
{
    if (e == NULL)
        return;
    size_t count;
    struct envelope_item *items = envelope_items(e, &count);
    for (size_t i = 0; i < count; i++)
        buffer_close(&items[i].payload);
    buffer_close(&e->item.payload);
    buffer_close(&e->object);
    buffer_close(&e->scratch);
    buffer_close(&e->dsn);
    buffer_close(&e->texts);
    buffer_close(&e->items);
    mem_free(e);
}

/* ---- failures ---- */

static enum err malformed(const struct envelope *e, struct errinfo *info, const char *expected)
{
    return err_set(info, ERR_MALFORMED, "envelope: offset %zu: expected %s", e->offset, expected);
}

/* A buffer's failure, forgotten so that the same step may be tried again. */
static enum err no_room(struct buffer *b, struct errinfo *info)
{
    enum err rc = b->failed;
    b->failed = ERR_OK;
    return err_set(info, rc, "envelope: no room for it");
}

/* Too much of something. Nothing of the envelope will be used, so nothing is kept from here on. */
static void pass_limit(struct envelope *e, const char *what)
{
    size_t count;
    struct envelope_item *items = envelope_items(e, &count);
    if (e->over != NULL)
        return;
    e->over = what;
    for (size_t i = 0; i < count; i++)
        buffer_close(&items[i].payload);
    buffer_close(&e->item.payload);
}

/* ---- headers ---- */

/* Bytes of `piece` up to and with the end of the object; *ret_done when that is among them. */
static size_t scan_object(struct object_scan *s, struct bytes piece, bool *ret_done)
{
    *ret_done = false;
    for (size_t i = 0; i < piece.len; i++) {
        uint8_t c = piece.data[i];
        if (s->escaped) {
            s->escaped = false;
        } else if (s->in_string) {
            s->escaped = c == '\\';
            s->in_string = c != '"';
        } else if (c == '"') {
            s->in_string = true;
        } else if (c == '{' || c == '[') {
            s->depth++;
        } else if ((c == '}' || c == ']') && --s->depth == 0) {
            *ret_done = true;
            return i + 1;
        }
    }
    return piece.len;
}

/* Gather an object; *ret_done once it is whole. */
static enum err take_object(struct envelope *e, struct bytes piece, size_t *ret_used,
                            bool *ret_done, struct errinfo *info)
{
    size_t blanks = 0;
    *ret_done = false;
    if (e->scan.depth == 0) {
        while (blanks < piece.len && (piece.data[blanks] == ' ' || piece.data[blanks] == '\n' ||
                                      piece.data[blanks] == '\r' || piece.data[blanks] == '\t'))
            blanks++;
        *ret_used = blanks;
        e->item_begun |= blanks > 0;
        piece = bytes_from(piece, blanks);
        if (piece.len == 0)
            return ERR_OK;
        if (piece.data[0] != '{')
            return malformed(e, info, "a header, a JSON object");
        e->header_offset = e->offset + blanks;
    }
    struct object_scan after = e->scan;
    size_t len = scan_object(&after, piece, ret_done);
    buffer_put(&e->object, bytes_first(piece, len));
    if (e->object.failed == ERR_LIMIT && e->object.len + len > ENVELOPE_HEADER_MAX)
        return err_set(info, ERR_LIMIT, "envelope: a header over %zu bytes", ENVELOPE_HEADER_MAX);
    if (e->object.failed != ERR_OK)
        return no_room(&e->object, info);
    e->scan = *ret_done ? (struct object_scan){0} : after;
    e->item_begun = true;
    *ret_used = blanks + len;
    return ERR_OK;
}

static void reader_open(struct envelope *e, struct json_reader *r, struct errinfo *info)
{
    buffer_clear(&e->scratch);
    json_reader_init(r, buffer_bytes(&e->object), &e->scratch, info);
}

/* A failure of reading a header, placed in the envelope. */
static enum err header_failed(struct envelope *e, enum err rc, const char *what,
                              struct errinfo *info)
{
    char prefix[64];
    if (rc != ERR_MALFORMED)
        return no_room(&e->scratch, info);
    struct errinfo where;
    (void)err_set(&where, rc, "%s at %zu", what, e->header_offset);
    memcpy(prefix, where.text, sizeof(prefix));
    prefix[sizeof(prefix) - 1] = 0;
    return err_wrap(info, rc, prefix);
}

static bool seen_twice(uint64_t *seen, int key)
{
    uint64_t bit = UINT64_C(1) << key;
    bool twice = (*seen & bit) != 0;
    *seen |= bit;
    return twice;
}

static enum err keep_text(struct envelope *e, struct bytes text, size_t *ret_at,
                          struct errinfo *info)
{
    *ret_at = e->texts.len;
    buffer_put(&e->texts, text);
    return e->texts.failed == ERR_OK ? ERR_OK : no_room(&e->texts, info);
}

enum envelope_key { KEY_EVENT_ID, KEY_DSN, KEY_SDK, KEY_SENT_AT, KEY_TRACE, KEY_COUNT };

static void read_envelope_key(struct json_reader *r, int key, struct envelope_header *h)
{
    bool wanted = key == KEY_EVENT_ID || key == KEY_DSN;
    if (!wanted || json_take_null(r)) {
        if (!wanted)
            (void)json_skip(r);
        return;
    }
    (void)json_peek(r);
    const uint8_t *at = r->at;
    struct bytes text = json_read_string(r);
    if (key == KEY_DSN) {
        h->has_dsn = true;
        h->dsn = text;
        return;
    }
    h->has_event_id = r->failed == ERR_OK && uuid_parse(text, &h->event_id);
    if (!h->has_event_id)
        json_fail_at(r, at, ERR_MALFORMED, "event_id to be a UUID");
}

static enum err read_envelope_header(struct envelope *e, struct errinfo *info)
{
    static const struct bytes names[KEY_COUNT] = {BYTES("event_id"), BYTES("dsn"), BYTES("sdk"),
                                                  BYTES("sent_at"), BYTES("trace")};
    struct json_reader r;
    struct json_keys keys;
    struct envelope_header h = {0};
    uint64_t seen = 0;
    int key;
    reader_open(e, &r, info);
    json_keys_init(&keys, names, KEY_COUNT);
    json_enter_keys(&r, &keys);
    while (json_next_key(&r, &keys, &key)) {
        if (key >= 0 && seen_twice(&seen, key))
            json_fail(&r, ERR_MALFORMED, "a key only once");
        read_envelope_key(&r, key, &h);
        if (key != KEY_DSN || !h.has_dsn || r.failed != ERR_OK)
            continue;
        buffer_clear(&e->dsn);
        buffer_put(&e->dsn, h.dsn);
        if (e->dsn.failed != ERR_OK)
            return no_room(&e->dsn, info);
    }
    enum err rc = json_end(&r);
    if (rc != ERR_OK)
        return header_failed(e, rc, "envelope header", info);
    h.dsn = buffer_bytes(&e->dsn);
    e->header = h;
    e->header_known = true;
    return ERR_OK;
}

enum item_key {
    ITEM_TYPE,
    ITEM_LENGTH,
    ITEM_CONTENT_TYPE,
    ITEM_PLATFORM,
    ITEM_META_LENGTH,
    ITEM_SAMPLED,
    ITEM_COUNT_KEY,
    ITEM_KEY_COUNT
};

static const struct {
    struct bytes text;
    enum envelope_item_type type;
} aliases[] = {{BYTES("profile_chunk_ui"), ENVELOPE_PROFILE_CHUNK}};

static enum envelope_item_type type_of(struct bytes text)
{
    for (int i = 0; i < ENVELOPE_UNKNOWN; i++)
        if (bytes_equal(types[i].text, text))
            return (enum envelope_item_type)i;
    for (int i = 0; i < COUNT_OF(aliases); i++)
        if (bytes_equal(aliases[i].text, text))
            return aliases[i].type;
    return ENVELOPE_UNKNOWN;
}

static void set_type(struct envelope_item *item, struct bytes text)
{
    size_t len = size_min(text.len, sizeof(item->type_text));
    item->type = type_of(text);
    item->type_size = (uint8_t)len;
    if (len > 0)
        memcpy(item->type_text, text.data, len);
}

/* What the keys of an item header say before it is known to be good. */
struct item_facts {
    struct envelope_item item;
    bool has_length;
    size_t length;
    bool container;
    struct bytes platform; /* a copy in the envelope's texts */
};

static void read_item_key(struct json_reader *r, int key, struct item_facts *f)
{
    if (key != ITEM_TYPE && json_take_null(r))
        return;
    switch (key) {
    case ITEM_TYPE: set_type(&f->item, json_read_string(r)); break;
    case ITEM_LENGTH:
        f->length = json_read_u32(r);
        f->has_length = true;
        break;
    case ITEM_CONTENT_TYPE: {
        struct bytes type = json_read_string(r);
        f->item.perfetto = bytes_equal(type, BYTES("application/x-perfetto-trace"));
        f->container = bytes_equal(type, BYTES("application/vnd.sentry.items.span.v2+json"));
        break;
    }
    case ITEM_META_LENGTH:
        (void)json_read_u32(r);
        f->item.has_meta_length = true;
        break;
    case ITEM_SAMPLED: f->item.unsampled = bytes_equal(json_skip(r), BYTES("false")); break;
    case ITEM_COUNT_KEY:
        f->item.item_count = json_read_u64(r);
        f->item.has_item_count = true;
        break;
    default: (void)json_skip(r); break;
    }
}

static enum err read_item_facts(struct envelope *e, struct item_facts *f, struct errinfo *info)
{
    static const struct bytes names[ITEM_KEY_COUNT] = {
        BYTES("type"),        BYTES("length"),  BYTES("content_type"), BYTES("platform"),
        BYTES("meta_length"), BYTES("sampled"), BYTES("item_count")};
    struct json_reader r;
    struct json_keys keys;
    uint64_t seen = 0;
    int key;
    reader_open(e, &r, info);
    json_keys_init(&keys, names, ITEM_KEY_COUNT);
    json_enter_keys(&r, &keys);
    while (json_next_key(&r, &keys, &key)) {
        if (key >= 0 && seen_twice(&seen, key))
            json_fail(&r, ERR_MALFORMED, "a key only once");
        if (key != ITEM_PLATFORM || json_take_null(&r)) {
            if (key != ITEM_PLATFORM)
                read_item_key(&r, key, f);
            continue;
        }
        struct bytes platform = json_read_string(&r);
        f->item.has_platform = true;
        f->item.platform_size = platform.len;
        TRY(keep_text(e, platform, &f->item.platform_at, info));
    }
    if ((seen & (1u << ITEM_TYPE)) == 0)
        json_fail(&r, ERR_MALFORMED, "an item header with type");
    enum err rc = json_end(&r);
    return rc == ERR_OK ? rc : header_failed(e, rc, "item header", info);
}

static enum err read_item_header(struct envelope *e, struct errinfo *info)
{
    struct item_facts f = {0};
    size_t texts = e->texts.len;
    enum err rc = read_item_facts(e, &f, info);
    size_t count;
    (void)envelope_items(e, &count);
    bool limited = rc == ERR_OK && groups[f.item.type] != GROUP_FREE;
    e->listed = e->over == NULL && (limited || count < ENVELOPE_ITEMS_LISTED);
    if (rc == ERR_OK && e->listed &&
        buffer_reserve(&e->items, sizeof(struct envelope_item)) != ERR_OK)
        rc = no_room(&e->items, info);
    if (rc != ERR_OK || !types[f.item.type].kept) {
        e->texts.len = texts; /* only kept items' platforms matter */
        f.item.has_platform = false;
    }
    if (rc != ERR_OK)
        return rc;
    if (f.item.type == ENVELOPE_SPAN && f.container)
        f.item.type = ENVELOPE_SPAN_CONTAINER;
    e->item = f.item;
    e->has_length = f.has_length;
    e->length = f.length;
    e->needs_event_id |= types[f.item.type].event;
    const struct group_limit *limit = &group_limits[groups[f.item.type]];
    size_t payload_max = f.has_length ? size_min(f.length, limit->each_max) : limit->each_max;
    buffer_init(&e->item.payload, payload_max, e->account);
    if (++e->group_count[groups[f.item.type]] > limit->count_max)
        pass_limit(e, limit->what);
    return ERR_OK;
}

/* ---- payloads ---- */

/* Account for `piece` of the payload, and keep it when it is wanted. */
static enum err take_payload(struct envelope *e, struct bytes piece, struct errinfo *info)
{
    struct envelope_item *item = &e->item;
    enum group group = groups[item->type];
    const struct group_limit *limit = &group_limits[group];
    bool over = piece.len > limit->each_max - item->size ||
                piece.len > limit->total_max - e->group_size[group];
    if (over)
        pass_limit(e, limit->what);
    if (types[item->type].kept && e->over == NULL) {
        buffer_put(&item->payload, piece);
        if (item->payload.failed != ERR_OK)
            return no_room(&item->payload, info);
    }
    item->size += piece.len;
    e->group_size[group] += piece.len;
    return ERR_OK;
}

static void end_item(struct envelope *e)
{
    struct envelope_item *item = &e->item;
    const struct group_limit *limit = &group_limits[groups[item->type]];
    if (limit->average_max != 0 && item->has_item_count && item->item_count > 0 &&
        item->size / item->item_count > limit->average_max)
        pass_limit(e, limit->what);
    if (e->listed && e->over == NULL)
        buffer_put(&e->items, bytes_of(item, sizeof(*item))); /* has room */
    else
        buffer_close(&item->payload);
    item->payload = (struct buffer){0};
    e->item_begun = false;
}

static enum err take_counted(struct envelope *e, struct bytes piece, size_t *ret_used,
                             struct errinfo *info)
{
    piece = bytes_first(piece, e->length - e->item.size);
    TRY(take_payload(e, piece, info));
    *ret_used = piece.len;
    if (e->item.size == e->length)
        e->state = STATE_AFTER_PAYLOAD;
    return ERR_OK;
}

static enum err take_line(struct envelope *e, struct bytes piece, size_t *ret_used,
                          struct errinfo *info)
{
    struct bytes line = bytes_first(piece, bytes_find_byte(piece, '\n'));
    TRY(take_payload(e, line, info));
    *ret_used = line.len;
    if (line.len < piece.len)
        e->state = STATE_AFTER_PAYLOAD;
    return ERR_OK;
}

/* ---- the machine ---- */

static enum err take_line_feed(struct envelope *e, struct bytes piece, size_t *ret_used,
                               enum state next, struct errinfo *info)
{
    if (piece.data[0] != '\n')
        return malformed(e, info, "a line feed or the end");
    *ret_used = 1;
    e->state = next;
    return ERR_OK;
}

static enum state payload_state(const struct envelope *e)
{
    if (!e->has_length)
        return STATE_LINE;
    return e->length == 0 ? STATE_AFTER_PAYLOAD : STATE_COUNTED;
}

static enum err gather(struct envelope *e, struct bytes piece, size_t *ret_used, enum state next,
                       struct errinfo *info)
{
    bool done;
    TRY(take_object(e, piece, ret_used, &done, info));
    if (done)
        e->state = next;
    return ERR_OK;
}

static enum err read_header(struct envelope *e, struct errinfo *info)
{
    bool item = e->state == STATE_ITEM_READ;
    TRY(item ? read_item_header(e, info) : read_envelope_header(e, info));
    buffer_clear(&e->object);
    e->state = item ? STATE_AFTER_ITEM : STATE_AFTER_ENVELOPE;
    return ERR_OK;
}

static enum err step(struct envelope *e, struct bytes piece, size_t *ret_used, struct errinfo *info)
{
    switch (e->state) {
    case STATE_ENVELOPE: return gather(e, piece, ret_used, STATE_ENVELOPE_READ, info);
    case STATE_ITEM: return gather(e, piece, ret_used, STATE_ITEM_READ, info);
    case STATE_ENVELOPE_READ:
    case STATE_ITEM_READ: return read_header(e, info);
    case STATE_AFTER_ENVELOPE:
        e->item_begun = false;
        return take_line_feed(e, piece, ret_used, STATE_ITEM, info);
    case STATE_AFTER_ITEM: return take_line_feed(e, piece, ret_used, payload_state(e), info);
    case STATE_COUNTED: return take_counted(e, piece, ret_used, info);
    case STATE_LINE: return take_line(e, piece, ret_used, info);
    case STATE_AFTER_PAYLOAD: {
        enum err rc = take_line_feed(e, piece, ret_used, STATE_ITEM, info);
        if (rc == ERR_OK)
            end_item(e);
        return rc;
    }
    }
    return ERR_OK;
}

static bool must_read(const struct envelope *e)
{
    return e->state == STATE_ENVELOPE_READ || e->state == STATE_ITEM_READ;
}

enum err envelope_feed(struct envelope *e, struct bytes piece, size_t *ret_used,
                       struct errinfo *info)
{
    size_t used = 0;
    enum err rc = ERR_OK;
    while (rc == ERR_OK && (used < piece.len || must_read(e))) {
        size_t taken = 0;
        rc = step(e, bytes_from(piece, used), &taken, info);
        used += taken;
        e->offset += taken;
        if (rc == ERR_OK && e->offset > ENVELOPE_SIZE_MAX)
            rc = err_set(info, ERR_LIMIT, "envelope: more than %zu bytes", ENVELOPE_SIZE_MAX);
    }
    *ret_used = used;
    return rc;
}

enum err envelope_finish(struct envelope *e, struct errinfo *info)
{
    if (must_read(e))
        TRY(read_header(e, info));
    switch (e->state) {
    case STATE_ENVELOPE: return malformed(e, info, "an envelope header, a whole JSON object");
    case STATE_ITEM:
        if (e->item_begun)
            return malformed(e, info, "a whole item header");
        break;
    case STATE_AFTER_ITEM:
        if (e->has_length && e->length > 0)
            return malformed(e, info, "a payload");
        end_item(e);
        break;
    case STATE_COUNTED: return malformed(e, info, "the rest of a payload");
    case STATE_LINE:
    case STATE_AFTER_PAYLOAD: end_item(e); break;
    case STATE_AFTER_ENVELOPE:
    case STATE_ENVELOPE_READ:
    case STATE_ITEM_READ: break;
    }
    e->state = STATE_ITEM; /* called again, nothing is ended twice */
    if (e->over != NULL)
        return err_set(info, ERR_LIMIT, "envelope: too many or too large items: %s", e->over);
    return ERR_OK;
}
