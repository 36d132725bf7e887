#include "storage/segment_rows.h"

#include <assert.h>
#include <inttypes.h>

#include "storage/segment_rows_parts.h"

/* ---- spans: what rows and links are searched by ---- */

enum err rows_load_span(const struct rows_spans *s, uint32_t at, int64_t *ret_start_ns,
                        int64_t *ret_end_ns)
{
    uint64_t start;
    uint64_t duration;
    TRY(rows_load(s->start, at, &start));
    TRY(rows_load(s->duration, at, &duration));
    *ret_start_ns = rows_of_bits(start);
    *ret_end_ns = (int64_t)((uint64_t)*ret_start_ns + duration);
    return ERR_OK;
}

enum err rows_load_max_end(const struct rows_spans *s, uint32_t at, int64_t *ret)
{
    uint32_t back;
    int64_t start_ns;
    TRY(rows_load_up_to(s->back, at, at, &back));
    return rows_load_span(s, at - back, &start_ns, ret);
}

/* The first of [low, high) that starts behind end_ns. */
static enum err first_behind(const struct rows_spans *s, uint32_t low, uint32_t high,
                             int64_t end_ns, uint32_t *ret)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t start;
        TRY(rows_load(s->start, middle, &start));
        if (rows_of_bits(start) <= end_ns)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return ERR_OK;
}

/* The first of [low, high) up to which something ends at start_ns or later. What meets a range is
 * mostly few of many, and near `high`: steps that double find about where, halves find it. */
static enum err first_reaching(const struct rows_spans *s, uint32_t low, uint32_t high,
                               int64_t start_ns, uint32_t *ret)
{
    int64_t max_end_ns;
    for (uint64_t step = 1; high - low > step; step *= 2) {
        uint32_t at = high - (uint32_t)step;
        TRY(rows_load_max_end(s, at, &max_end_ns));
        if (max_end_ns < start_ns) {
            low = at + 1;
            break;
        }
        high = at;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        TRY(rows_load_max_end(s, middle, &max_end_ns));
        if (max_end_ns < start_ns)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return ERR_OK;
}

enum err rows_find_span(const struct rows_spans *s, uint32_t first, uint32_t end, int64_t start_ns,
                        int64_t end_ns, uint32_t *ret_from, uint32_t *ret_end)
{
    uint32_t behind;
    TRY(first_behind(s, first, end, end_ns, &behind));
    TRY(first_reaching(s, first, behind, start_ns, ret_from));
    *ret_end = behind;
    return ERR_OK;
}

/* ---- firsts ---- */

enum err rows_load_first(const struct packed *firsts, uint32_t at, uint32_t step, uint32_t max,
                         uint32_t *ret)
{
    uint64_t value;
    TRY(rows_load(firsts, at, &value));
    if (value > max || (uint64_t)at * step > max - value)
        return ERR_CORRUPT;
    *ret = (uint32_t)value + at * step;
    return ERR_OK;
}

enum err rows_find_owner(const struct packed *firsts, uint32_t step, uint32_t count, uint32_t item,
                         uint32_t *ret)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t first;
        TRY(rows_load_first(firsts, middle, step, UINT32_MAX, &first));
        if (first <= item)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return ERR_CORRUPT;
    *ret = low - 1;
    return ERR_OK;
}

/* ---- opening ---- */

struct column {
    enum format_section kind;
    size_t count;
    struct packed *to;
};

static enum err open_columns(const struct segment_file *f, const struct column *columns,
                             size_t count, struct errinfo *info)
{
    for (size_t i = 0; i < count; i++)
        TRY(packed_open(f, columns[i].kind, columns[i].count, columns[i].to, info));
    return ERR_OK;
}

static enum err open_row_columns(struct segment_rows *r, struct errinfo *info)
{
    size_t rows = r->row_count;
    const struct column columns[] = {
        {SECTION_ROW_START, rows, &r->row_start},
        {SECTION_ROW_DURATION, rows, &r->row_duration},
        {SECTION_ROW_BACK, rows, &r->row_back},
        {SECTION_ROW_RECEIVED, rows, &r->row_received},
        {SECTION_ROW_ARRIVAL, rows, &r->row_arrival},
        {SECTION_ROW_SAMPLES, rows, &r->row_samples},
        {SECTION_ROW_THREADS, rows, &r->row_threads},
        {SECTION_ROW_SOURCE, rows, &r->row_source},
        {SECTION_ROW_FLAGS, rows, &r->row_flags},
        {SECTION_ROW_BLOCK_END, rows, &r->row_block_end},
    };
    TRY(sixteens_open(r->file, SECTION_ROW_ID, rows, &r->row_id, info));
    TRY(sixteens_open(r->file, SECTION_ROW_CONTENT, rows, &r->row_content, info));
    return open_columns(r->file, columns, sizeof columns / sizeof *columns, info);
}

