#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>
#include <dirent.h>

#include "base/json_writer.h"
#include "base/limits.h"
#include "engine/call_tree.h"
#include "engine/document.h"
#include "engine/export.h"
#include "engine/frame_rest.h"
#include "engine/function_rows.h"
#include "engine/identity.h"
#include "engine/profile_decode.h"
#include "tests/support/file.h"

#ifdef HEARTH_HAVE_YYJSON

#include <libdeflate.h>
#include <yyjson.h>

#include "engine/pprof.pb-c.h"

/* ---- comparing ---- */

struct mismatch {
    char path[256]; /* "" when equal */
    char what[512];
};

static void describe(yyjson_val *v, char *to, size_t size)
{
    char *text = v == NULL ? NULL : yyjson_val_write(v, 0, NULL);
    snprintf(to, size, "%.120s", text == NULL ? "nothing" : text);
    free(text);
}

static bool differ(struct mismatch *m, const char *path, yyjson_val *expected, yyjson_val *actual)
{
    char e[160];
    char a[160];
    describe(expected, e, sizeof(e));
    describe(actual, a, sizeof(a));
    snprintf(m->path, sizeof(m->path), "%s", path[0] == '\0' ? "/" : path);
    snprintf(m->what, sizeof(m->what), "expected %s, got %s", e, a);
    return false;
}

static bool numbers_equal(yyjson_val *a, yyjson_val *b)
{
    if (yyjson_is_uint(a) && yyjson_is_uint(b))
        return yyjson_get_uint(a) == yyjson_get_uint(b);
    if (yyjson_is_int(a) && yyjson_is_int(b) && yyjson_is_uint(a) == yyjson_is_uint(b))
        return yyjson_get_sint(a) == yyjson_get_sint(b);
    return yyjson_get_num(a) == yyjson_get_num(b);
}

static bool compare(yyjson_val *expected, yyjson_val *actual, const char *path, struct mismatch *m);

static bool compare_objects(yyjson_val *expected, yyjson_val *actual, const char *path,
                            struct mismatch *m)
{
    char below[256];
    size_t i;
    size_t max;
    yyjson_val *key;
    yyjson_val *value;
    yyjson_obj_foreach(expected, i, max, key, value)
    {
        snprintf(below, sizeof(below), "%s/%s", path, yyjson_get_str(key));
        if (!compare(value, yyjson_obj_get(actual, yyjson_get_str(key)), below, m))
            return false;
    }
    yyjson_obj_foreach(actual, i, max, key, value)
    {
        snprintf(below, sizeof(below), "%s/%s", path, yyjson_get_str(key));
        if (yyjson_obj_get(expected, yyjson_get_str(key)) == NULL)
            return differ(m, below, NULL, value);
    }
    return true;
}

static bool compare_arrays(yyjson_val *expected, yyjson_val *actual, const char *path,
                           struct mismatch *m)
{
    size_t count = yyjson_arr_size(expected);
    if (count != yyjson_arr_size(actual))
        return differ(m, path, expected, actual);
    for (size_t i = 0; i < count; i++) {
        char below[256];
        snprintf(below, sizeof(below), "%s/%zu", path, i);
        if (!compare(yyjson_arr_get(expected, i), yyjson_arr_get(actual, i), below, m))
            return false;
    }
    return true;
}

static bool compare(yyjson_val *expected, yyjson_val *actual, const char *path, struct mismatch *m)
{
    if (actual == NULL)
        return differ(m, path, expected, actual);
    if (yyjson_is_num(expected) && yyjson_is_num(actual))
        return numbers_equal(expected, actual) || differ(m, path, expected, actual);
    if (yyjson_get_type(expected) != yyjson_get_type(actual))
        return differ(m, path, expected, actual);
    if (yyjson_is_obj(expected))
        return compare_objects(expected, actual, path, m);
    if (yyjson_is_arr(expected))
        return compare_arrays(expected, actual, path, m);
    return yyjson_equals(expected, actual) || differ(m, path, expected, actual);
}

/* ---- a case ---- */

struct test_case {
    const char *name;
    const char *kind;
    yyjson_val *input;
    yyjson_val *expect;
    struct arena arena;
    struct buffer out; /* JSON that the operation gave, compared with `expect` */
    struct json_writer json;
};

static const char *text_of(yyjson_val *object, const char *key)
{
    return yyjson_get_str(yyjson_obj_get(object, key));
}

