#include "tests/support/random_rows.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define MINUTE_NS INT64_C(60000000000)
#define START_NS  INT64_C(1795336832000000000)

static struct bytes text_of(struct rng *rng, struct arena *arena, const char *stem, unsigned of)
{
    char text[40];
    if (rng_chance(rng, 15))
        return BYTES("");
    int len = snprintf(text, sizeof text, "%s%u", stem, (unsigned)rng_below(rng, of));
    return arena_copy(arena, bytes_of(text, (size_t)len));
}

/* The `number`-th of a kind: the same wherever it is asked for. */
static struct uuid id_of(unsigned kind, uint64_t number)
{
    struct rng rng = rng_seeded(number * 8 + kind);
    struct uuid id;
    rng_bytes(&rng, id.byte, sizeof id.byte);
    return id;
}

static void fill_times(struct rng *rng, enum random_times times, uint64_t number, int64_t *start_ns,
                       int64_t *end_ns)
{
    int64_t at = START_NS + (int64_t)(number % 1000) * MINUTE_NS;
    switch (times) {
    case TIMES_EXTREME:
        *start_ns = (int64_t)(rng_u64(rng) >> rng_below(rng, 64)) - (rng_chance(rng, 50) ? 5 : 0);
        *end_ns = rng_chance(rng, 10) ? INT64_MAX : rng_range(rng, *start_ns, INT64_MAX);
        if (rng_chance(rng, 10))
            *start_ns = INT64_MIN;
        return;
    case TIMES_EQUAL: at = -3 + rng_range(rng, 0, 5); break;
    case TIMES_OVERLAP: at = rng_range(rng, -1000 * MINUTE_NS, 1000 * MINUTE_NS); break;
    case TIMES_CADENCE:
    case TIMES_COUNT: break;
    }
    *start_ns = at;
    *end_ns = at + rng_range(rng, 0, MINUTE_NS - 1);
    if (times == TIMES_OVERLAP && rng_chance(rng, 5))
        *end_ns = at + rng_range(rng, 0, 300 * MINUTE_NS);
}

static void fill_profile(struct rng *rng, struct arena *arena, const struct random_rows *shape,
                         uint64_t number, struct record *r)
{
    r->project_id = rng_below(rng, shape->projects) * 1000;
    r->organization_id = r->project_id / 2000;
    r->retention_days = rng_chance(rng, 90) ? 90 : (uint32_t)rng_u64(rng);
    fill_times(rng, shape->times, number, &r->start_ns, &r->end_ns);
    r->received_ns = rng_chance(rng, 5) ? (int64_t)rng_u64(rng) : r->end_ns - r->end_ns % 1000;
    r->content = (struct hash128){rng_u64(rng), rng_u64(rng)};
    r->sample_count = rng_chance(rng, 2) ? UINT32_MAX : (uint32_t)rng_below(rng, 7000);
    r->thread_count = (uint32_t)rng_below(rng, 20);
    r->block_size = rng_chance(rng, 1) ? UINT32_MAX : (uint32_t)rng_below(rng, 20000);
    r->text[TEXT_PLATFORM] = text_of(rng, arena, "platform", 3);
    r->text[TEXT_ENVIRONMENT] = text_of(rng, arena, "environment", 2);
    r->text[TEXT_RELEASE] = text_of(rng, arena, "release@", 40);
    r->text[TEXT_DIST] = text_of(rng, arena, "", 2);
    r->text[TEXT_SDK_NAME] = text_of(rng, arena, "sdk.", 3);
    r->text[TEXT_SDK_VERSION] = text_of(rng, arena, "2.", 5);
}

static void fill_chunk(struct rng *rng, struct arena *arena, const struct random_rows *shape,
                       uint64_t number, struct record *r)
{
    r->kind = RECORD_CHUNK;
    fill_profile(rng, arena, shape, number, r);
    r->profiler_id =
        rng_chance(rng, 1) ? (struct uuid){0} : id_of(0, rng_below(rng, shape->profilers));
    /* an id again: mostly with another start */
    r->id = id_of(1, rng_chance(rng, 10) ? rng_below(rng, number + 1) : number);
}

