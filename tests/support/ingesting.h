/* ingesting.h - a server of the envelope endpoint over a store on a disk in memory. */
#ifndef HEARTH_TESTS_INGESTING_H
#define HEARTH_TESTS_INGESTING_H

#include "api/config.h"
#include "api/key_watch.h"
#include "tests/support/serving.h"
#include "tests/support/vfs_mem.h"

/* A key of project 42. */
#define INGESTING_KEY  "df17aa723bdea468a13becb9733ba43b"
#define INGESTING_AUTH "X-Sentry-Auth: Sentry sentry_key=" INGESTING_KEY ", sentry_version=7\r\n"

struct ingesting {
    struct vfs_mem *disk;
    struct key_watch *keys;
    struct config config;
    struct serving serving;
};

void ingesting_start(struct ingesting *t, size_t memory_max);
/* False when the budget did not get everything back. */
bool ingesting_stop(struct ingesting *t);
/* Profiles stored. */
uint64_t ingesting_rows(struct ingesting *t);
/* Append an envelope with chunk `number`: `sample_count` samples of one thread. */
void ingesting_put_chunk(struct buffer *out, unsigned number, unsigned sample_count);

#endif
