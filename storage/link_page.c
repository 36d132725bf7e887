#include "storage/link_page.h"

#include "storage/column.h"

#define ITEMS_MAX FORMAT_LINKS_A_PAGE

/* A reference: 0, the thing itself follows; 1, there is none; else a place + 2 where it stands. */
#define REF_ITSELF 0u
#define REF_NONE   1u
#define REF_FIRST  2u

/* The ranges of an item by which classes are told. */
#define WHAT_OFFSET   offsetof(struct link_item, text)
#define WHAT_SIZE     (LINK_THREAD_ID * sizeof(uint32_t))
#define WHERE_OFFSET  (WHAT_OFFSET + WHAT_SIZE)
#define WHERE_SIZE    (offsetof(struct link_item, transaction_id) - WHERE_OFFSET)
#define FIELD(member) offsetof(struct link_item, member), sizeof(((struct link_item *)NULL)->member)

static_assert(offsetof(struct link_item, profiler_run) ==
                  WHAT_OFFSET + LINK_TEXT_COUNT * sizeof(uint32_t),
              "no padding");
static_assert(WHERE_SIZE ==
                  (LINK_TEXT_COUNT - LINK_THREAD_ID + 1) * sizeof(uint32_t) + sizeof(struct uuid),
              "no padding");

/* Which items agree in a range of their bytes. */
struct classes {
    uint32_t count;
    uint32_t of_item[ITEMS_MAX];
    uint32_t first[ITEMS_MAX]; /* item of each class */
};

/* ---- encoding ---- */

static uint32_t class_of(const struct classes *c, const uint8_t *items, uint32_t item,
                         size_t offset, size_t size)
{
    const uint8_t *wanted = items + item * sizeof(struct link_item) + offset;
    uint32_t found = c->count;
    while (found > 0) { /* the latest ones are the likeliest */
        const uint8_t *there = items + c->first[found - 1] * sizeof(struct link_item) + offset;
        if (memcmp(there, wanted, size) == 0)
            return found - 1;
        found--;
    }
    return c->count;
}

/* Tells the classes, and each item's in `out`. */
static void put_classes(struct buffer *out, const struct link_item *items, uint32_t count,
                        size_t offset, size_t size, struct classes *ret)
{
    ret->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t found = class_of(ret, (const uint8_t *)items, i, offset, size);
        if (found == ret->count)
            ret->first[ret->count++] = i;
        ret->of_item[i] = found;
    }
    column_put_rising(out, ret->of_item, 1, count);
}

static void put_step(struct buffer *out, uint64_t value, uint64_t *last)
{
    buffer_put_varint(out, zigzag_encode((int64_t)(value - *last)));
    *last = value;
}

static void put_texts(struct buffer *out, const struct link_item *items, const struct classes *c,
                      enum link_text from, enum link_text end)
{
    for (size_t text = from; text < end; text++) {
        uint64_t last = 0;
        for (uint32_t i = 0; i < c->count; i++)
            put_step(out, items[c->first[i]].text[text], &last);
    }
}

static void put_uuid(struct buffer *out, struct uuid id)
{
    buffer_put_varint(out, uuid_is_nil(id) ? REF_NONE : REF_ITSELF);
    if (!uuid_is_nil(id))
        buffer_put(out, bytes_of(id.byte, sizeof id.byte));
}

static void put_profilers(struct buffer *out, const struct link_item *items,
                          const struct classes *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct link_item *item = &items[c->first[i]];
        if (item->profiler_run == LINK_ITEM_NO_RUN)
            put_uuid(out, item->profiler_id);
        else
            buffer_put_varint(out, (uint64_t)item->profiler_run + REF_FIRST);
    }
}

static void put_parent(struct buffer *out, uint64_t parent, const uint64_t *span_ids,
                       uint32_t count)
{
    uint32_t at = 0;
    while (at < count && span_ids[at] != parent)
        at++;
    if (parent == 0) {
        buffer_put_varint(out, REF_NONE);
    } else if (at < count) {
        buffer_put_varint(out, (uint64_t)at + REF_FIRST);
    } else {
        buffer_put_varint(out, REF_ITSELF);
        buffer_put_u64(out, parent);
    }
}

