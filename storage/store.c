/* store.c - see storage/store.h for the invariants.
 *
 *   append:  check -> drop what is there already -> a log that takes it -> reserve in the index ->
 *            write and sync one batch -> add to the index, which cannot fail -> publish
 *
 *   the open log:  none --create--> open --full: sync, create--> open
 *                                     +----failed: create------> open
 *
 * With a new log begins a new set; the one before is closed, and upkeep makes segments of it.
 */
#include "storage/store.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "storage/data_folder.h"
#include "storage/page.h"
#include "storage/recovery.h"
#include "storage/store_parts.h"

/* ---- open ---- */
static enum err lock_folder(struct store *s, struct errinfo *info)
{
    size_t size = strlen(s->dir) + sizeof "/" FORMAT_LOCK_NAME;
    char *path = mem_alloc(size);
    if (path == NULL)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    (void)snprintf(path, size, "%s/" FORMAT_LOCK_NAME, s->dir);
    struct errinfo reason = {0};
    enum err rc = s->options.read_only ? s->vfs->lock_shared(s->vfs, path, &s->lock_file, &reason)
                                       : s->vfs->lock(s->vfs, path, &s->lock_file, &reason);
    mem_free(path);
    if (s->options.read_only && rc == ERR_NOTFOUND)
        return ERR_OK; /* no server was ever here: a copy */
    if (rc == ERR_BUSY)
        return err_set(info, rc, "data folder %s is in use by another hearth (%s)", s->dir,
                       reason.text);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "%s", reason.text);
}

static enum err find_folder(struct store *s, bool must_exist, struct errinfo *info)
{
    if (!must_exist && !s->options.read_only)
        return s->vfs->make_dir(s->vfs, s->dir, info);
    return data_folder_check(s->vfs, s->dir, info);
}

/* A sealed file of the manifest: a part, or set aside. */
static enum err open_segment(struct store *s, const struct manifest_segment *named,
                             struct version *v, struct errinfo *info)
{
    struct errinfo reason = {0};
    struct segment *segment = NULL;
    enum err rc = segment_open(s->vfs, s->dir, named, &segment, &reason);
    if (rc == ERR_OK) {
        struct part part = {
            .uid = s->next_uid++, .segment = segment, .rows = named->rows, .links = named->links};
        rc = version_put_part(v, v->count++, &part);
        segment_release(segment);
        return rc == ERR_OK ? ERR_OK : err_set(info, rc, "store: out of memory");
    }
    if (rc != ERR_CORRUPT && rc != ERR_NOTFOUND) /* not ERR_IO: what passes must not hide rows */
        return err_set(info, rc, "%s", reason.text);
    log_error("store", "segment_set_aside bytes_not_served=%" PRIu64 " %s", named->size,
              reason.text);
    v->aside[v->aside_count++] = (struct part_aside){.number = named->number,
                                                     .size = named->size,
                                                     .start_ns = named->start_ns,
                                                     .end_ns = named->end_ns,
                                                     .expires_ns = named->expires_ns};
    s->stats.damaged_bytes += named->size;
    return ERR_OK;
}

static enum err open_segments(struct store *s, struct errinfo *info)
{
    struct version *v = NULL;
    enum err rc = manifest_read(s->vfs, s->dir, &s->manifest, info);
    if (rc != ERR_OK && rc != ERR_NOTFOUND)
        return rc;
    if (version_create(s->manifest.count, s->manifest.count, &v) != ERR_OK)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    s->version = v;
    v->count = v->aside_count = 0;
    for (size_t i = 0; i < s->manifest.count; i++) {
        TRY(open_segment(s, &s->manifest.segments[i], v, info));
        s->stats.segment_bytes += s->manifest.segments[i].size;
    }
    s->next_number = s->manifest.next_number;
    return ERR_OK;
}

/* A log whose records are in segments: one whose header is damaged is kept to be looked at. */
static enum err remove_sealed_log(struct store *s, uint64_t sequence, struct errinfo *info)
{
    struct log_file *log = NULL;
    enum err rc = log_file_open(s->vfs, s->dir, sequence, VFS_READ, &log, info);
    log_file_close(log);
    if (rc != ERR_OK && rc != ERR_CORRUPT)
        return rc;
    return log_file_dispose(s->vfs, s->dir, sequence, rc == ERR_CORRUPT, info);
}

