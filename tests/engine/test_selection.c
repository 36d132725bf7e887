#include <stdio.h>

#include <criterion/criterion.h>
#include <dirent.h>

#include "base/limits.h"
#include "engine/selection.h"
#include "tests/support/hand_profile.h"
#include "tests/support/query_store.h"

/* Halves of seconds are exact as doubles and as nanoseconds made of them; quarters are not. */
#define T0    1795336832.0
#define T0_NS INT64_C(1795336832000000000)
#define S     INT64_C(1000000000)

/* Threads "1" and "2", ticks of half a second from `start`: stacks alternate A, B on both threads. */
static void add_chunk(struct query_store *q, uint32_t profiler, uint32_t chunk, double start,
                      unsigned ticks)
{
    static struct hand_profile h;

    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.profiler_id = query_id(profiler);
    h.profile.id = query_id(chunk);
    h.profile.environment = hand_string(&h, "production");
    hand_frame(&h, (struct hand_frame){.function = "a"});
    hand_frame(&h, (struct hand_frame){.function = "b"});
    uint32_t stacks[2] = {hand_stack(&h, "0"), hand_stack(&h, "10")};
    uint32_t threads[2] = {hand_thread(&h, "1", "main"), hand_thread(&h, "2", NULL)};
    for (unsigned i = 0; i < ticks; i++)
        for (int t = 0; t < 2; t++)
            hand_sample(&h, threads[t], stacks[i % 2], start + 0.5 * i);
    query_store_add(q, &h.profile);
}

static void add_link(struct query_store *q, uint32_t profiler, uint32_t trace, uint64_t span,
                     const char *thread, int64_t start_ns, int64_t end_ns)
{
    query_store_link(q, &(struct link){.project_id = 2,
                                       .profiler_id = query_id(profiler),
                                       .trace_id = query_id(trace),
                                       .span_id = span,
                                       .start_ns = start_ns,
                                       .end_ns = end_ns,
                                       .is_segment = true,
                                       .name = BYTES("GET /"),
                                       .op = BYTES(""),
                                       .thread_id = bytes_of_text(thread),
                                       .thread_name = BYTES(""),
                                       .environment = BYTES(""),
                                       .release = BYTES(""),
                                       .platform = BYTES("")});
}

struct seen {
    uint64_t ns[2]; /* by thread "1", "2" */
    uint64_t samples[2];
    unsigned parts;
};

static enum err see(void *self, const struct selection_part *part, struct errinfo *info)
{
    struct seen *s = self;

    (void)info;
    s->parts++;
    for (size_t i = 0; i < part->piece_count; i++) {
        const struct selection_piece *piece = &part->pieces[i];
        uint32_t thread = part->profile->sample_thread[piece->sample];
        struct bytes id = profile_string(part->profile, part->profile->threads[thread].id);
        size_t t = bytes_equal(id, BYTES("2"));
        s->ns[t] += (uint64_t)(piece->end_ns - piece->start_ns);
        s->samples[t] += piece->counted;
    }
    return ERR_OK;
}

static struct seen ask(struct query_store *q, const struct selection_request *request,
                       struct coverage *ret)
{
    struct seen seen = {0};
    struct selection *s = NULL;
    struct errinfo info = {0};
    struct snapshot *snap = snapshot_acquire(q->store, NULL);

    cr_assert_eq(selection_make(snap, request, &q->arena, &s, &info), ERR_OK, "%s", info.text);
    for (int twice = 0; twice < 2; twice++) { /* a second visit starts over */
        seen = (struct seen){0};
        cr_assert_eq(selection_visit(s, NULL, see, &seen, &info), ERR_OK, "%s", info.text);
    }
    if (ret != NULL)
        *ret = s->coverage;
    selection_destroy(s);
    snapshot_release(snap);
    return seen;
}

