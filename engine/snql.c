/* snql.c - a query from its text to its answer. */
#include "engine/snql.h"

#include <inttypes.h>

#include "base/limits.h"
#include "engine/snql_check.h"
#include "engine/snql_parser.h"

struct runner {
    const struct snql_request *request;
    const struct snql_catalog *catalog;
    struct arena *arena;
    struct snql_error *error;
    struct buffer plan;
};

/* ---- sub-queries: an answer as what is read ---- */

struct inner {
    struct snql_result result;
    size_t at;
};

static enum err inner_open(void *self, const bool *wanted, const struct snql_plan *plan,
                           struct snql_error *error)
{
    struct inner *in = self;
    (void)wanted, (void)plan, (void)error;
    in->at = 0;
    return ERR_OK;
}

static enum err inner_next(void *self, struct arena *arena, struct snql_column *columns,
                           size_t *ret_rows, struct snql_error *error)
{
    struct inner *in = self;
    size_t left = in->result.rows - in->at;
    size_t rows = left < SNQL_BATCH_ROWS ? left : SNQL_BATCH_ROWS;
    (void)error;
    *ret_rows = rows;
    uint32_t *numbers = ARENA_ARRAY(arena, rows + 1, uint32_t);
    if (numbers == NULL)
        return arena_error(arena);
    for (size_t i = 0; i < rows; i++)
        numbers[i] = (uint32_t)(in->at + i);
    for (size_t i = 0; i < in->result.column_count; i++)
        TRY(snql_column_gather(&in->result.columns[i], numbers, rows, arena, &columns[i]));
    in->at += rows;
    return ERR_OK;
}

/* ---- what was done ---- */

static void describe_bounds(struct buffer *out, const char *name, struct snql_bounds b)
{
    if (b.min != INT64_MIN)
        buffer_printf(out, " %s>=%" PRId64, name, b.min);
    if (b.max != INT64_MAX)
        buffer_printf(out, " %s<=%" PRId64, name, b.max);
}

static void describe_box(struct buffer *out, const struct snql_box *b)
{
    if (b->projects.values != NULL)
        buffer_printf(out, " projects=%zu", b->projects.count);
    if (b->profilers.values != NULL)
        buffer_printf(out, " profilers=%zu", b->profilers.count);
    if (b->ids.values != NULL)
        buffer_printf(out, " ids=%zu", b->ids.count);
    describe_bounds(out, "start_us", b->start);
    describe_bounds(out, "end_us", b->end);
}

static bool is_everything(const struct snql_box *b)
{
    return b->projects.values == NULL && b->profilers.values == NULL && b->ids.values == NULL &&
           b->start.min == INT64_MIN && b->start.max == INT64_MAX && b->end.min == INT64_MIN &&
           b->end.max == INT64_MAX;
}

static void describe(struct buffer *out, const struct snql_query *q, const struct snql_plan *plan,
                     const struct snql_result *result)
{
    buffer_printf(out, "read %.*s: %zu %s;", (int)q->source.len, (const char *)q->source.data,
                  plan->count, plan->count == 1 ? "range" : "ranges");
    if (plan->count > 0 && is_everything(&plan->boxes[0]))
        buffer_put(out, BYTES(" all of it"));
    else if (plan->count > 0)
        describe_box(out, &plan->boxes[0]);
    if (plan->count > 1)
        buffer_printf(out, " and %zu more", plan->count - 1);
    buffer_printf(out, "; rows looked at=%" PRIu64 " in %" PRIu64 " batches%s%s%s%s; rows out=%zu",
                  result->rows_read, result->batches_read, q->where != NULL ? "; filter" : "",
                  q->has_by ? "; group" : "", q->order_count > 0 ? "; sort" : "",
                  q->has_limit_by ? "; limit by" : "", result->rows);
}

/* ---- running ---- */

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the parser lets queries be */
static enum err run(struct runner *r, struct snql_query *q, struct snql_result *ret)
{
    struct snql_relation relation;
    struct snql_plan plan;
    if (q->source_kind == SNQL_SUBQUERY) {
        struct inner *in = ARENA_NEW(r->arena, struct inner);
        if (in == NULL)
            return arena_error(r->arena);
        TRY(run(r, q->inner, &in->result));
        buffer_put(&r->plan, BYTES("\n"));
        relation = (struct snql_relation){.self = in,
                                          .column_count = in->result.column_count,
                                          .columns = in->result.names,
                                          .open = inner_open,
                                          .next = inner_next};
        q->source = BYTES("sub-query");
    } else {
        TRY(r->catalog->table(r->catalog->self, q->schema, &r->request->budget, r->arena, &relation,
                              r->error));
    }
    TRY(snql_plan_make(q->source_kind == SNQL_SUBQUERY ? NULL : q->where, q->schema, r->arena,
                       &plan));
    TRY(snql_execute(q, &relation, &plan, &r->request->budget, r->arena, ret, r->error));
    describe(&r->plan, q, &plan, ret);
    return ERR_OK;
}

static enum err run_text(struct runner *r, struct snql_answer *ret)
{
    struct snql_query *q;
    TRY(snql_parse(r->request->text, r->arena, &q, r->error));
    TRY(snql_check(q, r->request->text, r->arena, r->error));
    if (r->request->dry_run)
        return ERR_OK;
    TRY(run(r, q, &ret->result));
    TRY(r->plan.failed);
    ret->plan = arena_copy(r->arena, buffer_bytes(&r->plan));
    return ret->plan.data == NULL ? arena_error(r->arena) : ERR_OK;
}

enum err snql_run(const struct snql_request *request, const struct snql_catalog *catalog,
                  struct arena *arena, struct snql_answer *ret, struct snql_error *error)
{
    struct runner r = {request, catalog, arena, error, {0}};
    *ret = (struct snql_answer){0};
    buffer_init(&r.plan, 64 * KIB(1), arena->account);
    enum err rc = run_text(&r, ret);
    buffer_close(&r.plan);
    if (rc == ERR_NOMEM || rc == ERR_BUSY || (rc == ERR_LIMIT && error->code != SNQL_CODE_MEMORY)) {
        snql_error_write_code(error, SNQL_CODE_MEMORY,
                              "the query needs more memory than there is: %s", err_text(rc));
        rc = ERR_LIMIT;
    }
    return rc;
}
