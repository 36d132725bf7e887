#include "storage/stack_runs.h"

#include <assert.h>

#include "storage/number_list.h"

#define RUNS_ORDER   5
#define RECENT_COUNT 16 /* stacks a thread is expected to come back to; more would save nothing */

static enum err no_room(const struct arena *arena)
{
    return arena->failed == ERR_OK ? ERR_NOMEM : arena->failed;
}

/* ---- from samples ---- */

/* A thread on the way through the samples. */
struct thread_at {
    uint32_t stack; /* of its sample before */
    uint32_t runs;  /* first pass: how many; second: where the current one ends */
    bool open;
};

static bool opens_run(struct thread_at *t, uint32_t stack)
{
    bool opens = !t->open || t->stack != stack;
    t->open = true;
    t->stack = stack;
    return opens;
}

static uint32_t *count_runs(const struct profile *p, size_t thread_count, struct thread_at *threads,
                            struct arena *arena)
{
    uint32_t *first = ARENA_ARRAY(arena, thread_count + 1, uint32_t);
    if (first == NULL)
        return NULL;
    for (size_t i = 0; i < p->sample_count; i++) {
        struct thread_at *t = &threads[p->sample_thread[i]];
        t->runs += opens_run(t, p->sample_stack[i]);
    }
    first[0] = 0;
    for (size_t t = 0; t < thread_count; t++) {
        first[t + 1] = first[t] + threads[t].runs;
        threads[t] = (struct thread_at){.runs = first[t]};
    }
    return first;
}

static void fill_runs(const struct profile *p, struct thread_at *threads, struct stack_run *runs)
{
    for (size_t i = 0; i < p->sample_count; i++) {
        struct thread_at *t = &threads[p->sample_thread[i]];
        if (opens_run(t, p->sample_stack[i]))
            runs[t->runs++] = (struct stack_run){.stack = p->sample_stack[i]};
        runs[t->runs - 1].length++;
    }
}

/* Document numbers of stacks become their order of first use. */
static enum err number_stacks(struct stack_run *runs, size_t stack_limit, struct arena *arena,
                              struct stack_runs *ret)
{
    uint32_t *number = ARENA_ARRAY(arena, stack_limit, uint32_t);
    uint32_t *document = ARENA_ARRAY(arena, stack_limit, uint32_t);
    if (number == NULL || document == NULL)
        return no_room(arena);
    memset(number, 0xff, stack_limit * sizeof *number);
    for (size_t i = 0; i < ret->count; i++) {
        uint32_t stack = runs[i].stack;
        if (number[stack] == PROFILE_NONE) {
            document[ret->stack_count] = stack;
            number[stack] = (uint32_t)ret->stack_count++;
        }
        runs[i].stack = number[stack];
    }
    ret->document_stack = document;
    return ERR_OK;
}

enum err stack_runs_find(const struct profile *p, const struct sample_grid *grid,
                         struct arena *arena, struct stack_runs *ret)
{
    struct thread_at *threads = ARENA_ARRAY(arena, grid->thread_count, struct thread_at);
    if (threads == NULL)
        return no_room(arena);
    memset(threads, 0, grid->thread_count * sizeof *threads);
    uint32_t *first = count_runs(p, grid->thread_count, threads, arena);
    if (first == NULL)
        return no_room(arena);
    *ret = (struct stack_runs){.thread_first = first, .count = first[grid->thread_count]};
    struct stack_run *runs = ARENA_ARRAY(arena, ret->count, struct stack_run);
    if (runs == NULL)
        return no_room(arena);
    fill_runs(p, threads, runs);
    ret->runs = runs;
    return number_stacks(runs, p->stack_count, arena, ret);
}

/* ---- recent stacks of a thread, the latest first ---- */

struct recent {
    uint32_t stack[RECENT_COUNT];
    unsigned count;
};

/* Where it stands; RECENT_COUNT when it does not. */
static unsigned recent_find(const struct recent *r, uint32_t stack)
{
    for (unsigned i = 0; i < r->count; i++)
        if (r->stack[i] == stack)
            return i;
    return RECENT_COUNT;
}

/* To the front, from place `at` or, RECENT_COUNT, from outside. */
static void recent_use(struct recent *r, uint32_t stack, unsigned at)
{
    if (at == RECENT_COUNT) {
        r->count += r->count < RECENT_COUNT;
        at = r->count - 1;
    }
    for (; at > 0; at--)
        r->stack[at] = r->stack[at - 1];
    r->stack[0] = stack;
}

/* ---- writing ---- */

/* `recent`: of each run the place among its thread's recent ones, 0 when it is not there (the first
 * place is the run before's, which cannot come twice). Of those with 0, `older`: 0 for a new stack,
 * else how far it is from the next new one. */
static size_t code_runs(const struct stack_runs *runs, size_t thread_count, uint64_t *recent,
                        uint64_t *older)
{
    uint32_t next = 0;
    size_t older_count = 0;
    for (size_t t = 0; t < thread_count; t++) {
        struct recent r = {.count = 0};
        for (size_t i = runs->thread_first[t]; i < runs->thread_first[t + 1]; i++) {
            uint32_t stack = runs->runs[i].stack;
            unsigned at = recent_find(&r, stack);
            recent[i] = at == RECENT_COUNT ? 0 : at;
            if (at == RECENT_COUNT)
                older[older_count++] = stack == next ? 0 : next - stack;
            next += stack == next;
            recent_use(&r, stack, at);
        }
    }
    assert(next == runs->stack_count);
    return older_count;
}

