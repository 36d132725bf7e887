#include "storage/log_file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "storage/crc32c.h"
#include "storage/numbered_name.h"
#include "storage/page.h"

#define WRITE_BUFFER_SIZE KIB(256)
#define WRITE_DIRECT_FROM KIB(64) /* larger parts are written without a copy */
#define WINDOW_SIZE       KIB(32) /* a scan reads at least this much at once, */
#define WINDOW_SIZE_SMALL KIB(4)  /* or this much where it skips more than that between */
#define DAMAGED_SUFFIX    ".damaged"
#define HEADER_CRC_OFFSET (FORMAT_LOG_HEADER_SIZE - 4)
#define BATCH_CRC_OFFSET  (FORMAT_BATCH_HEADER_SIZE - 4)

struct log_file {
    struct vfs *vfs;
    struct vfs_file *file;
    struct log_facts facts;
    uint64_t batch_count;
    bool sync_failed;      /* the kernel may have dropped what it calls clean */
    struct buffer pending; /* of one append */
    char *path;
    char name[FORMAT_LOG_NAME_SIZE + 1];
};

/* ---- names ---- */

void log_file_print_name(uint64_t sequence, char name[FORMAT_LOG_NAME_SIZE + 1])
{
    numbered_name_print(BYTES(FORMAT_LOG_PREFIX), sequence, name);
}

bool log_file_parse_name(struct bytes name, uint64_t *ret_sequence)
{
    return numbered_name_parse(BYTES(FORMAT_LOG_PREFIX), name, ret_sequence);
}

/* ---- headers ---- */

struct batch_header {
    uint32_t record_count;
    uint64_t number;
    uint32_t facts_size;
    uint64_t blocks_size;
    uint32_t facts_crc;
};

static void write_log_header(const struct log_facts *facts, uint8_t to[FORMAT_LOG_HEADER_SIZE])
{
    memset(to, 0, FORMAT_LOG_HEADER_SIZE);
    struct bytes magic = BYTES(FORMAT_LOG_MAGIC);
    memcpy(to, magic.data, magic.len);
    put_u32(to + 8, FORMAT_LOG_VERSION);
    put_u32(to + 12, FORMAT_LOG_HEADER_SIZE);
    memcpy(to + 16, facts->id.byte, sizeof facts->id.byte);
    put_u64(to + 32, facts->sequence);
    put_u64(to + 40, (uint64_t)facts->created_ns);
    put_u64(to + 48, facts->previous_size);
    put_u32(to + HEADER_CRC_OFFSET, crc32c(0, bytes_of(to, HEADER_CRC_OFFSET)));
}

static enum err read_log_header(struct log_file *f, const uint8_t *raw, struct errinfo *info)
{
    struct reader r = reader_of(bytes_of(raw, FORMAT_LOG_HEADER_SIZE));
    struct bytes magic = reader_take(&r, 8);
    uint32_t version = reader_u32(&r);
    uint32_t header_size = reader_u32(&r);
    struct bytes id = reader_take(&r, sizeof f->facts.id.byte);
    uint64_t sequence = reader_u64(&r);
    f->facts.created_ns = (int64_t)reader_u64(&r);
    uint64_t previous_size = reader_u64(&r);
    uint32_t reserved = reader_u32(&r);
    uint32_t crc = reader_u32(&r);
    if (!bytes_equal(magic, BYTES(FORMAT_LOG_MAGIC)))
        return err_set(info, ERR_CORRUPT, "%s: not a log: wrong magic", f->name);
    if (version == 0) /* never written: zeros where a header was not finished */
        return err_set(info, ERR_CORRUPT, "%s: the header has no version", f->name);
    if (version != FORMAT_LOG_VERSION)
        return err_set(info, ERR_UNSUPPORTED, "%s: version %" PRIu32 ", expected %" PRIu32, f->name,
                       version, FORMAT_LOG_VERSION);
    if (crc != crc32c(0, bytes_of(raw, HEADER_CRC_OFFSET)))
        return err_set(info, ERR_CORRUPT, "%s: checksum of the header does not match", f->name);
    if (header_size != FORMAT_LOG_HEADER_SIZE || reserved != 0)
        return err_set(info, ERR_CORRUPT, "%s: impossible header", f->name);
    if (sequence != f->facts.sequence)
        return err_set(info, ERR_CORRUPT, "%s: holds log %" PRIu64 ", expected %" PRIu64, f->name,
                       sequence, f->facts.sequence);
    memcpy(f->facts.id.byte, id.data, id.len);
    f->facts.previous_size = previous_size;
    return ERR_OK;
}

