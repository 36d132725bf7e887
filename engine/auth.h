/* auth.h - which DSN key an upload names: in headers, in the query, or in a DSN.
 *
 * Says what was sent, not whether it is allowed: that is the keyring's.
 * Cost: O(bytes), no memory.
 */
#ifndef HEARTH_ENGINE_AUTH_H
#define HEARTH_ENGINE_AUTH_H

#include "base/uuid.h"

/* result, HTTP status, text for the answer */
#define AUTH_RESULTS(X)                                               \
    X(OK, 200, "")                                                    \
    X(ABSENT, 401, "missing authorization information")               \
    X(MULTIPLE, 401, "multiple authorization payloads detected")      \
    X(MALFORMED, 401, "malformed authorization: expected sentry_key") \
    X(BAD_KEY, 400, "bad sentry_key: expected 32 hexadecimal digits") \
    X(BAD_VERSION, 400, "unsupported sentry_version: expected 7 or lower")

enum auth_result {
#define AUTH_ENUM(code, status, text) AUTH_##code,
    AUTH_RESULTS(AUTH_ENUM)
#undef AUTH_ENUM
};

int auth_status(enum auth_result result);
const char *auth_text(enum auth_result result);

/* Values of X-Sentry-Auth and Authorization (data NULL: absent) and the raw query without '?'. */
enum auth_result auth_of_request(struct bytes x_sentry_auth, struct bytes authorization,
                                 struct bytes query, struct uuid *ret_key);

struct dsn {
    struct uuid key;
    uint64_t project_id;
};

/* SCHEME://KEY[:SECRET]@HOST[:PORT][/PATH]/PROJECT with scheme http or https. */
bool dsn_parse(struct bytes text, struct dsn *ret);
/* 32 hexadecimal digits; what follows a dot is flags and ignored. */
bool auth_parse_key(struct bytes text, struct uuid *ret);

#endif