Test(selection, windows_cut_samples_to_the_nanosecond)
{
    static const struct {
        int64_t start;
        int64_t end;
        uint64_t ns; /* of each thread */
        uint64_t samples;
    } cases[] = {
        /* ticks at 0, .5, 1, 1.5, 2: four weights of half a second */
        {0, 3 * S, 2 * S, 4},
        {0, 2 * S, 2 * S, 4},
        {0, 2 * S - 1, 2 * S - 1, 4},
        {1, 2 * S, 2 * S - 1, 3},     /* the first sample's time is outside */
        {S / 2, S, S / 2, 1},         /* exactly one sample */
        {S / 2 + 1, S, S / 2 - 1, 0}, /* a part of one, not its time */
        {S / 2 + 7, S / 2 + 8, 1, 0}, /* one nanosecond between two samples */
        {S / 2, S / 2 + 1, 1, 1},     /* one nanosecond and the sample's time */
        {S / 2 - 1, S / 2, 1, 0},     /* one nanosecond of the sample before */
        {2 * S, 3 * S, 0, 0},         /* the last sample only closes */
        {2 * S + 1, 3 * S, 0, 0},     /* after */
        {-S, 0, 0, 0},                /* before: the end is outside */
        {S, S, 0, 0},                 /* nothing fits */
    };
    struct query_store q;

    query_store_open(&q);
    add_chunk(&q, 1, 1, T0, 5);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct selection_request request = {
            .project_id = 2,
            .has_start = true,
            .has_end = true,
            .window = {T0_NS + cases[i].start, T0_NS + cases[i].end},
        };
        struct seen seen = ask(&q, &request, NULL);
        for (int t = 0; t < 2; t++) {
            cr_assert_eq(seen.ns[t], cases[i].ns, "case %zu thread %d: %lu ns", i, t, seen.ns[t]);
            cr_assert_eq(seen.samples[t], cases[i].samples, "case %zu thread %d: %lu samples", i, t,
                         seen.samples[t]);
        }
    }
    query_store_close(&q);
}

/* The rate is that of the samples that a window cuts, however little of them it keeps. */
Test(selection, the_rate_does_not_depend_on_where_windows_cut)
{
    static const struct span_ns windows[] = {{0, 4 * S},
                                             {S / 2 - 1, S / 2 + 1},
                                             {S / 2 + 7, S / 2 + 8},
                                             {1, 2 * S - 1},
                                             {INT64_MIN / 2, INT64_MAX / 2}};
    struct query_store q;
    struct coverage c;

    query_store_open(&q);
    add_chunk(&q, 1, 1, T0, 5);
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        struct selection_request request = {
            .project_id = 2,
            .has_start = true,
            .has_end = true,
            .window = {T0_NS + windows[i].start_ns, T0_NS + windows[i].end_ns},
        };
        (void)ask(&q, &request, &c);
        cr_assert_float_eq(c.effective_hz, 2.0, 1e-9, "case %zu: %g", i, c.effective_hz);
    }
    query_store_close(&q);
}

