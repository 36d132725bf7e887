/* flamechart.c - runs of equal outer frames become spans. */
#include "engine/flamechart.h"

#include "base/limits.h"
#include "engine/frame_platform.h"
#include "engine/identity.h"

struct chart {
    const struct flamechart_options *options;
    struct bytes thread;
    struct frame_table frames;
    struct buffer spans; /* struct flamechart_span */
    struct buffer open;  /* struct open_span, outermost first */
    struct buffer path;  /* u32 frame of the sample at hand, outermost first */
    int64_t until_ns;    /* where the open spans reach */
    uint64_t left_out;
    struct bytes name; /* in the arena */
    bool named;
    struct arena *arena;
    /* the profile at hand */
    const struct profile *profile;
    uint32_t *frame_of;
    uint32_t leaf; /* of the piece before; PROFILE_NONE: none, or nothing is open */
};

struct open_span {
    uint32_t frame;
    uint32_t span; /* PROFILE_NONE when it was left out */
};

static struct open_span *open_spans(const struct chart *c)
{
    return (struct open_span *)(void *)c->open.data;
}

static size_t open_count(const struct chart *c)
{
    return c->open.len / sizeof(struct open_span);
}

/* The last trie node that leads to both `a` and `b`, or NONE; *ret_steps: how far it is above `a`.
 * Parents come before children, so the later one of two nodes is the one to go up from. */
static uint32_t shared_node(const struct profile *p, uint32_t a, uint32_t b, size_t *ret_steps)
{
    size_t steps = 0;

    while (a != b) {
        if (b == PROFILE_NONE || (a != PROFILE_NONE && a > b)) {
            a = p->node_parent[a];
            steps++;
        } else {
            b = p->node_parent[b];
        }
    }
    *ret_steps = steps;
    return a;
}

/* Frames of a stack below trie node `above` (NONE: all of them), outermost first. */
static enum err chart_path(struct chart *c, uint32_t leaf, uint32_t above)
{
    const struct profile *p = c->profile;
    size_t depth = 0;

    for (uint32_t n = leaf; n != above; n = p->node_parent[n])
        depth++;
    buffer_clear(&c->path);
    uint32_t *path = buffer_extend(&c->path, depth * sizeof(uint32_t));
    if (path == NULL)
        return c->path.failed;
    for (uint32_t n = leaf; n != above; n = p->node_parent[n]) {
        uint32_t frame = p->frame_list[p->node_frame[n]];
        if (c->frame_of[frame] == PROFILE_NONE)
            TRY(frame_table_add(&c->frames, p, &p->frames[frame], &c->frame_of[frame]));
        path[--depth] = c->frame_of[frame];
    }
    return ERR_OK;
}

/* End all open spans but the `keep` outermost ones. */
static void chart_close(struct chart *c, size_t keep)
{
    struct flamechart_span *spans = (void *)c->spans.data;

    for (size_t i = keep; i < open_count(c); i++)
        if (open_spans(c)[i].span != PROFILE_NONE)
            spans[open_spans(c)[i].span].end_ns = c->until_ns;
    if (keep < open_count(c))
        c->open.len = keep * sizeof(struct open_span);
}

static enum err chart_open(struct chart *c, uint32_t frame, int64_t start_ns)
{
    struct open_span open = {frame, PROFILE_NONE};
    size_t count = c->spans.len / sizeof(struct flamechart_span);

    if (count >= c->options->span_max) {
        c->left_out++;
    } else {
        struct flamechart_span span = {start_ns, start_ns, (uint32_t)open_count(c), frame};
        open.span = (uint32_t)count;
        buffer_put(&c->spans, bytes_of(&span, sizeof(span)));
    }
    buffer_put(&c->open, bytes_of(&open, sizeof(open)));
    return c->spans.failed != ERR_OK ? c->spans.failed : c->open.failed;
}

/* Only what is below the node shared with the stack before is looked at; there, too, equal frames
 * go on although their trie nodes differ. */
static enum err chart_piece(struct chart *c, const struct selection_piece *piece)
{
    uint32_t leaf = c->profile->stacks[c->profile->sample_stack[piece->sample]];
    bool goes_on = piece->start_ns == c->until_ns;
    uint32_t above = PROFILE_NONE;
    size_t keep = 0;
    size_t same = 0;