static uint32_t batch_seed(const struct log_file *f, uint64_t offset)
{
    uint8_t place[8];
    put_u64(place, offset);
    uint32_t seed = crc32c(0, bytes_of(f->facts.id.byte, sizeof f->facts.id.byte));
    return crc32c(seed, bytes_of(place, sizeof place));
}

static void write_batch_header(const struct batch_header *h, uint32_t seed,
                               uint8_t to[FORMAT_BATCH_HEADER_SIZE])
{
    memset(to, 0, FORMAT_BATCH_HEADER_SIZE);
    put_u32(to, FORMAT_BATCH_MAGIC);
    put_u32(to + 4, h->record_count);
    put_u64(to + 8, h->number);
    put_u32(to + 16, h->facts_size);
    put_u64(to + 24, h->blocks_size);
    put_u32(to + 40, h->facts_crc);
    put_u32(to + BATCH_CRC_OFFSET, crc32c(seed, bytes_of(to, BATCH_CRC_OFFSET)));
}

/* Header and facts must fit into `left`, which counts from the start of the header. */
static enum err read_batch_header(struct bytes raw, uint32_t seed, uint64_t left,
                                  struct batch_header *ret, struct errinfo *info)
{
    struct reader r = reader_of(raw);
    struct batch_header h;
    uint32_t magic = reader_u32(&r);
    h.record_count = reader_u32(&r);
    h.number = reader_u64(&r);
    h.facts_size = reader_u32(&r);
    uint32_t reserved = reader_u32(&r);
    h.blocks_size = reader_u64(&r);
    uint64_t reserved_too = reader_u64(&r);
    h.facts_crc = reader_u32(&r);
    uint32_t crc = reader_u32(&r);
    if (r.failed)
        return err_set(info, ERR_CORRUPT, "batch: header is cut short");
    if (magic != FORMAT_BATCH_MAGIC)
        return err_set(info, ERR_CORRUPT, "batch: wrong magic");
    if (crc != crc32c(seed, bytes_first(raw, BATCH_CRC_OFFSET)))
        return err_set(info, ERR_CORRUPT, "batch: checksum of the header does not match");
    if (reserved != 0 || reserved_too != 0)
        return err_set(info, ERR_CORRUPT, "batch: reserved bytes are not zero");
    left -= FORMAT_BATCH_HEADER_SIZE;
    if (h.facts_size > left || h.blocks_size > left - h.facts_size)
        return err_set(info, ERR_CORRUPT, "batch: cut short, %" PRIu64 " bytes left", left);
    *ret = h;
    return ERR_OK;
}

/* ---- create, open, close ---- */

static enum err log_file_new(struct vfs *vfs, const char *dir, uint64_t sequence,
                             struct log_file **ret)
{
    struct log_file *f = mem_zalloc(sizeof *f);
    if (f == NULL)
        return ERR_NOMEM;
    f->vfs = vfs;
    f->facts.sequence = sequence;
    buffer_init(&f->pending, WRITE_BUFFER_SIZE, NULL);
    log_file_print_name(sequence, f->name);
    size_t path_size = strlen(dir) + 1 + sizeof f->name;
    f->path = mem_alloc(path_size);
    if (f->path == NULL) {
        mem_free(f);
        return ERR_NOMEM;
    }
    (void)snprintf(f->path, path_size, "%s/%s", dir, f->name);
    *ret = f;
    return ERR_OK;
}

void log_file_close(struct log_file *f)
{
    if (f == NULL)
        return;
    if (f->file != NULL)
        f->vfs->close(f->vfs, f->file);
    buffer_close(&f->pending);
    mem_free(f->path);
    mem_free(f);
}

