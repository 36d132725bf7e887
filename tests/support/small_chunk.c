#include "tests/support/small_chunk.h"

#include "storage/profile_equal.h"
#include "tests/support/hand_profile.h"

struct uuid small_id(unsigned n)
{
    struct uuid id = {{0xc0}};
    put_u32(id.byte + 12, n);
    return id;
}

/* Some texts that do not compress, so that blocks of different sizes occur. */
static void build(struct small_chunk c, struct hand_profile *h)
{
    hand_profile_init(h, PROFILE_CHUNK, "python");
    struct profile *p = &h->profile;
    p->profiler_id = small_id(c.n % 4);
    p->id = small_id(c.n);
    p->received_ns = 5;
    hand_frame(h, (struct hand_frame){.function = "main", .line = c.n});
    hand_frame(h, (struct hand_frame){.function = "work", .line = c.version});
    uint32_t stack = hand_stack(h, "10");
    uint32_t thread = hand_thread(h, "1", "worker");
    for (unsigned i = 0; i < 2 + c.n % 5; i++)
        hand_sample(h, thread, stack, 1000.0 + c.n + i * 0.25);
}

enum err small_chunk_encode(struct small_chunk c, struct buffer *out, struct errinfo *info)
{
    struct hand_profile h;
    build(c, &h);
    buffer_init(out, 1 << 20, NULL);
    return record_encode_profile(&h.profile, out, info);
}

enum err small_chunk_append(struct store *s, struct small_chunk c, struct errinfo *info)
{
    struct buffer out;
    enum err rc = small_chunk_encode(c, &out, info);
    struct bytes record = buffer_bytes(&out);
    if (rc == ERR_OK)
        rc = store_append(s, &record, 1, info);
    buffer_close(&out);
    return rc;
}

int small_chunk_find(struct snapshot *snap, unsigned n, struct errinfo *info)
{
    struct profile p;
    struct hand_profile expected;
    struct arena arena;
    row_id row;
    const char *why = NULL;
    if (snapshot_find_chunk(snap, 2, small_id(n % 4), small_id(n), &row) != ERR_OK)
        return -1;
    int found = -2;
    arena_init(&arena, 16 << 20, NULL);
    if (snapshot_read_profile(snap, row, &arena, &p, info) == ERR_OK) {
        unsigned version = p.frame_count == 2 ? p.frames[1].line : 0;
        build((struct small_chunk){n, version}, &expected);
        if (profile_equal(&expected.profile, &p, &arena, &why) == ERR_OK && why == NULL)
            found = (int)version;
        else
            (void)err_set(info, ERR_CORRUPT, "chunk %u: %s is not what was stored", n,
                          why == NULL ? "memory" : why);
    }
    arena_close(&arena);
    return found;
}
