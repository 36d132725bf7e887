/* segment_builder.c - rows in order to one sealed file.
 *
 * Blocks go to the file as they come; rows, links and tables stay in memory until the end, because
 * every block refers to them. So a segment is as large as the memory that its tables may take.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "storage/rollup.h"
#include "storage/segment.h"

#define DAY_NS INT64_C(86400000000000)

struct run_key {
    enum record_kind kind;
    uint64_t project_id;
    struct uuid profiler_id;
};

struct segment_builder {
    struct segment_builder_options options;
    char *path;
    struct segment_file_writer *file;
    struct tables_builder *tables;
    struct rows_builder *rows;
    struct rollup_builder *rollups;
    struct tag_index_builder *tags;
    struct run_key run; /* of the row before */
    uint32_t row_count;
    struct buffer block; /* of the row at hand */
    uint64_t blocks_size;
    struct manifest_segment facts;
    uint64_t samples;
    bool finished;
};

static bool same_run(const struct run_key *a, const struct run_key *b)
{
    return a->kind == b->kind && a->project_id == b->project_id &&
           uuid_equal(a->profiler_id, b->profiler_id);
}

static char *path_of(const char *dir, uint64_t number)
{
    size_t size = strlen(dir) + 1 + SEGMENT_NAME_SIZE + 1;
    char name[SEGMENT_NAME_SIZE + 1];
    char *path = mem_alloc(size);
    if (path == NULL)
        return NULL;
    segment_print_name(number, name);
    (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

static enum err open_parts(struct segment_builder *b, struct errinfo *info)
{
    const struct segment_builder_options *o = &b->options;
    b->path = path_of(o->dir, o->number);
    if (b->path == NULL)
        return err_set(info, ERR_NOMEM, "segment: out of memory");
    enum err rc = tables_builder_create(o->rules, o->account, &b->tables);
    if (rc == ERR_OK)
        rc = rows_builder_create(o->account, &b->rows);
    if (rc == ERR_OK)
        rc = rollup_builder_create(o->account, &b->rollups);
    if (rc == ERR_OK)
        rc = tag_index_builder_create(o->rules, o->account, &b->tags);
    if (rc != ERR_OK)
        return err_set(info, rc, "segment: no room to build one");
    b->facts.id = uuid_random();
    TRY(segment_file_create(o->vfs, b->path, b->facts.id, clock_wall_ns(), o->account, &b->file,
                            info));
    segment_file_begin(b->file, SECTION_BLOCKS);
    return ERR_OK;
}

enum err segment_builder_create(const struct segment_builder_options *options,
                                struct segment_builder **ret, struct errinfo *info)
{
    struct segment_builder *b = mem_zalloc(sizeof *b);
    if (b == NULL)
        return err_set(info, ERR_NOMEM, "segment: out of memory");
    b->options = *options;
    b->facts = (struct manifest_segment){.number = options->number,
                                         .level = options->level,
                                         .day = options->day,
                                         .start_ns = INT64_MAX,
                                         .end_ns = INT64_MIN,
                                         .expires_ns = INT64_MIN};
    buffer_init(&b->block, PAGE_RAW_MAX, options->account);
    enum err rc = open_parts(b, info);
    if (rc != ERR_OK) {
        segment_builder_destroy(b);
        return rc;
    }
    *ret = b;
    return ERR_OK;
}

/* The sum of both, kept in range. */
static int64_t later(int64_t at_ns, int64_t by_ns)
{
    int64_t sum_ns;
    return __builtin_add_overflow(at_ns, by_ns, &sum_ns) ? INT64_MAX : sum_ns;
}

int64_t segment_row_expiry(int64_t end_ns, int64_t received_ns, uint32_t retention_days)
{
    int64_t latest_ns = later(received_ns, DAY_NS);
    int64_t kept_ns;
    if (__builtin_mul_overflow((int64_t)retention_days, DAY_NS, &kept_ns))
        return INT64_MAX;
    end_ns = end_ns < latest_ns ? end_ns : latest_ns;
    return later(end_ns > received_ns ? end_ns : received_ns, kept_ns);
}

/* A link may end before it starts: its start is within the bounds as well. */
static void widen(struct manifest_segment *facts, int64_t start_ns, int64_t end_ns,
                  int64_t expires_ns)
{
    end_ns = end_ns > start_ns ? end_ns : start_ns;
    facts->start_ns = start_ns < facts->start_ns ? start_ns : facts->start_ns;
    facts->end_ns = end_ns > facts->end_ns ? end_ns : facts->end_ns;
    facts->expires_ns = expires_ns > facts->expires_ns ? expires_ns : facts->expires_ns;
}

/* The sum of the row goes into the rollups of its run; `block` empty: it has none. */
static enum err add_sum(struct segment_builder *b, const struct record *facts, struct bytes block,
                        struct errinfo *info)
{
    struct run_key run = {facts->kind, facts->project_id, facts->profiler_id};
    bool begins = b->row_count == 0 || !same_run(&run, &b->run);
    struct arena arena;
    struct block_sum sum;
    struct tree_sum tree;
    arena_init(&arena, SIZE_MAX, b->options.account);
    enum err rc = ERR_OK;
    struct segment_tables_counts tables = tables_builder_counts(b->tables);
    if (block.len > 0)
        rc = segment_block_sum(block, (enum profile_kind)facts->kind, &tables, &arena, &sum, info);
    if (rc == ERR_OK && block.len > 0)
        rc = tree_sum_of(&sum, &arena, &tree);
    if (rc == ERR_OK)
        rc = rollup_builder_add(b->rollups, b->row_count, begins, block.len > 0 ? &tree : NULL,
                                info);
    arena_close(&arena);
    b->run = run;
    return rc;
}

static enum err add_row(struct segment_builder *b, const struct record *facts, uint64_t arrival,
                        struct bytes block, uint32_t flags, struct errinfo *info)
{
    bool summable = (flags & SEGMENT_ROW_SUMMABLE) != 0;
    segment_file_put(b->file, block);
    b->blocks_size += block.len;
    TRY(rows_builder_add(b->rows, facts, arrival, b->blocks_size, flags, info));
    TRY(add_sum(b, facts, summable ? block : (struct bytes){0}, info));
    b->row_count++;
    widen(&b->facts, facts->start_ns, facts->end_ns,
          segment_row_expiry(facts->end_ns, facts->received_ns, facts->retention_days));
    b->samples += facts->sample_count;
    return ERR_OK;
}

enum err segment_builder_add(struct segment_builder *b, const struct record *facts,
                             const struct profile *p, uint64_t arrival, struct errinfo *info)
{
    bool summable = false;
    buffer_clear(&b->block);
    TRY(segment_block_encode(p, b->tables, &b->block, &summable, info));
    TRY(tag_index_builder_add(b->tags, b->row_count, p, b->tables, info));
    return add_row(b, facts, arrival, buffer_bytes(&b->block), summable ? SEGMENT_ROW_SUMMABLE : 0,
                   info);
}

enum err segment_builder_add_damaged(struct segment_builder *b, const struct record *facts,
                                     uint64_t arrival, struct errinfo *info)
{
    TRY(tag_index_builder_add(b->tags, b->row_count, NULL, b->tables, info));
    return add_row(b, facts, arrival, (struct bytes){0}, SEGMENT_ROW_DAMAGED, info);
}

enum err segment_builder_add_link(struct segment_builder *b, const struct link *link,
                                  struct hash128 content, uint64_t arrival, struct errinfo *info)
{
    TRY(rows_builder_add_link(b->rows, b->tables, link, content, arrival, info));
    /* links do not say when they came: about now */
    widen(&b->facts, link->start_ns, link->end_ns,
          segment_row_expiry(link->end_ns, clock_wall_ns(), b->options.retention_days));
    return ERR_OK;
}

size_t segment_builder_memory(const struct segment_builder *b)
{
    return tables_builder_bytes(b->tables) + rows_builder_bytes(b->rows) +
           rollup_builder_bytes(b->rollups) + tag_index_builder_bytes(b->tags);
}

uint64_t segment_builder_size(const struct segment_builder *b)
{
    return b->blocks_size;
}

void segment_builder_mark_full(struct segment_builder *b)
{
    b->facts.level = SEGMENT_LEVEL_FULL;
}

/* The order is told again by segment_open. */
static void put_facts(struct segment_builder *b, const struct segment_counts *rows,
                      uint32_t rollups)
{
    struct segment_tables_counts tables = tables_builder_counts(b->tables);
    const uint32_t counts[] = {rows->chunks,     rows->transactions, rows->links,   rows->runs,
                               rows->chunk_runs, rows->sources,      rows->tags,    rows->projects,
                               rows->traces,     tables.texts,       tables.frames, tables.nodes,
                               tables.threads};
    uint8_t raw[FORMAT_SEGMENT_FACTS_SIZE] = {0};
    size_t at = 0;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++, at += 4)
        put_u32(raw + at, counts[i]);
    put_u32(raw + at, b->facts.level);
    put_u32(raw + at + 4, (uint32_t)b->facts.day);
    put_u64(raw + at + 8, (uint64_t)b->facts.start_ns);
    put_u64(raw + at + 16, (uint64_t)b->facts.end_ns);
    put_u64(raw + at + 24, (uint64_t)b->facts.expires_ns);
    put_u64(raw + at + 32, b->samples);
    put_u32(raw + at + 40, rollups);
    segment_file_begin(b->file, SECTION_FACTS);
    segment_file_put(b->file, bytes_of(raw, sizeof raw));
}

enum err segment_builder_finish(struct segment_builder *b, struct manifest_segment *ret,
                                struct errinfo *info)
{
    struct segment_counts counts;
    uint32_t rollups = 0;
    struct vfs *vfs = b->options.vfs;
    TRY(rows_builder_write(b->rows, b->file, b->facts.id, &counts, info));
    TRY(tables_builder_write(b->tables, b->file, info));
    TRY(rollup_builder_write(b->rollups, b->file, &rollups, info));
    TRY(tag_index_builder_write(b->tags, b->rows, b->tables, b->file, info));
    put_facts(b, &counts, rollups);
    TRY(segment_file_finish(b->file, &b->facts.size, info));
    TRY(vfs->sync_dir(vfs, b->options.dir, info));
    b->finished = true;
    *ret = b->facts;
    return ERR_OK;
}

void segment_builder_destroy(struct segment_builder *b)
{
    if (b == NULL)
        return;
    bool made = b->file != NULL;
    struct errinfo reason = {0};
    segment_file_writer_destroy(b->file);
    if (made && !b->finished &&
        segment_remove_file(b->options.vfs, b->options.dir, b->options.number, &reason) != ERR_OK)
        log_warn("store", "segment_not_removed %s (the next start tries again)", reason.text);
    tables_builder_destroy(b->tables);
    rows_builder_destroy(b->rows);
    rollup_builder_destroy(b->rollups);
    tag_index_builder_destroy(b->tags);
    buffer_close(&b->block);
    mem_free(b->path);
    mem_free(b);
}

enum err segment_remove_file(struct vfs *vfs, const char *dir, uint64_t number,
                             struct errinfo *info)
{
    char *path = path_of(dir, number);
    if (path == NULL)
        return err_set(info, ERR_NOMEM, "segment: out of memory");
    enum err rc = vfs->remove(vfs, path, info);
    mem_free(path);
    return rc;
}
