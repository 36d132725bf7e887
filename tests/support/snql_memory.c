#include "tests/support/snql_memory.h"

#ifdef HEARTH_HAVE_YYJSON

#include <stdio.h>
#include <stdlib.h>

#include <yyjson.h>

#include "base/limits.h"
#include "engine/snql_aggregate.h"
#include "engine/snql_groups.h"

#define TABLE_COUNT 4

struct memory_table {
    const struct snql_table_schema *schema;
    yyjson_val **rows;
    size_t row_count;
    size_t row_room;
    struct snql_column *columns; /* full ones */
    size_t final_count;
};

struct snql_memory {
    struct arena arena;
    yyjson_doc **docs;
    size_t doc_count;
    struct memory_table tables[TABLE_COUNT];
    size_t batch_rows;
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "snql_memory: %s\n", what);
        abort();
    }
}

static void *take(struct snql_memory *m, size_t count, size_t size)
{
    void *p = arena_array(&m->arena, count + 1, size, 16);
    must(p != NULL, "no memory");
    memset(p, 0, (count + 1) * size);
    return p;
}

struct snql_memory *snql_memory_create(void)
{
    static const char *const names[] = {"profile_chunks", "profiles", "functions_raw", "functions"};
    struct snql_memory *m = mem_alloc(sizeof(*m));
    must(m != NULL, "no memory");
    *m = (struct snql_memory){0};
    arena_init(&m->arena, MIB(512), NULL);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        m->tables[i].schema = snql_schema_find(bytes_of_text(names[i]));
    m->docs = take(m, 20000, sizeof(yyjson_doc *));
    return m;
}

void snql_memory_destroy(struct snql_memory *m)
{
    for (size_t i = 0; i < m->doc_count; i++)
        yyjson_doc_free(m->docs[i]);
    arena_close(&m->arena);
    mem_free(m);
}

void snql_memory_load(struct snql_memory *m, enum snql_table table, struct bytes lines)
{
    struct memory_table *t = &m->tables[table];
    while (lines.len > 0) {
        size_t end = bytes_find_byte(lines, '\n');
        if (end > 0) {
            yyjson_doc *doc = yyjson_read((const char *)lines.data, end, 0);
            must(doc != NULL && m->doc_count < 20000, "a line is no JSON, or there are too many");
            m->docs[m->doc_count++] = doc;
            if (t->row_count == t->row_room) {
                size_t room = t->row_room == 0 ? 1024 : t->row_room * 2;
                yyjson_val **grown = take(m, room, sizeof(*grown));
                if (t->row_count > 0)
                    memcpy(grown, t->rows, t->row_count * sizeof(*grown));
                t->rows = grown;
                t->row_room = room;
            }
            t->rows[t->row_count++] = yyjson_doc_get_root(doc);
        }
        lines = bytes_from(lines, end + 1);
    }
}

/* ---- rows to columns ---- */

static struct bytes text_of(yyjson_val *v)
{
    return bytes_of(yyjson_get_str(v), yyjson_get_len(v));
}

static uint64_t number_of(yyjson_val *v)
{
    return yyjson_is_sint(v) ? (uint64_t)yyjson_get_sint(v) : yyjson_get_uint(v);
}

static void fill_durations(struct snql_memory *m, const struct memory_table *t,
                           struct snql_column *c)
{
    size_t total = 0;
    for (size_t row = 0; row < t->final_count; row++)
        total += yyjson_arr_size(yyjson_obj_get(t->rows[row], "durations"));
    uint32_t *ends = take(m, t->final_count, sizeof(*ends));
    double *values = take(m, total, sizeof(*values));
    struct snql_column *element = take(m, 1, sizeof(*element));
    uint32_t at = 0;
    for (size_t row = 0; row < t->final_count; row++) {
        yyjson_val *list = yyjson_obj_get(t->rows[row], "durations");
        size_t i;
        size_t max;
        yyjson_val *v;
        yyjson_arr_foreach(list, i, max, v) values[at++] = yyjson_get_num(v);
        ends[row] = at;
    }
    *element = (struct snql_column){.type = c->type.elements[0], .rows = total, .f64 = values};
    c->ends = ends;
    c->elements = element;
}

