#include "tests/support/replay.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include <sha256.h>

#include "base/limits.h"
#include "engine/content_coding.h"
#include "engine/json_reader.h"
#include "engine/sample_sort.h"
#include "tests/support/file.h"

#define PATH_SIZE 1024

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "replay: %s\n", what);
    abort();
}

__attribute__((format(printf, 3, 4))) static void replay_fault(struct replay *r, const char *name,
                                                               const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    r->faults++;
}

/* ---- JSON by hand: values as they stand ---- */

static struct bytes unquoted(struct bytes value)
{
    if (value.data == NULL || value.len < 2 || value.data[0] != '"')
        return (struct bytes){NULL, 0};
    return bytes_of(value.data + 1, value.len - 2);
}

static bool is_word(struct bytes value, const char *word)
{
    return value.data != NULL && bytes_equal(value, bytes_of_text(word));
}

static struct uuid uuid_of(struct bytes object, const char *key)
{
    struct uuid id = {{0}};
    (void)uuid_parse(unquoted(json_find(object, key)), &id);
    return id;
}

/* The next value of a list that was entered; data NULL at its end. */
static struct bytes next_value(struct json_reader *r)
{
    if (!json_next_element(r))
        return (struct bytes){NULL, 0};
    return json_skip(r);
}

static struct json_reader list_of(struct bytes list, struct buffer *scratch)
{
    struct json_reader r;
    json_reader_init(&r, list, scratch, NULL);
    json_enter_array(&r);
    return r;
}

/* ---- keys and store ---- */

static void write_keys(struct replay *r, struct bytes projects)
{
    struct buffer scratch, text;
    char path[PATH_SIZE];
    buffer_init(&scratch, MIB(1), NULL);
    buffer_init(&text, MIB(1), NULL);
    struct json_reader list = list_of(projects, &scratch);
    for (struct bytes one = next_value(&list); one.data != NULL; one = next_value(&list)) {
        struct bytes key = unquoted(json_find(one, "key"));
        struct bytes id = json_find(one, "id");
        buffer_printf(&text, "%.*s project=%.*s organization=1 created=2026-11-22T08:00:00Z\n",
                      (int)key.len, key.data, (int)id.len, id.data);
    }
    must(text.len > 0, "no projects");
    must(file_write(tmpdir_path(&r->dir, "keys", path, sizeof(path)), buffer_bytes(&text)),
         "cannot write keys");
    buffer_close(&scratch);
    buffer_close(&text);
}

void replay_open(struct replay *r, struct bytes projects)
{
    struct errinfo info;
    *r = (struct replay){.dir = tmpdir_make()};
    write_keys(r, projects);
    mem_budget_init(&r->budget, MEMORY_MAX_DEFAULT - MEMORY_OWN);
    must(keyring_load(vfs_posix(), r->dir.path, &r->keys, &info) == ERR_OK, "cannot load keys");
    struct store_options options = {
        .vfs = vfs_posix(), .dir = r->dir.path, .durability = DURABILITY_NONE};
    must(store_open(&options, &r->store, &info) == ERR_OK, "cannot open the store");
}

void replay_close(struct replay *r)
{
    must(atomic_load(&r->budget.used) == 0, "memory was not given back to the budget");
    store_close(r->store);
    keyring_destroy(r->keys);
    tmpdir_remove(&r->dir);
}

/* ---- facts of a stored profile ---- */

static void put_stack(const struct profile *p, uint32_t stack, struct buffer *out)
{
    bool first = true;
    for (uint32_t node = p->stacks[stack]; node != PROFILE_NONE; node = p->node_parent[node]) {
        const struct profile_frame *f = profile_node_frame(p, node);
        struct bytes function = profile_string(p, f->function);
        if (!first)
            buffer_put_u8(out, ';');
        first = false;
        buffer_put(out, function);
        buffer_printf(out, "@%" PRIu32, f->line);
    }
}

