/* segment_file.c - the container of a segment; docs/segment-format.md has its layout byte by byte. */
#include "storage/segment_file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/size.h"
#include "storage/crc32c.h"

#define PIECE_SIZE        FORMAT_SEGMENT_PIECE_SIZE
#define HEADER_SIZE       FORMAT_SEGMENT_HEADER_SIZE
#define FOOTER_SIZE       FORMAT_SEGMENT_FOOTER_SIZE
#define ENTRY_SIZE        FORMAT_SEGMENT_ENTRY_SIZE
#define CHECKSUM_SIZE     ((size_t)4)
#define CRC_OFFSET        ((size_t)60) /* of the header, and of the footer */
#define WRITE_BUFFER_SIZE KIB(256)
#define CHECKSUMS_MAX     ((size_t)(SEGMENT_SIZE_MAX / PIECE_SIZE * CHECKSUM_SIZE))
#define NAME_SIZE         ((size_t)48) /* of the file in messages; longer ones are cut */

static_assert(WRITE_BUFFER_SIZE % PIECE_SIZE == 0,
              "pieces do not straddle what is written at once");
static_assert(FORMAT_SEGMENT_SECTION_MAX * ENTRY_SIZE + FOOTER_SIZE <= WRITE_BUFFER_SIZE,
              "directory and footer are written at once");

struct entry {
    uint32_t kind;
    struct segment_section section;
};

static uint32_t id_seed(struct uuid id)
{
    return crc32c(0, bytes_of(id.byte, sizeof id.byte));
}

static uint32_t piece_crc(uint32_t seed, uint64_t number, struct bytes piece)
{
    uint8_t place[8];
    put_u64(place, number);
    return crc32c(crc32c(seed, bytes_of(place, sizeof place)), piece);
}

/* ---- writing ---- */

struct segment_file_writer {
    struct vfs *vfs;
    struct vfs_file *file;
    uint32_t seed;           /* of all checksums */
    uint64_t written;        /* bytes of the file before `pending`, whole buffers */
    struct buffer pending;   /* what follows them */
    struct buffer checksums; /* of the pieces written */
    struct entry sections[FORMAT_SEGMENT_SECTION_MAX];
    size_t section_count;
    bool finished;
    enum err failed;
    struct errinfo reason;
};

static void put_header(struct buffer *out, struct uuid id, int64_t created_ns)
{
    uint8_t to[FORMAT_SEGMENT_HEADER_SIZE] = {0};
    struct bytes magic = BYTES(FORMAT_SEGMENT_MAGIC);
    memcpy(to, magic.data, magic.len);
    put_u32(to + 8, FORMAT_SEGMENT_VERSION);
    put_u32(to + 12, HEADER_SIZE);
    memcpy(to + 16, id.byte, sizeof id.byte);
    put_u64(to + 32, (uint64_t)created_ns);
    put_u32(to + CRC_OFFSET, crc32c(0, bytes_of(to, CRC_OFFSET)));
    buffer_put(out, bytes_of(to, sizeof to));
}

enum err segment_file_create(struct vfs *vfs, const char *path, struct uuid id, int64_t created_ns,
                             struct mem_account *account, struct segment_file_writer **ret,
                             struct errinfo *info)
{
    struct segment_file_writer *w = mem_zalloc(sizeof *w);
    if (w == NULL)
        return err_set(info, ERR_NOMEM, "%s: out of memory", path);
    w->vfs = vfs;
    w->seed = id_seed(id);
    buffer_init(&w->pending, WRITE_BUFFER_SIZE, account);
    buffer_init(&w->checksums, CHECKSUMS_MAX, account);
    enum err rc = buffer_reserve(&w->pending, WRITE_BUFFER_SIZE);
    if (rc != ERR_OK)
        rc = err_set(info, rc, "%s: no memory to write it", path);
    else
        rc = vfs->open(vfs, path, VFS_CREATE, &w->file, info);
    if (rc != ERR_OK) {
        segment_file_writer_destroy(w);
        return rc;
    }
    put_header(&w->pending, id, created_ns);
    *ret = w;
    return ERR_OK;
}

