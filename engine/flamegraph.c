/* flamegraph.c - pieces of samples to one merged call tree.
 *
 * 1. Accumulate. A profile's stacks are a trie. The first time a sample ends in a trie node, the
 *    path above it is looked up (or added) in the accumulator once, and every trie node of that
 *    path remembers where it led; from then on a sample costs one addition. So a profile costs
 *    O(samples + distinct stack nodes), not samples times depth. Profiles that no window cuts come
 *    thread by thread, and a run of equal stacks is one addition.
 *    Rows of sealed segments that no window cuts come as stored sums: (thread, node, weight), many
 *    rows at once; a node of the segment is looked up once, its path above it too.
 * 2. Arrange. Nodes are bucketed by the rank of their frame's identity, then handed to their
 *    parents in that order, which sorts all lists of children in linear time; a walk breadth-first
 *    numbers them; one sweep from the back adds totals up.
 */
#include "engine/flamegraph.h"

#include <assert.h>

#include "base/limits.h"
#include "base/sort.h"
#include "engine/identity.h"

#define ROOT_FLAG UINT32_C(0x80000000) /* parent of a root: this bit and the number of its tree */

struct acc_node {
    uint32_t parent; /* accumulator node, or ROOT_FLAG | tree */
    uint32_t frame;
    uint64_t self_ns;
    uint64_t self_samples;
};

struct acc_tree {
    uint64_t idle_ns;
    uint64_t idle_samples;
    uint64_t sum_ns;
    uint64_t sum_samples;
};

/* What is known of the part whose trees come; another part has other numbers. */
struct tree_part {
    bool any;
    uint32_t part;
    struct id_map nodes;  /* (tree, node of the part) -> accumulator node */
    struct id_map frames; /* frame of the part -> accumulator frame */
    struct buffer path;   /* u32, nodes on the way up */
};

struct accumulator {
    bool separate;
    struct buffer nodes;      /* struct acc_node */
    struct buffer node_slots; /* u32 node + 1, 0 free; power of two many */
    struct frame_table frames;
    struct buffer trees; /* struct acc_tree */
    struct tree_part part;
};

/* What is known of the profile being added; all of it is scratch. */
struct adding {
    struct accumulator *acc;
    const struct profile *profile;
    uint32_t tree;
    uint32_t *frame_of; /* distinct frame of the profile -> accumulator frame, or NONE */
    uint32_t *node_of;  /* trie node -> accumulator node, or NONE */
    uint32_t *visited;  /* trie nodes that node_of knows */
    size_t visited_count;
    struct acc_tree sums; /* not yet in the tree */
};

static struct acc_node *acc_nodes(const struct accumulator *acc)
{
    return (struct acc_node *)(void *)acc->nodes.data;
}

static struct acc_tree *acc_trees(const struct accumulator *acc)
{
    return (struct acc_tree *)(void *)acc->trees.data;
}

static size_t acc_node_count(const struct accumulator *acc)
{
    return acc->nodes.len / sizeof(struct acc_node);
}

static uint32_t *u32_of(const struct buffer *b)
{
    return (uint32_t *)(void *)b->data;
}

static size_t u32_count(const struct buffer *b)
{
    return b->len / sizeof(uint32_t);
}

static uint64_t node_hash(const struct accumulator *acc, uint32_t parent, uint32_t frame)
{
    return hash_pair(parent, frame, acc->frames.texts.seed);
}

static enum err acc_find_node(struct accumulator *acc, uint32_t parent, uint32_t frame,
                              uint32_t *ret)
{
    bool grown;

    TRY(slots_reserve(&acc->node_slots, acc_node_count(acc), &grown));
    if (grown)
        for (size_t i = 0; i < acc_node_count(acc); i++)
            slots_put(&acc->node_slots,
                      node_hash(acc, acc_nodes(acc)[i].parent, acc_nodes(acc)[i].frame),
                      (uint32_t)i);
    const uint32_t *slots = u32_of(&acc->node_slots);
    size_t mask = u32_count(&acc->node_slots) - 1;
    uint64_t hash = node_hash(acc, parent, frame);
    for (size_t at = (size_t)hash & mask; slots[at] != 0; at = (at + 1) & mask) {
        const struct acc_node *n = &acc_nodes(acc)[slots[at] - 1];
        if (n->parent == parent && n->frame == frame) {
            *ret = slots[at] - 1;
            return ERR_OK;
        }
    }
    struct acc_node *added = buffer_extend(&acc->nodes, sizeof(*added));
    if (added == NULL)
        return acc->nodes.failed;
    *added = (struct acc_node){.parent = parent, .frame = frame};
    *ret = (uint32_t)(acc_node_count(acc) - 1);
    slots_put(&acc->node_slots, hash, *ret);
    return ERR_OK;
}

