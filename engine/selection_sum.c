/* selection_sum.c - the rows of a selection that the store has summed already.
 *
 * Whole rows that lie in sealed segments are gathered by segment, in the order of their rows there,
 * so that one stored tree can stand for many of them.
 */
#include "base/sort.h"
#include "engine/selection_parts.h"

struct summed {
    row_id id;
    uint32_t row; /* of the selection */
};

struct sums {
    struct visit *v;
    const atomic_bool *canceled;
    selection_tree_visitor visitor;
    void *self;
    struct summed *rows; /* by id */
    const row_id *ids;   /* of them */
    size_t count;
    uint32_t part;         /* that thread_numbers are about */
    struct id_map numbers; /* thread of the part -> number */
};

static int compare_summed(const void *left, const void *right, void *context)
{
    (void)context;
    const struct summed *a = left;
    const struct summed *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

/* Whole rows that the store can sum, by id. */
static enum err gather_summed(struct sums *q)
{
    struct selection *s = q->v->s;
    struct summed *rows = ARENA_ARRAY(s->arena, s->row_count, struct summed);
    row_id *ids = ARENA_ARRAY(s->arena, s->row_count, row_id);

    if (rows == NULL || ids == NULL)
        return s->arena->failed;
    for (size_t i = 0; i < s->row_count && s->request->threads.count == 0; i++) {
        if (!row_is_uncut(&s->rows[i]) || !tree_can_sum(s->snapshot, s->rows[i].id))
            continue;
        rows[q->count++] = (struct summed){s->rows[i].id, (uint32_t)i};
    }
    TRY(sort_array(s->arena->account, rows, q->count, sizeof(*rows), compare_summed, NULL));
    for (size_t i = 0; i < q->count; i++)
        ids[i] = rows[i].id;
    q->rows = rows;
    q->ids = ids;
    return ERR_OK;
}

/* Every thread that weighs has a number. */
static enum err number_threads(struct sums *q, const struct tree_sum *sum, struct errinfo *info)
{
    for (size_t i = 0; i < sum->thread_count; i++) {
        struct bytes id;
        struct bytes name;
        uint32_t number = 0;
        if (id_map_find(&q->numbers, sum->threads[i], &number))
            continue;
        TRY(tree_thread(q->v->s->snapshot, q->part, sum->threads[i], &id, &name, info));
        TRY(visit_number(q->v, id, name, &number));
        TRY(id_map_put(&q->numbers, sum->threads[i], number));
    }
    return ERR_OK;
}

static void cover_sum(struct visit *v, const struct block_sum *sum)
{
    struct coverage *c = &v->s->coverage;

    c->samples += sum->samples;
    c->total_ns += sum->ns;
    v->reached += sum->samples;
    v->reached_ns += sum->ns;
    if (!sum->any)
        return;
    if (sum->first_ns < c->first_ns)
        c->first_ns = sum->first_ns;
    if (sum->last_ns > c->last_ns)
        c->last_ns = sum->last_ns;
}

static enum err use_sum(struct sums *q, uint32_t part, const struct tree_sum *sum,
                        const row_id *rows, size_t row_count)
{
    struct selection *s = q->v->s;
    struct errinfo *info = q->v->info;

    enum err rc = number_threads(q, sum, info);
    if (rc != ERR_OK)
        return err_set(info, rc, "selection: threads of a stored tree: %s", err_text(rc));
    for (size_t i = 0; i < row_count; i++)
        use_row(s, &s->rows[q->rows[(size_t)(rows - q->ids) + i].row]);
    cover_sum(q->v, &sum->sum);
    struct selection_tree tree = {
        .snapshot = s->snapshot, .part = part, .sum = sum, .thread_numbers = &q->numbers};
    return q->visitor(q->self, &tree, info);
}

static enum err on_sum(void *self, uint32_t part, const struct tree_sum *sum, const row_id *rows,
                       size_t row_count)
{
    struct sums *q = self;
    struct selection *s = q->v->s;

    if (is_canceled(q->canceled))
        return err_set(q->v->info, ERR_CANCELED, "selection: canceled");
    enum err rc = use_sum(q, part, sum, rows, row_count);
    if (rc != ERR_CORRUPT && tree_is_served(s->snapshot, part))
        return rc;
    tree_give_up(s->snapshot, part);
    s->again = true;
    return rc == ERR_CORRUPT ? rc : err_set(q->v->info, ERR_CORRUPT, "a segment cannot be read");
}

static enum err on_unreadable(void *self, row_id id, const struct errinfo *why)
{
    struct sums *q = self;
    size_t low = 0;
    size_t high = q->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (q->rows[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    leave_out_row(q->v->s, &q->v->s->rows[q->rows[low].row], "unreadable", why->text);
    return ERR_OK;
}

static enum err visit_parts(struct sums *q, bool by_thread)
{
    struct selection *s = q->v->s;
    struct tree_visit visit = {.by_thread = by_thread,
                               .account = s->arena->account,
                               .self = q,
                               .on_sum = on_sum,
                               .on_unreadable = on_unreadable};
    for (size_t first = 0, end; first < q->count; first = end) {
        end = first;
        q->part = tree_part(q->ids[first]);
        while (end < q->count && tree_part(q->ids[end]) == q->part)
            end++;
        id_map_clear(&q->numbers);
        TRY(snapshot_sum(s->snapshot, q->ids + first, end - first, &visit, q->v->info));
    }
    return ERR_OK;
}

enum err visit_sums(struct visit *v, const atomic_bool *canceled, const struct visit_kind *kind,
                    void *self, uint8_t *taken)
{
    struct sums q = {.v = v, .canceled = canceled, .visitor = kind->trees, .self = self};

    id_map_init(&q.numbers, v->s->arena->account);
    enum err rc = gather_summed(&q);
    if (rc != ERR_OK)
        rc = err_set(v->info, rc, "selection: %s", err_text(rc));
    for (size_t i = 0; i < q.count && rc == ERR_OK; i++)
        taken[q.rows[i].row] = 1;
    if (rc == ERR_OK)
        rc = visit_parts(&q, kind->by_thread);
    id_map_close(&q.numbers);
    return rc;
}