static enum err open_transactions(struct segment_rows *r, struct errinfo *info)
{
    const struct segment_file *f = r->file;
    uint32_t count = r->counts.transactions;
    TRY(sixteens_open(f, SECTION_TRANSACTION_TRACE, count, &r->transaction_trace, info));
    TRY(sixteens_open(f, SECTION_TRANSACTION_EVENT, count, &r->transaction_event, info));
    TRY(packed_open(f, SECTION_TRANSACTION_NAME, count, &r->transaction_name, info));
    return slots_open(f, SECTION_TRANSACTION_SLOTS, count, &r->transaction_slots, info);
}

static enum err open_runs(struct segment_rows *r, struct errinfo *info)
{
    const struct segment_file *f = r->file;
    uint32_t count = r->counts.runs;
    TRY(packed_open(f, SECTION_RUN_PROJECT, count, &r->run_project, info));
    TRY(sixteens_open(f, SECTION_RUN_PROFILER, r->counts.chunk_runs, &r->run_profiler, info));
    TRY(packed_open(f, SECTION_RUN_FIRST, count, &r->run_first, info));
    return slots_open(f, SECTION_RUN_SLOTS, count, &r->run_slots, info);
}

static enum err open_section(const struct segment_file *f, enum format_section kind,
                             struct segment_section *ret, struct errinfo *info)
{
    if (segment_file_section(f, kind, ret))
        return ERR_OK;
    return err_set(info, ERR_CORRUPT, "rows: section %d is missing", (int)kind);
}

static enum err open_sources(struct segment_rows *r, struct errinfo *info)
{
    size_t sources = r->counts.sources;
    const struct column columns[] = {
        {SECTION_SOURCE_ORGANIZATION, sources, &r->source_organization},
        {SECTION_SOURCE_PROJECT, sources, &r->source_project},
        {SECTION_SOURCE_RETENTION, sources, &r->source_retention},
        {SECTION_SOURCE_TEXT, sources * SOURCE_TEXT_COUNT, &r->source_text},
        {SECTION_TAG_END, r->counts.tags, &r->tag_end},
    };
    TRY(open_section(r->file, SECTION_TAG_BYTES, &r->tag_bytes, info));
    if (r->counts.tags > r->tag_bytes.size + 1) /* one of them is empty */
        return err_set(info, ERR_CORRUPT, "rows: %u tags in %" PRIu64 " bytes", r->counts.tags,
                       r->tag_bytes.size);
    return open_columns(r->file, columns, sizeof columns / sizeof *columns, info);
}

static enum err open_links(struct segment_rows *r, struct errinfo *info)
{
    const struct segment_counts *counts = &r->counts;
    size_t links = counts->links;
    size_t pages = links / FORMAT_LINKS_A_PAGE + (links % FORMAT_LINKS_A_PAGE > 0);
    const struct column columns[] = {
        {SECTION_LINK_SPAN, links, &r->link_span},
        {SECTION_LINK_START, links, &r->link_start},
        {SECTION_LINK_DURATION, links, &r->link_duration},
        {SECTION_LINK_BACK, links, &r->link_back},
        {SECTION_LINK_END, pages, &r->link_end},
        {SECTION_TRACE_FIRST, counts->traces, &r->trace_first},
        {SECTION_TRACE_LINK, links, &r->trace_link},
    };
    TRY(open_section(r->file, SECTION_LINK_PAGES, &r->link_pages, info));
    TRY(sixteens_open(r->file, SECTION_TRACE_ID, counts->traces, &r->trace_id, info));
    TRY(slots_open(r->file, SECTION_TRACE_SLOTS, counts->traces, &r->trace_slots, info));
    return open_columns(r->file, columns, sizeof columns / sizeof *columns, info);
}

