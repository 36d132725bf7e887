/* recordings.h - every recorded upload of real SDKs, set by set.
 *
 * From the recordings beside the checkout, else the (fewer) ones among the tests' data.
 *
 * Errors: a recording that cannot be read or taken in ends the program.
 */
#ifndef HEARTH_BENCH_RECORDINGS_H
#define HEARTH_BENCH_RECORDINGS_H

#include "bench/store_fixture.h"

struct recording {
    const char *set; /* name of its folder: <sdk>-<mode>-<workload> */
    uint64_t project_id;
    struct bytes envelope; /* without its content coding; lives for the call */
    struct bytes x_sentry_auth;
    struct bytes query;
};

/* All uploads of all sets whose names `wants` likes (NULL: all), in order. Bodies of more than
 * `body_max` bytes, as sent, are passed over. Returns where they came from; NULL: there are none. */
const char *recordings_each(size_t body_max, bool (*wants)(void *self, const char *set),
                            void (*on)(void *self, const struct recording *r), void *self);
/* Takes it in as an upload and appends what comes of it; everything is received at one moment.
 * `on_profile` (NULL: nobody) sees the document of each profile that is stored. */
void recording_store(const struct recording *r, struct store_fixture *f,
                     void (*on_profile)(void *self, struct bytes json), void *self);

#endif
