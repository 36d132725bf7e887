/* import_file.c - see import_file.h */
#include "api/main/import_file.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/timestamp.h"
#include "engine/json_reader.h"

#define HEADERS_SUFFIX ".headers.json"
/* Well formed, and nobody's: a server in open mode and a data folder take it. */
#define KEY_OF_NOBODY "68656172746820696d706f7274206b65"

/* ---- files ---- */

static enum err read_opened(struct vfs *vfs, struct vfs_file *file, const char *path,
                            size_t size_max, struct arena *arena, struct bytes *ret,
                            struct errinfo *info)
{
    uint64_t size;
    TRY(vfs->size(vfs, file, &size, info));
    if (size > size_max)
        return err_set(info, ERR_LIMIT, "%s: %zu bytes at most, the file has %llu", path, size_max,
                       (unsigned long long)size);
    uint8_t *data = arena_take(arena, (size_t)size, 1);
    if (data == NULL)
        return err_set(info, arena->failed, "%s: no memory for it", path);
    TRY(vfs->read_at(vfs, file, 0, data, (size_t)size, info));
    *ret = bytes_of(data, (size_t)size);
    return ERR_OK;
}

static enum err read_file(struct vfs *vfs, const char *path, size_t size_max, struct arena *arena,
                          struct bytes *ret, struct errinfo *info)
{
    struct vfs_file *file;
    TRY(vfs->open(vfs, path, VFS_READ, &file, info));
    enum err rc = read_opened(vfs, file, path, size_max, arena, ret, info);
    vfs->close(vfs, file);
    return rc;
}

static const char *text_copy(struct arena *arena, struct bytes text)
{
    char *copy = arena_take(arena, text.len + 1, 1);
    if (copy == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* ---- the request ---- */

struct bytes import_file_field(const struct import_file *f, struct bytes name)
{
    for (size_t i = 0; i < f->field_count; i++)
        if (bytes_equal_nocase(f->fields[i].name, name))
            return f->fields[i].value;
    return (struct bytes){0};
}

/* "/api/PROJECT/envelope[/][?query]", slashes may repeat. False for any other target. */
static bool parse_target(struct import_file *f)
{
    size_t path_len = bytes_find_byte(f->target, '?');
    struct bytes path = bytes_first(f->target, path_len);
    struct bytes parts[3] = {{0}};
    size_t count = 0;
    f->query = bytes_from(f->target, path_len + 1);
    while (path.len > 0) {
        struct bytes part = bytes_first(path, bytes_find_byte(path, '/'));
        path = bytes_from(path, part.len + 1);
        if (part.len == 0)
            continue;
        if (count == 3)
            return false;
        parts[count++] = part;
    }
    return count == 3 && bytes_equal(parts[0], BYTES("api")) &&
           bytes_equal(parts[2], BYTES("envelope")) && bytes_to_u64(parts[1], &f->project_id);
}

/* Of the connection it was recorded on, not of the request. */
static bool is_hop_header(struct bytes name)
{
    static const struct bytes hops[] = {
        BYTES("host"),       BYTES("content-length"), BYTES("transfer-encoding"),
        BYTES("connection"), BYTES("keep-alive"),     BYTES("expect")};
    for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++)
        if (bytes_equal_nocase(name, hops[i]))
            return true;
    return false;
}

static bool add_field(struct import_file *f, struct bytes name, struct bytes value)
{
    if (f->field_count == CLIENT_FIELD_COUNT_MAX)
        return false;
    if (f->fields == NULL) {
        f->fields = ARENA_ARRAY(&f->arena, CLIENT_FIELD_COUNT_MAX, struct http_client_field);
        if (f->fields == NULL)
            return false;
    }
    f->fields[f->field_count++] = (struct http_client_field){name, value};
    return true;
}

static enum err put_authorization(struct import_file *f, const struct import_options *options)
{
    struct buffer text;
    buffer_init(&text, KIB(1), NULL);
    buffer_printf(&text, "Sentry sentry_version=7, sentry_client=hearth.import/1, sentry_key=%s",
                  options->key == NULL ? KEY_OF_NOBODY : options->key);
    struct bytes copy = arena_copy(&f->arena, buffer_bytes(&text));
    enum err rc = text.failed;
    buffer_close(&text);
    if (rc == ERR_OK && (copy.data == NULL || !add_field(f, BYTES("X-Sentry-Auth"), copy)))
        rc = ERR_NOMEM;
    return rc;
}

static enum err put_target(struct import_file *f, uint64_t project_id)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "/api/%llu/envelope/", (unsigned long long)project_id);
    f->method = "POST";
    f->target = arena_copy(&f->arena, bytes_of(text, (size_t)len));
    if (f->target.data == NULL)
        return ERR_NOMEM;
    f->is_envelope = parse_target(f);
    return ERR_OK;
}

