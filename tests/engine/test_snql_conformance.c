/* Every conformance case of the query language, over its rows in memory: answers, types, errors. What
 * is about HTTP and JSON bodies alone is asked over HTTP (system/sys_snql.py). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>
#include <dirent.h>

#include "base/limits.h"
#include "engine/snql_json.h"
#include "tests/support/file.h"
#include "tests/support/snql_memory.h"

#ifdef HEARTH_HAVE_YYJSON

#include <yyjson.h>

#define CASES "tests/data/conformance/snql/cases"
#define ROWS  "tests/data/conformance/snql/dataset/rows/"

static struct bytes read_source(const char *rel)
{
    char path[4096];
    struct bytes b;
    cr_assert(source_path(path, sizeof(path), rel), "%s", rel);
    cr_assert(file_read(path, &b), "%s", path);
    return b;
}

static struct snql_memory *load_all(size_t batch_rows)
{
    struct snql_memory *m = snql_memory_create();
    struct bytes chunks = read_source(ROWS "profile_chunks.jsonl");
    struct bytes profiles = read_source(ROWS "profiles.jsonl");
    struct bytes raw = read_source(ROWS "functions_raw.jsonl");
    snql_memory_load(m, SNQL_PROFILE_CHUNKS, chunks);
    snql_memory_load(m, SNQL_PROFILES, profiles);
    snql_memory_load(m, SNQL_FUNCTIONS_RAW, raw);
    snql_memory_finish(m, batch_rows);
    file_free(&chunks);
    file_free(&profiles);
    file_free(&raw);
    return m;
}

/* ---- comparing, as check.py does ---- */

static bool expected_number(yyjson_val *v, double *ret)
{
    yyjson_val *special = yyjson_obj_get(v, "$nonfinite");
    if (special != NULL) {
        const char *text = yyjson_get_str(special);
        *ret = strcmp(text, "NaN") == 0 ? (double)NAN
               : text[0] == '-'         ? -(double)INFINITY
                                        : (double)INFINITY;
        return true;
    }
    *ret = yyjson_get_num(v);
    return yyjson_is_num(v);
}

static int sort_values(const void *a, const void *b);

static bool same(yyjson_val *a, yyjson_val *b, bool bag);

static bool same_list(yyjson_val *a, yyjson_val *b, bool bag)
{
    size_t count = yyjson_arr_size(a);
    if (count != yyjson_arr_size(b))
        return false;
    yyjson_val **x = malloc((count + 1) * sizeof(*x));
    yyjson_val **y = malloc((count + 1) * sizeof(*y));
    cr_assert(x != NULL && y != NULL);
    for (size_t i = 0; i < count; i++) {
        x[i] = yyjson_arr_get(a, i);
        y[i] = yyjson_arr_get(b, i);
    }
    if (bag) {
        qsort(x, count, sizeof(*x), sort_values);
        qsort(y, count, sizeof(*y), sort_values);
    }
    bool equal = true;
    for (size_t i = 0; i < count && equal; i++)
        equal = same(x[i], y[i], false);
    free(x);
    free(y);
    return equal;
}

/* `a` is expected. */
static bool same(yyjson_val *a, yyjson_val *b, bool bag)
{
    double x;
    double y;
    if (expected_number(a, &x)) {
        if (!yyjson_is_num(b))
            return false;
        y = yyjson_get_num(b);
        if (isnan(x) || isnan(y))
            return isnan(x) && isnan(y);
        if (yyjson_is_real(a) || yyjson_is_obj(a) || yyjson_is_real(b))
            return x == y || fabs(x - y) <= 1e-9 * fmax(fabs(x), fabs(y));
        return yyjson_is_sint(a) == yyjson_is_sint(b) && yyjson_get_uint(a) == yyjson_get_uint(b);
    }
    if (yyjson_is_arr(a))
        return yyjson_is_arr(b) && same_list(a, b, bag);
    if (yyjson_is_str(a))
        return yyjson_is_str(b) && yyjson_get_len(a) == yyjson_get_len(b) &&
               memcmp(yyjson_get_str(a), yyjson_get_str(b), yyjson_get_len(a)) == 0;
    return yyjson_get_type(a) == yyjson_get_type(b) && yyjson_get_bool(a) == yyjson_get_bool(b);
}