    if (goes_on) {
        size_t left;
        above = shared_node(c->profile, c->leaf, leaf, &left);
        keep = open_count(c) - left;
    }
    c->leaf = leaf;
    TRY(chart_path(c, leaf, above));
    const uint32_t *path = (const void *)c->path.data;
    size_t depth = c->path.len / sizeof(uint32_t);
    while (goes_on && same < depth && keep + same < open_count(c) &&
           open_spans(c)[keep + same].frame == path[same])
        same++;
    chart_close(c, keep + same);
    for (size_t i = same; i < depth; i++)
        TRY(chart_open(c, path[i], piece->start_ns));
    c->until_ns = piece->end_ns;
    return ERR_OK;
}

static enum err chart_part(struct chart *c, const struct selection_part *part)
{
    const struct profile *p = part->profile;

    c->profile = p;
    c->frame_of = ARENA_ARRAY(part->scratch, p->frame_count, uint32_t);
    if (c->frame_of == NULL)
        return part->scratch->failed;
    memset(c->frame_of, 0xff, p->frame_count * sizeof(uint32_t));
    c->leaf = PROFILE_NONE;
    for (size_t i = 0; i < part->piece_count; i++) {
        uint32_t t = p->sample_thread[part->pieces[i].sample];
        if (i % 1024 == 0 && c->options->canceled != NULL &&
            atomic_load_explicit(c->options->canceled, memory_order_relaxed))
            return ERR_CANCELED; /* deep stacks take long */
        if (!bytes_equal(profile_string(p, p->threads[t].id), c->thread))
            continue;
        if (!c->named) {
            c->name = arena_copy(c->arena, profile_string(p, p->threads[t].name));
            c->named = true;
        }
        TRY(chart_piece(c, &part->pieces[i]));
    }
    chart_close(c, 0);
    return c->arena->failed;
}

static enum err on_part(void *self, const struct selection_part *part, struct errinfo *info)
{
    struct chart *c = self;
    enum err rc = chart_part(c, part);

    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "flame chart: %s", err_text(rc));
}

/* ---- which thread ---- */

struct thread_sums {
    uint64_t app_ns; /* time with application code somewhere on the stack */
    uint64_t samples;
};

/* Trie nodes with application code in them or above; NULL when the scratch has failed. */
static bool *nodes_of_application(const struct profile *p, struct arena *scratch)
{
    bool *frames = ARENA_ARRAY(scratch, p->frame_count, bool);
    bool *nodes = ARENA_ARRAY(scratch, p->node_count, bool);

    if (frames == NULL || nodes == NULL)
        return NULL;
    for (size_t i = 0; i < p->frame_count; i++)
        frames[i] = frame_is_application(p, &p->frames[i]);
    for (size_t n = 0; n < p->node_count; n++) { /* parents come first */
        uint32_t above = p->node_parent[n];
        nodes[n] =
            frames[p->frame_list[p->node_frame[n]]] || (above != PROFILE_NONE && nodes[above]);
    }
    return nodes;
}

/* The sums of thread number `n`; NULL without memory. */
static struct thread_sums *sums_at(struct buffer *sums, uint32_t n)
{
    size_t have = sums->len / sizeof(struct thread_sums);

    if (n >= have) {
        size_t size = (n + 1 - have) * sizeof(struct thread_sums);
        void *added = buffer_extend(sums, size);
        if (added == NULL)
            return NULL;
        memset(added, 0, size);
    }
    return (struct thread_sums *)(void *)sums->data + n;
}

static enum err on_sum(void *self, const struct selection_part *part, struct errinfo *info)
{
    struct buffer *sums = self;
    const struct profile *p = part->profile;
    const bool *in_app = nodes_of_application(p, part->scratch);

    if (in_app == NULL)
        return err_set(info, part->scratch->failed, "threads: %s", err_text(part->scratch->failed));
    for (size_t i = 0; i < part->piece_count; i++) {
        const struct selection_piece *piece = &part->pieces[i];
        uint32_t leaf = p->stacks[p->sample_stack[piece->sample]];
        struct thread_sums *t =
            sums_at(sums, part->thread_numbers[p->sample_thread[piece->sample]]);
        if (t == NULL)
            return err_set(info, sums->failed, "threads: %s", err_text(sums->failed));
        t->samples += piece->counted;
        if (leaf != PROFILE_NONE && in_app[leaf])
            t->app_ns += (uint64_t)piece->end_ns - (uint64_t)piece->start_ns;
    }
    return ERR_OK;
}

