#include <stdlib.h>

#include "base/json_writer.h"
#include "base/limits.h"
#include "engine/document.h"
#include "engine/frame_platform.h"
#include "engine/frame_rest.h"
#include "engine/identity.h"
#include "engine/json_reader.h"
#include "engine/sample_order.h"

static bool is_platform(const struct profile *p, const char *platform)
{
    return bytes_equal(profile_string(p, p->platform), bytes_of_text(platform));
}

/* ---- frames ---- */

struct frames {
    const struct profile *p;
    struct arena *arena;
    struct bytes *strings; /* the profile's, then those made here */
    size_t string_count;
    uint32_t *rests; /* string -> string with `status` set; 0: not made yet */
};

/* `rest` with the symbolicator's status as its own. */
static enum err write_status(struct bytes rest, struct bytes status, struct buffer *scratch,
                             struct buffer *out)
{
    struct json_writer w;
    struct json_reader r;
    struct bytes name;
    json_writer_init(&w, out);
    json_reader_init(&r, rest, scratch, NULL);
    json_begin_object(&w);
    json_enter_object(&r);
    while (json_next_member(&r, &name)) {
        bool replaced = bytes_equal(name, BYTES("status"));
        if (!replaced)
            json_key_bytes(&w, name);
        struct bytes value = json_skip(&r);
        if (!replaced && r.failed == ERR_OK)
            json_raw(&w, value);
    }
    TRY(json_end(&r));
    json_key(&w, "status");
    json_raw(&w, status);
    json_end_object(&w);
    return out->failed;
}

static enum err keep_string(struct frames *fs, struct bytes text, uint32_t *ret)
{
    struct bytes kept = arena_copy(fs->arena, text);
    if (kept.data == NULL)
        return fs->arena->failed;
    fs->strings[fs->string_count] = kept;
    *ret = (uint32_t)fs->string_count++;
    return ERR_OK;
}

static enum err make_rest(struct frames *fs, uint32_t rest, uint32_t *ret)
{
    struct bytes text = profile_string(fs->p, rest);
    struct bytes status = frame_rest_symbolicator_status(text);
    *ret = rest;
    if (status.len == 0)
        return ERR_OK;
    struct buffer scratch;
    struct buffer out;
    buffer_init(&scratch, JSON_STRING_MAX, fs->arena->account);
    buffer_init(&out, SIZE_MAX, fs->arena->account); /* little longer than `text` */
    enum err rc = write_status(text, status, &scratch, &out);
    if (rc == ERR_OK)
        rc = keep_string(fs, buffer_bytes(&out), ret);
    buffer_close(&scratch);
    buffer_close(&out);
    return rc == ERR_MALFORMED ? ERR_CORRUPT : rc;
}

static enum err set_status(struct frames *fs, struct profile_frame *f)
{
    if (f->rest == 0 || f->rest >= fs->p->string_count)
        return ERR_OK;
    uint32_t *made = &fs->rests[f->rest];
    if (*made == 0)
        TRY(make_rest(fs, f->rest, made));
    f->rest = *made;
    return ERR_OK;
}

static bool any_rest(const struct profile *p)
{
    for (size_t i = 0; i < p->frame_count; i++)
        if (p->frames[i].rest != 0)
            return true;
    return false;
}

/* Strings that frames' statuses may add: at most one for each there is. */
static enum err extend_strings(struct frames *fs, struct profile *ret)
{
    const struct profile *p = fs->p;
    fs->strings = ARENA_ARRAY(fs->arena, 2 * p->string_count, struct bytes);
    fs->rests = ARENA_ARRAY(fs->arena, p->string_count, uint32_t);
    if (fs->strings == NULL || fs->rests == NULL)
        return fs->arena->failed;
    memcpy(fs->strings, p->strings, p->string_count * sizeof(p->strings[0]));
    memset(fs->rests, 0, p->string_count * sizeof(fs->rests[0]));
    fs->string_count = p->string_count;
    ret->strings = fs->strings;
    return ERR_OK;
}

/* Status, platform and in_app of every frame. */
static enum err normalize_frames(const struct profile *p, struct arena *arena, struct profile *ret)
{
    struct frames fs = {.p = p, .arena = arena};
    struct profile_frame *frames = ARENA_ARRAY(arena, p->frame_count, struct profile_frame);
    if (frames == NULL)
        return arena->failed;
    bool has_rest = any_rest(p);
    if (has_rest)
        TRY(extend_strings(&fs, ret));
    for (size_t i = 0; i < p->frame_count; i++) {
        frames[i] = p->frames[i];
        frames[i].in_app = frame_is_application(p, &p->frames[i]) ? IN_APP_TRUE : IN_APP_FALSE;
        if (profile_string(p, frames[i].platform).len == 0)
            frames[i].platform = p->platform;
        if (has_rest)
            TRY(set_status(&fs, &frames[i]));
    }
    if (has_rest)
        ret->string_count = fs.string_count;
    ret->frames = frames;
    return ERR_OK;
}

