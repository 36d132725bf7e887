#include "storage/block_frames.h"

#include <assert.h>
#include <inttypes.h>

#include "storage/column.h"
#include "storage/number_list.h"

#define CHOICES_ORDER 5
#define FRAMES_ORDER  5
#define NODES_ORDER   6
#define BACK_MAX      64 /* equal frames looked through for the one that is meant */

/* How frame numbers follow from the stacks, two bits; and, unless they are listed, one more: 1 when
 * stacks are walked as the document numbers them, 0 when as samples use them. */
enum {
    FRAMES_BY_VALUE = 0, /* equal frames have one number */
    FRAMES_BY_NODE = 1,  /* every node has its own */
    FRAMES_CHOSEN = 2,   /* as the choices say */
    FRAMES_LISTED = 3    /* nothing follows */
};

/* Where a frame comes that has a number already: what the document means. */
enum {
    CHOICE_LAST = 0, /* the last number that equal frames got */
    CHOICE_NEW = 1   /* another number; above it: so many less one before the last */
};

/* ---- numbers that equal frames got ---- */

struct numbering {
    struct arena *arena;
    struct local_ids *values; /* frames of the tables */
    struct local_list last;   /* of each value, its last number */
    struct local_list before; /* of each number, the one before of the same value, or NONE */
};

static bool is_known(const struct numbering *n, uint32_t value)
{
    return local_ids_find(n->values, value) < n->last.count;
}

/* The next number, for that value. */
static void number_next(struct numbering *n, uint32_t value)
{
    uint32_t number = n->before.count;
    uint32_t local = local_ids_add(n->values, value);
    if (local == LOCAL_NONE)
        return;
    if (local == n->last.count) {
        local_list_add(&n->last, n->arena, number);
        local_list_add(&n->before, n->arena, PROFILE_NONE);
        return;
    }
    local_list_add(&n->before, n->arena, n->last.items[local]);
    n->last.items[local] = number;
}

/* Among the numbers of the value: how many before the last; BACK_MAX when it is not found. */
static uint32_t find_back(const struct numbering *n, uint32_t value, uint32_t number)
{
    uint32_t at = n->last.items[local_ids_find(n->values, value)];
    uint32_t back = 0;
    while (at != PROFILE_NONE && at != number && back < BACK_MAX) {
        at = n->before.items[at];
        back++;
    }
    return at == number ? back : BACK_MAX;
}

/* ---- writing: do the numbers follow? ---- */

struct choosing {
    const struct profile *p;
    const struct tables_mapping *map;
    struct arena *arena;
    struct numbering numbers;
    struct local_ids nodes; /* of the tables, visited */
    uint8_t *visited;       /* nodes of the document */
    struct local_list choices;
};

/* One more node on the way up; false when its frame's number does not follow. */
static bool choose(struct choosing *c, uint32_t frame)
{
    uint32_t value = c->map->frames[c->p->frame_list[frame]];
    uint32_t next = c->numbers.before.count;
    if (!is_known(&c->numbers, value)) {
        number_next(&c->numbers, value);
        return frame == next;
    }
    if (frame == next) {
        local_list_add(&c->choices, c->arena, CHOICE_NEW);
        number_next(&c->numbers, value);
        return true;
    }
    uint32_t back = find_back(&c->numbers, value, frame);
    local_list_add(&c->choices, c->arena, back == 0 ? CHOICE_LAST : CHOICE_NEW + back);
    return back < BACK_MAX;
}

/* Two nodes of the document that are one in the tables cannot be told apart by it. */
static bool choose_path(struct choosing *c, uint32_t leaf)
{
    const struct profile *p = c->p;
    for (uint32_t node = leaf; node != PROFILE_NONE && !c->visited[node];
         node = p->node_parent[node]) {
        uint32_t nodes = c->nodes.count;
        c->visited[node] = 1;
        if (local_ids_add(&c->nodes, c->map->nodes[node]) != nodes)
            return false;
        if (!choose(c, p->node_frame[node]) || c->arena->failed != ERR_OK)
            return false;
    }
    return true;
}

