/* prop_flamegraph.c - flame graphs against the plainest thing that could be right.
 *
 * The model keeps every profile as it was made, sample by sample with its stack written out as
 * text, and knows nothing of tries, indexes or windows that were united: for each sample it cuts
 * the time to the next one at every bound of every window and asks of each piece whether any window
 * holds it. Stores have late, repeated, replaced and overlapping chunks, idle samples, equal times,
 * reused thread ids, and links with and without threads. They lie in logs, in segments, in both.
 */
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/log.h"
#include "engine/flamechart.h"
#include "engine/flamegraph.h"
#include "engine/functions.h"
#include "engine/identity.h"
#include "engine/usage.h"
#include "tests/support/hand_profile.h"
#include "tests/support/query_store.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define PROJECT   7
#define BASE_S    1795336832.0
#define BASE_NS   INT64_C(1795336832000000000)
#define PATH_SIZE 512

/* ---- frames: what is the same is written down by hand ---- */

/* Of frames with one letter, those that come first here are shown rather than the others. */
static const struct {
    struct hand_frame frame;
    const char *identity; /* one letter a frame that is its own */
    const char *function; /* one letter a function */
} pool[] = {
    {{.function = "main", .module = "app", .abs_path = "/app.py", .line = 7}, "A", "a"},
    {{.function = "main", .module = "app", .abs_path = "/app.py"}, "A", "a"},
    {{.function = "main", .module = "app", .abs_path = "/b/app.py", .line = 5}, "A", "a"},
    {{.function = "main", .module = "app", .filename = "app.py", .line = 3}, "A", "a"},
    {{.function = "main", .module = "app", .filename = "app.py", .line = 9, .column = 4}, "A", "a"},
    {{.function = "main", .module = "app", .filename = "app.py", .line = 9}, "A", "a"},
    {{.function = "main", .module = "app", .filename = "app.py", .line = 9, .in_app = IN_APP_FALSE},
     "A",
     "a"},
    {{.function = "main", .module = "app", .filename = "other.py"}, "A", "a"},
    {{.function = "main", .module = "lib", .filename = "app.py", .line = 3}, "B", "b"},
    {{.function = "work", .module = "app", .filename = "app.py", .line = 3}, "C", "c"},
    {{.function = "work", .module = "app.py", .line = 3}, "D", "d"},
    {{.function = "work", .filename = "app.py", .line = 3}, "D", "d"},
    {{.function = "work", .filename = "zoo.py", .line = 3}, "E", "e"},
    {{.function = "poll", .package = "/lib64/libc.so", .instruction_addr = "0x10"}, "F", "f"},
    {{.function = "poll", .package = "/usr/lib/libc.so", .instruction_addr = "0x10"}, "F", "f"},
    {{.function = "poll", .package = "/usr/lib/libc.so", .instruction_addr = "0x20"}, "G", "f"},
    {{.function = "poll", .package = "/usr/lib/libd.so", .instruction_addr = "0x10"}, "H", "g"},
    {{.filename = "app.py", .line = 1}, "I", "h"},
};
#define POOL_COUNT (sizeof(pool) / sizeof(pool[0]))

static const char *const thread_ids[] = {"1", "22", "main", "3"};
static const char *const thread_names[] = {NULL, "Main", "pool"};
static const char *const environments[] = {NULL, "production", "staging"};
static const char *const releases[] = {"shop@1", "shop@2"};
static const char *const names[] = {"GET /", "POST /pay", ""};

/* ---- the model ---- */

struct model_sample {
    int64_t ns;
    unsigned thread;
    char stack[16]; /* numbers of the pool as letters from 'a', root first */
};

struct model_profile {
    bool gone; /* replaced by a later one */
    enum profile_kind kind;
    unsigned profiler;
    unsigned id;
    unsigned trace;
    const char *name;
    const char *environment;
    const char *release;
    const char *thread_id[4];
    const char *thread_name[4];
    unsigned thread_count;
    struct model_sample samples[64];
    unsigned sample_count;
    int64_t start_ns;
    int64_t end_ns;
};

struct model_link {
    unsigned profiler;
    unsigned trace;
    const char *name;
    const char *thread;
    bool is_segment;
    int64_t start_ns;
    int64_t end_ns;
};

