#include <criterion/criterion.h>

#include "storage/block_frames.h"
#include "tests/support/random_profile.h"
#include "tests/support/scale.h"
#include "tests/support/sdk_profile.h"
#include "tests/support/sealed_tables.h"

struct made {
    struct profile p;
    struct tables_builder *b;
    struct tables_mapping map;
    uint32_t *use_order;
    uint32_t *leaves;
    struct bytes bits;
    unsigned size; /* bits */
};

static struct arena arena;

/* Stacks as samples use them, then the others. */
static uint32_t *use_order_of(const struct profile *p)
{
    uint32_t *order = ARENA_ARRAY(&arena, p->stack_count, uint32_t);
    bool *seen = ARENA_ARRAY(&arena, p->stack_count, bool);
    size_t used = 0;
    for (size_t i = 0; i < p->stack_count; i++)
        seen[i] = false;
    for (size_t i = 0; i < p->sample_count + p->stack_count; i++) {
        uint32_t stack = i < p->sample_count ? p->sample_stack[i] : (uint32_t)(i - p->sample_count);
        if (!seen[stack])
            order[used++] = stack;
        seen[stack] = true;
    }
    return order;
}

static void make(struct made *m)
{
    struct buffer out;
    struct bits_writer w = {.out = &out};
    cr_assert_eq(tables_builder_create(&sealed_rules, NULL, &m->b), ERR_OK);
    cr_assert_eq(tables_builder_add(m->b, &m->p, &arena, &m->map, NULL), ERR_OK);
    m->use_order = use_order_of(&m->p);
    m->leaves = ARENA_ARRAY(&arena, m->p.stack_count, uint32_t);
    for (size_t i = 0; i < m->p.stack_count; i++)
        m->leaves[i] = m->p.stacks[i] == PROFILE_NONE ? PROFILE_NONE : m->map.nodes[m->p.stacks[i]];
    buffer_init(&out, 1 << 20, NULL);
    cr_assert_eq(block_frames_put(&w, &m->p, &m->map, m->use_order, &arena), ERR_OK);
    m->size = (unsigned)(8 * out.len + w.used);
    bits_end(&w);
    m->bits = arena_copy(&arena, buffer_bytes(&out));
    buffer_close(&out);
}

static enum err get(const struct made *m, struct bytes bits, struct arena *own,
                    struct local_ids *frames, struct profile *back, struct errinfo *info)
{
    struct tables_source source = tables_builder_source(m->b);
    struct bits_reader r = {.in = bits};
    *back = (struct profile){.kind = PROFILE_CHUNK, .stack_count = m->p.stack_count};
    local_ids_init(frames, own);
    return block_frames_get(&r, &source, m->leaves, m->use_order, own, frames, back, info);
}

static void assert_same_stack(const struct made *m, const struct profile *back, size_t stack)
{
    uint32_t a = m->p.stacks[stack];
    uint32_t b = back->stacks[stack];
    while (a != PROFILE_NONE && b != PROFILE_NONE) {
        cr_assert_eq(m->p.node_frame[a], back->node_frame[b], "stack %zu", stack);
        a = m->p.node_parent[a];
        b = back->node_parent[b];
    }
    cr_assert_eq(a, b);
}

static void assert_comes_back(const struct made *m)
{
    struct arena own;
    struct local_ids frames;
    struct profile back;
    struct errinfo info = {0};
    arena_init(&own, 16 << 20, NULL);
    cr_assert_eq(get(m, m->bits, &own, &frames, &back, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(back.frame_list_count, m->p.frame_list_count);
    for (size_t i = 0; i < back.frame_list_count; i++)
        cr_assert_eq(frames.ids[back.frame_list[i]], m->map.frames[m->p.frame_list[i]]);
    for (size_t i = 0; i < back.stack_count; i++)
        assert_same_stack(m, &back, i);
    for (size_t i = 0; i < back.node_count; i++)
        cr_assert(back.node_parent[i] == PROFILE_NONE || back.node_parent[i] < i);
    arena_close(&own);
}

Test(block_frames, what_sdks_number_follows_from_the_stacks)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(300); round++) {
        struct made m = {0};
        enum sdk_style style = (enum sdk_style)(round % SDK_STYLE_COUNT);
        arena_init(&arena, 64 << 20, NULL);
        sdk_profile(&rng, &arena, style, 0, 1 + (size_t)rng_below(&rng, 60), &m.p);
        make(&m);
        assert_comes_back(&m);
        if (style != SDK_SHUFFLED && style != SDK_MIXED)
            cr_assert_eq(m.size, 3, "style %d: %u bits", (int)style, m.size);
        if (style == SDK_MIXED)
            cr_assert_lt(m.size, 40 + 3 * m.p.node_count, "%u bits", m.size);
        tables_builder_destroy(m.b);
        arena_close(&arena);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(block_frames, any_other_document_is_listed)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(300); round++) {
        struct made m = {0};
        arena_init(&arena, 64 << 20, NULL);
        random_sound_profile(&rng, &arena, 40, &m.p);
        make(&m);
        assert_comes_back(&m);
        tables_builder_destroy(m.b);
        arena_close(&arena);
    }
}

