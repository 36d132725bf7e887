/* backup.c - see backup.h for the steps, and why they are right. */
#include "storage/backup.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/sort.h"
#include "storage/format.h"
#include "storage/log_file.h"
#include "storage/manifest.h"

#define COPY_SIZE MIB(1)

/* A file of the copy. A segment is linked, or open until it is copied; a log is open. */
struct item {
    uint64_t number; /* of a segment, or sequence of a log */
    struct uuid id;  /* of a segment */
    struct vfs_file *source;
    uint64_t size;
    bool made; /* its name is in the copy */
    bool missing;
};

struct items {
    struct item *items;
    size_t count;
    size_t capacity;
};

struct backup {
    const struct backup_options *o;
    struct vfs *vfs;
    struct manifest manifest; /* of this try; zeroed when there is none */
    bool has_manifest;
    struct items segments;
    struct items logs;
    struct vfs_file *keys; /* NULL: none */
    uint64_t keys_size;
    bool keys_made;
    bool begun; /* the copy holds what keeps it from being opened */
    bool named; /* its manifest may be there */
    bool
        moving; /* something was not there that should be: the manifest has to be looked at again */
    uint8_t *piece;
    uint64_t done;
    uint64_t total;
    struct errinfo *info;
};

static enum err no_memory(struct backup *b)
{
    return err_set(b->info, ERR_NOMEM, "backup: out of memory");
}

static char *path_of(const char *dir, const char *name)
{
    size_t size = strlen(dir) + 1 + strlen(name) + 1;
    char *path = mem_alloc(size);
    if (path != NULL)
        (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

static enum err add_item(struct backup *b, struct items *list, struct item item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 64;
        struct item *items = mem_resize(list->items, capacity, sizeof *items);
        if (items == NULL)
            return no_memory(b);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return ERR_OK;
}

static void close_source(struct backup *b, struct item *item)
{
    if (item->source != NULL)
        b->vfs->close(b->vfs, item->source);
    item->source = NULL;
}

/* ERR_NOTFOUND is told by *ret being NULL. */
static enum err open_source(struct backup *b, const char *name, struct vfs_file **ret,
                            uint64_t *ret_size)
{
    struct errinfo reason = {{0}};
    char *path = path_of(b->o->from, name);
    if (path == NULL)
        return no_memory(b);
    *ret = NULL;
    enum err rc = b->vfs->open(b->vfs, path, VFS_READ, ret, &reason);
    mem_free(path);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    if (rc == ERR_OK)
        rc = b->vfs->size(b->vfs, *ret, ret_size, &reason);
    if (rc == ERR_OK)
        return ERR_OK;
    if (*ret != NULL)
        b->vfs->close(b->vfs, *ret);
    *ret = NULL;
    return err_set(b->info, rc, "%s", reason.text);
}

/* A name of the copy goes; whatever the device says to that. */
static void remove_made(struct backup *b, const char *name)
{
    struct errinfo reason = {{0}};
    char *path = path_of(b->o->to, name);
    if (path == NULL || b->vfs->remove(b->vfs, path, &reason) != ERR_OK)
        log_warn("backup", "left_behind %s %s", name, reason.text);
    mem_free(path);
}

/* ---- the two folders ---- */

static enum err note_ours(void *self, const char *name)
{
    bool *is_ours = self;
    uint64_t number;
    *is_ours |= strcmp(name, FORMAT_LOCK_NAME) == 0 || strcmp(name, FORMAT_MANIFEST_NAME) == 0 ||
                log_file_parse_name(bytes_of_text(name), &number);
    return ERR_OK;
}

/* A wrong path does not make an empty copy that seems to be one. */
static enum err check_source(struct backup *b)
{
    bool is_ours = false;
    TRY(b->vfs->list(b->vfs, b->o->from, &is_ours, note_ours, b->info));
    return is_ours ? ERR_OK
                   : err_set(b->info, ERR_NOTFOUND,
                             "%s is no data folder: there is no manifest, log or lock", b->o->from);
}

static enum err refuse_name(void *self, const char *name)
{
    const struct backup *b = self;
    return err_set(b->info, ERR_MALFORMED, "%s is not empty: there is %s", b->o->to, name);
}

static enum err write_file(struct backup *b, const char *name, struct bytes content)
{
    struct vfs_file *f = NULL;
    char *path = path_of(b->o->to, name);
    if (path == NULL)
        return no_memory(b);
    enum err rc = b->vfs->open(b->vfs, path, VFS_CREATE, &f, b->info);
    mem_free(path);
    if (rc != ERR_OK)
        return rc;
    b->begun = true;
    rc = b->vfs->append(b->vfs, f, content, b->info);
    if (rc == ERR_OK)
        rc = b->vfs->sync(b->vfs, f, b->info);
    b->vfs->close(b->vfs, f);
    return rc;
}

/* What keeps an unfinished copy from being opened is on the device before anything else. */
static enum err begin_copy(struct backup *b)
{
    struct errinfo reason = {{0}};
    enum err rc = b->vfs->list(b->vfs, b->o->to, b, refuse_name, &reason);
    if (rc == ERR_NOTFOUND)
        rc = b->vfs->make_dir(b->vfs, b->o->to, &reason);
    if (rc == ERR_MALFORMED)
        return rc;
    if (rc != ERR_OK)
        return err_set(b->info, rc, "%s", reason.text);
    TRY(write_file(b, FORMAT_MANIFEST_NAME, BYTES(FORMAT_MANIFEST_UNFINISHED "\n")));
    return b->vfs->sync_dir(b->vfs, b->o->to, b->info);
}

/* ---- one try: what the copy consists of ---- */

/* A second name, or an open file; the other one when links cannot be. */
static enum err link_segment(struct backup *b, const char *name, struct item *item)
{
    struct errinfo reason = {{0}};
    char *from = path_of(b->o->from, name);
    char *to = path_of(b->o->to, name);
    enum err rc = ERR_NOMEM;
    if (from != NULL && to != NULL)
        rc = b->o->copy ? ERR_UNSUPPORTED : b->vfs->link(b->vfs, from, to, &reason);
    mem_free(from);
    mem_free(to);
    item->made = rc == ERR_OK;
    item->missing = rc == ERR_NOTFOUND;
    if (rc == ERR_NOMEM)
        return no_memory(b);
    if (rc == ERR_OK || rc == ERR_NOTFOUND)
        return ERR_OK;
    if (rc != ERR_UNSUPPORTED)
        return err_set(b->info, rc, "%s", reason.text);
    TRY(open_source(b, name, &item->source, &item->size));
    item->missing = item->source == NULL;
    return ERR_OK;
}

static struct item *find_item(const struct items *list, const struct manifest_segment *named)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].number == named->number && uuid_equal(list->items[i].id, named->id))
            return &list->items[i];
    return NULL;
}

