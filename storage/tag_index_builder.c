/* tag_index_builder.c - values and their rows while a segment is built, and the index written.
 *
 * Rows come in order, so that what a value has is kept as runs: the last one open, those before in
 * pieces of a pool, as varints of gap and length.
 */
#include "base/intern.h"
#include "base/sort.h"
#include "storage/bits.h"
#include "storage/counted_array.h"
#include "storage/number_list.h"
#include "storage/row_set.h"
#include "storage/tag_index_parts.h"

#define PIECE_SIZE 28
#define NO_PIECE   UINT32_MAX

struct piece {
    uint32_t next;
    uint8_t bytes[PIECE_SIZE];
};

/* The rows of a value; of TAG_THREAD the value is a text of the tables. */
struct posting {
    uint32_t first; /* the open run is [first, end) */
    uint32_t end;
    uint32_t closed_end; /* where the run before it ends */
    uint32_t head;       /* pieces */
    uint32_t tail;
    uint32_t used; /* of the last piece */
    uint32_t run_count;
};

struct tag_index_builder {
    struct frame_rules rules;
    struct mem_account *account;
    struct intern keys; /* u64; one more than the number of its posting */
    struct counted_array postings;
    struct counted_array pieces;
    uint32_t row_count;
};

enum err tag_index_builder_create(const struct frame_rules *rules, struct mem_account *account,
                                  struct tag_index_builder **ret)
{
    struct tag_index_builder *b = mem_zalloc(sizeof *b);
    if (b == NULL)
        return ERR_NOMEM;
    b->rules = *rules;
    b->account = account;
    intern_init(&b->keys, SIZE_MAX, account);
    counted_array_init(&b->postings, sizeof(struct posting), account);
    counted_array_init(&b->pieces, sizeof(struct piece), account);
    *ret = b;
    return ERR_OK;
}

void tag_index_builder_destroy(struct tag_index_builder *b)
{
    if (b == NULL)
        return;
    intern_close(&b->keys);
    counted_array_close(&b->postings);
    counted_array_close(&b->pieces);
    mem_free(b);
}

size_t tag_index_builder_bytes(const struct tag_index_builder *b)
{
    return sizeof *b + b->keys.text.capacity + b->keys.offsets.capacity + b->keys.slots.capacity +
           counted_array_bytes(&b->postings) + counted_array_bytes(&b->pieces);
}

/* ---- postings ---- */

static struct posting *posting_at(const struct tag_index_builder *b, uint32_t at)
{
    return counted_array_at(&b->postings, at);
}

static enum err add_piece(struct tag_index_builder *b, struct posting *p)
{
    uint32_t at = b->pieces.count;
    TRY(counted_array_reserve(&b->pieces));
    struct piece *piece = counted_array_add(&b->pieces);
    piece->next = NO_PIECE;
    if (p->head == NO_PIECE)
        p->head = at;
    else
        ((struct piece *)counted_array_at(&b->pieces, p->tail))->next = at;
    p->tail = at;
    p->used = 0;
    return ERR_OK;
}

static enum err put_varint(struct tag_index_builder *b, struct posting *p, uint32_t value)
{
    for (bool more = true; more; value >>= 7) {
        more = value >= 128;
        if (p->head == NO_PIECE || p->used == PIECE_SIZE)
            TRY(add_piece(b, p));
        struct piece *piece = counted_array_at(&b->pieces, p->tail);
        piece->bytes[p->used++] = (uint8_t)((value & 127) | (more ? 128 : 0));
    }
    return ERR_OK;
}

static enum err close_run(struct tag_index_builder *b, struct posting *p)
{
    TRY(put_varint(b, p, p->first - p->closed_end));
    TRY(put_varint(b, p, p->end - p->first));
    p->closed_end = p->end;
    p->run_count++;
    return ERR_OK;
}

