/* query_store.h - a small store with hand-made profiles and links, for tests of queries.
 *
 * Every failure ends the test program with a message: no test can go on without its store.
 */
#ifndef HEARTH_TESTS_QUERY_STORE_H
#define HEARTH_TESTS_QUERY_STORE_H

#include "storage/store.h"
#include "tests/support/tmpdir.h"

struct query_store {
    struct tmpdir dir;
    struct store *store;
    struct arena arena; /* for answers */
};

void query_store_open(struct query_store *q);
void query_store_close(struct query_store *q);
void query_store_add(struct query_store *q, const struct profile *p);
void query_store_link(struct query_store *q, const struct link *l);

/* All that is in it goes to segments. */
void query_store_seal(struct query_store *q);

/* An id whose digits tell the number. */
struct uuid query_id(uint32_t number);

#endif
