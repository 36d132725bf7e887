#include <inttypes.h>

#include "base/sort.h"
#include "engine/export_table.h"

/* Lines are sorted by their bytes without holding them all: the tree of stacks is walked, and at
 * each node two things are in order: a child's own line (its label ends there) and the lines below
 * it (its label is followed by ';'). Labels hold no ';', so the order of these keys is the order
 * of the lines. */
struct item {
    const struct exporter *e;
    uint32_t parent;
    uint32_t node;
    bool is_below;
};

static struct bytes item_label(const struct item *item)
{
    struct export_frame f = export_frame_at(item->e, export_node_at(item->e, item->node).frame);
    return intern_get(&item->e->texts, f.label);
}

static int item_byte(const struct item *item, struct bytes label, size_t at)
{
    if (at < label.len)
        return label.data[at];
    return at == label.len && item->is_below ? ';' : -1;
}

static int compare_items(const void *left, const void *right, void *context)
{
    (void)context;
    const struct item *a = left;
    const struct item *b = right;
    if (a->parent != b->parent)
        return a->parent < b->parent ? -1 : 1;
    struct bytes label_a = item_label(a);
    struct bytes label_b = item_label(b);
    size_t common = label_a.len < label_b.len ? label_a.len : label_b.len;
    int order = memcmp(label_a.data, label_b.data, common);
    if (order != 0)
        return order;
    for (size_t at = common;; at++) {
        int byte_a = item_byte(a, label_a, at);
        int byte_b = item_byte(b, label_b, at);
        if (byte_a != byte_b)
            return byte_a < byte_b ? -1 : 1;
        if (byte_a < 0)
            return 0;
    }
}

/* What the walk needs, by node. */
struct plan {
    const struct exporter *e;
    uint64_t *numbers;    /* to print for the node itself */
    uint32_t *first_item; /* [node] .. [node + 1]: items below it */
    struct item *items;
    size_t item_count;
};

static uint64_t number_of(const struct exporter *e, const struct export_value *value)
{
    if (e->options.unit == EXPORT_SAMPLES)
        return value->samples;
    return (value->ns + 500) / 1000;
}

/* Nodes that print something, or have such below them. Children have higher numbers. */
static enum err mark_used(struct plan *plan, struct arena *arena, bool **ret_below)
{
    const struct exporter *e = plan->e;
    bool *below = ARENA_ARRAY(arena, e->nodes.count, bool);
    plan->numbers = ARENA_ARRAY(arena, e->nodes.count, uint64_t);
    if (below == NULL || plan->numbers == NULL)
        return arena->failed;
    memset(below, 0, e->nodes.count * sizeof(below[0]));
    memset(plan->numbers, 0, e->nodes.count * sizeof(plan->numbers[0]));
    for (uint32_t row = 1; row < e->rows.count; row++)
        plan->numbers[export_row_at(e, row).node] = number_of(e, &export_values(e)[row]);
    for (uint32_t node = (uint32_t)e->nodes.count; node-- > 1;)
        if (below[node] || plan->numbers[node] > 0)
            below[export_node_at(e, node).parent] = true;
    *ret_below = below;
    return ERR_OK;
}

static enum err make_plan(struct plan *plan, struct arena *arena)
{
    const struct exporter *e = plan->e;
    bool *below = NULL;
    TRY(mark_used(plan, arena, &below));
    plan->items = ARENA_ARRAY(arena, 2 * e->nodes.count, struct item);
    plan->first_item = ARENA_ARRAY(arena, e->nodes.count + 1, uint32_t);
    if (below == NULL || plan->items == NULL || plan->first_item == NULL)
        return arena->failed;
    for (uint32_t node = 1; node < e->nodes.count; node++) {
        uint32_t parent = export_node_at(e, node).parent;
        if (plan->numbers[node] > 0)
            plan->items[plan->item_count++] = (struct item){e, parent, node, false};
        if (below[node])
            plan->items[plan->item_count++] = (struct item){e, parent, node, true};
    }
    TRY(sort_array(e->account, plan->items, plan->item_count, sizeof(plan->items[0]), compare_items,
                   NULL));
    size_t at = 0;
    for (uint32_t node = 0; node <= e->nodes.count; node++) {
        while (at < plan->item_count && plan->items[at].parent < node)
            at++;
        plan->first_item[node] = (uint32_t)at;
    }
    return ERR_OK;
}

/* One level of the walk: items left at a node, and how long the line is up to there. */
struct level {
    uint32_t next;
    uint32_t end;
    size_t prefix;
};

static struct level level_of(const struct plan *plan, uint32_t node, size_t prefix)
{
    return (struct level){plan->first_item[node], plan->first_item[node + 1], prefix};
}

static enum err walk(const struct plan *plan, struct buffer *levels, struct buffer *line,
                     struct buffer *out)
{
    struct level root = level_of(plan, 0, 0);
    buffer_put(levels, bytes_of(&root, sizeof(root)));
    while (levels->len > 0 && levels->failed == ERR_OK) {
        struct level *level = (struct level *)(void *)(levels->data + levels->len) - 1;
        if (level->next == level->end) {
            levels->len -= sizeof(*level);
            continue;
        }
        const struct item *item = &plan->items[level->next++];
        line->len = level->prefix;
        buffer_put(line, item_label(item));
        if (item->is_below) {
            buffer_put_u8(line, ';');
            struct level below = level_of(plan, item->node, line->len);
            buffer_put(levels, bytes_of(&below, sizeof(below)));
        } else {
            buffer_put(out, buffer_bytes(line));
            buffer_printf(out, " %" PRIu64 "\n", plan->numbers[item->node]);
        }
        if (line->failed != ERR_OK)
            return line->failed;
    }
    return levels->failed;
}

enum err export_write_folded(struct exporter *e, struct arena *arena, struct buffer *out)
{
    struct plan plan = {.e = e};
    TRY(make_plan(&plan, arena));
    struct buffer levels;
    struct buffer line;
    buffer_init(&levels, EXPORT_TABLE_MAX, e->account);
    buffer_init(&line, EXPORT_TABLE_MAX, e->account);
    enum err rc = walk(&plan, &levels, &line, out);
    buffer_close(&levels);
    buffer_close(&line);
    return rc;
}
