#include "bench/dataset.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/json_writer.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "tests/support/rng.h"

const struct dataset_shape dataset_python = {12, 4, 101, 60, 140, 240, 14, 23};
const struct dataset_shape dataset_busy = {12, 12, 101, 60, 2000, 1500, 20, 330};
const struct dataset_shape dataset_trace = {9, 9, 101, 0.07, 13, 72, 12, 80};

/* strings: the empty one, some of the whole profile, then four a frame, then two a thread */
enum {
    TEXT_EMPTY,
    TEXT_VERSION,
    TEXT_PLATFORM,
    TEXT_ENVIRONMENT,
    TEXT_RELEASE,
    TEXT_SDK_NAME,
    TEXT_SDK_VERSION,
    TEXT_FIXED_COUNT
};
#define TEXTS_A_FRAME  4
#define TEXTS_A_THREAD 2

struct dataset {
    struct dataset_shape shape;
    uint64_t seed;
    struct arena arena; /* all below */
    struct bytes *strings;
    size_t string_count;
    struct profile_frame *frames;
    uint32_t *frame_list;
    uint32_t *node_parent;
    uint32_t *node_frame;
    size_t node_count;
    uint32_t *stacks;
    struct profile_thread *threads;
    uint32_t *current; /* stack each thread is in */
    uint64_t *sample_time;
    uint32_t *sample_thread;
    uint32_t *sample_stack;
    struct profile profile;
};

static void *take(struct dataset *d, size_t count, size_t size)
{
    void *taken = arena_array(&d->arena, count, size, 16);
    if (taken == NULL)
        bench_must(ERR_NOMEM, NULL, "dataset");
    return taken;
}

PRINTF_LIKE(2, 3) static uint32_t add_text(struct dataset *d, const char *format, ...)
{
    char text[128];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct bytes copy = arena_copy(&d->arena, bytes_of(text, (size_t)len));
    if (copy.data == NULL)
        bench_must(ERR_NOMEM, NULL, "dataset");
    d->strings[d->string_count] = copy;
    return (uint32_t)d->string_count++;
}

static void make_strings(struct dataset *d)
{
    const struct dataset_shape *s = &d->shape;
    d->strings = take(d, TEXT_FIXED_COUNT + s->frames * TEXTS_A_FRAME + s->threads * TEXTS_A_THREAD,
                      sizeof(struct bytes));
    add_text(d, "%s", "");
    add_text(d, "2");
    add_text(d, "python");
    add_text(d, "production");
    add_text(d, "shop@%u.%u.0", 4, 17);
    add_text(d, "sentry.python");
    add_text(d, "%u.%u.0", 2, 68);
}

/* Functions of modules of twelve functions each, as packages have. */
static void make_frames(struct dataset *d)
{
    unsigned count = d->shape.frames;
    d->frames = take(d, count, sizeof(*d->frames));
    d->frame_list = take(d, count, sizeof(*d->frame_list));
    for (unsigned i = 0; i < count; i++) {
        unsigned module = i / 12;
        d->frames[i] = (struct profile_frame){
            .function = add_text(d, "Handler%u.process_step_%u", module, i),
            .module = add_text(d, "shop.package%u.module%u", module / 5, module),
            .filename = add_text(d, "shop/package%u/module%u.py", module / 5, module),
            .abs_path =
                add_text(d, "/opt/shop/lib/python3.11/site-packages/shop/package%u/module%u.py",
                         module / 5, module),
            .line = 10 + i % 900,
            .in_app = module % 3 == 0 ? IN_APP_TRUE : IN_APP_FALSE,
        };
        d->frame_list[i] = i;
    }
}

/* Stacks share their lower halves: each one leaves an earlier one somewhere and goes on alone. */
static void make_stacks(struct dataset *d, struct rng *rng)
{
    const struct dataset_shape *s = &d->shape;
    size_t nodes_max = (size_t)s->stacks * s->depth + s->depth;
    d->stacks = take(d, s->stacks, sizeof(*d->stacks));
    d->node_parent = take(d, nodes_max, sizeof(*d->node_parent));
    d->node_frame = take(d, nodes_max, sizeof(*d->node_frame));
    uint32_t *depths = take(d, nodes_max, sizeof(*depths));
    for (unsigned i = 0; i < s->stacks; i++) {
        uint32_t leaf = i == 0 ? PROFILE_NONE : d->stacks[rng_below(rng, i)];
        unsigned keep = (unsigned)rng_below(rng, s->depth);
        while (leaf != PROFILE_NONE && depths[leaf] > keep)
            leaf = d->node_parent[leaf];
        unsigned depth = leaf == PROFILE_NONE ? 0 : depths[leaf];
        unsigned wanted = depth + 1 + (unsigned)rng_below(rng, s->depth);
        for (; depth < wanted; depth++) {
            uint32_t node = (uint32_t)d->node_count++;
            d->node_parent[node] = leaf;
            d->node_frame[node] = (uint32_t)rng_below(rng, s->frames);
            depths[node] = depth + 1;
            leaf = node;
        }
        d->stacks[i] = leaf;
    }
}