static void fill_column(struct snql_memory *m, const struct memory_table *t,
                        const struct snql_column_schema *schema, struct snql_column *c)
{
    char name[64];
    size_t rows = t->final_count;
    *c = (struct snql_column){.type = schema->type, .rows = rows};
    if (schema->type.kind == SNQL_TYPE_ARRAY) {
        fill_durations(m, t, c);
        return;
    }
    snprintf(name, sizeof(name), "%.*s", (int)schema->name.len, (const char *)schema->name.data);
    uint64_t *numbers = take(m, rows, sizeof(*numbers));
    struct bytes *texts = take(m, rows, sizeof(*texts));
    struct uuid *ids = take(m, rows, sizeof(*ids));
    uint8_t *nulls = take(m, rows, 1);
    bool text = schema->type.kind == SNQL_TYPE_STRING;
    bool any_null = false;
    for (size_t row = 0; row < rows; row++) {
        yyjson_val *v = yyjson_obj_get(t->rows[row], name);
        nulls[row] = v == NULL || yyjson_is_null(v);
        any_null |= nulls[row] != 0;
        if (nulls[row])
            continue;
        if (schema->is_id || schema->type.kind == SNQL_TYPE_UUID)
            must(uuid_parse(text_of(v), &ids[row]), "an id is none");
        if (schema->is_id) {
            char *digits = take(m, UUID_TEXT_SIZE, 1);
            uuid_print(ids[row], digits);
            texts[row] = bytes_of(digits, UUID_TEXT_SIZE);
        } else if (text) {
            texts[row] = text_of(v);
        } else if (schema->type.kind != SNQL_TYPE_UUID) {
            numbers[row] = number_of(v);
        }
    }
    must(!any_null || schema->type.nullable, name);
    c->nulls = any_null ? nulls : NULL;
    if (text)
        c->text = texts;
    else if (schema->type.kind == SNQL_TYPE_UUID)
        c->uuid = ids;
    else
        c->u64 = numbers;
}

static void fill_table(struct snql_memory *m, struct memory_table *t)
{
    t->columns = take(m, t->schema->column_count, sizeof(*t->columns));
    for (size_t i = 0; i < t->schema->column_count; i++)
        fill_column(m, t, &t->schema->columns[i], &t->columns[i]);
}

static const struct snql_column *column_named(const struct memory_table *t, const char *name)
{
    size_t at = snql_schema_column(t->schema, bytes_of_text(name));
    must(at != SIZE_MAX, name);
    return &t->columns[at];
}

/* Groups of rows by some columns; `day_of`: a column that is cut to days first. */
static uint32_t *group_rows(struct snql_memory *m, const struct memory_table *t,
                            const char *const *names, size_t count, const char *cut, uint64_t width,
                            uint32_t *ret_count)
{
    struct snql_groups *groups;
    struct snql_column *keys = take(m, count, sizeof(*keys));
    uint32_t *of = take(m, t->final_count, sizeof(*of));
    for (size_t i = 0; i < count; i++) {
        keys[i] = *column_named(t, names[i]);
        if (cut == NULL || strcmp(cut, names[i]) != 0)
            continue;
        uint64_t *cuts = take(m, t->final_count, sizeof(*cuts));
        for (size_t row = 0; row < t->final_count; row++)
            cuts[row] = keys[i].u64[row] / width * width;
        keys[i].u64 = cuts;
    }
    must(snql_groups_create(count, &m->arena, &groups) == ERR_OK &&
             snql_groups_add(groups, keys, t->final_count, &m->arena, of) == ERR_OK,
         "groups");
    *ret_count = snql_groups_count(groups);
    return of;
}

