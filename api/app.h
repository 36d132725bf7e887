/* app.h - what the whole process shares, made in main and handed to every handler.
 *
 * Threads: the pointers do not change after start, but the keyring is swapped by the key watcher:
 * take it with app_keyring_acquire and give it back.
 */
#ifndef HEARTH_API_APP_H
#define HEARTH_API_APP_H

#include "base/mem.h"
#include "engine/keyring.h"
#include "storage/store.h"

struct metrics;       /* api/metrics.h */
struct append_strand; /* api/append_strand.h */
struct config;        /* api/config.h */
struct admission;     /* api/admission.h */

struct app {
    const struct config *config;
    struct vfs *vfs;
    struct store *store;
    struct mem_budget *budget;
    struct metrics *metrics;
    struct append_strand *strand;
    struct admission *admission;
    void *keys; /* api/key_watch.c */
};

const struct keyring *app_keyring_acquire(struct app *app);
void app_keyring_release(struct app *app, const struct keyring *keys);

#endif
