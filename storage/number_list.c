#include "storage/number_list.h"

#include <assert.h>

#define CLASS_COUNT     129 /* of zigzag numbers; plain ones have 65 */
#define CODE_LENGTH_MAX 12

static unsigned bit_count(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

static inline unsigned class_of(enum number_kind kind, uint64_t value)
{
    unsigned bits = bit_count(value);
    if (kind == NUMBERS_PLAIN || bits == 0)
        return bits;
    return 2 * bits - 1 + (unsigned)(value & 1);
}

/* What all numbers of a class share, and how many bits tell them apart, how far up these stand. */
struct class_shape {
    uint64_t base;
    uint8_t extra;
    uint8_t shift;
};

static struct class_shape shape_of(enum number_kind kind, unsigned class)
{
    if (kind == NUMBERS_PLAIN)
        return (struct class_shape){.base = class == 0 ? 0 : UINT64_C(1) << (class - 1),
                                    .extra = (uint8_t)(class < 2 ? 0 : class - 1)};
    unsigned bits = (class + 1) / 2;
    if (bits < 2)
        return (struct class_shape){.base = bits};
    return (struct class_shape){.base = UINT64_C(1) << (bits - 1) | (class % 2 == 0),
                                .extra = (uint8_t)(bits - 2),
                                .shift = 1};
}

/* ---- the code ---- */

struct class_code {
    unsigned low; /* classes [low, low + span) */
    unsigned span;
    uint8_t length[CLASS_COUNT]; /* 0: does not occur */
    uint16_t bits[CLASS_COUNT];  /* lowest bit first */
};

struct tally {
    uint32_t weight[CLASS_COUNT];
    unsigned low;
    unsigned high; /* one above the last that occurs */
};

static void count_classes(enum number_kind kind, const uint64_t *values, size_t count,
                          struct tally *ret)
{
    *ret = (struct tally){.low = CLASS_COUNT};
    for (size_t i = 0; i < count; i++)
        ret->weight[class_of(kind, values[i])]++;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        if (ret->weight[c] == 0)
            continue;
        ret->low = ret->low == CLASS_COUNT ? c : ret->low;
        ret->high = c + 1;
    }
}

/* The lightest node that has no parent yet; below `end`. */
static unsigned take_lightest(const uint64_t *weight, uint16_t *parent, unsigned end)
{
    unsigned best = end;
    for (unsigned i = 0; i < end; i++)
        if (weight[i] > 0 && parent[i] == 0 && (best == end || weight[i] < weight[best]))
            best = i;
    assert(best < end);
    parent[best] = (uint16_t)end; /* the next node joins two of them */
    return best;
}

/* Huffman's lengths; the longest is given. Single classes get one bit. */
static unsigned find_lengths(const uint32_t *weights, uint8_t *length)
{
    uint64_t weight[2 * CLASS_COUNT] = {0};
    uint16_t parent[2 * CLASS_COUNT] = {0};
    unsigned used = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        weight[c] = weights[c];
        used += weights[c] > 0;
    }
    unsigned end = CLASS_COUNT;
    for (unsigned joined = 1; joined < used; joined++, end++)
        weight[end] =
            weight[take_lightest(weight, parent, end)] + weight[take_lightest(weight, parent, end)];
    unsigned longest = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        unsigned depth = used == 1 && weights[c] > 0;
        for (unsigned at = c; parent[at] != 0; at = parent[at])
            depth++;
        length[c] = (uint8_t)depth;
        longest = depth > longest ? depth : longest;
    }
    return longest;
}

static uint16_t reversed(unsigned bits, unsigned length)
{
    unsigned result = 0;
    for (; length > 0; length--, bits >>= 1)
        result = result << 1 | (bits & 1);
    return (uint16_t)result;
}

/* False when the lengths are those of no code. */
static bool assign_bits(struct class_code *code)
{
    unsigned next = 0;
    for (unsigned length = 1; length <= CODE_LENGTH_MAX; length++, next <<= 1) {
        for (unsigned c = code->low; c < code->low + code->span; c++) {
            if (code->length[c] != length)
                continue;
            if (next >> length != 0)
                return false;
            code->bits[c] = reversed(next++, length);
        }
    }
    return true;
}

/* A reader fills a table of all codes: it should not be larger than a short list is worth. */
static unsigned length_limit(size_t count)
{
    return count < 512 ? 8 : count < 4096 ? 10 : CODE_LENGTH_MAX;
}

