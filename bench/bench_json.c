/* How fast is a recorded Python chunk read, beside another parser and beside inflating it?
 *
 * Estimate: the chunk is 4 MB of short tokens: 52,783 samples with five tokens each, and one
 * double of 17 digits. Inflating a text so repetitive runs at 1.5 GB/s (libdeflate). yyjson builds
 * a tree at about 1 GB/s; json_skip builds nothing and should be near it although it looks at
 * single bytes. profile_decode converts 52,783 doubles (40 ns each: 2.1 ms) on top of reading:
 * about 6 ms, 650 MB/s.
 */
#ifdef HEARTH_HAVE_YYJSON
#include <yyjson.h>
#endif

#include "bench/bench.h"
#include "bench/recorded.h"
#include "engine/json_reader.h"
#include "engine/profile_decode.h"

struct input {
    struct bytes json;  /* the payload of the profile_chunk item */
    struct buffer gzip; /* the whole request body, compressed */
    struct buffer body;
    const char *from;
};

static struct input input_read(const struct bench *b)
{
    struct input in = {0};
    buffer_init(&in.body, SIZE_MAX, NULL);
    buffer_init(&in.gzip, SIZE_MAX, NULL);
    in.from = recorded_envelope(b->seed, &in.body);
    recorded_compress(buffer_bytes(&in.body), &in.gzip);
    in.json = recorded_payload(buffer_bytes(&in.body));
    return in;
}

static void input_close(struct input *in)
{
    buffer_close(&in->body);
    buffer_close(&in->gzip);
}

BENCH(json_inflate_alone, .rows = {1, 20})
{
    struct input in = input_read(b);
    size_t len = 0;
    b->iterations = b->rows;
    b->bytes = b->rows * in.body.len;
    bench_note(b, "%s", in.from);
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++)
        len += recorded_inflate(buffer_bytes(&in.gzip), in.body.data, in.body.len);
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
