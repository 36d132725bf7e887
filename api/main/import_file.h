/* import_file.h - one file of profiling data as the request an SDK would have sent.
 *
 * Three kinds of file:
 *  - recorded: NNN.headers.json (request line, headers in order) beside NNN.body (body with its
 *    content coding left on);
 *  - an envelope alone: project and key from its own `dsn`, else those given;
 *  - one JSON document: a chunk (version "2") or a transaction profile (version "1"), as SDKs send
 *    it or as raw_chunks and raw_profiles answer; it is wrapped into an envelope, a transaction
 *    profile together with the transaction it names.
 *
 * Owns:   everything it points to, in an arena of its own, until import_file_close.
 * Errors: ERR_IO, ERR_NOTFOUND of files; ERR_MALFORMED with what was expected; ERR_LIMIT for files
 *         no server would take.
 * Cost:   O(bytes); one file is in memory at a time.
 */
#ifndef HEARTH_API_MAIN_IMPORT_FILE_H
#define HEARTH_API_MAIN_IMPORT_FILE_H

#include "api/http_client.h"
#include "base/arena.h"
#include "storage/vfs.h"

enum import_kind { IMPORT_RECORDED, IMPORT_ENVELOPE, IMPORT_DOCUMENT };

/* What to read; of a recorded pair the path is that of the headers. */
struct import_source {
    enum import_kind kind;
    bool named; /* given by the user, not found in a folder */
    const char *path;
};

struct import_options {
    struct vfs *vfs;
    uint64_t project_id; /* 0: not given */
    const char *key;     /* NULL: not given */
};

struct import_file {
    const char *method;
    struct bytes target; /* "/api/55/envelope/?..." */
    struct http_client_field *fields;
    size_t field_count;
    struct bytes body; /* its content coding is still on */
    bool is_envelope;  /* a POST to an envelope endpoint; others carry nothing to import */
    bool is_profile;   /* false: a JSON document that is no profile */
    uint64_t project_id;
    struct bytes query; /* raw, without '?' */
    struct arena arena;
};

enum err import_file_open(const struct import_source *source, const struct import_options *options,
                          struct import_file *ret, struct errinfo *info) MUST_CHECK;
void import_file_close(struct import_file *f); /* a zeroed file is fine */
/* A header's value by its name in any case, data NULL when absent. */
struct bytes import_file_field(const struct import_file *f, struct bytes name);

#endif
