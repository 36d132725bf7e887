/* snapshot.c - reading the index through a snapshot, without a lock. */
#include <assert.h>
#include <stdlib.h>

#include "storage/log_index_parts.h"

struct store *snapshot_store(const struct snapshot *snap)
{
    return snap->store;
}

struct log_place snapshot_place(const struct snapshot *snap, row_id id)
{
    return index_row(snap->index, id)->place;
}

bool snapshot_mark_damaged(const struct snapshot *snap, row_id id)
{
    return !atomic_exchange_explicit(&index_row(snap->index, id)->damaged, true,
                                     memory_order_relaxed);
}

uint32_t snapshot_retention_days(const struct snapshot *snap, row_id id)
{
    return index_source(snap->index, index_row(snap->index, id)->source)->retention_days;
}

/* ---- one row, one text ---- */

void snapshot_row(const struct snapshot *snap, row_id id, struct row *ret)
{
    assert(id < snap->row_count);
    const struct row_data *row = index_row(snap->index, id);
    const struct row_source *source = index_source(snap->index, row->source);
    *ret = (struct row){.kind = row->extra == ID_NONE ? PROFILE_CHUNK : PROFILE_TRANSACTION,
                        .organization_id = source->organization_id,
                        .project_id = source->project_id,
                        .profiler_id = row->profiler_id,
                        .id = row->id,
                        .start_ns = row->start_ns,
                        .end_ns = row->end_ns,
                        .received_ns = row->received_ns,
                        .sample_count = row->sample_count,
                        .thread_count = row->thread_count,
                        .platform = source->text[TEXT_PLATFORM],
                        .environment = source->text[TEXT_ENVIRONMENT],
                        .release = source->text[TEXT_RELEASE],
                        .dist = source->text[TEXT_DIST],
                        .sdk_name = source->text[TEXT_SDK_NAME],
                        .sdk_version = source->text[TEXT_SDK_VERSION],
                        .block_size = row->place.block_size};
    if (row->extra == ID_NONE)
        return;
    const struct row_extra *extra = index_extra(snap->index, row->extra);
    ret->transaction = extra->transaction;
    ret->trace_id = extra->trace_id;
    ret->transaction_id = extra->transaction_id;
}

struct bytes snapshot_string(const struct snapshot *snap, uint32_t id)
{
    return text_pool_get(&snap->index->texts, id);
}

bool snapshot_find_string(const struct snapshot *snap, struct bytes text, uint32_t *ret_id)
{
    uint32_t id = text_pool_find(&snap->index->texts, text);
    if (id == ID_NONE || text_pool_tag_from(&snap->index->texts, id) >= snap->row_count)
        return false;
    *ret_id = id;
    return true;
}

/* ---- growing answers ---- */

/* The array with room for one more item of `size` bytes, or NULL; the old one stays behind in the
 * arena. */
static void *grow(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size,
                  size_t align)
{
    if (count < *capacity)
        return items;
    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = arena_array(arena, wanted, size, align);
    if (grown == NULL)
        return NULL;
    if (count > 0)
        memcpy(grown, items, count * size);
    *capacity = wanted;
    return grown;
}

static enum err add_id(struct arena *arena, struct row_list *list, uint32_t id)
{
    uint32_t *ids =
        grow(arena, list->ids, list->count, &list->capacity, sizeof *ids, _Alignof(uint32_t));
    if (ids == NULL)
        return arena->failed;
    list->ids = ids;
    ids[list->count++] = id;
    return ERR_OK;
}

/* ---- order: start, then id ---- */

typedef int compare_ids(const struct log_index *ix, uint32_t a, uint32_t b);

static int compare_rows(const struct log_index *ix, uint32_t a, uint32_t b)
{
    const struct row_data *left = index_row(ix, a);
    const struct row_data *right = index_row(ix, b);
    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns ? -1 : 1;
    int order = uuid_compare(left->id, right->id);
    return order != 0 ? order : (a > b) - (a < b);
}

static int compare_links(const struct log_index *ix, uint32_t a, uint32_t b)
{
    int64_t left = index_link(ix, a)->start_ns;
    int64_t right = index_link(ix, b)->start_ns;
    if (left != right)
        return left < right ? -1 : 1;
    return (a > b) - (a < b);
}

static bool is_sorted(const struct log_index *ix, const uint32_t *ids, size_t count,
                      compare_ids *compare)
{
    for (size_t i = 1; i < count; i++) {
        if (compare(ix, ids[i - 1], ids[i]) > 0)
            return false;
    }
    return true;
}