static void digest_of(const struct profile *p, char text[SHA256_DIGEST_STRING_LENGTH])
{
    struct buffer stacks, ends, line;
    SHA2_CTX sha;
    buffer_init(&stacks, MIB(256), NULL);
    buffer_init(&ends, MIB(256), NULL);
    buffer_init(&line, MIB(64), NULL);
    for (uint32_t s = 0; s < p->stack_count; s++) {
        put_stack(p, s, &stacks);
        buffer_put(&ends, bytes_of(&stacks.len, sizeof(stacks.len)));
    }
    const size_t *end = (const size_t *)(const void *)ends.data;
    SHA256Init(&sha);
    for (size_t i = 0; i < p->sample_count; i++) {
        struct bytes thread = profile_string(p, p->threads[p->sample_thread[i]].id);
        uint32_t stack = p->sample_stack[i];
        size_t start = stack == 0 ? 0 : end[stack - 1];
        int64_t time =
            p->kind == PROFILE_CHUNK ? profile_sample_ns(p, i) : (int64_t)p->sample_time[i];
        buffer_clear(&line);
        buffer_printf(&line, "%" PRId64 "\t", time);
        buffer_put(&line, thread);
        buffer_put_u8(&line, '\t');
        buffer_put(&line, bytes_of(stacks.data == NULL ? (const uint8_t *)"" : stacks.data + start,
                                   end[stack] - start));
        buffer_put_u8(&line, '\n');
        SHA256Update(&sha, line.data, line.len);
    }
    SHA256End(&sha, text);
    buffer_close(&stacks);
    buffer_close(&ends);
    buffer_close(&line);
}

static bool number_is(struct bytes value, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, number);
    return is_word(value, text);
}

static void check_threads(struct replay *r, const char *name, const struct profile *p,
                          struct bytes expect)
{
    struct buffer scratch;
    struct json_reader reader;
    struct bytes id;
    size_t count = 0;
    buffer_init(&scratch, MIB(16), NULL);
    json_reader_init(&reader, json_find(expect, "threads"), &scratch, NULL);
    json_enter_object(&reader);
    while (json_next_member(&reader, &id)) {
        uint64_t samples = 0;
        for (size_t i = 0; i < p->sample_count; i++)
            samples += bytes_equal(profile_string(p, p->threads[p->sample_thread[i]].id), id);
        if (!number_is(json_skip(&reader), (int64_t)samples))
            replay_fault(r, name, "thread %.*s has %" PRIu64 " samples", (int)id.len, id.data,
                         samples);
        count++;
    }
    if (json_end(&reader) != ERR_OK || count != p->thread_count)
        replay_fault(r, name, "%zu threads, expected %zu", p->thread_count, count);
    buffer_close(&scratch);
}

/* Everything a query relies on. */
static void check_usable(struct replay *r, const char *name, const struct profile *p)
{
    struct profile sorted = *p;
    struct arena arena;
    struct errinfo info;
    arena_init(&arena, MIB(256), NULL);
    must(profile_sort_samples(&sorted, &arena) == ERR_OK, "no memory to sort");
    if (profile_check(&sorted, &info) != ERR_OK)
        replay_fault(r, name, "stored profile is bad: %s", info.text);
    arena_close(&arena);
}

static void check_profile(struct replay *r, const char *name, const struct profile *p,
                          struct bytes expect)
{
    char digest[SHA256_DIGEST_STRING_LENGTH];
    bool chunk = p->kind == PROFILE_CHUNK;
    size_t last = p->sample_count - 1;
    check_usable(r, name, p);
    if (!number_is(json_find(expect, "samples"), (int64_t)p->sample_count))
        replay_fault(r, name, "%zu samples", p->sample_count);
    int64_t first_ns = chunk ? profile_sample_ns(p, 0) : (int64_t)p->sample_time[0];
    int64_t last_ns = chunk ? profile_sample_ns(p, last) : (int64_t)p->sample_time[last];
    if (!number_is(json_find(expect, "first"), first_ns))
        replay_fault(r, name, "first at %" PRId64, first_ns);
    if (!number_is(json_find(expect, "last"), last_ns))
        replay_fault(r, name, "last at %" PRId64, last_ns);
    check_threads(r, name, p, expect);
    digest_of(p, digest);
    struct bytes wanted = unquoted(json_find(expect, "digest"));
    if (!bytes_equal(wanted, bytes_of_text(digest)))
        replay_fault(r, name, "digest %s, expected %.*s", digest, (int)wanted.len, wanted.data);
    struct bytes transaction = unquoted(json_find(expect, "transaction_id"));
    struct uuid id;
    if (transaction.data != NULL &&
        (!uuid_parse(transaction, &id) || !uuid_equal(id, p->transaction_id)))
        replay_fault(r, name, "another transaction id");
    r->stored++;
}

