/* tag_index.h - which rows of a segment have a tag, a thread or a function: (dimension, value) to
 * rows.
 *
 * Dimensions: the texts that rows say of themselves (environment, release, platform, name of the
 * SDK; the transaction's name, of transaction profiles), names of threads with samples, and
 * fingerprints of functions, of all frames of every stack that a sample has. Kinds need no index:
 * chunks come first.
 *
 * A row whose block was lost before it was sealed has threads and functions that nobody knows any
 * more. It is in the answer to every question about them.
 *
 * On disk are keys (dimension, value), ascending, in pages of bits; each key has the number of its
 * set. Sets that are equal are there once; one of all rows is not there at all.
 *
 * Owns:    a builder its memory; an opened index nothing: the file and the rows outlive it.
 * Threads: a builder has one caller, an opened index any number.
 * Errors:  a builder's are those of memory. Reading trusts nothing: ERR_CORRUPT.
 * Cost:    building is O(frames) a row, some bytes for each run of rows that a value is in; finding
 *          is O(log keys) and the decoding of one page and one set. On disk 3 or 4 bytes a function,
 *          and its share of the sets.
 */
#ifndef HEARTH_STORAGE_TAG_INDEX_H
#define HEARTH_STORAGE_TAG_INDEX_H

#include "storage/bitmap.h"
#include "storage/segment_rows.h"

/* Numbers are those on disk: the upper half of a key. */
enum tag_dimension {
    TAG_UNKNOWN = 0, /* rows of which threads and functions are not known; value 0 */
    TAG_ENVIRONMENT = 1,
    TAG_RELEASE = 2,
    TAG_PLATFORM = 3,
    TAG_SDK = 4,         /* its name; versions change with every upgrade, and rows tell them */
    TAG_TRANSACTION = 5, /* of transaction profiles only */
    TAG_THREAD = 6,      /* by name */
    TAG_FUNCTION = 7,    /* by fingerprint */
};

/* ---- building ---- */

struct tag_index_builder;

enum err tag_index_builder_create(const struct frame_rules *rules, struct mem_account *account,
                                  struct tag_index_builder **ret) MUST_CHECK;
void tag_index_builder_destroy(struct tag_index_builder *b);       /* NULL is fine */
size_t tag_index_builder_bytes(const struct tag_index_builder *b); /* memory in use */
/* Rows one after another: what profile `p` has. Names of threads go to the tables. NULL: its block
 * is lost. */
enum err tag_index_builder_add(struct tag_index_builder *b, uint32_t row, const struct profile *p,
                               struct tables_builder *tables, struct errinfo *info) MUST_CHECK;
/* The sections of the index. `rows` were written already: what they say of themselves comes from
 * there. Once. */
enum err tag_index_builder_write(struct tag_index_builder *b, const struct rows_builder *rows,
                                 struct tables_builder *tables, struct segment_file_writer *w,
                                 struct errinfo *info) MUST_CHECK;

/* ---- reading ---- */

/* Made when a segment is opened. */
struct tag_index {
    const struct segment_file *file;
    const struct segment_rows *rows;
    uint32_t row_count;
    bool is_there; /* else columns are compared, and nothing is known of threads and functions */
    uint32_t key_count;
    uint32_t set_count;
    struct segment_section keys;
    struct packed page_first; /* key */
    struct packed page_end;   /* where it ends in the keys */
    struct segment_section sets;
    struct packed set_end;
};

/* Files without an index are answered too. */
enum err tag_index_open(const struct segment_file *f, const struct segment_rows *rows,
                        struct tag_index *ret, struct errinfo *info) MUST_CHECK;
/* Rows with the text, more of `rows`. Dimensions from TAG_ENVIRONMENT to TAG_TRANSACTION. */
enum err tag_index_find_text(const struct tag_index *t, enum tag_dimension dimension,
                             struct bytes text, struct bitmap *rows,
                             struct errinfo *info) MUST_CHECK;
enum err tag_index_find_kind(const struct tag_index *t, enum profile_kind kind,
                             struct bitmap *rows) MUST_CHECK;
/* Rows that have a thread of that name, or may have. */
enum err tag_index_find_thread(const struct tag_index *t, struct tables_cursor *tables,
                               struct bytes name, struct bitmap *rows,
                               struct errinfo *info) MUST_CHECK;
/* Rows that have the function, or may have. */
enum err tag_index_find_function(const struct tag_index *t, uint32_t fingerprint,
                                 struct bitmap *rows, struct errinfo *info) MUST_CHECK;
/* Those of the two above that may have anything. */
enum err tag_index_find_unknown(const struct tag_index *t, struct bitmap *rows,
                                struct errinfo *info) MUST_CHECK;
/* Every key and every set. */
enum err tag_index_verify(const struct tag_index *t, struct errinfo *info) MUST_CHECK;

/* Fingerprints of a profile, as rows have them: of every frame of every stack that a sample has.
 * Ascending, each once; in the arena. */
enum err profile_find_functions(const struct profile *p, const struct frame_rules *rules,
                                struct arena *arena, uint32_t **ret, size_t *ret_count) MUST_CHECK;

#endif
