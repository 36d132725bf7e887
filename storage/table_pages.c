#include "storage/table_pages.h"

#include <assert.h>

#include "base/limits.h"
#include "storage/number_list.h"
#include "storage/profile.h"
#include "storage/segment_tables.h"
#include "storage/squeeze.h"

#define COLUMN_ORDER    3 /* of the one number of a column that has no other */
#define ROWS_A_PAGE_MAX 256

static_assert(FORMAT_FRAMES_A_PAGE <= ROWS_A_PAGE_MAX, "rows of a page");
static_assert(FORMAT_THREADS_A_PAGE <= ROWS_A_PAGE_MAX, "rows of a page");
static_assert(sizeof(struct segment_frame) == 12 * sizeof(uint32_t), "a row of fields");
static_assert(sizeof(struct profile_thread) == 4 * sizeof(uint32_t), "a row of fields");

#define FIELD(type, field) (uint8_t)(offsetof(type, field) / sizeof(uint32_t))

/* Frames of one module mostly have one file, path and platform. */
const struct row_shape frame_shape = {
    .name = "frame",
    .fields = 12,
    .texts = 9,
    .order = {
        FIELD(struct segment_frame, frame.module), FIELD(struct segment_frame, frame.function),
        FIELD(struct segment_frame, frame.filename), FIELD(struct segment_frame, frame.abs_path),
        FIELD(struct segment_frame, frame.package), FIELD(struct segment_frame, frame.platform),
        FIELD(struct segment_frame, frame.instruction_addr),
        FIELD(struct segment_frame, frame.rest), FIELD(struct segment_frame, document_platform),
        FIELD(struct segment_frame, frame.line), FIELD(struct segment_frame, frame.column),
        FIELD(struct segment_frame, frame.in_app)}};

const struct row_shape thread_shape = {
    .name = "thread",
    .fields = 4,
    .texts = 2,
    .order = {FIELD(struct profile_thread, id), FIELD(struct profile_thread, name),
              FIELD(struct profile_thread, priority), FIELD(struct profile_thread, known)}};

static enum err unsound(struct errinfo *info, const char *what)
{
    return err_set(info, ERR_CORRUPT, "a page of %ss is cut short or out of range", what);
}

/* ---- columns: one number when all are equal, else a list ---- */

static void put_column(struct bits_writer *w, const uint64_t *codes, size_t count)
{
    size_t same = 1;
    while (same < count && codes[same] == codes[0])
        same++;
    bits_put(w, same >= count, 1);
    if (same >= count)
        bits_put_golomb(w, count > 0 ? codes[0] : 0, COLUMN_ORDER);
    else
        number_list_put(w, NUMBERS_PLAIN, codes, count);
}

static void get_column(struct bits_reader *r, uint64_t *codes, size_t count)
{
    if (bits_get(r, 1) == 0) {
        number_list_get(r, NUMBERS_PLAIN, codes, count);
        return;
    }
    uint64_t same = bits_get_golomb(r, COLUMN_ORDER);
    for (size_t i = 0; i < count; i++)
        codes[i] = same;
}

/* ---- rows of fields ---- */

/* The row that the other fields of row `at` are compared with: the last one before it with the same
 * first field, else the one before; NULL for the first row. */
static const uint32_t *find_alike(const struct row_shape *shape, const uint32_t *rows, size_t at)
{
    size_t key = shape->order[0];
    const uint32_t *row = rows + at * shape->fields;
    for (const uint32_t *other = row; other > rows;) {
        other -= shape->fields;
        if (other[key] == row[key])
            return other;
    }
    return at == 0 ? NULL : row - shape->fields;
}

/* A text: 0 as the row alike, 1 the next one never seen before, else even: how far below that, odd:
 * how far above. */
static uint64_t text_code(uint64_t *next, uint32_t text, uint32_t alike)
{
    uint64_t code;
    if (text < *next)
        return text == alike ? 0 : 2 + 2 * (*next - 1 - text);
    code = text == *next ? 1 : 3 + 2 * (text - *next - 1);
    *next = (uint64_t)text + 1;
    return code;
}

static uint64_t text_of(uint64_t *next, uint64_t code, uint32_t alike)
{
    if (code == 0)
        return alike;
    if (code % 2 == 0)
        return *next - 1 - (code - 2) / 2; /* beyond 32 bits when there is none */
    uint64_t text = code == 1 ? *next : *next + 1 + (code - 3) / 2;
    *next = text + 1;
    return text;
}

enum err row_page_put(const struct row_shape *shape, const uint32_t *rows, size_t count,
                      uint32_t next_text, struct buffer *out)
{
    uint64_t codes[ROW_FIELDS_MAX][ROWS_A_PAGE_MAX];
    uint64_t next = next_text;
    struct bits_writer w = {.out = out};
    assert(count <= ROWS_A_PAGE_MAX);
    for (size_t i = 0; i < count; i++) {
        const uint32_t *row = rows + i * shape->fields;
        const uint32_t *alike = find_alike(shape, rows, i);
        for (size_t k = 0; k < shape->fields; k++) {
            size_t field = shape->order[k];
            const uint32_t *other = k == 0 && i > 0 ? row - shape->fields : alike;
            uint32_t before = other == NULL ? 0 : other[field];
            codes[k][i] = k < shape->texts ? text_code(&next, row[field], before)
                                           : zigzag_encode((int64_t)row[field] - (int64_t)before);
        }
    }
    bits_put(&w, next_text, 32);
    for (size_t k = 0; k < shape->fields; k++)
        put_column(&w, codes[k], count);
    bits_end(&w);
    return out->failed;
}

