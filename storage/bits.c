#include "storage/bits.h"

#include <assert.h>

static uint64_t low_bits(unsigned count)
{
    return count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static unsigned length_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

/* ---- writing ---- */

static void put_word(struct bits_writer *w)
{
    uint8_t word[8];
    put_u64(word, w->word);
    buffer_put(w->out, bytes_of(word, sizeof word));
}

void bits_put(struct bits_writer *w, uint64_t value, unsigned count)
{
    assert(count <= 64 && (value & ~low_bits(count)) == 0);
    unsigned room = 64 - w->used;
    w->word |= value << w->used;
    if (count < room) {
        w->used += count;
        return;
    }
    put_word(w);
    w->used = count - room;
    w->word = w->used == 0 ? 0 : value >> room; /* room is 64 only when nothing is left over */
}

/* How z is written: zeros, a one, and `below` bits under the highest of z + 2^order. That sum may
 * need a 65th bit, which is then the one that is not written. */
struct golomb {
    unsigned zeros;
    unsigned below;
    uint64_t bits;
};

static struct golomb golomb_of(uint64_t value, unsigned order)
{
    uint64_t sum;
    assert(order <= BITS_ORDER_MAX);
    bool beyond = __builtin_add_overflow(value, UINT64_C(1) << order, &sum);
    unsigned below = beyond ? 64 : length_of(sum) - 1;
    assert(below >= order && below <= 64);
    return (struct golomb){.zeros = below - order, .below = below, .bits = sum & low_bits(below)};
}

unsigned bits_golomb_size(uint64_t value, unsigned order)
{
    struct golomb g = golomb_of(value, order);
    return g.zeros + 1 + g.below;
}

void bits_put_golomb(struct bits_writer *w, uint64_t value, unsigned order)
{
    struct golomb g = golomb_of(value, order);
    if (g.zeros + 1 + g.below <= 64) { /* in one go; then zeros are below 32 */
        bits_put(w, (g.bits << 1 | 1) << g.zeros, g.zeros + 1 + g.below);
        return;
    }
    bits_put(w, 0, g.zeros);
    bits_put(w, 1, 1);
    bits_put(w, g.bits, g.below);
}

void bits_end(struct bits_writer *w)
{
    uint8_t word[8];
    put_u64(word, w->word);
    buffer_put(w->out, bytes_of(word, (w->used + 7) / 8));
    w->word = 0;
    w->used = 0;
}

/* From order k to k+1 a number of at most k+1 bits grows by one bit, and a longer one shrinks by
 * one. But where the sum with 2^k carries into one bit more than the number has, which is for as
 * many orders below its length as it begins with ones, it costs two bits more. */
unsigned bits_best_order(const uint64_t *values, size_t count)
{
    int64_t of_length[65] = {0};
    int64_t carries[65] = {0}; /* at this order more than at the one before */
    for (size_t i = 0; i < count; i++) {
        unsigned length = length_of(values[i]);
        of_length[length]++;
        if (length == 0)
            continue;
        uint64_t inverse = ~(values[i] << (64 - length));
        unsigned ones = inverse == 0 ? 64 : (unsigned)__builtin_clzll(inverse);
        carries[length - ones]++;
        carries[length]--;
    }
    unsigned best = 0;
    int64_t size = 0, least = 0; /* compared with order 0 */
    int64_t not_longer = of_length[0];
    for (unsigned order = 1; order <= BITS_ORDER_MAX && not_longer < (int64_t)count; order++) {
        not_longer += of_length[order];
        size += 2 * not_longer - (int64_t)count + 2 * carries[order];
        if (size < least) {
            least = size;
            best = order;
        }
    }
    return best;
}

void bits_put_list(struct bits_writer *w, const uint64_t *values, size_t count)
{
    if (count == 0)
        return;
    unsigned order = bits_best_order(values, count);
    bits_put(w, order, BITS_ORDER_BITS);
    for (size_t i = 0; i < count; i++)
        bits_put_golomb(w, values[i], order);
}

/* ---- reading ---- */

uint64_t bits_left(const struct bits_reader *r)
{
    return r->failed ? 0 : (uint64_t)r->in.len * 8 - r->at;
}

static uint64_t fail(struct bits_reader *r)
{
    r->failed = true;
    return 0;
}

/* The bits from `at` on, at least 57 of them; zeros behind the end. */
static inline uint64_t peek(const struct bits_reader *r)
{
    uint64_t word = 0;
    size_t from = (size_t)(r->at / 8);
    size_t left = r->in.len - from;
    if (left >= 8)
        memcpy(&word, r->in.data + from, 8);
    else if (left > 0)
        memcpy(&word, r->in.data + from, left);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word >> (r->at % 8);
}

uint64_t bits_get(struct bits_reader *r, unsigned count)
{
    assert(count <= 64);
    if (count > bits_left(r))
        return fail(r);
    unsigned shift = (unsigned)(r->at % 8);
    uint64_t value = peek(r);
    if (count > 64 - shift) /* then the ninth byte is there */
        value |= (uint64_t)r->in.data[r->at / 8 + 8] << (64 - shift);
    r->at += count;
    return value & low_bits(count);
}

/* A code that may be longer than what peek sees. */
static uint64_t get_long(struct bits_reader *r, unsigned order)
{
    unsigned below = order;
    while (bits_get(r, 1) == 0)
        if (r->failed || ++below > 64)
            return fail(r);
    uint64_t bits = bits_get(r, below);
    uint64_t bias = UINT64_C(1) << order;
    if (r->failed || (below == 64 && bits >= bias))
        return fail(r);
    return (below == 64 ? 0 : UINT64_C(1) << below) + bits - bias;
}

/* False, with nothing read: it is for get_long. */
static inline bool get_short(struct bits_reader *r, unsigned order, uint64_t *ret)
{
    uint64_t word = peek(r);
    if (word == 0)
        return false;
    unsigned zeros = (unsigned)__builtin_ctzll(word);
    unsigned size = 2 * zeros + 1 + order;
    if (size > 64 - r->at % 8 || size > bits_left(r))
        return false;
    uint64_t highest = UINT64_C(1) << (zeros + order);
    r->at += size;
    *ret = (word >> zeros >> 1 & (highest - 1)) + highest - (UINT64_C(1) << order);
    return true;
}

uint64_t bits_get_golomb(struct bits_reader *r, unsigned order)
{
    uint64_t value;
    assert(order <= BITS_ORDER_MAX);
    return get_short(r, order, &value) ? value : get_long(r, order);
}

void bits_get_list(struct bits_reader *r, uint64_t *values, size_t count)
{
    unsigned order = count == 0 ? 0 : (unsigned)bits_get(r, BITS_ORDER_BITS);
    struct bits_reader own = *r; /* stays in registers */
    for (size_t i = 0; i < count; i++) {
        if (get_short(&own, order, &values[i]))
            continue;
        *r = own;
        values[i] = get_long(r, order);
        own = *r;
    }
    *r = own;
}

void bits_get_list32(struct bits_reader *r, uint32_t *values, size_t count)
{
    unsigned order = count == 0 ? 0 : (unsigned)bits_get(r, BITS_ORDER_BITS);
    struct bits_reader own = *r;
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (!get_short(&own, order, &value)) {
            *r = own;
            value = get_long(r, order);
            own = *r;
        }
        own.failed |= value > UINT32_MAX;
        values[i] = own.failed ? 0 : (uint32_t)value;
    }
    *r = own;
}

struct bytes bits_rest(struct bits_reader *r)
{
    if (bits_get(r, (unsigned)(-r->at % 8)) != 0)
        (void)fail(r);
    return r->failed ? (struct bytes){0} : bytes_from(r->in, (size_t)(r->at / 8));
}
