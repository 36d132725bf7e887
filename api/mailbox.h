/* mailbox.h - work that another thread hands back to a loop.
 *
 * Threads: mailbox_post from any thread; the rest on the loop. A piece of mail belongs to the box
 *          from post until its on_mail runs, on the loop.
 */
#ifndef HEARTH_API_MAILBOX_H
#define HEARTH_API_MAILBOX_H

#include <uv.h>

#include "base/err.h"

struct mail {
    struct mail *next;
    void (*on_mail)(struct mail *m);
};

struct mailbox {
    uv_async_t async;
    uv_mutex_t lock;
    struct mail *first;
    struct mail *last;
};

enum err mailbox_open(struct mailbox *b, uv_loop_t *loop) MUST_CHECK;
void mailbox_post(struct mailbox *b, struct mail *m);
/* Nothing may be posted any more. The loop must run once after this. */
void mailbox_close(struct mailbox *b);

#endif
