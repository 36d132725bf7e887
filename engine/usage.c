/* usage.c - pieces and measurements dropped into buckets of time. */
#include "engine/usage.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "engine/json_reader.h"

/* Measurement times are meant to be unix seconds; Node's profiler sends milliseconds. Seconds
 * reach this in the year 5138, milliseconds passed it in 1973. */
#define MILLISECONDS_FROM 1e11
#define TIME_MAX_NS       9e18 /* beyond int64 nothing is in any window */

enum series { SERIES_CPU, SERIES_MEMORY };

struct filling {
    struct usage *usage;
    struct selection *selection;
    const struct profile *profile;
    const bool *idle;      /* by stack of the profile */
    struct buffer scratch; /* of the JSON reader */
};

/* The bucket of a moment; moments outside have none. */
static struct usage_bucket *bucket_at(const struct usage *u, int64_t ns)
{
    if (u->bucket_count == 0 || ns < u->start_ns || ns > u->end_ns ||
        (ns == u->end_ns && !u->end_inside))
        return NULL;
    uint64_t at = ((uint64_t)ns - (uint64_t)u->start_ns) / u->bucket_ns;
    return &u->buckets[at < u->bucket_count ? at : u->bucket_count - 1];
}

/* V8 samples a waiting thread as a call of "(idle)", which is in no file. */
static bool is_waiting(const struct profile *p, uint32_t leaf)
{
    const struct profile_frame *f = &p->frames[p->frame_list[p->node_frame[leaf]]];
    struct bytes platform = profile_string(p, f->platform != 0 ? f->platform : p->platform);

    return bytes_equal(profile_string(p, f->function), BYTES("(idle)")) && f->module == 0 &&
           f->filename == 0 && f->abs_path == 0 &&
           (bytes_equal(platform, BYTES("node")) || bytes_equal(platform, BYTES("javascript")));
}

static bool *idle_stacks(const struct profile *p, struct arena *scratch)
{
    bool *idle = ARENA_ARRAY(scratch, p->stack_count, bool);

    for (size_t i = 0; idle != NULL && i < p->stack_count; i++)
        idle[i] = p->stacks[i] == PROFILE_NONE || is_waiting(p, p->stacks[i]);
    return idle;
}

static void fill_piece(struct filling *f, const struct selection_piece *piece)
{
    struct usage *u = f->usage;
    bool idle = f->idle[f->profile->sample_stack[piece->sample]];
    struct usage_bucket *b = bucket_at(u, piece->start_ns);

    if (b != NULL)
        b->samples += piece->counted;
    for (int64_t at = piece->start_ns; at < piece->end_ns;) {
        b = bucket_at(u, at);
        if (b == NULL)
            return; /* pieces start in the window, so this is its end */
        uint64_t into = ((uint64_t)at - (uint64_t)u->start_ns) % u->bucket_ns;
        uint64_t left = u->bucket_ns - into;
        uint64_t rest = (uint64_t)piece->end_ns - (uint64_t)at;
        uint64_t here = rest < left ? rest : left;
        *(idle ? &b->idle_ns : &b->busy_ns) += here;
        at = (int64_t)((uint64_t)at + here);
    }
}

static void fill_value(struct filling *f, enum series series, int64_t ns, double value)
{
    struct usage_bucket *b = bucket_at(f->usage, ns);

    if (b == NULL)
        return;
    if (series == SERIES_CPU) {
        b->cpu_count++;
        b->cpu_sum += value;
        f->usage->cpu_measured = true;
        return;
    }
    if (b->memory_count++ == 0 || value > b->memory_max)
        b->memory_max = value;
    b->memory_sum += value;
}

/* A number, or one written as text; false for anything else, which is skipped. */
static bool read_number(struct json_reader *r, double *ret)
{
    if (json_peek(r) == JSON_STRING)
        return decimal_to_double(json_read_string(r), ret);
    if (json_peek(r) == JSON_NUMBER) {
        *ret = json_read_double(r);
        return r->failed == ERR_OK;
    }
    json_skip(r);
    return false;
}

static int64_t ns_of(double seconds)
{
    double ns = seconds >= MILLISECONDS_FROM ? seconds * 1e6 : seconds * 1e9;

    return ns >= 0 && ns < TIME_MAX_NS ? (int64_t)ns : -1;
}

/* {"timestamp"|"elapsed_since_start_ns": ..., "value": ...} */
static void fill_measurement(struct filling *f, struct json_reader *r, enum series series)
{
    static const struct bytes names[] = {{(const uint8_t *)"timestamp", 9},
                                         {(const uint8_t *)"elapsed_since_start_ns", 22},
                                         {(const uint8_t *)"value", 5}};
    struct json_keys keys;
    int64_t ns = -1;
    double value = 0;
    bool known = false;
    int key;

    json_keys_init(&keys, names, 3);
    json_enter_keys(r, &keys);
    while (json_next_key(r, &keys, &key)) {
        double number;
        if (key == JSON_KEY_UNKNOWN) {
            json_skip(r);
        } else if (!read_number(r, &number)) {
            continue;
        } else if (key == 0) {
            ns = ns_of(number);
        } else if (key == 1) {
            if (number >= 0 && number < TIME_MAX_NS &&
                __builtin_add_overflow(f->profile->timestamp_ns, (int64_t)number, &ns))
                ns = -1;
        } else {
            value = number;
            known = true;
        }
    }
    if (known && ns >= 0)
        fill_value(f, series, ns, value);
}

