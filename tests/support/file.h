/* file.h - whole files for tests, and where the recordings beside the checkout are. */
#ifndef HEARTH_TESTS_SUPPORT_FILE_H
#define HEARTH_TESTS_SUPPORT_FILE_H

#include "base/bytes.h"

/* The bytes of a file, from mem_alloc: give them back with file_free. False (and *ret untouched)
 * when it cannot be read. */
bool file_read(const char *path, struct bytes *ret);
void file_free(struct bytes *b); /* a zeroed one is fine */
bool file_write(const char *path, struct bytes b);
bool file_exists(const char *path); /* file or folder */
/* Absolute path of `rel` in the folder of recordings and conformance cases: HEARTH_SHARED, else
 * `../shared` beside the checkout. False when it is not there: say so and skip. */
bool shared_path(char *out, size_t size, const char *rel);
/* Absolute path of `rel` in the checkout. */
bool source_path(char *out, size_t size, const char *rel);

#endif
