/* command.h - the commands of the one binary.
 *
 * Each gets the arguments from its own name on (argv[0] is "import", "serve", ...), prints to
 * standard output, complains on standard error, and returns the exit status: 0 done, 1 something
 * failed, 2 called wrongly.
 */
#ifndef HEARTH_API_MAIN_COMMAND_H
#define HEARTH_API_MAIN_COMMAND_H

#define EXIT_USAGE         2

#define HEARTH_URL_DEFAULT "http://127.0.0.1:1218"

int cmd_serve(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_query(int argc, char **argv);
int cmd_flamegraph(int argc, char **argv);
int cmd_compact(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_backup(int argc, char **argv);
int cmd_keys(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
