/* segment.c - a sealed file opened: what its parts say of each other is checked before use. */
#include "storage/segment.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "storage/segment_block.h"

/* As segment_builder.c puts them. */
static enum err read_facts(struct segment *s, struct segment_tables_counts *ret_tables,
                           struct errinfo *info)
{
    struct segment_section section;
    struct bytes raw;
    if (!segment_file_section(s->file, SECTION_FACTS, &section) ||
        !segment_file_section(s->file, SECTION_BLOCKS, &s->blocks))
        return err_set(info, ERR_CORRUPT, "no section of facts or of blocks");
    if (section.size != FORMAT_SEGMENT_FACTS_SIZE)
        return err_set(info, ERR_CORRUPT, "facts of %" PRIu64 " bytes, expected %zu", section.size,
                       FORMAT_SEGMENT_FACTS_SIZE);
    TRY(segment_file_view(s->file, section.offset, section.size, &raw, info));
    struct reader r = reader_of(raw);
    s->counts.chunks = reader_u32(&r);
    s->counts.transactions = reader_u32(&r);
    s->counts.links = reader_u32(&r);
    s->counts.runs = reader_u32(&r);
    s->counts.chunk_runs = reader_u32(&r);
    s->counts.sources = reader_u32(&r);
    s->counts.tags = reader_u32(&r);
    s->counts.projects = reader_u32(&r);
    s->counts.traces = reader_u32(&r);
    ret_tables->texts = reader_u32(&r);
    ret_tables->frames = reader_u32(&r);
    ret_tables->nodes = reader_u32(&r);
    ret_tables->threads = reader_u32(&r);
    s->facts.level = reader_u32(&r);
    s->facts.day = (int32_t)reader_u32(&r);
    s->facts.start_ns = (int64_t)reader_u64(&r);
    s->facts.end_ns = (int64_t)reader_u64(&r);
    s->facts.expires_ns = (int64_t)reader_u64(&r);
    (void)reader_u64(&r); /* samples: for people */
    s->rollups.count = reader_u32(&r);
    return ERR_OK;
}

static enum err open_parts(struct segment *s, const char *path,
                           const struct manifest_segment *expected, struct errinfo *info)
{
    struct segment_tables_counts tables = {0};
    TRY(segment_file_open(s->vfs, path, NULL, &s->file, info));
    if (!uuid_equal(segment_file_id(s->file), expected->id) || s->file->size != expected->size)
        return err_set(info, ERR_CORRUPT, "another file than the manifest names");
    TRY(read_facts(s, &tables, info));
    TRY(segment_tables_open(s->file, tables, &s->tables, info));
    TRY(segment_rollups_open(s->file, s->rollups.count, &s->rollups, info));
    TRY(segment_rows_open(s->file, &s->counts, &s->rows, info));
    return tag_index_open(s->file, s->rows, &s->tags, info);
}

static void segment_free(struct segment *s)
{
    segment_rows_close(s->rows);
    segment_file_close(s->file);
    mem_free(s);
}

enum err segment_open(struct vfs *vfs, const char *dir, const struct manifest_segment *expected,
                      struct segment **ret, struct errinfo *info)
{
    char name[SEGMENT_NAME_SIZE + 1];
    size_t size = strlen(dir) + 1 + sizeof name;
    char *path = mem_alloc(size);
    struct segment *s = mem_zalloc(sizeof *s);
    if (path == NULL || s == NULL) {
        mem_free(path);
        mem_free(s);
        return err_set(info, ERR_NOMEM, "segment: out of memory");
    }
    segment_print_name(expected->number, name);
    (void)snprintf(path, size, "%s/%s", dir, name);
    atomic_init(&s->references, 1);
    atomic_init(&s->retired, false);
    atomic_init(&s->damaged, false);
    s->vfs = vfs;
    s->dir = dir;
    s->facts = (struct manifest_segment){
        .number = expected->number, .id = expected->id, .size = expected->size};
    struct errinfo reason = {0};
    enum err rc = open_parts(s, path, expected, &reason);
    mem_free(path);
    if (rc != ERR_OK) {
        segment_free(s);
        return err_set(info, rc, "%s: %s", name, reason.text);
    }
    *ret = s;
    return ERR_OK;
}

