#include "engine/export.h"

#include <math.h>

#include "engine/export_table.h"
#include "engine/identity.h"
#include "engine/sample_order.h"

/* ---- create, destroy ---- */

static struct buffer *const *exporter_buffers(struct exporter *e, struct buffer *list[7])
{
    list[0] = &e->heads;
    list[1] = &e->threads;
    list[2] = &e->values;
    list[3] = &e->segments;
    list[4] = &e->runs;
    list[5] = &e->scratch;
    list[6] = &e->title;
    return list;
}

static struct intern *const *exporter_interns(struct exporter *e, struct intern *list[5])
{
    list[0] = &e->texts;
    list[1] = &e->frames;
    list[2] = &e->nodes;
    list[3] = &e->keys;
    list[4] = &e->rows;
    return list;
}

/* The options' texts are the caller's and may go: keep copies. */
static enum err keep_options(struct exporter *e, const struct export_options *options)
{
    e->options = *options;
    buffer_put(&e->title, options->name);
    buffer_put(&e->title, options->active_thread);
    if (e->title.failed != ERR_OK)
        return e->title.failed;
    struct bytes kept = buffer_bytes(&e->title);
    e->options.name = bytes_first(kept, options->name.len);
    if (options->active_thread.data != NULL)
        e->options.active_thread = bytes_from(kept, options->name.len);
    return ERR_OK;
}

enum err exporter_create(const struct export_options *options, struct mem_account *account,
                         struct exporter **ret)
{
    struct exporter *e = mem_zalloc(sizeof(*e));
    if (e == NULL)
        return ERR_NOMEM;
    e->account = account;
    e->first_ns = INT64_MAX;
    e->last_ns = INT64_MIN;
    struct buffer *buffers[7];
    struct intern *interns[5];
    for (size_t i = 0; i < 7; i++)
        buffer_init(exporter_buffers(e, buffers)[i], EXPORT_TABLE_MAX, account);
    for (size_t i = 0; i < 5; i++)
        intern_init(exporter_interns(e, interns)[i], EXPORT_TABLE_MAX, account);
    enum err rc = keep_options(e, options);
    if (rc != ERR_OK) {
        exporter_destroy(e);
        return rc;
    }
    *ret = e;
    return ERR_OK;
}

void exporter_destroy(struct exporter *e)
{
    if (e == NULL)
        return;
    struct buffer *buffers[7];
    struct intern *interns[5];
    for (size_t i = 0; i < 7; i++)
        buffer_close(exporter_buffers(e, buffers)[i]);
    for (size_t i = 0; i < 5; i++)
        intern_close(exporter_interns(e, interns)[i]);
    mem_free(e);
}

/* ---- one profile ---- */

struct adding {
    struct exporter *e;
    const struct profile *p;
    struct arena *arena;
    struct sample_order order;
    const struct export_window *windows;
    size_t window_count;
    int64_t start_ns; /* of the window at hand */
    int64_t end_ns;
    uint32_t *frames;          /* of the profile -> exporter's, 0: not met yet */
    uint32_t *nodes;           /* likewise */
    struct export_value *sums; /* of the current thread, by stack of the document */
    uint32_t *touched;         /* stacks with a sum, in order of their first sample */
};

#define NS_PER_US INT64_C(1000)

/* Chunk times have no more than microseconds in them: the digits below are those of the double. */
static int64_t export_time(const struct profile *p, uint32_t sample)
{
    if (p->kind != PROFILE_CHUNK)
        return profile_sample_ns(p, sample);
    double us = profile_sample_seconds(p, sample) * 1e6;
    if (!(us >= 0))
        return 0;
    if (us >= (double)(INT64_MAX / NS_PER_US))
        return INT64_MAX / NS_PER_US * NS_PER_US;
    return (int64_t)llround(us) * NS_PER_US;
}

/* Stacks in folded lines are joined by ';' and lines end at line ends. */
static void clean_label(uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ';')
            text[i] = ':';
        else if (text[i] == '\r' || text[i] == '\n')
            text[i] = ' ';
    }
}

