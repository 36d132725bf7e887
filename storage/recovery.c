#include "storage/recovery.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

#define RECORDS_AT_ONCE 64

/* ---- which logs there are ---- */

struct sequences {
    uint64_t *items;
    size_t count;
    size_t capacity;
};

static enum err add_sequence(void *self, const char *name)
{
    struct sequences *list = self;
    uint64_t sequence;
    if (!log_file_parse_name(bytes_of_text(name), &sequence))
        return ERR_OK; /* the lock, keys, what people put there */
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 64;
        uint64_t *items = mem_resize(list->items, capacity, sizeof *items);
        if (items == NULL)
            return ERR_NOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = sequence;
    return ERR_OK;
}

static int compare_sequences(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static enum err list_logs(struct vfs *vfs, const char *dir, struct sequences *ret,
                          struct errinfo *info)
{
    TRY(vfs->list(vfs, dir, ret, add_sequence, info));
    if (ret->count > 1)
        qsort(ret->items, ret->count, sizeof *ret->items, compare_sequences);
    return ERR_OK;
}

/* ---- opening ---- */

struct recovery {
    struct vfs *vfs;
    const char *dir;
    bool read_only;
    const struct recovery_options *options;
    struct log_set *set;
    struct log_index *index; /* of the set */
    struct recovered *out;
    struct record *records;                    /* RECORDS_AT_ONCE */
    bool damaged[RECORDS_AT_ONCE];             /* the block of each */
    struct key_place outside[RECORDS_AT_ONCE]; /* what each replaces there */
    bool hides[RECORDS_AT_ONCE];               /* whether it does */
    uint32_t log;                              /* being scanned */
    struct log_damage replacing;               /* in it: rows that would have hidden others */
};

/* A file whose header cannot be read: torn while it was made, or damaged later. */
static enum err set_aside(struct recovery *r, uint64_t sequence, bool last,
                          const struct errinfo *reason, struct errinfo *info)
{
    bool torn = false;
    uint64_t size = 0;
    TRY(log_file_measure(r->vfs, r->dir, sequence, &size, info));
    if (last && !r->read_only)
        TRY(log_file_remove_torn(r->vfs, r->dir, sequence, &torn, info));
    if (last && r->read_only && size <= FORMAT_LOG_HEADER_SIZE)
        return ERR_OK;
    if (torn) {
        log_warn("store", "log_torn_at_creation removed=" FORMAT_LOG_PREFIX "%016" PRIx64,
                 sequence);
        return ERR_OK;
    }
    log_error("store", "log_damaged bytes_not_served=%" PRIu64 " nothing of it is served: %s", size,
              reason->text);
    r->out->disk_bytes += size;
    r->out->damaged_bytes += size;
    r->out->last_sequence = sequence;
    r->out->last_size = 0;
    r->set->has_damage = true;
    return ERR_OK;
}

static enum err open_log(struct recovery *r, uint64_t sequence, bool last, struct errinfo *info)
{
    if (r->out->last_sequence != 0 && sequence != r->out->last_sequence + 1)
        log_error("store", "log_missing after=%016" PRIx64 " before=%016" PRIx64,
                  r->out->last_sequence, sequence);
    struct errinfo reason = {0};
    struct log_file *log = NULL;
    enum vfs_open how = r->read_only ? VFS_READ : VFS_APPEND;
    enum err rc = log_file_open(r->vfs, r->dir, sequence, how, &log, &reason);
    if (rc == ERR_CORRUPT)
        return set_aside(r, sequence, last, &reason, info);
    if (rc != ERR_OK)
        return err_set(info, rc, "%s", reason.text);
    if (log_set_reserve(r->set) != ERR_OK) {
        log_file_close(log);
        return err_set(info, ERR_NOMEM, "recovery: out of memory");
    }
    log_set_add(r->set, log);
    r->out->last_sequence = sequence;
    r->out->last_size = log_file_facts(log).file_size;
    return ERR_OK;
}

/* ---- scanning ---- */

/* Whether the record has the key of something that is there; *ret_whole: and that is whole. */
static enum err find_replaced(struct recovery *r, size_t at, bool *ret_replaces, bool *ret_whole)
{
    struct hash128 content;
    const struct record *record = &r->records[at];
    r->hides[at] = false;
    *ret_whole = log_index_find_content(r->index, record, &content);
    *ret_replaces = *ret_whole || log_index_find(r->index, record) != UINT32_MAX;
    if (*ret_replaces || r->options->find_outside == NULL)
        return ERR_OK;
    enum err rc = r->options->find_outside(r->options->self, record, &r->outside[at]);
    if (rc == ERR_NOTFOUND)
        return ERR_OK;
    TRY(rc);
    r->hides[at] = *ret_replaces = true;
    *ret_whole = !r->outside[at].damaged;
    return ERR_OK;
}

/* Of a closed log, whose blocks are not verified: one that would hide an older row is. */
static enum err check_replacing(struct recovery *r, const struct record *record, uint64_t offset,
                                bool *ret_damaged, struct errinfo *info)
{
    struct errinfo reason = {0};
    if (record->block_size == 0)
        return ERR_OK;
    enum err rc = log_file_verify_block(log_set_log(r->set, r->log), record, offset, &reason);
    if (rc != ERR_CORRUPT)
        return rc == ERR_OK ? ERR_OK : err_set(info, rc, "%s", reason.text);
    *ret_damaged = true;
    if (r->replacing.bytes == 0) {
        r->replacing.offset = offset;
        r->replacing.reason = reason;
    }
    r->replacing.bytes += record->block_size;
    r->replacing.batches++;
    return ERR_OK;
}

/* One row more, which may hide one outside; a damaged one hides nothing that may be whole. */
static void add_record(struct recovery *r, size_t at, bool whole_outside, struct log_place place)
{
    const struct record *record = &r->records[at];
    bool link = record->kind == RECORD_LINK;
    if (r->damaged[at] && r->hides[at] && whole_outside)
        return;
    if (r->damaged[at])
        log_index_add_damaged(r->index, record, place);
    else
        (void)log_index_add(r->index, record, place);
    size_t count = link ? log_index_link_count(r->index) : log_index_row_count(r->index);
    if (r->hides[at])
        log_index_hide(r->index, r->outside[at].uid, r->outside[at].id, link, (uint32_t)count - 1);
}

/* One by one: a record may replace the one before it. */
static enum err add_records(struct recovery *r, size_t count, bool verified, uint64_t *offset,
                            struct errinfo *info)
{
    enum err rc = log_index_reserve(r->index, r->records, count, count);
    if (rc != ERR_OK)
        return err_set(info, rc, "no room in the index%s",
                       rc == ERR_BUSY ? ": it needs more than --memory-max grants" : "");
    for (size_t i = 0; i < count; i++) {
        struct log_place place = {
            .log = r->log, .offset = (uint32_t)*offset, .block_size = r->records[i].block_size};
        bool whole = false;
        bool replaces = false;
        rc = find_replaced(r, i, &replaces, &whole);
        if (rc != ERR_OK)
            return err_set(info, rc, "cannot look for what a record replaces");
        if (replaces && whole && !verified)
            TRY(check_replacing(r, &r->records[i], *offset, &r->damaged[i], info));
        add_record(r, i, whole, place);
        *offset += r->records[i].block_size;
    }
    return ERR_OK;
}

static enum err on_batch(void *self, const struct log_batch *batch, struct errinfo *info)
{
    struct recovery *r = self;
    struct reader facts = reader_of(batch->facts);
    uint64_t offset = batch->blocks_offset;
    size_t pending = 0;
    bool verified = batch->damaged.len > 0;
    if (batch->blocks_size > UINT32_MAX || offset > UINT32_MAX - batch->blocks_size)
        return err_set(info, ERR_UNSUPPORTED, "log is larger than 4 GiB");
    for (uint32_t i = 0; i < batch->record_count; i++) {
        TRY(record_parse(log_batch_next(&facts), &r->records[pending], info));
        r->damaged[pending] = verified && batch->damaged.data[i] != 0;
        if (++pending == RECORDS_AT_ONCE) {
            TRY(add_records(r, pending, verified, &offset, info));
            pending = 0;
        }
    }
    TRY(add_records(r, pending, verified, &offset, info));
    log_index_publish(r->index);
    return ERR_OK;
}

/* One line a log, however much of it is damaged. */
static void report_damage(struct recovery *r, const struct log_file *log, struct log_damage *d,
                          bool torn)
{
    if (d->reason.text[0] == '\0') {
        d->offset = r->replacing.offset;
        d->reason = r->replacing.reason;
    }
    d->bytes += r->replacing.bytes;
    d->batches += r->replacing.batches;
    if (torn)
        log_warn("store", "log_%s file=%s offset=%" PRIu64 " bytes=%" PRIu64 " reason=\"%s\"",
                 r->read_only ? "end_not_served" : "cut", log_file_name(log), d->tail_offset,
                 d->tail_size, d->tail_reason.text);
    uint64_t bytes = d->bytes + (torn ? 0 : d->tail_size);
    if (bytes == 0)
        return;
    uint64_t batches = d->batches + (d->tail_size > 0 && !torn);
    r->out->damaged_bytes += bytes;
    r->out->damaged_batches += batches;
    r->set->has_damage = true;
    log_error("store",
              "log_damaged file=%s offset=%" PRIu64 " bytes_not_served=%" PRIu64 " batches=%" PRIu64
              " reason=\"%s\"",
              log_file_name(log), d->offset, bytes, batches, d->reason.text);
}

/* How many bytes of log `at` count, as its successor says; 0: nobody says. */
static uint64_t size_by_successor(const struct log_set *all, uint32_t at)
{
    if (at + 1 == all->log_count)
        return 0;
    struct log_facts own = log_file_facts(log_set_log(all, at));
    struct log_facts next = log_file_facts(log_set_log(all, at + 1));
    return next.sequence == own.sequence + 1 ? next.previous_size : 0;
}

static enum err scan_log(struct recovery *r, uint32_t at, struct errinfo *info)
{
    struct log_file *log = log_set_log(r->set, at);
    bool last = log_file_facts(log).sequence == r->out->last_sequence;
    struct log_scan scan = {
        .size_max = size_by_successor(r->set, at), .self = r, .on_batch = on_batch};
    scan.verify_blocks = scan.size_max == 0;
    struct log_damage damage = {0};
    uint64_t file_size = log_file_facts(log).file_size;
    if (scan.size_max != 0 && file_size > scan.size_max)
        log_info("store", "log_end_ignored file=%s bytes=%" PRIu64, log_file_name(log),
                 file_size - scan.size_max);
    r->log = at;
    r->replacing = (struct log_damage){0};
    TRY(log_file_scan(log, &scan, &damage, info));
    bool open = last && (damage.tail_size == 0 || damage.tail_torn);
    report_damage(r, log, &damage, last && damage.tail_torn);
    if (last && !r->read_only)
        TRY(open ? log_file_trim(log, info) : log_file_sync(log, info));
    r->out->disk_bytes += log_file_facts(log).file_size;
    if (!last)
        return ERR_OK;
    r->out->last_size = log_file_facts(log).size;
    r->out->last_is_open = open && damage.bytes == 0 && !r->read_only;
    return ERR_OK;
}

static enum err run(struct recovery *r, struct sequences *found, struct errinfo *info)
{
    TRY(list_logs(r->vfs, r->dir, found, info));
    r->records = mem_array(RECORDS_AT_ONCE, sizeof *r->records);
    if (r->records == NULL)
        return err_set(info, ERR_NOMEM, "recovery: out of memory");
    for (size_t i = 0; i < found->count; i++)
        if (found->items[i] > r->options->after)
            TRY(open_log(r, found->items[i], i + 1 == found->count, info));
    for (uint32_t i = 0; i < r->set->log_count; i++)
        TRY(scan_log(r, i, info));
    return r->read_only ? ERR_OK : r->vfs->sync_dir(r->vfs, r->dir, info);
}

enum err recovery_run(const struct recovery_options *options, struct recovered *ret,
                      struct errinfo *info)
{
    struct recovered out = {.last_sequence = options->after, .last_size = options->after_size};
    struct recovery r = {.vfs = options->vfs,
                         .dir = options->dir,
                         .read_only = options->read_only,
                         .options = options,
                         .set = options->set,
                         .index = options->set->index,
                         .out = &out};
    struct sequences found = {0};
    enum err rc = run(&r, &found, info);
    mem_free(found.items);
    mem_free(r.records);
    if (rc == ERR_OK)
        *ret = out;
    return rc;
}
