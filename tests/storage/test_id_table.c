#include <criterion/criterion.h>

#include "base/hash.h"
#include "base/mem.h"
#include "storage/id_table.h"

#define KEYS 3000

/* Id n stands for key n % KEYS; hashes meet often. */
static uint64_t hash_of(const void *self, uint32_t id)
{
    (void)self;
    return (hash_u64(id % KEYS) % 512) << 32;
}

static bool equals(const void *self, uint32_t id, const void *key)
{
    (void)self;
    return id % KEYS == *(const uint32_t *)key;
}

Test(id_table, leads_to_the_latest_id_of_a_key)
{
    struct id_table t;
    struct retired retired = {0};
    id_table_init(&t, NULL, equals);
    uint32_t nowhere = 5;
    cr_assert_eq(id_table_find(&t, hash_of(NULL, 5), &nowhere), ID_NONE, "an empty table");
    for (uint32_t id = 0; id < 2 * KEYS; id++) {
        uint32_t key = id % KEYS;
        cr_assert_eq(retired_reserve(&retired, 1), ERR_OK);
        cr_assert_eq(id_table_reserve(&t, 1, &retired, 1), ERR_OK);
        cr_assert_eq(id_table_find(&t, hash_of(NULL, key), &key), id < KEYS ? ID_NONE : key);
        id_table_set(&t, hash_of(NULL, key), &key, id);
        cr_assert_eq(id_table_find(&t, hash_of(NULL, key), &key), id);
    }
    cr_assert_eq(t.count, KEYS);
    id_table_close(&t);
    retired_close(&retired);
    cr_assert_eq(mem_outstanding(), 0);
}
