/* Random queries over random tables against an evaluator that goes row by row and shares nothing with
 * the engine: expressions with three-valued logic, filters, groups, aggregates, HAVING, order with NULLs
 * last, LIMIT n BY, LIMIT and OFFSET. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/limits.h"
#include "engine/snql.h"
#include "tests/support/rng.h"
#include "tests/support/scale.h"

#define ROWS_MAX    40
#define COLUMNS     6
#define NODES_MAX   2000
#define OUTPUTS_MAX 4
#define TEXT_MAX    200

/* ---- values ---- */

struct value {
    bool null;
    bool is_text;
    bool is_float; /* whole numbers have no -0 */
    double number;
    char text[TEXT_MAX];
};

static struct value number(double v)
{
    return (struct value){.number = v};
}

static struct value null_value(bool is_text)
{
    return (struct value){.null = true, .is_text = is_text};
}

/* As ORDER BY ascending: numbers, NaN, NULL. */
static int compare_values(const struct value *a, const struct value *b)
{
    if (a->null || b->null)
        return a->null - b->null;
    if (a->is_text)
        return strcmp(a->text, b->text);
    if (isnan(a->number) || isnan(b->number))
        return (isnan(a->number) != 0) - (isnan(b->number) != 0);
    return (a->number > b->number) - (a->number < b->number);
}

/* ---- the table ---- */

enum column { SMALL, OTHER, MAYBE, NAME, TAG, WORD };

static const struct snql_relation_column columns[COLUMNS] = {
    {BYTES("small"), {.kind = SNQL_TYPE_INT16}},
    {BYTES("other"), {.kind = SNQL_TYPE_INT32}},
    {BYTES("maybe"), {.kind = SNQL_TYPE_INT16, .nullable = true}},
    {BYTES("name"), {.kind = SNQL_TYPE_STRING}},
    {BYTES("tag"), {.kind = SNQL_TYPE_STRING, .low_cardinality = true, .nullable = true}},
    {BYTES("word"), {.kind = SNQL_TYPE_STRING, .low_cardinality = true}},
};

struct world {
    struct rng *rng;
    struct value cells[ROWS_MAX][COLUMNS];
    size_t rows;
    size_t batch;
    size_t given;
};

static void random_world(struct world *w, struct rng *rng)
{
    static const char *const words[] = {"", "a", "b", "ab", "Ab", "abc", "b%", "x_y", "Zz"};
    *w = (struct world){
        .rng = rng, .rows = rng_below(rng, ROWS_MAX + 1), .batch = 1 + rng_below(rng, ROWS_MAX)};
    for (size_t row = 0; row < w->rows; row++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            struct value *v = &w->cells[row][c];
            *v = (struct value){.is_text = c >= NAME};
            v->null = (c == MAYBE || c == TAG) && rng_below(rng, 3) == 0;
            if (v->null)
                continue;
            if (v->is_text)
                strcpy(v->text, words[rng_below(rng, sizeof(words) / sizeof(words[0]))]);
            else
                v->number = (double)rng_below(rng, c == OTHER ? 2000 : 7) - (c == OTHER ? 1000 : 3);
        }
    }
}

static enum err open_world(void *self, const bool *wanted, const struct snql_plan *plan,
                           struct snql_error *error)
{
    struct world *w = self;
    (void)wanted, (void)plan, (void)error;
    w->given = 0;
    return ERR_OK;
}

static enum err next_rows(void *self, struct arena *arena, struct snql_column *ret,
                          size_t *ret_rows, struct snql_error *error)
{
    struct world *w = self;
    size_t rows = w->rows - w->given < w->batch ? w->rows - w->given : w->batch;
    (void)error;
    for (size_t c = 0; c < COLUMNS; c++) {
        int64_t *numbers = ARENA_ARRAY(arena, rows + 1, int64_t);
        struct bytes *texts = ARENA_ARRAY(arena, rows + 1, struct bytes);
        uint8_t *nulls = ARENA_ARRAY(arena, rows + 1, uint8_t);
        cr_assert(numbers != NULL && texts != NULL && nulls != NULL);
        for (size_t i = 0; i < rows; i++) {
            const struct value *v = &w->cells[w->given + i][c];
            numbers[i] = (int64_t)v->number;
            texts[i] = bytes_of_text(v->text);
            nulls[i] = v->null;
        }
        ret[c] = (struct snql_column){.type = columns[c].type, .rows = rows};
        if (c >= NAME)
            ret[c].text = texts;
        else
            ret[c].i64 = numbers;
        if (columns[c].type.nullable)
            ret[c].nulls = nulls;
    }
    w->given += rows;
    *ret_rows = rows;
    return ERR_OK;
}

