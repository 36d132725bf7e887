#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/snql_check.h"
#include "engine/snql_parser.h"

struct parsed {
    struct arena arena;
    struct snql_query *query;
    struct snql_error error;
    enum err rc;
};

static struct parsed parse_bytes(struct bytes text)
{
    struct parsed p = {0};
    arena_init(&p.arena, MIB(64), NULL);
    p.rc = snql_parse(text, &p.arena, &p.query, &p.error);
    return p;
}

static struct parsed parse(const char *text)
{
    return parse_bytes(bytes_of_text(text));
}

static struct parsed check(const char *text)
{
    struct parsed p = parse(text);
    cr_assert_eq(p.rc, ERR_OK, "%s: %s", text, p.error.info.text);
    p.rc = snql_check(p.query, bytes_of_text(text), &p.arena, &p.error);
    return p;
}

#define FROM "MATCH STORAGE(profile_chunks) SELECT "

static void accepts(const char *text)
{
    struct parsed p = parse(text);
    cr_expect_eq(p.rc, ERR_OK, "%s: %s", text, p.error.info.text);
    arena_close(&p.arena);
}

/* The refusal points at `where` in the text, or at its end ("$"). */
static void refuses(const char *text, const char *where)
{
    struct parsed p = parse(text);
    const char *found = strstr(text, where);
    size_t offset = where[0] == '$' ? strlen(text) : (size_t)(found - text);
    cr_assert(where[0] == '$' || found != NULL, "%s is not in %s", where, text);
    cr_expect_eq(p.rc, ERR_MALFORMED, "%s", text);
    cr_expect_eq(p.error.type, SNQL_ERROR_INVALID_QUERY);
    cr_expect_neq(p.error.expected, NULL, "%s", text);
    cr_expect_eq(p.error.offset, offset, "%s: at %zu, expected %zu: %s", text, p.error.offset,
                 offset, p.error.info.text);
    arena_close(&p.arena);
}

Test(snql_parser, takes_every_clause_in_its_order)
{
    accepts(
        "MATCH STORAGE(profile_chunks) SELECT count() AS c, max(start_timestamp) AS `m` BY profiler_id, "
        "retention_days ARRAY JOIN a, b WHERE project_id = 1 AND (a = 1 OR b != 'x') HAVING c > 1 "
        "ORDER BY profiler_id ASC, c DESC LIMIT 2 BY profiler_id LIMIT 6 OFFSET 1 GRANULARITY 3600 "
        "TOTALS False  ");
    accepts("MATCH STORAGE( profile_chunks SAMPLE 0.5 )\nSELECT\n\ta\n");
    accepts("MATCH { MATCH (profiles) SELECT a } SELECT max(a)");
    accepts(FROM "tags[a b], -5 - -3");
}

Test(snql_parser, says_where_and_what_was_expected)
{
    refuses("", "$");
    refuses("MATCH(profiles) SELECT a", "(profiles");
    refuses("MATCH (STORAGE(x)) SELECT a", "(x))");
    refuses(FROM "*", "*");
    refuses(FROM "a WHERE b BETWEEN 1 AND 2", "BETWEEN");
    refuses(FROM "a WHERE NOT a = 1", "a = 1");
    refuses(FROM "a WHERE f(x)", "$");
    refuses(FROM "a WHERE f(x) LIMIT 1", "LIMIT");
    refuses(FROM "a WHERE b IN ('a', 'b')", "('a'");
    refuses(FROM "a WHERE b = \"x\"", "\"x\"");
    refuses(FROM "a ORDER BY a", "$");
    refuses(FROM "a LIMIT 1; DROP", "; DROP");
    refuses(FROM "a WHERE b = 80 + 10", "+ 10");
    refuses(FROM "a + 1 AS x", "AS x");
    refuses(FROM "f(a", "$");
    refuses(FROM "a WHERE (b = 1", "$");
    refuses(FROM "a WHERE b = 'x", "$");
    refuses(FROM "a WHERE b = 'x\\q'", "\\q");
    refuses(FROM "a WHERE b = 'x\\1'", "\\1");
    refuses(FROM "1e3", "e3");
    refuses(FROM ".5", ".5");
    refuses(FROM "+5", "+5");
    refuses(FROM "arrayMap(`x`)", "`x`");
    refuses(FROM "f((`x`) -> g(`x`))", "(`x`) -> g(`x`))");
    refuses(FROM "a OFFSET 1 LIMIT 1", "LIMIT 1");
    refuses("MATCH STORAGE(x SAMPLE 1) SELECT a", "1)");
    refuses(FROM "a TOTALS maybe", "maybe");
    refuses(FROM "a b", "b");
}

