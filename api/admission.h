/* admission.h - who of the large uploads may grow: seats with room to finish, and a queue for them.
 *
 * A budget alone cannot tell a half-read upload that could finish from a newcomer: a hundred that
 * grow side by side fill it together, and none of them ends. So an upload that wants to hold more
 * than a little takes a seat first. A seat is given when the budget has room for all that it and
 * the seats before it may still take, or when nobody has one; and it goes to whoever has waited
 * longest, on whichever loop.
 *
 * Threads: any.
 * Owns:    nothing of the seats: each is its upload's, zeroed but for `need`, and left at its end.
 * Cost:    O(1) under one lock.
 */
#ifndef HEARTH_API_ADMISSION_H
#define HEARTH_API_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

enum seat_state { SEAT_NONE, SEAT_WAITING, SEAT_TAKEN };

struct seat {
    enum seat_state state;
    size_t need;       /* bytes the upload will hold at most, as far as one can tell */
    size_t held;       /* of them, at its last word */
    struct seat *prev; /* in the queue */
    struct seat *next;
};

struct admission;

/* `budget` is borrowed. */
enum err admission_create(const struct mem_budget *budget, struct admission **ret) MUST_CHECK;
void admission_destroy(struct admission *a); /* NULL is fine */
/* The upload holds `held` bytes and wants more. True: it has a seat. False: it waits its turn; ask
 * again. */
bool admission_enter(struct admission *a, struct seat *seat, size_t held);
/* Whether asking again may help. */
bool admission_may_enter(struct admission *a, const struct seat *seat);
/* Give the seat, or the place in the queue, back. */
void admission_leave(struct admission *a, struct seat *seat);

#endif
