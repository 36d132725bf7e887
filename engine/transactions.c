/* transactions.c - profiles and links grouped by name. */
#include "engine/transactions.h"

#include "base/limits.h"
#include "base/sort.h"

struct grouping {
    const struct snapshot *snap;
    const struct selection_request *request;
    struct span_ns window;
    struct arena *arena;
    struct intern names;  /* a name's id is its group; 0 is "" */
    struct buffer groups; /* struct transaction_group */
    uint64_t profiles_unreadable;
    const atomic_bool *canceled;
};

#define LOOK_EVERY 1024 /* profiles or links between two looks at `canceled` */

static bool is_canceled(const struct grouping *x, size_t i)
{
    return i % LOOK_EVERY == 0 && x->canceled != NULL &&
           atomic_load_explicit(x->canceled, memory_order_relaxed);
}

static bool ids_accept(struct selection_ids ids, struct uuid id)
{
    for (size_t i = 0; i < ids.count; i++)
        if (uuid_equal(ids.ids[i], id))
            return true;
    return false;
}

static bool tags_accept(const struct selection_request *q, struct bytes environment,
                        struct bytes release, struct bytes platform)
{
    return selection_texts_accept(q->environments, environment) &&
           selection_texts_accept(q->releases, release) &&
           selection_texts_accept(q->platforms, platform);
}

static bool name_and_trace_accept(const struct selection_request *q, struct bytes name,
                                  struct uuid trace_id)
{
    return (q->transaction.data == NULL || bytes_equal(q->transaction, name)) &&
           (!q->has_trace_id || uuid_equal(q->trace_id, trace_id));
}

static bool by_id(const struct selection_request *q)
{
    return q->profiler_ids.count > 0 || q->profile_ids.count > 0;
}

/* Keep the latest ones, in falling order of start. */
static void group_show(struct transaction_group *g, const struct transaction_example *example)
{
    size_t at = g->example_count;

    while (at > 0 && g->examples[at - 1].start_ns < example->start_ns)
        at--;
    if (at == TRANSACTION_EXAMPLES)
        return;
    size_t moved = g->example_count - at;
    if (g->example_count == TRANSACTION_EXAMPLES)
        moved--;
    else
        g->example_count++;
    memmove(&g->examples[at + 1], &g->examples[at], moved * sizeof(*example));
    g->examples[at] = *example;
}

static enum err grouping_add(struct grouping *x, struct bytes name,
                             const struct transaction_example *example)
{
    uint32_t id = 0;

    TRY(intern_add(&x->names, name, &id));
    size_t have = x->groups.len / sizeof(struct transaction_group);
    if (id >= have) {
        void *added = buffer_extend(&x->groups, (id + 1 - have) * sizeof(struct transaction_group));
        if (added == NULL)
            return x->groups.failed;
        memset(added, 0, (id + 1 - have) * sizeof(struct transaction_group));
    }
    struct transaction_group *g = &((struct transaction_group *)(void *)x->groups.data)[id];
    bool fresh = g->profile_count + g->link_count == 0;
    g->name = name;
    if (fresh || example->start_ns < g->first_ns)
        g->first_ns = example->start_ns;
    if (fresh || example->end_ns > g->last_ns)
        g->last_ns = example->end_ns;
    if (example->is_profile)
        g->profile_count++;
    else
        g->link_count++;
    group_show(g, example);
    return ERR_OK;
}

/* Its facts, if it is asked for. What cannot be read is counted. */
static enum err describe_profile(struct grouping *x, struct snapshot_filter *filter, row_id id,
                                 struct row *ret, bool *ret_taken)
{
    const struct selection_request *q = x->request;
    bool accepted = false;
    enum err rc = snapshot_filter_accepts(filter, id, &accepted);

    if (rc == ERR_OK && accepted)
        rc = snapshot_row(x->snap, id, ret);
    bool damaged = selection_is_damage(rc);
    x->profiles_unreadable += damaged;
    *ret_taken = rc == ERR_OK && accepted && (!by_id(q) || ids_accept(q->profile_ids, ret->id)) &&
                 (!q->has_trace_id || uuid_equal(q->trace_id, ret->trace_id));
    return damaged ? ERR_OK : rc;
}

static enum err add_found_profiles(struct grouping *x, struct snapshot_filter *filter)
{
    const struct selection_request *q = x->request;
    struct row_list found = {0};

