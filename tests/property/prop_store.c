/* prop_store.c - random appends and reopenings against a list that is searched from end to end. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/identity.h"
#include "storage/store.h"
#include "tests/support/hand_profile.h"
#include "tests/support/scale.h"
#include "tests/support/vfs_mem.h"

#define ENTRIES_MAX 2000

/* One record that arrived, the newest last. */
struct entry {
    bool is_link;
    bool is_chunk;
    uint64_t project;
    struct uuid profiler; /* links: the trace */
    struct uuid id;       /* links: byte 8 is the span */
    int64_t start_ns;
    int64_t end_ns;
    uint32_t version;
    bool hidden;
};

struct model {
    struct entry entry[ENTRIES_MAX];
    size_t count;
};

static struct uuid id_of(uint64_t n)
{
    struct uuid id = {{1}};
    put_u64(id.byte + 8, n);
    return id;
}

static bool same_key(const struct entry *a, const struct entry *b)
{
    return a->is_link == b->is_link && a->is_chunk == b->is_chunk && a->project == b->project &&
           uuid_equal(a->profiler, b->profiler) && uuid_equal(a->id, b->id) &&
           ((!a->is_chunk && !a->is_link) || a->start_ns == b->start_ns);
}

/* False when the store would drop it as equal. */
static bool model_add(struct model *m, const struct entry *e)
{
    for (size_t i = m->count; i > 0; i--) {
        struct entry *there = &m->entry[i - 1];
        if (there->hidden || !same_key(there, e))
            continue;
        if (there->version == e->version && there->start_ns == e->start_ns &&
            there->end_ns == e->end_ns)
            return false;
        there->hidden = true;
    }
    m->entry[m->count++] = *e;
    return true;
}

/* Few keys, so that they meet again. */
static struct entry random_entry(struct rng *rng)
{
    struct entry e = {.project = 1 + rng_below(rng, 2), .version = (uint32_t)rng_below(rng, 3)};
    e.is_link = rng_chance(rng, 25);
    e.is_chunk = !e.is_link && rng_chance(rng, 70);
    if (e.is_link || e.is_chunk)
        e.profiler = id_of(rng_below(rng, 5));
    e.id = id_of(rng_below(rng, 40));
    e.start_ns = (1000 + rng_range(rng, 0, 60)) * INT64_C(1000000000);
    e.end_ns = e.start_ns + rng_range(rng, 0, 10) * INT64_C(500000000);
    return e;
}

static int64_t arrivals;

static void encode_profile(const struct entry *e, struct buffer *out)
{
    static struct hand_profile h;
    hand_profile_init(&h, e->is_chunk ? PROFILE_CHUNK : PROFILE_TRANSACTION, "node");
    struct profile *p = &h.profile;
    p->project_id = e->project;
    p->profiler_id = e->profiler;
    p->id = e->id;
    p->received_ns = ++arrivals; /* equal content may arrive at any time */
    p->timestamp_ns = e->is_chunk ? 0 : e->start_ns;
    hand_frame(&h, (struct hand_frame){.function = "main", .line = e->version + 1});
    uint32_t stack = hand_stack(&h, "0");
    uint32_t thread = hand_thread(&h, "1", "");
    int64_t origin = e->is_chunk ? 0 : e->start_ns;
    double unit = e->is_chunk ? 1e9 : 1;
    hand_sample(&h, thread, stack, (double)(e->start_ns - origin) / unit);
    hand_sample(&h, thread, stack, (double)(e->end_ns - origin) / unit);
    cr_assert_eq(record_encode_profile(p, out, NULL), ERR_OK);
}

static void encode(const struct entry *e, struct buffer *out)
{
    buffer_init(out, 1 << 20, NULL);
    if (!e->is_link) {
        encode_profile(e, out);
        return;
    }
    struct link link = {.project_id = e->project,
                        .trace_id = e->profiler,
                        .span_id = e->id.byte[8] + UINT64_C(1),
                        .start_ns = e->start_ns,
                        .end_ns = e->end_ns,
                        .parent_span_id = e->version};
    cr_assert_eq(record_encode_link(&link, out, NULL), ERR_OK);
}

