/* race_segment_file.c - threads look at the same segment file, which nobody has looked at before.
 *
 * Whoever is first to see a piece verifies it, several at once if it happens so; a damaged piece is
 * damaged for all of them, whatever else is verified in the same word of bits. Runs under
 * ThreadSanitizer.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/segment_file.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"
#include "tests/support/vfs_mem.h"

#define THREADS    4
#define PATH       "/d/segment-0000000000000001"
#define PIECE_SIZE FORMAT_SEGMENT_PIECE_SIZE
#define PIECES     150u /* three words of bits */

static uint8_t noise[PIECES * PIECE_SIZE];
static pthread_barrier_t start;

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static bool is_damaged(uint64_t piece)
{
    return piece % 16 == 5;
}

/* A file of noise, with its damage. */
static void make_file(struct vfs_mem *disk)
{
    struct rng rng = rng_seeded(3);
    struct segment_file_writer *w = NULL;
    uint64_t size = 0;
    rng_bytes(&rng, noise, sizeof noise);
    check(segment_file_create(vfs_mem_vfs(disk), PATH, (struct uuid){{1}}, 0, NULL, &w, NULL) ==
              ERR_OK,
          "create");
    segment_file_begin(w, SECTION_BLOCKS);
    segment_file_put(w, bytes_of(noise, sizeof noise));
    check(segment_file_finish(w, &size, NULL) == ERR_OK, "finish");
    segment_file_writer_destroy(w);

    uint8_t *copy = malloc(size);
    check(copy != NULL, "malloc");
    memcpy(copy, vfs_mem_get(disk, PATH).data, size);
    for (uint64_t piece = 0; piece < PIECES; piece++)
        copy[piece * PIECE_SIZE + piece] ^= is_damaged(piece);
    vfs_mem_put(disk, PATH, bytes_of(copy, size));
    free(copy);
}

/* Every piece once, each thread in an order of its own: from another one on, up or down. */
static void *look_at_all(void *self)
{
    const struct segment_file *f = self;
    static atomic_uint next;
    unsigned number = atomic_fetch_add(&next, 1) % THREADS;
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < PIECES; i++) {
        uint64_t piece = (number * 7 + (number % 2 == 0 ? i : PIECES - i)) % PIECES;
        uint64_t offset = piece * PIECE_SIZE + FORMAT_SEGMENT_HEADER_SIZE;
        struct bytes got = {0};
        enum err rc = segment_file_view(f, offset, 1000, &got, NULL);
        check(rc == (is_damaged(piece) ? ERR_CORRUPT : ERR_OK), "a piece was judged wrongly");
        check(rc != ERR_OK || memcmp(got.data, noise + piece * PIECE_SIZE, 1000) == 0,
              "a view of other bytes");
        check(rc == ERR_OK || segment_file_is_damaged(f), "damage was seen and is not told");
    }
    if (number == 0)
        check(segment_file_verify(f, NULL) == ERR_CORRUPT, "damage is not found");
    return NULL;
}

static void one_round(struct vfs *v)
{
    struct segment_file *f = NULL;
    pthread_t threads[THREADS];
    check(segment_file_open(v, PATH, NULL, &f, NULL) == ERR_OK, "open");
    for (size_t i = 0; i < THREADS; i++)
        check(pthread_create(&threads[i], NULL, look_at_all, f) == 0, "thread");
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (uint64_t piece = 0; piece < PIECES; piece++) {
        uint64_t word = atomic_load(&f->verified[piece / 64]);
        check((word >> (piece % 64) & 1) != is_damaged(piece), "a bit was lost");
    }
    segment_file_close(f);
}

int main(void)
{
    struct vfs_mem *disk = vfs_mem_create();
    make_file(disk);
    pthread_barrier_init(&start, NULL, THREADS);
    unsigned rounds = test_scale(20);
    for (unsigned i = 0; i < rounds; i++)
        one_round(vfs_mem_vfs(disk));
    pthread_barrier_destroy(&start);
    vfs_mem_destroy(disk);
    check(mem_outstanding() == 0, "memory was not given back");
    return 0;
}