static enum err find_posting(struct tag_index_builder *b, uint64_t key, uint32_t row,
                             struct posting **ret)
{
    uint32_t id;
    TRY(counted_array_reserve(&b->postings)); /* first: no key without a posting */
    TRY(intern_add(&b->keys, bytes_of(&key, sizeof key), &id));
    if (id > b->postings.count)
        *(struct posting *)counted_array_add(&b->postings) =
            (struct posting){.first = row, .end = row, .head = NO_PIECE, .tail = NO_PIECE};
    *ret = posting_at(b, id - 1);
    return ERR_OK;
}

/* Rows of a key come in ascending order, some of them several times. */
static enum err add_row(struct tag_index_builder *b, uint64_t key, uint32_t row)
{
    struct posting *p = NULL;
    TRY(find_posting(b, key, row, &p));
    if (p->end == row + 1)
        return ERR_OK;
    if (p->end != row) {
        TRY(close_run(b, p));
        p->first = row;
    }
    p->end = row + 1;
    return ERR_OK;
}

/* ---- what a profile has ---- */

static int compare_u32(const void *left, const void *right, void *context)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    (void)context;
    return (a > b) - (a < b);
}

/* From the leaves of stacks that samples have up to the roots; children stand behind parents. */
static void mark_nodes(const struct profile *p, uint8_t *nodes)
{
    for (size_t i = 0; i < p->sample_count; i++) {
        uint32_t stack = p->sample_stack[i];
        if (stack < p->stack_count && p->stacks[stack] < p->node_count)
            nodes[p->stacks[stack]] = 1;
    }
    for (size_t i = p->node_count; i-- > 0;)
        if (nodes[i] != 0 && p->node_parent[i] != PROFILE_NONE)
            nodes[p->node_parent[i]] = 1;
}

static void mark_frames(const struct profile *p, const uint8_t *nodes, uint8_t *frames)
{
    for (size_t i = 0; i < p->node_count; i++)
        if (nodes[i] != 0 && p->node_frame[i] < p->frame_list_count)
            frames[p->frame_list[p->node_frame[i]]] = 1;
}

enum err profile_find_functions(const struct profile *p, const struct frame_rules *rules,
                                struct arena *arena, uint32_t **ret, size_t *ret_count)
{
    uint8_t *nodes = ARENA_ARRAY(arena, p->node_count, uint8_t);
    uint8_t *frames = ARENA_ARRAY(arena, p->frame_count, uint8_t);
    uint32_t *functions = ARENA_ARRAY(arena, p->frame_count, uint32_t);
    size_t count = 0;
    size_t kept = 0;
    if (arena->failed != ERR_OK)
        return arena->failed;
    memset(nodes, 0, p->node_count);
    memset(frames, 0, p->frame_count);
    mark_nodes(p, nodes);
    mark_frames(p, nodes, frames);
    for (size_t i = 0; i < p->frame_count; i++)
        if (frames[i] != 0)
            functions[count++] = rules->fingerprint(p, &p->frames[i]);
    TRY(sort_array(arena->account, functions, count, sizeof *functions, compare_u32, NULL));
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || functions[kept - 1] != functions[i])
            functions[kept++] = functions[i];
    *ret = functions;
    *ret_count = kept;
    return ERR_OK;
}

static enum err add_functions(struct tag_index_builder *b, uint32_t row, const struct profile *p,
                              struct arena *arena)
{
    uint32_t *functions = NULL;
    size_t count = 0;
    TRY(profile_find_functions(p, &b->rules, arena, &functions, &count));
    for (size_t i = 0; i < count; i++)
        TRY(add_row(b, tag_key(TAG_FUNCTION, functions[i]), row));
    return ERR_OK;
}

