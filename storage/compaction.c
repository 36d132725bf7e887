/* compaction.c - the rows of some parts, merged in order, cut into days.
 *
 *   count the days of all rows -> choose partitions -> for each: merge the parts row by row into a
 *   segment, begin another when it is full; its links behind
 */
#include "storage/compaction.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/size.h"
#include "base/sort.h"

#define DAY_NS          INT64_C(86400000000000)
#define PAGES_KEPT_ROWS 256 /* decoded tables of the parts are dropped every so many rows */

/* One part on its way: its visible rows and links in order, and the row at its head. Segments have
 * both in order, and nearly always in one partition; those of log sets are numbers, by partition. */
struct input {
    struct part_view view;
    struct buffer rows;
    struct buffer links;
    uint32_t row_count;
    uint32_t link_count;
    uint32_t at;
    uint32_t link_at;
    bool has_head;
    uint32_t row; /* at the head */
    struct record head;
};

struct day {
    int32_t day;
    bool near; /* some row was received near its start */
    uint64_t rows;
};

struct work {
    const struct compaction *c;
    struct compaction_result *out;
    struct input *inputs;
    struct day *days; /* ascending */
    size_t day_count;
    size_t day_capacity;
    size_t
        rank; /* of the partition being written; day_count: of those that have none of their own */
    struct segment_builder *builder;
    size_t builder_memory_max; /* of it: then the segment ends */
    struct errinfo *info;
};

static enum err no_room(struct work *w)
{
    return err_set(w->info, ERR_NOMEM, "compaction: out of memory");
}

static bool goes_on(const struct work *w)
{
    return w->c->keep_going == NULL || w->c->keep_going(w->c->self);
}

static enum err canceled(struct work *w)
{
    return err_set(w->info, ERR_CANCELED, "compaction: canceled");
}

/* ---- inputs ---- */

static bool is_log(const struct input *in)
{
    return in->view.part->log != NULL;
}

/* The n-th row or link of an input; false: it is hidden. */
static bool input_row(const struct input *in, uint32_t at, uint32_t *ret)
{
    *ret = is_log(in) ? ((const uint32_t *)in->rows.data)[at] : at;
    return is_log(in) || part_row_visible(&in->view, *ret);
}

static bool input_link(const struct input *in, uint32_t at, uint32_t *ret)
{
    *ret = is_log(in) ? ((const uint32_t *)in->links.data)[at] : at;
    return is_log(in) || part_link_visible(&in->view, *ret);
}

/* The numbers of what is visible of a log set. */
static enum err list_visible(struct work *w, struct input *in)
{
    uint32_t rows = 0;
    uint32_t links = 0;
    for (uint32_t i = 0; i < in->row_count; i++) {
        if (part_row_visible(&in->view, i)) {
            buffer_put(&in->rows, bytes_of(&i, sizeof i));
            rows++;
        }
    }
    for (uint32_t i = 0; i < in->link_count; i++) {
        if (part_link_visible(&in->view, i)) {
            buffer_put(&in->links, bytes_of(&i, sizeof i));
            links++;
        }
    }
    in->row_count = rows;
    in->link_count = links;
    enum err rc = in->rows.failed != ERR_OK ? in->rows.failed : in->links.failed;
    return rc == ERR_OK ? ERR_OK
                        : err_set(w->info, rc, "compaction: no room for the numbers of rows");
}

static enum err open_inputs(struct work *w)
{
    w->inputs = mem_array(w->c->part_count, sizeof *w->inputs);
    if (w->inputs == NULL)
        return no_room(w);
    memset(w->inputs, 0, w->c->part_count * sizeof *w->inputs);
    for (size_t i = 0; i < w->c->part_count; i++) {
        struct input *in = &w->inputs[i];
        part_view_init(&in->view, w->c->parts[i], w->c->account);
        buffer_init(&in->rows, SIZE_MAX, w->c->account);
        buffer_init(&in->links, SIZE_MAX, w->c->account);
        in->row_count = part_row_count(&in->view);
        in->link_count = part_link_count(&in->view);
        if (is_log(in))
            TRY(list_visible(w, in));
    }
    return ERR_OK;
}

