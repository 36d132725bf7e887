/* table_pages.h - pages of a segment's tables: items to bytes and back.
 *
 * Every page can be read alone. How many items it has is known before. Their meaning is
 * storage/segment_tables.h's, the bits are in docs/segment-format.md.
 *
 * Errors: writing, those of the buffers; reading trusts nothing: ERR_CORRUPT, else the arena's.
 * Cost:   O(items), for rows of fields in the worst case items^2 comparisons of one field.
 */
#ifndef HEARTH_STORAGE_TABLE_PAGES_H
#define HEARTH_STORAGE_TABLE_PAGES_H

#include "base/arena.h"
#include "base/intern.h"

#define ROW_FIELDS_MAX 12

/* Items that are rows of fields (frames, threads): which are texts, which numbers. */
struct row_shape {
    const char *name;
    uint8_t fields;
    uint8_t texts;                 /* how many of them are text ids */
    uint8_t order[ROW_FIELDS_MAX]; /* texts first, of these the one by which rows resemble others */
};

extern const struct row_shape frame_shape;  /* struct segment_frame */
extern const struct row_shape thread_shape; /* struct profile_thread */

/* `rows` is count * shape->fields numbers. `next_text`: above every text id of the pages before, or
 * about that. */
enum err row_page_put(const struct row_shape *shape, const uint32_t *rows, size_t count,
                      uint32_t next_text, struct buffer *out) MUST_CHECK;
enum err row_page_get(const struct row_shape *shape, struct bytes in, size_t count, uint32_t *rows,
                      struct errinfo *info) MUST_CHECK;

/* Nodes [first, first + count); parent is PROFILE_NONE or below the node itself. */
struct trie_node {
    uint32_t parent;
    uint32_t frame;
};
enum err node_page_put(const struct trie_node *nodes, size_t first, size_t count,
                       struct buffer *out) MUST_CHECK;
enum err node_page_get(struct bytes in, size_t first, size_t count, struct trie_node *nodes,
                       struct errinfo *info) MUST_CHECK;

/* Texts [first, end) of the table, compressed where that pays. `raw` is scratch. */
enum err text_page_put(const struct intern *texts, uint32_t first, uint32_t end, struct buffer *raw,
                       struct buffer *out) MUST_CHECK;
/* The texts point into the arena or `in`. */
enum err text_page_get(struct bytes in, size_t count, struct arena *arena, struct bytes *texts,
                       struct errinfo *info) MUST_CHECK;

#endif
