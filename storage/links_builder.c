#include "storage/links_builder.h"

#include <assert.h>
#include <inttypes.h>

#include "base/size.h"
#include "base/sort.h"
#include "storage/link_page.h"
#include "storage/page.h"
#include "storage/segment_rows_parts.h"

struct built_link {
    uint64_t project_id;
    struct uuid profiler_id;
    struct uuid trace_id;
    struct uuid transaction_id;
    struct hash128 content; /* when has_content */
    uint64_t span_id;
    uint64_t parent_span_id;
    int64_t start_ns;
    int64_t end_ns;
    uint64_t arrival;
    uint32_t text[LINK_TEXT_COUNT];
    bool is_segment;
    bool has_content;
};

void links_builder_init(struct links_builder *b, struct mem_account *account)
{
    *b = (struct links_builder){.account = account};
    counted_array_init(&b->links, sizeof(struct built_link), account);
    buffer_init(&b->scratch, FACTS_SIZE_MAX, account);
    buffer_init(&b->order, SIZE_MAX, account);
    buffer_init(&b->places, SIZE_MAX, account);
    buffer_init(&b->trace_of, SIZE_MAX, account);
    buffer_init(&b->firsts, SIZE_MAX, account);
}

void links_builder_close(struct links_builder *b)
{
    counted_array_close(&b->links);
    buffer_close(&b->scratch);
    buffer_close(&b->order);
    buffer_close(&b->places);
    buffer_close(&b->trace_of);
    buffer_close(&b->firsts);
}

size_t links_builder_bytes(const struct links_builder *b)
{
    return counted_array_bytes(&b->links) + b->scratch.capacity + b->order.capacity +
           b->places.capacity + b->trace_of.capacity + b->firsts.capacity;
}

/* ---- adding ---- */

static enum err add_texts(struct tables_builder *tables, const struct link *link,
                          uint32_t ret[LINK_TEXT_COUNT])
{
    struct bytes text[LINK_TEXT_COUNT];
    record_get_link_texts(link, text);
    for (size_t i = 0; i < LINK_TEXT_COUNT; i++)
        TRY(tables_builder_text(tables, text[i], &ret[i]));
    return ERR_OK;
}

enum err links_builder_add(struct links_builder *b, struct tables_builder *tables,
                           const struct link *link, struct hash128 content, uint64_t arrival,
                           struct errinfo *info)
{
    struct hash128 own;
    struct built_link built = {.project_id = link->project_id,
                               .profiler_id = link->profiler_id,
                               .trace_id = link->trace_id,
                               .transaction_id = link->transaction_id,
                               .content = content,
                               .span_id = link->span_id,
                               .parent_span_id = link->parent_span_id,
                               .start_ns = link->start_ns,
                               .end_ns = link->end_ns,
                               .arrival = arrival,
                               .is_segment = link->is_segment};
    enum err rc = counted_array_reserve(&b->links);
    if (rc == ERR_OK)
        rc = record_link_content(link, &b->scratch, &own);
    if (rc == ERR_OK)
        rc = add_texts(tables, link, built.text);
    if (rc != ERR_OK)
        return err_set(info, rc, "links: no room for more than %" PRIu32, b->links.count);
    built.has_content = !hash128_equal(content, own);
    *(struct built_link *)counted_array_add(&b->links) = built;
    return ERR_OK;
}

/* ---- sorting ---- */

static uint32_t *u32s(const struct buffer *b)
{
    return (uint32_t *)(void *)b->data; /* mem_alloc aligns for any type */
}

