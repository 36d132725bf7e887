#include "engine/call_tree.h"

#include "base/buffer.h"
#include "engine/identity.h"
#include "engine/sample_order.h"

struct builder {
    const struct profile *p;
    struct buffer nodes; /* struct call_node */
    uint32_t *path;      /* trie nodes of one stack, leaf first */
    struct call_thread thread;
};

static struct call_node *node_at(struct builder *b, uint32_t node)
{
    return (struct call_node *)(void *)b->nodes.data + node;
}

static size_t node_count(const struct builder *b)
{
    return b->nodes.len / sizeof(struct call_node);
}

bool call_node_in_app(const struct call_node *n)
{
    return n->frame->in_app != IN_APP_FALSE;
}

static uint32_t *last_sibling(struct builder *b, uint32_t parent)
{
    return parent == CALL_NODE_NONE ? &b->thread.last_root : &node_at(b, parent)->last_child;
}

static enum err node_append(struct builder *b, uint32_t parent, const struct call_node *fresh)
{
    uint32_t index = (uint32_t)node_count(b);
    struct call_node *n = buffer_extend(&b->nodes, sizeof(*n));
    if (n == NULL)
        return b->nodes.failed;
    *n = *fresh;
    uint32_t *last = last_sibling(b, parent);
    if (*last != CALL_NODE_NONE)
        node_at(b, *last)->next_sibling = index;
    else if (parent == CALL_NODE_NONE)
        b->thread.first_root = index;
    else
        node_at(b, parent)->first_child = index;
    *last = index;
    return ERR_OK;
}

/* Strangers choose the times: the ends of all time are further apart than int64 can say. */
static int64_t duration_ns(int64_t start_ns, int64_t end_ns)
{
    int64_t ns;
    if (__builtin_sub_overflow(end_ns, start_ns, &ns))
        return end_ns > start_ns ? INT64_MAX : 0;
    return ns > 0 ? ns : 0;
}

static struct call_node node_new(const struct profile_frame *f, uint64_t hash, int64_t start_ns,
                                 int64_t end_ns)
{
    return (struct call_node){
        .frame = f,
        .hash = hash,
        .start_ns = start_ns,
        .end_ns = end_ns,
        .duration_ns = duration_ns(start_ns, end_ns),
        .sample_count = 1,
        .occurrence = 1,
        .duration_count = end_ns > start_ns,
        .first_child = CALL_NODE_NONE,
        .last_child = CALL_NODE_NONE,
        .next_sibling = CALL_NODE_NONE,
    };
}

static void node_extend(struct call_node *n, int64_t end_ns)
{
    n->sample_count++;
    n->end_ns = end_ns;
    n->duration_ns = duration_ns(n->start_ns, end_ns);
    n->duration_count = 1;
}

/* Frames of the stack into b->path, leaf first; ERR_MALFORMED when an index is out of range. */
static enum err stack_path(struct builder *b, uint32_t stack, size_t *ret_depth,
                           struct errinfo *info)
{
    if (stack >= b->p->stack_count)
        return err_set(info, ERR_MALFORMED, "invalid stack id");
    size_t depth = 0;
    for (uint32_t node = b->p->stacks[stack]; node != PROFILE_NONE;
         node = b->p->node_parent[node]) {
        if (profile_node_frame(b->p, node) == NULL)
            return err_set(info, ERR_MALFORMED, "invalid frame id");
        b->path[depth++] = node;
    }
    *ret_depth = depth;
    return ERR_OK;
}

static enum err add_sample(struct builder *b, uint32_t stack, int64_t start_ns, int64_t end_ns,
                           struct errinfo *info)
{
    size_t depth = 0;
    TRY(stack_path(b, stack, &depth, info));
    uint64_t hash = FNV1_BASIS;
    uint32_t parent = CALL_NODE_NONE;
    while (depth-- > 0) {
        const struct profile_frame *f = profile_node_frame(b->p, b->path[depth]);
        hash = frame_stack_hash(hash, b->p, f);
        uint32_t last = *last_sibling(b, parent);
        bool continues = last != CALL_NODE_NONE && node_at(b, last)->hash == hash &&
                         node_at(b, last)->end_ns == start_ns;
        if (continues) {
            node_extend(node_at(b, last), end_ns);
        } else {
            struct call_node fresh = node_new(f, hash, start_ns, end_ns);
            TRY(node_append(b, parent, &fresh));
        }
        parent = *last_sibling(b, parent);
    }
    return ERR_OK;
}