/* ---- recorded ---- */

static void read_header(struct json_reader *r, struct import_file *f)
{
    struct bytes pair[2] = {{0}};
    size_t count = 0;
    json_enter_array(r);
    while (json_next_element(r)) {
        struct bytes text = arena_copy(&f->arena, json_read_string(r));
        if (count < 2)
            pair[count] = text;
        count++;
    }
    if (r->failed != ERR_OK)
        return;
    if (count != 2)
        json_fail(r, ERR_MALFORMED, "a header as [name, value]");
    else if (!is_hop_header(pair[0]) && !add_field(f, pair[0], pair[1]))
        json_fail(r, ERR_LIMIT, "fewer headers");
}

static enum err read_headers(struct bytes text, struct import_file *f, struct errinfo *info)
{
    static const struct bytes names[] = {BYTES("method"), BYTES("target"), BYTES("headers")};
    struct json_keys keys;
    struct json_reader r;
    struct buffer scratch;
    int key;
    buffer_init(&scratch, KIB(64), NULL);
    json_keys_init(&keys, names, 3);
    json_reader_init(&r, text, &scratch, info);
    json_enter_keys(&r, &keys);
    while (json_next_key(&r, &keys, &key)) {
        switch (key) {
        case 0: f->method = text_copy(&f->arena, json_read_string(&r)); break;
        case 1: f->target = arena_copy(&f->arena, json_read_string(&r)); break;
        case 2:
            json_enter_array(&r);
            while (json_next_element(&r))
                read_header(&r, f);
            break;
        default: (void)json_skip(&r);
        }
    }
    enum err rc = json_end(&r);
    buffer_close(&scratch);
    if (rc == ERR_OK && (f->method == NULL || f->target.len == 0 || f->target.data[0] != '/'))
        rc = err_set(info, ERR_MALFORMED, "expected \"method\" and \"target\"");
    return rc;
}

static enum err open_recorded(const struct import_source *source, struct vfs *vfs,
                              struct import_file *f, struct errinfo *info)
{
    struct bytes headers = {0};
    TRY(read_file(vfs, source->path, IMPORT_HEADERS_MAX, &f->arena, &headers, info));
    enum err rc = read_headers(headers, f, info);
    if (rc != ERR_OK)
        return err_wrap(info, rc, source->path);
    struct bytes stem = bytes_of_text(source->path);
    stem.len -= sizeof(HEADERS_SUFFIX) - 1;
    struct buffer path;
    buffer_init(&path, KIB(8), NULL);
    buffer_put(&path, stem);
    buffer_put(&path, bytes_of_text(".body"));
    buffer_put_u8(&path, 0);
    rc = path.failed;
    if (rc == ERR_OK)
        rc = read_file(vfs, (const char *)path.data, ENVELOPE_SIZE_MAX, &f->arena, &f->body, info);
    buffer_close(&path);
    f->is_envelope = strcmp(f->method, "POST") == 0 && parse_target(f);
    return rc;
}