/* Header, its sync, and the name's. */
static enum err write_first(struct log_file *f, const char *dir, struct errinfo *info)
{
    uint8_t header[FORMAT_LOG_HEADER_SIZE];
    write_log_header(&f->facts, header);
    TRY(f->vfs->append(f->vfs, f->file, bytes_of(header, sizeof header), info));
    TRY(f->vfs->sync(f->vfs, f->file, info));
    TRY(f->vfs->sync_dir(f->vfs, dir, info));
    f->facts.size = f->facts.file_size = sizeof header;
    return ERR_OK;
}

enum err log_file_create(struct vfs *vfs, const char *dir, uint64_t sequence,
                         uint64_t previous_size, struct log_file **ret, struct errinfo *info)
{
    struct log_file *f = NULL;
    if (log_file_new(vfs, dir, sequence, &f) != ERR_OK)
        return err_set(info, ERR_NOMEM, "log: out of memory");
    f->facts.id = uuid_random();
    f->facts.created_ns = clock_wall_ns();
    f->facts.previous_size = previous_size;
    enum err rc = vfs->open(vfs, f->path, VFS_CREATE, &f->file, info);
    if (rc == ERR_OK) {
        rc = write_first(f, dir, info);
        if (rc != ERR_OK) /* nothing was promised of it */
            (void)vfs->remove(vfs, f->path, NULL);
    }
    if (rc != ERR_OK) {
        log_file_close(f);
        return rc;
    }
    *ret = f;
    return ERR_OK;
}

static enum err open_and_read_header(struct log_file *f, enum vfs_open how, struct errinfo *info)
{
    uint8_t header[FORMAT_LOG_HEADER_SIZE];
    TRY(f->vfs->open(f->vfs, f->path, how, &f->file, info));
    TRY(f->vfs->size(f->vfs, f->file, &f->facts.file_size, info));
    if (f->facts.file_size < sizeof header)
        return err_set(info, ERR_CORRUPT, "%s: header is cut short", f->name);
    TRY(f->vfs->read_at(f->vfs, f->file, 0, header, sizeof header, info));
    TRY(read_log_header(f, header, info));
    f->facts.size = sizeof header;
    return ERR_OK;
}

enum err log_file_open(struct vfs *vfs, const char *dir, uint64_t sequence, enum vfs_open how,
                       struct log_file **ret, struct errinfo *info)
{
    struct log_file *f = NULL;
    if (log_file_new(vfs, dir, sequence, &f) != ERR_OK)
        return err_set(info, ERR_NOMEM, "log: out of memory");
    enum err rc = open_and_read_header(f, how, info);
    if (rc != ERR_OK) {
        log_file_close(f);
        return rc;
    }
    *ret = f;
    return ERR_OK;
}

enum err log_file_measure(struct vfs *vfs, const char *dir, uint64_t sequence, uint64_t *ret,
                          struct errinfo *info)
{
    struct log_file *f = NULL;
    if (log_file_new(vfs, dir, sequence, &f) != ERR_OK)
        return err_set(info, ERR_NOMEM, "log: out of memory");
    enum err rc = vfs->open(vfs, f->path, VFS_READ, &f->file, info);
    if (rc == ERR_OK)
        rc = vfs->size(vfs, f->file, ret, info);
    log_file_close(f);
    return rc;
}

enum err log_file_remove_torn(struct vfs *vfs, const char *dir, uint64_t sequence,
                              bool *ret_removed, struct errinfo *info)
{
    struct log_file *f = NULL;
    uint64_t size = 0;
    if (log_file_new(vfs, dir, sequence, &f) != ERR_OK)
        return err_set(info, ERR_NOMEM, "log: out of memory");
    enum err rc = vfs->open(vfs, f->path, VFS_READ, &f->file, info);
    if (rc == ERR_OK)
        rc = vfs->size(vfs, f->file, &size, info);
    bool torn = rc == ERR_OK && size <= FORMAT_LOG_HEADER_SIZE;
    if (torn)
        rc = vfs->remove(vfs, f->path, info);
    if (torn && rc == ERR_OK)
        rc = vfs->sync_dir(vfs, dir, info);
    log_file_close(f);
    *ret_removed = torn;
    return rc;
}

