/* mem.h - the one door to malloc, and the budget that requests are admitted against.
 *
 * Threads: everything here may be called from any thread; an account belongs to one at a time.
 * Units:   bytes.
 * Errors:  allocation gives NULL; reserve says ERR_BUSY (the budget has no room now; waiting may
 *          help) or ERR_LIMIT (the account's own ceiling; waiting will not).
 *
 * A budget is the process's ceiling (--memory-max less what the process itself needs). An account
 * is one holder of it, usually one request: buffers and arenas that were given an account reserve
 * from it before they grow, and everything still held goes back with mem_account_close.
 */
#ifndef HEARTH_BASE_MEM_H
#define HEARTH_BASE_MEM_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/err.h"

/* Uninitialised memory; NULL when there is none. size 0 gives a valid pointer to nothing. */
void *mem_alloc(size_t size) MUST_CHECK;
/* Zeroed memory for one object. */
void *mem_zalloc(size_t size) MUST_CHECK;
/* count * size with the product checked; uninitialised. */
void *mem_array(size_t count, size_t size) MUST_CHECK;
/* Like realloc with the product checked; on NULL the old block is still there. */
void *mem_resize(void *block, size_t count, size_t size) MUST_CHECK;
void mem_free(void *block); /* NULL is fine */

/* For tests: blocks not yet freed; "the n-th allocation from now fails" (0 = never); and how many
 * there still are up to that one, 0 once it has failed. */
size_t mem_outstanding(void);
void mem_fail_at(size_t nth);
size_t mem_fail_left(void);

struct mem_budget {
    size_t max;
    atomic_size_t used;
    atomic_size_t peak;
};

void mem_budget_init(struct mem_budget *b, size_t max);

struct mem_account {
    struct mem_budget *budget; /* NULL: only this account's own ceiling counts */
    size_t held;
    size_t max;
};

void mem_account_init(struct mem_account *a, struct mem_budget *budget, size_t max);
enum err mem_account_reserve(struct mem_account *a, size_t size) MUST_CHECK;
void mem_account_release(struct mem_account *a, size_t size); /* size <= held */
/* What may still be reserved now; others of the budget may be faster. */
size_t mem_account_left(const struct mem_account *a);
/* Move what `from` holds (`size` of it) to `to` without giving it back in between. */
void mem_account_move(struct mem_account *from, struct mem_account *to, size_t size);
void mem_account_close(struct mem_account *a); /* releases what is still held */

#endif
