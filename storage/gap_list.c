#include "storage/gap_list.h"

#include "base/sort.h"
#include "storage/number_list.h"

unsigned gap_list_number_size(uint64_t number)
{
    return number == 0 ? 0 : 64 - (unsigned)__builtin_clzll(number);
}

void gap_list_put_number(struct bits_writer *w, uint64_t number)
{
    unsigned size = gap_list_number_size(number);
    bits_put(w, size, 7);
    bits_put(w, number, size);
}

uint64_t gap_list_get_number(struct bits_reader *r)
{
    unsigned size = (unsigned)bits_get(r, 7);
    if (size > 64)
        r->failed = true;
    return r->failed ? 0 : bits_get(r, size);
}

static int compare_gaps(const void *left, const void *right, void *context)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    (void)context;
    return (a > b) - (a < b);
}

static uint64_t size_with_base(const int64_t *gaps, size_t count, uint64_t base)
{
    uint64_t codes[GAP_SAMPLES];
    for (size_t i = 0; i < count; i++)
        codes[i] = zigzag_encode((int64_t)((uint64_t)gaps[i] - base));
    return gap_list_number_size(base) + number_list_size(NUMBERS_ZIGZAG, codes, count);
}

/* Most gaps of a punctual sampler are a little above the least; which of the low percentiles (or 0,
 * which needs no bits itself) makes the list shortest is tried. */
enum err gap_list_find_base(const int64_t *gaps, size_t count, struct mem_account *account,
                            struct gap_base *ret)
{
    static const size_t percents[] = {0, 5, 10, 25, 50};
    int64_t sorted[GAP_SAMPLES];
    *ret = (struct gap_base){.size = size_with_base(gaps, count, 0)};
    if (count == 0)
        return ERR_OK;
    memcpy(sorted, gaps, count * sizeof sorted[0]);
    TRY(sort_array(account, sorted, count, sizeof sorted[0], compare_gaps, NULL));
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        int64_t gap = sorted[(count - 1) * percents[i] / 100];
        uint64_t size = gap <= 0 ? UINT64_MAX : size_with_base(gaps, count, (uint64_t)gap);
        if (size < ret->size)
            *ret = (struct gap_base){.base = (uint64_t)gap, .size = size};
    }
    return ERR_OK;
}

void gap_list_put(struct bits_writer *w, uint64_t base, uint64_t *numbers, size_t count)
{
    gap_list_put_number(w, zigzag_encode((int64_t)numbers[0]));
    if (count == 1)
        return;
    gap_list_put_number(w, base);
    for (size_t i = 0; i + 1 < count; i++)
        numbers[i] = zigzag_encode((int64_t)(numbers[i + 1] - numbers[i] - base));
    number_list_put(w, NUMBERS_ZIGZAG, numbers, count - 1);
}

void gap_list_get(struct bits_reader *r, uint64_t *numbers, size_t count)
{
    uint64_t number = (uint64_t)zigzag_decode(gap_list_get_number(r));
    uint64_t base = count > 1 ? gap_list_get_number(r) : 0;
    number_list_get(r, NUMBERS_ZIGZAG, numbers + 1, count - 1);
    numbers[0] = number;
    for (size_t i = 1; i < count; i++) {
        number += base + (uint64_t)zigzag_decode(numbers[i]);
        numbers[i] = number;
    }
}
