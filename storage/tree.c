/* tree.c - rows covered by the fewest sums. */
#include "storage/tree.h"

#include "storage/snapshot_parts.h"

uint32_t tree_part(row_id row)
{
    return row_part(row);
}

static struct part_view *view_at(const struct snapshot *snap, uint32_t part)
{
    return &snap->views[part];
}

bool tree_can_sum(const struct snapshot *snap, row_id row)
{
    const struct part_view *v = view_at(snap, row_part(row));
    struct segment_row_place place;
    if (view_segment(v) == NULL || !view_is_served(v))
        return false;
    return segment_rows_place(view_segment(v)->rows, row_ordinal(row), &place) == ERR_OK &&
           (place.flags & SEGMENT_ROW_SUMMABLE) != 0;
}

/* How many rows from the first on follow each other without a hole. */
static size_t stretch(const row_id *rows, size_t count)
{
    size_t n = 1;
    while (n < count && rows[n] == rows[n - 1] + 1)
        n++;
    return n;
}

struct summing {
    const struct snapshot *snap;
    const struct tree_visit *visit;
    const struct segment *segment;
    uint32_t part;
    struct errinfo *info;
};

static enum err sum_row(struct summing *s, const row_id *row, struct arena *arena)
{
    struct block_sum block;
    struct tree_sum tree;
    struct errinfo reason = {{0}};
    enum err rc = segment_sum_row(s->segment, row_ordinal(*row), arena, &block, &reason);
    if (rc == ERR_CORRUPT || segment_is_damaged(s->segment))
        return s->visit->on_unreadable(s->visit->self, *row, &reason);
    if (rc == ERR_OK)
        rc = tree_sum_of(&block, arena, &tree);
    if (rc != ERR_OK)
        return err_set(s->info, rc, "tree: no room to sum a row");
    return s->visit->on_sum(s->visit->self, s->part, &tree, row, 1);
}

/* One list; *ret_rows: how many rows it stood for. A rollup that cannot be read is done without. */
static enum err sum_some(struct summing *s, const row_id *rows, size_t count, struct arena *arena,
                         size_t *ret_rows)
{
    struct rollup_place place;
    struct tree_sum tree;
    struct errinfo reason = {{0}};
    uint32_t rows_max = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    enum err rc = segment_rollups_find(&s->segment->rollups, row_ordinal(rows[0]), rows_max,
                                       s->visit->by_thread, &place);
    if (rc == ERR_OK)
        rc = segment_rollups_read(&s->segment->rollups, place.rollup, arena, &tree, &reason);
    *ret_rows = 1;
    if (rc == ERR_NOTFOUND || rc == ERR_CORRUPT || segment_is_damaged(s->segment))
        return sum_row(s, rows, arena);
    if (rc != ERR_OK)
        return err_set(s->info, rc, "%s", reason.text);
    *ret_rows = place.rows;
    return s->visit->on_sum(s->visit->self, s->part, &tree, rows, place.rows);
}

enum err snapshot_sum(const struct snapshot *snap, const row_id *rows, size_t count,
                      const struct tree_visit *visit, struct errinfo *info)
{
    if (count == 0)
        return ERR_OK;
    struct summing s = {.snap = snap,
                        .visit = visit,
                        .part = row_part(rows[0]),
                        .segment = view_segment(view_at(snap, row_part(rows[0]))),
                        .info = info};
    while (count > 0) {
        size_t left = stretch(rows, count);
        count -= left;
        while (left > 0) {
            struct arena arena;
            size_t done;
            arena_init(&arena, SIZE_MAX, visit->account);
            enum err rc = sum_some(&s, rows, left, &arena, &done);
            arena_close(&arena);
            if (rc != ERR_OK)
                return rc;
            rows += done;
            left -= done;
        }
    }
    return ERR_OK;
}

void tree_give_up(const struct snapshot *snap, uint32_t part)
{
    struct segment *segment = view_segment(view_at(snap, part));
    store_note_damaged_segment(snap->store, segment, "its tables cannot be read");
}

bool tree_is_served(const struct snapshot *snap, uint32_t part)
{
    return view_is_served(view_at(snap, part));
}

/* ---- what numbers mean ---- */

static enum err cursor_at(const struct snapshot *snap, uint32_t part, struct tables_cursor **ret,
                          struct errinfo *info)
{
    enum err rc = part_view_tables(view_at(snap, part), ret);
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "tree: no room to read tables");
}

enum err tree_node(const struct snapshot *snap, uint32_t part, uint32_t node, uint32_t *ret_parent,
                   uint32_t *ret_frame, struct errinfo *info)
{
    struct tables_cursor *tables;
    TRY(cursor_at(snap, part, &tables, info));
    return tables_node(tables, node, ret_parent, ret_frame, info);
}

enum err tree_identity(const struct snapshot *snap, uint32_t part, uint32_t frame,
                       struct hash128 *ret, struct errinfo *info)
{
    return tables_identity(&view_segment(view_at(snap, part))->tables, frame, ret, info);
}

enum err tree_frame(const struct snapshot *snap, uint32_t part, uint32_t frame,
                    struct segment_frame *ret, struct errinfo *info)
{
    struct tables_cursor *tables;
    TRY(cursor_at(snap, part, &tables, info));
    return tables_frame(tables, frame, ret, info);
}

enum err tree_text(const struct snapshot *snap, uint32_t part, uint32_t text, struct bytes *ret,
                   struct errinfo *info)
{
    struct tables_cursor *tables;
    TRY(cursor_at(snap, part, &tables, info));
    return tables_text(tables, text, ret, info);
}

enum err tree_thread(const struct snapshot *snap, uint32_t part, uint32_t thread,
                     struct bytes *ret_id, struct bytes *ret_name, struct errinfo *info)
{
    struct tables_cursor *tables;
    struct profile_thread t;
    TRY(cursor_at(snap, part, &tables, info));
    TRY(tables_thread(tables, thread, &t, info));
    TRY(tables_text(tables, t.id, ret_id, info));
    return tables_text(tables, t.name, ret_name, info);
}
