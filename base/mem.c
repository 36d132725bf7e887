#include "base/mem.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static atomic_size_t outstanding;
static atomic_size_t fail_countdown; /* 0: never; 1: the next allocation fails */

/* Whether this allocation is the one that was told to fail. */
static bool fails_now(void)
{
    size_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left != 0)
        if (atomic_compare_exchange_weak_explicit(&fail_countdown, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return left == 1;
    return false;
}

static void *counted(void *block)
{
    if (block != NULL)
        atomic_fetch_add_explicit(&outstanding, 1, memory_order_relaxed);
    return block;
}

void *mem_alloc(size_t size)
{
    return fails_now() ? NULL : counted(malloc(size == 0 ? 1 : size));
}

void *mem_zalloc(size_t size)
{
    return fails_now() ? NULL : counted(calloc(1, size == 0 ? 1 : size));
}

void *mem_array(size_t count, size_t size)
{
    size_t wanted;
    return size_mul(count, size, &wanted) ? mem_alloc(wanted) : NULL;
}

void *mem_resize(void *block, size_t count, size_t size)
{
    size_t wanted;
    if (!size_mul(count, size, &wanted))
        return NULL;
    if (block == NULL)
        return mem_alloc(wanted);
    return fails_now() ? NULL : realloc(block, wanted == 0 ? 1 : wanted);
}

void mem_free(void *block)
{
    if (block == NULL)
        return;
    size_t before = atomic_fetch_sub_explicit(&outstanding, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    free(block);
}

size_t mem_outstanding(void)
{
    return atomic_load_explicit(&outstanding, memory_order_relaxed);
}

void mem_fail_at(size_t nth)
{
    atomic_store_explicit(&fail_countdown, nth, memory_order_relaxed);
}

size_t mem_fail_left(void)
{
    return atomic_load_explicit(&fail_countdown, memory_order_relaxed);
}

void mem_budget_init(struct mem_budget *b, size_t max)
{
    b->max = max;
    atomic_init(&b->used, 0);
    atomic_init(&b->peak, 0);
}

static bool budget_take(struct mem_budget *b, size_t size)
{
    size_t used = atomic_load_explicit(&b->used, memory_order_relaxed);
    do {
        if (used > b->max || size > b->max - used)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&b->used, &used, used + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    used += size;
    size_t peak = atomic_load_explicit(&b->peak, memory_order_relaxed);
    while (used > peak && !atomic_compare_exchange_weak_explicit(
                              &b->peak, &peak, used, memory_order_relaxed, memory_order_relaxed))
        ;
    return true;
}

void mem_account_init(struct mem_account *a, struct mem_budget *budget, size_t max)
{
    *a = (struct mem_account){.budget = budget, .max = max};
}

size_t mem_account_left(const struct mem_account *a)
{
    size_t own = a->held < a->max ? a->max - a->held : 0;
    if (a->budget == NULL)
        return own;
    size_t used = atomic_load_explicit(&a->budget->used, memory_order_relaxed);
    size_t shared = used < a->budget->max ? a->budget->max - used : 0;
    return own < shared ? own : shared;
}

enum err mem_account_reserve(struct mem_account *a, size_t size)
{
    if (a->held > a->max || size > a->max - a->held)
        return ERR_LIMIT;
    if (a->budget != NULL && size > a->budget->max)
        return ERR_LIMIT; /* waiting for room can not help */
    if (a->budget != NULL && !budget_take(a->budget, size))
        return ERR_BUSY;
    a->held += size;
    return ERR_OK;
}

void mem_account_release(struct mem_account *a, size_t size)
{
    assert(size <= a->held);
    a->held -= size;
    if (a->budget != NULL) {
        size_t before = atomic_fetch_sub_explicit(&a->budget->used, size, memory_order_relaxed);
        assert(before >= size);
        (void)before;
    }
}

void mem_account_move(struct mem_account *from, struct mem_account *to, size_t size)
{
    assert(size <= from->held && from->budget == to->budget);
    from->held -= size;
    to->held += size;
}

void mem_account_close(struct mem_account *a)
{
    mem_account_release(a, a->held);
    a->budget = NULL;
}
