#include "storage/manifest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/size.h"
#include "storage/crc32c.h"
#include "storage/format.h"
#include "storage/numbered_name.h"

#define CRC_SIZE ((size_t)4)

static_assert(SEGMENT_NAME_SIZE == sizeof FORMAT_SEGMENT_PREFIX - 1 + NUMBERED_NAME_DIGITS,
              "what segment_print_name writes");

void segment_print_name(uint64_t number, char name[SEGMENT_NAME_SIZE + 1])
{
    numbered_name_print(BYTES(FORMAT_SEGMENT_PREFIX), number, name);
}

bool segment_parse_name(struct bytes name, uint64_t *ret_number)
{
    return numbered_name_parse(BYTES(FORMAT_SEGMENT_PREFIX), name, ret_number);
}

/* ---- in memory ---- */

static void segment_close(struct manifest_segment *s)
{
    mem_free(s->rows.ids);
    mem_free(s->links.ids);
}

void manifest_close(struct manifest *m)
{
    for (size_t i = 0; i < m->count; i++)
        segment_close(&m->segments[i]);
    mem_free(m->segments);
    *m = (struct manifest){0};
}

/* The first place whose number is not below. */
static size_t place_of(const struct manifest *m, uint64_t number)
{
    size_t low = 0;
    size_t high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->segments[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct manifest_segment *manifest_find(const struct manifest *m, uint64_t number)
{
    size_t at = place_of(m, number);
    return at < m->count && m->segments[at].number == number ? &m->segments[at] : NULL;
}

static enum err make_room(struct manifest *m)
{
    if (m->count < m->capacity)
        return ERR_OK;
    if (m->count >= SEGMENT_COUNT_MAX)
        return ERR_LIMIT;
    size_t capacity = size_min(size_max(2 * m->capacity, 8), SEGMENT_COUNT_MAX);
    struct manifest_segment *grown = mem_resize(m->segments, capacity, sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    m->segments = grown;
    m->capacity = capacity;
    return ERR_OK;
}

enum err manifest_add(struct manifest *m, const struct manifest_segment *s)
{
    assert(manifest_find(m, s->number) == NULL);
    TRY(make_room(m));
    size_t at = place_of(m, s->number);
    memmove(&m->segments[at + 1], &m->segments[at], (m->count - at) * sizeof *s);
    m->segments[at] = *s;
    m->count++;
    return ERR_OK;
}

void manifest_remove(struct manifest *m, uint64_t number)
{
    struct manifest_segment *s = manifest_find(m, number);
    if (s == NULL)
        return;
    segment_close(s);
    m->count--;
    memmove(s, s + 1, (m->count - (size_t)(s - m->segments)) * sizeof *s);
}

static enum err copy_hidden(const struct manifest_hidden *from, struct manifest_hidden *to)
{
    *to = (struct manifest_hidden){0};
    if (from->count == 0)
        return ERR_OK;
    to->ids = mem_array(from->count, sizeof *to->ids);
    if (to->ids == NULL)
        return ERR_NOMEM;
    memcpy(to->ids, from->ids, from->count * sizeof *to->ids);
    to->count = from->count;
    return ERR_OK;
}

static enum err copy_segment(const struct manifest_segment *from, struct manifest *to)
{
    struct manifest_segment *s = &to->segments[to->count];
    *s = *from;
    s->links = (struct manifest_hidden){0};
    enum err rc = copy_hidden(&from->rows, &s->rows);
    if (rc == ERR_OK)
        rc = copy_hidden(&from->links, &s->links);
    to->count++; /* what it has is the copy's to close */
    return rc;
}

enum err manifest_copy(const struct manifest *m, struct manifest *ret)
{
    struct manifest copy = *m;
    copy.count = 0;
    copy.capacity = m->count;
    copy.segments = mem_array(m->count, sizeof *copy.segments);
    enum err rc = copy.segments == NULL ? ERR_NOMEM : ERR_OK;
    for (size_t i = 0; i < m->count && rc == ERR_OK; i++)
        rc = copy_segment(&m->segments[i], &copy);
    if (rc != ERR_OK) {
        manifest_close(&copy);
        return rc;
    }
    *ret = copy;
    return ERR_OK;
}

/* ---- what holds of every manifest, before writing and after reading ---- */

static enum err check_hidden(const struct manifest_segment *s, const struct manifest_hidden *hidden,
                             struct errinfo *info)
{
    for (size_t i = 1; i < hidden->count; i++) {
        if (hidden->ids[i] <= hidden->ids[i - 1])
            return err_set(info, ERR_CORRUPT,
                           "manifest: segment %" PRIx64 ": what is hidden does not ascend",
                           s->number);
    }
    return ERR_OK;
}

static enum err check_segment(const struct manifest *m, size_t at, struct errinfo *info)
{
    const struct manifest_segment *s = &m->segments[at];
    if (at > 0 && s->number <= s[-1].number)
        return err_set(info, ERR_CORRUPT, "manifest: segment %" PRIx64 " follows %" PRIx64,
                       s->number, s[-1].number);
    if (s->number >= m->next_number)
        return err_set(info, ERR_CORRUPT,
                       "manifest: segment %" PRIx64 ", expected one below %" PRIx64, s->number,
                       m->next_number);
    TRY(check_hidden(s, &s->rows, info));
    return check_hidden(s, &s->links, info);
}

static enum err check_segments(const struct manifest *m, struct errinfo *info)
{
    for (size_t i = 0; i < m->count; i++)
        TRY(check_segment(m, i, info));
    return ERR_OK;
}

/* ---- reading ---- */

static enum err cut_short(struct errinfo *info)
{
    return err_set(info, ERR_CORRUPT, "manifest: cut short");
}

/* Header and checksum; *ret_entries is what stands between them. */
static enum err parse_header(struct bytes raw, struct manifest *m, uint32_t *ret_count,
                             struct bytes *ret_entries, struct errinfo *info)
{
    if (bytes_starts_with(raw, BYTES(FORMAT_MANIFEST_UNFINISHED)))
        return err_set(info, ERR_CORRUPT, "manifest: this folder is a copy that was not finished");
    if (raw.len < FORMAT_MANIFEST_HEADER_SIZE + CRC_SIZE)
        return cut_short(info);
    struct bytes covered = bytes_first(raw, raw.len - CRC_SIZE);
    struct reader end = reader_of(bytes_from(raw, covered.len));
    struct reader r = reader_of(covered);
    struct bytes magic = reader_take(&r, 8);
    uint32_t version = reader_u32(&r);
    uint32_t header_size = reader_u32(&r);
    uint64_t size = reader_u64(&r);
    m->generation = reader_u64(&r);
    m->sealed_through = reader_u64(&r);
    m->sealed_size = reader_u64(&r);
    m->next_number = reader_u64(&r);
    m->next_arrival = reader_u64(&r);
    uint32_t count = reader_u32(&r);
    uint32_t reserved = reader_u32(&r);
    if (!bytes_equal(magic, BYTES(FORMAT_MANIFEST_MAGIC)))
        return err_set(info, ERR_CORRUPT, "manifest: wrong magic");
    if (version == 0) /* never written: zeros where a header was not finished */
        return err_set(info, ERR_CORRUPT, "manifest: the header has no version");
    if (version != FORMAT_MANIFEST_VERSION)
        return err_set(info, ERR_UNSUPPORTED, "manifest: version %" PRIu32 ", expected %" PRIu32,
                       version, FORMAT_MANIFEST_VERSION);
    if (size != raw.len)
        return err_set(info, ERR_CORRUPT, "manifest: %zu bytes, expected %" PRIu64, raw.len, size);
    if (reader_u32(&end) != crc32c(0, covered))
        return err_set(info, ERR_CORRUPT, "manifest: the checksum does not match");
    if (header_size != FORMAT_MANIFEST_HEADER_SIZE || reserved != 0)
        return err_set(info, ERR_CORRUPT, "manifest: impossible header");
    *ret_count = count;
    *ret_entries = bytes_from(covered, FORMAT_MANIFEST_HEADER_SIZE);
    return ERR_OK;
}

/* The first number, then of each the difference to the one before, less one. */
static enum err parse_hidden(struct reader *r, uint32_t count, struct manifest_hidden *ret,
                             struct errinfo *info)
{
    uint64_t next = 0;
    if (count == 0)
        return ERR_OK;
    if (count > reader_left(r)) /* each is a byte at least */
        return cut_short(info);
    ret->ids = mem_array(count, sizeof *ret->ids);
    if (ret->ids == NULL)
        return err_set(info, ERR_NOMEM, "manifest: out of memory");
    for (; ret->count < count; ret->count++) {
        uint64_t step = reader_varint(r);
        if (r->failed)
            return cut_short(info);
        if (next > UINT32_MAX || step > UINT32_MAX - next)
            return err_set(info, ERR_CORRUPT, "manifest: a hidden number over 32 bits");
        ret->ids[ret->count] = (uint32_t)(next + step);
        next += step + 1;
    }
    return ERR_OK;
}

static enum err parse_entry(struct reader *r, struct manifest_segment *s, struct errinfo *info)
{
    *s = (struct manifest_segment){0};
    if (reader_left(r) < FORMAT_MANIFEST_ENTRY_SIZE)
        return cut_short(info);
    s->number = reader_u64(r);
    memcpy(s->id.byte, reader_take(r, sizeof s->id.byte).data, sizeof s->id.byte);
    s->size = reader_u64(r);
    s->day = (int32_t)reader_u32(r);
    s->level = reader_u32(r);
    s->start_ns = (int64_t)reader_u64(r);
    s->end_ns = (int64_t)reader_u64(r);
    s->expires_ns = (int64_t)reader_u64(r);
    uint32_t row_count = reader_u32(r);
    uint32_t link_count = reader_u32(r);
    TRY(parse_hidden(r, row_count, &s->rows, info));
    return parse_hidden(r, link_count, &s->links, info);
}

static enum err parse_entries(struct bytes raw, uint32_t count, struct manifest *m,
                              struct errinfo *info)
{
    struct reader r = reader_of(raw);
    if (count > SEGMENT_COUNT_MAX || count > raw.len / FORMAT_MANIFEST_ENTRY_SIZE)
        return err_set(info, ERR_CORRUPT, "manifest: %" PRIu32 " segments do not fit", count);
    m->segments = mem_array(count, sizeof *m->segments);
    if (m->segments == NULL)
        return err_set(info, ERR_NOMEM, "manifest: out of memory");
    m->capacity = count;
    while (m->count < count) {
        enum err rc = parse_entry(&r, &m->segments[m->count], info);
        m->count++; /* what it has is the manifest's to close */
        TRY(rc);
    }
    if (reader_left(&r) != 0)
        return err_set(info, ERR_CORRUPT, "manifest: %zu bytes too many", reader_left(&r));
    return check_segments(m, info);
}

static enum err parse(struct bytes raw, struct manifest *ret, struct errinfo *info)
{
    struct manifest m = {0};
    struct bytes entries = {0};
    uint32_t count = 0;
    TRY(parse_header(raw, &m, &count, &entries, info));
    enum err rc = parse_entries(entries, count, &m, info);
    if (rc != ERR_OK) {
        manifest_close(&m);
        return rc;
    }
    *ret = m;
    return ERR_OK;
}

static char *path_of(const char *dir, const char *name)
{
    size_t size = strlen(dir) + 1 + strlen(name) + 1;
    char *path = mem_alloc(size);
    if (path != NULL)
        (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

static enum err read_opened(struct vfs *vfs, struct vfs_file *f, struct buffer *raw,
                            struct errinfo *info)
{
    uint64_t size;
    TRY(vfs->size(vfs, f, &size, info));
    if (size > MANIFEST_SIZE_MAX)
        return err_set(info, ERR_CORRUPT, "manifest: %" PRIu64 " bytes, expected at most %zu", size,
                       MANIFEST_SIZE_MAX);
    void *to = buffer_extend(raw, (size_t)size);
    if (to == NULL)
        return err_set(info, raw->failed, "manifest: no room for %" PRIu64 " bytes", size);
    return vfs->read_at(vfs, f, 0, to, (size_t)size, info);
}

static enum err read_whole(struct vfs *vfs, const char *dir, struct buffer *raw,
                           struct errinfo *info)
{
    struct vfs_file *f = NULL;
    char *path = path_of(dir, FORMAT_MANIFEST_NAME);
    if (path == NULL)
        return err_set(info, ERR_NOMEM, "manifest: out of memory");
    enum err rc = vfs->open(vfs, path, VFS_READ, &f, info);
    mem_free(path);
    if (rc != ERR_OK)
        return rc;
    rc = read_opened(vfs, f, raw, info);
    vfs->close(vfs, f);
    return rc;
}

enum err manifest_read(struct vfs *vfs, const char *dir, struct manifest *ret, struct errinfo *info)
{
    struct buffer raw;
    buffer_init(&raw, MANIFEST_SIZE_MAX, NULL);
    enum err rc = read_whole(vfs, dir, &raw, info);
    if (rc == ERR_OK)
        rc = parse(buffer_bytes(&raw), ret, info);
    buffer_close(&raw);
    return rc;
}

/* ---- writing ---- */

static void put_header(struct buffer *out, const struct manifest *m)
{
    buffer_put(out, BYTES(FORMAT_MANIFEST_MAGIC));
    buffer_put_u32(out, FORMAT_MANIFEST_VERSION);
    buffer_put_u32(out, FORMAT_MANIFEST_HEADER_SIZE);
    buffer_put_u64(out, 0); /* the size, once it is known */
    buffer_put_u64(out, m->generation);
    buffer_put_u64(out, m->sealed_through);
    buffer_put_u64(out, m->sealed_size);
    buffer_put_u64(out, m->next_number);
    buffer_put_u64(out, m->next_arrival);
    buffer_put_u32(out, (uint32_t)m->count);
    buffer_put_u32(out, 0);
}

static void put_hidden(struct buffer *out, const struct manifest_hidden *hidden)
{
    uint64_t next = 0;
    for (size_t i = 0; i < hidden->count; i++) {
        buffer_put_varint(out, hidden->ids[i] - next);
        next = (uint64_t)hidden->ids[i] + 1;
    }
}

static void put_entry(struct buffer *out, const struct manifest_segment *s)
{
    buffer_put_u64(out, s->number);
    buffer_put(out, bytes_of(s->id.byte, sizeof s->id.byte));
    buffer_put_u64(out, s->size);
    buffer_put_u32(out, (uint32_t)s->day);
    buffer_put_u32(out, s->level);
    buffer_put_u64(out, (uint64_t)s->start_ns);
    buffer_put_u64(out, (uint64_t)s->end_ns);
    buffer_put_u64(out, (uint64_t)s->expires_ns);
    buffer_put_u32(out, (uint32_t)s->rows.count);
    buffer_put_u32(out, (uint32_t)s->links.count);
    put_hidden(out, &s->rows);
    put_hidden(out, &s->links);
}

static enum err encode(const struct manifest *m, struct buffer *out, struct errinfo *info)
{
    assert(m->count <= SEGMENT_COUNT_MAX);
    TRY(check_segments(m, info));
    put_header(out, m);
    for (size_t i = 0; i < m->count; i++)
        put_entry(out, &m->segments[i]);
    void *crc = buffer_extend(out, CRC_SIZE);
    if (crc == NULL)
        return err_set(info, out->failed, "manifest: no room for it in %zu bytes", out->max);
    put_u64(out->data + 16, out->len);
    put_u32(crc, crc32c(0, bytes_first(buffer_bytes(out), out->len - CRC_SIZE)));
    return ERR_OK;
}

/* What an earlier write did not finish is in the way. */
static enum err remove_left_over(struct vfs *vfs, const char *path, struct errinfo *info)
{
    struct errinfo reason = {0};
    enum err rc = vfs->remove(vfs, path, &reason);
    return rc == ERR_OK || rc == ERR_NOTFOUND ? ERR_OK : err_set(info, rc, "%s", reason.text);
}

static enum err write_synced(struct vfs *vfs, const char *path, struct bytes content,
                             struct errinfo *info)
{
    struct vfs_file *f = NULL;
    TRY(remove_left_over(vfs, path, info));
    TRY(vfs->open(vfs, path, VFS_CREATE, &f, info));
    enum err rc = vfs->append(vfs, f, content, info);
    if (rc == ERR_OK)
        rc = vfs->sync(vfs, f, info);
    vfs->close(vfs, f);
    return rc;
}

static enum err replace(struct vfs *vfs, const char *dir, struct bytes content,
                        struct errinfo *info)
{
    char *fresh = path_of(dir, FORMAT_MANIFEST_NEW_NAME);
    char *path = path_of(dir, FORMAT_MANIFEST_NAME);
    enum err rc = ERR_OK;
    if (fresh == NULL || path == NULL)
        rc = err_set(info, ERR_NOMEM, "manifest: out of memory");
    if (rc == ERR_OK)
        rc = write_synced(vfs, fresh, content, info);
    if (rc == ERR_OK)
        rc = vfs->rename(vfs, fresh, path, info);
    if (rc != ERR_OK && fresh != NULL)
        (void)vfs->remove(vfs, fresh, NULL); /* nothing was promised of it */
    if (rc == ERR_OK)
        rc = vfs->sync_dir(vfs, dir, info);
    mem_free(fresh);
    mem_free(path);
    return rc;
}

enum err manifest_write(struct vfs *vfs, const char *dir, const struct manifest *m,
                        struct errinfo *info)
{
    struct buffer out;
    buffer_init(&out, MANIFEST_SIZE_MAX, NULL);
    enum err rc = encode(m, &out, info);
    if (rc == ERR_OK)
        rc = replace(vfs, dir, buffer_bytes(&out), info);
    buffer_close(&out);
    return rc;
}
