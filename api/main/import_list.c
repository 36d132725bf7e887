/* import_list.c - see import_list.h */
#include "api/main/import_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

struct name_list {
    struct import_list *owner;
    const char **names;
    size_t count;
    size_t capacity;
};

void import_list_init(struct import_list *list)
{
    *list = (struct import_list){0};
    arena_init(&list->arena, IMPORT_LIST_MAX, NULL);
}

void import_list_close(struct import_list *list)
{
    arena_close(&list->arena);
}

static bool has_suffix(const char *name, const char *suffix)
{
    return bytes_ends_with(bytes_of_text(name), bytes_of_text(suffix));
}

/* first + second + third, in the arena. */
static const char *join(struct import_list *list, struct bytes first, const char *second,
                        const char *third)
{
    size_t size = first.len + strlen(second) + strlen(third) + 1;
    char *text = arena_take(&list->arena, size, 1);
    if (text == NULL)
        return NULL;
    const char *start = first.len == 0 ? "" : (const char *)first.data;
    (void)snprintf(text, size, "%.*s%s%s", (int)first.len, start, second, third);
    return text;
}

static enum err add_source(struct import_list *list, enum import_kind kind, bool named,
                           const char *path)
{
    if (path == NULL)
        return list->arena.failed;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : list->capacity * 2;
        struct import_source *wider = ARENA_ARRAY(&list->arena, capacity, struct import_source);
        if (wider == NULL)
            return list->arena.failed;
        if (list->count > 0)
            memcpy(wider, list->sources, list->count * sizeof(*wider));
        list->sources = wider;
        list->capacity = capacity;
    }
    list->sources[list->count++] =
        (struct import_source){.kind = kind, .named = named, .path = path};
    return ERR_OK;
}

static bool file_exists(struct vfs *vfs, const char *path)
{
    struct vfs_file *file;
    if (vfs->open(vfs, path, VFS_READ, &file, NULL) != ERR_OK)
        return false;
    vfs->close(vfs, file);
    return true;
}

/* Path of the headers beside "NNN.body". */
static const char *headers_beside(struct import_list *list, const char *body_path)
{
    struct bytes stem = bytes_of_text(body_path);
    stem.len -= sizeof(".body") - 1;
    return join(list, stem, ".headers.json", "");
}

static enum err add_file(struct import_list *list, struct vfs *vfs, const char *path, bool named)
{
    if (has_suffix(path, ".headers.json"))
        return add_source(list, IMPORT_RECORDED, named, path);
    if (has_suffix(path, ".body")) {
        const char *headers = headers_beside(list, path);
        if (headers == NULL)
            return list->arena.failed;
        if (!file_exists(vfs, headers))
            return add_source(list, IMPORT_ENVELOPE, named, path);
        /* in a folder the headers stand for both */
        return named ? add_source(list, IMPORT_RECORDED, true, headers) : ERR_OK;
    }
    return add_source(list, has_suffix(path, ".json") ? IMPORT_DOCUMENT : IMPORT_ENVELOPE, named,
                      path);
}

static enum err on_name(void *self, const char *name)
{
    struct name_list *names = self;
    struct arena *arena = &names->owner->arena;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        const char **wider = ARENA_ARRAY(arena, capacity, const char *);
        if (wider == NULL)
            return arena->failed;
        for (size_t i = 0; i < names->count; i++)
            wider[i] = names->names[i];
        names->names = wider;
        names->capacity = capacity;
    }
    names->names[names->count] = join(names->owner, (struct bytes){0}, name, "");
    if (names->names[names->count] == NULL)
        return arena->failed;
    names->count++;
    return ERR_OK;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *first = a;
    const char *const *second = b;
    return strcmp(*first, *second);
}

static enum err add_folder(struct import_list *list, struct vfs *vfs, const char *path,
                           unsigned depth, struct errinfo *info);

/* A name in a folder: one of our files, a folder, or something else that is passed over. */
/* NOLINTNEXTLINE(misc-no-recursion): depth is capped */
static enum err add_found(struct import_list *list, struct vfs *vfs, const char *path,
                          unsigned depth, struct errinfo *info)
{
    static const char *const suffixes[] = {".json", ".body", ".envelope"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (has_suffix(path, suffixes[i]))
            return add_file(list, vfs, path, false);
    enum err rc = add_folder(list, vfs, path, depth + 1, info);
    if (rc == ERR_IO && file_exists(vfs, path))
        return ERR_OK; /* a file of another kind */
    return rc;
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is capped */
static enum err add_folder(struct import_list *list, struct vfs *vfs, const char *path,
                           unsigned depth, struct errinfo *info)
{
    struct name_list names = {.owner = list};
    TRY(vfs->list(vfs, path, &names, on_name, info));
    if (depth > IMPORT_DEPTH_MAX)
        return err_set(info, ERR_LIMIT, "%s: more than %d folders deep", path, IMPORT_DEPTH_MAX);
    if (names.count > 1)
        qsort(names.names, names.count, sizeof(names.names[0]), compare_names);
    for (size_t i = 0; i < names.count; i++) {
        const char *inner = join(list, bytes_of_text(path), "/", names.names[i]);
        if (inner == NULL)
            return list->arena.failed;
        TRY(add_found(list, vfs, inner, depth, info));
    }
    return ERR_OK;
}

/* A folder that lists is one; everything else is opened as a file later. */
static bool is_folder(struct vfs *vfs, const char *path)
{
    struct import_list nothing;
    import_list_init(&nothing);
    struct name_list names = {.owner = &nothing};
    enum err rc = vfs->list(vfs, path, &names, on_name, NULL);
    import_list_close(&nothing);
    return rc == ERR_OK;
}

enum err import_list_add(struct import_list *list, struct vfs *vfs, const char *path,
                         struct errinfo *info)
{
    struct bytes text = bytes_of_text(path);
    while (text.len > 1 && bytes_ends_with(text, BYTES("/")))
        text.len--;
    const char *kept = join(list, text, "", "");
    if (kept == NULL)
        return err_set(info, list->arena.failed, "%s: no memory for its name", path);
    enum err rc = is_folder(vfs, kept) ? add_folder(list, vfs, kept, 0, info)
                                       : add_file(list, vfs, kept, true);
    if (rc == ERR_LIMIT && list->arena.failed == ERR_LIMIT)
        return err_set(info, rc, "%s: too many files", path);
    return rc;
}