static void check_stored(struct replay *r, const char *name, uint64_t project, struct bytes expect)
{
    struct snapshot *snap = snapshot_acquire(r->store, NULL);
    struct arena arena;
    struct profile p;
    struct errinfo info;
    row_id row;
    must(snap != NULL, "no snapshot");
    arena_init(&arena, MIB(256), NULL);
    bool chunk = json_find(expect, "chunk_id").data != NULL;
    enum err rc = chunk ? snapshot_find_chunk(snap, project, uuid_of(expect, "profiler_id"),
                                              uuid_of(expect, "chunk_id"), &row)
                        : snapshot_find_profile(snap, project, uuid_of(expect, "profile_id"), &row);
    if (rc != ERR_OK)
        replay_fault(r, name, "not found in the store");
    else if (snapshot_read_profile(snap, row, &arena, &p, &info) != ERR_OK)
        replay_fault(r, name, "cannot be read: %s", info.text);
    else
        check_profile(r, name, &p, expect);
    arena_close(&arena);
    snapshot_release(snap);
}

/* ---- outcomes ---- */

static bool outcome_fits(const char *name, enum ingest_outcome outcome, struct bytes expect)
{
    const char *text = ingest_outcome_text(outcome);
    bool android = strncmp(name, "android-", 8) == 0 && outcome == INGEST_ANDROID_TRACE;
    bool perfetto = strncmp(name, "perfetto-", 9) == 0 && outcome == INGEST_PERFETTO;
    char quoted[80];
    snprintf(quoted, sizeof(quoted), "\"%s\"", text);
    return android || perfetto || bytes_contains(expect, bytes_of_text(quoted));
}

static bool is_profiling(const struct ingest_item *item)
{
    return bytes_starts_with(item->type, BYTES("profile"));
}

static void check_items(struct replay *r, const char *name, uint64_t project,
                        const struct ingest *in, struct bytes expect)
{
    struct buffer scratch;
    size_t count, at = 0;
    const struct ingest_item *items = ingest_items(in, &count);
    struct bytes list = json_find(expect, "items");
    buffer_init(&scratch, MIB(1), NULL);
    struct json_reader reader = list_of(list.data == NULL ? BYTES("[]") : list, &scratch);
    for (struct bytes one = next_value(&reader); one.data != NULL; one = next_value(&reader)) {
        struct bytes outcome = json_find(one, "outcome");
        if (outcome.data == NULL)
            continue;
        while (at < count && !is_profiling(&items[at]))
            at++;
        if (at == count) {
            replay_fault(r, name, "an item is missing");
            break;
        }
        const struct ingest_item *item = &items[at++];
        if (!outcome_fits(name, item->outcome, outcome))
            replay_fault(r, name, "outcome %s (%s), expected %.*s",
                         ingest_outcome_text(item->outcome), item->detail, (int)outcome.len,
                         outcome.data);
        else if (item->outcome == INGEST_STORED && json_find(one, "digest").data != NULL)
            check_stored(r, name, project, one);
        else
            r->dropped++;
    }
    buffer_close(&scratch);
}

/* ---- one request ---- */

struct request {
    struct buffer memory; /* texts without escapes: recordings have none in what is read here */
    struct bytes method;
    struct bytes target;
    struct bytes x_sentry_auth;
    struct bytes authorization;
    struct bytes encoding;
};

static void read_headers(struct request *q, struct bytes headers)
{
    struct buffer scratch;
    buffer_init(&scratch, MIB(1), NULL);
    struct json_reader list = list_of(headers, &scratch);
    while (json_next_element(&list)) {
        struct bytes pair = json_skip(&list);
        struct json_reader inner = list_of(pair, &scratch);
        struct bytes name = unquoted(next_value(&inner));
        struct bytes value = unquoted(next_value(&inner));
        if (bytes_equal_nocase(name, BYTES("x-sentry-auth")))
            q->x_sentry_auth = value;
        if (bytes_equal_nocase(name, BYTES("authorization")))
            q->authorization = value;
        if (bytes_equal_nocase(name, BYTES("content-encoding")))
            q->encoding = value;
    }
    must(json_end(&list) == ERR_OK, "headers cannot be read");
    buffer_close(&scratch);
}

