/* record.h - what store_append takes and a log keeps: the facts of one profile or link, and for a
 * profile its block.
 *
 *   u32 facts size | u32 block size | facts | block (one page; links have none)
 *
 * That is its form in memory, from the encoders (storage/store.h) to store_append. In a log the two
 * parts lie apart, without these eight bytes: the facts of all records of a batch, each behind a
 * varint of its size, then all blocks (docs/file-format.md). Facts carry all that the index needs,
 * so that opening a closed log reads no block; the content hash in them covers everything but the
 * time of arrival.
 *
 * Errors: parsing trusts nothing: ERR_CORRUPT, ERR_UNSUPPORTED for an unknown kind.
 */
#ifndef HEARTH_STORAGE_RECORD_H
#define HEARTH_STORAGE_RECORD_H

#include "base/hash.h"
#include "storage/store.h"

enum record_kind {
    RECORD_CHUNK = PROFILE_CHUNK,
    RECORD_TRANSACTION = PROFILE_TRANSACTION,
    RECORD_LINK = 3
};

/* The texts of a profile's facts, in the order on disk. */
enum record_text {
    TEXT_PLATFORM,
    TEXT_ENVIRONMENT,
    TEXT_RELEASE,
    TEXT_DIST,
    TEXT_SDK_NAME,
    TEXT_SDK_VERSION,
    TEXT_TRANSACTION,
    TEXT_COUNT
};

/* The texts of a link, in the order on disk. */
enum link_text {
    LINK_NAME,
    LINK_OP,
    LINK_THREAD_ID,
    LINK_THREAD_NAME,
    LINK_ENVIRONMENT,
    LINK_RELEASE,
    LINK_PLATFORM,
    LINK_TEXT_COUNT
};

struct record {
    enum record_kind kind;
    struct hash128 content;
    struct link link; /* RECORD_LINK only */

    /* profiles only */
    uint64_t organization_id;
    uint64_t project_id;
    uint32_t retention_days;
    int64_t received_ns;
    struct uuid profiler_id;
    struct uuid id;
    struct uuid trace_id;
    struct uuid transaction_id;
    int64_t start_ns;
    int64_t end_ns;
    uint32_t sample_count;
    uint32_t thread_count;
    struct bytes text[TEXT_COUNT]; /* views into the facts */
    uint32_t block_size;           /* with the page's header; 0 for links */
};

/* The two parts of an encoded record. */
enum err record_split(struct bytes record, struct bytes *ret_facts, struct bytes *ret_block,
                      struct errinfo *info) MUST_CHECK;
enum err record_parse(struct bytes facts, struct record *ret, struct errinfo *info) MUST_CHECK;
/* What record_encode_link says of a link's content. `scratch` is overwritten; its failure else. */
enum err record_link_content(const struct link *link, struct buffer *scratch,
                             struct hash128 *ret) MUST_CHECK;
void record_get_link_texts(const struct link *link, struct bytes ret[LINK_TEXT_COUNT]);
void record_set_link_texts(struct link *link, const struct bytes text[LINK_TEXT_COUNT]);
/* Where the checksum of a profile's page starts: whose page it is. */
uint32_t record_page_seed(uint64_t project_id, struct uuid profiler_id, struct uuid id);

#endif
