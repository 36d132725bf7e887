/* rollup_builder.c - sums of 8, 64, 512 ... rows, and of whole runs.
 *
 * A builder keeps one sum a level. Level 0 takes the rows; with the eighth it is a rollup, goes
 * into level 1 and begins anew, and so on upwards. At the end of a run what all levels still hold
 * is the rest, and together with what is already in the top ones the whole run.
 */
#include <inttypes.h>

#include "base/limits.h"
#include "base/size.h"
#include "base/sort.h"
#include "storage/bits.h"
#include "storage/rollup_parts.h"

#define GROUP  8  /* rows or groups that make one of the next level */
#define LEVELS 11 /* 8^11 exceeds any number of rows */

struct sum {
    struct buffer weights; /* struct node_weight, by thread, then node */
    struct buffer threads; /* u32, ascending */
    uint64_t samples;
    uint64_t ns;
    bool any;
    int64_t first_ns;
    int64_t last_ns;
    bool merged; /* threads are */
};

struct level {
    struct sum sum;
    uint32_t members; /* rows or groups in it */
    uint32_t first;   /* its first row */
    bool whole;       /* every row so far could be summed */
};

struct entry {
    uint32_t first;
    uint32_t rows; /* * 2, + 1: merged */
    uint64_t offset;
    uint64_t size;
};

struct rollup_builder {
    struct mem_account *account;
    struct level levels[LEVELS];
    struct sum run; /* groups of 8 of the run so far */
    bool run_whole;
    uint32_t run_first;
    uint32_t run_rows;
    struct buffer merge;   /* scratch of add_sum */
    struct buffer pages;   /* all rollups, encoded */
    struct buffer entries; /* struct entry */
};

static size_t weight_count(const struct sum *s)
{
    return s->weights.len / sizeof(struct node_weight);
}

static const struct node_weight *weights_of(const struct sum *s)
{
    return (const struct node_weight *)(const void *)s->weights.data;
}

static void sum_init(struct sum *s, struct mem_account *account)
{
    buffer_init(&s->weights, SIZE_MAX, account);
    buffer_init(&s->threads, SIZE_MAX, account);
}

static void sum_close(struct sum *s)
{
    buffer_close(&s->weights);
    buffer_close(&s->threads);
}

static void sum_clear(struct sum *s)
{
    buffer_clear(&s->weights);
    buffer_clear(&s->threads);
    s->samples = s->ns = 0;
    s->any = s->merged = false;
    s->first_ns = s->last_ns = 0;
}

/* By thread, then node; PROFILE_NONE comes last in both. */
static int compare_weights(const struct node_weight *a, const struct node_weight *b)
{
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return (a->node > b->node) - (a->node < b->node);
}

/* ---- adding ---- */

/* Two sorted lists as one, into `out`, in place of what was there. */
static enum err merge_lists(const struct node_weight *a, size_t a_count,
                            const struct node_weight *b, size_t b_count, struct buffer *out)
{
    buffer_clear(out);
    TRY(buffer_reserve(out, (a_count + b_count) * sizeof *a));
    struct node_weight *to = (struct node_weight *)(void *)out->data;
    size_t count = 0;
    size_t i = 0;
    size_t k = 0;
    while (i < a_count || k < b_count) {
        int order = i == a_count ? 1 : k == b_count ? -1 : compare_weights(&a[i], &b[k]);
        struct node_weight w = order <= 0 ? a[i] : b[k];
        if (order == 0) {
            w.samples += b[k].samples;
            w.ns += b[k].ns;
        }
        i += order <= 0;
        k += order >= 0;
        to[count++] = w;
    }
    out->len = count * sizeof *to;
    return ERR_OK;
}

static int compare_nodes(const void *left, const void *right, void *context)
{
    (void)context;
    const struct node_weight *a = left;
    const struct node_weight *b = right;
    return (a->node > b->node) - (a->node < b->node);
}

/* The list without threads. */
static enum err merge_threads(struct mem_account *account, struct buffer *weights)
{
    struct node_weight *w = (struct node_weight *)(void *)weights->data;
    size_t count = weights->len / sizeof *w;
    size_t kept = 0;
    TRY(sort_array(account, w, count, sizeof *w, compare_nodes, NULL));
    for (size_t i = 0; i < count; i++) {
        w[i].thread = PROFILE_NONE;
        if (kept > 0 && w[kept - 1].node == w[i].node) {
            w[kept - 1].samples += w[i].samples;
            w[kept - 1].ns += w[i].ns;
        } else {
            w[kept++] = w[i];
        }
    }
    weights->len = kept * sizeof *w;
    return ERR_OK;
}