void segment_file_writer_destroy(struct segment_file_writer *w)
{
    if (w == NULL)
        return;
    if (w->file != NULL)
        w->vfs->close(w->vfs, w->file);
    buffer_close(&w->pending);
    buffer_close(&w->checksums);
    mem_free(w);
}

static enum err write_pending(struct segment_file_writer *w)
{
    struct bytes left = buffer_bytes(&w->pending);
    uint64_t number = w->written / PIECE_SIZE;
    for (; left.len > 0; left = bytes_from(left, PIECE_SIZE), number++)
        buffer_put_u32(&w->checksums, piece_crc(w->seed, number, bytes_first(left, PIECE_SIZE)));
    if (w->checksums.failed != ERR_OK)
        return err_set(&w->reason, w->checksums.failed,
                       "no memory for checksums of %" PRIu64 " bytes", w->written + w->pending.len);
    TRY(w->vfs->append(w->vfs, w->file, buffer_bytes(&w->pending), &w->reason));
    w->written += w->pending.len;
    buffer_clear(&w->pending);
    return ERR_OK;
}

static void put(struct segment_file_writer *w, struct bytes data)
{
    while (data.len > 0 && w->failed == ERR_OK) {
        struct bytes part = bytes_first(data, WRITE_BUFFER_SIZE - w->pending.len);
        buffer_put(&w->pending, part);
        data = bytes_from(data, part.len);
        if (w->pending.len == WRITE_BUFFER_SIZE)
            w->failed = write_pending(w);
    }
}

static void put_padding(struct segment_file_writer *w)
{
    static const uint8_t zeros[FORMAT_SEGMENT_ALIGN];
    put(w, bytes_of(zeros, (0 - w->pending.len) % FORMAT_SEGMENT_ALIGN));
}

void segment_file_begin(struct segment_file_writer *w, enum format_section kind)
{
    assert(w->section_count < FORMAT_SEGMENT_SECTION_MAX);
    for (size_t i = 0; i < w->section_count; i++)
        assert(w->sections[i].kind != (uint32_t)kind);
    put_padding(w);
    w->sections[w->section_count++] =
        (struct entry){.kind = kind, .section.offset = w->written + w->pending.len};
}

void segment_file_put(struct segment_file_writer *w, struct bytes data)
{
    assert(w->section_count > 0 && !w->finished);
    w->sections[w->section_count - 1].section.size += data.len;
    put(w, data);
}

uint64_t segment_file_put_size(const struct segment_file_writer *w)
{
    assert(w->section_count > 0);
    return w->sections[w->section_count - 1].section.size;
}

bool segment_file_writer_failed(const struct segment_file_writer *w)
{
    return w->failed != ERR_OK;
}

/* By insertion: they mostly come in order. */
static void sort_by_kind(struct entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct entry moved = entries[i];
        size_t at = i;
        for (; at > 0 && entries[at - 1].kind > moved.kind; at--)
            entries[at] = entries[at - 1];
        entries[at] = moved;
    }
}

static void put_directory(struct buffer *out, const struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buffer_put_u32(out, entries[i].kind);
        buffer_put_u32(out, 0);
        buffer_put_u64(out, entries[i].section.offset);
        buffer_put_u64(out, entries[i].section.size);
    }
}

/* `out` holds the directory, and nothing else. */
static void put_footer(const struct segment_file_writer *w, struct buffer *out, uint64_t *ret_size)
{
    uint8_t to[FORMAT_SEGMENT_FOOTER_SIZE] = {0};
    struct bytes magic = BYTES(FORMAT_SEGMENT_MAGIC);
    struct bytes checksums = buffer_bytes(&w->checksums);
    uint64_t size = w->written + checksums.len + out->len + sizeof to;
    put_u64(to, w->written);
    put_u64(to + 8, checksums.len / CHECKSUM_SIZE);
    put_u64(to + 16, w->written + checksums.len);
    put_u32(to + 24, (uint32_t)w->section_count);
    put_u32(to + 28, crc32c(crc32c(w->seed, checksums), buffer_bytes(out)));
    put_u64(to + 32, size);
    memcpy(to + 52, magic.data, magic.len);
    put_u32(to + CRC_OFFSET, crc32c(w->seed, bytes_of(to, CRC_OFFSET)));
    buffer_put(out, bytes_of(to, sizeof to));
    *ret_size = size;
}