static enum err world_table(void *self, const struct snql_table_schema *schema,
                            const struct snql_budget *budget, struct arena *arena,
                            struct snql_relation *ret, struct snql_error *error)
{
    (void)schema, (void)budget, (void)arena, (void)error;
    *ret = (struct snql_relation){.self = self,
                                  .column_count = COLUMNS,
                                  .columns = columns,
                                  .open = open_world,
                                  .next = next_rows};
    return ERR_OK;
}

/* ---- expressions ---- */

enum op {
    COLUMN,
    NUMBER,
    TEXT,
    PLUS,
    MINUS,
    MULTIPLY,
    DIVIDE,
    ABS,
    LENGTH,
    POSITION,
    IF_NULL,
    IF, /* numbers (IF, IF_NULL: texts too) */
    LOWER,
    UPPER,
    CONCAT,
    SUBSTRING,
    TO_STRING,
    EQ,
    NE,
    LT,
    LE,
    GT,
    GE,
    AND,
    OR,
    NOT,
    IS_NULL,
    IN,
    NOT_IN,
    LIKE,
    NOT_LIKE,
    COUNT,
    COUNT_IF,
    SUM,
    MIN,
    MAX,
    AVG,
    UNIQ,
    MEDIAN,
    SUM_IF
};

struct node {
    enum op op;
    bool is_text;
    bool nullable;
    int column;
    double number;
    char text[24];
    const struct node *args[4];
    size_t arg_count;
};

struct maker {
    struct rng *rng;
    struct node nodes[NODES_MAX];
    size_t count;
};

static struct node *new_node(struct maker *m, enum op op)
{
    cr_assert_lt(m->count, NODES_MAX);
    struct node *n = &m->nodes[m->count++];
    *n = (struct node){.op = op};
    return n;
}

static const struct node *make(struct maker *m, enum op op, bool is_text, const struct node *a,
                               const struct node *b, const struct node *c)
{
    struct node *n = new_node(m, op);
    n->is_text = is_text;
    n->args[0] = a;
    n->args[1] = b;
    n->args[2] = c;
    n->arg_count = (size_t)(a != NULL) + (b != NULL) + (c != NULL);
    return n;
}

static const struct node *make_column(struct maker *m, int column)
{
    struct node *n = new_node(m, COLUMN);
    n->column = column;
    n->is_text = column >= NAME;
    return n;
}

static const struct node *make_number(struct maker *m, double v)
{
    struct node *n = new_node(m, NUMBER);
    n->number = v;
    return n;
}

static const struct node *make_text(struct maker *m)
{
    static const char *const texts[] = {"", "a", "b", "ab", "abc", "Zz", "B"};
    struct node *n = new_node(m, TEXT);
    n->is_text = true;
    strcpy(n->text, texts[rng_below(m->rng, sizeof(texts) / sizeof(texts[0]))]);
    return n;
}

static const struct node *random_condition(struct maker *m, int depth);
static const struct node *random_text(struct maker *m, int depth);

static const struct node *random_number(struct maker *m, int depth)
{
    static const enum op two[] = {PLUS, MINUS, MULTIPLY, DIVIDE};
    uint32_t what = (uint32_t)rng_below(m->rng, depth > 0 ? 10 : 3);
    switch (what) {
    case 0: return make_number(m, (double)rng_below(m->rng, 9) - 3);
    case 1:
    case 2: return make_column(m, (int)rng_below(m->rng, NAME));
    case 3: return make(m, ABS, false, random_number(m, depth - 1), NULL, NULL);
    case 4: return make(m, LENGTH, false, random_text(m, depth - 1), NULL, NULL);
    case 5: return make(m, POSITION, false, random_text(m, depth - 1), make_text(m), NULL);
    case 6:
        return make(m, IF_NULL, false, make_column(m, MAYBE), random_number(m, depth - 1), NULL);
    case 7:
        return make(m, IF, false, random_condition(m, depth - 1), random_number(m, depth - 1),
                    random_number(m, depth - 1));
    default:
        return make(m, two[rng_below(m->rng, 4)], false, random_number(m, depth - 1),
                    random_number(m, depth - 1), NULL);
    }
}

