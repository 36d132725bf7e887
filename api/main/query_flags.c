/* query_flags.c - see query_flags.h */
#include "api/main/query_flags.h"

#include <stdio.h>

#include "api/main/command.h"

static const char *const param_names[] = {
    "profiler_id", "profile_id", "start",    "end",         "thread",
    "environment", "release",    "platform", "transaction", "trace_id",
};
#define PARAM_NAME_COUNT ((int)(sizeof(param_names) / sizeof(param_names[0])))

bool query_flags_add(struct query_flags *q, const char *name, const char *value)
{
    if (q->param_count == CLIENT_PARAM_COUNT_MAX)
        return false;
    q->params[q->param_count++] = (struct http_field){bytes_of_text(name), bytes_of_text(value)};
    return true;
}

int query_complain(const struct query_command *command, const char *why, int status)
{
    (void)fprintf(stderr, "hearth %s: %s\n", command->name, why);
    return status;
}

/* True when `option` was one of QUERY_OPTIONS and its value is fine; otherwise *ret_why says what
 * was wrong (NULL: not one of ours). */
static bool take_query(struct query_flags *q, int option, const char *value, const char **ret_why)
{
    *ret_why = NULL;
    switch (option) {
    case QUERY_URL: q->place.url = value; return true;
    case QUERY_DATA: q->place.data = value; return true;
    case QUERY_PROJECT:
        if (bytes_to_u64(bytes_of_text(value), &q->project_id) && q->project_id > 0)
            return true;
        *ret_why = "--project: expected a number above 0";
        return false;
    default:
        if (option < QUERY_PARAM || option >= QUERY_PARAM + PARAM_NAME_COUNT)
            return false;
        if (query_flags_add(q, param_names[option - QUERY_PARAM], value))
            return true;
        *ret_why = "too many flags";
        return false;
    }
}

struct reading {
    struct query_flags *q;
    const struct query_command *command;
    void *self;
};

/* One flag: FLAGS_GO_ON, or the exit status. */
static int take_option(void *self, int option, const char *value)
{
    struct reading *r = self;
    const char *why;
    if (option == QUERY_HELP) {
        (void)fputs(r->command->usage, stdout);
        return 0;
    }
    if (r->command->take(r->self, option, value) || take_query(r->q, option, value, &why))
        return FLAGS_GO_ON;
    if (why != NULL)
        return query_complain(r->command, why, EXIT_USAGE);
    (void)fputs(r->command->usage, stderr);
    return EXIT_USAGE;
}

int query_flags_read(struct query_flags *q, const struct query_command *command, void *self,
                     int argc, char **argv)
{
    struct reading r = {q, command, self};
    int status = flags_read(argc, argv, command->options, &r, take_option);
    if (status != FLAGS_GO_ON)
        return status;
    if (q->place.url != NULL && q->place.data != NULL)
        return query_complain(
            command, "--url and --data exclude each other: a server, or a folder that none holds",
            EXIT_USAGE);
    if (optind < argc)
        return query_complain(command, "expected flags only, see --help", EXIT_USAGE);
    return FLAGS_GO_ON;
}
