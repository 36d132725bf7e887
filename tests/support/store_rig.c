#include "tests/support/store_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/identity.h"
#include "tests/support/hand_profile.h"

#define PROJECT 2

static void must(enum err rc, const struct errinfo *info, const char *what)
{
    if (rc == ERR_OK)
        return;
    (void)fprintf(stderr, "%s: %s: %s\n", what, err_text(rc), info->text);
    abort();
}

struct store_rig store_rig_open(void)
{
    struct store_rig r = {.disk = vfs_mem_create()};
    log_set_level(LOG_NONE);
    clock_set_wall(INT64_C(3600000000000));
    r.options = (struct store_options){.vfs = vfs_mem_vfs(r.disk),
                                       .dir = "/data",
                                       .retention_days = 90,
                                       .frame_rules = &engine_frame_rules};
    store_rig_reopen(&r);
    return r;
}

void store_rig_shut(struct store_rig *r)
{
    store_close(r->store);
    r->store = NULL;
}

void store_rig_reopen(struct store_rig *r)
{
    struct errinfo info = {0};
    store_rig_shut(r);
    must(store_open(&r->options, &r->store, &info), &info, "store_open");
}

void store_rig_close(struct store_rig *r)
{
    struct errinfo info = {0};
    store_rig_shut(r);
    vfs_mem_destroy(r->disk);
    clock_set_wall(0);
    must(mem_outstanding() == 0 ? ERR_OK : ERR_LIMIT, &info, "memory is left");
}

void store_rig_one_piece(struct store_rig *r)
{
    struct store_upkeep u = {.everything = true};
    struct errinfo info = {0};
    bool did;
    must(store_upkeep(r->store, &u, &did, &info), &info, "store_upkeep");
}

void store_rig_upkeep(struct store_rig *r)
{
    struct store_upkeep u = {.everything = true};
    struct errinfo info = {0};
    bool did = true;
    while (did)
        must(store_upkeep(r->store, &u, &did, &info), &info, "store_upkeep");
}

struct store_stats store_rig_stats(struct store_rig *r)
{
    struct store_stats stats;
    store_get_stats(r->store, &stats);
    return stats;
}

void store_rig_append(struct store_rig *r, unsigned n, unsigned version)
{
    struct errinfo info = {0};
    must(small_chunk_append(r->store, (struct small_chunk){n, version}, &info), &info,
         "store_append");
}

int store_rig_find(struct store_rig *r, unsigned n)
{
    struct errinfo info = {0};
    struct snapshot *snap = snapshot_acquire(r->store, NULL);
    int version = small_chunk_find(snap, n, &info);
    snapshot_release(snap);
    return version;
}

void store_rig_append_of_day(struct store_rig *r, struct rig_chunk c)
{
    static struct hand_profile h;
    struct buffer out;
    struct errinfo info = {0};
    hand_profile_init(&h, PROFILE_CHUNK, "python");
    h.profile.project_id = PROJECT;
    h.profile.profiler_id = small_id(c.n % 4);
    h.profile.id = small_id(c.n);
    h.profile.retention_days = c.retention_days;
    h.profile.received_ns = c.received_day * DAY_NS + 1;
    hand_frame(&h, (struct hand_frame){.function = "main"});
    uint32_t stack = hand_stack(&h, "0");
    uint32_t thread = hand_thread(&h, "1", "");
    hand_sample(&h, thread, stack, (double)(c.day * 86400 + 10));
    hand_sample(&h, thread, stack, (double)(c.day * 86400 + 11));
    buffer_init(&out, 1 << 20, NULL);
    must(record_encode_profile(&h.profile, &out, &info), &info, "record_encode_profile");
    struct bytes record = buffer_bytes(&out);
    must(store_append(r->store, &record, 1, &info), &info, "store_append");
    buffer_close(&out);
}

struct link store_rig_link(unsigned n, int64_t start_ns, int64_t end_ns)
{
    return (struct link){.project_id = PROJECT,
                         .profiler_id = small_id(1),
                         .trace_id = small_id(n),
                         .span_id = n + UINT64_C(1),
                         .start_ns = start_ns,
                         .end_ns = end_ns,
                         .name = BYTES("n"),
                         .op = BYTES("o"),
                         .thread_id = BYTES("1"),
                         .thread_name = BYTES(""),
                         .environment = BYTES(""),
                         .release = BYTES(""),
                         .platform = BYTES("python")};
}

enum err store_rig_try_link(struct store_rig *r, struct link link, struct errinfo *info)
{
    struct buffer out;
    buffer_init(&out, 1 << 20, NULL);
    must(record_encode_link(&link, &out, info), info, "record_encode_link");
    struct bytes record = buffer_bytes(&out);
    enum err rc = store_append(r->store, &record, 1, info);
    buffer_close(&out);
    return rc;
}

void store_rig_append_link(struct store_rig *r, struct link link)
{
    struct errinfo info = {0};
    must(store_rig_try_link(r, link, &info), &info, "store_append");
}

size_t store_rig_count_links(struct store_rig *r)
{
    struct arena arena;
    struct link_list list;
    struct errinfo info = {0};
    struct snapshot *snap = snapshot_acquire(r->store, NULL);
    arena_init(&arena, 1 << 24, NULL);
    must(snapshot_find_links(snap, PROJECT, INT64_MIN, INT64_MAX, &arena, &list), &info,
         "snapshot_find_links");
    size_t count = list.count;
    arena_close(&arena);
    snapshot_release(snap);
    return count;
}

void store_rig_flip(struct store_rig *r, const char *path, size_t at)
{
    struct bytes content = vfs_mem_get(r->disk, path);
    uint8_t *copy = malloc(content.len);
    if (copy == NULL || at >= content.len)
        abort();
    memcpy(copy, content.data, content.len);
    copy[at] ^= 0x40;
    vfs_mem_put(r->disk, path, bytes_of(copy, content.len));
    free(copy);
}