/* ---- an envelope alone ---- */

/* "SCHEME://KEY@HOST/PATH/PROJECT" */
static bool dsn_project(struct bytes dsn, uint64_t *ret)
{
    while (bytes_ends_with(dsn, BYTES("/")))
        dsn.len--;
    size_t at = dsn.len;
    while (at > 0 && dsn.data[at - 1] != '/')
        at--;
    return bytes_to_u64(bytes_from(dsn, at), ret);
}

/* Project of the dsn in the envelope's header, when there is one. */
static bool envelope_project(struct bytes body, uint64_t *ret)
{
    struct json_reader r;
    struct buffer scratch;
    buffer_init(&scratch, KIB(64), NULL);
    json_reader_init(&r, body, &scratch, NULL);
    struct bytes dsn = json_find(json_skip(&r), "dsn");
    bool found = false;
    if (r.failed == ERR_OK && dsn.data != NULL) {
        json_reader_init(&r, dsn, &scratch, NULL);
        struct bytes text = json_read_string(&r);
        found = r.failed == ERR_OK && dsn_project(text, ret);
    }
    buffer_close(&scratch);
    return found;
}

/* Without recorded headers only the first bytes tell the coding. */
static struct bytes guess_coding(struct bytes body)
{
    if (bytes_starts_with(body, BYTES("\x1f\x8b")))
        return BYTES("gzip");
    if (bytes_starts_with(body, BYTES("\x28\xb5\x2f\xfd")))
        return BYTES("zstd");
    return (struct bytes){0};
}

static enum err open_envelope(const struct import_source *source,
                              const struct import_options *options, struct import_file *f,
                              struct errinfo *info)
{
    TRY(read_file(options->vfs, source->path, ENVELOPE_SIZE_MAX, &f->arena, &f->body, info));
    uint64_t project_id = options->project_id;
    struct bytes coding = guess_coding(f->body);
    bool has_dsn = coding.data == NULL && options->key == NULL &&
                   envelope_project(f->body, project_id == 0 ? &project_id : &(uint64_t){0});
    TRY(put_target(f, project_id == 0 ? 1 : project_id));
    if (coding.data != NULL && !add_field(f, BYTES("Content-Encoding"), coding))
        return ERR_NOMEM;
    return has_dsn ? ERR_OK : put_authorization(f, options);
}

/* ---- a document ---- */

/* The text of a JSON string without escapes; empty for anything else. */
static struct bytes plain_string(struct bytes json)
{
    if (json.len < 2 || json.data[0] != '"' || bytes_find_byte(json, '\\') != json.len)
        return (struct bytes){0};
    return bytes_first(bytes_from(json, 1), json.len - 2);
}

static struct bytes find_first(struct bytes object, const char *name, const char *other)
{
    struct bytes value = json_find(object, name);
    return value.data == NULL || bytes_equal(value, BYTES("null")) ? json_find(object, other)
                                                                   : value;
}

/* Largest elapsed_since_start_ns of the samples: how long the transaction ran at least. */
static uint64_t longest_elapsed(struct bytes document)
{
    static const struct bytes names[] = {BYTES("elapsed_since_start_ns")};
    struct bytes samples = json_find(json_find(document, "profile"), "samples");
    struct json_keys keys;
    struct json_reader r;
    struct buffer scratch;
    uint64_t longest = 0;
    int key;
    buffer_init(&scratch, KIB(64), NULL);
    json_keys_init(&keys, names, 1);
    json_reader_init(&r, samples, &scratch, NULL);
    json_enter_array(&r);
    while (json_next_element(&r)) {
        json_enter_keys(&r, &keys);
        while (json_next_key(&r, &keys, &key)) {
            uint64_t value = 0;
            if (key == JSON_KEY_UNKNOWN)
                (void)json_skip(&r);
            else if (json_peek(&r) == JSON_STRING)
                (void)bytes_to_u64(json_read_string(&r), &value);
            else
                value = json_read_u64(&r);
            longest = value > longest ? value : longest;
        }
    }
    buffer_close(&scratch);
    return longest;
}

