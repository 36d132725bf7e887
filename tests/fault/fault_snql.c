/* fault_snql.c - a query under any ceiling of memory: it is refused with a reason until there is enough,
 * and gives everything back. (One allocation that fails is tried again smaller by the arena, so failing
 * the n-th alone would show nothing.) */
#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/snql_tables.h"
#include "tests/support/store_rig.h"

static const char *const queries[] = {
    "MATCH STORAGE(profile_chunks) SELECT chunk_id, start_timestamp WHERE project_id = 1 ORDER BY "
    "start_timestamp DESC LIMIT 3",
    "MATCH STORAGE(profile_chunks) SELECT count() AS c, uniq(chunk_id), groupArray(chunk_id), "
    "quantiles(0.5)(retention_days), max(profiler_id) BY environment, profiler_id HAVING c > 0 ORDER "
    "BY c DESC LIMIT 2 BY environment TOTALS TRUE",
    "MATCH STORAGE(functions_raw) SELECT name, arrayMap((`x`) -> plus(`x`, 1), durations), "
    "arrayJoin(durations) WHERE match(name, '.*') = 1 OR name IN array('a', 'b')",
    "MATCH STORAGE(functions) SELECT countMerge(count), argMaxMerge(worst_v2), "
    "groupUniqArrayMerge(5)(examples) BY name",
    "MATCH { MATCH STORAGE(profile_chunks) SELECT count() AS c BY profiler_id } SELECT max(c), "
    "toString(tuple(max(c), 'x'))",
};

Test(fault_snql, any_ceiling_of_memory_is_kept)
{
    struct store_rig r = store_rig_open();
    for (unsigned n = 0; n < 6; n++)
        store_rig_append(&r, n, 1);
    size_t outstanding = mem_outstanding();
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        unsigned refused = 0;
        enum err rc = ERR_LIMIT;
        for (size_t ceiling = 0; rc != ERR_OK; ceiling += 1024) {
            struct mem_budget budget;
            struct mem_account account;
            struct arena arena;
            struct snql_answer answer;
            struct snql_error error = {0};
            struct snapshot *snap = snapshot_acquire(r.store, NULL);
            cr_assert_not_null(snap);
            struct snql_catalog catalog = snql_store_catalog(snap);
            struct snql_request request = {.text = bytes_of_text(queries[i])};
            mem_budget_init(&budget, MIB(64));
            mem_account_init(&account, &budget, ceiling);
            arena_init(&arena, MIB(64), &account);
            rc = snql_run(&request, &catalog, &arena, &answer, &error);
            if (rc != ERR_OK) {
                cr_assert_eq(rc, ERR_LIMIT, "query %zu, %zu bytes: %s, %s", i, ceiling,
                             err_text(rc), error.info.text);
                cr_assert_eq(error.code, SNQL_CODE_MEMORY, "query %zu, %zu bytes: %s", i, ceiling,
                             error.info.text);
                refused++;
            }
            arena_close(&arena);
            mem_account_close(&account);
            snapshot_release(snap);
            cr_assert_eq(mem_outstanding(), outstanding, "query %zu, %zu bytes", i, ceiling);
            cr_assert_lt(ceiling, MIB(8), "query %zu takes that much of six small chunks", i);
        }
        cr_assert_gt(refused, 3, "query %zu: %u", i, refused);
    }
    store_rig_close(&r);
}