Test(selection, a_trace_leads_through_links_and_overlaps_count_once)
{
    struct query_store q;
    struct coverage c;

    query_store_open(&q);
    for (uint32_t i = 0; i < 4; i++) {
        add_chunk(&q, 1, 10 + i, T0 + 3 * i, 5); /* 0..2, 3..5, 6..8, 9..11 */
        add_chunk(&q, 2, 20 + i, T0 + 3 * i, 5);
    }
    /* thread 1: two windows that overlap are [0.1, 1.1); the second adds nothing twice */
    add_link(&q, 1, 77, 1, "1", T0_NS + S / 10, T0_NS + S);
    add_link(&q, 1, 77, 2, "1", T0_NS + S / 2, T0_NS + 11 * S / 10);
    /* all threads of the second chunk for a second, inside a window of thread 2 */
    add_link(&q, 1, 77, 3, "", T0_NS + 3 * S, T0_NS + 4 * S);
    add_link(&q, 1, 77, 4, "2", T0_NS + 3 * S, T0_NS + 5 * S);
    /* the other profiler, where no chunk is; and other traces */
    add_link(&q, 2, 77, 5, "1", T0_NS + 100 * S, T0_NS + 101 * S);
    add_link(&q, 2, 78, 6, "1", T0_NS, T0_NS + 10 * S);

    struct selection_request request = {
        .project_id = 2, .has_trace_id = true, .trace_id = query_id(77)};
    struct seen seen = ask(&q, &request, &c);
    cr_assert_eq(seen.parts, 2);
    cr_assert_eq(seen.ns[0], S + S);
    cr_assert_eq(seen.samples[0], 2 + 2); /* .5 1; 3 3.5 */
    cr_assert_eq(seen.ns[1], 2 * S);
    cr_assert_eq(seen.samples[1], 4);
    cr_assert_eq(c.chunks_found, 2);
    cr_assert_eq(c.threads, 2);
    cr_assert_eq(c.gap_count, 1, "the window that no chunk covers");
    cr_assert_eq(c.gaps[0].start_ns, T0_NS + 100 * S);
    cr_assert_eq(c.gaps[0].end_ns, T0_NS + 101 * S);

    struct bytes two = BYTES("2");
    request.threads = (struct selection_texts){&two, 1};
    seen = ask(&q, &request, &c);
    cr_assert_eq(seen.parts, 1, "links of other threads lead nowhere");
    cr_assert_eq(seen.ns[0], 0);
    cr_assert_eq(seen.ns[1], 2 * S);
    query_store_close(&q);
}

Test(selection, gaps_are_what_no_chunk_covers)
{
    struct query_store q;
    struct coverage c;

    query_store_open(&q);
    add_chunk(&q, 1, 1, T0 + 1, 5); /* up to 3 */
    add_chunk(&q, 1, 2, T0 + 5, 5); /* up to 7 */
    add_chunk(&q, 2, 3, T0 + 2, 5); /* up to 4 */
    struct selection_request request = {.project_id = 2};
    (void)ask(&q, &request, &c);
    cr_assert_eq(c.gap_count, 1);
    cr_assert_eq(c.gaps[0].start_ns, T0_NS + 4 * S);
    cr_assert_eq(c.gaps[0].end_ns, T0_NS + 5 * S);
    cr_assert_eq(c.first_ns, T0_NS + S);
    cr_assert_eq(c.last_ns, T0_NS + 7 * S);
    cr_assert_eq(c.samples, 3 * 2 * 4);
    cr_assert_float_eq(c.effective_hz, 2.0, 1e-9);

    request.has_start = request.has_end = true;
    request.window = (struct span_ns){T0_NS, T0_NS + 9 * S};
    (void)ask(&q, &request, &c);
    cr_assert_eq(c.gap_count, 3);
    cr_assert_eq(c.gaps[0].start_ns, T0_NS);
    cr_assert_eq(c.gaps[2].end_ns, T0_NS + 9 * S);

    request.project_id = 3; /* nothing there: the whole window is missing */
    (void)ask(&q, &request, &c);
    cr_assert_eq(c.chunks_found, 0);
    cr_assert_eq(c.gap_count, 1);
    cr_assert_not(c.any);
    query_store_close(&q);
}

