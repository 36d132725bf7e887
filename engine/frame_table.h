/* frame_table.h - the distinct frames of many profiles, numbered as they come.
 *
 * Frames are one when their identity (identity.h) is equal. Of those that were added the least is
 * shown, whole and whatever the order: by path, line, column, application code before other, then
 * function, module, package, filename, platform, address; texts by bytes, numbers by value, and
 * what is unknown ("" or 0) comes last.
 *
 * Owns:   its tables and texts, counted against the account.
 * Errors: ERR_LIMIT, ERR_BUSY, ERR_NOMEM as buffer.h.
 * Cost:   O(1) a frame, one hash of its texts and one comparison with the frame it is one with.
 */
#ifndef HEARTH_ENGINE_FRAME_TABLE_H
#define HEARTH_ENGINE_FRAME_TABLE_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/intern.h"
#include "storage/profile.h"

struct flamegraph_frame {
    struct hash128 identity;
    struct bytes function;
    struct bytes module;
    struct bytes package;
    struct bytes filename;
    struct bytes path;
    struct bytes instruction_addr;
    struct bytes platform;
    uint32_t line;   /* 0: unknown */
    uint32_t column; /* 0: unknown */
    uint32_t fingerprint;
    bool in_app;
};

struct frame_table {
    struct buffer frames; /* struct table_frame */
    struct buffer slots;  /* u32 frame + 1, 0 free; power of two many */
    struct intern texts;
};

void frame_table_init(struct frame_table *t, struct mem_account *account);
void frame_table_close(struct frame_table *t);
size_t frame_table_count(const struct frame_table *t);
enum err frame_table_add(struct frame_table *t, const struct profile *p,
                         const struct profile_frame *f, uint32_t *ret) MUST_CHECK;
/* All frames by identity, texts copied to the arena; (*ret_rank)[number] is a frame's place. */
enum err frame_table_publish(const struct frame_table *t, struct arena *arena,
                             const struct flamegraph_frame **ret, uint32_t **ret_rank) MUST_CHECK;

/* ---- open addressing for small numbers, at most half full ---- */

/* Room for one more than `count`; *ret_grown: the slots are empty now, put everything again. */
enum err slots_reserve(struct buffer *slots, size_t count, bool *ret_grown) MUST_CHECK;
void slots_put(struct buffer *slots, uint64_t hash, uint32_t number);

#endif