static struct bytes bytes_of_value(yyjson_val *v)
{
    return v == NULL ? (struct bytes){NULL, 0} : bytes_of(yyjson_get_str(v), yyjson_get_len(v));
}

/* Decodes as the store's own documents are; the caller destroys it. */
static struct decoded *decode(struct test_case *c, struct bytes json, enum profile_kind kind)
{
    struct decode_options options = {.kind = kind, .rules = DECODE_STORED};
    struct decoded *d = NULL;
    struct errinfo info = {0};
    enum ingest_outcome outcome;
    enum err rc = profile_decode(json, &options, &d, &outcome, &info);
    cr_assert_eq(rc, ERR_OK, "%s: %s", c->name, info.text);
    return d;
}

static struct decoded *decode_document(struct test_case *c, enum profile_kind kind)
{
    size_t len = 0;
    char *json = yyjson_val_write(yyjson_obj_get(c->input, "document"), 0, &len);
    struct decoded *d = decode(c, bytes_of(json, len), kind);
    free(json);
    return d;
}

/* A chunk around `frames`, a JSON list. */
static struct decoded *decode_frames(struct test_case *c, const char *platform, const char *frames)
{
    struct buffer json;
    buffer_init(&json, MIB(1), NULL);
    buffer_printf(&json,
                  "{\"version\":\"2\",\"platform\":\"%s\",\"profile\":{\"frames\":", platform);
    buffer_put(&json, bytes_of_text(frames));
    buffer_put(&json, BYTES("}}"));
    struct decoded *d = decode(c, buffer_bytes(&json), PROFILE_CHUNK);
    buffer_close(&json);
    return d;
}

static struct decoded *decode_frame(struct test_case *c, const char *platform)
{
    char *frame = yyjson_val_write(yyjson_obj_get(c->input, "frame"), 0, NULL);
    struct buffer list;
    buffer_init(&list, MIB(1), NULL);
    buffer_printf(&list, "[%s]", frame);
    buffer_put_u8(&list, 0);
    struct decoded *d = decode_frames(c, platform, (const char *)list.data);
    buffer_close(&list);
    free(frame);
    return d;
}

static void put_document(struct test_case *c, const struct profile *p, struct buffer *out)
{
    struct document_writer *w = NULL;
    bool done = false;
    cr_assert_eq(document_writer_create(p, &c->arena, &w), ERR_OK);
    while (!done)
        cr_assert_eq(document_writer_next(w, 64, out, &done), ERR_OK, "%s", c->name);
}

/* ---- kinds ---- */

static void put_decimal(struct test_case *c, const char *key, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, v);
    if (key != NULL)
        json_key(&c->json, key);
    json_text(&c->json, text);
}

static void run_fnv(struct test_case *c)
{
    uint64_t hash = fnv1_continue(FNV1_BASIS, bytes_of_value(yyjson_obj_get(c->input, "text")));
    json_begin_object(&c->json);
    put_decimal(c, "fnv1_64", hash);
    json_key(&c->json, "low32");
    json_u64(&c->json, (uint32_t)hash);
    json_end_object(&c->json);
}

static void run_trim_package(struct test_case *c)
{
    json_begin_object(&c->json);
    json_key(&c->json, "package");
    json_string(&c->json, trim_package(bytes_of_value(yyjson_obj_get(c->input, "package"))));
    json_end_object(&c->json);
}

static void run_frame_hash(struct test_case *c)
{
    char *frames = yyjson_val_write(yyjson_obj_get(c->input, "frames"), 0, NULL);
    struct decoded *d = decode_frames(c, "native", frames);
    const struct profile *p = decoded_profile(d);
    uint64_t hash = FNV1_BASIS;
    json_begin_object(&c->json);
    json_key(&c->json, "running");
    json_begin_array(&c->json);
    for (size_t i = 0; i < p->frame_list_count; i++) {
        hash = frame_stack_hash(hash, p, &p->frames[p->frame_list[i]]);
        put_decimal(c, NULL, hash);
    }
    json_end_array(&c->json);
    json_end_object(&c->json);
    decoded_destroy(d);
    free(frames);
}