static int64_t sample_ns(const struct profile *p, uint32_t sample)
{
    if (p->kind == PROFILE_CHUNK)
        return profile_sample_ns(p, sample);
    uint64_t elapsed_ns = p->sample_time[sample];
    return elapsed_ns > INT64_MAX ? INT64_MAX : (int64_t)elapsed_ns;
}

static enum err add_thread(struct builder *b, const struct sample_order *order, uint32_t thread,
                           struct errinfo *info)
{
    b->thread = (struct call_thread){profile_string(b->p, b->p->threads[thread].id), CALL_NODE_NONE,
                                     CALL_NODE_NONE};
    for (uint32_t i = order->starts[thread]; i + 1 < order->starts[thread + 1]; i++) {
        uint32_t sample = order->samples[i]; /* the thread's last one only closes */
        int64_t start_ns = sample_ns(b->p, sample);
        int64_t end_ns = sample_ns(b->p, order->samples[i + 1]);
        TRY(add_sample(b, b->p->sample_stack[sample], start_ns, end_ns, info));
    }
    return ERR_OK;
}

/* Children before parents: a child's index is higher. An application frame is not charged for
 * system frames it calls; a system frame is charged for nothing below it. */
static void compute_self_times(struct call_node *nodes, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        struct call_node *n = &nodes[i];
        int64_t below_ns = 0;
        for (uint32_t c = n->first_child; c != CALL_NODE_NONE; c = nodes[c].next_sibling)
            if ((!call_node_in_app(n) || call_node_in_app(&nodes[c])) &&
                __builtin_add_overflow(below_ns, nodes[c].duration_ns, &below_ns))
                below_ns = INT64_MAX;
        n->self_ns = n->duration_ns > below_ns ? n->duration_ns - below_ns : 0;
    }
}

static enum err take_nodes(struct builder *b, struct arena *arena, struct call_tree *ret)
{
    size_t count = node_count(b);
    struct call_node *nodes = ARENA_ARRAY(arena, count, struct call_node);
    if (nodes == NULL)
        return arena->failed;
    if (count > 0)
        memcpy(nodes, b->nodes.data, b->nodes.len);
    if (b->p->kind == PROFILE_TRANSACTION)
        compute_self_times(nodes, count);
    ret->nodes = nodes;
    ret->node_count = count;
    return ERR_OK;
}

static enum err build(struct builder *b, struct bytes wanted, struct arena *arena,
                      struct call_tree *ret, struct errinfo *info)
{
    struct sample_order order;
    TRY(sample_order_make(b->p, SAMPLES_BY_TIME, arena, &order));
    struct call_thread *threads = ARENA_ARRAY(arena, order.thread_count, struct call_thread);
    b->path = ARENA_ARRAY(arena, b->p->node_count, uint32_t);
    if (threads == NULL || b->path == NULL)
        return arena->failed;
    size_t thread_count = 0;
    for (size_t i = 0; i < order.thread_count; i++) {
        uint32_t thread = order.threads[i];
        struct bytes id = profile_string(b->p, b->p->threads[thread].id);
        if (wanted.data != NULL && !bytes_equal(id, wanted))
            continue;
        TRY(add_thread(b, &order, thread, info));
        if (b->thread.first_root != CALL_NODE_NONE)
            threads[thread_count++] = b->thread;
    }
    ret->threads = threads;
    ret->thread_count = thread_count;
    return take_nodes(b, arena, ret);
}

enum err call_tree_make(const struct profile *p, struct bytes thread, struct arena *arena,
                        struct call_tree *ret, struct errinfo *info)
{
    struct builder b = {.p = p};
    struct bytes active = profile_string(p, p->active_thread);
    if (p->kind == PROFILE_TRANSACTION)
        thread = active.len > 0 ? active : BYTES("0");
    buffer_init(&b.nodes, CALL_NODE_NONE, arena->account);
    struct call_tree tree = {0};
    enum err rc = build(&b, thread, arena, &tree, info);
    buffer_close(&b.nodes);
    if (rc == ERR_OK)
        *ret = tree;
    return rc;
}
