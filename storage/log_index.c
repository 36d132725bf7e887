#include <assert.h>

#include "base/mem.h"
#include "storage/log_index_parts.h"

static_assert(sizeof(struct row_source) == 2 * 8 + 8 * 4, "no padding");
static_assert(sizeof(struct hide_key) == 3 * sizeof(uint32_t), "no padding");
static_assert(sizeof(struct index_key) == 3 * 8 + 2 * 16, "no padding");

#define TABLES_A_RESERVE 8 /* tables that may grow once each */

/* ---- keys ---- */

static struct index_key key_of_run(uint64_t kind, uint64_t project_id, struct uuid profiler_id)
{
    return (struct index_key){.kind = kind, .project_id = project_id, .profiler_id = profiler_id};
}

static struct index_key key_of_ids(const struct log_index *ix, const struct row_data *row)
{
    return (struct index_key){
        .kind = row->extra == ID_NONE ? RECORD_CHUNK : RECORD_TRANSACTION,
        .project_id = index_source(ix, row->source)->project_id,
        .profiler_id = row->profiler_id,
        .id = row->id,
    };
}

static struct index_key key_of_row(const struct log_index *ix, const struct row_data *row)
{
    struct index_key key = key_of_ids(ix, row);
    if (key.kind == RECORD_CHUNK)
        key.start = (uint64_t)row->start_ns;
    return key;
}

static struct index_key key_of_trace(const struct link_data *link)
{
    return key_of_run(RECORD_LINK, link->project_id, link->trace_id);
}

static struct index_key key_of_span(const struct link_data *link)
{
    struct index_key key = key_of_trace(link);
    key.start = link->span_id;
    put_u64(key.id.byte, (uint64_t)link->start_ns);
    return key;
}

static struct index_key key_of_record(const struct record *r)
{
    if (r->kind == RECORD_LINK) {
        struct index_key key = {.kind = RECORD_LINK,
                                .project_id = r->link.project_id,
                                .profiler_id = r->link.trace_id,
                                .start = r->link.span_id};
        put_u64(key.id.byte, (uint64_t)r->link.start_ns);
        return key;
    }
    return (struct index_key){.kind = r->kind,
                              .project_id = r->project_id,
                              .profiler_id = r->profiler_id,
                              .id = r->id,
                              .start = r->kind == RECORD_CHUNK ? (uint64_t)r->start_ns : 0};
}

bool record_same_key(const struct record *a, const struct record *b)
{
    struct index_key left = key_of_record(a);
    struct index_key right = key_of_record(b);
    return memcmp(&left, &right, sizeof left) == 0;
}

uint64_t record_key_hash(const struct record *r, uint64_t seed)
{
    struct index_key key = key_of_record(r);
    return hash_bytes(bytes_of(&key, sizeof key), seed);
}

static bool same_key(struct index_key there, const void *key)
{
    return memcmp(&there, key, sizeof there) == 0;
}

/* ---- what the tables ask ---- */

static bool row_equals(const void *self, uint32_t id, const void *key)
{
    return same_key(key_of_row(self, index_row(self, id)), key);
}

static bool ids_equal(const void *self, uint32_t id, const void *key)
{
    return same_key(key_of_ids(self, index_row(self, id)), key);
}

static bool run_equals(const void *self, uint32_t id, const void *key)
{
    return same_key(index_run_key(index_run(self, id)), key);
}

static bool span_equals(const void *self, uint32_t id, const void *key)
{
    return same_key(key_of_span(index_link(self, id)), key);
}

static bool trace_equals(const void *self, uint32_t id, const void *key)
{
    return same_key(key_of_trace(index_link(self, id)), key);
}

static uint64_t hash_source(const struct log_index *ix, const struct row_source *source)
{
    return hash_bytes(bytes_of(source, sizeof *source), ix->hash_seed);
}

static bool source_equals(const void *self, uint32_t id, const void *key)
{
    return memcmp(index_source(self, id), key, sizeof(struct row_source)) == 0;
}

