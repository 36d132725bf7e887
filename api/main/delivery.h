/* delivery.h - hand imported files to a place, and learn what became of each item.
 *
 * The upload is read here as a server would read it, so that every refused item has its reason.
 * To a server the file then goes as it was recorded, and the server's answer counts; into a folder
 * go the records themselves, several uploads a batch and one sync a batch.
 *
 * Owns:   uploads that wait for their batch.
 * Errors: a refusal is a result, not an error; errors are a broken place (connection, disk), after
 *         which nothing more can be delivered.
 */
#ifndef HEARTH_API_MAIN_DELIVERY_H
#define HEARTH_API_MAIN_DELIVERY_H

#include "api/main/import_file.h"
#include "api/main/place.h"
#include "engine/ingest.h"

struct delivery;

struct delivery_result {
    const char *path;
    int status;                      /* of HTTP, also for a folder */
    const char *answer;              /* body of the answer, or what failed */
    const struct ingest_item *items; /* none when the envelope could not be read */
    size_t item_count;
};

/* `on_result` is called once for every file given, in order, before delivery_flush returns. */
enum err delivery_create(struct place *place, void *self,
                         void (*on_result)(void *self, const struct delivery_result *result),
                         struct delivery **ret, struct errinfo *info) MUST_CHECK;
/* Takes the file over: it is closed here. */
enum err delivery_give(struct delivery *d, const char *path, struct import_file *file,
                       struct errinfo *info) MUST_CHECK;
enum err delivery_flush(struct delivery *d, struct errinfo *info) MUST_CHECK;
void delivery_destroy(struct delivery *d); /* NULL is fine */

#endif