enum err log_file_dispose(struct vfs *vfs, const char *dir, uint64_t sequence, bool aside,
                          struct errinfo *info)
{
    struct log_file *f = NULL;
    enum err rc = ERR_NOMEM;
    if (log_file_new(vfs, dir, sequence, &f) != ERR_OK)
        return err_set(info, ERR_NOMEM, "log: out of memory");
    size_t size = strlen(f->path) + sizeof DAMAGED_SUFFIX;
    char *to = aside ? mem_alloc(size) : NULL;
    if (to != NULL) {
        (void)snprintf(to, size, "%s" DAMAGED_SUFFIX, f->path);
        rc = vfs->rename(vfs, f->path, to, info);
    } else if (!aside) {
        rc = vfs->remove(vfs, f->path, info);
    }
    mem_free(to);
    log_file_close(f);
    return rc;
}

struct log_facts log_file_facts(const struct log_file *f)
{
    return f->facts;
}

const char *log_file_name(const struct log_file *f)
{
    return f->name;
}

/* ---- scanning ---- */

/* A piece of the file in memory, moved forward as the scan goes. */
struct window {
    struct log_file *f;
    uint64_t end; /* of the part to scan */
    uint64_t offset;
    size_t step; /* least size of a read */
    struct buffer bytes;
};

static enum err window_get(struct window *w, uint64_t offset, size_t size, struct bytes *ret,
                           struct errinfo *info)
{
    if (offset > w->end || size > w->end - offset)
        return err_set(info, ERR_CORRUPT, "cut short, %zu bytes expected", size);
    if (offset < w->offset || offset + size > w->offset + w->bytes.len) {
        uint64_t left = w->end - offset;
        size_t wanted = size > w->step ? size : w->step;
        wanted = wanted > left ? (size_t)left : wanted;
        buffer_clear(&w->bytes);
        void *to = buffer_extend(&w->bytes, wanted);
        if (to == NULL)
            return err_set(info, w->bytes.failed, "no room for %zu bytes", wanted);
        w->offset = offset;
        enum err rc = w->f->vfs->read_at(w->f->vfs, w->f->file, offset, to, wanted, info);
        if (rc != ERR_OK) {
            buffer_clear(&w->bytes);
            return rc;
        }
    }
    *ret = bytes_first(bytes_from(buffer_bytes(&w->bytes), (size_t)(offset - w->offset)), size);
    return ERR_OK;
}

struct bytes log_batch_next(struct reader *facts)
{
    uint64_t size = reader_varint(facts);
    if (size > reader_left(facts))
        facts->failed = true;
    return reader_take(facts, facts->failed ? 0 : (size_t)size);
}

/* The checksum is right, so facts that do not parse were not written by this version: that is
 * the scan's failure, not an end to be cut off. */
static enum err check_facts(const struct batch_header *h, struct bytes facts, struct errinfo *info)
{
    struct reader r = reader_of(facts);
    uint64_t blocks_size = 0;
    for (uint32_t i = 0; i < h->record_count; i++) {
        struct record record;
        TRY(record_parse(log_batch_next(&r), &record, info));
        blocks_size += record.block_size;
    }
    if (r.failed || reader_left(&r) > 0 || blocks_size != h->blocks_size)
        return err_set(info, ERR_CORRUPT, "batch: facts do not fit its header");
    return ERR_OK;
}

struct scanner {
    struct window window;
    struct buffer facts;    /* of the current batch: the window moves on to its blocks */
    struct buffer verdicts; /* a byte a record of it */
    const struct log_scan *scan;
    struct log_damage damage;
    bool headers_behind; /* a valid header stood behind damage */
};

static void note_damage(struct scanner *s, uint64_t offset, uint64_t bytes,
                        const struct errinfo *reason)
{
    struct log_damage *d = &s->damage;
    if (d->reason.text[0] == '\0') {
        d->offset = offset;
        d->reason = *reason;
    }
    d->bytes += bytes;
}

