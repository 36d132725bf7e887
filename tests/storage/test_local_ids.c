#include <criterion/criterion.h>

#include "storage/local_ids.h"
#include "tests/support/rng.h"

Test(local_ids, numbers_come_in_order_of_first_use)
{
    static const uint32_t ids[] = {7, 0, 7, UINT32_MAX, 3, 0, 7};
    static const uint32_t local[] = {0, 1, 0, 2, 3, 1, 0};
    struct arena arena;
    struct local_ids l;
    arena_init(&arena, 1 << 20, NULL);
    local_ids_init(&l, &arena);
    cr_assert_eq(local_ids_find(&l, 7), LOCAL_NONE);
    for (size_t i = 0; i < 7; i++)
        cr_assert_eq(local_ids_add(&l, ids[i]), local[i]);
    cr_assert_eq(local_ids_find(&l, 3), 3);
    cr_assert_eq(local_ids_find(&l, 4), LOCAL_NONE);
    cr_assert_eq(l.count, 4);
    cr_assert_eq(l.ids[2], UINT32_MAX);
    arena_close(&arena);
}

Test(local_ids, many_are_found_again)
{
    struct rng rng = test_rng();
    struct arena arena;
    struct local_ids l;
    struct local_list list = {0};
    arena_init(&arena, 16 << 20, NULL);
    local_ids_init(&l, &arena);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t id = (uint32_t)rng_below(&rng, 10000) * 64; /* alike in their low bits */
        uint32_t before = l.count;
        uint32_t local = local_ids_add(&l, id);
        if (local == before)
            local_list_add(&list, &arena, id);
        cr_assert_eq(list.items[local], id);
        cr_assert_eq(list.count, l.count);
    }
    for (uint32_t i = 0; i < l.count; i++)
        cr_assert_eq(local_ids_find(&l, list.items[i]), i);
    arena_close(&arena);
}

Test(local_ids, want_of_room_fails_the_arena_and_loses_nothing)
{
    struct arena arena;
    struct local_ids l;
    struct local_list list = {0};
    arena_init(&arena, 20000, NULL);
    local_ids_init(&l, &arena);
    uint32_t id = 0;
    while (local_ids_add(&l, id) != LOCAL_NONE)
        id++;
    cr_assert_eq(arena.failed, ERR_LIMIT);
    cr_assert_gt(l.count, 100);
    cr_assert_eq(l.count, id);
    for (uint32_t i = 0; i < id; i++)
        cr_assert_eq(local_ids_find(&l, i), i);
    local_list_add(&list, &arena, 1);
    cr_assert_eq(list.count, 0);
    arena_close(&arena);
    cr_assert_eq(mem_outstanding(), 0);
}
