/* segment_block.c - the parts of a block, in the order in which they are written:
 *
 *   threads, timestamp, grid, runs, stacks (from here on sums need nothing), head, texts of a
 *   transaction, frames, marks, numbers of the document's rest; then, where it is large, the rest
 *
 * Each part has its own file but the small ones. What was written is read again and compared, so
 * a part may rely on rules that nearly all documents keep.
 */
#include "storage/segment_block.h"

#include <assert.h>
#include <inttypes.h>

#include "base/limits.h"
#include "base/timestamp.h"
#include "storage/block_frames.h"
#include "storage/gap_list.h"
#include "storage/number_list.h"
#include "storage/number_text.h"
#include "storage/profile_block.h"
#include "storage/profile_equal.h"
#include "storage/segment_block_parts.h"
#include "storage/squeeze.h"

#define THREADS_ORDER 3
#define THREAD_ORDER  6
#define TEXT_ORDER    8
#define INDEX_ORDER   2
#define MARKS_ORDER   4
#define REST_TEXT_MAX KIB(4) /* larger ones are hardly shared: they stay with their block */
#define HEAD_FIELDS   9
#define DECIMALS_MAX  9

/* Which optional columns a block has, two bits. */
enum { HAS_QUEUE = 1, HAS_IDLE = 2 };

static enum err cut_short(struct errinfo *info, const char *part)
{
    return err_set(info, ERR_CORRUPT, "block: %s cut short or out of range", part);
}

static enum err no_room(struct errinfo *info, const struct arena *arena)
{
    enum err rc = arena->failed == ERR_OK ? ERR_NOMEM : arena->failed;
    return err_set(info, rc, "block: no room");
}

/* ---- writing ---- */

struct writing {
    const struct profile *p;
    struct tables_builder *tables;
    struct tables_mapping map;
    struct arena *arena;
    struct bits_writer w;
    struct bytes rest; /* of the document, without its numbers where they stand apart */
    bool has_numbers;
    struct number_text numbers;
};

static enum err put_threads(struct writing *e)
{
    size_t count = e->p->thread_count;
    uint64_t *codes = ARENA_ARRAY(e->arena, count, uint64_t);
    if (codes == NULL)
        return e->arena->failed;
    bits_put_golomb(&e->w, count, THREADS_ORDER);
    if (count == 0)
        return ERR_OK;
    bits_put_golomb(&e->w, e->map.threads[0], THREAD_ORDER);
    for (size_t i = 1; i < count; i++)
        codes[i] = zigzag_encode((int64_t)e->map.threads[i] - e->map.threads[i - 1] - 1);
    number_list_put(&e->w, NUMBERS_PLAIN, codes + 1, count - 1);
    return ERR_OK;
}

static const uint64_t powers_of_ten[DECIMALS_MAX + 1] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

static void put_timestamp(struct bits_writer *w, int64_t timestamp_ns)
{
    unsigned decimals = DECIMALS_MAX;
    while (timestamp_ns % (int64_t)powers_of_ten[decimals] != 0)
        decimals--;
    bits_put(w, decimals, 4);
    gap_list_put_number(w, zigzag_encode(timestamp_ns / (int64_t)powers_of_ten[decimals]));
}

static int64_t get_timestamp(struct bits_reader *r)
{
    unsigned decimals = (unsigned)bits_get(r, 4);
    int64_t units = zigzag_decode(gap_list_get_number(r));
    int64_t timestamp_ns;
    if (r->failed || decimals > DECIMALS_MAX ||
        __builtin_mul_overflow(units, (int64_t)powers_of_ten[decimals], &timestamp_ns)) {
        r->failed = true;
        return 0;
    }
    return timestamp_ns;
}

/* ---- stacks ---- */

/* Stacks as samples use them first, then the others; *ret_in_order: just as they are numbered, and
 * every one is used. */
static enum err find_use_order(const struct profile *p, struct arena *arena, uint32_t **ret,
                               bool *ret_in_order)
{
    uint32_t *order = ARENA_ARRAY(arena, p->stack_count, uint32_t);
    uint8_t *seen = ARENA_ARRAY(arena, p->stack_count, uint8_t);
    if (order == NULL || seen == NULL)
        return arena->failed;
    memset(seen, 0, p->stack_count);
    size_t used = 0;
    for (size_t i = 0; i < p->sample_count; i++) {
        uint32_t stack = p->sample_stack[i];
        if (!seen[stack])
            order[used++] = stack;
        seen[stack] = 1;
    }
    *ret_in_order = used == p->stack_count;
    for (uint32_t i = 0; i < used; i++)
        *ret_in_order &= order[i] == i;
    for (uint32_t i = 0; i < p->stack_count; i++)
        if (!seen[i])
            order[used++] = i;
    *ret = order;
    return ERR_OK;
}

