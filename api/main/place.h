/* place.h - where a command finds the data: a running server, or a folder that no server holds.
 *
 * Both answer the same questions with the same code: over HTTP the server's handlers run, on a
 * folder the command calls them itself.
 *
 * Owns:    a connection or an open store. Threads: one at a time.
 * Errors:  as http_client and store_open; ERR_BUSY says that a server holds the folder.
 */
#ifndef HEARTH_API_MAIN_PLACE_H
#define HEARTH_API_MAIN_PLACE_H

#include "api/handler.h"
#include "api/http_client.h"
#include "storage/store.h"

struct place_options {
    const char *url;  /* NULL: HEARTH_URL, else the default */
    const char *data; /* folder; then the url does not matter */
    bool may_create;  /* make the folder when it is missing */
};

struct place {
    struct http_client *client; /* NULL: a folder */
    struct store *store;        /* NULL: a server */
    bool is_default;            /* the server was not named */
    struct vfs *vfs;
    const char *dir;
};

enum err place_open(const struct place_options *options, struct place *ret,
                    struct errinfo *info) MUST_CHECK;
void place_close(struct place *p); /* a zeroed place is fine */

/* A question of the own API: "flamegraph" or "functions" of a project, or "projects"; or one that has
 * a body: "query", SnQL as the query API takes it. */
struct place_question {
    const char *route;
    struct bytes body; /* of "query": its JSON */
    uint64_t project_id; /* 0: the question is about all of them */
    const struct http_field *params;
    size_t param_count;
    /* The body of a good answer, piece by piece. */
    enum err (*on_body)(void *self, struct bytes piece);
    void *self;
};

/* A refusal becomes ERR_MALFORMED with its words. */
enum err place_ask(struct place *p, const struct place_question *q,
                   struct errinfo *info) MUST_CHECK;

#endif
