#include "api/admission.h"

#include <assert.h>

#include <uv.h>

#include "base/size.h"

struct admission {
    const struct mem_budget *budget;
    uv_mutex_t lock;
    size_t taken_count;
    size_t owed;        /* what the taken seats may still take */
    struct seat *first; /* waiting, longest first */
    struct seat *last;
};

enum err admission_create(const struct mem_budget *budget, struct admission **ret)
{
    struct admission *a = mem_zalloc(sizeof(*a));
    if (a == NULL)
        return ERR_NOMEM;
    if (uv_mutex_init(&a->lock) != 0) {
        mem_free(a);
        return ERR_NOMEM;
    }
    a->budget = budget;
    *ret = a;
    return ERR_OK;
}

void admission_destroy(struct admission *a)
{
    if (a == NULL)
        return;
    assert(a->first == NULL); /* every upload has ended */
    uv_mutex_destroy(&a->lock);
    mem_free(a);
}

static void queue_append(struct admission *a, struct seat *seat)
{
    seat->state = SEAT_WAITING;
    seat->prev = a->last;
    seat->next = NULL;
    if (a->last != NULL)
        a->last->next = seat;
    else
        a->first = seat;
    a->last = seat;
}

static void queue_remove(struct admission *a, struct seat *seat)
{
    if (seat->prev != NULL)
        seat->prev->next = seat->next;
    else
        a->first = seat->next;
    if (seat->next != NULL)
        seat->next->prev = seat->prev;
    else
        a->last = seat->prev;
    seat->prev = NULL;
    seat->next = NULL;
    seat->state = SEAT_NONE;
}

static size_t rest_of(const struct seat *seat)
{
    return seat->need - size_min(seat->need, seat->held);
}

/* Is it the first, and is there room for it to finish? */
static bool has_turn(const struct admission *a, const struct seat *seat)
{
    if (a->first != seat)
        return false;
    size_t used = atomic_load_explicit(&a->budget->used, memory_order_relaxed);
    size_t room = a->budget->max - size_min(a->budget->max, used);
    return a->taken_count == 0 || (room >= a->owed && room - a->owed >= rest_of(seat));
}

bool admission_enter(struct admission *a, struct seat *seat, size_t held)
{
    uv_mutex_lock(&a->lock);
    if (seat->state == SEAT_NONE)
        queue_append(a, seat);
    if (seat->state == SEAT_TAKEN)
        a->owed -= rest_of(seat);
    seat->held = held;
    if (seat->state == SEAT_WAITING && has_turn(a, seat)) {
        queue_remove(a, seat);
        seat->state = SEAT_TAKEN;
        a->taken_count++;
    }
    bool taken = seat->state == SEAT_TAKEN;
    if (taken)
        a->owed += rest_of(seat);
    uv_mutex_unlock(&a->lock);
    return taken;
}

bool admission_may_enter(struct admission *a, const struct seat *seat)
{
    uv_mutex_lock(&a->lock);
    bool may = seat->state != SEAT_WAITING || has_turn(a, seat);
    uv_mutex_unlock(&a->lock);
    return may;
}

void admission_leave(struct admission *a, struct seat *seat)
{
    uv_mutex_lock(&a->lock);
    if (seat->state == SEAT_WAITING) {
        queue_remove(a, seat);
    } else if (seat->state == SEAT_TAKEN) {
        a->owed -= rest_of(seat);
        a->taken_count--;
    }
    seat->state = SEAT_NONE;
    uv_mutex_unlock(&a->lock);
}
