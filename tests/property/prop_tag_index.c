/* prop_tag_index.c - who has a tag, a thread or a function, against looking at every row. */
#include <criterion/criterion.h>

#include "engine/identity.h"
#include "storage/segment.h"
#include "storage/tag_index_parts.h"
#include "tests/support/hand_profile.h"
#include "tests/support/query_store.h"
#include "tests/support/random_profile.h"
#include "tests/support/scale.h"
#include "tests/support/sealed_tables.h"
#include "tests/support/segment_mend.h"
#include "tests/support/vfs_mem.h"

#define ROWS_MAX 150
#define NO_ROW   UINT32_MAX

struct built {
    struct record record;
    struct profile profile;
    bool damaged;
};

struct rig {
    struct vfs_mem *disk;
    struct arena arena;
    struct built rows[ROWS_MAX];
    uint32_t row_count;
    uint32_t chunk_count;
    struct manifest_segment facts;
    struct segment *segment;
    struct tables_cursor *tables;
};

static const char *const texts[] = {"", "production", "staging", "1.0", "python", "zzz"};

static struct bytes any_text(struct rng *rng)
{
    return bytes_of_text(texts[rng_below(rng, sizeof texts / sizeof texts[0])]);
}

static void fill_row(struct rig *r, struct rng *rng, uint32_t at)
{
    struct built *row = &r->rows[at];
    bool chunk = at < r->chunk_count;
    if (rng_chance(rng, 50))
        random_profile(rng, &r->arena, 30, &row->profile);
    else
        random_sound_profile(rng, &r->arena, 30, &row->profile);
    row->profile.kind = chunk ? PROFILE_CHUNK : PROFILE_TRANSACTION;
    row->damaged = rng_chance(rng, 5);
    row->record = (struct record){.kind = chunk ? RECORD_CHUNK : RECORD_TRANSACTION,
                                  .project_id = 7,
                                  .profiler_id = {{(uint8_t)(chunk ? 1 + at / 20 : 0)}},
                                  .start_ns = at,
                                  .end_ns = at + INT64_C(5),
                                  .id = {{1, (uint8_t)at}}};
    for (size_t i = 0; i < TEXT_TRANSACTION + (size_t)!chunk; i++)
        row->record.text[i] = any_text(rng);
}

static void build(struct rig *r)
{
    struct segment_builder_options options = {.vfs = vfs_mem_vfs(r->disk),
                                              .dir = "/d",
                                              .number = 1,
                                              .retention_days = 9,
                                              .rules = &sealed_rules};
    struct segment_builder *b = NULL;
    struct errinfo info = {0};
    cr_assert_eq(segment_builder_create(&options, &b, &info), ERR_OK, "%s", info.text);
    for (uint32_t i = 0; i < r->row_count; i++) {
        const struct built *row = &r->rows[i];
        enum err rc = row->damaged ? segment_builder_add_damaged(b, &row->record, i, &info)
                                   : segment_builder_add(b, &row->record, &row->profile, i, &info);
        cr_assert_eq(rc, ERR_OK, "%s", info.text);
    }
    cr_assert_eq(segment_builder_finish(b, &r->facts, &info), ERR_OK, "%s", info.text);
    segment_builder_destroy(b);
}

static void open_segment(struct rig *r)
{
    struct errinfo info = {0};
    cr_assert_eq(segment_open(vfs_mem_vfs(r->disk), "/d", &r->facts, &r->segment, &info), ERR_OK,
                 "%s", info.text);
    cr_assert_eq(tables_cursor_create(&r->segment->tables, NULL, &r->tables), ERR_OK);
}

static void close_segment(struct rig *r)
{
    tables_cursor_destroy(r->tables);
    segment_release(r->segment);
}

static void begin(struct rig *r, struct rng *rng)
{
    *r = (struct rig){.disk = vfs_mem_create()};
    arena_init(&r->arena, SIZE_MAX, NULL);
    r->row_count = (uint32_t)rng_below(rng, rng_chance(rng, 30) ? 4 : ROWS_MAX);
    r->chunk_count = (uint32_t)rng_below(rng, r->row_count + (uint64_t)1);
    for (uint32_t i = 0; i < r->row_count; i++)
        fill_row(r, rng, i);
    build(r);
    open_segment(r);
}

