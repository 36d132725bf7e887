/* rollup.h - call trees that already sum a run of consecutive rows of a segment.
 *
 * The rows of every run are grouped by 8, the groups by 8 again, and so on; each full group of
 * rows that can be summed has a rollup, and so has every run of at least 8 as a whole. A rollup is
 * a list of (thread, node, samples, nanoseconds) in that order, as storage/segment_block.h sums a
 * single row. So any range of whole rows is covered by O(log n) lists and at most 14 single rows.
 *
 * Some servers make a thread a request. Where telling threads apart makes a list more than
 * ROLLUP_THREADS_FACTOR times as long, or longer than ROLLUP_WEIGHTS_MAX, its threads are merged:
 * it serves questions about all threads together, others take the next smaller ones. Which threads
 * there were is told all the same.
 *
 * Threads: a builder has one caller, a reader any number.
 * Errors:  as of memory; reading trusts nothing: ERR_CORRUPT.
 * Cost:    on disk some percent of the blocks; building O(weights * log rows); finding O(log
 *          rollups), reading O(weights).
 */
#ifndef HEARTH_STORAGE_ROLLUP_H
#define HEARTH_STORAGE_ROLLUP_H

#include "storage/segment_block.h"

/* Sums of one row or many. */
struct tree_sum {
    struct block_sum sum;
    const uint32_t *threads; /* ascending: those that weigh */
    size_t thread_count;
    bool merged; /* weights are of all threads together: their thread is PROFILE_NONE */
};

/* The sum of a single row; threads in the arena. */
enum err tree_sum_of(const struct block_sum *sum, struct arena *arena,
                     struct tree_sum *ret) MUST_CHECK;

/* ---- building ---- */

struct rollup_builder;

enum err rollup_builder_create(struct mem_account *account, struct rollup_builder **ret) MUST_CHECK;
void rollup_builder_destroy(struct rollup_builder *b); /* NULL is fine */
size_t rollup_builder_bytes(const struct rollup_builder *b);
/* Rows one after another. `begins_run`: the first of a run. `sum` NULL: it cannot be summed. */
enum err rollup_builder_add(struct rollup_builder *b, uint32_t row, bool begins_run,
                            const struct tree_sum *sum, struct errinfo *info) MUST_CHECK;
/* The sections of rollups; the last run ends. Once. */
enum err rollup_builder_write(struct rollup_builder *b, struct segment_file_writer *w,
                              uint32_t *ret_count, struct errinfo *info) MUST_CHECK;

/* ---- reading ---- */

/* Made when a segment is opened. */
struct segment_rollups {
    const struct segment_file *file;
    uint32_t count;
    struct segment_section pages;
    struct packed first; /* row */
    struct packed rows;  /* number of rows * 2, + 1: threads are merged */
    struct packed offset;
    struct packed size;
};

/* `count`: what the facts of the segment say. */
enum err segment_rollups_open(const struct segment_file *f, uint32_t count,
                              struct segment_rollups *ret, struct errinfo *info) MUST_CHECK;

struct rollup_place {
    uint32_t rollup;
    uint32_t rows; /* how many it sums, from `row` on */
};
/* The largest one that begins at `row`, sums at most `rows_max` rows and, with by_thread, tells
 * threads apart. ERR_NOTFOUND: none; ERR_CORRUPT. */
enum err segment_rollups_find(const struct segment_rollups *r, uint32_t row, uint32_t rows_max,
                              bool by_thread, struct rollup_place *ret) MUST_CHECK;
enum err segment_rollups_read(const struct segment_rollups *r, uint32_t rollup, struct arena *arena,
                              struct tree_sum *ret, struct errinfo *info) MUST_CHECK;

#endif
