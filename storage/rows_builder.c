#include <assert.h>
#include <inttypes.h>

#include "base/intern.h"
#include "base/limits.h"
#include "base/sort.h"
#include "storage/link_page.h"
#include "storage/links_builder.h"
#include "storage/segment_rows.h"
#include "storage/segment_rows_parts.h"

struct built_row {
    struct uuid id;
    struct hash128 content;
    int64_t start_ns;
    int64_t end_ns;
    int64_t received_ns;
    uint64_t arrival;
    uint64_t block_end;
    uint32_t source;
    uint32_t sample_count;
    uint32_t thread_count;
    uint32_t flags;
};

struct built_transaction {
    struct uuid trace_id;
    struct uuid transaction_id;
    uint32_t name;
};

struct built_run {
    uint64_t project_id;
    struct uuid profiler_id;
    uint32_t first;
};

/* What many rows agree in. No padding: told apart by its bytes. */
struct built_source {
    uint64_t organization_id;
    uint64_t project_id;
    uint32_t retention_days;
    uint32_t text[SOURCE_TEXT_COUNT];
    uint32_t zero;
};

static_assert(sizeof(struct built_source) == 2 * 8 + (2 + SOURCE_TEXT_COUNT) * 4, "no padding");

struct rows_builder {
    struct mem_account *account;
    struct counted_array rows;
    struct counted_array transactions;
    struct counted_array runs;
    struct intern tags;
    struct intern sources; /* struct built_source; number 0 is none of them */
    struct links_builder links;
    struct buffer tag_ranks; /* u32, of each tag its number on disk; after writing */
    uint32_t chunk_count;
    uint32_t chunk_run_count;
    struct record last; /* the key of the last row */
};

enum err rows_builder_create(struct mem_account *account, struct rows_builder **ret)
{
    struct rows_builder *b = mem_zalloc(sizeof *b);
    if (b == NULL)
        return ERR_NOMEM;
    b->account = account;
    counted_array_init(&b->rows, sizeof(struct built_row), account);
    counted_array_init(&b->transactions, sizeof(struct built_transaction), account);
    counted_array_init(&b->runs, sizeof(struct built_run), account);
    intern_init(&b->tags, SIZE_MAX, account);
    intern_init(&b->sources, SIZE_MAX, account);
    links_builder_init(&b->links, account);
    buffer_init(&b->tag_ranks, SIZE_MAX, account);
    *ret = b;
    return ERR_OK;
}

void rows_builder_destroy(struct rows_builder *b)
{
    if (b == NULL)
        return;
    counted_array_close(&b->rows);
    counted_array_close(&b->transactions);
    counted_array_close(&b->runs);
    intern_close(&b->tags);
    intern_close(&b->sources);
    links_builder_close(&b->links);
    buffer_close(&b->tag_ranks);
    mem_free(b);
}

static size_t intern_bytes(const struct intern *in)
{
    return in->text.capacity + in->offsets.capacity + in->slots.capacity;
}

size_t rows_builder_bytes(const struct rows_builder *b)
{
    return sizeof *b + counted_array_bytes(&b->rows) + counted_array_bytes(&b->transactions) +
           counted_array_bytes(&b->runs) + intern_bytes(&b->tags) + intern_bytes(&b->sources) +
           links_builder_bytes(&b->links) + b->tag_ranks.capacity;
}

size_t rows_builder_row_count(const struct rows_builder *b)
{
    return b->rows.count;
}

uint32_t rows_builder_chunk_count(const struct rows_builder *b)
{
    return b->chunk_count;
}

static struct built_row *row_at(const struct rows_builder *b, uint32_t at)
{
    return counted_array_at(&b->rows, at);
}

static struct built_transaction *transaction_at(const struct rows_builder *b, uint32_t at)
{
    return counted_array_at(&b->transactions, at);
}

static struct built_run *run_at(const struct rows_builder *b, uint32_t at)
{
    return counted_array_at(&b->runs, at);
}

