/* own_handler.c - the routes of the own API: parameters, a snapshot, an engine call, JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "api/app.h"
#include "api/handlers.h"
#include "api/openapi.h"
#include "api/own_json.h"
#include "api/query_params.h"
#include "base/limits.h"
#include "base/sort.h"
#include "engine/sample_sort.h"
#include "engine/selection_export.h"

#define FLAMEGRAPH_SLICE KIB(64) /* of JSON between two looks at the socket */

/* What every handler below starts with and gives back at its end. */
struct asking {
    struct handler_context *c;
    struct http_response *r;
    struct query_params params;
    struct snapshot *snap;
    struct selection *selection;
    struct errinfo info;
};

/* Pin a snapshot; false when the response holds the refusal. */
static bool asking_pin(struct asking *a)
{
    a->snap = snapshot_acquire(a->c->app->store, a->c->account);
    if (a->snap != NULL)
        return true;
    (void)err_set(&a->info, ERR_NOMEM, "snapshot: %s", err_text(ERR_NOMEM));
    http_problem_of(a->r, ERR_NOMEM, &a->info);
    return false;
}

/* Parse and pin a snapshot; false when the response holds the refusal. */
static bool asking_begin(struct asking *a, struct handler_context *c, const struct http_request *q,
                         struct http_response *r, unsigned allowed, size_t limit_default)
{
    *a = (struct asking){.c = c, .r = r};
    if (!query_params_parse(q, allowed, limit_default, c->arena, &a->params, r))
        return false;
    return asking_pin(a);
}

static enum err asking_select(struct asking *a)
{
    return selection_make(a->snap, &a->params.selection, a->c->arena, &a->selection, &a->info);
}

static void asking_end(struct asking *a, enum err rc)
{
    if (rc != ERR_OK)
        http_problem_of(a->r, rc, &a->info);
    selection_destroy(a->selection);
    snapshot_release(a->snap);
}

/* Where the answer goes. */
static struct json_writer answer_json(struct http_response *r)
{
    struct json_writer w;

    r->status = 200;
    r->content_type = "application/json";
    json_writer_init(&w, &r->body);
    return w;
}

static enum err answer_check(struct asking *a)
{
    enum err rc = a->r->body.failed;

    if (rc == ERR_OK)
        return ERR_OK;
    buffer_clear(&a->r->body);
    return err_set(&a->info, rc,
                   "the answer does not fit in memory: %s; ask for a shorter window or a limit",
                   err_text(rc));
}

static void put_uuid(struct json_writer *w, const char *key, struct uuid id)
{
    json_key(w, key);
    if (uuid_is_nil(id))
        json_null(w);
    else
        json_uuid(w, id);
}

static void put_tags(struct json_writer *w, const struct row *facts)
{
    own_json_text(w, "platform", facts->platform);
    own_json_text(w, "environment", facts->environment);
    own_json_text(w, "release", facts->release);
    own_json_text(w, "dist", facts->dist);
    json_key(w, "sdk");
    json_begin_object(w);
    own_json_text(w, "name", facts->sdk_name);
    own_json_text(w, "version", facts->sdk_version);
    json_end_object(w);
}

/* ---- lists ---- */

void handle_projects(struct handler_context *c, const struct http_request *q,
                     struct http_response *r)
{
    struct asking a = {.c = c, .r = r};
    struct project_summary *list = NULL;
    size_t count = 0;

    if (q->param_count > 0) {
        http_problem(r, 400, "unknown_parameter", "this route takes no parameters");
        return;
    }
    if (!asking_pin(&a))
        return;
    enum err rc = snapshot_list_projects(a.snap, c->arena, &list, &count);
    if (rc == ERR_OK) {
        struct json_writer w = answer_json(r);
        json_begin_object(&w);
        json_key(&w, "projects");
        json_begin_array(&w);
        for (size_t i = 0; i < count; i++) {
            json_begin_object(&w);
            own_json_u64(&w, "project_id", list[i].project_id);
            own_json_u64(&w, "profilers", list[i].profiler_count);
            own_json_u64(&w, "chunks", list[i].chunk_count);
            own_json_u64(&w, "profiles", list[i].profile_count);
            own_json_u64(&w, "links", list[i].link_count);
            own_json_time(&w, "first", list[i].first_ns);
            own_json_time(&w, "last", list[i].last_ns);
            json_end_object(&w);
        }
        json_end_array(&w);
        json_end_object(&w);
        rc = answer_check(&a);
    } else {
        (void)err_set(&a.info, rc, "projects: %s", err_text(rc));
    }
    asking_end(&a, rc);
}