static bool label_has_module(const struct profile *p, const struct profile_frame *f)
{
    struct bytes platform = profile_string(p, f->platform != 0 ? f->platform : p->platform);
    return bytes_equal(platform, BYTES("python")) || bytes_equal(platform, BYTES("node"));
}

static enum err put_label(struct adding *a, const struct profile_frame *f, uint32_t *ret)
{
    struct buffer *label = &a->e->scratch;
    struct bytes name = profile_string(a->p, f->function != 0 ? f->function : f->instruction_addr);
    struct bytes origin = frame_module_or_package(a->p, f);
    buffer_clear(label);
    if (origin.len > 0 && label_has_module(a->p, f)) {
        buffer_put(label, origin);
        buffer_put_u8(label, '.');
    }
    buffer_put(label, name.len > 0 ? name : BYTES("(unknown)"));
    if (label->failed != ERR_OK)
        return label->failed;
    if (a->e->options.format == EXPORT_FOLDED)
        clean_label(label->data, label->len);
    return intern_add(&a->e->texts, buffer_bytes(label), ret);
}

static enum err map_frame(struct adding *a, uint32_t document_frame, uint32_t *ret)
{
    uint32_t index = a->p->frame_list[document_frame];
    if (a->frames[index] == 0) {
        const struct profile_frame *f = &a->p->frames[index];
        struct export_frame made = {0};
        TRY(put_label(a, f, &made.label));
        if (a->e->options.format != EXPORT_FOLDED) {
            struct bytes file = profile_string(a->p, f->abs_path != 0 ? f->abs_path : f->filename);
            TRY(intern_add(&a->e->texts, file, &made.file));
            made.line = f->line;
        }
        if (a->e->options.format == EXPORT_SPEEDSCOPE)
            made.column = f->column;
        TRY(intern_add(&a->e->frames, bytes_of(&made, sizeof(made)), &a->frames[index]));
    }
    *ret = a->frames[index];
    return ERR_OK;
}

/* The exporter's stack for a trie node: climb to what is known already, then come back down. */
static enum err map_node(struct adding *a, uint32_t leaf, uint32_t *path, uint32_t *ret,
                         struct errinfo *info)
{
    size_t depth = 0;
    uint32_t node = leaf;
    for (; node != PROFILE_NONE && a->nodes[node] == 0; node = a->p->node_parent[node])
        path[depth++] = node;
    struct export_node made = {node == PROFILE_NONE ? 0 : a->nodes[node], 0};
    while (depth-- > 0) {
        node = path[depth];
        if (profile_node_frame(a->p, node) == NULL)
            return err_set(info, ERR_MALFORMED, "invalid frame id");
        TRY(map_frame(a, a->p->node_frame[node], &made.frame));
        TRY(intern_add(&a->e->nodes, bytes_of(&made, sizeof(made)), &a->nodes[node]));
        made.parent = a->nodes[node];
    }
    *ret = made.parent;
    return ERR_OK;
}

static uint32_t stack_node(const struct adding *a, uint32_t stack)
{
    uint32_t leaf = a->p->stacks[stack];
    return leaf == PROFILE_NONE ? 0 : a->nodes[leaf];
}

static bool window_takes(const struct adding *a, const struct export_window *w, uint32_t thread)
{
    struct bytes id = profile_string(a->p, a->p->threads[thread].id);
    return w->thread.data == NULL || bytes_equal(id, w->thread);
}

static bool is_wanted(const struct adding *a, uint32_t thread)
{
    for (size_t i = 0; i < a->window_count; i++)
        if (window_takes(a, &a->windows[i], thread))
            return true;
    return false;
}

/* All stacks that weigh something, before anything is counted: a bad document adds nothing. */
static enum err map_stacks(struct adding *a, struct errinfo *info)
{
    uint32_t *path = ARENA_ARRAY(a->arena, a->p->node_count, uint32_t);
    if (path == NULL)
        return a->arena->failed;
    for (size_t t = 0; t < a->order.thread_count; t++) {
        uint32_t thread = a->order.threads[t];
        if (!is_wanted(a, thread))
            continue;
        for (uint32_t i = a->order.starts[thread]; i + 1 < a->order.starts[thread + 1]; i++) {
            uint32_t stack = a->p->sample_stack[a->order.samples[i]];
            if (stack >= a->p->stack_count)
                return err_set(info, ERR_MALFORMED, "invalid stack id");
            uint32_t node;
            if (stack_node(a, stack) == 0 && a->p->stacks[stack] != PROFILE_NONE)
                TRY(map_node(a, a->p->stacks[stack], path, &node, info));
        }
    }
    return ERR_OK;
}

