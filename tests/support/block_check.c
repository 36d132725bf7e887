#include "tests/support/block_check.h"

#include <stdlib.h>

#include "storage/profile_equal.h"

struct profile block_check_row(const struct profile *p)
{
    return (struct profile){.kind = p->kind,
                            .organization_id = p->organization_id,
                            .project_id = p->project_id,
                            .retention_days = p->retention_days,
                            .received_ns = p->received_ns,
                            .profiler_id = p->profiler_id,
                            .id = p->id,
                            .trace_id = p->trace_id,
                            .transaction_id = p->transaction_id};
}

const char *block_check_equal(const struct profile *wanted, const struct profile *got)
{
    struct arena scratch;
    const char *difference = "no room to compare";
    arena_init(&scratch, 256 << 20, NULL);
    if (profile_check_shape(got, NULL) != ERR_OK)
        difference = "shape";
    else
        (void)!profile_equal(wanted, got, &scratch, &difference);
    arena_close(&scratch);
    return difference;
}

static int compare_weights(const void *left, const void *right)
{
    const struct node_weight *a = left, *b = right;
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return (a->node > b->node) - (a->node < b->node);
}

/* A weight for every sample that has another one of its thread behind it. */
static size_t weigh_samples(const struct profile *p, const struct tables_mapping *map,
                            struct node_weight *weights, struct block_sum *total)
{
    size_t count = 0;
    for (size_t i = 0; i < p->sample_count; i++) {
        size_t next = i + 1;
        while (next < p->sample_count && p->sample_thread[next] != p->sample_thread[i])
            next++;
        if (next == p->sample_count)
            continue;
        int64_t start_ns = profile_sample_ns(p, i);
        int64_t end_ns = profile_sample_ns(p, next);
        uint32_t leaf = p->stacks[p->sample_stack[i]];
        weights[count++] =
            (struct node_weight){.thread = map->threads[p->sample_thread[i]],
                                 .node = leaf == PROFILE_NONE ? PROFILE_NONE : map->nodes[leaf],
                                 .samples = 1,
                                 .ns = (uint64_t)end_ns - (uint64_t)start_ns};
        total->first_ns = !total->any || start_ns < total->first_ns ? start_ns : total->first_ns;
        total->last_ns = !total->any || end_ns > total->last_ns ? end_ns : total->last_ns;
        total->any = true;
        total->samples++;
        total->ns += (uint64_t)end_ns - (uint64_t)start_ns;
    }
    return count;
}

static const char *compare_sums(const struct node_weight *weights, size_t count,
                                const struct block_sum *total, const struct block_sum *sum)
{
    size_t at = 0;
    for (size_t i = 0; i < count;) {
        struct node_weight w = weights[i++];
        for (; i < count && compare_weights(&w, &weights[i]) == 0; i++) {
            w.samples += weights[i].samples;
            w.ns += weights[i].ns;
        }
        if (at == sum->count || compare_weights(&w, &sum->weights[at]) != 0)
            return "threads and nodes";
        if (w.samples != sum->weights[at].samples || w.ns != sum->weights[at].ns)
            return "a weight";
        at++;
    }
    if (at != sum->count)
        return "number of weights";
    if (sum->samples != total->samples || sum->ns != total->ns || sum->any != total->any)
        return "totals";
    if (sum->any && (sum->first_ns != total->first_ns || sum->last_ns != total->last_ns))
        return "first and last";
    return NULL;
}

const char *block_check_sum(const struct profile *p, const struct tables_mapping *map,
                            const struct block_sum *sum)
{
    struct block_sum total = {0};
    struct node_weight *weights = mem_array(p->sample_count, sizeof *weights);
    if (weights == NULL)
        return "no room to compare";
    size_t count = weigh_samples(p, map, weights, &total);
    qsort(weights, count, sizeof *weights, compare_weights);
    const char *difference = compare_sums(weights, count, &total, sum);
    mem_free(weights);
    return difference;
}
