#include "base/json_writer.h"
#include "base/sort.h"
#include "engine/export_table.h"

struct ranked {
    struct export_segment segment;
    uint32_t rank;
};

/* Segments of one thread follow each other; where they overlap (a clock went back, a chunk came
 * under two ids), what does not fit goes into further profiles of the same thread, its lanes. */
struct lanes {
    /* A tree of minima over the ends of all lanes: entry 1 is the root, the children of n are 2n
     * and 2n + 1, lane l is the leaf width + l. INT64_MIN: not used yet. */
    int64_t *ends;
    size_t width;    /* a power of two */
    uint32_t *first; /* of a lane, its first segment */
    uint32_t *last;
    uint32_t *next; /* of a segment, the next one of its lane */
    size_t count;
};

struct writing {
    struct exporter *e;
    struct json_writer json;
    struct buffer runs;      /* struct export_run of the profile being written */
    struct buffer frames;    /* u32: frames in the order they are listed in the file */
    struct buffer text;      /* a name */
    uint32_t *numbers;       /* frame -> place in the file + 1, 0: not listed yet */
    uint32_t *path;          /* frames of one stack, leaf first */
    struct ranked *segments; /* by thread, then time */
    size_t segment_count;
    struct lanes lanes; /* of the thread being written */
    bool has_groups;
    size_t profile_count;
    size_t active; /* index of the profile to show first */
    bool has_active;
};

static int compare_segments(const void *left, const void *right, void *context)
{
    (void)context;
    const struct ranked *a = left;
    const struct ranked *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->segment.start_ns != b->segment.start_ns)
        return a->segment.start_ns < b->segment.start_ns ? -1 : 1;
    return a->segment.order < b->segment.order ? -1 : a->segment.order > b->segment.order;
}

static enum err sort_segments(struct writing *w, struct arena *arena)
{
    const struct export_segment *all = (const void *)w->e->segments.data;
    size_t count = w->e->segments.len / sizeof(*all);
    w->segments = ARENA_ARRAY(arena, count, struct ranked);
    uint32_t *ranks = NULL;
    TRY(export_rank_threads(w->e, arena, &ranks));
    if (w->segments == NULL)
        return arena->failed;
    for (size_t i = 0; i < count; i++)
        w->segments[i] = (struct ranked){all[i], ranks[all[i].thread]};
    w->segment_count = count;
    return sort_array(w->e->account, w->segments, count, sizeof(w->segments[0]), compare_segments,
                      NULL);
}

static void put_run(struct writing *w, uint32_t node, uint64_t ns)
{
    if (ns == 0)
        return;
    if (w->runs.len > 0) {
        struct export_run *last = (struct export_run *)(void *)(w->runs.data + w->runs.len) - 1;
        if (last->node == node) {
            last->ns += ns;
            return;
        }
    }
    struct export_run run = {.ns = ns, .node = node};
    buffer_put(&w->runs, bytes_of(&run, sizeof(run)));
}

/* `end_ns`: of the segment before. The time between the two is idle: nobody looked. */
static void put_segment(struct writing *w, const struct export_segment *segment, int64_t end_ns)
{
    put_run(w, 0, (uint64_t)segment->start_ns - (uint64_t)end_ns);
    const struct export_run *runs = (const void *)w->e->runs.data;
    for (uint32_t i = 0; i < segment->run_count; i++)
        put_run(w, runs[segment->first_run + i].node, runs[segment->first_run + i].ns);
}

static void write_frame_number(struct writing *w, uint32_t frame)
{
    if (w->numbers[frame] == 0) {
        buffer_put(&w->frames, bytes_of(&frame, sizeof(frame)));
        w->numbers[frame] = (uint32_t)(w->frames.len / sizeof(frame));
    }
    json_u64(&w->json, w->numbers[frame] - 1);
}

static void write_stack(struct writing *w, uint32_t node)
{
    size_t depth = 0;
    while (node != 0) {
        struct export_node n = export_node_at(w->e, node);
        w->path[depth++] = n.frame;
        node = n.parent;
    }
    json_begin_array(&w->json);
    while (depth-- > 0)
        write_frame_number(w, w->path[depth]);
    json_end_array(&w->json);
}

static void write_runs(struct writing *w)
{
    const struct export_run *runs = (const void *)w->runs.data;
    size_t count = w->runs.len / sizeof(runs[0]);
    json_key(&w->json, "samples");
    json_begin_array(&w->json);
    for (size_t i = 0; i < count && w->json.out->failed == ERR_OK; i++) /* deep stacks take long */
        write_stack(w, runs[i].node);
    json_end_array(&w->json);
    json_key(&w->json, "weights");
    json_begin_array(&w->json);
    for (size_t i = 0; i < count; i++)
        json_u64(&w->json, runs[i].ns);
    json_end_array(&w->json);
}

