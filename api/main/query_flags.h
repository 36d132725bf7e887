/* query_flags.h - the flags that say what top and flamegraph look at: parameters of the own API.
 *
 * Values are handed over as they were typed; the API checks them and says what it expected.
 */
#ifndef HEARTH_API_MAIN_QUERY_FLAGS_H
#define HEARTH_API_MAIN_QUERY_FLAGS_H

#include "api/main/flags.h"
#include "api/main/place.h"
#include "base/limits.h"

struct query_flags {
    struct place_options place;
    uint64_t project_id; /* 0: not given, 1 is meant */
    struct http_field params[CLIENT_PARAM_COUNT_MAX];
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

struct query_command {
    const char *name;
    const char *usage;            /* ends with QUERY_USAGE */
    const struct option *options; /* its own and QUERY_OPTIONS */
    /* Take one of its own; false when it is none of them. */
    bool (*take)(void *self, int option, const char *value);
};

/* Read the command's flags, `self` being handed to its take. FLAGS_GO_ON, or the exit status: --help
 * was asked for, or something was wrong and has been said. */
int query_flags_read(struct query_flags *q, const struct query_command *command, void *self,
                     int argc, char **argv);
/* Add a parameter of the API; false when there are too many. */
bool query_flags_add(struct query_flags *q, const char *name, const char *value);
/* Say on standard error why the command ends; gives `status` back. */
int query_complain(const struct query_command *command, const char *why, int status);

#endif
