#include <criterion/criterion.h>

#include "storage/profile_equal.h"
#include "tests/support/random_profile.h"
#include "tests/support/scale.h"

static struct arena arena;

static const char *difference(const struct profile *a, const struct profile *b)
{
    struct arena scratch;
    const char *found = "nothing was said";
    arena_init(&scratch, 16 << 20, NULL);
    cr_assert_eq(profile_equal(a, b, &scratch, &found), ERR_OK);
    arena_close(&scratch);
    return found;
}

static uint32_t *copy(const uint32_t *from, size_t count)
{
    uint32_t *to = ARENA_ARRAY(&arena, count, uint32_t);
    if (count > 0)
        memcpy(to, from, count * sizeof *to);
    return to;
}

/* Where each of `count` numbers goes; number 0 stays when `keep_first`. */
static uint32_t *permutation(struct rng *rng, size_t count, bool keep_first)
{
    uint32_t *place = ARENA_ARRAY(&arena, count, uint32_t);
    for (size_t i = 0; i < count; i++)
        place[i] = (uint32_t)i;
    for (size_t i = count; i > 1u + keep_first; i--) {
        size_t other = keep_first + (size_t)rng_below(rng, i - keep_first);
        uint32_t swap = place[i - 1];
        place[i - 1] = place[other];
        place[other] = swap;
    }
    return place;
}

static void renumber_texts(struct rng *rng, struct profile *p)
{
    uint32_t *place = permutation(rng, p->string_count, true);
    struct bytes *strings = ARENA_ARRAY(&arena, p->string_count, struct bytes);
    struct profile_frame *frames = ARENA_ARRAY(&arena, p->frame_count, struct profile_frame);
    struct profile_thread *threads = ARENA_ARRAY(&arena, p->thread_count, struct profile_thread);
    uint32_t *queue = p->sample_queue == NULL ? NULL : copy(p->sample_queue, p->sample_count);
    uint32_t *head[] = {&p->version,        &p->platform,    &p->environment,  &p->release,
                        &p->dist,           &p->sdk_name,    &p->sdk_version,  &p->segment_id,
                        &p->timestamp_text, &p->transaction, &p->active_thread};
    for (size_t i = 0; i < p->string_count; i++)
        strings[place[i]] = p->strings[i];
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        *head[i] = place[*head[i]];
    for (size_t i = 0; i < p->frame_count; i++) {
        frames[i] = p->frames[i];
        for (size_t k = 0; k < 8; k++)
            ((uint32_t *)&frames[i])[k] = place[((uint32_t *)&frames[i])[k]];
    }
    for (size_t i = 0; i < p->thread_count; i++) {
        threads[i] = p->threads[i];
        threads[i].id = place[threads[i].id];
        threads[i].name = place[threads[i].name];
    }
    for (size_t i = 0; i < p->sample_count && queue != NULL; i++)
        queue[i] = place[queue[i]];
    p->strings = strings;
    p->frames = frames;
    p->threads = threads;
    p->sample_queue = queue;
}

static void renumber_frames(struct rng *rng, struct profile *p)
{
    uint32_t *place = permutation(rng, p->frame_count, false);
    struct profile_frame *frames = ARENA_ARRAY(&arena, p->frame_count, struct profile_frame);
    uint32_t *list = copy(p->frame_list, p->frame_list_count);
    for (size_t i = 0; i < p->frame_count; i++)
        frames[place[i]] = p->frames[i];
    for (size_t i = 0; i < p->frame_list_count; i++)
        list[i] = place[list[i]];
    p->frames = frames;
    p->frame_list = list;
}

/* Another node in front, which no stack uses. */
static void renumber_nodes(struct profile *p)
{
    size_t count = p->node_count + 1;
    uint32_t *parent = ARENA_ARRAY(&arena, count, uint32_t);
    uint32_t *frame = ARENA_ARRAY(&arena, count, uint32_t);
    uint32_t *stacks = copy(p->stacks, p->stack_count);
    parent[0] = PROFILE_NONE;
    frame[0] = 0;
    for (size_t i = 1; i < count; i++) {
        parent[i] =
            p->node_parent[i - 1] == PROFILE_NONE ? PROFILE_NONE : p->node_parent[i - 1] + 1;
        frame[i] = p->node_frame[i - 1];
    }
    for (size_t i = 0; i < p->stack_count; i++)
        stacks[i] += stacks[i] != PROFILE_NONE;
    p->node_parent = parent;
    p->node_frame = frame;
    p->node_count = count;
    p->stacks = stacks;
}

