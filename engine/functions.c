/* functions.c - nodes of a flame graph summed by function. */
#include "engine/functions.h"

#include "base/sort.h"
#include "engine/identity.h"

struct keyed_frame {
    struct hash128 key; /* of the function, not of the frame */
    uint32_t frame;
};

struct function_sums {
    struct function_figures *figures;
    size_t count;
    uint32_t *function_of; /* frame -> function */
    uint64_t *best_self;   /* self time of the representative's frame */
    uint32_t *open;        /* calls of the function on the path at hand */
};

static struct hash128 function_key(const struct flamegraph_frame *f)
{
    struct bytes where = f->module.len > 0 ? f->module : trim_package(f->package);

    if (where.len == 0)
        where = f->filename;
    return hash_bytes128(f->function, hash_bytes(where, 0));
}

static int keyed_compare(const void *left, const void *right, void *context)
{
    (void)context;
    const struct keyed_frame *a = left;
    const struct keyed_frame *b = right;
    int order = hash128_compare(a->key, b->key);

    return order != 0 ? order : (a->frame > b->frame) - (a->frame < b->frame);
}

/* Number the functions; frames of equal key are neighbours after sorting. */
static enum err sums_init(struct function_sums *s, const struct flamegraph *g, struct arena *arena)
{
    struct keyed_frame *keyed = ARENA_ARRAY(arena, g->frame_count, struct keyed_frame);

    s->figures = ARENA_ARRAY(arena, g->frame_count, struct function_figures);
    s->function_of = ARENA_ARRAY(arena, g->frame_count, uint32_t);
    s->best_self = ARENA_ARRAY(arena, g->frame_count, uint64_t);
    s->open = ARENA_ARRAY(arena, g->frame_count, uint32_t);
    if (arena->failed != ERR_OK)
        return arena->failed;
    for (size_t i = 0; i < g->frame_count; i++)
        keyed[i] = (struct keyed_frame){function_key(&g->frames[i]), (uint32_t)i};
    TRY(sort_array(arena->account, keyed, g->frame_count, sizeof(*keyed), keyed_compare, NULL));
    s->count = 0;
    for (size_t i = 0; i < g->frame_count; i++) {
        if (i == 0 || !hash128_equal(keyed[i].key, keyed[i - 1].key)) {
            const struct flamegraph_frame *f = &g->frames[keyed[i].frame];
            s->best_self[s->count] = 0;
            s->open[s->count] = 0;
            s->figures[s->count++] =
                (struct function_figures){.frame = f, .fingerprint = f->fingerprint};
        }
        s->function_of[keyed[i].frame] = (uint32_t)(s->count - 1);
    }
    return ERR_OK;
}

/* The frame with the most self time stands for its function; ties go to the first by identity. */
static enum err sums_represent(struct function_sums *s, const struct flamegraph *g,
                               struct arena *arena)
{
    uint64_t *self = ARENA_ARRAY(arena, g->frame_count, uint64_t);

    if (self == NULL)
        return arena->failed;
    memset(self, 0, g->frame_count * sizeof(*self));
    for (size_t t = 0; t < g->tree_count; t++)
        for (size_t i = 0; i < g->trees[t].node_count; i++)
            self[g->trees[t].frame[i]] += g->trees[t].self_ns[i];
    for (size_t i = 0; i < g->frame_count; i++) {
        uint32_t function = s->function_of[i];
        if (self[i] > s->best_self[function]) {
            s->best_self[function] = self[i];
            s->figures[function].frame = &g->frames[i];
        }
    }
    return ERR_OK;
}

static void sums_enter(struct function_sums *s, const struct flamegraph_tree *t, size_t node)
{
    uint32_t function = s->function_of[t->frame[node]];
    struct function_figures *f = &s->figures[function];

    f->self_ns += t->self_ns[node];
    f->self_samples += t->self_samples[node];
    if (s->open[function]++ == 0) {
        f->total_ns += t->total_ns[node];
        f->total_samples += t->total_samples[node];
    }
}

/* Depth first without a stack: children are neighbours, so the next sibling is the next node, if
 * it has the same parent. */
static enum err sums_add_tree(struct function_sums *s, const struct flamegraph_tree *t,
                              struct arena *arena)
{
    uint32_t *first_child = ARENA_ARRAY(arena, t->node_count, uint32_t);

    if (first_child == NULL)
        return arena->failed;
    memset(first_child, 0xff, t->node_count * sizeof(*first_child));
    for (size_t i = t->node_count; i-- > 0;)
        if (t->parent[i] != FLAMEGRAPH_NO_PARENT)
            first_child[t->parent[i]] = (uint32_t)i;
    if (t->node_count == 0)
        return ERR_OK;
    size_t node = 0;
    sums_enter(s, t, node);
    for (;;) {
        if (first_child[node] != UINT32_MAX) {
            node = first_child[node];
            sums_enter(s, t, node);
            continue;
        }
        for (;;) {
            s->open[s->function_of[t->frame[node]]]--;
            if (node + 1 < t->node_count && t->parent[node + 1] == t->parent[node])
                break;
            if (t->parent[node] == FLAMEGRAPH_NO_PARENT)
                return ERR_OK;
            node = t->parent[node];
        }
        node++;
        sums_enter(s, t, node);
    }
}

static int falling(uint64_t a, uint64_t b)
{
    return (a < b) - (a > b);
}

static int figures_compare(const void *left, const void *right, void *context)
{
    const struct function_figures *a = left;
    const struct function_figures *b = right;
    const enum function_order *order = context;
    int self = falling(a->self_ns, b->self_ns);
    int total = falling(a->total_ns, b->total_ns);
    int by = *order == FUNCTIONS_BY_SELF ? self : total;

    if (by == 0)
        by = *order == FUNCTIONS_BY_SELF ? total : self;
    if (by == 0)
        by = bytes_compare(a->frame->function, b->frame->function);
    return by != 0 ? by : hash128_compare(a->frame->identity, b->frame->identity);
}

enum err functions_of(const struct flamegraph *g, enum function_order order, struct arena *arena,
                      struct function_figures **ret, size_t *ret_count, struct errinfo *info)
{
    struct function_sums s = {0};

    enum err rc = sums_init(&s, g, arena);
    for (size_t t = 0; t < g->tree_count && rc == ERR_OK; t++)
        rc = sums_add_tree(&s, &g->trees[t], arena);
    if (rc == ERR_OK)
        rc = sums_represent(&s, g, arena);
    if (rc == ERR_OK)
        rc = sort_array(arena->account, s.figures, s.count, sizeof(*s.figures), figures_compare,
                        &order);
    if (rc != ERR_OK)
        return err_set(info, rc, "functions: %s", err_text(rc));
    *ret = s.figures;
    *ret_count = s.count;
    return ERR_OK;
}
