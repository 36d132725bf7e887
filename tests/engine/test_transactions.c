#include <criterion/criterion.h>

#include "engine/transactions.h"
#include "tests/support/hand_profile.h"
#include "tests/support/query_store.h"

#define T0_NS INT64_C(1795336832000000000)
#define S     INT64_C(1000000000)

static void add_profile(struct query_store *q, uint32_t id, const char *name, int64_t start_ns)
{
    static struct hand_profile h;

    hand_profile_init(&h, PROFILE_TRANSACTION, "python");
    h.profile.id = query_id(id);
    h.profile.trace_id = query_id(id + 1000);
    h.profile.transaction = hand_string(&h, name);
    h.profile.timestamp_ns = start_ns;
    hand_frame(&h, (struct hand_frame){.function = "a"});
    uint32_t thread = hand_thread(&h, "1", NULL);
    uint32_t stack = hand_stack(&h, "0");
    hand_sample(&h, thread, stack, 0);
    hand_sample(&h, thread, stack, 1e9);
    query_store_add(q, &h.profile);
}

static void add_link(struct query_store *q, uint64_t span, const char *name, int64_t start_ns,
                     bool is_segment, uint32_t profiler)
{
    query_store_link(
        q, &(struct link){.project_id = 2,
                          .profiler_id = profiler ? query_id(profiler) : (struct uuid){{0}},
                          .trace_id = query_id(5000),
                          .span_id = span,
                          .start_ns = start_ns,
                          .end_ns = start_ns + S,
                          .is_segment = is_segment,
                          .name = bytes_of_text(name),
                          .op = BYTES(""),
                          .thread_id = BYTES("1"),
                          .thread_name = BYTES(""),
                          .environment = BYTES("production"),
                          .release = BYTES(""),
                          .platform = BYTES("")});
}

static size_t list(struct query_store *q, const struct selection_request *request,
                   const struct transaction_group **ret)
{
    struct snapshot *snap = snapshot_acquire(q->store, NULL);
    struct errinfo info = {0};
    struct transaction_list list = {0};

    cr_assert_eq(transactions_list(snap, request, NULL, &q->arena, &list, &info), ERR_OK, "%s",
                 info.text);
    cr_assert_eq(list.profiles_unreadable, 0);
    snapshot_release(snap);
    *ret = list.groups;
    return list.count;
}

Test(transactions, groups_profiles_and_links_by_name)
{
    struct query_store q;
    const struct transaction_group *groups = NULL;

    query_store_open(&q);
    for (uint32_t i = 0; i < 7; i++)
        add_profile(&q, i, "GET /", T0_NS + i * S);
    add_profile(&q, 50, "", T0_NS);
    add_link(&q, 1, "GET /", T0_NS + 20 * S, true, 9);
    add_link(&q, 2, "child", T0_NS, false, 9);
    add_link(&q, 3, "elsewhere", T0_NS, true, 0);
    add_link(&q, 4, "POST /", T0_NS, true, 9);

    struct selection_request request = {.project_id = 2};
    cr_assert_eq(list(&q, &request, &groups), 3,
                 "spans and transactions without profiler are none");
    cr_assert(bytes_equal(groups[0].name, BYTES("GET /")));
    cr_assert_eq(groups[0].profile_count, 7);
    cr_assert_eq(groups[0].link_count, 1);
    cr_assert_eq(groups[0].first_ns, T0_NS);
    cr_assert_eq(groups[0].last_ns, T0_NS + 21 * S);
    cr_assert_eq(groups[0].example_count, TRANSACTION_EXAMPLES);
    cr_assert_not(groups[0].examples[0].is_profile, "the latest comes first");
    cr_assert(uuid_equal(groups[0].examples[0].profiler_id, query_id(9)));
    cr_assert(uuid_equal(groups[0].examples[1].profile_id, query_id(6)));
    cr_assert(uuid_equal(groups[0].examples[4].profile_id, query_id(3)));
    cr_assert_eq(groups[1].name.len, 0);
    cr_assert(bytes_equal(groups[2].name, BYTES("POST /")));

    request.has_start = request.has_end = true;
    request.window = (struct span_ns){T0_NS + 15 * S, T0_NS + 30 * S};
    cr_assert_eq(list(&q, &request, &groups), 1);
    cr_assert_eq(groups[0].profile_count, 0);
    cr_assert_eq(groups[0].link_count, 1);
    request = (struct selection_request){.project_id = 2, .transaction = BYTES("POST /")};
    cr_assert_eq(list(&q, &request, &groups), 1);
    request.environments = (struct selection_texts){&BYTES("staging"), 1};
    cr_assert_eq(list(&q, &request, &groups), 0);
    query_store_close(&q);
}

Test(transactions, ends_when_canceled)
{
    struct query_store q;
    struct errinfo info = {0};
    atomic_bool canceled = true;

    query_store_open(&q);
    add_profile(&q, 1, "profiled", T0_NS);
    add_link(&q, 2, "linked", T0_NS + 60 * S, true, 9);
    struct snapshot *snap = snapshot_acquire(q.store, NULL);
    for (int links = 0; links < 2; links++) { /* a window with a profile, one with a link */
        struct transaction_list groups = {0};
        int64_t start_ns = T0_NS + 60 * S * links;
        struct selection_request request = {.project_id = 2,
                                            .has_start = true,
                                            .has_end = true,
                                            .window = {start_ns, start_ns + S}};
        canceled = false;
        cr_assert_eq(transactions_list(snap, &request, &canceled, &q.arena, &groups, &info), ERR_OK,
                     "%s", info.text);
        cr_assert_eq(groups.count, 1);
        canceled = true;
        cr_assert_eq(transactions_list(snap, &request, &canceled, &q.arena, &groups, &info),
                     ERR_CANCELED);
    }
    snapshot_release(snap);
    query_store_close(&q);
}
