/* hearth - profiles in, flame graphs out. One program; the first word says what
 * it does. */
#include <stdio.h>
#include <string.h>

#include "api/main/command.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", cmd_serve, "take profiles from SDKs, keep them, answer for them"},
    {"import", cmd_import, "send recorded envelopes and profile documents"},
    {"query", cmd_query, "SnQL, or the chunks of a range, as a table, JSON or CSV"},
    {"top", cmd_top, "the hottest functions of a range, as a table"},
    {"flamegraph", cmd_flamegraph, "a range's flame graph: folded, speedscope, pprof or JSON"},
    {"compact", cmd_compact, "seal and merge a folder that no server holds"},
    {"check", cmd_check, "verify a folder that no server holds, and say what is wrong"},
    {"backup", cmd_backup, "copy a folder, also while a server writes to it"},
    {"keys", cmd_keys, "add, list and revoke DSN keys"},
    {"version", cmd_version, "print the version"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
    (void)fputs("usage: hearth COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        (void)fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].help);
    (void)fputs("\nhearth COMMAND --help explains each. Options can also be given as environment "
                "variables,\n"
                "--memory-max as HEARTH_MEMORY_MAX and so on; HEARTH_DATA is for serve and keys "
                "only,\nand all that keys reads.\n",
                to);
}

int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)printf("hearth %s\n", HEARTH_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : 0;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "hearth: no command '%s'; hearth --help lists them\n", argv[1]);
    return EXIT_USAGE;
}
