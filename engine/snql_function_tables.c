/* snql_function_tables.c - tables of functions: found in the profiles when a query asks. */
#include <assert.h>

#include "base/limits.h"
#include "engine/function_rows.h"
#include "engine/snql_aggregate.h"
#include "engine/snql_groups.h"
#include "engine/snql_table_parts.h"

/* Rows of one profile at the end of a batch; texts are copied out of the profile. */
struct functions_of {
    const struct row *row;
    const struct profile *profile;
    const struct function_row *functions;
    size_t count;
};

static enum err copy_text(struct arena *arena, struct bytes text, struct bytes *ret)
{
    *ret = BYTES("");
    if (text.len > 0)
        *ret = arena_copy(arena, text);
    return ret->data == NULL ? arena_error(arena) : ERR_OK;
}

static enum err put_function(struct snql_table_batch *b, const struct functions_of *f,
                             const struct function_row *fn)
{
    const struct row *r = f->row;
    bool chunk = r->kind == PROFILE_CHUNK;
    int64_t at_ns = chunk ? r->start_ns : f->profile->timestamp_ns;
    struct bytes name;
    struct bytes package;
    struct bytes thread;
    TRY(copy_text(b->arena, fn->name, &name));
    TRY(copy_text(b->arena, fn->package, &package));
    TRY(copy_text(b->arena, fn->thread_id, &thread));
    snql_put_number(b, "project_id", r->project_id);
    snql_put_text(b, "transaction_name", chunk ? BYTES("") : snql_or_empty(r->transaction));
    snql_put_number(b, "timestamp", (uint32_t)(at_ns < 0 ? 0 : at_ns / 1000000000));
    snql_put_number(b, "depth", 0);
    snql_put_number(b, "parent_fingerprint", 0);
    snql_put_number(b, "fingerprint", fn->fingerprint);
    snql_put_text(b, "name", name);
    snql_put_text(b, "package", package);
    snql_put_text(b, "path", BYTES(""));
    snql_put_number(b, "is_application", fn->in_app);
    snql_put_text(b, "platform", snql_or_empty(r->platform));
    snql_put_text(b, "environment", snql_or_empty(r->environment));
    snql_put_text(b, "release", snql_or_empty(r->release));
    snql_put_text(b, "os_name", BYTES(""));
    snql_put_text(b, "os_version", BYTES(""));
    snql_put_number(b, "retention_days", r->retention_days);
    snql_put_uuid(b, "profile_id", chunk ? r->profiler_id : r->id);
    snql_put_text(b, "profiling_type", chunk ? BYTES("continuous") : BYTES("transaction"));
    snql_put_number(b, "materialization_version", 1);
    snql_put_text(b, "thread_id", thread);
    if (chunk) {
        snql_put_number(b, "start_timestamp", snql_microseconds(r->start_ns));
        snql_put_number(b, "end_timestamp", snql_microseconds(r->end_ns));
    } else {
        snql_put_null(b, "start_timestamp");
        snql_put_null(b, "end_timestamp");
    }
    b->rows++;
    return ERR_OK;
}

/* The durations of a batch's rows, one behind another. */
struct durations {
    struct buffer values; /* double */
    uint32_t *ends;
};

static enum err put_functions(struct snql_table_batch *b, struct durations *d,
                              const struct functions_of *f)
{
    size_t count = f->count < FUNCTION_ROWS_MAX ? f->count : FUNCTION_ROWS_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct function_row *fn = &f->functions[i];
        double *values = buffer_extend(&d->values, fn->call_count * sizeof(*values));
        if (values == NULL)
            return d->values.failed;
        for (size_t k = 0; k < fn->call_count; k++)
            values[k] = (double)fn->durations_ns[k];
        size_t total = d->values.len / sizeof(double);
        if (total > UINT32_MAX)
            return ERR_LIMIT;
        d->ends[b->rows] = (uint32_t)total;
        TRY(put_function(b, f, fn));
    }
    return ERR_OK;
}

