#include <stdio.h>

#include <criterion/criterion.h>

#include "base/mem.h"
#include "storage/text_pool.h"

static void add(struct text_pool *p, struct retired *retired, struct bytes text)
{
    cr_assert_eq(retired_reserve(retired, 1), ERR_OK);
    cr_assert_eq(text_pool_add(p, text, retired, 1), ERR_OK);
}

static struct bytes nth_text(unsigned n, char *to, size_t size)
{
    int len = snprintf(to, size, "%0*u", 1 + (int)(n % 50), n);
    return bytes_of(to, (size_t)len);
}

Test(text_pool, equal_texts_are_one_and_stay_where_they_are)
{
    struct text_pool p;
    struct retired retired = {0};
    static const uint8_t *address[5000];
    char text[64];
    cr_assert_eq(text_pool_init(&p, 5), ERR_OK);
    cr_assert_eq(text_pool_find(&p, BYTES("")), 0);
    for (unsigned n = 0; n < 5000; n++) {
        add(&p, &retired, nth_text(n, text, sizeof text));
        address[n] = text_pool_get(&p, n + 1).data;
    }
    for (unsigned n = 0; n < 5000; n++) {
        struct bytes wanted = nth_text(n, text, sizeof text);
        add(&p, &retired, wanted);
        cr_assert_eq(text_pool_find(&p, wanted), n + 1);
        cr_assert(bytes_equal(text_pool_get(&p, n + 1), wanted));
        cr_assert_eq(text_pool_get(&p, n + 1).data, address[n]);
    }
    cr_assert_eq(p.count, 5001);
    cr_assert_eq(text_pool_find(&p, BYTES("nowhere")), ID_NONE);
    text_pool_close(&p);
    retired_close(&retired);
    cr_assert_eq(mem_outstanding(), 0);
}

Test(text_pool, long_texts_do_not_disturb_short_ones)
{
    struct text_pool p;
    struct retired retired = {0};
    static char huge[40000];
    cr_assert_eq(text_pool_init(&p, 5), ERR_OK);
    for (unsigned n = 0; n < 20; n++) {
        char text[64];
        memset(huge, 'a' + (int)n, sizeof huge);
        add(&p, &retired, bytes_of(huge, 3000 + n * 1500));
        add(&p, &retired, nth_text(n, text, sizeof text));
    }
    for (unsigned n = 0; n < 20; n++) {
        char text[64];
        memset(huge, 'a' + (int)n, sizeof huge);
        cr_assert_eq(text_pool_find(&p, bytes_of(huge, 3000 + n * 1500)), 1 + n * 2);
        cr_assert_eq(text_pool_find(&p, nth_text(n, text, sizeof text)), 2 + n * 2);
    }
    text_pool_close(&p);
    retired_close(&retired);
    cr_assert_eq(mem_outstanding(), 0);
}
