/* random_query.h - SnQL texts made from choices: of a random generator, or of a fuzzer's bytes.
 *
 * Most are well-formed and many have sound types; some are neither, on purpose. They ask table
 * profile_chunks.
 */
#ifndef HEARTH_TESTS_SUPPORT_RANDOM_QUERY_H
#define HEARTH_TESTS_SUPPORT_RANDOM_QUERY_H

#include "base/buffer.h"

struct query_choices {
    void *self;
    /* A number below n. */
    uint32_t (*below)(void *self, uint32_t n);
};

void random_query(const struct query_choices *choices, struct buffer *out);

#endif
