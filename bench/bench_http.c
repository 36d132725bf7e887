/* What does a question or an upload cost over HTTP, beside a bare libuv and llhttp answer?
 *
 * Estimate: loopback, one request at a time, is two wakeups and four system calls: 25 us, and a
 * bare server does some 60,000 requests/s on one core while the client has the other. A chunk
 * lookup adds the router, a snapshot, 1 us of index and 1 KB of JSON: 5 to 10 us if it runs on the
 * loop, 20 us more if it goes through the pool. An upload of a recorded Python chunk is inflating
 * (0.9 ms), decoding (4 ms), encoding (1.5 ms) and a share of a sync: 150 chunks/s a core; one of a
 * lifecycle-trace chunk is 100 us: 8,000/s.
 *
 * Open loop cases have a fixed schedule (per op is then the schedule, the latencies are the
 * answer); the others go flat out over 8 connections. Settings: hearth=PATH, threads=N.
 */
#include <stdio.h>
#include <string.h>

#include "api/http_client.h"
#include "base/mem.h"
#include "bench/bare_server.h"
#include "bench/bench.h"
#include "bench/dataset.h"
#include "bench/hearth_process.h"
#include "bench/load.h"
#include "bench/recorded.h"
#include "tests/support/rng.h"

#define CONNECTIONS     8
#define SEEDED_CHUNKS   100
#define OPEN_LOOP_RATE  2000.0
#define ANSWER_SIZE_MAX ((size_t)64 << 10)

/* Requests made before the clock starts. */
struct requests {
    struct buffer bytes;
    size_t *ends;
    size_t count;
};

static void requests_init(struct requests *r, size_t max)
{
    *r = (struct requests){.ends = mem_array(max, sizeof(*r->ends))};
    if (r->ends == NULL)
        bench_must(ERR_NOMEM, NULL, "requests");
    buffer_init(&r->bytes, SIZE_MAX, NULL);
}

static void requests_end_one(struct requests *r)
{
    bench_must(r->bytes.failed, NULL, "requests");
    r->ends[r->count++] = r->bytes.len;
}

static void requests_close(struct requests *r)
{
    buffer_close(&r->bytes);
    mem_free(r->ends);
}

static struct bytes request_at(void *self, size_t n)
{
    const struct requests *r = self;
    size_t i = n % r->count;
    size_t start = i == 0 ? 0 : r->ends[i - 1];
    return bytes_of(r->bytes.data + start, r->ends[i] - start);
}

