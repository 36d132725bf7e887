/* race_store.c - readers with snapshots while one writer appends: in order, late, and again, and
 * another thread seals and merges.
 *
 * What a snapshot shows does not change while it is held, every row it shows can be read, and a
 * chunk once seen is seen by every later snapshot. Runs under ThreadSanitizer.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/identity.h"
#include "tests/support/scale.h"
#include "tests/support/small_chunk.h"
#include "tests/support/vfs_mem.h"

#define READERS 3
#define CHUNKS  600u

struct shared {
    struct store *store;
    atomic_uint appended; /* chunks below were acknowledged */
    atomic_bool done;
};

#define NEED(condition, ...)              \
    do {                                  \
        if (!(condition)) {               \
            fprintf(stderr, __VA_ARGS__); \
            fputc('\n', stderr);          \
            abort();                      \
        }                                 \
    } while (0)

/* Numbers come late by up to 15, and every fifth chunk comes twice. */
static unsigned nth_number(unsigned i)
{
    return (i & ~15u) | (15u - (i & 15u));
}

static void *write_all(void *self)
{
    struct shared *shared = self;
    struct errinfo info = {0};
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct small_chunk c = {nth_number(i), 1};
        NEED(small_chunk_append(shared->store, c, &info) == ERR_OK, "append: %s", info.text);
        if (i % 5 == 4) {
            c.version = 2;
            NEED(small_chunk_append(shared->store, c, &info) == ERR_OK, "append: %s", info.text);
        }
        atomic_store(&shared->appended, i + 1);
    }
    atomic_store(&shared->done, true);
    return NULL;
}

/* All the time, now and then everything. */
static void *keep_up(void *self)
{
    struct shared *shared = self;
    unsigned round = 0;
    while (!atomic_load(&shared->done)) {
        struct store_upkeep u = {.everything = round++ % 8 == 0};
        struct errinfo info = {0};
        bool did;
        NEED(store_upkeep(shared->store, &u, &did, &info) == ERR_OK, "upkeep: %s", info.text);
    }
    return NULL;
}

static size_t count_rows(struct snapshot *snap)
{
    size_t count = 0;
    struct arena arena;
    arena_init(&arena, 16 << 20, NULL);
    for (unsigned profiler = 0; profiler < 4; profiler++) {
        struct row_list rows;
        NEED(snapshot_find_chunks(snap, 2, small_id(profiler), 0, INT64_MAX, &arena, &rows) ==
                 ERR_OK,
             "find");
        for (size_t i = 0; i < rows.count; i++) {
            struct row row;
            NEED(snapshot_row(snap, rows.ids[i], &row) == ERR_OK, "facts");
            NEED(bytes_equal(row.platform, BYTES("python")), "platform");
        }
        count += rows.count;
    }
    arena_close(&arena);
    return count;
}

static void *read_all(void *self)
{
    struct shared *shared = self;
    size_t before = 0;
    unsigned round = 0;
    while (!atomic_load(&shared->done)) {
        struct errinfo info = {0};
        unsigned appended = atomic_load(&shared->appended);
        struct snapshot *snap = snapshot_acquire(shared->store, NULL);
        size_t count = count_rows(snap);
        NEED(count >= appended && count <= CHUNKS && count >= before,
             "%zu rows after %zu, %u appended", count, before, appended);
        for (unsigned i = round++ % 7; i < appended; i += 41)
            NEED(small_chunk_find(snap, nth_number(i), &info) > 0, "chunk %u: %s", nth_number(i),
                 info.text);
        NEED(count_rows(snap) == count, "a snapshot changed");
        before = count;
        snapshot_release(snap);
    }
    return NULL;
}

int main(void)
{
    log_set_level(LOG_WARN);
    clock_set_wall(INT64_C(3600000000000)); /* chunks are of the first hour of 1970 */
    for (unsigned round = 0; round < test_scale(2); round++) {
        struct vfs_mem *disk = vfs_mem_create();
        struct shared shared = {0};
        struct errinfo info = {0};
        pthread_t threads[READERS + 2];
        struct store_options options = {.vfs = vfs_mem_vfs(disk),
                                        .dir = "/data",
                                        .log_size_max = 20000,
                                        .retention_days = 90,
                                        .frame_rules = &engine_frame_rules};
        NEED(store_open(&options, &shared.store, &info) == ERR_OK, "open: %s", info.text);
        for (unsigned i = 0; i < READERS; i++)
            NEED(pthread_create(&threads[i], NULL, read_all, &shared) == 0, "thread");
        NEED(pthread_create(&threads[READERS], NULL, write_all, &shared) == 0, "thread");
        NEED(pthread_create(&threads[READERS + 1], NULL, keep_up, &shared) == 0, "thread");
        for (unsigned i = 0; i < READERS + 2; i++)
            pthread_join(threads[i], NULL);
        struct snapshot *snap = snapshot_acquire(shared.store, NULL);
        NEED(count_rows(snap) == CHUNKS, "rows at the end");
        NEED(small_chunk_find(snap, nth_number(4), &info) == 2, "the later one wins");
        snapshot_release(snap);
        store_close(shared.store);
        vfs_mem_destroy(disk);
        NEED(mem_outstanding() == 0, "%zu blocks left", mem_outstanding());
    }
    return 0;
}
