/* upload.h - a route that takes its body as it comes, without ever holding all of it.
 *
 *   begin -> take* (last) -> records -> store -> answer -> end
 *
 * begin and give_up run on the loop and are quick; take runs in pool threads, one at a time;
 * answer and end run on either.
 */
#ifndef HEARTH_API_UPLOAD_H
#define HEARTH_API_UPLOAD_H

#include "api/append_strand.h"
#include "api/handler.h"

struct upload_ops {
    /* The head is known. A failure is a refusal, and the response says it. */
    enum err (*begin)(struct handler_context *c, const struct http_request *q,
                      struct http_response *r, void **ret_self);
    /* Bytes of the body, content coding still on; `last` with its end. ERR_BUSY: no room now, the
     * first *ret_used bytes are taken, call again with the rest. Another failure ends the upload,
     * and the response says how. */
    enum err (*take)(void *self, struct bytes piece, bool last, size_t *ret_used,
                     struct http_response *r);
    /* After take(last): what has to be stored before the answer. */
    const struct bytes *(*records)(void *self, size_t *ret_count);
    /* Loop thread: hand the filled-in job to who stores; its mail comes back. */
    void (*store)(void *self, struct append_job *job);
    void (*answer)(void *self, enum err stored, const struct errinfo *info,
                   struct http_response *r);
    /* Loop thread, after ERR_BUSY: false while it is certain that taking on would only be busy. */
    bool (*may_go_on)(void *self);
    /* Room did not come in time. */
    void (*give_up)(void *self, struct http_response *r);
    void (*end)(void *self);
};

#endif
