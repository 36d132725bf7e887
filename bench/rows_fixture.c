#include "bench/rows_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include <malloc.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "bench/bench.h"
#include "engine/identity.h"
#include "storage/segment.h"

#define DAY_NS INT64_C(86400000000000)

struct writing {
    const struct rows_shape *shape;
    const char *dir;
    struct manifest manifest;
    struct segment_builder *builder;
};

struct uuid rows_fixture_profiler(const struct rows_shape *shape, uint64_t n)
{
    struct uuid id;
    uint64_t high = UINT64_MAX / shape->profilers * n;
    uint64_t low = hash_u64(n);
    for (int i = 0; i < 8; i++) {
        id.byte[i] = (uint8_t)(high >> (56 - 8 * i));
        id.byte[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    return id;
}

int64_t rows_fixture_memory(void)
{
    char line[256];
    int64_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtoll(line + 8, NULL, 10);
    (void)fclose(f);
    return kib << 10;
}

static void begin_segment(struct writing *w)
{
    struct errinfo info = {0};
    struct segment_builder_options options = {.vfs = vfs_posix(),
                                              .dir = w->dir,
                                              .number = w->manifest.next_number++,
                                              .level = SEGMENT_LEVEL_FULL,
                                              .day = DATASET_START_S / (DAY_NS / 1000000000),
                                              .retention_days = RETENTION_DAYS_MAX,
                                              .rules = &engine_frame_rules};
    bench_must(segment_builder_create(&options, &w->builder, &info), &info, "segment_builder");
}

static void end_segment(struct writing *w)
{
    struct errinfo info = {0};
    struct manifest_segment made;
    bench_must(segment_builder_finish(w->builder, &made, &info), &info, "segment_builder_finish");
    bench_must(manifest_add(&w->manifest, &made), NULL, "manifest_add");
    segment_builder_destroy(w->builder);
    w->builder = NULL;
}

static void add_row(struct writing *w, uint64_t profiler, uint64_t row)
{
    struct errinfo info = {0};
    int64_t start_ns = DATASET_START_S * INT64_C(1000000000) + (int64_t)row * ROWS_FIXTURE_CHUNK_NS;
    struct record r = {.kind = RECORD_CHUNK,
                       .content = {hash_u64(profiler), hash_u64(row)},
                       .organization_id = 1,
                       .project_id = 1,
                       .retention_days = RETENTION_DAYS_MAX,
                       .received_ns = start_ns + 2 * ROWS_FIXTURE_CHUNK_NS,
                       .profiler_id = rows_fixture_profiler(w->shape, profiler),
                       .id = dataset_profiler(profiler, row),
                       .start_ns = start_ns,
                       .end_ns = start_ns + ROWS_FIXTURE_CHUNK_NS - 1,
                       .sample_count = 2,
                       .thread_count = 1};
    for (size_t i = 0; i < TEXT_COUNT; i++)
        r.text[i] = BYTES("");
    r.text[TEXT_PLATFORM] = BYTES("python");
    bench_must(segment_builder_add_damaged(w->builder, &r,
                                           profiler * w->shape->rows_a_profiler + row, &info),
               &info, "segment_builder_add_damaged");
}

static void write_until_full(struct writing *w)
{
    for (uint64_t p = 0; p < w->shape->profilers; p++)
        for (uint64_t row = 0; row < w->shape->rows_a_profiler; row++) {
            if (w->builder == NULL)
                begin_segment(w);
            add_row(w, p, row);
            if (segment_builder_memory(w->builder) >= SEGMENT_MEMORY_MAX)
                end_segment(w);
        }
    if (w->builder != NULL)
        end_segment(w);
}

static void write_shares(struct writing *w)
{
    size_t rows = w->shape->rows_a_profiler;
    size_t share = (rows + w->shape->segments - 1) / w->shape->segments;
    for (size_t first = 0; first < rows; first += share) {
        begin_segment(w);
        for (uint64_t p = 0; p < w->shape->profilers; p++)
            for (uint64_t row = first; row < first + share && row < rows; row++)
                add_row(w, p, row);
        end_segment(w);
    }
}

static void write_segments(const struct rows_shape *shape, struct rows_fixture *f)
{
    struct errinfo info = {0};
    struct writing w = {
        .shape = shape, .dir = f->f.dir.path, .manifest = {.generation = 1, .next_number = 1}};
    w.manifest.next_arrival = shape->profilers * shape->rows_a_profiler;
    if (shape->segments == 0)
        write_until_full(&w);
    else
        write_shares(&w);
    bench_must(manifest_write(vfs_posix(), w.dir, &w.manifest, &info), &info, "manifest_write");
    f->segments = w.manifest.count;
    for (size_t i = 0; i < w.manifest.count; i++)
        f->bytes += w.manifest.segments[i].size;
    manifest_close(&w.manifest);
}

struct rows_fixture rows_fixture_open(const struct rows_shape *shape)
{
    struct rows_fixture f = {.f = store_fixture_open(DURABILITY_NONE)};
    store_close(f.f.store);
    f.f.store = NULL;
    write_segments(shape, &f);
    (void)malloc_trim(0);
    int64_t memory = rows_fixture_memory();
    int64_t before_ns = clock_steady_ns();
    store_fixture_reopen(&f.f, false);
    f.open_ns = clock_steady_ns() - before_ns;
    f.open_memory = rows_fixture_memory() - memory;
    return f;
}

void rows_fixture_close(struct rows_fixture *f)
{
    store_fixture_close(&f->f);
}