static void put_member(struct buffer *out, const char *name, struct bytes value)
{
    if (value.data == NULL || bytes_equal(value, BYTES("null")))
        return;
    buffer_printf(out, ",\"%s\":", name);
    buffer_put(out, value);
}

/* The event that the profile names: without it a server takes the profile for a stray one. */
static enum err put_transaction(struct bytes document, struct bytes profile_id, struct buffer *out,
                                struct errinfo *info)
{
    struct bytes meta = json_find(document, "transaction");
    if (meta.data == NULL || meta.data[0] != '{') {
        struct bytes list = json_find(document, "transactions");
        struct json_reader r;
        json_reader_init(&r, list, NULL, NULL);
        json_enter_array(&r);
        meta = json_next_element(&r) ? json_skip(&r) : (struct bytes){0};
    }
    struct bytes id = json_find(meta, "id");
    struct bytes trace_id = json_find(meta, "trace_id");
    struct bytes start = json_find(document, "timestamp");
    int64_t start_ns;
    if (plain_string(id).len < 32 || plain_string(trace_id).len < 32 ||
        !timestamp_parse_rfc3339(plain_string(start), &start_ns))
        return err_set(info, ERR_MALFORMED,
                       "expected transaction.id, transaction.trace_id and an RFC 3339 timestamp");
    uint64_t elapsed = longest_elapsed(document);
    char end[TIMESTAMP_TEXT_SIZE];
    if (elapsed > PROFILE_DURATION_MAX_NS)
        elapsed = PROFILE_DURATION_MAX_NS; /* such a profile is refused, with its own reason */
    size_t end_len = timestamp_print_rfc3339(start_ns + (int64_t)elapsed, end);
    struct bytes span_id = json_find(meta, "segment_id");

    buffer_put(out, BYTES("{\"type\":\"transaction\""));
    put_member(out, "event_id", id);
    put_member(out, "transaction", json_find(meta, "name"));
    put_member(out, "start_timestamp", start);
    buffer_printf(out, ",\"timestamp\":\"%.*s\"", (int)end_len, end);
    put_member(out, "platform", json_find(document, "platform"));
    put_member(out, "release", json_find(document, "release"));
    put_member(out, "environment", json_find(document, "environment"));
    put_member(out, "dist", json_find(document, "dist"));
    put_member(out, "sdk", json_find(document, "client_sdk"));
    buffer_put(out, BYTES(",\"contexts\":{\"trace\":{\"op\":\"import\""));
    put_member(out, "trace_id", trace_id);
    buffer_put(out, BYTES(",\"span_id\":\""));
    buffer_put(out, plain_string(span_id).len == 16 ? plain_string(span_id)
                                                    : bytes_first(plain_string(id), 16));
    buffer_put(out, BYTES("\"},\"profile\":{\"profile_id\":"));
    buffer_put(out, profile_id);
    buffer_put(out, BYTES("}}}"));
    return ERR_OK;
}

static void put_item(struct buffer *out, const char *type, struct bytes platform,
                     struct bytes payload)
{
    buffer_printf(out, "{\"type\":\"%s\"", type);
    put_member(out, "platform", platform);
    buffer_printf(out, ",\"length\":%zu}\n", payload.len);
    buffer_put(out, payload);
    buffer_put(out, BYTES("\n"));
}