static bool hide_equals(const void *self, uint32_t id, const void *key)
{
    const struct hide_data *hide = index_hide(self, id);
    const struct hide_key *wanted = key;
    return hide->part == wanted->part && hide->id == wanted->id && hide->link == wanted->link;
}

/* ---- create, destroy ---- */

static void init_parts(struct log_index *ix)
{
    stable_array_init(&ix->rows, sizeof(struct row_data));
    stable_array_init(&ix->extras, sizeof(struct row_extra));
    stable_array_init(&ix->links, sizeof(struct link_data));
    stable_array_init(&ix->runs, sizeof(struct run_slot));
    stable_array_init(&ix->sources, sizeof(struct row_source));
    stable_array_init(&ix->hides, sizeof(struct hide_data));
    id_table_init(&ix->by_key, ix, row_equals);
    id_table_init(&ix->by_id, ix, ids_equal);
    id_table_init(&ix->by_run, ix, run_equals);
    id_table_init(&ix->by_span, ix, span_equals);
    id_table_init(&ix->by_trace, ix, trace_equals);
    id_table_init(&ix->by_source, ix, source_equals);
    id_table_init(&ix->by_hidden, ix, hide_equals);
}

enum err log_index_create(struct mem_budget *budget, struct log_index **ret)
{
    struct log_index *ix = mem_zalloc(sizeof *ix);
    if (ix == NULL)
        return ERR_NOMEM;
    ix->hash_seed = hash_seed();
    ix->generation = 1;
    mem_account_init(&ix->account, budget, SIZE_MAX);
    mem_account_init(&ix->waiting_account, budget, SIZE_MAX);
    init_parts(ix);
    enum err rc = text_pool_init(&ix->texts, ix->hash_seed);
    if (rc == ERR_OK && pthread_mutex_init(&ix->lock, NULL) != 0)
        rc = ERR_NOMEM;
    if (rc != ERR_OK) {
        text_pool_close(&ix->texts);
        mem_free(ix);
        return rc;
    }
    *ret = ix;
    return ERR_OK;
}

void log_index_destroy(struct log_index *ix)
{
    if (ix == NULL)
        return;
    assert(ix->oldest == NULL);
    for (uint32_t i = 0; i < ix->run_count; i++)
        run_close(&index_run(ix, i)->run);
    while (ix->spares != NULL) {
        struct run_piece *spare = ix->spares;
        ix->spares = spare->next;
        mem_free(spare);
    }
    retired_close(&ix->retired);
    retired_close(&ix->waiting);
    id_table_close(&ix->by_key);
    id_table_close(&ix->by_id);
    id_table_close(&ix->by_run);
    id_table_close(&ix->by_span);
    id_table_close(&ix->by_trace);
    id_table_close(&ix->by_source);
    id_table_close(&ix->by_hidden);
    text_pool_close(&ix->texts);
    stable_array_close(&ix->rows);
    stable_array_close(&ix->extras);
    stable_array_close(&ix->links);
    stable_array_close(&ix->runs);
    stable_array_close(&ix->sources);
    stable_array_close(&ix->hides);
    (void)pthread_mutex_destroy(&ix->lock);
    mem_account_close(&ix->account);
    mem_account_close(&ix->waiting_account);
    mem_free(ix);
}

void log_index_set_limit(struct log_index *ix, size_t bytes_max)
{
    ix->account.max = bytes_max;
}

/* ---- reserving ---- */

static enum err reserve_row_tables(struct log_index *ix, size_t rows)
{
    if (rows == 0)
        return ERR_OK;
    TRY(id_table_reserve(&ix->by_key, rows, &ix->retired, ix->generation));
    TRY(id_table_reserve(&ix->by_id, rows, &ix->retired, ix->generation));
    return id_table_reserve(&ix->by_source, rows, &ix->retired, ix->generation);
}

static enum err reserve_link_tables(struct log_index *ix, size_t links)
{
    if (links == 0)
        return ERR_OK;
    TRY(id_table_reserve(&ix->by_span, links, &ix->retired, ix->generation));
    return id_table_reserve(&ix->by_trace, links, &ix->retired, ix->generation);
}

