#include <criterion/criterion.h>

#include "storage/link_page.h"
#include "tests/support/rng.h"

#define COUNT FORMAT_LINKS_A_PAGE

static struct link_item items[COUNT];
static uint64_t span_ids[COUNT];

static uint64_t few_or_any(struct rng *rng, uint64_t few)
{
    return rng_chance(rng, 80) ? rng_below(rng, few) : rng_u64(rng);
}

static struct uuid random_uuid(struct rng *rng, uint64_t of)
{
    struct uuid id = {0};
    if (rng_chance(rng, 70))
        put_u64(id.byte, rng_below(rng, of)); /* 0 is nil */
    else
        rng_bytes(rng, id.byte, sizeof id.byte);
    return id;
}

static void random_items(struct rng *rng, uint32_t count)
{
    uint64_t variety = 1 + rng_below(rng, 60);
    memset(items, 0, sizeof items);
    for (uint32_t i = 0; i < count; i++)
        span_ids[i] = few_or_any(rng, 500);
    for (uint32_t i = 0; i < count; i++) {
        struct link_item *item = &items[i];
        item->parent_span_id =
            rng_chance(rng, 60) ? span_ids[rng_below(rng, count)] : few_or_any(rng, 3);
        item->arrival = few_or_any(rng, 100000);
        item->trace = (uint32_t)few_or_any(rng, variety);
        for (size_t text = 0; text < LINK_TEXT_COUNT; text++)
            item->text[text] = (uint32_t)few_or_any(rng, 1 + variety / 4);
        item->profiler_run = LINK_ITEM_NO_RUN;
        if (rng_chance(rng, 50))
            item->profiler_run = (uint32_t)few_or_any(rng, variety);
        if (item->profiler_run == LINK_ITEM_NO_RUN)
            item->profiler_id = random_uuid(rng, variety);
        item->transaction_id = random_uuid(rng, variety);
        item->is_segment = rng_chance(rng, 50);
        item->has_content = rng_chance(rng, 5);
        if (item->has_content)
            item->content = (struct hash128){rng_u64(rng), rng_u64(rng)};
    }
}

static bool same(const struct link_item *a, const struct link_item *b)
{
    return a->parent_span_id == b->parent_span_id && a->arrival == b->arrival &&
           a->trace == b->trace && memcmp(a->text, b->text, sizeof a->text) == 0 &&
           a->profiler_run == b->profiler_run && uuid_equal(a->profiler_id, b->profiler_id) &&
           uuid_equal(a->transaction_id, b->transaction_id) &&
           hash128_equal(a->content, b->content) && a->is_segment == b->is_segment &&
           a->has_content == b->has_content;
}

static void check_round_trip(uint32_t count, size_t *ret_size)
{
    static struct link_item got[COUNT];
    struct buffer page;
    struct errinfo info = {0};
    buffer_init(&page, LINK_PAGE_RAW_MAX, NULL);
    link_page_encode(items, span_ids, count, &page);
    cr_assert_eq(page.failed, ERR_OK);
    cr_assert_eq(link_page_decode(buffer_bytes(&page), span_ids, count, got, &info), ERR_OK, "%s",
                 info.text);
    for (uint32_t i = 0; i < count; i++)
        cr_assert(same(&items[i], &got[i]), "item %u of %u", i, count);
    *ret_size = page.len;
    buffer_close(&page);
}

Test(link_page, everything_comes_back)
{
    struct rng rng = test_rng();
    size_t size;
    for (unsigned round = 0; round < 300; round++) {
        uint32_t count = round < COUNT ? round + 1 : 1 + (uint32_t)rng_below(&rng, COUNT);
        random_items(&rng, count);
        check_round_trip(count, &size);
    }
}

Test(link_page, links_without_anything_in_common_fit_the_largest_page)
{
    struct rng rng = test_rng();
    size_t size;
    memset(items, 0, sizeof items);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct link_item *item = &items[i];
        span_ids[i] = 1000 + i;
        item->parent_span_id = rng_u64(&rng) | UINT64_C(1) << 63;
        item->arrival = i % 2 == 0 ? UINT64_C(3) << 62 : i; /* far from the one before */
        item->trace = i % 2 == 0 ? UINT32_MAX - i : i;
        for (size_t text = 0; text < LINK_TEXT_COUNT; text++)
            item->text[text] = i % 2 == 0 ? UINT32_MAX - i : i;
        item->profiler_run = LINK_ITEM_NO_RUN;
        rng_bytes(&rng, item->profiler_id.byte, sizeof item->profiler_id.byte);
        rng_bytes(&rng, item->transaction_id.byte, sizeof item->transaction_id.byte);
        item->has_content = true;
        item->content = (struct hash128){rng_u64(&rng), rng_u64(&rng)};
    }
    check_round_trip(COUNT, &size);
    cr_assert_gt(size, KIB(14), "%zu: the ceiling is far above", size);
}

/* Spans of one request: one trace, thread and profiler, each below the first. */
Test(link_page, links_that_agree_cost_a_few_bytes)
{
    size_t size;
    memset(items, 0, sizeof items);
    for (uint32_t i = 0; i < COUNT; i++) {
        span_ids[i] = UINT64_C(0x8123456789abcdef) + i;
        items[i].parent_span_id = i == 0 ? 0 : span_ids[0];
        items[i].arrival = 5000000 + i;
        items[i].text[LINK_NAME] = 100000 + i % 8;
        items[i].profiler_run = 77;
    }
    check_round_trip(COUNT, &size);
    cr_assert_leq(size, COUNT * 8, "%zu", size);
}

Test(link_page, any_changed_or_missing_byte_is_survived)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 20; round++) {
        static struct link_item got[COUNT];
        struct buffer page;
        uint32_t count = 1 + (uint32_t)rng_below(&rng, 40);
        random_items(&rng, count);
        buffer_init(&page, LINK_PAGE_RAW_MAX, NULL);
        link_page_encode(items, span_ids, count, &page);
        for (size_t at = 0; at < page.len; at++) {
            uint8_t *exact = mem_alloc(page.len);
            memcpy(exact, page.data, page.len);
            exact[at] ^= (uint8_t)(1 + rng_below(&rng, 255));
            enum err rc = link_page_decode(bytes_of(exact, page.len), span_ids, count, got, NULL);
            cr_assert(rc == ERR_OK || rc == ERR_CORRUPT);
            mem_free(exact);
            struct errinfo info = {0};
            rc = link_page_decode(bytes_of(page.data, at), span_ids, count, got, &info);
            cr_assert_eq(rc, ERR_CORRUPT, "cut at %zu of %zu", at, page.len);
            cr_assert(strstr(info.text, "do not hold") != NULL, "%s", info.text);
        }
        buffer_put_u8(&page, 0);
        cr_assert_eq(link_page_decode(buffer_bytes(&page), span_ids, count, got, NULL), ERR_CORRUPT,
                     "a byte too many");
        buffer_close(&page);
    }
    cr_assert_eq(mem_outstanding(), 0);
}