static void run_frame_fingerprint(struct test_case *c)
{
    struct decoded *d = decode_frame(c, "native");
    const struct profile *p = decoded_profile(d);
    json_begin_object(&c->json);
    json_key(&c->json, "fingerprint");
    json_u64(&c->json, frame_fingerprint(p, &p->frames[p->frame_list[0]]));
    json_key(&c->json, "module_or_package");
    json_string(&c->json, frame_module_or_package(p, &p->frames[p->frame_list[0]]));
    json_end_object(&c->json);
    decoded_destroy(d);
}

static void run_frame_id(struct test_case *c)
{
    struct decoded *d = decode_frame(c, "native");
    const struct profile *p = decoded_profile(d);
    const struct profile_frame *f = &p->frames[p->frame_list[0]];
    char id[33];
    frame_id(p, f, id);
    json_begin_object(&c->json);
    json_key(&c->json, "id");
    json_text(&c->json, id);
    json_key(&c->json, "inline");
    json_bool(&c->json, frame_rest_is_inline(profile_string(p, f->rest)));
    json_end_object(&c->json);
    decoded_destroy(d);
}

static void put_normalized(struct test_case *c, const struct profile *p, struct buffer *out)
{
    struct profile normalized;
    struct errinfo info = {0};
    enum err rc = normalize_profile(p, &c->arena, &normalized, &info);
    cr_assert_eq(rc, ERR_OK, "%s: %s", c->name, info.text);
    put_document(c, &normalized, out);
}

static void run_normalize_frame(struct test_case *c)
{
    struct decoded *d = decode_frame(c, text_of(c->input, "platform"));
    struct buffer document;
    buffer_init(&document, MIB(1), NULL);
    put_normalized(c, decoded_profile(d), &document);
    yyjson_doc *doc = yyjson_read((char *)document.data, document.len, 0);
    cr_assert_not_null(doc);
    yyjson_val *frames =
        yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "profile"), "frames");
    char *frame = yyjson_val_write(yyjson_arr_get_first(frames), 0, NULL);
    buffer_printf(&c->out, "{\"frame\":%s}", frame);
    free(frame);
    yyjson_doc_free(doc);
    buffer_close(&document);
    decoded_destroy(d);
}

static void run_document(struct test_case *c)
{
    bool is_chunk = strstr(c->kind, "chunk") != NULL;
    struct decoded *d = decode_document(c, is_chunk ? PROFILE_CHUNK : PROFILE_TRANSACTION);
    buffer_put(&c->out, BYTES("{\"document\":"));
    if (strncmp(c->kind, "normalize", 9) == 0)
        put_normalized(c, decoded_profile(d), &c->out);
    else
        put_document(c, decoded_profile(d), &c->out);
    buffer_put(&c->out, BYTES("}"));
    decoded_destroy(d);
}

static void put_call_node(struct json_writer *w, const struct profile *p, const struct call_node *n)
{
    char hash[24];
    snprintf(hash, sizeof(hash), "%" PRIu64, n->hash);
    json_key(w, "name");
    json_string(w, profile_string(p, n->frame->function));
    json_key(w, "package");
    json_string(w, frame_module_or_package(p, n->frame));
    json_key(w, "path");
    json_string(w, profile_string(p, n->frame->abs_path));
    json_key(w, "line");
    json_u64(w, n->frame->line);
    json_key(w, "in_app");
    json_bool(w, call_node_in_app(n));
    json_key(w, "fingerprint");
    json_text(w, hash);
    json_key(w, "start_ns");
    json_i64(w, n->start_ns);
    json_key(w, "end_ns");
    json_i64(w, n->end_ns);
    json_key(w, "duration_ns");
    json_i64(w, n->duration_ns);
    json_key(w, "self_time_ns");
    json_i64(w, n->self_ns);
    json_key(w, "sample_count");
    json_u64(w, n->sample_count);
    json_key(w, "occurrence");
    json_u64(w, n->occurrence);
    json_key(w, "durations_ns");
    json_begin_array(w);
    if (n->duration_count > 0)
        json_i64(w, n->duration_ns);
    json_end_array(w);
}

/* A writer a node: trees are deeper than one writer nests. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the case's stacks */
static void put_call_nodes(struct json_writer *outer, const struct profile *p,
                           const struct call_tree *tree, uint32_t first)
{
    json_raw(outer, BYTES("["));
    for (uint32_t node = first; node != CALL_NODE_NONE; node = tree->nodes[node].next_sibling) {
        struct json_writer w;
        if (node != first)
            buffer_put_u8(outer->out, ',');
        json_writer_init(&w, outer->out);
        json_begin_object(&w);
        put_call_node(&w, p, &tree->nodes[node]);
        json_key(&w, "children");
        put_call_nodes(&w, p, tree, tree->nodes[node].first_child);
        json_end_object(&w);
    }
    buffer_put_u8(outer->out, ']');
}

