/* Any bytes: never a crash, the error lies inside the text, and what is taken is taken again from
 * the view that json_skip gave. The same bytes as a document go through both decoders. */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "engine/json_reader.h"
#include "engine/profile_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct bytes text, enum profile_kind kind, enum decode_rules rules)
{
    struct decode_options options = {.kind = kind, .rules = rules};
    struct decoded *d;
    struct errinfo info;
    enum ingest_outcome outcome;
    enum err rc = profile_decode(text, &options, &d, &outcome, &info);
    assert(rc == ERR_OK || rc == ERR_MALFORMED);
    if (rc != ERR_OK) {
        assert(outcome != INGEST_STORED);
        return;
    }
    enum err sound = profile_check(decoded_profile(d), &info);
    assert(rules == DECODE_STORED || kind == PROFILE_TRANSACTION || sound == ERR_OK);
    (void)sound;
    decoded_destroy(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_reader r;
    struct errinfo info;
    struct bytes text = bytes_of(data, size);
    json_reader_init(&r, text, NULL, &info);
    struct bytes value = json_skip(&r);
    enum err rc = json_end(&r);
    assert(json_offset(&r) <= size);
    if (rc == ERR_OK) {
        assert(value.data >= data && value.data + value.len <= data + size);
        json_reader_init(&r, value, NULL, &info);
        (void)json_skip(&r);
        assert(json_end(&r) == ERR_OK);
        (void)json_find(value, "a");
    }
    decode(text, PROFILE_CHUNK, DECODE_ENVELOPE);
    decode(text, PROFILE_CHUNK, DECODE_STORED);
    decode(text, PROFILE_TRANSACTION, DECODE_ENVELOPE);
    decode(text, PROFILE_TRANSACTION, DECODE_STORED);
    return 0;
}
