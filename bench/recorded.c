#include "bench/recorded.h"

#include <libdeflate.h>

#include "base/limits.h"
#include "bench/bench.h"
#include "bench/dataset.h"
#include "tests/support/file.h"

#define ENVELOPE_MAX MIB(64)
#define GZIP_LEVEL   6 /* sentry-sdk's 9 gives 1 % less and takes five times as long to make */

size_t recorded_inflate(struct bytes gzip, uint8_t *to, size_t room)
{
    size_t len = 0;
    struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
    if (z == NULL ||
        libdeflate_gzip_decompress(z, gzip.data, gzip.len, to, room, &len) != LIBDEFLATE_SUCCESS)
        bench_must(ERR_MALFORMED, NULL, "inflate");
    libdeflate_free_decompressor(z);
    return len;
}

void recorded_compress(struct bytes text, struct buffer *out)
{
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (z == NULL)
        bench_must(ERR_NOMEM, NULL, "deflate");
    size_t bound = libdeflate_gzip_compress_bound(z, text.len);
    bench_must(buffer_reserve(out, bound), NULL, "deflate");
    out->len += libdeflate_gzip_compress(z, text.data, text.len, out->data + out->len, bound);
    libdeflate_free_compressor(z);
}

const char *recorded_envelope(uint64_t seed, struct buffer *out)
{
    char path[512];
    struct bytes gzip = {0};
    const char *from = NULL;
    if (shared_path(path, sizeof(path), "data/envelopes/python-manual-orders/030.body"))
        from = "recorded: python-manual-orders/030";
    else if (source_path(path, sizeof(path), "tests/data/envelopes/python-manual-orders/036.body"))
        from = "recorded: python-manual-orders/036 of the tests";
    if (from == NULL || !file_read(path, &gzip)) {
        struct dataset *d = dataset_create(&dataset_python, seed);
        dataset_write_envelope(dataset_chunk(d, dataset_profiler(seed, 0), 0), out);
        dataset_destroy(d);
        return "synthetic: no recording was found";
    }
    bench_must(buffer_reserve(out, ENVELOPE_MAX), NULL, "envelope");
    out->len += recorded_inflate(gzip, out->data + out->len, ENVELOPE_MAX);
    file_free(&gzip);
    return from;
}

/* Its JSON is one line, and the longest of the envelope. */
struct bytes recorded_payload(struct bytes envelope)
{
    struct bytes longest = {0};
    while (envelope.len > 0) {
        size_t len = bytes_find_byte(envelope, '\n');
        if (len > longest.len)
            longest = bytes_first(envelope, len);
        envelope = bytes_from(envelope, len + 1);
    }
    return longest;
}
