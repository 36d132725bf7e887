/* own_json.c - one writer a kind of answer. */
#include "api/own_json.h"

void own_json_text(struct json_writer *w, const char *key, struct bytes text)
{
    json_key(w, key);
    if (text.len == 0)
        json_null(w);
    else
        json_string(w, text);
}

void own_json_time(struct json_writer *w, const char *key, int64_t ns)
{
    json_key(w, key);
    json_seconds(w, ns);
}

void own_json_u64(struct json_writer *w, const char *key, uint64_t v)
{
    json_key(w, key);
    json_u64(w, v);
}

static void put_number(struct json_writer *w, const char *key, uint64_t v)
{
    json_key(w, key);
    if (v == 0)
        json_null(w);
    else
        json_u64(w, v);
}

static void put_gaps(struct json_writer *w, const struct coverage *c)
{
    json_key(w, "gaps");
    json_begin_array(w);
    for (size_t i = 0; i < c->gap_count; i++) {
        json_begin_array(w);
        json_seconds(w, c->gaps[i].start_ns);
        json_seconds(w, c->gaps[i].end_ns);
        json_end_array(w);
    }
    json_end_array(w);
}

void own_json_coverage(struct json_writer *w, const struct coverage *c)
{
    json_key(w, "coverage");
    json_begin_object(w);
    own_json_u64(w, "chunks_found", c->chunks_found);
    own_json_u64(w, "chunks_used", c->chunks_used);
    own_json_u64(w, "profiles_found", c->profiles_found);
    own_json_u64(w, "profiles_used", c->profiles_used);
    own_json_u64(w, "samples", c->samples);
    own_json_u64(w, "threads", c->threads);
    json_key(w, "first");
    if (c->any)
        json_seconds(w, c->first_ns);
    else
        json_null(w);
    json_key(w, "last");
    if (c->any)
        json_seconds(w, c->last_ns);
    else
        json_null(w);
    json_key(w, "effective_hz");
    json_double(w, c->effective_hz);
    put_gaps(w, c);
    json_key(w, "left_out");
    json_begin_array(w);
    for (size_t i = 0; i < c->left_out_count; i++) {
        json_begin_object(w);
        json_key(w, "what");
        json_text(w, c->left_out[i].what);
        own_json_u64(w, "count", c->left_out[i].count);
        json_key(w, "reason");
        json_text(w, c->left_out[i].reason);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

/* Members of a frame, inside an object that is open. */
static void put_frame(struct json_writer *w, const struct flamegraph_frame *f)
{
    json_key(w, "function");
    json_string(w, f->function);
    own_json_text(w, "module", f->module);
    own_json_text(w, "package", f->package);
    own_json_text(w, "filename", f->filename);
    own_json_text(w, "path", f->path);
    put_number(w, "line", f->line);
    put_number(w, "column", f->column);
    own_json_text(w, "instruction_addr", f->instruction_addr);
    json_key(w, "in_app");
    json_bool(w, f->in_app);
    own_json_text(w, "platform", f->platform);
    own_json_u64(w, "fingerprint", f->fingerprint);
}

void own_json_frame(struct json_writer *w, const struct flamegraph_frame *f)
{
    json_begin_object(w);
    put_frame(w, f);
    json_end_object(w);
}

/* ---- flame graph ---- */

enum flamegraph_step { STEP_BEGIN, STEP_FRAMES, STEP_TREE, STEP_COLUMN, STEP_TREE_END, STEP_END };

static const char *const column_names[] = {"parent",   "frame",        "self_ns",
                                           "total_ns", "self_samples", "total_samples"};
#define COLUMN_COUNT (sizeof(column_names) / sizeof(column_names[0]))
#define SLICE        1024 /* values between two looks at the size */

void flamegraph_json_init(struct flamegraph_json *j, const struct flamegraph *g, bool separate,
                          const struct coverage *c)
{
    *j = (struct flamegraph_json){.graph = g, .coverage = c, .separate = separate};
    json_writer_init(&j->writer, NULL);
}

static void put_column_value(struct json_writer *w, const struct flamegraph_tree *t,
                             unsigned column, size_t at)
{
    switch (column) {
    case 0: json_i64(w, t->parent[at] == FLAMEGRAPH_NO_PARENT ? -1 : (int64_t)t->parent[at]); break;
    case 1: json_u64(w, t->frame[at]); break;
    case 2: json_u64(w, t->self_ns[at]); break;
    case 3: json_u64(w, t->total_ns[at]); break;
    case 4: json_u64(w, t->self_samples[at]); break;
    default: json_u64(w, t->total_samples[at]); break;
    }
}

static void step_begin(struct flamegraph_json *j)
{
    struct json_writer *w = &j->writer;

    json_begin_object(w);
    json_key(w, "unit");
    json_text(w, "nanoseconds");
    json_key(w, "frames");
    json_begin_array(w);
    j->step = STEP_FRAMES;
}

static void step_frames(struct flamegraph_json *j)
{
    struct json_writer *w = &j->writer;

    for (size_t i = 0; i < SLICE / 8 && j->at < j->graph->frame_count; i++)
        own_json_frame(w, &j->graph->frames[j->at++]);
    if (j->at < j->graph->frame_count)
        return;
    json_end_array(w);
    if (j->separate) {
        json_key(w, "threads");
        json_begin_array(w);
    }
    j->step = j->graph->tree_count == 0 ? STEP_END : STEP_TREE;
}

static void step_tree(struct flamegraph_json *j)
{
    struct json_writer *w = &j->writer;
    const struct flamegraph_tree *t = &j->graph->trees[j->tree];

    if (j->separate) {
        json_begin_object(w);
        json_key(w, "thread_id");
        json_string(w, t->thread_id);
        own_json_text(w, "thread_name", t->thread_name);
    }
    json_key(w, "nodes");
    json_begin_object(w);
    json_key(w, column_names[0]);
    json_begin_array(w);
    j->column = 0;
    j->at = 0;
    j->step = STEP_COLUMN;
}

static void step_column(struct flamegraph_json *j)
{
    struct json_writer *w = &j->writer;
    const struct flamegraph_tree *t = &j->graph->trees[j->tree];

    for (size_t i = 0; i < SLICE && j->at < t->node_count; i++)
        put_column_value(w, t, j->column, j->at++);
    if (j->at < t->node_count)
        return;
    json_end_array(w);
    if (++j->column == COLUMN_COUNT) {
        j->step = STEP_TREE_END;
        return;
    }
    json_key(w, column_names[j->column]);
    json_begin_array(w);
    j->at = 0;
}

static void step_tree_end(struct flamegraph_json *j)
{
    struct json_writer *w = &j->writer;
    const struct flamegraph_tree *t = &j->graph->trees[j->tree];

    json_end_object(w);
    own_json_u64(w, "idle_ns", t->idle_ns);
    own_json_u64(w, "idle_samples", t->idle_samples);
    own_json_u64(w, "total_ns", t->sum_ns);
    own_json_u64(w, "total_samples", t->sum_samples);
    if (j->separate)
        json_end_object(w);
    j->step = ++j->tree < j->graph->tree_count ? STEP_TREE : STEP_END;
}

static void step_end(struct flamegraph_json *j)
{
    if (j->separate)
        json_end_array(&j->writer);
    own_json_coverage(&j->writer, j->coverage);
    json_end_object(&j->writer);
}

enum err flamegraph_json_next(struct flamegraph_json *j, size_t want, struct buffer *out,
                              bool *ret_done)
{
    size_t until = out->len + want;

    *ret_done = false;
    j->writer.out = out;
    while (!*ret_done && out->len < until && out->failed == ERR_OK) {
        switch ((enum flamegraph_step)j->step) {
        case STEP_BEGIN: step_begin(j); break;
        case STEP_FRAMES: step_frames(j); break;
        case STEP_TREE: step_tree(j); break;
        case STEP_COLUMN: step_column(j); break;
        case STEP_TREE_END: step_tree_end(j); break;
        case STEP_END:
            step_end(j);
            *ret_done = true;
            break;
        }
    }
    return out->failed;
}

/* ---- flame chart, usage, functions ---- */

static void put_span_column(struct json_writer *w, const struct flamechart *f, const char *name)
{
    json_key(w, name);
    json_begin_array(w);
    for (size_t i = 0; i < f->span_count; i++) {
        switch (name[0]) {
        case 's': json_seconds(w, f->spans[i].start_ns); break;
        case 'e': json_seconds(w, f->spans[i].end_ns); break;
        case 'd': json_u64(w, f->spans[i].depth); break;
        default: json_u64(w, f->spans[i].frame); break;
        }
    }
    json_end_array(w);
}

void own_json_flamechart(struct json_writer *w, const struct flamechart *f,
                         const struct coverage *c)
{
    json_begin_object(w);
    json_key(w, "thread_id");
    json_string(w, f->thread_id);
    own_json_text(w, "thread_name", f->thread_name);
    json_key(w, "frames");
    json_begin_array(w);
    for (size_t i = 0; i < f->frame_count; i++)
        own_json_frame(w, &f->frames[i]);
    json_end_array(w);
    json_key(w, "spans");
    json_begin_object(w);
    put_span_column(w, f, "start");
    put_span_column(w, f, "end");
    put_span_column(w, f, "depth");
    put_span_column(w, f, "frame");
    json_end_object(w);
    own_json_coverage(w, c);
    json_end_object(w);
}

static void put_usage_values(struct json_writer *w, const struct usage *u)
{
    static const char *const names[] = {"start",       "busy_ns",      "idle_ns",         "samples",
                                        "cpu_percent", "memory_bytes", "memory_bytes_max"};

    for (size_t column = 0; column < sizeof(names) / sizeof(names[0]); column++) {
        json_key(w, names[column]);
        json_begin_array(w);
        for (size_t i = 0; i < u->bucket_count; i++) {
            const struct usage_bucket *b = &u->buckets[i];
            double value = 0;
            bool known = b->memory_count > 0;
            switch (column) {
            case 0: json_seconds(w, (int64_t)((uint64_t)u->start_ns + u->bucket_ns * i)); continue;
            case 1: json_u64(w, b->busy_ns); continue;
            case 2: json_u64(w, b->idle_ns); continue;
            case 3: json_u64(w, b->samples); continue;
            case 4: known = usage_cpu_percent(u, i, &value); break;
            case 5: value = known ? b->memory_sum / (double)b->memory_count : 0; break;
            default: value = b->memory_max; break;
            }
            if (known)
                json_double(w, value);
            else
                json_null(w);
        }
        json_end_array(w);
    }
}

void own_json_usage(struct json_writer *w, const struct usage *u, const struct coverage *c)
{
    json_begin_object(w);
    own_json_time(w, "start", u->start_ns);
    own_json_time(w, "end", u->end_ns);
    own_json_u64(w, "bucket_ns", u->bucket_ns);
    json_key(w, "cpu_source");
    json_text(w, u->cpu_measured ? "measurements" : "samples");
    json_key(w, "buckets");
    json_begin_object(w);
    put_usage_values(w, u);
    json_end_object(w);
    own_json_coverage(w, c);
    json_end_object(w);
}

void own_json_functions(struct json_writer *w, const struct flamegraph *g,
                        const struct function_figures *list, size_t count, size_t limit,
                        struct coverage *c)
{
    size_t shown = count < limit ? count : limit;
    uint64_t sum_ns = 0;
    uint64_t sum_samples = 0;
    uint64_t idle_ns = 0;
    uint64_t idle_samples = 0;

    for (size_t t = 0; t < g->tree_count; t++) {
        sum_ns += g->trees[t].sum_ns;
        sum_samples += g->trees[t].sum_samples;
        idle_ns += g->trees[t].idle_ns;
        idle_samples += g->trees[t].idle_samples;
    }
    coverage_leave_out(c, "functions", "limit", count - shown);
    json_begin_object(w);
    json_key(w, "unit");
    json_text(w, "nanoseconds");
    json_key(w, "functions");
    json_begin_array(w);
    for (size_t i = 0; i < shown; i++) {
        json_begin_object(w);
        put_frame(w, list[i].frame);
        own_json_u64(w, "self_ns", list[i].self_ns);
        own_json_u64(w, "total_ns", list[i].total_ns);
        own_json_u64(w, "self_samples", list[i].self_samples);
        own_json_u64(w, "total_samples", list[i].total_samples);
        json_end_object(w);
    }
    json_end_array(w);
    own_json_u64(w, "idle_ns", idle_ns);
    own_json_u64(w, "idle_samples", idle_samples);
    own_json_u64(w, "total_ns", sum_ns);
    own_json_u64(w, "total_samples", sum_samples);
    own_json_coverage(w, c);
    json_end_object(w);
}