    TRY(snapshot_find_profiles(x->snap, q->project_id, x->window.start_ns, x->window.end_ns - 1,
                               x->arena, &found));
    for (size_t i = 0; i < found.count; i++) {
        struct row facts;
        if (is_canceled(x, i))
            return ERR_CANCELED;
        bool taken;
        TRY(describe_profile(x, filter, found.ids[i], &facts, &taken));
        if (!taken)
            continue;
        TRY(grouping_add(x, facts.transaction,
                         &(struct transaction_example){.is_profile = true,
                                                       .profile_id = facts.id,
                                                       .trace_id = facts.trace_id,
                                                       .start_ns = facts.start_ns,
                                                       .end_ns = facts.end_ns}));
    }
    return ERR_OK;
}

static enum err add_profiles(struct grouping *x)
{
    struct filter_request conditions = selection_conditions(x->request);
    struct snapshot_filter *filter = NULL;

    TRY(snapshot_filter_create(x->snap, &conditions, x->arena->account, &filter));
    enum err rc = add_found_profiles(x, filter);
    snapshot_filter_destroy(filter);
    return rc;
}

static enum err add_links(struct grouping *x)
{
    const struct selection_request *q = x->request;
    struct link_list found = {0};

    TRY(snapshot_find_links(x->snap, q->project_id, x->window.start_ns, x->window.end_ns - 1,
                            x->arena, &found));
    for (size_t i = 0; i < found.count; i++) {
        const struct link *l = &found.links[i];
        if (is_canceled(x, i))
            return ERR_CANCELED;
        if (!l->is_segment || uuid_is_nil(l->profiler_id) ||
            (by_id(q) && !ids_accept(q->profiler_ids, l->profiler_id)))
            continue;
        if (!tags_accept(q, l->environment, l->release, l->platform) ||
            !name_and_trace_accept(q, l->name, l->trace_id) ||
            (l->thread_id.len > 0 && !selection_texts_accept(q->threads, l->thread_id)))
            continue;
        TRY(grouping_add(x, l->name,
                         &(struct transaction_example){.profiler_id = l->profiler_id,
                                                       .thread_id = l->thread_id,
                                                       .trace_id = l->trace_id,
                                                       .start_ns = l->start_ns,
                                                       .end_ns = l->end_ns}));
    }
    return ERR_OK;
}

static int group_compare(const void *left, const void *right, void *context)
{
    (void)context;
    const struct transaction_group *a = left;
    const struct transaction_group *b = right;
    uint64_t x = a->profile_count + a->link_count;
    uint64_t y = b->profile_count + b->link_count;

    return x != y ? (x < y) - (x > y) : bytes_compare(a->name, b->name);
}

/* Groups that got something (the one of "" is always there) into the arena, in order. */
static enum err publish(struct grouping *x, struct transaction_list *ret)
{
    size_t have = x->groups.len / sizeof(struct transaction_group);
    const struct transaction_group *groups = (const void *)x->groups.data;
    struct transaction_group *list = ARENA_ARRAY(x->arena, have, struct transaction_group);
    size_t count = 0;

    if (list == NULL)
        return x->arena->failed;
    for (size_t i = 0; i < have; i++)
        if (groups[i].profile_count + groups[i].link_count > 0)
            list[count++] = groups[i];
    TRY(sort_array(x->arena->account, list, count, sizeof(*list), group_compare, NULL));
    *ret = (struct transaction_list){list, count, x->profiles_unreadable};
    return ERR_OK;
}

enum err transactions_list(const struct snapshot *snap, const struct selection_request *request,
                           const atomic_bool *canceled, struct arena *arena,
                           struct transaction_list *ret, struct errinfo *info)
{
    struct grouping x = {.snap = snap, .request = request, .arena = arena, .canceled = canceled};
    enum err rc = ERR_OK;

    x.window = (struct span_ns){request->has_start ? request->window.start_ns : INT64_MIN,
                                request->has_end ? request->window.end_ns : INT64_MAX};
    intern_init(&x.names, GROUP_NAMES_MAX, arena->account);
    buffer_init(&x.groups, GROUPS_SIZE_MAX, arena->account);
    if (x.window.end_ns > x.window.start_ns) {
        rc = add_profiles(&x);
        if (rc == ERR_OK)
            rc = add_links(&x);
    }
    if (rc == ERR_OK)
        rc = publish(&x, ret);
    intern_close(&x.names);
    buffer_close(&x.groups);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "transactions: %s", err_text(rc));
}