/* Its memory is the intern's, aligned for nothing. */
static struct built_source source_at(const struct rows_builder *b, uint32_t at)
{
    struct built_source source;
    struct bytes bytes = intern_get(&b->sources, at + 1);
    assert(bytes.len == sizeof source);
    memcpy(&source, bytes.data, sizeof source);
    return source;
}

uint32_t rows_builder_tag(const struct rows_builder *b, uint32_t row, enum record_text text)
{
    const uint32_t *rank = (const uint32_t *)(const void *)b->tag_ranks.data;
    assert(rank != NULL);
    if (text != TEXT_TRANSACTION)
        return rank[source_at(b, row_at(b, row)->source).text[text]];
    return row < b->chunk_count ? 0 : rank[transaction_at(b, row - b->chunk_count)->name];
}

/* ---- adding ---- */

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_runs(const struct record *a, const struct record *b)
{
    int order = compare_u64(a->kind, b->kind);
    if (order == 0)
        order = compare_u64(a->project_id, b->project_id);
    return order == 0 ? uuid_compare(a->profiler_id, b->profiler_id) : order;
}

int record_compare(const struct record *a, const struct record *b)
{
    int order = compare_runs(a, b);
    if (order == 0)
        order = (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
    return order == 0 ? uuid_compare(a->id, b->id) : order;
}

static enum err refuse(const struct record *r, const char *expected, struct errinfo *info)
{
    char id[UUID_TEXT_SIZE + 1];
    uuid_print(r->id, id);
    return err_set(info, ERR_CORRUPT, "rows: %s %s of project %" PRIu64 ": expected %s",
                   r->kind == RECORD_CHUNK ? "chunk" : "transaction profile", id, r->project_id,
                   expected);
}

static enum err check_row(const struct rows_builder *b, const struct record *r,
                          struct errinfo *info)
{
    if (r->kind != RECORD_CHUNK && r->kind != RECORD_TRANSACTION)
        return err_set(info, ERR_CORRUPT, "rows: a record of kind %d: expected a profile",
                       (int)r->kind);
    if (r->end_ns < r->start_ns)
        return refuse(r, "an end that is not before its start", info);
    if (r->kind == RECORD_TRANSACTION && !uuid_is_nil(r->profiler_id))
        return refuse(r, "no profiler", info);
    if (b->rows.count > 0 && record_compare(&b->last, r) >= 0)
        return refuse(r, "to come behind the row before it, by project, profiler, start and id",
                      info);
    return ERR_OK;
}

static bool is_new_run(const struct rows_builder *b, const struct record *r)
{
    return b->rows.count == 0 || compare_runs(&b->last, r) != 0;
}

static enum err reserve_row(struct rows_builder *b, const struct record *r)
{
    TRY(counted_array_reserve(&b->rows));
    if (is_new_run(b, r))
        TRY(counted_array_reserve(&b->runs));
    if (r->kind == RECORD_TRANSACTION)
        TRY(counted_array_reserve(&b->transactions));
    return ERR_OK;
}

static enum err add_source(struct rows_builder *b, const struct record *r, uint32_t *ret)
{
    struct built_source source = {.organization_id = r->organization_id,
                                  .project_id = r->project_id,
                                  .retention_days = r->retention_days};
    uint32_t id;
    for (size_t i = 0; i < SOURCE_TEXT_COUNT; i++)
        TRY(intern_add(&b->tags, r->text[i], &source.text[i]));
    TRY(intern_add(&b->sources, bytes_of(&source, sizeof source), &id));
    *ret = id - 1;
    return ERR_OK;
}

static void add_run(struct rows_builder *b, const struct record *r)
{
    struct built_run *run = counted_array_add(&b->runs);
    *run = (struct built_run){r->project_id, r->profiler_id, b->rows.count};
    b->chunk_run_count += r->kind == RECORD_CHUNK;
}

static void add_transaction(struct rows_builder *b, const struct record *r, uint32_t name)
{
    struct built_transaction *transaction = counted_array_add(&b->transactions);
    *transaction = (struct built_transaction){r->trace_id, r->transaction_id, name};
}

static void add_row(struct rows_builder *b, const struct record *r, struct built_row row)
{
    if (is_new_run(b, r))
        add_run(b, r);
    *(struct built_row *)counted_array_add(&b->rows) = row;
    b->chunk_count += r->kind == RECORD_CHUNK;
    b->last = (struct record){.kind = r->kind,
                              .project_id = r->project_id,
                              .profiler_id = r->profiler_id,
                              .start_ns = r->start_ns,
                              .id = r->id};
}

enum err rows_builder_add(struct rows_builder *b, const struct record *r, uint64_t arrival,
                          uint64_t block_end, uint32_t flags, struct errinfo *info)
{
    uint64_t block_begin = b->rows.count == 0 ? 0 : row_at(b, b->rows.count - 1)->block_end;
    uint32_t name = 0;
    struct built_row row = {.id = r->id,
                            .content = r->content,
                            .start_ns = r->start_ns,
                            .end_ns = r->end_ns,
                            .received_ns = r->received_ns,
                            .arrival = arrival,
                            .block_end = block_end,
                            .sample_count = r->sample_count,
                            .thread_count = r->thread_count,
                            .flags = flags};
    assert(block_end >= block_begin && block_end - block_begin <= UINT32_MAX);
    TRY(check_row(b, r, info));
    enum err rc = reserve_row(b, r);
    if (rc == ERR_OK && r->kind == RECORD_TRANSACTION)
        rc = intern_add(&b->tags, r->text[TEXT_TRANSACTION], &name);
    if (rc == ERR_OK) /* last: there is no source without a row */
        rc = add_source(b, r, &row.source);
    if (rc != ERR_OK)
        return err_set(info, rc, "rows: no room for more than %" PRIu32, b->rows.count);
    add_row(b, r, row);
    if (r->kind == RECORD_TRANSACTION)
        add_transaction(b, r, name);
    return ERR_OK;
}

enum err rows_builder_add_link(struct rows_builder *b, struct tables_builder *tables,
                               const struct link *link, struct hash128 content, uint64_t arrival,
                               struct errinfo *info)
{
    return links_builder_add(&b->links, tables, link, content, arrival, info);
}

/* ---- writing ---- */

/* What is made while it is written. */
struct rows_writer {
    const struct rows_builder *b;
    struct segment_file_writer *file;
    uint64_t hash_seed;
    uint32_t *tag_order;    /* tag on disk -> of the builder */
    uint32_t *tag_rank;     /* tag of the builder -> on disk; the builder keeps it */
    struct buffer tags;     /* memory of the first */
    struct buffer projects; /* struct segment_project */
    struct buffer column;   /* uint64_t, one column after another */
    uint32_t source_count;
};

struct column {
    enum format_section kind;
    uint64_t (*value)(const struct rows_writer *x, uint32_t at);
};

/* Room for a column; NULL: x->column.failed. */
static uint64_t *begin_column(struct rows_writer *x, size_t count)
{
    buffer_clear(&x->column);
    return buffer_extend(&x->column, count * sizeof(uint64_t));
}

static enum err put_column(struct rows_writer *x, struct column column, size_t count)
{
    uint64_t *values = begin_column(x, count);
    if (values == NULL)
        return x->column.failed;
    for (uint32_t i = 0; i < count; i++)
        values[i] = column.value(x, i);
    packed_put(x->file, column.kind, values, 1, count);
    return ERR_OK;
}

static enum err put_columns(struct rows_writer *x, const struct column *columns,
                            size_t column_count, size_t count)
{
    for (size_t i = 0; i < column_count; i++)
        TRY(put_column(x, columns[i], count));
    return ERR_OK;
}

#define PUT_COLUMNS(x, columns, count) \
    put_columns((x), (columns), sizeof(columns) / sizeof(*(columns)), (count))

static uint64_t row_start(const struct rows_writer *x, uint32_t at)
{
    return rows_bits_of(row_at(x->b, at)->start_ns);
}

static uint64_t row_duration(const struct rows_writer *x, uint32_t at)
{
    const struct built_row *row = row_at(x->b, at);
    return (uint64_t)row->end_ns - (uint64_t)row->start_ns;
}

/* Most come some seconds after they end. The difference wraps, so that any two times do. */
static uint64_t row_received(const struct rows_writer *x, uint32_t at)
{
    const struct built_row *row = row_at(x->b, at);
    return rows_bits_of((int64_t)((uint64_t)row->received_ns - (uint64_t)row->end_ns));
}

static uint64_t row_arrival(const struct rows_writer *x, uint32_t at)
{
    return row_at(x->b, at)->arrival;
}

static uint64_t row_samples(const struct rows_writer *x, uint32_t at)
{
    return row_at(x->b, at)->sample_count;
}

static uint64_t row_threads(const struct rows_writer *x, uint32_t at)
{
    return row_at(x->b, at)->thread_count;
}

static uint64_t row_source(const struct rows_writer *x, uint32_t at)
{
    return row_at(x->b, at)->source;
}

static uint64_t row_flags(const struct rows_writer *x, uint32_t at)
{
    return row_at(x->b, at)->flags;
}

static uint64_t row_block_end(const struct rows_writer *x, uint32_t at)
{
    return row_at(x->b, at)->block_end;
}

/* How many rows before it the largest end of its run up to it is. */
static enum err put_back(struct rows_writer *x)
{
    const struct rows_builder *b = x->b;
    uint64_t *values = begin_column(x, b->rows.count);
    if (values == NULL)
        return x->column.failed;
    for (uint32_t run = 0; run < b->runs.count; run++) {
        uint32_t furthest = run_at(b, run)->first;
        uint32_t end = run + 1 < b->runs.count ? run_at(b, run + 1)->first : b->rows.count;
        for (uint32_t at = furthest; at < end; at++) {
            if (row_at(b, at)->end_ns >= row_at(b, furthest)->end_ns)
                furthest = at;
            values[at] = at - furthest;
        }
    }
    packed_put(x->file, SECTION_ROW_BACK, values, 1, b->rows.count);
    return ERR_OK;
}

static enum err write_rows(struct rows_writer *x)
{
    static const struct column columns[] = {
        {SECTION_ROW_START, row_start},         {SECTION_ROW_DURATION, row_duration},
        {SECTION_ROW_RECEIVED, row_received},   {SECTION_ROW_ARRIVAL, row_arrival},
        {SECTION_ROW_SAMPLES, row_samples},     {SECTION_ROW_THREADS, row_threads},
        {SECTION_ROW_SOURCE, row_source},       {SECTION_ROW_FLAGS, row_flags},
        {SECTION_ROW_BLOCK_END, row_block_end},
    };
    uint32_t count = x->b->rows.count;
    segment_file_begin(x->file, SECTION_ROW_ID);
    for (uint32_t i = 0; i < count; i++)
        sixteens_put_uuid(x->file, row_at(x->b, i)->id);
    segment_file_begin(x->file, SECTION_ROW_CONTENT);
    for (uint32_t i = 0; i < count; i++)
        sixteens_put_hash(x->file, row_at(x->b, i)->content);
    TRY(put_back(x));
    return PUT_COLUMNS(x, columns, count);
}

/* ---- transaction profiles ---- */

static uint64_t transaction_name(const struct rows_writer *x, uint32_t at)
{
    return x->tag_rank[transaction_at(x->b, at)->name];
}

/* Of a row that is a transaction profile. */
static uint64_t project_of(const struct rows_writer *x, uint32_t transaction)
{
    return source_at(x->b, row_at(x->b, x->b->chunk_count + transaction)->source).project_id;
}

static struct uuid profile_id(const struct rows_writer *x, uint32_t transaction)
{
    return row_at(x->b, x->b->chunk_count + transaction)->id;
}

/* Rows are told apart by their starts too, transaction profiles are not. */
static enum err check_profile(const struct rows_writer *x, const struct slots_builder *slots,
                              uint64_t hash, uint32_t transaction, struct errinfo *info)
{
    struct slots_search search = slots_builder_begin(slots, hash);
    uint32_t other;
    while (slots_builder_next(slots, &search, &other)) {
        if (!uuid_equal(profile_id(x, other), profile_id(x, transaction)) ||
            project_of(x, other) != project_of(x, transaction))
            continue;
        char id[UUID_TEXT_SIZE + 1];
        uuid_print(profile_id(x, other), id);
        return err_set(info, ERR_CORRUPT,
                       "rows: two transaction profiles %s of project %" PRIu64 ": expected one", id,
                       project_of(x, other));
    }
    return ERR_OK;
}

static enum err fill_transaction_slots(const struct rows_writer *x, struct slots_builder *slots,
                                       struct errinfo *info)
{
    for (uint32_t i = 0; i < x->b->transactions.count; i++) {
        uint64_t hash =
            rows_key_hash(x->hash_seed, RECORD_TRANSACTION, project_of(x, i), profile_id(x, i));
        TRY(check_profile(x, slots, hash, i, info));
        slots_builder_add(slots, hash, i);
    }
    return ERR_OK;
}

static enum err write_transactions(struct rows_writer *x, struct errinfo *info)
{
    const struct column name = {SECTION_TRANSACTION_NAME, transaction_name};
    uint32_t count = x->b->transactions.count;
    struct slots_builder slots;
    segment_file_begin(x->file, SECTION_TRANSACTION_TRACE);
    for (uint32_t i = 0; i < count; i++)
        sixteens_put_uuid(x->file, transaction_at(x->b, i)->trace_id);
    segment_file_begin(x->file, SECTION_TRANSACTION_EVENT);
    for (uint32_t i = 0; i < count; i++)
        sixteens_put_uuid(x->file, transaction_at(x->b, i)->transaction_id);
    TRY(put_column(x, name, count));
    enum err rc = slots_builder_init(&slots, count, count, x->b->account);
    if (rc == ERR_OK)
        rc = fill_transaction_slots(x, &slots, info);
    if (rc == ERR_OK)
        slots_builder_write(&slots, x->file, SECTION_TRANSACTION_SLOTS);
    slots_builder_close(&slots);
    return rc;
}

/* ---- runs ---- */

static uint64_t run_project(const struct rows_writer *x, uint32_t at)
{
    return run_at(x->b, at)->project_id;
}

/* Less its own number: runs of one row each take no room. */
static uint64_t run_first(const struct rows_writer *x, uint32_t at)
{
    return run_at(x->b, at)->first - at;
}

static enum err write_run_slots(const struct rows_writer *x)
{
    uint32_t count = x->b->runs.count;
    struct slots_builder slots;
    enum err rc = slots_builder_init(&slots, count, count, x->b->account);
    for (uint32_t i = 0; i < count && rc == ERR_OK; i++) {
        const struct built_run *run = run_at(x->b, i);
        enum record_kind kind = i < x->b->chunk_run_count ? RECORD_CHUNK : RECORD_TRANSACTION;
        uint64_t hash = rows_key_hash(x->hash_seed, kind, run->project_id, run->profiler_id);
        slots_builder_add(&slots, hash, i);
    }
    if (rc == ERR_OK)
        slots_builder_write(&slots, x->file, SECTION_RUN_SLOTS);
    slots_builder_close(&slots);
    return rc;
}

static enum err write_runs(struct rows_writer *x)
{
    const struct column project = {SECTION_RUN_PROJECT, run_project};
    const struct column first = {SECTION_RUN_FIRST, run_first};
    TRY(put_column(x, project, x->b->runs.count));
    segment_file_begin(x->file, SECTION_RUN_PROFILER);
    for (uint32_t i = 0; i < x->b->chunk_run_count; i++)
        sixteens_put_uuid(x->file, run_at(x->b, i)->profiler_id);
    TRY(put_column(x, first, x->b->runs.count));
    return write_run_slots(x);
}

static int compare_run_to(const struct built_run *run, uint64_t project_id, struct uuid profiler_id)
{
    int order = compare_u64(run->project_id, project_id);
    return order == 0 ? uuid_compare(run->profiler_id, profiler_id) : order;
}

static uint32_t find_run(const void *self, uint64_t project_id, struct uuid profiler_id)
{
    const struct rows_builder *b = self;
    uint32_t low = 0;
    uint32_t high = b->chunk_run_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_run_to(run_at(b, middle), project_id, profiler_id);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return LINK_ITEM_NO_RUN;
}

/* ---- sources and tags ---- */

static uint64_t source_organization(const struct rows_writer *x, uint32_t at)
{
    return source_at(x->b, at).organization_id;
}

static uint64_t source_project(const struct rows_writer *x, uint32_t at)
{
    return source_at(x->b, at).project_id;
}

static uint64_t source_retention(const struct rows_writer *x, uint32_t at)
{
    return source_at(x->b, at).retention_days;
}

static uint64_t source_text(const struct rows_writer *x, uint32_t at)
{
    return x->tag_rank[source_at(x->b, at / SOURCE_TEXT_COUNT).text[at % SOURCE_TEXT_COUNT]];
}

static uint64_t tag_length(const struct rows_writer *x, uint32_t at)
{
    return intern_get(&x->b->tags, x->tag_order[at]).len;
}

/* Called for one tag after another: each goes on from the one before. */
static uint64_t tag_end(const struct rows_writer *x, uint32_t at)
{
    const uint64_t *column = (const uint64_t *)(const void *)x->column.data;
    return (at == 0 ? 0 : column[at - 1]) + tag_length(x, at);
}

static int compare_tags(const void *left, const void *right, void *context)
{
    const struct intern *tags = context;
    return bytes_compare(intern_get(tags, *(const uint32_t *)left),
                         intern_get(tags, *(const uint32_t *)right));
}

static enum err sort_tags(struct rows_writer *x, struct buffer *ranks)
{
    struct intern tags = x->b->tags; /* borrowed */
    size_t count = tags.count;
    buffer_clear(ranks);
    x->tag_order = buffer_extend(&x->tags, count * sizeof *x->tag_order);
    x->tag_rank = buffer_extend(ranks, count * sizeof *x->tag_rank);
    if (x->tag_order == NULL || x->tag_rank == NULL)
        return x->tag_order == NULL ? x->tags.failed : ranks->failed;
    for (uint32_t i = 0; i < count; i++)
        x->tag_order[i] = i;
    TRY(sort_array(x->b->account, x->tag_order, count, sizeof *x->tag_order, compare_tags, &tags));
    for (uint32_t i = 0; i < count; i++)
        x->tag_rank[x->tag_order[i]] = i;
    return ERR_OK;
}

static enum err write_sources(struct rows_writer *x)
{
    static const struct column columns[] = {
        {SECTION_SOURCE_ORGANIZATION, source_organization},
        {SECTION_SOURCE_PROJECT, source_project},
        {SECTION_SOURCE_RETENTION, source_retention},
    };
    const struct column texts = {SECTION_SOURCE_TEXT, source_text};
    const struct column ends = {SECTION_TAG_END, tag_end};
    size_t tag_count = x->b->tags.count;
    TRY(PUT_COLUMNS(x, columns, x->source_count));
    TRY(put_column(x, texts, (size_t)x->source_count * SOURCE_TEXT_COUNT));
    segment_file_begin(x->file, SECTION_TAG_BYTES);
    for (size_t i = 0; i < tag_count; i++)
        segment_file_put(x->file, intern_get(&x->b->tags, x->tag_order[i]));
    return put_column(x, ends, tag_count);
}

/* ---- projects ---- */

static uint64_t next_project(const struct rows_builder *b, uint32_t run, uint32_t other_run,
                             uint32_t link)
{
    uint64_t least = UINT64_MAX;
    if (run < b->chunk_run_count)
        least = run_at(b, run)->project_id;
    if (other_run < b->runs.count && run_at(b, other_run)->project_id < least)
        least = run_at(b, other_run)->project_id;
    if (link < b->links.links.count && links_builder_project(&b->links, link) < least)
        least = links_builder_project(&b->links, link);
    return least;
}

/* Runs of chunks, those of transaction profiles and links ascend by project, each by itself. */
static enum err gather_projects(struct rows_writer *x)
{
    const struct rows_builder *b = x->b;
    uint32_t run = 0;
    uint32_t other_run = b->chunk_run_count;
    uint32_t link = 0;
    while (run < b->chunk_run_count || other_run < b->runs.count || link < b->links.links.count) {
        struct segment_project p = {.project_id = next_project(b, run, other_run, link),
                                    .run_first = run,
                                    .link_first = link};
        while (run < b->chunk_run_count && run_at(b, run)->project_id == p.project_id)
            run++;
        while (other_run < b->runs.count && run_at(b, other_run)->project_id == p.project_id)
            other_run++;
        while (link < b->links.links.count &&
               links_builder_project(&b->links, link) == p.project_id)
            link++;
        buffer_put(&x->projects, bytes_of(&p, sizeof p));
    }
    return x->projects.failed;
}

static uint32_t project_count(const struct rows_writer *x)
{
    return (uint32_t)(x->projects.len / sizeof(struct segment_project));
}

static const struct segment_project *project_at(const struct rows_writer *x, uint32_t at)
{
    return (const struct segment_project *)(const void *)x->projects.data + at;
}

static uint64_t project_id(const struct rows_writer *x, uint32_t at)
{
    return project_at(x, at)->project_id;
}

static uint64_t project_run(const struct rows_writer *x, uint32_t at)
{
    return at < project_count(x) ? project_at(x, at)->run_first : x->b->chunk_run_count;
}

static uint64_t project_link(const struct rows_writer *x, uint32_t at)
{
    return at < project_count(x) ? project_at(x, at)->link_first : x->b->links.links.count;
}

static enum err write_projects(struct rows_writer *x)
{
    const struct column id = {SECTION_PROJECT_ID, project_id};
    const struct column run = {SECTION_PROJECT_RUN, project_run};
    const struct column link = {SECTION_PROJECT_LINK, project_link};
    TRY(gather_projects(x));
    TRY(put_column(x, id, project_count(x)));
    TRY(put_column(x, run, (size_t)project_count(x) + 1));
    return put_column(x, link, (size_t)project_count(x) + 1);
}

/* ---- all of it ---- */

static struct segment_counts counts_of(const struct rows_writer *x)
{
    const struct rows_builder *b = x->b;
    return (struct segment_counts){
        .chunks = b->chunk_count,
        .transactions = b->transactions.count,
        .links = b->links.links.count,
        .traces = b->links.trace_count,
        .runs = b->runs.count,
        .chunk_runs = b->chunk_run_count,
        .sources = x->source_count,
        .tags = (uint32_t)b->tags.count,
        .projects = project_count(x),
    };
}

static enum err write_all(struct rows_writer *x, struct errinfo *info)
{
    struct run_finder runs = {x->b, find_run};
    TRY(write_rows(x));
    TRY(write_transactions(x, info));
    TRY(write_runs(x));
    TRY(write_sources(x));
    TRY(links_builder_write(&x->b->links, x->file, x->hash_seed, runs, info));
    return write_projects(x);
}

enum err rows_builder_write(struct rows_builder *b, struct segment_file_writer *w,
                            struct uuid file_id, struct segment_counts *ret_counts,
                            struct errinfo *info)
{
    struct rows_writer x = {.b = b,
                            .file = w,
                            .hash_seed = rows_hash_seed(file_id),
                            .source_count = (uint32_t)b->sources.count - 1};
    TRY(links_builder_sort(&b->links, info));
    buffer_init(&x.tags, SIZE_MAX, b->account);
    buffer_init(&x.projects, SIZE_MAX, b->account);
    buffer_init(&x.column, SIZE_MAX, b->account);
    enum err rc = sort_tags(&x, &b->tag_ranks);
    if (rc == ERR_OK)
        rc = write_all(&x, info);
    if (rc == ERR_OK)
        *ret_counts = counts_of(&x);
    else if (rc != ERR_CORRUPT)
        rc = err_set(info, rc, "rows: no memory to write %" PRIu32 " of them", b->rows.count);
    buffer_close(&x.column);
    buffer_close(&x.projects);
    buffer_close(&x.tags);
    return rc;
}