static void end(struct rig *r)
{
    close_segment(r);
    arena_close(&r->arena);
    vfs_mem_destroy(r->disk);
    cr_assert_eq(mem_outstanding(), 0);
}

/* ---- the plainest answers ---- */

static bool has_thread(const struct profile *p, struct bytes name)
{
    for (size_t i = 0; i < p->sample_count; i++)
        if (bytes_equal(profile_string(p, p->threads[p->sample_thread[i]].name), name))
            return true;
    return false;
}

static bool has_function(const struct profile *p, uint32_t fingerprint)
{
    for (size_t i = 0; i < p->sample_count; i++) {
        uint32_t node =
            p->sample_stack[i] < p->stack_count ? p->stacks[p->sample_stack[i]] : PROFILE_NONE;
        for (; node < p->node_count; node = p->node_parent[node]) {
            const struct profile_frame *f = profile_node_frame(p, node);
            if (f != NULL && sealed_rules.fingerprint(p, f) == fingerprint)
                return true;
        }
    }
    return false;
}

struct question {
    enum tag_dimension dimension;
    struct bytes text;
    uint32_t number;
};

static bool row_has(const struct rig *r, uint32_t at, const struct question *q)
{
    const struct built *row = &r->rows[at];
    if (q->dimension == TAG_THREAD)
        return row->damaged || has_thread(&row->profile, q->text);
    if (q->dimension == TAG_FUNCTION)
        return row->damaged || has_function(&row->profile, q->number);
    if (q->dimension == TAG_TRANSACTION && at < r->chunk_count)
        return false;
    return bytes_equal(row->record.text[tag_text_of(q->dimension)], q->text);
}

static enum err ask(const struct tag_index *t, struct tables_cursor *tables,
                    const struct question *q, struct bitmap *rows, struct errinfo *info)
{
    if (q->dimension == TAG_THREAD)
        return tag_index_find_thread(t, tables, q->text, rows, info);
    if (q->dimension == TAG_FUNCTION)
        return tag_index_find_function(t, q->number, rows, info);
    return tag_index_find_text(t, q->dimension, q->text, rows, info);
}

static struct bitmap *answer(const struct rig *r, const struct tag_index *t,
                             const struct question *q)
{
    struct bitmap *rows = NULL;
    struct errinfo info = {0};
    cr_assert_eq(bitmap_create(r->row_count, NULL, &rows), ERR_OK);
    cr_assert_eq(ask(t, r->tables, q, rows, &info), ERR_OK, "%s", info.text);
    return rows;
}

static struct question any_question(const struct rig *r, struct rng *rng)
{
    struct question q = {.dimension = (enum tag_dimension)rng_range(rng, 1, TAG_FUNCTION),
                         .text = any_text(rng)};
    const struct profile *p =
        r->row_count == 0 ? NULL : &r->rows[rng_below(rng, r->row_count)].profile;
    if (p == NULL || rng_chance(rng, 10)) {
        q.number = (uint32_t)rng_u64(rng);
        q.text = rng_chance(rng, 50) ? q.text : BYTES("nobody has this");
    } else if (q.dimension == TAG_THREAD && p->thread_count > 0)
        q.text = profile_string(p, p->threads[rng_below(rng, p->thread_count)].name);
    else if (q.dimension == TAG_FUNCTION && p->frame_count > 0)
        q.number = sealed_rules.fingerprint(p, &p->frames[rng_below(rng, p->frame_count)]);
    return q;
}

Test(prop_tag_index, answers_are_those_of_looking_at_every_row)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(40); round++) {
        struct rig r;
        begin(&r, &rng);
        cr_assert_eq(r.segment->tags.is_there, r.row_count > 0);
        cr_assert_eq(tag_index_verify(&r.segment->tags, NULL), ERR_OK);
        for (int i = 0; i < 150; i++) {
            struct question q = any_question(&r, &rng);
            struct bitmap *rows = answer(&r, &r.segment->tags, &q);
            for (uint32_t row = 0; row < r.row_count; row++)
                cr_assert_eq(bitmap_contains(rows, row), row_has(&r, row, &q),
                             "row %u of %u, dimension %d", row, r.row_count, (int)q.dimension);
            bitmap_destroy(rows);
        }
        end(&r);
    }
}