static void put_segments(struct buffer *out, const struct link_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += 8) {
        unsigned bits = 0;
        for (uint32_t k = i; k < count && k < i + 8; k++)
            bits |= (unsigned)items[k].is_segment << (k - i);
        buffer_put_u8(out, (uint8_t)bits);
    }
}

/* Only those that do not follow: in practice none. */
static void put_contents(struct buffer *out, const struct link_item *items, uint32_t count)
{
    uint32_t own = 0;
    for (uint32_t i = 0; i < count; i++)
        own += items[i].has_content;
    buffer_put_varint(out, own);
    for (uint32_t i = 0; i < count; i++) {
        if (!items[i].has_content)
            continue;
        buffer_put_varint(out, i);
        buffer_put_u64(out, items[i].content.lo);
        buffer_put_u64(out, items[i].content.hi);
    }
}

void link_page_encode(const struct link_item *items, const uint64_t *span_ids, uint32_t count,
                      struct buffer *out)
{
    struct classes c;
    uint64_t last = 0;
    assert(count <= ITEMS_MAX);
    put_classes(out, items, count, WHERE_OFFSET, WHERE_SIZE, &c);
    put_profilers(out, items, &c);
    put_texts(out, items, &c, LINK_THREAD_ID, LINK_TEXT_COUNT);
    put_classes(out, items, count, WHAT_OFFSET, WHAT_SIZE, &c);
    put_texts(out, items, &c, LINK_NAME, LINK_THREAD_ID);
    put_classes(out, items, count, FIELD(trace), &c);
    for (uint32_t i = 0; i < c.count; i++)
        put_step(out, items[c.first[i]].trace, &last);
    put_classes(out, items, count, FIELD(parent_span_id), &c);
    for (uint32_t i = 0; i < c.count; i++)
        put_parent(out, items[c.first[i]].parent_span_id, span_ids, count);
    put_classes(out, items, count, FIELD(transaction_id), &c);
    for (uint32_t i = 0; i < c.count; i++)
        put_uuid(out, items[c.first[i]].transaction_id);
    last = 0;
    for (uint32_t i = 0; i < count; i++)
        put_step(out, items[i].arrival, &last);
    put_segments(out, items, count);
    put_contents(out, items, count);
}

/* ---- decoding ---- */

static void get_classes(struct reader *r, uint32_t count, struct classes *ret)
{
    column_get_rising(r, ret->of_item, 1, count);
    ret->count = 0;
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        if (ret->of_item[i] > ret->count)
            r->failed = true; /* a class without a first item */
        else if (ret->of_item[i] == ret->count)
            ret->first[ret->count++] = i;
    }
    if (r->failed)
        ret->count = 0;
}

static uint64_t get_step(struct reader *r, uint64_t *last)
{
    *last += (uint64_t)zigzag_decode(reader_varint(r));
    return *last;
}

static uint32_t get_step32(struct reader *r, uint64_t *last)
{
    uint64_t value = get_step(r, last);
    if (value > UINT32_MAX)
        r->failed = true;
    return (uint32_t)value;
}

/* Each class' first item has the value: the others take it from there. */
static void get_texts(struct reader *r, struct link_item *items, const struct classes *c,
                      enum link_text from, enum link_text end)
{
    for (size_t text = from; text < end; text++) {
        uint64_t last = 0;
        for (uint32_t i = 0; i < c->count; i++)
            items[c->first[i]].text[text] = get_step32(r, &last);
    }
}

static struct uuid get_uuid(struct reader *r)
{
    struct uuid id = {0};
    struct bytes raw = reader_take(r, sizeof id.byte);
    if (!r->failed)
        memcpy(id.byte, raw.data, sizeof id.byte);
    return id;
}

static void get_profilers(struct reader *r, struct link_item *items, const struct classes *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct link_item *item = &items[c->first[i]];
        uint64_t ref = reader_varint(r);
        if (ref > (uint64_t)LINK_ITEM_NO_RUN + 1)
            r->failed = true;
        item->profiler_run = ref < REF_FIRST ? LINK_ITEM_NO_RUN : (uint32_t)(ref - REF_FIRST);
        item->profiler_id = ref == REF_ITSELF ? get_uuid(r) : (struct uuid){0};
    }
}

