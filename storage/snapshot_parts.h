/* snapshot_parts.h - what the files about snapshots share. */
#ifndef HEARTH_STORAGE_SNAPSHOT_PARTS_H
#define HEARTH_STORAGE_SNAPSHOT_PARTS_H

#include "storage/store_parts.h"

static inline struct segment *view_segment(const struct part_view *v)
{
    return v->part->segment;
}

/* A log set, or a segment that can be used. */
static inline bool view_is_served(const struct part_view *v)
{
    return view_segment(v) == NULL || !segment_is_damaged(view_segment(v));
}

/* Neither replaced nor hidden, as far as the snapshot knows. */
bool snapshot_row_visible(const struct snapshot *snap, const struct part_view *v, uint32_t id);
bool snapshot_link_visible(const struct snapshot *snap, const struct part_view *v, uint32_t id);
/* Some row of [first, end) of the part is not visible. */
bool snapshot_hides_any(const struct snapshot *snap, const struct part_view *v, uint32_t first,
                        uint32_t end);
/* Whether a moment of the part can be in [start_ns, end_ns]. */
bool part_meets(const struct part_view *v, int64_t start_ns, int64_t end_ns);
/* What finding in a part of a segment gave, `before` others found before it: it counts only when all
 * of it could be read. */
enum err snapshot_settle_segment(const struct snapshot *snap, const struct part_view *v,
                                 enum err rc, struct found_list *found, size_t before) MUST_CHECK;
/* By start, then id. */
enum err snapshot_rows_in_order(const struct snapshot *snap, struct found_list *found,
                                struct arena *arena, struct row_list *ret) MUST_CHECK;
/* The index of the view's segment gave ERR_CORRUPT. */
void snapshot_note_damaged(const struct snapshot *snap, const struct part_view *v);

#endif
