/* key_watch.h - the keys in force, read anew when their file changes.
 *
 * Threads: key_watch_poll by one thread that may block (never a loop that serves); acquire and
 *          release (api/app.h) by any.
 * Errors:  a file that cannot be read leaves the keys as they were, and is logged once a change.
 */
#ifndef HEARTH_API_KEY_WATCH_H
#define HEARTH_API_KEY_WATCH_H

#include "engine/keyring.h"

struct key_watch;
struct metrics;

enum err key_watch_create(struct vfs *vfs, const char *dir, struct metrics *metrics,
                          struct key_watch **ret, struct errinfo *info) MUST_CHECK;
void key_watch_poll(struct key_watch *w);
const struct keyring *key_watch_acquire(struct key_watch *w);
void key_watch_release(struct key_watch *w, const struct keyring *keys);
void key_watch_destroy(struct key_watch *w); /* everything released; NULL is fine */

#endif