static enum err open_projects(struct segment_rows *r, struct errinfo *info)
{
    size_t count = r->counts.projects;
    const struct column columns[] = {
        {SECTION_PROJECT_ID, count, &r->project_id},
        {SECTION_PROJECT_RUN, count + 1, &r->project_run},
        {SECTION_PROJECT_LINK, count + 1, &r->project_link},
    };
    return open_columns(r->file, columns, sizeof columns / sizeof *columns, info);
}

/* So that sums of them fit, and nobody goes through what a column without width says is there. */
static enum err check_counts(const struct segment_counts *c, struct errinfo *info)
{
    if (c->transactions > UINT32_MAX - c->chunks)
        return err_set(info, ERR_CORRUPT,
                       "rows: %u chunks and %u transaction profiles are too many", c->chunks,
                       c->transactions);
    if (c->chunk_runs > c->runs || c->runs - c->chunk_runs > c->transactions ||
        c->chunk_runs > c->chunks)
        return err_set(info, ERR_CORRUPT, "rows: %u runs, %u of chunks, of %u chunks and %u others",
                       c->runs, c->chunk_runs, c->chunks, c->transactions);
    if (c->traces > c->links)
        return err_set(info, ERR_CORRUPT, "rows: %u traces of %u links", c->traces, c->links);
    if (c->projects > (uint64_t)c->runs + c->links)
        return err_set(info, ERR_CORRUPT, "rows: %u projects of %u runs and %u links", c->projects,
                       c->runs, c->links);
    if (c->sources > c->chunks + c->transactions)
        return err_set(info, ERR_CORRUPT, "rows: %u sources of %u rows", c->sources,
                       c->chunks + c->transactions);
    return ERR_OK;
}

static enum err open_parts(struct segment_rows *r, struct errinfo *info)
{
    TRY(check_counts(&r->counts, info));
    r->row_count = r->counts.chunks + r->counts.transactions;
    r->hash_seed = rows_hash_seed(segment_file_id(r->file));
    TRY(open_row_columns(r, info));
    TRY(open_transactions(r, info));
    TRY(open_runs(r, info));
    TRY(open_sources(r, info));
    TRY(open_links(r, info));
    return open_projects(r, info);
}

enum err segment_rows_open(const struct segment_file *f, const struct segment_counts *counts,
                           struct segment_rows **ret, struct errinfo *info)
{
    struct segment_rows *r = mem_zalloc(sizeof *r);
    if (r == NULL)
        return err_set(info, ERR_NOMEM, "rows: no memory to open them");
    r->file = f;
    r->counts = *counts;
    enum err rc = open_parts(r, info);
    if (rc == ERR_OK)
        *ret = r;
    else
        mem_free(r);
    return rc;
}

void segment_rows_close(struct segment_rows *r)
{
    mem_free(r);
}

const struct segment_counts *segment_rows_counts(const struct segment_rows *r)
{
    return &r->counts;
}

/* ---- runs ---- */

/* Rows of run `run`, which has some and does not reach into those of the other kind. */
static enum err load_run(const struct segment_rows *r, uint32_t run, struct segment_run *ret)
{
    bool chunks = run < r->counts.chunk_runs;
    uint32_t end = chunks ? r->counts.chunks : r->row_count;
    TRY(rows_load_first(&r->run_first, run, 1, end, &ret->first));
    ret->end = end;
    if (run + 1 < (chunks ? r->counts.chunk_runs : r->counts.runs))
        TRY(rows_load_first(&r->run_first, run + 1, 1, end, &ret->end));
    if (ret->first >= ret->end || (!chunks && ret->first < r->counts.chunks))
        return ERR_CORRUPT;
    return ERR_OK;
}

static enum err load_profiler(const struct segment_rows *r, uint32_t run, struct uuid *ret)
{
    *ret = (struct uuid){0};
    if (run >= r->counts.chunk_runs)
        return ERR_OK;
    return sixteens_get_uuid(&r->run_profiler, run, ret) ? ERR_OK : ERR_CORRUPT;
}

enum err segment_rows_run(const struct segment_rows *r, uint32_t run, struct segment_run_facts *ret)
{
    if (run >= r->counts.runs)
        return ERR_CORRUPT;
    ret->kind = run < r->counts.chunk_runs ? RECORD_CHUNK : RECORD_TRANSACTION;
    TRY(rows_load(&r->run_project, run, &ret->project_id));
    TRY(load_profiler(r, run, &ret->profiler_id));
    return load_run(r, run, &ret->rows);
}