static const struct built_link *link_at(const struct links_builder *b, uint32_t link)
{
    return counted_array_at(&b->links, u32s(&b->order)[link]);
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* By project, start, arrival; then as they came. */
static int compare_times(const void *left, const void *right, void *context)
{
    const struct links_builder *b = context;
    uint32_t at = *(const uint32_t *)left;
    uint32_t other_at = *(const uint32_t *)right;
    const struct built_link *link = counted_array_at(&b->links, at);
    const struct built_link *other = counted_array_at(&b->links, other_at);
    int order = compare_u64(link->project_id, other->project_id);
    if (order == 0)
        order = compare_u64(rows_bits_of(link->start_ns), rows_bits_of(other->start_ns));
    if (order == 0)
        order = compare_u64(link->arrival, other->arrival);
    return order == 0 ? compare_u64(at, other_at) : order;
}

static int compare_traces(const struct built_link *a, const struct built_link *b)
{
    int order = compare_u64(a->project_id, b->project_id);
    return order == 0 ? uuid_compare(a->trace_id, b->trace_id) : order;
}

/* Of links of one trace: span, then start. */
static int compare_keys(const struct built_link *a, const struct built_link *b)
{
    int order = compare_u64(a->span_id, b->span_id);
    return order == 0 ? compare_u64(rows_bits_of(a->start_ns), rows_bits_of(b->start_ns)) : order;
}

static int compare_spans(const void *left, const void *right, void *context)
{
    const struct links_builder *b = context;
    const struct built_link *link = link_at(b, *(const uint32_t *)left);
    const struct built_link *other = link_at(b, *(const uint32_t *)right);
    int order = compare_traces(link, other);
    return order == 0 ? compare_keys(link, other) : order;
}

/* 0, 1, 2 ... sorted. */
static enum err sort_numbers(struct links_builder *b, struct buffer *numbers,
                             int (*compare)(const void *, const void *, void *))
{
    uint32_t count = b->links.count;
    buffer_clear(numbers);
    uint32_t *number = buffer_extend(numbers, count * sizeof *number);
    if (number == NULL)
        return numbers->failed;
    for (uint32_t i = 0; i < count; i++)
        number[i] = i;
    return sort_array(b->account, number, count, sizeof *number, compare, b);
}

static enum err same_key(const struct built_link *link, struct errinfo *info)
{
    char trace[UUID_TEXT_SIZE + 1];
    uuid_print(link->trace_id, trace);
    return err_set(info, ERR_CORRUPT,
                   "links: two of project %" PRIu64 ", trace %s, span %016" PRIx64
                   " with one start: expected one",
                   link->project_id, trace, link->span_id);
}

/* Links of one trace stand together among the places. */
static enum err number_traces(struct links_builder *b, struct errinfo *info)
{
    uint32_t count = b->links.count;
    const uint32_t *places = u32s(&b->places);
    buffer_clear(&b->trace_of);
    buffer_clear(&b->firsts);
    b->trace_count = 0;
    uint32_t *trace_of = buffer_extend(&b->trace_of, count * sizeof *trace_of);
    if (trace_of == NULL)
        return b->trace_of.failed;
    for (uint32_t i = 0; i < count; i++) {
        const struct built_link *link = link_at(b, places[i]);
        const struct built_link *last = i == 0 ? NULL : link_at(b, places[i - 1]);
        if (last == NULL || compare_traces(last, link) != 0) {
            buffer_put(&b->firsts, bytes_of(&i, sizeof i));
            b->trace_count++;
        } else if (compare_keys(last, link) == 0) {
            return same_key(link, info);
        }
        trace_of[places[i]] = b->trace_count - 1;
    }
    return b->firsts.failed;
}

enum err links_builder_sort(struct links_builder *b, struct errinfo *info)
{
    enum err rc = sort_numbers(b, &b->order, compare_times);
    if (rc == ERR_OK)
        rc = sort_numbers(b, &b->places, compare_spans);
    if (rc == ERR_OK)
        rc = number_traces(b, info);
    if (rc == ERR_OK || rc == ERR_CORRUPT)
        return rc;
    return err_set(info, rc, "links: no memory to sort %" PRIu32 " of them", b->links.count);
}

uint64_t links_builder_project(const struct links_builder *b, uint32_t link)
{
    return link_at(b, link)->project_id;
}

/* ---- columns ---- */

/* What is made while links are written. */
struct links_writer {
    const struct links_builder *b;
    struct segment_file_writer *file;
    struct run_finder runs;
    struct buffer column; /* uint64_t */
    struct buffer raw;    /* one page before and after compression */
    struct buffer page;
    struct link_item items[FORMAT_LINKS_A_PAGE];
    uint64_t span_ids[FORMAT_LINKS_A_PAGE];
};

static enum err put_column(struct links_writer *x, enum format_section kind, uint32_t count,
                           uint64_t (*value)(const struct links_builder *b, uint32_t at))
{
    buffer_clear(&x->column);
    uint64_t *values = buffer_extend(&x->column, count * sizeof *values);
    if (values == NULL)
        return x->column.failed;
    for (uint32_t i = 0; i < count; i++)
        values[i] = value(x->b, i);
    packed_put(x->file, kind, values, 1, count);
    return ERR_OK;
}

static uint64_t link_span(const struct links_builder *b, uint32_t at)
{
    return link_at(b, at)->span_id;
}

static uint64_t link_start(const struct links_builder *b, uint32_t at)
{
    return rows_bits_of(link_at(b, at)->start_ns);
}

/* Wraps when it ends before it starts, and back when it is read. */
static uint64_t link_duration(const struct links_builder *b, uint32_t at)
{
    return (uint64_t)link_at(b, at)->end_ns - (uint64_t)link_at(b, at)->start_ns;
}

static uint64_t trace_first(const struct links_builder *b, uint32_t at)
{
    return u32s(&b->firsts)[at] - at; /* less its own number, as with runs */
}

static uint64_t trace_link(const struct links_builder *b, uint32_t at)
{
    return u32s(&b->places)[at];
}

/* How many links before it the largest end of its project up to it is. */
static enum err put_back(struct links_writer *x)
{
    uint32_t count = x->b->links.count;
    const struct built_link *furthest = NULL;
    uint32_t furthest_at = 0;
    buffer_clear(&x->column);
    uint64_t *values = buffer_extend(&x->column, count * sizeof *values);
    if (values == NULL)
        return x->column.failed;
    for (uint32_t i = 0; i < count; i++) {
        const struct built_link *link = link_at(x->b, i);
        if (furthest == NULL || furthest->project_id != link->project_id ||
            link->end_ns >= furthest->end_ns) {
            furthest = link;
            furthest_at = i;
        }
        values[i] = i - furthest_at;
    }
    packed_put(x->file, SECTION_LINK_BACK, values, 1, count);
    return ERR_OK;
}

/* ---- pages ---- */

static struct link_item item_of(const struct links_writer *x, uint32_t link)
{
    const struct built_link *from = link_at(x->b, link);
    struct link_item item = {
        .parent_span_id = from->parent_span_id,
        .arrival = from->arrival,
        .trace = u32s(&x->b->trace_of)[link],
        .profiler_run = x->runs.find(x->runs.self, from->project_id, from->profiler_id),
        .transaction_id = from->transaction_id,
        .content = from->content,
        .is_segment = from->is_segment,
        .has_content = from->has_content,
    };
    memcpy(item.text, from->text, sizeof item.text);
    if (item.profiler_run == LINK_ITEM_NO_RUN)
        item.profiler_id = from->profiler_id;
    return item;
}

/* `number` is where its checksum starts: a page at another place fails. */
static enum err put_page(struct links_writer *x, uint32_t number, struct errinfo *info)
{
    uint32_t first = number * FORMAT_LINKS_A_PAGE;
    uint32_t count = (uint32_t)size_min(x->b->links.count - first, FORMAT_LINKS_A_PAGE);
    for (uint32_t i = 0; i < count; i++) {
        x->items[i] = item_of(x, first + i);
        x->span_ids[i] = link_at(x->b, first + i)->span_id;
    }
    buffer_clear(&x->raw);
    buffer_clear(&x->page);
    link_page_encode(x->items, x->span_ids, count, &x->raw);
    TRY(x->raw.failed);
    TRY(page_seal(buffer_bytes(&x->raw), number, &x->page, info));
    segment_file_put(x->file, buffer_bytes(&x->page));
    return ERR_OK;
}

static enum err put_pages(struct links_writer *x, struct errinfo *info)
{
    uint32_t links = x->b->links.count;
    uint32_t pages = links / FORMAT_LINKS_A_PAGE + (links % FORMAT_LINKS_A_PAGE > 0);
    buffer_clear(&x->column);
    uint64_t *ends = buffer_extend(&x->column, pages * sizeof *ends);
    if (ends == NULL)
        return x->column.failed;
    segment_file_begin(x->file, SECTION_LINK_PAGES);
    for (uint32_t i = 0; i < pages; i++) {
        TRY(put_page(x, i, info));
        ends[i] = segment_file_put_size(x->file);
    }
    packed_put(x->file, SECTION_LINK_END, ends, 1, pages);
    return ERR_OK;
}

/* ---- traces ---- */

static enum err put_traces(struct links_writer *x, uint64_t hash_seed)
{
    const struct links_builder *b = x->b;
    struct slots_builder slots;
    enum err rc = slots_builder_init(&slots, b->trace_count, b->trace_count, b->account);
    segment_file_begin(x->file, SECTION_TRACE_ID);
    for (uint32_t i = 0; i < b->trace_count && rc == ERR_OK; i++) {
        const struct built_link *first = link_at(b, u32s(&b->places)[u32s(&b->firsts)[i]]);
        sixteens_put_uuid(x->file, first->trace_id);
        slots_builder_add(
            &slots, rows_key_hash(hash_seed, RECORD_LINK, first->project_id, first->trace_id), i);
    }
    if (rc == ERR_OK)
        rc = put_column(x, SECTION_TRACE_FIRST, b->trace_count, trace_first);
    if (rc == ERR_OK)
        rc = put_column(x, SECTION_TRACE_LINK, b->links.count, trace_link);
    if (rc == ERR_OK)
        slots_builder_write(&slots, x->file, SECTION_TRACE_SLOTS);
    slots_builder_close(&slots);
    return rc;
}

static enum err put_all(struct links_writer *x, uint64_t hash_seed, struct errinfo *info)
{
    uint32_t count = x->b->links.count;
    TRY(put_column(x, SECTION_LINK_SPAN, count, link_span));
    TRY(put_column(x, SECTION_LINK_START, count, link_start));
    TRY(put_column(x, SECTION_LINK_DURATION, count, link_duration));
    TRY(put_back(x));
    TRY(put_pages(x, info));
    return put_traces(x, hash_seed);
}

enum err links_builder_write(const struct links_builder *b, struct segment_file_writer *w,
                             uint64_t hash_seed, struct run_finder runs, struct errinfo *info)
{
    struct links_writer *x = mem_zalloc(sizeof *x);
    if (x == NULL)
        return ERR_NOMEM;
    x->b = b;
    x->file = w;
    x->runs = runs;
    buffer_init(&x->column, SIZE_MAX, b->account);
    buffer_init(&x->raw, LINK_PAGE_RAW_MAX, b->account);
    buffer_init(&x->page, SIZE_MAX, b->account);
    enum err rc = put_all(x, hash_seed, info);
    buffer_close(&x->column);
    buffer_close(&x->raw);
    buffer_close(&x->page);
    mem_free(x);
    return rc;
}