/* A text to sort by that does not depend on how a number was written. */
static void sort_key(yyjson_val *v, char *to, size_t size)
{
    double d;
    if (expected_number(v, &d)) {
        snprintf(to, size, "%.9g", d);
        return;
    }
    char *text = yyjson_val_write(v, YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
    snprintf(to, size, "%s", text == NULL ? "?" : text);
    free(text);
}

static int sort_values(const void *a, const void *b)
{
    char x[2048];
    char y[2048];
    sort_key(*(yyjson_val *const *)a, x, sizeof(x));
    sort_key(*(yyjson_val *const *)b, y, sizeof(y));
    return strcmp(x, y);
}

static bool is_bag(yyjson_val *expect, const char *column)
{
    yyjson_val *bags = yyjson_obj_get(yyjson_obj_get(expect, "compare"), "unordered_arrays");
    size_t i;
    size_t max;
    yyjson_val *v;
    yyjson_arr_foreach(bags, i, max, v) if (strcmp(yyjson_get_str(v), column) == 0) return true;
    return false;
}

static bool same_row(yyjson_val *expect, yyjson_val *a, yyjson_val *b)
{
    size_t i;
    size_t max;
    yyjson_val *key;
    yyjson_val *value;
    if (yyjson_obj_size(a) != yyjson_obj_size(b))
        return false;
    yyjson_obj_foreach(a, i, max, key, value)
    {
        yyjson_val *other = yyjson_obj_get(b, yyjson_get_str(key));
        if (other == NULL || !same(value, other, is_bag(expect, yyjson_get_str(key))))
            return false;
    }
    return true;
}

/* Rows in any order: each expected one is found once. */
static bool same_rows(yyjson_val *expect, yyjson_val *a, yyjson_val *b, char *why, size_t size)
{
    size_t count = yyjson_arr_size(a);
    bool ordered = yyjson_get_bool(yyjson_obj_get(expect, "ordered"));
    if (count != yyjson_arr_size(b)) {
        snprintf(why, size, "%zu rows, expected %zu", yyjson_arr_size(b), count);
        return false;
    }
    char *used = calloc(count + 1, 1);
    cr_assert(used != NULL);
    bool equal = true;
    for (size_t i = 0; i < count && equal; i++) {
        size_t from = ordered ? i : 0;
        size_t end = ordered ? i + 1 : count;
        size_t at = from;
        while (at < end &&
               (used[at] || !same_row(expect, yyjson_arr_get(a, i), yyjson_arr_get(b, at))))
            at++;
        equal = at < end;
        if (equal)
            used[at] = 1;
        if (!equal) {
            char *wanted = yyjson_val_write(yyjson_arr_get(a, i), 0, NULL);
            char *got =
                yyjson_val_write(yyjson_arr_get(b, i), YYJSON_WRITE_ALLOW_INF_AND_NAN, NULL);
            snprintf(why, size, "row %zu: expected %.400s, got %.400s", i, wanted, got);
            free(wanted);
            free(got);
        }
    }
    free(used);
    return equal;
}

/* ---- one case ---- */

static bool check_answer(yyjson_val *expect, const struct snql_answer *a, char *why, size_t size)
{
    struct buffer out;
    buffer_init(&out, MIB(16), NULL);
    buffer_put(&out, BYTES("{"));
    snql_json_put_answer(a, &out);
    buffer_put(&out, BYTES("}"));
    cr_assert_eq(out.failed, ERR_OK);
    yyjson_doc *doc = yyjson_read((const char *)out.data, out.len, YYJSON_READ_ALLOW_INF_AND_NAN);
    cr_assert(doc != NULL, "the answer is no JSON: %.*s", (int)out.len, (const char *)out.data);
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *meta = yyjson_obj_get(expect, "meta");
    yyjson_val *totals = yyjson_obj_get(expect, "totals");
    bool ok = true;
    if (meta != NULL && !yyjson_equals(meta, yyjson_obj_get(root, "meta"))) {
        char *wanted = yyjson_val_write(meta, 0, NULL);
        char *got = yyjson_val_write(yyjson_obj_get(root, "meta"), 0, NULL);
        snprintf(why, size, "meta: expected %.400s, got %.400s", wanted, got);
        free(wanted);
        free(got);
        ok = false;
    }
    if (ok)
        ok = same_rows(expect, yyjson_obj_get(expect, "data"), yyjson_obj_get(root, "data"), why,
                       size);
    if (ok && totals != NULL) {
        ok = same_row(expect, totals, yyjson_obj_get(root, "totals"));
        if (!ok)
            snprintf(why, size, "totals differ");
    }
    yyjson_doc_free(doc);
    buffer_close(&out);
    return ok;
}

static bool check_error(yyjson_val *expect, const struct snql_error *e, char *why, size_t size)
{
    struct buffer out;
    buffer_init(&out, MIB(1), NULL);
    buffer_put(&out, BYTES("{"));
    snql_json_put_error(e, &out);
    buffer_put(&out, BYTES("}"));
    yyjson_doc *doc = yyjson_read((const char *)out.data, out.len, 0);
    cr_assert(doc != NULL);
    yyjson_val *got = yyjson_obj_get(yyjson_doc_get_root(doc), "error");
    yyjson_val *want = yyjson_obj_get(expect, "error");
    bool ok = snql_error_status(e) == yyjson_get_int(yyjson_obj_get(expect, "status"));
    ok &= yyjson_equals(yyjson_obj_get(want, "type"), yyjson_obj_get(got, "type"));
    if (yyjson_obj_get(want, "code") != NULL)
        ok &= yyjson_get_int(yyjson_obj_get(want, "code")) ==
              yyjson_get_int(yyjson_obj_get(got, "code"));
    size_t i;
    size_t max;
    yyjson_val *word;
    yyjson_arr_foreach(yyjson_obj_get(want, "message_contains"), i, max, word)
    {
        ok &= strstr(e->info.text, yyjson_get_str(word)) != NULL;
    }
    if (!ok)
        snprintf(why, size, "status %d and %.*s do not fit", snql_error_status(e), (int)out.len,
                 (const char *)out.data);
    yyjson_doc_free(doc);
    buffer_close(&out);
    return ok;
}

/* False: it failed; *ret_skipped: it is about the request's body. */
static bool run_case(struct snql_memory *m, yyjson_val *root, bool *ret_skipped, char *why,
                     size_t size)
{
    yyjson_val *expect = yyjson_obj_get(root, "expect");
    yyjson_val *body = yyjson_obj_get(root, "body");
    yyjson_val *query = yyjson_obj_get(body, "query");
    const char *type = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(expect, "error"), "type"));
    *ret_skipped = query == NULL || !yyjson_is_str(query) ||
                   (type != NULL && (strcmp(type, "schema") == 0 || strcmp(type, "json") == 0 ||
                                     strcmp(type, "dataset") == 0));
    if (*ret_skipped)
        return true;
    struct snql_request request = {.text = bytes_of(yyjson_get_str(query), yyjson_get_len(query))};
    struct snql_catalog catalog = snql_memory_catalog(m);
    struct arena arena;
    struct snql_answer answer;
    struct snql_error error;
    arena_init(&arena, MIB(256), NULL);
    enum err rc = snql_run(&request, &catalog, &arena, &answer, &error);
    bool ok;
    if (type != NULL && rc == ERR_OK) {
        snprintf(why, size, "answered, expected error %s", type);
        ok = false;
    } else if (type != NULL) {
        ok = check_error(expect, &error, why, size);
    } else if (rc != ERR_OK) {
        snprintf(why, size, "refused: %s: %.240s", err_text(rc), error.info.text);
        ok = false;
    } else {
        ok = check_answer(expect, &answer, why, size);
    }
    arena_close(&arena);
    return ok;
}