static enum err reserve_tables(struct log_index *ix, size_t rows, size_t links)
{
    TRY(retired_reserve(&ix->retired, TABLES_A_RESERVE));
    TRY(id_table_reserve(&ix->by_run, rows + links, &ix->retired, ix->generation));
    TRY(reserve_row_tables(ix, rows));
    return reserve_link_tables(ix, links);
}

static enum err reserve_spares(struct log_index *ix, size_t count)
{
    while (ix->spare_count < count) {
        struct run_piece *spare = run_piece_create(1);
        if (spare == NULL)
            return ERR_NOMEM;
        spare->next = ix->spares;
        ix->spares = spare;
        ix->spare_count++;
    }
    return retired_reserve(&ix->retired, count * RUN_MERGE_MAX);
}

/* Pages of the arrays that no item was put into were never touched: they are not in use. */
static size_t bytes_of_index(const struct log_index *ix)
{
    return ix->row_count * ix->rows.item_size + ix->extra_count * ix->extras.item_size +
           ix->link_count * ix->links.item_size + ix->run_count * ix->runs.item_size +
           ix->source_count * ix->sources.item_size + ix->hide_count * ix->hides.item_size +
           id_table_bytes(&ix->by_hidden) + text_pool_bytes(&ix->texts) +
           id_table_bytes(&ix->by_key) + id_table_bytes(&ix->by_id) + id_table_bytes(&ix->by_run) +
           id_table_bytes(&ix->by_span) + id_table_bytes(&ix->by_trace) +
           id_table_bytes(&ix->by_source) + (size_t)ix->run_bytes +
           ix->spare_count * run_piece_bytes(1);
}

/* Give back what was reserved and not needed. More in use than held cannot be, or is too late. */
static void settle_account(struct log_index *ix)
{
    size_t used = bytes_of_index(ix) + ix->retired.bytes;
    if (ix->account.held > used)
        mem_account_release(&ix->account, ix->account.held - used);
    else
        (void)!mem_account_reserve(&ix->account, used - ix->account.held);
}

/* Either kind has as many. */
static_assert((int)TEXT_COUNT == (int)LINK_TEXT_COUNT, "texts of a record");

static const struct bytes *texts_of(const struct record *r, struct bytes of_link[LINK_TEXT_COUNT])
{
    if (r->kind != RECORD_LINK)
        return r->text;
    record_get_link_texts(&r->link, of_link);
    return of_link;
}

static size_t growth_of_texts(const struct log_index *ix, const struct record *records,
                              size_t count)
{
    size_t fresh = 0;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        struct bytes of_link[LINK_TEXT_COUNT];
        const struct bytes *texts = texts_of(&records[i], of_link);
        for (size_t k = 0; k < TEXT_COUNT; k++) {
            if (text_pool_find(&ix->texts, texts[k]) != ID_NONE)
                continue;
            fresh++;
            size += texts[k].len;
        }
    }
    return fresh == 0 ? 0 : text_pool_growth(&ix->texts, fresh, size);
}

/* What these records add at most, merging of runs apart. */
static size_t growth(const struct log_index *ix, const struct record *records, size_t count,
                     size_t links, size_t extras)
{
    size_t rows = count - links;
    size_t bytes = rows * (ix->rows.item_size + ix->sources.item_size) +
                   extras * ix->extras.item_size + links * ix->links.item_size +
                   count * (ix->runs.item_size + run_piece_bytes(1)) +
                   id_table_growth(&ix->by_run, count) + growth_of_texts(ix, records, count);
    if (rows > 0)
        bytes += id_table_growth(&ix->by_key, rows) + id_table_growth(&ix->by_id, rows) +
                 id_table_growth(&ix->by_source, rows);
    if (links > 0)
        bytes += id_table_growth(&ix->by_span, links) + id_table_growth(&ix->by_trace, links);
    return bytes;
}

static enum err reserve_record_texts(struct log_index *ix, const struct record *r)
{
    struct bytes of_link[LINK_TEXT_COUNT];
    const struct bytes *texts = texts_of(r, of_link);
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        TRY(retired_reserve(&ix->retired, 1));
        TRY(text_pool_add(&ix->texts, texts[i], &ix->retired, ix->generation));
    }
    return ERR_OK;
}