/* /api/<project>/envelope/ with repeated slashes folded. */
static bool project_of(struct bytes target, uint64_t *ret_project, struct bytes *ret_query)
{
    struct bytes part[4] = {{NULL, 0}};
    size_t count = 0;
    size_t question = bytes_find_byte(target, '?');
    struct bytes path = bytes_first(target, question);
    *ret_query = question < target.len ? bytes_from(target, question + 1) : (struct bytes){NULL, 0};
    while (path.len > 0 && count < 4) {
        size_t slash = bytes_find_byte(path, '/');
        if (slash > 0)
            part[count++] = bytes_first(path, slash);
        path = bytes_from(path, slash + 1);
    }
    return count == 3 && is_word(part[0], "api") && is_word(part[2], "envelope") &&
           bytes_to_u64(part[1], ret_project);
}

static enum err feed_all(struct ingest *in, struct bytes text, struct errinfo *info)
{
    size_t used;
    enum err rc = ingest_feed(in, text, &used, info);
    must(rc != ERR_OK || used == text.len, "fed bytes were left over");
    return rc;
}

/* The way of large bodies: pieces of any size through the stream decoder. */
static enum err run_stream(struct replay *r, struct ingest *in, enum content_coding coding,
                           struct bytes body, struct mem_account *account, struct errinfo *info)
{
    struct content_decoder *d;
    static uint8_t out[65536];
    TRY(content_decoder_create(coding, ENVELOPE_SIZE_MAX, account, &d, info));
    enum err rc = ERR_OK;
    bool more = true;
    while (rc == ERR_OK && (more || body.len > 0)) {
        size_t piece = r->split == NULL ? body.len : 1 + rng_below(r->split, 4000);
        size_t room = r->split == NULL ? sizeof(out) : 1 + rng_below(r->split, sizeof(out));
        size_t used = 0, made = 0;
        rc = content_decoder_feed(d, bytes_first(body, piece), &used, out, room, &made, info);
        body = bytes_from(body, used);
        if (rc == ERR_OK && made > 0)
            rc = feed_all(in, bytes_of(out, made), info);
        more = made == room || used > 0 || made > 0;
    }
    if (rc == ERR_OK)
        rc = content_decoder_finish(d, info);
    content_decoder_destroy(d);
    return rc;
}

static enum err run_whole(struct ingest *in, enum content_coding coding, struct bytes body,
                          struct buffer *decoded, struct errinfo *info)
{
    TRY(content_decode_whole(coding, body, decoded, info));
    return feed_all(in, buffer_bytes(decoded), info);
}

/* The status, with the answer's body in `text`. */
static int run_body(struct replay *r, struct ingest *in, struct bytes encoding, struct bytes body,
                    struct mem_account *account, char text[INGEST_ANSWER_MAX])
{
    struct buffer decoded;
    struct errinfo info = {{0}};
    enum content_coding coding = content_coding_parse(encoding);
    buffer_init(&decoded, INFLATE_WHOLE_MAX, account);
    enum err rc = ingest_authenticate(in, &info);
    if (rc == ERR_OK)
        rc = r->split != NULL ? ERR_LIMIT : run_whole(in, coding, body, &decoded, &info);
    buffer_close(&decoded);
    if (rc == ERR_LIMIT && ingest_verdict(in, text) == 200)
        rc = run_stream(r, in, coding, body, account, &info);
    if (rc == ERR_OK)
        rc = ingest_finish(in, &info);
    int status = ingest_verdict(in, text);
    return rc != ERR_OK && status == 200 ? ingest_verdict_of(rc, info.text, text) : status;
}

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") >= len;
}

static void check_answer(struct replay *r, const char *name, int status, const char *text,
                         struct bytes expect)
{
    struct bytes wanted = json_find(expect, "status");
    struct bytes id = json_find(expect, "id");
    char number[16], answer[64];
    snprintf(number, sizeof(number), "%d", status);
    if (!bytes_contains(wanted, bytes_of_text(number)))
        replay_fault(r, name, "status %d, expected %.*s: %s", status, (int)wanted.len, wanted.data,
                     text);
    if (status != 200) {
        if (strncmp(text, "{\"detail\":\"", 11) != 0)
            replay_fault(r, name, "answer %s", text);
        return;
    }
    if (is_word(id, "null"))
        snprintf(answer, sizeof(answer), "{}");
    else
        snprintf(answer, sizeof(answer), "{\"id\":%.*s}", (int)id.len, id.data);
    bool generated = is_word(id, "\"generated\"") && strlen(text) == 41 && is_hex(text + 7, 32);
    if (id.data != NULL && !generated && strcmp(text, answer) != 0)
        replay_fault(r, name, "answer %s, expected %s", text, answer);
}