static enum err add_threads(struct tag_index_builder *b, uint32_t row, const struct profile *p,
                            struct tables_builder *tables, struct arena *arena)
{
    uint8_t *used = ARENA_ARRAY(arena, p->thread_count, uint8_t);
    if (used == NULL)
        return arena->failed;
    memset(used, 0, p->thread_count);
    for (size_t i = 0; i < p->sample_count; i++)
        used[p->sample_thread[i]] = 1;
    for (size_t i = 0; i < p->thread_count; i++) {
        uint32_t text;
        if (used[i] == 0)
            continue;
        TRY(tables_builder_text(tables, profile_string(p, p->threads[i].name), &text));
        TRY(add_row(b, tag_key(TAG_THREAD, text), row));
    }
    return ERR_OK;
}

enum err tag_index_builder_add(struct tag_index_builder *b, uint32_t row, const struct profile *p,
                               struct tables_builder *tables, struct errinfo *info)
{
    struct arena arena;
    enum err rc = ERR_OK;
    assert(row == b->row_count);
    arena_init(&arena, SIZE_MAX, b->account);
    if (p == NULL)
        rc = add_row(b, tag_key(TAG_UNKNOWN, 0), row);
    else
        rc = add_threads(b, row, p, tables, &arena);
    if (rc == ERR_OK && p != NULL)
        rc = add_functions(b, row, p, &arena);
    arena_close(&arena);
    if (rc != ERR_OK)
        return err_set(info, rc, "index of tags: no room for row %u", row);
    b->row_count++;
    return ERR_OK;
}

/* ---- writing: from postings to entries ---- */

struct entry {
    uint64_t key;
    uint32_t set;  /* TAG_SET_ALL, else of the writing; on disk when they are in order */
    uint32_t text; /* of TAG_THREAD */
};

struct set_use {
    uint32_t set;
    uint32_t uses;
};

struct writing {
    struct tag_index_builder *b;
    struct segment_file_writer *file;
    struct tables_source tables;
    struct intern sets; /* as bytes, from 1 on */
    struct buffer entries;
    struct buffer uses;  /* struct set_use, in the order on disk */
    struct buffer ranks; /* u32 of each set: its number on disk */
    struct buffer runs;  /* of the posting at hand */
    struct buffer bytes;
    struct buffer first; /* u64 of each page */
    struct buffer end;   /* u64 of each page, or set */
};

static uint32_t take_varint(const struct tag_index_builder *b, uint32_t *piece, uint32_t *at)
{
    uint32_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        const struct piece *from = counted_array_at(&b->pieces, *piece);
        if (*at == PIECE_SIZE) {
            *piece = from->next;
            *at = 0;
            from = counted_array_at(&b->pieces, *piece);
        }
        uint8_t byte = from->bytes[(*at)++];
        value |= (uint32_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
}

/* Into w->runs; *ret_rows: how many rows they are. */
static enum err gather_runs(struct writing *w, const struct posting *p, uint64_t *ret_rows)
{
    uint32_t piece = p->head;
    uint32_t at = 0;
    uint32_t end = 0;
    buffer_clear(&w->runs);
    struct row_run *runs = buffer_extend(&w->runs, (p->run_count + (size_t)1) * sizeof *runs);
    if (runs == NULL)
        return w->runs.failed;
    *ret_rows = p->end - p->first;
    for (uint32_t i = 0; i < p->run_count; i++) {
        runs[i].first = end + take_varint(w->b, &piece, &at);
        runs[i].count = take_varint(w->b, &piece, &at);
        end = runs[i].first + runs[i].count;
        *ret_rows += runs[i].count;
    }
    runs[p->run_count] = (struct row_run){p->first, p->end - p->first};
    return ERR_OK;
}

static enum err find_set(struct writing *w, const struct posting *p, uint32_t *ret)
{
    uint64_t rows = 0;
    TRY(gather_runs(w, p, &rows));
    *ret = TAG_SET_ALL;
    if (rows == w->b->row_count)
        return ERR_OK;
    buffer_clear(&w->bytes);
    TRY(row_set_put((const struct row_run *)(const void *)w->runs.data, p->run_count + (size_t)1,
                    w->b->row_count, &w->bytes));
    return intern_add(&w->sets, buffer_bytes(&w->bytes), ret);
}

static enum err add_entry(struct writing *w, uint32_t posting, struct errinfo *info)
{
    struct entry entry = {0};
    struct bytes key = intern_get(&w->b->keys, posting + 1);
    memcpy(&entry.key, key.data, sizeof entry.key);
    TRY(find_set(w, posting_at(w->b, posting), &entry.set));
    if (tag_key_dimension(entry.key) == TAG_THREAD) {
        struct bytes name;
        entry.text = (uint32_t)entry.key;
        TRY(w->tables.text(w->tables.self, entry.text, &name, info));
        entry.key = tag_key(TAG_THREAD, tag_thread_value(name));
    }
    buffer_put(&w->entries, bytes_of(&entry, sizeof entry));
    return w->entries.failed;
}

static int compare_entries(const void *left, const void *right, void *context)
{
    const struct entry *a = left;
    const struct entry *b = right;
    (void)context;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->text > b->text) - (a->text < b->text);
}