static void swap_buffers(struct buffer *a, struct buffer *b)
{
    struct buffer kept = *a;
    *a = *b;
    *b = kept;
}

/* Ascending lists without repetitions as one. */
static enum err add_threads(struct rollup_builder *b, struct buffer *to, const uint32_t *ids,
                            size_t id_count)
{
    const uint32_t *have = (const uint32_t *)(const void *)to->data;
    size_t have_count = to->len / sizeof *have;
    size_t i = 0;
    size_t k = 0;
    buffer_clear(&b->merge);
    TRY(buffer_reserve(&b->merge, (have_count + id_count) * sizeof *have));
    while (i < have_count || k < id_count) {
        bool own = k == id_count || (i < have_count && have[i] <= ids[k]);
        uint32_t id = own ? have[i] : ids[k];
        i += own;
        k += k < id_count && ids[k] == id;
        buffer_put(&b->merge, bytes_of(&id, sizeof id));
    }
    swap_buffers(to, &b->merge);
    return ERR_OK;
}

static enum err add_sum(struct rollup_builder *b, struct sum *to, const struct tree_sum *tree)
{
    const struct block_sum *from = &tree->sum;
    bool from_merged = tree->merged;
    struct buffer copy; /* of `from`, without its threads, when `to` has none either */
    const struct node_weight *weights = from->weights;
    size_t count = from->count;
    enum err rc = ERR_OK;
    buffer_init(&copy, SIZE_MAX, b->account);
    if (from_merged && !to->merged)
        rc = merge_threads(b->account, &to->weights);
    to->merged |= from_merged;
    if (rc == ERR_OK && to->merged && !from_merged) {
        buffer_put(&copy, bytes_of(weights, count * sizeof *weights));
        rc = copy.failed != ERR_OK ? copy.failed : merge_threads(b->account, &copy);
        weights = (const struct node_weight *)(const void *)copy.data;
        count = copy.len / sizeof *weights;
    }
    if (rc == ERR_OK)
        rc = merge_lists(weights_of(to), weight_count(to), weights, count, &b->merge);
    buffer_close(&copy);
    if (rc != ERR_OK)
        return rc;
    swap_buffers(&to->weights, &b->merge);
    TRY(add_threads(b, &to->threads, tree->threads, tree->thread_count));
    to->samples += from->samples;
    to->ns += from->ns;
    if (from->any) {
        to->first_ns = to->any && to->first_ns < from->first_ns ? to->first_ns : from->first_ns;
        to->last_ns = to->any && to->last_ns > from->last_ns ? to->last_ns : from->last_ns;
        to->any = true;
    }
    if (!to->merged && weight_count(to) > ROLLUP_WEIGHTS_MAX) {
        to->merged = true;
        return merge_threads(b->account, &to->weights);
    }
    return ERR_OK;
}

static struct tree_sum view_of(const struct sum *s)
{
    struct block_sum sum = {.weights = (struct node_weight *)(void *)s->weights.data,
                            .count = weight_count(s),
                            .samples = s->samples,
                            .ns = s->ns,
                            .any = s->any,
                            .first_ns = s->first_ns,
                            .last_ns = s->last_ns};
    return (struct tree_sum){.sum = sum,
                             .threads = (const uint32_t *)(const void *)s->threads.data,
                             .thread_count = s->threads.len / sizeof(uint32_t),
                             .merged = s->merged};
}

/* ---- encoding ---- */

static void put_head(struct buffer *out, const struct tree_sum *t)
{
    buffer_put_varint(out, (t->sum.any ? ROLLUP_ANY : 0) | (t->merged ? ROLLUP_MERGED : 0));
    buffer_put_varint(out, t->sum.samples);
    buffer_put_varint(out, t->sum.ns);
    buffer_put_varint(out, zigzag_encode(t->sum.first_ns));
    buffer_put_varint(out, (uint64_t)t->sum.last_ns - (uint64_t)t->sum.first_ns);
    buffer_put_varint(out, t->thread_count);
    buffer_put_varint(out, t->sum.count);
}

static uint64_t shifted(uint32_t node)
{
    return node == PROFILE_NONE ? 0 : (uint64_t)node + 1;
}