static void make_threads(struct dataset *d)
{
    d->threads = take(d, d->shape.threads, sizeof(*d->threads));
    d->current = take(d, d->shape.threads, sizeof(*d->current));
    for (unsigned i = 0; i < d->shape.threads; i++)
        d->threads[i] = (struct profile_thread){
            .id = add_text(d, "1406086%08u", 9479424 + i * 8392704),
            .name = add_text(d, "ThreadPoolExecutor-%u_%u", i / 4, i % 4),
            .known = 1,
        };
}

static size_t ticks_of(const struct dataset_shape *s)
{
    size_t ticks = (size_t)(s->seconds * s->hz);
    return ticks < 2 ? 2 : ticks;
}

struct dataset *dataset_create(const struct dataset_shape *shape, uint64_t seed)
{
    struct dataset *d = mem_zalloc(sizeof(*d));
    if (d == NULL)
        bench_must(ERR_NOMEM, NULL, "dataset");
    d->shape = *shape;
    d->seed = seed;
    arena_init(&d->arena, SIZE_MAX, NULL);
    struct rng rng = rng_seeded(seed);
    make_strings(d);
    make_frames(d);
    make_stacks(d, &rng);
    make_threads(d);
    size_t samples = ticks_of(shape) * shape->threads;
    d->sample_time = take(d, samples, sizeof(*d->sample_time));
    d->sample_thread = take(d, samples, sizeof(*d->sample_thread));
    d->sample_stack = take(d, samples, sizeof(*d->sample_stack));
    return d;
}

void dataset_destroy(struct dataset *d)
{
    if (d == NULL)
        return;
    arena_close(&d->arena);
    mem_free(d);
}

struct uuid dataset_profiler(uint64_t seed, uint64_t n)
{
    uint64_t key[2] = {seed, n};
    struct hash128 h = hash_bytes128(bytes_of(key, sizeof(key)), 1);
    struct uuid id;
    memcpy(id.byte, &h.lo, sizeof(h.lo));
    memcpy(id.byte + sizeof(h.lo), &h.hi, sizeof(h.hi));
    return id;
}

/* Ticks with the jitter of a sleeping scheduler; every thread that lives has a sample in each.
 * Thread t of those that end lives (t - 1) / threads of the time. */
static size_t make_samples(struct dataset *d, struct rng *rng, uint64_t n)
{
    const struct dataset_shape *s = &d->shape;
    size_t ticks = ticks_of(s);
    size_t count = 0;
    double start = DATASET_START_S + (double)n * s->seconds;
    for (unsigned t = 0; t < s->threads; t++)
        d->current[t] = (uint32_t)rng_below(rng, s->stacks);
    for (size_t tick = 0; tick < ticks; tick++) {
        double time = start + ((double)tick + rng_double(rng) * 0.2) / s->hz;
        uint64_t bits;
        memcpy(&bits, &time, sizeof(bits));
        for (unsigned t = 0; t < s->threads; t++) {
            if (t >= s->lasting && tick * s->threads > ticks * (t - 1))
                continue;
            if (rng_below(rng, 1000) < s->changes)
                d->current[t] = (uint32_t)rng_below(rng, s->stacks);
            d->sample_time[count] = bits;
            d->sample_thread[count] = t;
            d->sample_stack[count] = d->current[t];
            count++;
        }
    }
    return count;
}

struct profile *dataset_chunk(struct dataset *d, struct uuid profiler_id, uint64_t n)
{
    struct hash128 own = hash_bytes128(bytes_of(profiler_id.byte, 16), d->seed + n);
    struct rng rng = rng_seeded(own.lo);
    struct profile *p = &d->profile;
    *p = (struct profile){
        .kind = PROFILE_CHUNK,
        .organization_id = 1,
        .project_id = 1,
        .retention_days = 90,
        .received_ns =
            (DATASET_START_S + (int64_t)((double)(n + 1) * d->shape.seconds)) * 1000000000,
        .profiler_id = profiler_id,
        .id = dataset_profiler(own.hi, n),
        .version = TEXT_VERSION,
        .platform = TEXT_PLATFORM,
        .environment = TEXT_ENVIRONMENT,
        .release = TEXT_RELEASE,
        .sdk_name = TEXT_SDK_NAME,
        .sdk_version = TEXT_SDK_VERSION,
        .rest = BYTES("{}"),
        .strings = d->strings,
        .string_count = d->string_count,
        .frames = d->frames,
        .frame_count = d->shape.frames,
        .frame_list = d->frame_list,
        .frame_list_count = d->shape.frames,
        .node_parent = d->node_parent,
        .node_frame = d->node_frame,
        .node_count = d->node_count,
        .stacks = d->stacks,
        .stack_count = d->shape.stacks,
        .threads = d->threads,
        .thread_count = d->shape.threads,
        .sample_time = d->sample_time,
        .sample_thread = d->sample_thread,
        .sample_stack = d->sample_stack,
    };
    p->sample_count = make_samples(d, &rng, n);
    return p;
}

