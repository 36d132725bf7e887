#include <criterion/criterion.h>

#include "storage/page.h"
#include "storage/profile_block.h"
#include "tests/support/random_profile.h"
#include "tests/support/scale.h"

/* What a row says beforehand. */
static struct profile identity_of(const struct profile *p)
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

Test(prop_profile_block, decoding_gives_back_what_was_encoded)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(1500); round++) {
        struct arena arena;
        struct buffer out;
        struct profile p;
        struct errinfo info = {0};
        const char *why = "";
        arena_init(&arena, 64 << 20, NULL);
        buffer_init(&out, 64 << 20, NULL);
        random_profile(&rng, &arena, round % 100 == 0 ? 2000 : 40, &p);
        cr_assert_eq(profile_block_encode(&p, &out, &info), ERR_OK, "%s", info.text);
        struct profile back = identity_of(&p);
        cr_assert_eq(profile_block_decode(buffer_bytes(&out), &arena, &back, &info), ERR_OK, "%s",
                     info.text);
        cr_assert(profiles_equal(&p, &back, &why), "round %u: %s", round, why);

        /* every shorter block is refused, and no byte more is taken */
        size_t cut = (size_t)rng_below(&rng, out.len);
        back = identity_of(&p);
        cr_assert_neq(
            profile_block_decode(bytes_first(buffer_bytes(&out), cut), &arena, &back, NULL), ERR_OK,
            "round %u: cut at %zu", round, cut);
        buffer_put_u8(&out, 0);
        back = identity_of(&p);
        cr_assert_eq(profile_block_decode(buffer_bytes(&out), &arena, &back, NULL), ERR_CORRUPT);
        buffer_close(&out);
        arena_close(&arena);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

/* Behind the checksum anything may stand: never a crash, never more memory than the arena's, and
 * what is accepted keeps the promises of profile.h. */
Test(prop_profile_block, hostile_blocks_are_refused_or_sound)
{
    struct rng rng = test_rng();
    unsigned refused = 0;
    unsigned rounds = test_scale(6000);
    struct arena arena;
    struct buffer out;
    struct profile p;
    arena_init(&arena, 64 << 20, NULL);
    buffer_init(&out, 64 << 20, NULL);
    for (unsigned round = 0; round < rounds; round++) {
        if (round % 50 == 0) {
            buffer_clear(&out);
            arena_close(&arena);
            random_profile(&rng, &arena, 30, &p);
            cr_assert_eq(profile_block_encode(&p, &out, NULL), ERR_OK);
        }
        struct buffer bad;
        buffer_init(&bad, 64 << 20, NULL);
        buffer_put(&bad, buffer_bytes(&out));
        for (unsigned hits = 1 + (unsigned)rng_below(&rng, 4); hits > 0; hits--)
            bad.data[rng_below(&rng, bad.len)] = (uint8_t)rng_u64(&rng);
        struct arena own;
        arena_init(&own, 4 << 20, NULL);
        struct profile back = identity_of(&p);
        enum err rc = profile_block_decode(buffer_bytes(&bad), &own, &back, NULL);
        refused += rc != ERR_OK;
        if (rc == ERR_OK)
            cr_assert_eq(profile_check_shape(&back, NULL), ERR_OK);
        arena_close(&own);
        buffer_close(&bad);
    }
    cr_assert_gt(refused, rounds / 10);
    buffer_close(&out);
    arena_close(&arena);
}

Test(prop_profile_block, every_flipped_byte_of_a_page_is_seen)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(4); round++) {
        struct arena arena;
        struct buffer raw;
        struct buffer page;
        struct profile p;
        struct bytes back;
        arena_init(&arena, 256 << 20, NULL);
        buffer_init(&raw, 64 << 20, NULL);
        buffer_init(&page, 64 << 20, NULL);
        random_profile(&rng, &arena, 30, &p);
        cr_assert_eq(profile_block_encode(&p, &raw, NULL), ERR_OK);
        cr_assert_eq(page_seal(buffer_bytes(&raw), 7, &page, NULL), ERR_OK);
        cr_assert_eq(page_unpack(buffer_bytes(&page), 7, &arena, &back, NULL), ERR_OK);
        cr_assert(bytes_equal(back, buffer_bytes(&raw)));
        cr_assert_eq(page_unpack(buffer_bytes(&page), 8, &arena, &back, NULL), ERR_CORRUPT);
        for (size_t at = 0; at < page.len; at++) {
            uint8_t flip = (uint8_t)(1 + rng_below(&rng, 255));
            page.data[at] ^= flip;
            cr_assert_eq(page_unpack(buffer_bytes(&page), 7, &arena, &back, NULL), ERR_CORRUPT,
                         "byte %zu changed unseen", at);
            page.data[at] ^= flip;
        }
        buffer_close(&page);
        buffer_close(&raw);
        arena_close(&arena);
    }
}