enum err stack_runs_put(struct bits_writer *w, const struct stack_runs *runs,
                        const struct sample_grid *grid, struct arena *scratch)
{
    bits_put_golomb(w, runs->count, RUNS_ORDER);
    uint64_t *codes = ARENA_ARRAY(scratch, runs->count, uint64_t);
    uint64_t *older = ARENA_ARRAY(scratch, runs->count, uint64_t);
    if (codes == NULL || older == NULL)
        return no_room(scratch);
    for (size_t i = 0; i < runs->count; i++)
        codes[i] = runs->runs[i].length - 1;
    number_list_put(w, NUMBERS_PLAIN, codes, runs->count);
    size_t older_count = code_runs(runs, grid->thread_count, codes, older);
    number_list_put(w, NUMBERS_PLAIN, codes, runs->count);
    number_list_put(w, NUMBERS_PLAIN, older, older_count);
    return ERR_OK;
}

/* ---- reading ---- */

struct codes {
    size_t count;
    uint32_t *lengths; /* less one */
    uint32_t *recent;
    uint32_t *older;
};

static void get_codes(struct bits_reader *r, struct arena *arena, struct codes *ret)
{
    uint64_t count = bits_get_golomb(r, RUNS_ORDER);
    if (count > bits_left(r) || count >= PROFILE_NONE)
        r->failed = true;
    ret->count = r->failed ? 0 : (size_t)count;
    ret->lengths = ARENA_ARRAY(arena, ret->count, uint32_t);
    ret->recent = ARENA_ARRAY(arena, ret->count, uint32_t);
    if (ret->lengths == NULL || ret->recent == NULL)
        return;
    number_list_get32(r, ret->lengths, ret->count);
    number_list_get32(r, ret->recent, ret->count);
    size_t older_count = 0;
    for (size_t i = 0; i < ret->count; i++)
        older_count += ret->recent[i] == 0;
    ret->older = ARENA_ARRAY(arena, older_count, uint32_t);
    if (ret->older != NULL)
        number_list_get32(r, ret->older, older_count);
}

struct laying_out {
    const struct codes *codes;
    struct stack_run *runs;
    size_t at;    /* run */
    size_t older; /* code */
    uint32_t next;
};

/* False when the codes stand for nothing. */
static bool lay_out_run(struct laying_out *l, struct recent *recent)
{
    unsigned at = l->codes->recent[l->at];
    uint32_t stack;
    if (at == 0) {
        uint32_t back = l->codes->older[l->older++];
        if (back > l->next)
            return false;
        stack = l->next - back;
        l->next += back == 0;
        at = RECENT_COUNT;
    } else {
        if (at >= recent->count)
            return false;
        stack = recent->stack[at];
    }
    recent_use(recent, stack, at);
    l->runs[l->at] = (struct stack_run){.stack = stack, .length = l->codes->lengths[l->at] + 1};
    l->at++;
    return true;
}

/* Runs until the thread's samples are used up. */
static bool lay_out_thread(struct laying_out *l, uint32_t samples)
{
    struct recent recent = {.count = 0};
    while (samples > 0) {
        if (l->at == l->codes->count || l->codes->lengths[l->at] >= samples)
            return false;
        samples -= l->codes->lengths[l->at] + 1;
        if (!lay_out_run(l, &recent))
            return false;
    }
    return true;
}

static bool lay_out(const struct codes *codes, const struct sample_grid *grid,
                    uint32_t *thread_first, struct stack_run *runs, struct stack_runs *ret)
{
    struct laying_out l = {.codes = codes, .runs = runs};
    for (size_t t = 0; t < grid->thread_count; t++) {
        thread_first[t] = (uint32_t)l.at;
        if (!lay_out_thread(&l, grid->thread_samples[t]))
            return false;
    }
    thread_first[grid->thread_count] = (uint32_t)l.at;
    *ret = (struct stack_runs){
        .runs = runs, .thread_first = thread_first, .count = codes->count, .stack_count = l.next};
    return l.at == codes->count;
}

enum err stack_runs_get(struct bits_reader *r, const struct sample_grid *grid, struct arena *arena,
                        struct stack_runs *ret, struct errinfo *info)
{
    struct codes codes = {0};
    get_codes(r, arena, &codes);
    struct stack_run *runs = ARENA_ARRAY(arena, codes.count, struct stack_run);
    uint32_t *thread_first = ARENA_ARRAY(arena, grid->thread_count + 1, uint32_t);
    if (arena->failed != ERR_OK)
        return err_set(info, arena->failed, "block: no room for %zu runs", codes.count);
    if (r->failed || !lay_out(&codes, grid, thread_first, runs, ret))
        return err_set(info, ERR_CORRUPT, "block: runs of stacks do not fill the threads");
    return ERR_OK;
}