struct model {
    struct model_profile profiles[48];
    unsigned profile_count;
    struct model_link links[24];
    unsigned link_count;
};

/* What the model answers: every path of every tree. */
struct path {
    char tree[32]; /* thread id and name, or "" */
    char text[PATH_SIZE];
    uint64_t self_ns;
    uint64_t total_ns;
    uint64_t self_samples;
    uint64_t total_samples;
};

struct paths {
    struct path list[4096];
    unsigned count;
    uint64_t idle_ns;
    uint64_t sum_ns;
    uint64_t idle_samples;
    uint64_t sum_samples;
    bool shows[POOL_COUNT]; /* frames of samples that count */
    unsigned chunks;
    unsigned profiles;
    char threads[64][32];
    unsigned thread_count;
    bool any;
    int64_t first_ns;
    int64_t last_ns;
};

/* ---- random stores ---- */

static int64_t random_moment(struct rng *rng)
{
    return BASE_NS + rng_range(rng, 0, 12) * 1000000000 +
           (rng_chance(rng, 50) ? 0 : rng_range(rng, 0, 999999999));
}

/* Sample times mostly ascend over all threads; some are equal. Chunks hold doubles: 238 ns apart.
 * Transaction profiles step back now and then, as browsers do. */
static void random_samples(struct rng *rng, struct model_profile *p, struct hand_profile *h)
{
    double when = BASE_S + (double)rng_range(rng, 0, 10000) / 1000;
    uint64_t elapsed = 0;
    uint32_t last_stack = PROFILE_NONE;
    char last_text[16] = "";

    p->sample_count = (unsigned)rng_range(rng, 1, 40);
    for (unsigned i = 0; i < p->sample_count; i++) {
        struct model_sample *s = &p->samples[i];
        s->thread = (unsigned)rng_below(rng, p->thread_count);
        if (rng_chance(rng, 80)) {
            when += (double)rng_range(rng, 1, 40000000) / 1e8;
            elapsed += rng_below(rng, 400000000);
        }
        if (elapsed > 300000000 && rng_chance(rng, 3))
            elapsed -= rng_below(rng, 300000000);
        if (last_stack == PROFILE_NONE || rng_chance(rng, 70)) {
            char leaf_first[16] = "";
            unsigned depth = rng_chance(rng, 15) ? 0 : (unsigned)rng_range(rng, 1, 7);
            for (unsigned d = 0; d < depth; d++) {
                unsigned frame = (unsigned)rng_below(rng, POOL_COUNT);
                last_text[d] = (char)('a' + frame);
                leaf_first[depth - 1 - d] = (char)(frame < 10 ? '0' + frame : 'a' + (frame - 10));
            }
            last_text[depth] = '\0';
            last_stack = hand_stack(h, leaf_first);
        }
        memcpy(s->stack, last_text, sizeof(s->stack));
        hand_sample(h, s->thread, last_stack, p->kind == PROFILE_CHUNK ? when : (double)elapsed);
        s->ns = p->kind == PROFILE_CHUNK ? (int64_t)(when * 1e9)
                                         : h->profile.timestamp_ns + (int64_t)elapsed;
    }
    p->start_ns = INT64_MAX;
    for (unsigned i = 0; i < p->sample_count; i++) {
        p->start_ns = p->samples[i].ns < p->start_ns ? p->samples[i].ns : p->start_ns;
        p->end_ns = p->samples[i].ns > p->end_ns ? p->samples[i].ns : p->end_ns;
    }
}

static void random_tags(struct rng *rng, struct model_profile *p, struct hand_profile *h)
{
    p->environment = environments[rng_below(rng, 3)];
    p->release = releases[rng_below(rng, 2)];
    h->profile.environment = hand_string(h, p->environment);
    h->profile.release = hand_string(h, p->release);
    h->profile.project_id = PROJECT;
    p->thread_count = (unsigned)rng_range(rng, 1, 4);
    unsigned first = (unsigned)rng_below(rng, 4);
    for (unsigned t = 0; t < p->thread_count; t++) {
        p->thread_id[t] = thread_ids[(first + t) % 4];
        p->thread_name[t] = thread_names[rng_below(rng, 3)];
        hand_thread(h, p->thread_id[t], p->thread_name[t]);
    }
}