/* One profiler as its chunks in the window tell. */
struct profiler_row {
    struct uuid profiler_id;
    struct coverage coverage;
    struct row last; /* the chunk with the latest end; its texts are "" when it cannot be read */
};

struct profiler_rows {
    struct profiler_row *rows;
    size_t count;
    struct coverage coverage; /* of all of them */
    struct span_list covered; /* by their chunks; united now and then */
    size_t united;            /* how many they were the last time */
};

#define UNITE_AFTER 65536 /* spans added before they are united again: 1 MiB */

/* What its chunks cover, and the facts of the last one. */
static enum err profiler_read(struct asking *a, struct selection *s, struct profiler_rows *p,
                              struct profiler_row *ret)
{
    struct selection_row *last = NULL;
    bool known;

    for (size_t i = 0; i < s->row_count; i++) {
        struct selection_row *row = &s->rows[i];
        if (last == NULL || row->end_ns >= last->end_ns)
            last = row;
        TRY(span_list_add(&p->covered, (struct span_ns){row->start_ns, row->end_ns}, a->c->arena));
    }
    ret->last = (struct row){0};
    if (last != NULL)
        TRY(selection_describe(s, last, &ret->last, &known, &a->info));
    ret->coverage = s->coverage;
    return ERR_OK;
}

/* Each profiler is looked at alone, in memory that is used again: there may be many. */
static enum err profiler_look(struct asking *a, struct uuid id, struct profiler_rows *p,
                              struct profiler_row *ret)
{
    struct selection_request request = a->params.selection;
    struct selection *s = NULL;
    struct arena scratch;

    request.profiler_ids = (struct selection_ids){&id, 1};
    request.chunks_only = true;
    arena_init(&scratch, a->c->arena->max, a->c->account);
    enum err rc = selection_make(a->snap, &request, &scratch, &s, &a->info);
    if (rc == ERR_OK)
        rc = selection_survey(s, &a->info);
    ret->profiler_id = id;
    if (rc == ERR_OK)
        rc = profiler_read(a, s, p, ret);
    selection_destroy(s);
    arena_close(&scratch);
    return rc;
}

static void coverage_sum(struct coverage *sum, const struct coverage *c)
{
    double weighing =
        sum->effective_hz * (double)sum->total_ns + c->effective_hz * (double)c->total_ns;

    sum->chunks_found += c->chunks_found;
    sum->chunks_used += c->chunks_used;
    sum->samples += c->samples;
    sum->total_ns += c->total_ns;
    sum->effective_hz = sum->total_ns == 0 ? 0 : weighing / (double)sum->total_ns;
    if (c->threads > sum->threads)
        sum->threads = c->threads;
    for (size_t i = 0; i < c->left_out_count; i++)
        coverage_leave_out(sum, c->left_out[i].what, c->left_out[i].reason, c->left_out[i].count);
    if (!c->any)
        return;
    if (!sum->any || c->first_ns < sum->first_ns)
        sum->first_ns = c->first_ns;
    if (!sum->any || c->last_ns > sum->last_ns)
        sum->last_ns = c->last_ns;
    sum->any = true;
}

static int profiler_row_compare(const void *left, const void *right, void *context)
{
    (void)context;
    const struct profiler_row *a = left;
    const struct profiler_row *b = right;

    if (a->coverage.last_ns != b->coverage.last_ns)
        return a->coverage.last_ns < b->coverage.last_ns ? 1 : -1;
    return uuid_compare(a->profiler_id, b->profiler_id);
}

