/* snql_groups.c - an open-addressed table from keys to the numbers of groups. */
#include "engine/snql_groups.h"

#include <assert.h>

#include "base/hash.h"

#define SLOT_COUNT_FIRST 256u
#define NO_GROUP         UINT32_MAX

/* Keys of the groups that a batch of rows brought. */
struct chunk {
    struct snql_column *keys;
    uint32_t first_group;
};

struct slot {
    uint64_t hash;
    uint32_t group; /* NO_GROUP: free */
    uint32_t chunk;
};

struct snql_groups {
    size_t key_count;
    struct arena *arena;
    uint64_t seed;
    uint32_t count;
    struct slot *slots; /* a power of two of them, at most half in use */
    size_t slot_count;
    struct chunk *chunks;
    size_t chunk_count;
    size_t chunk_room;
};

/* ---- copies that last ---- */

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the type is */
static enum err keep_texts(struct snql_column *c, size_t rows, struct arena *arena)
{
    size_t stored = c->constant ? 1 : rows;
    if (stored > rows)
        stored = rows;
    if (c->type.kind == SNQL_TYPE_STRING && rows > 0) {
        struct bytes *copy = ARENA_ARRAY(arena, stored, struct bytes);
        if (copy == NULL)
            return arena_error(arena);
        for (size_t i = 0; i < stored; i++) {
            copy[i] = c->text[i];
            if (copy[i].len > 0 && (copy[i] = arena_copy(arena, c->text[i])).data == NULL)
                return arena_error(arena);
        }
        c->text = copy;
    }
    if (c->type.kind != SNQL_TYPE_ARRAY && c->type.kind != SNQL_TYPE_TUPLE)
        return ERR_OK;
    size_t count = c->type.kind == SNQL_TYPE_ARRAY ? 1 : c->type.count;
    struct snql_column *elements = ARENA_ARRAY(arena, count + 1, struct snql_column);
    if (elements == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < count; i++) {
        elements[i] = c->elements[i];
        size_t inner = c->type.kind == SNQL_TYPE_TUPLE ? stored
                       : stored == 0                   ? 0
                                                       : c->ends[stored - 1];
        TRY(keep_texts(&elements[i], inner, arena));
    }
    c->elements = elements;
    return ERR_OK;
}

enum err snql_column_keep(const struct snql_column *c, const uint32_t *rows, size_t count,
                          struct arena *arena, struct snql_column *ret)
{
    TRY(snql_column_gather(c, rows, count, arena, ret));
    return keep_texts(ret, ret->rows, arena);
}

/* ---- groups ---- */

static enum err make_slots(struct snql_groups *g, size_t count)
{
    struct slot *slots = ARENA_ARRAY(g->arena, count, struct slot);
    if (slots == NULL)
        return arena_error(g->arena);
    for (size_t i = 0; i < count; i++)
        slots[i].group = NO_GROUP;
    for (size_t i = 0; i < g->slot_count; i++) {
        if (g->slots[i].group == NO_GROUP)
            continue;
        size_t at = (size_t)g->slots[i].hash & (count - 1);
        while (slots[at].group != NO_GROUP)
            at = (at + 1) & (count - 1);
        slots[at] = g->slots[i];
    }
    g->slots = slots;
    g->slot_count = count;
    return ERR_OK;
}

enum err snql_groups_create(size_t key_count, struct arena *arena, struct snql_groups **ret)
{
    struct snql_groups *g = ARENA_NEW(arena, struct snql_groups);
    if (g == NULL)
        return arena_error(arena);
    *g = (struct snql_groups){.key_count = key_count, .arena = arena, .seed = hash_seed()};
    TRY(make_slots(g, SLOT_COUNT_FIRST));
    *ret = g;
    return ERR_OK;
}

static enum err reserve_chunk(struct snql_groups *g)
{
    if (g->chunk_count < g->chunk_room)
        return ERR_OK;
    size_t room = g->chunk_room == 0 ? 16 : g->chunk_room * 2;
    struct chunk *chunks = ARENA_ARRAY(g->arena, room, struct chunk);
    if (chunks == NULL)
        return arena_error(g->arena);
    if (g->chunk_count > 0)
        memcpy(chunks, g->chunks, g->chunk_count * sizeof(*chunks));
    g->chunks = chunks;
    g->chunk_room = room;
    return ERR_OK;
}