static bool same_key(const struct model_profile *a, const struct model_profile *b)
{
    if (a->kind != b->kind || a->id != b->id)
        return false;
    return a->kind == PROFILE_TRANSACTION ||
           (a->profiler == b->profiler && a->start_ns == b->start_ns);
}

static void add_profile(struct rng *rng, struct model *m, struct query_store *store,
                        struct hand_profile *h)
{
    struct model_profile *p = &m->profiles[m->profile_count];

    *p = (struct model_profile){.kind = rng_chance(rng, 70) ? PROFILE_CHUNK : PROFILE_TRANSACTION};
    hand_profile_init(h, p->kind, "python");
    for (size_t i = 0; i < POOL_COUNT; i++)
        hand_frame(h, pool[i].frame);
    p->id = (unsigned)rng_below(rng, 12);
    if (p->kind == PROFILE_CHUNK) {
        p->profiler = 100 + (unsigned)rng_below(rng, 3);
        h->profile.profiler_id = query_id(p->profiler);
    } else {
        p->trace = 200 + (unsigned)rng_below(rng, 3);
        p->name = names[rng_below(rng, 3)];
        h->profile.trace_id = query_id(p->trace);
        h->profile.transaction = hand_string(h, p->name);
        h->profile.timestamp_ns = random_moment(rng);
    }
    h->profile.id = query_id(p->id);
    h->profile.received_ns = BASE_NS; /* its retention counts from there */
    random_tags(rng, p, h);
    random_samples(rng, p, h);
    query_store_add(store, &h->profile);
    for (unsigned i = 0; i < m->profile_count; i++)
        m->profiles[i].gone |= same_key(&m->profiles[i], p);
    m->profile_count++;
    if (rng_chance(rng, 20)) /* a retry of an SDK: nothing changes */
        query_store_add(store, &h->profile);
}

static void add_link(struct rng *rng, struct model *m, struct query_store *store)
{
    struct model_link *l = &m->links[m->link_count];
    int64_t start_ns = random_moment(rng);

    *l = (struct model_link){
        .profiler = rng_chance(rng, 85) ? 100 + (unsigned)rng_below(rng, 4) : 0,
        .trace = 200 + (unsigned)rng_below(rng, 3),
        .name = names[rng_below(rng, 3)],
        .thread = rng_chance(rng, 30) ? "" : thread_ids[rng_below(rng, 4)],
        .is_segment = rng_chance(rng, 60),
        .start_ns = start_ns,
        .end_ns = start_ns + rng_range(rng, -10, 3000000000),
    };
    query_store_link(store,
                     &(struct link){
                         .project_id = PROJECT,
                         .profiler_id = l->profiler ? query_id(l->profiler) : (struct uuid){{0}},
                         .trace_id = query_id(l->trace),
                         .span_id = m->link_count + 1,
                         .start_ns = l->start_ns,
                         .end_ns = l->end_ns,
                         .is_segment = l->is_segment,
                         .name = bytes_of_text(l->name),
                         .op = BYTES("http"),
                         .thread_id = bytes_of_text(l->thread),
                         .thread_name = BYTES(""),
                         .environment = BYTES("production"),
                         .release = BYTES(""),
                         .platform = BYTES("python"),
                     });
    m->link_count++;
}

/* ---- random questions ---- */

struct question {
    struct selection_request request;
    struct uuid profilers[3];
    struct uuid profiles[3];
    unsigned profiler_numbers[3];
    unsigned profile_numbers[3];
    struct bytes threads[2];
    struct bytes environments[2];
    struct bytes releases[2];
    const char *name; /* NULL: any */
    unsigned trace;   /* 0: any */
};

static void random_ids(struct rng *rng, struct question *q)
{
    struct selection_request *r = &q->request;

    if (rng_chance(rng, 40)) {
        r->profiler_ids = (struct selection_ids){q->profilers, (size_t)rng_range(rng, 1, 3)};
        for (size_t i = 0; i < r->profiler_ids.count; i++) {
            q->profiler_numbers[i] = 100 + (unsigned)rng_below(rng, 4);
            q->profilers[i] = query_id(q->profiler_numbers[i]);
        }
    }
    if (rng_chance(rng, 25)) {
        r->profile_ids = (struct selection_ids){q->profiles, (size_t)rng_range(rng, 1, 3)};
        for (size_t i = 0; i < r->profile_ids.count; i++) {
            q->profile_numbers[i] = (unsigned)rng_below(rng, 13);
            q->profiles[i] = query_id(q->profile_numbers[i]);
        }
    }
}