static enum err acc_reserve_trees(struct accumulator *acc, size_t count)
{
    size_t have = acc->trees.len / sizeof(struct acc_tree);

    if (count <= have)
        return ERR_OK;
    void *added = buffer_extend(&acc->trees, (count - have) * sizeof(struct acc_tree));
    if (added == NULL)
        return acc->trees.failed;
    memset(added, 0, (count - have) * sizeof(struct acc_tree));
    return ERR_OK;
}

/* ---- one profile ---- */

static enum err adding_frame(struct adding *a, uint32_t node, uint32_t *ret)
{
    const struct profile *p = a->profile;
    uint32_t frame = p->frame_list[p->node_frame[node]];

    if (a->frame_of[frame] == PROFILE_NONE)
        TRY(frame_table_add(&a->acc->frames, p, &p->frames[frame], &a->frame_of[frame]));
    *ret = a->frame_of[frame];
    return ERR_OK;
}

/* Where trie node `leaf` leads; the part of its path not yet known is found from the top down. */
static enum err adding_resolve(struct adding *a, uint32_t leaf)
{
    const struct profile *p = a->profile;
    size_t first = a->visited_count;

    for (uint32_t node = leaf; node != PROFILE_NONE && a->node_of[node] == PROFILE_NONE;
         node = p->node_parent[node])
        a->visited[a->visited_count++] = node;
    for (size_t i = a->visited_count; i-- > first;) {
        uint32_t node = a->visited[i];
        uint32_t above = p->node_parent[node];
        uint32_t parent = above == PROFILE_NONE ? ROOT_FLAG | a->tree : a->node_of[above];
        uint32_t frame;
        TRY(adding_frame(a, node, &frame));
        TRY(acc_find_node(a->acc, parent, frame, &a->node_of[node]));
        if (a->node_of[node] >= ROOT_FLAG)
            return ERR_LIMIT;
    }
    return ERR_OK;
}

/* Samples that end in `stack`. */
static inline enum err adding_weigh(struct adding *a, uint32_t stack, uint64_t weight_ns,
                                    uint64_t samples)
{
    uint32_t leaf = a->profile->stacks[stack];

    a->sums.sum_ns += weight_ns;
    a->sums.sum_samples += samples;
    if (leaf == PROFILE_NONE) {
        a->sums.idle_ns += weight_ns;
        a->sums.idle_samples += samples;
        return ERR_OK;
    }
    if (a->node_of[leaf] == PROFILE_NONE)
        TRY(adding_resolve(a, leaf));
    struct acc_node *node = &acc_nodes(a->acc)[a->node_of[leaf]];
    node->self_ns += weight_ns;
    node->self_samples += samples;
    return ERR_OK;
}

static void adding_end_tree(struct adding *a)
{
    struct acc_tree *tree = &acc_trees(a->acc)[a->tree];

    tree->idle_ns += a->sums.idle_ns;
    tree->idle_samples += a->sums.idle_samples;
    tree->sum_ns += a->sums.sum_ns;
    tree->sum_samples += a->sums.sum_samples;
    a->sums = (struct acc_tree){0};
}

/* Pieces of one tree; `order` picks them, NULL takes all of them as they come. */
static enum err adding_pieces(struct adding *a, const struct selection_piece *pieces,
                              const uint32_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct selection_piece *piece = &pieces[order == NULL ? i : order[i]];
        uint64_t weight_ns = (uint64_t)piece->end_ns - (uint64_t)piece->start_ns;
        TRY(adding_weigh(a, a->profile->sample_stack[piece->sample], weight_ns, piece->counted));
    }
    adding_end_tree(a);
    return ERR_OK;
}