static void merge_halves(const struct log_index *ix, const uint32_t *from, size_t low,
                         size_t middle, size_t high, uint32_t *to, compare_ids *compare)
{
    size_t left = low;
    size_t right = middle;
    for (size_t at = low; at < high; at++) {
        bool take_left =
            left < middle && (right == high || compare(ix, from[left], from[right]) <= 0);
        to[at] = take_left ? from[left++] : from[right++];
    }
}

/* Bottom up; answers are almost always sorted already. */
static enum err sort_ids(const struct log_index *ix, struct row_list *list, struct arena *arena,
                         compare_ids *compare)
{
    if (is_sorted(ix, list->ids, list->count, compare))
        return ERR_OK;
    uint32_t *to = ARENA_ARRAY(arena, list->count, uint32_t);
    if (to == NULL)
        return arena->failed;
    uint32_t *from = list->ids;
    for (size_t width = 1; width < list->count; width *= 2) {
        for (size_t low = 0; low < list->count; low += 2 * width) {
            size_t middle = low + width < list->count ? low + width : list->count;
            size_t high = middle + width < list->count ? middle + width : list->count;
            merge_halves(ix, from, low, middle, high, to, compare);
        }
        uint32_t *swapped = from;
        from = to;
        to = swapped;
    }
    list->ids = from;
    list->capacity = list->count; /* it may be the other array now */
    return ERR_OK;
}

/* ---- ranges ---- */

static bool row_visible(const struct snapshot *snap, uint32_t id)
{
    return id < snap->row_count && atomic_load_explicit(&index_row(snap->index, id)->replaced_by,
                                                        memory_order_relaxed) >= snap->row_count;
}

static bool link_visible(const struct snapshot *snap, uint32_t id)
{
    return id < snap->link_count && atomic_load_explicit(&index_link(snap->index, id)->replaced_by,
                                                         memory_order_relaxed) >= snap->link_count;
}

static bool meets(const struct snapshot *snap, bool links, uint32_t id, int64_t start_ns)
{
    if (links)
        return link_visible(snap, id) && index_link(snap->index, id)->end_ns >= start_ns;
    return row_visible(snap, id) && index_row(snap->index, id)->end_ns >= start_ns;
}

static const struct run *find_run(const struct snapshot *snap, enum record_kind kind,
                                  uint64_t project_id, struct uuid profiler_id)
{
    struct index_key key = {.kind = kind, .project_id = project_id, .profiler_id = profiler_id};
    uint32_t id = id_table_find(&snap->index->by_run, index_key_hash(snap->index, &key), &key);
    return id == ID_NONE ? NULL : &index_run(snap->index, id)->run;
}

static enum err find_in_run(const struct snapshot *snap, const struct run *run, bool links,
                            int64_t start_ns, int64_t end_ns, struct arena *arena,
                            struct row_list *ret)
{
    for (const struct run_piece *piece = run_newest(run); piece != NULL; piece = piece->next) {
        uint32_t from;
        uint32_t end;
        run_piece_find(piece, start_ns, end_ns, &from, &end);
        const uint32_t *ids = run_piece_ids(piece);
        for (; from < end; from++) {
            if (meets(snap, links, ids[from], start_ns))
                TRY(add_id(arena, ret, ids[from]));
        }
    }
    return sort_ids(snap->index, ret, arena, links ? compare_links : compare_rows);
}

static enum err find_range(const struct snapshot *snap, enum record_kind kind, uint64_t project_id,
                           struct uuid profiler_id, int64_t start_ns, int64_t end_ns,
                           struct arena *arena, struct row_list *ret)
{
    *ret = (struct row_list){0};
    const struct run *run = find_run(snap, kind, project_id, profiler_id);
    if (run == NULL)
        return ERR_OK;
    return find_in_run(snap, run, kind == RECORD_LINK, start_ns, end_ns, arena, ret);
}

enum err snapshot_find_chunks(const struct snapshot *snap, uint64_t project_id,
                              struct uuid profiler_id, int64_t start_ns, int64_t end_ns,
                              struct arena *arena, struct row_list *ret)
{
    return find_range(snap, RECORD_CHUNK, project_id, profiler_id, start_ns, end_ns, arena, ret);
}