/* Room to hide rows of other parts. */
static enum err reserve_hides(struct log_index *ix, size_t count)
{
    if (count == 0)
        return ERR_OK;
    TRY(retired_reserve(&ix->retired, 1));
    TRY(stable_array_reserve(&ix->hides, ix->hide_count + count));
    return id_table_reserve(&ix->by_hidden, count, &ix->retired, ix->generation);
}

/* What records come to. */
struct record_counts {
    size_t all;
    size_t rows;
    size_t links;
    size_t extras;
};

static struct record_counts count_records(const struct record *records, size_t count)
{
    struct record_counts c = {.all = count};
    for (size_t i = 0; i < count; i++) {
        c.links += records[i].kind == RECORD_LINK;
        c.extras += records[i].kind == RECORD_TRANSACTION;
    }
    c.rows = count - c.links;
    return c;
}

static enum err reserve_arrays(struct log_index *ix, const struct record_counts *c)
{
    if (c->rows >= ID_NONE - ix->row_count || c->links >= ID_NONE - ix->link_count)
        return ERR_LIMIT;
    TRY(stable_array_reserve(&ix->rows, ix->row_count + c->rows));
    TRY(stable_array_reserve(&ix->sources, ix->source_count + c->rows));
    TRY(stable_array_reserve(&ix->extras, ix->extra_count + c->extras));
    TRY(stable_array_reserve(&ix->links, ix->link_count + c->links));
    return stable_array_reserve(&ix->runs, ix->run_count + c->all);
}

enum err log_index_reserve(struct log_index *ix, const struct record *records, size_t count,
                           size_t hide_count)
{
    struct record_counts c = count_records(records, count);
    settle_account(ix);
    size_t wanted = growth(ix, records, count, c.links, c.extras);
    if (hide_count > 0)
        wanted += hide_count * ix->hides.item_size + id_table_growth(&ix->by_hidden, hide_count);
    if (mem_account_reserve(&ix->account, wanted) != ERR_OK)
        return ERR_BUSY;
    TRY(reserve_hides(ix, hide_count));
    for (size_t i = 0; i < count; i++)
        TRY(reserve_record_texts(ix, &records[i]));
    TRY(reserve_arrays(ix, &c));
    TRY(reserve_tables(ix, c.rows, c.links));
    return reserve_spares(ix, count);
}

enum err log_index_reserve_carried(struct log_index *ix, size_t count)
{
    size_t limit = ix->account.max;
    ix->account.max = SIZE_MAX;
    enum err rc = log_index_reserve(ix, NULL, 0, count);
    ix->account.max = limit;
    return rc;
}

/* ---- adding ---- */

static uint32_t text_id(const struct log_index *ix, struct bytes text)
{
    uint32_t id = text_pool_find(&ix->texts, text);
    assert(id != ID_NONE); /* reserved */
    return id;
}

static uint32_t add_source(struct log_index *ix, const struct record *r)
{
    struct row_source source = {.organization_id = r->organization_id,
                                .project_id = r->project_id,
                                .retention_days = r->retention_days};
    for (size_t i = 0; i < TEXT_TRANSACTION; i++)
        source.text[i] = text_id(ix, r->text[i]);
    uint64_t hash = hash_source(ix, &source);
    uint32_t id = id_table_find(&ix->by_source, hash, &source);
    if (id != ID_NONE)
        return id;
    id = (uint32_t)ix->source_count++;
    *index_source(ix, id) = source;
    id_table_set(&ix->by_source, hash, &source, id);
    return id;
}

static uint32_t add_extra(struct log_index *ix, const struct record *r)
{
    if (r->kind == RECORD_CHUNK)
        return ID_NONE;
    uint32_t id = (uint32_t)ix->extra_count++;
    *index_extra(ix, id) =
        (struct row_extra){.trace_id = r->trace_id,
                           .transaction_id = r->transaction_id,
                           .transaction = text_id(ix, r->text[TEXT_TRANSACTION])};
    return id;
}

static int64_t end_of_row(const void *self, uint32_t id)
{
    return index_row(self, id)->end_ns;
}