static bool ids_accept(struct selection_ids ids, struct uuid id)
{
    for (size_t i = 0; i < ids.count; i++)
        if (uuid_equal(ids.ids[i], id))
            return true;
    return ids.count == 0;
}

/* Parts of the window that no chunk covers. */
static enum err profilers_gaps(struct asking *a, struct profiler_rows *p)
{
    const struct selection_request *s = &a->params.selection;
    struct span_list asked = {0};
    struct span_list gaps = {0};
    struct span_ns window = {s->has_start ? s->window.start_ns : p->coverage.first_ns,
                             s->has_end ? s->window.end_ns : p->coverage.last_ns};

    TRY(span_list_unite(&p->covered, a->c->account));
    if (p->coverage.any || (s->has_start && s->has_end))
        TRY(span_list_add(&asked, window, a->c->arena));
    TRY(span_list_subtract(&asked, &p->covered, a->c->arena, &gaps));
    return coverage_set_gaps(&p->coverage, gaps, a->c->account);
}

static enum err profilers_find(struct asking *a, struct profiler_rows *p)
{
    struct profiler_summary *list = NULL;
    size_t count = 0;
    const struct selection_request *s = &a->params.selection;

    TRY(snapshot_list_profilers(a->snap, s->project_id, a->c->arena, &list, &count));
    p->rows = ARENA_ARRAY(a->c->arena, count, struct profiler_row);
    if (p->rows == NULL)
        return a->c->arena->failed;
    for (size_t i = 0; i < count; i++) {
        struct profiler_row *row = &p->rows[p->count];
        if (!ids_accept(s->profiler_ids, list[i].profiler_id))
            continue;
        if (handler_canceled(a->c))
            return ERR_CANCELED;
        TRY(profiler_look(a, list[i].profiler_id, p, row));
        coverage_sum(&p->coverage, &row->coverage);
        if (!row->coverage.any) /* no chunk, or none of which more is known */
            continue;
        p->count++;
        if (p->covered.count - p->united > UNITE_AFTER) {
            TRY(span_list_unite(&p->covered, a->c->account));
            p->united = p->covered.count;
        }
    }
    TRY(sort_array(a->c->account, p->rows, p->count, sizeof(*p->rows), profiler_row_compare, NULL));
    return profilers_gaps(a, p);
}

static void put_profiler(struct json_writer *w, const struct profiler_row *row)
{
    json_begin_object(w);
    put_uuid(w, "profiler_id", row->profiler_id);
    own_json_time(w, "first", row->coverage.first_ns);
    own_json_time(w, "last", row->coverage.last_ns);
    own_json_u64(w, "chunks", row->coverage.chunks_found);
    own_json_u64(w, "samples", row->coverage.samples);
    own_json_u64(w, "threads", row->coverage.threads);
    json_key(w, "effective_hz");
    json_double(w, row->coverage.effective_hz);
    put_tags(w, &row->last);
    json_end_object(w);
}

void handle_profilers(struct handler_context *c, const struct http_request *q,
                      struct http_response *r)
{
    struct asking a;
    struct profiler_rows p = {0};

    if (!asking_begin(&a, c, q, r, QUERY_PROFILER_ID | QUERY_WINDOW | QUERY_TAGS | QUERY_LIMIT,
                      QUERY_LIMIT_DEFAULT))
        return;
    enum err rc = profilers_find(&a, &p);
    if (rc == ERR_OK) {
        size_t shown = p.count < a.params.limit ? p.count : a.params.limit;
        struct json_writer w = answer_json(r);
        coverage_leave_out(&p.coverage, "profilers", "limit", p.count - shown);
        coverage_leave_out_damaged(&p.coverage, a.snap, &a.params.selection);
        json_begin_object(&w);
        json_key(&w, "profilers");
        json_begin_array(&w);
        for (size_t i = 0; i < shown; i++)
            put_profiler(&w, &p.rows[i]);
        json_end_array(&w);
        own_json_coverage(&w, &p.coverage);
        json_end_object(&w);
        rc = answer_check(&a);
    } else if (a.info.text[0] == '\0') {
        (void)err_set(&a.info, rc, "profilers: %s", err_text(rc));
    }
    asking_end(&a, rc);
}