/* Links of one trace to a profiler that sent no chunk: each is a gap. */
Test(selection, of_too_many_gaps_the_longest_are_listed)
{
    struct query_store q;
    struct coverage c;
    struct selection_request request = {
        .project_id = 2, .has_trace_id = true, .trace_id = query_id(77)};

    query_store_open(&q);
    for (uint32_t i = 0; i < GAP_COUNT_MAX; i++)
        add_link(&q, 1, 77, i + 1, "1", T0_NS + 3 * S * i, T0_NS + 3 * S * i + S);
    (void)ask(&q, &request, &c);
    cr_assert_eq(c.gap_count, GAP_COUNT_MAX);
    cr_assert_eq(c.left_out_count, 0);

    int64_t late_ns = T0_NS + 3 * S * GAP_COUNT_MAX;
    add_link(&q, 1, 77, GAP_COUNT_MAX + 1, "1", late_ns, late_ns + 2 * S);
    add_link(&q, 1, 77, GAP_COUNT_MAX + 2, "1", late_ns + 3 * S, late_ns + 4 * S);
    (void)ask(&q, &request, &c);
    cr_assert_eq(c.gap_count, GAP_COUNT_MAX);
    cr_assert_eq(c.gaps[0].start_ns, T0_NS);
    cr_assert_eq(c.gaps[GAP_COUNT_MAX - 1].start_ns, late_ns, "the longest one, at its place");
    cr_assert_eq(c.left_out_count, 1);
    cr_assert_str_eq(c.left_out[0].what, "gaps");
    cr_assert_str_eq(c.left_out[0].reason, "limit");
    cr_assert_eq(c.left_out[0].count, 2);
    query_store_close(&q);
}

/* Whatever does not fit any more, sorting the gaps included, is an error and no shorter list. */
Test(selection, gaps_are_whole_or_there_is_an_error)
{
    struct query_store q;
    struct selection_request request = {
        .project_id = 2, .has_trace_id = true, .trace_id = query_id(77)};
    unsigned refused = 0;
    unsigned answered = 0;

    query_store_open(&q);
    add_link(&q, 1, 77, 1, "1", T0_NS + 10 * S, T0_NS + 11 * S); /* out of order: by profiler */
    add_link(&q, 2, 77, 2, "1", T0_NS, T0_NS + S);
    struct snapshot *snap = snapshot_acquire(q.store, NULL);
    for (size_t max = 0; max < 20000; max += 8) {
        struct mem_account account;
        struct arena arena;
        struct selection *s = NULL;
        struct seen seen = {0};
        struct errinfo info = {0};
        mem_account_init(&account, NULL, max);
        arena_init(&arena, SIZE_MAX, &account);
        enum err rc = selection_make(snap, &request, &arena, &s, &info);
        if (rc == ERR_OK)
            rc = selection_visit(s, NULL, see, &seen, &info);
        if (rc == ERR_OK) {
            cr_assert_eq(s->coverage.gap_count, 2, "with %zu bytes", max);
            answered++;
        } else {
            cr_assert_eq(rc, ERR_LIMIT, "%s", info.text);
            refused++;
        }
        selection_destroy(s);
        arena_close(&arena);
    }
    cr_assert_gt(refused, 0);
    cr_assert_gt(answered, 0);
    snapshot_release(snap);
    query_store_close(&q);
}

/* Flip a bit near the end of every log of the folder, where the last block is; how many were changed. */
static unsigned damage_logs(const char *dir)
{
    unsigned damaged = 0;
    DIR *d = opendir(dir);

    cr_assert_not_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[600];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        FILE *f = strstr(e->d_name, "log") != NULL ? fopen(path, "r+b") : NULL;
        if (f == NULL)
            continue;
        (void)fseek(f, 0, SEEK_END);
        long at = ftell(f) - 8;
        (void)fseek(f, at, SEEK_SET);
        int byte = fgetc(f);
        (void)fseek(f, at, SEEK_SET);
        if (byte != EOF && fputc(byte ^ 0x10, f) != EOF)
            damaged++;
        (void)fclose(f);
    }
    (void)closedir(d);
    return damaged;
}

Test(selection, damaged_blocks_are_left_out_and_said_so)
{
    struct query_store q;
    struct coverage c;
    struct selection_request request = {.project_id = 2};

    query_store_open(&q);
    for (uint32_t i = 0; i < 5; i++)
        add_chunk(&q, 1, i, T0 + 3 * i, 5);
    struct seen whole = ask(&q, &request, &c);
    cr_assert_eq(c.chunks_used, 5);
    cr_assert_eq(c.left_out_count, 0);
    cr_assert_gt(damage_logs(q.dir.path), 0, "no log to damage in %s", q.dir.path);
    struct seen seen = ask(&q, &request, &c);
    cr_assert_eq(c.chunks_found, 5);
    cr_assert_eq(c.chunks_used, 4);
    cr_assert_eq(c.left_out_count, 1);
    cr_assert_str_eq(c.left_out[0].what, "chunks");
    cr_assert_str_eq(c.left_out[0].reason, "unreadable");
    cr_assert_eq(c.left_out[0].count, 1);
    cr_assert_eq(seen.ns[0], whole.ns[0] / 5 * 4);
    cr_assert_eq(c.gap_count, 4);
    cr_assert_eq(c.gaps[3].end_ns, T0_NS + 14 * S, "what it covered is a gap now");
    query_store_close(&q);
}

