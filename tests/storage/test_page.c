#include <criterion/criterion.h>

#include "base/limits.h"
#include "storage/crc32c.h"
#include "storage/format.h"
#include "storage/page.h"
#include "tests/support/rng.h"

static void seal(struct bytes raw, struct buffer *out)
{
    buffer_init(out, 1 << 20, NULL);
    cr_assert_eq(page_seal(raw, 1, out, NULL), ERR_OK);
}

Test(page, compresses_only_where_it_pays)
{
    struct rng rng = test_rng();
    static uint8_t data[5000];
    const struct {
        size_t len;
        bool noise;
        bool smaller;
    } cases[] = {{0, false, false}, {1, false, false}, {5000, false, true}, {5000, true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer page;
        struct arena arena;
        struct bytes back;
        memset(data, 'x', sizeof data);
        if (cases[i].noise)
            rng_bytes(&rng, data, sizeof data);
        struct bytes raw = {data, cases[i].len};
        seal(raw, &page);
        if (cases[i].smaller)
            cr_assert_lt(page.len, raw.len / 10);
        else
            cr_assert_eq(page.len, raw.len + FORMAT_PAGE_HEADER_SIZE);
        arena_init(&arena, 1 << 20, NULL);
        cr_assert_eq(page_unpack(buffer_bytes(&page), 1, &arena, &back, NULL), ERR_OK);
        cr_assert(bytes_equal(raw, back));
        arena_close(&arena);
        buffer_close(&page);
    }
}

/* Sizes that lie behind a right checksum. */
Test(page, refuses_impossible_sizes)
{
    uint8_t raw[400] = {0};
    struct buffer page;
    const struct {
        uint32_t raw_size;
        enum err expected;
    } cases[] = {{400, ERR_OK},
                 {401, ERR_CORRUPT},
                 {399, ERR_CORRUPT},
                 {0, ERR_CORRUPT},
                 {UINT32_MAX, ERR_CORRUPT}};
    seal(bytes_of(raw, sizeof raw), &page);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        struct bytes back;
        struct errinfo info = {0};
        put_u32(page.data + 4, cases[i].raw_size);
        uint32_t crc = crc32c(1, bytes_of(page.data, 8));
        crc = crc32c(crc, bytes_from(buffer_bytes(&page), FORMAT_PAGE_HEADER_SIZE));
        put_u32(page.data + 8, crc);
        arena_init(&arena, 1 << 20, NULL);
        cr_assert_eq(page_unpack(buffer_bytes(&page), 1, &arena, &back, &info), cases[i].expected,
                     "case %zu: %s", i, info.text);
        arena_close(&arena);
    }
    struct bytes stored;
    size_t raw_size;
    for (size_t len = 0; len < page.len; len++)
        cr_assert_eq(
            page_verify(bytes_first(buffer_bytes(&page), len), 1, &raw_size, &stored, NULL),
            ERR_CORRUPT);
    buffer_close(&page);
}