/* `order` NULL: as the document numbers them. */
static bool choose_all(struct choosing *c, const uint32_t *order)
{
    for (size_t i = 0; i < c->p->stack_count; i++)
        if (!choose_path(c, c->p->stacks[order == NULL ? i : order[i]]))
            return false;
    return c->numbers.before.count == c->p->frame_list_count;
}

static bool all_are(const struct local_list *l, uint32_t choice)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->items[i] != choice)
            return false;
    return true;
}

static enum err put_choices(struct bits_writer *w, const struct local_list *choices,
                            struct arena *scratch)
{
    uint64_t *codes = ARENA_ARRAY(scratch, choices->count, uint64_t);
    if (codes == NULL)
        return scratch->failed;
    for (uint32_t i = 0; i < choices->count; i++)
        codes[i] = choices->items[i];
    bits_put_golomb(w, choices->count, CHOICES_ORDER);
    number_list_put(w, NUMBERS_PLAIN, codes, choices->count);
    return ERR_OK;
}

/* ---- writing lists ---- */

static void put_frame_list(struct bits_writer *w, const struct profile *p,
                           const struct tables_mapping *map, uint64_t *codes)
{
    int64_t before = -1;
    for (size_t i = 0; i < p->frame_list_count; i++) {
        int64_t frame = map->frames[p->frame_list[i]];
        codes[i] = zigzag_encode(frame - before - 1);
        before = frame;
    }
    bits_put_golomb(w, p->frame_list_count, FRAMES_ORDER);
    number_list_put(w, NUMBERS_PLAIN, codes, p->frame_list_count);
}

static void put_trie(struct bits_writer *w, const struct profile *p, uint64_t *codes)
{
    struct column_rising rising = {0};
    bits_put_golomb(w, p->node_count, NODES_ORDER);
    for (size_t i = 0; i < p->node_count; i++)
        codes[i] = p->node_parent[i] == PROFILE_NONE ? 0 : i - p->node_parent[i];
    number_list_put(w, NUMBERS_PLAIN, codes, p->node_count);
    for (size_t i = 0; i < p->node_count; i++)
        codes[i] = column_rising_code(&rising, p->node_frame[i]);
    number_list_put(w, NUMBERS_PLAIN, codes, p->node_count);
}

static void put_stacks(struct bits_writer *w, const struct profile *p, uint64_t *codes)
{
    int64_t before = -1;
    for (size_t i = 0; i < p->stack_count; i++) {
        codes[i] = 0;
        if (p->stacks[i] == PROFILE_NONE)
            continue;
        codes[i] = 1 + zigzag_encode((int64_t)p->stacks[i] - before - 1);
        before = p->stacks[i];
    }
    number_list_put(w, NUMBERS_PLAIN, codes, p->stack_count);
}

static enum err put_lists(struct bits_writer *w, const struct profile *p,
                          const struct tables_mapping *map, struct arena *scratch)
{
    size_t most = p->frame_list_count > p->node_count ? p->frame_list_count : p->node_count;
    most = most > p->stack_count ? most : p->stack_count;
    uint64_t *codes = ARENA_ARRAY(scratch, most, uint64_t);
    if (codes == NULL)
        return scratch->failed;
    put_frame_list(w, p, map, codes);
    put_trie(w, p, codes);
    put_stacks(w, p, codes);
    return ERR_OK;
}

