#include <stdio.h>

#include <criterion/criterion.h>

#include "tests/support/hand_profile.h"
#include "tests/support/random_profile.h"
#include "tests/support/scale.h"
#include "tests/support/sdk_profile.h"
#include "tests/support/sealed_tables.h"
#include "tests/support/segment_mend.h"

static struct tables_builder *build(struct mem_account *account)
{
    struct tables_builder *b = NULL;
    cr_assert_eq(tables_builder_create(&sealed_rules, account, &b), ERR_OK);
    return b;
}

static void assert_text(const struct tables_source *s, uint32_t id, struct bytes wanted)
{
    struct bytes text = {0};
    struct errinfo info = {0};
    cr_assert_eq(s->text(s->self, id, &text, &info), ERR_OK, "%s", info.text);
    cr_assert(bytes_equal(text, wanted), "text %u", id);
}

static void assert_frame(const struct tables_source *s, uint32_t id, const struct profile *p,
                         const struct profile_frame *f)
{
    struct segment_frame item;
    struct errinfo info = {0};
    cr_assert_eq(s->frame(s->self, id, &item, &info), ERR_OK, "%s", info.text);
    for (size_t k = 0; k < 8; k++)
        assert_text(s, ((uint32_t *)&item.frame)[k], profile_string(p, ((const uint32_t *)f)[k]));
    assert_text(s, item.document_platform, profile_string(p, p->platform));
    cr_assert(item.frame.line == f->line && item.frame.column == f->column &&
              item.frame.in_app == f->in_app);
}

/* Everything of a profile is where the mapping says. */
static void assert_there(const struct tables_source *s, const struct profile *p,
                         const struct tables_mapping *map)
{
    for (size_t i = 0; i < p->frame_count; i++)
        assert_frame(s, map->frames[i], p, &p->frames[i]);
    for (size_t i = 0; i < p->node_count; i++) {
        uint32_t parent, frame, above = p->node_parent[i];
        bool lost = p->node_frame[i] >= p->frame_list_count ||
                    (above != PROFILE_NONE && map->nodes[above] == PROFILE_NONE);
        cr_assert_eq(map->nodes[i] == PROFILE_NONE, lost);
        if (lost)
            continue;
        cr_assert_eq(s->node(s->self, map->nodes[i], &parent, &frame, NULL), ERR_OK);
        cr_assert_eq(parent, above == PROFILE_NONE ? above : map->nodes[above]);
        cr_assert_eq(frame, map->frames[p->frame_list[p->node_frame[i]]]);
    }
    for (size_t i = 0; i < p->thread_count; i++) {
        struct profile_thread t;
        cr_assert_eq(s->thread(s->self, map->threads[i], &t, NULL), ERR_OK);
        assert_text(s, t.id, profile_string(p, p->threads[i].id));
        assert_text(s, t.name, profile_string(p, p->threads[i].name));
        cr_assert(t.priority == p->threads[i].priority && t.known == p->threads[i].known);
    }
}

#define PROFILES 40