static enum err finish(struct segment_file_writer *w, uint64_t *ret_size)
{
    put_padding(w);
    TRY(w->failed);
    TRY(write_pending(w));
    sort_by_kind(w->sections, w->section_count);
    put_directory(&w->pending, w->sections, w->section_count);
    put_footer(w, &w->pending, ret_size);
    TRY(w->vfs->append(w->vfs, w->file, buffer_bytes(&w->checksums), &w->reason));
    TRY(w->vfs->append(w->vfs, w->file, buffer_bytes(&w->pending), &w->reason));
    return w->vfs->sync(w->vfs, w->file, &w->reason);
}

enum err segment_file_finish(struct segment_file_writer *w, uint64_t *ret_size,
                             struct errinfo *info)
{
    assert(!w->finished);
    uint64_t size = 0;
    w->failed = finish(w, &size);
    w->finished = true;
    if (w->failed != ERR_OK)
        return err_set(info, w->failed, "%s", w->reason.text);
    *ret_size = size;
    return ERR_OK;
}

/* ---- reading ---- */

struct segment_file_rest {
    struct vfs *vfs;
    struct mem_account *account;
    size_t memory; /* of the object, counted there */
    struct uuid id;
    int64_t created_ns;
    uint32_t seed;
    struct bytes checksums;
    uint64_t piece_count;
    struct entry *sections; /* by kind; a copy, so that their ranges stay checked */
    size_t section_count;
    _Atomic uint64_t *failed; /* a bit a piece: its checksum was wrong once */
    atomic_bool damaged;
    char name[NAME_SIZE];
};

/* What header and footer say. */
struct ends {
    struct uuid id;
    int64_t created_ns;
    uint32_t seed;
    uint64_t checksums_offset;
    uint64_t piece_count;
    uint64_t directory_offset;
    uint32_t section_count;
    uint32_t index_crc; /* of checksums and directory */
};

static bool take_zeros(struct reader *r, size_t count)
{
    struct bytes zeros = reader_take(r, count);
    for (size_t i = 0; i < zeros.len; i++)
        if (zeros.data[i] != 0)
            return false;
    return true;
}

static enum err read_header(struct bytes file, struct ends *ret, struct errinfo *info)
{
    struct bytes raw = bytes_first(file, HEADER_SIZE);
    struct reader r = reader_of(raw);
    struct bytes magic = reader_take(&r, 8);
    uint32_t version = reader_u32(&r);
    uint32_t header_size = reader_u32(&r);
    struct bytes id = reader_take(&r, sizeof ret->id.byte);
    ret->created_ns = (int64_t)reader_u64(&r);
    bool zeros = take_zeros(&r, 20);
    uint32_t crc = reader_u32(&r);
    if (r.failed)
        return err_set(info, ERR_CORRUPT, "cut short at %zu bytes", file.len);
    if (!bytes_equal(magic, BYTES(FORMAT_SEGMENT_MAGIC)))
        return err_set(info, ERR_CORRUPT, "not a segment: wrong magic");
    /* of every version, so that a damaged number is not taken for a newer one */
    if (crc != crc32c(0, bytes_first(raw, CRC_OFFSET)))
        return err_set(info, ERR_CORRUPT, "checksum of the header does not match");
    if (version != FORMAT_SEGMENT_VERSION)
        return err_set(info, ERR_UNSUPPORTED, "version %" PRIu32 ", expected %" PRIu32, version,
                       FORMAT_SEGMENT_VERSION);
    if (header_size != HEADER_SIZE || !zeros)
        return err_set(info, ERR_CORRUPT, "impossible header");
    memcpy(ret->id.byte, id.data, id.len);
    ret->seed = id_seed(ret->id);
    return ERR_OK;
}

/* Each part begins where the one before ends, and the last one ends the file. */
static bool ends_fit(const struct ends *e, uint64_t size)
{
    uint64_t at = e->checksums_offset;
    if (at < HEADER_SIZE || at > size || at % FORMAT_SEGMENT_ALIGN != 0)
        return false;
    uint64_t left = size - at;
    if (e->piece_count != at / PIECE_SIZE + (at % PIECE_SIZE != 0) ||
        e->piece_count > left / CHECKSUM_SIZE)
        return false;
    left -= e->piece_count * CHECKSUM_SIZE;
    return e->directory_offset == size - left && e->section_count <= FORMAT_SEGMENT_SECTION_MAX &&
           left == e->section_count * ENTRY_SIZE + FOOTER_SIZE;
}