static enum err wrap_profile(struct bytes document, struct buffer *out, struct errinfo *info)
{
    struct bytes profile_id = find_first(document, "event_id", "profile_id");
    if (plain_string(profile_id).len < 32)
        return err_set(info, ERR_MALFORMED, "expected event_id or profile_id");
    struct buffer event;
    buffer_init(&event, EVENT_SIZE_MAX, NULL);
    enum err rc = put_transaction(document, profile_id, &event, info);
    if (rc == ERR_OK)
        rc = event.failed;
    if (rc == ERR_OK) {
        struct bytes text = buffer_bytes(&event);
        buffer_put(out, BYTES("{\"event_id\":"));
        buffer_put(out, json_find(text, "event_id"));
        buffer_put(out, BYTES("}\n"));
        put_item(out, "transaction", (struct bytes){0}, text);
        put_item(out, "profile", (struct bytes){0}, document);
    }
    buffer_close(&event);
    return rc;
}

/* raw_chunks and older exports put the document under "chunk" or "profile". */
static struct bytes unwrap(struct bytes document)
{
    static const char *const wrappers[] = {"chunk", "profile"};
    for (size_t i = 0; i < 2 && json_find(document, "version").data == NULL; i++) {
        struct bytes inner = json_find(document, wrappers[i]);
        if (inner.data != NULL && json_find(inner, "version").data != NULL)
            return inner;
    }
    return document;
}

static enum err wrap_document(struct bytes text, struct import_file *f, struct buffer *out,
                              struct errinfo *info)
{
    struct json_reader r;
    json_reader_init(&r, text, NULL, info);
    struct bytes document = json_skip(&r);
    TRY(json_end(&r));
    document = unwrap(document);
    struct bytes version = plain_string(json_find(document, "version"));
    f->is_profile = json_find(document, "profile").data != NULL;
    if (!f->is_profile)
        return ERR_OK;
    if (bytes_equal(version, BYTES("2"))) {
        buffer_put(out, BYTES("{}\n"));
        put_item(out, "profile_chunk", json_find(document, "platform"), document);
        return out->failed;
    }
    if (bytes_equal(version, BYTES("1"))) {
        TRY(wrap_profile(document, out, info));
        return out->failed;
    }
    return err_set(info, ERR_UNSUPPORTED, "expected \"version\": \"1\" or \"2\"");
}

static enum err open_document(const struct import_source *source,
                              const struct import_options *options, struct import_file *f,
                              struct errinfo *info)
{
    struct bytes text = {0};
    struct buffer body;
    TRY(read_file(options->vfs, source->path, PROFILE_SIZE_MAX, &f->arena, &text, info));
    buffer_init(&body, PROFILE_SIZE_MAX + EVENT_SIZE_MAX + KIB(4), NULL);
    enum err rc = wrap_document(text, f, &body, info);
    if (rc == ERR_OK) {
        f->body = arena_copy(&f->arena, buffer_bytes(&body));
        rc = f->arena.failed;
    } else {
        rc = err_wrap(info, rc, source->path);
    }
    buffer_close(&body);
    TRY(rc);
    TRY(put_target(f, options->project_id == 0 ? 1 : options->project_id));
    return put_authorization(f, options);
}

enum err import_file_open(const struct import_source *source, const struct import_options *options,
                          struct import_file *ret, struct errinfo *info)
{
    struct import_file f = {.is_profile = true};
    enum err rc = ERR_OK;
    arena_init(&f.arena, ENVELOPE_SIZE_MAX + MIB(8), NULL);
    switch (source->kind) {
    case IMPORT_RECORDED: rc = open_recorded(source, options->vfs, &f, info); break;
    case IMPORT_ENVELOPE: rc = open_envelope(source, options, &f, info); break;
    case IMPORT_DOCUMENT: rc = open_document(source, options, &f, info); break;
    }
    if (rc == ERR_OK)
        rc = f.arena.failed;
    if (rc != ERR_OK) {
        if (rc == ERR_NOMEM || rc == ERR_LIMIT)
            (void)err_set(info, rc, "%s: %s", source->path, err_text(rc));
        arena_close(&f.arena);
        return rc;
    }
    *ret = f;
    return ERR_OK;
}

void import_file_close(struct import_file *f)
{
    arena_close(&f->arena);
}