/* One upload of that envelope, gzipped as SDKs do. */
static void add_upload(struct requests *r, struct bytes envelope)
{
    struct buffer body;
    buffer_init(&body, SIZE_MAX, NULL);
    recorded_compress(envelope, &body);
    buffer_printf(&r->bytes,
                  "POST /api/1/envelope/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                  "Content-Type: application/x-sentry-envelope\r\nContent-Encoding: gzip\r\n"
                  "X-Sentry-Auth: Sentry sentry_key=%s, sentry_version=7\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  "0123456789abcdef0123456789abcdef", body.len);
    buffer_put(&r->bytes, buffer_bytes(&body));
    requests_end_one(r);
    buffer_close(&body);
}

/* `shape`'s chunks, each with an id of its own, so that none is a repetition. */
static void add_synthetic(struct requests *r, const struct dataset_shape *shape, uint64_t seed,
                          size_t count, bool own_profilers)
{
    struct dataset *d = dataset_create(shape, seed);
    struct buffer envelope;
    buffer_init(&envelope, SIZE_MAX, NULL);
    for (size_t i = 0; i < count; i++) {
        struct uuid profiler = dataset_profiler(seed, own_profilers ? i : 0);
        buffer_clear(&envelope);
        dataset_write_envelope(dataset_chunk(d, profiler, i), &envelope);
        add_upload(r, buffer_bytes(&envelope));
    }
    buffer_close(&envelope);
    dataset_destroy(d);
}

/* The recorded chunk again and again, under another chunk id each time. Returns where it is from;
 * the decoded bytes of all are added to *ret_size. */
static const char *add_recorded(struct requests *r, uint64_t seed, size_t count, size_t *ret_size)
{
    static const char key[] = "\"chunk_id\"";
    struct buffer envelope;
    buffer_init(&envelope, SIZE_MAX, NULL);
    const char *from = recorded_envelope(seed, &envelope);
    char *at = memmem(envelope.data, envelope.len, key, strlen(key));
    char *end = (char *)envelope.data + envelope.len - UUID_TEXT_SIZE;
    if (at != NULL) /* the value: past the colon and its quote */
        at = memchr(at + strlen(key), '"', (size_t)(end - at));
    if (at == NULL || at >= end)
        bench_must(ERR_MALFORMED, NULL, "no chunk_id in the recording");
    for (size_t i = 0; i < count; i++) {
        char id[UUID_TEXT_SIZE + 1];
        uuid_print(dataset_profiler(seed, i), id);
        memcpy(at + 1, id, UUID_TEXT_SIZE);
        add_upload(r, buffer_bytes(&envelope));
        *ret_size += envelope.len;
    }
    buffer_close(&envelope);
    return from;
}

/* Windows of ten minutes of the hundred that are stored. */
static void add_lookups(struct requests *r, uint64_t seed, size_t count)
{
    struct rng rng = rng_seeded(seed);
    char profiler[UUID_TEXT_SIZE + 1];
    uuid_print(dataset_profiler(seed, 0), profiler);
    for (size_t i = 0; i < count; i++) {
        uint64_t start = DATASET_START_S + 60 * rng_below(&rng, SEEDED_CHUNKS - 10);
        buffer_printf(
            &r->bytes,
            "GET /api/v1/projects/1/chunks?profiler_id=%s&start=%llu&end=%llu HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\n\r\n",
            profiler, (unsigned long long)start, (unsigned long long)start + 600);
        requests_end_one(r);
    }
}

/* One thread, two samples a minute: a hundred minutes of them are quickly stored. */
static const struct dataset_shape minute = {1, 1, 1, 60, 2, 4, 3, 500};

static void run_load(struct bench *b, int port, struct requests *r, size_t count, double rate)
{
    struct load_options options = {.port = port,
                                   .connections = CONNECTIONS,
                                   .rate = rate,
                                   .count = count,
                                   .request = request_at,
                                   .self = r,
                                   .latency = b->latency};
    struct load_result result = {0};
    struct errinfo info = {0};
    b->iterations = count;
    bench_start(b);
    bench_must(load_run(&options, &result, &info), &info, "load_run");
    bench_stop(b, result.good);
    if (result.good != count)
        printf("%34s %zu good, %zu refused, %zu failed of %zu\n", "", result.good, result.refused,
               result.failed, count);
    if (rate > 0)
        bench_note(b, "the client itself was late by %.1f us (p99)",
                   (double)result.late_p99_ns / 1e3);
}

static void seed_chunks(const struct bench *b, int port)
{
    static struct histogram unused;
    struct requests r;
    requests_init(&r, SEEDED_CHUNKS);
    add_synthetic(&r, &minute, b->seed, SEEDED_CHUNKS, false);
    struct load_options options = {.port = port,
                                   .connections = 4,
                                   .count = r.count,
                                   .request = request_at,
                                   .self = &r,
                                   .latency = &unused};
    struct load_result result = {0};
    struct errinfo info = {0};
    bench_must(load_run(&options, &result, &info), &info, "seeding");
    if (result.good != r.count)
        bench_must(ERR_IO, NULL, "seeding: chunks were refused");
    requests_close(&r);
}

/* A whole answer of hearth to a lookup, for the bare server to repeat. */
static size_t learn_answer(struct bench *b, char *answer)
{
    struct hearth_process h;
    if (!hearth_process_start(b, &h))
        return 0;
    seed_chunks(b, h.port);
    struct requests r;
    requests_init(&r, 1);
    add_lookups(&r, b->seed, 1);
    static struct histogram unused;
    struct load_options options = {.port = h.port,
                                   .connections = 1,
                                   .count = 1,
                                   .request = request_at,
                                   .self = &r,
                                   .latency = &unused};
    struct load_result result = {0};
    struct errinfo info = {0};
    bench_must(load_run(&options, &result, &info), &info, "one lookup");
    requests_close(&r);
    hearth_process_stop(&h);
    int head = snprintf(answer, ANSWER_SIZE_MAX,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: %08zu\r\n\r\n",
                        (size_t)0);
    size_t size = result.answer_bytes;
    if (result.good != 1 || size <= (size_t)head || size > ANSWER_SIZE_MAX)
        bench_must(ERR_IO, NULL, "lookup: no answer that can be repeated");
    head = snprintf(answer, ANSWER_SIZE_MAX,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    "Content-Length: %08zu\r\n\r\n",
                    size - (size_t)head);
    memset(answer + head, ' ', size - (size_t)head);
    return size;
}

static void ask_bare_server(struct bench *b, struct bytes answer, double rate)
{
    struct bare_server *server = NULL;
    struct errinfo info = {0};
    int port = 0;
    bench_must(bare_server_start(answer, &server, &port, &info), &info, "bare server");
    struct requests r;
    requests_init(&r, 1000);
    add_lookups(&r, b->seed, 1000);
    run_load(b, port, &r, b->rows, rate);
    requests_close(&r);
    bare_server_stop(server);
}

static void lookup_bare(struct bench *b, double rate)
{
    static char answer[ANSWER_SIZE_MAX];
    size_t size = learn_answer(b, answer);
    if (size > 0)
        ask_bare_server(b, bytes_of(answer, size), rate);
}

static void lookup_hearth(struct bench *b, double rate)
{
    struct hearth_process h;
    if (!hearth_process_start(b, &h))
        return;
    seed_chunks(b, h.port);
    struct requests r;
    requests_init(&r, 1000);
    add_lookups(&r, b->seed, 1000);
    run_load(b, h.port, &r, b->rows, rate);
    requests_close(&r);
    hearth_process_stop(&h);
}

/* What the client and the machine can do at most. */
BENCH(http_empty_flat_out, .rows = {500, 100000}, .once = true)
{
    ask_bare_server(b, BYTES("HTTP/1.1 204 No Content\r\n\r\n"), 0);
}

BENCH(http_empty_open_loop, .rows = {500, 20000}, .once = true)
{
    ask_bare_server(b, BYTES("HTTP/1.1 204 No Content\r\n\r\n"), OPEN_LOOP_RATE);
}

BENCH(http_bare_flat_out, .rows = {500, 100000}, .once = true)
{
    lookup_bare(b, 0);
}

BENCH(http_lookup_flat_out, .rows = {500, 100000}, .once = true)
{
    lookup_hearth(b, 0);
    bench_compare("http_lookup_flat_out", "http_bare_flat_out", b->rows);
}

BENCH(http_bare_open_loop, .rows = {500, 20000}, .once = true)
{
    lookup_bare(b, OPEN_LOOP_RATE);
}

BENCH(http_lookup_open_loop, .rows = {500, 20000}, .once = true)
{
    lookup_hearth(b, OPEN_LOOP_RATE);
    bench_compare_latency("http_lookup_open_loop", "http_bare_open_loop", b->rows);
}

static void upload(struct bench *b, const struct dataset_shape *shape, bool own_profilers,
                   double rate)
{
    struct hearth_process h;
    if (!hearth_process_start(b, &h))
        return;
    struct requests r;
    requests_init(&r, b->rows);
    add_synthetic(&r, shape, b->seed, b->rows, own_profilers);
    run_load(b, h.port, &r, b->rows, rate);
    b->bytes = r.bytes.len;
    bench_note(b, "hearth's own peak: %.1f MB resident", (double)hearth_process_peak(&h) / 1e6);
    requests_close(&r);
    hearth_process_stop(&h);
}

/* MB/s are of the inflated envelopes: compare with inflating and parsing alone (bench_json). */
BENCH(http_ingest_recorded_flat_out, .rows = {8, 200}, .once = true)
{
    struct hearth_process h;
    if (!hearth_process_start(b, &h))
        return;
    struct requests r;
    requests_init(&r, b->rows);
    size_t size = 0;
    const char *from = add_recorded(&r, b->seed, b->rows, &size);
    run_load(b, h.port, &r, b->rows, 0);
    b->bytes = size;
    bench_note(b, "%s; hearth's own peak: %.1f MB resident", from,
               (double)hearth_process_peak(&h) / 1e6);
    requests_close(&r);
    hearth_process_stop(&h);
}

BENCH(http_ingest_python_flat_out, .rows = {8, 200}, .once = true)
{
    upload(b, &dataset_python, false, 0);
}

BENCH(http_ingest_trace_flat_out, .rows = {64, 20000}, .once = true)
{
    upload(b, &dataset_trace, true, 0);
}

BENCH(http_ingest_trace_open_loop, .rows = {64, 5000}, .once = true)
{
    upload(b, &dataset_trace, true, 500);
}