static struct entry *entries_of(const struct writing *w)
{
    return (struct entry *)(void *)w->entries.data;
}

static size_t entry_count(const struct writing *w)
{
    return w->entries.len / sizeof(struct entry);
}

static enum err gather_entries(struct writing *w, struct errinfo *info)
{
    for (uint32_t i = 0; i < w->b->postings.count; i++)
        TRY(add_entry(w, i, info));
    return sort_array(w->b->account, w->entries.data, entry_count(w), sizeof(struct entry),
                      compare_entries, NULL);
}

/* ---- writing: sets, the most used ones first, so that their numbers are short ---- */

static int compare_uses(const void *left, const void *right, void *context)
{
    const struct set_use *a = left;
    const struct set_use *b = right;
    (void)context;
    if (a->uses != b->uses)
        return a->uses > b->uses ? -1 : 1;
    return (a->set > b->set) - (a->set < b->set);
}

static enum err order_sets(struct writing *w)
{
    size_t count = w->sets.count; /* the first is none */
    struct set_use *uses = buffer_extend(&w->uses, count * sizeof *uses);
    uint32_t *ranks = buffer_extend(&w->ranks, count * sizeof *ranks);
    if (uses == NULL || ranks == NULL)
        return uses == NULL ? w->uses.failed : w->ranks.failed;
    for (uint32_t i = 0; i < count; i++)
        uses[i] = (struct set_use){.set = i};
    for (size_t i = 0; i < entry_count(w); i++)
        uses[entries_of(w)[i].set].uses++;
    TRY(sort_array(w->b->account, uses + 1, count - 1, sizeof *uses, compare_uses, NULL));
    for (uint32_t i = 0; i < count; i++)
        ranks[uses[i].set] = i;
    for (size_t i = 0; i < entry_count(w); i++)
        entries_of(w)[i].set = ranks[entries_of(w)[i].set];
    return ERR_OK;
}

static enum err write_column(struct writing *w, enum format_section kind,
                             const struct buffer *column)
{
    if (column->failed != ERR_OK)
        return column->failed;
    packed_put(w->file, kind, (const uint64_t *)(const void *)column->data, 1,
               column->len / sizeof(uint64_t));
    return ERR_OK;
}

static enum err write_sets(struct writing *w)
{
    const struct set_use *uses = (const struct set_use *)(const void *)w->uses.data;
    uint64_t end = 0;
    segment_file_begin(w->file, SECTION_BITMAP_SETS);
    for (size_t i = 1; i < w->sets.count; i++) {
        struct bytes set = intern_get(&w->sets, uses[i].set);
        segment_file_put(w->file, set);
        end += set.len;
        buffer_put(&w->end, bytes_of(&end, sizeof end));
    }
    return write_column(w, SECTION_BITMAP_SET_END, &w->end);
}

/* ---- writing: pages of keys ---- */