static void random_texts(struct rng *rng, unsigned percent, const char *const *from, size_t of,
                         struct bytes *texts, struct selection_texts *ret)
{
    if (!rng_chance(rng, percent))
        return;
    *ret = (struct selection_texts){texts, (size_t)rng_range(rng, 1, 2)};
    for (size_t i = 0; i < ret->count; i++) {
        const char *text = from[rng_below(rng, of)];
        texts[i] = bytes_of_text(text == NULL ? "" : text);
    }
}

static void random_question(struct rng *rng, const struct model *m, struct question *q)
{
    struct selection_request *r = &q->request;

    *q = (struct question){.request.project_id = PROJECT};
    random_ids(rng, q);
    int64_t a = random_moment(rng);
    int64_t b = random_moment(rng);
    if (rng_chance(rng, 40)) { /* a bound exactly on, or next to, a sample */
        const struct model_profile *p = &m->profiles[rng_below(rng, m->profile_count)];
        a = p->samples[rng_below(rng, p->sample_count)].ns + rng_range(rng, -1, 1);
    }
    r->has_start = rng_chance(rng, 70);
    r->has_end = rng_chance(rng, 70);
    r->window = (struct span_ns){a < b ? a : b, a < b ? b : a};
    random_texts(rng, 30, thread_ids, 4, q->threads, &r->threads);
    random_texts(rng, 20, environments, 3, q->environments, &r->environments);
    random_texts(rng, 20, releases, 2, q->releases, &r->releases);
    if (rng_chance(rng, 25)) {
        q->name = names[rng_below(rng, 3)];
        r->transaction = bytes_of_text(q->name);
    }
    if (rng_chance(rng, 25)) {
        q->trace = 200 + (unsigned)rng_below(rng, 4);
        r->has_trace_id = true;
        r->trace_id = query_id(q->trace);
    }
}

/* ---- the model's answer ---- */

static bool texts_accept(struct selection_texts texts, const char *text)
{
    for (size_t i = 0; i < texts.count; i++)
        if (bytes_equal(texts.texts[i], bytes_of_text(text == NULL ? "" : text)))
            return true;
    return texts.count == 0;
}

