#include "tests/support/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/uuid.h"

struct rng rng_seeded(uint64_t seed)
{
    return (struct rng){seed};
}

struct rng test_rng(void)
{
    const char *given = getenv("HEARTH_SEED");
    uint64_t seed;
    if (given == NULL || !bytes_to_u64(bytes_of_text(given), &seed)) {
        struct uuid id = uuid_random();
        memcpy(&seed, id.byte, sizeof(seed));
    }
    printf("HEARTH_SEED=%" PRIu64 "\n", seed);
    fflush(stdout); /* a test that crashes has said it, too */
    return rng_seeded(seed);
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    unsigned __int128 product = (unsigned __int128)rng_u64(r) * n;
    return (uint64_t)(product >> 64);
}

int64_t rng_range(struct rng *r, int64_t low, int64_t high)
{
    uint64_t span = (uint64_t)high - (uint64_t)low;
    uint64_t step = span == UINT64_MAX ? rng_u64(r) : rng_below(r, span + 1);
    return (int64_t)((uint64_t)low + step);
}

double rng_double(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

bool rng_chance(struct rng *r, unsigned percent)
{
    return rng_below(r, 100) < percent;
}

void rng_bytes(struct rng *r, void *to, size_t len)
{
    uint8_t *at = to;
    for (; len > 0; len--)
        *at++ = (uint8_t)rng_u64(r);
}