/* The last row of each identity stays. */
static void drop_replaced(struct snql_memory *m, struct memory_table *t, const char *const *names,
                          size_t count, const char *cut)
{
    uint32_t group_count;
    uint32_t *of = group_rows(m, t, names, count, cut, 86400, &group_count);
    size_t *last = take(m, group_count, sizeof(*last));
    for (size_t row = 0; row < t->final_count; row++)
        last[of[row]] = row;
    uint32_t *kept = take(m, group_count, sizeof(*kept));
    size_t n = 0;
    for (size_t row = 0; row < t->final_count; row++)
        if (last[of[row]] == row)
            kept[n++] = (uint32_t)row;
    for (size_t i = 0; i < t->schema->column_count; i++)
        must(snql_column_gather(&t->columns[i], kept, n, &m->arena, &t->columns[i]) == ERR_OK,
             "gather");
    t->final_count = n;
}

/* ---- functions from functions_raw ---- */

static void make_functions(struct snql_memory *m)
{
    static const char *const keys[] = {"project_id",
                                       "transaction_name",
                                       "timestamp",
                                       "depth",
                                       "parent_fingerprint",
                                       "fingerprint",
                                       "name",
                                       "package",
                                       "path",
                                       "is_application",
                                       "platform",
                                       "environment",
                                       "release",
                                       "os_name",
                                       "os_version",
                                       "retention_days",
                                       "profiling_type"};
    const size_t key_count = sizeof(keys) / sizeof(keys[0]);
    const struct memory_table *raw = &m->tables[SNQL_FUNCTIONS_RAW];
    struct memory_table *t = &m->tables[SNQL_FUNCTIONS];
    uint32_t group_count;
    uint32_t *of = group_rows(m, raw, keys, key_count, "timestamp", 3600, &group_count);
    const struct snql_column *durations = column_named(raw, "durations");
    const struct snql_column *version = column_named(raw, "materialization_version");
    const struct snql_column *profile = column_named(raw, "profile_id");
    const struct snql_column *thread = column_named(raw, "thread_id");
    const struct snql_column *start = column_named(raw, "start_timestamp");
    const struct snql_column *end = column_named(raw, "end_timestamp");

    const struct snql_function_state **states = take(m, group_count, sizeof(*states));
    uint32_t *first = take(m, group_count, sizeof(*first));
    uint32_t *kept = take(m, group_count, sizeof(*kept));
    size_t kept_count = 0;
    for (uint32_t g = 0; g < group_count; g++) {
        double *values = take(m, durations->elements[0].rows, sizeof(*values));
        struct snql_function_origin *origins = take(m, raw->final_count, sizeof(*origins));
        uint32_t *ends = take(m, raw->final_count, sizeof(*ends));
        struct snql_function_state *s = take(m, 1, sizeof(*s));
        first[g] = UINT32_MAX;
        for (uint32_t row = 0; row < raw->final_count; row++) {
            uint32_t from;
            uint32_t to;
            snql_array_bounds(durations, row, &from, &to);
            if (of[row] != g || version->u64[row] > 1 || from == to)
                continue;
            if (first[g] == UINT32_MAX)
                first[g] = row;
            for (; from < to; from++)
                values[s->count++] = durations->elements[0].f64[from];
            origins[s->origin_count] =
                (struct snql_function_origin){.profile_id = profile->uuid[row],
                                              .thread_id = thread->text[row],
                                              .has_start = !snql_is_null(start, row),
                                              .has_end = !snql_is_null(end, row),
                                              .start_us = start->i64[row],
                                              .end_us = end->i64[row],
                                              .version_1 = version->u64[row] == 1};
            ends[s->origin_count++] = s->count;
        }
        s->durations = values;
        s->origins = origins;
        s->ends = ends;
        if (first[g] != UINT32_MAX) {
            states[kept_count] = s;
            kept[kept_count++] = first[g];
        }
    }
    t->final_count = kept_count;
    t->columns = take(m, t->schema->column_count, sizeof(*t->columns));
    for (size_t i = 0; i < t->schema->column_count; i++) {
        struct snql_column *c = &t->columns[i];
        if (t->schema->columns[i].type.kind == SNQL_TYPE_STATE) {
            *c = (struct snql_column){
                .type = t->schema->columns[i].type, .rows = kept_count, .state = states};
            continue;
        }
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)t->schema->columns[i].name.len,
                 (const char *)t->schema->columns[i].name.data);
        must(snql_column_gather(column_named(raw, name), kept, kept_count, &m->arena, c) == ERR_OK,
             "gather");
        if (strcmp(name, "timestamp") == 0) {
            uint64_t *hours = take(m, kept_count, sizeof(*hours));
            for (size_t row = 0; row < kept_count; row++)
                hours[row] = c->u64[row] / 3600 * 3600;
            c->u64 = hours;
        }
    }
}

