#define XXH_INLINE_ALL
#include "base/hash.h"

#include <xxhash.h>

#include "base/uuid.h"

uint64_t hash_bytes(struct bytes b, uint64_t seed)
{
    return XXH3_64bits_withSeed(b.data, b.len, seed);
}

uint64_t hash_seed(void)
{
    struct uuid random = uuid_random();
    return hash_bytes(bytes_of(random.byte, sizeof(random.byte)), 0);
}

struct hash128 hash_bytes128(struct bytes b, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(b.data, b.len, seed);
    return (struct hash128){.lo = h.low64, .hi = h.high64};
}
