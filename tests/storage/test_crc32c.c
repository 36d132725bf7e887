#include <criterion/criterion.h>

#include "storage/crc32c.h"
#include "tests/support/rng.h"

Test(crc32c, matches_published_vectors)
{
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t rising[32];
    for (unsigned i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = (uint8_t)i;
    }
    const struct {
        struct bytes in;
        uint32_t crc;
    } cases[] = {{BYTES(""), 0},
                 {BYTES("123456789"), 0xe3069283},
                 {{zeros, 32}, 0x8a9136aa}, /* RFC 3720, B.4 */
                 {{ones, 32}, 0x62a8ab43},
                 {{rising, 32}, 0x46dd794e}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(crc32c(0, cases[i].in), cases[i].crc, "case %zu", i);
        cr_assert_eq(crc32c_portable(0, cases[i].in), cases[i].crc, "case %zu", i);
    }
}

Test(crc32c, both_ways_agree_at_any_length_and_cut)
{
    struct rng rng = test_rng();
    uint8_t data[300];
    rng_bytes(&rng, data, sizeof data);
    for (unsigned round = 0; round < 3000; round++) {
        size_t start = (size_t)rng_below(&rng, 20);
        struct bytes whole = {data + start, (size_t)rng_below(&rng, sizeof data - start)};
        size_t cut = whole.len == 0 ? 0 : (size_t)rng_below(&rng, whole.len);
        uint32_t seed = (uint32_t)rng_u64(&rng);
        uint32_t crc = crc32c(seed, whole);
        cr_assert_eq(crc, crc32c_portable(seed, whole));
        cr_assert_eq(crc, crc32c(crc32c(seed, bytes_first(whole, cut)), bytes_from(whole, cut)));
    }
}