/* Samples of one thread, none of them cut. Equal stacks in a row are one run, which lasts until
 * the sample after it; the thread's last sample only closes. */
static enum err adding_runs(struct adding *a, const uint32_t *samples, size_t count)
{
    const struct profile *p = a->profile;
    int64_t start_ns = profile_sample_ns(p, samples[0]);

    for (size_t at = 0, next; at + 1 < count; at = next) {
        uint32_t stack = p->sample_stack[samples[at]];
        next = at + 1;
        while (next + 1 < count && p->sample_stack[samples[next]] == stack)
            next++;
        int64_t end_ns = profile_sample_ns(p, samples[next]);
        TRY(adding_weigh(a, stack, (uint64_t)end_ns - (uint64_t)start_ns, next - at));
        start_ns = end_ns;
    }
    adding_end_tree(a);
    return ERR_OK;
}

static void adding_forget(struct adding *a)
{
    for (size_t i = 0; i < a->visited_count; i++)
        a->node_of[a->visited[i]] = PROFILE_NONE;
    a->visited_count = 0;
}

/* The pieces' numbers, thread by thread: those of thread t are [first[t], first[t + 1]). `first`
 * has two more entries than there are threads. */
static void pieces_by_thread(const struct selection_part *part, uint32_t *order, size_t *first)
{
    const struct profile *p = part->profile;

    memset(first, 0, (p->thread_count + 2) * sizeof(*first));
    for (size_t i = 0; i < part->piece_count; i++)
        first[p->sample_thread[part->pieces[i].sample] + 2]++;
    for (size_t t = 2; t < p->thread_count + 2; t++)
        first[t] += first[t - 1];
    for (size_t i = 0; i < part->piece_count; i++)
        order[first[p->sample_thread[part->pieces[i].sample] + 1]++] = (uint32_t)i;
}

static enum err adding_begin_thread(struct adding *a, const struct selection_part *part, size_t t)
{
    adding_forget(a);
    a->tree = part->thread_numbers[t];
    return acc_reserve_trees(a->acc, (size_t)a->tree + 1);
}

static enum err adding_whole(struct adding *a, const struct selection_part *part)
{
    const uint32_t *starts = part->order->starts;

    for (size_t t = 0; t < part->profile->thread_count; t++) {
        if (part->thread_numbers[t] == PROFILE_NONE)
            continue;
        if (a->acc->separate)
            TRY(adding_begin_thread(a, part, t));
        TRY(adding_runs(a, part->order->samples + starts[t], starts[t + 1] - starts[t]));
    }
    return ERR_OK;
}

static enum err adding_separate(struct adding *a, const struct selection_part *part)
{
    uint32_t *order = ARENA_ARRAY(part->scratch, part->piece_count, uint32_t);
    size_t *first = ARENA_ARRAY(part->scratch, part->profile->thread_count + 2, size_t);

    if (order == NULL || first == NULL)
        return part->scratch->failed;
    pieces_by_thread(part, order, first);
    for (size_t t = 0; t < part->profile->thread_count; t++) {
        if (first[t] == first[t + 1])
            continue;
        TRY(adding_begin_thread(a, part, t));
        TRY(adding_pieces(a, part->pieces, order + first[t], first[t + 1] - first[t]));
    }
    return ERR_OK;
}

static enum err on_part(void *self, const struct selection_part *part, struct errinfo *info)
{
    struct accumulator *acc = self;
    const struct profile *p = part->profile;
    struct adding a = {.acc = acc, .profile = p};

    a.frame_of = ARENA_ARRAY(part->scratch, p->frame_count, uint32_t);
    a.node_of = ARENA_ARRAY(part->scratch, p->node_count, uint32_t);
    a.visited = ARENA_ARRAY(part->scratch, p->node_count, uint32_t);
    enum err rc = part->scratch->failed;
    if (rc == ERR_OK) {
        memset(a.frame_of, 0xff, p->frame_count * sizeof(uint32_t));
        memset(a.node_of, 0xff, p->node_count * sizeof(uint32_t));
        if (part->order != NULL)
            rc = adding_whole(&a, part);
        else if (acc->separate)
            rc = adding_separate(&a, part);
        else
            rc = adding_pieces(&a, part->pieces, NULL, part->piece_count);
    }
    if (rc != ERR_OK)
        return err_set(info, rc, "flame graph of %zu nodes so far: %s", acc_node_count(acc),
                       err_text(rc));
    return ERR_OK;
}