struct segment *segment_acquire(struct segment *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void segment_release(struct segment *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) > 1)
        return;
    struct vfs *vfs = s->vfs;
    const char *dir = s->dir;
    uint64_t number = s->facts.number;
    bool retired = atomic_load_explicit(&s->retired, memory_order_relaxed);
    struct errinfo reason = {0};
    segment_free(s);
    if (retired && segment_remove_file(vfs, dir, number, &reason) != ERR_OK)
        log_warn("store", "segment_not_removed %s (the next start tries again)", reason.text);
}

void segment_retire(struct segment *s)
{
    atomic_store_explicit(&s->retired, true, memory_order_relaxed);
}

bool segment_mark_damaged(struct segment *s)
{
    return !atomic_exchange_explicit(&s->damaged, true, memory_order_relaxed);
}

static enum err view_block(const struct segment *s, uint32_t row, struct bytes *ret,
                           struct errinfo *info)
{
    struct segment_row_place place;
    if (segment_rows_place(s->rows, row, &place) != ERR_OK)
        return err_set(info, ERR_CORRUPT, "its facts are damaged");
    if ((place.flags & SEGMENT_ROW_DAMAGED) != 0)
        return err_set(info, ERR_CORRUPT, "its block was lost before it was sealed");
    if (place.block_offset > s->blocks.size ||
        place.block_size > s->blocks.size - place.block_offset)
        return err_set(info, ERR_CORRUPT,
                       "block at %" PRIu64 " of %" PRIu32 " bytes, there are %" PRIu64,
                       place.block_offset, place.block_size, s->blocks.size);
    return segment_file_view(s->file, s->blocks.offset + place.block_offset, place.block_size, ret,
                             info);
}

static enum err read_block(const struct segment *s, uint32_t row, struct tables_cursor *tables,
                           struct arena *arena, struct profile *p, struct errinfo *info)
{
    struct bytes block = {0};
    TRY(view_block(s, row, &block, info));
    return segment_block_decode(block, tables, arena, p, info);
}

bool segment_has_block(const struct segment *s, uint32_t row)
{
    struct bytes block = {0};
    return view_block(s, row, &block, NULL) == ERR_OK;
}

static enum err name_row(const struct segment *s, uint32_t row, enum err rc,
                         const struct errinfo *reason, struct errinfo *info)
{
    char name[SEGMENT_NAME_SIZE + 1];
    segment_print_name(s->facts.number, name);
    return err_set(info, rc, "%s: row %" PRIu32 ": %s", name, row, reason->text);
}

enum err segment_sum_row(const struct segment *s, uint32_t row, struct arena *arena,
                         struct block_sum *ret, struct errinfo *info)
{
    struct bytes block = {0};
    struct errinfo reason = {{0}};
    enum profile_kind kind = row < s->counts.chunks ? PROFILE_CHUNK : PROFILE_TRANSACTION;
    enum err rc = view_block(s, row, &block, &reason);
    if (rc == ERR_OK)
        rc = segment_block_sum(block, kind, &s->tables.counts, arena, ret, &reason);
    return rc == ERR_OK ? ERR_OK : name_row(s, row, rc, &reason, info);
}

enum err segment_read_profile(const struct segment *s, uint32_t row, struct tables_cursor *tables,
                              struct arena *arena, struct profile *p, struct errinfo *info)
{
    struct errinfo reason = {0};
    enum err rc = read_block(s, row, tables, arena, p, &reason);
    if (rc == ERR_OK)
        return ERR_OK;
    return name_row(s, row, rc, &reason, info);
}