static void put_chunk(struct json_writer *w, const struct row *facts)
{
    json_begin_object(w);
    put_uuid(w, "chunk_id", facts->id);
    put_uuid(w, "profiler_id", facts->profiler_id);
    own_json_time(w, "start", facts->start_ns);
    own_json_time(w, "end", facts->end_ns);
    own_json_u64(w, "samples", facts->sample_count);
    own_json_u64(w, "threads", facts->thread_count);
    put_tags(w, facts);
    own_json_time(w, "received", facts->received_ns);
    own_json_u64(w, "size", facts->block_size);
    json_end_object(w);
}

/* The first `count` rows of the selection, without those that cannot be read. */
static enum err put_chunks(struct asking *a, struct json_writer *w, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct row facts;
        bool known;
        TRY(selection_describe(a->selection, &a->selection->rows[i], &facts, &known, &a->info));
        if (known)
            put_chunk(w, &facts);
    }
    return ERR_OK;
}

void handle_chunks(struct handler_context *c, const struct http_request *q, struct http_response *r)
{
    struct asking a;

    if (!asking_begin(&a, c, q, r,
                      QUERY_PROFILER_ID | QUERY_WINDOW | QUERY_TAGS | QUERY_TRANSACTION |
                          QUERY_TRACE_ID | QUERY_LIMIT,
                      QUERY_LIMIT_DEFAULT))
        return;
    a.params.selection.chunks_only = true;
    enum err rc = asking_select(&a);
    if (rc == ERR_OK)
        rc = selection_survey(a.selection, &a.info);
    if (rc == ERR_OK) {
        size_t count = a.selection->row_count;
        size_t shown = count < a.params.limit ? count : a.params.limit;
        struct json_writer w = answer_json(r);
        coverage_leave_out(&a.selection->coverage, "chunks", "limit", count - shown);
        json_begin_object(&w);
        json_key(&w, "chunks");
        json_begin_array(&w);
        rc = put_chunks(&a, &w, shown);
        json_end_array(&w);
        own_json_coverage(&w, &a.selection->coverage);
        json_end_object(&w);
        if (rc == ERR_OK)
            rc = answer_check(&a);
    }
    asking_end(&a, rc);
}

static void put_example(struct json_writer *w, const struct transaction_example *e)
{
    json_begin_object(w);
    json_key(w, "kind");
    json_text(w, e->is_profile ? "profile" : "link");
    put_uuid(w, "profile_id", e->profile_id);
    put_uuid(w, "profiler_id", e->profiler_id);
    own_json_text(w, "thread_id", e->thread_id);
    put_uuid(w, "trace_id", e->trace_id);
    own_json_time(w, "start", e->start_ns);
    own_json_time(w, "end", e->end_ns);
    json_end_object(w);
}

/* Of profiles and links: no block is read, so nothing is known of samples. */
static struct coverage transactions_coverage(const struct transaction_list *list)
{
    struct coverage c = {0};

    for (size_t i = 0; i < list->count; i++) {
        const struct transaction_group *g = &list->groups[i];
        c.profiles_used += g->profile_count;
        if (!c.any || g->first_ns < c.first_ns)
            c.first_ns = g->first_ns;
        if (!c.any || g->last_ns > c.last_ns)
            c.last_ns = g->last_ns;
        c.any = true;
    }
    c.profiles_found = c.profiles_used + list->profiles_unreadable;
    coverage_leave_out(&c, "profiles", "unreadable", list->profiles_unreadable);
    return c;
}

void handle_transactions(struct handler_context *c, const struct http_request *q,
                         struct http_response *r)
{
    struct asking a;
    struct transaction_list list = {0};

