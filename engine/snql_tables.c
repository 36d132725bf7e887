/* snql_tables.c - rows of the store as batches of columns: chunks and transaction profiles. */
#include "engine/snql_tables.h"

#include <assert.h>

#include "base/limits.h"
#include "base/sort.h"
#include "engine/json_reader.h"
#include "engine/snql_table_parts.h"

/* ---- which rows ---- */

static int64_t to_ns(int64_t us)
{
    int64_t ns;
    if (__builtin_mul_overflow(us, 1000, &ns))
        return us < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

static enum err add_found(struct snql_store_table *t, const struct row_list *found)
{
    for (size_t i = 0; i < found->count; i++) {
        if (t->rows.count == t->rows.capacity) {
            size_t room = t->rows.capacity == 0 ? 64 : t->rows.capacity * 2;
            row_id *grown = ARENA_ARRAY(t->arena, room, row_id);
            if (grown == NULL)
                return arena_error(t->arena);
            if (t->rows.count > 0)
                memcpy(grown, t->rows.ids, t->rows.count * sizeof(*grown));
            t->rows.ids = grown;
            t->rows.capacity = room;
        }
        t->rows.ids[t->rows.count++] = found->ids[i];
    }
    return ERR_OK;
}

struct range {
    int64_t start_ns;
    int64_t end_ns;
};

static enum err find_profiler(struct snql_store_table *t, uint64_t project, struct uuid profiler,
                              struct range r)
{
    struct row_list found = {0};
    TRY(snapshot_find_chunks(t->snap, project, profiler, r.start_ns, r.end_ns, t->arena, &found));
    return add_found(t, &found);
}

static enum err find_chunks(struct snql_store_table *t, uint64_t project,
                            const struct snql_ids *profilers, struct range r)
{
    if (profilers->values != NULL) {
        for (size_t i = 0; i < profilers->count; i++)
            TRY(find_profiler(t, project, profilers->values[i], r));
        return ERR_OK;
    }
    struct profiler_summary *list;
    size_t count;
    TRY(snapshot_list_profilers(t->snap, project, t->arena, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (list[i].start_ns <= r.end_ns && list[i].end_ns >= r.start_ns)
            TRY(find_profiler(t, project, list[i].profiler_id, r));
    return ERR_OK;
}

static enum err find_profiles(struct snql_store_table *t, uint64_t project, struct range r)
{
    struct row_list found = {0};
    TRY(snapshot_find_profiles(t->snap, project, r.start_ns, r.end_ns, t->arena, &found));
    return add_found(t, &found);
}

/* Times of rows that can lie in the box. What is asked of profiles is when they came, which says
 * nothing about when they were: their ids and projects alone narrow. */
static struct range range_of(const struct snql_store_table *t, const struct snql_box *b)
{
    struct range all = {INT64_MIN, INT64_MAX};
    switch (t->schema->table) {
    case SNQL_PROFILE_CHUNKS:
        return (struct range){b->end.min == INT64_MIN ? to_ns(b->start.min) : to_ns(b->end.min),
                              b->start.max == INT64_MAX ? to_ns(b->end.max) : to_ns(b->start.max)};
    case SNQL_PROFILES: return all;
    case SNQL_FUNCTIONS_RAW:
    case SNQL_FUNCTIONS: {
        /* whole hours, and a second for what was cut off */
        int64_t slack = (int64_t)(SNQL_HOUR_S + 1) * 1000000000;
        int64_t start = to_ns(b->start.min);
        int64_t end = to_ns(b->start.max);
        return (struct range){start < INT64_MIN + slack ? INT64_MIN : start - slack,
                              end > INT64_MAX - slack ? INT64_MAX : end + slack};
    }
    }
    return all;
}

static enum err find_in_project(struct snql_store_table *t, uint64_t project,
                                const struct snql_box *b)
{
    struct range r = range_of(t, b);
    if (r.start_ns > r.end_ns)
        return ERR_OK;
    if (t->schema->table != SNQL_PROFILES)
        TRY(find_chunks(t, project, &b->profilers, r));
    if (t->schema->table != SNQL_PROFILE_CHUNKS)
        TRY(find_profiles(t, project, r));
    return ERR_OK;
}

static int compare_rows(const void *a, const void *b, void *self)
{
    (void)self;
    row_id x = *(const row_id *)a;
    row_id y = *(const row_id *)b;
    return (x > y) - (x < y);
}

/* Rows of all boxes, each once. */
static enum err find_rows(struct snql_store_table *t, const struct snql_plan *plan)
{
    struct project_summary *projects = NULL;
    size_t project_count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct snql_box *b = &plan->boxes[i];
        if (b->projects.values != NULL) {
            for (size_t p = 0; p < b->projects.count; p++)
                TRY(find_in_project(t, b->projects.values[p], b));
            continue;
        }
        if (projects == NULL)
            TRY(snapshot_list_projects(t->snap, t->arena, &projects, &project_count));
        for (size_t p = 0; p < project_count; p++)
            TRY(find_in_project(t, projects[p].project_id, b));
    }
    if (plan->count <= 1 && t->rows.count == 0)
        return ERR_OK;
    TRY(sort_array(t->arena->account, t->rows.ids, t->rows.count, sizeof(row_id), compare_rows,
                   NULL));
    size_t kept = 0;
    for (size_t i = 0; i < t->rows.count; i++)
        if (i == 0 || t->rows.ids[i] != t->rows.ids[i - 1])
            t->rows.ids[kept++] = t->rows.ids[i];
    t->rows.count = kept;
    return ERR_OK;
}

/* ---- cells ---- */

enum err snql_batch_begin(struct snql_table_batch *b, const struct snql_table_schema *schema,
                          const bool *wanted, size_t room, struct arena *arena)
{
    *b =
        (struct snql_table_batch){.arena = arena, .schema = schema, .wanted = wanted, .room = room};
    b->values = ARENA_ARRAY(arena, schema->column_count, void *);
    b->nulls = ARENA_ARRAY(arena, schema->column_count, uint8_t *);
    if (b->values == NULL || b->nulls == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < schema->column_count; i++) {
        size_t width = snql_column_width(schema->columns[i].type);
        b->values[i] = NULL;
        b->nulls[i] = NULL;
        if (!wanted[i] || width == 0)
            continue;
        b->values[i] = arena_array(arena, room + 1, width, 16);
        if (schema->columns[i].type.nullable)
            b->nulls[i] = ARENA_ARRAY(arena, room + 1, uint8_t);
        if (b->values[i] == NULL || (schema->columns[i].type.nullable && b->nulls[i] == NULL))
            return arena_error(arena);
        if (b->nulls[i] != NULL)
            memset(b->nulls[i], 0, room + 1);
    }
    return ERR_OK;
}

size_t snql_batch_column(const struct snql_table_batch *b, const char *name)
{
    size_t at = snql_schema_column(b->schema, bytes_of_text(name));
    assert(at != SIZE_MAX);
    return b->wanted[at] ? at : SIZE_MAX;
}

void snql_put_number(struct snql_table_batch *b, const char *name, uint64_t v)
{
    size_t at = snql_batch_column(b, name);
    if (at != SIZE_MAX)
        ((uint64_t *)b->values[at])[b->rows] = v;
}

void snql_put_text(struct snql_table_batch *b, const char *name, struct bytes v)
{
    size_t at = snql_batch_column(b, name);
    if (at == SIZE_MAX)
        return;
    ((struct bytes *)b->values[at])[b->rows] = v;
    if (b->nulls[at] != NULL)
        b->nulls[at][b->rows] = v.data == NULL;
}

void snql_put_null(struct snql_table_batch *b, const char *name)
{
    size_t at = snql_batch_column(b, name);
    if (at == SIZE_MAX)
        return;
    b->nulls[at][b->rows] = 1;
    ((uint64_t *)b->values[at])[b->rows] = 0;
}

void snql_put_uuid(struct snql_table_batch *b, const char *name, struct uuid v)
{
    size_t at = snql_batch_column(b, name);
    if (at != SIZE_MAX)
        ((struct uuid *)b->values[at])[b->rows] = v;
}

enum err snql_put_id(struct snql_table_batch *b, const char *name, struct uuid v)
{
    size_t at = snql_batch_column(b, name);
    if (at == SIZE_MAX)
        return ERR_OK;
    char *digits = arena_take(b->arena, UUID_TEXT_SIZE + 1, 1);
    if (digits == NULL)
        return arena_error(b->arena);
    uuid_print(v, digits);
    ((struct bytes *)b->values[at])[b->rows] = bytes_of(digits, UUID_TEXT_SIZE);
    return ERR_OK;
}

void snql_batch_end(const struct snql_table_batch *b, struct snql_column *columns)
{
    for (size_t i = 0; i < b->schema->column_count; i++) {
        if (b->values[i] != NULL)
            columns[i] = (struct snql_column){.type = b->schema->columns[i].type,
                                              .rows = b->rows,
                                              .nulls = b->nulls[i],
                                              .state = b->values[i]};
    }
}

/* ---- chunks ---- */

static enum err put_chunk(struct snql_table_batch *b, const struct row *r)
{
    snql_put_number(b, "project_id", r->project_id);
    TRY(snql_put_id(b, "profiler_id", r->profiler_id));
    TRY(snql_put_id(b, "chunk_id", r->id));
    snql_put_number(b, "start_timestamp", snql_microseconds(r->start_ns));
    snql_put_number(b, "end_timestamp", snql_microseconds(r->end_ns));
    snql_put_text(b, "environment", r->environment.len == 0 ? BYTES("") : r->environment);
    snql_put_number(b, "retention_days", r->retention_days);
    snql_put_number(b, "partition", 0);
    snql_put_number(b, "offset", 0);
    return ERR_OK;
}

/* ---- transaction profiles ---- */

/* What only the document says, as JSON texts without their quotes. */
struct device {
    struct bytes architecture;
    struct bytes classification;
    struct bytes locale;
    struct bytes manufacturer;
    struct bytes model;
    struct bytes os_name;
    struct bytes os_version;
    struct bytes os_build;
};

static const char *const document_columns[] = {
    "device_classification", "device_locale",     "device_manufacturer",    "device_model",
    "device_os_name",        "device_os_version", "device_os_build_number", "architecture"};

static bool needs_document(const struct snql_table_batch *b)
{
    for (size_t i = 0; i < sizeof(document_columns) / sizeof(document_columns[0]); i++)
        if (snql_batch_column(b, document_columns[i]) != SIZE_MAX)
            return true;
    return false;
}

/* A string member, its escapes undone; data NULL: there is none. */
static enum err read_member(struct bytes object, const char *key, struct arena *arena,
                            struct bytes *ret)
{
    struct bytes value = object.data == NULL ? object : json_find(object, key);
    *ret = (struct bytes){0};
    if (value.data == NULL || value.data[0] != '"')
        return ERR_OK;
    struct json_reader reader;
    struct buffer scratch;
    buffer_init(&scratch, value.len + 1, arena->account);
    json_reader_init(&reader, value, &scratch, NULL);
    struct bytes text = json_read_string(&reader);
    enum err rc = json_end(&reader);
    if (rc == ERR_OK) {
        *ret = arena_copy(arena, text);
        rc = ret->data == NULL ? arena_error(arena) : ERR_OK;
    }
    buffer_close(&scratch);
    return rc == ERR_MALFORMED ? ERR_OK : rc;
}

static enum err read_device(struct bytes rest, struct arena *arena, struct device *ret)
{
    struct bytes device = json_find(rest, "device");
    struct bytes os = json_find(rest, "os");
    TRY(read_member(device, "architecture", arena, &ret->architecture));
    TRY(read_member(device, "classification", arena, &ret->classification));
    TRY(read_member(device, "locale", arena, &ret->locale));
    TRY(read_member(device, "manufacturer", arena, &ret->manufacturer));
    TRY(read_member(device, "model", arena, &ret->model));
    TRY(read_member(os, "name", arena, &ret->os_name));
    TRY(read_member(os, "version", arena, &ret->os_version));
    return read_member(os, "build_number", arena, &ret->os_build);
}

/* A block that cannot be read says nothing: the columns of its document are empty. */
static enum err load_device(const struct snql_store_table *t, row_id id, struct arena *arena,
                            struct device *ret)
{
    struct arena scratch;
    struct profile p;
    struct errinfo info = {0};
    arena_init(&scratch, SNQL_PROFILE_MEMORY_MAX, arena->account);
    enum err rc = snapshot_read_profile(t->snap, id, &scratch, &p, &info);
    if (rc == ERR_OK)
        rc = read_device(p.rest, arena, ret);
    else if (rc == ERR_CORRUPT || rc == ERR_IO)
        rc = ERR_OK;
    arena_close(&scratch);
    return rc;
}

static struct bytes or_null(struct bytes text)
{
    return text.len == 0 ? (struct bytes){0} : text;
}

static enum err put_profile(const struct snql_store_table *t, struct snql_table_batch *b, row_id id,
                            const struct row *r)
{
    struct device d = {0};
    if (needs_document(b))
        TRY(load_device(t, id, b->arena, &d));
    snql_put_number(b, "organization_id", r->organization_id);
    snql_put_number(b, "project_id", r->project_id);
    TRY(snql_put_id(b, "transaction_id", r->transaction_id));
    TRY(snql_put_id(b, "profile_id", r->id));
    TRY(snql_put_id(b, "trace_id", r->trace_id));
    snql_put_number(b, "received",
                    (uint32_t)(r->received_ns < 0 ? 0 : r->received_ns / 1000000000));
    snql_put_null(b,
                  "android_api_level"); /* of Android's own format, which the store does not hold */
    snql_put_text(b, "device_classification", snql_or_empty(d.classification));
    snql_put_text(b, "device_locale", snql_or_empty(d.locale));
    snql_put_text(b, "device_manufacturer", snql_or_empty(d.manufacturer));
    snql_put_text(b, "device_model", snql_or_empty(d.model));
    snql_put_text(b, "device_os_name", snql_or_empty(d.os_name));
    snql_put_text(b, "device_os_version", snql_or_empty(d.os_version));
    snql_put_text(b, "device_os_build_number", or_null(d.os_build));
    snql_put_text(b, "architecture", d.architecture.len == 0 ? BYTES("unknown") : d.architecture);
    snql_put_text(b, "platform", snql_or_empty(r->platform));
    snql_put_text(b, "transaction_name", snql_or_empty(r->transaction));
    snql_put_text(b, "environment", or_null(r->environment));
    snql_put_number(b, "duration_ns", (uint64_t)r->end_ns - (uint64_t)r->start_ns);
    snql_put_text(b, "version_name", snql_or_empty(r->release));
    snql_put_text(b, "version_code", BYTES(""));
    snql_put_number(b, "retention_days", r->retention_days);
    snql_put_number(b, "partition", 0);
    snql_put_number(b, "offset", 0);
    return ERR_OK;
}

static enum err next_rows(struct snql_store_table *t, struct arena *arena,
                          struct snql_column *columns, size_t *ret_rows)
{
    struct snql_table_batch b;
    size_t left = t->rows.count - t->at;
    TRY(snql_batch_begin(&b, t->schema, t->wanted, left < SNQL_BATCH_ROWS ? left : SNQL_BATCH_ROWS,
                         arena));
    for (; b.rows < b.room; b.rows++) {
        row_id id = t->rows.ids[t->at++];
        struct row r;
        TRY(snapshot_row(t->snap, id, &r));
        if (t->schema->table == SNQL_PROFILE_CHUNKS)
            TRY(put_chunk(&b, &r));
        else
            TRY(put_profile(t, &b, id, &r));
    }
    snql_batch_end(&b, columns);
    *ret_rows = b.rows;
    return ERR_OK;
}

/* ---- as relations ---- */

static enum err table_open(void *self, const bool *wanted, const struct snql_plan *plan,
                           struct snql_error *error)
{
    struct snql_store_table *t = self;
    (void)error;
    t->wanted = wanted;
    return find_rows(t, plan);
}

static enum err table_next(void *self, struct arena *arena, struct snql_column *columns,
                           size_t *ret_rows, struct snql_error *error)
{
    struct snql_store_table *t = self;
    t->error = error;
    switch (t->schema->table) {
    case SNQL_PROFILE_CHUNKS:
    case SNQL_PROFILES: return next_rows(t, arena, columns, ret_rows);
    case SNQL_FUNCTIONS_RAW: return snql_next_raw_functions(t, arena, columns, ret_rows);
    case SNQL_FUNCTIONS: return snql_next_functions(t, arena, columns, ret_rows);
    }
    return ERR_UNSUPPORTED;
}

static enum err make_table(void *self, const struct snql_table_schema *schema,
                           const struct snql_budget *budget, struct arena *arena,
                           struct snql_relation *ret, struct snql_error *error)
{
    struct snql_store_table *t = ARENA_NEW(arena, struct snql_store_table);
    struct snql_relation_column *columns =
        ARENA_ARRAY(arena, schema->column_count, struct snql_relation_column);
    (void)error;
    if (t == NULL || columns == NULL)
        return arena_error(arena);
    *t =
        (struct snql_store_table){.snap = self, .schema = schema, .budget = budget, .arena = arena};
    for (size_t i = 0; i < schema->column_count; i++)
        columns[i] =
            (struct snql_relation_column){schema->columns[i].name, schema->columns[i].type};
    *ret = (struct snql_relation){.self = t,
                                  .column_count = schema->column_count,
                                  .columns = columns,
                                  .open = table_open,
                                  .next = table_next};
    return ERR_OK;
}

struct snql_catalog snql_store_catalog(const struct snapshot *snap)
{
    return (struct snql_catalog){(void *)(uintptr_t)snap, make_table};
}
