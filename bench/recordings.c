#include "bench/recordings.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "engine/content_coding.h"
#include "engine/envelope.h"
#include "engine/ingest.h"
#include "engine/json_reader.h"
#include "tests/support/file.h"

#define PATH_SIZE   768
#define NAME_SIZE   64
#define NAMES_MAX   1024
#define RECEIVED_NS (INT64_C(1795392000) * 1000000000) /* the day after all were made */

/* ---- folders ---- */

struct names {
    char (*names)[NAME_SIZE];
    size_t count;
    const char *suffix; /* only these, without it; NULL: all */
};

static enum err on_name(void *self, const char *name)
{
    struct names *n = self;
    size_t len = strlen(name);
    size_t cut = n->suffix == NULL ? 0 : strlen(n->suffix);
    if (name[0] == '.' || len < cut || (cut > 0 && strcmp(name + len - cut, n->suffix) != 0))
        return ERR_OK;
    if (n->count == NAMES_MAX || len - cut >= NAME_SIZE)
        return ERR_LIMIT;
    memcpy(n->names[n->count], name, len - cut);
    n->names[n->count++][len - cut] = '\0';
    return ERR_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* In order; false: there is no such folder. */
static bool list_names(const char *dir, const char *suffix, struct names *ret)
{
    struct vfs *vfs = vfs_posix();
    struct errinfo info = {0};
    *ret = (struct names){.names = mem_array(NAMES_MAX, NAME_SIZE), .suffix = suffix};
    if (ret->names == NULL)
        bench_must(ERR_NOMEM, NULL, "recordings");
    if (vfs->list(vfs, dir, ret, on_name, &info) != ERR_OK) {
        mem_free(ret->names);
        return false;
    }
    qsort(ret->names, ret->count, NAME_SIZE, compare_names);
    return true;
}

/* ---- one upload ---- */

static struct bytes unquoted(struct bytes value)
{
    return value.len < 2 ? (struct bytes){NULL, 0} : bytes_of(value.data + 1, value.len - 2);
}

/* Of a request's list of [name, value]; values that are read here have no escapes. */
static struct bytes find_header(struct bytes request, struct bytes wanted)
{
    struct buffer scratch;
    struct json_reader list;
    struct bytes found = {NULL, 0};
    buffer_init(&scratch, MIB(1), NULL);
    json_reader_init(&list, json_find(request, "headers"), &scratch, NULL);
    json_enter_array(&list);
    while (json_next_element(&list)) {
        json_enter_array(&list);
        struct bytes name = json_next_element(&list) ? unquoted(json_skip(&list)) : found;
        struct bytes value = json_next_element(&list) ? unquoted(json_skip(&list)) : found;
        (void)json_next_element(&list); /* the end of the pair */
        if (bytes_equal_nocase(name, wanted))
            found = value;
    }
    bench_must(json_end(&list), NULL, "recordings: headers");
    buffer_close(&scratch);
    return found;
}

/* /api/<project>/envelope/[?query] */
static bool read_target(struct bytes target, struct recording *ret)
{
    size_t question = bytes_find_byte(target, '?');
    struct bytes path = bytes_first(target, question);
    ret->query = question < target.len ? bytes_from(target, question + 1) : (struct bytes){NULL, 0};
    if (!bytes_starts_with(path, BYTES("/api/")))
        return false;
    struct bytes project = bytes_from(path, 5);
    size_t end = bytes_find_byte(project, '/');
    return bytes_to_u64(bytes_first(project, end), &ret->project_id) &&
           bytes_equal(bytes_from(project, end), BYTES("/envelope/"));
}

static void inflate(struct bytes body, struct bytes coding, struct buffer *out)
{
    struct errinfo info = {0};
    bench_must(content_decode_whole(content_coding_parse(coding), body, out, &info), &info,
               "recordings: body");
}

static void read_upload(const char *dir, const char *set, const char *number, size_t body_max,
                        void (*on)(void *self, const struct recording *r), void *self)
{
    char path[PATH_SIZE];
    struct bytes body = {0};
    struct bytes request = {0};
    struct recording r = {.set = set};
    struct buffer envelope;
    buffer_init(&envelope, INFLATE_WHOLE_MAX, NULL);
    (void)snprintf(path, sizeof(path), "%s/%s/%s.body", dir, set, number);
    bool good = file_read(path, &body);
    (void)snprintf(path, sizeof(path), "%s/%s/%s.headers.json", dir, set, number);
    good = good && file_read(path, &request);
    if (!good)
        bench_must(ERR_IO, NULL, path);
    if (body.len > 0 && body.len <= body_max &&
        read_target(unquoted(json_find(request, "target")), &r)) {
        inflate(body, find_header(request, BYTES("content-encoding")), &envelope);
        r.x_sentry_auth = find_header(request, BYTES("x-sentry-auth"));
        r.envelope = buffer_bytes(&envelope);
        on(self, &r);
    }
    buffer_close(&envelope);
    file_free(&body);
    file_free(&request);
}

const char *recordings_each(size_t body_max, bool (*wants)(void *self, const char *set),
                            void (*on)(void *self, const struct recording *r), void *self)
{
    char dir[PATH_SIZE / 2];
    char folder[PATH_SIZE];
    struct names sets;
    const char *from = "recordings beside the checkout";
    if (!shared_path(dir, sizeof(dir), "data/envelopes")) {
        from = "recordings of the tests";
        if (!source_path(dir, sizeof(dir), "tests/data/envelopes"))
            return NULL;
    }
    if (!list_names(dir, NULL, &sets))
        return NULL;
    for (size_t i = 0; i < sets.count; i++) {
        struct names bodies;
        (void)snprintf(folder, sizeof(folder), "%s/%s", dir, sets.names[i]);
        if ((wants != NULL && !wants(self, sets.names[i])) ||
            !list_names(folder, ".body", &bodies)) /* a file beside them */
            continue;
        for (size_t k = 0; k < bodies.count; k++)
            read_upload(dir, sets.names[i], bodies.names[k], body_max, on, self);
        mem_free(bodies.names);
    }
    mem_free(sets.names);
    return from;
}

static void tell_profiles(const struct recording *r, const struct ingest *in,
                          void (*on_profile)(void *self, struct bytes json), void *self)
{
    struct envelope *e = NULL;
    struct errinfo info = {0};
    size_t used;
    size_t count;
    size_t outcomes;
    bench_must(envelope_create(NULL, &e, &info), &info, "envelope_create");
    bench_must(envelope_feed(e, r->envelope, &used, &info), &info, "envelope_feed");
    bench_must(envelope_finish(e, &info), &info, "envelope_finish");
    const struct envelope_item *items = envelope_items(e, &count);
    const struct ingest_item *outcome = ingest_items(in, &outcomes);
    for (size_t i = 0; i < count && i < outcomes; i++)
        if ((items[i].type == ENVELOPE_PROFILE || items[i].type == ENVELOPE_PROFILE_CHUNK) &&
            outcome[i].outcome == INGEST_STORED)
            on_profile(self, buffer_bytes(&items[i].payload));
    envelope_destroy(e);
}

void recording_store(const struct recording *r, struct store_fixture *f,
                     void (*on_profile)(void *self, struct bytes json), void *self)
{
    struct ingest_request request = {.project_id = r->project_id,
                                     .x_sentry_auth = r->x_sentry_auth,
                                     .query = r->query,
                                     .open_mode = true,
                                     .now_ns = RECEIVED_NS,
                                     .retention_days = RETENTION_DAYS_MAX};
    struct ingest *in = NULL;
    struct errinfo info = {0};
    size_t used;
    size_t count;
    bench_must(ingest_create(&request, &in, &info), &info, "ingest_create");
    bench_must(ingest_authenticate(in, &info), &info, "ingest_authenticate");
    bench_must(ingest_feed(in, r->envelope, &used, &info), &info, "ingest_feed");
    bench_must(ingest_finish(in, &info), &info, "ingest_finish");
    const struct bytes *records = ingest_records(in, &count);
    if (count > 0)
        bench_must(store_append(f->store, records, count, &info), &info, "store_append");
    if (on_profile != NULL)
        tell_profiles(r, in, on_profile, self);
    ingest_destroy(in);
}
