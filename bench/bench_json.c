/* How fast is a recorded Python chunk read, beside another parser and beside inflating it?
 *
 * Estimate: the chunk is 4 MB of short tokens: 52,783 samples with five tokens each, and one
 * double of 17 digits. Inflating a text so repetitive runs at 1.5 GB/s (libdeflate). yyjson builds
 * a tree at about 1 GB/s; json_skip builds nothing and should be near it although it looks at
 * single bytes. profile_decode converts 52,783 doubles (40 ns each: 2.1 ms) on top of reading:
 * about 6 ms, 650 MB/s.
 */
#include <stdlib.h>
#include <string.h>

#ifdef HEARTH_HAVE_YYJSON
#include <yyjson.h>
#endif
#include <libdeflate.h>

#include "base/mem.h"
#include "bench/bench.h"
#include "bench/dataset.h"
#include "engine/json_reader.h"
#include "engine/profile_decode.h"
#include "tests/support/file.h"

struct input {
    struct bytes json; /* the payload of the profile_chunk item */
    struct bytes gzip; /* the whole request body, compressed */
    struct buffer body;
    size_t body_size;
};

/* Payload of the first profile_chunk item: the longest line of the envelope. */
static struct bytes longest_line(struct bytes body)
{
    struct bytes longest = {0};
    while (body.len > 0) {
        size_t len = bytes_find_byte(body, '\n');
        if (len > longest.len)
            longest = bytes_first(body, len);
        body = bytes_from(body, len + 1);
    }
    return longest;
}

static void inflate_into(struct bytes gzip, struct buffer *out, size_t *ret_len)
{
    struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
    if (z == NULL || libdeflate_gzip_decompress(z, gzip.data, gzip.len, out->data, out->capacity,
                                                ret_len) != LIBDEFLATE_SUCCESS)
        bench_must(ERR_MALFORMED, NULL, "inflate");
    libdeflate_free_decompressor(z);
}

/* Without the recordings: a synthetic chunk, compressed as sentry-sdk does. */
static struct bytes make_gzip(uint64_t seed)
{
    struct dataset *d = dataset_create(&dataset_python, seed);
    struct buffer text;
    buffer_init(&text, SIZE_MAX, NULL);
    dataset_write_envelope(dataset_chunk(d, dataset_profiler(seed, 0), 0), &text);
    dataset_destroy(d);
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(9);
    if (z == NULL)
        bench_must(ERR_NOMEM, NULL, "deflate");
    size_t room = libdeflate_gzip_compress_bound(z, text.len);
    uint8_t *gzip = mem_alloc(room);
    if (gzip == NULL)
        bench_must(ERR_NOMEM, NULL, "deflate");
    size_t len = libdeflate_gzip_compress(z, text.data, text.len, gzip, room);
    libdeflate_free_compressor(z);
    buffer_close(&text);
    return bytes_of(gzip, len);
}

static struct input input_read(const struct bench *b)
{
    struct input in = {0};
    char path[512];
    bool recorded =
        source_path(path, sizeof(path), "tests/data/envelopes/python-manual-orders/030.body") ||
        shared_path(path, sizeof(path), "data/envelopes/python-manual-orders/030.body");
    if (!recorded || !file_read(path, &in.gzip))
        in.gzip = make_gzip(b->seed);
    buffer_init(&in.body, SIZE_MAX, NULL);
    bench_must(buffer_reserve(&in.body, (size_t)64 << 20), NULL, "body");
    inflate_into(in.gzip, &in.body, &in.body.len);
    in.body_size = in.body.len;
    in.json = longest_line(buffer_bytes(&in.body));
    return in;
}

static void input_close(struct input *in)
{
    buffer_close(&in->body);
    file_free(&in->gzip);
}

BENCH(json_inflate_alone, .rows = {1, 20})
{
    struct input in = input_read(b);
    size_t len = 0;
    b->iterations = b->rows;
    b->bytes = b->rows * in.body_size;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++)
        inflate_into(in.gzip, &in.body, &len);
    bench_stop(b, len);
    input_close(&in);
}

#ifdef HEARTH_HAVE_YYJSON
BENCH(json_yyjson_tree, .rows = {1, 20})
{
    struct input in = input_read(b);
    uint64_t hash = 0;
    b->iterations = b->rows;
    b->bytes = b->rows * in.json.len;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++) {
        yyjson_doc *doc = yyjson_read((const char *)in.json.data, in.json.len, 0);
        hash = bench_mix(hash, doc == NULL ? 0 : yyjson_doc_get_val_count(doc));
        yyjson_doc_free(doc);
    }
    bench_stop(b, hash);
    input_close(&in);
}
#endif

BENCH(json_skip, .rows = {1, 20})
{
    struct input in = input_read(b);
    struct buffer scratch;
    struct errinfo info = {0};
    uint64_t hash = 0;
    buffer_init(&scratch, 1 << 20, NULL);
    b->iterations = b->rows;
    b->bytes = b->rows * in.json.len;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++) {
        struct json_reader r;
        json_reader_init(&r, in.json, &scratch, &info);
        hash = bench_mix(hash, json_skip(&r).len);
        bench_must(json_end(&r), &info, "json_skip");
    }
    bench_stop(b, hash);
    bench_compare("json_skip", "json_yyjson_tree", b->rows);
    bench_compare("json_skip", "json_inflate_alone", b->rows);
    buffer_close(&scratch);
    input_close(&in);
}

BENCH(json_profile_decode, .rows = {1, 20})
{
    struct input in = input_read(b);
    const struct decode_options options = {
        .kind = PROFILE_CHUNK,
        .rules = DECODE_ENVELOPE,
        .platform_header = BYTES("python"),
    };
    uint64_t hash = 0;
    b->iterations = b->rows;
    b->bytes = b->rows * in.json.len;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++) {
        struct decoded *d = NULL;
        enum ingest_outcome outcome;
        struct errinfo info = {0};
        bench_must(profile_decode(in.json, &options, &d, &outcome, &info), &info, "profile_decode");
        hash = bench_mix(hash, decoded_profile(d)->sample_count);
        decoded_destroy(d);
    }
    bench_stop(b, hash);
    bench_compare("json_profile_decode", "json_yyjson_tree", b->rows);
    bench_compare("json_profile_decode", "json_inflate_alone", b->rows);
    input_close(&in);
}
