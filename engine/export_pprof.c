#include <libdeflate.h>

#include "base/sort.h"
#include "engine/export_table.h"
#include "engine/pprof.pb-c.h"

#define GZIP_LEVEL 6 /* 9 takes three times as long for a few percent */

/* The message is written piece by piece, each piece a message with one element: concatenated, they
 * read as one message with all of them. Memory follows the bytes written, not the objects. */
struct writing {
    struct exporter *e;
    struct buffer raw;       /* the message so far */
    struct buffer name;      /* a thread's */
    struct intern functions; /* struct function_key */
    uint64_t *locations;     /* of one stack */
    bool *used;              /* frames */
    uint32_t text_thread_id;
    uint32_t text_thread_name;
    uint32_t text_profiler_id;
    bool has_groups;
};

struct function_key {
    uint32_t name; /* texts */
    uint32_t file;
};

struct pack_target {
    ProtobufCBuffer base;
    struct buffer *out;
};

static void on_packed(ProtobufCBuffer *base, size_t len, const uint8_t *data)
{
    struct pack_target *target = (struct pack_target *)(void *)base;
    buffer_put(target->out, bytes_of(data, len));
}

static void put_piece(struct writing *w, const Hearth__Pprof__Profile *piece)
{
    struct pack_target target = {.base = {.append = on_packed}, .out = &w->raw};
    protobuf_c_message_pack_to_buffer(&piece->base, &target.base);
}

static enum err add_text(struct writing *w, struct bytes text, int64_t *ret)
{
    uint32_t id = 0;
    TRY(intern_add(&w->e->texts, text, &id));
    *ret = id;
    return ERR_OK;
}

static enum err put_sample_type(struct writing *w, struct bytes type, struct bytes unit)
{
    Hearth__Pprof__ValueType made = HEARTH__PPROF__VALUE_TYPE__INIT;
    TRY(add_text(w, type, &made.type));
    TRY(add_text(w, unit, &made.unit));
    Hearth__Pprof__ValueType *list[] = {&made};
    Hearth__Pprof__Profile piece = HEARTH__PPROF__PROFILE__INIT;
    piece.n_sample_type = 1;
    piece.sample_type = list;
    put_piece(w, &piece);
    return ERR_OK;
}

static enum err put_header(struct writing *w)
{
    const struct exporter *e = w->e;
    TRY(put_sample_type(w, BYTES("samples"), BYTES("count")));
    TRY(put_sample_type(w, BYTES("wall"), BYTES("nanoseconds")));
    Hearth__Pprof__ValueType period = HEARTH__PPROF__VALUE_TYPE__INIT;
    Hearth__Pprof__Profile piece = HEARTH__PPROF__PROFILE__INIT;
    TRY(add_text(w, BYTES("wall"), &period.type));
    TRY(add_text(w, BYTES("nanoseconds"), &period.unit));
    piece.period_type = &period;
    piece.default_sample_type = period.type;
    if (e->first_ns <= e->last_ns) {
        piece.time_nanos = e->first_ns;
        if (__builtin_sub_overflow(e->last_ns, e->first_ns, &piece.duration_nanos))
            piece.duration_nanos = INT64_MAX;
    }
    int64_t comment = 0;
    if (e->comment.len > 0) {
        TRY(add_text(w, e->comment, &comment));
        piece.n_comment = 1;
        piece.comment = &comment;
    }
    put_piece(w, &piece);
    return ERR_OK;
}

/* ---- samples ---- */

static size_t stack_locations(struct writing *w, uint32_t node)
{
    size_t depth = 0;
    while (node != 0) {
        struct export_node n = export_node_at(w->e, node);
        w->used[n.frame] = true;
        w->locations[depth++] = n.frame; /* one location a frame, by the frame's id */
        node = n.parent;
    }
    return depth;
}

static enum err make_labels(struct writing *w, uint32_t thread, Hearth__Pprof__Label labels[3])
{
    struct export_thread t = export_threads(w->e)[thread];
    buffer_clear(&w->name);
    export_put_thread_name(w->e, thread, false, &w->name);
    labels[0].key = w->text_thread_id;
    labels[0].str = t.id;
    labels[1].key = w->text_thread_name;
    TRY(w->name.failed);
    TRY(add_text(w, buffer_bytes(&w->name), &labels[1].str));
    if (w->has_groups) {
        char group[UUID_TEXT_SIZE + 1];
        uuid_print(t.group, group);
        labels[2].key = w->text_profiler_id;
        TRY(add_text(w, bytes_of(group, UUID_TEXT_SIZE), &labels[2].str));
    }
    return ERR_OK;
}

static enum err put_sample(struct writing *w, uint32_t row)
{
    struct export_row key = export_row_at(w->e, row);
    struct export_value value = export_values(w->e)[row];
    int64_t values[] = {(int64_t)value.samples, (int64_t)value.ns};
    Hearth__Pprof__Label labels[3] = {HEARTH__PPROF__LABEL__INIT, HEARTH__PPROF__LABEL__INIT,
                                      HEARTH__PPROF__LABEL__INIT};
    Hearth__Pprof__Label *label_list[] = {&labels[0], &labels[1], &labels[2]};
    TRY(make_labels(w, key.thread, labels));
    Hearth__Pprof__Sample sample = HEARTH__PPROF__SAMPLE__INIT;
    sample.n_location_id = stack_locations(w, key.node);
    sample.location_id = w->locations;
    sample.n_value = 2;
    sample.value = values;
    sample.n_label = w->has_groups ? 3 : 2;
    sample.label = label_list;
    Hearth__Pprof__Sample *list[] = {&sample};
    Hearth__Pprof__Profile piece = HEARTH__PPROF__PROFILE__INIT;
    piece.n_sample = 1;
    piece.sample = list;
    put_piece(w, &piece);
    return ERR_OK;
}

