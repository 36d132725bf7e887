#include "bench/store_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "engine/identity.h"
#include "storage/manifest.h"

#define BATCH_RECORDS 256
#define BATCH_BYTES   ((size_t)8 << 20)

static void open_store(struct store_fixture *f)
{
    log_set_level(LOG_WARN); /* sealing tells of each file */
    struct errinfo info = {0};
    struct store_options options = {.vfs = vfs_posix(),
                                    .dir = f->dir.path,
                                    .durability = f->durability,
                                    .retention_days = RETENTION_DAYS_MAX,
                                    .frame_rules = &engine_frame_rules};
    bench_must(store_open(&options, &f->store, &info), &info, "store_open");
}

struct store_fixture store_fixture_open(enum durability durability)
{
    struct store_fixture f = {.dir = tmpdir_make(), .durability = durability};
    open_store(&f);
    return f;
}

void store_fixture_close(struct store_fixture *f)
{
    store_close(f->store);
    tmpdir_remove(&f->dir);
}

void store_fixture_seal(struct store_fixture *f)
{
    struct store_upkeep upkeep = {.everything = true};
    struct errinfo info = {0};
    for (bool did = true; did;)
        bench_must(store_upkeep(f->store, &upkeep, &did, &info), &info, "store_upkeep");
}

static enum err forget_file(void *self, const char *name)
{
    const struct store_fixture *f = self;
    char path[TMPDIR_PATH_SIZE + SEGMENT_NAME_SIZE + 2];
    uint64_t number;
    if (!segment_parse_name(bytes_of_text(name), &number))
        return ERR_OK;
    int fd = open(tmpdir_path(&f->dir, name, path, sizeof(path)), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
    return ERR_OK;
}

void store_fixture_reopen(struct store_fixture *f, bool cold)
{
    struct vfs *vfs = vfs_posix();
    struct errinfo info = {0};
    store_close(f->store);
    if (cold)
        bench_must(vfs->list(vfs, f->dir.path, f, forget_file, &info), &info, "forget files");
    open_store(f);
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
        struct profile *p = dataset_chunk(d, dataset_profiler(seed, n % profilers), n / profilers);
        p->retention_days = RETENTION_DAYS_MAX;
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