static enum err is_run(const struct segment_rows *r, uint32_t run, enum record_kind kind,
                       uint64_t project_id, struct uuid profiler_id, bool *ret)
{
    uint64_t project;
    struct uuid profiler;
    *ret = false;
    if ((run < r->counts.chunk_runs) != (kind == RECORD_CHUNK))
        return ERR_OK;
    TRY(rows_load(&r->run_project, run, &project));
    TRY(load_profiler(r, run, &profiler));
    *ret = project == project_id && uuid_equal(profiler, profiler_id);
    return ERR_OK;
}

enum err segment_rows_find_run(const struct segment_rows *r, enum record_kind kind,
                               uint64_t project_id, struct uuid profiler_id,
                               struct segment_run *ret)
{
    uint64_t hash = rows_key_hash(r->hash_seed, kind, project_id, profiler_id);
    struct slots_search search = slots_begin(&r->run_slots, hash);
    bool found = false;
    uint32_t run = 0;
    while (!found) {
        TRY(slots_next(&r->run_slots, &search, &run));
        TRY(is_run(r, run, kind, project_id, profiler_id, &found));
    }
    return load_run(r, run, ret);
}

/* ---- rows ---- */

static struct rows_spans row_spans(const struct segment_rows *r)
{
    return (struct rows_spans){&r->row_start, &r->row_duration, &r->row_back};
}

enum err segment_rows_span(const struct segment_rows *r, uint32_t row, int64_t *ret_start_ns,
                           int64_t *ret_end_ns)
{
    struct rows_spans spans = row_spans(r);
    if (row >= r->row_count)
        return ERR_CORRUPT;
    TRY(rows_load_span(&spans, row, ret_start_ns, ret_end_ns));
    return *ret_end_ns < *ret_start_ns ? ERR_CORRUPT : ERR_OK;
}

enum err segment_rows_max_end(const struct segment_rows *r, uint32_t row, int64_t *ret)
{
    struct rows_spans spans = row_spans(r);
    return row < r->row_count ? rows_load_max_end(&spans, row, ret) : ERR_CORRUPT;
}

enum err segment_rows_find_range(const struct segment_rows *r, struct segment_run run,
                                 int64_t start_ns, int64_t end_ns, uint32_t *ret_from,
                                 uint32_t *ret_end)
{
    struct rows_spans spans = row_spans(r);
    assert(run.first <= run.end && run.end <= r->row_count);
    return rows_find_span(&spans, run.first, run.end, start_ns, end_ns, ret_from, ret_end);
}

static enum err load_uuid(const struct sixteens *s, uint32_t at, struct uuid *ret)
{
    return sixteens_get_uuid(s, at, ret) ? ERR_OK : ERR_CORRUPT;
}

static enum err load_tag(const struct segment_rows *r, const struct packed *tags, uint32_t at,
                         uint32_t *ret)
{
    return r->counts.tags == 0 ? ERR_CORRUPT : rows_load_up_to(tags, at, r->counts.tags - 1, ret);
}

static enum err load_source(const struct segment_rows *r, uint32_t row, uint32_t *ret)
{
    if (r->counts.sources == 0)
        return ERR_CORRUPT;
    return rows_load_up_to(&r->row_source, row, r->counts.sources - 1, ret);
}

/* What the columns say of a row; texts are tags. */
struct row_facts {
    enum profile_kind kind;
    uint64_t organization_id;
    uint64_t project_id;
    struct uuid profiler_id;
    struct uuid id;
    int64_t start_ns;
    int64_t end_ns;
    int64_t received_ns;
    uint32_t sample_count;
    uint32_t thread_count;
    uint32_t platform;
    uint32_t environment;
    uint32_t release;
    uint32_t dist;
    uint32_t sdk_name;
    uint32_t sdk_version;
    uint32_t transaction;
    struct uuid trace_id;
    struct uuid transaction_id;
    uint32_t block_size;
};