static enum err read_footer(struct bytes file, struct ends *e, struct errinfo *info)
{
    if (file.len < HEADER_SIZE + FOOTER_SIZE)
        return err_set(info, ERR_CORRUPT, "cut short at %zu bytes", file.len);
    struct bytes raw = bytes_from(file, file.len - FOOTER_SIZE);
    struct reader r = reader_of(raw);
    e->checksums_offset = reader_u64(&r);
    e->piece_count = reader_u64(&r);
    e->directory_offset = reader_u64(&r);
    e->section_count = reader_u32(&r);
    e->index_crc = reader_u32(&r);
    uint64_t size = reader_u64(&r);
    bool zeros = take_zeros(&r, 12);
    struct bytes magic = reader_take(&r, 8);
    uint32_t crc = reader_u32(&r);
    if (!bytes_equal(magic, BYTES(FORMAT_SEGMENT_MAGIC)))
        return err_set(info, ERR_CORRUPT, "no footer in the last of %zu bytes", file.len);
    if (crc != crc32c(e->seed, bytes_first(raw, CRC_OFFSET)))
        return err_set(info, ERR_CORRUPT, "checksum of the footer does not match");
    if (size != file.len)
        return err_set(info, ERR_CORRUPT, "%zu bytes, expected %" PRIu64, file.len, size);
    if (!zeros || !ends_fit(e, size))
        return err_set(info, ERR_CORRUPT, "impossible footer");
    return ERR_OK;
}

static enum err read_ends(struct bytes file, struct ends *ret, struct errinfo *info)
{
    TRY(read_header(file, ret, info));
    TRY(read_footer(file, ret, info));
    struct bytes index = bytes_from(file, (size_t)ret->checksums_offset);
    index = bytes_first(index, index.len - FOOTER_SIZE);
    if (ret->index_crc != crc32c(ret->seed, index))
        return err_set(info, ERR_CORRUPT, "checksum of the directory does not match");
    return ERR_OK;
}

