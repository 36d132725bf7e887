#include "bench/bench.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#define RUNS_MAX        9
#define RESULTS_MAX     64
#define COMPARISONS_MAX 32

struct result {
    const char *name;
    size_t rows;
    double ns_per_op;
    double p50_ns;
    double p99_ns;
};

struct comparison {
    const char *name;
    const char *peer;
    size_t rows;
    bool of_latencies;
};

/* A benchmark program is one thread and its own main: what it collects is the program's. */
static struct {
    struct bench_case *first;
    struct result results[RESULTS_MAX];
    size_t result_count;
    struct comparison comparisons[COMPARISONS_MAX];
    size_t comparison_count;
    struct histogram latency;
    char **arguments;
    int argument_count;
    uint64_t seed;
    size_t rows; /* 0: those of the case */
    bool smoke;
    bool failed;
} bench = {.seed = 1};

void bench_register(struct bench_case *c)
{
    struct bench_case **at = &bench.first;
    while (*at != NULL && (*at)->line < c->line)
        at = &(*at)->next;
    c->next = *at;
    *at = c;
}

/* Linux forgets the high-water mark of resident memory when told so. */
static void reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f == NULL)
        return;
    (void)fputs("5", f);
    (void)fclose(f);
}

static uint64_t read_peak(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoull(line + 6, NULL, 10);
    (void)fclose(f);
    return kib << 10;
}

void bench_start(struct bench *b)
{
    reset_peak();
    b->started_ns = clock_steady_ns();
}

void bench_stop(struct bench *b, uint64_t hash)
{
    b->elapsed_ns = (double)(clock_steady_ns() - b->started_ns);
    b->peak_bytes = read_peak();
    b->hash = hash;
    b->stopped = true;
}

void bench_skip(struct bench *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(b->skipped, sizeof(b->skipped), format, args);
    va_end(args);
}

void bench_note(struct bench *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(b->note, sizeof(b->note), format, args);
    va_end(args);
}

void bench_must(enum err rc, const struct errinfo *info, const char *what)
{
    if (rc == ERR_OK)
        return;
    (void)fprintf(stderr, "%s: %s: %s\n", what, err_text(rc), info == NULL ? "" : info->text);
    exit(2);
}

static const struct result *find_result(const char *name, size_t rows)
{
    for (size_t i = 0; i < bench.result_count; i++)
        if (strcmp(bench.results[i].name, name) == 0 && bench.results[i].rows == rows)
            return &bench.results[i];
    return NULL;
}

double bench_result(const char *name, size_t rows)
{
    const struct result *r = find_result(name, rows);
    return r == NULL ? 0 : r->ns_per_op;
}

static void compare(const char *name, const char *peer, size_t rows, bool of_latencies)
{
    for (size_t i = 0; i < bench.comparison_count; i++) /* a body runs more than once */
        if (bench.comparisons[i].name == name && bench.comparisons[i].peer == peer &&
            bench.comparisons[i].rows == rows)
            return;
    if (bench.comparison_count < COMPARISONS_MAX)
        bench.comparisons[bench.comparison_count++] =
            (struct comparison){name, peer, rows, of_latencies};
}

void bench_compare(const char *name, const char *peer, size_t rows)
{
    compare(name, peer, rows, false);
}

void bench_compare_latency(const char *name, const char *peer, size_t rows)
{
    compare(name, peer, rows, true);
}

const char *bench_setting(const char *name, const char *otherwise)
{
    size_t len = strlen(name);
    for (int i = 1; i < bench.argument_count; i++)
        if (strncmp(bench.arguments[i], name, len) == 0 && bench.arguments[i][len] == '=')
            return bench.arguments[i] + len + 1;
    return otherwise;
}

uint64_t bench_mix(uint64_t hash, uint64_t answer)
{
    return hash_u64(hash + UINT64_C(0x9e3779b97f4a7c15) + answer);
}

/* 1234567 ns -> "1.23 ms" */
static void print_time(double ns)
{
    if (ns < 1e4)
        printf(" %8.1f ns", ns);
    else if (ns < 1e7)
        printf(" %8.1f us", ns / 1e3);
    else
        printf(" %8.1f ms", ns / 1e6);
}

static void print_head(void)
{
    printf("%-34s %9s %11s %11s %11s %9s %9s  %s\n", "benchmark", "rows", "per op", "fastest",
           "ops/s", "MB/s", "peak MB", "hash");
}