static const struct left_out *left_out_of(const struct coverage *c, const char *what)
{
    for (size_t i = 0; i < c->left_out_count; i++)
        if (strcmp(c->left_out[i].what, what) == 0)
            return &c->left_out[i];
    cr_assert_fail("no %s are left out", what);
    return NULL;
}

Test(selection, rows_of_which_nothing_is_known_are_found_and_left_out)
{
    struct query_store q;
    struct selection *s = NULL;
    struct seen seen = {0};
    struct errinfo info = {0};
    struct selection_request request = {.project_id = 2};

    query_store_open(&q);
    add_chunk(&q, 1, 1, T0, 5);
    struct snapshot *snap = snapshot_acquire(q.store, NULL);
    cr_assert_eq(selection_make(snap, &request, &q.arena, &s, &info), ERR_OK);
    s->chunks_unreadable = 2; /* as if making it had met them */
    s->coverage.chunks_found += 2;
    s->profiles_unreadable = 1;
    s->coverage.profiles_found++;
    for (int survey = 0; survey < 2; survey++) {
        const struct coverage *c = &s->coverage;
        if (survey)
            cr_assert_eq(selection_survey(s, &info), ERR_OK);
        else
            cr_assert_eq(selection_visit(s, NULL, see, &seen, &info), ERR_OK);
        cr_assert_eq(c->chunks_found, 3);
        cr_assert_eq(c->chunks_used, 1);
        cr_assert_eq(c->profiles_found, 1);
        cr_assert_eq(c->profiles_used, 0);
        cr_assert_eq(c->left_out_count, 2);
        cr_assert_eq(left_out_of(c, "chunks")->count, 2);
        cr_assert_str_eq(left_out_of(c, "chunks")->reason, "unreadable");
        cr_assert_eq(left_out_of(c, "profiles")->count, 1);
    }
    selection_destroy(s);
    snapshot_release(snap);
    query_store_close(&q);
}

Test(selection, ends_when_canceled_or_out_of_memory)
{
    struct query_store q;
    struct selection *s = NULL;
    struct seen seen = {0};
    struct errinfo info = {0};
    atomic_bool canceled = true;
    struct selection_request request = {.project_id = 2};
    struct mem_account account;
    struct arena small;

    query_store_open(&q);
    add_chunk(&q, 1, 1, T0, 120);
    struct snapshot *snap = snapshot_acquire(q.store, NULL);
    cr_assert_eq(selection_make(snap, &request, &q.arena, &s, &info), ERR_OK);
    cr_assert_eq(selection_visit(s, &canceled, see, &seen, &info), ERR_CANCELED);
    cr_assert_eq(seen.parts, 0);
    selection_destroy(s);

    mem_account_init(&account, NULL, 10000); /* room for the rows, not for the block */
    arena_init(&small, SIZE_MAX, &account);
    cr_assert_eq(selection_make(snap, &request, &small, &s, &info), ERR_OK, "%s", info.text);
    enum err rc = selection_visit(s, NULL, see, &seen, &info);
    cr_assert_eq(rc, ERR_LIMIT, "%s: %s", err_text(rc), info.text);
    cr_assert_neq(info.text[0], '\0');
    selection_destroy(s);
    arena_close(&small);
    cr_assert_eq(account.held, 0);
    snapshot_release(snap);
    query_store_close(&q);
}