static enum err get_source(const struct segment_rows *r, uint32_t row, struct row_facts *ret)
{
    uint32_t source;
    uint32_t *const to[SOURCE_TEXT_COUNT] = {
        [TEXT_PLATFORM] = &ret->platform, [TEXT_ENVIRONMENT] = &ret->environment,
        [TEXT_RELEASE] = &ret->release,   [TEXT_DIST] = &ret->dist,
        [TEXT_SDK_NAME] = &ret->sdk_name, [TEXT_SDK_VERSION] = &ret->sdk_version};
    TRY(load_source(r, row, &source));
    TRY(rows_load(&r->source_organization, source, &ret->organization_id));
    TRY(rows_load(&r->source_project, source, &ret->project_id));
    for (uint32_t i = 0; i < SOURCE_TEXT_COUNT; i++)
        TRY(load_tag(r, &r->source_text, source * SOURCE_TEXT_COUNT + i, to[i]));
    return ERR_OK;
}

/* What chunks have and transaction profiles do not, and the other way round. */
static enum err get_kind(const struct segment_rows *r, uint32_t row, struct row_facts *ret)
{
    if (row < r->counts.chunks) {
        uint32_t run;
        ret->kind = PROFILE_CHUNK;
        TRY(rows_find_owner(&r->run_first, 1, r->counts.chunk_runs, row, &run));
        return load_profiler(r, run, &ret->profiler_id);
    }
    uint32_t transaction = row - r->counts.chunks;
    ret->kind = PROFILE_TRANSACTION;
    TRY(load_uuid(&r->transaction_trace, transaction, &ret->trace_id));
    TRY(load_uuid(&r->transaction_event, transaction, &ret->transaction_id));
    return load_tag(r, &r->transaction_name, transaction, &ret->transaction);
}

static enum err get_times(const struct segment_rows *r, uint32_t row, struct row_facts *ret)
{
    uint64_t received;
    TRY(segment_rows_span(r, row, &ret->start_ns, &ret->end_ns));
    TRY(rows_load(&r->row_received, row, &received));
    ret->received_ns = (int64_t)((uint64_t)rows_of_bits(received) + (uint64_t)ret->end_ns);
    return ERR_OK;
}

/* Where the row's block begins and ends. */
static enum err get_block(const struct segment_rows *r, uint32_t row, uint64_t *ret_offset,
                          uint32_t *ret_size)
{
    uint64_t begin = 0;
    uint64_t end;
    if (row > 0)
        TRY(rows_load(&r->row_block_end, row - 1, &begin));
    TRY(rows_load(&r->row_block_end, row, &end));
    if (end < begin || end - begin > UINT32_MAX)
        return ERR_CORRUPT;
    *ret_offset = begin;
    *ret_size = (uint32_t)(end - begin);
    return ERR_OK;
}

static enum err get_facts(const struct segment_rows *r, uint32_t row, struct row_facts *ret)
{
    uint64_t block_offset;
    if (row >= r->row_count)
        return ERR_CORRUPT;
    *ret = (struct row_facts){0};
    TRY(load_uuid(&r->row_id, row, &ret->id));
    TRY(get_kind(r, row, ret));
    TRY(get_times(r, row, ret));
    TRY(rows_load_up_to(&r->row_samples, row, UINT32_MAX, &ret->sample_count));
    TRY(rows_load_up_to(&r->row_threads, row, UINT32_MAX, &ret->thread_count));
    TRY(get_source(r, row, ret));
    return get_block(r, row, &block_offset, &ret->block_size);
}

enum err segment_rows_place(const struct segment_rows *r, uint32_t row,
                            struct segment_row_place *ret)
{
    uint32_t source;
    if (row >= r->row_count)
        return ERR_CORRUPT;
    TRY(get_block(r, row, &ret->block_offset, &ret->block_size));
    TRY(rows_load_up_to(&r->row_flags, row, UINT32_MAX, &ret->flags));
    TRY(load_source(r, row, &source));
    TRY(rows_load_up_to(&r->source_retention, source, UINT32_MAX, &ret->retention_days));
    TRY(rows_load(&r->row_arrival, row, &ret->arrival));
    return sixteens_get_hash(&r->row_content, row, &ret->content) ? ERR_OK : ERR_CORRUPT;
}

static enum err get_record_texts(const struct segment_rows *r, const struct row_facts *row,
                                 struct record *ret)
{
    const uint32_t tags[TEXT_COUNT] = {
        [TEXT_PLATFORM] = row->platform,      [TEXT_ENVIRONMENT] = row->environment,
        [TEXT_RELEASE] = row->release,        [TEXT_DIST] = row->dist,
        [TEXT_SDK_NAME] = row->sdk_name,      [TEXT_SDK_VERSION] = row->sdk_version,
        [TEXT_TRANSACTION] = row->transaction};
    for (size_t i = 0; i < TEXT_COUNT; i++)
        TRY(segment_rows_tag(r, tags[i], &ret->text[i]));
    return ERR_OK;
}