static void write_name(struct writing *w, uint32_t thread, unsigned lane)
{
    buffer_clear(&w->text);
    export_put_thread_name(w->e, thread, w->has_groups, &w->text);
    if (lane > 0)
        buffer_printf(&w->text, " (%u)", lane + 1);
    json_key(&w->json, "name");
    json_string(&w->json, buffer_bytes(&w->text));
}

static void write_profile(struct writing *w, uint32_t thread, unsigned lane, int64_t start_ns,
                          int64_t end_ns)
{
    const struct export_thread *t = &export_threads(w->e)[thread];
    struct bytes id = intern_get(&w->e->texts, t->id);
    struct bytes active = w->e->options.active_thread;
    if (active.data != NULL && !w->has_active && bytes_equal(id, active)) {
        w->active = w->profile_count;
        w->has_active = true;
    }
    w->profile_count++;
    json_begin_object(&w->json);
    json_key(&w->json, "type");
    json_text(&w->json, "sampled");
    write_name(w, thread, lane);
    json_key(&w->json, "unit");
    json_text(&w->json, "nanoseconds");
    json_key(&w->json, "startValue");
    json_u64(&w->json, (uint64_t)start_ns - (uint64_t)w->e->first_ns);
    json_key(&w->json, "endValue");
    json_u64(&w->json, (uint64_t)end_ns - (uint64_t)w->e->first_ns);
    write_runs(w);
    json_end_object(&w->json);
}

/* Segments of the thread that starts at `at`. */
static size_t thread_segments(const struct writing *w, size_t at)
{
    size_t end = at + 1;
    while (end < w->segment_count &&
           w->segments[end].segment.thread == w->segments[at].segment.thread)
        end++;
    return end - at;
}

static size_t lanes_width(size_t count)
{
    size_t width = 1;
    while (width < count)
        width *= 2;
    return width;
}

/* Room for the thread with the most segments, were each of them a lane. */
static enum err lanes_make(struct writing *w, struct arena *arena)
{
    size_t most = 0;
    for (size_t i = 0; i < w->segment_count;) {
        size_t count = thread_segments(w, i);
        most = count > most ? count : most;
        i += count;
    }
    struct lanes *l = &w->lanes;
    l->ends = ARENA_ARRAY(arena, 2 * lanes_width(most), int64_t);
    l->first = ARENA_ARRAY(arena, most, uint32_t);
    l->last = ARENA_ARRAY(arena, most, uint32_t);
    l->next = ARENA_ARRAY(arena, most, uint32_t);
    bool made = l->ends != NULL && l->first != NULL && l->last != NULL && l->next != NULL;
    return made ? ERR_OK : arena->failed;
}

static void lanes_clear(struct lanes *l, size_t segment_count)
{
    l->width = lanes_width(segment_count);
    l->count = 0;
    for (size_t i = 0; i < 2 * l->width; i++)
        l->ends[i] = INT64_MIN;
}

/* The first lane that is over when the segment starts, busy from now on until it ends. */
static size_t lanes_take(struct lanes *l, const struct export_segment *segment)
{
    size_t at = 1;
    while (at < l->width)
        at = 2 * at + (l->ends[2 * at] > segment->start_ns);
    size_t lane = at - l->width;
    l->ends[at] = segment->end_ns;
    for (at /= 2; at > 0; at /= 2) {
        int64_t left_ns = l->ends[2 * at];
        int64_t right_ns = l->ends[2 * at + 1];
        l->ends[at] = left_ns < right_ns ? left_ns : right_ns;
    }
    return lane;
}

/* Segments ascend by start. */
static void lanes_fill(struct lanes *l, const struct ranked *segments, size_t count)
{
    lanes_clear(l, count);
    for (uint32_t i = 0; i < count; i++) {
        size_t lane = lanes_take(l, &segments[i].segment);
        l->next[i] = EXPORT_NONE;
        if (lane == l->count) {
            l->first[lane] = i;
            l->count++;
        } else {
            l->next[l->last[lane]] = i;
        }
        l->last[lane] = i;
    }
}