static int64_t end_of_link(const void *self, uint32_t id)
{
    return index_link(self, id)->end_ns;
}

static void add_to_run(struct log_index *ix, struct index_key key, struct run_entry entry)
{
    uint64_t hash = index_key_hash(ix, &key);
    uint32_t id = id_table_find(&ix->by_run, hash, &key);
    bool fresh = id == ID_NONE;
    if (fresh) {
        id = (uint32_t)ix->run_count++;
        struct run_slot *slot = index_run(ix, id);
        slot->kind = (enum record_kind)key.kind;
        slot->project_id = key.project_id;
        slot->profiler_id = key.profiler_id;
        atomic_init(&slot->run.newest, NULL);
    }
    struct run_piece *spare = ix->spares;
    struct run_piece *others = spare->next;
    struct run *run = &index_run(ix, id)->run;
    size_t merging = 2 * run_bytes(run) + run_piece_bytes(2);
    struct retired none = {0}; /* no room to retire: pieces stay apart */
    bool may_merge = mem_account_reserve(&ix->account, merging) == ERR_OK;
    size_t retired = ix->retired.bytes;
    ptrdiff_t more = run_add(run, entry, &spare, may_merge ? &ix->retired : &none, ix->generation,
                             ix, key.kind == RECORD_LINK ? end_of_link : end_of_row);
    ix->run_bytes += more;
    retired = ix->retired.bytes - retired;
    if (may_merge && more + (ptrdiff_t)retired < (ptrdiff_t)merging)
        mem_account_release(&ix->account, (size_t)((ptrdiff_t)merging - more - (ptrdiff_t)retired));
    if (spare == NULL) {
        ix->spares = others;
        ix->spare_count--;
    }
    if (fresh)
        id_table_set(&ix->by_run, hash, &key, id);
}

static void fill_row(struct log_index *ix, const struct record *r, struct log_place place,
                     struct row_data *row)
{
    *row = (struct row_data){.id = r->id,
                             .profiler_id = r->profiler_id,
                             .content = r->content,
                             .start_ns = r->start_ns,
                             .end_ns = r->end_ns,
                             .received_ns = r->received_ns,
                             .place = place,
                             .source = add_source(ix, r),
                             .extra = add_extra(ix, r),
                             .sample_count = r->sample_count,
                             .thread_count = r->thread_count};
    atomic_init(&row->replaced_by, ID_NONE);
    atomic_init(&row->damaged, false);
}

static bool add_row(struct log_index *ix, const struct record *r, struct log_place place)
{
    uint32_t id = (uint32_t)ix->row_count++;
    struct row_data *row = index_row(ix, id);
    fill_row(ix, r, place, row);

    struct index_key ids = key_of_ids(ix, row);
    uint64_t hash = index_key_hash(ix, &ids);
    row->older = id_table_find(&ix->by_id, hash, &ids);
    id_table_set(&ix->by_id, hash, &ids, id);

    struct index_key key = key_of_row(ix, row);
    hash = index_key_hash(ix, &key);
    uint32_t replaced = id_table_find(&ix->by_key, hash, &key);
    id_table_set(&ix->by_key, hash, &key, id);
    if (replaced != ID_NONE) {
        atomic_store_explicit(&index_row(ix, replaced)->replaced_by, id, memory_order_relaxed);
        ix->replaced_rows++;
    }
    struct run_entry entry = {row->start_ns, row->end_ns, id};
    add_to_run(ix, key_of_run(ids.kind, ids.project_id, ids.profiler_id), entry);
    return replaced != ID_NONE;
}

static void fill_link(const struct log_index *ix, const struct record *r, struct link_data *to)
{
    const struct link *link = &r->link;
    struct bytes texts[LINK_TEXT_COUNT];
    *to = (struct link_data){.project_id = link->project_id,
                             .profiler_id = link->profiler_id,
                             .trace_id = link->trace_id,
                             .transaction_id = link->transaction_id,
                             .content = r->content,
                             .span_id = link->span_id,
                             .parent_span_id = link->parent_span_id,
                             .start_ns = link->start_ns,
                             .end_ns = link->end_ns,
                             .is_segment = link->is_segment};
    record_get_link_texts(link, texts);
    for (size_t i = 0; i < LINK_TEXT_COUNT; i++)
        to->text[i] = text_id(ix, texts[i]);
    atomic_init(&to->replaced_by, ID_NONE);
}