/* Segments of an earlier try that this manifest does not name. */
static void drop_unnamed(struct backup *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->segments.count; i++) {
        struct item *item = &b->segments.items[i];
        const struct manifest_segment *named = manifest_find(&b->manifest, item->number);
        if (named != NULL && uuid_equal(named->id, item->id) && !item->missing) {
            b->segments.items[kept++] = *item;
            continue;
        }
        char name[SEGMENT_NAME_SIZE + 1];
        segment_print_name(item->number, name);
        close_source(b, item);
        if (item->made)
            remove_made(b, name);
    }
    b->segments.count = kept;
}

static enum err take_segments(struct backup *b)
{
    drop_unnamed(b);
    for (size_t i = 0; i < b->manifest.count; i++) {
        const struct manifest_segment *named = &b->manifest.segments[i];
        char name[SEGMENT_NAME_SIZE + 1];
        struct item item = {.number = named->number, .id = named->id, .size = named->size};
        if (find_item(&b->segments, named) != NULL)
            continue;
        segment_print_name(named->number, name);
        TRY(link_segment(b, name, &item));
        enum err rc = add_item(b, &b->segments, item);
        if (rc != ERR_OK && item.made)
            remove_made(b, name);
        if (rc != ERR_OK)
            close_source(b, &item);
        TRY(rc);
    }
    return ERR_OK;
}

static enum err add_log(void *self, const char *name)
{
    struct backup *b = self;
    struct item item = {0};
    if (!log_file_parse_name(bytes_of_text(name), &item.number) ||
        item.number <= b->manifest.sealed_through)
        return ERR_OK;
    return add_item(b, &b->logs, item);
}

static int compare_items(const void *left, const void *right, void *context)
{
    const struct item *a = left;
    const struct item *b = right;
    (void)context;
    return (a->number > b->number) - (a->number < b->number);
}

static enum err on_batch(void *self, const struct log_batch *batch, struct errinfo *info)
{
    (void)self;
    (void)batch;
    (void)info;
    return ERR_OK;
}

/* Where the last whole batch of the last log ends; 0: its header is not there yet, and so is
 * nothing else. What is damaged is copied as it is. */
static enum err measure_last(struct backup *b, struct item *last)
{
    struct errinfo reason = {{0}};
    struct log_file *log = NULL;
    struct log_scan scan = {.on_batch = on_batch};
    struct log_damage damage = {0};
    enum err rc = log_file_open(b->vfs, b->o->from, last->number, VFS_READ, &log, &reason);
    if (rc == ERR_OK)
        rc = log_file_scan(log, &scan, &damage, &reason);
    if (rc == ERR_OK)
        last->size = log_file_facts(log).size;
    log_file_close(log);
    if (rc == ERR_CORRUPT && last->size <= FORMAT_LOG_HEADER_SIZE)
        last->size = 0;
    b->moving |= rc == ERR_NOTFOUND;
    return rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_NOTFOUND
               ? ERR_OK
               : err_set(b->info, rc, "%s", reason.text);
}

