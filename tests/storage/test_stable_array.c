#include <criterion/criterion.h>

#include "base/mem.h"
#include "storage/stable_array.h"

Test(stable_array, items_keep_their_place_while_it_grows)
{
    struct stable_array a;
    static uint32_t *place[20000];
    stable_array_init(&a, sizeof(uint32_t));
    for (uint32_t i = 0; i < 20000; i++) {
        cr_assert_eq(stable_array_reserve(&a, i + 1), ERR_OK);
        place[i] = stable_array_at(&a, i);
        *place[i] = i;
    }
    for (uint32_t i = 0; i < 20000; i++) {
        cr_assert_eq(stable_array_at(&a, i), place[i]);
        cr_assert_eq(*place[i], i);
    }
    cr_assert_geq(stable_array_bytes(&a), 20000 * sizeof(uint32_t));
    stable_array_close(&a);
    cr_assert_eq(mem_outstanding(), 0);
}