static bool sections_overlap(const struct segment_section *a, const struct segment_section *b)
{
    return a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

static bool section_fits(const struct segment_section *s, uint64_t end)
{
    return s->offset % FORMAT_SEGMENT_ALIGN == 0 && s->offset >= HEADER_SIZE && s->offset <= end &&
           s->size <= end - s->offset;
}

static enum err check_entry(const struct entry *entries, size_t at, uint64_t end,
                            struct errinfo *info)
{
    const struct entry *e = &entries[at];
    if (at > 0 && e->kind <= e[-1].kind)
        return err_set(info, ERR_CORRUPT, "section %" PRIu32 " stands behind %" PRIu32, e->kind,
                       e[-1].kind);
    if (!section_fits(&e->section, end))
        return err_set(info, ERR_CORRUPT,
                       "section %" PRIu32 ": %" PRIu64 " bytes at %" PRIu64 " do not fit", e->kind,
                       e->section.size, e->section.offset);
    for (size_t i = 0; i < at; i++)
        if (sections_overlap(&entries[i].section, &e->section))
            return err_set(info, ERR_CORRUPT, "sections %" PRIu32 " and %" PRIu32 " overlap",
                           entries[i].kind, e->kind);
    return ERR_OK;
}

static enum err read_directory(struct segment_file *f, struct bytes directory, struct errinfo *info)
{
    struct reader r = reader_of(directory);
    for (size_t i = 0; i < f->rest->section_count; i++) {
        struct entry *e = &f->rest->sections[i];
        e->kind = reader_u32(&r);
        uint32_t reserved = reader_u32(&r);
        e->section.offset = reader_u64(&r);
        e->section.size = reader_u64(&r);
        if (r.failed || reserved != 0)
            return err_set(info, ERR_CORRUPT, "impossible directory");
        TRY(check_entry(f->rest->sections, i, f->checked_size, info));
    }
    return ERR_OK;
}

/* One block: the file, the rest of it, the sections, two bits a piece. */
struct opened {
    struct segment_file file;
    struct segment_file_rest rest;
    struct entry sections[];
};

static bool opened_size(const struct ends *e, size_t words, size_t *ret)
{
    size_t bits;
    return size_mul(words, 2 * sizeof(uint64_t), &bits) &&
           size_add(bits, sizeof(struct opened) + e->section_count * sizeof(struct entry), ret);
}

static void opened_init(struct opened *o, struct bytes mapped, const struct ends *e, size_t words)
{
    _Atomic uint64_t *bits = (void *)(o->sections + e->section_count);
    o->rest.id = e->id;
    o->rest.created_ns = e->created_ns;
    o->rest.seed = e->seed;
    o->rest.checksums = bytes_from(mapped, (size_t)e->checksums_offset);
    o->rest.piece_count = e->piece_count;
    o->rest.sections = o->sections;
    o->rest.section_count = e->section_count;
    o->rest.failed = bits + words;
    o->file = (struct segment_file){.data = mapped.data,
                                    .size = mapped.len,
                                    .checked_size = e->checksums_offset,
                                    .verified = bits,
                                    .rest = &o->rest};
}

static enum err opened_create(struct vfs *vfs, struct mem_account *account, struct bytes mapped,
                              const struct ends *e, struct segment_file **ret)
{
    size_t words = (size_t)(e->piece_count / 64 + 1);
    size_t size;
    if (!opened_size(e, words, &size))
        return ERR_LIMIT;
    if (account != NULL)
        TRY(mem_account_reserve(account, size));
    struct opened *o = mem_zalloc(size);
    if (o == NULL) {
        if (account != NULL)
            mem_account_release(account, size);
        return ERR_NOMEM;
    }
    o->rest.vfs = vfs;
    o->rest.account = account;
    o->rest.memory = size;
    opened_init(o, mapped, e, words);
    *ret = &o->file;
    return ERR_OK;
}

static void opened_destroy(struct segment_file *f)
{
    if (f->rest->account != NULL)
        mem_account_release(f->rest->account, f->rest->memory);
    mem_free(f); /* the first member of its block */
}

/* The last component. */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static enum err open_mapped(struct vfs *vfs, struct bytes mapped, struct mem_account *account,
                            struct segment_file **ret, struct errinfo *info)
{
    struct ends ends = {0};
    struct segment_file *f = NULL;
    TRY(read_ends(mapped, &ends, info));
    enum err rc = opened_create(vfs, account, mapped, &ends, &f);
    if (rc != ERR_OK)
        return err_set(info, rc, "no memory to open it");
    rc = read_directory(f, bytes_from(mapped, (size_t)ends.directory_offset), info);
    if (rc == ERR_OK && !segment_file_verify_piece(f, 0))
        rc = err_set(info, ERR_CORRUPT, "checksum of the first piece does not match");
    if (rc != ERR_OK) {
        opened_destroy(f);
        return rc;
    }
    *ret = f;
    return ERR_OK;
}

static enum err map_file(struct vfs *vfs, const char *path, struct bytes *ret, struct errinfo *info)
{
    struct vfs_file *file = NULL;
    TRY(vfs->open(vfs, path, VFS_READ, &file, info));
    enum err rc = vfs->map(vfs, file, ret, info);
    vfs->close(vfs, file); /* what is mapped stays */
    return rc;
}

enum err segment_file_open(struct vfs *vfs, const char *path, struct mem_account *account,
                           struct segment_file **ret, struct errinfo *info)
{
    struct bytes mapped = {0};
    struct segment_file *f = NULL;
    TRY(map_file(vfs, path, &mapped, info));
    enum err rc = open_mapped(vfs, mapped, account, &f, info);
    if (rc != ERR_OK) {
        vfs->unmap(vfs, mapped);
        return err_wrap(info, rc, name_of(path));
    }
    assert(f != NULL);
    (void)snprintf(f->rest->name, sizeof f->rest->name, "%s", name_of(path));
    *ret = f;
    return ERR_OK;
}

void segment_file_close(struct segment_file *f)
{
    if (f == NULL)
        return;
    f->rest->vfs->unmap(f->rest->vfs, bytes_of(f->data, (size_t)f->size));
    opened_destroy(f);
}

struct uuid segment_file_id(const struct segment_file *f)
{
    return f->rest->id;
}

int64_t segment_file_created_ns(const struct segment_file *f)
{
    return f->rest->created_ns;
}

bool segment_file_section(const struct segment_file *f, enum format_section kind,
                          struct segment_section *ret)
{
    for (size_t i = 0; i < f->rest->section_count; i++) {
        if (f->rest->sections[i].kind == (uint32_t)kind) {
            *ret = f->rest->sections[i].section;
            return true;
        }
    }
    return false;
}

/* ---- verifying ---- */

static bool piece_matches(const struct segment_file *f, uint64_t piece)
{
    uint64_t offset = piece * PIECE_SIZE;
    struct bytes checked = bytes_of(f->data, (size_t)f->checked_size);
    struct bytes data = bytes_first(bytes_from(checked, (size_t)offset), PIECE_SIZE);
    struct bytes stored = bytes_from(f->rest->checksums, (size_t)piece * CHECKSUM_SIZE);
    struct reader r = reader_of(bytes_first(stored, CHECKSUM_SIZE));
    return reader_u32(&r) == piece_crc(f->rest->seed, piece, data);
}

/* Damage wins, in whatever order two threads come that read the piece differently (a device may
 * give other bytes the second time): who saw damage says so before clearing `verified`, who did
 * not looks for it after setting that. */
static bool note_piece(const struct segment_file *f, uint64_t piece, bool good)
{
    _Atomic uint64_t *verified = &f->verified[piece / 64];
    _Atomic uint64_t *failed = &f->rest->failed[piece / 64];
    uint64_t bit = UINT64_C(1) << (piece % 64);
    if (good)
        atomic_fetch_or(verified, bit);
    else
        atomic_fetch_or(failed, bit);
    if ((atomic_load(failed) & bit) == 0)
        return true;
    atomic_store(&f->rest->damaged, true);
    atomic_fetch_and(verified, ~bit);
    return false;
}

bool segment_file_verify_piece(const struct segment_file *f, uint64_t piece)
{
    assert(piece < f->rest->piece_count);
    uint64_t failed = atomic_load(&f->rest->failed[piece / 64]);
    if ((failed >> (piece % 64) & 1) != 0)
        return false;
    return note_piece(f, piece, piece_matches(f, piece));
}

bool segment_file_is_damaged(const struct segment_file *f)
{
    return atomic_load(&f->rest->damaged);
}

bool segment_file_lost_pages(const struct segment_file *f)
{
    struct vfs *vfs = f->rest->vfs;
    return vfs->map_failed(vfs, bytes_of(f->data, (size_t)f->size));
}

enum err segment_file_verify(const struct segment_file *f, struct errinfo *info)
{
    uint64_t wrong = 0;
    uint64_t first = 0;
    for (uint64_t piece = 0; piece < f->rest->piece_count; piece++) {
        if (note_piece(f, piece, piece_matches(f, piece)))
            continue;
        if (wrong++ == 0)
            first = piece * PIECE_SIZE;
    }
    if (wrong == 0)
        return ERR_OK;
    return err_set(info, ERR_CORRUPT,
                   "%s: checksums of %" PRIu64 " of %" PRIu64
                   " pieces do not match, the first at %" PRIu64,
                   f->rest->name, wrong, f->rest->piece_count, first);
}

enum err segment_file_view(const struct segment_file *f, uint64_t offset, uint64_t size,
                           struct bytes *ret, struct errinfo *info)
{
    if (offset < HEADER_SIZE || offset > f->checked_size || size > f->checked_size - offset)
        return err_set(info, ERR_CORRUPT,
                       "%s: %" PRIu64 " bytes at %" PRIu64 " are not in its sections",
                       f->rest->name, size, offset);
    const uint8_t *data = segment_file_at(f, offset, (size_t)size);
    if (data == NULL)
        return err_set(info, ERR_CORRUPT,
                       "%s: checksum does not match in %" PRIu64 " bytes at %" PRIu64,
                       f->rest->name, size, offset);
    *ret = bytes_of(data, (size_t)size);
    return ERR_OK;
}