Test(snql_parser, slashes_belong_to_names_and_minus_does_not)
{
    struct parsed p = parse(FROM "a/2, a / 2, a-2, trueish, nullable");
    cr_assert_eq(p.rc, ERR_OK, "%s", p.error.info.text);
    cr_assert_eq(p.query->select_count, 5);
    cr_assert_eq(p.query->select[0]->kind, SNQL_COLUMN);
    cr_assert(bytes_equal(p.query->select[1]->name, BYTES("divide")));
    cr_assert(bytes_equal(p.query->select[2]->name, BYTES("minus")));
    cr_assert_eq(p.query->select[3]->kind, SNQL_COLUMN);
    cr_assert_eq(p.query->select[4]->kind, SNQL_COLUMN);
    arena_close(&p.arena);
}

Test(snql_parser, operators_bind_as_they_should)
{
    struct parsed p = parse(FROM "a - 20 - 10 * 2 WHERE a = 1 OR b = 2 AND c = 3");
    cr_assert_eq(p.rc, ERR_OK, "%s", p.error.info.text);
    const struct snql_expr *sum = p.query->select[0];
    cr_assert(bytes_equal(sum->name, BYTES("minus")));
    cr_assert(bytes_equal(sum->args[0]->name, BYTES("minus")));
    cr_assert(bytes_equal(sum->args[1]->name, BYTES("multiply")));
    cr_assert(bytes_equal(p.query->where->name, BYTES("or")));
    cr_assert(bytes_equal(p.query->where->args[1]->name, BYTES("and")));
    arena_close(&p.arena);
}

Test(snql_parser, undoes_escapes)
{
    struct parsed p = parse(FROM "'it\\'s\\n\\\\ 50\\%', 18446744073709551615, -5, 1.5e-2");
    cr_assert_eq(p.rc, ERR_OK, "%s", p.error.info.text);
    cr_assert(bytes_equal(p.query->select[0]->literal.text, BYTES("it's\n\\ 50\\%")));
    cr_assert_eq(p.query->select[1]->literal.unsigned_value, UINT64_MAX);
    cr_assert_eq(p.query->select[2]->literal.signed_value, -5);
    cr_assert_eq(p.query->select[3]->literal.float_value, 0.015);
    arena_close(&p.arena);
}

/* `before` n times, the middle, `after` n times. */
static struct parsed nested(const char *start, const char *before, const char *middle,
                            const char *after, size_t n, const char *end)
{
    size_t size =
        strlen(start) + n * (strlen(before) + strlen(after)) + strlen(middle) + strlen(end) + 1;
    char *text = malloc(size);
    cr_assert(text != NULL);
    size_t len = (size_t)snprintf(text, size, "%s", start);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, size - len, "%s", before);
    len += (size_t)snprintf(text + len, size - len, "%s", middle);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, size - len, "%s", after);
    len += (size_t)snprintf(text + len, size - len, "%s", end);
    struct parsed p = parse_bytes(bytes_of(text, len));
    cr_assert(p.error.offset == SNQL_NO_OFFSET || p.error.offset <= len);
    p.query = NULL; /* points into the text */
    free(text);
    return p;
}

Test(snql_parser, two_hundred_levels_are_fine_and_more_are_refused)
{
    static const struct {
        const char *before;
        const char *middle;
        const char *after;
        const char *end;
    } shapes[] = {
        {"f(", "a", ")", ""},
        {"(", "a", ")", ""},
        {"", "a", " + 1", ""},
    };
    for (size_t i = 0; i < 3; i++) {
        for (size_t n = 200; n <= 50000; n = n == 200 ? 50000 : n + 1) {
            struct parsed p =
                nested(FROM, shapes[i].before, shapes[i].middle, shapes[i].after, n, shapes[i].end);
            cr_expect_eq(p.rc, n == 200 ? ERR_OK : ERR_MALFORMED, "%s x %zu: %s", shapes[i].before,
                         n, p.error.info.text);
            arena_close(&p.arena);
        }
    }
    struct parsed p = nested(FROM "a WHERE ", "(", "a = 1", ")", 200, "");
    cr_expect_eq(p.rc, ERR_OK, "%s", p.error.info.text);
    arena_close(&p.arena);
    p = nested(FROM "a WHERE ", "(", "a = 1", ")", 300, "");
    cr_expect_eq(p.rc, ERR_MALFORMED);
    arena_close(&p.arena);
}

Test(snql_parser, a_long_list_of_conditions_is_flat)
{
    struct parsed p =
        nested(FROM "a WHERE (a = 1", " OR (project_id = 1 AND b >= 2)", "", "", 3000, ")");
    cr_expect_eq(p.rc, ERR_OK, "%s", p.error.info.text);
    arena_close(&p.arena);
    p = nested(FROM "f(1", ", 1", "", "", 40000, ")");
    cr_expect_eq(p.rc, ERR_OK, "%s", p.error.info.text);
    arena_close(&p.arena);
}

