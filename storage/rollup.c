/* rollup.c - finding and reading stored sums. */
#include <inttypes.h>

#include "storage/bits.h"
#include "storage/rollup_parts.h"

enum err rollup_columns_take(struct arena *arena, size_t threads, size_t count,
                             struct rollup_columns *c)
{
    c->threads = ARENA_ARRAY(arena, threads, uint64_t);
    c->counts = ARENA_ARRAY(arena, threads + 1, uint64_t);
    c->nodes = ARENA_ARRAY(arena, count, uint64_t);
    c->samples = ARENA_ARRAY(arena, count, uint64_t);
    c->ns = ARENA_ARRAY(arena, count, uint64_t);
    c->thread_count = threads;
    return arena->failed;
}

enum err segment_rollups_open(const struct segment_file *f, uint32_t count,
                              struct segment_rollups *ret, struct errinfo *info)
{
    *ret = (struct segment_rollups){.file = f, .count = count};
    if (count == 0)
        return ERR_OK; /* a segment of short runs has none */
    if (!segment_file_section(f, SECTION_ROLLUP_PAGES, &ret->pages))
        return err_set(info, ERR_CORRUPT, "no section of %" PRIu32 " rollups", count);
    TRY(packed_open(f, SECTION_ROLLUP_FIRST, count, &ret->first, info));
    TRY(packed_open(f, SECTION_ROLLUP_ROWS, count, &ret->rows, info));
    TRY(packed_open(f, SECTION_ROLLUP_OFFSET, count, &ret->offset, info));
    return packed_open(f, SECTION_ROLLUP_SIZE, count, &ret->size, info);
}

/* The place behind the last rollup that begins at `row` or before it. */
static enum err upper_bound(const struct segment_rollups *r, uint32_t row, uint32_t *ret)
{
    uint32_t low = 0;
    uint32_t high = r->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t first;
        if (!packed_get(&r->first, middle, &first))
            return ERR_CORRUPT;
        if (first <= row)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return ERR_OK;
}

/* At most LEVELS and the whole run begin at one row: from the largest down. */
enum err segment_rollups_find(const struct segment_rollups *r, uint32_t row, uint32_t rows_max,
                              bool by_thread, struct rollup_place *ret)
{
    uint32_t at;
    TRY(upper_bound(r, row, &at));
    while (at > 0) {
        uint64_t first;
        uint64_t rows;
        at--;
        if (!packed_get(&r->first, at, &first) || !packed_get(&r->rows, at, &rows))
            return ERR_CORRUPT;
        if (first != row)
            return ERR_NOTFOUND;
        if (rows / 2 > rows_max || rows / 2 == 0 || (by_thread && rows % 2 == 1))
            continue;
        *ret = (struct rollup_place){at, (uint32_t)(rows / 2)};
        return ERR_OK;
    }
    return ERR_NOTFOUND;
}

static enum err corrupt(struct errinfo *info, uint32_t rollup)
{
    return err_set(info, ERR_CORRUPT, "rollup %" PRIu32 ": cut short or out of range", rollup);
}

static bool node_step(uint64_t *at, uint64_t code, uint32_t *ret)
{
    int64_t by = zigzag_decode(code);
    if (by > INT64_C(1) << 32 || by < -(INT64_C(1) << 32))
        return false;
    int64_t to = (int64_t)*at + by;
    if (to < 0 || to > INT64_C(1) << 32)
        return false;
    *at = (uint64_t)to;
    *ret = to == 0 ? PROFILE_NONE : (uint32_t)(to - 1);
    return true;
}

static bool lay_out_threads(const struct rollup_columns *c, uint32_t *threads)
{
    uint64_t next = 0;
    for (size_t i = 0; i < c->thread_count; i++) {
        if (c->threads[i] >= PROFILE_NONE || next + c->threads[i] >= PROFILE_NONE)
            return false;
        threads[i] = (uint32_t)(next + c->threads[i]);
        next = (uint64_t)threads[i] + 1;
    }
    return true;
}

static bool lay_out_weights(const struct rollup_columns *c, const uint32_t *threads, bool merged,
                            size_t count, struct node_weight *w)
{
    size_t at = 0;
    for (size_t g = 0; g < (merged ? 1 : c->thread_count); g++) {
        uint64_t node = 0;
        if (c->counts[g] > count - at)
            return false;
        for (size_t end = at + (size_t)c->counts[g]; at < end; at++) {
            w[at].thread = merged ? PROFILE_NONE : threads[g];
            w[at].samples = c->samples[at];
            w[at].ns = c->ns[at];
            if (!node_step(&node, c->nodes[at], &w[at].node))
                return false;
        }
    }
    return at == count;
}

