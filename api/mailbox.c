#include "api/mailbox.h"

static void on_async(uv_async_t *async)
{
    struct mailbox *b = async->data;
    uv_mutex_lock(&b->lock);
    struct mail *m = b->first;
    b->first = NULL;
    b->last = NULL;
    uv_mutex_unlock(&b->lock);
    while (m != NULL) {
        struct mail *next = m->next; /* on_mail may free it */
        m->on_mail(m);
        m = next;
    }
}

enum err mailbox_open(struct mailbox *b, uv_loop_t *loop)
{
    *b = (struct mailbox){0};
    if (uv_mutex_init(&b->lock) != 0)
        return ERR_NOMEM;
    if (uv_async_init(loop, &b->async, on_async) != 0) {
        uv_mutex_destroy(&b->lock);
        return ERR_IO;
    }
    b->async.data = b;
    return ERR_OK;
}

void mailbox_post(struct mailbox *b, struct mail *m)
{
    m->next = NULL;
    uv_mutex_lock(&b->lock);
    if (b->last == NULL)
        b->first = m;
    else
        b->last->next = m;
    b->last = m;
    /* inside the lock: the box may be gone as soon as its loop has seen the mail */
    (void)uv_async_send(&b->async);
    uv_mutex_unlock(&b->lock);
}

static void on_closed(uv_handle_t *handle)
{
    struct mailbox *b = handle->data;
    uv_mutex_destroy(&b->lock);
}

void mailbox_close(struct mailbox *b)
{
    uv_close((uv_handle_t *)&b->async, on_closed);
}