/* The rule by which all numbers follow, and the choices where they come again. */
static unsigned find_rule(const struct profile *p, const struct tables_mapping *map,
                          const uint32_t *order, struct arena *scratch,
                          struct local_list *ret_choices)
{
    struct local_ids values;
    struct choosing c = {.p = p, .map = map, .arena = scratch};
    c.numbers = (struct numbering){.arena = scratch, .values = &values};
    local_ids_init(&values, scratch);
    local_ids_init(&c.nodes, scratch);
    c.visited = ARENA_ARRAY(scratch, p->node_count, uint8_t);
    if (c.visited == NULL)
        return FRAMES_LISTED;
    memset(c.visited, 0, p->node_count);
    if (!choose_all(&c, order))
        return FRAMES_LISTED;
    *ret_choices = c.choices;
    if (all_are(&c.choices, CHOICE_LAST))
        return FRAMES_BY_VALUE;
    return all_are(&c.choices, CHOICE_NEW) ? FRAMES_BY_NODE : FRAMES_CHOSEN;
}

enum err block_frames_put(struct bits_writer *w, const struct profile *p,
                          const struct tables_mapping *map, const uint32_t *use_order,
                          struct arena *scratch)
{
    struct local_list choices = {0};
    bool as_numbered = false;
    unsigned rule = find_rule(p, map, use_order, scratch, &choices);
    if (rule == FRAMES_LISTED) {
        rule = find_rule(p, map, NULL, scratch, &choices);
        as_numbered = true;
    }
    if (scratch->failed != ERR_OK)
        return scratch->failed;
    bits_put(w, rule, 2);
    if (rule == FRAMES_LISTED)
        return put_lists(w, p, map, scratch);
    bits_put(w, as_numbered, 1);
    return rule == FRAMES_CHOSEN ? put_choices(w, &choices, scratch) : ERR_OK;
}

/* ---- reading: numbers that follow ---- */

struct following {
    const struct tables_source *tables;
    struct arena *arena;
    unsigned rule;
    const uint32_t *choices;
    uint32_t choice_count;
    uint32_t choice_at;
    struct numbering numbers;
    struct local_ids nodes;   /* of the tables; local numbers are those of the profile's trie */
    struct local_list parent; /* of each */
    struct local_list frame;
    struct local_list list; /* frame_list */
    /* a path from a leaf up to what is known */
    struct local_list path_nodes;
    struct local_list path_frames;
};

static enum err unsound(struct errinfo *info)
{
    return err_set(info, ERR_CORRUPT, "block: frames are cut short or out of range");
}

/* PROFILE_NONE: the choices are not those of this profile. */
static uint32_t next_choice(struct following *f)
{
    if (f->rule == FRAMES_BY_VALUE)
        return CHOICE_LAST;
    if (f->rule == FRAMES_BY_NODE)
        return CHOICE_NEW;
    return f->choice_at < f->choice_count ? f->choices[f->choice_at++] : PROFILE_NONE;
}

static uint32_t follow_new(struct following *f, uint32_t value)
{
    uint32_t number = f->numbers.before.count;
    number_next(&f->numbers, value);
    uint32_t local = local_ids_find(f->numbers.values, value);
    local_list_add(&f->list, f->arena, local);
    return number;
}

/* The document's number of a frame of the tables; PROFILE_NONE: none. */
static uint32_t follow_frame(struct following *f, uint32_t value)
{
    if (!is_known(&f->numbers, value))
        return follow_new(f, value);
    uint32_t choice = next_choice(f);
    if (choice == CHOICE_NEW)
        return follow_new(f, value);
    uint32_t number = f->numbers.last.items[local_ids_find(f->numbers.values, value)];
    uint32_t back = choice == CHOICE_LAST ? 0 : choice - CHOICE_NEW;
    for (; back > 0 && number != PROFILE_NONE; back--)
        number = f->numbers.before.items[number];
    return number;
}