static void run_call_tree(struct test_case *c)
{
    bool is_chunk = strcmp(text_of(c->input, "document_kind"), "chunk") == 0;
    struct decoded *d = decode_document(c, is_chunk ? PROFILE_CHUNK : PROFILE_TRANSACTION);
    struct bytes thread = bytes_of_value(yyjson_obj_get(c->input, "thread_id"));
    struct call_tree tree;
    struct errinfo info = {0};
    enum err rc = call_tree_make(decoded_profile(d), thread, &c->arena, &tree, &info);
    json_begin_object(&c->json);
    json_key(&c->json, rc == ERR_OK ? "threads" : "error");
    if (rc != ERR_OK) {
        json_text(&c->json, info.text);
    } else {
        json_begin_object(&c->json);
        for (size_t i = 0; i < tree.thread_count; i++) {
            json_key_bytes(&c->json, tree.threads[i].id);
            put_call_nodes(&c->json, decoded_profile(d), &tree, tree.threads[i].first_root);
        }
        json_end_object(&c->json);
    }
    json_end_object(&c->json);
    decoded_destroy(d);
}

/* ---- functions ---- */

static void put_numbers(struct json_writer *w, const char *key, const uint64_t *v, size_t count)
{
    json_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        json_u64(w, v[i]);
    json_end_array(w);
}

static void run_functions(struct test_case *c)
{
    bool is_chunk = strcmp(text_of(c->input, "document_kind"), "chunk") == 0;
    bool app_only = yyjson_get_bool(yyjson_obj_get(c->input, "only_app"));
    yyjson_val *limit = yyjson_obj_get(c->input, "limit");
    struct decoded *d = decode_document(c, is_chunk ? PROFILE_CHUNK : PROFILE_TRANSACTION);
    struct function_row *rows;
    size_t count;
    struct errinfo info = {0};
    cr_assert_eq(function_rows_make(decoded_profile(d), app_only, &c->arena, &rows, &count, &info),
                 ERR_OK, "%s: %s", c->name, info.text);
    if (limit != NULL && count > yyjson_get_uint(limit))
        count = yyjson_get_uint(limit);
    json_begin_object(&c->json);
    json_key(&c->json, "functions");
    json_begin_array(&c->json);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&c->json);
        json_key(&c->json, "fingerprint");
        json_u64(&c->json, rows[i].fingerprint);
        json_key(&c->json, "function");
        json_string(&c->json, rows[i].name);
        json_key(&c->json, "package");
        json_string(&c->json, rows[i].package);
        json_key(&c->json, "in_app");
        json_bool(&c->json, rows[i].in_app);
        put_numbers(&c->json, "durations_ns", rows[i].durations_ns, rows[i].call_count);
        put_numbers(&c->json, "self_times_ns", rows[i].self_ns, rows[i].call_count);
        json_key(&c->json, "sum_duration_ns");
        json_u64(&c->json, rows[i].sum_duration_ns);
        json_key(&c->json, "sum_self_time_ns");
        json_u64(&c->json, rows[i].sum_self_ns);
        json_key(&c->json, "sample_count");
        json_u64(&c->json, rows[i].sample_count);
        json_key(&c->json, "thread_id");
        json_string(&c->json, rows[i].thread_id);
        json_end_object(&c->json);
    }
    json_end_array(&c->json);
    json_end_object(&c->json);
    decoded_destroy(d);
}

/* ---- exports ---- */

static void export_document(struct test_case *c, const struct export_options *options,
                            struct buffer *out)
{
    yyjson_val *document = yyjson_obj_get(c->input, "document");
    bool is_chunk = strcmp(text_of(document, "version"), "2") == 0;
    struct decoded *d = decode_document(c, is_chunk ? PROFILE_CHUNK : PROFILE_TRANSACTION);
    struct bytes thread = bytes_of_value(yyjson_obj_get(c->input, "thread_id"));
    struct exporter *e = NULL;
    struct errinfo info = {0};
    cr_assert_eq(exporter_create(options, NULL, &e), ERR_OK);
    struct export_window all = {thread, INT64_MIN, INT64_MAX};
    enum err rc = exporter_add(e, decoded_profile(d), &all, 1, &info);
    if (rc == ERR_OK)
        rc = exporter_finish(e, out, &info);
    cr_assert_eq(rc, ERR_OK, "%s: %s", c->name, info.text);
    exporter_destroy(e);
    decoded_destroy(d);
}

