/* sdk_profile.h - random documents that are put together as SDKs do it: call trees, threads that
 * wait and work, frames and stacks numbered as they come. Every index is in range, times ascend. */
#ifndef HEARTH_TESTS_SUPPORT_SDK_PROFILE_H
#define HEARTH_TESTS_SUPPORT_SDK_PROFILE_H

#include "base/arena.h"
#include "storage/profile.h"
#include "tests/support/rng.h"

enum sdk_style {
    SDK_BY_VALUE, /* equal frames have one number (Python) */
    SDK_BY_NODE,  /* each node of the call tree has its own (Node) */
    SDK_MIXED,    /* now and then a new one (Ruby) */
    SDK_SHUFFLED, /* frames in no order */
    SDK_TRIE,     /* stacks are all nodes of the trie, frames as samples use them (browsers) */
    SDK_UNUSED,   /* as by value, and a stack that no sample uses in front */
    SDK_STYLE_COUNT
};

/* Texts, and so frames, come from a small world: profiles of one `world` share most of them. */
void sdk_profile(struct rng *rng, struct arena *arena, enum sdk_style style, unsigned world,
                 size_t ticks, struct profile *ret);

#endif
