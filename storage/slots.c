#include "storage/slots.h"

#include <inttypes.h>

#include "base/size.h"

#define SLOT_SIZE ((size_t)4)

/* Of a number + 1. At least one, so that there is something besides a free slot. */
static unsigned number_bits(uint32_t limit)
{
    return limit == 0 ? 1 : 32 - (unsigned)__builtin_clz(limit);
}

static uint32_t number_mask(uint32_t limit)
{
    return (uint32_t)((UINT64_C(1) << number_bits(limit)) - 1);
}

static struct slots_search begin(uint32_t count, uint32_t limit, uint64_t hash)
{
    return (struct slots_search){
        .at = (uint32_t)((hash >> 32) * count >> 32),
        .left = count,
        .above = (uint32_t)((hash & UINT32_MAX) << number_bits(limit)),
    };
}

static void step(struct slots_search *search, uint32_t count)
{
    search->at = search->at + 1 == count ? 0 : search->at + 1;
    search->left--;
}

static uint32_t get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

/* ---- building ---- */

enum err slots_builder_init(struct slots_builder *b, uint32_t entries, uint32_t limit,
                            struct mem_account *account)
{
    uint64_t count = (uint64_t)entries + entries / 2 + 1;
    *b = (struct slots_builder){.limit = limit};
    buffer_init(&b->slots, SIZE_MAX, account);
    if (count > UINT32_MAX)
        return ERR_LIMIT;
    b->count = (uint32_t)count;
    uint8_t *slots = buffer_extend(&b->slots, (size_t)count * SLOT_SIZE);
    if (slots == NULL)
        return b->slots.failed;
    memset(slots, 0, b->slots.len);
    return ERR_OK;
}

void slots_builder_close(struct slots_builder *b)
{
    buffer_close(&b->slots);
}

void slots_builder_add(struct slots_builder *b, uint64_t hash, uint32_t number)
{
    struct slots_search search = begin(b->count, b->limit, hash);
    assert(number < b->limit);
    while (get_u32(b->slots.data + search.at * SLOT_SIZE) != 0) {
        step(&search, b->count);
        assert(search.left > 0);
    }
    put_u32(b->slots.data + search.at * SLOT_SIZE, search.above | (number + 1));
}

struct slots_search slots_builder_begin(const struct slots_builder *b, uint64_t hash)
{
    return begin(b->count, b->limit, hash);
}

bool slots_builder_next(const struct slots_builder *b, struct slots_search *search, uint32_t *ret)
{
    uint32_t mask = number_mask(b->limit);
    while (search->left > 0) {
        uint32_t slot = get_u32(b->slots.data + search->at * SLOT_SIZE);
        if (slot == 0)
            return false;
        step(search, b->count);
        if ((slot & ~mask) == search->above) {
            *ret = (slot & mask) - 1;
            return true;
        }
    }
    return false;
}

void slots_builder_write(const struct slots_builder *b, struct segment_file_writer *w,
                         enum format_section kind)
{
    segment_file_begin(w, kind);
    segment_file_put(w, buffer_bytes(&b->slots));
}

/* ---- reading ---- */

enum err slots_open(const struct segment_file *f, enum format_section kind, uint32_t limit,
                    struct slots *ret, struct errinfo *info)
{
    struct segment_section section;
    if (!segment_file_section(f, kind, &section))
        return err_set(info, ERR_CORRUPT, "slots: section %d is missing", (int)kind);
    uint64_t count = section.size / SLOT_SIZE;
    if (section.size % SLOT_SIZE != 0 || count == 0 || count > UINT32_MAX)
        return err_set(info, ERR_CORRUPT,
                       "slots: section %d has %" PRIu64 " bytes, expected 4 for each slot",
                       (int)kind, section.size);
    *ret = (struct slots){f, section.offset, (uint32_t)count, limit};
    return ERR_OK;
}

struct slots_search slots_begin(const struct slots *s, uint64_t hash)
{
    return begin(s->count, s->limit, hash);
}

enum err slots_next(const struct slots *s, struct slots_search *search, uint32_t *ret)
{
    uint32_t mask = number_mask(s->limit);
    while (search->left > 0) {
        uint64_t offset = s->offset + (uint64_t)search->at * SLOT_SIZE;
        const uint8_t *from = segment_file_at(s->file, offset, SLOT_SIZE);
        uint32_t slot = from == NULL ? 0 : get_u32(from);
        if (slot == 0)
            return from == NULL ? ERR_CORRUPT : ERR_NOTFOUND;
        step(search, s->count);
        if ((slot & ~mask) != search->above)
            continue;
        uint32_t number = (slot & mask) - 1; /* a slot without a number: beyond any limit */
        if (number >= s->limit)
            return ERR_CORRUPT;
        *ret = number;
        return ERR_OK;
    }
    return ERR_NOTFOUND;
}