static void run_export_folded(struct test_case *c)
{
    const char *unit = text_of(c->input, "unit");
    bool in_us = unit != NULL && strcmp(unit, "us") == 0;
    struct export_options options = {.format = EXPORT_FOLDED,
                                     .unit = in_us ? EXPORT_MICROSECONDS : EXPORT_SAMPLES};
    struct buffer text;
    buffer_init(&text, MIB(64), NULL);
    export_document(c, &options, &text);
    json_begin_object(&c->json);
    json_key(&c->json, "text");
    json_string(&c->json, buffer_bytes(&text));
    json_end_object(&c->json);
    buffer_close(&text);
}

static void run_export_speedscope(struct test_case *c)
{
    struct export_options options = {
        .format = EXPORT_SPEEDSCOPE,
        .active_thread = bytes_of_value(yyjson_obj_get(c->input, "active_thread_id"))};
    struct buffer file;
    buffer_init(&file, MIB(64), NULL);
    export_document(c, &options, &file);
    yyjson_doc *doc = yyjson_read((char *)file.data, file.len, 0);
    cr_assert_not_null(doc);
    yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);
    cr_expect_not_null(yyjson_mut_obj_remove_key(yyjson_mut_doc_get_root(copy), "exporter"));
    char *text = yyjson_mut_write(copy, 0, NULL);
    buffer_put(&c->out, BYTES("{\"file\":"));
    buffer_put(&c->out, bytes_of_text(text));
    buffer_put(&c->out, BYTES("}"));
    free(text);
    yyjson_mut_doc_free(copy);
    yyjson_doc_free(doc);
    buffer_close(&file);
}

static void put_pprof_text(struct test_case *c, const Hearth__Pprof__Profile *p, int64_t id)
{
    cr_assert(id >= 0 && (uint64_t)id < p->n_string_table);
    json_string(&c->json, bytes_of(p->string_table[id].data, p->string_table[id].len));
}

static void put_pprof_type(struct test_case *c, const Hearth__Pprof__Profile *p,
                           const Hearth__Pprof__ValueType *type)
{
    json_begin_array(&c->json);
    put_pprof_text(c, p, type->type);
    put_pprof_text(c, p, type->unit);
    json_end_array(&c->json);
}

static void put_pprof_frame(struct test_case *c, const Hearth__Pprof__Profile *p, uint64_t id)
{
    const Hearth__Pprof__Location *location = NULL;
    const Hearth__Pprof__Function *function = NULL;
    for (size_t i = 0; i < p->n_location; i++)
        if (p->location[i]->id == id)
            location = p->location[i];
    cr_assert_not_null(location);
    cr_assert_eq(location->n_line, 1);
    for (size_t i = 0; i < p->n_function; i++)
        if (p->function[i]->id == location->line[0]->function_id)
            function = p->function[i];
    cr_assert_not_null(function);
    json_begin_object(&c->json);
    json_key(&c->json, "function");
    put_pprof_text(c, p, function->name);
    json_key(&c->json, "file");
    put_pprof_text(c, p, function->filename);
    json_key(&c->json, "line");
    json_i64(&c->json, location->line[0]->line);
    json_end_object(&c->json);
}

static void put_pprof_sample(struct test_case *c, const Hearth__Pprof__Profile *p,
                             const Hearth__Pprof__Sample *s)
{
    json_begin_object(&c->json);
    json_key(&c->json, "stack");
    json_begin_array(&c->json);
    for (size_t i = 0; i < s->n_location_id; i++)
        put_pprof_frame(c, p, s->location_id[i]);
    json_end_array(&c->json);
    json_key(&c->json, "values");
    json_begin_array(&c->json);
    for (size_t i = 0; i < s->n_value; i++)
        json_i64(&c->json, s->value[i]);
    json_end_array(&c->json);
    json_key(&c->json, "labels");
    json_begin_object(&c->json);
    for (size_t i = 0; i < s->n_label; i++) {
        ProtobufCBinaryData key = p->string_table[s->label[i]->key];
        json_key_bytes(&c->json, bytes_of(key.data, key.len));
        put_pprof_text(c, p, s->label[i]->str);
    }
    json_end_object(&c->json);
    json_end_object(&c->json);
}