/* ---- trees that are summed already ---- */

struct adding_tree {
    struct accumulator *acc;
    struct tree_part *known;
    const struct selection_tree *from;
    struct errinfo *info;
};

static uint64_t node_key(uint32_t tree, uint32_t node)
{
    return (uint64_t)tree << 32 | node;
}

/* The frame as one of a profile that has nothing else. */
static enum err add_stored_frame(struct adding_tree *a, uint32_t frame, uint32_t *ret)
{
    enum { FRAME_TEXTS = 9 };
    struct segment_frame stored;
    TRY(tree_frame(a->from->snapshot, a->from->part, frame, &stored, a->info));
    const uint32_t ids[FRAME_TEXTS] = {
        stored.frame.function,         stored.frame.module,   stored.frame.package,
        stored.frame.filename,         stored.frame.abs_path, stored.frame.platform,
        stored.frame.instruction_addr, stored.frame.rest,     stored.document_platform};
    struct bytes texts[FRAME_TEXTS + 1] = {BYTES("")};
    uint32_t local[FRAME_TEXTS];
    for (uint32_t i = 0; i < FRAME_TEXTS; i++) {
        local[i] = ids[i] == 0 ? 0 : i + 1;
        TRY(tree_text(a->from->snapshot, a->from->part, ids[i], &texts[i + 1], a->info));
    }
    struct profile_frame f = {.function = local[0],
                              .module = local[1],
                              .package = local[2],
                              .filename = local[3],
                              .abs_path = local[4],
                              .platform = local[5],
                              .instruction_addr = local[6],
                              .rest = local[7],
                              .line = stored.frame.line,
                              .column = stored.frame.column,
                              .in_app = stored.frame.in_app};
    struct profile p = {.strings = texts, .string_count = FRAME_TEXTS + 1, .platform = local[8]};
    return frame_table_add(&a->acc->frames, &p, &f, ret);
}

static enum err find_stored_frame(struct adding_tree *a, uint32_t frame, uint32_t *ret)
{
    if (id_map_find(&a->known->frames, frame, ret))
        return ERR_OK;
    TRY(add_stored_frame(a, frame, ret));
    return id_map_put(&a->known->frames, frame, *ret);
}

/* Nodes above `node` that are not known yet, itself first. */
static enum err find_path(struct adding_tree *a, uint32_t tree, uint32_t node, uint32_t *ret_known)
{
    struct buffer *path = &a->known->path;
    uint32_t frame;
    buffer_clear(path);
    *ret_known = ROOT_FLAG | tree;
    while (node != PROFILE_NONE &&
           !id_map_find(&a->known->nodes, node_key(tree, node), ret_known)) {
        *ret_known = ROOT_FLAG | tree;
        buffer_put_u32(path, node);
        TRY(tree_node(a->from->snapshot, a->from->part, node, &node, &frame, a->info));
    }
    return path->failed;
}

/* Where a node of the part leads. */
static enum err resolve_stored(struct adding_tree *a, uint32_t tree, uint32_t node, uint32_t *ret)
{
    uint32_t above;
    TRY(find_path(a, tree, node, &above));
    const uint32_t *path = u32_of(&a->known->path);
    for (size_t i = u32_count(&a->known->path); i-- > 0;) {
        uint32_t parent;
        uint32_t frame;
        uint32_t found = 0;
        TRY(tree_node(a->from->snapshot, a->from->part, path[i], &parent, &frame, a->info));
        TRY(find_stored_frame(a, frame, &frame));
        TRY(acc_find_node(a->acc, above, frame, &found));
        if (found >= ROOT_FLAG)
            return ERR_LIMIT;
        TRY(id_map_put(&a->known->nodes, node_key(tree, path[i]), found));
        above = found;
    }
    *ret = above;
    return ERR_OK;
}