enum err snapshot_find_profiles(const struct snapshot *snap, uint64_t project_id, int64_t start_ns,
                                int64_t end_ns, struct arena *arena, struct row_list *ret)
{
    return find_range(snap, RECORD_TRANSACTION, project_id, (struct uuid){0}, start_ns, end_ns,
                      arena, ret);
}

/* ---- by id ---- */

static bool find_by_id(const struct snapshot *snap, const struct index_key *key, row_id *ret)
{
    const struct log_index *ix = snap->index;
    uint32_t id = id_table_find(&ix->by_id, index_key_hash(ix, key), key);
    while (id != ID_NONE && id >= snap->row_count) /* arrived after the snapshot */
        id = index_row(ix, id)->older;
    if (id == ID_NONE)
        return false;
    *ret = id;
    return true;
}

bool snapshot_find_chunk(const struct snapshot *snap, uint64_t project_id, struct uuid profiler_id,
                         struct uuid chunk_id, row_id *ret)
{
    struct index_key key = {
        .kind = RECORD_CHUNK, .project_id = project_id, .profiler_id = profiler_id, .id = chunk_id};
    return find_by_id(snap, &key, ret);
}

bool snapshot_find_profile(const struct snapshot *snap, uint64_t project_id, struct uuid profile_id,
                           row_id *ret)
{
    struct index_key key = {.kind = RECORD_TRANSACTION, .project_id = project_id, .id = profile_id};
    return find_by_id(snap, &key, ret);
}

/* ---- links ---- */

static struct link link_at(const struct log_index *ix, uint32_t id)
{
    const struct link_data *from = index_link(ix, id);
    return (struct link){
        .project_id = from->project_id,
        .profiler_id = from->profiler_id,
        .trace_id = from->trace_id,
        .transaction_id = from->transaction_id,
        .span_id = from->span_id,
        .parent_span_id = from->parent_span_id,
        .start_ns = from->start_ns,
        .end_ns = from->end_ns,
        .is_segment = from->is_segment,
        .name = text_pool_get(&ix->texts, from->text[LINK_NAME]),
        .op = text_pool_get(&ix->texts, from->text[LINK_OP]),
        .thread_id = text_pool_get(&ix->texts, from->text[LINK_THREAD_ID]),
        .thread_name = text_pool_get(&ix->texts, from->text[LINK_THREAD_NAME]),
        .environment = text_pool_get(&ix->texts, from->text[LINK_ENVIRONMENT]),
        .release = text_pool_get(&ix->texts, from->text[LINK_RELEASE]),
        .platform = text_pool_get(&ix->texts, from->text[LINK_PLATFORM]),
    };
}

static enum err links_of(const struct log_index *ix, const struct row_list *ids,
                         struct arena *arena, struct link_list *ret)
{
    *ret = (struct link_list){0};
    if (ids->count == 0)
        return ERR_OK;
    ret->links = ARENA_ARRAY(arena, ids->count, struct link);
    if (ret->links == NULL)
        return arena->failed;
    ret->count = ret->capacity = ids->count;
    for (size_t i = 0; i < ids->count; i++)
        ret->links[i] = link_at(ix, ids->ids[i]);
    return ERR_OK;
}

enum err snapshot_find_links_of_trace(const struct snapshot *snap, uint64_t project_id,
                                      struct uuid trace_id, struct arena *arena,
                                      struct link_list *ret)
{
    const struct log_index *ix = snap->index;
    struct index_key key = {.kind = RECORD_LINK, .project_id = project_id, .profiler_id = trace_id};
    struct row_list ids = {0};
    uint32_t id = id_table_find(&ix->by_trace, index_key_hash(ix, &key), &key);
    for (; id != ID_NONE; id = index_link(ix, id)->older) {
        if (link_visible(snap, id))
            TRY(add_id(arena, &ids, id));
    }
    TRY(sort_ids(ix, &ids, arena, compare_links));
    return links_of(ix, &ids, arena, ret);
}

enum err snapshot_find_links(const struct snapshot *snap, uint64_t project_id, int64_t start_ns,
                             int64_t end_ns, struct arena *arena, struct link_list *ret)
{
    struct row_list ids;
    TRY(find_range(snap, RECORD_LINK, project_id, (struct uuid){0}, start_ns, end_ns, arena, &ids));
    return links_of(snap->index, &ids, arena, ret);
}

/* ---- summaries: a pass over the runs ---- */