static const struct node *random_text(struct maker *m, int depth)
{
    switch (rng_below(m->rng, depth > 0 ? 9 : 3)) {
    case 0: return make_text(m);
    case 1:
    case 2: return make_column(m, NAME + (int)rng_below(m->rng, 3));
    case 3: return make(m, LOWER, true, random_text(m, depth - 1), NULL, NULL);
    case 4: return make(m, UPPER, true, random_text(m, depth - 1), NULL, NULL);
    case 5:
        return make(m, CONCAT, true, random_text(m, depth - 1), random_text(m, depth - 1), NULL);
    case 6:
        return make(m, SUBSTRING, true, random_text(m, depth - 1),
                    make_number(m, 1 + (double)rng_below(m->rng, 3)),
                    make_number(m, (double)rng_below(m->rng, 3)));
    case 7: return make(m, IF_NULL, true, make_column(m, TAG), random_text(m, depth - 1), NULL);
    default: return make(m, TO_STRING, true, make_column(m, SMALL), NULL, NULL);
    }
}

static const struct node *random_list(struct maker *m, enum op op)
{
    bool text = rng_below(m->rng, 2) == 0;
    struct node *n = new_node(m, op);
    n->args[0] =
        make_column(m, text ? NAME + (int)rng_below(m->rng, 3) : (int)rng_below(m->rng, NAME));
    for (size_t i = 1; i <= 3; i++)
        n->args[i] = text ? make_text(m) : make_number(m, (double)rng_below(m->rng, 7) - 3);
    n->arg_count = 4;
    return n;
}

static const struct node *random_like(struct maker *m)
{
    static const char *const patterns[] = {"%", "a%", "%b", "_b", "%b%c", "x\\_y", "A_%"};
    struct node *pattern = new_node(m, TEXT);
    pattern->is_text = true;
    strcpy(pattern->text, patterns[rng_below(m->rng, sizeof(patterns) / sizeof(patterns[0]))]);
    return make(m, rng_below(m->rng, 2) ? LIKE : NOT_LIKE, false, random_text(m, 1), pattern, NULL);
}

static const struct node *random_condition(struct maker *m, int depth)
{
    enum op compare = (enum op)(EQ + (int)rng_below(m->rng, 6));
    switch (rng_below(m->rng, depth > 0 ? 9 : 4)) {
    case 0:
        return make(m, compare, false, random_number(m, depth - 1), random_number(m, depth - 1),
                    NULL);
    case 1:
        return make(m, compare, false, random_text(m, depth - 1), random_text(m, depth - 1), NULL);
    case 2: return random_list(m, rng_below(m->rng, 2) ? IN : NOT_IN);
    case 3: return random_like(m);
    case 4: return make(m, NOT, false, random_condition(m, depth - 1), NULL, NULL);
    case 5:
        return make(m, IS_NULL, false, make_column(m, rng_below(m->rng, 2) ? MAYBE : TAG), NULL,
                    NULL);
    case 6:
        return make(m, OR, false, random_condition(m, depth - 1), random_condition(m, depth - 1),
                    NULL);
    default:
        return make(m, AND, false, random_condition(m, depth - 1), random_condition(m, depth - 1),
                    NULL);
    }
}

static const struct node *random_aggregate(struct maker *m)
{
    bool text = rng_below(m->rng, 3) == 0;
    const struct node *x = text ? random_text(m, 1) : random_number(m, 1);
    switch (rng_below(m->rng, 8)) {
    case 0: return make(m, COUNT, false, NULL, NULL, NULL);
    case 1: return make(m, COUNT_IF, false, random_condition(m, 1), NULL, NULL);
    case 2: return make(m, SUM, false, random_number(m, 1), NULL, NULL);
    case 3: return make(m, AVG, false, random_number(m, 1), NULL, NULL);
    case 4: return make(m, MEDIAN, false, random_number(m, 1), NULL, NULL);
    case 5: return make(m, UNIQ, false, x, NULL, NULL);
    case 6: return make(m, SUM_IF, false, random_number(m, 1), random_condition(m, 1), NULL);
    default: return make(m, rng_below(m->rng, 2) ? MIN : MAX, text, x, NULL, NULL);
    }
}

/* ---- as text ---- */

