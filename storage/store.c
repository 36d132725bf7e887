/* store.c - see storage/store.h for the invariants.
 *
 *   append:  check -> drop what is there already -> reserve in the index -> write and sync one
 *            batch -> add to the index, which cannot fail -> publish
 *
 *   the open log:  none --create--> open --full: sync, create--> open
 *                                     +----failed: create------> open
 */
#include "storage/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/format.h"
#include "storage/page.h"
#include "storage/profile_block.h"
#include "storage/recovery.h"
#include "storage/stable_array.h"

struct store {
    struct vfs *vfs;
    char *dir;
    enum durability durability;
    bool read_only;
    size_t log_size_max;
    struct vfs_file *lock_file;
    struct log_index *index;
    struct stable_array logs; /* struct log_file *, as the index counts them */
    uint32_t log_count;
    struct log_file *open_log; /* NULL: the next append makes one */
    uint64_t last_sequence;
    uint64_t last_size; /* of the last log, how much counts; 0: unknown */
    bool create_failed; /* the next log's file may be there, empty */

    pthread_mutex_t stats_lock;
    struct store_stats stats; /* without rows and index_bytes */
};

/* ---- open and close ---- */

static enum err lock_folder(struct store *s, struct errinfo *info)
{
    size_t size = strlen(s->dir) + sizeof "/" FORMAT_LOCK_NAME;
    char *path = mem_alloc(size);
    if (path == NULL)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    (void)snprintf(path, size, "%s/" FORMAT_LOCK_NAME, s->dir);
    struct errinfo reason = {0};
    enum err rc = s->read_only ? s->vfs->lock_shared(s->vfs, path, &s->lock_file, &reason)
                               : s->vfs->lock(s->vfs, path, &s->lock_file, &reason);
    mem_free(path);
    if (s->read_only && rc == ERR_NOTFOUND)
        return ERR_OK; /* no server was ever here: a copy */
    if (rc == ERR_BUSY)
        return err_set(info, rc, "data folder %s is in use by another hearth (%s)", s->dir,
                       reason.text);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "%s", reason.text);
}

static enum err ignore_name(void *self, const char *name)
{
    (void)self;
    (void)name;
    return ERR_OK;
}

static enum err find_folder(struct store *s, bool must_exist, struct errinfo *info)
{
    if (!must_exist && !s->read_only)
        return s->vfs->make_dir(s->vfs, s->dir, info);
    return s->vfs->list(s->vfs, s->dir, NULL, ignore_name, info);
}

/* Take over what recovery found. */
static enum err adopt_logs(struct store *s, struct recovered *found)
{
    TRY(stable_array_reserve(&s->logs, found->count));
    for (size_t i = 0; i < found->count; i++)
        *(struct log_file **)stable_array_at(&s->logs, (uint32_t)i) = found->logs[i];
    s->stats.disk_bytes = found->disk_bytes;
    s->stats.damaged_bytes = found->damaged_bytes;
    s->stats.damaged_batches = found->damaged_batches;
    s->log_count = (uint32_t)found->count;
    s->stats.log_count = found->count;
    s->last_sequence = found->last_sequence;
    s->last_size = found->last_size;
    if (found->last_is_open)
        s->open_log = found->logs[found->count - 1];
    found->count = 0; /* closed with the store from now on */
    return ERR_OK;
}

static enum err open_parts(struct store *s, const struct store_options *options,
                           struct errinfo *info)
{
    TRY(find_folder(s, options->must_exist, info));
    TRY(lock_folder(s, info));
    if (log_index_create(options->mem_budget, &s->index) != ERR_OK)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    struct recovered found = {0};
    TRY(recovery_run(s->vfs, s->dir, s->read_only, s->index, &found, info));
    enum err rc = adopt_logs(s, &found);
    recovered_close(&found);
    if (options->mem_budget != NULL)
        log_index_set_limit(s->index, options->mem_budget->max / INDEX_SHARE);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "store: out of memory");
}

static void store_free(struct store *s)
{
    log_index_destroy(s->index);
    for (uint32_t i = 0; i < s->log_count; i++)
        log_file_close(*(struct log_file **)stable_array_at(&s->logs, i));
    stable_array_close(&s->logs);
    if (s->lock_file != NULL)
        s->vfs->unlock(s->vfs, s->lock_file);
    (void)pthread_mutex_destroy(&s->stats_lock);
    mem_free(s->dir);
    mem_free(s);
}

static struct store *store_new(const struct store_options *options)
{
    struct store *s = mem_zalloc(sizeof *s);
    if (s == NULL)
        return NULL;
    size_t dir_size = strlen(options->dir) + 1;
    s->dir = mem_alloc(dir_size);
    if (s->dir == NULL || pthread_mutex_init(&s->stats_lock, NULL) != 0) {
        mem_free(s->dir);
        mem_free(s);
        return NULL;
    }
    memcpy(s->dir, options->dir, dir_size);
    s->vfs = options->vfs;
    s->durability = options->durability;
    s->read_only = options->read_only;
    s->log_size_max = options->log_size_max == 0 ? LOG_SIZE_DEFAULT : options->log_size_max;
    if (s->log_size_max > LOG_SIZE_MAX)
        s->log_size_max = LOG_SIZE_MAX;
    stable_array_init(&s->logs, sizeof(struct log_file *));
    return s;
}