/* The functions of one profile. One that cannot be read, or has no tree, has none. */
static enum err add_profile(struct snql_store_table *t, struct snql_table_batch *b,
                            struct durations *d, row_id id)
{
    struct row r;
    struct profile p;
    struct function_row *functions;
    struct functions_of f = {.row = &r, .profile = &p};
    struct arena scratch;
    struct errinfo info = {0};
    TRY(snapshot_row(t->snap, id, &r));
    arena_init(&scratch, SNQL_PROFILE_MEMORY_MAX, b->arena->account);
    enum err rc = snapshot_read_profile(t->snap, id, &scratch, &p, &info);
    if (rc == ERR_OK)
        rc = function_rows_make(&p, r.kind == PROFILE_CHUNK, &scratch, &functions, &f.count, &info);
    if (rc == ERR_OK) {
        f.functions = functions;
        rc = put_functions(b, d, &f);
    } else if (rc == ERR_CORRUPT || rc == ERR_IO || rc == ERR_MALFORMED) {
        rc = ERR_OK;
    }
    arena_close(&scratch);
    return rc;
}

static enum err end_durations(const struct snql_table_batch *b, const struct durations *d,
                              struct snql_column *columns)
{
    size_t at = snql_batch_column(b, "durations");
    if (at == SIZE_MAX)
        return ERR_OK;
    struct snql_column *element = ARENA_NEW(b->arena, struct snql_column);
    size_t total = d->values.len / sizeof(double);
    double *values = ARENA_ARRAY(b->arena, total + 1, double);
    if (element == NULL || values == NULL)
        return arena_error(b->arena);
    if (total > 0)
        memcpy(values, d->values.data, d->values.len);
    struct snql_type type = b->schema->columns[at].type;
    *element = (struct snql_column){.type = type.elements[0], .rows = total, .f64 = values};
    columns[at] =
        (struct snql_column){.type = type, .rows = b->rows, .ends = d->ends, .elements = element};
    return ERR_OK;
}

/* Rows of functions_raw of the next profiles. */
static enum err next_raw(struct snql_store_table *t, const struct snql_table_schema *schema,
                         const bool *wanted, struct arena *arena, struct snql_column *columns,
                         size_t *ret_rows)
{
    struct snql_table_batch b;
    struct durations d;
    TRY(snql_batch_begin(&b, schema, wanted, SNQL_BATCH_ROWS, arena));
    d.ends = ARENA_ARRAY(arena, SNQL_BATCH_ROWS + 1, uint32_t);
    if (d.ends == NULL)
        return arena_error(arena);
    buffer_init(&d.values, MIB(256), arena->account);
    enum err rc = ERR_OK;
    while (rc == ERR_OK && t->at < t->rows.count && b.rows + FUNCTION_ROWS_MAX <= b.room) {
        rc = snql_budget_check(t->budget, t->at, t->error);
        if (rc == ERR_OK)
            rc = add_profile(t, &b, &d, t->rows.ids[t->at++]);
    }
    if (rc == ERR_OK) {
        snql_batch_end(&b, columns);
        rc = end_durations(&b, &d, columns);
    }
    buffer_close(&d.values);
    *ret_rows = b.rows;
    return rc;
}

/* ---- functions by hour ---- */