static const char *const formats[] = {
    [PLUS] = "plus",
    [MINUS] = "minus",
    [MULTIPLY] = "multiply",
    [DIVIDE] = "divide",
    [ABS] = "abs",
    [IF_NULL] = "ifNull",
    [IF] = "if",
    [LOWER] = "lower",
    [UPPER] = "upper",
    [CONCAT] = "concat",
    [SUBSTRING] = "substring",
    [TO_STRING] = "toString",
    [EQ] = "equals",
    [NE] = "notEquals",
    [LT] = "less",
    [LE] = "lessOrEquals",
    [GT] = "greater",
    [GE] = "greaterOrEquals",
    [AND] = "and",
    [OR] = "or",
    [NOT] = "not",
    [IS_NULL] = "isNull",
    [LIKE] = "like",
    [NOT_LIKE] = "notLike",
    [COUNT] = "count",
    [COUNT_IF] = "countIf",
    [SUM] = "sum",
    [MIN] = "min",
    [MAX] = "max",
    [AVG] = "avg",
    [UNIQ] = "uniq",
    [MEDIAN] = "median",
    [SUM_IF] = "sumIf",
};

static void print(const struct node *n, struct buffer *out)
{
    switch (n->op) {
    case COLUMN: buffer_put(out, columns[n->column].name); return;
    case NUMBER: buffer_printf(out, "%.0f", n->number); return;
    case TEXT:
        buffer_put(out, BYTES("'"));
        for (const char *c = n->text; *c != '\0'; c++)
            buffer_printf(out, "%s%c", *c == '\\' || *c == '\'' ? "\\" : "", *c);
        buffer_put(out, BYTES("'"));
        return;
    case LENGTH: /* signed, so that it has a common type with everything */
    case POSITION:
        buffer_printf(out, "toInt32(%s(", n->op == LENGTH ? "length" : "position");
        break;
    case IN:
    case NOT_IN:
        buffer_printf(out, "%s(", n->op == IN ? "in" : "notIn");
        print(n->args[0], out);
        buffer_put(out, BYTES(", tuple("));
        for (size_t i = 1; i < n->arg_count; i++) {
            if (i > 1)
                buffer_put(out, BYTES(", "));
            print(n->args[i], out);
        }
        buffer_put(out, BYTES("))"));
        return;
    case ABS: /* unsigned, likewise */ buffer_put(out, BYTES("toFloat64(abs(")); break;
    default: buffer_printf(out, "%s(", formats[n->op]);
    }
    for (size_t i = 0; i < n->arg_count; i++) {
        if (i > 0)
            buffer_put(out, BYTES(", "));
        print(n->args[i], out);
    }
    buffer_put(out,
               n->op == LENGTH || n->op == POSITION || n->op == ABS ? BYTES("))") : BYTES(")"));
}

/* ---- row by row ---- */

static bool matches(const char *text, const char *pattern)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '%')
        return matches(text, pattern + 1) || (*text != '\0' && matches(text + 1, pattern));
    if (*pattern == '_')
        return *text != '\0' && matches(text + 1, pattern + 1);
    if (*pattern == '\\')
        pattern++;
    return *text == *pattern && matches(text + 1, pattern + 1);
}

static struct value truth(bool v)
{
    return number(v);
}

static struct value compute(const struct node *n, const struct value *row);

static struct value compare(enum op op, const struct value *a, const struct value *b)
{
    if (a->null || b->null)
        return null_value(false);
    if (!a->is_text && (isnan(a->number) || isnan(b->number)))
        return truth(op == NE);
    int order = compare_values(a, b);
    switch (op) {
    case EQ: return truth(order == 0);
    case NE: return truth(order != 0);
    case LT: return truth(order < 0);
    case LE: return truth(order <= 0);
    case GT: return truth(order > 0);
    default: return truth(order >= 0);
    }
}

static struct value junction(bool is_and, const struct value *a, const struct value *b)
{
    bool decides = !is_and;
    if ((!a->null && (a->number != 0) == decides) || (!b->null && (b->number != 0) == decides))
        return truth(decides);
    return a->null || b->null ? null_value(false) : truth(is_and);
}

static struct value text_function(const struct node *n, const struct value *a,
                                  const struct value *row)
{
    struct value v = {.is_text = true};
    size_t len = strlen(a->text);
    switch (n->op) {
    case LOWER:
    case UPPER:
        for (size_t i = 0; i < len; i++) {
            char c = a->text[i];
            v.text[i] = n->op == LOWER && c >= 'A' && c <= 'Z'   ? (char)(c + 32)
                        : n->op == UPPER && c >= 'a' && c <= 'z' ? (char)(c - 32)
                                                                 : c;
        }
        return v;
    case CONCAT: {
        struct value b = compute(n->args[1], row);
        if (b.null)
            return null_value(true);
        snprintf(v.text, sizeof(v.text), "%.99s%.99s", a->text, b.text);
        return v;
    }
    case SUBSTRING: {
        size_t from = (size_t)n->args[1]->number - 1;
        size_t count = (size_t)n->args[2]->number;
        if (from < len)
            snprintf(v.text, sizeof(v.text), "%.*s", (int)(count < len - from ? count : len - from),
                     a->text + from);
        return v;
    }
    default: snprintf(v.text, sizeof(v.text), "%.0f", a->number); return v;
    }
}