static void fill_columns(const struct tree_sum *t, struct rollup_columns *c)
{
    const struct node_weight *w = t->sum.weights;
    uint64_t next = 0;
    uint64_t node = 0;
    for (size_t i = 0; i < t->thread_count; i++) {
        c->threads[i] = t->threads[i] - next;
        next = (uint64_t)t->threads[i] + 1;
    }
    for (size_t i = 0; i < t->sum.count; i++) {
        if (i == 0 || w[i].thread != w[i - 1].thread) {
            c->counts[c->count_count++] = 0;
            node = 0;
        }
        c->counts[c->count_count - 1]++;
        c->nodes[i] = zigzag_encode((int64_t)shifted(w[i].node) - (int64_t)node);
        node = shifted(w[i].node);
        c->samples[i] = w[i].samples;
        c->ns[i] = w[i].ns;
    }
}

static enum err encode(struct rollup_builder *b, const struct tree_sum *t)
{
    struct arena arena;
    struct rollup_columns c = {0};
    arena_init(&arena, SIZE_MAX, b->account);
    enum err rc = rollup_columns_take(&arena, t->thread_count, t->sum.count, &c);
    if (rc == ERR_OK) {
        struct bits_writer w = {.out = &b->pages};
        fill_columns(t, &c);
        put_head(&b->pages, t);
        bits_put_list(&w, c.threads, c.thread_count);
        if (!t->merged)
            bits_put_list(&w, c.counts, c.thread_count);
        bits_put_list(&w, c.nodes, t->sum.count);
        bits_put_list(&w, c.samples, t->sum.count);
        bits_put_list(&w, c.ns, t->sum.count);
        bits_end(&w);
        rc = b->pages.failed;
    }
    arena_close(&arena);
    return rc;
}

/* The list without threads, when they make it that much longer. */
static enum err thin(struct rollup_builder *b, const struct sum *s, struct sum *ret)
{
    *ret = *s; /* its threads are borrowed */
    buffer_init(&ret->weights, SIZE_MAX, b->account);
    buffer_put(&ret->weights, buffer_bytes(&s->weights));
    if (ret->weights.failed != ERR_OK)
        return ret->weights.failed;
    ret->merged = true;
    return merge_threads(b->account, &ret->weights);
}

static enum err emit(struct rollup_builder *b, uint32_t first, uint32_t rows, const struct sum *s)
{
    struct sum thinned;
    struct entry e = {.first = first, .offset = b->pages.len};
    enum err rc = thin(b, s, &thinned);
    bool merged = s->merged || weight_count(s) / ROLLUP_THREADS_FACTOR > weight_count(&thinned);
    struct tree_sum tree = view_of(merged ? &thinned : s);
    if (rc == ERR_OK)
        rc = encode(b, &tree);
    buffer_close(&thinned.weights);
    if (rc != ERR_OK)
        return rc;
    e.rows = rows * 2 + merged;
    e.size = b->pages.len - e.offset;
    buffer_put(&b->entries, bytes_of(&e, sizeof e));
    return b->entries.failed;
}

/* ---- levels ---- */

enum err rollup_builder_create(struct mem_account *account, struct rollup_builder **ret)
{
    struct rollup_builder *b = mem_zalloc(sizeof *b);
    if (b == NULL)
        return ERR_NOMEM;
    b->account = account;
    for (size_t i = 0; i < LEVELS; i++)
        sum_init(&b->levels[i].sum, account);
    sum_init(&b->run, account);
    buffer_init(&b->merge, SIZE_MAX, account);
    buffer_init(&b->pages, SIZE_MAX, account);
    buffer_init(&b->entries, SIZE_MAX, account);
    *ret = b;
    return ERR_OK;
}

void rollup_builder_destroy(struct rollup_builder *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < LEVELS; i++)
        sum_close(&b->levels[i].sum);
    sum_close(&b->run);
    buffer_close(&b->merge);
    buffer_close(&b->pages);
    buffer_close(&b->entries);
    mem_free(b);
}

size_t rollup_builder_bytes(const struct rollup_builder *b)
{
    return b->pages.capacity + b->entries.capacity + b->merge.capacity;
}

static void level_begin(struct level *l, uint32_t first)
{
    sum_clear(&l->sum);
    l->members = 0;
    l->first = first;
    l->whole = true;
}

/* A full group goes up; the row behind it is `next`. */
static enum err carry(struct rollup_builder *b, size_t at, uint32_t next)
{
    for (uint32_t rows = GROUP; at + 1 < LEVELS && b->levels[at].members == GROUP;
         at++, rows *= GROUP) {
        struct level *l = &b->levels[at];
        struct level *above = &b->levels[at + 1];
        struct tree_sum sum = view_of(&l->sum);
        above->whole &= l->whole;
        if (l->whole) {
            TRY(emit(b, l->first, rows, &l->sum));
            TRY(add_sum(b, &above->sum, &sum));
            if (at == 0)
                TRY(add_sum(b, &b->run, &sum));
        }
        b->run_whole &= l->whole;
        above->members++;
        level_begin(l, next);
    }
    return ERR_OK;
}

