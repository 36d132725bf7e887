/* flags.h - the options of a client command: its arguments over HEARTH_* variables.
 *
 * A flag that is not given is taken from its variable: --limit from HEARTH_LIMIT, --json from
 * HEARTH_JSON=1. Three are not: --help; --url, since place.h reads HEARTH_URL; and --data, since
 * HEARTH_DATA names a server's folder, which a client must not open beside it.
 */
#ifndef HEARTH_API_MAIN_FLAGS_H
#define HEARTH_API_MAIN_FLAGS_H

#include <getopt.h>

#define FLAGS_GO_ON (-1)

/* Calls `take` for each option with its value (NULL: it has none); '?' is one that getopt does not
 * know, and has complained about. FLAGS_GO_ON, or the exit status that `take` gave instead of it.
 * Afterwards argv[optind] is the first argument that is no flag. */
int flags_read(int argc, char **argv, const struct option *options, void *self,
               int (*take)(void *self, int option, const char *value));

#endif
