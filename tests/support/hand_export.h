/* hand_export.h - one call from profiles written by hand to the exported file. */
#ifndef HEARTH_TESTS_HAND_EXPORT_H
#define HEARTH_TESTS_HAND_EXPORT_H

#include "engine/export.h"
#include "tests/support/hand_profile.h"

struct hand_part {
    const struct hand_profile *profile;
    const char *thread; /* NULL: all */
    int64_t start_ns;   /* both 0: no window */
    int64_t end_ns;
};

/* Adds the parts in order; the file is in `out`, which the caller closes. */
enum err hand_export(const struct export_options *options, const struct hand_part *parts,
                     size_t count, struct mem_account *account, struct buffer *out,
                     struct errinfo *info);

#endif
