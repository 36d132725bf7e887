/* frame_platform.h - whose code a frame is, when the SDK did not say: one rule set a platform.
 *
 * Source of the rules: vroom 26.7.1, restated in docs/semantics.md. Comparisons are byte by byte.
 */
#ifndef HEARTH_ENGINE_FRAME_PLATFORM_H
#define HEARTH_ENGINE_FRAME_PLATFORM_H

#include "storage/profile.h"

/* in_app resolved: what the SDK said counts when the frame's platform (its own, else the
 * document's) is the document's; else the rules of the frame's platform, and platforms without
 * rules say no. */
bool frame_is_application(const struct profile *p, const struct profile_frame *f);

#endif
