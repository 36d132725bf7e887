/* import_list.h - the files that paths on a command line stand for.
 *
 * A file is taken as what its name says: *.headers.json and *.body are a recorded request, *.json
 * is a document, anything else an envelope. A folder stands for the files in it and in folders
 * below, in the order of their names; there only *.headers.json, *.body, *.envelope and *.json
 * count, and a JSON document that is no profile is passed over.
 *
 * Owns:   the paths, in an arena of its own.
 * Errors: ERR_NOTFOUND, ERR_IO with the path; ERR_LIMIT: folders nested too deep, or too many files.
 */
#ifndef HEARTH_API_MAIN_IMPORT_LIST_H
#define HEARTH_API_MAIN_IMPORT_LIST_H

#include "api/main/import_file.h"

struct import_list {
    struct arena arena;
    struct import_source *sources;
    size_t count;
    size_t capacity;
};

void import_list_init(struct import_list *list);
enum err import_list_add(struct import_list *list, struct vfs *vfs, const char *path,
                         struct errinfo *info) MUST_CHECK;
void import_list_close(struct import_list *list);

#endif