/* Groups of this batch have no chunk yet: their keys are rows of the batch itself. */
struct batch {
    const struct snql_column *keys;
    const uint32_t *new_rows; /* of groups first_group.. */
    uint32_t first_group;
};

static bool keys_equal(const struct snql_groups *g, const struct batch *b, const struct slot *slot,
                       size_t row)
{
    const struct snql_column *keys = b->keys;
    size_t at;
    if (slot->group >= b->first_group) {
        at = b->new_rows[slot->group - b->first_group];
    } else {
        keys = g->chunks[slot->chunk].keys;
        at = slot->group - g->chunks[slot->chunk].first_group;
    }
    for (size_t k = 0; k < g->key_count; k++)
        if (snql_column_compare(&keys[k], at, &b->keys[k], row) != 0)
            return false;
    return true;
}

static uint64_t hash_of(const struct snql_groups *g, const struct snql_column *keys, size_t row)
{
    uint64_t hash = g->seed;
    for (size_t k = 0; k < g->key_count; k++)
        hash = snql_column_hash(&keys[k], row, hash);
    return hash;
}

enum err snql_groups_add(struct snql_groups *g, const struct snql_column *keys, size_t rows,
                         struct arena *scratch, uint32_t *ret_groups)
{
    if (rows == 0)
        return ERR_OK;
    if (rows > UINT32_MAX - 1 - g->count)
        return ERR_LIMIT;
    uint32_t *new_rows = ARENA_ARRAY(scratch, rows, uint32_t);
    if (new_rows == NULL)
        return arena_error(scratch);
    TRY(reserve_chunk(g));
    struct batch b = {keys, new_rows, g->count};
    uint32_t found = 0;
    for (size_t row = 0; row < rows; row++) {
        if (2 * ((size_t)g->count + found + 1) > g->slot_count)
            TRY(make_slots(g, g->slot_count * 2));
        uint64_t hash = hash_of(g, keys, row);
        size_t at = (size_t)hash & (g->slot_count - 1);
        while (g->slots[at].group != NO_GROUP &&
               (g->slots[at].hash != hash || !keys_equal(g, &b, &g->slots[at], row)))
            at = (at + 1) & (g->slot_count - 1);
        if (g->slots[at].group == NO_GROUP) {
            g->slots[at] = (struct slot){hash, g->count + found, (uint32_t)g->chunk_count};
            new_rows[found++] = (uint32_t)row;
        }
        ret_groups[row] = g->slots[at].group;
    }
    if (found == 0)
        return ERR_OK;
    struct chunk *chunk = &g->chunks[g->chunk_count];
    chunk->first_group = g->count;
    chunk->keys = ARENA_ARRAY(g->arena, g->key_count + 1, struct snql_column);
    if (chunk->keys == NULL)
        return arena_error(g->arena);
    for (size_t k = 0; k < g->key_count; k++)
        TRY(snql_column_keep(&keys[k], new_rows, found, g->arena, &chunk->keys[k]));
    g->chunk_count++;
    g->count += found;
    return ERR_OK;
}

uint32_t snql_groups_count(const struct snql_groups *g)
{
    return g->count;
}

enum err snql_groups_key(const struct snql_groups *g, size_t key, struct snql_type type,
                         struct snql_column *ret)
{
    assert(key < g->key_count);
    if (g->chunk_count == 0)
        return snql_column_empty(type, g->arena, ret);
    const struct snql_column **columns =
        ARENA_ARRAY(g->arena, g->chunk_count, const struct snql_column *);
    if (columns == NULL)
        return arena_error(g->arena);
    for (size_t i = 0; i < g->chunk_count; i++)
        columns[i] = &g->chunks[i].keys[key];
    return snql_column_concat(columns, g->chunk_count, g->arena, ret);
}
