/* race_mem.c - threads share one budget, the allocation counter, the log level and the test clock.
 *
 * A plain program: ThreadSanitizer watches it under the tsan preset, and it checks the sums itself.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/support/scale.h"

#define THREADS    4
#define BUDGET_MAX ((size_t)64 << 10)

static struct mem_budget budget;
static pthread_barrier_t start;

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* One request after another: what it gets is its own, what it does not get it is told. */
static void one_request(size_t size)
{
    struct mem_account account;
    struct buffer buffer;
    struct arena arena;
    mem_account_init(&account, &budget, BUDGET_MAX / 2);
    buffer_init(&buffer, SIZE_MAX, &account);
    arena_init(&arena, SIZE_MAX, &account);
    uint8_t *taken = arena_take(&arena, size, 8);
    if (taken != NULL)
        memset(taken, 1, size);
    for (size_t i = 0; i < size; i++)
        buffer_put_u8(&buffer, (uint8_t)i);
    check(buffer.failed == ERR_OK || buffer.failed == ERR_BUSY || buffer.failed == ERR_LIMIT,
          "a buffer failed in another way than for want of room");
    check(account.held <= BUDGET_MAX / 2, "an account is over its ceiling");
    buffer_close(&buffer);
    arena_close(&arena);
    mem_account_close(&account);
}

static void *run(void *number)
{
    size_t rounds = test_scale(300);
    pthread_barrier_wait(&start);
    for (size_t i = 0; i < rounds; i++) {
        one_request(100 + (i * 977 + (uintptr_t)number * 5003) % 12000);
        if (i % 64 == 0) {
            log_set_level(i % 128 == 0 ? LOG_ERROR : LOG_NONE);
            log_info("race", "never written round=%zu", i);
            clock_set_wall((int64_t)i);
            check(clock_steady_ns() > 0, "no steady time");
            (void)clock_wall_ns();
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    mem_budget_init(&budget, BUDGET_MAX);
    pthread_barrier_init(&start, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        check(pthread_create(&threads[i], NULL, run, (void *)i) == 0, "no thread");
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check(budget.used == 0, "the budget did not get everything back");
    check(budget.peak > 0 && budget.peak <= BUDGET_MAX, "the budget was exceeded");
    check(mem_outstanding() == 0, "blocks were not freed");
    printf("peak %zu of %zu bytes\n", (size_t)budget.peak, BUDGET_MAX);
    return 0;
}