static void store_records(struct replay *r, const char *name, const struct ingest *in)
{
    struct errinfo info;
    size_t count;
    const struct bytes *records = ingest_records(in, &count);
    if (count > 0 && store_append(r->store, records, count, &info) != ERR_OK)
        replay_fault(r, name, "cannot be appended: %s", info.text);
}

bool replay_request(struct replay *r, const char *name, struct bytes request, struct bytes body,
                    struct bytes expect)
{
    struct request q = {.method = unquoted(json_find(request, "method")),
                        .target = unquoted(json_find(request, "target"))};
    struct ingest_request options = {.keys = r->keys, .now_ns = 1, .retention_days = 90};
    struct mem_account account;
    struct ingest *in;
    struct errinfo info;
    char text[INGEST_ANSWER_MAX];
    if (!is_word(q.method, "POST") || !project_of(q.target, &options.project_id, &options.query))
        return false;
    read_headers(&q, json_find(request, "headers"));
    options.x_sentry_auth = q.x_sentry_auth;
    options.authorization = q.authorization;
    mem_account_init(&account, &r->budget, SIZE_MAX);
    options.account = &account;
    must(ingest_create(&options, &in, &info) == ERR_OK, "no ingest");
    int status = run_body(r, in, q.encoding, body, &account, text);
    check_answer(r, name, status, text, expect);
    if (status == 200) {
        store_records(r, name, in);
        check_items(r, name, options.project_id, in, expect);
    }
    ingest_destroy(in);
    if (account.held != 0)
        replay_fault(r, name, "%zu bytes are still counted", account.held);
    mem_account_close(&account);
    r->requests++;
    return true;
}

/* ---- folders ---- */

static bool read_part(const char *folder, const char *name, size_t name_len, const char *suffix,
                      struct bytes *ret)
{
    char path[PATH_SIZE];
    int len = snprintf(path, sizeof(path), "%s/%.*s%s", folder, (int)name_len, name, suffix);
    return len > 0 && len < (int)sizeof(path) && file_read(path, ret);
}

static void replay_recorded(struct replay *r, const char *folder, struct bytes line,
                            size_t body_max)
{
    struct bytes id = unquoted(json_find(line, "request"));
    const char *name = (const char *)id.data;
    char shown[128];
    struct bytes headers = {NULL, 0}, body = {NULL, 0};
    snprintf(shown, sizeof(shown), "%.*s", (int)id.len, name);
    must(read_part(folder, name, id.len, ".headers.json", &headers), "no headers");
    must(read_part(folder, name, id.len, ".body", &body), "no body");
    if (body.len <= body_max)
        (void)replay_request(r, shown, headers, body, line);
    file_free(&headers);
    file_free(&body);
}

void replay_folder(struct replay *r, const char *folder, size_t body_max)
{
    struct bytes expected = {NULL, 0};
    must(read_part(folder, "EXPECTED.jsonl", 14, "", &expected), "no EXPECTED.jsonl");
    for (struct bytes rest = expected; rest.len > 0;) {
        size_t end = bytes_find_byte(rest, '\n');
        if (end > 0)
            replay_recorded(r, folder, bytes_first(rest, end), body_max);
        rest = bytes_from(rest, end + 1);
    }
    file_free(&expected);
}

void replay_manifest(struct replay *r, const char *folder)
{
    struct bytes manifest = {NULL, 0};
    struct buffer scratch;
    buffer_init(&scratch, MIB(1), NULL);
    must(read_part(folder, "manifest.json", 13, "", &manifest), "no manifest.json");
    struct json_reader list = list_of(json_find(manifest, "cases"), &scratch);
    for (struct bytes one = next_value(&list); one.data != NULL; one = next_value(&list)) {
        struct bytes name = unquoted(json_find(one, "name"));
        struct bytes file = unquoted(json_find(one, "body"));
        struct bytes body = {NULL, 0};
        char shown[128];
        snprintf(shown, sizeof(shown), "%.*s", (int)name.len, (const char *)name.data);
        if (file.data != NULL)
            must(read_part(folder, (const char *)file.data, file.len, "", &body), "no body");
        (void)replay_request(r, shown, one, body, json_find(one, "expect"));
        file_free(&body);
    }
    buffer_close(&scratch);
    file_free(&manifest);
}
