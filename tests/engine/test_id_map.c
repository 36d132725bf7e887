#include <criterion/criterion.h>

#include "engine/id_map.h"
#include "tests/support/rng.h"

Test(id_map, gives_back_what_was_put)
{
    struct id_map m;
    struct rng rng = test_rng();
    uint64_t keys[3000];
    uint32_t value;
    id_map_init(&m, NULL);
    cr_assert(!id_map_find(&m, 7, &value));
    for (uint32_t i = 0; i < 3000; i++) {
        keys[i] = rng_u64(&rng) << 12 | i; /* all different */
        cr_assert_eq(id_map_put(&m, keys[i], i), ERR_OK);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        cr_assert(id_map_find(&m, keys[i], &value));
        cr_assert_eq(value, i);
        cr_assert(!id_map_find(&m, keys[i] ^ 0x800, &value), "key %u", i);
    }
    id_map_clear(&m);
    cr_assert(!id_map_find(&m, keys[0], &value));
    cr_assert_eq(id_map_put(&m, keys[0], 5), ERR_OK);
    cr_assert(id_map_find(&m, keys[0], &value));
    cr_assert_eq(value, 5);
    id_map_close(&m);
}

Test(id_map, the_key_zero_is_a_key)
{
    struct id_map m;
    uint32_t value;
    id_map_init(&m, NULL);
    cr_assert_eq(id_map_put(&m, 1, 1), ERR_OK);
    cr_assert(!id_map_find(&m, 0, &value));
    cr_assert_eq(id_map_put(&m, 0, 9), ERR_OK);
    cr_assert(id_map_find(&m, 0, &value));
    cr_assert_eq(value, 9);
    id_map_close(&m);
}

Test(id_map, says_when_there_is_no_room)
{
    struct mem_account account;
    struct id_map m;
    mem_account_init(&account, NULL, 300); /* less than the first slots */
    id_map_init(&m, &account);
    cr_assert_eq(id_map_put(&m, 1, 1), ERR_LIMIT);
    id_map_close(&m);
    mem_account_close(&account);
}
