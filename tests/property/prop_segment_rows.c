/* prop_segment_rows.c - rows and links of a segment against plain scans of what was put into it. */
#include <criterion/criterion.h>

#include "tests/support/random_rows.h"
#include "tests/support/scale.h"
#include "tests/support/vfs_mem.h"

#define PATH "/d/segment-0000000000000001"

/* What was put into a segment, and the segment. */
struct pair {
    struct rows_item *items; /* rows, then links in their order of the segment */
    uint32_t rows;
    uint32_t links;
    struct rows_segment segment;
};

static const struct record *row_of(const struct pair *p, uint32_t row)
{
    return &p->items[row].record;
}

static const struct link *link_of(const struct pair *p, uint32_t link)
{
    return &p->items[p->rows + link].record.link;
}

static int compare_links(const void *left, const void *right)
{
    const struct rows_item *a = left;
    const struct rows_item *b = right;
    const struct link *link = &a->record.link;
    const struct link *other = &b->record.link;
    if (link->project_id != other->project_id)
        return link->project_id < other->project_id ? -1 : 1;
    if (link->start_ns != other->start_ns)
        return link->start_ns < other->start_ns ? -1 : 1;
    return (a->arrival > b->arrival) - (a->arrival < b->arrival);
}

/* Arrivals of links are made different, as in a store: their order is then told by the facts. */
static void make(struct rng *rng, struct vfs *v, struct arena *arena,
                 const struct random_rows *shape, struct pair *ret)
{
    size_t count = 0;
    struct errinfo info = {0};
    *ret = (struct pair){0};
    ret->items = random_rows(rng, arena, shape, &count);
    for (; ret->rows < count && ret->items[ret->rows].record.kind != RECORD_LINK; ret->rows++)
        ;
    ret->links = (uint32_t)count - ret->rows;
    for (uint32_t i = 0; i < ret->links; i++)
        ret->items[ret->rows + i].arrival = 1000 + (i ^ 5);
    (void)v->remove(v, PATH, NULL);
    cr_assert_eq(rows_segment_write(v, PATH, ret->items, count, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(rows_segment_open(v, PATH, &ret->segment, &info), ERR_OK, "%s", info.text);
    qsort(ret->items + ret->rows, ret->links, sizeof *ret->items, compare_links);
}

/* ---- rows ---- */

static void rows_come_back(const struct pair *p)
{
    uint64_t offset = 0;
    for (uint32_t row = 0; row < p->rows; row++) {
        struct record got;
        struct segment_row_place place;
        const char *why = "";
        cr_assert_eq(segment_rows_record(p->segment.rows, row, &got), ERR_OK);
        cr_assert(records_equal(&got, row_of(p, row), &why), "row %u: %s", row, why);
        cr_assert_eq(segment_rows_place(p->segment.rows, row, &place), ERR_OK);
        cr_assert(place.arrival == p->items[row].arrival && place.flags == p->items[row].flags);
        cr_assert(place.block_offset == offset && place.block_size == got.block_size);
        offset += place.block_size;
    }
    struct record none;
    cr_assert_eq(segment_rows_record(p->segment.rows, p->rows, &none), ERR_CORRUPT);
}

static bool same_run(const struct record *a, const struct record *b)
{
    return a->kind == b->kind && a->project_id == b->project_id &&
           uuid_equal(a->profiler_id, b->profiler_id);
}

static void keys_are_found(struct rng *rng, const struct pair *p)
{
    for (uint32_t row = 0; row < p->rows; row++) {
        uint32_t got;
        struct record key = *row_of(p, row);
        cr_assert_eq(segment_rows_find_key(p->segment.rows, &key, &got), ERR_OK);
        cr_assert_eq(got, row);
        if (key.kind == RECORD_TRANSACTION)
            key.start_ns ^= 1; /* is not in its key */
        cr_assert_eq(segment_rows_find_key(p->segment.rows, &key, &got), ERR_OK);
        cr_assert_eq(got, row);
        switch (rng_below(rng, 3)) {
        case 0: key.project_id++; break;
        case 1: key.id.byte[15] ^= 1; break;
        default:
            key.kind == RECORD_CHUNK ? (void)key.profiler_id.byte[0]++ : (void)key.id.byte[0]++;
        }
        cr_assert_eq(segment_rows_find_key(p->segment.rows, &key, &got), ERR_NOTFOUND);
    }
}

/* Every row of a run with an id, whatever its start. */
static void ids_are_found(struct rng *rng, const struct pair *p)
{
    for (unsigned i = 0; i < 50 && p->rows > 0; i++) {
        const struct record *wanted = row_of(p, (uint32_t)rng_below(rng, p->rows));
        struct segment_run run;
        uint32_t at;
        uint32_t got;
        cr_assert_eq(segment_rows_find_run(p->segment.rows, wanted->kind, wanted->project_id,
                                           wanted->profiler_id, &run),
                     ERR_OK);
        at = run.first;
        for (uint32_t row = 0; row < p->rows; row++) {
            if (!same_run(wanted, row_of(p, row)) || !uuid_equal(wanted->id, row_of(p, row)->id))
                continue;
            cr_assert_eq(segment_rows_next_with_id(p->segment.rows, run, wanted->id, &at, &got),
                         ERR_OK);
            cr_assert_eq(got, row);
        }
        cr_assert_eq(segment_rows_next_with_id(p->segment.rows, run, wanted->id, &at, &got),
                     ERR_NOTFOUND);
    }
}

struct window {
    int64_t start_ns;
    int64_t end_ns;
};

/* Around something that is there, or anywhere. */
static struct window random_window(struct rng *rng, int64_t near_ns)
{
    struct window w = {near_ns, near_ns};
    if (rng_chance(rng, 20)) {
        w.start_ns = (int64_t)rng_u64(rng);
        w.end_ns = rng_chance(rng, 50) ? INT64_MAX : (int64_t)rng_u64(rng);
    } else if (near_ns > INT64_MIN / 2 && near_ns < INT64_MAX / 2) {
        w.start_ns += rng_range(rng, -300, 300) * (INT64_C(1) << rng_below(rng, 36));
        w.end_ns = w.start_ns + rng_range(rng, -1, 300) * (INT64_C(1) << rng_below(rng, 36));
    }
    return w;
}

static void check_range(const struct pair *p, struct segment_run run, struct window w)
{
    uint32_t from;
    uint32_t end;
    int64_t max_end_ns = INT64_MIN;
    uint32_t expected_end = run.first;
    uint32_t expected_from = run.end;
    for (uint32_t row = run.first; row < run.end; row++) {
        int64_t got;
        max_end_ns = row_of(p, row)->end_ns > max_end_ns ? row_of(p, row)->end_ns : max_end_ns;
        cr_assert_eq(segment_rows_max_end(p->segment.rows, row, &got), ERR_OK);
        cr_assert_eq(got, max_end_ns);
        expected_end += row_of(p, row)->start_ns <= w.end_ns;
        if (max_end_ns >= w.start_ns && row < expected_from)
            expected_from = row;
    }
    expected_from = expected_from > expected_end ? expected_end : expected_from;
    cr_assert_eq(segment_rows_find_range(p->segment.rows, run, w.start_ns, w.end_ns, &from, &end),
                 ERR_OK);
    cr_assert(from == expected_from && end == expected_end,
              "[%u, %u), expected [%u, %u) of [%u, %u)", from, end, expected_from, expected_end,
              run.first, run.end);
}

/* A run is found as what it is, and a range of it holds exactly what can meet a window. */
static void ranges_equal_a_scan(struct rng *rng, const struct pair *p)
{
    for (unsigned i = 0; i < 60 && p->rows > 0; i++) {
        const struct record *wanted = row_of(p, (uint32_t)rng_below(rng, p->rows));
        struct segment_run run = {UINT32_MAX, 0};
        struct segment_run got;
        for (uint32_t row = 0; row < p->rows; row++) {
            if (!same_run(wanted, row_of(p, row)))
                continue;
            run.first = row < run.first ? row : run.first;
            run.end = row + 1;
        }
        cr_assert_eq(segment_rows_find_run(p->segment.rows, wanted->kind, wanted->project_id,
                                           wanted->profiler_id, &got),
                     ERR_OK);
        cr_assert(got.first == run.first && got.end == run.end);
        check_range(p, run, random_window(rng, wanted->start_ns));
        check_range(p, run, random_window(rng, wanted->end_ns));
    }
}

static void strangers_are_not_found(struct rng *rng, const struct pair *p)
{
    for (unsigned i = 0; i < 200; i++) {
        struct uuid id;
        struct segment_run run;
        struct segment_trace trace;
        uint32_t got;
        uint64_t project = rng_below(rng, 5) * 1000;
        const struct segment_rows *r = p->segment.rows;
        rng_bytes(rng, id.byte, sizeof id.byte);
        cr_assert_eq(segment_rows_find_run(r, RECORD_CHUNK, project, id, &run), ERR_NOTFOUND);
        cr_assert_eq(segment_rows_find_run(r, RECORD_TRANSACTION, project, id, &run), ERR_NOTFOUND);
        cr_assert_eq(segment_rows_find_profile(r, project, id, &got), ERR_NOTFOUND);
        cr_assert_eq(segment_rows_find_trace(r, project, id, &trace), ERR_NOTFOUND);
    }
}

/* ---- runs, projects, tags ---- */

static void runs_tile_the_rows(const struct pair *p)
{
    const struct segment_counts *counts = segment_rows_counts(p->segment.rows);
    struct segment_run_facts run;
    uint32_t row = 0;
    for (uint32_t i = 0; i < counts->runs; i++) {
        cr_assert_eq(segment_rows_run(p->segment.rows, i, &run), ERR_OK);
        cr_assert_eq(run.rows.first, row);
        for (; row < run.rows.end; row++) {
            const struct record *r = row_of(p, row);
            cr_assert(r->kind == run.kind && r->project_id == run.project_id &&
                      uuid_equal(r->profiler_id, run.profiler_id));
        }
        cr_assert(row == p->rows || !same_run(row_of(p, row - 1), row_of(p, row)));
        cr_assert_eq(run.kind == RECORD_CHUNK, i < counts->chunk_runs);
    }
    cr_assert_eq(row, p->rows);
    cr_assert_eq(segment_rows_run(p->segment.rows, counts->runs, &run), ERR_CORRUPT);
}

static void projects_have_their_shares(const struct pair *p)
{
    struct segment_project project = {0};
    struct segment_run_facts run;
    uint32_t run_at = 0;
    uint32_t link = 0;
    const struct segment_counts *counts = segment_rows_counts(p->segment.rows);
    for (uint32_t i = 0; i < counts->projects; i++) {
        uint64_t last = project.project_id;
        cr_assert_eq(segment_rows_project(p->segment.rows, i, &project), ERR_OK);
        cr_assert(i == 0 || project.project_id > last);
        cr_assert(project.run_first == run_at && project.link_first == link);
        for (; run_at < project.run_end; run_at++) {
            cr_assert_eq(segment_rows_run(p->segment.rows, run_at, &run), ERR_OK);
            cr_assert_eq(run.project_id, project.project_id);
        }
        for (; link < project.link_end; link++)
            cr_assert_eq(link_of(p, link)->project_id, project.project_id);
    }
    cr_assert(run_at == counts->chunk_runs && link == p->links);
    cr_assert_eq(segment_rows_project(p->segment.rows, counts->projects, &project), ERR_CORRUPT);
}

static void projects_are_found(const struct pair *p)
{
    struct segment_project project;
    for (uint64_t id = 0; id < 9500; id += 500) {
        bool there = false;
        for (uint32_t row = 0; row < p->rows; row++)
            there |= row_of(p, row)->project_id == id;
        for (uint32_t link = 0; link < p->links; link++)
            there |= link_of(p, link)->project_id == id;
        enum err rc = segment_rows_find_project(p->segment.rows, id, &project);
        cr_assert_eq(rc, there ? ERR_OK : ERR_NOTFOUND, "project %lu", (unsigned long)id);
        cr_assert(!there || project.project_id == id);
    }
}

static void tags_are_found(const struct pair *p)
{
    struct bytes last = {0};
    uint32_t got;
    uint32_t tags = segment_rows_counts(p->segment.rows)->tags;
    for (uint32_t tag = 0; tag < tags; tag++) {
        struct bytes text;
        cr_assert_eq(segment_rows_tag(p->segment.rows, tag, &text), ERR_OK);
        cr_assert(tag == 0 ? text.len == 0 : bytes_compare(last, text) < 0);
        cr_assert_eq(segment_rows_find_tag(p->segment.rows, text, &got), ERR_OK);
        cr_assert_eq(got, tag);
        last = text;
    }
    cr_assert_eq(segment_rows_tag(p->segment.rows, tags, &last), ERR_CORRUPT);
    cr_assert_eq(segment_rows_find_tag(p->segment.rows, BYTES("platform "), &got), ERR_NOTFOUND);
    for (uint32_t row = 0; row < p->rows; row++) {
        struct record facts;
        struct bytes text;
        cr_assert_eq(segment_rows_record(p->segment.rows, row, &facts), ERR_OK);
        cr_assert_eq(
            segment_rows_find_tag(p->segment.rows, row_of(p, row)->text[TEXT_RELEASE], &got),
            ERR_OK);
        cr_assert_eq(segment_rows_tag(p->segment.rows, got, &text), ERR_OK);
        cr_assert(bytes_equal(facts.text[TEXT_RELEASE], text));
    }
}

/* ---- links ---- */

static void links_come_back(struct rng *rng, const struct pair *p)
{
    for (uint32_t i = 0; i < p->links; i++) {
        uint32_t link = rng_chance(rng, 80) ? i : (uint32_t)rng_below(rng, p->links);
        struct record got = {.kind = RECORD_LINK};
        struct errinfo info = {0};
        uint64_t arrival;
        int64_t start_ns;
        int64_t end_ns;
        const char *why = "";
        cr_assert_eq(
            link_cursor_get(p->segment.links, link, &got.link, &got.content, &arrival, &info),
            ERR_OK, "link %u: %s", link, info.text);
        cr_assert(records_equal(&got, &p->items[p->rows + link].record, &why), "link %u: %s", link,
                  why);
        cr_assert_eq(arrival, p->items[p->rows + link].arrival);
        cr_assert_eq(segment_rows_link_span(p->segment.rows, link, &start_ns, &end_ns), ERR_OK);
        cr_assert(start_ns == got.link.start_ns && end_ns == got.link.end_ns);
    }
    struct record none;
    uint64_t arrival;
    cr_assert_eq(
        link_cursor_get(p->segment.links, p->links, &none.link, &none.content, &arrival, NULL),
        ERR_CORRUPT);
}

static void link_ranges_equal_a_scan(struct rng *rng, const struct pair *p)
{
    for (unsigned i = 0; i < 60 && p->links > 0; i++) {
        const struct link *wanted = link_of(p, (uint32_t)rng_below(rng, p->links));
        struct window w = random_window(rng, wanted->start_ns);
        struct segment_project project;
        uint32_t from;
        uint32_t end;
        cr_assert_eq(segment_rows_find_project(p->segment.rows, wanted->project_id, &project),
                     ERR_OK);
        cr_assert_eq(
            segment_rows_find_links(p->segment.rows, project, w.start_ns, w.end_ns, &from, &end),
            ERR_OK);
        cr_assert(project.link_first <= from && from <= end && end <= project.link_end);
        cr_assert(from == end || link_of(p, from)->end_ns >= w.start_ns,
                  "it begins with an answer");
        for (uint32_t link = 0; link < p->links; link++) {
            bool starts = link_of(p, link)->project_id == wanted->project_id &&
                          link_of(p, link)->start_ns <= w.end_ns;
            bool meets = starts && link_of(p, link)->end_ns >= w.start_ns;
            cr_assert(!meets || (link >= from && link < end), "link %u is missing", link);
            cr_assert(starts || link < from || link >= end, "link %u starts too late", link);
        }
    }
}

static void traces_have_their_links(struct rng *rng, const struct pair *p)
{
    for (unsigned i = 0; i < 60 && p->links > 0; i++) {
        const struct link *wanted = link_of(p, (uint32_t)rng_below(rng, p->links));
        struct segment_trace trace;
        uint32_t count = 0;
        uint64_t last_span = 0;
        cr_assert_eq(
            segment_rows_find_trace(p->segment.rows, wanted->project_id, wanted->trace_id, &trace),
            ERR_OK);
        for (uint32_t link = 0; link < p->links; link++)
            count += link_of(p, link)->project_id == wanted->project_id &&
                     uuid_equal(link_of(p, link)->trace_id, wanted->trace_id);
        cr_assert_eq(trace.end - trace.first, count);
        for (uint32_t place = trace.first; place < trace.end; place++) {
            uint32_t link;
            cr_assert_eq(segment_rows_trace_link(p->segment.rows, place, &link), ERR_OK);
            cr_assert(link_of(p, link)->project_id == wanted->project_id &&
                      uuid_equal(link_of(p, link)->trace_id, wanted->trace_id));
            cr_assert(place == trace.first || link_of(p, link)->span_id > last_span);
            last_span = link_of(p, link)->span_id;
        }
    }
}

static void spans_are_found(const struct pair *p)
{
    for (uint32_t link = 0; link < p->links; link++) {
        const struct link *l = link_of(p, link);
        const struct segment_rows *r = p->segment.rows;
        uint32_t got;
        struct link other = *l;
        cr_assert_eq(segment_rows_find_span(r, l, &got), ERR_OK);
        cr_assert_eq(got, link);
        other.span_id = ~l->span_id;
        cr_assert_eq(segment_rows_find_span(r, &other, &got), ERR_NOTFOUND);
        other = *l;
        other.start_ns ^= INT64_C(1) << 61;
        cr_assert_eq(segment_rows_find_span(r, &other, &got), ERR_NOTFOUND);
        other = *l;
        other.project_id++;
        cr_assert_eq(segment_rows_find_span(r, &other, &got), ERR_NOTFOUND);
    }
}

static struct random_rows random_shape(struct rng *rng, unsigned round)
{
    struct random_rows shape = {
        .chunks = rng_below(rng, rng_chance(rng, 30) ? 4 : 1500),
        .transactions = rng_below(rng, rng_chance(rng, 50) ? 2 : 300),
        .links = rng_below(rng, rng_chance(rng, 30) ? 2 : 600),
        .projects = 1 + rng_below(rng, 6),
        .times = (enum random_times)(round % TIMES_COUNT),
    };
    shape.profilers = 1 + rng_below(rng, rng_chance(rng, 50) ? 5 : 3000);
    shape.traces = 1 + rng_below(rng, rng_chance(rng, 50) ? 3 : 400);
    return shape;
}

Test(prop_segment_rows, every_answer_equals_that_of_a_plain_scan)
{
    struct rng rng = test_rng();
    struct vfs_mem *disk = vfs_mem_create();
    for (unsigned round = 0; round < test_scale(40); round++) {
        struct arena arena;
        struct pair p;
        struct random_rows shape = random_shape(&rng, round);
        arena_init(&arena, SIZE_MAX, NULL);
        make(&rng, vfs_mem_vfs(disk), &arena, &shape, &p);
        rows_come_back(&p);
        keys_are_found(&rng, &p);
        ids_are_found(&rng, &p);
        ranges_equal_a_scan(&rng, &p);
        strangers_are_not_found(&rng, &p);
        runs_tile_the_rows(&p);
        projects_have_their_shares(&p);
        projects_are_found(&p);
        tags_are_found(&p);
        links_come_back(&rng, &p);
        link_ranges_equal_a_scan(&rng, &p);
        traces_have_their_links(&rng, &p);
        spans_are_found(&p);
        rows_segment_close(&p.segment);
        arena_close(&arena);
    }
    vfs_mem_destroy(disk);
}