static void run_all(size_t batch_rows)
{
    char folder[4096];
    struct snql_memory *m = load_all(batch_rows);
    cr_assert_eq(snql_memory_rows(m, SNQL_PROFILE_CHUNKS), 1960);
    cr_assert_eq(snql_memory_rows(m, SNQL_PROFILES), 473);
    cr_assert_eq(snql_memory_rows(m, SNQL_FUNCTIONS_RAW), 1023);
    cr_assert(source_path(folder, sizeof(folder), CASES));
    DIR *dir = opendir(folder);
    cr_assert(dir != NULL);
    size_t run = 0;
    size_t skipped = 0;
    size_t failed = 0;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) { // NOLINT(concurrency-mt-unsafe)
        char rel[1024];
        char why[1200] = "";
        bool skip;
        if (strstr(entry->d_name, ".json") == NULL)
            continue;
        snprintf(rel, sizeof(rel), CASES "/%s", entry->d_name);
        struct bytes text = read_source(rel);
        yyjson_doc *doc = yyjson_read((const char *)text.data, text.len, 0);
        cr_assert(doc != NULL, "%s", rel);
        if (!run_case(m, yyjson_doc_get_root(doc), &skip, why, sizeof(why))) {
            fprintf(stderr, "%s: %s\n", entry->d_name, why);
            failed++;
        }
        run += !skip;
        skipped += skip;
        yyjson_doc_free(doc);
        file_free(&text);
    }
    closedir(dir);
    snql_memory_destroy(m);
    fprintf(stderr, "%zu cases, %zu failed; %zu about HTTP bodies\n", run, failed, skipped);
    cr_assert_eq(failed, 0);
    cr_assert_geq(run, 240);
}

Test(snql_conformance, every_case_over_rows_in_memory)
{
    run_all(SNQL_BATCH_ROWS);
}

Test(snql_conformance, every_case_in_batches_of_seven_rows)
{
    run_all(7);
}

#endif