static enum err put_stacks(struct writing *e, const struct stack_runs *runs, bool in_order)
{
    const struct profile *p = e->p;
    struct block_stacks s = {.in_order = in_order,
                             .run_count = runs->stack_count,
                             .document = runs->document_stack,
                             .count = p->stack_count};
    uint32_t *leaves = ARENA_ARRAY(e->arena, p->stack_count, uint32_t);
    if (leaves == NULL)
        return e->arena->failed;
    for (size_t i = 0; i < p->stack_count; i++) {
        uint32_t leaf = p->stacks[in_order ? runs->document_stack[i] : i];
        leaves[i] = leaf == PROFILE_NONE ? leaf : e->map.nodes[leaf];
    }
    s.leaves = leaves;
    return block_stacks_put(&e->w, &s, e->arena);
}

static enum err put_samples(struct writing *e, bool in_order)
{
    struct sample_grid grid;
    struct stack_runs runs;
    TRY(put_threads(e));
    if (e->p->kind == PROFILE_TRANSACTION)
        put_timestamp(&e->w, e->p->timestamp_ns);
    TRY(sample_grid_find(e->p, e->arena, &grid));
    TRY(sample_grid_put(&e->w, e->p->kind, &grid, e->arena));
    TRY(stack_runs_find(e->p, &grid, e->arena, &runs));
    TRY(stack_runs_put(&e->w, &runs, &grid, e->arena));
    return put_stacks(e, &runs, in_order);
}

/* ---- head ---- */

static enum err split_rest(struct writing *e)
{
    e->rest = e->p->rest;
    TRY(number_text_split(e->rest, e->arena, &e->numbers, &e->has_numbers));
    if (e->has_numbers)
        e->rest = e->numbers.without;
    return ERR_OK;
}

static bool rest_is_large(const struct writing *e)
{
    return e->rest.len > REST_TEXT_MAX;
}

static enum err table_text(struct writing *e, uint32_t string, uint64_t *ret)
{
    uint32_t id;
    TRY(tables_builder_text(e->tables, e->p->strings[string], &id));
    *ret = id;
    return ERR_OK;
}

static void put_text_id(struct bits_writer *w, uint64_t id)
{
    bits_put_golomb(w, id, TEXT_ORDER);
}

/* Most profiles of a service agree in all of this: together it is a text of the tables. */
static enum err put_head(struct writing *e)
{
    const struct profile *p = e->p;
    const uint32_t texts[HEAD_FIELDS - 1] = {p->version,     p->platform,   p->environment,
                                             p->release,     p->dist,       p->sdk_name,
                                             p->sdk_version, p->transaction};
    struct bytes rest = rest_is_large(e) ? (struct bytes){0} : e->rest;
    struct buffer head;
    uint32_t id;
    buffer_init(&head, 128, e->arena->account);
    enum err rc = tables_builder_text(e->tables, rest, &id);
    buffer_put_varint(&head, p->flags);
    buffer_put_varint(&head, id);
    for (size_t i = 0; i < HEAD_FIELDS - 1 && rc == ERR_OK; i++) {
        uint64_t text = 0;
        rc = table_text(e, texts[i], &text);
        buffer_put_varint(&head, text);
    }
    rc = rc == ERR_OK ? head.failed : rc;
    if (rc == ERR_OK)
        rc = tables_builder_text(e->tables, buffer_bytes(&head), &id);
    buffer_close(&head);
    TRY(rc);
    bits_put(&e->w, rest_is_large(e), 1);
    bits_put(&e->w, e->has_numbers, 1);
    put_text_id(&e->w, id);
    return ERR_OK;
}

/* ---- texts of transaction profiles that follow from something ---- */

#define SECONDS_TEXT_SIZE ((size_t)19) /* 2026-11-22T08:47:21 */
#define NS_A_SECOND       INT64_C(1000000000)

/* How a moment is written: so many digits of a second, and 'Z' or "+00:00" at the end. */
struct moment_style {
    unsigned digits;
    bool zulu;
};

static size_t print_moment(int64_t ns, struct moment_style style, char text[TIMESTAMP_TEXT_SIZE])
{
    char whole[TIMESTAMP_TEXT_SIZE];
    int64_t fraction = ns % NS_A_SECOND;
    fraction += fraction < 0 ? NS_A_SECOND : 0;
    int64_t unit = NS_A_SECOND;
    size_t len = 0;
    if (timestamp_print_rfc3339(ns - fraction, whole) != SECONDS_TEXT_SIZE + 1)
        return 0; /* a year of other than four digits */
    memcpy(text, whole, SECONDS_TEXT_SIZE);
    len = SECONDS_TEXT_SIZE;
    if (style.digits > 0)
        text[len++] = '.';
    for (unsigned i = 0; i < style.digits; i++) {
        unit /= 10;
        text[len++] = (char)('0' + fraction / unit % 10);
    }
    const char *end = style.zulu ? "Z" : "+00:00";
    size_t end_len = style.zulu ? 1 : 6;
    memcpy(text + len, end, end_len);
    return len + end_len;
}