static enum err verify_block(struct scanner *s, const struct record *record, uint64_t offset,
                             bool *ret_damaged, struct errinfo *info)
{
    struct bytes page = {0};
    struct bytes stored;
    struct errinfo reason = {0};
    size_t raw_size;
    *ret_damaged = false;
    if (record->block_size == 0)
        return ERR_OK;
    TRY(window_get(&s->window, offset, record->block_size, &page, info));
    uint32_t seed = record_page_seed(record->project_id, record->profiler_id, record->id);
    *ret_damaged = page_verify(page, seed, &raw_size, &stored, &reason) != ERR_OK;
    if (*ret_damaged)
        note_damage(s, offset, record->block_size, &reason);
    return ERR_OK;
}

static enum err verify_blocks(struct scanner *s, uint32_t record_count, uint64_t offset,
                              struct errinfo *info)
{
    struct reader r = reader_of(buffer_bytes(&s->facts));
    bool any = false;
    buffer_clear(&s->verdicts);
    for (uint32_t i = 0; i < record_count; i++) {
        struct record record;
        bool damaged;
        TRY(record_parse(log_batch_next(&r), &record, info));
        TRY(verify_block(s, &record, offset, &damaged, info));
        buffer_put_u8(&s->verdicts, damaged);
        any |= damaged;
        offset += record.block_size;
    }
    s->damage.batches += any;
    return s->verdicts.failed == ERR_OK
               ? ERR_OK
               : err_set(info, s->verdicts.failed, "batch: no room for %" PRIu32 " records",
                         record_count);
}

static enum err read_header_at(struct scanner *s, uint64_t offset, struct batch_header *ret,
                               struct errinfo *info)
{
    struct log_file *f = s->window.f;
    struct bytes raw = {0};
    TRY(window_get(&s->window, offset, FORMAT_BATCH_HEADER_SIZE, &raw, info));
    return read_batch_header(raw, batch_seed(f, offset), s->window.end - offset, ret, info);
}

static enum err read_facts(struct scanner *s, uint64_t offset, const struct batch_header *h,
                           struct errinfo *info)
{
    struct bytes raw = {0};
    TRY(window_get(&s->window, offset + FORMAT_BATCH_HEADER_SIZE, h->facts_size, &raw, info));
    if (crc32c(batch_seed(s->window.f, offset), raw) != h->facts_crc)
        return err_set(info, ERR_CORRUPT, "batch: checksum of the facts does not match");
    buffer_clear(&s->facts);
    buffer_put(&s->facts, raw);
    return s->facts.failed == ERR_OK ? ERR_OK
                                     : err_set(info, s->facts.failed, "batch: no room for facts");
}

static uint64_t batch_size(const struct batch_header *h)
{
    return FORMAT_BATCH_HEADER_SIZE + h->facts_size + h->blocks_size;
}

/* The next place from `offset` on with a valid header; false: there is none. A number below the
 * expected one is none of this place. */
static enum err find_header(struct scanner *s, uint64_t offset, uint64_t *ret_offset,
                            struct batch_header *ret, bool *ret_found, struct errinfo *info)
{
    struct window *w = &s->window;
    w->step = WINDOW_SIZE;
    *ret_found = false;
    for (; offset < w->end && w->end - offset >= FORMAT_BATCH_HEADER_SIZE; offset++) {
        struct bytes raw = {0};
        TRY(window_get(w, offset, FORMAT_BATCH_HEADER_SIZE, &raw, info));
        if (raw.data[0] != (uint8_t)FORMAT_BATCH_MAGIC ||
            read_batch_header(raw, batch_seed(w->f, offset), w->end - offset, ret, NULL) !=
                ERR_OK ||
            ret->number < w->f->batch_count)
            continue;
        *ret_offset = offset;
        *ret_found = true;
        return ERR_OK;
    }
    return ERR_OK;
}

/* A batch with whole header and facts behind `offset`. Where only facts are damaged their header
 * says where to go on, so that nothing inside a block is taken for a batch. */
