/* check.c - see check.h.
 *
 *   lock -> names and sizes -> manifest -> segments that it names, then those it does not
 *        -> logs behind the sealed ones, in order -> everything else
 */
#include "storage/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/sort.h"
#include "storage/data_folder.h"
#include "storage/log_file.h"
#include "storage/page.h"
#include "storage/part.h"
#include "storage/profile_block.h"

struct entry {
    const char *name;
    enum check_kind kind;
    uint64_t number; /* of a segment or log */
    uint64_t size;
    bool done; /* told already */
};

struct checker {
    const struct check_options *o;
    struct vfs *vfs;
    struct arena names;
    struct entry *entries; /* by kind, number, name */
    size_t count;
    size_t capacity;
    struct manifest manifest;
    enum err manifest_state;   /* ERR_OK, ERR_NOTFOUND, or what is wrong with it */
    struct segment **segments; /* of the manifest, those opened; for keys that are there twice */
    struct check_file file;    /* the one being looked at */
    struct check_problem problems[CHECK_PROBLEMS_LISTED];
    uint64_t total;
    uint64_t before; /* bytes of the files that are done */
    struct check_result out;
    struct errinfo *info;
};

const char *check_kind_text(enum check_kind kind)
{
    switch (kind) {
    case CHECK_MANIFEST: return "manifest";
    case CHECK_SEGMENT: return "segment";
    case CHECK_LOG: return "log";
    case CHECK_KEYS: return "keys";
    case CHECK_LOCK: return "lock";
    case CHECK_LEFT_OVER: return "left-over";
    case CHECK_UNKNOWN: return "unknown";
    }
    return "unknown";
}

static enum err no_memory(struct checker *c)
{
    return err_set(c->info, ERR_NOMEM, "check: out of memory");
}

/* Memory and the caller's wish end the work; everything else is something to tell. */
static bool ends_work(enum err rc)
{
    return rc == ERR_NOMEM || rc == ERR_CANCELED;
}

static enum err canceled(struct checker *c)
{
    return err_set(c->info, ERR_CANCELED, "check: canceled");
}

static bool goes_on(struct checker *c, uint64_t bytes_of_file)
{
    return c->o->on_progress == NULL ||
           c->o->on_progress(c->o->self, c->before + bytes_of_file, c->total);
}

/* ---- one file and what is wrong with it ---- */

static void begin_file(struct checker *c, const char *name, enum check_kind kind, uint64_t bytes)
{
    c->file =
        (struct check_file){.name = name, .kind = kind, .bytes = bytes, .problems = c->problems};
}