/* What the visible rows or links of one run come to. */
static struct profiler_summary summarize(const struct snapshot *snap, const struct run_slot *slot)
{
    bool links = slot->kind == RECORD_LINK;
    struct profiler_summary sum = {
        .profiler_id = slot->profiler_id, .start_ns = INT64_MAX, .end_ns = INT64_MIN};
    for (const struct run_piece *piece = run_newest(&slot->run); piece != NULL;
         piece = piece->next) {
        uint32_t count = run_piece_count(piece);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t id = run_piece_ids(piece)[i];
            if (!meets(snap, links, id, INT64_MIN))
                continue;
            int64_t start_ns = run_piece_starts(piece)[i];
            int64_t end_ns =
                links ? index_link(snap->index, id)->end_ns : index_row(snap->index, id)->end_ns;
            sum.chunk_count++;
            sum.start_ns = start_ns < sum.start_ns ? start_ns : sum.start_ns;
            if (end_ns > sum.end_ns || sum.chunk_count == 1) {
                sum.end_ns = end_ns;
                sum.last = id;
            }
        }
    }
    return sum;
}

static int compare_summaries(const void *a, const void *b)
{
    const struct profiler_summary *left = a;
    const struct profiler_summary *right = b;
    return uuid_compare(left->profiler_id, right->profiler_id);
}

enum err snapshot_list_profilers(const struct snapshot *snap, uint64_t project_id,
                                 struct arena *arena, struct profiler_summary **ret,
                                 size_t *ret_count)
{
    struct profiler_summary *list = NULL;
    size_t count = 0;
    size_t capacity = 0;
    for (uint32_t i = 0; i < snap->run_count; i++) {
        const struct run_slot *slot = index_run(snap->index, i);
        if (slot->kind != RECORD_CHUNK || slot->project_id != project_id)
            continue;
        struct profiler_summary sum = summarize(snap, slot);
        if (sum.chunk_count == 0)
            continue;
        list = grow(arena, list, count, &capacity, sizeof sum, _Alignof(struct profiler_summary));
        if (list == NULL)
            return arena->failed;
        list[count++] = sum;
    }
    if (list != NULL && count > 1)
        qsort(list, count, sizeof *list, compare_summaries);
    *ret = list;
    *ret_count = count;
    return ERR_OK;
}

struct project_list {
    struct project_summary *items; /* ascending */
    size_t count;
    size_t capacity;
};

/* Where the project stands in the list, put there when it is new; NULL when there is no room. */
static struct project_summary *project_of(struct project_list *list, uint64_t project_id,
                                          struct arena *arena)
{
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->items[middle].project_id < project_id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < list->count && list->items[low].project_id == project_id)
        return &list->items[low];
    struct project_summary *items = grow(arena, list->items, list->count, &list->capacity,
                                         sizeof *items, _Alignof(struct project_summary));
    if (items == NULL)
        return NULL;
    memmove(items + low + 1, items + low, (list->count - low) * sizeof *items);
    items[low] = (struct project_summary){
        .project_id = project_id, .first_ns = INT64_MAX, .last_ns = INT64_MIN};
    list->items = items;
    list->count++;
    return &items[low];
}

static void add_summary(struct project_summary *to, enum record_kind kind,
                        const struct profiler_summary *sum)
{
    if (kind == RECORD_LINK) {
        to->link_count += sum->chunk_count;
    } else if (kind == RECORD_TRANSACTION) {
        to->profile_count += sum->chunk_count;
    } else {
        to->chunk_count += sum->chunk_count;
        to->profiler_count++;
    }
    to->first_ns = sum->start_ns < to->first_ns ? sum->start_ns : to->first_ns;
    to->last_ns = sum->end_ns > to->last_ns ? sum->end_ns : to->last_ns;
}

enum err snapshot_list_projects(const struct snapshot *snap, struct arena *arena,
                                struct project_summary **ret, size_t *ret_count)
{
    struct project_list list = {0};
    for (uint32_t i = 0; i < snap->run_count; i++) {
        const struct run_slot *slot = index_run(snap->index, i);
        struct profiler_summary sum = summarize(snap, slot);
        if (sum.chunk_count == 0)
            continue;
        struct project_summary *project = project_of(&list, slot->project_id, arena);
        if (project == NULL)
            return arena->failed;
        add_summary(project, slot->kind, &sum);
    }
    *ret = list.items;
    *ret_count = list.count;
    return ERR_OK;
}