static bool numbers_have(const unsigned *numbers, size_t count, unsigned number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

static bool named(const struct question *q, const struct model_profile *p)
{
    const struct selection_request *r = &q->request;

    if (r->profiler_ids.count == 0 && r->profile_ids.count == 0)
        return true;
    return p->kind == PROFILE_CHUNK
               ? numbers_have(q->profiler_numbers, r->profiler_ids.count, p->profiler)
               : numbers_have(q->profile_numbers, r->profile_ids.count, p->id);
}

struct window {
    int64_t start_ns;
    int64_t end_ns;
};

/* All windows of one thread of a profile, overlapping as they may. */
static unsigned windows_of(const struct model *m, const struct question *q,
                           const struct model_profile *p, const char *thread,
                           struct window *windows)
{
    const struct selection_request *r = &q->request;
    struct window whole = {r->has_start ? r->window.start_ns : INT64_MIN,
                           r->has_end ? r->window.end_ns : INT64_MAX};
    unsigned count = 0;

    if (p->kind == PROFILE_TRANSACTION || (q->name == NULL && q->trace == 0)) {
        windows[0] = whole;
        return whole.start_ns < whole.end_ns;
    }
    for (unsigned i = 0; i < m->link_count; i++) {
        const struct model_link *l = &m->links[i];
        if (l->profiler != p->profiler || (q->trace != 0 && l->trace != q->trace) ||
            (q->name != NULL && (!l->is_segment || strcmp(l->name, q->name) != 0)) ||
            (thread != NULL && l->thread[0] != '\0' && strcmp(l->thread, thread) != 0))
            continue;
        if (thread == NULL && l->thread[0] != '\0' && !texts_accept(r->threads, l->thread))
            continue; /* rows are found by the windows of wanted threads */
        struct window w = {l->start_ns > whole.start_ns ? l->start_ns : whole.start_ns,
                           l->end_ns < whole.end_ns ? l->end_ns : whole.end_ns};
        if (w.start_ns < w.end_ns)
            windows[count++] = w;
    }
    return count;
}

static bool model_finds(const struct model *m, const struct question *q,
                        const struct model_profile *p)
{
    struct window windows[32];

    if (p->gone || !named(q, p) || !texts_accept(q->request.environments, p->environment) ||
        !texts_accept(q->request.releases, p->release))
        return false;
    if (p->kind == PROFILE_TRANSACTION && ((q->name != NULL && strcmp(q->name, p->name) != 0) ||
                                           (q->trace != 0 && q->trace != p->trace)))
        return false;
    unsigned count = windows_of(m, q, p, NULL, windows);
    for (unsigned i = 0; i < count; i++)
        if (p->start_ns < windows[i].end_ns && p->end_ns >= windows[i].start_ns)
            return true;
    return false;
}

static struct path *path_at(struct paths *a, const char *tree, const char *text)
{
    for (unsigned i = 0; i < a->count; i++)
        if (strcmp(a->list[i].tree, tree) == 0 && strcmp(a->list[i].text, text) == 0)
            return &a->list[i];
    cr_assert_lt(a->count, sizeof(a->list) / sizeof(a->list[0]));
    struct path *p = &a->list[a->count++];
    memset(p, 0, sizeof(*p));
    (void)snprintf(p->tree, sizeof(p->tree), "%s", tree);
    (void)snprintf(p->text, sizeof(p->text), "%s", text);
    return p;
}

static void model_count(struct paths *a, const char *tree, const char *thread, const char *stack,
                        int64_t start_ns, int64_t end_ns, bool counted)
{
    uint64_t ns = (uint64_t)(end_ns - start_ns);
    char text[PATH_SIZE] = "";
    unsigned t = 0;

    while (t < a->thread_count && strcmp(a->threads[t], thread) != 0)
        t++;
    if (t == a->thread_count)
        (void)snprintf(a->threads[a->thread_count++], sizeof(a->threads[0]), "%s", thread);
    if (!a->any || start_ns < a->first_ns)
        a->first_ns = start_ns;
    if (!a->any || end_ns > a->last_ns)
        a->last_ns = end_ns;
    a->any = true;
    a->sum_ns += ns;
    a->sum_samples += counted;
    if (stack[0] == '\0') {
        a->idle_ns += ns;
        a->idle_samples += counted;
    }
    for (size_t d = 0; stack[d] != '\0'; d++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "%s", pool[stack[d] - 'a'].identity);
        struct path *p = path_at(a, tree, text);
        a->shows[stack[d] - 'a'] = true;
        p->total_ns += ns;
        p->total_samples += counted;
        if (stack[d + 1] == '\0') {
            p->self_ns += ns;
            p->self_samples += counted;
        }
    }
}

static bool covered(const struct window *windows, unsigned count, int64_t ns)
{
    for (unsigned i = 0; i < count; i++)
        if (windows[i].start_ns <= ns && ns < windows[i].end_ns)
            return true;
    return false;
}

static int compare_ns(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;

    return (*a > *b) - (*a < *b);
}

/* [from, to) cut at every bound of every window; each piece is in or out. */
static void model_sample(struct paths *a, const char *tree, const char *thread,
                         const struct model_sample *s, int64_t to, const struct window *windows,
                         unsigned count)
{
    int64_t cuts[72] = {s->ns, to};
    size_t cut_count = 2;
    bool counted = covered(windows, count, s->ns);

    for (unsigned i = 0; i < count; i++) {
        if (windows[i].start_ns > s->ns && windows[i].start_ns < to)
            cuts[cut_count++] = windows[i].start_ns;
        if (windows[i].end_ns > s->ns && windows[i].end_ns < to)
            cuts[cut_count++] = windows[i].end_ns;
    }
    qsort(cuts, cut_count, sizeof(cuts[0]), compare_ns);
    bool first = true;
    for (size_t i = 0; i + 1 < cut_count; i++) {
        if (cuts[i] == cuts[i + 1] || !covered(windows, count, cuts[i]))
            continue;
        model_count(a, tree, thread, s->stack, cuts[i], cuts[i + 1], counted && first);
        first = false;
    }
    if (counted && first) /* no time, but a sample */
        model_count(a, tree, thread, s->stack, s->ns, s->ns, true);
}