/* ---- Python: the module frame of code given as text ---- */

static const struct profile_frame *listed_frame(const struct profile *p, size_t index)
{
    uint32_t frame = p->frame_list[index];
    return frame < p->frame_count ? &p->frames[frame] : NULL;
}

static uint32_t find_string_module(const struct profile *p)
{
    for (size_t i = p->frame_list_count; i-- > 0;) {
        const struct profile_frame *f = listed_frame(p, i);
        if (f != NULL && bytes_equal(profile_string(p, f->filename), BYTES("<string>")) &&
            bytes_equal(profile_string(p, f->function), BYTES("<module>")))
            return (uint32_t)i;
    }
    return PROFILE_NONE;
}

/* Stacks whose outermost entry is that frame lose the entry: in the trie, the roots that are this
 * frame vanish and their children become roots. */
static enum err trim_python(const struct profile *p, struct arena *arena, struct profile *ret)
{
    uint32_t module = find_string_module(p);
    if (module == PROFILE_NONE)
        return ERR_OK;
    uint32_t *parents = ARENA_ARRAY(arena, p->node_count, uint32_t);
    uint32_t *stacks = ARENA_ARRAY(arena, p->stack_count, uint32_t);
    if (parents == NULL || stacks == NULL)
        return arena->failed;
    for (size_t i = 0; i < p->node_count; i++) {
        uint32_t parent = p->node_parent[i];
        bool below_module = parent != PROFILE_NONE && p->node_parent[parent] == PROFILE_NONE &&
                            p->node_frame[parent] == module;
        parents[i] = below_module ? PROFILE_NONE : parent;
    }
    for (size_t i = 0; i < p->stack_count; i++) {
        uint32_t leaf = p->stacks[i];
        bool is_module = leaf != PROFILE_NONE && p->node_parent[leaf] == PROFILE_NONE &&
                         p->node_frame[leaf] == module;
        stacks[i] = is_module ? PROFILE_NONE : leaf;
    }
    ret->node_parent = parents;
    ret->stacks = stacks;
    return ERR_OK;
}

/* ---- Cocoa: what runs before main ---- */

#define MAIN_DEPTH_MAX 10 /* entries from the outermost that are searched for main */

struct trim {
    const struct profile *p;
    uint32_t main;       /* frame, as numbered in the document */
    uint8_t *depths;     /* of a node, 1 for roots, stopping at MAIN_DEPTH_MAX + 1 */
    bool *has_main;      /* main is the node or outside it */
    uint32_t *new_nodes; /* node -> its number in the trie being made */
    uint32_t *parents;   /* the trie being made */
    uint32_t *frames;
    uint32_t count;
};

static uint32_t find_main(const struct profile *p)
{
    for (size_t i = 0; i < p->frame_list_count; i++) {
        const struct profile_frame *f = listed_frame(p, i);
        if (f != NULL && bytes_equal(profile_string(p, f->function), BYTES("main")))
            return (uint32_t)i;
    }
    return PROFILE_NONE;
}

static uint32_t trim_append(struct trim *t, uint32_t parent, uint32_t frame)
{
    t->parents[t->count] = parent;
    t->frames[t->count] = frame;
    return t->count++;
}

static bool is_symbolicated(const struct profile *p, uint32_t node)
{
    const struct profile_frame *f = profile_node_frame(p, node);
    if (f == NULL)
        return false;
    struct bytes status = frame_rest_symbolicator_status(profile_string(p, f->rest));
    return bytes_equal(status, BYTES("\"symbolicated\""));
}

/* The parent that `node`, which is main, gets: only symbolicated frames stay outside it. */
static uint32_t outside_main(struct trim *t, uint32_t node)
{
    uint32_t kept[MAIN_DEPTH_MAX];
    unsigned count = 0;
    for (uint32_t n = t->p->node_parent[node]; n != PROFILE_NONE; n = t->p->node_parent[n])
        if (is_symbolicated(t->p, n))
            kept[count++] = t->p->node_frame[n];
    uint32_t parent = PROFILE_NONE;
    while (count-- > 0)
        parent = trim_append(t, parent, kept[count]);
    return parent;
}

