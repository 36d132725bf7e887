/* tmpdir.h - a folder of its own for one test, gone with everything in it afterwards.
 *
 * Below TMPDIR, else /tmp. Ends the program when the folder cannot be made: no test can go on.
 */
#ifndef HEARTH_TESTS_SUPPORT_TMPDIR_H
#define HEARTH_TESTS_SUPPORT_TMPDIR_H

#include <stddef.h>

#define TMPDIR_PATH_SIZE 256

struct tmpdir {
    char path[TMPDIR_PATH_SIZE]; /* absolute, no trailing slash */
};

struct tmpdir tmpdir_make(void);
/* "<dir>/<name>"; `out` has room for `size` bytes, which must be enough. */
char *tmpdir_path(const struct tmpdir *d, const char *name, char *out, size_t size);
void tmpdir_remove(struct tmpdir *d); /* twice is fine */

#endif