/* Files of work that did not finish, and of parts that are in others now. */
static enum err remove_left_over(void *self, const char *name)
{
    struct store *s = self;
    struct bytes text = bytes_of_text(name);
    struct errinfo reason = {0};
    enum err rc = ERR_OK;
    uint64_t number;
    if (segment_parse_name(text, &number)) {
        if (number >= s->next_number)
            s->next_number = number + 1;
        if (manifest_find(&s->manifest, number) == NULL)
            rc = segment_remove_file(s->vfs, s->dir, number, &reason);
    } else if (log_file_parse_name(text, &number) && number <= s->manifest.sealed_through) {
        rc = remove_sealed_log(s, number, &reason);
    }
    if (rc != ERR_OK)
        log_warn("store", "left_over_not_removed %s", reason.text);
    return ERR_OK;
}

enum err store_remove_left_overs(struct store *s, struct errinfo *info)
{
    return s->vfs->list(s->vfs, s->dir, s, remove_left_over, info);
}

/* Without a manifest, logs must begin with the first: else segments hold what was before. */
struct folder_facts {
    bool has_segment;
    bool has_first_log;
};

static enum err look_at_name(void *self, const char *name)
{
    struct folder_facts *f = self;
    uint64_t number;
    if (segment_parse_name(bytes_of_text(name), &number))
        f->has_segment = true;
    else if (log_file_parse_name(bytes_of_text(name), &number))
        f->has_first_log |= number == 1;
    return ERR_OK;
}

static enum err check_manifest(struct store *s, struct errinfo *info)
{
    struct folder_facts facts = {0};
    if (s->manifest.generation > 0)
        return ERR_OK;
    TRY(s->vfs->list(s->vfs, s->dir, &facts, look_at_name, info));
    if (facts.has_segment && !facts.has_first_log)
        return err_set(info, ERR_CORRUPT,
                       "%s: the manifest is missing: nobody knows which of the "
                       "segments count",
                       s->dir);
    return ERR_OK;
}

static enum err find_outside(void *self, const struct record *record, struct key_place *ret)
{
    return store_find_key(self, record, ret);
}

/* Take over what recovery found. */
static void adopt_logs(struct store *s, const struct recovered *found)
{
    s->stats.damaged_bytes += found->damaged_bytes;
    s->stats.damaged_batches += found->damaged_batches;
    s->stats.log_bytes = found->disk_bytes;
    s->last_sequence = found->last_sequence;
    s->last_size = found->last_size;
    if (found->last_is_open)
        s->open_log = log_set_log(s->open, s->open->log_count - 1);
}

static enum err open_logs(struct store *s, struct errinfo *info)
{
    struct recovery_options options = {.vfs = s->vfs,
                                       .dir = s->dir,
                                       .read_only = s->options.read_only,
                                       .after = s->manifest.sealed_through,
                                       .after_size = s->manifest.sealed_size,
                                       .set = s->open,
                                       .self = s,
                                       .find_outside = find_outside};
    struct recovered found = {0};
    TRY(recovery_run(&options, &found, info));
    adopt_logs(s, &found);
    if (s->options.mem_budget != NULL)
        log_index_set_limit(s->open->index,
                            s->options.mem_budget->max / INDEX_SHARE / (CLOSED_SETS_MAX + 1));
    return ERR_OK;
}

static enum err open_parts(struct store *s, struct errinfo *info)
{
    TRY(find_folder(s, s->options.must_exist, info));
    TRY(lock_folder(s, info));
    TRY(open_segments(s, info));
    TRY(check_manifest(s, info));
    if (!s->options.read_only)
        TRY(store_remove_left_overs(s, info));
    s->open_uid = s->next_uid++;
    if (log_set_create(s->vfs, s->dir, s->options.mem_budget, s->manifest.next_arrival, &s->open) !=
        ERR_OK)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    return open_logs(s, info);
}

static void store_free(struct store *s)
{
    version_release(s->version);
    log_set_release(s->open);
    manifest_close(&s->manifest);
    if (s->lock_file != NULL)
        s->vfs->unlock(s->vfs, s->lock_file);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->writing);
    mem_free(s->dir);
    mem_free(s);
}