static enum err write_lane(struct writing *w, const struct ranked *segments, unsigned lane)
{
    uint32_t first = w->lanes.first[lane];
    int64_t start_ns = segments[first].segment.start_ns;
    int64_t end_ns = start_ns;
    buffer_clear(&w->runs);
    for (uint32_t i = first; i != EXPORT_NONE; i = w->lanes.next[i]) {
        put_segment(w, &segments[i].segment, end_ns);
        end_ns = segments[i].segment.end_ns;
    }
    if (w->runs.failed != ERR_OK)
        return w->runs.failed;
    write_profile(w, segments[first].segment.thread, lane, start_ns, end_ns);
    return ERR_OK;
}

static enum err write_thread(struct writing *w, const struct ranked *segments, size_t count)
{
    lanes_fill(&w->lanes, segments, count);
    for (unsigned lane = 0; lane < w->lanes.count; lane++)
        TRY(write_lane(w, segments, lane));
    return ERR_OK;
}

/* The format wants at least one profile. */
static void write_nothing(struct writing *w)
{
    json_begin_object(&w->json);
    json_key(&w->json, "type");
    json_text(&w->json, "sampled");
    json_key(&w->json, "name");
    json_text(&w->json, "no samples");
    json_key(&w->json, "unit");
    json_text(&w->json, "nanoseconds");
    json_key(&w->json, "startValue");
    json_u64(&w->json, 0);
    json_key(&w->json, "endValue");
    json_u64(&w->json, 0);
    write_runs(w);
    json_end_object(&w->json);
}

static enum err write_profiles(struct writing *w)
{
    json_key(&w->json, "profiles");
    json_begin_array(&w->json);
    for (size_t i = 0; i < w->segment_count;) {
        size_t count = thread_segments(w, i);
        TRY(write_thread(w, w->segments + i, count));
        i += count;
    }
    if (w->segment_count == 0)
        write_nothing(w);
    json_end_array(&w->json);
    json_key(&w->json, "activeProfileIndex");
    json_u64(&w->json, w->active);
    return ERR_OK;
}

static void write_frame(struct writing *w, struct export_frame f)
{
    json_begin_object(&w->json);
    json_key(&w->json, "name");
    json_string(&w->json, intern_get(&w->e->texts, f.label));
    if (f.file != 0) {
        json_key(&w->json, "file");
        json_string(&w->json, intern_get(&w->e->texts, f.file));
    }
    if (f.line != 0) {
        json_key(&w->json, "line");
        json_u64(&w->json, f.line);
    }
    if (f.column != 0) {
        json_key(&w->json, "col");
        json_u64(&w->json, f.column);
    }
    json_end_object(&w->json);
}

static void write_frames(struct writing *w)
{
    const uint32_t *frames = (const void *)w->frames.data;
    json_key(&w->json, "shared");
    json_begin_object(&w->json);
    json_key(&w->json, "frames");
    json_begin_array(&w->json);
    for (size_t i = 0; i < w->frames.len / sizeof(frames[0]); i++)
        write_frame(w, export_frame_at(w->e, frames[i]));
    json_end_array(&w->json);
    json_end_object(&w->json);
}

static enum err write_file(struct writing *w, struct arena *arena)
{
    const struct exporter *e = w->e;
    TRY(sort_segments(w, arena));
    TRY(lanes_make(w, arena));
    w->numbers = ARENA_ARRAY(arena, e->frames.count, uint32_t);
    w->path = ARENA_ARRAY(arena, e->nodes.count, uint32_t);
    if (w->numbers == NULL || w->path == NULL)
        return arena->failed;
    memset(w->numbers, 0, e->frames.count * sizeof(w->numbers[0]));
    w->has_groups = export_has_groups(e);

    json_begin_object(&w->json);
    json_key(&w->json, "$schema");
    json_text(&w->json, "https://www.speedscope.app/file-format-schema.json");
    json_key(&w->json, "exporter");
    json_text(&w->json, "hearth");
    if (e->options.name.len > 0) {
        json_key(&w->json, "name");
        json_string(&w->json, e->options.name);
    }
    TRY(write_profiles(w));
    write_frames(w);
    json_end_object(&w->json);
    return w->frames.failed != ERR_OK ? w->frames.failed : w->text.failed;
}

enum err export_write_speedscope(struct exporter *e, struct arena *arena, struct buffer *out)
{
    struct writing w = {.e = e};
    json_writer_init(&w.json, out);
    buffer_init(&w.runs, EXPORT_TABLE_MAX, e->account);
    buffer_init(&w.frames, EXPORT_TABLE_MAX, e->account);
    buffer_init(&w.text, EXPORT_TABLE_MAX, e->account);
    enum err rc = write_file(&w, arena);
    buffer_close(&w.runs);
    buffer_close(&w.frames);
    buffer_close(&w.text);
    return rc;
}
