/* frame_platform.h - whose code a frame is, when the SDK did not say: one rule set a platform.
 *
 * Source of the rules: vroom 26.7.1, restated in docs/semantics.md. Comparisons are byte by byte.
 */
#ifndef HEARTH_ENGINE_FRAME_PLATFORM_H
#define HEARTH_ENGINE_FRAME_PLATFORM_H

#include "storage/profile.h"

/* Application code by the rules of `platform`; platforms without rules say no. */
bool frame_platform_in_app(const struct profile *p, const struct profile_frame *f,
                           struct bytes platform);

#endif
