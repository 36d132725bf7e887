#include <criterion/criterion.h>

#include "storage/format.h"
#include "tests/support/block_check.h"
#include "tests/support/random_profile.h"
#include "tests/support/scale.h"
#include "tests/support/sdk_profile.h"
#include "tests/support/sealed_tables.h"

#define PROFILES 60

struct stored {
    struct profile p;
    struct tables_mapping map;
    struct bytes block;
    bool summable;
};

static struct arena arena;
static struct tables_builder *builder;
static struct sealed_tables sealed;
static struct stored stored[PROFILES];

static bool is_shared(const struct stored *s)
{
    return s->block.data[0] == FORMAT_BLOCK_SHARED;
}

static void store(struct stored *s)
{
    struct buffer out;
    struct errinfo info = {0};
    buffer_init(&out, 64 << 20, NULL);
    buffer_put_u8(&out, 77); /* blocks begin anywhere */
    cr_assert_eq(segment_block_encode(&s->p, builder, &out, &s->summable, &info), ERR_OK, "%s",
                 info.text);
    s->block = bytes_from(arena_copy(&arena, buffer_bytes(&out)), 1);
    buffer_close(&out);
    cr_assert_eq(tables_builder_add(builder, &s->p, &arena, &s->map, NULL), ERR_OK);
}

static void fill(struct rng *rng, struct profile *p, unsigned i)
{
    switch (i % 4) {
    case 0: random_profile(rng, &arena, i == 0 ? 2000 : 40, p); return;
    case 1: random_sound_profile(rng, &arena, i == 1 ? 1000 : 40, p); return;
    default:
        sdk_profile(rng, &arena, (enum sdk_style)(i / 4 % SDK_STYLE_COUNT), i % 3,
                    (size_t)rng_below(rng, 60), p);
    }
}

static void begin(struct rng *rng)
{
    arena_init(&arena, 256 << 20, NULL);
    cr_assert_eq(tables_builder_create(&sealed_rules, NULL, &builder), ERR_OK);
    for (unsigned i = 0; i < PROFILES; i++) {
        stored[i] = (struct stored){0};
        fill(rng, &stored[i].p, i);
        store(&stored[i]);
    }
    sealed_tables_open(&sealed, builder);
}

static void end(void)
{
    sealed_tables_close(&sealed);
    tables_builder_destroy(builder);
    arena_close(&arena);
    cr_assert_eq(mem_outstanding(), 0);
}

static enum err decode(struct bytes block, const struct profile *p, struct arena *own,
                       struct profile *back, struct errinfo *info)
{
    *back = block_check_row(p);
    return segment_block_decode(block, sealed.cursor, own, back, info);
}

Test(prop_segment_block, decoding_gives_back_what_was_encoded)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(25); round++) {
        begin(&rng);
        for (unsigned i = 0; i < PROFILES; i++) {
            const struct stored *s = &stored[i];
            struct arena own;
            struct profile back;
            struct errinfo info = {0};
            arena_init(&own, 64 << 20, NULL);
            cr_assert_eq(decode(s->block, &s->p, &own, &back, &info), ERR_OK, "%s", info.text);
            const char *difference = block_check_equal(&s->p, &back);
            cr_assert_null(difference, "profile %u: %s", i, difference);
            arena_close(&own);
        }
        end();
    }
}

/* Nearly no document falls back to being stored as a whole. */
Test(prop_segment_block, sound_documents_are_shared)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(5); round++) {
        begin(&rng);
        for (unsigned i = 0; i < PROFILES; i++) {
            bool sound = profile_check(&stored[i].p, NULL) == ERR_OK;
            cr_assert_eq(stored[i].summable, sound && is_shared(&stored[i]));
            if (sound)
                cr_assert(is_shared(&stored[i]), "profile %u", i);
        }
        end();
    }
}

Test(prop_segment_block, a_sum_is_that_of_all_samples)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(25); round++) {
        begin(&rng);
        for (unsigned i = 0; i < PROFILES; i++) {
            const struct stored *s = &stored[i];
            struct arena own;
            struct block_sum sum;
            struct errinfo info = {0};
            arena_init(&own, 64 << 20, NULL);
            enum err rc =
                segment_block_sum(s->block, s->p.kind, &sealed.tables.counts, &own, &sum, &info);
            cr_assert_eq(rc, is_shared(s) ? ERR_OK : ERR_CORRUPT, "%s", info.text);
            if (s->summable) {
                const char *difference = block_check_sum(&s->p, &s->map, &sum);
                cr_assert_null(difference, "profile %u: %s", i, difference);
            }
            arena_close(&own);
        }
        end();
    }
}

/* Behind the checksum anything may stand: never a crash, never more memory than the arena's, and
 * what is accepted keeps the promises of profile.h. */
Test(prop_segment_block, hostile_blocks_are_refused_or_sound)
{
    struct rng rng = test_rng();
    unsigned refused = 0;
    unsigned rounds = test_scale(8000);
    begin(&rng);
    for (unsigned round = 0; round < rounds; round++) {
        const struct stored *s = &stored[4 + rng_below(&rng, PROFILES - 4)];
        struct arena own;
        struct profile back;
        struct block_sum sum;
        arena_init(&own, 4 << 20, NULL);
        uint8_t *bad = ARENA_ARRAY(&own, s->block.len, uint8_t);
        memcpy(bad, s->block.data, s->block.len);
        for (unsigned hits = 1 + (unsigned)rng_below(&rng, 3); hits > 0; hits--)
            bad[rng_below(&rng, s->block.len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        size_t len = rng_chance(&rng, 80) ? s->block.len : (size_t)rng_below(&rng, s->block.len);
        enum err rc = decode(bytes_of(bad, len), &s->p, &own, &back, NULL);
        refused += rc != ERR_OK;
        cr_assert(rc != ERR_OK || profile_check_shape(&back, NULL) == ERR_OK);
        (void)!segment_block_sum(bytes_of(bad, len), s->p.kind, &sealed.tables.counts, &own, &sum,
                                 NULL);
        arena_close(&own);
    }
    cr_assert_gt(refused, rounds / 10);
    end();
}

Test(prop_segment_block, shorter_and_longer_blocks_are_refused)
{
    struct rng rng = test_rng();
    begin(&rng);
    for (unsigned i = 4; i < PROFILES; i++) {
        const struct stored *s = &stored[i];
        struct arena own;
        struct profile back;
        arena_init(&own, 16 << 20, NULL);
        for (size_t len = 0; len < s->block.len; len++)
            cr_assert_neq(decode(bytes_first(s->block, len), &s->p, &own, &back, NULL), ERR_OK,
                          "profile %u cut at %zu", i, len);
        uint8_t *longer = ARENA_ARRAY(&own, s->block.len + 1, uint8_t);
        memcpy(longer, s->block.data, s->block.len);
        longer[s->block.len] = 0;
        cr_assert_eq(decode(bytes_of(longer, s->block.len + 1), &s->p, &own, &back, NULL),
                     ERR_CORRUPT);
        arena_close(&own);
    }
    end();
}
