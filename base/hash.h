/* hash.h - XXH3 under our names; never for checksums on disk (that is storage/crc32c.h). */
#ifndef HEARTH_BASE_HASH_H
#define HEARTH_BASE_HASH_H

#include "base/bytes.h"

struct hash128 {
    uint64_t lo;
    uint64_t hi;
};

uint64_t hash_bytes(struct bytes b, uint64_t seed);
struct hash128 hash_bytes128(struct bytes b, uint64_t seed);

static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

/* By hi, then lo. */
static inline int hash128_compare(struct hash128 a, struct hash128 b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return (a.lo > b.lo) - (a.lo < b.lo);
}

/* A number nobody outside can know, for tables whose keys strangers choose: without it they could
 * choose keys that share a slot, and every lookup would look at all of them. */
uint64_t hash_seed(void);

/* One well-mixed number from another (for small keys). */
static inline uint64_t hash_u64(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

/* Of two small numbers. */
static inline uint64_t hash_pair(uint32_t a, uint32_t b, uint64_t seed)
{
    return hash_u64(((uint64_t)a << 32 | b) ^ seed);
}

#endif
