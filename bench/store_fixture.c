#include "bench/store_fixture.h"

#include "base/mem.h"
#include "bench/bench.h"

#define BATCH_RECORDS 256
#define BATCH_BYTES   ((size_t)8 << 20)

struct store_fixture store_fixture_open(enum durability durability)
{
    struct store_fixture f = {.dir = tmpdir_make()};
    struct errinfo info = {0};
    struct store_options options = {
        .vfs = vfs_posix(), .dir = f.dir.path, .durability = durability};
    bench_must(store_open(&options, &f.store, &info), &info, "store_open");
    return f;
}

void store_fixture_close(struct store_fixture *f)
{
    store_close(f->store);
    tmpdir_remove(&f->dir);
}

struct batch {
    struct buffer bytes;
    size_t ends[BATCH_RECORDS];
    size_t count;
};

static void batch_append(struct store_fixture *f, struct batch *b)
{
    struct bytes records[BATCH_RECORDS];
    struct errinfo info = {0};
    for (size_t i = 0; i < b->count; i++) {
        size_t start = i == 0 ? 0 : b->ends[i - 1];
        records[i] = bytes_of(b->bytes.data + start, b->ends[i] - start);
    }
    if (b->count > 0)
        bench_must(store_append(f->store, records, b->count, &info), &info, "store_append");
    b->count = 0;
    buffer_clear(&b->bytes);
}

void store_fixture_fill(struct store_fixture *f, const struct dataset_shape *shape, uint64_t seed,
                        size_t count, size_t profilers)
{
    struct dataset *d = dataset_create(shape, seed);
    struct batch *b = mem_zalloc(sizeof(*b));
    if (b == NULL)
        bench_must(ERR_NOMEM, NULL, "batch");
    buffer_init(&b->bytes, SIZE_MAX, NULL);
    for (size_t n = 0; n < count; n++) {
        struct errinfo info = {0};
        const struct profile *p =
            dataset_chunk(d, dataset_profiler(seed, n % profilers), n / profilers);
        bench_must(record_encode_profile(p, &b->bytes, &info), &info, "record_encode_profile");
        b->ends[b->count++] = b->bytes.len;
        if (b->count == BATCH_RECORDS || b->bytes.len > BATCH_BYTES)
            batch_append(f, b);
    }
    batch_append(f, b);
    buffer_close(&b->bytes);
    mem_free(b);
    dataset_destroy(d);
}