static struct export_thread *thread_at(struct exporter *e, uint32_t thread)
{
    return (struct export_thread *)(void *)e->threads.data + thread;
}

static enum err append_thread(struct exporter *e, const struct export_thread *fresh, uint32_t key,
                              uint32_t *ret)
{
    uint32_t *heads = (uint32_t *)(void *)e->heads.data;
    struct export_thread *t = buffer_extend(&e->threads, sizeof(*t));
    if (t == NULL)
        return e->threads.failed;
    *t = *fresh;
    t->next = heads[key];
    *ret = heads[key] = (uint32_t)export_thread_count(e) - 1;
    return ERR_OK;
}

struct thread_key {
    struct uuid group;
    uint32_t id;
};

/* The exporter's thread for one of the profile's. */
static enum err map_thread(struct adding *a, uint32_t thread, uint32_t *ret)
{
    struct exporter *e = a->e;
    struct export_thread fresh = {
        .group = a->p->kind == PROFILE_CHUNK ? a->p->profiler_id : a->p->id,
    };
    TRY(intern_add(&e->texts, profile_string(a->p, a->p->threads[thread].id), &fresh.id));
    TRY(intern_add(&e->texts, profile_string(a->p, a->p->threads[thread].name), &fresh.name));
    struct thread_key key = {fresh.group, fresh.id};
    uint32_t index;
    TRY(intern_add(&e->keys, bytes_of(&key, sizeof(key)), &index));
    while (e->heads.failed == ERR_OK && e->heads.len / sizeof(uint32_t) <= index)
        buffer_put_u32(&e->heads, EXPORT_NONE);
    if (e->heads.failed != ERR_OK)
        return e->heads.failed;
    uint32_t head = ((const uint32_t *)(const void *)e->heads.data)[index];
    for (uint32_t t = head; t != EXPORT_NONE; t = thread_at(e, t)->next) {
        struct export_thread *known = thread_at(e, t);
        if (known->name == fresh.name || fresh.name == 0 || known->name == 0) {
            if (known->name == 0)
                known->name = fresh.name;
            *ret = t;
            return ERR_OK;
        }
    }
    return append_thread(e, &fresh, index, ret);
}

static enum err add_row(struct exporter *e, uint32_t thread, uint32_t node,
                        const struct export_value *value)
{
    if (node == 0)
        return ERR_OK; /* idle */
    struct export_row key = {e->options.format == EXPORT_FOLDED ? 0 : thread, node};
    uint32_t row;
    TRY(intern_add(&e->rows, bytes_of(&key, sizeof(key)), &row));
    size_t wanted = ((size_t)row + 1) * sizeof(*value);
    if (e->values.len < wanted) {
        size_t extra = wanted - e->values.len;
        void *fresh = buffer_extend(&e->values, extra);
        if (fresh == NULL)
            return e->values.failed;
        memset(fresh, 0, extra);
    }
    struct export_value *sum = (struct export_value *)(void *)e->values.data + row;
    sum->samples += value->samples;
    sum->ns += value->ns;
    return ERR_OK;
}

/* Weight and count of the sample from s to t inside the window. */
static struct export_value clip(const struct adding *a, int64_t s_ns, int64_t t_ns)
{
    int64_t from = s_ns > a->start_ns ? s_ns : a->start_ns;
    int64_t to = t_ns < a->end_ns ? t_ns : a->end_ns;
    bool counts = s_ns >= a->start_ns && s_ns < a->end_ns;
    uint64_t ns = to > from ? (uint64_t)to - (uint64_t)from : 0;
    return (struct export_value){.samples = counts, .ns = ns};
}