    if (!asking_begin(&a, c, q, r, QUERY_SELECTION | QUERY_LIMIT, QUERY_TOP_DEFAULT))
        return;
    enum err rc =
        transactions_list(a.snap, &a.params.selection, c->canceled, c->arena, &list, &a.info);
    if (rc == ERR_OK) {
        size_t shown = list.count < a.params.limit ? list.count : a.params.limit;
        struct coverage coverage = transactions_coverage(&list);
        struct json_writer w = answer_json(r);
        coverage_leave_out(&coverage, "transactions", "limit", list.count - shown);
        coverage_leave_out_damaged(&coverage, a.snap, &a.params.selection);
        json_begin_object(&w);
        json_key(&w, "transactions");
        json_begin_array(&w);
        for (size_t i = 0; i < shown; i++) {
            const struct transaction_group *g = &list.groups[i];
            json_begin_object(&w);
            json_key(&w, "transaction");
            json_string(&w, g->name);
            own_json_u64(&w, "profiles", g->profile_count);
            own_json_u64(&w, "links", g->link_count);
            own_json_time(&w, "first", g->first_ns);
            own_json_time(&w, "last", g->last_ns);
            json_key(&w, "examples");
            json_begin_array(&w);
            for (size_t e = 0; e < g->example_count; e++)
                put_example(&w, &g->examples[e]);
            json_end_array(&w);
            json_end_object(&w);
        }
        json_end_array(&w);
        own_json_coverage(&w, &coverage);
        json_end_object(&w);
        rc = answer_check(&a);
    }
    asking_end(&a, rc);
}

/* ---- flame graph ---- */

static enum err flamegraph_next(void *self, struct buffer *out, bool *ret_done)
{
    return flamegraph_json_next(self, FLAMEGRAPH_SLICE, out, ret_done);
}

static void flamegraph_stop(void *self)
{
    (void)self; /* everything is the request's arena */
}

/* The answer is written while the socket drains, from columns in the request's arena. */
static enum err flamegraph_answer(struct asking *a)
{
    struct flamegraph_options options = {.separate_threads = a->params.separate_threads,
                                         .canceled = a->c->canceled};
    struct flamegraph *g = NULL;
    bool done = false;

    TRY(flamegraph_build(a->selection, &options, a->c->arena, &g, &a->info));
    struct flamegraph_json *j = ARENA_NEW(a->c->arena, struct flamegraph_json);
    if (j == NULL)
        return err_set(&a->info, a->c->arena->failed, "flame graph: %s",
                       err_text(a->c->arena->failed));
    flamegraph_json_init(j, g, a->params.separate_threads, &a->selection->coverage);
    a->r->status = 200;
    a->r->content_type = "application/json";
    /* small answers go out whole, with their length */
    enum err rc = flamegraph_json_next(j, FLAMEGRAPH_SLICE, &a->r->body, &done);
    if (rc != ERR_OK || done)
        return rc == ERR_OK ? ERR_OK : answer_check(a);
    buffer_clear(&a->r->body);
    flamegraph_json_init(j, g, a->params.separate_threads, &a->selection->coverage);
    a->r->source = (struct body_source){j, flamegraph_next, flamegraph_stop};
    return ERR_OK;
}

/* flamegraph-project-1-1795334400.folded */
static enum err export_name(struct asking *a, enum export_format format)
{
    const struct coverage *c = &a->selection->coverage;
    char text[160];
    int len = snprintf(text, sizeof(text),
                       "attachment; filename=\"flamegraph-project-%" PRIu64 "-%" PRId64 "%s\"",
                       a->params.selection.project_id, c->any ? c->first_ns / 1000000000 : 0,
                       export_file_suffix(format));
    struct bytes copy = arena_copy(a->c->arena, bytes_of(text, len > 0 ? (size_t)len : 0));

    if (copy.data == NULL)
        return a->c->arena->failed;
    http_response_header(a->r, BYTES("Content-Disposition"), copy);
    return ERR_OK;
}

static enum err export_coverage(struct asking *a)
{
    char text[COVERAGE_TEXT_SIZE];
    size_t len = coverage_print(&a->selection->coverage, text);
    struct bytes copy = arena_copy(a->c->arena, bytes_of(text, len));

