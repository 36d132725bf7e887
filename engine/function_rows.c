/* function_rows.c - one walk over a call tree, children before their parents. */
#include "engine/function_rows.h"

#include "base/sort.h"
#include "engine/frame_rest.h"
#include "engine/identity.h"
#include "engine/json_reader.h"

/* A call of a function, in the order of the walk. */
struct call {
    uint32_t node;
    uint32_t thread;
    uint32_t fingerprint;
    uint32_t order;
    uint64_t self_ns;
};

/* What a node hands up: time in application code, and in other code. */
struct times {
    uint64_t app;
    uint64_t other;
};

struct walk {
    const struct profile *p;
    const struct call_tree *tree;
    bool hermes;
    bool app_only;
    struct times *below; /* sums over the children, by node */
    struct call *calls;
    size_t call_count;
};

static struct bytes text_of(const struct walk *w, uint32_t id)
{
    return profile_string(w->p, id);
}

static bool data_is(const struct walk *w, const struct profile_frame *f, const char *key,
                    struct bytes json)
{
    struct bytes data = json_find(text_of(w, f->rest), "data");
    return data.data != NULL && bytes_equal(json_find(data, key), json);
}

static bool is_eligible(const struct walk *w, const struct profile_frame *f)
{
    struct bytes function = text_of(w, f->function);
    struct bytes platform = text_of(w, f->platform == 0 ? w->p->platform : f->platform);
    if (function.len == 0)
        return false;
    if (bytes_equal(platform, BYTES("cocoa")))
        return !bytes_equal(function, BYTES("main")) &&
               data_is(w, f, "symbolicator_status", BYTES("\"symbolicated\""));
    if (bytes_equal(platform, BYTES("android")) || bytes_equal(platform, BYTES("java"))) {
        struct bytes package = frame_module_or_package(w->p, f);
        return !data_is(w, f, "deobfuscation_status", BYTES("\"partial\"")) &&
               bytes_find_byte(package, '.') < package.len;
    }
    if (w->hermes && bytes_equal(platform, BYTES("javascript")))
        return data_is(w, f, "symbolicated", BYTES("true"));
    return true;
}

static void leave_node(struct walk *w, uint32_t node, uint32_t parent, uint32_t thread,
                       uint32_t depth)
{
    const struct call_node *n = &w->tree->nodes[node];
    struct times below = w->below[node];
    uint64_t duration = n->duration_ns > 0 ? (uint64_t)n->duration_ns : 0;
    uint64_t app = below.app < duration ? below.app : duration;
    if (depth >= 1 && is_eligible(w, n->frame)) {
        bool in_app = call_node_in_app(n);
        uint64_t inner = in_app ? below.app : below.app + below.other;
        uint64_t self = duration > inner ? duration - inner : 0;
        app += in_app ? self : 0;
        w->calls[w->call_count] = (struct call){.node = node,
                                                .thread = thread,
                                                .fingerprint = frame_fingerprint(w->p, n->frame),
                                                .order = (uint32_t)w->call_count,
                                                .self_ns = self};
        w->call_count++;
    }
    if (parent != CALL_NODE_NONE) {
        w->below[parent].app += app;
        w->below[parent].other += duration - app;
    }
}

/* `stack` has room for as many nodes as the tree is deep. */
static void walk_thread(struct walk *w, uint32_t thread, uint32_t *stack)
{
    for (uint32_t root = w->tree->threads[thread].first_root; root != CALL_NODE_NONE;
         root = w->tree->nodes[root].next_sibling) {
        uint32_t depth = 0;
        bool entered = false; /* whether the children of the top one are done */
        stack[0] = root;
        for (;;) {
            uint32_t child = w->tree->nodes[stack[depth]].first_child;
            if (!entered && child != CALL_NODE_NONE) {
                stack[++depth] = child;
                continue;
            }
            uint32_t node = stack[depth];
            leave_node(w, node, depth == 0 ? CALL_NODE_NONE : stack[depth - 1], thread, depth);
            if (depth == 0)
                break;
            uint32_t sibling = w->tree->nodes[node].next_sibling;
            entered = sibling == CALL_NODE_NONE;
            if (entered)
                depth--;
            else
                stack[depth] = sibling;
        }
    }
}