static struct value floating(double v)
{
    return (struct value){.number = v, .is_float = true};
}

static struct value arithmetic(enum op op, const struct value *x, const struct value *y)
{
    double a = x->number;
    double b = y->number;
    if (op == DIVIDE) {
        if (b != 0)
            return floating(a / b);
        return floating(a == 0 || isnan(a)             ? (double)NAN
                        : (a < 0) != (signbit(b) != 0) ? -(double)INFINITY
                                                       : (double)INFINITY);
    }
    double v = op == PLUS ? a + b : op == MINUS ? a - b : a * b;
    return x->is_float || y->is_float ? floating(v) : number(v + 0.0);
}

/* Whether the type of a number has a fraction. */
static bool is_floating(const struct node *n)
{
    switch (n->op) {
    case DIVIDE:
    case ABS: return true;
    case PLUS:
    case MINUS:
    case MULTIPLY:
    case IF_NULL: return is_floating(n->args[0]) || is_floating(n->args[1]);
    case IF: return is_floating(n->args[1]) || is_floating(n->args[2]);
    default: return false;
    }
}

static struct value compute(const struct node *n, const struct value *row)
{
    struct value a = {0};
    struct value b = {0};
    switch (n->op) {
    case COLUMN: return row[n->column];
    case NUMBER: return number(n->number);
    case TEXT:
        a.is_text = true;
        strcpy(a.text, n->text);
        return a;
    case IF:
        a = compute(n->args[0], row);
        b = compute(n->args[!a.null && a.number != 0 ? 1 : 2], row);
        b.is_float = is_floating(n);
        return b;
    case IF_NULL:
        a = compute(n->args[0], row);
        if (a.null)
            a = compute(n->args[1], row);
        a.is_float = is_floating(n);
        return a;
    case AND:
    case OR:
        a = compute(n->args[0], row);
        b = compute(n->args[1], row);
        return junction(n->op == AND, &a, &b);
    case IS_NULL: return truth(compute(n->args[0], row).null);
    default: break;
    }
    a = compute(n->args[0], row);
    if (a.null)
        return null_value(n->is_text);
    switch (n->op) {
    case NOT: return truth(a.number == 0);
    case ABS: return floating(fabs(a.number));
    case LENGTH: return number((double)strlen(a.text));
    case POSITION: {
        const char *at = strstr(a.text, n->args[1]->text);
        return number(at == NULL ? 0 : (double)(at - a.text) + 1);
    }
    case LIKE:
    case NOT_LIKE: return truth(matches(a.text, n->args[1]->text) == (n->op == LIKE));
    case IN:
    case NOT_IN:
        for (size_t i = 1; i < n->arg_count; i++) {
            b = compute(n->args[i], row);
            if (compare_values(&a, &b) == 0)
                return truth(n->op == IN);
        }
        return truth(n->op == NOT_IN);
    case LOWER:
    case UPPER:
    case CONCAT:
    case SUBSTRING:
    case TO_STRING: return text_function(n, &a, row);
    default: break;
    }
    b = compute(n->args[1], row);
    if (n->op >= EQ && n->op <= GE)
        return compare(n->op, &a, &b);
    return b.null ? null_value(false) : arithmetic(n->op, &a, &b);
}

/* ---- a query ---- */

struct query {
    const struct node *outputs[OUTPUTS_MAX];
    size_t output_count;
    size_t key_count; /* the first outputs are grouped by */
    bool grouped;
    const struct node *where;
    const struct node *having; /* over an output that is a number */
    size_t having_output;
    double having_above;
    bool descending[OUTPUTS_MAX];
    uint64_t limit_by; /* 0: none; by the first output */
    uint64_t limit;
    uint64_t offset;
};