/* Those of one thread by time, equal times as they came. */
static unsigned samples_of(const struct model_profile *p, unsigned thread,
                           const struct model_sample *ret[64])
{
    unsigned count = 0;

    for (unsigned i = 0; i < p->sample_count; i++) {
        if (p->samples[i].thread != thread)
            continue;
        unsigned at = count++;
        for (; at > 0 && ret[at - 1]->ns > p->samples[i].ns; at--)
            ret[at] = ret[at - 1];
        ret[at] = &p->samples[i];
    }
    return count;
}

static void model_answer(const struct model *m, const struct question *q, bool separate,
                         struct paths *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (unsigned n = 0; n < m->profile_count; n++) {
        const struct model_profile *p = &m->profiles[n];
        if (!model_finds(m, q, p))
            continue;
        *(p->kind == PROFILE_CHUNK ? &ret->chunks : &ret->profiles) += 1;
        for (unsigned t = 0; t < p->thread_count; t++) {
            char thread[32];
            struct window windows[32];
            (void)snprintf(thread, sizeof(thread), "%s/%s", p->thread_id[t],
                           p->thread_name[t] == NULL ? "" : p->thread_name[t]);
            if (!texts_accept(q->request.threads, p->thread_id[t]))
                continue;
            unsigned count = windows_of(m, q, p, p->thread_id[t], windows);
            const struct model_sample *own[64];
            unsigned own_count = samples_of(p, t, own);
            for (unsigned i = 0; i + 1 < own_count; i++)
                model_sample(ret, separate ? thread : "", thread, own[i], own[i + 1]->ns, windows,
                             count);
        }
    }
}

/* ---- comparing ---- */

static bool text_is(struct bytes text, const char *expected)
{
    return bytes_equal(text, bytes_of_text(expected == NULL ? "" : expected));
}

/* Which frame of the pool is shown. */
static size_t pool_number(const struct flamegraph_frame *f)
{
    for (size_t i = 0; i < POOL_COUNT; i++) {
        const struct hand_frame *h = &pool[i].frame;
        if (text_is(f->function, h->function) && text_is(f->module, h->module) &&
            text_is(f->filename, h->filename) && text_is(f->package, h->package) &&
            text_is(f->path, h->abs_path) && text_is(f->instruction_addr, h->instruction_addr) &&
            f->line == h->line && f->column == h->column &&
            f->in_app == (h->in_app != IN_APP_FALSE))
            return i;
    }
    cr_assert_fail("a frame that no profile has");
    return 0;
}

static const char *identity_letter(const struct flamegraph_frame *f)
{
    return pool[pool_number(f)].identity;
}

/* Each frame is the first of its letter that a sample has. */
static void check_shown(const struct flamegraph *g, const struct paths *want)
{
    for (size_t i = 0; i < g->frame_count; i++) {
        size_t shown = pool_number(&g->frames[i]);
        size_t first = 0;
        while (!want->shows[first] || strcmp(pool[first].identity, pool[shown].identity) != 0)
            cr_assert_lt(++first, POOL_COUNT, "no sample has it");
        cr_assert_eq(shown, first, "frame %zu of the pool is shown, expected %zu", shown, first);
    }
}

/* Breadth-first, children together and in the order of identities, totals add up. */
static void check_shape(const struct flamegraph *g, const struct flamegraph_tree *t)
{
    uint64_t roots_ns = 0;
    uint64_t roots_samples = 0;

    for (size_t i = 0; i < t->node_count; i++) {
        cr_assert_lt(t->frame[i], g->frame_count);
        if (t->parent[i] == FLAMEGRAPH_NO_PARENT) {
            roots_ns += t->total_ns[i];
            roots_samples += t->total_samples[i];
            cr_assert(i == 0 || t->parent[i - 1] == FLAMEGRAPH_NO_PARENT);
        } else {
            cr_assert_lt(t->parent[i], i);
            cr_assert(t->parent[i - 1] == FLAMEGRAPH_NO_PARENT || t->parent[i - 1] <= t->parent[i]);
        }
        if (i > 0 && t->parent[i] == t->parent[i - 1])
            cr_assert_lt(hash128_compare(g->frames[t->frame[i - 1]].identity,
                                         g->frames[t->frame[i]].identity),
                         0, "siblings in the order of identities");
    }
    cr_assert_eq(roots_ns + t->idle_ns, t->sum_ns);
    cr_assert_eq(roots_samples + t->idle_samples, t->sum_samples);
}