/* ---- as JSON ---- */

static struct bytes text_of(const struct profile *p, uint32_t id)
{
    return p->strings[id];
}

static void write_frames(struct json_writer *w, const struct profile *p)
{
    json_key(w, "frames");
    json_begin_array(w);
    for (size_t i = 0; i < p->frame_list_count; i++) {
        const struct profile_frame *f = &p->frames[p->frame_list[i]];
        json_begin_object(w);
        json_key(w, "abs_path");
        json_string(w, text_of(p, f->abs_path));
        json_key(w, "module");
        json_string(w, text_of(p, f->module));
        json_key(w, "filename");
        json_string(w, text_of(p, f->filename));
        json_key(w, "function");
        json_string(w, text_of(p, f->function));
        json_key(w, "lineno");
        json_u64(w, f->line);
        json_key(w, "in_app");
        json_bool(w, f->in_app == IN_APP_TRUE);
        json_end_object(w);
    }
    json_end_array(w);
}

/* In documents the innermost frame comes first: from the leaf up. */
static void write_stacks(struct json_writer *w, const struct profile *p)
{
    json_key(w, "stacks");
    json_begin_array(w);
    for (size_t i = 0; i < p->stack_count; i++) {
        json_begin_array(w);
        for (uint32_t node = p->stacks[i]; node != PROFILE_NONE; node = p->node_parent[node])
            json_u64(w, p->node_frame[node]);
        json_end_array(w);
    }
    json_end_array(w);
}

static void write_samples(struct json_writer *w, const struct profile *p)
{
    json_key(w, "samples");
    json_begin_array(w);
    for (size_t i = 0; i < p->sample_count; i++) {
        double time;
        memcpy(&time, &p->sample_time[i], sizeof(time));
        json_begin_object(w);
        json_key(w, "timestamp");
        json_double(w, time);
        json_key(w, "thread_id");
        json_string(w, text_of(p, p->threads[p->sample_thread[i]].id));
        json_key(w, "stack_id");
        json_u64(w, p->sample_stack[i]);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_threads(struct json_writer *w, const struct profile *p)
{
    json_key(w, "thread_metadata");
    json_begin_object(w);
    for (size_t i = 0; i < p->thread_count; i++) {
        json_key_bytes(w, text_of(p, p->threads[i].id));
        json_begin_object(w);
        json_key(w, "name");
        json_string(w, text_of(p, p->threads[i].name));
        json_end_object(w);
    }
    json_end_object(w);
}

static void write_head(struct json_writer *w, const struct profile *p)
{
    json_key(w, "chunk_id");
    json_uuid(w, p->id);
    json_key(w, "profiler_id");
    json_uuid(w, p->profiler_id);
    json_key(w, "version");
    json_text(w, "2");
    json_key(w, "platform");
    json_string(w, text_of(p, p->platform));
    json_key(w, "environment");
    json_string(w, text_of(p, p->environment));
    json_key(w, "release");
    json_string(w, text_of(p, p->release));
    json_key(w, "client_sdk");
    json_begin_object(w);
    json_key(w, "name");
    json_string(w, text_of(p, p->sdk_name));
    json_key(w, "version");
    json_string(w, text_of(p, p->sdk_version));
    json_end_object(w);
}

void dataset_write_json(const struct profile *p, struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    write_head(&w, p);
    json_key(&w, "profile");
    json_begin_object(&w);
    write_frames(&w, p);
    write_stacks(&w, p);
    write_samples(&w, p);
    write_threads(&w, p);
    json_end_object(&w);
    json_end_object(&w);
    bench_must(out->failed, NULL, "dataset: json");
}

void dataset_write_envelope(const struct profile *p, struct buffer *out)
{
    struct buffer json;
    buffer_init(&json, SIZE_MAX, NULL);
    dataset_write_json(p, &json);
    buffer_printf(out, "{}\n{\"type\":\"profile_chunk\",\"platform\":\"python\",\"length\":%zu}\n",
                  json.len);
    buffer_put(out, buffer_bytes(&json));
    buffer_put_u8(out, '\n');
    buffer_close(&json);
    bench_must(out->failed, NULL, "dataset: envelope");
}