static bool is_busier(const struct thread_sums *a, const struct thread_sums *b)
{
    return a->app_ns != b->app_ns ? a->app_ns > b->app_ns : a->samples > b->samples;
}

static bool is_equal(const struct thread_sums *a, const struct thread_sums *b)
{
    return a->app_ns == b->app_ns && a->samples == b->samples;
}

static enum err busiest_thread(struct selection *s, const atomic_bool *canceled,
                               struct arena *arena, struct bytes *ret, struct errinfo *info)
{
    struct buffer sums;
    struct bytes best = BYTES("");
    const struct thread_sums *most = NULL;

    buffer_init(&sums, THREAD_SUMS_MAX, arena->account);
    enum err rc = selection_visit(s, canceled, on_sum, &sums, info);
    const struct thread_sums *all = (const void *)sums.data;
    for (size_t n = 0; rc == ERR_OK && n < sums.len / sizeof(*all); n++) {
        struct bytes id;
        struct bytes name;
        selection_thread(s, (uint32_t)n, &id, &name);
        if (most == NULL || is_busier(&all[n], most) ||
            (is_equal(&all[n], most) && thread_id_compare(id, best) < 0)) {
            best = id;
            most = &all[n];
        }
    }
    if (rc == ERR_OK) {
        *ret = arena_copy(arena, best);
        rc = arena->failed;
    }
    buffer_close(&sums);
    return rc;
}

/* As if the thread had been asked for: the coverage is that of what is shown. */
static enum err choose_thread(struct selection *s, const atomic_bool *canceled, struct arena *arena,
                              struct bytes *ret, struct errinfo *info)
{
    struct selection_request *narrow = ARENA_NEW(arena, struct selection_request);
    struct bytes *thread = ARENA_NEW(arena, struct bytes);

    if (narrow == NULL || thread == NULL)
        return err_set(info, arena->failed, "flame chart: %s", err_text(arena->failed));
    TRY(busiest_thread(s, canceled, arena, thread, info));
    *narrow = *s->request;
    narrow->threads = (struct selection_texts){thread, 1};
    s->request = narrow;
    *ret = *thread;
    return ERR_OK;
}

/* ---- the whole ---- */

static enum err chart_publish(struct chart *c, struct arena *arena, struct flamechart **ret)
{
    struct flamechart *f = ARENA_NEW(arena, struct flamechart);
    uint32_t *rank = NULL;

    if (f == NULL)
        return arena->failed;
    *f = (struct flamechart){.thread_id = c->thread,
                             .thread_name = c->named ? c->name : BYTES(""),
                             .frame_count = frame_table_count(&c->frames),
                             .span_count = c->spans.len / sizeof(struct flamechart_span)};
    TRY(frame_table_publish(&c->frames, arena, &f->frames, &rank));
    struct flamechart_span *spans = ARENA_ARRAY(arena, f->span_count, struct flamechart_span);
    if (spans == NULL)
        return arena->failed;
    for (size_t i = 0; i < f->span_count; i++) {
        spans[i] = ((const struct flamechart_span *)(const void *)c->spans.data)[i];
        spans[i].frame = rank[spans[i].frame];
    }
    f->spans = spans;
    *ret = f;
    return ERR_OK;
}

enum err flamechart_build(struct selection *s, const struct flamechart_options *options,
                          struct arena *arena, struct flamechart **ret, struct errinfo *info)
{
    struct chart c = {.options = options, .thread = options->thread, .arena = arena};

    if (c.thread.data == NULL)
        TRY(choose_thread(s, options->canceled, arena, &c.thread, info));
    frame_table_init(&c.frames, arena->account);
    buffer_init(&c.spans, FLAMEGRAPH_NODES_MAX * sizeof(struct flamechart_span), arena->account);
    buffer_init(&c.open, FLAMEGRAPH_NODES_MAX * sizeof(struct open_span), arena->account);
    buffer_init(&c.path, FLAMEGRAPH_NODES_MAX * sizeof(uint32_t), arena->account);
    enum err rc = selection_visit(s, options->canceled, on_part, &c, info);
    if (rc == ERR_OK && (rc = chart_publish(&c, arena, ret)) != ERR_OK)
        rc = err_set(info, rc, "flame chart: %s", err_text(rc));
    if (rc == ERR_OK)
        coverage_leave_out(&s->coverage, "spans", "max_spans", c.left_out);
    frame_table_close(&c.frames);
    buffer_close(&c.spans);
    buffer_close(&c.open);
    buffer_close(&c.path);
    return rc;
}