    if (copy.data == NULL)
        return a->c->arena->failed;
    http_response_header(a->r, BYTES("X-Hearth-Coverage"), copy);
    return ERR_OK;
}

static enum err export_answer(struct asking *a)
{
    static const enum export_format formats[] = {[FORMAT_FOLDED] = EXPORT_FOLDED,
                                                 [FORMAT_SPEEDSCOPE] = EXPORT_SPEEDSCOPE,
                                                 [FORMAT_PPROF] = EXPORT_PPROF};
    const struct selection_request *s = &a->params.selection;
    enum export_format format = formats[a->params.format];
    char name[48];
    int len = snprintf(name, sizeof(name), "project %" PRIu64, s->project_id);
    struct export_options options = {
        .format = format,
        .unit = a->params.unit,
        .name = s->transaction.len > 0 ? s->transaction : bytes_of(name, len > 0 ? (size_t)len : 0),
        .active_thread = s->threads.count == 1 ? s->threads.texts[0] : (struct bytes){0},
    };

    TRY(selection_export(a->selection, &options, a->c->canceled, &a->r->body, &a->info));
    TRY(answer_check(a));
    TRY(export_name(a, format));
    TRY(export_coverage(a));
    a->r->status = 200;
    a->r->content_type = export_content_type(format);
    return ERR_OK;
}

void handle_flamegraph(struct handler_context *c, const struct http_request *q,
                       struct http_response *r)
{
    struct asking a;

    if (!asking_begin(&a, c, q, r, QUERY_SELECTION | QUERY_FORMAT | QUERY_THREADS | QUERY_UNIT, 0))
        return;
    enum err rc = asking_select(&a);
    if (rc == ERR_OK)
        rc = a.params.format == FORMAT_JSON ? flamegraph_answer(&a) : export_answer(&a);
    asking_end(&a, rc);
}

/* ---- flame chart, functions, usage ---- */

void handle_flamechart(struct handler_context *c, const struct http_request *q,
                       struct http_response *r)
{
    struct asking a;
    struct flamechart *f = NULL;

    if (!asking_begin(&a, c, q, r, QUERY_SELECTION | QUERY_MAX_SPANS, 0))
        return;
    const struct selection_request *s = &a.params.selection;
    enum err rc = ERR_OK;
    if (s->profiler_ids.count + s->profile_ids.count != 1 || s->threads.count > 1) {
        http_problem(r, 400, "one_timeline_needed",
                     "a flame chart shows one thread of one process, expected exactly one "
                     "profiler_id or profile_id and at most one thread");
        asking_end(&a, ERR_OK);
        return;
    }
    struct flamechart_options options = {
        .thread = s->threads.count == 1 ? s->threads.texts[0] : (struct bytes){0},
        .span_max = a.params.span_max,
        .canceled = c->canceled,
    };
    rc = asking_select(&a);
    if (rc == ERR_OK)
        rc = flamechart_build(a.selection, &options, c->arena, &f, &a.info);
    if (rc == ERR_OK) {
        struct json_writer w = answer_json(r);
        own_json_flamechart(&w, f, &a.selection->coverage);
        rc = answer_check(&a);
    }
    asking_end(&a, rc);
}

void handle_functions(struct handler_context *c, const struct http_request *q,
                      struct http_response *r)
{
    struct asking a;
    struct flamegraph *g = NULL;
    struct function_figures *list = NULL;
    size_t count = 0;
    struct flamegraph_options options = {.canceled = c->canceled};

    if (!asking_begin(&a, c, q, r, QUERY_SELECTION | QUERY_LIMIT | QUERY_SORT, QUERY_TOP_DEFAULT))
        return;
    enum err rc = asking_select(&a);
    if (rc == ERR_OK)
        rc = flamegraph_build(a.selection, &options, c->arena, &g, &a.info);
    if (rc == ERR_OK)
        rc = functions_of(g, a.params.order, c->arena, &list, &count, &a.info);
    if (rc == ERR_OK) {
        struct json_writer w = answer_json(r);
        own_json_functions(&w, g, list, count, a.params.limit, &a.selection->coverage);
        rc = answer_check(&a);
    }
    asking_end(&a, rc);
}