static void append_some(struct rng *rng, struct store *s, struct model *m)
{
    struct buffer out[8];
    struct bytes records[8];
    size_t count = 1 + (size_t)rng_below(rng, 8);
    for (size_t i = 0; i < count; i++) {
        struct entry e = random_entry(rng);
        encode(&e, &out[i]);
        records[i] = buffer_bytes(&out[i]);
        (void)model_add(m, &e);
    }
    struct errinfo info = {0};
    cr_assert_eq(store_append(s, records, count, &info), ERR_OK, "%s", info.text);
    for (size_t i = 0; i < count; i++)
        buffer_close(&out[i]);
}

static bool meets(const struct entry *e, uint64_t project, int64_t start_ns, int64_t end_ns)
{
    return !e->hidden && e->project == project && e->start_ns <= end_ns && e->end_ns >= start_ns;
}

static int compare_links(const struct link *a, const struct link *b)
{
    if (a->start_ns != b->start_ns)
        return a->start_ns < b->start_ns ? -1 : 1;
    int order = uuid_compare(a->trace_id, b->trace_id);
    return order != 0 ? order : (a->span_id > b->span_id) - (a->span_id < b->span_id);
}

static void check_range(struct rng *rng, struct snapshot *snap, const struct model *m,
                        struct arena *arena)
{
    struct row_list rows;
    struct link_list links;
    uint64_t project = 1 + rng_below(rng, 2);
    struct uuid profiler = id_of(rng_below(rng, 5));
    int64_t start_ns = rng_range(rng, 995, 1070) * INT64_C(1000000000);
    int64_t end_ns = start_ns + rng_range(rng, -1, 30) * INT64_C(1000000000);
    size_t chunks = 0;
    size_t profiles = 0;
    size_t spans = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct entry *e = &m->entry[i];
        bool inside = meets(e, project, start_ns, end_ns);
        spans += inside && e->is_link;
        profiles += inside && !e->is_link && !e->is_chunk;
        chunks += inside && e->is_chunk && uuid_equal(e->profiler, profiler);
    }
    cr_assert_eq(snapshot_find_chunks(snap, project, profiler, start_ns, end_ns, arena, &rows),
                 ERR_OK);
    cr_assert_eq(rows.count, chunks);
    for (size_t i = 0; i < rows.count; i++) {
        struct row row;
        struct row before;
        cr_assert_eq(snapshot_row(snap, rows.ids[i], &row), ERR_OK);
        cr_assert(row.project_id == project && uuid_equal(row.profiler_id, profiler));
        cr_assert(row.start_ns <= end_ns && row.end_ns >= start_ns);
        if (i == 0)
            continue;
        cr_assert_eq(snapshot_row(snap, rows.ids[i - 1], &before), ERR_OK);
        cr_assert(before.start_ns < row.start_ns ||
                  (before.start_ns == row.start_ns && uuid_compare(before.id, row.id) < 0));
    }
    cr_assert_eq(snapshot_find_profiles(snap, project, start_ns, end_ns, arena, &rows), ERR_OK);
    cr_assert_eq(rows.count, profiles);
    cr_assert_eq(snapshot_find_links(snap, project, start_ns, end_ns, arena, &links), ERR_OK);
    cr_assert_eq(links.count, spans);
    for (size_t i = 1; i < links.count; i++)
        cr_assert_lt(compare_links(&links.links[i - 1], &links.links[i]), 0);
}