static void put_pprof(struct test_case *c, const Hearth__Pprof__Profile *p)
{
    json_begin_object(&c->json);
    json_key(&c->json, "profile");
    json_begin_object(&c->json);
    json_key(&c->json, "sample_type");
    json_begin_array(&c->json);
    for (size_t i = 0; i < p->n_sample_type; i++)
        put_pprof_type(c, p, p->sample_type[i]);
    json_end_array(&c->json);
    json_key(&c->json, "default_sample_type");
    put_pprof_text(c, p, p->default_sample_type);
    json_key(&c->json, "period_type");
    put_pprof_type(c, p, p->period_type);
    json_key(&c->json, "time_nanos");
    json_i64(&c->json, p->time_nanos);
    json_key(&c->json, "duration_nanos");
    json_i64(&c->json, p->duration_nanos);
    json_key(&c->json, "samples");
    json_begin_array(&c->json);
    for (size_t i = 0; i < p->n_sample; i++)
        put_pprof_sample(c, p, p->sample[i]);
    json_end_array(&c->json);
    json_end_object(&c->json);
    json_end_object(&c->json);
}

static void run_export_pprof(struct test_case *c)
{
    struct export_options options = {.format = EXPORT_PPROF};
    struct buffer file;
    buffer_init(&file, MIB(64), NULL);
    export_document(c, &options, &file);
    size_t room = MIB(16);
    uint8_t *raw = malloc(room);
    size_t len = 0;
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    cr_assert_eq(libdeflate_gzip_decompress(d, file.data, file.len, raw, room, &len),
                 LIBDEFLATE_SUCCESS);
    Hearth__Pprof__Profile *p = hearth__pprof__profile__unpack(NULL, len, raw);
    cr_assert_not_null(p);
    put_pprof(c, p);
    hearth__pprof__profile__free_unpacked(p, NULL);
    libdeflate_free_decompressor(d);
    free(raw);
    buffer_close(&file);
}

/* Samples are a set: each expected one takes one equal to it away. */
static void compare_samples(struct test_case *c, yyjson_val *actual, struct mismatch *m)
{
    yyjson_val *expected = yyjson_obj_get(yyjson_obj_get(c->expect, "profile"), "samples");
    yyjson_val *given = yyjson_obj_get(yyjson_obj_get(actual, "profile"), "samples");
    size_t count = yyjson_arr_size(given);
    bool *taken = calloc(count + 1, sizeof(bool));
    size_t i;
    size_t max;
    yyjson_val *sample;
    if (count != yyjson_arr_size(expected))
        (void)differ(m, "/profile/samples", expected, given);
    yyjson_arr_foreach(expected, i, max, sample)
    {
        struct mismatch ignored;
        size_t k = 0;
        while (k < count && (taken[k] || !compare(sample, yyjson_arr_get(given, k), "", &ignored)))
            k++;
        if (k == count && m->path[0] == '\0')
            (void)differ(m, "/profile/samples", sample, NULL);
        taken[k] = true;
    }
    free(taken);
}

static yyjson_doc *without_samples(yyjson_val *v)
{
    yyjson_mut_doc *copy = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(copy, yyjson_val_mut_copy(copy, v));
    yyjson_mut_val *profile = yyjson_mut_obj_get(yyjson_mut_doc_get_root(copy), "profile");
    (void)yyjson_mut_obj_remove_key(profile, "samples");
    yyjson_doc *doc = yyjson_mut_doc_imut_copy(copy, NULL);
    yyjson_mut_doc_free(copy);
    return doc;
}

static void compare_pprof(struct test_case *c, yyjson_val *actual, struct mismatch *m)
{
    compare_samples(c, actual, m);
    yyjson_doc *e = without_samples(c->expect);
    yyjson_doc *a = without_samples(actual);
    if (m->path[0] == '\0')
        (void)compare(yyjson_doc_get_root(e), yyjson_doc_get_root(a), "", m);
    yyjson_doc_free(e);
    yyjson_doc_free(a);
}

/* ---- running ---- */