Test(segment_tables, what_was_built_is_read_back)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(5); round++) {
        struct arena arena;
        struct profile p[PROFILES];
        struct tables_mapping map[PROFILES];
        struct sealed_tables sealed;
        struct tables_builder *b = build(NULL);
        struct tables_source built = tables_builder_source(b);
        arena_init(&arena, 64 << 20, NULL);
        for (unsigned i = 0; i < PROFILES; i++) {
            if (i % 2 == 0)
                random_profile(&rng, &arena, i == 0 ? 3000 : 60, &p[i]);
            else
                sdk_profile(&rng, &arena, (enum sdk_style)(i % SDK_STYLE_COUNT), i % 3, 20, &p[i]);
            cr_assert_eq(tables_builder_add(b, &p[i], &arena, &map[i], NULL), ERR_OK);
            assert_there(&built, &p[i], &map[i]);
        }
        sealed_tables_open(&sealed, b);
        struct tables_source read = tables_cursor_source(sealed.cursor);
        for (unsigned i = PROFILES; i > 0; i--)
            assert_there(&read, &p[i - 1], &map[i - 1]);
        for (size_t i = 0; i < p[0].frame_count; i++) {
            struct hash128 identity;
            cr_assert_eq(tables_identity(&sealed.tables, map[0].frames[i], &identity, NULL),
                         ERR_OK);
            cr_assert(hash128_equal(identity, sealed_rules.identity(&p[0], &p[0].frames[i])));
        }
        sealed_tables_close(&sealed);
        tables_builder_destroy(b);
        arena_close(&arena);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(segment_tables, equal_items_are_kept_once)
{
    struct rng rng = test_rng();
    struct arena arena;
    struct profile p;
    struct tables_mapping once, again;
    struct tables_builder *b = build(NULL);
    arena_init(&arena, 64 << 20, NULL);
    sdk_profile(&rng, &arena, SDK_BY_VALUE, 1, 100, &p);
    cr_assert_eq(tables_builder_add(b, &p, &arena, &once, NULL), ERR_OK);
    struct segment_tables_counts counts = tables_builder_counts(b);
    cr_assert_eq(counts.frames, p.frame_count);
    cr_assert_eq(counts.nodes, p.node_count);
    cr_assert_eq(counts.threads, p.thread_count);
    cr_assert_eq(tables_builder_add(b, &p, &arena, &again, NULL), ERR_OK);
    struct segment_tables_counts same = tables_builder_counts(b);
    cr_assert_eq(memcmp(&counts, &same, sizeof counts), 0);
    cr_assert_eq(memcmp(once.nodes, again.nodes, p.node_count * sizeof *once.nodes), 0);
    p.platform = p.release; /* what a frame means depends on it */
    cr_assert_eq(tables_builder_add(b, &p, &arena, &again, NULL), ERR_OK);
    same = tables_builder_counts(b);
    cr_assert_eq(same.frames, 2 * counts.frames);
    cr_assert_eq(same.nodes, 2 * counts.nodes);
    cr_assert_eq(same.threads, counts.threads);
    tables_builder_destroy(b);
    arena_close(&arena);
}

Test(segment_tables, memory_is_counted_and_its_want_loses_nothing)
{
    struct rng rng = test_rng();
    struct arena arena;
    struct profile p[2];
    struct tables_mapping map;
    struct mem_account account;
    struct errinfo info = {0};
    unsigned refused = 0;
    arena_init(&arena, 64 << 20, NULL);
    sdk_profile(&rng, &arena, SDK_BY_VALUE, 1, 100, &p[0]);
    random_profile(&rng, &arena, 1000, &p[1]);
    for (size_t max = 1000;; max += max < 10000 ? 100 : 500) {
        mem_account_init(&account, NULL, max);
        struct tables_builder *b = build(&account);
        enum err rc = tables_builder_add(b, &p[0], &arena, &map, &info);
        if (rc == ERR_OK) {
            enum err more = tables_builder_add(b, &p[1], &arena, &map, &info);
            cr_assert(more == ERR_OK || more == ERR_LIMIT);
            cr_assert_geq(tables_builder_bytes(b), account.held);
            cr_assert_lt(tables_builder_bytes(b), account.held + 1000);
            account.max = SIZE_MAX; /* what failed does not fail for ever, nor has it left a mess */
            struct tables_source s = tables_builder_source(b);
            for (size_t i = 0; i < 2; i++) {
                cr_assert_eq(tables_builder_add(b, &p[i], &arena, &map, NULL), ERR_OK);
                assert_there(&s, &p[i], &map);
            }
        }
        tables_builder_destroy(b);
        cr_assert_eq(account.held, 0);
        refused += rc != ERR_OK;
        if (max > 100000)
            break;
    }
    cr_assert_gt(refused, 5);
    cr_assert_gt(strlen(info.text), 0);
    arena_close(&arena);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(segment_tables, ids_out_of_range_are_corrupt)
{
    struct hand_profile h;
    struct sealed_tables sealed;
    struct tables_builder *b = build(NULL);
    struct tables_mapping map;
    struct arena arena;
    struct errinfo info = {0};
    struct bytes text;
    struct segment_frame frame;
    struct profile_thread thread;
    struct hash128 identity;
    uint32_t parent, of_node;
    arena_init(&arena, 1 << 20, NULL);
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    hand_frame(&h, (struct hand_frame){.function = "f"});
    hand_stack(&h, "0");
    hand_thread(&h, "1", NULL);
    cr_assert_eq(tables_builder_add(b, &h.profile, &arena, &map, NULL), ERR_OK);
    sealed_tables_open(&sealed, b);
    const struct tables_source sources[] = {tables_builder_source(b),
                                            tables_cursor_source(sealed.cursor)};
    for (size_t i = 0; i < 2; i++) {
        const struct tables_source *s = &sources[i];
        cr_assert_eq(s->text(s->self, 4, &text, &info), ERR_CORRUPT);
        cr_assert_str_eq(info.text, "text 4 of 4 in the tables");
        cr_assert_eq(s->frame(s->self, 1, &frame, &info), ERR_CORRUPT);
        cr_assert_str_eq(info.text, "frame 1 of 1 in the tables");
        cr_assert_eq(s->node(s->self, 1, &parent, &of_node, &info), ERR_CORRUPT);
        cr_assert_str_eq(info.text, "node 1 of 1 in the tables");
        cr_assert_eq(s->thread(s->self, UINT32_MAX, &thread, &info), ERR_CORRUPT);
        cr_assert_str_eq(info.text, "thread 4294967295 of 1 in the tables");
    }
    cr_assert_eq(tables_identity(&sealed.tables, 1, &identity, &info), ERR_CORRUPT);
    sealed_tables_close(&sealed);
    tables_builder_destroy(b);
    arena_close(&arena);
}

Test(segment_tables, empty_tables_can_be_written_and_opened)
{
    struct sealed_tables sealed;
    struct tables_builder *b = build(NULL);
    struct bytes text;
    sealed_tables_open(&sealed, b);
    cr_assert_eq(tables_text(sealed.cursor, 0, &text, NULL), ERR_OK); /* it is always there */
    cr_assert_eq(text.len, 0);
    cr_assert_eq(tables_text(sealed.cursor, 1, &text, NULL), ERR_CORRUPT);
    sealed_tables_close(&sealed);
    tables_builder_destroy(b);
}

/* All items through a cursor; the first failure. */
static enum err read_all(const struct segment_tables *t, struct mem_account *account)
{
    struct tables_cursor *c = NULL;
    enum err rc = tables_cursor_create(t, account, &c);
    struct bytes text;
    struct segment_frame frame;
    struct profile_thread thread;
    uint32_t parent, of_node;
    for (uint32_t i = 0; i < t->counts.texts && rc == ERR_OK; i++)
        rc = tables_text(c, i, &text, NULL);
    for (uint32_t i = 0; i < t->counts.frames && rc == ERR_OK; i++)
        rc = tables_frame(c, i, &frame, NULL);
    for (uint32_t i = 0; i < t->counts.nodes && rc == ERR_OK; i++) {
        rc = tables_node(c, i, &parent, &of_node, NULL);
        cr_assert(rc != ERR_OK || parent == PROFILE_NONE || parent < i);
        cr_assert(rc != ERR_OK || of_node < t->counts.frames);
    }
    for (uint32_t i = 0; i < t->counts.threads && rc == ERR_OK; i++)
        rc = tables_thread(c, i, &thread, NULL);
    tables_cursor_destroy(c);
    return rc;
}

/* With checksums made right, so that what they protect is read. */
Test(segment_tables, damage_is_refused_or_gives_items_in_range)
{
    struct rng rng = test_rng();
    struct arena arena;
    struct profile p;
    struct tables_mapping map;
    struct sealed_tables sealed;
    struct tables_builder *b = build(NULL);
    unsigned refused = 0;
    arena_init(&arena, 64 << 20, NULL);
    for (unsigned i = 0; i < 5; i++) {
        random_sound_profile(&rng, &arena, 400, &p);
        cr_assert_eq(tables_builder_add(b, &p, &arena, &map, NULL), ERR_OK);
    }
    sealed_tables_open(&sealed, b);
    struct vfs *vfs = vfs_mem_vfs(sealed.disk);
    struct bytes good = arena_copy(&arena, vfs_mem_get(sealed.disk, SEALED_PATH));
    uint8_t *bad = ARENA_ARRAY(&arena, good.len, uint8_t);
    for (unsigned round = 0; round < test_scale(600); round++) {
        struct segment_file *f = NULL;
        struct segment_tables t;
        struct segment_tables_counts counts = tables_builder_counts(b);
        struct mem_account account;
        memcpy(bad, good.data, good.len);
        for (unsigned hits = 1 + (unsigned)rng_below(&rng, 3); hits > 0; hits--)
            bad[64 + rng_below(&rng, good.len - 128)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        segment_mend(bad, good.len);
        if (rng_chance(&rng, 10))
            counts.nodes = (uint32_t)rng_u64(&rng);
        vfs_mem_put(sealed.disk, "/d/bad", bytes_of(bad, good.len));
        mem_account_init(&account, NULL, 8 << 20);
        enum err rc = segment_file_open(vfs, "/d/bad", NULL, &f, NULL);
        if (rc == ERR_OK)
            rc = segment_tables_open(f, counts, &t, NULL);
        if (rc == ERR_OK)
            rc = read_all(&t, &account);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_LIMIT || rc == ERR_UNSUPPORTED);
        refused += rc != ERR_OK;
        segment_file_close(f);
    }
    cr_assert_gt(refused, 20);
    sealed_tables_close(&sealed);
    tables_builder_destroy(b);
    arena_close(&arena);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(segment_tables, a_damaged_piece_is_named)
{
    struct sealed_tables sealed;
    struct tables_builder *b = build(NULL);
    struct errinfo info = {0};
    struct segment_file *f = NULL;
    struct segment_tables t;
    struct tables_cursor *c = NULL;
    struct bytes text;
    char word[32];
    uint32_t id = 0;
    for (unsigned i = 0; i < 30000; i++) { /* pages in many pieces */
        (void)snprintf(word, sizeof word, "%llx", (unsigned long long)hash_u64(i));
        cr_assert_eq(tables_builder_text(b, bytes_of_text(word), &id), ERR_OK);
    }
    sealed_tables_open(&sealed, b);
    struct vfs *vfs = vfs_mem_vfs(sealed.disk);
    struct bytes good = vfs_mem_get(sealed.disk, SEALED_PATH);
    uint8_t *bad = mem_alloc(good.len);
    memcpy(bad, good.data, good.len);
    bad[100000] ^= 1;
    vfs_mem_put(sealed.disk, "/d/bad", bytes_of(bad, good.len));
    mem_free(bad);
    cr_assert_eq(segment_file_open(vfs, "/d/bad", NULL, &f, NULL), ERR_OK);
    cr_assert_eq(segment_tables_open(f, tables_builder_counts(b), &t, &info), ERR_OK, "%s",
                 info.text);
    cr_assert_eq(tables_cursor_create(&t, NULL, &c), ERR_OK);
    unsigned lost = 0;
    for (uint32_t i = 0; i <= id; i++) {
        enum err rc = tables_text(c, i, &text, &info);
        cr_assert(rc == ERR_OK || rc == ERR_CORRUPT);
        lost += rc != ERR_OK;
    }
    cr_assert(lost > 100 && lost < 20000, "%u lost", lost);
    cr_assert(strncmp(info.text, "tables: page ", 13) == 0, "%s", info.text);
    tables_cursor_destroy(c);
    segment_file_close(f);
    sealed_tables_close(&sealed);
    tables_builder_destroy(b);
    cr_assert_eq(mem_outstanding(), 0);
}