/* More equal frames than are looked through for the one that is meant. */
Test(block_frames, many_equal_frames_come_back)
{
    enum { FRAMES = 100 };
    static uint32_t list[FRAMES], parent[2 * FRAMES], frame[2 * FRAMES], stacks[2 * FRAMES];
    static const struct bytes strings[1];
    static const struct profile_frame frames[2] = {{.line = 1}, {.line = 2}};
    for (unsigned meant = 0; meant < FRAMES - 1; meant += 7) {
        struct made m = {0};
        arena_init(&arena, 64 << 20, NULL);
        uint32_t nodes = 0;
        for (uint32_t i = 0; i < FRAMES; i++) { /* a chain, so that no two are one node */
            list[i] = i == 0;
            parent[nodes] = nodes == 0 ? PROFILE_NONE : nodes - 1;
            frame[nodes] = i;
            stacks[nodes] = nodes;
            nodes++;
        }
        parent[nodes] = nodes - 1;
        frame[nodes] = 1 + meant;
        stacks[nodes] = nodes;
        nodes++;
        m.p = (struct profile){.kind = PROFILE_CHUNK,
                               .strings = strings,
                               .string_count = 1,
                               .frames = frames,
                               .frame_count = 2,
                               .frame_list = list,
                               .frame_list_count = FRAMES,
                               .node_parent = parent,
                               .node_frame = frame,
                               .node_count = nodes,
                               .stacks = stacks,
                               .stack_count = nodes};
        make(&m);
        assert_comes_back(&m);
        tables_builder_destroy(m.b);
        arena_close(&arena);
    }
}

Test(block_frames, damage_is_refused_or_in_range)
{
    struct rng rng = test_rng();
    unsigned refused = 0;
    for (unsigned round = 0; round < test_scale(100); round++) {
        struct made m = {0};
        arena_init(&arena, 64 << 20, NULL);
        if (round % 2 == 0)
            random_sound_profile(&rng, &arena, 40, &m.p);
        else
            sdk_profile(&rng, &arena, SDK_MIXED, 0, 30, &m.p);
        make(&m);
        for (unsigned hit = 0; hit < 30; hit++) {
            struct arena own;
            struct local_ids frames;
            struct profile back;
            arena_init(&own, 4 << 20, NULL);
            uint8_t *bad = ARENA_ARRAY(&own, m.bits.len, uint8_t);
            memcpy(bad, m.bits.data, m.bits.len);
            bad[rng_below(&rng, m.bits.len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
            enum err rc = get(&m, bytes_of(bad, m.bits.len), &own, &frames, &back, NULL);
            cr_assert(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_LIMIT);
            refused += rc != ERR_OK;
            for (size_t i = 0; i < back.node_count && rc == ERR_OK; i++)
                cr_assert_lt(back.node_frame[i], back.frame_list_count);
            for (size_t i = 0; i < back.frame_list_count && rc == ERR_OK; i++)
                cr_assert_lt(back.frame_list[i], frames.count);
            for (size_t i = 0; i < back.stack_count && rc == ERR_OK; i++)
                cr_assert(back.stacks[i] == PROFILE_NONE || back.stacks[i] < back.node_count);
            arena_close(&own);
        }
        tables_builder_destroy(m.b);
        arena_close(&arena);
    }
    cr_assert_gt(refused, 100);
}
