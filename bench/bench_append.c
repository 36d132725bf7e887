/* What does a durable chunk cost, beside writing and syncing as many bytes by hand?
 *
 * Estimate: encoding a Python chunk reads 50,000 samples three times, columns, LZ4 and CRC: 1.5 ms.
 * The record has about 20 KB; writing it is nothing, fdatasync is the device: 0.1 ms on a fast
 * NVMe, 1 to 5 ms on a cloud volume. So an append should cost the sync and at most 10 % more, and
 * batches of 16 share one sync. A lifecycle-trace chunk has 60 samples: 15 us to encode, and the
 * sync is everything unless requests share it.
 *
 * Setting: TMPDIR chooses the device.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/store_fixture.h"

#define RECORDS_MAX 1024 /* distinct records made before the clock starts */
#define BATCH_MAX   64

struct records {
    struct buffer bytes;
    struct bytes list[RECORDS_MAX];
    size_t count;
};

static struct records *records_make(const struct bench *b, const struct dataset_shape *shape,
                                    bool own_profilers)
{
    struct records *r = mem_zalloc(sizeof(*r));
    if (r == NULL)
        bench_must(ERR_NOMEM, NULL, "records");
    size_t ends[RECORDS_MAX + 1] = {0};
    buffer_init(&r->bytes, SIZE_MAX, NULL);
    struct dataset *d = dataset_create(shape, b->seed);
    r->count = b->rows < RECORDS_MAX ? b->rows : RECORDS_MAX;
    for (size_t i = 0; i < r->count; i++) {
        struct errinfo info = {0};
        struct uuid profiler = dataset_profiler(b->seed, own_profilers ? i : 0);
        bench_must(record_encode_profile(dataset_chunk(d, profiler, i), &r->bytes, &info), &info,
                   "record_encode_profile");
        ends[i + 1] = r->bytes.len;
    }
    for (size_t i = 0; i < r->count; i++)
        r->list[i] = bytes_of(r->bytes.data + ends[i], ends[i + 1] - ends[i]);
    dataset_destroy(d);
    return r;
}

static void records_free(struct records *r)
{
    buffer_close(&r->bytes);
    mem_free(r);
}

static void encode_all(struct bench *b, const struct dataset_shape *shape)
{
    struct dataset *d = dataset_create(shape, b->seed);
    struct buffer out;
    struct errinfo info = {0};
    buffer_init(&out, SIZE_MAX, NULL);
    const struct profile *p = dataset_chunk(d, dataset_profiler(b->seed, 0), 0);
    uint64_t hash = 0;
    b->iterations = b->rows;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++) {
        buffer_clear(&out);
        bench_must(record_encode_profile(p, &out, &info), &info, "record_encode_profile");
        hash = bench_mix(hash, out.len);
    }
    b->bytes = b->rows * out.len;
    bench_stop(b, hash);
    bench_note(b, "%zu samples in %zu bytes: %.3f bytes a sample", p->sample_count, out.len,
               (double)out.len / (double)p->sample_count);
    buffer_close(&out);
    dataset_destroy(d);
}

/* The limit: the same bytes, one write and one fdatasync a batch. */
static void write_by_hand(struct bench *b, const struct dataset_shape *shape, size_t batch)
{
    struct records *r = records_make(b, shape, false);
    struct tmpdir dir = tmpdir_make();
    char path[TMPDIR_PATH_SIZE + 16];
    int fd =
        open(tmpdir_path(&dir, "log", path, sizeof(path)), O_CREAT | O_WRONLY | O_APPEND, 0600);
    b->iterations = r->count;
    bench_start(b);
    for (size_t i = 0; i + batch <= r->count; i += batch) {
        size_t len = 0;
        for (size_t j = 0; j < batch; j++)
            len += r->list[i + j].len;
        int64_t before = clock_steady_ns();
        if (write(fd, r->list[i].data, len) != (ssize_t)len || fdatasync(fd) != 0)
            bench_must(ERR_IO, NULL, "write and fdatasync");
        histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
        b->bytes += len;
    }
    bench_stop(b, b->bytes);
    close(fd);
    tmpdir_remove(&dir);
    records_free(r);
}

static void append_to_store(struct bench *b, const struct dataset_shape *shape, size_t batch,
                            bool own_profilers)
{
    struct records *r = records_make(b, shape, own_profilers);
    struct store_fixture f = store_fixture_open(DURABILITY_BATCH);
    struct errinfo info = {0};
    b->iterations = r->count;
    bench_start(b);
    for (size_t i = 0; i + batch <= r->count; i += batch) {
        int64_t before = clock_steady_ns();
        bench_must(store_append(f.store, &r->list[i], batch, &info), &info, "store_append");
        histogram_record(b->latency, (uint64_t)(clock_steady_ns() - before));
        for (size_t j = 0; j < batch; j++)
            b->bytes += r->list[i + j].len;
    }
    bench_stop(b, b->bytes);
    store_fixture_close(&f);
    records_free(r);
}

BENCH(append_python_encode, .rows = {4, 200})
{
    encode_all(b, &dataset_python);
}

BENCH(append_python_by_hand, .rows = {16, 256})
{
    write_by_hand(b, &dataset_python, 1);
}

BENCH(append_python, .rows = {16, 256})
{
    append_to_store(b, &dataset_python, 1, false);
    bench_compare("append_python", "append_python_by_hand", b->rows);
}

BENCH(append_python_batch16_by_hand, .rows = {16, 256})
{
    write_by_hand(b, &dataset_python, 16);
}

BENCH(append_python_batch16, .rows = {16, 256})
{
    append_to_store(b, &dataset_python, 16, false);
    bench_compare("append_python_batch16", "append_python_batch16_by_hand", b->rows);
}

BENCH(append_trace_encode, .rows = {4, 2000})
{
    encode_all(b, &dataset_trace);
}

BENCH(append_trace_batch64_by_hand, .rows = {64, 1024})
{
    write_by_hand(b, &dataset_trace, BATCH_MAX);
}

BENCH(append_trace_batch64, .rows = {64, 1024})
{
    append_to_store(b, &dataset_trace, BATCH_MAX, true);
    bench_compare("append_trace_batch64", "append_trace_batch64_by_hand", b->rows);
}