static struct store *store_new(const struct store_options *options)
{
    struct store *s = mem_zalloc(sizeof *s);
    size_t dir_size = strlen(options->dir) + 1;
    char *dir = mem_alloc(dir_size);
    bool locks = s != NULL && dir != NULL && pthread_mutex_init(&s->lock, NULL) == 0;
    if (locks && pthread_mutex_init(&s->writing, NULL) != 0) {
        (void)pthread_mutex_destroy(&s->lock);
        locks = false;
    }
    if (!locks) {
        mem_free(dir);
        mem_free(s);
        return NULL;
    }
    memcpy(dir, options->dir, dir_size);
    s->options = *options;
    s->options.dir = s->dir = dir;
    s->vfs = options->vfs;
    s->disk_max = options->disk_max;
    if (s->options.log_size_max == 0)
        s->options.log_size_max = LOG_SIZE_DEFAULT;
    if (s->options.log_size_max > LOG_SIZE_MAX)
        s->options.log_size_max = LOG_SIZE_MAX;
    return s;
}

enum err store_open(const struct store_options *options, struct store **ret, struct errinfo *info)
{
    struct store *s = store_new(options);
    if (s == NULL)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    enum err rc = open_parts(s, info);
    if (rc != ERR_OK) {
        store_free(s);
        return rc;
    }
    *ret = s;
    return ERR_OK;
}

/* ---- sync, close, counts ---- */

static enum err sync_open_log(struct store *s, struct errinfo *info)
{
    if (s->open_log == NULL || !log_file_facts(s->open_log).unsynced)
        return ERR_OK;
    (void)pthread_mutex_lock(&s->lock);
    s->stats.syncs++;
    (void)pthread_mutex_unlock(&s->lock);
    return log_file_sync(s->open_log, info);
}

enum err store_sync(struct store *s, struct errinfo *info)
{
    (void)pthread_mutex_lock(&s->writing);
    enum err rc = sync_open_log(s, info);
    (void)pthread_mutex_unlock(&s->writing);
    return rc;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    struct errinfo reason = {0};
    if (store_sync(s, &reason) != ERR_OK)
        log_error("store", "sync_failed_at_close %s", reason.text);
    store_free(s);
}

/* Visible rows of a closed part, before what the open set hides of it. */
static void add_part_stats(const struct part *part, struct store_stats *ret)
{
    ret->replaced += part->rows.count + part->links.count;
    if (part->segment != NULL) {
        ret->segment_count++;
        ret->segments_aside += segment_is_damaged(part->segment);
        ret->rows += segment_row_count(part->segment) - part->rows.count;
        return;
    }
    struct log_index_stats index;
    log_index_get_stats(part->log->index, &index);
    ret->rows += index.rows - part->rows.count;
    ret->replaced += index.replaced;
    ret->index_bytes += index.bytes;
    ret->log_count += part->log->log_count;
}

void store_get_stats(struct store *s, struct store_stats *ret)
{
    struct log_index_stats index;
    (void)pthread_mutex_lock(&s->lock);
    *ret = s->stats;
    log_index_get_stats(s->open->index, &index);
    for (size_t i = 0; i < s->version->count; i++)
        add_part_stats(&s->version->parts[i], ret);
    ret->log_count += s->open->log_count;
    ret->segments_aside += s->version->aside_count;
    (void)pthread_mutex_unlock(&s->lock);
    ret->rows += index.rows - index.hidden_rows;
    ret->replaced += index.replaced + index.hidden;
    ret->index_bytes += index.bytes;
    ret->disk_bytes = ret->log_bytes + ret->segment_bytes;
}

void store_set_disk_max(struct store *s, uint64_t bytes)
{
    (void)pthread_mutex_lock(&s->lock);
    s->disk_max = bytes;
    (void)pthread_mutex_unlock(&s->lock);
}