/* Gives the node at which the path joins what is known, or NONE, in *ret_above. */
static enum err follow_up(struct following *f, uint32_t leaf, uint32_t *ret_above,
                          struct errinfo *info)
{
    f->path_nodes.count = 0;
    f->path_frames.count = 0;
    *ret_above = PROFILE_NONE;
    for (uint32_t node = leaf; node != PROFILE_NONE;) {
        uint32_t known = local_ids_find(&f->nodes, node);
        uint32_t parent, value;
        if (known != LOCAL_NONE) {
            *ret_above = known;
            return ERR_OK;
        }
        TRY(f->tables->node(f->tables->self, node, &parent, &value, info));
        if (parent != PROFILE_NONE && parent >= node)
            return unsound(info);
        uint32_t frame = follow_frame(f, value);
        local_list_add(&f->path_nodes, f->arena, node);
        local_list_add(&f->path_frames, f->arena, frame);
        if (f->arena->failed != ERR_OK)
            return err_set(info, f->arena->failed, "block: no room for its frames");
        if (frame == PROFILE_NONE)
            return unsound(info);
        node = parent;
    }
    return ERR_OK;
}

static enum err follow_stack(struct following *f, uint32_t leaf, uint32_t *ret,
                             struct errinfo *info)
{
    uint32_t above;
    TRY(follow_up(f, leaf, &above, info));
    for (uint32_t i = f->path_nodes.count; i > 0; i--) {
        uint32_t node = local_ids_add(&f->nodes, f->path_nodes.items[i - 1]);
        local_list_add(&f->parent, f->arena, above);
        local_list_add(&f->frame, f->arena, f->path_frames.items[i - 1]);
        above = node;
    }
    if (f->arena->failed != ERR_OK)
        return err_set(info, f->arena->failed, "block: no room for its frames");
    *ret = above;
    return ERR_OK;
}

static enum err get_choices(struct bits_reader *r, struct following *f, struct errinfo *info)
{
    uint64_t count = bits_get_golomb(r, CHOICES_ORDER);
    if (r->failed || count > bits_left(r) || count >= PROFILE_NONE)
        return unsound(info);
    uint32_t *choices = ARENA_ARRAY(f->arena, (size_t)count, uint32_t);
    if (choices == NULL)
        return err_set(info, f->arena->failed, "block: no room for its frames");
    number_list_get32(r, choices, (size_t)count);
    f->choices = choices;
    f->choice_count = (uint32_t)count;
    return r->failed ? unsound(info) : ERR_OK;
}

static enum err follow_all(struct bits_reader *r, struct following *f, const uint32_t *leaves,
                           const uint32_t *use_order, struct profile *p, struct errinfo *info)
{
    uint32_t *stacks = ARENA_ARRAY(f->arena, p->stack_count, uint32_t);
    if (stacks == NULL)
        return err_set(info, f->arena->failed, "block: no room for %zu stacks", p->stack_count);
    bool as_numbered = bits_get(r, 1) != 0;
    if (f->rule == FRAMES_CHOSEN)
        TRY(get_choices(r, f, info));
    for (size_t i = 0; i < p->stack_count; i++) {
        size_t stack = as_numbered ? i : use_order[i];
        TRY(follow_stack(f, leaves[stack], &stacks[stack], info));
    }
    if (f->choice_at != f->choice_count)
        return unsound(info);
    p->stacks = stacks;
    p->frame_list = f->list.items;
    p->frame_list_count = f->list.count;
    p->node_parent = f->parent.items;
    p->node_frame = f->frame.items;
    p->node_count = f->nodes.count;
    return ERR_OK;
}

/* ---- reading lists ---- */

struct listing {
    struct bits_reader *r;
    struct arena *arena;
    uint64_t *codes; /* of the list at hand */
    size_t count;
};

/* So many codes; the arena or the reader fails. */
static bool get_codes(struct listing *l, size_t count)
{
    l->count = count;
    l->codes = ARENA_ARRAY(l->arena, count, uint64_t);
    if (l->codes == NULL)
        return false;
    number_list_get(l->r, NUMBERS_PLAIN, l->codes, count);
    return !l->r->failed;
}

