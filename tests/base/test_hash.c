#include <criterion/criterion.h>

#include "base/hash.h"
#include "tests/support/rng.h"

Test(hash, is_xxh3_and_stays_it)
{
    /* published values of XXH3: "" and its seeds are stored in files one day */
    cr_assert_eq(hash_bytes(BYTES(""), 0), UINT64_C(0x2d06800538d394c2));
    struct hash128 empty = hash_bytes128(BYTES(""), 0);
    cr_assert_eq(empty.lo, UINT64_C(0x6001c324468d497f));
    cr_assert_eq(empty.hi, UINT64_C(0x99aa06d3014798d8));
    cr_assert_neq(hash_bytes(BYTES("a"), 0), hash_bytes(BYTES("a"), 1));
    cr_assert(!hash128_equal(hash_bytes128(BYTES("a"), 0), hash_bytes128(BYTES("b"), 0)));
    cr_assert_eq(hash_bytes((struct bytes){0}, 0), hash_bytes(BYTES(""), 0));
}

Test(hash, order_is_hi_then_lo)
{
    struct hash128 a = {.lo = 9, .hi = 1}, b = {.lo = 1, .hi = 2}, c = {.lo = 2, .hi = 2};
    cr_assert_lt(hash128_compare(a, b), 0);
    cr_assert_lt(hash128_compare(b, c), 0);
    cr_assert_gt(hash128_compare(c, a), 0);
    cr_assert_eq(hash128_compare(c, c), 0);
}

Test(hash, small_numbers_spread_over_all_bits)
{
    unsigned ones[64] = {0};
    for (uint64_t i = 1; i <= 4096; i++)
        for (unsigned bit = 0; bit < 64; bit++)
            ones[bit] += (unsigned)(hash_u64(i) >> bit) & 1;
    for (unsigned bit = 0; bit < 64; bit++)
        cr_assert(ones[bit] > 1800 && ones[bit] < 2300, "bit %u is set %u times of 4096", bit,
                  ones[bit]);
}