struct ranked_row {
    uint32_t rank; /* of its thread */
    uint32_t row;
};

static int compare_rows(const void *left, const void *right, void *context)
{
    (void)context;
    const struct ranked_row *a = left;
    const struct ranked_row *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static enum err put_samples(struct writing *w, struct arena *arena)
{
    size_t count = w->e->rows.count - 1; /* [0] is no row */
    struct ranked_row *sorted = ARENA_ARRAY(arena, count, struct ranked_row);
    uint32_t *ranks = NULL;
    TRY(export_rank_threads(w->e, arena, &ranks));
    if (sorted == NULL)
        return arena->failed;
    for (uint32_t row = 1; row <= count; row++)
        sorted[row - 1] = (struct ranked_row){ranks[export_row_at(w->e, row).thread], row};
    TRY(sort_array(w->e->account, sorted, count, sizeof(sorted[0]), compare_rows, NULL));
    for (size_t i = 0; i < count; i++)
        TRY(put_sample(w, sorted[i].row));
    return ERR_OK;
}

/* ---- what samples refer to ---- */

static enum err put_location(struct writing *w, uint32_t frame)
{
    struct export_frame f = export_frame_at(w->e, frame);
    struct function_key key = {f.label, f.file};
    uint32_t function;
    TRY(intern_add(&w->functions, bytes_of(&key, sizeof(key)), &function));
    Hearth__Pprof__Line line = HEARTH__PPROF__LINE__INIT;
    line.function_id = function;
    line.line = f.line;
    Hearth__Pprof__Line *lines[] = {&line};
    Hearth__Pprof__Location location = HEARTH__PPROF__LOCATION__INIT;
    location.id = frame;
    location.n_line = 1;
    location.line = lines;
    Hearth__Pprof__Location *list[] = {&location};
    Hearth__Pprof__Profile piece = HEARTH__PPROF__PROFILE__INIT;
    piece.n_location = 1;
    piece.location = list;
    put_piece(w, &piece);
    return ERR_OK;
}

static void put_function(struct writing *w, uint32_t function)
{
    struct function_key key;
    memcpy(&key, intern_get(&w->functions, function).data, sizeof(key));
    Hearth__Pprof__Function made = HEARTH__PPROF__FUNCTION__INIT;
    made.id = function;
    made.name = key.name;
    made.system_name = key.name;
    made.filename = key.file;
    Hearth__Pprof__Function *list[] = {&made};
    Hearth__Pprof__Profile piece = HEARTH__PPROF__PROFILE__INIT;
    piece.n_function = 1;
    piece.function = list;
    put_piece(w, &piece);
}

static void put_texts(struct writing *w)
{
    for (uint32_t i = 0; i < w->e->texts.count; i++) {
        struct bytes text = intern_get(&w->e->texts, i);
        ProtobufCBinaryData list[] = {{.len = text.len}};
        memcpy(&list[0].data, &text.data, sizeof(text.data)); /* packing only reads */
        Hearth__Pprof__Profile piece = HEARTH__PPROF__PROFILE__INIT;
        piece.n_string_table = 1;
        piece.string_table = list;
        put_piece(w, &piece);
    }
}

static enum err put_message(struct writing *w, struct arena *arena)
{
    struct exporter *e = w->e;
    w->locations = ARENA_ARRAY(arena, e->nodes.count, uint64_t);
    w->used = ARENA_ARRAY(arena, e->frames.count, bool);
    if (w->locations == NULL || w->used == NULL)
        return arena->failed;
    memset(w->used, 0, e->frames.count * sizeof(w->used[0]));
    w->has_groups = export_has_groups(e);
    TRY(intern_add(&e->texts, BYTES("thread_id"), &w->text_thread_id));
    TRY(intern_add(&e->texts, BYTES("thread_name"), &w->text_thread_name));
    if (w->has_groups)
        TRY(intern_add(&e->texts, BYTES("profiler_id"), &w->text_profiler_id));
    TRY(put_header(w));
    TRY(put_samples(w, arena));
    for (uint32_t frame = 1; frame < e->frames.count; frame++)
        if (w->used[frame])
            TRY(put_location(w, frame));
    for (uint32_t function = 1; function < w->functions.count; function++)
        put_function(w, function);
    put_texts(w);
    return w->raw.failed;
}

static enum err gzip(struct bytes raw, struct buffer *out, struct errinfo *info)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (compressor == NULL)
        return err_set(info, ERR_NOMEM, "pprof: no memory to compress");
    size_t bound = libdeflate_gzip_compress_bound(compressor, raw.len);
    uint8_t *to = buffer_extend(out, bound);
    if (to != NULL) {
        size_t len = libdeflate_gzip_compress(compressor, raw.data, raw.len, to, bound);
        out->len -= bound - len; /* never 0: the bound is one */
    }
    libdeflate_free_compressor(compressor);
    return out->failed;
}

enum err export_write_pprof(struct exporter *e, struct arena *arena, struct buffer *out,
                            struct errinfo *info)
{
    struct writing w = {.e = e};
    buffer_init(&w.raw, EXPORT_TABLE_MAX, e->account);
    buffer_init(&w.name, EXPORT_TABLE_MAX, e->account);
    intern_init(&w.functions, EXPORT_TABLE_MAX, e->account);
    enum err rc = put_message(&w, arena);
    if (rc == ERR_OK)
        rc = gzip(buffer_bytes(&w.raw), out, info);
    buffer_close(&w.raw);
    buffer_close(&w.name);
    intern_close(&w.functions);
    return rc;
}