/* The first sample of the thread that may reach into the window; samples ascend. */
static uint32_t first_reaching(const struct adding *a, uint32_t thread)
{
    uint32_t begin = a->order.starts[thread];
    uint32_t low = begin;
    uint32_t high = a->order.starts[thread + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (export_time(a->p, a->order.samples[middle]) < a->start_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low > begin ? low - 1 : begin; /* the one before the window lasts until `low` */
}

static enum err flush_sums(struct adding *a, uint32_t thread, size_t touched_count)
{
    for (size_t i = 0; i < touched_count; i++) {
        uint32_t stack = a->touched[i];
        struct export_value sum = a->sums[stack];
        a->sums[stack] = (struct export_value){0};
        TRY(add_row(a->e, thread, stack_node(a, stack), &sum));
    }
    return ERR_OK;
}

static enum err add_sums(struct adding *a, uint32_t thread, uint32_t mapped)
{
    size_t touched_count = 0;
    for (uint32_t i = first_reaching(a, thread); i + 1 < a->order.starts[thread + 1]; i++) {
        uint32_t sample = a->order.samples[i];
        int64_t s_ns = export_time(a->p, sample);
        if (s_ns >= a->end_ns)
            break;
        struct export_value value = clip(a, s_ns, export_time(a->p, a->order.samples[i + 1]));
        if (value.samples == 0 && value.ns == 0)
            continue;
        struct export_value *sum = &a->sums[a->p->sample_stack[sample]];
        if (sum->samples == 0 && sum->ns == 0)
            a->touched[touched_count++] = a->p->sample_stack[sample];
        sum->samples += value.samples;
        sum->ns += value.ns;
    }
    return flush_sums(a, mapped, touched_count);
}

static enum err put_run(struct exporter *e, struct export_segment *segment, uint32_t node,
                        uint64_t ns)
{
    if (segment->run_count > 0) {
        struct export_run *runs = (struct export_run *)(void *)e->runs.data;
        struct export_run *last = &runs[segment->first_run + segment->run_count - 1];
        if (last->node == node) {
            last->ns += ns;
            return ERR_OK;
        }
    }
    struct export_run *run = buffer_extend(&e->runs, sizeof(*run));
    if (run == NULL)
        return e->runs.failed;
    *run = (struct export_run){.ns = ns, .node = node};
    segment->run_count++;
    return ERR_OK;
}

static enum err add_segment(struct adding *a, uint32_t thread, uint32_t mapped)
{
    uint32_t begin = a->order.starts[thread];
    uint32_t end = a->order.starts[thread + 1];
    int64_t first_ns = export_time(a->p, a->order.samples[begin]);
    int64_t last_ns = export_time(a->p, a->order.samples[end - 1]);
    if (first_ns >= a->end_ns || (last_ns <= a->start_ns && first_ns < a->start_ns))
        return ERR_OK;
    struct export_segment segment = {
        .start_ns = first_ns > a->start_ns ? first_ns : a->start_ns,
        .end_ns = last_ns < a->end_ns ? last_ns : a->end_ns,
        .thread = mapped,
        .first_run = (uint32_t)(a->e->runs.len / sizeof(struct export_run)),
        .order = (uint32_t)(a->e->segments.len / sizeof(struct export_segment)),
    };
    uint32_t first = first_reaching(a, thread);
    int64_t s_ns = export_time(a->p, a->order.samples[first]);
    for (uint32_t i = first; i + 1 < end && s_ns < a->end_ns; i++) {
        int64_t t_ns = export_time(a->p, a->order.samples[i + 1]);
        uint64_t ns = clip(a, s_ns, t_ns).ns;
        uint32_t stack = a->p->sample_stack[a->order.samples[i]];
        if (ns > 0)
            TRY(put_run(a->e, &segment, stack_node(a, stack), ns));
        s_ns = t_ns;
    }
    buffer_put(&a->e->segments, bytes_of(&segment, sizeof(segment)));
    return a->e->segments.failed;
}

static void widen(struct adding *a, uint32_t thread)
{
    uint32_t begin = a->order.starts[thread];
    uint32_t end = a->order.starts[thread + 1];
    int64_t first_ns = export_time(a->p, a->order.samples[begin]);
    int64_t last_ns = export_time(a->p, a->order.samples[end - 1]);
    if (first_ns >= a->end_ns || last_ns < a->start_ns)
        return;
    first_ns = first_ns > a->start_ns ? first_ns : a->start_ns;
    last_ns = last_ns < a->end_ns ? last_ns : a->end_ns;
    if (first_ns < a->e->first_ns)
        a->e->first_ns = first_ns;
    if (last_ns > a->e->last_ns)
        a->e->last_ns = last_ns;
}

static enum err add_thread(struct adding *a, uint32_t thread)
{
    widen(a, thread);
    if (a->order.starts[thread + 1] - a->order.starts[thread] < 2)
        return ERR_OK;
    uint32_t mapped = 0;
    TRY(map_thread(a, thread, &mapped));
    if (a->e->options.format == EXPORT_SPEEDSCOPE)
        return add_segment(a, thread, mapped);
    return add_sums(a, thread, mapped);
}

static enum err prepare(struct adding *a)
{
    const struct profile *p = a->p;
    TRY(sample_order_make(p, SAMPLES_BY_TIME, a->arena, &a->order));
    a->frames = ARENA_ARRAY(a->arena, p->frame_count, uint32_t);
    a->nodes = ARENA_ARRAY(a->arena, p->node_count, uint32_t);
    a->sums = ARENA_ARRAY(a->arena, p->stack_count, struct export_value);
    a->touched = ARENA_ARRAY(a->arena, p->stack_count, uint32_t);
    if (a->frames == NULL || a->nodes == NULL || a->sums == NULL || a->touched == NULL)
        return a->arena->failed;
    memset(a->frames, 0, p->frame_count * sizeof(a->frames[0]));
    memset(a->nodes, 0, p->node_count * sizeof(a->nodes[0]));
    memset(a->sums, 0, p->stack_count * sizeof(a->sums[0]));
    return ERR_OK;
}

static enum err add_profile(struct adding *a, struct errinfo *info)
{
    TRY(prepare(a));
    TRY(map_stacks(a, info));
    for (size_t t = 0; t < a->order.thread_count; t++) {
        uint32_t thread = a->order.threads[t];
        for (size_t i = 0; i < a->window_count; i++) {
            if (!window_takes(a, &a->windows[i], thread))
                continue;
            a->start_ns = a->windows[i].start_ns;
            a->end_ns = a->windows[i].end_ns;
            TRY(add_thread(a, thread));
        }
    }
    return ERR_OK;
}

enum err exporter_add(struct exporter *e, const struct profile *p,
                      const struct export_window *windows, size_t count, struct errinfo *info)
{
    struct arena arena;
    arena_init(&arena, EXPORT_TABLE_MAX, e->account);
    struct adding a = {.e = e, .p = p, .arena = &arena, .windows = windows, .window_count = count};
    enum err rc = add_profile(&a, info);
    arena_close(&arena);
    return rc;
}

/* ---- the answer ---- */

void exporter_comment(struct exporter *e, struct bytes comment)
{
    e->comment = comment;
}

enum err exporter_finish(struct exporter *e, struct buffer *out, struct errinfo *info)
{
    struct arena arena;
    arena_init(&arena, EXPORT_TABLE_MAX, e->account);
    enum err rc = ERR_OK;
    switch (e->options.format) {
    case EXPORT_FOLDED: rc = export_write_folded(e, &arena, out); break;
    case EXPORT_SPEEDSCOPE: rc = export_write_speedscope(e, &arena, out); break;
    case EXPORT_PPROF: rc = export_write_pprof(e, &arena, out, info); break;
    }
    arena_close(&arena);
    return rc == ERR_OK ? out->failed : rc;
}

const char *export_content_type(enum export_format format)
{
    switch (format) {
    case EXPORT_FOLDED: return "text/plain; charset=utf-8";
    case EXPORT_SPEEDSCOPE: return "application/json";
    case EXPORT_PPROF: return "application/octet-stream";
    }
    return NULL;
}

const char *export_file_suffix(enum export_format format)
{
    switch (format) {
    case EXPORT_FOLDED: return ".folded";
    case EXPORT_SPEEDSCOPE: return ".speedscope.json";
    case EXPORT_PPROF: return ".pb.gz";
    }
    return NULL;
}
