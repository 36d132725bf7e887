/* random_manifest.h - manifests of any content that may be written, and when two are equal. */
#ifndef HEARTH_TESTS_SUPPORT_RANDOM_MANIFEST_H
#define HEARTH_TESTS_SUPPORT_RANDOM_MANIFEST_H

#include "storage/manifest.h"
#include "tests/support/rng.h"

/* With so many segments; some hide rows, some links. To be closed. */
void random_manifest(struct rng *rng, size_t segments, struct manifest *ret);
bool manifest_is_equal(const struct manifest *a, const struct manifest *b);

#endif
