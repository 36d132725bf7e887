/* flags.c - see flags.h */
#include "api/main/flags.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/main/command.h"

#define OPTIONS_MAX       64
#define VARIABLE_SIZE_MAX 64

static size_t option_index(const struct option *options, int value)
{
    size_t i = 0;
    while (options[i].name != NULL && options[i].val != value)
        i++;
    return i;
}

static bool has_variable(const char *flag)
{
    return strcmp(flag, "help") != 0 && strcmp(flag, "url") != 0 && strcmp(flag, "data") != 0;
}

/* "trace" -> "HEARTH_TRACE" */
static void variable_name(const char *flag, char name[VARIABLE_SIZE_MAX])
{
    int len = snprintf(name, VARIABLE_SIZE_MAX, "HEARTH_%s", flag);
    for (int i = 0; i < len && i < VARIABLE_SIZE_MAX - 1; i++) {
        if (name[i] >= 'a' && name[i] <= 'z')
            name[i] = (char)(name[i] - 'a' + 'A');
        else if (name[i] == '-')
            name[i] = '_';
    }
}

static int take_variable(const struct option *option, void *self,
                         int (*take)(void *self, int option, const char *value))
{
    char name[VARIABLE_SIZE_MAX];
    variable_name(option->name, name);
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (value == NULL)
        return FLAGS_GO_ON;
    if (option->has_arg == no_argument) {
        if (strcmp(value, "0") == 0)
            return FLAGS_GO_ON;
        if (strcmp(value, "1") != 0) {
            (void)fprintf(stderr, "hearth: %s: expected 1 or 0\n", name);
            return EXIT_USAGE;
        }
        value = NULL;
    }
    int status = take(self, option->val, value);
    if (status != FLAGS_GO_ON)
        (void)fprintf(stderr, "hearth: that value is from the environment variable %s\n", name);
    return status;
}

int flags_read(int argc, char **argv, const struct option *options, void *self,
               int (*take)(void *self, int option, const char *value))
{
    bool given[OPTIONS_MAX] = {false};
    int option;
    optind = 0; /* glibc: start over, wherever the dispatcher's own parsing ended */
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        size_t index = option_index(options, option);
        if (index < OPTIONS_MAX)
            given[index] = true;
        int status = take(self, option, optarg);
        if (status != FLAGS_GO_ON)
            return status;
    }
    for (size_t i = 0; i < OPTIONS_MAX && options[i].name != NULL; i++) {
        if (given[i] || !has_variable(options[i].name))
            continue;
        int status = take_variable(&options[i], self, take);
        if (status != FLAGS_GO_ON)
            return status;
    }
    return FLAGS_GO_ON;
}