static enum err add_weight(struct adding_tree *a, uint32_t tree, const struct node_weight *w)
{
    struct acc_tree *sums = &acc_trees(a->acc)[tree];
    uint32_t node;
    sums->sum_ns += w->ns;
    sums->sum_samples += w->samples;
    if (w->node == PROFILE_NONE) {
        sums->idle_ns += w->ns;
        sums->idle_samples += w->samples;
        return ERR_OK;
    }
    if (!id_map_find(&a->known->nodes, node_key(tree, w->node), &node))
        TRY(resolve_stored(a, tree, w->node, &node));
    acc_nodes(a->acc)[node].self_ns += w->ns;
    acc_nodes(a->acc)[node].self_samples += w->samples;
    return ERR_OK;
}

static enum err add_weights(struct adding_tree *a)
{
    const struct block_sum *sum = &a->from->sum->sum;
    uint32_t tree = 0;
    for (size_t i = 0; i < sum->count; i++) {
        const struct node_weight *w = &sum->weights[i];
        if (a->acc->separate && (i == 0 || w->thread != w[-1].thread)) {
            if (!id_map_find(a->from->thread_numbers, w->thread, &tree))
                return ERR_CORRUPT;
            TRY(acc_reserve_trees(a->acc, (size_t)tree + 1));
        }
        TRY(add_weight(a, tree, w));
    }
    return ERR_OK;
}

static void begin_part(struct tree_part *known, uint32_t part)
{
    if (known->any && known->part == part)
        return;
    id_map_clear(&known->nodes);
    id_map_clear(&known->frames);
    known->any = true;
    known->part = part;
}

static enum err on_tree(void *self, const struct selection_tree *tree, struct errinfo *info)
{
    struct accumulator *acc = self;
    struct errinfo reason = {{0}};
    struct adding_tree a = {.acc = acc, .known = &acc->part, .from = tree, .info = &reason};

    begin_part(&acc->part, tree->part);
    enum err rc = add_weights(&a);
    if (rc != ERR_OK)
        return err_set(info, rc, "flame graph of %zu nodes so far: %s", acc_node_count(acc),
                       reason.text[0] == '\0' ? err_text(rc) : reason.text);
    return ERR_OK;
}

/* ---- from the accumulator to columns ---- */

struct arranging {
    const struct accumulator *acc;
    struct arena *arena;  /* of the result */
    struct arena scratch; /* of the way there */
    size_t node_count;
    size_t tree_count;
    size_t frame_count;
    const struct flamegraph_frame *frames;
    uint32_t *rank;      /* accumulator frame -> place by identity */
    size_t *child_first; /* of node n: children [child_first[n], child_first[n + 1]); the roots of
                              tree t are those of node node_count + t */
    uint32_t *children;
};

static size_t parent_slot(const struct arranging *r, uint32_t parent)
{
    return (parent & ROOT_FLAG) != 0 ? r->node_count + (parent & ~ROOT_FLAG) : parent;
}

/* Two counting sorts: by rank of the frame, then stably by parent. */
static enum err arrange_children(struct arranging *r)
{
    const struct acc_node *nodes = acc_nodes(r->acc);
    size_t parents = r->node_count + r->tree_count;
    uint32_t *by_frame = ARENA_ARRAY(&r->scratch, r->node_count, uint32_t);
    size_t *frame_first = ARENA_ARRAY(&r->scratch, r->frame_count + 1, size_t);

    r->children = ARENA_ARRAY(&r->scratch, r->node_count, uint32_t);
    r->child_first = ARENA_ARRAY(&r->scratch, parents + 2, size_t);
    if (r->scratch.failed != ERR_OK)
        return r->scratch.failed;
    memset(frame_first, 0, (r->frame_count + 1) * sizeof(*frame_first));
    memset(r->child_first, 0, (parents + 2) * sizeof(*r->child_first));
    for (size_t i = 0; i < r->node_count; i++) {
        frame_first[r->rank[nodes[i].frame] + 1]++;
        r->child_first[parent_slot(r, nodes[i].parent) + 2]++;
    }
    for (size_t f = 1; f <= r->frame_count; f++)
        frame_first[f] += frame_first[f - 1];
    for (size_t p = 2; p < parents + 2; p++)
        r->child_first[p] += r->child_first[p - 1];
    for (size_t i = 0; i < r->node_count; i++)
        by_frame[frame_first[r->rank[nodes[i].frame]]++] = (uint32_t)i;
    for (size_t i = 0; i < r->node_count; i++) {
        size_t slot = parent_slot(r, nodes[by_frame[i]].parent);
        r->children[r->child_first[slot + 1]++] = by_frame[i];
    }
    return ERR_OK;
}