static void close_inputs(struct work *w)
{
    for (size_t i = 0; i < w->c->part_count && w->inputs != NULL; i++) {
        part_view_close(&w->inputs[i].view);
        buffer_close(&w->inputs[i].rows);
        buffer_close(&w->inputs[i].links);
    }
    mem_free(w->inputs);
}

static enum err damaged_part(struct work *w)
{
    return err_set(w->info, ERR_CORRUPT, "compaction: the index of a part is damaged");
}

/* ---- days ---- */

static int32_t day_of(int64_t ns)
{
    int64_t day = ns / DAY_NS - (ns % DAY_NS < 0);
    return (int32_t)day; /* 64-bit nanoseconds reach 106,752 days */
}

static bool is_near(const struct record *r)
{
    int64_t start = day_of(r->start_ns);
    int64_t received = day_of(r->received_ns);
    return start <= received + 1 && start >= received - PARTITION_PAST_DAYS;
}

/* Where the day stands, or would stand. */
static size_t find_day(const struct work *w, int32_t day)
{
    size_t low = 0;
    size_t high = w->day_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->days[middle].day < day)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum err count_day(struct work *w, const struct record *r)
{
    int32_t day = day_of(r->start_ns);
    size_t at = find_day(w, day);
    if (at == w->day_count || w->days[at].day != day) {
        if (w->day_count == w->day_capacity) {
            size_t capacity = w->day_capacity * 2 + 16;
            struct day *days = mem_resize(w->days, capacity, sizeof *days);
            if (days == NULL)
                return no_room(w);
            w->days = days;
            w->day_capacity = capacity;
        }
        memmove(w->days + at + 1, w->days + at, (w->day_count - at) * sizeof *w->days);
        w->days[at] = (struct day){.day = day};
        w->day_count++;
    }
    w->days[at].rows++;
    w->days[at].near |= is_near(r);
    return ERR_OK;
}

static enum err count_days(struct work *w)
{
    for (size_t i = 0; i < w->c->part_count; i++) {
        for (uint32_t at = 0; at < w->inputs[i].row_count; at++) {
            struct record record;
            uint32_t row;
            if (!input_row(&w->inputs[i], at, &row))
                continue;
            if (!goes_on(w))
                return canceled(w);
            if (part_record(&w->inputs[i].view, row, &record) != ERR_OK)
                return damaged_part(w);
            TRY(count_day(w, &record));
        }
    }
    return ERR_OK;
}

/* Keep the days that are partitions; the others share PARTITION_ODD. */
static void choose_partitions(struct work *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->day_count; i++)
        if (w->days[i].near || w->days[i].rows >= PARTITION_ROWS_MIN)
            w->days[kept++] = w->days[i];
    w->day_count = kept;
}

/* How many partitions come before the one of that moment. */
static size_t rank_of(const struct work *w, int64_t start_ns)
{
    int32_t day = day_of(start_ns);
    size_t at = find_day(w, day);
    return at < w->day_count && w->days[at].day == day ? at : w->day_count;
}

static bool in_partition(const struct work *w, int64_t start_ns)
{
    return rank_of(w, start_ns) == w->rank;
}

/* ---- order of a log set: by partition, then as segments have it ---- */

struct ordering {
    const struct work *w;
    const struct log_view *log;
};

static int compare_ranks(const struct work *w, int64_t left_ns, int64_t right_ns)
{
    size_t left = rank_of(w, left_ns);
    size_t right = rank_of(w, right_ns);
    return (left > right) - (left < right);
}

static int compare_rows(const void *left, const void *right, void *context)
{
    const struct ordering *o = context;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    int order = compare_ranks(o->w, log_view_row_start(o->log, a), log_view_row_start(o->log, b));
    return order != 0 ? order : log_view_compare_rows(o->log, a, b);
}

static int compare_links(const void *left, const void *right, void *context)
{
    const struct ordering *o = context;
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    int order = compare_ranks(o->w, log_view_link_start(o->log, a), log_view_link_start(o->log, b));
    return order != 0 ? order : (a > b) - (a < b);
}