static enum err find_batch(struct scanner *s, uint64_t offset, uint64_t *ret_offset,
                           struct batch_header *ret, bool *ret_found, struct errinfo *info)
{
    for (;;) {
        TRY(find_header(s, offset, ret_offset, ret, ret_found, info));
        if (!*ret_found)
            return ERR_OK;
        s->headers_behind = true;
        enum err rc = read_facts(s, *ret_offset, ret, info);
        if (rc != ERR_CORRUPT)
            return rc;
        offset = *ret_offset + batch_size(ret);
    }
}

/* Header and facts of the batch that stands here. ERR_CORRUPT: none does, look from `ret_next`. */
static enum err read_batch(struct scanner *s, struct batch_header *ret, uint64_t *ret_next,
                           struct errinfo *info)
{
    struct log_file *f = s->window.f;
    uint64_t offset = f->facts.size;
    *ret_next = offset + 1;
    TRY(read_header_at(s, offset, ret, info));
    if (ret->number != f->batch_count)
        return err_set(info, ERR_CORRUPT, "batch: number %" PRIu64 ", expected %" PRIu64,
                       ret->number, f->batch_count);
    enum err rc = read_facts(s, offset, ret, info);
    if (rc == ERR_CORRUPT)
        *ret_next = offset + batch_size(ret);
    return rc;
}

/* Step over what is no batch; the end is reached when nothing whole follows. */
static enum err skip_damage(struct scanner *s, uint64_t from, const struct errinfo *reason,
                            struct batch_header *ret, bool *ret_found, struct errinfo *info)
{
    struct log_file *f = s->window.f;
    uint64_t offset = 0;
    TRY(find_batch(s, from, &offset, ret, ret_found, info));
    if (!*ret_found) {
        s->damage.tail_reason = *reason;
        return ERR_OK;
    }
    note_damage(s, f->facts.size, offset - f->facts.size, reason);
    uint64_t lost = ret->number - f->batch_count;
    s->damage.batches += lost == 0 ? 1 : lost;
    f->facts.size = offset;
    f->batch_count = ret->number;
    return ERR_OK;
}

/* Hand over the batch whose header and facts were read. */
static enum err take_batch(struct scanner *s, const struct batch_header *h, struct errinfo *info)
{
    struct log_file *f = s->window.f;
    uint64_t blocks = f->facts.size + FORMAT_BATCH_HEADER_SIZE + h->facts_size;
    TRY(check_facts(h, buffer_bytes(&s->facts), info));
    if (s->scan->verify_blocks)
        TRY(verify_blocks(s, h->record_count, blocks, info));
    struct log_batch batch = {.record_count = h->record_count,
                              .facts = buffer_bytes(&s->facts),
                              .damaged = buffer_bytes(&s->verdicts),
                              .blocks_offset = blocks,
                              .blocks_size = h->blocks_size};
    TRY(s->scan->on_batch(s->scan->self, &batch, info));
    bool skips = !s->scan->verify_blocks && h->blocks_size > 2 * WINDOW_SIZE_SMALL;
    s->window.step = skips ? WINDOW_SIZE_SMALL : WINDOW_SIZE;
    f->facts.size = blocks + h->blocks_size;
    f->batch_count++;
    return ERR_OK;
}

static enum err scan_all(struct scanner *s, struct errinfo *info)
{
    struct log_file *f = s->window.f;
    bool found = true;
    while (found && f->facts.size < s->window.end) {
        struct batch_header h = {0};
        struct errinfo reason = {0};
        uint64_t next = 0;
        enum err rc = read_batch(s, &h, &next, &reason);
        if (rc == ERR_CORRUPT)
            rc = skip_damage(s, next, &reason, &h, &found, &reason);
        if (rc == ERR_OK && found)
            rc = take_batch(s, &h, &reason);
        if (rc != ERR_OK)
            return err_set(info, rc, "%s: offset %" PRIu64 ": %s", f->name, f->facts.size,
                           reason.text);
    }
    return ERR_OK;
}