static bool get_counted(struct listing *l, unsigned order)
{
    uint64_t count = bits_get_golomb(l->r, order);
    if (count > bits_left(l->r))
        l->r->failed = true;
    return !l->r->failed && get_codes(l, (size_t)count);
}

static void get_frame_list(struct listing *l, struct local_ids *frames, struct profile *p)
{
    uint64_t frame = UINT64_MAX;
    if (!get_counted(l, FRAMES_ORDER))
        return;
    uint32_t *list = ARENA_ARRAY(l->arena, l->count, uint32_t);
    for (size_t i = 0; i < l->count && list != NULL; i++) {
        frame += 1 + (uint64_t)zigzag_decode(l->codes[i]);
        l->r->failed |= frame >= LOCAL_NONE;
        list[i] = l->r->failed ? 0 : local_ids_add(frames, (uint32_t)frame);
    }
    p->frame_list = list;
    p->frame_list_count = l->count;
}

static void get_trie(struct listing *l, struct profile *p)
{
    struct column_rising rising = {0};
    if (!get_counted(l, NODES_ORDER))
        return;
    p->node_count = l->count;
    uint32_t *parent = ARENA_ARRAY(l->arena, l->count, uint32_t);
    uint32_t *frame = ARENA_ARRAY(l->arena, l->count, uint32_t);
    if (parent == NULL || frame == NULL)
        return;
    for (size_t i = 0; i < l->count; i++) {
        l->r->failed |= l->codes[i] > i;
        parent[i] = l->codes[i] == 0 ? PROFILE_NONE : (uint32_t)(i - l->codes[i]);
    }
    p->node_parent = parent;
    p->node_frame = frame;
    if (!get_codes(l, p->node_count))
        return;
    for (size_t i = 0; i < l->count; i++)
        if (!column_rising_id(&rising, l->codes[i], &frame[i]) || frame[i] >= p->frame_list_count)
            l->r->failed = true;
}

static void get_stacks(struct listing *l, struct profile *p)
{
    uint64_t leaf = UINT64_MAX;
    uint32_t *stacks = ARENA_ARRAY(l->arena, p->stack_count, uint32_t);
    if (stacks == NULL || !get_codes(l, p->stack_count))
        return;
    for (size_t i = 0; i < l->count; i++) {
        stacks[i] = PROFILE_NONE;
        if (l->codes[i] == 0)
            continue;
        leaf += 1 + (uint64_t)zigzag_decode(l->codes[i] - 1);
        l->r->failed |= leaf >= p->node_count;
        stacks[i] = (uint32_t)leaf;
    }
    p->stacks = stacks;
}

static enum err get_lists(struct bits_reader *r, struct arena *arena, struct local_ids *frames,
                          struct profile *p, struct errinfo *info)
{
    struct listing l = {.r = r, .arena = arena};
    get_frame_list(&l, frames, p);
    if (!r->failed && arena->failed == ERR_OK)
        get_trie(&l, p);
    if (!r->failed && arena->failed == ERR_OK)
        get_stacks(&l, p);
    if (arena->failed != ERR_OK)
        return err_set(info, arena->failed, "block: no room for its frames");
    return r->failed ? unsound(info) : ERR_OK;
}

enum err block_frames_get(struct bits_reader *r, const struct tables_source *tables,
                          const uint32_t *leaves, const uint32_t *use_order, struct arena *arena,
                          struct local_ids *frames, struct profile *p, struct errinfo *info)
{
    struct following f = {.tables = tables, .arena = arena, .rule = (unsigned)bits_get(r, 2)};
    if (r->failed)
        return unsound(info);
    if (f.rule == FRAMES_LISTED)
        return get_lists(r, arena, frames, p, info);
    f.numbers = (struct numbering){.arena = arena, .values = frames};
    local_ids_init(&f.nodes, arena);
    return follow_all(r, &f, leaves, use_order, p, info);
}