/* The earliest moment that can be printed would be moved out of range by its fraction. */
static bool moment_prints(int64_t ns)
{
    return ns > INT64_MIN + NS_A_SECOND;
}

static bool find_moment_style(int64_t ns, struct bytes text, struct moment_style *ret)
{
    char printed[TIMESTAMP_TEXT_SIZE];
    ret->zulu = bytes_ends_with(text, BYTES("Z"));
    size_t without = SECONDS_TEXT_SIZE + (ret->zulu ? 1 : 6);
    if (text.len < without || text.len > without + 10 || !moment_prints(ns))
        return false;
    ret->digits = text.len == without ? 0 : (unsigned)(text.len - without - 1);
    return bytes_equal(bytes_of(printed, print_moment(ns, *ret, printed)), text);
}

static enum err put_moment(struct writing *e)
{
    struct moment_style style;
    uint64_t id;
    bool follows =
        find_moment_style(e->p->timestamp_ns, profile_string(e->p, e->p->timestamp_text), &style);
    bits_put(&e->w, follows, 1);
    if (follows) {
        bits_put(&e->w, style.digits, 4);
        bits_put(&e->w, style.zulu, 1);
        return ERR_OK;
    }
    TRY(table_text(e, e->p->timestamp_text, &id));
    put_text_id(&e->w, id);
    return ERR_OK;
}

/* Mostly a thread that has samples. */
static enum err put_active_thread(struct writing *e)
{
    const struct profile *p = e->p;
    uint64_t id;
    for (size_t i = 0; i < p->thread_count; i++) {
        if (p->threads[i].id != p->active_thread)
            continue;
        bits_put(&e->w, 1, 1);
        bits_put_golomb(&e->w, i, INDEX_ORDER);
        return ERR_OK;
    }
    TRY(table_text(e, p->active_thread, &id));
    bits_put(&e->w, 0, 1);
    put_text_id(&e->w, id);
    return ERR_OK;
}

#define SPAN_ID_DIGITS ((size_t)16)