/* What stands behind the last batch, or should: a successor may have promised more. */
static void note_tail(struct scanner *s)
{
    struct log_file *f = s->window.f;
    struct log_damage *d = &s->damage;
    uint64_t expected = s->scan->size_max == 0 ? s->window.end : s->scan->size_max;
    d->tail_offset = f->facts.size;
    d->tail_size = expected > f->facts.size ? expected - f->facts.size : 0;
    d->tail_torn = d->tail_size > 0 && s->scan->size_max == 0 && !s->headers_behind;
    if (d->tail_size > 0 && d->tail_reason.text[0] == '\0')
        (void)err_set(&d->tail_reason, ERR_CORRUPT, "the file ends early");
    if (d->tail_size > 0 && !d->tail_torn)
        note_damage(s, f->facts.size, 0, &d->tail_reason);
}

enum err log_file_scan(struct log_file *f, const struct log_scan *scan,
                       struct log_damage *ret_damage, struct errinfo *info)
{
    assert(f->facts.size == FORMAT_LOG_HEADER_SIZE);
    struct scanner s = {.window = {.f = f, .end = f->facts.file_size, .step = WINDOW_SIZE},
                        .scan = scan};
    if (scan->size_max != 0 && scan->size_max < s.window.end)
        s.window.end = scan->size_max;
    buffer_init(&s.window.bytes, SIZE_MAX, NULL); /* never more than the file holds */
    buffer_init(&s.facts, SIZE_MAX, NULL);
    buffer_init(&s.verdicts, SIZE_MAX, NULL);
    enum err rc = scan_all(&s, info);
    note_tail(&s);
    buffer_close(&s.verdicts);
    buffer_close(&s.facts);
    buffer_close(&s.window.bytes);
    if (rc == ERR_OK)
        *ret_damage = s.damage;
    return rc;
}

enum err log_file_trim(struct log_file *f, struct errinfo *info)
{
    if (f->facts.file_size > f->facts.size)
        TRY(f->vfs->truncate(f->vfs, f->file, f->facts.size, info));
    f->facts.file_size = f->facts.size;
    return f->vfs->sync(f->vfs, f->file, info);
}

/* ---- appending ---- */

static enum err flush_pending(struct log_file *f, struct errinfo *info)
{
    enum err rc = ERR_OK;
    if (f->pending.len > 0)
        rc = f->vfs->append(f->vfs, f->file, buffer_bytes(&f->pending), info);
    buffer_clear(&f->pending);
    return rc;
}

static enum err write_part(struct log_file *f, struct bytes part, struct errinfo *info)
{
    if (part.len >= WRITE_DIRECT_FROM) {
        TRY(flush_pending(f, info));
        return f->vfs->append(f->vfs, f->file, part, info);
    }
    if (part.len > f->pending.max - f->pending.len)
        TRY(flush_pending(f, info));
    buffer_put(&f->pending, part);
    return f->pending.failed == ERR_OK
               ? ERR_OK
               : err_set(info, f->pending.failed, "%s: no room to write", f->name);
}

/* All facts of the batch, each with its size in front. */
static enum err gather_facts(const struct bytes *records, size_t count, struct buffer *facts,
                             uint64_t *ret_blocks_size, struct errinfo *info)
{
    uint64_t blocks_size = 0;
    for (size_t i = 0; i < count; i++) {
        struct bytes one;
        struct bytes block;
        TRY(record_split(records[i], &one, &block, info));
        buffer_put_varint(facts, one.len);
        buffer_put(facts, one);
        blocks_size += block.len;
    }
    if (facts->failed != ERR_OK)
        return err_set(info, facts->failed, "log: no room for the facts of %zu records", count);
    *ret_blocks_size = blocks_size;
    return ERR_OK;
}

static enum err write_blocks(struct log_file *f, const struct bytes *records, size_t count,
                             struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes facts;
        struct bytes block;
        TRY(record_split(records[i], &facts, &block, info));
        TRY(write_part(f, block, info));
    }
    return flush_pending(f, info);
}