static void read_lists(struct bits_reader *bits, struct rollup_columns *c, bool merged,
                       size_t count)
{
    bits_get_list(bits, c->threads, c->thread_count);
    c->counts[0] = count;
    if (!merged)
        bits_get_list(bits, c->counts, c->thread_count);
    bits_get_list(bits, c->nodes, count);
    bits_get_list(bits, c->samples, count);
    bits_get_list(bits, c->ns, count);
}

struct rollup_head {
    uint64_t flags;
    uint64_t threads;
    uint64_t count;
};

/* False: it cannot be. Every thread and every weight takes a bit or more. */
static bool read_head(struct reader *r, struct rollup_head *head, struct tree_sum *t)
{
    head->flags = reader_varint(r);
    t->sum.samples = reader_varint(r);
    t->sum.ns = reader_varint(r);
    t->sum.first_ns = zigzag_decode(reader_varint(r));
    t->sum.last_ns = (int64_t)((uint64_t)t->sum.first_ns + reader_varint(r));
    head->threads = reader_varint(r);
    head->count = reader_varint(r);
    t->sum.any = (head->flags & ROLLUP_ANY) != 0;
    t->merged = (head->flags & ROLLUP_MERGED) != 0;
    uint64_t bits = (uint64_t)reader_left(r) * 8;
    return !r->failed && head->flags <= (ROLLUP_ANY | ROLLUP_MERGED) && head->threads <= bits &&
           head->count <= bits && (t->merged || head->threads <= head->count);
}

static enum err read_weights(struct bytes rest, struct rollup_columns *c, uint32_t *threads,
                             struct tree_sum *t)
{
    struct bits_reader bits = {.in = rest};
    read_lists(&bits, c, t->merged, t->sum.count);
    bool good = !bits.failed && lay_out_threads(c, threads) &&
                lay_out_weights(c, threads, t->merged, t->sum.count, t->sum.weights);
    return good && bits_rest(&bits).len == 0 && !bits.failed ? ERR_OK : ERR_CORRUPT;
}

static enum err decode(struct bytes page, struct arena *arena, struct tree_sum *ret)
{
    struct reader r = reader_of(page);
    struct rollup_head head;
    struct tree_sum t = {0};
    struct rollup_columns c = {0};
    struct arena scratch;
    if (!read_head(&r, &head, &t))
        return ERR_CORRUPT;
    t.sum.count = (size_t)head.count;
    t.thread_count = (size_t)head.threads;
    t.sum.weights = ARENA_ARRAY(arena, t.sum.count, struct node_weight);
    uint32_t *threads = ARENA_ARRAY(arena, t.thread_count, uint32_t);
    if (t.sum.weights == NULL || threads == NULL)
        return arena->failed;
    t.threads = threads;
    arena_init(&scratch, arena->max, arena->account);
    enum err rc = rollup_columns_take(&scratch, t.thread_count, t.sum.count, &c);
    if (rc == ERR_OK)
        rc = read_weights(reader_take(&r, reader_left(&r)), &c, threads, &t);
    arena_close(&scratch);
    if (rc == ERR_OK)
        *ret = t;
    return rc;
}

enum err segment_rollups_read(const struct segment_rollups *r, uint32_t rollup, struct arena *arena,
                              struct tree_sum *ret, struct errinfo *info)
{
    uint64_t offset;
    uint64_t size;
    struct bytes page;
    if (!packed_get(&r->offset, rollup, &offset) || !packed_get(&r->size, rollup, &size) ||
        offset > r->pages.size || size > r->pages.size - offset)
        return corrupt(info, rollup);
    TRY(segment_file_view(r->file, r->pages.offset + offset, size, &page, info));
    enum err rc = decode(page, arena, ret);
    if (rc == ERR_CORRUPT)
        return corrupt(info, rollup);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "rollup: no room for it");
}

enum err tree_sum_of(const struct block_sum *sum, struct arena *arena, struct tree_sum *ret)
{
    uint32_t *threads = ARENA_ARRAY(arena, sum->count, uint32_t);
    size_t count = 0;
    if (threads == NULL)
        return arena->failed;
    for (size_t i = 0; i < sum->count; i++)
        if (i == 0 || sum->weights[i].thread != sum->weights[i - 1].thread)
            threads[count++] = sum->weights[i].thread;
    *ret = (struct tree_sum){.sum = *sum, .threads = threads, .thread_count = count};
    return ERR_OK;
}
