/* hand_profile.h - small profiles written down by hand for tests. Fixed room, no freeing. */
#ifndef HEARTH_TESTS_HAND_PROFILE_H
#define HEARTH_TESTS_HAND_PROFILE_H

#include "storage/profile.h"

#define HAND_ROOM 256

struct hand_frame {
    const char *function; /* NULL or "": absent; so with all texts */
    const char *module;
    const char *package;
    const char *filename;
    const char *abs_path;
    const char *platform;
    const char *instruction_addr;
    const char *rest;
    uint32_t line;
    uint32_t column;
    enum profile_in_app in_app;
};

struct hand_profile {
    struct profile profile; /* what the code under test gets */
    struct bytes strings[HAND_ROOM];
    struct profile_frame frames[HAND_ROOM];
    uint32_t frame_list[HAND_ROOM];
    uint32_t node_parent[HAND_ROOM];
    uint32_t node_frame[HAND_ROOM];
    uint32_t stacks[HAND_ROOM];
    struct profile_thread threads[HAND_ROOM];
    uint64_t sample_time[HAND_ROOM];
    uint32_t sample_thread[HAND_ROOM];
    uint32_t sample_stack[HAND_ROOM];
};

/* An empty profile; `h` must not move afterwards. Texts are borrowed. */
void hand_profile_init(struct hand_profile *h, enum profile_kind kind, const char *platform);
uint32_t hand_string(struct hand_profile *h, const char *text);
/* The next frame of the document. */
uint32_t hand_frame(struct hand_profile *h, struct hand_frame frame);
/* The next stack of the document: frame numbers leaf first, as digits or letters: "20" is frame 2
 * called by frame 0, "a" is frame 10. */
uint32_t hand_stack(struct hand_profile *h, const char *leaf_first);
uint32_t hand_thread(struct hand_profile *h, const char *id, const char *name);
/* Chunks: `when` in unix seconds; transaction profiles: elapsed nanoseconds. */
void hand_sample(struct hand_profile *h, uint32_t thread, uint32_t stack, double when);

#endif
