/* cmd_flamegraph.c - hearth flamegraph: a range as folded stacks, speedscope, pprof or JSON. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/main/command.h"
#include "api/main/output_file.h"
#include "api/main/query_flags.h"

static const char usage[] =
    "usage: hearth flamegraph [--format folded|speedscope|pprof|json] [--output FILE] [what]\n"
    "\n"
    "Writes the flame graph of a range of time for people and other tools.\n"
    "\n"
    "  --format FORMAT     folded (default): one line a stack, as flamegraph.pl reads it;\n"
    "                      speedscope: its JSON; pprof: gzipped protobuf; json: hearth's columns\n"
    "  --output FILE       default: standard output\n" QUERY_USAGE;

enum { OPTION_FORMAT = 1, OPTION_OUTPUT };

struct flamegraph_command {
    struct query_flags query;
    const char *format;
    const char *output;
};

static bool take_option(void *self, int option, const char *value)
{
    struct flamegraph_command *c = self;
    switch (option) {
    case OPTION_FORMAT: c->format = value; return true;
    case OPTION_OUTPUT: c->output = value; return true;
    default: return false;
    }
}

static const struct option options[] = {{"format", required_argument, NULL, OPTION_FORMAT},
                                        {"output", required_argument, NULL, OPTION_OUTPUT},
                                        QUERY_OPTIONS,
                                        {NULL, 0, NULL, 0}};

static const struct query_command command = {"flamegraph", usage, options, take_option};

static bool is_format(const char *text)
{
    static const char *const formats[] = {"folded", "speedscope", "pprof", "json"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(text, formats[i]) == 0)
            return true;
    return false;
}

static int flamegraph_run(struct flamegraph_command *c)
{
    struct errinfo info = {0};
    struct place place = {0};
    struct output_file output = {0};
    if (!query_flags_add(&c->query, "format", c->format))
        return query_complain(&command, "too many flags", EXIT_USAGE);
    if (place_open(&c->query.place, &place, &info) != ERR_OK)
        return query_complain(&command, info.text, 1);
    struct place_question question = {.route = "flamegraph",
                                      .project_id = c->query.project_id,
                                      .params = c->query.params,
                                      .param_count = c->query.param_count,
                                      .on_body = output_file_write,
                                      .self = &output};
    enum err rc = output_file_open(vfs_posix(), c->output, &output, &info);
    if (rc == ERR_OK)
        rc = place_ask(&place, &question, &info);
    if (rc == ERR_OK)
        rc = output_file_finish(&output, &info);
    if (rc == ERR_OK && output.written == 0) /* the other formats are never empty */
        (void)fprintf(stderr,
                      "hearth flamegraph: no stack of project %llu lies in this selection\n",
                      (unsigned long long)c->query.project_id);
    output_file_close(&output);
    place_close(&place);
    return rc == ERR_OK ? 0 : query_complain(&command, info.text, 1);
}

int cmd_flamegraph(int argc, char **argv)
{
    struct flamegraph_command c = {.query = {.project_id = 1}, .format = "folded"};
    int status = query_flags_read(&c.query, &command, &c, argc, argv);
    if (status != FLAGS_GO_ON)
        return status;
    if (!is_format(c.format))
        return query_complain(&command, "--format: expected folded, speedscope, pprof or json",
                              EXIT_USAGE);
    if (strcmp(c.format, "pprof") == 0 && c.output == NULL && isatty(STDOUT_FILENO) == 1)
        return query_complain(&command, "pprof is binary: give --output FILE, or redirect",
                              EXIT_USAGE);
    return flamegraph_run(&c);
}