void handle_usage(struct handler_context *c, const struct http_request *q, struct http_response *r)
{
    struct asking a;
    struct usage *u = NULL;

    if (!asking_begin(&a, c, q, r, QUERY_SELECTION | QUERY_BUCKETS, 0))
        return;
    struct usage_options options = {.bucket_count = a.params.bucket_count, .canceled = c->canceled};
    enum err rc = asking_select(&a);
    if (rc == ERR_OK)
        rc = usage_build(a.selection, &options, c->arena, &u, &a.info);
    if (rc == ERR_OK) {
        struct json_writer w = answer_json(r);
        own_json_usage(&w, u, &a.selection->coverage);
        rc = answer_check(&a);
    }
    asking_end(&a, rc);
}

/* ---- one profile ---- */

/* A transaction profile, else a chunk of any profiler of the project. */
static enum err profile_find(struct asking *a, struct uuid id, row_id *ret)
{
    struct profiler_summary *list = NULL;
    size_t count = 0;
    uint64_t project_id = a->params.selection.project_id;

    enum err rc = snapshot_find_profile(a->snap, project_id, id, ret);
    if (rc != ERR_NOTFOUND)
        return rc;
    TRY(snapshot_list_profilers(a->snap, project_id, a->c->arena, &list, &count));
    for (size_t i = 0; i < count && rc == ERR_NOTFOUND; i++)
        rc = snapshot_find_chunk(a->snap, project_id, list[i].profiler_id, id, ret);
    return rc;
}

