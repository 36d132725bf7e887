/* fuzz_segment_block.c - any bytes as a block of a segment whose tables are known: it is refused, or
 * gives a profile of the promised shape that can be stored and read again; and a sum, or none.
 *
 * Input: a byte, even for a chunk, odd for a transaction profile; then the block. */
#include <assert.h>

#include "storage/profile_equal.h"
#include "tests/support/block_check.h"
#include "tests/support/sdk_profile.h"
#include "tests/support/sealed_tables.h"

#define PROFILES 12

static struct tables_builder *builder;
static struct sealed_tables sealed;

/* Of every style, and every third with marks and numbers. */
static void make(struct rng *rng, struct arena *arena, unsigned i, struct profile *ret)
{
    sdk_profile(rng, arena, (enum sdk_style)(i % SDK_STYLE_COUNT), i % 2, 10, ret);
    if (i % 3 != 0)
        return;
    uint8_t *idle = ARENA_ARRAY(arena, ret->sample_count, uint8_t);
    uint32_t *queue = ARENA_ARRAY(arena, ret->sample_count, uint32_t);
    for (size_t k = 0; k < ret->sample_count; k++) {
        idle[k] = k % 2 == 0;
        queue[k] = k % 5 < 2;
    }
    ret->sample_idle = idle;
    ret->sample_queue = queue;
    ret->rest =
        BYTES("{\"m\":[{\"value\":7,\"timestamp\":17.5},{\"value\":9,\"timestamp\":18.25}]}");
}

/* Always the same tables: saved blocks refer to them. */
static void build_tables(void)
{
    struct rng rng = rng_seeded(1);
    assert(tables_builder_create(&sealed_rules, NULL, &builder) == ERR_OK);
    for (unsigned i = 0; i < PROFILES; i++) {
        struct arena arena;
        struct profile p;
        struct buffer out;
        bool summable;
        arena_init(&arena, 16 << 20, NULL);
        buffer_init(&out, 1 << 20, NULL);
        make(&rng, &arena, i, &p);
        assert(segment_block_encode(&p, builder, &out, &summable, NULL) == ERR_OK);
        buffer_close(&out);
        arena_close(&arena);
    }
    sealed_tables_open(&sealed, builder);
}

/* What was decoded is a profile like any other. */
static void store_again(const struct profile *p)
{
    struct arena arena;
    struct buffer out;
    struct tables_builder *b = NULL;
    struct sealed_tables again;
    bool summable;
    struct profile back = block_check_row(p);
    arena_init(&arena, 64 << 20, NULL);
    buffer_init(&out, 64 << 20, NULL);
    assert(tables_builder_create(&sealed_rules, NULL, &b) == ERR_OK);
    assert(segment_block_encode(p, b, &out, &summable, NULL) == ERR_OK);
    sealed_tables_open(&again, b);
    assert(segment_block_decode(buffer_bytes(&out), again.cursor, &arena, &back, NULL) == ERR_OK);
    assert(block_check_equal(p, &back) == NULL);
    sealed_tables_close(&again);
    tables_builder_destroy(b);
    buffer_close(&out);
    arena_close(&arena);
}

static void sum(struct bytes block, enum profile_kind kind)
{
    struct arena arena;
    struct block_sum sum;
    uint64_t samples = 0;
    arena_init(&arena, 4 << 20, NULL);
    if (segment_block_sum(block, kind, &sealed.tables.counts, &arena, &sum, NULL) == ERR_OK) {
        for (size_t i = 0; i < sum.count; i++) {
            samples += sum.weights[i].samples;
            assert(sum.weights[i].thread < sealed.tables.counts.threads);
            assert(sum.weights[i].node == PROFILE_NONE ||
                   sum.weights[i].node < sealed.tables.counts.nodes);
        }
        assert(samples == sum.samples);
    }
    arena_close(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (builder == NULL)
        build_tables();
    struct arena arena;
    struct profile p = {.kind = data[0] % 2 == 0 ? PROFILE_CHUNK : PROFILE_TRANSACTION};
    struct bytes block = bytes_of(data + 1, size - 1);
    arena_init(&arena, 4 << 20, NULL);
    if (segment_block_decode(block, sealed.cursor, &arena, &p, NULL) == ERR_OK) {
        assert(profile_check_shape(&p, NULL) == ERR_OK);
        store_again(&p);
    }
    arena_close(&arena);
    sum(block, p.kind);
    return 0;
}
