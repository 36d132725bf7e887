/* How fast are numbers of a chunk read and written, beside the C library?
 *
 * Estimate: a Python timestamp has 17 digits: 17 multiplies of 4 cycles in a chain, one 128 by 64
 * bit division (20 to 40 cycles), rounding: about 35 ns; strtod of glibc is known to need 100 to
 * 200 ns for 17 digits. Printing tries 15 to 17 digits, a product and one reading each: 60 ns, and
 * snprintf("%.17g") needs some 300 ns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "tests/support/rng.h"

#define TEXT_SIZE 32

struct numbers {
    char (*texts)[TEXT_SIZE];
    size_t *lengths;
    double *values;
    size_t bytes;
};

/* Times of samples at 101 Hz, as Python writes them. */
static struct numbers make_numbers(const struct bench *b)
{
    struct rng rng = rng_seeded(b->seed);
    struct numbers n = {mem_array(b->rows, TEXT_SIZE), mem_array(b->rows, sizeof(size_t)),
                        mem_array(b->rows, sizeof(double)), 0};
    if (n.texts == NULL || n.lengths == NULL || n.values == NULL)
        bench_must(ERR_NOMEM, NULL, "numbers");
    double time = 1795336832.0;
    for (size_t i = 0; i < b->rows; i++) {
        time += 1.0 / 101 + (rng_double(&rng) - 0.5) * 1e-4;
        n.values[i] = time;
        n.lengths[i] = decimal_print_double(time, n.texts[i]);
        n.texts[i][n.lengths[i]] = '\0';
        n.bytes += n.lengths[i];
    }
    return n;
}

static void free_numbers(struct numbers *n)
{
    mem_free(n->texts);
    mem_free(n->lengths);
    mem_free(n->values);
}

static uint64_t mix_double(uint64_t hash, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return hash + bits; /* cheap: the question is the number, not the hash */
}

BENCH(decimal_read_strtod, .rows = {1000, 200000})
{
    struct numbers n = make_numbers(b);
    uint64_t hash = 0;
    b->iterations = b->rows;
    b->bytes = n.bytes;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++)
        hash = mix_double(hash, strtod(n.texts[i], NULL));
    bench_stop(b, hash);
    free_numbers(&n);
}

BENCH(decimal_read, .rows = {1000, 200000})
{
    struct numbers n = make_numbers(b);
    uint64_t hash = 0;
    b->iterations = b->rows;
    b->bytes = n.bytes;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++) {
        double v = 0;
        if (!decimal_to_double(bytes_of(n.texts[i], n.lengths[i]), &v))
            abort();
        hash = mix_double(hash, v);
    }
    bench_stop(b, hash);
    bench_compare("decimal_read", "decimal_read_strtod", b->rows);
    free_numbers(&n);
}

BENCH(decimal_print_snprintf17, .rows = {1000, 200000})
{
    struct numbers n = make_numbers(b);
    uint64_t hash = 0;
    char text[64];
    b->iterations = b->rows;
    b->bytes = n.bytes;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++)
        hash += (uint64_t)snprintf(text, sizeof(text), "%.17g", n.values[i]);
    bench_stop(b, hash);
    free_numbers(&n);
}

BENCH(decimal_print, .rows = {1000, 200000})
{
    struct numbers n = make_numbers(b);
    uint64_t hash = 0;
    char text[DECIMAL_TEXT_SIZE];
    b->iterations = b->rows;
    b->bytes = n.bytes;
    bench_start(b);
    for (size_t i = 0; i < b->rows; i++)
        hash += decimal_print_double(n.values[i], text);
    bench_stop(b, hash);
    bench_compare("decimal_print", "decimal_print_snprintf17", b->rows);
    free_numbers(&n);
}
