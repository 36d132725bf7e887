/* vroom_handler.c - the profile read API that Sentry's web backend speaks: stored documents.
 *
 * Errors are a status with an empty body, as vroom answers them. */

#include "api/app.h"
#include "api/handlers.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/document.h"

#define DOCUMENT_SLICE KIB(64) /* of JSON between two looks at the socket */

static void refuse(struct http_response *r, int status)
{
    r->status = status;
    r->content_type = NULL;
}

/* The log is the only place that says why: the answer has no body. */
static void refuse_failure(struct http_response *r, enum err rc, const struct errinfo *info)
{
    buffer_clear(&r->body);
    log_warn("vroom", "document_unreadable reason=\"%s\" detail=\"%s\"", err_text(rc), info->text);
    refuse(r, rc == ERR_BUSY || rc == ERR_NOMEM ? 503 : 500);
}

/* ---- answers ---- */

static enum err document_next(void *self, struct buffer *out, bool *ret_done)
{
    return document_writer_next(self, DOCUMENT_SLICE, out, ret_done);
}

static void document_stop(void *self)
{
    (void)self; /* everything is in the request's arena */
}

/* A document of one slice goes out whole, with its length; a longer one while the socket drains. */
static enum err write_document(struct handler_context *c, const struct profile *p,
                               struct http_response *r)
{
    struct document_writer *w = NULL;
    bool done = false;
    TRY(document_writer_create(p, c->arena, &w));
    TRY(document_writer_next(w, DOCUMENT_SLICE, &r->body, &done));
    if (done)
        return ERR_OK;
    buffer_clear(&r->body);
    TRY(document_writer_create(p, c->arena, &w));
    r->source = (struct body_source){w, document_next, document_stop};
    return ERR_OK;
}

static enum err answer_row(struct handler_context *c, const struct snapshot *snap, row_id row,
                           struct http_response *r, struct errinfo *info)
{
    struct profile *stored = ARENA_NEW(c->arena, struct profile);
    struct profile *normalized = ARENA_NEW(c->arena, struct profile);
    if (stored == NULL || normalized == NULL)
        return c->arena->failed;
    TRY(snapshot_read_profile(snap, row, c->arena, stored, info));
    TRY(normalize_profile(stored, c->arena, normalized, info));
    TRY(write_document(c, normalized, r));
    r->status = 200;
    r->content_type = "application/json";
    http_response_header(r, BYTES("Cache-Control"), BYTES("public, max-age=3600, immutable"));
    return ERR_OK;
}

/* ---- routes ---- */

struct wanted {
    uint64_t organization_id;
    uint64_t project_id;
    struct uuid profiler_id; /* chunks */
    struct uuid id;
};

static bool parse_owner(const struct http_request *q, struct wanted *ret)
{
    return bytes_to_u64(q->path_param[0], &ret->organization_id) &&
           bytes_to_u64(q->path_param[1], &ret->project_id);
}

/* Another organization's document is not there. */
static enum err find_row(const struct snapshot *snap, const struct wanted *wanted,
                         enum profile_kind kind, row_id *ret)
{
    struct row facts;
    row_id row;
    if (kind == PROFILE_CHUNK)
        TRY(snapshot_find_chunk(snap, wanted->project_id, wanted->profiler_id, wanted->id, &row));
    else
        TRY(snapshot_find_profile(snap, wanted->project_id, wanted->id, &row));
    TRY(snapshot_row(snap, row, &facts));
    if (facts.organization_id != wanted->organization_id)
        return ERR_NOTFOUND;
    *ret = row;
    return ERR_OK;
}

static void answer(struct handler_context *c, const struct wanted *wanted, enum profile_kind kind,
                   struct http_response *r)
{
    struct snapshot *snap = snapshot_acquire(c->app->store, c->account);
    struct errinfo info = {0};
    row_id row;
    if (snap == NULL) {
        refuse_failure(r, ERR_NOMEM, &info);
        return;
    }
    enum err rc = find_row(snap, wanted, kind, &row);
    bool found = rc != ERR_NOTFOUND;
    if (rc == ERR_OK)
        rc = answer_row(c, snap, row, r, &info);
    if (!found)
        refuse(r, 404);
    else if (rc != ERR_OK)
        refuse_failure(r, rc, &info);
    snapshot_release(snap); /* the document's columns are in the arena */
}

void handle_raw_chunk(struct handler_context *c, const struct http_request *q,
                      struct http_response *r)
{
    struct wanted wanted = {0};
    if (parse_owner(q, &wanted) && uuid_parse_lenient(q->path_param[2], &wanted.profiler_id) &&
        uuid_parse_lenient(q->path_param[3], &wanted.id))
        answer(c, &wanted, PROFILE_CHUNK, r);
    else
        refuse(r, 400);
}

void handle_raw_profile(struct handler_context *c, const struct http_request *q,
                        struct http_response *r)
{
    struct wanted wanted = {0};
    if (parse_owner(q, &wanted) && uuid_parse_lenient(q->path_param[2], &wanted.id))
        answer(c, &wanted, PROFILE_TRANSACTION, r);
    else
        refuse(r, 400);
}