static enum err sort_inputs(struct work *w)
{
    for (size_t i = 0; i < w->c->part_count; i++) {
        struct input *in = &w->inputs[i];
        struct ordering o = {w, &in->view.log};
        if (!is_log(in))
            continue;
        enum err rc = sort_array(w->c->account, in->rows.data, in->row_count, sizeof(uint32_t),
                                 compare_rows, &o);
        if (rc == ERR_OK)
            rc = sort_array(w->c->account, in->links.data, in->link_count, sizeof(uint32_t),
                            compare_links, &o);
        if (rc != ERR_OK)
            return err_set(w->info, rc,
                           "compaction: no room to sort %" PRIu32 " rows and %" PRIu32 " links",
                           in->row_count, in->link_count);
    }
    return ERR_OK;
}

/* ---- one partition ---- */

/* A log set ends with its partition, and goes on there in the next one. */
static enum err advance(struct work *w, struct input *in)
{
    in->has_head = false;
    for (; in->at < in->row_count && !in->has_head; in->at++) {
        if (!input_row(in, in->at, &in->row))
            continue;
        if (part_record(&in->view, in->row, &in->head) != ERR_OK)
            return damaged_part(w);
        in->has_head = in_partition(w, in->head.start_ns);
        if (!in->has_head && is_log(in))
            break;
    }
    return ERR_OK;
}

static struct input *smallest(struct work *w)
{
    struct input *best = NULL;
    for (size_t i = 0; i < w->c->part_count; i++) {
        struct input *in = &w->inputs[i];
        if (in->has_head && (best == NULL || record_compare(&in->head, &best->head) < 0))
            best = in;
    }
    return best;
}

/* Tables grow by doubling, old and new at once, and ending takes memory as well. */
static size_t builder_memory_max(const struct compaction *c)
{
    size_t left = c->account == NULL ? SIZE_MAX : mem_account_left(c->account);
    return left / 4 < SEGMENT_MEMORY_MAX ? left / 4 : SEGMENT_MEMORY_MAX;
}

static enum err ready_builder(struct work *w)
{
    if (w->builder != NULL)
        return ERR_OK;
    struct segment_builder_options options = {.vfs = w->c->vfs,
                                              .dir = w->c->dir,
                                              .number = (*w->c->next_number)++,
                                              .level = w->c->level,
                                              .day = w->rank < w->day_count ? w->days[w->rank].day
                                                                            : PARTITION_ODD,
                                              .retention_days = w->c->retention_days,
                                              .rules = w->c->rules,
                                              .account = w->c->account};
    return segment_builder_create(&options, &w->builder, w->info);
}

static enum err finish_builder(struct work *w)
{
    struct compaction_result *out = w->out;
    if (w->builder == NULL)
        return ERR_OK;
    if (out->count == out->capacity) {
        size_t capacity = out->capacity * 2 + 8;
        struct manifest_segment *segments =
            mem_resize(out->segments, capacity, sizeof *out->segments);
        if (segments == NULL)
            return no_room(w);
        out->segments = segments;
        out->capacity = capacity;
    }
    TRY(segment_builder_finish(w->builder, &out->segments[out->count], w->info));
    out->count++;
    segment_builder_destroy(w->builder);
    w->builder = NULL;
    return ERR_OK;
}

static enum err end_when_full(struct work *w)
{
    if (segment_builder_memory(w->builder) < w->builder_memory_max &&
        segment_builder_size(w->builder) < SEGMENT_BLOCKS_MAX)
        return ERR_OK;
    segment_builder_mark_full(w->builder);
    return finish_builder(w);
}

static enum err add_row(struct work *w, struct input *in)
{
    struct arena arena;
    struct profile profile;
    struct errinfo reason = {0};
    arena_init(&arena, SIZE_MAX, w->c->account);
    enum err rc = part_read_profile(&in->view, in->row, &arena, &profile, &reason);
    uint64_t arrival = part_row_arrival(&in->view, in->row);
    if (rc == ERR_OK)
        rc = segment_builder_add(w->builder, &in->head, &profile, arrival, w->info);
    else if (rc == ERR_CORRUPT) { /* not ERR_IO: that may pass, and nothing is lost by waiting */
        log_error("store", "block_damaged row is kept without it: %s", reason.text);
        w->out->damaged++;
        rc = segment_builder_add_damaged(w->builder, &in->head, arrival, w->info);
    } else
        rc = err_set(w->info, rc, "compaction: %s", reason.text);
    arena_close(&arena);
    w->out->rows += rc == ERR_OK;
    return rc;
}