static bool add_link(struct log_index *ix, const struct record *r)
{
    uint32_t id = (uint32_t)ix->link_count++;
    struct link_data *link = index_link(ix, id);
    fill_link(ix, r, link);

    struct index_key trace = key_of_trace(link);
    uint64_t hash = index_key_hash(ix, &trace);
    link->older = id_table_find(&ix->by_trace, hash, &trace);
    id_table_set(&ix->by_trace, hash, &trace, id);

    struct index_key span = key_of_span(link);
    hash = index_key_hash(ix, &span);
    uint32_t replaced = id_table_find(&ix->by_span, hash, &span);
    id_table_set(&ix->by_span, hash, &span, id);
    if (replaced != ID_NONE) {
        atomic_store_explicit(&index_link(ix, replaced)->replaced_by, id, memory_order_relaxed);
        ix->replaced_links++;
    }
    struct run_entry entry = {link->start_ns, link->end_ns, id};
    add_to_run(ix, key_of_run(RECORD_LINK, link->project_id, (struct uuid){0}), entry);
    return replaced != ID_NONE;
}

bool log_index_add(struct log_index *ix, const struct record *record, struct log_place place)
{
    return record->kind == RECORD_LINK ? add_link(ix, record) : add_row(ix, record, place);
}

static bool is_damaged(const struct log_index *ix, uint32_t row)
{
    return atomic_load_explicit(&index_row(ix, row)->damaged, memory_order_relaxed);
}

static uint32_t find_row(const struct log_index *ix, const struct record *record)
{
    struct index_key key = key_of_record(record);
    return id_table_find(&ix->by_key, index_key_hash(ix, &key), &key);
}

void log_index_add_damaged(struct log_index *ix, const struct record *record,
                           struct log_place place)
{
    assert(record->kind != RECORD_LINK); /* links have no block */
    uint32_t older = find_row(ix, record);
    if (older != ID_NONE && !is_damaged(ix, older))
        return;
    uint32_t id = (uint32_t)ix->row_count;
    (void)add_row(ix, record, place);
    atomic_store_explicit(&index_row(ix, id)->damaged, true, memory_order_relaxed);
}

uint32_t log_index_find(const struct log_index *ix, const struct record *record)
{
    if (record->kind != RECORD_LINK)
        return find_row(ix, record);
    struct index_key key = key_of_record(record);
    return id_table_find(&ix->by_span, index_key_hash(ix, &key), &key);
}

bool log_index_find_content(const struct log_index *ix, const struct record *record,
                            struct hash128 *ret)
{
    uint32_t id = log_index_find(ix, record);
    if (id == ID_NONE || (record->kind != RECORD_LINK && is_damaged(ix, id)))
        return false;
    *ret = record->kind == RECORD_LINK ? index_link(ix, id)->content : index_row(ix, id)->content;
    return true;
}

size_t log_index_row_count(const struct log_index *ix)
{
    return ix->row_count;
}

size_t log_index_link_count(const struct log_index *ix)
{
    return ix->link_count;
}

size_t log_index_hide_count(const struct log_index *ix)
{
    return ix->hide_count;
}

/* ---- rows of other parts ---- */

static void put_hide(struct log_index *ix, const struct hide_data *hide)
{
    struct hide_key key = {.part = hide->part, .id = hide->id, .link = hide->link};
    uint32_t at = (uint32_t)ix->hide_count++;
    *index_hide(ix, at) = *hide;
    id_table_set(&ix->by_hidden, index_hide_hash(ix, &key), &key, at);
}

void log_index_hide(struct log_index *ix, uint32_t part, uint32_t id, bool link, uint32_t by)
{
    put_hide(ix, &(struct hide_data){.part = part, .id = id, .link = link, .by = by});
    ix->hidden_rows += !link;
    ix->hidden_links += link;
}

