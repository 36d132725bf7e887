#include "storage/profile_equal.h"

struct pair {
    const struct profile *a;
    const struct profile *b;
};

static bool same_text(const struct pair *p, uint32_t a, uint32_t b)
{
    return bytes_equal(profile_string(p->a, a), profile_string(p->b, b));
}

static bool same_array(const void *a, const void *b, size_t count, size_t size)
{
    return count == 0 || memcmp(a, b, count * size) == 0;
}

static const char *compare_facts(const struct profile *a, const struct profile *b)
{
    if (a->kind != b->kind)
        return "kind";
    if (a->organization_id != b->organization_id || a->project_id != b->project_id)
        return "organization or project";
    if (a->retention_days != b->retention_days || a->received_ns != b->received_ns)
        return "retention or arrival";
    if (!uuid_equal(a->profiler_id, b->profiler_id) || !uuid_equal(a->id, b->id) ||
        !uuid_equal(a->transaction_id, b->transaction_id) || !uuid_equal(a->trace_id, b->trace_id))
        return "ids";
    return NULL;
}

static const char *compare_head(const struct pair *p)
{
    const struct profile *a = p->a, *b = p->b;
    if (!same_text(p, a->version, b->version) || !same_text(p, a->platform, b->platform) ||
        !same_text(p, a->environment, b->environment) || !same_text(p, a->release, b->release) ||
        !same_text(p, a->dist, b->dist) || !same_text(p, a->sdk_name, b->sdk_name) ||
        !same_text(p, a->sdk_version, b->sdk_version))
        return "a text of the head";
    if (a->flags != b->flags)
        return "flags";
    return bytes_equal(a->rest, b->rest) ? NULL : "rest";
}

static const char *compare_transaction(const struct pair *p)
{
    const struct profile *a = p->a, *b = p->b;
    if (a->kind != PROFILE_TRANSACTION)
        return NULL;
    if (a->timestamp_ns != b->timestamp_ns || !same_text(p, a->timestamp_text, b->timestamp_text))
        return "timestamp";
    if (!same_text(p, a->transaction, b->transaction))
        return "transaction";
    if (!same_text(p, a->active_thread, b->active_thread))
        return "active thread";
    return same_text(p, a->segment_id, b->segment_id) ? NULL : "segment id";
}

static bool same_frame(const struct pair *p, const struct profile_frame *a,
                       const struct profile_frame *b)
{
    return same_text(p, a->function, b->function) && same_text(p, a->module, b->module) &&
           same_text(p, a->package, b->package) && same_text(p, a->filename, b->filename) &&
           same_text(p, a->abs_path, b->abs_path) && same_text(p, a->platform, b->platform) &&
           same_text(p, a->instruction_addr, b->instruction_addr) &&
           same_text(p, a->rest, b->rest) && a->line == b->line && a->column == b->column &&
           a->in_app == b->in_app;
}

static uint32_t *take_map(struct arena *scratch, size_t count)
{
    uint32_t *map = ARENA_ARRAY(scratch, count, uint32_t);
    if (map != NULL)
        memset(map, 0xff, count * sizeof *map);
    return map;
}

/* `map`: the frame of b that was found equal to each distinct frame of a. */
static const char *compare_frames(const struct pair *p, uint32_t *map)
{
    const struct profile *a = p->a, *b = p->b;
    if (a->frame_list_count != b->frame_list_count)
        return "number of frames";
    for (size_t i = 0; i < a->frame_list_count; i++) {
        uint32_t from = a->frame_list[i];
        uint32_t to = b->frame_list[i];
        if (map[from] == to)
            continue;
        if (!same_frame(p, &a->frames[from], &b->frames[to]))
            return "a frame";
        map[from] = to;
    }
    return NULL;
}

/* A path that was equal once need not be walked again. */
static bool same_path(const struct pair *p, uint32_t a, uint32_t b, uint32_t *map)
{
    while (a != PROFILE_NONE && b != PROFILE_NONE) {
        if (map[a] == b)
            return true;
        if (p->a->node_frame[a] != p->b->node_frame[b])
            return false;
        map[a] = b; /* else the whole is different, and the map of no use */
        a = p->a->node_parent[a];
        b = p->b->node_parent[b];
    }
    return a == b;
}

static const char *compare_stacks(const struct pair *p, uint32_t *map)
{
    if (p->a->stack_count != p->b->stack_count)
        return "number of stacks";
    for (size_t i = 0; i < p->a->stack_count; i++)
        if (!same_path(p, p->a->stacks[i], p->b->stacks[i], map))
            return "a stack";
    return NULL;
}

static const char *compare_threads(const struct pair *p)
{
    if (p->a->thread_count != p->b->thread_count)
        return "number of threads";
    for (size_t i = 0; i < p->a->thread_count; i++) {
        const struct profile_thread *a = &p->a->threads[i];
        const struct profile_thread *b = &p->b->threads[i];
        if (!same_text(p, a->id, b->id) || !same_text(p, a->name, b->name) ||
            a->priority != b->priority || a->known != b->known)
            return "a thread";
    }
    return NULL;
}

static const char *compare_marks(const struct pair *p)
{
    const struct profile *a = p->a, *b = p->b;
    bool queues = a->sample_queue != NULL || b->sample_queue != NULL;
    bool idle = a->sample_idle != NULL || b->sample_idle != NULL;
    for (size_t i = 0; i < a->sample_count && queues; i++)
        if (!same_text(p, a->sample_queue == NULL ? 0 : a->sample_queue[i],
                       b->sample_queue == NULL ? 0 : b->sample_queue[i]))
            return "queue of a sample";
    for (size_t i = 0; i < a->sample_count && idle; i++)
        if ((a->sample_idle == NULL ? 0 : a->sample_idle[i]) !=
            (b->sample_idle == NULL ? 0 : b->sample_idle[i]))
            return "idle mark of a sample";
    return NULL;
}

static const char *compare_samples(const struct pair *p)
{
    const struct profile *a = p->a, *b = p->b;
    size_t count = a->sample_count;
    if (count != b->sample_count)
        return "number of samples";
    if (!same_array(a->sample_time, b->sample_time, count, sizeof *a->sample_time))
        return "time of a sample";
    if (!same_array(a->sample_thread, b->sample_thread, count, sizeof *a->sample_thread))
        return "thread of a sample";
    if (!same_array(a->sample_stack, b->sample_stack, count, sizeof *a->sample_stack))
        return "stack of a sample";
    return compare_marks(p);
}

enum err profile_equal(const struct profile *a, const struct profile *b, struct arena *scratch,
                       const char **ret_difference)
{
    const struct pair p = {.a = a, .b = b};
    uint32_t *frames = take_map(scratch, a->frame_count);
    uint32_t *nodes = take_map(scratch, a->node_count);
    if (frames == NULL || nodes == NULL)
        return scratch->failed;
    const char *difference = compare_facts(a, b);
    if (difference == NULL)
        difference = compare_head(&p);
    if (difference == NULL)
        difference = compare_transaction(&p);
    if (difference == NULL)
        difference = compare_frames(&p, frames);
    if (difference == NULL)
        difference = compare_stacks(&p, nodes);
    if (difference == NULL)
        difference = compare_threads(&p);
    if (difference == NULL)
        difference = compare_samples(&p);
    *ret_difference = difference;
    return ERR_OK;
}
