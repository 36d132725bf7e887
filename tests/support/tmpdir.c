#include "tests/support/tmpdir.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <ftw.h>

struct tmpdir tmpdir_make(void)
{
    struct tmpdir d;
    const char *below = getenv("TMPDIR");
    if (below == NULL || below[0] == '\0')
        below = "/tmp";
    int len = snprintf(d.path, sizeof(d.path), "%s/hearth-test-XXXXXX", below);
    if (len < 0 || (size_t)len >= sizeof(d.path) || mkdtemp(d.path) == NULL) {
        perror(d.path);
        exit(2);
    }
    return d;
}

char *tmpdir_path(const struct tmpdir *d, const char *name, char *out, size_t size)
{
    int len = snprintf(out, size, "%s/%s", d->path, name);
    if (len < 0 || (size_t)len >= size) {
        fprintf(stderr, "tmpdir: path too long: %s/%s\n", d->path, name);
        exit(2);
    }
    return out;
}

static int on_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

void tmpdir_remove(struct tmpdir *d)
{
    if (d->path[0] == '\0')
        return;
    if (nftw(d->path, on_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        perror(d->path);
    d->path[0] = '\0';
}
