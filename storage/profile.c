#include "storage/profile.h"

#include <assert.h>
#include <inttypes.h>

#include "base/timestamp.h"

static double double_of_bits(uint64_t bits)
{
    double value;
    static_assert(sizeof value == sizeof bits, "binary64");
    memcpy(&value, &bits, sizeof value);
    return value;
}

double profile_sample_seconds(const struct profile *p, size_t sample)
{
    return double_of_bits(p->sample_time[sample]);
}

/* Documents that nobody checked may hold any number: times outside the range stick to its
 * ends, so that sums and comparisons stay defined. */
static int64_t ns_of_seconds(double seconds)
{
    int64_t ns;
    if (timestamp_from_double(seconds, &ns))
        return ns;
    return seconds > 0 ? INT64_MAX : 0;
}

static int64_t ns_of_elapsed(int64_t start_ns, uint64_t elapsed_ns)
{
    int64_t ns;
    return __builtin_add_overflow(start_ns, elapsed_ns, &ns) ? INT64_MAX : ns;
}

int64_t profile_sample_ns(const struct profile *p, size_t sample)
{
    if (p->kind == PROFILE_CHUNK)
        return ns_of_seconds(profile_sample_seconds(p, sample));
    return ns_of_elapsed(p->timestamp_ns, p->sample_time[sample]);
}

struct bytes profile_string(const struct profile *p, uint32_t id)
{
    return id < p->string_count ? p->strings[id] : (struct bytes){0};
}

const struct profile_frame *profile_node_frame(const struct profile *p, uint32_t node)
{
    if (node >= p->node_count || p->node_frame[node] >= p->frame_list_count)
        return NULL;
    uint32_t frame = p->frame_list[p->node_frame[node]];
    return frame < p->frame_count ? &p->frames[frame] : NULL;
}

static enum err out_of_range(struct errinfo *info, const char *what, size_t at, uint32_t value,
                             size_t limit)
{
    return err_set(info, ERR_CORRUPT, "profile: %s %zu is %" PRIu32 ", expected below %zu", what,
                   at, value, limit);
}

static enum err check_below(const uint32_t *values, size_t count, size_t limit, const char *what,
                            struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i] >= limit)
            return out_of_range(info, what, i, values[i], limit);
    }
    return ERR_OK;
}

static enum err check_strings(const struct profile *p, struct errinfo *info)
{
    const uint32_t ids[] = {p->version,     p->platform,      p->environment, p->release,
                            p->dist,        p->sdk_name,      p->sdk_version, p->timestamp_text,
                            p->transaction, p->active_thread, p->segment_id};
    if (p->string_count == 0 || p->strings[0].len != 0)
        return err_set(info, ERR_CORRUPT, "profile: string 0 is not the empty string");
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (ids[i] >= p->string_count)
            return out_of_range(info, "text field", i, ids[i], p->string_count);
    }
    return ERR_OK;
}

static enum err check_frames(const struct profile *p, struct errinfo *info)
{
    for (size_t i = 0; i < p->frame_count; i++) {
        const struct profile_frame *f = &p->frames[i];
        const uint32_t ids[] = {f->function, f->module,   f->package,          f->filename,
                                f->abs_path, f->platform, f->instruction_addr, f->rest};
        for (size_t k = 0; k < sizeof ids / sizeof ids[0]; k++) {
            if (ids[k] >= p->string_count)
                return out_of_range(info, "text of frame", i, ids[k], p->string_count);
        }
        if (f->in_app > IN_APP_TRUE)
            return out_of_range(info, "in_app of frame", i, f->in_app, IN_APP_TRUE + 1);
    }
    return check_below(p->frame_list, p->frame_list_count, p->frame_count, "listed frame", info);
}

static enum err check_trie(const struct profile *p, struct errinfo *info)
{
    for (size_t i = 0; i < p->node_count; i++) {
        if (p->node_parent[i] != PROFILE_NONE && p->node_parent[i] >= i)
            return out_of_range(info, "parent of node", i, p->node_parent[i], i);
    }
    for (size_t i = 0; i < p->stack_count; i++) {
        if (p->stacks[i] != PROFILE_NONE && p->stacks[i] >= p->node_count)
            return out_of_range(info, "leaf of stack", i, p->stacks[i], p->node_count);
    }
    return ERR_OK;
}

static enum err check_threads(const struct profile *p, struct errinfo *info)
{
    for (size_t i = 0; i < p->thread_count; i++) {
        const struct profile_thread *t = &p->threads[i];
        const uint32_t ids[] = {t->id, t->name};
        for (size_t k = 0; k < sizeof ids / sizeof ids[0]; k++) {
            if (ids[k] >= p->string_count)
                return out_of_range(info, "text of thread", i, ids[k], p->string_count);
        }
    }
    TRY(check_below(p->sample_thread, p->sample_count, p->thread_count, "thread of sample", info));
    if (p->sample_queue != NULL)
        TRY(check_below(p->sample_queue, p->sample_count, p->string_count, "queue of sample",
                        info));
    return ERR_OK;
}

enum err profile_check_shape(const struct profile *p, struct errinfo *info)
{
    if (p->kind != PROFILE_CHUNK && p->kind != PROFILE_TRANSACTION)
        return err_set(info, ERR_CORRUPT, "profile: unknown kind %d", (int)p->kind);
    TRY(check_strings(p, info));
    TRY(check_frames(p, info));
    TRY(check_trie(p, info));
    return check_threads(p, info);
}

enum err profile_check(const struct profile *p, struct errinfo *info)
{
    TRY(profile_check_shape(p, info));
    TRY(check_below(p->node_frame, p->node_count, p->frame_list_count, "frame of node", info));
    TRY(check_below(p->sample_stack, p->sample_count, p->stack_count, "stack of sample", info));
    int64_t before_ns = INT64_MIN;
    for (size_t i = 0; i < p->sample_count; i++) {
        if (i > 0 && p->sample_time[i] == p->sample_time[i - 1])
            continue; /* threads of a tick share their time */
        int64_t ns = profile_sample_ns(p, i);
        if (ns < before_ns)
            return err_set(info, ERR_CORRUPT,
                           "profile: time of sample %zu is before the one of %zu", i, i - 1);
        before_ns = ns;
    }
    return ERR_OK;
}