static void fill_transaction(struct rng *rng, struct arena *arena, const struct random_rows *shape,
                             uint64_t number, struct record *r)
{
    r->kind = RECORD_TRANSACTION;
    fill_profile(rng, arena, shape, number, r);
    r->id = id_of(1, number);
    r->trace_id = id_of(2, rng_below(rng, shape->traces));
    r->transaction_id = id_of(3, number);
    r->text[TEXT_TRANSACTION] = text_of(rng, arena, "GET /page/", 100);
}

/* The n-th of its trace: the first is a transaction, most others are below it. */
static void fill_link(struct rng *rng, struct arena *arena, const struct random_rows *shape,
                      uint64_t number, struct record *r)
{
    uint64_t trace = rng_below(rng, shape->traces);
    struct link *link = &r->link;
    r->kind = RECORD_LINK;
    link->project_id = rng_below(rng, shape->projects) * 1000;
    link->trace_id = id_of(2, trace);
    link->profiler_id =
        rng_chance(rng, 10) ? (struct uuid){0} : id_of(0, rng_below(rng, shape->profilers + 1));
    link->is_segment = rng_chance(rng, 40);
    if (link->is_segment)
        link->transaction_id = id_of(3, number);
    link->span_id = trace << 32 | number;
    if (rng_chance(rng, 60))
        link->parent_span_id =
            rng_chance(rng, 80) ? trace << 32 | rng_below(rng, number + 1) : rng_u64(rng);
    fill_times(rng, shape->times, number, &link->start_ns, &link->end_ns);
    if (rng_chance(rng, 5)) {
        int64_t start_ns = link->start_ns;
        link->start_ns = link->end_ns;
        link->end_ns = start_ns;
    }
    link->name = text_of(rng, arena, "GET /page/", 100);
    link->op = text_of(rng, arena, "op.", 4);
    link->thread_id = text_of(rng, arena, "14060868965", 20);
    link->thread_name = text_of(rng, arena, "thread-", 20);
    link->environment = text_of(rng, arena, "environment", 2);
    link->release = text_of(rng, arena, "release@", 4);
    link->platform = text_of(rng, arena, "platform", 3);
    r->content = (struct hash128){rng_u64(rng), rng_u64(rng)};
    if (rng_chance(rng, 90)) {
        struct buffer scratch;
        buffer_init(&scratch, 1 << 20, NULL);
        enum err rc = record_link_content(link, &scratch, &r->content);
        assert(rc == ERR_OK);
        (void)rc;
        buffer_close(&scratch);
    }
}

static int compare_items(const void *left, const void *right)
{
    return record_compare(&((const struct rows_item *)left)->record,
                          &((const struct rows_item *)right)->record);
}

/* Without what has the key of the one before. */
static size_t sort_rows(struct rows_item *items, size_t count)
{
    size_t kept = 0;
    qsort(items, count, sizeof *items, compare_items);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || record_compare(&items[kept - 1].record, &items[i].record) != 0)
            items[kept++] = items[i];
    }
    return kept;
}

struct rows_item *random_rows(struct rng *rng, struct arena *arena, const struct random_rows *shape,
                              size_t *ret_count)
{
    size_t wanted = shape->chunks + shape->transactions + shape->links;
    struct rows_item *items = ARENA_ARRAY(arena, wanted + 1, struct rows_item);
    size_t count = 0;
    assert(items != NULL);
    memset(items, 0, (wanted + 1) * sizeof *items);
    for (size_t i = 0; i < wanted; i++) {
        items[i].arrival = rng_chance(rng, 1) ? rng_u64(rng) : 1000000 + rng_below(rng, wanted * 2);
        items[i].flags = rng_chance(rng, 80) ? SEGMENT_ROW_SUMMABLE : 0;
    }
    for (; count < shape->chunks; count++)
        fill_chunk(rng, arena, shape, count, &items[count].record);
    for (size_t i = 0; i < shape->transactions; i++, count++)
        fill_transaction(rng, arena, shape, count, &items[count].record);
    count = sort_rows(items, count);
    for (size_t i = 0; i < shape->links; i++, count++)
        fill_link(rng, arena, shape, i, &items[count].record);
    *ret_count = count;
    return items;
}