/* Columns of one tree; `queue` and `place` have room for all nodes. */
static enum err arrange_tree(struct arranging *r, size_t number, uint32_t *queue,
                             struct flamegraph_tree *ret)
{
    const struct acc_node *nodes = acc_nodes(r->acc);
    const struct acc_tree *tree = &acc_trees(r->acc)[number];
    size_t count = 0;

    /* breadth-first: the queue is the order, and a node's children follow one another in it */
    for (size_t i = r->child_first[r->node_count + number];
         i < r->child_first[r->node_count + number + 1]; i++)
        queue[count++] = r->children[i];
    size_t roots = count;
    for (size_t at = 0; at < count; at++)
        for (size_t i = r->child_first[queue[at]]; i < r->child_first[queue[at] + 1]; i++)
            queue[count++] = r->children[i];

    uint32_t *parent = ARENA_ARRAY(r->arena, count, uint32_t);
    uint32_t *frame = ARENA_ARRAY(r->arena, count, uint32_t);
    uint64_t *self_ns = ARENA_ARRAY(r->arena, count, uint64_t);
    uint64_t *total_ns = ARENA_ARRAY(r->arena, count, uint64_t);
    uint64_t *self_samples = ARENA_ARRAY(r->arena, count, uint64_t);
    uint64_t *total_samples = ARENA_ARRAY(r->arena, count, uint64_t);
    if (r->arena->failed != ERR_OK)
        return r->arena->failed;
    size_t next = roots; /* where the children of the node at hand begin */
    for (size_t i = 0; i < count; i++) {
        const struct acc_node *n = &nodes[queue[i]];
        if (i < roots)
            parent[i] = FLAMEGRAPH_NO_PARENT;
        frame[i] = r->rank[n->frame];
        total_ns[i] = self_ns[i] = n->self_ns;
        total_samples[i] = self_samples[i] = n->self_samples;
        for (size_t c = r->child_first[queue[i]]; c < r->child_first[queue[i] + 1]; c++)
            parent[next++] = (uint32_t)i;
    }
    for (size_t i = count; i-- > roots;) {
        total_ns[parent[i]] += total_ns[i];
        total_samples[parent[i]] += total_samples[i];
    }
    *ret = (struct flamegraph_tree){
        .node_count = count,
        .parent = parent,
        .frame = frame,
        .self_ns = self_ns,
        .total_ns = total_ns,
        .self_samples = self_samples,
        .total_samples = total_samples,
        .idle_ns = tree->idle_ns,
        .idle_samples = tree->idle_samples,
        .sum_ns = tree->sum_ns,
        .sum_samples = tree->sum_samples,
    };
    return ERR_OK;
}

static int tree_compare(const void *left, const void *right, void *context)
{
    (void)context;
    const struct flamegraph_tree *a = left;
    const struct flamegraph_tree *b = right;
    int order = thread_id_compare(a->thread_id, b->thread_id);

    return order != 0 ? order : bytes_compare(a->thread_name, b->thread_name);
}

static enum err arrange_names(struct arranging *r, const struct selection *s, size_t number,
                              struct flamegraph_tree *tree)
{
    struct bytes id;
    struct bytes name;

    selection_thread(s, (uint32_t)number, &id, &name);
    tree->thread_id = arena_copy(r->arena, id);
    tree->thread_name = arena_copy(r->arena, name);
    return r->arena->failed;
}