/* Of rows with one key, which a part that could not be read for a while may bring, the latest. */
static enum err pass_over_equal(struct work *w, struct input **in)
{
    for (size_t i = 0; i < w->c->part_count; i++) {
        struct input *other = &w->inputs[i];
        if (other == *in || !other->has_head || record_compare(&other->head, &(*in)->head) != 0)
            continue;
        bool later =
            part_row_arrival(&other->view, other->row) > part_row_arrival(&(*in)->view, (*in)->row);
        TRY(advance(w, later ? *in : other));
        *in = later ? other : *in;
    }
    return ERR_OK;
}

static void drop_pages(struct work *w)
{
    for (size_t i = 0; i < w->c->part_count; i++)
        part_view_drop_pages(&w->inputs[i].view);
}

static enum err add_rows(struct work *w)
{
    for (size_t i = 0; i < w->c->part_count; i++) {
        if (!is_log(&w->inputs[i]))
            w->inputs[i].at = 0;
        TRY(advance(w, &w->inputs[i]));
    }
    unsigned since = 0; /* rows since pages were dropped */
    for (struct input *in = smallest(w); in != NULL; in = smallest(w)) {
        if (!goes_on(w))
            return canceled(w);
        TRY(pass_over_equal(w, &in));
        TRY(ready_builder(w));
        TRY(add_row(w, in));
        TRY(end_when_full(w));
        TRY(advance(w, in));
        if (++since % PAGES_KEPT_ROWS == 0)
            drop_pages(w);
    }
    return ERR_OK;
}

static enum err add_links(struct work *w, struct input *in)
{
    if (!is_log(in))
        in->link_at = 0;
    for (; in->link_at < in->link_count; in->link_at++) {
        struct part_link link;
        uint32_t id;
        if (!input_link(in, in->link_at, &id))
            continue;
        TRY(part_link(&in->view, id, &link, w->info));
        if (!in_partition(w, link.link.start_ns)) {
            if (is_log(in))
                break;
            continue;
        }
        if (!goes_on(w))
            return canceled(w);
        TRY(ready_builder(w));
        TRY(segment_builder_add_link(w->builder, &link.link, link.content, link.arrival, w->info));
        TRY(end_when_full(w));
    }
    return ERR_OK;
}

static enum err write_partition(struct work *w)
{
    TRY(add_rows(w));
    for (size_t i = 0; i < w->c->part_count; i++)
        TRY(add_links(w, &w->inputs[i]));
    return finish_builder(w);
}

static enum err run(struct work *w)
{
    TRY(open_inputs(w));
    TRY(count_days(w));
    choose_partitions(w);
    TRY(sort_inputs(w));
    for (w->rank = 0; w->rank <= w->day_count; w->rank++)
        TRY(write_partition(w));
    return ERR_OK;
}

enum err compaction_run(const struct compaction *c, struct compaction_result *ret,
                        struct errinfo *info)
{
    struct compaction_result out = {0};
    struct work w = {
        .c = c, .out = &out, .builder_memory_max = builder_memory_max(c), .info = info};
    enum err rc = run(&w);
    segment_builder_destroy(w.builder);
    close_inputs(&w);
    mem_free(w.days);
    if (rc != ERR_OK) {
        compaction_result_close(&out, c, true);
        return rc;
    }
    *ret = out;
    return ERR_OK;
}

void compaction_result_close(struct compaction_result *r, const struct compaction *c, bool remove)
{
    for (size_t i = 0; i < r->count && remove; i++) {
        struct errinfo reason = {0};
        if (segment_remove_file(c->vfs, c->dir, r->segments[i].number, &reason) != ERR_OK)
            log_warn("store", "segment_not_removed %s", reason.text);
    }
    mem_free(r->segments);
    *r = (struct compaction_result){0};
}