Test(profile_equal, other_numbers_make_no_other_document)
{
    struct rng rng = test_rng();
    for (unsigned round = 0; round < test_scale(300); round++) {
        struct profile p;
        arena_init(&arena, 16 << 20, NULL);
        random_profile(&rng, &arena, 40, &p);
        struct profile other = p;
        renumber_texts(&rng, &other);
        renumber_frames(&rng, &other);
        renumber_nodes(&other);
        cr_assert_null(difference(&p, &other), "round %u: %s", round, difference(&p, &other));
        cr_assert_null(difference(&other, &p));
        arena_close(&arena);
    }
    cr_assert_eq(mem_outstanding(), 0);
}

/* A place in a copied list, changed; the list is given. */
static uint32_t *spoil(struct rng *rng, const uint32_t *list, size_t count, uint32_t by)
{
    uint32_t *spoiled = copy(list, count);
    spoiled[rng_below(rng, count)] += by;
    return spoiled;
}

static void build(struct rng *rng, struct profile *p)
{
    do
        random_sound_profile(rng, &arena, 30, p);
    while (p->sample_count < 2 || p->kind != PROFILE_TRANSACTION || p->sample_queue == NULL ||
           p->sample_idle == NULL || p->rest.len == 0);
}

Test(profile_equal, every_difference_is_seen)
{
    struct rng rng = test_rng();
    struct profile p;
    arena_init(&arena, 64 << 20, NULL);
    build(&rng, &p);
    struct bytes *strings = ARENA_ARRAY(&arena, p.string_count + 1, struct bytes);
    memcpy(strings, p.strings, p.string_count * sizeof *strings);
    strings[p.string_count] = BYTES("something else");
    p.strings = strings;
    uint32_t other = (uint32_t)p.string_count++;
    cr_assert_null(difference(&p, &p));
    for (unsigned which = 0;; which++) {
        struct profile q = p;
        struct profile_frame *frames = ARENA_ARRAY(&arena, p.frame_count, struct profile_frame);
        struct profile_thread *threads = ARENA_ARRAY(&arena, p.thread_count, struct profile_thread);
        uint64_t *times = ARENA_ARRAY(&arena, p.sample_count, uint64_t);
        uint8_t *idle = ARENA_ARRAY(&arena, p.sample_count, uint8_t);
        memcpy(frames, p.frames, p.frame_count * sizeof *frames);
        memcpy(threads, p.threads, p.thread_count * sizeof *threads);
        memcpy(times, p.sample_time, p.sample_count * sizeof *times);
        memcpy(idle, p.sample_idle, p.sample_count);
        uint32_t listed = p.frame_list[rng_below(&rng, p.frame_list_count)];
        uint32_t thread = (uint32_t)rng_below(&rng, p.thread_count);
        switch (which) {
        case 0: q.kind = PROFILE_CHUNK; break;
        case 1: q.flags ^= PROFILE_STACKS_NULL; break;
        case 2: q.organization_id++; break;
        case 3: q.project_id++; break;
        case 4: q.retention_days++; break;
        case 5: q.received_ns++; break;
        case 6: q.profiler_id.byte[3]++; break;
        case 7: q.id.byte[15]++; break;
        case 8: q.version = other; break;
        case 9: q.platform = other; break;
        case 10: q.environment = other; break;
        case 11: q.release = other; break;
        case 12: q.dist = other; break;
        case 13: q.sdk_name = other; break;
        case 14: q.sdk_version = other; break;
        case 15: q.timestamp_ns++; break;
        case 16: q.timestamp_text = other; break;
        case 17: q.transaction = other; break;
        case 18: q.active_thread = other; break;
        case 19: q.segment_id = other; break;
        case 20: q.transaction_id.byte[0]++; break;
        case 21: q.trace_id.byte[0]++; break;
        case 22: q.rest.len--; break;
        case 23:
        case 24:
        case 25:
        case 26:
        case 27:
        case 28:
        case 29:
        case 30:
        case 31:
        case 32:
        case 33: { /* any field; the last ones are numbers, which may be `other` already */
            uint32_t *field = (uint32_t *)&frames[listed] + (which - 23);
            *field = *field == other ? other - 1 : other;
            break;
        }
        case 34: q.frame_list_count--; break;
        case 35: q.stack_count--; break;
        case 36: threads[thread].id = other; break;
        case 37: threads[thread].name = other; break;
        case 38: threads[thread].priority++; break;
        case 39: threads[thread].known ^= 1; break;
        case 40: q.thread_count--; break;
        case 41: times[rng_below(&rng, p.sample_count)]++; break;
        case 42: q.sample_thread = spoil(&rng, p.sample_thread, p.sample_count, 1); break;
        case 43: q.sample_stack = spoil(&rng, p.sample_stack, p.sample_count, 1); break;
        case 44: idle[rng_below(&rng, p.sample_count)] ^= 1; break;
        case 45: q.sample_count--; break;
        case 46:
            q.sample_queue = copy(p.sample_queue, p.sample_count);
            ((uint32_t *)(uintptr_t)q.sample_queue)[0] = other;
            break;
        default: arena_close(&arena); return;
        }
        q.frames = frames;
        q.threads = threads;
        q.sample_time = times;
        q.sample_idle = idle;
        cr_assert_not_null(difference(&p, &q), "change %u", which);
    }
}