static enum err arrange(struct arranging *r, const struct selection *s, struct flamegraph **ret)
{
    struct flamegraph *g = ARENA_NEW(r->arena, struct flamegraph);
    struct flamegraph_tree *trees = ARENA_ARRAY(r->arena, r->tree_count, struct flamegraph_tree);
    uint32_t *queue = ARENA_ARRAY(&r->scratch, r->node_count, uint32_t);

    if (g == NULL || trees == NULL)
        return r->arena->failed;
    if (queue == NULL)
        return r->scratch.failed;
    TRY(frame_table_publish(&r->acc->frames, r->arena, &r->frames, &r->rank));
    TRY(arrange_children(r));
    *g = (struct flamegraph){.frames = r->frames,
                             .frame_count = r->frame_count,
                             .trees = trees,
                             .tree_count = r->tree_count};
    for (size_t t = 0; t < r->tree_count; t++) {
        TRY(arrange_tree(r, t, queue, &trees[t]));
        if (r->acc->separate)
            TRY(arrange_names(r, s, t, &trees[t]));
    }
    if (r->acc->separate)
        TRY(sort_array(r->arena->account, trees, r->tree_count, sizeof(*trees), tree_compare,
                       NULL));
    *ret = g;
    return ERR_OK;
}

static void accumulator_init(struct accumulator *acc, bool separate, struct mem_account *account)
{
    *acc = (struct accumulator){.separate = separate};
    buffer_init(&acc->nodes, FLAMEGRAPH_NODES_MAX * sizeof(struct acc_node), account);
    buffer_init(&acc->node_slots, SIZE_MAX, account);
    buffer_init(&acc->trees, FLAMEGRAPH_NODES_MAX * sizeof(struct acc_tree), account);
    frame_table_init(&acc->frames, account);
    id_map_init(&acc->part.nodes, account);
    id_map_init(&acc->part.frames, account);
    buffer_init(&acc->part.path, SIZE_MAX, account);
}

static void accumulator_close(struct accumulator *acc)
{
    buffer_close(&acc->nodes);
    buffer_close(&acc->node_slots);
    buffer_close(&acc->trees);
    frame_table_close(&acc->frames);
    id_map_close(&acc->part.nodes);
    id_map_close(&acc->part.frames);
    buffer_close(&acc->part.path);
}

static enum err accumulate(struct selection *s, const struct flamegraph_options *options,
                           struct mem_account *account, struct accumulator *acc,
                           struct errinfo *info)
{
    accumulator_init(acc, options->separate_threads, account);
    enum err rc = acc->separate ? ERR_OK : acc_reserve_trees(acc, 1);
    if (rc != ERR_OK)
        return err_set(info, rc, "flame graph: %s", err_text(rc));
    return selection_visit_trees(s, options->canceled, acc->separate, on_part, on_tree, acc, info);
}

static enum err arrange_all(const struct accumulator *acc, const struct selection *s,
                            struct arena *arena, struct flamegraph **ret, struct errinfo *info)
{
    struct arranging r = {
        .acc = acc,
        .arena = arena,
        .node_count = acc_node_count(acc),
        .frame_count = frame_table_count(&acc->frames),
        .tree_count = acc->trees.len / sizeof(struct acc_tree),
    };
    arena_init(&r.scratch, arena->max, arena->account);
    enum err rc = arrange(&r, s, ret);
    arena_close(&r.scratch);
    return rc == ERR_OK
               ? ERR_OK
               : err_set(info, rc, "flame graph of %zu nodes: %s", r.node_count, err_text(rc));
}

enum err flamegraph_build(struct selection *s, const struct flamegraph_options *options,
                          struct arena *arena, struct flamegraph **ret, struct errinfo *info)
{
    static_assert(FLAMEGRAPH_NODES_MAX < ROOT_FLAG, "node numbers leave the root bit free");
    struct accumulator acc;
    enum err rc = accumulate(s, options, arena->account, &acc, info);

    while (rc == ERR_CORRUPT && s->again) { /* each time with a segment less */
        accumulator_close(&acc);
        rc = accumulate(s, options, arena->account, &acc, info);
    }
    if (rc == ERR_OK)
        rc = arrange_all(&acc, s, arena, ret, info);
    accumulator_close(&acc);
    return rc;
}
