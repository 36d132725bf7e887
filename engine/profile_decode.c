#include "engine/profile_decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_writer.h"
#include "engine/profile_parser.h"
#include "engine/sample_rules.h"

/* Pointer authentication keeps its bits above the 36 of an address. */
#define COCOA_ADDRESS_MASK UINT64_C(0x0000000FFFFFFFFF)

struct decoded {
    struct profile profile;
    struct profile_columns columns;
    struct buffer strings; /* struct bytes a text, made again when one is added */
    struct buffer rest;
};

/* ---- is it in the sample format at all ---- */

static bool is_text(const struct profile_format *f, const char *version)
{
    return f->state == VERSION_TEXT && bytes_equal(f->version, bytes_of_text(version));
}

static enum ingest_outcome chunk_format(const struct profile_format *f)
{
    bool android = bytes_equal(f->platform, BYTES("android"));
    if (f->state == VERSION_MISSING || is_text(f, "1"))
        return INGEST_PLATFORM_NOT_SUPPORTED;
    if (!is_text(f, "2") && !is_text(f, "2.android-trace"))
        return INGEST_INVALID_JSON;
    if (f->sampled_profile && android)
        return INGEST_ANDROID_TRACE;
    return is_text(f, "2") ? INGEST_STORED : INGEST_PLATFORM_NOT_SUPPORTED;
}

static enum ingest_outcome profile_format(const struct profile_format *f)
{
    if (f->state == VERSION_MISSING)
        return bytes_equal(f->platform, BYTES("android")) ? INGEST_ANDROID_TRACE
                                                          : INGEST_PLATFORM_NOT_SUPPORTED;
    if (is_text(f, "2"))
        return INGEST_PLATFORM_NOT_SUPPORTED;
    return is_text(f, "1") ? INGEST_STORED : INGEST_INVALID_JSON;
}

/* A stored document without version is an Android method trace. */
static enum ingest_outcome stored_format(enum profile_kind kind, const struct profile_format *f)
{
    bool trace = f->version.len == 0 || (kind == PROFILE_CHUNK && is_text(f, "2.android-trace"));
    return trace ? INGEST_ANDROID_TRACE : INGEST_STORED;
}

static enum ingest_outcome format_outcome(const struct decode_options *options,
                                          const struct profile_format *f)
{
    if (options->rules == DECODE_STORED)
        return stored_format(options->kind, f);
    return options->kind == PROFILE_CHUNK ? chunk_format(f) : profile_format(f);
}

static enum err refuse_format(enum ingest_outcome outcome, struct errinfo *info)
{
    switch (outcome) {
    case INGEST_ANDROID_TRACE:
        return err_set(info, ERR_MALFORMED, "an Android method trace, expected sample format");
    case INGEST_INVALID_JSON:
        return err_set(info, ERR_MALFORMED, "expected a version this format has");
    default:
        return err_set(info, ERR_MALFORMED,
                       "expected version \"1\" of a profile item, "
                       "\"2\" of a chunk");
    }
}

/* Reading failed: of what is no sample format at all, types do not matter. */
static enum err refuse_reading(struct bytes json, const struct decode_options *options,
                               enum ingest_outcome *ret_outcome, struct errinfo *info)
{
    struct profile_format format;
    *ret_outcome = INGEST_INVALID_JSON;
    enum err rc = profile_parser_format(json, options->account, &format, NULL);
    if (rc != ERR_OK)
        return rc;
    if (options->rules == DECODE_ENVELOPE && format.platform.len == 0)
        return ERR_MALFORMED;
    enum ingest_outcome outcome = format_outcome(options, &format);
    if (outcome == INGEST_STORED || outcome == INGEST_INVALID_JSON)
        return ERR_MALFORMED;
    *ret_outcome = outcome;
    return refuse_format(outcome, info);
}

/* ---- the leftovers ---- */

static void put_raw(struct json_writer *w, const char *key, struct bytes value)
{
    if (value.data == NULL || value.len == 0)
        return;
    json_key(w, key);
    json_raw(w, value);
}

/* A byte per string id: 1 for the queues that samples name. NULL without memory. */
static const uint8_t *mark_queues(const struct profile_columns *c, struct buffer *marks)
{
    size_t count = c->sample_queue.len / sizeof(uint32_t);
    const uint32_t *queues = buffer_u32s(&c->sample_queue);
    uint8_t *used = buffer_extend(marks, c->strings.count);
    if (used == NULL)
        return NULL;
    memset(used, 0, c->strings.count);
    for (size_t i = 0; i < count; i++)
        used[queues[i]] = 1;
    return used;
}

