/* output_file.h - where a command writes its result: standard output, or a file that appears whole.
 *
 * A file is written beside its name and renamed when complete, so that a failure leaves an older
 * one as it was.
 * Errors: ERR_IO, ERR_NOSPACE with the path; ERR_MALFORMED for a folder, before anything is made.
 */
#ifndef HEARTH_API_MAIN_OUTPUT_FILE_H
#define HEARTH_API_MAIN_OUTPUT_FILE_H

#include "storage/vfs.h"

struct output_file {
    struct vfs *vfs;
    const char *path; /* NULL: standard output */
    char part[4096];  /* the name while it grows */
    struct vfs_file *file;
    uint64_t written; /* bytes */
    bool part_exists; /* and is removed unless finish gives it its name */
};

/* path NULL or "-": standard output */
enum err output_file_open(struct vfs *vfs, const char *path, struct output_file *ret,
                          struct errinfo *info) MUST_CHECK;
/* `self` is the output_file: fits place_question.on_body. */
enum err output_file_write(void *self, struct bytes piece);
/* Only now does the file have its name. */
enum err output_file_finish(struct output_file *o, struct errinfo *info) MUST_CHECK;
/* Without finish before: nothing is left behind. */
void output_file_close(struct output_file *o);

#endif
