#include "base/intern.h"

#include <assert.h>

#include "base/hash.h"
#include "base/size.h"

#define INTERN_SLOTS_FIRST 64

/* Id 0 needs no memory: `offsets` starts with the end of id 1. */
void intern_init(struct intern *in, size_t text_max, struct mem_account *account)
{
    buffer_init(&in->text, size_min(text_max, UINT32_MAX), account);
    buffer_init(&in->offsets, (size_t)UINT32_MAX * sizeof(uint32_t), account);
    buffer_init(&in->slots, SIZE_MAX, account);
    in->count = 1;
    in->seed = hash_seed();
}

void intern_close(struct intern *in)
{
    buffer_close(&in->text);
    buffer_close(&in->offsets);
    buffer_close(&in->slots);
    in->count = 1;
}

static uint32_t *u32s(const struct buffer *b)
{
    return (uint32_t *)(void *)b->data; /* mem_alloc aligns for any type */
}

static size_t slot_count(const struct intern *in)
{
    return in->slots.len / sizeof(uint32_t);
}

struct bytes intern_get(const struct intern *in, uint32_t id)
{
    assert(id < in->count);
    if (id == 0)
        return BYTES("");
    const uint32_t *ends = u32s(&in->offsets);
    uint32_t start = id == 1 ? 0 : ends[id - 2];
    return bytes_of(in->text.data + start, ends[id - 1] - start);
}

/* The slot that holds `text`, or the free one where it belongs. There is always a free one. */
static size_t find_slot(const struct intern *in, struct bytes text)
{
    const uint32_t *slots = u32s(&in->slots);
    size_t mask = slot_count(in) - 1;
    size_t at = (size_t)hash_bytes(text, in->seed) & mask;
    while (slots[at] != 0 && !bytes_equal(intern_get(in, slots[at] - 1), text))
        at = (at + 1) & mask;
    return at;
}

bool intern_find(const struct intern *in, struct bytes text, uint32_t *ret_id)
{
    if (text.len == 0) {
        *ret_id = 0;
        return true;
    }
    if (in->slots.len == 0)
        return false;
    uint32_t slot = u32s(&in->slots)[find_slot(in, text)];
    if (slot == 0)
        return false;
    *ret_id = slot - 1;
    return true;
}

/* Room for one more string: twice the slots once three quarters are taken. */
static enum err grow_slots(struct intern *in)
{
    size_t have = slot_count(in);
    if (in->count < have / 4 * 3)
        return ERR_OK;
    size_t wanted = have == 0 ? INTERN_SLOTS_FIRST : have * 2;
    struct buffer bigger;
    buffer_init(&bigger, SIZE_MAX, in->slots.account);
    uint32_t *slots = buffer_extend(&bigger, wanted * sizeof(uint32_t));
    if (slots == NULL)
        return bigger.failed;
    memset(slots, 0, wanted * sizeof(uint32_t));
    buffer_close(&in->slots);
    in->slots = bigger;
    for (uint32_t id = 1; id < in->count; id++)
        slots[find_slot(in, intern_get(in, id))] = id + 1;
    return ERR_OK;
}

enum err intern_add(struct intern *in, struct bytes text, uint32_t *ret_id)
{
    if (intern_find(in, text, ret_id))
        return ERR_OK;
    if (in->count >= UINT32_MAX - 1)
        return ERR_LIMIT;
    TRY(grow_slots(in));
    /* both or neither: a failed add leaves the table as it was and may be tried again */
    enum err rc = buffer_reserve(&in->offsets, sizeof(uint32_t));
    if (rc == ERR_OK)
        rc = buffer_reserve(&in->text, text.len);
    if (rc != ERR_OK) {
        in->offsets.failed = ERR_OK;
        in->text.failed = ERR_OK;
        return rc;
    }
    buffer_put(&in->text, text);
    uint32_t end = (uint32_t)in->text.len; /* text.max is below 4 GiB */
    buffer_put(&in->offsets, bytes_of(&end, sizeof(end)));
    uint32_t id = (uint32_t)in->count++;
    u32s(&in->slots)[find_slot(in, text)] = id + 1;
    *ret_id = id;
    return ERR_OK;
}