/* Reasons often begin with the name of the file, which stands beside them. */
static const char *without_name(const struct checker *c, const char *text)
{
    size_t len = strlen(c->file.name);
    while (strncmp(text, c->file.name, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        text += len + 2;
    return text;
}

static void add_text(struct checker *c, enum check_severity severity, const char *text)
{
    c->file.damaged |= severity == CHECK_DAMAGE;
    c->out.notes += severity == CHECK_NOTE;
    if (c->file.problem_count == CHECK_PROBLEMS_LISTED) {
        c->file.more_problems++;
        return;
    }
    struct check_problem *p = &c->problems[c->file.problem_count++];
    p->severity = severity;
    (void)err_set(&p->what, ERR_CORRUPT, "%s", without_name(c, text));
}

static void PRINTF_LIKE(3, 4)
    add(struct checker *c, enum check_severity severity, const char *format, ...)
{
    char text[ERRINFO_SIZE * 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add_text(c, severity, text);
}

static void end_file(struct checker *c)
{
    c->out.files += !c->file.missing;
    c->out.damaged_files += c->file.damaged;
    c->out.bytes += c->file.bytes;
    c->out.rows += c->file.rows;
    c->out.links += c->file.links;
    c->before += c->file.bytes;
    c->o->on_file(c->o->self, &c->file);
}

/* ---- names ---- */

static bool is_left_over(struct bytes name)
{
    return bytes_equal(name, BYTES(FORMAT_MANIFEST_NEW_NAME)) ||
           (bytes_starts_with(name, BYTES(FORMAT_LOG_PREFIX)) &&
            bytes_ends_with(name, BYTES(".damaged")));
}

static enum check_kind kind_of(struct bytes name, uint64_t *ret_number)
{
    *ret_number = 0;
    if (bytes_equal(name, BYTES(FORMAT_MANIFEST_NAME)))
        return CHECK_MANIFEST;
    if (segment_parse_name(name, ret_number))
        return CHECK_SEGMENT;
    if (log_file_parse_name(name, ret_number))
        return CHECK_LOG;
    if (bytes_equal(name, BYTES(FORMAT_KEYS_NAME)))
        return CHECK_KEYS;
    if (bytes_equal(name, BYTES(FORMAT_LOCK_NAME)) || bytes_equal(name, BYTES("keys.lock")))
        return CHECK_LOCK;
    return is_left_over(name) ? CHECK_LEFT_OVER : CHECK_UNKNOWN;
}

static enum err add_name(void *self, const char *name)
{
    struct checker *c = self;
    if (c->count == c->capacity) {
        size_t capacity = c->capacity * 2 + 64;
        struct entry *entries = mem_resize(c->entries, capacity, sizeof *entries);
        if (entries == NULL)
            return no_memory(c);
        c->entries = entries;
        c->capacity = capacity;
    }
    struct bytes copy = arena_copy(&c->names, bytes_of(name, strlen(name) + 1));
    if (copy.data == NULL)
        return no_memory(c);
    struct entry *e = &c->entries[c->count++];
    *e = (struct entry){.name = (const char *)copy.data};
    e->kind = kind_of(bytes_of_text(name), &e->number);
    return ERR_OK;
}

static int compare_entries(const void *left, const void *right, void *context)
{
    const struct entry *a = left;
    const struct entry *b = right;
    (void)context;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return strcmp(a->name, b->name);
}

static char *path_of(const struct checker *c, const char *name)
{
    size_t size = strlen(c->o->dir) + 1 + strlen(name) + 1;
    char *path = mem_alloc(size);
    if (path != NULL)
        (void)snprintf(path, size, "%s/%s", c->o->dir, name);
    return path;
}

/* What cannot be opened (a folder) has no size here; who needs it says why. */
static enum err measure(struct checker *c, struct entry *e)
{
    struct vfs_file *f = NULL;
    char *path = path_of(c, e->name);
    if (path == NULL)
        return no_memory(c);
    if (c->vfs->open(c->vfs, path, VFS_READ, &f, NULL) == ERR_OK) {
        if (c->vfs->size(c->vfs, f, &e->size, NULL) != ERR_OK)
            e->size = 0;
        c->vfs->close(c->vfs, f);
    }
    mem_free(path);
    c->total += e->size;
    return ERR_OK;
}

static enum err list_names(struct checker *c)
{
    TRY(c->vfs->list(c->vfs, c->o->dir, c, add_name, c->info));
    if (c->count > 1)
        TRY(sort_array(NULL, c->entries, c->count, sizeof *c->entries, compare_entries, NULL));
    for (size_t i = 0; i < c->count; i++)
        TRY(measure(c, &c->entries[i]));
    return ERR_OK;
}

/* NULL: there is none. The next of that kind behind `at`, or the first for NULL. */
static struct entry *next_of(const struct checker *c, enum check_kind kind, const struct entry *at)
{
    struct entry *e = at == NULL ? c->entries : c->entries + (at - c->entries) + 1;
    for (; e != NULL && e < c->entries + c->count; e++)
        if (e->kind == kind)
            return e;
    return NULL;
}

static struct entry *find_segment(const struct checker *c, uint64_t number)
{
    struct entry *e = next_of(c, CHECK_SEGMENT, NULL);
    while (e != NULL && e->number < number)
        e = next_of(c, CHECK_SEGMENT, e);
    return e != NULL && e->number == number ? e : NULL;
}

/* ---- manifest ---- */

/* A folder that was never sealed has none; one whose first logs are gone has lost it. */
static bool is_manifest_lost(const struct checker *c)
{
    const struct entry *log = next_of(c, CHECK_LOG, NULL);
    return c->manifest_state == ERR_NOTFOUND && next_of(c, CHECK_SEGMENT, NULL) != NULL &&
           (log == NULL || log->number > 1);
}

static enum err check_manifest(struct checker *c)
{
    struct errinfo reason = {{0}};
    struct entry *e = next_of(c, CHECK_MANIFEST, NULL);
    c->manifest_state = manifest_read(c->vfs, c->o->dir, &c->manifest, &reason);
    if (ends_work(c->manifest_state))
        return no_memory(c);
    if (e == NULL && !is_manifest_lost(c))
        return ERR_OK;
    begin_file(c, FORMAT_MANIFEST_NAME, CHECK_MANIFEST, e == NULL ? 0 : e->size);
    if (e == NULL) {
        c->file.missing = true;
        add(c, CHECK_DAMAGE,
            "is missing: there are segments, and the logs that they were made from are gone");
    } else if (c->manifest_state != ERR_OK) {
        add_text(c, CHECK_DAMAGE, reason.text);
        add(c, CHECK_NOTE, "no server starts on this folder; what follows is judged without it");
    }
    end_file(c);
    return ERR_OK;
}

/* ---- segments ---- */

static void on_segment_problem(void *self, const char *what)
{
    add_text(self, CHECK_DAMAGE, what);
}

static bool on_segment_progress(void *self, uint64_t block_offset)
{
    struct checker *c = self;
    return goes_on(c, block_offset < c->file.bytes ? block_offset : c->file.bytes);
}

static void compare_hidden(struct checker *c, const struct manifest_hidden *hidden, uint64_t count,
                           const char *what)
{
    if (hidden->count > 0 && hidden->ids[hidden->count - 1] >= count)
        add(c, CHECK_DAMAGE, "the manifest hides %s %" PRIu32 " of it, and it has %" PRIu64, what,
            hidden->ids[hidden->count - 1], count);
}

static void compare_facts(struct checker *c, const struct segment *s,
                          const struct manifest_segment *named)
{
    const struct manifest_segment *own = &s->facts;
    if (own->day != named->day || own->level != named->level)
        add(c, CHECK_DAMAGE,
            "is of day %" PRId32 " and level %" PRIu32 ", the manifest says %" PRId32
            " and %" PRIu32,
            own->day, own->level, named->day, named->level);
    if (own->start_ns != named->start_ns || own->end_ns != named->end_ns)
        add(c, CHECK_DAMAGE, "its rows are of another time than the manifest says");
    if (own->expires_ns != named->expires_ns)
        add(c, CHECK_DAMAGE, "its rows expire at another time than the manifest says");
    compare_hidden(c, &named->rows, c->file.rows, "row");
    compare_hidden(c, &named->links, c->file.links, "link");
}

/* Whether a row (or link) of the segment before has this key and is not hidden. */
static bool is_there_too(const struct segment *s, const struct manifest_segment *named,
                         const struct record *key)
{
    uint32_t id;
    bool link = key->kind == RECORD_LINK;
    int64_t start_ns = link ? key->link.start_ns : key->start_ns;
    if (key->kind != RECORD_TRANSACTION && (start_ns < named->start_ns || start_ns > named->end_ns))
        return false; /* the start is part of the key */
    enum err rc = link ? segment_rows_find_span(s->rows, &key->link, &id)
                       : segment_rows_find_key(s->rows, key, &id);
    return rc == ERR_OK && !hidden_has(link ? &named->links : &named->rows, id);
}

static void find_twice(struct checker *c, size_t at, const struct record *key, uint32_t id)
{
    for (size_t i = 0; i < at; i++) {
        const struct manifest_segment *named = &c->manifest.segments[i];
        char name[SEGMENT_NAME_SIZE + 1];
        if (c->segments[i] == NULL || !is_there_too(c->segments[i], named, key))
            continue;
        segment_print_name(named->number, name);
        add(c, CHECK_DAMAGE, "%s %" PRIu32 " is in %s too: it would count twice",
            key->kind == RECORD_LINK ? "link" : "row", id, name);
    }
}

/* No two visible rows of the store have one key. */
static void check_keys(struct checker *c, size_t at)
{
    const struct manifest_segment *named = &c->manifest.segments[at];
    const struct part part = {.segment = c->segments[at]};
    struct part_view view;
    part_view_init(&view, &part, NULL);
    for (uint32_t id = 0; at > 0 && id < c->file.rows; id++) {
        struct record key;
        if (!hidden_has(&named->rows, id) && part_record(&view, id, &key) == ERR_OK)
            find_twice(c, at, &key, id);
    }
    for (uint32_t id = 0; at > 0 && id < c->file.links; id++) {
        struct record key = {.kind = RECORD_LINK};
        struct part_link link;
        struct errinfo reason; /* was told already */
        if (hidden_has(&named->links, id) || part_link(&view, id, &link, &reason) != ERR_OK)
            continue;
        key.link = link.link;
        find_twice(c, at, &key, id);
    }
    part_view_close(&view);
}

static enum err verify_segment(struct checker *c, const struct segment *s)
{
    uint64_t next_arrival = c->manifest_state == ERR_OK ? c->manifest.next_arrival : UINT64_MAX;
    struct segment_verification v = {.next_arrival = next_arrival,
                                     .self = c,
                                     .on_problem = on_segment_problem,
                                     .on_progress = on_segment_progress};
    c->file.rows = s->counts.chunks + s->counts.transactions;
    c->file.links = s->counts.links;
    return segment_verify(s, &v, c->info);
}

static enum err open_segment(struct checker *c, const struct manifest_segment *named,
                             struct segment **ret)
{
    struct errinfo reason = {{0}};
    enum err rc = segment_open(c->vfs, c->o->dir, named, ret, &reason);
    if (rc == ERR_NOMEM)
        return no_memory(c);
    if (rc != ERR_OK)
        add_text(c, CHECK_DAMAGE, reason.text);
    return ERR_OK;
}

static enum err check_named_segment(struct checker *c, size_t at)
{
    const struct manifest_segment *named = &c->manifest.segments[at];
    char name[SEGMENT_NAME_SIZE + 1];
    segment_print_name(named->number, name);
    struct entry *e = find_segment(c, named->number);
    begin_file(c, name, CHECK_SEGMENT, e == NULL ? 0 : e->size);
    if (e == NULL) {
        c->file.missing = true;
        add(c, CHECK_DAMAGE, "is missing; by the manifest it has %" PRIu64 " bytes", named->size);
    } else {
        e->done = true;
        TRY(open_segment(c, named, &c->segments[at]));
    }
    if (c->segments[at] != NULL) {
        TRY(verify_segment(c, c->segments[at]));
        compare_facts(c, c->segments[at], named);
        check_keys(c, at);
    }
    end_file(c);
    return ERR_OK;
}

/* Without a manifest that can be read, a segment is held against what it says itself. */
static enum err check_alone(struct checker *c, const struct entry *e)
{
    struct errinfo reason = {{0}};
    struct segment_file *f = NULL;
    struct segment *s = NULL;
    char *path = path_of(c, e->name);
    if (path == NULL)
        return no_memory(c);
    struct manifest_segment own = {.number = e->number, .size = e->size};
    enum err rc = segment_file_open(c->vfs, path, NULL, &f, &reason);
    mem_free(path);
    if (rc != ERR_OK) {
        add_text(c, CHECK_DAMAGE, reason.text);
        return rc == ERR_NOMEM ? no_memory(c) : ERR_OK;
    }
    own.id = segment_file_id(f);
    segment_file_close(f);
    rc = open_segment(c, &own, &s);
    if (rc == ERR_OK && s != NULL)
        rc = verify_segment(c, s);
    segment_release(s);
    return rc;
}

static enum err check_unnamed_segment(struct checker *c, const struct entry *e)
{
    begin_file(c, e->name, CHECK_SEGMENT, e->size);
    bool known = c->manifest_state == ERR_OK || c->manifest_state == ERR_NOTFOUND;
    if (known && !is_manifest_lost(c))
        add(c, CHECK_NOTE,
            "no manifest names it: left over from work that did not finish, the next start "
            "removes it");
    else
        TRY(check_alone(c, e));
    end_file(c);
    return ERR_OK;
}

static enum err check_segments(struct checker *c)
{
    c->segments = mem_array(c->manifest.count, sizeof(struct segment *));
    if (c->segments == NULL)
        return no_memory(c);
    memset(c->segments, 0, c->manifest.count * sizeof(struct segment *));
    for (size_t i = 0; i < c->manifest.count; i++)
        TRY(check_named_segment(c, i));
    struct entry *e = next_of(c, CHECK_SEGMENT, NULL);
    for (; e != NULL; e = next_of(c, CHECK_SEGMENT, e))
        if (!e->done)
            TRY(check_unnamed_segment(c, e));
    return ERR_OK;
}

/* ---- logs ---- */

struct log_check {
    struct checker *c;
    struct log_file *log;
};

static enum err decode_block(struct log_check *l, const struct record *facts, uint64_t offset,
                             struct arena *arena, struct errinfo *info)
{
    struct profile p = {.kind = (enum profile_kind)facts->kind,
                        .project_id = facts->project_id,
                        .profiler_id = facts->profiler_id,
                        .id = facts->id};
    struct bytes raw;
    uint8_t *page = arena_take(arena, facts->block_size, 1);
    if (page == NULL)
        return err_set(info, arena->failed, "no room for %" PRIu32 " bytes", facts->block_size);
    TRY(log_file_read(l->log, offset, page, facts->block_size, info));
    uint32_t seed = record_page_seed(facts->project_id, facts->profiler_id, facts->id);
    TRY(page_unpack(bytes_of(page, facts->block_size), seed, arena, &raw, info));
    TRY(profile_block_decode(raw, arena, &p, info));
    if (p.sample_count != facts->sample_count)
        return err_set(info, ERR_CORRUPT, "%zu samples, its facts say %" PRIu32, p.sample_count,
                       facts->sample_count);
    return ERR_OK;
}

static enum err check_block(struct log_check *l, const struct record *facts, uint64_t offset)
{
    struct arena arena;
    struct errinfo reason = {{0}};
    arena_init(&arena, SIZE_MAX, NULL);
    enum err rc = decode_block(l, facts, offset, &arena, &reason);
    arena_close(&arena);
    if (rc == ERR_NOMEM)
        return no_memory(l->c);
    if (rc != ERR_OK)
        add(l->c, CHECK_DAMAGE, "offset %" PRIu64 ": %s", offset, reason.text);
    return ERR_OK;
}

static enum err on_batch(void *self, const struct log_batch *batch, struct errinfo *info)
{
    struct log_check *l = self;
    struct reader facts = reader_of(batch->facts);
    uint64_t offset = batch->blocks_offset;
    if (!goes_on(l->c, offset))
        return canceled(l->c);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        struct record record;
        TRY(record_parse(log_batch_next(&facts), &record, info));
        if (record.kind == RECORD_LINK)
            l->c->file.links++;
        else
            l->c->file.rows++;
        if (record.kind != RECORD_LINK && batch->damaged.data[i] == 0)
            TRY(check_block(l, &record, offset));
        offset += record.block_size;
    }
    return ERR_OK;
}

static void tell_damage(struct checker *c, const struct log_damage *d, bool torn)
{
    uint64_t bytes = d->bytes + (torn ? 0 : d->tail_size);
    uint64_t batches = d->batches + (d->tail_size > 0 && !torn);
    if (bytes > 0)
        add(c, CHECK_DAMAGE,
            "%" PRIu64 " bytes of %" PRIu64
            " batches cannot be served, the first at offset %" PRIu64 ": %s",
            bytes, batches, d->offset, d->reason.text);
    if (torn)
        add(c, CHECK_NOTE,
            "its last %" PRIu64 " bytes are no whole batch (%s): most likely an append that broke "
            "off before it was acknowledged; the next start cuts them off",
            d->tail_size, d->tail_reason.text);
}

/* `size_max`: how much of it counts by its successor; 0: nobody says. */
static enum err scan_log(struct checker *c, struct log_file *log, uint64_t size_max, bool last)
{
    struct log_check l = {c, log};
    struct log_scan scan = {
        .size_max = size_max, .verify_blocks = true, .self = &l, .on_batch = on_batch};
    struct log_damage damage = {0};
    struct errinfo reason = {{0}};
    enum err rc = log_file_scan(log, &scan, &damage, &reason);
    if (ends_work(rc))
        return rc == ERR_NOMEM ? no_memory(c) : canceled(c);
    if (rc != ERR_OK)
        add_text(c, CHECK_DAMAGE, reason.text);
    else
        tell_damage(c, &damage, last && damage.tail_torn);
    return ERR_OK;
}

static enum err open_log(struct checker *c, const struct entry *e, struct log_file **ret,
                         struct errinfo *reason, enum err *ret_state)
{
    *ret = NULL;
    *ret_state = e == NULL ? ERR_NOTFOUND
                           : log_file_open(c->vfs, c->o->dir, e->number, VFS_READ, ret, reason);
    return *ret_state == ERR_NOMEM ? no_memory(c) : ERR_OK;
}

/* How many bytes of the log before count, as this one says; 0: it does not, or is no successor. */
static enum err size_by(struct checker *c, const struct entry *e, const struct entry *next,
                        uint64_t *ret)
{
    struct log_file *log = NULL;
    struct errinfo reason;
    enum err state;
    *ret = 0;
    if (next == NULL || next->number != e->number + 1)
        return ERR_OK;
    TRY(open_log(c, next, &log, &reason, &state));
    if (state == ERR_OK)
        *ret = log_file_facts(log).previous_size;
    log_file_close(log);
    return ERR_OK;
}

static void tell_gap(struct checker *c, uint64_t expected, uint64_t found)
{
    char first[FORMAT_LOG_NAME_SIZE + 1];
    log_file_print_name(expected, first);
    if (found > expected)
        add(c, CHECK_DAMAGE, "%" PRIu64 " logs before it are missing, from %s on", found - expected,
            first);
}

static enum err check_live_log(struct checker *c, const struct entry *e, const struct entry *next)
{
    struct log_file *log = NULL;
    struct errinfo reason = {{0}};
    enum err state;
    uint64_t size_max;
    TRY(size_by(c, e, next, &size_max));
    TRY(open_log(c, e, &log, &reason, &state));
    if (state == ERR_OK) {
        enum err rc = scan_log(c, log, size_max, next == NULL);
        log_file_close(log);
        return rc;
    }
    if (next == NULL && state == ERR_CORRUPT && e->size <= FORMAT_LOG_HEADER_SIZE)
        add(c, CHECK_NOTE,
            "was torn while it was made (%s), before anything was in it: the next "
            "start removes it",
            without_name(c, reason.text));
    else
        add_text(c, CHECK_DAMAGE, reason.text);
    return ERR_OK;
}

/* Without a manifest that can be read nobody knows which logs are sealed. */
static enum err check_logs(struct checker *c)
{
    uint64_t expected = c->manifest.sealed_through + 1;
    bool known = c->manifest_state == ERR_OK || c->manifest_state == ERR_NOTFOUND;
    const struct entry *e = next_of(c, CHECK_LOG, NULL);
    while (e != NULL) {
        const struct entry *next = next_of(c, CHECK_LOG, e);
        begin_file(c, e->name, CHECK_LOG, e->size);
        if (e->number <= c->manifest.sealed_through) {
            add(c, CHECK_NOTE, "is in segments already: the next start removes it");
        } else {
            if (known && !is_manifest_lost(c))
                tell_gap(c, expected, e->number);
            TRY(check_live_log(c, e, next));
            expected = e->number + 1;
            known = true;
        }
        end_file(c);
        e = next;
    }
    return ERR_OK;
}

/* ---- the rest ---- */

static void check_other(struct checker *c, const struct entry *e)
{
    begin_file(c, e->name, e->kind, e->size);
    if (e->kind == CHECK_UNKNOWN)
        add(c, CHECK_NOTE, "is none of hearth's files");
    if (e->kind == CHECK_LEFT_OVER && strcmp(e->name, FORMAT_MANIFEST_NEW_NAME) == 0)
        add(c, CHECK_NOTE, "is a change of the manifest that did not finish: it means nothing");
    else if (e->kind == CHECK_LEFT_OVER)
        add(c, CHECK_NOTE, "was set aside when the rest of it was sealed: it is not served");
    end_file(c);
}

static enum err check_files(struct checker *c)
{
    TRY(data_folder_check(c->vfs, c->o->dir, c->info));
    TRY(list_names(c));
    TRY(check_manifest(c));
    TRY(check_segments(c));
    TRY(check_logs(c));
    for (size_t i = 0; i < c->count; i++)
        if (c->entries[i].kind >= CHECK_KEYS)
            check_other(c, &c->entries[i]);
    return ERR_OK;
}

static enum err lock_folder(struct checker *c, struct vfs_file **ret)
{
    struct errinfo reason = {{0}};
    char *path = path_of(c, FORMAT_LOCK_NAME);
    if (path == NULL)
        return no_memory(c);
    enum err rc = c->vfs->lock_shared(c->vfs, path, ret, &reason);
    mem_free(path);
    if (rc == ERR_NOTFOUND) /* a copy; or there is no such folder, which listing it says */
        return ERR_OK;
    if (rc == ERR_BUSY)
        return err_set(c->info, rc, "data folder %s is in use by another hearth (%s)", c->o->dir,
                       reason.text);
    return rc == ERR_OK ? ERR_OK : err_set(c->info, rc, "%s", reason.text);
}

enum err check_run(const struct check_options *options, struct check_result *ret,
                   struct errinfo *info)
{
    struct checker c = {.o = options, .vfs = options->vfs, .info = info};
    struct vfs_file *lock = NULL;
    arena_init(&c.names, CHECK_NAMES_MAX, NULL);
    enum err rc = lock_folder(&c, &lock);
    if (rc == ERR_OK)
        rc = check_files(&c);
    if (lock != NULL)
        c.vfs->unlock(c.vfs, lock);
    for (size_t i = 0; c.segments != NULL && i < c.manifest.count; i++)
        segment_release(c.segments[i]);
    mem_free(c.segments);
    manifest_close(&c.manifest);
    mem_free(c.entries);
    arena_close(&c.names);
    if (rc == ERR_OK)
        *ret = c.out;
    return rc;
}