static void print_line(const struct bench_case *c, const struct bench *b, double median,
                       double fastest)
{
    printf("%-34s %9zu", c->name, b->rows);
    print_time(median);
    print_time(fastest);
    printf(" %11.0f", median > 0 ? 1e9 / median : 0);
    if (b->bytes > 0)
        printf(" %9.1f", (double)b->bytes / (double)b->iterations / median * 1e3);
    else
        printf(" %9s", "-");
    printf(" %9.1f  %016" PRIx64 "\n", (double)b->peak_bytes / 1e6, b->hash);
    if (b->latency->count > 0) {
        static const double quantiles[] = {0.5, 0.99, 0.999};
        static const char *const names[] = {"p50", "p99", "p99.9"};
        printf("%34s %9" PRIu64, "latencies of the last run:", b->latency->count);
        for (size_t i = 0; i < 3; i++) {
            printf("  %s", names[i]);
            print_time((double)histogram_quantile(b->latency, quantiles[i]));
        }
        printf("  max");
        print_time((double)b->latency->max);
        printf("\n");
    }
    if (b->note[0] != '\0')
        printf("%34s %s\n", "", b->note);
    (void)fflush(stdout);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct bench run_body(const struct bench_case *c, size_t rows)
{
    histogram_clear(&bench.latency);
    struct bench b = {
        .seed = bench.seed,
        .rows = rows,
        .smoke = bench.smoke,
        .iterations = 1,
        .latency = &bench.latency,
    };
    c->body(&b);
    if (!b.stopped && b.skipped[0] == '\0') {
        printf("%s: neither stopped nor skipped\n", c->name);
        bench.failed = true;
    }
    return b;
}

static void run_case(const struct bench_case *c, size_t rows)
{
    bool single = bench.smoke || c->options.once;
    unsigned runs = single ? 1 : c->options.runs > 0 ? c->options.runs : 3;
    runs = runs < RUNS_MAX ? runs : RUNS_MAX;
    double per_op[RUNS_MAX];
    struct bench b = {0};
    uint64_t hash = 0;
    for (unsigned run = 0; run < runs + !single; run++) { /* the first one warms up */
        b = run_body(c, rows);
        if (!b.stopped) {
            if (b.skipped[0] != '\0')
                printf("%-34s skipped: %s\n", c->name, b.skipped);
            return;
        }
        if (run > 0 && b.hash != hash) {
            printf("%s: another answer in another run: %016" PRIx64 ", before %016" PRIx64 "\n",
                   c->name, b.hash, hash);
            bench.failed = true;
        }
        hash = b.hash;
        per_op[run < 1 || single ? 0 : run - 1] = b.elapsed_ns / (double)b.iterations;
    }
    qsort(per_op, runs, sizeof(per_op[0]), compare_doubles);
    double median = per_op[runs / 2];
    print_line(c, &b, median, per_op[0]);
    if (bench.result_count < RESULTS_MAX)
        bench.results[bench.result_count++] = (struct result){
            .name = c->name,
            .rows = rows,
            .ns_per_op = median,
            .p50_ns = (double)histogram_quantile(b.latency, 0.5),
            .p99_ns = (double)histogram_quantile(b.latency, 0.99),
        };
}

static bool is_chosen(const char *name)
{
    bool any = false;
    for (int i = 1; i < bench.argument_count; i++) {
        const char *a = bench.arguments[i];
        if (strncmp(a, "--", 2) == 0 || strchr(a, '=') != NULL)
            continue;
        any = true;
        if (strstr(name, a) != NULL)
            return true;
    }
    return !any;
}

static void run_sizes(const struct bench_case *c)
{
    for (size_t i = 0; i < BENCH_SIZES_MAX; i++) {
        size_t rows = c->options.rows[i];
        if (i > 0 && (rows == 0 || bench.smoke || bench.rows > 0))
            return;
        run_case(c, bench.rows > 0 ? bench.rows : rows);
    }
}

static void print_comparisons(void)
{
    for (size_t i = 0; i < bench.comparison_count; i++) {
        const struct comparison *c = &bench.comparisons[i];
        const struct result *mine = find_result(c->name, c->rows);
        const struct result *peer = find_result(c->peer, c->rows);
        if (mine == NULL || peer == NULL)
            continue;
        if (c->of_latencies)
            printf("%s has %.2f x the p50 and %.2f x the p99 of %s (%zu rows)\n", c->name,
                   mine->p50_ns / peer->p50_ns, mine->p99_ns / peer->p99_ns, c->peer, c->rows);
        else
            printf("%s takes %.2f x the time of %s (%zu rows)\n", c->name,
                   mine->ns_per_op / peer->ns_per_op, c->peer, c->rows);
    }
}

/* "--seed=7" and "--rows=100"; all others are names or settings. */
static bool read_arguments(void)
{
    for (int i = 1; i < bench.argument_count; i++) {
        struct bytes a = bytes_of_text(bench.arguments[i]);
        uint64_t v = 0;
        if (!bytes_starts_with(a, BYTES("--")))
            continue;
        if (bytes_equal(a, BYTES("--smoke"))) {
            bench.smoke = true;
        } else if (bytes_starts_with(a, BYTES("--seed=")) && bytes_to_u64(bytes_from(a, 7), &v)) {
            bench.seed = v;
        } else if (bytes_starts_with(a, BYTES("--rows=")) && bytes_to_u64(bytes_from(a, 7), &v)) {
            bench.rows = (size_t)v;
        } else {
            (void)fprintf(stderr,
                          "%s: not an option; --smoke, --seed=N, --rows=N, names, NAME=VALUE\n",
                          bench.arguments[i]);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    bench.arguments = argv;
    bench.argument_count = argc;
    if (!read_arguments())
        return 2;
    printf("seed %" PRIu64 "%s\n", bench.seed, bench.smoke ? ", smallest sizes" : "");
    print_head();
    for (const struct bench_case *c = bench.first; c != NULL; c = c->next)
        if (is_chosen(c->name))
            run_sizes(c);
    print_comparisons();
    if (mem_outstanding() != 0) {
        printf("%zu blocks were not freed\n", mem_outstanding());
        bench.failed = true;
    }
    return bench.failed ? 1 : 0;
}