/* Sixteen hexadecimal digits, small letters. */
static bool read_span_id(struct bytes text, uint64_t *ret)
{
    uint64_t id = 0;
    if (text.len != SPAN_ID_DIGITS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f'))
            return false;
        id = id << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    *ret = id;
    return true;
}

static enum err put_segment_id(struct writing *e)
{
    uint64_t id;
    bool span = read_span_id(profile_string(e->p, e->p->segment_id), &id);
    bits_put(&e->w, span, 1);
    if (span) {
        bits_put(&e->w, id, 64);
        return ERR_OK;
    }
    TRY(table_text(e, e->p->segment_id, &id));
    put_text_id(&e->w, id);
    return ERR_OK;
}

static enum err put_transaction(struct writing *e)
{
    TRY(put_moment(e));
    TRY(put_active_thread(e));
    return put_segment_id(e);
}

/* ---- marks ---- */

static enum err put_queues(struct writing *e)
{
    const struct profile *p = e->p;
    size_t count = 0;
    uint64_t *texts = ARENA_ARRAY(e->arena, p->sample_count, uint64_t);
    uint64_t *more = ARENA_ARRAY(e->arena, p->sample_count, uint64_t);
    if (texts == NULL || more == NULL)
        return e->arena->failed;
    for (size_t i = 0; i < p->sample_count; i++) {
        if (i > 0 && p->sample_queue[i] == p->sample_queue[i - 1]) {
            more[count - 1]++;
            continue;
        }
        more[count] = 0;
        TRY(table_text(e, p->sample_queue[i], &texts[count++]));
    }
    bits_put_golomb(&e->w, count, MARKS_ORDER);
    number_list_put(&e->w, NUMBERS_PLAIN, texts, count);
    number_list_put(&e->w, NUMBERS_PLAIN, more, count);
    return ERR_OK;
}

static void put_idle(struct writing *e)
{
    for (size_t i = 0; i < e->p->sample_count; i++)
        bits_put(&e->w, e->p->sample_idle[i] != 0, 1);
}

static enum err put_marks(struct writing *e)
{
    const struct profile *p = e->p;
    bits_put(&e->w,
             (p->sample_queue != NULL ? HAS_QUEUE : 0) | (p->sample_idle != NULL ? HAS_IDLE : 0),
             2);
    if (p->sample_queue != NULL)
        TRY(put_queues(e));
    if (p->sample_idle != NULL)
        put_idle(e);
    return ERR_OK;
}

/* ---- the whole of a shared block ---- */

/* What is no sample. */
static enum err put_document(struct writing *e, const uint32_t *use_order)
{
    TRY(split_rest(e));
    TRY(put_head(e));
    if (e->p->kind == PROFILE_TRANSACTION)
        TRY(put_transaction(e));
    TRY(block_frames_put(&e->w, e->p, &e->map, use_order, e->arena));
    TRY(put_marks(e));
    if (e->has_numbers)
        TRY(number_text_put(&e->w, &e->numbers, e->arena));
    return ERR_OK;
}

static enum err put_shared(struct writing *e, struct buffer *out)
{
    uint32_t *use_order = NULL;
    bool in_order = false;
    TRY(tables_builder_add(e->tables, e->p, e->arena, &e->map, NULL));
    buffer_put_u8(out, FORMAT_BLOCK_SHARED);
    TRY(find_use_order(e->p, e->arena, &use_order, &in_order));
    TRY(put_samples(e, in_order));
    TRY(put_document(e, use_order));
    bits_end(&e->w);
    if (out->failed == ERR_OK && rest_is_large(e))
        TRY(squeeze_put(e->rest, out, NULL));
    return out->failed;
}

static enum err encode_shared(const struct profile *p, struct tables_builder *tables,
                              struct buffer *out)
{
    struct arena arena;
    arena_init(&arena, PAGE_RAW_MAX, out->account);
    struct writing e = {.p = p, .tables = tables, .arena = &arena, .w = {.out = out}};
    enum err rc = put_shared(&e, out);
    arena_close(&arena);
    return rc;
}

static enum err decode_shared(struct bytes bits, const struct tables_source *tables,
                              struct arena *arena, struct profile *p,
                              struct errinfo *info) MUST_CHECK;

/* Whether what was written gives the profile back. */
static bool verify(struct bytes block, const struct profile *p, struct tables_builder *tables,
                   struct mem_account *account)
{
    struct arena arena;
    struct profile back = *p; /* with what the row says; all else is overwritten */
    struct tables_source source = tables_builder_source(tables);
    const char *difference = NULL;
    arena_init(&arena, PAGE_RAW_MAX, account);
    enum err rc = decode_shared(bytes_from(block, 1), &source, &arena, &back, NULL);
    if (rc == ERR_OK)
        rc = profile_equal(p, &back, &arena, &difference);
    arena_close(&arena);
    return rc == ERR_OK && difference == NULL;
}

static enum err encode_whole(const struct profile *p, struct buffer *out, struct errinfo *info)
{
    struct buffer raw;
    buffer_init(&raw, PAGE_RAW_MAX, out->account);
    enum err rc = profile_block_encode(p, &raw, info);
    if (rc == ERR_OK) {
        buffer_put_u8(out, FORMAT_BLOCK_WHOLE);
        rc = squeeze_put(buffer_bytes(&raw), out, info);
    }
    buffer_close(&raw);
    return rc;
}

/* Shared blocks hold nothing else. */
static bool indices_are_in_range(const struct profile *p)
{
    for (size_t i = 0; i < p->node_count; i++)
        if (p->node_frame[i] >= p->frame_list_count)
            return false;
    for (size_t i = 0; i < p->sample_count; i++)
        if (p->sample_stack[i] >= p->stack_count)
            return false;
    return true;
}

/* Whatever keeps a block from being shared, be it want of memory, leaves the other way, which needs
 * less. */
enum err segment_block_encode(const struct profile *p, struct tables_builder *tables,
                              struct buffer *out, bool *ret_summable, struct errinfo *info)
{
    size_t before = out->len;
    bool shared = false;
    TRY(profile_check_shape(p, info));
    if (p->sample_count > SAMPLE_COUNT_MAX)
        return err_set(info, ERR_LIMIT, "block: %zu samples, at most %zu", p->sample_count,
                       SAMPLE_COUNT_MAX);
    if (indices_are_in_range(p) && encode_shared(p, tables, out) == ERR_OK)
        shared = verify(bytes_from(buffer_bytes(out), before), p, tables, out->account);
    *ret_summable = shared && profile_check(p, NULL) == ERR_OK;
    if (shared)
        return ERR_OK;
    out->len = before;
    return encode_whole(p, out, info);
}

/* ---- reading: what sums need too ---- */

static enum err get_threads(struct bits_reader *r, struct arena *arena, struct block_samples *ret,
                            struct errinfo *info)
{
    uint64_t count = bits_get_golomb(r, THREADS_ORDER);
    if (r->failed || count > bits_left(r))
        return cut_short(info, "threads are");
    ret->thread_count = (size_t)count;
    uint32_t *threads = ARENA_ARRAY(arena, ret->thread_count, uint32_t);
    uint64_t *codes = ARENA_ARRAY(arena, ret->thread_count, uint64_t);
    if (threads == NULL || codes == NULL)
        return no_room(info, arena);
    ret->threads = threads;
    if (count == 0)
        return ERR_OK;
    uint64_t thread = bits_get_golomb(r, THREAD_ORDER);
    number_list_get(r, NUMBERS_PLAIN, codes + 1, ret->thread_count - 1);
    for (size_t i = 0; i < ret->thread_count; i++) {
        thread += i == 0 ? 0 : 1 + (uint64_t)zigzag_decode(codes[i]);
        r->failed |= thread >= PROFILE_NONE;
        threads[i] = (uint32_t)thread;
    }
    return r->failed ? cut_short(info, "threads are") : ERR_OK;
}

enum err block_samples_get(struct bits_reader *r, enum profile_kind kind, struct arena *arena,
                           struct block_samples *ret, struct errinfo *info)
{
    *ret = (struct block_samples){0};
    TRY(get_threads(r, arena, ret, info));
    if (kind == PROFILE_TRANSACTION)
        ret->timestamp_ns = get_timestamp(r);
    TRY(sample_grid_get(r, kind, ret->thread_count, arena, &ret->grid, info));
    TRY(stack_runs_get(r, &ret->grid, arena, &ret->runs, info));
    return block_stacks_get(r, ret->runs.stack_count, arena, &ret->stacks, info);
}

/* ---- reading: samples one by one ---- */

struct thread_at {
    uint32_t run;   /* the next one */
    uint32_t left;  /* samples of the current one yet to come */
    uint32_t stack; /* of it, by the document's number */
};

struct laying_out {
    const struct block_samples *s;
    struct thread_at *threads;
    uint32_t *number; /* of each stack of the runs, by the document; NONE: not met yet */
    uint8_t *seen;    /* document stacks, where they are not numbered as they come */
    uint32_t *use_order;
    uint32_t used;
};

/* The document's number of a run's stack, when it comes in document order. */
static uint32_t meet_stack(struct laying_out *l, uint32_t run_stack)
{
    if (l->number[run_stack] != PROFILE_NONE)
        return l->number[run_stack];
    uint32_t stack = l->s->stacks.in_order ? l->used : l->s->stacks.document[run_stack];
    l->number[run_stack] = stack;
    if (!l->seen[stack])
        l->use_order[l->used++] = stack;
    l->seen[stack] = 1;
    return stack;
}

static enum err begin_laying_out(struct laying_out *l, struct arena *arena, struct errinfo *info)
{
    const struct block_samples *s = l->s;
    l->threads = ARENA_ARRAY(arena, s->grid.thread_count, struct thread_at);
    l->number = ARENA_ARRAY(arena, s->runs.stack_count, uint32_t);
    l->seen = ARENA_ARRAY(arena, s->stacks.count, uint8_t);
    l->use_order = ARENA_ARRAY(arena, s->stacks.count, uint32_t);
    if (arena->failed != ERR_OK)
        return no_room(info, arena);
    for (size_t t = 0; t < s->grid.thread_count; t++)
        l->threads[t] = (struct thread_at){.run = s->runs.thread_first[t]};
    memset(l->number, 0xff, s->runs.stack_count * sizeof *l->number);
    memset(l->seen, 0, s->stacks.count);
    return ERR_OK;
}

static inline uint32_t next_stack(struct laying_out *l, uint32_t thread)
{
    struct thread_at *t = &l->threads[thread];
    if (t->left == 0) {
        struct stack_run run = l->s->runs.runs[t->run++];
        t->left = run.length;
        t->stack = meet_stack(l, run.stack);
    }
    t->left--;
    return t->stack;
}

static void fill_samples(struct laying_out *l, uint64_t *time, uint32_t *thread, uint32_t *stack)
{
    const struct sample_grid *g = &l->s->grid;
    size_t at = 0;
    size_t tick = 0;
    for (size_t i = 0; i < g->span_count; i++) {
        const uint32_t *first = g->pattern_threads + g->pattern_first[g->spans[i].pattern];
        const uint32_t *end = g->pattern_threads + g->pattern_first[g->spans[i].pattern + 1];
        for (size_t last = tick + g->spans[i].ticks; tick < last; tick++) {
            for (const uint32_t *t = first; t < end; t++, at++) {
                time[at] = g->times[tick];
                thread[at] = *t;
                stack[at] = next_stack(l, *t);
            }
        }
    }
}

/* Leaves by the document's number; and the stacks that no sample uses. */
static enum err finish_stacks(struct laying_out *l, struct arena *arena,
                              const uint32_t **ret_leaves, struct errinfo *info)
{
    const struct block_stacks *s = &l->s->stacks;
    for (uint32_t i = 0; i < s->count; i++)
        if (!l->seen[i])
            l->use_order[l->used++] = i;
    *ret_leaves = s->leaves;
    if (!s->in_order)
        return ERR_OK;
    uint32_t *leaves = ARENA_ARRAY(arena, s->count, uint32_t);
    if (leaves == NULL)
        return no_room(info, arena);
    for (size_t i = 0; i < s->count; i++) /* every one is met: each thread's runs were used up */
        leaves[l->number[i]] = s->leaves[i];
    *ret_leaves = leaves;
    return ERR_OK;
}

static enum err lay_out_samples(struct laying_out *l, struct arena *arena, struct profile *p,
                                const uint32_t **ret_leaves, struct errinfo *info)
{
    size_t count = l->s->grid.sample_count;
    uint64_t *time = ARENA_ARRAY(arena, count, uint64_t);
    uint32_t *thread = ARENA_ARRAY(arena, count, uint32_t);
    uint32_t *stack = ARENA_ARRAY(arena, count, uint32_t);
    if (time == NULL || thread == NULL || stack == NULL)
        return no_room(info, arena);
    TRY(begin_laying_out(l, arena, info));
    fill_samples(l, time, thread, stack);
    p->sample_time = time;
    p->sample_thread = thread;
    p->sample_stack = stack;
    p->sample_count = count;
    p->stack_count = l->s->stacks.count;
    return finish_stacks(l, arena, ret_leaves, info);
}

/* ---- reading: texts ---- */

struct reading {
    struct bits_reader r;
    const struct tables_source *tables;
    struct arena *arena;
    struct profile *p;
    bool rest_is_large;
    bool has_numbers;
    struct local_ids texts;  /* of the tables; local numbers are those of the profile's strings */
    struct local_ids frames; /* of the tables */
    struct bytes made[2];    /* texts that are in no table: strings above the others */
    unsigned made_count;
    uint32_t *made_at[2];
};

static enum err use_text(struct reading *d, uint64_t id, uint32_t *ret, struct errinfo *info)
{
    if (d->r.failed || id >= LOCAL_NONE)
        return cut_short(info, "texts are");
    *ret = local_ids_add(&d->texts, (uint32_t)id);
    return *ret == LOCAL_NONE ? no_room(info, d->arena) : ERR_OK;
}

static enum err get_text(struct reading *d, uint32_t *ret, struct errinfo *info)
{
    return use_text(d, bits_get_golomb(&d->r, TEXT_ORDER), ret, info);
}

static enum err parse_head(struct reading *d, struct bytes head, struct errinfo *info)
{
    struct profile *p = d->p;
    uint32_t *const texts[HEAD_FIELDS - 1] = {&p->version,     &p->platform,   &p->environment,
                                              &p->release,     &p->dist,       &p->sdk_name,
                                              &p->sdk_version, &p->transaction};
    struct reader r = reader_of(head);
    uint64_t flags = reader_varint(&r);
    uint64_t rest = reader_varint(&r);
    if (r.failed || flags > UINT32_MAX || rest >= LOCAL_NONE)
        return cut_short(info, "head is");
    p->flags = (uint32_t)flags;
    TRY(d->tables->text(d->tables->self, (uint32_t)rest, &p->rest, info));
    for (size_t i = 0; i < HEAD_FIELDS - 1; i++)
        TRY(use_text(d, reader_varint(&r), texts[i], info));
    return r.failed || reader_left(&r) > 0 ? cut_short(info, "head is") : ERR_OK;
}

static enum err get_head(struct reading *d, struct errinfo *info)
{
    struct bytes head = {0};
    d->rest_is_large = bits_get(&d->r, 1) != 0;
    d->has_numbers = bits_get(&d->r, 1) != 0;
    uint64_t id = bits_get_golomb(&d->r, TEXT_ORDER);
    if (d->r.failed || id >= LOCAL_NONE)
        return cut_short(info, "head is");
    TRY(d->tables->text(d->tables->self, (uint32_t)id, &head, info));
    return parse_head(d, head, info);
}

/* A string of its own, whose number is known when all others are. */
static enum err make_text(struct reading *d, const char *text, size_t len, uint32_t *ret,
                          struct errinfo *info)
{
    struct bytes made = arena_copy(d->arena, bytes_of(text, len));
    if (made.data == NULL)
        return no_room(info, d->arena);
    d->made_at[d->made_count] = ret;
    d->made[d->made_count++] = made;
    return ERR_OK;
}

static enum err get_moment(struct reading *d, struct errinfo *info)
{
    char text[TIMESTAMP_TEXT_SIZE];
    if (bits_get(&d->r, 1) == 0)
        return get_text(d, &d->p->timestamp_text, info);
    struct moment_style style = {.digits = (unsigned)bits_get(&d->r, 4)};
    style.zulu = bits_get(&d->r, 1) != 0;
    if (d->r.failed || style.digits > 9 || !moment_prints(d->p->timestamp_ns))
        return cut_short(info, "timestamp is");
    size_t len = print_moment(d->p->timestamp_ns, style, text);
    return make_text(d, text, len, &d->p->timestamp_text, info);
}

static enum err get_active_thread(struct reading *d, struct errinfo *info)
{
    if (bits_get(&d->r, 1) == 0)
        return get_text(d, &d->p->active_thread, info);
    uint64_t thread = bits_get_golomb(&d->r, INDEX_ORDER);
    if (d->r.failed || thread >= d->p->thread_count)
        return cut_short(info, "active thread is");
    d->p->active_thread = d->p->threads[thread].id;
    return ERR_OK;
}

static enum err get_segment_id(struct reading *d, struct errinfo *info)
{
    static const char digits[] = "0123456789abcdef";
    char text[SPAN_ID_DIGITS];
    if (bits_get(&d->r, 1) == 0)
        return get_text(d, &d->p->segment_id, info);
    uint64_t id = bits_get(&d->r, 64);
    if (d->r.failed)
        return cut_short(info, "segment id is");
    for (size_t i = SPAN_ID_DIGITS; i > 0; i--, id >>= 4)
        text[i - 1] = digits[id & 15];
    return make_text(d, text, sizeof text, &d->p->segment_id, info);
}

static enum err get_transaction(struct reading *d, struct errinfo *info)
{
    d->p->timestamp_text = 0;
    d->p->active_thread = 0;
    d->p->segment_id = 0;
    if (d->p->kind != PROFILE_TRANSACTION)
        return ERR_OK;
    TRY(get_moment(d, info));
    TRY(get_active_thread(d, info));
    return get_segment_id(d, info);
}

/* ---- reading: items of the tables with their texts ---- */

static enum err get_thread_items(struct reading *d, const struct block_samples *s,
                                 struct errinfo *info)
{
    struct profile_thread *threads = ARENA_ARRAY(d->arena, s->thread_count, struct profile_thread);
    if (threads == NULL)
        return no_room(info, d->arena);
    for (size_t i = 0; i < s->thread_count; i++) {
        struct profile_thread *t = &threads[i];
        TRY(d->tables->thread(d->tables->self, s->threads[i], t, info));
        TRY(use_text(d, t->id, &t->id, info));
        TRY(use_text(d, t->name, &t->name, info));
    }
    d->p->threads = threads;
    d->p->thread_count = s->thread_count;
    return ERR_OK;
}

static enum err get_frame_items(struct reading *d, struct errinfo *info)
{
    struct profile_frame *frames = ARENA_ARRAY(d->arena, d->frames.count, struct profile_frame);
    if (frames == NULL)
        return no_room(info, d->arena);
    for (uint32_t i = 0; i < d->frames.count; i++) {
        struct segment_frame item;
        struct profile_frame *f = &frames[i];
        TRY(d->tables->frame(d->tables->self, d->frames.ids[i], &item, info));
        *f = item.frame;
        uint32_t *const texts[] = {&f->function, &f->module,   &f->package,          &f->filename,
                                   &f->abs_path, &f->platform, &f->instruction_addr, &f->rest};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
            TRY(use_text(d, *texts[k], texts[k], info));
    }
    d->p->frames = frames;
    d->p->frame_count = d->frames.count;
    return ERR_OK;
}

static enum err get_strings(struct reading *d, struct errinfo *info)
{
    size_t count = (size_t)d->texts.count + d->made_count;
    struct bytes *strings = ARENA_ARRAY(d->arena, count, struct bytes);
    if (strings == NULL)
        return no_room(info, d->arena);
    for (uint32_t i = 0; i < d->texts.count; i++)
        TRY(d->tables->text(d->tables->self, d->texts.ids[i], &strings[i], info));
    for (unsigned i = 0; i < d->made_count; i++) {
        strings[d->texts.count + i] = d->made[i];
        *d->made_at[i] = d->texts.count + i;
    }
    d->p->strings = strings;
    d->p->string_count = count;
    return ERR_OK;
}

/* ---- reading: marks ---- */

static enum err get_queues(struct reading *d, struct errinfo *info)
{
    struct profile *p = d->p;
    uint64_t count = bits_get_golomb(&d->r, MARKS_ORDER);
    if (d->r.failed || count > bits_left(&d->r) || count > p->sample_count)
        return cut_short(info, "queues are");
    uint32_t *queue = ARENA_ARRAY(d->arena, p->sample_count, uint32_t);
    uint32_t *texts = ARENA_ARRAY(d->arena, (size_t)count, uint32_t);
    uint32_t *more = ARENA_ARRAY(d->arena, (size_t)count, uint32_t);
    if (queue == NULL || texts == NULL || more == NULL)
        return no_room(info, d->arena);
    number_list_get32(&d->r, texts, (size_t)count);
    number_list_get32(&d->r, more, (size_t)count);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t text;
        TRY(use_text(d, texts[i], &text, info));
        if (more[i] >= p->sample_count - at)
            return cut_short(info, "queues are");
        for (size_t end = at + more[i] + 1; at < end; at++)
            queue[at] = text;
    }
    p->sample_queue = queue;
    return at == p->sample_count ? ERR_OK : cut_short(info, "queues are");
}