/* {"unit": ..., "values": [...]} */
static enum err fill_series(struct filling *f, struct bytes series_text, enum series series)
{
    struct json_reader r;

    if (series_text.data == NULL)
        return ERR_OK;
    struct bytes values = json_find(series_text, "values");
    if (values.data == NULL)
        return ERR_OK;
    json_reader_init(&r, values, &f->scratch, NULL);
    if (json_take_null(&r))
        return json_end(&r);
    json_enter_array(&r);
    while (json_next_element(&r))
        fill_measurement(f, &r, series);
    return json_end(&r);
}

static enum err fill_measurements(struct filling *f)
{
    struct bytes all = json_find(f->profile->rest, "measurements");

    if (all.data == NULL)
        return ERR_OK;
    TRY(fill_series(f, json_find(all, "cpu_usage"), SERIES_CPU));
    return fill_series(f, json_find(all, "memory_footprint"), SERIES_MEMORY);
}

static enum err on_part(void *self, const struct selection_part *part, struct errinfo *info)
{
    struct filling *f = self;

    f->profile = part->profile;
    f->idle = idle_stacks(part->profile, part->scratch);
    if (f->idle == NULL)
        return err_set(info, part->scratch->failed, "usage: %s", err_text(part->scratch->failed));
    for (size_t i = 0; i < part->piece_count; i++)
        fill_piece(f, &part->pieces[i]);
    enum err rc = fill_measurements(f);
    if (rc == ERR_MALFORMED) {
        coverage_leave_out(&f->selection->coverage, "measurements", "malformed", 1);
        rc = ERR_OK;
    }
    return rc == ERR_OK ? ERR_OK : err_set(info, rc, "usage: %s", err_text(rc));
}

/* Buckets over the window; a bound that was not given is that of the rows. */
static enum err usage_layout(const struct selection *s, size_t wanted, struct arena *arena,
                             struct usage *u)
{
    const struct selection_request *q = s->request;
    int64_t start_ns = INT64_MAX;
    int64_t end_ns = INT64_MIN;

    for (size_t i = 0; i < s->row_count; i++) {
        if (s->rows[i].start_ns < start_ns)
            start_ns = s->rows[i].start_ns;
        if (s->rows[i].end_ns > end_ns)
            end_ns = s->rows[i].end_ns;
    }
    start_ns = q->has_start ? q->window.start_ns : start_ns;
    end_ns = q->has_end ? q->window.end_ns : end_ns;
    if (s->row_count == 0 && !(q->has_start && q->has_end))
        start_ns = end_ns = 0;
    *u = (struct usage){
        .start_ns = start_ns, .end_ns = end_ns, .bucket_ns = 1, .end_inside = !q->has_end};
    uint64_t length = end_ns > start_ns ? (uint64_t)end_ns - (uint64_t)start_ns : 0;
    if (length > 0) {
        u->bucket_ns = length / wanted + (length % wanted != 0);
        u->bucket_count = (size_t)(length / u->bucket_ns + (length % u->bucket_ns != 0));
    } else if (s->row_count > 0 && start_ns == end_ns && !q->has_end) {
        u->bucket_count = 1; /* all there is is one moment */
    }
    u->buckets = ARENA_ARRAY(arena, u->bucket_count, struct usage_bucket);
    if (u->buckets == NULL)
        return arena->failed;
    memset(u->buckets, 0, u->bucket_count * sizeof(*u->buckets));
    return ERR_OK;
}

enum err usage_build(struct selection *s, const struct usage_options *options, struct arena *arena,
                     struct usage **ret, struct errinfo *info)
{
    struct usage *u = ARENA_NEW(arena, struct usage);
    enum err rc = u == NULL ? arena->failed : usage_layout(s, options->bucket_count, arena, u);

    if (rc != ERR_OK)
        return err_set(info, rc, "usage: %s", err_text(rc));
    struct filling f = {.usage = u, .selection = s};
    buffer_init(&f.scratch, JSON_STRING_MAX, arena->account);
    rc = selection_visit(s, options->canceled, on_part, &f, info);
    buffer_close(&f.scratch);
    if (rc == ERR_OK)
        *ret = u;
    return rc;
}

bool usage_cpu_percent(const struct usage *u, size_t bucket, double *ret)
{
    const struct usage_bucket *b = &u->buckets[bucket];

    if (u->cpu_measured) {
        if (b->cpu_count == 0)
            return false;
        *ret = b->cpu_sum / (double)b->cpu_count;
        return true;
    }
    if (b->busy_ns == 0 && b->idle_ns == 0)
        return false;
    uint64_t start = (uint64_t)bucket * u->bucket_ns;
    uint64_t left = (uint64_t)u->end_ns - (uint64_t)u->start_ns - start;
    uint64_t length = left < u->bucket_ns ? left : u->bucket_ns;
    *ret = (double)b->busy_ns * 100 / (double)length;
    return true;
}