enum err store_open(const struct store_options *options, struct store **ret, struct errinfo *info)
{
    struct store *s = store_new(options);
    if (s == NULL)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    enum err rc = open_parts(s, options, info);
    if (rc != ERR_OK) {
        store_free(s);
        return rc;
    }
    *ret = s;
    return ERR_OK;
}

static void count_sync(struct store *s)
{
    (void)pthread_mutex_lock(&s->stats_lock);
    s->stats.syncs++;
    (void)pthread_mutex_unlock(&s->stats_lock);
}

enum err store_sync(struct store *s, struct errinfo *info)
{
    if (s->open_log == NULL || !log_file_facts(s->open_log).unsynced)
        return ERR_OK;
    count_sync(s);
    return log_file_sync(s->open_log, info);
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

void store_get_stats(struct store *s, struct store_stats *ret)
{
    struct log_index_stats index;
    log_index_get_stats(s->index, &index);
    (void)pthread_mutex_lock(&s->stats_lock);
    *ret = s->stats;
    (void)pthread_mutex_unlock(&s->stats_lock);
    ret->rows = index.rows;
    ret->replaced = index.replaced;
    ret->index_bytes = index.bytes;
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

static enum err create_log(struct store *s, struct errinfo *info)
{
    uint64_t sequence = s->last_sequence + 1;
    if (sequence == 1)
        sync_parent(s);
    struct log_file *log = NULL;
    if (stable_array_reserve(&s->logs, (size_t)s->log_count + 1) != ERR_OK)
        return err_set(info, ERR_NOMEM, "store: out of memory");
    if (s->create_failed) { /* nothing was ever promised of that file */
        bool removed;
        enum err rc = log_file_remove_torn(s->vfs, s->dir, sequence, &removed, info);
        if (rc != ERR_OK && rc != ERR_NOTFOUND)
            return rc;
    }
    s->create_failed = true;
    TRY(log_file_create(s->vfs, s->dir, sequence, s->last_size, &log, info));
    s->create_failed = false;
    *(struct log_file **)stable_array_at(&s->logs, s->log_count) = log;
    s->log_count++;
    s->open_log = log;
    s->last_sequence = sequence;
    s->last_size = log_file_facts(log).size;
    (void)pthread_mutex_lock(&s->stats_lock);
    s->stats.log_count++;
    s->stats.disk_bytes += s->last_size;
    (void)pthread_mutex_unlock(&s->stats_lock);
    return ERR_OK;
}

/* A log that takes one more batch. */
static enum err ready_log(struct store *s, struct errinfo *info)
{
    if (s->open_log == NULL)
        return create_log(s, info);
    struct log_facts facts = log_file_facts(s->open_log);
    s->last_size = facts.size;
    if (!facts.broken && facts.size < s->log_size_max)
        return ERR_OK;
    struct errinfo reason = {0};
    enum err rc = store_sync(s, &reason); /* also of a log that takes no more */
    if (rc != ERR_OK && !facts.broken)
        return err_set(info, rc, "%s", reason.text);
    if (rc != ERR_OK)
        log_error("store", "batches_may_be_lost %s", reason.text);
    return create_log(s, info);
}

/* ---- append ---- */

struct batch {
    struct bytes *bytes;    /* of the records to write */
    struct record *records; /* the same, parsed */
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
    b->slots = mem_array(b->slot_count, sizeof *b->slots);
    if (b->bytes == NULL || b->records == NULL || b->slots == NULL)
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

/* Whether equal content is what the record would replace, in this batch or before it. */
static bool is_duplicate(const struct store *s, struct batch *b, const struct record *record,
                         uint32_t **ret_slot)
{
    size_t at = (size_t)record_key_hash(record, b->seed) & (b->slot_count - 1);
    while (b->slots[at] != 0 && !record_same_key(record, &b->records[b->slots[at] - 1]))
        at = (at + 1) & (b->slot_count - 1);
    *ret_slot = &b->slots[at];
    if (b->slots[at] != 0)
        return hash128_equal(record->content, b->records[b->slots[at] - 1].content);
    struct hash128 content;
    return log_index_find_content(s->index, record, &content) &&
           hash128_equal(record->content, content);
}

static enum err batch_fill(const struct store *s, struct batch *b, const struct bytes *records,
                           size_t count, struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        struct record *record = &b->records[b->count];
        TRY(check_record(records[i], record, info));
        uint32_t *slot = NULL;
        if (is_duplicate(s, b, record, &slot)) {
            b->duplicates++;
            continue;
        }
        b->bytes[b->count] = records[i];
        b->count++;
        *slot = (uint32_t)b->count;
    }
    return ERR_OK;
}

static void index_batch(struct store *s, const struct batch *b, uint64_t offset)
{
    for (size_t i = 0; i < b->count; i++) {
        struct log_place place = {.log = s->log_count - 1,
                                  .offset = (uint32_t)offset,
                                  .block_size = b->records[i].block_size};
        (void)log_index_add(s->index, &b->records[i], place);
        offset += b->records[i].block_size;
    }
    log_index_publish(s->index);
}

static enum err write_batch(struct store *s, const struct batch *b, struct errinfo *info)
{
    enum err rc = log_index_reserve(s->index, b->records, b->count);
    if (rc != ERR_OK)
        return err_set(info, rc, "store: no room in the index for %zu records%s", b->count,
                       rc == ERR_BUSY ? ", it has its share of the memory" : "");
    TRY(ready_log(s, info));
    uint64_t offset = 0;
    bool sync = s->durability == DURABILITY_BATCH;
    TRY(log_file_append(s->open_log, b->bytes, b->count, sync, &offset, info));
    uint64_t size = log_file_facts(s->open_log).size;
    (void)pthread_mutex_lock(&s->stats_lock);
    s->stats.batches++;
    s->stats.syncs += sync;
    s->stats.disk_bytes += size - s->last_size;
    (void)pthread_mutex_unlock(&s->stats_lock);
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

enum err store_append(struct store *s, const struct bytes *records, size_t count,
                      struct errinfo *info)
{
    struct batch batch = {0};
    if (count == 0)
        return ERR_OK;
    if (s->read_only)
        return err_set(info, ERR_UNSUPPORTED, "store: opened for reading only");
    TRY(check_sizes(records, count, info));
    enum err rc = batch_init(&batch, count);
    if (rc != ERR_OK)
        rc = err_set(info, rc, "store: no room for a batch of %zu records", count);
    else
        rc = batch_fill(s, &batch, records, count, info);
    if (rc == ERR_OK && batch.count > 0)
        rc = write_batch(s, &batch, info);
    if (rc == ERR_OK && batch.duplicates > 0) {
        (void)pthread_mutex_lock(&s->stats_lock);
        s->stats.duplicates += batch.duplicates;
        (void)pthread_mutex_unlock(&s->stats_lock);
    }
    batch_close(&batch);
    return rc;
}

/* ---- reading ---- */

struct snapshot *snapshot_acquire(struct store *s)
{
    return log_index_pin(s->index, s);
}

static void fill_identity(const struct snapshot *snap, row_id id, struct profile *p)
{
    struct row row;
    snapshot_row(snap, id, &row);
    *p = (struct profile){.kind = row.kind,
                          .organization_id = row.organization_id,
                          .project_id = row.project_id,
                          .retention_days = snapshot_retention_days(snap, id),
                          .received_ns = row.received_ns,
                          .profiler_id = row.profiler_id,
                          .id = row.id,
                          .trace_id = row.trace_id,
                          .transaction_id = row.transaction_id};
}

static enum err read_block(struct log_file *log, struct log_place place, struct arena *arena,
                           struct profile *p, struct errinfo *info)
{
    uint8_t *page = arena_take(arena, place.block_size, 1);
    if (page == NULL)
        return err_set(info, arena->failed, "no room for %" PRIu32 " bytes", place.block_size);
    TRY(log_file_read(log, place.offset, page, place.block_size, info));
    struct bytes raw;
    uint32_t seed = record_page_seed(p->project_id, p->profiler_id, p->id);
    TRY(page_unpack(bytes_of(page, place.block_size), seed, arena, &raw, info));
    return profile_block_decode(raw, arena, p, info);
}

/* From now on what is sent again is written again. */
static void note_damaged(struct store *s, const struct snapshot *snap, row_id id,
                         struct log_place place)
{
    if (!snapshot_mark_damaged(snap, id))
        return;
    (void)pthread_mutex_lock(&s->stats_lock);
    s->stats.damaged_bytes += place.block_size;
    (void)pthread_mutex_unlock(&s->stats_lock);
}

enum err snapshot_read_profile(const struct snapshot *snap, row_id id, struct arena *arena,
                               struct profile *ret, struct errinfo *info)
{
    struct store *s = snapshot_store(snap);
    struct log_place place = snapshot_place(snap, id);
    struct log_file *log = *(struct log_file **)stable_array_at(&s->logs, place.log);
    struct profile profile;
    struct errinfo reason = {0};
    fill_identity(snap, id, &profile);
    enum err rc = read_block(log, place, arena, &profile, &reason);
    if (rc == ERR_CORRUPT || rc == ERR_IO)
        note_damaged(s, snap, id, place);
    if (rc != ERR_OK)
        return err_set(info, rc, "%s: offset %" PRIu32 ": %s", log_file_name(log), place.offset,
                       reason.text);
    *ret = profile;
    return ERR_OK;
}