static void put_threads(struct json_writer *w, const struct profile *p, const uint64_t *samples)
{
    json_key(w, "threads");
    json_begin_array(w);
    for (size_t t = 0; t < p->thread_count; t++) {
        if (samples[t] == 0)
            continue;
        json_begin_object(w);
        json_key(w, "thread_id");
        json_string(w, profile_string(p, p->threads[t].id));
        own_json_text(w, "thread_name", profile_string(p, p->threads[t].name));
        own_json_u64(w, "samples", samples[t]);
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_transaction(struct json_writer *w, const struct profile *p)
{
    json_key(w, "transaction");
    if (p->kind == PROFILE_CHUNK) {
        json_null(w);
        return;
    }
    json_begin_object(w);
    own_json_text(w, "name", profile_string(p, p->transaction));
    put_uuid(w, "transaction_id", p->transaction_id);
    put_uuid(w, "trace_id", p->trace_id);
    own_json_text(w, "active_thread_id", profile_string(p, p->active_thread));
    json_end_object(w);
}

/* Where the same samples are found in other shapes. */
static void put_links(struct json_writer *w, const struct row *facts)
{
    char id[UUID_TEXT_SIZE + 1];
    char profiler[UUID_TEXT_SIZE + 1];
    char text[256];
    bool chunk = facts->kind == PROFILE_CHUNK;

    uuid_print(facts->id, id);
    uuid_print(facts->profiler_id, profiler);
    json_key(w, "flamegraph");
    if (chunk)
        (void)snprintf(text, sizeof(text),
                       "/api/v1/projects/%" PRIu64 "/flamegraph?profiler_id=%s&start=%" PRId64
                       ".%09d&end=%" PRId64 ".%09d",
                       facts->project_id, profiler, facts->start_ns / 1000000000,
                       (int)(facts->start_ns % 1000000000), facts->end_ns / 1000000000,
                       (int)(facts->end_ns % 1000000000));
    else
        (void)snprintf(text, sizeof(text), "/api/v1/projects/%" PRIu64 "/flamegraph?profile_id=%s",
                       facts->project_id, id);
    json_text(w, text);
    json_key(w, "document");
    if (chunk)
        (void)snprintf(text, sizeof(text),
                       "/organizations/%" PRIu64 "/projects/%" PRIu64 "/raw_chunks/%s/%s",
                       facts->organization_id, facts->project_id, profiler, id);
    else
        (void)snprintf(text, sizeof(text),
                       "/organizations/%" PRIu64 "/projects/%" PRIu64 "/raw_profiles/%s",
                       facts->organization_id, facts->project_id, id);
    json_text(w, text);
}

static void put_profile(struct json_writer *w, const struct row *facts, const struct profile *p,
                        const uint64_t *samples)
{
    bool chunk = facts->kind == PROFILE_CHUNK;

    json_begin_object(w);
    json_key(w, "kind");
    json_text(w, chunk ? "chunk" : "profile");
    put_uuid(w, "chunk_id", chunk ? facts->id : (struct uuid){{0}});
    put_uuid(w, "profiler_id", facts->profiler_id);
    put_uuid(w, "profile_id", chunk ? (struct uuid){{0}} : facts->id);
    own_json_u64(w, "project_id", facts->project_id);
    own_json_u64(w, "organization_id", facts->organization_id);
    own_json_time(w, "start", facts->start_ns);
    own_json_time(w, "end", facts->end_ns);
    own_json_time(w, "received", facts->received_ns);
    own_json_u64(w, "samples", facts->sample_count);
    put_threads(w, p, samples);
    put_tags(w, facts);
    put_transaction(w, p);
    own_json_u64(w, "size", facts->block_size);
    put_links(w, facts);
    json_end_object(w);
}

static enum err profile_answer(struct asking *a, row_id id)
{
    struct profile p;
    struct row facts;

    TRY(snapshot_read_profile(a->snap, id, a->c->arena, &p, &a->info));
    TRY(profile_sort_samples(&p, a->c->arena));
    TRY(profile_check(&p, &a->info));
    uint64_t *samples = ARENA_ARRAY(a->c->arena, p.thread_count, uint64_t);
    if (samples == NULL)
        return err_set(&a->info, a->c->arena->failed, "profile: %s", err_text(a->c->arena->failed));
    memset(samples, 0, p.thread_count * sizeof(*samples));
    for (size_t i = 0; i < p.sample_count; i++)
        samples[p.sample_thread[i]]++;
    enum err rc = snapshot_row(a->snap, id, &facts);
    if (rc != ERR_OK)
        return err_set(&a->info, rc, "profile: %s", err_text(rc));
    struct json_writer w = answer_json(a->r);
    put_profile(&w, &facts, &p, samples);
    return answer_check(a);
}

void handle_profile(struct handler_context *c, const struct http_request *q,
                    struct http_response *r)
{
    struct asking a;
    struct uuid id;
    row_id row = 0;

    if (!asking_begin(&a, c, q, r, 0, 0))
        return;
    enum err rc = ERR_OK;
    if (!uuid_parse(q->path_param[1], &id)) {
        http_problem(r, 400, "bad_uuid",
                     "profile id is \"%.*s\", expected 32 hexadecimal digits, or 36 characters "
                     "with dashes",
                     (int)(q->path_param[1].len < 48 ? q->path_param[1].len : 48),
                     (const char *)q->path_param[1].data);
        asking_end(&a, ERR_OK);
        return;
    }
    rc = profile_find(&a, id, &row);
    if (rc == ERR_NOTFOUND) {
        http_problem(r, 404, "no_such_profile",
                     "project %" PRIu64 " has no transaction profile and no chunk with this id",
                     a.params.selection.project_id);
        rc = ERR_OK;
    } else if (rc == ERR_OK) {
        rc = profile_answer(&a, row);
    } else {
        (void)err_set(&a.info, rc, "profile: %s", err_text(rc));
    }
    asking_end(&a, rc);
}

void handle_openapi(struct handler_context *c, const struct http_request *q,
                    struct http_response *r)
{
    (void)c;
    (void)q;
    r->status = 200;
    r->content_type = "application/json";
    buffer_put(&r->body, openapi_document());
    if (r->body.failed != ERR_OK)
        http_problem_of(r, r->body.failed, NULL);
}
