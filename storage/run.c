#include "storage/run.h"

#include <assert.h>

#include "base/mem.h"
#include "base/size.h"

#define PIECE_ENTRY_SIZE (2 * sizeof(int64_t) + sizeof(uint32_t))
#define PIECE_COUNT_MAX  (UINT32_MAX / 2)

size_t run_piece_bytes(uint32_t capacity)
{
    return sizeof(struct run_piece) + capacity * PIECE_ENTRY_SIZE;
}

struct run_piece *run_piece_create(uint32_t capacity)
{
    size_t size;
    if (!size_mul(capacity, PIECE_ENTRY_SIZE, &size) ||
        !size_add(size, sizeof(struct run_piece), &size))
        return NULL;
    struct run_piece *piece = mem_alloc(size);
    if (piece == NULL)
        return NULL;
    piece->next = NULL;
    piece->capacity = capacity;
    atomic_init(&piece->count, 0);
    return piece;
}

void run_close(struct run *r)
{
    struct run_piece *piece = atomic_load_explicit(&r->newest, memory_order_relaxed);
    while (piece != NULL) {
        struct run_piece *next = piece->next;
        mem_free(piece);
        piece = next;
    }
    atomic_store_explicit(&r->newest, NULL, memory_order_relaxed);
}

/* Readers see the entry once they see the count. */
static void put_last(struct run_piece *piece, struct run_entry entry)
{
    uint32_t at = atomic_load_explicit(&piece->count, memory_order_relaxed);
    assert(at < piece->capacity);
    int64_t *start_ns = (int64_t *)(piece + 1);
    int64_t *max_end_ns = start_ns + piece->capacity;
    uint32_t *ids = (uint32_t *)(max_end_ns + piece->capacity);
    start_ns[at] = entry.start_ns;
    ids[at] = entry.id;
    bool further = at == 0 || entry.end_ns > max_end_ns[at - 1];
    max_end_ns[at] = further ? entry.end_ns : max_end_ns[at - 1];
    atomic_store_explicit(&piece->count, at + 1, memory_order_release);
}

static uint32_t own_count(const struct run_piece *piece)
{
    return atomic_load_explicit(&piece->count, memory_order_relaxed);
}

static bool fits_in_order(const struct run_piece *piece, struct run_entry entry)
{
    uint32_t count = own_count(piece);
    return count < piece->capacity &&
           (count == 0 || run_piece_starts(piece)[count - 1] <= entry.start_ns);
}

/* How many of the newest pieces to merge with one more entry: a full one that is still in order
 * doubles, then all that are not twice as large as what has come together. */
static uint32_t pieces_to_merge(const struct run_piece *newest, struct run_entry entry,
                                uint32_t *ret_total)
{
    uint32_t pieces = 0;
    uint32_t total = 1;
    for (const struct run_piece *piece = newest; piece != NULL; piece = piece->next) {
        uint32_t count = own_count(piece);
        bool doubles = pieces == 0 && run_piece_starts(piece)[count - 1] <= entry.start_ns;
        if ((!doubles && count / 2 > total) || count > PIECE_COUNT_MAX - total ||
            pieces == RUN_MERGE_MAX)
            break;
        total += count;
        pieces++;
    }
    *ret_total = total;
    return pieces;
}

struct cursor {
    const struct run_piece *piece;
    uint32_t at;
};

static bool comes_first(struct run_entry a, struct run_entry b)
{
    return a.start_ns < b.start_ns || (a.start_ns == b.start_ns && a.id < b.id);
}

/* The smallest entry under the cursors, which moves on; false when all are at their end. */
static bool take_smallest(struct cursor *cursors, uint32_t count, struct run_entry *ret)
{
    struct cursor *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct cursor *c = &cursors[i];
        if (c->at == own_count(c->piece))
            continue;
        struct run_entry entry = {.start_ns = run_piece_starts(c->piece)[c->at],
                                  .id = run_piece_ids(c->piece)[c->at]};
        if (best != NULL && !comes_first(entry, *ret))
            continue;
        best = c;
        *ret = entry;
    }
    if (best == NULL)
        return false;
    best->at++;
    return true;
}