static struct query random_query_of(struct maker *m)
{
    struct query q = {.limit = 1 + rng_below(m->rng, 30)};
    struct rng *rng = m->rng;
    m->count = 0;
    q.grouped = rng_below(rng, 2) == 0;
    q.output_count = 1 + rng_below(rng, OUTPUTS_MAX);
    if (q.grouped)
        q.key_count = rng_below(rng, q.output_count + 1);
    for (size_t i = 0; i < q.output_count; i++) {
        bool text = rng_below(rng, 2) == 0;
        q.outputs[i] = q.grouped && i >= q.key_count ? random_aggregate(m)
                       : text                        ? random_text(m, 2)
                                                     : random_number(m, 3);
        q.descending[i] = rng_below(rng, 2) == 0;
    }
    if (rng_below(rng, 3) > 0)
        q.where = random_condition(m, 3);
    if (rng_below(rng, 6) == 0) { /* many, each of one name: the shape of windows of profilers */
        int column = rng_below(rng, 4) == 0 ? WORD : NAME;
        q.where = NULL;
        for (uint64_t i = 0, n = 2 + rng_below(rng, 14); i < n; i++) {
            const struct node *one =
                make(m, AND, false, make(m, EQ, false, make_column(m, column), make_text(m), NULL),
                     random_condition(m, 1), NULL);
            q.where = q.where == NULL ? one : make(m, OR, false, q.where, one, NULL);
        }
    }
    q.having_output = SIZE_MAX;
    if (q.grouped && rng_below(rng, 3) == 0 && !q.outputs[q.output_count - 1]->is_text) {
        q.having_output = q.output_count - 1;
        q.having_above = (double)rng_below(rng, 5);
    }
    if (rng_below(rng, 5) == 0)
        q.limit_by = 1 + rng_below(rng, 3);
    if (rng_below(rng, 3) == 0)
        q.offset = rng_below(rng, 5);
    /* a group without keys and aggregates is no query */
    q.grouped = q.grouped && (q.key_count > 0 || q.output_count > q.key_count);
    return q;
}

/* A condition as people write it: AND, OR and = between their sides, so that filters take it apart. */
static void print_condition(const struct node *n, struct buffer *out)
{
    if (n->op == OR || n->op == AND) {
        bool inner = n->op == AND && n->args[0]->op == OR;
        buffer_put(out, n->op == AND ? BYTES("(") : BYTES(""));
        buffer_put(out, inner ? BYTES("(") : BYTES(""));
        print_condition(n->args[0], out);
        buffer_put(out, inner ? BYTES(")") : BYTES(""));
        buffer_put(out, n->op == AND ? BYTES(" AND ") : BYTES(" OR "));
        buffer_put(out, n->args[1]->op == OR ? BYTES("(") : BYTES(""));
        print_condition(n->args[1], out);
        buffer_put(out, n->args[1]->op == OR ? BYTES(")") : BYTES(""));
        buffer_put(out, n->op == AND ? BYTES(")") : BYTES(""));
    } else if (n->op == EQ && n->args[0]->op == COLUMN && n->args[1]->op == TEXT) {
        print(n->args[0], out);
        buffer_put(out, BYTES(" = "));
        print(n->args[1], out);
    } else {
        print(n, out);
        buffer_put(out, BYTES(" = 1"));
    }
}

static void print_query(const struct query *q, struct buffer *out)
{
    buffer_put(out, BYTES("MATCH STORAGE(profile_chunks) SELECT "));
    for (size_t i = 0; i < q->output_count; i++) {
        buffer_put(out, i > 0 ? BYTES(", ") : BYTES(""));
        buffer_put(out, BYTES("if(1, "));
        print(q->outputs[i], out);
        buffer_put(out, BYTES(", "));
        print(q->outputs[i], out);
        buffer_printf(out, ") AS o%zu", i);
    }
    for (size_t i = 0; i < q->key_count; i++) {
        buffer_put(out, i > 0 ? BYTES(", ") : BYTES(" BY "));
        print(q->outputs[i], out);
        if (q->outputs[i]->op > TEXT)
            buffer_printf(out, " AS k%zu", i);
    }
    if (q->where != NULL) {
        buffer_put(out, BYTES(" WHERE "));
        print_condition(q->where, out);
    }
    if (q->having_output != SIZE_MAX)
        buffer_printf(out, " HAVING o%zu > %.0f", q->having_output, q->having_above);
    for (size_t i = 0; i < q->output_count; i++)
        buffer_printf(out, "%so%zu %s", i == 0 ? " ORDER BY " : ", ", i,
                      q->descending[i] ? "DESC" : "ASC");
    if (q->limit_by > 0)
        buffer_printf(out, " LIMIT %llu BY o0", (unsigned long long)q->limit_by);
    buffer_printf(out, " LIMIT %llu OFFSET %llu", (unsigned long long)q->limit,
                  (unsigned long long)q->offset);
}