static const char *const hour_keys[] = {"project_id",
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
#define HOUR_KEY_COUNT (sizeof(hour_keys) / sizeof(hour_keys[0]))

/* A function's hour while it grows. */
struct hour {
    struct buffer durations; /* double */
    struct buffer ends;      /* u32 */
    struct buffer origins;   /* struct snql_function_origin */
};

struct summing {
    struct snql_store_table *t;
    const struct snql_table_schema *raw;
    struct snql_groups *groups;
    struct hour *hours;
    size_t hour_room;
    size_t hour_count;
};

static const struct snql_column *raw_column(const struct summing *s,
                                            const struct snql_column *columns, const char *name)
{
    return &columns[snql_schema_column(s->raw, bytes_of_text(name))];
}

static enum err reserve_hours(struct summing *s, size_t count)
{
    if (count > s->hour_room) {
        size_t room = s->hour_room == 0 ? 256 : s->hour_room;
        while (room < count)
            room *= 2;
        struct hour *grown = ARENA_ARRAY(s->t->arena, room, struct hour);
        if (grown == NULL)
            return arena_error(s->t->arena);
        if (s->hour_count > 0)
            memcpy(grown, s->hours, s->hour_count * sizeof(*grown));
        s->hours = grown;
        s->hour_room = room;
    }
    for (; s->hour_count < count; s->hour_count++) {
        struct hour *h = &s->hours[s->hour_count];
        buffer_init(&h->durations, MIB(256), s->t->arena->account);
        buffer_init(&h->ends, MIB(256), s->t->arena->account);
        buffer_init(&h->origins, MIB(256), s->t->arena->account);
    }
    return ERR_OK;
}

static enum err add_to_hour(struct summing *s, struct hour *h, const struct snql_column *columns,
                            size_t row)
{
    const struct snql_column *durations = raw_column(s, columns, "durations");
    const struct snql_column *start = raw_column(s, columns, "start_timestamp");
    const struct snql_column *end = raw_column(s, columns, "end_timestamp");
    uint32_t from;
    uint32_t to;
    snql_array_bounds(durations, row, &from, &to);
    struct snql_function_origin o = {.profile_id = raw_column(s, columns, "profile_id")->uuid[row],
                                     .has_start = !snql_is_null(start, row),
                                     .has_end = !snql_is_null(end, row),
                                     .start_us = start->i64[row],
                                     .end_us = end->i64[row],
                                     .version_1 = true};
    TRY(copy_text(s->t->arena, raw_column(s, columns, "thread_id")->text[row], &o.thread_id));
    buffer_put(&h->durations,
               bytes_of(durations->elements[0].f64 + from, (to - from) * sizeof(double)));
    uint32_t count = (uint32_t)(h->durations.len / sizeof(double));
    buffer_put(&h->ends, bytes_of(&count, sizeof(count)));
    buffer_put(&h->origins, bytes_of(&o, sizeof(o)));
    if (h->durations.failed != ERR_OK || h->ends.failed != ERR_OK)
        return ERR_LIMIT;
    return h->origins.failed;
}

static enum err sum_batch(struct summing *s, const struct snql_column *columns, size_t rows,
                          struct arena *scratch)
{
    struct snql_column keys[HOUR_KEY_COUNT];
    uint32_t *groups = ARENA_ARRAY(scratch, rows + 1, uint32_t);
    uint64_t *hours = ARENA_ARRAY(scratch, rows + 1, uint64_t);
    if (groups == NULL || hours == NULL)
        return arena_error(scratch);
    for (size_t i = 0; i < HOUR_KEY_COUNT; i++)
        keys[i] = *raw_column(s, columns, hour_keys[i]);
    const struct snql_column *times = raw_column(s, columns, "timestamp");
    for (size_t row = 0; row < rows; row++)
        hours[row] = times->u64[row] / SNQL_HOUR_S * SNQL_HOUR_S;
    keys[2].u64 = hours;
    TRY(snql_groups_add(s->groups, keys, rows, scratch, groups));
    TRY(reserve_hours(s, snql_groups_count(s->groups)));
    for (size_t row = 0; row < rows; row++)
        TRY(add_to_hour(s, &s->hours[groups[row]], columns, row));
    return ERR_OK;
}

/* What the hours hold, moved to the arena. */
static enum err make_states(struct summing *s, const struct snql_function_state ***ret)
{
    struct arena *arena = s->t->arena;
    const struct snql_function_state **list =
        ARENA_ARRAY(arena, s->hour_count + 1, const struct snql_function_state *);
    if (list == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < s->hour_count; i++) {
        struct hour *h = &s->hours[i];
        struct snql_function_state *state = ARENA_NEW(arena, struct snql_function_state);
        double *durations = arena_take(arena, h->durations.len + 8, 8);
        uint32_t *ends = arena_take(arena, h->ends.len + 8, 8);
        struct snql_function_origin *origins = arena_take(arena, h->origins.len + 8, 8);
        if (state == NULL || durations == NULL || ends == NULL || origins == NULL)
            return arena_error(arena);
        memcpy(durations, h->durations.data, h->durations.len);
        memcpy(ends, h->ends.data, h->ends.len);
        memcpy(origins, h->origins.data, h->origins.len);
        *state =
            (struct snql_function_state){.durations = durations,
                                         .count = (uint32_t)(h->durations.len / sizeof(*durations)),
                                         .origin_count = (uint32_t)(h->ends.len / sizeof(*ends)),
                                         .ends = ends,
                                         .origins = origins};
        list[i] = state;
    }
    *ret = list;
    return ERR_OK;
}

static enum err finish_hours(struct summing *s)
{
    struct snql_store_table *t = s->t;
    const struct snql_function_state **states;
    TRY(make_states(s, &states));
    t->hours = ARENA_ARRAY(t->arena, t->schema->column_count + 1, struct snql_column);
    if (t->hours == NULL)
        return arena_error(t->arena);
    t->hour_count = s->hour_count;
    for (size_t i = 0; i < t->schema->column_count; i++) {
        struct snql_type type = t->schema->columns[i].type;
        t->hours[i] = (struct snql_column){.type = type, .rows = s->hour_count, .state = states};
        for (size_t k = 0; k < HOUR_KEY_COUNT; k++)
            if (bytes_equal(t->schema->columns[i].name, bytes_of_text(hour_keys[k])))
                TRY(snql_groups_key(s->groups, k, type, &t->hours[i]));
    }
    return ERR_OK;
}

static enum err sum_all(struct summing *s, const bool *everything)
{
    struct snql_column columns[32];
    size_t rows = 1;
    assert(s->raw->column_count <= sizeof(columns) / sizeof(columns[0]));
    while (rows > 0 && s->t->at < s->t->rows.count) {
        struct arena scratch;
        arena_init(&scratch, SNQL_PROFILE_MEMORY_MAX, s->t->arena->account);
        enum err rc = next_raw(s->t, s->raw, everything, &scratch, columns, &rows);
        if (rc == ERR_OK && rows > 0)
            rc = sum_batch(s, columns, rows, &scratch);
        arena_close(&scratch);
        TRY(rc);
        rows = 1;
    }
    return finish_hours(s);
}

static enum err sum_hours(struct snql_store_table *t)
{
    struct summing s = {.t = t, .raw = snql_schema_find(BYTES("functions_raw"))};
    bool everything[32];
    for (size_t i = 0; i < sizeof(everything) / sizeof(everything[0]); i++)
        everything[i] = true;
    TRY(snql_groups_create(HOUR_KEY_COUNT, t->arena, &s.groups));
    enum err rc = sum_all(&s, everything);
    for (size_t i = 0; i < s.hour_count; i++) {
        buffer_close(&s.hours[i].durations);
        buffer_close(&s.hours[i].ends);
        buffer_close(&s.hours[i].origins);
    }
    t->at = 0;
    t->summed = true;
    return rc;
}

static enum err next_hours(struct snql_store_table *t, struct arena *arena,
                           struct snql_column *columns, size_t *ret_rows)
{
    size_t rows = t->hour_count - t->at;
    rows = rows < SNQL_BATCH_ROWS ? rows : SNQL_BATCH_ROWS;
    uint32_t *numbers = ARENA_ARRAY(arena, rows + 1, uint32_t);
    if (numbers == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < rows; i++)
        numbers[i] = (uint32_t)(t->at + i);
    for (size_t i = 0; i < t->schema->column_count; i++)
        if (t->wanted[i])
            TRY(snql_column_gather(&t->hours[i], numbers, rows, arena, &columns[i]));
    t->at += rows;
    *ret_rows = rows;
    return ERR_OK;
}

/* ---- as batches ---- */

enum err snql_next_raw_functions(struct snql_store_table *t, struct arena *arena,
                                 struct snql_column *columns, size_t *ret_rows)
{
    *ret_rows = 0;
    while (*ret_rows == 0 && t->at < t->rows.count)
        TRY(next_raw(t, t->schema, t->wanted, arena, columns, ret_rows));
    return ERR_OK;
}

enum err snql_next_functions(struct snql_store_table *t, struct arena *arena,
                             struct snql_column *columns, size_t *ret_rows)
{
    if (!t->summed)
        TRY(sum_hours(t));
    return next_hours(t, arena, columns, ret_rows);
}