static void make_code(const struct tally *tally, size_t count, struct class_code *ret)
{
    uint32_t weight[CLASS_COUNT];
    memcpy(weight, tally->weight, sizeof weight);
    *ret = (struct class_code){.low = tally->low, .span = tally->high - tally->low};
    while (find_lengths(weight, ret->length) > length_limit(count)) { /* nearer, so shorter */
        for (unsigned c = 0; c < CLASS_COUNT; c++)
            weight[c] = weight[c] / 4 + (weight[c] > 0);
    }
    bool made = assign_bits(ret);
    assert(made);
    (void)made;
}

/* ---- writing ---- */

static uint64_t classes_size(enum number_kind kind, const struct tally *tally,
                             const struct class_code *code)
{
    uint64_t size = 16 + 4 * (uint64_t)code->span;
    for (unsigned c = code->low; c < code->low + code->span; c++)
        size += (uint64_t)tally->weight[c] * (code->length[c] + shape_of(kind, c).extra);
    return size;
}

static uint64_t golomb_size(const uint64_t *values, size_t count)
{
    unsigned order = bits_best_order(values, count);
    uint64_t size = BITS_ORDER_BITS;
    for (size_t i = 0; i < count; i++)
        size += bits_golomb_size(values[i], order);
    return size;
}

/* Bits of the better coding, and which it is; the code in any case. */
static uint64_t choose(enum number_kind kind, const uint64_t *values, size_t count,
                       struct class_code *ret_code, bool *ret_classes)
{
    struct tally tally;
    count_classes(kind, values, count, &tally);
    make_code(&tally, count, ret_code);
    uint64_t classes = classes_size(kind, &tally, ret_code);
    uint64_t golomb = golomb_size(values, count);
    *ret_classes = classes < golomb;
    return 1 + (*ret_classes ? classes : golomb);
}

uint64_t number_list_size(enum number_kind kind, const uint64_t *values, size_t count)
{
    struct class_code code;
    bool classes;
    return count == 0 ? 0 : choose(kind, values, count, &code, &classes);
}

static void put_classes(struct bits_writer *w, enum number_kind kind, const uint64_t *values,
                        size_t count, const struct class_code *code)
{
    bits_put(w, code->low, 8);
    bits_put(w, code->span - 1, 8);
    for (unsigned c = code->low; c < code->low + code->span; c++)
        bits_put(w, code->length[c], 4);
    for (size_t i = 0; i < count; i++) {
        unsigned class = class_of(kind, values[i]);
        struct class_shape shape = shape_of(kind, class);
        bits_put(w, code->bits[class], code->length[class]);
        bits_put(w, (values[i] - shape.base) >> shape.shift, shape.extra);
    }
}

void number_list_put(struct bits_writer *w, enum number_kind kind, const uint64_t *values,
                     size_t count)
{
    struct class_code code;
    bool classes;
    if (count == 0)
        return;
    (void)choose(kind, values, count, &code, &classes);
    bits_put(w, classes, 1);
    if (classes)
        put_classes(w, kind, values, count, &code);
    else
        bits_put_list(w, values, count);
}

/* ---- reading ---- */

struct decoder {
    struct class_shape shape[CLASS_COUNT];
    uint32_t table[1 << CODE_LENGTH_MAX]; /* class << 16 | bits of code and number << 8 | of code */
    unsigned mask;
};

static bool get_code(struct bits_reader *r, enum number_kind kind, struct class_code *ret)
{
    *ret = (struct class_code){.low = (unsigned)bits_get(r, 8)};
    ret->span = (unsigned)bits_get(r, 8) + 1;
    unsigned limit = kind == NUMBERS_PLAIN ? 65 : CLASS_COUNT;
    if (r->failed || ret->low + ret->span > limit)
        return false;
    for (unsigned c = ret->low; c < ret->low + ret->span; c++) {
        ret->length[c] = (uint8_t)bits_get(r, 4);
        if (ret->length[c] > CODE_LENGTH_MAX)
            return false;
    }
    return !r->failed && assign_bits(ret);
}