struct result {
    struct value cells[ROWS_MAX][OUTPUTS_MAX];
    size_t rows;
};

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* An aggregate over these rows. */
static struct value aggregate(const struct node *n, const struct world *w, const size_t *rows,
                              size_t count)
{
    struct value values[ROWS_MAX];
    double numbers[ROWS_MAX];
    size_t seen = 0;
    bool nullable = false;
    for (size_t i = 0; i < count; i++) {
        const struct value *row = w->cells[rows[i]];
        if (n->op == COUNT) {
            seen++;
            continue;
        }
        struct value v = compute(n->args[0], row);
        struct value c = n->op == SUM_IF ? compute(n->args[1], row) : truth(true);
        if (n->op == COUNT_IF) {
            seen += !v.null && v.number != 0;
            continue;
        }
        if (!v.null && !c.null && c.number != 0)
            values[seen++] = v;
    }
    (void)nullable;
    if (n->op == COUNT || n->op == COUNT_IF)
        return number((double)seen);
    double sum = 0;
    struct value best = seen > 0 ? values[0] : null_value(n->is_text);
    size_t distinct = 0;
    size_t finite = 0;
    for (size_t i = 0; i < seen; i++) {
        sum += values[i].number;
        if (n->op == MIN ? compare_values(&values[i], &best) < 0
                         : compare_values(&values[i], &best) > 0)
            best = values[i];
        bool known = false;
        for (size_t k = 0; k < i && !known; k++)
            known = compare_values(&values[k], &values[i]) == 0;
        distinct += !known;
        if (!isnan(values[i].number))
            numbers[finite++] = values[i].number;
    }
    switch (n->op) {
    case UNIQ: return number((double)distinct);
    case MIN:
    case MAX: return best;
    case MEDIAN: {
        if (finite == 0)
            return seen == 0 ? null_value(false) : number((double)NAN);
        qsort(numbers, finite, sizeof(*numbers), compare_numbers);
        double h = 0.5 * (double)(finite - 1);
        size_t at = (size_t)h;
        if (at + 1 >= finite)
            return number(numbers[finite - 1]);
        return number(numbers[at] * ((double)(at + 1) - h) + numbers[at + 1] * (h - (double)at));
    }
    default:
        if (seen == 0)
            return null_value(false);
        return number(n->op == AVG ? sum / (double)seen : sum);
    }
}

static const struct query *sorting;

static int compare_result_rows(const void *a, const void *b)
{
    const struct value *x = a;
    const struct value *y = b;
    for (size_t i = 0; i < sorting->output_count; i++) {
        int order = compare_values(&x[i], &y[i]);
        if (order == 0)
            continue;
        bool last =
            x[i].null || y[i].null || (!x[i].is_text && (isnan(x[i].number) || isnan(y[i].number)));
        return sorting->descending[i] && !last ? -order : order;
    }
    return 0;
}