static enum err put_page(struct writing *w, const struct entry *entries, size_t count)
{
    uint64_t steps[FORMAT_KEYS_A_PAGE];
    uint64_t sets[FORMAT_KEYS_A_PAGE];
    uint64_t texts[FORMAT_KEYS_A_PAGE];
    size_t text_count = 0;
    struct bits_writer bits = {.out = &w->bytes};
    for (size_t i = 0; i < count; i++) {
        steps[i] = i == 0 ? 0 : entries[i].key - entries[i - 1].key;
        sets[i] = entries[i].set;
        if (tag_key_dimension(entries[i].key) == TAG_THREAD)
            texts[text_count++] = entries[i].text;
    }
    number_list_put(&bits, NUMBERS_PLAIN, steps + 1, count - 1);
    number_list_put(&bits, NUMBERS_PLAIN, sets, count);
    number_list_put(&bits, NUMBERS_PLAIN, texts, text_count);
    bits_end(&bits);
    return w->bytes.failed;
}

static void put_counts(struct writing *w)
{
    uint8_t head[FORMAT_KEYS_HEAD_SIZE];
    put_u32(head, (uint32_t)entry_count(w));
    put_u32(head + 4, (uint32_t)w->sets.count - 1);
    segment_file_put(w->file, bytes_of(head, sizeof head));
}

static enum err write_keys(struct writing *w)
{
    uint64_t end = 0;
    buffer_clear(&w->end);
    segment_file_begin(w->file, SECTION_BITMAP_KEYS);
    put_counts(w);
    for (size_t at = 0; at < entry_count(w); at += FORMAT_KEYS_A_PAGE) {
        size_t left = entry_count(w) - at;
        const struct entry *page = entries_of(w) + at;
        buffer_clear(&w->bytes);
        TRY(put_page(w, page, left < FORMAT_KEYS_A_PAGE ? left : FORMAT_KEYS_A_PAGE));
        segment_file_put(w->file, buffer_bytes(&w->bytes));
        end += w->bytes.len;
        buffer_put(&w->first, bytes_of(&page->key, sizeof page->key));
        buffer_put(&w->end, bytes_of(&end, sizeof end));
    }
    TRY(write_column(w, SECTION_BITMAP_KEY_FIRST, &w->first));
    return write_column(w, SECTION_BITMAP_KEY_END, &w->end);
}

/* ---- writing: all of it ---- */

static enum err add_texts(struct tag_index_builder *b, const struct rows_builder *rows)
{
    uint32_t chunks = rows_builder_chunk_count(rows);
    for (enum tag_dimension d = TAG_ENVIRONMENT; d <= TAG_TRANSACTION; d++)
        for (uint32_t row = d == TAG_TRANSACTION ? chunks : 0; row < b->row_count; row++)
            TRY(add_row(b, tag_key(d, rows_builder_tag(rows, row, tag_text_of(d))), row));
    return ERR_OK;
}

static enum err write_all(struct writing *w, const struct rows_builder *rows, struct errinfo *info)
{
    TRY(add_texts(w->b, rows));
    TRY(gather_entries(w, info));
    TRY(order_sets(w));
    TRY(write_sets(w));
    return write_keys(w);
}

enum err tag_index_builder_write(struct tag_index_builder *b, const struct rows_builder *rows,
                                 struct tables_builder *tables, struct segment_file_writer *w,
                                 struct errinfo *info)
{
    struct writing x = {.b = b, .file = w, .tables = tables_builder_source(tables)};
    struct buffer *all[] = {&x.entries, &x.uses, &x.ranks, &x.runs, &x.bytes, &x.first, &x.end};
    if (b->row_count == 0)
        return ERR_OK;
    assert(rows_builder_row_count(rows) == b->row_count);
    intern_init(&x.sets, SIZE_MAX, b->account);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buffer_init(all[i], SIZE_MAX, b->account);
    enum err rc = write_all(&x, rows, info);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buffer_close(all[i]);
    intern_close(&x.sets);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "index of tags: no room to write it");
}
