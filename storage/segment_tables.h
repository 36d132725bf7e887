/* segment_tables.h - the texts, frames, stack trie and threads that all blocks of a segment share.
 *
 * Each different text, frame, trie node and thread stands here once, numbered from 0 in the order
 * in which the builder met it; a node id therefore means the same path in every chunk. Text 0 is
 * the empty text. A frame is told apart by all its fields and by the platform of its document
 * (which decides about it when it has none of its own); it carries the 128-bit identity by which
 * trees of different segments are merged. What identity means is the engine's business, which
 * lends the function that tells it (struct frame_rules).
 *
 * On disk these are pages of a few hundred items, compressed, with a directory; identities are
 * 16 bytes each, reachable on their own.
 *
 * Threads: a builder and a cursor have one caller at a time; struct segment_tables any number.
 * Errors:  ERR_LIMIT, ERR_BUSY, ERR_NOMEM from memory; reading also ERR_CORRUPT.
 * Cost:    adding is O(frames + nodes of the profile), hashing each once; reading decodes a page
 *          the first time one of its items is wanted, O(page), and is an array access afterwards.
 */
#ifndef HEARTH_STORAGE_SEGMENT_TABLES_H
#define HEARTH_STORAGE_SEGMENT_TABLES_H

#include "base/arena.h"
#include "storage/packed.h"
#include "storage/profile.h"

struct frame_rules {
    struct hash128 (*identity)(const struct profile *p, const struct profile_frame *f);
    uint32_t (*fingerprint)(const struct profile *p, const struct profile_frame *f);
};

/* Texts are ids of the tables. Fields as in profile.h. */
struct segment_frame {
    struct profile_frame frame;
    uint32_t document_platform;
};

struct segment_tables_counts {
    uint32_t texts;
    uint32_t frames;
    uint32_t nodes;
    uint32_t threads;
};

/* ---- building ---- */

struct tables_builder;

enum err tables_builder_create(const struct frame_rules *rules, struct mem_account *account,
                               struct tables_builder **ret) MUST_CHECK;
void tables_builder_destroy(struct tables_builder *b);       /* NULL is fine */
size_t tables_builder_bytes(const struct tables_builder *b); /* memory in use */
struct segment_tables_counts tables_builder_counts(const struct tables_builder *b);

enum err tables_builder_text(struct tables_builder *b, struct bytes text, uint32_t *ret) MUST_CHECK;

/* What the numbers of one profile are in the tables; arrays in the arena given. PROFILE_NONE where
 * a node's frame was out of range in an unchecked document, and for everything below it. */
struct tables_mapping {
    uint32_t *frames;  /* of each distinct frame */
    uint32_t *nodes;   /* of each trie node */
    uint32_t *threads; /* of each thread */
};
enum err tables_builder_add(struct tables_builder *b, const struct profile *p, struct arena *arena,
                            struct tables_mapping *ret, struct errinfo *info) MUST_CHECK;

/* All sections of the tables. Meanwhile takes up to a mebibyte more, and four times what the longest
 * text has. A failure of the writer is told by segment_file_finish. */
enum err tables_builder_write(const struct tables_builder *b, struct segment_file_writer *w,
                              struct errinfo *info) MUST_CHECK;

/* ---- reading ---- */

/* Where everything is; made once when a segment is opened, a few hundred bytes. */
struct segment_tables {
    const struct segment_file *file;
    struct segment_tables_counts counts;
    uint32_t text_page_count;
    struct segment_section text_pages; /* behind their number */
    struct packed text_first;
    struct packed text_end;
    struct sixteens frame_identity;
    struct segment_section frame_pages;
    struct packed frame_end;
    struct segment_section node_pages;
    struct packed node_end;
    struct segment_section thread_pages;
    struct packed thread_end;
};

enum err segment_tables_open(const struct segment_file *f, struct segment_tables_counts counts,
                             struct segment_tables *ret, struct errinfo *info) MUST_CHECK;

/* One reader's decoded pages. Everything returned lives as long as the cursor. */
struct tables_cursor;

enum err tables_cursor_create(const struct segment_tables *t, struct mem_account *account,
                              struct tables_cursor **ret) MUST_CHECK;
void tables_cursor_destroy(struct tables_cursor *c); /* NULL is fine */

/* Ids out of range are ERR_CORRUPT: they come from blocks. */
enum err tables_text(struct tables_cursor *c, uint32_t id, struct bytes *ret,
                     struct errinfo *info) MUST_CHECK;
enum err tables_frame(struct tables_cursor *c, uint32_t id, struct segment_frame *ret,
                      struct errinfo *info) MUST_CHECK;
/* parent PROFILE_NONE: a root; otherwise below the node. */
enum err tables_node(struct tables_cursor *c, uint32_t id, uint32_t *ret_parent,
                     uint32_t *ret_frame, struct errinfo *info) MUST_CHECK;
/* Texts are ids of the tables. */
enum err tables_thread(struct tables_cursor *c, uint32_t id, struct profile_thread *ret,
                       struct errinfo *info) MUST_CHECK;
enum err tables_identity(const struct segment_tables *t, uint32_t frame, struct hash128 *ret,
                         struct errinfo *info) MUST_CHECK;

/* ---- where a block's numbers lead: a cursor, or the builder while it still grows ---- */

struct tables_source {
    void *self;
    enum err (*text)(void *self, uint32_t id, struct bytes *ret, struct errinfo *info);
    enum err (*frame)(void *self, uint32_t id, struct segment_frame *ret, struct errinfo *info);
    enum err (*node)(void *self, uint32_t id, uint32_t *ret_parent, uint32_t *ret_frame,
                     struct errinfo *info);
    enum err (*thread)(void *self, uint32_t id, struct profile_thread *ret, struct errinfo *info);
};

struct tables_source tables_cursor_source(struct tables_cursor *c);
/* Texts live until the next one is added. */
struct tables_source tables_builder_source(struct tables_builder *b);

#endif
