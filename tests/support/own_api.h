/* own_api.h - the handlers of the own API without a socket: a target in, a whole answer out. */
#ifndef HEARTH_TESTS_OWN_API_H
#define HEARTH_TESTS_OWN_API_H

#include "api/handler.h"
#include "tests/support/query_store.h"

struct own_answer {
    int status;
    struct bytes type; /* of the content */
    struct bytes disposition;
    struct bytes coverage; /* the header of files */
    struct bytes body;     /* all pieces */
    bool streamed;
};

/* `target` is what follows /api/v1/: "projects/2/flamegraph?profiler_id=..."; values as they are,
 * without percent escapes. The answer lives in the store's arena. */
struct own_answer own_api_get(struct query_store *q, const char *target);
/* The same with all memory of the request from `account`. */
struct own_answer own_api_get_within(struct query_store *q, const char *target,
                                     struct mem_account *account);
/* The value of a member of the body, "a.b.c"; data NULL when there is none. */
struct bytes own_answer_find(const struct own_answer *a, const char *path);

#endif