static void check_ids(struct rng *rng, struct snapshot *snap, const struct model *m,
                      struct arena *arena)
{
    struct entry wanted = random_entry(rng);
    const struct entry *newest = NULL;
    row_id id;
    for (size_t i = 0; i < m->count; i++) {
        const struct entry *e = &m->entry[i];
        if (!e->is_link && e->is_chunk == wanted.is_chunk && e->project == wanted.project &&
            uuid_equal(e->profiler, wanted.profiler) && uuid_equal(e->id, wanted.id))
            newest = e;
    }
    if (wanted.is_link)
        return;
    enum err rc = wanted.is_chunk
                      ? snapshot_find_chunk(snap, wanted.project, wanted.profiler, wanted.id, &id)
                      : snapshot_find_profile(snap, wanted.project, wanted.id, &id);
    cr_assert_eq(rc, newest != NULL ? ERR_OK : ERR_NOTFOUND);
    if (rc != ERR_OK)
        return;
    struct profile p;
    struct errinfo info = {0};
    cr_assert_eq(snapshot_read_profile(snap, id, arena, &p, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(p.frames[0].line, newest->version + 1);
    cr_assert_eq(profile_sample_ns(&p, 0), newest->start_ns);
    cr_assert_eq(profile_sample_ns(&p, 1), newest->end_ns);
}

static struct store *open_store(struct vfs_mem *disk)
{
    struct store_options options = {.vfs = vfs_mem_vfs(disk),
                                    .dir = "/data",
                                    .log_size_max = 20000,
                                    .retention_days = 90,
                                    .frame_rules = &engine_frame_rules};
    struct store *store = NULL;
    struct errinfo info = {0};
    cr_assert_eq(store_open(&options, &store, &info), ERR_OK, "%s", info.text);
    return store;
}

/* Some of what a server does in the background. */
static void keep_up(struct rng *rng, struct store *store)
{
    struct store_upkeep u = {.everything = rng_chance(rng, 50)};
    struct errinfo info = {0};
    bool did = true;
    for (unsigned i = (unsigned)rng_below(rng, 5); i > 0 && did; i--)
        cr_assert_eq(store_upkeep(store, &u, &did, &info), ERR_OK, "%s", info.text);
}

Test(prop_store, equals_a_list_also_after_reopening)
{
    struct rng rng = test_rng();
    static struct model m;
    log_set_level(LOG_WARN);
    clock_set_wall(INT64_C(3600000000000)); /* rows are of the first hour of 1970 */
    for (unsigned round = 0; round < test_scale(6); round++) {
        struct vfs_mem *disk = vfs_mem_create();
        struct store *store = open_store(disk);
        m.count = 0;
        while (m.count < 400) {
            append_some(&rng, store, &m);
            if (rng_chance(&rng, 5)) {
                store_close(store);
                store = open_store(disk);
            }
            if (rng_chance(&rng, 10))
                keep_up(&rng, store);
            if (!rng_chance(&rng, 30))
                continue;
            struct arena arena;
            arena_init(&arena, 16 << 20, NULL);
            struct snapshot *snap = snapshot_acquire(store, NULL);
            check_range(&rng, snap, &m, &arena);
            check_ids(&rng, snap, &m, &arena);
            snapshot_release(snap);
            arena_close(&arena);
        }
        struct store_stats stats;
        size_t visible = 0;
        for (size_t i = 0; i < m.count; i++)
            visible += !m.entry[i].hidden && !m.entry[i].is_link;
        store_get_stats(store, &stats);
        cr_assert_eq(stats.rows, visible);
        store_close(store);
        vfs_mem_destroy(disk);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

/* A snapshot is what it was, whatever is appended after it. */
Test(prop_store, snapshots_do_not_change)
{
    struct rng rng = test_rng();
    static struct model m;
    static struct model then;
    log_set_level(LOG_WARN);
    clock_set_wall(INT64_C(3600000000000));
    struct vfs_mem *disk = vfs_mem_create();
    struct store *store = open_store(disk);
    m.count = 0;
    while (m.count < 150)
        append_some(&rng, store, &m);
    then = m;
    struct snapshot *snap = snapshot_acquire(store, NULL);
    for (unsigned i = 0; i < test_scale(60); i++) {
        append_some(&rng, store, &m);
        if (rng_chance(&rng, 20))
            keep_up(&rng, store);
        struct arena arena;
        arena_init(&arena, 16 << 20, NULL);
        struct snapshot *now = snapshot_acquire(store, NULL);
        check_range(&rng, snap, &then, &arena);
        check_ids(&rng, snap, &then, &arena);
        check_range(&rng, now, &m, &arena);
        snapshot_release(now);
        arena_close(&arena);
    }
    snapshot_release(snap);
    store_close(store);
    vfs_mem_destroy(disk);
    cr_assert_eq(mem_outstanding(), 0);
}