static size_t check_tree(const struct flamegraph *g, const struct flamegraph_tree *t, bool separate,
                         struct paths *want)
{
    char(*texts)[PATH_SIZE] = calloc(t->node_count + 1, PATH_SIZE);
    char tree[32] = "";

    if (separate)
        (void)snprintf(tree, sizeof(tree), "%.*s/%.*s", (int)t->thread_id.len, t->thread_id.data,
                       (int)t->thread_name.len, t->thread_name.data);
    check_shape(g, t);
    for (size_t i = 0; i < t->node_count; i++) {
        (void)snprintf(texts[i], PATH_SIZE, "%s%s",
                       t->parent[i] == FLAMEGRAPH_NO_PARENT ? "" : texts[t->parent[i]],
                       identity_letter(&g->frames[t->frame[i]]));
        unsigned before = want->count;
        const struct path *p = path_at(want, tree, texts[i]);
        cr_assert_eq(want->count, before, "tree '%s' has path %s, which no sample has", tree,
                     texts[i]);
        cr_assert_eq(t->self_ns[i], p->self_ns, "self_ns of %s: %lu, expected %lu", texts[i],
                     t->self_ns[i], p->self_ns);
        cr_assert_eq(t->total_ns[i], p->total_ns, "total_ns of %s", texts[i]);
        cr_assert_eq(t->self_samples[i], p->self_samples, "self_samples of %s", texts[i]);
        cr_assert_eq(t->total_samples[i], p->total_samples, "total_samples of %s", texts[i]);
    }
    free(texts);
    return t->node_count;
}

static void check_coverage(const struct coverage *c, const struct paths *want)
{
    cr_assert_eq(c->chunks_found, want->chunks);
    cr_assert_eq(c->chunks_used, want->chunks);
    cr_assert_eq(c->profiles_found, want->profiles);
    cr_assert_eq(c->profiles_used, want->profiles);
    cr_assert_eq(c->samples, want->sum_samples);
    cr_assert_eq(c->total_ns, want->sum_ns);
    cr_assert_eq(c->threads, want->thread_count);
    cr_assert_eq(c->any, want->any);
    if (want->any) {
        cr_assert_eq(c->first_ns, want->first_ns);
        cr_assert_eq(c->last_ns, want->last_ns);
    }
    cr_assert_eq(c->left_out_count, 0);
}

static void check_graph(const struct flamegraph *g, bool separate, struct paths *want)
{
    size_t nodes = 0;
    uint64_t sum_ns = 0;
    uint64_t idle_ns = 0;
    uint64_t idle_samples = 0;

    check_shown(g, want);
    for (size_t t = 0; t < g->tree_count; t++) {
        nodes += check_tree(g, &g->trees[t], separate, want);
        sum_ns += g->trees[t].sum_ns;
        idle_ns += g->trees[t].idle_ns;
        idle_samples += g->trees[t].idle_samples;
        if (t > 0) {
            const struct flamegraph_tree *a = &g->trees[t - 1];
            int order = thread_id_compare(a->thread_id, g->trees[t].thread_id);
            cr_assert(order < 0 ||
                      (order == 0 && bytes_compare(a->thread_name, g->trees[t].thread_name) < 0));
        }
    }
    cr_assert_eq(nodes, want->count, "%zu nodes, expected %u", nodes, want->count);
    cr_assert_eq(sum_ns, want->sum_ns);
    cr_assert_eq(idle_ns, want->idle_ns);
    cr_assert_eq(idle_samples, want->idle_samples);
    cr_assert_eq(g->tree_count, separate ? want->thread_count : 1);
}

/* Self and total of a function, from the model's paths: total once a path. */
static void check_functions(const struct flamegraph *g, const struct paths *want,
                            struct arena *arena)
{
    struct function_figures *list = NULL;
    size_t count = 0;

