#include "tests/support/query_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/identity.h"

static void must(enum err rc, const struct errinfo *info, const char *what)
{
    if (rc == ERR_OK)
        return;
    (void)fprintf(stderr, "%s: %s: %s\n", what, err_text(rc), info->text);
    abort();
}

void query_store_open(struct query_store *q)
{
    struct errinfo info = {0};

    *q = (struct query_store){.dir = tmpdir_make()};
    arena_init(&q->arena, SIZE_MAX, NULL);
    struct store_options options = {.vfs = vfs_posix(),
                                    .dir = q->dir.path,
                                    .durability = DURABILITY_NONE,
                                    .retention_days = 3650, /* profiles are some years old */
                                    .frame_rules = &engine_frame_rules};
    must(store_open(&options, &q->store, &info), &info, "store_open");
}

void query_store_close(struct query_store *q)
{
    store_close(q->store);
    arena_close(&q->arena);
    tmpdir_remove(&q->dir);
}

void query_store_seal(struct query_store *q)
{
    struct errinfo info = {0};
    struct store_upkeep u = {.everything = true};
    bool did = true;

    while (did)
        must(store_upkeep(q->store, &u, &did, &info), &info, "store_upkeep");
}

static void append(struct query_store *q, struct buffer *record)
{
    struct errinfo info = {0};
    struct bytes bytes = buffer_bytes(record);

    must(store_append(q->store, &bytes, 1, &info), &info, "store_append");
    buffer_close(record);
}

void query_store_add(struct query_store *q, const struct profile *p)
{
    struct errinfo info = {0};
    struct buffer record;

    buffer_init(&record, SIZE_MAX, NULL);
    must(record_encode_profile(p, &record, &info), &info, "record_encode_profile");
    append(q, &record);
}

void query_store_link(struct query_store *q, const struct link *l)
{
    struct errinfo info = {0};
    struct buffer record;

    buffer_init(&record, SIZE_MAX, NULL);
    must(record_encode_link(l, &record, &info), &info, "record_encode_link");
    append(q, &record);
}

struct uuid query_id(uint32_t number)
{
    struct uuid id = {{0}};

    id.byte[0] = 0xab; /* never nil */
    for (int i = 0; i < 4; i++)
        id.byte[12 + i] = (uint8_t)(number >> (24 - 8 * i));
    return id;
}