static void two_stacks(struct profile *p, uint32_t *parent, uint32_t *frame, uint32_t *stacks)
{
    static const struct bytes strings[1];
    static const struct profile_frame frames[2] = {{.line = 1}, {.line = 2}};
    static const uint32_t list[2] = {0, 1};
    *p = (struct profile){.kind = PROFILE_CHUNK,
                          .strings = strings,
                          .string_count = 1,
                          .frames = frames,
                          .frame_count = 2,
                          .frame_list = list,
                          .frame_list_count = 2,
                          .node_parent = parent,
                          .node_frame = frame,
                          .node_count = 4,
                          .stacks = stacks,
                          .stack_count = 2};
}

Test(profile_equal, stacks_are_compared_along_their_whole_path)
{
    uint32_t parent[] = {PROFILE_NONE, 0, PROFILE_NONE, 2};
    uint32_t frame[] = {0, 1, 0, 1};
    uint32_t frame_b[] = {0, 1, 1, 1};
    uint32_t once[] = {1, 1}, twice[] = {1, 3}, shorter[] = {1, 0}, none[] = {1, PROFILE_NONE};
    struct profile a, b;
    two_stacks(&a, parent, frame, once);
    two_stacks(&b, parent, frame, twice); /* another node, the same path */
    cr_assert_null(difference(&a, &b));
    cr_assert_null(difference(&b, &a));
    two_stacks(&b, parent, frame_b, twice); /* another root */
    cr_assert_str_eq(difference(&a, &b), "a stack");
    cr_assert_str_eq(difference(&b, &a), "a stack");
    two_stacks(&b, parent, frame, shorter);
    cr_assert_str_eq(difference(&a, &b), "a stack");
    cr_assert_str_eq(difference(&b, &a), "a stack");
    two_stacks(&b, parent, frame, none);
    cr_assert_str_eq(difference(&a, &b), "a stack");
    cr_assert_str_eq(difference(&b, &a), "a stack");
    cr_assert_null(difference(&b, &b));
}

Test(profile_equal, marks_that_say_nothing_are_none)
{
    static const uint64_t times[2] = {1, 2};
    static const uint32_t zeros[2];
    static const uint8_t not_idle[2];
    static const uint8_t idle[2] = {0, 1};
    uint32_t parent[] = {PROFILE_NONE, 0, PROFILE_NONE, 2};
    uint32_t frame[] = {0, 1, 0, 1};
    uint32_t stacks[] = {1, 3};
    struct profile a, b;
    two_stacks(&a, parent, frame, stacks);
    a.sample_time = times;
    a.sample_thread = zeros;
    a.sample_stack = zeros;
    a.sample_count = 2;
    b = a;
    b.sample_queue = zeros;
    b.sample_idle = not_idle;
    cr_assert_null(difference(&a, &b));
    b.sample_idle = idle;
    cr_assert_str_eq(difference(&a, &b), "idle mark of a sample");
}
