/* keyring.h - DSN keys: which public key may write to which project.
 *
 * The file `keys` of the data folder is text, one key a line, replaced atomically:
 *   <32 hex digits> project=<n> organization=<n> created=<RFC 3339> [revoked=<RFC 3339>] [initial]
 * A keyring is immutable once loaded; a server that sees the file change loads a new one.
 * Threads: any reader. Errors: a line that cannot be read is ERR_CORRUPT with its number.
 */
#ifndef HEARTH_ENGINE_KEYRING_H
#define HEARTH_ENGINE_KEYRING_H

#include "base/err.h"
#include "base/uuid.h"
#include "storage/vfs.h"

struct keyring_entry {
    struct uuid key;
    uint64_t project_id;
    uint64_t organization_id;
    int64_t created_ns;
    int64_t revoked_ns; /* 0: in force */
    bool initial;       /* made by the first start, not by an operator */
};

struct keyring;

/* No file: an empty keyring. */
enum err keyring_load(struct vfs *vfs, const char *dir, struct keyring **ret,
                      struct errinfo *info) MUST_CHECK;
void keyring_destroy(struct keyring *k);
size_t keyring_count(const struct keyring *k);
const struct keyring_entry *keyring_entry(const struct keyring *k, size_t i);
/* In force for that key, NULL otherwise. */
const struct keyring_entry *keyring_find(const struct keyring *k, struct uuid key);
/* Organization of a project: that of its first key in force, else 1. */
uint64_t keyring_organization(const struct keyring *k, uint64_t project_id);
/* True while no key but the initial one was ever added, and that one is in force: to revoke it is
 * to trust no longer whoever comes along. */
bool keyring_is_initial(const struct keyring *k);
/* Read, change, write atomically (temporary file, sync, rename, sync of the folder), one command at
 * a time: ERR_BUSY when another one is at it (its lock is the file `keys.lock`). */
enum err keyring_add(struct vfs *vfs, const char *dir, const struct keyring_entry *entry,
                     struct errinfo *info) MUST_CHECK;
enum err keyring_revoke(struct vfs *vfs, const char *dir, struct uuid key, int64_t now_ns,
                        struct errinfo *info) MUST_CHECK;

#endif