void store_note_damaged_segment(struct store *s, struct segment *segment, const char *reason)
{
    if (!segment_mark_damaged(segment))
        return;
    char name[SEGMENT_NAME_SIZE + 1];
    segment_print_name(segment->facts.number, name);
    log_error("store", "segment_set_aside bytes_not_served=%" PRIu64 " %s: %s", segment->facts.size,
              name, reason);
    (void)pthread_mutex_lock(&s->lock);
    s->stats.damaged_bytes += segment->facts.size;
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- closed parts, as the writer sees them ---- */

static bool hidden_by_open(const struct store *s, const struct part *part, uint32_t id, bool link)
{
    struct log_view open = log_index_whole_view(s->open->index);
    return log_view_hides(&open, part->uid, id, link);
}

static enum err find_in_part(struct store *s, const struct part *part, const struct record *key,
                             struct key_place *ret)
{
    bool link = key->kind == RECORD_LINK;
    struct part_view view;
    struct part_key found;
    part_view_init(&view, part, NULL);
    enum err rc = part_find_key(&view, key, &found);
    part_view_close(&view);
    if (rc == ERR_CORRUPT && part->segment != NULL) {
        store_note_damaged_segment(s, part->segment, "its index cannot be read");
        return ERR_NOTFOUND;
    }
    TRY(rc);
    if (hidden_by_open(s, part, found.id, link))
        return ERR_NOTFOUND;
    *ret = (struct key_place){
        .uid = part->uid, .id = found.id, .content = found.content, .damaged = found.damaged};
    return ERR_OK;
}

enum err store_find_key(struct store *s, const struct record *key, struct key_place *ret)
{
    for (size_t i = s->version->count; i-- > 0;) {
        enum err rc = find_in_part(s, &s->version->parts[i], key, ret);
        if (rc != ERR_NOTFOUND)
            return rc;
    }
    return ERR_NOTFOUND;
}

/* ---- the open log ---- */
/* The folder may be new: its name must last as well. Often nobody may read the folder above, then
 * it was not made by us a moment ago. */
static void sync_parent(struct store *s)
{
    const char *slash = strrchr(s->dir, '/');
    struct errinfo reason = {0};
    size_t len = slash == NULL ? 1 : (size_t)(slash - s->dir);
    char *parent = mem_alloc(len + 2);
    enum err rc = ERR_NOMEM;
    if (parent != NULL) {
        (void)snprintf(parent, len + 2, "%.*s", (int)len, slash == NULL ? "." : s->dir);
        rc = s->vfs->sync_dir(s->vfs, len == 0 ? "/" : parent, &reason);
    }
    mem_free(parent);
    if (rc != ERR_OK)
        log_warn("store", "folder_above_not_synced %s", reason.text);
}

/* All parts of the version, and the open set as one more, with what it hides of the others. */
static enum err close_open_set(struct store *s, struct version **ret)
{
    const struct version *old = s->version;
    struct version *v = NULL;
    TRY(version_create(old->count + 1, old->aside_count, &v));
    enum err rc = ERR_OK;
    memcpy(v->aside, old->aside, old->aside_count * sizeof *old->aside);
    for (size_t i = 0; i < old->count && rc == ERR_OK; i++) {
        rc = version_put_part(v, i, &old->parts[i]);
        if (rc == ERR_OK)
            rc = part_hide_by(&v->parts[i], s->open->index);
    }
    struct part open = {.uid = s->open_uid, .log = s->open};
    if (rc == ERR_OK)
        rc = version_put_part(v, old->count, &open);
    if (rc != ERR_OK) {
        version_release(v);
        return rc;
    }
    *ret = v;
    return ERR_OK;
}

static uint64_t next_arrival(const struct log_set *set)
{
    size_t rows = log_index_row_count(set->index);
    size_t links = log_index_link_count(set->index);
    return set->first_arrival + (rows > links ? rows : links);
}

/* A new set takes appends from now on. */
static enum err begin_set(struct store *s)
{
    struct version *v = NULL;
    struct log_set *set = NULL;
    TRY(log_set_create(s->vfs, s->dir, s->options.mem_budget, next_arrival(s->open), &set));
    enum err rc = log_set_reserve(set);
    if (rc == ERR_OK)
        rc = close_open_set(s, &v);
    if (rc != ERR_OK) {
        log_set_release(set);
        return rc;
    }
    if (s->options.mem_budget != NULL)
        log_index_set_limit(set->index,
                            s->options.mem_budget->max / INDEX_SHARE / (CLOSED_SETS_MAX + 1));
    (void)pthread_mutex_lock(&s->lock);
    struct version *old = s->version;
    struct log_set *closed = s->open;
    s->version = v;
    s->open = set;
    s->open_uid = s->next_uid++;
    (void)pthread_mutex_unlock(&s->lock);
    version_release(old);
    log_set_release(closed);
    return ERR_OK;
}

/* A log that could not be made to the end may say of the one before how much of it counts: it goes
 * for certain before more is written there. */
static enum err settle_created(struct store *s, struct errinfo *info)
{
    bool removed;
    if (!s->create_failed)
        return ERR_OK;
    enum err rc = log_file_remove_torn(s->vfs, s->dir, s->last_sequence + 1, &removed, info);
    if (rc != ERR_OK && rc != ERR_NOTFOUND)
        return rc;
    TRY(s->vfs->sync_dir(s->vfs, s->dir, info));
    s->create_failed = false;
    return ERR_OK;
}

static enum err create_log(struct store *s, struct errinfo *info)
{
    uint64_t sequence = s->last_sequence + 1;
    if (sequence == 1)
        sync_parent(s);
    struct log_file *log = NULL;
    if (log_set_reserve(s->open) != ERR_OK)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    TRY(settle_created(s, info));
    s->create_failed = true;
    TRY(log_file_create(s->vfs, s->dir, sequence, s->last_size, &log, info));
    s->create_failed = false;
    if (s->open->log_count > 0 && begin_set(s) != ERR_OK)
        log_debug("store", "set_goes_on no memory to close it");
    s->open_log = log;
    s->last_sequence = sequence;
    s->last_size = log_file_facts(log).size;
    (void)pthread_mutex_lock(&s->lock);
    log_set_add(s->open, log);
    s->stats.log_bytes += s->last_size;
    (void)pthread_mutex_unlock(&s->lock);
    return ERR_OK;
}

/* Whether the open log takes one more batch. */
static bool log_is_ready(struct store *s)
{
    if (s->open_log == NULL)
        return false;
    struct log_facts facts = log_file_facts(s->open_log);
    s->last_size = facts.size;
    return !facts.broken && facts.size < s->options.log_size_max;
}

static enum err next_log(struct store *s, struct errinfo *info)
{
    if (s->open_log == NULL)
        return create_log(s, info);
    struct errinfo reason = {0};
    bool broken = log_file_facts(s->open_log).broken;
    enum err rc = sync_open_log(s, &reason); /* also of a log that takes no more */
    if (rc != ERR_OK && !broken)
        return err_set(info, rc, "%s", reason.text);
    if (rc != ERR_OK)
        log_error("store", "batches_may_be_lost %s", reason.text);
    return create_log(s, info);
}

enum err store_close_set(struct store *s, struct errinfo *info)
{
    (void)pthread_mutex_lock(&s->writing);
    enum err rc = ERR_OK;
    if (log_index_row_count(s->open->index) + log_index_link_count(s->open->index) > 0)
        rc = next_log(s, info);
    (void)pthread_mutex_unlock(&s->writing);
    return rc;
}

/* ---- append ---- */
#define NO_PLACE UINT32_MAX

struct batch {
    struct bytes *bytes;      /* of the records to write */
    struct record *records;   /* the same, parsed */
    struct key_place *places; /* what each replaces outside the open set; uid NO_PLACE: nothing */
    size_t hide_count;
    size_t count;
    uint32_t *slots;   /* by key: index + 1 of the last of its kind, 0 free */
    size_t slot_count; /* power of two */
    uint64_t seed;     /* of their hashes */
    uint64_t duplicates;
};

static void batch_close(struct batch *b)
{
    mem_free(b->bytes);
    mem_free(b->records);
    mem_free(b->places);
    mem_free(b->slots);
}

static enum err batch_init(struct batch *b, size_t count)
{
    b->slot_count = 4;
    b->seed = hash_seed();
    while (b->slot_count < count * 2)
        b->slot_count *= 2;
    b->bytes = mem_array(count, sizeof *b->bytes);
    b->records = mem_array(count, sizeof *b->records);
    b->places = mem_array(count, sizeof *b->places);
    b->slots = mem_array(b->slot_count, sizeof *b->slots);
    if (b->bytes == NULL || b->places == NULL || b->records == NULL || b->slots == NULL)
        return ERR_NOMEM;
    memset(b->slots, 0, b->slot_count * sizeof *b->slots);
    return ERR_OK;
}

/* What is stored is checked before it is written, as it is after it is read. */
static enum err check_record(struct bytes bytes, struct record *ret, struct errinfo *info)
{
    struct bytes facts;
    struct bytes block;
    struct bytes stored;
    size_t raw_size;
    TRY(record_split(bytes, &facts, &block, info));
    TRY(record_parse(facts, ret, info));
    if (ret->block_size != block.len)
        return err_set(info, ERR_CORRUPT, "record: block of %zu bytes, expected %" PRIu32,
                       block.len, ret->block_size);
    if (ret->kind == RECORD_LINK)
        return ERR_OK;
    uint32_t seed = record_page_seed(ret->project_id, ret->profiler_id, ret->id);
    return page_verify(block, seed, &raw_size, &stored, info);
}

/* Whether equal content is what the record would replace: in this batch, in the open set, or in a
 * closed part, which *ret_place tells of. */
static enum err find_duplicate(struct store *s, struct batch *b, const struct record *record,
                               uint32_t **ret_slot, struct key_place *ret_place, bool *ret_is)
{
    size_t at = (size_t)record_key_hash(record, b->seed) & (b->slot_count - 1);
    ret_place->uid = NO_PLACE;
    while (b->slots[at] != 0 && !record_same_key(record, &b->records[b->slots[at] - 1]))
        at = (at + 1) & (b->slot_count - 1);
    *ret_slot = &b->slots[at];
    struct hash128 content;
    if (b->slots[at] != 0) {
        *ret_is = hash128_equal(record->content, b->records[b->slots[at] - 1].content);
        return ERR_OK;
    }
    if (log_index_find(s->open->index, record) != UINT32_MAX) {
        *ret_is = log_index_find_content(s->open->index, record, &content) &&
                  hash128_equal(record->content, content);
        return ERR_OK;
    }
    struct key_place place;
    enum err rc = store_find_key(s, record, &place);
    *ret_is = rc == ERR_OK && !place.damaged && hash128_equal(record->content, place.content);
    if (rc == ERR_OK)
        *ret_place = place;
    return rc == ERR_NOTFOUND ? ERR_OK : rc;
}

static enum err batch_fill(struct store *s, struct batch *b, const struct bytes *records,
                           size_t count, struct errinfo *info)
{
    b->count = b->hide_count = 0;
    b->duplicates = 0;
    memset(b->slots, 0, b->slot_count * sizeof *b->slots);
    for (size_t i = 0; i < count; i++) {
        struct record *record = &b->records[b->count];
        TRY(check_record(records[i], record, info));
        uint32_t *slot = NULL;
        bool is_there = false;
        enum err rc = find_duplicate(s, b, record, &slot, &b->places[b->count], &is_there);
        if (rc != ERR_OK)
            return err_set(info, rc, "store: cannot look for what a record replaces");
        if (is_there) {
            b->duplicates++;
            continue;
        }
        b->hide_count += b->places[b->count].uid != NO_PLACE;
        b->bytes[b->count] = records[i];
        b->count++;
        *slot = (uint32_t)b->count;
    }
    return ERR_OK;
}

static void index_record(struct store *s, const struct record *record,
                         const struct key_place *place, struct log_place at)
{
    struct log_index *index = s->open->index;
    bool link = record->kind == RECORD_LINK;
    (void)log_index_add(index, record, at);
    size_t count = link ? log_index_link_count(index) : log_index_row_count(index);
    if (place->uid != NO_PLACE)
        log_index_hide(index, place->uid, place->id, link, (uint32_t)count - 1);
}

static void index_batch(struct store *s, const struct batch *b, uint64_t offset)
{
    for (size_t i = 0; i < b->count; i++) {
        struct log_place at = {.log = s->open->log_count - 1,
                               .offset = (uint32_t)offset,
                               .block_size = b->records[i].block_size};
        index_record(s, &b->records[i], &b->places[i], at);
        offset += b->records[i].block_size;
    }
    log_index_publish(s->open->index);
}

static enum err write_batch(struct store *s, const struct batch *b, struct errinfo *info)
{
    enum err rc = log_index_reserve(s->open->index, b->records, b->count, b->hide_count);
    if (rc != ERR_OK)
        return err_set(info, rc, "store: no room in the index for %zu records%s", b->count,
                       rc == ERR_BUSY ? ", it has its share of the memory" : "");
    uint64_t offset = 0;
    bool sync = s->options.durability == DURABILITY_BATCH;
    TRY(log_file_append(s->open_log, b->bytes, b->count, sync, &offset, info));
    uint64_t size = log_file_facts(s->open_log).size;
    (void)pthread_mutex_lock(&s->lock);
    s->stats.batches++;
    s->stats.syncs += sync;
    s->stats.log_bytes += size - s->last_size;
    (void)pthread_mutex_unlock(&s->lock);
    s->last_size = size;
    index_batch(s, b, offset);
    return ERR_OK;
}

static enum err check_sizes(const struct bytes *records, size_t count, struct errinfo *info)
{
    size_t total = 0;
    for (size_t i = 0; i < count && i < BATCH_RECORD_MAX; i++) {
        if (records[i].len > BATCH_SIZE_MAX - total)
            return err_set(info, ERR_LIMIT, "store: more than %zu bytes in a batch",
                           BATCH_SIZE_MAX);
        total += records[i].len;
    }
    if (count > BATCH_RECORD_MAX)
        return err_set(info, ERR_LIMIT, "store: %zu records in a batch, at most %zu", count,
                       BATCH_RECORD_MAX);
    return ERR_OK;
}

static size_t count_closed_sets(const struct store *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->version->count; i++)
        count += s->version->parts[i].log != NULL;
    return count;
}

