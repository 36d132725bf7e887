/* Any bytes as a coded body (the first one says which coding and how large the pieces are): whole
 * and stream agree, never beyond the ceiling, all memory given back. */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "engine/content_coding.h"

#define CEILING KIB(256)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err run_stream(enum content_coding coding, struct bytes in, size_t piece,
                           struct buffer *out)
{
    struct content_decoder *d;
    struct errinfo info;
    uint8_t made_here[1024];
    enum err rc = content_decoder_create(coding, CEILING, NULL, &d, &info);
    assert(rc == ERR_OK);
    bool more = true;
    while (rc == ERR_OK && (more || in.len > 0)) {
        size_t used, made;
        rc = content_decoder_feed(d, bytes_first(in, piece), &used, made_here,
                                  1 + piece % sizeof(made_here), &made, &info);
        in = bytes_from(in, used);
        more = used > 0 || made > 0;
        assert(rc != ERR_OK || more || in.len == 0);
        if (rc == ERR_OK)
            buffer_put(out, bytes_of(made_here, made));
    }
    if (rc == ERR_OK)
        rc = content_decoder_finish(d, &info);
    content_decoder_destroy(d);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum content_coding coding = (enum content_coding)(data[0] % 5);
    struct bytes in = bytes_of(data + 1, size - 1);
    struct buffer whole, stream;
    struct errinfo info;
    buffer_init(&whole, CEILING, NULL);
    buffer_init(&stream, CEILING, NULL);
    enum err a = content_decode_whole(coding, in, &whole, &info);
    enum err b = run_stream(coding, in, 1 + (size_t)(data[0] / 5) * 7, &stream);
    assert(a == ERR_OK || whole.len == 0);
    /* two libraries may differ in where they notice damage, not in what they decode */
    if (a == ERR_OK && b == ERR_OK)
        assert(bytes_equal(buffer_bytes(&whole), buffer_bytes(&stream)));
    buffer_close(&whole);
    buffer_close(&stream);
    return 0;
}