enum err segment_rows_record(const struct segment_rows *r, uint32_t row, struct record *ret)
{
    struct row_facts facts;
    struct segment_row_place place;
    TRY(get_facts(r, row, &facts));
    TRY(segment_rows_place(r, row, &place));
    *ret = (struct record){
        .kind = (enum record_kind)facts.kind,
        .content = place.content,
        .organization_id = facts.organization_id,
        .project_id = facts.project_id,
        .retention_days = place.retention_days,
        .received_ns = facts.received_ns,
        .profiler_id = facts.profiler_id,
        .id = facts.id,
        .trace_id = facts.trace_id,
        .transaction_id = facts.transaction_id,
        .start_ns = facts.start_ns,
        .end_ns = facts.end_ns,
        .sample_count = facts.sample_count,
        .thread_count = facts.thread_count,
        .block_size = facts.block_size,
    };
    return get_record_texts(r, &facts, ret);
}

/* ---- tags ---- */

enum err segment_rows_row_tag(const struct segment_rows *r, uint32_t row, enum record_text text,
                              uint32_t *ret)
{
    uint32_t source;
    if (row >= r->row_count)
        return ERR_CORRUPT;
    if (text == TEXT_TRANSACTION && row < r->counts.chunks) {
        *ret = 0;
        return ERR_OK;
    }
    if (text == TEXT_TRANSACTION)
        return load_tag(r, &r->transaction_name, row - r->counts.chunks, ret);
    TRY(load_source(r, row, &source));
    return load_tag(r, &r->source_text, source * SOURCE_TEXT_COUNT + (uint32_t)text, ret);
}

enum err segment_rows_tag(const struct segment_rows *r, uint32_t tag, struct bytes *ret)
{
    uint64_t begin = 0;
    uint64_t end;
    if (tag >= r->counts.tags)
        return ERR_CORRUPT;
    if (tag > 0)
        TRY(rows_load(&r->tag_end, tag - 1, &begin));
    TRY(rows_load(&r->tag_end, tag, &end));
    if (begin > end || end > r->tag_bytes.size)
        return ERR_CORRUPT;
    const uint8_t *at = segment_file_at(r->file, r->tag_bytes.offset + begin, end - begin);
    if (at == NULL)
        return ERR_CORRUPT;
    *ret = bytes_of(at, end - begin);
    return ERR_OK;
}