static void trim_node(struct trim *t, uint32_t node)
{
    uint32_t parent = t->p->node_parent[node];
    bool is_root = parent == PROFILE_NONE;
    uint8_t above = is_root ? 0 : t->depths[parent];
    t->depths[node] = above > MAIN_DEPTH_MAX ? above : above + 1;
    bool outside = !is_root && t->has_main[parent];
    bool is_main = t->p->node_frame[node] == t->main && t->depths[node] <= MAIN_DEPTH_MAX;
    t->has_main[node] = outside || is_main;
    uint32_t new_parent = is_root ? PROFILE_NONE : t->new_nodes[parent];
    if (is_main && !outside && !is_root)
        new_parent = outside_main(t, node);
    t->new_nodes[node] = trim_append(t, new_parent, t->p->node_frame[node]);
}

static size_t count_nodes_of(const struct profile *p, uint32_t frame)
{
    size_t count = 0;
    for (size_t i = 0; i < p->node_count; i++)
        count += p->node_frame[i] == frame;
    return count;
}

static enum err trim_cocoa(const struct profile *p, struct arena *arena, struct profile *ret)
{
    struct trim t = {.p = p, .main = find_main(p)};
    if (t.main == PROFILE_NONE)
        return ERR_OK;
    size_t room = p->node_count + count_nodes_of(p, t.main) * (MAIN_DEPTH_MAX - 1);
    uint32_t *stacks = ARENA_ARRAY(arena, p->stack_count, uint32_t);
    t.depths = ARENA_ARRAY(arena, p->node_count, uint8_t);
    t.has_main = ARENA_ARRAY(arena, p->node_count, bool);
    t.new_nodes = ARENA_ARRAY(arena, p->node_count, uint32_t);
    t.parents = ARENA_ARRAY(arena, room, uint32_t);
    t.frames = ARENA_ARRAY(arena, room, uint32_t);
    if (stacks == NULL || arena->failed != ERR_OK)
        return arena->failed;
    for (uint32_t node = 0; node < p->node_count; node++)
        trim_node(&t, node);
    for (size_t i = 0; i < p->stack_count; i++)
        stacks[i] = p->stacks[i] == PROFILE_NONE ? PROFILE_NONE : t.new_nodes[p->stacks[i]];
    ret->node_parent = t.parents;
    ret->node_frame = t.frames;
    ret->node_count = t.count;
    ret->stacks = stacks;
    return ERR_OK;
}

/* ---- idle samples of transaction profiles ---- */

struct idle {
    const struct profile *p; /* frames and stacks are normalised */
    struct sample_order order;
    uint32_t *stacks; /* the profile's, then one a filled gap */
    size_t stack_count;
    uint32_t *sample_stack;
    uint8_t *sample_idle;
    uint32_t *left; /* paths of two stacks, leaf first */
    uint32_t *right;
};

static bool is_bad(const struct idle *d, uint32_t sample)
{
    return d->p->sample_stack[sample] >= d->p->stack_count;
}

static bool is_idle(const struct idle *d, uint32_t sample)
{
    return d->p->stacks[d->p->sample_stack[sample]] == PROFILE_NONE;
}

static size_t path_of(const struct profile *p, uint32_t node, uint32_t *path)
{
    size_t depth = 0;
    for (; node != PROFILE_NONE; node = p->node_parent[node])
        path[depth++] = node;
    return depth;
}

/* Equal by file, function, line and address. */
static bool is_same_frame(const struct profile *p, uint32_t a, uint32_t b)
{
    const struct profile_frame *f = profile_node_frame(p, a);
    const struct profile_frame *g = profile_node_frame(p, b);
    if (f == NULL || g == NULL)
        return false;
    if (f == g)
        return true;
    char id_f[33];
    char id_g[33];
    frame_id(p, f, id_f);
    frame_id(p, g, id_g);
    return memcmp(id_f, id_g, sizeof(id_f)) == 0;
}

/* The common outer part of two stacks is a node on the way to the earlier one's leaf. */
static uint32_t common_part(struct idle *d, uint32_t before, uint32_t after)
{
    size_t left = path_of(d->p, d->p->stacks[before], d->left);
    size_t right = path_of(d->p, d->p->stacks[after], d->right);
    uint32_t common = PROFILE_NONE;
    while (left > 0 && right > 0 && is_same_frame(d->p, d->left[left - 1], d->right[right - 1])) {
        common = d->left[--left];
        right--;
    }
    return common;
}