static void evaluate(const struct query *q, const struct world *w, struct result *ret)
{
    size_t rows[ROWS_MAX];
    size_t count = 0;
    ret->rows = 0;
    for (size_t row = 0; row < w->rows; row++) {
        struct value c = q->where == NULL ? truth(true) : compute(q->where, w->cells[row]);
        if (!c.null && c.number != 0)
            rows[count++] = row;
    }
    if (!q->grouped) {
        for (size_t i = 0; i < count; i++, ret->rows++)
            for (size_t o = 0; o < q->output_count; o++)
                ret->cells[i][o] = compute(q->outputs[o], w->cells[rows[i]]);
    } else {
        bool taken[ROWS_MAX] = {false};
        size_t groups = 0;
        for (size_t i = 0; i < count || (q->key_count == 0 && groups == 0); i++) {
            size_t members[ROWS_MAX];
            size_t member_count = 0;
            struct value key[OUTPUTS_MAX];
            if (i < count && taken[i])
                continue;
            for (size_t o = 0; o < q->key_count; o++)
                key[o] = compute(q->outputs[o], w->cells[rows[i]]);
            for (size_t k = i; k < count; k++) {
                bool same = !taken[k];
                for (size_t o = 0; o < q->key_count && same; o++) {
                    struct value v = compute(q->outputs[o], w->cells[rows[k]]);
                    same = compare_values(&v, &key[o]) == 0;
                }
                if (same) {
                    taken[k] = true;
                    members[member_count++] = rows[k];
                }
            }
            struct value *cells = ret->cells[ret->rows];
            for (size_t o = 0; o < q->output_count; o++)
                cells[o] =
                    o < q->key_count ? key[o] : aggregate(q->outputs[o], w, members, member_count);
            groups++;
            if (q->having_output == SIZE_MAX ||
                (!cells[q->having_output].null && cells[q->having_output].number > q->having_above))
                ret->rows++;
        }
    }
    sorting = q;
    qsort(ret->cells, ret->rows, sizeof(ret->cells[0]), compare_result_rows);
    if (q->limit_by > 0) {
        size_t kept = 0;
        for (size_t i = 0; i < ret->rows; i++) {
            size_t before = 0;
            for (size_t k = 0; k < kept; k++)
                before += compare_values(&ret->cells[k][0], &ret->cells[i][0]) == 0;
            if (before < q->limit_by)
                memmove(ret->cells[kept++], ret->cells[i], sizeof(ret->cells[0]));
        }
        ret->rows = kept;
    }
    size_t skip = q->offset < ret->rows ? q->offset : ret->rows;
    size_t take = q->limit < ret->rows - skip ? q->limit : ret->rows - skip;
    memmove(ret->cells, ret->cells[skip], take * sizeof(ret->cells[0]));
    ret->rows = take;
}

/* ---- comparing ---- */

/* Over nothing an aggregate is NULL, or the default of a type that cannot be NULL. */
static bool same_cell(const struct value *v, const struct snql_column *c, size_t row,
                      bool may_default)
{
    if (snql_is_null(c, row))
        return v->null;
    size_t at = snql_at(c, row);
    if (c->type.kind == SNQL_TYPE_STRING) {
        if (v->null)
            return may_default && c->text[at].len == 0;
        return bytes_equal(c->text[at], bytes_of_text(v->text));
    }
    double got = snql_type_is_float(c->type)    ? c->f64[at]
                 : snql_type_is_signed(c->type) ? (double)c->i64[at]
                                                : (double)c->u64[at];
    if (v->null)
        return may_default && (got == 0 || isnan(got));
    if (isnan(v->number) || isnan(got))
        return isnan(v->number) && isnan(got);
    return v->number == got || fabs(v->number - got) <= 1e-9 * fmax(fabs(got), fabs(v->number));
}

static void run_one(struct maker *m, struct world *w)
{
    static struct result expected;
    struct query q = random_query_of(m);
    struct buffer text;
    struct arena arena;
    struct snql_answer answer;
    struct snql_error error;
    buffer_init(&text, MIB(1), NULL);
    arena_init(&arena, MIB(64), NULL);
    print_query(&q, &text);
    struct snql_catalog catalog = {w, world_table};
    struct snql_request request = {.text = buffer_bytes(&text)};
    enum err rc = snql_run(&request, &catalog, &arena, &answer, &error);
    cr_assert_eq(rc, ERR_OK, "%.*s\n%s", (int)text.len, (const char *)text.data, error.info.text);
    evaluate(&q, w, &expected);
    cr_assert_eq(answer.result.rows, expected.rows, "%.*s\n%zu rows, expected %zu", (int)text.len,
                 (const char *)text.data, answer.result.rows, expected.rows);
    /* columns that are grouped by come first, and again */
    size_t first = answer.result.column_count - q.output_count;
    for (size_t row = 0; row < expected.rows; row++)
        for (size_t o = 0; o < q.output_count; o++)
            cr_assert(same_cell(&expected.cells[row][o], &answer.result.columns[first + o], row,
                                q.grouped && o >= q.key_count),
                      "%.*s\nrow %zu, column %zu: expected %s%g '%s'", (int)text.len,
                      (const char *)text.data, row, o, expected.cells[row][o].null ? "NULL " : "",
                      expected.cells[row][o].number, expected.cells[row][o].text);
    arena_close(&arena);
    buffer_close(&text);
}

Test(prop_snql, random_queries_give_the_rows_of_an_evaluator_that_goes_row_by_row)
{
    struct rng rng = test_rng();
    static struct maker m;
    static struct world w;
    m.rng = &rng;
    for (unsigned round = 0; round < test_scale(2000); round++) {
        random_world(&w, &rng);
        for (int i = 0; i < 50; i++)
            run_one(&m, &w);
    }
}