Test(prop_tag_index, without_an_index_texts_are_compared_and_the_rest_may_be_anywhere)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(20); round++) {
        struct rig r;
        begin(&r, &rng);
        struct tag_index none = r.segment->tags;
        none.is_there = false;
        for (int i = 0; i < 60; i++) {
            struct question q = any_question(&r, &rng);
            struct bitmap *rows = answer(&r, &none, &q);
            for (uint32_t row = 0; row < r.row_count; row++)
                cr_assert_eq(bitmap_contains(rows, row),
                             q.dimension >= TAG_THREAD || row_has(&r, row, &q));
            bitmap_destroy(rows);
        }
        end(&r);
    }
}

Test(prop_tag_index, kinds_are_told_by_place)
{
    struct rng rng = test_rng();
    struct rig r;
    begin(&r, &rng);
    for (int kind = PROFILE_CHUNK; kind <= PROFILE_TRANSACTION; kind++) {
        struct bitmap *rows = NULL;
        cr_assert_eq(bitmap_create(r.row_count, NULL, &rows), ERR_OK);
        cr_assert_eq(tag_index_find_kind(&r.segment->tags, (enum profile_kind)kind, rows), ERR_OK);
        for (uint32_t row = 0; row < r.row_count; row++)
            cr_assert_eq(bitmap_contains(rows, row),
                         (row < r.chunk_count) == (kind == PROFILE_CHUNK));
        bitmap_destroy(rows);
    }
    end(&r);
}

/* ---- damage behind the checksums ---- */

static void ask_all(struct rig *r, struct rng *rng)
{
    struct errinfo info = {0};
    struct segment *s = NULL;
    enum err rc = segment_open(vfs_mem_vfs(r->disk), "/d", &r->facts, &s, &info);
    cr_assert(rc == ERR_OK || (rc == ERR_CORRUPT && info.text[0] != '\0'));
    if (rc != ERR_OK)
        return;
    rc = tag_index_verify(&s->tags, &info);
    cr_assert(rc == ERR_OK || rc == ERR_CORRUPT, "%s", info.text);
    for (int i = 0; i < 10; i++) {
        struct question q = any_question(r, rng);
        struct bitmap *rows = NULL;
        uint32_t row = 0;
        cr_assert_eq(bitmap_create(r->row_count, NULL, &rows), ERR_OK);
        rc = ask(&s->tags, r->tables, &q, rows, &info);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT, "%s", info.text);
        for (uint32_t from = 0; bitmap_next(rows, from, &row); from = row + 1)
            cr_assert_lt(row, r->row_count);
        bitmap_destroy(rows);
    }
    segment_release(s);
}

/* Some place in the sections of the index. */
static size_t any_place(const struct rig *r, struct rng *rng)
{
    struct segment_section section = {0};
    while (section.size == 0) {
        enum format_section kind =
            (enum format_section)rng_range(rng, SECTION_BITMAP_SETS, SECTION_BITMAP_KEY_END);
        cr_assert(segment_file_section(r->segment->file, kind, &section));
    }
    return section.offset + rng_below(rng, section.size);
}

Test(prop_tag_index, any_changed_byte_fails_or_gives_rows_in_range)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(6); round++) {
        struct rig r;
        begin(&r, &rng);
        struct bytes good =
            arena_copy(&r.arena, vfs_mem_get(r.disk, "/d/segment-0000000000000001"));
        uint8_t *bad = arena_take(&r.arena, good.len, 1);
        for (int i = 0; i < 150 && r.row_count > 0; i++) {
            memcpy(bad, good.data, good.len);
            bad[any_place(&r, &rng)] ^= (uint8_t)(1u << rng_below(&rng, 8));
            segment_mend(bad, good.len);
            vfs_mem_put(r.disk, "/d/segment-0000000000000001", bytes_of(bad, good.len));
            ask_all(&r, &rng);
        }
        end(&r);
    }
}

