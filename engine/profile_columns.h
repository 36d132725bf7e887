/* profile_columns.h - the columns of one profile while they grow.
 *
 * Equal frames, stacks and texts are kept once, at the moment they come, so that memory follows
 * what is distinct and not the size of the document.
 *
 * Owns:   its buffers, all counted against one account.
 * Errors: the first failure of memory sticks in `failed`; adding goes on without effect.
 * Cost:   O(1) a frame and a sample, O(depth) a stack.
 */
#ifndef HEARTH_ENGINE_PROFILE_COLUMNS_H
#define HEARTH_ENGINE_PROFILE_COLUMNS_H

#include "base/buffer.h"
#include "base/intern.h"
#include "storage/profile.h"

struct profile_columns {
    struct intern strings;
    struct buffer frames;      /* struct profile_frame, distinct */
    struct buffer frame_slots; /* u32 index + 1 into frames */
    struct buffer frame_list;  /* u32 */
    struct buffer node_parent; /* u32 */
    struct buffer node_frame;  /* u32 */
    struct buffer node_slots;  /* u32 node + 1 */
    struct buffer stacks;      /* u32 */
    struct buffer threads;     /* struct profile_thread */
    struct buffer thread_of;   /* u32 thread + 1 of a string id; may be shorter than the strings */
    struct buffer sample_time; /* u64 */
    struct buffer sample_thread;
    struct buffer sample_stack;
    struct buffer sample_queue; /* empty until a sample has one */
    struct buffer sample_idle;  /* u8; the same */
    uint32_t frame_index_max;   /* largest one any stack names */
    bool frame_index_any;
    enum err failed;
};

struct profile_sample {
    uint64_t time;
    uint32_t thread;
    uint32_t stack;
    uint32_t queue;
    bool idle;
};

void profile_columns_init(struct profile_columns *c, struct mem_account *account);
void profile_columns_close(struct profile_columns *c); /* zeroed ones are fine */

uint32_t profile_columns_text(struct profile_columns *c, struct bytes text);
/* The thread with that id, added when new. */
uint32_t profile_columns_thread(struct profile_columns *c, uint32_t id);
struct profile_thread *profile_columns_threads(const struct profile_columns *c);
/* The next frame of the document. */
void profile_columns_add_frame(struct profile_columns *c, const struct profile_frame *frame);
/* The next stack of the document: frame numbers, leaf first. */
void profile_columns_add_stack(struct profile_columns *c, const uint32_t *leaf_first, size_t count);
void profile_columns_add_sample(struct profile_columns *c, const struct profile_sample *s);

size_t profile_columns_sample_count(const struct profile_columns *c);
size_t profile_columns_thread_count(const struct profile_columns *c);
size_t profile_columns_stack_count(const struct profile_columns *c);
size_t profile_columns_frame_count(const struct profile_columns *c); /* of the document */

/* ---- columns as arrays; they move when the column grows ---- */
static inline uint32_t *buffer_u32s(const struct buffer *b)
{
    return (uint32_t *)(void *)b->data; /* mem_alloc aligns for any type */
}

static inline uint64_t *buffer_u64s(const struct buffer *b)
{
    return (uint64_t *)(void *)b->data;
}

/* Keep only the samples that `keep` (a byte each) marks. */
void profile_columns_keep(struct profile_columns *c, const uint8_t *keep);
/* By time, equal times in the order they have. */
void profile_columns_sort(struct profile_columns *c);
/* Number the threads by their first sample; those without any go to the end, or go altogether. */
void profile_columns_order_threads(struct profile_columns *c, bool drop_unused);

#endif