/* Sets that wait to be sealed leave room for what seals them. */
static bool closed_sets_fill_memory(const struct store *s)
{
    uint64_t bytes = 0;
    if (s->options.mem_budget == NULL)
        return false;
    for (size_t i = 0; i < s->version->count; i++) {
        struct log_index_stats stats;
        if (s->version->parts[i].log == NULL)
            continue;
        log_index_get_stats(s->version->parts[i].log->index, &stats);
        bytes += stats.bytes;
    }
    return bytes > s->options.mem_budget->max / INDEX_SHARE / (CLOSED_SETS_MAX + 1);
}

/* An index that is full is closed: upkeep makes a segment of it, which needs no memory. As long as
 * it has not come that far, there is no room. */
static enum err write_or_make_room(struct store *s, struct batch *b, const struct bytes *records,
                                   size_t count, struct errinfo *info)
{
    enum err rc = write_batch(s, b, info);
    if (rc != ERR_BUSY || count_closed_sets(s) >= CLOSED_SETS_MAX ||
        log_index_row_count(s->open->index) + log_index_link_count(s->open->index) == 0)
        return rc;
    TRY(next_log(s, info));
    TRY(batch_fill(s, b, records, count, info));
    return b->count > 0 ? write_batch(s, b, info) : ERR_OK;
}

