#include "tests/support/random_query.h"

#define DEPTH_MAX 4

struct maker {
    const struct query_choices *choices;
    struct buffer *out;
};

static uint32_t below(struct maker *m, uint32_t n)
{
    return m->choices->below(m->choices->self, n);
}

static void put(struct maker *m, const char *text)
{
    buffer_put(m->out, bytes_of_text(text));
}

#define PICK(m, list) (list)[below(m, (uint32_t)(sizeof(list) / sizeof((list)[0])))]

static void column(struct maker *m)
{
    static const char *const names[] = {"project_id",      "profiler_id",   "chunk_id",
                                        "start_timestamp", "end_timestamp", "environment",
                                        "retention_days",  "partition",     "offset",
                                        "alias0",          "nope"};
    put(m, PICK(m, names));
}

static void literal(struct maker *m)
{
    static const char *const texts[] = {"0",
                                        "1",
                                        "-3",
                                        "90",
                                        "0.5",
                                        "1e+20",
                                        "18446744073709551615",
                                        "NULL",
                                        "TRUE",
                                        "'x'",
                                        "''",
                                        "'it\\'s'",
                                        "'2033-05-18 03:33:20.5'",
                                        "'4d229f1d3807421ba62a5f8bc295d836'",
                                        "toDateTime('2033-05-18T03:33:20')",
                                        "toDateTime64(2000000000.5, 6)"};
    put(m, PICK(m, texts));
}

static void expression(struct maker *m, int depth);

static void list(struct maker *m, int depth, uint32_t most)
{
    put(m, below(m, 2) ? "array(" : "tuple(");
    for (uint32_t i = 0, n = below(m, most + 1); i < n; i++) {
        if (i > 0)
            put(m, ", ");
        if (depth > 0)
            expression(m, depth - 1);
        else
            literal(m);
    }
    put(m, ")");
}

static void call(struct maker *m, int depth)
{
    static const char *const one[] = {"toString",   "lower",     "length",        "isNull",
                                      "not",        "abs",       "toUInt32",      "toDateTime",
                                      "negate",     "round",     "toStartOfHour", "empty",
                                      "toTypeName", "arraySort", "toUInt8OrNull"};
    static const char *const two[] = {
        "plus",         "minus",        "multiply", "divide",     "intDiv", "modulo",
        "equals",       "less",         "and",      "or",         "ifNull", "nullIf",
        "concat",       "like",         "match",    "startsWith", "least",  "has",
        "tupleElement", "arrayElement", "position", "arrayConcat"};
    static const char *const lambdas[] = {"arrayMap", "arrayFilter", "arrayExists", "arrayCount",
                                          "arraySort"};
    static const char *const aggregates[] = {
        "count",          "sum",    "avg",      "min",    "max",
        "uniq",           "any",    "countIf",  "median", "groupArray",
        "groupUniqArray", "argMax", "stddevPop"};
    switch (below(m, 8)) {
    case 0:
        put(m, PICK(m, one));
        put(m, "(");
        expression(m, depth - 1);
        put(m, ")");
        return;
    case 1:
        put(m, "if(");
        expression(m, depth - 1);
        put(m, ", ");
        expression(m, depth - 1);
        put(m, ", ");
        expression(m, depth - 1);
        put(m, ")");
        return;
    case 2:
        put(m, PICK(m, lambdas));
        put(m, "((`x`) -> plus(`x`, ");
        expression(m, depth - 1);
        put(m, "), ");
        list(m, depth - 1, 4);
        put(m, ")");
        return;
    case 3:
        put(m, PICK(m, aggregates));
        put(m, "(");
        if (below(m, 4) > 0)
            expression(m, depth - 1);
        put(m, ")");
        return;
    case 4:
        put(m, below(m, 2) ? "quantile(0.9)(" : "quantiles(0.5, 0.9)(");
        expression(m, depth - 1);
        put(m, ")");
        return;
    case 5: list(m, depth - 1, 4); return;
    default:
        put(m, PICK(m, two));
        put(m, "(");
        expression(m, depth - 1);
        put(m, ", ");
        expression(m, depth - 1);
        put(m, ")");
    }
}

static void expression(struct maker *m, int depth)
{
    static const char *const signs[] = {" + ", " - ", " * ", " / "};
    uint32_t what = below(m, 8);
    if (depth <= 0 || what < 3) {
        if (below(m, 2))
            column(m);
        else
            literal(m);
    } else if (what == 3) {
        put(m, "(");
        expression(m, depth - 1);
        put(m, PICK(m, signs));
        expression(m, depth - 1);
        put(m, ")");
    } else {
        call(m, depth);
    }
}

static void condition(struct maker *m, int depth)
{
    static const char *const operators[] = {
        " = ", " != ", " < ", " <= ", " > ", " >= ", " LIKE ", " NOT LIKE "};
    uint32_t what = below(m, 8);
    if (depth > 0 && what < 3) {
        put(m, "(");
        condition(m, depth - 1);
        put(m, what == 0 ? " OR " : " AND ");
        condition(m, depth - 1);
        put(m, ")");
        return;
    }
    if (below(m, 3) > 0)
        column(m);
    else
        expression(m, depth);
    if (what == 3) {
        put(m, below(m, 2) ? " IS NULL" : " IS NOT NULL");
    } else if (what == 4) {
        put(m, below(m, 2) ? " IN " : " NOT IN ");
        list(m, 0, 5);
    } else {
        put(m, PICK(m, operators));
        literal(m);
    }
}

static void items(struct maker *m, uint32_t most, bool aliases)
{
    for (uint32_t i = 0, n = 1 + below(m, most); i < n; i++) {
        if (i > 0)
            put(m, ", ");
        uint32_t what = below(m, 4);
        if (what == 0)
            column(m);
        else
            call(m, DEPTH_MAX);
        if (aliases && what > 1) {
            char alias[] = " AS alias0";
            alias[9] = (char)('0' + below(m, 4));
            put(m, alias);
        }
    }
}

void random_query(const struct query_choices *choices, struct buffer *out)
{
    struct maker m = {choices, out};
    put(&m, "MATCH STORAGE(profile_chunks) SELECT ");
    items(&m, 4, true);
    if (below(&m, 2)) {
        put(&m, " BY ");
        items(&m, 2, true);
    }
    if (below(&m, 4) > 0) {
        put(&m, " WHERE ");
        condition(&m, DEPTH_MAX);
    }
    if (below(&m, 4) == 0) {
        put(&m, " HAVING ");
        condition(&m, 1);
    }
    if (below(&m, 2)) {
        put(&m, " ORDER BY ");
        expression(&m, 2);
        put(&m, below(&m, 2) ? " ASC" : " DESC");
    }
    if (below(&m, 6) == 0)
        put(&m, " LIMIT 2 BY environment");
    if (below(&m, 2))
        put(&m, " LIMIT 7");
    if (below(&m, 4) == 0)
        put(&m, " OFFSET 2");
    if (below(&m, 4) == 0)
        put(&m, " TOTALS TRUE");
}