static enum err get_idle(struct reading *d, struct errinfo *info)
{
    struct profile *p = d->p;
    if (p->sample_count > bits_left(&d->r))
        return cut_short(info, "idle marks are");
    uint8_t *idle = ARENA_ARRAY(d->arena, p->sample_count, uint8_t);
    if (idle == NULL)
        return no_room(info, d->arena);
    for (size_t i = 0; i < p->sample_count; i++)
        idle[i] = (uint8_t)bits_get(&d->r, 1);
    p->sample_idle = idle;
    return ERR_OK;
}

static enum err get_marks(struct reading *d, struct errinfo *info)
{
    unsigned has = (unsigned)bits_get(&d->r, 2);
    d->p->sample_queue = NULL;
    d->p->sample_idle = NULL;
    if ((has & HAS_QUEUE) != 0)
        TRY(get_queues(d, info));
    if ((has & HAS_IDLE) != 0)
        TRY(get_idle(d, info));
    return d->r.failed ? cut_short(info, "marks are") : ERR_OK;
}

/* ---- reading: the whole ---- */

static enum err get_rest(struct reading *d, struct errinfo *info)
{
    struct number_text numbers;
    if (d->has_numbers)
        TRY(number_text_get(&d->r, d->arena, &numbers, info));
    struct bytes left = bits_rest(&d->r);
    if (d->r.failed)
        return cut_short(info, "its end is");
    if (d->rest_is_large)
        TRY(squeeze_get(left, PAGE_RAW_MAX, d->arena, &d->p->rest, info));
    else if (left.len > 0)
        return err_set(info, ERR_CORRUPT, "block: %zu bytes beyond its end", left.len);
    if (!d->has_numbers)
        return ERR_OK;
    numbers.without = d->p->rest;
    return number_text_join(&numbers, d->arena, &d->p->rest, info);
}

