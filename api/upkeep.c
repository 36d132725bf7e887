#include "api/upkeep.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <uv.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#define MS_NS UINT64_C(1000000)

struct upkeep {
    struct store *store;
    struct mem_budget *budget;
    struct mem_account account;
    uv_thread_t thread;
    uv_mutex_t lock; /* guards stop */
    uv_cond_t wake;
    bool stop;
    int64_t resumed_ns; /* when the work after the last rest began */
};

/* False when it is to end. */
static bool rest(struct upkeep *u, uint64_t ns)
{
    int64_t until = clock_steady_ns() + (int64_t)ns;
    uv_mutex_lock(&u->lock);
    while (!u->stop && clock_steady_ns() < until)
        (void)uv_cond_timedwait(&u->wake, &u->lock, (uint64_t)(until - clock_steady_ns()));
    bool goes_on = !u->stop;
    uv_mutex_unlock(&u->lock);
    return goes_on;
}

static bool may_go_on(void *self)
{
    struct upkeep *u = self;
    int64_t worked_ns = clock_steady_ns() - u->resumed_ns;
    if (worked_ns < (int64_t)(UPKEEP_STRETCH_MS * MS_NS))
        return true;
    bool goes_on = rest(u, (uint64_t)worked_ns * (UPKEEP_SHARE - 1));
    u->resumed_ns = clock_steady_ns();
    return goes_on;
}

/* All there is to do; false when something failed. */
static bool work(struct upkeep *u)
{
    struct store_upkeep piece = {.account = &u->account, .self = u, .keep_going = may_go_on};
    bool did = true;
    u->resumed_ns = clock_steady_ns();
    while (did) {
        struct errinfo info = {{0}};
        enum err rc = store_upkeep(u->store, &piece, &did, &info);
        mem_account_close(&u->account);
        mem_account_init(&u->account, u->budget, SIZE_MAX);
        if (rc == ERR_CANCELED)
            return true;
        if (rc != ERR_OK) {
            log_error("upkeep", "piece_failed error=\"%s\"", info.text);
            return false;
        }
        if (!may_go_on(u)) /* the end of a piece is work, too */
            return true;
    }
    return true;
}

static void run(void *argument)
{
    struct upkeep *u = argument;
    (void)pthread_setname_np(pthread_self(), "hearth-upkeep");
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), UPKEEP_NICE);
    uint64_t pause_ms = UPKEEP_POLL_MS;
    while (rest(u, pause_ms * MS_NS))
        pause_ms = work(u) ? UPKEEP_POLL_MS : UPKEEP_RETRY_MS;
}

enum err upkeep_create(struct store *store, struct mem_budget *budget, struct upkeep **ret)
{
    struct upkeep *u = mem_zalloc(sizeof(*u));
    if (u == NULL)
        return ERR_NOMEM;
    u->store = store;
    u->budget = budget;
    mem_account_init(&u->account, budget, SIZE_MAX);
    if (uv_mutex_init(&u->lock) != 0)
        goto no_lock;
    if (uv_cond_init(&u->wake) != 0)
        goto no_wake;
    if (uv_thread_create(&u->thread, run, u) != 0)
        goto no_thread;
    *ret = u;
    return ERR_OK;

no_thread:
    uv_cond_destroy(&u->wake);
no_wake:
    uv_mutex_destroy(&u->lock);
no_lock:
    mem_free(u);
    return ERR_NOMEM;
}

void upkeep_destroy(struct upkeep *u)
{
    if (u == NULL)
        return;
    uv_mutex_lock(&u->lock);
    u->stop = true;
    uv_cond_signal(&u->wake);
    uv_mutex_unlock(&u->lock);
    (void)uv_thread_join(&u->thread);
    uv_cond_destroy(&u->wake);
    uv_mutex_destroy(&u->lock);
    mem_free(u);
}