/* What is found of the parts counts for the set that takes the batch: after a new one was begun, it
 * is looked for again. */
static enum err append_batch(struct store *s, struct batch *b, const struct bytes *records,
                             size_t count, struct errinfo *info)
{
    TRY(batch_fill(s, b, records, count, info));
    if (b->count > 0)
        TRY(settle_created(s, info));
    if (b->count > 0 && !log_is_ready(s)) {
        if (closed_sets_fill_memory(s))
            return err_set(info, ERR_BUSY,
                           "store: logs wait to be sealed, and their index has its "
                           "share of the memory");
        TRY(next_log(s, info));
        TRY(batch_fill(s, b, records, count, info));
    }
    if (b->count > 0)
        TRY(write_or_make_room(s, b, records, count, info));
    if (b->duplicates > 0) {
        (void)pthread_mutex_lock(&s->lock);
        s->stats.duplicates += b->duplicates;
        (void)pthread_mutex_unlock(&s->lock);
    }
    return ERR_OK;
}

enum err store_append(struct store *s, const struct bytes *records, size_t count,
                      struct errinfo *info)
{
    struct batch batch = {0};
    if (count == 0)
        return ERR_OK;
    if (s->options.read_only)
        return err_set(info, ERR_UNSUPPORTED, "store: opened for reading only");
    TRY(check_sizes(records, count, info));
    enum err rc = batch_init(&batch, count);
    if (rc != ERR_OK) {
        rc = err_set(info, rc, "store: no room for a batch of %zu records", count);
    } else {
        (void)pthread_mutex_lock(&s->writing);
        rc = append_batch(s, &batch, records, count, info);
        (void)pthread_mutex_unlock(&s->writing);
    }
    batch_close(&batch);
    return rc;
}