/* ---- through the store: logs, segments, both ---- */

#define FUNCTIONS 6

static const char *const functions[FUNCTIONS] = {"a", "b", "c", "d", "e", "never"};

static void add_profile(struct query_store *q, struct rng *rng, uint32_t n)
{
    static struct hand_profile h;
    bool chunk = rng_chance(rng, 70);
    hand_profile_init(&h, chunk ? PROFILE_CHUNK : PROFILE_TRANSACTION, "python");
    h.profile.project_id = 1 + n % 2;
    h.profile.id = query_id(n);
    h.profile.retention_days = 3650;
    h.profile.environment = hand_string(&h, texts[rng_below(rng, 3)]);
    h.profile.release = hand_string(&h, texts[rng_below(rng, 4)]);
    h.profile.platform = hand_string(&h, rng_chance(rng, 50) ? "python" : "node");
    h.profile.transaction = chunk ? 0 : hand_string(&h, texts[rng_below(rng, 3)]);
    h.profile.profiler_id = chunk ? query_id(1000 + n % 3) : (struct uuid){{0}};
    h.profile.timestamp_ns = INT64_C(1700000000000000000) + n * INT64_C(10000000000);
    h.profile.received_ns = h.profile.timestamp_ns; /* its retention counts from there */
    uint32_t thread = hand_thread(&h, "1", "main");
    for (size_t i = 0; i + 1 < FUNCTIONS; i++)
        (void)hand_frame(&h, (struct hand_frame){.function = functions[i], .module = "m"});
    for (int i = 0; i < 3; i++) {
        char stack[3] = {(char)('0' + rng_below(rng, FUNCTIONS - 1)),
                         (char)('0' + rng_below(rng, FUNCTIONS - 1))};
        uint32_t number = hand_stack(&h, stack);
        if (i < 2) /* the last stack has no sample */
            hand_sample(&h, thread, number,
                        chunk ? 1700000000.0 + n * 10.0 + i : (double)i * 1000000000.0);
    }
    query_store_add(q, &h.profile);
}

static bool is_listed(const struct row_list *list, row_id id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->ids[i] == id)
            return true;
    return false;
}

struct window {
    int64_t start_ns;
    int64_t end_ns;
};

static size_t check_found(struct query_store *q, const struct snapshot *snap, uint32_t fingerprint,
                          const struct row_list *all, const struct row_list *found)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        struct profile p;
        cr_assert_eq(snapshot_read_profile(snap, all->ids[i], &q->arena, &p, NULL), ERR_OK);
        bool has = false;
        for (size_t k = 0; k < p.sample_count; k++)
            for (uint32_t node = p.stacks[p.sample_stack[k]]; node != PROFILE_NONE;
                 node = p.node_parent[node])
                has |=
                    engine_frame_rules.fingerprint(&p, profile_node_frame(&p, node)) == fingerprint;
        cr_assert_eq(is_listed(found, all->ids[i]), has, "row %zu", i);
        count += has;
    }
    return count;
}

static void check_function(struct query_store *q, struct window w, const char *function)
{
    struct hand_profile h;
    struct row_list found = {0};
    struct row_list all = {0};
    size_t count = 0;
    struct snapshot *snap = snapshot_acquire(q->store, NULL);
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    (void)hand_frame(&h, (struct hand_frame){.function = function, .module = "m"});
    uint32_t fingerprint = engine_frame_rules.fingerprint(&h.profile, &h.frames[0]);
    cr_assert_eq(
        snapshot_find_function(snap, 1, fingerprint, w.start_ns, w.end_ns, &q->arena, &found),
        ERR_OK);
    cr_assert_eq(snapshot_find_profiles(snap, 1, w.start_ns, w.end_ns, &q->arena, &all), ERR_OK);
    count += check_found(q, snap, fingerprint, &all, &found);
    for (uint32_t profiler = 1000; profiler < 1003; profiler++) {
        cr_assert_eq(snapshot_find_chunks(snap, 1, query_id(profiler), w.start_ns, w.end_ns,
                                          &q->arena, &all),
                     ERR_OK);
        count += check_found(q, snap, fingerprint, &all, &found);
    }
    cr_assert_eq(found.count, count);
    snapshot_release(snap);
}

