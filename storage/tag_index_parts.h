/* tag_index_parts.h - what writing and reading the index share. */
#ifndef HEARTH_STORAGE_TAG_INDEX_PARTS_H
#define HEARTH_STORAGE_TAG_INDEX_PARTS_H

#include "storage/tag_index.h"

#define TAG_SET_ALL 0 /* the number of the set of all rows; others are one more than their place */

static inline uint64_t tag_key(enum tag_dimension dimension, uint32_t value)
{
    return (uint64_t)dimension << 32 | value;
}

static inline enum tag_dimension tag_key_dimension(uint64_t key)
{
    return (enum tag_dimension)(key >> 32);
}

/* The value of a name of threads: names that share one are told apart by their texts. */
static inline uint32_t tag_thread_value(struct bytes name)
{
    return (uint32_t)hash_bytes(name, 0);
}

/* Which of a row's texts a dimension is. */
static inline enum record_text tag_text_of(enum tag_dimension d)
{
    static const enum record_text texts[] = {[TAG_ENVIRONMENT] = TEXT_ENVIRONMENT,
                                             [TAG_RELEASE] = TEXT_RELEASE,
                                             [TAG_PLATFORM] = TEXT_PLATFORM,
                                             [TAG_SDK] = TEXT_SDK_NAME,
                                             [TAG_TRANSACTION] = TEXT_TRANSACTION};
    assert(d >= TAG_ENVIRONMENT && d <= TAG_TRANSACTION);
    return texts[d];
}

#endif