static void merge_into(struct run_piece *to, struct cursor *cursors, uint32_t count,
                       struct run_entry added, const void *self,
                       int64_t (*end_of)(const void *self, uint32_t id))
{
    bool pending = true;
    struct run_entry entry = {0};
    while (take_smallest(cursors, count, &entry)) {
        if (pending && comes_first(added, entry)) {
            put_last(to, added);
            pending = false;
        }
        entry.end_ns = end_of(self, entry.id);
        put_last(to, entry);
    }
    if (pending)
        put_last(to, added);
}

static uint32_t capacity_for(uint32_t count)
{
    return count <= 1 ? 1 : UINT32_C(1) << (32 - __builtin_clz(count - 1));
}

/* The newest pieces and the entry as one piece, or NULL: then they stay apart. */
static struct run_piece *merge_newest(struct run_piece *newest, struct run_entry entry,
                                      struct retired *retired, uint64_t generation,
                                      const void *self,
                                      int64_t (*end_of)(const void *self, uint32_t id))
{
    uint32_t total = 0;
    uint32_t count = pieces_to_merge(newest, entry, &total);
    if (count == 0 || count > retired->capacity - retired->count)
        return NULL;
    struct run_piece *merged = run_piece_create(capacity_for(total));
    if (merged == NULL)
        return NULL;
    struct cursor cursors[RUN_MERGE_MAX];
    struct run_piece *piece = newest;
    for (uint32_t i = 0; i < count; i++, piece = piece->next)
        cursors[i] = (struct cursor){.piece = piece};
    merge_into(merged, cursors, count, entry, self, end_of);
    merged->next = piece;
    for (uint32_t i = 0; i < count; i++) { /* readers may still follow their links */
        struct run_piece *next = newest->next;
        retired_add(retired, newest, run_piece_bytes(newest->capacity), generation);
        newest = next;
    }
    return merged;
}

size_t run_bytes(const struct run *r)
{
    size_t bytes = 0;
    for (const struct run_piece *piece = run_newest(r); piece != NULL; piece = piece->next)
        bytes += run_piece_bytes(piece->capacity);
    return bytes;
}

ptrdiff_t run_add(struct run *r, struct run_entry entry, struct run_piece **spare,
                  struct retired *retired, uint64_t generation, const void *self,
                  int64_t (*end_of)(const void *self, uint32_t id))
{
    struct run_piece *newest = atomic_load_explicit(&r->newest, memory_order_relaxed);
    if (newest != NULL && fits_in_order(newest, entry)) {
        put_last(newest, entry);
        return 0;
    }
    size_t before = run_bytes(r);
    struct run_piece *piece =
        newest == NULL ? NULL : merge_newest(newest, entry, retired, generation, self, end_of);
    if (piece == NULL) {
        piece = *spare;
        *spare = NULL;
        piece->next = newest;
        put_last(piece, entry);
    }
    atomic_store_explicit(&r->newest, piece, memory_order_release);
    return (ptrdiff_t)run_bytes(r) - (ptrdiff_t)before;
}

/* First place whose value is above `limit` (or at least it) in a rising column. */
static uint32_t first_above(const int64_t *values, uint32_t count, int64_t limit, bool or_equal)
{
    uint32_t low = 0;
    while (count > 0) {
        uint32_t half = count / 2;
        int64_t value = values[low + half];
        if (value < limit || (!or_equal && value == limit)) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

void run_piece_find(const struct run_piece *piece, int64_t start_ns, int64_t end_ns,
                    uint32_t *ret_from, uint32_t *ret_end)
{
    uint32_t count = run_piece_count(piece);
    *ret_end = first_above(run_piece_starts(piece), count, end_ns, false);
    *ret_from = first_above(run_piece_max_ends(piece), *ret_end, start_ns, true);
}
