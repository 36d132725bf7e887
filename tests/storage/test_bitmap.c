#include <criterion/criterion.h>

#include "storage/bitmap.h"

#define ROWS 300000

static struct bitmap *create(struct mem_account *account)
{
    struct bitmap *b = NULL;
    cr_assert_eq(bitmap_create(ROWS, account, &b), ERR_OK);
    return b;
}

/* The set {0..9, 70000} as other implementations of the format write it. */
static const uint8_t by_hand[] = {
    0x3b, 0x30, 1, 0, 1,          /* runs, two containers; the first has some */
    0,    0,    9, 0, 1, 0, 0, 0, /* key, rows - 1 */
    1,    0,    0, 0, 9, 0,       /* one run: 0, nine more */
    0x70, 0x11,                   /* 70000 - 65536 */
};

Test(bitmap, reads_and_writes_the_portable_format)
{
    struct bitmap *b = NULL;
    struct errinfo info = {0};
    struct buffer out;
    uint32_t rows[12];
    buffer_init(&out, SIZE_MAX, NULL);
    cr_assert_eq(bitmap_load(bytes_of(by_hand, sizeof by_hand), ROWS, NULL, &b, &info), ERR_OK,
                 "%s", info.text);
    cr_assert_eq(bitmap_read(b, 0, rows, 12), 11);
    cr_assert_eq(rows[9], 9);
    cr_assert_eq(rows[10], 70000);
    cr_assert_eq(bitmap_save(b, &out), ERR_OK);
    cr_assert(bytes_equal(buffer_bytes(&out), bytes_of(by_hand, sizeof by_hand)));
    buffer_close(&out);
    bitmap_destroy(b);
}

static void assert_refused(size_t at, uint8_t value, const char *expected)
{
    uint8_t bytes[sizeof by_hand];
    struct bitmap *b = NULL;
    struct errinfo info = {0};
    memcpy(bytes, by_hand, sizeof bytes);
    bytes[at] = value;
    cr_assert_eq(bitmap_load(bytes_of(bytes, sizeof bytes), ROWS, NULL, &b, &info), ERR_CORRUPT);
    cr_assert(strstr(info.text, expected) != NULL, "%s", info.text);
}

Test(bitmap, damage_is_told_by_what_was_expected)
{
    assert_refused(0, 0x3c, "cookie");
    assert_refused(2, 9, "containers");
    assert_refused(4, 5, "zero bits");
    assert_refused(7, 8, "rows as their container");
    assert_refused(9, 0, "keys");
    assert_refused(9, 5, "no row behind");
    assert_refused(13, 0, "2047 runs");
    assert_refused(11, 1, "list as long");
}

Test(bitmap, rows_beyond_the_count_are_refused)
{
    struct bitmap *b = NULL;
    struct bytes in = bytes_of(by_hand, sizeof by_hand);
    cr_assert_eq(bitmap_load(in, 70000, NULL, &b, NULL), ERR_CORRUPT);
    cr_assert_eq(bitmap_load(in, 70001, NULL, &b, NULL), ERR_OK);
    bitmap_destroy(b);
}

Test(bitmap, memory_is_reserved_while_it_lives_whatever_is_in_it)
{
    struct mem_budget budget;
    struct mem_account account;
    struct bitmap *b = NULL;
    mem_budget_init(&budget, 1 << 20);
    mem_account_init(&account, &budget, SIZE_MAX);
    b = create(&account);
    size_t held = account.held;
    cr_assert_gt(held, ROWS / 8);
    cr_assert_eq(bitmap_add_range(b, 0, ROWS), ERR_OK);
    for (uint32_t row = 0; row < ROWS; row += 3)
        cr_assert_eq(bitmap_add(b, row), ERR_OK);
    cr_assert_eq(account.held, held);
    bitmap_destroy(b);
    cr_assert_eq(account.held, 0);
    mem_account_close(&account);
}

Test(bitmap, without_room_in_the_budget_there_is_no_set)
{
    struct mem_budget budget;
    struct mem_account account;
    struct bitmap *b = NULL;
    mem_budget_init(&budget, 1000);
    mem_account_init(&account, &budget, SIZE_MAX);
    cr_assert_eq(bitmap_create(ROWS, &account, &b), ERR_LIMIT); /* waiting would not help */
    cr_assert_eq(account.held, 0);
    mem_account_close(&account);
}

/* Every call that may take memory, with none there. */
static enum err call(int which, struct bitmap *b, struct bitmap *other, struct buffer *out)
{
    static const uint32_t rows[] = {1, 100000};
    struct bitmap *made = NULL;
    enum err rc = ERR_OK;
    switch (which) {
    case 0: return bitmap_add(b, 299999);
    case 1: return bitmap_add_range(b, 5, 200000);
    case 2: return bitmap_or(b, other);
    case 3: return bitmap_and(b, other);
    case 4: return bitmap_andnot(b, other);
    case 5: return bitmap_save(b, out);
    case 6: return bitmap_add_rows(b, rows, 2);
    case 7: rc = bitmap_create(ROWS, NULL, &made); break;
    default: rc = bitmap_load(bytes_of(by_hand, sizeof by_hand), ROWS, NULL, &made, NULL);
    }
    bitmap_destroy(made);
    return rc;
}

Test(bitmap, out_of_memory_is_an_error_and_the_set_stays)
{
    for (int which = 0; which <= 8; which++) {
        unsigned failures = 0;
        enum err rc = ERR_NOMEM;
        for (size_t nth = 1; rc != ERR_OK; nth++) {
            struct buffer out;
            struct bitmap *b = create(NULL);
            struct bitmap *other = create(NULL);
            buffer_init(&out, SIZE_MAX, NULL);
            cr_assert_eq(bitmap_add(b, 7), ERR_OK);
            cr_assert_eq(bitmap_add(other, 70000), ERR_OK);
            mem_fail_at(nth);
            rc = call(which, b, other, &out);
            mem_fail_at(0);
            cr_assert(rc == ERR_OK || rc == ERR_NOMEM);
            cr_assert(rc == ERR_OK || (bitmap_count(b) == 1 && bitmap_contains(b, 7)));
            failures += rc != ERR_OK;
            bitmap_destroy(b);
            bitmap_destroy(other);
            buffer_close(&out);
        }
        cr_assert_gt(failures, 0, "call %d", which);
    }
}