void log_index_carry_hidden(struct log_index *ix, size_t at, uint32_t part, uint32_t id)
{
    struct hide_data hide = *index_hide(ix, (uint32_t)at);
    hide.part = part;
    hide.id = id;
    put_hide(ix, &hide);
}

void log_index_forget_hidden(struct log_index *ix, size_t rows, size_t links)
{
    ix->hidden_rows -= rows;
    ix->hidden_links -= links;
}

struct log_hidden log_index_hidden(const struct log_index *ix, size_t at)
{
    const struct hide_data *hide = index_hide(ix, (uint32_t)at);
    return (struct log_hidden){hide->part, hide->id, hide->link != 0, hide->by};
}

/* ---- publishing ---- */

/* From the writer to those who still look at it; without memory for the list it waits for the next
 * publish. Under the lock. */
static void hand_over_retired(struct log_index *ix)
{
    size_t bytes = ix->retired.bytes;
    if (!retired_move(&ix->retired, &ix->waiting))
        return;
    if (bytes > ix->account.held)
        bytes = ix->account.held;
    mem_account_move(&ix->account, &ix->waiting_account, bytes);
}

/* What no pin can reach any more, for retired_free_list. Under the lock. */
static void *take_dead(struct log_index *ix)
{
    uint64_t oldest = ix->oldest == NULL ? ix->generation : ix->oldest->generation;
    void *dead = retired_take_before(&ix->waiting, oldest);
    struct mem_account *account = &ix->waiting_account;
    if (account->held > ix->waiting.bytes)
        mem_account_release(account, account->held - ix->waiting.bytes);
    return dead;
}

void log_index_publish(struct log_index *ix)
{
    struct log_index_stats stats = {.rows = ix->row_count - ix->replaced_rows,
                                    .links = ix->link_count - ix->replaced_links,
                                    .replaced = ix->replaced_rows + ix->replaced_links,
                                    .hidden = ix->hidden_rows + ix->hidden_links,
                                    .hidden_rows = ix->hidden_rows,
                                    .bytes = bytes_of_index(ix)};
    (void)pthread_mutex_lock(&ix->lock);
    ix->published_rows = (uint32_t)ix->row_count;
    ix->published_links = (uint32_t)ix->link_count;
    ix->published_runs = (uint32_t)ix->run_count;
    ix->published_hides = (uint32_t)ix->hide_count;
    ix->stats = stats;
    ix->generation++;
    hand_over_retired(ix);
    void *dead = take_dead(ix);
    (void)pthread_mutex_unlock(&ix->lock);
    retired_free_list(dead);
    settle_account(ix);
}

void log_index_get_stats(struct log_index *ix, struct log_index_stats *ret)
{
    (void)pthread_mutex_lock(&ix->lock);
    *ret = ix->stats;
    (void)pthread_mutex_unlock(&ix->lock);
}

/* ---- pins ---- */

void log_index_pin(struct log_index *ix, struct log_pin *pin)
{
    (void)pthread_mutex_lock(&ix->lock);
    *pin = (struct log_pin){.index = ix,
                            .generation = ix->generation,
                            .row_count = ix->published_rows,
                            .link_count = ix->published_links,
                            .run_count = ix->published_runs,
                            .hide_count = ix->published_hides,
                            .older = ix->newest};
    if (ix->newest == NULL)
        ix->oldest = pin;
    else
        ix->newest->newer = pin;
    ix->newest = pin;
    (void)pthread_mutex_unlock(&ix->lock);
}

void log_index_unpin(struct log_pin *pin)
{
    struct log_index *ix = pin->index;
    if (ix == NULL)
        return;
    (void)pthread_mutex_lock(&ix->lock);
    if (pin->older == NULL)
        ix->oldest = pin->newer;
    else
        pin->older->newer = pin->newer;
    if (pin->newer == NULL)
        ix->newest = pin->older;
    else
        pin->newer->older = pin->older;
    void *dead = take_dead(ix);
    (void)pthread_mutex_unlock(&ix->lock);
    retired_free_list(dead);
    pin->index = NULL;
}
