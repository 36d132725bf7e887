#include "storage/log_view.h"

#include <assert.h>

#include "storage/log_index_parts.h"

struct log_view log_pin_view(const struct log_pin *pin)
{
    return (struct log_view){.index = pin->index,
                             .row_count = pin->row_count,
                             .link_count = pin->link_count,
                             .run_count = pin->run_count,
                             .hide_count = pin->hide_count};
}

struct log_view log_index_whole_view(const struct log_index *ix)
{
    return (struct log_view){.index = ix,
                             .row_count = (uint32_t)ix->row_count,
                             .link_count = (uint32_t)ix->link_count,
                             .run_count = (uint32_t)ix->run_count,
                             .hide_count = (uint32_t)ix->hide_count};
}

enum err found_add(struct found_list *list, int64_t start_ns, row_id id, struct arena *arena)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct found *items = ARENA_ARRAY(arena, capacity, struct found);
        if (items == NULL)
            return arena->failed;
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (struct found){start_ns, id};
    return ERR_OK;
}

/* ---- one row, one link ---- */

static struct bytes text_of(const struct log_view *v, uint32_t id)
{
    return text_pool_get(&v->index->texts, id);
}

void log_view_record(const struct log_view *v, uint32_t id, struct record *ret)
{
    assert(id < v->row_count);
    const struct row_data *row = index_row(v->index, id);
    const struct row_source *source = index_source(v->index, row->source);
    *ret = (struct record){.kind = index_row_kind(row),
                           .content = row->content,
                           .organization_id = source->organization_id,
                           .project_id = source->project_id,
                           .retention_days = source->retention_days,
                           .received_ns = row->received_ns,
                           .profiler_id = row->profiler_id,
                           .id = row->id,
                           .start_ns = row->start_ns,
                           .end_ns = row->end_ns,
                           .sample_count = row->sample_count,
                           .thread_count = row->thread_count,
                           .block_size = row->place.block_size};
    for (size_t i = 0; i < TEXT_TRANSACTION; i++)
        ret->text[i] = text_of(v, source->text[i]);
    ret->text[TEXT_TRANSACTION] = BYTES("");
    if (row->extra == ID_NONE)
        return;
    const struct row_extra *extra = index_extra(v->index, row->extra);
    ret->text[TEXT_TRANSACTION] = text_of(v, extra->transaction);
    ret->trace_id = extra->trace_id;
    ret->transaction_id = extra->transaction_id;
}

struct log_place log_view_place(const struct log_view *v, uint32_t id)
{
    return index_row(v->index, id)->place;
}

struct link log_view_link(const struct log_view *v, uint32_t id, struct hash128 *ret_content)
{
    const struct link_data *from = index_link(v->index, id);
    *ret_content = from->content;
    return (struct link){.project_id = from->project_id,
                         .profiler_id = from->profiler_id,
                         .trace_id = from->trace_id,
                         .transaction_id = from->transaction_id,
                         .span_id = from->span_id,
                         .parent_span_id = from->parent_span_id,
                         .start_ns = from->start_ns,
                         .end_ns = from->end_ns,
                         .is_segment = from->is_segment,
                         .name = text_of(v, from->text[LINK_NAME]),
                         .op = text_of(v, from->text[LINK_OP]),
                         .thread_id = text_of(v, from->text[LINK_THREAD_ID]),
                         .thread_name = text_of(v, from->text[LINK_THREAD_NAME]),
                         .environment = text_of(v, from->text[LINK_ENVIRONMENT]),
                         .release = text_of(v, from->text[LINK_RELEASE]),
                         .platform = text_of(v, from->text[LINK_PLATFORM])};
}

bool log_view_row_visible(const struct log_view *v, uint32_t id)
{
    return id < v->row_count && atomic_load_explicit(&index_row(v->index, id)->replaced_by,
                                                     memory_order_relaxed) >= v->row_count;
}

bool log_view_link_visible(const struct log_view *v, uint32_t id)
{
    return id < v->link_count && atomic_load_explicit(&index_link(v->index, id)->replaced_by,
                                                      memory_order_relaxed) >= v->link_count;
}

bool log_view_mark_damaged(const struct log_view *v, uint32_t id)
{
    return !atomic_exchange_explicit(&index_row(v->index, id)->damaged, true, memory_order_relaxed);
}

bool log_view_is_damaged(const struct log_view *v, uint32_t id)
{
    return atomic_load_explicit(&index_row(v->index, id)->damaged, memory_order_relaxed);
}

bool log_view_hides(const struct log_view *v, uint32_t part, uint32_t id, bool link)
{
    if (v->hide_count == 0)
        return false;
    struct hide_key key = {.part = part, .id = id, .link = link};
    uint32_t at = id_table_find(&v->index->by_hidden, index_hide_hash(v->index, &key), &key);
    return at != ID_NONE && index_hide(v->index, at)->by < (link ? v->link_count : v->row_count);
}

bool log_view_hides_any(const struct log_view *v, uint32_t part, uint32_t first, uint32_t end)
{
    if (v->hide_count >= end - first) {
        for (uint32_t id = first; id < end; id++)
            if (log_view_hides(v, part, id, false))
                return true;
        return false;
    }
    for (uint32_t at = 0; at < v->hide_count; at++) {
        const struct hide_data *hide = index_hide(v->index, at);
        if (hide->part == part && hide->link == 0 && hide->id >= first && hide->id < end &&
            hide->by < v->row_count)
            return true;
    }
    return false;
}

