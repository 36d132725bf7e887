#include "storage/log_set.h"

#include <inttypes.h>

#include "base/log.h"
#include "storage/page.h"
#include "storage/profile_block.h"

enum err log_set_create(struct vfs *vfs, const char *dir, struct mem_budget *budget,
                        uint64_t first_arrival, struct log_set **ret)
{
    struct log_set *s = mem_zalloc(sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    if (log_index_create(budget, &s->index) != ERR_OK) {
        mem_free(s);
        return ERR_NOMEM;
    }
    atomic_init(&s->references, 1);
    atomic_init(&s->retired, false);
    stable_array_init(&s->logs, sizeof(struct log_file *));
    s->vfs = vfs;
    s->dir = dir;
    s->first_arrival = first_arrival;
    *ret = s;
    return ERR_OK;
}

struct log_set *log_set_acquire(struct log_set *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

/* What is in segments now is removed; what could not be read stays to be looked at. */
static void dispose(const struct log_set *s, uint64_t sequence)
{
    struct errinfo reason = {0};
    if (log_file_dispose(s->vfs, s->dir, sequence, s->has_damage, &reason) != ERR_OK)
        log_warn("store", "log_not_removed %s (the next start tries again)", reason.text);
}

void log_set_release(struct log_set *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) > 1)
        return;
    bool retired = atomic_load_explicit(&s->retired, memory_order_relaxed);
    for (uint32_t i = 0; i < s->log_count; i++) {
        uint64_t sequence = log_file_facts(log_set_log(s, i)).sequence;
        log_file_close(log_set_log(s, i));
        if (retired)
            dispose(s, sequence);
    }
    stable_array_close(&s->logs);
    log_index_destroy(s->index);
    mem_free(s);
}

void log_set_retire(struct log_set *s)
{
    atomic_store_explicit(&s->retired, true, memory_order_relaxed);
}

enum err log_set_reserve(struct log_set *s)
{
    return stable_array_reserve(&s->logs, (size_t)s->log_count + 1);
}

void log_set_add(struct log_set *s, struct log_file *log)
{
    *(struct log_file **)stable_array_at(&s->logs, s->log_count) = log;
    s->log_count++;
}

static enum err read_block(struct log_file *log, struct log_place place, struct arena *arena,
                           struct profile *p, struct errinfo *info)
{
    uint8_t *page = arena_take(arena, place.block_size, 1);
    if (page == NULL)
        return err_set(info, arena->failed, "no room for %" PRIu32 " bytes", place.block_size);
    TRY(log_file_read(log, place.offset, page, place.block_size, info));
    struct bytes raw;
    uint32_t seed = record_page_seed(p->project_id, p->profiler_id, p->id);
    TRY(page_unpack(bytes_of(page, place.block_size), seed, arena, &raw, info));
    return profile_block_decode(raw, arena, p, info);
}

enum err log_set_read_profile(const struct log_set *s, struct log_place place, struct arena *arena,
                              struct profile *p, struct errinfo *info)
{
    struct log_file *log = log_set_log(s, place.log);
    struct errinfo reason = {0};
    enum err rc = read_block(log, place, arena, p, &reason);
    return rc == ERR_OK ? ERR_OK
                        : err_set(info, rc, "%s: offset %" PRIu32 ": %s", log_file_name(log),
                                  place.offset, reason.text);
}
