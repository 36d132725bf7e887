/* link_page.h - what links say beside their columns, a page of up to FORMAT_LINKS_A_PAGE of them:
 * one run of bytes (storage/page.h) that is decoded alone.
 *
 * Links that stand together are of few traces, threads and profilers. So what they agree in is
 * told once a page, and each says which: a rising code (storage/column.h) of classes numbered in
 * order of first use.
 *
 * Owns:   nothing.
 * Errors: decoding trusts nothing: ERR_CORRUPT. Numbers of traces, runs and texts are the caller's
 *         to check.
 * Cost:   O(links * classes), some microseconds a page.
 */
#ifndef HEARTH_STORAGE_LINK_PAGE_H
#define HEARTH_STORAGE_LINK_PAGE_H

#include "base/buffer.h"
#include "base/limits.h"
#include "storage/format.h"
#include "storage/record.h"

#define LINK_ITEM_NO_RUN  UINT32_MAX
#define LINK_PAGE_RAW_MAX KIB(16) /* where no two links agree in anything: 14.4 */

/* Compared by ranges of bytes: no padding before `content`. */
struct link_item {
    uint64_t parent_span_id;
    uint64_t arrival;
    uint32_t trace;
    uint32_t text[LINK_TEXT_COUNT]; /* of the tables */
    uint32_t profiler_run;          /* the run whose profiler it is; else LINK_ITEM_NO_RUN, */
    struct uuid profiler_id;        /* and only then this */
    struct uuid transaction_id;
    struct hash128 content; /* when has_content: it does not follow from the link */
    bool is_segment;
    bool has_content;
};

/* `span_ids` of the same links: a parent is mostly among them. */
void link_page_encode(const struct link_item *items, const uint64_t *span_ids, uint32_t count,
                      struct buffer *out);
enum err link_page_decode(struct bytes in, const uint64_t *span_ids, uint32_t count,
                          struct link_item *ret_items, struct errinfo *info) MUST_CHECK;

#endif