int64_t log_view_row_start(const struct log_view *v, uint32_t id)
{
    return index_row(v->index, id)->start_ns;
}

int64_t log_view_link_start(const struct log_view *v, uint32_t id)
{
    return index_link(v->index, id)->start_ns;
}

int log_view_compare_rows(const struct log_view *v, uint32_t a, uint32_t b)
{
    const struct row_data *left = index_row(v->index, a);
    const struct row_data *right = index_row(v->index, b);
    enum record_kind left_kind = index_row_kind(left);
    enum record_kind right_kind = index_row_kind(right);
    if (left_kind != right_kind)
        return left_kind < right_kind ? -1 : 1;
    uint64_t left_project = index_source(v->index, left->source)->project_id;
    uint64_t right_project = index_source(v->index, right->source)->project_id;
    if (left_project != right_project)
        return left_project < right_project ? -1 : 1;
    int order = uuid_compare(left->profiler_id, right->profiler_id);
    if (order != 0)
        return order;
    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns ? -1 : 1;
    return uuid_compare(left->id, right->id);
}

/* ---- finding ---- */

static row_id with_high(uint32_t high, uint32_t id)
{
    return (row_id)high << 32 | id;
}

static bool meets(const struct log_view *v, bool links, uint32_t id, int64_t start_ns)
{
    if (links)
        return log_view_link_visible(v, id) && index_link(v->index, id)->end_ns >= start_ns;
    return log_view_row_visible(v, id) && index_row(v->index, id)->end_ns >= start_ns;
}

static const struct run *find_run(const struct log_view *v, enum record_kind kind,
                                  uint64_t project_id, struct uuid profiler_id)
{
    struct index_key key = {.kind = kind, .project_id = project_id, .profiler_id = profiler_id};
    uint32_t id = id_table_find(&v->index->by_run, index_key_hash(v->index, &key), &key);
    return id == ID_NONE ? NULL : &index_run(v->index, id)->run;
}

enum err log_view_find_range(const struct log_view *v, enum record_kind kind, uint64_t project_id,
                             struct uuid profiler_id, int64_t start_ns, int64_t end_ns,
                             uint32_t high, struct arena *arena, struct found_list *ret)
{
    const struct run *run = find_run(v, kind, project_id, profiler_id);
    if (run == NULL)
        return ERR_OK;
    for (const struct run_piece *piece = run_newest(run); piece != NULL; piece = piece->next) {
        uint32_t from;
        uint32_t end;
        run_piece_find(piece, start_ns, end_ns, &from, &end);
        const uint32_t *ids = run_piece_ids(piece);
        for (; from < end; from++) {
            if (meets(v, kind == RECORD_LINK, ids[from], start_ns))
                TRY(found_add(ret, run_piece_starts(piece)[from], with_high(high, ids[from]),
                              arena));
        }
    }
    return ERR_OK;
}

enum err log_view_find_trace(const struct log_view *v, uint64_t project_id, struct uuid trace_id,
                             uint32_t high, struct arena *arena, struct found_list *ret)
{
    const struct log_index *ix = v->index;
    struct index_key key = {.kind = RECORD_LINK, .project_id = project_id, .profiler_id = trace_id};
    uint32_t id = id_table_find(&ix->by_trace, index_key_hash(ix, &key), &key);
    for (; id != ID_NONE; id = index_link(ix, id)->older) {
        if (log_view_link_visible(v, id))
            TRY(found_add(ret, index_link(ix, id)->start_ns, with_high(high, id), arena));
    }
    return ERR_OK;
}

bool log_view_find_id(const struct log_view *v, enum record_kind kind, uint64_t project_id,
                      struct uuid profiler_id, struct uuid id, uint32_t *ret)
{
    const struct log_index *ix = v->index;
    struct index_key key = {
        .kind = kind, .project_id = project_id, .profiler_id = profiler_id, .id = id};
    uint32_t row = id_table_find(&ix->by_id, index_key_hash(ix, &key), &key);
    while (row != ID_NONE && row >= v->row_count) /* arrived after the view was taken */
        row = index_row(ix, row)->older;
    if (row == ID_NONE)
        return false;
    *ret = row;
    return true;
}

bool log_view_find_key(const struct log_view *v, const struct record *key, uint32_t *ret)
{
    uint32_t id = log_index_find(v->index, key);
    if (id == ID_NONE)
        return false;
    *ret = id;
    return true;
}

/* ---- runs ---- */

struct log_run log_view_run(const struct log_view *v, uint32_t run)
{
    const struct run_slot *slot = index_run(v->index, run);
    return (struct log_run){slot->kind, slot->project_id, slot->profiler_id};
}

enum err log_view_each_of_run(const struct log_view *v, uint32_t run, void *self,
                              enum err (*on_id)(void *self, uint32_t id))
{
    const struct run_slot *slot = index_run(v->index, run);
    uint32_t known = slot->kind == RECORD_LINK ? v->link_count : v->row_count;
    for (const struct run_piece *piece = run_newest(&slot->run); piece != NULL;
         piece = piece->next) {
        uint32_t count = run_piece_count(piece);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t id = run_piece_ids(piece)[i];
            if (id < known)
                TRY(on_id(self, id));
        }
    }
    return ERR_OK;
}