void snql_memory_finish(struct snql_memory *m, size_t batch_rows)
{
    static const char *const chunk_key[] = {"project_id", "profiler_id", "start_timestamp",
                                            "chunk_id"};
    static const char *const profile_key[] = {"organization_id", "project_id", "received",
                                              "profile_id"};
    m->batch_rows = batch_rows;
    for (size_t i = 0; i < SNQL_FUNCTIONS; i++) {
        m->tables[i].final_count = m->tables[i].row_count;
        fill_table(m, &m->tables[i]);
    }
    drop_replaced(m, &m->tables[SNQL_PROFILE_CHUNKS], chunk_key, 4, NULL);
    drop_replaced(m, &m->tables[SNQL_PROFILES], profile_key, 4, "received");
    make_functions(m);
}

size_t snql_memory_rows(const struct snql_memory *m, enum snql_table table)
{
    return m->tables[table].final_count;
}

/* ---- as a catalog ---- */

struct reading {
    const struct snql_memory *m;
    const struct memory_table *t;
    const bool *wanted;
    size_t at;
};

static enum err reading_open(void *self, const bool *wanted, const struct snql_plan *plan,
                             struct snql_error *error)
{
    struct reading *r = self;
    (void)plan, (void)error;
    r->wanted = wanted;
    r->at = 0;
    return ERR_OK;
}

static enum err reading_next(void *self, struct arena *arena, struct snql_column *columns,
                             size_t *ret_rows, struct snql_error *error)
{
    struct reading *r = self;
    size_t rows = r->t->final_count - r->at;
    (void)error;
    rows = rows < r->m->batch_rows ? rows : r->m->batch_rows;
    uint32_t *numbers = ARENA_ARRAY(arena, rows + 1, uint32_t);
    must(numbers != NULL, "no memory");
    for (size_t i = 0; i < rows; i++)
        numbers[i] = (uint32_t)(r->at + i);
    for (size_t i = 0; i < r->t->schema->column_count; i++)
        if (r->wanted[i])
            TRY(snql_column_gather(&r->t->columns[i], numbers, rows, arena, &columns[i]));
    r->at += rows;
    *ret_rows = rows;
    return ERR_OK;
}

static enum err memory_table(void *self, const struct snql_table_schema *schema,
                             const struct snql_budget *budget, struct arena *arena,
                             struct snql_relation *ret, struct snql_error *error)
{
    struct snql_memory *m = self;
    (void)budget, (void)error;
    struct reading *r = ARENA_NEW(arena, struct reading);
    struct snql_relation_column *columns =
        ARENA_ARRAY(arena, schema->column_count, struct snql_relation_column);
    must(r != NULL && columns != NULL, "no memory");
    *r = (struct reading){.m = m, .t = &m->tables[schema->table]};
    for (size_t i = 0; i < schema->column_count; i++)
        columns[i] =
            (struct snql_relation_column){schema->columns[i].name, schema->columns[i].type};
    *ret = (struct snql_relation){.self = r,
                                  .column_count = schema->column_count,
                                  .columns = columns,
                                  .open = reading_open,
                                  .next = reading_next};
    return ERR_OK;
}

struct snql_catalog snql_memory_catalog(struct snql_memory *m)
{
    return (struct snql_catalog){m, memory_table};
}

#endif