static void forget_logs(struct backup *b)
{
    for (size_t i = 0; i < b->logs.count; i++) {
        struct item *item = &b->logs.items[i];
        char name[FORMAT_LOG_NAME_SIZE + 1];
        log_file_print_name(item->number, name);
        close_source(b, item);
        if (item->made)
            remove_made(b, name);
    }
    b->logs.count = 0;
}

static enum err take_logs(struct backup *b)
{
    forget_logs(b);
    TRY(b->vfs->list(b->vfs, b->o->from, b, add_log, b->info));
    struct items *logs = &b->logs;
    if (logs->count > 1)
        TRY(sort_array(NULL, logs->items, logs->count, sizeof *logs->items, compare_items, NULL));
    for (size_t i = 0; i < logs->count; i++) {
        char name[FORMAT_LOG_NAME_SIZE + 1];
        log_file_print_name(logs->items[i].number, name);
        TRY(open_source(b, name, &logs->items[i].source, &logs->items[i].size));
        b->moving |= logs->items[i].source == NULL;
    }
    if (logs->count == 0 || b->moving)
        return ERR_OK;
    TRY(measure_last(b, &logs->items[logs->count - 1]));
    if (logs->items[logs->count - 1].size == 0)
        close_source(b, &logs->items[--logs->count]);
    return ERR_OK;
}

static enum err read_manifest(struct backup *b, struct manifest *ret, bool *ret_there)
{
    *ret = (struct manifest){0};
    enum err rc = manifest_read(b->vfs, b->o->from, ret, b->info);
    *ret_there = rc == ERR_OK;
    return rc == ERR_NOTFOUND ? ERR_OK : rc;
}

/* Whether the manifest is still the one that this try went by. */
static enum err is_unchanged(struct backup *b, bool *ret)
{
    struct manifest now;
    bool there;
    TRY(read_manifest(b, &now, &there));
    *ret = there == b->has_manifest && now.generation == b->manifest.generation;
    manifest_close(&now);
    return ERR_OK;
}

static enum err take_all(struct backup *b, bool *ret_still)
{
    b->moving = false;
    manifest_close(&b->manifest);
    TRY(read_manifest(b, &b->manifest, &b->has_manifest));
    TRY(take_segments(b));
    TRY(take_logs(b));
    TRY(is_unchanged(b, ret_still));
    *ret_still = *ret_still && !b->moving;
    return ERR_OK;
}

/* ---- copying ---- */

static enum err copy_bytes(struct backup *b, struct vfs_file *from, struct vfs_file *to,
                           uint64_t size)
{
    for (uint64_t at = 0; at < size;) {
        size_t step = size - at < COPY_SIZE ? (size_t)(size - at) : COPY_SIZE;
        TRY(b->vfs->read_at(b->vfs, from, at, b->piece, step, b->info));
        TRY(b->vfs->append(b->vfs, to, bytes_of(b->piece, step), b->info));
        at += step;
        b->done += step;
        if (b->o->on_progress != NULL && !b->o->on_progress(b->o->self, b->done, b->total))
            return err_set(b->info, ERR_CANCELED, "backup: canceled");
    }
    return b->vfs->sync(b->vfs, to, b->info);
}

static enum err copy_file(struct backup *b, const char *name, struct vfs_file *from, uint64_t size,
                          bool *ret_made)
{
    struct vfs_file *to = NULL;
    char *path = path_of(b->o->to, name);
    if (path == NULL)
        return no_memory(b);
    enum err rc = b->vfs->open(b->vfs, path, VFS_CREATE, &to, b->info);
    mem_free(path);
    if (rc != ERR_OK)
        return rc;
    *ret_made = true;
    rc = copy_bytes(b, from, to, size);
    b->vfs->close(b->vfs, to);
    return rc;
}

static enum err copy_logs(struct backup *b)
{
    for (size_t i = 0; i < b->logs.count; i++) {
        struct item *item = &b->logs.items[i];
        char name[FORMAT_LOG_NAME_SIZE + 1];
        log_file_print_name(item->number, name);
        TRY(copy_file(b, name, item->source, item->size, &item->made));
    }
    return ERR_OK;
}

static enum err copy_segments(struct backup *b)
{
    for (size_t i = 0; i < b->segments.count; i++) {
        struct item *item = &b->segments.items[i];
        char name[SEGMENT_NAME_SIZE + 1];
        if (item->source == NULL)
            continue;
        segment_print_name(item->number, name);
        TRY(copy_file(b, name, item->source, item->size, &item->made));
    }
    return ERR_OK;
}