/* The run as a whole: all groups of 8 and the rows behind them. A single group has its rollup. */
static enum err end_run(struct rollup_builder *b)
{
    struct level *rows = &b->levels[0];
    struct tree_sum rest = view_of(&rows->sum);
    uint32_t power = GROUP;
    while (power < b->run_rows && power <= UINT32_MAX / GROUP)
        power *= GROUP;
    bool worth = b->run_rows > GROUP && b->run_rows != power && b->run_whole && rows->whole;
    if (worth)
        TRY(add_sum(b, &b->run, &rest));
    if (worth)
        TRY(emit(b, b->run_first, b->run_rows, &b->run));
    return ERR_OK;
}

static enum err begin_run(struct rollup_builder *b, uint32_t row)
{
    TRY(end_run(b));
    for (size_t i = 0; i < LEVELS; i++)
        level_begin(&b->levels[i], row);
    sum_clear(&b->run);
    b->run_whole = true;
    b->run_first = row;
    b->run_rows = 0;
    return ERR_OK;
}

static enum err add_row(struct rollup_builder *b, uint32_t row, bool begins_run,
                        const struct tree_sum *sum)
{
    if (begins_run)
        TRY(begin_run(b, row));
    struct level *l = &b->levels[0];
    l->whole &= sum != NULL;
    if (sum != NULL)
        TRY(add_sum(b, &l->sum, sum));
    l->members++;
    b->run_rows++;
    return carry(b, 0, row + 1);
}

enum err rollup_builder_add(struct rollup_builder *b, uint32_t row, bool begins_run,
                            const struct tree_sum *sum, struct errinfo *info)
{
    enum err rc = add_row(b, row, begins_run, sum);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "rollup: no room for row %" PRIu32, row);
}

/* ---- writing ---- */

static int compare_entries(const void *left, const void *right, void *context)
{
    (void)context;
    const struct entry *a = left;
    const struct entry *b = right;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return (a->rows > b->rows) - (a->rows < b->rows);
}

static void put_column(struct segment_file_writer *w, enum format_section kind,
                       const struct entry *entries, size_t count, uint64_t *values,
                       uint64_t (*get)(const struct entry *e))
{
    for (size_t i = 0; i < count; i++)
        values[i] = get(&entries[i]);
    packed_put(w, kind, values, 1, count);
}

static uint64_t get_first(const struct entry *e)
{
    return e->first;
}

static uint64_t get_rows(const struct entry *e)
{
    return e->rows;
}

static uint64_t get_offset(const struct entry *e)
{
    return e->offset;
}

static uint64_t get_size(const struct entry *e)
{
    return e->size;
}

static enum err put_sections(struct rollup_builder *b, struct segment_file_writer *w, size_t count)
{
    struct entry *entries = (struct entry *)(void *)b->entries.data;
    if (count == 0)
        return ERR_OK;
    TRY(sort_array(b->account, entries, count, sizeof *entries, compare_entries, NULL));
    struct arena arena;
    arena_init(&arena, SIZE_MAX, b->account);
    uint64_t *values = ARENA_ARRAY(&arena, count, uint64_t);
    enum err rc = values == NULL ? arena.failed : ERR_OK;
    if (rc == ERR_OK) {
        segment_file_begin(w, SECTION_ROLLUP_PAGES);
        segment_file_put(w, buffer_bytes(&b->pages));
        put_column(w, SECTION_ROLLUP_FIRST, entries, count, values, get_first);
        put_column(w, SECTION_ROLLUP_ROWS, entries, count, values, get_rows);
        put_column(w, SECTION_ROLLUP_OFFSET, entries, count, values, get_offset);
        put_column(w, SECTION_ROLLUP_SIZE, entries, count, values, get_size);
    }
    arena_close(&arena);
    return rc;
}

enum err rollup_builder_write(struct rollup_builder *b, struct segment_file_writer *w,
                              uint32_t *ret_count, struct errinfo *info)
{
    enum err rc = end_run(b);
    size_t count = b->entries.len / sizeof(struct entry);
    if (rc == ERR_OK)
        rc = put_sections(b, w, count);
    *ret_count = (uint32_t)count;
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "rollup: no room to write them");
}