static enum err write_batch(struct log_file *f, const struct bytes *records, size_t count,
                            struct buffer *facts, struct batch_header *h, struct errinfo *info)
{
    uint8_t header[FORMAT_BATCH_HEADER_SIZE];
    uint32_t seed = batch_seed(f, f->facts.size);
    h->facts_crc = crc32c(seed, buffer_bytes(facts));
    write_batch_header(h, seed, header);
    TRY(write_part(f, bytes_of(header, sizeof header), info));
    TRY(write_part(f, buffer_bytes(facts), info));
    return write_blocks(f, records, count, info);
}

void log_file_take_back(struct log_file *f, uint64_t size)
{
    assert(size >= FORMAT_LOG_HEADER_SIZE && size <= f->facts.size);
    if (f->facts.size > size)
        f->batch_count--;
    f->facts.size = size;
    if (f->vfs->truncate(f->vfs, f->file, size, NULL) != ERR_OK)
        f->facts.broken = true;
}

static enum err append_gathered(struct log_file *f, const struct bytes *records, size_t count,
                                struct buffer *facts, bool sync, struct batch_header *h,
                                struct errinfo *info)
{
    enum err rc = write_batch(f, records, count, facts, h, info);
    if (rc != ERR_OK) {
        buffer_clear(&f->pending);
        if (rc != ERR_NOSPACE && rc != ERR_NOMEM)
            f->facts.broken = true;
        log_file_take_back(f, f->facts.size);
        return rc;
    }
    if (!sync)
        return ERR_OK;
    rc = log_file_sync(f, info);
    if (rc != ERR_OK) /* for readers of the file that know no better */
        log_file_take_back(f, f->facts.size);
    return rc;
}

enum err log_file_append(struct log_file *f, const struct bytes *records, size_t count, bool sync,
                         uint64_t *ret_blocks_offset, struct errinfo *info)
{
    if (f->facts.broken)
        return err_set(info, ERR_IO, "%s: failed before, takes no more", f->name);
    struct batch_header h = {.record_count = (uint32_t)count, .number = f->batch_count};
    struct buffer facts;
    buffer_init(&facts, BATCH_SIZE_MAX, NULL);
    enum err rc = gather_facts(records, count, &facts, &h.blocks_size, info);
    h.facts_size = (uint32_t)facts.len;
    if (rc == ERR_OK)
        rc = append_gathered(f, records, count, &facts, sync, &h, info);
    buffer_close(&facts);
    if (rc != ERR_OK)
        return rc;
    *ret_blocks_offset = f->facts.size + FORMAT_BATCH_HEADER_SIZE + h.facts_size;
    f->facts.size = *ret_blocks_offset + h.blocks_size;
    f->batch_count++;
    f->facts.unsynced = !sync;
    return ERR_OK;
}

enum err log_file_sync(struct log_file *f, struct errinfo *info)
{
    if (f->sync_failed)
        return err_set(info, ERR_IO, "%s: a sync failed before", f->name);
    enum err rc = f->vfs->sync(f->vfs, f->file, info);
    if (rc != ERR_OK)
        f->facts.broken = f->sync_failed = true;
    else
        f->facts.unsynced = false;
    return rc;
}

enum err log_file_read(struct log_file *f, uint64_t offset, void *to, size_t size,
                       struct errinfo *info)
{
    return f->vfs->read_at(f->vfs, f->file, offset, to, size, info);
}

enum err log_file_verify_block(struct log_file *f, const struct record *record, uint64_t offset,
                               struct errinfo *info)
{
    struct bytes stored;
    size_t raw_size;
    uint8_t *page = mem_alloc(record->block_size);
    if (page == NULL)
        return err_set(info, ERR_NOMEM, "%s: no room for a block of %" PRIu32 " bytes", f->name,
                       record->block_size);
    enum err rc = log_file_read(f, offset, page, record->block_size, info);
    uint32_t seed = record_page_seed(record->project_id, record->profiler_id, record->id);
    if (rc == ERR_OK)
        rc = page_verify(bytes_of(page, record->block_size), seed, &raw_size, &stored, info);
    mem_free(page);
    return rc;
}