/* False when a field is beyond 32 bits. */
static bool lay_out_row(const struct row_shape *shape, uint64_t codes[][ROWS_A_PAGE_MAX],
                        uint64_t *next, uint32_t *rows, size_t at)
{
    uint32_t *row = rows + at * shape->fields;
    const uint32_t *alike = at == 0 ? NULL : row - shape->fields;
    for (size_t k = 0; k < shape->fields; k++) {
        size_t field = shape->order[k];
        uint32_t before = alike == NULL ? 0 : alike[field];
        uint64_t value = k < shape->texts ? text_of(next, codes[k][at], before)
                                          : before + (uint64_t)zigzag_decode(codes[k][at]);
        if (value > UINT32_MAX)
            return false;
        row[field] = (uint32_t)value;
        if (k == 0)
            alike = find_alike(shape, rows, at);
    }
    return true;
}

enum err row_page_get(const struct row_shape *shape, struct bytes in, size_t count, uint32_t *rows,
                      struct errinfo *info)
{
    uint64_t codes[ROW_FIELDS_MAX][ROWS_A_PAGE_MAX];
    struct bits_reader r = {.in = in};
    assert(count <= ROWS_A_PAGE_MAX);
    uint64_t next = bits_get(&r, 32);
    for (size_t k = 0; k < shape->fields; k++)
        get_column(&r, codes[k], count);
    if (bits_rest(&r).len > 0)
        r.failed = true;
    for (size_t i = 0; i < count && !r.failed; i++)
        r.failed = !lay_out_row(shape, codes, &next, rows, i);
    return r.failed ? unsound(info, shape->name) : ERR_OK;
}

/* ---- nodes ---- */

enum err node_page_put(const struct trie_node *nodes, size_t first, size_t count,
                       struct buffer *out)
{
    uint64_t codes[FORMAT_NODES_A_PAGE];
    struct bits_writer w = {.out = out};
    assert(count <= FORMAT_NODES_A_PAGE);
    for (size_t i = 0; i < count; i++) {
        uint32_t parent = nodes[first + i].parent;
        codes[i] = parent == PROFILE_NONE ? 0 : first + i - parent;
    }
    put_column(&w, codes, count);
    int64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        codes[i] = zigzag_encode((int64_t)nodes[first + i].frame - before);
        before = nodes[first + i].frame;
    }
    put_column(&w, codes, count);
    bits_end(&w);
    return out->failed;
}

enum err node_page_get(struct bytes in, size_t first, size_t count, struct trie_node *nodes,
                       struct errinfo *info)
{
    uint64_t distance[FORMAT_NODES_A_PAGE], step[FORMAT_NODES_A_PAGE];
    struct bits_reader r = {.in = in};
    assert(count <= FORMAT_NODES_A_PAGE);
    get_column(&r, distance, count);
    get_column(&r, step, count);
    if (bits_rest(&r).len > 0)
        r.failed = true;
    uint64_t frame = 0;
    for (size_t i = 0; i < count && !r.failed; i++) {
        frame += (uint64_t)zigzag_decode(step[i]);
        r.failed = distance[i] > first + i || frame > UINT32_MAX;
        nodes[i].parent = distance[i] == 0 ? PROFILE_NONE : (uint32_t)(first + i - distance[i]);
        nodes[i].frame = (uint32_t)frame;
    }
    return r.failed ? unsound(info, "node") : ERR_OK;
}

/* ---- texts ---- */

enum err text_page_put(const struct intern *texts, uint32_t first, uint32_t end, struct buffer *raw,
                       struct buffer *out)
{
    buffer_clear(raw);
    for (uint32_t id = first; id < end; id++)
        buffer_put_varint(raw, intern_get(texts, id).len);
    for (uint32_t id = first; id < end; id++)
        buffer_put(raw, intern_get(texts, id));
    return raw->failed == ERR_OK ? squeeze_put(buffer_bytes(raw), out, NULL) : raw->failed;
}

enum err text_page_get(struct bytes in, size_t count, struct arena *arena, struct bytes *texts,
                       struct errinfo *info)
{
    struct bytes raw = {0};
    TRY(squeeze_get(in, PAGE_RAW_MAX, arena, &raw, info));
    struct reader lengths = reader_of(raw);
    struct reader r = lengths;
    for (size_t i = 0; i < count && !r.failed; i++)
        (void)reader_varint(&r);
    for (size_t i = 0; i < count && !r.failed; i++) {
        uint64_t len = reader_varint(&lengths);
        r.failed |= len > reader_left(&r);
        texts[i] = reader_take(&r, r.failed ? 0 : (size_t)len);
    }
    if (r.failed || reader_left(&r) > 0)
        return unsound(info, "text");
    return ERR_OK;
}