/* Labels of the queues that samples name. */
static void put_queues(struct json_writer *w, const struct profile_parser *ps)
{
    const struct profile_columns *c = &ps->columns;
    if (ps->raw.queue_metadata.data == NULL || c->sample_queue.len == 0)
        return;
    struct buffer scratch, marks;
    struct json_reader r;
    struct bytes name;
    buffer_init(&scratch, ps->raw.queue_metadata.len, c->strings.text.account);
    buffer_init(&marks, SIZE_MAX, c->strings.text.account);
    const uint8_t *used = mark_queues(c, &marks);
    json_reader_init(&r, ps->raw.queue_metadata, &scratch, NULL);
    json_key(w, "queue_metadata");
    json_begin_object(w);
    json_enter_object(&r);
    while (used != NULL && json_next_member(&r, &name)) {
        uint32_t id;
        if (intern_find(&c->strings, name, &id) && used[id]) {
            json_key_bytes(w, name);
            json_raw(w, json_skip(&r));
        } else {
            (void)json_skip(&r);
        }
    }
    json_end_object(w);
    if (w->out->failed == ERR_OK)
        w->out->failed = scratch.failed != ERR_OK ? scratch.failed : marks.failed;
    buffer_close(&marks);
    buffer_close(&scratch);
}

static void put_stored_leftovers(struct json_writer *w, const struct profile_parser *ps,
                                 const struct profile_transaction *t)
{
    const struct profile_raw *raw = &ps->raw;
    bool chunk = ps->kind == PROFILE_CHUNK;
    put_raw(w, "transaction_metadata", raw->transaction_metadata);
    put_raw(w, "transaction_tags", raw->transaction_tags);
    put_raw(w, "queue_metadata", raw->queue_metadata);
    put_raw(w, "received", raw->received);
    put_raw(w, "retention_days", raw->retention_days);
    put_raw(w, chunk ? "chunk_id" : "event_id", raw->id);
    put_raw(w, "profiler_id", raw->profiler_id);
    put_raw(w, "transaction_id", t->id_raw);
    put_raw(w, "trace_id", t->trace_id_raw);
    if (t->duration_ns != 0) {
        json_key(w, "transaction_duration_ns");
        json_u64(w, t->duration_ns);
    }
}

static enum err write_rest(struct decoded *d, const struct profile_parser *ps,
                           const struct profile_transaction *t)
{
    struct json_writer w;
    const struct profile_raw *raw = &ps->raw;
    json_writer_init(&w, &d->rest);
    json_begin_object(&w);
    put_raw(&w, "debug_meta", raw->debug_meta);
    put_raw(&w, "measurements",
            ps->measurements_rewritten ? buffer_bytes(&ps->rewritten) : raw->measurements);
    put_raw(&w, "device", raw->device);
    put_raw(&w, "os", raw->os);
    put_raw(&w, "runtime", raw->runtime);
    if (ps->strict)
        put_queues(&w, ps);
    else
        put_stored_leftovers(&w, ps, t);
    json_end_object(&w);
    return d->rest.failed;
}

/* ---- the profile over the columns ---- */

static enum err make_strings(struct decoded *d)
{
    const struct intern *in = &d->columns.strings;
    buffer_clear(&d->strings);
    struct bytes *views = buffer_extend(&d->strings, in->count * sizeof(*views));
    if (views == NULL)
        return d->strings.failed;
    for (uint32_t id = 0; id < in->count; id++)
        views[id] = intern_get(in, id);
    d->profile.strings = views;
    d->profile.string_count = in->count;
    return ERR_OK;
}

static void point_to_columns(struct decoded *d)
{
    struct profile *p = &d->profile;
    struct profile_columns *c = &d->columns;
    p->frames = (const struct profile_frame *)(const void *)c->frames.data;
    p->frame_count = c->frames.len / sizeof(struct profile_frame);
    p->frame_list = buffer_u32s(&c->frame_list);
    p->frame_list_count = profile_columns_frame_count(c);
    p->node_parent = buffer_u32s(&c->node_parent);
    p->node_frame = buffer_u32s(&c->node_frame);
    p->node_count = c->node_parent.len / sizeof(uint32_t);
    p->stacks = buffer_u32s(&c->stacks);
    p->stack_count = profile_columns_stack_count(c);
    p->threads = profile_columns_threads(c);
    p->thread_count = profile_columns_thread_count(c);
    p->sample_time = buffer_u64s(&c->sample_time);
    p->sample_thread = buffer_u32s(&c->sample_thread);
    p->sample_stack = buffer_u32s(&c->sample_stack);
    p->sample_queue = c->sample_queue.len == 0 ? NULL : buffer_u32s(&c->sample_queue);
    p->sample_idle = c->sample_idle.len == 0 ? NULL : c->sample_idle.data;
    p->sample_count = profile_columns_sample_count(c);
}

