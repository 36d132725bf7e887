/* query_flags.c - see query_flags.h */
#include "api/main/query_flags.h"

static const char *const param_names[] = {
    "profiler_id", "profile_id", "start",    "end",         "thread",
    "environment", "release",    "platform", "transaction", "trace_id",
};
#define PARAM_NAME_COUNT ((int)(sizeof(param_names) / sizeof(param_names[0])))

const char *query_flags_clash(const struct query_flags *q)
{
    if (q->place.url != NULL && q->place.data != NULL)
        return "--url and --data exclude each other: a server, or a folder that none holds";
    return NULL;
}

bool query_flags_add(struct query_flags *q, const char *name, const char *value)
{
    if (q->param_count == QUERY_PARAMS_MAX)
        return false;
    q->params[q->param_count++] = (struct http_field){bytes_of_text(name), bytes_of_text(value)};
    return true;
}

bool query_flags_take(struct query_flags *q, int option, const char *value, const char **ret_why)
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