static void fill_some(struct query_store *q, struct rng *rng)
{
    struct store_stats stats;
    query_store_open(q);
    for (uint32_t n = 0; n < 60; n++) {
        add_profile(q, rng, n);
        if (n == 20 || rng_chance(rng, 4))
            query_store_seal(q);
    }
    store_get_stats(q->store, &stats);
    cr_assert_eq(stats.rows, 60);
    cr_assert_gt(stats.segment_count, 0);
}

Test(prop_tag_index, a_function_is_found_in_logs_and_segments_as_by_reading_all)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(4); round++) {
        struct query_store q;
        fill_some(&q, &rng);
        for (size_t i = 0; i < FUNCTIONS; i++) {
            int64_t start_ns = INT64_C(1700000000) + rng_range(&rng, -10, 600);
            check_function(&q, (struct window){INT64_MIN, INT64_MAX}, functions[i]);
            check_function(&q,
                           (struct window){start_ns * 1000000000,
                                           (start_ns + rng_range(&rng, 0, 300)) * 1000000000},
                           functions[i]);
        }
        query_store_close(&q);
    }
}

/* ---- filters ---- */

static bool among(struct text_list list, struct bytes text)
{
    bool found = list.count == 0;
    for (size_t i = 0; i < list.count; i++)
        found |= bytes_equal(list.texts[i], text);
    return found;
}

static void check_filter(const struct snapshot *snap, const struct filter_request *request,
                         const struct row_list *rows)
{
    struct snapshot_filter *f = NULL;
    cr_assert_eq(snapshot_filter_create(snap, request, NULL, &f), ERR_OK);
    for (size_t i = 0; i < rows->count; i++) {
        struct row row;
        bool accepted = false;
        cr_assert_eq(snapshot_row(snap, rows->ids[i], &row), ERR_OK);
        bool wanted = among(request->environments, row.environment) &&
                      among(request->releases, row.release) &&
                      among(request->platforms, row.platform) &&
                      (request->transaction.data == NULL || row.kind == PROFILE_CHUNK ||
                       bytes_equal(request->transaction, row.transaction));
        cr_assert_eq(snapshot_filter_accepts(f, rows->ids[i], &accepted), ERR_OK);
        cr_assert_eq(accepted, wanted, "row %zu", i);
    }
    snapshot_filter_destroy(f);
}

static struct text_list some_texts(struct rng *rng, struct bytes two[2])
{
    two[0] = any_text(rng);
    two[1] = rng_chance(rng, 50) ? any_text(rng) : BYTES("nobody has this");
    return (struct text_list){two, rng_below(rng, 3)};
}

static void check_some_filters(struct query_store *q, struct rng *rng)
{
    struct snapshot *snap = snapshot_acquire(q->store, NULL);
    struct bytes two[3][2];
    for (int i = 0; i < 30; i++) {
        struct row_list rows = {0};
        struct filter_request request = {.environments = some_texts(rng, two[0]),
                                         .releases = some_texts(rng, two[1]),
                                         .platforms = some_texts(rng, two[2])};
        if (rng_chance(rng, 40))
            request.transaction = any_text(rng);
        cr_assert_eq(snapshot_find_profiles(snap, 1, INT64_MIN, INT64_MAX, &q->arena, &rows),
                     ERR_OK);
        check_filter(snap, &request, &rows);
        cr_assert_eq(
            snapshot_find_chunks(snap, 1, query_id(1000), INT64_MIN, INT64_MAX, &q->arena, &rows),
            ERR_OK);
        check_filter(snap, &request, &rows);
    }
    snapshot_release(snap);
}

Test(prop_tag_index, a_filter_accepts_what_comparing_texts_does)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(8); round++) {
        struct query_store q;
        fill_some(&q, &rng);
        check_some_filters(&q, &rng);
        query_store_close(&q);
    }
}