enum err segment_rows_find_tag(const struct segment_rows *r, struct bytes text, uint32_t *ret)
{
    uint32_t low = 0;
    uint32_t high = r->counts.tags;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct bytes there;
        TRY(segment_rows_tag(r, middle, &there));
        int order = bytes_compare(there, text);
        if (order == 0) {
            *ret = middle;
            return ERR_OK;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return ERR_NOTFOUND;
}

/* ---- by id ---- */

/* How many ids stand together in one piece of the file from `at` on, as far as `end`. */
static uint32_t ids_in_piece(const struct sixteens *ids, uint32_t at, uint32_t end)
{
    uint64_t offset = ids->offset + (uint64_t)at * sizeof(struct uuid);
    uint64_t left = FORMAT_SEGMENT_PIECE_SIZE - offset % FORMAT_SEGMENT_PIECE_SIZE;
    uint64_t whole = left / sizeof(struct uuid);
    uint32_t wanted = end - at;
    if (whole == 0) /* it straddles two pieces */
        whole = 1;
    return whole < wanted ? (uint32_t)whole : wanted;
}

enum err segment_rows_next_with_id(const struct segment_rows *r, struct segment_run run,
                                   struct uuid id, uint32_t *at, uint32_t *ret)
{
    assert(*at >= run.first && run.end <= r->row_count);
    for (uint32_t row = *at; row < run.end;) {
        uint32_t count = ids_in_piece(&r->row_id, row, run.end);
        uint64_t offset = r->row_id.offset + (uint64_t)row * sizeof id.byte;
        const uint8_t *ids = segment_file_at(r->file, offset, count * sizeof id.byte);
        if (ids == NULL)
            return ERR_CORRUPT;
        for (uint32_t end = row + count; row < end; row++, ids += sizeof id.byte) {
            if (memcmp(ids, id.byte, sizeof id.byte) != 0)
                continue;
            *ret = row;
            *at = row + 1;
            return ERR_OK;
        }
    }
    return ERR_NOTFOUND;
}

/* Whether row `row`, a transaction profile, is that one. */
static enum err is_profile(const struct segment_rows *r, uint32_t row, uint64_t project_id,
                           struct uuid profile_id, bool *ret)
{
    uint32_t source;
    uint64_t project;
    struct uuid id;
    *ret = false;
    TRY(load_uuid(&r->row_id, row, &id));
    if (!uuid_equal(id, profile_id))
        return ERR_OK;
    TRY(load_source(r, row, &source));
    TRY(rows_load(&r->source_project, source, &project));
    *ret = project == project_id;
    return ERR_OK;
}

enum err segment_rows_find_profile(const struct segment_rows *r, uint64_t project_id,
                                   struct uuid profile_id, uint32_t *ret)
{
    uint64_t hash = rows_key_hash(r->hash_seed, RECORD_TRANSACTION, project_id, profile_id);
    struct slots_search search = slots_begin(&r->transaction_slots, hash);
    bool found = false;
    uint32_t transaction = 0;
    while (!found) {
        TRY(slots_next(&r->transaction_slots, &search, &transaction));
        TRY(is_profile(r, r->counts.chunks + transaction, project_id, profile_id, &found));
    }
    *ret = r->counts.chunks + transaction;
    return ERR_OK;
}

/* Rows of a run ascend by start, then id. */
static enum err compare_row(const struct segment_rows *r, uint32_t row, int64_t start_ns,
                            struct uuid id, int *ret)
{
    uint64_t bits;
    struct uuid there;
    TRY(rows_load(&r->row_start, row, &bits));
    int64_t start = rows_of_bits(bits);
    *ret = (start > start_ns) - (start < start_ns);
    if (*ret != 0)
        return ERR_OK;
    TRY(load_uuid(&r->row_id, row, &there));
    *ret = uuid_compare(there, id);
    return ERR_OK;
}

enum err segment_rows_find_key(const struct segment_rows *r, const struct record *key,
                               uint32_t *ret)
{
    struct segment_run run;
    assert(key->kind != RECORD_LINK);
    if (key->kind == RECORD_TRANSACTION)
        return segment_rows_find_profile(r, key->project_id, key->id, ret);
    TRY(segment_rows_find_run(r, key->kind, key->project_id, key->profiler_id, &run));
    while (run.first < run.end) {
        uint32_t middle = run.first + (run.end - run.first) / 2;
        int order;
        TRY(compare_row(r, middle, key->start_ns, key->id, &order));
        if (order == 0) {
            *ret = middle;
            return ERR_OK;
        }
        if (order < 0)
            run.first = middle + 1;
        else
            run.end = middle;
    }
    return ERR_NOTFOUND;
}

/* ---- projects ---- */

/* What of `count` items a project has: from its first to that of the next one. */
static enum err load_share(const struct packed *firsts, uint32_t project, uint32_t count,
                           uint32_t *ret_first, uint32_t *ret_end)
{
    TRY(rows_load_first(firsts, project, 0, count, ret_first));
    TRY(rows_load_first(firsts, project + 1, 0, count, ret_end));
    return *ret_first <= *ret_end ? ERR_OK : ERR_CORRUPT;
}

enum err segment_rows_project(const struct segment_rows *r, uint32_t project,
                              struct segment_project *ret)
{
    if (project >= r->counts.projects)
        return ERR_CORRUPT;
    TRY(rows_load(&r->project_id, project, &ret->project_id));
    TRY(load_share(&r->project_run, project, r->counts.chunk_runs, &ret->run_first, &ret->run_end));
    return load_share(&r->project_link, project, r->counts.links, &ret->link_first, &ret->link_end);
}

enum err segment_rows_find_project(const struct segment_rows *r, uint64_t project_id,
                                   struct segment_project *ret)
{
    uint32_t low = 0;
    uint32_t high = r->counts.projects;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t there;
        TRY(rows_load(&r->project_id, middle, &there));
        if (there == project_id)
            return segment_rows_project(r, middle, ret);
        if (there < project_id)
            low = middle + 1;
        else
            high = middle;
    }
    return ERR_NOTFOUND;
}