Test(snql_parser, texts_over_the_limit_have_their_own_type)
{
    size_t size = SNQL_TEXT_MAX + 1;
    char *text = malloc(size);
    cr_assert(text != NULL);
    memset(text, ' ', size);
    struct parsed p = parse_bytes(bytes_of(text, size));
    cr_assert_eq(p.rc, ERR_MALFORMED);
    cr_assert_eq(p.error.type, SNQL_ERROR_TOO_LONG);
    arena_close(&p.arena);
    free(text);
}

/* ---- checks ---- */

static void refuses_check(const char *text, const char *word)
{
    struct parsed p = check(text);
    cr_expect_eq(p.rc, ERR_MALFORMED, "%s", text);
    cr_expect(strstr(p.error.info.text, word) != NULL, "%s: %s", text, p.error.info.text);
    arena_close(&p.arena);
}

static void accepts_check(const char *text)
{
    struct parsed p = check(text);
    cr_expect_eq(p.rc, ERR_OK, "%s: %s", text, p.error.info.text);
    arena_close(&p.arena);
}

Test(snql_check, aliases_stand_for_their_calls)
{
    struct parsed p = check(FROM "plus(offset, 1) AS offset, plus(offset, 2) AS b, chunk_id AS id "
                                 "WHERE b > 5 ORDER BY offset ASC");
    cr_assert_eq(p.rc, ERR_OK, "%s", p.error.info.text);
    /* inside its own definition it is the column */
    cr_assert_eq(p.query->output[0].expr->args[0]->kind, SNQL_COLUMN);
    cr_assert_eq(p.query->output[1].expr->args[0], p.query->output[0].expr);
    cr_assert_eq(p.query->where->args[0], p.query->output[1].expr);
    cr_assert_eq(p.query->order[0].expr, p.query->output[0].expr);
    cr_assert(bytes_equal(p.query->output[2].name, BYTES("id")));
    arena_close(&p.arena);
    refuses_check(FROM "plus(offset, 1) AS a, plus(offset, 2) AS a", "'a'");
    refuses_check(FROM "plus(b, 1) AS a, plus(a, 1) AS b", "itself");
    accepts_check(FROM "count() AS c, divide(c, 10) AS d HAVING c > 1 ORDER BY count() AS c DESC");
}

Test(snql_check, aliases_that_double_each_time_are_refused)
{
    char text[4096] = FROM "plus(offset, offset) AS a0";
    size_t len = strlen(text);
    for (int i = 1; i < 60; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, ", plus(a%d, a%d) AS a%d", i - 1,
                                i - 1, i);
    refuses_check(text, "parts");
}

Test(snql_check, entities_want_their_conditions)
{
#define TIMES  "timestamp >= toDateTime('2033-05-16') AND timestamp < toDateTime('2033-05-20')"
#define ENTITY "MATCH (functions) SELECT countMerge(count) WHERE "
    accepts_check(ENTITY "project_id = 1 AND " TIMES);
    accepts_check(ENTITY "project_id IN array(1, 2) AND (" TIMES ")");
    accepts_check(ENTITY "project_id = 1 AND timestamp = toDateTime('2033-05-16T00:00:00')");
    refuses_check(ENTITY TIMES, "missing required conditions for project_id");
    refuses_check(ENTITY "(project_id = 1 OR project_id = 2) AND " TIMES, "project_id");
    refuses_check(ENTITY "equals(project_id, 1) = 1 AND " TIMES, "project_id");
    refuses_check(ENTITY "project_id = 1 AND timestamp > toDateTime('2033-05-16') AND timestamp < "
                         "toDateTime('2033-05-20')",
                  "timestamp");
    refuses_check(ENTITY "project_id = 1 AND timestamp >= toDateTime('2033-05-21') AND timestamp < "
                         "toDateTime('2033-05-20')",
                  "before");
    refuses_check(ENTITY "project_id = 1 AND count() > 1 AND " TIMES, "WHERE");
    refuses_check(ENTITY "project_id = 1 AND fingerprint LIKE 'x' AND " TIMES, "LIKE");
    refuses_check(ENTITY "project_id = 1 AND durations = 5 AND " TIMES, "durations");
    refuses_check("MATCH (profile_chunks) SELECT a", "profile_chunks");
    refuses_check(FROM "a LIMIT 10001", "10000");
    refuses_check(FROM "a LIMIT 1 OFFSET -1", "negative");
    refuses_check(FROM "a WHERE profiler_id = 'zzz'", "UUID");
    refuses_check(FROM "a WHERE start_timestamp > toDateTime('banana')", "banana");
}