static int compare_calls(const void *a, const void *b, void *self)
{
    (void)self;
    const struct call *x = a;
    const struct call *y = b;
    if (x->fingerprint != y->fingerprint)
        return x->fingerprint < y->fingerprint ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int compare_rows(const void *a, const void *b, void *self)
{
    (void)self;
    const struct function_row *x = a;
    const struct function_row *y = b;
    if (x->sum_self_ns != y->sum_self_ns)
        return x->sum_self_ns > y->sum_self_ns ? -1 : 1;
    if (x->sum_duration_ns != y->sum_duration_ns)
        return x->sum_duration_ns > y->sum_duration_ns ? -1 : 1;
    return (x->fingerprint > y->fingerprint) - (x->fingerprint < y->fingerprint);
}

static enum err sum_function(const struct walk *w, const struct call *calls, size_t count,
                             struct arena *arena, struct function_row *ret)
{
    const struct call_node *first = &w->tree->nodes[calls[0].node];
    uint64_t *durations = ARENA_ARRAY(arena, count, uint64_t);
    uint64_t *selves = ARENA_ARRAY(arena, count, uint64_t);
    uint64_t longest = 0;
    if (durations == NULL || selves == NULL)
        return arena_error(arena);
    *ret = (struct function_row){.fingerprint = calls[0].fingerprint,
                                 .name = text_of(w, first->frame->function),
                                 .package = frame_module_or_package(w->p, first->frame),
                                 .in_app = call_node_in_app(first),
                                 .thread_id = w->tree->threads[calls[0].thread].id,
                                 .durations_ns = durations,
                                 .self_ns = selves,
                                 .call_count = count};
    for (size_t i = 0; i < count; i++) {
        const struct call_node *n = &w->tree->nodes[calls[i].node];
        durations[i] = n->duration_ns > 0 ? (uint64_t)n->duration_ns : 0;
        selves[i] = calls[i].self_ns;
        ret->sum_duration_ns += durations[i];
        ret->sum_self_ns += selves[i];
        ret->sample_count += n->sample_count;
        if (selves[i] > longest) {
            longest = selves[i];
            ret->thread_id = w->tree->threads[calls[i].thread].id;
        }
    }
    return ERR_OK;
}

static enum err sum_functions(const struct walk *w, struct arena *arena, struct function_row **ret,
                              size_t *ret_count)
{
    struct function_row *rows = ARENA_ARRAY(arena, w->call_count + 1, struct function_row);
    size_t count = 0;
    if (rows == NULL)
        return arena_error(arena);
    TRY(sort_array(arena->account, w->calls, w->call_count, sizeof(*w->calls), compare_calls,
                   NULL));
    for (size_t from = 0, end; from < w->call_count; from = end) {
        end = from + 1;
        while (end < w->call_count && w->calls[end].fingerprint == w->calls[from].fingerprint)
            end++;
        struct function_row *row = &rows[count];
        TRY(sum_function(w, w->calls + from, end - from, arena, row));
        count += row->sum_self_ns > 0 && row->sample_count > 1 && (row->in_app || !w->app_only);
    }
    TRY(sort_array(arena->account, rows, count, sizeof(*rows), compare_rows, NULL));
    *ret = rows;
    *ret_count = count;
    return ERR_OK;
}

enum err function_rows_make(const struct profile *p, bool app_only, struct arena *arena,
                            struct function_row **ret, size_t *ret_count, struct errinfo *info)
{
    struct call_tree tree;
    TRY(call_tree_make(p, (struct bytes){0}, arena, &tree, info));
    struct walk w = {.p = p, .tree = &tree, .app_only = app_only};
    struct bytes runtime = json_find(p->rest, "runtime");
    w.hermes = runtime.data != NULL && bytes_equal(json_find(runtime, "name"), BYTES("\"hermes\""));
    w.below = ARENA_ARRAY(arena, tree.node_count + 1, struct times);
    w.calls = ARENA_ARRAY(arena, tree.node_count + 1, struct call);
    uint32_t *stack = ARENA_ARRAY(arena, tree.node_count + 1, uint32_t);
    if (w.below == NULL || w.calls == NULL || stack == NULL)
        return arena_error(arena);
    memset(w.below, 0, (tree.node_count + 1) * sizeof(*w.below));
    for (uint32_t t = 0; t < tree.thread_count; t++)
        walk_thread(&w, t, stack);
    return sum_functions(&w, arena, ret, ret_count);
}