/* Tables that were only needed to find equal things. */
static void drop_lookups(struct profile_columns *c)
{
    buffer_close(&c->frame_slots);
    buffer_close(&c->node_slots);
    buffer_close(&c->thread_of);
}

static void use_transaction(struct profile *p, const struct profile_transaction *t)
{
    p->transaction = t->name;
    p->active_thread = t->active_thread;
    p->segment_id = t->segment_id;
    p->transaction_id = t->id;
    p->trace_id = t->trace_id;
}

/* "0x..." or decimal digits as a number. */
static bool parse_address(struct bytes text, uint64_t *ret)
{
    if (text.len <= 2 || text.data[0] != '0' || (text.data[1] | 0x20) != 'x')
        return bytes_to_u64(text, ret);
    uint64_t value = 0;
    for (size_t i = 2; i < text.len; i++) {
        unsigned c = text.data[i];
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : ((c | 0x20) - 'a') + 10;
        if (digit > 15 || (c > '9' && (c | 0x20) < 'a') || value >> 60 != 0)
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

static void mask_addresses(struct profile_columns *c)
{
    struct profile_frame *frames = (struct profile_frame *)(void *)c->frames.data;
    size_t count = c->frames.len / sizeof(*frames);
    for (size_t i = 0; i < count; i++) {
        uint64_t address;
        if (frames[i].instruction_addr == 0 ||
            !parse_address(intern_get(&c->strings, frames[i].instruction_addr), &address))
            continue;
        char text[24];
        int len = snprintf(text, sizeof(text), "0x%" PRIx64, address & COCOA_ADDRESS_MASK);
        frames[i].instruction_addr = profile_columns_text(c, bytes_of(text, (size_t)len));
    }
}

/* ---- the rules of an envelope ---- */

static enum err refuse(enum ingest_outcome *ret_outcome, enum ingest_outcome outcome,
                       struct errinfo *info, const char *text)
{
    *ret_outcome = outcome;
    return err_set(info, ERR_MALFORMED, "%s", text);
}

static enum err apply_chunk_rules(struct profile_parser *ps, const struct decode_options *options,
                                  enum ingest_outcome *ret_outcome, struct errinfo *info)
{
    struct bytes header = options->platform_header;
    bool cocoa = bytes_equal(ps->format.platform, BYTES("cocoa"));
    if (header.data != NULL && !bytes_equal(header, ps->format.platform))
        return refuse(ret_outcome, INGEST_INVALID_PROFILE_TYPE, info,
                      "expected the platform of the item header");
    TRY(sample_rules_chunk(&ps->columns, ret_outcome, info));
    if (cocoa)
        mask_addresses(&ps->columns);
    return ps->columns.failed;
}

static enum err apply_profile_rules(struct profile_parser *ps, const struct profile_transaction *t,
                                    enum ingest_outcome *ret_outcome, struct errinfo *info)
{
    bool cocoa = bytes_equal(ps->format.platform, BYTES("cocoa"));
    if (cocoa && !ps->metadata_whole)
        return refuse(ret_outcome, INGEST_INVALID_METADATA, info,
                      "expected os.build_number and device is_emulator, locale, manufacturer and "
                      "model");
    if (!t->known)
        return refuse(ret_outcome, INGEST_NO_TRANSACTION, info, "expected a transaction");
    if (t->name == 0 || uuid_is_nil(t->id) || uuid_is_nil(t->trace_id) ||
        t->relative_start_ns > t->relative_end_ns)
        return refuse(ret_outcome, INGEST_INVALID_TRANSACTION, info,
                      "expected a transaction with name, ids, and its start before its end");
    TRY(sample_rules_profile(&ps->columns, t->relative_start_ns, t->relative_end_ns, ret_outcome,
                             info));
    if (cocoa && ps->arm64)
        mask_addresses(&ps->columns);
    return ps->columns.failed;
}

/* Which transaction counts: SDKs mean `transaction` first, stored documents the list. */
static const struct profile_transaction *chosen_transaction(const struct profile_parser *ps)
{
    const struct profile_transaction *a = &ps->transaction;
    const struct profile_transaction *b = &ps->first_transaction;
    if (ps->strict)
        return a->known ? a : b;
    return b->known ? b : a;
}

static enum err judge(struct profile_parser *ps, const struct decode_options *options,
                      const struct profile_transaction *t, enum ingest_outcome *ret_outcome,
                      struct errinfo *info)
{
    enum ingest_outcome outcome = format_outcome(options, &ps->format);
    if (outcome != INGEST_STORED) {
        *ret_outcome = outcome;
        return refuse_format(outcome, info);
    }
    if (!ps->strict) {
        profile_columns_order_threads(&ps->columns, false);
        return ps->columns.failed;
    }
    return ps->kind == PROFILE_CHUNK ? apply_chunk_rules(ps, options, ret_outcome, info)
                                     : apply_profile_rules(ps, t, ret_outcome, info);
}

/* Columns and leftovers change hands from the parser to what is returned. */
static enum err take_over(struct profile_parser *ps, const struct profile_transaction *t,
                          struct mem_account *account, struct decoded **ret)
{
    struct decoded *d = mem_zalloc(sizeof(*d));
    if (d == NULL)
        return ERR_NOMEM;
    buffer_init(&d->strings, SIZE_MAX, account);
    buffer_init(&d->rest, SIZE_MAX, account);
    enum err rc = write_rest(d, ps, t);
    d->columns = ps->columns;
    profile_columns_init(&ps->columns, account);
    drop_lookups(&d->columns);
    d->profile = ps->p;
    use_transaction(&d->profile, t);
    point_to_columns(d);
    d->profile.rest = buffer_bytes(&d->rest);
    if (rc == ERR_OK)
        rc = make_strings(d);
    if (rc != ERR_OK) {
        decoded_destroy(d);
        return rc;
    }
    *ret = d;
    return ERR_OK;
}

static enum err decode(struct bytes json, const struct decode_options *options,
                       struct decoded **ret, enum ingest_outcome *ret_outcome, struct errinfo *info)
{
    struct profile_parser *ps = mem_alloc(sizeof(*ps)); /* big for a stack */
    if (ps == NULL)
        return err_set(info, ERR_NOMEM, "profile: no memory");
    profile_parser_init(ps, json, options, info);
    enum err rc = profile_parser_run(ps);
    if (rc == ERR_MALFORMED) {
        rc = refuse_reading(json, options, ret_outcome, info);
    } else if (rc == ERR_OK) {
        const struct profile_transaction *t = chosen_transaction(ps);
        rc = judge(ps, options, t, ret_outcome, info);
        if (rc == ERR_OK)
            rc = take_over(ps, t, options->account, ret);
    }
    profile_parser_close(ps);
    mem_free(ps);
    return rc;
}

/* Every byte that is no UTF-8 becomes U+FFFD. */
static void replace_bad_bytes(struct bytes text, struct buffer *out)
{
    while (text.len > 0) {
        size_t len = text.data[0] < 0x80 ? 1 : 2;
        while (len > 1 && len <= 4 && len <= text.len && !bytes_is_utf8(bytes_first(text, len)))
            len++;
        if (len > 4 || len > text.len) {
            buffer_put(out, BYTES("\xef\xbf\xbd"));
            len = 1;
        } else {
            buffer_put(out, bytes_first(text, len));
        }
        text = bytes_from(text, len);
    }
}

enum err profile_decode(struct bytes json, const struct decode_options *options,
                        struct decoded **ret, enum ingest_outcome *ret_outcome,
                        struct errinfo *info)
{
    *ret_outcome = INGEST_INVALID_JSON;
    if (options->rules == DECODE_ENVELOPE || bytes_is_utf8(json))
        return decode(json, options, ret, ret_outcome, info);
    struct buffer clean;
    buffer_init(&clean, SIZE_MAX, options->account);
    replace_bad_bytes(json, &clean);
    enum err rc = clean.failed;
    if (rc == ERR_OK)
        rc = decode(buffer_bytes(&clean), options, ret, ret_outcome, info);
    buffer_close(&clean);
    return rc;
}

struct profile *decoded_profile(struct decoded *d)
{
    return &d->profile;
}

enum err decoded_add_string(struct decoded *d, struct bytes text, uint32_t *ret_id)
{
    TRY(intern_add(&d->columns.strings, text, ret_id));
    return make_strings(d);
}

void decoded_destroy(struct decoded *d)
{
    if (d == NULL)
        return;
    profile_columns_close(&d->columns);
    buffer_close(&d->strings);
    buffer_close(&d->rest);
    mem_free(d);
}