static enum err get_document(struct reading *d, const struct block_samples *s, struct errinfo *info)
{
    struct laying_out l = {.s = s};
    const uint32_t *leaves = NULL;
    uint32_t empty;
    TRY(use_text(d, 0, &empty, info));
    TRY(get_thread_items(d, s, info));
    TRY(lay_out_samples(&l, d->arena, d->p, &leaves, info));
    TRY(get_head(d, info));
    TRY(get_transaction(d, info));
    TRY(block_frames_get(&d->r, d->tables, leaves, l.use_order, d->arena, &d->frames, d->p, info));
    TRY(get_frame_items(d, info));
    TRY(get_marks(d, info));
    TRY(get_rest(d, info));
    return get_strings(d, info);
}

static enum err decode_shared(struct bytes bits, const struct tables_source *tables,
                              struct arena *arena, struct profile *p, struct errinfo *info)
{
    struct reading d = {.r = {.in = bits}, .tables = tables, .arena = arena, .p = p};
    struct block_samples s;
    local_ids_init(&d.texts, arena);
    local_ids_init(&d.frames, arena);
    TRY(block_samples_get(&d.r, p->kind, arena, &s, info));
    p->timestamp_ns = s.timestamp_ns;
    return get_document(&d, &s, info); /* whose parts promise what profile_check_shape wants */
}

static enum err decode_whole(struct bytes stored, struct arena *arena, struct profile *p,
                             struct errinfo *info)
{
    struct bytes raw = {0};
    TRY(squeeze_get(stored, PAGE_RAW_MAX, arena, &raw, info));
    return profile_block_decode(raw, arena, p, info);
}

enum err segment_block_decode(struct bytes block, struct tables_cursor *tables, struct arena *arena,
                              struct profile *p, struct errinfo *info)
{
    struct tables_source source = tables_cursor_source(tables);
    if (block.len == 0)
        return err_set(info, ERR_CORRUPT, "block: empty");
    switch (block.data[0]) {
    case FORMAT_BLOCK_SHARED: return decode_shared(bytes_from(block, 1), &source, arena, p, info);
    case FORMAT_BLOCK_WHOLE: return decode_whole(bytes_from(block, 1), arena, p, info);
    default:
        return err_set(info, ERR_UNSUPPORTED, "block: kind %u, expected 1 or 2",
                       (unsigned)block.data[0]);
    }
}