    cr_assert_eq(functions_of(g, FUNCTIONS_BY_SELF, arena, &list, &count, NULL), ERR_OK);
    for (size_t f = 0; f < count; f++) {
        uint64_t self_ns = 0;
        uint64_t total_ns = 0;
        char function = '\0';
        const char *letter = identity_letter(list[f].frame);
        for (size_t i = 0; i < POOL_COUNT; i++)
            if (strcmp(pool[i].identity, letter) == 0)
                function = pool[i].function[0];
        for (unsigned n = 0; n < want->count; n++) {
            const struct path *p = &want->list[n];
            size_t calls = 0;
            bool last = false;
            for (size_t d = 0; p->text[d] != '\0'; d++) {
                last = false;
                for (size_t i = 0; i < POOL_COUNT && !last; i++)
                    last = pool[i].identity[0] == p->text[d] && pool[i].function[0] == function;
                calls += last;
            }
            self_ns += last ? p->self_ns : 0;
            total_ns += last && calls == 1 ? p->total_ns : 0;
        }
        cr_assert_eq(list[f].self_ns, self_ns, "self of %c", function);
        cr_assert_eq(list[f].total_ns, total_ns, "total of %c", function);
        cr_assert(f == 0 || list[f - 1].self_ns >= list[f].self_ns);
    }
}

/* Buckets add up to all weight inside their bounds. */
static void check_usage(struct selection *s, const struct paths *want, struct arena *arena)
{
    struct usage_options options = {.bucket_count = 7};
    struct usage *u = NULL;
    uint64_t busy_ns = 0;
    uint64_t idle_ns = 0;
    uint64_t samples = 0;

    cr_assert_eq(usage_build(s, &options, arena, &u, NULL), ERR_OK);
    for (size_t i = 0; i < u->bucket_count; i++) {
        busy_ns += u->buckets[i].busy_ns;
        idle_ns += u->buckets[i].idle_ns;
        samples += u->buckets[i].samples;
    }
    cr_assert_eq(busy_ns, want->sum_ns - want->idle_ns);
    cr_assert_eq(idle_ns, want->idle_ns);
    cr_assert_leq(u->bucket_count, 7);
    /* samples on the very last moment of a window without end weigh nothing and have no bucket */
    cr_assert_leq(samples, want->sum_samples);
}

static struct paths want; /* large; written anew for every question */

static void ask(struct rng *rng, const struct model *m, const struct snapshot *snap)
{
    struct question q;
    struct arena arena;
    struct selection *s = NULL;
    struct flamegraph *g = NULL;
    struct errinfo info = {0};
    bool separate = rng_chance(rng, 50);
    struct flamegraph_options options = {.separate_threads = separate};

    random_question(rng, m, &q);
    model_answer(m, &q, separate, &want);
    arena_init(&arena, SIZE_MAX, NULL);
    cr_assert_eq(selection_make(snap, &q.request, &arena, &s, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(flamegraph_build(s, &options, &arena, &g, &info), ERR_OK, "%s", info.text);
    check_coverage(&s->coverage, &want);
    check_graph(g, separate, &want);
    check_functions(g, &want, &arena);
    check_usage(s, &want, &arena);
    selection_destroy(s);
    arena_close(&arena);
}

static void ask_some(struct rng *rng, const struct model *m, struct query_store *store,
                     unsigned count)
{
    struct snapshot *snap = snapshot_acquire(store->store, NULL);
    for (unsigned i = 0; i < count; i++)
        ask(rng, m, snap);
    snapshot_release(snap);
}

Test(prop_flamegraph, equals_brute_force_over_raw_samples)
{
    struct rng rng = test_rng();
    static struct model m;
    static struct hand_profile h;

    log_set_level(LOG_WARN);
    for (unsigned round = 0; round < test_scale(200); round++) {
        struct query_store store;
        query_store_open(&store);
        m.profile_count = 0;
        m.link_count = 0;
        /* now and then enough rows of a profiler that sums of 8 are stored */
        unsigned profiles = (unsigned)rng_range(&rng, 1, rng_chance(&rng, 30) ? 47 : 14);
        for (unsigned i = 0; i < profiles; i++) {
            add_profile(&rng, &m, &store, &h);
            if (rng_chance(&rng, 3))
                query_store_seal(&store);
        }
        for (unsigned i = 0, n = (unsigned)rng_below(&rng, 20); i < n; i++)
            add_link(&rng, &m, &store);
        if (rng_chance(&rng, 50))
            ask_some(&rng, &m, &store, 8);
        query_store_seal(&store);
        ask_some(&rng, &m, &store, 12);
        query_store_close(&store);
    }
}