struct kind {
    const char *name;
    void (*run)(struct test_case *c);
    unsigned count; /* of cases there are */
};

static void run_case(const struct kind *kind, yyjson_val *root)
{
    struct test_case c = {.name = text_of(root, "name"),
                          .kind = text_of(root, "kind"),
                          .input = yyjson_obj_get(root, "input"),
                          .expect = yyjson_obj_get(root, "expect")};
    arena_init(&c.arena, MIB(64), NULL);
    buffer_init(&c.out, MIB(64), NULL);
    json_writer_init(&c.json, &c.out);
    kind->run(&c);
    cr_assert_eq(c.out.failed, ERR_OK);
    yyjson_read_err error;
    yyjson_doc *actual = yyjson_read_opts((char *)c.out.data, c.out.len, 0, NULL, &error);
    cr_assert_not_null(actual, "%s: what was written is no JSON at %zu: %s", c.name, error.pos,
                       error.msg);
    struct mismatch m = {.path = ""};
    if (kind->run == run_export_pprof)
        compare_pprof(&c, yyjson_doc_get_root(actual), &m);
    else
        (void)compare(c.expect, yyjson_doc_get_root(actual), "", &m);
    cr_expect(m.path[0] == '\0', "%s at %s: %s", c.name, m.path, m.what);
    yyjson_doc_free(actual);
    buffer_close(&c.out);
    arena_close(&c.arena);
}

static void run_file(const struct kind *kinds, unsigned *ran, const char *path)
{
    struct bytes text = {NULL, 0};
    cr_assert(file_read(path, &text), "cannot read %s", path);
    yyjson_doc *doc = yyjson_read((const char *)text.data, text.len, 0);
    cr_assert_not_null(doc, "%s", path);
    const char *kind = text_of(yyjson_doc_get_root(doc), "kind");
    for (size_t i = 0; kinds[i].name != NULL; i++)
        if (strcmp(kinds[i].name, kind) == 0) {
            run_case(&kinds[i], yyjson_doc_get_root(doc));
            ran[i]++;
        }
    yyjson_doc_free(doc);
    file_free(&text);
}

static void run_kinds(const struct kind *kinds)
{
    char dir_path[512];
    cr_assert(source_path(dir_path, sizeof(dir_path), "tests/data/conformance"));
    DIR *dir = opendir(dir_path);
    cr_assert_not_null(dir, "%s", dir_path);
    unsigned ran[16] = {0};
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[1024];
        size_t len = strlen(entry->d_name);
        if (len < 5 || strcmp(entry->d_name + len - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
        run_file(kinds, ran, path);
    }
    closedir(dir);
    for (size_t i = 0; kinds[i].name != NULL; i++)
        cr_expect_eq(ran[i], kinds[i].count, "%u cases of %s, expected %u", ran[i], kinds[i].name,
                     kinds[i].count);
}

Test(conformance, identities)
{
    static const struct kind kinds[] = {
        {"fnv", run_fnv, 6},
        {"frame_hash", run_frame_hash, 7},
        {"frame_fingerprint", run_frame_fingerprint, 11},
        {"frame_id", run_frame_id, 4},
        {"trim_package", run_trim_package, 10},
        {0},
    };
    run_kinds(kinds);
}

Test(conformance, documents)
{
    static const struct kind kinds[] = {
        {"normalize_frame", run_normalize_frame, 37}, {"normalize_chunk", run_document, 4},
        {"normalize_profile", run_document, 15},      {"reemit_chunk", run_document, 2},
        {"reemit_profile", run_document, 2},          {0},
    };
    run_kinds(kinds);
}

Test(conformance, call_trees)
{
    static const struct kind kinds[] = {{"calltree", run_call_tree, 32}, {0}};
    run_kinds(kinds);
}

Test(conformance, functions)
{
    static const struct kind kinds[] = {{"functions", run_functions, 14}, {0}};
    run_kinds(kinds);
}

Test(conformance, exports)
{
    static const struct kind kinds[] = {
        {"export_folded", run_export_folded, 12},
        {"export_speedscope", run_export_speedscope, 2},
        {"export_pprof", run_export_pprof, 5},
        {0},
    };
    run_kinds(kinds);
}

#else

Test(conformance, needs_yyjson)
{
    cr_skip("built without yyjson, which reads the cases: no conformance case was run");
}

#endif