static void make_decoder(enum number_kind kind, const struct class_code *code, struct decoder *ret)
{
    unsigned longest = 0;
    for (unsigned c = code->low; c < code->low + code->span; c++)
        longest = code->length[c] > longest ? code->length[c] : longest;
    ret->mask = (1u << longest) - 1;
    memset(ret->table, 0, (ret->mask + 1) * sizeof ret->table[0]); /* 0: no such code */
    for (unsigned c = code->low; c < code->low + code->span; c++) {
        unsigned length = code->length[c];
        if (length == 0)
            continue;
        ret->shape[c] = shape_of(kind, c);
        uint32_t entry = c << 16 | (length + ret->shape[c].extra) << 8 | length;
        for (unsigned at = code->bits[c]; at <= ret->mask; at += 1u << length)
            ret->table[at] = entry;
    }
}

/* At least PEEK_BITS bits from bit `at` on; zeros behind the end. */
#define PEEK_BITS 57

static inline uint64_t peek(struct bytes in, uint64_t at)
{
    uint64_t byte = at / 8;
    uint64_t word = 0;
    if (byte + 8 <= in.len)
        memcpy(&word, in.data + byte, 8);
    else if (byte < in.len)
        memcpy(&word, in.data + byte, in.len - (size_t)byte);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word >> (at % 8);
}

static inline uint64_t low_bits(uint64_t word, unsigned count)
{
    return word & ((UINT64_C(1) << count) - 1);
}

/* A number that is too long to be seen at once, with its code. */
static uint64_t get_long(struct bytes in, uint64_t at, struct class_shape shape, unsigned length)
{
    unsigned low = shape.extra < 32 ? shape.extra : 32;
    at += length;
    uint64_t bits = low_bits(peek(in, at), low);
    bits |= low_bits(peek(in, at + low), shape.extra - low) << low;
    return shape.base + (bits << shape.shift);
}

/* How many numbers are taken from one look: to look again takes longer than to decode. */
#define NUMBERS_A_PEEK 3

/* Up to so many of at most `count` numbers from bit *at on; 0 when the bits there are no code. */
static inline size_t get_some(struct bytes in, const struct decoder *d, uint64_t *at, size_t count,
                              uint64_t *ret)
{
    uint64_t word = peek(in, *at);
    unsigned used = 0;
    size_t done = 0;
    for (; done < NUMBERS_A_PEEK && done < count; done++) {
        uint32_t entry = d->table[word & d->mask];
        unsigned size = entry >> 8 & 255;
        struct class_shape shape = d->shape[entry >> 16];
        if (used + size > PEEK_BITS || size == 0)
            break; /* a code that is cut off by the end of the word is among the first */
        ret[done] = shape.base + (low_bits(word >> (entry & 255), shape.extra) << shape.shift);
        word >>= size;
        used += size;
    }
    uint32_t entry = d->table[word & d->mask];
    if (done == 0 && entry != 0) {
        ret[done++] = get_long(in, *at, d->shape[entry >> 16], entry & 255);
        used = entry >> 8 & 255;
    }
    *at += used;
    return done;
}

/* Into one of the two; false when the list is not sound. */
static inline bool get_classes(struct bits_reader *r, enum number_kind kind, uint64_t *wide,
                               uint32_t *narrow, size_t count)
{
    struct class_code code;
    struct decoder decoder;
    if (!get_code(r, kind, &code))
        return false;
    make_decoder(kind, &code, &decoder);
    uint64_t at = r->at;
    uint64_t over = 0;
    for (size_t i = 0; i < count;) {
        uint64_t some[NUMBERS_A_PEEK];
        size_t done = get_some(r->in, &decoder, &at, count - i, some);
        if (done == 0 || at > 8 * (uint64_t)r->in.len)
            return false;
        for (size_t k = 0; k < done; k++, i++) {
            if (wide != NULL)
                wide[i] = some[k];
            else
                narrow[i] = (uint32_t)some[k];
            over |= some[k];
        }
    }
    r->at = at;
    return wide != NULL || over <= UINT32_MAX;
}

void number_list_get(struct bits_reader *r, enum number_kind kind, uint64_t *values, size_t count)
{
    if (count == 0)
        return;
    if (bits_get(r, 1) == 0)
        bits_get_list(r, values, count);
    else if (!get_classes(r, kind, values, NULL, count))
        r->failed = true;
    if (r->failed)
        memset(values, 0, count * sizeof *values);
}

void number_list_get32(struct bits_reader *r, uint32_t *values, size_t count)
{
    if (count == 0)
        return;
    if (bits_get(r, 1) == 0)
        bits_get_list32(r, values, count);
    else if (!get_classes(r, NUMBERS_PLAIN, NULL, values, count))
        r->failed = true;
    if (r->failed)
        memset(values, 0, count * sizeof *values);
}
