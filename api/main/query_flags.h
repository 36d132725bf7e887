/* query_flags.h - the flags that say what top and flamegraph look at: parameters of the own API.
 *
 * Values are handed over as they were typed; the API checks them and says what it expected.
 */
#ifndef HEARTH_API_MAIN_QUERY_FLAGS_H
#define HEARTH_API_MAIN_QUERY_FLAGS_H

#include "api/main/flags.h"
#include "api/main/place.h"

#define QUERY_PARAMS_MAX 256

struct query_flags {
    struct place_options place;
    uint64_t project_id; /* 0: not given, 1 is meant */
    struct http_field params[QUERY_PARAMS_MAX];
    size_t param_count;
};

/* Rows for getopt_long's table; their values are above those of a command's own flags. */
enum {
    QUERY_URL = 1000,
    QUERY_DATA,
    QUERY_PROJECT,
    QUERY_HELP,
    QUERY_PARAM /* + index in the list of parameters */
};
#define QUERY_OPTIONS                                                                           \
    {"url", required_argument, NULL, QUERY_URL}, {"data", required_argument, NULL, QUERY_DATA}, \
        {"project", required_argument, NULL, QUERY_PROJECT},                                    \
        {"help", no_argument, NULL, QUERY_HELP},                                                \
        {"profiler", required_argument, NULL, QUERY_PARAM + 0},                                 \
        {"profile", required_argument, NULL, QUERY_PARAM + 1},                                  \
        {"start", required_argument, NULL, QUERY_PARAM + 2},                                    \
        {"end", required_argument, NULL, QUERY_PARAM + 3},                                      \
        {"thread", required_argument, NULL, QUERY_PARAM + 4},                                   \
        {"environment", required_argument, NULL, QUERY_PARAM + 5},                              \
        {"release", required_argument, NULL, QUERY_PARAM + 6},                                  \
        {"platform", required_argument, NULL, QUERY_PARAM + 7},                                 \
        {"transaction", required_argument, NULL, QUERY_PARAM + 8},                              \
    {                                                                                           \
        "trace", required_argument, NULL, QUERY_PARAM + 9                                       \
    }

#define QUERY_USAGE                                                                          \
    "  --url URL           server, default $HEARTH_URL or " HEARTH_URL_DEFAULT "\n"          \
    "  --data DIR          data folder that no server holds\n"                               \
    "  --project N         default 1\n"                                                      \
    "  --profiler ID       one profiler's chunks (repeatable)\n"                             \
    "  --profile ID        one transaction profile (repeatable)\n"                           \
    "  --start T, --end T  window [start, end): RFC 3339 or unix seconds with fraction\n"    \
    "  --thread ID         one thread (repeatable)\n"                                        \
    "  --environment, --release, --platform TEXT  only these (repeatable)\n"                 \
    "  --transaction NAME  what ran in transactions of that name\n"                          \
    "  --trace ID          what ran in that trace\n"                                         \
    "\n"                                                                                     \
    "Each can be given as an environment variable, --project as HEARTH_PROJECT and so on.\n" \
    "HEARTH_DATA is a server's and not read here: --data has to be written out.\n"

/* NULL, or why these flags do not go together. */
const char *query_flags_clash(const struct query_flags *q);
/* Add a parameter of the API; false when there are too many. */
bool query_flags_add(struct query_flags *q, const char *name, const char *value);
/* True when `option` was one of QUERY_OPTIONS and its value is fine; otherwise *ret_why says what
 * was wrong (NULL: not one of ours). QUERY_HELP is the caller's. */
bool query_flags_take(struct query_flags *q, int option, const char *value, const char **ret_why);

#endif
