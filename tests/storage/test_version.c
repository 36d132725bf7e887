#include <criterion/criterion.h>

#include "storage/version.h"
#include "tests/support/rng.h"

Test(version, hidden_ids_are_a_set_in_order)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < 50; round++) {
        struct manifest_hidden h = {0};
        bool there[200] = {false};
        for (unsigned step = 0; step < 10; step++) {
            uint32_t ids[20];
            size_t count = (size_t)rng_below(&rng, 20);
            for (size_t i = 0; i < count; i++) {
                ids[i] = (uint32_t)rng_below(&rng, 200);
                there[ids[i]] = true;
            }
            cr_assert_eq(hidden_add(&h, ids, count), ERR_OK);
        }
        size_t expected = 0;
        for (uint32_t id = 0; id < 200; id++) {
            expected += there[id];
            cr_assert_eq(hidden_has(&h, id), there[id], "id %u", id);
        }
        cr_assert_eq(h.count, expected);
        for (size_t i = 1; i < h.count; i++)
            cr_assert_lt(h.ids[i - 1], h.ids[i]);
        for (unsigned i = 0; i < 50; i++) {
            uint32_t first = (uint32_t)rng_below(&rng, 200);
            uint32_t end = first + (uint32_t)rng_below(&rng, 20);
            bool any = false;
            for (uint32_t id = first; id < end && id < 200; id++)
                any |= there[id];
            cr_assert_eq(hidden_meets(&h, first, end), any, "[%u, %u)", first, end);
        }
        mem_free(h.ids);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

Test(version, a_copy_has_lists_of_its_own)
{
    uint32_t ids[] = {3, 5};
    struct log_set *set = NULL;
    struct version *v = NULL;
    struct version *w = NULL;
    cr_assert_eq(log_set_create(NULL, "d", NULL, 7, &set), ERR_OK);
    struct part part = {.uid = 4, .log = set, .rows = {ids, 2}};
    cr_assert_eq(version_create(1, 0, &v), ERR_OK);
    cr_assert_eq(version_put_part(v, 0, &part), ERR_OK);
    cr_assert_eq(version_create(1, 0, &w), ERR_OK);
    cr_assert_eq(version_put_part(w, 0, &v->parts[0]), ERR_OK);
    uint32_t more = 4;
    cr_assert_eq(hidden_add(&w->parts[0].rows, &more, 1), ERR_OK);
    log_set_release(set);
    version_release(version_acquire(v));
    cr_assert_eq(v->parts[0].rows.count, 2);
    cr_assert_eq(w->parts[0].rows.count, 3);
    cr_assert_eq(version_find(v, 4), &v->parts[0]);
    cr_assert_null(version_find(v, 5));
    version_release(v);
    cr_assert_eq(w->parts[0].log->first_arrival, 7);
    version_release(w);
    version_release(NULL);
    cr_assert_eq(mem_outstanding(), 0);
}