static void get_transactions(struct reader *r, struct link_item *items, const struct classes *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        uint64_t ref = reader_varint(r);
        if (ref > REF_NONE)
            r->failed = true;
        items[c->first[i]].transaction_id = ref == REF_ITSELF ? get_uuid(r) : (struct uuid){0};
    }
}

static uint64_t get_parent(struct reader *r, const uint64_t *span_ids, uint32_t count)
{
    uint64_t ref = reader_varint(r);
    if (ref == REF_ITSELF)
        return reader_u64(r);
    if (ref == REF_NONE)
        return 0;
    if (ref - REF_FIRST < count)
        return span_ids[ref - REF_FIRST];
    r->failed = true;
    return 0;
}

static void spread(struct link_item *items, uint32_t count, const struct classes *c, size_t offset,
                   size_t size)
{
    for (uint32_t i = 0; i < count && c->count > 0; i++) {
        uint32_t first = c->first[c->of_item[i]];
        if (first != i)
            memcpy((uint8_t *)&items[i] + offset, (const uint8_t *)&items[first] + offset, size);
    }
}

static void get_segments(struct reader *r, struct link_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += 8) {
        unsigned bits = reader_u8(r);
        for (uint32_t k = i; k < count && k < i + 8; k++, bits >>= 1)
            items[k].is_segment = (bits & 1) != 0;
        if (count - i < 8 && bits != 0)
            r->failed = true;
    }
}

static void get_contents(struct reader *r, struct link_item *items, uint32_t count)
{
    uint64_t own = reader_varint(r);
    if (own > count)
        r->failed = true;
    for (uint64_t i = 0; i < own && !r->failed; i++) {
        uint64_t at = reader_varint(r);
        if (at >= count) {
            r->failed = true;
            return;
        }
        items[at].has_content = true;
        items[at].content.lo = reader_u64(r);
        items[at].content.hi = reader_u64(r);
    }
}

static void get_items(struct reader *r, const uint64_t *span_ids, uint32_t count,
                      struct link_item *items)
{
    struct classes c;
    uint64_t last = 0;
    get_classes(r, count, &c);
    get_profilers(r, items, &c);
    get_texts(r, items, &c, LINK_THREAD_ID, LINK_TEXT_COUNT);
    spread(items, count, &c, WHERE_OFFSET, WHERE_SIZE);
    get_classes(r, count, &c);
    get_texts(r, items, &c, LINK_NAME, LINK_THREAD_ID);
    spread(items, count, &c, WHAT_OFFSET, WHAT_SIZE);
    get_classes(r, count, &c);
    for (uint32_t i = 0; i < c.count; i++)
        items[c.first[i]].trace = get_step32(r, &last);
    spread(items, count, &c, FIELD(trace));
    get_classes(r, count, &c);
    for (uint32_t i = 0; i < c.count; i++)
        items[c.first[i]].parent_span_id = get_parent(r, span_ids, count);
    spread(items, count, &c, FIELD(parent_span_id));
    get_classes(r, count, &c);
    get_transactions(r, items, &c);
    spread(items, count, &c, FIELD(transaction_id));
    last = 0;
    for (uint32_t i = 0; i < count; i++)
        items[i].arrival = get_step(r, &last);
    get_segments(r, items, count);
    get_contents(r, items, count);
}

enum err link_page_decode(struct bytes in, const uint64_t *span_ids, uint32_t count,
                          struct link_item *ret_items, struct errinfo *info)
{
    struct reader r = reader_of(in);
    assert(count <= ITEMS_MAX);
    memset(ret_items, 0, count * sizeof *ret_items);
    get_items(&r, span_ids, count, ret_items);
    if (r.failed || reader_left(&r) > 0)
        return err_set(info, ERR_CORRUPT, "links: %zu bytes of a page do not hold %u of them",
                       in.len, count);
    return ERR_OK;
}