static enum err copy_keys(struct backup *b)
{
    TRY(open_source(b, FORMAT_KEYS_NAME, &b->keys, &b->keys_size));
    if (b->keys == NULL)
        return ERR_OK;
    return copy_file(b, FORMAT_KEYS_NAME, b->keys, b->keys_size, &b->keys_made);
}

static void measure_copy(struct backup *b)
{
    b->done = b->total = 0;
    for (size_t i = 0; i < b->logs.count; i++)
        b->total += b->logs.items[i].size;
    for (size_t i = 0; i < b->segments.count; i++)
        b->total += b->segments.items[i].source != NULL ? b->segments.items[i].size : 0;
}

/* The logs first: theirs is the end that may be cut off meanwhile. */
static enum err take_and_copy_logs(struct backup *b)
{
    for (unsigned i = 0; i < BACKUP_TRIES_MAX; i++) {
        bool still = false;
        TRY(take_all(b, &still));
        if (!still)
            continue;
        measure_copy(b);
        enum err rc = copy_logs(b);
        if (rc != ERR_CORRUPT) /* it ended early */
            return rc;
    }
    return err_set(b->info, ERR_BUSY, "%s did not keep still for any of %d tries", b->o->from,
                   BACKUP_TRIES_MAX);
}

/* ---- the whole ---- */

/* Its name lasts too; often nobody may read the folder above, then it was not made a moment ago. */
static void sync_above(struct backup *b)
{
    const char *slash = strrchr(b->o->to, '/');
    struct errinfo reason = {{0}};
    size_t len = slash == NULL ? 0 : (size_t)(slash - b->o->to);
    char *above = mem_alloc(len + 2);
    if (above == NULL)
        return;
    (void)snprintf(above, len + 2, "%.*s", (int)len, b->o->to);
    if (len == 0)
        (void)snprintf(above, 2, "%s", slash == NULL ? "." : "/");
    if (b->vfs->sync_dir(b->vfs, above, &reason) != ERR_OK)
        log_warn("backup", "folder_above_not_synced %s", reason.text);
    mem_free(above);
}

/* A segment that is missing is named all the same: a store opened there says what it lacks. */
static enum err copy_all(struct backup *b)
{
    TRY(check_source(b));
    TRY(begin_copy(b));
    TRY(take_and_copy_logs(b));
    TRY(copy_segments(b));
    TRY(copy_keys(b));
    TRY(b->vfs->sync_dir(b->vfs, b->o->to, b->info));
    sync_above(b);
    b->named = true;
    return manifest_write(b->vfs, b->o->to, &b->manifest, b->info);
}

/* What keeps the copy from being opened goes last. */
static void take_back(struct backup *b)
{
    if (!b->begun || b->named)
        return;
    forget_logs(b);
    manifest_close(&b->manifest);
    drop_unnamed(b);
    if (b->keys_made)
        remove_made(b, FORMAT_KEYS_NAME);
    remove_made(b, FORMAT_MANIFEST_NAME);
}

static void sum_up(const struct backup *b, struct backup_result *ret)
{
    *ret = (struct backup_result){
        .generation = b->manifest.generation, .logs = b->logs.count, .bytes = b->keys_size};
    for (size_t i = 0; i < b->logs.count; i++)
        ret->bytes += b->logs.items[i].size;
    for (size_t i = 0; i < b->segments.count; i++) {
        const struct item *item = &b->segments.items[i];
        ret->missing += item->missing;
        ret->linked += !item->missing && item->source == NULL;
        ret->copied += item->source != NULL;
        ret->bytes += item->missing ? 0 : item->size;
    }
}

static void close_all(struct backup *b)
{
    for (size_t i = 0; i < b->logs.count; i++)
        close_source(b, &b->logs.items[i]);
    for (size_t i = 0; i < b->segments.count; i++)
        close_source(b, &b->segments.items[i]);
    if (b->keys != NULL)
        b->vfs->close(b->vfs, b->keys);
    mem_free(b->logs.items);
    mem_free(b->segments.items);
    manifest_close(&b->manifest);
    mem_free(b->piece);
}

enum err backup_run(const struct backup_options *options, struct backup_result *ret,
                    struct errinfo *info)
{
    struct backup b = {.o = options, .vfs = options->vfs, .info = info};
    b.piece = mem_alloc(COPY_SIZE);
    enum err rc = b.piece == NULL ? no_memory(&b) : copy_all(&b);
    if (rc == ERR_OK)
        sum_up(&b, ret);
    else
        take_back(&b);
    close_all(&b);
    return rc;
}
