/* replay.h - recorded requests, run through the engine without a socket, and what they must give.
 *
 * A failed expectation is reported through replay_fault and counted; the caller asserts the count.
 */
#ifndef HEARTH_TESTS_SUPPORT_REPLAY_H
#define HEARTH_TESTS_SUPPORT_REPLAY_H

#include "base/buffer.h"
#include "engine/ingest.h"
#include "tests/support/rng.h"
#include "tests/support/tmpdir.h"

struct replay {
    struct tmpdir dir;
    struct keyring *keys;
    struct store *store;
    struct mem_budget budget;
    struct rng
        *split; /* NULL: bodies in one piece; else in random ones, through the stream decoder */
    unsigned requests;
    unsigned stored;  /* profiles whose facts were compared */
    unsigned dropped; /* items with another outcome, as expected */
    unsigned faults;
};

/* `projects`: JSON list of {"id", "key"}. */
void replay_open(struct replay *r, struct bytes projects);
void replay_close(struct replay *r);

/* A request as JSON object with method, target, headers; `expect` as EXPECTED.jsonl or a
 * manifest's "expect" has it. False: not for the engine alone (another method, a bad path). */
bool replay_request(struct replay *r, const char *name, struct bytes request, struct bytes body,
                    struct bytes expect);
/* All of a folder of recordings, or only requests of at most `body_max` bytes. */
void replay_folder(struct replay *r, const char *folder, size_t body_max);
/* All cases of a manifest.json. */
void replay_manifest(struct replay *r, const char *folder);

#endif