/* Samples from `at` on that are idle, bad ones in between not counting; gives where the run ends. */
static uint32_t mark_gap(struct idle *d, uint32_t at, uint32_t end)
{
    for (; at < end; at++) {
        uint32_t sample = d->order.samples[at];
        if (is_bad(d, sample))
            continue;
        if (!is_idle(d, sample))
            break;
        d->sample_idle[sample] = 1;
    }
    return at;
}

static void fill_gap(struct idle *d, uint32_t from, uint32_t to, uint32_t before, uint32_t after)
{
    uint32_t stack = (uint32_t)d->stack_count;
    d->stacks[d->stack_count++] = common_part(d, before, after);
    for (uint32_t i = from; i < to; i++)
        if (!is_bad(d, d->order.samples[i]))
            d->sample_stack[d->order.samples[i]] = stack;
}

/* The sample that closes a filled gap is not remembered as the one before the next: vroom's habit,
 * which its documents show. */
static void fill_thread(struct idle *d, uint32_t at, uint32_t end)
{
    uint32_t before = PROFILE_NONE;
    while (at < end) {
        uint32_t sample = d->order.samples[at];
        if (is_bad(d, sample)) {
            at++;
        } else if (!is_idle(d, sample)) {
            before = d->p->sample_stack[sample];
            at++;
        } else {
            uint32_t closed = mark_gap(d, at, end);
            if (closed == end)
                return;
            if (before != PROFILE_NONE) {
                fill_gap(d, at, closed, before, d->p->sample_stack[d->order.samples[closed]]);
                closed++;
            }
            at = closed;
        }
    }
}

/* At most one gap for every idle sample. */
static size_t count_idle(const struct idle *d)
{
    size_t count = 0;
    for (uint32_t i = 0; i < d->p->sample_count; i++)
        count += !is_bad(d, i) && is_idle(d, i);
    return count;
}

static enum err copy_idle_columns(struct idle *d, size_t idle_count, struct arena *arena)
{
    const struct profile *p = d->p;
    d->stacks = ARENA_ARRAY(arena, p->stack_count + idle_count, uint32_t);
    d->sample_stack = ARENA_ARRAY(arena, p->sample_count, uint32_t);
    d->sample_idle = ARENA_ARRAY(arena, p->sample_count, uint8_t);
    d->left = ARENA_ARRAY(arena, p->node_count, uint32_t);
    d->right = ARENA_ARRAY(arena, p->node_count, uint32_t);
    if (d->stacks == NULL || arena->failed != ERR_OK)
        return arena->failed;
    memcpy(d->stacks, p->stacks, p->stack_count * sizeof(d->stacks[0]));
    memcpy(d->sample_stack, p->sample_stack, p->sample_count * sizeof(d->sample_stack[0]));
    if (p->sample_idle != NULL)
        memcpy(d->sample_idle, p->sample_idle, p->sample_count);
    else
        memset(d->sample_idle, 0, p->sample_count);
    d->stack_count = p->stack_count;
    return ERR_OK;
}

static enum err fill_idle(const struct profile *p, struct arena *arena, struct profile *ret)
{
    struct idle d = {.p = p};
    size_t idle_count = count_idle(&d);
    if (idle_count == 0)
        return ERR_OK;
    TRY(copy_idle_columns(&d, idle_count, arena));
    TRY(sample_order_make(p, SAMPLES_BY_DOCUMENT, arena, &d.order));
    for (size_t t = 0; t < d.order.thread_count; t++) {
        uint32_t thread = d.order.threads[t];
        fill_thread(&d, d.order.starts[thread], d.order.starts[thread + 1]);
    }
    ret->stacks = d.stacks;
    ret->stack_count = d.stack_count;
    ret->sample_stack = d.sample_stack;
    ret->sample_idle = d.sample_idle;
    return ERR_OK;
}

/* ---- all of it ---- */

enum err normalize_profile(const struct profile *p, struct arena *arena, struct profile *ret,
                           struct errinfo *info)
{
    struct profile made = *p;
    enum err rc = normalize_frames(p, arena, &made);
    struct profile trimmed = made;
    if (rc == ERR_OK && is_platform(p, "python"))
        rc = trim_python(&made, arena, &trimmed);
    if (rc == ERR_OK && p->kind == PROFILE_TRANSACTION && is_platform(p, "cocoa"))
        rc = trim_cocoa(&made, arena, &trimmed);
    struct profile filled = trimmed;
    if (rc == ERR_OK && p->kind == PROFILE_TRANSACTION)
        rc = fill_idle(&trimmed, arena, &filled);
    if (rc == ERR_CORRUPT)
        return err_set(info, rc, "profile: the rest of a frame is no JSON object");
    if (rc == ERR_OK)
        *ret = filled;
    return rc;
}
